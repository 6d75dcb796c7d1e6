"""The grid of a session: a row for each Python, a column for each combination of values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nox_envs.outcome import Outcome
from nox_envs.report.columns import folded
from nox_envs.report.page import Grid
from nox_envs.report.words import duration, width

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from nox_envs.report.facts import MatrixReport, Swept

    _Columns = Mapping[str, tuple[str, ...]]
    """What stands in each row, by what stands above it."""

__all__ = ["grids"]


def __dir__() -> list[str]:
    return __all__


_MOST_COLUMNS, _WIDEST = 6, 90
_EXCLUDED, _MAY, _SAME = "-", "*", "="


def grids(report: MatrixReport, show: Callable[[str], str], *, full: bool = False) -> list[Grid]:
    """One for each session; the last one holds the key to the symbols of all.

    Unless `full`, one that is too wide to be read is folded.
    """
    sessions = dict.fromkeys(one.session for one in report.cells.values())
    found = [_grid(report, session, show, full=full) for session in sessions]
    key = "; ".join(_key(report, found))
    return [*found[:-1], *(Grid(head=one.head, rows=one.rows, more=key) for one in found[-1:])]


def _grid(report: MatrixReport, session: str, show: Callable[[str], str], *, full: bool) -> Grid:
    own = {name: one for name, one in report.cells.items() if one.session == session}
    pythons = list(dict.fromkeys(one.python for one in own.values()))
    names = {(one.python, _label(one, show)): name for name, one in own.items()}
    labels = list(dict.fromkeys(label for _, label in names))

    def columns(*, timed: bool) -> _Columns:
        return {
            label: tuple(
                _words(report, names[python, label], timed=timed)
                if (python, label) in names
                else _EXCLUDED
                for python in pythons
            )
            for label in labels
        }

    shown = columns(timed=True)
    if _is_wide(shown) and not full:
        shown = _folded(columns(timed=False))
    rows = [(show(python), *cells) for python, *cells in zip(pythons, *shown.values(), strict=True)]
    return Grid(head=(show(session), *shown), rows=tuple(rows))


def _is_wide(columns: _Columns) -> bool:
    widths = [max(map(width, [label, *words])) for label, words in columns.items()]
    return len(widths) > _MOST_COLUMNS or sum(widths) > _WIDEST


def _folded(columns: _Columns) -> _Columns:
    """Columns of equal content as one; where that is too wide, how many pass."""
    shared = {_shared(labels, len(columns)): columns[labels[0]] for labels in folded(columns)}
    if not _is_wide(shared):
        return shared
    passed = []
    for row in zip(*columns.values(), strict=True):
        there = [word for word in row if word != _EXCLUDED]
        good = sum(word in {"pass", "cached"} for word in there)
        passed.append(f"{good} of {len(there)}")
    return {"passed": tuple(passed)}


def _shared(labels: Sequence[str], total: int) -> str:
    if len(labels) == total:
        return f"all {total}"
    return labels[0] if len(labels) == 1 else f"{labels[0]} and {len(labels) - 1} more"


def _label(cell: Swept, show: Callable[[str], str]) -> str:
    """`django 4.2, drf 3.15`."""
    return ", ".join(f"{show(name)} {show(value)}" for name, value in cell.values.items())


def _words(report: MatrixReport, name: str, *, timed: bool) -> str:
    cell = report.cells[name]
    if cell.outcome is None:
        return "not tested" if name in report.not_tested else "not run"
    if cell.cached:
        return "cached"
    word = "FAIL" if cell.outcome is Outcome.FAIL else str(cell.outcome)
    may = _MAY if cell.may_fail and cell.outcome is not Outcome.PASS else ""
    if cell.outcome not in {Outcome.PASS, Outcome.FAIL} or not timed:
        return f"{word}{may}"
    took = _SAME if cell.same_as else duration(cell.seconds)
    return f"{word}{may or ' '} {took}"


def _key(report: MatrixReport, found: Sequence[Grid]) -> Iterator[str]:
    """What the symbols mean that were used."""
    shown = {word for grid in found for row in grid.rows for word in row[1:]}
    if _EXCLUDED in shown:
        narrowed = " in the declaration, or not chosen in this run" if report.narrowed else ""
        yield f"{_EXCLUDED}: excluded{narrowed}"
    if any(_MAY in word for word in shown):
        yield f"{_MAY}: may fail"
    if any(word.endswith(f" {_SAME}") for word in shown):
        yield f"{_SAME}: run once for equal cells"
