"""What a campaign makes of faults: no verdict that nothing proves, and nothing left behind."""

from __future__ import annotations

import contextlib
import html
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from nox_envs.outcome import Outcome, Trial
from nox_envs.upgrade.bench import Bench as Trying
from nox_envs.upgrade.options import CampaignOptions
from nox_envs.upgrade.quests import Want
from nox_envs.upgrade.trials import Shown
from support.bench import Ran
from support.upgrading import CELL, THIS, Answer, declare, pin, upgrade

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.bench import Bench
    from support.index import Where

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc to count survivors"),
]

PRELUDE = """
import os, subprocess, sys, time
from pathlib import Path

MARKS = Path(os.environ["MARKS"])

def mark(name):
    (MARKS / name).touch()

def wait_for(name):
    while not (MARKS / name).exists():
        time.sleep(0.01)

def count(name):
    "How often this was called, this time included, in whatever process."
    with (MARKS / name).open("a") as file:
        file.write("x")
    return (MARKS / name).stat().st_size

def now_at(is_there):
    "Let the test of the test break something now."
    if is_there:
        mark("now")
        wait_for("go")

def hang():
    while True:
        time.sleep(1)

def commands():
    "The command lines of all processes of this test."
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            told = place.read_text(errors="replace")
        except OSError:
            continue
        if str(MARKS) in told:
            yield told

def leave_processes():
    "A child, a grandchild and a daemon without a variable, that ignore whatever can be ignored."
    token = f"daemon-{os.getpid()}"
    subprocess.Popen([sys.executable, "stubborn.py", "2", MARKS, token])
    wait_for(token)
"""

STUBBORN = """
import os, signal, subprocess, sys, time
from pathlib import Path

for name in ("SIGINT", "SIGTERM", "SIGHUP"):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
depth, marks, token = int(sys.argv[1]), sys.argv[2], sys.argv[3]
if depth:
    subprocess.Popen([sys.executable, __file__, str(depth - 1), marks, token])
if depth == 1 and os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    os.execve(sys.executable, [sys.executable, __file__, "0", marks, "-" + token], {})
if token.startswith("-"):
    (Path(marks) / token[1:]).touch()
while True:
    time.sleep(1)
"""

LAUNCH = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.argv = ["nox", *sys.argv[1:]]
import nox
nox.main()
"""


@dataclass
class Case:
    """A project whose tests meet a fault, and all that could be left of it."""

    bench: Bench
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.marks.mkdir()
        self.bench.extra["MARKS"] = str(self.marks)
        self.bench.write("stubborn.py", STUBBORN)
        (self.bench.root / "launch.py").write_text(LAUNCH)

    @property
    def marks(self) -> Path:
        return self.bench.root / "marks"

    def mark(self, name: str) -> None:
        (self.marks / name).touch()

    def has(self, name: str) -> bool:
        return (self.marks / name).exists()

    def count(self, name: str) -> int:
        return (self.marks / name).stat().st_size if self.has(name) else 0

    def declare(self, check: str, *, names: str = "b", driver: str = "", **options: Any) -> None:
        """Pin `names`, and run a check that has them; `driver` is run by the campaign only."""
        pin(self.bench, names)
        imports = f"import {', '.join(names.split())}\n"
        declare(self.bench, PRELUDE + imports + textwrap.dedent(check), **options)
        if driver:
            noxfile = self.bench.project / "noxfile.py"
            body = textwrap.indent(textwrap.dedent(driver), "    ")
            guard = f'import os\nif "NOX_ENVS_TRIAL" not in os.environ:\n{body}\n'
            noxfile.write_text(guard + noxfile.read_text())

    def start(self, *words: str, name: str = "report", **variables: str) -> subprocess.Popen[bytes]:
        """Start a campaign, to be ended by `ends`."""
        with (self.bench.root / f"{name}.log").open("wb") as log:
            nox = subprocess.Popen(
                [
                    *(sys.executable, "../launch.py", "-s", "upgrade", "--"),
                    *("--json", str(self.bench.root / f"{name}.json"), *words),
                ],
                cwd=self.bench.project,
                env={**self.bench.variables, **variables},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started.append(nox)
        return nox

    def wait_for(self, *names: str, nox: subprocess.Popen[bytes]) -> None:
        """Wait until the tests left all these marks."""
        self.bench.wait_for(lambda: nox.poll() is not None or all(map(self.has, names)))
        assert all(map(self.has, names)), (self.bench.root / "report.log").read_text()

    def ends(self, nox: subprocess.Popen[bytes], name: str = "report") -> Answer:
        """The answer of a campaign that was started."""
        code = nox.wait(90)
        out = (self.bench.root / f"{name}.log").read_text(errors="replace")
        assert "Traceback" not in out, out
        path = self.bench.root / f"{name}.json"
        report = json.loads(path.read_text()) if path.exists() else {}
        return Answer(ran=Ran(returncode=code, out=out), report=report)

    def living(self) -> list[int]:
        """The processes that were started under this case, daemons without variables included."""
        own, word = os.getpid(), str(self.marks).encode()
        found = []
        for place in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                pid = int(place.name)
                told = (place / "cmdline").read_bytes() + (place / "environ").read_bytes()
                if pid != own and word in told:  # Of a zombie neither can be read.
                    found.append(pid)
        return found

    def left(self) -> list[str]:
        """What lies where temporary directories are made."""
        known = {"project", "home", "marks", "uv", "launch.py", "full"}
        beside = [
            path.name
            for path in self.bench.root.iterdir()
            if path.name not in known
            and not path.name.startswith("index-")
            and path.suffix not in {".log", ".json"}
        ]
        scratch = self.bench.project / ".nox" / ".cache" / "nox-envs" / "scratch"
        return [*beside, *(path.name for path in scratch.glob("*"))]

    def campaign(self) -> Path:
        """The directory of the only campaign."""
        (found,) = (self.bench.project / ".nox/.cache/nox-envs/campaigns").iterdir()
        return found

    def assert_nothing_is_left(self) -> None:
        assert self.living() == []
        assert self.left() == []


@pytest.fixture
def case(uv_bench: Bench) -> Iterator[Case]:
    found = Case(uv_bench)
    yield found
    for nox in found.started:
        if nox.poll() is None:
            nox.kill()
            nox.wait()
    for pid in found.living():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def log_of(case: Case, found: Answer, trial: dict[str, Any]) -> str:
    path = case.bench.project / found.report["directory"] / trial["log"]
    text: str = path.read_text(errors="replace")
    return text


def content(project: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in project.iterdir() if path.is_file()}


# -- runs that disagree


def test_a_failure_that_decides_is_run_again_alone(case: Case) -> None:
    case.declare(
        """
        import beta
        all_at_once = (a.__version__, b.__version__) == ("2.0", "2.0")
        if all_at_once and beta.__version__ == "1.0":
            runs = count("runs")
            if runs == 1:
                wait_for("beside")
                raise AssertionError("flaky")
            mark(f"again-{runs}-{'not alone' if (MARKS / 'busy').exists() else 'alone'}")
        elif all_at_once:
            mark("busy")
            mark("beside")
            for _ in range(300):  # Long enough to be met by what does not wait for its end.
                if count("looks") and not list(MARKS.glob("again-*")):
                    time.sleep(0.01)
            (MARKS / "busy").unlink()
        """,
        names="a b",
        options='requirements="requirements.txt", matrix={"beta": ["1.0", "2.0"]}',
    )
    found = upgrade(case.bench, "--jobs", "2", "a", "b")
    assert case.has("beside")
    again = sorted(path.name for path in case.marks.glob("again-*"))
    assert again == ["again-2-alone", "again-3-alone", "again-4-alone"], found.out
    cell = f"{CELL}(beta='1.0')"
    runs = [
        one for one in found.trials if one["cell"] == cell and set(one["changes"]) == {"a", "b"}
    ]
    assert [one["outcome"] for one in runs] == ["fail", "pass", "pass", "pass"], found.out
    assert found.verdicts(cell) == {"a": "safe", "b": "safe"}
    assert found.outcomes(found.report["safe_set"][cell]["trials"]) == {"pass"}
    case.assert_nothing_is_left()


def test_a_candidate_that_fails_every_other_time_is_flaky(case: Case) -> None:
    case.declare("assert b.__version__ == '1.0' or count('b') % 2 == 0, 'now and then'")
    found = upgrade(case.bench)
    assert case.count("b") == 5
    assert found.verdicts() == {"b": "flaky"}, found.out
    assert (found.safe, found.status, found.ran.returncode) == ({}, "inconclusive", 1)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_baseline_that_fails_every_other_time_is_flaky(case: Case, jobs: str) -> None:
    case.declare("assert b.__version__ == '2.0' or count('b') % 2 == 0, 'now and then'")
    found = upgrade(case.bench, "--jobs", jobs)
    assert case.count("b") == 5
    assert (found.status, found.ran.returncode) == ("baseline-red", 1), found.out
    assert found.verdicts() == {"b": "inconclusive"}
    assert found.safe == {}
    assert found.report["baseline"][CELL]["outcome"] == "flaky"


# -- what does not end, and what is left running


def test_a_timeout_ends_all_that_a_test_started(case: Case) -> None:
    case.declare(
        """
        if any("daemon-" in told for told in commands()):
            mark("left by an earlier trial")
        leave_processes()
        if b.__version__ == "2.0":
            hang()
        """
    )
    found = upgrade(case.bench, "--timeout", "3", "--jobs", "1")
    assert not case.has("left by an earlier trial")
    assert len(list(case.marks.glob("daemon-*"))) == len(found.trials)
    assert [one["outcome"] for one in found.trials] == ["pass", "timeout", "timeout"], found.out
    assert found.verdicts() == {"b": "breaks"}
    case.assert_nothing_is_left()


def test_a_test_that_kills_its_nox_proves_nothing(case: Case) -> None:
    case.declare(
        """
        if b.__version__ == "2.0":
            leave_processes()
            count("kills")
            os.kill(os.getppid(), 9)
            hang()
        """
    )
    found = upgrade(case.bench)
    assert case.count("kills") > 0
    assert found.verdicts() == {"b": "inconclusive"}, found.out
    assert found.outcomes(found.judged("b")["trials"]) == {"error"}
    assert (found.status, found.ran.returncode) == ("inconclusive", 1)
    case.assert_nothing_is_left()


# -- a campaign that is stopped


HOLD = """
if b.__version__ == "1.0":
    count("baseline")
elif (MARKS / "hold").exists():
    leave_processes()
    mark("holding")
    hang()
"""


def to_the_group(nox: subprocess.Popen[bytes]) -> None:
    os.killpg(nox.pid, signal.SIGINT)


@pytest.mark.parametrize(
    "stop",
    [
        pytest.param(to_the_group, id="Ctrl-C"),
        pytest.param(lambda nox: nox.send_signal(signal.SIGINT), id="SIGINT"),
        pytest.param(lambda nox: nox.send_signal(signal.SIGTERM), id="SIGTERM"),
        pytest.param(lambda nox: nox.send_signal(signal.SIGHUP), id="SIGHUP"),
    ],
)
def test_what_was_stopped_is_resumed(
    case: Case, stop: Callable[[subprocess.Popen[bytes]], None]
) -> None:
    case.declare(HOLD)
    case.mark("hold")
    nox = case.start("--jobs", "1")
    case.wait_for("holding", nox=nox)
    stop(nox)
    found = case.ends(nox)
    case.assert_nothing_is_left()
    assert found.ran.returncode not in {0, 1}, found.out
    assert found.status == "interrupted"
    assert found.safe == {}
    assert all(one["verdicts"] == {} for one in found.report["candidates"])
    with (case.campaign() / "journal.jsonl").open("a") as journal:
        journal.write('{"kind":"trial","key":"torn')
    (case.marks / "hold").unlink()
    resumed = upgrade(case.bench, "--resume", "--jobs", "1")
    assert resumed.ran.returncode == 0, resumed.out
    assert resumed.safe == {"b": "2.0"}
    assert [one["reused"] for one in resumed.trials] == [True, False]
    assert [one["outcome"] for one in resumed.trials] == ["pass", "pass"]
    assert case.count("baseline") == 1
    case.assert_nothing_is_left()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_was_written_is_taken_back_where_it_is_not_checked(
    case: Case, number: signal.Signals
) -> None:
    case.declare(
        "",
        driver="""
        import threading
        from pathlib import Path
        from nox_envs.upgrade import apply

        def compared(*_):
            Path(os.environ["MARKS"], "written").touch()
            threading.Event().wait()

        apply._compared = compared
        """,
    )
    path = case.bench.project / "requirements.txt"
    before = path.read_text()
    nox = case.start("--apply", "--force")
    case.wait_for("written", nox=nox)
    assert path.read_text() != before
    nox.send_signal(number)
    found = case.ends(nox)
    assert found.ran.returncode not in {0, 1}, found.out
    assert path.read_text() == before
    case.assert_nothing_is_left()


def test_what_cannot_be_taken_back_is_named(case: Case) -> None:
    case.declare(
        "",
        driver="""
        from pathlib import Path
        from nox_envs.upgrade import apply

        def compared(*_):
            path = Path("requirements.txt")
            path.unlink()
            path.mkdir()
            (path / "full").touch()
            raise OSError("no comparison")

        apply._compared = compared
        """,
    )
    found = upgrade(case.bench, "--apply", "--force")
    assert found.ran.returncode == 1
    assert "no comparison; not all could be taken back" in found.out
    assert "still changed: requirements.txt" in found.out


def test_what_passed_before_a_change_is_not_written_after_it(case: Case) -> None:
    stray = case.bench.project / "stray.txt"
    case.declare(f"open({str(stray)!r}, 'a').write('x')")
    found = upgrade(case.bench, "--apply", "--force")
    assert stray.exists()
    assert "your files have changed while it ran" in found.out
    assert found.ran.returncode == 1
    assert (case.bench.project / "requirements.txt").read_text() == "b==1.0\n"


@pytest.mark.parametrize("phase", ["resolve", "look"])
def test_a_campaign_is_stopped_while_it_waits_for_the_index(case: Case, phase: str) -> None:
    case.declare(
        "",
        driver="""
        import time
        from pathlib import Path
        from nox_envs.upgrade.bench import Bench

        marks, look = Path(os.environ["MARKS"]), Bench.look

        def later(self):
            (marks / "now").touch()
            while not (marks / "go").exists():
                time.sleep(0.01)
            look(self)

        Bench.look = later
        """,
    )
    index = case.bench.index
    if phase == "resolve":
        index.fail("b", "slow")
    nox = case.start()
    if phase == "look":
        case.wait_for("now", nox=nox)
        index.fail("b", "slow")
        case.mark("go")
    case.bench.wait_for(lambda: index.fired)
    nox.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        nox.wait(10)
    assert nox.poll() is not None, "it waits for the index"
    found = case.ends(nox)
    assert found.ran.returncode not in {0, 1}, found.out
    assert (found.status, found.trials, found.safe) == ("interrupted", [], {})
    case.assert_nothing_is_left()


def test_trials_end_when_their_campaign_is_killed(case: Case) -> None:
    case.declare(HOLD)
    case.mark("hold")
    nox = case.start("--jobs", "1")
    case.wait_for("holding", nox=nox)
    nox.kill()
    nox.wait()
    case.bench.wait_for(lambda: case.living() == [], seconds=15)
    (case.marks / "hold").unlink()
    resumed = upgrade(case.bench, "--resume", "--jobs", "1")
    assert resumed.safe == {"b": "2.0"}, resumed.out
    assert case.count("baseline") == 1


def test_the_same_campaign_twice_at_once(case: Case) -> None:
    case.declare(
        "assert b.__version__ == '1.0', 'b is broken'",
        names="a b",
        driver="""
        import time
        from datetime import datetime
        from pathlib import Path
        from nox_envs import _files
        from nox_envs.upgrade import conduct

        class Clock:
            now = staticmethod(lambda zone: datetime(2026, 11, 21, tzinfo=zone))

        conduct.datetime = Clock
        marks, write = Path(os.environ["MARKS"]), _files.write_text

        def meet(path, *args, **more):
            "Both have chosen where to write before one of them does."
            if path.name == "about.json":
                (marks / f"met-{os.getpid()}").touch()
                for _ in range(1000):
                    if len(list(marks.glob("met-*"))) < 2:
                        time.sleep(0.01)
            write(path, *args, **more)

        _files.write_text = meet
        """,
    )
    both = [case.start("--jobs", "1", name=name) for name in ("first", "second")]
    first, second = (
        case.ends(nox, name) for nox, name in zip(both, ("first", "second"), strict=True)
    )
    assert len(list(case.marks.glob("met-*"))) == 2
    for found in (first, second):
        assert found.ran.returncode == 0, found.out
        assert found.verdicts() == {"a": "safe", "b": "breaks"}
        assert not any(one["reused"] for one in found.trials)
    assert first.report["directory"] != second.report["directory"]
    case.assert_nothing_is_left()


def test_a_campaign_that_runs_is_not_resumed(case: Case) -> None:
    case.declare(
        """
        if b.__version__ == "2.0" and count("all") == 1:
            mark("holding")
            wait_for("go")
        """
    )
    first = case.start("--jobs", "1")
    case.wait_for("holding", nox=first)
    second = upgrade(case.bench, "--resume", "--jobs", "1")
    case.mark("go")
    found = case.ends(first)
    for each in (found, second):
        assert each.safe == {"b": "2.0"}, each.out
    assert found.report["directory"] != second.report["directory"]


def test_a_journal_of_a_newer_version_is_answered(case: Case) -> None:
    case.declare("assert b.__version__ == '1.0', 'b is broken'")
    assert upgrade(case.bench, "--jobs", "1", "--max-trials", "1").status == "inconclusive"
    with (case.campaign() / "journal.jsonl").open("a") as journal:
        journal.write('{"kind":"trial","key":"","schema":99}\n')
    found = upgrade(case.bench, "--resume", "--jobs", "1")
    assert "newer nox-envs" in found.out


# -- how long a run may take


def limit_after(
    outcome: Outcome, seconds: float, option: float | None, declared: float | None
) -> float | None:
    """The limit of a run after the baseline has shown something."""
    limits: list[Callable[[], float | None]] = []

    def run(*_: object, limit: Callable[[], float | None], **__: object) -> Shown:
        limits.append(limit)
        return Shown(trial=Trial(id="t1", cell=CELL, python=THIS, outcome=outcome), seconds=seconds)

    column: Any = SimpleNamespace(
        current=SimpleNamespace(digest="", pins={}),
        place=SimpleNamespace(declaration=SimpleNamespace(timeout=declared)),
    )
    trials: Any = SimpleNamespace(run=run)
    Trying(column, trials, CampaignOptions(timeout=option)).settle(Want(pins=()))
    return limits[0]()


@pytest.mark.parametrize(
    ("seconds", "option", "declared", "limit"),
    [
        (2.0, None, None, 60.0),
        (30.0, None, None, 150.0),
        (2.0, None, 9.0, 9.0),
        (2.0, 7.0, 9.0, 7.0),
    ],
)
def test_the_baseline_tells_how_long_a_run_may_take(
    seconds: float, option: float | None, declared: float | None, limit: float
) -> None:
    assert limit_after(Outcome.PASS, seconds, option, declared) == limit


def test_a_run_beside_a_baseline_that_fails_has_a_limit_too() -> None:
    assert limit_after(Outcome.FAIL, 30.0, None, None) == 150.0


# -- an index that is down


SHORT_PAUSES = """
from nox_envs.upgrade import bench, trials
bench._PAUSES = trials._RETRIES = (0.01, 0.02)
"""


@pytest.mark.parametrize("heals", [True, False], ids=["for a moment", "for good"])
@pytest.mark.parametrize("where", ["pages", "files"], ids=["resolve", "install"])
def test_an_index_that_is_down_proves_nothing(case: Case, where: Where, heals: bool) -> None:  # noqa: FBT001
    # The lock of everything at once is known before the first trial; its files are not.
    driver = "" if heals else SHORT_PAUSES
    if where == "pages":
        is_at = "(a.__version__, b.__version__) == ('2.0', '2.0')"
        case.declare(
            f"now_at({is_at})\nassert not {is_at}, 'a meets b'", names="a b", driver=driver
        )
    else:
        case.declare("now_at(b.__version__ == '1.0')", driver=driver)
    index = case.bench.index
    nox = case.start("--jobs", "1")
    case.wait_for("now", nox=nox)
    index.fail("b", "500", where=where)
    case.mark("go")
    if heals:
        case.bench.wait_for(lambda: index.fired)
        index.heal()
    found = case.ends(nox)
    assert index.fired
    verdicts = found.verdicts()
    assert not heals or "error" not in {one["outcome"] for one in found.trials}
    if heals and where == "pages":
        assert sorted(verdicts.values()) == ["breaks", "safe"], found.out
    elif heals:
        assert verdicts == {"b": "safe"}, found.out
    else:
        assert "breaks" not in verdicts.values(), found.out
        assert verdicts["b"] == "inconclusive"
        assert "cannot reach the index" in found.judged("b")["reason"]
        assert (found.status, found.ran.returncode) == ("inconclusive", 1)
        assert len(index.fired) >= 3
        # Nor is it remembered.
        index.heal()
        again = upgrade(case.bench, "--resume", "--jobs", "1")
        assert again.trials[0]["reused"]
        assert again.ran.returncode == 0, again.out
        assert len(again.safe) == 1
    case.assert_nothing_is_left()


def test_an_index_that_is_down_for_the_session_itself_proves_nothing(case: Case) -> None:
    case.declare(
        """
        import gamma
        now_at(b.__version__ == "1.0")
        """,
        run='session.install("--refresh", "gamma"); session.run("python", "check.py")',
    )
    nox = case.start("--jobs", "1")
    case.wait_for("now", nox=nox)
    case.bench.index.fail("gamma", "500")
    case.mark("go")
    found = case.ends(nox)
    assert case.bench.index.fired
    assert found.verdicts() == {"b": "inconclusive"}, found.out


# -- a disk that is full


FULL = {
    "log": '_files.create = lambda path: open("/dev/full", "wb", buffering=0)',
    "lock": '_files.write_toml = full_for(_files.write_toml, "pylock.t[2-9].toml")',
    "journal": '_files.append_line = full_for(_files.append_line, "journal.jsonl")',
    "report": '_files.write_text = full_for(_files.write_text, "report.json")',
}


@pytest.mark.parametrize("what", ["log", "lock", "journal", "report"])
def test_a_disk_that_is_full_proves_nothing(case: Case, what: str) -> None:
    case.declare(
        "assert b.__version__ == '1.0', 'b is broken'" if what in {"log", "lock"} else "",
        driver=f"""
        import errno
        from fnmatch import fnmatch
        from nox_envs import _files

        def full_for(write, name):
            def put(path, *args, **more):
                if fnmatch(path.name, name) and ".nox" in path.parts:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
                return write(path, *args, **more)
            return put

        {FULL[what]}
        """,
    )
    found = upgrade(case.bench, "--jobs", "1")
    case.assert_nothing_is_left()
    assert "o space left" in found.out or "disk is full" in found.out, found.out
    if what in {"log", "journal"}:
        assert found.report["baseline"][CELL]["outcome"] == "error"
        assert (found.status, found.ran.returncode) == ("error", 1)
    elif what == "lock":
        assert found.verdicts() == {"b": "inconclusive"}
        assert found.ran.returncode == 1
    else:
        assert found.safe == {"b": "2.0"}, found.out


@pytest.fixture
def small_disk(case: Case, who: str) -> Iterator[Path]:
    """A disk of a few megabytes, for what tests write or for what is installed."""
    slots = case.bench.project / ".nox" / ".cache" / "nox-envs" / "slots"
    place = case.bench.root / "full" if who == "test" else slots
    place.mkdir(parents=True)
    words = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)]
    if subprocess.run(words, check=False, capture_output=True).returncode != 0:
        pytest.skip("only root may mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize("who", ["test", "installer"])
def test_a_trial_that_fills_the_disk_proves_nothing(case: Case, small_disk: Path, who: str) -> None:
    case.declare(
        """
        import tempfile
        if FILLS and b.__version__ == "2.0":
            with tempfile.TemporaryFile(buffering=0) as file:
                count("fills")
                while True:
                    file.write(bytes(1 << 16))
        """.replace("FILLS", str(who == "test"))
    )
    if who == "installer":
        large = f"__version__ = '2.0'\n{'#' * (8 << 20)}\n"
        case.bench.index.wheel("b", "2.0", modules={"b/__init__.py": large})
    places = {"TMPDIR": str(small_disk)} if who == "test" else {}
    found = upgrade(case.bench, "--jobs", "1", **places)
    assert (case.count("fills") > 0) is (who == "test")
    assert found.trials[0]["outcome"] == "pass", found.out
    assert found.verdicts() == {"b": "inconclusive"}, found.out
    assert found.outcomes(found.judged("b")["trials"]) == {"error"}
    assert found.ran.returncode == 1
    assert [path for path in small_disk.iterdir() if path.suffix != ".lock"] == []
    case.assert_nothing_is_left()


# -- what tests do to their trial


def test_much_output_is_kept_short(case: Case) -> None:
    case.declare(
        """
        if b.__version__ == "2.0":
            print("THE HEAD")
            line = "https://example.invalid/ " + "x" * 1000 + "\\n"
            for _ in range(200):
                sys.stdout.write(line * 1024)
            print("THE TAIL")
            raise ValueError("it was all too much")
        """
    )
    nox = case.start("--jobs", "1")
    peak = 0
    while nox.poll() is None:
        with contextlib.suppress(OSError, StopIteration):
            lines = Path(f"/proc/{nox.pid}/status").read_text().splitlines()
            peak = max(peak, next(int(one.split()[1]) for one in lines if one[:6] == "VmHWM:"))
        time.sleep(0.02)
    found = case.ends(nox)
    failed = [one for one in found.trials if one["outcome"] == "fail"]
    assert failed, found.out
    for one in failed:
        said = log_of(case, found, one)
        assert "THE HEAD" in said
        assert "THE TAIL" in said
        assert "[nox-envs left out " in said
        assert len(said) < 20 << 20
        assert one["exception"] == "ValueError: it was all too much"
    assert peak < 300 << 10
    case.assert_nothing_is_left()


def test_a_trial_does_to_its_tree_what_it_likes(case: Case) -> None:
    case.declare(
        """
        import shutil
        assert sys.stdin.read() == ""
        here = Path.cwd()
        (here / "noxfile.py").write_text("raise RuntimeError")
        (here / "requirements.txt").write_text("nonsense")
        os.chdir("/")
        if b.__version__ == "2.0":
            shutil.rmtree(here)
        count(b.__version__)
        """
    )
    before = content(case.bench.project)
    found = upgrade(case.bench, "--jobs", "1")
    assert case.count("1.0") == 1
    assert case.count("2.0") > 0
    # nox itself fails where its directory is gone: that is no pass, and no break either.
    assert found.verdicts() == {"b": "inconclusive"}, found.out
    assert found.outcomes(found.judged("b")["trials"]) == {"error"}
    after = content(case.bench.project)
    assert after == before
    case.assert_nothing_is_left()


def test_a_noxfile_that_raises_in_trials_proves_nothing(case: Case) -> None:
    case.declare("")
    noxfile = case.bench.project / "noxfile.py"
    raises = "import os\nif 'NOX_ENVS_TRIAL' in os.environ: raise RuntimeError('only here')\n"
    noxfile.write_text(raises + noxfile.read_text())
    found = upgrade(case.bench, "--jobs", "1")
    assert found.report["baseline"][CELL]["outcome"] == "error"
    assert "only here" in found.report["baseline"][CELL]["reason"]
    assert found.verdicts() == {"b": "inconclusive"}, found.out
    assert (found.status, found.ran.returncode) == ("error", 1)
    case.assert_nothing_is_left()


def test_a_session_that_skips_itself_is_no_pass(case: Case) -> None:
    told = 'session.run("python", "-c", "import b; print(b.__version__)", silent=True)'
    case.declare("", run=f'"2.0" in {told} and session.skip("not today")')
    found = upgrade(case.bench, "--jobs", "1")
    assert found.report["baseline"][CELL]["outcome"] == "pass"
    assert found.verdicts() == {"b": "inconclusive"}, found.out
    assert "not today" in found.judged("b")["reason"]
    assert found.ran.returncode == 1


def test_a_session_may_install_more(case: Case) -> None:
    case.declare(
        "import gamma\nassert sys.stdin.read() == ''",
        run='session.install("gamma"); session.run("python", "check.py")',
    )
    found = upgrade(case.bench, "--jobs", "1")
    assert found.safe == {"b": "2.0"}, found.out
    assert all("gamma 1.0" in log_of(case, found, one) for one in found.trials)


def test_a_session_that_installs_the_old_release_again_proves_nothing(case: Case) -> None:
    case.declare(
        "count('old' if b.__version__ == '1.0' else 'new')",
        run='session.install("-r", "requirements.txt"); session.run("python", "check.py")',
    )
    found = upgrade(case.bench, "--jobs", "1")
    assert (case.count("old") > 1, case.count("new")) == (True, 0)
    assert found.verdicts() == {"b": "inconclusive"}, found.out
    assert found.safe == {}


# -- secrets


@pytest.mark.parametrize("secret", ["S3CRET/x7", 'S3&cré"<t7'], ids=["plain", "escaped"])
def test_a_password_in_what_tests_say_is_kept_nowhere(case: Case, secret: str) -> None:
    case.declare(
        """
        import shlex
        from xml.sax.saxutils import quoteattr
        secret = os.environ["UV_INDEX_PRIVATE_PASSWORD"]
        print("the password is", secret)
        if b.__version__ == "2.0":
            (path,) = [word[11:] for word in shlex.split(os.environ["PYTEST_ADDOPTS"])
                       if word.startswith("--junitxml=")]
            said = quoteattr(f"AssertionError: {secret} is wrong")
            Path(path).write_text(
                f'<testsuite><testcase classname="test_it" file="test_it.py" name="test_x">'
                f"<failure message={said}>E   AssertionError: x</failure></testcase></testsuite>",
                encoding="utf-8",
            )
            mark("told")
            sys.exit(f"AssertionError: {secret} is wrong")
        """
    )
    shell = {"UV_INDEX_PRIVATE_PASSWORD": secret, "PYTHONUTF8": "1"}
    found = upgrade(case.bench, "--jobs", "1", "--markdown", "found.md", **shell)
    assert case.has("told")
    assert found.verdicts() == {"b": "breaks"}, found.out
    assert found.judged("b")["failing"]
    kept = [path for path in case.bench.project.rglob("*") if path.is_file()]
    texts = {path: path.read_bytes().decode(errors="replace") for path in kept}
    texts[Path("out")] = found.out
    texts[Path("report")] = (case.bench.root / "report.json").read_text()
    assert any(path.name == "t2.log" for path in kept)
    for path, text in texts.items():
        plain = text
        if path.suffix in {".json", ".jsonl"} or path.name == "report":
            plain = "\n".join(str(json.loads(line)) for line in _documents(text))
        for shape in (text, html.unescape(text), plain, plain.replace("\\", "")):
            assert secret not in shape, path


def _documents(text: str) -> list[str]:
    """JSON, whole or by lines."""
    with contextlib.suppress(ValueError):
        json.loads(text)
        return [text]
    return text.splitlines()
