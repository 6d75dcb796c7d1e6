"""What the runs of releases have shown, and where a failure begins and ends."""

from __future__ import annotations

from collections import Counter
from itertools import groupby, pairwise
from math import ceil, log
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
_PROOFS = 2
_DOUBT = 0.05
"""How likely a failure may be to hide in the good side where it comes and goes."""
_HOPELESS = (Outcome.INFEASIBLE, Outcome.UNBUILDABLE, Outcome.ERROR)


class Boundaries:
    """Releases, by their indexes, and all runs of them.

    A release is bad if most of its runs show the failure sought, good if it passed and never
    showed it, and otherwise unknown. The good end alone may disagree with itself and be good.
    """

    def __init__(self, versions: Sequence[Version], good: int, sought: str | None) -> None:
        self.runs: dict[int, list[Answer]] = {}
        self.example: Answer | None = None
        """One run that showed the failure sought."""
        self._versions = versions
        self._good = good
        self._expected = Answer(outcome=Outcome.FAIL, signature=sought)
        self._sought = None if sought is None else _kind(self._expected)

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
        kinds = (_kind(answer) for answer in self.runs.get(at, ()))
        return sum(kind is not None and kind == self._sought for kind in kinds)

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
    def mixed(self) -> list[int]:
        """Those that passed and showed the failure sought."""
        return [at for at in sorted(self.runs) if self.passes(at) and self.hits(at)]

    @property
    def ends(self) -> list[tuple[int, int]]:
        """Neighbours among the known releases of which one is good and the other bad."""
        known = [at for at in sorted(self.runs) if self._shows(at) is not None]
        return [(one, two) for one, two in pairwise(known) if self._shows(one) != self._shows(two)]

    def split(self) -> int | None:
        """The release that tells most about where a failure begins or ends."""
        for one, two in self.ends:
            if chosen := points(self._versions, one, two, self.runs.keys(), 1):
                return chosen[0]
        return None

    @property
    def lacking(self) -> list[int]:
        """What has to be run once more before the ends of all bad ranges are proven."""
        found = [at for at in self._unproven if len(self.runs[at]) < RUNS]
        return found[:1] if self.mixed else found

    @property
    def is_proven(self) -> bool:
        return not self._unproven

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """The first and last of the bad releases that no good one is between."""
        known = [(at, shows) for at in sorted(self.runs) if (shows := self._shows(at)) is not None]
        runs = ([at for at, _ in run] for bad, run in groupby(known, lambda each: each[1]) if bad)
        return [(run[0], run[-1]) for run in runs]

    @property
    def last_good(self) -> int | None:
        """The highest good release below all bad ones."""
        first = self.ranges[0][0] if self.ranges else len(self._versions)
        good = [at for at in self.runs if at < first and self._shows(at) is False]
        return max(good, default=None)

    @property
    def fixed(self) -> int | None:
        """The lowest good release above all bad ones; None where there is none."""
        last = self.ranges[-1][1] if self.ranges else len(self._versions)
        return min((at for at in self.runs if at > last and self._shows(at) is False), default=None)

    @property
    def excluded(self) -> list[int]:
        """What is not between good releases, above the first good one."""
        good = [at for at in sorted(self.runs) if self._shows(at) is False]
        above = [*good[1:], len(self._versions)]
        return [
            at
            for low, high in zip(good, above, strict=True)
            if any(low < first < high for first, _ in self.ranges)
            for at in range(low + 1, high)
        ]

    def _shows(self, at: int) -> bool | None:
        """Whether a release is bad; None where that is not known."""
        passes, hits = self.passes(at), self.hits(at)
        if hits > passes:
            return True
        is_good = passes > hits if at == self._good else passes > 0 == hits
        return False if is_good else None

    @property
    def _unproven(self) -> list[int]:
        """The bad ones first; where runs disagree, also what tells how often the failure comes."""
        edges = {at for end in self.ends for at in end}
        bad = [at for at in edges if self._shows(at) and self.hits(at) < _PROOFS]
        top = max((at for at in self.runs if self._shows(at)), default=None)
        if self.mixed and top is not None and top not in bad and len(self.runs[top]) < RUNS:
            bad.append(top)
        good = [at for at in edges if not self._shows(at) and self.passes(at) < self._needed]
        return [*sorted(bad), *sorted(good)]

    @property
    def _needed(self) -> int:
        """How often a good release has to pass, so that the rarest failure would have come."""
        if not self.mixed:
            return _PROOFS
        rarest = max((self.passes(at) + 1) / (len(self.runs[at]) + 2) for at in self.mixed)
        return min(RUNS, max(_PROOFS, ceil(log(_DOUBT) / log(rarest))))


def _kind(answer: Answer) -> str | None:
    """What identifies a failure; None where a run did not fail."""
    if answer.outcome is Outcome.TIMEOUT:
        return str(answer.outcome)
    return f"{answer.outcome} {answer.signature}" if answer.outcome is Outcome.FAIL else None
