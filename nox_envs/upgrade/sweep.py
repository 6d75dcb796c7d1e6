"""The matrix campaign: every cell once, side by side, against its lock as it stands now."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nox_envs import settings
from nox_envs.errors import InterpreterMissing, NoxEnvsError, PythonTooOld, Unresolvable
from nox_envs.outcome import Outcome
from nox_envs.report.facts import MatrixReport, Swept
from nox_envs.report.words import count, joined
from nox_envs.run import log as logs
from nox_envs.run.schedule import Schedule, longest_first
from nox_envs.upgrade import past
from nox_envs.upgrade.bench import outcome_of, reason_of
from nox_envs.upgrade.campaign import Campaign
from nox_envs.upgrade.column import opened
from nox_envs.upgrade.reuse import Reuse
from nox_envs.upgrade.threads import start

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping
    from datetime import datetime

    from nox_envs.report.facts import Status
    from nox_envs.upgrade.campaign import Assignment
    from nox_envs.upgrade.column import Column, Place
    from nox_envs.upgrade.trials import Shown

__all__ = ["Sweep"]


def __dir__() -> list[str]:
    return __all__


_PATIENCE = 15.0
"""Seconds for trials whose processes have been ended already."""
_STEP = 0.5
"""Seconds after which a stop is noticed at the latest."""
_MOST_LINES = 15
"""Of the end of a log."""

_RED = {Outcome.FAIL, Outcome.FLAKY, Outcome.TIMEOUT, Outcome.INFEASIBLE, Outcome.UNBUILDABLE}
"""What a check fails for."""
_REPEATED = {Outcome.FAIL, Outcome.TIMEOUT}
"""What may be due to what ran beside it."""
_TIMED = {Outcome.PASS, *_REPEATED}


@dataclass(slots=True, kw_only=True)
class _Cell:
    """A cell of the matrix, and what is known of it."""

    place: Place
    outcome: Outcome | None = None
    reason: str = ""
    hints: tuple[str, ...] = ()
    excerpt: str = ""
    missing: str = ""
    """Why it cannot be tested on this machine."""
    error: NoxEnvsError | None = None
    """Why it could not be planned."""
    column: Column | None = None
    """There while it may be run."""
    needs: contextlib.ExitStack | None = None
    """What the column needs."""
    shown: Shown | None = None
    again: Shown | None = None
    """What the run showed that was to confirm the failure."""
    is_crowded: bool = False
    """Whether something else ran beside it."""
    same_as: str | None = None
    cached: datetime | None = None

    @property
    def may_fail(self) -> bool:
        return self.place.cell.may_fail

    @property
    def signature(self) -> str | None:
        """Equal where it failed in the same way."""
        failure = self.shown.trial.failure if self.shown else None
        return failure.signature if failure else str(self.outcome)

    def close(self) -> None:
        """Remove what the column needed."""
        needs, self.needs, self.column = self.needs, None, None
        if needs is not None:
            needs.close()


class Sweep(Campaign):
    """Runs every cell that was chosen. Cells are planned just ahead of the runs."""

    def __init__(self, assignment: Assignment) -> None:
        super().__init__(assignment)
        self._cells: dict[str, _Cell] = {}
        self._schedule = Schedule((), ahead=1)
        self._turn = threading.Condition()
        self._running: set[str] = set()
        self._threads: list[Future[None]] = []
        self._reuse: Reuse | None = None

    @property
    def failed(self) -> Mapping[str, NoxEnvsError]:
        """Why no cell at all could be planned; nothing where one was."""
        errors = {name: cell.error for name, cell in self._cells.items() if cell.error is not None}
        tested = [cell for cell in self._cells.values() if not cell.missing]
        known = any(cell.outcome is not Outcome.ERROR for cell in tested)
        return {} if known or len(errors) < len(tested) else errors

    @property
    def not_tested(self) -> Mapping[str, str]:
        """Why cells cannot be tested on this machine."""
        return {name: cell.missing for name, cell in self._cells.items() if cell.missing}

    def run(self) -> None:
        """Run all of them. Raises nothing for what a trial may show."""
        places = self._chosen()
        self._cells = {place.name: _Cell(place=place) for place in places}
        if not places:
            return
        jobs = min(self._trials.place.jobs, len(places))
        sessions = joined(list(dict.fromkeys(place.declaration.name for place in places)))
        at_a_time = f", {'one' if jobs == 1 else jobs} at a time" if len(places) > 1 else ""
        self._say(f"{sessions}: {count(len(places), 'cell')}{at_a_time}.")
        order = longest_first(list(self._cells), past.seconds(self._cache))
        self._schedule = Schedule(order, ahead=jobs)
        self._reuse = Reuse(places, options=self.options, variables=self._trials.place.variables)
        workers = [self._prepare_all, self._run_all] * jobs
        self._threads = [start(worker) for worker in workers]
        self._wait_for(self._threads)
        self._follow()
        self._confirm()
        if not self._trials.touched:  # Else what passed is in doubt.
            self._reuse.keep()

    def close(self) -> None:
        """Wait for what is running, and remove what the columns needed."""
        with self._turn:
            self._turn.notify_all()
        wait(self._threads, timeout=_PATIENCE)
        for cell in self._cells.values():
            cell.close()
        past.note_seconds(
            self._cache,
            {
                name: cell.shown.trial.seconds
                for name, cell in self._cells.items()
                if cell.shown and cell.outcome in _TIMED and not cell.shown.trial.reused
            },
        )

    def _chosen(self) -> tuple[Place, ...]:
        """The cells that are asked about: with `--rerun-failed` those that did not pass."""
        if not self.options.rerun_failed:
            return self.places
        last = past.last_cells(self._trials.place.directory)
        if last is None:
            self._say("No earlier run is remembered: all cells are run.")
            return self.places
        left = {name for name, one in last.items() if _is_left(one)}
        chosen = tuple(place for place in self.places if place.name in left)
        if chosen:
            self._say(f"{count(len(chosen), 'cell')} did not pass when last run.")
        return chosen

    # -- threads

    @property
    def _is_stopped(self) -> bool:
        return self._trials.place.stop.is_set()

    def _wait_for(self, threads: Iterable[Future[None]]) -> None:
        """Wait, in steps in which the main thread notices signals; raise what a thread raised."""
        left = set(threads)
        while left:
            done, left = wait(left, timeout=_STEP)
            for future in done:
                future.result()

    def _prepare_all(self) -> None:
        schedule = self._schedule
        while name := self._next(schedule.next_to_prepare, lambda: schedule.is_prepared):
            self._prepare(self._cells[name])

    def _run_all(self) -> None:
        schedule = self._schedule
        while name := self._next(schedule.next_to_run, lambda: schedule.is_exhausted):
            self._run(self._cells[name])
        self._trials.tidy()  # Others are still running.

    def _next(self, take: Callable[[], str | None], is_over: Callable[[], bool]) -> str | None:
        """Wait for the next cell; None where there will be none."""
        with self._turn:
            while not self._is_stopped:
                name = take()
                if name is not None or is_over():
                    self._turn.notify_all()
                    return name
                self._turn.wait(_STEP)
        return None

    # -- one cell

    def _prepare(self, cell: _Cell) -> None:
        """Plan a cell, and hand it on to be run."""
        key: Hashable = None
        with contextlib.ExitStack() as needs:
            try:
                column = needs.enter_context(
                    opened(
                        cell.place,
                        cache=self._cache,
                        variables=self._trials.place.variables,
                        within=self._trials.place.temporary / "columns",
                    )
                )
                cell.cached = self._reuse.remembered(column) if self._reuse else None
            except NoxEnvsError as error:
                self._note(cell, error)
            except OSError as error:
                cell.outcome, cell.reason = Outcome.ERROR, f"{error.strerror}: {error.filename}"
            else:
                if cell.cached:
                    cell.outcome = Outcome.PASS
                else:
                    key = _key(column)
                    cell.column, cell.needs = column, needs.pop_all()
        name = cell.place.name
        with self._turn:
            if key is None:
                self._schedule.dropped(name)
            else:
                first = self._schedule.prepared(name, key)
                cell.same_as = None if first == name else first
            self._turn.notify_all()
        if cell.same_as:
            cell.close()
        self._end_if_red(cell)

    def _note(self, cell: _Cell, error: NoxEnvsError) -> None:
        """What it means for a cell that it cannot be planned."""
        if self._is_stopped:
            return
        if isinstance(error, InterpreterMissing | PythonTooOld):
            cell.missing = error.summary
            return
        cell.error, cell.outcome = error, outcome_of(error)
        detail = error.detail
        if isinstance(error, Unresolvable):  # The rest of it is the reason.
            detail = "\n".join(error.addresses)
        cell.reason, cell.excerpt, *hints = self._redacted(
            cell.place, [reason_of(error), detail, *error.hints]
        )
        cell.hints = tuple(hints)

    def _redacted(self, place: Place, texts: Iterable[str]) -> list[str]:
        variables = self._trials.place.variables
        directory = place.noxfile.path.parent / place.declaration.directory
        urls = settings.index_urls(variables, kind="pip", directory=directory)
        return [settings.redact(text, variables, urls=urls) for text in texts]

    def _run(self, cell: _Cell) -> None:
        name = cell.place.name
        with self._turn:
            self._running.add(name)
            if len(self._running) > 1:
                for each in self._running:
                    self._cells[each].is_crowded = True
        shown = self._try(cell, attempt=1)
        with self._turn:
            self._running.discard(name)
        if shown is not None:
            cell.shown, cell.outcome = shown, shown.trial.outcome
            cell.reason = shown.trial.reason
            if self._reuse and cell.column:
                self._reuse.remember(cell.column, shown)
        if cell.outcome not in _REPEATED:
            cell.close()
        self._end_if_red(cell)

    def _try(self, cell: _Cell, *, attempt: int) -> Shown | None:
        """What a run shows; None where it was stopped."""
        column = cell.column
        if column is None:
            return None
        limit = self.options.timeout or cell.place.declaration.timeout
        try:
            shown = self._trials.run(
                column,
                column.current,
                changes={},
                moved={},
                attempt=attempt,
                limit=lambda: limit,
            )
        except OSError as error:
            cell.outcome, cell.reason = Outcome.ERROR, f"{error.strerror}: {error.filename}"
            return None
        stopped = self._is_stopped and shown.trial.outcome is not Outcome.PASS
        return None if stopped else shown

    def _end_if_red(self, cell: _Cell) -> None:
        name = cell.same_as or cell.place.name
        red = self._cells[name].outcome in _RED
        if self.options.fail_fast and red and name in self._must_pass:
            self._trials.place.stop.set()

    @property
    def _must_pass(self) -> set[str]:
        """The cells that may not fail, each by the one that is run for it."""
        return {cell.same_as or name for name, cell in self._cells.items() if not cell.may_fail}

    # -- what follows from the runs

    def _follow(self) -> None:
        """Let cells that were not run have what the equal one showed."""
        for cell in self._cells.values():
            first = self._cells.get(cell.same_as or "")
            if first is not None:
                cell.outcome, cell.reason = first.outcome, first.reason

    def _confirm(self) -> None:
        """Run cells alone whose failure no other cell has shown."""
        seen = [cell.signature for cell in self._cells.values() if cell.shown]
        must_pass = self._must_pass
        for name, cell in self._cells.items():
            alone = cell.is_crowded and seen.count(cell.signature) == 1
            if cell.shown and cell.outcome in _REPEATED and alone and name in must_pass:
                if self._is_stopped:
                    return
                self._threads = [start(self._run_again, cell)]
                self._wait_for(self._threads)
        self._follow()

    def _run_again(self, cell: _Cell) -> None:
        cell.again = self._try(cell, attempt=2)
        if cell.again and cell.again.trial.outcome is Outcome.PASS:
            cell.outcome = Outcome.FLAKY
            cell.reason = "it passed when it was run again alone"

    # -- the report

    def report(self, header: Mapping[str, Any], *, interrupted: bool) -> MatrixReport:
        """What is known now."""
        facts = self.facts(header, self._status(interrupted=interrupted))
        columns = {name: cell.place.python for name, cell in self._cells.items()}
        return MatrixReport(
            **{**facts, "columns": columns},
            baseline={},
            cells={name: self._swept(cell) for name, cell in self._cells.items()},
            narrowed=bool(self.options.only or self.options.pythons) or self.options.rerun_failed,
            posargs=self.options.posargs,
        )

    def _status(self, *, interrupted: bool) -> Status:
        if interrupted:
            return "interrupted"
        if self.failed:
            return "error"
        decided = [cell.outcome for cell in self._cells.values() if not cell.may_fail]
        if _RED & set(decided):
            return "broken"
        tested = any(cell.outcome for cell in self._cells.values()) or not self._cells
        return "inconclusive" if Outcome.ERROR in decided or not tested else "ok"

    def _swept(self, cell: _Cell) -> Swept:
        first = self._cells.get(cell.same_as or "", cell)
        shown = [one for one in (first.shown, first.again) if one]
        return Swept(
            session=cell.place.declaration.name,
            python=cell.place.python,
            values={**_own_parameters(cell.place), **cell.place.cell.labels},
            outcome=cell.outcome,
            seconds=shown[0].seconds or shown[0].trial.seconds if shown else 0.0,
            trials=tuple(one.trial.id for one in shown),
            same_as=cell.same_as,
            cached=cell.cached.isoformat(timespec="seconds") if cell.cached else None,
            may_fail=cell.may_fail,
            reason=cell.missing or cell.reason or ("" if cell.outcome else "it was not run"),
            hints=cell.hints,
            excerpt=_end_of(shown[0]) if shown else cell.excerpt,
        )


def _is_left(cell: Mapping[str, Any]) -> bool:
    """Whether a cell of an earlier report is to be run again."""
    excused = cell.get("may_fail") and cell.get("outcome") is not None
    return cell.get("outcome") != "pass" and not excused


def _key(column: Column) -> Hashable:
    """Equal where a run would show the same."""
    place = column.place
    own = place.name if _own_parameters(place) else ""
    arguments = tuple(sorted(place.told.items()))
    return column.current.digest, place.declaration.name, place.cell.python, arguments, own


def _own_parameters(place: Place) -> dict[str, str]:
    """Parameters that are no axes of the matrix."""
    return {name: text for name, text in place.told.items() if name not in place.cell.values}


def _end_of(shown: Shown) -> str:
    """The end of a log, where no failure shows more."""
    passed = shown.trial.outcome is Outcome.PASS
    if passed or shown.trial.failure or shown.path is None or not shown.path.exists():
        return ""
    told = [line for line in logs.read(shown.path).splitlines() if line.strip()]
    own = [line for line in told if not line.startswith("nox > ")]
    return "\n".join((own or told)[-_MOST_LINES:])
