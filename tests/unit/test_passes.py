"""What a pass depends on, and what is remembered of it."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, cast

import pytest

from nox_envs.passes import Conditions, last_pass, note_pass

if TYPE_CHECKING:
    from pathlib import Path

    from nox_envs.toolbox import Job

CONDITIONS = Conditions(
    lock="11",
    interpreter=["3.12.1", "main", "/usr"],
    sources="22",
    code="33",
    posargs=["-k", "a b"],
    arguments={"django": "'4.2'", "speed": "1"},
    variables={"MODE": "x", "TZ": ""},
    timeout=None,
)


class At:
    """As much of a job as a pass is remembered under."""

    def __init__(self, cache: Path, name: str = "test-3.12") -> None:
        self.cache, self.name = cache, name


def job(cache: Path, name: str = "test-3.12") -> Job:
    return cast("Job", At(cache, name))


def test_the_key_of_one_format() -> None:
    # Where this changes, passes of the past are believed no more; `_FORMAT` says whether to.
    assert CONDITIONS.key == "79aa56cd02de83a789071f6857667fafa5c3a1709db3c66d8d4d25fefe634c73"


@pytest.mark.parametrize(
    ("field", "others"),
    [
        ("lock", ["12", ""]),
        ("interpreter", [["3.12.2", "main", "/usr"], ["3.12.1", "", "/usr"],
                         ["3.12.1", "main", "/opt"]]),
        ("sources", ["23"]),
        ("code", ["34"]),
        ("posargs", [[], ["a b", "-k"], ["-k", "a", "b"], ["-k a b"]]),
        ("arguments", [{"django": "4.2", "speed": "1"}, {"django": "'4.2'"},
                       {"django": "1", "speed": "'4.2'"}]),
        ("variables", [{"MODE": "x"}, {"MODE": "x", "TZ": "UTC"}, {"mode": "x", "TZ": ""}]),
        ("timeout", [0.5, 60.0]),
    ],
)  # fmt: skip
def test_each_field_counts(field: str, others: list[Any]) -> None:
    keys = {replace(CONDITIONS, **{field: other}).key for other in others}
    assert len(keys | {CONDITIONS.key}) == len(others) + 1


def test_no_field_is_left_out_above() -> None:
    (mark,) = cast("Any", test_each_field_counts).pytestmark
    assert {field for field, _ in mark.args[1]} == {field.name for field in fields(Conditions)}


def test_what_one_field_holds_is_not_taken_for_another() -> None:
    moved = replace(CONDITIONS, lock=CONDITIONS.sources, sources=CONDITIONS.lock)
    assert moved.key != CONDITIONS.key


def test_what_means_the_same_has_one_key() -> None:
    turned = replace(
        CONDITIONS,
        arguments=dict(sorted(CONDITIONS.arguments.items(), reverse=True)),
        variables=dict(sorted(CONDITIONS.variables.items(), reverse=True)),
        posargs=tuple(CONDITIONS.posargs),
    )
    assert turned.key == CONDITIONS.key


def test_bytes_that_are_no_text_have_a_key() -> None:
    odd = {replace(CONDITIONS, posargs=[word]).key for word in ("\udcff", "\udcfe", "?")}
    assert len(odd) == 3


def test_a_pass_is_remembered(tmp_path: Path) -> None:
    assert last_pass(job(tmp_path), CONDITIONS) is None
    note_pass(job(tmp_path), CONDITIONS)
    when = last_pass(job(tmp_path), CONDITIONS)
    assert when is not None
    assert timedelta(0) <= datetime.now(timezone.utc) - when < timedelta(minutes=1)


def test_a_pass_is_that_of_one_cell_under_its_conditions(tmp_path: Path) -> None:
    note_pass(job(tmp_path), CONDITIONS)
    other = replace(CONDITIONS, sources="23")
    assert last_pass(job(tmp_path, "test-3.13"), CONDITIONS) is None
    assert last_pass(job(tmp_path), other) is None
    note_pass(job(tmp_path), other)
    assert last_pass(job(tmp_path), other) is not None
    assert last_pass(job(tmp_path), CONDITIONS) is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"key": 1}', '{"key": "KEY"}', '{"key": "KEY", "when": "x"}',
             '{"key": "KEY", "when": 7}']
)  # fmt: skip
def test_what_cannot_be_read_is_no_pass(tmp_path: Path, text: str) -> None:
    note_pass(job(tmp_path), CONDITIONS)
    (path,) = (each for each in tmp_path.rglob("*") if each.is_file())
    path.write_text(text.replace("KEY", CONDITIONS.key), encoding="utf-8")
    assert last_pass(job(tmp_path), CONDITIONS) is None
