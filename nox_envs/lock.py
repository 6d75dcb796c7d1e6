"""A lock: all the pins of one environment, as a PEP 751 file."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from packaging.markers import Marker
from packaging.pylock import (
    Package,
    PackageArchive,
    PackageDirectory,
    Pylock,
    PylockValidationError,
)
from packaging.version import Version

from nox_envs.errors import LockInvalid

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from packaging.utils import NormalizedName

    from nox_envs.interpreter import Interpreter

__all__ = ["Lock", "LockedLocal", "public_url", "recorded_pins"]


def __dir__() -> list[str]:
    return __all__


_TOOL = "nox-envs"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedLocal:
    """A local project in a lock: what was built from it, not where it lies."""

    name: NormalizedName
    version: Version
    directory: str
    """The project, relative to the lock."""
    content: str
    """A digest over the contents of its wheel; empty for an editable one."""
    editable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """The full set of pins of one environment."""

    packages: tuple[Package, ...]
    """Third-party packages, sorted by name, each file with its hash."""
    environment: str
    """The marker of the environment that it holds for."""
    locals: tuple[LockedLocal, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    """`[tool.nox-envs]`: cell, digest of the inputs."""

    @property
    def pins(self) -> dict[NormalizedName, Version | None]:
        """Names and versions; a direct reference to a source tree may have no version."""
        pins = {package.name: package.version for package in self.packages}
        return {**pins, **{local.name: local.version for local in self.locals}}

    @property
    def digest(self) -> str:
        """Equal for locks that give equal environments.

        It covers names, versions, the hashes of all files, and the content of local
        projects. Where the files lie is left out.
        """
        entries: list[Any] = []
        for package in self.packages:
            files = [*(package.wheels or ()), package.sdist, package.archive]
            proof = sorted(str(sorted(file.hashes.items())) for file in files if file)
            if package.vcs:
                proof.append(package.vcs.commit_id)
            entries.append([package.name, str(package.version or ""), proof])
        entries += [
            [local.name, str(local.version), local.content, local.editable] for local in self.locals
        ]
        text = json.dumps([self.environment, sorted(entries, key=str)])
        return hashlib.sha256(text.encode()).hexdigest()

    # -- the file

    @classmethod
    def from_pylock(
        cls,
        data: Mapping[str, Any],
        *,
        path: str,
        interpreter: Interpreter,
        own: Iterable[NormalizedName] = (),
        base: Path | None = None,
        extras: Collection[str] = (),
        groups: Collection[str] = (),
    ) -> Lock:
        """The part of a PEP 751 document that is for one interpreter.

        `own` are local projects, which are built anew whatever the document says of them.
        Paths in the document are relative to `base`. `extras` and `groups` choose among
        its packages; without groups, its default ones are taken.
        Raises `LockInvalid` for a document that is malformed or not for the interpreter.
        """
        markers = interpreter.markers
        try:
            pylock = Pylock.from_dict(data)
        except PylockValidationError as error:
            raise LockInvalid(path=path, problem=f"is not a valid lock: {error}") from error
        environment: dict[str, str | frozenset[str]] = {**markers}
        environment["dependency_groups"] = frozenset(groups or pylock.default_groups or ())
        environment["extras"] = frozenset(extras)
        if pylock.environments and not any(m.evaluate(markers) for m in pylock.environments):
            listed = "; ".join(str(marker) for marker in pylock.environments)
            raise LockInvalid(path=path, problem=f"is not for this environment, but for {listed}")
        version = markers["python_full_version"]
        if pylock.requires_python and not pylock.requires_python.contains(
            version, prereleases=True
        ):
            problem = f"is for Python {pylock.requires_python}, this cell has {version}"
            raise LockInvalid(path=path, problem=problem)
        facts = dict((pylock.tool or {}).get(_TOOL, {}))
        recorded = _recorded_locals(facts, path)
        # The marker has been decided: in our document there are no groups for it to mean.
        chosen = [
            _placed(replace(package, marker=None), base)
            for package in pylock.packages
            if package.name not in recorded
            and not (package.directory and package.name in set(own))
            and (package.marker is None or package.marker.evaluate(environment, "lock_file"))
        ]
        _refuse_incomplete(chosen, path)
        _refuse_ambiguous(chosen, path)
        return cls(
            packages=tuple(sorted(chosen, key=lambda package: package.name)),
            environment=interpreter.lock_marker,
            facts=facts,
        )

    def to_pylock(self) -> dict[str, Any]:
        """The PEP 751 document, without a credential."""
        local_packages = [
            Package(
                name=local.name,
                version=local.version,
                directory=PackageDirectory(path=local.directory, editable=local.editable),
            )
            for local in self.locals
        ]
        pylock = Pylock(
            lock_version=Version("1.0"),
            environments=[Marker(self.environment)],
            created_by=_TOOL,
            packages=[*(_public(package) for package in self.packages), *local_packages],
            tool={
                _TOOL: {
                    **self.facts,
                    "locals": [
                        {
                            "name": local.name,
                            "version": str(local.version),
                            "directory": local.directory,
                            "content": local.content,
                            "editable": local.editable,
                        }
                        for local in self.locals
                    ],
                }
            },
        )
        return dict(pylock.to_dict())

    def for_installer(self, wheels: Mapping[NormalizedName, tuple[str, str]]) -> dict[str, Any]:
        """The document that an installer reads: local projects are wheels by path and hash."""
        archives = [
            Package(
                name=local.name,
                version=local.version,
                archive=PackageArchive(
                    path=wheels[local.name][0], hashes={"sha256": wheels[local.name][1]}
                ),
            )
            for local in self.locals
            if local.name in wheels
        ]
        pylock = Pylock(
            lock_version=Version("1.0"),
            environments=[Marker(self.environment)],
            created_by=_TOOL,
            packages=[*self.packages, *archives],
        )
        return dict(pylock.to_dict())


def _placed(package: Package, base: Path | None) -> Package:
    """A package whose relative paths have been made absolute."""
    if base is None:
        return package

    def place(source: Any) -> Any:
        if source is None or not source.path or source.url:
            return source
        return replace(source, path=str((base / source.path).resolve()))

    return replace(
        package,
        vcs=place(package.vcs),
        archive=place(package.archive),
        sdist=place(package.sdist),
        wheels=[place(wheel) for wheel in package.wheels] if package.wheels else None,
    )


def _recorded_locals(facts: dict[str, Any], path: str) -> set[str]:
    """Take the names of local projects out of what an earlier run noted."""
    entries = facts.pop("locals", [])
    try:
        return {str(entry["name"]) for entry in entries}
    except (KeyError, TypeError) as error:
        raise LockInvalid(path=path, problem="tool.nox-envs.locals is malformed") from error


def recorded_pins(data: Mapping[str, Any]) -> dict[NormalizedName, Version | None]:
    """The pins of a document that `Lock.to_pylock` made, local projects included."""
    return {package.name: package.version for package in Pylock.from_dict(data).packages}


def _refuse_incomplete(packages: Iterable[Package], path: str) -> None:
    """Only what is hashed, or pinned to a commit, can be installed exactly."""
    for package in packages:
        files = [*(package.wheels or ()), *([package.sdist] if package.sdist else ())]
        hashed = all(file.hashes for file in files)
        if package.directory:
            problem = f"{package.name} is a directory; only packages with hashes can be locked"
        elif package.archive:
            problem = "" if package.archive.hashes else f"{package.name} has no hash"
        elif package.vcs:
            problem = "" if package.vcs.commit_id else f"{package.name} has no commit id"
        elif package.version is None:
            problem = f"{package.name} has no version"
        else:
            problem = "" if files and hashed else f"{package.name} has no hash"
        if problem:
            raise LockInvalid(path=path, problem=problem)


def _refuse_ambiguous(packages: Iterable[Package], path: str) -> None:
    """One environment has one release of a package (PEP 751: more is an error)."""
    known: dict[NormalizedName, Package] = {}
    for package in packages:
        other = known.setdefault(package.name, package)
        if other != package:
            both = " and ".join(str(one.version or "another") for one in (other, package))
            problem = f"has {package.name} twice for this environment: {both}"
            raise LockInvalid(path=path, problem=problem)


def public_url(url: str) -> str:
    """A URL without the user, the password and the query, which may hold a token.

    The user of ssh is no secret, and without it nothing can be cloned.
    """
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    if "ssh" in parts.scheme and user:
        host = f"{user.partition(':')[0]}@{host}"
    return urlunsplit(parts._replace(netloc=host, query=""))


def _public(package: Package) -> Package:
    """A package whose addresses can be shown to anybody."""

    def clean(source: Any) -> Any:
        if source is None or not source.url:
            return source
        return replace(source, url=public_url(source.url))

    return replace(
        package,
        index=public_url(package.index) if package.index else None,
        vcs=clean(package.vcs),
        archive=clean(package.archive),
        sdist=clean(package.sdist),
        wheels=[clean(wheel) for wheel in package.wheels] if package.wheels else None,
    )
