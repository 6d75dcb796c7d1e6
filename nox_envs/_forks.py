"""The door to warm processes: one that has imported nox, and is forked instead of started anew.

It has never loaded a noxfile, and has one thread. Where there is no safe fork, nothing is lost:
`opened` gives nothing, and a process of its own does the same.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
from io import FileIO
from typing import TYPE_CHECKING, Any

from nox_envs import _process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["Forked", "Forks", "opened", "receive", "send"]


def __dir__() -> list[str]:
    return __all__


CAN_FORK = sys.platform not in {"win32", "darwin"} and hasattr(os, "fork")
"""Not on macOS, whose libraries start threads of their own; tests switch it off."""

_SIZE = 4
_READY = 30.0
_PATIENCE = 5.0


class Forks:
    """Has a warm process fork; any thread may ask."""

    def __init__(self, process: _process.Running, line: socket.socket) -> None:
        self._process = process
        self._line = line
        self._guard = threading.Lock()
        self._count = 0
        self._forked: dict[int, Forked] = {}
        self._over = False
        self._listener = threading.Thread(target=self._listen, name="nox-envs forks", daemon=True)
        self._listener.start()

    def start(self, words: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> Forked | None:
        """Have nox run with some words; None where the warm process is no more.

        As `_process.start`: it leads a session of its own, its output comes through a pipe.
        """
        reader, writer = os.pipe()
        try:
            with self._guard:
                self._count += 1
                forked = Forked(self, self._count, reader)
                self._forked[self._count] = forked
                order = {"id": forked.id, "words": list(words), "env": dict(env), "cwd": str(cwd)}
                if self._over or not self._tell(order, writer):
                    forked.lost()
        finally:
            os.close(writer)
        if not forked.began.wait(_READY):
            self._process.kill()  # Else it would run it after all, beside who takes its place.
            forked.began.wait()
        if forked.pid:
            return forked
        forked.stdout.close()
        return None

    def signal(self, forked: Forked, *, kill: bool) -> None:
        """Have the parent of a process end it: only the parent knows that it is still the same."""
        with self._guard:
            self._tell({"id": forked.id, "kill": kill})

    def close(self) -> None:
        """Have the warm process end, and with it what it forked and nobody has ended."""
        if not self._count:
            self._process.kill()
        with self._guard, contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_WR)
        try:
            self._process.wait(_PATIENCE)
        except _process.StillRuns:
            self._process.kill()
            self._process.wait()
        self._listener.join(_PATIENCE)
        self._line.close()
        _close(self._process)

    def _tell(self, message: Mapping[str, Any], *descriptors: int) -> bool:
        try:
            send(self._line, message, descriptors)
        except OSError:
            return False
        return True

    def _listen(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while (received := receive(self._line)) is not None:
                message, _ = received
                forked = self._forked[message["id"]]
                if "pid" in message:
                    forked.pid = message["pid"]
                    forked.began.set()
                else:
                    del self._forked[message["id"]]
                    forked.ended_with(message["code"])
        with self._guard:
            self._over = True
            left, self._forked = self._forked, {}
        for forked in left.values():
            forked.lost()


class Forked:
    """One fork, with the part of `_process.Running` that a trial needs."""

    def __init__(self, forks: Forks, number: int, reader: int) -> None:
        self.id = number
        self.pid = 0
        self.stdout = FileIO(reader, "rb")
        self.returncode: int | None = None
        self.began = threading.Event()
        self.is_lost = False
        """Whether it ended because the warm process did."""
        self._ended = threading.Event()
        self._forks = forks

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; raises `_process.StillRuns`."""
        if not self._ended.wait(timeout) or self.returncode is None:
            raise _process.StillRuns("nox", timeout or 0.0)
        return self.returncode

    def terminate(self) -> None:
        self._forks.signal(self, kill=False)

    def kill(self) -> None:
        self._forks.signal(self, kill=True)

    def ended_with(self, code: int) -> None:
        self.returncode = code
        self._ended.set()

    def lost(self) -> None:
        """The warm process has ended, and what it had forked with it."""
        self.is_lost = True
        self.ended_with(-9)
        self.began.set()


@contextlib.contextmanager
def opened(*, env: Mapping[str, str], cwd: Path) -> Iterator[Forks | None]:
    """A warm process, until the end of the `with` statement; None where it cannot be."""
    if not CAN_FORK:
        yield None
        return
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-m", "nox_envs._worker", str(theirs.fileno())]
        process = _process.start(command, env=env, cwd=cwd, keeps=(theirs.fileno(),))
        theirs.close()
        # Until it has imported all, orders wait in the socket, and the campaign plans.
        forks = Forks(process, ours)
        try:
            yield forks
        finally:
            forks.close()


def _close(process: _process.Running) -> None:
    if process.stdout is not None:
        process.stdout.close()


def send(line: socket.socket, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Send a message, and descriptors with it, on a stream."""
    body = json.dumps(message).encode("ascii")
    size = len(body).to_bytes(_SIZE, "big")
    socket.send_fds(line, [size], list(descriptors))
    line.sendall(body)


def receive(line: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """The next message, with its descriptors; None at the end of the stream."""
    size, descriptors, _, _ = socket.recv_fds(line, _SIZE, 1)
    while 0 < len(size) < _SIZE:
        size += line.recv(_SIZE - len(size))
    if not size:
        return None
    left, body = int.from_bytes(size, "big"), b""
    while left > len(body):
        piece = line.recv(left - len(body))
        if not piece:
            return None
        body += piece
    return json.loads(body), descriptors
