"""The packages of an environment: why each is there, and what the index says of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from nox_envs.inside.cells import Seen

__all__ = ["Contents", "Offer", "Package", "Role", "sorted_out"]


def __dir__() -> list[str]:
    return __all__


class Role(enum.Enum):
    """Why a package is there."""

    PROJECT = "project"
    """Built from a directory of this machine."""
    DECLARED = "declared"
    TRANSITIVE = "transitive"
    """Something else needs it."""
    UNDECLARED = "undeclared"
    """It is not in the lock: the session, or somebody by hand, installed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What the index has of a package."""

    latest: str | None
    """The newest stable release that works on the Python and is not yanked."""
    yanked: bool
    """Whether the release that is installed was taken back."""
    reason: str = ""
    """Why it was, in the words of who did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One installed distribution."""

    name: str
    version: str
    role: Role
    required_by: tuple[str, ...]
    """The packages beside it that need it, without any extra."""
    offer: Offer | None = None
    """None where it is not known."""

    @property
    def is_outdated(self) -> bool | None:
        """Whether the index has a newer release; None where that is not known."""
        if self.offer is None:
            return None
        try:
            return bool(self.offer.latest) and Version(self.offer.latest or "") > Version(
                self.version
            )
        except InvalidVersion:
            return None

    def to_dict(self) -> dict[str, Any]:
        offer = self.offer
        return {
            "name": self.name, "version": self.version, "role": self.role.value,
            "required_by": list(self.required_by),
            "latest": offer.latest if offer else None, "outdated": self.is_outdated,
            "yanked": offer.yanked if offer else None,
            "yank_reason": offer.reason or None if offer else None,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """One cell, with all that its environment holds."""

    cell: Seen
    interpreter: str = ""
    """Where the Python comes from that it was made with."""
    packages: Sequence[Package] = ()
    unknown: str = ""
    """Why the index was not asked, or did not answer; empty where it did."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": "nox-envs.show-cell/1",
            "cell": self.cell.to_dict(),
            "interpreter": self.interpreter or None,
            "index": self.unknown or None,
            "contents": [one.to_dict() for one in self.packages],
        }


def sorted_out(
    found: Mapping[str, str],
    *,
    locked: Collection[str],
    projects: Collection[str],
    declared: Collection[str] | None,
    requires: Mapping[str, Collection[str]],
    offers: Mapping[str, Offer],
) -> tuple[Package, ...]:
    """Say why each package that was found is there; all names are normalized.

    What a project of one's own needs is declared, in its metadata. Where it is not known what is
    `declared`, that is what nothing else needs.
    """
    needing: dict[str, list[str]] = {}
    for name in found:
        for needed in requires.get(name, ()):
            needing.setdefault(needed, []).append(name)

    def role(name: str) -> Role:
        if name in projects:
            return Role.PROJECT
        if name not in locked:
            return Role.UNDECLARED
        known = declared is not None
        asked = name in declared if declared is not None else False
        by_project = any(name in requires.get(one, ()) for one in projects)
        if asked or by_project or (not known and not needing.get(name)):
            return Role.DECLARED
        return Role.TRANSITIVE

    return tuple(
        Package(
            name=name,
            version=version,
            role=role(name),
            required_by=tuple(sorted(set(needing.get(name, ())) - {name})),
            offer=offers.get(name),
        )
        for name, version in sorted(found.items())
    )
