"""Installing with the environment's own pip, every hash required."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nox_envs import _files, _process

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from packaging.pylock import (
        Package,
        PackageArchive,
        PackageSdist,
        PackageVcs,
        PackageWheel,
    )
    from packaging.utils import NormalizedName

    from nox_envs.install.interface import Built
    from nox_envs.interpreter import Interpreter
    from nox_envs.lock import Lock

__all__ = ["PipInstaller"]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True, slots=True, kw_only=True)
class PipInstaller:
    """The installer where uv is not installed. pip copies files: nothing is shared."""

    env: Mapping[str, str]
    name: str = "pip"

    def install(
        self, lock: Lock, built: Sequence[Built], interpreter: Interpreter, scratch: Path
    ) -> None:
        """As `Installer.install`.

        pip reads PEP 751 files only since 25.1, as an experiment: a requirements file with
        hashes says the same to every pip. A commit has no hash, and a local wheel is
        checked by its content, so these two are installed by themselves.
        """
        hashed = [_hashed(package) for package in lock.packages if not package.vcs]
        vcs = [_vcs(package.name, package.vcs) for package in lock.packages if package.vcs]
        pip: list[str | Path] = [
            interpreter.path, "-I", "-m", "pip", "install", "--no-deps", "--quiet", "--no-compile",
        ]  # fmt: skip
        if hashed:
            file = scratch / "requirements.txt"
            _files.write_text(file, "\n".join(hashed) + "\n", private=True)
            self._run([*pip, "--require-hashes", "-r", file], scratch)
        if vcs:
            file = scratch / "vcs.txt"
            _files.write_text(file, "\n".join(vcs) + "\n", private=True)
            self._run([*pip, "-r", file], scratch)
        for one in built:
            source = ["--editable", one.source] if one.editable else ["--no-index", one.wheel]
            self._run([*pip, *map(str, source)], scratch)

    def uninstall(
        self, names: Iterable[NormalizedName], interpreter: Interpreter, scratch: Path
    ) -> None:
        """As `Installer.uninstall`."""
        self._run(
            [interpreter.path, "-I", "-m", "pip", "uninstall", "--yes", "--quiet", *names], scratch
        )

    def _run(self, command: Sequence[str | Path], scratch: Path) -> None:
        done = _process.run(command, env=self.env, cwd=scratch)
        if done.returncode != 0:
            raise _process.Refused("pip", done)


_STRONG = frozenset({"sha256", "sha384", "sha512"})
"""The kinds of hashes that pip accepts."""


def _hashed(package: Package) -> str:
    files: list[PackageWheel | PackageSdist | PackageArchive] = [*(package.wheels or ())]
    if package.sdist:
        files.append(package.sdist)
    target = f"{package.name}=={package.version}"
    if package.archive:
        files = [package.archive]
        target = f"{package.name} @ {package.archive.url}"
    digests = {
        f"--hash={kind}:{value}"
        for file in files
        for kind, value in file.hashes.items()
        if kind in _STRONG
    }
    return " ".join([target, *sorted(digests)])


def _vcs(name: str, vcs: PackageVcs) -> str:
    directory = f"#subdirectory={vcs.subdirectory}" if vcs.subdirectory else ""
    return f"{name} @ {vcs.type}+{vcs.url}@{vcs.commit_id}{directory}"
