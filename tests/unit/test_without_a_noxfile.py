"""The words of campaigns without a noxfile, and what becomes of the copy of a project."""

from __future__ import annotations

import contextlib
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from nox_envs import _files, _process, borrowed, cli, starting
from nox_envs.borrowed import Borrowed, home
from nox_envs.commands import campaign
from nox_envs.commands.campaign import read
from nox_envs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
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
    assert read(["-fx/noxfile.py"], cwd=tmp_path).noxfile == "x/noxfile.py"
    assert read(["--match", "-fx"], cwd=tmp_path).words == ("--match", "-fx")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["services/*"], "there is no directory services/*"),
        (["--json"], "--json wants a value"),
        (["--json", "."], "--json wants a file, and . is a directory"),
    ],
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


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Three directories, of which one has nothing to begin with; what nox exits with in a, and c."""
    codes = {"a": 0, "c": 0}
    for name in ("a", "b", "c"):
        (tmp_path / "services" / name).mkdir(parents=True)
    for name in codes:
        (tmp_path / "services" / name / "noxfile.py").write_text("")

    def attend(command: list[str], *, heard: Any, **_: object) -> int:
        (name,) = (name for name in codes if f"/{name}/noxfile.py" in " ".join(command))
        if codes[name] < 0:
            heard(-codes[name])
        return max(codes[name], 0)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_process, "attend", attend)
    monkeypatch.setattr(campaign, "found_in", lambda *_: SimpleNamespace(taken=()))
    return codes


EACH = ["upgrade", "services/b", "services/a", "services/c", "--json", "all.json"]


def test_a_directory_that_cannot_be_asked_about_is_one_row(
    services: dict[str, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    services["a"] = 137  # Out of memory.
    assert cli.main(EACH) == 2
    said = capsys.readouterr()
    assert "services/b has neither a noxfile nor anything" in said.err
    rows = [line.split() for line in said.out.splitlines()[-3:]]
    assert [(row[0], row[-1]) for row in rows] == [
        ("services/b", "2"), ("services/a", "137"), ("services/c", "0"),
    ]  # fmt: skip
    reports = json.loads((tmp_path / "all.json").read_text())["reports"]
    assert reports == dict.fromkeys(["services/b", "services/a", "services/c"])


@pytest.mark.parametrize("code", [130, -15], ids=["nox was ended", "nox ended by itself"])
def test_a_signal_stops_all_that_is_left(
    services: dict[str, int], tmp_path: Path, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    services["a"] = code
    assert cli.main(EACH) == 130
    assert capsys.readouterr().out.splitlines()[-1].split() == ["services/c", "not", "run"]
    assert list(json.loads((tmp_path / "all.json").read_text())["reports"])[-1] == "services/c"


@pytest.mark.parametrize(("code", "hinted"), [(1, False), (3, True)])
def test_a_noxfile_without_that_session(
    services: dict[str, int], capsys: pytest.CaptureFixture[str], *, code: int, hinted: bool
) -> None:
    services["a"] = code
    assert cli.main(["upgrade", "services/a"]) == code
    assert ("nox_envs.campaigns(...)" in capsys.readouterr().err) is hinted


@pytest.mark.parametrize(("code", "given"), [(0, 1), (1, 1), (130, 0), (137, 0)])
def test_edits_of_what_was_killed_are_not_taken(
    copied: Borrowed, monkeypatch: pytest.MonkeyPatch, code: int, given: int
) -> None:
    def attend(*_: object, **__: object) -> int:
        (copied.copy / "a.txt").write_bytes(b"a==2\r\n")
        return code

    @contextlib.contextmanager
    def lent(*_: object, **__: object) -> Iterator[Borrowed]:
        yield copied

    monkeypatch.chdir(copied.original)
    monkeypatch.setattr(_process, "attend", attend)
    monkeypatch.setattr(
        campaign, "found_in", lambda *_: SimpleNamespace(taken=("a.txt",), pythons=())
    )
    monkeypatch.setattr(starting, "noxfile", lambda *_, **__: "")
    monkeypatch.setattr(borrowed, "borrowed", lent)
    assert cli.main(["upgrade", "--apply"]) == code
    assert (copied.original / "a.txt").read_bytes() == b"a==%d\r\n" % (1 + given)
