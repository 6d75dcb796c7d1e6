"""A timeout or a signal ends the whole process tree of a session, which is then never green.

Each test starts a Python of its own, which guards a body as the wrapper of a session does.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import nox_envs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to count survivors"),
]

PATIENCE = 30.0

PRELUDE = """
import ctypes, json, os, signal, subprocess, sys, threading, time
from pathlib import Path

# A process in the background of a shell may have been told to ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)

from nox.popen import popen
from nox_envs import _processes, _tree
from nox_envs._tree import TAG_VARIABLE, Tree

here, options = Path(sys.argv[1]), json.loads(sys.argv[2])
if options["portable"]:
    _processes._HAS_PROC = False
if options["grace"]:
    _tree._GRACE = options["grace"]
environment = {**os.environ, TAG_VARIABLE: options["tag"]}

def run(script):
    "As `session.run`."
    return popen([sys.executable, here / script, here], env=environment)

def start(script, **more):
    return subprocess.Popen([sys.executable, here / script, here], env=environment, **more)

def say(name, text="yes"):
    (here / f"{name}.new").write_text(str(text))
    (here / f"{name}.new").rename(here / name)

def wait_for(*names):
    while not all((here / name).exists() for name in names):
        time.sleep(0.01)

def is_subreaper():
    value = ctypes.c_int()
    ctypes.CDLL(None).prctl(37, ctypes.byref(value), 0, 0, 0)
    return bool(value.value)

def death_signal():
    value = ctypes.c_int()
    ctypes.CDLL(None).prctl(2, ctypes.byref(value), 0, 0, 0)
    return value.value

HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)

def state():
    handlers = [str(signal.getsignal(number)) for number in HANDLED]
    return [handlers, is_subreaper(), death_signal()]
"""

GUARD = """
def guard():
    before, outcome, inside = state(), "returned", None
    tree = Tree(timeout=options["timeout"], die_with_parent=options["worker"], tag=options["tag"])
    with tree:
        inside = state()
        try:
            body()
        except BaseException as error:
            outcome = type(error).__name__
    say("ended", json.dumps({
        "stop": tree.stop.name if tree.stop else None,
        "outcome": outcome,
        "survivors": tree.survivors,
        "restored": before == state(),
        "inside": inside,
    }))
"""

TAIL = """
guard()
"""

SCRIPT = """
import os, signal, sys
from pathlib import Path

here = Path(sys.argv[1])

def say(name, text="yes"):
    (here / f"{name}.new").write_text(str(text))
    (here / f"{name}.new").rename(here / name)

def stay(name):
    say(name, os.getpid())
    while True:
        signal.pause()
"""

STUBBORN = """
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
if os.fork() == 0:
    stay("grandchild")
first = os.fork()
if first == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    stay("daemon")
os.waitpid(first, 0)
stay("child")
"""
FAMILY = ("child", "grandchild", "daemon")

POLITE = """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
stay("polite")
"""

PLAIN = """
stay("plain")
"""

RUN_STUBBORN = """
def body():
    run("stubborn.py")
"""


@dataclass(kw_only=True)
class Bench:
    """One guarded body, and what it left in its directory."""

    here: Path
    body: str
    portable: bool = False
    timeout: float | None = None
    worker: bool = False
    grace: float | None = None
    tail: str = TAIL
    tag: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def command(self) -> list[str]:
        scripts = {"stubborn": STUBBORN, "polite": POLITE, "plain": PLAIN}
        for name, text in scripts.items():
            (self.here / f"{name}.py").write_text(SCRIPT + text)
        script = self.here / "guard.py"
        script.write_text(PRELUDE + self.body + GUARD + self.tail)
        told = ("tag", "portable", "timeout", "worker", "grace")
        options = json.dumps({name: getattr(self, name) for name in told})
        return [sys.executable, str(script), str(self.here), options]

    def start(self) -> subprocess.Popen[bytes]:
        root = Path(nox_envs.__file__).parents[1]
        return subprocess.Popen(
            self.command, env={**os.environ, "PYTHONPATH": str(root)}, start_new_session=True
        )

    def wait_for(self, *names: str) -> None:
        until(lambda: all((self.here / name).exists() for name in names))

    def pid(self, name: str) -> int:
        return int((self.here / name).read_text())

    def ended(self) -> dict[str, Any]:
        self.wait_for("ended")
        found: dict[str, Any] = json.loads((self.here / "ended").read_text())
        return found

    def living(self) -> dict[int, str]:
        """All processes of the machine with the tag; what is dead and not reaped is dead."""
        mark = f"NOX_ENVS_TREE={self.tag}".encode()
        found = {}
        for process in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if process.name.isdigit() and mark in (process / "environ").read_bytes():
                    name, _, rest = (process / "stat").read_text().rpartition(")")
                    if rest.split()[0] not in {"Z", "X"}:
                        found[int(process.name)] = name
        return found


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.01)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Make benches; whatever they leave behind is killed in the end."""
    made: list[Bench] = []
    started: list[subprocess.Popen[bytes]] = []

    class Started(Bench):
        def start(self) -> subprocess.Popen[bytes]:
            process = super().start()
            started.append(process)
            return process

    def make(body: str, **options: Any) -> Bench:
        made.append(Started(here=tmp_path, body=body, **options))
        return made[-1]

    yield make
    for process in started:
        process.kill()
        process.wait()
    for each in made:
        for pid in each.living():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture(params=[False, True], ids=["proc", "psutil"])
def portable(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


# -- timeouts -------------------------------------------------------------------------


def test_a_timeout_ends_a_command_with_all_that_it_started(
    bench: Callable[..., Bench], *, portable: bool
) -> None:
    made = bench(RUN_STUBBORN, timeout=2.0, portable=portable)
    process = made.start()
    ended = made.ended()
    assert process.wait(PATIENCE) == 0
    made.wait_for(*FAMILY)
    assert made.living() == {}
    assert ended["stop"] == "TIMEOUT"
    assert ended["restored"]
    assert ended["survivors"] == []


def test_a_timeout_leaves_python_code(bench: Callable[..., Bench], *, portable: bool) -> None:
    body = """
def body():
    start("stubborn.py")
    wait_for("child", "grandchild", "daemon")
    while True:
        pass
"""
    made = bench(body, timeout=2.0, portable=portable)
    made.start()
    ended = made.ended()
    assert ended["outcome"] == "Stopped"
    assert ended["stop"] == "TIMEOUT"
    made.wait_for(*FAMILY)
    assert made.living() == {}


def test_a_timeout_leaves_a_wait_in_the_system(bench: Callable[..., Bench]) -> None:
    body = """
def body():
    os.mkfifo(here / "fifo")
    open(here / "fifo").read()
"""
    made = bench(body, timeout=0.5)
    made.start()
    assert made.ended()["outcome"] == "Stopped"


def test_a_body_that_catches_everything_is_stopped_all_the_same(
    bench: Callable[..., Bench], *, portable: bool
) -> None:
    body = """
def body():
    caught = 0
    start("stubborn.py")
    wait_for("child", "grandchild", "daemon")
    while caught < 4:
        try:
            while True:
                time.sleep(0.01)
        except BaseException:
            caught += 1
    for _ in range(3):
        try:
            run("stubborn.py")
        except BaseException:
            caught += 1
    while not (here / "caught").exists():
        try:
            say("caught", caught)
        except BaseException:
            pass
"""
    made = bench(body, timeout=1.5, portable=portable)
    made.start()
    ended = made.ended()
    assert made.pid("caught") >= 4
    assert ended["stop"] == "TIMEOUT"
    made.wait_for(*FAMILY)
    assert made.living() == {}


def test_without_the_main_thread_a_timeout_still_ends_processes(
    bench: Callable[..., Bench],
) -> None:
    tail = """
thread = threading.Thread(target=guard)
thread.start()
thread.join()
"""
    made = bench(RUN_STUBBORN, timeout=2.0, tail=tail)
    made.start()
    ended = made.ended()
    assert ended["stop"] == "TIMEOUT"
    assert ended["restored"]
    made.wait_for(*FAMILY)
    assert made.living() == {}


# -- signals --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "stop"),
    [
        (signal.SIGTERM, "TERMINATE"),
        (signal.SIGHUP, "HANGUP"),
        (signal.SIGINT, "INTERRUPT"),
    ],
)
def test_a_signal_ends_everything(
    bench: Callable[..., Bench], number: signal.Signals, stop: str, *, portable: bool
) -> None:
    made = bench(RUN_STUBBORN, portable=portable)
    process = made.start()
    made.wait_for(*FAMILY)
    assert len(made.living()) == 3
    process.send_signal(number)
    ended = made.ended()
    assert ended["stop"] == stop
    assert ended["restored"]
    assert made.living() == {}


def test_an_interrupt_of_the_whole_group_ends_everything(
    bench: Callable[..., Bench], *, portable: bool
) -> None:
    made = bench(RUN_STUBBORN, portable=portable)
    process = made.start()
    made.wait_for(*FAMILY)
    os.killpg(process.pid, signal.SIGINT)
    assert made.ended()["stop"] == "INTERRUPT"
    assert made.living() == {}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_command_that_ends_well_when_asked_to_changes_nothing(
    bench: Callable[..., Bench], number: signal.Signals
) -> None:
    body = """
def body():
    say("first", run("polite.py")[0])
    say("second", run("stubborn.py")[0])
"""
    made = bench(body)
    process = made.start()
    made.wait_for("polite")
    os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
    ended = made.ended()
    assert ended["stop"] in {"TERMINATE", "INTERRUPT"}
    assert made.living() == {}


def test_a_second_signal_skips_the_grace(bench: Callable[..., Bench]) -> None:
    body = """
def body():
    start("stubborn.py")
    wait_for("child", "grandchild", "daemon")
    say("ready")
    try:
        while True:
            time.sleep(0.01)
    except BaseException:
        say("caught")
        raise
"""
    made = bench(body, grace=600.0)
    process = made.start()
    made.wait_for("ready")
    process.send_signal(signal.SIGTERM)
    made.wait_for("caught")
    assert len(made.living()) == 3
    process.send_signal(signal.SIGTERM)
    assert made.ended()["stop"] == "TERMINATE"
    assert made.living() == {}


def test_ctrl_c_leaves_a_command_the_time_that_it_was_given(bench: Callable[..., Bench]) -> None:
    """As `session.run(interrupt_timeout=...)` promises: it may tidy up."""
    body = """
def body():
    popen([sys.executable, here / "tidy.py", here], env=environment, interrupt_timeout=60)
"""
    made = bench(body)
    tidy = """
def leave(*_):
    say("tidying")
    while not (here / "enough").exists():
        time.sleep(0.01)
    say("tidied")
    sys.exit(1)

import time
signal.signal(signal.SIGINT, leave)
stay("plain")
"""
    (made.here / "tidy.py").write_text(SCRIPT + tidy)
    process = made.start()
    made.wait_for("plain")
    os.killpg(process.pid, signal.SIGINT)
    made.wait_for("tidying")
    # More than nox's own time, and than the pause of a tree without a command.
    time.sleep(1.0)
    (made.here / "enough").touch()
    assert made.ended()["stop"] == "INTERRUPT"
    made.wait_for("tidied")
    assert made.living() == {}


def test_an_exit_status_is_not_taken_from_whoever_waits_for_it(bench: Callable[..., Bench]) -> None:
    body = """
def body():
    process = start("plain.py", start_new_session=True)
    try:
        process.wait()
    finally:
        say("status", process.wait())
"""
    made = bench(body)
    process = made.start()
    made.wait_for("plain")
    process.send_signal(signal.SIGTERM)
    assert made.ended()["stop"] == "TERMINATE"
    assert made.pid("status") == -signal.SIGTERM


def test_adopted_daemons_are_reaped(bench: Callable[..., Bench]) -> None:
    body = """
def body():
    try:
        run("stubborn.py")
    finally:
        say("pids", " ".join(str((here / name).read_text()) for name in ("grandchild", "daemon")))
"""
    tail = """
guard()
left = [pid for pid in (here / "pids").read_text().split() if Path("/proc", pid).exists()]
say("left", len(left))
"""
    made = bench(body, tail=tail)
    process = made.start()
    made.wait_for(*FAMILY)
    process.send_signal(signal.SIGTERM)
    made.wait_for("left")
    assert made.pid("left") == 0


def test_a_signal_at_any_moment_leaves_nothing_behind(bench: Callable[..., Bench]) -> None:
    """Also one that comes while the tree is being left, from where nothing may be raised."""
    body = """
def body():
    end = time.monotonic() + 0.004
    while time.monotonic() < end:
        pass
"""
    tail = """
import random

signal.signal(signal.SIGHUP, signal.SIG_IGN)
before = state()
stopped = escaped = 0

def shoot(done, pause):
    if not done.wait(pause):
        os.kill(os.getpid(), signal.SIGINT)

for round in range(300):
    done = threading.Event()
    tree = Tree(timeout=None, die_with_parent=False, tag=options["tag"])
    shooter = threading.Thread(target=shoot, args=(done, random.uniform(0, 0.008)))
    try:
        with tree:
            try:
                shooter.start()
                body()
            except BaseException:
                pass
        done.set()
        stopped += tree.stop is not None
    except _tree.Stopped:
        escaped += 1
    except KeyboardInterrupt:
        pass  # It came when the tree had been left.
    while shooter.ident is not None:
        try:
            shooter.join()
            break
        except KeyboardInterrupt:
            pass
say("escaped", escaped)
say("stopped", stopped)
say("restored", int(before == state()))
"""
    made = bench(body, tail=tail)
    made.start()
    made.wait_for("restored")
    assert made.pid("stopped") > 20
    assert made.pid("escaped") == 0
    assert made.pid("restored") == 1


# -- parents --------------------------------------------------------------------------


def test_the_end_of_the_parent_ends_everything(
    bench: Callable[..., Bench], *, portable: bool
) -> None:
    made = bench(RUN_STUBBORN, worker=True, portable=portable)
    parent = made.here / "parent.py"
    parent.write_text("import subprocess, sys\nsubprocess.run(sys.argv[1:])\n")
    root = Path(nox_envs.__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, parent, *made.command], env={**os.environ, "PYTHONPATH": str(root)}
    )
    made.wait_for(*FAMILY)
    process.kill()
    process.wait()
    assert made.ended()["stop"] == "TERMINATE"
    assert made.living() == {}


# -- without a stop -------------------------------------------------------------------


def test_what_a_session_leaves_running_is_named_and_left_alone(
    bench: Callable[..., Bench], *, portable: bool
) -> None:
    body = """
def body():
    start("stubborn.py")
    wait_for("child", "grandchild", "daemon")
"""
    made = bench(body, portable=portable)
    process = made.start()
    ended = made.ended()
    process.wait(PATIENCE)
    assert (ended["stop"], ended["outcome"]) == (None, "returned")
    pids = sorted(made.pid(name) for name in FAMILY)
    assert sorted(made.living()) == pids
    named = [survivor.rpartition("(pid ")[2].rstrip(")") for survivor in ended["survivors"]]
    assert sorted(map(int, named)) == pids
    assert ended["survivors"][0].startswith("python")


def test_what_ran_before_is_left_alone(bench: Callable[..., Bench], *, portable: bool) -> None:
    body = """
early = subprocess.Popen([sys.executable, here / "plain.py", here])
wait_for("plain")

def body():
    run("stubborn.py")
"""
    tail = """
guard()
say("early", early.poll() is None and early.pid or 0)
early.kill()
"""
    made = bench(body, tail=tail, portable=portable)
    process = made.start()
    made.wait_for("plain", *FAMILY)
    process.send_signal(signal.SIGTERM)
    assert made.ended()["stop"] == "TERMINATE"
    made.wait_for("early")
    assert made.pid("early") > 0
    assert made.living() == {}


def test_the_system_is_told_only_for_the_time_of_the_session(bench: Callable[..., Bench]) -> None:
    made = bench("def body(): pass\n", worker=True)
    made.start()
    ended = made.ended()
    assert ended["restored"]
    handlers, subreaper, death_signal = ended["inside"]
    assert all("Tree" in handler for handler in handlers)
    assert subreaper
    assert death_signal == signal.SIGTERM


def test_handlers_of_the_user_are_left_alone(bench: Callable[..., Bench]) -> None:
    body = """
for number in HANDLED:
    signal.signal(number, lambda *_: None)

def body():
    say("unchanged", int(all("lambda" in str(signal.getsignal(each)) for each in HANDLED)))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
"""
    tail = """
guard()
say("kept", int(signal.getsignal(signal.SIGTERM) == signal.SIG_IGN))
"""
    made = bench(body, tail=tail)
    made.start()
    made.wait_for("kept")
    assert made.pid("unchanged") == 1
    assert made.pid("kept") == 1


def test_a_fork_of_the_session_dies_of_a_signal_as_usual(bench: Callable[..., Bench]) -> None:
    body = """
def body():
    child = os.fork()
    if child == 0:
        say("forked", os.getpid())
        while True:
            signal.pause()
    wait_for("forked")
    os.kill(child, signal.SIGTERM)
    say("status", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    made = bench(body)
    made.start()
    ended = made.ended()
    assert made.pid("status") == -signal.SIGTERM
    assert (ended["stop"], ended["outcome"]) == (None, "returned")
