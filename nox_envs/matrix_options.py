"""The matrix of a declaration, read: Pythons, axes, and the rules that select cells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from packaging.requirements import InvalidRequirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from nox_envs.cell import Axis, AxisValue, Match
from nox_envs.options import OptionsReader, nearest

__all__ = ["MatrixReader"]


def __dir__() -> list[str]:
    return __all__


class MatrixReader:
    """Reads the options that say which cells there are."""

    def __init__(self, options: OptionsReader) -> None:
        self.options = options.options
        self.wrong = options.wrong

    def pythons(self) -> tuple[str, ...] | None:
        value = self.options.get("python")
        if value is None:
            return None
        if value is False:
            self.wrong("python", "False makes no environment", "use plain @nox.session for it")
            return None
        single = isinstance(value, str | int | float) or not isinstance(value, Iterable)
        items = (value,) if single else tuple(value)
        for index, item in enumerate(items):
            address = "python" if single else f"python[{index}]"
            if isinstance(item, float) or (isinstance(item, int) and not isinstance(item, bool)):
                # 3.10 as a number is 3.1: only the user can tell which one is meant.
                hint = 'write the version in quotes, such as "3.10"'
                self.wrong(address, f"{item!r} is a number", hint)
            elif not isinstance(item, str) or not item.strip() or item != item.strip():
                self.wrong(address, f"{item!r} is not a Python version")
        if not items:
            self.wrong("python", "an empty list leaves no session")
        found = tuple(item for item in items if isinstance(item, str))
        for repeated in sorted({item for item in found if found.count(item) > 1}):
            self.wrong("python", f'"{repeated}" stands twice')
        return found

    def axes(self) -> tuple[Axis, ...]:
        value = self.options.get("matrix") or {}
        if not isinstance(value, Mapping):
            self.wrong("matrix", f"{value!r} is not a mapping", 'write {"django": ["4.2", "5.2"]}')
            return ()
        axes: list[Axis] = []
        for key, values in value.items():
            axis = self._axis(key, values)
            if axis is None:
                continue
            if any(axis.parameter.lower() == other.parameter.lower() for other in axes):
                self.wrong(f"matrix[{key!r}]", "is the same package as another axis")
            axes.append(axis)
        return tuple(axes)

    def _axis(self, key: Any, values: Any) -> Axis | None:
        address = f"matrix[{key!r}]"
        if key in {"python", "session"}:
            hint = "the parameter python= is for that" if key == "python" else ""
            self.wrong(address, "cannot be an axis", hint)
            return None
        if not isinstance(key, str) or not re.fullmatch(r"[A-Za-z]([\w.-]*\w)?", key):
            self.wrong(address, "is not the name of a package")
            return None
        name = canonicalize_name(key)
        found: list[AxisValue] = []
        texts: set[str] = set()
        for place, label, text in self._labelled(address, values):
            axis_value = self._axis_value(place, label, text)
            if axis_value is None:
                continue
            if axis_value.text in texts:
                self.wrong(place, f"{text!r} stands twice")
                continue
            try:
                axis_value.requirement(name)
            except InvalidRequirement:
                self.wrong(place, f"{text!r} is neither a version, a specifier nor @ URL",
                           'write "4.2", ">=4.2", "latest", "lowest" or "latest-pre"')  # fmt: skip
                continue
            found.append(axis_value)
            texts.add(axis_value.text)
        return Axis(name=name, parameter=re.sub(r"[-.]", "_", key), values=tuple(found))

    def _labelled(self, address: str, values: Any) -> list[tuple[str, Any, Any]]:
        """Address, label and text of each value, in whatever form they are given."""
        if isinstance(values, Mapping):
            found = [(f"{address}[{key!r}]", key, text) for key, text in values.items()]
        elif isinstance(values, Iterable) and not isinstance(values, str):
            found = [(f"{address}[{n}]", text, text) for n, text in enumerate(values)]
        else:
            found = [(f"{address}[0]", values, values)]
        if not found:
            self.wrong(address, "has no values, so no cell would exist")
        return found

    def _axis_value(self, address: str, label: Any, text: Any) -> AxisValue | None:
        if isinstance(text, int | float) and not isinstance(text, bool):
            self.wrong(address, f"{text!r} is a number", f'write "{text}", with quotes')
            return None
        if not isinstance(text, str) or not isinstance(label, str) or not text or not label:
            self.wrong(address, f"{text!r} is not a string")
            return None
        if not (label.isprintable() and text.isprintable()):
            self.wrong(address, f"{text!r} holds a character that cannot be shown")
            return None
        if re.search(r"://[^/\s]*:[^/\s]*@", label):
            hint = 'label the value:   {"mine": "@ https://..."}, and take the password from netrc'
            self.wrong(address, "a URL with a password would stand in the session's name", hint)
            return None
        return AxisValue(label=label, text=text.strip())

    def rules(
        self, name: str, axes: tuple[Axis, ...], *, complete: bool = False
    ) -> tuple[Match, ...]:
        value = self.options.get(name) or ()
        if isinstance(value, Mapping):
            value = [value]
        found = []
        if not isinstance(value, Iterable) or isinstance(value, str):
            self.wrong(name, f"{value!r} is not a list of mappings")
            return ()
        for index, rule in enumerate(value):
            address = f"{name}[{index}]"
            if not isinstance(rule, Mapping) or not rule:
                self.wrong(address, f"{rule!r} is not a mapping with something in it",
                           'write {"python": "<3.12", "django": "6.0"}')  # fmt: skip
                continue
            found.append(self._rule(address, rule, axes, complete=complete))
        return tuple(found)

    def _rule(
        self, address: str, rule: Mapping[str, Any], axes: tuple[Axis, ...], *, complete: bool
    ) -> Match:
        python: tuple[str, ...] = ()
        values: dict[str, frozenset[str]] = {}
        by_name = {axis.parameter: axis for axis in axes} | {axis.name: axis for axis in axes}
        for key, wanted in rule.items():
            texts = (wanted,) if isinstance(wanted, str) else wanted
            place = f"{address}[{key!r}]"
            if (
                isinstance(texts, Mapping)
                or not isinstance(texts, Iterable)
                or not all(isinstance(one, str) and one.isprintable() for one in texts)
            ):
                self.wrong(place, f"{wanted!r} is not a string", f'write "{wanted}", with quotes')
            elif key == "python":
                python = tuple(texts)
                self._check_pythons(place, python, complete=complete)
            elif key in by_name or canonicalize_name(str(key)) in by_name:
                axis = by_name.get(key) or by_name[canonicalize_name(str(key))]
                labels = (self._label(place, axis, text, new=complete) for text in texts)
                values[axis.parameter] = frozenset(label for label in labels if label)
            else:
                names = ["python", *(axis.parameter for axis in axes)]
                self.wrong(place, "is neither python nor an axis", nearest(str(key), names))
        if complete:
            for axis in axes:
                if axis.parameter not in values:
                    self.wrong(address, f"says no value for {axis.parameter}")
        return Match(python=python, values=values)

    def _label(self, address: str, axis: Axis, text: str, *, new: bool) -> str | None:
        value = axis.find(text)
        if value is not None:
            return value.label
        if new:
            return text
        hint = nearest(text, [one.label for one in axis.values])
        self.wrong(address, f"{text!r} is no value of {axis.parameter}", hint)
        return None

    def _check_pythons(self, address: str, pythons: tuple[str, ...], *, complete: bool) -> None:
        for text in pythons:
            if complete and text[:1] in "<>=!~":
                self.wrong(address, f"{text!r} is a range", "name the Pythons to add")
            elif text[:1] in "<>=!~":
                try:
                    SpecifierSet(text)
                except InvalidSpecifier:
                    self.wrong(address, f"{text!r} is not a version specifier", 'write "<3.12"')
