"""Which processes descend from this one, and how to end one without hitting another.

A pid alone is not a name: it is used again. A process is its pid and when it started.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Process", "become_subreaper", "descendants", "die_with_parent", "end", "is_alive"]


def __dir__() -> list[str]:
    return __all__


_PROC = Path("/proc")
_HAS_PROC = sys.platform == "linux"
"""Where it is False, psutil tells; tests switch it off."""
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One running process."""

    pid: int
    started: float
    """When, in a unit of the system; only compared."""
    name: str

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"


def descendants(tag: str) -> frozenset[Process]:
    """All living descendants of this process.

    Where orphans are not adopted by this process, those are found too that hold `tag`
    in a variable of their environment (`NOX_ENVS_TREE`).
    """
    return _from_proc() if _HAS_PROC else _from_psutil(tag)


def _from_proc() -> frozenset[Process]:
    children: dict[int, list[Process]] = {}
    for entry in os.listdir(_PROC):  # noqa: PTH208 - a hundred Path objects, twice a session
        if entry.isdigit():
            found = _read_stat(int(entry))
            if found is not None:
                parent, process = found
                children.setdefault(parent, []).append(process)
    living: set[Process] = set()
    pending = [os.getpid()]
    while pending:
        for process in children.get(pending.pop(), ()):
            living.add(process)
            pending.append(process.pid)
    return frozenset(living)


def _read_stat(pid: int) -> tuple[int, Process] | None:
    """The parent of a process and itself; None for one that has ended (proc(5))."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    name = text[text.index("(") + 1 : text.rindex(")")]
    fields = text[text.rindex(")") + 2 :].split()
    if fields[0] in {"Z", "X"}:
        return None
    return int(fields[1]), Process(pid=pid, started=float(fields[19]), name=name)


def _from_psutil(tag: str) -> frozenset[Process]:
    import psutil  # noqa: PLC0415 - installed only where there is no /proc

    found = list(psutil.Process().children(recursive=True))
    for one in psutil.process_iter():
        try:
            tagged = one.environ().get("NOX_ENVS_TREE") == tag
        except psutil.Error:
            continue
        if tagged and one.pid != os.getpid():
            found.append(one)
            found += _quietly(lambda one=one: one.children(recursive=True), [])
    living = set()
    for one in found:
        if _quietly(one.status, psutil.STATUS_ZOMBIE) != psutil.STATUS_ZOMBIE:
            name = _quietly(one.name, "?")
            living.add(Process(pid=one.pid, started=one.create_time(), name=name))
    return frozenset(living)


def _quietly(ask: Any, default: Any) -> Any:
    """What a process says of itself, if it still can."""
    import psutil  # noqa: PLC0415

    try:
        return ask()
    except psutil.Error:
        return default


def end(process: Process, *, force: bool) -> None:
    """Ask a process to end, or end it; nothing where it has ended by itself."""
    if not is_alive(process):
        return
    number = signal.SIGKILL if force and hasattr(signal, "SIGKILL") else signal.SIGTERM
    try:
        os.kill(process.pid, number)
    except (ProcessLookupError, PermissionError):
        return


def become_subreaper(*, wanted: bool) -> bool:
    """Have orphaned descendants adopted by this process (prctl(2)); whether that works."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, int(wanted))


def die_with_parent(*, wanted: bool) -> bool:
    """Have SIGTERM sent to this process when its parent ends; whether that works."""
    return _prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM) if wanted else 0)


def _prctl(option: int, value: int) -> bool:
    if not _HAS_PROC:
        return False
    try:
        return bool(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) == 0)
    except (AttributeError, OSError):
        return False


def is_alive(process: Process) -> bool:
    """Whether it is still the same process, and runs."""
    if _HAS_PROC:
        found = _read_stat(process.pid)
        return found is not None and found[1].started == process.started
    import psutil  # noqa: PLC0415

    try:
        one = psutil.Process(process.pid)
        return bool(one.create_time() == process.started) and one.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
