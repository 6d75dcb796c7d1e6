"""The shortest requirement that leaves out some releases."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from packaging.version import Version

__all__ = ["requirement"]


def __dir__() -> list[str]:
    return __all__


_TERMS = 4
"""How many releases or series are named at most to leave out what lies between good ones."""


def requirement(
    name: str, versions: Sequence[Version], excluded: Collection[Version], current: Version
) -> str:
    """Write a line that admits all of some ascending releases but the excluded ones.

    Where these would have to be named one by one, it stays on the side of `current`. The first
    release is not excluded.
    """
    terms = list[str]()
    for is_excluded, run in groupby(range(len(versions)), lambda at: versions[at] in excluded):
        if not is_excluded:
            continue
        hole = [versions[at] for at in run]
        below = [version for version in versions if version < hole[0]]
        above = [version for version in versions if version > hole[-1]]
        named = list(_named(versions, hole))
        if above and len(named) <= _TERMS:
            terms += named
        elif above and current >= above[0]:
            terms = [_bound(">=", above[0], hole[-1])]
        else:
            terms.append(_bound("<", below[-1], hole[0]))
            break
    return name + ",".join(terms) if terms else ""


def _bound(operator: str, good: Version, bad: Version) -> str:
    """The shortest bound that admits one and not the other: major, minor, full."""
    upper = max(good, bad)
    epoch = f"{upper.epoch}!" if upper.epoch else ""
    parts = [".".join(map(str, upper.release[:length])) for length in range(1, len(upper.release))]
    for bound in (*(f"{operator}{epoch}{part}" for part in parts), f"{operator}{upper.public}"):
        admits = SpecifierSet(bound, prereleases=True)
        if admits.contains(good) and not admits.contains(bad):
            return bound
    # A pre-release of the bad one is not below it, in the language of specifiers.
    return f"{operator}={good.public}"


def _named(versions: Sequence[Version], hole: Sequence[Version]) -> Iterator[str]:
    """Leave out releases by name, and by the name of their series where there is no other."""
    left = list(hole)
    while left:
        for length in (1, 2):
            prefix = _prefix(left[0], length)
            series = [version for version in versions if _prefix(version, length) == prefix]
            if len(series) > 1 and set(series) <= set(left):
                yield f"!={prefix}.*"
                break
        else:
            series = [left[0]]
            yield f"!={left[0].public}"
        left = [version for version in left if version not in series]


def _prefix(version: Version, length: int) -> str:
    epoch = f"{version.epoch}!" if version.epoch else ""
    return epoch + ".".join(map(str, (version.major, version.minor)[:length]))
