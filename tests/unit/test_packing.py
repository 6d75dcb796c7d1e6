"""Where a bundle and its packages appear, and what stays if they cannot be made."""

from __future__ import annotations

import errno
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from nox_envs import _files, _process
from nox_envs.bundle import packing
from nox_envs.errors import DiskFull
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


def test_a_target_without_space_is_named(
    bundle: packing.Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(packing, "_install", install)
    monkeypatch.setattr(packing, "_compare", lambda *_: None)
    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(DiskFull) as caught, _files.explained("another place"):
        packing.unpack(bundle, tmp_path / "site.zip", {})
    assert caught.value.path == str(tmp_path / "site.zip")


def test_a_target_that_takes_not_all_is_named(
    bundle: packing.Bundle, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "OSError: [Errno 28] No space left on device"
    done = _process.Completed(command=(), returncode=1, stdout="", stderr=said)
    monkeypatch.setattr(_process, "run", lambda *_, **__: done)
    monkeypatch.setattr(_files, "fuller", lambda path: path)
    with pytest.raises(DiskFull) as caught:
        packing.unpack(bundle, target, {})
    assert caught.value.path == str(target)
    monkeypatch.setattr(_files, "fuller", lambda _: Path("elsewhere"))
    with pytest.raises(DiskFull, match="elsewhere"):
        packing.unpack(bundle, target, {})
