"""The process tree of a session, ended whole by a timeout or a signal.

nox alone leaves grandchildren behind, and reports success where a command that was
stopped exits with 0. Here a stop is a flag: once it is set, every descendant is ended
until the session has returned, and the session ends as stopped, whatever it returned.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import threading
import time
from enum import Enum
from typing import TYPE_CHECKING, Any

from nox_envs import _processes

if TYPE_CHECKING:
    from types import FrameType

    from nox_envs._processes import Process

__all__ = ["TAG_VARIABLE", "Stop", "Stopped", "Tree"]


def __dir__() -> list[str]:
    return __all__


TAG_VARIABLE = "NOX_ENVS_TREE"
"""Set for every command of a session, so that its daemons can be told from others."""

_GRACE = 2.0
"""Seconds from SIGTERM to SIGKILL."""
_GRACE_OF_WORKER = 0.8
"""The same in a process of nox's `-j`, which is itself killed 2 seconds after SIGTERM."""
_LAST_RESORT = 10.0
"""Seconds after which what cannot be killed is given up."""
_TICK = 0.05
_POKE_EVERY = 0.2
_POLL = 0.5
"""Seconds between looks for descendants where orphans are not adopted."""


class Stop(Enum):
    """What stopped a session."""

    TIMEOUT = "timeout"
    INTERRUPT = "SIGINT"
    TERMINATE = "SIGTERM"
    HANGUP = "SIGHUP"


class Stopped(KeyboardInterrupt):
    """Raised into the main thread, so that it leaves what it is doing."""


class Tree:
    """Guards a block: what it starts ends with it, if it is stopped.

    After the block, `stop` says what stopped it, and `survivors` which processes it
    left running when nothing did. A block that is stopped may end in any way; the
    caller then reports the stop. Signals are handled in the main thread only, and only
    where nobody else handles them.
    """

    def __init__(self, *, timeout: float | None, die_with_parent: bool, tag: str) -> None:
        self.stop: Stop | None = None
        self.survivors: tuple[str, ...] = ()
        self._timeout = timeout
        self._die_with_parent = die_with_parent
        self.tag = tag
        self._grace = _GRACE_OF_WORKER if die_with_parent else _GRACE
        self._wake = threading.Event()
        self._returned = False
        self._hurry = False
        self._handlers: dict[int, Any] = {}
        self._before: frozenset[Process] = frozenset()
        self._seen: set[Process] = set()
        self._first_seen: dict[Process, float] = {}

    def __enter__(self) -> Tree:  # noqa: PYI034 - nobody inherits from it
        self._before = _processes.descendants(self.tag)
        self._adopts = _processes.become_subreaper(wanted=True)
        self._parent = os.getppid()
        self._told_of_death = self._die_with_parent and _processes.die_with_parent(wanted=True)
        if threading.current_thread() is threading.main_thread():
            self._install()
        self._watcher = threading.Thread(target=self._watch, name="nox-envs-tree", daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(Stopped):
            self._returned = True
        self._returned = True
        self._wake.set()
        self._watcher.join()
        if self.stop is None:
            left = self._new()
            self.survivors = tuple(sorted(str(process) for process in left))
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if self._told_of_death:
            _processes.die_with_parent(wanted=False)
        if self._adopts:
            _processes.become_subreaper(wanted=False)

    # -- in the main thread

    def _install(self) -> None:
        stops = {"SIGINT": signal.default_int_handler, "SIGTERM": signal.SIG_DFL,
                 "SIGHUP": signal.SIG_DFL}  # fmt: skip
        for name, default in stops.items():
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is default:
                self._handlers[number] = signal.signal(number, self._on_signal)
        alarm = getattr(signal, "SIGALRM", None)
        if alarm is not None and signal.getsignal(alarm) is signal.SIG_DFL:
            self._handlers[alarm] = signal.signal(alarm, self._on_poke)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.stop is None:
            self.stop = Stop(signal.Signals(number).name)
        else:
            self._hurry = True
        self._wake.set()
        if not self._returned:
            raise Stopped

    def _on_poke(self, _number: int, frame: FrameType | None) -> None:
        """Leave Python code; a wait for a command ends by itself when the command does."""
        while frame is not None:
            if frame.f_globals.get("__name__") in {"nox.popen", "subprocess"}:
                return
            frame = frame.f_back
        if self.stop is not None and not self._returned:
            raise Stopped

    # -- in the watcher

    def _watch(self) -> None:
        self._wait()
        if self.stop is None and not self._returned:
            self.stop = Stop.TIMEOUT
        if self.stop is not None:
            self._end_all()

    def _wait(self) -> None:
        """Until the block has returned, is stopped, or its time is over."""
        polls = not self._adopts or (self._die_with_parent and not self._told_of_death)
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        while not self._wake.is_set():
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            step = _POLL if polls else left
            self._wake.wait(step if left is None or step is None else min(step, left))
            if not self._adopts:
                self._seen |= self._new()
            if self._die_with_parent and os.getppid() != self._parent and self.stop is None:
                self.stop = Stop.TERMINATE
                return

    def _end_all(self) -> None:
        poked = 0.0
        gave_up = None
        while True:
            now = time.monotonic()
            living = self._living()
            for process in living:
                first = self._first_seen.setdefault(process, now)
                force = self._hurry or now - first > self._grace
                if force or first == now:
                    _processes.end(process, force=force)
            if self._returned:
                gave_up = gave_up or now + _LAST_RESORT
                if not living or now > gave_up:
                    return
            elif now - poked > _POKE_EVERY:
                poked = now
                self._poke()
            time.sleep(_TICK)

    def _poke(self) -> None:
        alarm = getattr(signal, "SIGALRM", None)
        main = threading.main_thread().ident
        if alarm in self._handlers and main is not None:
            signal.pthread_kill(main, alarm)
        elif alarm is None:
            _thread.interrupt_main()

    def _new(self) -> frozenset[Process]:
        return _processes.descendants(self.tag) - self._before

    def _living(self) -> frozenset[Process]:
        """What is to be ended: all that descends from the block, adopted or not."""
        now = self._new()
        if self._adopts:
            return now
        return now | frozenset(p for p in self._seen if _processes.is_alive(p))
