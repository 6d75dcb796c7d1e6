"""What a package index has of a package: its releases, or why that is not known.

Source: https://packaging.python.org/en/latest/specifications/simple-repository-api/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from nox_envs._http import Answer, TransportError, without_credentials

if TYPE_CHECKING:
    from datetime import datetime

    from packaging.specifiers import SpecifierSet

__all__ = [
    "File",
    "Get",
    "NotThere",
    "Release",
    "Releases",
    "Unreachable",
    "latest",
    "lowest",
    "nearest",
    "releases",
]


def __dir__() -> list[str]:
    return __all__


Get = Callable[[str, Mapping[str, str]], Answer]
"""Ask for a URL with some headers. Raises `TransportError`."""

_ACCEPT = (
    "application/vnd.pypi.simple.v1+json, "
    "application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
)
_GONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a release."""

    filename: str
    requires_python: SpecifierSet | None = None
    """None where the file does not say, or says nothing that can be understood."""
    yanked: bool = False
    yank_reason: str = ""
    """On one line, and free of control characters: it is a stranger's text."""
    upload_time: datetime | None = None
    is_wheel: bool = True

    def admits(self, python: Version) -> bool:
        """Whether it says that it works on a Python."""
        wanted = self.requires_python
        return wanted is None or wanted.contains(python, prereleases=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One version of a package."""

    version: Version
    files: tuple[File, ...]

    @property
    def is_yanked(self) -> bool:
        """Whether all of it is yanked."""
        return all(file.yanked for file in self.files)

    @property
    def yank_reason(self) -> str:
        """The reason that one of its files gives."""
        return next((file.yank_reason for file in self.files if file.yank_reason), "")

    @property
    def is_stable(self) -> bool:
        """Whether it is neither a pre-release nor a development release."""
        return not self.version.is_prerelease

    def admits(self, python: Version) -> bool:
        """Whether some file of it says that it works on a Python."""
        return any(file.admits(python) for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Releases:
    """All releases of a package that the index has, the oldest first."""

    name: NormalizedName
    releases: tuple[Release, ...]

    def __iter__(self) -> Iterator[Release]:
        return iter(self.releases)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotThere:
    """Every index answered, and none has the package."""

    name: NormalizedName


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreachable:
    """It is not known what the index has."""

    reason: str
    url: str = ""
    """Without credentials."""


def releases(name: str, index_urls: Sequence[str], get: Get) -> Releases | NotThere | Unreachable:
    """Ask the indexes in their order; the first that has the package wins.

    An index that refuses to answer (401, 403) is passed over for one that has the package, as uv
    does, but the package is not called missing because of it. Any other fault ends the search.
    """
    from nox_envs.resolve.index_pages import PageError, parse  # noqa: PLC0415 - html.parser

    normalized = canonicalize_name(name)
    refused: Unreachable | None = None
    for index_url in index_urls:
        url = f"{index_url.rstrip('/')}/{normalized}/"
        shown = without_credentials(url)
        try:
            answer = get(url, {"Accept": _ACCEPT})
            if answer.status == HTTPStatus.OK:
                return parse(normalized, answer)
        except TransportError as error:
            return Unreachable(reason=error.reason, url=shown)
        except PageError as error:
            return Unreachable(reason=str(error), url=shown)
        if answer.status in _GONE:
            continue
        unreachable = Unreachable(reason=f"HTTP {answer.status}", url=shown)
        if answer.status not in _REFUSED:
            return unreachable
        refused = refused or unreachable
    return refused or NotThere(name=normalized)


def nearest(wanted: Version, found: Releases) -> tuple[Version | None, Version | None]:
    """Find the stable releases next below and next above a version that is not there."""
    versions = [release.version for release in _offered(found)]
    lower = max((version for version in versions if version < wanted), default=None)
    upper = min((version for version in versions if version > wanted), default=None)
    return lower, upper


def latest(found: Releases) -> Version | None:
    """Find the newest stable release."""
    return max((release.version for release in _offered(found)), default=None)


def lowest(specifier: SpecifierSet, found: Releases, python: str) -> Version | None:
    """Find the oldest stable release within a specifier that works on a Python."""
    interpreter = Version(python)
    fitting = (
        release.version
        for release in _offered(found)
        if specifier.contains(release.version) and release.admits(interpreter)
    )
    return min(fitting, default=None)


def _offered(found: Releases) -> Iterator[Release]:
    """Leave the releases that one would recommend: stable, and not yanked."""
    return (release for release in found if release.is_stable and not release.is_yanked)
