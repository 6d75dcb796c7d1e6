"""Files that are written: which disk is full."""

from __future__ import annotations

import errno
import io
import os
import shutil
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from nox_envs import _files
from nox_envs.errors import DiskFull

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def full(*names: object) -> NoReturn:
    words = [str(name) for name in names]
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *(words[:1]), *([None] * 1), *words[1:])


class Full(io.StringIO):
    """What is written to it finds no space, and the system names no file."""

    def write(self, _: str, /) -> NoReturn:
        full()


@pytest.mark.parametrize(
    "write",
    [
        lambda path: _files.write_text(path, "text"),
        lambda path: _files.write_exactly(path, "text"),
        lambda path: _files.append_line(path, b"line"),
    ],
    ids=["whole", "again", "a line"],
)
def test_the_disk_of_what_was_written_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], Any]
) -> None:
    path = tmp_path / "there" / "it.txt"
    path.parent.mkdir()
    path.write_text("before\n")

    def no_space(handle: object, *_: object, **__: object) -> Full:
        os.close(int(str(handle)))
        return Full()

    monkeypatch.setattr(os, "fdopen", no_space)
    monkeypatch.setattr(type(path), "write_bytes", lambda *_: full())
    monkeypatch.setattr(os, "write", lambda *_: full())
    with pytest.raises(DiskFull) as caught, _files.explained("another place"):
        write(path)
    assert caught.value.path == str(path)
    monkeypatch.undo()
    assert path.read_text() == "before\n"


def test_the_disk_that_is_copied_to_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "copyfile", full)  # It names both.
    with pytest.raises(DiskFull) as caught, _files.explained("another place"):
        _files.move_into(tmp_path / "a.whl", tmp_path / "wheels")
    assert caught.value.path == str(tmp_path / "wheels" / "a.whl")
    with pytest.raises(DiskFull) as caught, _files.explained("another place"):
        full("from", "to")
    assert caught.value.path == "to"


def test_of_two_disks_the_fuller_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, temporary = tmp_path / "target", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    usage = shutil.disk_usage(tmp_path)
    for one, other in ((target, temporary), (temporary, target)):
        known = {temporary: 9, tmp_path: 9} | {one if one.exists() else tmp_path: 1}
        monkeypatch.setattr(
            shutil, "disk_usage", lambda path, known=known: usage._replace(free=known[path])
        )
        assert _files.fuller(target) == one, other
