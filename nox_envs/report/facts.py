"""What a campaign found, before it is put into words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nox_envs.outcome import Changes, Outcome, Trial, Verdict

__all__ = [
    "Baseline",
    "BisectReport",
    "Bisected",
    "Blamed",
    "Candidate",
    "CulpritReport",
    "Floor",
    "FloorsReport",
    "Fresh",
    "Guilty",
    "Judgement",
    "Line",
    "MatrixReport",
    "Newest",
    "Report",
    "SafeSet",
    "Status",
    "Swept",
    "UpgradeReport",
]


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
    may_fail: bool = False
    """Whether the declaration lets the cell fail: it decides nothing for others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The verdict on one candidate for one column."""

    verdict: Verdict
    version: str | None = None
    """The highest release that was proven to pass; None where there is none newer than now."""
    reason: str = ""
    """One line; where safe, why the latest release cannot be tried, or empty."""
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
    searched: Literal["", "some", "all"] = "all"
    """How many of the releases between the answer and the target were run."""
    culprits: tuple[Guilty, ...] = ()
    """What came in with it, is no candidate, and is to blame; `reason` says so."""


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
    unsupported: Mapping[str, str] = field(default_factory=dict)
    """Why the latest release is not for the Python of a column: `3.3 needs Python >= 3.12`."""


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
    trials: tuple[str, ...] = ()
    """The runs of it that passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A requirement of the user's, and what takes its place where the set is taken."""

    place: str
    """`requirements.txt:3`."""
    before: str
    """`flask==2.2.2`."""
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What every campaign tells."""

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
    trials: tuple[Trial, ...] = ()
    directory: str = ""
    """Where the report, the locks and the logs lie, relative to the noxfile."""
    error: str = ""
    """Why there is no answer, where the status is `error`."""
    not_tested: Mapping[str, str] = field(default_factory=dict)
    """Why a column was not tested, by the cell's name."""
    kept: Mapping[str, str] = field(default_factory=dict)
    """How to enter the environments that `--keep` kept, by trial."""
    files: tuple[str, ...] = ()
    """Where it is declared, where that is one of the user's files: `requirements.txt`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpgradeReport(Report):
    """What an `upgrade` campaign found."""

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
    dependencies: int = 0
    """How many dependencies are declared."""
    pinned: bool = True
    """Whether the project pins its dependencies, as applications do."""
    lines: tuple[Line, ...] = ()
    """What to paste; empty where another tool writes the file."""
    instead: tuple[str, ...] = ()
    """What to do where another tool writes the lock, for which `--apply` does nothing."""
    exhausted: Mapping[str, str] = field(default_factory=dict)
    """Why a column was not tried to its end: `--max-trials 9 were used up`."""
    words: tuple[str, ...] = ()
    """What narrows or steers it on the command line, to be repeated where it is written down."""
    uncommitted: tuple[str, ...] = ()
    """Files with changes that are not committed, for which `--apply` refuses."""


# -- bisect


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """The newest release that was looked at."""

    version: str
    outcome: Outcome
    same_signature: bool | None = None
    """Whether it fails in the same way; None where it does not fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bisected:
    """Where one package breaks one column."""

    status: Literal["found", "hole", "no-failure", "all-bad", "inconclusive"]
    current: str
    last_good: str | None = None
    first_bad: str | None = None
    unknown: tuple[str, ...] = ()
    """Releases between them that cannot be tested."""
    bad_ranges: tuple[tuple[str, str], ...] = ()
    fixed_in: str | None = None
    """The first release that passes again."""
    newest: Newest | None = None
    requirement: str = ""
    """The line to paste: `werkzeug<3`, `setuptools!=78.0.1`."""
    declared: str = ""
    """What is declared already, where it admits nothing that is bad: `werkzeug==2.2.3`."""
    releases: tuple[str, ...] = ()
    """All that came into question, the oldest first."""
    tested: Mapping[str, Literal["good", "bad", "other", "unknown"]] = field(default_factory=dict)
    """What was seen of a release; `other` is another failure."""
    dates: Mapping[str, str] = field(default_factory=dict)
    """When a release was uploaded (`2026-11-21`), where the index tells."""
    moved: Changes = field(default_factory=dict)
    """What else the first bad release moved."""
    unmatched: bool = False
    """Whether runs failed, but none of them as `--match` says."""
    blame: Literal["package", "company", ""] = ""
    """Whether the package itself or what moved with it breaks; empty where nothing moved, or
    where that cannot be told apart."""
    reason: str = ""
    """One line: the failure, or why there is no answer."""
    failing: Mapping[str, str] = field(default_factory=dict)
    """Failing tests and what they say."""
    excerpt: str = ""
    log: str = ""
    trials: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BisectReport(Report):
    """What a `bisect` campaign found."""

    package: str
    result: Mapping[str, Bisected]
    """By column."""


# -- floors


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """The lower bound of one dependency on one column."""

    name: str
    declared: str | None
    """The lowest release that the declaration admits (`2.20`); None where no bound is declared."""
    installed: str | None
    """What was installed for it."""
    outcome: Outcome | None
    """Of the run with the floors; None where it was not run."""
    true_floor: str | None = None
    """The lowest release that was proven to pass; None where that is not known."""
    raised_by: tuple[str, ...] = ()
    """What asks for more than the declared floor: `pandas>=1.22`."""
    reason: str = ""
    """One line, where it is not fine."""
    requirement: str = ""
    """The line to paste, where another one is right."""
    place: str = ""
    """Where it is declared: `pyproject.toml:9`."""
    trials: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FloorsReport(Report):
    """What a `floors` campaign found."""

    floors: Mapping[str, tuple[Floor, ...]]
    """By column, sorted by name."""
    words: tuple[str, ...] = ()
    """What narrows or steers it on the command line, to be repeated where it is written down."""


# -- culprit


@dataclass(frozen=True, slots=True, kw_only=True)
class Guilty:
    """One package that breaks a column."""

    name: str
    before: str | None
    """The version in the good state; None where it is not there."""
    after: str | None
    declared: bool
    brought_in_by: tuple[str, ...] = ()
    """What asks for the bad release: `requests>=2.30`."""
    partners: tuple[str, ...] = ()
    """Without which it does no harm."""
    evidence: tuple[str, ...] = ()
    """The runs that prove it: guilt first, then cure."""
    first_bad: str | None = None
    requirement: str = ""
    """The line to paste: `urllib3<2`."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blamed:
    """Who broke one column."""

    status: Literal["found", "no-failure", "all-bad", "inconclusive"]
    differing: int
    """How many packages differ between the two states."""
    doubt: str = ""
    """One line: why it is inconclusive."""
    culprits: tuple[Guilty, ...] = ()
    cure: Mapping[str, str | None] = field(default_factory=dict)
    """The releases that have to come back for it to pass."""
    innocent: tuple[str, ...] = ()
    """Declared packages that changed and are fine."""
    reason: str = ""
    failing: Mapping[str, str] = field(default_factory=dict)
    log: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CulpritReport(Report):
    """What a `culprit` campaign found."""

    good: str
    """What the good state is: a file, a date."""
    bad: str
    result: Mapping[str, Blamed]
    """By column."""


# -- matrix


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What the matrix showed of one cell."""

    session: str
    python: str
    values: Mapping[str, str] = field(default_factory=dict)
    """What names its values, by the parameter of the axis."""
    outcome: Outcome | None
    """None where it was not run: there is no interpreter, or the matrix was stopped."""
    seconds: float = 0.0
    """For the session's function alone."""
    trials: tuple[str, ...] = ()
    """The run that decided, and the one that was to confirm it."""
    same_as: str | None = None
    """The cell whose run counts for this one, too."""
    cached: str | None = None
    """When it passed, where it was not run again; RFC 3339."""
    may_fail: bool = False
    reason: str = ""
    """One line: why it is not `pass`."""
    hints: tuple[str, ...] = ()
    """What to do about it."""
    excerpt: str = ""
    """The end of the log, where no failure shows more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixReport(Report):
    """What a `matrix` campaign found."""

    cells: Mapping[str, Swept]
    """By name, in the order of the declaration."""
    narrowed: bool = False
    """Whether only some of the declared cells were chosen."""
    posargs: tuple[str, ...] = ()
    """What was handed to the sessions, to be repeated where they are run again."""
