"""From a declaration to its cells: the product, less `exclude`, plus `include`."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from nox_envs.cell import AxisValue, Cell, Match, environment_name
from nox_envs.errors import Mistake

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet

    from nox_envs.declaration import Declaration

__all__ = ["Directories", "cell_of", "cells", "combinations", "pythons"]


def __dir__() -> list[str]:
    return __all__


Labels = dict[str, AxisValue]


def pythons(declaration: Declaration) -> tuple[str, ...] | None:
    """The Pythons that have cells: the declared ones and those that `include` adds.

    A Python whose cells are all excluded does not exist. None leaves the choice to nox.
    """
    added = [python for rule in declaration.include for python in rule.python]
    if declaration.pythons is None and not added:
        return None
    every = tuple(dict.fromkeys([*(declaration.pythons or ()), *added]))
    if not declaration.exclude:
        return every
    return tuple(python for python in every if any(True for _ in combinations(declaration, python)))


def combinations(declaration: Declaration, python: str | None) -> Iterator[Labels]:
    """The values of the axes for one Python, in the order of the declaration.

    A Python that the declaration does not name (nox's `--extra-python`) has the whole
    product, too; one that only `include` names has what that says.
    """
    if not (declaration.axes or declaration.exclude or declaration.include):
        yield {}
        return
    added_only = {one for rule in declaration.include for one in rule.python} - set(
        declaration.pythons or ()
    )
    seen: list[tuple[str, ...]] = []
    if python not in added_only:
        for labels in _product(declaration):
            if not _covered(declaration.exclude, python, labels):
                seen.append(tuple(value.label for value in labels.values()))
                yield labels
    for rule in declaration.include:
        if rule.python and python not in rule.python:
            continue
        for labels in _added(declaration, rule):
            key = tuple(value.label for value in labels.values())
            if key not in seen:
                seen.append(key)
                yield labels


def _product(declaration: Declaration) -> Iterator[Labels]:
    names = [axis.parameter for axis in declaration.axes]
    for values in itertools.product(*(axis.values for axis in declaration.axes)):
        yield dict(zip(names, values, strict=True))


def _added(declaration: Declaration, rule: Match) -> Iterator[Labels]:
    columns = []
    for axis in declaration.axes:
        labels = sorted(rule.values[axis.parameter])
        columns.append([axis.find(label) or AxisValue(label=label, text=label) for label in labels])
    names = [axis.parameter for axis in declaration.axes]
    for values in itertools.product(*columns):
        yield dict(zip(names, values, strict=True))


def _covered(rules: Iterable[Match], python: str | None, labels: Labels) -> bool:
    rules = tuple(rules)
    if not rules:
        return False
    texts = {name: value.label for name, value in labels.items()}
    return any(rule.covers(python, texts) for rule in rules)


def cell_of(declaration: Declaration, python: str | None, labels: Labels) -> Cell:
    """The cell of these values."""
    return Cell(
        session=declaration.name,
        python=python,
        values=labels,
        may_fail=_covered(declaration.may_fail, python, labels),
    )


def cells(declaration: Declaration) -> Iterator[Cell]:
    """Every cell of a declaration."""
    for python in pythons(declaration) or (None,):
        for labels in combinations(declaration, python):
            yield cell_of(declaration, python, labels)


class Directories:
    """Which cell has which environment directory, over all sessions of a noxfile.

    nox maps every character that is not a word character to `-`, so that two cells may
    be given one directory. Each session is looked at once, however many there are.
    """

    def __init__(self) -> None:
        self._cells: dict[str, str] = {}
        self._of_session: dict[str, list[str]] = {}

    @property
    def sessions(self) -> AbstractSet[str]:
        """The sessions that have claimed their directories."""
        return self._of_session.keys()

    def claim(self, session: str, names: Iterable[str]) -> tuple[Mistake, ...]:
        """Take the directories of a session's cells; a mistake for each that is taken.

        A session that is declared again gives back what it had.
        """
        for directory in self._of_session.pop(session, ()):
            del self._cells[directory]
        own = self._of_session.setdefault(session, [])
        mistakes = []
        for name in names:
            directory = environment_name(name)
            if directory not in self._cells:
                self._cells[directory] = name
                own.append(directory)
            elif self._cells[directory] != name:
                mistakes.append(
                    Mistake(
                        address=name,
                        problem=f"would share the environment directory {directory} with "
                        f"{self._cells[directory]}",
                        hint='label the values:   matrix={"attrs": {"old": "<24", "new": ">=24"}}',
                    )
                )
        return tuple(mistakes)
