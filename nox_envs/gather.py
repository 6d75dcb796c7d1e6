"""What a cell asks for: its declaration, its files and its projects, read to values."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.errors import ExceptionGroup
from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name

from nox_envs import _files, foreign_locks
from nox_envs.errors import DeclarationError, FileMissing, Mistake
from nox_envs.pyproject import Pyproject, poetry_specifier
from nox_envs.resolve import requirements_file
from nox_envs.resolve.requests import Local, Origin, Request, Wanted, applies, expand_extras

if TYPE_CHECKING:
    from packaging.version import Version

    from nox_envs.cell import Cell
    from nox_envs.declaration import Declaration
    from nox_envs.interpreter import Interpreter

__all__ = ["Gathered", "Noxfile", "gather", "read_pyproject"]


def __dir__() -> list[str]:
    return __all__


_FORMAT = 1
"""Raised when equal inputs are no longer to be treated as equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noxfile:
    """The file that holds a declaration."""

    path: Path
    line: int
    """Where the declaration begins."""
    stands_for: str = ""
    """What holds the declaration instead, where that is no file: `the command line`."""

    def at(self, text: str) -> Origin:
        """The beginning of the declaration."""
        if self.stands_for:
            return Origin(file=self.stands_for, line=None, text=text)
        return Origin(file=self.path.name, line=self.line, text=text)

    def origin(
        self,
        parameter: str,
        text: str,
        shown: str | None = None,
        *,
        declaration: Declaration | None = None,
    ) -> Origin:
        """The line of the declaration that holds `text`, as a string literal."""
        if self.stands_for:
            return self.at(text)
        shown = shown or f'{parameter}=["{text}"]'
        declared_in = declaration.declared_in if declaration else {}
        sources = declared_in.get(parameter, ("",))
        for source in sources:
            lines, start = self._lines(source), self.line - 1
            if source and declaration:
                start = _start(lines, declaration.name, parameter)
            line = _line_with(lines, text, start)
            if line is not None:
                return Origin(file=source or self.path.name, line=line, text=shown)
        return Origin(
            file=sources[-1] or self.path.name,
            line=None if sources[-1] else self.line,
            text=shown,
        )

    def _lines(self, source: str) -> list[str]:
        """Those of the noxfile or of another file; none of what lies in a package."""
        try:
            return _files.read_text(self.path.parent / (source or self.path.name)).splitlines()
        except OSError:
            return []


def _line_with(lines: Sequence[str], text: str, start: int) -> int | None:
    """The first line from `start` on that holds a literal; else the first of all."""
    literals = (f'"{text}"', f"'{text}'")
    order = [*range(start, len(lines)), *range(min(start, len(lines)))]
    return next((n + 1 for n in order if any(one in lines[n] for one in literals)), None)


def _start(lines: Sequence[str], session: str, parameter: str) -> int:
    """Where a table says something of a session; else where tables of sessions begin."""
    name = re.escape(session)
    for pattern in (rf"\s*\[.*\bsessions\.[\"']?{name}[\"']?[].]", r"\s*\[.*\bsessions\."):
        start = next((n for n, line in enumerate(lines) if re.match(pattern, line)), None)
        if start is not None:
            mentions = re.compile(rf"\b(?:{parameter}|install)\b")
            return next((n for n in range(start, len(lines)) if mentions.search(lines[n])), start)
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What a cell asks for, before any project has been built."""

    wanted: Wanted
    """Without the requirements of local projects, which only their metadata tells."""
    project: Local | None
    """The project itself, where its metadata is needed."""
    installs_project: bool
    extras: tuple[str, ...]
    lowest: tuple[NormalizedName, ...]
    """Axes whose release the index has to tell."""
    directory: Path
    pyproject: Pyproject | None
    lines: tuple[str, ...] = ()
    """Those of pyproject.toml, to tell where something is declared."""

    @property
    def sources(self) -> tuple[Local, ...]:
        """All that has to be built."""
        return (*((self.project,) if self.project else ()), *self.wanted.locals)

    @property
    def installed(self) -> tuple[Local, ...]:
        """The local projects that are installed."""
        own = (self.project,) if self.project and self.installs_project else ()
        return (*own, *self.wanted.locals)

    def digest(self, cooldown: str) -> str:
        """Equal as long as what the user declared has not changed.

        Neither what the index offers nor the code of a project is part of it.
        """
        wanted = self.wanted
        entries: list[Any] = [
            _FORMAT,
            sorted([str(r.requirement), r.constraint, sorted(r.hashes)] for r in wanted.requests),
            sorted([one.editable, sorted(one.extras)] for one in self.sources),
            [self.installs_project, sorted(self.extras), wanted.resolution, wanted.prerelease],
            [wanted.sources.index_url, wanted.sources.extra_index_urls],
            [cooldown, wanted.interpreter.lock_marker, sorted(self.lowest)],
        ]
        return hashlib.sha256(json.dumps(entries).encode()).hexdigest()

    def with_project(
        self, source: Local, name: NormalizedName, requires_dist: Sequence[str]
    ) -> Gathered:
        """The same with what the metadata of a local project asks for.

        That may be another local project, by `[tool.uv.sources]` of this one.
        """
        own = source is self.project
        extras = self.extras if own else tuple(sorted(source.extras))
        markers = self.wanted.interpreter.markers
        requests = list(self.wanted.requests)
        if own and not self.installs_project:
            requests = _without_itself(requests, name, requires_dist, markers)
        lines = self.lines if own else ()
        added = [
            Request(requirement=requirement, origin=_line_of(lines, requirement, source.origin))
            for requirement in expand_extras(name, requires_dist, extras, markers)
        ]
        located: list[Local] = []
        if own:
            added, located = _located(added, self.pyproject, self.directory, markers)
        if extras and (self.installs_project or not own):
            bare = Requirement(f"{name}[{','.join(extras)}]")
            added.append(Request(requirement=bare, origin=source.origin))
        wanted = replace(
            self.wanted,
            requests=(*requests, *added),
            locals=merged((*self.wanted.locals, *located)),
        )
        return replace(self, wanted=wanted)

    def with_release(self, name: NormalizedName, version: Version) -> Gathered:
        """The same with the release that an axis value `lowest` stands for."""
        requests = tuple(
            replace(request, requirement=Requirement(f"{name}=={version}"))
            if request.axis and request.name == name
            else request
            for request in self.wanted.requests
        )
        return replace(self, wanted=replace(self.wanted, requests=requests))


def read_pyproject(directory: Path) -> Pyproject | None:
    """The pyproject.toml of a directory; None where there is none.

    Raises `DeclarationError` for one that is not TOML.
    """
    path = directory / "pyproject.toml"
    try:
        return Pyproject.from_dict(_files.read_toml(path))
    except FileNotFoundError:
        return None
    except (TypeError, AttributeError) as error:
        mistake = Mistake(address="pyproject.toml", problem=f"is malformed: {error}")
        raise DeclarationError(where=path.name, mistakes=(mistake,)) from error
    except ValueError as error:
        mistake = Mistake(address="pyproject.toml", problem=f"is not valid TOML: {error}")
        raise DeclarationError(where=path.name, mistakes=(mistake,)) from error


def gather(
    declaration: Declaration,
    cell: Cell,
    *,
    noxfile: Noxfile,
    interpreter: Interpreter,
    variables: Mapping[str, str],
    exclude_newer: str | None,
) -> Gathered:
    """Read all that a cell asks for. `variables` fill `${NAME}` in requirement files."""
    base = noxfile.path.parent
    directory = (base / declaration.directory).resolve()
    if not directory.is_dir():
        raise FileMissing(path=declaration.directory, asked_by="directory=")
    pyproject = read_pyproject(directory)
    if pyproject is not None and (declaration.lock or "").endswith("uv.lock"):
        lock = directory / str(declaration.lock)
        sources = foreign_locks.uv_sources(lock, pyproject.sources)
        pyproject = replace(pyproject, sources=sources)
    requests = [*_dependencies(declaration, noxfile), *_axes(declaration, cell, noxfile)]
    if declaration.groups:
        requests += _groups(declaration, pyproject, directory, noxfile)
    contents = requirements_file.Contents()
    for names, parameter in (
        (declaration.requirements, "requirements"),
        (declaration.constraints, "constraints"),
    ):
        for name in names:
            contents += requirements_file.read(
                Path(directory / name),
                base=base.resolve(),
                text_of=_files.read_text,
                variables=variables,
                constraint=parameter == "constraints",
                asked_by=str(noxfile.origin(parameter, name, declaration=declaration)),
            )
    markers = interpreter.markers
    lines = _pyproject_lines(directory)
    project, installs = _project(declaration, pyproject, directory, noxfile)
    if project is None and declaration.project is not False and pyproject is not None:
        default = Origin(file=_label(directory, noxfile), line=None, text="dependencies")
        requests += _static(declaration, pyproject, lines, interpreter, default)
        requires = _static_requires(pyproject)
        requests = _without_itself(requests, pyproject.name, requires, markers)
    kept, located = _located([*requests, *contents.requests], pyproject, directory, markers)
    locals_ = merged([*(one for one in contents.locals if _is_wanted(one, markers)), *located])
    extras = declaration.extras
    if project is not None and installs:
        same = [one for one in locals_ if one.path.resolve() == project.path]
        locals_ = tuple(one for one in locals_ if one not in same)
        editable = project.editable or any(one.editable for one in same)
        project = replace(project, editable=editable)
        extras = tuple(dict.fromkeys([*extras, *(e for one in same for e in sorted(one.extras))]))
    return Gathered(
        wanted=Wanted(
            interpreter=interpreter,
            requests=tuple(kept),
            locals=locals_,
            sources=contents.sources,
            resolution=declaration.resolution,
            prerelease=declaration.prerelease or contents.prerelease,
            exclude_newer=exclude_newer,
        ),
        project=project,
        installs_project=installs,
        extras=extras,
        lowest=tuple(
            axis.name
            for axis in declaration.axes
            if axis.parameter in cell.values and cell.values[axis.parameter].is_lowest
        ),
        directory=directory,
        pyproject=pyproject,
        lines=lines,
    )


def merged(locals_: Iterable[Local]) -> tuple[Local, ...]:
    """Each path once, with all extras that are asked for; editable if anybody wants it so."""
    found: dict[Path, Local] = {}
    for one in locals_:
        path = one.path.resolve()
        known = found.get(path, one)
        found[path] = replace(
            known,
            path=path,
            extras=known.extras | one.extras,
            editable=known.editable or one.editable,
        )
    return tuple(found.values())


def _is_wanted(local: Local, markers: Mapping[str, str]) -> bool:
    return not local.marker or Marker(local.marker).evaluate({**markers, "extra": ""})


def _label(directory: Path, noxfile: Noxfile) -> str:
    """What the pyproject.toml of a directory is called, as any other file of the user."""
    path = directory / "pyproject.toml"
    try:
        return os.path.relpath(path, noxfile.path.parent.resolve()).replace(os.sep, "/")
    except ValueError:  # Another drive of Windows.
        return str(path)


def _pyproject_lines(directory: Path) -> tuple[str, ...]:
    try:
        return tuple(_files.read_text(directory / "pyproject.toml").splitlines())
    except OSError:
        return ()


def _dependencies(declaration: Declaration, noxfile: Noxfile) -> list[Request]:
    return [
        Request(
            requirement=Requirement(text),
            origin=noxfile.origin("dependencies", text, declaration=declaration),
        )
        for text in declaration.dependencies
    ]


def _axes(declaration: Declaration, cell: Cell, noxfile: Noxfile) -> list[Request]:
    found = []
    for parameter, value in cell.values.items():
        shown = f'matrix={{"{parameter}": ["{value.text}"]}}'
        found.append(
            Request(
                requirement=value.requirement(canonicalize_name(parameter)),
                origin=noxfile.origin("matrix", value.text, shown, declaration=declaration),
                axis=parameter,
                prerelease=value.is_prerelease,
            )
        )
    return found


def _groups(
    declaration: Declaration, pyproject: Pyproject | None, directory: Path, noxfile: Noxfile
) -> list[Request]:
    from packaging.dependency_groups import resolve_dependency_groups  # noqa: PLC0415

    if pyproject is None:
        origin = noxfile.origin("groups", declaration.groups[0], declaration=declaration)
        asked_by = str(origin)
        raise FileMissing(path="pyproject.toml", asked_by=asked_by)
    lines = _pyproject_lines(directory)
    found = []
    for group in declaration.groups:
        try:
            texts = resolve_dependency_groups(pyproject.groups, group)
        except (LookupError, ValueError, TypeError, ExceptionGroup) as error:
            mistake = Mistake(address=f"groups={group!r}", problem=_flat(error))
            raise DeclarationError(where="pyproject.toml", mistakes=(mistake,)) from error
        default = Origin(file=_label(directory, noxfile), line=None, text=f"group {group}")
        for text in texts:
            requirement = Requirement(text)
            found.append(
                Request(requirement=requirement, origin=_line_of(lines, requirement, default))
            )
    return found


def _flat(error: BaseException) -> str:
    inner = getattr(error, "exceptions", None)
    return "; ".join(_flat(one) for one in inner) if inner else str(error)


def _project(
    declaration: Declaration, pyproject: Pyproject | None, directory: Path, noxfile: Noxfile
) -> tuple[Local | None, bool]:
    """The project where it has to be built, and whether it is to be installed."""
    kind = declaration.project
    unsaid = pyproject is None or not (pyproject.has_metadata or pyproject.is_package)
    legacy = unsaid and (directory / "setup.py").exists()
    if kind is None:
        kind = "wheel" if legacy else pyproject.default_kind if pyproject is not None else False
    if kind is False:
        return None, False
    if pyproject is None and not legacy:
        raise FileMissing(path="pyproject.toml", asked_by=str(noxfile.at(f'project="{kind}"')))
    static = pyproject is not None and not (pyproject.is_dynamic and pyproject.is_package)
    if kind == "dependencies" and static and not legacy:
        return None, False
    origin = Origin(file=_label(directory, noxfile), line=None, text=f'project="{kind}"')
    return Local(path=directory, origin=origin, editable=kind == "editable"), kind != "dependencies"


def _static_requires(pyproject: Pyproject) -> list[str]:
    return [*pyproject.requires_dist(), *pyproject.poetry_requires()]


def _static(
    declaration: Declaration,
    pyproject: Pyproject,
    lines: Sequence[str],
    interpreter: Interpreter,
    default: Origin,
) -> list[Request]:
    """The dependencies of a project that is not installed itself."""
    try:
        requires = _static_requires(pyproject)
        expanded = expand_extras(
            pyproject.name or "", requires, declaration.extras, interpreter.markers
        )
    except InvalidRequirement as error:
        mistake = Mistake(address="dependencies", problem=str(error).splitlines()[0])
        raise DeclarationError(where="pyproject.toml", mistakes=(mistake,)) from error
    return [
        Request(requirement=requirement, origin=_line_of(lines, requirement, default))
        for requirement in expanded
    ]


def _without_itself(
    requests: Iterable[Request],
    name: NormalizedName | None,
    requires_dist: Sequence[str],
    markers: Mapping[str, str],
) -> list[Request]:
    """Requests for a project that is not installed, replaced by what its extras stand for.

    A group may name the project to get an extra of it: `["demo[cli]"]`.
    """
    found = []
    for request in requests:
        if name is None or request.name != name:
            found.append(request)
            continue
        expanded = expand_extras(name, requires_dist, request.requirement.extras, markers)
        found += [replace(request, requirement=requirement) for requirement in expanded]
    return found


def _line_of(lines: Sequence[str], requirement: Requirement, default: Origin) -> Origin:
    """The line of pyproject.toml that declares a requirement."""
    name = canonicalize_name(requirement.name)
    for number, line in enumerate(lines, start=1):
        for quote in ('"', "'"):
            for text in line.split(quote)[1::2]:
                try:
                    declared = Requirement(text)
                except InvalidRequirement:
                    continue
                if (
                    canonicalize_name(declared.name) == name
                    and declared.specifier == requirement.specifier
                ):
                    return replace(default, line=number, text=text)
        if _is_of_poetry(line, name, requirement):
            return replace(default, line=number, text=line.strip())
    return default


_POETRY_LINE = re.compile(r"\s*[\"']?(?P<name>[\w.-]+)[\"']?\s*=\s*(?P<value>[\"'{\[].*)")


def _is_of_poetry(line: str, name: NormalizedName, requirement: Requirement) -> bool:
    """Whether a line of a table of poetry declares it, as `pytest = "^8.0"`."""
    match = _POETRY_LINE.match(line)
    if match is None or canonicalize_name(match["name"]) != name:
        return False
    for text in re.split(r"[\"']", match["value"])[1::2]:
        with contextlib.suppress(InvalidRequirement, InvalidSpecifier):
            if SpecifierSet(poetry_specifier(text)) == requirement.specifier:
                return True
    return False


def _located(
    requests: Iterable[Request],
    pyproject: Pyproject | None,
    directory: Path,
    markers: Mapping[str, str],
) -> tuple[list[Request], list[Local]]:
    """What is asked for in an environment: packages, and projects on this machine.

    `[tool.uv.sources]` become direct references, which both installers understand.
    """
    sources = pyproject.sources if pyproject else {}
    named = {canonicalize_name(name): source for name, source in sources.items()}
    kept, located, mistakes = list[Request](), list[Local](), list[Mistake]()
    for request in requests:
        if not applies(request.requirement, markers):
            continue
        url = request.requirement.url or ""
        source = None if request.axis or url or request.constraint else named.get(request.name)
        if url.startswith("file:") and not request.constraint:
            located.append(_local(request, _files.path_of_url(url), source))
        elif source is None:
            kept.append(request)
        elif isinstance(source, Mapping) and isinstance(source.get("path"), str):
            located.append(_local(request, directory / source["path"], source))
        elif isinstance(source, Mapping) and ("git" in source or "url" in source):
            bare = Requirement(str(request.requirement))
            bare.specifier, bare.url = type(bare.specifier)(), _direct(source)
            kept.append(replace(request, requirement=bare))
        else:
            mistakes.append(
                Mistake(
                    address=f"tool.uv.sources.{request.name}",
                    problem="only git, url and path are understood here",
                    hint="declare the index in the environment, or pin the package in a file",
                )
            )
    if mistakes:
        raise DeclarationError(where="pyproject.toml", mistakes=tuple(mistakes))
    return kept, located


def _local(request: Request, path: Path, source: Mapping[str, Any] | None) -> Local:
    return Local(
        path=path.resolve(),
        origin=request.origin,
        extras=frozenset(request.requirement.extras),
        editable=bool((source or {}).get("editable", False)),
    )


def _direct(source: Mapping[str, Any]) -> str:
    if "url" in source:
        return str(source["url"])
    revision = source.get("rev") or source.get("tag") or source.get("branch")
    url = f"git+{source['git']}" + (f"@{revision}" if revision else "")
    return url + (f"#subdirectory={source['subdirectory']}" if "subdirectory" in source else "")
