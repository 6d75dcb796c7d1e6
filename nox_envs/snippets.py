"""Sessions that are shared: looked up in packages, in files and among the built-in ones."""

from __future__ import annotations

import contextlib
import inspect
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from nox_envs import _files
from nox_envs.errors import DeclarationError, Mistake
from nox_envs.options import nearest
from nox_envs.table import Fields, Place, Table, unknown

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator
    from importlib.metadata import EntryPoint

__all__ = ["GROUP", "MARK", "Snippet", "Snippets"]


def __dir__() -> list[str]:
    return __all__


GROUP = "nox_envs.snippets"
"""The entry points of packages that offer snippets."""

MARK = "__nox_envs_snippet__"
"""The attribute of a function that `nox_envs.snippet` has marked: its parameters."""

_OURS = "nox-envs"
"""The namespace of the built-in snippets, which may be left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """A session to take in."""

    name: str
    source: str
    """Where it comes from, for people: `acme:web`."""
    fields: Fields
    """With all that it extends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippets:
    """The snippets that one noxfile can take in. Nothing is loaded before it is named."""

    base: Path
    """The directory of the noxfile."""

    def find(self, spec: str) -> list[Snippet]:
        """All that a name stands for: `tests`, `acme`, `acme:web`, `shared/web.toml:web`.

        Raises `DeclarationError` with every mistake in it; one that has no address is about
        the name itself.
        """
        return self._find(spec, self.base, ())

    def lookup(self, directory: Path) -> Callable[[str, tuple[str, ...]], Fields]:
        """How a table whose paths are relative to a directory finds what it extends."""

        def one(spec: str, trail: tuple[str, ...]) -> Fields:
            found = self._find(spec, directory, trail)
            if len(found) > 1:
                named = ", ".join(each.source for each in found)
                _refuse(f"{spec} is several sessions", f"name one of them: {named}")
            return found[0].fields

        return one

    def _find(self, spec: str, directory: Path, trail: tuple[str, ...]) -> list[Snippet]:
        label, session, table = self._table(spec, directory)
        templates = set() if session else table.templates(trail)
        names = [session] if session else [one for one in table.sessions if one not in templates]
        for name in names:
            if name not in table.sessions:
                hint = nearest(name, list(table.sessions))
                hint = hint or f"there is {', '.join(table.sessions) or 'none'}"
                _refuse(f"{label} has no session {name}", hint)
        found = []
        for name in names:
            fields = table.merged(name, trail)
            found.append(Snippet(name=name, source=f"{label}:{name}", fields=fields))
        if table.mistakes:
            raise DeclarationError(where=label, mistakes=tuple(table.mistakes))
        if not found:
            _refuse(f"{label} has no sessions")
        return found

    def _table(self, spec: str, directory: Path) -> tuple[str, str, Table]:
        """Where a name leads: for people, which session of it, and all of it."""
        file = re.fullmatch(r"(.+\.(?:toml|py))(?::([^:/\\]+))?", spec)
        if file is not None:
            path, session = directory / file[1], file[2] or ""
            label = os.path.relpath(path, self.base).replace(os.sep, "/")
            if not path.is_file():
                _refuse(f"{label} does not exist")
            if path.suffix == ".py":
                with _imported(label):
                    names = _run(path)
                table = self._functions(names, label, path.parent, wanted={session})
            else:
                table = self._toml(path, label, path.parent)
            return label, session, table
        namespace, _, session = spec.partition(":")
        ours = self._ours()
        if namespace == _OURS or (not session and namespace in ours.sessions):
            return _OURS, session if namespace == _OURS else namespace, ours
        entries = _entry_points()
        chosen = [one for one in entries if one.name == namespace]
        if not chosen:
            known = [*ours.sessions, *(one.name for one in entries)]
            hint = nearest(namespace, known) or f"there is {', '.join(known)}"
            _refuse(f"no package here offers snippets as {namespace}", hint)
        if len(chosen) > 1:
            packages = " and ".join(sorted(one.dist.name for one in chosen if one.dist))
            _refuse(f"{packages} both offer snippets as {namespace}", "uninstall one of them")
        return namespace, session, self._offered(chosen[0])

    def _ours(self) -> Table:
        return self._toml(Path(__file__).parent / "data" / "snippets.toml", _OURS, self.base)

    def _offered(self, entry: EntryPoint) -> Table:
        """What a package offers: a function, its marked functions, a table, or a TOML resource."""
        from importlib.resources import as_file, files  # noqa: PLC0415 - heavy, and seldom needed

        label = entry.name
        with _imported(label):
            offer = entry.load()
        if inspect.ismodule(offer) or inspect.isfunction(offer):
            whole = inspect.ismodule(offer)
            names = vars(offer) if whole else {offer.__name__: offer}
            return self._functions(names, label, self.base, wanted=() if whole else names)
        if isinstance(offer, str):
            offer = files(entry.module).joinpath(offer)
        if isinstance(offer, Mapping):
            return self._parsed(offer, label, self.base)
        if not hasattr(offer, "joinpath"):
            problem = f"{entry.value} is neither a function, a module, a table nor a TOML file"
            _refuse(problem)
        try:
            with as_file(offer) as path:
                return self._toml(path, label, self.base)
        except OSError as error:
            _refuse(f"{entry.value} cannot be read: {error.strerror}")

    def _toml(self, path: Path, label: str, directory: Path) -> Table:
        try:
            data = _files.read_toml(path)
        except ValueError as error:
            _refuse(f"{label} is not valid TOML: {error}")
        return self._parsed(data, label, directory)

    def _parsed(self, data: Any, label: str, directory: Path) -> Table:
        lookup = self.lookup(directory)
        return Table.of(data, source=label, prefix=f"{label}, ", lookup=lookup)

    def _functions(
        self, names: Mapping[str, Any], label: str, directory: Path, *, wanted: Container[str]
    ) -> Table:
        """Marked functions, and those that are wanted by name."""
        table = Table(prefix=f"{label}:", lookup=self.lookup(directory))
        for name, function in names.items():
            options = getattr(function, MARK, None)
            if not inspect.isfunction(function) or (options is None and name not in wanted):
                continue
            place = Place(source=label, prefix=f"{label}:{name}, ")
            table.sessions[name] = Fields.at(options or {}, place, function)
            table.wrong(unknown(options or {}, place))
        return table


@contextlib.contextmanager
def _imported(label: str) -> Iterator[None]:
    """Whatever the code of others raises is a mistake in what is named."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - it is not ours
        said = f"{type(error).__name__}: {error}".rstrip(": ")
        _refuse(f"{label} cannot be imported: {said}")


def _run(path: Path) -> Mapping[str, Any]:
    """What a program defines, which is not imported: nothing is written beside it."""
    import runpy  # noqa: PLC0415 - seldom needed

    return runpy.run_path(str(path), run_name=f"nox_envs_snippets_{path.stem}")


def _entry_points() -> Iterable[EntryPoint]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - heavy, and seldom needed

    return sorted(entry_points(group=GROUP), key=lambda one: one.name)


def _refuse(problem: str, hint: str = "") -> NoReturn:
    mistake = Mistake(address="", problem=problem, hint=hint)
    raise DeclarationError(where="snippets", mistakes=(mistake,))
