"""What was found about lower bounds: which of them hold, and where the true ones are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from packaging.version import InvalidVersion, Version

from nox_envs.outcome import Outcome
from nox_envs.report import page
from nox_envs.report.columns import folded
from nox_envs.report.document import document
from nox_envs.report.escape import inline, plain
from nox_envs.report.headline import why_red
from nox_envs.report.marks import LONGEST
from nox_envs.report.page import Grid, Page
from nox_envs.report.paragraphs import Paragraph, failing_before, kept
from nox_envs.report.view import Commands, View
from nox_envs.report.words import count, ended, joined, some

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from nox_envs.report.facts import Floor, FloorsReport

__all__ = ["markdown", "terminal", "to_dict"]


def __dir__() -> list[str]:
    return __all__


_MOST_COLUMNS = 6
_MOST_NAMED = 3
_MOST_LISTED = 8
_MOST_ROWS = 12
"""Of lower bounds that hold."""

_Kind = Literal["holds", "raised", "fails", "not known", "no bound"]
_BREAKING = {Outcome.FAIL, Outcome.TIMEOUT, Outcome.INFEASIBLE, Outcome.UNBUILDABLE}


def terminal(
    report: FloorsReport, *, commands: Commands | None = None, encoding: str = "utf-8"
) -> str:
    """The block as plain text that `encoding` can hold, with a newline at the end."""
    return page.terminal(_Words(report, plain, commands).page(full=False), encoding)


def markdown(
    report: FloorsReport, *, commands: Commands | None = None, longest: int = LONGEST
) -> str:
    """The document, with a newline at the end. What does not fit is left out, and it says so."""
    return page.markdown(_Words(report, inline, commands).page(full=True), longest)


def to_dict(report: FloorsReport) -> dict[str, Any]:
    """The document, in a stable order."""
    floors = {
        name: {one.name: _floor(one) for one in found} for name, found in report.floors.items()
    }
    return document(
        report, "floors", about={"files": list(report.files)}, answer={"floors": floors}
    )


def _floor(floor: Floor) -> dict[str, Any]:
    return {
        "declared": floor.declared,
        "installed": floor.installed,
        "outcome": None if floor.outcome is None else str(floor.outcome),
        "true_floor": floor.true_floor,
        "raised_by": list(floor.raised_by),
        "reason": floor.reason,
        "requirement": floor.requirement,
        "place": floor.place,
        "trials": list(floor.trials),
    }


class _Words:
    """A report in words."""

    def __init__(
        self, report: FloorsReport, show: Callable[[str], str], commands: Commands | None
    ) -> None:
        self.report = report
        self.show = show
        self.view = View(report, show, commands or Commands(), answered=report.floors)
        self.grid: dict[str, dict[str, Floor]] = {}
        """By dependency and column."""
        for column, floors in report.floors.items():
            for floor in floors:
                self.grid.setdefault(floor.name, {})[column] = floor
        kinds = {
            name: {_kind(floor) for floor in found.values()}
            for name, found in sorted(self.grid.items())
        }
        self.bounded = [name for name, said in kinds.items() if said != {"no bound"}]
        self.false = [name for name, said in kinds.items() if "fails" in said]
        self.raised = [
            name for name, said in kinds.items() if "raised" in said and name not in self.false
        ]
        self.unknown = [
            name for name, said in kinds.items() if "not known" in said and name not in self.false
        ]

        self.red = [
            names
            for group in self.view.red_groups
            if (names := tuple(name for name in group if not report.floors.get(name)))
        ]
        """Columns that were not asked about because of how they stand now."""

    @property
    def _is_open(self) -> bool:
        """Whether it is not known if the lower bounds hold, as far as none is known to be false."""
        return bool(self.unknown) or not (self.report.floors and (self.grid or not self.red))

    def page(self, *, full: bool) -> Page:
        return Page(
            title=self._title(),
            headline=page.opening(self.view, list(self._headline())),
            asked=page.asked(self.view),
            grid=self._grid(full=full),
            paragraphs=(
                *self._paragraphs(),
                *failing_before(self.view, "lower bounds were"),
                *kept(self.view),
            ),
            last=tuple(self._last()),
            place=self.show(self.report.directory) if self.report.directory else "",
        )

    # -- the first line

    def _headline(self) -> Iterator[str]:
        stopped = page.unanswered(self.view, self.view.commands.floors or "floors")
        if stopped:
            yield stopped
        elif self.false:
            yield self._some_false()
        elif self._is_open:
            yield self._cannot_tell()
        elif not self.grid:
            yield "Nothing to prove: no dependency is declared."
        elif not self.bounded:
            which = "your 1 dependency has" if len(self.grid) == 1 else "your dependencies have"
            yield f"Nothing to prove: {which} no lower bound."
        else:
            yield self._all_hold()

    def _all_hold(self) -> str:
        on = f"on {self.view.where(self._asked(self.bounded))}{self._apart}"
        total = len(self.bounded)
        reached = total - len(self.raised)
        if not self.raised:
            if total == 1:
                return f"Your lower bound holds: it passed with the release you promise {on}."
            every = "both" if total == 2 else f"all {total}"  # noqa: PLR2004
            which = f"{every} passed with exactly the releases you promise"
            return f"Your lower bounds hold: {which} {on}."
        verb = "is" if len(self.raised) == 1 else "are"
        never = f"{len(self.raised)} of {total} {verb} never installed as declared"
        if not reached:
            return f"Your lower bounds were not put to the proof: {never} {on}."
        return f"Your lower bounds hold as far as they can be reached {on}: {never}."

    @property
    def _apart(self) -> str:
        known = {test for base in self.report.baseline.values() for test in base.known_failures}
        return f", apart from {count(len(known), 'test')} that failed before" if known else ""

    def _some_false(self) -> str:
        total, wrong = len(self.bounded), len(self.false)
        said = [self._correction(name) for name in self.false]
        claim = f"{wrong} lower bounds of {total} are not true"
        if wrong == 1:
            claim = f"One lower bound of {total} is not true"
        if total == 1:
            claim = "Your lower bound is not true"
        return f"{claim}: {some(said, most=_MOST_NAMED)}."

    def _correction(self, name: str) -> str:
        """As `attrs>=20.1 needs 21.3 on 3.12`."""
        wrong = self._failing(name)
        floors = {column: self.grid[name][column] for column in wrong}
        said = []
        for names in folded({column: _claim(one) for column, one in floors.items()}):
            floor = floors[names[0]]
            needs = f"needs {self.show(floor.true_floor)}" if floor.true_floor else "does not work"
            on = self._on(names, name)
            said.append(f"{self._bound(floor)} {needs}{on}")
        return joined(said)

    def _cannot_tell(self) -> str:
        if self.red and not self.unknown:
            return f"Cannot tell: {why_red(self.view, self.red[0])}"
        if not self.unknown:
            return "Cannot tell: nothing was tested."
        reasons = [
            floor.reason
            for name in self.unknown
            for floor in self.grid[name].values()
            if floor.reason and _kind(floor) == "not known"
        ]
        if not reasons and self.report.status == "broken":
            return "Your lower bounds do not hold together; which of them is not true is not known."
        total = f"{len(self.unknown)} of {count(len(self.bounded), 'lower bound')}"
        why = f": {self.show(reasons[0])}" if reasons else ""
        return ended(f"Cannot tell: {total} could not be tested{why}")

    def _title(self) -> str:
        if self.report.status == "interrupted":
            return "Lower bounds: interrupted"
        if self.report.error or (self._is_open and not self.false):
            return "Lower bounds: cannot tell"
        if self.false:
            names = some([self.show(name) for name in self.false], most=_MOST_NAMED)
            return (
                f"{count(len(self.false), 'lower bound')} of {len(self.bounded)} not true: {names}"
            )
        if not self.bounded:
            return "No lower bounds"
        raised = f" ({len(self.raised)} never installed as declared)" if self.raised else ""
        return f"Lower bounds hold{raised}"

    # -- the table

    def _grid(self, *, full: bool) -> Grid:
        columns = {
            column: tuple(self._cell(name, column) for name in sorted(self.grid))
            for column in self.report.columns
        }
        groups = folded(columns)
        labels = [self.view.columns.header(names, self.show) for names in groups]
        rows, holding = [], []
        for place, name in enumerate(sorted(self.grid)):
            cells = [columns[names[0]][place] for names in groups]
            if len(groups) > _MOST_COLUMNS and not full:
                labels = ["holds on"]
                held = sum(cells[place] == "holds" for cells in columns.values())
                cells = [f"{held} of {len(columns)}"]
            row = (self.show(name), *self._versions(name), *cells)
            rows.append(row)
            if {_kind(one) for one in self.grid[name].values()} == {"holds"}:
                holding.append(row)
        more = [] if full or len(holding) <= _MOST_ROWS + 1 else holding[_MOST_ROWS:]
        listed = ", ".join(f"{row[0]} {row[1]}" for row in more)
        return Grid(
            head=("package", "declared", "installed", "true floor", *labels),
            rows=tuple(row for row in rows if row not in more),
            more=f"and {len(more)} more that hold: {listed}" if more else "",
        )

    def _cell(self, name: str, column: str) -> str:
        if column in self.view.untested:
            return "not tested"
        floor = self.grid[name].get(column)
        if floor is not None:
            return _kind(floor)
        return "-" if column in self.report.floors else "not known"

    def _versions(self, name: str) -> Iterator[str]:
        floors = self.grid[name].values()
        for versions in (
            [floor.declared for floor in floors],
            [floor.installed for floor in floors],
            [floor.true_floor for floor in floors],
        ):
            distinct = list(dict.fromkeys(one for one in versions if one is not None))
            yield some([self.show(one) for one in distinct], most=_MOST_NAMED) or "-"

    # -- the paragraphs

    def _paragraphs(self) -> Iterator[Paragraph]:
        for name in self.false:
            yield from self._about(name, "fails")
        for name in self.raised:
            yield from self._about(name, "raised")
        yield from self._unsettled()
        yield from self._no_answers()
        yield from self._lower()
        yield from self._unbounded()

    def _about(self, name: str, kind: _Kind) -> Iterator[Paragraph]:
        """One paragraph for each of the reasons."""
        found = {column: one for column, one in self.grid[name].items() if _kind(one) == kind}
        groups = folded({column: (_claim(one), one.reason) for column, one in found.items()})
        puts = [self._put(found[names[0]]) for names in groups]
        for place, names in enumerate(groups):
            floor = found[names[0]]
            on = self._on(names, name)
            # The same line to write is said once, behind all that asks for it.
            put = () if puts[place] in puts[place + 1 :] else puts[place]
            yield self._false(floor, on, put) if kind == "fails" else self._raised(floor, on, put)

    def _false(self, floor: Floor, on: str, put: tuple[str, ...]) -> Paragraph:
        trials = {trial.id: trial for trial in self.report.trials}
        shown = [trials[one] for one in floor.trials if one in trials]
        failed = next((one for one in shown if one.failure), None)
        failure = failed.failure if failed else None
        what = f"{self.show(floor.name)} {self.show(floor.installed or floor.declared or '')}"
        why = f": {self.show(floor.reason)}" if floor.reason else ""
        lowest = "; no release that passes was found"
        if self.report.status == "interrupted" and not floor.requirement:
            lowest = "; the search is not finished"
            if floor.true_floor:
                lowest += f", {self.show(floor.true_floor)} is the lowest that has passed so far"
        elif floor.true_floor:
            lowest = f"; {self.show(floor.true_floor)} is the lowest that was proven to pass"
        return Paragraph(
            head=f"{what} {_VERBS.get(floor.outcome or Outcome.FAIL, 'does not work')}{on}",
            rest=f"{why}{lowest}.",
            tests=failure.tests if failure else {},
            log=self.view.path(failed.log) if failed else "",
            lines=put,
            trials=floor.trials,
            excerpt=failure.excerpt if failure else "",
        )

    def _raised(self, floor: Floor, on: str, put: tuple[str, ...]) -> Paragraph:
        installed = f"{self.show(floor.installed)} was installed" if floor.installed else ""
        why = self.show(floor.reason) if floor.reason else ""
        if floor.raised_by:
            asks = "asks" if len(floor.raised_by) == 1 else "ask"
            named = some([self.show(one) for one in floor.raised_by], most=_MOST_NAMED)
            why = f"{named} {asks} for more"
        return Paragraph(
            head=f"{self._bound(floor)} is never reached{on}",
            rest=ended(f": {'; '.join(filter(None, [why, installed]))}"),
            tests={},
            lines=put,
            trials=floor.trials,
        )

    def _unsettled(self) -> Iterator[Paragraph]:
        """What could not be tested, where the first line speaks of something else."""
        reasons: dict[str, list[str]] = {}
        for name in self.unknown if self.false else []:
            floor = next(one for one in self.grid[name].values() if _kind(one) == "not known")
            reasons.setdefault(floor.reason, []).append(self._bound(floor))
        for reason, bounds in reasons.items():
            why = f" ({self.show(reason)})" if reason else ""
            listed = some(bounds, most=_MOST_LISTED)
            yield Paragraph(head="Not known", rest=ended(f": {listed}{why}"), tests={})

    def _no_answers(self) -> Iterator[Paragraph]:
        """Columns that are red, but for the one that the first line speaks of."""
        told = self._is_open and not self.false and not self.unknown
        for names in self.red[int(told) :]:
            head = f"No answer for {self.view.where(names)}"
            yield Paragraph(head=head, rest=f": {why_red(self.view, names)}", tests={})

    def _lower(self) -> Iterator[Paragraph]:
        """Bounds that promise less than they could."""
        lower = {
            self._bound(floor): self.show(floor.requirement)
            for name in self.bounded
            if name not in self.false
            for floor in self.grid[name].values()
            if floor.requirement and _kind(floor) == "holds"
        }
        if lower:
            listed = tuple(f"{bound}   could be   {put}" for bound, put in lower.items())
            yield Paragraph(
                head=f"{count(len(lower), 'lower bound')} could be lower",
                rest=":",
                tests={},
                lines=listed,
            )

    def _unbounded(self) -> Iterator[Paragraph]:
        names = [name for name in sorted(self.grid) if name not in self.bounded]
        if not names:
            return
        put = dict.fromkeys(
            self.show(floor.requirement)
            for name in names
            for floor in self.grid[name].values()
            if floor.requirement
        )
        listed = some([self.show(name) for name in names], most=_MOST_LISTED)
        rest = f": {listed}."
        yield Paragraph(head="Without a lower bound", rest=rest, tests={}, lines=tuple(put))

    def _last(self) -> Iterator[str]:
        """How what passed can be written, where there is something and it has a file."""
        passed = {one.id for one in self.report.trials if one.outcome is Outcome.PASS}
        offered = [
            floor
            for found in self.report.floors.values()
            for floor in found
            if floor.requirement and floor.declared is not None and passed & set(floor.trials)
        ]
        files = [self.show(file) for file in self.report.files if not file.endswith(".py")]
        if offered and files and self.report.status not in {"interrupted", "error"}:
            which = "it" if len({floor.name for floor in offered}) == 1 else "them"
            yield f"Write {which} to {joined(files)} (uses this result, tests nothing again):"
            session = self.view.commands.floors or "floors"
            yield f"  {self.view.command(session, '--apply', *self.report.words)}"

    # -- how things are named

    def _bound(self, floor: Floor) -> str:
        return self.show(f"{floor.name}>={floor.declared}" if floor.declared else floor.name)

    def _put(self, floor: Floor) -> tuple[str, ...]:
        if not floor.requirement:
            return ()
        place = f" in {self.show(floor.place)}" if floor.place else ""
        return (f"Put{place}:   {self.show(floor.requirement)}",)

    def _failing(self, name: str) -> list[str]:
        return [column for column, one in self.grid[name].items() if _kind(one) == "fails"]

    def _asked(self, names: Sequence[str]) -> list[str]:
        """The columns on which one of these was asked about."""
        return [
            column
            for column in self.report.columns
            if any(column in self.grid[name] for name in names)
        ]

    def _on(self, columns: Collection[str], name: str) -> str:
        """` on 3.11`; nothing where it is all that was asked about."""
        return "" if set(self.grid[name]) <= set(columns) else f" on {self.view.where(columns)}"


_VERBS = {
    Outcome.FAIL: "fails",
    Outcome.TIMEOUT: "times out",
    Outcome.INFEASIBLE: "cannot be resolved",
    Outcome.UNBUILDABLE: "cannot be built",
}


def _kind(floor: Floor) -> _Kind:
    """A run with all floors says little about one of them: what was found about it counts."""
    if floor.declared is None:
        return "no bound"
    passed = floor.outcome is Outcome.PASS or (
        floor.true_floor is not None and _equal(floor.true_floor, floor.installed)
    )
    if passed:
        return "holds" if _equal(floor.declared, floor.installed) else "raised"
    is_blamed = floor.true_floor is not None or floor.reason != ""
    return "fails" if floor.outcome in _BREAKING and is_blamed else "not known"


def _claim(floor: Floor) -> tuple[object, ...]:
    """Equal where one sentence speaks for both."""
    return floor.declared, floor.installed, floor.outcome, floor.true_floor, floor.raised_by


def _equal(version: str, other: str | None) -> bool:
    """`2.20` is `2.20.0`."""
    try:
        return other is not None and Version(version) == Version(other)
    except InvalidVersion:
        return version == other
