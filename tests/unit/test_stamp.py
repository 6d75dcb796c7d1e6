"""Stamps: written last, and absent when anything about them is wrong."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nox_envs.install import stamp
from nox_envs.install.stamp import STAMP_NAME, Stamp

if TYPE_CHECKING:
    from pathlib import Path

TEXT = st.text(max_size=20)
STAMPS = st.builds(
    Stamp, cell=TEXT, python=TEXT, base_prefix=TEXT, inputs=TEXT, lock=TEXT, tool=TEXT, made=TEXT, token=TEXT,
    undeclared=st.dictionaries(TEXT, TEXT, max_size=3), environment=TEXT, isolation=TEXT,
    sources=st.dictionaries(TEXT, TEXT, max_size=3),
)  # fmt: skip
ONE = Stamp(
    cell="test-3.11", python="3.11.7", base_prefix="/usr", inputs="a", lock="b", tool="uv", token="t",
    made="2026-01-01T00:00:00Z", undeclared={"six": "1.16.0"}, environment="/project/.nox/test-3-11",
    isolation="detect", sources={"/project": "d"},
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(made=STAMPS)
def test_what_is_written_is_read(tmp_path: Path, made: Stamp) -> None:
    stamp.write(tmp_path, made)
    assert stamp.read(tmp_path) == made


def test_the_file(tmp_path: Path) -> None:
    stamp.write(tmp_path, ONE)
    assert [path.name for path in tmp_path.iterdir()] == [STAMP_NAME]
    text = (tmp_path / STAMP_NAME).read_text(encoding="utf-8")
    assert json.loads(text) == {"schema": 1, **asdict(ONE)}
    assert text.endswith("}\n")


def test_an_environment_without_a_stamp_has_none(tmp_path: Path) -> None:
    assert stamp.read(tmp_path) is None
    assert stamp.read(tmp_path / "nowhere") is None


def test_removed_is_absent_and_may_be_removed_again(tmp_path: Path) -> None:
    stamp.write(tmp_path, ONE)
    stamp.remove(tmp_path)
    assert stamp.read(tmp_path) is None
    stamp.remove(tmp_path)


@pytest.mark.parametrize(
    "garbage",
    [
        b"", b"{", b"[]", b"null", b"1", b'"x"', b"{}", b'{"schema": 1}', b"\xff\xfe\x00", b"\0" * 80,
    ],
)  # fmt: skip
def test_garbage_is_absence(tmp_path: Path, garbage: bytes) -> None:
    (tmp_path / STAMP_NAME).write_bytes(garbage)
    assert stamp.read(tmp_path) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_stamp_that_was_cut_is_absence(tmp_path: Path, data: st.DataObject) -> None:
    stamp.write(tmp_path, ONE)
    whole = (tmp_path / STAMP_NAME).read_bytes().rstrip()
    end = data.draw(st.integers(0, len(whole) - 1))
    (tmp_path / STAMP_NAME).write_bytes(whole[:end])
    assert stamp.read(tmp_path) is None


@pytest.mark.parametrize("name", [*Stamp.__dataclass_fields__, "schema"])
def test_each_fact_is_needed(tmp_path: Path, name: str) -> None:
    facts = ONE.to_dict()
    del facts[name]
    (tmp_path / STAMP_NAME).write_text(json.dumps(facts), encoding="utf-8")
    assert stamp.read(tmp_path) is None


def test_another_schema_is_absence_and_what_is_new_in_ours_is_ignored(tmp_path: Path) -> None:
    file = tmp_path / STAMP_NAME
    file.write_text(json.dumps({**ONE.to_dict(), "schema": 2}), encoding="utf-8")
    assert stamp.read(tmp_path) is None
    file.write_text(json.dumps({**ONE.to_dict(), "more": True}), encoding="utf-8")
    assert stamp.read(tmp_path) == ONE


def test_a_directory_in_its_place_is_absence(tmp_path: Path) -> None:
    (tmp_path / STAMP_NAME).mkdir()
    assert stamp.read(tmp_path) is None
