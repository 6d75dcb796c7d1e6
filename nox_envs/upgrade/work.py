"""One column of a campaign that searches: how it stands now, and how far the search has come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from nox_envs.outcome import Outcome
from nox_envs.report.facts import Baseline
from nox_envs.upgrade.quests import Want

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from packaging.version import Version

    from nox_envs.upgrade.bench import Bench
    from nox_envs.upgrade.column import Place
    from nox_envs.upgrade.quests import BlameQuest, CapQuest, Result, SearchQuest

__all__ = ["Patient", "Work", "baseline_of"]


def __dir__() -> list[str]:
    return __all__


@dataclass(slots=True, kw_only=True)
class Work:
    """One column of a campaign, and how far it has come."""

    place: Place
    bench: Bench
    quest: SearchQuest
    baseline: Result | None = None
    red: bool = False
    """Whether there is no answer, because it fails as it stands now."""
    safe: dict[str, Version] = field(default_factory=dict)
    """The set that passed, capped releases included."""
    proof: Result | None = None
    """The last run of that set."""
    passes: list[str] = field(default_factory=list)
    """The runs of exactly that set that passed."""
    caps: dict[str, CapQuest] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """Why nothing newer of a candidate resolves beside the set."""
    unsettled: dict[str, str] = field(default_factory=dict)
    """Why that could not be found out."""
    beside: dict[str, dict[str, Version]] = field(default_factory=dict)
    """The set beside which a release was looked for, by candidate."""
    common: list[str] = field(default_factory=list)
    """The runs of exactly the common set that passed."""
    fresh: Result | None = None
    fresh_passes: list[str] = field(default_factory=list)
    blames: dict[str, BlameQuest] = field(default_factory=dict)
    """By candidate that breaks and moves others, which are no candidates."""
    inner: dict[tuple[str, str], CapQuest] = field(default_factory=dict)
    """The releases of one of these, by candidate and name."""
    between: dict[tuple[str, str], list[Version]] = field(default_factory=dict)
    brought: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    exhausted: bool = False
    """Whether `--max-trials` kept it from being tried to its end."""

    @property
    def name(self) -> str:
        return self.place.name

    def can_take(self, name: str) -> bool:
        """Whether there is a newer release of a dependency for this column."""
        one = self.bench.prospects.get(name)
        return one is not None and one.target is not None

    def is_content(self, name: str, version: Version) -> bool:
        """Whether the column can live with a release that others take."""
        column = self.bench.column
        if self.can_take(name) or canonicalize_name(name) not in column.declared:
            return True
        return column.current.pins.get(canonicalize_name(name)) == version

    def part_of(self, common: Mapping[str, Version]) -> dict[str, Version]:
        """What a set for all columns means for this one."""
        return {name: version for name, version in common.items() if self.can_take(name)}


def baseline_of(work: Work) -> Baseline:
    """How a column stands now."""
    result = work.baseline or work.quest.baseline
    if result is None:
        return Baseline(outcome=None, reason="it was not run to its end")
    trial = result.shown.trial if result.shown else None
    failure = trial.failure if trial else None
    settled = work.quest.search.baseline
    outcome = trial.outcome if trial else result.outcome
    return Baseline(
        outcome=settled if settled is Outcome.FLAKY else outcome,
        trial=trial.id if trial else None,
        seconds=trial.seconds if trial else 0.0,
        reason=(failure.exception if failure and failure.exception else result.reason),
        known_failures=tuple(sorted(work.bench.known_failures)),
        log=trial.log if trial else "",
    )


class Patient:
    """A search that believes no run before it knows how things stand now.

    Where it fails as it stands now, it is run again; tests that fail both times do not
    count afterwards.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._held: list[tuple[Want, Result]] = []
        self._first: tuple[Want, Result] | None = None
        self._again: Want | None = None
        self._is_known = False
        """Whether a run as it stands now, with its repeat, has been told."""

    @property
    def done(self) -> bool:
        return self._work.quest.done

    def pending(self) -> Sequence[Want]:
        again, self._again = self._again, None
        return [*([again] if again else []), *self._work.quest.pending()]

    def record(self, want: Want, result: Result) -> None:
        quest, bench = self._work.quest, self._work.bench
        if want.pins:
            if self._is_known:
                quest.record(want, bench.accepts(result))
            else:
                self._held.append((want, result))
            return
        if want == _AGAIN and self._first is not None:
            (want, first), self._first = self._first, None
            bench.know_failures(first, result)
            result = first
        elif result.outcome is Outcome.FAIL and bench.names_tests(result) and want.attempt == 1:
            self._first, self._again = (want, result), _AGAIN
            return
        quest.record(want, bench.accepts(result))
        self._is_known = True
        for held, told in self._held:
            quest.record(held, bench.accepts(told))
        self._held = []


_AGAIN = Want(pins=(), attempt=2, alone=True)
