"""Locks of other tools: what they hold for one environment, and what is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import tomli_w
from packaging.pylock import Package
from packaging.utils import canonicalize_name
from packaging.version import Version

from nox_envs import committed, foreign_locks
from nox_envs.errors import LockInvalid
from nox_envs.foreign_locks import is_exact, uv_document

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

MARKERS = {
    "implementation_name": "cpython", "implementation_version": "3.11.7", "os_name": "posix",
    "platform_machine": "x86_64", "platform_python_implementation": "CPython",
    "platform_release": "6", "platform_system": "Linux", "platform_version": "1",
    "python_full_version": "3.11.7", "python_version": "3.11", "sys_platform": "linux",
}  # fmt: skip
SHA, OTHER = "a" * 64, "b" * 64


def read(path: Path, text: str, *, extras: Collection[str] = (), groups: Collection[str] = (),
         own: Collection[Path] = ()) -> foreign_locks.Pins:  # fmt: skip
    path.write_text(text, encoding="utf-8")
    return foreign_locks.read(
        path, label=path.name, base=path.parent, markers=MARKERS, extras=extras, groups=groups,
        own=own, variables={},
    )  # fmt: skip


def pins(found: foreign_locks.Pins) -> dict[str, str]:
    return {one.name: str(one.requirement.specifier) for one in found.requests}


def chosen(name: str, version: str = "1.0") -> Package:
    return Package(name=canonicalize_name(name), version=Version(version))


@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("pylock.toml", True), ("a/uv.lock", True), ("poetry.lock", False),
        ("Pipfile.lock", False), ("r.txt", False),
    ],
)  # fmt: skip
def test_which_locks_say_where_files_lie(name: str, *, exact: bool) -> None:
    assert is_exact(name) is exact


# -- poetry


def poetry(path: Path, *packages: dict[str, Any], extras: Collection[str] = (), **more: Any
           ) -> foreign_locks.Pins:  # fmt: skip
    text = tomli_w.dumps({"package": list(packages), "metadata": {"lock-version": "2.1", **more}})
    return read(path / "poetry.lock", text, extras=extras)


def package(name: str, version: str, digest: str = SHA, **more: Any) -> dict[str, Any]:
    files = [{"file": f"{name}.whl", "hash": f"sha256:{digest}"}]
    return {"name": name, "version": version, "python-versions": "*", "files": files, **more}


def test_what_a_poetry_lock_holds(tmp_path: Path) -> None:
    found = poetry(
        tmp_path,
        package("My.Package", "1.0"),
        package("win", "1.0", markers='sys_platform == "win32"'),
        package("old", "1.0", **{"python-versions": ">=3.8, <3.10"}),
        package("both", "1.0", **{"python-versions": "^3.11 || >=2.7,<3"}),
        package("here", "1.0", markers={"main": 'os_name == "nt"', "dev": 'os_name == "posix"'}),
        package("cli", "1.0", markers='extra == "more"', optional=True),
        package("local", "1.0", source={"type": "directory", "url": "../local"}),
    )
    assert pins(found) == {"my-package": "==1.0", "both": "==1.0", "here": "==1.0"}
    assert found.requests[0].hashes == {SHA}
    assert found.requests[0].origin.line == 1
    assert (found.requests[1].origin.line or 0) > 8
    assert not found.asks
    assert all(one.constraint for one in found.limits)
    with_extra = poetry(tmp_path, package("cli", "1.0", markers='extra == "more"'), extras=["more"])
    assert pins(with_extra) == {"cli": "==1.0"}


def test_hashes_of_a_poetry_lock_of_poetry_1(tmp_path: Path) -> None:
    entry = {"name": "a", "version": "1.0", "python-versions": "*", "category": "main"}
    files = {"a": [{"file": "a.whl", "hash": f"sha256:{SHA}"}]}
    assert poetry(tmp_path, entry, files=files).requests[0].hashes == {SHA}


def test_versions_of_which_either_may_be_meant(tmp_path: Path) -> None:
    found = poetry(tmp_path, package("a", "2.0"), package("a", "1.0", OTHER))
    assert pins(found) == {"a": "<=2.0,>=1.0"}
    assert found.requests[0].hashes == {SHA, OTHER}


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("local", "holds local as a directory"),
        ("git", "holds git as a commit"),
        ("bare", "bare has no sha256 hash"),
        ("gone", "does not hold gone"),
    ],
)
def test_what_a_poetry_lock_cannot_give(tmp_path: Path, name: str, problem: str) -> None:
    found = poetry(
        tmp_path,
        package("fine", "1.0"),
        package("bare", "1.0", files=[]),
        package("local", "1.0", source={"type": "directory", "url": "."}),
        package("git", "1.0", source={"type": "git", "url": "https://host/git"}),
    )
    found.refuse([chosen("fine")])
    with pytest.raises(LockInvalid, match=problem):
        found.refuse([chosen("fine"), chosen(name)])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("poetry.lock", "[[package]"),
        ("poetry.lock", '[[package]]\nname = "a"\n'),
        ("poetry.lock", '[[package]]\nname = "a"\nversion = "1"\nfiles = "x"\n'),
        ("Pipfile.lock", "{"),
        ("Pipfile.lock", "[]"),
        ("Pipfile.lock", '{"default": {"a": 1}}'),
        ("Pipfile.lock", '{"default": {"a": {"version": "==?"}}}'),
        ("Pipfile.lock", "{}"),
    ],
)
def test_a_lock_that_cannot_be_understood(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(LockInvalid, match=name):
        read(tmp_path / name, text)


# -- pipenv


def test_what_a_pipfile_lock_asks_for(tmp_path: Path) -> None:
    entry = {"version": "==1.0", "hashes": [f"sha256:{SHA}"]}
    data = {
        "_meta": {},
        "default": {
            "a": {**entry, "extras": ["x"]},
            "win": {**entry, "markers": "sys_platform == 'win32'"},
            "demo": {"editable": True, "path": "."},
        },
        "develop": {"b": entry, "a": {**entry, "version": "==2.0"}},
        "docs": {"c": entry},
    }
    text = json.dumps(data, indent=4)
    path = tmp_path / "Pipfile.lock"
    found = read(path, text, own=[tmp_path])
    assert [str(one.requirement) for one in found.requests] == ["a[x]==1.0"]
    assert text.splitlines()[found.requests[0].origin.line or 0][-1] != "}"
    assert found.asks
    both = read(path, text, groups=["dev-packages", "docs"], own=[tmp_path])
    assert pins(both) == {"a": "==1.0", "b": "==1.0", "c": "==1.0"}
    with pytest.raises(LockInvalid, match="has no lint") as caught:
        read(path, text, groups=["lint"], own=[tmp_path])
    assert caught.value.hint == "groups= takes default, develop, docs"
    with pytest.raises(LockInvalid, match="holds demo as path"):
        read(path, text)


# -- requirements


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("a==1.0", "line 2 does not pin a with a hash"),
        (f"a>=1.0 --hash=sha256:{SHA}", "line 2 does not pin a with a hash"),
        (f"a==1.*,<2 --hash=sha256:{SHA}", "line 2 does not pin a with a hash"),
        ("a @ https://host/a.whl", "line 2 does not pin a with a hash"),
        ("./libx", "holds libx, which lies on this machine"),
    ],
)
def test_requirements_that_are_no_lock(tmp_path: Path, line: str, problem: str) -> None:
    with pytest.raises(LockInvalid, match=problem):
        read(tmp_path / "r.txt", f"b==1.0 --hash=sha256:{SHA}\n{line}\n")


def test_requirements_that_are_a_lock(tmp_path: Path) -> None:
    text = f"a==1.0 --hash=sha256:{SHA}\nwin ; sys_platform == 'win32'\n-e .\n"
    assert pins(read(tmp_path / "r.txt", text, own=[tmp_path])) == {"a": "==1.0"}


# -- uv without uv


def uv(name: str, version: str = "1.0", **more: Any) -> dict[str, Any]:
    wheel = {"url": f"https://host/{name}-{version}.whl", "hash": f"sha256:{SHA}", "size": 1}
    source = {"registry": "https://host/simple"}
    return {"name": name, "version": version, "source": source, "wheels": [wheel], **more}


ROOT = {
    "name": "demo", "version": "0", "source": {"virtual": "."},
    "dependencies": [
        {"name": "a", "extra": ["x"]}, {"name": "win", "marker": "sys_platform == 'win32'"},
        {"name": "forked", "version": "1.0", "marker": "python_full_version < '3.12'"},
        {"name": "forked", "version": "2.0", "marker": "python_full_version >= '3.12'"},
        {"name": "lib"},
    ],
    "optional-dependencies": {"cli": [{"name": "c"}], "all": [{"name": "demo", "extra": ["cli"]}]},
    "dev-dependencies": {"test": [{"name": "t"}]},
}  # fmt: skip
PACKAGES = [
    ROOT, {**uv("a"), "optional-dependencies": {"x": [{"name": "ax"}], "y": [{"name": "ay"}]}},
    uv("ax"), uv("ay"), uv("win"), uv("c"), uv("t", dependencies=[{"name": "a"}]),
    uv("forked", "1.0"), uv("forked", "2.0"),
    {"name": "lib", "source": {"editable": "lib"}, "dependencies": [{"name": "of-lib"}]},
    uv("of-lib"),
]  # fmt: skip


def document(*, root: str | None = None, extras: Collection[str] = (),
             groups: Collection[str] = (), with_project: bool = True, **more: Any) -> dict[str, Any]:  # fmt: skip
    text = tomli_w.dumps({"version": 1, "package": PACKAGES, **more})
    return uv_document(text, label="uv.lock", root=root, markers=MARKERS, extras=extras,
                       groups=groups, with_project=with_project)  # fmt: skip


def names(found: dict[str, Any]) -> str:
    return " ".join(sorted(f"{one['name']}{one['version']}" for one in found["packages"]))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, "a1.0 ax1.0 forked1.0 of-lib1.0"),
        ({"extras": ["Cli"]}, "a1.0 ax1.0 c1.0 forked1.0 of-lib1.0"),
        ({"extras": ["all"]}, "a1.0 ax1.0 c1.0 forked1.0 of-lib1.0"),
        ({"groups": ["test"]}, "a1.0 ax1.0 forked1.0 of-lib1.0 t1.0"),
        ({"groups": ["test"], "with_project": False}, "a1.0 t1.0"),
        ({"root": "lib"}, "of-lib1.0"),
    ],
)
def test_what_a_project_needs_of_its_uv_lock(asked: dict[str, Any], expected: str) -> None:
    assert names(document(**asked)) == expected


def test_files_of_a_uv_lock(tmp_path: Path) -> None:
    found = {one["name"]: one for one in document()["packages"]}
    wheel = {"url": "https://host/a-1.0.whl", "size": 1, "hashes": {"sha256": SHA}}
    assert found["a"] == {"name": "a", "version": "1.0", "wheels": [wheel]}
    commit = {"name": "g", "version": "1", "source": {"git": f"https://host/g?rev=x#{'c' * 40}"}}
    direct = uv("d", source={"url": "https://host/d.whl"})
    direct["wheels"] = [{"url": "https://host/d.whl", "hash": f"sha256:{OTHER}"}]
    root = {**ROOT, "dependencies": [{"name": "g"}, {"name": "d"}]}
    text = tomli_w.dumps({"package": [root, commit, direct]})
    more = uv_document(text, label="uv.lock", root=None, markers=MARKERS, extras=(), groups=(),
                       with_project=True)  # fmt: skip
    git, archive = sorted(more["packages"], key=lambda one: str(one["name"]), reverse=True)
    assert git["vcs"] == {"type": "git", "url": "https://host/g", "commit-id": "c" * 40}
    assert archive["archive"] == {"url": "https://host/d.whl", "hashes": {"sha256": OTHER}}


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"groups": ["gone"]}, "no group gone"),
        ({"root": "gone"}, "cannot be understood"),
        ({"conflicts": [[{"extra": "a"}]]}, "conflicts, which uv has to read"),
    ],
)
def test_a_uv_lock_that_is_of_no_use(asked: dict[str, Any], problem: str) -> None:
    with pytest.raises(LockInvalid, match=problem):
        document(**asked)


# -- what a committed lock notes


def facts(*requirements: str, **settings: str) -> dict[str, Any]:
    return {"requirements": list(requirements), "constraints": [], "settings": settings}


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (facts("a<2", "b"), facts("a<2", "b"), ()),
        (facts("a<2"), facts("a<3"), ("a<2 is now a<3",)),
        (facts("A.B>1"), facts("a-b>2"), ("A.B>1 is now a-b>2",)),
        (facts("a>1"), facts("a>1", "a<3"), ("a<3 was added",)),
        (facts("a>1", "a<3"), facts("a<3"), ("a>1 was removed",)),
        (facts(), facts("a", "b"), ("a was added", "b was added")),
        (facts("x @@"), facts(), ("x @@ was removed",)),
        (facts(cooldown="none"), facts(cooldown="7 days"), ("cooldown: none, now 7 days",)),
        ({}, facts("a"), ()),
        ({"requirements": 3, "settings": {}}, facts(), ()),
    ],
)
def test_drift_is_named(before: dict[str, Any], now: dict[str, Any], said: tuple[str, ...]) -> None:
    assert committed.drift(before, now) == said


def test_names_of_files_are_legal_and_never_meet() -> None:
    found = committed.names(["test-3.11", "Test-3-11", "test(a='1.0')", "über"])
    assert found["test(a='1.0')"] == "pylock.test-a--1-0--.toml"
    assert found["über"] == "pylock.-ber.toml"
    assert len({one.lower() for one in found.values()}) == 4
    assert all(one.count(".") == 2 for one in found.values())


def test_a_file_of_the_exact_name_is_preferred(tmp_path: Path) -> None:
    both = committed.names(["té", "tè"])
    assert committed.place(tmp_path, "té").name == "pylock.t-.toml"
    path = tmp_path / committed.DIRECTORY / both["té"]
    path.parent.mkdir()
    path.touch()
    assert committed.place(tmp_path, "té") == path
    assert committed.place(tmp_path, "tè").name == "pylock.t-.toml"


def test_whose_lock_it_is() -> None:
    assert committed.facts_of({"tool": {"nox-envs": {"cell": "a"}}}) == {"cell": "a"}
    strangers: list[Any] = [{}, {"tool": 3}, {"tool": {"nox-envs": 3}}, {"tool": {"other": {}}}]
    for one in strangers:
        assert committed.facts_of(one) is None
