"""What the runs of releases have shown, and where a failure begins and ends."""

from __future__ import annotations

from collections import Counter
from itertools import groupby, pairwise
from math import ceil, log, log2
from typing import TYPE_CHECKING

from nox_envs.outcome import Outcome
from nox_envs.upgrade.split import points
from nox_envs.upgrade.tally import RUNS, Answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.version import Version

__all__ = ["Boundaries"]


def __dir__() -> list[str]:
    return __all__


_MAJORITY = 3
_DOUBT = 0.05
"""How likely a failure may be to hide in the good side where it comes and goes."""
_HOPELESS = (Outcome.INFEASIBLE, Outcome.UNBUILDABLE, Outcome.ERROR)


class Boundaries:
    """Releases, by their indexes, and all runs of them.

    A release is red if most of its runs fail in one way: in the way that was named, if one was. It
    is good if it passed and never failed so; the good end alone may disagree with itself and be
    good. Red ones between good ones are bad where one of them shows the failure sought: the others
    belong to what began there. All else is unknown.
    """

    def __init__(
        self, versions: Sequence[Version], good: int, sought: str | None, proofs: int = 2
    ) -> None:
        """`sought`: the only failure that counts; `proofs`: how often the ends have to show it."""
        self.runs: dict[int, list[Answer]] = {}
        self.example: Answer | None = None
        """One run that showed the failure sought."""
        self._versions = versions
        self._good = good
        self._proofs = proofs
        self._most = max(RUNS, proofs)
        self._counts = None if sought is None else f"{Outcome.FAIL} {sought}"
        self._expected = Answer(outcome=Outcome.FAIL, signature=sought)
        self._sought = self._counts

    def add(self, at: int, answer: Answer) -> None:
        self.runs.setdefault(at, []).append(answer)
        if self.example is None and _kind(answer) and _kind(answer) == self._sought:
            self.example = answer

    def seek(self, *among: int) -> None:
        """Look for the failure that most of some releases show, the lowest if several do."""
        shown = [answer for at in among for answer in self.runs.get(at, ()) if _kind(answer)]
        if self._sought is None and shown:
            kinds = Counter(_kind(answer) for answer in shown)
            self.example = max(shown, key=lambda answer: kinds[_kind(answer)])
            self._sought = _kind(self.example)

    @property
    def expected(self) -> Answer:
        """What the failure sought will look like."""
        return self.example or self._expected

    @property
    def signature(self) -> str | None:
        return None if self.example is None else self.example.signature

    def passes(self, at: int) -> int:
        return sum(answer.outcome is Outcome.PASS for answer in self.runs.get(at, ()))

    def hits(self, at: int) -> int:
        """How many runs of a release showed the failure sought."""
        return 0 if self._sought is None else self._kinds(at)[self._sought]

    def failures(self, at: int) -> int:
        """How many runs of a release failed in the way that most of them did."""
        return max(self._kinds(at).values(), default=0)

    def is_alike(self, one: int, two: int) -> bool:
        """Whether two releases fail in the same way."""
        return bool(self._kinds(one).keys() & self._kinds(two).keys())

    def outcome(self, at: int) -> Outcome | None:
        """What the runs of a release show together; None where there was none."""
        runs = self.runs.get(at, ())
        red = [answer.outcome for answer in runs if _kind(answer)]
        if self.passes(at) > len(red):
            return Outcome.PASS
        if self.passes(at):
            return Outcome.FLAKY
        shown = {answer.outcome for answer in runs}
        return red[0] if red else next((each for each in _HOPELESS if each in shown), None)

    def is_red(self, at: int) -> bool:
        return self.outcome(at) in {Outcome.FAIL, Outcome.TIMEOUT}

    def is_unsure(self, at: int) -> bool:
        """Whether a release has to be run again before its outcome decides anything.

        A failure is believed when it came twice, in whatever releases.
        """
        runs = self.runs.get(at, ())
        kinds = [kind for answer in runs if (kind := _kind(answer))]
        passes = self.passes(at)
        if len(runs) >= RUNS or not kinds:
            return False
        if passes:
            return max(passes, len(kinds)) < _MAJORITY
        seen = Counter(_kind(answer) for others in self.runs.values() for answer in others)
        return len(kinds) == 1 and seen[kinds[0]] == 1

    @property
    def is_any_red(self) -> bool:
        """Whether any run failed, in whatever way."""
        return any(_kind(answer) for runs in self.runs.values() for answer in runs)

    @property
    def mixed(self) -> list[int]:
        """Those that passed and failed."""
        return [at for at in sorted(self.runs) if self.passes(at) and self.failures(at)]

    @property
    def ends(self) -> list[tuple[int, int]]:
        """Neighbours among the known releases of which one is good and the other bad."""
        return [
            (one, two)
            for (one, is_bad), (two, is_next_bad) in pairwise(self._known)
            if is_bad != is_next_bad
        ]

    def split(self) -> int | None:
        """The release that tells most about where a failure begins or ends.

        Where it begins as another one, this is looked for as well, as long as there are not many
        runs.
        """
        ends = self.ends
        turn = self.turn
        if turn is not None and len(self.runs) < log2(len(self._versions)) + 2:
            ends.append(turn)
        for one, two in ends:
            if chosen := points(self._versions, one, two, self.runs.keys(), 1):
                return chosen[0]
        return None

    @property
    def turn(self) -> tuple[int, int] | None:
        """In the first bad range, the last that fails otherwise and the first that does not.

        None where the first bad release shows the failure sought.
        """
        bad = [at for at, is_bad in self._known if is_bad]
        if not bad or self.hits(bad[0]):
            return None
        first, last = self.ranges[0]
        two = next(at for at in bad if first <= at <= last and self.hits(at))
        return max(at for at in bad if at < two), two

    @property
    def lacking(self) -> list[int]:
        """What has to be run once more before the ends of all bad ranges are proven."""
        found = [at for at in self._unproven if len(self.runs[at]) < self._most]
        return found[:1] if self.mixed else found

    @property
    def is_proven(self) -> bool:
        return not self._unproven

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """The first and last of the bad releases that no good one is between."""
        by_side = groupby(self._known, lambda each: each[1])
        runs = ([at for at, _ in run] for is_bad, run in by_side if is_bad)
        return [(run[0], run[-1]) for run in runs]

    @property
    def last_good(self) -> int | None:
        """The highest good release below all bad ones."""
        ranges = self.ranges
        first = ranges[0][0] if ranges else len(self._versions)
        return max((at for at, is_bad in self._known if at < first and not is_bad), default=None)

    @property
    def fixed(self) -> int | None:
        """The lowest good release above all bad ones; None where there is none."""
        ranges = self.ranges
        last = ranges[-1][1] if ranges else len(self._versions)
        return min((at for at, is_bad in self._known if at > last and not is_bad), default=None)

    @property
    def excluded(self) -> list[int]:
        """What is not between good releases, above the first good one."""
        good = [at for at, is_bad in self._known if not is_bad]
        ranges = self.ranges
        above = [*good[1:], len(self._versions)]
        return [
            at
            for low, high in zip(good, above, strict=True)
            if any(low < first < high for first, _ in ranges)
            for at in range(low + 1, high)
        ]

    def _kinds(self, at: int) -> Counter[str]:
        """The failures of a release that count, and how often it showed each."""
        kinds = (_kind(answer) for answer in self.runs.get(at, ()))
        return Counter(kind for kind in kinds if kind and self._counts in {None, kind})

    @property
    def _known(self) -> list[tuple[int, bool]]:
        """The releases of which it is known whether they are bad, and if they are."""
        shown = [(at, red) for at in sorted(self.runs) if (red := self._is_red(at)) is not None]
        found = list[tuple[int, bool]]()
        for is_red, run in groupby(shown, lambda each: each[1]):
            side = list(run)
            if not is_red or any(self.hits(at) for at, _ in side):
                found += side
        return found

    def _is_red(self, at: int) -> bool | None:
        passes, failures = self.passes(at), self.failures(at)
        if failures > passes:
            return True
        is_good = passes > failures if at == self._good else passes > 0 == failures
        return False if is_good else None

    @property
    def _unproven(self) -> list[int]:
        """The bad ones first; where runs disagree, also what tells how often the failure comes."""
        edges = {at for end in self.ends for at in end}
        known = self._known
        bad = [
            at for at, is_bad in known
            if is_bad and at in edges
            and (self.failures(at) < self._proofs or self.is_unsure(at))
        ]  # fmt: skip
        mixed = self.mixed
        top = max((at for at, is_bad in known if is_bad), default=None)
        if mixed and top is not None and top not in bad and len(self.runs[top]) < RUNS:
            bad.append(top)
        needed = self._needed(mixed)
        good = [
            at for at, is_bad in known
            if not is_bad and at in edges and self.passes(at) < needed
        ]  # fmt: skip
        return [*sorted(bad), *good]

    def _needed(self, mixed: Sequence[int]) -> int:
        """How often a good release has to pass, so that the rarest failure would have come."""
        if not mixed:
            return self._proofs
        rarest = max((self.passes(at) + 1) / (len(self.runs[at]) + 2) for at in mixed)
        return min(self._most, max(self._proofs, ceil(log(_DOUBT) / log(rarest))))


def _kind(answer: Answer) -> str | None:
    """What identifies a failure; None where a run did not fail."""
    if answer.outcome is Outcome.TIMEOUT:
        return str(answer.outcome)
    return f"{answer.outcome} {answer.signature}" if answer.outcome is Outcome.FAIL else None
