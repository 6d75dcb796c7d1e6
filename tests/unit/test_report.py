"""What a report says, as text, Markdown and JSON; and that nothing in it is more than text."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from packaging.version import InvalidVersion, Version

from nox_envs.outcome import Failure, Outcome, Trial, Verdict
from nox_envs.report import as_json, as_markdown, as_terminal
from nox_envs.report.escape import block, code, html, inline, lines, plain
from nox_envs.report.facts import (
    Baseline,
    Candidate,
    Fresh,
    Guilty,
    Judgement,
    Line,
    SafeSet,
    UpgradeReport,
)
from nox_envs.report.view import Commands
from nox_envs.report.words import duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from markdown_it.token import Token

SAVE = {"tests/test_models.py::test_save": "AttributeError: 'Engine' has no attribute 'execute'"}
SUM = {"tests/test_sum.py::test_sum": "TypeError: unsupported operand type(s) for |"}
PLACE = ".nox/.cache/nox-envs/upgrade-1"
POETRY = "poetry add --lock a@2.0"
LOCKED = "A lock decides, so there is nothing to --apply. To lock what passed:\n"
APPLY = "(uses this result, tests nothing again):\n  nox -s upgrade -- --apply\n"


def safe(version: str = "2.0", **facts: Any) -> Judgement:
    return Judgement(verdict=Verdict.SAFE, version=version, **facts)


def capped(version: str, **facts: Any) -> Judgement:
    return Judgement(verdict=Verdict.CAPPED, version=version, **facts)


def breaks(**facts: Any) -> Judgement:
    return Judgement(verdict=Verdict.BREAKS, **{"failing": SAVE, **facts})


def candidate(name: str, *verdicts: Judgement, to: str = "2.0", **facts: Any) -> Candidate:
    """From 1.0; the verdicts are those on 3.11, on 3.12 and so on, or the one on all two."""
    both = verdicts * 2 if len(verdicts) == 1 else verdicts
    columns = {f"test-3.{minor}": one for minor, one in enumerate(both, 11)}
    return Candidate(
        **{"name": name, "current": "1.0", "target": to, "latest": to, "verdicts": columns, **facts}
    )


def report(*candidates: Candidate, take: Mapping[str, str] | None, **facts: Any) -> UpgradeReport:
    """On 3.11 and 3.12; what is taken has passed on both."""
    columns = facts.pop("columns", {"test-3.11": "3.11", "test-3.12": "3.12"})
    baseline = {name: Baseline(outcome=Outcome.PASS, trial="t1") for name in columns}
    return UpgradeReport(
        **{
            "sessions": ("test",),
            "status": "ok",
            "mode": "keep",
            "started": "2026-11-01T05:00:00Z",
            "seconds": 232.0,
            "tools": {"nox": "2026.2.9"},
            "columns": columns,
            "baseline": baseline,
            "candidates": candidates,
            "safe_sets": {},
            "common": take,
            "common_trials": dict.fromkeys(columns, ("t2",)) if take else {},
            "dependencies": 24,
            "files": ("requirements.txt",),
            "directory": PLACE,
            **facts,
        }
    )


def told(subject: UpgradeReport, **commands: Any) -> str:
    return as_terminal.render(subject, commands=Commands(**commands))


def first_line(subject: UpgradeReport, **commands: Any) -> str:
    return told(subject, **commands).partition("\n\n")[0]


def paragraphs(subject: UpgradeReport, **commands: str) -> str:
    return told(subject, **commands).split("\n\n")[2]


BROKEN = report(
    candidate("boto3", safe(unexercised=True)),
    candidate("flask", safe("3.1.3", together_with=("werkzeug",)), to="3.1.3"),
    candidate("pandas", capped("2.2.3", failing=SUM), safe("2.3.3"), to="2.3.3"),
    candidate("requests", safe("2.32.5"), to="2.32.5"),
    candidate("sqlalchemy", breaks(trials=("t3",), log="logs/t3.txt"), to="2.0.44"),
    candidate("werkzeug", safe(together_with=("flask",))),
    take={
        "boto3": "2.0",
        "flask": "3.1.3",
        "pandas": "2.2.3",
        "requests": "2.32.5",
        "werkzeug": "2.0",
    },
    status="broken",
    seconds=232.0004,
    safe_sets={
        "test-3.11": SafeSet(
            pins={
                "boto3": "2.0",
                "flask": "3.1.3",
                "pandas": "2.2.3",
                "requests": "2.32.5",
                "werkzeug": "2.0",
            },
            trials=("t2",),
            packages={"boto3": "2.0", "flask": "3.1.3"},
            moved={"six": ("1.16", None), "botocore": ("1.0", "2.0"), "new": (None, "1")},
        )
    },
    trials=(
        Trial(id="t1", cell="test-3.11", python="3.11", outcome=Outcome.PASS, seconds=1.25),
        Trial(
            id="t3",
            cell="test-3.11",
            python="3.11",
            outcome=Outcome.FAIL,
            changes={"sqlalchemy": ("1.0", "2.0.44")},
            moved={"greenlet": (None, "3.0")},
            seconds=2.0,
            lock="locks/t3.toml",
            log="logs/t3.txt",
            failure=Failure(
                signature="abc",
                exception="AttributeError: 'Engine' has no attribute 'execute'",
                tests=SAVE,
                suspects=("sqlalchemy",),
                excerpt="E   AttributeError\n```\n",
            ),
        ),
    ),
)
ONE = report(candidate("a", safe()), take={"a": "2.0"})


# -- documents ------------------------------------------------------------------------


def test_the_block_on_a_terminal() -> None:
    assert told(BROKEN, bisect="bisect", upgrade="upgrade-web") == (
        """\
You can upgrade 5 of 6 today, together: that exact set passed on 3.11 and 3.12. One breaks you.

  package      now      take     latest   3.11     3.12
  boto3        1.0      2.0      2.0      safe     safe     your tests never import it
  flask        1.0      3.1.3    3.1.3    safe     safe     only together with werkzeug
  pandas       1.0      2.2.3    2.3.3    capped   safe     2.3.3 fails on 3.11
  requests     1.0      2.32.5   2.32.5   safe     safe
  sqlalchemy   1.0      -        2.0.44   breaks   breaks
  werkzeug     1.0      2.0      2.0      safe     safe     only together with flask

sqlalchemy 2.0.44 breaks 1 test. Nothing newer than your 1.0 passes.
  tests/test_models.py::test_save   AttributeError: 'Engine' has no attribute 'execute'
  Which release did it?   nox -s bisect -- sqlalchemy
pandas 2.3.3 breaks 1 test on 3.11; 2.2.3 is the latest that passes on both.
  tests/test_sum.py::test_sum       TypeError: unsupported operand type(s) for |

Write these 5 to requirements.txt (uses this result, tests nothing again):
  nox -s upgrade-web -- --apply
Report and logs: .nox/.cache/nox-envs/upgrade-1
"""
    )
    assert "bisect" not in told(BROKEN)


def test_what_is_not_committed() -> None:
    said = told(replace(ONE, uncommitted=("pyproject.toml", "requirements.txt")))
    assert (
        """
Write it to requirements.txt (uses this result, tests nothing again; \
commit pyproject.toml and requirements.txt first, or add --force):
  nox -s upgrade -- --apply
"""
        in said
    )


MARKDOWN = """\
# Upgrade 5 of 6 dependencies (sqlalchemy must wait)

That exact set passed `test` on Python 3.11 and 3.12, 2026-11-01, 2 trials. \
boto3 is never imported by the tests.

| package | from | to | 3.11 | 3.12 | |
|---|---|---|---|---|---|
| boto3 | 1.0 | 2.0 | safe | safe | your tests never import it |
| flask | 1.0 | 3.1.3 | safe | safe | only together with werkzeug |
| pandas | 1.0 | 2.2.3 | capped | safe | 2.3.3 fails on 3.11 |
| requests | 1.0 | 2.32.5 | safe | safe | |
| sqlalchemy | 1.0 | - | breaks | breaks | |
| werkzeug | 1.0 | 2.0 | safe | safe | only together with flask |

**sqlalchemy 2.0.44 breaks 1 test**. Nothing newer than your 1.0 passes.

- `tests/test_models.py::test_save` `AttributeError: 'Engine' has no attribute 'execute'`

**pandas 2.3.3 breaks 1 test on 3.11**; 2.2.3 is the latest that passes on both.

- `tests/test_sum.py::test_sum` `TypeError: unsupported operand type(s) for |`

Write these 5 to requirements.txt (uses this result, tests nothing again): \
`nox -s upgrade -- --apply`

<details><summary>All 2 versions that were tested</summary>

- boto3 2.0
- flask 3.1.3

</details>

<details><summary>3 packages moved with them</summary>

- botocore 1.0 -> 2.0
- new 1 (new)
- six (gone)

</details>

<details><summary>Output of <code>t3</code> (<code>test-3.11</code>)</summary>

````text
E   AttributeError
```
````

</details>

Report and logs: `.nox/.cache/nox-envs/upgrade-1`
"""


def test_the_markdown() -> None:
    assert as_markdown.render(BROKEN) == MARKDOWN


def test_markdown_that_is_too_long_ends_early_and_says_so() -> None:
    sentence = (
        "\nShortened to 900 characters: the whole report is in `.nox/.cache/nox-envs/upgrade-1`.\n"
    )
    short = as_markdown.render(BROKEN, longest=900)
    assert short.endswith(sentence)
    assert MARKDOWN.startswith(short.removesuffix(sentence))
    assert 700 < len(short) <= 900
    assert all(len(as_markdown.render(BROKEN, longest=most)) <= most for most in range(200, 1500))
    assert as_markdown.render(BROKEN, longest=len(MARKDOWN)) == MARKDOWN
    many = {f"p{number}": "1" * 200 for number in range(400)}
    candidates = (candidate(name, safe(to), to=to) for name, to in many.items())
    long = as_markdown.render(report(*candidates, take=many))
    assert "Shortened to 60,000 characters" in long
    assert 59_000 < len(long) <= 60_000


def test_the_json() -> None:
    subject = replace(
        BROKEN,
        candidates=(BROKEN.candidates[2], BROKEN.candidates[4]),
        fresh={"test-3.11": Fresh(outcome=Outcome.FAIL, trial="t9", moved={"a": ("1", "2")})},
        not_tested={"test-3.14": "not on this machine"},
        kept={"t3": "nox-envs shell t3"},
    )
    baseline = {
        "outcome": "pass",
        "trial": "t1",
        "seconds": 0.0,
        "reason": "",
        "known_failures": [],
        "log": "",
        "may_fail": False,
    }
    expected = {
        "schema": "nox-envs.report/1",
        "kind": "upgrade",
        "sessions": ["test"],
        "status": "broken",
        "error": None,
        "mode": "keep",
        "started": "2026-11-01T05:00:00Z",
        "seconds": 232.0,
        "tools": {"nox": "2026.2.9"},
        "directory": ".nox/.cache/nox-envs/upgrade-1",
        "dependencies": 24,
        "files": ["requirements.txt"],
        "pinned": True,
        "lines": [],
        "instead": [],
        "exhausted": {},
        "columns": {"test-3.11": "3.11", "test-3.12": "3.12"},
        "not_tested": {"test-3.14": "not on this machine"},
        "baseline": {"test-3.11": baseline, "test-3.12": baseline},
        "candidates": [
            {
                "name": "pandas",
                "current": "1.0",
                "target": "2.3.3",
                "latest": "2.3.3",
                "places": [],
                "lifted": [],
                "unsupported": {},
                "verdicts": {
                    "test-3.11": verdict("capped", "2.2.3", failing=SUM),
                    "test-3.12": verdict("safe", "2.3.3"),
                },
            },
            {
                "name": "sqlalchemy",
                "current": "1.0",
                "target": "2.0.44",
                "latest": "2.0.44",
                "places": [],
                "lifted": [],
                "unsupported": {},
                "verdicts": dict.fromkeys(
                    ["test-3.11", "test-3.12"],
                    verdict("breaks", None, failing=SAVE, trials=["t3"], log="logs/t3.txt"),
                ),
            },
        ],
        "safe_set": {
            "test-3.11": {
                "pins": dict(BROKEN.common or {}),
                "trials": ["t2"],
                "packages": {"boto3": "2.0", "flask": "3.1.3"},
                "moved": {"botocore": ["1.0", "2.0"], "new": [None, "1"], "six": ["1.16", None]},
            },
            "test-3.12": {"pins": {}, "trials": [], "packages": {}, "moved": {}},
            "all": {
                "pins": dict(BROKEN.common or {}),
                "trials": {"test-3.11": ["t2"], "test-3.12": ["t2"]},
            },
        },
        "fresh": {
            "test-3.11": {
                "outcome": "fail",
                "trial": "t9",
                "moved": {"a": ["1", "2"]},
                "reason": "",
                "trials": [],
            }
        },
        "trials": [
            trial("t1", "pass", seconds=1.25),
            trial(
                "t3",
                "fail",
                changes={"sqlalchemy": ["1.0", "2.0.44"]},
                moved={"greenlet": [None, "3.0"]},
                seconds=2.0,
                lock="locks/t3.toml",
                log="logs/t3.txt",
                signature="abc",
                failed_tests=["tests/test_models.py::test_save"],
                exception="AttributeError: 'Engine' has no attribute 'execute'",
                suspects=["sqlalchemy"],
            ),
        ],
        "kept": {"t3": "nox-envs shell t3"},
    }
    assert as_json.dumps(subject) == json.dumps(expected, indent=2) + "\n"


def verdict(word: str, version: str | None, **facts: Any) -> dict[str, Any]:
    plainly = {"reason": "", "together_with": [], "trials": [], "failing": {}}
    return {"verdict": word, "version": version, **plainly, "unexercised": None, "log": "",
            "culprits": [], **facts}  # fmt: skip


def trial(name: str, outcome: str, **facts: Any) -> dict[str, Any]:
    return {
        "id": name,
        "cell": "test-3.11",
        "python": "3.11",
        "changes": {},
        "moved": {},
        "outcome": outcome,
        "seconds": 0.0,
        "lock": "",
        "log": "",
        "signature": None,
        "failed_tests": [],
        "exception": "",
        "suspects": [],
        "reason": "",
        "reused": False,
        **facts,
    }


def test_json_holds_no_half_of_a_character() -> None:
    document = as_json.dumps(report(take=None, status="error", error="a\udc80\x1b[31m\u202e"))
    assert json.loads(document)["error"] == "a?\x1b[31m\u202e"
    assert "a?\\u001b[31m\\u202e" in document


def test_json_of_a_report_without_an_answer() -> None:
    document = as_json.to_dict(report(take=None, status="baseline-red", baseline={}))
    assert document["safe_set"]["all"] == {"pins": {}, "trials": {}}
    assert sorted(document["safe_set"]) == ["all", "test-3.11", "test-3.12"]


# -- the first line -------------------------------------------------------------------

RED = Baseline(outcome=Outcome.FAIL, reason="exit 1", log="logs/t1.txt")
GREEN = Baseline(outcome=Outcome.PASS)
HELD = Judgement(verdict=Verdict.HELD)
OFFLINE = Judgement(verdict=Verdict.INCONCLUSIVE, reason="cannot reach the index")
MISSING = {"test-3.14": "not on this machine"}
NINE = (Trial(id="t", cell="c", python="3.11", outcome=Outcome.PASS),) * 9
LOG = f"{PLACE}/logs/t1.txt"


def several(names: Iterable[str], *verdicts: Judgement) -> list[Candidate]:
    return [candidate(name, *verdicts) for name in names]


@pytest.mark.parametrize(
    ("subject", "sentence"),
    [
        (
            report(*several("abc", safe()), take=dict.fromkeys("abc", "2.0")),
            "You can upgrade all 3 today, together: that exact set passed on 3.11 and 3.12.",
        ),
        (ONE, "You can upgrade your 1 outdated dependency today: it passed on 3.11 and 3.12."),
        (
            report(*several("ab", safe()), take=dict.fromkeys("ab", "1.5"), status="ok",
                   common_trials={"test-3.11": ("t2", "t3"), "test-3.12": ("t4", "t5", "t6")}),
            ("You can upgrade both today, together: that exact set passed twice on 3.11 and 3.12."
            " Two do not go to the latest release."),
        ),
        (
            report(*several("a", safe()), *several("bc", breaks()), *several("d", HELD),
                   take={"a": "2.0"}),
            ("You can upgrade 1 of 4 today: it passed on 3.11 and 3.12."
            " Two break you and one is held."),
        ),
        (
            report(*several("a", safe()), take={"a": "2.0"},
                   common_trials={"test-3.11": ("t2",)}),
            ("You can upgrade your 1 outdated dependency today: it passed on 3.11."
            " It was not run on 3.12."),
        ),
        (
            report(*several("abc", breaks()), take={}, status="broken"),
            "None of the 3 newer releases passes on 3.11 and 3.12.",
        ),
        (
            report(*several("a", breaks(), safe()), take={}, status="broken"),
            "You cannot upgrade your 1 outdated dependency today: a 2.0 does not pass on 3.11.",
        ),
        (
            report(*several("ab", HELD), *several("c", breaks()), take={}),
            "You can upgrade none of 3 today: one breaks you and two are held.",
        ),
        (
            report(take={}),
            ("Nothing to upgrade: all 24 dependencies are at their latest release,"
            " and the tests pass."),
        ),
        (
            report(take=None, dependencies=1, pinned=False),
            "Nothing to upgrade: your 1 dependency is at its latest release, and the tests pass.",
        ),
        (
            report(candidate("a", safe("1.0"), to="1.0"), take={}),
            "Nothing to upgrade: a is at its latest release, and the tests pass.",
        ),
        (
            report(take={}, baseline={"test-3.11": replace(RED, known_failures=("t::a",))}),
            "Nothing to upgrade: all 24 dependencies are at their latest release.",
        ),
        (
            report(*several("a"), take=None, status="baseline-red",
                   baseline=dict.fromkeys(["test-3.11", "test-3.12"], RED)),
            ("Cannot tell: the tests fail already with the versions you have"
            f" (exit 1 on 3.11 and 3.12): {LOG}"),
        ),
        (
            report(*several("a"), take=None, status="baseline-red", not_tested=MISSING,
                   baseline={"test-3.11": RED}, columns={"test-3.11": "3.11", "test-3.14": "3.14"}),
            ("Cannot tell: the tests fail already with the versions you have"
            f" (exit 1 on 3.11): {LOG}\n3.14 was not tested: not on this machine."),
        ),
        (
            report(take=None, status="inconclusive",
                   not_tested=dict.fromkeys(["test-3.11", "test-3.12"], "not on this machine")),
            "Cannot tell: nothing was tested. 3.11 and 3.12 were not tested: not on this machine.",
        ),
        (
            replace(ONE, columns={**ONE.columns, "test-3.14": "3.14"}, not_tested=MISSING),
            ("You can upgrade your 1 outdated dependency today: it passed on 3.11 and 3.12."
            " 3.14 was not tested: not on this machine."),
        ),
        (
            report(*several("abcdefg", safe()), take=dict.fromkeys("abcd", "2.0"), trials=NINE,
                   status="interrupted"),
            ("Interrupted after 9 trials. 4 of 7 have passed together so far."
            " Go on: nox -s upgrade -- --resume"),
        ),
        (
            report(*several("a"), take=None, status="interrupted", trials=NINE[:1]),
            ("Interrupted after 1 trial. No newer release has passed so far."
            " Go on: nox -s upgrade -- --resume"),
        ),
        (
            report(take=None, status="interrupted", baseline={}),
            "Interrupted at the start. Go on: nox -s upgrade -- --resume",
        ),
        (
            report(*several("ab", OFFLINE), take=None, status="inconclusive"),
            "Cannot tell: 2 of 2 newer releases could not be tested: cannot reach the index.",
        ),
        (
            report(*several("a"), take=None, status="inconclusive", baseline={
                "test-3.11": Baseline(outcome=Outcome.ERROR, reason="cannot reach the index")}),
            ("Cannot tell: the versions you have could not be tested"
            " (cannot reach the index on 3.11)."),
        ),
        (
            replace(ONE, baseline={"test-3.12": Baseline(outcome=None, reason="no Python 3.12")},
                    common_trials={"test-3.11": ("t2",)}),
            (
                "You can upgrade your 1 outdated dependency today: it passed on 3.11."
                " 3.12 was not tested: no Python 3.12."
            ),
        ),
        (
            report(take=None, status="error", error="the disk is full", baseline={}),
            "Cannot tell: the disk is full.",
        ),
    ],
)  # fmt: skip
def test_the_first_line_answers_the_question(subject: UpgradeReport, sentence: str) -> None:
    assert first_line(subject) == sentence


def test_floors_are_named_for_a_library_if_there_is_such_a_session() -> None:
    hint = " Lower bounds are another question: nox -s floors"
    assert first_line(report(take={}, pinned=False), floors="floors").endswith(hint)
    assert hint not in first_line(report(take={}, pinned=False))
    assert hint not in first_line(report(take={}), floors="floors")


@pytest.mark.parametrize(
    ("subject", "title"),
    [
        (ONE, "# Upgrade a to 2.0"),
        (
            report(*several("ab", safe()), *several("cd", breaks()), take={"a": "2", "b": "2"}),
            "# Upgrade 2 of 4 dependencies (c and d must wait)",
        ),
        (
            report(*several("ab", safe()), *several("cde", HELD), take={"a": "2", "b": "2"}),
            "# Upgrade 2 of 5 dependencies (3 must wait)",
        ),
        (report(*several("a", breaks()), take={}), "# Nothing to upgrade today (a must wait)"),
        (report(take={}), "# Nothing to upgrade"),
        (report(take=None, status="interrupted"), "# Upgrade: interrupted"),
        (report(take=None, status="error", error="no disk"), "# Upgrade: cannot tell"),
    ],
)
def test_the_title_is_fit_for_a_pull_request(subject: UpgradeReport, title: str) -> None:
    assert as_markdown.render(subject).splitlines()[0] == title


def test_nothing_is_untested_only_if_that_is_true() -> None:
    assert "Nothing here is untested." in as_markdown.render(ONE)
    columns = {**ONE.columns, "test-3.14": "3.14"}
    body = as_markdown.render(replace(ONE, columns=columns, not_tested=MISSING)).splitlines()[2]
    assert body.endswith("1-01, 0 trials. 3.14 was not tested: not on this machine.")
    red = replace(ONE, baseline={"test-3.11": GREEN, "test-3.12": RED})
    assert "There is no answer for 3.12." in as_markdown.render(red)


# -- paragraphs -----------------------------------------------------------------------


def reasoned(verdict: Verdict, reason: str, **facts: Any) -> Judgement:
    return Judgement(verdict=verdict, reason=reason, **facts)


def test_a_column_without_an_answer_is_told_of_once() -> None:
    bases = {"test-3.11": RED, "test-3.12": replace(RED, outcome=Outcome.FLAKY)}
    subject = report(*several("a"), take=None, status="baseline-red", baseline=bases)
    assert "(exit 1 on 3.11)" in first_line(subject)
    assert paragraphs(subject) == (
        "No answer for 3.12: the tests are flaky already with the versions you have"
        f" (exit 1 on 3.12): {LOG}"
    )


def test_every_trouble_is_called_by_its_name() -> None:
    many = {f"t::{name}": "no" for name in "abcde"}
    subject = report(
        candidate("a", reasoned(Verdict.INFEASIBLE, "a 2.0 needs b<1 and you need b>=2")),
        candidate("b", reasoned(Verdict.UNBUILDABLE, "no wheel for this Python"), safe()),
        candidate("c", reasoned(Verdict.FLAKY, "passed, then failed")),
        candidate("d", reasoned(Verdict.WAITING, "7 days"), to="1.0", latest="2.0"),
        *several("ef", HELD),
        candidate("g", reasoned(Verdict.BLOCKED, "", together_with=("h",))),
        candidate("h", breaks(failing={}, reason="exit 3", log="logs/t9.txt")),
        candidate("i", safe("1.9"), to="1.9", latest="2.0"),
        candidate("j", breaks(failing=many, log="logs/t8.txt"), breaks(version="1.5")),
        candidate("k", safe()),
        candidate("l", OFFLINE),
        take={"i": "1.9"},
        status="broken",
    )
    assert paragraphs(subject) == (
        f"""\
a 2.0 cannot be resolved: a 2.0 needs b<1 and you need b>=2.
b 2.0 cannot be built on 3.11: no wheel for this Python.
c 2.0 cannot be judged, equal runs disagreed: passed, then failed.
g 2.0 needs h, which is left out.
h 2.0 breaks your tests: exit 3. Nothing newer than your 1.0 passes.
  {PLACE}/logs/t9.txt
j 2.0 breaks 5 tests on 3.11. Nothing newer than your 1.0 passes there.
  t::a                              no
  t::b                              no
  t::c                              no
  and 2 more: {PLACE}/logs/t8.txt
j 2.0 breaks 1 test on 3.12. 1.5 passes there.
  tests/test_models.py::test_save   AttributeError: 'Engine' has no attribute 'execute'
k 2.0 passes, but no release of it passed on all columns together with the others.
Held, as you asked: e 2.0 and f 2.0.
Too young to be tried (cooldown): d 2.0 (7 days).
Could not be tested: l 2.0 (cannot reach the index)."""
    )
    assert first_line(subject).endswith(" Two break you and nine more must wait.")
    assert (
        "  i         1.0      1.9      2.0      safe           safe           2.0 was not"
        in told(subject)
    )


@pytest.mark.parametrize(
    ("verdicts", "take", "sentence"),
    [
        (
            [capped("1.5", failing=SUM), capped("1.7", failing=SUM)],
            {"p": "1.5"},
            "p 2.0 breaks 1 test; 1.5 is the latest that passes on both (1.7 on 3.12).",
        ),
        (
            [capped("1.5", failing=SUM), capped("1.7", failing=SUM)],
            {},
            (
                "p 2.0 breaks 1 test; the latest that passes is 1.5 on 3.11 and 1.7 on 3.12,"
                " and none was found that passes everywhere."
            ),
        ),
        (
            [capped("1.5", failing=SUM), safe()],
            {},
            (
                "p 2.0 breaks 1 test on 3.11; the latest that passes is 1.5 on 3.11"
                " and 2.0 on 3.12, and none was found that passes everywhere."
            ),
        ),
        (
            [capped("1.5", reason="p 2.0 needs q<1")],
            {"p": "1.5"},
            "p 2.0 does not pass: p 2.0 needs q<1; 1.5 is the latest that passes on both.",
        ),
    ],
)
def test_the_latest_that_passes_is_named(
    verdicts: Sequence[Judgement], take: Mapping[str, str], sentence: str
) -> None:
    subject = report(candidate("p", *verdicts), take=take, status="broken")
    assert paragraphs(subject).splitlines()[0] == sentence


def test_what_else_needs_a_person() -> None:
    subject = replace(
        BROKEN,
        candidates=(candidate("a", safe(), lifted=("pyproject.toml:9 a<2",) * 2),),
        common={"a": "2.0"},
        baseline={
            "test-3.11": replace(RED, known_failures=("t::a", "t::b")),
            "test-3.12": RED,
        },
        common_trials={"test-3.11": ("t2",)},
        fresh={
            "test-3.11": Fresh(
                outcome=Outcome.FAIL,
                trial="t9",
                moved={"urllib3": ("1.26.20", "2.8.0")},
                reason="exit 1",
            ),
            "test-3.12": Fresh(outcome=Outcome.ERROR, trial=None, reason="the disk is full"),
        },
        kept={"t3": "nox-envs shell t3"},
    )
    assert first_line(subject).endswith("passed on 3.11, apart from 2 tests that failed before.")
    assert paragraphs(subject) == (
        f"""\
No answer for 3.12: the tests fail already with the versions you have (exit 1 on 3.12): {LOG}
2 tests fail already with the versions you have; the upgrades were judged by the others.
  t::a
  t::b
Resolved afresh it fails: urllib3 1.26.20 -> 2.8.0 comes in.
Resolved afresh it could not be judged (error) on 3.12: the disk is full.
This bound of yours was lifted to ask:
  pyproject.toml:9 a<2
Kept to look inside:
  t3 (test-3.11, fail)   nox-envs shell t3"""
    )


@pytest.mark.parametrize(
    ("facts", "end"),
    [
        ({}, f"\n\nWrite it to requirements.txt {APPLY}"),
        (
            {"files": ("pyproject.toml", "requirements.txt")},
            f"\n\nWrite it to pyproject.toml and requirements.txt {APPLY}",
        ),
        (
            {"files": (), "candidates": (candidate("a", safe(), places=("noxfile.py:6",)),)},
            "\n\nWrite it where it is declared, noxfile.py:6:   a==2.0\n",
        ),
        ({"instead": (POETRY, "b")}, f"\n\n{LOCKED}  {POETRY}\n  b\n"),
        ({"status": "interrupted"}, "safe\n\n"),
        ({"status": "error", "error": "no disk"}, "safe\n\n"),
        ({"common": {}}, "\n\n"),
    ],
)
def test_what_to_do_next(facts: dict[str, Any], end: str) -> None:
    assert told(replace(ONE, **facts)).endswith(f"{end}Report and logs: {PLACE}\n")
    assert told(replace(ONE, directory="", **facts)).endswith(end.rstrip("\n") + "\n")


def test_what_is_to_be_written_is_what_will_be_changed() -> None:
    both = candidate("a", safe()), candidate("B.c", safe())
    lines = (
        Line(place="requirements.txt:1", before="a==1.0", after="a==2.0"),
        Line(place="requirements.txt:2", before="b-c==1.0", after="b-c==2.0"),
    )
    files = ("requirements.txt", "requirements-dev.txt")
    subject = replace(ONE, candidates=both, common={"a": "2.0", "B.c": "2.0"}, files=files)
    assert "\nWrite these 2 to requirements.txt (uses" in told(replace(subject, lines=lines))
    one = told(replace(subject, lines=lines[:1]))
    assert "\nWrite the 1 line that has to change to requirements.txt (uses" in one
    again = replace(lines[0], place="requirements-dev.txt:7")
    two = told(replace(subject, lines=(lines[0], again)))
    where = "requirements.txt and requirements-dev.txt"
    assert f"\nWrite the 2 lines that have to change to {where} (uses" in two
    assert f"\nWrite these 2 to {where} (uses" in told(subject)


def test_what_to_do_next_as_markdown() -> None:
    one = as_markdown.render(replace(ONE, instead=(POETRY,)))
    assert f"\n\n{LOCKED.rstrip()} `{POETRY}`\n\n" in one
    two = as_markdown.render(replace(ONE, instead=(POETRY, "b")))
    assert f"\n\n{LOCKED}\n- `{POETRY}`\n- `b`\n\n" in two
    assert as_json.to_dict(replace(ONE, instead=(POETRY,)))["instead"] == [POETRY]


def test_a_long_list_of_tests_ends_early() -> None:
    tests = {f"t::{number:02}": "no" for number in range(25)} | {"t::00": ""}
    subject = report(candidate("a", breaks(failing={"x" * 99: "long", **tests})), take={})
    assert paragraphs(subject).splitlines()[1:] == [
        f"  {'x' * 99}   long",
        "  t::00",
        "  t::01   no",
        "  and 23 more",
    ]
    listed = re.findall("^- .*", as_markdown.render(subject), re.MULTILINE)
    assert listed[1:3] == ["- `t::00`", "- `t::01` `no`"]
    assert listed[19:] == ["- `t::18` `no`", "- and 6 more"]


def test_what_was_not_proven_together_is_not_shown_as_tested() -> None:
    other = SafeSet(pins={"a": "1.5"}, packages={"a": "1.5"}, moved={"b": ("1", "2")})
    subject = replace(ONE, safe_sets={"test-3.11": other})
    assert "<details>" not in as_markdown.render(subject)
    unused = report(candidate("a", safe(unexercised=True), breaks()), take={})
    assert "import" not in told(unused)


# -- the table ------------------------------------------------------------------------


def grid(columns: Mapping[str, str], broken: Mapping[str, Sequence[str]]) -> UpgradeReport:
    """Candidates, and the columns on which each breaks."""
    candidates = [
        candidate(name, verdicts={one: breaks() if one in bad else safe() for one in columns})
        for name, bad in broken.items()
    ]
    take = {name: "2.0" for name, bad in broken.items() if not bad}
    return report(*candidates, take=take, columns=columns, status="broken")


def table(subject: UpgradeReport) -> list[str]:
    return told(subject).split("\n\n")[1].splitlines()


PYTHONS = {f"test-3.{minor}": f"3.{minor}" for minor in (12, 9, 10, 11, 13)}
AXES = {f"test-3.{minor}(django='{one}')": f"3.{minor}" for minor in (11, 12) for one in (4, 5)}
MORE_AXES = {f"test-3.{m}(django='{one}')": f"3.{m}" for one in (4, 5) for m in (11, 12, 13)}


@pytest.mark.parametrize(
    ("columns", "broken", "head"),
    [
        (PYTHONS, [], "all 5"),
        (PYTHONS, ["test-3.13"], "3.9-3.12   3.13"),
        (PYTHONS, ["test-3.9", "test-3.13"], "3.10-3.12   3.9, 3.13"),
        (PYTHONS, ["test-3.11", "test-3.13"], "3.12 and 2 more   3.11, 3.13"),
        (AXES, [one for one in AXES if "5" in one], "django='4'   django='5'"),
        (AXES, [one for one in AXES if "3.12" in one], "3.11   3.12"),
        (
            AXES,
            [one for one in AXES if one != "test-3.12(django='5')"],
            "test-3.11(django='4') and 2 more   test-3.12(django='5')",
        ),
        (
            MORE_AXES,
            list(MORE_AXES)[:2],
            "test-3.11(django='4'), test-3.12(django='4')   test-3.13(django='4') and 3 more",
        ),
        (AXES, list(AXES)[:1], "test-3.11(django='4')   test-3.11(django='5') and 2 more"),
        ({"test-3.11": "3.11", "types-3.11": "3.11"}, ["test-3.11"], "test-3.11   types-3.11"),
    ],
)
def test_columns_that_say_the_same_are_one(
    columns: dict[str, str], broken: list[str], head: str
) -> None:
    subject = replace(
        grid(columns, {"a": broken}), sessions=tuple({n.split("-")[0] for n in columns})
    )
    assert table(subject)[0] == f"  package   now      take     latest   {head}"


def test_many_columns_are_one_and_the_exceptions_are_named() -> None:
    columns = {f"test-3.{minor}": f"3.{minor}" for minor in range(5, 16)}
    broken = {f"p{number}": [name] for number, name in enumerate(columns)} | {"q": ()}
    subject = grid(columns, broken)
    head, first, *_, last = table(subject)
    assert head == "  package   now      take     latest   safe on"
    assert first == "  p0        1.0      -        2.0      10 of 11"
    assert last == "  q         1.0      2.0      2.0      11 of 11"
    assert "p3 2.0 breaks 1 test on 3.8. Nothing newer" in paragraphs(subject)
    assert first_line(subject).startswith("You can upgrade 1 of 12 today: it passed on 3.5-3.15.")
    assert as_markdown.render(subject).count("| breaks |") == 11


def test_many_safe_rows_are_one() -> None:
    names = [f"p{number:02}" for number in range(14)]
    subject = report(*several("z", breaks()), *several(names, safe()),
                     take=dict.fromkeys(names, "2.0"))  # fmt: skip
    rows = table(subject)
    assert len(rows) == 1 + 1 + 12 + 1
    assert rows[-1] == "  and 2 more: p12 2.0, p13 2.0"
    assert as_markdown.render(subject).count("| safe |") == 14
    noted = candidate("p99", safe(together_with=("p00",)))
    take = {**(subject.common or {}), "p99": "2.0"}
    assert table(replace(subject, candidates=(*subject.candidates, noted), common=take))[-2:] == [
        "  p99       1.0      2.0      2.0      safe         only together with p00",
        "  and 2 more: p12 2.0, p13 2.0",
    ]


def test_what_is_not_known_of_a_column_is_said_in_it() -> None:
    subject = replace(
        ONE,
        columns={f"test-3.{minor}": f"3.{minor}" for minor in (11, 12, 13, 14)},
        candidates=(candidate("a", verdicts={"test-3.11": safe()}),),
        baseline={"test-3.12": RED, "test-3.13": GREEN},
        not_tested=MISSING,
    )
    assert table(subject)[1].split()[4:] == ["safe", "no", "answer", "-", "not", "tested"]
    interrupted = replace(subject, status="interrupted")
    assert table(interrupted)[1].split()[4:] == [
        "safe", "no", "answer", "not", "yet", "not", "tested"
    ]  # fmt: skip


def test_a_column_that_may_fail_is_marked() -> None:
    bases = {"test-3.11": GREEN, "test-3.12": replace(GREEN, may_fail=True)}
    subject = replace(
        report(*several("a", safe()), *several("b", safe(), breaks()),
               take=dict.fromkeys("ab", "2.0")),
        baseline=bases,
        common_trials={"test-3.11": ("t2",)},
    )  # fmt: skip
    assert re.search(r"latest   3\.11 +3\.12 \(may fail\)", told(subject))
    assert "| 3.11 | 3.12 (may fail) |" in as_markdown.render(subject)
    assert first_line(subject).endswith("It was not run on 3.12, which may fail.")
    entries = as_json.to_dict(subject)["baseline"]
    assert [one["may_fail"] for one in entries.values()] == [False, True]
    # Even if it says the same.
    same = replace(report(candidate("a", safe()), take={"a": "2"}), baseline=bases)
    assert re.search(r"latest   3\.11 +3\.12 \(may fail\)", told(same))


def test_what_may_fail_is_never_why_there_is_no_answer() -> None:
    bases = {"test-3.11": replace(RED, may_fail=True), "test-3.12": replace(RED, reason="exit 9")}
    subject = report(*several("a"), take=None, status="baseline-red", baseline=bases)
    assert "(exit 9 on 3.12)" in first_line(subject)
    assert paragraphs(subject).startswith("No answer for 3.11, which may fail: ")
    assert "3.12" not in paragraphs(subject)


def test_a_python_that_is_too_old_is_named() -> None:
    too_old = {"test-3.11": "3.3 needs Python >= 3.12"}
    subject = report(
        candidate("a", safe("2.0"), safe("3.3"), to="3.3", unsupported=too_old),
        candidate("b", safe("2.0"), to="2.0", latest="3.3", unsupported=too_old),
        Candidate(name="c", current="1", target="3.3", latest="3.3", unsupported=too_old,
                  verdicts={"test-3.12": safe("3.3")}),
        take={"a": "2.0", "b": "2.0"},
    )  # fmt: skip
    rows = told(subject).split("\n\n")[1].splitlines()[1:]
    assert [row.rpartition("   ")[2] for row in rows] == ["3.3 needs Python >= 3.12"] * 3
    assert paragraphs(subject) == "c 3.3 passes, but 3.3 needs Python >= 3.12."
    assert "was not tried" not in told(subject)


def test_what_came_in_with_a_release_is_named_once() -> None:
    said = "requests is fine; urllib3 2.0.7, brought in by requests>=2.30, is not: add urllib3<2"
    guilty = Guilty(name="urllib3", before="1.26", after="2.0.7", declared=False,
                    brought_in_by=("requests>=2.30",), evidence=("t3",), first_bad="2.0",
                    requirement="urllib3<2")  # fmt: skip
    subject = report(
        candidate("a", safe()),
        candidate("requests", breaks(failing={}, reason=said, culprits=(guilty,)), to="2.31"),
        take={"a": "2.0"},
    )
    assert told(subject).count(said) == 1
    assert re.search(rf"  breaks +{re.escape(said)}\n", told(subject))
    assert (
        paragraphs(subject)
        == "requests 2.31 breaks your tests. Nothing newer than your 1.0 passes."
    )
    assert "add urllib3" in as_markdown.render(subject)
    judged = as_json.to_dict(subject)["candidates"][1]["verdicts"]["test-3.11"]
    assert judged["reason"] == said
    assert judged["culprits"] == [
        {
            "name": "urllib3", "from": "1.26", "to": "2.0.7", "declared": False,
            "brought_in_by": ["requests>=2.30"], "partners": [], "evidence": ["t3"],
            "first_bad": "2.0", "requirement": "urllib3<2",
        }
    ]  # fmt: skip


USED_UP = {"test-3.12": "--max-trials 9 were used up"}


def test_what_was_cut_short_says_so() -> None:
    subject = replace(ONE, exhausted=USED_UP, status="inconclusive")
    assert paragraphs(subject) == "--max-trials 9 were used up on 3.12: not all of it was tried."
    assert as_json.to_dict(subject)["exhausted"] == USED_UP
    untested = reasoned(Verdict.INCONCLUSIVE, USED_UP["test-3.12"])
    told_already = report(candidate("a", safe(), untested), candidate("b", safe()),
                          take={"b": "2"}, exhausted=USED_UP)  # fmt: skip
    assert paragraphs(told_already) == (
        "Could not be tested: a 2.0 on 3.12 (--max-trials 9 were used up)."
    )
    nothing = report(candidate("a", safe()), take=None, status="inconclusive", exhausted=USED_UP)
    assert first_line(nothing) == (
        "Cannot tell: --max-trials 9 were used up before one set had passed everywhere."
    )


def test_lines_to_paste_are_shown_where_they_are_few() -> None:
    lines = tuple(
        Line(place=f"requirements.txt:{n}", before=f"p{n}==1", after=f"p{n}==2") for n in range(13)
    )
    few = replace(ONE, lines=lines[:12], words=("--only", "a b"))
    shown = told(few)
    assert '--apply --only "a b"\nOr paste:\n  requirements.txt:0   p0==1 -> p0==2\n' in shown
    assert shown.count(" -> ") == 12
    many = told(replace(few, lines=lines))
    assert " -> " not in many
    assert '\nOr see the lines first:\n  nox -s upgrade -- --dry-run --only "a b"\n' in many
    assert as_markdown.render(replace(few, lines=lines)).count(" -> ") == 13
    assert as_json.to_dict(few)["lines"][1] == {
        "place": "requirements.txt:1", "before": "p1==1", "after": "p1==2",
    }  # fmt: skip
    assert "paste" not in told(replace(few, status="interrupted"))


def test_columns_of_wide_characters_are_aligned() -> None:
    rows = table(report(*several(["日本語言", "ab", "e\u0301"], safe()), take={}))
    assert [row.partition("1.0")[0] for row in rows[1:]] == [
        "  日本語言   ", "  ab         ", "  e\u0301          "
    ]  # fmt: skip
    assert rows[0].startswith("  package    now")


def test_what_the_terminal_cannot_show_is_spelled_out() -> None:
    subject = report(candidate("é", safe()), take={"é": "2.0"})
    assert "  \\xe9" in as_terminal.render(subject, encoding="ascii")


# -- other people's text --------------------------------------------------------------

EVIL = [
    "`", "``", "```\n", "~~~", "|", "\\|", "\\", "<b>", "</details>", "<!--", "-->", "&lt;", "](",
    "[x](http://e.x)", "![", "[x]: /y", "<http://e.x>", "http://e.x", "www.e.x", "me@e.x", "@me",
    "#1", "GH-1", "*", "**", "_", "__x__", "\n", "\r", "\n\n", "\t", "# ", "- ", "1. ", "> ",
    "    ", "---", "|-|", "\x1b[31m", "\x1b]8;;http://e.x\x07", "\x1b", "\x9b2J", "\x9d", "\x07",
    "\b", "\x00", "\x7f", "\u202e", "\u2066", "\u200b", "\u2028", "\ufeff", "\udc80", "a", "1.0",
]  # fmt: skip
TEXT = st.lists(st.one_of(st.sampled_from(EVIL), st.text(max_size=3)), max_size=8).map("".join)
SHOWN = TEXT.filter(plain)
PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@given(TEXT)
def test_plain_text_is_one_line_that_steers_nothing(text: str) -> None:
    assert plain(text).isprintable()
    assert plain(plain(text)) == plain(text)
    assert all(line.isprintable() for line in lines(text, most=5))


@pytest.mark.parametrize(
    "text", ["www.e.x", "a www.e.x", "x.www.e.x", "GH-1", "see gh-1", "@me", "#1", "me@e.x",
             "http://e.x", "_a_", "a_ b", "*a*", "<b>", "a\n- b", "1. a", "a|b", "~a~", "a\\"],
)  # fmt: skip
def test_what_markdown_would_read_is_code(text: str) -> None:
    assert inline(text) == code(text)


@pytest.mark.parametrize("text", ["flask", "zope.interface", "a-b_c", "1!2.0rc1+x.1", "exit 1"])
def test_names_and_versions_are_as_they_are(text: str) -> None:
    assert inline(text) == text


@given(SHOWN)
def test_markdown_shows_text_as_text(text: str) -> None:
    for shown in (inline(text), code(text)):
        (token,) = PARSER.parseInline(f"**x {shown}**, y")
        inner = [one for one in token.children or [] if one.content not in {"", "x ", ", y"}]
        content = "".join(one.content for one in inner).removeprefix("x ")
        assert content.strip() == plain(text)
        assert {one.type for one in token.children or []} <= {
            "text", "code_inline", "strong_open", "strong_close"
        }  # fmt: skip
    (fence,) = PARSER.parse(block(text, most=99))
    assert fence.type == "fence"
    assert [one.type for one in PARSER.parse(f"<p>{html(text)}</p>\n")] == ["html_block"]
    assert html(text).count("<") == 2


def everywhere(text: str) -> UpgradeReport:
    """A report that holds a text wherever it is not ours."""
    tests = {text: text}
    name, third = f"test-3.11({text})", f"test-3.12({text})"
    verdicts = [
        breaks(failing=tests, trials=("t1",), log=text, together_with=(text,)),
        reasoned(Verdict.INFEASIBLE, text),
        capped(text, failing=tests),
        reasoned(Verdict.HELD, text),
        safe(text, together_with=(text,), unexercised=True),
    ]
    return report(
        *(
            Candidate(
                name=text,
                current="0",
                target=text,
                latest=text,
                verdicts={name: one},
                lifted=(text,),
            )
            for one in verdicts
        ),
        take={text: text},
        sessions=(text,),
        columns={name: text, "other": text, third: text},
        not_tested={"other": text},
        baseline={name: Baseline(outcome=Outcome.PASS, known_failures=(text,), log=text)},
        common_trials={name: ("t1",)},
        safe_sets={
            name: SafeSet(pins={text: text}, packages={text: text}, moved={text: (text, text)}),
            third: SafeSet(pins={text: text}, packages={"x": text}, moved={"x": (text, text)}),
        },
        fresh={name: Fresh(outcome=Outcome.FAIL, trial="t1", moved={text: (text, None)})},
        trials=(
            Trial(
                id="t1",
                cell=name,
                python=text,
                outcome=Outcome.FAIL,
                failure=Failure(signature=text, excerpt=text, tests=tests),
            ),
        ),
        files=(text,),
        directory=text,
        kept={"t1": text},
    )


def shape(document: str) -> list[str]:
    """What a reader of Markdown makes of it, but for the words."""
    found = []
    for token in PARSER.parse(document):
        found.append(token.type)
        if token.type == "html_block":
            found += re.findall(r"<[^>]*>?", token.content)
        found += [one for one in map(_kind, token.children or []) if one]
    return found


def _kind(token: Token) -> str:
    return "" if token.type in {"text", "code_inline", "softbreak"} else token.type


BENIGN = shape(as_markdown.render(everywhere("x y")))


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


@settings(max_examples=60)
@given(SHOWN)
def test_no_text_changes_what_a_report_is_made_of(text: str) -> None:
    assume(not _is_version(text))  # A release that is the latest one is another report.
    subject = everywhere(text)
    assert shape(as_markdown.render(subject)) == BENIGN
    assert all(line.isprintable() for line in as_terminal.render(subject).split("\n"))
    document = as_json.dumps(subject)
    assert document.isascii()
    json.dumps(json.loads(document), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (41.4, "41 s"), (59.6, "1 min 0 s"),
     (231.9, "3 min 52 s"), (3600, "1 h 0 min"), (3900, "1 h 5 min")],
)  # fmt: skip
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words
