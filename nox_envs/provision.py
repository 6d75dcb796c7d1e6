"""The one recipe: declare, plan, resolve, install, check. Then, and only then, run.

An environment is made complete or made again; it is never repaired or resumed. Its
stamp is written last, so that whatever was interrupted is not mistaken for complete.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from packaging.utils import NormalizedName
from packaging.version import Version

from nox_envs import _files, _process, discover, settings
from nox_envs.errors import (
    DiskFull,
    FileMissing,
    LockInvalid,
    NeedsUv,
    StaleEnvironment,
    WrongEnvironment,
)
from nox_envs.gather import Gathered, Noxfile, gather
from nox_envs.install import check, project, stamp
from nox_envs.install.interface import Built, Installer
from nox_envs.install.via_pip import PipInstaller
from nox_envs.install.via_uv import UvInstaller
from nox_envs.lock import Lock, LockedLocal, recorded_pins
from nox_envs.questions import Questions
from nox_envs.resolve.via_pip import PipResolver
from nox_envs.resolve.via_uv import UvResolver
from nox_envs.run import tree

if TYPE_CHECKING:
    from nox_envs.cell import Cell
    from nox_envs.declaration import Declaration
    from nox_envs.interpreter import Interpreter
    from nox_envs.resolve.interface import Resolver
    from nox_envs.resolve.requests import Local

__all__ = ["Job", "Provisioned", "note_undeclared", "provision"]


def __dir__() -> list[str]:
    return __all__


Pins = Mapping[NormalizedName, Version | None]

_SEEDS = frozenset({"pip", "setuptools", "wheel"})
_WHEELS = "wheels-v1"
_STALE_RUN_SECONDS = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One cell to provision, and the place for it."""

    name: str
    """What the host calls the cell."""
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
    pins: Pins
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
        self._refuse_without_installer(interpreter)
        gathered = gather(
            job.declaration,
            job.cell,
            noxfile=job.noxfile,
            interpreter=interpreter,
            variables=self.variables,
            exclude_newer=self._exclude_newer(),
        )
        declared = self._declared(gathered)
        inputs = self._inputs(gathered, declared)
        if job.reused and job.no_install:
            pins = self._unchanged(inputs, interpreter)
            return self._done(pins, interpreter, begun, fresh=False)
        wheels = {source.path: self._wheel(source, interpreter) for source in gathered.sources}
        lock = self._lock(gathered, wheels)
        if job.reused:
            if self._complete(lock, interpreter):
                self._write(lock, inputs, interpreter)
                return self._done(lock.pins, interpreter, begun, fresh=False)
            job.recreate()
            interpreter = self._interpreter()
        stamp.remove(job.environment)
        self._install(lock, gathered, wheels, interpreter)
        self._check(lock, interpreter)
        self._write(lock, inputs, interpreter)
        return self._done(lock.pins, interpreter, begun, fresh=True)

    def _done(
        self, pins: Pins, interpreter: Interpreter, begun: float, *, fresh: bool
    ) -> Provisioned:
        return Provisioned(
            interpreter=interpreter,
            pins=pins,
            tool="uv" if self._uv else "pip",
            seconds=time.monotonic() - begun,
            fresh=fresh,
        )

    # -- plan

    @property
    def _uv(self) -> Path | None:
        found = settings.find_uv(self.variables)
        return Path(found) if found else None

    def _interpreter(self) -> Interpreter:
        return discover.inspect(self.job.python, env=self.variables, cell=self.job.name)

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
            slug = "".join(c if c.isalnum() or c in "_-" else "-" for c in self.job.name)
            return self._directory / "locks" / f"pylock.{slug}.toml"
        return self._directory / declaration.lock if declaration.lock else None

    def _declared(self, gathered: Gathered) -> str:
        return gathered.digest(str(self.job.declaration.cooldown or ""))

    def _inputs(self, gathered: Gathered, declared: str) -> str:
        """A digest over all that decides the environment, but for what the index offers."""
        total = hashlib.sha256(declared.encode())
        total.update(gathered.wanted.interpreter.version.encode())
        path = self._lock_path()
        if path is not None and path.exists():
            total.update(path.read_bytes())
        include = self.job.declaration.tree_include
        for source in gathered.sources:
            total.update(_relative(source.path, self._directory).encode())
            if not source.editable:
                digest = tree.digest(source.path, env=self._env("build"), include=include)
                total.update(digest.encode())
        return total.hexdigest()

    def _tool_env(self, gathered: Gathered) -> dict[str, str]:
        """The environment of the resolver and the installer, with what the files say."""
        tool: Literal["uv", "pip"] = "uv" if self._uv else "pip"
        return {**self._env(tool), **gathered.wanted.sources.variables(tool)}

    def _env(self, kind: settings.Kind) -> dict[str, str]:
        """The scrubbed environment of a tool; uv reads a settings file of ours alone."""
        env = settings.tool_environment(self.variables, kind=kind, directory=self._directory)
        if kind != "pip" and self._uv:
            file = self.scratch / "uv.toml"
            if not file.exists():
                config = settings.uv_config(self.variables, self._directory)
                _files.write_toml(file, config, private=True)
            env["UV_CONFIG_FILE"] = str(file)
        return env

    def _refuse_without_installer(self, interpreter: Interpreter) -> None:
        there = {one.name for one in check.installed(interpreter)}
        if not self._uv and "pip" not in there:
            raise NeedsUv(
                what="an environment without pip",
                reason=f"{self.job.environment.name} was made without pip, which would install.",
            )

    # -- resolve

    def _wheel(self, source: Local, interpreter: Interpreter) -> project.Wheel:
        """The wheel of a local project, built once in this run of nox."""
        if not source.path.exists():
            raise FileMissing(path=str(source.path), asked_by=str(source.origin))
        env = self._env("build")
        shelves = self.job.cache / _WHEELS
        _forget_old_runs(shelves, self.job.run)

        def build(directory: Path, out: Path) -> _process.Completed:
            command: list[str | Path]
            if self._uv:
                command = [self._uv, "build", "--wheel", "--python", interpreter.path,
                           "--out-dir", out, directory]  # fmt: skip
            else:
                command = [interpreter.path, "-I", "-m", "pip", "wheel", "--no-deps",
                           "--wheel-dir", out, directory]  # fmt: skip
            return _process.run(command, env=env, cwd=self.scratch)

        def copy(origin: Path, target: Path) -> Path:
            include = self.job.declaration.tree_include
            return tree.copy(origin, target, env=env, include=include)

        return project.build_once(
            source.path,
            store=shelves / self.job.run,
            interpreter=interpreter,
            build=build,
            copy=copy,
        )

    def _lock(self, gathered: Gathered, wheels: Mapping[Path, project.Wheel]) -> Lock:
        """The lock of the cell: the user's, or one that is resolved now."""
        interpreter = gathered.wanted.interpreter
        installed = self._installed_sources(gathered)
        locals_ = tuple(
            LockedLocal(
                name=wheels[source.path].name,
                version=wheels[source.path].version,
                directory=_relative(source.path, self.job.environment),
                content="" if source.editable else wheels[source.path].content,
                editable=source.editable,
            )
            for source in installed
        )
        for source in gathered.sources:
            wheel = wheels[source.path]
            lines = self._pyproject_lines()
            gathered = gathered.with_project(source, wheel.name, wheel.requires_dist, lines)
        declared = self._declared(gathered)
        path = self._lock_path()
        if path is not None:
            own = [local.name for local in locals_]
            lock = self._read_lock(path, interpreter, own, declared)
            return replace(lock, locals=locals_)
        gathered = self._with_lowest(gathered)
        names = {wheels[source.path].name: wheels[source.path].path for source in installed}
        place = self.scratch / "resolve"
        place.mkdir()
        try:
            packages = self._resolver(gathered).resolve(gathered.wanted, names, place)
        except _process.Refused as refused:
            raise self._questions.why(refused, gathered) from refused
        return Lock(
            packages=packages,
            environment=interpreter.lock_marker,
            locals=locals_,
            facts={"cell": self.job.name, "inputs": declared},
        )

    def _installed_sources(self, gathered: Gathered) -> list[Local]:
        own = [gathered.project] if gathered.project and gathered.installs_project else []
        return [*own, *gathered.wanted.locals]

    def _pyproject_lines(self) -> list[str]:
        try:
            return _files.read_text(self._directory / "pyproject.toml").splitlines()
        except OSError:
            return []

    def _read_lock(
        self, path: Path, interpreter: Interpreter, own: Iterable[NormalizedName], declared: str
    ) -> Lock:
        label = _relative(path, self.job.noxfile.path.parent)
        try:
            data = _files.read_toml(path)
        except FileNotFoundError:
            if not self.job.declaration.locked:
                raise FileMissing(path=label, asked_by="lock=") from None
            made = _relative(self.job.environment / stamp.LOCK_NAME, self.job.noxfile.path.parent)
            fix = f"run once without locked=True, then copy {made} to {label}"
            raise FileMissing(path=label, asked_by="locked=True", fix=fix) from None
        except ValueError as error:
            raise LockInvalid(path=label, problem=f"is not valid TOML: {error}") from error
        lock = Lock.from_pylock(data, path=label, interpreter=interpreter, own=own)
        recorded = lock.facts.get("inputs")
        if self.job.declaration.locked and recorded != declared:
            raise LockInvalid(
                path=label,
                problem=f"was made for another declaration of {self.job.name}",
                hint="the declaration has moved on: run once without locked=True, and copy the "
                "lock of the environment again",
            )
        return lock

    def _with_lowest(self, gathered: Gathered) -> Gathered:
        """Ask the index which releases the axis values `lowest` stand for."""
        for name in gathered.lowest:
            gathered = gathered.with_release(name, self._questions.lowest(name, gathered))
        return gathered

    def _resolver(self, gathered: Gathered) -> Resolver:
        if self._uv:
            return UvResolver(uv=self._uv, env=self._tool_env(gathered))
        return PipResolver(python=self.job.python, env=self._tool_env(gathered))

    @property
    def _questions(self) -> Questions:
        cooldown = self.job.declaration.cooldown
        return Questions(
            cell=self.job.cell,
            variables=self.variables,
            directory=self._directory,
            tool="uv" if self._uv else "pip",
            cooldown=f"{cooldown.days} days" if cooldown and cooldown.days else None,
        )

    # -- install and check

    def _installer(self, gathered: Gathered) -> Installer:
        if self._uv:
            copies = self.job.declaration.isolation == "copy"
            return UvInstaller(uv=self._uv, env=self._tool_env(gathered), copies=copies)
        return PipInstaller(env=self._tool_env(gathered))

    def _install(
        self,
        lock: Lock,
        gathered: Gathered,
        wheels: Mapping[Path, project.Wheel],
        interpreter: Interpreter,
    ) -> None:
        there = {one.name for one in check.installed(interpreter)}
        installer = self._installer(gathered)
        # pip stays where the host seeded it: the session's own `install` needs it.
        seeds = sorted((there & _SEEDS) - set(lock.pins) - {"pip"})
        built = [
            Built(
                name=wheels[source.path].name,
                wheel=wheels[source.path].path,
                sha256=wheels[source.path].sha256,
                source=source.path,
                editable=source.editable,
            )
            for source in self._installed_sources(gathered)
        ]
        place = self.scratch / "install"
        place.mkdir()
        try:
            if seeds:
                installer.uninstall(seeds, interpreter, place)
            installer.install(lock, built, interpreter, place)
        except _process.Refused as refused:
            raise self._questions.why(refused, gathered) from refused

    def _check(self, lock: Lock, interpreter: Interpreter) -> None:
        found = check.installed(interpreter)
        wrong = check.differences(lock.pins, found, tolerated={"pip"})
        wrong += check.missing_files(one for one in found if one.name in lock.pins)
        if wrong:
            raise WrongEnvironment(cell=self.job.name, differences=wrong)

    def _write(self, lock: Lock, inputs: str, interpreter: Interpreter) -> None:
        environment = self.job.environment
        _files.write_toml(environment / stamp.LOCK_NAME, lock.to_pylock())
        stamp.write(
            environment,
            stamp.Stamp(
                cell=self.job.name,
                python=interpreter.version,
                base_prefix=str(interpreter.base_prefix),
                inputs=inputs,
                lock=lock.digest,
                tool="uv" if self._uv else "pip",
                made=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            ),
        )

    # -- reuse

    def _complete(self, lock: Lock, interpreter: Interpreter) -> bool:
        """Whether the environment that is there is the one of the lock."""
        known = stamp.read(self.job.environment)
        return (
            known is not None
            and known.lock == lock.digest
            and known.python == interpreter.version
            and known.base_prefix == str(interpreter.base_prefix)
            and not check.differences(lock.pins, check.installed(interpreter), tolerated={"pip"})
        )

    def _unchanged(self, inputs: str, interpreter: Interpreter) -> Pins:
        """The pins of the environment that is there, if nothing has changed since."""
        known = stamp.read(self.job.environment)
        reason = ""
        if known is None:
            reason = "it is not complete"
        elif known.inputs != inputs:
            reason = "what is declared has changed"
        elif (known.python, known.base_prefix) != (
            interpreter.version,
            str(interpreter.base_prefix),
        ):
            reason = f"it was made with Python {known.python}"
        if reason or known is None:
            raise StaleEnvironment(cell=self.job.name, reason=reason)
        pins = recorded_pins(_files.read_toml(self.job.environment / stamp.LOCK_NAME))
        found = check.installed(interpreter)
        wrong = check.differences(pins, found, tolerated={"pip", *known.undeclared})
        if wrong:
            raise StaleEnvironment(cell=self.job.name, reason="; ".join(wrong))
        return pins


def note_undeclared(job: Job, provisioned: Provisioned) -> dict[str, str]:
    """What the session's function has installed by itself; kept in the stamp.

    Names and versions that are there now and are not in the lock.
    """
    pins = provisioned.pins
    found = {
        str(one.name): one.version
        for one in check.installed(provisioned.interpreter)
        if one.name != "pip" and str(pins.get(one.name, "absent")) != one.version
    }
    known = stamp.read(job.environment)
    if known is not None and dict(known.undeclared) != found:
        stamp.write(job.environment, replace(known, undeclared=found))
    return found


def _relative(path: Path, base: Path) -> str:
    try:
        return os.path.relpath(path, base).replace(os.sep, "/")
    except ValueError:  # Another drive of Windows.
        return str(path)


def _forget_old_runs(shelves: Path, run: str) -> None:
    """Remove the wheels of runs that ended long ago."""
    if (shelves / run).exists() or not shelves.exists():
        return
    for shelf in shelves.iterdir():
        if time.time() - shelf.stat().st_mtime > _STALE_RUN_SECONDS:
            _files.remove(shelf)
