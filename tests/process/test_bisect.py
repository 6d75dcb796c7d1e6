"""Which release broke it: `nox -s bisect` from end to end."""

from __future__ import annotations

import math
import re
import shlex
from typing import TYPE_CHECKING

import pytest

from support.upgrading import CELL, THIS, Answer, campaign, declare, other_python, pin, upgrade

if TYPE_CHECKING:
    from support.bench import Bench

pytestmark = pytest.mark.process


def bisect(bench: Bench, *words: str) -> Answer:
    return campaign(bench, "bisect", *words)


def breaking(condition: str, names: str = "a") -> str:
    """A check that fails in one way where a condition on the release of `a` holds."""
    lines = [
        f"import {names.replace(' ', ', ')}",
        "v = tuple(map(int, a.__version__.split('.')))",
        f"assert not ({condition}), 'a has lost its engine'",
    ]
    return "\n".join(lines) + "\n"


def test_the_first_bad_release_of_many(uv_bench: Bench) -> None:
    releases = ["0.9", *(f"{major}.{minor}" for major in (1, 2, 3) for minor in range(7))]
    pin(uv_bench, "a", " ".join(releases))
    uv_bench.index.upload_time("a", "2.4", "2024-01-02T03:04:05Z")
    uv_bench.index.wheel("a", "2.9")
    uv_bench.index.yank("a", "2.9")
    uv_bench.index.wheel("a", "3.9", requires_python=">=3.99")
    uv_bench.index.wheel("a", "4.0b1")
    declare(uv_bench, breaking("v >= (2, 4)"))
    found = bisect(uv_bench, "a", "--jobs", "1")
    assert found.ran.returncode == 0, found.out
    assert {key: found.report[key] for key in ("schema", "kind", "status", "package")} == {
        "schema": "nox-envs.report/1", "kind": "bisect", "status": "broken", "package": "a",
    }  # fmt: skip
    answer = found.bisected()
    assert {key: answer[key] for key in (
        "status", "last_good", "first_bad", "unknown", "bad_ranges", "fixed_in", "newest",
        "requirement",
    )} == {
        "status": "found", "last_good": "2.3", "first_bad": "2.4", "unknown": [],
        "bad_ranges": [["2.4", "3.6"]], "fixed_in": None,
        "newest": {"version": "3.6", "outcome": "fail", "same_signature": True},
        "requirement": "a<2.4",
    }  # fmt: skip
    assert answer["releases"] == releases
    # Both ends of the line, and both sides of the border twice.
    assert {"0.9", "2.3", "2.4", "3.6"} <= set(answer["tested"])
    tried = found.tried("a")
    assert (tried.count("2.3"), tried.count("2.4")) == (2, 2)
    assert len(found.trials) <= math.ceil(math.log2(len(releases))) + 6
    assert "a 2.4 (2024-01-02) is the first release that breaks you. 2.3 is the last good one." in (
        found.out
    )
    (line,) = (one for one in found.out.splitlines() if "2.3  |  2.4" in one)
    assert line.split()[0] == "0.9"
    assert line.split()[-1] == "3.6"
    assert line.count("x") + line.count("o") == len(answer["tested"])
    assert "AssertionError: a has lost its engine" in found.out
    assert "The latest release, 3.6, still fails in the same way" in found.out
    assert "No other package was moved." in found.out
    opening = f"{CELL}: a 0.9 is yours; from 0.9 to 3.6 {len(releases)} releases."
    assert opening in found.out
    kept_to = "a==0.9 in requirements.txt keeps to that already"
    assert f"Until then:   a<2.4; {kept_to}" in found.out
    assert (uv_bench.project / "requirements.txt").read_text(encoding="utf-8") == "a==0.9\n"


def test_a_failure_that_is_there_already_is_no_answer(uv_bench: Bench) -> None:
    pin(uv_bench, "a", "1.0 1.1 1.2 1.3 1.4 1.5 1.6 2.0")
    declare(uv_bench, breaking("v"))
    found = bisect(uv_bench, "a")
    assert (found.ran.returncode, found.status) == (1, "baseline-red"), found.out
    answer = found.bisected()
    assert (answer["status"], answer["first_bad"], answer["requirement"]) == ("all-bad", None, "")
    assert found.report["baseline"][CELL]["outcome"] == "fail"
    assert set(answer["tested"]) == {"1.0", "2.0"}
    assert "Cannot tell: the tests fail already with a 1.0" in found.out
    assert "a has lost its engine" in found.out


def test_bad_releases_in_the_middle(uv_bench: Bench) -> None:
    pin(uv_bench, "a", "1.0 1.1 1.2 2.0")
    declare(uv_bench, breaking("v == (1, 1)"))
    found = bisect(uv_bench, "a")
    assert found.ran.returncode == 0, found.out
    answer = found.bisected()
    assert (answer["status"], answer["bad_ranges"]) == ("hole", [["1.1", "1.1"]])
    assert (answer["last_good"], answer["first_bad"], answer["fixed_in"]) == ("1.0", "1.1", "1.2")
    assert answer["newest"] == {"version": "2.0", "outcome": "pass", "same_signature": None}
    words = "a 1.1 is a bad release in the middle: 1.0 and 1.2 both pass."
    assert f"{words} a==1.0 in requirements.txt leaves that out already." in found.out
    # Where both ends differ, what lies between them is only looked at when it is asked for.
    declare(uv_bench, breaking("v in ((1, 1), (2, 0))"))
    assert bisect(uv_bench, "a", "--scan").bisected()["requirement"] == "a!=1.1,<2"


def test_what_is_fixed_again(uv_bench: Bench) -> None:
    pin(uv_bench, "a", "1.0 1.1 1.2 1.3 2.0")
    declare(uv_bench, breaking("(1, 1) <= v <= (1, 2)"))
    found = bisect(uv_bench, "a", "--bad", "1.2")
    answer = found.bisected()
    assert (answer["first_bad"], answer["newest"]["version"]) == ("1.1", "2.0"), found.out
    assert (answer["status"], answer["fixed_in"]) == ("hole", "1.3")


def test_what_cannot_be_tested_is_not_bad(uv_bench: Bench) -> None:
    pin(uv_bench, "a", "1.0 1.1 1.2")
    uv_bench.index.sdist("a", "2.0", breaks=True)
    uv_bench.index.wheel("a", "2.1", requires=["missing-from-the-index"])
    uv_bench.index.wheel("a", "2.2")
    uv_bench.index.wheel("a", "2.3")
    declare(uv_bench, breaking("v >= (2, 0)"))
    found = bisect(uv_bench, "a")
    assert found.ran.returncode == 0, found.out
    answer = found.bisected()
    assert (answer["status"], answer["unknown"]) == ("found", ["2.0", "2.1"])
    assert (answer["last_good"], answer["first_bad"]) == ("1.2", "2.2")
    assert answer["requirement"] == "a<2"
    assert (answer["tested"]["2.0"], answer["tested"]["2.1"]) == ("unknown", "unknown")
    assert f"a breaks somewhere in 1.2 .. 2.2: 2.0 and 2.1 could not be tested on {THIS}." in (
        found.out
    )
    assert "a==1.0 in requirements.txt leaves that out already." in found.out


def test_it_breaks_in_one_way_and_then_in_another_one(uv_bench: Bench) -> None:
    pin(uv_bench, "a", "1.0 1.1 1.2 2.0")
    check = """
        import a
        if a.__version__ == "1.2":
            raise KeyError("wheel")
        assert a.__version__ != "2.0", "a has lost its engine"
    """
    declare(uv_bench, check)
    found = bisect(uv_bench, "a")
    answer = found.bisected()
    assert (answer["last_good"], answer["first_bad"]) == ("1.1", "1.2"), found.out
    assert (answer["unknown"], answer["another_since"]) == ([], "2.0")
    assert answer["tested"] == {"1.0": "good", "1.1": "good", "1.2": "other", "2.0": "bad"}
    assert answer["reason"] == "KeyError: 'wheel'"
    assert answer["newest"]["same_signature"] is False
    assert found.tried("a").count("1.2") == 2
    assert "a 1.2 is the first release that breaks you." in found.out
    assert (
        "From 2.0 on it was seen to fail in another way: AssertionError: a has lost its engine."
    ) in found.out
    engine = bisect(uv_bench, "a", "--match", "lost its engine")
    answer = engine.bisected()
    assert (answer["last_good"], answer["first_bad"]) == ("1.1", "2.0"), engine.out
    assert answer["unknown"] == ["1.2"]
    assert answer["tested"]["1.2"] == "other"
    none = bisect(uv_bench, "a", "--match", "no such words")
    assert (none.ran.returncode, none.status) == (1, "inconclusive"), none.out
    assert none.bisected()["reason"].startswith(
        "no failure matches 'no such words'; 2 runs failed otherwise: AssertionError: a has lost"
    )
    wheel = bisect(uv_bench, "a", "--match", "KeyError.*wheel")
    answer = wheel.bisected()
    assert (answer["last_good"], answer["first_bad"]) == ("1.1", "1.2"), wheel.out
    assert answer["newest"] == {"version": "2.0", "outcome": "fail", "same_signature": False}
    assert answer["reason"] == "KeyError: 'wheel'"
    assert answer["tested"]["2.0"] == "other"
    assert "The latest release, 2.0, fails in another way" in wheel.out


@pytest.mark.parametrize("proofs", ["1", "3"])
def test_the_border_is_proven_as_often_as_it_is_asked(uv_bench: Bench, proofs: str) -> None:
    pin(uv_bench, "a", "1.0 1.1 2.0 2.1")
    declare(uv_bench, breaking("v >= (2, 0)"))
    found = bisect(uv_bench, "a", "--proofs", proofs)
    assert found.bisected()["first_bad"] == "2.0", found.out
    tried = found.tried("a")
    assert [tried.count(one) for one in ("1.1", "2.0", "2.1")] == [int(proofs), int(proofs), 1]


@pytest.mark.parametrize("declared", [True, False])
def test_what_is_held_does_not_move(uv_bench: Bench, declared: bool) -> None:  # noqa: FBT001
    pin(uv_bench, "a", "1.0")
    uv_bench.index.wheel("a", "1.1", requires=["b"])
    uv_bench.index.wheel("a", "2.0", requires=["b>=2"])
    uv_bench.index.wheel("a", "2.1", requires=["b"])
    if declared:
        pin(uv_bench, "b")
    else:
        for version in ("1.0", "2.0"):
            uv_bench.index.wheel("b", version)
        uv_bench.index.wheel("c", "1.0", requires=["b<2"])
        uv_bench.index.wheel("c", "1.1", requires=["b"])
        uv_bench.write("requirements.txt", "a==1.0\nc==1.0\n")
    declare(uv_bench, breaking("v >= (2, 0)", "a b"))
    found = bisect(uv_bench, "a", "--hold", "b")
    answer = found.bisected()
    assert (answer["last_good"], answer["first_bad"]) == ("1.1", "2.1"), found.out
    assert answer["unknown"] == ["2.0"]
    assert f"{CELL}: a 2.0 was not tested: it needs b 2.0, but b is held." in found.out
    assert all(not {"b", "c"} & {*one["changes"], *one["moved"]} for one in found.trials)
    within = bisect(uv_bench, "a", "--hold", "b<3", "--hold", "a")
    assert within.bisected()["first_bad"] == "2.0", within.out
    end = bisect(uv_bench, "a", "--hold", "b", "--bad", "2.0", "--good", "1.1")
    assert (
        "Cannot tell which release of a breaks you: 2.0 was not tested: it needs b 2.0, but b is"
    ) in end.out


def test_the_ends_that_are_named(uv_bench: Bench) -> None:
    pin(uv_bench, "a", "0.8 0.9 1.0 1.1 2.0 3.0b1")
    uv_bench.write("requirements.txt", "a==1.1\n")
    declare(uv_bench, "import a\nassert a.__version__ in {'0.8', '0.9', '2.0'}, 'a is broken'\n")
    between = bisect(uv_bench, "a", "--good", "0.8", "--bad", "1.1").bisected()
    assert (between["last_good"], between["first_bad"]) == ("0.9", "1.0")
    uv_bench.write("requirements.txt", "a>=0.8\n")
    free = bisect(uv_bench, "a", "--good", "0.8", "--bad", "1.1")
    assert "Put in requirements.txt: a!=1.*" in free.out
    uv_bench.write("requirements.txt", "a==1.1\n")
    none = bisect(uv_bench, "a", "--good", "0.8", "--bad", "0.9")
    assert f"{CELL}: a 1.1 is yours; from 0.8 to 0.9 2 releases, and 3 newer." in none.out
    assert (none.ran.returncode, none.status) == (0, "ok")
    assert none.bisected()["status"] == "no-failure"
    assert "a does not break you: 2 releases of " in none.out
    newer = bisect(uv_bench, "a", "--good", "2.0", "--pre")
    answer = newer.bisected()
    assert (answer["last_good"], answer["first_bad"]) == ("2.0", "3.0b1"), newer.out
    assert answer["requirement"] == "a<3"


def test_a_package_that_only_another_one_asks_for(uv_bench: Bench) -> None:
    for version in ("1.0", "1.1", "2.0", "2.1"):
        uv_bench.index.wheel("a", version)
    uv_bench.index.wheel("app", "1.0", requires=["a"])
    uv_bench.write("requirements.txt", "app==1.0\n")
    declare(uv_bench, breaking("v >= (2, 0)", "app a"))
    found = bisect(uv_bench, "A", "--good", "1.0")
    assert found.ran.returncode == 0, found.out
    answer = found.bisected()
    assert (answer["current"], answer["last_good"], answer["first_bad"]) == ("2.1", "1.1", "2.0")
    assert "Until then:   a<2" in found.out


@pytest.mark.parametrize("blame", ["package", "company"])
def test_who_is_to_blame_where_others_move(uv_bench: Bench, blame: str) -> None:
    pin(uv_bench, "b", "1.0 2.0")
    pin(uv_bench, "a", "1.0 1.1")
    uv_bench.index.wheel("a", "2.0", requires=["b>=2"])
    guilty = "a" if blame == "package" else "b"
    declare(uv_bench, f"import a, b\nassert {guilty}.__version__ < '2', 'no engine'\n")
    found = bisect(uv_bench, "a")
    answer = found.bisected()
    assert (answer["last_good"], answer["first_bad"]) == ("1.1", "2.0"), found.out
    assert (answer["moved"], answer["blame"]) == ({"b": ["1.0", "2.0"]}, blame)
    said = {
        "package": "What moved with 2.0 is not to blame: 1.1 passes with b 1.0 -> 2.0.",
        "company": "a itself is not to blame: 1.1 fails in the same way with b 1.0 -> 2.0.",
    }
    assert said[blame] in found.out
    command = re.search(r"Which of them is it\?   nox -s culprit -- (.+)", found.out)
    if blame == "package":
        assert command is None
        return
    assert command, found.out
    asked = campaign(uv_bench, "culprit", *shlex.split(command[1]))
    assert [one["name"] for one in asked.report["culprits"]] == ["b"], asked.out


def test_each_python_has_its_own_answer(uv_bench: Bench) -> None:
    other = other_python()
    pin(uv_bench, "a", "1.0 1.1 2.0")
    series = tuple(map(int, THIS.split(".")))
    declare(
        uv_bench,
        f"import sys\n{breaking(f'v >= ((2, 0) if sys.version_info[:2] == {series} else (1, 1))')}",
        python=[THIS, other],
    )
    found = bisect(uv_bench, "a")
    assert found.ran.returncode == 0, found.out
    assert found.bisected()["first_bad"] == "2.0"
    assert found.bisected(f"test-{other}")["first_bad"] == "1.1"
    assert f"On {THIS}: a 2.0 is the first release that breaks you." in found.out
    assert f"On {other}: a 1.1 is the first release that breaks you." in found.out


def test_mistakes_are_answered(uv_bench: Bench) -> None:
    pin(uv_bench, "werkzeug jinja")
    declare(uv_bench, "import werkzeug\nassert werkzeug.__version__ == '1.0', 'it is broken'\n")
    assert upgrade(uv_bench).verdicts()["werkzeug"] == "breaks"
    asked = {
        (): "The last upgrade run found these breaking: werkzeug",
        ("werkzeug", "jinja"): "one package at a time",
        ("werkzueg",): "did you mean werkzeug?",
        ("werkzeug", "--bad", "2.1"): "werkzeug has no release 2.1",
        ("werkzeug", "--good", "1.0-x"): "is not a version",
        ("werkzeug", "--good", "2.0"): "no release of werkzeug newer than 2.0",
        ("werkzeug", "--good", "2.0", "--bad", "1.0"): "is not newer than --good 2.0",
        ("werkzeug", "--match", "("): "is not a regular expression",
        ("werkzeug", "--hold", "jinjer"): "jinjer is to be held, and is not among the 2 packages",
    }
    for words, said in asked.items():
        found = bisect(uv_bench, *words)
        assert found.ran.returncode == 1
        assert said in found.out
        assert found.report.get("trials", []) == []
