"""The words of campaigns without a noxfile, and what becomes of the copy of a project."""

from __future__ import annotations

import contextlib
import errno
import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from nox_envs import _files, _process, borrowed, cli, settings, starting, tending
from nox_envs.borrowed import Borrowed, home
from nox_envs.called import Called
from nox_envs.commands import campaign
from nox_envs.commands.campaign import read
from nox_envs.errors import NotApplied, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


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
        (["--json", "file/m.json"], "--json file/m.json cannot be written: "),
        (["--markdown=file/a/m.md"], "--markdown file/a/m.md cannot be written: "),
    ],
)
def test_words_that_cannot_be_meant(tmp_path: Path, words: list[str], problem: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=problem.replace("*", r"\*")):
        read(words, cwd=tmp_path)


def test_a_directory_is_asked_about_once(tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "c").mkdir()
    (tmp_path / "link").symlink_to("a b", target_is_directory=True)
    words = ["link/", "c/", "a b/", "./c", str(tmp_path / "link")]
    assert read(words, cwd=tmp_path).directories == ("link/", "c/")


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


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, copied: Borrowed) -> dict[str, BaseException]:
    """What comes of writing a file of the project, by its name; both are edited."""
    errors: dict[str, BaseException] = {}
    write = _files.write_exactly

    def write_exactly(path: Path, text: str) -> None:
        if path.is_relative_to(copied.original) and path.name in errors:
            raise errors[path.name]
        write(path, text)

    for name in copied.were:
        (copied.copy / name).write_bytes(b"a==2\r\n")
    monkeypatch.setattr(_files, "write_exactly", write_exactly)
    return errors


def held(copied: Borrowed) -> set[bytes]:
    return {(copied.original / name).read_bytes() for name in copied.were}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "no", "b.txt"), "no permission for b.txt"),
        (OSError(errno.EIO, "broken", "b.txt"), r"\[Errno 5\] broken: 'b.txt'"),
    ],
)
def test_what_cannot_be_given_back_whole_is_taken_back(
    copied: Borrowed, refused: dict[str, BaseException], error: OSError, said: str
) -> None:
    refused["b.txt"] = error
    with pytest.raises(NotApplied, match=f"{said}; the files are as they were") as caught:
        copied.give_back()
    assert caught.value.detail == "b.txt"
    assert held(copied) == {b"a==1\r\n"}


def test_an_interrupt_takes_back_what_is_given_back(
    copied: Borrowed, refused: dict[str, BaseException]
) -> None:
    refused["b.txt"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        copied.give_back()
    assert held(copied) == {b"a==1\r\n"}


def test_what_cannot_be_taken_back_either_is_named(
    copied: Borrowed, refused: dict[str, BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused["b.txt"] = PermissionError(errno.EACCES, "no", "b.txt")
    write = _files.write_exactly

    def write_exactly(path: Path, text: str) -> None:
        write(path, text)
        refused["a.txt"] = PermissionError(errno.EACCES, "no", "a.txt")

    monkeypatch.setattr(_files, "write_exactly", write_exactly)
    said = r"no permission for b\.txt; what was written before could not be taken back: a\.txt"
    with pytest.raises(UsageError, match=said):
        copied.give_back()


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


def test_a_directory_that_is_no_package(
    services: dict[str, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hint = "hint: to ask about the directory:   nox-envs upgrade services/\n"
    assert services
    assert cli.main(["upgrade", "services"]) == 2
    assert capsys.readouterr().err.endswith(hint)
    services["a"] = 1
    for name in ("b", "c"):
        (tmp_path / "services" / "a" / "services" / name).mkdir(parents=True)
    monkeypatch.chdir("services/a")
    assert cli.main(["upgrade", "services"]) == 1
    assert capsys.readouterr().err.endswith(hint)
    services["a"] = 0
    assert cli.main(["upgrade", "services"]) == 0
    assert hint not in capsys.readouterr().err


def test_a_file_and_a_mistyped_directory_among_several(
    services: dict[str, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert services
    (tmp_path / "services/README.md").write_text("")
    words = ["services/README.md", "services/a", "services/typo", "services/c"]
    assert cli.main(["upgrade", *words]) == 2
    said = capsys.readouterr()
    assert "services/README.md is no directory, and left out.\n" in said.err
    assert "error: there is no directory services/typo\n" in said.err
    rows = [line.split() for line in said.out.splitlines()[-3:]]
    assert [(row[0], row[-1]) for row in rows] == [
        ("services/a", "0"), ("services/typo", "2"), ("services/c", "0"),
    ]  # fmt: skip
    assert cli.main(["upgrade", "services/README.md", "services/a"]) == 0
    assert cli.main(["upgrade", "services/README.md"]) == 2
    assert "there is no directory services/README.md" in capsys.readouterr().err


def test_the_report_of_all_is_no_file_of_a_project_later(
    services: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Path, bool]] = []
    monkeypatch.setattr(
        borrowed, "reported",
        lambda directory, report, **_: seen.append((directory, report.is_file())),
    )  # fmt: skip
    assert services
    cli.main(EACH)
    assert seen == [(Path("services") / name, True) for name in "bac"]


def test_a_report_that_only_we_want_is_none_that_was_asked_for(
    services: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []

    def attend(command: list[str], *, env: Mapping[str, str], **_: object) -> int:
        seen.append(command[command.index("upgrade") + 1 :])
        called = Called.from_text(env[settings.CALLED_VARIABLE])
        Path(called.report).write_text('{"kind": "matrix", "status": "ok"}')
        return 0

    monkeypatch.setattr(_process, "attend", attend)
    assert services
    cli.main([*EACH, "--resume"])
    assert seen == [["--", "--resume"]] * 2
    reports = json.loads((tmp_path / "all.json").read_text())["reports"]
    assert reports["services/a"]["status"] == "ok"


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


@pytest.fixture
def ended(copied: Borrowed, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What a campaign exits with that has edited a file of the copy."""
    codes = {"code": 0}

    def attend(_: object, *, env: Mapping[str, str], **__: object) -> int:
        (copied.copy / "a.txt").write_bytes(b"a==2\r\n")
        called = Called.from_text(env[settings.CALLED_VARIABLE])
        Path(called.applied).write_text("Checked.\n")
        return codes["code"]

    @contextlib.contextmanager
    def lent(*_: object, **__: object) -> Iterator[Borrowed]:
        yield copied

    monkeypatch.chdir(copied.original)
    monkeypatch.setattr(_process, "attend", attend)
    monkeypatch.setattr(
        campaign,
        "found_in",
        lambda *_: SimpleNamespace(taken=("a.txt",), pythons=(), left=("`x` of tox.ini",)),
    )
    monkeypatch.setattr(starting, "noxfile", lambda *_, **__: "")
    monkeypatch.setattr(borrowed, "borrowed", lent)
    return codes


@pytest.mark.parametrize(("code", "given"), [(0, 1), (1, 1), (130, 0), (137, 0)])
def test_edits_of_what_was_killed_are_not_taken(
    copied: Borrowed,
    ended: dict[str, int],
    capsys: pytest.CaptureFixture[str],
    code: int,
    given: int,
) -> None:
    ended["code"] = code
    assert cli.main(["upgrade", "--apply"]) == code
    assert (copied.original / "a.txt").read_bytes() == b"a==%d\r\n" % (1 + given)
    said = capsys.readouterr()
    assert f"Environments and reports: {copied.noxfile.parent / '.nox'}\n" in said.err
    assert "Not taken over: `x` of tox.ini.\n" in said.err
    assert said.out == "Checked.\n" * given


def test_what_is_said_of_edits_may_be_for_people_alone(
    ended: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended
    assert cli.main(["upgrade", "--apply", "--json", "-"]) == 0
    said = capsys.readouterr()
    assert (said.out, "Checked.\n" in said.err) == ("", True)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (PermissionError(errno.EACCES, "no", "b.txt"), "error: no permission for b.txt; the files"),
        (KeyboardInterrupt(), "Interrupted: nothing was written.\n"),
    ],
)
@pytest.mark.usefixtures("ended")
def test_nothing_is_claimed_of_what_was_not_given_back(
    copied: Borrowed,
    refused: dict[str, BaseException],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    told: str,
) -> None:
    refused["b.txt"] = error
    assert cli.main(["upgrade", "--apply"]) == (130 if told.startswith("Inter") else 2)
    said = capsys.readouterr()
    assert told in said.err
    assert "is written" not in said.err
    assert said.out == ""
    assert held(copied) == {b"a==1\r\n"}


# -- what is gone


def test_a_project_is_gone_where_the_directory_above_it_is_there(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "mount").mkdir()
    assert tending.is_gone(tmp_path / "b")
    assert tending.is_gone(tmp_path / "file")
    assert not tending.is_gone(tmp_path / "a")
    assert not tending.is_gone(None)
    assert not tending.is_gone(tmp_path / "drive" / "b")
    assert not tending.is_gone(tmp_path / "mount" / "b")
    assert not tending.is_gone(tmp_path / "file" / "b")
    assert not tending.is_gone(Path("a\0b"))


@pytest.mark.parametrize("number", [errno.EACCES, errno.ESTALE])
def test_a_project_that_cannot_be_asked_about_is_not_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(path: Path, **_: object) -> NoReturn:
        raise OSError(number, "no", str(path))

    monkeypatch.setattr(Path, "stat", refused)
    thing = tending.copied(tmp_path, project=tmp_path / "b", lock=tmp_path / "lock")
    assert not thing.orphaned
