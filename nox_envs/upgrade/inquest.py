"""The culprit campaign: which of the packages that differ between two states is to blame."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name

from nox_envs.errors import NoxEnvsError, UsageError
from nox_envs.outcome import Outcome
from nox_envs.report.facts import Baseline, Blamed, CulpritReport, Guilty
from nox_envs.report.words import joined
from nox_envs.resolve.index import NotThere, Unreachable
from nox_envs.upgrade.bench import Bench, near
from nox_envs.upgrade.bisect import Bisect
from nox_envs.upgrade.bisection import BisectQuest
from nox_envs.upgrade.bounds import requirement as shortest
from nox_envs.upgrade.campaign import Driven
from nox_envs.upgrade.candidates import Prospect
from nox_envs.upgrade.column import Column
from nox_envs.upgrade.culprit import Culprit
from nox_envs.upgrade.quests import AskQuest
from nox_envs.upgrade.states import GONE, Between, Holds, States, completed, exactly
from nox_envs.upgrade.threads import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from packaging.version import Version

    from nox_envs.lock import Lock
    from nox_envs.report.facts import Status
    from nox_envs.upgrade.campaign import Assignment
    from nox_envs.upgrade.quests import Result
    from nox_envs.upgrade.states import Pins, State
    from nox_envs.upgrade.tally import Ask

__all__ = ["Inquest"]


def __dir__() -> list[str]:
    return __all__


_PROOFS = 2
"""How often a cure has to pass, where nobody says it."""


@dataclass(slots=True, kw_only=True)
class _Case:
    """One column, its two states, and what has been found out."""

    bench: Bench
    column: Column
    good: Pins
    bad: Pins
    label: str
    """What the good state is."""
    search: Culprit
    quest: AskQuest
    inner: dict[str, BisectQuest] = field(default_factory=dict)
    brought: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def result(self, ask: Ask | None) -> Result | None:
        return None if ask is None else self.quest.results.get(ask)


class Inquest(Driven[_Case]):
    """Looks for the culprit on every column side by side."""

    def __init__(self, assignment: Assignment) -> None:
        super().__init__(assignment)
        self.cases: dict[str, _Case] = {}
        self._states = States(
            base=self._trials.place.base,
            cache=self._cache,
            campaigns=self._cache / "campaigns",
            variables=self._trials.place.variables,
            temporary=self._trials.place.temporary,
            mode=self.options.mode,
        )

    def run(self) -> None:
        """Find it. Raises nothing for what a trial may show."""
        self.cases = dict(self._driver.plan())
        if self.failed or not self.cases:
            return
        for name, case in self.cases.items():
            count = len(case.quest.targets)
            self._say(f"{name}: {count} package{'s differ' if count != 1 else ' differs'}.")
        self._drive([(case, case.quest) for case in self.cases.values()])
        self._look_inside()
        for case in self.cases.values():
            for name in self._guilty(case):
                case.brought[name] = self._brought_in_by(case, canonicalize_name(name))

    @property
    def mode(self) -> Literal["keep", "fresh"]:
        locked = all(case.column.is_locked for case in self.cases.values())
        return self.options.mode or ("keep" if self.cases and locked else "fresh")

    def unchanged(self, cell: str) -> str:
        return self.cases[cell].label  # The good state is not what is pinned now.

    def _drive(self, quests: Sequence[tuple[_Case, Any]]) -> None:
        self._driver.drive([(case.bench.settle, quest) for case, quest in quests])

    # -- the two states

    def _prepare(self, column: Column) -> _Case:
        options = self.options
        if options.pre:
            column = _with_prereleases(column)
        limits = {name: limit for name, limit in options.hold.items() if limit}
        holds = Holds(limits=limits)
        if options.good is None:
            label, good = self._states.last_that_passed(column)
            good = holds.hold(good, label)
        else:
            label, good = options.good, self._states.read(options.good, column, holds)
        holds = replace(holds, pins={
            name: _held(name, label, good) for name in options.hold.keys() - limits.keys()
        })  # fmt: skip
        bad = self._states.read(options.bad or "now", column, holds)
        for name in limits:
            if name not in bad.pins:
                _held(name, label, good)
        between = _between(column, good, bad, self._say)
        if not between.differing:
            raise UsageError(
                problem=f"nothing differs between {label} and {self._label_of_bad}",
                advice=("name another state:   --good LOCK|FREEZE|DATE|git:REV",),
            )
        bench = Bench(between, self._trials, options, held=between.held)
        for name in between.differing:
            target = between.bad.get(name, GONE)
            bench.prospects[name] = Prospect(
                name=name, current=between.good.get(name, GONE), target=target, latest=target,
                versions=(target,),
            )  # fmt: skip
            bench.targets[name] = target
        search = Culprit(
            [str(name) for name in between.differing],
            jobs=self._trials.place.jobs,
            max_trials=options.max_trials,
            proofs=options.proofs or _PROOFS,
        )
        return _Case(
            bench=bench,
            column=replace(column, current=between.current),
            good=between.good,
            bad=between.bad,
            label=label,
            search=search,
            quest=AskQuest(bench.targets, search, closures=partial(self._closures, between, bench)),
        )

    def _closures(
        self, between: Between, bench: Bench
    ) -> tuple[dict[str, frozenset[str] | None], set[frozenset[str]]]:
        """What has to move with each package, and pairs with a path of dependencies between."""
        names = list(bench.targets)
        found = side_by_side(between.closure, names, at_once=self._trials.place.jobs)
        links = set()
        for name in names:
            waiting, seen = list(bench.requirers(name)), {name}
            while waiting:
                other = waiting.pop()
                if other in seen:
                    continue
                seen.add(other)
                if other in bench.targets:
                    links.add(frozenset({name, other}))
                else:
                    waiting += bench.requirers(other)
        return found, links

    # -- inside the culprit, and around it

    @staticmethod
    def _guilty(case: _Case) -> list[str]:
        groups = (*case.search.culprits, *case.search.hidden)
        return sorted({name for group in groups for name in group})

    def _look_inside(self) -> None:
        """Which release of a culprit is the first that breaks, with all else as in the bad state."""
        quests = []
        for case in self.cases.values():
            if case.search.status != "found" or len(case.search.cure) != 1:
                continue
            (name,) = case.search.cure
            versions = self._between(case, canonicalize_name(name))
            if len(versions) < 3 or versions[0] > versions[-1]:  # noqa: PLR2004 - nothing inside
                continue
            others = {other: v for other, v in case.quest.targets.items() if other != name}
            search = Bisect(
                versions,
                good=versions[0],
                bad=versions[-1],
                jobs=self._trials.place.jobs,
                sought=case.search.signature,
                max_trials=self.options.max_trials,
                proofs=self.options.proofs or _PROOFS,
            )
            case.inner[name] = BisectQuest(name, search, None, beside=others)
            quests.append((case, case.inner[name]))
        self._drive(quests)

    def _between(self, case: _Case, name: NormalizedName) -> tuple[Version, ...]:
        good, bad = case.good.get(name), case.bad.get(name)
        found = case.column.releases(name)
        if good is None or bad is None or isinstance(found, NotThere | Unreachable):
            return ()
        admission = case.column.admission(prerelease=self.options.pre)
        inside = {each.version for each in found if admission.admits(each)}
        return (good, *sorted(each for each in inside if good < each < bad), bad)

    @staticmethod
    def _brought_in_by(case: _Case, name: NormalizedName) -> tuple[str, ...]:
        """What asks for the bad release of something that nobody declares, and since when."""
        if name in case.column.declared or name not in case.bad:
            return ()
        found = []
        bad = {name: exactly(case.bad[name])}
        for other in case.bench.requirers(str(name)):
            key = canonicalize_name(other)
            if key not in case.bad:
                continue
            if key not in case.good or case.good[key] == case.bad[key]:
                found.append(other)
                continue
            releases = case.column.releases(key)
            if isinstance(releases, NotThere | Unreachable):
                found.append(other)
                continue
            low, high = case.good[key], case.bad[key]
            versions = [each.version for each in releases
                        if low <= each.version <= high and not each.is_yanked]  # fmt: skip
            first = _first(versions, partial(_goes_with, case.column, key, bad))
            found.append(other if first in {None, low} else f"{other}>={_short(first)}")
        return tuple(found)

    # -- the report

    def report(self, header: Mapping[str, Any], *, interrupted: bool) -> CulpritReport:
        """What is known now."""
        result = {name: self._blamed(case) for name, case in self.cases.items()}
        labels = {case.label for case in self.cases.values()}
        return CulpritReport(
            **self.facts(header, self._status(result, interrupted=interrupted)),
            baseline={place.name: self._baseline(place.name) for place in self.places},
            files=tuple(
                dict.fromkeys(
                    place.partition(":")[0]
                    for case in self.cases.values()
                    for place in self._places(case)
                )
            ),
            good=labels.pop() if len(labels) == 1 else self.options.good or "the last that passed",
            bad=self._label_of_bad,
            result=result,
        )  # fmt: skip

    @property
    def _label_of_bad(self) -> str:
        held = [name for name, limit in sorted(self.options.hold.items()) if not limit]
        return (self.options.bad or "now") + (f" with {joined(held)} held" if held else "")

    def _places(self, case: _Case) -> tuple[str, ...]:
        """Where the culprits are declared, or what brought them in; else all that declares."""
        declared = case.column.declared
        names = {
            name
            for guilty in self._guilty(case)
            for name in (
                {canonicalize_name(guilty)} & declared.keys()
                or {
                    canonicalize_name(one.partition(">=")[0])
                    for one in case.brought.get(guilty, ())
                }
            )
        }
        found = [place for name in sorted(names) for place in case.bench.places_of(name)]
        return tuple(found) or case.bench.places

    def _status(self, result: Mapping[str, Blamed], *, interrupted: bool) -> Status:
        if interrupted:
            return "interrupted"
        if self.failed or not result:
            return "error"
        kinds = {one.status for one in result.values()}
        if "all-bad" in kinds:
            return "baseline-red"
        if "inconclusive" in kinds:
            return "inconclusive"
        return "broken" if "found" in kinds else "ok"

    def _baseline(self, name: str) -> Baseline:
        case = self.cases.get(name)
        ends = [one for ask, one in case.quest.results.items() if not ask.names] if case else []
        if not ends:
            reason = self._driver.not_tested.get(name, "it was not run to its end")
            return Baseline(outcome=None, reason=reason)
        trial = ends[0].shown.trial if ends[0].shown else None
        failure = trial.failure if trial else None
        return Baseline(
            outcome=ends[0].outcome,
            trial=trial.id if trial else None,
            seconds=trial.seconds if trial else 0.0,
            reason=failure.exception if failure and failure.exception else ends[0].reason,
            log=trial.log if trial else "",
        )

    def _blamed(self, case: _Case) -> Blamed:
        search = case.search
        everything = frozenset(case.quest.targets)
        red = [one for ask, one in case.quest.results.items()
               if ask.names == everything and one.outcome is not Outcome.PASS]  # fmt: skip
        trial = red[0].shown.trial if red and red[0].shown else None
        failure = trial.failure if trial else None
        reason = red[0].reason if red else ""
        found = search.status == "found"
        declared = set(case.column.declared)
        return Blamed(
            status=search.status,
            differing=len(everything),
            doubt=search.doubt,
            culprits=tuple(
                self._accused(case, name, group)
                for group in (*search.culprits, *search.hidden) for name in sorted(group)
            ) if found else (),
            cure={name: _text(case.good.get(canonicalize_name(name)))
                  for name in sorted(search.cure)} if found else {},
            innocent=tuple(
                name for name in sorted(search.innocent) if canonicalize_name(name) in declared
            ) if found else (),
            reason=failure.exception if failure and failure.exception else reason,
            failing=dict(failure.tests) if failure else {},
            log=trial.log if trial else "",
        )  # fmt: skip

    def _accused(self, case: _Case, name: str, group: frozenset[str]) -> Guilty:
        key = canonicalize_name(name)
        guilt = next(each for each in case.search.guilt if each.names == group)
        runs = [case.result(ask) for ask in (guilt.shown, *guilt.absent, *case.search.cured)]
        inner = case.inner.get(name)
        good, bad = case.good.get(key), case.bad.get(key)
        first_bad = inner.search.first_bad if inner else None
        if good and bad and good < bad and len(self._between(case, key)) == 2:  # noqa: PLR2004
            first_bad = bad  # Nothing lies between the two states.
        if good is None:
            requirement = ""  # No line keeps out what others ask for.
        elif bad is None:
            requirement = f"{name}=={good}"
        elif inner and first_bad is not None:
            requirement = inner.search.requirement(name, good)
        elif bad < good:
            requirement = f"{name}>={good}"
        elif first_bad is not None:
            requirement = shortest(name, (good, bad), {bad}, good)
        else:
            requirement = f"{name}<={good}"  # Nothing is known of what lies between.
        return Guilty(
            name=name,
            before=_text(good),
            after=_text(bad),
            declared=key in case.column.declared,
            brought_in_by=case.brought.get(name, ()),
            partners=tuple(sorted(group - {name})),
            evidence=tuple(dict.fromkeys(one.shown.trial.id for one in runs if one and one.shown)),
            first_bad=_text(first_bad),
            requirement=requirement,
        )


def _with_prereleases(column: Column) -> Column:
    wanted = replace(column.gathered.wanted, prerelease=True)
    return replace(column, gathered=replace(column.gathered, wanted=wanted))


def _held(name: NormalizedName, label: str, state: State) -> Version:
    """Where a package is to be left. Raises `UsageError` for one that the state does not have."""
    if name not in state.pins:
        raise UsageError(
            problem=f"{name} is to be held, and is not among the {len(state.pins)} packages of {label}",
            advice=(near(name, state.pins),),
        )
    return state.pins[name]


def _text(version: Version | None) -> str | None:
    return None if version is None else str(version)


def _between(column: Column, good: State, bad: State, say: Callable[[str], None]) -> Between:
    """What lies between two states; it stands at the good one. Raises a `NoxEnvsError`.

    What was removed and cannot be installed beside the good state is no part of it: it is told.
    """
    known = {each.name: getattr(column, each.name) for each in fields(Column)}
    pins, others = completed(column, good, bad), completed(column, bad, good)
    between = Between(**known, good=pins, bad=others)
    try:
        lock = _as_good(between)
    except NoxEnvsError:
        removed = pins.keys() - others.keys()
        if not removed:
            raise
        alone = replace(between, good={n: v for n, v in pins.items() if n not in removed})
        lost = {name for name in sorted(removed) if not _fits(alone, name, pins[name])}
        for name in sorted(lost):
            say(f"{column.name}: {name} {pins[name]} is gone, and cannot be had to be looked at.")
        between = replace(between, good={n: v for n, v in pins.items() if n not in lost})
        lock = _as_good(between)
    return replace(between, current=lock)


def _as_good(between: Between) -> Lock:
    differing = {name: exactly(between.good.get(name, GONE)) for name in between.differing}
    return between.resolve({**between.held, **differing}, keep=False)


def _fits(between: Between, name: NormalizedName, version: Version) -> bool:
    """Whether a package can be installed beside the good state."""
    try:
        _as_good(replace(between, good={**between.good, name: version}))
    except NoxEnvsError:
        return False
    return True


def _first(versions: Sequence[Version], holds: Callable[[Version], bool]) -> Version | None:
    """The lowest version for which something holds, where it holds for all above; None: for none."""
    ordered = sorted(versions)
    low, high = 0, len(ordered)
    while low < high:
        middle = (low + high) // 2
        if holds(ordered[middle]):
            high = middle
        else:
            low = middle + 1
    return ordered[low] if low < len(ordered) else None


def _goes_with(
    column: Column,
    name: NormalizedName,
    wanted: Mapping[NormalizedName, SpecifierSet],
    version: Version,
) -> bool:
    """Whether a release of a package goes with a release of another one, and brings it in."""
    free = {name: SpecifierSet() for name in column.declared}
    try:
        lock = column.resolve({**free, **wanted, name: exactly(version)}, keep=False)
    except NoxEnvsError:
        return False
    return wanted.keys() <= lock.pins.keys()


def _short(version: Version) -> str:
    """Without a last `.0`, as one would write a bound."""
    text = str(version)
    return text.removesuffix(".0") if len(version.release) > 2 else text  # noqa: PLR2004 - X.Y
