"""From a declaration to a lock: what a cell asks for, with its local projects built."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from packaging.utils import NormalizedName
from packaging.version import Version

from nox_envs import _files, _process, committed, discover, foreign_locks, settings
from nox_envs.committed import relative
from nox_envs.errors import FileMissing, InterpreterMissing, LockInvalid, WrongEnvironment
from nox_envs.gather import Gathered, gather
from nox_envs.install import project
from nox_envs.lock import Lock, LockedLocal

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from packaging.pylock import Package

    from nox_envs.interpreter import Interpreter
    from nox_envs.resolve.requests import Local, Request
    from nox_envs.toolbox import Job, Toolbox

__all__ = ["INTERPRETERS", "Pins", "Planner", "Wheels", "relative"]


def __dir__() -> list[str]:
    return __all__


INTERPRETERS = "interpreters-v1"
"""Where in the cache it is kept what interpreters have said."""
Pins = Mapping[NormalizedName, Version | None]
Wheels = Mapping[Path, project.Wheel]
NOTHING: Mapping[NormalizedName, Path] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """Plans the environment of one cell."""

    job: Job
    tools: Toolbox
    scratch: Path
    _instants: set[str] = field(default_factory=set, repr=False)
    """Those that stand for the cooldown: each is as good as the other."""

    def interpreter(self) -> Interpreter:
        """The interpreter of the environment, if it is the one that the cell names."""
        job = self.job
        asked = job.cell.python
        try:
            found = discover.inspect(
                job.python,
                env=self.tools.variables,
                cell=job.name,
                memory=job.memory or job.cache / INTERPRETERS,
                in_environment=not job.plans_only,
            )
        except WrongEnvironment as error:
            if not job.plans_only:
                raise
            note = "\n".join(error.differences)
            raise discover.missing(asked or str(job.python), self.tools.variables, note) from error
        if asked is not None and not discover.answers(asked, found.version):
            raise InterpreterMissing(python=asked, found=(f"{found.version} in its environment",))
        return found

    def gather(self, interpreter: Interpreter) -> Gathered:
        """What the cell asks for, before any project has been built."""
        job, declaration = self.job, self.job.declaration
        lock = declaration.lock or ""
        if lock.endswith(".txt"):  # It asks for what it pins.
            declaration = replace(declaration, requirements=(*declaration.requirements, lock))
        if lock.endswith("Pipfile.lock"):  # Its groups are categories.
            declaration = replace(declaration, groups=())
        found = gather(
            declaration,
            job.cell,
            noxfile=job.noxfile,
            interpreter=interpreter,
            variables=self.tools.variables,
            exclude_newer=self.exclude_newer(),
        )
        if not lock.endswith("Pipfile.lock"):
            return found
        pins = self._pins(job.directory / lock, found)
        requests = (*found.wanted.requests, *pins.requests)
        return replace(found, wanted=replace(found.wanted, requests=requests))

    def exclude_newer(self) -> str | None:
        cooldown = self.job.declaration.cooldown
        if cooldown is None:
            return None
        earliest = datetime(1990, 1, 1, tzinfo=timezone.utc)  # Before the first release of all.
        now = datetime.now(timezone.utc)
        instant = now - cooldown if cooldown < now - earliest else earliest
        text = instant.strftime("%Y-%m-%dT%H:%M:%SZ")
        self._instants.add(text)
        return text

    def lock_path(self) -> Path | None:
        declaration = self.job.declaration
        if declaration.locked:
            return committed.place(self.job.directory, self.job.name)
        return self.job.directory / declaration.lock if declaration.lock else None

    def _declared(self, gathered: Gathered) -> str:
        return gathered.digest(self.job.declaration.cooldown_text)

    def inputs(self, gathered: Gathered) -> str:
        """A digest over what was declared, and the files that it names."""
        total = hashlib.sha256(self._declared(gathered).encode())
        total.update(gathered.wanted.interpreter.version.encode())
        total.update(self.job.declaration.isolation.encode())
        path = self.lock_path()
        if path is not None and path.is_file():
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

    def lock(self, gathered: Gathered, wheels: Wheels, *, anew: bool = False) -> Lock:
        """The lock of the cell: the user's, or one that is resolved now.

        `anew` forgets what is remembered of it.
        """
        declared = self._declared(gathered)
        path = self.lock_path()
        if path is not None and not foreign_locks.is_exact(path.name):
            pins = self._pins(path, gathered)
            wanted = replace(
                gathered.wanted,
                requests=(*gathered.wanted.requests, *pins.limits),
                resolution="highest",
                prerelease=True,
                exclude_newer=None,
            )
            pinned = replace(gathered, wanted=wanted)
            lock = self.resolve(pinned, wheels, settles_lowest=True, anew=anew)
            pins.refuse(lock.packages)
            return replace(lock, facts={**lock.facts, "inputs": declared})
        if path is not None:
            locals_ = tuple(
                self._locked(source, wheels[source.path]) for source in gathered.installed
            )
            lock = replace(self._read_lock(path, gathered, locals_), locals=locals_)
            self._refuse_unmet(lock, gathered, declared, path)
            return lock
        lock = self.resolve(gathered, wheels, settles_lowest=True, anew=anew)
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
        settles_lowest: bool = False,
        anew: bool = False,
    ) -> Lock:
        """What is gathered, resolved now or remembered; `keep`, `no_build` as for `Resolver`.

        `twins` take the place of the wheels of local projects. Resolutions in different
        places may run side by side. `settles_lowest` has the index tell what an axis value
        `lowest` stands for; `anew` forgets what is remembered.
        """
        built = [wheels[source.path] for source in gathered.installed]
        names = {wheel.name: wheel.path for wheel in built} | dict(twins)
        limit = gathered.wanted.exclude_newer
        key = self.tools.question(
            gathered,
            wheels={wheel.name: f"{wheel.path.name} {wheel.metadata}" for wheel in built}
            | {name: f"{path.name} {_metadata(path)}" for name, path in twins.items()},
            keep=keep,
            no_build=no_build,
            limit=self.job.declaration.cooldown_text if limit in self._instants else limit,
            lowest=gathered.lowest if settles_lowest else (),
        )

        def ask() -> tuple[Package, ...]:
            wanted = gathered
            for name in gathered.lowest if settles_lowest else ():
                wanted = wanted.with_release(name, self.tools.questions.lowest(name, wanted))
            directory = _files.make_directory(self.scratch / place)
            try:
                return self.tools.resolver(wanted).resolve(
                    wanted.wanted, names, directory, keep=keep, no_build=no_build
                )
            except _process.Refused as refused:
                raise self.tools.questions.why(refused, wanted) from refused

        memory = self.tools.memory
        if anew:
            memory.forget(key)
        marker = gathered.wanted.interpreter.lock_marker
        return Lock(
            packages=memory.recall(key, marker, ask),
            environment=marker,
            locals=tuple(
                self._locked(source, wheels[source.path]) for source in gathered.installed
            ),
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

    def _pins(self, path: Path, gathered: Gathered) -> foreign_locks.Pins:
        declaration, label = self.job.declaration, self.label(path)
        if not path.is_file():
            raise FileMissing(path=label, asked_by="lock=", fix=_written_by(path))
        return foreign_locks.read(
            path,
            label=label,
            base=self.job.noxfile.path.parent.resolve(),
            markers=gathered.wanted.interpreter.markers,
            extras=declaration.extras,
            groups=declaration.groups,
            own=[source.path for source in gathered.installed],
            variables=self.tools.variables,
        )

    def _uv_lock(self, path: Path, gathered: Gathered) -> dict[str, Any]:
        """The part of a uv.lock that is declared, as a PEP 751 document."""
        declaration, label = self.job.declaration, self.label(path)
        with_project = declaration.project is not False or not declaration.groups
        is_member = path.parent.resolve() != self.job.directory
        root = gathered.pyproject.name if gathered.pyproject and is_member else None
        if self.tools.uv is None:
            return foreign_locks.uv_document(
                _files.read_text(path),
                label=label,
                root=root,
                markers=gathered.wanted.interpreter.markers,
                extras=declaration.extras,
                groups=declaration.groups,
                with_project=with_project,
            )
        options = ["--package", str(root)] if root else []
        for extra in declaration.extras:
            options += ["--extra", extra]
        for group in declaration.groups:
            options += ["--group" if with_project else "--only-group", group]
        return foreign_locks.uv_export(
            path,
            label=label,
            uv=self.tools.uv,
            env=settings.tool_environment(
                self.tools.variables, kind="uv", directory=self.job.directory
            ),
            python=gathered.wanted.interpreter.path,
            scratch=self.scratch,
            options=options,
        )

    def _read_lock(self, path: Path, gathered: Gathered, locals_: tuple[LockedLocal, ...]) -> Lock:
        label = self.label(path)
        if self.job.declaration.locked:
            committed.refuse_others(path, self.job.noxfile.path.parent)
        try:
            is_of_uv = path.name == "uv.lock" and path.is_file()
            data = self._uv_lock(path, gathered) if is_of_uv else _files.read_toml(path)
        except (IsADirectoryError, NotADirectoryError, PermissionError) as error:
            raise LockInvalid(path=label, problem=f"cannot be read: {error.strerror}") from error
        except FileNotFoundError:
            if not self.job.declaration.locked:
                fix = _written_by(path)
                raise FileMissing(path=label, asked_by="lock=", fix=fix) from None
            fix = f"write it:   {committed.COMMAND}"
            raise FileMissing(path=label, asked_by="locked=True", fix=fix) from None
        except ValueError as error:
            problem, hint = f"is not valid TOML: {error}", self._again(path)
            raise LockInvalid(path=label, problem=problem, hint=hint) from error
        declaration = self.job.declaration
        try:
            return Lock.from_pylock(
                data,
                path=label,
                interpreter=gathered.wanted.interpreter,
                own=[local.name for local in locals_],
                base=path.parent,
                extras=declaration.extras,
                groups=declaration.groups,
            )
        except LockInvalid as error:
            raise replace(error, hint=error.hint or self._again(path)) from error

    def _again(self, path: Path) -> str:
        """What to do about a lock of ours that cannot be used; nothing for one of others."""
        if not self.job.declaration.locked:
            return ""
        is_ours = "[tool.nox-envs]" in _files.read_exactly(path)
        what = "write it again" if is_ours else "move it away, and write the lock"
        return f"{what}:   {committed.COMMAND}"

    def _refuse_unmet(self, lock: Lock, gathered: Gathered, declared: str, path: Path) -> None:
        """A lock must hold what is declared beside it; another one is not installed."""
        label = self.label(path)
        if self.job.declaration.locked and lock.facts.get("inputs") != declared:
            now = committed.facts(gathered, self.job.name, self.job.declaration.cooldown_text)
            differences = "; ".join(committed.drift(lock.facts, now))
            raise LockInvalid(
                path=label,
                problem=f"was made for another declaration of {self.job.name}"
                + (f": {differences}" if differences else ""),
                hint=f"the declaration has moved on; lock again:   {committed.COMMAND}",
            )
        for request in gathered.wanted.requests:
            problem = _unmet(request, lock.pins)
            if problem:
                raise LockInvalid(
                    path=label,
                    problem=f"{problem}, and this is declared: {request.origin}",
                    hint="lock again, or declare no more than the lock holds",
                )


def _written_by(path: Path) -> str:
    """The hint that says how another tool writes its lock."""
    tools = {"uv.lock": "uv", "poetry.lock": "poetry", "Pipfile.lock": "pipenv"}
    tool = tools.get(path.name)
    return f"write it:   {tool} lock" if tool else ""


def _unmet(request: Request, pins: Pins) -> str:
    """What a lock lacks of a requirement; empty if it has it."""
    if request.name not in pins:
        return "" if request.constraint else f"does not hold {request.name}"
    version, specifier = pins[request.name], request.requirement.specifier
    if version is None or specifier.contains(version, prereleases=True):
        return ""
    return f"holds {request.name} {version}"


def _metadata(wheel: Path) -> str:
    return project.read_wheel(wheel, tree="").metadata
