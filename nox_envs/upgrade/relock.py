"""The locks of other tools after an upgrade: uv locks its own anew, for others it is said how."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from nox_envs import _files, _process, committed, settings
from nox_envs.errors import NotApplied
from nox_envs.upgrade.judged import Edit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from nox_envs.upgrade.column import Column
    from nox_envs.upgrade.proven import Proven

__all__ = ["UvLock", "advice", "is_kept_elsewhere", "uv_locks"]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True, slots=True, kw_only=True)
class UvLock:
    """A uv.lock that decides, and what uv is told to make of it."""

    label: str
    """Relative to the noxfile."""
    path: Path
    uv: Path
    moves: Mapping[NormalizedName, tuple[str, Version | None]]
    """What is in it, and what passed; None where columns differ."""

    @property
    def words(self) -> tuple[str, ...]:
        found = ["lock"]
        for name, (_, version) in sorted(self.moves.items()):
            found += ["--upgrade-package", name if version is None else f"{name}=={version}"]
        return tuple(found)

    @property
    def command(self) -> str:
        """What a user would type in the directory of the lock."""
        return shlex.join(["uv", *self.words])

    @property
    def edits(self) -> tuple[Edit, ...]:
        """What changes in it, to be told."""
        return tuple(
            Edit(file=self.label, line=0, name=name, before=f"{name} {was}".strip(),
                 after=f"{name} {version or ''}".strip())
            for name, (was, version) in sorted(self.moves.items())
        )  # fmt: skip

    def write(self, variables: Mapping[str, str]) -> None:
        """Have uv write it. Raises `NotApplied` in uv's words."""
        env = settings.tool_environment(variables, kind="uv", directory=self.path.parent)
        done = _process.run([self.uv, *self.words], env=env, cwd=self.path.parent)
        if done.returncode != 0:
            raise NotApplied(
                reason=f"uv cannot lock the versions that passed in {self.label}",
                places=tuple(done.stderr.strip().splitlines()),
                advice=(f"see what it says to:   {self.command}",),
                restored=True,
            )


def uv_locks(columns: Sequence[Column], proven: Proven, base: Path) -> list[UvLock]:
    """The locks that uv can write, for the columns that they decide."""
    found: dict[Path, dict[NormalizedName, tuple[str, set[Version]]]] = {}
    tools: dict[Path, Path] = {}
    for column in columns:
        path, uv = column.planner.lock_path(), column.planner.tools.uv
        if path is None or path.name != "uv.lock" or uv is None:
            continue
        tools[path] = uv
        moves = found.setdefault(path, {})
        now = column.current.pins
        for name, version in proven.environments.get(column.name, {}).items():
            if version is not None and now.get(name) != version:
                moves.setdefault(name, (str(now.get(name) or ""), set()))[1].add(version)
    return [
        UvLock(
            label=committed.relative(path.resolve(), base.resolve()),
            path=path,
            uv=tools[path],
            moves={
                name: (was, next(iter(to)) if len(to) == 1 else None)
                for name, (was, to) in moves.items()
            },
        )
        for path, moves in found.items()
        if moves
    ]


def is_kept_elsewhere(column: Column) -> bool:
    """Whether a lock decides that neither we nor uv write, and that is no requirement file."""
    path = column.planner.lock_path()
    if path is None:
        return False
    if path.name == "uv.lock":
        return column.planner.tools.uv is None
    return path.suffix in {".lock", ".toml"}


def advice(column: Column, proven: Proven) -> tuple[str, ...]:
    """What to type where the lock of a column has to be written by its own tool."""
    path = column.planner.lock_path()
    if path is None:
        return ()
    pins = sorted(proven.pins.items())
    if column.place.declaration.locked:
        again = " ".join([committed.COMMAND, "-- --upgrade", *(name for name, _ in pins)])
        return (f"admit these versions in what you declare, then:   {again}",)
    words = [f"{name}@{version}" for name, version in pins]
    match path.name:
        case "poetry.lock":
            groups = _groups(column)
            places = (f"--group {groups[name]} " if name in groups else "" for name, _ in pins)
            return _commands("poetry add --lock", words, places)
        case "Pipfile.lock":
            words = [f"{name}=={version}" for name, version in pins]
            return _commands("pipenv upgrade", words, _categories(path, [n for n, _ in pins]))
        case "uv.lock":
            targets = " ".join(f"--upgrade-package {name}=={version}" for name, version in pins)
            return (f"run it with uv installed, or:   uv lock {targets}",)
        case name:
            return (f"lock again with the tool that made {name}, with the versions above",)


def _commands(command: str, words: Sequence[str], options: Iterable[str]) -> tuple[str, ...]:
    """The command for all packages that need the same option."""
    found: dict[str, list[str]] = {}
    for word, option in zip(words, options, strict=True):
        found.setdefault(option, []).append(shlex.quote(word))
    return tuple(f"{command} {option}{' '.join(each)}" for option, each in sorted(found.items()))


def _groups(column: Column) -> dict[NormalizedName, str]:
    """The group that declares a package which the project itself does not need."""
    pyproject = column.gathered.pyproject
    if pyproject is None:
        return {}
    found: dict[NormalizedName, str] = {}
    for group, texts in pyproject.groups.items():
        for text in texts:
            if (name := _name(text)) is not None:
                found.setdefault(name, group)
    main = {_name(text) for text in (*pyproject.dependencies, *pyproject.poetry)}
    return {name: group for name, group in found.items() if name not in main}


def _name(text: Any) -> NormalizedName | None:
    try:
        return canonicalize_name(Requirement(text).name)
    except (InvalidRequirement, TypeError):
        return None


def _categories(path: Path, names: Sequence[NormalizedName]) -> list[str]:
    """The option that tells pipenv the category of each package."""
    held = {
        section: {canonicalize_name(one) for one in entries}
        for section, entries in json.loads(_files.read_text(path)).items()
        if section != "_meta"
    }
    options = {"default": "", "develop": "--dev "}
    found = []
    for name in names:
        section = next((one for one in ("default", *held) if name in held.get(one, ())), "default")
        found.append(options.get(section, f"--categories {section} "))
    return found
