"""From what a trial told to its outcome: only a failure of the tests is called one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nox_envs.outcome import Outcome

if TYPE_CHECKING:
    from nox_envs.run.exchange import TrialResult

__all__ = ["judge"]


def __dir__() -> list[str]:
    return __all__


_CANNOT_BE_BUILT = frozenset({"BuildFailed", "NoWheel"})


def judge(
    *, result: TrialResult | None, returncode: int | None, overdue: bool, disk_full: bool, log: str
) -> tuple[Outcome, str]:
    """The outcome, and in one line why it is not `pass`.

    `returncode` is that of the trial's nox, None where it was stopped; `overdue` says that
    it was because it did not come to its end; `log` is what it said.
    """
    if disk_full:
        return Outcome.ERROR, "the disk is full"
    if overdue:
        return Outcome.ERROR, "nox did not come to its end"
    if returncode is None:
        return Outcome.ERROR, "it was stopped"
    if result is None:
        return Outcome.ERROR, f"nox did not run the session: {_last_line(log)}"
    if result.error:
        unbuildable = result.error in _CANNOT_BE_BUILT
        return Outcome.UNBUILDABLE if unbuildable else Outcome.ERROR, result.reason
    if not result.ready and not result.passed and not result.stop:
        return Outcome.ERROR, f"the environment was not made: {result.reason or _last_line(log)}"
    return _of_the_function(result, returncode, log)


def _of_the_function(result: TrialResult, returncode: int, log: str) -> tuple[Outcome, str]:
    """The same where the environment was complete, and the session's function was called."""
    if result.stop == "timeout":
        return Outcome.TIMEOUT, "it did not end in time"
    if result.stop:
        return Outcome.ERROR, f"it was stopped by {result.stop}"
    if result.skipped:
        return Outcome.ERROR, f"the session skipped itself, so nothing was tested: {result.reason}"
    if result.passed and returncode != 0:
        return Outcome.ERROR, f"nox failed after the session had passed: {_last_line(log)}"
    if result.passed:
        return Outcome.PASS, ""
    if not result.reason:
        return Outcome.ERROR, f"nox itself was ended (exit code {returncode})"
    return Outcome.FAIL, _explained(result.reason, log)


_NO_TESTS = "exit 5"
_PYTEST = re.compile(
    r"^nox > Command (?:.* -m )?(?:\S*[\\/])?(?:pytest|py\.test)(?:\.exe)?(?: .*)? failed with exit code 5$",
    re.MULTILINE,
)


def _explained(reason: str, log: str) -> str:
    """With what pytest means by its exit code, which no test tells."""
    if reason == _NO_TESTS and _PYTEST.search(log):
        return f"{reason}: no tests were collected"
    return reason


def _last_line(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
