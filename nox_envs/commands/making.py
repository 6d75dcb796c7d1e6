"""Words that `bundle` and `shell` share: the environment of a cell, made as it is declared."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nox_envs import _process
from nox_envs.errors import UsageError

if TYPE_CHECKING:
    from nox_envs._loading import DeclaredCell, Loaded

__all__ = ["make"]


def __dir__() -> list[str]:
    return __all__


def make(loaded: Loaded, one: DeclaredCell) -> None:
    """Have nox make the environment, unless it is there and right.

    What nox and the noxfile print goes to stderr. Raises `UsageError` where it cannot.
    """
    command = [
        sys.executable, "-m", "nox", "--noxfile", str(loaded.path), "--session", one.name,
        "--reuse-venv", "yes", "--install-only",
    ]  # fmt: skip
    if loaded.envdir:  # nox shortens the names of environments by the length of that.
        command += ["--envdir", loaded.envdir]
    if _process.attend(command, env=dict(os.environ), cwd=Path.cwd(), aside=True) != 0:
        raise UsageError(problem=f"{one.name} has no environment: nox says why, above")
