"""A session that is stopped leaves no process and is never green: under real nox."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.bench import Bench

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="needs signals and sessions of POSIX"),
]

STUBBORN = """
    import os, signal, subprocess, sys, time
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    depth, mark = int(sys.argv[1]), sys.argv[2]
    if depth:
        subprocess.Popen([sys.executable, __file__, str(depth - 1), mark])
    if depth == 1 and os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        mark += "-daemon"
    open(f"{mark}-{os.getpid()}", "w").close()
    while True:
        time.sleep(1)
"""
POLITE = """
    import signal, sys, time
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    open(sys.argv[1], "w").close()
    while True:
        time.sleep(1)
"""
LAUNCH = """
    import os, signal, sys
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["nox", *sys.argv[1:]]
    import nox
    nox.main()
"""


def living(marks: Path) -> list[int]:
    """The processes that left a mark and still run."""
    found = []
    for mark in marks.glob("mark-*"):
        pid = int(mark.name.rpartition("-")[2])
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{pid}/stat").read_text()
            if text[text.rindex(")") + 2] != "Z" and str(marks) in _command(pid):
                found.append(pid)
    return found


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


class Stopping:
    """A nox that is to be stopped in the middle."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.marks = bench.root / "marks"
        self.marks.mkdir()
        bench.write("stubborn.py", STUBBORN)
        bench.write("polite.py", POLITE)
        bench.write("launch.py", LAUNCH)
        self.log = bench.root / "nox.log"

    def noxfile(self, body: str, timeout: float | None = None) -> None:
        mark = str(self.marks / "mark")
        self.bench.noxfile(
            f"MARK = {mark!r}\n"
            f"@nox_envs.session(timeout={timeout}, matrix={{'alpha': ['1.0', '2.0']}})\n"
            "def test(session, alpha):\n"
            "    open(MARK + '.began-' + alpha, 'w').close()\n"
            + textwrap.indent(textwrap.dedent(body), "    ")
        )

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "launch.py", *words],
                cwd=self.bench.project,
                env=self.bench.variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_for_marks(self, pattern: str, count: int) -> None:
        self.bench.wait_for(lambda: len(list(self.marks.glob(pattern))) >= count)

    @property
    def out(self) -> str:
        return self.log.read_text(errors="replace")


@pytest.fixture
def stopping(uv_bench: Bench) -> Iterator[Stopping]:
    if not Path("/proc/self/stat").exists():
        pytest.skip("survivors are counted in /proc")
    case = Stopping(uv_bench)
    yield case
    for pid in living(case.marks):
        os.kill(pid, signal.SIGKILL)


TREE = """
    session.run("python", "stubborn.py", "2", MARK)
"""
SWALLOW = """
    for _ in range(3):
        try:
            session.run("python", "stubborn.py", "2", MARK)
        except BaseException:
            pass
"""
EXITS_WITH_0 = """
    session.run("python", "polite.py", MARK + ".polite")
    session.log("went on")
"""
PURE = """
    open(MARK + ".pure", "w").close()
    try:
        while True:
            pass
    except BaseException:
        session.log("caught")
    while True:
        pass
"""


@pytest.mark.parametrize("body", [TREE, SWALLOW], ids=["tree", "swallow"])
def test_timeout_ends_the_whole_tree(stopping: Stopping, body: str) -> None:
    stopping.noxfile(body, timeout=4)
    nox = stopping.start("-s", "test(alpha='1.0')")
    assert nox.wait(60) == 1, stopping.out
    assert len(list(stopping.marks.glob("mark-daemon-*"))) >= 1
    assert len(list(stopping.marks.glob("mark-[0-9]*"))) >= 3
    assert living(stopping.marks) == []
    assert "aborted: timed out after 4 s" in stopping.out


def test_timeout_leaves_pure_python(stopping: Stopping) -> None:
    stopping.noxfile(PURE, timeout=3)
    nox = stopping.start("-s", "test(alpha='1.0')")
    assert nox.wait(60) == 1, stopping.out
    assert list(stopping.marks.glob("mark.pure"))
    assert "timed out after 3 s" in stopping.out


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_ends_the_whole_tree(stopping: Stopping, name: str) -> None:
    stopping.noxfile(SWALLOW)
    nox = stopping.start("-s", "test")
    stopping.wait_for_marks("mark-[0-9]*", 3)
    stopping.wait_for_marks("mark-daemon-*", 1)
    os.kill(nox.pid, getattr(signal, name))
    assert nox.wait(30) == 130, stopping.out
    assert living(stopping.marks) == []
    assert not list(stopping.marks.glob("mark.began-2.0"))


def test_ctrl_c_to_the_group(stopping: Stopping) -> None:
    stopping.noxfile(TREE)
    nox = stopping.start("-s", "test")
    stopping.wait_for_marks("mark-daemon-*", 1)
    os.killpg(nox.pid, signal.SIGINT)
    assert nox.wait(30) == 130, stopping.out
    assert living(stopping.marks) == []


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_child_that_exits_with_0_does_not_make_it_green(stopping: Stopping, name: str) -> None:
    stopping.noxfile(EXITS_WITH_0)
    nox = stopping.start("-s", "test")
    stopping.wait_for_marks("mark.polite", 1)
    os.kill(nox.pid, getattr(signal, name))
    assert nox.wait(30) == 130, stopping.out
    assert "was successful" not in stopping.out
    assert not list(stopping.marks.glob("mark.began-2.0"))


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT", "SIGKILL"])
def test_parallel_leaves_nothing_either(stopping: Stopping, name: str) -> None:
    stopping.noxfile(TREE)
    nox = stopping.start("-j", "2", "-s", "test")
    stopping.bench.wait_for(
        lambda: nox.poll() is not None or len(list(stopping.marks.glob("mark-daemon-*"))) >= 2
    )
    if "unrecognized arguments: -j" in stopping.out:
        pytest.skip("this nox has no -j")
    os.kill(nox.pid, getattr(signal, name))
    assert nox.wait(30) != 0
    stopping.bench.wait_for(lambda: living(stopping.marks) == [], seconds=15)


def test_what_a_session_leaves_running_is_named(stopping: Stopping) -> None:
    mark = str(stopping.marks / "mark")
    stopping.bench.noxfile(
        f"""
        import subprocess, sys
        @nox_envs.session
        def test(session):
            subprocess.Popen([sys.executable, "stubborn.py", "0", {mark!r}],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        """
    )
    ran = stopping.bench.nox()
    assert ran.returncode == 0, ran.out
    assert "Left running by the session: python" in ran.out
    stopping.wait_for_marks("mark-[0-9]*", 1)
    assert len(living(stopping.marks)) == 1
