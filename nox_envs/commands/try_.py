"""Run a command in a throwaway environment with some requirements, on one or several Pythons."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nox_envs import _files, _process, settings
from nox_envs.commands.words import encoding, say, say_json
from nox_envs.errors import NoxEnvsError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

__all__ = ["NAME", "RUNS", "add_arguments", "command_after", "run"]


def __dir__() -> list[str]:
    return __all__


NAME = "try"
RUNS = True
_NOT_FOUND = 127
_COMMAND = re.compile(r"(?:python|pypy)[\d.]*|.*\.py", re.DOTALL)
"""What is no package, but a command whose `--` was left out."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Pythons and requirements; what follows `--` is the command."""
    parser.usage = f"{parser.prog} [-p X.Y ...] [-r FILE ...] [REQUIREMENT ...] [-- COMMAND]"
    parser.add_argument(
        "-p", "--python", action="append", default=[], metavar="X.Y",
        help="default: the Python that runs nox-envs; several run side by side",
    )  # fmt: skip
    parser.add_argument(
        "-r", "--requirements", action="append", default=[], metavar="FILE",
        help="a requirements file",
    )  # fmt: skip
    parser.add_argument(
        "requirement", nargs="*", metavar="REQUIREMENT",
        help="requests==2.32.3; . or .[extra] is the project in this directory",
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    python: str
    version: str = ""
    packages: int = 0
    code: int | None = None
    """None where the environment cannot be made."""
    seconds: float = 0.0
    output: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {
            "python": self.python,
            "version": self.version,
            "packages": self.packages,
            "exit_code": self.code,
            "seconds": round(self.seconds, 3),
            "output": self.output,
        }


def run(arguments: argparse.Namespace) -> int:
    """Run it; the exit code of the command, or the first one that is not 0."""
    from nox_envs import trying  # noqa: PLC0415 - heavy

    if arguments.after is None:
        _refuse_commands(arguments.requirement)
    command = arguments.after or ["python"]
    pythons = list(dict.fromkeys(arguments.python))
    declaration = trying.declared(
        arguments.requirement,
        pythons=pythons,
        files=arguments.requirements,
        directory=Path.cwd(),
    )
    if not arguments.after and (len(pythons) > 1 or arguments.json):
        raise UsageError(problem="say what to run", advice=("nox-envs try REQUIREMENT -- COMMAND",))
    with _files.scratch("try") as scratch:
        if len(pythons) > 1 or arguments.json:
            results = _side_by_side(declaration, command, scratch)
            _tell(results, as_json=arguments.json)
            return next((one.code or 2 for one in results if one.code != 0), 0)
        (python,) = declaration.pythons or ()
        one = trying.made(declaration, python, scratch=scratch, variables=os.environ)
        made = one.provisioned
        count = len(made.pins)
        sys.stderr.write(
            f"Python {made.interpreter.version} and {count} package{'s' if count != 1 else ''}, "
            f"made with {made.tool} in {made.seconds:.1f} s.\n"
        )
        code = _process.attend(_found(command, one.variables), env=one.variables, cwd=Path.cwd())
    if code == _NOT_FOUND:
        sys.stderr.write(f"nox-envs: {command[0]} ended with 127: is there such a command?\n")
    return code


def command_after(words: Sequence[str]) -> str:
    """The hint that shows where a command begins among the words that follow `try`."""
    at = next((n for n, word in enumerate(words) if _COMMAND.fullmatch(word)), None)
    meant = "... -- COMMAND"
    if at is not None:
        meant = f"{shlex.join(words[:at])} -- {shlex.join(words[at:])}".lstrip()
    return f"a command follows --:   nox-envs {NAME} {meant}"


def _refuse_commands(words: Sequence[str]) -> None:
    named = next((word for word in words if _COMMAND.fullmatch(word)), None)
    if named is not None:
        raise UsageError(problem=f"{named} is no requirement", advice=(command_after(words),))


def _found(command: Sequence[str], variables: Mapping[str, str]) -> list[str]:
    """The command with its program as the environment has it, not this process."""
    import shutil  # noqa: PLC0415 - seldom needed

    return [shutil.which(command[0], path=variables["PATH"]) or command[0], *command[1:]]


def _side_by_side(declaration: Any, command: Sequence[str], scratch: Path) -> list[_Result]:
    """Make one environment after the other, and run in all of them at a time."""
    from nox_envs import trying  # noqa: PLC0415 - heavy
    from nox_envs._tree import TAG_VARIABLE, Stopped, Tree  # noqa: PLC0415 - heavy

    tag = uuid.uuid4().hex
    tree = Tree(timeout=None, die_with_parent=False, tag=tag, leave_nothing=True)
    results: list[_Result] = []

    def attempt(python: str) -> _Result:
        one = ready[python]
        if isinstance(one, NoxEnvsError):
            return _Result(python=python, output=settings.redact(f"{one}\n", os.environ))
        env = {**one.variables, TAG_VARIABLE: tag}
        begun = time.monotonic()
        done = _process.run(_found(command, env), env=env, cwd=Path.cwd())
        return _Result(
            python=python,
            version=one.provisioned.interpreter.version,
            packages=len(one.provisioned.pins),
            code=done.returncode if done.returncode >= 0 else 128 - done.returncode,
            seconds=time.monotonic() - begun,
            output=f"{done.output}\n" if done.output else "",
        )

    def make(python: str) -> Any:
        try:
            return trying.made(declaration, python, scratch=scratch, variables=os.environ)
        except NoxEnvsError as error:
            return error

    ready = {python: make(python) for python in declaration.pythons or ()}
    with contextlib.suppress(Stopped), tree, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results += pool.map(attempt, ready)
    if tree.stop is not None:
        raise KeyboardInterrupt(tree.stop.value)
    return results


def _tell(results: Sequence[_Result], *, as_json: bool) -> None:
    from nox_envs.report import blocks  # noqa: PLC0415 - heavy

    if as_json:
        say_json({"schema": "nox-envs.try/1", "results": [one.to_dict() for one in results]})
        return
    for one in results:
        say(f"--- {one.python}\n{one.output}")
    head = ("Python", "packages", "exit code", "seconds")
    rows = [
        (
            one.version or one.python,
            str(one.packages or ""),
            "no environment" if one.code is None else str(one.code),
            "" if one.code is None else f"{one.seconds:.1f}",
        )
        for one in results
    ]
    say("\n" + blocks.text([blocks.table(head, rows)], encoding()))
