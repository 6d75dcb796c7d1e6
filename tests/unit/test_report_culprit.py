"""What the report about a culprit says, as text, Markdown and JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from nox_envs.called import Called
from nox_envs.outcome import Failure, Outcome, Trial
from nox_envs.report import as_json, as_markdown, as_terminal
from nox_envs.report.facts import Blamed, CulpritReport, Guilty
from nox_envs.report.view import Commands
from support.hostile import HOSTILE, shape

COLUMNS = {"test-3.11": "3.11", "test-3.12": "3.12"}
URLLIB3 = Guilty(
    name="urllib3",
    before="1.26.20",
    after="2.2.1",
    declared=False,
    brought_in_by=("requests>=2.30",),
    evidence=("t2", "t5"),
    requirement="urllib3<2",
)
SIX = Guilty(
    name="six",
    before="1.16.0",
    after="1.17.0",
    declared=True,
    requirement="six<1.17",
    first_bad="1.17.0",
    reason="TypeError: six",
)
FOUND = Blamed(
    status="found",
    differing=9,
    culprits=(URLLIB3,),
    cure={"urllib3": "1.26.20"},
    innocent=("botocore", "requests"),
    failing={"tests/test_a.py::test_a": "AttributeError: |"},
    log="logs/t2.txt",
)
NOBODY = Blamed(status="no-failure", differing=9, innocent=("requests",))
TRIALS = (
    Trial(id="t2", cell="test-3.11", python="3.11", outcome=Outcome.FAIL),
    Trial(id="t5", cell="test-3.11", python="3.11", outcome=Outcome.PASS),
)
ALL = Commands(bisect="bisect", culprit="culprit")


def report(*found: Blamed, **facts: Any) -> CulpritReport:
    """The answers are those on 3.11 and 3.12, or the one on both."""
    both = found * 2 if len(found) == 1 else found
    return CulpritReport(
        **{
            "sessions": ("test",),
            "status": "broken",
            "mode": "keep",
            "started": "2026-11-01T05:00:00Z",
            "seconds": 12.0,
            "tools": {},
            "columns": COLUMNS,
            "baseline": {},
            "files": ("requirements.txt",),
            "directory": ".nox/culprit-1",
            "good": "2026-10-01",
            "bad": "now",
            "trials": TRIALS,
            "result": dict(zip(COLUMNS, both, strict=False)),
            **facts,
        }
    )


def told(subject: CulpritReport) -> str:
    return as_terminal.render(subject, commands=ALL)


def first_line(subject: CulpritReport) -> str:
    return told(subject).partition("\n\n")[0]


def guilty(*culprits: Guilty, **facts: Any) -> Blamed:
    return replace(FOUND, **{"culprits": culprits, "cure": {}, **facts})


NOVEL = replace(URLLIB3, name="novel", before=None, after="1.0", requirement="")


def test_what_brought_it_in_is_not_fine_where_it_goes_back_as_well() -> None:
    cure = {"requests": "2.29.0", "urllib3": "1.26.20"}
    assert first_line(report(guilty(URLLIB3, cure=cure))) == (
        "urllib3 2.x, brought in by requests>=2.30, breaks you: add urllib3<2 to requirements.txt"
    )
    text = told(report(guilty(NOVEL, cure={"requests": "2.29.0", "novel": None})))
    assert text.startswith("novel 1.0, brought in by requests>=2.30, breaks you.\n")
    assert "It passes again with no novel and requests 2.29.0." in text


# -- documents


def test_the_block_on_a_terminal() -> None:
    assert told(report(FOUND)) == (
        """\
requests is fine; urllib3 2.x, brought in by requests>=2.30, is not: \
add urllib3<2 to requirements.txt

urllib3 1.26.20 -> 2.2.1 breaks 1 test.
  tests/test_a.py::test_a   AttributeError: |
  Which release did it?   nox -s bisect -- urllib3 --good 1.26.20
  Proven by t2 (fail) and t5 (pass).
9 packages changed since 2026-10-01; innocent: botocore and requests, and 6 that nobody declares.

Report and logs: .nox/culprit-1
"""
    )


def test_the_markdown() -> None:
    assert as_markdown.render(report(FOUND), commands=ALL) == (
        """\
# Culprit: urllib3 1.26.20 -> 2.2.1

requests is fine; urllib3 2.x, brought in by `requests>=2.30`, is not: \
add `urllib3<2` to requirements.txt

`test` on Python 3.11 and 3.12, 2026-11-01, 2 trials.

**urllib3 1.26.20 -> 2.2.1 breaks 1 test**.

- `tests/test_a.py::test_a` `AttributeError: |`
- Which release did it?   `nox -s bisect -- urllib3 --good 1.26.20`
- Proven by t2 (fail) and t5 (pass).

**9 packages changed since 2026-10-01**; innocent: botocore and requests, \
and 6 that nobody declares.

Report and logs: `.nox/culprit-1`
"""
    )
    assert "Shortened to 300 characters" in as_markdown.render(report(FOUND), longest=300)


def test_the_json() -> None:
    elsewhere = replace(FOUND, culprits=(replace(URLLIB3, evidence=("t7",)),))
    document = as_json.to_dict(report(FOUND, elsewhere, trials=()))

    def culprit(*evidence: str) -> dict[str, Any]:
        return {
            "name": "urllib3",
            "from": "1.26.20",
            "to": "2.2.1",
            "declared": False,
            "brought_in_by": ["requests>=2.30"],
            "partners": [],
            "evidence": list(evidence),
            "first_bad": None,
            "requirement": "urllib3<2",
            "reason": "",
        }

    def column(*evidence: str) -> dict[str, Any]:
        return {
            "status": "found",
            "differing": 9,
            "culprits": [culprit(*evidence)],
            "cure": {"urllib3": "1.26.20"},
            "innocent": ["botocore", "requests"],
            "doubt": "",
            "reason": "",
            "failing": {"tests/test_a.py::test_a": "AttributeError: |"},
            "log": "logs/t2.txt",
        }

    expected = {
        "schema": "nox-envs.report/1",
        "kind": "culprit",
        "sessions": ["test"],
        "status": "broken",
        "error": None,
        "mode": "keep",
        "started": "2026-11-01T05:00:00Z",
        "seconds": 12.0,
        "tools": {},
        "directory": ".nox/culprit-1",
        "files": ["requirements.txt"],
        "good": "2026-10-01",
        "bad": "now",
        "columns": COLUMNS,
        "not_tested": {},
        "baseline": {},
        "culprits": [culprit("t2", "t5", "t7")],
        "cure": {"urllib3": "1.26.20"},
        "result": {"test-3.11": column("t2", "t5"), "test-3.12": column("t7")},
        "trials": [],
        "kept": {},
    }
    assert json.dumps(document) == json.dumps(expected)


def test_json_of_columns_that_disagree_names_nobody_for_all() -> None:
    document = as_json.to_dict(report(FOUND, NOBODY))
    assert document["culprits"] is None
    assert document["cure"] is None
    assert as_json.to_dict(report(NOBODY))["culprits"] == []
    assert as_json.to_dict(report(result={}))["culprits"] is None


# -- the first line


@pytest.mark.parametrize(
    ("subject", "line"),
    [
        (report(guilty(SIX), files=()), "six 1.17.0 breaks you, 1.16.0 does not: add six<1.17"),
        (
            report(guilty(replace(SIX, before=None, requirement=""))),
            "six 1.17.0 is new, and it breaks you.",
        ),
        (
            report(guilty(replace(SIX, after=None, requirement="six"))),
            "six 1.16.0 is gone, and that breaks you: add six to requirements.txt",
        ),
        (
            report(guilty(replace(SIX, partners=("attrs", "idna")))),
            (
                "six 1.17.0 (together with attrs and idna) breaks you, 1.16.0 does not: "
                "add six<1.17 to requirements.txt"
            ),
        ),
        (
            report(guilty(replace(URLLIB3, brought_in_by=("a[x]>=1", "b.c"), requirement=""))),
            "a and b.c are fine; urllib3 2.2.1, brought in by a[x]>=1 and b.c, is not.",
        ),
        (
            report(guilty(SIX, URLLIB3)),
            (
                "Two of 9 packages that changed break you: "
                "six 1.16.0 -> 1.17.0 and urllib3 1.26.20 -> 2.2.1."
            ),
        ),
        (
            report(NOBODY),
            (
                "Nobody is to blame: now passes on 3.11 and 3.12, too. "
                "9 packages changed since 2026-10-01."
            ),
        ),
        (
            report(replace(NOBODY, status="all-bad", reason="exit 1", log="logs/t1.txt")),
            (
                "Cannot tell: the tests fail already with 2026-10-01 (exit 1 on 3.11 and 3.12): "
                ".nox/culprit-1/logs/t1.txt"
            ),
        ),
        (
            report(replace(NOBODY, status="inconclusive", reason="equal runs disagree")),
            (
                "Cannot tell who is to blame (equal runs disagree on 3.11 and 3.12). "
                "9 packages changed since 2026-10-01."
            ),
        ),
        (
            report(replace(NOBODY, status="inconclusive", doubt="runs disagree", reason="exit 1")),
            (
                "Cannot tell who is to blame on 3.11 and 3.12: runs disagree. "
                "9 packages changed since 2026-10-01."
            ),
        ),
        (
            report(replace(NOBODY, status="inconclusive", differing=0)),
            "No release is to blame: nothing changed since 2026-10-01 on 3.11 and 3.12.",
        ),
        (report(result={}), "Cannot tell: nothing was tested."),
        (report(result={}, status="error", error="no index"), "Cannot tell: no index."),
        (
            report(FOUND, status="interrupted"),
            "Interrupted after 2 trials. Go on: nox -s culprit -- --resume",
        ),
        (
            report(FOUND, NOBODY),
            (
                "On 3.11: requests is fine; urllib3 2.x, brought in by requests>=2.30, is not.\n"
                "On 3.12: Nobody is to blame: now passes on 3.12, too. "
                "9 packages changed since 2026-10-01."
            ),
        ),
        (
            report(
                columns={**COLUMNS, "test-3.14": "3.14"},
                result={"test-3.11": FOUND, "test-3.12": FOUND},
                not_tested={"test-3.14": "not on this machine"},
            ),
            (
                "requests is fine; urllib3 2.x, brought in by requests>=2.30, is not: "
                "add urllib3<2 to requirements.txt\n3.14 was not tested: not on this machine."
            ),
        ),
    ],
)
def test_the_first_line(subject: CulpritReport, line: str) -> None:
    assert first_line(subject) == line


@pytest.mark.parametrize(
    ("subject", "title"),
    [
        (
            report(guilty(SIX, URLLIB3)),
            "# Culprits: six 1.16.0 -> 1.17.0 and urllib3 1.26.20 -> 2.2.1",
        ),
        (report(NOBODY), "# Culprit: nobody"),
        (report(FOUND, NOBODY), "# Culprit: urllib3 1.26.20 -> 2.2.1"),
        (report(replace(NOBODY, status="all-bad")), "# Culprit: cannot tell"),
        (report(FOUND, status="interrupted"), "# Culprit: interrupted"),
    ],
)
def test_the_title(subject: CulpritReport, title: str) -> None:
    assert as_markdown.render(subject).splitlines()[0] == title


# -- what follows


def test_how_to_find_the_release_that_did_it() -> None:
    werkzeug = replace(SIX, name="werkzeug", before="2.2.3", after="3.1.9", first_bad=None)
    line = "  Which release did it?   nox -s bisect -- werkzeug --good 2.2.3"
    for declared in (True, False):
        one = guilty(replace(werkzeug, declared=declared))
        assert f"{line}\n" in told(report(one))
        assert f"{line}\n" in told(report(one, bad="now with six held"))
        assert f"{line} --bad 3.1.9\n" in told(report(one, bad="git:v2"))
        assert f"{line} --only test-3.11\n" in told(report(one, NOBODY))
    ahead = guilty(replace(werkzeug, after="4.0rc1"))
    assert f"{line} --bad 4.0rc1\n" in told(report(ahead))
    for before, after in (("3.1.9", "2.2.3"), (None, "3.1.9"), ("2.2.3", None)):
        one = guilty(replace(werkzeug, before=before, after=after))
        assert "Which release" not in told(report(one))
    ours = Commands(bisect="bisect", called=Called(by_us=True, after=("pytest", "-q")))
    assert "nox-envs bisect werkzeug --good 2.2.3 -- pytest -q" in as_terminal.render(
        report(guilty(werkzeug)), commands=ours
    )


UNKNOWN = Blamed(
    status="inconclusive", differing=9, doubt="it could not be built", reason="TypeError: all"
)


def red(name: str, *changed: str, **facts: Any) -> Trial:
    return Trial(
        id=name, cell="test-3.11", python="3.11", outcome=Outcome.FAIL, log=f"logs/{name}.txt",
        changes=dict.fromkeys(changed, ("2.2.3", "3.1.9")), **facts,
    )  # fmt: skip


def test_where_nobody_is_proven_guilty_the_smallest_set_that_fails_is_told() -> None:
    failure = Failure(signature="s", exception="ImportError: url_quote")
    trials = red("t2", *"abcdefghi"), red("t3", "a", "b"), red("t4", "werkzeug", failure=failure)
    text = told(report(UNKNOWN, trials=trials))
    assert (
        "\nnow fails: TypeError: all.\n"
        "It fails with werkzeug 2.2.3 -> 3.1.9 alone (t4): ImportError: url_quote.\n"
        "  .nox/culprit-1/logs/t4.txt\n"
        "  Which release did it?   nox -s bisect -- werkzeug --good 2.2.3\n"
    ) in text
    two = told(report(UNKNOWN, trials=trials[:2]))
    assert "\nIt fails with a 2.2.3 -> 3.1.9 and b 2.2.3 -> 3.1.9 and nothing else (t3).\n" in two
    assert "Which release" not in two
    later = "A later state that worked leaves less to look at: nox -s culprit -- --good STATE"
    assert f"\n{later}\n" in told(report(UNKNOWN, trials=trials[:1]))


def test_several_culprits_have_a_paragraph_each() -> None:
    text = told(report(guilty(replace(URLLIB3, first_bad="2.0.0"), SIX)))
    assert (
        "\nurllib3 1.26.20 -> 2.2.1 breaks 1 test.\n"
        "  tests/test_a.py::test_a   AttributeError: |\n"
        "  The first bad release is 2.0.0.\n"
        "  Proven by t2 (fail) and t5 (pass).\n"
        "six 1.16.0 -> 1.17.0 breaks you: TypeError: six.\n"
        "  The first bad release is 1.17.0.\n" in text
    )
    assert "\nUntil then, in requirements.txt:   urllib3<2 and six<1.17\n" in text


def test_of_two_that_break_only_together_one_is_enough() -> None:
    pair = replace(URLLIB3, partners=("six",)), replace(SIX, partners=("urllib3",))
    text = told(report(guilty(*pair, cure={"six": "1.16.0"})))
    assert text.startswith("Two of 9 packages that changed break you, but only together: ")
    assert "\n  Only together with six.\n" in text
    assert "\nIt passes again with six 1.16.0.\n" in text
    assert "\nUntil then, in requirements.txt:   six<1.17\n" in text


def test_a_cure_that_takes_more_than_the_culprits() -> None:
    cure = {"urllib3": "1.26.20", "idna": None}
    assert "\nIt passes again with no idna and urllib3 1.26.20.\n" in told(
        report(replace(FOUND, cure=cure))
    )
    assert "passes again" not in told(report(FOUND))


def test_many_innocents_are_counted() -> None:
    many = tuple(f"p{number:02}" for number in range(12))
    subject = report(replace(FOUND, innocent=many, differing=13))
    assert "innocent: p00, p01, p02, p03, p04, p05, p06 and 5 more.\n" in told(subject)
    assert "p10 and p11." in as_markdown.render(subject)
    assert "\nChanged and innocent: requests.\n" in told(report(NOBODY))
    back = {"urllib3": "1.26.20", "idna": None}
    others = told(report(replace(FOUND, innocent=(), cure=back)))
    assert "since 2026-10-01; innocent: 7 that nobody declares.\n" in others
    assert "nobody declares" not in told(report(replace(FOUND, cure={})))


def test_what_to_write_is_said_for_each_column() -> None:
    text = told(report(FOUND, guilty(SIX)))
    assert "\nUntil then, in requirements.txt on 3.11:   urllib3<2\n" in text
    assert "\nUntil then, in requirements.txt on 3.12:   six<1.17\n" in text


def test_failures_without_a_culprit_are_shown() -> None:
    lost = replace(FOUND, status="inconclusive", culprits=(), cure={})
    assert "\n1 test fails.\n  tests/test_a.py::test_a   AttributeError: |\n" in told(report(lost))


# -- other people's text


def hostile(text: str) -> CulpritReport:
    """A report that holds a text wherever it is not ours."""
    facts: dict[str, Any] = {
        "name": text,
        "before": text,
        "after": text,
        "brought_in_by": (f"x{text}", "y>=1"),
        "partners": (text,),
        "evidence": (text,),
        "requirement": text,
        "reason": text,
    }
    one = Guilty(**facts, declared=False)
    pair = one, Guilty(**{**facts, "first_bad": text, "after": None}, declared=True)
    blamed: dict[str, Any] = {
        "innocent": (text,), "reason": text, "failing": {text: text}, "log": text,
    }  # fmt: skip
    found = [
        guilty(one, cure={"x": text}, **blamed),
        guilty(*pair, cure={text: None, "x": text}, **blamed),
        replace(NOBODY, **{**blamed, "status": "all-bad"}),
        replace(NOBODY, **{**blamed, "status": "inconclusive"}),
        replace(NOBODY, **blamed),
    ]
    columns = {f"test-3.{number}": f"3.{number}" for number in range(5)}
    return report(
        columns={**columns, "other": text},
        not_tested={"other": text},
        result=dict(zip(columns, found, strict=True)),
        sessions=(text,),
        files=(text,),
        directory=text,
        good=text,
        bad=text,
        kept={text: text},
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_changes_what_a_report_is_made_of(text: str) -> None:
    for subject, benign in (
        (hostile(text), hostile("x y")),
        *(
            (
                replace(hostile(text), result={"test-3.0": hostile(text).result[name]}),
                replace(hostile("x y"), result={"test-3.0": hostile("x y").result[name]}),
            )
            for name in hostile(text).result
        ),
    ):
        assert shape(as_markdown.render(subject)) == shape(as_markdown.render(benign))
        assert all(line.isprintable() for line in as_terminal.render(subject).split("\n"))
        assert as_terminal.render(subject, encoding="ascii").isascii()
        json.loads(as_json.dumps(subject))
