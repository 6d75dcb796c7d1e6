"""What nox-envs keeps for a noxfile: found, and removed."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nox_envs import _files
from nox_envs.inside.cells import Orphan
from nox_envs.inside.cleaning import Doomed, Thing
from nox_envs.install import stamp
from nox_envs.looking import measured

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

__all__ = ["copied", "is_gone", "orphans", "remove", "things"]


def __dir__() -> list[str]:
    return __all__


_LEFT_OVER = "something in it cannot be removed"
_CAMPAIGNS = "campaigns"
_RUN = re.compile(r".+-\d{8}-\d{6}(-\d{1,3})?", re.DOTALL)
_OF_A_RUN = ("about.json", "journal.jsonl", "report.json")
"""Files of a campaign, of which each has one."""
_CACHE = re.compile(r"[a-z]+-v\d+|passes|scratch")
"""Slots are none: they are empty but for locks, which another nox may hold."""


def things(
    environments: Path, cache: Path, cells: Collection[Path]
) -> tuple[list[Thing], list[str]]:
    """All that is ours, and the names of environments that are not.

    `cells` are the environments that the noxfile has now. Ours is what carries our stamp, and
    what we have made in our own `cache`, which lies below `environments`: what a link leads to
    is somebody else's.
    """
    ours, others = _stamped(environments)
    found = [
        Thing(
            path=path,
            label=known.cell,
            kind="environment",
            used=_instant(path / stamp.STAMP_NAME),
            size=measured(path),
            orphaned=path not in cells,
        )
        for path, known in ours.items()
    ]
    runs = [path for path in _directories(cache / _CAMPAIGNS, below=environments)
            if _RUN.fullmatch(path.name) and any((path / one).is_file() for one in _OF_A_RUN)]  # fmt: skip
    buckets = [path for path in _directories(cache, below=environments)
               if _CACHE.fullmatch(path.name)]  # fmt: skip
    found += [_kept(path, "campaign") for path in runs]
    found += [_kept(path, "cache") for path in buckets]
    return found, [path.name for path in others]


def is_gone(project: Path | None) -> bool:
    """Whether a project is certainly no longer there; None is one that is not known.

    What cannot be asked is not gone; nor is what lies on a drive that may not be mounted.
    """
    if project is None:
        return False
    try:
        return not stat.S_ISDIR(project.stat().st_mode)
    except FileNotFoundError:
        with contextlib.suppress(OSError):
            return any(project.parent.iterdir())  # A place to mount something at is empty.
    except (OSError, ValueError):
        pass
    return False


def copied(place: Path, *, project: Path | None, lock: Path) -> Thing:
    """What is left of the copy of a project; `project` is None where it is not known."""
    return Thing(
        path=place,
        label=str(project or place.name),
        kind="copy",
        used=_newest(place),
        size=measured(place),
        orphaned=is_gone(project),
        lock=lock,
    )


def _kept(path: Path, kind: Literal["campaign", "cache"]) -> Thing:
    return Thing(path=path, label=path.name, kind=kind, used=_newest(path), size=measured(path))


def _stamped(environments: Path) -> tuple[dict[Path, stamp.Stamp], tuple[Path, ...]]:
    """The environments in a directory that carry our stamp, and those that do not.

    What has no `pyvenv.cfg` is no environment, and is not named at all; nor is a link.
    """
    ours: dict[Path, stamp.Stamp] = {}
    others: list[Path] = []
    try:
        entries = sorted(environments.iterdir())
    except OSError:
        return {}, ()
    for path in entries:
        if path.is_symlink() or not (path / "pyvenv.cfg").is_file():
            continue
        known = stamp.read(path)
        if known is None:
            others.append(path)
        else:
            ours[path] = known
    return ours, tuple(others)


def orphans(environments: Path, cells: Iterable[Path]) -> tuple[Orphan, ...]:
    """The environments of ours that no cell of the noxfile has; `cells` are theirs."""
    known = set(cells)
    return tuple(
        Orphan(cell=one.cell, environment=str(path), when=_instant(path / stamp.STAMP_NAME))
        for path, one in _stamped(environments)[0].items()
        if path not in known
    )


def remove(doomed: Iterable[Doomed]) -> list[Doomed]:
    """Remove what is to go; what cannot be removed says why.

    What has been made anew since it was looked at stays.
    """
    return [replace(one, failed=_removed(one.thing)) for one in doomed]


def _removed(thing: Thing) -> str:
    if thing.lock is None:
        return _removed_now(thing)
    from filelock import FileLock, Timeout  # noqa: PLC0415 - seldom needed

    try:
        with FileLock(thing.lock, timeout=0):
            # What says whose copy it is goes last. The lock stays: another one may wait for it.
            for path in sorted(thing.path.iterdir(), reverse=True):
                if path != thing.lock:
                    _files.remove(path)
            left = [path for path in thing.path.iterdir() if path != thing.lock]
    except Timeout:
        return "it is in use"
    except OSError as error:
        return error.strerror or str(error)
    return _LEFT_OVER if left else ""


def _removed_now(thing: Thing) -> str:
    try:
        if thing.kind == "environment":
            if _instant(thing.path / stamp.STAMP_NAME) != thing.used:
                return "it was made again in the meantime"
            stamp.remove(thing.path)  # First: half an environment is not to look like one.
        _files.remove(thing.path)
    except OSError as error:
        return error.strerror or str(error)
    return _LEFT_OVER if thing.path.exists() else ""


def _directories(path: Path, *, below: Path) -> list[Path]:
    """The directories in one that lies `below` another; none where a link leads to it."""
    top = below.resolve()
    try:
        return sorted(
            one
            for one in path.iterdir()
            if one.is_dir() and one.resolve() == top / one.relative_to(below)
        )
    except (OSError, ValueError):
        return []


def _newest(path: Path) -> datetime:
    """When something in a directory was written to last."""
    found = _seconds(path)
    for place, _, names in os.walk(path):
        found = max(found, _seconds(Path(place)), *(_seconds(Path(place, one)) for one in names))
    return datetime.fromtimestamp(found, timezone.utc)


def _instant(path: Path) -> datetime:
    return datetime.fromtimestamp(_seconds(path), timezone.utc)


def _seconds(path: Path) -> float:
    with contextlib.suppress(OSError):
        return path.lstat().st_mtime
    return 0.0
