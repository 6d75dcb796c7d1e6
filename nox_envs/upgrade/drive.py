"""Drives quests: plans columns side by side, and runs what is wanted until all is settled."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TYPE_CHECKING, Generic, TypeVar

from nox_envs.errors import InterpreterMissing, NoxEnvsError, PythonTooOld
from nox_envs.upgrade.column import Column, Place, opened
from nox_envs.upgrade.threads import start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from nox_envs.upgrade.quests import Quest, Result, Want
    from nox_envs.upgrade.trials import Trials

__all__ = ["Driver"]


def __dir__() -> list[str]:
    return __all__


_PATIENCE = 15.0
"""Seconds for trials whose processes have been ended already."""
_STEP = 0.5
"""Seconds after which a stop is noticed at the latest."""

T = TypeVar("T")


class Driver(Generic[T]):
    """The columns of one campaign, and the threads that run its trials.

    `prepare` makes of a planned column what the campaign works with; what it raises as a
    `NoxEnvsError` is told in `failed`, or in `not_tested` where there is no interpreter.
    """

    def __init__(
        self,
        places: Sequence[Place],
        *,
        trials: Trials,
        cache: Path,
        prepare: Callable[[Column], T],
    ) -> None:
        self.places = tuple(places)
        self.trials = trials
        self.not_tested: dict[str, str] = {}
        self.failed: dict[str, NoxEnvsError] = {}
        """Columns that could not be planned."""
        self._cache = cache
        self._prepare = prepare
        self._opened = contextlib.ExitStack()
        self._guard = threading.Lock()
        self._running: dict[Future[Result], tuple[Quest, Want]] = {}

    def plan(self) -> Mapping[str, T]:
        """Plan every column, side by side; by the name of its cell."""
        found = {}
        futures = {place.name: start(self._plan, place) for place in self.places}
        for name, future in futures.items():
            error, ready = future.result()
            if isinstance(error, InterpreterMissing | PythonTooOld):
                self.not_tested[name] = error.summary
            elif error is not None:
                self.failed[name] = error
            elif ready is not None:
                found[name] = ready
        return found

    def _plan(self, place: Place) -> tuple[NoxEnvsError | None, T | None]:
        with contextlib.ExitStack() as stack:
            try:
                column = stack.enter_context(
                    opened(
                        place,
                        cache=self._cache,
                        variables=self.trials.place.variables,
                        within=self.trials.place.temporary / "columns",
                    )
                )
                ready = self._prepare(column)
            except NoxEnvsError as error:
                return error, None
            with self._guard:
                self._opened.push(stack.pop_all())
            return None, ready

    def drive(
        self,
        quests: Iterable[tuple[Callable[[Want], Result], Quest]],
        *,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        """Run what the quests want until all are done, or until the campaign is stopped.

        What is to run alone waits for all others. `after` is called when something has ended.
        """
        stop, jobs = self.trials.place.stop, self.trials.place.jobs
        waiting: list[tuple[Callable[[Want], Result], Quest, Want]] = []
        running = self._running
        quests = list(quests)
        while not stop.is_set():
            for settle, quest in quests:
                waiting += [(settle, quest, each) for each in quest.pending()]
            waiting.sort(key=lambda entry: entry[2].alone)
            while waiting and len(running) < jobs:
                alone = waiting[0][2].alone or any(want.alone for _, want in running.values())
                if running and alone:
                    break
                settle, quest, want = waiting.pop(0)
                running[start(settle, want)] = (quest, want)
            if not running:
                return
            done, _ = wait(running, timeout=_STEP, return_when=FIRST_COMPLETED)
            for future in done:
                quest, want = running.pop(future)
                quest.record(want, future.result())
            after()

    def close(self) -> None:
        """Wait for trials that are being ended, and remove what the columns needed."""
        wait(self._running, timeout=_PATIENCE)
        self._opened.close()
