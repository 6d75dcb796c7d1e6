"""Which release of a package broke it: a search between a good release and a bad one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nox_envs.outcome import Outcome
from nox_envs.upgrade.bounds import requirement
from nox_envs.upgrade.boundaries import Boundaries
from nox_envs.upgrade.rounds import Rounds
from nox_envs.upgrade.tally import RUNS

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from packaging.version import Version

    from nox_envs.upgrade.tally import Answer

__all__ = ["Ask", "Bisect", "Newest", "Status"]


def __dir__() -> list[str]:
    return __all__


Status = Literal["found", "hole", "no-failure", "all-bad", "inconclusive"]

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
    """Whether it shows the failure that was looked for."""


class Bisect:
    """Find where a failure begins, and where it ends if it does.

    Claim where `found` or `hole`: at each end of each bad range one release passed twice and one
    failed twice with the failure sought, and nothing that lies between them can be tested. Any
    other failure is as good as no answer. Where runs of one release disagree, the good side has
    to pass so often that the failure would hardly have hidden; else it is `inconclusive`.

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
    ) -> None:
        """`versions` ascend; `sought`: the signature that counts, else that of the bad end."""
        self._versions = tuple(versions)
        ends = self._versions.index(good), self._versions.index(bad)
        if ends[0] >= ends[1]:
            raise ValueError(f"{good} is not older than {bad}")
        budget = _SCANNED if max_trials is None else max_trials // 2

        def think() -> _Mind:
            return _Mind(self._versions, ends, scan=scan, sought=sought, budget=budget)

        self._rounds = Rounds[Ask](think, jobs=jobs, max_trials=max_trials)

    @property
    def bound(self) -> int:
        return RUNS * len(self._versions)

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
        """The lowest release that was tested and showed the failure sought."""
        ranges = self.bad_ranges
        return ranges[0][0] if ranges else None

    @property
    def unknown(self) -> tuple[Version, ...]:
        """What lies between `last_good` and `first_bad`: it could not be tested, or disagrees."""
        seen = self._mind.seen
        return self._versions[seen.last_good + 1 : seen.ranges[0][0]] if seen.ranges else ()

    @property
    def bad_ranges(self) -> tuple[tuple[Version, Version], ...]:
        """The first and the last release that showed it, between releases that passed."""
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
        outcome = self._mind.seen.outcome(last)
        return outcome and Newest(
            version=self._versions[last],
            outcome=outcome,
            same_signature=self._mind.seen.hits(last) > 0,
        )

    @property
    def disagreeing(self) -> tuple[Version, ...]:
        """Releases that passed and showed the failure sought, in different runs."""
        return tuple(self._versions[at] for at in self._mind.seen.mixed)

    def requirement(self, name: str, current: Version) -> str:
        """The line that leaves out what is bad or unknown; empty where nothing is proven."""
        if self.status not in {"found", "hole"}:
            return ""
        excluded = {self._versions[at] for at in self._mind.seen.excluded}
        return requirement(name, self._versions, excluded, current)

    @property
    def _mind(self) -> _Mind:
        assert isinstance(self._rounds.mind, _Mind)
        return self._rounds.mind

    def _version(self, at: int | None) -> Version | None:
        return None if at is None or at < 0 else self._versions[at]
