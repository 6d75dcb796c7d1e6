"""Small words: numbers with their nouns, lists, durations, widths."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nox_envs.outcome import Changes

__all__ = ["count", "duration", "ended", "joined", "moves", "number", "padded", "some", "width"]


def __dir__() -> list[str]:
    return __all__


_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_MINUTE = 60
_HOUR = 3600
_EXACT_BELOW = 10


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 test`, `3 tests`."""
    return f"{number} {noun}" if number == 1 else f"{number} {plural or noun + 's'}"


def number(number: int) -> str:
    """`one`, `nine`, `10`."""
    return _NUMBERS[number] if number < len(_NUMBERS) else str(number)


def joined(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def some(words: Sequence[str], *, most: int) -> str:
    """`a, b and c`, or `a, b and 7 more`: at most so many are named."""
    if len(words) <= most:
        return joined(words)
    named = words[: most - 1]
    return joined([*named, f"{len(words) - len(named)} more"])


def ended(sentence: str) -> str:
    """With a full stop, if it does not end already."""
    return sentence if sentence.endswith((".", "!", "?")) else f"{sentence}."


def duration(seconds: float) -> str:
    """`0.9 s`, `41 s`, `3 min 52 s`, `1 h 5 min`."""
    if round(seconds, 1) < _EXACT_BELOW:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"


def moves(changes: Changes, show: Callable[[str], str]) -> list[str]:
    """`urllib3 1.26.20 -> 2.8.0`; `idna 3.7 (new)`; `six (gone)`; by name."""
    return [_move(name, *changes[name], show) for name in sorted(changes)]


def _move(name: str, before: str | None, after: str | None, show: Callable[[str], str]) -> str:
    if after is None:
        return f"{show(name)} (gone)"
    if before is None:
        return f"{show(name)} {show(after)} (new)"
    return f"{show(name)} {show(before)} -> {show(after)}"


def width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(_width(char) for char in text)


def _width(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def padded(text: str, columns: int) -> str:
    """Filled with spaces up to a width."""
    return text + " " * (columns - width(text))
