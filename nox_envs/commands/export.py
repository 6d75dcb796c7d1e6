"""Print the lock of a cell for other tools: requirements, constraints, a Dockerfile."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

from nox_envs import _files, _loading
from nox_envs.commands.words import say, say_json
from nox_envs.errors import LockInvalid, UsageError
from nox_envs.inside.export import FORMATS, exported

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from packaging.pylock import Pylock

    from nox_envs._loading import DeclaredCell

__all__ = ["NAME", "add_arguments", "run"]


def __dir__() -> list[str]:
    return __all__


NAME = "export"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The cell, and the form."""
    parser.add_argument("cell", metavar="CELL", help="a cell whose environment is made")
    parser.add_argument(
        "--format", choices=("pylock", *FORMATS), default="requirements",
        help="default: requirements, with hashes",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Print it; that the environment is stale is said besides."""
    from nox_envs.inside.cells import State  # noqa: PLC0415 - with the others
    from nox_envs.looking import looking  # noqa: PLC0415 - heavy

    loaded = _loading.load(arguments.noxfile, arguments.envdir)
    one = loaded.find(arguments.cell)
    with looking(loaded.job(one, os.environ), os.environ) as look:
        seen = look.seen(measures=False)
    if seen.state in {State.NOT_MADE, State.INCOMPLETE}:
        raise UsageError(
            problem=f"{one.name} has no complete environment whose lock could be exported",
            advice=(f'make it:   nox -s "{one.name}" --install-only',),
        )
    if seen.state is State.STALE:
        sys.stderr.write(f"note: {one.name} is stale: {seen.reason}\n")
    text = _document(one, loaded.path.parent, arguments.format, seen.version)
    if arguments.json:
        schema = {"schema": "nox-envs.export/1", "cell": one.name}
        say_json({**schema, "format": arguments.format, "text": text})
    else:
        say(text)
    return 0


def _document(one: DeclaredCell, base: Path, form: str, version: str) -> str:
    from packaging.pylock import Pylock, PylockValidationError  # noqa: PLC0415 - heavy

    from nox_envs.install import stamp  # noqa: PLC0415 - heavy

    path = one.environment / stamp.LOCK_NAME
    try:
        text = _files.read_text(path)
        lock = Pylock.from_dict(_files.parse_toml(text))
    except (OSError, ValueError, PylockValidationError) as error:
        raise LockInvalid(path=str(path), problem=f"cannot be read: {error}") from error
    for known in FORMATS:
        if known == form:
            return exported(
                lock,
                known,
                cell=one.name,
                image=_image(lock, version),
                places=_places(lock, one.environment, base),
                path=str(path),
            )
    return text


def _image(lock: Pylock, version: str) -> str:
    """What has the Python of the lock."""
    markers = " ".join(map(str, lock.environments or ()))
    numbers = re.match(r"(\d+\.\d+)\S*?(?=\+|$)", version)
    if "pypy" in markers:
        return f"pypy:{numbers[1] if numbers else '3'}-slim"
    return f"python:{numbers[0] if numbers else '3'}-slim"


def _places(lock: Pylock, environment: Path, base: Path) -> dict[str, str]:
    """Where the projects lie that were built from a directory, as far as that is in `base`."""
    found = {}
    for package in lock.packages:
        if package.directory is not None:
            path = (environment / package.directory.path).resolve()
            if path.is_relative_to(base.resolve()):
                found[str(package.name)] = path.relative_to(base.resolve()).as_posix()
    return found
