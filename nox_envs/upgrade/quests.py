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

    from nox_envs.upgrade.trials import Shown

__all__ = [
    "AskQuest",
    "Asking",
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
            pins = {name: self.targets[name] for name in ask.names}
            wanted = want(pins, attempt=ask.attempt, alone=ask.alone, run=ask.run)
            self._asks[wanted] = ask
            found.append(wanted)
        return found

    def record(self, want: Want, result: Result) -> None:
        ask = self._asks[want]
        # Two sets may have one lock: a run is evidence once.
        told = result.shown.trial.id if result.shown else None
        others = (one.shown.trial.id for one in self.results.values() if one.shown)
        signature = None if told in set(others) else result.signature
        self.results[ask] = result
        answer = Answer(outcome=result.outcome, signature=signature, suspects=result.suspects)
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


class CapQuest:
    """The highest release of one candidate that passes beside a set that has passed."""

    def __init__(
        self, base: Pins, name: str, versions: Sequence[Version], *, jobs: int, fails: bool
    ) -> None:
        """`versions`: the first passes beside the set; `fails`: the last is known to fail."""
        self.name = name
        self.results: dict[Version, Result] = {}
        self._base = base
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
        asked = [want({**self._base, self.name: each}) for each in versions]
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
    """Whether one set passes; what fails is run again alone before it is believed."""

    def __init__(self, pins: Pins, *, keep: bool = True) -> None:
        self.pins = dict(pins)
        self.results: list[Result] = []
        self.done = False
        self._keep = keep
        self._next: Want | None = Want(pins=tuple(sorted(pins.items())), keep=keep)

    @property
    def result(self) -> Result:
        """The last one."""
        return self.results[-1]

    def pending(self) -> Sequence[Want]:
        found, self._next = self._next, None
        return [found] if found else []

    def record(self, want: Want, result: Result) -> None:
        self.results.append(result)
        outcomes = [one.outcome for one in self.results]
        red = sum(outcome in _RED for outcome in outcomes)
        green = outcomes.count(Outcome.PASS)
        mixed = bool(red and green)
        again = (red == 1 and len(outcomes) == 1) or (mixed and max(red, green) < _MAJORITY)
        self.done = not again
        if again:
            attempt = len(outcomes) + 1
            self._next = Want(pins=want.pins, attempt=attempt, alone=True, keep=self._keep)
        elif mixed:  # Equal runs disagreed: what most of them showed.
            wanted = _RED if red > green else {Outcome.PASS}
            self.results.append(next(one for one in self.results if one.outcome in wanted))
