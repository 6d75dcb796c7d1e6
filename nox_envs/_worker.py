"""A warm process: it has imported nox and what a trial needs, and never a noxfile.

`python -m nox_envs._worker FD` reads orders from a socket, and forks for each. A fork sees what a
`python -m nox` in a process of its own would see.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import sys
import tempfile
import threading
from typing import TYPE_CHECKING, Any, NoReturn

import nox.__main__

from nox_envs import _forks, _host

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["serve"]


def __dir__() -> list[str]:
    return __all__


_NEEDED = (
    "nox.tasks", "nox.virtualenv", "nox.sessions", "nox.popen", "nox_envs", "nox_envs.running",
    "configparser", "ctypes", "filelock", "hmac", "importlib.metadata", "packaging.pylock", "pkgutil",
    "python_discovery", "tomli_w", "urllib.request", "venv",
)  # fmt: skip
"""What a trial would import."""

_HIGHEST = 1024
"""Above the descriptors that a warm process ever has."""

_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD) if sys.platform != "win32" else ()


def serve(line: socket.socket) -> None:
    """Fork as it is told, and tell how the forks end, until nobody listens."""
    children: dict[int, int] = {}
    ears, bell = os.pipe()
    for end in (ears, bell):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
    gc.collect()
    gc.freeze()  # What is never looked at is never copied.
    while True:
        ready, _, _ = select.select([line.fileno(), ears], [], [])
        if ears in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(ears, 4096)
            _tell_ended(line, children)
        if line.fileno() in ready and not _follow(line, children):
            return


def _follow(line: socket.socket, children: dict[int, int]) -> bool:
    """Follow one order; False where there will be no more."""
    received = _forks.receive(line)
    if received is None:
        return False
    order, descriptors = received
    if "kill" in order:
        for pid, number in children.items():
            if number == order["id"]:
                os.kill(pid, signal.SIGKILL if order["kill"] else signal.SIGTERM)
        return True
    pid = os.fork()
    if pid == 0:
        line.close()
        _become(order, descriptors[0])
    os.close(descriptors[0])
    children[pid] = order["id"]
    _forks.send(line, {"id": order["id"], "pid": pid})
    return True


def _tell_ended(line: socket.socket, children: dict[int, int]) -> None:
    for pid in list(children):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            _forks.send(line, {"id": children.pop(pid), "code": code})


def _become(order: Mapping[str, Any], output: int) -> NoReturn:
    """Be what `python -m nox` would be, to the end."""
    code = 1
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        for standard in (1, 2):
            os.dup2(output, standard)
        os.closerange(3, _HIGHEST)
        os.environ.clear()
        os.environ.update(order["env"])
        os.chdir(order["cwd"])
        if not getattr(sys.flags, "safe_path", False):
            sys.path[0] = os.getcwd()  # noqa: PTH109 - as `python -m` has it
        sys.argv[:] = [str(nox.__main__.__file__), *order["words"]]
        tempfile.tempdir = None
        code = _run()
    finally:
        with contextlib.suppress(BaseException):
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        os._exit(code)


def _run() -> int:
    """The exit code of nox, as the interpreter would have it."""
    code: Any = 0
    try:
        nox.__main__.main()
    except SystemExit as left:
        code = left.code
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except BaseException:  # noqa: BLE001 - as the interpreter does
        sys.excepthook(*sys.exc_info())
        code = 1
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()  # noqa: SLF001 - nothing public runs them before `_exit`
    if isinstance(code, int):
        return code & 0xFF
    if code is not None:
        sys.stderr.write(f"{code}\n")
    return int(code is not None)


def main() -> None:
    """Be forked until the other end of the socket is closed."""
    for name in _NEEDED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    _host.warm()
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)  # noqa: FBT003 - it has no name
    with socket.socket(fileno=descriptor) as line:
        serve(line)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        main()
