"""Print a script that has a shell complete the words of nox-envs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nox_envs.commands.words import say, say_json
from nox_envs.inside.completion import SHELLS, script

if TYPE_CHECKING:
    import argparse

__all__ = ["NAME", "add_arguments", "run"]


def __dir__() -> list[str]:
    return __all__


NAME = "completion"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The shell."""
    parser.add_argument("shell", choices=SHELLS, help="the shell that is to read it")


def run(arguments: argparse.Namespace) -> int:
    """Print the script."""
    text = script(arguments.shell, arguments.commands)
    if arguments.json:
        say_json({"schema": "nox-envs.completion/1", "shell": arguments.shell, "text": text})
    else:
        say(text)
    return 0
