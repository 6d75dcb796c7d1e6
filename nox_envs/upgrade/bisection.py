"""The bisect campaign: which release of one package broke it, on each column."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from nox_envs import _files
from nox_envs.errors import (
    IndexUnreachable,
    NoxEnvsError,
    PackageNotFound,
    ReleaseNotFound,
    UsageError,
)
from nox_envs.outcome import Outcome
from nox_envs.report.facts import Baseline, Bisected, BisectReport, Newest
from nox_envs.report.words import count
from nox_envs.resolve.index import NotThere, Unreachable
from nox_envs.upgrade.bench import Bench, held_at, near, unknown_hold
from nox_envs.upgrade.bisect import Ask, Bisect
from nox_envs.upgrade.campaign import Driven
from nox_envs.upgrade.quests import Result, SetQuest, Want
from nox_envs.upgrade.search import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Literal

    from packaging.utils import NormalizedName

    from nox_envs.report.facts import Status
    from nox_envs.resolve.index import Releases
    from nox_envs.upgrade.campaign import Assignment
    from nox_envs.upgrade.column import Column

__all__ = ["BisectQuest", "Bisection"]


def __dir__() -> list[str]:
    return __all__


_OTHER = "another failure: "
_PROOFS = 2
"""How often both sides of a border are run, where nobody says it."""
_BESIDES = 4
"""How many reasons are told one by one."""


@dataclass(slots=True, kw_only=True)
class _Line:
    """The releases of the package on one column, and what they have shown."""

    bench: Bench
    name: NormalizedName
    current: Version
    versions: tuple[Version, ...]
    good: Version
    bad: Version
    dates: Mapping[Version, str]
    holds: Mapping[NormalizedName, SpecifierSet]
    """What must not move, and where it is to stay."""
    hindered: dict[Version, str] = field(default_factory=dict)
    """Why releases cannot be tested that need what is held to move."""
    quest: BisectQuest | None = None
    company: Result | None = None
    """Of the good release in the company of the bad one."""


class BisectQuest:
    """Asks for releases until it is known which of them is bad."""

    def __init__(
        self,
        name: str,
        search: Bisect,
        match: re.Pattern[str] | None,
        *,
        beside: Mapping[str, Version] | None = None,
    ) -> None:
        """`match`: what a log has to say to count as bad; `beside`: releases of others."""
        self.search = search
        self.results: dict[Version, list[Result]] = {}
        """What each release has shown, with signatures as they count."""
        self._name = name
        self._match = match
        self._beside = dict(beside or {})
        self._asks: dict[Want, Ask] = {}

    @property
    def done(self) -> bool:
        return self.search.done

    def pending(self) -> Sequence[Want]:
        found = []
        for ask in self.search.pending():
            want = Want(
                pins=tuple(sorted({**self._beside, self._name: ask.version}.items())),
                attempt=ask.attempt,
                alone=ask.alone,
            )
            self._asks[want] = ask
            found.append(want)
        return found

    def record(self, want: Want, result: Result) -> None:
        ask, result = self._asks[want], self.seen(result)
        self.results.setdefault(ask.version, []).append(result)
        self.search.record(ask, Answer(outcome=result.outcome, signature=result.signature))

    def seen(self, result: Result) -> Result:
        """A result with the signature that counts."""
        if self._match is None or result.outcome is not Outcome.FAIL:
            return result
        matches = _matches(result, self._match)
        return replace(result, signature=_SOUGHT if matches else f"{_OTHER}{result.signature}")

    @property
    def ways(self) -> set[str | None]:
        """How the first bad release fails."""
        results = self.results.get(self.search.first_bad, []) if self.search.first_bad else []
        return {one.signature for one in results if one.outcome in _RED}


_RED = {Outcome.FAIL, Outcome.TIMEOUT}
_SOUGHT = "the failure that --match describes"


def _matches(result: Result, match: re.Pattern[str]) -> bool:
    shown = result.shown
    if shown is None or shown.path is None:
        return False
    try:
        return match.search(_files.read_text(shown.path)) is not None
    except OSError:
        return False


class Bisection(Driven[_Line]):
    """Looks for the first bad release of one package, on every column side by side."""

    def __init__(self, assignment: Assignment) -> None:
        super().__init__(assignment)
        self.lines: dict[str, _Line] = {}
        (self._name,) = self.options.asked

    def run(self) -> None:
        """Find it. Raises nothing for what a trial may show."""
        self.lines = dict(self._driver.plan())
        self._refuse_unknown_holds()
        if self._driver.failed or not self.lines:
            return
        self._tell_opening()
        options = self.options
        for line in self.lines.values():
            search = Bisect(
                line.versions,
                good=line.good,
                bad=line.bad,
                jobs=self._trials.place.jobs,
                scan=options.scan,
                sought=_SOUGHT if options.match else None,
                max_trials=options.max_trials,
                proofs=options.proofs or _PROOFS,
            )
            match = re.compile(options.match) if options.match else None
            line.quest = BisectQuest(str(self._name), search, match)
        self._driver.drive(
            [(partial(_settle, line), line.quest) for line in self.lines.values() if line.quest]
        )
        self._tell_hindered()
        self._tell_company_apart()

    # -- the releases

    def _prepare(self, column: Column) -> _Line:
        name, options = self._name, self.options
        others = {each: limit for each, limit in options.hold.items() if each != name}
        holds = held_at(column, others)
        bench = Bench(column, self._trials, options, frees_others=True, held=holds)
        if options.asked[name]:
            raise UsageError(
                problem=f"{name}{options.asked[name]}: a bisection takes the name alone",
                advice=("say where it ends:   --good VERSION --bad VERSION",),
            )
        current = column.current.pins.get(name)
        if current is None:
            raise UsageError(
                problem=f"{name} is not among the {len(column.current.pins)} packages of "
                f"{column.name}",
                advice=(near(name, column.current.pins),),
            )
        found = column.releases(name)
        if isinstance(found, Unreachable):
            raise IndexUnreachable(reason=found.reason, url=found.url, about=str(name))
        if isinstance(found, NotThere):
            raise PackageNotFound(name=str(name))
        admission = column.admission(prerelease=options.pre)
        admitted = [each.version for each in found if admission.admits(each)]
        good = self._end("--good", options.good, current, found)
        bad = self._end("--bad", options.bad, max(admitted, default=current), found)
        if options.bad is None and bad <= good:
            raise UsageError(
                problem=f"there is no release of {name} newer than {good} to look at",
                advice=("name an older one that works:   --good VERSION",),
            )
        if bad <= good:
            raise UsageError(
                problem=f"--bad {bad} is not newer than --good {good}",
                advice=("a failure is looked for from an older release to a newer one",),
            )
        # What is newer than the bad end tells whether it was mended since.
        between = {each for each in admitted if good < each} | {bad}
        return _Line(
            bench=bench,
            name=name,
            current=current,
            versions=(good, *sorted(between)),
            good=good,
            bad=bad,
            dates=_dates(found),
            holds=holds,
        )

    def _end(self, option: str, text: str | None, default: Version, found: Releases) -> Version:
        """A release that the command line names, or the one that goes without saying."""
        if text is None:
            return default
        try:
            wanted = Version(text)
        except InvalidVersion as error:
            raise UsageError(
                problem=f"{option}: {text!r} is not a version", advice=("write 2.3.8",)
            ) from error
        known = [each.version for each in found]
        if wanted not in known:
            below = max((one for one in known if one < wanted), default=None)
            above = min((one for one in known if one > wanted), default=None)
            raise ReleaseNotFound(
                name=str(self._name),
                wanted=text,
                addresses=(f"the command line   {option} {text}",),
                nearest=tuple(str(one) for one in (below, above) if one is not None),
            )
        return wanted

    def _tell_opening(self) -> None:
        for name, line in self.lines.items():
            inside = sum(each <= line.bad for each in line.versions)
            newer = len(line.versions) - inside
            self._say(
                f"{name}: {self._name} {line.current} is yours; from {line.good} to {line.bad} "
                f"{inside} releases{f', and {newer} newer' if newer else ''}."
            )

    # -- what is held

    def _refuse_unknown_holds(self) -> None:
        """A name that holds nothing anywhere is a mistake."""
        columns = (line.bench.column for line in self.lines.values())
        if unknown := unknown_hold(self.options.hold, columns):
            self._driver.failed[next(iter(self.lines))] = unknown

    def _tell_hindered(self) -> None:
        """Say which releases were not tested because of what is held."""
        for name, line in self.lines.items():
            for version, reason in sorted(line.hindered.items())[:_BESIDES]:
                self._say(f"{name}: {self._name} {version} was not tested: {reason}.")
            if (more := len(line.hindered) - _BESIDES) > 0:
                self._say(f"{name}: and {more} more were not tested for what is held.")

    # -- the package, or its company

    def _tell_company_apart(self) -> None:
        """Where the first bad release moves others, find out if it is bad without them."""
        quests = []
        for line in self.lines.values():
            company = self._company(line)
            search = line.quest.search if line.quest else None
            if company and search is not None and search.last_good is not None:
                quest = SetQuest({**company, str(self._name): search.last_good})
                quests.append((line, quest))
        self._driver.drive([(line.bench.settle, quest) for line, quest in quests])
        for line, quest in quests:
            if quest.results and line.quest:
                line.company = line.quest.seen(quest.result)

    @staticmethod
    def _company(line: _Line) -> dict[str, Version]:
        """What the first bad release brings along that the last good one does not have."""
        quest = line.quest
        if quest is None or quest.search.first_bad is None or quest.search.last_good is None:
            return {}
        bad, good = (
            _moved(quest.results.get(each, []))
            for each in (quest.search.first_bad, quest.search.last_good)
        )
        return {
            name: Version(after)
            for name, (before, after) in bad.items()
            # What is new cannot be had without the release that asks for it.
            if after is not None and before is not None and good.get(name, (None, None))[1] != after
        }

    # -- the report

    def report(self, header: Mapping[str, Any], *, interrupted: bool) -> BisectReport:
        """What is known now."""
        result = {name: self._bisected(line) for name, line in self.lines.items() if line.quest}
        return BisectReport(
            **self.facts(header, self._status(result, interrupted=interrupted)),
            baseline={place.name: self._baseline(place.name) for place in self.places},
            files=self._files(),
            package=str(self._name),
            result=result,
        )

    def _status(self, result: Mapping[str, Bisected], *, interrupted: bool) -> Status:
        if interrupted:
            return "interrupted"
        if self._driver.failed or not result:
            return "error"
        kinds = {one.status for one in result.values()}
        if "all-bad" in kinds:
            return "baseline-red"
        if "inconclusive" in kinds:
            return "inconclusive"
        return "broken" if kinds & {"found", "hole"} else "ok"

    def _baseline(self, name: str) -> Baseline:
        line = self.lines.get(name)
        results = line.quest.results.get(line.good, []) if line and line.quest else []
        if not results:
            reason = self._driver.not_tested.get(name, "it was not run to its end")
            return Baseline(outcome=None, reason=reason)
        first = results[0]
        trial = first.shown.trial if first.shown else None
        return Baseline(
            outcome=first.outcome,
            trial=trial.id if trial else None,
            seconds=trial.seconds if trial else 0.0,
            reason=first.reason,
            log=trial.log if trial else "",
        )

    def _files(self) -> tuple[str, ...]:
        found = [
            place.partition(":")[0]
            for line in self.lines.values()
            for place in line.bench.places_of(self._name)
        ]
        return tuple(dict.fromkeys(found))

    def _bisected(self, line: _Line) -> Bisected:
        quest = line.quest
        if quest is None:
            return Bisected(status="inconclusive", current=str(line.current))
        search = quest.search
        first_bad = search.first_bad
        deciding = quest.results.get(first_bad or line.good, [])
        failed = next((one for one in deciding if one.outcome is not Outcome.PASS), None)
        unmatched = _unmatched(quest) if self.options.match else []
        if unmatched:
            failed = unmatched[0]
        why = line.hindered.get(line.bad, "")
        untested = why and f"{line.bad} was not tested: {why}"
        trial = failed.shown.trial if failed and failed.shown else None
        failure = trial.failure if trial else None
        newest = search.newest
        found = first_bad is not None and search.status in {"found", "hole"}
        requirement = (
            search.requirement(str(self._name), line.current)
            if found and self._blame(line) != "company" else ""
        )  # fmt: skip
        why = _disagree(search) if search.disagreeing and not found else _reason(failed)
        if unmatched:
            why = _no_match(self.options.match or "", unmatched)
        return Bisected(
            status=search.status,
            current=str(line.current),
            last_good=_text(search.last_good),
            first_bad=_text(first_bad),
            unknown=tuple(str(one) for one in search.unknown),
            bad_ranges=tuple((str(low), str(high)) for low, high in search.bad_ranges),
            fixed_in=_text(search.fixed_in),
            newest=None if newest is None else Newest(
                version=str(newest.version),
                outcome=newest.outcome,
                same_signature=None if newest.outcome is Outcome.PASS else newest.same_signature,
            ),
            requirement=requirement,
            declared=_keeping(requirement, line),
            releases=tuple(str(one) for one in line.versions),
            tested={
                str(version): self._seen(search, results)
                for version, results in sorted(quest.results.items())
            },
            dates={str(version): date for version, date in line.dates.items()
                   if version in set(line.versions)},
            moved=dict(_moved(deciding)) if found else {},
            blame=self._blame(line),
            unmatched=bool(unmatched),
            reason=why or ("" if found else untested),
            failing=dict(failure.tests) if failure else {},
            excerpt=failure.excerpt if failure else "",
            log=trial.log if trial else "",
            trials=tuple(
                one.shown.trial.id for results in quest.results.values() for one in results
                if one.shown
            ),
        )  # fmt: skip

    @staticmethod
    def _seen(
        search: Bisect, results: Sequence[Result]
    ) -> Literal["good", "bad", "other", "unknown"]:
        red = {one.signature for one in results if one.outcome in _RED}
        if red:
            return "bad" if search.signature in red else "other"
        return "good" if Outcome.PASS in {one.outcome for one in results} else "unknown"

    def _blame(self, line: _Line) -> Literal["package", "company", ""]:
        if line.company is None or line.quest is None:
            return ""
        if line.company.outcome is Outcome.PASS:
            return "package"
        same = line.company.signature in line.quest.ways
        return "company" if line.company.outcome in _RED and same else ""


def _settle(line: _Line, want: Want) -> Result:
    """Run a release; where it cannot be had, find out whether that is for what is held."""
    result = line.bench.settle(want)
    if result.outcome is not Outcome.INFEASIBLE or not line.holds:
        return result
    column, version = line.bench.column, dict(want.pins)[str(line.name)]
    free = {name: SpecifierSet() for name in column.declared}
    try:
        lock = column.resolve({**free, line.name: SpecifierSet(f"=={version}")})
    except NoxEnvsError:
        return result
    moved = {
        name: after for name, limit in line.holds.items()
        if (after := lock.pins.get(name)) is not None and after not in limit
    }  # fmt: skip
    if not moved:
        return result
    others = " and ".join(f"{name} {after}" for name, after in moved.items())
    reason = (
        f"it needs {others}, but {' and '.join(moved)} {'is' if len(moved) == 1 else 'are'} held"
    )
    line.hindered[version] = reason
    return replace(result, reason=reason)


def _moved(results: Sequence[Result]) -> Mapping[str, tuple[str | None, str | None]]:
    return next((one.moved for one in results if one.shown), {})


def _reason(result: Result | None) -> str:
    if result is None:
        return ""
    failure = result.shown.trial.failure if result.shown else None
    return failure.exception if failure and failure.exception else result.reason


def _unmatched(quest: BisectQuest) -> list[Result]:
    """The runs that failed, the newest release first, where none of them failed as it should."""
    search = quest.search
    if not search.done or search.status != "inconclusive" or search.disagreeing:
        return []
    newest = sorted(quest.results.items(), reverse=True)
    red = [one for _, results in newest for one in results if one.outcome in _RED]
    return [] if any(one.signature == _SOUGHT for one in red) else red


def _no_match(pattern: str, red: Sequence[Result]) -> str:
    """As `no failure matches 'nope'; 5 runs failed otherwise: ImportError: x`."""
    ways = list(dict.fromkeys(filter(None, map(_reason, red))))
    more = f" (and in {len(ways) - 1} other way{'s' * (len(ways) > 2)})" if ways[1:] else ""  # noqa: PLR2004
    how = f": {ways[0]}{more}" if ways else ""
    return f"no failure matches {pattern!r}; {count(len(red), 'run')} failed otherwise{how}"


def _keeping(requirement: str, line: _Line) -> str:
    """What is declared already, where that admits no release that a requirement leaves out."""
    if not requirement:
        return ""
    wanted = Requirement(requirement).specifier
    out = [each for each in line.versions if not wanted.contains(each, prereleases=True)]
    for request in line.bench.column.declared.get(line.name, ()):
        own = request.requirement.specifier
        if own and not any(own.contains(each, prereleases=True) for each in out):
            # As people write it: from below.
            parts = sorted(map(str, own), key=lambda one: one[0] in "<!")
            return f"{request.requirement.name}{','.join(parts)}"
    return ""


def _disagree(search: Bisect) -> str:
    versions = ", ".join(str(version) for version in search.disagreeing)
    return f"equal runs of {versions} disagreed"


def _text(version: Version | None) -> str | None:
    return None if version is None else str(version)


def _dates(found: Releases) -> dict[Version, str]:
    """When each release was uploaded, where the index tells."""
    dates = {}
    for release in found:
        times = [file.upload_time for file in release.files if file.upload_time is not None]
        if times:
            dates[release.version] = min(times).date().isoformat()
    return dates
