"""What runs of sets of candidates have shown, and which run would show more."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from nox_envs.outcome import Outcome, Verdict

__all__ = ["RUNS", "Answer", "Ask", "Names", "Steps", "Tally"]


def __dir__() -> list[str]:
    return __all__


Names = frozenset[str]

RUNS = 5
"""How often a set is run at most to settle a disagreement."""
_MAJORITY = 3
_RED = (Outcome.FAIL, Outcome.TIMEOUT)
_HOPELESS = (Outcome.INFEASIBLE, Outcome.UNBUILDABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One trial that a search wants."""

    names: Names
    """Candidates at their targets; all others stay as they are. None: the baseline."""
    attempt: int = 1
    """Counts the runs of the same set."""
    alone: bool = False
    """Whether no other trial may run meanwhile."""
    run: bool = True
    """False: only whether it resolves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a trial showed; `PASS` of what was not run means that it resolves."""

    outcome: Outcome
    signature: str | None = None
    """Equal when the failure is the same; None where that is not known."""
    suspects: tuple[str, ...] = ()
    """Candidates, the most suspicious first."""
    trial: str = ""
    """Which run it was, where it may have answered for another set as well."""


_T = TypeVar("_T")
Steps = Generator[tuple[Ask, ...], None, _T]
"""Part of a search: it hands out asks, and goes on when all of them are answered."""


class Tally:
    """All answers so far; what they mean does not depend on the order in which they came."""

    def __init__(self) -> None:
        self._runs: dict[Names, dict[int, tuple[Ask, Answer]]] = {}
        self._resolved: dict[Names, tuple[Ask, Answer]] = {}

    def add(self, ask: Ask, answer: Answer) -> None:
        if ask.run:
            self._runs.setdefault(ask.names, {})[ask.attempt] = ask, answer
        else:
            self._resolved[ask.names] = ask, answer

    @property
    def sets(self) -> tuple[Names, ...]:
        """All that were run."""
        return tuple(self._runs)

    def attempts(self, names: Names) -> int:
        return len(self._runs.get(names, ()))

    def known(self, names: Names) -> bool:
        """Whether a first run would tell nothing new."""
        return names in self._runs or self.outcome(names) in _HOPELESS

    def resolves(self, names: Names) -> bool | None:
        """Whether it has a resolution; None where that was not asked."""
        if names not in self._resolved:
            return None
        return self._resolved[names][1].outcome is Outcome.PASS

    def passes(self, names: Names) -> tuple[Ask, ...]:
        return tuple(ask for ask, answer in self._of(names) if answer.outcome is Outcome.PASS)

    def reds(self, names: Names) -> tuple[Answer, ...]:
        """The runs of a set that failed or timed out."""
        return tuple(answer for _, answer in self._of(names) if answer.outcome in _RED)

    def outcome(self, names: Names) -> Outcome | None:
        """What the runs of a set show together, by majority; None where nothing is known."""
        green, red = len(self.passes(names)), self.reds(names)
        if green > len(red):
            return Outcome.PASS
        if green:
            return Outcome.FLAKY
        if red:
            return min((answer.outcome for answer in red), key=_RED.index)
        shown = {answer.outcome for _, answer in self._of(names)}
        if names in self._resolved:
            shown |= {self._resolved[names][1].outcome}.intersection(_HOPELESS)
        return next((each for each in _HOPELESS if each in shown), Outcome.ERROR if shown else None)

    def passed(self, names: Names) -> bool:
        return self.outcome(names) is Outcome.PASS

    def failure(self, names: Names) -> str | None:
        """What identifies the failure of a set; None where it did not fail, or is unknown.

        What cannot be built is followed like a failure, though it is no break.
        """
        answer = self.failing(names)
        if answer is None:
            return None
        if answer.outcome is Outcome.TIMEOUT:
            return str(answer.outcome)
        return f"{answer.outcome} {answer.signature}"

    def failing(self, names: Names) -> Answer | None:
        """The first run of a set that shows its failure; None where it has none."""
        followed = (*_RED, Outcome.UNBUILDABLE)
        found = (answer for _, answer in self._of(names) if answer.outcome in followed)
        return None if self.passed(names) else next(found, None)

    def suspects(self, names: Names) -> tuple[str, ...]:
        """Who may be behind the failure of a set, the most suspicious first."""
        found = (
            name
            for _, answer in self._of(names)
            if answer.outcome is not Outcome.PASS
            for name in answer.suspects
        )
        return tuple(dict.fromkeys(found))

    def doubtful(self, names: Names) -> bool:
        """Whether a set has to be run again before its outcome decides anything.

        A failure is believed when it came twice, in whatever sets; a timeout when its own set
        was red twice. Runs that disagree are repeated until there is a majority.
        """
        green, red = len(self.passes(names)), self.reds(names)
        if self.attempts(names) >= RUNS or not red:
            return False
        if green:
            return max(green, len(red)) < _MAJORITY
        return not self._believed(red)

    def verdict(self, names: Names) -> Verdict:
        """What the runs of a set prove, which did not pass, about what was added in it."""
        match self.outcome(names):
            case Outcome.FAIL | Outcome.TIMEOUT if self._believed(self.reds(names)):
                return Verdict.BREAKS
            case Outcome.FLAKY:
                return Verdict.FLAKY
            case Outcome.INFEASIBLE:
                return Verdict.INFEASIBLE
            case Outcome.UNBUILDABLE:
                return Verdict.UNBUILDABLE
            case _:
                return Verdict.INCONCLUSIVE

    def decisive(self, names: Names) -> Ask | None:
        """What shows best why a set did not pass: the first run that failed, or what there is."""
        shown = list(self._of(names))
        if names in self._resolved:
            shown.append(self._resolved[names])
        red = [ask for ask, answer in shown if answer.outcome in _RED]
        return next(iter(red or [ask for ask, _ in shown]), None)

    def first(self, names: Names) -> Ask:
        """What shows best what a set does, where anything is known of it."""
        found = self.decisive(names)
        if found is None:
            raise ValueError(f"nothing is known of {sorted(names)}")
        return found

    def again(self, names: Names, *, alone: bool = False) -> Ask:
        """The next run of a set."""
        return Ask(names=names, attempt=self.attempts(names) + 1, alone=alone)

    def look(self, names: Names) -> Steps[None]:
        """Have a set run once."""
        if not self.known(names):
            yield (self.again(names),)

    def settle(self, names: Names) -> Steps[None]:
        """Run a set again, and nothing besides, until its outcome can decide."""
        while self.doubtful(names):
            yield (self.again(names, alone=True),)

    def _of(self, names: Names) -> Sequence[tuple[Ask, Answer]]:
        runs = self._runs.get(names, {})
        return [runs[attempt] for attempt in sorted(runs)]

    def _all(self) -> Iterator[Answer]:
        return (answer for runs in self._runs.values() for _, answer in runs.values())

    def _believed(self, red: Sequence[Answer]) -> bool:
        # Two sets may have one lock: a run is evidence once.
        runs: dict[str, set[str]] = {}
        for number, answer in enumerate(self._all()):
            if answer.outcome is Outcome.FAIL and answer.signature:
                runs.setdefault(answer.signature, set()).add(answer.trial or str(number))
        return len(red) > 1 or any(len(runs.get(each.signature or "", ())) > 1 for each in red)
