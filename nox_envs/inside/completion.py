"""What a shell has to be told to complete the words of `nox-envs`."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from nox_envs.inside.shells import quoted_for_fish, quoted_for_powershell

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["SHELLS", "Shell", "Value", "Words", "read", "script"]


def __dir__() -> list[str]:
    return __all__


Shell = Literal["bash", "fish", "powershell", "zsh"]
SHELLS: tuple[Shell, ...] = ("bash", "fish", "powershell", "zsh")

Value = Literal["cell", "cell or file", "directory", "file", "flag", "text"] | tuple[str, ...]
"""What a word is; `flag` is said of an option without a value, several words are a choice."""

_VALUES: Mapping[str, Value] = {
    "A": "cell or file",
    "B": "cell or file",
    "CELL": "cell",
    "CELL|AXIS=VALUE": "cell",
    "DIR": "directory",
    "DIR|FILE.zip": "file",
    "FILE": "file",
    "FILE|-": "file",
    "REQUIREMENT": "file",
    "STATE": "file",
}
"""What a word is, by what the help calls it; all others are text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What may follow the name of a command."""

    help: str = ""
    options: Mapping[str, Value] = field(default_factory=dict)
    """With what their value is."""
    takes: tuple[Value, ...] = ()
    """What the words are that are no options."""
    repeats: bool = False
    """Whether the last of them may come any number of times."""

    @property
    def names(self) -> str:
        """The options, as one text."""
        return " ".join(self.options)

    @property
    def valued(self) -> str:
        """Those that want a value."""
        return " ".join(name for name, value in self.options.items() if value != "flag")

    @property
    def cells(self) -> int:
        """How many of its words may be cells."""
        return sum(one in {"cell", "cell or file"} for one in self.takes)


def read(actions: Iterable[argparse.Action], *, help: str = "") -> Words:  # noqa: A002 - as there
    """What a parser lets follow a command. Some of it is no word for users."""
    shown = [one for one in actions if one.help != argparse.SUPPRESS]
    places = [one for one in shown if not one.option_strings]
    return Words(
        help=help,
        options={name: _value(one) for one in shown for name in one.option_strings if name != "-h"},
        takes=tuple(map(_value, places)),
        repeats=any(one.nargs == "*" for one in places),
    )


def _value(action: argparse.Action) -> Value:
    if action.nargs == 0:
        return "flag"
    if action.choices is not None:
        return tuple(action.choices)
    return _VALUES.get(str(action.metavar), "text")


def script(shell: Shell, commands: Mapping[str, Words]) -> str:
    """A script to be read by a shell.

    It asks `nox-envs completion SHELL --cells` for the names of cells.
    """
    write = {"bash": _bash, "fish": _fish, "powershell": _powershell, "zsh": _zsh}[shell]
    return "\n".join(write(commands)) + "\n"


def _choices(commands: Mapping[str, Words]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Command, option and values."""
    return [
        (name, option, value)
        for name, words in commands.items()
        for option, value in words.options.items()
        if isinstance(value, tuple)
    ]


# -- bash

_BASH = r"""
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


def _bash(commands: Mapping[str, Words]) -> list[str]:
    table = []
    for name, words in commands.items():
        said = [f"options={shlex.quote(words.names)}", f"valued={shlex.quote(words.valued)}"]
        said += [f"cells={words.cells}"] if words.cells else []
        first = words.takes[0] if words.takes else words.names
        said += [f"first={shlex.quote(_listed(first))}"] if _listed(first) else []
        table.append(f"        {name}) {' '.join(said)} ;;")
    values = [
        f"        '{name} {option}') _nox_envs_reply {shlex.join(choice)} ;;"
        for name, option, choice in _choices(commands)
    ]
    asking = _asking_for_cells(commands)
    values += [f"        {' | '.join(map(shlex.quote, asking))}) _nox_envs_cells ;;"] * bool(asking)
    return [
        _BASH.strip("\n")
        .replace("@COMMANDS@", shlex.join(commands))
        .replace("@TABLE@", "\n".join(table))
        .replace("@VALUES@\n", "".join(f"{line}\n" for line in values))
    ]


def _listed(first: Value | str) -> str:
    """The words that are offered where nothing is typed yet."""
    if isinstance(first, tuple):
        return " ".join(first)
    return first if first.startswith("-") else ""


def _asking_for_cells(commands: Mapping[str, Words]) -> list[str]:
    return [
        f"{name} {option}"
        for name, words in commands.items()
        for option, value in words.options.items()
        if value == "cell"
    ]


# -- zsh

_ZSH = r"""
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

_ZSH_ACTIONS = {
    "cell": "_nox-envs-cells",
    "cell or file": "_nox-envs-cells-or-files",
    "directory": "_files -/",
    "file": "_files",
    "text": " ",
}


def _zsh(commands: Mapping[str, Words]) -> list[str]:
    known = [f"            {shlex.quote(f'{name}:{one.help}')}" for name, one in commands.items()]
    table = []
    for name, words in commands.items():
        specs = [_zsh_option(*each) for each in words.options.items()]
        for number, value in enumerate(words.takes, 1):
            place = "*" if words.repeats and number == len(words.takes) else str(number)
            specs.append(f"{place}{_zsh_value(value)}")
        table.append(f"        {name}) _arguments : {shlex.join(specs)} ;;")
    return [
        _ZSH.strip("\n")
        .replace("@COMMANDS@", "\n".join(known))
        .replace("@TABLE@", "\n".join(table))
    ]


def _zsh_option(option: str, value: Value) -> str:
    if value == "flag":
        return option
    return f"*{option}{'=' if option.startswith('--') else ''}{_zsh_value(value)}"


def _zsh_value(value: Value) -> str:
    if isinstance(value, tuple):
        return f":value:({' '.join(value)})"
    return f":{value}:{_ZSH_ACTIONS[value]}"


# -- fish

_FISH = r"""
function __nox_envs_at
    set -l words (commandline -opc)
    test (count $words) -gt 1
    and test "$words[2]" = "$argv[1]"
    and not contains -- -- $words
end

# Whether fewer words were said than a command takes: COMMAND NUMBER OPTIONS-WITH-A-VALUE...
function __nox_envs_takes
    __nox_envs_at $argv[1]
    or return 1
    set -l words (commandline -opc)
    set -l most $argv[2]
    set -e argv[1..2]
    set -e words[1..2]
    set -l skips
    set -l said 0
    for word in $words
        if set -q skips[1]
            set -e skips
            set -l skips
        else if contains -- $word $argv
            set skips yes
        else if not string match -q -- '-*' $word
            set said (math $said + 1)
        end
    end
    test $said -lt $most
end

function __nox_envs_cells
    set -l words (commandline -opc)
    set -l noxfile
    set -l before
    for word in $words
        if contains -- "$before" -f --noxfile
            set noxfile --noxfile $word
        else if string match -q -- '--noxfile=*' $word
            set noxfile $word
        end
        set before $word
    end
    set -l program (string replace -r -- '^~/' "$HOME/" $words[1])
    command -q $program
    and command $program completion fish --cells $noxfile 2>/dev/null </dev/null
end

complete -c nox-envs -f
complete -c nox-envs -n 'contains -- -- (commandline -opc)' -F"""

_FISH_ACTIONS: Mapping[str, str] = {
    "cell": "-f -a '(__nox_envs_cells)'",
    "cell or file": "-F -a '(__nox_envs_cells)'",
    "directory": "-f -a '(__fish_complete_directories)'",
    "file": "-F",
    "text": "-f",
}


def _fish(commands: Mapping[str, Words]) -> list[str]:
    lines = _FISH.strip("\n").splitlines()
    start = "complete -c nox-envs -n"
    for name, words in commands.items():
        lines.append(
            f"{start} 'test (count (commandline -opc)) -eq 1' "
            f"-a {name} -d {quoted_for_fish(words.help)}"
        )
        for option, value in words.options.items():
            said = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
            wanted = "" if value == "flag" else f" -r {_fish_value(value)}"
            lines.append(f"{start} '__nox_envs_at {name}' {said}{wanted}")
        kinds = list(dict.fromkeys(words.takes))
        most = 999 if words.repeats else len(words.takes)
        lines += [
            f"{start} '__nox_envs_takes {name} {most} {words.valued}' {_fish_value(kind)}"
            for kind in kinds
        ]
    return lines


def _fish_value(value: Value) -> str:
    if isinstance(value, tuple):
        return f"-f -a {quoted_for_fish(' '.join(value))}"
    return _FISH_ACTIONS[value]


# -- PowerShell

_POWERSHELL = r"""
Register-ArgumentCompleter -Native -CommandName 'nox-envs', 'nox-envs.exe' -ScriptBlock {
    param($word, $ast, $cursor)
    $options = [ordered]@{
@OPTIONS@
    }
    $values = @{
@VALUES@
    }
    $cells = @{
@CELLS@
    }
    $words = @(
        $ast.CommandElements |
            Where-Object { $_.Extent.EndOffset -lt $cursor } |
            ForEach-Object {
                # A word without its quotes, of whichever kind they are.
                $is_text = $_ -is [System.Management.Automation.Language.StringConstantExpressionAst]
                if ($is_text) { $_.Value } else { $_.Extent.Text }
            }
    )
    $typed = $word.TrimStart("'", '"') -replace "''", "'"
    $command = $words[1]
    $last = "$command $($words[-1])"
    $found = @()
    if ($words.Count -lt 2) {
        $found = @($options.Keys)
    } elseif ($words -contains '--' -or -not $options.Contains($command)) {
        return
    } elseif ($values.ContainsKey($last)) {
        $found = $values[$last]
    } elseif ($typed.StartsWith('-')) {
        $found = $options[$command]
    } elseif ($cells.ContainsKey($command) -or $cells.ContainsKey($last)) {
        $more = @()
        foreach ($option in '-f', '--noxfile') {
            $at = [array]::IndexOf($words, $option)
            if ($at -gt 1 -and $at + 1 -lt $words.Count) { $more = '--noxfile', $words[$at + 1] }
        }
        $found = @($null | & $words[0] completion powershell --cells @more 2>$null)
    }
    $found | Where-Object { $_ -and $_.StartsWith($typed) } | ForEach-Object {
        $text = if ($_ -match '^[\w.-]+$') { $_ } else { "'" + ($_ -replace "'", "''") + "'" }
        [System.Management.Automation.CompletionResult]::new($text, $_, 'ParameterValue', $_)
    }
}"""


def _powershell(commands: Mapping[str, Words]) -> list[str]:
    values = {f"{name} {option}": choice for name, option, choice in _choices(commands)}
    values |= {
        f"{name} {name}": words.takes[0]
        for name, words in commands.items()
        if words.takes and isinstance(words.takes[0], tuple)
    }
    cells = [name for name, words in commands.items() if words.cells]
    cells += _asking_for_cells(commands)
    filled = {
        "@OPTIONS@": [_entry(name, list(one.options)) for name, one in commands.items()],
        "@VALUES@": [_entry(*each) for each in values.items()],
        "@CELLS@": [f"        {quoted_for_powershell(one)} = $true" for one in cells],
    }
    text = _POWERSHELL.strip("\n")
    for mark, lines in filled.items():
        text = text.replace(f"{mark}\n", "".join(f"{line}\n" for line in lines))
    return [text]


def _entry(name: str, words: Sequence[str]) -> str:
    listed = ", ".join(map(quoted_for_powershell, words))
    return f"        {quoted_for_powershell(name)} = @({listed})"
