"""In which order the cells of a matrix are prepared and run, and which are run once for several."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

__all__ = ["Schedule", "longest_first"]


def __dir__() -> list[str]:
    return __all__


def longest_first(names: Sequence[str], seconds: Mapping[str, float]) -> list[str]:
    """The same names, the longest first: what is begun last then takes least.

    Those of which nothing is known come before all others. Equal ones stay in order.
    """
    return sorted(names, key=lambda name: -seconds.get(name, float("inf")))


class Schedule:
    """Which cell is prepared next, and which is run next.

    A cell is prepared (`next_to_prepare`, then `prepared` or `dropped`) before it is run
    (`next_to_run`). At most `ahead` cells are prepared and not running yet. Of cells with equal
    keys the first is run; the others never are. It holds no lock: one thread at a time may call.
    """

    def __init__(self, names: Sequence[str], *, ahead: int) -> None:
        self._places = {name: place for place, name in enumerate(names)}
        self._waiting = deque(names)
        self._preparing: set[str] = set()
        self._ready: list[str] = []
        self._first: dict[Hashable, str] = {}
        self._ahead = ahead

    @property
    def is_prepared(self) -> bool:
        """Whether no cell is left that has to be prepared."""
        return not self._waiting

    @property
    def is_exhausted(self) -> bool:
        """Whether `next_to_run` will never give a cell again."""
        return not (self._waiting or self._preparing or self._ready)

    def next_to_prepare(self) -> str | None:
        """The next cell to prepare; None while enough of them are ready, or none is left."""
        if not self._waiting or len(self._preparing) + len(self._ready) >= self._ahead:
            return None
        name = self._waiting.popleft()
        self._preparing.add(name)
        return name

    def prepared(self, name: str, key: Hashable) -> str:
        """A cell can be run. Returns the cell whose run counts: this one, or an equal one."""
        self._preparing.remove(name)
        first = self._first.setdefault(key, name)
        if first == name:
            self._ready.append(name)
            self._ready.sort(key=self._places.__getitem__)
        return first

    def dropped(self, name: str) -> None:
        """A cell is not to be run after all."""
        self._preparing.remove(name)

    def next_to_run(self) -> str | None:
        """The first of the cells that are ready; None while none is."""
        return self._ready.pop(0) if self._ready else None
