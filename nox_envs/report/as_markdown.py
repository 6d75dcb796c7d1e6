"""A report as Markdown, fit for a step summary or a pull request.

The first line is fit for the title of a pull request, the rest for its body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nox_envs.report import bisected, blamed, floored, gridded, summary
from nox_envs.report.columns import columns, folded
from nox_envs.report.escape import code, html, inline
from nox_envs.report.facts import (
    BisectReport,
    CulpritReport,
    FloorsReport,
    MatrixReport,
    UpgradeReport,
)
from nox_envs.report.marks import LONGEST, details, fitting, output, paragraph, table
from nox_envs.report.words import count, moves

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nox_envs.outcome import Trial
    from nox_envs.report.facts import Report
    from nox_envs.report.summary import Summary
    from nox_envs.report.view import Commands

__all__ = ["LONGEST", "render"]


def __dir__() -> list[str]:
    return __all__


def render(report: Report, *, commands: Commands | None = None, longest: int = LONGEST) -> str:
    """The document, with a newline at the end. What does not fit is left out, and it says so."""
    match report:
        case UpgradeReport():
            said = summary.summarise(report, show=inline, commands=commands, full=True)
            return fitting(list(_pieces(report, said)), said.place, longest)
        case BisectReport():
            return bisected.markdown(report, commands=commands, longest=longest)
        case FloorsReport():
            return floored.markdown(report, commands=commands, longest=longest)
        case CulpritReport():
            return blamed.markdown(report, commands=commands, longest=longest)
        case MatrixReport():
            return gridded.markdown(report, commands=commands, longest=longest)
        case _:
            raise TypeError(f"no Markdown for {type(report).__name__}")


def _pieces(report: UpgradeReport, said: Summary) -> Iterator[str]:
    """What may stand alone if all that follows is left out, the most important first."""
    yield f"# {said.title}\n"
    yield f"\n{said.body}\n"
    rows = [[row.name, row.now, row.take, *row.cells, row.note] for row in said.table.rows]
    yield from table(["package", "from", "to", *said.table.labels, ""], rows)
    trials = {trial.id: trial for trial in report.trials}
    for one in said.paragraphs:
        yield paragraph(one)
    if said.apply:
        what, commands = said.apply
        listed = "".join(f"\n- {code(one)}" for one in commands)
        if len(commands) == 1:
            yield f"\n{what} {code(commands[0])}\n"
        else:
            yield f"\n{what}\n{listed}\n" if listed else f"\n{what}\n"
    if said.lines:
        yield details("Lines to paste", "\n".join(f"- {line}" for line in said.lines))
    yield from _versions(report)
    yield from _moved(report)
    for one in said.paragraphs:
        yield from _excerpt([trials[name] for name in one.trials if name in trials])
    if said.place:
        yield f"\nReport and logs: {said.place}\n"


def _versions(report: UpgradeReport) -> Iterator[str]:
    """All packages of the environments in which the common set passed."""
    cells = columns(report.columns, report.sessions)
    packages = {
        name: tuple(sorted(one.packages.items()))
        for name, one in report.safe_sets.items()
        if one.pins and one.pins == report.common and one.packages
    }
    groups = folded(packages)
    for names in groups:
        pins = packages[names[0]]
        on = "" if len(groups) == 1 else f" on {cells.where(names, html)}"
        listed = "\n".join(f"- {inline(name)} {inline(version)}" for name, version in pins)
        what = f"All {len(pins)} versions that were tested"
        if len(pins) == 1:
            what = "The version that was tested"
        yield details(f"{what}{on}", listed)


def _moved(report: UpgradeReport) -> Iterator[str]:
    cells = columns(report.columns, report.sessions)
    moved = {
        name: tuple(moves(one.moved, inline))
        for name, one in report.safe_sets.items()
        if one.pins and one.pins == report.common and one.moved
    }
    groups = folded(moved)
    for names in groups:
        on = "" if len(groups) == 1 else f" on {cells.where(names, html)}"
        listed = "\n".join(f"- {one}" for one in moved[names[0]])
        yield details(f"{count(len(moved[names[0]]), 'package')} moved with them{on}", listed)


def _excerpt(trials: Sequence[Trial]) -> Iterator[str]:
    """What the run that decided has shown."""
    for trial in reversed(trials):
        if trial.failure and trial.failure.excerpt:
            yield output(trial.failure.excerpt, f" of {html(trial.id)} ({html(trial.cell)})")
            return
