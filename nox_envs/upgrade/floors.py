"""The floors campaign: whether the lower bounds that a project promises really work."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name

from nox_envs import settings
from nox_envs.errors import IndexUnreachable, NeedsUv, NoxEnvsError, UsageError
from nox_envs.outcome import Outcome
from nox_envs.report.facts import Baseline, Floor, FloorsReport
from nox_envs.report.words import count
from nox_envs.resolve.index import NotThere, Unreachable, lowest
from nox_envs.upgrade.bench import Bench, held_at, outcome_of, reason_of, unknown_hold
from nox_envs.upgrade.campaign import Driven
from nox_envs.upgrade.candidates import Prospect
from nox_envs.upgrade.edits import floored
from nox_envs.upgrade.lowest import Lowest
from nox_envs.upgrade.promised import Bound, bounds_of, lowest_of
from nox_envs.upgrade.quests import Result, SearchQuest, SetQuest, Want
from nox_envs.upgrade.search import Search
from nox_envs.upgrade.threads import side_by_side
from nox_envs.upgrade.work import Patient, Work, baseline_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from packaging.requirements import Requirement
    from packaging.version import Version

    from nox_envs.report.facts import Status
    from nox_envs.upgrade.campaign import Assignment
    from nox_envs.upgrade.column import Column
    from nox_envs.upgrade.quests import Pins

__all__ = ["Floors"]


def __dir__() -> list[str]:
    return __all__


_LOOKS = 8


@dataclass(slots=True, kw_only=True)
class _Bottom(Work):
    """A column, and the lower bounds that hold on it."""

    bounds: dict[str, Bound] = field(default_factory=dict)
    lows: dict[str, _LowQuest] = field(default_factory=dict)
    whole: SetQuest | None = None
    """Whether all that is offered passes together, as a project for all columns has it."""

    def floor(self, name: str) -> Version | None:
        """The lowest release that was proven to pass; None where that is not known."""
        if name in self.safe or not self.promises(name):
            return self.safe.get(name)
        one = self.bench.prospects.get(name)
        return one.current if one is not None and name not in self.bench.targets else None

    def unmet(self, name: str) -> str | None:
        """Why it goes with nothing that is installed beside the project; None where it does."""
        outcome, reason = self.bench.unresolved.get(name, (None, ""))
        return reason if outcome is Outcome.INFEASIBLE else None

    def promises(self, name: str) -> bool:
        """Whether there is a lower bound of it here that was put to the proof."""
        return not self.red and name in self.bounds and self.bounds[name].declared is not None

    def is_corrected(self, name: str) -> bool:
        """Whether another lower bound is right than the one that is declared."""
        floor = self.safe.get(name)
        return (
            self.unmet(name) is None and floor is not None and floor != self.quest.targets.get(name)
        )


class _LowQuest:
    """The lowest release of one dependency that passes beside floors that have passed."""

    def __init__(self, base: Pins, name: str, versions: Sequence[Version], *, jobs: int) -> None:
        self.name = name
        self.results: dict[Version, Result] = {}
        self._base = base
        self._lowest = Lowest(versions, jobs=jobs)

    @property
    def done(self) -> bool:
        return self._lowest.done

    @property
    def best(self) -> Version:
        return self._lowest.best

    @property
    def lowest(self) -> Version | None:
        """The lowest release that has passed until now; None where none has."""
        passed = (each for each, one in self.results.items() if one.outcome is Outcome.PASS)
        return min(passed, default=None)

    def is_found(self, current: Version) -> bool:
        """Whether the best is an answer: `current` is only one where nothing was left open."""
        unknown = {Outcome.ERROR, Outcome.FLAKY}
        seen = {result.outcome for result in self.results.values()}
        return self.done and (self.best != current or not seen & unknown)

    def pending(self) -> Sequence[Want]:
        return [
            Want(pins=tuple(sorted({**self._base, self.name: each}.items())))
            for each in self._lowest.pending()
        ]

    def record(self, want: Want, result: Result) -> None:
        version = dict(want.pins)[self.name]
        self.results[version] = result
        self._lowest.record(version, result.outcome)


class Floors(Driven[_Bottom]):
    """Runs the tests with the lowest releases that are promised, and test tools at their newest.

    What was installed is compared with what was declared before anything is believed: a floor
    that another package raises was never tested.
    """

    def __init__(self, assignment: Assignment) -> None:
        super().__init__(assignment)
        self.works: list[_Bottom] = []

    def run(self) -> None:
        """Find out which hold. Raises nothing for what a trial may show."""
        self.works = list(self._driver.plan().values())
        columns = (work.bench.column for work in self.works)
        if unknown := unknown_hold(self.options.hold, columns):
            self._driver.failed[self.works[0].name] = unknown
        if self.failed or not self.works:
            return
        for work in self.works:
            known = sum(1 for bound in work.bounds.values() if bound.declared is not None)
            total = count(len(work.bounds), "dependency", "dependencies")
            self._say(f"{work.name}: {total}, {known} with a lower bound.")
        self._drive([(work, Patient(work)) for work in self.works])
        for work in self.works:
            work.baseline = work.quest.baseline
            work.red = work.quest.search.baseline not in {None, Outcome.PASS}
            work.safe = {} if work.red else work.quest.pins
        self._find_true_floors()
        self._prove()

    def _drive(self, quests: Sequence[tuple[_Bottom, Any]]) -> None:
        self._driver.drive([(work.bench.settle, quest) for work, quest in quests])

    def _find_true_floors(self) -> None:
        """For what does not hold, from its floor upwards; with `--lower`, below what does."""
        left = {
            work.name: [
                name for name in work.quest.targets
                if name not in work.safe or self.options.lower
            ]
            for work in self.works if not work.red
        }  # fmt: skip
        while any(left.values()):
            quests = []
            for work in self.works:
                if left.get(work.name):
                    name = left[work.name].pop(0)
                    versions = self._versions(work, name)
                    if len(versions) > 1:
                        quest = _LowQuest(work.safe, name, versions, jobs=self._trials.place.jobs)
                        work.lows[name] = quest
                        quests.append((work, quest))
            self._drive(quests)
            for work, quest in quests:
                if quest.is_found(work.bench.prospects[quest.name].current):
                    work.safe[quest.name] = quest.best

    def _prove(self) -> None:
        """Have the corrected bounds run as they will be written: of several columns, the highest.

        A line of the project that holds on several Pythons has one bound on all of them.
        """
        corrected, quests = self._corrected, []
        for work in self.works:
            if corrected and not work.red:
                common = {name: self._common(work, name) for name in corrected}
                pins = {name: floor for name, floor in common.items() if floor is not None}
                work.whole = SetQuest({**work.safe, **pins})
                quests.append((work, work.whole))
        self._drive(quests)

    @property
    def _corrected(self) -> set[str]:
        """What is to have another bound, on one column at least; known on all."""
        return {
            name
            for work in self.works
            for name in work.safe
            if work.is_corrected(name)
            and all(other.floor(name) for other in self.works if other.promises(name))
        }

    def _common(self, work: _Bottom, name: str) -> Version | None:
        """The highest of the floors of all columns that have a line about it in common."""
        lines = work.bounds[name].lines if work.promises(name) else frozenset()
        floors = [
            other.floor(name)
            for other in self.works
            if other.promises(name) and lines & other.bounds[name].lines
        ]
        return max((floor for floor in floors if floor is not None), default=None)

    def _versions(self, work: _Bottom, name: str) -> tuple[Version, ...]:
        one, specifier = work.bench.prospects[name], work.bounds[name].requirement.specifier
        kept = SpecifierSet(",".join(str(each) for each in specifier
                                     if each.operator in {"<", "<=", "!="}))  # fmt: skip
        versions = [each for each in one.versions if kept.contains(each, prereleases=True)]
        if name in work.safe:  # It holds; below it nobody has looked.
            return tuple(version for version in versions if version <= work.safe[name])
        floor = work.quest.targets[name]
        return tuple(version for version in versions if version >= floor)

    # -- what is promised

    def _prepare(self, column: Column) -> _Bottom:
        if column.planner.tools.uv is None:
            raise NeedsUv(what="floors", reason="pip always takes the highest release that fits.")
        holds = self._holds(column)
        called = settings.called(self._trials.place.variables)
        bounds = bounds_of(column, self.options.asked, called=called)
        bounds = {name: bound for name, bound in bounds.items() if name not in holds}
        if not bounds:
            raise UsageError(
                problem=f"all that {column.name} could lower is held",
                advice=("leave a --hold out",),
            )
        bounded = {name: one for name, one in bounds.items() if one.declared is not None}
        releases = side_by_side(
            column.releases, [canonicalize_name(name) for name in bounded], at_once=_LOOKS
        )
        bench = Bench(column, self._trials, self.options, held=holds)
        admission = column.admission(prerelease=self.options.pre)
        lowered = self._lowered(column, bounds)
        for name, bound in bounded.items():
            found = releases[canonicalize_name(name)]
            if isinstance(found, Unreachable):
                raise IndexUnreachable(reason=found.reason, url=found.url, about=name)
            current = column.current.pins.get(canonicalize_name(name))
            if isinstance(found, NotThere) or current is None:
                continue
            bound.promised = lowest(bound.requirement.specifier, found, column.interpreter.version)
            if bound.promised is not None:
                bound.declared = bound.promised
            bound.installed = bound.promised
            if lowered is not None:
                bound.installed = lowered.get(canonicalize_name(name))
                if bound.promised and bound.installed and bound.installed > bound.promised:
                    bound.reason, bound.raised_by = self._raised(column, bounded, name, lowered)
            admitted = sorted(
                {each.version for each in found if admission.admits(each)} | {current}
            )
            bench.prospects[name] = Prospect(
                name=canonicalize_name(name),
                current=current,
                target=bound.installed,
                latest=admitted[-1],
                versions=tuple(each for each in admitted if each <= current),
            )
            if bound.installed is not None and bound.installed < current:
                bench.targets[name] = bound.installed
        search = Search(
            sorted(bench.targets),
            jobs=self._trials.place.jobs,
            proofs=self.options.proofs,
            max_trials=self.options.max_trials,
        )
        quest = SearchQuest(bench.targets, search, closures=bench.closures)
        return _Bottom(place=column.place, bench=bench, quest=quest, bounds=bounds)

    def _holds(self, column: Column) -> dict[NormalizedName, SpecifierSet]:
        """What is not lowered. Raises `UsageError` where that is not as it stands now."""
        holds = held_at(column, self.options.hold)
        for name, limit in holds.items():
            version = column.current.pins.get(name)
            if version is not None and not limit.contains(version, prereleases=True):
                spec = self.options.hold[name]
                raise UsageError(
                    problem=f"--hold {name}{spec}: {column.name} has {name} {version}",
                    advice=("floors starts from what is there: declare the limit",),
                )
        return column.within(holds)

    @staticmethod
    def _lowered(
        column: Column, bounds: Mapping[str, Bound]
    ) -> Mapping[NormalizedName, Version | None] | None:
        """The lowest that go together; None where one cannot be built: trials tell which."""
        try:
            return lowest_of(column, bounds)
        except NoxEnvsError as error:
            if outcome_of(error) is not Outcome.UNBUILDABLE:
                raise
            return None

    @staticmethod
    def _raised(
        column: Column,
        bounds: Mapping[str, Bound],
        name: str,
        lowered: Mapping[NormalizedName, Version | None],
    ) -> tuple[str, tuple[str, ...]]:
        """Why the promised release of a dependency is not what is installed."""
        bound = bounds[name]
        wanted = {
            canonicalize_name(other): SpecifierSet(f"=={lowered[canonicalize_name(other)]}")
            for other in bounds
            if lowered.get(canonicalize_name(other)) is not None
        }
        wanted[canonicalize_name(name)] = SpecifierSet(f"=={bound.promised}")
        try:
            column.resolve(wanted, keep=False)
        except NoxEnvsError as error:
            reason = reason_of(error)
            return reason, _asking(reason, name)
        return "another dependency at its floor asks for more", ()

    # -- the report

    def report(self, header: Mapping[str, Any], *, interrupted: bool) -> FloorsReport:
        """What is known now."""
        floors = {work.name: self._floors(work) for work in self.works if not work.red}
        baseline = {work.name: baseline_of(work) for work in self.works}
        for place in self.places:
            reason = self._driver.not_tested.get(place.name, "it was not run to its end")
            baseline.setdefault(place.name, Baseline(outcome=None, reason=reason))
        return FloorsReport(
            **self.facts(header, self._status(floors, interrupted=interrupted)),
            baseline=baseline,
            files=tuple(
                dict.fromkeys(
                    bound.place.partition(":")[0]
                    for work in self.works for bound in work.bounds.values() if bound.place
                )
            ),
            floors=floors,
            words=self.options.steering,
        )  # fmt: skip

    def _status(self, floors: Mapping[str, tuple[Floor, ...]], *, interrupted: bool) -> Status:
        if interrupted:
            return "interrupted"
        if self.failed or not self.works:
            return "error"
        if any(work.red for work in self.works):
            return "baseline-red"
        promised = [one for found in floors.values() for one in found if one.declared is not None]
        outcomes = {one.outcome for one in promised}
        if outcomes & {Outcome.FAIL, Outcome.TIMEOUT, Outcome.INFEASIBLE, Outcome.UNBUILDABLE}:
            return "broken"
        unsettled = {Outcome.ERROR, Outcome.FLAKY, None} & outcomes
        return "inconclusive" if unsettled else "ok"

    def _floors(self, work: _Bottom) -> tuple[Floor, ...]:
        return tuple(self._floor(work, name, bound) for name, bound in work.bounds.items())

    def _floor(self, work: _Bottom, name: str, bound: Bound) -> Floor:
        if bound.declared is None:
            version = self._present(work, name)
            return Floor(name=name, declared=None, installed=version, outcome=None,
                         place=bound.place)  # fmt: skip
        low, search = work.lows.get(name), work.quest.search
        target = work.bench.targets.get(name, bound.installed)
        passed = name in search.safe
        unmet = work.unmet(name)
        if unmet is not None and not bound.reason:
            # A test tool asks for more: nobody who installs the project alone will see that.
            bound.reason, bound.raised_by = unmet, _asking(unmet, name)
        if name not in work.bench.targets:  # It is at its floor as it stands now.
            passed = work.baseline is not None and search.baseline is Outcome.PASS
        true_floor = work.safe.get(name) if low is not None and low.done else None
        so_far = low.lowest if low is not None and not low.done else None
        rejection = search.rejected.get(name)
        decided = work.quest.results.get(rejection.ask) if rejection and rejection.ask else None
        outcome = Outcome.PASS if passed else decided.outcome if decided else None
        if outcome is Outcome.PASS and not passed:
            outcome = Outcome.FAIL
        trial = decided.shown.trial if decided and decided.shown else None
        failure = trial.failure if trial else None
        reason = bound.reason
        unbuilt = work.bench.unresolved.get(name) if unmet is None and outcome is None else None
        if unbuilt is not None:
            outcome, reason = unbuilt
        if not passed and decided is not None:
            reason = failure.exception if failure and failure.exception else decided.reason
        better = true_floor is not None and true_floor != target
        if unmet is not None and true_floor is not None:
            outcome, passed, better, target = Outcome.PASS, True, False, true_floor
        return Floor(
            name=name,
            declared=bound.shown,
            installed=None if target is None else str(target),
            outcome=outcome,
            true_floor=str(true_floor or target) if passed or better else _text(so_far),
            raised_by=bound.raised_by or (("another dependency",) if bound.reason else ()),
            reason=reason,
            requirement=self._put(work, name, true_floor) if better else "",
            place=bound.place,
            trials=tuple(
                dict.fromkeys([*([trial.id] if trial else []), *self._proofs(work, name)])
            ),
        )

    def _put(self, work: _Bottom, name: str, true_floor: Version | None) -> str:
        """The line as it is written: one that holds on several Pythons has one bound."""
        floor = self._common(work, name) or true_floor
        return _with_floor(work.bounds[name].requirement, floor)

    @staticmethod
    def _present(work: _Bottom, name: str) -> str | None:
        """What the run of all floors that hold had of a dependency without a bound."""
        quest, key = work.quest, canonicalize_name(name)
        runs = [quest.results[ask] for ask in quest.search.passes if ask in quest.results]
        whole = work.whole.results if work.whole else []
        runs += [result for result in whole if result.outcome is Outcome.PASS]
        moved = runs[-1].shown.trial.moved if runs and runs[-1].shown else {}
        return moved[key][1] if key in moved else _text(work.bench.column.current.pins.get(key))

    def _proofs(self, work: _Bottom, name: str) -> list[str]:
        """The run of all that is offered, where it passed and this is part of it."""
        results = work.whole.results if work.whole and work.whole.done else []
        passed = results and results[-1].outcome is Outcome.PASS and name in self._corrected
        return [results[-1].shown.trial.id] if passed and results[-1].shown else []


def _text(version: Version | None) -> str | None:
    return None if version is None else str(version)


def _asking(reason: str, name: str) -> tuple[str, ...]:
    """Who asks for more, from what the resolver says."""
    pattern = rf"([\w.-]+)(?:[=<>!~][^ ]*)? depends? on {re.escape(name)}\S*"
    return tuple(dict.fromkeys(one for one in re.findall(pattern, reason) if one != name))


def _with_floor(requirement: Requirement, floor: Version | None) -> str:
    """The requirement with another lower bound; upper ones are kept."""
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    try:
        specifier = floored(requirement, floor) if floor is not None else None
    except ValueError:
        return ""
    return f"{requirement.name}{extras}{specifier}" if specifier else ""
