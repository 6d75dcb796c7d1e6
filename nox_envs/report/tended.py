"""What `nox-envs clean` and `nox-envs doctor` print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nox_envs.inside.health import Mark
from nox_envs.report import blocks
from nox_envs.report.amounts import age, size
from nox_envs.report.escape import plain
from nox_envs.report.words import count, padded, some

if TYPE_CHECKING:
    from datetime import datetime

    from nox_envs.inside.cleaning import Cleaned
    from nox_envs.inside.health import Health

__all__ = ["cleaned", "health"]


def __dir__() -> list[str]:
    return __all__


_NAMED = 3
_LONGEST_HINT = 300
_MARKS = {Mark.OK: "ok", Mark.NOTE: "note", Mark.BAD: "BAD"}


def cleaned(found: Cleaned, *, now: datetime, encoding: str) -> str:
    """A line for each thing that goes, and how much that frees."""
    rows = [
        (plain(one.thing.label), one.thing.kind, one.reason, age(one.thing.used, now),
         size(one.thing.size.own))
        for one in found.doomed
    ]  # fmt: skip
    number = len(found.removed)
    what = f"{count(number, 'directory', 'directories')}, {size(found.freed)}"
    if not found.doomed:
        said = "There is nothing to remove."
    elif found.done:
        said = f"Removed {what}."
    else:
        said = f"To be removed: {what}."
    failed = [
        f"{plain(one.thing.label)} could not be removed: {plain(one.failed)}"
        for one in found.doomed
        if one.failed
    ]
    foreign = []
    if found.foreign:
        named = some([plain(one) for one in found.foreign], most=_NAMED)
        foreign = [f"Left alone, without the stamp of nox-envs: {named}."]
    head = ("", "kind", "why", "age", "frees")
    return blocks.text([blocks.table(head, rows), [said], failed, foreign], encoding)


def health(found: Health, *, encoding: str) -> str:
    """A line for each finding, with what to do about it."""
    widest = max((len(one.topic) for one in found.findings), default=0)
    lines = []
    for one in found.findings:
        lines.append(
            f"  {_MARKS[one.mark]:<5}{padded(plain(one.topic), widest + 3)}{plain(one.text)}"
        )
        if one.hint:
            lines.append(f"       {' ' * (widest + 3)}{plain(one.hint, longest=_LONGEST_HINT)}")
    bad = sum(one.mark is Mark.BAD for one in found.findings)
    said = f"{count(bad, 'thing')} will make sessions fail." if bad else "All is well."
    return blocks.text([lines, [said]], encoding)
