"""Show the cells of the noxfile and their environments, or the packages of one."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from nox_envs import _loading
from nox_envs.commands.words import encoding, say, say_json

if TYPE_CHECKING:
    import argparse

    from nox_envs._loading import Loaded

__all__ = ["NAME", "add_arguments", "run"]


def __dir__() -> list[str]:
    return __all__


NAME = "show"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A cell, or none for all of them."""
    parser.add_argument("cell", nargs="?", metavar="CELL", help="a cell; without it, all of them")
    parser.add_argument(
        "--offline", action="store_true", help="do not ask the index for newer releases"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print what there is."""
    loaded = _loading.load(arguments.noxfile, arguments.envdir)
    if arguments.cell is not None:
        _one(loaded, arguments)
    else:
        _all(loaded, as_json=arguments.json)
    return 0


def _one(loaded: Loaded, arguments: argparse.Namespace) -> None:
    from nox_envs.looking import looking  # noqa: PLC0415 - heavy
    from nox_envs.report import shown  # noqa: PLC0415 - heavy

    job = loaded.job(loaded.find(arguments.cell), os.environ)
    with looking(job, os.environ) as look:
        found = look.contents(asks=not arguments.offline)
    if arguments.json:
        say_json(found.to_dict())
    else:
        say(shown.contents(found, now=datetime.now(timezone.utc), encoding=encoding()))


def _all(loaded: Loaded, *, as_json: bool) -> None:
    from nox_envs.inside.cells import Overview  # noqa: PLC0415 - with the others
    from nox_envs.looking import looking  # noqa: PLC0415 - heavy
    from nox_envs.report import shown  # noqa: PLC0415 - heavy
    from nox_envs.tending import orphans  # noqa: PLC0415 - heavy

    cells = []
    for one in loaded.cells:
        with looking(loaded.job(one, os.environ), os.environ) as look:
            cells.append(look.seen())
    left = orphans(loaded.environments, (one.environment for one in loaded.cells))
    found = Overview(noxfile=str(loaded.path), cells=cells, orphans=left)
    if as_json:
        say_json(found.to_dict())
    else:
        say(shown.overview(found, now=datetime.now(timezone.utc), encoding=encoding()))
