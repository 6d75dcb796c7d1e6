"""Rounds of asks for a search that thinks of one worker: the others run what it may ask next."""

from __future__ import annotations

from dataclasses import replace
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from nox_envs.outcome import Outcome
from nox_envs.upgrade.tally import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from dataclasses import Field

__all__ = ["Mind", "Rounds"]


def __dir__() -> list[str]:
    return __all__


_LEAST = 0.25
"""What is asked ahead has to be likelier than that, and with two workers likelier than not."""


class _Ask(Protocol):
    """A frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def attempt(self) -> int: ...

    @property
    def alone(self) -> bool: ...


_A = TypeVar("_A", bound=_Ask)
_Told = dict[_A, tuple[_A, Answer]]
"""By each run what it was asked as, and what it showed."""


class Mind(Protocol[_A]):
    """A search that asks step by step, and decides by the answers to its own asks alone."""

    def steps(self) -> Generator[tuple[_A, ...], None, None]:
        """Each step goes on when all of its asks were added; an empty one waits for its owner."""
        ...

    def add(self, ask: _A, answer: Answer) -> None: ...

    def guess(self, ask: _A) -> Mapping[Answer, float]:
        """What it may be told, and how likely that is."""
        ...


class Rounds(Generic[_A]):
    """Hand out asks in rounds of at most `jobs`, and tell a mind what they showed.

    What is asked ahead is remembered until the mind asks for it, so that more workers save
    rounds and never change an answer; it counts even if it is then asked for alone. What was
    not run yet is run ahead once. A round depends on answers, not on their order.
    """

    def __init__(
        self,
        mind: Mind[_A],
        think: Callable[[], Mind[_A]],
        *,
        jobs: int = 1,
        max_trials: int | None = None,
        is_trial: Callable[[_A], bool] = lambda _: True,
        least: float | None = None,
    ) -> None:
        """`think` makes another mind like this one, which was told nothing yet.

        `least`: what is run ahead has to be asked for with a higher probability.
        """
        self.done = False
        self.exhausted = False
        """Whether it stopped because `max_trials` were used up."""
        self._mind, self._think = mind, think
        self._jobs = max(1, jobs)
        self._max_trials = max_trials
        self._is_trial = is_trial
        self._least = max(_LEAST, 1 / self._jobs) if least is None else least
        self._answers: _Told[_A] = {}
        self._waiting: list[_A] = []
        self._out: set[_A] = set()
        self._steps: Iterator[tuple[_A, ...]] = self._mind.steps()
        self._step: tuple[_A, ...] = ()
        self.advance()

    def pending(self) -> tuple[_A, ...]:
        """Hand out trials to be run now; empty while it waits for others, and when done."""
        handed, self._waiting = tuple(self._waiting), []
        self._out.update(handed)
        return handed

    def record(self, ask: _A, answer: Answer) -> None:
        """Tell what an ask that was handed out has shown."""
        if ask not in self._out:
            raise ValueError(f"not waiting for {ask}")
        self._out.remove(ask)
        self._answers[_run(ask)] = ask, answer
        self.advance()

    @property
    def told(self) -> tuple[tuple[_A, Answer], ...]:
        """All answers, also those that the mind has not asked for yet."""
        return tuple(self._answers.values())

    def advance(self) -> None:
        """Go on as far as the answers reach; for an owner whose mind has waited for it."""
        if self._out or self._waiting or self.done:
            return
        while not self._missing(self._step):
            for ask in self._step:
                self._mind.add(*self._answers[_run(ask)])
            self._step = ()
            step = next(self._steps, None)
            if step is None:
                self.done = True
                return
            if not step:
                return
            self._step = step
        asks = self._round()
        trials = [ask for ask in asks if self._is_trial(ask)][: self._left()]
        self._waiting = [ask for ask in asks if ask in trials or not self._is_trial(ask)]
        self.done = self.exhausted = not self._waiting

    def _left(self) -> int | None:
        """How many trials may be run; what does not resolve was none."""
        if self._max_trials is None:
            return None
        used = sum(
            self._is_trial(ask) and answer.outcome is not Outcome.INFEASIBLE
            for ask, answer in self.told
        )
        return max(0, self._max_trials - used)

    def _missing(self, asks: Iterable[_A]) -> list[_A]:
        return [ask for ask in asks if _run(ask) not in self._answers]

    def _round(self) -> list[_A]:
        needed = self._missing(self._step)
        alone = [ask for ask in needed if ask.alone]
        if alone:
            return alone[:1]
        found = dict.fromkeys(needed)
        if len(found) < self._jobs:
            found.update(dict.fromkeys(self._ahead()))
        return list(found)[: self._jobs]

    def _ahead(self) -> Iterator[_A]:
        """What may be asked next, the likeliest first."""
        order = count()
        ways: list[tuple[float, int, _Told[_A]]] = [(-1.0, next(order), {})]
        found = set[_A]()
        while ways and len(found) < self._jobs:
            chance, _, imagined = heappop(ways)
            mind, step = self._imagine(imagined)
            missing = [ask for ask in self._missing(step) if _run(ask) not in imagined]
            ready = [ask for ask in missing if not ask.alone and self._is_due(ask)]
            found.update(ready)
            yield from ready
            for odds, guesses in self._guesses(mind, missing, -chance):
                heappush(ways, (-odds, next(order), {**imagined, **guesses}))

    def _is_due(self, ask: _A) -> bool:
        """Whether it is the first run of its kind, or that one was answered."""
        return ask.attempt == 1 or replace(_run(ask), attempt=1) in self._answers

    def _imagine(self, imagined: _Told[_A]) -> tuple[Mind[_A], tuple[_A, ...]]:
        """How far a mind would come, and what it would ask then."""
        mind = self._think()
        known = {**imagined, **self._answers}
        for step in mind.steps():
            if not step or not all(_run(ask) in known for ask in step):
                return mind, step
            for ask in step:
                mind.add(*known[_run(ask)])
        return mind, ()

    def _guesses(
        self, mind: Mind[_A], asks: list[_A], chance: float
    ) -> list[tuple[float, _Told[_A]]]:
        ways: list[tuple[float, _Told[_A]]] = [(chance, {})] if asks else []
        for ask in asks:
            ways = [
                (odds * likely, {**given, _run(ask): (ask, answer)})
                for odds, given in ways
                for answer, likely in mind.guess(ask).items()
                if odds * likely > self._least
            ]
        return ways


def _run(ask: _A) -> _A:
    """The run that answers an ask, whether there were others meanwhile or not."""
    return replace(ask, alone=False)
