"""The command line program `nox-envs`: finds the command, and says what went wrong."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from typing import TYPE_CHECKING, NoReturn, Protocol, cast

from nox_envs import __version__, _files, settings
from nox_envs.commands import (
    bundle,
    clean,
    completion,
    diff,
    doctor,
    export,
    init,
    shell,
    show,
    try_,
)
from nox_envs.commands.campaign import CAMPAIGNS
from nox_envs.errors import NoxEnvsError, UsageError
from nox_envs.options import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COMMANDS", "Command", "main", "parser"]


def __dir__() -> list[str]:
    return __all__


class Command(Protocol):
    """A module of `nox_envs.commands`; the first line of its docstring is its help."""

    NAME: str

    def add_arguments(self, parser: argparse.ArgumentParser, /) -> None:
        """Say what may follow the name; `--json`, `--noxfile` and `--envdir` are there already.

        A module with a true `PASSES_ON` reads what follows the name by itself, in
        `arguments.words`; one with a true `RUNS` takes a command after `--`: `arguments.after`.
        """

    def run(self, arguments: argparse.Namespace, /) -> int:
        """Do it, print the answer, and return the exit code: 0, or 1 where the answer is no.

        What cannot be answered is a `NoxEnvsError`.
        """


COMMANDS: tuple[Command, ...] = cast(
    "tuple[Command, ...]",
    (init, try_, *CAMPAIGNS, show, diff, shell, export, bundle, clean, doctor, completion),
)
"""In the order of `nox-envs --help`. They are imported at once: keep what is heavy in `run`."""

_INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """Says mistakes in our words."""

    def error(self, message: str) -> NoReturn:
        advice = [f"see {self.prog} --help"]
        names = [command.NAME for command in COMMANDS]
        word = message.partition("invalid choice: ")[2].partition(" (")[0].strip("'\"")
        near = nearest(word, names) if word and "COMMAND" in message else ""
        raise UsageError(problem=message, advice=(near,) if near else tuple(advice))


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    whole = _Parser(
        prog="nox-envs",
        description="What the environments of a noxfile hold, and what to do about them.",
        allow_abbrev=False,
    )
    whole.add_argument("--version", action="version", version=f"nox-envs {__version__}")
    found = whole.add_subparsers(metavar="COMMAND", dest="command", required=True)
    for command in COMMANDS:
        words = (command.__doc__ or "").partition("\n")[0]
        one = found.add_parser(command.NAME, help=words, description=words, allow_abbrev=False)
        one.add_argument(
            "-f", "--noxfile", default="noxfile.py", metavar="FILE", help="default: noxfile.py"
        )
        one.add_argument(
            "--envdir", metavar="DIR", help="as for nox; default: what the noxfile says"
        )
        if getattr(command, "PASSES_ON", False):
            one.add_argument("--json", metavar="FILE|-", help="write the report as JSON")
        else:
            one.add_argument("--json", action="store_true", help="print the answer as JSON")
        command.add_arguments(one)
        one.set_defaults(run=command.run, commands=found.choices)
    return whole


def _parsed(words: list[str]) -> argparse.Namespace:
    """What was said. What follows `--` is a command of the user's, and no word of ours."""
    own = words[: words.index("--")] if "--" in words else words
    meant = next((one for one in COMMANDS if own[:1] == [one.NAME]), None)
    unread = getattr(meant, "PASSES_ON", False) and not {"-h", "--help"} & set(own)
    arguments, rest = parser().parse_known_args(own[:1] if unread else own)
    if rest:
        raise _not_understood(rest, arguments, own[1:] if own == words else None)
    arguments.words = own[1:]
    arguments.after = words[len(own) + 1 :] if "--" in words else None
    if arguments.after is not None and not getattr(meant, "RUNS", False):
        raise UsageError(problem=f"nothing follows -- in nox-envs {arguments.command}")
    return arguments


def _not_understood(
    rest: Sequence[str], arguments: argparse.Namespace, words: Sequence[str] | None
) -> UsageError:
    from difflib import get_close_matches  # noqa: PLC0415 - for an error only

    options = vars(arguments.commands[arguments.command])["_option_string_actions"]
    # All of them begin alike: what is less near is another one.
    close = get_close_matches(rest[0].partition("=")[0], options, n=1, cutoff=0.7)
    advice = f"did you mean {close[0]}?" if close and rest[0].startswith("--") else ""
    if words is not None and arguments.run is try_.run:
        advice = advice or try_.command_after(words)
    return UsageError(
        problem=f"unrecognized arguments: {' '.join(rest)}",
        advice=(advice or f"see nox-envs {arguments.command} --help",),
    )


def main(words: Sequence[str] | None = None) -> int:
    """Run `nox-envs` with these words, or with those of the process; the exit code."""
    try:
        arguments = _parsed(sys.argv[1:] if words is None else list(words))
        with _files.explained("the output"):  # All else that is written has a name.
            code: int = arguments.run(arguments)
            sys.stdout.flush()
    except NoxEnvsError as error:
        sys.stderr.write(settings.redact(f"{error}\n", os.environ))
        _give_up_on_output()
        return error.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        _give_up_on_output()  # Whoever reads has seen enough.
        return 0
    except OSError as error:
        sys.stderr.write(settings.redact(f"error: {error}\n", os.environ))
        return NoxEnvsError.exit_code
    return code


def _give_up_on_output() -> None:
    """What cannot be written now must not be tried again at the exit."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):
            sys.stdout.close()
