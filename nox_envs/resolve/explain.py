"""From what a tool said to the error that a user can do something about.

The words of a tool name the packages that matter; the index is asked about those, and the
answer decides. So an outage is never told as "does not exist" (pip says the same for both), and
what does not exist is told with the nearest that does.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from nox_envs._http import without_credentials
from nox_envs.errors import (
    BuildFailed,
    DiskFull,
    IndexUnreachable,
    LockInvalid,
    NoWheel,
    NoxEnvsError,
    PackageNotFound,
    ToolFailed,
    Unresolvable,
)
from nox_envs.resolve import explain_pip, explain_uv
from nox_envs.resolve.explain_fit import Circumstances, Misfit, check
from nox_envs.resolve.explain_misfit import (
    Asked,
    error_of,
    exclude_axes,
    exclude_line,
    short_python,
)
from nox_envs.resolve.explain_words import Kind, Need, Said, mentioned, url_name
from nox_envs.resolve.index import NotThere, Releases, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from packaging.tags import Tag

    from nox_envs.resolve.requests import Request

__all__ = ["explain"]


def __dir__() -> list[str]:
    return __all__


_MOST_LOOK_UPS = 5
_LOG_LINES = 25


def explain(
    failure_text: str,
    *,
    tool: Literal["uv", "pip"],
    returncode: int,
    requests: Sequence[Request],
    python: str,
    platform_tags: frozenset[Tag] | None,
    look_up: Callable[[str], Releases | NotThere | Unreachable],
    values: Mapping[str, str],
    cooldown: str | None,
    command: str,
    exclude_newer: datetime | None = None,
    prerelease: bool = False,
    wheels_only: bool = False,
    lock: str = "",
    other_names: Iterable[str] = (),
) -> NoxEnvsError:
    """Make the error that says what happened, to which line of the user, and what to do.

    `failure_text` is all that the tool said, on both streams; `python` a full version; `values`
    the values of the cell by axis; `wheels_only` whether the tool was told to build nothing (uv
    says so itself). `lock` is the lock file that was being installed, if one was.
    `other_names` are names from the user's files besides those of `requests`. The cause
    (`__cause__`) of the error is a `ToolFailed` that has lost nothing but credentials.
    """
    text = without_credentials(failure_text)
    failed = ToolFailed(command=without_credentials(command), returncode=returncode, output=text)
    explainer = _Explainer(
        said=explain_uv.read(text) if tool == "uv" else explain_pip.read(text),
        requests=tuple(requests),
        python=python,
        tags=platform_tags,
        look_up=look_up,
        values=values,
        cooldown=cooldown,
        exclude_newer=exclude_newer,
        prerelease=prerelease,
        wheels_only=wheels_only,
        lock=lock,
        other_names=tuple(other_names),
    )
    error = explainer.error()
    if error is None:
        return failed
    if isinstance(error, IndexUnreachable):
        error = replace(error, tool=tool)
    error.__cause__ = failed
    return error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Explainer:
    said: Said
    requests: tuple[Request, ...]
    python: str
    tags: frozenset[Tag] | None
    look_up: Callable[[str], Releases | NotThere | Unreachable]
    values: Mapping[str, str]
    cooldown: str | None
    exclude_newer: datetime | None
    prerelease: bool
    wheels_only: bool
    lock: str
    other_names: tuple[str, ...]
    _known: dict[NormalizedName, Releases | NotThere | Unreachable] = field(default_factory=dict)

    def error(self) -> NoxEnvsError | None:
        said = self.said
        match said.kind:
            case Kind.DISK:
                place = said.subject or "the environment or of the temporary directory"
                return DiskFull(path=place)
            case Kind.HASH:
                return self._hash_mismatch()
            case Kind.NETWORK:
                return self._network(said.reason, said.url)
            case Kind.BUILD:
                return self._build()
            case Kind.NO_FILE:
                return self._no_file()
            case Kind.RESOLUTION:
                return self._resolution()
            case Kind.UNKNOWN:
                return None

    # -- what needs no look at the index

    def _hash_mismatch(self) -> NoxEnvsError | None:
        name, _, version = self.said.subject.partition(" ")
        with_hashes = [one for one in self._asking(canonicalize_name(name)) if one.hashes]
        place = self.lock or (with_hashes[0].origin.file if with_hashes else "")
        if not place:
            return None
        digests = self.said.reason.splitlines()
        expected = f": expected {digests[0]}, got {digests[-1]}" if len(digests) > 1 else ""
        return LockInvalid(
            path=place,
            problem=f"the file of {name} {version} on the index is not the one that was "
            f"locked{expected}",
            hint="do not install it before you know who changed it",
        )

    def _network(self, reason: str, url: str) -> NoxEnvsError:
        shown = without_credentials(url).partition("#")[0]
        name = next(iter(self.said.names), None) or (url_name(shown) if shown else None)
        file = shown.rpartition("/")[2]
        if reason == "HTTP 404" and file and self.lock:
            return LockInvalid(
                path=self.lock,
                problem=f"{file} is no longer on the index",
                hint="write the lock again: nox -s lock",
            )
        about = self._about(name) if name else ""
        return IndexUnreachable(reason=reason, about=about, url=shown)

    def _build(self) -> NoxEnvsError:
        said = self.said
        for name in said.doubted[:_MOST_LOOK_UPS]:
            # What a build needs was not found; that may have been an outage.
            answer = self._ask(name)
            if isinstance(answer, Unreachable):
                return IndexUnreachable(
                    reason=answer.reason, about=said.subject, url=without_credentials(answer.url)
                )
        if said.network:
            return IndexUnreachable(reason=said.network, about=said.subject)
        return BuildFailed(
            name=said.subject,
            python=short_python(self.python),
            log="\n".join(said.reason.splitlines()[-_LOG_LINES:]),
            addresses=self._addresses(said.names),
        )

    def _no_file(self) -> NoxEnvsError:
        name, _, version = self.said.subject.partition(" ")
        return NoWheel(
            name=name,
            version=version,
            python=short_python(self.python),
            addresses=self._addresses((canonicalize_name(name),)),
            reason=self.said.reason,
        )

    # -- what does

    def _resolution(self) -> NoxEnvsError:
        said = self.said
        own = [one.name for one in self.requests]
        in_words = mentioned(said.reason, own)
        asked = tuple(dict.fromkeys([*said.doubted, *said.names, *in_words]))[:_MOST_LOOK_UPS]
        for name in asked:
            answer = self._ask(name)
            if isinstance(answer, Unreachable) and name in said.doubted:
                return IndexUnreachable(
                    reason=answer.reason,
                    about=self._about(name),
                    url=without_credentials(answer.url),
                )
        for name in asked:
            error = self._own_fault(name) or self._transitive_fault(name)
            if error is not None:
                return error
        return self._unexplained(in_words)

    def _own_fault(self, name: NormalizedName) -> NoxEnvsError | None:
        """Look for a line of the user's own that cannot be met, whatever the others say."""
        answer = self._ask(name)
        lines = [one for one in self._asking(name) if one.requirement.url is None]
        if isinstance(answer, NotThere) and any(not one.constraint for one in lines):
            return self._missing(name, "", tuple(str(one.origin) for one in lines))
        if not isinstance(answer, Releases):
            return None
        for line in lines:
            misfit = check(line.requirement.specifier, answer, self._circumstances(name))
            if misfit is not None:
                return self._misfit(misfit, answer, self._asked_by_line(line))
        return None

    def _transitive_fault(self, name: NormalizedName) -> NoxEnvsError | None:
        """Look for a need of a package that nothing can meet, where there was no other way."""
        answer = self._ask(name)
        need = next((need for need in self.said.needs if need.name == name), None)
        if need is None or not self.said.is_chain:
            return None
        addresses = self._addresses(self._takes_part())
        if isinstance(answer, NotThere):
            return self._missing(name, need.parent, addresses)
        if not isinstance(answer, Releases):
            return None
        misfit = check(need.specifier, answer, self._circumstances(name))
        if misfit is None:
            return None
        return self._misfit(misfit, answer, self._asked_by_package(need, addresses))

    def _unexplained(self, in_words: tuple[NormalizedName, ...]) -> NoxEnvsError:
        """Give the tool's own words: a conflict, or an index that changed its mind."""
        said = self.said
        nothing_seen = [name for name in said.doubted if not said.seen.get(name)]
        if said.doubted and (said.network or (nothing_seen and not said.is_conflict)):
            name = (nothing_seen or said.doubted)[0]
            reason = said.network or "it gave no releases, and now it does"
            return IndexUnreachable(reason=reason, about=self._about(name))
        lines = [one for one in self.requests if one.name in {*in_words, *self._takes_part()}]
        return Unresolvable(
            reason=said.reason,
            addresses=tuple(dict.fromkeys(str(one.origin) for one in lines)),
            exclude=exclude_line(
                lines, self.values, self.python if "Python" in said.reason else ""
            ),
        )

    def _missing(
        self, name: NormalizedName, parent: str, addresses: tuple[str, ...]
    ) -> NoxEnvsError:
        known = {canonicalize_name(one): one for one in self.other_names}
        known |= {one.name: one.requirement.name for one in self.requests}
        written = known.pop(name, name)
        similar = [] if parent else difflib.get_close_matches(name, known, n=1, cutoff=0.8)
        return PackageNotFound(
            name=written,
            addresses=addresses,
            similar=tuple(known[canonicalize_name(one)] for one in similar),
            required_by=parent,
        )

    # -- help for the above

    def _misfit(self, misfit: Misfit, answer: Releases, asked: Asked) -> NoxEnvsError:
        seen = self.said.seen.get(answer.name)
        return error_of(
            misfit, answer, asked, python=self.python, cooldown=self.cooldown, seen=seen
        )

    def _asked_by_line(self, line: Request) -> Asked:
        same = [
            one
            for one in self._asking(line.name)
            if one.requirement.specifier == line.requirement.specifier
        ]
        return Asked(
            name=line.requirement.name,
            specifier=line.requirement.specifier,
            addresses=tuple(dict.fromkeys(str(one.origin) for one in same)),
            line=line,
            value=self.values.get(line.axis, "") if line.axis else "",
            axes=exclude_axes([line], self.values),
        )

    def _asked_by_package(self, need: Need, addresses: tuple[str, ...]) -> Asked:
        lines = [one for one in self.requests if one.name in self._takes_part()]
        return Asked(
            name=need.name,
            specifier=need.specifier,
            addresses=addresses,
            parent=need.parent,
            axes=exclude_axes(lines, self.values),
        )

    def _takes_part(self) -> tuple[NormalizedName, ...]:
        parents = [canonicalize_name(need.parent.partition(" ")[0]) for need in self.said.needs]
        return tuple(dict.fromkeys([*self.said.names, *parents]))

    def _ask(self, name: NormalizedName) -> Releases | NotThere | Unreachable | None:
        if name not in self._known and len(self._known) < _MOST_LOOK_UPS:
            self._known[name] = self.look_up(name)
        return self._known.get(name)

    def _circumstances(self, name: NormalizedName) -> Circumstances:
        return Circumstances(
            python=Version(self.python),
            tags=self.tags,
            prerelease=self.prerelease,
            builds_are_off=self.wheels_only or self.said.builds_are_off,
            seen=self.said.seen.get(name),
            has_cooldown=self.cooldown is not None,
            exclude_newer=self.exclude_newer,
        )

    def _asking(self, name: NormalizedName) -> list[Request]:
        return [one for one in self.requests if one.name == name]

    def _addresses(self, names: Iterable[NormalizedName]) -> tuple[str, ...]:
        wanted = frozenset(names)
        found = (str(one.origin) for one in self.requests if one.name in wanted)
        return tuple(dict.fromkeys(found))

    def _about(self, name: NormalizedName) -> str:
        asked = (str(one.requirement) for one in self._asking(name) if not one.requirement.url)
        return ", ".join(dict.fromkeys(asked)) or name
