"""Which environments, and what else of ours, can go."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Literal

from nox_envs.inside.cells import Size

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["Cleaned", "Doomed", "Thing", "Wish", "chosen", "parse_size"]


def __dir__() -> list[str]:
    return __all__


_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_ALONE = {"campaign", "cache"}
"""What goes as soon as the wish is about more than environments."""
_UNUSED = timedelta(hours=1)
"""A campaign that is under way has written something since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """Something that nox-envs has made, and that can be made again."""

    path: Path
    label: str
    kind: Literal["environment", "campaign", "cache", "copy"]
    """A copy is that of a project without a noxfile, of whichever directory."""
    used: datetime
    """When it was made, or written to, last."""
    size: Size
    orphaned: bool = False
    """Whether the noxfile no longer has its cell; of a copy, whether its project is gone."""
    lock: Path | None = None
    """What is held while it is in use; None where that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user wants to be rid of; what several wishes name goes if one of them does."""

    older_than: timedelta | None = None
    at_most: int | None = None
    """Bytes that may stay: the things that were used longest ago go first."""
    orphaned: bool = False
    everything: bool = False
    caches: bool = False
    """Whether it is about campaigns, caches and copies too, and not about environments alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """What is to go, and why."""

    thing: Thing
    reason: str
    failed: str = ""
    """Why it could not be removed; empty where it could, or was not tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaned:
    """What was removed, or would be."""

    doomed: Sequence[Doomed]
    kept: int
    """Things of ours that stay."""
    foreign: Sequence[str]
    """Directories beside environments that do not carry our stamp, which are left alone."""
    done: bool
    """Whether it was removed, and not only looked for."""

    @property
    def freed(self) -> int:
        total = sum((one.thing.size for one in self.removed), Size(whole=0, own=0))
        return total.own

    @property
    def removed(self) -> list[Doomed]:
        return [one for one in self.doomed if not one.failed]

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": "nox-envs.clean/1",
            "done": self.done,
            "freed": self.freed,
            "kept": self.kept,
            "foreign": list(self.foreign),
            "removed": [
                {
                    "path": str(one.thing.path), "label": one.thing.label, "kind": one.thing.kind,
                    "reason": one.reason, "used": one.thing.used.isoformat(),
                    "own_bytes": one.thing.size.own, "failed": one.failed or None,
                }
                for one in self.doomed
            ],
        }  # fmt: skip


def chosen(things: Sequence[Thing], wish: Wish, *, now: datetime | None = None) -> list[Doomed]:
    """What goes, in the order of the things.

    Campaigns and caches that were written to within the hour stay: something may be under way.
    Copies have a lock for that. They are of other projects as well: only those that are old, too
    many, or without a project go, unless all is to go.
    """
    now = now or datetime.now(timezone.utc)
    about = [one for one in things if _is_meant(one, wish, now)]
    reasons: dict[Path, str] = {}
    for one in about:
        if wish.everything:
            reasons[one.path] = "all"
        elif wish.orphaned and one.orphaned:
            reasons[one.path] = "no such project" if one.kind == "copy" else "no such cell"
        elif one.kind in _ALONE and wish.older_than is None and wish.at_most is None:
            reasons[one.path] = "cache"
        elif wish.older_than is not None and now - one.used > wish.older_than:
            reasons[one.path] = "old"
    if wish.at_most is not None:
        left = [one for one in about if one.path not in reasons]
        total = sum(one.size.own for one in left)
        for one in sorted(left, key=lambda one: one.used):
            if total <= wish.at_most:
                break
            reasons[one.path] = "size"
            total -= one.size.own
    return [Doomed(thing=one, reason=reasons[one.path]) for one in about if one.path in reasons]


def _is_meant(one: Thing, wish: Wish, now: datetime) -> bool:
    if one.kind == "environment":
        return True
    if one.kind == "copy":
        return wish.caches or (wish.orphaned and one.orphaned)
    return wish.caches and now - one.used >= _UNUSED


def parse_size(text: str) -> int | None:
    """`500 MB`, `2GB`, `0`, in bytes; None for anything else, a number without a unit among it."""
    match = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,3})?)\s*([KMGT]?B?)\s*", text.upper(), re.ASCII)
    if match is None:
        return None
    if not match[2] and float(match[1]):
        return None  # 2 what? Megabytes are seldom meant where bytes would be taken.
    unit = match[2] if match[2] in _UNITS else f"{match[2]}B"
    return int(float(match[1]) * _UNITS[unit])
