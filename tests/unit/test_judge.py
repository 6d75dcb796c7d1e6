"""What a trial told, and what it is taken for: only failing tests speak against an upgrade."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nox_envs.outcome import Outcome
from nox_envs.run.exchange import TrialResult
from nox_envs.run.judge import judge

FAILED = TrialResult(ready=True, reason="CommandFailed: pytest exited with 1")
PASSED = TrialResult(ready=True, passed=True)


def judged(result: TrialResult | None, code: int | None = 1, **facts: Any) -> tuple[Outcome, str]:
    given = {"overdue": False, "disk_full": False, "log": "", **facts}
    return judge(result=result, returncode=code, **given)


def test_a_run_to_its_end_that_passed_passes() -> None:
    assert judged(PASSED, 0) == (Outcome.PASS, "")


def test_what_the_function_raised_is_a_failure() -> None:
    assert judged(FAILED) == (Outcome.FAIL, "CommandFailed: pytest exited with 1")


@pytest.mark.parametrize(
    ("reason", "command", "code", "said"),
    [
        ("exit 5", "pytest -q tests", 5, "exit 5: no tests were collected"),
        ("exit 5", "python -m pytest", 5, "exit 5: no tests were collected"),
        ("exit 5", "coverage run -m pytest -q", 5, "exit 5: no tests were collected"),
        ("exit 5", ".nox/test/bin/pytest", 5, "exit 5: no tests were collected"),
        ("exit 5", "python check.py pytest", 5, "exit 5"),
        ("exit 5", "pytest-watch", 5, "exit 5"),
        ("exit 5", "pytest -q", 1, "exit 5"),
        ("exit 1", "pytest -q", 5, "exit 1"),
    ],
)
def test_no_tests_are_told_of_where_pytest_has_found_none(
    reason: str, command: str, code: int, said: str
) -> None:
    log = (
        f"no tests ran in 0.01s\nnox > Command {command} failed with exit code {code}\nnox > end\n"
    )
    result = TrialResult(ready=True, reason=reason)
    assert judged(result, log=log) == (Outcome.FAIL, said)


def test_a_function_that_does_not_end_is_a_timeout() -> None:
    result = TrialResult(ready=True, stop="timeout", reason="Stopped: timeout")
    assert judged(result) == (Outcome.TIMEOUT, "it did not end in time")


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (
            TrialResult(ready=True, stop="SIGTERM", reason="Stopped"),
            "it was stopped by SIGTERM",
        ),
        (
            TrialResult(ready=True, skipped=True, reason="_SessionSkip: no database"),
            "the session skipped itself, so nothing was tested: _SessionSkip: no database",
        ),
        (PASSED, "nox failed after the session had passed: end"),
        (TrialResult(ready=True), "nox itself was ended (exit code 1)"),
        (TrialResult(), "the environment was not made: end"),
        (None, "nox did not run the session: end"),
    ],
)
def test_what_says_nothing_about_the_tests_is_an_error(
    result: TrialResult | None, reason: str
) -> None:
    assert judged(result, log="begin\n\n  end  \n\n") == (Outcome.ERROR, reason)


@pytest.mark.parametrize("name", ["BuildFailed", "NoWheel"])
def test_what_cannot_be_built_says_so(name: str) -> None:
    result = TrialResult(error=name, reason="demo 2.0 could not be built")
    assert judged(result) == (Outcome.UNBUILDABLE, "demo 2.0 could not be built")


@pytest.mark.parametrize("name", ["IndexUnreachable", "DiskFull", "WrongEnvironment", "ToolFailed"])
def test_what_prevented_the_run_is_no_failure(name: str) -> None:
    result = TrialResult(error=name, reason="cannot reach the index")
    assert judged(result) == (Outcome.ERROR, "cannot reach the index")


def test_what_is_raised_before_the_function_is_called_is_no_failure() -> None:
    result = TrialResult(reason="PermissionError: [Errno 13] Permission denied")
    assert judged(result) == (
        Outcome.ERROR,
        "the environment was not made: PermissionError: [Errno 13] Permission denied",
    )


@pytest.mark.parametrize("result", [FAILED, PASSED, None])
def test_a_full_disk_explains_everything(result: TrialResult | None) -> None:
    assert judged(result, disk_full=True, overdue=True) == (Outcome.ERROR, "the disk is full")


def test_a_nox_that_was_never_ready_is_no_timeout_of_the_tests() -> None:
    assert judged(None, None, overdue=True) == (Outcome.ERROR, "nox did not come to its end")


@pytest.mark.parametrize("result", [FAILED, PASSED, None])
def test_what_was_stopped_from_outside_is_not_believed(result: TrialResult | None) -> None:
    assert judged(result, None) == (Outcome.ERROR, "it was stopped")


def test_a_log_without_a_word_says_so() -> None:
    assert judged(None)[1] == "nox did not run the session: it said nothing"


def test_an_endless_line_is_cut() -> None:
    assert len(judged(None, log="x" * 10_000)[1]) < 400


RESULTS = st.builds(
    TrialResult,
    ready=st.booleans(),
    passed=st.booleans(),
    stop=st.sampled_from(["", "timeout", "SIGINT"]),
    skipped=st.booleans(),
    error=st.sampled_from(["", "BuildFailed", "IndexUnreachable"]),
    reason=st.sampled_from(["", "boom"]),
)


@given(st.none() | RESULTS, st.sampled_from([None, 0, 1, -9]), st.booleans(), st.booleans())
def test_passing_and_failing_both_need_proof(
    result: TrialResult | None,
    code: int | None,
    overdue: bool,  # noqa: FBT001
    disk_full: bool,  # noqa: FBT001
) -> None:
    outcome, _ = judged(result, code, overdue=overdue, disk_full=disk_full)
    if outcome is Outcome.ERROR:
        return
    assert result is not None
    assert (overdue, disk_full, code is None) == (False, False, False)
    match outcome:
        case Outcome.UNBUILDABLE:
            assert result.error
        case Outcome.TIMEOUT:
            assert result.stop == "timeout"
        case Outcome.PASS:
            assert (result.passed, result.stop, result.skipped, code) == (True, "", False, 0)
        case _:
            assert outcome is Outcome.FAIL
            assert (result.ready, result.passed, result.skipped) == (True, False, False)
            assert not result.stop
