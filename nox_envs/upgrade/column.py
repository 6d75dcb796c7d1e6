"""A column of a campaign: one cell, its lock as it stands now, and what it could become."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import sys
import uuid
from dataclasses import dataclass, field, replace
from functools import lru_cache, reduce
from operator import and_
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import Version

from nox_envs import _files, _process, discover, settings
from nox_envs.cell import needs_venv
from nox_envs.errors import BuildNotAllowed, NoWheel, Unresolvable
from nox_envs.install import project
from nox_envs.planning import relative
from nox_envs.provision import Job, workshop
from nox_envs.questions import instant, usable_tags
from nox_envs.run.exchange import GivenWheel
from nox_envs.upgrade.candidates import Admission, declared, rewritten

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName

    from nox_envs.cell import Cell
    from nox_envs.declaration import Declaration
    from nox_envs.gather import Gathered, Noxfile
    from nox_envs.interpreter import Interpreter
    from nox_envs.lock import Lock
    from nox_envs.planning import Planner, Wheels
    from nox_envs.resolve.index import NotThere, Releases, Unreachable
    from nox_envs.resolve.requests import Request

__all__ = ["Column", "Place", "opened", "planned"]


def __dir__() -> list[str]:
    return __all__


_places = itertools.count()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A cell that a campaign asks about."""

    name: str
    """What nox calls it."""
    cell: Cell
    declaration: Declaration
    noxfile: Noxfile
    told: Mapping[str, str] = field(default_factory=dict)
    """What the session's function is told of the cell."""

    @property
    def python(self) -> str:
        return self.cell.python or f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A cell that was planned: all that its trials have in common."""

    place: Place
    planner: Planner
    interpreter: Interpreter
    gathered: Gathered
    wheels: Wheels
    current: Lock
    declared: Mapping[NormalizedName, tuple[Request, ...]]
    """What the user's own files ask for, by name."""
    twins: Mapping[NormalizedName, Path] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.place.name

    @property
    def is_locked(self) -> bool:
        """Whether a lock decides every release."""
        return bool(self.place.declaration.lock or self.place.declaration.locked)

    @property
    def is_pinned(self) -> bool:
        """Whether the user pins what is declared, as applications do."""
        if self.is_locked:
            return True
        asked = [each for requests in self.declared.values() for each in requests]
        pins = [
            each
            for each in asked
            if any(spec.operator in {"==", "==="} for spec in each.requirement.specifier)
        ]
        return len(pins) * 2 > len(asked)

    def is_its_project(self, file: str) -> bool:
        """Whether a file, relative to the noxfile, is the pyproject.toml of its directory."""
        path = self.place.noxfile.path.parent / file
        return path.name == "pyproject.toml" and path.parent.resolve() == self.gathered.directory

    def resolve(
        self,
        wanted: Mapping[NormalizedName, SpecifierSet],
        *,
        keep: bool = True,
        free: frozenset[NormalizedName] = frozenset(),
    ) -> Lock:
        """The lock with other versions of some names.

        `keep` moves no other pin that it need not move; those of `free` may move. Raises a
        `NoxEnvsError`.
        """
        requests = rewritten(self.gathered.wanted.requests, wanted)
        gathered = replace(self.gathered, wanted=replace(self.gathered.wanted, requests=requests))
        kept = [one for one in self.current.packages if one.name not in free] if keep else []
        refused: dict[NormalizedName, BuildNotAllowed] = {}
        while True:
            try:
                lock = self.planner.resolve(
                    gathered,
                    self.wheels,
                    keep=kept,
                    no_build=refused,
                    place=f"resolve-{next(_places)}",
                    twins=self.twins,
                )
            except (NoWheel, Unresolvable) as error:
                raise next(iter(refused.values()), error) from error
            found = self._new_builds(lock)
            if not found:
                return lock
            refused |= found

    def _new_builds(self, lock: Lock) -> dict[NormalizedName, BuildNotAllowed]:
        """Code of a stranger is only built where the user declared the name, or named it."""
        known = {*self.current.pins, *self.declared, *self.place.declaration.build}
        return {
            package.name: BuildNotAllowed(name=package.name, version=str(package.version))
            for package in lock.packages
            if package.sdist and not package.wheels and package.name not in known
        }

    def releases(self, name: NormalizedName) -> Releases | NotThere | Unreachable:
        """What the index has of a package."""
        return self.planner.tools.questions.releases(name, self.gathered)

    def admission(self, *, prerelease: bool) -> Admission:
        """Which releases may be tried."""
        return Admission(
            python=Version(self.interpreter.version),
            tags=usable_tags(self.interpreter),
            prerelease=prerelease or self.gathered.wanted.prerelease,
            uploaded_before=instant(self.gathered.wanted.exclude_newer),
        )

    def within(
        self, limits: Mapping[NormalizedName, SpecifierSet]
    ) -> dict[NormalizedName, SpecifierSet]:
        """What to ask of packages that are to stay within limits, besides what is declared."""
        return {
            name: reduce(
                and_,
                (request.requirement.specifier for request in self.declared.get(name, ())),
                limit,
            )
            for name, limit in limits.items()
        }

    def given_wheels(self) -> tuple[GivenWheel, ...]:
        """The local projects, as a trial is told of them."""
        base = self.place.noxfile.path.parent.resolve()
        content = {one.name: one.content for one in self.current.locals}
        found = []
        for source in self.gathered.installed:
            wheel = self.wheels[source.path]
            found.append(
                GivenWheel(
                    name=wheel.name,
                    version=str(wheel.version),
                    path=str(wheel.path),
                    sha256=wheel.sha256,
                    content=content.get(wheel.name, ""),
                    directory=relative(source.path.resolve(), base),
                    editable=source.editable,
                )
            )
        return tuple(found)


@contextlib.contextmanager
def opened(
    place: Place, *, cache: Path, variables: Mapping[str, str], within: Path | None = None
) -> Iterator[Column]:
    """Plan a cell, and what it gets now; as `planned`."""
    with planned(place, cache=cache, variables=variables, within=within) as planner:
        interpreter = planner.interpreter()
        gathered, wheels = planner.build(planner.gather(interpreter), interpreter)
        current = planner.lock(gathered, wheels)
        twins = {}
        for source in gathered.installed:
            if source is gathered.project:
                wheel = wheels[source.path]
                twins[wheel.name] = project.without_requirements(wheel, planner.scratch)
        own = {wheel.name for wheel in wheels.values()}
        known = declared(gathered.wanted.requests)
        yield Column(
            place=place,
            planner=planner,
            interpreter=interpreter,
            gathered=gathered,
            wheels=wheels,
            current=current,
            declared={name: each for name, each in known.items() if name not in own},
            twins=twins,
        )


@contextlib.contextmanager
def planned(
    place: Place, *, cache: Path, variables: Mapping[str, str], within: Path | None = None
) -> Iterator[Planner]:
    """A planner for a cell; what that takes is there until the end of the `with` statement.

    It lies `within` the cache, or where it is said. Raises a `NoxEnvsError`, `InterpreterMissing` among them.
    """
    with _files.scratch("column", within=within or cache / "scratch") as scratch:
        uv = settings.find_uv(variables)
        python = _base(place, variables)
        if not uv:
            python = _environment_of_pip(place, python, within or scratch, variables)
        job = Job(
            name=place.name,
            cell=place.cell,
            declaration=place.declaration,
            noxfile=place.noxfile,
            environment=scratch / "env",
            python=python,
            cache=cache,
            run=settings.run_id()[0],
            token=uuid.uuid4().hex,
            reused=False,
            no_install=False,
            recreate=_never,
            plans_only=bool(uv),
        )
        with workshop(job, variables, within=within) as planner:
            yield planner


def _never() -> None:
    """A plan has no environment, or an empty one that stays so."""


def _base(place: Place, variables: Mapping[str, str]) -> Path:
    """The interpreter that environments of the cell are made with."""
    asked = place.cell.python
    base = Path(sys.executable) if asked is None else _located(asked, tuple(variables.items()))
    if base is None:
        raise discover.missing(str(asked), variables)
    return base


@lru_cache
def _located(python: str, variables: tuple[tuple[str, str], ...]) -> Path | None:
    """Looked for once in a campaign, which has many columns of one Python."""
    return discover.locate(python, dict(variables))


def _environment_of_pip(
    place: Place, base: Path, within: Path, variables: Mapping[str, str]
) -> Path:
    """An empty environment, whose pip resolves where there is no uv; one for each interpreter."""
    from filelock import FileLock  # noqa: PLC0415 - seldom needed

    name = hashlib.sha256(str(base).encode()).hexdigest()[:16]
    directory = _files.make_directory(within / "pips") / name
    windows = sys.platform == "win32"
    python = directory / ("Scripts/python.exe" if windows else "bin/python")
    complete = directory / "complete"
    with FileLock(directory.with_suffix(".lock")):
        if complete.exists():
            return python
        _files.remove(directory)
        asked = place.cell.python or ""
        command: list[str | Path] = [base, "-I", "-m", "venv", directory]
        if not needs_venv(asked):
            # Else it starts another pip, behind our back, that looks for newer seeds.
            command = [
                sys.executable, "-m", "virtualenv", "--quiet", "--no-periodic-update",
                "--python", base, directory,
            ]  # fmt: skip
        env = settings.tool_environment(variables, kind="pip", directory=within)
        done = _process.run(command, env=env, cwd=within)
        if done.returncode != 0:
            raise discover.missing(asked or str(base), variables, note=done.output)
        _files.write_text(complete, "")
    return python
