"""Open a shell in the environment of a cell, made as it is declared."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nox_envs import _files, _loading, _process, settings
from nox_envs.commands.making import make
from nox_envs.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from nox_envs._loading import DeclaredCell

__all__ = ["NAME", "add_arguments", "run"]


def __dir__() -> list[str]:
    return __all__


NAME = "shell"
_NOT_FOUND = 127


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The cell, and what to run in place of an interactive shell."""
    parser.add_argument("cell", metavar="CELL", help="a cell; its environment is made if need be")
    parser.add_argument("-c", "--command", metavar="LINE", help="run this, and end")
    parser.add_argument("--shell", metavar="PROGRAM", help="default: yours")


def run(arguments: argparse.Namespace) -> int:
    """Open it; the exit code of the shell, or of the command."""
    from nox_envs.inside import shells  # noqa: PLC0415 - with the others
    from nox_envs.trying import shell_of  # noqa: PLC0415 - heavy

    if arguments.json:
        raise UsageError(problem="a shell has no answer that --json could print")
    loaded = _loading.load(arguments.noxfile, arguments.envdir)
    one = loaded.find(arguments.cell)
    make(loaded, one)
    directory = (loaded.path.parent / one.declaration.directory).resolve()
    changes = _changes(one, directory)
    variables = shell_of(one.environment, os.environ, changes)
    program = arguments.shell or shells.shell_of(os.environ, platform=sys.platform)
    # What is no plain name is looked for from where it is started.
    named = program if Path(program).name == program else directory / program
    if shutil.which(named, path=variables.get("PATH")) is None:
        hint = "name one that is there:   --shell PROGRAM"
        raise UsageError(problem=f"there is no shell {program}", advice=(hint,))
    with _files.scratch("shell") as place:
        if arguments.command is not None:
            command = shells.with_command(program, arguments.command)
            return _process.attend(command, env=variables, cwd=directory)
        declared = {name: value for name, value in changes.items() if value is not None}
        opened = shells.opened(
            program, name=one.name, variables=variables, declared=declared, place=place
        )
        for name, text in opened.files.items():
            _files.write_text(place / name, text, private=True)
        sys.stderr.write(f"{one.name} in {one.environment}. To leave: exit\n")
        code = _process.attend(opened.command, env=opened.variables, cwd=directory)
    if code == _NOT_FOUND:
        sys.stderr.write(f"nox-envs: {program} ended with 127: is there such a shell?\n")
    return code


def _changes(one: DeclaredCell, directory: Path) -> dict[str, str | None]:
    """As the session's commands have them."""
    declared = one.declaration
    file = declared.env_file
    return settings.test_environment(
        os.environ,
        pass_env=declared.pass_env,
        declared=declared.env,
        env_file=settings.read_env_file(directory / file) if file else {},
    )
