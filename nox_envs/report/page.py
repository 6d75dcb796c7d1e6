"""A report in words: its first line, drawings, one table, paragraphs, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nox_envs.report import blocks, marks
from nox_envs.report.escape import block, code
from nox_envs.report.headline import gaps
from nox_envs.report.words import count, ended, joined

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nox_envs.report.facts import Report
    from nox_envs.report.paragraphs import Paragraph
    from nox_envs.report.view import View

__all__ = ["Drawing", "Grid", "Page", "asked", "markdown", "opening", "terminal", "unanswered"]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Lines that are shown as they stand."""

    lines: tuple[str, ...]
    label: str = ""
    """Which columns it speaks of, where it is not all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table; the rows are as long as the head."""

    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    more: str = ""
    """The rows that were left out, in a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A report in words. All is escaped, but for tests and excerpts of paragraphs."""

    title: str
    headline: str
    asked: str
    """What was asked, when, and by how many trials."""
    drawings: tuple[Drawing, ...] = ()
    grid: Grid = Grid()
    paragraphs: tuple[Paragraph, ...] = ()
    last: tuple[str, ...] = ()
    """What to do next."""
    place: str = ""
    """Where the report and the logs lie."""


def opening(view: View[Report], answer: Sequence[str]) -> str:
    """The first lines: the answer, and what it does not speak of."""
    said, missing = list(answer), gaps(view)
    # What ends in a path or a command stays as it can be copied.
    while missing and said[-1:] and said[-1].endswith("."):
        said[-1] = f"{said[-1]} {missing.pop(0)}"
    return "\n".join([*said, *missing])


def unanswered(view: View[Report], session: str) -> str:
    """Why the question was not asked to its end; empty where it was."""
    if view.report.status == "interrupted":
        trials = len(view.report.trials)
        when = f"after {count(trials, 'trial')}" if trials else "at the start"
        return f"Interrupted {when}. Go on: {view.command(session, '--resume')}"
    return ended(f"Cannot tell: {view.show(view.report.error)}") if view.report.error else ""


def asked(view: View[Report]) -> str:
    """As `` `test` on Python 3.11 and 3.12, 2026-11-01, 9 trials.``; Markdown."""
    sessions = joined([code(one) for one in view.report.sessions])
    tested = [name for name in view.report.columns if name not in view.untested]
    on = " on Python " if view.columns.are_pythons else " on "
    facts = [f"{sessions}{on}{view.where(tested)}" if tested else sessions]
    facts += [view.report.started[:10], count(len(view.report.trials), "trial")]
    return f"{', '.join(filter(None, facts))}."


def terminal(page: Page, encoding: str) -> str:
    """The block as plain text that `encoding` can hold, with a newline at the end."""
    place = [f"Report and logs: {page.place}"] if page.place else []
    return blocks.text(
        [
            [page.headline],
            *([f"{one.label}:"] * bool(one.label) + list(one.lines) for one in page.drawings),
            blocks.table(page.grid.head, page.grid.rows, more=page.grid.more),
            blocks.paragraphs(page.paragraphs),
            [*page.last, *place],
        ],
        encoding,
    )


def markdown(page: Page, longest: int) -> str:
    """The document, with a newline at the end. What does not fit is left out, and it says so."""
    return marks.fitting(list(_pieces(page)), page.place, longest)


def _pieces(page: Page) -> Iterator[str]:
    """What may stand alone if all that follows is left out, the most important first."""
    yield f"# {page.title}\n"
    yield f"\n{_separate(page.headline)}\n\n{page.asked}\n"
    for drawing in page.drawings:
        shown = block("\n".join(drawing.lines), most=len(drawing.lines))
        yield f"\n{drawing.label}:\n\n{shown}\n" if drawing.label else f"\n{shown}\n"
    yield from marks.table(page.grid.head, page.grid.rows)
    for one in page.paragraphs:
        yield marks.paragraph(one)
    if page.last:
        yield f"\n{_separate(chr(10).join(page.last))}\n"
    for one in page.paragraphs:
        if one.excerpt:
            yield marks.output(one.excerpt)
    if page.place:
        yield f"\nReport and logs: {page.place}\n"


def _separate(lines: str) -> str:
    """Lines as paragraphs: Markdown joins the lines of one."""
    return "\n\n".join(line.strip() for line in lines.split("\n"))
