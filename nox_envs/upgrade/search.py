"""Which upgrades pass together: a search that asks for trials and is told what they showed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING

from nox_envs.outcome import Outcome, Verdict
from nox_envs.upgrade.closures import Closures
from nox_envs.upgrade.descent import GUESSES, descend, extend
from nox_envs.upgrade.tally import RUNS, Answer, Ask, Names, Steps, Tally

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = ["Answer", "Ask", "Rejection", "Search"]


def __dir__() -> list[str]:
    return __all__


_NONE: Names = frozenset()
_FALLBACKS = 3
"""How often a final set may turn out flaky before the search stops to look for a larger one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why a candidate is not in the set that passed."""

    verdict: Verdict
    ask: Ask | None = None
    """What decided: a run, or a question to the resolver; None where nothing did."""
    blocked_by: tuple[str, ...] = ()
    """What it needs and was rejected, where the verdict is `BLOCKED`."""


class Search:
    """Find candidates that pass together at their targets.

    Claim: `safe` passed itself, and neither a rejected candidate with its closure nor a linked
    pair of them can be added to it. That is not the maximum. What could not be settled, because
    trials erred, were flaky or were used up, is `INCONCLUSIVE` or `FLAKY` instead.

    All are tried at once; if that passes, it was the search. If not, it comes down from there
    (`descent`), sweeps what was left out against what passed until nothing is added, and has the
    final set pass a second time. It asks in rounds of at most `jobs` trials, so that what it does
    depends on answers, never on the order in which they come: a search that is told the same is
    in the same state.

    For n candidates and whatever answers, however contradictory, it asks for at most
    r * (3 + n(n+1)/2 + 3nj + 4(n(n+1)/2 + C(n+1,3) + n)) runs, where j = `jobs` and
    r = max(5, `proofs`). Where k culprits break each alone, are not linked, and are named by
    their tracebacks, one worker needs 3k + 2.
    """

    def __init__(
        self,
        candidates: Sequence[str],
        *,
        jobs: int = 1,
        proofs: int | None = None,
        max_trials: int | None = None,
    ) -> None:
        """`proofs`: how often the final set has to pass; None: twice, once if it is all."""
        self._all = frozenset(candidates)
        self._candidates = tuple(dict.fromkeys(candidates))
        self._closures = Closures(self._candidates, {})
        self._jobs = max(1, jobs)
        self._proofs = proofs
        self._max_trials = max_trials
        self._tally = Tally(self._jobs)
        self._waiting: list[Ask] = []
        self._out: set[Ask] = set()
        self._found: Names | None = None
        self.wants_closures = False
        """Whether it goes on only when it has learnt the closures."""
        self.exhausted = False
        """Whether it stopped because `max_trials` were used up."""
        self.done = False
        self._steps = self._search()
        self._advance()

    @property
    def bound(self) -> int:
        """How many runs it asks for at most, whatever the answers are."""
        n = len(self._candidates)
        singles, pairs = n * (n + 1) // 2, comb(n + 1, 3)
        descent = singles + GUESSES * n * self._jobs
        sets = 3 + descent + (_FALLBACKS + 1) * (singles + pairs + n)
        return max(RUNS, self._proofs or 0) * sets

    def pending(self) -> tuple[Ask, ...]:
        """Hand out trials to be run now; empty while it waits for others, and when done."""
        handed, self._waiting = tuple(self._waiting), []
        self._out.update(handed)
        return handed

    def record(self, ask: Ask, answer: Answer) -> None:
        """Tell what an ask that was handed out has shown."""
        if ask not in self._out:
            raise ValueError(f"not waiting for {ask}")
        self._out.remove(ask)
        self._tally.add(ask, answer)
        self._advance()

    def learn(self, closures: Mapping[str, Names | None], links: Collection[Names] = ()) -> None:
        """Tell what has to move with each candidate; None: it resolves in no company.

        `links` are pairs with a dependency between them, also through other packages.
        """
        self._closures = Closures(self._candidates, closures, links)
        self.wants_closures = False
        self._advance()

    @property
    def baseline(self) -> Outcome | None:
        """The outcome without any upgrade; None as long as it is not settled."""
        outcome = self._tally.outcome(_NONE)
        if outcome is Outcome.ERROR and self._tally.attempts(_NONE) == 1 and not self.done:
            return None
        return None if self._tally.doubtful(_NONE) else outcome

    @property
    def safe(self) -> Names:
        """The set that is offered; before the end, the largest that has passed."""
        return self._best() if self._found is None else self._found

    @property
    def passes(self) -> tuple[Ask, ...]:
        """The runs of exactly the safe set that passed."""
        return self._tally.passes(self.safe)

    @property
    def rejected(self) -> dict[str, Rejection]:
        """Every candidate that is not in the safe set."""
        safe = self.safe
        return {name: self._rejection(name, safe) for name in self._candidates if name not in safe}

    @property
    def partners(self) -> dict[str, Names]:
        """For each in the safe set, those without which it does not work, as far as known.

        Shown by runs where p passes, p + it fails, p + it + the other passes, and by no pass of
        it without the other.
        """
        safe, look = self.safe, self._tally
        seen = [names for names in look.sets if names <= safe]
        green = [names for names in seen if look.passed(names)]
        needs = {name: set(self._closures.of(name)) for name in safe}
        for broken in (names for names in seen if look.reds(names) and names not in green):
            own = {name for low in green if low < broken for name in self._unit(broken - low)}
            rest = {name for high in green if broken < high for name in self._unit(high - broken)}
            for name in own:
                without = [names for names in green if name in names]
                needs[name] |= {other for other in rest if all(other in each for each in without)}
        return {
            name: frozenset(others - {name}) for name, others in needs.items() if len(others) > 1
        }

    def _advance(self) -> None:
        if self._out or self._waiting or self.wants_closures or self.done:
            return
        wanted = next(self._steps, None)
        if wanted is not None:
            left = self._left()
            runs = [ask for ask in wanted if ask.run]
            self._waiting = [ask for ask in wanted if not ask.run or ask in runs[:left]]
            self.exhausted = bool(runs) and not self._waiting
        self.done = wanted is None or self.exhausted

    def _left(self) -> int | None:
        if self._max_trials is None:
            return None
        return max(0, self._max_trials - self._tally.runs)

    def _search(self) -> Steps[None]:
        yield from self._tally.look([_NONE], [self._tally.again(self._all)])
        if self._tally.outcome(_NONE) is Outcome.ERROR:
            yield (self._tally.again(_NONE, alone=True),)
        yield from self._tally.settle(_NONE)
        if not self._tally.passed(_NONE):
            self._found = _NONE
            return
        yield from self._tally.look([self._all])
        if self._tally.outcome(self._all) is Outcome.ERROR:
            yield (self._tally.again(self._all, alone=True),)
        if self._tally.passed(self._all) and (yield from self._prove(self._all, 1)):
            self._found = self._all
            return
        self.wants_closures = True
        yield ()
        top = yield from self._top()
        safe = yield from descend(self._tally, self._closures, top, self._jobs)
        for _ in range(_FALLBACKS + 1):
            safe = yield from self._grow(safe)
            if (yield from self._prove(safe, 2)):
                self._found = safe
                return
            safe = self._best(below=len(safe))

    def _top(self) -> Steps[Names]:
        """All, or a large set that resolves where all do not."""
        possible = self._closures.possible
        if possible == self._all and self._tally.outcome(self._all) is not Outcome.INFEASIBLE:
            return possible
        top = _NONE
        for addition in [possible, *self._closures.additions(_NONE)]:
            wider = top | addition
            if self._tally.resolves(wider) is None and not self._tally.known(wider):
                yield (Ask(names=wider, run=False),)
            if self._tally.resolves(wider):
                top = wider
        return top

    def _grow(self, safe: Names) -> Steps[Names]:
        """Add what can be added to a set that passed, until nothing can."""
        while True:
            additions = self._closures.additions(safe)
            grown = yield from extend(self._tally, safe, additions, self._jobs, self._spare)
            if grown == safe:
                additions += self._closures.pairs(safe)
                grown = yield from extend(self._tally, safe, additions, self._jobs, self._spare)
            if grown == safe:
                grown = yield from self._doubt(safe, additions)
            if grown == safe:
                return safe
            safe = grown

    def _doubt(self, safe: Names, additions: Sequence[Names]) -> Steps[Names]:
        """Run again what decided against an addition; returns what passes after all."""
        for wider in dict.fromkeys(safe | each for each in additions):
            yield from self._tally.settle(wider)
            if self._tally.passed(wider):
                return wider
        return safe

    def _spare(self, safe: Names) -> list[Ask]:
        """What an idle worker does meanwhile: have a set that may be final pass once more."""
        return [self._tally.again(safe)] if self._unproven(safe, 2) else []

    def _unproven(self, names: Names, default: int) -> int:
        """How many more runs a final set should pass."""
        room = max(RUNS, self._proofs or 0) - self._tally.attempts(names)
        lacking = (self._proofs or default) - len(self._tally.passes(names))
        return max(0, min(room, lacking)) if names else 0

    def _prove(self, names: Names, default: int) -> Steps[bool]:
        """Have a final set pass as often as it should; False if it turns out flaky."""
        while not self._tally.reds(names) and (lacking := self._unproven(names, default)):
            count = min(lacking, self._jobs)
            yield tuple(self._tally.again(names, ahead=ahead) for ahead in range(count))
        yield from self._tally.settle(names)
        return self._tally.passed(names)

    def _best(self, below: int | None = None) -> Names:
        """The largest set that passed, or the largest of fewer than some."""
        if not self._tally.passed(_NONE):
            return _NONE
        limit = len(self._all) + 1 if below is None else below
        sets = (each for each in self._tally.sets if self._tally.passed(each))
        fitting = [each for each in sets if len(each) < limit]
        return max(
            [_NONE, *fitting],
            key=lambda each: (len(each), [name in each for name in self._candidates]),
        )

    def _rejection(self, name: str, safe: Names) -> Rejection:
        if name in self._closures.missing:
            missing = self._closures.missing[name]
            verdict = Verdict.BLOCKED if missing else Verdict.INFEASIBLE
            return Rejection(verdict=verdict, blocked_by=missing)
        wider = safe | self._closures.of(name)
        ask = self._tally.decisive(wider)
        if roots := self._closures.roots(name, safe):
            return Rejection(verdict=Verdict.BLOCKED, ask=ask, blocked_by=roots)
        return Rejection(verdict=self._tally.verdict(wider), ask=ask)

    def _unit(self, names: Names) -> Names:
        """Names if they are one unit, else nothing."""
        alike = all(self._closures.of(a) == self._closures.of(b) for a, b in combinations(names, 2))
        return names if alike else _NONE
