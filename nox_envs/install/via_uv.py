"""Installing with uv: `uv pip sync` of a PEP 751 lock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nox_envs import _files, _process

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from packaging.utils import NormalizedName

    from nox_envs.install.interface import Built
    from nox_envs.interpreter import Interpreter
    from nox_envs.lock import Lock

__all__ = ["UvInstaller"]


def __dir__() -> list[str]:
    return __all__


_FULL = ("No space left on device", "os error 28", "os error 112")
"""What uv says when the disk is full, on POSIX and on Windows."""
_PATIENCE = "60"
"""Seconds to wait for others that use the cache; five minutes if it were for uv."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UvInstaller:
    """The installer of choice: its cache is the only package store."""

    uv: Path
    env: Mapping[str, str]
    copies: bool = False
    """Share no file with uv's cache (`isolation="copy"`)."""
    name: str = "uv"

    def install(
        self, lock: Lock, built: Sequence[Built], interpreter: Interpreter, scratch: Path
    ) -> None:
        """As `Installer.install`.

        Offline first: an index without usable cache headers makes uv download and unpack
        again what it has, for every environment
        (https://github.com/astral-sh/uv/issues/7526).
        """
        file = scratch / "pylock.toml"
        wheels = {one.name: (str(one.wheel), one.sha256) for one in built if not one.editable}
        _files.write_toml(file, lock.for_installer(wheels), private=True)
        sync: list[str | Path] = [
            self.uv, "pip", "sync", file, "--python", interpreter.path,
            "--allow-empty-requirements", "--quiet",
        ]  # fmt: skip
        self._offline_first(sync, scratch)
        for one in built:
            if one.editable:
                self._offline_first(
                    [self.uv, "pip", "install", "--python", interpreter.path, "--no-deps",
                     "--quiet", "--editable", one.source],
                    scratch,
                )  # fmt: skip

    def _offline_first(self, command: Sequence[str | Path], scratch: Path) -> None:
        done = _process.run([*command, "--offline"], env=self._env, cwd=scratch)
        if done.returncode != 0:
            # uv takes what a full disk has left half-installed for complete.
            if any(words in done.output for words in _FULL):
                raise _process.Refused("uv", done)
            self._run(command, scratch)

    def uninstall(
        self, names: Iterable[NormalizedName], interpreter: Interpreter, scratch: Path
    ) -> None:
        """As `Installer.uninstall`."""
        self._run(
            [self.uv, "pip", "uninstall", "--python", interpreter.path, "--quiet", *names], scratch
        )

    def forget(self, names: Iterable[NormalizedName], scratch: Path) -> bool:
        """Have uv's cache forget every release of these names, once no other uv uses it.

        False where it did not.
        """
        env = {"UV_LOCK_TIMEOUT": _PATIENCE, **self.env}
        done = _process.run([self.uv, "cache", "clean", "--quiet", *names], env=env, cwd=scratch)
        return done.returncode == 0

    @property
    def _env(self) -> dict[str, str]:
        return {**self.env, **({"UV_LINK_MODE": "copy"} if self.copies else {})}

    def _run(self, command: Sequence[str | Path], scratch: Path) -> None:
        done = _process.run(command, env=self._env, cwd=scratch)
        if done.returncode != 0:
            raise _process.Refused("uv", done)
