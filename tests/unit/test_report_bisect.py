"""What the report of a bisection says, as text, Markdown and JSON."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from nox_envs.outcome import Failure, Outcome, Trial
from nox_envs.report import as_json, as_markdown, as_terminal
from nox_envs.report.bisected import needs_a_name
from nox_envs.report.drawn import drawing
from nox_envs.report.facts import Baseline, Bisected, BisectReport, Newest, Report
from nox_envs.report.view import Commands
from support.hostile import HOSTILE, shape

RELEASES = (
    "2.2.3", "2.3.0", "2.3.1", "2.3.2", "2.3.3", "2.3.4", "2.3.5", "2.3.6", "2.3.7", "2.3.8",
    "3.0.0", "3.0.1", "3.0.2", "3.0.3", "3.0.4", "3.0.5", "3.0.6", "3.1.0", "3.1.1", "3.1.2",
    "3.1.3", "3.1.4", "3.1.5", "3.1.6", "3.1.7", "3.1.8", "3.1.9",
)  # fmt: skip
FOUND = Bisected(
    status="found",
    current="2.2.3",
    last_good="2.3.8",
    first_bad="3.0.0",
    bad_ranges=(("3.0.0", "3.1.9"),),
    newest=Newest(version="3.1.9", outcome=Outcome.FAIL, same_signature=True),
    requirement="werkzeug<3",
    releases=RELEASES,
    tested={
        "2.2.3": "good", "2.3.5": "good", "2.3.8": "good",
        "3.0.0": "bad", "3.0.1": "bad", "3.0.3": "bad", "3.1.9": "bad",
    },
    reason="ImportError: cannot import name 'url_quote' from 'werkzeug.urls'",
    excerpt="flask/app.py:  from werkzeug.urls import url_quote",
    log="logs/t2.txt",
    trials=("t1", "t2"),
)  # fmt: skip
HOLE = replace(
    FOUND,
    status="hole",
    first_bad="3.0.0",
    fixed_in="3.0.1",
    bad_ranges=(("3.0.0", "3.0.0"),),
    newest=Newest(version="3.1.9", outcome=Outcome.PASS),
    requirement="werkzeug!=3.0.0",
    tested={"2.2.3": "good", "2.3.8": "good", "3.0.0": "bad", "3.0.1": "good", "3.1.9": "good"},
)
RANGE = replace(
    FOUND,
    first_bad="3.0.2",
    unknown=("3.0.0", "3.0.1"),
    bad_ranges=(("3.0.2", "3.1.9"),),
    tested={**FOUND.tested, "3.0.0": "unknown", "3.0.1": "other", "3.0.2": "bad"},
)
OTHERWISE = replace(
    FOUND,
    tested={**FOUND.tested, "3.0.0": "other", "3.0.1": "other"},
    newest=Newest(version="3.1.9", outcome=Outcome.FAIL, same_signature=False),
)
"""It fails in one way first, and in another one from 3.0.3 on."""
COLUMNS = {"test-3.11": "3.11", "test-3.12": "3.12"}
ALL = Commands(bisect="bisect", culprit="culprit")


def report(*found: Bisected, **facts: Any) -> BisectReport:
    """The answers are those on 3.11 and 3.12, or the one on both."""
    both = found * 2 if len(found) == 1 else found
    return BisectReport(
        **{
            "sessions": ("test",),
            "status": "broken",
            "mode": "keep",
            "started": "2026-11-01T05:00:00Z",
            "seconds": 12.0,
            "tools": {"nox": "2026.2.9"},
            "columns": COLUMNS,
            "baseline": {},
            "files": ("requirements.txt",),
            "directory": ".nox/bisect-1",
            "package": "werkzeug",
            "result": dict(zip(COLUMNS, both, strict=False)),
            **facts,
        }
    )


def told(subject: BisectReport) -> str:
    return as_terminal.render(subject, commands=ALL)


def first_line(subject: BisectReport) -> str:
    return told(subject).partition("\n\n")[0]


# -- documents


def test_the_block_on_a_terminal() -> None:
    assert told(report(FOUND)) == (
        """\
werkzeug 3.0.0 is the first release that breaks you. 2.3.8 is the last good one.

  2.2.3  o (5) o . . o  2.3.8  |  3.0.0  x x . x (12) x  3.1.9
         good                  |         bad
  o: passes   x: fails   .: not tested   (n): n not tested

werkzeug 3.0.0 fails: ImportError: cannot import name 'url_quote' from 'werkzeug.urls'
  flask/app.py:  from werkzeug.urls import url_quote
  .nox/bisect-1/logs/t2.txt
The latest release, 3.1.9, still fails in the same way. No other package was moved.

Until then, in requirements.txt:   werkzeug<3
Report and logs: .nox/bisect-1
"""
    )


def test_the_markdown() -> None:
    tests = {"tests/test_a.py::test_a": "TypeError: |"}
    subject = report(replace(FOUND, failing=tests, dates={"3.0.0": "2023-09-30"}))
    assert as_markdown.render(subject) == (
        """\
# werkzeug 3.0.0 (2023-09-30) is the first release that breaks you

werkzeug 3.0.0 (2023-09-30) is the first release that breaks you. 2.3.8 is the last good one.

`test` on Python 3.11 and 3.12, 2026-11-01, 0 trials.

```text
  2.2.3  o (5) o . . o  2.3.8  |  3.0.0  x x . x (12) x  3.1.9
         good                  |         bad
  o: passes   x: fails   .: not tested   (n): n not tested
```

**werkzeug 3.0.0 breaks 1 test**.

- `tests/test_a.py::test_a` `TypeError: |`

**The latest release, 3.1.9, still fails in the same way**. No other package was moved.

Until then, in requirements.txt:   `werkzeug<3`

<details><summary>Output</summary>

```text
flask/app.py:  from werkzeug.urls import url_quote
```

</details>

Report and logs: `.nox/bisect-1`
"""
    )
    short = as_markdown.render(subject, longest=400)
    assert short.endswith(
        "\nShortened to 400 characters: the whole report is in `.nox/bisect-1`.\n"
    )


def test_the_json() -> None:
    small = replace(
        HOLE,
        releases=("2.3.8", "3.0.0", "3.0.1"),
        tested={"2.3.8": "good", "3.0.0": "bad"},
        dates={"3.0.0": "2023-09-30"},
        moved={"markupsafe": ("2.0", "3.0")},
        blame="package",
        unknown=("3.0.0b1",),
        failing={"t::a": "x"},
    )
    trial = Trial(id="t1", cell="test-3.11", python="3.11", outcome=Outcome.PASS)
    subject = report(
        result={"test-3.11": small},
        columns={"test-3.11": "3.11"},
        trials=(trial,),
        baseline={"test-3.11": Baseline(outcome=Outcome.PASS, trial="t1")},
    )
    expected: dict[str, Any] = {
        "schema": "nox-envs.report/1",
        "kind": "bisect",
        "sessions": ["test"],
        "status": "broken",
        "error": None,
        "mode": "keep",
        "started": "2026-11-01T05:00:00Z",
        "seconds": 12.0,
        "tools": {"nox": "2026.2.9"},
        "directory": ".nox/bisect-1",
        "files": ["requirements.txt"],
        "package": "werkzeug",
        "columns": {"test-3.11": "3.11"},
        "not_tested": {},
        "baseline": {
            "test-3.11": {
                "outcome": "pass",
                "trial": "t1",
                "seconds": 0.0,
                "reason": "",
                "known_failures": [],
                "log": "",
            }
        },
        "result": {
            "test-3.11": {
                "status": "hole",
                "current": "2.2.3",
                "last_good": "2.3.8",
                "first_bad": "3.0.0",
                "unknown": ["3.0.0b1"],
                "bad_ranges": [["3.0.0", "3.0.0"]],
                "fixed_in": "3.0.1",
                "newest": {"version": "3.1.9", "outcome": "pass", "same_signature": None},
                "another_since": None,
                "requirement": "werkzeug!=3.0.0",
                "releases": ["2.3.8", "3.0.0", "3.0.1"],
                "tested": {"2.3.8": "good", "3.0.0": "bad"},
                "dates": {"3.0.0": "2023-09-30"},
                "moved": {"markupsafe": ["2.0", "3.0"]},
                "blame": "package",
                "reason": FOUND.reason,
                "failing": {"t::a": "x"},
                "log": "logs/t2.txt",
                "trials": ["t1", "t2"],
            }
        },
        "trials": [
            {
                "id": "t1",
                "cell": "test-3.11",
                "python": "3.11",
                "changes": {},
                "moved": {},
                "outcome": "pass",
                "seconds": 0.0,
                "lock": "",
                "log": "",
                "signature": None,
                "failed_tests": [],
                "exception": "",
                "suspects": [],
                "reason": "",
                "reused": False,
            }
        ],
        "kept": {},
    }
    assert as_json.dumps(subject) == json.dumps(expected, indent=2) + "\n"


# -- the first line


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (
            HOLE,
            (
                "werkzeug 3.0.0 is a bad release in the middle: 2.3.8 and 3.0.1 both pass. "
                "Put in requirements.txt: werkzeug!=3.0.0"
            ),
        ),
        (
            replace(HOLE, bad_ranges=(("3.0.0", "3.0.2"),), fixed_in="3.0.3"),
            (
                "werkzeug 3.0.0 to 3.0.2 are bad releases in the middle: 2.3.8 and 3.0.3 both pass. "
                "Put in requirements.txt: werkzeug!=3.0.0"
            ),
        ),
        (
            replace(HOLE, bad_ranges=(("3.0.0", "3.0.0"), ("3.0.2", "3.0.3")), fixed_in="3.0.4"),
            (
                "werkzeug has 2 bad stretches in the middle: 3.0.0 and 3.0.2 to 3.0.3. 3.0.4 passes. "
                "Put in requirements.txt: werkzeug!=3.0.0"
            ),
        ),
        (
            RANGE,
            (
                "werkzeug breaks somewhere in 2.3.8 .. 3.0.2: 3.0.0 and 3.0.1 could not be tested "
                "on 3.11 and 3.12. Put in requirements.txt: werkzeug<3"
            ),
        ),
        (
            replace(FOUND, status="no-failure", tested={"2.2.3": "good", "3.1.9": "good"}),
            "werkzeug does not break you: 2 releases of 27 were run, all pass.",
        ),
        (
            replace(HOLE, declared="werkzeug==2.2.3"),
            (
                "werkzeug 3.0.0 is a bad release in the middle: 2.3.8 and 3.0.1 both pass. "
                "werkzeug==2.2.3 in requirements.txt leaves that out already."
            ),
        ),
        (
            replace(FOUND, status="all-bad", reason="exit 1"),
            (
                "Cannot tell: the tests fail already with werkzeug 2.2.3 (exit 1 on 3.11 and 3.12): "
                ".nox/bisect-1/logs/t2.txt"
            ),
        ),
        (
            replace(FOUND, status="inconclusive", reason="equal runs disagree"),
            (
                "Cannot tell which release of werkzeug breaks you: equal runs disagree. "
                "2.3.8 passes, 3.0.0 fails."
            ),
        ),
    ],
)
def test_the_first_line(found: Bisected, line: str) -> None:
    assert first_line(report(found)) == line


def test_what_the_first_line_says_is_not_said_again() -> None:
    assert "Until then" not in told(report(HOLE))
    assert "Until then" not in told(report(RANGE))


def test_what_is_declared_already_is_not_to_be_pasted() -> None:
    pinned = replace(FOUND, declared="werkzeug==2.2.3")
    line = "werkzeug<3; werkzeug==2.2.3 in requirements.txt keeps to that already\n"
    assert f"\nUntil then:   {line}" in told(report(pinned))
    assert "Until then, in" not in told(report(pinned))
    text = told(report(pinned, replace(FOUND, requirement="werkzeug<2")))
    assert f"\nUntil then, on 3.11:   {line}" in text
    assert "\nUntil then, in requirements.txt on 3.12:   werkzeug<2\n" in text


def test_columns_that_differ_have_an_answer_each() -> None:
    subject = report(FOUND, replace(FOUND, status="no-failure", requirement="", bad_ranges=()))
    assert first_line(subject) == (
        "On 3.11: werkzeug 3.0.0 is the first release that breaks you. "
        "2.3.8 is the last good one.\n"
        "On 3.12: werkzeug does not break you: 7 releases of 27 were run, "
        "3 of them pass."
    )
    assert "\n\nOn 3.11:\n  2.2.3  o" in told(subject)
    assert "\nUntil then, in requirements.txt:   werkzeug<3\n" in told(subject)
    two = told(report(FOUND, replace(HOLE, last_good="2.3.7")))
    assert "\nUntil then, in requirements.txt on 3.11:   werkzeug<3\n" in two
    assert "\nUntil then, in requirements.txt on 3.12:   werkzeug!=3.0.0\n" in two


def test_equal_answers_are_one_whatever_the_failures_look_like() -> None:
    other = replace(FOUND, tested={**FOUND.tested, "2.3.1": "good"}, failing={"t::a": "x"})
    text = told(report(FOUND, other))
    assert text.count("is the first release") == 1
    assert "2.2.3  o . o . . . o . . o  2.3.8" in text
    assert "werkzeug 3.0.0 fails on 3.11: ImportError" in text
    assert "werkzeug 3.0.0 breaks 1 test on 3.12.\n  t::a   x\n" in text


def test_what_was_not_tested_is_said_after_the_answer() -> None:
    missing = {"test-3.14": "not on this machine"}
    columns = {"test-3.11": "3.11", "test-3.14": "3.14"}
    subject = report(FOUND, columns=columns, not_tested=missing)
    alone = replace(subject, result={"test-3.11": FOUND})
    assert first_line(alone).endswith("good one. 3.14 was not tested: not on this machine.")
    hole = replace(subject, result={"test-3.11": HOLE})
    assert first_line(hole).endswith("!=3.0.0\n3.14 was not tested: not on this machine.")


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        (
            {"status": "interrupted"},
            "Interrupted at the start. Go on: nox -s bisect -- --resume",
        ),
        ({"status": "error", "error": "no index"}, "Cannot tell: no index."),
        ({"status": "error"}, "Cannot tell: nothing was tested."),
    ],
)
def test_without_an_answer(facts: dict[str, Any], line: str) -> None:
    assert first_line(report(result={}, **facts)) == line


def test_what_was_found_before_an_interrupt_is_drawn() -> None:
    half = replace(FOUND, status="inconclusive", bad_ranges=(), first_bad=None, requirement="")
    text = told(report(half, status="interrupted"))
    assert (
        "\n  2.2.3  o . . . . . o . . o  2.3.8  |  x x . x . . . . . . . . . . . . x  3.1.9\n"
        in text
    )
    assert "werkzeug<3" not in text


@pytest.mark.parametrize(
    ("found", "title"),
    [
        (HOLE, "# werkzeug 3.0.0 is a bad release in the middle"),
        (RANGE, "# werkzeug breaks somewhere in 2.3.8 .. 3.0.2"),
        (replace(FOUND, status="all-bad"), "# Bisect werkzeug: cannot tell"),
        (replace(FOUND, status="no-failure"), "# werkzeug does not break you"),
    ],
)
def test_the_title(found: Bisected, title: str) -> None:
    assert as_markdown.render(report(found)).splitlines()[0] == title
    differing = as_markdown.render(report(FOUND, found)).splitlines()[0]
    assert differing == "# werkzeug does not break all columns alike"


def test_without_a_name() -> None:
    assert needs_a_name(["sqlalchemy", "pandas\x1b[31m"]) == (
        "bisect needs a package: nox -s bisect -- NAME. "
        "The last upgrade run found these breaking: sqlalchemy, pandas."
    )
    assert needs_a_name([], commands=Commands(bisect="b")) == (
        "bisect needs a package: nox -s b -- NAME"
    )


# -- the paragraphs


@pytest.mark.parametrize(
    ("newest", "sentence"),
    [
        (Newest(version="3.1.9", outcome=Outcome.PASS), "passes."),
        (
            Newest(version="3.1.9", outcome=Outcome.FAIL, same_signature=False),
            "fails in another way.",
        ),
        (
            Newest(version="3.1.9", outcome=Outcome.UNBUILDABLE),
            "could not be judged (unbuildable).",
        ),
    ],
)
def test_the_latest_release(newest: Newest, sentence: str) -> None:
    text = told(report(replace(FOUND, newest=newest)))
    assert f"\nThe latest release, 3.1.9, {sentence} No other package was moved.\n" in text


def test_a_failure_that_changes_later_on() -> None:
    failure = Failure(signature="other", exception="AttributeError: url_quote")
    changes = {"werkzeug": ("2.2.3", "3.0.3")}
    trial = Trial(
        id="t2", cell="test-3.11", python="3.11", outcome=Outcome.FAIL, failure=failure,
        changes=changes,
    )  # fmt: skip
    subject = report(OTHERWISE, trials=(trial,))
    text = told(subject)
    assert text.startswith("werkzeug 3.0.0 is the first release that breaks you. 2.3.8 is the last")
    assert "  |  3.0.0  ! ! . x (12) x  3.1.9\n" in text
    assert "!: fails in another way" in text
    assert (
        "\nFrom 3.0.3 on it was seen to fail in another way: AttributeError: url_quote.\n"
        "  To follow that failure alone:   nox -s bisect -- werkzeug --match REGEX\n"
        "The latest release, 3.1.9, fails in that other way. No other package was moved.\n"
    ) in text
    found = as_json.to_dict(subject)["result"]["test-3.11"]
    assert (found["first_bad"], found["another_since"]) == ("3.0.0", "3.0.3")
    third = replace(OTHERWISE, tested={**OTHERWISE.tested, "3.1.9": "other"})
    assert "3.1.9, fails in another way. " in told(report(third))
    assert told(report(OTHERWISE, FOUND)).count("is the first release") == 2


@pytest.mark.parametrize(
    ("blame", "sentence"),
    [
        ("package", "What moved with 3.0.0 is not to blame: 2.3.8 passes with six 1 -> 2.\n"),
        (
            "company",
            (
                "werkzeug itself is not to blame: 2.3.8 fails in the same way with six 1 -> 2.\n"
                "  Which of them is it?   nox -s culprit -- "
                "--good .nox/bisect-1/locks/pylock.t1.toml "
                "--bad .nox/bisect-1/locks/pylock.t3.toml --only test-3.11\n"
            ),
        ),
        (
            "",
            (
                "Not werkzeug alone was moved: six 1 -> 2. Which of them breaks you was not told "
                "apart.\n  Which of them is it?   nox -s culprit -- --good "
            ),
        ),
    ],
)
def test_what_moved_with_it(blame: Any, sentence: str) -> None:
    text = told(moving(blame))
    assert sentence in text
    assert "No other package" not in text


def moving(blame: Any, **facts: Any) -> BisectReport:
    """The first bad release moves another package, and both sides of the border were run."""
    ran = [
        ("t9", "test-3.12", Outcome.PASS, "2.3.8"),
        ("t8", "test-3.11", Outcome.FAIL, "2.3.8"),
        ("t7", "test-3.11", Outcome.PASS, "2.3.8"),
        ("t2", "test-3.11", Outcome.ERROR, "3.0.0"),
        ("t1", "test-3.11", Outcome.PASS, "2.3.8"),
        ("t3", "test-3.11", Outcome.FAIL, "3.0.0"),
        ("t4", "test-3.11", Outcome.FAIL, "3.0.0"),
    ]
    trials = tuple(
        Trial(id=name, cell=cell, python="3.11", outcome=outcome,
              changes={"werkzeug": ("2.2.3", release)}, lock=f"locks/pylock.{name}.toml")
        for name, cell, outcome, release in ran
    )  # fmt: skip
    found = replace(
        FOUND, moved={"six": ("1", "2")}, blame=blame, trials=("t1", "t2", "t3", "t4", "t8")
    )
    return report(found, **{"trials": trials, **facts})


def test_the_two_locks_to_look_between() -> None:
    alone = moving("", columns={"test-3.11": "3.11"})
    one = replace(alone, result={"test-3.11": alone.result["test-3.11"]})
    assert "--bad .nox/bisect-1/locks/pylock.t3.toml\n" in told(one)
    assert '--good "/a b/locks/pylock.t1.toml" --bad' in told(replace(one, directory="/a b"))
    first, *rest = alone.trials[4:]
    unmoved = replace(one, trials=(replace(first, changes={}), *rest))
    current = replace(one.result["test-3.11"], current="2.3.8")
    assert "pylock.t1.toml --bad" in told(replace(unmoved, result={"test-3.11": current}))
    assert "Which of them is it?" not in told(moving("", trials=()))


def test_the_next_question() -> None:
    assert "\nName a release that works: nox -s bisect -- werkzeug --good VERSION\n" in told(
        report(replace(FOUND, status="all-bad"))
    )
    innocent = report(replace(FOUND, status="no-failure", current="2.3.1"))
    assert "\nWho else breaks you? nox -s culprit\n" in told(innocent)
    assert "culprit" not in as_terminal.render(innocent)


def test_nobody_else_is_looked_for_where_it_passes_now() -> None:
    green: Any = {"2.2.3": "good", "3.1.9": "good"}
    innocent = report(replace(FOUND, status="no-failure", tested=green))
    assert "culprit" not in told(innocent)


UNMATCHED = replace(
    FOUND,
    status="inconclusive",
    last_good=None,
    first_bad=None,
    bad_ranges=(),
    requirement="",
    tested={"2.2.3": "good", "2.3.8": "good", "3.0.0": "other", "3.1.9": "other"},
    reason="no failure matches 'nope'; 2 runs failed otherwise: ImportError: x",
    unmatched=True,
)


def test_failures_that_are_none_of_those_looked_for() -> None:
    subject = report(UNMATCHED, status="inconclusive")
    assert first_line(subject) == (
        "Cannot tell which release of werkzeug breaks you: "
        "no failure matches 'nope'; 2 runs failed otherwise: ImportError: x."
    )
    text = told(subject)
    assert "x: fails" not in text
    assert (
        "\nwerkzeug fails, but not as --match says.\n"
        "  flask/app.py:  from werkzeug.urls import url_quote\n"
        "  .nox/bisect-1/logs/t2.txt\n"
        "  To follow any failure:   nox -s bisect -- werkzeug\n"
    ) in text
    older = told(report(replace(UNMATCHED, current="2.3.1")))
    assert "To follow any failure:   nox -s bisect -- werkzeug --good 2.2.3\n" in older
    title = as_markdown.render(subject).splitlines()[0]
    assert title == "# Bisect werkzeug: cannot tell"


def test_each_way_to_fail_has_a_paragraph() -> None:
    text = told(report(FOUND, replace(FOUND, reason="TypeError")))
    assert "\nwerkzeug 3.0.0 fails on 3.11: ImportError: " in text
    assert "\nwerkzeug 3.0.0 fails on 3.12: TypeError\n" in text


def test_lines_stay_apart_in_markdown() -> None:
    subject = report(HOLE, columns={**COLUMNS, "c": "3.14"}, not_tested={"c": "gone"})
    assert "`werkzeug!=3.0.0`\n\n3.14 was not tested: gone.\n" in as_markdown.render(subject)


def test_a_column_with_an_answer_was_tested_whatever_its_baseline() -> None:
    baseline = {"test-3.11": Baseline(outcome=None, reason="it was not run")}
    assert "not tested" not in first_line(report(FOUND, baseline=baseline))
    assert "3.11 was not tested: it was not run." in first_line(
        report(baseline=baseline, result={"test-3.12": FOUND})
    )


def test_what_was_kept_is_said() -> None:
    text = told(report(FOUND, kept={"t2": "nox-envs shell t2"}))
    assert "\nKept to look inside:\n  t2   nox-envs shell t2\n" in text


@pytest.mark.parametrize("render", [as_json.to_dict, as_markdown.render, as_terminal.render])
def test_a_report_of_no_kind_is_refused(render: Any) -> None:
    known = {one.name: getattr(report(FOUND), one.name) for one in fields(Report)}
    with pytest.raises(TypeError, match="Report"):
        render(Report(**known))


# -- the drawing


def test_few_releases_are_all_drawn() -> None:
    assert drawing(replace(FOUND, releases=RELEASES[6:14], bad_ranges=(("3.0.0", "3.0.3"),))) == (
        "  2.3.5  o . . o  2.3.8  |  3.0.0  x x . x  3.0.3",
        "         good            |         bad",
        "  o: passes   x: fails   .: not tested",
    )


def test_a_hole_and_what_is_unknown() -> None:
    assert drawing(HOLE) == (
        "  2.2.3  o (8) o  2.3.8  |  3.0.0  x    |  3.0.1  o (14) o  3.1.9",
        "         good            |         bad  |         good",
        "  o: passes   x: fails   (n): n not tested",
    )
    assert drawing(RANGE) == (
        "  2.2.3  o (5) o . . o  2.3.8  |  ? !        |  3.0.2  x x (12) x  3.1.9",
        "         good                  |  not known  |         bad",
        "  o: passes   x: fails   .: not tested   (n): n not tested   ?: cannot be tested",
        "  !: fails in another way",
    )


def test_a_border_whose_runs_disagree_is_drawn_as_it_was_decided() -> None:
    doubtful: Any = {**FOUND.tested, "2.3.8": "bad"}
    assert drawing(replace(FOUND, tested=doubtful)) == drawing(FOUND)


def test_nothing_is_drawn_where_nothing_was_tested() -> None:
    assert drawing(replace(FOUND, tested={}, last_good=None, first_bad=None)) == ()


@pytest.mark.parametrize("step", [1, 2, 3, 50])
@pytest.mark.parametrize("version", ["{}.0", "{}.0.dev20261031+local.build.of.the.day"])
def test_many_releases_fit_the_width_and_show_all_that_was_tested(step: int, version: str) -> None:
    releases = tuple(version.format(number) for number in range(300))
    seen: dict[str, Any] = dict.fromkeys(releases[:100:step], "good")
    seen |= dict.fromkeys(releases[100::step], "bad")
    seen |= {releases[105]: "other", releases[99]: "good"}
    found: Any = replace(
        FOUND,
        releases=releases,
        tested=seen,
        last_good=releases[99],
        first_bad=releases[100],
        bad_ranges=((releases[100], releases[-1]),),
    )
    lines = drawing(found)
    assert all(len(line) <= 80 and line.isascii() for line in lines)
    shown = " ".join(lines[:-2]).split()
    assert shown.count("o") == sum(one == "good" for one in seen.values())
    assert "!" in shown
    assert {"99.0", "100.0"} <= set(shown) or "local" in version


# -- other people's text


def hostile(text: str) -> BisectReport:
    """A report that holds a text wherever it is not ours."""
    found = replace(
        RANGE,
        current=text,
        last_good=text,
        unknown=(text,),
        newest=Newest(version="9", outcome=Outcome.FAIL),
        requirement=text,
        releases=(text, *RELEASES),
        dates={"3.0.2": text},
        moved={text: (text, text)},
        blame="company",
        reason=text,
        excerpt=text,
        log=text,
    )
    failing = replace(found, failing={text: text}, status="hole", fixed_in=text)
    return report(
        found,
        failing,
        package=text,
        files=(text,),
        directory=text,
        columns={"test-3.11": text, "test-3.12": text, "other": text},
        not_tested={"other": text},
        sessions=(text,),
        kept={text: text},
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_changes_what_a_report_is_made_of(text: str) -> None:
    subject = hostile(text)
    assert shape(as_markdown.render(subject)) == shape(as_markdown.render(hostile("x y")))
    assert all(line.isprintable() for line in as_terminal.render(subject).split("\n"))
    assert as_terminal.render(subject, encoding="ascii").isascii()
    json.loads(as_json.dumps(subject))
