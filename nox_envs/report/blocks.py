"""The blocks of text that a result is made of on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nox_envs.report.escape import lines, plain
from nox_envs.report.words import padded, width

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nox_envs.report.paragraphs import Paragraph

__all__ = ["paragraphs", "table", "text"]


def __dir__() -> list[str]:
    return __all__


_GAP = 3
_MOST_TESTS = 3
_MOST_LINES = 3
_WIDEST_TEST = 60


def text(blocks: Iterable[Sequence[str]], encoding: str) -> str:
    """Blocks of lines as text that `encoding` can hold, with a newline at the end."""
    joined = "\n\n".join("\n".join(block) for block in blocks if block) + "\n"
    return joined.encode(encoding, "backslashreplace").decode(encoding)


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    more: str = "",
    even: tuple[int, int] = (0, 0),
) -> list[str]:
    """Aligned columns; those from one to another of `even` are as wide as each other."""
    if not rows:
        return []
    widths = [max(width(row[place]) for row in (head, *rows)) for place in range(len(head))]
    first, end = even
    widths[first:end] = [max(widths[first:end], default=0)] * (end - first)
    aligned = [_line(row, widths) for row in (head, *rows)]
    return [*aligned, f"  {more}"] if more else aligned


def _line(words: Sequence[str], widths: Sequence[int]) -> str:
    filled = (padded(word, most + _GAP) for word, most in zip(words, widths, strict=True))
    return f"  {''.join(filled)}".rstrip()


def paragraphs(said: Iterable[Paragraph]) -> list[str]:
    """One below the other, what failing tests say aligned."""
    told = [(one, list(one.tests.items())[:_MOST_TESTS]) for one in said]
    widths = [width(plain(test)) for _, tests in told for test, _ in tests]
    widest = max((one for one in widths if one <= _WIDEST_TEST), default=0)
    return [
        line
        for paragraph, tests in told
        for line in [
            f"{paragraph.head}{paragraph.rest}",
            *(f"  {padded(plain(test), widest)}   {plain(said)}".rstrip() for test, said in tests),
            *(f"  {line}" for line in _shown(paragraph)),
            *_rest(paragraph, len(tests)),
            *(f"  {line}" for line in paragraph.lines),
        ]
    ]


def _shown(paragraph: Paragraph) -> list[str]:
    """The end of the output, where no test tells."""
    return [] if paragraph.tests else lines(paragraph.excerpt, most=_MOST_LINES)


def _rest(paragraph: Paragraph, shown: int) -> list[str]:
    """Where to read on, if this is not all."""
    more = len(paragraph.tests) - shown
    if more:
        return [f"  and {more} more{f': {paragraph.log}' if paragraph.log else ''}"]
    return [f"  {paragraph.log}"] if paragraph.log and not shown else []
