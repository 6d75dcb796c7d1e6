"""What the lowest releases are resolved of."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from nox_envs.called import Called
from nox_envs.errors import UsageError
from nox_envs.gather import Gathered
from nox_envs.pyproject import Pyproject
from nox_envs.resolve.requests import Origin, Request, Wanted
from nox_envs.upgrade.promised import Bound, bounds_of, lower_bound, lowest_of


def asked(*lines: str, declared: dict[str, Origin]) -> list[Request]:
    """What a resolver is asked for where a project promises these lines."""
    found: list[Request] = []

    def resolve(gathered: Gathered, *_: Any, **__: Any) -> Any:
        assert gathered.wanted.resolution == "lowest-direct"
        found.extend(gathered.wanted.requests)
        return SimpleNamespace(pins={})

    own = Gathered(
        wanted=Wanted(interpreter=cast("Any", None), requests=()),
        project=None,
        installs_project=False,
        extras=(),
        lowest=(),
        directory=Path(),
        pyproject=None,
    )
    requirements = [Requirement(line) for line in lines]
    column = SimpleNamespace(
        gathered=own,
        planner=SimpleNamespace(resolve=resolve),
        declared={
            canonicalize_name(name): (Request(requirement=Requirement(name), origin=origin),)
            for name, origin in declared.items()
        },
    )
    bounds = {
        one.name: Bound(requirement=one, declared=lower_bound(one.specifier))
        for one in requirements
    }
    lowest_of(cast("Any", column), bounds)
    return found


def test_only_what_has_a_lower_bound_is_asked_for() -> None:
    found = asked("a[x]>=1", "b[y]<3", "c", declared={})
    assert [(str(one.requirement), one.constraint) for one in found] == [
        ("a[x]>=1", False),
        ("b<3", True),
        ("c", True),
    ]


def test_nothing_is_resolved_where_nothing_is_promised() -> None:
    assert asked("b<3", "c", declared={}) == []


def test_each_has_its_own_place() -> None:
    origin = Origin(file="pyproject.toml", line=9, text="a>=1")
    found = asked("a>=1", "b>=2", declared={"a": origin})
    assert [str(one.origin) for one in found] == ["pyproject.toml:9   a>=1", "the project   b>=2"]


@pytest.mark.parametrize(
    ("lines", "called", "advice"),
    [
        (
            ("six>=1.10", "flask==2.2.2", "attrs~=20.1", "idna<3"),
            Called(by_us=True, place=("sub",), after=("pytest", "-q")),
            ["nox-envs floors sub attrs six -- pytest -q"],
        ),
        (("flask==2.2.2",), Called(by_us=True), ["nox-envs floors NAME"]),
        (("six>=1.10",), Called(), ["-- six", "or set project="]),
    ],
)
def test_where_no_project_promises_anything_it_says_what_to_type(
    lines: tuple[str, ...], called: Called, advice: list[str]
) -> None:
    origin = Origin(file="requirements.txt", line=1, text="")
    found = [Request(requirement=Requirement(line), origin=origin) for line in lines]
    column = SimpleNamespace(
        name="tests",
        gathered=SimpleNamespace(pyproject=None, project=None, extras=()),
        declared={canonicalize_name(one.name): (one,) for one in found},
        interpreter=SimpleNamespace(markers={}),
    )
    with pytest.raises(UsageError) as caught:
        bounds_of(cast("Any", column), called=called)
    start = "name the dependencies that it is about:   "
    assert [one.removeprefix(start) for one in caught.value.advice] == advice


@pytest.mark.parametrize(
    ("line", "release", "shown"),
    [
        ("a>=20.1", "20.1.0", "20.1"),
        ("a>=2024.06", "2024.6", "2024.06"),
        ("a==1.*", "1.0", "1"),
        ("a>=1,>=1.10", "1.10.0", "1.10"),
        ("a>1.0", "1.1", "1.1"),
        ("a>=20.1", "20.1.2", "20.1.2"),
    ],
)
def test_a_bound_is_shown_as_it_is_written(line: str, release: str, shown: str) -> None:
    pyproject = Pyproject(dependencies=(line,), has_metadata=True)
    gathered = SimpleNamespace(pyproject=pyproject, project=None, extras=())
    column = SimpleNamespace(
        gathered=gathered,
        declared={},
        interpreter=SimpleNamespace(markers={}),
        place=SimpleNamespace(declaration=SimpleNamespace(project="dependencies")),
    )
    bound = bounds_of(cast("Any", column))["a"]
    bound.declared = Version(release)
    assert bound.shown == shown
