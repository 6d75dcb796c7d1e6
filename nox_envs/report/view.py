"""What several sentences about a report need to know of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Generic, TypeVar

from nox_envs.called import Called
from nox_envs.outcome import Outcome, Verdict
from nox_envs.report.columns import columns, folded
from nox_envs.report.facts import Report, UpgradeReport
from nox_envs.report.words import joined

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from nox_envs.report.facts import Baseline, Candidate


__all__ = ["Commands", "UpgradeView", "View"]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """The sessions that can be named as the next step, as the noxfile calls them."""

    upgrade: str = "upgrade"
    bisect: str = ""
    """Empty where there is none; so for the others."""
    floors: str = ""
    matrix: str = ""
    culprit: str = ""
    called: Called = field(default_factory=Called)
    """How the user has called this one, and can call the others."""


_PRECEDENCE = (
    Verdict.BREAKS,
    Verdict.CAPPED,
    Verdict.INFEASIBLE,
    Verdict.UNBUILDABLE,
    Verdict.BLOCKED,
    Verdict.FLAKY,
    Verdict.INCONCLUSIVE,
    Verdict.WAITING,
    Verdict.HELD,
    Verdict.SAFE,
)
"""Which verdict speaks for a candidate that is not taken, where columns differ."""


Found = TypeVar("Found", bound=Report, covariant=True)  # noqa: PLC0105 - a noun


class View(Generic[Found]):
    """A report, looked at by those who put it into words."""

    def __init__(
        self,
        report: Found,
        show: Callable[[str], str],
        commands: Commands,
        *,
        answered: Collection[str] = (),
    ) -> None:
        """`answered`: columns that were tested, whether their baseline was run or not."""
        self.report = report
        self.show = show
        self.commands = commands
        self.columns = columns(report.columns, report.sessions)
        self._answered = answered

    @cached_property
    def red(self) -> dict[str, Baseline]:
        """The columns that have no answer because of how they stand now."""
        return {
            name: base
            for name, base in self.report.baseline.items()
            if name not in self.untested
            and base.outcome not in {None, Outcome.PASS}
            and not base.known_failures
        }

    @cached_property
    def untested(self) -> dict[str, str]:
        """Columns that were not tested, and why."""
        skipped = {
            name: base.reason
            for name, base in self.report.baseline.items()
            if base.outcome is None
            and name not in self._answered
            and self.report.status not in {"interrupted", "error"}
        }
        return {**skipped, **self.report.not_tested}

    @cached_property
    def tested(self) -> list[str]:
        out = {*self.untested, *self.red}
        return [name for name in self.report.columns if name not in out]

    @cached_property
    def red_groups(self) -> list[tuple[str, ...]]:
        """Columns that are red for the same reason."""
        return folded({name: (base.outcome, base.reason) for name, base in self.red.items()})

    # How things are named.

    def where(self, names: Collection[str]) -> str:
        return self.columns.where(names, self.show)

    def on(self, names: Collection[str]) -> str:
        """` on 3.11`; nothing where it is all that was tested."""
        return "" if set(self.tested) <= set(names) else f" on {self.where(names)}"

    def path(self, log: str) -> str:
        """The path of a log as a person can open it; empty where there is none."""
        if not log:
            return ""
        return self.show("/".join(filter(None, [self.report.directory.rstrip("/"), log])))

    def named(self, names: Iterable[str]) -> str:
        return joined([self.show(name) for name in names])

    def command(self, session: str, *words: str) -> str:
        """What to type for a session with these words."""
        return self.show(self.commands.called.line(session, *words))


class UpgradeView(View[UpgradeReport]):
    """The report of an `upgrade` campaign."""

    @cached_property
    def proven(self) -> list[str]:
        """The columns on which exactly the common set passed."""
        return [name for name in self.report.columns if self.report.common_trials.get(name)]

    @cached_property
    def outdated(self) -> list[Candidate]:
        """The candidates that something newer, or something else that was named, exists for."""
        return [one for one in self.report.candidates if {one.target, one.latest} != {one.current}]

    @cached_property
    def common(self) -> Mapping[str, str]:
        return self.report.common or {}

    @cached_property
    def taken(self) -> list[Candidate]:
        return [one for one in self.outdated if one.name in self.common]

    @cached_property
    def left(self) -> list[Candidate]:
        return [one for one in self.outdated if one.name not in self.common]

    @cached_property
    def not_asked(self) -> list[str]:
        """Tested columns on which the common set was not run."""
        return [name for name in self.tested if name not in self.proven]

    @cached_property
    def is_answered(self) -> bool:
        """Whether it is known what can be upgraded, be it nothing."""
        if self.report.status in {"interrupted", "error"}:
            return False
        return self.report.common is not None or (self.report.status == "ok" and not self.outdated)

    @cached_property
    def known(self) -> set[str]:
        """The tests that failed before, on the columns on which the common set passed."""
        bases = (self.report.baseline.get(name) for name in self.proven)
        return {test for base in bases if base for test in base.known_failures}

    def kind(self, candidate: Candidate) -> Verdict:
        """The verdict that says why it is not taken."""
        said = {judgement.verdict for judgement in candidate.verdicts.values()}
        return next((verdict for verdict in _PRECEDENCE if verdict in said), Verdict.NOT_TESTED)

    def judged(self, candidate: Candidate, verdict: Verdict) -> list[str]:
        """The columns of this verdict."""
        return [name for name, one in candidate.verdicts.items() if one.verdict is verdict]

    def unexercised(self, candidate: Candidate) -> list[str]:
        """The columns on which it passed without being imported."""
        return [name for name, one in candidate.verdicts.items() if one.unexercised]
