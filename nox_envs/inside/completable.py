"""What can be completed on the command line of `nox-envs`, whatever the shell."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Value", "Words", "asking_for_cells", "choices", "read"]


def __dir__() -> list[str]:
    return __all__


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


def choices(commands: Mapping[str, Words]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Command, option and values."""
    return [
        (name, option, value)
        for name, words in commands.items()
        for option, value in words.options.items()
        if isinstance(value, tuple)
    ]


def asking_for_cells(commands: Mapping[str, Words]) -> list[str]:
    """Command and option, of those whose value is a cell."""
    return [
        f"{name} {option}"
        for name, words in commands.items()
        for option, value in words.options.items()
        if value == "cell"
    ]
