"""Look at what sessions need on this machine: Pythons, uv, indexes, disks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nox_envs import _loading
from nox_envs.commands.words import encoding, say, say_json
from nox_envs.errors import FileMissing, UsageError
from nox_envs.inside.health import Finding, Health, Mark

if TYPE_CHECKING:
    import argparse

    from nox_envs._loading import Loaded

__all__ = ["NAME", "add_arguments", "run"]


def __dir__() -> list[str]:
    return __all__


NAME = "doctor"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing but what all commands take."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """Print what was found; 1 if something will make sessions fail."""
    from nox_envs.borrowed import left  # noqa: PLC0415 - heavy
    from nox_envs.checkup import Checkup  # noqa: PLC0415 - heavy
    from nox_envs.report import tended  # noqa: PLC0415 - heavy

    loaded, first = _noxfile(arguments.noxfile, arguments.envdir)
    directory = loaded.path.parent if loaded else Path.cwd()
    environments = loaded.environments if loaded else directory / ".nox"
    checkup = Checkup(
        variables=os.environ,
        directory=directory,
        environments=environments,
        cache=loaded.cache if loaded else environments / ".cache" / "nox-envs",
        copies=[one.place for one in left(os.environ)],
        pythons=[one.cell.python for one in loaded.cells if one.cell.python] if loaded else [],
    )
    found = Health(findings=[first, *checkup.findings()])
    if arguments.json:
        say_json(found.to_dict())
    else:
        say(tended.health(found, encoding=encoding()))
    return int(not found.is_good)


def _noxfile(path: str, envdir: str | None) -> tuple[Loaded | None, Finding]:
    """The noxfile, as far as it can be loaded: the rest can be looked at without."""
    topic = "noxfile"
    try:
        loaded = _loading.load(path, envdir)
    except FileMissing:
        return None, Finding(topic=topic, mark=Mark.NOTE, text=f"there is no {path} here")
    except UsageError as error:
        hint = "; ".join(error.hints)
        return None, Finding(topic=topic, mark=Mark.BAD, text=error.message, hint=hint)
    except SystemExit:
        return None, Finding(topic=topic, mark=Mark.BAD, text=f"{path} is refused, see above")
    cells = len(loaded.cells)
    text = f"{loaded.path}, {cells} cell{'s' if cells != 1 else ''}"
    return loaded, Finding(topic=topic, mark=Mark.OK, text=text)
