"""What is to be settled in one column: a search, the highest release, one set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from nox_envs.outcome import Outcome
from nox_envs.upgrade.highest import Highest
from nox_envs.upgrade.search import Answer, Ask, Search

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from packaging.version import Version

    from nox_envs.upgrade.culprit import Culprit
    from nox_envs.upgrade.trials import Shown

__all__ = [
    "AskQuest",
    "Asking",
    "BlameQuest",
    "Bounded",
    "CapQuest",
    "Pins",
    "Quest",
    "Result",
    "SearchQuest",
    "SetQuest",
    "Want",
]


def __dir__() -> list[str]:
    return __all__


_RED = frozenset({Outcome.FAIL, Outcome.TIMEOUT})
_MAJORITY = 3
_SPARE = 4
"""Runs besides those that a set has to pass, for what disagrees or errs."""
_FLAKY = "equal runs disagreed"

Pins = Mapping[str, "Version"]
"""The releases of candidates that move; all others stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """One set of releases to be resolved and, unless `run` is False, run."""

    pins: tuple[tuple[str, Version], ...]
    attempt: int = 1
    alone: bool = False
    run: bool = True
    keep: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of it."""

    outcome: Outcome
    reason: str = ""
    shown: Shown | None = None
    """The trial; None where none was run."""
    suspects: tuple[str, ...] = ()
    signature: str | None = None
    moved: Mapping[str, tuple[str | None, str | None]] = field(default_factory=dict)
    is_refused: bool = False
    """Whether it was not run because there are enough runs already."""


class Quest(Protocol):
    """Asks for sets until it is done."""

    @property
    def done(self) -> bool: ...

    def pending(self) -> Sequence[Want]:
        """What is to be run now; nothing twice."""
        ...

    def record(self, want: Want, result: Result) -> None:
        """Tell what became of it."""
        ...


def want(pins: Pins, *, attempt: int = 1, alone: bool = False, run: bool = True) -> Want:
    """The same set is the same want, in whatever order it is written."""
    return Want(pins=tuple(sorted(pins.items())), attempt=attempt, alone=alone, run=run)


class Asking(Protocol):
    """A search that asks for sets of candidates."""

    @property
    def done(self) -> bool: ...

    @property
    def wants_closures(self) -> bool: ...

    def pending(self) -> tuple[Ask, ...]: ...

    def record(self, ask: Ask, answer: Answer) -> None: ...

    def learn(
        self,
        closures: Mapping[str, frozenset[str] | None],
        links: Collection[frozenset[str]] = (),
    ) -> None: ...


class AskQuest:
    """Has the sets run that a search asks for: its names at their targets."""

    def __init__(
        self,
        targets: Pins,
        asking: Asking,
        *,
        closures: Callable[[], tuple[Mapping[str, frozenset[str] | None], set[frozenset[str]]]],
    ) -> None:
        self.results: dict[Ask, Result] = {}
        self.targets = targets
        self._asking = asking
        self._closures = closures
        self._asks: dict[Want, Ask] = {}

    @property
    def done(self) -> bool:
        return self._asking.done

    def pending(self) -> Sequence[Want]:
        if self._asking.wants_closures:
            self._asking.learn(*self._closures())
        found = []
        for ask in self._asking.pending():
            wanted = want(self._pins(ask), attempt=ask.attempt, alone=ask.alone, run=ask.run)
            self._asks[wanted] = ask
            found.append(wanted)
        return found

    def _pins(self, ask: Ask) -> Pins:
        return {name: self.targets[name] for name in ask.names}

    def record(self, want: Want, result: Result) -> None:
        ask = self._asks[want]
        self.results[ask] = result
        answer = Answer(
            outcome=result.outcome,
            signature=result.signature,
            suspects=result.suspects,
            trial=result.shown.trial.id if result.shown else "",
        )
        self._asking.record(ask, answer)


class SearchQuest(AskQuest):
    """Which of the targets pass together."""

    def __init__(
        self,
        targets: Pins,
        search: Search,
        *,
        closures: Callable[[], tuple[Mapping[str, frozenset[str] | None], set[frozenset[str]]]],
    ) -> None:
        super().__init__(targets, search, closures=closures)
        self.search = search

    @property
    def baseline(self) -> Result | None:
        """What it showed as it stands now; None as long as that is not settled."""
        if self.search.baseline is None:
            return None
        found = [result for ask, result in self.results.items() if not ask.names]
        agreeing = [one for one in found if one.outcome is self.search.baseline]
        return (agreeing or found)[-1]

    @property
    def all_at_once(self) -> Result | None:
        """What all targets together showed first."""
        return self.results.get(Ask(names=frozenset(self.targets)))

    @property
    def pins(self) -> dict[str, Version]:
        """The set that passed."""
        return {name: self.targets[name] for name in sorted(self.search.safe)}


class BlameQuest(AskQuest):
    """Whether a candidate breaks, or what moves with it, beside a set that has passed."""

    def __init__(
        self,
        name: str,
        search: Culprit,
        *,
        base: Pins,
        before: Pins,
        after: Pins,
        closures: Callable[[], tuple[Mapping[str, frozenset[str] | None], set[frozenset[str]]]],
    ) -> None:
        """`before` and `after`: what moves with the candidate; `after` has the candidate, too."""
        super().__init__(after, search, closures=self._learnt)
        self.name = name
        self.search = search
        self.needed: frozenset[str] = frozenset()
        """What cannot stay as it is when the candidate moves."""
        self.base = base
        self.before = before
        self._own_closures = closures

    @property
    def is_alone(self) -> bool:
        """Whether what is to blame breaks without the candidate."""
        return not any(self.name in group for group in self.search.culprits)

    @property
    def held(self) -> frozenset[str]:
        """What of the company can stay, so that the candidate passes; empty where none helps."""
        if self.search.status != "found":
            return frozenset()
        groups = [group - {self.name} for group in self.search.culprits if self.name in group]
        found = self.search.cure
        if self.name in found:
            is_pair = len(groups) == len(self.search.culprits) == 1
            found = groups[0] if is_pair else frozenset()
        return frozenset() if found & self.needed else found

    @property
    def accused(self) -> frozenset[str]:
        """The same; or what the candidate needs, and may be to blame in its place."""
        groups = self.search.culprits if self.search.status == "found" else ()
        others = frozenset[str]().union(*groups) - {self.name}
        is_needed = len(others) == 1 and others <= self.needed
        return self.held or (others if is_needed or self.is_alone else frozenset())

    def _learnt(self) -> tuple[Mapping[str, frozenset[str] | None], set[frozenset[str]]]:
        closures, links = self._own_closures()
        whole = closures.get(self.name)
        self.needed = frozenset(self.targets if whole is None else whole) - {self.name}
        return closures, links

    def _pins(self, ask: Ask) -> Pins:
        return {**self.base, **self.before, **super()._pins(ask)}


class CapQuest:
    """The highest release of one candidate that passes beside a set that has passed."""

    def __init__(
        self, base: Pins, name: str, versions: Sequence[Version], *, jobs: int, fails: bool
    ) -> None:
        """`versions`: the first passes beside the set; `fails`: the last is known to fail."""
        self.name = name
        self.results: dict[Version, Result] = {}
        self.base = base
        """The set that it is looked for beside."""
        self._versions = versions
        self._jobs = jobs
        self._top: Version | None = None
        self._highest: Highest | None = None
        self._again: Want | None = None
        self._first = [] if fails else [versions[-1]]
        if fails:
            self._highest = Highest(versions, jobs=jobs)

    @property
    def done(self) -> bool:
        return self._top is not None or (self._highest is not None and self._highest.done)

    @property
    def above(self) -> Sequence[Version]:
        """All releases above the best one."""
        best = self.best or self._versions[0]
        return [each for each in self._versions if each > best]

    @property
    def best(self) -> Version | None:
        """None where nothing newer than what is there now passes."""
        best = self._top or (self._highest.best if self._highest else self._versions[0])
        return None if best == self._versions[0] else best

    def pending(self) -> Sequence[Want]:
        first, self._first = self._first, []
        again, self._again = self._again, None
        versions = [*first, *(self._highest.pending() if self._highest else ())]
        asked = [want({**self.base, self.name: each}) for each in versions]
        return [*asked, *([again] if again else [])]

    def record(self, want: Want, result: Result) -> None:
        version = dict(want.pins)[self.name]
        self.results[version] = result
        if self._highest is not None:
            self._highest.record(version, result.outcome)
        elif result.outcome is Outcome.PASS and want.attempt == 1:
            self._top = version
        elif result.outcome in _RED and want.attempt == 1:
            self._again = replace(want, attempt=2, alone=True)
        else:  # It failed twice, or nothing is known of it; a pass after a failure is no proof.
            if result.outcome is Outcome.PASS:
                self.results[version] = replace(result, outcome=Outcome.ERROR, reason=_FLAKY)
            self._highest = Highest(self._versions, jobs=self._jobs)


class SetQuest:
    """Whether one set passes, as often as it should; what fails is run again alone first."""

    def __init__(self, pins: Pins, *, keep: bool = True, proofs: int = 1) -> None:
        self.pins = dict(pins)
        self.results: list[Result] = []
        self.done = False
        self._keep = keep
        self._proofs = proofs
        self._next: Want | None = Want(pins=tuple(sorted(pins.items())), keep=keep)

    @property
    def result(self) -> Result:
        """The last one."""
        return self.results[-1]

    @property
    def is_passing(self) -> bool:
        """Whether it has passed each time so far."""
        return {one.outcome for one in self.results} == {Outcome.PASS}

    @property
    def passes(self) -> list[str]:
        """The runs that passed."""
        shown = [one.shown.trial.id for one in self.results
                 if one.shown and one.outcome is Outcome.PASS]  # fmt: skip
        return list(dict.fromkeys(shown))

    def pending(self) -> Sequence[Want]:
        found, self._next = self._next, None
        return [found] if found else []

    def record(self, want: Want, result: Result) -> None:
        self.results.append(result)
        outcomes = [one.outcome for one in self.results]
        red = sum(outcome in _RED for outcome in outcomes)
        green = outcomes.count(Outcome.PASS)
        if red and green:  # Equal runs disagree: what most of them show.
            again = red < _MAJORITY and green < max(_MAJORITY, self._proofs)
        elif red:
            again = len(outcomes) == 1
        else:
            again = 0 < green < self._proofs
        again = again and len(outcomes) < self._proofs + _SPARE
        self.done = not again
        if again:
            attempt = len(outcomes) + 1
            alone = bool(red)
            self._next = Want(pins=want.pins, attempt=attempt, alone=alone, keep=self._keep)
        elif green:
            wanted = {Outcome.PASS} if green > red else _RED
            self.results.append(next(one for one in self.results if one.outcome in wanted))


class Bounded:
    """A quest that is cut off where it wants a run that is not there any more."""

    def __init__(self, quest: Quest) -> None:
        self.is_cut = False
        """Whether it wanted what it did not get."""
        self._quest = quest

    @property
    def done(self) -> bool:
        return self._quest.done or self.is_cut

    def pending(self) -> Sequence[Want]:
        return [] if self.is_cut else self._quest.pending()

    def record(self, want: Want, result: Result) -> None:
        if result.is_refused:
            self.is_cut = True
        else:
            self._quest.record(want, result)
