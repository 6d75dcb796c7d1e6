"""Come down from a set that fails to one that passes, by following its failure.

Pure guessing: whatever it returns has passed, and the sweep that comes after it makes the
answer maximal.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from nox_envs.upgrade.closures import Closures
    from nox_envs.upgrade.tally import Ask, Names, Steps, Tally

__all__ = ["GUESSES", "appearance", "descend", "extend"]


def __dir__() -> list[str]:
    return __all__


GUESSES = 3
"""How many suspects are dropped in vain before the rest is bisected."""


def descend(
    tally: Tally, closures: Closures, top: Names, jobs: int, *, blame: bool = False
) -> Steps[Names]:
    """Find a closed set within a closed one that passes; the empty one is known to pass.

    It tries the rest one by one when as many were found guilty as are left, or when there is no
    failure to follow. `blame`: have a suspect without which the failure stays show it by itself.
    """
    low, found = frozenset[str](), 0
    yield from tally.look([top])
    while not tally.passed(top):
        units = closures.units(top - low)
        if tally.failure(top) is None or found >= len(units):
            rest = [closures.of(name) for _, unit in units for name in unit]
            return (yield from extend(tally, low, rest, jobs))
        cut = yield from _drop(tally, closures, low, top, jobs, blame=blame)
        if cut is None:
            low, cut = yield from _bisect(tally, closures, low, top, jobs)
        found, top = found + 1, cut
        yield from tally.look([top])
    return top


def extend(
    tally: Tally,
    safe: Names,
    additions: Iterable[Names],
    jobs: int,
    spare: Callable[[Names], Iterable[Ask]] = lambda _: (),
) -> Steps[Names]:
    """Try each addition once, to whatever has passed by then; idle workers take what is spare."""
    left = list(dict.fromkeys(additions))
    while left:
        fresh = [each for each in left if not tally.known(safe | each)][:jobs]
        tried = [each for each in left if each in fresh or tally.known(safe | each)]
        left = [each for each in left if each not in tried]
        yield from tally.look([safe | each for each in fresh], spare(safe))
        wider = [safe | each for each in tried if not each <= safe]
        passing = [each for each in wider if tally.passed(each)]
        if len(set(passing)) > 1:
            union = frozenset[str]().union(*passing)
            yield from tally.look([union])
            passing += [union] if tally.passed(union) else []
        safe = max([safe, *passing], key=len)
    return safe


def _drop(
    tally: Tally, closures: Closures, low: Names, top: Names, jobs: int, *, blame: bool
) -> Steps[Names | None]:
    """Leave out suspects until the failure is another one, or gone; None: it is nobody's."""
    suspects = [name for name in tally.suspects(top) if name in top - low]
    named = {top - closures.needing(name): closures.of(name) for name in reversed(suspects)}
    cuts = list(dict.fromkeys(top - closures.needing(name) for name in suspects))[:GUESSES]
    for index, cut in enumerate(cuts):
        further = list(accumulate(cuts[index:], lambda one, two: one & two))
        ahead = [each for pair in zip(further, cuts[index:], strict=True) for each in pair]
        tried = [cut, *(each for each in ahead if each not in {cut, low})][:jobs]
        spare = [tally.again(each) for each in tried[1:] if not tally.known(each)]
        yield from tally.look([cut], spare)
        passing = [each for each in tried if tally.passed(each)]
        if passing:
            return max(passing, key=len)
        if tally.failure(cut) not in {None, tally.failure(top)}:
            return cut
        if blame:
            yield from tally.look([named[cut]])
            if tally.failure(named[cut]) == tally.failure(top):
                return cut
    return None


def _bisect(
    tally: Tally, closures: Closures, low: Names, top: Names, jobs: int
) -> Steps[tuple[Names, Names]]:
    """Find a unit with which the failure appears; returns what passed below, and all but it."""
    passed, unit, _ = yield from appearance(tally, closures, low, top, jobs)
    return passed, top - closures.needing(next(iter(unit)))


def appearance(
    tally: Tally, closures: Closures, low: Names, top: Names, jobs: int
) -> Steps[tuple[Names, Names, Names]]:
    """Find a unit with which the failure of a closed set appears, above a set without it.

    Returns the highest set below that passed, or the low one, the unit, and the set with it.
    """
    units = closures.units(top - low, tally.suspects(top))
    prefixes = list(accumulate((unit for _, unit in units), frozenset.union, initial=low))
    edges = {at for at in range(1, len(units)) if units[at - 1][0] != units[at][0]}
    first, last, unknown = 0, len(units), set[int]()
    while open_points := set(range(first + 1, last)) - unknown:
        points = _spread(first, last, open_points & edges or open_points, jobs)
        yield from tally.look([prefixes[point] for point in points])
        first = max([first, *(point for point in points if tally.passed(prefixes[point]))])
        same = [
            point
            for point in points
            if point > first and tally.failure(prefixes[point]) == tally.failure(top)
        ]
        last = min([last, *same])
        unknown |= set(points)
    return prefixes[first], units[last - 1][1], prefixes[last]


def _spread(first: int, last: int, points: Collection[int], count: int) -> list[int]:
    """Choose points that cut a range into parts of about equal size."""
    ways = min(count, len(points)) + 1
    ideal = [first + (last - first) * way / ways for way in range(1, ways)]
    return sorted({min(sorted(points), key=lambda point: abs(point - at)) for at in ideal})
