"""What an installer is: a lock in, an environment that holds it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from packaging.utils import NormalizedName

    from nox_envs.interpreter import Interpreter
    from nox_envs.lock import Lock

__all__ = ["Built", "Installer"]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A local project, ready to be installed."""

    name: NormalizedName
    wheel: Path
    sha256: str
    source: Path
    editable: bool = False


class Installer(Protocol):
    """Puts what a lock holds into an empty environment.

    Two implementations, uv and pip. Both verify every hash. Neither is believed: what is
    installed is compared with the lock afterwards (`check`).
    """

    @property
    def name(self) -> str: ...

    def install(
        self, lock: Lock, built: Sequence[Built], interpreter: Interpreter, scratch: Path
    ) -> None:
        """Install exactly the lock; raises `Refused` with the tool's own words."""
        ...

    def uninstall(
        self, names: Iterable[NormalizedName], interpreter: Interpreter, scratch: Path
    ) -> None:
        """Remove what an environment was seeded with and the lock does not hold."""
        ...
