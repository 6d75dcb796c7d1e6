"""Writes the locks that a team commits: every cell is resolved, and what changed is told."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import tomli_w
from packaging.pylock import Pylock, PylockValidationError

from nox_envs import _files, committed, settings
from nox_envs.errors import LockInvalid, NoxEnvsError, UsageError
from nox_envs.options import nearest
from nox_envs.planning import relative
from nox_envs.report.locked import LockFile, LockReport
from nox_envs.upgrade.column import planned
from nox_envs.upgrade.threads import side_by_side
from nox_envs.upgrade.trials import default_jobs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from packaging.pylock import Package

    from nox_envs.upgrade.column import Place
    from nox_envs.upgrade.options import CampaignOptions

__all__ = ["LockFiles"]


def __dir__() -> list[str]:
    return __all__


_OURS = "[tool.nox-envs]"
"""The table of a lock that says that it is one of ours."""
_OWNER = "noxfile"
"""The fact of a lock that says whose it is, relative to the directory of the session."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockFiles:
    """The locks of the cells of some sessions."""

    places: Sequence[Place]
    """The cells that are to be locked."""
    every: Sequence[Place]
    """All cells of the noxfile: no two of them share a file."""
    options: CampaignOptions
    noxfile: Path
    """Whose cells they are, noted in each file: another noxfile may have files beside them."""
    base: Path
    """What paths in reports are relative to."""
    cache: Path
    variables: Mapping[str, str]

    def run(self) -> tuple[LockReport, tuple[NoxEnvsError, ...]]:
        """Resolve all cells, side by side, and write what is not so in the files yet.

        What could not be locked is told in the report, and why is raised by nobody.
        Raises `UsageError` for names to upgrade that nobody has.
        """
        places = {place.name: place for place in self.places if not place.declaration.lock}
        self._refuse_unknown(list(places.values()))
        found: Mapping[str, tuple[LockFile, NoxEnvsError | None]] = {}
        if places:
            with _files.scratch("lock") as temporary:
                found = side_by_side(
                    lambda name: self._guarded(places[name], temporary),
                    places,
                    at_once=self.options.jobs or default_jobs(),
                )
        report = LockReport(
            sessions=tuple(dict.fromkeys(one.declaration.name for one in self.places)),
            files=tuple(file for file, _ in found.values()),
            removed=tuple(self._removed()),
            left_out=tuple((one.name, one.declaration.lock) for one in self.places
                           if one.declaration.lock),
            checks=self.options.check,
        )  # fmt: skip
        return report, tuple(error for _, error in found.values() if error)

    # -- one cell

    def _guarded(self, place: Place, temporary: Path) -> tuple[LockFile, NoxEnvsError | None]:
        path = self._path(place)
        try:
            with _files.explained(path):
                return self._lock(place, path, temporary), None
        except NoxEnvsError as error:
            summary = settings.redact(error.summary, self.variables)
            label = relative(path, self.base)
            return LockFile(cell=place.name, file=label, state="error", error=summary), error

    def _lock(self, place: Place, path: Path, temporary: Path) -> LockFile:
        before, unreadable = self._read(path)
        with planned(
            place, cache=self.cache, variables=self.variables, within=temporary
        ) as planner:
            interpreter = planner.interpreter()
            gathered, wheels = planner.build(planner.gather(interpreter), interpreter)
            lock = planner.resolve(
                gathered,
                wheels,
                keep=self._kept(before),
                settles_lowest=True,
            )
            facts = committed.facts(gathered, place.name, place.declaration.cooldown_text)
            facts[_OWNER] = relative(self.noxfile.resolve(), _directory(place))
            sources = {wheels[one.path].name: one.path for one in gathered.installed}
        now = committed.document(lock, facts, directory=path.parent, sources=sources)
        found = LockFile(
            cell=place.name,
            file=relative(path, self.base),
            state="new",
            packages=len(now["packages"]),
        )
        if unreadable:
            found = replace(found, state="unreadable", error=unreadable)
        is_, was = _decisive(_settled(now)), None if before is None else _decisive(before)
        if is_ == was:
            return replace(found, state="unchanged")
        if not self.options.check:
            _files.write_toml(path, now)
        return found if was is None else _compared(found, was, is_)

    def _path(self, place: Place) -> Path:
        directory = _directory(place)
        beside = [one.name for one in self.every if _directory(one) == directory]
        return directory / committed.DIRECTORY / committed.names([*beside, place.name])[place.name]

    def _read(self, path: Path) -> tuple[dict[str, Any] | None, str]:
        """The file that is there; None where a merge has left it in pieces, and what is wrong."""
        committed.refuse_others(path, self.base)
        try:
            found = _files.read_toml(path)
        except FileNotFoundError:
            return None, ""
        except ValueError as error:
            problem = str(error) or type(error).__name__
            if not _says_it_is_ours(path):
                raise LockInvalid(
                    path=relative(path, self.base),
                    problem=f"cannot be read, and names no {_OURS}, so it is not overwritten: "
                    + problem,
                    hint="move it away, and it is made anew",
                ) from error
            return None, problem
        if committed.facts_of(found) is None:
            raise LockInvalid(
                path=relative(path, self.base),
                problem="was not made by nox-envs, and is not overwritten",
                hint="move it away, or name it with lock=",
            )
        return found, ""

    def _kept(self, before: Mapping[str, Any] | None) -> list[Package]:
        """The pins that are not to move unless they must."""
        upgrade = self.options.upgrade
        if before is None or upgrade is None:
            return []
        return [one for one in _packages(before) if one.name not in upgrade]

    # -- all of them

    def _refuse_unknown(self, places: Sequence[Place]) -> None:
        known = set[str]()
        for place in places:
            with contextlib.suppress(LockInvalid):
                known |= {one.name for one in _packages(self._read(self._path(place))[0] or {})}
        for name in self.options.upgrade or ():
            if name not in known:
                near = (
                    nearest(name, sorted(known)) or "name what the locks hold, or nothing for all"
                )
                raise UsageError(problem=f"--upgrade {name}: no lock holds it", advice=(near,))

    def _removed(self) -> Iterator[tuple[str, str]]:
        """The files of cells that are gone, removed; none where only some cells are asked about."""
        if self.options.only or self.options.pythons:
            return
        for directory in dict.fromkeys(_directory(place) for place in self.places):
            beside = [one.name for one in self.every if _directory(one) == directory]
            names = committed.names(beside)
            for path in sorted((directory / committed.DIRECTORY).glob("pylock.*.toml")):
                try:
                    facts = committed.facts_of(_files.read_toml(path))
                except (OSError, ValueError):
                    continue
                cell = str((facts or {}).get("cell", ""))
                if facts is None or not cell or names.get(cell) == path.name:
                    continue
                if not self._owns(directory / str(facts.get(_OWNER, ""))):
                    continue
                if not self.options.check:
                    _files.remove(path)
                yield relative(path, self.base), cell

    def _owns(self, noxfile: Path) -> bool:
        """Whether the files of a noxfile are ours: also of none, and of one that is gone."""
        return not noxfile.is_file() or noxfile.samefile(self.noxfile)


def _says_it_is_ours(path: Path) -> bool:
    """Whether a file in pieces has the table that only ours have."""
    with contextlib.suppress(ValueError):
        return _OURS in _files.read_exactly(path)
    return False


def _directory(place: Place) -> Path:
    return (place.noxfile.path.parent / place.declaration.directory).resolve()


def _packages(data: Mapping[str, Any]) -> list[Package]:
    try:
        return list(Pylock.from_dict(data).packages) if data else []
    except PylockValidationError:
        return []


_CHANGEABLE = {"size", "upload-time"}
"""What an index tells of a file today and not tomorrow; the hash says which file it is."""


def _decisive(document: Mapping[str, Any]) -> dict[str, Any]:
    """Without its noxfile, and other things that decide nothing of what is locked."""
    facts = {key: value for key, value in (committed.facts_of(document) or {}).items()
             if key != _OWNER}  # fmt: skip
    packages = _without_changeable(document.get("packages"))
    return {**document, "packages": packages, "tool": {committed.TOOL: facts}}


def _without_changeable(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_changeable(each) for each in value]
    if isinstance(value, dict):
        return {key: _without_changeable(each) for key, each in value.items()
                if key not in _CHANGEABLE}  # fmt: skip
    return value


def _settled(document: Mapping[str, Any]) -> dict[str, Any]:
    """As it is when it is read again."""
    return _files.parse_toml(tomli_w.dumps(dict(document)))


def _compared(found: LockFile, before: Mapping[str, Any], now: Mapping[str, Any]) -> LockFile:
    """What a file says, and what it is to say."""
    old, new = ({one.name: one for one in _packages(each)} for each in (before, now))
    moved, others = dict[str, tuple[str | None, str | None]](), list[str]()
    for name in sorted(old.keys() | new.keys()):
        was, is_ = (_version(each.get(name)) for each in (old, new))
        if was != is_:
            moved[name] = (was, is_)
        elif old[name] != new[name]:
            others.append(f"the files of {name}")
    if before.get("environments") != now.get("environments"):
        others.insert(0, "the environment that it is for")
    facts = [committed.facts_of(each) or {} for each in (before, now)]
    return replace(
        found, state="changed", declared=committed.drift(*facts), moved=moved, others=tuple(others)
    )


def _version(package: Package | None) -> str | None:
    """The version; empty for a local project, which has none in a lock."""
    return None if package is None else str(package.version or "")
