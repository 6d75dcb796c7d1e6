"""States of an environment that a user can name: a lock, a freeze, a date, a commit, or now."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from packaging.markers import InvalidMarker, Marker
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from nox_envs import _files, _process, settings
from nox_envs.errors import FileMissing, LockInvalid, ReleaseNotFound, Unresolvable, UsageError
from nox_envs.lock import Lock
from nox_envs.resolve import requirements_file
from nox_envs.resolve.requests import applies
from nox_envs.run import tree
from nox_envs.upgrade.column import Column, opened

if TYPE_CHECKING:
    from pathlib import Path

    from nox_envs.resolve.requests import Request

__all__ = ["Pins", "States"]


def __dir__() -> list[str]:
    return __all__


Pins = Mapping[NormalizedName, Version]

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

    def read(self, text: str, column: Column) -> Pins:
        """The third-party pins of a state. Raises a `NoxEnvsError`."""
        if text == "now":
            return _pins(column.resolve({}, keep=False), column)
        if _DATE.fullmatch(text):
            return _pins(self._on(text, column), column)
        if text.startswith("git:"):
            return self._at(text.removeprefix("git:"), column)
        path = self.base / text
        if not path.is_file():
            raise FileMissing(
                path=text,
                asked_by="the command line",
                fix="name a lock, a file of pins, a date (2026-11-01), git:REV or now",
            )
        return self._from_file(path, text, column)

    def last_that_passed(self, column: Column) -> tuple[str, Pins]:
        """The newest lock with which the cell passed, in whatever campaign."""
        reports = [
            path
            for path in self.campaigns.glob("*/report.json")
            # A lower bound is no state that anybody has.
            if _read_json(path).get("kind") != "floors"
        ]
        for report in sorted(reports, key=_when,
                             reverse=True):  # fmt: skip
            for trial in reversed(_trials(report)):
                if trial.get("cell") == column.name and trial.get("outcome") == "pass":
                    path = report.parent / str(trial["lock"])
                    if path.is_file():
                        shown = (
                            path.relative_to(self.base) if path.is_relative_to(self.base) else path
                        )
                        return str(shown), self._from_file(path, str(shown), column)
        raise UsageError(
            problem=f"there is no lock with which {column.name} has passed",
            advice=("name the state that worked:   --good LOCK|FREEZE|DATE|git:REV",),
        )

    def _on(self, date: str, column: Column) -> Lock:
        """What a resolution would have given at the end of a day, or at an instant."""
        text = date.replace(" ", "T").replace("Z", "+00:00")
        try:
            instant = datetime.fromisoformat(text if "T" in text else f"{text}T23:59:59")
        except ValueError as error:
            raise UsageError(
                problem=f"{date} is not a date", advice=("write 2026-11-01, or 2026-11-01T10:00Z",)
            ) from error
        zoned = instant if instant.tzinfo else instant.replace(tzinfo=timezone.utc)
        shown = zoned.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        wanted = replace(column.gathered.wanted, exclude_newer=shown)
        earlier = replace(column, gathered=replace(column.gathered, wanted=wanted))
        try:
            return earlier.resolve({}, keep=False)
        except (ReleaseNotFound, Unresolvable) as error:
            raise UsageError(
                problem=f"on {date} this could not be installed: {error.summary}",
                advice=("name a later date, or a lock of that time",),
            ) from error

    def _at(self, revision: str, column: Column) -> Pins:
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
            return _pins(then.current, then)

    def _from_file(self, path: Path, label: str, column: Column) -> Pins:
        if path.suffix == ".toml":
            data = _read_toml(path, label)
            return _pins(
                Lock.from_pylock(
                    data, path=label, interpreter=column.interpreter, base=path.parent
                ),
                column,
            )
        if path.name == "uv.lock":
            return _uv_lock(_read_toml(path, label), column)
        contents = requirements_file.read(
            path,
            base=self.base,
            text_of=_files.read_text,
            variables=self.variables,
            constraint=False,
            asked_by="the command line",
        )
        markers = column.interpreter.markers
        pins = dict(
            filter(None, (_pin(one) for one in contents.requests
                          if applies(one.requirement, markers)))
        )  # fmt: skip
        if not pins:
            raise UsageError(
                problem=f"{label} pins nothing",
                advice=("a freeze has lines such as urllib3==1.26.20",),
            )
        own = {one.name for one in column.current.locals}
        return {name: version for name, version in pins.items() if name not in own}


def _pin(request: Request) -> tuple[NormalizedName, Version] | None:
    for spec in request.requirement.specifier:
        if spec.operator in {"==", "==="} and not spec.version.endswith(".*"):
            try:
                return request.name, Version(spec.version)
            except InvalidVersion:
                return None
    return None


def _pins(lock: Lock, column: Column) -> Pins:
    own = {one.name for one in column.current.locals}
    return {
        name: version
        for name, version in lock.pins.items()
        if version is not None and name not in own
    }


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


def _trials(report: Path) -> list[dict[str, Any]]:
    return list(_read_json(report).get("trials", ()))


def _read_json(path: Path) -> dict[str, Any]:
    """A report; an empty one where it cannot be read."""
    try:
        return dict(json.loads(_files.read_text(path)))
    except (OSError, ValueError, TypeError):
        return {}
