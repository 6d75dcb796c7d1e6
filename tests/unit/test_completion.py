"""What shells are told of the commands, held against their parsers."""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from nox_envs import _loading, cli
from nox_envs.commands import completion
from nox_envs.commands.campaign import CAMPAIGNS
from nox_envs.inside.completable import Words, read
from nox_envs.inside.completion import SHELLS, script
from nox_envs.upgrade.options import usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nox_envs.inside.completable import Value
    from nox_envs.inside.completion import Shell

NAMES = ["test-3.11(flask='2.3')", "lint-3.11"]
METAVARS: dict[str, Value] = {"DIR|FILE.zip": "file", "FILE": "file", "DIR": "directory", "CELL": "cell", "A": "cell or file",
            "B": "cell or file", "REQUIREMENT": "file", "STATE": "file"}  # fmt: skip
COMMANDS = {
    "show": Words(help="Show cells, don't change them.", options={"--json": "flag"}),
    "diff": Words(options={"--format": ("a", "b")}, takes=("cell",)),
}


def commands() -> dict[str, argparse.ArgumentParser]:
    (found,) = [
        action for action in cli.parser()._actions if isinstance(action, argparse._SubParsersAction)
    ]
    return dict(found.choices)


def words() -> dict[str, Words]:
    return completion.words_of(cli.parser().parse_args(["completion", "bash"]).commands)


def wanted(action: argparse.Action) -> Value:
    if action.nargs == 0:
        return "flag"
    if action.choices is not None:
        return tuple(action.choices)
    return METAVARS.get(str(action.metavar).removesuffix("|-").partition("|A")[0], "text")


def options(parser: argparse.ArgumentParser) -> dict[str, Value]:
    return {
        name: wanted(action)
        for action in parser._actions
        for name in action.option_strings
        if name != "-h" and action.help != argparse.SUPPRESS
    }


def parser_of(campaign: Any, monkeypatch: pytest.MonkeyPatch) -> argparse.ArgumentParser:
    found: list[argparse.ArgumentParser] = []

    def caught(self: argparse.ArgumentParser) -> str:
        found.append(self)
        return ""

    with monkeypatch.context() as patched:
        patched.setattr(argparse.ArgumentParser, "format_help", caught)
        usage(campaign.NAME, campaign.NAME)
    return found[0]


@pytest.mark.parametrize("campaign", CAMPAIGNS, ids=lambda campaign: str(campaign.NAME))
@pytest.mark.parametrize("columns", ["40", "200"])
def test_a_campaign_has_the_options_of_its_session_and_ours(
    campaign: Any, columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    theirs = options(parser_of(campaign, monkeypatch))
    ours = {**options(commands()[campaign.NAME]), "--options": "flag"}
    assert "--fail-on" in theirs
    assert words()[campaign.NAME].options == ours | theirs


@pytest.mark.parametrize(
    "name", [one.NAME for one in cli.COMMANDS if one.NAME not in {one.NAME for one in CAMPAIGNS}]
)
def test_a_command_has_its_options_and_words(name: str) -> None:
    parser = commands()[name]
    said = words()[name]
    assert said.options == options(parser)
    places = [one for one in parser._actions if not one.option_strings]
    assert said.takes == tuple(map(wanted, places))
    assert said.repeats is any(one.nargs == "*" for one in places)


def test_words_are_read_from_a_parser() -> None:
    parser = argparse.ArgumentParser()
    add = parser.add_argument
    add("-y", "--yes", action="store_true", help="Or --one.")
    add("--only", metavar="CELL|AXIS=VALUE")
    add("--mode", choices=("keep", "fresh"))
    add("--json", metavar="FILE|-")
    add("--for", metavar='"7 days"')
    add("--secret", help=argparse.SUPPRESS)
    add("first", choices=("a", "b"))
    add("rest", nargs="*", metavar="CELL")
    assert read(parser._actions, help="What.") == Words(
        help="What.",
        options={
            "--help": "flag", "-y": "flag", "--yes": "flag", "--only": "cell",
            "--mode": ("keep", "fresh"), "--json": "file", "--for": "text",
        },
        takes=(("a", "b"), "cell"),
        repeats=True,
    )  # fmt: skip


def test_states_of_a_culprit_may_be_files() -> None:
    assert words()["culprit"].options["--good"] == "file"
    assert words()["bisect"].options["--good"] == "text"


def test_quotes_of_all_kinds_are_taken_off_in_powershell() -> None:
    text = script("powershell", COMMANDS)
    assert "StringConstantExpressionAst" in text
    assert "Extent.Text.Trim" not in text


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_is_told_each_command(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell]) == 0
    text = capsys.readouterr().out
    assert not re.search("@[A-Z]+@", text)
    for command in cli.COMMANDS:
        assert command.NAME in text
    assert cli.main(["completion", shell, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["text"] == text


def test_what_is_said_is_quoted() -> None:
    assert "-a show -d 'Show cells, don\\'t change them.'" in script("fish", COMMANDS)
    assert "'show:Show cells, don'\"'\"'t change them.'" in script("zsh", COMMANDS)
    assert "'diff --format' = @('a', 'b')" in script("powershell", COMMANDS)
    assert "'diff --format') _nox_envs_reply a b ;;" in script("bash", COMMANDS)


def named(names: Sequence[str]) -> Any:
    return SimpleNamespace(cells=[SimpleNamespace(name=name) for name in names])


def test_cells_are_named_one_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def load(noxfile: str, _: str | None) -> Any:
        asked.append(noxfile)
        return named([*NAMES, "not\none line"])

    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setattr(_loading, "load", load)
    assert cli.main(["completion", "zsh", "--cells", "--noxfile", "~/other.py"]) == 0
    assert capsys.readouterr() == ("test-3.11(flask='2.3')\nlint-3.11\n", "")
    if sys.platform != "win32":
        assert asked == ["/home/me/other.py"]


@pytest.mark.parametrize("error", [SystemExit(2), RuntimeError("broken"), OSError(5, "no")])
def test_what_cannot_be_named_is_no_error(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(*_: object) -> Any:
        raise error

    monkeypatch.setattr(_loading, "load", load)
    assert cli.main(["completion", "bash", "--cells"]) == 0
    assert capsys.readouterr() == ("", "")


def test_what_cannot_be_written_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_loading, "load", lambda *_: named(["test(a='\u00e9')"]))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert cli.main(["completion", "bash", "--cells"]) == 0
