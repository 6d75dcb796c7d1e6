"""Is what is installed what the lock says? Read from outside, believing nobody.

No interpreter of the environment is asked: what it would import first is what is in
question.
"""

from __future__ import annotations

import contextlib
import csv
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from nox_envs.install import record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from nox_envs.interpreter import Interpreter

__all__ = [
    "Installed",
    "differences",
    "installed",
    "installed_in",
    "is_pinned",
    "missing_files",
    "requires",
]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """One distribution that an environment holds."""

    name: NormalizedName
    version: str
    metadata: Path
    """Its `.dist-info` or `.egg-info`."""


def installed(interpreter: Interpreter) -> tuple[Installed, ...]:
    """Every distribution in the environment's site-packages, sorted by name."""
    return installed_in((interpreter.platlib, interpreter.purelib))


def installed_in(directories: Iterable[Path]) -> tuple[Installed, ...]:
    """Every distribution in some directories, sorted by name."""
    found = []
    # `lib64` may be a link to `lib`.
    places = {os.path.realpath(place): place for place in directories}
    for directory in places.values():
        try:
            entries = sorted(entry.name for entry in os.scandir(directory))
        except FileNotFoundError:
            continue
        found += [
            _read(directory / entry)
            for entry in entries
            if entry.endswith((".dist-info", ".egg-info"))
        ]
    return tuple(sorted(found, key=lambda one: (one.name, one.version)))


def _read(path: Path) -> Installed:
    file = path
    if path.is_dir():
        file = path / ("METADATA" if path.name.endswith(".dist-info") else "PKG-INFO")
    stem = path.name.rpartition(".")[0]
    name, _, version = stem.partition("-")
    try:
        headers = _headers(file)
        name = next(iter(headers.get("name", ())), "") or name
        version = next(iter(headers.get("version", ())), "") or version
    except OSError:
        version = "without metadata"
    return Installed(name=canonicalize_name(name), version=str(version), metadata=path)


def _headers(file: Path) -> dict[str, list[str]]:
    """The headers of core metadata, their names in lower case.

    An environment is looked at several times for each run, and the parser of the standard
    library takes ten times as long.
    """
    found: dict[str, list[str]] = {}
    values: list[str] = []
    with file.open(encoding="utf-8", errors="replace") as stream:
        for line in stream:
            if not line.strip():
                break
            if line[0] in " \t":  # A long value goes on (RFC 5322, folding).
                values[-1:] = [f"{text} {line.strip()}" for text in values[-1:]]
                continue
            name, _, value = line.partition(":")
            values = found.setdefault(name.lower(), [])
            values.append(value.strip())
    return found


def requires(one: Installed) -> tuple[str, ...]:
    """The normalized names that a distribution depends on in any environment, extras aside."""
    file = one.metadata / ("METADATA" if one.metadata.name.endswith(".dist-info") else "PKG-INFO")
    names = []
    try:
        texts = _headers(file).get("requires-dist", [])
    except OSError:
        return ()
    for text in texts:
        with contextlib.suppress(InvalidRequirement):
            requirement = Requirement(text)
            if not re.search(r"\bextra\b", str(requirement.marker or "")):
                names.append(canonicalize_name(requirement.name))
    return tuple(dict.fromkeys(names))


def differences(
    pins: Mapping[NormalizedName, Version | None],
    found: Iterable[Installed],
    *,
    tolerated: Iterable[str] = (),
) -> tuple[str, ...]:
    """What differs between a lock and an environment, a line each; none if they agree.

    `tolerated` names may be there without being in the lock.
    """
    there: dict[NormalizedName, list[str]] = {}
    for one in found:
        there.setdefault(one.name, []).append(one.version)
    lines = []
    for name, version in sorted(pins.items()):
        versions = there.pop(name, [])
        if not versions:
            lines.append(f"{name} {version or ''}".rstrip() + " is missing")
        elif len(versions) > 1:
            lines.append(f"{name} is installed {len(versions)} times: {', '.join(versions)}")
        elif version is not None and not _equal(versions[0], version):
            lines.append(f"{name} is {versions[0]}, asked for {version}")
    for name, versions in sorted(there.items()):
        if name not in set(tolerated):
            lines.append(f"{name} {versions[0]} was not asked for")
    return tuple(lines)


def _equal(text: str, version: Version) -> bool:
    try:
        return Version(text) == version
    except InvalidVersion:
        return False


def is_pinned(one: Installed, pins: Mapping[NormalizedName, Version | None]) -> bool:
    """Whether it is there because a lock says so."""
    if one.name not in pins:
        return False
    version = pins[one.name]
    return version is None or _equal(one.version, version)


def missing_files(found: Iterable[Installed]) -> tuple[str, ...]:
    """Distributions with files that their RECORD lists and that are not there.

    An installer that was killed, or a damaged cache, leaves metadata without modules:
    every tool then says that the package is installed.
    """
    lines = []
    for one in found:
        base = str(one.metadata.parent)
        try:
            rows = record.rows(one.metadata)
        except OSError:
            continue
        except csv.Error as error:
            lines.append(f"{one.name} {one.version} has a damaged RECORD: {error}")
            continue
        # A `.pyc` is made by whoever imports first and may be removed at any time.
        absent = [
            row for row, _ in rows
            if not row.endswith(".pyc") and not os.path.lexists(f"{base}{os.sep}{row}")
        ]  # fmt: skip
        if absent:
            more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
            lines.append(f"{one.name} {one.version} lacks {absent[0]}{more}")
    return tuple(lines)
