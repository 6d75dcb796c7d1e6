"""What `nox-envs show` prints: all cells, or all packages of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nox_envs.inside.cells import State
from nox_envs.inside.packages import Role
from nox_envs.report import blocks
from nox_envs.report.amounts import age, size
from nox_envs.report.escape import plain
from nox_envs.report.words import count, ended, some

if TYPE_CHECKING:
    from datetime import datetime

    from nox_envs.inside.cells import Overview
    from nox_envs.inside.packages import Contents, Package

__all__ = ["contents", "overview"]


def __dir__() -> list[str]:
    return __all__


_NAMED = 3


def overview(seen: Overview, *, now: datetime, encoding: str) -> str:
    """A line for each cell."""
    cells = seen.cells
    made = sum(one.state is State.MADE for one in cells)
    verb = "is" if 1 in {made, len(cells)} else "are"
    headline = f"{made} of {count(len(cells), 'environment')} {verb} made."
    if not cells:
        headline = f"{plain(seen.noxfile)} declares no session with nox-envs."
    head = ("cell", "Python", "state", "age", "size", "packages")
    rows = [
        (
            plain(one.name),
            plain(one.version or one.python or ""),
            one.state.value,
            age(one.when, now),
            size(one.size.whole if one.size else None),
            "" if one.packages is None else str(one.packages),
        )
        for one in cells
    ]
    reasons = [f"{plain(one.name)}: {plain(one.reason)}" for one in cells if one.reason]
    orphans = []
    if seen.orphans:
        named = some([plain(one.cell) for one in seen.orphans], most=_NAMED)
        verb = "is" if len(seen.orphans) == 1 else "are"
        orphans = [
            f"{count(len(seen.orphans), 'environment')} {verb} of no cell: {named}.",
            "Remove what no cell has:   nox-envs clean",
        ]
    return blocks.text([[headline], blocks.table(head, rows), reasons, orphans], encoding)


def contents(found: Contents, *, now: datetime, encoding: str) -> str:
    """A line for each package."""
    cell = found.cell
    facts = _facts(found, now)
    said = [f"{plain(cell.name)} is {cell.state.value}{f': {facts}' if facts else ''}."]
    if cell.reason:
        said.append(ended(plain(cell.reason)))
    if cell.state in {State.NOT_MADE, State.INCOMPLETE}:
        said.append(f'Make it:   nox -s "{plain(cell.name)}" --install-only')
    rows = [
        (plain(one.name), plain(one.version), _latest(one), _why(one)) for one in found.packages
    ]
    yanked = [
        f"{plain(one.name)} {plain(one.version)} was yanked{_reason(one.offer.reason)}"
        for one in found.packages
        if one.offer and one.offer.yanked
    ]
    unknown = [ended(f"Newer releases are not known: {plain(found.unknown)}")]
    table = blocks.table(("package", "installed", "latest", "why"), rows)
    return blocks.text([said, table, yanked, unknown if found.unknown and rows else []], encoding)


def _facts(found: Contents, now: datetime) -> str:
    cell = found.cell
    python = f"Python {plain(cell.version)}" if cell.version else ""
    if python and found.interpreter:
        python += f" of {plain(found.interpreter)}"
    packages = count(len(found.packages), "package") if found.packages else ""
    old = age(cell.when, now)
    whole = size(cell.size.whole if cell.size else None)
    return ", ".join(filter(None, [python, packages, whole, f"{old} old" if old else ""]))


def _latest(one: Package) -> str:
    if one.offer is None:
        return "" if one.role is Role.PROJECT else "?"
    return plain(one.offer.latest or "") if one.is_outdated else ""


def _why(one: Package) -> str:
    if one.role is Role.PROJECT:
        return "this project"
    if one.role is not Role.TRANSITIVE:
        return str(one.role.value)
    if not one.required_by:
        return "required by an extra"
    return f"required by {some([plain(name) for name in one.required_by], most=_NAMED)}"


def _reason(text: str) -> str:
    return f": {ended(plain(text))}" if text else "."
