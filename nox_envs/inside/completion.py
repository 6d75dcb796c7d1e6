"""The script that has a shell complete the words of `nox-envs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nox_envs.inside import complete_bash, complete_fish, complete_powershell, complete_zsh

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nox_envs.inside.completable import Words

__all__ = ["SHELLS", "Shell", "script"]


def __dir__() -> list[str]:
    return __all__


Shell = Literal["bash", "fish", "powershell", "zsh"]
SHELLS: tuple[Shell, ...] = ("bash", "fish", "powershell", "zsh")


def script(shell: Shell, commands: Mapping[str, Words]) -> str:
    """A script to be read by a shell.

    It asks `nox-envs completion SHELL --cells` for the names of cells.
    """
    write = {
        "bash": complete_bash.script,
        "fish": complete_fish.script,
        "powershell": complete_powershell.script,
        "zsh": complete_zsh.script,
    }[shell]
    return write(commands) + "\n"
