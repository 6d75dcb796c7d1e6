"""Guards a session's function: a timeout or a signal ends its whole process tree.

A stop has a flag. Once it is set, a thread keeps ending every process that the function
started, until the function has returned and nothing is left. The function itself is left
by an exception in the main thread, which it may catch; the flag stays, and whoever reads
it afterwards does not take what the function returned for its outcome.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
import time
from enum import Enum
from typing import TYPE_CHECKING

from nox_envs import _processes
from nox_envs._processes import TAG_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType, TracebackType

__all__ = ["TAG_VARIABLE", "Stop", "Stopped", "Tree"]


def __dir__() -> list[str]:
    return __all__


class Stop(Enum):
    """What stopped a session."""

    TIMEOUT = "timeout"
    INTERRUPT = "SIGINT"
    TERMINATE = "SIGTERM"
    HANGUP = "SIGHUP"


class Stopped(KeyboardInterrupt):
    """Raised into the main thread to leave the function of a session that was stopped."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop.value)
        self.stop = stop


_STOPS = {
    "SIGINT": Stop.INTERRUPT,
    "SIGTERM": Stop.TERMINATE,
    "SIGHUP": Stop.HANGUP,
    "SIGBREAK": Stop.TERMINATE,  # Ctrl-Break, on Windows only.
}
_SIGNALS = {getattr(signal, name): stop for name, stop in _STOPS.items() if hasattr(signal, name)}
_ALARM = getattr(signal, "SIGALRM", None)
"""Runs the handler in the main thread, even where that waits in the system."""

_GRACE = 2.0
_GRACE_OF_WORKER = 1.0
"""nox kills a worker of `-j` two seconds after asking it to end: the tree must be gone then."""
_INTERRUPT_PAUSE = 0.3
"""nox's own: how long processes that Ctrl-C has reached as well may take to tidy up."""
_PATIENCE = 5.0
"""For processes that cannot be ended, as those of another user."""
_STEP = 0.05
_NUDGE = 0.2
_PARENT_STEP = 1.0


class Tree:
    """The processes of one session, around the call of its function.

        with tree:
            try:
                function()
            except BaseException as error:
                failure = error
        if tree.stop is not None:
            ...  # It was stopped, whatever the function returned, raised or caught.

    An exception is raised only into what the frame with the `with` statement calls,
    never into that frame itself, nor after the block. Outside the main thread signals
    are not handled, and a timeout ends processes only. `leave_nothing` ends what still
    runs afterwards even if nothing was stopped.
    """

    def __init__(
        self,
        *,
        timeout: float | None,
        die_with_parent: bool,
        tag: str,
        parent: int | None = None,
        leave_nothing: bool = False,
    ) -> None:
        self.stop: Stop | None = None
        """What stopped the session, if anything did."""
        self.survivors: tuple[str, ...] = ()
        """What still runs at the end: left alone, unless the session was stopped."""
        self._leaves_nothing = leave_nothing
        self._timeout = timeout
        self._die_with_parent = die_with_parent
        # Who it was at first: a parent that ends while nox makes the environment is noticed.
        self._parent = os.getppid() if parent is None else parent
        self.tag = tag
        """The value of `TAG_VARIABLE`, which the caller gives to the session's commands."""
        self._pid = os.getpid()
        self._handler = self._on_signal  # One object, to recognise it by.
        # The only queue that a signal handler may put into at any moment.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._handled = contextlib.ExitStack()
        self._deadline: float | None = None
        self._returned = False
        self._ended = False
        self._hurry = False
        self._grace_is_over = False
        self._polls_parent = False
        self._nudged = False
        self._left_at = 0.0
        self._frame: FrameType | None = None
        self._interrupted: FrameType | None = None

    def __enter__(self) -> Tree:  # noqa: PYI034 - Self is not there before Python 3.11
        self._frame = sys._getframe(1)  # noqa: SLF001 - the only way to it
        self._main = threading.main_thread().ident or 0
        if self._timeout is not None:
            self._deadline = time.monotonic() + self._timeout
        self._processes = _processes.of_tree(self.tag)
        self._watcher = threading.Thread(target=self._watch, name="nox-envs tree", daemon=True)
        with contextlib.ExitStack() as undo:
            undo.callback(self._processes.close)
            with contextlib.ExitStack() as handled:
                handled.enter_context(self._handlers())
                if self._die_with_parent:
                    ours = signal.getsignal(signal.SIGTERM) is self._handler
                    told = ours and handled.enter_context(_processes.die_with_parent())
                    self._polls_parent = not told
                    self._check_parent()
                self._watcher.start()
                self._handled = handled.pop_all()
            undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._returned = True  # From here on signals are only noted.
        self._bell.put(None)
        self._frame = self._interrupted = None
        try:
            self._watcher.join()
            self._handled.close()
            # The thread was over already when a signal came in the last moment.
            if (self.stop is not None or self._leaves_nothing) and not self._ended:
                self._end()
            left = sorted(self._processes.look(), key=lambda process: process.pid)
            self.survivors = tuple(str(process) for process in left)
        finally:
            self._processes.close()

    # -- in the main thread -----------------------------------------------------------

    @contextlib.contextmanager
    def _handlers(self) -> Iterator[None]:
        """Handle what nobody else does; a user's handlers are left alone, before and after."""
        usual = dict.fromkeys([*_SIGNALS, *([_ALARM] if _ALARM else [])], signal.SIG_DFL)
        expected = {**usual, signal.SIGINT: signal.default_int_handler}
        if threading.current_thread() is not threading.main_thread():
            expected = {}
        free = {each: value for each, value in expected.items() if signal.getsignal(each) is value}
        try:
            for number in free:
                signal.signal(number, self._handler)
            yield
        finally:
            for number, value in free.items():
                if signal.getsignal(number) is self._handler:
                    signal.signal(number, value)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._pid or (number == _ALARM and self.stop is None):
            _do_as_usual(number)
            return
        first = False
        if number == _ALARM or (number == signal.SIGINT and self._nudged):
            self._nudged = False
        elif self.stop is None:
            first = True
            self.stop = _SIGNALS[signal.Signals(number)]
            self._interrupted = self._frame_of_nox(frame)
            self._bell.put(None)
        else:
            self._hurry = True
            self._bell.put(None)
        if self.stop is not None and self._may_leave(frame, first=first):
            self._left_at = time.monotonic()
            raise Stopped(self.stop)

    def _may_leave(self, frame: FrameType | None, *, first: bool) -> bool:
        """Whether the function may be left where it is.

        nox is not disturbed while it waits for a command that is being ended, but it is
        told of the first signal, as it would be without us: it then ends the command
        after the times that `session.run` was given.
        """
        if self._returned or frame is self._frame:
            return False
        if self._frame_of_nox(frame) is not None and not (first or self._grace_is_over):
            return False
        return not any(each.f_globals is globals() for each in self._stack(frame))

    def _stack(self, frame: FrameType | None) -> Iterator[FrameType]:
        """From the innermost frame to where the tree was entered."""
        while frame is not None and frame is not self._frame:
            yield frame
            frame = frame.f_back

    def _frame_of_nox(self, frame: FrameType | None) -> FrameType | None:
        """The frame in which nox runs a command, if it does."""
        modules = {"nox.popen", "nox.command"}
        running = (each for each in self._stack(frame) if each.f_globals.get("__name__") in modules)
        return next(running, None)

    # -- in the thread ----------------------------------------------------------------

    def _watch(self) -> None:
        if hasattr(signal, "pthread_sigmask"):
            # A signal is to interrupt what the main thread waits for.
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        look_at = time.monotonic() + self._processes.looks_every
        while self.stop is None and not self._returned:
            now = time.monotonic()
            pauses = [look_at - now, *([_PARENT_STEP] if self._polls_parent else [])]
            if self._deadline is not None:
                pauses.append(self._deadline - now)
            self._sleep(max(0.0, min(pauses)))
            if self._returned:
                break
            now = time.monotonic()
            if self._deadline is not None and now >= self._deadline:
                self._stop(Stop.TIMEOUT)
            if self._polls_parent:
                self._check_parent()
            if now >= look_at:
                self._processes.look()
                look_at = now + self._processes.looks_every
        if self.stop is not None:
            self._end()

    def _stop(self, stop: Stop) -> None:
        self.stop = self.stop or stop

    def _check_parent(self) -> None:
        if os.getppid() != self._parent:
            self._stop(Stop.TERMINATE)

    def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(queue.Empty):
            self._bell.get(timeout=seconds)

    def _end(self) -> None:
        """End every process until the function has returned and there is none."""
        self._spare()
        deadline = time.monotonic() + (_GRACE_OF_WORKER if self._die_with_parent else _GRACE)
        nudge_at = 0.0
        asked: set[_processes.Process] = set()
        empty = 0
        while not (self._returned and empty > 1):  # One may be missed that forks while we read.
            now = time.monotonic()
            self._grace_is_over = self._hurry or now >= deadline
            if now >= max(nudge_at, self._left_at + _NUDGE) and not self._returned:
                self._nudge()
                nudge_at = now + _NUDGE
            found = self._processes.search()
            for process in found:
                if self._grace_is_over or process not in asked:
                    self._processes.end(process, kill=self._grace_is_over)
            asked.update(found)
            empty = 0 if found else empty + 1
            if self._returned and now >= deadline + _PATIENCE:
                break
            self._sleep(_STEP / 10 if self._returned and not found else _STEP)
        self._ended = True

    def _spare(self) -> None:
        """Ctrl-C has reached the session's processes as well: they may tidy up first.

        The command that nox waits for may take the times that `session.run` was given,
        after which nox itself ends it.
        """
        if self.stop is not Stop.INTERRUPT:
            return
        until = time.monotonic() + _INTERRUPT_PAUSE
        while not self._returned and not self._hurry:
            command = self._interrupted
            if command is None:
                if time.monotonic() >= until:
                    return
            else:
                frame = sys._current_frames().get(self._main)  # noqa: SLF001 - it is documented
                if not any(each is command for each in self._stack(frame)):
                    return
            self._sleep(_STEP / 5)

    def _nudge(self) -> None:
        """Have the handler run in the main thread, where alone an exception can be raised."""
        for number in (_ALARM, signal.SIGINT):
            if number is not None and signal.getsignal(number) is self._handler:
                self._nudged = number == signal.SIGINT
                if hasattr(signal, "pthread_kill"):
                    signal.pthread_kill(self._main, number)
                else:
                    import _thread  # noqa: PLC0415 - for Windows

                    _thread.interrupt_main(number)
                return


def _do_as_usual(number: int) -> None:
    """For a fork of this process, and for an alarm that is not ours."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
