"""What a cell asks for: its declaration, its files and its projects, read to values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.errors import ExceptionGroup
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

from nox_envs import _files
from nox_envs.errors import DeclarationError, FileMissing, Mistake
from nox_envs.pyproject import Pyproject
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

    def origin(self, parameter: str, text: str, shown: str | None = None) -> Origin:
        """The line of the declaration that holds `text`, as a string literal."""
        try:
            lines = _files.read_text(self.path).splitlines()
        except OSError:
            lines = []
        literals = (f'"{text}"', f"'{text}'")
        order = [*range(self.line - 1, len(lines)), *range(min(self.line - 1, len(lines)))]
        found = next((n for n in order if any(one in lines[n] for one in literals)), None)
        line = self.line if found is None else found + 1
        return Origin(file=self.path.name, line=line, text=shown or f'{parameter}=["{text}"]')


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

    @property
    def sources(self) -> tuple[Local, ...]:
        """All that has to be built."""
        return (*((self.project,) if self.project else ()), *self.wanted.locals)

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
            [wanted.sources.index_url, wanted.sources.extra_index_urls, wanted.sources.find_links],
            [cooldown, wanted.interpreter.lock_marker, sorted(self.lowest)],
        ]
        return hashlib.sha256(json.dumps(entries).encode()).hexdigest()

    def with_project(
        self, source: Local, name: str, requires_dist: Sequence[str], pyproject_lines: Sequence[str]
    ) -> Gathered:
        """The same with what the metadata of a local project asks for."""
        own = source is self.project
        extras = self.extras if own else tuple(source.extras)
        markers = self.wanted.interpreter.markers
        added = []
        for requirement in expand_extras(name, requires_dist, extras, markers):
            origin = source.origin
            if own:
                origin = _line_of(pyproject_lines, requirement, origin)
            added.append(Request(requirement=requirement, origin=origin))
        if extras:
            bare = Requirement(f"{name}[{','.join(extras)}]")
            added.append(Request(requirement=bare, origin=source.origin))
        requests = (*self.wanted.requests, *added)
        return replace(self, wanted=replace(self.wanted, requests=requests))

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
    pyproject = read_pyproject(directory)
    requests = [*_dependencies(declaration, noxfile), *_axes(cell, noxfile)]
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
                asked_by=str(noxfile.origin(parameter, name)),
            )
    project, installs = _project(declaration, pyproject, directory, noxfile)
    if project is None and declaration.project != False and pyproject is not None:  # noqa: E712
        requests += _static(declaration, pyproject, directory, interpreter)
    requests, located = _apply_sources(requests, pyproject, directory)
    markers = interpreter.markers
    return Gathered(
        wanted=Wanted(
            interpreter=interpreter,
            requests=tuple(
                request
                for request in (*requests, *contents.requests)
                if applies(request.requirement, markers)
            ),
            locals=(*contents.locals, *located),
            sources=contents.sources,
            resolution=declaration.resolution,
            prerelease=declaration.prerelease or contents.prerelease,
            exclude_newer=exclude_newer,
        ),
        project=project,
        installs_project=installs,
        extras=declaration.extras,
        lowest=tuple(
            axis.name
            for axis in declaration.axes
            if axis.parameter in cell.values and cell.values[axis.parameter].is_lowest
        ),
    )


def _dependencies(declaration: Declaration, noxfile: Noxfile) -> list[Request]:
    return [
        Request(requirement=Requirement(text), origin=noxfile.origin("dependencies", text))
        for text in declaration.dependencies
    ]


def _axes(cell: Cell, noxfile: Noxfile) -> list[Request]:
    found = []
    for parameter, value in cell.values.items():
        shown = f'matrix={{"{parameter}": ["{value.text}"]}}'
        found.append(
            Request(
                requirement=value.requirement(canonicalize_name(parameter)),
                origin=noxfile.origin("matrix", value.text, shown),
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
        asked_by = str(noxfile.origin("groups", declaration.groups[0]))
        raise FileMissing(path="pyproject.toml", asked_by=asked_by)
    lines = _files.read_text(directory / "pyproject.toml").splitlines()
    found = []
    for group in declaration.groups:
        try:
            texts = resolve_dependency_groups(pyproject.groups, group)
        except (LookupError, ValueError, TypeError, ExceptionGroup) as error:
            mistake = Mistake(address=f"groups={group!r}", problem=_flat(error))
            raise DeclarationError(where="pyproject.toml", mistakes=(mistake,)) from error
        default = Origin(file="pyproject.toml", line=None, text=f"group {group}")
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
    legacy = pyproject is None and (directory / "setup.py").exists()
    if kind is None:
        kind = pyproject.default_kind if pyproject is not None else "wheel" if legacy else False
    if kind is False:
        return None, False
    if pyproject is None and not legacy:
        origin = Origin(file=noxfile.path.name, line=noxfile.line, text=f'project="{kind}"')
        raise FileMissing(path="pyproject.toml", asked_by=str(origin))
    static = pyproject is not None and not pyproject.is_dynamic
    if kind == "dependencies" and (static or (pyproject is not None and not pyproject.is_package)):
        return None, False
    origin = Origin(file="pyproject.toml", line=None, text=f'project="{kind}"')
    return Local(path=directory, origin=origin, editable=kind == "editable"), kind != "dependencies"


def _static(
    declaration: Declaration, pyproject: Pyproject, directory: Path, interpreter: Interpreter
) -> list[Request]:
    """The dependencies of a project that is not installed itself."""
    if not pyproject.has_metadata:
        return []
    lines = _files.read_text(directory / "pyproject.toml").splitlines()
    default = Origin(file="pyproject.toml", line=None, text="dependencies")
    try:
        requires = [*pyproject.requires_dist(), *pyproject.poetry_requires()]
        expanded = expand_extras(
            pyproject.name or "", requires, declaration.extras, interpreter.markers
        )
    except InvalidRequirement as error:
        mistake = Mistake(address="project.dependencies", problem=str(error).splitlines()[0])
        raise DeclarationError(where="pyproject.toml", mistakes=(mistake,)) from error
    return [
        Request(requirement=requirement, origin=_line_of(lines, requirement, default))
        for requirement in expanded
    ]


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
                    return Origin(file="pyproject.toml", line=number, text=text)
    return default


def _apply_sources(
    requests: Iterable[Request], pyproject: Pyproject | None, directory: Path
) -> tuple[list[Request], list[Local]]:
    """`[tool.uv.sources]` as direct references, which both installers understand."""
    sources = {
        canonicalize_name(name): one
        for name, one in (pyproject.sources if pyproject else {}).items()
    }
    kept, located, mistakes = list[Request](), list[Local](), list[Mistake]()
    for request in requests:
        source = sources.get(request.name)
        if source is None or request.axis or request.requirement.url:
            kept.append(request)
            continue
        if isinstance(source, Mapping) and "path" in source:
            located.append(
                Local(
                    path=(directory / source["path"]).resolve(),
                    origin=request.origin,
                    extras=frozenset(request.requirement.extras),
                    editable=bool(source.get("editable", False)),
                )
            )
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


def _direct(source: Mapping[str, Any]) -> str:
    if "url" in source:
        return str(source["url"])
    revision = source.get("rev") or source.get("tag") or source.get("branch")
    url = f"git+{source['git']}" + (f"@{revision}" if revision else "")
    return url + (f"#subdirectory={source['subdirectory']}" if "subdirectory" in source else "")
