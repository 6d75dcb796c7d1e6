"""Print a script that has a shell complete the words of nox-envs."""

from __future__ import annotations

import argparse
import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nox_envs.commands.campaign import CAMPAIGNS
from nox_envs.commands.words import say, say_json
from nox_envs.inside.completable import read
from nox_envs.inside.completion import SHELLS, script

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nox_envs.inside.completable import Words
    from nox_envs.upgrade.options import Kind

__all__ = ["NAME", "add_arguments", "run", "words_of"]


def __dir__() -> list[str]:
    return __all__


NAME = "completion"
_CELLS = "--cells"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The shell."""
    parser.add_argument("shell", choices=SHELLS, help="the shell that is to read it")
    # What a script asks: no word for users.
    parser.add_argument(_CELLS, action="store_true", help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    if arguments.cells:
        _name_cells(arguments.noxfile, arguments.envdir)
        return 0
    text = script(arguments.shell, words_of(arguments.commands))
    if arguments.json:
        say_json({"schema": "nox-envs.completion/1", "shell": arguments.shell, "text": text})
    else:
        say(text)
    return 0


def words_of(commands: Mapping[str, argparse.ArgumentParser]) -> dict[str, Words]:
    """What may follow each command."""
    from nox_envs.upgrade.options import actions  # noqa: PLC0415 - heavy

    kinds: dict[str, Kind] = {one.NAME: one.NAME for one in CAMPAIGNS}
    found = {}
    for name, parser in commands.items():
        # There is no public way to the options of a parser.
        own = read(parser._actions, help=parser.description or "")  # noqa: SLF001
        if name in kinds:
            # What its session takes are options; directories are what we make of its words.
            theirs = read(actions(kinds[name])).options
            options = {**own.options, **theirs}
            own = replace(own, options=options, takes=("directory",), repeats=True)
        found[name] = own
    return found


def _name_cells(noxfile: str, envdir: str | None) -> None:
    """One a line; none where that cannot be said, for it is said in the middle of a prompt."""
    from nox_envs import _loading  # noqa: PLC0415 - heavy

    with contextlib.suppress(Exception, SystemExit):
        loaded = _loading.load(str(Path(noxfile).expanduser()), envdir)
        names = [one.name for one in loaded.cells if one.name.isprintable()]
        say("".join(f"{name}\n" for name in names))
