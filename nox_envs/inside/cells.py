"""The cells of a noxfile, and what became of the environment of each."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = ["Orphan", "Overview", "Seen", "Size", "State"]


def __dir__() -> list[str]:
    return __all__


class State(enum.Enum):
    """What can be said of the environment of a cell."""

    MADE = "made"
    """It is what the cell declares now, and holds what its lock says."""
    STALE = "stale"
    """It was complete; `-r` would make it again."""
    INCOMPLETE = "incomplete"
    """It has no stamp: making it was interrupted, or it is not ours."""
    NOT_MADE = "not made"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Bytes on the disk."""

    whole: int
    own: int
    """Of files that nothing else shares, which is what removing them frees."""

    def __add__(self, other: Size) -> Size:
        return Size(whole=self.whole + other.whole, own=self.own + other.own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One cell, and its environment as it is now."""

    name: str
    session: str
    python: str | None
    """As it is declared; None where nox decides."""
    environment: str
    state: State
    reason: str = ""
    """Why it is stale or incomplete."""
    version: str = ""
    """Of the Python that it was made with, all of it; empty where that is not known."""
    tool: str = ""
    when: datetime | None = None
    """When it was made, or found to be complete, last."""
    size: Size | None = None
    packages: int | None = None
    lock: str = ""
    """The digest of its lock."""

    def to_dict(self) -> dict[str, Any]:
        size = self.size
        return {
            "name": self.name, "session": self.session, "python": self.python,
            "environment": self.environment, "state": self.state.value, "reason": self.reason,
            "version": self.version or None, "tool": self.tool or None,
            "when": self.when.isoformat() if self.when else None,
            "bytes": size.whole if size else None, "own_bytes": size.own if size else None,
            "packages": self.packages, "lock": self.lock or None,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Orphan:
    """An environment of ours whose cell the noxfile does not have."""

    cell: str
    environment: str
    when: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """All cells of a noxfile."""

    noxfile: str
    cells: Sequence[Seen]
    orphans: Sequence[Orphan] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": "nox-envs.show/1",
            "noxfile": self.noxfile,
            "cells": [one.to_dict() for one in self.cells],
            "orphans": [
                {
                    "cell": one.cell,
                    "environment": one.environment,
                    "when": one.when.isoformat() if one.when else None,
                }
                for one in self.orphans
            ],
        }
