"""The matrix: product, exclude, include, may_fail and names, as laws."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from nox_envs import matrix
from nox_envs.cell import Axis, AxisValue, environment_name
from nox_envs.declaration import Declaration, parse


def declared(**options: Any) -> Declaration:
    return parse("test", options, where="noxfile.py:1")


def names(declaration: Declaration) -> list[str]:
    return [cell.name for cell in matrix.cells(declaration)]


def test_names_are_those_of_nox() -> None:
    declaration = declared(
        python=["3.11", "3.12"], matrix={"django": ["4.2", "latest"], "importlib-metadata": "6"}
    )
    assert names(declaration) == [
        "test-3.11(django='4.2', importlib_metadata='6')",
        "test-3.11(django='latest', importlib_metadata='6')",
        "test-3.12(django='4.2', importlib_metadata='6')",
        "test-3.12(django='latest', importlib_metadata='6')",
    ]
    assert names(declared()) == ["test"]
    assert names(declared(python="3.12")) == ["test-3.12"]


def test_excluded_cells_do_not_exist() -> None:
    declaration = declared(
        python=["3.10", "3.12"],
        matrix={"django": ["4.2", "5.2", "6.0"]},
        exclude=[{"python": "<3.12", "django": "6.0"}, {"python": "3.12", "django": ["4.2"]}],
    )
    assert names(declaration) == [
        "test-3.10(django='4.2')",
        "test-3.10(django='5.2')",
        "test-3.12(django='5.2')",
        "test-3.12(django='6.0')",
    ]


def test_a_python_without_cells_does_not_exist() -> None:
    declaration = declared(python=["3.10", "3.12"], exclude=[{"python": "<3.11"}])
    assert matrix.pythons(declaration) == ("3.12",)


def test_include_adds_cells_and_only_those() -> None:
    declaration = declared(
        python=["3.11"],
        matrix={"django": ["4.2"]},
        include=[{"python": "3.14", "django": "latest-pre"}, {"django": ["4.2", "5.2"]}],
    )
    assert names(declaration) == [
        "test-3.11(django='4.2')",
        "test-3.11(django='5.2')",
        "test-3.14(django='latest-pre')",
        "test-3.14(django='4.2')",
        "test-3.14(django='5.2')",
    ]


def test_labels_name_the_cells_and_match_the_rules() -> None:
    declaration = declared(
        python="3.11",
        matrix={"attrs": {"old": "<24", "new": ">=24"}},
        exclude=[{"attrs": "<24"}],
        may_fail=[{"attrs": "new"}],
    )
    (cell,) = matrix.cells(declaration)
    assert cell.name == "test-3.11(attrs='new')"
    assert cell.may_fail
    assert cell.labels == {"attrs": "new"}


@pytest.mark.parametrize(
    ("text", "requirement"),
    [
        ("4.2", "django==4.2.*"),
        ("4.2.1", "django==4.2.1.*"),
        ("5.0b1", "django==5.0b1"),
        ("2.0+cpu", "django==2.0+cpu"),
        ("4.*", "django==4.*"),
        (">=4,<5", "django<5,>=4"),
        ("latest", "django"),
        ("lowest", "django"),
        ("latest-pre", "django>=0.dev0"),
        ("@ https://example.org/django.zip", "django @ https://example.org/django.zip"),
    ],
)
def test_what_a_value_asks_for(text: str, requirement: str) -> None:
    value = AxisValue(label=text, text=text)
    assert str(value.requirement(canonicalize_name("Django"))) == requirement


def test_cells_never_share_an_environment_directory() -> None:
    names = ["t-3.11(attrs='>=24')", "t-3.11(attrs='<24')"]
    directories = matrix.Directories()
    (mistake,) = directories.claim("t", names)
    assert directories.claim("t", names[:1]) == ()
    assert len(directories.claim("other", names[1:])) == 1
    assert directories.claim("t", []) == ()
    assert directories.claim("other", names[1:]) == ()
    assert mistake.problem == (
        "would share the environment directory t-3-11-attrs-24 with t-3.11(attrs='>=24')"
    )
    assert 'matrix={"attrs": {"old": "<24"' in mistake.hint
    assert environment_name("A\u0301b (x)") == "ab-x"


PYTHONS = st.lists(st.sampled_from([f"3.{n}" for n in range(8, 15)]), min_size=1, unique=True)
VALUES = st.lists(st.sampled_from(["1", "2", "3.1", "latest", "<4"]), min_size=1, unique=True)
RULES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "python": st.sampled_from(["<3.10", ">=3.12", "3.11", "==3.9.*"]),
            "a": st.sampled_from(["1", "2", "latest"]),
            "b": st.lists(st.sampled_from(["1", "2"]), min_size=1, unique=True),
        },
    ).filter(bool),
    max_size=3,
)
ALL = ["1", "2", "3.1", "latest", "<4"]


def _covered(rule: dict[str, Any], cell: Any) -> bool:
    for key, wanted in rule.items():
        if key == "python":
            specifier = wanted if wanted[0] in "<>=" else f"=={wanted}.*"
            if not SpecifierSet(specifier).contains(cell.python):
                return False
        elif cell.values[key].label not in ([wanted] if isinstance(wanted, str) else wanted):
            return False
    return True


@given(PYTHONS, RULES)
def test_exclude_removes_exactly_what_it_matches(
    pythons: list[str], rules: list[dict[str, Any]]
) -> None:
    axes = {"a": ALL, "b": ALL}
    everything = list(matrix.cells(declared(python=pythons, matrix=axes)))
    kept = list(matrix.cells(declared(python=pythons, matrix=axes, exclude=rules)))
    expected = [c for c in everything if not any(_covered(rule, c) for rule in rules)]
    if expected:
        assert [cell.name for cell in kept] == [cell.name for cell in expected]


@given(PYTHONS, VALUES, VALUES)
def test_names_are_unique(pythons: list[str], first: list[str], second: list[str]) -> None:
    found = names(declared(python=pythons, matrix={"a": first, "b": second}))
    assert len(set(found)) == len(found) == len(pythons) * len(first) * len(second)


def test_an_axis_finds_its_values_by_label_first() -> None:
    axis = Axis(
        name=canonicalize_name("x"),
        parameter="x",
        values=(AxisValue(label="1", text="2"), AxisValue(label="2", text="1")),
    )
    found = axis.find("2")
    assert found is not None
    assert found.text == "1"
    assert axis.with_text("2").label == "1"
