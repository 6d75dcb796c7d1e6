"""What a finished campaign proved, as far as it can be written to the user's files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName
    from packaging.version import Version

__all__ = ["Promise", "Proven", "ProvenFloors"]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """A set, and the environments in which it passed."""

    pins: Mapping[NormalizedName, Version]
    """What is to be written; empty where there is nothing."""
    environments: Mapping[str, Mapping[NormalizedName, Version | None]]
    """All the pins of each column, by the name of its cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """The lower bound of one dependency on one column, and what was found about it."""

    is_bounded: bool
    """Whether one is declared."""
    floor: Version | None
    """The lowest release that was proven to pass; None where that is not known."""
    is_corrected: bool
    """Whether another bound than the declared one is right."""
    raised_by: tuple[str, ...] = ()
    """What asks for more than is declared: `pandas>=1.22`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenFloors(Proven):
    """Lower bounds: `pins` are the corrected ones, the highest of all columns."""

    promises: Mapping[str, Mapping[NormalizedName, Promise]] = field(default_factory=dict)
    """By column."""
    left: tuple[str, ...] = ()
    """What does not hold and is not written, and why."""
