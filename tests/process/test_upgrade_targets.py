"""What `nox -s upgrade` tries: which releases there are, and what the command line makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.upgrading import CELL, THIS, declare, pin, upgrade
from support.wheels import write_project

if TYPE_CHECKING:
    from support.bench import Bench

pytestmark = pytest.mark.process


def test_what_cannot_be_built_is_no_failure(uv_bench: Bench) -> None:
    pin(uv_bench, "a")
    pin(uv_bench, "sour", "1.0")
    uv_bench.index.sdist("sour", "2.0", breaks=True)
    declare(uv_bench, "import a, sour\n")
    found = upgrade(uv_bench)
    assert found.verdicts() == {"a": "safe", "sour": "unbuildable"}, found.out
    assert found.safe == {"a": "2.0"}
    assert "fail" not in {one["outcome"] for one in found.trials}
    assert "sour 2.0 cannot be built" in found.out
    assert found.ran.returncode == 0


@pytest.mark.parametrize(
    "allowed",
    [
        False,
        True,
    ],
)
def test_a_new_package_is_only_built_where_it_is_allowed(uv_bench: Bench, *, allowed: bool) -> None:
    marker = uv_bench.root / "built"
    uv_bench.index.sdist("novel", "1.0", marker=marker)
    uv_bench.index.wheel("a", "1.0")
    uv_bench.index.wheel("a", "2.0", requires=["novel"])
    uv_bench.write("requirements.txt", "a==1.0\n")
    build = ', build=["novel"]' if allowed else ""
    declare(uv_bench, "import a\n", options=f'requirements="requirements.txt"{build}')
    found = upgrade(uv_bench)
    assert found.verdicts() == {"a": "safe" if allowed else "unbuildable"}, found.out
    assert marker.exists() is allowed
    if allowed:
        assert found.report["safe_set"][CELL]["moved"] == {"novel": [None, "1.0"]}
    else:
        assert 'build=["novel"]' in found.judged("a")["reason"]
        assert len(found.trials) == 1


def test_what_is_no_target(uv_bench: Bench) -> None:
    pin(uv_bench, "a", "1.0 2.0 3.0 5.0b1")
    uv_bench.index.yank("a", "3.0", "it eats data")
    uv_bench.index.wheel("a", "4.0", requires_python=">=3.99")
    uv_bench.index.wheel("a", "4.1", tag="cp399-cp399-win_amd64")
    declare(uv_bench, "import a\n")
    found = upgrade(uv_bench)
    assert (found.verdicts(), found.safe) == ({"a": "safe"}, {"a": "2.0"}), found.out
    assert found.tried("a") == ["2.0"]
    assert upgrade(uv_bench, "--pre").safe == {"a": "5.0b1"}


def test_own_bounds_are_lifted_to_ask_and_no_others(uv_bench: Bench) -> None:
    pin(uv_bench, "a b")
    uv_bench.index.wheel("binder", "1.0", requires=["b<2"])
    (uv_bench.project / "requirements.txt").unlink()
    write_project(uv_bench.project, requires=["a>=1,<2", "b<2", "binder"])
    declare(uv_bench, "import demo, a, b, binder\n", options='project="wheel"')
    found = upgrade(uv_bench)
    assert found.verdicts() == {"a": "safe", "b": "infeasible"}, found.out
    assert found.safe == {"a": "2.0"}
    (lifted,) = found.candidate("a")["lifted"]
    assert lifted.startswith("pyproject.toml:")
    assert lifted.endswith(("a>=1,<2", "a<2,>=1"))
    assert "lifted to ask" in found.out
    # What was not taken was not lifted either.
    assert "binder" in found.judged("b")["reason"]
    # As new users get it, it is the same set: not run again.
    assert (found.report["fresh"][CELL]["outcome"], len(found.trials)) == ("pass", 2)


def test_the_highest_release_that_passes_is_taken(uv_bench: Bench) -> None:
    pin(uv_bench, "a", "1.0 1.1 1.2 2.0 2.1")
    pin(uv_bench, "b")
    declare(uv_bench, "import a, b\nassert a.__version__ < '2', 'a is broken'\n")
    found = upgrade(uv_bench)
    judged = found.judged("a")
    assert (judged["verdict"], judged["version"]) == ("capped", "1.2"), found.out
    assert judged["reason"] == "AssertionError: a is broken"
    assert found.candidate("a")["target"] == "2.1"
    assert found.safe == {"a": "1.2", "b": "2.0"}
    assert "1.2 is the latest that passes" in found.out
    proof = next(one for one in found.trials
                 if one["changes"] == {"a": ["1.0", "1.2"], "b": ["1.0", "2.0"]})  # fmt: skip
    assert proof["outcome"] == "pass"
    assert proof["id"] in found.report["safe_set"]["all"]["trials"][CELL]


def test_the_highest_release_that_passes_lies_above_a_hole(uv_bench: Bench) -> None:
    pin(uv_bench, "a", "1.0 1.1 1.2 1.3 1.4 2.0")
    declare(
        uv_bench,
        "import a\nassert a.__version__ not in {'1.2', '1.4', '2.0'}, 'a is broken'\n",
    )
    found = upgrade(uv_bench, "--jobs", "2")
    judged = found.judged("a")
    assert judged["version"] == "1.3" or "1.1 is the latest that passes" not in found.out


def test_a_release_for_newer_pythons_only_is_the_reason(uv_bench: Bench) -> None:
    pin(uv_bench, "a")
    uv_bench.index.wheel("a", "3.3", requires_python=">=3.99")
    declare(uv_bench, "import a\n")
    found = upgrade(uv_bench)
    assert found.judged("a")["reason"] == "3.3 needs Python >= 3.99", found.out
    (row,) = [line for line in found.out.splitlines() if line.startswith("  a  ")]
    assert row.endswith("safe   3.3 needs Python >= 3.99")


def test_a_cell_that_may_fail_is_marked_and_decides_nothing(uv_bench: Bench) -> None:
    pin(uv_bench, "a")
    pin(uv_bench, "axis", "1.0 2.0")
    uv_bench.write("requirements.txt", "a==1.0\n")
    declare(
        uv_bench,
        "import a, axis\nassert a.__version__ == '1.0' or axis.__version__ == '1.0', 'broken'\n",
        options='requirements="requirements.txt", matrix={"axis": ["1.0", "2.0"]},'
        ' may_fail={"axis": "2.0"}',
    )
    found = upgrade(uv_bench)
    strict, lenient = f"{CELL}(axis='1.0')", f"{CELL}(axis='2.0')"
    assert (found.status, found.safe) == ("ok", {"a": "2.0"}), found.out
    assert found.verdicts(lenient) == {"a": "breaks"}
    marked = {name: one["may_fail"] for name, one in found.report["baseline"].items()}
    assert marked == {strict: False, lenient: True}
    assert f"{lenient} (may fail)\n" in found.out
    assert f"It was not run on {lenient}, which may fail." in found.out


def test_the_lines_to_paste_are_those_that_would_be_written(uv_bench: Bench) -> None:
    pin(uv_bench, "a b c d e")
    write_project(uv_bench.project, requires=["a>=1,<2", "b"])
    text = "# pins\nc==1.0  # for a reason\nd >=1, <2\ne==1.0; python_version < '3'\n"
    uv_bench.write("requirements.txt", text)
    declare(
        uv_bench,
        "import a, b, c, d\n",
        options='project="wheel", requirements="requirements.txt"',
    )
    found = upgrade(uv_bench)
    assert found.safe == {"a": "2.0", "c": "2.0", "d": "2.0"}, found.out
    lines = {one["place"]: (one["before"], one["after"]) for one in found.report["lines"]}
    (place,) = [place for place in lines if place.startswith("pyproject.toml:")]
    assert lines == {
        "requirements.txt:2": ("c==1.0", "c==2.0"),
        "requirements.txt:3": ("d >=1, <2", "d >=1, <3"),
        place: ("a>=1,<2", "a>=1,<3"),
    }
    shown = found.out.partition("Or paste:\n")[2]
    assert "  requirements.txt:2   c==1.0 -> c==2.0\n" in shown
    written = upgrade(uv_bench, "--dry-run").out.splitlines()
    for before, after in lines.values():
        assert [line for line in written if line.startswith("-") and before in line]
        assert [line for line in written if line.startswith("+") and after in line]


def test_what_another_tool_writes_is_not_pasted(uv_bench: Bench) -> None:
    pin(uv_bench, "a b")
    head = "# This file is autogenerated by pip-compile\n# by the following command:\n#\n"
    uv_bench.write("requirements.txt", f"{head}#    pip-compile\n#\na==1.0\n")
    declare(uv_bench, "import a\n")
    found = upgrade(uv_bench)
    assert (found.safe, found.report["lines"]) == ({"a": "2.0"}, [])
    assert "Or paste" not in found.out


def test_names_and_releases_on_the_command_line(uv_bench: Bench) -> None:
    pin(uv_bench, "a")
    pin(uv_bench, "werkzeug", "1.0 1.5 2.0")
    declare(uv_bench, "import a, werkzeug\n")
    named = upgrade(uv_bench, "werkzeug")
    assert named.safe == {"werkzeug": "2.0"}, named.out
    assert list(named.verdicts()) == ["werkzeug"]
    exact = upgrade(uv_bench, "Werkzeug==1.5")
    assert exact.safe == {"werkzeug": "1.5"}, exact.out
    below = upgrade(uv_bench, "werkzeug<2", "a")
    assert below.safe == {"werkzeug": "1.5", "a": "2.0"}, below.out


def test_what_is_named_and_breaks_is_not_replaced_by_another(uv_bench: Bench) -> None:
    pin(uv_bench, "a", "1.0 1.1 2.0")
    declare(uv_bench, "import a\nassert a.__version__ != '2.0', 'a is broken'\n")
    found = upgrade(uv_bench, "a==2.0")
    assert found.verdicts() == {"a": "breaks"}, found.out
    assert set(found.tried("a")) == {"2.0"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["werkzueg"], "did you mean werkzeug?"),
        (["werkzeug==1.7"], "werkzeug has no release 1.7"),
        (["werkzeug=>2"], "is not a requirement"),
        (["--python", "3.98"], "--python 3.98: there is no such cell"),
        (["--only", "flask=1"], "--only flask=1: there is no such cell"),
        (["--only", THIS], f"hint: to choose a Python:   --python {THIS}\n"),
        (["--jobz", "2"], "did you mean --jobs?"),
        (["--mode", "new"], "keep"),
        (["--fail-on", "brakes"], "did you mean breaks?"),
    ],
)
def test_mistakes_are_answered(uv_bench: Bench, words: list[str], said: str) -> None:
    pin(uv_bench, "a werkzeug")
    declare(uv_bench, "import a, werkzeug\n")
    found = upgrade(uv_bench, *words)
    assert found.ran.returncode == 1
    assert said in found.out
    assert found.report.get("trials", []) == []


def test_an_unknown_option_is_answered_with_both_spellings(uv_bench: Bench) -> None:
    pin(uv_bench, "a")
    declare(uv_bench, "import a\n")
    said = upgrade(uv_bench, "-k", "login").out
    assert "error: -k is not an option of upgrade" in said
    assert "for your tests, after a second --:   nox -s upgrade -- -- -k" in said
    assert "nox -s upgrade -- --help" in said


def test_help_runs_nothing(uv_bench: Bench) -> None:
    pin(uv_bench, "a")
    declare(uv_bench, "import a\n")
    ran = uv_bench.nox("-s", "upgrade", "--", "--help")
    assert ran.returncode == 0
    assert "--max-trials" in ran.out
    assert uv_bench.index.requests == []


def test_what_is_held_stays(uv_bench: Bench) -> None:
    pin(uv_bench, "a c d")
    pin(uv_bench, "b", "1.0 1.5 2.0")
    declare(uv_bench, "import a, b, c, d\n", campaigns=', hold=["b<2", "d"]')
    found = upgrade(uv_bench, "--hold", "a")
    assert found.verdicts() == {"a": "held", "b": "safe", "c": "safe", "d": "held"}, found.out
    assert found.safe == {"b": "1.5", "c": "2.0"}
    assert len(found.trials) == 2
    assert "Held, as you asked: a 2.0" in found.out
    found = upgrade(uv_bench, "--hold", "b")  # Where it is, whatever limits the noxfile has.
    assert found.verdicts()["b"] == "held"
    assert found.safe == {"a": "2.0", "c": "2.0"}


def test_what_is_too_young_waits(uv_bench: Bench) -> None:
    pin(uv_bench, "a b")
    for name in ("a", "b"):
        uv_bench.index.upload_time(name, "1.0", "2020-01-01T00:00:00Z")
    uv_bench.index.upload_time("a", "2.0", "2020-01-02T00:00:00Z")
    uv_bench.index.upload_time("b", "2.0", "2199-01-01T00:00:00Z")
    declare(uv_bench, "import a, b\n")
    found = upgrade(uv_bench, "--cooldown", "7 days")
    assert found.verdicts() == {"a": "safe", "b": "waiting"}, found.out
    assert found.safe == {"a": "2.0"}


def test_cells_are_chosen_by_axis_and_name(uv_bench: Bench) -> None:
    pin(uv_bench, "a")
    pin(uv_bench, "axis", "1.0 2.0 3.0")
    uv_bench.write("requirements.txt", "a==1.0\n")
    declare(
        uv_bench,
        "import a, axis\nprint('HAS', axis.__version__)\n",
        options='requirements="requirements.txt", matrix={"axis": ["1.0", "2.0"]}',
    )
    cells = [f"{CELL}(axis='1.0')", f"{CELL}(axis='2.0')"]
    found = upgrade(uv_bench)
    assert list(found.report["columns"]) == cells
    # An axis decides its releases itself.
    assert [one["name"] for one in found.report["candidates"]] == ["a"]
    assert found.safe == {"a": "2.0"}
    for word in ("axis=2.0", cells[1]):
        chosen = upgrade(uv_bench, "--only", word, "--max-trials", "1")
        assert list(chosen.report["columns"]) == cells[1:], chosen.out
    none = upgrade(uv_bench, "--only", cells[1], "--python", "3.98")
    assert (none.ran.returncode, none.report) == (1, {})


def test_one_that_may_not_be_built_is_capped_below(uv_bench: Bench) -> None:
    uv_bench.index.sdist("novel", "1.0")
    pin(uv_bench, "a", "1.0 1.5")
    uv_bench.index.wheel("a", "2.0", requires=["novel"])
    declare(uv_bench, "import a\n")
    found = upgrade(uv_bench)
    assert found.safe == {"a": "1.5"}, found.out


def test_no_environments_no_answer(uv_bench: Bench) -> None:
    pin(uv_bench, "a")
    declare(uv_bench, "import a\n")
    ran = uv_bench.nox("--no-venv", "-s", "upgrade")
    assert ran.returncode == 1
    assert "upgrade needs environments, and --no-venv makes none" in ran.out


def test_what_waits_for_another_rises_with_it(uv_bench: Bench) -> None:
    """In the order of their names, the one that waits is asked first."""
    for version in ("1.0", "2.0", "3.0"):
        uv_bench.index.wheel("asking", version, requires=[f"giving>={version}"])
        uv_bench.index.wheel("giving", version)
    uv_bench.write("requirements.txt", "asking==1.0\ngiving==1.0\n")
    declare(uv_bench, "import asking, giving\nassert giving.__version__ != '3.0', 'too new'\n")
    found = upgrade(uv_bench)
    assert found.safe == {"asking": "2.0", "giving": "2.0"}, found.out
    assert found.verdicts() == {"asking": "capped", "giving": "capped"}


def test_what_was_capped_rises_further_with_another(uv_bench: Bench) -> None:
    for version, needs in (("1.0", "1.0"), ("1.5", "1.0"), ("2.0", "2.0"), ("3.0", "3.0")):
        uv_bench.index.wheel("asking", version, requires=[f"giving>={needs}"])
    for version in ("1.0", "2.0", "3.0"):
        uv_bench.index.wheel("giving", version)
    uv_bench.write("requirements.txt", "asking==1.0\ngiving==1.0\n")
    declare(uv_bench, "import asking, giving\nassert giving.__version__ != '3.0', 'too new'\n")
    found = upgrade(uv_bench)
    assert found.safe == {"asking": "2.0", "giving": "2.0"}, found.out
    assert {found.judged(name)["version"] for name in ("asking", "giving")} == {"2.0"}
