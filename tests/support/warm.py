"""Nox for tests: in a fork of a process that has imported it, as the trials of campaigns are.

What a fork sees is what a process of its own would see, and test_worker.py says so. With
`NOX_ENVS_WORKERS=0` each nox is a new process, and so is one that is told something about Python.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from nox_envs import _forks, _process

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nox_envs._forks import Forks

__all__ = ["nox", "opened"]

_SECONDS = 180
_IMPORTED = (
    "campaigning", "upgrade.bisection", "upgrade.campaign", "upgrade.floors", "upgrade.inquest",
    "upgrade.sweep",
)  # fmt: skip
_PROGRAM = "".join(
    [*(f"import nox_envs.{name}\n" for name in _IMPORTED),
     "from nox_envs._worker import main\nmain()\n"],
)  # fmt: skip

_warm: list[Forks] = []


@contextlib.contextmanager
def opened() -> Iterator[None]:
    """Have a warm process, where there can be one."""
    if not _forks.CAN_FORK or os.environ.get("NOX_ENVS_WORKERS") == "0":
        yield
        return
    ours, theirs = socket.socketpair()
    with ours, theirs:
        command = [sys.executable, "-c", _PROGRAM, str(theirs.fileno())]
        process = _process.start(command, env=os.environ, cwd=Path.cwd(), keeps=(theirs.fileno(),))
        theirs.close()
        _warm.append(_forks.Forks(process, ours))
        try:
            yield
        finally:
            _warm.pop().close()


def nox(words: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> tuple[int, str]:
    """Run nox to its end: its exit code, and all that it said."""
    forked = None
    if _warm and not any(name.startswith("PYTHON") for name in env):
        forked = _warm[0].start(words, env=env, cwd=cwd)
    if forked is None:
        done = subprocess.run(
            [sys.executable, "-m", "nox", *words],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
            timeout=_SECONDS,
        )
        return done.returncode, done.stdout
    limit = threading.Timer(_SECONDS, forked.kill)
    limit.start()
    try:
        with forked.stdout as stream:
            out = stream.readall()
        return forked.wait(_SECONDS), out.decode("utf-8")
    finally:
        limit.cancel()
