"""Whether something has written into installed files that other environments share.

An installer that hardlinks its cache into an environment gives away the cache with it: what is
written into such a file, instead of beside it, is in every environment that has it, and in
those that come.
"""

from __future__ import annotations

import contextlib
import csv
import glob
import os
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from nox_envs import _files
from nox_envs.install import bytecode, check, record

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from packaging.utils import NormalizedName

    from nox_envs.install.via_uv import UvInstaller
    from nox_envs.interpreter import Interpreter

__all__ = ["Change", "Kind", "Snapshot", "changed", "has", "heal", "snapshot", "verify"]


def __dir__() -> list[str]:
    return __all__


class Kind(Enum):
    """What was done to a shared file."""

    CONTENT = "content"
    """It says something else now, or may do so where no digest of it is known."""
    MODE = "mode"
    """Its permissions are others; what it says is the same."""
    TOUCHED = "touched"
    """It was written to, and says what it should: harmless now, if not in the meantime."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A shared file that is not what it was."""

    path: Path
    distribution: NormalizedName | None
    """Whose file it is; None for bytecode, and for what no RECORD lists."""
    kind: Kind
    inode: int

    @property
    def lasts(self) -> bool:
        """Whether environments that are made from now on would have it too."""
        return self.kind is not Kind.TOUCHED


_Facts = tuple[int, int, int, int]
"""Inode, size, time of the last change to the content, mode. Not `ctime`: a link changes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The files that an environment shares, as they are before something runs in it."""

    interpreter: Interpreter
    files: Mapping[str, _Facts] = field(repr=False)


def snapshot(interpreter: Interpreter) -> Snapshot:
    """What is shared now: every file of the environment that has another name elsewhere.

    Scripts and data files, too: uv links them as well.
    """
    files: dict[str, _Facts] = {}
    pending = [str(interpreter.prefix)]
    while pending:
        with contextlib.suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                path = entry.path
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
                    continue
                seen = os.lstat(path)  # `DirEntry.stat` counts no links on Windows.
                if seen.st_nlink > 1:
                    files[path] = seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_mode
    return Snapshot(interpreter=interpreter, files=files)


def changed(before: Snapshot) -> tuple[Change, ...]:
    """The shared files that were written to since, sorted by path.

    A file that was replaced or removed is none of others' business. A writer that restores the
    time of the last change goes unnoticed: see `verify`.
    """
    hits = {}
    for path, was in before.files.items():
        try:
            seen = os.lstat(path)
        except OSError:
            continue
        now = seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_mode
        if now != was and now[0] == was[0]:
            hits[path] = was, now
    if not hits:
        return ()
    recorded = _recorded(before.interpreter)
    return tuple(
        _change(path, was, now, *recorded.get(os.path.realpath(path), (None, "")))
        for path, (was, now) in sorted(hits.items())
    )


def _change(
    path: str, was: _Facts, now: _Facts, owner: NormalizedName | None, sha256: str
) -> Change:
    differs = _sha256(path) != sha256 if sha256 else now[1:3] != was[1:3]
    kind = Kind.CONTENT if differs else Kind.MODE if now[3] != was[3] else Kind.TOUCHED
    return Change(path=Path(path), distribution=owner, kind=kind, inode=now[0])


def _sha256(path: str) -> str:
    """The digest of a file; none of all digests where it cannot be read any more."""
    try:
        return _files.sha256(Path(path))
    except OSError:
        return "unreadable"


def verify(interpreter: Interpreter) -> tuple[Change, ...]:
    """Every installed file whose content is not what its RECORD says, whoever has changed it."""
    return tuple(
        Change(path=Path(path), distribution=owner, kind=Kind.CONTENT, inode=seen.st_ino)
        for path, (owner, sha256) in sorted(_recorded(interpreter).items())
        for seen in _stat(path)
        if sha256 and _sha256(path) != sha256
    )


def _stat(path: str) -> Iterator[os.stat_result]:
    with contextlib.suppress(OSError):
        yield Path(path).stat()


def _recorded(interpreter: Interpreter) -> dict[str, tuple[NormalizedName, str]]:
    """Every file that a distribution lists, with its owner and sha256, by its real path."""
    found = {}
    for one in check.installed(interpreter):
        with contextlib.suppress(OSError, csv.Error):
            site = os.path.realpath(one.metadata.parent)
            for name, digest in record.rows(one.metadata):
                path = os.path.normpath(f"{site}{os.sep}{name}")
                found[path] = one.name, record.sha256(digest)
    return found


def has(environment: Path, changes: Collection[Change], *, like: Path) -> bool:
    """Whether an environment shares one of the files that were changed in one `like` it."""
    for change in changes:
        inside = change.path.relative_to(like)
        # The directory of another Python has another name.
        within = glob.escape("/".join(inside.parts[2:]))
        beside = [environment / inside, *environment.glob(f"lib/*/{within}")]
        for path in beside:
            with contextlib.suppress(OSError):
                if path.lstat().st_ino == change.inode:
                    return True
    return False


def heal(
    changes: Collection[Change], *, store: Path, installer: UvInstaller | None, scratch: Path
) -> bool:
    """Keep these changes out of everything that is installed from now on.

    uv's cache loses all releases of the distributions, which are then downloaded again; the
    `store` of bytecode loses the files. Environments that are there keep what they have.
    Waits for every other uv. False where a change may come back.
    """
    lasting = [change for change in changes if change.lasts]
    bytecode.forget(store, {change.inode for change in lasting})
    names = sorted({change.distribution for change in lasting if change.distribution})
    if names and (installer is None or not installer.forget(names, scratch)):
        return False
    return all(change.distribution or change.path.suffix == ".pyc" for change in lasting)
