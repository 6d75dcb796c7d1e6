"""Which newer releases pass together: `nox -s upgrade` from end to end."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.upgrading import CELL, THIS, declare, other_python, pin, upgrade
from support.wheels import write_project

if TYPE_CHECKING:
    from support.bench import Bench

pytestmark = pytest.mark.process


def test_what_is_not_committed_is_said_before_it_is_refused(uv_bench: Bench) -> None:
    pin(uv_bench, "a")
    declare(uv_bench, "import a\n")
    subprocess.run(["git", "init", "-q"], cwd=uv_bench.project, check=True)
    found = upgrade(uv_bench)
    assert "commit requirements.txt first, or add --force" in " ".join(found.out.split())
    refused = uv_bench.nox("-s", "upgrade", "--", "--apply")
    assert "there are changes that are not committed" in refused.out


def test_all_compatible_takes_two_trials(uv_bench: Bench) -> None:
    pin(uv_bench, "a b c d e f")
    declare(uv_bench, "import a, b, c, d, e, f\n")
    found = upgrade(uv_bench)
    assert found.ran.returncode == 0, found.out
    assert found.status == "ok"
    assert found.safe == dict.fromkeys("abcdef", "2.0")
    assert set(found.verdicts().values()) == {"safe"}
    assert [one["outcome"] for one in found.trials] == ["pass", "pass"]
    assert found.report["safe_set"]["all"]["trials"] == {CELL: found.judged("a")["trials"]}
    assert f"You can upgrade all 6 today, together: that exact set passed on {THIS}." in found.out
    assert "nox -s upgrade -- --apply" in found.out


def test_nothing_newer_takes_one(uv_bench: Bench) -> None:
    pin(uv_bench, "a b", "1.0")
    declare(uv_bench, "import a, b\n")
    found = upgrade(uv_bench)
    assert found.ran.returncode == 0, found.out
    assert (found.status, found.report["candidates"], len(found.trials)) == ("ok", [], 1)
    words = (
        "Nothing to upgrade: all 2 dependencies are at their latest release, and the tests pass."
    )
    assert words in found.out


def test_one_breaks(uv_bench: Bench) -> None:
    pin(uv_bench, "a b c")
    declare(uv_bench, "import a, b, c\nassert b.__version__ == '1.0', 'b has lost its engine'\n")
    found = upgrade(uv_bench, "--jobs", "1")
    assert found.ran.returncode == 0, found.out
    assert found.status == "broken"
    assert found.verdicts() == {"a": "safe", "b": "breaks", "c": "safe"}
    assert found.safe == {"a": "2.0", "c": "2.0"}
    judged = found.judged("b")
    assert judged["version"] is None
    assert judged["reason"] == "AssertionError: b has lost its engine"
    assert found.outcomes(judged["trials"]) == {"fail"}
    # As it is, all, all but the suspect, the failure again, and the set again.
    assert len(found.trials) == 5
    proven = found.report["safe_set"]["all"]["trials"][CELL]
    changed = [set(one["changes"]) for one in found.trials if one["id"] in proven]
    assert changed == [{"a", "c"}, {"a", "c"}]
    assert found.outcomes(proven) == {"pass"}
    words = "You can upgrade 2 of 3 today, together: that exact set passed twice"
    assert f"{words} on {THIS}. One breaks you." in found.out
    assert "b 2.0 breaks your tests: AssertionError: b has lost its engine" in found.out
    assert "Nothing newer than your 1.0 passes." in found.out


def test_two_that_pass_alone_and_fail_together(uv_bench: Bench) -> None:
    pin(uv_bench, "a b c")
    declare(
        uv_bench,
        "import a, b, c\nassert (a.__version__, b.__version__) != ('2.0', '2.0'), 'a meets b'\n",
    )
    found = upgrade(uv_bench)
    assert sorted(found.verdicts().values()) == ["breaks", "safe", "safe"]
    assert found.judged("c")["verdict"] == "safe"
    assert found.safe in ({"a": "2.0", "c": "2.0"}, {"b": "2.0", "c": "2.0"})
    assert found.outcomes(found.report["safe_set"]["all"]["trials"][CELL]) == {"pass"}


def test_partners_that_no_metadata_ties(uv_bench: Bench) -> None:
    pin(uv_bench, "a b c d")
    declare(
        uv_bench,
        """
        import a, b, c, d
        assert a.__version__ == b.__version__, "a and b have parted"
        assert c.__version__ == "1.0", "c is broken"
        """,
    )
    found = upgrade(uv_bench)
    assert found.verdicts() == {"a": "safe", "b": "safe", "c": "breaks", "d": "safe"}
    assert found.safe == {"a": "2.0", "b": "2.0", "d": "2.0"}


def test_a_pin_that_forces_its_partner(uv_bench: Bench) -> None:
    for version in ("1.0", "2.0"):
        uv_bench.index.wheel("a", version, requires=[f"b=={version}"])
    pin(uv_bench, "b c")
    uv_bench.write("requirements.txt", "a==1.0\nb==1.0\nc==1.0\n")
    declare(uv_bench, "import a, b, c\nassert c.__version__ == '1.0', 'c is broken'\n")
    found = upgrade(uv_bench)
    assert found.verdicts() == {"a": "safe", "b": "safe", "c": "breaks"}
    assert found.judged("a")["together_with"] == ["b"]
    assert found.judged("b")["together_with"] == ["a"]
    assert all(("a" in one["changes"]) == ("b" in one["changes"]) for one in found.trials)
    assert "only together with b" in found.out


def test_what_needs_a_rejected_one_is_blocked_by_it(uv_bench: Bench) -> None:
    uv_bench.index.wheel("a", "1.0")
    uv_bench.index.wheel("a", "2.0", requires=["b>=2"])
    pin(uv_bench, "b c")
    uv_bench.write("requirements.txt", "a==1.0\nb==1.0\nc==1.0\n")
    declare(uv_bench, "import a, b, c\nassert b.__version__ == '1.0', 'b is broken'\n")
    found = upgrade(uv_bench)
    assert found.verdicts() == {"a": "blocked", "b": "breaks", "c": "safe"}
    assert found.judged("a")["together_with"] == ["b"]
    assert found.safe == {"c": "2.0"}
    assert "a 2.0 needs b, which is left out" in found.out


def test_another_package_s_bound_is_infeasible_and_costs_no_run(uv_bench: Bench) -> None:
    uv_bench.index.wheel("binder", "1.0", requires=["b<2"])
    pin(uv_bench, "a b")
    uv_bench.write("requirements.txt", "a==1.0\nb==1.0\nbinder==1.0\n")
    declare(uv_bench, "import a, b, binder\n")
    found = upgrade(uv_bench)
    assert found.verdicts() == {"a": "safe", "b": "infeasible"}
    assert "binder" in found.judged("b")["reason"]
    assert found.judged("b")["trials"] == []
    assert len(found.trials) == 2
    assert found.tried("b") == []
    assert "b 2.0 cannot be resolved" in found.out
    assert "breaks" not in found.out


def test_a_baseline_that_is_red_is_no_answer(uv_bench: Bench) -> None:
    pin(uv_bench, "a")
    declare(uv_bench, "import a\nraise SystemExit(3)\n")
    found = upgrade(uv_bench)
    assert found.ran.returncode == 1
    assert found.status == "baseline-red"
    assert found.report["baseline"][CELL]["outcome"] == "fail"
    assert found.safe == {}
    assert found.verdicts() == {"a": "inconclusive"}
    words = "Cannot tell: the tests fail already with the versions you have"
    assert words in found.out
    assert "--apply" not in found.out
    assert upgrade(uv_bench, "--fail-on", "breaks").ran.returncode == 0


def test_fail_on_breaks(uv_bench: Bench) -> None:
    pin(uv_bench, "a")
    declare(uv_bench, "import a\nassert a.__version__ == '1.0', 'a is broken'\n")
    found = upgrade(uv_bench, "--fail-on", "breaks,error")
    assert found.ran.returncode == 1
    assert "Session upgrade aborted: not every newer release passes" in found.out
    assert "You cannot upgrade your 1 outdated dependency today" in found.out


def test_the_last_line_is_one_sentence(uv_bench: Bench) -> None:
    pin(uv_bench, "a")
    declare(uv_bench, "import a\n")
    found = upgrade(uv_bench, "--max-trials", "1")
    last = found.out.splitlines()[-1]
    assert re.search(r"aborted: there is no answer for all of it( \(took [^)]*\))?\.$", last), last


def test_a_transitive_that_breaks_is_kept_away_or_named(uv_bench: Bench) -> None:
    uv_bench.index.wheel("a", "1.0", requires=["deep<2"])
    uv_bench.index.wheel("a", "2.0", requires=["deep"])
    uv_bench.index.wheel("deep", "1.0")
    uv_bench.index.wheel("deep", "2.0")
    uv_bench.write("requirements.txt", "a==1.0\n")
    declare(uv_bench, "import a, deep\nassert deep.__version__ == '1.0', 'deep is broken'\n")
    kept = upgrade(uv_bench)
    assert kept.report["mode"] == "keep"
    assert kept.verdicts() == {"a": "safe"}, kept.out
    (afresh,) = kept.report["fresh"].values()
    assert (afresh["outcome"], afresh["moved"]) == ("fail", {"deep": ["1.0", "2.0"]})
    assert all(one["moved"] == {} for one in kept.trials if one["outcome"] == "pass")
    fresh = upgrade(uv_bench, "--mode", "fresh")
    assert fresh.report["mode"] == "fresh"
    assert fresh.verdicts() == {"a": "breaks"}, fresh.out
    failed = [one for one in fresh.trials if one["outcome"] == "fail"]
    assert failed
    for one in failed:
        assert one["changes"] == {"a": ["1.0", "2.0"]}
        assert one["moved"] == {"deep": ["1.0", "2.0"]}


def loosened(bench: Bench, needs: str, check: str, *, options: str = "") -> None:
    """A dependency whose new release admits, or asks for, newer ones of what nobody declares."""
    bench.index.wheel("a", "1.0", requires=["deep<1.5"])
    bench.index.wheel("a", "1.9", requires=["deep<1.5"])
    for version in ("1.10", "2.0"):
        bench.index.wheel("a", version, requires=[needs])
    for version in ("1.0", "1.5", "1.6", "2.0", "2.1"):
        bench.index.wheel("deep", version)
    pin(bench, "c")
    bench.write("requirements.txt", "a==1.0\nc==1.0\n")
    declare(bench, f"import a, c, deep\n{check}\n")


def test_what_came_in_with_a_release_is_to_blame(uv_bench: Bench) -> None:
    loosened(uv_bench, "deep", "assert deep.__version__ < '2', 'deep is broken'")
    found = upgrade(uv_bench, "--mode", "fresh")
    judged = found.judged("a")
    said = "a is fine; deep 2.1, brought in by a>=1.10, is not: add deep<2"
    assert (judged["verdict"], judged["reason"]) == ("capped", said), found.out
    (guilty,) = judged["culprits"]
    assert (guilty["name"], guilty["from"], guilty["to"]) == ("deep", "1.0", "2.1")
    assert (guilty["first_bad"], guilty["requirement"]) == ("2.0", "deep<2")
    assert found.outcomes(guilty["evidence"]) == {"pass", "fail"}
    (row,) = [line for line in found.out.splitlines() if line.startswith("  a  ")]
    assert row.endswith(f"capped   {said}")
    assert found.safe == {"a": "1.9", "c": "2.0"}
    # That is what the session then runs with, and it passes.
    uv_bench.write("requirements.txt", "a==2.0\nc==2.0\ndeep<2\n")
    assert uv_bench.nox("-s", CELL).returncode == 0


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (
            "assert deep.__version__ < '2', 'deep is broken'",
            "a is fine; deep 2.1, brought in by a>=1.10, is not: add deep<2",
        ),
        ("assert deep.__version__ < '1.5', 'it is broken'", "AssertionError: it is broken"),
        ("assert a.__version__ < '2', 'it is broken'", "AssertionError: it is broken"),
    ],
)
def test_what_a_release_needs_is_to_blame_where_another_of_it_passes(
    uv_bench: Bench, check: str, said: str
) -> None:
    loosened(uv_bench, "deep>=1.5", check)
    found = upgrade(uv_bench, "a==2.0")
    judged = found.judged("a")
    assert (judged["verdict"], judged["reason"]) == ("breaks", said), found.out
    assert [one["name"] for one in judged["culprits"]] == ["deep"] * ("fine" in said)


def test_a_release_that_breaks_itself_is_to_blame(uv_bench: Bench) -> None:
    loosened(uv_bench, "deep", "assert a.__version__ < '2', 'a is broken'")
    found = upgrade(uv_bench, "a==2.0", "--mode", "fresh")
    judged = found.judged("a")
    assert (judged["verdict"], judged["culprits"]) == ("breaks", []), found.out
    assert judged["reason"] == "AssertionError: a is broken"


def test_two_that_break_only_together(uv_bench: Bench) -> None:
    check = "assert a.__version__ < '2' or deep.__version__ < '2', 'they do not get on'"
    loosened(uv_bench, "deep", check)
    found = upgrade(uv_bench, "a==2.0", "--mode", "fresh", "--jobs", "2")
    judged = found.judged("a")
    assert judged["verdict"] == "breaks", found.out
    assert judged["reason"].endswith(": add deep<2"), judged
    bounded = upgrade(uv_bench, "a==2.0", "--mode", "fresh", "--max-trials", "4")
    assert len(bounded.trials) == 4
    assert bounded.judged("a")["culprits"] == []


def test_a_library_is_also_proven_as_new_users_get_it(uv_bench: Bench) -> None:
    uv_bench.index.wheel("a", "1.0", requires=["deep<2"])
    uv_bench.index.wheel("a", "2.0", requires=["deep"])
    uv_bench.index.wheel("deep", "1.0")
    uv_bench.index.wheel("deep", "2.0")
    write_project(uv_bench.project, requires=["a>=1,<2"])
    declare(
        uv_bench,
        "import demo, a, deep\nassert deep.__version__ == '1.0', 'deep is broken'\n",
        options='project="wheel"',
    )
    found = upgrade(uv_bench)
    assert found.verdicts() == {"a": "safe"}, found.out
    fresh = found.report["fresh"][CELL]
    assert fresh["outcome"] == "fail"
    assert fresh["moved"] == {"deep": ["1.0", "2.0"]}
    assert "Resolved afresh it fails: deep 1.0 -> 2.0 comes in." in found.out


def test_a_verdict_for_each_python_and_one_set_for_all(uv_bench: Bench) -> None:
    other = other_python()
    pin(uv_bench, "a b c")
    declare(
        uv_bench,
        f"""
        import sys, a, b, c
        here = "%s.%s" % sys.version_info[:2]
        assert b.__version__ == "1.0" or here != "{other}", "b is broken"
        """,
        python=[THIS, other],
    )
    found = upgrade(uv_bench)
    there = f"test-{other}"
    assert found.verdicts() == {"a": "safe", "b": "safe", "c": "safe"}
    assert found.verdicts(there) == {"a": "safe", "b": "breaks", "c": "safe"}
    sets = found.report["safe_set"]
    assert sets[CELL]["pins"] == {"a": "2.0", "b": "2.0", "c": "2.0"}
    assert sets[there]["pins"] == found.safe == {"a": "2.0", "c": "2.0"}
    assert set(sets["all"]["trials"]) == {CELL, there}
    for cell, ids in sets["all"]["trials"].items():
        runs = [one for one in found.trials if one["id"] in ids]
        assert runs
        for one in runs:
            assert (one["cell"], one["outcome"], set(one["changes"])) == (cell, "pass", {"a", "c"})
    assert "You can upgrade 2 of 3 today, together" in found.out
    assert f"b 2.0 breaks your tests on {other}" in found.out


def test_two_trials_for_each_python(uv_bench: Bench) -> None:
    other = other_python()
    pin(uv_bench, "a b")
    declare(uv_bench, "import a, b\n", python=[THIS, other])
    found = upgrade(uv_bench)
    cells = sorted(one["cell"] for one in found.trials)
    assert cells == sorted([CELL, CELL, f"test-{other}", f"test-{other}"])
    assert found.safe == {"a": "2.0", "b": "2.0"}
    narrowed = upgrade(uv_bench, "--python", other, "--max-trials", "1")
    assert list(narrowed.report["columns"]) == [f"test-{other}"]


def test_a_python_that_is_missing_is_not_tested_loudly(uv_bench: Bench) -> None:
    pin(uv_bench, "a")
    declare(uv_bench, "import a\n", python=[THIS, "3.99"])
    found = upgrade(uv_bench)
    assert found.ran.returncode == 0, found.out
    assert found.verdicts() == {"a": "safe"}
    assert found.verdicts("test-3.99") == {"a": "not-tested"}
    assert list(found.report["not_tested"]) == ["test-3.99"]
    assert {one["cell"] for one in found.trials} == {CELL}
    assert found.safe == {"a": "2.0"}
    assert "3.99 was not tested: " in found.out
    failed = upgrade(uv_bench, "--fail-on", "not-tested")
    assert failed.ran.returncode == 1


def test_what_one_python_does_not_have_is_upgraded_on_the_others(uv_bench: Bench) -> None:
    other = other_python()
    pin(uv_bench, "a b")
    uv_bench.write("requirements.txt", f"a==1.0\nb==1.0; python_version != '{other}'\n")
    declare(uv_bench, "import a\n", python=[THIS, other])
    found = upgrade(uv_bench)
    assert found.report["safe_set"][CELL]["pins"] == {"a": "2.0", "b": "2.0"}, found.out
    assert found.report["safe_set"][f"test-{other}"]["pins"] == {"a": "2.0"}
    assert found.safe == {"a": "2.0", "b": "2.0"}


def test_what_only_one_python_has_can_be_named(uv_bench: Bench) -> None:
    other = other_python()
    pin(uv_bench, "a b")
    uv_bench.write("requirements.txt", f"a==1.0\nb==1.0; python_version != '{other}'\n")
    declare(uv_bench, "import a\n", python=[THIS, other])
    found = upgrade(uv_bench, "b")
    assert found.ran.returncode == 0, found.out
    assert found.judged("b")["verdict"] == "safe"


def test_pythons_with_pins_of_their_own(uv_bench: Bench) -> None:
    other = other_python()
    pin(uv_bench, "a", "1.0 1.5 2.0")
    uv_bench.write(
        "requirements.txt",
        f"a==1.0; python_version != '{other}'\na==2.0; python_version == '{other}'\n",
    )
    declare(uv_bench, "import a\n", python=[THIS, other])
    found = upgrade(uv_bench)
    assert found.judged("a")["verdict"] == "safe", found.out
    assert found.report["safe_set"][CELL]["pins"] == {"a": "2.0"}
    assert found.safe == {"a": "2.0"}
