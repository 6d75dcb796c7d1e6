"""The door to processes: the only place that starts and ends them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["Completed", "Refused", "Running", "StillRuns", "attend", "has_ended", "run", "start"]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A process that has ended, with all that it said."""

    command: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """Both streams, the errors last."""
        return "\n".join(part for part in (self.stdout.rstrip(), self.stderr.rstrip()) if part)


class Refused(Exception):
    """A resolver or an installer could not do what it was told."""

    def __init__(self, tool: str, done: Completed) -> None:
        super().__init__(tool, done)
        self.tool = tool
        """`uv` or `pip`, whose words `done` holds."""
        self.done = done


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path,
    timeout: float | None = None,
    stdin: str = "",
) -> Completed:
    """Run a command to its end without a shell, with `stdin` as all of its input.

    The environment is replaced whole. A command that cannot be started gives a
    return code of 127, as a shell would. Raises `subprocess.TimeoutExpired` after
    `timeout` seconds.
    """
    words = tuple(str(word) for word in command)
    try:
        done = subprocess.run(
            words,
            env=dict(env),
            cwd=cwd,
            timeout=timeout,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            check=False,
        )
    except (FileNotFoundError, PermissionError) as error:
        return Completed(command=words, returncode=127, stdout="", stderr=str(error))
    return Completed(
        command=words, returncode=done.returncode, stdout=done.stdout, stderr=done.stderr
    )


def attend(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path,
    aside: bool = False,
    heard: Callable[[int], object] | None = None,
) -> int:
    """Run a command on the terminal of this process to its end; its exit code, as a shell has it.

    Ctrl-C is the command's to answer, and so is every other signal that would end this process;
    `heard` is called with it. What this process ignores, the command ignores as well. What a
    command prints that is `aside` goes to stderr.
    """
    words = [str(word) for word in command]
    try:
        process = subprocess.Popen(words, env=dict(env), cwd=cwd, stdout=2 if aside else None)
    except (FileNotFoundError, PermissionError):
        return 127

    def pass_on(number: int, _: object) -> None:
        if heard is not None:
            heard(number)
        # The terminal has told the command, too.
        if number != signal.SIGINT or not _may_be_a_key():
            process.send_signal(number)

    with contextlib.ExitStack() as undo:
        if threading.current_thread() is threading.main_thread():
            for name in {"SIGINT", "SIGTERM", "SIGHUP"} & set(dir(signal)):
                number = getattr(signal, name)
                if signal.getsignal(number) is not signal.SIG_IGN:  # As `nohup` has it.
                    undo.callback(signal.signal, number, signal.signal(number, pass_on))
        code = process.wait()
    return code if code >= 0 else 128 - code


def _may_be_a_key() -> bool:
    """Whether Ctrl-C on a terminal reaches this process, and all that it has started with it."""
    if sys.platform == "win32":
        return True
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False  # Without a terminal only `kill` interrupts.
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


StillRuns = subprocess.TimeoutExpired
"""A process has not ended in the time that it had."""


class Running(Protocol):
    """A process that runs, as `subprocess.Popen` shows it."""

    @property
    def pid(self) -> int: ...

    @property
    def stdout(self) -> IO[bytes] | None: ...

    @property
    def returncode(self) -> int | None: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


def has_ended(process: Running, seconds: float) -> bool:
    """Whether a process ends within some seconds."""
    try:
        process.wait(seconds)
    except StillRuns:
        return False
    return True


def start(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path,
    keeps: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a command that leads a session of its own: no key of the terminal reaches it.

    Its output, errors included, comes through the pipe `stdout`; it has no input. It keeps
    descriptors of this process, if it is told to.
    """
    return subprocess.Popen(
        [str(word) for word in command],
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=tuple(keeps),
    )
