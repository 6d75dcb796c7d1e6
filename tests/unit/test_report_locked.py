"""What is said of the locks of a team."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nox_envs.report.locked import LockFile, LockReport, terminal, to_dict, verdict

SAME = LockFile(cell="test-3.10", file="locks/pylock.test-3-10.toml", state="unchanged", packages=3)
MADE = replace(SAME, cell="test-3.11", file="locks/pylock.test-3-11.toml", state="new", packages=12)
MOVED = replace(
    SAME,
    cell="test-3.12",
    state="changed",
    declared=("a<2 is now a<3", "b was added"),
    moved={"a": ("1.0", "2.0"), "b": (None, "1"), "c": ("1", None)},
    others=("the environment that it is for", "the files of d"),
)
FAILED = LockFile(cell="test-3.13", file="locks/x.toml", state="error", error="a has no release 9")
REPORT = LockReport(
    sessions=("test",),
    files=(SAME, MADE, MOVED, FAILED),
    removed=(("locks/pylock.old.toml", "old"),),
    left_out=(("exact", "uv.lock"),),
)


def test_what_was_written() -> None:
    assert (
        terminal(REPORT)
        == """\
4 locks: 1 as it was, 1 new, 1 changed, 1 not locked.

  cell        file                          packages
  test-3.10   locks/pylock.test-3-10.toml   3          as it was
  test-3.11   locks/pylock.test-3-11.toml   12         new
  test-3.12   locks/pylock.test-3-10.toml   3          changed
  test-3.13   locks/x.toml                             not locked

test-3.12:
  a<2 is now a<3
  b was added
  a 1.0 -> 2.0, b 1 (new), c (gone)
  not the same in the file: the environment that it is for and the files of d
test-3.13:
  a has no release 9

locks/pylock.old.toml was removed: no cell reads it (it was for old).
exact has no lock of ours: uv.lock decides.
"""
    )


def test_a_file_that_could_not_be_read_is_not_new() -> None:
    broken = replace(SAME, state="unreadable", error="no key (at line 1, column 3)")
    report = LockReport(sessions=("test",), files=(broken,))
    reason = "\n\ntest-3.10:\n  the file could not be read: no key (at line 1, column 3)\n"
    assert terminal(report).startswith("1 lock: 1 written anew.\n")
    assert terminal(report).endswith(reason)
    assert (report.status, to_dict(report)["locks"][0]["error"]) == ("ok", broken.error)
    checked = replace(report, checks=True)
    assert terminal(checked).startswith("1 lock: 1 unreadable.\n")
    assert terminal(checked).endswith(reason)
    assert checked.status == "broken"


@pytest.mark.parametrize(
    ("report", "status", "said"),
    [
        (REPORT, "error", "test-3.13 could not be locked"),
        (replace(REPORT, files=(SAME, MADE, MOVED)), "ok", ""),
        (replace(REPORT, files=(SAME,), removed=(), checks=True), "ok", ""),
        (
            replace(REPORT, files=(SAME, MOVED), removed=(), checks=True),
            "broken",
            "1 lock is not what is declared; to write it: nox -s lock",
        ),
        (
            replace(REPORT, files=(MADE,), checks=True),
            "broken",
            "2 locks are not what is declared; to write them: nox -s lock",
        ),
    ],
)
def test_when_it_fails(report: LockReport, status: str, said: str) -> None:
    assert report.status == status
    assert verdict(report, command="nox -s lock") == said


def test_a_check_says_what_would_be_done() -> None:
    said = terminal(replace(REPORT, checks=True))
    assert said.startswith("4 locks: 1 right, 1 missing, 1 out of date, 1 not locked.\n")
    assert "locks/pylock.old.toml would be removed" in said


def test_many_moves_are_not_all_named() -> None:
    moved = {f"p{number:02}": ("1", "2") for number in range(20)}
    said = terminal(LockReport(sessions=("test",), files=(replace(MOVED, moved=moved),)))
    assert "p10 1 -> 2, and 9 more\n" in said


def test_no_cell_may_be_left() -> None:
    said = terminal(LockReport(sessions=("exact",), files=(), left_out=REPORT.left_out))
    assert said == (
        "0 locks: there is nothing to do.\n\nexact has no lock of ours: uv.lock decides.\n"
    )


def test_equal_reasons_are_told_once() -> None:
    files = (MOVED, replace(MOVED, cell="test-3.9"))
    said = terminal(LockReport(sessions=("test",), files=files))
    assert said.count("b was added") == 1
    assert "test-3.12 and test-3.9:\n" in said


def test_the_document() -> None:
    document = to_dict(REPORT)
    assert json.loads(json.dumps(document)) == document
    assert {key: document[key] for key in ("schema", "kind", "status", "check")} == {
        "schema": "nox-envs.report/1", "kind": "lock", "status": "error", "check": False,
    }  # fmt: skip
    assert document["locks"][2] == {
        "cell": "test-3.12", "file": "locks/pylock.test-3-10.toml", "state": "changed",
        "packages": 3, "declared": ["a<2 is now a<3", "b was added"],
        "changes": {"a": ["1.0", "2.0"], "b": [None, "1"], "c": ["1", None]},
        "others": ["the environment that it is for", "the files of d"], "error": None,
    }  # fmt: skip
    assert document["removed"] == [{"file": "locks/pylock.old.toml", "cell": "old"}]
    assert document["left_out"] == [{"cell": "exact", "lock": "uv.lock"}]
