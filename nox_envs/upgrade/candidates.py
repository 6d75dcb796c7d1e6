"""Which dependencies have a newer release that can be tried, and what asks for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import InvalidWheelFilename, NormalizedName, parse_wheel_filename

from nox_envs.outcome import Verdict
from nox_envs.resolve.requests import COMMAND_LINE, Origin, Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from packaging.tags import Tag
    from packaging.version import Version

    from nox_envs.resolve.index import File, Release, Releases

__all__ = ["Admission", "Prospect", "declared", "place_of", "prospect", "rewritten"]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Which releases may be tried at all."""

    python: Version
    tags: frozenset[Tag] | None
    """Those of the wheels that the interpreter can use; None where that is not known."""
    prerelease: bool = False
    uploaded_before: datetime | None = None
    """Younger releases do not exist yet; one of unknown age is taken for young."""

    def admits(self, release: Release, *, aged: bool = True) -> bool:
        """Whether a release is stable, not yanked, fits the Python and is old enough."""
        if release.is_yanked or not (release.is_stable or self.prerelease):
            return False
        return any(self._can_use(file) and (not aged or self._is_aged(file))
                   for file in release.files if not file.yanked)  # fmt: skip

    def _can_use(self, file: File) -> bool:
        if not file.admits(self.python):
            return False
        if not file.is_wheel or self.tags is None:
            return True
        try:
            return not self.tags.isdisjoint(parse_wheel_filename(file.filename)[3])
        except InvalidWheelFilename:
            return False

    def _is_aged(self, file: File) -> bool:
        if self.uploaded_before is None:
            return True
        return file.upload_time is not None and file.upload_time < self.uploaded_before


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """A dependency of one column, and what it could become."""

    name: NormalizedName
    current: Version
    target: Version | None
    """What to try; None where there is nothing."""
    latest: Version | None
    """The newest stable release, whether it can be tried or not."""
    versions: tuple[Version, ...] = ()
    """What can be tried, oldest first, from above `current` up to `target`."""
    verdict: Verdict | None = None
    """What is known without a trial: `held` or `waiting`."""
    reason: str = ""
    named: bool = False
    """Whether the command line named the release, so that no other is an answer."""
    places: tuple[str, ...] = ()
    lifted: tuple[str, ...] = ()


def declared(requests: Iterable[Request]) -> dict[NormalizedName, tuple[Request, ...]]:
    """The declarations of each dependency whose release may change.

    An axis of the matrix decides its release itself, and so does a direct URL.
    """
    found: dict[NormalizedName, list[Request]] = {}
    fixed = set()
    for request in requests:
        found.setdefault(request.name, []).append(request)
        if request.axis or request.requirement.url:
            fixed.add(request.name)
    return {name: tuple(each) for name, each in sorted(found.items()) if name not in fixed}


def prospect(
    name: NormalizedName,
    current: Version,
    requests: Sequence[Request],
    releases: Releases,
    admission: Admission,
    *,
    asked: SpecifierSet | None = None,
    hold: SpecifierSet | None = None,
) -> Prospect:
    """What a dependency could become; its own upper bounds are no obstacle: they are the question.

    `asked` is what the command line wants of it; `hold` limits it, and an empty one holds it
    where it is.
    """
    stable = [each.version for each in releases if each.is_stable and not each.is_yanked]
    wanted = asked if asked is not None else SpecifierSet()
    explicit = bool(wanted) and wanted.prereleases is True
    rules = replace(admission, prerelease=admission.prerelease or explicit)
    names_one = any(spec.operator in {"==", "==="} and not spec.version.endswith(".*")
                    for spec in wanted)  # fmt: skip
    limit = wanted if hold is None else wanted & hold
    fitting = [
        each.version
        for each in releases
        if limit.contains(each.version, prereleases=True)
        and (each.version > current or (names_one and each.version != current))
        and rules.admits(each)
    ]
    young = [
        each.version
        for each in releases
        if limit.contains(each.version, prereleases=True)
        and each.version > current
        and rules.admits(each, aged=False)
    ]
    target = max(fitting, default=None)
    plain = Prospect(
        name=name,
        current=current,
        target=target,
        latest=max(stable, default=None),
        versions=tuple(sorted(fitting)),
        named=names_one,
        places=tuple(dict.fromkeys(place_of(request.origin) for request in requests)),
    )
    newest = max(young, default=None)
    if hold is not None and not hold and (newest is not None or asked is not None):
        return replace(plain, target=None, versions=(), verdict=Verdict.HELD)
    if target is None:
        if newest is not None:
            return replace(
                plain, verdict=Verdict.WAITING, reason=f"{newest} is younger than the cooldown"
            )
        if hold is not None and plain.latest is not None and plain.latest > current:
            return replace(plain, verdict=Verdict.HELD, reason=f"held: {name}{hold}")
        return plain
    lifted = tuple(
        f"{place_of(request.origin)} {request.requirement.name}{request.requirement.specifier}"
        for request in requests
        if not _is_pin(request.requirement)
        and not request.requirement.specifier.contains(target, prereleases=True)
    )
    return replace(plain, lifted=tuple(dict.fromkeys(lifted)))


def place_of(origin: Origin) -> str:
    """As `requirements.txt:3`."""
    return f"{origin.file}:{origin.line}" if origin.line else origin.file


def _is_pin(requirement: Requirement) -> bool:
    return any(
        spec.operator in {"==", "==="} and not spec.version.endswith(".*")
        for spec in requirement.specifier
    )


def rewritten(
    requests: Iterable[Request], wanted: Mapping[NormalizedName, SpecifierSet]
) -> tuple[Request, ...]:
    """The user's own requests, asking for other versions of some names.

    Everywhere that a name is declared its bounds are replaced; extras are kept. What
    nobody declares is asked for by a constraint, so that nothing new is installed.
    """
    found = []
    seen = set()
    for request in requests:
        if request.name in wanted and not request.requirement.url:
            seen.add(request.name)
            changed = Requirement(str(request.requirement))
            changed.specifier = wanted[request.name]
            found.append(replace(request, requirement=changed, hashes=frozenset()))
        else:
            found.append(request)
    origin = Origin(file=COMMAND_LINE, line=None, text="")
    found += [
        Request(requirement=Requirement(f"{name}{specifier}"), origin=origin, constraint=True)
        for name, specifier in wanted.items()
        if name not in seen
    ]
    return tuple(found)
