"""The door to files: the only place that reads, writes and removes them."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import FileIO

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from nox_envs.errors import DiskFull, NoPermission

__all__ = [
    "append_line",
    "claim",
    "create",
    "explained",
    "fuller",
    "make_directory",
    "move_into",
    "named",
    "parse_toml",
    "path_of_url",
    "read_ends",
    "read_exactly",
    "read_text",
    "read_toml",
    "remove",
    "scratch",
    "sha256",
    "write_exactly",
    "write_text",
    "write_toml",
]


def __dir__() -> list[str]:
    return __all__


_STALE_SECONDS = 24 * 3600
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What a system says of a disk that takes no more."""


def read_text(path: Path) -> str:
    """The text of a file; what is not UTF-8 is kept as escapes."""
    return path.read_text(encoding="utf-8", errors="surrogateescape")


def read_exactly(path: Path) -> str:
    """The text of a file with the ends of its lines, for one who writes it again."""
    return path.read_bytes().decode("utf-8", errors="surrogateescape")


def write_exactly(path: Path, text: str) -> None:
    """Write what `read_exactly` gave, changed or not, to a file that is there."""
    target = path.resolve()  # What a link leads to, not the link.
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with named(path):
            beside.write_bytes(text.encode("utf-8", errors="surrogateescape"))
            shutil.copymode(target, beside)
            beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def parse_toml(text: str) -> dict[str, Any]:
    """The values of a TOML document; raises `ValueError` that says where it is malformed."""
    return dict(tomllib.loads(text))


def read_toml(path: Path) -> dict[str, Any]:
    """The values of a TOML file."""
    return parse_toml(path.read_text(encoding="utf-8"))


def sha256(path: Path) -> str:
    """The digest of a file, read in pieces."""
    total = hashlib.sha256()
    with path.open("rb") as stream:
        while piece := stream.read(1 << 20):
            total.update(piece)
    return total.hexdigest()


def path_of_url(url: str) -> Path:
    """The path that a `file:` URL names (RFC 8089)."""
    from urllib.request import url2pathname  # noqa: PLC0415 - heavy, and seldom needed

    return Path(url2pathname(urlsplit(url).path))


def write_text(path: Path, text: str, *, private: bool = False) -> None:
    """Write a file whole or not at all; `private` keeps it from other users."""
    with named(path):
        _write_text(path, text, private=private)


def _write_text(path: Path, text: str, *, private: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(
            handle, "w", encoding="utf-8", errors="surrogateescape", newline="\n"
        ) as file:
            file.write(text)
        if not private:
            Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def write_toml(path: Path, data: Mapping[str, Any], *, private: bool = False) -> None:
    """Write values as TOML, whole or not at all."""
    import tomli_w  # noqa: PLC0415 - not needed to list sessions

    write_text(path, tomli_w.dumps(dict(data)), private=private)


def remove(path: Path) -> None:
    """Remove a file or directory of ours if it is there, links not followed."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
        return

    def make_writable(function: Any, name: str, _: Any) -> None:
        # Windows refuses to remove what is read-only; so does a directory without `w`.
        with contextlib.suppress(OSError):
            Path(name).parent.chmod(0o700)
            Path(name).chmod(0o700)
            function(name)

    if path.exists():
        if sys.version_info >= (3, 12):
            shutil.rmtree(path, onexc=make_writable)
        else:
            shutil.rmtree(path, onerror=make_writable)


@contextlib.contextmanager
def scratch(label: str, *, within: Path | None = None) -> Iterator[Path]:
    """A private empty directory that is gone afterwards.

    What a process that was killed has left `within` is removed a day later.
    """
    if within is not None:
        try:
            within.mkdir(parents=True, exist_ok=True)
        except OSError:
            within = None  # To look at an environment, nothing has to be written beside it.
    if within is not None and os.access(within, os.W_OK):
        for left in within.iterdir():
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > _STALE_SECONDS:
                    remove(left)
    path = Path(
        tempfile.mkdtemp(
            prefix=f"nox-envs-{label}-",
            dir=within if within and os.access(within, os.W_OK) else None,
        )
    )
    try:
        yield path
    finally:
        remove(path)


def move_into(path: Path, directory: Path) -> Path:
    """Move a file into a directory, where it appears whole or not at all."""
    directory.mkdir(parents=True, exist_ok=True)
    beside = directory / f".{path.name}.{os.getpid()}"
    with named(directory / path.name):
        shutil.copyfile(path, beside)
        return beside.replace(directory / path.name)


def make_directory(path: Path) -> Path:
    """Make a directory and those above it, unless they are there."""
    path.mkdir(parents=True, exist_ok=True)
    return path


def claim(path: Path) -> bool:
    """Make a directory that is not there yet; False where somebody else has made it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """A disk that is full while something is written is that of `path`.

    The system names it not at all, or by a name that nobody knows, or what was copied.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            error.filename, error.filename2 = str(path), None
        raise


@contextlib.contextmanager
def explained(path: Path | str) -> Iterator[None]:
    """What the disk refuses is a `NoxEnvsError`; `path` is meant where the system names none."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            place = error.filename2 or error.filename or path  # What it was written to, and from.
            raise DiskFull(path=str(place)) from error
        if isinstance(error, PermissionError):
            raise NoPermission(path=str(error.filename or path)) from error
        raise


def fuller(path: Path) -> Path:
    """A path, or the temporary directory where less is free on the disk of that."""

    def free(one: Path) -> int:
        there = next(each for each in (one, *one.parents) if each.exists())
        return shutil.disk_usage(there).free

    return min(path.absolute(), Path(tempfile.gettempdir()), key=free)


def create(path: Path) -> FileIO:
    """A new, empty file to write into, unbuffered: others see it grow."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("wb", buffering=0)


def append_line(path: Path, line: bytes) -> None:
    """Append a line in one piece, on the disk when this returns.

    Other processes may append at the same time. What a crash has left of a line is
    ended first. Raises `OSError` where there is no space; what was there stays.
    """
    with named(path):
        _append_line(path, line)


def _append_line(path: Path, line: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags, 0o644)
    try:
        torn = os.fstat(handle).st_size > 0 and (
            os.lseek(handle, -1, os.SEEK_END) >= 0 and os.read(handle, 1) != b"\n"
        )
        piece = b"\n" * torn + line + b"\n"
        if os.write(handle, piece) != len(piece):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(handle)
    finally:
        os.close(handle)


def read_ends(path: Path, *, head: int, tail: int) -> tuple[bytes, int, bytes]:
    """The start of a file, the size of what lies between, and the end of the file."""
    with path.open("rb") as stream:
        start = stream.read(head)
        between = max(stream.seek(0, os.SEEK_END) - len(start) - tail, 0)
        stream.seek(len(start) + between)
        return start, between, stream.read(tail)
