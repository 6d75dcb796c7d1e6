"""One trial: a nox of its own in a copy of the tree, watched to its end and beyond."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from nox_envs import _files, _process, _processes
from nox_envs.outcome import Failure, Outcome
from nox_envs.run import evidence, junit
from nox_envs.run import log as logs
from nox_envs.run.exchange import TrialResult
from nox_envs.run.judge import judge
from nox_envs.run.signature import failure as read_failure
from nox_envs.run.suspects import modules

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from nox_envs._forks import Forks

__all__ = ["Ran", "Start", "run"]


def __dir__() -> list[str]:
    return __all__


_STEP = 0.05
_GRACE = 4.0
"""Seconds for a nox that is asked to end: it gives its own processes two."""
_PREPARING = 3600.0
"""Seconds in which an environment must be complete, builds from source included."""
_LITTLE = 64 << 20
"""Bytes that are free on a disk that is as good as full."""
_FULL = ("No space left on device", "Disk quota exceeded", "[Errno 28]", "[Errno 122]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How a trial is started."""

    words: Sequence[str]
    """For nox."""
    env: Mapping[str, str]
    directory: Path
    log: Path
    result: Path
    junit: Path
    evidence: Path
    redact: Callable[[bytes], bytes]
    limit: Callable[[], float | None]
    """Seconds for the session's function, asked again and again; None while there is none."""
    stop: threading.Event
    """Set where the campaign is stopped."""
    forks: Forks | None = None
    """Starts nox without the time that it takes to start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A trial that has ended."""

    outcome: Outcome
    reason: str
    seconds: float
    failure: Failure | None = None
    passed_tests: int = 0
    """How many tests passed, where it failed and pytest told."""
    modules: tuple[str, ...] = ()
    """Top-level modules that the failure points at, the most suspicious first."""
    looked_up: frozenset[str] | None = None
    """Top-level modules that were looked up, of those that were watched."""
    result: TrialResult | None = None
    offline: str = ""
    """Why what the session itself installs could not be downloaded, where it failed for that."""
    is_stopping: bool = False
    """Whether pytest stopped before its last test."""
    has_damaged_bytecode: bool = False
    """Whether Python could not read a file of bytecode, as a power cut may leave it."""


def run(start: Start) -> Ran:
    """Run a trial to its end; nothing that it started is left, whoever started it."""
    begun = time.monotonic()
    process = _started(start)
    tag = start.env[_processes.TAG_VARIABLE]
    pump = None
    overdue = timed_out = False
    try:
        if process.stdout is not None:
            log = logs.CappedLog(start.log, redact=start.redact)
            pump = logs.Pump(process.stdout.fileno(), log)
        overdue, timed_out = _wait(process, start, begun)
    finally:
        whole = process.poll() is not None
        _end(process, tag)
        summary = (pump.wait(1.0) or pump.stop()) if pump is not None else None
        if process.stdout is not None:
            process.stdout.close()
    if getattr(process, "is_lost", False) and not start.stop.is_set():
        return run(replace(start, forks=None))  # In a process of its own.
    seconds = time.monotonic() - begun
    result = TrialResult.read(start.result)
    text = logs.read(start.log) if start.log.exists() else ""
    if timed_out:
        return Ran(
            outcome=Outcome.TIMEOUT, reason="it did not end in time", seconds=seconds, result=result
        )
    outcome, reason = judge(
        result=result,
        returncode=process.returncode if whole else None,
        overdue=overdue,
        disk_full=(summary is not None and summary.disk_full) or _is_full(start.directory, text),
        log=text,
    )
    looked_up = evidence.read(start.evidence)
    if outcome is not Outcome.FAIL:
        return Ran(
            outcome=outcome, reason=reason, seconds=seconds, looked_up=looked_up, result=result
        )
    told = _files.read_text(start.junit) if start.junit.exists() else ""
    tests = junit.failures(told)
    if tests is not None:
        # What XML escapes, no secret is recognised in.
        tests = {_clean(start, name): _clean(start, said) for name, said in tests.items()}
    return Ran(
        outcome=outcome,
        reason=reason,
        seconds=seconds,
        failure=read_failure(text, tests=tests, exit_code=process.returncode),
        passed_tests=junit.passed(told),
        modules=modules(text),
        looked_up=looked_up,
        result=result,
        offline=_offline(text),
        is_stopping="stopping after" in text or "Interrupted: " in text,
        has_damaged_bytecode="bad marshal data" in text or "marshal data too short" in text,
    )


def _started(start: Start) -> _process.Running:
    env, directory = start.env, start.directory
    forked = start.forks and start.forks.start(start.words, env=env, cwd=directory)
    command = [sys.executable, "-m", "nox", *start.words]
    return forked or _process.start(command, env=env, cwd=directory)


_COMMAND = re.compile(r"^nox > Command (.*) failed with exit code", re.MULTILINE)
_INSTALL = re.compile(r"\S*(?:uv pip|python[\d.]* -m pip|pip[\d.]*) install\b")
_OFFLINE = re.compile(
    r"error sending request for url|Failed to fetch|network was disabled|Connection refused"
    r"|Could not fetch URL|Max retries exceeded|ReadTimeoutError|ConnectTimeoutError"
    r"|NewConnectionError|Temporary failure in name resolution|HTTP error 5\d\d"
    r"|5\d\d (?:Server Error|Internal Server Error|Service Unavailable|Bad Gateway)"
)
"""What uv and pip say when the index cannot be reached."""


def _offline(log: str) -> str:
    """The fault of the network for which an install of the session itself failed."""
    failed = _COMMAND.findall(log)
    if not failed or not _INSTALL.match(failed[-1]):
        return ""
    found = _OFFLINE.search(log)
    return found[0] if found else ""


def _clean(start: Start, text: str) -> str:
    said = start.redact(text.encode("utf-8", "surrogateescape"))
    return said.decode("utf-8", "surrogateescape")


def _wait(process: _process.Running, start: Start, begun: float) -> tuple[bool, bool]:
    """Wait for the end of a trial; whether it was not ready in time, or not done in time."""
    ready_at = None
    while process.poll() is None and not start.stop.is_set():
        now = time.monotonic()
        if ready_at is None and start.result.exists():
            ready_at = now
        limit = start.limit()
        if ready_at is None:
            if now - begun > _PREPARING:
                return True, False
        elif limit is not None and now - ready_at > limit:
            return False, True
        _process.has_ended(process, _STEP)
    return False, False


def _end(process: _process.Running, tag: str) -> None:
    """End the nox of a trial, which ends what it started, and then whatever is left."""
    if process.poll() is None:
        process.terminate()
        _process.has_ended(process, _GRACE)
    if process.poll() is None:
        process.kill()
    empty = 0
    deadline = time.monotonic() + _GRACE
    while empty < 2 and time.monotonic() < deadline:  # noqa: PLR2004 - one may fork while we look
        left = [each for each in _processes.below(process.pid, tag) if each.pid != os.getpid()]
        for each in left:
            _processes.end(each, kill=True)
        empty = 0 if left else empty + 1
        if left:
            time.sleep(_STEP / 5)
    process.wait()


def _is_full(directory: Path, log: str) -> bool:
    """Whether a program said that the disk is full, and it is."""
    if not any(words in log for words in _FULL):
        return False
    try:
        return shutil.disk_usage(directory).free < _LITTLE
    except OSError:
        return True
