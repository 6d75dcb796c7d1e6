"""The result block: what a person reads when a campaign has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nox_envs.report import bisected, blamed, floored, gridded, summary
from nox_envs.report.blocks import paragraphs, table, text
from nox_envs.report.escape import plain
from nox_envs.report.facts import (
    BisectReport,
    CulpritReport,
    FloorsReport,
    MatrixReport,
    UpgradeReport,
)

if TYPE_CHECKING:
    from nox_envs.report.facts import Report
    from nox_envs.report.summary import Row, Summary, Table
    from nox_envs.report.view import Commands

__all__ = ["render"]


def __dir__() -> list[str]:
    return __all__


def render(report: Report, *, commands: Commands | None = None, encoding: str = "utf-8") -> str:
    """The block as plain text that `encoding` can hold, with a newline at the end."""
    match report:
        case UpgradeReport():
            said = summary.summarise(report, show=plain, commands=commands)
            blocks = [[said.headline], _table(said.table), paragraphs(said.paragraphs), _next(said)]
            return text(blocks, encoding)
        case BisectReport():
            return bisected.terminal(report, commands=commands, encoding=encoding)
        case FloorsReport():
            return floored.terminal(report, commands=commands, encoding=encoding)
        case CulpritReport():
            return blamed.terminal(report, commands=commands, encoding=encoding)
        case MatrixReport():
            return gridded.terminal(report, commands=commands, encoding=encoding)
        case _:
            raise TypeError(f"no text for {type(report).__name__}")


def _table(content: Table) -> list[str]:
    head = ["package", "now", "take", "latest", *content.labels, ""]
    return table(head, [_words(row) for row in content.rows], more=content.more, even=(1, 4))


def _words(row: Row) -> list[str]:
    return [row.name, row.now, row.take, row.latest, *row.cells, row.note]


def _next(said: Summary) -> list[str]:
    lines = []
    if said.apply:
        what, commands = said.apply
        lines = [what, *(f"  {one}" for one in commands)]
    if said.lines:
        lines += ["Or paste:", *(f"  {line}" for line in said.lines)]
    if said.see:
        lines += ["Or see the lines first:", f"  {said.see}"]
    return [*lines, f"Report and logs: {said.place}"] if said.place else lines
