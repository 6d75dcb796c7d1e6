"""Write a noxfile to start with, from what lies in this directory."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nox_envs import _files
from nox_envs.commands.words import say, say_json
from nox_envs.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from nox_envs.starting import Start

__all__ = ["NAME", "add_arguments", "found_in", "not_taken", "run"]


def __dir__() -> list[str]:
    return __all__


NAME = "init"
_LONGEST = 1 << 22
"""Bytes: what is longer than that is no file of a project's settings."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whether it is written."""
    parser.add_argument("--dry-run", action="store_true", help="only print it")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def run(arguments: argparse.Namespace) -> int:
    """Print it, and write it if there is none; 1 if the user does not want it."""
    from nox_envs.starting import noxfile  # noqa: PLC0415 - heavy

    path = Path(arguments.noxfile).absolute()
    if path.exists() or path.is_symlink():
        raise UsageError(
            problem=f"{arguments.noxfile} is there already, and is not overwritten",
            advice=("see what it declares:   nox -l",),
        )
    found = found_in(path.parent)
    text = noxfile(found)
    if arguments.json:
        written = not arguments.dry_run
        if written:
            _files.write_text(path, text)
        taken, left = list(found.taken), list(found.left)
        say_json(
            {"schema": "nox-envs.init/1", "path": str(path), "written": written, "from": taken,
             "left": left, "text": text}
        )  # fmt: skip
        return 0
    say(text)
    sys.stderr.write("".join(f"{line}\n" for line in _told(found)))
    if arguments.dry_run:
        return 0
    if not _is_wanted(path, arguments):
        return 1
    _files.write_text(path, text)
    sys.stderr.write(f"{arguments.noxfile} is written. Try it:   nox -s test\n")
    return 0


def found_in(directory: Path, command: Sequence[str] = ()) -> Start:
    """What the project in a directory starts with; `command` is what its session runs.

    Raises `UsageError` for a pyproject.toml that cannot be read.
    """
    from nox_envs import discover  # noqa: PLC0415 - heavy
    from nox_envs.starting import READ, start  # noqa: PLC0415 - heavy

    files = {
        path.relative_to(directory).as_posix(): _files.read_text(path)
        for pattern in READ
        for path in sorted(directory.glob(pattern))
        if path.is_file() and path.stat().st_size < _LONGEST
    }
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    series = [
        ".".join(one.version.split(".")[:2])
        for one in discover.available(os.environ)
        if one.implementation == "cpython" and not one.free_threaded
    ]
    try:
        data: dict[str, Any] = _files.parse_toml(files.get("pyproject.toml", ""))
        return start(files, data, installed=[here, *series], command=command)
    except (TypeError, AttributeError, ValueError) as error:
        raise UsageError(problem=f"{directory / 'pyproject.toml'}: {error}") from error


def _told(found: Start) -> list[str]:
    """What it comes from, and what the user has to look at."""
    where = ", ".join(found.taken) or "nothing: this directory says neither packages nor Pythons"
    return ["", f"Found in {where}." if found.taken else f"Found {where}.",
            *not_taken(found)]  # fmt: skip


def not_taken(found: Start) -> list[str]:
    """What was seen and has no counterpart in a declaration, a line each."""
    return [f"Not taken over: {one}." for one in found.left]


def _is_wanted(path: Path, arguments: argparse.Namespace) -> bool:
    """Ask, where somebody can answer."""
    if arguments.yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    sys.stderr.write(f"Write it to {path}? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
