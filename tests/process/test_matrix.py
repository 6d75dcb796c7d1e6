"""Whether every cell passes: `nox -s matrix` from end to end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from support.upgrading import CELL, THIS, Answer, declare, other_python

if TYPE_CHECKING:
    from support.bench import Bench

pytestmark = pytest.mark.process

TAKING = 'matrix={"alpha": ["1.0", "1.1", "2.0"]}'


def matrix(bench: Bench, *words: str) -> Answer:
    path = bench.root / "report.json"
    path.unlink(missing_ok=True)
    ran = bench.nox("-s", "matrix", "--", "--json", str(path), *words)
    assert "\nTraceback" not in ran.out, ran.out  # Those of cells are indented.
    report = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return Answer(ran=ran, report=report)


def cells(found: Answer) -> dict[str, dict[str, Any]]:
    return dict(found.report["cells"])


def outcomes(found: Answer) -> dict[str, str | None]:
    """By the value of the axis, or by the cell."""
    return {one["values"].get("alpha", name): one["outcome"] for name, one in cells(found).items()}


def refusing(*versions: str, also: str = "") -> str:
    return f"import alpha\n{also}\nassert alpha.__version__ not in {versions}, 'no such engine'\n"


def test_every_cell_on_two_pythons(uv_bench: Bench) -> None:
    other = other_python()
    options = f'{TAKING}, exclude=[{{"python": "{other}", "alpha": "2.0"}}]'
    check = refusing(also="import sys\nprint(sys.argv[1:])\nassert sys.argv[1:] == ['-k', 'a b']")
    declare(uv_bench, check, options=options, python=[THIS, other])
    found = matrix(uv_bench, "--jobs", "2", "--", "-k", "a b")
    assert (found.ran.returncode, found.status) == (0, "ok"), found.out
    assert found.report["kind"] == "matrix"
    assert "test: 5 cells, 2 at a time." in found.out
    assert "All 5 cells pass." in found.out
    assert "(-: excluded)" in found.out
    cell = cells(found)[f"test-{other}(alpha='1.1')"]
    assert (cell["python"], cell["session"], cell["values"]) == (other, "test", {"alpha": "1.1"})
    assert {one["outcome"] for one in found.trials} == {"pass"}
    assert sorted(one["trial"] for one in cells(found).values()) == ["t1", "t2", "t3", "t4", "t5"]
    by_python = {one["cell"]: one["python"] for one in found.trials}
    assert by_python == {name: one["python"] for name, one in cells(found).items()}


def test_a_red_cell_shows_the_end_of_its_log(uv_bench: Bench) -> None:
    declare(uv_bench, refusing("1.1", "2.0"), options=TAKING)
    found = matrix(uv_bench, "--jobs", "3")
    assert (found.ran.returncode, found.status) == (1, "broken"), found.out
    assert outcomes(found) == {"1.0": "pass", "1.1": "fail", "2.0": "fail"}
    assert "2 of 3 cells fail." in found.out
    who = f"{CELL}(alpha='1.1') and {CELL}(alpha='2.0') fail in the same way:"
    assert re.search(
        rf"{re.escape(who)}\n\n(    .*\n|\n)*    AssertionError: no such engine\n", found.out
    ), found.out
    assert "Run these 2 again:  nox -s matrix -- --rerun-failed" in found.out
    assert "Session matrix aborted: 2 of 3 cells fail" in found.out
    # Two have shown the same failure: nothing is left to confirm.
    assert len(found.trials) == 3


def test_a_failure_that_nobody_shares_is_run_again_alone(uv_bench: Bench) -> None:
    here = uv_bench.root
    alone = (
        "import pathlib\n"
        f"mark = pathlib.Path({str(here / 'was')!r} + alpha.__version__)\n"
        "others = alpha.__version__ in ('1.0', '2.0') and not mark.exists()\n"
        "mark.touch()\n"
        f"running = pathlib.Path({str(here)!r}, 'running', alpha.__version__)\n"
        "running.parent.mkdir(exist_ok=True)\n"
        "running.touch()\n"
        "import time\n"
        "end = time.monotonic() + 60\n"
        "while others and len(list(running.parent.iterdir())) < 2 and time.monotonic() < end:\n"
        "    time.sleep(0.02)\n"
        "assert alpha.__version__ != '2.0' or not others, 'somebody was in the way'\n"
    )
    options = 'matrix={"alpha": ["1.0", "2.0"]}'
    declare(uv_bench, refusing("1.0", also=alone), options=options)
    found = matrix(uv_bench, "--jobs", "2")
    assert (found.ran.returncode, found.status) == (1, "broken"), found.out
    assert outcomes(found) == {"1.0": "fail", "2.0": "flaky"}
    assert [len(one["trials"]) for one in cells(found).values()] == [2, 2]
    assert "2 of 2 cells fail." in found.out
    assert "is flaky: it passed when it was run again alone." in found.out
    again = matrix(uv_bench, "--jobs", "1")
    assert outcomes(again) == {"1.0": "fail", "2.0": "pass"}
    assert len(again.trials) == 2  # It has been alone already.


def test_what_may_fail_fails_nothing(uv_bench: Bench) -> None:
    options = f'{TAKING}, may_fail=[{{"alpha": "2.0"}}]'
    declare(uv_bench, refusing("2.0"), options=options)
    found = matrix(uv_bench)
    assert (found.ran.returncode, found.status) == (0, "ok"), found.out
    assert outcomes(found) == {"1.0": "pass", "1.1": "pass", "2.0": "fail"}
    assert [one["may_fail"] for one in cells(found).values()] == [False, False, True]
    assert "2 of 3 cells pass; 1 fails, as declared (may_fail)." in found.out
    assert "(*: may fail)" in found.out
    nothing = matrix(uv_bench, "--rerun-failed")
    assert (nothing.ran.returncode, nothing.trials) == (0, [])


def test_equal_environments_are_run_once(uv_bench: Bench) -> None:
    options = 'matrix={"alpha": ["1.1", "<2", "latest"]}'
    declare(uv_bench, refusing("1.1"), options=options)
    found = matrix(uv_bench, "--jobs", "1")
    assert outcomes(found) == {"1.1": "fail", "<2": "fail", "latest": "pass"}
    assert [one["cell"] for one in found.trials] == [
        f"{CELL}(alpha='1.1')", f"{CELL}(alpha='latest')",
    ]  # fmt: skip
    assert cells(found)[f"{CELL}(alpha='<2')"]["same_as"] == f"{CELL}(alpha='1.1')"
    assert cells(found)[f"{CELL}(alpha='<2')"]["trial"] == "t1"
    # A function that is told the value may do something else with each of them.
    text = uv_bench.project.joinpath("noxfile.py").read_text(encoding="utf-8")
    uv_bench.write("noxfile.py", text.replace("def test(session)", "def test(session, alpha)"))
    assert len(matrix(uv_bench, "--jobs", "1").trials) == 3


def test_what_took_longest_is_run_first(uv_bench: Bench) -> None:
    declare(uv_bench, refusing(), options=TAKING)
    durations = uv_bench.project / ".nox" / ".cache" / "nox-envs" / "durations.json"
    durations.parent.mkdir(parents=True)
    known = {f"{CELL}(alpha='1.0')": 0.0, f"{CELL}(alpha='1.1')": 500.0}
    durations.write_text(json.dumps(known), encoding="utf-8")
    found = matrix(uv_bench, "--jobs", "1")
    assert [one["cell"][-5:-2] for one in found.trials] == ["2.0", "1.1", "1.0"]
    told = json.loads(durations.read_text(encoding="utf-8"))
    assert told == {one["cell"]: one["seconds"] for one in found.trials}


def test_some_cells(uv_bench: Bench) -> None:
    declare(uv_bench, refusing(), options=TAKING)
    found = matrix(uv_bench, "--only", "alpha=1.1")
    assert list(cells(found)) == [f"{CELL}(alpha='1.1')"]
    assert "The only cell passes." in found.out
    assert f"t1 {CELL}(alpha='1.1'): pass, " in found.out
    wrong = matrix(uv_bench, "--only", "alpha=7")
    assert (wrong.ran.returncode, wrong.report) == (1, {})
    assert "there is no such cell" in wrong.out
    habit = matrix(uv_bench, "-k", "login")
    assert (habit.ran.returncode, habit.report) == (1, {})
    assert "nox -s matrix -- -- -k login" in habit.out
    assert "--only CELL|AXIS=VALUE" in habit.out


def test_the_first_failure_ends_it(uv_bench: Bench) -> None:
    started = uv_bench.root / "started"
    waiting = (
        "import pathlib, time\n"
        f"started = pathlib.Path({str(started)!r})\n"
        "if alpha.__version__ != '1.1':\n"
        "    started.touch()\n"
        "    time.sleep(300)\n"
        "end = time.monotonic() + 60\n"
        "while not started.exists() and time.monotonic() < end:\n"
        "    time.sleep(0.02)\n"
    )
    declare(uv_bench, refusing("1.1", also=waiting), options=TAKING)
    found = matrix(uv_bench, "--jobs", "3", "--fail-fast")
    assert (found.ran.returncode, found.status) == (1, "broken"), found.out
    assert outcomes(found) == {"1.0": None, "1.1": "fail", "2.0": None}
    assert [one["outcome"] for one in found.trials] == ["fail"]
    assert "1 of 3 cells fails; 2 were not run." in found.out
    uv_bench.write("check.py", refusing("1.0", "1.1"))
    left = matrix(uv_bench, "--jobs", "1", "--fail-fast", "--rerun-failed")
    # What was not run did not pass either, and is begun first: nobody knows how long it takes.
    assert outcomes(left) == {"1.0": "fail", "1.1": None, "2.0": None}, left.out


def test_a_cell_that_may_fail_ends_it_for_an_equal_one_that_may_not(uv_bench: Bench) -> None:
    options = 'matrix={"alpha": ["1.1", "<2", "latest"]}, may_fail=[{"alpha": "1.1"}]'
    declare(uv_bench, refusing("1.1"), options=options)
    found = matrix(uv_bench, "--jobs", "1", "--fail-fast")
    assert (found.ran.returncode, found.status) == (1, "broken"), found.out
    assert outcomes(found) == {"1.1": "fail", "<2": "fail", "latest": None}


def test_those_that_did_not_pass_are_run_again(uv_bench: Bench) -> None:
    declare(uv_bench, refusing("1.1"), options=TAKING)
    first = matrix(uv_bench, "--rerun-failed")
    assert "No earlier run is remembered: all cells are run." in first.out
    assert outcomes(first) == {"1.0": "pass", "1.1": "fail", "2.0": "pass"}
    uv_bench.write("check.py", refusing())
    second = matrix(uv_bench, "--rerun-failed")
    assert "1 cell did not pass when last run." in second.out
    assert (second.ran.returncode, outcomes(second)) == (0, {"1.1": "pass"})
    third = matrix(uv_bench, "--rerun-failed")
    assert (third.ran.returncode, third.status, third.trials) == (0, "ok", [])
    assert "Nothing to run: no cell that was chosen failed when last run." in third.out


def test_a_cell_that_cannot_be_resolved(uv_bench: Bench) -> None:
    options = 'dependencies="beta==1.0", matrix={"alpha": ["1.0", "2.0"]}'
    declare(uv_bench, refusing(), options=options)
    found = matrix(uv_bench)
    assert (found.ran.returncode, found.status) == (1, "broken"), found.out
    assert outcomes(found) == {"1.0": "pass", "2.0": "infeasible"}
    cell = cells(found)[f"{CELL}(alpha='2.0')"]
    assert (cell["trial"], "alpha<2" in cell["reason"]) == (None, True)
    assert f"{CELL}(alpha='2.0') cannot be resolved: " in found.out
    assert 'leave it out: exclude=[{"alpha": "2.0"}]' in found.out


def test_nothing_can_be_planned(uv_bench: Bench) -> None:
    declare(uv_bench, refusing(), options='requirements="none.txt"')
    found = matrix(uv_bench)
    assert (found.ran.returncode, found.status) == (1, "error"), found.out
    assert found.out.count("error: none.txt") == 1


def test_a_python_that_is_not_there(uv_bench: Bench) -> None:
    declare(uv_bench, refusing(), options='dependencies="alpha"', python=[THIS, "3.99"])
    found = matrix(uv_bench)
    assert (found.ran.returncode, found.status) == (0, "ok"), found.out
    assert outcomes(found) == {CELL: "pass", "test-3.99": None}
    assert "3.99" in found.report["not_tested"]["test-3.99"]
    assert "1 of 2 cells passes." in found.out
    assert "3.99 was not tested" in found.out
    strict = matrix(uv_bench, "--fail-on", "not-tested")
    assert strict.ran.returncode == 1
    assert "test-3.99 was not tested" in strict.out


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_leaves_a_report_and_can_be_gone_on_with(uv_bench: Bench) -> None:
    started, free = uv_bench.root / "started", uv_bench.root / "free"
    waiting = (
        "import pathlib, time\n"
        f"started, free = pathlib.Path({str(started)!r}), pathlib.Path({str(free)!r})\n"
        "if alpha.__version__ == '2.0' and not free.exists():\n"
        "    started.touch()\n"
        "    time.sleep(300)\n"
    )
    declare(uv_bench, refusing(also=waiting), options=TAKING)
    path = uv_bench.root / "report.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "nox", "-s", "matrix", "--", "--jobs", "1", "--json", str(path)],
        cwd=uv_bench.project,
        env=uv_bench.variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        start_new_session=True,
    )
    uv_bench.wait_for(started.exists, 120)
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Interrupted after 2 trials. Go on: nox -s matrix -- --resume" in out
    report = json.loads(path.read_text(encoding="utf-8"))
    assert report["status"] == "interrupted"
    told = {one["values"]["alpha"]: one["outcome"] for one in report["cells"].values()}
    assert told == {"1.0": "pass", "1.1": "pass", "2.0": None}
    free.touch()
    found = matrix(uv_bench, "--resume")
    assert (found.ran.returncode, found.status) == (0, "ok"), found.out
    assert {one["cell"][-5:-2]: one["reused"] for one in found.trials} == {
        "1.0": True, "1.1": True, "2.0": False,
    }  # fmt: skip


def test_a_pass_that_need_not_be_repeated(uv_bench: Bench) -> None:
    options = f'{TAKING}, skip_unchanged=True, env={{"MODE": "a"}}'
    new = uv_bench.project / "new.py"
    intruder = (
        "import os, pathlib\n"
        "if os.environ['MODE'] == 'b':\n"
        f"    pathlib.Path({str(new)!r}).touch()\n"
    )
    declare(uv_bench, refusing("1.1", also=intruder), options=options)
    first = matrix(uv_bench)
    assert outcomes(first) == {"1.0": "pass", "1.1": "fail", "2.0": "pass"}, first.out
    second = matrix(uv_bench)
    assert (second.ran.returncode, outcomes(second)) == (1, outcomes(first))
    assert {one["cell"] for one in second.trials} == {f"{CELL}(alpha='1.1')"}
    cached = cells(second)[f"{CELL}(alpha='2.0')"]
    assert (cached["trial"], cached["cached"][:2]) == (None, "20")
    assert re.search(r"3\.\d+ +cached +FAIL  \S+ s +cached\n", second.out), second.out
    # Neither for other words, nor where something has changed while it ran.
    assert len(matrix(uv_bench, "--jobs", "1", "--", "-x").trials) == 3
    text = uv_bench.project.joinpath("noxfile.py").read_text(encoding="utf-8")
    uv_bench.write("noxfile.py", text.replace('"MODE": "a"', '"MODE": "b"'))
    for _ in range(2):
        found = matrix(uv_bench, "--only", "alpha=2.0")
        assert (len(found.trials), outcomes(found)) == (1, {"2.0": "pass"}), found.out
        new.unlink()
