"""A report as Markdown, fit for a step summary or a pull request.

The first line is fit for the title of a pull request, the rest for its body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nox_envs.report import summary
from nox_envs.report.columns import columns, folded
from nox_envs.report.escape import block, code, html, inline
from nox_envs.report.words import count, moves

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from nox_envs.outcome import Trial
    from nox_envs.report.facts import UpgradeReport
    from nox_envs.report.paragraphs import Paragraph
    from nox_envs.report.summary import Summary, Table
    from nox_envs.report.view import Commands

__all__ = ["LONGEST", "render"]


def __dir__() -> list[str]:
    return __all__


LONGEST = 60_000
"""Characters; a pull request holds 65,536."""

_MOST_TESTS = 20
_MOST_LINES = 30


def render(
    report: UpgradeReport, *, commands: Commands | None = None, longest: int = LONGEST
) -> str:
    """The document, with a newline at the end. What does not fit is left out, and it says so."""
    said = summary.summarise(report, show=inline, commands=commands, full=True)
    return _fitting(list(_pieces(report, said)), said.place, longest)


def _pieces(report: UpgradeReport, said: Summary) -> Iterator[str]:
    """What may stand alone if all that follows is left out, the most important first."""
    yield f"# {said.title}\n"
    yield f"\n{said.body}\n"
    yield from _table(said.table)
    trials = {trial.id: trial for trial in report.trials}
    for paragraph in said.paragraphs:
        yield _paragraph(paragraph)
    if said.apply:
        what, command = said.apply
        yield f"\n{what} {code(command)}\n" if command else f"\n{what}\n"
    yield from _versions(report)
    yield from _moved(report)
    for paragraph in said.paragraphs:
        yield from _excerpt([trials[one] for one in paragraph.trials if one in trials])
    if said.place:
        yield f"\nReport and logs: {said.place}\n"


def _fitting(pieces: Sequence[str], place: str, longest: int) -> str:
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


def _table(table: Table) -> Iterator[str]:
    if not table.rows:
        return
    head = ["package", "from", "to", *table.labels, ""]
    yield f"\n{_line(head)}|{'---|' * len(head)}\n"
    for row in table.rows:
        yield _line([row.name, row.now, row.take, *row.cells, row.note])


def _line(words: Iterable[str]) -> str:
    # A pipe ends a cell even in a code span, and whether a backslash before it counts
    # depends on the reader.
    cells = (word.replace("|", "\N{BROKEN BAR}") for word in words)
    return f"| {' | '.join(cells)} |\n".replace("|  |", "| |")


def _paragraph(paragraph: Paragraph) -> str:
    tests = list(paragraph.tests.items())
    items = [f"{code(test)} {code(said)}".rstrip() for test, said in tests[:_MOST_TESTS]]
    more = len(tests) - len(items)
    items += [f"and {more} more"] if more else []
    items += paragraph.lines
    listed = "".join(f"- {item}\n" for item in items)
    return f"\n**{paragraph.head}**{paragraph.rest}\n" + (f"\n{listed}" if listed else "")


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
        yield _details(f"{what}{on}", listed)


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
        yield _details(f"{count(len(moved[names[0]]), 'package')} moved with them{on}", listed)


def _excerpt(trials: Sequence[Trial]) -> Iterator[str]:
    """What the run that decided has shown."""
    for trial in reversed(trials):
        if trial.failure and trial.failure.excerpt:
            shown = block(trial.failure.excerpt, most=_MOST_LINES)
            yield _details(f"Output of {html(trial.id)} ({html(trial.cell)})", shown)
            return


def _details(title: str, content: str) -> str:
    # Markdown is read again only after an empty line.
    return f"\n<details><summary>{title}</summary>\n\n{content}\n\n</details>\n"
