"""A tox.ini, as far as it has a counterpart in a declaration."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from nox_envs.cell import environment_name

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

__all__ = ["Tox"]


def __dir__() -> list[str]:
    return __all__


_POSARGS = re.compile(r"\{posargs(?::(?P<default>[^{}]*))?\}")
_CONDITION = re.compile(r"(?P<factors>[\w.!{},-]+(?:\s*,\s*[\w.!{},-]+)*)\s*:(?P<space>\s|$)?")
"""What a line is for: `py311,!cov: `."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tox:
    """`[testenv]` of a tox.ini, as far as it has a counterpart."""

    is_there: bool = False
    environments: tuple[frozenset[str], ...] = ()
    """The factors of those that name a Python."""
    pythons: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    axes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What each factor stands for, by package."""
    commands: tuple[tuple[str, ...], ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    pass_env: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str) -> Tox:
        import configparser  # noqa: PLC0415 - heavy, and few projects have a tox.ini

        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(text)
        except configparser.Error:
            return cls(left=("tox.ini, which cannot be read",))
        if not text.strip():
            return cls()
        top = parser["tox"] if parser.has_section("tox") else {}
        table = parser["testenv"] if parser.has_section("testenv") else {}
        names = _listed(top.get("envlist") or top.get("env_list") or "")
        split = [frozenset(name.split("-")) for name in names]
        environments = tuple(one for one in split if any(map(_python, one)))
        found = _Deps(frozenset().union(*environments))
        for line in table.get("deps", "").splitlines():
            found.add(line.strip())
        commands, odd = _tox_commands(table.get("commands", ""), found.factors)
        others = [name for name, one in zip(names, split, strict=True) if one not in environments]
        left = [*found.left, *odd, *(f"the environment {name} of tox.ini" for name in others)]
        env = _variables(table.get("setenv") or table.get("set_env") or "", left)
        pass_env = _passed(table.get("passenv") or table.get("pass_env") or "", left)
        pythons = {python for one in environments for python in map(_python, one) if python}
        return cls(
            is_there=True,
            environments=environments,
            pythons=tuple(sorted(pythons, key=_age)),
            dependencies=tuple(found.dependencies),
            requirements=tuple(found.requirements),
            constraints=tuple(found.constraints),
            extras=tuple(_listed(table.get("extras", ""))),
            axes=found.axes(left),
            commands=commands,
            env=env,
            pass_env=pass_env,
            left=tuple(left),
        )

    def exclude(self, pythons: Sequence[str]) -> tuple[Mapping[str, str], ...]:
        """The cells of the product that tox would not run."""
        if not self.axes:
            return ()
        labels = {name: _labels(name, values) for name, values in self.axes.items()}
        found = []
        for python, *factors in product(pythons, *self.axes.values()):
            named = [one for one in self.environments if python in map(_python, one)]
            if named and not any(one.issuperset(factors) for one in named):
                rule = {
                    name: labels[name][factor] for name, factor in zip(labels, factors, strict=True)
                }
                found.append({"python": python, **rule})
        return tuple(found)

    @property
    def matrix(self) -> dict[str, dict[str, str]]:
        """The values of each axis by their labels, as a declaration has them."""
        return {
            name: {_labels(name, values)[factor]: value for factor, value in values.items()}
            for name, values in self.axes.items()
        }


def _labels(name: str, values: Mapping[str, str]) -> dict[str, str]:
    """What to call the value of each factor: its version, if directories can tell them apart."""
    found = {factor: _label(name, factor, value) for factor, value in values.items()}
    directories = set(map(environment_name, found.values()))
    return found if len(directories) == len(found) else {one: one for one in values}


def _label(name: str, factor: str, value: str) -> str:
    version = re.search(r"(?:==|~=|>=)([\w.]+)", value)
    if version is not None:
        return version[1].rstrip(".")
    if value.startswith("@"):
        return factor.removeprefix(name) or factor
    return value


def _listed(text: str) -> list[str]:
    """A list of tox: separated by commas or lines, with braces for alternatives."""
    words = re.findall(r"(?:[^\s,{}]|\{[^{}]*\})+", re.sub(r"#.*", "", text))
    found = []
    for word in words:
        parts = re.split(r"\{([^{}]*)\}", word)
        choices = [
            re.split(r"\s*,\s*", part.strip()) if n % 2 else [part] for n, part in enumerate(parts)
        ]
        found += ["".join(one) for one in product(*choices)]
    return list(dict.fromkeys(found))


def _python(factor: str) -> str | None:
    """The Python that a factor of tox names: `py311`, `pypy3.10`."""
    found = re.fullmatch(r"(?:py|python|(pypy))(3)\.?(\d+)", factor)
    return f"{found[1] or ''}3.{found[3]}" if found else None


def _age(python: str) -> tuple[bool, int]:
    return python.startswith("pypy"), int(python.rpartition(".")[2])


class _Deps:
    """The lines of `deps`, one by one."""

    def __init__(self, factors: Collection[str]) -> None:
        self.factors = factors
        self.dependencies: list[str] = []
        self.requirements: list[str] = []
        self.constraints: list[str] = []
        self.left: list[str] = []
        self._axes: dict[str, dict[str, str]] = {}

    def add(self, line: str) -> None:
        line = re.sub(r"(^|\s)#.*", "", line).replace("{toxinidir}/", "").strip()
        factor, colon, rest = line.partition(":")
        file = re.fullmatch(r"-([rc])\s*(\S+)", line)
        if not line:
            return
        if colon and factor.strip() in self.factors and _python(factor.strip()) is None:
            self._add_value(factor.strip(), rest.strip(), line)
        elif file and "{" not in line:
            (self.requirements if file[1] == "r" else self.constraints).append(file[2])
        elif _is_requirement(line):
            self.dependencies.append(line)
        else:
            self.left.append(f"`{line}` of tox.ini")

    def _add_value(self, factor: str, text: str, line: str) -> None:
        if not _is_requirement(text) or (parsed := Requirement(text)).marker or parsed.extras:
            self.left.append(f"`{line}` of tox.ini")
            return
        value = f"@ {parsed.url}" if parsed.url else _value(text) or "latest"
        self._axes.setdefault(canonicalize_name(parsed.name), {})[factor] = value

    def axes(self, left: list[str]) -> dict[str, dict[str, str]]:
        """An axis for each package that has a release for each of its factors alone."""
        found: dict[str, dict[str, str]] = {}
        for name, values in self._axes.items():
            taken = {factor for known in found.values() for factor in known}
            if taken & set(values):
                left.append(f"{name} of tox.ini, which moves together with another package")
            else:
                found[name] = values
        return found


def _value(text: str) -> str:
    """The value of an axis for a specifier: `2.31` for `==2.31.*`, else as it was written."""
    specifier = re.sub(r"^[\w.-]+|[\s()]", "", text)
    series = re.fullmatch(r"==(\d+(?:\.\d+)*)\.\*", specifier)
    return series[1] if series else specifier


def _is_requirement(text: str) -> bool:
    try:
        Requirement(text)
    except InvalidRequirement:
        return False
    return True


def _tox_commands(
    text: str, factors: Collection[str]
) -> tuple[tuple[tuple[str, ...], ...], list[str]]:
    """The commands that need nothing of tox, and those that do, or are not for all of `factors`."""
    found: list[tuple[str, ...]] = []
    left = []
    for line in re.sub(r"\\\s*\n", " ", text).splitlines():
        plain = line.strip().replace("{toxinidir}/", "").replace("{envpython}", "python")
        if not plain or plain.startswith("#"):
            continue
        try:
            words = [each for word in _split(plain) for each in _posargs(word)]
        except ValueError:
            words = []
        is_odd = plain[0] in "-!" or _is_conditional(plain, factors)
        if is_odd or not words or any("{" in word for word in words):
            left.append(f"`{line.strip()}` of tox.ini")
        else:
            found.append(tuple(words))
    return tuple(found), left


def _is_conditional(line: str, factors: Collection[str]) -> bool:
    """Whether a line is only for the environments of some factors, as `cov: coverage erase`."""
    found = _CONDITION.match(line)
    if found is None or found["factors"].count("{") != found["factors"].count("}"):
        return False  # `{posargs: pytest}` is none.
    named = re.split(r"[\s,!-]+", found["factors"])
    return found["space"] is not None or set(filter(None, named)) <= set(factors)


def _variables(text: str, left: list[str]) -> dict[str, str]:
    """What `setenv` sets in every environment without asking tox for anything."""
    found = {}
    for line in _uncommented(re.sub(r"\\\s*\n\s*", "", text)):
        match = re.fullmatch(r"([A-Za-z_]\w*)\s*=\s*([^{}\\]*)", line, re.ASCII)
        if match:
            found[match[1]] = match[2]
        else:
            left.append(f"`{line}` in setenv of tox.ini: write env={{...}}")
    return found


def _passed(text: str, left: list[str]) -> tuple[str, ...]:
    """The patterns of `passenv`; none where it lets everything through, which is the default."""
    words = dict.fromkeys(re.findall(r"[^\s,]+", "\n".join(_uncommented(text))))
    found = [one for one in words if re.fullmatch(r"[\w*?.()-]+", one)]
    left += [f"`{one}` in passenv of tox.ini: write pass_env=[...]"
             for one in words if one not in found]  # fmt: skip
    return () if "*" in found else tuple(found)


def _uncommented(text: str) -> list[str]:
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines())
    return [line for line in lines if line]


def _split(text: str) -> list[str]:
    return shlex.split(_POSARGS.sub(lambda one: shlex.quote(one[0]), text))


def _posargs(word: str) -> list[str]:
    """What stands for the words that a user adds."""
    match = _POSARGS.fullmatch(word)
    if match is None:
        return [word]
    default = shlex.split(match["default"] or "")
    return [
        f"*(session.posargs or {json.dumps(default, ensure_ascii=False)})"
        if default
        else "*session.posargs"
    ]
