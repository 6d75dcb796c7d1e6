"""Come down from a set that fails to one that passes, by following its failure.

Pure guessing: whatever it returns has passed, and the sweep that comes after it makes the
answer maximal.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nox_envs.upgrade.closures import Closures
    from nox_envs.upgrade.tally import Names, Steps, Tally

__all__ = ["GUESSES", "appearance", "descend", "extend"]


def __dir__() -> list[str]:
    return __all__


GUESSES = 3
"""How many suspects are dropped in vain before the rest is bisected."""


def descend(tally: Tally, closures: Closures, top: Names, *, blame: bool = False) -> Steps[Names]:
    """Find a closed set within a closed one that passes; the empty one is known to pass.

    It tries the rest one by one when as many were found guilty as are left, or when there is no
    failure to follow. `blame`: have a suspect without which the failure stays show it by itself.
    """
    low, found = frozenset[str](), 0
    yield from tally.look(top)
    while not tally.passed(top):
        units = closures.units(top - low)
        if tally.failure(top) is None or found >= len(units):
            rest = [closures.of(name) for _, unit in units for name in unit]
            return (yield from extend(tally, low, rest))
        cut = yield from _drop(tally, closures, low, top, blame=blame)
        if cut is None:
            low, unit, _ = yield from appearance(tally, closures, low, top)
            cut = top - closures.needing(next(iter(unit)))
        found, top = found + 1, cut
        yield from tally.look(top)
    return top


def extend(tally: Tally, safe: Names, additions: Iterable[Names]) -> Steps[Names]:
    """Try each addition once, to whatever has passed by then."""
    for each in additions:
        wider = safe | each
        yield from tally.look(wider)
        if tally.passed(wider):
            safe = wider
    return safe


def _drop(
    tally: Tally, closures: Closures, low: Names, top: Names, *, blame: bool
) -> Steps[Names | None]:
    """Leave out suspects until the failure is another one, or gone; None: it is nobody's."""
    suspects = [name for name in tally.suspects(top) if name in top - low]
    named = {top - closures.needing(name): closures.of(name) for name in reversed(suspects)}
    cuts = dict.fromkeys(top - closures.needing(name) for name in suspects)
    for cut in list(cuts)[:GUESSES]:
        yield from tally.look(cut)
        if tally.passed(cut) or tally.failure(cut) not in {None, tally.failure(top)}:
            return cut
        if blame:
            yield from tally.look(named[cut])
            if tally.failure(named[cut]) == tally.failure(top):
                return cut
    return None


def appearance(
    tally: Tally, closures: Closures, low: Names, top: Names
) -> Steps[tuple[Names, Names, Names]]:
    """Find a unit with which the failure of a closed set appears, above a set without it.

    Returns the highest set below that passed, or the low one, the unit, and the set with it.
    """
    units = closures.units(top - low, tally.suspects(top))
    prefixes = list(accumulate((unit for _, unit in units), frozenset.union, initial=low))
    edges = {at for at in range(1, len(units)) if units[at - 1][0] != units[at][0]}
    first, last, unknown = 0, len(units), set[int]()
    while points := set(range(first + 1, last)) - unknown:
        middle = (first + last) / 2
        point = min(sorted(points & edges or points), key=lambda at: abs(at - middle))
        yield from tally.look(prefixes[point])
        if tally.passed(prefixes[point]):
            first = point
        elif tally.failure(prefixes[point]) == tally.failure(top):
            last = point
        else:
            unknown.add(point)
    return prefixes[first], units[last - 1][1], prefixes[last]
