"""What is asked for: extras of a project, and the lines that a resolver reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.pylock import Package, PackageSdist, PackageWheel
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from nox_envs.errors import LockInvalid
from nox_envs.interpreter import Interpreter
from nox_envs.resolve.interface import constraint_lines, only_allowed, requirement_lines
from nox_envs.resolve.requests import Origin, Request, Wanted, applies, expand_extras

MARKERS = {"python_version": "3.11", "python_full_version": "3.11.7", "sys_platform": "linux"}
PYTHON = Interpreter(
    path=Path("/env/bin/python"), version="3.11.7", prefix=Path("/env"), base_prefix=Path("/usr"),
    purelib=Path("/env/lib"), platlib=Path("/env/lib"), build="cpython-311", markers=MARKERS,
)  # fmt: skip
SHA = "a" * 64
ORIGIN = Origin(file="noxfile.py", line=4, text="x")


def expanded(*dependencies: str, extras: str = "", name: str = "demo") -> list[str]:
    return [str(one) for one in expand_extras(name, dependencies, extras.split(), MARKERS)]


def request(text: str, *, constraint: bool = False, hashes: str = "") -> Request:
    return Request(
        requirement=Requirement(text),
        origin=ORIGIN,
        constraint=constraint,
        hashes=frozenset(hashes.split()),
    )


def wanted(*requests: Request) -> Wanted:
    return Wanted(interpreter=PYTHON, requests=requests)


def test_an_origin_shows_its_line() -> None:
    assert str(ORIGIN) == "noxfile.py:4   x"
    assert str(replace(ORIGIN, line=None)) == "noxfile.py   x"


@pytest.mark.parametrize(
    ("text", "extra", "holds"),
    [
        ("six", "", True),
        ("six; python_version < '3.12'", "", True),
        ("six; python_version < '3.11'", "", False),
        ("six; extra == 'cli'", "", False),
        ("six; extra == 'cli'", "cli", True),
    ],
)
def test_applies(text: str, extra: str, *, holds: bool) -> None:
    assert applies(Requirement(text), MARKERS, extra) is holds


# -- extras ---------------------------------------------------------------------------

CLI = ("six>=1", "click>=8; extra == 'cli'", "rich; extra == 'web'")


@pytest.mark.parametrize(
    ("dependencies", "extras", "found"),
    [
        (CLI, "", ["six>=1"]),
        (CLI, "cli", ["six>=1", "click>=8"]),
        (CLI, "cli web", ["six>=1", "click>=8", "rich"]),
        (CLI, "nothing", ["six>=1"]),
        (("a; sys_platform == 'win32'", "b; sys_platform == 'linux'"), "", ["b"]),
        (("a; extra == 'x' and sys_platform == 'linux'",), "x", ["a"]),
        (("a; extra == 'x' and sys_platform == 'win32'",), "x", []),
        (("a; extra == 'x' or extra == 'y'",), "", []),
        (("a; extra == 'x' or extra == 'y'",), "y", ["a"]),
        (("a; extra == 'x' or sys_platform == 'linux'",), "x", ["a"]),
        (("a; (sys_platform == 'win32' or os_name == 'z') and extra == 'x'",), "x", []),
        (("a; extra == 'Foo_Bar'",), "foo-bar", ["a"]),
        (("a; extra == 'foo-bar'",), "Foo.Bar", ["a"]),
        (("a[one,two]>1; extra == 'x'",), "x", ["a[one,two]>1"]),
        (("a @ https://h/a.whl ; extra == 'x'",), "x", ["a @ https://h/a.whl"]),
    ],
)
def test_expand_extras(dependencies: tuple[str, ...], extras: str, found: list[str]) -> None:
    assert expanded(*dependencies, extras=extras) == found


def test_extras_of_the_project_itself_are_what_they_stand_for() -> None:
    dependencies = (*CLI, "Demo[cli,web]; extra == 'all'", "demo[all]; extra == 'dev'")
    assert expanded(*dependencies, extras="all") == ["six>=1", "click>=8", "rich"]
    assert expanded(*dependencies, extras="dev") == ["six>=1", "click>=8", "rich"]
    assert expanded(*dependencies, extras="dev cli") == ["six>=1", "click>=8", "rich"]


def test_extras_that_name_each_other_come_to_an_end() -> None:
    loop = ("demo[b]; extra == 'a'", "demo[a]; extra == 'b'", "six; extra == 'b'")
    assert expanded(*loop, extras="a") == ["six"]
    assert expanded("demo[a]; extra == 'a'", extras="a") == []


def test_an_extra_that_is_asked_for_always() -> None:
    assert expanded("demo[cli]", "click; extra == 'cli'") == ["click"]


LETTERS = st.sampled_from("abcd")


@given(
    dependencies=st.lists(st.tuples(LETTERS, LETTERS, st.booleans()), max_size=8),
    extras=st.lists(LETTERS, max_size=3),
)
def test_extras_against_an_oracle(
    dependencies: list[tuple[str, str, bool]], extras: list[str]
) -> None:
    """Each line belongs to an extra, and names either a package or another extra."""
    lines = [
        f"demo[{to}]; extra == '{of}'" if own else f"pkg-{to}; extra == '{of}'"
        for of, to, own in dependencies
    ]
    reached = set(extras)
    for _ in dependencies:
        reached |= {to for of, to, own in dependencies if own and of in reached}
    expected = {f"pkg-{to}" for of, to, own in dependencies if not own and of in reached}
    found = expanded(*lines, extras=" ".join(extras))
    assert set(found) == expected
    assert set(expanded(*lines, extras=" ".join(reversed(extras)))) == expected


# -- lines ----------------------------------------------------------------------------


def test_requirements_are_written_anew_once_and_without_markers() -> None:
    asked = wanted(
        request("Flask [async] >= 2 ; python_version < '4'"),
        request("flask[async]>=2"),
        request("six<2", constraint=True),
        request("x @ git+https://h/x.git@main ; sys_platform == 'linux'"),
    )
    assert requirement_lines(asked, {}) == [
        "Flask[async]>=2",
        "flask[async]>=2",
        "x @ git+https://h/x.git@main",
    ]
    assert requirement_lines(wanted(request("six"), request("six")), {}) == ["six"]


def test_a_local_wheel_takes_the_place_of_its_requests_and_keeps_their_extras(
    tmp_path: Path,
) -> None:
    name, path = canonicalize_name("My_App"), tmp_path / "my app-1.0.whl"
    asked = wanted(request("six"), request("my-app[web]"), request("My.App[cli]>=1"))
    assert requirement_lines(asked, {name: path}) == [
        "six",
        "my-app>=1",
        f"my-app[cli,web] @ {path.as_uri()}",
    ]
    assert requirement_lines(wanted(), {name: path}) == [f"my-app @ {path.as_uri()}"]
    for line in requirement_lines(asked, {name: path}):
        Requirement(line)


def test_a_constraint_does_not_add_extras_to_a_local_wheel(tmp_path: Path) -> None:
    name, path = canonicalize_name("app"), tmp_path / "app.whl"
    asked = wanted(request("app[cli]<2", constraint=True))
    assert requirement_lines(asked, {name: path}) == [f"app @ {path.as_uri()}"]


def test_constraints_have_no_extras_and_no_markers() -> None:
    asked = wanted(
        request("flask[async]<3 ; python_version < '4'", constraint=True),
        request("flask<3", constraint=True),
        request("x[y] @ https://h/x.whl ; python_version < '4'", constraint=True),
        request("six"),
    )
    assert constraint_lines(asked) == ["flask<3", "x @ https://h/x.whl"]


def test_what_was_asked_for_is_left_as_it_was() -> None:
    one = request("flask[async]<3 ; python_version < '4'", constraint=True)
    constraint_lines(wanted(one))
    requirement_lines(wanted(replace(one, constraint=False)), {})
    assert str(one.requirement) == 'flask[async]<3; python_version < "4"'


# -- hashes ---------------------------------------------------------------------------


def test_hashes_of_several_files_must_all_allow_a_file() -> None:
    asked = wanted(request("six", hashes="a b"), request("six", hashes="b c"), request("attrs"))
    assert asked.allowed_hashes() == {"six": frozenset({"b"})}


def six() -> Package:
    return Package(
        name=canonicalize_name("six"),
        version=Version("1.0"),
        sdist=PackageSdist(name="six-1.0.tar.gz", url="https://h/s", hashes={"sha256": "s"}),
        wheels=[
            PackageWheel(name=f"six-1.0-{tag}-none-any.whl", url="https://h/w", hashes={"sha256": tag})
            for tag in ("py2", "py3")
        ],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("hashes", "wheels", "sdist"),
    [("", ["py2", "py3"], True), ("py3", ["py3"], False), ("s", [], True), ("s py2", ["py2"], True)],
)  # fmt: skip
def test_only_files_with_an_allowed_hash_are_kept(
    hashes: str, wheels: list[str], *, sdist: bool
) -> None:
    (kept,) = only_allowed([six()], wanted(request("six", hashes=hashes)))
    assert [wheel.hashes["sha256"] for wheel in kept.wheels or ()] == wheels
    assert bool(kept.sdist) is sdist


def test_a_package_without_an_allowed_file_is_refused_with_the_line() -> None:
    with pytest.raises(LockInvalid) as caught:
        only_allowed([six()], wanted(request("six", hashes="other")))
    assert caught.value.message == "noxfile.py: no file of six 1.0 has a hash that line 4 allows"
