"""Completion in fish."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nox_envs.inside.shells import quoted_for_fish

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nox_envs.inside.completable import Value, Words

__all__ = ["script"]


def __dir__() -> list[str]:
    return __all__


_SCRIPT = r"""
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

_ACTIONS: Mapping[str, str] = {
    "cell": "-f -a '(__nox_envs_cells)'",
    "cell or file": "-F -a '(__nox_envs_cells)'",
    "directory": "-f -a '(__fish_complete_directories)'",
    "file": "-F",
    "text": "-f",
}


def script(commands: Mapping[str, Words]) -> str:
    """What the shell reads."""
    lines = _SCRIPT.strip("\n").splitlines()
    start = "complete -c nox-envs -n"
    for name, words in commands.items():
        lines.append(
            f"{start} 'test (count (commandline -opc)) -eq 1' "
            f"-a {name} -d {quoted_for_fish(words.help)}"
        )
        for option, value in words.options.items():
            said = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
            wanted = "" if value == "flag" else f" -r {_value(value)}"
            lines.append(f"{start} '__nox_envs_at {name}' {said}{wanted}")
        kinds = list(dict.fromkeys(words.takes))
        most = 999 if words.repeats else len(words.takes)
        lines += [
            f"{start} '__nox_envs_takes {name} {most} {words.valued}' {_value(kind)}"
            for kind in kinds
        ]
    return "\n".join(lines)


def _value(value: Value) -> str:
    if isinstance(value, tuple):
        return f"-f -a {quoted_for_fish(' '.join(value))}"
    return _ACTIONS[value]
