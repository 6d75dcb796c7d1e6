"""Completion in zsh."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nox_envs.inside.completable import Value, Words

__all__ = ["script"]


def __dir__() -> list[str]:
    return __all__


_SCRIPT = r"""
#compdef nox-envs

_nox-envs-cells() {
    local -a cells expl
    cells=("${(@f)$("$program" completion zsh --cells $noxfile 2>/dev/null </dev/null)}")
    cells=(${cells:#})
    (( $#cells )) && _wanted cells expl cell compadd -a cells
}

_nox-envs-cells-or-files() {
    _alternative 'cells:cell:_nox-envs-cells' 'files:file:_files'
}

_nox-envs() {
    local program=${${(Q)words[1]}/#\~\//$HOME/} name
    local -i at
    local -a known noxfile
    if (( CURRENT == 2 )); then
        known=(
@COMMANDS@
        )
        _describe -t commands command known
        return
    fi
    at=${words[(i)--]}
    if (( at < CURRENT )); then # A command of the user's.
        shift at words
        (( CURRENT -= at ))
        _normal
        return
    fi
    at=${words[(I)(-f|--noxfile)]}
    (( at && at + 1 < CURRENT )) && noxfile=(--noxfile "${(Q)words[at+1]}")
    at=${words[(I)--noxfile=*]}
    (( at && at < CURRENT )) && noxfile=("${(Q)words[at]}")
    name=$words[2]
    shift words
    (( CURRENT -= 1 ))
    case $name in
@TABLE@
    esac
}

(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }
# The file is read as the function itself where it lies in fpath.
if [[ $funcstack[1] == _nox-envs ]]; then
    _nox-envs "$@"
else
    compdef _nox-envs nox-envs
fi"""

_ACTIONS = {
    "cell": "_nox-envs-cells",
    "cell or file": "_nox-envs-cells-or-files",
    "directory": "_files -/",
    "file": "_files",
    "text": " ",
}


def script(commands: Mapping[str, Words]) -> str:
    """What the shell reads."""
    known = [f"            {shlex.quote(f'{name}:{one.help}')}" for name, one in commands.items()]
    table = []
    for name, words in commands.items():
        specs = [_option(*each) for each in words.options.items()]
        for number, value in enumerate(words.takes, 1):
            place = "*" if words.repeats and number == len(words.takes) else str(number)
            specs.append(f"{place}{_value(value)}")
        table.append(f"        {name}) _arguments : {shlex.join(specs)} ;;")
    return (
        _SCRIPT.strip("\n")
        .replace("@COMMANDS@", "\n".join(known))
        .replace("@TABLE@", "\n".join(table))
    )


def _option(option: str, value: Value) -> str:
    if value == "flag":
        return option
    return f"*{option}{'=' if option.startswith('--') else ''}{_value(value)}"


def _value(value: Value) -> str:
    if isinstance(value, tuple):
        return f":value:({' '.join(value)})"
    return f":{value}:{_ACTIONS[value]}"
