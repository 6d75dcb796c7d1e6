"""The pieces of Markdown that a report is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nox_envs.report.escape import block, code

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nox_envs.report.paragraphs import Paragraph

__all__ = ["LONGEST", "details", "fitting", "output", "paragraph", "table"]


def __dir__() -> list[str]:
    return __all__


LONGEST = 60_000
"""Characters; a pull request holds 65,536."""

_MOST_TESTS = 20
_MOST_LINES = 30


def fitting(pieces: Sequence[str], place: str, longest: int) -> str:
    """The first pieces that fit; where not all do, it says so."""
    whole = "".join(pieces)
    if len(whole) <= longest:
        return whole
    where = f": the whole report is in {place}" if place else ""
    sentence = f"\nShortened to {longest:,} characters{where}.\n"
    text = ""
    for piece in pieces:
        if len(text) + len(piece) + len(sentence) > longest:
            break
        text += piece
    return text + sentence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A piece for the head, and one for each row."""
    if not rows:
        return
    yield f"\n{_line(head)}|{'---|' * len(head)}\n"
    for row in rows:
        yield _line(row)


def _line(words: Iterable[str]) -> str:
    # A pipe ends a cell even in a code span, and whether a backslash before it counts
    # depends on the reader.
    cells = (word.replace("|", "\N{BROKEN BAR}") for word in words)
    return f"| {' | '.join(cells)} |\n".replace("|  |", "| |")


def paragraph(said: Paragraph) -> str:
    """The statement in bold, and what belongs to it as a list."""
    tests = list(said.tests.items())
    items = [f"{code(test)} {code(text)}".rstrip() for test, text in tests[:_MOST_TESTS]]
    more = len(tests) - len(items)
    items += [f"and {more} more"] if more else []
    items += said.lines
    listed = "".join(f"- {item}\n" for item in items)
    return f"\n**{said.head}**{said.rest}\n" + (f"\n{listed}" if listed else "")


def output(excerpt: str, of: str = "") -> str:
    """What a run has shown, folded away."""
    return details(f"Output{of}", block(excerpt, most=_MOST_LINES))


def details(title: str, content: str) -> str:
    """Content that is folded away below a title; the title is HTML."""
    # Markdown is read again only after an empty line.
    return f"\n<details><summary>{title}</summary>\n\n{content}\n\n</details>\n"
