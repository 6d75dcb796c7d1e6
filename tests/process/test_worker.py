"""Noxes of trials that are forked of a warm process: what they see is what others see."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from nox_envs import _forks
from support.upgrading import THIS, pin, upgrade

if TYPE_CHECKING:
    from pathlib import Path

    from support.bench import Bench

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not _forks.CAN_FORK, reason="there are no warm processes here"),
]

NOXFILE = """
import atexit, json, os, pathlib, signal, sys, tempfile, threading
import nox_envs

SEEN = pathlib.Path({seen!r})

LOOK = '''
import json, os, signal, sys, tempfile
found = {{
    "cwd": os.getcwd(),
    "argv": sys.argv[1:],
    "path": sys.path[0],
    "env": dict(os.environ),
    "terminals": [os.isatty(number) for number in range(3)],
    "descriptors": [number for number in range(3, 60) if os.path.exists(f"/proc/self/fd/{{number}}")],
    "input": sys.stdin.read(),
    "signals": {{name: str(signal.getsignal(getattr(signal, name))) for name in NAMES}},
    "blocked": sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))),
    "leads": os.getsid(0) == os.getpid(),
    "temporary": tempfile.gettempdir(),
    "umask": os.umask(0o22),
    "buffered": [stream.line_buffering for stream in (sys.stdout, sys.stderr)],
    "encoding": [stream.encoding for stream in (sys.stdin, sys.stdout, sys.stderr)],
    "flags": repr(sys.flags),
}}
'''
NAMES = ["SIGINT", "SIGTERM", "SIGHUP", "SIGCHLD", "SIGPIPE", "SIGUSR1", "SIGALRM"]
exec(LOOK)
found["threads"] = threading.active_count()
found["parent"] = pathlib.Path(f"/proc/{{os.getppid()}}/cmdline").read_text().split("\\0")[:3]

@atexit.register
def tell():
    if "NOX_ENVS_TRIAL" in os.environ:
        SEEN.mkdir(exist_ok=True)
        (SEEN / f"nox-{{os.getpid()}}.json").write_text(json.dumps(found))

@nox_envs.session(python="{this}", requirements="requirements.txt")
def test(session):
    code = f"NAMES = {{NAMES!r}}" + LOOK + "open(sys.argv[1], 'w').write(json.dumps(found))"
    SEEN.mkdir(exist_ok=True)
    session.run("python", "-c", code, str(SEEN / f"test-{{os.getpid()}}.json"), *session.posargs)
    {more}

nox_envs.campaigns(test)
"""


def declare(bench: Bench, more: str = "pass") -> Path:
    pin(bench, "a")
    seen = bench.root / "seen"
    bench.noxfile(NOXFILE.format(seen=str(seen), this=THIS, more=more))
    return seen


def seen_by(bench: Bench, seen: Path, **variables: Any) -> dict[str, Any]:
    """What the nox of a trial sees, and the command in it, without what is the trial's own."""
    found = upgrade(bench, "--jobs", "1", "--", "-k", "word", **variables)
    assert found.safe == {"a": "2.0"}, found.out
    told = {}
    for kind in ("nox", "test"):
        path = min(seen.glob(f"{kind}-*.json"))
        told[kind] = json.loads(
            re.sub(r"nox-envs-upgrade-\w+/t\d+|[0-9a-f]{32}", "OWN", path.read_text())
        )
        told[kind]["env"] = {
            name: value
            for name, value in told[kind]["env"].items()
            if name not in {"NOX_ENVS_WORKERS", "NOX_ENVS_RUN"}
        }
    for path in seen.glob("*.json"):
        path.unlink()
    return told


def test_a_trial_sees_the_same_either_way(uv_bench: Bench) -> None:
    seen = declare(uv_bench)
    warm = seen_by(uv_bench, seen, NOX_ENVS_WORKERS="1")
    cold = seen_by(uv_bench, seen, NOX_ENVS_WORKERS="0")
    assert warm["nox"].pop("parent")[1:] == ["-m", "nox_envs._worker"]
    assert "nox_envs._worker" not in cold["nox"].pop("parent")
    del warm["test"]["argv"][0], cold["test"]["argv"][0]  # The file that it writes to.
    assert warm == cold
    assert warm["test"]["argv"] == ["-k", "word"]


@pytest.mark.parametrize(
    ("more", "outcome"),
    [
        ("sys.exit(7)", "fail"),
        ("raise RuntimeError('of its own')", "fail"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "error"),
        ("session.error('no more')", "fail"),
    ],
)
def test_it_ends_as_it_would(uv_bench: Bench, more: str, outcome: str) -> None:
    declare(uv_bench, more)
    told = []
    for workers in ("1", "0"):
        found = upgrade(uv_bench, NOX_ENVS_WORKERS=workers)
        told.append(
            {(one["outcome"], one["reason"], str(one["signature"])) for one in found.trials}
        )
    assert told[0] == told[1]
    assert outcome in {each[0] for each in told[0]}


def test_what_is_left_of_a_warm_process_ends_with_the_campaign(uv_bench: Bench) -> None:
    seen = declare(uv_bench, "import subprocess; subprocess.Popen(['sleep', '1000'])")
    before = set(psutil.Process().children(recursive=True))
    found = upgrade(uv_bench)
    assert found.safe == {"a": "2.0"}, found.out
    assert seen.exists()
    left = set(psutil.Process().children(recursive=True)) - before
    assert [one.cmdline() for one in left] == []


def test_what_a_warm_process_loses_runs_in_a_process_of_its_own(uv_bench: Bench) -> None:
    once = uv_bench.root / "once"
    declare(
        uv_bench,
        f"""
    if not os.path.exists({str(once)!r}):
        open({str(once)!r}, "w").close()
        os.kill(os.getppid(), signal.SIGKILL)
        threading.Event().wait(30)""",
    )
    found = upgrade(uv_bench, "--jobs", "1", NOX_ENVS_WORKERS="1")
    assert once.exists()
    outcomes = [one["outcome"] for one in found.trials]
    assert outcomes == ["pass", "pass"], found.out


def test_no_fork_no_warm_process(
    uv_bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_forks, "CAN_FORK", False)
    with _forks.opened(env=uv_bench.variables, cwd=tmp_path) as forks:
        assert forks is None


def test_messages_go_whole(tmp_path: Path) -> None:
    env = {**os.environ, "LARGE": "x" * 1_000_000, "ODD": "\udcff\n"}
    (tmp_path / "noxfile.py").write_text(
        "import os\nprint(len(os.environ['LARGE']), ascii(os.environ['ODD']))\nraise SystemExit(3)"
    )
    with _forks.opened(env=dict(os.environ), cwd=tmp_path) as forks:
        assert forks is not None
        forked = forks.start(["-l"], env=env, cwd=tmp_path)
        assert forked is not None
        assert forked.stdout.read().splitlines()[-1] == rb"1000000 '\udcff\n'"
        assert forked.wait(10) == 3
        late = forks.start(["--version"], env=dict(os.environ), cwd=tmp_path)
        assert late is not None
        late.kill()
        assert late.wait(10) in {-signal.SIGKILL, 0}
        late.stdout.close()
        forked.stdout.close()
    assert forks.start(["-l"], env=env, cwd=tmp_path) is None
