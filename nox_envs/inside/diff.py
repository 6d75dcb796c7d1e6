"""What differs between two environments, locks or runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.pylock import Pylock
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = [
    "Change",
    "Difference",
    "Side",
    "compared",
    "pins_of_freeze",
    "pins_of_lock",
    "projects_of_lock",
]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two: packages with their versions."""

    label: str
    """As the user named it."""
    pins: Mapping[str, str]
    """By normalized name; what has no version, of a commit say, has an empty one."""
    python: str = ""
    projects: Collection[str] = ()
    """Those that are built from a directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One package that differs; the side that does not have it says None."""

    name: str
    before: str | None
    after: str | None

    @property
    def kind(self) -> str:
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """From the first to the second."""

    first: Side
    second: Side
    changes: Sequence[Change]

    @property
    def same(self) -> int:
        """How many packages are equal on both sides."""
        there = self.first.pins.keys() & self.second.pins.keys()
        return len(there) - sum(one.kind == "changed" for one in self.changes)

    @property
    def pythons(self) -> tuple[str, str] | None:
        """The two Pythons, if both are known and differ."""
        first, second = self.first.python, self.second.python
        return (first, second) if first and second and first != second else None

    @property
    def is_empty(self) -> bool:
        return not self.changes and not self.pythons

    def to_dict(self) -> dict[str, Any]:
        found: dict[str, list[dict[str, str | None]]] = {"added": [], "removed": [], "changed": []}
        for one in self.changes:
            found[one.kind].append({"name": one.name, "from": one.before, "to": one.after})
        return {
            "schema": "nox-envs.diff/1",
            "first": {"name": self.first.label, "python": self.first.python or None},
            "second": {"name": self.second.label, "python": self.second.python or None},
            "same": self.same,
            **found,
        }


def compared(first: Side, second: Side) -> Difference:
    """Every package that one of them does not have, or has in another version, by name.

    A lock that people share says no version of a local project: that is no difference.
    """
    projects = set(first.projects) & set(second.projects)
    names = sorted(first.pins.keys() | second.pins.keys())
    changes = [
        Change(name=name, before=first.pins.get(name), after=second.pins.get(name))
        for name in names
        if name not in first.pins
        or name not in second.pins
        or not (
            _equal(first.pins[name], second.pins[name])
            or (name in projects and not (first.pins[name] and second.pins[name]))
        )
    ]
    return Difference(first=first, second=second, changes=changes)


def _equal(one: str, other: str) -> bool:
    try:
        return one == other or Version(one) == Version(other)
    except InvalidVersion:
        return False


def pins_of_lock(data: Mapping[str, Any]) -> dict[str, str]:
    """The pins of a PEP 751 document, whatever environments they are for.

    Of what it holds in several versions, all are named. Raises `PylockValidationError`.
    """
    found: dict[str, list[str]] = {}
    for package in Pylock.from_dict(data).packages:
        version = str(package.version or (package.vcs.commit_id if package.vcs else ""))
        if version not in found.setdefault(str(package.name), []):
            found[package.name].append(version)
    return {name: ", ".join(versions) for name, versions in found.items()}


def projects_of_lock(data: Mapping[str, Any]) -> frozenset[str]:
    """The packages of a PEP 751 document that are built from a directory."""
    return frozenset(str(one.name) for one in Pylock.from_dict(data).packages if one.directory)


def pins_of_freeze(text: str) -> dict[str, str]:
    """The pins of what `pip freeze` or pip-compile wrote; what pins nothing is left out."""
    found = {}
    for line in text.replace("\\\n", " ").splitlines():
        words = line.partition(" #")[0].partition(" --hash")[0].strip()
        try:
            requirement = Requirement(words)
        except InvalidRequirement:
            continue  # A comment, an option, an editable project.
        versions = [one.version for one in requirement.specifier if one.operator in {"==", "==="}]
        if requirement.url or versions:
            found[str(canonicalize_name(requirement.name))] = requirement.url or versions[0]
    return found
