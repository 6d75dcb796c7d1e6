"""One column at work: what may become of it, and what its trials have shown."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from nox_envs import settings
from nox_envs.errors import (
    BuildFailed,
    BuildNotAllowed,
    IncompatiblePython,
    IndexUnreachable,
    NoWheel,
    NoxEnvsError,
    PackageNotFound,
    ReleaseNotFound,
    Unresolvable,
    UsageError,
)
from nox_envs.outcome import Outcome, Verdict
from nox_envs.resolve.index import NotThere, Unreachable, nearest
from nox_envs.upgrade.candidates import Prospect, place_of, prospect
from nox_envs.upgrade.quests import Pins, Result, Want
from nox_envs.upgrade.threads import side_by_side

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from nox_envs.lock import Lock
    from nox_envs.outcome import Changes
    from nox_envs.resolve.index import Releases
    from nox_envs.upgrade.column import Column
    from nox_envs.upgrade.options import CampaignOptions
    from nox_envs.upgrade.trials import Shown, Trials

__all__ = ["VERDICTS", "Bench", "held_at", "near", "outcome_of", "reason_of", "unknown_hold"]


def __dir__() -> list[str]:
    return __all__


_TIMES, _LEAST = 5.0, 60.0
"""A run may take so many times the baseline, and so many seconds in any case."""
_LONGEST = 3600.0
"""What a run may take that shows how long one takes."""
_LOOKS = 8
"""Questions to the index side by side."""
_PAUSES = (0.5, 2.0)
_BASELINE = Want(pins=())
_ENDED = {Outcome.PASS, Outcome.FAIL}
"""Runs that tell how long one takes."""


class Bench:
    """A column, the candidates that it has, and the memory of its trials."""

    def __init__(
        self,
        column: Column,
        trials: Trials,
        options: CampaignOptions,
        *,
        frees_others: bool = False,
        held: Mapping[NormalizedName, SpecifierSet] | None = None,
        most: int | None = None,
    ) -> None:
        """`frees_others`: other declarations give way where they have to; `held`: always so.

        What would be more than `most` trials is refused.
        """
        self.column = column
        self.prospects: dict[str, Prospect] = {}
        self.targets: dict[str, Version] = {}
        """What is tried at once: the newest that resolve together."""
        self.reasons: dict[str, str] = {}
        """Why a newer release than the one in `targets` cannot be installed."""
        self.missing: frozenset[NormalizedName] = frozenset()
        """What the command line names and this column does not have."""
        self.refusals: dict[str, NoxEnvsError] = {}
        """What the command line names and this column cannot try, and why."""
        self.unresolved: dict[str, tuple[Outcome, str]] = {}
        """What goes with nothing at its target, and why."""
        self.unsupported: dict[str, str] = {}
        """Why the latest release is not for this Python."""
        self.known_failures: frozenset[str] = frozenset()
        """Tests that fail as it stands now; others decide."""
        self._frees_others = frees_others
        self._held = dict(held or {})
        self.options = options
        self._left = most
        self._trials = trials
        self._memory: dict[tuple[str, int], Result] = {}
        self._locks: dict[tuple[tuple[str, Version], ...], Lock] = {}
        self._guard = threading.Lock()
        self._baseline_seconds: float | None = None

    @property
    def places(self) -> tuple[str, ...]:
        """Where dependencies are declared: `requirements.txt:3`."""
        names = self.column.declared
        return tuple(dict.fromkeys(place for name in names for place in self.places_of(name)))

    def places_of(self, name: NormalizedName) -> tuple[str, ...]:
        """The same for one dependency."""
        requests = self.column.declared.get(name, ())
        return tuple(dict.fromkeys(place_of(request.origin) for request in requests))

    # -- candidates

    def look(self) -> None:
        """Ask the index what is newer, and the resolver how much of it fits together.

        Raises a `NoxEnvsError`.
        """
        options, pins = self.options, self.column.current.pins
        fixed = {name for name in options.asked
                 if name not in self.column.declared and self._is_fixed(name)}  # fmt: skip
        for name in fixed:
            self.refusals[str(name)] = UsageError(
                problem=f"{name} is an axis of {self.column.name}, or comes from a URL",
                advice=("its release is what the declaration says",),
            )
        self.missing = frozenset(name for name in options.asked if pins.get(name) is None)
        names = sorted(options.asked or self.column.declared)
        found = side_by_side(self.column.releases, names, at_once=_LOOKS)
        admission = self.column.admission(prerelease=options.pre)
        for name, releases in found.items():
            if isinstance(releases, Unreachable):
                raise IndexUnreachable(reason=releases.reason, url=releases.url, about=str(name))
            current = pins.get(name)
            if current is None or isinstance(releases, NotThere) or name in fixed:
                continue
            one = prospect(
                name,
                current,
                self.column.declared.get(name, ()),
                releases,
                admission,
                asked=options.asked.get(name),
                hold=options.hold.get(name),
            )
            refusal = self._refusal(one, releases)
            if refusal is not None:
                self.refusals[str(name)] = refusal
                one = replace(one, verdict=Verdict.INFEASIBLE, reason=self._reason(refusal))
            if one.target is not None or one.verdict is not None:
                self.prospects[str(name)] = one
            if not options.asked.get(name) and name not in options.hold:
                self._note_support(one, releases)
        self._aim()

    def _note_support(self, one: Prospect, releases: Releases) -> None:
        """Remember what keeps the latest release from this Python."""
        python = self.column.admission(prerelease=False).python
        latest = [each for each in releases if each.version == one.latest]
        if not latest or (one.target or one.current) >= latest[0].version:
            return
        wanted = next((each.requires_python for each in latest[0].files if not each.yanked), None)
        if wanted is None or latest[0].admits(python):
            return
        clauses = sorted(
            f"{each.operator} {each.version}"
            for each in wanted
            if not each.contains(python, prereleases=True)
        )
        self.unsupported[str(one.name)] = f"{one.latest} needs Python {', '.join(clauses)}"

    def _is_fixed(self, name: NormalizedName) -> bool:
        requests = self.column.gathered.wanted.requests
        return any(each.name == name and (each.axis or each.requirement.url) for each in requests)

    def _refusal(self, one: Prospect, releases: Releases) -> NoxEnvsError | None:
        """Why the release that the command line names cannot be tried on this column."""
        wanted = self.options.asked.get(one.name)
        if not wanted or one.target is not None or one.verdict or one.current in wanted:
            return None
        there = [each for each in releases if wanted.contains(each.version, prereleases=True)]
        if there and all(each.version < one.current for each in there):
            return UsageError(
                problem=f"{one.name}{wanted} is older than your {one.current}",
                advice=(f"to go back, name one release:   {one.name}=={there[-1].version}",),
            )
        reason = ""
        if there:
            last = there[-1]
            reason = (
                f"{last.version} was yanked"
                if last.is_yanked
                else (f"{last.version} is not for Python {self.column.interpreter.version}")
            )
        exact = [Version(each.version) for each in wanted if each.operator == "=="
                 and not each.version.endswith(".*")]  # fmt: skip
        nearby = nearest(exact[0], releases) if len(exact) == 1 and not there else ()
        return ReleaseNotFound(
            name=str(one.name),
            wanted=str(exact[0]) if len(exact) == 1 else str(wanted),
            addresses=(f"the command line   {one.name}{wanted}",),
            nearest=tuple(str(each) for each in nearby if each is not None),
            latest=str(one.latest or ""),
            reason=reason,
        )

    def _aim(self) -> None:
        """The newest releases that resolve together; exactly what was named."""
        open_ = {name: one for name, one in self.prospects.items() if one.target is not None}
        self.targets = {name: one.target for name, one in open_.items() if one.target is not None}
        if not open_:
            return
        try:
            self._resolve(self.targets)
        except NoxEnvsError as error:
            if outcome_of(error) not in {Outcome.INFEASIBLE, Outcome.UNBUILDABLE}:
                raise
        else:
            return
        wanted = {
            name: _exactly(one.target) if one.named and one.target else _between(one)
            for name, one in open_.items()
        }
        try:
            lock = self.column.resolve(
                {canonicalize_name(name): spec for name, spec in wanted.items()},
                free=frozenset(canonicalize_name(name) for name in wanted),
            )
        except NoxEnvsError as error:
            if outcome_of(error) not in {Outcome.INFEASIBLE, Outcome.UNBUILDABLE}:
                raise
            return  # The search finds out which of them do not go together.
        for name, one in open_.items():
            version = lock.pins.get(canonicalize_name(name))
            if version is not None and version != one.target:
                self.reasons[name] = self._why_not(name, one)
                if version > one.current and version in one.versions:
                    self.targets[name] = version
                else:
                    del self.targets[name]

    def _why_not(self, name: str, one: Prospect) -> str:
        """What the resolver says of a target that fits nowhere."""
        if one.target is None:
            return ""
        others = {
            canonicalize_name(other): _between(each)
            for other, each in self.prospects.items()
            if each.target is not None and other != name
        }
        key = canonicalize_name(name)
        try:
            self.column.resolve({**others, key: _exactly(one.target)}, free=frozenset(others))
        except NoxEnvsError as error:
            reason = self._reason(error)
            self.unresolved[name] = outcome_of(error), reason
            return reason
        return f"{name} {one.target} does not go with the others at their newest"

    def closures(self) -> tuple[dict[str, frozenset[str] | None], set[frozenset[str]]]:
        """What has to move with each target, and which of them depend on each other."""
        found = side_by_side(self._closure, self.targets, at_once=self._trials.place.jobs)
        return found, self._links()

    def _closure(self, name: str) -> frozenset[str] | None:
        if self._goes_alone(name):
            return frozenset({name})
        wanted = {
            canonicalize_name(other): _exactly(target) if other == name
            else _range(self.prospects[other].current, target)
            for other, target in self.targets.items()
        }  # fmt: skip
        try:
            lock = self.column.resolve(self._held | wanted)
        except NoxEnvsError as error:
            outcome = outcome_of(error)
            if outcome not in {Outcome.INFEASIBLE, Outcome.UNBUILDABLE}:
                return frozenset({name})
            self.unresolved[name] = outcome, self._reason(error)
            return None
        return frozenset(
            other
            for other in self.targets
            if other == name
            or lock.pins.get(canonicalize_name(other)) != self.prospects[other].current
        )

    def _goes_alone(self, name: str) -> bool:
        """Whether a target resolves where all other candidates stay."""
        try:
            self.column.resolve(self._fixed({name: self.targets[name]}))
        except NoxEnvsError:
            return False
        return True

    def _links(self) -> set[frozenset[str]]:
        """Pairs of targets between which there is a path of dependencies."""
        requires = dict(self._requires)
        links = set()
        for name in self.targets:
            waiting, seen = list(requires.get(name, ())), {name}
            while waiting:
                other = waiting.pop()
                if other in seen:
                    continue
                seen.add(other)
                if other in self.targets:
                    links.add(frozenset({name, other}))
                else:
                    waiting += requires.get(other, ())
        return links

    @property
    def _requires(self) -> dict[str, tuple[str, ...]]:
        shown = [each.shown for each in self._memory.values() if each.shown]
        merged: dict[str, tuple[str, ...]] = {}
        for each in shown:
            for name, found in each.requires.items():
                merged[name] = tuple(dict.fromkeys([*merged.get(name, ()), *found]))
        return merged

    def requirers(self, name: str) -> tuple[str, ...]:
        """What was seen to depend on a package, directly."""
        return tuple(sorted(one for one, found in self._requires.items() if name in found))

    # -- what moves with a candidate

    def company(self, base: Pins, name: str) -> tuple[Pins, Pins]:
        """What else a candidate moves beside a set, and is no candidate: before and after."""
        try:
            before = self._resolve(base).pins
            after = self._resolve({**base, name: self.targets[name]}).pins
        except NoxEnvsError:
            return {}, {}
        moved = {
            str(other): (old, new)
            for other in before.keys() & after.keys() - {canonicalize_name(each) for each in base}
            if str(other) not in self.targets
            and (old := before[other]) and (new := after[other]) and old != new
        }  # fmt: skip
        return ({other: old for other, (old, _) in moved.items()},
                {other: new for other, (_, new) in moved.items()})  # fmt: skip

    def company_closures(
        self, base: Pins, before: Pins, after: Pins
    ) -> tuple[dict[str, frozenset[str] | None], set[frozenset[str]]]:
        """What of `after` has to move with each, where all others are as in `before`."""
        found: dict[str, frozenset[str] | None] = {}
        for name, version in after.items():
            others = {canonicalize_name(other): _range(old, after[other])
                      for other, old in before.items() if other != name}  # fmt: skip
            fixed = self._fixed({**base, **before, name: version})
            try:
                try:
                    lock = self.column.resolve(fixed)
                except Unresolvable:
                    lock = self.column.resolve({**fixed, **others})
            except NoxEnvsError:
                found[name] = None
                continue
            found[name] = frozenset({name}) | {
                other for other, old in before.items()
                if lock.pins.get(canonicalize_name(other)) != old
            }  # fmt: skip
        return found, set()

    def brought_in_by(self, base: Pins, name: str, other: str, version: Version) -> tuple[str, ...]:
        """Who asks for a release of another package, as `requests>=2.30`."""
        if name not in self.requirers(other):
            return self.requirers(other)
        current, target = self.prospects[name].current, self.targets[name]
        releases = self.releases_between(name, current, target)
        low, high = 0, len(releases) - 1
        while low < high:
            middle = (low + high) // 2
            fixed = self._fixed({**base, name: releases[middle], other: version})
            try:
                self.column.resolve(fixed)
            except NoxEnvsError:
                low = middle + 1
            else:
                high = middle
        text = str(releases[low])
        short = text.removesuffix(".0") if text.count(".") > 1 else text
        return (f"{name}>={short}" if low else name,)

    def releases_between(self, name: str, low: Version, high: Version) -> list[Version]:
        """Both, and what can be tried between them, ascending."""
        found = self.column.releases(canonicalize_name(name))
        if isinstance(found, NotThere | Unreachable):
            return [low, high]
        admission = self.column.admission(prerelease=self.options.pre)
        inside = (each.version for each in found if admission.admits(each))
        return [low, *sorted(each for each in inside if low < each < high), high]

    def highest_feasible(self, base: Pins, name: str) -> Version | str:
        """The newest release of a candidate that resolves beside a set; or why there is none.

        Raises a `NoxEnvsError` where that is not known.
        """
        one = self.prospects[name]
        key = canonicalize_name(name)
        others = self._fixed(base)
        others[key] = SpecifierSet(f">{one.current},<={one.target}")
        try:
            lock = self.column.resolve(others, free=frozenset({key}))
        except NoxEnvsError as error:
            if outcome_of(error) not in {Outcome.INFEASIBLE, Outcome.UNBUILDABLE}:
                raise
            return self._reason(error)
        version = lock.pins.get(key)
        return version if version in one.versions else f"no release of {name} fits"

    # -- trials

    def settle(self, want: Want) -> Result:
        """Resolve a set and run it; equal locks are run once."""
        try:
            lock = self._resolve(dict(want.pins), keep=want.keep)
        except NoxEnvsError as error:
            return Result(outcome=outcome_of(error), reason=self._reason(error))
        except OSError as error:
            return Result(outcome=Outcome.ERROR, reason=f"{error.strerror}: {error.filename}")
        if not want.run:
            return Result(outcome=Outcome.PASS)
        memory = (lock.digest, want.attempt)
        known = self._memory.get(memory)
        if known is not None:
            return self.accepts(known)
        with self._guard:
            if self._left == 0:
                return Result(outcome=Outcome.ERROR, is_refused=True)
            self._left = None if self._left is None else self._left - 1
        pins = {str(canonicalize_name(name)) for name, _ in want.pins}
        changes, moved = self._changes(lock, pins)
        try:
            shown = self._trials.run(
                self.column,
                lock,
                changes=changes,
                moved=moved,
                attempt=want.attempt,
                limit=self._limit,
            )
        except OSError as error:
            return Result(outcome=Outcome.ERROR, reason=f"{error.strerror}: {error.filename}")
        if want.pins == _BASELINE.pins and shown.trial.outcome in _ENDED:
            self._baseline_seconds = max(shown.seconds, self._baseline_seconds or 0.0)
        result = self._judged(shown)
        with self._guard:
            self._memory[memory] = result
        return self.accepts(result)

    def _reason(self, error: NoxEnvsError) -> str:
        """Why, in one line without a secret."""
        job, variables = self.column.planner.job, self._trials.place.variables
        urls = settings.index_urls(variables, kind="pip", directory=job.directory)
        return settings.redact(reason_of(error), variables, urls=urls)

    def _limit(self) -> float | None:
        """Seconds for a run; the baseline itself tells, where nobody says it."""
        options, declared = self.options, self.column.place.declaration.timeout
        if options.timeout is not None:
            return options.timeout
        if declared is not None:
            return declared
        if self._baseline_seconds is None:
            return _LONGEST
        return max(_LEAST, _TIMES * self._baseline_seconds)

    def _judged(self, shown: Shown) -> Result:
        trial, failure = shown.trial, shown.trial.failure
        changed = {*trial.changes, *trial.moved}
        signature = failure.signature if failure else None
        if trial.outcome is Outcome.TIMEOUT:
            signature = "timeout"
        return Result(
            outcome=trial.outcome,
            reason=trial.reason,
            shown=shown,
            suspects=tuple(name for name in shown.suspects if name in changed),
            signature=signature,
            moved=trial.moved,
        )

    @staticmethod
    def names_tests(result: Result) -> bool:
        """Whether a run that failed told which tests, and was not cut short by the first."""
        failure = result.shown.trial.failure if result.shown else None
        return bool(failure and failure.tests and result.shown and not result.shown.is_stopping)

    def know_failures(self, *results: Result) -> None:
        """Take tests that fail each time, as it stands now, for known, if others can decide."""
        if all(
            one.outcome is Outcome.FAIL
            and self.names_tests(one)
            and one.shown is not None
            and one.shown.passed_tests
            for one in results
        ):
            tests = [set(one.shown.trial.failure.tests) for one in results
                     if one.shown and one.shown.trial.failure]  # fmt: skip
            self.known_failures = frozenset(set.intersection(*tests))
            self._baseline_seconds = max(one.shown.seconds for one in results if one.shown)

    def accepts(self, result: Result) -> Result:
        """The same; a pass where only tests fail that fail as it stands now.

        Where others fail as well, they are the reason.
        """
        shown = result.shown
        failure = shown.trial.failure if shown else None
        if result.outcome is not Outcome.FAIL or failure is None or not self.known_failures:
            return result
        new = {name: said for name, said in failure.tests.items()
               if name not in self.known_failures}  # fmt: skip
        if shown is None or not failure.tests or shown.is_stopping:
            return result
        if not new:
            return replace(result, outcome=Outcome.PASS)
        if failure.exception in new.values():
            return result
        said = next(filter(None, new.values()), failure.exception)
        failure = replace(failure, exception=said, excerpt=said)
        return replace(result, shown=replace(shown, trial=replace(shown.trial, failure=failure)))

    def _resolve(self, pins: Pins, *, keep: bool = True) -> Lock:
        if not pins and keep:
            return self.column.current
        key = tuple(sorted(pins.items()))
        known = self._locks.get(key) if keep else None
        if known is not None:
            return known
        lock = self._resolve_patiently(pins, keep=keep and self._keeps)
        if keep:
            self._locks[key] = lock
        return lock

    def _resolve_patiently(self, pins: Pins, *, keep: bool) -> Lock:
        """An index that is down for a moment is asked again."""
        for pause in _PAUSES:
            with contextlib.suppress(IndexUnreachable):
                return self._resolve_once(pins, keep=keep)
            self._trials.place.stop.wait(pause)
        return self._resolve_once(pins, keep=keep)

    def _resolve_once(self, pins: Pins, *, keep: bool) -> Lock:
        fixed = self._fixed(pins)
        try:
            return self.column.resolve(fixed, keep=keep)
        except NoxEnvsError as error:
            if not self._frees_others or outcome_of(error) is not Outcome.INFEASIBLE:
                raise
        free = {name: SpecifierSet() for name in self.column.declared}
        return self.column.resolve({**free, **fixed}, keep=keep)

    @property
    def _keeps(self) -> bool:
        return self.options.mode != "fresh"

    def _fixed(self, pins: Pins) -> dict[NormalizedName, SpecifierSet]:
        """Exactly these releases, and of all other candidates the current ones."""
        fixed = {
            canonicalize_name(name): _exactly(one.current) for name, one in self.prospects.items()
        }
        return (
            self._held | fixed | {canonicalize_name(name): _exactly(v) for name, v in pins.items()}
        )

    def _changes(self, lock: Lock, pins: Iterable[str]) -> tuple[Changes, Changes]:
        before, after = self.column.current.pins, lock.pins
        asked: dict[str, tuple[str | None, str | None]] = {}
        moved: dict[str, tuple[str | None, str | None]] = {}
        for name in sorted({*before, *after}):
            old, new = before.get(name), after.get(name)
            if old != new:
                place = asked if str(name) in set(pins) else moved
                place[str(name)] = (_text(old), _text(new))
        return asked, moved


def _exactly(version: Version) -> SpecifierSet:
    return SpecifierSet(f"=={version}")


def _between(one: Prospect) -> SpecifierSet:
    return _range(one.current, one.target or one.current)


def _range(one: Version, other: Version) -> SpecifierSet:
    """From the older to the newer: an older release may have been named."""
    return SpecifierSet(f">={min(one, other)},<={max(one, other)}")


def _text(version: Version | None) -> str | None:
    return None if version is None else str(version)


def held_at(
    column: Column, hold: Mapping[NormalizedName, SpecifierSet]
) -> dict[NormalizedName, SpecifierSet]:
    """Where what is held stays on a column: within its limit, or where it is."""
    pins = column.current.pins
    there = {name: version for name in hold if (version := pins.get(name)) is not None}
    return {name: hold[name] or _exactly(version) for name, version in there.items()}


def unknown_hold(hold: Collection[NormalizedName], columns: Iterable[Column]) -> UsageError | None:
    """What to say of a name that holds nothing anywhere."""
    every = [column.current.pins for column in columns]
    for name in hold if every else ():
        if not any(name in pins for pins in every):
            return UsageError(
                problem=f"{name} is to be held, and is not among the {len(every[0])} packages",
                advice=(near(name, every[0]),),
            )
    return None


def near(name: str, pins: Mapping[NormalizedName, object]) -> str:
    """Which of the packages that are there may have been meant."""
    from difflib import get_close_matches  # noqa: PLC0415 - for an error only

    close = get_close_matches(name, list(pins), n=1)
    return f"did you mean {close[0]}?" if close else f"they are {', '.join(sorted(pins)[:12])} ..."


_OUTCOMES: Mapping[type[NoxEnvsError], Outcome] = {
    BuildFailed: Outcome.UNBUILDABLE,
    BuildNotAllowed: Outcome.UNBUILDABLE,
    NoWheel: Outcome.UNBUILDABLE,
    Unresolvable: Outcome.INFEASIBLE,
    IncompatiblePython: Outcome.INFEASIBLE,
    ReleaseNotFound: Outcome.INFEASIBLE,
    PackageNotFound: Outcome.INFEASIBLE,
}


def outcome_of(error: NoxEnvsError) -> Outcome:
    """What it is for a set of releases that it cannot be planned."""
    return _OUTCOMES.get(type(error), Outcome.ERROR)


def reason_of(error: NoxEnvsError) -> str:
    """Why, in one line; the resolver's own chain where it is the reason."""
    if isinstance(error, Unresolvable):
        words = " ".join(error.reason.split()).rstrip(".")
        start = words.find("ecause ")
        return words[start - 1 :] if start > 0 else words or error.summary
    if isinstance(error, BuildNotAllowed):
        return f"{error.summary}: {error.hints[0]}"
    return error.summary


VERDICTS: Mapping[Outcome, Verdict] = {
    Outcome.INFEASIBLE: Verdict.INFEASIBLE,
    Outcome.UNBUILDABLE: Verdict.UNBUILDABLE,
    Outcome.ERROR: Verdict.INCONCLUSIVE,
    Outcome.FAIL: Verdict.BREAKS,
    Outcome.TIMEOUT: Verdict.BREAKS,
}
