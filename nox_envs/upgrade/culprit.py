"""Which packages broke it: a search between a state that passes and one that fails."""

from __future__ import annotations

from itertools import chain, combinations
from typing import TYPE_CHECKING, Literal

from nox_envs.outcome import Outcome
from nox_envs.upgrade.closures import Closures
from nox_envs.upgrade.descent import GUESSES, descend, extend
from nox_envs.upgrade.guilt import Guilt, accuse
from nox_envs.upgrade.rounds import Rounds
from nox_envs.upgrade.tally import RUNS, Answer, Ask, Names, Steps, Tally

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Mapping, Sequence

__all__ = ["Answer", "Ask", "Culprit", "Guilt", "Status"]


def __dir__() -> list[str]:
    return __all__


Status = Literal["found", "no-failure", "all-bad", "inconclusive"]

_A: Names = frozenset()
_PROOFS = 2
_PAIRED = 5
"""Of how many that stay out all pairs are put back, whether they are linked or not."""
_SURE = 0.95
_HOPELESS = {Outcome.INFEASIBLE, Outcome.UNBUILDABLE}


class Culprit:
    """Find what makes B fail, among the names in which it differs from A, and what cures it.

    Claim where `found`: A with a culprit and its closure shows the failure that B shows, and
    without it does not; B without `cure` passed `proofs` times, and no member of the cure can be left out, nor a linked pair.
    These are two sets: of a pair that fails only together either one is a cure, and of two that
    fail each alone both are needed. Other failures, and what cannot be tested, prove nothing.

    It comes down from B as `Search` does, by following the failure, puts back what is innocent,
    and has each of the rest show its failure in A; partners are found by bisection. What it finds
    does not depend on `jobs`. It asks for at most `bound` runs, whatever the answers are.
    """

    def __init__(
        self,
        differing: Sequence[str],
        *,
        jobs: int = 1,
        max_trials: int | None = None,
        proofs: int = _PROOFS,
    ) -> None:
        self._names = tuple(dict.fromkeys(differing))
        self._proofs = proofs
        self._max_trials = max_trials
        self._mind = _Mind(self._names, None, proofs=proofs)
        self._closures: Closures | None = None
        self._rounds = Rounds[Ask](
            self._mind,
            lambda: _Mind(self._names, self._closures, proofs=proofs),
            jobs=jobs,
            max_trials=max_trials,
        )

    @property
    def bound(self) -> int:
        n = len(self._names)
        singles = n * (n + 1) // 2
        runs = max(RUNS, self._proofs)
        return runs * (2 + singles + 2 * GUESSES * n + (n + 1) * (singles + n * n * (n + 4)))

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
        """Hand out trials to be run now; empty while it waits for others, and when done.

        The names of an ask are at B's versions, all others at A's.
        """
        return self._rounds.pending()

    def record(self, ask: Ask, answer: Answer) -> None:
        """Tell what an ask that was handed out has shown."""
        self._rounds.record(ask, answer)

    def learn(self, closures: Mapping[str, Names | None], links: Collection[Names] = ()) -> None:
        """Tell what has to move to B with each name; None: it resolves in no other company.

        `links` are pairs with a dependency between them, also through other packages.
        """
        every = frozenset(self._names)
        whole = {name: every if of is None else of for name, of in closures.items()}
        self._closures = Closures(self._names, whole, links)
        self._mind.learn(self._closures)
        self._rounds.advance()

    @property
    def status(self) -> Status:
        """Before the end, and where trials were used up, `inconclusive`."""
        return self._mind.status

    @property
    def signature(self) -> str | None:
        """What identifies B's failure, as it was told; None where it has none."""
        red = self._mind.tally.reds(frozenset(self._names))
        return red[0].signature if red else None

    @property
    def culprits(self) -> tuple[Names, ...]:
        """Groups that show B's failure, or each a part of it: one name, or partners."""
        return tuple(each.names for each in self.guilt if each.names not in self.hidden)

    @property
    def hidden(self) -> tuple[Names, ...]:
        """Groups that show another failure, which appears in B only without the culprits.

        B's failure hides theirs, or they work only beside what the cure takes back.
        """
        mind = self._mind
        if mind.is_shared:
            return ()
        own = mind.own_failure
        return tuple(each.names for each in self.guilt if mind.failure(each) != own)

    @property
    def guilt(self) -> tuple[Guilt, ...]:
        """The runs that prove it, group by group."""
        return self._mind.guilt

    @property
    def cure(self) -> Names:
        """What goes back to A's versions so that B passes; empty where no such set is known."""
        safe = self._mind.safe
        return frozenset() if safe is None else frozenset(self._names) - safe

    @property
    def cured(self) -> tuple[Ask, ...]:
        """The runs of B without the cure that passed."""
        return () if self._mind.safe is None else self._mind.tally.passes(self._mind.safe)

    @property
    def needed(self) -> dict[str, Ask]:
        """What showed for each member of the cure that it cannot be left out."""
        return self._mind.needed

    @property
    def innocent(self) -> Names:
        """What is at B's version in the runs of the cure that passed, and in no guilty group."""
        guilty = frozenset(chain.from_iterable(each.names for each in self.guilt))
        return (self._mind.safe or _A) - guilty

    @property
    def unproven(self) -> Names:
        """Members of the cure that nothing shows to be guilty, nor to need one that is."""
        return self._mind.unproven

    @property
    def doubt(self) -> str:
        """One line: why it is inconclusive; empty where it is not."""
        if self.status != "inconclusive":
            return ""
        if self.exhausted:
            return f"--max-trials {self._max_trials} were used up"
        return self._mind.doubt if self.done else "it was not run to its end"


class _Mind:
    """The steps of the search, for one worker."""

    def __init__(self, names: Sequence[str], closures: Closures | None, *, proofs: int) -> None:
        self.tally = Tally()
        self._proofs = proofs
        self.closures = closures or Closures(names, {})
        self.wants_closures = False
        self.status: Status = "inconclusive"
        self.safe: Names | None = None
        self.guilt: tuple[Guilt, ...] = ()
        self.needed: dict[str, Ask] = {}
        self.unproven: Names = frozenset()
        self.is_shared = False
        """Whether only all guilty groups together show the failure of B."""
        self._b = frozenset(names)
        self._is_taught = closures is not None

    @property
    def own_failure(self) -> str | None:
        return self.tally.failure(self._b)

    @property
    def doubt(self) -> str:
        """At the end: what keeps it from an answer."""
        tally = self.tally
        for end, what in ((_A, "what worked"), (self._b, "what does not work")):
            if tally.passes(end) and tally.reds(end):
                return f"equal runs of {what} disagreed"
            if not tally.passes(end) and not tally.reds(end):
                return f"{what} could not be tested"
        if self.safe is None:
            return "equal runs disagreed"
        if self.unproven:
            which = ", ".join(sorted(self.unproven))
            return f"it passes without {which}, but could not be tested with that alone"
        if self.guilt and not self.is_shared and not self._shows_own:
            which = ", ".join(sorted(frozenset().union(*(each.names for each in self.guilt))))
            return f"with {which} alone it fails, but in another way than with all that changed"
        return "equal runs disagreed"

    @property
    def _shows_own(self) -> bool:
        """Whether what is guilty shows the failure of B."""
        return any(self.failure(each) == self.own_failure for each in self.guilt)

    def failure(self, guilt: Guilt) -> str | None:
        return self.tally.failure(guilt.shown.names)

    def learn(self, closures: Closures) -> None:
        self.closures, self.wants_closures = closures, False

    def add(self, ask: Ask, answer: Answer) -> None:
        self.tally.add(ask, answer)

    def guess(self, ask: Ask) -> Mapping[Answer, float]:
        passing = Answer(outcome=Outcome.PASS)
        red = self.tally.reds(ask.names) or self.tally.reds(self._b)
        failing = red[0] if red else Answer(outcome=Outcome.FAIL)
        if ask.names == _A or self.tally.passes(ask.names):
            return {passing: _SURE}
        if ask.names == self._b or self.tally.reds(ask.names):
            return {failing: _SURE}
        return {passing: 0.5, failing: 0.5}

    def steps(self) -> Generator[tuple[Ask, ...], None, None]:
        if not (yield from self._try_ends()):
            return
        if not self._is_taught:
            self.wants_closures = True
            yield ()
        safe = yield from descend(self.tally, self.closures, self._b, blame=True)
        while True:
            safe = yield from self._put_back(self.closures, safe)
            proven = yield from self._accuse(self.closures, safe)
            wider = yield from self._doubt(self.closures, safe)
            if wider == safe:
                break
            safe = wider
        if not (yield from self._prove(safe)) or safe == self._b:
            return
        yield from self._conclude(self.closures, safe, proven)

    def _try_ends(self) -> Steps[bool]:
        """Whether A passes and B fails."""
        tally = self.tally
        yield tuple(dict.fromkeys([tally.again(_A), tally.again(self._b)]))
        for end in dict.fromkeys([_A, self._b]):
            if tally.outcome(end) is Outcome.ERROR:
                yield (tally.again(end, alone=True),)
        yield from tally.settle(_A)
        if not tally.passed(_A):
            red = tally.outcome(_A) in {Outcome.FAIL, Outcome.TIMEOUT}
            self.status = "all-bad" if red else "inconclusive"
            return False
        if tally.passed(self._b) and (yield from self._prove(self._b)):
            self.status = "inconclusive" if tally.reds(self._b) else "no-failure"
            return False
        return bool(tally.reds(self._b))

    def _put_back(self, closures: Closures, safe: Names) -> Steps[Names]:
        """Bring to B's versions what can be without a failure, until nothing can."""
        while True:
            grown = yield from extend(self.tally, safe, closures.additions(safe))
            if grown == safe:
                roots = closures.roots_above(safe).values()
                pairs = [one | two for one, two in combinations(roots, 2)]
                if len(roots) > _PAIRED:
                    pairs = closures.pairs(safe)
                grown = yield from extend(self.tally, safe, pairs)
            if grown == safe:
                return safe
            safe = grown

    def _doubt(self, closures: Closures, safe: Names) -> Steps[Names]:
        """Run again what decided that something cannot be put back; returns what passes."""
        for wider in dict.fromkeys(safe | each for each in closures.additions(safe)):
            yield from self.tally.settle(wider)
            if self.tally.passed(wider):
                return wider
        return safe

    def _prove(self, names: Names) -> Steps[bool]:
        """Have a set pass as often as it should; False if it turns out flaky."""
        tally = self.tally
        while not tally.reds(names) and len(tally.passes(names)) < self._proofs:
            if tally.attempts(names) >= max(RUNS, self._proofs):
                return False
            yield (tally.again(names),)
        yield from tally.settle(names)
        return tally.passed(names)

    def _accuse(self, closures: Closures, safe: Names) -> Steps[dict[Names, Guilt]]:
        """Have each root of what stays out show its failure in A; what could, by its unit."""
        proven = dict[Names, Guilt]()
        for unit, whole in closures.roots_above(safe).items():
            if self.tally.reds(safe | whole):
                proven[unit] = yield from accuse(self.tally, closures, unit, safe)
        return proven

    def _conclude(
        self, closures: Closures, safe: Names, proven: Mapping[Names, Guilt]
    ) -> Steps[None]:
        tally = self.tally
        self.safe = safe
        self.guilt = tuple({each.names: each for each in proven.values()}.values())
        left_out = closures.sort(self._b - safe)
        self.needed = {name: tally.first(safe | closures.of(name)) for name in left_out}
        roots = closures.roots_above(safe)
        self.unproven = frozenset().union(*(unit for unit in roots if unit not in proven))
        if not self._shows_own:
            together = frozenset[str]().union(*(each.shown.names for each in self.guilt))
            yield from tally.look(together)
            self.is_shared = tally.failure(together) == self.own_failure
            if not self.is_shared:
                return
        outcomes = {unit: tally.outcome(safe | whole) for unit, whole in roots.items()}
        if Outcome.FLAKY not in outcomes.values() and all(
            outcome in _HOPELESS for unit, outcome in outcomes.items() if unit not in proven
        ):
            self.status = "found"
