"""Which candidates have to move together, and in which order they are looked at."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from nox_envs.upgrade.tally import Names

__all__ = ["Closures"]


def __dir__() -> list[str]:
    return __all__


class Closures:
    """A partial order of candidates: what the resolver has to move with each of them.

    Only candidates that need each other are one unit; one that is needed can move alone.
    """

    def __init__(
        self,
        names: Sequence[str],
        closures: Mapping[str, Names | None],
        links: Collection[Names] = (),
    ) -> None:
        self._names = tuple(names)
        whole = {name: {name} | (closures.get(name) or set()) for name in names}
        for middle in names:
            for company in whole.values():
                if middle in company:
                    company.update(whole[middle])
        self._whole = {name: frozenset(whole[name]).intersection(names) for name in names}
        impossible = {name for name in names if name in closures and closures[name] is None}
        self.missing = {
            name: () if name in impossible else tuple(self.sort(self._whole[name] & impossible))
            for name in names
            if self._whole[name] & impossible
        }
        """Candidates that cannot be resolved, by what they need that cannot be either."""
        self.possible = frozenset(names).difference(self.missing)
        self._links = frozenset(link for link in links if link <= self.possible)
        self._near = {
            name: frozenset().union(
                self._whole[name],
                self.needing(name),
                *(link for link in self._links if name in link),
            )
            for name in names
        }

    def sort(self, names: Iterable[str]) -> list[str]:
        """Candidates in the order in which they were given."""
        return sorted(names, key=self._names.index)

    def of(self, name: str) -> Names:
        """A candidate and all that has to move with it."""
        return self._whole[name]

    def needing(self, name: str) -> Names:
        """A candidate and all that cannot move without it."""
        return frozenset(other for other in self._names if name in self._whole[other])

    def roots(self, name: str, without: Names) -> tuple[str, ...]:
        """What a candidate needs, besides its own unit and others, that needs no more itself."""
        own = self._whole[name]
        below = [other for other in self.sort(own - without) if self._whole[other] != own]
        return tuple(
            other
            for other in below
            if all(
                self._whole[lower] == self._whole[other] for lower in self._whole[other] - without
            )
        )

    def roots_above(self, without: Names) -> dict[Names, Names]:
        """Units outside a set that need nothing else outside it, each with its closure."""
        wholes = {self.unit(name): self._whole[name] for name in self._names if name not in without}
        return {unit: whole for unit, whole in wholes.items() if whole - without == unit}

    def additions(self, without: Names) -> list[Names]:
        """The closures of all that can be added to a set."""
        return [self._whole[name] for name in self.sort(self.possible - without)]

    def pairs(self, without: Names) -> list[Names]:
        """The closures of linked pairs of which either can be added to a set."""
        rest = self.sort(self.possible - without)
        return [
            self._whole[one] | self._whole[two]
            for one, two in combinations(rest, 2)
            if frozenset({one, two}) in self._links
        ]

    def units(self, names: Names, suspects: Sequence[str] = ()) -> list[tuple[int, Names]]:
        """Order what lies between two closed sets so that the lower and any prefix is closed.

        What is linked stands together, with the number of its component; what is suspicious
        comes late.
        """
        rank = {name: len(suspects) - index for index, name in enumerate(suspects)}
        left, components = self.sort(names), []
        while left:
            component = self._component(left[0], names)
            components.append([name for name in left if name in component])
            left = [name for name in left if name not in component]
        components.sort(key=lambda component: max(rank.get(name, 0) for name in component))
        return [
            (number, unit)
            for number, component in enumerate(components)
            for unit in dict.fromkeys(
                self.unit(name)
                for name in sorted(
                    component, key=lambda name: (len(self._whole[name]), rank.get(name, 0))
                )
            )
        ]

    def unit(self, name: str) -> Names:
        """A candidate and all that need each other with it."""
        whole = self._whole[name]
        return frozenset(other for other in whole if self._whole[other] == whole)

    def _component(self, name: str, names: Names) -> set[str]:
        found, fresh = {name}, [name]
        while fresh:
            one = fresh.pop()
            near = self._near[one] & names - found
            found |= near
            fresh += near
        return found
