"""What a noxfile imports.

`session` checks a declaration and registers it with `nox.session` under a wrapper of
the user's function. nox makes the empty environment with its stock backend; the
wrapper does the rest (`running`): nothing of that is loaded to list sessions.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

import nox
from packaging.requirements import InvalidRequirement, Requirement

from nox_envs import _host, declaration, matrix, settings
from nox_envs.cell import needs_venv
from nox_envs.errors import DeclarationError, Mistake
from nox_envs.options import nearest
from nox_envs.pyproject import supported_pythons

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from nox_envs.declaration import Declaration
    from nox_envs.options import Options
    from nox_envs.pyproject import Pyproject
    from nox_envs.upgrade.options import Kind

__all__ = ["campaigns", "pythons", "session"]


def __dir__() -> list[str]:
    return __all__


F = TypeVar("F", bound=Callable[..., Any])


@overload
def session(function: F, /) -> F: ...


@overload
def session(**options: Unpack[Options]) -> Callable[[F], F]: ...


def session(function: Any = None, /, **options: Any) -> Any:
    """Declare a session with the environments that it needs.

    Used as `nox.session` is, bare or with options; `nox_envs.options.Options`
    documents each of them. The session gets exactly the environment that it declares,
    or does not run. Mistakes end nox with exit code 2, all of them reported at once.
    """
    if function is None:
        return functools.partial(_declare, options=options)
    return _declare(function, options=options)


def pythons(pyproject: str | os.PathLike[str] = "pyproject.toml") -> list[str]:
    """The Pythons that a project says it supports, oldest first: `["3.10", "3.11"]`.

    From the classifiers that `requires-python` admits; without such classifiers, from
    `requires-python` alone. A relative path is relative to the noxfile. Raises
    `SystemExit` with a message where pyproject.toml says neither.
    """
    from nox_envs.gather import read_pyproject  # noqa: PLC0415 - few noxfiles ask

    caller = sys._getframe(1).f_globals.get("__file__")  # noqa: SLF001 - as warnings does
    path = Path(caller).parent / pyproject if caller else Path(pyproject)
    problem = "does not exist"
    try:
        project = read_pyproject(path.parent)
    except DeclarationError as error:
        raise _refusal(error) from error
    if project is not None:
        problem = "has neither classifiers for Python 3.X nor requires-python"
        try:
            found = supported_pythons(project)
        except ValueError as error:  # InvalidSpecifier is one.
            found, problem = [], f"has an invalid requires-python: {error}"
        if found:
            return found
    mistake = Mistake(
        address="nox_envs.pythons()",
        problem=f"{pyproject} {problem}",
        hint='write python=["3.11", "3.12"] instead',
    )
    raise _refusal(DeclarationError(where=path.name, mistakes=(mistake,)))


_CAMPAIGNS: Mapping[Kind, tuple[str, str]] = {
    "upgrade": ("Which newer releases can I take today, together?", "-- --help"),
    "bisect": ("Which release of NAME broke me?", "-- NAME"),
    "culprit": ("It worked before: which package is to blame?", "-- --help"),
    "floors": ("Do my lower bounds really work?", "-- --help"),
}
"""The sessions that `campaigns` registers, and what `nox -l` says of them."""


def campaigns(
    *sessions: Any,
    suffix: str = "",
    only: str | Sequence[str] | None = None,
    hold: str | Sequence[str] = (),
) -> None:
    """Register the sessions that answer questions about declared sessions.

    `sessions` are what `nox_envs.session` returned: all their cells are asked about. The new
    sessions are not run by a bare `nox`. `suffix` ends their names, so that a noxfile may have
    several groups of them; `only` names the ones that are wanted; `hold` limits dependencies
    (`sqlalchemy<2`) or leaves them where they are (`sqlalchemy`). Mistakes end nox with exit
    code 2, all of them reported at once.
    """
    caller = sys._getframe(1)  # noqa: SLF001 - as warnings does
    where = f"{Path(caller.f_code.co_filename).name}:{caller.f_lineno}, nox_envs.campaigns"
    names: list[Any] = (
        [only] if isinstance(only, str) else list(_CAMPAIGNS if only is None else only)
    )
    limits = [hold] if isinstance(hold, str) else list(hold)
    mistakes = _campaign_mistakes(sessions, names, suffix, limits)
    if mistakes:
        _refuse(DeclarationError(where=where, mistakes=tuple(mistakes)))
    for name in names:
        _register_campaign(name, f"{name}{suffix}", sessions, limits)


def _campaign_mistakes(
    sessions: Sequence[Any], names: Sequence[Any], suffix: str, limits: Sequence[str]
) -> list[Mistake]:
    mistakes = []
    if not sessions:
        hint = "name at least one:   nox_envs.campaigns(test)"
        mistakes.append(Mistake(address="sessions", problem="there is none", hint=hint))
    for one in sessions:
        if _host.cells(one) is None:
            name = getattr(one, "__name__", None) or getattr(one, "name", None) or repr(one)
            problem = "is not declared with @nox_envs.session"
            mistakes.append(Mistake(address=str(name), problem=problem))
    for name in names:
        if name not in _CAMPAIGNS:
            near = nearest(name, list(_CAMPAIGNS)) or f"there is {', '.join(_CAMPAIGNS)}"
            mistakes.append(Mistake(address="only", problem=f"{name!r} is unknown", hint=near))
        elif _host.is_taken(f"{name}{suffix}"):
            problem = f"the session name {name}{suffix} is taken"
            hint = f'name the others differently:   suffix="-{name}"'
            mistakes.append(Mistake(address="suffix", problem=problem, hint=hint))
    for text in limits:
        if not _is_requirement(text):
            problem, hint = f"{text!r} is not a requirement", 'write "sqlalchemy<2"'
            mistakes.append(Mistake(address="hold", problem=problem, hint=hint))
    return mistakes


def _is_requirement(text: str) -> bool:
    try:
        Requirement(text)
    except InvalidRequirement:
        return False
    return True


def _register_campaign(
    kind: Kind, name: str, sessions: Sequence[Any], limits: Sequence[str]
) -> None:
    def run(session: nox.Session) -> None:
        from nox_envs import campaigning  # noqa: PLC0415 - not needed to list sessions

        campaigning.run(kind, name, session, sessions, limits)

    run.__name__ = run.__qualname__ = name.replace("-", "_")
    question, words = _CAMPAIGNS[kind]
    run.__doc__ = f"{question}  (nox -s {name} {words})"
    nox.session(name=name, python=False, venv_backend="none", default=False)(run)


def _refusal(error: DeclarationError) -> SystemExit:
    """The end of nox, with the message and no traceback: nox prints one for all others."""
    sys.stderr.write(settings.redact(f"{error}\n", os.environ))
    return SystemExit(error.exit_code)


def _refuse(error: DeclarationError) -> NoReturn:
    raise _refusal(error) from error


# -- declaring ------------------------------------------------------------------------


def _declare(function: Any, *, options: Mapping[str, Any]) -> Any:
    try:
        return _register(function, options)
    except DeclarationError as error:
        raise _refusal(error) from error


def _register(function: Any, options: Mapping[str, Any]) -> Any:
    if not inspect.isfunction(function):
        mistake = Mistake(
            address=getattr(function, "__name__", repr(function)),
            problem="is not a plain function",
            hint="use @nox_envs.session instead of @nox.session, and as the topmost decorator",
        )
        raise DeclarationError(where="@nox_envs.session", mistakes=(mistake,))
    name = options.get("name") or function.__name__
    code = inspect.unwrap(function).__code__
    noxfile, line = Path(code.co_filename).absolute(), code.co_firstlineno
    where = f"{noxfile.name}:{line}, session {name}"
    declared = declaration.parse(
        str(name), options, where=where, pyproject=_pyproject_for(options, noxfile)
    )
    _check_cells(declared, where)
    settings.run_id(os.environ)  # Minted here, so that the processes of -j inherit it.
    parent = os.getppid()  # A worker of -j notices that it has ended in the meantime.

    @functools.wraps(function)
    def wrapper(session: nox.Session, **arguments: Any) -> None:
        from nox_envs import running  # noqa: PLC0415 - not needed to list sessions

        place = running.Noxfile(path=noxfile, line=line)
        running.CellRun(
            session=session,
            declared=declared,
            function=function,
            noxfile=place,
            parent=parent,
            arguments=arguments,
        ).run()

    stacked = wrapper.__dict__.pop("parametrize", None)
    _check_parameters(function, declared, stacked, where)
    registered = nox.session(wrapper, **_host_options(declared))
    return _host.into_cells(
        registered,
        declared,
        stacked,
        where=where,
        noxfile=noxfile,
        line=line,
        prepare=functools.partial(_prepare, declared),
        backend_for=functools.partial(_backend, declared),
        refuse=_refuse,
    )


def _host_options(declared: Declaration) -> dict[str, Any]:
    """What `nox.session` itself is told."""
    found = matrix.pythons(declared)
    python: Any = list(found) if found else None
    if found and declared.single_python and len(found) == 1:
        python = found[0]
    options = {"name": declared.name, "python": python, **declared.host}
    if _host.knows_parallel():
        # Cells share no environment, and `-j` has to be asked for on the command line.
        options.setdefault("allow_parallel", True)
    else:
        options.pop("allow_parallel", None)
    backend = _backend(declared, None)
    return {**options, "venv_backend": backend} if backend else options


def _pyproject_for(options: Mapping[str, Any], noxfile: Path) -> Pyproject | None:
    """pyproject.toml, where names in the declaration have to be checked against it."""
    if not (options.get("groups") or options.get("extras")):
        return None
    from nox_envs.gather import read_pyproject  # noqa: PLC0415 - few declarations need it

    directory = options.get("directory") or "."
    return read_pyproject(noxfile.parent / str(directory))


def _check_parameters(
    function: Any, declared: Declaration, stacked: Sequence[Any] | None, where: str
) -> None:
    """Every parameter after the session must be an axis, or one of `nox.parametrize`."""
    known = {axis.parameter for axis in declared.axes}
    known |= {name for param in stacked or () for name in param.arg_names}
    mistakes = [
        Mistake(
            address=f"def {function.__name__}",
            problem=f"the parameter {parameter.name} is no axis of the matrix",
            hint=nearest(parameter.name, sorted(known))
            or "name it in matrix=, or in @nox.parametrize below @nox_envs.session",
        )
        for parameter in list(inspect.signature(function).parameters.values())[1:]
        if parameter.default is parameter.empty
        and parameter.kind not in {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL}
        and parameter.name not in known
    ]
    if mistakes:
        raise DeclarationError(where=where, mistakes=tuple(mistakes))


def _check_cells(declared: Declaration, where: str) -> None:
    pythons = matrix.pythons(declared)
    empty = pythons == () or (
        pythons is None and not any(True for _ in matrix.combinations(declared, None))
    )
    if empty:
        mistake = Mistake(address="exclude", problem="leaves no cell, so the session cannot run")
        raise DeclarationError(where=where, mistakes=(mistake,))


def _backend(declared: Declaration, python: str | None) -> str | None:
    """Uv where it is, else virtualenv; what the user chose wins.

    virtualenv cannot make environments for Pythons that its pip no longer runs on.
    """
    if (
        "venv_backend" in declared.host
        or settings.backend_chosen(os.environ, sys.argv[1:])
        or getattr(nox.options, "default_venv_backend", None) not in {None, "virtualenv"}
    ):
        return None
    plain = "venv" if python is not None and needs_venv(python) else "virtualenv"
    return plain if settings.prefers_pip(os.environ) else f"uv|{plain}"


def _prepare(declared: Declaration, python: str) -> None:
    """Just before nox makes an environment: have it find the interpreter."""
    from nox_envs import running  # noqa: PLC0415 - not needed to list sessions

    running.prepare(declared, python)
