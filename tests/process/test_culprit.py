"""What `nox -s culprit` says of two states: who is to blame, and which states can be named."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

from support.upgrading import CELL, campaign, declare, pin, upgrade

if TYPE_CHECKING:
    from support.bench import Bench
    from support.upgrading import Answer

pytestmark = pytest.mark.process

_A_IS_BROKEN = "import a\nassert a.__version__ < '2', 'a is broken'\n"


def culprit(bench: Bench, *words: str) -> Answer:
    return campaign(bench, "culprit", *words)


def unpinned(bench: Bench, names: str, versions: str = "1.0 2.0") -> None:
    """Publish releases, ask for the newest, and write the first ones to good.txt."""
    pin(bench, names, versions)
    (bench.project / "requirements.txt").rename(bench.project / "good.txt")
    bench.write("requirements.txt", "\n".join(names.split()))


def git(bench: Bench, *words: str) -> str:
    command = ["git", "-c", "user.name=me", "-c", "user.email=me@example.org", *words]
    done = subprocess.run(
        command, cwd=bench.project, env=bench.variables, capture_output=True, check=True, text=True
    )
    return done.stdout


def committed(bench: Bench) -> None:
    """A repository with `a==1.0` in its first commit, tagged and on a branch, and `a==2.0` now."""
    pin(bench, "a")
    declare(bench, _A_IS_BROKEN)
    bench.write(".gitignore", ".nox\n__pycache__\n")
    git(bench, "init", "--quiet")
    git(bench, "add", ".")
    git(bench, "commit", "--quiet", "-m", "one")
    git(bench, "tag", "v1")
    git(bench, "branch", "stable")
    bench.write("requirements.txt", "a==2.0\n")
    git(bench, "commit", "--quiet", "-a", "-m", "two")


# -- who


def test_what_nobody_declares_is_to_blame(uv_bench: Bench) -> None:
    unpinned(uv_bench, "b")
    for version, needs in (("1.0", "inner<2"), ("1.1", "inner<3"), ("1.2", "inner<3")):
        uv_bench.index.wheel("a", version, requires=[needs])
    pin(uv_bench, "inner", "1.5 2.0 2.1")
    uv_bench.write("requirements.txt", "a\nb\n")
    uv_bench.write("good.txt", "a==1.0\nb==1.0\ninner==1.5\n")
    declare(
        uv_bench,
        "import a, b, inner\nassert inner.__version__ < '2', 'inner is broken'\n",
    )
    found = culprit(uv_bench, "--good", "good.txt")
    assert (
        "a is fine; inner 2.x, brought in by a>=1.1, is not: add inner<2 to requirements.txt"
    ) in found.out
    (guilty,) = found.report["culprits"]
    evidence = guilty.pop("evidence")
    assert guilty == {
        "name": "inner",
        "from": "1.5",
        "to": "2.1",
        "declared": False,
        "brought_in_by": ["a>=1.1"],
        "partners": [],
        "first_bad": "2.0",
        "requirement": "inner<2",
        "reason": "",
    }
    assert found.outcomes(evidence) == {"fail", "pass"}
    (guilt, *_) = evidence
    (shown,) = [one for one in found.trials if one["id"] == guilt]
    assert shown["outcome"] == "fail"
    assert shown["changes"]["inner"] == ["1.5", "2.1"]
    assert found.report["cure"] == {"inner": "1.5"}
    cured = [
        one for one in found.trials
        if one["changes"] == {"a": ["1.0", "1.2"], "b": ["1.0", "2.0"]}
    ]  # fmt: skip
    assert [one["outcome"] for one in cured] == ["pass", "pass"]
    assert {one["id"] for one in cured} <= set(evidence)
    result = found.report["result"][CELL]
    assert (result["status"], result["differing"]) == ("found", 3)
    assert result["innocent"] == ["a", "b"]
    assert result["reason"] == "AssertionError: inner is broken"
    assert (found.status, found.report["good"], found.report["bad"]) == (
        "broken",
        "good.txt",
        "now",
    )
    assert found.ran.returncode == 0


def test_a_declared_one_is_to_blame(uv_bench: Bench) -> None:
    unpinned(uv_bench, "a b", "1.0 1.1 2.0 2.1")
    declare(uv_bench, f"{_A_IS_BROKEN}import b\n")
    found = culprit(uv_bench, "--good", "good.txt", "--fail-on", "breaks")
    assert found.report["mode"] == "fresh"
    assert "a 2.x breaks you, 1.0 does not: add a<2 to requirements.txt" in found.out
    (guilty,) = found.report["culprits"]
    assert (guilty["name"], guilty["declared"], guilty["brought_in_by"]) == ("a", True, [])
    assert (guilty["first_bad"], guilty["requirement"]) == ("2.0", "a<2")
    assert found.report["result"][CELL]["innocent"] == ["b"]
    assert found.ran.returncode == 1


def test_two_that_break_each_alone(uv_bench: Bench) -> None:
    unpinned(uv_bench, "a b")
    declare(uv_bench, "import a, b\nassert a.__version__ == b.__version__ == '1.0', 'is broken'\n")
    found = culprit(uv_bench, "--good", "good.txt")
    assert "Two of 2 packages that changed break you: a 1.0 -> 2.0 and b 1.0 -> 2.0." in found.out
    assert [one["name"] for one in found.report["culprits"]] == ["a", "b"]
    assert [one["partners"] for one in found.report["culprits"]] == [[], []]
    assert found.report["cure"] == {"a": "1.0", "b": "1.0"}
    # No release lies between the two states, so there is nothing to bisect.
    assert [one["first_bad"] for one in found.report["culprits"]] == ["2.0", "2.0"]
    assert [one["requirement"] for one in found.report["culprits"]] == ["a<2", "b<2"]


def test_two_that_break_each_in_another_way(uv_bench: Bench) -> None:
    unpinned(uv_bench, "a b")
    declare(uv_bench, f"{_A_IS_BROKEN}import b\nassert b.__version__ < '2', 'b is broken'\n")
    found = culprit(uv_bench, "--good", "good.txt")
    assert found.report["cure"] == {"a": "1.0", "b": "1.0"}, found.out
    assert "does not: add a<2" not in found.out
    assert [one["name"] for one in found.report["culprits"]] == ["a", "b"]


def test_a_requirement_offers_nothing_that_breaks(uv_bench: Bench) -> None:
    unpinned(uv_bench, "a b", "1.0 1.5 2.0")
    declare(uv_bench, "import a, b\nassert a.__version__ == b.__version__ == '1.0', 'is broken'\n")
    found = culprit(uv_bench, "--good", "good.txt")
    assert [one["name"] for one in found.report["culprits"]] == ["a", "b"], found.out
    for one in found.report["culprits"]:
        assert "1.5" not in Requirement(one["requirement"]).specifier


def test_a_pair_that_fails_only_together(uv_bench: Bench) -> None:
    unpinned(uv_bench, "a b c")
    declare(
        uv_bench,
        "import a, b, c\nassert '1.0' in (a.__version__, b.__version__), 'not together'\n",
    )
    found = culprit(uv_bench, "--good", "good.txt")
    assert "Two of 3 packages that changed break you, but only together" in found.out
    one, two = found.report["culprits"]
    assert (one["name"], one["partners"]) == ("a", ["b"])
    assert (two["name"], two["partners"]) == ("b", ["a"])
    assert found.report["cure"] in ({"a": "1.0"}, {"b": "1.0"})
    assert found.report["result"][CELL]["innocent"] == ["c"]


def test_what_has_to_go_back_is_not_called_fine(uv_bench: Bench) -> None:
    pin(uv_bench, "inner", "1.0 2.0 3.0")
    uv_bench.index.wheel("a", "1.0", requires=["inner"])
    uv_bench.index.wheel("a", "2.0", requires=["inner<2"])
    uv_bench.write("requirements.txt", "a\n")
    uv_bench.write("good.txt", "a==1.0\ninner==3.0\n")
    declare(uv_bench, "import a, inner\nassert inner.__version__ > '2', 'inner is too old'\n")
    found = culprit(uv_bench, "--good", "good.txt")
    assert found.report["cure"] == {"a": "1.0", "inner": "3.0"}, found.out
    assert "a is fine" not in found.out
    assert "inner 1.0, brought in by a, breaks you: add inner>=3.0 to" in found.out


def test_what_is_new_is_a_difference(uv_bench: Bench) -> None:
    pin(uv_bench, "a novel", "1.0")
    uv_bench.write("good.txt", "a==1.0\n")
    declare(uv_bench, "import importlib.util\nassert not importlib.util.find_spec('novel')\n")
    found = culprit(uv_bench, "--good", "good.txt")
    assert "novel 1.0 is new, and it breaks you." in found.out
    (guilty,) = found.report["culprits"]
    assert (guilty["name"], guilty["from"], guilty["to"]) == ("novel", None, "1.0")
    assert (guilty["declared"], guilty["requirement"]) == (True, "")
    assert found.report["cure"] == {"novel": None}
    failed = [one["changes"] for one in found.trials if one["outcome"] == "fail"]
    assert failed == [{"novel": [None, "1.0"]}] * len(failed)


def test_what_is_gone_is_a_difference(uv_bench: Bench) -> None:
    pin(uv_bench, "a old", "1.0 2.0")
    uv_bench.write("requirements.txt", "a==2.0\n")
    uv_bench.write("good.txt", "a==1.0\nold==1.0\nnot-on-this-index==1.0\n")
    declare(uv_bench, "import a, old\n")
    found = culprit(uv_bench, "--good", "good.txt")
    assert "old 1.0 is gone, and that breaks you: add old==1.0 to requirements.txt" in found.out
    assert found.report["cure"] == {"old": "1.0"}
    result = found.report["result"][CELL]
    assert (result["differing"], result["innocent"]) == (2, ["a"])
    assert "not-on-this-index 1.0 is gone, and cannot be had to be looked at." in found.out


@pytest.mark.parametrize("guilty", ["novel", "a"])
def test_what_is_new_came_with_something_else(uv_bench: Bench, guilty: str) -> None:
    unpinned(uv_bench, "b c")
    for name in ("novel", "further"):
        uv_bench.index.wheel(name, "1.0")
    uv_bench.index.wheel("a", "1.0", requires=["old"])
    uv_bench.index.wheel("a", "1.1", requires=["old"])
    uv_bench.index.wheel("a", "2.0", requires=["novel", "further"])
    uv_bench.index.wheel("old", "1.0")
    uv_bench.write("requirements.txt", "a\nb\nc\n")
    uv_bench.write("good.txt", "a==1.0\nb==1.0\nc==1.0\nold==1.0\n")
    checks = {
        "novel": "import importlib.util\nassert not importlib.util.find_spec('novel'), 'novel'\n",
        "a": "import a\nassert a.__version__ < '2', 'a is broken'\n",
    }
    declare(uv_bench, checks[guilty])
    found = culprit(uv_bench, "--good", "good.txt")
    assert [one["name"] for one in found.report["culprits"]] == [guilty], found.out
    assert found.report["result"][CELL]["differing"] == 6
    said = {
        "novel": "novel 1.0, brought in by a>=2.0, breaks you.",
        "a": "a 2.0 breaks you, 1.0 does not: add a<=1.0 to requirements.txt",
    }
    assert said[guilty] in found.out
    assert found.report["cure"]["a"] == "1.0"
    assert not {"b", "c", "further"} & found.report["cure"].keys()


def test_what_a_file_does_not_name_and_needs_is_there(uv_bench: Bench) -> None:
    pin(uv_bench, "inner", "1.0 2.0")
    uv_bench.index.wheel("a", "1.0", requires=["inner<2"])
    uv_bench.index.wheel("a", "2.0", requires=["inner"])
    uv_bench.index.wheel("loose", "1.0")
    uv_bench.write("requirements.txt", "a\nloose\n")
    uv_bench.write("good.txt", "a==1.0\nloose\n")
    declare(uv_bench, "import a, inner, loose\nassert inner.__version__ < '2', 'it is broken'\n")
    found = culprit(uv_bench, "--good", "good.txt")
    assert [one["name"] for one in found.report["culprits"]] == ["inner"], found.out
    assert found.report["cure"] == {"inner": "1.0"}
    assert found.report["result"][CELL]["differing"] == 2


@pytest.mark.parametrize(
    ("limit", "status", "code", "said"),
    [
        ("3", "no-failure", 0, "Nobody is to blame: now passes on 3.11, too. 1 package changed"),
        ("1", "all-bad", 1, "Cannot tell: the tests fail already with good.txt (AssertionError"),
    ],
)
def test_states_that_do_not_differ_in_their_outcome(
    uv_bench: Bench, limit: str, status: str, code: int, said: str
) -> None:
    unpinned(uv_bench, "a")
    declare(uv_bench, f"import a\nassert a.__version__ < '{limit}', 'a is broken'\n")
    found = culprit(uv_bench, "--good", "good.txt")
    assert said.replace("3.11", CELL.removeprefix("test-")) in found.out
    assert found.report["result"][CELL]["status"] == status
    assert (found.report["culprits"], found.report["cure"]) == ([], {})
    assert found.ran.returncode == code


def test_the_good_state_is_not_what_is_pinned_now(uv_bench: Bench) -> None:
    unpinned(uv_bench, "a")
    declare(uv_bench, "import a\nassert a.__version__ > '2', 'a is broken'\n")
    found = culprit(uv_bench, "--good", "good.txt")
    assert f"t1 {CELL}: good.txt: fail" in found.out
    assert "as pinned now" not in found.out


# -- options


def test_what_is_held_is_no_suspect(uv_bench: Bench) -> None:
    unpinned(uv_bench, "a b")
    declare(uv_bench, "import a, b\nassert a.__version__ == b.__version__ == '1.0', 'is broken'\n")
    for words in (["--hold", "b"], ["--hold", "b<2"]):
        found = culprit(uv_bench, "--good", "good.txt", *words)
        assert found.report["cure"] == {"a": "1.0"}, found.out
        assert found.report["result"][CELL]["differing"] == 1
        assert not any("b" in trial["changes"] for trial in found.trials)
    found = culprit(uv_bench, "--good", "good.txt", "--hold", "a", "--hold", "b")
    assert "nothing differs between good.txt and now with a and b held" in found.out
    uv_bench.write("bad.txt", "a==2.0\nb==2.0\n")
    found = culprit(uv_bench, "--good", "good.txt", "--bad", "bad.txt", "--hold", "b")
    assert found.report["cure"] == {"a": "1.0"}, found.out


def test_a_written_state_is_not_bent(uv_bench: Bench) -> None:
    unpinned(uv_bench, "a b")
    declare(uv_bench, _A_IS_BROKEN)
    uv_bench.write("bad.txt", "a==2.0\nb==2.0\n")
    found = culprit(uv_bench, "--good", "good.txt", "--bad", "bad.txt", "--hold", "b<2")
    assert "--hold b<2: bad.txt has b 2.0" in found.out
    found = culprit(uv_bench, "--good", "good.txt", "--hold", "bb")
    assert "bb is to be held, and is not among the 2 packages of good.txt" in found.out
    assert "did you mean b?" in found.out
    assert "bb is to be held" in culprit(uv_bench, "--good", "good.txt", "--hold", "bb<2").out


def test_what_the_noxfile_holds_is_still_a_suspect(uv_bench: Bench) -> None:
    unpinned(uv_bench, "a")
    declare(uv_bench, _A_IS_BROKEN, campaigns=", hold='a'")
    found = culprit(uv_bench, "--good", "good.txt")
    assert found.report["cure"] == {"a": "1.0"}, found.out


def test_a_pre_release_may_be_to_blame(uv_bench: Bench) -> None:
    unpinned(uv_bench, "a", "1.0 2.0rc1 2.0rc2")
    declare(uv_bench, _A_IS_BROKEN.replace("< '2'", "!= '2.0rc2'"))
    found = culprit(uv_bench, "--good", "good.txt")
    assert "nothing differs between good.txt and now" in found.out
    found = culprit(uv_bench, "--good", "good.txt", "--pre")
    (guilty,) = found.report["culprits"]
    assert (guilty["to"], guilty["first_bad"]) == ("2.0rc2", "2.0rc2"), found.out


def test_now_is_the_lock_of_the_cell_unless_all_is_resolved_afresh(uv_bench: Bench) -> None:
    unpinned(uv_bench, "a")
    declare(uv_bench, _A_IS_BROKEN, options='requirements="requirements.txt", locked=True')
    uv_bench.write("requirements.txt", "a<2\n")
    ran = uv_bench.nox("-s", "lock")
    assert ran.returncode == 0, ran.out
    uv_bench.index.wheel("a", "1.5")
    assert "nothing differs" in culprit(uv_bench, "--good", "good.txt").out
    found = culprit(uv_bench, "--good", "good.txt", "--mode", "fresh")
    assert (found.report["mode"], found.status) == ("fresh", "ok"), found.out
    uv_bench.write("old.txt", "a==2.0\n")
    assert culprit(uv_bench, "--good", "old.txt").report["mode"] == "keep"
    assert found.trials[-1]["changes"] == {"a": ["1.0", "1.5"]}


def test_a_cure_passes_as_often_as_is_asked(uv_bench: Bench) -> None:
    unpinned(uv_bench, "a b")
    declare(uv_bench, f"{_A_IS_BROKEN}import b\n")
    cured = {"b": ["1.0", "2.0"]}
    for words, times in (([], 2), (["--proofs", "4"], 4)):
        found = culprit(uv_bench, "--good", "good.txt", *words)
        assert found.report["cure"] == {"a": "1.0"}, found.out
        assert [trial["changes"] for trial in found.trials].count(cured) == times


# -- states


def test_what_passed_last_is_the_good_state_unless_one_is_named(uv_bench: Bench) -> None:
    pin(uv_bench, "a")
    declare(uv_bench, _A_IS_BROKEN)
    assert upgrade(uv_bench).verdicts() == {"a": "breaks"}
    uv_bench.write("requirements.txt", "a==2.0\n")
    found = culprit(uv_bench)
    assert "a 2.x breaks you, 1.0 does not" in found.out
    lock = found.report["good"]
    assert (uv_bench.project / lock).is_file()
    assert found.report["cure"] == {"a": "1.0"}
    named = culprit(uv_bench, "--good", lock, "--bad", "requirements.txt")
    assert (named.report["good"], named.report["bad"]) == (lock, "requirements.txt")
    assert named.report["cure"] == {"a": "1.0"}


def test_what_was_put_together_to_find_something_out_is_no_state(uv_bench: Bench) -> None:
    pin(uv_bench, "a b", "1.0 1.5 2.0")
    declare(uv_bench, f"{_A_IS_BROKEN}import b\n")
    found = campaign(uv_bench, "bisect", "a")
    assert found.status == "broken", found.out
    uv_bench.write("requirements.txt", "a==2.0\nb==2.0\n")
    found = culprit(uv_bench)
    # The state that was had; the bisection also saw a 1.5 pass.
    assert found.report["cure"] == {"a": "1.0"}, found.out
    had = found.report["good"]
    uv_bench.write("old.txt", "a==1.5\nb==1.0\n")
    assert culprit(uv_bench, "--good", "old.txt").report["cure"] == {"a": "1.5"}
    assert culprit(uv_bench).report["good"] == had


def test_a_commit_is_a_state_and_the_repository_stays_as_it_is(uv_bench: Bench) -> None:
    def repository() -> tuple[str, ...]:
        return (
            git(uv_bench, "for-each-ref"),
            git(uv_bench, "rev-parse", "--symbolic-full-name", "HEAD"),
            git(uv_bench, "ls-files", "--stage"),
            git(uv_bench, "worktree", "list"),
            git(uv_bench, "status", "--porcelain"),
            (uv_bench.project / "requirements.txt").read_text(encoding="utf-8"),
        )

    committed(uv_bench)
    uv_bench.write("staged.txt", "mine\n")
    git(uv_bench, "add", "staged.txt")
    before = repository()
    found = culprit(uv_bench, "--good", "git:v1")
    assert "a 2.x breaks you, 1.0 does not" in found.out
    assert found.report["good"] == "git:v1"
    assert repository() == before


@pytest.mark.parametrize(("good", "bad"), [("git:stable", "now"), ("git:HEAD~1", "git:HEAD")])
def test_whatever_names_a_commit_in_the_repository(uv_bench: Bench, good: str, bad: str) -> None:
    committed(uv_bench)
    found = culprit(uv_bench, "--good", good, "--bad", bad)
    assert found.report["cure"] == {"a": "1.0"}, found.out


def test_dates_are_states(uv_bench: Bench) -> None:
    unpinned(uv_bench, "a")
    for version, time in (("1.0", "2020-01-01T12:00:00Z"), ("2.0", "2020-01-02T12:00:00Z")):
        uv_bench.index.upload_time("a", version, time)
    declare(uv_bench, _A_IS_BROKEN)
    found = culprit(uv_bench, "--good", "2020-01-02T11:00:00Z", "--bad", "2020-01-02")
    assert "1 package changed since 2020-01-02T11:00:00Z." in found.out
    assert found.report["cure"] == {"a": "1.0"}


@pytest.mark.parametrize("date", ["2020-13-45", "2020-01-01T10:00"])
def test_dates_for_which_there_is_no_answer(uv_bench: Bench, date: str) -> None:
    unpinned(uv_bench, "a")
    for version in ("1.0", "2.0"):
        uv_bench.index.upload_time("a", version, "2020-01-02T12:00:00Z")
    declare(uv_bench, _A_IS_BROKEN)
    found = culprit(uv_bench, "--good", date)
    assert found.ran.returncode == 1
    assert date in found.out
    assert "cooldown" not in found.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--good", "nope.txt"], "nope.txt does not exist"),
        (["--good", "good.txt"], "nothing differs between good.txt and now"),
        (["--good", "check.py"], "in check.py"),
        (["--good", "git:nope"], "git:nope is no commit of this repository"),
        ([], f"no earlier campaign has kept a lock with which {CELL} passed"),
        (["a"], "nox -s culprit -- --help"),
    ],
)
def test_mistakes_are_answered(uv_bench: Bench, words: list[str], said: str) -> None:
    unpinned(uv_bench, "a", "1.0")
    declare(uv_bench, _A_IS_BROKEN)
    found = culprit(uv_bench, *words)
    assert found.ran.returncode == 1
    assert said in found.out
    assert found.report.get("trials", []) == []


def test_a_state_that_cannot_be_had_is_named_itself(uv_bench: Bench) -> None:
    unpinned(uv_bench, "a b")
    declare(uv_bench, _A_IS_BROKEN)
    uv_bench.write("freeze.txt", "b==1.0\na==9.9\nold==1.0\n")
    found = culprit(uv_bench, "--good", "freeze.txt")
    assert found.ran.returncode == 1
    assert "error: a has no release 9.9\n\n  freeze.txt:2   a==9.9\n" in found.out
    assert "requirements.txt" not in found.out


def test_help_runs_nothing(uv_bench: Bench) -> None:
    unpinned(uv_bench, "a")
    declare(uv_bench, _A_IS_BROKEN)
    ran = uv_bench.nox("-s", "culprit", "--", "--help")
    assert ran.returncode == 0
    assert "--good STATE" in ran.out
    assert "--bad STATE" in ran.out
    assert uv_bench.index.requests == []
