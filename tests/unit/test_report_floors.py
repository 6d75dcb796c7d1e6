"""What the report about lower bounds says, as text, Markdown and JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from nox_envs.outcome import Failure, Outcome, Trial
from nox_envs.report import applied, as_json, as_markdown, as_terminal
from nox_envs.report.facts import Baseline, Floor, FloorsReport
from nox_envs.report.view import Commands
from support.hostile import HOSTILE, shape

COLUMNS = {"test-3.10": "3.10", "test-3.12": "3.12"}


def floor(name: str, declared: str | None, installed: str | None, **facts: Any) -> Floor:
    return Floor(
        **{"outcome": Outcome.PASS, "name": name, "declared": declared, **facts},
        installed=installed,
    )


def fails(name: str, declared: str, **facts: Any) -> Floor:
    return floor(name, declared, declared, **{"outcome": Outcome.FAIL, **facts})


def report(*columns: tuple[Floor, ...], **facts: Any) -> FloorsReport:
    """The floors on 3.10 and on 3.12, or those on both."""
    both = columns * 2 if len(columns) == 1 else columns
    return FloorsReport(
        **{
            "sessions": ("test",),
            "status": "ok",
            "mode": "keep",
            "started": "2026-11-01T05:00:00Z",
            "seconds": 12.0,
            "tools": {},
            "columns": COLUMNS,
            "baseline": {},
            "files": ("pyproject.toml",),
            "directory": ".nox/floors-1",
            "floors": dict(zip(COLUMNS, both, strict=False)),
            **facts,
        }
    )


ATTRS = floor("attrs", "20.1", "20.1.0")
CLICK = floor("click", "7.0", "7.0")
FALSE = fails(
    "attrs",
    "20.1",
    true_floor="21.3",
    reason="1 test fails",
    requirement="attrs>=21.3",
    place="pyproject.toml:9",
    trials=("t1", "t2"),
)
RAISED = floor("click", "7.0", "7.1", raised_by=("flask>=2",), requirement="click>=7.1")
SIX = floor("six", None, "1.0")
FAILED = Trial(
    id="t2",
    cell="test-3.12",
    python="3.12",
    outcome=Outcome.FAIL,
    log="logs/t2.txt",
    failure=Failure(signature="s", tests={"tests/test_a.py::test_a": "TypeError"}, excerpt="E   x"),
)
PASSED = Trial(id="t1", cell="test-3.10", python="3.10", outcome=Outcome.PASS)
BROKEN = report((ATTRS, CLICK, SIX), (FALSE, RAISED, SIX), trials=(PASSED, FAILED), status="broken")


def told(subject: FloorsReport) -> str:
    return as_terminal.render(subject, commands=Commands(floors="floors"))


def first_line(subject: FloorsReport) -> str:
    return told(subject).partition("\n\n")[0]


# -- documents


def test_the_block_where_all_hold() -> None:
    assert told(report((ATTRS, CLICK))) == (
        """\
Your lower bounds hold: both passed with exactly the releases you promise on 3.10 and 3.12.

  package   declared   installed   true floor   3.10, 3.12
  attrs     20.1       20.1.0      -            holds
  click     7.0        7.0         -            holds

Report and logs: .nox/floors-1
"""
    )


def test_the_block_where_one_is_not_true() -> None:
    assert told(BROKEN) == (
        """\
One lower bound of 2 is not true: attrs>=20.1 needs 21.3 on 3.12.

  package   declared   installed         true floor   3.10       3.12
  attrs     20.1       20.1.0 and 20.1   21.3         holds      fails
  click     7.0        7.0 and 7.1       -            holds      raised
  six       -          1.0               -            no bound   no bound

attrs 20.1 fails on 3.12: 1 test fails; 21.3 is the lowest that was proven to pass.
  tests/test_a.py::test_a   TypeError
  Put in pyproject.toml:9:   attrs>=21.3
click>=7.0 is never reached on 3.12: flask>=2 asks for more; 7.1 was installed.
  Put:   click>=7.1
Without a lower bound: six.

Write it to pyproject.toml (uses this result, tests nothing again):
  nox -s floors -- --apply
Report and logs: .nox/floors-1
"""
    )


def test_an_interrupted_search_says_how_far_it_came() -> None:
    begun = fails("a", "1.0", true_floor="1.4", reason="1 test fails")
    waiting = fails("b", "1.0", reason="1 test fails")
    done = replace(FALSE, name="c")
    text = told(report((begun, waiting, done), status="interrupted"))
    assert "the search is not finished, 1.4 is the lowest that has passed so far." in text
    assert "b 1.0 fails: 1 test fails; the search is not finished." in text
    assert "21.3 is the lowest that was proven to pass." in text
    assert "no release that passes" not in text


def test_the_markdown() -> None:
    assert as_markdown.render(BROKEN) == (
        """\
# 1 lower bound of 2 not true: attrs

One lower bound of 2 is not true: `attrs>=20.1` needs 21.3 on 3.12.

`test` on Python 3.10 and 3.12, 2026-11-01, 2 trials.

| package | declared | installed | true floor | 3.10 | 3.12 |
|---|---|---|---|---|---|
| attrs | 20.1 | 20.1.0 and 20.1 | 21.3 | holds | fails |
| click | 7.0 | 7.0 and 7.1 | - | holds | raised |
| six | - | 1.0 | - | no bound | no bound |

**attrs 20.1 fails on 3.12**: 1 test fails; 21.3 is the lowest that was proven to pass.

- `tests/test_a.py::test_a` `TypeError`
- Put in `pyproject.toml:9`:   `attrs>=21.3`

**`click>=7.0` is never reached on 3.12**: `flask>=2` asks for more; 7.1 was installed.

- Put:   `click>=7.1`

**Without a lower bound**: six.

Write it to pyproject.toml (uses this result, tests nothing again):

`nox -s floors -- --apply`

<details><summary>Output</summary>

```text
E   x
```

</details>

Report and logs: `.nox/floors-1`
"""
    )
    assert "Shortened to 300 characters" in as_markdown.render(BROKEN, longest=300)


def test_the_json() -> None:
    document = as_json.to_dict(replace(BROKEN, trials=()))
    header = {
        "schema": "nox-envs.report/1",
        "kind": "floors",
        "sessions": ["test"],
        "status": "broken",
        "error": None,
        "mode": "keep",
        "started": "2026-11-01T05:00:00Z",
        "seconds": 12.0,
        "tools": {},
        "directory": ".nox/floors-1",
        "files": ["pyproject.toml"],
        "columns": COLUMNS,
        "not_tested": {},
        "baseline": {},
    }

    def row(**facts: Any) -> dict[str, Any]:
        return {
            "declared": None,
            "installed": None,
            "outcome": "pass",
            "true_floor": None,
            "raised_by": [],
            "reason": "",
            "requirement": "",
            "place": "",
            "trials": [],
            **facts,
        }

    expected = {
        **header,
        "floors": {
            "test-3.10": {
                "attrs": row(declared="20.1", installed="20.1.0"),
                "click": row(declared="7.0", installed="7.0"),
                "six": row(installed="1.0"),
            },
            "test-3.12": {
                "attrs": row(
                    declared="20.1",
                    installed="20.1",
                    outcome="fail",
                    true_floor="21.3",
                    reason="1 test fails",
                    requirement="attrs>=21.3",
                    place="pyproject.toml:9",
                    trials=["t1", "t2"],
                ),
                "click": row(
                    declared="7.0",
                    installed="7.1",
                    raised_by=["flask>=2"],
                    requirement="click>=7.1",
                ),
                "six": row(installed="1.0"),
            },
        },
        "trials": [],
        "kept": {},
    }
    assert json.dumps(document) == json.dumps(expected)


# -- the first line

RED = Baseline(outcome=Outcome.FAIL, reason="exit 1", log="logs/t1.txt")
NOT_RUN = floor("click", "7.0", None, outcome=None)
OFFLINE = floor("click", "7.0", "7.0", outcome=Outcome.ERROR, reason="no index")


@pytest.mark.parametrize(
    ("subject", "line"),
    [
        (
            report((ATTRS,)),
            "Your lower bound holds: it passed with the release you promise on 3.10 and 3.12.",
        ),
        (
            report((ATTRS, CLICK, floor("idna", "1", "1"))),
            (
                "Your lower bounds hold: all 3 passed with exactly the releases you promise "
                "on 3.10 and 3.12."
            ),
        ),
        (
            report((ATTRS, RAISED)),
            (
                "Your lower bounds hold as far as they can be reached on 3.10 and 3.12: "
                "1 of 2 is never installed as declared."
            ),
        ),
        (
            report((RAISED,)),
            (
                "Your lower bounds were not put to the proof: 1 of 1 is never installed as declared "
                "on 3.10 and 3.12."
            ),
        ),
        (report((FALSE,)), "Your lower bound is not true: attrs>=20.1 needs 21.3."),
        (
            report((FALSE, fails("click", "7.0", reason="exit 1"))),
            (
                "2 lower bounds of 2 are not true: attrs>=20.1 needs 21.3 and "
                "click>=7.0 does not work."
            ),
        ),
        (
            report((FALSE,), (replace(FALSE, true_floor="22.0"),)),
            (
                "Your lower bound is not true: attrs>=20.1 needs 21.3 on 3.10 and "
                "attrs>=20.1 needs 22.0 on 3.12."
            ),
        ),
        (
            report((ATTRS, OFFLINE)),
            "Cannot tell: 1 of 2 lower bounds could not be tested: no index.",
        ),
        (report((NOT_RUN,)), "Cannot tell: 1 of 1 lower bound could not be tested."),
        (
            report((fails("a", "1"), fails("b", "1")), status="broken"),
            "Your lower bounds do not hold together; which of them is not true is not known.",
        ),
        (
            report(floors={}, baseline=dict.fromkeys(COLUMNS, RED), status="baseline-red"),
            (
                "Cannot tell: the tests fail already with the versions you have "
                "(exit 1 on 3.10 and 3.12): .nox/floors-1/logs/t1.txt"
            ),
        ),
        (report(floors={}), "Cannot tell: nothing was tested."),
        (report(floors={}, status="error", error="no index"), "Cannot tell: no index."),
        (
            report((ATTRS,), status="interrupted", trials=(PASSED,)),
            "Interrupted after 1 trial. Go on: nox -s floors -- --resume",
        ),
        (report(()), "Nothing to prove: no dependency is declared."),
        (report((SIX,)), "Nothing to prove: your 1 dependency has no lower bound."),
    ],
)
def test_the_first_line(subject: FloorsReport, line: str) -> None:
    assert first_line(subject) == line


def test_what_was_found_about_one_counts_more_than_the_run_with_all() -> None:
    cleared = fails("click", "7.0", true_floor="7.0")
    unclear = fails("idna", "1.0")
    text = told(report((FALSE, cleared, unclear)))
    assert text.startswith("One lower bound of 3 is not true: attrs>=20.1 needs 21.3.\n")
    assert "  click     7.0        7.0         7.0          holds\n" in text
    assert "  idna      1.0        1.0         -            not known\n" in text
    assert "\nNot known: idna>=1.0.\n" in text


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome.TIMEOUT, "times out: x"),
        (Outcome.INFEASIBLE, "cannot be resolved: x"),
        (Outcome.UNBUILDABLE, "cannot be built: x"),
    ],
)
def test_the_ways_to_fail(outcome: Outcome, words: str) -> None:
    text = told(report((fails("a", "1", reason="x", outcome=outcome),)))
    assert f"\na 1 {words}; no release that passes was found.\n" in text


@pytest.mark.parametrize(
    ("subject", "title"),
    [
        (report((ATTRS,)), "# Lower bounds hold"),
        (report((ATTRS, RAISED)), "# Lower bounds hold (1 never installed as declared)"),
        (report((SIX,)), "# No lower bounds"),
        (report((OFFLINE,)), "# Lower bounds: cannot tell"),
        (report(status="interrupted", floors={}), "# Lower bounds: interrupted"),
    ],
)
def test_the_title(subject: FloorsReport, title: str) -> None:
    assert as_markdown.render(subject).splitlines()[0] == title


# -- the table and the paragraphs


def test_columns_without_an_answer_say_why() -> None:
    columns = {**COLUMNS, "test-3.14": "3.14"}
    subject = report(
        floors={"test-3.10": (ATTRS,)},
        columns=columns,
        baseline={"test-3.12": RED},
        not_tested={"test-3.14": "not on this machine"},
    )
    assert first_line(subject) == (
        "Your lower bound holds: it passed with the release you promise on 3.10. "
        "3.14 was not tested: not on this machine."
    )
    assert "  attrs     20.1       20.1.0      -            holds   not known   not tested\n" in (
        told(subject)
    )
    assert (
        "\nNo answer for 3.12: the tests fail already with the versions you have "
        "(exit 1 on 3.12): .nox/floors-1/logs/t1.txt\n" in told(subject)
    )


def test_a_table_that_is_too_long_or_too_wide_is_folded() -> None:
    many = tuple(floor(f"p{number:02}", "1", "1") for number in range(15))
    text = told(report((*many, RAISED)))
    assert "  and 3 more that hold: p12 1, p13 1, p14 1\n" in text
    assert "\n  click " in text
    assert "| p14 |" in as_markdown.render(report((*many, RAISED)))
    columns = {f"test-3.{minor}": f"3.{minor}" for minor in range(3, 11)}
    floors = {
        name: tuple(replace(one, outcome=None) if one.name == f"p0{place}" else one for one in many)
        for place, name in enumerate(columns)
    }
    wide = report(columns=columns, floors=floors)
    assert "true floor   holds on\n  p00       1          1           -            7 of 8\n" in (
        told(wide)
    )
    assert as_markdown.render(wide).count("| not known |") == 8


def test_bounds_that_could_be_lower() -> None:
    text = told(report((ATTRS, replace(CLICK, true_floor="6.0", requirement="click>=6.0"))))
    assert "\n1 lower bound could be lower:\n  click>=7.0   could be   click>=6.0\n" in text


@pytest.mark.parametrize(
    ("facts", "hint"),
    [
        (
            {},
            (
                "Write it to pyproject.toml (uses this result, tests nothing again):\n"
                "  nox -s floors -- --apply\n"
            ),
        ),
        ({"words": ("attrs", "--python", "3.12")}, "-- --apply attrs --python 3.12\n"),
        ({"files": ("a.txt", "noxfile.py", "b.txt")}, "Write it to a.txt and b.txt (uses"),
        ({"files": ("noxfile.py",)}, ""),
        ({"trials": (FAILED,)}, ""),
        ({"status": "interrupted"}, ""),
    ],
)
def test_what_passed_together_and_has_a_file_can_be_written(
    facts: dict[str, Any], hint: str
) -> None:
    text = told(replace(BROKEN, **facts))
    assert hint in text
    assert ("--apply" in text) == bool(hint)


def test_a_line_that_is_to_be_written_for_several_pythons_is_said_once() -> None:
    lower = replace(FALSE, true_floor="20.9")
    text = told(report((lower,), (FALSE,)))
    assert text.count("Put in pyproject.toml:9:   attrs>=21.3\n") == 1
    assert "20.9 is the lowest that was proven to pass.\nattrs" in text
    apart = told(report((replace(lower, requirement="attrs>=20.9"),), (FALSE,)))
    assert apart.count("  Put in pyproject.toml:9:") == 2


@pytest.mark.parametrize(
    ("kind", "lines", "text"),
    [
        (
            "floors",
            [("pyproject.toml", "a>=1.0", "a>=1.1")],
            (
                "pyproject.toml: 1 line changed.\n  -a>=1.0   +a>=1.1\n\n"
                "Checked: pyproject.toml now promises exactly the lowest releases that passed "
                "(2 of 2).\n"
            ),
        ),
        ("floors", [], "Nothing had to be written: your files promise the releases that passed.\n"),
        ("upgrade", [], "Nothing had to be written: your files admit the versions that passed.\n"),
    ],
)
def test_what_was_written(kind: str, lines: list[tuple[str, str, str]], text: str) -> None:
    assert applied.applied(lines, packages=2, kind=kind) == text
    left = applied.applied(lines, packages=2, kind=kind, left=["test: b>=1:\nx"])
    assert left == f"{text}\nLeft as it is:\n  test: b>=1: x\n"


def test_where_nothing_is_to_be_written() -> None:
    none = "There is nothing to write: no {} was proven.\n"
    assert applied.nothing_to_apply() == none.format("newer release")
    assert applied.nothing_to_apply("floors") == none.format("other lower bound")
    told = applied.nothing_to_apply("floors", ["test: b>=1: x"])
    assert told == none.format("other lower bound") + "Left as it is:\n  test: b>=1: x\n"


def test_what_has_no_bound_may_get_one() -> None:
    text = told(report((ATTRS, replace(SIX, requirement="six>=1.0"))))
    assert "\nWithout a lower bound: six.\n  six>=1.0\n" in text


# -- other people's text


def hostile(text: str) -> FloorsReport:
    """A report that holds a text wherever it is not ours."""
    facts: dict[str, Any] = {
        "reason": text,
        "requirement": text,
        "place": text,
        "raised_by": (text,),
        "trials": ("t2",),
    }
    floors = (
        floor("a", text, text, **facts),
        fails("b", text, **{**facts, "true_floor": "2"}),
        floor("c", text, "x", **facts),
        floor("d", text, text, **{**facts, "outcome": Outcome.ERROR}),
        floor("e", None, text, **facts),
        fails(text, text, **{**facts, "true_floor": "2"}),
    )
    failure = Failure(signature=text, tests={text: text}, excerpt=text)
    return report(
        floors,
        columns={"test-3.10": text, "test-3.12": text, "other": text, "red": text},
        baseline={"red": replace(RED, reason=text, log=text)},
        not_tested={"other": text},
        trials=(replace(FAILED, failure=failure, log=text),),
        sessions=(text,),
        directory=text,
        kept={text: text},
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_changes_what_a_report_is_made_of(text: str) -> None:
    subject = hostile(text)
    assert shape(as_markdown.render(subject)) == shape(as_markdown.render(hostile("x y")))
    assert all(line.isprintable() for line in as_terminal.render(subject).split("\n"))
    assert as_terminal.render(subject, encoding="ascii").isascii()
    json.loads(as_json.dumps(subject))


def test_tests_that_fail_already_are_told() -> None:
    known = Baseline(outcome=Outcome.FAIL, known_failures=("tests/test_a.py::test_old",))
    said = told(report((ATTRS,), baseline=dict.fromkeys(COLUMNS, known)))
    assert "on 3.10 and 3.12, apart from 1 test that failed before." in said
    assert "1 test fails already with the versions you have; lower bounds were judged by" in said
    assert "tests/test_a.py::test_old" in said
