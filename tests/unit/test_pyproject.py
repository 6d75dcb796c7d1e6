"""What pyproject.toml says: kinds, static requirements, poetry constraints, Pythons."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from nox_envs.pyproject import Pyproject, poetry_specifier, supported_pythons


def read(**data: Any) -> Pyproject:
    return Pyproject.from_dict({name.replace("_", "-"): value for name, value in data.items()})


BUILD = {"requires": ["hatchling"], "build-backend": "hatchling.build"}
PROJECT = {"name": "Demo_App", "version": "1"}


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ({"build_system": BUILD, "project": PROJECT}, "wheel"),
        ({"build_system": BUILD}, "wheel"),
        ({"build_system": BUILD, "project": PROJECT, "tool": {"uv": {"package": True}}}, "wheel"),
        (
            {"build_system": BUILD, "project": PROJECT, "tool": {"uv": {"package": False}}},
            "dependencies",
        ),
        ({"build_system": BUILD, "tool": {"poetry": {"package-mode": False}}}, "dependencies"),
        ({"build_system": BUILD, "tool": {"poetry": {"name": "demo"}}}, "wheel"),
        ({"project": PROJECT}, "dependencies"),
        ({"tool": {"poetry": {"name": "demo"}}}, "dependencies"),
        ({}, False),
        ({"tool": {"ruff": {}}}, False),
        ({"dependency_groups": {"test": ["pytest"]}}, False),
    ],
)
def test_the_kind_where_a_declaration_does_not_say(data: dict[str, Any], kind: object) -> None:
    assert read(**data).default_kind == kind


@pytest.mark.parametrize(
    ("data", "dynamic"),
    [
        ({"build_system": BUILD, "project": PROJECT}, False),
        ({"build_system": BUILD, "project": {**PROJECT, "dynamic": ["version"]}}, False),
        ({"build_system": BUILD, "project": {**PROJECT, "dynamic": ["dependencies"]}}, True),
        ({"project": {**PROJECT, "dynamic": ["optional-dependencies"]}}, True),
        ({"build_system": BUILD}, True),  # setup.py or setup.cfg says the rest.
        ({"build_system": BUILD, "tool": {"poetry": {"name": "demo"}}}, False),
        ({}, False),
    ],
)
def test_who_knows_the_dependencies(data: dict[str, Any], *, dynamic: bool) -> None:
    assert read(**data).is_dynamic is dynamic


def test_everything_that_is_read() -> None:
    found = read(
        build_system=BUILD,
        project={
            **PROJECT,
            "dependencies": ["six"],
            "optional-dependencies": {"Web_UI": ["flask>=2"]},
            "requires-python": ">=3.10",
            "classifiers": ["Topic :: Games"],
            "dynamic": ["version"],
        },
        dependency_groups={"test": ["pytest"]},
        tool={"uv": {"sources": {"six": {"path": "six"}}}, "poetry": {"dependencies": {"a": "1"}}},
    )
    assert found == Pyproject(
        name=canonicalize_name("demo-app"),
        dependencies=("six",),
        optional={canonicalize_name("web-ui"): ("flask>=2",)},
        dynamic=frozenset({"version"}),
        requires_python=">=3.10",
        classifiers=("Topic :: Games",),
        groups={"test": ["pytest"]},
        is_package=True,
        has_metadata=True,
        has_project=True,
        sources={"six": {"path": "six"}},
    )


@pytest.mark.parametrize("wrong", [None, 1, "x", [], [{}]])
def test_a_table_that_is_none_is_left_to_the_build_backend(wrong: object) -> None:
    assert read(project=wrong, tool=wrong, dependency_groups=wrong) == Pyproject()
    assert read(tool={"poetry": wrong, "uv": wrong}) == Pyproject()


# -- static requirements --------------------------------------------------------------


def requires(**project: Any) -> list[str]:
    lines = read(project={**PROJECT, **project}).requires_dist()
    return [str(Requirement(line)) for line in lines]


def test_extras_become_markers() -> None:
    assert requires(
        dependencies=["six", "tomli; python_version < '3.11'"],
        **{
            "optional-dependencies": {
                "cli": ["click>=8", "colorama ; sys_platform == 'win32' or os_name == 'nt'"],
                "All_Of": ["demo-app[cli]", "x @ https://host/x.whl"],
            }
        },
    ) == [
        "six",
        'tomli; python_version < "3.11"',
        'click>=8; extra == "cli"',
        'colorama; (sys_platform == "win32" or os_name == "nt") and extra == "cli"',
        'demo-app[cli]; extra == "all-of"',
        'x @ https://host/x.whl ; extra == "all-of"',
    ]


# -- poetry ---------------------------------------------------------------------------


def test_groups_and_extras_of_poetry() -> None:
    poetry = {
        "dependencies": {"click": {"version": "^8", "optional": True}, "a": "1"},
        "extras": {"Cli": ["click", "gone"]},
        "dev-dependencies": {"old": "*"},
        "group": {
            "dev": {"dependencies": {"b": "~2.1", "lib": {"path": "../lib", "develop": True}}},
            "odd": {"dependencies": {"c": "^1 || ^2"}},
        },
    }
    found = read(tool={"poetry": poetry})
    assert found.optional == {"cli": ("click>=8,<9",)}
    assert found.groups == {"dev": ["old", "b>=2.1,<2.2", "lib"], "odd": ["c ^1 || ^2"]}
    assert found.sources == {"lib": {"path": "../lib", "editable": True}}
    more = read(tool={"poetry": poetry}, dependency_groups={"dev": ["z"]}, project={"name": "x"})
    assert more.groups["dev"] == ["z"]
    assert more.optional == {}


# https://python-poetry.org/docs/dependency-specification/
POETRY = [
    ("^1.2.3", ">=1.2.3,<2"),
    ("^1.2", ">=1.2,<2"),
    ("^1", ">=1,<2"),
    ("^0.2.3", ">=0.2.3,<0.3"),
    ("^0.0.3", ">=0.0.3,<0.0.4"),
    ("^0.0", ">=0.0,<0.1"),
    ("^0", ">=0,<1"),
    ("^0.0.0", ">=0.0.0,<0.0.1"),
    ("^2.0rc1", ">=2.0rc1,<3"),
    ("~1.2.3", ">=1.2.3,<1.3"),
    ("~1.2", ">=1.2,<1.3"),
    ("~1", ">=1,<2"),
    ("~0.0.3", ">=0.0.3,<0.1"),
    ("*", ""),
    ("", ""),
    ("1.*", "==1.*"),
    ("1.2.*", "==1.2.*"),
    ("1.2.3", "==1.2.3"),
    ("==1.2.3", "==1.2.3"),
    (">=1.2, <1.5", ">=1.2,<1.5"),
    (">= 1.2,< 1.5", ">=1.2,<1.5"),
    (">=1.2 <1.5", ">=1.2,<1.5"),
    ("^1.2,!=1.3", ">=1.2,<2,!=1.3"),
    ("~=1.4.2", "~=1.4.2"),
    ("!=1.3", "!=1.3"),
    ("^ 1.2", ">=1.2,<2"),
]


@pytest.mark.parametrize(("text", "specifier"), POETRY)
def test_poetry_constraints(text: str, specifier: str) -> None:
    assert poetry_specifier(text) == specifier
    SpecifierSet(specifier)


RELEASES = st.lists(st.integers(0, 30), min_size=1, max_size=3)


def dotted(numbers: list[int]) -> str:
    return ".".join(map(str, numbers))


@given(base=RELEASES, other=RELEASES)
def test_a_caret_admits_what_keeps_the_leftmost_number_that_is_not_zero(
    base: list[int], other: list[int]
) -> None:
    admitted = SpecifierSet(poetry_specifier(f"^{dotted(base)}")).contains(dotted(other))
    kept = next((i for i, number in enumerate(base) if number), len(base) - 1) + 1
    padded = [*other, 0, 0, 0]
    newer = Version(dotted(other)) >= Version(dotted(base))
    assert admitted == (newer and padded[:kept] == base[:kept])


@given(base=RELEASES, other=RELEASES)
def test_a_tilde_admits_patch_releases(base: list[int], other: list[int]) -> None:
    admitted = SpecifierSet(poetry_specifier(f"~{dotted(base)}")).contains(dotted(other))
    kept = min(2, len(base))
    newer = Version(dotted(other)) >= Version(dotted(base))
    assert admitted == (newer and [*other, 0, 0, 0][:kept] == base[:kept])


def poetry(**dependencies: Any) -> list[str]:
    found = read(tool={"poetry": {"name": "demo", "dependencies": dependencies}}).poetry_requires()
    return [str(Requirement(line)) for line in found]


def test_poetry_dependencies() -> None:
    assert poetry(
        python="^3.9",
        requests="^2.13",
        rich={"version": "*", "extras": ["jupyter"]},
        six={"version": "1.16.0", "markers": "sys_platform == 'win32'"},
        click={"version": "^8", "optional": True},
        flask={"git": "https://host/flask.git", "tag": "2.0"},
        attrs={"git": "https://host/attrs.git"},
        wheel={"url": "https://host/wheel.whl"},
        numpy=[
            {"version": "<2", "markers": "python_version < '3.10'"},
            {"version": ">=2", "markers": "python_version >= '3.10'"},
        ],
    ) == [
        "requests<3,>=2.13",
        "rich[jupyter]",
        'six==1.16.0; sys_platform == "win32"',
        "flask @ git+https://host/flask.git@2.0",
        "attrs @ git+https://host/attrs.git",
        "wheel @ https://host/wheel.whl",
        'numpy<2; python_version < "3.10"',
        'numpy>=2; python_version >= "3.10"',
    ]


def test_poetry_is_not_asked_where_project_speaks() -> None:
    both = read(project=PROJECT, tool={"poetry": {"dependencies": {"six": "*"}}})
    assert both.poetry_requires() == []


# -- Pythons --------------------------------------------------------------------------


def pythons(requires: str = "", *minors: str, newest: int = 14) -> list[str]:
    classifiers = tuple(f"Programming Language :: Python :: {minor}" for minor in minors)
    project = Pyproject(requires_python=requires, classifiers=classifiers)
    return supported_pythons(project, newest_minor=newest)


@pytest.mark.parametrize(
    ("requires", "minors", "found"),
    [
        ("", (), []),
        (">=3.12", (), ["3.12", "3.13", "3.14"]),
        (">=3.12.4", (), ["3.12", "3.13", "3.14"]),
        (">3.12", (), ["3.12", "3.13", "3.14"]),
        (">=3.12,<3.14", (), ["3.12", "3.13"]),
        (">=3.12,!=3.13.*", (), ["3.12", "3.14"]),
        (">=3.13,!=3.13.0", (), ["3.13", "3.14"]),
        ("~=3.13.2", (), ["3.13"]),
        ("==3.11.*", (), ["3.11"]),
        (">=4", (), []),
        ("", ("3.9", "3.10"), ["3.9", "3.10"]),
        ("", ("3.10", "3.9", "3", "3 :: Only", "2.7"), ["3.9", "3.10"]),
        (">=3.10", ("3.9", "3.10"), ["3.10"]),
        (">=3.10", ("3.9",), []),
        ("", ("3.10", "3.10"), ["3.10"]),
        ("", ("3.99",), ["3.99"]),
    ],
)
def test_supported_pythons(requires: str, minors: tuple[str, ...], found: list[str]) -> None:
    assert pythons(requires, *minors) == found


@given(
    minors=st.lists(st.integers(0, 20)),
    low=st.integers(0, 20),
    high=st.integers(0, 20),
)
def test_classifiers_name_them_and_bounds_remove_them(
    minors: list[int], low: int, high: int
) -> None:
    found = pythons(f">=3.{low},<3.{high}", *(f"3.{minor}" for minor in minors))
    named = set(minors) if minors else set(range(15))
    assert found == [f"3.{minor}" for minor in sorted(named) if low <= minor < high]


@given(minors=st.lists(st.integers(0, 20), min_size=1))
def test_the_order_of_classifiers_does_not_matter(minors: list[int]) -> None:
    one, other = ([f"3.{minor}" for minor in order] for order in (minors, minors[::-1]))
    assert pythons("", *one) == pythons("", *other)
