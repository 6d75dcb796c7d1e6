"""The noxfile, loaded without running a session: what it declares, and where that lies.

The seams of nox that are needed for it are here, as those of a run are in `_host`.
"""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nox
import nox.registry
from nox import tasks

from nox_envs import _host, settings
from nox_envs.errors import FileMissing, UsageError
from nox_envs.options import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nox_envs.cell import Cell
    from nox_envs.declaration import Declaration
    from nox_envs.toolbox import Job

__all__ = ["DeclaredCell", "Loaded", "load"]


def __dir__() -> list[str]:
    return __all__


_LISTED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredCell:
    """A cell of a noxfile."""

    name: str
    """What nox calls it."""
    cell: Cell
    declaration: Declaration
    line: int
    """Where the declaration begins."""
    environment: Path
    """Where nox makes its environment; it need not be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A noxfile that was loaded."""

    path: Path
    environments: Path
    """Where nox makes environments: `.nox`."""
    envdir: str | None
    """The same as nox was told, if it was."""
    cells: tuple[DeclaredCell, ...]
    """Those of sessions that are declared with nox-envs, in the order of the noxfile."""

    @property
    def cache(self) -> Path:
        """What nox-envs keeps beside the environments."""
        return self.environments / ".cache" / "nox-envs"

    def find(self, word: str) -> DeclaredCell:
        """The cell of that name; or the only one of a session, or of a session on one Python.

        Raises `UsageError` where there is none, or several.
        """
        plain = word.replace('"', "'")
        meant = [one for one in self.cells if one.name == plain]
        meant = meant or [
            one for one in self.cells
            if plain in {one.cell.session, f"{one.cell.session}-{one.cell.python}", one.cell.name}
        ]  # fmt: skip
        if len(meant) == 1:
            return meant[0]
        if meant:
            listed = ", ".join(one.name for one in meant[:_LISTED])
            raise UsageError(
                problem=f"{word} is {len(meant)} cells", advice=(f"choose one of   {listed}",)
            )
        sessions = dict.fromkeys(one.cell.session for one in self.cells)
        names = [*sessions, *(one.name for one in self.cells)]
        near = nearest(plain, names) or "see which there are:   nox-envs show"
        raise UsageError(problem=f"{self.path.name} has no cell {word}", advice=(near,))

    def job(self, one: DeclaredCell, variables: Mapping[str, str]) -> Job:
        """What has to be known to look at the environment of a cell."""
        from nox_envs.gather import Noxfile  # noqa: PLC0415 - heavy
        from nox_envs.toolbox import Job  # noqa: PLC0415 - heavy

        windows = sys.platform == "win32"
        return Job(
            name=one.name,
            cell=one.cell,
            declaration=one.declaration,
            noxfile=Noxfile(path=self.path, line=one.line),
            environment=one.environment,
            python=one.environment / ("Scripts/python.exe" if windows else "bin/python"),
            cache=self.cache,
            run=settings.run_id(dict(variables))[0],
            token="",
            reused=True,
            no_install=True,
            recreate=lambda: None,
        )


def load(noxfile: str, envdir: str | None = None) -> Loaded:
    """Load a noxfile in this process, as nox would; what it prints goes to stderr.

    `envdir` is where nox was told to make environments, relative to the noxfile.
    Raises `SystemExit` where it declares what cannot be, after saying so.
    """
    path = Path(noxfile).absolute()
    if not path.is_file():
        fix = "go to the directory of the noxfile, or name it:   --noxfile FILE"
        raise FileMissing(path=noxfile, asked_by="nox-envs", fix=fix)
    with _as_nox_is_started(path, envdir), contextlib.redirect_stdout(sys.stderr):
        config = _config()
        try:
            module = tasks.load_nox_module(config)
        except Exception as error:
            raise _failed(noxfile, error) from error
        if isinstance(module, int):  # nox has said why.
            raise SystemExit(module)
        tasks.merge_noxfile_options(module, config)
        manifest = tasks.discover_manifest(module, config)
        directory = Path(os.fspath(config.envdir)).absolute()
        cells = tuple(_cells(manifest))
    return Loaded(path=path, environments=directory, envdir=envdir, cells=cells)


def _config() -> Any:
    from nox import _options  # noqa: PLC0415 - no public way to the options of nox

    return _options.options.parse_args()


@contextlib.contextmanager
def _as_nox_is_started(path: Path, envdir: str | None) -> Iterator[None]:
    """With the command line that lists sessions; nox goes to the directory of the noxfile."""
    words, place, writes_none = sys.argv, Path.cwd(), sys.dont_write_bytecode
    sys.argv = ["nox", "--noxfile", str(path), "--list"]
    sys.argv += ["--envdir", envdir] if envdir else []
    sys.dont_write_bytecode = True  # Whoever looks leaves nothing behind.
    try:
        yield
    finally:
        sys.argv, sys.dont_write_bytecode = words, writes_none
        os.chdir(place)


def _failed(noxfile: str, error: Exception) -> UsageError:
    said = f"{type(error).__name__}: {error}".rstrip(": ")
    advice: tuple[str, ...] = ()
    if isinstance(error, ImportError):
        advice = (f"what it imports has to be installed for {sys.executable}",)
    return UsageError(problem=f"{noxfile} cannot be loaded: {said}", advice=advice)


def _cells(manifest: Any) -> Iterator[DeclaredCell]:
    registered = nox.registry.get()
    known: dict[str, dict[str, Cell]] = {}
    for runner, _ in manifest.list_all_sessions():
        function = registered[runner.name]
        cells = _host.cells(function)
        if cells is None:
            continue
        if runner.name not in known:
            known[runner.name] = {alias: cell for name, cell in cells for alias in (
                f"{cell.session}{name.removeprefix(f'{cell.session}-{cell.python}')}", name)}  # fmt: skip
        declared, _, line = _host.declaration_of(function)
        name = runner.friendly_name
        cell = known[runner.name].get(name)
        if cell is not None:  # `--extra-python` is no cell of the noxfile.
            yield DeclaredCell(
                name=name,
                cell=cell,
                declaration=declared,
                line=line,
                environment=Path(runner.envdir).absolute(),
            )
