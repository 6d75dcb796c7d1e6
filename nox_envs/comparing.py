"""What can be compared: an environment, a lock, a freeze, or a trial of an earlier run."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from packaging.pylock import PylockValidationError
from packaging.version import InvalidVersion, Version

from nox_envs import _files
from nox_envs._http import without_credentials
from nox_envs.errors import LockInvalid, UsageError
from nox_envs.inside.diff import Side, pins_of_freeze, pins_of_lock, projects_of_lock
from nox_envs.install import check, stamp

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["of_environment", "of_file", "of_run"]


def __dir__() -> list[str]:
    return __all__


_NAMED = 4
_SITES = ("lib*/py*/site-packages", "Lib/site-packages", "site-packages")
"""Where an environment keeps packages: on POSIX, on Windows, and as PyPy once did."""


def of_environment(environment: Path, label: str) -> Side | None:
    """What an environment holds, whoever installed it; None without a stamp."""
    known = stamp.read(environment)
    if known is None:
        return None
    locked = _of_lock(environment / stamp.LOCK_NAME, label)
    pins = {**locked.pins, **known.undeclared}
    sites = [place for pattern in _SITES for place in environment.glob(pattern)]
    if sites:
        found = {str(one.name): one.version for one in check.installed_in(sites)}
        if "pip" not in pins:
            found.pop("pip", None)  # Only there to install with.
        # What was locked without a version is not told by the one that it has.
        pins = {
            name: version if _is_version(pins.get(name, "0")) else pins[name]
            for name, version in found.items()
        }
    return replace(locked, pins=pins, python=known.python)


def of_file(path: Path, label: str) -> Side:
    """What a lock (PEP 751) or a freeze pins."""
    if path.suffix == ".toml":
        return _of_lock(path, label)
    try:
        pins = pins_of_freeze(_files.read_text(path))
    except OSError as error:
        raise LockInvalid(path=label, problem=f"cannot be read: {error.strerror}") from error
    if not pins:
        raise UsageError(
            problem=f"{label} pins nothing",
            advice=("name a pylock.toml, or lines such as urllib3==1.26.20",),
        )
    shown = {name: without_credentials(version) for name, version in pins.items()}
    return Side(label=label, pins=shown)


def of_run(campaigns: Path, word: str) -> Side | None:
    """The lock of a trial, `RUN:t4`, or of the baseline of a run; None where there is no such run.

    Raises `UsageError` where it is not clear which of its trials is meant.
    """
    name, _, trial = word.partition(":")
    directory = campaigns / name
    if not name or name in {".", ".."} or {"/", "\\"} & set(name) or not directory.is_dir():
        return None
    report = _report(directory)
    trials = {str(one.get("id")): one for one in report.get("trials", ())}
    baseline = [str(one.get("trial")) for one in report.get("baseline", {}).values()]
    chosen = trial or (baseline[0] if len(set(baseline)) == 1 else "")
    if chosen not in trials:
        there = [one for one in trials if not trial and one in baseline] or list(trials)
        said = f"has no trial {trial}" if trial else "has several trials"
        listed = ", ".join(f"{name}:{one}" for one in there[:_NAMED]) or "a run that has trials"
        raise UsageError(problem=f"{name} {said}", advice=(f"choose one of   {listed}",))
    one = trials[chosen]
    path = directory / str(one.get("lock") or "")
    if not path.is_file() or not path.resolve().is_relative_to(directory.resolve()):
        raise LockInvalid(path=word, problem="the lock of that trial is gone")
    return replace(_of_lock(path, word), python=str(one.get("python") or ""))


def _report(directory: Path) -> dict[str, Any]:
    path = directory / "report.json"
    try:
        return dict(json.loads(_files.read_text(path)))
    except (OSError, ValueError, TypeError) as error:
        problem = "has no report that can be read"
        raise UsageError(problem=f"{directory.name} {problem}") from error


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _of_lock(path: Path, label: str) -> Side:
    try:
        data = _files.read_toml(path)
        return Side(label=label, pins=pins_of_lock(data), projects=projects_of_lock(data))
    except OSError as error:
        raise LockInvalid(path=label, problem=f"cannot be read: {error.strerror}") from error
    except (ValueError, PylockValidationError) as error:
        raise LockInvalid(path=label, problem=f"is not a valid lock: {error}") from error
