"""A cell: one session, one Python, one value for each axis. The unit that runs."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName

__all__ = ["Axis", "AxisValue", "Cell", "Match", "environment_name", "needs_venv"]


def __dir__() -> list[str]:
    return __all__


Floating = Literal["latest", "lowest", "latest-pre"]
_FLOATING: frozenset[str] = frozenset({"latest", "lowest", "latest-pre"})
_OPERATORS = ("<", ">", "=", "!", "~", "@")


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisValue:
    """One value of an axis, and the label that names it in a session."""

    label: str
    text: str
    """`4.2`, `<24`, `@ https://...`, `latest`, `lowest` or `latest-pre`."""

    @property
    def is_lowest(self) -> bool:
        """Whether the index has to be asked which release is meant."""
        return self.text == "lowest"

    @property
    def is_prerelease(self) -> bool:
        """Whether pre-releases are wanted."""
        return self.text == "latest-pre"

    def requirement(self, name: NormalizedName) -> Requirement:
        """The requirement that the value stands for.

        A version is the newest of its series (`4.2` is `==4.2.*`); `lowest` asks for no
        release in particular until the index has told which one is the lowest.
        Raises `InvalidRequirement` for text that is none of the known forms.
        """
        return Requirement(name + self._suffix())

    def _suffix(self) -> str:
        if self.is_prerelease:
            # A specifier that names a pre-release admits pre-releases of this package
            # alone (PEP 440, handling of pre-releases); uv has to be told besides.
            return ">=0.dev0"
        if self.text in _FLOATING:
            return ""
        if self.text.startswith(_OPERATORS):
            return f" {self.text}" if self.text.startswith("@") else self.text
        try:
            version = Version(self.text)
        except InvalidVersion:
            return f"=={self.text}"
        exact = version.is_prerelease or version.local or version.is_postrelease
        return f"=={self.text}" if exact or self.text.endswith("*") else f"=={self.text}.*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A dependency whose version varies."""

    name: NormalizedName
    parameter: str
    """The name in session names and as a parameter: `importlib_metadata`."""
    values: tuple[AxisValue, ...]

    def with_text(self, text: str) -> AxisValue:
        """The value that nox was given as `text`; one that only `include` names is new."""
        known = (value for value in self.values if value.text == text)
        return next(known, AxisValue(label=text, text=text))

    def find(self, text: str) -> AxisValue | None:
        """The value of that label or, failing that, of that text."""
        for value in self.values:
            if value.label == text:
                return value
        for value in self.values:
            if value.text == text:
                return value
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One session x one Python x one value per axis."""

    session: str
    python: str | None
    """As nox takes it; None where nox decides."""
    values: Mapping[str, AxisValue]
    """By the parameter of the axis, in the order of the declaration."""
    may_fail: bool = False

    @property
    def name(self) -> str:
        """What nox calls it: `test-3.11(django='4.2')`."""
        base = f"{self.session}-{self.python}" if self.python else self.session
        return f"{base}({self.signature})" if self.values else base

    @property
    def signature(self) -> str:
        """The part of the name that tells the axes: `django='4.2', drf='3.15'`."""
        return ", ".join(f"{name}={value.label!r}" for name, value in self.values.items())

    @property
    def labels(self) -> dict[str, str]:
        """What names the values, by the parameter of the axis."""
        return {name: value.label for name, value in self.values.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A rule that selects cells: every key must hold."""

    python: tuple[str, ...] = ()
    """Specifiers or names, any of which may hold; empty matches all."""
    values: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Labels by the parameter of the axis."""

    def covers(self, python: str | None, labels: Mapping[str, str]) -> bool:
        """Whether the rule selects the cell of these labels."""
        if any(labels.get(axis) not in wanted for axis, wanted in self.values.items()):
            return False
        return not self.python or any(_python_matches(one, python) for one in self.python)


def _python_matches(rule: str, python: str | None) -> bool:
    if python is None:
        return False
    if rule == python:
        return True
    digits = re.search(r"\d+(\.\d+)*", python)
    if digits is None:
        return False
    specifier = rule if rule[:1] in "<>=!~" else f"=={rule}.*"
    try:
        return SpecifierSet(specifier).contains(digits[0], prereleases=True)
    except InvalidSpecifier:
        return False


def environment_name(cell_name: str) -> str:
    """The name of the directory that nox gives an environment, up to its length limit.

    As `nox.sessions._normalize_path`, which maps every character that is not a word
    character to `-`: `>=24` and `<24` give one directory. It is only compared.
    """
    plain = cell_name
    if not plain.isascii():
        plain = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode("ascii")
    plain = re.sub(r"[^\w\s-]", "-", plain).strip().lower()
    return re.sub(r"[-\s]+", "-", plain).strip("-")


_SEEDED_SINCE = (3, 9)
"""The oldest Python that virtualenv's bundled pip runs on."""


def needs_venv(python: str) -> bool:
    """Whether virtualenv can no longer make environments for a Python, and venv has to."""
    match = re.fullmatch(r"(?:python)?(\d+)\.(\d+)(?:\.\d+)?", python)
    return match is not None and (int(match[1]), int(match[2])) < _SEEDED_SINCE
