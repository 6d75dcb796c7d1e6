"""The commands as a user meets them on a terminal, without real environments."""

from __future__ import annotations

import errno
import io
import os
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from nox_envs import _files, _loading, _process, campaigning, cli, settings, starting, trying
from nox_envs.commands import doctor, init
from nox_envs.errors import DiskFull
from nox_envs.install import stamp

if TYPE_CHECKING:
    from pathlib import Path


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def orphan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment of ours, of a noxfile that has no cell."""
    place = tmp_path / ".nox" / "old"
    place.mkdir(parents=True)
    (place / "pyvenv.cfg").write_text("")
    stamp.write(
        place,
        stamp.Stamp(
            cell="old", python="3.11.7", base_prefix="/usr", environment=str(place),
            isolation="detect", sources={}, inputs="", lock="", tool="uv", token="t", made="",
        ),
    )  # fmt: skip
    loaded = _loading.Loaded(
        path=tmp_path / "noxfile.py", environments=tmp_path / ".nox", envdir=None, cells=()
    )
    monkeypatch.setattr(_loading, "load", lambda *_: loaded)
    return place


@pytest.mark.parametrize(
    ("words", "answer", "removed"),
    [
        ([], "y\n", True),
        ([], "\n", False),
        ([], "n\n", False),
        ([], "", False),
        (["--yes"], "", True),
        (["--json"], "", True),
        (["--dry-run"], "y\n", False),
    ],
)
def test_a_terminal_is_asked(
    orphan: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    words: list[str],
    answer: str,
    removed: bool,
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    code = cli.main(["clean", *words])
    assert orphan.exists() is not removed
    assert code == int(not removed and "--dry-run" not in words)
    assert ("Remove them?" in capsys.readouterr().err) is not (bool(words))


def test_a_cell_that_is_gone_is_named(orphan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show"]) == 0
    assert "1 environment is of no cell: old." in capsys.readouterr().out


def test_a_secret_is_not_printed(
    orphan: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UV_INDEX_PASSWORD", "hunter2-hunter2")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://me:hunter2-hunter2@example.org/simple")
    assert cli.main(["diff", "hunter2-hunter2", "x"]) == 2
    assert "hunter2" not in capsys.readouterr().err


@pytest.mark.parametrize("command", cli.COMMANDS, ids=lambda command: str(command.NAME))
def test_a_command_says_what_it_is_for(
    command: cli.Command, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command.NAME, "--help"])
    assert ended.value.code == 0
    assert (command.__doc__ or "").partition("\n")[0].split()[0] in capsys.readouterr().out


def test_what_the_system_refuses_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: object) -> NoReturn:
        raise OSError(5, "Input/output error", "/mnt/noxfile.py")

    monkeypatch.setattr(doctor, "run", broken)
    assert cli.main(["doctor"]) == 2
    assert capsys.readouterr().err == "error: [Errno 5] Input/output error: '/mnt/noxfile.py'\n"


class Full(io.StringIO):
    """An output without space: `> /dev/full`."""

    def flush(self) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_an_output_without_space_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(_: object) -> int:
        sys.stdout.write("it is well\n")
        return 0

    output = Full()
    monkeypatch.setattr(doctor, "run", answer)
    monkeypatch.setattr(sys, "stdout", output)
    assert cli.main(["doctor"]) == 2
    assert "error: no space left on the disk of the output\n" in capsys.readouterr().err
    assert output.closed  # Else the interpreter tries it again at its exit, and says so.


def test_the_report_of_a_campaign_without_space_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(_files, "write_text", full)
    with pytest.raises(DiskFull) as caught:
        campaigning._deliver("{}", "report.json", tmp_path)
    assert "report.json" in caught.value.message
    assert not any("name a file" in hint for hint in caught.value.hints)
    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(DiskFull, match="the output"):
        campaigning._deliver("{}", "-", tmp_path)


def test_a_noxfile_that_cannot_be_written_is_not_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(init, "found_in", lambda _: SimpleNamespace(taken=(), left=()))
    monkeypatch.setattr(starting, "noxfile", lambda _: "import nox\n")
    words = ["init", "--json", "--noxfile", str(tmp_path / "noxfile.py")]
    with monkeypatch.context() as patched:
        patched.setattr(_files, "write_text", full)
        assert cli.main(words) == 2
    assert capsys.readouterr().out == ""
    assert cli.main(words) == 0
    assert '"written": true' in capsys.readouterr().out
    assert (tmp_path / "noxfile.py").is_file()


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["doctor", "--noxfiel", "x.py"], "did you mean --noxfile?"),
        (["init", "--dryrun"], "did you mean --dry-run?"),
        (["doctor", "--offlne"], "see nox-envs doctor --help"),
        (["try", "rich", "python", "-V"], "a command follows --:   nox-envs try rich -- python -V"),
        (["try", "rich", "python", "x y.py"],
         "a command follows --:   nox-envs try rich -- python 'x y.py'"),
        (["try", "--json", "rich", "--pyhton", "3.11"], "did you mean --python?"),
        (["try", "rich", "-V"], "a command follows --:   nox-envs try ... -- COMMAND"),
    ],
)  # fmt: skip
def test_a_word_that_cannot_be_meant(
    words: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"hint: {hint}"


def test_the_report_of_a_campaign_has_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["upgrade", "--help"])
    assert "--json FILE|-" in capsys.readouterr().out


def test_virtualenv_looks_for_nothing_behind_our_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def run(command: list[Any], **_: object) -> _process.Completed:
        commands.append([str(word) for word in command])
        return _process.Completed(command=(), returncode=0, stdout="", stderr="")

    monkeypatch.setattr(_process, "run", run)
    monkeypatch.setattr(settings, "find_uv", lambda _: None)
    this = f"{sys.version_info.major}.{sys.version_info.minor}"
    trying.empty_environment(this, tmp_path / "env", variables={}, directory=tmp_path)
    ((*_, virtualenv, quiet, option, _, _, _),) = commands
    assert (virtualenv, quiet, option) == ("virtualenv", "--quiet", "--no-periodic-update")
