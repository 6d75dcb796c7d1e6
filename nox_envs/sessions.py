"""What a noxfile imports, and the only module that knows nox.

`session` checks a declaration and registers it with `nox.session` under a wrapper of
the user's function. nox makes the empty environment with its stock backend; the
wrapper does the rest (`provision`) and runs the function in it.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import re
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast, overload

import nox

from nox_envs import _host, declaration, matrix, settings
from nox_envs._tree import TAG_VARIABLE, Stop, Stopped, Tree
from nox_envs.errors import BackendUnsupported, DeclarationError, Mistake, NoxEnvsError
from nox_envs.gather import Noxfile, read_pyproject
from nox_envs.pyproject import supported_pythons

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from nox_envs.cell import Cell
    from nox_envs.declaration import Declaration
    from nox_envs.options import Options
    from nox_envs.provision import Job, Provisioned

__all__ = ["pythons", "session"]


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
    caller = sys._getframe(1).f_globals.get("__file__")  # noqa: SLF001 - as warnings does
    path = Path(caller).parent / pyproject if caller else Path(pyproject)
    problem = "does not exist"
    try:
        project = read_pyproject(path.parent)
    except DeclarationError as error:
        _refuse(error)
    if project is not None:
        found = supported_pythons(project)
        if found:
            return found
        problem = "has neither classifiers for Python 3.X nor requires-python"
    mistake = Mistake(
        address="nox_envs.pythons()",
        problem=f"{pyproject} {problem}",
        hint='write python=["3.11", "3.12"] instead',
    )
    _refuse(DeclarationError(where=path.name, mistakes=(mistake,)))


def _refuse(error: NoxEnvsError) -> NoReturn:
    """End nox with the message and no traceback: it prints one for all that it catches."""
    _tell(error)
    raise SystemExit(error.exit_code) from error


def _tell(error: NoxEnvsError) -> None:
    sys.stderr.write(settings.redact(f"{error}\n", os.environ))
    sys.stderr.flush()


# -- declaring ------------------------------------------------------------------------


def _declare(function: Any, *, options: Mapping[str, Any]) -> Any:
    try:
        return _register(function, options)
    except DeclarationError as error:
        _refuse(error)


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
    noxfile = Noxfile(path=Path(code.co_filename).absolute(), line=code.co_firstlineno)
    where = f"{noxfile.path.name}:{noxfile.line}, session {name}"
    declared = declaration.parse(
        str(name), options, where=where, pyproject=_pyproject_for(options, noxfile)
    )
    _check_cells(declared, where)
    settings.run_id(os.environ)  # Minted here, so that the processes of -j inherit it.

    @functools.wraps(function)
    def wrapper(session: nox.Session, **arguments: Any) -> None:
        _run(session, declared, function, noxfile, arguments)

    stacked = wrapper.__dict__.pop("parametrize", None)
    registered = nox.session(wrapper, **_host_options(declared))
    return _host.into_cells(
        registered,
        declared,
        stacked,
        where=where,
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
    if not _host.knows_parallel():
        options.pop("allow_parallel", None)
    backend = _backend(declared, None)
    return {**options, "venv_backend": backend} if backend else options


def _pyproject_for(options: Mapping[str, Any], noxfile: Noxfile) -> Any:
    """pyproject.toml, where names in the declaration have to be checked against it."""
    if not (options.get("groups") or options.get("extras")):
        return None
    directory = options.get("directory") or "."
    return read_pyproject(noxfile.path.parent / str(directory))


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
    old = python is not None and _minor(python) < _SEEDED_SINCE
    plain = "venv" if old else "virtualenv"
    return plain if settings.prefers_pip(os.environ) else f"uv|{plain}"


_SEEDED_SINCE = (3, 9)
"""The oldest Python that virtualenv's bundled pip runs on."""


def _minor(python: str) -> tuple[int, int]:
    """The series of a plain version; of anything else, one that is new enough."""
    match = re.fullmatch(r"(?:python)?(\d+)\.(\d+)(?:\.\d+)?", python)
    return (int(match[1]), int(match[2])) if match else _SEEDED_SINCE


def _prepare(declared: Declaration, python: str) -> None:
    """Show nox an interpreter that is installed but not on PATH, or say that it is missing."""
    from nox_envs import discover  # noqa: PLC0415 - not needed to list sessions

    settings.forget_path()
    try:
        directory = discover.path_for(python, os.environ)
        if directory is not None:
            settings.extend_path(directory)
        elif (
            discover.understands(python)
            and discover.locate(python, os.environ) is None
            and not _may_download(declared)
        ):
            raise discover.missing(python, os.environ)
    except NoxEnvsError as error:
        _abort(None, error)


def _may_download(declared: Declaration) -> bool:
    """Whether the user asked nox to download interpreters; it is never done unasked."""
    return declared.host.get("download_python") in {"auto", "always"} or settings.downloads(
        os.environ, sys.argv[1:]
    )


# -- running --------------------------------------------------------------------------


def _abort(session: nox.Session | None, error: NoxEnvsError, *, may_fail: bool = False) -> NoReturn:
    """End a session with the whole message on standard error, and its summary for nox."""
    _tell(error)
    summary = settings.redact(error.summary, os.environ)
    if may_fail and session is not None:
        session.skip(f"failed, as it may: {summary}.")
    # `error` does not use its session, which is not there yet while nox makes the
    # environment; it raises what nox reports as an aborted session.
    nox.Session.error(cast("nox.Session", session), f"{summary}.")


def _run(
    session: nox.Session,
    declared: Declaration,
    function: Callable[..., Any],
    noxfile: Noxfile,
    arguments: Mapping[str, Any],
) -> None:
    """Run one cell, with its process tree ended by a timeout or a signal."""
    settings.forget_path()
    cell = _cell(session, declared, arguments)
    tag = uuid.uuid4().hex
    tree = Tree(timeout=declared.timeout, die_with_parent=_host.dies_with_parent(session), tag=tag)
    failure: BaseException | None = None
    with contextlib.suppress(Stopped), tree:
        try:
            _run_in_environment(session, declared, function, noxfile, arguments, cell, tag)
        except BaseException as error:  # noqa: BLE001 - raised again below
            failure = error
    _conclude(session, cell, declared, tree, failure)


def _conclude(
    session: nox.Session,
    cell: Cell,
    declared: Declaration,
    tree: Tree,
    failure: BaseException | None,
) -> None:
    """Say how a session ended. One that was stopped is never green, whatever it returned."""
    for survivor in tree.survivors:
        session.log(f"Left running by the session: {survivor}")
    if tree.stop is Stop.TIMEOUT:
        message = f"timed out after {declared.timeout:g} s"
        if cell.may_fail:
            session.skip(f"failed, as it may: {message}")
        session.error(message)
    if tree.stop is not None:
        raise KeyboardInterrupt(tree.stop.name) from failure
    if failure is None:
        return
    if isinstance(failure, NoxEnvsError):
        _abort(session, failure, may_fail=cell.may_fail)
    if cell.may_fail and _is_failure(failure):
        session.skip(f"failed, as it may: {failure}" if str(failure) else "failed, as it may")
    raise failure


def _is_failure(error: BaseException) -> bool:
    """Whether the function failed; a skip and an interrupt are no failures."""
    skipped = type(error).__name__ == "_SessionSkip"
    return isinstance(error, Exception) and not skipped


def _cell(session: nox.Session, declared: Declaration, arguments: Mapping[str, Any]) -> Cell:
    """Which cell nox runs, from what it passes."""
    labels = {axis.parameter: axis.with_text(arguments[axis.parameter]) for axis in declared.axes}
    python = session.python if isinstance(session.python, str) else None
    return matrix.cell_of(declared, python, labels)


def _run_in_environment(
    session: nox.Session,
    declared: Declaration,
    function: Callable[..., Any],
    noxfile: Noxfile,
    arguments: Mapping[str, Any],
    cell: Cell,
    tag: str,
) -> None:
    from nox_envs.provision import note_undeclared, provision  # noqa: PLC0415 - when it is run

    directory = (noxfile.path.parent / declared.directory).resolve()
    environment = _host.location(session)
    job = provisioned = None
    if environment is None:
        session.warn("The environment is not managed (--no-venv): nothing is installed or proven.")
    else:
        job = _job(session, declared, noxfile, cell, environment)
        provisioned = provision(job, os.environ)
        session.log(_made(provisioned))
    session.env.update(_variables(declared, directory))
    session.env[TAG_VARIABLE] = tag
    accepted = _accepted(function, declared, arguments)
    try:
        if directory == Path.cwd():
            function(session, **accepted)
        else:
            with session.chdir(directory):
                function(session, **accepted)
    finally:
        if job is not None and provisioned is not None:
            undeclared = note_undeclared(job, provisioned)
            if undeclared:
                listed = ", ".join(f"{name} {version}" for name, version in undeclared.items())
                session.log(f"Not declared, installed by the session itself: {listed}")


def _job(
    session: nox.Session, declared: Declaration, noxfile: Noxfile, cell: Cell, environment: Path
) -> Job:
    if session.venv_backend not in {"uv", "virtualenv", "venv"}:
        raise BackendUnsupported(backend=session.venv_backend)
    executable = "python.exe" if sys.platform == "win32" else "python"
    from nox_envs.provision import Job  # noqa: PLC0415 - when it is run

    return Job(
        name=session.name,
        cell=cell,
        declaration=declared,
        noxfile=noxfile,
        environment=environment,
        python=Path(session.bin) / executable,
        cache=session.cache_dir.absolute() / "nox-envs",
        run=settings.run_id(os.environ)[0],
        reused=_host.was_reused(session),
        no_install=_host.forbids_install(session),
        recreate=functools.partial(_host.recreate, session),
    )


def _made(provisioned: Provisioned) -> str:
    count = len(provisioned.pins)
    packages = f"{count} package{'s' if count != 1 else ''}"
    how = f"made with {provisioned.tool}" if provisioned.fresh else "kept as it was"
    return (
        f"Python {provisioned.interpreter.version} and {packages}, exactly as declared: "
        f"{how} in {provisioned.seconds:.1f} s."
    )


def _variables(declared: Declaration, directory: Path) -> dict[str, str | None]:
    """The changes to nox's own variables for the commands of the session."""
    from_file = settings.read_env_file(directory / declared.env_file) if declared.env_file else {}
    return settings.test_environment(
        os.environ, pass_env=declared.pass_env, declared=declared.env, env_file=from_file
    )


def _accepted(
    function: Callable[..., Any], declared: Declaration, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """The values of the axes that the function has a parameter for, and all other arguments."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return dict(arguments)
    names = {parameter.name for parameter in parameters}
    axes = {axis.parameter for axis in declared.axes}
    return {name: value for name, value in arguments.items() if name in names or name not in axes}
