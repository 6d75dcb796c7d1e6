"""What became of the locks of a team: the file of each cell, and why it is another one now."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from nox_envs.report import blocks
from nox_envs.report.document import SCHEMA, changes
from nox_envs.report.escape import plain
from nox_envs.report.words import count, joined, moves, some

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nox_envs.outcome import Changes

__all__ = ["LockFile", "LockReport", "State", "terminal", "to_dict", "verdict"]


def __dir__() -> list[str]:
    return __all__


State = Literal["unchanged", "new", "changed", "unreadable", "error"]

_MOST_NAMED = 12
_SAID: Mapping[State, str] = {
    "unchanged": "as it was",
    "new": "new",
    "changed": "changed",
    "unreadable": "written anew",
    "error": "not locked",
}
_SAID_OF_A_CHECK: Mapping[State, str] = {
    **_SAID,
    "unchanged": "right",
    "new": "missing",
    "changed": "out of date",
    "unreadable": "unreadable",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LockFile:
    """The lock of one cell."""

    cell: str
    file: str
    """Relative to the noxfile."""
    state: State
    packages: int = 0
    declared: tuple[str, ...] = ()
    """What was declared otherwise when the file was written."""
    moved: Changes = field(default_factory=dict)
    """By name: the version in the file, and the one that it is to have."""
    others: tuple[str, ...] = ()
    """What has the same version, and other files; what else is not the same."""
    error: str = ""
    """Why it could not be locked; where it is written anew, why the file could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockReport:
    """What became of all of them, or would."""

    sessions: tuple[str, ...]
    files: tuple[LockFile, ...]
    removed: tuple[tuple[str, str], ...] = ()
    """Files of cells that are gone, and of which."""
    left_out: tuple[tuple[str, str], ...] = ()
    """Cells for which another lock is declared, and which."""
    checks: bool = False
    """Whether nothing was written."""

    @property
    def status(self) -> Literal["ok", "broken", "error"]:
        states = {one.state for one in self.files}
        if "error" in states:
            return "error"
        return "broken" if self.checks and (states - {"unchanged"} or self.removed) else "ok"


def verdict(report: LockReport, *, command: str) -> str:
    """Why it fails, as a clause; empty where it does not."""
    wrong = [one for one in report.files if one.state == "error"]
    if wrong:
        return f"{some([one.cell for one in wrong], most=3)} could not be locked"
    if report.status == "ok":
        return ""
    stale = sum(one.state != "unchanged" for one in report.files) + len(report.removed)
    is_one = stale == 1
    return (
        f"{count(stale, 'lock')} {'is' if is_one else 'are'} not what is declared; "
        f"to write {'it' if is_one else 'them'}: {command}"
    )


def terminal(report: LockReport, *, encoding: str = "utf-8") -> str:
    """The result as plain text that `encoding` can hold, with a newline at the end."""
    said = _SAID_OF_A_CHECK if report.checks else _SAID
    tally = Counter(one.state for one in report.files)
    parts = [f"{tally[state]} {words}" for state, words in said.items() if tally[state]]
    gone = "would be removed" if report.checks else "was removed"
    head = [f"{count(len(report.files), 'lock')}: {', '.join(parts) or 'there is nothing to do'}."]
    rows = [
        [plain(one.cell), plain(one.file), f"{one.packages or ''}", said[one.state]]
        for one in report.files
    ]
    table = blocks.table(["cell", "file", "packages", ""], rows)
    cells: dict[tuple[str, ...], list[str]] = {}
    for one in report.files:
        cells.setdefault(tuple(_reasons(one)), []).append(plain(one.cell))
    reasons = [
        line
        for lines, names in cells.items()
        if lines
        for line in (f"{some(names, most=_MOST_NAMED)}:", *(f"  {each}" for each in lines))
    ]
    last = [f"{plain(file)} {gone}: no cell reads it (it was for {plain(cell)})."
            for file, cell in report.removed]  # fmt: skip
    last += [f"{plain(cell)} has no lock of ours: {plain(file)} decides."
             for cell, file in report.left_out]  # fmt: skip
    return blocks.text([head, table, reasons, last], encoding)


def _reasons(one: LockFile) -> list[str]:
    if one.state == "error":
        return [plain(one.error)]
    if one.state == "unreadable":
        return [f"the file could not be read: {plain(one.error)}"]
    if one.state != "changed":
        return []
    lines = [plain(line) for line in one.declared]
    lines += [", ".join(found)] if (found := _few(moves(one.moved, plain))) else []
    if one.others:
        lines.append(f"not the same in the file: {joined([plain(each) for each in one.others])}")
    return lines


def _few(words: list[str]) -> list[str]:
    if len(words) <= _MOST_NAMED:
        return words
    return [*words[: _MOST_NAMED - 1], f"and {len(words) - _MOST_NAMED + 1} more"]


def to_dict(report: LockReport) -> dict[str, Any]:
    """The document for programs."""
    return {
        "schema": SCHEMA,
        "kind": "lock",
        "sessions": list(report.sessions),
        "status": report.status,
        "check": report.checks,
        "locks": [
            {
                "cell": one.cell,
                "file": one.file,
                "state": one.state,
                "packages": one.packages,
                "declared": list(one.declared),
                "changes": changes(one.moved),
                "others": list(one.others),
                "error": one.error or None,
            }
            for one in report.files
        ],
        "removed": [{"file": file, "cell": cell} for file, cell in report.removed],
        "left_out": [{"cell": cell, "lock": file} for cell, file in report.left_out],
    }
