"""States of an environment that a user can name, and what lies between two of them.

A state is a lock, a freeze, a date, a commit, or now.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from nox_envs import _files, _process, foreign_locks, settings
from nox_envs.errors import (
    FileMissing,
    IndexUnreachable,
    LockInvalid,
    NoxEnvsError,
    ReleaseNotFound,
    Unresolvable,
    UsageError,
)
from nox_envs.lock import Lock
from nox_envs.resolve import requirements_file
from nox_envs.resolve.index import NotThere, Unreachable, latest
from nox_envs.resolve.requests import COMMAND_LINE, Origin, Request, applies
from nox_envs.run import tree
from nox_envs.upgrade.candidates import place_of
from nox_envs.upgrade.column import Column, opened
from nox_envs.upgrade.threads import side_by_side

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "GONE",
    "NOTHING_HELD",
    "Between",
    "Holds",
    "Pins",
    "State",
    "States",
    "completed",
    "exactly",
]


def __dir__() -> list[str]:
    return __all__


Pins = Mapping[NormalizedName, Version]

GONE = Version("0.dev0")
"""Stands for no release at all: of a package that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a state says of the third-party packages that it has."""

    pins: Pins
    loose: frozenset[NormalizedName] = frozenset()
    """Those that it has at whatever release."""
    is_whole: bool = True
    """Whether all of them belong to the cell; there may be others that they need."""
    origins: Mapping[NormalizedName, Origin] = field(default_factory=dict)
    """The lines of the pins, of a file that has lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """What the user wants to be left alone."""

    limits: Mapping[NormalizedName, SpecifierSet] = field(default_factory=dict)
    """Within what a package has to be, beside what is declared of it."""
    pins: Pins = field(default_factory=dict)
    """What a package has to be, whatever is declared of it."""

    def of(self, column: Column) -> dict[NormalizedName, SpecifierSet]:
        """What to ask of a resolution."""
        pins = {name: exactly(version) for name, version in self.pins.items()}
        return column.within(self.limits) | pins

    def hold(self, state: State, label: str) -> State:
        """A state that was written down. Raises `UsageError` where it is not within the limits."""
        for name, limit in self.limits.items():
            version = state.pins.get(name)
            if version is not None and not limit.contains(version, prereleases=True):
                raise UsageError(
                    problem=f"--hold {name}{limit}: {label} has {name} {version}",
                    advice=(f"--hold {name} leaves it at its release of the good state",),
                )
        return replace(state, pins={**state.pins, **{
            name: version for name, version in self.pins.items() if name in state.pins
        }})  # fmt: skip


NOTHING_HELD = Holds()

_ORIGIN = Origin(file=COMMAND_LINE, line=None, text="")
_AT_ONCE = 8
"""Questions to the index."""
_OFFERING = {"matrix", "upgrade"}
"""Campaigns whose sets are meant to be had; the others put sets together to find something out."""
_NAMES = "name a lock, a file of pins, a date (2026-11-01), git:REV or now"
_BEFORE_ALL = datetime(1990, 1, 1, tzinfo=timezone.utc)
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d)?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """Reads what the command line names, for one column."""

    base: Path
    """What paths are relative to."""
    cache: Path
    campaigns: Path
    """Where earlier campaigns lie."""
    variables: Mapping[str, str]
    temporary: Path
    mode: Literal["keep", "fresh"] | None = None
    """Of what is resolved for `now`; by default a lock that the cell has decides."""

    def read(self, text: str, column: Column, holds: Holds = NOTHING_HELD) -> State:
        """What a state has. Raises a `NoxEnvsError`.

        What is resolved for it is resolved as `holds` wants it; a file has to agree with its limits.
        """
        if text == "now":
            return _state(self._now(column, holds), column)
        if _DATE.fullmatch(text):
            return _state(self._on(text, column, holds), column)
        if text.startswith("git:"):
            return self._at(text.removeprefix("git:"), column, holds)
        path = self.base / text
        if not text or (path.exists() and not path.is_file()):
            kind = "a directory" if path.is_dir() else "no regular file"
            problem = f"{text} is {kind}, and no state" if text else "an empty word names no state"
            raise UsageError(problem=problem, advice=(_NAMES,))
        if not path.is_file():
            raise FileMissing(path=text, asked_by=COMMAND_LINE, fix=_NAMES)
        state = self._from_file(path, text, column)
        _refuse_unreleased(state, text, column)
        return holds.hold(state, text)

    def last_that_passed(self, column: Column) -> tuple[str, State]:
        """The newest lock that somebody had, or was offered, and with which the cell passed."""
        for path in sorted(self.campaigns.glob("*/report.json"), key=_when, reverse=True):
            report = _read_json(path)
            if report.get("kind") == "culprit":  # It begins with the state that it was given.
                continue
            is_offer = report.get("kind") in _OFFERING
            for trial in reversed(report.get("trials", ())):
                passed = trial.get("cell") == column.name and trial.get("outcome") == "pass"
                if passed and (is_offer or not trial.get("changes")):
                    lock = path.parent / str(trial["lock"])
                    if lock.is_file():
                        inside = lock.is_relative_to(self.base)
                        shown = str(lock.relative_to(self.base) if inside else lock)
                        return shown, self._from_file(lock, shown, column)
        raise UsageError(
            problem=f"no earlier campaign has kept a lock with which {column.name} passed",
            advice=("name the state that worked:   --good LOCK|FREEZE|DATE|git:REV",),
        )

    def _now(self, column: Column, holds: Holds) -> Lock:
        limits = holds.of(column)
        keep = self.mode == "keep" or (self.mode is None and column.is_locked)
        return column.resolve(limits, keep=keep) if limits or not keep else column.current

    def _on(self, date: str, column: Column, holds: Holds) -> Lock:
        """What a resolution would have given at the end of a day, or at an instant."""
        text = date.replace(" ", "T").replace("Z", "+00:00")
        try:
            instant = datetime.fromisoformat(text if "T" in text else f"{text}T23:59:59")
        except ValueError as error:
            raise UsageError(
                problem=f"{date} is not a date", advice=("write 2026-11-01, or 2026-11-01T10:00Z",)
            ) from error
        now = datetime.now(timezone.utc)
        today = max(now.date(), now.astimezone(instant.tzinfo).date())  # As the user may count.
        if instant.date() > today:
            raise UsageError(
                problem=f"{date} has not come yet, and is no state",
                advice=("name a date that is past, or now",),
            )
        zoned = instant if instant.tzinfo else instant.replace(tzinfo=timezone.utc)
        zoned = max(zoned, _BEFORE_ALL)
        shown = zoned.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        wanted = replace(column.gathered.wanted, exclude_newer=shown)
        earlier = replace(column, gathered=replace(column.gathered, wanted=wanted))
        try:
            return earlier.resolve(holds.of(column), keep=False)
        except (ReleaseNotFound, Unresolvable) as error:
            raise UsageError(
                problem=f"on {date} this could not be installed: {error.summary}",
                advice=("name a later date, or a lock of that time",),
            ) from error

    def _at(self, revision: str, column: Column, holds: Holds) -> State:
        """What the files of a commit ask for, resolved now."""
        env = settings.tool_environment(self.variables, kind="build", directory=self.base)
        top = tree.root(self.base, env=env)
        target = self.temporary / f"revision-{uuid.uuid4().hex}"
        words = ["git", "rev-parse", "--verify", "--quiet", "--end-of-options",
                 f"{revision}^{{commit}}"]  # fmt: skip
        commit = _process.run(words, env=env, cwd=self.base).stdout.strip()
        if not commit:
            raise UsageError(
                problem=f"git:{revision} is no commit of this repository",
                advice=("name a branch, a tag or a commit that git knows",),
            )
        _files.make_directory(self.temporary)
        words = ["git", "clone", "--quiet", "--shared", "--no-checkout", str(top), str(target)]
        done = _process.run(words, env=env, cwd=self.temporary)
        if done.returncode == 0:
            words = ["git", "checkout", "--quiet", "--detach", commit]
            done = _process.run(words, env=env, cwd=target)
        if done.returncode != 0:
            raise UsageError(
                problem=f"git:{revision} cannot be checked out", advice=(done.output.strip(),)
            )
        inside = self.base.resolve().relative_to(top)
        noxfile = replace(
            column.place.noxfile, path=target / inside / column.place.noxfile.path.name
        )
        place = replace(column.place, noxfile=noxfile)
        with opened(
            place, cache=self.cache, variables=self.variables, within=self.temporary
        ) as then:
            limits = holds.of(then)
            return _state(then.resolve(limits) if limits else then.current, then)

    def _from_file(self, path: Path, label: str, column: Column) -> State:
        if path.suffix == ".toml":
            data = _read_toml(path, label)
            return _state(
                Lock.from_pylock(
                    data, path=label, interpreter=column.interpreter, base=path.parent
                ),
                column,
            )
        if path.name == "uv.lock":
            return State(pins=_uv_lock(_read_toml(path, label), column), is_whole=False)
        if path.name in {"poetry.lock", "Pipfile.lock"}:
            found = foreign_locks.read(
                path,
                label=label,
                base=self.base,
                markers=column.interpreter.markers,
                extras=column.place.declaration.extras,
                groups=None,
                own=[one.path for one in column.gathered.installed],
                variables=self.variables,
            )
            return State(pins=dict(filter(None, map(_pin, found.requests))), is_whole=False)
        contents = requirements_file.read(
            path,
            base=self.base,
            text_of=_files.read_text,
            variables=self.variables,
            constraint=False,
            asked_by=COMMAND_LINE,
        )
        markers = column.interpreter.markers
        asked = [one for one in contents.requests if applies(one.requirement, markers)]
        pins, origins = _pinned(asked)
        if not pins:
            raise UsageError(
                problem=f"{label} pins nothing",
                advice=("a freeze has lines such as urllib3==1.26.20",),
            )
        own = {one.name for one in column.current.locals}
        return State(
            pins={name: version for name, version in pins.items() if name not in own},
            loose=frozenset(one.name for one in asked) - pins.keys() - own,
            origins=origins,
        )


def _pin(request: Request) -> tuple[NormalizedName, Version] | None:
    for spec in request.requirement.specifier:
        if spec.operator in {"==", "==="} and not spec.version.endswith(".*"):
            try:
                return request.name, Version(spec.version)
            except InvalidVersion:
                return None
    return None


def _pinned(
    asked: Iterable[Request],
) -> tuple[dict[NormalizedName, Version], dict[NormalizedName, Origin]]:
    """The pins of a file, and their lines. Raises `UsageError` for two of one package."""
    pins, origins = dict[NormalizedName, Version](), dict[NormalizedName, Origin]()
    for request in asked:
        pin = _pin(request)
        if pin is None:
            continue
        name, version = pin
        if pins.setdefault(name, version) != version:
            raise UsageError(
                problem=f"{name} is pinned twice, to {pins[name]} and to {version}: "
                f"{place_of(origins[name])} and {place_of(request.origin)}",
                advice=("take one of the two lines out: a state has one release of a package",),
            )
        origins.setdefault(name, request.origin)
    return pins, origins


def _refuse_unreleased(state: State, label: str, column: Column) -> None:
    """Raise `ReleaseNotFound` for a pin of a file that cannot be had; what the cell needs counts.

    An index that does not know it is no proof: there are releases elsewhere. That is resolved.
    """
    current = column.current.pins
    others = [one for one in state.pins if one in current and current[one] != state.pins[one]]
    known = side_by_side(column.releases, others, at_once=_AT_ONCE)
    for name, found in known.items():
        version = state.pins[name]
        if isinstance(found, NotThere | Unreachable) or any(v.version == version for v in found):
            continue
        try:
            column.resolve({one: exactly(state.pins[one]) for one in others}, keep=False)
        except (ReleaseNotFound, Unresolvable) as error:
            origin = state.origins.get(name)
            raise ReleaseNotFound(
                name=name,
                wanted=str(version),
                addresses=(str(origin) if origin else f"{label}   {name}=={version}",),
                latest=str(latest(found) or ""),
                fix="take it out of that file, or name another state",
            ) from error
        return


def _state(lock: Lock, column: Column) -> State:
    own = {one.name for one in column.current.locals}
    return State(
        pins={
            name: version
            for name, version in lock.pins.items()
            if version is not None and name not in own
        }
    )


def _read_toml(path: Path, label: str) -> dict[str, Any]:
    try:
        return _files.read_toml(path)
    except ValueError as error:
        raise LockInvalid(path=label, problem=f"is not valid TOML: {error}") from error


def _uv_lock(data: Mapping[str, Any], column: Column) -> Pins:
    """The packages of a uv.lock that are for the interpreter of a column."""
    markers = {**column.interpreter.markers, "extra": ""}
    try:
        return {
            canonicalize_name(package["name"]): Version(package["version"])
            for package in data.get("package", ())
            if package.get("version")
            and "registry" in package.get("source", {})
            and _fits(package.get("resolution-markers", ()), markers)
        }
    except (InvalidMarker, InvalidVersion, KeyError, TypeError, AttributeError) as error:
        raise LockInvalid(path="uv.lock", problem=f"cannot be understood: {error}") from error


def _fits(texts: Sequence[str], markers: Mapping[str, str]) -> bool:
    return not texts or any(Marker(one).evaluate(dict(markers)) for one in texts)


def _when(report: Path) -> tuple[str, str]:
    """What orders campaigns: when they began, which their directories are named for."""
    name = report.parent.name
    found = re.search(r"\d{8}-\d{6}", name)
    return (found[0] if found else "", name)


def _read_json(path: Path) -> dict[str, Any]:
    """A report; an empty one where it cannot be read."""
    try:
        return dict(json.loads(_files.read_text(path)))
    except (OSError, ValueError, TypeError):
        return {}


# -- between two states


@dataclass(frozen=True, slots=True, kw_only=True)
class Between(Column):
    """Resolves to what lies between two states."""

    good: Pins
    bad: Pins

    @property
    def differing(self) -> tuple[NormalizedName, ...]:
        """What is not the same in both, or not in both, sorted."""
        names = self.good.keys() | self.bad.keys()
        return tuple(sorted(one for one in names if self.good.get(one) != self.bad.get(one)))

    @property
    def held(self) -> dict[NormalizedName, SpecifierSet]:
        """What is the same in both."""
        both = self.good.keys() & self.bad.keys()
        return {one: exactly(self.bad[one]) for one in sorted(both - set(self.differing))}

    def resolve(
        self,
        wanted: Mapping[NormalizedName, SpecifierSet],
        *,
        keep: bool = True,
        free: frozenset[NormalizedName] = frozenset(),
    ) -> Lock:
        """As `Column.resolve`; what only one state has is asked for, unless it may be `GONE`."""
        guests = (self.good.keys() ^ self.bad.keys()) & wanted.keys()
        absent = {one for one in guests if wanted[one].contains(GONE, prereleases=True)}
        left = without(self, absent)
        asked = {one.name for one in left.gathered.wanted.requests if not one.constraint}
        more = tuple(
            Request(requirement=Requirement(f"{one}{wanted[one]}"), origin=_ORIGIN)
            for one in sorted(guests - absent - asked)
        )
        left = _asking(left, (*left.gathered.wanted.requests, *more))
        return Column.resolve(left, wanted, keep=keep, free=free)

    def closure(self, name: str) -> frozenset[str] | None:
        """What has to be as in the bad state with one package; None: it resolves in no company."""
        good = {one: exactly(self.good.get(one, GONE)) for one in self.differing}
        one = next(each for each in self.differing if each == name)
        target = {one: exactly(self.bad.get(one, GONE))}
        between = {each: self._span(each) for each in self.differing}
        # What was removed stays as long as it can.
        stays = {each: spec for each, spec in good.items() if each not in self.bad}
        for others in (good, between | stays, between):
            try:
                lock = self.resolve({**self.held, **others, **target})
            except IndexUnreachable:
                return frozenset({name})
            except NoxEnvsError:
                continue
            moved = {each for each in self.differing if lock.pins.get(each) != self.good.get(each)}
            return frozenset(map(str, moved | {one}))
        return None

    def _span(self, name: NormalizedName) -> SpecifierSet:
        one, two = self.good.get(name, GONE), self.bad.get(name, GONE)
        return SpecifierSet(f">={min(one, two)},<={max(one, two)}")


def exactly(version: Version) -> SpecifierSet:
    """One release and no other."""
    return SpecifierSet(f"=={version}")


def without(column: Column, names: Collection[NormalizedName]) -> Column:
    """The same, asking for none of some packages itself."""
    requests = column.gathered.wanted.requests
    return _asking(column, tuple(one for one in requests if one.name not in names))


def completed(column: Column, state: State, other: State) -> dict[NormalizedName, Version]:
    """The pins of a state, with what these need of what only another state names.

    What it has at whatever release is as in the other one; of a state that names more than a cell
    has, only what the cell needs counts. Raises a `NoxEnvsError`.
    """
    loose = {name: at for name, at in other.pins.items() if name in state.loose}
    foreign = other.pins.keys() - state.pins.keys() - state.loose
    if not foreign and state.is_whole:
        return {**loose, **state.pins}
    wanted = {name: exactly(version) for name, version in state.pins.items()}
    pins = without(column, foreign).resolve(wanted).pins
    needed = {name: version for name in foreign if (version := pins.get(name)) is not None}
    own = {name: at for name, at in state.pins.items() if state.is_whole or name in pins}
    return loose | own | needed


def _asking(column: Column, requests: tuple[Request, ...]) -> Column:
    wanted = replace(column.gathered.wanted, requests=requests)
    return replace(column, gathered=replace(column.gathered, wanted=wanted))
