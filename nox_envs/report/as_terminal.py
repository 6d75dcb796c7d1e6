"""The result block: what a person reads when a campaign has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nox_envs.report import summary
from nox_envs.report.escape import plain
from nox_envs.report.words import padded, width

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nox_envs.report.facts import UpgradeReport
    from nox_envs.report.paragraphs import Paragraph
    from nox_envs.report.summary import Row, Summary, Table
    from nox_envs.report.view import Commands

__all__ = ["render"]


def __dir__() -> list[str]:
    return __all__


_GAP = 3
_MOST_TESTS = 3
_WIDEST_TEST = 60


def render(
    report: UpgradeReport, *, commands: Commands | None = None, encoding: str = "utf-8"
) -> str:
    """The block as plain text that `encoding` can hold, with a newline at the end."""
    said = summary.summarise(report, show=plain, commands=commands)
    blocks = [
        [said.headline],
        _table(said.table),
        _paragraphs(said.paragraphs),
        _next(said),
    ]
    text = "\n\n".join("\n".join(block) for block in blocks if block) + "\n"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _table(table: Table) -> list[str]:
    if not table.rows:
        return []
    head = ["package", "now", "take", "latest", *table.labels, ""]
    rows = [head, *(_words(row) for row in table.rows)]
    widths = [max(width(row[place]) for row in rows) for place in range(len(head))]
    widths[1:4] = [max(widths[1:4])] * 3
    lines = [_line(row, widths) for row in rows]
    return [*lines, f"  {table.more}"] if table.more else lines


def _words(row: Row) -> list[str]:
    return [row.name, row.now, row.take, row.latest, *row.cells, row.note]


def _line(words: Sequence[str], widths: Sequence[int]) -> str:
    filled = (padded(word, most + _GAP) for word, most in zip(words, widths, strict=True))
    return f"  {''.join(filled)}".rstrip()


def _paragraphs(paragraphs: Iterable[Paragraph]) -> list[str]:
    told = [(one, list(one.tests.items())[:_MOST_TESTS]) for one in paragraphs]
    widths = [width(plain(test)) for _, tests in told for test, _ in tests]
    widest = max((one for one in widths if one <= _WIDEST_TEST), default=0)
    return [
        line
        for paragraph, tests in told
        for line in [
            f"{paragraph.head}{paragraph.rest}",
            *(f"  {padded(plain(test), widest)}   {plain(said)}".rstrip() for test, said in tests),
            *_rest(paragraph, len(tests)),
            *(f"  {line}" for line in paragraph.lines),
        ]
    ]


def _rest(paragraph: Paragraph, shown: int) -> list[str]:
    """Where to read on, if this is not all."""
    more = len(paragraph.tests) - shown
    if more:
        return [f"  and {more} more{f': {paragraph.log}' if paragraph.log else ''}"]
    return [f"  {paragraph.log}"] if paragraph.log and not shown else []


def _next(said: Summary) -> list[str]:
    lines = []
    if said.apply:
        what, command = said.apply
        lines = [what, f"  {command}"] if command else [what]
    return [*lines, f"Report and logs: {said.place}"] if said.place else lines
