"""Logs of real runs, kept in data/logs, and what stays equal when the failure is the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nox_envs.run.signature import failure, raised

if TYPE_CHECKING:
    from nox_envs.outcome import Failure

LOGS = Path(__file__).parent / "data" / "logs"


def recorded(name: str) -> str:
    return (LOGS / f"{name}.txt").read_text(encoding="utf-8")


def of(log: str) -> Failure:
    return failure(log, tests=None, exit_code=1)


def plain(exception: str, *, file: str = "/srv/x/site-packages/lib/core.py", line: int = 3) -> str:
    return (
        "Traceback (most recent call last):\n"
        '  File "/srv/x/app.py", line 1, in <module>\n    lib.run()\n'
        f'  File "{file}", line {line}, in run\n    raise it\n'
        f"{exception}\n"
    )


@pytest.mark.parametrize("style", ["auto", "short", "line", "no"])
def test_the_same_failures_in_two_places_are_equal(style: str) -> None:
    """Two runs with two workers each: other paths, times, pids, addresses, sets and orders."""
    first, second = recorded(f"xdist-{style}-1"), recorded(f"xdist-{style}-2")

    assert first != second
    assert of(first).signature == of(second).signature
    assert {one.key for one in raised(first)} == {one.key for one in raised(second)}


def test_every_failure_of_a_run_is_found_once() -> None:
    assert sorted(one.key for one in raised(recorded("xdist-auto-1"))) == [
        "AssertionError: assert PosixPath(<path>) == # @ tests/test_all.py:test_assert",
        "AssertionError: assert {'a', 'b', 'c'} == {'a', 'b', 'd'} @ tests/test_all.py:test_set",
        "ExceptionGroup: many (# sub-exceptions) [RuntimeError: #; ValueError: one]",
        "FileNotFoundError: [Errno #] No such file or directory: <path> @ app/core.py:path",
        "KeyError: 'chain' @ app/core.py:chain",
        "RuntimeError: job <uuid> # failed at ### # after #s @ app/core.py:ids",
        "TypeError: unsupported: <object object at <address>> at # in # @ app/core.py:address",
        "ValueError: unknown {'a', 'b', 'c', 'd', 'e', 'f'}, expected one of {'x', 'y', 'z'} @ app/core.py:sets",
    ]


def test_failures_without_a_report_of_their_own_are_found() -> None:
    assert len(raised(recorded("xdist-line-1"))) == 7


def test_what_most_tests_show_stands_for_the_run() -> None:
    found = of(recorded("xdist-auto-1"))

    assert found.exception.startswith("FileNotFoundError: [Errno 2] No such file or directory: ")
    assert "FileNotFoundError" in found.excerpt
    assert found.signature.partition(" | ")[2].startswith("10 tests ")


@pytest.mark.parametrize(
    ("name", "exception", "signature"),
    [
        (
            "conftest",
            "ModuleNotFoundError: No module named 'nope_nope'",
            "ModuleNotFoundError: No module named 'nope_nope' @ conftest.py:<module>",
        ),
        ("group", "RuntimeError: outer", "RuntimeError: outer @ g.py:<module>"),
        (
            "taskgroup",
            (
                "ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions) "
                "[KeyError: 'x'; ValueError: invalid literal for int() with base 10: 'z']"
            ),
            (
                "ExceptionGroup: unhandled errors in a TaskGroup (# sub-exceptions) "
                "[KeyError: 'x' @ a.py:one; "
                "ValueError: invalid literal for int() with base #: 'z' @ a.py:two]"
            ),
        ),
        (
            "segfault",
            "Fatal Python error: Segmentation fault",
            "Fatal Python error: Segmentation fault @ test_crash.py:test_seg",
        ),
        (
            "crashed-workers",
            "Fatal Python error: Segmentation fault",
            (
                "Fatal Python error: Segmentation fault @ test_crash.py:test_seg | "
                "test_crash.py::test_crash, test_crash.py::test_seg"
            ),
        ),
        (
            "chained",
            "AssertionError: InvalidURL(URLSchemeUnknown('Not supported URL scheme http+docker'))",
            (
                "AssertionError: InvalidURL(URLSchemeUnknown('Not supported URL scheme http+docker')) "
                "@ <string>:<module>"
            ),
        ),
    ],
)
def test_each_kind_of_report_is_read(name: str, exception: str, signature: str) -> None:
    found = of(recorded(name))

    assert found.exception == exception
    assert found.signature == signature
    assert exception.partition(":")[0] in found.excerpt


def test_each_failure_of_unittest_is_one() -> None:
    assert {one.key for one in raised(recorded("unittest"))} == {
        "KeyError: 'k' @ m.py:test_a",
        "ModuleNotFoundError: No module named 'nix' @ unittest/loader.py:loadTestsFromName",
        "AssertionError: Lists differ: [#] != [#] @ m.py:test_b",
        "AssertionError: # != # @ m.py:test_s",
    }


def test_each_report_of_pytest_ends_with_its_failure() -> None:
    assert {one.key for one in raised(recorded("pytest9"))} >= {
        (
            "ImportError: cannot import name 'nothing_here' from 'app.core' (<path>) "
            "@ tests/test_imp.py:<module>"
        ),
        "SyntaxError: invalid syntax @ ast.py:parse",
        "ZeroDivisionError: division by zero @ app/core.py:_div",
        "RuntimeError: cannot load <object object at <address>> in <path> pid # @ app/core.py:load",
        "ExceptionGroup: several (# sub-exceptions) [TypeError: two; ValueError: one]",
        "AssertionError: assert # == # @ tests/test_st.py:test_st",
        "LookupError: no fixture for you @ tests/test_a.py:broken",
    }


def test_a_syntax_error_of_a_script_has_no_head() -> None:
    log = '  File "/tmp/a.py", line 1\n    def f(:\n          ^\nSyntaxError: invalid syntax\n'
    assert of(log).signature == "SyntaxError: invalid syntax @ a.py:"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ValueError: took 0.35s at 0x7f01", "ValueError: took 11.5s at 0xffe2"),
        ("OSError: no '/tmp/a b/x1'", "OSError: no '/home/ann/y/z'"),
        (r"OSError: no C:\Users\ann\x.txt", r"OSError: no D:\y.txt"),
        ("ValueError: in tmpab12_x9z", "ValueError: in tmpzz99abcd"),
        ("ValueError: job 0c9d", "ValueError: job 1c9d"),
        ("ValueError: commit 3f2a91c", "ValueError: commit 81acc0de"),
        ("ValueError: commit 3f2a91c", "ValueError: commit 8134567"),
        (
            "E: 5e9e6a14-6b5b-4a3c-9d0e-1a2b3c4d5e6f",
            "E: 00000000-6b5b-4a3c-9d0e-1a2b3c4d5e6f",
        ),
        ("E: Sat Nov 21 12:12:08 2026", "E: Sun Feb  1 01:02:03 2027"),
        ("E: see https://example.org/2.0/x", "E: see https://example.org/3.1/x"),
        ("E: {'b', 'a'} is wrong", "E: {'a', 'b'} is wrong"),
        ("E: (/a/site-packages/x/y.py)", "E: (../b/site-packages/x/y.py)"),
        ("a.b.E: x", "\x1b[31ma.b.E\x1b[0m: x"),
    ],
)
def test_what_varies_is_left_out(one: str, other: str) -> None:
    assert of(plain(one)).signature == of(plain(other)).signature


@pytest.mark.parametrize(
    "other",
    [
        plain("TypeError: x"),
        plain("ValueError: y"),
        plain("ValueError: x", file="/srv/x/site-packages/lib/other.py"),
        plain("ValueError"),
    ],
)
def test_what_differs_is_another_failure(other: str) -> None:
    assert of(plain("ValueError: x")).signature != of(other).signature


def test_names_of_modules_keep_their_digits() -> None:
    first, second = (
        plain(f"ModuleNotFoundError: No module named '{name}'") for name in ("h2", "h11")
    )
    assert of(first).signature != of(second).signature


def test_lines_of_code_may_move() -> None:
    moved = plain("ValueError: x", file="/opt/y/site-packages/lib/core.py", line=77)
    assert of(plain("ValueError: x")).signature == of(moved).signature


def test_failing_tests_are_part_of_it() -> None:
    log = plain("ValueError: x")
    few, other = ({name: "ValueError: x"} for name in ("t.py::a", "t.py::b"))
    many = {f"t.py::{n}": "" for n in range(1000)}

    signatures = {
        failure(log, tests=tests, exit_code=1).signature
        for tests in (None, few, other, many, {**many, "t.py::more": ""})
    }

    assert len(signatures) == 5
    assert failure(log, tests=few, exit_code=1).tests == few
    backwards = dict(reversed(many.items()))
    assert failure(log, tests=backwards, exit_code=1).signature in signatures


def test_what_tests_say_stands_in_for_a_traceback() -> None:
    tests = {"t.py::a": "TypeError: x 1", "t.py::b": "KeyError: 'y'", "t.py::c": "KeyError: 'y'"}
    found = failure("3 failed in 0.1s", tests=tests, exit_code=1)

    assert found.signature == "KeyError: 'y' | t.py::a, t.py::b, t.py::c"
    assert found.exception == "KeyError: 'y'"
    assert found.excerpt == "3 failed in 0.1s"


def test_an_exception_stands_for_tests_before_other_words() -> None:
    tests = {"t.py::a": "worker crashed", "t.py::b": "worker crashed", "t.py::c": "KeyError: 'y'"}
    assert failure("", tests=tests, exit_code=1).exception == "KeyError: 'y'"


def test_without_a_traceback_the_last_lines_count() -> None:
    log = "starting\n1 error in {}s\nnox > Command check failed with exit code {}\n"
    first = failure(log.format("0.35", 2), tests=None, exit_code=2)

    assert first.signature == "exit 2 / starting / # error in #s"
    assert first.exception == ""
    assert first.signature == failure(log.format("0.54", 2), tests={}, exit_code=2).signature
    assert first.signature != failure(log.format("0.35", 2), tests=None, exit_code=3).signature


def test_a_script_ends_with_its_last_traceback() -> None:
    log = plain("OSError: try 1") + "again\n" + plain("ValueError: x")
    ignored = "Exception ignored in: <function f>\n" + plain("KeyError: 1")
    assert of(log + ignored).exception == "ValueError: x"


@pytest.mark.parametrize("share", [0, 1, 3])
def test_a_torn_log_is_read_all_the_same(share: int) -> None:
    log = recorded("xdist-auto-1")
    assert of(log[len(log) * share // 4 :]).signature.endswith(" | 10 tests b84baa9e4219")


def test_captured_output_is_no_failure() -> None:
    log = (
        "=== FAILURES ===\n___ test_a ___\n\n    def test_a():\n>       run()\n"
        "E       ValueError: x\n\ntests/test_a.py:3: ValueError\n"
        "--- Captured stderr call ---\n" + plain("KeyError: 1") + "=== 1 failed in 0.1s ===\n"
    )
    assert of(log).signature == "ValueError: x @ tests/test_a.py:test_a"


def test_what_calls_the_tests_is_no_place_of_failure() -> None:
    log = plain("AssertionError: x", file="/srv/x/tests/test_a.py")
    outer = log.replace("/srv/x/app.py", "/srv/x/site-packages/wrapper/api.py")
    assert of(outer).signature == "AssertionError: x @ test_a.py:run"


def test_the_runner_is_no_place_of_failure() -> None:
    log = plain("Failed: DID NOT RAISE", file="/srv/x/site-packages/_pytest/outcomes.py")
    assert of(log).signature == "Failed: DID NOT RAISE @ app.py:<module>"


def test_words_of_a_script_are_no_report_of_unittest() -> None:
    log = "".join(
        f"again\nERROR: retry\n{plain(text)}" for text in ("KeyError: 1", "ValueError: x")
    )
    assert of(log).exception == "ValueError: x"


def test_only_the_thread_that_crashed_counts() -> None:
    log = (
        "Fatal Python error: Aborted\n\nThread 0x01 (most recent call first):\n"
        '  File "/e/site-packages/idle/a.py", line 1 in wait\n\n'
        "Current thread 0x02 (most recent call first):\n"
        '  File "/e/site-packages/busy/b.py", line 1 in work\n'
        '  File "/srv/app.py", line 1 in <module>\n'
    )
    assert of(log).signature == "Fatal Python error: Aborted @ busy/b.py:work"


QUOTED = """\
Traceback (most recent call last):
  File "/srv/tests/test_a.py", line 3, in test_a
    assert done.returncode == 0, done.stderr
AssertionError: Traceback (most recent call last):
  File "/e/site-packages/black/__init__.py", line 7, in main
    from click import gone
ImportError: cannot import name 'gone' from 'click'
"""


@pytest.mark.parametrize(
    "log",
    [
        QUOTED,
        f"{'=' * 70}\nFAIL: test_a (tests.A)\n{'-' * 70}\n{QUOTED}",
        "___ test_a ___\n" + "".join(f"E   {line}\n" for line in QUOTED.split("\n")[3:-1]),
        "___ test_a ___\nE   AssertionError: Traceback (most recent call last):\n"
        + "".join(f"E     {line}\n" for line in [*QUOTED.split("\n")[4:-1], "assert 1 == 0"]),
    ],
)
def test_the_exception_of_a_process_that_a_test_started_is_the_failure(log: str) -> None:
    assert of(log).signature.partition(" | ")[0] == (
        "ImportError: cannot import name 'gone' from 'click' @ black/__init__.py:main"
    )


def test_a_large_log_is_read_at_both_ends() -> None:
    noise = "x" * 100 + "\n"
    first = of(plain("ValueError: x") + noise * 100_000)
    last = of(noise * 100_000 + plain("ValueError: x"))

    assert first.signature == last.signature == of(plain("ValueError: x")).signature


LINES = [
    "Traceback (most recent call last):", '  File "/x/site-packages/a.py", line 3, in f', "    code",
    "ValueError: x", "E   ValueError: y", "E", "a.py:3: ValueError", "a.py:3: in f", "_ _ _ _",
    "____ test_a ____", "=== FAILURES ===", "=== short test summary info ===", "FAILED a.py::b - x",
    "  + Exception Group Traceback (most recent call last):", "  | ExceptionGroup: x", "  +-+--- 1 ---",
    "    | ValueError: y", "--- Captured stdout call ---", "Fatal Python error: x", "", "\x1b[0m\x07",
    "During handling of the above exception, another exception occurred:", 'File "x", line 3',
    "=====", "FAIL: test_a", "Current thread 0x1 (most recent call first):", "\u202e" * 2000,
]  # fmt: skip


@settings(max_examples=200)
@given(st.lists(st.sampled_from(LINES) | st.text(max_size=20), max_size=40).map("\n".join))
def test_any_log_has_a_short_and_clean_answer(log: str) -> None:
    found = of(log)

    assert 0 < len(found.signature) <= 320
    assert len(found.exception) <= 300
    assert found.exception.isprintable()
    assert found.signature.isprintable()
    lines = found.excerpt.split("\n")
    assert len(lines) <= 40
    assert all(line.isprintable() and len(line) <= 300 for line in lines)
    assert of(log) == found
