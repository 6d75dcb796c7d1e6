"""What trials show, and what that proves about a candidate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

__all__ = ["Changes", "Failure", "Outcome", "Trial", "Verdict"]


def __dir__() -> list[str]:
    return __all__


Changes = Mapping[str, tuple[str | None, str | None]]
"""Versions before and after, by normalized name; None where the package is not there."""


class Outcome(str, Enum):
    """What a trial showed. Only `FAIL`, and a repeated `TIMEOUT`, speaks against an upgrade."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    FLAKY = "flaky"
    """Equal trials disagreed."""
    TIMEOUT = "timeout"
    INFEASIBLE = "infeasible"
    """No resolution exists."""
    UNBUILDABLE = "unbuildable"
    """A release could not be built, or has no file for this environment."""
    ERROR = "error"
    """The network, the disk or a tool: nothing is known about the upgrade."""

    def __str__(self) -> str:
        return str(self.value)


class Verdict(str, Enum):
    """What outcomes prove about a candidate on one column."""

    SAFE = "safe"
    """In the jointly proven set, at its target."""
    CAPPED = "capped"
    """In the jointly proven set, at an older release."""
    BREAKS = "breaks"
    INFEASIBLE = "infeasible"
    UNBUILDABLE = "unbuildable"
    FLAKY = "flaky"
    INCONCLUSIVE = "inconclusive"
    WAITING = "waiting"
    """Only releases that are younger than the cooldown."""
    HELD = "held"
    """The user said to leave it."""
    BLOCKED = "blocked"
    """Needs a candidate that was rejected."""
    NOT_TESTED = "not-tested"
    """There is no interpreter for the column."""

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What a run that failed showed of its failure."""

    signature: str
    """Equal when the failure is the same."""
    exception: str = ""
    """One line: the exception and its message, as the run printed it."""
    tests: Mapping[str, str] = field(default_factory=dict)
    """What each failing test said, one line, by its id; empty where no test runner told."""
    suspects: tuple[str, ...] = ()
    """Normalized names of distributions, the most suspicious first: an order, no proof."""
    excerpt: str = ""
    """The lines of the log that show it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One run of a cell against one lock."""

    id: str
    """`t1`, in the order of their starts."""
    cell: str
    python: str
    outcome: Outcome
    changes: Changes = field(default_factory=dict)
    """What was asked for, against the lock as it stands now."""
    moved: Changes = field(default_factory=dict)
    """What moved besides."""
    seconds: float = 0.0
    lock: str = ""
    """Relative to the directory of the run."""
    log: str = ""
    """Relative to the directory of the run."""
    failure: Failure | None = None
    reason: str = ""
    """Why there is no `PASS`, in one line, where no failure says it."""
    reused: bool = False
    """Whether an earlier, interrupted campaign ran it."""
    looked_up: tuple[str, ...] | None = None
    """Distributions of which a module was looked up; None where that is not known."""
