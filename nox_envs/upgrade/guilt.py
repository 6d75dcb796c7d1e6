"""What shows that packages are guilty of a failure: it appears with them, and not without."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nox_envs.outcome import Outcome
from nox_envs.upgrade.descent import appearance
from nox_envs.upgrade.tally import Names

if TYPE_CHECKING:
    from nox_envs.upgrade.closures import Closures
    from nox_envs.upgrade.tally import Ask, Steps, Tally

__all__ = ["Guilt", "accuse"]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True, slots=True, kw_only=True)
class Guilt:
    """Names that show a failure together, and none of them without the others."""

    names: Names
    signature: str | None
    """What identifies the failure, as it was told."""
    shown: Ask
    """A with the names, and what has to move with them: it fails."""
    absent: tuple[Ask, ...]
    """The same without each of them: it does not fail so."""


def accuse(tally: Tally, closures: Closures, unit: Names, safe: Names) -> Steps[Guilt]:
    """Have a unit show by itself, or with partners, how it fails beside a set that passed.

    Where its partners would fail without it, or that cannot be tested, they prove nothing: the
    two runs beside that set then are the proof.
    """
    whole = closures.of(next(iter(unit)))
    top = safe | whole
    failure = tally.failure(top)
    found = Guilt(
        names=unit,
        signature=tally.reds(top)[0].signature,
        shown=tally.first(top),
        absent=(tally.first(safe),),
    )
    low, members = whole, [unit]
    yield from tally.look(low)
    while tally.failure(low) != failure:
        _, partner, top = yield from appearance(tally, closures, low, top)
        low, members = low | closures.of(next(iter(partner))), [*members, partner]
        yield from tally.look(low)
    without = dict[Names, Names]()
    while left := [member for member in members if member not in without]:
        rest = low - closures.needing(next(iter(left[0])))
        yield from tally.look(rest)
        without[left[0]] = rest
        if tally.failure(rest) == failure:
            low, members, without = rest, [each for each in members if each <= rest], {}
    if unit not in members or Outcome.ERROR in map(tally.outcome, without.values()):
        return found
    return replace(
        found,
        names=frozenset[str]().union(*members),
        shown=tally.first(low),
        absent=tuple(map(tally.first, without.values())),
    )
