"""Places for the environments of trials, taken again and again.

An environment that has served is put aside, and removed with others when there is time: on ext4
without a journal a file is not made where another one was removed in the last half minute, and
looking for another place took a tenth of the time of a matrix.
"""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from typing import TYPE_CHECKING

from nox_envs import _files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["taken", "tidy"]


def __dir__() -> list[str]:
    return __all__


_MOST = 1000
_ASIDE = "old-"
_MOST_ASIDE = 40
"""Environments that wait to be removed; they are little more than links."""


@contextlib.contextmanager
def taken(directory: Path) -> Iterator[Path]:
    """An empty directory that nobody else has meanwhile, the first that is free.

    uv remembers what it has learnt of an interpreter by its path, and asks an environment that
    lies where another one lay nothing: that is half of the time that an installation takes.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - not needed to list sessions

    _files.make_directory(directory)
    for number in range(_MOST):
        lock = FileLock(directory / f"{number}.lock", thread_local=False)
        slot = directory / str(number)
        try:
            lock.acquire(blocking=False)
        except (Timeout, PermissionError):  # Somebody is in it, or it is somebody else's.
            continue
        try:
            _files.remove(slot)
            if slot.exists():  # What another user has left.
                continue
            yield _files.make_directory(slot)
        finally:
            with contextlib.suppress(OSError):  # The next one tries again.
                if _is_light(slot) and len(_aside(directory)) < _MOST_ASIDE:
                    slot.replace(directory / f"{_ASIDE}{uuid.uuid4().hex}")
                else:
                    _files.remove(slot)
            lock.release()
        return
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(directory))


def tidy(directory: Path) -> None:
    """Remove what was put aside, by whomever: nobody needs it any more."""
    for path in _aside(directory):
        with contextlib.suppress(OSError):  # The next one tries again.
            _files.remove(path)


def _aside(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if path.name.startswith(_ASIDE)]


def _is_light(slot: Path) -> bool:
    """Whether what is installed are links to files of a cache, which take no place."""
    patterns = ("*/lib*/python*/site-packages/*/*.py", "*/Lib/site-packages/*/*.py")
    first = next((path for pattern in patterns for path in slot.glob(pattern)), None)
    return first is not None and first.stat().st_nlink > 1
