"""What a noxfile imports.

`session` checks a declaration and registers it with `nox.session` under a wrapper of
the user's function. nox makes the empty environment with its stock backend; the
wrapper does the rest (`running`): nothing of that is loaded to list sessions.
"""

from __future__ import annotations

import functools
import inspect
import keyword
import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

import nox
from packaging.requirements import InvalidRequirement, Requirement

from nox_envs import _host, declaration, matrix, settings
from nox_envs.cell import needs_venv
from nox_envs.errors import DeclarationError, Mistake
from nox_envs.options import has_categories, nearest

if TYPE_CHECKING:
    from types import CodeType, FrameType

    from typing_extensions import Unpack

    from nox_envs.declaration import Declaration
    from nox_envs.options import Options
    from nox_envs.pyproject import Pyproject
    from nox_envs.snippets import Snippet
    from nox_envs.table import Session
    from nox_envs.upgrade.options import Kind

__all__ = ["campaigns", "load", "pythons", "session", "snippet", "use"]


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
    from nox_envs.pyproject import supported_pythons  # noqa: PLC0415 - few noxfiles ask

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
    "matrix": ("Run every cell, in parallel.", "-- --help"),
    "upgrade": ("Which newer releases can I take today, together?", "-- --help"),
    "bisect": ("Which release of NAME broke me?", "-- NAME"),
    "culprit": ("It worked before: which package is to blame?", "-- --help"),
    "floors": ("Do my lower bounds really work?", "-- --help"),
    "lock": ("Write the lock of each cell, for locked=True.", "-- --help"),
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
    asked = [_host.declaration_of(one)[0].name for one in sessions]
    for name in names:
        _register_campaign(name, f"{name}{suffix}", asked, limits)


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


def _register_campaign(kind: Kind, name: str, asked: Sequence[str], limits: Sequence[str]) -> None:
    """Register a campaign over the sessions that have these names when it is run."""

    def run(session: nox.Session) -> None:
        from nox_envs import campaigning  # noqa: PLC0415 - not needed to list sessions

        sessions = [_host.registered(one) for one in asked]
        for one, found in zip(asked, sessions, strict=True):
            if _host.cells(found) is None:
                session.error(f"{one} is no longer declared with @nox_envs.session")
        campaigning.run(kind, name, session, sessions, limits)

    run.__name__ = run.__qualname__ = name.replace("-", "_")
    question, words = _CAMPAIGNS[kind]
    run.__doc__ = f"{question}  (nox -s {name} {words})"
    nox.session(name=name, python=False, venv_backend="none", default=False)(run)
    _ASKING.add(name)


def _refusal(error: DeclarationError) -> SystemExit:
    """The end of nox, with the message and no traceback: nox prints one for all others."""
    sys.stderr.write(settings.redact(f"{error}\n", os.environ))
    return SystemExit(error.exit_code)


def _refuse(error: DeclarationError) -> NoReturn:
    raise _refusal(error) from error


# -- sessions from elsewhere ----------------------------------------------------------


def load(pyproject: str | os.PathLike[str] = "pyproject.toml") -> tuple[Any, ...]:
    """Register the sessions of `[tool.nox-envs]` in pyproject.toml, and their campaigns.

    A session that the noxfile declares itself wins. Returns the sessions, as
    `nox_envs.session` would; mistakes end nox with exit code 2, all of them at once. A
    relative path is relative to the noxfile.
    """
    from nox_envs import _files, snippets, table  # noqa: PLC0415 - few noxfiles ask

    site = _Site.of(sys._getframe(1))  # noqa: SLF001 - as warnings does
    base = site.noxfile.parent
    path = base / pyproject
    label = os.path.relpath(path, base).replace(os.sep, "/")
    site = replace(site, where=label)
    try:
        data = _files.read_toml(path)
    except FileNotFoundError:
        _refuse(site.error("nox_envs.load()", f"{label} does not exist"))
    except ValueError as error:
        _refuse(site.error(label, f"is not valid TOML: {error}"))
    tool = data.get("tool", {})
    found = tool.get("nox-envs") if isinstance(tool, dict) else None
    if found is None:
        _refuse(site.error("tool.nox-envs", "is missing", "write [tool.nox-envs.sessions.test]"))
    known = table.Table.of(
        found,
        source=label,
        prefix="tool.nox-envs.",
        lookup=snippets.Snippets(base=base).lookup(path.parent),
        campaigns=True,
    )
    templates = known.templates()
    offered = [
        snippets.Snippet(name=name, source=label, fields=known.merged(name))
        for name in known.sessions
        if name not in templates
    ]
    registered, mistakes = _take_in(offered, site)
    mistakes = [*known.mistakes, *mistakes]
    wanted = [_host.registered(name) for name in known.campaigns]
    if wanted and not mistakes:
        mistakes += [
            replace(one, address="tool.nox-envs.campaigns", hint="")
            for one in _campaign_mistakes(wanted, list(_CAMPAIGNS), "", ())
        ]
    if mistakes:
        _refuse(DeclarationError(where=label, mistakes=tuple(dict.fromkeys(mistakes))))
    for kind in _CAMPAIGNS if wanted else ():
        _register_campaign(kind, kind, known.campaigns, ())
    return registered


def use(
    spec: str | os.PathLike[str], /, *, name: str | None = None, **fields: Any
) -> tuple[Any, ...]:
    """Register shared sessions: `tests`, `acme`, `acme:web`, `shared/web.toml`, `../all.py:web`.

    A name is one of the built-in sessions, or what an installed package offers in the
    entry-point group `nox_envs.snippets`; a path is relative to the noxfile. `fields` win
    over those of the snippets, and are all that `nox_envs.session` takes, and `run`,
    `install`, `description` and the `optional_...` ones. A session that the noxfile declares
    itself wins. Returns the sessions, as `nox_envs.session` would; mistakes end nox with exit code
    2, all of them reported at once.
    """
    from nox_envs import snippets, table  # noqa: PLC0415 - few noxfiles ask

    site = _Site.of(sys._getframe(1))  # noqa: SLF001 - as warnings does
    spec = os.fspath(spec)
    site = replace(site, where=f"{site.where}, nox_envs.use({spec!r})")
    here = table.Place(source="", prefix="")
    mistakes = table.unknown(fields, here)
    if "extends" in fields:
        hint = "use it by itself, or extend it in pyproject.toml"
        mistakes.append(Mistake(address="extends", problem="has no meaning here", hint=hint))
    offered: list[Snippet] = []
    try:
        offered = snippets.Snippets(base=site.noxfile.parent).find(spec)
    except DeclarationError as error:
        mistakes += [replace(one, address=one.address or repr(spec)) for one in error.mistakes]
    own = table.Fields.at(fields, here)
    offered = [replace(one, fields=own.over(one.fields)) for one in offered]
    if name is not None and len(offered) == 1:
        offered = [replace(offered[0], name=name)]
    elif name is not None and offered:
        named = ", ".join(one.source for one in offered)
        problem = f"{spec} is several sessions, which cannot have one name"
        mistakes.append(Mistake(address="name", problem=problem, hint=f"use one of {named}"))
    registered, more = _take_in(offered, site)
    mistakes += more
    if mistakes:
        _refuse(DeclarationError(where=site.where, mistakes=tuple(dict.fromkeys(mistakes))))
    return registered


@overload
def snippet(function: F, /) -> F: ...


@overload
def snippet(**options: Any) -> Callable[[F], F]: ...


def snippet(function: Any = None, /, **options: Any) -> Any:
    """Mark a function as a session that noxfiles may take in with `nox_envs.use`.

    It is given what `nox_envs.session` would be, and registers nothing.
    """
    if function is None:
        return functools.partial(snippet, **options)
    from nox_envs.snippets import MARK  # noqa: PLC0415 - few noxfiles ask

    setattr(function, MARK, options)
    return function


_ASKING: set[str] = set()
"""The names of campaigns."""

_TAKEN_IN: dict[str, Any] = {}
"""Sessions that give way to one of the noxfile's own."""


def _take_in(offered: Sequence[Snippet], site: _Site) -> tuple[tuple[Any, ...], list[Mistake]]:
    """Register sessions whose names are free; what then has these names, and all mistakes."""
    from nox_envs import table  # noqa: PLC0415 - few noxfiles ask

    mistakes: list[Mistake] = []
    for one in offered:
        if _host.is_taken(one.name):
            if one.name in _ASKING and len(offered) == 1:
                problem, hint = "is the name of a campaign", 'name it differently:   name="lowest"'
                mistakes.append(Mistake(address=one.name, problem=problem, hint=hint))
            continue
        try:
            pyproject = _pyproject_of(one.fields.values, site.noxfile)
        except DeclarationError as error:
            _refuse(error)
        directory = site.noxfile.parent / str(one.fields.values.get("directory") or ".")
        has = functools.partial(_is_file_in, directory)
        found, wrong = table.session_of(one.name, one.fields, pyproject, has=has)
        mistakes += wrong
        place = replace(
            site, source=one.source, description=found.description, declared_in=found.declared_in
        )
        try:
            options = {**found.options, "name": one.name}
            _TAKEN_IN[one.name] = _register(found.function or _running(found), options, place)
        except DeclarationError as error:
            mistakes += [found.mistake(each) for each in error.mistakes]
    there = [_host.registered(one.name) for one in offered]
    return tuple(one for one in there if _host.cells(one) is not None), mistakes


def _is_file_in(directory: Path, name: str) -> bool:
    return (directory / name).is_file()


def _running(declared: Session) -> Callable[..., None]:
    """The function of a session that only has commands."""

    def run(session: nox.Session, **values: str) -> None:
        told = {"python": f"{sys.version_info.major}.{sys.version_info.minor}", **values}
        if isinstance(session.python, str):
            told["python"] = session.python
        if session.posargs and "posargs" not in declared.placeholders:
            session.warn(f"No command takes what follows --: {shlex.join(session.posargs)}")
        for command in declared.commands:
            filled = command.filled(told, session.posargs)
            session.run(*filled.words, env=filled.env, success_codes=filled.success_codes)
        if not declared.commands:
            session.log(f"Its programs are in {session.bin}")

    run.__name__ = run.__qualname__ = re.sub(r"\W", "_", declared.name)
    axes = sorted(declared.placeholders - {"posargs", "python"})
    if not any(map(keyword.iskeyword, axes)):
        # What it says it is told decides which cells are equal.
        kind = inspect.Parameter
        told = [kind(one, kind.KEYWORD_ONLY) for one in axes]
        signature = inspect.Signature([kind("session", kind.POSITIONAL_OR_KEYWORD), *told])
        run.__signature__ = signature  # type: ignore[attr-defined]
    return run


# -- declaring ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    """Where in a noxfile a session is declared or taken in."""

    noxfile: Path
    line: int
    where: str
    source: str = ""
    """Where it was taken from."""
    description: str = ""
    """Instead of what the function says of itself, where it was taken from elsewhere."""
    declared_in: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, frame: FrameType) -> _Site:
        """The line that is running."""
        path = Path(frame.f_code.co_filename).absolute()
        return cls(noxfile=path, line=frame.f_lineno, where=f"{path.name}:{frame.f_lineno}")

    def error(self, address: str, problem: str, hint: str = "") -> DeclarationError:
        """One mistake as an error."""
        mistake = Mistake(address=address, problem=problem, hint=hint)
        return DeclarationError(where=self.where, mistakes=(mistake,))

    def described(self) -> str:
        """What nox says of the session, and where it comes from."""
        first, *rest = self.description.splitlines() or [""]
        return "\n".join([f"{first} (from {self.source})".lstrip(), *rest])


def _declare(function: Any, *, options: Mapping[str, Any]) -> Any:
    try:
        return _register(function, options)
    except DeclarationError as error:
        raise _refusal(error) from error


def _register(function: Any, options: Mapping[str, Any], site: _Site | None = None) -> Any:
    if not inspect.isfunction(function):
        mistake = Mistake(
            address=getattr(function, "__name__", repr(function)),
            problem="is not a plain function",
            hint="use @nox_envs.session instead of @nox.session, and as the topmost decorator",
        )
        raise DeclarationError(where="@nox_envs.session", mistakes=(mistake,))
    name = str(options.get("name") or function.__name__)
    code = inspect.unwrap(function).__code__
    if site is None:
        path, line = Path(code.co_filename).absolute(), code.co_firstlineno
        site = _Site(noxfile=path, line=line, where=f"{path.name}:{line}, session {name}")
        _give_way(name)
    noxfile, line, where = site.noxfile, site.line, site.where
    declared = declaration.parse(
        name, options, where=where, pyproject=_pyproject_for(options, noxfile)
    )
    if site.source:
        declared = replace(
            declared,
            declared_in=site.declared_in,
            skip_unchanged=declared.skip_unchanged and _is_of_the_tree(site, declared, code),
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

    if site.source:
        wrapper.__doc__ = site.described()
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


def _give_way(name: str) -> None:
    """Forget a session that was taken in, for one of that name that the noxfile declares."""
    taken = _TAKEN_IN.pop(name, None)
    if taken is not None and _host.registered(name) is taken:
        _host.forget(name)


def _is_of_the_tree(site: _Site, declared: Declaration, code: CodeType) -> bool:
    """Whether what a session runs is in the tree: nothing else is seen to change."""
    tree = (site.noxfile.parent / declared.directory).resolve()
    sources = {source for one in site.declared_in.values() for source in one if source}
    files = [site.noxfile.parent / one for one in sources]
    if Path(code.co_filename).resolve() != Path(__file__).resolve():
        files.append(Path(code.co_filename))
    return all(one.is_file() and tree in one.resolve().parents for one in files)


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


_ABOUT_A_PROJECT = (
    "groups", "extras", "optional_groups", "optional_project", "optional_requirements",
)  # fmt: skip


def _pyproject_for(options: Mapping[str, Any], noxfile: Path) -> Pyproject | None:
    """pyproject.toml, where names in the declaration have to be checked against it."""
    if has_categories(options.get("lock")):
        return None
    return _pyproject_of(options, noxfile)


def _pyproject_of(options: Mapping[str, Any], noxfile: Path) -> Pyproject | None:
    """pyproject.toml, where a declaration says something that depends on it."""
    if not any(options.get(name) for name in _ABOUT_A_PROJECT):
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
