"""What a project says of itself in pyproject.toml."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from packaging.requirements import InvalidRequirement
from packaging.utils import NormalizedName, canonicalize_name

__all__ = ["ProjectKind", "Pyproject", "poetry_specifier", "supported_pythons"]


def __dir__() -> list[str]:
    return __all__


ProjectKind = Literal["wheel", "editable", "dependencies"]
"""How the project itself takes part in an environment; False stands for not at all."""

_NEWEST_MINOR = 14
"""The newest minor release of Python 3 when this was written.

It bounds what `requires-python` alone promises; classifiers name what is supported."""


_MOST_PATCHES = 40
"""No series of Python 3 has had more patch releases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pyproject:
    """The parts of pyproject.toml that decide what is installed."""

    name: NormalizedName | None = None
    dependencies: tuple[str, ...] = ()
    optional: Mapping[NormalizedName, tuple[str, ...]] = field(default_factory=dict)
    dynamic: frozenset[str] = frozenset()
    requires_python: str = ""
    classifiers: tuple[str, ...] = ()
    groups: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Dependency groups as they stand (PEP 735), and those of poetry in the same form.

    Includes are not expanded."""
    is_package: bool = False
    """Whether it can be built: it has a build system, and nothing says otherwise."""
    has_metadata: bool = False
    """Whether it declares dependencies at all (`[project]` or `[tool.poetry]`)."""
    has_project: bool = False
    """Whether there is a `[project]` table, where extras would stand."""
    poetry: Mapping[str, Any] = field(default_factory=dict)
    """`[tool.poetry.dependencies]` of a project without `[project]`."""
    sources: Mapping[str, Any] = field(default_factory=dict)
    """`[tool.uv.sources]`, and the paths of poetry's dependencies in the same form."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Pyproject:
        """Read a parsed pyproject.toml. What is malformed is left to the build backend."""
        project = _table(data, "project")
        tool = _table(data, "tool")
        poetry, uv = _table(tool, "poetry"), _table(tool, "uv")
        name = project.get("name") or poetry.get("name")
        unpackaged = uv.get("package") is False or poetry.get("package-mode") is False
        return cls(
            name=canonicalize_name(name) if isinstance(name, str) else None,
            dependencies=_texts(project, "dependencies"),
            optional={
                canonicalize_name(extra): _texts(table, extra)
                for table in [_table(project, "optional-dependencies")]
                for extra in table
            }
            if project
            else _poetry_extras(poetry),
            dynamic=frozenset(_texts(project, "dynamic")),
            requires_python=str(project.get("requires-python", "")),
            classifiers=tuple(project.get("classifiers") or poetry.get("classifiers") or ()),
            groups={**_poetry_groups(poetry), **_table(data, "dependency-groups")},
            is_package="build-system" in data and not unpackaged,
            has_metadata=bool(project or poetry),
            has_project=bool(project),
            poetry={} if project else _table(poetry, "dependencies"),
            sources={
                **_poetry_paths({} if project else _table(poetry, "dependencies")),
                **_poetry_paths(
                    {
                        name: entry
                        for table in _poetry_group_tables(poetry).values()
                        for name, entry in table.items()
                    }
                ),
                **_table(uv, "sources"),
            },
        )

    @property
    def default_kind(self) -> ProjectKind | Literal[False]:
        """What `project=` means where a declaration does not say."""
        if self.is_package:
            return "wheel"
        return "dependencies" if self.has_metadata else False

    @property
    def is_dynamic(self) -> bool:
        """Whether only the build backend knows the dependencies."""
        return bool(self.dynamic & {"dependencies", "optional-dependencies"}) or (
            self.is_package and not self.name
        )

    def requires_dist(self) -> list[str]:
        """The static dependencies as `Requires-Dist` values of core metadata."""
        found = list(self.dependencies)
        for extra, requirements in self.optional.items():
            for text in requirements:
                plain, _, marker = text.partition(";")
                condition = f"extra == '{extra}'"
                if marker.strip():
                    condition = f"({marker.strip()}) and {condition}"
                found.append(f"{plain.strip()} ; {condition}")
        return found

    def poetry_requires(self) -> list[str]:
        """`[tool.poetry.dependencies]` as `Requires-Dist` values.

        Source: https://python-poetry.org/docs/dependency-specification/
        """
        found = []
        for name, value in self.poetry.items():
            found += [
                _poetry_requirement(name, entry)
                for entry in _poetry_entries(value)
                if name != "python" and not entry.get("optional", False)
            ]
        return found


def _poetry_entries(value: Any) -> list[Mapping[str, Any]]:
    many = value if isinstance(value, list) else [value]
    return [one if isinstance(one, Mapping) else {"version": one} for one in many]


def _poetry_group_tables(poetry: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The dependencies of each group; those for development have had a table of their own."""
    found = {
        name: dict(_table(_table(_table(poetry, "group"), name), "dependencies"))
        for name in _table(poetry, "group")
    }
    if "dev-dependencies" in poetry:
        found["dev"] = {**_table(poetry, "dev-dependencies"), **found.get("dev", {})}
    return found


def _poetry_texts(name: str, value: Any) -> tuple[str, ...]:
    """A dependency as PEP 508 has it. What has no such form stays, and is refused when it is used."""
    try:
        return tuple(_poetry_requirement(name, entry) for entry in _poetry_entries(value))
    except InvalidRequirement:
        return (f"{name} {value}",)


def _poetry_groups(poetry: Mapping[str, Any]) -> dict[str, list[str]]:
    """The groups as PEP 735 has them."""
    return {
        group: [text for name, value in table.items() for text in _poetry_texts(name, value)]
        for group, table in _poetry_group_tables(poetry).items()
    }


def _poetry_extras(poetry: Mapping[str, Any]) -> dict[NormalizedName, tuple[str, ...]]:
    """The optional dependencies behind each extra."""
    table = {
        canonicalize_name(name): _poetry_texts(name, value)
        for name, value in _table(poetry, "dependencies").items()
    }
    return {
        canonicalize_name(extra): tuple(
            text for name in names for text in table.get(canonicalize_name(name), ())
        )
        for extra, names in _table(poetry, "extras").items()
    }


def _poetry_paths(dependencies: Mapping[str, Any]) -> dict[str, Any]:
    """The directories that a poetry project depends on: never a package of an index."""
    return {
        name: {"path": entry["path"], "editable": entry.get("develop", False)}
        for name, entry in dependencies.items()
        if isinstance(entry, Mapping) and "path" in entry
    }


def _poetry_requirement(name: str, entry: Mapping[str, Any]) -> str:
    extras = f"[{','.join(entry['extras'])}]" if entry.get("extras") else ""
    if "git" in entry:
        revision = entry.get("rev") or entry.get("tag") or entry.get("branch")
        target = f" @ git+{entry['git']}" + (f"@{revision}" if revision else "")
    elif "url" in entry:
        target = f" @ {entry['url']}"
    else:
        target = poetry_specifier(str(entry.get("version", "*")))
    markers = [str(entry["markers"])] if entry.get("markers") else []
    if entry.get("platform"):
        markers.append(f"sys_platform == '{entry['platform']}'")
    if entry.get("python"):
        for part in poetry_specifier(str(entry["python"])).split(","):
            operator = re.match(r"[<>=!~]+", part)
            if operator:
                version = part[operator.end() :]
                markers.append(f"python_version {operator[0]} '{version}'")
    marker = f" ; ({') and ('.join(markers)})" if markers else ""
    return f"{name}{extras}{target}{marker}"


def poetry_specifier(text: str) -> str:
    """A PEP 440 specifier for a poetry constraint: `^1.2` is `>=1.2,<2`."""
    if "|" in text:
        raise InvalidRequirement(f"{text}: alternatives (||) have no form in PEP 440")
    parts = [part for part in re.split(r"\s*,\s*|\s+(?=[\^~<>=!])", text.strip()) if part]
    return ",".join(filter(None, (_poetry_part(part) for part in parts)))


def _poetry_part(part: str) -> str:
    if part == "*":
        return ""
    if part.startswith("^"):
        numbers = _release(part[1:])
        significant = next((i for i, n in enumerate(numbers) if n), len(numbers) - 1)
        return f">={part[1:].strip()},<{_bumped(numbers, significant)}"
    if part.startswith("~") and not part.startswith("~="):
        numbers = _release(part[1:])
        return f">={part[1:].strip()},<{_bumped(numbers, min(1, len(numbers) - 1))}"
    return part.replace(" ", "") if part[0] in "<>=!~" else f"=={part}"


def _release(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text.strip().partition("-")[0])] or [0]


def _bumped(numbers: Sequence[int], position: int) -> str:
    return ".".join(str(n) for n in [*numbers[:position], numbers[position] + 1])


def _texts(data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = data.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise TypeError(f"{key} is not a list of strings")
    return tuple(value)


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = data.get(key)
    return value if isinstance(value, Mapping) else {}


def supported_pythons(project: Pyproject, *, newest_minor: int = _NEWEST_MINOR) -> list[str]:
    """The series of Python 3 that a project supports, oldest first: `["3.10", "3.11"]`.

    Classifiers name them; `requires-python` removes those that it excludes. Without
    such classifiers, `requires-python` alone decides, up to the newest series known.
    """
    from packaging.specifiers import SpecifierSet  # noqa: PLC0415 - only when it is asked

    prefix = "Programming Language :: Python :: 3."
    minors = sorted({
        int(text.removeprefix(prefix))
        for text in project.classifiers
        if text.startswith(prefix) and text.removeprefix(prefix).isdigit()
    })  # fmt: skip
    admitted = SpecifierSet(project.requires_python)
    if not minors:
        if not project.requires_python:
            return []
        minors = list(range(newest_minor + 1))
    # A bound such as `>=3.9.2` admits later patch releases of its series.
    return [
        f"3.{minor}"
        for minor in minors
        if any(admitted.contains(f"3.{minor}.{patch}") for patch in range(_MOST_PATCHES))
    ]
