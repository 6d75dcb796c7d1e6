"""Completion in bash, 3.2 of macOS included."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from nox_envs.inside.completable import asking_for_cells, choices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nox_envs.inside.completable import Value, Words

__all__ = ["script"]


def __dir__() -> list[str]:
    return __all__


_SCRIPT = r"""
# bash 3.2 of macOS reads this, too.
_nox_envs_reply() {
    local each rest
    for each in "$@"; do
        each=$lead$each
        [[ $each == "$typed"* ]] || continue
        rest=${each#"$before"}
        if [[ $COMP_TYPE == 63 ]]; then # The names are listed, and not inserted.
            rest=$each
        elif [[ $state == "'" ]]; then
            rest=${rest//$single/$closed}
        elif [[ $state == '"' ]]; then
            each=$rest rest=
            while [[ $each ]]; do
                case ${each:0:1} in ['"$`\']) rest+=\\ ;; esac
                rest+=${each:0:1} each=${each:1}
            done
        else
            printf -v rest %q "$rest"
        fi
        COMPREPLY+=("$rest")
    done
}

_nox_envs_cells() {
    local name program=${words[0]}
    local -a names
    names=()
    case $program in '~/'*) program=$HOME/${program:2} ;; esac
    while IFS= read -r name; do
        names+=("$name")
    done < <("$program" completion bash --cells --noxfile "$noxfile" 2>/dev/null </dev/null)
    [[ ${#names[@]} == 0 ]] || _nox_envs_reply "${names[@]}"
}

_nox_envs() {
    local IFS=$' \t\n' line=${COMP_LINE:0:COMP_POINT} single="'" closed="'\\''"
    local state='' typed='' before='' begun='' lead='' char next each i
    local command options='' valued='' first='' cells=0 option='' noxfile=noxfile.py count=0
    local -a words
    words=()
    COMPREPLY=()
    # The words of the line without their quotes. bash replaces what follows the last break of the
    # word that is being typed; what stands before it stays.
    for ((i = 0; i < ${#line}; i++)); do
        char=${line:i:1}
        if [[ $state == "'" ]]; then
            if [[ $char == "'" ]]; then state='' before=$typed; else typed+=$char; fi
        elif [[ $char == \\ ]]; then
            ((i += 1))
            next=${line:i:1}
            case $state$next in
                '""' | '"$' | '"`' | '"\') ;;
                '"'*) typed+=$char ;;
            esac
            typed+=$next begun=1
        elif [[ $state == '"' ]]; then
            if [[ $char == '"' ]]; then state='' before=$typed; else typed+=$char; fi
        elif [[ $char == "'" || $char == '"' ]]; then
            state=$char before=$typed begun=1
        elif [[ $char == [[:space:]'<>'] ]]; then
            [[ ! $begun ]] || words+=("$typed")
            typed='' before='' begun=''
            [[ $char == [[:space:]] ]] || words+=("$char")
        else
            typed+=$char begun=1
            [[ $COMP_WORDBREAKS != *"$char"* ]] || before=$typed
        fi
    done
    if [[ ${#words[@]} -lt 2 ]]; then
        _nox_envs_reply @COMMANDS@
        return 0
    fi
    command=${words[1]}
    case $command in
@TABLE@
        *) return 0 ;;
    esac
    for ((i = 2; i < ${#words[@]}; i++)); do
        each=${words[i]}
        if [[ $option ]]; then
            case $option in -f | --noxfile) noxfile=$each ;; esac
            option=''
        elif [[ $each == [-'<>'] || $each == -- ]]; then
            return 0
        elif [[ $each == --*=* ]]; then
            case $each in --noxfile=*) noxfile=${each#*=} ;; esac
        elif [[ $each == -* ]]; then
            [[ " $valued " != *" $each "* ]] || option=$each
        else
            ((count += 1))
        fi
    done
    if [[ ! $option && $typed == --*=* ]]; then
        option=${typed%%=*} lead=${typed%%=*}=
    fi
    case "$command $option" in
@VALUES@
        *' ')
            if [[ $typed == -* ]]; then
                _nox_envs_reply $options
            elif [[ $count -lt $cells ]]; then
                _nox_envs_cells
            elif [[ $count -eq 0 ]]; then
                _nox_envs_reply $first
            fi
            ;;
    esac
    return 0
}

complete -o default -F _nox_envs nox-envs"""


def script(commands: Mapping[str, Words]) -> str:
    """What the shell reads."""
    table = []
    for name, words in commands.items():
        said = [f"options={shlex.quote(words.names)}", f"valued={shlex.quote(words.valued)}"]
        said += [f"cells={words.cells}"] if words.cells else []
        first = words.takes[0] if words.takes else words.names
        said += [f"first={shlex.quote(_listed(first))}"] if _listed(first) else []
        table.append(f"        {name}) {' '.join(said)} ;;")
    values = [
        f"        '{name} {option}') _nox_envs_reply {shlex.join(choice)} ;;"
        for name, option, choice in choices(commands)
    ]
    asking = asking_for_cells(commands)
    values += [f"        {' | '.join(map(shlex.quote, asking))}) _nox_envs_cells ;;"] * bool(asking)
    return (
        _SCRIPT.strip("\n")
        .replace("@COMMANDS@", shlex.join(commands))
        .replace("@TABLE@", "\n".join(table))
        .replace("@VALUES@\n", "".join(f"{line}\n" for line in values))
    )


def _listed(first: Value | str) -> str:
    """The words that are offered where nothing is typed yet."""
    if isinstance(first, tuple):
        return " ".join(first)
    return first if first.startswith("-") else ""
