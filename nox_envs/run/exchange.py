"""What a trial is told and what it tells, in two files beside it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from nox_envs import _files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["GivenWheel", "TrialOrder", "TrialResult"]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenWheel:
    """A local project that the campaign has built."""

    name: str
    version: str
    path: str
    sha256: str
    content: str
    """A digest over what the wheel holds; empty for an editable project."""
    directory: str
    """Where the project lies, relative to the noxfile."""
    editable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOrder:
    """What the nox of a trial is told: which cell, against which lock."""

    cell: str
    python: str
    lock: str
    """The path of a PEP 751 file."""
    wheels: tuple[GivenWheel, ...]
    result: str
    """The path at which the trial tells how it went."""
    junit: str
    """The path at which pytest tells of its tests; empty where it must not be told to."""
    evidence: str
    """The directory in which modules that were looked up leave a mark."""
    watch: tuple[str, ...]
    """The distributions whose modules are watched."""
    cache: str
    """The directory of what all trials share: bytecode, facts of interpreters."""
    path: str = ""
    """The directory in which nox finds the Python, where it does not find it by itself."""
    apart: bool = False
    """Whether its environment shares no file with any other, whatever is declared."""

    def write(self, path: Path) -> None:
        _files.write_text(path, json.dumps(asdict(self)), private=True)

    @classmethod
    def read(cls, path: Path) -> TrialOrder:
        data = json.loads(_files.read_text(path))
        wheels = tuple(GivenWheel(**one) for one in data.pop("wheels"))
        return cls(**{**data, "watch": tuple(data["watch"])}, wheels=wheels)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """What the nox of a trial tells. Where it has told nothing, it did not come that far."""

    ready: bool = False
    """Whether the environment was complete, so that the session's function was called."""
    passed: bool = False
    stop: str = ""
    """`timeout`, or the signal that stopped it."""
    skipped: bool = False
    error: str = ""
    """The class of the `NoxEnvsError` that ended it."""
    reason: str = ""
    """One line: what was raised."""
    seconds: float = 0.0
    """For the session's function alone."""
    owners: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The distributions of the environment, by top-level module."""
    modules: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    """The top-level modules of the watched distributions; None where that is not known."""
    requires: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The names that each distribution of the environment depends on, extras left aside."""
    undeclared: Mapping[str, str] = field(default_factory=dict)
    """What the function installed by itself."""
    touched: tuple[str, ...] = ()
    """Installed files, shared with other environments, that something has written into."""
    is_healed: bool = True
    """Whether what is installed from now on does not have them."""

    def write(self, path: Path) -> None:
        _files.write_text(path, json.dumps(asdict(self)), private=True)

    @classmethod
    def read(cls, path: Path) -> TrialResult | None:
        """What was told; None where nothing was that can be understood."""
        try:
            data = json.loads(_files.read_text(path))
            owners = {name: tuple(found) for name, found in data.pop("owners").items()}
            requires = {name: tuple(found) for name, found in data.pop("requires").items()}
            modules = {
                name: None if found is None else tuple(found)
                for name, found in data.pop("modules").items()
            }
            touched = tuple(data.pop("touched"))
            return cls(**data, owners=owners, modules=modules, requires=requires, touched=touched)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
