"""The lowest release that passes, between one that does not and one that does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nox_envs.upgrade.highest import Highest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.version import Version

    from nox_envs.outcome import Outcome

__all__ = ["Lowest"]


def __dir__() -> list[str]:
    return __all__


class Lowest:
    """The mirror image of `Highest`: it walks down from a release that passes.

    Only a pass lowers the upper end, only a failure or a timeout raises the lower one. What
    cannot be tested is stepped over: `last_bad` and `best` then have unknown releases between.
    """

    def __init__(self, versions: Sequence[Version], *, jobs: int = 1) -> None:
        """`versions` ascend; the last is known to pass, the first to fail or to be unknown."""
        self._mirrored = Highest(tuple(reversed(versions)), jobs=jobs)

    @property
    def done(self) -> bool:
        return self._mirrored.done

    @property
    def best(self) -> Version:
        """The lowest release that passed."""
        return self._mirrored.best

    @property
    def last_bad(self) -> Version | None:
        """The highest release below `best` that failed, or the first; None where there is none."""
        return self._mirrored.first_bad

    def pending(self) -> tuple[Version, ...]:
        """Hand out releases to be tested now; empty while it waits for others, and when done."""
        return self._mirrored.pending()

    def record(self, version: Version, outcome: Outcome) -> None:
        """Tell what a release that was handed out has shown."""
        self._mirrored.record(version, outcome)
