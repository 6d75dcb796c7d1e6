"""The highest release that passes, between one that does and one that does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nox_envs.outcome import Outcome
from nox_envs.upgrade.split import points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.version import Version

__all__ = ["Highest"]


def __dir__() -> list[str]:
    return __all__


class Highest:
    """A search that asks for releases to be tested, in rounds, and is told what they showed.

    Only a pass raises the lower end, only a failure or a timeout lowers the upper one. What
    cannot be tested is stepped over: `best` and `first_bad` then have unknown releases between.
    """

    def __init__(self, versions: Sequence[Version], *, jobs: int = 1) -> None:
        """`versions` ascend; the first is known to pass, the last to fail."""
        self._versions = tuple(versions)
        self._jobs = max(1, jobs)
        self._outcomes: dict[int, Outcome] = {}
        self._waiting: tuple[int, ...] = ()
        self._out: set[int] = set()
        self._advance()

    @property
    def done(self) -> bool:
        return not self._waiting and not self._out

    @property
    def best(self) -> Version:
        """The highest release that passed."""
        return self._versions[self._good]

    @property
    def first_bad(self) -> Version | None:
        """The lowest release above `best` that failed; None where there is none."""
        return self._versions[self._bad] if self._bad > self._good else None

    def pending(self) -> tuple[Version, ...]:
        """Hand out releases to be tested now; empty while it waits for others, and when done."""
        handed, self._waiting = self._waiting, ()
        self._out.update(handed)
        return tuple(self._versions[at] for at in handed)

    def record(self, version: Version, outcome: Outcome) -> None:
        """Tell what a release that was handed out has shown."""
        at = self._versions.index(version)
        if at not in self._out:
            raise ValueError(f"not waiting for {version}")
        self._out.remove(at)
        self._outcomes[at] = outcome
        self._advance()

    @property
    def _good(self) -> int:
        passed = (at for at, outcome in self._outcomes.items() if outcome is Outcome.PASS)
        return max(passed, default=0)

    @property
    def _bad(self) -> int:
        red = {Outcome.FAIL, Outcome.TIMEOUT}
        failed = (at for at, outcome in self._outcomes.items() if outcome in red)
        return min((at for at in failed if at > self._good), default=len(self._versions) - 1)

    def _advance(self) -> None:
        if not self._out and not self._waiting:
            self._waiting = points(
                self._versions, self._good, self._bad, self._outcomes.keys(), self._jobs
            )
