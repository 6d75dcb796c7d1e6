"""The one recipe: declare, plan, resolve, install, check. Then, and only then, run.

An environment is made complete or made again; it is never repaired or resumed. Its
stamp is written last, so that whatever was interrupted is not mistaken for complete.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import NormalizedName
from packaging.version import Version

from nox_envs import _files, _process, discover
from nox_envs.errors import (
    DiskFull,
    FileMissing,
    InterpreterMissing,
    LockInvalid,
    NoPermission,
    NoxEnvsError,
    StaleEnvironment,
    WrongEnvironment,
)
from nox_envs.gather import Gathered, gather
from nox_envs.install import check, project, stamp
from nox_envs.install.interface import Built
from nox_envs.lock import Lock, LockedLocal, recorded_pins
from nox_envs.toolbox import Job, Toolbox

if TYPE_CHECKING:
    from nox_envs.interpreter import Interpreter
    from nox_envs.resolve.requests import Local, Request

__all__ = ["Job", "Provisioned", "note_undeclared", "provision"]


def __dir__() -> list[str]:
    return __all__


Pins = Mapping[NormalizedName, Version | None]
Wheels = Mapping[Path, project.Wheel]

_SEEDS = frozenset({"pip", "setuptools", "wheel"})
_SCRATCH = "scratch"


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
    begun = time.monotonic()
    try:
        with _files.scratch("cell", within=job.cache / _SCRATCH) as scratch:
            tools = Toolbox(job=job, variables=variables, scratch=scratch)
            interpreter, pins, fresh = _Recipe(job=job, tools=tools, scratch=scratch).follow()
            return Provisioned(
                interpreter=interpreter,
                pins=pins,
                tool=tools.name,
                seconds=time.monotonic() - begun,
                fresh=fresh,
            )
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull(path=str(error.filename or job.environment)) from error
        if isinstance(error, PermissionError):
            raise NoPermission(path=str(error.filename or job.environment)) from error
        raise


def note_undeclared(job: Job, provisioned: Provisioned) -> dict[str, str]:
    """What the session's function has installed by itself; kept in the stamp.

    Names and versions that are there now and are not in the lock.
    """
    pins = provisioned.pins
    found = {
        str(one.name): one.version
        for one in check.installed(provisioned.interpreter)
        if one.name != "pip" and not check.is_pinned(one, pins)
    }
    known = stamp.read(job.environment)
    if provisioned.fresh and (known is None or known.token != job.token):
        reason = "something else made it anew while the session ran in it"
        raise WrongEnvironment(cell=job.name, differences=(reason,))
    if known is not None and dict(known.undeclared) != found:
        stamp.write(job.environment, replace(known, undeclared=found))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recipe:
    job: Job
    tools: Toolbox
    scratch: Path

    def follow(self) -> tuple[Interpreter, Pins, bool]:
        job = self.job
        if job.reused and not job.no_install and not self._is_usable():
            return self._anew()
        interpreter = self._interpreter()
        self.tools.refuse_without_installer(interpreter)
        gathered = gather(
            job.declaration,
            job.cell,
            noxfile=job.noxfile,
            interpreter=interpreter,
            variables=self.tools.variables,
            exclude_newer=self._exclude_newer(),
        )
        inputs = self._inputs(gathered)
        if job.reused and job.no_install:
            return interpreter, self._unchanged(inputs, interpreter), False
        gathered, wheels = self._build(gathered, interpreter)
        lock = self._lock(gathered, wheels)
        if job.reused and self._complete(lock, interpreter):
            self._write(lock, inputs, wheels, interpreter)
            return interpreter, lock.pins, False
        if job.reused:
            job.recreate()
            again = self._interpreter()
            if (again.version, again.build) != (interpreter.version, interpreter.build):
                return replace(self, job=replace(job, reused=False)).follow()
            interpreter = again
        stamp.remove(job.environment)
        self._install(lock, gathered, wheels, interpreter)
        self._check(lock, interpreter)
        self._write(lock, inputs, wheels, interpreter)
        return interpreter, lock.pins, True

    def _anew(self) -> tuple[Interpreter, Pins, bool]:
        self.job.recreate()
        return replace(self, job=replace(self.job, reused=False)).follow()

    def _is_usable(self) -> bool:
        """Whether the environment that is there was complete once, and can still start."""
        if stamp.read(self.job.environment) is None:
            return False
        try:
            self.tools.refuse_without_installer(self._interpreter())
        except NoxEnvsError:
            return False
        return True

    # -- plan

    def _interpreter(self) -> Interpreter:
        """The interpreter of the environment, if it is the one that the cell names."""
        job = self.job
        found = discover.inspect(job.python, env=self.tools.variables, cell=job.name)
        asked = job.cell.python
        if asked is not None and not discover.answers(asked, found.version):
            raise InterpreterMissing(python=asked, found=(f"{found.version} in its environment",))
        return found

    def _exclude_newer(self) -> str | None:
        cooldown = self.job.declaration.cooldown
        if cooldown is None:
            return None
        earliest = datetime(1990, 1, 1, tzinfo=timezone.utc)  # Before the first release of all.
        now = datetime.now(timezone.utc)
        instant = now - cooldown if cooldown < now - earliest else earliest
        return instant.strftime("%Y-%m-%dT%H:%M:%SZ")

    def _lock_path(self) -> Path | None:
        declaration = self.job.declaration
        if declaration.locked:
            slug = "".join(c if c.isalnum() or c in "_-" else "-" for c in self.job.name)
            return self.job.directory / "locks" / f"pylock.{slug}.toml"
        return self.job.directory / declaration.lock if declaration.lock else None

    def _declared(self, gathered: Gathered) -> str:
        return gathered.digest(self.job.declaration.cooldown_text)

    def _inputs(self, gathered: Gathered) -> str:
        """A digest over what was declared, and the files that it names."""
        total = hashlib.sha256(self._declared(gathered).encode())
        total.update(gathered.wanted.interpreter.version.encode())
        total.update(self.job.declaration.isolation.encode())
        path = self._lock_path()
        if path is not None and path.exists():
            total.update(path.read_bytes())
        for source in gathered.sources:
            total.update(f"{source.path}\0{self.tools.digest(source)}".encode())
        return total.hexdigest()

    # -- resolve

    def _build(self, gathered: Gathered, interpreter: Interpreter) -> tuple[Gathered, Wheels]:
        """Build every local project, and those that it needs in turn."""
        wheels: dict[Path, project.Wheel] = {}
        while True:
            source = next((one for one in gathered.sources if one.path not in wheels), None)
            if source is None:
                return gathered, wheels
            wheel = self.tools.wheel(source, interpreter)
            wheels[source.path] = wheel
            gathered = gathered.with_project(source, wheel.name, wheel.requires_dist)

    def _lock(self, gathered: Gathered, wheels: Wheels) -> Lock:
        """The lock of the cell: the user's, or one that is resolved now."""
        installed = gathered.installed
        locals_ = tuple(self._locked(source, wheels[source.path]) for source in installed)
        declared = self._declared(gathered)
        path = self._lock_path()
        if path is not None:
            lock = replace(self._read_lock(path, gathered, locals_), locals=locals_)
            self._refuse_unmet(lock, gathered, declared, path)
            return lock
        for name in gathered.lowest:
            gathered = gathered.with_release(name, self.tools.questions.lowest(name, gathered))
        names = {wheels[source.path].name: wheels[source.path].path for source in installed}
        place = self.scratch / "resolve"
        place.mkdir(exist_ok=True)
        try:
            packages = self.tools.resolver(gathered).resolve(gathered.wanted, names, place)
        except _process.Refused as refused:
            raise self.tools.questions.why(refused, gathered) from refused
        return Lock(
            packages=packages,
            environment=gathered.wanted.interpreter.lock_marker,
            locals=locals_,
            facts={"cell": self.job.name, "inputs": declared},
        )

    def _locked(self, source: Local, wheel: project.Wheel) -> LockedLocal:
        # The code of an editable project is not in its environment, but its metadata is.
        content = f"{source.path} {wheel.metadata}" if source.editable else wheel.content
        return LockedLocal(
            name=wheel.name,
            version=wheel.version,
            directory=_relative(source.path, self.job.environment),
            content=hashlib.sha256(content.encode()).hexdigest(),
            editable=source.editable,
        )

    def _label(self, path: Path) -> str:
        return _relative(path, self.job.noxfile.path.parent)

    def _read_lock(self, path: Path, gathered: Gathered, locals_: tuple[LockedLocal, ...]) -> Lock:
        label = self._label(path)
        try:
            data = _files.read_toml(path)
        except (IsADirectoryError, PermissionError) as error:
            raise LockInvalid(path=label, problem=f"cannot be read: {error.strerror}") from error
        except FileNotFoundError:
            if not self.job.declaration.locked:
                raise FileMissing(path=label, asked_by="lock=") from None
            made = self._label(self.job.environment / stamp.LOCK_NAME)
            fix = f"run once without locked=True, then copy {made} to {label}"
            raise FileMissing(path=label, asked_by="locked=True", fix=fix) from None
        except ValueError as error:
            raise LockInvalid(path=label, problem=f"is not valid TOML: {error}") from error
        declaration = self.job.declaration
        return Lock.from_pylock(
            data,
            path=label,
            interpreter=gathered.wanted.interpreter,
            own=[local.name for local in locals_],
            base=path.parent,
            extras=declaration.extras,
            groups=declaration.groups,
        )

    def _refuse_unmet(self, lock: Lock, gathered: Gathered, declared: str, path: Path) -> None:
        """A lock must hold what is declared beside it; another one is not installed."""
        label = self._label(path)
        if self.job.declaration.locked and lock.facts.get("inputs") != declared:
            raise LockInvalid(
                path=label,
                problem=f"was made for another declaration of {self.job.name}",
                hint="the declaration has moved on: run once without locked=True, and copy the "
                "lock of the environment again",
            )
        for request in gathered.wanted.requests:
            problem = _unmet(request, lock.pins)
            if problem:
                raise LockInvalid(
                    path=label,
                    problem=f"{problem}, and this is declared: {request.origin}",
                    hint="lock again, or declare no more than the lock holds",
                )

    # -- install and check

    def _install(
        self, lock: Lock, gathered: Gathered, wheels: Wheels, interpreter: Interpreter
    ) -> None:
        there = {one.name for one in check.installed(interpreter)}
        installer = self.tools.installer(gathered)
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
            for source in gathered.installed
        ]
        place = self.scratch / "install"
        place.mkdir(exist_ok=True)
        path = self._lock_path()
        try:
            if seeds:
                installer.uninstall(seeds, interpreter, place)
            installer.install(lock, built, interpreter, place)
        except _process.Refused as refused:
            label = self._label(path) if path else ""
            raise self.tools.questions.why(refused, gathered, lock=label) from refused

    def _check(self, lock: Lock, interpreter: Interpreter) -> None:
        wrong = self._wrong(lock.pins, interpreter)
        if wrong:
            raise WrongEnvironment(cell=self.job.name, differences=wrong)

    def _wrong(
        self, pins: Pins, interpreter: Interpreter, undeclared: Mapping[str, str] | None = None
    ) -> tuple[str, ...]:
        """What differs between a lock and what is installed."""
        found = check.installed(interpreter)
        wrong = check.differences(pins, found, tolerated={"pip", *(undeclared or {})})
        return wrong + check.missing_files(one for one in found if one.name in pins)

    def _write(self, lock: Lock, inputs: str, wheels: Wheels, interpreter: Interpreter) -> None:
        environment = self.job.environment
        _files.write_toml(environment / stamp.LOCK_NAME, lock.to_pylock())
        stamp.write(
            environment,
            stamp.Stamp(
                cell=self.job.name,
                environment=str(environment),
                python=interpreter.version,
                base_prefix=str(interpreter.base_prefix),
                inputs=inputs,
                lock=lock.digest,
                isolation=self.job.declaration.isolation,
                sources={str(path): wheel.tree for path, wheel in wheels.items()},
                tool=self.tools.name,
                made=datetime.now(timezone.utc).isoformat(timespec="seconds"),
                token=self.job.token,
            ),
        )

    # -- reuse

    def _stale(self, known: stamp.Stamp | None, interpreter: Interpreter) -> str:
        """Why the environment that is there is not the one of its stamp; empty if it is."""
        if known is None:
            return "it is not complete"
        if known.environment != str(self.job.environment):
            return f"it was made in {known.environment} and moved"
        if known.isolation != self.job.declaration.isolation:
            return "isolation= has changed"
        if (known.python, known.base_prefix) != (
            interpreter.version,
            str(interpreter.base_prefix),
        ):
            return f"it was made with Python {known.python} of {known.base_prefix}"
        return ""

    def _complete(self, lock: Lock, interpreter: Interpreter) -> bool:
        """Whether the environment that is there is the one of the lock."""
        known = stamp.read(self.job.environment)
        if known is None or self._stale(known, interpreter) or known.lock != lock.digest:
            return False
        return not self._wrong(lock.pins, interpreter)

    def _unchanged(self, inputs: str, interpreter: Interpreter) -> Pins:
        """The pins of the environment that is there, if nothing has changed since."""
        known = stamp.read(self.job.environment)
        reason = self._stale(known, interpreter)
        if known is not None and not reason:
            changed = [path for path, was in known.sources.items() if self._tree(path) != was]
            if known.inputs != inputs:
                reason = "what is declared has changed"
            elif changed:
                reason = f"{self._label(Path(changed[0]))} has changed"
        if reason or known is None:
            raise StaleEnvironment(cell=self.job.name, reason=reason)
        pins = recorded_pins(_files.read_toml(self.job.environment / stamp.LOCK_NAME))
        wrong = self._wrong(pins, interpreter, known.undeclared)
        if wrong:
            raise StaleEnvironment(cell=self.job.name, reason="; ".join(wrong))
        return pins

    def _tree(self, path: str) -> str:
        return self.tools.digest_of(Path(path)) if Path(path).exists() else ""


def _unmet(request: Request, pins: Pins) -> str:
    """What a lock lacks of a requirement; empty if it has it."""
    if request.name not in pins:
        return "" if request.constraint else f"does not hold {request.name}"
    version, specifier = pins[request.name], request.requirement.specifier
    if version is None or specifier.contains(version, prereleases=True):
        return ""
    return f"holds {request.name} {version}"


def _relative(path: Path, base: Path) -> str:
    try:
        return os.path.relpath(path, base).replace(os.sep, "/")
    except ValueError:  # Another drive of Windows.
        return str(path)
