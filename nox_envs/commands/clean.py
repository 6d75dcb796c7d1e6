"""Remove environments and caches of nox-envs that are not needed."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from nox_envs import _loading
from nox_envs.commands.words import encoding, say, say_json
from nox_envs.errors import UsageError
from nox_envs.inside.cleaning import Wish, parse_size
from nox_envs.options import parse_duration

if TYPE_CHECKING:
    from nox_envs.inside.cleaning import Cleaned, Thing

__all__ = ["NAME", "add_arguments", "run"]


def __dir__() -> list[str]:
    return __all__


NAME = "clean"
_NOXFILE = "noxfile.py"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is to go; without any of it, environments whose cell or project is gone."""
    parser.set_defaults(noxfile=None)  # One that was named has to be there.
    parser.add_argument(
        "--orphaned", action="store_true",
        help="environments whose cell the noxfile no longer has, and copies of projects that are "
        "gone (the default)",
    )  # fmt: skip
    parser.add_argument(
        "--older-than", type=_age, metavar="AGE", help='what was not used for so long: "30 days"'
    )
    parser.add_argument(
        "--at-most", type=_size, metavar="SIZE",
        help='what was used longest ago, until no more than that is left: "2 GB"',
    )  # fmt: skip
    parser.add_argument("--all", action="store_true", help="all of them")
    parser.add_argument(
        "--caches",
        action="store_true",
        help="campaigns and caches too; with --all, an age or a size also copies of projects "
        "without a noxfile, whichever they are",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would go")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def run(arguments: argparse.Namespace) -> int:
    """Remove it; 1 if something could not be removed, or the user does not want it."""
    from nox_envs import tending  # noqa: PLC0415 - heavy
    from nox_envs.borrowed import left  # noqa: PLC0415 - heavy
    from nox_envs.inside.cleaning import Cleaned, chosen  # noqa: PLC0415 - with the others

    wish = _wish(arguments)
    places = left(os.environ)
    is_about_copies = bool(places) and not _has_noxfile(arguments)
    if is_about_copies and arguments.all and not arguments.caches:
        raise UsageError(
            problem="there is no noxfile.py here, so --all means the copies of all projects",
            advice=("if that is meant:   nox-envs clean --all --caches",),
        )
    found, foreign = ([], []) if is_about_copies else _of_noxfile(arguments)
    # To measure one takes a while.
    copies = [tending.copied(one.place, project=one.project, lock=one.lock)
              for one in places if _may_go(wish) or tending.is_gone(one.project)]  # fmt: skip
    doomed = chosen([*found, *copies], wish)
    kept = len(found) + len(places) - len(doomed)
    cleaned = Cleaned(doomed=doomed, kept=kept, foreign=foreign, done=False)
    if not arguments.dry_run and doomed:
        if not _is_wanted(cleaned, arguments):
            return 1
        cleaned = Cleaned(doomed=tending.remove(doomed), kept=kept, foreign=foreign, done=True)
    _tell(cleaned, as_json=arguments.json)
    return int(any(one.failed for one in cleaned.doomed))


def _has_noxfile(arguments: argparse.Namespace) -> bool:
    """Whether there is one, or the user has named one."""
    return arguments.noxfile is not None or Path(_NOXFILE).is_file()


def _may_go(wish: Wish) -> bool:
    """Whether copies of projects that are there may go, too."""
    has_limit = wish.older_than is not None or wish.at_most is not None
    return wish.caches and (wish.everything or has_limit)


def _of_noxfile(arguments: argparse.Namespace) -> tuple[list[Thing], list[str]]:
    from nox_envs import tending  # noqa: PLC0415 - heavy

    loaded = _loading.load(arguments.noxfile or _NOXFILE, arguments.envdir)
    cells = {one.environment for one in loaded.cells}
    return tending.things(loaded.environments, loaded.cache, cells)


def _wish(arguments: argparse.Namespace) -> Wish:
    named = arguments.all or arguments.older_than or arguments.at_most is not None
    is_about_copies = not _has_noxfile(arguments)
    return Wish(
        older_than=arguments.older_than,
        at_most=arguments.at_most,
        orphaned=arguments.orphaned or not (named or (arguments.caches and not is_about_copies)),
        everything=arguments.all,
        caches=arguments.caches or is_about_copies,
    )


def _is_wanted(found: Cleaned, arguments: argparse.Namespace) -> bool:
    """Ask, where somebody can answer."""
    if arguments.yes or arguments.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return True
    _tell(found, as_json=False)
    sys.stderr.write("Remove them? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _tell(found: Cleaned, *, as_json: bool) -> None:
    from nox_envs.report import tended  # noqa: PLC0415 - heavy

    if as_json:
        say_json(found.to_dict())
    else:
        say(tended.cleaned(found, now=datetime.now(timezone.utc), encoding=encoding()))


def _age(text: str) -> timedelta:
    found = parse_duration(text)
    if found is None:
        raise argparse.ArgumentTypeError(f'{text!r} is not a duration; write "30 days"')
    return found


def _size(text: str) -> int:
    found = parse_size(text)
    if found is None:
        raise argparse.ArgumentTypeError(f'{text!r} is not a size; write "2 GB"')
    return found
