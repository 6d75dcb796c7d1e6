"""Looking inside the environments of cells: all of it is read, and nothing is changed."""

from __future__ import annotations

import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.pylock import Pylock, PylockValidationError
from packaging.version import InvalidVersion, Version

from nox_envs import _files
from nox_envs.errors import NoxEnvsError
from nox_envs.inside.cells import Seen, Size, State
from nox_envs.inside.packages import Contents, Offer, sorted_out
from nox_envs.install import check, stamp
from nox_envs.planning import INTERPRETERS, Planner, relative
from nox_envs.questions import instant
from nox_envs.resolve import index
from nox_envs.toolbox import Job, Toolbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nox_envs.gather import Gathered
    from nox_envs.interpreter import Interpreter
    from nox_envs.planning import Pins

__all__ = ["Look", "looking", "measured"]


def __dir__() -> list[str]:
    return __all__


_AT_ONCE = 8
"""Questions to the index."""


@contextlib.contextmanager
def looking(job: Job, variables: Mapping[str, str]) -> Iterator[Look]:
    """A look at the environment of a cell; what it needs for that lies elsewhere."""
    with _files.scratch("look") as scratch:
        job = replace(job, memory=scratch / INTERPRETERS)
        tools = Toolbox(job=job, variables=variables, scratch=scratch)
        yield Look(job=job, planner=Planner(job=job, tools=tools, scratch=scratch))


@dataclass(frozen=True, kw_only=True)
class Look:
    """What can be seen of one cell; each thing is looked at once."""

    job: Job
    planner: Planner

    @cached_property
    def known(self) -> stamp.Stamp | None:
        """What the environment says of itself."""
        return stamp.read(self.job.environment)

    @cached_property
    def interpreter(self) -> Interpreter:
        """Its Python. Raises `NoxEnvsError` where it cannot be asked."""
        return self.planner.interpreter()

    @cached_property
    def gathered(self) -> Gathered:
        """What the cell asks for now. Raises `NoxEnvsError` where that cannot be read."""
        return self.planner.gather(self.interpreter)

    @cached_property
    def installed(self) -> tuple[check.Installed, ...]:
        return check.installed(self.interpreter)

    @cached_property
    def lock(self) -> Pylock | None:
        """The lock that lies beside; None where there is none that can be read."""
        try:
            return Pylock.from_dict(_files.read_toml(self.job.environment / stamp.LOCK_NAME))
        except (OSError, ValueError, PylockValidationError):
            return None

    @cached_property
    def pins(self) -> Pins:
        """What the lock says; nothing where there is none."""
        return {one.name: one.version for one in self.lock.packages} if self.lock else {}

    def seen(self, *, measures: bool = True, thorough: bool = False) -> Seen:
        """The cell, and what became of its environment.

        `measures` adds its size; `thorough` looks for each file that should be there.
        """
        job, known = self.job, self.known
        state, reason = self._state(thorough=thorough)
        there = job.environment.is_dir()
        return Seen(
            name=job.name,
            session=job.declaration.name,
            python=job.cell.python,
            environment=str(job.environment),
            state=state,
            reason=reason,
            version=known.python if known else "",
            tool=known.tool if known else "",
            when=_instant(known.made) if known else None,
            size=measured(job.environment) if measures and there else None,
            packages=len(self.pins) + len(known.undeclared) if known else None,
            lock=known.lock if known else "",
        )

    def _state(self, *, thorough: bool) -> tuple[State, str]:
        if not self.job.environment.is_dir():
            return State.NOT_MADE, ""
        if self.known is None:
            return State.INCOMPLETE, "it has no stamp"
        try:
            reason = self._stale(self.known, thorough=thorough)
        except NoxEnvsError as error:
            reason = error.summary
        return (State.STALE, reason) if reason else (State.MADE, "")

    def _stale(self, known: stamp.Stamp, *, thorough: bool) -> str:
        """Why `-r` would make it anew, as far as that is known without resolving."""
        job, tools = self.job, self.planner.tools
        if known.environment != str(job.environment):
            return f"it was made in {known.environment} and moved"
        if known.cell != job.name:
            return f"it was made for {known.cell}"
        if known.isolation != job.declaration.isolation:
            return "isolation= has changed"
        here = (self.interpreter.version, str(self.interpreter.base_prefix))
        if (known.python, known.base_prefix) != here:
            return f"it was made with Python {known.python} of {known.base_prefix}"
        if known.inputs != self.planner.inputs(self.gathered):
            for path, was in known.sources.items():
                if tools.digest_of(Path(path)) != was:
                    where = relative(Path(path), job.noxfile.path.parent)
                    return f"{'this project' if where == '.' else where} has changed"
            return "what is declared has changed"
        tolerated = {"pip", *known.undeclared}
        wrong = check.differences(self.pins, self.installed, tolerated=tolerated)
        if thorough:
            wrong += check.missing_files(one for one in self.installed if one.name in self.pins)
        return "; ".join(wrong)

    # -- the packages

    def contents(self, *, asks: bool = True) -> Contents:
        """The cell, and every package of its environment.

        Unless it `asks` the index, nothing is known of newer releases.
        """
        seen = self.seen(thorough=True)
        if self.known is None:
            return Contents(cell=seen)
        try:
            found = {str(one.name): one for one in self.installed}
        except NoxEnvsError:
            return Contents(cell=seen)
        if "pip" not in self.pins and "pip" not in self.known.undeclared:
            found.pop("pip", None)  # Only there to install with.
        packages = self.lock.packages if self.lock else []
        projects = {str(one.name) for one in packages if one.directory}
        # What comes from elsewhere may have its name from elsewhere, too.
        direct = projects | {str(one.name) for one in packages if one.vcs or one.archive}
        asked = {name: one.version for name, one in found.items() if name not in direct}
        offers, unknown = self._offers(asked, asks=asks)
        return Contents(
            cell=seen,
            interpreter=self.known.base_prefix,
            packages=sorted_out(
                {name: one.version for name, one in found.items()},
                locked={str(name) for name in self.pins},
                projects=projects,
                declared=self._declared(),
                requires={name: check.requires(one) for name, one in found.items()},
                offers=offers,
            ),
            unknown=unknown,
        )

    def _declared(self) -> set[str] | None:
        """The names that the cell asks for; None where what it declares cannot be read."""
        try:
            requests = self.gathered.wanted.requests
        except NoxEnvsError:
            return None
        return {str(one.name) for one in requests if not one.constraint}

    def _offers(self, found: Mapping[str, str], *, asks: bool) -> tuple[dict[str, Offer], str]:
        """What the index has of each, and why not, where it does not answer."""
        if not asks:
            return {}, "the index was not asked"
        try:
            gathered, questions = self.gathered, self.planner.tools.questions
        except NoxEnvsError as error:
            return {}, error.summary
        python = Version(self.interpreter.version.rstrip("+"))
        limit = instant(gathered.wanted.exclude_newer)
        gone = threading.Event()
        reasons: list[str] = []

        def ask(item: tuple[str, str]) -> tuple[str, Offer] | None:
            name, version = item
            if gone.is_set():
                return None
            answer = questions.releases(name, gathered)
            if isinstance(answer, index.Unreachable):
                # One that is down is not asked for all the others, too.
                gone.set()
                reasons.append(f"the index cannot be reached ({answer.reason})")
                return None
            if isinstance(answer, index.NotThere):
                return None
            return name, _offer(answer, version, python, limit)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            told = dict(one for one in pool.map(ask, sorted(found.items())) if one)
        return told, reasons[0] if reasons else ""


def _offer(found: index.Releases, version: str, python: Version, limit: datetime | None) -> Offer:
    """What there is for a Python; what is younger than the `limit` of a cooldown is not there."""
    fitting = [
        one.version
        for one in found
        if one.is_stable
        and not one.is_yanked
        and any(
            file.admits(python)
            and (limit is None or file.upload_time is None or file.upload_time <= limit)
            for file in one.files
        )
    ]
    latest = str(max(fitting)) if fitting else None
    try:
        here = next((one for one in found if one.version == Version(version)), None)
    except InvalidVersion:
        here = None
    if here is None or not here.is_yanked:
        return Offer(latest=latest, yanked=False)
    return Offer(latest=latest, yanked=True, reason=here.yank_reason)


def measured(path: Path) -> Size:
    """The bytes of all files below a directory; links are not followed."""
    whole = own = 0
    waiting = [os.fspath(path)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    with contextlib.suppress(OSError):
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
                            continue
                        stat = os.lstat(entry.path)  # On Windows, an entry knows no links.
                        whole += stat.st_size
                        own += stat.st_size if stat.st_nlink == 1 else 0
        except OSError:
            continue
    return Size(whole=whole, own=own)


def _instant(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
