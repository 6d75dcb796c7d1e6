"""The seams of nox that are not public, each in one place, with a way to notice a change.

Everything else that is used of nox is its documented API. The tests run this module
against the oldest nox that is supported and against the newest one.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn, cast, overload

import nox

from nox_envs import matrix
from nox_envs.errors import DeclarationError, Mistake

if TYPE_CHECKING:
    from nox_envs.cell import Cell
    from nox_envs.declaration import Declaration

__all__ = [
    "JustInTime",
    "beside",
    "cells",
    "declaration_of",
    "dies_with_parent",
    "forbids_install",
    "forget",
    "into_cells",
    "is_taken",
    "knows_parallel",
    "location",
    "manages_nothing",
    "noxfile",
    "recreate",
    "registered",
    "runs_nothing",
    "told",
    "warm",
    "was_reused",
    "words_for_trials",
]


def __dir__() -> list[str]:
    return __all__


# -- cells ----------------------------------------------------------------------------


def into_cells(
    registered: Any,
    declared: Declaration,
    stacked: Sequence[Any] | None,
    *,
    where: str,
    noxfile: Path,
    line: int,
    prepare: Callable[[str], None],
    backend_for: Callable[[str], str | None],
    refuse: Callable[[DeclarationError], NoReturn],
) -> Any:
    """Make a registered session expand to the cells of its declaration.

    nox gives every Python of a session one list of parameters. The object that
    `nox.session` returns is copied for each Python and told it by an assignment to
    `python`; a subclass sees that assignment and takes the parameters of that Python.
    So excluded cells do not exist, and names are nox's own. `stacked` are parameters of
    `nox.parametrize` below the session. `prepare` is called with a Python right before
    nox makes an environment with it.
    """
    state = _State(
        declared=declared,
        noxfile=noxfile,
        line=line,
        stacked=stacked,
        where=where,
        prepare=prepare,
        backend_for=backend_for,
        refuse=refuse,
        venv_params=tuple(registered.venv_params or ()),
    )
    kind = type(registered)
    if not callable(getattr(kind, "copy", None)) or not hasattr(registered, "python"):
        mistake = Mistake(
            address="nox", problem="has changed how it expands sessions", hint="upgrade nox-envs"
        )
        raise DeclarationError(where=where, mistakes=(mistake,))
    registered.__class__ = _cell_class(kind)
    object.__setattr__(registered, "_nox_envs", state)
    _fit(registered)
    mistakes = _claim(declared.name, _names(declared, state))
    if mistakes:
        raise DeclarationError(where=where, mistakes=mistakes)
    return registered


class _State(SimpleNamespace):
    """What all copies of a session share."""


_CLASSES: dict[type, type] = {}


def _cell_class(kind: Any) -> type:
    """A subclass of nox's class that fits the parameters to the Python."""
    if kind not in _CLASSES:

        class Cells(kind):  # type: ignore[misc]
            """One declared session, as nox sees it."""

            def __setattr__(self, name: str, value: Any) -> None:
                if name == "parametrize":
                    self._nox_envs.refuse(_lost_parametrize(self._nox_envs.where))
                super().__setattr__(name, value)
                if name == "python":
                    _fit(self)

            def copy(self, name: str | None = None) -> Any:
                copied = super().copy(name)
                copied.__class__ = type(self)
                object.__setattr__(copied, "_nox_envs", self._nox_envs)
                _fit(copied)
                return copied

        _CLASSES[kind] = Cells
    return _CLASSES[kind]


def _lost_parametrize(where: str) -> DeclarationError:
    mistake = Mistake(
        address="@nox.parametrize",
        problem="stands above @nox_envs.session, where nox loses it",
        hint="put it below @nox_envs.session",
    )
    return DeclarationError(where=where, mistakes=(mistake,))


def _fit(func: Any) -> None:
    """Give a session the parameters, and the backend, of the one Python that it has."""
    python, state = func.python, func._nox_envs  # noqa: SLF001 - ours
    if isinstance(python, list | tuple | set):
        return
    specs = _specs(state, python or None)
    if specs is None:
        func.__dict__.pop("parametrize", None)
    else:
        func.__dict__["parametrize"] = specs
    if isinstance(python, str):
        func.venv_params = JustInTime(state.venv_params, lambda: state.prepare(python))
        backend = state.backend_for(python)
        if backend is not None:
            func.venv_backend = backend


def _specs(state: Any, python: str | None) -> list[Any] | None:
    """Nox's parameters for one Python; None where the session has none."""
    combinations = list(matrix.combinations(state.declared, python))
    if not state.declared.axes:
        return (
            list(state.stacked) if combinations and state.stacked else None if combinations else []
        )
    holder = SimpleNamespace()
    if state.stacked:
        holder.parametrize = list(state.stacked)
    names = [axis.parameter for axis in state.declared.axes]
    params = []
    for labels in combinations:
        values = labels.values()
        text = ", ".join(f"{name}={value.label!r}" for name, value in labels.items())
        labelled = any(value.label != value.text for value in values)
        params.append(nox.param(*(v.text for v in values), id=text if labelled else None))
    if not params:
        return []
    return cast("list[Any]", nox.parametrize(names, params)(holder).parametrize)


def _names(declared: Declaration, state: Any) -> Iterator[str]:
    for python in matrix.pythons(declared) or (None,):
        base = f"{declared.name}-{python}" if python else declared.name
        specs = _specs(state, python)
        if specs is None:
            yield base
        else:
            yield from (f"{base}({spec})" for spec in specs)


_DIRECTORIES = matrix.Directories()
"""Those of all sessions that have been registered in this process."""


def _claim(session: str, names: Iterable[str]) -> tuple[Mistake, ...]:
    """Take the environment directories of a session; a mistake for each that is taken."""
    registry = nox.registry.get()
    for other in registry.keys() - _DIRECTORIES.sessions - {session}:
        _DIRECTORIES.claim(other, _plain_names(other, registry[other]))
    return _DIRECTORIES.claim(session, names)


def _plain_names(session: str, func: Any) -> list[str]:
    """The names of a session of plain nox, without its parameters."""
    if isinstance(func.python, list | tuple | set):
        return [f"{session}-{python}" for python in func.python]
    return [f"{session}-{func.python}" if func.python else session]


class JustInTime(Sequence[str]):
    """Arguments of the venv backend, read by nox right before it makes an environment.

    It is the one moment between the choice of a session and its environment: a Python
    that is installed, but not found by nox, is shown to it here, and one that is missing
    is answered in our words. Nothing is looked for while sessions are only listed.
    """

    def __init__(self, params: Sequence[str], prepare: Callable[[], None]) -> None:
        self._params = tuple(params)
        self._prepare = prepare

    def __len__(self) -> int:
        self._prepare()
        return len(self._params)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        return self._params[index]

    def __iter__(self) -> Iterator[str]:
        self._prepare()
        return iter(self._params)


@functools.cache
def knows_parallel() -> bool:
    """Whether this nox runs sessions in parallel (since 2026.8.10)."""
    return "allow_parallel" in inspect.signature(nox.session).parameters


# -- running --------------------------------------------------------------------------


def _config(session: nox.Session) -> Any:
    return session._runner.global_config  # noqa: SLF001 - used by every nox plugin


def forbids_install(session: nox.Session) -> bool:
    """Whether `-R` or `--no-install` was given."""
    return bool(getattr(_config(session), "no_install", False))


def runs_nothing(session: nox.Session) -> bool:
    """Whether `--install-only` was given, under which no command is run."""
    return bool(getattr(_config(session), "install_only", False))


def dies_with_parent(session: nox.Session) -> bool:
    """Whether a nox of `-j` started this one, and waits for it."""
    return bool(getattr(_config(session), "parallel_worker", False))


def cells(registered: Any) -> list[tuple[str, Cell]] | None:
    """Every cell of a session that `into_cells` made, by its full name; None for another."""
    state = getattr(registered, "_nox_envs", None)
    if state is None:
        return None
    declared = state.declared
    axes = {axis.parameter: axis for axis in declared.axes}
    found = []
    for name, python, arguments in _expanded(state):
        labels = {one: axis.with_text(arguments[one]) for one, axis in axes.items()}
        found.append((name, matrix.cell_of(declared, python, labels)))
    return found


def declared_sessions() -> list[Any]:
    """Every session of the noxfile that `into_cells` made, in its order."""
    return [one for one in nox.registry.get().values() if cells(one) is not None]


def told(registered: Any) -> dict[str, dict[str, str]]:
    """What the function of each cell is told, by the cell's full name.

    The axes that it has a parameter for, and all parameters of `nox.parametrize`.
    """
    state = registered._nox_envs  # noqa: SLF001 - ours
    taken = inspect.signature(registered).parameters.values()
    names = {one.name for one in taken}
    left_out = {axis.parameter for axis in state.declared.axes} - names
    if any(one.kind is one.VAR_KEYWORD for one in taken):
        left_out = set()
    return {
        name: {one: str(value) for one, value in arguments.items() if one not in left_out}
        for name, _, arguments in _expanded(state)
    }


def _expanded(state: Any) -> Iterator[tuple[str, str | None, dict[str, Any]]]:
    """Every cell: its full name, its Python, and the arguments of nox."""
    declared = state.declared
    for python in matrix.pythons(declared) or (None,):
        base = f"{declared.name}-{python}" if python else declared.name
        specs = _specs(state, python)
        if specs is None:
            yield base, python, {}
        for spec in specs or ():
            yield f"{base}({spec})", python, dict(zip(spec.arg_names, spec.args, strict=True))


def declaration_of(registered: Any) -> tuple[Declaration, Path, int]:
    """What a session that `into_cells` made declares, and where."""
    state = registered._nox_envs  # noqa: SLF001 - ours
    return state.declared, state.noxfile, state.line


def noxfile(session: nox.Session) -> Path:
    """The noxfile that nox has loaded."""
    return Path(_config(session).noxfile).resolve()


def beside(name: str, kind: str) -> tuple[str, ...]:
    """The campaigns that the noxfile has beside one of a kind, without their suffix."""
    suffix = name.removeprefix(kind)
    others = ("matrix", "upgrade", "bisect", "floors", "culprit")
    return tuple(one for one in others if one != kind and is_taken(f"{one}{suffix}"))


def is_taken(name: str) -> bool:
    """Whether a session of that name has been registered."""
    return name in nox.registry.get()


def registered(name: str) -> Any:
    """The session of that name; None where there is none."""
    return nox.registry.get().get(name)


def forget(name: str) -> None:
    """Give a name back, before nox warns of a second session that has it."""
    sessions: Any = getattr(nox.registry, "_REGISTRY", {})
    sessions.pop(name, None)


def words_for_trials(session: nox.Session) -> tuple[str, ...]:
    """What the user told nox about environments, as options for another nox."""
    config = _config(session)
    words: list[str] = []
    if config.force_venv_backend:
        words += ["--force-venv-backend", config.force_venv_backend]
    elif config.default_venv_backend not in {None, "", "virtualenv"}:
        words += ["--default-venv-backend", config.default_venv_backend]
    if getattr(config, "download_python", None):
        words += ["--download-python", config.download_python]
    return tuple(words)


def manages_nothing(session: nox.Session) -> bool:
    """Whether `--no-venv` was given, under which no environment is made for anything."""
    return bool(_config(session).force_venv_backend == "none")


def location(session: nox.Session) -> Path | None:
    """The session's virtual environment; None under `--no-venv`."""
    place = getattr(session.virtualenv, "location", None)
    return Path(place) if place else None


def was_reused(session: nox.Session) -> bool:
    """Whether nox found the environment instead of making it."""
    return bool(getattr(session.virtualenv, "_reused", True))


def recreate(session: nox.Session) -> None:
    """Have nox make the environment anew."""
    venv: Any = session.virtualenv
    venv.reuse_existing = False
    venv.create()
    # Else `session.install` in the function would be skipped under `--no-install`.
    venv._reused = False  # noqa: SLF001


def warm() -> None:
    """Have nox find out, before it is forked, what it finds out once in every process."""
    import nox.virtualenv  # noqa: PLC0415 - heavy

    found: Any = getattr(nox.virtualenv, "find_uv", None)
    if hasattr(found, "cache_info"):  # Else it would be found out again.
        found()
