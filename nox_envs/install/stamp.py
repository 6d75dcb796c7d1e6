"""The stamp of an environment: what it was made from, written last."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from nox_envs import _files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["LOCK_NAME", "STAMP_NAME", "Stamp", "read", "remove", "write"]


def __dir__() -> list[str]:
    return __all__


LOCK_NAME = "pylock.toml"
STAMP_NAME = "nox-envs.json"
_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """An environment without a stamp is not complete, whatever it holds."""

    cell: str
    python: str
    """The full version: a patch release that replaced another makes it stale."""
    base_prefix: str
    environment: str
    """Where it was made: scripts and editable projects hold this path."""
    isolation: str
    sources: Mapping[str, str]
    """Digests of the local projects' files, by their place."""
    inputs: str
    """Digest of all that was declared."""
    lock: str
    """Digest of the lock that lies beside."""
    tool: str
    token: str
    """One of a kind, for each time that an environment was made or kept."""
    made: str
    """When (RFC 3339)."""
    undeclared: Mapping[str, str] = field(default_factory=dict)
    """What the session's function installed by itself, in its last run."""

    def to_dict(self) -> dict[str, Any]:
        return {"schema": _SCHEMA, **asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Stamp:
        if data["schema"] != _SCHEMA:
            raise ValueError(data["schema"])
        return cls(**{name: data[name] for name in cls.__dataclass_fields__})


def read(environment: Path) -> Stamp | None:
    """The stamp of an environment; None where it is absent or unreadable."""
    try:
        return Stamp.from_dict(json.loads(_files.read_text(environment / STAMP_NAME)))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(environment: Path, stamp: Stamp) -> None:
    """Declare an environment complete, or note what was done to it since."""
    text = json.dumps(stamp.to_dict(), indent=1) + "\n"
    _files.write_text(environment / STAMP_NAME, text)


def remove(environment: Path) -> None:
    """Declare an environment incomplete."""
    _files.remove(environment / STAMP_NAME)
