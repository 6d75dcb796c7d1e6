"""What is printed while trials run: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nox_envs.outcome import Outcome
from nox_envs.report.columns import folded
from nox_envs.report.escape import plain
from nox_envs.report.words import count, duration, ended, joined, some

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TextIO

    from rich.console import Console
    from rich.live import Live

    from nox_envs.outcome import Changes, Trial
    from nox_envs.report.columns import Columns
    from nox_envs.report.facts import Baseline

    _Releases = Mapping[str, str | None]

__all__ = [
    "Board",
    "all_at_once",
    "as_now",
    "closing",
    "finished",
    "opening",
    "tried",
    "written_into",
]


def __dir__() -> list[str]:
    return __all__


_NAMED = 3
_PER_SECOND = 4


# -- words ----------------------------------------------------------------------------


def opening(
    sessions: Sequence[str],
    columns: Columns,
    *,
    dependencies: int,
    files: Sequence[str],
    outdated: int,
) -> str:
    """As `test on Python 3.11: 24 dependencies (requirements.txt), 7 have newer releases.`."""
    where = columns.where(list(columns.labels), plain)
    on = f"Python {where}" if columns.are_pythons else where
    total = count(dependencies, "dependency", "dependencies")
    declared = f"{total} ({joined([plain(one) for one in files])})" if files else total
    newer = "1 has a newer release" if outdated == 1 else f"{outdated} have newer releases"
    asked = joined([plain(one) for one in sessions])
    return f"{asked} on {on}: {declared}, {newer if outdated else 'none has a newer release'}."


def as_now(baseline: Mapping[str, Baseline], columns: Columns) -> str:
    """As `as pinned now: pass (41 s on 3.11, 38 s on 3.12)`."""
    run = {name: one for name, one in baseline.items() if one.outcome is not None}
    groups = folded({name: _shown(one) for name, one in run.items()})
    said = []
    for names in groups:
        times = [f"{duration(run[one].seconds)} on {columns.where([one], plain)}" for one in names]
        said.append(f"{_shown(run[names[0]])} ({', '.join(times)})")
    return f"as pinned now: {', '.join(said) or 'not tested'}"


def _shown(baseline: Baseline) -> str:
    known = baseline.known_failures
    tests = f", {count(len(known), 'test')}" if known else ""
    return f"{baseline.outcome}{tests}"


def all_at_once(number: int, trials: Mapping[str, Trial], columns: Columns) -> str:
    """As `all 7 at once: 3 tests fail on both. Looking for the largest set ...`."""
    what = "the newer release" if number == 1 else f"all {number} at once"
    groups = folded({name: _failure(trial) for name, trial in trials.items()})
    said = []
    for names in groups:
        where = "both" if len(names) == len(columns.labels) == 2 else columns.where(names, plain)  # noqa: PLR2004
        said.append(f"{_failure(trials[names[0]])} on {where}")
    answer = ended(f"{what}: {', '.join(said) or 'not tested'}")
    passed = all(trial.outcome is Outcome.PASS for trial in trials.values())
    return answer if passed else f"{answer} Looking for the largest set that passes ..."


def _failure(trial: Trial) -> str:
    tests = len(trial.failure.tests) if trial.failure else 0
    if trial.outcome is Outcome.FAIL and tests:
        return f"{count(tests, 'test')} {'fails' if tests == 1 else 'fail'}"
    return str(trial.outcome)


def tried(changes: Changes, earlier: Sequence[Changes] = ()) -> str:
    """What a trial tries, as `werkzeug 3.1.9`, or `all 16 but six`.

    Of many, those are named that tell it from the `earlier` trials of its column: first what
    the last of them did not have, and what the fewest had.
    """
    if not changes:
        return "as pinned now"
    now = {name: after for name, (_, after) in changes.items()}
    before = [{name: after for name, (_, after) in one.items()} for one in earlier]
    if len(now) > _NAMED and (left := _left_out(now, before)):
        return f"all {len(now) + len(left)} but {joined([plain(name) for name in left])}"
    last = before[-1] if before else {}
    known = Counter(item for one in before for item in one.items())
    first = sorted(now.items(), key=lambda item: (item in last.items(), known[item], item[0]))
    new = [item for item in first if item not in last.items()]
    named = first if len(first) <= _NAMED else (new or first)[: _NAMED - 1]
    said = [f"{plain(name)} {plain(after)}" if after else f"no {plain(name)}"
            for name, after in named]  # fmt: skip
    more = len(first) - len(named)
    return joined([*said, f"{more} more"] if more else said)


def _left_out(now: _Releases, before: Sequence[_Releases]) -> list[str]:
    """What it lacks of all that was tried before, where that is little; or nothing."""
    everything = max(before, key=len, default={})
    left = sorted(everything.keys() - now.keys())
    is_part = now.items() <= everything.items() and all(
        one.keys() <= everything.keys() for one in before
    )
    return left if is_part and len(left) <= _NAMED else []


def written_into(files: Sequence[str], *, is_healed: bool) -> str:
    """Why trials are run again, each with files of its own."""
    named = some(list(dict.fromkeys(map(plain, files))), most=_NAMED)
    left = "" if is_healed else ' uv\'s cache may still have them: run "uv cache clean".'
    return (
        f"A run has written into installed files that others shared: {named}. Again, apart.{left}"
    )


def finished(trial: Trial, what: str | None = None) -> str:
    """As `t4 test-3.11: werkzeug 3.1.9: fail, 3 tests, 12 s`.

    `what` is what was tried, empty where that is no question.
    """
    tests = len(trial.failure.tests) if trial.failure else 0
    facts = [str(trial.outcome)]
    facts += [count(tests, "test")] if tests else []
    facts += [plain(trial.reason)] if trial.reason else []
    facts.append("from the interrupted run" if trial.reused else duration(trial.seconds))
    said = [tried(trial.changes) if what is None else plain(what)]
    label = f"{plain(trial.id)} {plain(trial.cell)}"
    return ": ".join([label, *filter(None, said), ", ".join(facts)])


def closing(trials: int, seconds: float) -> str:
    """As `16 trials, 3 min 52 s.`."""
    return f"{count(trials, 'trial')}, {duration(seconds)}."


# -- the board ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Running:
    """A trial that has not ended."""

    label: str
    what: str
    since: float


class Board:
    """Tells how trials get on; any thread may tell it.

    `say` prints a line. With a `terminal`, running trials are shown at its end until
    `close`, which leaves nothing of them behind; one that cannot be drawn on is as none.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        terminal: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._print = say
        self._console = _console(terminal) if terminal else None
        self._clock = clock
        self._lock = threading.RLock()
        self._running: dict[str, _Running] = {}
        self._earlier: dict[str, list[Changes]] = {}
        """What the trials that have ended tried, by cell."""
        self._drawn: tuple[_Running, ...] = ()
        """What the thread that draws reads, without the lock."""
        self._live: Live | None = None
        self._done = 0
        self._is_closed = False

    def __enter__(self) -> Board:  # noqa: PYI034 - Self is not there before Python 3.11
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def started(self, trial: str, cell: str, what: str) -> None:
        """A trial, by its id, has started."""
        label = f"{plain(trial)} {plain(cell)}"
        with self._lock:
            since = self._clock()
            self._running[trial] = _Running(label=label, what=plain(what), since=since)
            self._draw()

    def finished(self, trial: Trial) -> None:
        """A trial has ended; on a terminal the display shows that."""
        with self._lock:
            running = self._running.pop(trial.id, None)
            self._done += 1
            earlier = self._earlier.setdefault(trial.cell, [])
            what = running.what if running else tried(trial.changes)
            if what == plain(tried(trial.changes)):
                what = tried(trial.changes, earlier)
            earlier.append(trial.changes)
            if self._console is None and not self._is_closed:
                self._print(finished(trial, what))
            self._draw()

    def say(self, line: str) -> None:
        """Print a line, above the display."""
        with self._lock:
            self._erase()
            self._print(line)
            self._draw()

    def close(self) -> None:
        """End the display; more than once does no harm."""
        with self._lock:
            self._is_closed = True
            self._erase()
            if self._console is not None:
                # Also where an interruption has hit the display itself.
                self._console.show_cursor()

    def _draw(self) -> None:
        self._drawn = tuple(self._running.values())
        if self._console is None:
            return
        if self._is_closed or not self._drawn:
            self._erase()
        elif self._live is None:
            self._live = _display(self._console, self._text)
            self._live.start(refresh=True)

    def _erase(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _text(self) -> str:
        """The display, a line for each trial that runs."""
        now = self._clock()
        lines = [
            f"  {': '.join(filter(None, [one.label, one.what]))}, {duration(now - one.since)}"
            for one in self._drawn
        ]
        return "\n".join([*lines, f"  {count(self._done, 'trial')} done"])


def _console(terminal: TextIO) -> Console | None:
    """The terminal, if it can be drawn on."""
    from rich.console import Console  # noqa: PLC0415 - a noxfile does not pay for it.

    console = Console(file=terminal, markup=False, highlight=False, emoji=False)
    return console if console.is_terminal and not console.is_dumb_terminal else None


def _display(console: Console, text: Callable[[], str]) -> Live:
    """A display that can be started once: it remembers where it stood."""
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    def shown() -> Text:
        known = text().encode(console.encoding, "backslashreplace").decode(console.encoding)
        return Text(known, no_wrap=True, overflow="crop")

    return Live(
        console=console,
        get_renderable=shown,
        refresh_per_second=_PER_SECOND,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
