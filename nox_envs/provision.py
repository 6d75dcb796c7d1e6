"""The one recipe: declare, plan, resolve, install, check. Then, and only then, run.

An environment is made complete or made again; it is never repaired or resumed. Its
stamp is written last, so that whatever was interrupted is not mistaken for complete.
"""

from __future__ import annotations

import errno
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName

from nox_envs import _files, _process, discover, settings
from nox_envs.cell import Cell
from nox_envs.declaration import Declaration
from nox_envs.errors import (
    DiskFull,
    FileMissing,
    LockInvalid,
    NeedsUv,
    NoxEnvsError,
    StaleEnvironment,
    WrongEnvironment,
)
from nox_envs.gather import Gathered, Noxfile, gather
from nox_envs.install import check, project, stamp
from nox_envs.install.interface import Built, Installer
from nox_envs.install.via_pip import PipInstaller
from nox_envs.install.via_uv import UvInstaller
from nox_envs.interpreter import Interpreter
from nox_envs.lock import Lock, LockedLocal
from nox_envs.resolve.interface import Resolver
from nox_envs.resolve.requests import Local
from nox_envs.resolve.via_pip import PipResolver
from nox_envs.resolve.via_uv import UvResolver
from nox_envs.run import tree

__all__ = ["Job", "Provisioned", "note_undeclared", "provision"]


def __dir__() -> list[str]:
    return __all__


_SEEDS = frozenset({"pip", "setuptools", "wheel"})
_WHEELS = "wheels-v1"
_STALE_RUN_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One cell to provision, and the place for it."""

    cell: Cell
    declaration: Declaration
    noxfile: Noxfile
    environment: Path
    """The virtual environment that the host has made."""
    python: Path
    """Its interpreter."""
    cache: Path
    """Ours to write to, for this checkout."""
    run: str
    """The id of this run of nox, shared by its processes."""
    reused: bool
    """Whether the host found the environment instead of making it."""
    no_install: bool
    """Whether the user forbade to install into an environment that is there."""
    recreate: Callable[[], None]
    """Has the host make the environment anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    """An environment that was proven to hold its lock."""

    interpreter: Interpreter
    lock: Lock
    tool: str
    seconds: float
    fresh: bool
    """Whether it was made now."""


def provision(job: Job, variables: Mapping[str, str]) -> Provisioned:
    """Give a cell exactly the environment that it declares.

    `variables` are those of the user's shell. Raises a `NoxEnvsError` that says what to
    do; nothing has been run in the environment then.
    """
    try:
        with _files.scratch("cell") as scratch:
            return _Recipe(job=job, variables=variables, scratch=scratch).follow()
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull(path=str(error.filename or job.environment)) from error
        raise


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recipe:
    job: Job
    variables: Mapping[str, str]
    scratch: Path

    def follow(self) -> Provisioned:
        job = self.job
        begun = time.monotonic()
        interpreter = self._interpreter()
        gathered = gather(
            job.declaration,
            job.cell,
            noxfile=job.noxfile,
            interpreter=interpreter,
            variables=self.variables,
            exclude_newer=self._exclude_newer(),
        )
        inputs = self._inputs(gathered)
        if job.reused and job.no_install:
            lock = self._unchanged(inputs, interpreter)
            return self._done(lock, interpreter, begun, fresh=False)
        wheels = {source.path: self._wheel(source, interpreter) for source in gathered.sources}
        lock = self._lock(gathered, wheels, inputs)
        if job.reused:
            if self._complete(lock, interpreter):
                return self._done(lock, interpreter, begun, fresh=False)
            job.recreate()
            interpreter = self._interpreter()
        stamp.remove(job.environment)
        self._install(lock, gathered, wheels, interpreter)
        self._check(lock, interpreter)
        self._write(lock, inputs, interpreter)
        return self._done(lock, interpreter, begun, fresh=True)

    def _done(
        self, lock: Lock, interpreter: Interpreter, begun: float, *, fresh: bool
    ) -> Provisioned:
        return Provisioned(
            interpreter=interpreter,
            lock=lock,
            tool="uv" if self._uv else "pip",
            seconds=time.monotonic() - begun,
            fresh=fresh,
        )

    # -- plan

    @property
    def _uv(self) -> Path | None:
        return settings.find_uv(self.variables)

    def _interpreter(self) -> Interpreter:
        return discover.inspect(self.job.python)

    def _exclude_newer(self) -> str | None:
        cooldown = self.job.declaration.cooldown
        if cooldown is None:
            return None
        return (datetime.now(timezone.utc) - cooldown).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def _directory(self) -> Path:
        return (self.job.noxfile.path.parent / self.job.declaration.directory).resolve()

    def _lock_path(self) -> Path | None:
        declaration = self.job.declaration
        if declaration.locked:
            slug = "".join(c if c.isalnum() or c in "_-" else "-" for c in self.job.cell.name)
            return self._directory / "locks" / f"pylock.{slug}.toml"
        return self._directory / declaration.lock if declaration.lock else None

    def _inputs(self, gathered: Gathered) -> str:
        cooldown = str(self.job.declaration.cooldown or "")
        path = self._lock_path()
        lock = ""
        if path is not None and path.exists() and not self.job.declaration.locked:
            lock = hashlib.sha256(path.read_bytes()).hexdigest()
        trees = {
            source.path: tree.digest(source.path, env=self._env("build"))
            for source in gathered.sources
        }
        return gathered.digest(trees, cooldown, lock)

    def _env(self, kind: str) -> dict[str, str]:
        return settings.tool_environment(self.variables, kind=kind, directory=self._directory)
