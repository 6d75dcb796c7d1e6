"""The words of campaigns without a noxfile, and what becomes of the copy of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nox_envs import _files
from nox_envs.borrowed import Borrowed, home
from nox_envs.commands.campaign import read
from nox_envs.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def test_directories_are_told_from_what_options_say(tmp_path: Path) -> None:
    for name in ("services/a", "services/b"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "old.txt").write_text("")
    words = ["services/a", "django", "--python", "3.11", "--json=out/r.json", "services/b/",
             "--match", "a/b", "--good", "old.txt", "--bad", "git:x/y", "--apply"]  # fmt: skip
    asked = read(words, cwd=tmp_path)
    assert asked.directories == ("services/a", "services/b/")
    report = str(tmp_path / "out/r.json")
    assert asked.json == report
    assert asked.words == (
        "django", "--python", "3.11", "--json", report, "--match", "a/b",
        "--good", str(tmp_path / "old.txt"), "--bad", "git:x/y", "--apply",
    )  # fmt: skip


def test_what_is_for_nox(tmp_path: Path) -> None:
    asked = read(["-f", "x/noxfile.py", "--envdir=y", "--json", "-"], cwd=tmp_path)
    assert (asked.noxfile, asked.envdir, asked.json) == ("x/noxfile.py", "y", "-")
    assert asked.words == ("--json", "-")


@pytest.mark.parametrize(
    ("words", "problem"),
    [(["services/*"], "there is no directory services/*"), (["--json"], "--json wants a value")],
)
def test_words_that_cannot_be_meant(tmp_path: Path, words: list[str], problem: str) -> None:
    with pytest.raises(UsageError, match=problem.replace("*", r"\*")):
        read(words, cwd=tmp_path)


@pytest.fixture
def copied(tmp_path: Path) -> Borrowed:
    for place in ("original", "copy"):
        (tmp_path / place).mkdir()
        for name in ("a.txt", "b.txt"):
            (tmp_path / place / name).write_bytes(b"a==1\r\n")
    digest = _files.sha256(tmp_path / "copy" / "a.txt")
    return Borrowed(
        noxfile=tmp_path / "copy" / "noxfile.py",
        original=tmp_path / "original",
        copy=tmp_path / "copy",
        were={"a.txt": digest, "b.txt": digest},
    )


def test_only_what_was_edited_is_given_back(copied: Borrowed) -> None:
    (copied.copy / "a.txt").write_bytes(b"a==2\r\n")
    (copied.original / "b.txt").write_bytes(b"by hand")
    assert copied.give_back() == ("a.txt",)
    assert (copied.original / "a.txt").read_bytes() == b"a==2\r\n"
    assert (copied.original / "b.txt").read_bytes() == b"by hand"


def test_what_the_user_has_written_meanwhile_stays(copied: Borrowed) -> None:
    for name in ("a.txt", "b.txt"):
        (copied.copy / name).write_bytes(b"a==2\r\n")
    (copied.original / "b.txt").write_bytes(b"by hand")
    with pytest.raises(UsageError, match=r"b\.txt was changed in the meantime"):
        copied.give_back()
    assert (copied.original / "a.txt").read_bytes() == b"a==1\r\n"


@pytest.mark.parametrize(
    ("variables", "platform", "expected"),
    [
        ({"XDG_CACHE_HOME": "/c", "HOME": "/h"}, "linux", "/c/nox-envs"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/h"}, "linux", "/h/.cache/nox-envs"),
        ({"LOCALAPPDATA": "/l"}, "win32", "/l/nox-envs"),
    ],
)
def test_where_it_is_kept(variables: dict[str, str], platform: str, expected: str) -> None:
    assert home(variables, platform=platform).as_posix() == expected
