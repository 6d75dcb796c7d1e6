"""How a shell is started so that an environment comes first in it, whatever its own files say."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Opened",
    "opened",
    "quoted_for_fish",
    "quoted_for_powershell",
    "shell_of",
    "with_command",
]


def __dir__() -> list[str]:
    return __all__


_AGAIN = ("VIRTUAL_ENV", "PATH")
_LEAKS = ("PYTHONPATH", "PYTHONHOME")
_POWERSHELLS = ("powershell", "pwsh")
_QUOTES = re.compile("(['\u2018-\u201b])")
"""All that ends a quoted text of PowerShell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A shell to start."""

    command: tuple[str, ...]
    """Without values of variables: other users see it."""
    variables: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)
    """What it reads when it starts, by names in a directory of its own."""


def shell_of(variables: Mapping[str, str], *, platform: str) -> str:
    """The shell of the user."""
    if platform != "win32":
        return variables.get("SHELL") or "/bin/sh"
    if variables.get("SHELL"):  # Git Bash says so.
        return variables["SHELL"]
    # Both lie in every shell's environment; what PowerShell adds is of the user.
    inner = variables.get("PSMODULEPATH", variables.get("PSModulePath", "")).split(";")
    if any("\\documents\\" in place.lower() for place in inner):
        return "powershell"
    return variables.get("COMSPEC") or "cmd"


def with_command(shell: str, command: str) -> tuple[str, ...]:
    """What runs one line of a shell."""
    kind = _kind(shell)
    option = {"cmd": "/C", **dict.fromkeys(_POWERSHELLS, "-Command")}.get(kind, "-c")
    return (shell, option, command)


def opened(
    shell: str,
    *,
    name: str,
    variables: Mapping[str, str],
    declared: Mapping[str, str],
    place: PurePath,
) -> Opened:
    """An interactive shell in which `variables` hold after its own files were read.

    `declared` are those that the session sets; `place` is the directory of the files.
    """
    kind = _kind(shell)
    told = {**{key: variables[key] for key in _AGAIN if key in variables}, **declared}
    if kind == "cmd":
        return Opened(command=(shell, "/K", f"prompt ({name}) $P$G"), variables=variables)
    if kind in _POWERSHELLS:
        lines = [f"${{env:{key}}} = {quoted_for_powershell(value)}" for key, value in told.items()]
        lines += [
            "$nox_envs_prompt = $function:prompt",
            f"function prompt {{ {quoted_for_powershell(f'({name}) ')} + (& $nox_envs_prompt) }}",
        ]
        # An execution policy may refuse to run a file.
        read = f"Get-Content -Raw -Encoding UTF8 -LiteralPath {quoted_for_powershell(str(place / 'init.ps1'))}"
        return Opened(
            command=(shell, "-NoLogo", "-NoExit", "-Command", f"Invoke-Expression ({read})"),
            variables=variables,
            files={"init.ps1": "\n".join(lines)},
        )
    if kind == "fish":
        lines = [f"set -e {key}" for key in _gone(told)]
        lines += [f"set -gx {key} {_fish(key, value)}" for key, value in told.items()]
        lines += [
            "functions -q fish_prompt; and functions -c fish_prompt nox_envs_prompt",
            f"function fish_prompt; echo -n {quoted_for_fish(f'({name}) ')}; nox_envs_prompt; end",
        ]
        return Opened(
            command=(
                shell,
                "--init-command",
                f"source {quoted_for_fish(str(place / 'init.fish'))}",
            ),
            variables=variables,
            files={"init.fish": "\n".join(lines)},
        )
    lines = [f"unset {key}" for key in _gone(told)]
    lines += [f"export {key}={shlex.quote(value)}" for key, value in told.items()]
    lines += [f"PS1={shlex.quote(f'({name}) ')}$PS1", ""]
    if kind == "bash":
        text = "\n".join(["[ -f ~/.bashrc ] && . ~/.bashrc", "hash -r", *lines])
        command = (shell, "--rcfile", str(place / "bashrc"), "-i")
        return Opened(command=command, variables=variables, files={"bashrc": text})
    if kind == "zsh":
        return _zsh(shell, lines, variables, place)
    before = variables.get("ENV", "")
    first = [f"[ -f {shlex.quote(before)} ] && . {shlex.quote(before)}"] if before else []
    text = "\n".join([*first, *lines])
    return Opened(
        command=(shell, "-i"),
        variables={**variables, "ENV": str(place / "shrc")},
        files={"shrc": text},
    )


def _zsh(shell: str, lines: list[str], variables: Mapping[str, str], place: PurePath) -> Opened:
    """zsh looks for its files in ZDOTDIR, and each of ours reads the user's."""
    theirs = variables.get("ZDOTDIR", "")
    before = [
        f"ZDOTDIR={shlex.quote(theirs)}" if theirs else "ZDOTDIR=$HOME",
        '[ -f "$ZDOTDIR/.zshenv" ] && . "$ZDOTDIR/.zshenv"',
        "NOX_ENVS_ZDOTDIR=$ZDOTDIR",
        f"ZDOTDIR={shlex.quote(str(place))}",
        "",
    ]
    first = [
        "ZDOTDIR=$NOX_ENVS_ZDOTDIR",
        "unset NOX_ENVS_ZDOTDIR",
        '[ -f "$ZDOTDIR/.zshrc" ] && . "$ZDOTDIR/.zshrc"',
    ]
    return Opened(
        command=(shell, "-i"),
        variables={**variables, "ZDOTDIR": str(place)},
        files={".zshenv": "\n".join(before), ".zshrc": "\n".join([*first, *lines])},
    )


def _kind(shell: str) -> str:
    name = PurePath(shell.replace("\\", "/")).name.lower()
    return name.removesuffix(".exe")


def _gone(told: Mapping[str, str]) -> list[str]:
    return [key for key in _LEAKS if key not in told]


def quoted_for_powershell(text: str) -> str:
    """The text as one word of PowerShell."""
    return "'" + _QUOTES.sub(r"\1\1", text) + "'"


def quoted_for_fish(text: str) -> str:
    """The text as one word of fish."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _fish(key: str, value: str) -> str:
    """In fish, PATH is a list."""
    return (
        " ".join(map(quoted_for_fish, value.split(":")))
        if key == "PATH"
        else quoted_for_fish(value)
    )
