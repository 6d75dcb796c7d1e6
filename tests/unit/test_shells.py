"""How shells are started: the environment comes after what their own files say."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from nox_envs.inside.shells import Opened, opened, shell_of, with_command

VARIABLES = {"PATH": "/env/bin:/usr/bin", "VIRTUAL_ENV": "/env", "SECRET": "x"}


def started(shell: str, *, name: str = "test-3.11(a='1')", **more: str) -> Opened:
    return opened(
        shell,
        name=name,
        variables={**VARIABLES, **more},
        declared={"MODE": "it's on"},
        place=PurePosixPath("/place"),
    )


def test_bash() -> None:
    found = started("/bin/bash")
    assert found.command == ("/bin/bash", "--rcfile", "/place/bashrc", "-i")
    lines = found.files["bashrc"].splitlines()
    assert lines[0] == "[ -f ~/.bashrc ] && . ~/.bashrc"
    assert lines.index("export PATH=/env/bin:/usr/bin") > 0
    assert "unset PYTHONPATH" in lines
    assert """export MODE='it'"'"'s on'""" in lines
    assert "SECRET" not in found.files["bashrc"]


def test_zsh_reads_the_files_of_the_user_first() -> None:
    found = started("zsh", ZDOTDIR="/theirs")
    assert found.variables["ZDOTDIR"] == "/place"
    assert found.files[".zshenv"].splitlines()[0] == "ZDOTDIR=/theirs"
    assert found.files[".zshenv"].splitlines()[-1] == "ZDOTDIR=/place"
    lines = found.files[".zshrc"].splitlines()
    assert lines.index('[ -f "$ZDOTDIR/.zshrc" ] && . "$ZDOTDIR/.zshrc"') < lines.index(
        "export VIRTUAL_ENV=/env"
    )
    assert started("zsh").files[".zshenv"].startswith("ZDOTDIR=$HOME\n")


def test_fish() -> None:
    found = started("/usr/bin/fish")
    assert found.command == ("/usr/bin/fish", "--init-command", "source '/place/init.fish'")
    lines = found.files["init.fish"].splitlines()
    assert "set -gx PATH '/env/bin' '/usr/bin'" in lines
    assert r"set -gx MODE 'it\'s on'" in lines


def test_powershell_and_cmd() -> None:
    found = started(r"C:\Program Files\PowerShell\7\pwsh.exe")
    assert found.command[-1].endswith("-LiteralPath '/place/init.ps1')")
    assert "${env:MODE} = 'it''s on'" in found.files["init.ps1"].splitlines()
    found = started(r"C:\Windows\System32\cmd.exe", name="test")
    assert found.command[1:] == ("/K", "prompt (test) $P$G")
    assert found.variables == VARIABLES


def test_another_shell_is_told_by_its_variable() -> None:
    found = started("/bin/dash", ENV="/home/me/.shrc")
    assert found.variables["ENV"] == "/place/shrc"
    assert found.files["shrc"].startswith("[ -f /home/me/.shrc ] && . /home/me/.shrc\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "dash", "pwsh", "powershell", "cmd.exe"])
def test_values_are_not_in_the_list_of_processes(shell: str) -> None:
    found = opened(
        shell,
        name="test",
        variables={**VARIABLES, "TOKEN": "hunter2"},
        declared={"TOKEN": "hunter2"},
        place=PurePosixPath("/place"),
    )
    assert "hunter2" not in " ".join(found.command)
    assert found.variables["TOKEN"] == "hunter2"


def test_no_quote_of_powershell_ends_a_value() -> None:
    found = opened(
        "pwsh", name="t", variables={}, declared={"A": "\u2019; x"}, place=PurePosixPath()
    )
    assert "${env:A} = '\u2019\u2019; x'" in found.files["init.ps1"]


@pytest.mark.parametrize(
    ("variables", "platform", "expected"),
    [
        ({"SHELL": "/bin/zsh"}, "linux", "/bin/zsh"),
        ({}, "linux", "/bin/sh"),
        ({"COMSPEC": "cmd.exe"}, "win32", "cmd.exe"),
        ({"PSModulePath": r"C:\Users\me\Documents\PowerShell\Modules;C:\x"}, "win32", "powershell"),
        ({"PSModulePath": r"C:\Program Files\x", "COMSPEC": "c"}, "win32", "c"),
        ({"SHELL": "/usr/bin/bash", "COMSPEC": "c"}, "win32", "/usr/bin/bash"),
    ],
)
def test_the_shell_of_the_user(variables: dict[str, str], platform: str, expected: str) -> None:
    assert shell_of(variables, platform=platform) == expected


@pytest.mark.parametrize(
    ("shell", "option"),
    [("/bin/bash", "-c"), ("cmd.exe", "/C"), ("pwsh", "-Command"), ("fish", "-c")],
)
def test_one_line(shell: str, option: str) -> None:
    assert with_command(shell, "a && b") == (shell, option, "a && b")
