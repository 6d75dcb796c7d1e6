"""Show which packages differ between two cells, locks or runs."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from nox_envs import _loading
from nox_envs.commands.words import encoding, say, say_json
from nox_envs.errors import FileMissing, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from nox_envs._loading import Loaded
    from nox_envs.inside.diff import Side

__all__ = ["NAME", "add_arguments", "run"]


def __dir__() -> list[str]:
    return __all__


NAME = "diff"
_FILES = (".txt", ".toml", ".in", ".lock")
_WHAT = "a cell, a pylock.toml, a freeze, the directory of a run, or one of its trials: RUN:t4"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two, and whether a difference is a failure."""
    parser.add_argument("first", metavar="A", help=_WHAT)
    parser.add_argument("second", metavar="B", help="another of them")
    parser.add_argument("--exit-code", action="store_true", help="exit with 1 if they differ")


def run(arguments: argparse.Namespace) -> int:
    """Print what differs."""
    from nox_envs.inside.diff import compared  # noqa: PLC0415 - with the others
    from nox_envs.report.compared import render  # noqa: PLC0415 - heavy

    load = cache(lambda: _loading.load(arguments.noxfile, arguments.envdir))
    found = compared(_side(arguments.first, load), _side(arguments.second, load))
    if arguments.json:
        say_json(found.to_dict())
    else:
        say(render(found, encoding=encoding()))
    return int(arguments.exit_code and not found.is_empty)


def _side(word: str, load: Callable[[], Loaded]) -> Side:
    """What a word means; the noxfile is loaded for what is no file."""
    from nox_envs import comparing  # noqa: PLC0415 - heavy

    path = Path(word)
    if path.is_file():
        return comparing.of_file(path, word)
    if path.is_dir():
        path = path.absolute()
        side = comparing.of_environment(path, word)
        if side is None and (path / "report.json").is_file():
            side = comparing.of_run(path.parent, path.name)
        if side is not None:
            return side
    if path.suffix in _FILES or ("/" in word and "(" not in word):
        raise FileMissing(path=word, asked_by=f"nox-envs {NAME}")
    loaded = load()
    side = comparing.of_run(loaded.cache / "campaigns", word)
    if side is None:
        one = loaded.find(word)
        side = comparing.of_environment(one.environment, one.name)
        if side is None:
            raise UsageError(
                problem=f"{one.name} has no complete environment to compare",
                advice=(f'make it:   nox -s "{one.name}" --install-only',),
            )
    return side
