"""What a campaign found, before it is put into words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nox_envs.outcome import Changes, Outcome, Trial, Verdict

__all__ = ["Baseline", "Candidate", "Fresh", "Judgement", "SafeSet", "Status", "UpgradeReport"]


def __dir__() -> list[str]:
    return __all__


Status = Literal["ok", "broken", "baseline-red", "inconclusive", "interrupted", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The trial of a column's lock as it stands now."""

    outcome: Outcome | None
    """None where it was not run: there is no interpreter, or it was interrupted."""
    trial: str | None = None
    seconds: float = 0.0
    reason: str = ""
    """One line: why it is not `pass`."""
    known_failures: tuple[str, ...] = ()
    """Ids of tests that fail already; upgrades are then judged by others."""
    log: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict on one candidate for one column."""

    verdict: Verdict
    version: str | None = None
    """The highest release that was proven to pass; None where there is none newer than now."""
    reason: str = ""
    """One line; empty where safe."""
    failing: Mapping[str, str] = field(default_factory=dict)
    """Failing tests and what they say, where the verdict is `breaks` or `capped`."""
    together_with: tuple[str, ...] = ()
    """Candidates without which it does not work."""
    trials: tuple[str, ...] = ()
    """Ids of the runs that it rests on, in order; empty where a resolution decided."""
    unexercised: bool | None = None
    """Whether the package was never imported in the passing run; None where not known."""
    log: str = ""
    """Of the run that decided, relative to the directory of the run."""
    searched: bool = True
    """Whether older releases than the target were looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A declared dependency with a newer release, or one that was asked for by name."""

    name: str
    current: str
    target: str
    """What was tried."""
    latest: str
    """The newest stable release, whether it could be tried or not."""
    verdicts: Mapping[str, Judgement] = field(default_factory=dict)
    """By column (the name of a cell)."""
    places: tuple[str, ...] = ()
    """Where it is declared: `requirements.txt:3`."""
    lifted: tuple[str, ...] = ()
    """Own bounds that were lifted to ask: `pyproject.toml:9 werkzeug<3`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SafeSet:
    """Releases that passed together."""

    pins: Mapping[str, str]
    """Of the candidates that move."""
    trials: tuple[str, ...] = ()
    """The runs of exactly this set that passed."""
    packages: Mapping[str, str] = field(default_factory=dict)
    """All versions of the environment in which it passed."""
    moved: Changes = field(default_factory=dict)
    """Packages besides the candidates that moved with them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh:
    """The set as a new user would get it today: what nobody declares is newest, too."""

    outcome: Outcome
    trial: str | None
    moved: Changes = field(default_factory=dict)
    """What differs from the environment in which the set was proven."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeReport:
    """What an `upgrade` campaign found."""

    sessions: tuple[str, ...]
    status: Status
    mode: Literal["keep", "fresh"]
    started: str
    """RFC 3339."""
    seconds: float
    tools: Mapping[str, str]
    """Versions of what took part: nox, uv or pip, nox-envs."""
    columns: Mapping[str, str]
    """The Python of each cell that was asked about, by the cell's name."""
    baseline: Mapping[str, Baseline]
    candidates: tuple[Candidate, ...]
    """Sorted by name."""
    safe_sets: Mapping[str, SafeSet]
    """By column."""
    common: Mapping[str, str] | None
    """The releases that passed together on every column that was tested; None where there is no
    answer."""
    common_trials: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The runs of exactly the common set that passed, by column."""
    fresh: Mapping[str, Fresh] = field(default_factory=dict)
    """By column, where a final proof was made so."""
    trials: tuple[Trial, ...] = ()
    dependencies: int = 0
    """How many dependencies are declared."""
    files: tuple[str, ...] = ()
    """Where they are declared, where it is one of the user's files: `requirements.txt`."""
    pinned: bool = True
    """Whether the project pins its dependencies, as applications do."""
    directory: str = ""
    """Where the report, the locks and the logs lie, relative to the noxfile."""
    error: str = ""
    """Why there is no answer, where the status is `error`."""
    not_tested: Mapping[str, str] = field(default_factory=dict)
    """Why a column was not tested, by the cell's name."""
    kept: Mapping[str, str] = field(default_factory=dict)
    """How to enter the environments that `--keep` kept, by trial."""
