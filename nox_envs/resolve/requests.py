"""What a cell asks for: the user's own requirements, each with the line that declares it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from nox_envs.interpreter import Interpreter

__all__ = [
    "COMMAND_LINE",
    "Local",
    "Origin",
    "Request",
    "Sources",
    "Wanted",
    "applies",
    "expand_extras",
]


def __dir__() -> list[str]:
    return __all__


COMMAND_LINE = "the command line"
"""What takes the place of a file where the command line says it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where something was declared, for people."""

    file: str
    """Relative to the noxfile: `requirements.txt`."""
    line: int | None
    """Counted from 1; None where it cannot be told."""
    text: str
    """The line as the user wrote it."""

    @property
    def where(self) -> str:
        """As `in requirements.txt, line 2`."""
        if self.file == COMMAND_LINE:
            return f"on {self.file}"
        return f"in {self.file}" + (f", line {self.line}" if self.line else "")

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}   {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One requirement or constraint that the user declared."""

    requirement: Requirement
    origin: Origin
    axis: str | None = None
    """The axis of the matrix that asked for it, if one did."""
    constraint: bool = False
    """Limits a version without asking for the package."""
    prerelease: bool = False
    """Whether pre-releases of this package are wanted, whatever holds for the others."""
    hashes: frozenset[str] = frozenset()
    """The sha256 digests that the file allows; empty allows all."""

    @property
    def name(self) -> NormalizedName:
        return canonicalize_name(self.requirement.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """A directory or archive on this machine that is to be installed."""

    path: Path
    origin: Origin
    extras: frozenset[str] = frozenset()
    editable: bool = False
    marker: str = ""
    """For which environments it is wanted; empty for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where requirement files say that packages are to come from."""

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()

    def variables(self, tool: Literal["uv", "pip"], known: Mapping[str, str]) -> dict[str, str]:
        """What tells a tool the same; not by options, which anybody can read in argv.

        An index takes the place of the one in the variables that are `known`; all the
        rest is added to what stands there.
        """
        names = _UV_VARIABLES if tool == "uv" else _PIP_VARIABLES
        between = {"find_links": ","} if tool == "uv" else {}
        found = {names["index_url"]: self.index_url} if self.index_url else {}
        lists = {
            "extra_index_urls": self.extra_index_urls,
            "find_links": self.find_links,
            "trusted_hosts": self.trusted_hosts,
        }
        for key, values in lists.items():
            if values:
                before = filter(None, [known.get(names[key], "")])
                found[names[key]] = between.get(key, " ").join([*before, *values])
        return found


_UV_VARIABLES = {
    "index_url": "UV_DEFAULT_INDEX",
    "extra_index_urls": "UV_INDEX",
    "find_links": "UV_FIND_LINKS",
    "trusted_hosts": "UV_INSECURE_HOST",
}
_PIP_VARIABLES = {
    "index_url": "PIP_INDEX_URL",
    "extra_index_urls": "PIP_EXTRA_INDEX_URL",
    "find_links": "PIP_FIND_LINKS",
    "trusted_hosts": "PIP_TRUSTED_HOST",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """All that a resolver needs to know, for one interpreter."""

    interpreter: Interpreter
    requests: tuple[Request, ...]
    """Those whose markers hold for the interpreter."""
    locals: tuple[Local, ...] = ()
    sources: Sources = field(default_factory=Sources)
    resolution: str = "highest"
    prerelease: bool = False
    exclude_newer: str | None = None
    """Releases uploaded after this instant do not exist (RFC 3339)."""

    @property
    def constraints(self) -> tuple[Request, ...]:
        return tuple(request for request in self.requests if request.constraint)

    @property
    def requirements(self) -> tuple[Request, ...]:
        return tuple(request for request in self.requests if not request.constraint)

    def allowed_hashes(self) -> dict[NormalizedName, frozenset[str]]:
        """The digests that files allow, for the names that they give digests for."""
        allowed: dict[NormalizedName, frozenset[str]] = {}
        for request in self.requests:
            if request.hashes:
                known = allowed.get(request.name)
                allowed[request.name] = known & request.hashes if known else request.hashes
        return allowed


def applies(requirement: Requirement, markers: Mapping[str, str], extra: str = "") -> bool:
    """Whether a requirement is asked for in an environment (PEP 508 markers)."""
    if requirement.marker is None:
        return True
    return requirement.marker.evaluate({**markers, "extra": extra})


def expand_extras(
    name: str,
    dependencies: Iterable[str],
    extras: Iterable[str],
    markers: Mapping[str, str],
) -> list[Requirement]:
    """The requirements of a project for some of its extras, from its metadata.

    `dependencies` are `Requires-Dist` values. Extras that name the project itself
    (`all = ["demo[cli]"]`) are replaced by what they stand for. The `extra` part of a
    marker has been decided and is dropped with the rest of the marker.
    """
    own = canonicalize_name(name)
    parsed = [Requirement(text) for text in dependencies]
    wanted, pending = [""], [canonicalize_name(extra) for extra in extras]
    found: list[Requirement] = []
    seen = {""}
    while wanted or pending:
        extra = wanted.pop() if wanted else pending.pop(0)
        if extra and extra in seen:
            continue
        seen.add(extra)
        for requirement in parsed:
            if not applies(requirement, markers, extra):
                continue
            if extra and applies(requirement, markers):
                continue  # It is asked for without the extra, too.
            if canonicalize_name(requirement.name) == own:
                pending += sorted(canonicalize_name(inner) for inner in requirement.extras)
                continue
            bare = Requirement(str(requirement))
            bare.marker = None
            found.append(bare)
    return found
