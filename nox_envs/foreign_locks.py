"""The locks of other tools, read as the source of pins and never written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from nox_envs import _files, _process
from nox_envs.errors import LockInvalid
from nox_envs.pyproject import poetry_specifier
from nox_envs.resolve import requirements_file
from nox_envs.resolve.requests import Origin, Request, applies

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from packaging.pylock import Package

__all__ = ["Pins", "is_exact", "read", "uv_document", "uv_export", "uv_sources"]


def __dir__() -> list[str]:
    return __all__


_CATEGORIES = {"dev": "develop", "dev-packages": "develop", "packages": "default"}


_PROJECTS = frozenset({"virtual", "editable", "directory"})
"""What a uv.lock calls a project on this machine."""


def is_exact(name: str) -> bool:
    """Whether a lock says where each file lies, so that nothing has to be looked up."""
    return name.endswith(".toml") or PurePath(name).name == "uv.lock"


def _category(name: str) -> str:
    """What a Pipfile.lock calls a group of packages."""
    return _CATEGORIES.get(name, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """What a lock that knows no addresses holds for one environment."""

    label: str
    requests: tuple[Request, ...] = ()
    """A pin each, with the hashes of its files."""
    asks: bool = False
    """Whether all of it is to be installed; else it is looked up, for what is declared."""
    others: Mapping[NormalizedName, str] = field(default_factory=dict)
    """What is no release of an index, and what it is."""

    @property
    def limits(self) -> tuple[Request, ...]:
        """The same as constraints."""
        return tuple(replace(one, constraint=True) for one in self.requests)

    def refuse(self, packages: Iterable[Package]) -> None:
        """Raise `LockInvalid` for a package that the lock does not hold with a hash."""
        held = {one.name: one for one in self.requests}
        for package in packages:
            name, pin = package.name, held.get(package.name)
            if name in self.others:
                problem = f"holds {name} as {self.others[name]}, which is not installed from it"
            elif pin is None:
                problem = f"does not hold {name}, and this is needed"
            elif not pin.hashes:
                problem = f"{name} has no sha256 hash"
            else:
                continue
            raise LockInvalid(path=self.label, problem=problem, hint="lock again with its own tool")


def read(
    path: Path,
    *,
    label: str,
    base: Path,
    markers: Mapping[str, str],
    extras: Collection[str],
    groups: Collection[str] | None,
    own: Collection[Path],
    variables: Mapping[str, str],
) -> Pins:
    """Read a poetry.lock, a Pipfile.lock or a requirements file for one environment.

    Of a Pipfile.lock, `groups` choose the categories beside `default`; None for all. `own` are the
    local projects that are built anew. Raises `LockInvalid`.
    """
    try:
        if path.name == "poetry.lock":
            return _poetry(_files.read_text(path), label, markers, extras)
        if path.name == "Pipfile.lock":
            found = _Pipfile(label=label, directory=path.parent, own=own, markers=markers)
            return found.read(_files.read_text(path), groups)
        contents = requirements_file.read(
            path, base=base, text_of=_files.read_text, variables=variables, asked_by="lock="
        )
        return _requirements(label, contents, markers, own)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LockInvalid(path=label, problem=f"cannot be understood: {error!r}") from error


# -- poetry


def _poetry(text: str, label: str, markers: Mapping[str, str], extras: Collection[str]) -> Pins:
    """A poetry.lock of poetry 1 or 2.

    Poetry 1 says only of dependencies for which environments they are: of two versions that both
    may be meant, the resolver takes the one that fits.
    """
    data = _files.parse_toml(text)
    lines = [
        text.count("\n", 0, one.start()) + 1 for one in re.finditer(r"(?m)^\[\[package]]", text)
    ]
    older = data.get("metadata", {}).get("files", {})
    pins: dict[NormalizedName, list[Request]] = {}
    others: dict[NormalizedName, str] = {}
    for number, package in zip_longest(lines, data.get("package", ())):
        if package is None:  # What looked like one stands in a text.
            break
        if not _is_for(package, markers, extras):
            continue
        name = canonicalize_name(package["name"])
        kind = package.get("source", {}).get("type", "legacy")
        if kind != "legacy":
            others[name] = {"git": "a commit", "url": "a file of a URL"}.get(kind, f"a {kind}")
            continue
        files = package.get("files", older.get(package["name"], ()))
        pin = _pin(
            name, package["version"], [one["hash"] for one in files],
            Origin(file=label, line=number, text=f"{name} {package['version']}"),
        )  # fmt: skip
        pins.setdefault(name, []).append(pin)
    return Pins(label=label, requests=tuple(map(_either, pins.values())), others=others)


def _is_for(
    package: Mapping[str, Any], markers: Mapping[str, str], extras: Collection[str]
) -> bool:
    version = markers["python_full_version"]
    wanted = str(package.get("python-versions", "*"))
    if not any(_admits(part, version) for part in wanted.split("||")):
        return False
    said = package.get("markers")
    texts = [*said.values()] if isinstance(said, Mapping) else [said] if said else []
    return not texts or any(
        Marker(text).evaluate({**markers, "extra": extra})
        for text in texts
        for extra in ("", *extras)
    )


def _admits(text: str, version: str) -> bool:
    return SpecifierSet(poetry_specifier(text.strip())).contains(version, prereleases=True)


def _either(pins: Sequence[Request]) -> Request:
    """One request for all versions that may be meant."""
    first = pins[0]
    if len(pins) == 1:
        return first
    versions = sorted(Version(next(iter(one.requirement.specifier)).version) for one in pins)
    bare = Requirement(f"{first.name}>={versions[0]},<={versions[-1]}")
    return replace(first, requirement=bare, hashes=frozenset().union(*(one.hashes for one in pins)))


def _pin(
    name: str, version: str, hashes: Iterable[str], origin: Origin, *, extras: Collection[str] = ()
) -> Request:
    within = f"[{','.join(sorted(extras))}]" if extras else ""
    return Request(
        requirement=Requirement(f"{name}{within}=={Version(version)}"),
        origin=origin,
        hashes=frozenset(
            one.removeprefix("sha256:") for one in hashes if one.startswith("sha256:")
        ),
    )


# -- pipenv


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pipfile:
    label: str
    directory: Path
    own: Collection[Path]
    markers: Mapping[str, str]

    def read(self, text: str, groups: Collection[str] | None) -> Pins:
        """All of `default`, and of the categories that are asked for."""
        data = json.loads(text)
        pins: dict[NormalizedName, Request] = {}
        every = [one for one in data if one != "_meta"]
        for section in dict.fromkeys(
            ["default", *map(_category, every if groups is None else groups)]
        ):
            if section not in data:
                hint = f"groups= takes {', '.join(every)}"
                raise LockInvalid(path=self.label, problem=f"has no {section}", hint=hint)
            for name, entry in data[section].items():
                pin = self._pin(name, entry, text)
                if pin is not None:
                    pins.setdefault(pin.name, pin)
        return Pins(label=self.label, requests=tuple(pins.values()), asks=True)

    def _pin(self, name: str, entry: Mapping[str, Any], text: str) -> Request | None:
        if "markers" in entry and not Marker(entry["markers"]).evaluate(
            {**self.markers, "extra": ""}
        ):
            return None
        place = entry.get("path") or entry.get("file")
        if place and (self.directory / place).resolve() in self.own:
            return None
        version = str(entry.get("version", ""))
        if not version.startswith("=="):
            what = next((one for one in ("git", "path", "file") if one in entry), "no release")
            problem = f"holds {name} as {what}, which is not installed from it"
            raise LockInvalid(path=self.label, problem=problem)
        at = text.find(f'"{name}": {{')
        origin = Origin(
            file=self.label, line=text.count("\n", 0, max(at, 0)) + 1, text=f"{name}{version}"
        )
        return _pin(
            name, version.lstrip("="), entry.get("hashes", ()), origin,
            extras=entry.get("extras", ()),
        )  # fmt: skip


# -- pip


def _requirements(
    label: str,
    contents: requirements_file.Contents,
    markers: Mapping[str, str],
    own: Collection[Path],
) -> Pins:
    pins = [one for one in contents.requests if applies(one.requirement, markers)]
    for one in pins:
        specs = list(one.requirement.specifier)
        is_pinned = len(specs) == 1 and specs[0].operator in {"==", "==="}
        if one.requirement.url or not is_pinned or not one.hashes:
            place = f"line {one.origin.line}" if one.origin.file == label else str(one.origin)
            raise LockInvalid(
                path=label,
                problem=f"{place} does not pin {one.name} with a hash",
                hint="a lock pins everything:   uv pip compile --generate-hashes "
                "(or name it in requirements=)",
            )
    for local in contents.locals:
        if local.path.resolve() not in own:
            problem = f"holds {local.path.name}, which lies on this machine"
            raise LockInvalid(path=label, problem=problem, hint="name it in dependencies=")
    return Pins(label=label, requests=tuple(pins))


# -- uv


def uv_export(
    path: Path,
    *,
    label: str,
    uv: Path,
    env: Mapping[str, str],
    python: Path,
    scratch: Path,
    options: Sequence[str],
) -> dict[str, Any]:
    """What uv makes of its lock: a PEP 751 document, without the projects on this machine.

    It works on a copy, offline, and changes nothing. Raises `LockInvalid` in uv's words.
    """
    place = _files.make_directory(scratch / "uv-lock")
    for name in (path.name, "pyproject.toml", *_members(_files.read_text(path), label)):
        source = path.parent / name
        if source.is_file():
            _files.write_text(place / name, _files.read_text(source), private=True)
    command: list[str | Path] = [
        uv, "export", "--frozen", "--offline", "--no-config", "--quiet", "--no-header",
        "--format", "pylock.toml", "--python", python, "--no-default-groups", *options,
    ]  # fmt: skip
    done = _process.run(command, env=env, cwd=place)
    if done.returncode != 0:
        said = " ".join(done.stderr.split()).removeprefix("error: ") or "uv cannot export it"
        raise LockInvalid(path=label, problem=said)
    data = _files.parse_toml(done.stdout)
    packages = [one for one in data.get("packages", ()) if "directory" not in one]
    return {**data, "packages": packages}


def _members(text: str, label: str) -> list[str]:
    """The pyproject.toml of each project of a workspace."""
    try:
        sources = [one["source"] for one in _files.parse_toml(text).get("package", ())]
        places = [PurePath(one[key]) for one in sources for key in _PROJECTS & one.keys()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LockInvalid(path=label, problem=f"cannot be understood: {error!r}") from error
    inside = [one for one in places if not one.is_absolute() and ".." not in one.parts]
    return [str(one / "pyproject.toml") for one in inside]


def uv_sources(path: Path, sources: Mapping[str, Any]) -> dict[str, Any]:
    """`[tool.uv.sources]` of a project whose uv.lock decides.

    Which index is meant stands in the lock, and so does where the projects of a workspace lie.
    """
    try:
        packages = _files.read_toml(path).get("package", ())
        places = {
            canonicalize_name(one["name"]): path.parent / one["source"][key]
            for one in packages
            for key in _PROJECTS & one["source"].keys()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return dict(sources)  # It is told where the lock is read.
    found = {}
    for name, source in sources.items():
        entries = source if isinstance(source, list) else [source]
        if all(isinstance(one, Mapping) and "index" in one for one in entries):
            continue
        place = places.get(canonicalize_name(name))
        is_member = isinstance(source, Mapping) and source.get("workspace") is True
        if is_member and place is not None:
            found[name] = {"path": str(place.resolve())}
        else:
            found[name] = source
    return found


def uv_document(
    text: str,
    *,
    label: str,
    root: str | None,
    markers: Mapping[str, str],
    extras: Collection[str],
    groups: Collection[str],
    with_project: bool,
) -> dict[str, Any]:
    """The same without uv: what the project needs in one environment, looked up in its lock.

    `root` is the project; without a name it is the one in the directory of the lock.
    """
    try:
        data = _files.parse_toml(text)
        if data.get("conflicts"):
            hint = "pip install 'nox-envs[uv]'"
            raise LockInvalid(
                path=label, problem="holds conflicts, which uv has to read", hint=hint
            )
        walk = _UvWalk(packages=data.get("package", ()), markers={**markers, "extra": ""})
        found = walk.needed(root, extras, groups, with_project=with_project)
        return {
            "lock-version": "1.0",
            "created-by": "uv",
            "requires-python": data.get("requires-python", ">=3"),
            "packages": [shown for one in found if (shown := _shown(one))],
        }
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise LockInvalid(path=label, problem=f"cannot be understood: {error!r}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _UvWalk:
    packages: Sequence[Mapping[str, Any]]
    markers: Mapping[str, str]

    def needed(
        self,
        root: str | None,
        extras: Collection[str],
        groups: Collection[str],
        *,
        with_project: bool,
    ) -> list[Mapping[str, Any]]:
        start = self._root(root)
        names = {canonicalize_name(one) for one in extras}
        todo = list[Mapping[str, Any]]()
        if with_project:
            todo += self._asked(start, names)
        for group in groups:
            known = {canonicalize_name(name): each
                     for name, each in start.get("dev-dependencies", {}).items()}  # fmt: skip
            if canonicalize_name(group) not in known:
                raise KeyError(f"no group {group}")
            todo += known[canonicalize_name(group)]
        found: dict[int, Mapping[str, Any]] = {}
        seen = set[tuple[int, str]]()
        while todo:
            dependency = todo.pop()
            if not self._is_for(dependency.get("marker", ())):
                continue
            package = self._one(dependency)
            found[id(package)] = package
            for extra in ("", *dependency.get("extra", ())):
                if (id(package), extra) not in seen:
                    seen.add((id(package), extra))
                    todo += self._asked(package, {canonicalize_name(extra)})
        return [one for one in found.values() if one is not start]

    def _root(self, name: str | None) -> Mapping[str, Any]:
        if name is not None:
            return next(one for one in self.packages if canonicalize_name(one["name"]) == name)
        sources = ({"virtual": "."}, {"editable": "."}, {"directory": "."})
        return next(one for one in self.packages if one["source"] in sources)

    def _asked(self, package: Mapping[str, Any], extras: Collection[str]) -> Iterator[Any]:
        yield from package.get("dependencies", ())
        for extra, more in package.get("optional-dependencies", {}).items():
            if canonicalize_name(extra) in extras:
                yield from more

    def _one(self, dependency: Mapping[str, Any]) -> Mapping[str, Any]:
        """The package that a dependency means; forks tell for which environments they are."""
        return next(
            one
            for one in self.packages
            if one["name"] == dependency["name"]
            and dependency.get("version", one.get("version")) == one.get("version")
            and dependency.get("source", one["source"]) == one["source"]
            and self._is_for(one.get("resolution-markers", ()))
        )

    def _is_for(self, markers: str | Sequence[str]) -> bool:
        texts = [markers] if isinstance(markers, str) else markers
        return not texts or any(Marker(one).evaluate(dict(self.markers)) for one in texts)


def _shown(package: Mapping[str, Any]) -> dict[str, Any] | None:
    """A package of a uv.lock as PEP 751 has it; None for a project on this machine."""
    source = package["source"]
    found = {"name": package["name"]}
    if "version" in package:
        found["version"] = package["version"]
    if _PROJECTS & source.keys():
        return None
    if "git" in source:
        url, _, commit = source["git"].partition("#")
        return {**found, "vcs": {"type": "git", "url": url.partition("?")[0], "commit-id": commit}}
    files = [_file(one) for one in package.get("wheels", ())]
    sdist = _file(package["sdist"]) if "sdist" in package else None
    if "registry" in source:
        if sdist:
            found["sdist"] = sdist
        return {**found, "wheels": files} if files else found
    archive = files[0] if files else sdist or {}
    where = {"url": source["url"]} if "url" in source else {"path": source["path"]}
    return {**found, "archive": {**where, "hashes": archive["hashes"]}}


def _file(entry: Mapping[str, Any]) -> dict[str, Any]:
    kind, _, digest = entry["hash"].partition(":")
    found: dict[str, Any] = {key: entry[key] for key in ("url", "path", "size") if key in entry}
    return {**found, "hashes": {kind: digest}}
