"""Which upgrades pass together: a search that asks for trials and is told what they showed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING

from nox_envs.outcome import Outcome, Verdict
from nox_envs.upgrade.closures import Closures
from nox_envs.upgrade.descent import GUESSES, descend, extend
from nox_envs.upgrade.rounds import Rounds
from nox_envs.upgrade.tally import RUNS, Answer, Ask, Names, Steps, Tally

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = ["Answer", "Ask", "Rejection", "Search"]


def __dir__() -> list[str]:
    return __all__


_NONE: Names = frozenset()
_FALLBACKS = 3
"""How often a final set may turn out flaky before the search stops to look for a larger one."""
_LEAST = 0.5
"""What is run ahead has to be likelier than that divided by the workers, so that few are idle."""
_SURE = 0.95
_OPEN = 0.51
"""How likely a set passes of which nothing is known."""


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
    final set pass a second time. What it finds does not depend on `jobs`.

    For n candidates and whatever answers, however contradictory, one worker is asked for at most
    r * (3 + n(n+1)/2 + 3n + 4(n(n+1)/2 + C(n+1,3) + n)) runs, where r = max(5, `proofs`). Each
    other worker runs one ahead at most beside each of these, and of n + 1 questions to the
    resolver. Where k culprits break each alone, are not linked, and are named by their
    tracebacks, one worker needs 3k + 2.
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
        self._candidates = tuple(dict.fromkeys(candidates))
        self._jobs = max(1, jobs)
        self._proofs = proofs
        self._closures: Closures | None = None
        self._mind = self._think()
        self._rounds = Rounds[Ask](
            self._mind,
            self._think,
            jobs=self._jobs,
            max_trials=max_trials,
            is_trial=lambda ask: ask.run,
            least=_LEAST / self._jobs,
        )

    @property
    def bound(self) -> int:
        """How many runs it asks for at most, also ahead, whatever the answers are."""
        n = len(self._candidates)
        singles, pairs = n * (n + 1) // 2, comb(n + 1, 3)
        sets = 3 + singles + GUESSES * n + (_FALLBACKS + 1) * (singles + pairs + n)
        runs = max(RUNS, self._proofs or 0) * sets
        return runs + (self._jobs - 1) * (runs + n + 1)

    @property
    def wants_closures(self) -> bool:
        """Whether it goes on only when it has learnt the closures."""
        return self._mind.wants_closures

    @property
    def done(self) -> bool:
        return self._rounds.done

    @property
    def exhausted(self) -> bool:
        """Whether it stopped because `max_trials` were used up."""
        return self._rounds.exhausted

    def pending(self) -> tuple[Ask, ...]:
        """Hand out trials to be run now; empty while it waits for others, and when done."""
        return self._rounds.pending()

    def record(self, ask: Ask, answer: Answer) -> None:
        """Tell what an ask that was handed out has shown."""
        self._rounds.record(ask, answer)

    def learn(self, closures: Mapping[str, Names | None], links: Collection[Names] = ()) -> None:
        """Tell what has to move with each candidate; None: it resolves in no company.

        `links` are pairs with a dependency between them, also through other packages.
        """
        self._closures = Closures(self._candidates, closures, links)
        self._mind.learn(self._closures)
        self._rounds.advance()

    @property
    def baseline(self) -> Outcome | None:
        """The outcome without any upgrade; None as long as it is not settled."""
        tally = self._tally
        outcome = tally.outcome(_NONE)
        if outcome is Outcome.ERROR and tally.attempts(_NONE) == 1 and not self.done:
            return None
        return None if tally.doubtful(_NONE) else outcome

    @property
    def safe(self) -> Names:
        """The set that is offered; before the end, the largest that has passed."""
        found = self._mind.found
        return _best(self._tally, self._candidates) if found is None else found

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
        needs = {name: set(self._mind.closures.of(name)) for name in safe}
        for broken in (names for names in seen if look.reds(names) and names not in green):
            own = {name for low in green if low < broken for name in self._unit(broken - low)}
            rest = {name for high in green if broken < high for name in self._unit(high - broken)}
            for name in own:
                without = [names for names in green if name in names]
                needs[name] |= {other for other in rest if all(other in each for each in without)}
        return {
            name: frozenset(others - {name}) for name, others in needs.items() if len(others) > 1
        }

    @property
    def _tally(self) -> Tally:
        """What its end rests on; all that it was told, where it did not come to its end."""
        if self.done and not self.exhausted:
            return self._mind.tally
        tally = Tally()
        for ask, answer in self._rounds.told:
            tally.add(ask, answer)
        return tally

    def _think(self) -> _Mind:
        return _Mind(self._candidates, self._closures, proofs=self._proofs)

    def _rejection(self, name: str, safe: Names) -> Rejection:
        tally, closures = self._tally, self._mind.closures
        if name in closures.missing:
            missing = closures.missing[name]
            verdict = Verdict.BLOCKED if missing else Verdict.INFEASIBLE
            return Rejection(verdict=verdict, blocked_by=missing)
        wider = safe | closures.of(name)
        ask = tally.decisive(wider)
        if roots := closures.roots(name, safe):
            return Rejection(verdict=Verdict.BLOCKED, ask=ask, blocked_by=roots)
        return Rejection(verdict=tally.verdict(wider), ask=ask)

    def _unit(self, names: Names) -> Names:
        """Names if they are one unit, else nothing."""
        alike = all(
            self._mind.closures.of(a) == self._mind.closures.of(b)
            for a, b in combinations(names, 2)
        )
        return names if alike else _NONE


class _Mind:
    """The steps of the search, for one worker."""

    def __init__(
        self, candidates: Sequence[str], closures: Closures | None, *, proofs: int | None
    ) -> None:
        self.tally = Tally()
        self.closures = closures or Closures(candidates, {})
        self.wants_closures = False
        self._candidates = candidates
        self._all = frozenset(candidates)
        self._proofs = proofs
        self.found: Names | None = None
        self._is_taught = closures is not None

    def learn(self, closures: Closures) -> None:
        self.closures, self.wants_closures = closures, False

    def add(self, ask: Ask, answer: Answer) -> None:
        self.tally.add(ask, answer)

    def guess(self, ask: Ask) -> Mapping[Answer, float]:
        passing = Answer(outcome=Outcome.PASS)
        names, look = ask.names, self.tally
        if not ask.run or names == _NONE or look.passed(names):
            return {passing: _SURE}
        if failing := look.failing(names) or self._blamed(names):
            return {failing: _SURE}
        around = (other for other in look.sets if names <= other and look.failing(other))
        top = min(around, key=len, default=None)
        failing = look.failing(top) if top else None
        return {passing: _OPEN, failing or Answer(outcome=Outcome.FAIL): 1 - _OPEN}

    def _blamed(self, names: Names) -> Answer | None:
        """The failure that went away when some of a set were left out."""
        look = self.tally
        seen = {each: (look.failure(each), look.failing(each)) for each in look.sets}
        found = [
            (len(high - low), failing)
            for high, (failure, failing) in seen.items()
            if failing
            for low, (other, _) in seen.items()
            if other != failure and low < high and high - low <= names
        ]
        return min(found, key=lambda each: each[0])[1] if found else None

    def steps(self) -> Steps[None]:
        tally = self.tally
        yield from self._try(_NONE)
        yield from tally.settle(_NONE)
        if not tally.passed(_NONE):
            self.found = _NONE
            return
        yield from self._try(self._all)
        if tally.passed(self._all) and (yield from self._prove(self._all, 1)):
            self.found = self._all
            return
        if not self._is_taught:
            self.wants_closures = True
            yield ()
        top = yield from self._top()
        safe = yield from descend(tally, self.closures, top)
        for _ in range(_FALLBACKS + 1):
            safe = yield from self._grow(safe)
            if (yield from self._prove(safe, 2)):
                self.found = safe
                return
            safe = _best(tally, self._candidates, below=len(safe))

    def _try(self, names: Names) -> Steps[None]:
        """Have a set run once, and again where that was an error."""
        yield from self.tally.look(names)
        if self.tally.outcome(names) is Outcome.ERROR:
            yield (self.tally.again(names, alone=True),)

    def _top(self) -> Steps[Names]:
        """All, or a large set that resolves where all do not."""
        possible = self.closures.possible
        if possible == self._all and self.tally.outcome(self._all) is not Outcome.INFEASIBLE:
            return possible
        top = _NONE
        for addition in [possible, *self.closures.additions(_NONE)]:
            wider = top | addition
            if self.tally.resolves(wider) is None and not self.tally.known(wider):
                yield (Ask(names=wider, run=False),)
            if self.tally.resolves(wider):
                top = wider
        return top

    def _grow(self, safe: Names) -> Steps[Names]:
        """Add what can be added to a set that passed, until nothing can."""
        while True:
            additions = self.closures.additions(safe)
            grown = yield from extend(self.tally, safe, additions)
            if grown == safe:
                additions += self.closures.pairs(safe)
                grown = yield from extend(self.tally, safe, additions)
            if grown == safe:
                grown = yield from self._doubt(safe, additions)
            if grown == safe:
                return safe
            safe = grown

    def _doubt(self, safe: Names, additions: Sequence[Names]) -> Steps[Names]:
        """Run again what decided against an addition; returns what passes after all."""
        for wider in dict.fromkeys(safe | each for each in additions):
            yield from self.tally.settle(wider)
            if self.tally.passed(wider):
                return wider
        return safe

    def _unproven(self, names: Names, default: int) -> int:
        """How many more runs a final set should pass."""
        room = max(RUNS, self._proofs or 0) - self.tally.attempts(names)
        lacking = (self._proofs or default) - len(self.tally.passes(names))
        return max(0, min(room, lacking)) if names else 0

    def _prove(self, names: Names, default: int) -> Steps[bool]:
        """Have a final set pass as often as it should; False if it turns out flaky."""
        while not self.tally.reds(names) and self._unproven(names, default):
            yield (self.tally.again(names),)
        yield from self.tally.settle(names)
        return self.tally.passed(names)


def _best(tally: Tally, candidates: Sequence[str], *, below: int | None = None) -> Names:
    """The largest set that passed, or the largest of fewer than some."""
    if not tally.passed(_NONE):
        return _NONE
    limit = len(candidates) + 1 if below is None else below
    fitting = [each for each in tally.sets if tally.passed(each) and len(each) < limit]
    return max(
        [_NONE, *fitting], key=lambda each: (len(each), [name in each for name in candidates])
    )
