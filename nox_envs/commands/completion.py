"""Print a script that has a shell complete the words of nox-envs."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from nox_envs.commands.campaign import CAMPAIGNS
from nox_envs.commands.words import say, say_json
from nox_envs.inside.completion import SHELLS, Words, options_of, script
from nox_envs.inside.export import FORMATS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nox_envs.inside.completion import Value

__all__ = ["NAME", "add_arguments", "run", "words_of"]


def __dir__() -> list[str]:
    return __all__


NAME = "completion"
_CELLS = "--cells"
_VALUES: Mapping[str, Value] = {
    "--at-most": "text",
    "--command": "text",
    "--envdir": "directory",
    "--format": ("pylock", *FORMATS),
    "--noxfile": "file",
    "--older-than": "text",
    "--output": "directory",
    "--python": "text",
    "--requirements": "file",
    "--shell": "text",
    "--target": "file",
}
"""What options of the commands take, where they take something."""
_SHORT = {
    "--command": "-c", "--noxfile": "-f", "--output": "-o", "--python": "-p",
    "--requirements": "-r", "--yes": "-y",
}  # fmt: skip
_TAKES: Mapping[str, tuple[Value, ...]] = {
    "bundle": ("cell",),
    "completion": (SHELLS,),
    "diff": ("cell or file", "cell or file"),
    "export": ("cell",),
    "shell": ("cell",),
    "show": ("cell",),
    "try": ("file",),
}
"""What their words are that are no options."""


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


def words_of(commands: Mapping[str, tuple[str, Sequence[str]]]) -> dict[str, Words]:
    """What may follow each command; `commands` have their help, and their long options."""
    campaigns = {one.NAME for one in CAMPAIGNS}
    return {
        name: _campaign(name, text, options) if name in campaigns else _plain(name, text, options)
        for name, (text, options) in commands.items()
    }


def _plain(name: str, text: str, options: Sequence[str]) -> Words:
    found: dict[str, Value] = {}
    for option in options:
        if option == _CELLS:
            continue
        value = _VALUES.get(option, "flag")
        found |= {_SHORT[option]: value} if option in _SHORT else {}
        found[option] = value
    takes = _TAKES.get(name, ())
    return Words(help=text, options=found, takes=takes, repeats=name == "try")


def _campaign(name: str, text: str, options: Sequence[str]) -> Words:
    """Its options are those of its session, and ours."""
    from nox_envs.upgrade.options import usage  # noqa: PLC0415 - heavy

    ours = _plain(name, text, [*options, "--options"])
    kind = next(one.NAME for one in CAMPAIGNS if name == one.NAME)
    found = {**ours.options, **options_of(usage(name, kind))}
    return Words(help=text, options=found, takes=("directory",), repeats=True)


def _name_cells(noxfile: str, envdir: str | None) -> None:
    """One a line; none where that cannot be said, for it is said in the middle of a prompt."""
    from nox_envs import _loading  # noqa: PLC0415 - heavy

    with contextlib.suppress(Exception, SystemExit):
        loaded = _loading.load(str(Path(noxfile).expanduser()), envdir)
        names = [one.name for one in loaded.cells if one.name.isprintable()]
        say("".join(f"{name}\n" for name in names))
