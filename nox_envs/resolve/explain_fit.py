"""Whether a package has a release that one requirement can have, and if not, why not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime

    from packaging.specifiers import SpecifierSet
    from packaging.tags import Tag

    from nox_envs.resolve.index import File, Release, Releases

__all__ = ["Circumstances", "Misfit", "Why", "check", "pinned"]


def __dir__() -> list[str]:
    return __all__


class Why(Enum):
    """Why there is no release for a requirement, the first cause first."""

    NO_RELEASE = auto()
    PRE_RELEASE = auto()
    YANKED = auto()
    PYTHON = auto()
    NO_FILE = auto()
    SOURCE_ONLY = auto()
    TOO_YOUNG = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a release is wanted for."""

    python: Version
    tags: frozenset[Tag] | None
    """The tags of wheels that can be installed; None if they are not known."""
    prerelease: bool = False
    builds_are_off: bool = False
    seen: Sequence[SpecifierSet] | None = None
    """The only versions that the tool saw; None if it did not say."""
    has_cooldown: bool = False
    exclude_newer: datetime | None = None
    """Files that were uploaded after that are not taken, nor those whose time is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """The cause that rules out the last of the releases that match."""

    why: Why
    release: Release | None = None
    """The newest release that would have matched."""


def pinned(specifier: SpecifierSet) -> Version | None:
    """The one version that a specifier allows, if it names one."""
    for each in specifier:
        if each.operator == "==" and not each.version.endswith(".*"):
            return Version(each.version)
    return None


def check(specifier: SpecifierSet, found: Releases, circumstances: Circumstances) -> Misfit | None:
    """Look for the cause that leaves no release; None if one is left."""
    matching = [one for one in found if specifier.contains(one.version, prereleases=True)]
    if not matching:
        return Misfit(why=Why.NO_RELEASE)
    for why, keeps in _filters(specifier, found, circumstances):
        kept = [release for release in matching if keeps(release)]
        if not kept:
            return Misfit(why=why, release=matching[-1])
        matching = kept
    return None


def _filters(
    specifier: SpecifierSet, found: Releases, circumstances: Circumstances
) -> Iterable[tuple[Why, Callable[[Release], bool]]]:
    has_stable = any(release.is_stable for release in found)
    if has_stable and not circumstances.prerelease and not specifier.prereleases:
        yield Why.PRE_RELEASE, lambda release: release.is_stable
    if pinned(specifier) is None:  # Both tools take a yanked release that is named.
        yield Why.YANKED, lambda release: not release.is_yanked
    python, tags = circumstances.python, circumstances.tags
    yield Why.PYTHON, lambda release: release.admits(python)
    yield Why.NO_FILE, lambda release: any(_usable(file, python, tags) for file in release.files)
    if circumstances.builds_are_off:
        yield (
            Why.SOURCE_ONLY,
            lambda release: any(
                file.is_wheel and _usable(file, python, tags) for file in release.files
            ),
        )
    newest = circumstances.exclude_newer
    if newest is not None:
        yield (
            Why.TOO_YOUNG,
            lambda release: any(
                file.upload_time is not None and file.upload_time <= newest
                for file in release.files
            ),
        )
    seen = circumstances.seen
    if seen is not None and circumstances.has_cooldown:
        yield (
            Why.TOO_YOUNG,
            lambda release: any(one.contains(release.version, prereleases=True) for one in seen),
        )


def _usable(file: File, python: Version, tags: frozenset[Tag] | None) -> bool:
    if not file.admits(python):
        return False
    if not file.is_wheel or tags is None:
        return True
    try:
        return not tags.isdisjoint(parse_wheel_filename(file.filename)[3])
    except InvalidWheelFilename:
        return False
