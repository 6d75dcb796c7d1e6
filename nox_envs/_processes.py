"""The door to the processes that a session started: finding, naming and ending them.

Linux answers from /proc, and makes this process the one that orphans are given to, so
that no daemon leaves the tree. Elsewhere psutil answers, and a daemon that was given
to another parent is known from an earlier look, or by the tag in its environment.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["TAG_VARIABLE", "Process", "Processes", "below", "die_with_parent", "end", "of_tree"]


def __dir__() -> list[str]:
    return __all__


TAG_VARIABLE = "NOX_ENVS_TREE"
"""The environment variable by which a process is known to belong to a tree."""

_PROC = Path("/proc")
_HAS_PROC = sys.platform == "linux" and (_PROC / "self" / "stat").exists()
"""Where it is False, psutil answers; tests switch it off."""

_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)
_SET_DEATH_SIGNAL, _GET_DEATH_SIGNAL, _SET_SUBREAPER, _GET_SUBREAPER = 1, 2, 36, 37


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process, for ever: a pid is used again, but not with the same start."""

    pid: int
    started: float
    """In a unit of the system, only compared."""
    parent: int = field(compare=False)
    session: int = field(compare=False, default=0)
    dead: bool = field(compare=False, default=False)
    """Whether nothing but its exit status is left."""
    name: str = field(compare=False, default="")

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"


class Processes(Protocol):
    """The processes that were started under this one since the object was made."""

    looks_every: float
    """Seconds after which it has to look again, not to lose sight of a process."""

    def look(self) -> list[Process]:
        """Those that live, found cheaply: good for telling, not for being sure."""

    def search(self) -> list[Process]:
        """Those that live, found thoroughly."""

    def end(self, process: Process, *, kill: bool) -> None:
        """Ask a process to end, or end it; nothing if it is no longer the same."""

    def close(self) -> None:
        """Take back what the system was told."""


def of_tree(tag: str) -> Processes:
    """Processes of this process from now on; `tag` is the value of their `TAG_VARIABLE`."""
    return _LinuxProcesses(tag) if _HAS_PROC else _PortableProcesses(tag)


def below(pid: int, tag: str) -> list[Process]:
    """What lives below a process that this one started, in its session, or with its tag."""
    return (_linux_below if _HAS_PROC else _portable_below)(pid, tag)


def end(process: Process, *, kill: bool) -> None:
    """Ask a process to end, or end it; nothing if it is no longer the same."""
    (_end_linux if _HAS_PROC else _end_portable)(process, kill=kill)


@contextlib.contextmanager
def die_with_parent() -> Iterator[bool]:
    """Have SIGTERM sent to this process when its parent ends; whether the system does that."""
    before = _prctl_value(_GET_DEATH_SIGNAL) if _HAS_PROC else None
    if before is None or not _prctl(_SET_DEATH_SIGNAL, int(signal.SIGTERM)):
        yield False
        return
    try:
        yield True
    finally:
        _prctl(_SET_DEATH_SIGNAL, before)


# -- Linux ----------------------------------------------------------------------------


class _LinuxProcesses:
    looks_every = 60.0

    def __init__(self, tag: str) -> None:
        self._own = os.getpid()
        own = _read(self._own)
        self._session = own.session if own else 0
        self._mark = f"{TAG_VARIABLE}={tag}".encode()
        self._elsewhere: set[Process] = set()
        self._before: frozenset[Process] = frozenset()
        self._before = frozenset(self._walk(_children))
        self._was_subreaper = _prctl_value(_GET_SUBREAPER)
        self._adopts = self._was_subreaper is not None and _prctl(_SET_SUBREAPER, 1)

    def look(self) -> list[Process]:
        return self._living(self._walk(_children))

    def search(self) -> list[Process]:
        names = os.listdir(_PROC)  # noqa: PTH208 - hundreds of names
        every = [found for name in names if name.isdigit() and (found := _read(name))]
        families: dict[int, list[Process]] = {}
        for process in every:
            families.setdefault(process.parent, []).append(process)
        below = self._walk(lambda pid: families.get(pid, []))
        if not self._adopts:
            lost = set(every) - set(below) - self._before
            below += [process for process in lost if self._is_tagged(process)]
        return self._living(below)

    def end(self, process: Process, *, kill: bool) -> None:
        _end_linux(process, kill=kill)

    def close(self) -> None:
        if self._was_subreaper is not None:
            _prctl(_SET_SUBREAPER, self._was_subreaper)

    def _walk(self, children: Callable[[int], list[Process]]) -> list[Process]:
        """All below this process, but for those that were there before and what is below them."""
        found: dict[Process, None] = {}
        waiting = [self._own]
        while waiting:
            for process in children(waiting.pop()):
                if process not in self._before and process not in found:
                    found[process] = None
                    waiting.append(process.pid)
        return list(found)

    def _is_tagged(self, process: Process) -> bool:
        return process.pid != self._own and _has_variable(process, self._mark)

    def _living(self, found: list[Process]) -> list[Process]:
        """Those that live. What was adopted and is dead is reaped, as nobody else does it.

        A process that `subprocess` started must not be: its exit status would read 0.
        So only what was seen below another process is, or what is in a session that is
        neither ours nor its own, as only a child of another process can be.
        """
        for process in found:
            if process.parent != self._own:
                self._elsewhere.add(process)
            elif process.dead and (
                process in self._elsewhere or process.session not in {self._session, process.pid}
            ):
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)
        return [process for process in found if not process.dead]


def _linux_below(pid: int, tag: str) -> list[Process]:
    names = os.listdir(_PROC)  # noqa: PTH208 - hundreds of names
    every = [found for name in names if name.isdigit() and (found := _read(name))]
    mark = f"{TAG_VARIABLE}={tag}".encode()
    # What is older than we are was started by somebody else: hundreds need not be read.
    own = next((each.started for each in every if each.pid == os.getpid()), 0)
    every = [each for each in every if each.started >= own]
    pids = {each.pid for each in every if pid in {each.pid, each.session}}
    pids |= {each.pid for each in every if each.pid != os.getpid() and _has_variable(each, mark)}
    ours = _with_children(pids, every) - {pid, os.getpid()}
    return [each for each in every if each.pid in ours and not each.dead]


def _with_children(pids: set[int], every: Iterable[Process]) -> set[int]:
    """The same, and all that is below them."""
    found, grew = set(pids), True
    while grew:
        more = {each.pid for each in every if each.parent in found} - found
        found |= more
        grew = bool(more)
    return found


def _has_variable(process: Process, mark: bytes) -> bool:
    try:
        return mark in (_PROC / str(process.pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _end_linux(process: Process, *, kill: bool) -> None:
    if _read(process.pid) == process:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, _KILL if kill else signal.SIGTERM)


def _children(pid: int) -> list[Process]:
    """What the kernel lists; it may miss some while processes come and go."""
    names: list[str] = []
    with contextlib.suppress(OSError):
        for task in (_PROC / str(pid) / "task").iterdir():
            with contextlib.suppress(OSError):
                names += (task / "children").read_text("ascii").split()
    return [found for name in names if (found := _read(name))]


def _read(pid: int | str) -> Process | None:
    """From /proc/PID/stat (proc(5)); nothing if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - hundreds in a row
            stat = file.read()
    except OSError:
        return None
    head, _, tail = stat.rpartition(b")")
    number, _, name = head.partition(b" (")
    fields = tail.split()
    # A process whose first thread has ended is shown as a zombie while others run.
    alone = int(fields[17]) <= 1
    return Process(
        pid=int(number),
        started=int(fields[19]),
        parent=int(fields[1]),
        session=int(fields[3]),
        dead=fields[0] in {b"Z", b"X"} and alone,
        name=name.decode(errors="backslashreplace"),
    )


def _prctl(option: int, argument: object) -> bool:
    """Whether the kernel took it. The standard library has no other way to prctl(2)."""
    import ctypes  # noqa: PLC0415 - only when a session runs

    word = ctypes.c_ulong(argument) if isinstance(argument, int) else argument
    try:
        prctl = ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return False
    return bool(prctl(option, word, *[ctypes.c_ulong()] * 3) == 0)


def _prctl_value(option: int) -> int | None:
    import ctypes  # noqa: PLC0415 - only when a session runs

    value = ctypes.c_int()
    return value.value if _prctl(option, ctypes.byref(value)) else None


# -- elsewhere ------------------------------------------------------------------------


class _PortableProcesses:
    looks_every = 1.0

    def __init__(self, tag: str) -> None:
        self._tag = tag
        self._before: frozenset[Process] = frozenset()
        self._foreign: frozenset[Process] = frozenset()
        now = _running()
        self._own = now[os.getpid()]
        self._known = {self._own.pid: self._own}
        self._spread(now)
        self._before = frozenset(self._known.values()) - {self._own}
        self._known = {self._own.pid: self._own}

    def look(self) -> list[Process]:
        now = _running()
        self._spread(now)
        known = self._before.union(self._known.values())
        others = [process for process in now.values() if process not in known]
        for process in others:
            # What once had no tag does not get one: each process is asked once.
            if process not in self._foreign and self._is_tagged(process):
                self._known[process.pid] = process
        self._spread(now)
        self._foreign = frozenset(others).difference(self._known.values())
        return [
            process
            for process in now.values()
            if process == self._known.get(process.pid) and process != self._own and not process.dead
        ]

    search = look

    def end(self, process: Process, *, kill: bool) -> None:
        _end_portable(process, kill=kill)

    def close(self) -> None:
        """Nothing was told to the system."""

    def _spread(self, now: dict[int, Process]) -> None:
        """Know the children of what is known, until there are no more.

        Windows names dead parents, whose pid another process may have by then: a child
        is not older than its parent.
        """
        grew = True
        while grew:
            grew = False
            for process in now.values():
                parent = self._known.get(process.parent)
                if (
                    parent is not None
                    and parent.started <= process.started
                    and process not in {self._own, self._known.get(process.pid)}
                    and process not in self._before
                ):
                    self._known[process.pid] = process
                    grew = True

    def _is_tagged(self, process: Process) -> bool:
        return _tag_of(process) == self._tag


def _tag_of(process: Process) -> str | None:
    import psutil  # noqa: PLC0415 - only when a session runs

    try:
        return psutil.Process(process.pid).environ().get(TAG_VARIABLE)
    except (psutil.Error, OSError):
        return None


def _portable_below(pid: int, tag: str) -> list[Process]:
    now = _running()
    pids = {each.pid for each in now.values() if each.pid != os.getpid() and _tag_of(each) == tag}
    found = _with_children({pid, *pids}, now.values()) - {pid, os.getpid()}
    return [each for each in now.values() if each.pid in found and not each.dead]


def _end_portable(process: Process, *, kill: bool) -> None:
    import psutil  # noqa: PLC0415 - only when a session runs

    with contextlib.suppress(psutil.Error):
        target = psutil.Process(process.pid)
        if target.create_time() == process.started:
            (target.kill if kill else target.terminate)()


def _running() -> dict[int, Process]:
    import psutil  # noqa: PLC0415 - only when a session runs

    told = ["pid", "ppid", "create_time", "status", "name"]
    return {
        each.info["pid"]: Process(
            pid=each.info["pid"],
            started=each.info["create_time"] or 0.0,
            parent=each.info["ppid"] or 0,
            dead=each.info["status"] == psutil.STATUS_ZOMBIE,
            name=each.info["name"] or "",
        )
        for each in psutil.process_iter(told)
    }
