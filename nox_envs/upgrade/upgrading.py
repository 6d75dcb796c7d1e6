"""The upgrade campaign: its columns side by side, from the baseline to the common set."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from nox_envs.errors import NoxEnvsError, UsageError
from nox_envs.outcome import Outcome, Verdict
from nox_envs.report import progress
from nox_envs.report.columns import columns
from nox_envs.upgrade import findings
from nox_envs.upgrade.bench import Bench, near, unknown_hold
from nox_envs.upgrade.campaign import Driven
from nox_envs.upgrade.culprit import Culprit
from nox_envs.upgrade.findings import Findings
from nox_envs.upgrade.quests import (
    BlameQuest,
    Bounded,
    CapQuest,
    Quest,
    SearchQuest,
    SetQuest,
)
from nox_envs.upgrade.search import Search
from nox_envs.upgrade.work import Patient, Work, baseline_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from packaging.version import Version

    from nox_envs.report.facts import UpgradeReport
    from nox_envs.upgrade.campaign import Assignment
    from nox_envs.upgrade.column import Column

__all__ = ["Upgrade"]


def __dir__() -> list[str]:
    return __all__


_SEARCHED = 2
"""How often a set that a search finds passes at most, before it is known what is offered."""
_CAPPINGS = 2
"""How often what is left out is raised as far as it goes: once, and again beside what that gave."""
_ACCUSING = 12
"""Runs for the question who of those that move together breaks it, known ones included."""


class Upgrade(Driven[Bench]):
    """Runs the phases; everything that it has found can be read at any moment."""

    def __init__(self, assignment: Assignment) -> None:
        super().__init__(assignment)
        self.works: list[Work] = []
        self.common: dict[str, Version] | None = None
        self._told: set[str] = set()

    # -- the phases

    def run(self) -> None:
        """Find out what can be upgraded. Raises nothing for what a trial may show."""
        self._open()
        if self.failed or not self.works:
            return
        self._begun = time.monotonic()
        self._tell_opening()
        self._search()
        self._raise_caps()
        self._find_common()
        self._prove_fresh()
        self._find_culprits()
        self._say(progress.closing(len(self._trials.trials), time.monotonic() - self._begun))

    def report(self, header: Mapping[str, Any], *, interrupted: bool) -> UpgradeReport:
        found = Findings(campaign=self, works=self.works, common=self.common)
        return findings.report(found, header, interrupted=interrupted)

    def _prepare(self, column: Column) -> Bench:
        bench = Bench(column, self._trials, self.options, most=self.options.max_trials)
        bench.look()
        return bench

    def _open(self) -> None:
        """Plan every column, and a search for each."""
        planned = self._driver.plan()
        for name in self.options.asked:
            lacking = [
                cell
                for cell, bench in planned.items()
                if name in bench.missing or name in bench.refusals
            ]
            if planned and len(lacking) == len(planned):
                pins = planned[lacking[0]].column.current.pins
                refusals = [planned[cell].refusals.get(name) for cell in lacking]
                self._driver.failed[lacking[0]] = next(filter(None, refusals), None) or UsageError(
                    problem=f"{name} is not among the {len(pins)} packages of {lacking[0]}",
                    advice=(near(name, pins),),
                )
        self._refuse_unknown_holds(planned)
        for cell, bench in planned.items():
            proofs = self.options.proofs
            search = Search(
                sorted(bench.targets),
                jobs=self._trials.place.jobs,
                # Only what is offered in the end has to pass more often.
                proofs=None if proofs is None else min(proofs, _SEARCHED),
                max_trials=self.options.max_trials,
            )
            quest = SearchQuest(bench.targets, search, closures=bench.closures)
            place = next(place for place in self.places if place.name == cell)
            self.works.append(Work(place=place, bench=bench, quest=quest))

    def _refuse_unknown_holds(self, planned: Mapping[str, Bench]) -> None:
        """A name that holds nothing anywhere is a mistake."""
        columns = (bench.column for bench in planned.values())
        if unknown := unknown_hold(self.options.hold, columns):
            self._driver.failed[next(iter(planned))] = unknown

    def _search(self) -> None:
        """The baselines, everything at once, and the search where that does not pass."""
        self._drive([(work, Patient(work)) for work in self.works])
        for work in self.works:
            quest = work.quest
            work.baseline = quest.baseline
            work.red = quest.search.baseline not in {None, Outcome.PASS}
            work.exhausted = work.exhausted or quest.search.exhausted
            if work.red:
                continue
            work.safe = quest.pins
            results = [quest.results[ask] for ask in quest.search.passes if ask in quest.results]
            work.passes = [one.shown.trial.id for one in results if one.shown]
            work.proof = results[-1] if results else None

    def _raise_caps(self) -> None:
        """For what is left out: the highest release that passes together with the set."""
        left = {work.name: self._left_out(work) for work in self._green()}
        tried = dict.fromkeys(left, 1)
        while any(left.values()):
            quests = []
            for work in self._green():
                if left[work.name]:
                    quest = self._cap(work, left[work.name].pop(0))
                    if quest is not None:
                        quests.append((work, quest))
            self._drive(quests)
            for work, quest in quests:
                best = quest.best
                if best is not None and quest.results[best].shown is not None:
                    work.safe[quest.name] = best
                    work.proof = quest.results[best]
                    shown = quest.results[best].shown
                    work.passes = [shown.trial.id] if shown else []
            for work in self._green():
                # What waited for another one may move now that the other one has.
                if not left[work.name] and tried[work.name] < _CAPPINGS:
                    tried[work.name] += 1
                    left[work.name] = self._may_rise(work)

    def _may_rise(self, work: Work) -> list[str]:
        """Those whose release was raised, or not, beside a smaller set than there is now."""
        return [
            name
            for name, beside in work.beside.items()
            if {**beside, name: None} != {**work.safe, name: None}
        ]

    def _left_out(self, work: Work) -> list[str]:
        found = []
        for name, one in work.bench.prospects.items():
            rejection = work.quest.search.rejected.get(name)
            unsettled = rejection and rejection.verdict in {Verdict.FLAKY, Verdict.INCONCLUSIVE}
            if one.target is not None and name not in work.safe and not one.named and not unsettled:
                found.append(name)
        return found

    def _cap(self, work: Work, name: str) -> CapQuest | None:
        one = work.bench.prospects[name]
        work.beside[name] = dict(work.safe)
        work.refused.pop(name, None)
        work.unsettled.pop(name, None)
        try:
            top = work.bench.highest_feasible(work.safe, name)
        except NoxEnvsError as error:
            work.unsettled[name] = error.summary
            return None
        if isinstance(top, str):
            work.refused[name] = top
            return None
        low = work.safe.get(name, one.current)
        if top <= low:
            return None
        versions = [low, *(v for v in one.versions if low < v <= top)]
        rejection = work.quest.search.rejected.get(name)
        broke = rejection is not None and rejection.verdict is Verdict.BREAKS
        fails = broke and work.bench.targets.get(name) == top
        quest = CapQuest(work.safe, name, versions, jobs=self._trials.place.jobs, fails=fails)
        work.caps[name] = quest
        return quest

    def _find_common(self) -> None:
        """The set that passes on every column: what passed on each, not the least of the highest.

        It has itself passed on every column, or it is made smaller until it has.
        """
        works = [work for work in self._green() if not work.place.cell.may_fail]
        if not works or any(work.red and not work.place.cell.may_fail for work in self.works):
            return
        if any(work.quest.search.baseline is None for work in works):
            return
        for candidate in self._proposals(works):
            common = self._narrow(works, candidate)
            if self._trials.place.stop.is_set():
                return
            if common is not None:
                self.common = common
                return

    def _proposals(self, works: Sequence[Work]) -> list[dict[str, Version]]:
        """With the older release where columns differ, and with what all agree on."""
        known, agreed = {}, {}
        for name in sorted({name for work in works for name in work.safe}):
            having = [work for work in works if work.can_take(name)]
            versions = {work.safe[name] for work in having if name in work.safe}
            version = min(versions)
            if not all(work.is_content(name, version) for work in works):
                continue
            if all(name in work.safe for work in having):
                if all(version in work.bench.prospects[name].versions for work in having):
                    known[name] = version
                if len(versions) == 1:
                    agreed[name] = version
        return [known] if known == agreed else [known, agreed]

    def _narrow(
        self, works: Sequence[Work], common: dict[str, Version]
    ) -> dict[str, Version] | None:
        """A part of the set that passed on each column; None where not all of a proposal did.

        What all agree on is searched on a column where it does not pass, and never grows.
        """
        agreed = all(work.safe.get(name) == version for work in works
                     for name, version in work.part_of(common).items())  # fmt: skip
        while True:
            parts = {work.name: work.part_of(common) for work in works}
            quests = [(work, quest) for work in works if (quest := self._proof(work, parts))]
            self._drive(quests)
            for work in works:
                work.common = list(work.passes) if work.safe == parts[work.name] else []
            if any(not quest.done and not quest.is_passing for _, quest in quests):
                return None
            red = [work for work, quest in quests if quest.result.outcome is not Outcome.PASS]
            for work, quest in quests:
                if work not in red:
                    self._believe(work, quest)
            if not red:
                return common
            if not agreed:
                return None
            smaller = self._search_within(red[0], parts[red[0].name])
            gone = set(parts[red[0].name]) - set(smaller)
            common = {name: version for name, version in common.items() if name not in gone}

    def _proof(self, work: Work, parts: Mapping[str, dict[str, Version]]) -> SetQuest | None:
        """Has a part pass as often as it should; None where it has."""
        part = parts[work.name]
        if work.safe == part and (not part or len(work.passes) >= self._proofs):
            return None
        return SetQuest(part, proofs=self._proofs if part else 1)

    def _believe(self, work: Work, quest: SetQuest) -> None:
        """Note the runs of a part of the common set that passed."""
        passes = quest.passes if quest.pins else self._baseline_trials(work)
        work.common = list(dict.fromkeys([*work.common, *passes]))
        if work.safe == quest.pins:
            work.passes = list(work.common)

    def _search_within(self, work: Work, common: Mapping[str, Version]) -> dict[str, Version]:
        jobs, proofs = self._trials.place.jobs, self.options.proofs
        search = Search(sorted(common), jobs=jobs, proofs=proofs)
        quest = SearchQuest(common, search, closures=work.bench.closures)
        inner = Work(place=work.place, bench=work.bench, quest=quest)
        self._drive([(work, Patient(inner))])
        smaller = quest.pins
        return {} if len(smaller) >= len(common) else smaller

    @staticmethod
    def _baseline_trials(work: Work) -> list[str]:
        shown = work.baseline.shown if work.baseline else None
        return [shown.trial.id] if shown else []

    def _prove_fresh(self) -> None:
        """The set as the user's own files give it today, where they leave releases open.

        Nothing is run where that is the environment that passed already.
        """
        if self.options.mode is not None or not self.common:
            return
        works = [work for work in self._green() if not work.bench.column.is_locked]
        quests = [
            (work, SetQuest(work.part_of(self.common), keep=False, proofs=self._proofs))
            for work in works
            if work.part_of(self.common)
        ]
        self._drive(quests)
        for work, quest in quests:
            if quest.results and (quest.done or quest.is_passing):
                work.fresh, work.fresh_passes = quest.result, quest.passes

    def _find_culprits(self) -> None:
        """Whether what breaks is the candidate, or what came in with it."""
        for work in self._green():
            for name, rejection in work.quest.search.rejected.items():
                ask = rejection.ask
                if rejection.verdict is Verdict.BREAKS and ask is not None:
                    base = {each: work.quest.targets[each] for each in ask.names - {name}}
                    if frozenset(base) == work.quest.search.safe:
                        self._suspect(work, name, base)
        self._drive([(work, one) for work in self.works for one in work.blames.values()])
        for work in self.works:
            for name, quest in work.blames.items():
                self._look_inside(work, name, quest)
        self._drive([(work, one) for work in self.works for one in work.inner.values()])

    def _suspect(self, work: Work, name: str, base: Mapping[str, Version]) -> None:
        bench = work.bench
        before, after = bench.company(base, name)
        if not before:
            return
        after = {**after, name: bench.targets[name]}
        work.blames[name] = BlameQuest(
            name,
            Culprit(sorted(after), jobs=self._trials.place.jobs, max_trials=_ACCUSING),
            base=base,
            before=before,
            after=after,
            closures=partial(bench.company_closures, base, before, after),
        )

    def _look_inside(self, work: Work, name: str, quest: BlameQuest) -> None:
        """Which release of what has to be held is the first that breaks, and what asks for it."""
        bench, beside = work.bench, {**quest.base, **quest.targets}
        for other in quest.accused:
            low, high = quest.before[other], quest.targets[other]
            by = bench.brought_in_by({**quest.base, **quest.before}, name, other, high)
            work.brought[name, other] = by
            versions = bench.releases_between(other, low, high) if low < high else []
            work.between[name, other] = versions
            if quest.accused == {other} and len(versions) > 2:  # noqa: PLR2004 - something between
                jobs = self._trials.place.jobs
                work.inner[name, other] = CapQuest(beside, other, versions, jobs=jobs, fails=True)

    @property
    def _proofs(self) -> int:
        """How often a set that is offered has to pass, where no search says so."""
        return self.options.proofs or 1

    def _green(self) -> list[Work]:
        return [work for work in self.works if not work.red]

    # -- what is said while it runs

    def _tell_opening(self) -> None:
        places = {work.name: work.place.python for work in self.works}
        sessions = tuple(dict.fromkeys(work.place.declaration.name for work in self.works))
        self._columns = columns(places, sessions)
        prospects = [one for work in self.works for one in work.bench.prospects.values()]
        files = dict.fromkeys(
            place.partition(":")[0] for work in self.works for place in work.bench.places
        )
        self._say(
            progress.opening(
                sessions,
                self._columns,
                dependencies=max(len(work.bench.column.declared) for work in self.works),
                files=[file for file in files if not file.endswith(".py")],
                outdated=len({one.name for one in prospects}),
            )
        )

    def _tell_beginning(self) -> None:
        """The first two facts, once each: how it stands now, and everything at once."""
        if "baseline" not in self._told and all(work.quest.baseline for work in self.works):
            self._told.add("baseline")
            known = {work.name: baseline_of(work) for work in self.works}
            self._say(progress.as_now(known, self._columns))
        alls = {work.name: work.quest.all_at_once for work in self.works if work.quest.targets}
        shown = {name: one.shown.trial for name, one in alls.items() if one and one.shown}
        if "all" not in self._told and alls and len(shown) == len(alls):
            self._told.add("all")
            number = len({name for work in self.works for name in work.quest.targets})
            self._say(progress.all_at_once(number, shown, self._columns))

    def _drive(self, quests: Iterable[tuple[Work, Quest]]) -> None:
        bounded = [(work, Bounded(quest)) for work, quest in quests]
        pairs = [(work.bench.settle, quest) for work, quest in bounded]
        self._driver.drive(pairs, after=self._tell_beginning)
        for work, quest in bounded:
            work.exhausted = work.exhausted or quest.is_cut
