"""The trials of `nox -s upgrade`: what they run, what they tell, and what they leave alone."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from support.bench import Bench
from support.index import Index
from support.upgrading import CELL, THIS, declare, other_python, pin, upgrade

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.process

JUNIT = """
    import os, shlex, sys
    from importlib import metadata

    def failing(version):
        return {failing}

    words = shlex.split(os.environ["PYTEST_ADDOPTS"])
    (path,) = [word[len("--junitxml="):] for word in words if word.startswith("--junitxml=")]
    failed = failing(metadata.version)
    cases = "".join(
        f'<testcase classname="test_it" file="test_it.py" name="{{name}}">'
        f'<failure message="AssertionError: {{name}} is wrong">E   AssertionError</failure></testcase>'
        for name in failed
    )
    if {others}:
        cases += '<testcase classname="test_it" file="test_it.py" name="test_good"/>'
    with open(path, "w") as file:
        file.write(f'<testsuites><testsuite>{{cases}}</testsuite></testsuites>')
    for name in failed:
        print(f"FAILED test_it.py::{{name}} - AssertionError: {{name}} is wrong")
    sys.exit(bool(failed))
"""


def content(root: Path) -> dict[str, bytes]:
    """All files of a project, but for what nox keeps, and what Python makes of the noxfile."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.relative_to(root).parts[0] not in {".nox", "__pycache__"}
    }


def log_of(bench: Bench, report: dict[str, object], trial: dict[str, str]) -> str:
    path = bench.project / str(report["directory"]) / trial["log"]
    return path.read_text(encoding="utf-8")


def test_the_tree_is_copied_and_never_written(uv_bench: Bench) -> None:
    pin(uv_bench, "a")
    uv_bench.write("pkg/data.txt", "data")
    declare(
        uv_bench,
        """
        import os, sys, a
        print("RUNS IN", os.getcwd())
        assert open("pkg/data.txt").read() == "data"
        open("pkg/data.txt", "w").write("other")
        open("new.txt", "w").write(a.__version__)
        """,
    )
    before = content(uv_bench.project)
    found = upgrade(uv_bench, "--markdown", "found.md")
    assert found.safe == {"a": "2.0"}, found.out
    after = content(uv_bench.project)
    markdown = after.pop("found.md").decode()
    assert after == before
    for trial in found.trials:
        assert f"RUNS IN {uv_bench.project}\n" not in log_of(uv_bench, found.report, trial)
    lines = markdown.splitlines()
    assert lines[0] == "# Upgrade a to 2.0"
    assert f"That exact set passed `test` on Python {THIS}" in markdown
    assert "| a | 1.0 | 2.0 | safe |" in markdown
    # Nothing of the trials is left beside the project either.
    left = {path.name for path in uv_bench.root.iterdir()} - {"project", "home", "report.json"}
    assert [name for name in left if not name.startswith(("index-", "uv"))] == []


def test_the_shared_tree_is_used_in_place_and_by_one_at_a_time(uv_bench: Bench) -> None:
    pin(uv_bench, "a b")
    declare(
        uv_bench,
        """
        import os, pathlib, time, a, b
        assert pathlib.Path.cwd() == pathlib.Path(__file__).resolve().parent
        os.mkdir("busy")
        time.sleep(0.3)
        os.rmdir("busy")
        with open("seen.txt", "a") as file:
            file.write(f"{a.__version__}\\n")
        """,
        options='requirements="requirements.txt", tree="shared"',
    )
    found = upgrade(uv_bench, "--jobs", "2")
    assert found.safe == {"a": "2.0", "b": "2.0"}, found.out
    seen = (uv_bench.project / "seen.txt").read_text().split()
    assert sorted(seen) == ["1.0", "2.0"]


def test_ignored_files_that_the_tests_need_are_included(uv_bench: Bench) -> None:
    pin(uv_bench, "a")
    uv_bench.write(".gitignore", "*.bin\n.nox\n")
    uv_bench.write("needed.bin", "needed")
    uv_bench.write("other.bin", "other")
    subprocess.run(["git", "init", "-q"], cwd=uv_bench.project, env=uv_bench.variables, check=True)
    check = """
        import pathlib, a
        assert pathlib.Path("needed.bin").exists(), "it is not there"
        assert not pathlib.Path("other.bin").exists()
    """
    declare(uv_bench, check)
    assert upgrade(uv_bench).ran.returncode == 1
    options = 'requirements="requirements.txt", tree_include=["need*.bin"]'
    declare(uv_bench, check, options=options)
    found = upgrade(uv_bench)
    assert found.safe == {"a": "2.0"}, found.out


def test_posargs_reach_the_session(uv_bench: Bench) -> None:
    pin(uv_bench, "a")
    declare(uv_bench, "import sys, a\nprint('GIVEN', sys.argv[1:])\n")
    found = upgrade(uv_bench, "a", "--", "-k", "login", "--jobs", "--", "x")
    assert found.safe == {"a": "2.0"}, found.out
    for trial in found.trials:
        said = log_of(uv_bench, found.report, trial)
        assert "GIVEN ['-k', 'login', '--jobs', '--', 'x']" in said


def test_what_is_never_imported_is_marked(uv_bench: Bench) -> None:
    pin(uv_bench, "used child idle")
    pin(uv_bench, "tool")
    for version in ("1.0", "2.0"):
        script = {f"tool-{version}.data/scripts/tool": "#!python\n"}
        uv_bench.index.wheel("tool", version, modules=script)
    declare(
        uv_bench,
        """
        import subprocess, sys, sysconfig, used
        from importlib import metadata
        subprocess.run([sys.executable, "-c", "import child"], check=True, env={})
        names = {found.metadata["Name"] for found in metadata.distributions()}
        print("HOLDS", sorted(names - {"pip"}))
        """,
    )
    found = upgrade(uv_bench)
    assert set(found.verdicts().values()) == {"safe"}, found.out
    marks = {name: found.judged(name)["unexercised"] for name in found.verdicts()}
    assert marks == {"used": False, "child": False, "idle": True, "tool": None}
    said = log_of(uv_bench, found.report, found.trials[-1])
    assert "HOLDS ['child', 'idle', 'tool', 'used']" in said
    rows = [line for line in found.out.splitlines() if "your tests never import it" in line]
    assert [row.split()[0] for row in rows] == ["idle"]


def test_failing_tests_are_named(uv_bench: Bench) -> None:
    pin(uv_bench, "a b")
    declare(
        uv_bench,
        JUNIT.format(failing='["test_x", "test_y"] if version("b") == "2.0" else []', others=True),
    )
    found = upgrade(uv_bench)
    assert found.verdicts() == {"a": "safe", "b": "breaks"}, found.out
    failed = [one for one in found.trials if one["outcome"] == "fail"]
    ids = ["test_it.py::test_x", "test_it.py::test_y"]
    assert all(one["failed_tests"] == ids for one in failed)
    assert found.judged("b")["failing"] == {
        "test_it.py::test_x": "AssertionError: test_x is wrong",
        "test_it.py::test_y": "AssertionError: test_y is wrong",
    }
    assert "b 2.0 breaks 2 tests" in found.out
    assert "test_it.py::test_y   AssertionError: test_y is wrong" in found.out


def test_tests_that_fail_already_decide_nothing(uv_bench: Bench) -> None:
    pin(uv_bench, "a b")
    declare(
        uv_bench,
        JUNIT.format(
            failing='["test_old"] + (["test_new"] if version("b") == "2.0" else [])', others=True
        ),
    )
    found = upgrade(uv_bench)
    assert found.ran.returncode == 0, found.out
    assert found.status == "broken"
    assert found.report["baseline"][CELL]["known_failures"] == ["test_it.py::test_old"]
    assert found.verdicts() == {"a": "safe", "b": "breaks"}
    assert list(found.judged("b")["failing"]) == ["test_it.py::test_new"]
    assert "1 test fails already with the versions you have" in found.out
    assert "b 2.0 breaks 1 test" in found.out


def test_nothing_is_concluded_where_no_test_passes(uv_bench: Bench) -> None:
    pin(uv_bench, "a")
    declare(uv_bench, JUNIT.format(failing='["test_old"]', others=False))
    found = upgrade(uv_bench)
    assert (found.ran.returncode, found.status) == (1, "baseline-red"), found.out
    assert "Cannot tell: the tests fail already with the versions you have" in found.out


def test_a_nox_inside_the_tests_is_no_trial(uv_bench: Bench) -> None:
    pin(uv_bench, "a b")
    uv_bench.write(
        "inner/noxfile.py",
        f"""
        import os
        import nox_envs

        @nox_envs.session(python="{THIS}", dependencies=["b"])
        def test(session):
            print("INSIDE", sorted(name for name in os.environ if "TRIAL" in name))
            session.run("python", "-c", "import b; print('INNER HAS', b.__version__)")
        """,
    )
    nested = 'session.run({!r}, "-m", "nox", "-f", "inner/noxfile.py", external=True)'
    declare(uv_bench, "", run=nested.format(sys.executable))
    found = upgrade(uv_bench)
    assert found.safe == {"a": "2.0", "b": "2.0"}, found.out
    for trial in found.trials:
        said = log_of(uv_bench, found.report, trial)
        assert "INSIDE []" in said
        assert "INNER HAS 2.0" in said


def test_credentials_appear_nowhere(tmp_path: Path) -> None:
    secret = "S3CRET/x7"
    with Index(tmp_path, credentials=("bob", secret)) as index:
        bench = Bench(root=tmp_path, index=index)
        pin(bench, "a b")
        declare(
            bench,
            """
            import os, a, b
            print(os.environ.get("UV_DEFAULT_INDEX"), os.environ.get("PIP_INDEX_URL"))
            assert b.__version__ == "1.0", os.environ["UV_DEFAULT_INDEX"]
            """,
        )
        pages = index.url.replace("://", f"://bob:{quote(secret, safe='')}@")
        shell = {"UV_DEFAULT_INDEX": pages, "PIP_INDEX_URL": pages}
        found = upgrade(bench, "--markdown", "found.md", **shell)
        assert found.verdicts() == {"a": "safe", "b": "breaks"}, found.out
    token = base64.b64encode(f"bob:{secret}".encode()).decode()
    shapes = [secret, quote(secret, safe=""), token]
    assert all(shape not in found.out for shape in shapes)
    kept = [path for path in bench.project.rglob("*") if path.is_file()]
    assert any("campaigns" in path.parts and path.suffix == ".log" for path in kept)
    for path in [*kept, bench.root / "report.json"]:
        text = path.read_bytes()
        assert all(shape.encode() not in text for shape in shapes), path


def test_documents_on_standard_output(uv_bench: Bench) -> None:
    pin(uv_bench, "a")
    declare(uv_bench, "import a\n")
    ran = subprocess.run(
        [sys.executable, "-m", "nox", "-s", "upgrade", "--", "--json", "-"],
        cwd=uv_bench.project,
        env=uv_bench.variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    assert json.loads(ran.stdout)["schema"] == "nox-envs.report/1"


def test_runs_are_proven_and_bounded_as_asked(uv_bench: Bench) -> None:
    pin(uv_bench, "a b")
    declare(uv_bench, "import a, b\n")
    found = upgrade(uv_bench, "--proofs", "3")
    assert len(found.report["safe_set"]["all"]["trials"][CELL]) == 3
    assert "that exact set passed 3 times" in found.out
    declare(uv_bench, "import a, b\nassert b.__version__ == '1.0', 'b is broken'\n")
    bounded = upgrade(uv_bench, "--max-trials", "2")
    assert len(bounded.trials) == 2
    assert bounded.status == "inconclusive"
    assert bounded.ran.returncode == 1
    assert bounded.safe == {}


def test_what_is_offered_in_the_end_is_proven_and_all_of_it_bounded(uv_bench: Bench) -> None:
    """A cap is raised, and two Pythons agree on a set that neither search has found."""
    other = other_python()
    pin(uv_bench, "a b c", "1.0 1.5 2.0")
    check = f"""
        import sys, a, b, c
        here = "%s.%s" % sys.version_info[:2]
        assert a.__version__ != "2.0", "a is broken"
        assert (b if here == "{other}" else c).__version__ == "1.0", "that is broken"
        """
    declare(uv_bench, check, python=[THIS, other])
    found = upgrade(uv_bench, "--proofs", "3")
    assert found.safe == {"a": "1.5"}, found.out
    for cell, ids in found.report["safe_set"]["all"]["trials"].items():
        runs = [one for one in found.trials if one["id"] in ids]
        assert [(one["cell"], one["outcome"]) for one in runs] == [(cell, "pass")] * 3
        assert all({n: new for n, (_, new) in one["changes"].items()} == found.safe for one in runs)
    assert "it passed 3 times" in found.out
    bounded = upgrade(uv_bench, "--max-trials", "6")
    cells = [one["cell"] for one in bounded.trials]
    assert max(map(cells.count, cells)) == 6
    assert set(bounded.report["exhausted"].values()) == {"--max-trials 6 were used up"}
    assert "--max-trials 6 were used up" in bounded.out


def test_a_report_in_the_project_makes_no_result_stale(uv_bench: Bench) -> None:
    pin(uv_bench, "a")
    declare(uv_bench, "import a\n")
    ran = uv_bench.nox("-s", "upgrade", "--", "--json", "found.json", "--apply")
    assert ran.returncode == 0, ran.out
    assert "nothing to write" not in ran.out
    assert (uv_bench.project / "requirements.txt").read_text() == "a==2.0\n"
