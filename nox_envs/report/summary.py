"""What a report says, in sentences and rows: the wording, whatever it is shown on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from nox_envs.outcome import Verdict
from nox_envs.report.columns import folded
from nox_envs.report.escape import plain
from nox_envs.report.headline import body, headline, lenient, title
from nox_envs.report.paragraphs import paragraphs
from nox_envs.report.view import Commands, UpgradeView
from nox_envs.report.words import count, some

if TYPE_CHECKING:
    from collections.abc import Callable

    from nox_envs.report.facts import Candidate, UpgradeReport
    from nox_envs.report.paragraphs import Paragraph


__all__ = ["Row", "Summary", "Table", "summarise"]


def __dir__() -> list[str]:
    return __all__


_MOST_COLUMNS = 6
_MOST_SAFE_ROWS = 12
_MOST_PLACES = 8
_MOST_LINES = 12
_NAME = re.compile(r"[\w.-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A candidate in the table."""

    name: str
    now: str
    take: str
    latest: str
    cells: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The answer and the evidence, a row for each candidate."""

    labels: tuple[str, ...]
    """Above the cells of the rows."""
    rows: tuple[Row, ...]
    more: str = ""
    """The safe rows that were left out, in a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A report in words. All of it is escaped, but for the tests of a paragraph."""

    title: str
    headline: str
    body: str
    """What a pull request says below its title, as Markdown."""
    table: Table
    paragraphs: tuple[Paragraph, ...]
    apply: tuple[str, tuple[str, ...]] | None
    """What to do next and its commands; None where there is nothing to write."""
    lines: tuple[str, ...]
    """What can be pasted instead."""
    see: str
    """The command that shows them, where they are too many to be shown here."""
    place: str
    """Where the report and the logs lie."""


def summarise(
    report: UpgradeReport,
    *,
    show: Callable[[str], str],
    commands: Commands | None = None,
    full: bool = False,
) -> Summary:
    """Put a report into words. `show` escapes what comes from others.

    Unless `full`, a table that is too wide or too long to be read is folded.
    """
    view = UpgradeView(report, show, commands or Commands())
    lines = _lines(view)
    return Summary(
        title=title(view),
        headline=headline(view),
        body=body(view),
        table=_table(view, full=full),
        paragraphs=tuple(paragraphs(view)),
        apply=_apply(view),
        lines=lines if full or len(lines) <= _MOST_LINES else (),
        see="" if full or len(lines) <= _MOST_LINES else _command(view, "--dry-run"),
        place=show(report.directory) if report.directory else "",
    )


def _table(view: UpgradeView, *, full: bool) -> Table:
    grid = {
        name: tuple(_cell(view, one, name) for one in view.report.candidates)
        for name in view.report.columns
    }
    may_fail = lenient(view)
    groups = folded({name: (cells, name in may_fail) for name, cells in grid.items()})
    labels = tuple(
        view.columns.header(names, view.show) + (" (may fail)" if names[0] in may_fail else "")
        for names in groups
    )
    places = range(len(view.report.candidates))
    cells = [tuple(grid[names[0]][place] for names in groups) for place in places]
    if len(groups) > _MOST_COLUMNS and not full:
        labels = ("safe on",)
        cells = [
            (f"{sum(grid[name][place] == 'safe' for name in grid)} of {len(grid)}",)
            for place in places
        ]
    rows = [
        _row(view, candidate, words)
        for candidate, words in zip(view.report.candidates, cells, strict=True)
    ]
    return Table(labels=labels, rows=tuple(rows)) if full else _short(view, labels, rows)


def _short(view: UpgradeView, labels: tuple[str, ...], rows: list[Row]) -> Table:
    safe = [
        row
        for row, candidate in zip(rows, view.report.candidates, strict=True)
        if _is_safe(view, candidate) and not row.note
    ]
    more = safe[_MOST_SAFE_ROWS:] if len(safe) > _MOST_SAFE_ROWS + 1 else []
    listed = ", ".join(f"{row.name} {row.take}" for row in more)
    return Table(
        labels=labels,
        rows=tuple(row for row in rows if row not in more),
        more=f"and {len(more)} more: {listed}" if more else "",
    )


def _is_safe(view: UpgradeView, candidate: Candidate) -> bool:
    return candidate.name in view.common and all(
        _cell(view, candidate, name) == "safe" for name in view.tested
    )


def _cell(view: UpgradeView, candidate: Candidate, column: str) -> str:
    if column in view.untested:
        return "not tested"
    judgement = candidate.verdicts.get(column)
    if judgement is not None:
        return str(judgement.verdict).replace("-", " ")
    if column in view.red:
        return "no answer"
    return "not yet" if view.report.status in {"interrupted", "error"} else "-"


def _row(view: UpgradeView, candidate: Candidate, cells: tuple[str, ...]) -> Row:
    return Row(
        name=view.show(candidate.name),
        now=view.show(candidate.current),
        take=view.show(view.common[candidate.name]) if candidate.name in view.common else "-",
        latest=view.show(candidate.latest),
        cells=cells,
        note="; ".join(_notes(view, candidate)),
    )


def _notes(view: UpgradeView, candidate: Candidate) -> list[str]:
    blamed = [one.reason for one in candidate.verdicts.values() if one.culprits]
    notes = [view.show(reason) for reason in dict.fromkeys(blamed)]
    capped = view.judged(candidate, Verdict.CAPPED)
    if capped and not blamed:
        failing = any(candidate.verdicts[name].failing for name in capped)
        verb = "fails" if failing else "does not pass"
        notes.append(f"{view.show(candidate.target)} {verb} on {view.where(capped)}")
    notes += map(view.show, dict.fromkeys(candidate.unsupported.values()))
    untried = candidate.target != candidate.latest and candidate.name in view.common
    if untried and not notes:
        notes.append(f"{view.show(candidate.latest)} was not tried")
    companions = {name for one in candidate.verdicts.values() for name in one.together_with}
    if candidate.name in view.common and companions:
        notes.append(f"only together with {view.named(sorted(companions))}")
    unused = view.unexercised(candidate)
    if candidate.name in view.common and unused:
        notes.append(f"your tests never import it{view.on(unused)}")
    return notes


def _lines(view: UpgradeView) -> tuple[str, ...]:
    """As `requirements.txt:3   flask==2.2.2 -> flask==3.1.3`."""
    if not view.report.files or _apply(view) is None:
        return ()
    return tuple(
        f"{view.show(one.place)}   {view.show(one.before)} -> {view.show(one.after)}"
        for one in view.report.lines
    )


def _command(view: UpgradeView, option: str) -> str:
    called = view.commands.called
    return plain(called.line(view.commands.upgrade, option, *view.report.words))


def _has_a_line_for_each(view: UpgradeView) -> bool:
    """Whether nothing is taken that the user's files admit already."""
    names = (_NAME.match(one.after) for one in view.report.lines)
    changing = {canonicalize_name(match[0]) for match in names if match}
    return changing.issuperset(canonicalize_name(one.name) for one in view.taken)


def _apply(view: UpgradeView) -> tuple[str, tuple[str, ...]] | None:
    if not view.taken or view.report.status in {"interrupted", "error"}:
        return None
    if view.report.instead:
        what = "A lock decides, so there is nothing to --apply. To lock what passed:"
        return what, tuple(map(plain, view.report.instead))
    which = "it" if len(view.taken) == 1 else f"these {len(view.taken)}"
    if not view.report.files:
        places = [place for one in view.taken for place in one.places]
        where = some(list(map(view.show, places)), most=_MOST_PLACES)
        declared = "it is" if len(view.taken) == 1 else "they are"
        pins = [f"{one.name}=={view.common[one.name]}" for one in view.taken]
        lines = "   ".join(map(view.show, pins))
        text = f"Write {which} where {declared} declared, {where}:   {lines}"
        return (text, ()) if places else None
    changing = {one.place.partition(":")[0] for one in view.report.lines}
    files = view.named([one for one in view.report.files if one in changing] or view.report.files)
    if view.report.lines and len(view.taken) > 1 and not _has_a_line_for_each(view):
        total = len(view.report.lines)
        have = "has" if total == 1 else "have"
        which = f"the {count(total, 'line')} that {have} to change"
    first = view.named(view.report.uncommitted)
    but = f"; commit {first} first, or add --force" if first else ""
    what = f"Write {which} to {files} (uses this result, tests nothing again{but}):"
    return what, (_command(view, "--apply"),)
