"""A copy of a project with a noxfile that the project does not have."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nox_envs import _files, settings
from nox_envs.errors import UsageError
from nox_envs.run import tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Borrowed", "Left", "borrowed", "home", "left"]


def __dir__() -> list[str]:
    return __all__


_PROJECTS = "projects-v1"
_ABOUT, _LOCK = "project.json", "lock"
_OURS = re.compile(r"[0-9a-f]{12}-.*", re.DOTALL)
_APART = frozenset({".git", ".nox"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Borrowed:
    """The copy. Environments and reports of earlier ones are in it."""

    noxfile: Path
    original: Path
    """The top of the tree that was copied."""
    copy: Path
    were: Mapping[str, str]
    """The digest of every file, by its place in both."""

    def give_back(self) -> tuple[str, ...]:
        """Write what was edited in the copy to the project; the places of these files.

        Raises `UsageError` where the project has changed in the meantime: then nothing is written.
        """
        edited = [name for name, was in self.were.items()
                  if (self.copy / name).is_file() and _files.sha256(self.copy / name) != was]  # fmt: skip
        for name in edited:
            path = self.original / name
            if not path.is_file() or _files.sha256(path) != self.were[name]:
                raise UsageError(
                    problem=f"{name} was changed in the meantime, so nothing is written",
                    advice=("run it again",),
                )
        for name in edited:
            _files.write_exactly(self.original / name, _files.read_exactly(self.copy / name))
        return tuple(edited)


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What an earlier campaign has left of a copy: environments, reports, caches."""

    place: Path
    lock: Path
    """Held while a campaign is running in it."""
    project: Path | None
    """What was copied; None where that is not known."""


def left(variables: Mapping[str, str]) -> list[Left]:
    """All that there is of any project, by name; what has another form is not ours."""
    try:
        places = sorted((home(variables) / _PROJECTS).iterdir())
    except OSError:
        return []
    return [
        Left(place=one, lock=one / _LOCK, project=_project(one / _ABOUT))
        for one in places
        if _OURS.fullmatch(one.name) and not one.is_symlink() and (one / "tree").is_dir()
    ]


def _project(about: Path) -> Path | None:
    directory = _read(about).get("directory")
    return Path(directory) if isinstance(directory, str) else None


def _read(about: Path) -> dict[str, Any]:
    """What is known of a copy; garbage is as good as nothing."""
    try:
        return dict(json.loads(_files.read_text(about)))
    except (OSError, ValueError, TypeError):
        return {}


def _reports(place: Path, top: Path, reports: Iterable[Path]) -> list[str]:
    """Reports of this campaign and of earlier ones, as far as they are no files of the project."""
    known = [str(one) for one in _read(place / _ABOUT).get("reports", ())]
    new = [one.relative_to(top).as_posix() for one in reports
           if one.is_relative_to(top) and not one.exists()]  # fmt: skip
    return list(dict.fromkeys([*known, *new]))


def home(variables: Mapping[str, str], *, platform: str = sys.platform) -> Path:
    """Where nox-envs keeps what belongs to no noxfile."""
    if platform == "win32":
        return Path(variables.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "nox-envs"
    base = variables.get("XDG_CACHE_HOME", "")
    known = (
        Path(base)
        if base.startswith("/")
        else Path(variables.get("HOME") or "~").expanduser() / ".cache"
    )
    return known / "nox-envs"


@contextlib.contextmanager
def borrowed(
    directory: Path, text: str, *, variables: Mapping[str, str], reports: Iterable[Path] = ()
) -> Iterator[Borrowed]:
    """Copy the tree that a project lies in, and put a noxfile beside the project's files.

    Afterwards environments and reports are left, outside of the project. Files that `reports`
    of this or of an earlier campaign are written to are not copied: a report changes no answer.
    Raises `UsageError` while another one is in use.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - heavy

    directory = directory.resolve()
    env = settings.tool_environment(variables, kind="build", directory=directory)
    top = tree.root(directory, env=env)
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    label = re.sub(r"[^\w.-]+", "-", directory.name)[:40]
    place = _files.make_directory(home(variables) / _PROJECTS / f"{digest}-{label}")
    copy = place / "tree"
    inside = copy / directory.relative_to(top)
    spared = inside / ".nox"
    try:
        with FileLock(place / _LOCK, timeout=0):
            about = {"directory": str(directory), "reports": _reports(place, top, reports)}
            _files.write_text(place / _ABOUT, json.dumps(about))
            _empty(copy, spared)
            tree.copy(top, copy, env=env)
            for name in about["reports"]:
                _files.remove(copy / name)
            were = {name: _files.sha256(copy / name) for name in _names(copy)}
            noxfile = _files.make_directory(inside) / "noxfile.py"
            _files.write_text(noxfile, text)
            try:
                yield Borrowed(noxfile=noxfile, original=top, copy=copy, were=were)
            finally:
                _empty(copy, spared)
    except Timeout as error:
        problem = f"another campaign of {directory} is running"
        raise UsageError(problem=problem, advice=("wait until it has ended",)) from error


def _empty(directory: Path, spared: Path) -> None:
    """Remove all that lies in a directory, but for one thing that lies below it."""
    for path in sorted(directory.iterdir()) if directory.is_dir() else []:
        if path in spared.parents:
            _empty(path, spared)
        elif path != spared:
            _files.remove(path)


def _names(directory: Path) -> Iterator[str]:
    for place, subdirectories, files in os.walk(directory):
        subdirectories[:] = [name for name in subdirectories if name not in _APART]
        for name in files:
            path = Path(place) / name
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(directory).as_posix()
