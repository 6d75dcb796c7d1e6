"""Whether the promised lower bounds work: `nox -s floors` from end to end."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from support.bench import Bench
from support.upgrading import THIS, Answer, campaign, declare, other_python
from support.wheels import write_project

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
    write_project(bench.project, requires=requires, **options)
    publish(bench, "tool", "1.0 2.0")
    checked = f"import tool\nassert tool.__version__ == '2.0', 'an old tool'\n{check}\n"
    declare(bench, checked, options=f'{declared}, dependencies="tool>=1"', python=python)


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
    assert found.floors()["a"]["declared"] is None
    assert found.floors()["b"]["outcome"] == "pass"
    assert "Without a lower bound: a." in found.out
    assert "Your lower bound holds" in found.out
    assert (found.ran.returncode, found.status) == (0, "ok"), found.out


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
    assert "nox -s floors -- NAME" in none.out
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
