"""What earlier matrices have left for the next one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from nox_envs.upgrade.past import last_cells, note_seconds, seconds

if TYPE_CHECKING:
    from pathlib import Path


def test_how_long_cells_took(tmp_path: Path) -> None:
    assert seconds(tmp_path) == {}
    note_seconds(tmp_path, {"a": 1.0, "b": 2.0})
    note_seconds(tmp_path, {"a": 3.0})
    assert seconds(tmp_path) == {"a": 3.0, "b": 2.0}
    note_seconds(tmp_path, {str(number): 1.0 for number in range(4999)})
    assert (len(seconds(tmp_path)), "a" in seconds(tmp_path)) == (5000, True)
    assert "b" not in seconds(tmp_path)  # It was not run for longest.


@pytest.mark.parametrize("text", ["", "[1]", "null", '{"a": "x", "b": 2}'])
def test_what_is_no_duration_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "durations.json").write_text(text, encoding="utf-8")
    assert "a" not in seconds(tmp_path)
    note_seconds(tmp_path, {"c": 1.0})
    assert seconds(tmp_path)["c"] == 1.0


def campaign(campaigns: Path, name: str, **facts: Any) -> Path:
    directory = campaigns / name
    directory.mkdir()
    text = json.dumps({"kind": "matrix", "started": "2026-11-21T09:00:00Z", "cells": {}, **facts})
    (directory / "report.json").write_text(text, encoding="utf-8")
    return directory


def test_the_last_cells_of_the_same_session(tmp_path: Path) -> None:
    own = tmp_path / "matrix-20261121-100000"
    assert last_cells(own) is None
    campaign(tmp_path, "matrix-20261121-090000", cells={"a": {}})
    campaign(tmp_path, "matrix-20261121-090000-2", cells={"b": {}})
    campaign(tmp_path, "matrix-20261120-090000", started="2026-11-20T09:00:00Z")
    campaign(tmp_path, "matrix-django-20261121-095500", started="2026-11-21T09:55:00Z")
    campaign(tmp_path, "matrix-20261121-095000", kind="floors", started="2026-11-21T09:50:00Z")
    campaign(tmp_path, "matrix-20261121-095100", cells=[], started="2026-11-21T09:51:00Z")
    campaign(tmp_path, own.name, started="2026-11-21T10:00:00Z")
    assert last_cells(own) == {"a": {}, "b": {}}
