"""Which release of a package broke it: a search between a good release and a bad one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from nox_envs.outcome import Outcome
from nox_envs.upgrade.boundaries import Boundaries
from nox_envs.upgrade.bounds import requirement
from nox_envs.upgrade.rounds import Rounds
from nox_envs.upgrade.tally import RUNS, Answer

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from packaging.version import Version

__all__ = ["Ask", "Bisect", "Newest", "Status"]


def __dir__() -> list[str]:
    return __all__


Status = Literal["found", "hole", "no-failure", "all-bad", "inconclusive"]

_HOPELESS = {Outcome.INFEASIBLE, Outcome.UNBUILDABLE}
_SURE = 0.95
_SCANNED = 40
"""How many releases a scan looks at, where no number of trials was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One trial that a bisection wants."""

    version: Version
    attempt: int = 1
    """Counts the runs of the same release."""
    alone: bool = False
    """Whether no other trial may run meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """What the newest release shows."""

    version: Version
    outcome: Outcome
    same_signature: bool
    """Whether it fails as the first bad release does."""


class Bisect:
    """Find where a failure begins, and where it ends if it does.

    Claim where `found` or `hole`: at each end of each bad range one release passed twice and one
    failed twice in one way, and nothing that lies between them can be tested. Each range shows
    the failure sought; if it begins as another one, `since` tells from where on it was seen. Where
    only a named failure counts, any other is as good as no answer. Where runs of one release
    disagree, the good side has to pass so often that the failure would hardly have hidden; else it
    is `inconclusive`.

    Both ends are tested first. If the bad one passes, or a scan is asked for, it looks at the
    first release of each minor series, then at the last. Then it cuts what lies between a good
    release and a bad one where series begin (`split`), has both sides run again, and looks at
    the newest release. What it finds does not depend on `jobs`.

    It asks for at most `bound` runs, whatever the answers are; for a failure that comes once and
    stays, one worker needs about log2(n) + 5.
    """

    def __init__(
        self,
        versions: Sequence[Version],
        *,
        good: Version,
        bad: Version,
        jobs: int = 1,
        scan: bool = False,
        sought: str | None = None,
        max_trials: int | None = None,
        proofs: int = 2,
    ) -> None:
        """Look between two of `versions`, which ascend.

        `sought`: the only failure that counts, by its signature; `proofs`: how often both sides of
        an end have to show what they are.
        """
        self._versions = tuple(versions)
        ends = self._versions.index(good), self._versions.index(bad)
        if ends[0] >= ends[1]:
            raise ValueError(f"{good} is not older than {bad}")
        budget = _SCANNED if max_trials is None else max_trials // 2
        self._proofs = proofs
        think = partial(
            _Mind, self._versions, ends, scan=scan, sought=sought, budget=budget, proofs=proofs
        )
        self._mind = think()
        self._rounds = Rounds[Ask](self._mind, think, jobs=jobs, max_trials=max_trials)

    @property
    def bound(self) -> int:
        return max(RUNS, self._proofs) * len(self._versions)

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

    @property
    def status(self) -> Status:
        """Before the end, and where trials were used up, `inconclusive`."""
        return self._mind.status

    @property
    def signature(self) -> str | None:
        """What identifies the failure sought, as it was told; None where there was none."""
        return self._mind.seen.signature

    @property
    def last_good(self) -> Version | None:
        """The highest release below `first_bad` that passed."""
        return self._version(self._mind.seen.last_good)

    @property
    def first_bad(self) -> Version | None:
        """The lowest release that fails, with none that passes between it and the failure sought."""
        ranges = self.bad_ranges
        return ranges[0][0] if ranges else None

    @property
    def since(self) -> Version | None:
        """The first release that was seen to show the failure sought, if `first_bad` does not."""
        turn = self._mind.seen.turn
        return self._versions[turn[1]] if turn else None

    @property
    def unknown(self) -> tuple[Version, ...]:
        """What lies between `last_good` and `first_bad`: it could not be tested, or disagrees."""
        last_good, ranges = self._mind.seen.last_good, self._mind.seen.ranges
        if last_good is None or not ranges:
            return ()
        return self._versions[last_good + 1 : ranges[0][0]]

    @property
    def bad_ranges(self) -> tuple[tuple[Version, Version], ...]:
        """The first and the last release that failed, between releases that passed."""
        ranges = self._mind.seen.ranges
        return tuple((self._versions[first], self._versions[last]) for first, last in ranges)

    @property
    def fixed_in(self) -> Version | None:
        """The first release after all bad ranges that passed."""
        return self._version(self._mind.seen.fixed)

    @property
    def newest(self) -> Newest | None:
        """None where it was not tested."""
        last = len(self._versions) - 1
        outcome, ranges = self._mind.seen.outcome(last), self._mind.seen.ranges
        if outcome is None:
            return None
        same = bool(ranges) and self._mind.seen.is_alike(ranges[0][0], last)
        return Newest(version=self._versions[last], outcome=outcome, same_signature=same)

    @property
    def disagreeing(self) -> tuple[Version, ...]:
        """Releases that passed and failed, in different runs."""
        return tuple(self._versions[at] for at in self._mind.seen.mixed)

    def requirement(self, name: str, current: Version) -> str:
        """The line that leaves out what is bad or unknown; empty where nothing is proven."""
        if self.status not in {"found", "hole"}:
            return ""
        excluded = {self._versions[at] for at in self._mind.seen.excluded}
        return requirement(name, self._versions, excluded, current)

    def _version(self, at: int | None) -> Version | None:
        return None if at is None else self._versions[at]


class _Mind:
    """The steps of a bisection, for one worker."""

    def __init__(
        self,
        versions: Sequence[Version],
        ends: tuple[int, int],
        *,
        scan: bool,
        sought: str | None,
        budget: int,
        proofs: int,
    ) -> None:
        self.seen = Boundaries(versions, ends[0], sought, proofs)
        self.status: Status = "inconclusive"
        self._versions = versions
        self._at = {version: at for at, version in enumerate(versions)}
        self._ends = ends
        self._scans = scan
        self._budget = budget

    def add(self, ask: Ask, answer: Answer) -> None:
        self.seen.add(self._at[ask.version], answer)

    def guess(self, ask: Ask) -> Mapping[Answer, float]:
        at = self._at[ask.version]
        passing, failing = Answer(outcome=Outcome.PASS), self.seen.expected
        if self.seen.runs.get(at):
            return {self.seen.runs[at][-1]: _SURE}
        if at == self._ends[0]:
            return {passing: _SURE}
        if at == self._ends[1] or at == len(self._versions) - 1:
            return {failing: _SURE}
        return {passing: 0.5, failing: 0.5}

    def steps(self) -> Generator[tuple[Ask, ...], None, None]:
        good, last = self._ends[0], len(self._versions) - 1
        bad = yield from self._try_ends()
        if bad is None:
            return
        self.seen.seek(bad)
        if self._scans or self.seen.example is None:
            if wanted := self._scan(good, bad):
                yield tuple(self._again(at) for at in wanted)
            self.seen.seek(*range(good, bad + 1))
        if self.seen.example is None:
            # Other failures than the one that was named do not say that all is well.
            self.status = "inconclusive" if self.seen.is_any_red else "no-failure"
            return
        yield from self._narrow()
        if self.seen.ranges and last not in self.seen.runs:
            yield (self._again(last),)
            yield from self._narrow()
        if self.seen.ranges and self.seen.last_good is not None and self.seen.is_proven:
            self.status = "found" if self.seen.fixed is None else "hole"

    def _try_ends(self) -> Generator[tuple[Ask, ...], None, int | None]:
        """Test both ends; returns the bad one, or what can be tested in its place."""
        good, bad = self._ends
        yield self._again(good), self._again(bad)
        for end in self._ends:
            if self.seen.outcome(end) is Outcome.ERROR:
                yield (self._again(end, alone=True),)
        yield from self._settle(good)
        if self.seen.outcome(good) is not Outcome.PASS:
            self.status = "all-bad" if self.seen.is_red(good) else "inconclusive"
            return None
        while self.seen.outcome(bad) in _HOPELESS and bad > good + 1:
            bad -= 1
            yield (self._again(bad),)
        return bad if self.seen.outcome(bad) is Outcome.PASS or self.seen.is_red(bad) else None

    def _again(self, at: int, *, alone: bool = False) -> Ask:
        attempt = len(self.seen.runs.get(at, ())) + 1
        return Ask(version=self._versions[at], attempt=attempt, alone=alone)

    def _settle(self, at: int) -> Generator[tuple[Ask, ...], None, None]:
        """Run a release again until most of its runs agree."""
        while self.seen.is_unsure(at):
            yield (self._again(at, alone=True),)

    def _narrow(self) -> Generator[tuple[Ask, ...], None, None]:
        """Bring each good release and each bad one beside it together, and confirm them."""
        while True:
            for at in self.seen.mixed:
                yield from self._settle(at)
            if (point := self.seen.split()) is not None:
                yield (self._again(point),)
            elif lacking := self.seen.lacking:
                alone = bool(self.seen.mixed)
                yield tuple(self._again(at, alone=alone) for at in lacking)
            else:
                return

    def _scan(self, good: int, bad: int) -> list[int]:
        """The first release of each minor series and then the last, both well spread."""
        inside = range(good + 1, bad)
        series = [
            list(each)
            for _, each in groupby(
                inside, lambda at: (self._versions[at].epoch, *self._versions[at].release[:2])
            )
        ]
        order = [series[at] for at in _spread(len(series))]
        wanted = dict.fromkeys([each[0] for each in order] + [each[-1] for each in order])
        return [at for at in wanted if at not in self.seen.runs][: self._budget]


def _spread(count: int) -> list[int]:
    """All indexes, so that any that come first are far apart."""
    bits = count.bit_length()
    reverse = (int(f"{at:0{bits}b}"[::-1], 2) for at in range(2**bits))
    return [at for at in reverse if at < count]
