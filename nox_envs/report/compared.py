"""What `nox-envs diff` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nox_envs.report import blocks
from nox_envs.report.escape import plain
from nox_envs.report.words import count

if TYPE_CHECKING:
    from nox_envs.inside.diff import Difference

__all__ = ["render"]


def __dir__() -> list[str]:
    return __all__


def render(found: Difference, *, encoding: str) -> str:
    """A line for each package that differs."""
    same = f"{count(found.same, 'package')} the same"
    kinds = [one.kind for one in found.changes]
    facts = [f"{kinds.count(kind)} {kind}" for kind in ("changed", "added", "removed")
             if kind in kinds]  # fmt: skip
    said = f"{', '.join([*facts, same])}." if facts else f"No package differs, {same}."
    first, second = plain(found.first.label), plain(found.second.label)
    python = [("Python", *map(plain, found.pythons))] if found.pythons else []
    rows = [(plain(one.name), _version(one.before), _version(one.after)) for one in found.changes]
    return blocks.text([[said], blocks.table(("", first, second), [*python, *rows])], encoding)


def _version(text: str | None) -> str:
    return "-" if text is None else plain(text) or "(no version)"
