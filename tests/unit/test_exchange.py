"""What a trial is told and what it tells comes out of the files as it went in."""

from __future__ import annotations

import json
import stat
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nox_envs.outcome import Failure, Outcome, Trial
from nox_envs.run.exchange import GivenWheel, TrialOrder, TrialResult
from nox_envs.upgrade.trials import Shown

ORDER = TrialOrder(
    cell="test-3.11(django='4.2')",
    python="3.11",
    lock="/tmp/a/lock/pylock.toml",
    wheels=(
        GivenWheel(
            name="demo",
            version="1.0+local",
            path="/tmp/a/demo-1.0-py3-none-any.whl",
            sha256="a" * 64,
            content="b" * 64,
            directory="../packages/demo",
            editable=True,
        ),
    ),
    result="/tmp/a/result.json",
    junit="",
    evidence="/tmp/a/evidence",
    watch=("demo", "six"),
    cache="/tmp/a/cache",
    path="/opt/python/bin",
    apart=True,
)
WORDS = st.text(st.characters(), max_size=8)
NAMES = st.lists(WORDS, max_size=3).map(tuple)
WHEELS = st.builds(
    GivenWheel, name=WORDS, version=WORDS, path=WORDS, sha256=WORDS, content=WORDS,
    directory=WORDS, editable=st.booleans(),
)  # fmt: skip


def test_an_order_is_read_as_it_was_written(tmp_path: Path) -> None:
    ORDER.write(tmp_path / "order.json")
    assert TrialOrder.read(tmp_path / "order.json") == ORDER


@settings(max_examples=40)
@given(
    st.builds(
        TrialOrder,
        cell=WORDS,
        python=WORDS,
        lock=WORDS,
        wheels=st.lists(
            WHEELS,
            max_size=2,
        ).map(tuple),
        result=WORDS,
        junit=WORDS,
        evidence=WORDS,
        watch=NAMES,
        cache=WORDS,
        path=WORDS,
        apart=st.booleans(),
    )
)
def test_every_order_is_read_as_it_was_written(order: TrialOrder) -> None:
    with tempfile.TemporaryDirectory() as directory:
        order.write(Path(directory, "order.json"))
        assert TrialOrder.read(Path(directory, "order.json")) == order


@settings(max_examples=40)
@given(
    st.builds(
        TrialResult,
        ready=st.booleans(),
        passed=st.booleans(),
        stop=WORDS,
        skipped=st.booleans(),
        error=WORDS,
        reason=WORDS,
        seconds=st.floats(0, 1e6),
        owners=st.dictionaries(WORDS, NAMES, max_size=2),
        modules=st.dictionaries(WORDS, st.none() | NAMES, max_size=2),
        requires=st.dictionaries(WORDS, NAMES, max_size=2),
        undeclared=st.dictionaries(WORDS, WORDS, max_size=2),
    )
)
def test_every_result_is_read_as_it_was_written(result: TrialResult) -> None:
    with tempfile.TemporaryDirectory() as directory:
        result.write(Path(directory, "result.json"))
        assert TrialResult.read(Path(directory, "result.json")) == result


@pytest.mark.parametrize("text", [None, "", "{", '{"ready": tr', "\x00"])
def test_what_cannot_be_read_was_not_told(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "result.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    assert TrialResult.read(path) is None


def test_bytes_that_are_no_text_were_not_told(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_bytes(b"\xff\xfe{")
    assert TrialResult.read(tmp_path / "result.json") is None


@pytest.mark.parametrize(
    "data", [{}, [], None, {"owners": {}, "requires": {}, "modules": {}, "new": 1}]
)
def test_a_file_of_another_shape_was_not_told(tmp_path: Path, data: Any) -> None:
    """The user's tests run beside it, and may do what they like."""
    (tmp_path / "result.json").write_text(json.dumps(data), encoding="utf-8")
    assert TrialResult.read(tmp_path / "result.json") is None


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such modes on Windows")
@pytest.mark.parametrize("told", [ORDER, TrialResult()])
def test_nobody_else_can_read_either(tmp_path: Path, told: TrialOrder | TrialResult) -> None:
    told.write(tmp_path / "told.json")
    assert stat.S_IMODE((tmp_path / "told.json").stat().st_mode) == 0o600


def test_a_result_is_told_anew_as_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    TrialResult(ready=True).write(path)
    TrialResult(ready=True, passed=True).write(path)
    assert TrialResult.read(path) == TrialResult(ready=True, passed=True)
    assert [each.name for each in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.parametrize("failure", [None, Failure(signature="s", tests={"t::a": "boom"})])
def test_what_a_trial_showed_is_remembered_whole(failure: Failure | None) -> None:
    trial = Trial(
        id="t1", cell="test-3.11", python="3.11", outcome=Outcome.FAIL, failure=failure,
        changes={"a": ("1", "2")}, moved={"b": (None, "1"), "c": ("1", None)},
    )  # fmt: skip
    shown = Shown(
        trial=trial, suspects=("a",), exercised={"a": True, "b": False, "c": None},
        requires={"a": ("b", "c"), "b": ()}, seconds=1.5, is_stopping=True, passed_tests=2,
    )  # fmt: skip
    assert Shown.from_dict(json.loads(json.dumps(shown.to_dict()))) == shown
