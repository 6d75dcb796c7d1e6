"""The journal: what was written stays, whatever happens after."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nox_envs.errors import NewerJournal
from nox_envs.outcome import Failure, Outcome, Trial
from nox_envs.run.journal import Journal, read, trial_from_dict, trial_to_dict

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXT = st.text(st.characters(), max_size=12)
"""Surrogates too: what a test prints need not be UTF-8."""
VERSION = st.none() | TEXT
CHANGES = st.dictionaries(TEXT, st.tuples(VERSION, VERSION), max_size=3)
SECONDS = st.floats(0, 1e9)
FAILURES = st.builds(
    Failure,
    signature=TEXT,
    exception=TEXT,
    tests=st.dictionaries(TEXT, TEXT, max_size=3),
    suspects=st.lists(TEXT, max_size=3).map(tuple),
    excerpt=TEXT,
)
TRIALS = st.builds(
    Trial,
    id=TEXT,
    cell=TEXT,
    python=TEXT,
    outcome=st.sampled_from(Outcome),
    changes=CHANGES,
    moved=CHANGES,
    seconds=SECONDS,
    lock=TEXT,
    log=TEXT,
    failure=st.none() | FAILURES,
    reason=TEXT,
    reused=st.booleans(),
    looked_up=st.none() | st.lists(TEXT, max_size=3).map(tuple),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "journal.jsonl"


def append(path: Path, *records: Mapping[str, Any]) -> None:
    for record in records:
        Journal(path).append(record)


def test_no_journal_has_no_records(path: Path) -> None:
    assert read(path) == []


def test_records_come_back_in_order_whatever_their_kind(path: Path) -> None:
    records: list[dict[str, Any]] = [
        {"kind": "trial", "text": "zwei\nZeilen \u2028 \udc80"},
        {"kind": "of-tomorrow", "more": {"x": [1, None]}},
        {},
    ]
    append(path, *records)
    assert read(path) == records
    assert path.read_bytes().isascii()
    assert path.read_bytes().count(b"\n") == 3


@settings(max_examples=60)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("append"), TEXT),
            st.tuples(st.just("torn"), st.integers(1, 20)),
            st.tuples(st.just("rubbish"), st.sampled_from([b"\0" * 9, b"\xff", b"[1]\n", b"{"])),
        ),
        max_size=8,
    )
)
def test_a_crash_costs_the_record_that_was_being_written_alone(
    steps: list[tuple[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "torn.jsonl"
    path.unlink(missing_ok=True)
    expected = []
    for kind, value in steps:
        if kind == "append":
            append(path, {"text": value})
            expected.append({"text": value})
        elif kind == "torn":
            append(path, {"text": "x" * 30})
            os.truncate(path, path.stat().st_size - 1 - value)
        else:
            with path.open("ab") as file:
                file.write(value)
    assert read(path) == expected


def test_many_append_at_once(path: Path) -> None:
    def work(worker: int) -> None:
        append(path, *({"worker": worker, "n": n, "pad": "x" * 5000} for n in range(20)))

    threads = [threading.Thread(target=work, args=[worker]) for worker in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = [(one["worker"], one["n"]) for one in read(path)]
    assert sorted(found) == [(worker, n) for worker in range(6) for n in range(20)]
    assert [n for worker, n in found if worker == 3] == list(range(20))


@pytest.mark.skipif(os.name == "nt", reason="there is no limit to set")
def test_a_full_disk_is_told_and_loses_nothing(path: Path) -> None:
    import resource

    append(path, {"n": 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 5, before[1]))
        for _ in range(2):  # The first finds room for a part of it, the second for nothing.
            with pytest.raises(OSError, match=r"\[Errno"):
                append(path, {"n": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert read(path) == [{"n": 1}]
    append(path, {"n": 3})
    assert read(path) == [{"n": 1}, {"n": 3}]


@pytest.mark.parametrize("value", [float("nan"), Path("x"), {1, 2}, object()])
def test_what_is_no_json_leaves_no_trace(value: object, path: Path) -> None:
    append(path, {"n": 1})
    before = path.read_bytes()
    with pytest.raises((TypeError, ValueError)):
        append(path, {"n": 2, "value": value})
    assert path.read_bytes() == before


def test_a_newer_journal_is_not_guessed_at(path: Path) -> None:
    append(path, {"n": 1})
    with path.open("a", encoding="utf-8") as file:
        file.write('{"n": 2, "schema": 2}\n')
    with pytest.raises(NewerJournal) as caught:
        read(path)
    assert caught.value.message == (
        f"{path} was written by a newer nox-envs (schema 2; this one reads up to 1)"
    )


# -- trials


@settings(max_examples=100)
@given(trial=TRIALS)
def test_a_trial_comes_back_as_it_was(trial: Trial) -> None:
    data = trial_to_dict(trial)
    assert json.loads(json.dumps(data)) == data
    assert trial_from_dict(json.loads(json.dumps(data))) == trial


def test_a_trial_of_another_version_is_read() -> None:
    data = {"id": "t1", "cell": "test-3.11", "python": "3.11", "outcome": "fail"}
    trial = Trial(id="t1", cell="test-3.11", python="3.11", outcome=Outcome.FAIL)
    assert trial_from_dict(data) == trial
    assert trial_from_dict({**data, "colour": "red"}) == trial
    found = trial_from_dict({**data, "failure": {"signature": "s", "colour": "red"}})
    assert found.failure == Failure(signature="s")


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": "of-tomorrow"},
        {"changes": {"x": ["1"]}},
        {"changes": 3},
        {"failure": {}},
        {"failure": "text"},
        {"looked_up": 1},
    ],
)
def test_what_is_no_trial_is_told(change: dict[str, Any]) -> None:
    good = trial_to_dict(Trial(id="t1", cell="c", python="3.11", outcome=Outcome.PASS))
    with pytest.raises(ValueError, match=r"no trial|is not a valid|not enough"):
        trial_from_dict({**good, **change})


def test_no_trial_without_an_outcome() -> None:
    with pytest.raises(ValueError, match="no trial: KeyError"):
        trial_from_dict({"id": "t1", "cell": "c", "python": "3.11"})
