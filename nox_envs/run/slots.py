"""Places for the environments of trials, taken again and again."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

from nox_envs import _files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["taken"]


def __dir__() -> list[str]:
    return __all__


_MOST = 1000


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
                _files.remove(slot)
            lock.release()
        return
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(directory))
