"""What the report about a matrix says, as text, Markdown and JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from nox_envs.called import Called
from nox_envs.outcome import Failure, Outcome, Trial
from nox_envs.report import as_json, as_markdown, as_terminal
from nox_envs.report.facts import MatrixReport, Swept
from nox_envs.report.gridded import verdict
from nox_envs.report.view import Commands
from support.hostile import HOSTILE, shape

if TYPE_CHECKING:
    from collections.abc import Mapping

EXCERPT = """\
>       assert form.as_p() == expected
E       AssertionError: assert '<div>...' == '<p>...'
tests/test_forms.py:41: AssertionError"""
RENDERS = Failure(
    signature="s",
    exception="AssertionError: '<div>' != '<p>'",
    tests={"tests/test_forms.py::test_render": "AssertionError: '<div>' != '<p>'"},
    excerpt=EXCERPT,
)


def cell(python: str, seconds: float = 0.0, **facts: Any) -> Swept:
    return Swept(
        **{
            "session": "test",
            "python": python,
            "outcome": Outcome.PASS,
            "seconds": seconds,
            **facts,
        }
    )


def trial(number: int, name: str, failure: Failure | None = None, **facts: Any) -> Trial:
    return Trial(
        **{
            "id": f"t{number}",
            "cell": name,
            "python": "3.11",
            "outcome": Outcome.FAIL if failure else Outcome.PASS,
            "log": f"logs/t{number}.log",
            "failure": failure,
            **facts,
        }
    )


def report(cells: Mapping[str, Swept], *trials: Trial, **facts: Any) -> MatrixReport:
    return MatrixReport(
        **{
            "sessions": tuple(dict.fromkeys(one.session for one in cells.values())),
            "status": "ok",
            "mode": "keep",
            "started": "2026-11-21T09:14:00Z",
            "seconds": 19.0,
            "tools": {},
            "columns": {name: one.python for name, one in cells.items()},
            "baseline": {},
            "directory": ".nox/matrix-1",
            "trials": trials,
            "cells": cells,
            **facts,
        }
    )


def django(python: str, value: str, seconds: float, **facts: Any) -> tuple[str, Swept]:
    name = f"test-{python}(django='{value}')"
    return name, cell(python, seconds, values={"django": value}, **facts)


FAILS: dict[str, Any] = {"outcome": Outcome.FAIL}
GRID = dict(
    [
        django("3.10", "4.2", 6.1), django("3.10", "5.2", 6.0),
        django("3.11", "4.2", 5.8), django("3.11", "5.2", 5.9),
        django("3.12", "4.2", 5.5), django("3.12", "5.2", 5.7), django("3.12", "6.0", 5.6),
        django("3.13", "5.2", 5.4), django("3.13", "6.0", 5.3, **FAILS, trials=("t9",)),
        django("3.14", "5.2", 5.6), django("3.14", "6.0", 5.2, **FAILS, trials=("t11",)),
    ]
)  # fmt: skip
FAILED = (
    trial(9, "test-3.13(django='6.0')", RENDERS),
    trial(11, "test-3.14(django='6.0')", RENDERS),
)
BROKEN = report(GRID, *FAILED, status="broken")
GREEN = report({name: replace(one, outcome=Outcome.PASS) for name, one in GRID.items()}, FAILED[0])


def told(subject: MatrixReport, encoding: str = "utf-8") -> str:
    return as_terminal.render(subject, commands=Commands(matrix="matrix"), encoding=encoding)


def first_line(subject: MatrixReport) -> str:
    return told(subject).partition("\n\n")[0]


# -- documents


def test_the_block_where_cells_fail() -> None:
    assert told(BROKEN) == (
        """\
2 of 11 cells fail.

  test   django 4.2    django 5.2    django 6.0
  3.10   pass  6.1 s   pass  6.0 s   -
  3.11   pass  5.8 s   pass  5.9 s   -
  3.12   pass  5.5 s   pass  5.7 s   pass  5.6 s
  3.13   -             pass  5.4 s   FAIL  5.3 s
  3.14   -             pass  5.6 s   FAIL  5.2 s        (-: excluded)

test-3.13(django='6.0') and test-3.14(django='6.0') fail the same test:
  tests/test_forms.py::test_render   AssertionError: '<div>' != '<p>'

    >       assert form.as_p() == expected
    E       AssertionError: assert '<div>...' == '<p>...'
    tests/test_forms.py:41: AssertionError
    .nox/matrix-1/logs/t9.log

Run these 2 again:  nox -s matrix -- --rerun-failed
Run one alone:      nox -s "test-3.13(django='6.0')"
19 s (1 min 2 s of tests). Report and logs: .nox/matrix-1
"""
    )


def test_what_was_called_without_nox_is_so_again() -> None:
    called = Called(by_us=True, after=("pytest", "-q"), takes_command=True)
    text = as_terminal.render(BROKEN, commands=Commands(called=called))
    assert "  nox-envs matrix --rerun-failed -- pytest -q\n" in text
    assert """  nox-envs matrix --only "test-3.13(django='6.0')" -- pytest -q\n""" in text
    assert "nox -s" not in text


def test_the_block_where_all_pass() -> None:
    assert told(GREEN) == (
        """\
All 11 cells pass. 19 s (1 min 2 s of tests).

  test   django 4.2    django 5.2    django 6.0
  3.10   pass  6.1 s   pass  6.0 s   -
  3.11   pass  5.8 s   pass  5.9 s   -
  3.12   pass  5.5 s   pass  5.7 s   pass  5.6 s
  3.13   -             pass  5.4 s   pass  5.3 s
  3.14   -             pass  5.6 s   pass  5.2 s        (-: excluded)

Report and logs: .nox/matrix-1
"""
    )


def test_the_markdown() -> None:
    assert as_markdown.render(BROKEN) == (
        """\
# 2 of 11 cells fail

2 of 11 cells fail.

`test` on all 11 cells, 2026-11-21, 2 trials.

| test | django 4.2 | django 5.2 | django 6.0 |
|---|---|---|---|
| 3.10 | pass  6.1 s | pass  6.0 s | - |
| 3.11 | pass  5.8 s | pass  5.9 s | - |
| 3.12 | pass  5.5 s | pass  5.7 s | pass  5.6 s |
| 3.13 | - | pass  5.4 s | FAIL  5.3 s |
| 3.14 | - | pass  5.6 s | FAIL  5.2 s |

(-: excluded)

**`test-3.13(django='6.0')` and `test-3.14(django='6.0')` fail the same test**:

- `tests/test_forms.py::test_render` `AssertionError: '<div>' != '<p>'`

Run these 2 again: `nox -s matrix -- --rerun-failed`

Run one alone: `nox -s "test-3.13(django='6.0')"`

<details><summary>Output</summary>

```text
>       assert form.as_p() == expected
E       AssertionError: assert '<div>...' == '<p>...'
tests/test_forms.py:41: AssertionError
```

</details>

19 s (1 min 2 s of tests). Report and logs: `.nox/matrix-1`
"""
    )
    assert "Shortened to 300 characters" in as_markdown.render(BROKEN, longest=300)


def test_the_json() -> None:
    same = cell("3.11", 5.3, **FAILS, trials=("t9", "t12"), same_as="b", values={"a": "1"})
    cached = cell("3.12", cached="2026-11-20T05:00:00+00:00", may_fail=True)
    subject = report({"x": same, "y": cached}, FAILED[0], status="broken", narrowed=True)
    document = as_json.to_dict(subject)
    assert [document[key] for key in ("kind", "status", "narrowed")] == ["matrix", "broken", True]
    assert document["trials"][0]["id"] == "t9"
    expected = {
        "x": {
            "python": "3.11",
            "session": "test",
            "values": {"a": "1"},
            "outcome": "fail",
            "seconds": 5.3,
            "trial": "t9",
            "trials": ["t9", "t12"],
            "same_as": "b",
            "cached": None,
            "may_fail": False,
            "reason": "",
            "hints": [],
            "failed_tests": ["tests/test_forms.py::test_render"],
        },
        "y": {
            "python": "3.12",
            "session": "test",
            "values": {},
            "outcome": "pass",
            "seconds": 0.0,
            "trial": None,
            "trials": [],
            "same_as": None,
            "cached": "2026-11-20T05:00:00+00:00",
            "may_fail": True,
            "reason": "",
            "hints": [],
            "failed_tests": [],
        },
    }
    assert json.dumps(document["cells"]) == json.dumps(expected)


# -- the first line


def cells(*outcomes: Outcome | None, **facts: Any) -> dict[str, Swept]:
    return {
        f"test-3.1{number}": cell(f"3.1{number}", outcome=outcome, **facts)
        for number, outcome in enumerate(outcomes)
    }


PASS, FAIL, ERROR = Outcome.PASS, Outcome.FAIL, Outcome.ERROR
OFFLINE = {"test-3.14": "Python 3.14 is not on this machine"}


@pytest.mark.parametrize(
    ("subject", "line"),
    [
        (report(cells(PASS)), "The only cell passes. 19 s."),
        (report(cells(PASS, PASS)), "Both cells pass. 19 s."),
        (
            report({**cells(PASS, PASS), "c": cell("3.14", cached="2026-11-20T05:00:00+00:00")}),
            "All 3 cells pass (1 cached). 19 s.",
        ),
        (report(cells(FAIL)), "The only cell fails."),
        (report(cells(PASS, FAIL)), "1 of 2 cells fails."),
        (report(cells(PASS, FAIL, None)), "1 of 3 cells fails; 1 was not run."),
        (report(cells(ERROR)), "The only cell could not be tested."),
        (report(cells(PASS, ERROR)), "1 of 2 cells could not be tested."),
        (report(cells(FAIL, ERROR)), "1 of 2 cells fails; 1 could not be tested."),
        (
            report({**cells(PASS, PASS), "m": cell("3.14", **FAILS, may_fail=True)}),
            "2 of 3 cells pass; 1 fails, as declared (may_fail). 19 s.",
        ),
        (
            report({**cells(PASS), "test-3.14": cell("3.14", outcome=None)}, not_tested=OFFLINE),
            "1 of 2 cells passes. 19 s. 3.14 was not tested: Python 3.14 is not on this machine.",
        ),
        (
            report({"test-3.14": cell("3.14", outcome=None)}, not_tested=OFFLINE),
            "No cell was tested. 3.14 was not tested: Python 3.14 is not on this machine.",
        ),
        (
            report({}, sessions=("test",)),
            "Nothing to run: no cell that was chosen failed when last run.",
        ),
        (report(cells(ERROR), status="error", error="no index"), "Cannot tell: no index."),
        (
            report(cells(FAIL, None), FAILED[0], status="interrupted"),
            "Interrupted after 1 trial. Go on: nox -s matrix -- --resume",
        ),
    ],
)
def test_the_first_line(subject: MatrixReport, line: str) -> None:
    assert first_line(subject) == line


@pytest.mark.parametrize(
    ("subject", "title"),
    [
        (GREEN, "# All 11 cells pass"),
        (report(cells(FAIL), status="interrupted"), "# Matrix: interrupted"),
        (report(cells(ERROR), status="error", error="no index"), "# Matrix: cannot tell"),
    ],
)
def test_the_title(subject: MatrixReport, title: str) -> None:
    assert as_markdown.render(subject).splitlines()[0] == title


def test_what_nox_says_last() -> None:
    assert verdict(BROKEN) == "2 of 11 cells fail"


# -- the grid


def test_sessions_one_after_another_and_all_the_words() -> None:
    two: dict[str, Any] = {"values": {"a": "2"}}
    subject = report(
        {
            "1": cell("3.11", 1.0, values={"a": "1"}),
            "2": cell("3.11", **two, outcome=Outcome.FLAKY),
            "3": cell("3.12", 2.0, values={"a": "1"}, same_as="1"),
            "4": cell("3.12", 3.0, **two, outcome=FAIL, may_fail=True),
            "5": cell("3.13", values={"a": "1"}, cached="2026-11-20T05:00:00+00:00"),
            "6": cell("3.13", **two, outcome=None),
            "7": cell("3.14", values={"a": "1"}, outcome=Outcome.TIMEOUT),
            "8": cell("3.14", values={"a": "1", "b": "x"}, outcome=None),
            "9": cell("3.11", 70.0, session="lint"),
        },
        not_tested={"8": "no"},
        narrowed=True,
    )
    assert (
        """
  test   a 1           a 2           a 1, b x
  3.11   pass  1.0 s   flaky         -
  3.12   pass  =       FAIL* 3.0 s   -
  3.13   cached        not run       -
  3.14   timeout       -             not tested

  lint
  3.11   pass  1 min 10 s"""
        "        (-: excluded in the declaration, or not chosen in this run; *: may fail; =: run once for equal cells)\n"
    ) in told(subject)


def wide(*failing: tuple[str, str]) -> MatrixReport:
    """Two Pythons and eight values."""
    found = {}
    for python in ("3.11", "3.12"):
        for value in "12345678":
            outcome = FAIL if (python, value) in failing else PASS
            found[f"test-{python}(a='{value}')"] = cell(
                python, float(value), values={"a": value}, outcome=outcome
            )
    return report(found)


def test_a_grid_that_is_too_wide_is_folded() -> None:
    assert "\n  test   all 8\n  3.11   pass\n  3.12   pass\n" in told(wide())
    assert "\n  test   a 1 and 6 more   a 2\n  3.11   pass             pass\n" in (
        told(wide(("3.12", "2")))
    )
    many = wide(*((python, value) for python, value in zip(("3.11", "3.12") * 4, "12345678",
                                                          strict=True)))  # fmt: skip
    assert "\n  test   a 1 and 3 more   a 2 and 3 more\n" in told(many)
    assert "| test | a 1 | a 2 | a 3 | a 4 | a 5 | a 6 | a 7 | a 8 |" in as_markdown.render(many)


def test_long_labels_are_folded_sooner() -> None:
    found = {
        f"{place} {python}": cell(python, 1.0, values={"axis": f"{place}{'long' * 5}"})
        for place in range(4)
        for python in ("3.11", "3.12")
    }
    assert "\n  test   all 4\n  3.11   pass\n" in told(report(found))


def test_a_grid_that_is_too_varied_tells_how_many_pass() -> None:
    outcomes = (PASS, FAIL, ERROR, Outcome.FLAKY, Outcome.TIMEOUT, Outcome.INFEASIBLE, None)
    found = {
        f"{python} {place}": cell(python, values={"a": str(place)}, outcome=outcome)
        for place, outcome in enumerate(outcomes)
        for python in ("3.11", "3.12")
    }
    assert "\n  test   passed\n  3.11   1 of 7\n  3.12   1 of 7\n" in told(report(found))


# -- why cells do not pass


def failing(outcome: Outcome, failure: Failure | None = None, **facts: Any) -> MatrixReport:
    found = {"a": cell("3.11", outcome=outcome, trials=("t1",), **facts)}
    return report(found, trial(1, "a", failure))


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        (failing(Outcome.INFEASIBLE, reason="x", hints=("do y",)),
         "a cannot be resolved: x.\n  hint: do y\n"),
        (failing(Outcome.UNBUILDABLE, reason="x"), "a cannot be built: x.\n"),
        (failing(Outcome.TIMEOUT, reason="it did not end in time", excerpt="the end"),
         "a does not end in time.\n\n    the end\n    .nox/matrix-1/logs/t1.log\n"),
        (failing(ERROR, reason="no index"), "a could not be tested: no index.\n"),
        (failing(Outcome.FLAKY, reason="it passed alone"), "a is flaky: it passed alone.\n"),
        (failing(FAIL, reason="exit 3"), "a fails: exit 3.\n"),
        (failing(FAIL, RENDERS, may_fail=True), "a fails 1 test, as declared (may_fail):\n"),
    ],
)  # fmt: skip
def test_the_ways_not_to_pass(subject: MatrixReport, words: str) -> None:
    assert f"\n\n{words}" in told(subject)


def test_what_may_fail_needs_nobody() -> None:
    text = told(failing(FAIL, RENDERS, may_fail=True))
    assert "form.as_p" not in text
    assert "Run it again" not in text


def test_other_failures_have_other_paragraphs_and_the_output_of_some_is_shown() -> None:
    found = {f"c{place}": cell("3.11", **FAILS, trials=(f"t{place}",)) for place in range(8)}
    trials = [
        trial(place, f"c{place}", replace(RENDERS, signature=str(min(place, 6)), tests={}))
        for place in range(8)
    ]
    text = told(report(found, *trials))
    assert "\nc6 and c7 fail in the same way: AssertionError: '<div>' != '<p>'.\n" in text
    assert text.count(">       assert form.as_p() == expected") == 5


def test_the_lines_that_tell_are_shown_in_place() -> None:
    report_of_pytest = """\
_____ test_render _____

    def test_render():
>       assert inspect(Item)

test_shop.py:15:
_ _ _ _ _

    msg = f"no attribute {name}"
>   raise AttributeError(msg)
E   AttributeError: no attribute inspect

site-packages/attr/__init__.py:96: AttributeError"""
    text = told(failing(FAIL, replace(RENDERS, excerpt=report_of_pytest)))
    assert (
        """
    >       assert inspect(Item)
    test_shop.py:15:
    >   raise AttributeError(msg)
    E   AttributeError: no attribute inspect
    site-packages/attr/__init__.py:96: AttributeError
    .nox/matrix-1/logs/t1.log
"""
    ) in text
    output = "\n".join(f"line {number}" for number in range(20))
    text = told(failing(FAIL, replace(RENDERS, excerpt=output)))
    assert "\n\n    line 5\n" in text
    assert "\n    line 19\n    .nox" in text


def test_what_may_fail_comes_last_and_what_ran_once_is_counted_once() -> None:
    found = {
        "a": cell("3.11", 2.0, **FAILS, reason="exit 1", may_fail=True),
        "b": cell("3.12", 3.0, **FAILS, reason="exit 2"),
        "c": cell("3.13", 3.0, **FAILS, reason="exit 2", same_as="b"),
    }
    text = told(report(found))
    lines = ["b and c fail in the same way: exit 2.", "a fails, as declared (may_fail): exit 1."]
    assert "\n\n".join(lines) in text
    assert "\n19 s (5.0 s of tests). Report" in text


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("test-3.11", "test-3.11"),
        ("test(a='$(x)')", "'test(a='\"'\"'$(x)'\"'\"')'"),
        ("a b", '"a b"'),
    ],
)
def test_a_name_is_one_word_of_the_shell(name: str, quoted: str) -> None:
    assert f"Run it alone:  nox -s {quoted}\n" in told(report({name: cell("3.11", **FAILS)}))


def test_what_is_run_again_is_handed_the_same() -> None:
    text = told(replace(BROKEN, posargs=("-k", "a b")))
    assert 'nox -s matrix -- --rerun-failed -- -k "a b"\n' in text
    assert 'nox -s "test-3.13(django=\'6.0\')" -- -k "a b"\n' in text


# -- other people's text


def hostile(text: str) -> MatrixReport:
    """A report that holds a text wherever it is not ours."""
    facts: dict[str, Any] = {"reason": text, "hints": (text,), "excerpt": text}
    failure = Failure(signature=text, exception=text, tests={text: text}, excerpt=text)
    found = {
        "a": cell(text, 1.0, values={text: text}),
        "b": cell("3.11", outcome=FAIL, trials=("t1",), values={"axis_v": text}, **facts),
        "c": cell("3.11", outcome=ERROR, values={"axis_w": text}, **facts),
        text: cell("3.11", outcome=Outcome.INFEASIBLE, values={"axis_x": text}, **facts),
        "d": cell("3.11", outcome=None, session=text, values={"axis_y": text}, **facts),
    }
    return report(
        found,
        trial(1, text, failure, log=text),
        sessions=(text, "test"),
        directory=text,
        not_tested={"d": text},
        kept={text: text},
        posargs=(text,),
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_changes_what_a_report_is_made_of(text: str) -> None:
    subject = hostile(text)
    assert shape(as_markdown.render(subject)) == shape(as_markdown.render(hostile("x y")))
    assert all(line.isprintable() for line in told(subject).split("\n"))
    assert told(subject, encoding="ascii").isascii()
    json.loads(as_json.dumps(subject))
