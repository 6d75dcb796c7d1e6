"""From a declaration to a lock: what a cell asks for, with its local projects built."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from packaging.utils import NormalizedName
from packaging.version import Version

from nox_envs import _files, _process, discover
from nox_envs.errors import FileMissing, InterpreterMissing, LockInvalid
from nox_envs.gather import Gathered, gather
from nox_envs.install import project, stamp
from nox_envs.lock import Lock, LockedLocal

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from packaging.pylock import Package

    from nox_envs.interpreter import Interpreter
    from nox_envs.resolve.requests import Local, Request
    from nox_envs.toolbox import Job, Toolbox

__all__ = ["Pins", "Planner", "Wheels", "relative"]


def __dir__() -> list[str]:
    return __all__


Pins = Mapping[NormalizedName, Version | None]
Wheels = Mapping[Path, project.Wheel]
NOTHING: Mapping[NormalizedName, Path] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """Plans the environment of one cell."""

    job: Job
    tools: Toolbox
    scratch: Path

    def interpreter(self) -> Interpreter:
        """The interpreter of the environment, if it is the one that the cell names."""
        job = self.job
        found = discover.inspect(job.python, env=self.tools.variables, cell=job.name)
        asked = job.cell.python
        if asked is not None and not discover.answers(asked, found.version):
            raise InterpreterMissing(python=asked, found=(f"{found.version} in its environment",))
        return found

    def gather(self, interpreter: Interpreter) -> Gathered:
        """What the cell asks for, before any project has been built."""
        job = self.job
        return gather(
            job.declaration,
            job.cell,
            noxfile=job.noxfile,
            interpreter=interpreter,
            variables=self.tools.variables,
            exclude_newer=self.exclude_newer(),
        )

    def exclude_newer(self) -> str | None:
        cooldown = self.job.declaration.cooldown
        if cooldown is None:
            return None
        earliest = datetime(1990, 1, 1, tzinfo=timezone.utc)  # Before the first release of all.
        now = datetime.now(timezone.utc)
        instant = now - cooldown if cooldown < now - earliest else earliest
        return instant.strftime("%Y-%m-%dT%H:%M:%SZ")

    def lock_path(self) -> Path | None:
        declaration = self.job.declaration
        if declaration.locked:
            slug = "".join(c if c.isalnum() or c in "_-" else "-" for c in self.job.name)
            return self.job.directory / "locks" / f"pylock.{slug}.toml"
        return self.job.directory / declaration.lock if declaration.lock else None

    def _declared(self, gathered: Gathered) -> str:
        return gathered.digest(self.job.declaration.cooldown_text)

    def inputs(self, gathered: Gathered) -> str:
        """A digest over what was declared, and the files that it names."""
        total = hashlib.sha256(self._declared(gathered).encode())
        total.update(gathered.wanted.interpreter.version.encode())
        total.update(self.job.declaration.isolation.encode())
        path = self.lock_path()
        if path is not None and path.exists():
            total.update(_files.sha256(path).encode())
        for source in gathered.sources:
            total.update(f"{source.path}\0{self.tools.digest(source)}".encode())
        return total.hexdigest()

    def build(self, gathered: Gathered, interpreter: Interpreter) -> tuple[Gathered, Wheels]:
        """Build every local project, and those that it needs in turn."""
        wheels: dict[Path, project.Wheel] = {}
        while True:
            source = next((one for one in gathered.sources if one.path not in wheels), None)
            if source is None:
                return gathered, wheels
            wheel = self.tools.wheel(source, interpreter)
            wheels[source.path] = wheel
            gathered = gathered.with_project(source, wheel.name, wheel.requires_dist)

    def lock(self, gathered: Gathered, wheels: Wheels) -> Lock:
        """The lock of the cell: the user's, or one that is resolved now."""
        declared = self._declared(gathered)
        path = self.lock_path()
        if path is not None:
            locals_ = tuple(
                self._locked(source, wheels[source.path]) for source in gathered.installed
            )
            lock = replace(self._read_lock(path, gathered, locals_), locals=locals_)
            self._refuse_unmet(lock, gathered, declared, path)
            return lock
        for name in gathered.lowest:
            gathered = gathered.with_release(name, self.tools.questions.lowest(name, gathered))
        lock = self.resolve(gathered, wheels)
        return replace(lock, facts={**lock.facts, "inputs": declared})

    def resolve(
        self,
        gathered: Gathered,
        wheels: Wheels,
        *,
        keep: Sequence[Package] = (),
        no_build: Collection[str] = (),
        place: str = "resolve",
        twins: Mapping[NormalizedName, Path] = NOTHING,
    ) -> Lock:
        """What is gathered, resolved now; `keep` and `no_build` as for `Resolver`.

        `twins` take the place of the wheels of local projects. Resolutions in different
        places may run side by side.
        """
        installed = gathered.installed
        names = {wheels[source.path].name: wheels[source.path].path for source in installed}
        directory = self.scratch / place
        _files.make_directory(directory)
        resolver = self.tools.resolver(gathered)
        try:
            packages = resolver.resolve(
                gathered.wanted, {**names, **twins}, directory, keep=keep, no_build=no_build
            )
        except _process.Refused as refused:
            raise self.tools.questions.why(refused, gathered) from refused
        return Lock(
            packages=packages,
            environment=gathered.wanted.interpreter.lock_marker,
            locals=tuple(self._locked(source, wheels[source.path]) for source in installed),
            facts={"cell": self.job.name},
        )

    def _locked(self, source: Local, wheel: project.Wheel) -> LockedLocal:
        # The code of an editable project is not in its environment, but its metadata is.
        content = f"{source.path} {wheel.metadata}" if source.editable else wheel.content
        return LockedLocal(
            name=wheel.name,
            version=wheel.version,
            directory=relative(source.path, self.job.environment),
            content=hashlib.sha256(content.encode()).hexdigest(),
            editable=source.editable,
        )

    def label(self, path: Path) -> str:
        return relative(path, self.job.noxfile.path.parent)

    def _read_lock(self, path: Path, gathered: Gathered, locals_: tuple[LockedLocal, ...]) -> Lock:
        label = self.label(path)
        try:
            data = _files.read_toml(path)
        except (IsADirectoryError, PermissionError) as error:
            raise LockInvalid(path=label, problem=f"cannot be read: {error.strerror}") from error
        except FileNotFoundError:
            if not self.job.declaration.locked:
                raise FileMissing(path=label, asked_by="lock=") from None
            made = self.label(self.job.environment / stamp.LOCK_NAME)
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
        label = self.label(path)
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


def _unmet(request: Request, pins: Pins) -> str:
    """What a lock lacks of a requirement; empty if it has it."""
    if request.name not in pins:
        return "" if request.constraint else f"does not hold {request.name}"
    version, specifier = pins[request.name], request.requirement.specifier
    if version is None or specifier.contains(version, prereleases=True):
        return ""
    return f"holds {request.name} {version}"


def relative(path: Path, base: Path) -> str:
    """A path as it is shown; whole where it lies on another drive."""
    try:
        return os.path.relpath(path, base).replace(os.sep, "/")
    except ValueError:  # Another drive of Windows.
        return str(path)
