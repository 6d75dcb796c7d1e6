"""Whether the promised lower bounds work: `nox -s floors` from end to end."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from support.bench import Bench
from support.upgrading import CELL, THIS, Answer, campaign, declare, other_python
from support.wheels import Release, write_project, write_sdist

if TYPE_CHECKING:
    from pathlib import Path

    from support.index import Index

pytestmark = pytest.mark.process


def floors(bench: Bench, *words: str) -> Answer:
    return campaign(bench, "floors", *words)


def publish(bench: Bench, names: str, versions: str = "1.0 1.1 1.2 2.0") -> None:
    for name in names.split():
        for version in versions.split():
            bench.index.wheel(name, version)


def promise(bench: Bench, *requires: str, check: str, **options: Any) -> None:
    """A project that promises some lower bounds, tested with the newest `tool`."""
    python = options.pop("python", THIS)
    declared = options.pop("declared", 'project="dependencies"')
    run = options.pop("run", "")
    write_project(bench.project, requires=requires, **options)
    publish(bench, "tool", "1.0 2.0")
    checked = f"import tool\nassert tool.__version__ == '2.0', 'an old tool'\n{check}\n"
    spec = f'{declared}, dependencies="tool>=1"'
    declare(bench, checked, options=spec, python=python, **({"run": run} if run else {}))


def test_all_hold_takes_two_trials(uv_bench: Bench) -> None:
    publish(uv_bench, "a b c d")
    extras = {"cli": ["c>=1.1"], "gui": ["d>=1.0"]}
    promise(uv_bench, "a>=1.0", "b~=1.1", check="import demo, a, b, c", extras=extras,
            dynamic=True, declared='project="wheel", extras="cli"')  # fmt: skip
    found = floors(uv_bench)
    assert (found.ran.returncode, found.status) == (0, "ok"), found.out
    assert found.report["kind"] == "floors"
    assert [one["outcome"] for one in found.trials] == ["pass", "pass"]
    changes = sorted((one["changes"] for one in found.trials), key=len)
    assert changes == [{}, {"a": ["2.0", "1.0"], "b": ["1.2", "1.1"], "c": ["2.0", "1.1"]}]
    # Test tools are no promise, and stay at their newest.
    assert [one["moved"] for one in found.trials] == [{}, {}]
    assert set(found.floors()) == {"a", "b", "c"}
    keys = ("declared", "installed", "outcome", "true_floor", "raised_by")
    assert {key: found.floors()["a"][key] for key in keys} == {
        "declared": "1.0", "installed": "1.0", "outcome": "pass", "true_floor": "1.0",
        "raised_by": [],
    }  # fmt: skip
    assert f"all 3 passed with exactly the releases you promise on {THIS}." in found.out


def test_the_lowest_release_that_is_admitted(uv_bench: Bench) -> None:
    publish(uv_bench, "a b")
    promise(uv_bench, "a>1.0", "b>=0.5", check="import a, b")
    found = floors(uv_bench)
    assert {name: one["installed"] for name, one in found.floors().items()} == {
        "a": "1.1",
        "b": "1.0",
    }
    assert f"both passed with exactly the releases you promise on {THIS}." in found.out, found.out


def test_a_floor_that_does_not_hold(uv_bench: Bench) -> None:
    other = other_python()
    publish(uv_bench, "a", "1.0 1.1 2.0")
    publish(uv_bench, "b")
    check = (
        "import a, b, sys\n"
        f"floor = '1.0' if sys.version_info[:2] == {tuple(map(int, THIS.split('.')))} else '1.1'\n"
        "assert a.__version__ >= floor, 'a has no engine yet'"
    )
    promise(uv_bench, "a>=1.0,<3", "b>=1.0", check=check, python=[THIS, other])
    before = (uv_bench.project / "pyproject.toml").read_bytes()
    found = floors(uv_bench)
    # It is a check, as a linter is, and no question.
    assert (found.ran.returncode, found.status) == (1, "broken"), found.out
    assert "aborted: a lower bound does not hold" in found.out
    assert {name: one["true_floor"] for name, one in found.floors().items()} == {
        "a": "1.0",
        "b": "1.0",
    }
    false, true = (found.floors(f"test-{other}")[name] for name in ("a", "b"))
    assert (false["declared"], false["installed"], false["outcome"]) == ("1.0", "1.0", "fail")
    assert (false["true_floor"], false["requirement"]) == ("1.1", "a>=1.1,<3")
    assert false["reason"] == "AssertionError: a has no engine yet"
    assert (true["outcome"], true["true_floor"], true["requirement"]) == ("pass", "1.0", "")
    # What is offered passed, beside the other floors.
    proof = {"a": ["2.0", "1.1"], "b": ["2.0", "1.0"]}
    assert "pass" in {one["outcome"] for one in found.trials if one["changes"] == proof}
    assert f"One lower bound of 2 is not true: a>=1.0 needs 1.1 on {other}." in found.out
    place = re.escape(false["place"])
    assert re.search(rf"Put in {place}:   a>=1\.1,<3", found.out), found.out
    line = before.decode().splitlines()[int(false["place"].partition(":")[2]) - 1]
    assert "dependencies" in line or "a>=1.0" in line
    assert (uv_bench.project / "pyproject.toml").read_bytes() == before


def test_a_floor_that_another_dependency_raises(uv_bench: Bench) -> None:
    publish(uv_bench, "a")
    for version in ("1.0", "2.0"):
        uv_bench.index.wheel("b", version, requires=["a>=1.1"])
    promise(uv_bench, "a>=1.0", "b>=1.0", check="import a, b")
    found = floors(uv_bench)
    assert (found.ran.returncode, found.status) == (0, "ok"), found.out
    floor = found.floors()["a"]
    assert (floor["declared"], floor["installed"], floor["outcome"]) == ("1.0", "1.1", "pass")
    assert "a>=1.1" in floor["reason"]
    assert "1 of 2 is never installed as declared" in found.out
    assert [one.startswith("b") for one in floor["raised_by"]] == [True]


def test_the_only_release_that_passes_is_a_true_floor(uv_bench: Bench) -> None:
    publish(uv_bench, "a", "1.0 1.1 2.0")
    publish(uv_bench, "b")
    promise(uv_bench, "a~=1.0,!=1.5", "b", check="import a\nassert a.__version__ != '1.0'")
    found = floors(uv_bench, "a")
    assert found.status == "broken", found.out
    floor = found.floors()["a"]
    assert (floor["true_floor"], floor["requirement"]) == ("1.1", "a~=1.1,!=1.5")


def test_floors_that_do_not_go_together(uv_bench: Bench) -> None:
    publish(uv_bench, "a b")
    uv_bench.index.wheel("b", "1.0", requires=["a>=1.1"])
    promise(uv_bench, "a>=1.0", "b>=1.0", check="import a, b")
    found = floors(uv_bench)
    # Which of them gives way is up to the resolver.
    (raised,) = (one for one in found.floors().values() if one["installed"] != "1.0")
    assert (raised["declared"], raised["installed"], raised["outcome"]) == ("1.0", "1.1", "pass")
    assert "1 of 2 is never installed as declared" in found.out
    assert "a>=1.1" in raised["reason"]


def test_a_floor_that_a_test_tool_raises(uv_bench: Bench) -> None:
    publish(uv_bench, "a b")
    for version in ("1.0", "2.0"):
        uv_bench.index.wheel("raiser", version, requires=["a>=1.1"])
    promise(uv_bench, "a>=1.0", "b>=1.0", check="import a, b, raiser",
            declared='requirements="requirements.txt", project="dependencies"')  # fmt: skip
    uv_bench.write("requirements.txt", "raiser==2.0\n")
    found = floors(uv_bench)
    # With this tool the promised release cannot be tested, which is no failure of it.
    raised = found.floors()["a"]
    assert raised["declared"] == "1.0", found.out
    assert [one.startswith("raiser") for one in raised["raised_by"]] == [True]
    assert "fail" not in {one["outcome"] for one in found.trials}
    assert found.floors()["b"]["outcome"] == "pass"


def test_no_bound_is_no_promise(uv_bench: Bench) -> None:
    publish(uv_bench, "a b")
    check = "import a, b\nassert a.__version__ >= '1.1', 'a has no engine yet'"
    promise(uv_bench, "a", "b>=1.0", check=check)
    found = floors(uv_bench)
    none = {"declared": None, "installed": "2.0", "outcome": None, "true_floor": None}
    assert {key: found.floors()["a"][key] for key in none} == none
    assert found.floors()["b"]["outcome"] == "pass"
    assert "Without a lower bound: a." in found.out
    assert "Your lower bound holds" in found.out
    assert (found.ran.returncode, found.status) == (0, "ok"), found.out


def test_what_is_held_stays_where_it_is(uv_bench: Bench) -> None:
    publish(uv_bench, "a b")
    promise(uv_bench, "a>=1.0", "b>=1.0", check="import a, b\nassert b.__version__ > '1.1', 'old'")
    found = floors(uv_bench, "--hold", "b")
    assert (found.ran.returncode, found.status) == (0, "ok"), found.out
    assert set(found.floors()) == {"a"}
    assert found.trials[-1]["changes"] == {"a": ["2.0", "1.0"]}
    for words, said in (
        (["--hold", "c"], "c is to be held, and is not among the"),
        (["--hold", "a", "--hold", "b"], f"all that {CELL} could lower is held"),
        (["--hold", "b<2"], f"--hold b<2: {CELL} has b 2.0"),
    ):
        assert said in floors(uv_bench, *words).out


OLD = {
    "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]',
    "own.py": "raise RuntimeError('Sorry, Python 3 not yet supported')",
}


def publish_old(bench: Bench, name: str) -> None:
    """A release of which not even the metadata can be had."""
    write_sdist(bench.index.files, Release(name, "0.1", [], "", {}, {}, dynamic=True), OLD)


def test_what_has_no_bound_is_not_lowered(uv_bench: Bench) -> None:
    publish(uv_bench, "a c")
    uv_bench.index.wheel("a", "0.9", requires=["c<2"])
    publish_old(uv_bench, "b")
    publish(uv_bench, "b", "1.0 2.0")
    promise(uv_bench, "a>=0.9", "b", "c[x]<3", check="import a, b, c")
    found = floors(uv_bench)
    assert (found.ran.returncode, found.status) == (0, "ok"), found.out
    installed = {name: one["installed"] for name, one in found.floors().items()}
    assert installed == {"a": "0.9", "b": "2.0", "c": "1.2"}
    assert found.floors()["c"]["outcome"] is None
    assert found.trials[-1]["changes"] == {"a": ["2.0", "0.9"]}


def test_a_floor_without_metadata_is_no_answer_about_the_others(uv_bench: Bench) -> None:
    publish(uv_bench, "a", "1.0 2.0")
    publish_old(uv_bench, "b")
    publish(uv_bench, "b", "1.0 2.0")
    promise(uv_bench, "a>=1.0", "b>=0.1", check="import a, b")
    found = floors(uv_bench)
    assert (found.ran.returncode, found.status) == (1, "broken"), found.out
    false, true = found.floors()["b"], found.floors()["a"]
    assert (false["outcome"], false["true_floor"]) == ("unbuildable", "1.0")
    assert (true["outcome"], true["installed"]) == ("pass", "1.0")


def test_a_floor_that_cannot_be_built(uv_bench: Bench) -> None:
    uv_bench.index.sdist("a", "1.0", breaks=True)
    publish(uv_bench, "a", "1.1 2.0")
    promise(uv_bench, "a>=1.0", check="import a")
    found = floors(uv_bench)
    assert (found.ran.returncode, found.status) == (1, "broken"), found.out
    floor = found.floors()["a"]
    assert (floor["outcome"], floor["true_floor"]) == ("unbuildable", "1.1")
    assert floor["requirement"] == "a>=1.1"
    assert "fail" not in {one["outcome"] for one in found.trials}


STOPS = """
import a, os, signal, time
from pathlib import Path

root = Path({root!r})
assert a.__version__ != "1.0", "a has no engine yet"
if a.__version__ != "2.0":
    if (root / "passed").exists():
        os.kill(int((root / "pid").read_text()), signal.SIGTERM)
        time.sleep(600)
    (root / "passed").write_text(a.__version__)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_search_that_is_stopped_tells_how_far_it_came(uv_bench: Bench) -> None:
    publish(uv_bench, "a", "1.0 1.1 1.2 1.3 1.4 1.5 1.6 2.0")
    promise(uv_bench, "a>=1.0", check=STOPS.format(root=str(uv_bench.root)))
    noxfile = uv_bench.project / "noxfile.py"
    pid = f"pathlib.Path({str(uv_bench.root / 'pid')!r})"
    first = f"import os, pathlib\npid = {pid}\npid.exists() or pid.write_text(str(os.getpid()))\n"
    noxfile.write_text(first + noxfile.read_text())
    found = floors(uv_bench, "--jobs", "1")
    assert (found.status, found.ran.returncode != 0) == ("interrupted", True), found.out
    passed = (uv_bench.root / "passed").read_text()
    floor = found.floors()["a"]
    assert (floor["outcome"], floor["true_floor"], floor["requirement"]) == ("fail", passed, "")
    words = f"the search is not finished, {passed} is the lowest that has passed so far"
    assert words in found.out


def test_lower_bounds_that_could_be_lower(uv_bench: Bench) -> None:
    publish(uv_bench, "a", "1.0 1.1 1.2 1.3 1.4 2.0")
    check = "import a\nassert a.__version__ >= '1.2', 'a has no engine yet'"
    promise(uv_bench, "a>=1.4", check=check)
    found = floors(uv_bench, "--lower")
    assert (found.ran.returncode, found.status) == (0, "ok"), found.out
    floor = found.floors()["a"]
    assert (floor["outcome"], floor["true_floor"], floor["requirement"]) == (
        "pass", "1.2", "a>=1.2",
    )  # fmt: skip
    assert "a>=1.4   could be   a>=1.2" in found.out


def test_without_a_project_names_are_needed(uv_bench: Bench) -> None:
    publish(uv_bench, "a b")
    options = 'project=False, dependencies=["a>=1.0", "b>=1.1"]'
    declare(uv_bench, "import a, b\nassert b.__version__ == '2.0'\n", options=options)
    none = floors(uv_bench)
    assert none.ran.returncode == 1
    assert "no project whose lower bounds could be proven" in none.out
    assert "name the dependencies" in none.out
    named = floors(uv_bench, "a")
    assert named.ran.returncode == 0, named.out
    assert set(named.floors()) == {"a"}
    assert (named.floors()["a"]["installed"], named.floors()["a"]["outcome"]) == ("1.0", "pass")
    wrong = floors(uv_bench, "bb")
    assert (wrong.ran.returncode, "did you mean b?" in wrong.out) == (1, True)


def test_pip_cannot_take_the_lowest(tmp_path: Path, index: Index) -> None:
    bench = Bench(root=tmp_path, index=index, tool="pip")
    declare(bench, "import alpha\n", options='project=False, dependencies="alpha>=1.0"')
    found = floors(bench, "alpha")
    assert found.ran.returncode == 1
    assert "pip install 'nox-envs[uv]'" in found.out
    assert found.report.get("trials", []) == []


# -- what passed, written down


def projects_file(bench: Bench) -> str:
    return (bench.project / "pyproject.toml").read_text(encoding="utf-8")


def pretty(bench: Bench, before: str, after: str) -> str:
    """The project as people write it, with another text for its dependencies."""
    text = projects_file(bench)
    assert text.count(before) == 1, text
    bench.write("pyproject.toml", text.replace(before, after))
    return projects_file(bench)


NEEDS_1_1 = "import a, b\nassert a.__version__ >= '1.1', 'a has no engine yet'"
DEPENDENCIES = '["a>=1.0,<3", "b>=1.0"]'
WRITTEN = """[  # promised
    'a >= 1.0 , <3',  # why
    "b>=1.0",
]"""


def test_what_passed_is_written_and_holds(uv_bench: Bench) -> None:
    publish(uv_bench, "a b")
    promise(uv_bench, "a>=1.0,<3", "b>=1.0", check=NEEDS_1_1)
    before = pretty(uv_bench, DEPENDENCIES, WRITTEN)
    shown = uv_bench.nox("-s", "floors", "--", "--dry-run")
    assert projects_file(uv_bench) == before
    assert "-    'a >= 1.0 , <3',  # why\n+    'a >= 1.1 , <3',  # why\n" in shown.out, shown.out
    assert shown.returncode == 1  # It does not hold yet.
    # The result is used again: nothing is run, and the whole project passed with it.
    found = floors(uv_bench, "--apply")
    assert "Using the result of" in found.out, found.out
    assert " fail," not in found.out
    assert found.ran.returncode == 0, found.out
    assert projects_file(uv_bench) == before.replace("a >= 1.0 ,", "a >= 1.1 ,")
    assert "pyproject.toml: 1 line changed." in found.out
    assert "now promises exactly the lowest releases that passed (2 of 2)." in found.out
    again = floors(uv_bench)
    assert (again.ran.returncode, again.status) == (0, "ok"), again.out
    none = uv_bench.nox("-s", "floors", "--", "--apply")
    assert none.returncode == 0
    assert "There is nothing to write: no other lower bound was proven." in none.out


def test_one_line_for_two_pythons_gets_the_higher_floor(uv_bench: Bench) -> None:
    other = other_python()
    publish(uv_bench, "a b c")
    new = f"sys.version_info[:2] == {tuple(map(int, THIS.split('.')))}"
    check = (
        "import a, b, c, sys\n"
        f"assert a.__version__ >= ('1.1' if {new} else '1.2'), 'a has no engine yet'\n"
        f"assert {new} or b.__version__ >= '1.1', 'b has no engine yet'\n"
        # Of what passes alone on each of them not all passes on both.
    )
    markers = [f"b>=1.0; python_version{sign}'{THIS}'" for sign in ("==", "!=")]
    promise(uv_bench, "a>=1.0", *markers, "c~=1.0", check=check, python=[THIS, other])
    found = floors(uv_bench, "--apply")
    assert found.ran.returncode == 0, found.out
    asked = {name: one["a"]["requirement"] for name, one in found.report["floors"].items()}
    assert set(asked.values()) == {"a>=1.2"}, asked
    assert 'dependencies = ["a>=1.2", ' in projects_file(uv_bench)
    assert f"b>=1.0; python_version=='{THIS}'" in projects_file(uv_bench)
    assert f"b>=1.1; python_version!='{THIS}'" in projects_file(uv_bench)
    assert "c~=1.0" in projects_file(uv_bench)
    # On the column that could do with less it was run with what is written.
    whole = [one["changes"] for one in found.trials if one["outcome"] == "pass"
             and one["cell"] == f"test-{THIS}"]  # fmt: skip
    assert {"a": ["2.0", "1.2"], "b": ["2.0", "1.0"], "c": ["1.2", "1.0"]} in whole
    again = floors(uv_bench)
    assert (again.ran.returncode, again.status) == (0, "ok"), again.out


def test_bounds_that_do_not_pass_together_are_not_written(uv_bench: Bench) -> None:
    other = other_python()
    publish(uv_bench, "a")
    check = (
        "import a, sys\n"
        f"new = sys.version_info[:2] == {tuple(map(int, THIS.split('.')))}\n"
        "assert a.__version__ != ('1.1' if new else '1.0'), 'not with this one'"
    )
    promise(uv_bench, "a>=1.0", check=check, python=[THIS, other])
    before = projects_file(uv_bench)
    found = floors(uv_bench, "--apply")
    assert found.floors(f"test-{other}")["a"]["true_floor"] == "1.1", found.out
    assert found.ran.returncode == 1
    assert f"{CELL}: the corrected bounds did not pass together" in found.out
    assert projects_file(uv_bench) == before


def test_what_does_not_promise_what_was_tested_is_taken_back(uv_bench: Bench) -> None:
    publish(uv_bench, "a b")
    promise(uv_bench, "a>=1.0", "b>=1.0", check=NEEDS_1_1)
    assert floors(uv_bench).status == "broken"
    before = projects_file(uv_bench)
    uv_bench.index.wheel("b", "1.0.5")
    uv_bench.index.yank("b", "1.0")
    found = floors(uv_bench, "--apply")
    assert found.ran.returncode == 1
    assert "the edited files do not promise the releases that passed" in found.out, found.out
    assert f"{CELL}: the lowest b would be 1.0.5, it passed with 1.0" in found.out
    assert "the files are as they were" in found.out
    assert projects_file(uv_bench) == before


def test_a_file_with_changes_is_not_written(uv_bench: Bench) -> None:
    publish(uv_bench, "a b")
    promise(uv_bench, "a>=1.0", "b>=1.0", check=NEEDS_1_1)
    git = ("git", "-c", "user.name=x", "-c", "user.email=x@example.org")
    for words in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "x")):
        subprocess.run([*git, *words], cwd=uv_bench.project, check=True)
    before = projects_file(uv_bench) + "# mine\n"
    uv_bench.write("pyproject.toml", before)
    refused = floors(uv_bench, "--apply")
    assert refused.ran.returncode == 1
    assert "there are changes that are not committed" in refused.out, refused.out
    assert refused.report == {}
    assert projects_file(uv_bench) == before
    assert floors(uv_bench, "--apply", "--force").ran.returncode == 0
    written = before.replace("a>=1.0", "a>=1.1")
    assert projects_file(uv_bench) == written
    # Where all hold there is nothing to write, so nothing to lose.
    assert floors(uv_bench).ran.returncode == 0
    again = floors(uv_bench, "--apply")
    assert again.ran.returncode == 0, again.out
    assert "There is nothing to write" in again.out
    assert projects_file(uv_bench) == written


def test_what_is_not_known_is_left(uv_bench: Bench) -> None:
    publish(uv_bench, "a b")
    run = """if session.run("python", "old.py", silent=True).strip() != "2.0":
        session.skip("not with an old b")
    session.run("python", "check.py")"""
    promise(uv_bench, "a>=1.0", "b>=1.0", check=NEEDS_1_1, run=run)
    uv_bench.write("old.py", "import b\nprint(b.__version__)\n")
    before = projects_file(uv_bench)
    found = floors(uv_bench, "--apply")
    assert found.ran.returncode == 1
    assert f"Left as it is:\n  {CELL}: b>=1.0" in found.out, found.out
    assert projects_file(uv_bench) == before.replace("a>=1.0", "a>=1.1")


def test_lower_bounds_are_written_where_they_are_asked_for(uv_bench: Bench) -> None:
    publish(uv_bench, "a", "1.0 1.1 1.2 1.3 1.4 2.0")
    check = "import a\nassert a.__version__ >= '1.2', 'a has no engine yet'"
    promise(uv_bench, "a~=1.3", check=check)
    # The same campaign without the option answers another question.
    assert floors(uv_bench).status == "ok"
    found = floors(uv_bench, "--lower", "--apply")
    assert found.ran.returncode == 0, found.out
    assert '"a~=1.2"' in projects_file(uv_bench), found.out


def test_what_nobody_edits_is_told(uv_bench: Bench) -> None:
    publish(uv_bench, "a b")
    promise(uv_bench, "a>=1.0,<3", "b>=1.0", check=NEEDS_1_1, dynamic=True,
            declared='project="wheel"')  # fmt: skip
    found = floors(uv_bench, "--apply")
    assert found.ran.returncode == 1
    assert "a: it is promised where it cannot be edited" in found.out, found.out
    assert "a>=1.1,<3" in found.out


def test_requirement_files_are_edited_for_what_is_named(uv_bench: Bench) -> None:
    publish(uv_bench, "a b")
    options = 'project=False, requirements="requirements.txt", dependencies=["b>=1.0"]'
    declare(uv_bench, NEEDS_1_1, options=options)
    uv_bench.write("requirements.txt", "-r more.txt\n")
    uv_bench.write("more.txt", "# of it\na >= 1.0  # why\n")
    found = floors(uv_bench, "a", "--apply")
    assert found.ran.returncode == 0, found.out
    written = (uv_bench.project / "more.txt").read_text(encoding="utf-8")
    assert written == "# of it\na >= 1.1  # why\n"


POETRY = """
[tool.poetry.dependencies]
python = "^3.8"
a = {version = '^1.0', extras = []}  # why
b = ">=1.0"
"""


def test_the_tables_of_poetry_are_edited(uv_bench: Bench) -> None:
    publish(uv_bench, "a b")
    promise(uv_bench, check=NEEDS_1_1)
    text = projects_file(uv_bench).partition("[project]")[0]
    before = f'{text}[tool.poetry]\nname = "demo"\nversion = "1.0"\n{POETRY}'
    uv_bench.write("pyproject.toml", before)
    found = floors(uv_bench, "--apply")
    assert found.ran.returncode == 0, found.out
    assert projects_file(uv_bench) == before.replace("'^1.0'", "'^1.1'")
    again = floors(uv_bench)
    assert (again.ran.returncode, again.status) == (0, "ok"), again.out


READS = """
import tomllib

TABLE = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
RELEASE = wheels.Release(**{**CONFIG["release"], "requires": TABLE["dependencies"],
                            "extras": TABLE["optional-dependencies"]})
"""


def test_a_wheel_promises_what_was_written(uv_bench: Bench) -> None:
    pytest.importorskip("tomllib")
    publish(uv_bench, "a b c")
    check = f"{NEEDS_1_1}\nimport c\nassert c.__version__ >= '1.2', 'c has no engine yet'"
    extras = {"cli": ["c>=1.1"], "all": ["demo[cli]"]}
    promise(uv_bench, "a>=1.0", "b>=1.0", check=check, extras=extras,
            declared='project="wheel", extras="all"')  # fmt: skip
    backend = (uv_bench.project / "backend.py").read_text(encoding="utf-8")
    head, release, rest = backend.partition('RELEASE = wheels.Release(**CONFIG["release"])')
    assert release
    (uv_bench.project / "backend.py").write_text(f"{head}{READS}{rest}", encoding="utf-8")
    found = floors(uv_bench, "--apply")
    assert found.ran.returncode == 0, found.out
    assert 'dependencies = ["a>=1.1", "b>=1.0"]' in projects_file(uv_bench)
    assert 'cli = ["c>=1.2"]' in projects_file(uv_bench)
    assert "(3 of 3)" in found.out
