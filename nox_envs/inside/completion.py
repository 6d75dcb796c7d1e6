"""What a shell has to be told to complete the words of `nox-envs`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["SHELLS", "Shell", "script"]


def __dir__() -> list[str]:
    return __all__


Shell = Literal["bash", "fish", "zsh"]
SHELLS: tuple[Shell, ...] = ("bash", "fish", "zsh")


def script(shell: Shell, commands: Mapping[str, tuple[str, Sequence[str]]]) -> str:
    """A script to be read by a shell; `commands` have their help, and their options."""
    if shell == "fish":
        return _fish(commands)
    lines = [
        f'        {name}) COMPREPLY=($(compgen -W {shlex.quote(" ".join(options))} -- "$word")) ;;'
        for name, (_, options) in commands.items()
    ]
    bash = [
        "_nox_envs() {",
        '    local word="${COMP_WORDS[COMP_CWORD]}"',
        '    if [ "$COMP_CWORD" -eq 1 ]; then',
        f'        COMPREPLY=($(compgen -W {shlex.quote(" ".join(commands))} -- "$word"))',
        "        return",
        "    fi",
        '    case "${COMP_WORDS[1]}" in',
        *lines,
        "    esac",
        "}",
        "complete -o default -F _nox_envs nox-envs",
    ]
    before = ["autoload -U +X compinit && compinit", "autoload -U +X bashcompinit && bashcompinit"]
    return "\n".join([*(before if shell == "zsh" else []), *bash]) + "\n"


def _fish(commands: Mapping[str, tuple[str, Sequence[str]]]) -> str:
    lines = []
    for name, (words, options) in commands.items():
        lines.append(
            "complete -c nox-envs -n __fish_use_subcommand -f "
            f"-a {shlex.quote(name)} -d {_fish_quote(words)}"
        )
        lines += [
            f"complete -c nox-envs -n {_fish_quote(f'__fish_seen_subcommand_from {name}')} "
            f"-l {option.removeprefix('--')}"
            for option in options
        ]
    return "\n".join(lines) + "\n"


def _fish_quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
