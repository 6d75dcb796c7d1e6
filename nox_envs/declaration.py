"""A declaration: what a session declares, checked as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from nox_envs.errors import DeclarationError
from nox_envs.matrix_options import MatrixReader
from nox_envs.options import OptionsReader

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from nox_envs.cell import Axis, Match
    from nox_envs.pyproject import ProjectKind, Pyproject

__all__ = ["Declaration", "parse"]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What a session declares, checked."""

    name: str
    pythons: tuple[str, ...] | None = None
    """None leaves the choice to nox."""
    single_python: bool = False
    """Whether one string was given: nox then accepts the bare name, too."""
    axes: tuple[Axis, ...] = ()
    exclude: tuple[Match, ...] = ()
    include: tuple[Match, ...] = ()
    may_fail: tuple[Match, ...] = ()
    dependencies: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    project: ProjectKind | Literal[False] | None = None
    lock: str | None = None
    locked: bool = False
    resolution: str = "highest"
    prerelease: bool = False
    cooldown: timedelta | None = None
    cooldown_text: str = ""
    """The same as it was written."""
    env: Mapping[str, str] = field(default_factory=dict)
    env_file: str | None = None
    pass_env: tuple[str, ...] | None = None
    directory: str = "."
    timeout: float | None = None
    isolation: str = "detect"
    skip_unchanged: bool = False
    build: tuple[str, ...] = ()
    tree: str = "copy"
    tree_include: tuple[str, ...] = ()
    host: Mapping[str, Any] = field(default_factory=dict)
    """What nox itself is told: tags, requires, venv_backend and so on."""
    declared_in: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Parameters that do not stand in the noxfile, and where they may: a file relative to the
    noxfile, the name of a snippet; empty for the noxfile itself."""

    def is_declared_in(self, file: str) -> bool:
        """Whether a file, relative to the noxfile, says some of it."""
        return any(file in sources for sources in self.declared_in.values())

    def asked_in(self, file: str) -> frozenset[str]:
        """Which fields of a table in a file, relative to the noxfile, are what it asks for."""
        install = self.declared_in.get("install", ())
        plain = self.declared_in.get("dependencies", ())[len(install) :]
        found = {"install": install, "dependencies": plain}
        return frozenset(name for name, sources in found.items() if file in sources)


def parse(
    name: str,
    options: Mapping[str, Any],
    *,
    where: str,
    pyproject: Pyproject | None = None,
) -> Declaration:
    """Check the options of a declaration.

    `pyproject` is what groups and extras are checked against; None leaves them
    unchecked. Raises `DeclarationError` with every mistake.
    """
    reader = OptionsReader(options)
    reader.unknown_names()
    cells = MatrixReader(reader)
    axes = cells.axes()
    declaration = Declaration(
        name=name,
        pythons=cells.pythons(),
        single_python=isinstance(options.get("python"), str),
        axes=axes,
        exclude=cells.rules("exclude", axes),
        include=cells.rules("include", axes, complete=True),
        may_fail=cells.rules("may_fail", axes),
        dependencies=reader.dependencies(),
        groups=reader.known("groups", None if pyproject is None else pyproject.groups),
        extras=reader.known("extras", None if pyproject is None else pyproject.optional, pyproject),
        requirements=reader.files("requirements"),
        constraints=reader.files("constraints"),
        project=reader.choice("project", ("wheel", "editable", "dependencies", False), None),
        lock=reader.lock(),
        locked=reader.flag("locked"),
        resolution=reader.choice("resolution", ("highest", "lowest-direct", "lowest"), "highest"),
        prerelease=reader.flag("prerelease"),
        cooldown=reader.cooldown(),
        cooldown_text=str(options.get("cooldown") or ""),
        env=reader.env(),
        env_file=reader.text("env_file", None),
        pass_env=reader.texts("pass_env") if options.get("pass_env") is not None else None,
        directory=reader.text("directory", "."),
        timeout=reader.timeout(),
        isolation=reader.choice("isolation", ("detect", "copy"), "detect"),
        skip_unchanged=reader.flag("skip_unchanged"),
        build=reader.texts("build"),
        tree=reader.choice("tree", ("copy", "shared"), "copy"),
        tree_include=reader.texts("tree_include"),
        host=reader.host(),
    )
    if declaration.project is False and declaration.extras:
        reader.wrong("extras", "are of a project that project=False leaves out")
    if declaration.lock is not None and declaration.locked:
        reader.wrong("lock", "stands beside locked=True; one lock decides", "leave one out")
    if reader.mistakes:
        raise DeclarationError(where=where, mistakes=tuple(reader.mistakes))
    return declaration
