"""The line of releases, drawn: the good side, the border, the bad side."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from nox_envs.report.escape import plain
from nox_envs.report.words import padded, width

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nox_envs.report.facts import Bisected

__all__ = ["drawing"]


def __dir__() -> list[str]:
    return __all__


_WIDEST = 80
_LONGEST_VERSION = 20
_FOLDED = 4
"""So many untested releases in a row are drawn as their number, where room is short."""

_GOOD, _BAD, _UNSURE = "good", "bad", "not known"
_SYMBOLS = {"good": "o", "bad": "x", "other": "!", "unknown": "?"}
_KEY = {
    "o": "o: passes",
    "x": "x: fails",
    ".": ".: not tested",
    "(": "(n): n not tested",
    "?": "?: cannot be tested",
    "!": "!: fails in another way",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    """Releases that follow each other and are alike."""

    word: str
    first: str
    """The version that is shown before the symbols; empty where none is."""
    last: str
    symbols: tuple[str, ...]

    @property
    def before(self) -> str:
        """The first version, with room behind it."""
        return f"{plain(self.first, longest=_LONGEST_VERSION)} " if self.first else ""

    @property
    def parts(self) -> list[str]:
        """The symbols between the versions at the ends; nothing but a space joins them."""
        after = f" {plain(self.last, longest=_LONGEST_VERSION)}" if self.last else ""
        return [*filter(None, [self.before]), *self.symbols, *filter(None, [after])]


def drawing(bisected: Bisected) -> tuple[str, ...]:
    """At most 80 columns of ASCII, but for what the versions hold; empty if nothing was tested."""
    sides = list(_sides(bisected))
    if not any(symbol != "." for side in sides for symbol in side.symbols):
        return ()
    short = [_folded(side) for side in sides]
    for each, lines in ((sides, _side_by_side(sides)), (short, _side_by_side(short))):
        if max(map(width, lines)) <= _WIDEST:
            return (*lines, *_key(each))
    return (*_stacked(short), *_key(short))


def _sides(bisected: Bisected) -> Iterator[_Side]:
    words = _words(bisected)
    releases = bisected.releases
    for word, run in groupby(range(len(releases)), lambda at: words[at]):
        places = list(run)
        first, last = places[0], places[-1]
        yield _Side(
            word=word,
            first=releases[first] if word != _UNSURE or first == 0 else "",
            last=releases[last]
            if first < last and (word != _UNSURE or last == len(releases) - 1)
            else "",
            symbols=tuple(_symbol(bisected, releases[at], word) for at in places),
        )


def _symbol(bisected: Bisected, release: str, word: str) -> str:
    if word == _GOOD and release in {bisected.last_good, bisected.fixed_in}:
        return "o"
    seen = bisected.tested.get(release)
    if word == _BAD and release == bisected.first_bad and seen != "other":
        return "x"
    if seen is None and release in bisected.unknown:
        return "?"
    return "." if seen is None else _SYMBOLS[seen]


def _words(bisected: Bisected) -> list[str]:
    """Which side each release is on: good only between releases that passed."""
    at = {release: place for place, release in enumerate(bisected.releases)}
    ranges = [(at[low], at[high]) for low, high in bisected.bad_ranges if {low, high} <= set(at)]
    good = {at[release] for release, seen in bisected.tested.items()
            if seen == "good" and release in at}  # fmt: skip
    good |= {at[one] for one in (bisected.last_good, bisected.fixed_in) if one in at}
    words = [_UNSURE] * len(bisected.releases)
    begin = 0
    for low, high in [*ranges, (len(words), len(words))]:
        passed = [place for place in good if begin <= place < low]
        if passed:
            words[min(passed) : max(passed) + 1] = [_GOOD] * (max(passed) + 1 - min(passed))
        words[low : high + 1] = [_BAD] * len(words[low : high + 1])
        begin = high + 1
    return words


def _folded(side: _Side) -> _Side:
    symbols: list[str] = []
    for symbol, run in groupby(side.symbols):
        alike = list(run)
        symbols += [f"({len(alike)})"] if symbol == "." and len(alike) >= _FOLDED else alike
    return _Side(word=side.word, first=side.first, last=side.last, symbols=tuple(symbols))


def _side_by_side(sides: Sequence[_Side]) -> list[str]:
    """The releases in one line, and what they are below."""
    above, below = [], []
    for side in sides:
        line = " ".join(side.parts)
        indent = width(side.before) + 1 if side.before else 0
        word = f"{' ' * indent}{side.word}"
        wide = max(width(line), width(word))
        above.append(padded(line, wide))
        below.append(padded(word, wide))
    return [f"  {'  |  '.join(parts)}".rstrip() for parts in (above, below)]


def _stacked(sides: Sequence[_Side]) -> Iterator[str]:
    """A line for each side, or several."""
    margin = max(len(side.word) for side in sides) + 4
    for side in sides:
        for number, line in enumerate(_filled(side.parts, " ", _WIDEST - margin)):
            yield f"  {padded('' if number else side.word, margin - 2)}{line}".rstrip()


def _key(sides: Sequence[_Side]) -> Iterator[str]:
    """What the symbols mean that were used."""
    used = {symbol[0] for side in sides for symbol in side.symbols}
    told = [words for symbol, words in _KEY.items() if symbol in used]
    return (f"  {line}" for line in _filled(told, "   ", _WIDEST - 2))


def _filled(parts: Sequence[str], gap: str, widest: int) -> Iterator[str]:
    """Lines that hold as many parts as they can."""
    line = parts[0]
    for part in parts[1:]:
        if width(f"{line}{gap}{part}") > widest:
            yield line
            line = part.lstrip()
        else:
            line += gap + part
    yield line
