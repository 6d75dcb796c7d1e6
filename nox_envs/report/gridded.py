"""What the matrix showed: a grid of cells for each session, and why some of them do not pass."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from nox_envs.outcome import Outcome
from nox_envs.report import blocks, marks, page
from nox_envs.report.columns import folded
from nox_envs.report.document import document
from nox_envs.report.escape import code, inline, lines, plain
from nox_envs.report.lattice import grids
from nox_envs.report.marks import LONGEST
from nox_envs.report.paragraphs import Paragraph, kept
from nox_envs.report.view import Commands, View
from nox_envs.report.words import count, duration, ended, some

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from nox_envs.outcome import Trial
    from nox_envs.report.facts import MatrixReport, Swept

__all__ = ["markdown", "terminal", "to_dict", "verdict"]


def __dir__() -> list[str]:
    return __all__


_MOST_NAMED = 4
_MOST_READ, _MOST_LINES = 60, 15
_MOST_SHOWN = 5
"""Ways to fail of which the output is shown in place."""

_TELLING = re.compile(r"(?:>|E) |\S.*:\d+:(?: |$)")
"""What was running, what was raised, and where."""

_WAYS = {
    Outcome.FLAKY: ("is flaky", "are flaky"),
    Outcome.TIMEOUT: ("does not end in time", "do not end in time"),
    Outcome.INFEASIBLE: ("cannot be resolved", "cannot be resolved"),
    Outcome.UNBUILDABLE: ("cannot be built", "cannot be built"),
    Outcome.ERROR: ("could not be tested", "could not be tested"),
}
"""How cells do not pass, for one and for several."""


def terminal(
    report: MatrixReport, *, commands: Commands | None = None, encoding: str = "utf-8"
) -> str:
    """The block as plain text that `encoding` can hold, with a newline at the end."""
    said = _Words(report, plain, commands)
    tables = []
    for grid in grids(report, plain):
        table = blocks.table(grid.head, grid.rows)
        table[-1] += f"        ({grid.more})" if grid.more else ""
        tables.append(table)
    troubles = [part for one in said.paragraphs() for part in _in_place(one)]
    last = [*said.next_commands(), *said.footer()]
    return blocks.text(
        [said.headline().split("\n"), *tables, *troubles, blocks.paragraphs(kept(said.view)), last],
        encoding,
    )


def markdown(
    report: MatrixReport, *, commands: Commands | None = None, longest: int = LONGEST
) -> str:
    """The document, with a newline at the end. What does not fit is left out, and it says so."""
    said = _Words(report, inline, commands)
    return marks.fitting(list(_pieces(said)), said.place, longest)


def verdict(report: MatrixReport) -> str:
    """The answer as a clause: `2 of 11 cells fail`."""
    return _Words(report, plain, None).answer().rstrip(".")


def to_dict(report: MatrixReport) -> dict[str, Any]:
    """The document, in a stable order."""
    trials = {trial.id: trial for trial in report.trials}
    cells = {name: _cell(one, trials) for name, one in report.cells.items()}
    about = {"narrowed": report.narrowed}
    return document(report, "matrix", about=about, answer={"cells": cells})


def _cell(cell: Swept, trials: dict[str, Trial]) -> dict[str, Any]:
    trial = trials.get(cell.trials[0]) if cell.trials else None
    failure = trial.failure if trial else None
    return {
        "python": cell.python,
        "session": cell.session,
        "values": dict(cell.values),
        "outcome": None if cell.outcome is None else str(cell.outcome),
        "seconds": round(cell.seconds, 3),
        "trial": cell.trials[0] if cell.trials else None,
        "trials": list(cell.trials),
        "same_as": cell.same_as,
        "cached": cell.cached,
        "may_fail": cell.may_fail,
        "reason": cell.reason,
        "hints": list(cell.hints),
        "failed_tests": sorted(failure.tests) if failure else [],
    }


def _in_place(said: Paragraph) -> Iterator[list[str]]:
    """A statement with its tests, and apart from it the end of the log."""
    shown = [f"    {line}".rstrip() for line in _telling(lines(said.excerpt, most=_MOST_READ))]
    log = [f"    {said.log}"] if said.log else []
    for line in blocks.paragraphs([_without_output(said)]), [*shown, *log]:
        if line:
            yield line


def _telling(shown: Sequence[str]) -> Sequence[str]:
    """Of a report of pytest the lines that failed and where; of all else the end."""
    if any(line.startswith("E  ") for line in shown):
        shown = [line for line in shown if _TELLING.match(line)]
    return shown[-_MOST_LINES:]


def _without_output(said: Paragraph) -> Paragraph:
    return Paragraph(head=said.head, rest=said.rest, tests=said.tests, lines=said.lines)


def _pieces(said: _Words) -> Iterator[str]:
    """What may stand alone if all that follows is left out, the most important first."""
    yield f"# {said.title()}\n"
    for line in said.headline().split("\n"):
        yield f"\n{line}\n"
    yield f"\n{page.asked(said.view)}\n"
    legend = ""
    for grid in grids(said.report, inline, full=True):
        yield from marks.table(grid.head, grid.rows)
        legend = grid.more or legend
    yield f"\n({legend})\n" if legend else ""
    troubles = [*said.paragraphs(), *kept(said.view)]
    for one in troubles:
        yield marks.paragraph(one)
    for line in said.next_commands():
        what, _, command = line.partition(":  ")
        yield f"\n{what}: {code(command)}\n"
    for one in troubles:
        if one.excerpt:
            yield marks.output(one.excerpt)
    for line in said.footer():
        yield f"\n{line}\n"


class _Words:
    """A report in words."""

    def __init__(
        self, report: MatrixReport, show: Callable[[str], str], commands: Commands | None
    ) -> None:
        self.report = report
        self.show = show
        self.view = View(report, show, commands or Commands())
        self.session = self.view.commands.matrix or "matrix"
        self.trials = {trial.id: trial for trial in report.trials}
        self.place = show(report.directory) if report.directory else ""
        cells = report.cells
        self.red = [name for name, one in cells.items() if _is_red(one) and not one.may_fail]
        self.excused = [name for name, one in cells.items() if _is_red(one) and one.may_fail]
        self.open = [
            name for name, one in cells.items() if one.outcome is Outcome.ERROR and not one.may_fail
        ]
        self.left = [
            name
            for name, one in cells.items()
            if one.outcome is None and name not in report.not_tested
        ]
        self.passed = [name for name, one in cells.items() if one.outcome is Outcome.PASS]

    # -- the first line

    def headline(self) -> str:
        """The answer, and what it does not speak of."""
        stopped = page.unanswered(self.view, self.session)
        said = [stopped or self.answer()]
        if not stopped and self._is_green and self.passed:
            said = [f"{said[0]} {self._took()}"]
        return page.opening(self.view, said)

    @property
    def _is_green(self) -> bool:
        return not (self.red or self.open or self.left)

    def answer(self) -> str:
        """A sentence, as `2 of 11 cells fail.`."""
        cells = self.report.cells.values()
        total, red, undecided = len(cells), len(self.red), len(self.open)
        if not total:
            return "Nothing to run: no cell that was chosen failed when last run."
        rest = [f"{undecided} could not be tested"] if undecided and red else []
        rest += [f"{len(self.left)} {_was(self.left)} not run"] if self.left else []
        if red:
            said = "The only cell fails" if total == 1 else f"{red} of {total} cells {_fail(red)}"
        elif undecided:
            what = "The only cell" if total == 1 else f"{undecided} of {total} cells"
            said = f"{what} could not be tested"
        else:
            cached = sum(one.cached is not None for one in cells)
            said = f"{self._passing()} ({cached} cached)" if cached else self._passing()
            excused = len(self.excused)
            rest += [f"{excused} {_fail(excused)}, as declared (may_fail)"] if excused else []
        return f"{'; '.join([said, *rest])}."

    def _passing(self) -> str:
        total, passed = len(self.report.cells), len(self.passed)
        if passed < total:
            verb = "passes" if passed == 1 else "pass"
            return f"{passed} of {total} cells {verb}" if passed else "No cell was tested"
        if total == 1:
            return "The only cell passes"
        return "Both cells pass" if total == 2 else f"All {total} cells pass"  # noqa: PLR2004

    def title(self) -> str:
        if self.report.status == "interrupted":
            return "Matrix: interrupted"
        if self.report.error:
            return "Matrix: cannot tell"
        return self.answer().rstrip(".")

    # -- why cells do not pass

    def paragraphs(self) -> list[Paragraph]:
        """One for each way not to pass; what may fail comes last."""
        troubled = {
            name: one
            for name, one in self.report.cells.items()
            if one.outcome not in {None, Outcome.PASS} and not self.report.error
        }
        groups = folded({name: self._way(one) for name, one in troubled.items()})
        groups.sort(key=lambda names: troubled[names[0]].may_fail)
        return [self._paragraph(names, place) for place, names in enumerate(groups)]

    def _way(self, cell: Swept) -> tuple[object, ...]:
        """Equal where one paragraph speaks for both."""
        trial = self._trial(cell)
        failure = trial.failure if trial else None
        why = failure.signature if failure else cell.reason
        return cell.outcome, why, cell.hints, cell.may_fail

    def _trial(self, cell: Swept) -> Trial | None:
        return self.trials.get(cell.trials[0]) if cell.trials else None

    def _paragraph(self, names: Sequence[str], place: int) -> Paragraph:
        cell = self.report.cells[names[0]]
        trial = self._trial(cell)
        failure = trial.failure if trial else None
        tests = failure.tests if failure else {}
        who = some([self.show(name) for name in names], most=_MOST_NAMED)
        may = ", as declared (may_fail)" if cell.may_fail else ""
        excerpt = (failure.excerpt if failure else "") or cell.excerpt
        if cell.may_fail or place >= _MOST_SHOWN:
            excerpt = ""  # It needs nobody, or there is more than can be read.
        reason = cell.reason or (failure.exception if failure else "")
        why = f": {self.show(reason)}" if reason else ""
        if cell.outcome is Outcome.FAIL:
            how, rest = _fails(len(names), len(tests)), ended(why)
            rest = ":" if tests or excerpt else rest
        else:
            how = _WAYS.get(cell.outcome or Outcome.ERROR, ("", ""))[len(names) > 1]
            rest = ended("" if cell.outcome is Outcome.TIMEOUT else why)
        return Paragraph(
            head=f"{who} {how}{may}",
            rest=rest,
            tests=tests,
            log=self.view.path(trial.log) if trial and excerpt else "",
            lines=tuple(f"hint: {self.show(hint)}" for hint in cell.hints),
            trials=cell.trials,
            excerpt=excerpt,
        )

    # -- what to do next

    def next_commands(self) -> Iterator[str]:
        """At most two, with what they do."""
        again = [*self.red, *self.open]
        if not again or self.report.error or self.report.status == "interrupted":
            return
        called, posargs = self.view.commands.called, self.report.posargs
        handed_on = ["--", *posargs] if posargs else []
        number = len([*again, *self.left])
        which = "it" if number == 1 else f"these {number}"
        failed = called.line(self.session, "--rerun-failed", *handed_on)
        first = called.line(again[0], *posargs)
        if called.by_us:  # Without a noxfile, nox has no such session.
            first = called.line(self.session, "--only", again[0], *handed_on)
        what = f"Run {which} again:"
        alone = "Run it alone:" if number == 1 else "Run one alone:"
        wide = max(len(what), len(alone))
        yield f"{what.ljust(wide)}  {plain(failed)}"
        yield f"{alone.ljust(wide)}  {plain(first)}"

    def footer(self) -> list[str]:
        """How long it took, where the first line does not tell, and where more is found."""
        said = [] if self._is_green and not self._is_stopped else [self._took()]
        said += [f"Report and logs: {self.place}"] if self.place else []
        return [" ".join(said)] if said else []

    @property
    def _is_stopped(self) -> bool:
        return self.report.status in {"interrupted", "error"}

    def _took(self) -> str:
        """As `19 s (62 s of tests).`."""
        tests = sum(one.seconds for one in self.report.cells.values() if one.same_as is None)
        of_tests = f" ({duration(tests)} of tests)" if tests else ""
        return f"{duration(self.report.seconds)}{of_tests}."


def _is_red(cell: Swept) -> bool:
    return cell.outcome not in {None, Outcome.PASS, Outcome.ERROR}


def _fail(number: int) -> str:
    return "fails" if number == 1 else "fail"


def _was(names: Sequence[str]) -> str:
    return "was" if len(names) == 1 else "were"


def _fails(cells: int, tests: int) -> str:
    """As `fail the same test`, `fails 3 tests`."""
    if cells == 1:
        return f"fails {count(tests, 'test')}" if tests else "fails"
    if not tests:
        return "fail in the same way"
    return "fail the same test" if tests == 1 else f"fail the same {tests} tests"
