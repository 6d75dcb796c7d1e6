"""Where to test between a release that is good and one that is bad.

Releases break at the boundaries of series, so a range is not cut in its middle but where the
first bad release is likely to be.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from packaging.version import Version

__all__ = ["hazard", "points", "weights"]


def __dir__() -> list[str]:
    return __all__


_MAJOR, _MINOR, _PATCH = 0.3, 0.06, 0.01
_TRUST = 0.7
"""How much of the weight follows the hazard; the rest is even, which bounds the worst case."""
_WAYS = 4
"""How many releases are tested at a time at most: more save hardly a round."""


def hazard(older: Version, newer: Version) -> float:
    """The rate at which the newer of two neighbours breaks what the older did not."""
    if (older.epoch, older.major) != (newer.epoch, newer.major):
        return _MAJOR
    return _PATCH if older.minor == newer.minor else _MINOR


def weights(versions: Sequence[Version]) -> tuple[float, ...]:
    """How likely each release but the first is the first bad one; the last is known to be bad."""
    survival, likely = 1.0, list[float]()
    for older, newer in pairwise(versions):
        rate = hazard(older, newer)
        likely.append(survival * rate)
        survival *= 1 - rate
    total = sum(likely)
    return tuple(_TRUST * each / total + (1 - _TRUST) / len(likely) for each in likely)


def points(
    versions: Sequence[Version], good: int, bad: int, unknown: Collection[int], jobs: int
) -> tuple[int, ...]:
    """Choose which releases to test next between a good and a bad one, by their indexes.

    `unknown` are those that cannot be tested. None are left: the boundary is found.
    """
    open_points = [at for at in range(good + 1, bad) if at not in unknown]
    if not open_points:
        return ()
    until = dict(
        zip(range(good + 1, bad), accumulate(weights(versions[good : bad + 1])), strict=False)
    )
    ways = min(jobs, _WAYS, len(open_points)) + 1
    chosen = {
        min(open_points, key=lambda at: abs(until[at] - way / ways)) for way in range(1, ways)
    }
    return tuple(sorted(chosen))
