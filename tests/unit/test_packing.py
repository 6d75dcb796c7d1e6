"""Where a bundle and its packages appear, and what stays if they cannot be made."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

from nox_envs.bundle import packing
from nox_envs.interpreter import Interpreter

INTERPRETER = Interpreter(
    path=Path("python"), version="3.11.7", prefix=Path("env"), base_prefix=Path("base"),
    purelib=Path("lib"), platlib=Path("lib"), build="", markers={},
)  # fmt: skip


@pytest.fixture
def bundle(tmp_path: Path) -> packing.Bundle:
    return packing.Bundle(
        directory=tmp_path / "bundle", cell="test", interpreter=INTERPRETER, pins={}, wheels=()
    )


@pytest.fixture(params=[True, False], ids=["there", "new"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    place = tmp_path / "out" / "site"
    (place if request.param else place.parent).mkdir(parents=True)
    return place


def install(_: Any, place: Path, *__: object) -> None:
    place.mkdir()
    (place / "alpha.py").write_text("")


def breaks(*_: object) -> None:
    raise KeyboardInterrupt


def test_packages_appear(
    bundle: packing.Bundle, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "_install", install)
    monkeypatch.setattr(packing, "_compare", lambda *_: None)
    packing.unpack(bundle, target, {})
    assert [path.name for path in target.iterdir()] == ["alpha.py"]
    assert list(target.parent.iterdir()) == [target]


def test_what_was_there_stays(
    bundle: packing.Bundle, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    was_there = target.exists()
    monkeypatch.setattr(packing, "_install", install)
    monkeypatch.setattr(packing, "_compare", breaks)
    with pytest.raises(KeyboardInterrupt):
        packing.unpack(bundle, target, {})
    assert [*target.parent.rglob("*")] == [target] * was_there


def test_half_of_a_zip_is_none(
    bundle: packing.Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "_install", install)
    monkeypatch.setattr(packing, "_compare", lambda *_: None)
    target = tmp_path / "out" / "site.zip"
    with monkeypatch.context() as patched:
        patched.setattr(zipfile.ZipFile, "writestr", breaks)
        with pytest.raises(KeyboardInterrupt):
            packing.unpack(bundle, target, {})
    assert list(target.parent.iterdir()) == []
    packing.unpack(bundle, target, {})
    assert zipfile.ZipFile(target).namelist() == ["alpha.py"]
