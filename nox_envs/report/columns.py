"""The columns of an answer: how they are called, and which say the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nox_envs.report.words import joined, some

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Mapping, Sequence

    Show = Callable[[str], str]

__all__ = ["Columns", "columns", "folded"]


def __dir__() -> list[str]:
    return __all__


_NAMED = 4
_RANGE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Cells, with the shortest labels that tell them apart."""

    labels: Mapping[str, str]
    """By the name of the cell."""
    pythons: Mapping[str, str]
    are_pythons: bool
    """Whether a Python is enough to tell them apart."""

    def header(self, chosen: Sequence[str], show: Show) -> str:
        """What stands above a column that speaks for several cells."""
        labels = [show(self.labels[one]) for one in chosen]
        if len(chosen) == 1:
            return labels[0]
        if len(chosen) == len(self.labels) > _NAMED:
            return f"all {len(chosen)}"
        shared = self._shared(chosen, show)
        if shared or len(chosen) < _RANGE:
            return shared or ", ".join(labels)
        return self._range(chosen, show) or f"{labels[0]} and {len(chosen) - 1} more"

    def where(self, chosen: Collection[str], show: Show) -> str:
        """What stands in a sentence after `on`."""
        shared = self._shared(chosen, show)
        if shared:
            return shared
        names = [name for name in self.labels if name in chosen]
        others = [show(self.labels[name]) for name in self.labels if name not in chosen]
        if len(names) <= _NAMED:
            return joined([show(self.labels[name]) for name in names])
        if not others:
            return self._range(names, show) or f"all {len(names)} cells"
        if len(others) < _NAMED:
            return f"all {len(self.labels)} cells but {joined(others)}"
        shown = [show(self.labels[name]) for name in names]
        return self._range(names, show) or some(shown, most=_NAMED)

    def _shared(self, chosen: Collection[str], show: Show) -> str:
        """The Python or the values of axes that these cells have, and no others."""
        if self.are_pythons or not 1 < len(chosen) < len(self.labels):
            return ""
        for trait in (self.pythons, {name: _values(name) for name in self.labels}):
            found = {trait[name] for name in chosen}
            having = {name for name in self.labels if trait[name] in found}
            if len(found) == 1 and having == set(chosen) and found != {""}:
                return show(found.pop())
        return ""

    def _range(self, chosen: Collection[str], show: Show) -> str:
        """`3.10-3.12`; empty where one between them is another column, or no Python."""
        if not self.are_pythons or not all(map(_is_release, self.labels.values())):
            return ""
        ordered = sorted(self.labels, key=lambda name: _release(self.labels[name]))
        places = [place for place, name in enumerate(ordered) if name in chosen]
        if places[-1] - places[0] + 1 != len(places):
            return ""
        first, last = (show(self.labels[ordered[place]]) for place in (places[0], places[-1]))
        return f"{first}-{last}"


def columns(cells: Mapping[str, str], sessions: Sequence[str]) -> Columns:
    """The columns of these cells; `cells` are Pythons by names of cells."""
    pythons = list(cells.values())
    plain = len(sessions) == 1 and not any("(" in name for name in cells)
    if plain and all(pythons) and len(set(pythons)) == len(pythons):
        return Columns(labels=dict(cells), pythons=cells, are_pythons=True)
    return Columns(labels={name: name for name in cells}, pythons=cells, are_pythons=False)


def folded(contents: Mapping[str, Hashable]) -> list[tuple[str, ...]]:
    """The names, those of equal content together, in the order of the first of them."""
    groups: dict[Hashable, list[str]] = {}
    for name, content in contents.items():
        groups.setdefault(content, []).append(name)
    return [tuple(names) for names in groups.values()]


def _values(name: str) -> str:
    """`django='4.2'` of `test-3.11(django='4.2')`."""
    return name.partition("(")[2].removesuffix(")")


def _is_release(label: str) -> bool:
    return re.fullmatch(r"\d+\.\d+", label, re.ASCII) is not None


def _release(label: str) -> tuple[int, ...]:
    return tuple(int(part) for part in label.split("."))
