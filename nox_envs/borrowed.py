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
from nox_envs.errors import NotApplied, NoxEnvsError, UsageError
from nox_envs.run import tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["Borrowed", "Left", "borrowed", "home", "left", "reported"]


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
    leads_out: bool = False
    """Whether links of the copy lead to what is not in it."""

    def give_back(self) -> tuple[str, ...]:
        """Write what was edited in the copy to the project; the places of these files.

        It is all or nothing. Raises `UsageError` where the project has changed in the meantime,
        and `NotApplied` where a file cannot be written; each file is then as it was.
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
        before: dict[str, str] = {}
        written: list[str] = []
        try:
            with _files.explained(self.original):
                before |= {name: _files.read_exactly(self.original / name) for name in edited}
                for name in edited:
                    text = _files.read_exactly(self.copy / name)
                    written.append(name)
                    _files.write_exactly(self.original / name, text)
        except BaseException as error:
            left = self._not_taken_back(before)
            if not (left or isinstance(error, (NoxEnvsError, OSError))):
                raise
            raise _failed(error, left, written[-1:]) from error
        return tuple(edited)

    def _not_taken_back(self, before: Mapping[str, str]) -> list[str]:
        """Have files hold what they held; those that cannot."""
        left = []
        for name, text in before.items():
            path = self.original / name
            try:
                if _files.read_exactly(path) != text:
                    _files.write_exactly(path, text)
            except OSError:
                left.append(name)
        return left


def _failed(error: BaseException, left: Sequence[str], last: Sequence[str]) -> NoxEnvsError:
    """What to say where not all could be written; `left` could not be taken back.

    The system may name a file that lay beside the `last` one only for a moment.
    """
    reason = error.message if isinstance(error, NoxEnvsError) else str(error) or "interrupted"
    if left:
        problem = f"{reason}; what was written before could not be taken back: {', '.join(left)}"
        return UsageError(problem=problem, advice=("look at these files before you go on",))
    hints = error.hints if isinstance(error, NoxEnvsError) else ()
    return NotApplied(reason=reason, places=tuple(last), advice=hints, restored=True)


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


def _known(about: Mapping[str, Any]) -> dict[str, str]:
    """The reports that were written into a project, and what they held; "" where none was yet."""
    found = about.get("reports")
    return {
        name: digest
        for name, digest in (found.items() if isinstance(found, dict) else ())
        if isinstance(digest, str) and not Path(name).anchor and ".." not in Path(name).parts
    }


def _holds(top: Path, name: str, digest: str) -> bool:
    """Whether it is a plain file with that content, to which no link leads."""
    path = top / name
    try:
        is_there = path.is_file() and path.resolve() == top.resolve() / name
        return is_there and _files.sha256(path) == digest
    except OSError:
        return False


def _digested(top: Path, known: Mapping[str, str], written: Iterable[Path]) -> dict[str, str]:
    """What is known of reports, after some of them have been written."""
    found = dict(known)
    for path in written:
        name = path.relative_to(top).as_posix() if path.is_relative_to(top) else ""
        if name in found and path.is_file():
            with contextlib.suppress(OSError):
                found[name] = _files.sha256(path)
    return found


def reported(directory: Path, report: Path, *, variables: Mapping[str, str]) -> None:
    """Say that a report of campaigns of a project was written after they had ended.

    Later copies leave it out, as those that were written during a campaign.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - heavy

    place = _place(directory.resolve(), variables)
    if not (place / _ABOUT).is_file():
        return
    with contextlib.suppress(Timeout), FileLock(place / _LOCK, timeout=0):
        about = _read(place / _ABOUT)
        if isinstance(about.get("top"), str):
            known = _digested(Path(about["top"]), _known(about), [report.resolve()])
            _files.write_text(place / _ABOUT, json.dumps({**about, "reports": known}))


def _place(directory: Path, variables: Mapping[str, str]) -> Path:
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    label = re.sub(r"[^\w.-]+", "-", directory.name)[:40]
    return home(variables) / _PROJECTS / f"{digest}-{label}"


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

    Afterwards environments and reports are left, outside of the project. What this campaign, or
    an earlier one, has written to `reports` is not copied, as long as it holds what was written:
    a report changes no answer. Raises `UsageError` while another one is in use.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - heavy

    directory = directory.resolve()
    env = settings.tool_environment(variables, kind="build", directory=directory)
    top = tree.root(directory, env=env)
    place = _files.make_directory(_place(directory, variables))
    copy = place / "tree"
    inside = copy / directory.relative_to(top)
    spared = inside / ".nox"
    try:
        with FileLock(place / _LOCK, timeout=0):
            reports = list(reports)
            known = {name: digest for name, digest in _known(_read(place / _ABOUT)).items()
                     if _holds(top, name, digest)}  # fmt: skip
            known |= {one.relative_to(top).as_posix(): "" for one in reports
                      if one.is_relative_to(top) and not one.exists()}  # fmt: skip
            about = {"directory": str(directory), "top": str(top), "reports": known}
            _files.write_text(place / _ABOUT, json.dumps(about))
            _empty(copy, spared)
            tree.copy(top, copy, env=env)
            leads_out = tree.detach(copy, top, env=env)
            for name, digest in known.items():
                if _holds(copy, name, digest):
                    _files.remove(copy / name)
            were = {name: _files.sha256(copy / name) for name in _names(copy)}
            noxfile = _files.make_directory(inside) / "noxfile.py"
            _files.write_text(noxfile, text)
            try:
                yield Borrowed(
                    noxfile=noxfile, original=top, copy=copy, were=were, leads_out=leads_out
                )
            finally:
                _empty(copy, spared)
                about["reports"] = _digested(top, known, reports)
                _files.write_text(place / _ABOUT, json.dumps(about))
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
