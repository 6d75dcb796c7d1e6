"""How old and how large something is, for reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["age", "size"]


def __dir__() -> list[str]:
    return __all__


_AGES = ((86400 * 2, 86400, "days"), (3600 * 2, 3600, "h"), (60, 60, "min"))
"""From how many seconds on a unit is used, how many it has, and its name."""
_EXACT_BELOW = 10
_ROUNDED_UP = 999.5
"""Would be written as 1000."""


def age(when: datetime | None, now: datetime) -> str:
    """`5 s`, `3 min`, `30 h`, `12 days`; empty where it is not known."""
    if when is None:
        return ""
    seconds = max((now - when).total_seconds(), 0)
    for least, unit, name in _AGES:
        if seconds >= least:
            return f"{int(seconds // unit)} {name}"
    return f"{int(seconds)} s"


def size(count: int | None) -> str:
    """`0 B`, `4.2 kB`, `45 MB`; empty where it is not known."""
    if count is None:
        return ""
    amount, units = float(count), ["B", "kB", "MB", "GB", "TB"]
    while amount >= _ROUNDED_UP and len(units) > 1:
        amount /= 1000
        units.pop(0)
    exact = units[0] != "B" and round(amount, 1) < _EXACT_BELOW
    return f"{amount:.1f} {units[0]}" if exact else f"{amount:.0f} {units[0]}"
