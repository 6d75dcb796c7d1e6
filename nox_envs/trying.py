"""Environments that no noxfile declares: made for one command, and gone after it."""

from __future__ import annotations

import re
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nox_envs import _files, _process, discover, matrix, settings
from nox_envs.cell import needs_venv
from nox_envs.declaration import parse
from nox_envs.errors import FileMissing, ToolFailed, UsageError
from nox_envs.gather import Noxfile, read_pyproject
from nox_envs.provision import Job, provision
from nox_envs.resolve.requests import COMMAND_LINE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nox_envs.declaration import Declaration
    from nox_envs.provision import Provisioned

__all__ = ["Tried", "declared", "empty_environment", "made", "shell_of"]


def __dir__() -> list[str]:
    return __all__


_SAID_BY = "nox-envs try"
_PROJECT = re.compile(r"\.(?:\[(?P<extras>[^\]]*)\])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """An environment, and what a command in it sees."""

    provisioned: Provisioned
    variables: Mapping[str, str]


def declared(
    words: Sequence[str], *, pythons: Sequence[str], files: Sequence[str], directory: Path
) -> Declaration:
    """What some requirements declare; `.` and `.[extra]` are the project of the directory.

    Raises `DeclarationError` with every mistake, or what else cannot be meant.
    """
    projects = [match for word in words if (match := _PROJECT.fullmatch(word))]
    pyproject = read_pyproject(directory)
    is_there = (pyproject is not None and pyproject.default_kind is not False) or (
        directory / "setup.py"
    ).is_file()
    if projects and not is_there:
        raise UsageError(
            problem=f"there is no project in {directory}: no setup.py, and no pyproject.toml that "
            "declares one",
            advice=("go to the directory of the project",),
        )
    for python in pythons:
        if not re.search(r"\d|[/\\]", python):
            hint = f"write its version:   -p {_this()}"
            raise UsageError(problem=f"there is no Python {python}", advice=(hint,))
    for file in files:
        if not (directory / file).exists():
            raise FileMissing(path=file, asked_by=_SAID_BY)
    options = {
        "python": list(pythons) or [_this()],
        "dependencies": [word for word in words if not _PROJECT.fullmatch(word)],
        "requirements": [str(Path(directory / one)) for one in files],
        "extras": [
            name.strip()
            for match in projects
            for name in (match["extras"] or "").split(",")
            if name.strip()
        ],
        "project": None if projects else False,
        "directory": str(directory),
    }
    return parse("try", options, where=_SAID_BY, pyproject=pyproject)


def made(
    declaration: Declaration, python: str, *, scratch: Path, variables: Mapping[str, str]
) -> Tried:
    """The environment of one Python, in a directory of its own. Raises a `NoxEnvsError`."""
    place = _files.make_directory(scratch / re.sub(r"[^\w.]+", "-", python))
    directory = Path(declaration.directory)

    def make() -> None:
        empty_environment(python, place / "env", variables=variables, directory=directory)

    make()
    job = Job(
        name=f"{_SAID_BY}-{python}",
        cell=matrix.cell_of(declaration, python, {}),
        declaration=declaration,
        noxfile=Noxfile(path=place / _SAID_BY, line=1, stands_for=COMMAND_LINE),
        environment=place / "env",
        python=_executable(place / "env"),
        cache=scratch / "cache",
        run=settings.run_id(dict(variables))[0],
        token=uuid.uuid4().hex,
        reused=False,
        no_install=False,
        recreate=make,
    )
    provisioned = provision(job, variables)
    return Tried(provisioned=provisioned, variables=shell_of(job.environment, variables))


def empty_environment(
    python: str | Path,
    place: Path,
    *,
    variables: Mapping[str, str],
    directory: Path,
    with_pip: bool = False,
) -> Path:
    """Make an empty environment, and return its interpreter; with pip where that installs.

    Raises `InterpreterMissing`, or `ToolFailed`.
    """
    asked = str(python)
    base = Path(sys.executable) if asked == _this() else discover.locate(asked, variables)
    if base is None:
        raise discover.missing(asked, variables)
    uv = settings.find_uv(variables)
    env = settings.tool_environment(variables, kind="uv" if uv else "pip", directory=directory)
    # Else virtualenv starts a pip, behind our back, that looks for newer seeds.
    command: list[str | Path] = [
        sys.executable, "-m", "virtualenv", "--quiet", "--no-periodic-update",
        "--python", base, place,
    ]  # fmt: skip
    if uv and not with_pip:
        command = [uv, "venv", "--quiet", "--no-config", "--no-project", "--python", base, place]
    elif needs_venv(asked):
        command = [base, "-I", "-m", "venv", place]
    _files.remove(place)
    done = _process.run(command, env=env, cwd=place.parent)
    if done.returncode != 0:
        raise ToolFailed(
            command=" ".join(done.command), returncode=done.returncode, output=done.output
        )
    return _executable(place)


def shell_of(
    environment: Path,
    variables: Mapping[str, str],
    changes: Mapping[str, str | None] | None = None,
) -> dict[str, str]:
    """What a command sees that runs in an environment, as in a session of nox.

    `changes` are those of a declaration; without one, what leaks other environments goes.
    """
    if changes is None:
        changes = settings.test_environment(variables, pass_env=None, declared={}, env_file={})
    kept = {name: value for name, value in variables.items() if name not in changes}
    kept |= {name: value for name, value in changes.items() if value is not None}
    path = [str(_executable(environment).parent), kept.get("PATH", "")]
    separator = ";" if sys.platform == "win32" else ":"
    return {**kept, "VIRTUAL_ENV": str(environment), "PATH": separator.join(filter(None, path))}


def _this() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _executable(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
