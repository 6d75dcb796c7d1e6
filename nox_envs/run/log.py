"""The log of a trial: what a process said, its start and its end, however much it was."""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from nox_envs import _files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["CappedLog", "Pump", "Summary", "pump", "read"]


def __dir__() -> list[str]:
    return __all__


_HEAD = _TAIL = 8 << 20
_BLOCK = 1 << 16
_LONGEST_LINE = 1 << 16
_LONGEST_SECRET = 1 << 13
"""Of which no half is written where a line is longer than the longest."""
_LEFT_IN_PIPE = 1 << 20
"""What is read at most after `stop`: no pipe holds more."""
_POLL_MILLISECONDS = 100
_PATIENCE = 1.0
"""Seconds that `stop` waits for a thread that cannot be told to stop."""
_CAN_POLL = hasattr(select, "poll")
"""Not on Windows; tests switch it off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What became of the bytes that a process said, counted after redaction."""

    total: int
    left_out: int
    """How many of them are not in the file."""
    disk_full: bool = False
    """Whether the file could not be written as it should: no space, a quota, a fault."""


class CappedLog:
    """A file that keeps the first `head` and the last `tail` bytes of what it is given.

    The head is in the file at once; the tail is held in memory until `close`, and
    between them a line says how many bytes were left out. `redact` is given whole lines
    and may be called with the same text twice. Lines longer than 64 KiB are given to
    it in pieces that overlap by 8 KiB. A disk that is full raises nothing. Any thread
    may call.
    """

    def __init__(
        self,
        path: Path,
        *,
        head: int = _HEAD,
        tail: int = _TAIL,
        redact: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._file = _files.create(path)
        self._room = head
        self._limit = tail
        self._redact = redact
        self._lock = threading.Lock()
        self._line = bytearray()
        self._tail: deque[bytearray] = deque()
        self._total = self._in_head = self._in_tail = 0
        self._ends_line = True
        self._disk_full = False
        self._summary: Summary | None = None

    def write(self, data: bytes) -> None:
        """Take what was said; nothing any more once the log is closed."""
        with self._lock:
            if self._summary is None:
                self._keep(data if self._redact is None else self._whole_lines(data))

    def close(self) -> Summary:
        """Complete the file; again and again, with the same answer."""
        with self._lock:
            if self._summary is None:
                self._keep(self._redacted(bytes(self._line)))
                self._summary = self._complete()
            return self._summary

    # -- redaction

    def _whole_lines(self, data: bytes) -> bytes:
        end = data.rfind(b"\n") + 1
        safe = b""
        if end:
            lines = bytes(self._line) + data[:end]
            self._line.clear()
            safe = self._redacted(lines)
        self._line += data[end:]
        if len(self._line) > _LONGEST_LINE:
            masked = self._redacted(bytes(self._line))
            safe += masked[:-_LONGEST_SECRET]
            self._line[:] = masked[-_LONGEST_SECRET:]
        return safe

    def _redacted(self, text: bytes) -> bytes:
        try:
            return self._redact(text) if self._redact and text else text
        except Exception as error:  # noqa: BLE001 - whoever speaks must not wait for ever
            return _notice(len(text), f": cannot redact them ({type(error).__name__})")

    # -- head and tail

    def _keep(self, data: bytes) -> None:
        self._total += len(data)
        if self._room and data:
            put = self._put(data[: self._room])
            self._in_head += put
            self._room = 0 if self._disk_full else self._room - put
            data = data[put:]
        if self._tail and len(self._tail[-1]) + len(data) <= _BLOCK:
            self._tail[-1] += data  # A block for each byte would be more than the bytes.
        elif data:
            self._tail.append(bytearray(data))
        self._in_tail += len(data)
        while (excess := self._in_tail - self._limit) > 0:
            gone = min(excess, len(self._tail[0]))
            del self._tail[0][:gone]
            self._in_tail -= gone
            if not self._tail[0]:
                self._tail.popleft()

    def _complete(self) -> Summary:
        left_out = self._total - self._in_head - self._in_tail
        notice = b""
        if left_out:
            notice = b"\n" * (not self._ends_line) + _notice(left_out)
        # A disk that was full may have room again, and the end says most.
        room = self._put(notice) == len(notice)
        for block in self._tail:
            put = self._put(block) if room else 0
            room = put == len(block)
            left_out += len(block) - put
        self._tail.clear()
        try:
            self._file.close()
        except OSError:
            self._disk_full = True
        return Summary(total=self._total, left_out=left_out, disk_full=self._disk_full)

    def _put(self, data: bytes | bytearray) -> int:
        """Write, and return how much of it there was room for."""
        put = 0
        try:
            while put < len(data):
                put += self._file.write(data[put:])
        except OSError:
            self._disk_full = True
        if put:
            self._ends_line = data[put - 1] == ord("\n")
        return put


def _notice(count: int, why: str = "") -> bytes:
    return f"[nox-envs left out {count} bytes here{why}]\n".encode()


class Pump:
    """A thread that gives a log what comes out of a pipe, until its end or `stop`."""

    def __init__(self, source: BinaryIO | int, log: CappedLog) -> None:
        # A descriptor of its own: nobody closes it while the thread reads.
        self._source = os.dup(source if isinstance(source, int) else source.fileno())
        self._log = log
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="nox-envs log", daemon=True)
        self._thread.start()

    def wait(self, timeout: float | None = None) -> Summary | None:
        """Wait until all have closed the pipe; None while somebody holds it open."""
        self._thread.join(timeout)
        return None if self._thread.is_alive() else self._log.close()

    def stop(self) -> Summary:
        """Take what is in the pipe and close the log, whoever holds the pipe open."""
        self._stopping.set()
        self._thread.join(_PATIENCE)
        return self._log.close()

    def _run(self) -> None:
        left = _LEFT_IN_PIPE
        try:
            while left > 0 and self._is_ready() and (data := os.read(self._source, _BLOCK)):
                self._log.write(data)
                left -= len(data) if self._stopping.is_set() else 0
        except OSError:
            pass  # A terminal ends like this.
        finally:
            os.close(self._source)
            self._log.close()

    def _is_ready(self) -> bool:
        """Wait until reading does not; False once there is nothing to wait for."""
        if not _CAN_POLL:  # A read that waits is left behind by `stop`.
            return not self._stopping.is_set()
        poll = select.poll()
        poll.register(self._source, select.POLLIN)
        while True:
            stopping = self._stopping.is_set()
            if poll.poll(0 if stopping else _POLL_MILLISECONDS):
                return True
            if stopping:
                return False


def pump(
    source: BinaryIO | int,
    path: Path,
    *,
    head: int = _HEAD,
    tail: int = _TAIL,
    redact: Callable[[bytes], bytes] | None = None,
) -> Pump:
    """Write what comes out of a pipe, of which nothing was read yet, to a new log.

    The source stays the caller's, to be closed at any time.
    """
    log = CappedLog(path, head=head, tail=tail, redact=redact)
    try:
        return Pump(source, log)
    except BaseException:
        log.close()
        raise


def read(path: Path) -> str:
    """The text of a log; of a file larger than logs are, both ends."""
    start, between, end = _files.read_ends(path, head=_HEAD + _BLOCK, tail=_TAIL)
    notice = b"\n" + _notice(between) if between else b""
    return (start + notice + end).decode("utf-8", errors="backslashreplace")
