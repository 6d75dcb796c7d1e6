"""The errors for a requirement that no release can meet, with the line to write instead."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.version import Version

from nox_envs.errors import IncompatiblePython, NoWheel, NoxEnvsError, ReleaseNotFound
from nox_envs.resolve.explain_fit import Misfit, Why, pinned
from nox_envs.resolve.index import Releases, latest, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from packaging.specifiers import SpecifierSet

    from nox_envs.resolve.index import Release
    from nox_envs.resolve.requests import Request

__all__ = ["Asked", "error_of", "exclude_axes", "exclude_line", "short_python"]


def __dir__() -> list[str]:
    return __all__


_OPPOSITE = {">=": "<", "<": ">=", ">": "<=", "<=": ">", "!=": "=="}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A requirement, and who asks for it."""

    name: str
    """As the user wrote it, if the user did."""
    specifier: SpecifierSet
    addresses: tuple[str, ...] = ()
    line: Request | None = None
    """The user's own line, if it is one."""
    value: str = ""
    """The value of the axis that it comes from."""
    parent: str = ""
    """The package that asks for it, if it is not the user."""
    axes: Mapping[str, str] = field(default_factory=dict)
    """The axes that take part, with their values."""

    @property
    def wanted(self) -> str:
        """The version or specifier, for people."""
        if self.value and self.value[0].isdigit():
            return self.value
        version = pinned(self.specifier)
        if version is not None:
            return next(each.version for each in self.specifier if each.operator == "==")
        if len(self.specifier) == 1 and str(self.specifier).endswith(".*"):
            return str(self.specifier).removeprefix("==")
        return ordered(self.specifier)


def error_of(
    misfit: Misfit,
    found: Releases,
    asked: Asked,
    *,
    python: str,
    cooldown: str | None,
    seen: Sequence[SpecifierSet] | None,
) -> NoxEnvsError:
    """Make the error for a misfit."""
    release = misfit.release
    if release is None:
        return _no_release(asked, found, _reason_of_none(asked, found))
    version = release.version
    match misfit.why:
        case Why.PRE_RELEASE:
            fix = "" if asked.parent else "prerelease=True in the session allows it"
            return _no_release(asked, found, f"{version} is a pre-release", fix)
        case Why.YANKED:
            said = f": {release.yank_reason}" if release.yank_reason else ""
            reason = f"{version} is yanked{said}".rstrip(".!")
            return _no_release(asked, found, reason, any_="that is not yanked")
        case Why.PYTHON:
            return _incompatible(asked, release, python)
        case Why.NO_FILE:
            return _no_wheel(asked, release, python, _only_for(release))
        case Why.SOURCE_ONLY:
            reason = f'A source exists; to have it built:   build=["{found.name}"]'
            return _no_wheel(asked, release, python, reason)
        case Why.TOO_YOUNG:
            old = (one for one in found if any(each.contains(one.version) for each in seen or ()))
            old_enough = Releases(name=found.name, releases=tuple(old))
            reason = f"{version} is younger than the cooldown ({cooldown})"
            return _no_release(asked, old_enough, reason, any_="that is old enough")
        case Why.NO_RELEASE:
            return _no_release(asked, found, _reason_of_none(asked, found))


def _no_release(
    asked: Asked, found: Releases, reason: str, fix: str = "", *, any_: str = "at all"
) -> NoxEnvsError:
    newest = latest(found)
    around = _nearest(asked.specifier, found)
    near = tuple(str(version) for version in around)
    return ReleaseNotFound(
        name=asked.name,
        wanted=asked.wanted or any_,
        addresses=asked.addresses,
        nearest=near,
        latest="" if newest is None or str(newest) in near else str(newest),
        fix=fix or _fix(asked, around),
        reason=reason,
    )


def _reason_of_none(asked: Asked, found: Releases) -> str:
    if asked.parent:
        return f"{asked.parent} asks for {asked.name}{ordered(asked.specifier)}"
    if found.releases and not any(release.is_stable for release in found):
        return f"There are pre-releases only, the newest is {found.releases[-1].version}"
    return ""


def _nearest(specifier: SpecifierSet, found: Releases) -> tuple[Version, ...]:
    """Find what is nearest to a version that was named; to a range nothing is near."""
    if len(specifier) != 1:
        return ()
    [each] = specifier
    if each.operator not in {"==", "==="}:
        return ()
    try:
        wanted = Version(each.version.removesuffix(".*"))
    except ValueError:
        return ()
    return tuple(version for version in nearest(wanted, found) if version is not None)


def _fix(asked: Asked, around: tuple[Version, ...]) -> str:
    line = asked.line
    if line is None or not around:
        return ""
    if line.axis is not None:
        if asked.value != asked.wanted:
            return ""
        depth = len(Version(asked.value).release)
        series = ".".join(map(str, around[0].release[:depth]))
        return f'write "{series}" for {line.axis} {line.origin.where}'
    extras = f"[{','.join(sorted(line.requirement.extras))}]" if line.requirement.extras else ""
    return f"write {asked.name}{extras}=={around[0]} {line.origin.where}"


def _incompatible(asked: Asked, release: Release, python: str) -> NoxEnvsError:
    requires = next(
        file.requires_python for file in release.files if file.requires_python is not None
    )
    exact = pinned(asked.specifier) is not None or asked.wanted == asked.value != ""
    shown = asked.wanted if exact else str(release.version)
    if len(asked.specifier) == 1 and asked.wanted.endswith(".*"):
        shown = asked.wanted.removesuffix(".*")
    return IncompatiblePython(
        name=asked.name,
        version=shown,
        requires=ordered(requires),
        python=_python_for(requires, python),
        # The line to write says where it comes from, if it is an axis.
        addresses=() if asked.line is not None and asked.axes else asked.addresses,
        exclude=_exclude({"python": _complement(requires, python), **asked.axes})
        if asked.axes
        else "",
    )


def _no_wheel(asked: Asked, release: Release, python: str, reason: str) -> NoxEnvsError:
    return NoWheel(
        name=asked.name,
        version=str(release.version),
        python=short_python(python),
        addresses=asked.addresses,
        reason=reason,
    )


def _only_for(release: Release) -> str:
    """Tell what there are wheels for, in the words of their names."""
    tags = [file.filename.removesuffix(".whl").split("-")[-3:] for file in release.files]
    some = ", ".join(dict.fromkeys("-".join(tag) for tag in tags[:3]))
    more = f" and {len(tags) - 3} more" if len(tags) > 3 else ""  # noqa: PLR2004
    return f"It has wheels for {some}{more}."


def short_python(python: str) -> str:
    """`3.11.7` as people say it: `3.11`."""
    return ".".join(python.split(".")[:2])


def _python_for(requires: SpecifierSet, python: str) -> str:
    """The version as exactly as it matters."""
    minor = short_python(python)
    same = requires.contains(f"{minor}.0", prereleases=True)
    return minor if same == requires.contains(f"{minor}.999", prereleases=True) else python


def _complement(requires: SpecifierSet, python: str) -> str:
    """The Pythons that a release does not work on, this one among them."""
    for each in sorted(requires, key=str):
        opposite = _OPPOSITE.get(each.operator)
        if opposite and not each.contains(python, prereleases=True):
            return f"{opposite}{each.version}"
    return f"=={short_python(python)}.*"


def exclude_axes(lines: Sequence[Request], values: Mapping[str, str]) -> dict[str, str]:
    """The axes that some of the user's requests come from, with the values of this cell."""
    axes = (line.axis for line in lines if line.axis is not None)
    return {axis: values[axis] for axis in axes if axis in values}


def exclude_line(lines: Sequence[Request], values: Mapping[str, str], python: str) -> str:
    """The `exclude=` entry for what takes part; with `python`, for this Python only."""
    axes = exclude_axes(lines, values)
    if not axes:
        return ""
    return _exclude({**({"python": f"=={short_python(python)}.*"} if python else {}), **axes})


def _exclude(entry: Mapping[str, str]) -> str:
    return json.dumps(entry, ensure_ascii=False)


def ordered(specifier: SpecifierSet) -> str:
    """A specifier with its lower bound first, as people write it."""
    return ",".join(sorted(map(str, specifier), reverse=True))
