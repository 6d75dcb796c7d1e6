"""States that a user can name: what files say, what a date looks like, which lock passed last."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
import tomli_w
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from nox_envs.errors import (
    FileMissing,
    LockInvalid,
    NoxEnvsError,
    ReleaseNotFound,
    Unresolvable,
    UsageError,
)
from nox_envs.gather import Gathered
from nox_envs.interpreter import Interpreter
from nox_envs.resolve.index import Release, Releases
from nox_envs.resolve.requests import Origin, Request, Wanted
from nox_envs.upgrade.column import Column
from nox_envs.upgrade.states import Between, State, States, completed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.utils import NormalizedName

SHA = "a" * 64
REGISTRY = {"registry": "https://host/simple"}
MARKERS = {
    "implementation_name": "cpython", "implementation_version": "3.11.7", "os_name": "posix",
    "platform_machine": "x86_64", "platform_python_implementation": "CPython",
    "platform_release": "6", "platform_system": "Linux", "platform_version": "1",
    "python_full_version": "3.11.7", "python_version": "3.11", "sys_platform": "linux",
}  # fmt: skip
PYTHON = Interpreter(
    path=Path("/env/bin/python"), version="3.11.7", prefix=Path("/env"), base_prefix=Path("/usr"),
    purelib=Path("/env/lib"), platlib=Path("/env/lib"), build="cpython-311", markers=MARKERS,
)  # fmt: skip


@pytest.fixture
def states(tmp_path: Path) -> States:
    return States(
        base=tmp_path,
        cache=tmp_path / "cache",
        campaigns=tmp_path / "cache" / "campaigns",
        variables={},
        temporary=tmp_path,
    )


def column(*own: str) -> Column:
    """A cell on Python 3.11, with its own projects."""
    projects = [SimpleNamespace(name=canonicalize_name(name)) for name in own]
    return cast(
        "Column",
        SimpleNamespace(
            name="test",
            interpreter=PYTHON,
            current=SimpleNamespace(locals=projects, pins={}),
            releases=None,
        ),
    )


def read(states: States, name: str, text: str, *own: str) -> dict[str, str]:
    """The pins of a file with this text."""
    return plain(state(states, name, text, *own).pins)


def state(states: States, name: str, text: str, *own: str) -> State:
    """What a file with this text says."""
    (states.base / name).write_text(text, encoding="utf-8")
    return states.read(name, column(*own))


def plain(pins: Mapping[Any, Any]) -> dict[str, str]:
    return {str(name): str(version) for name, version in pins.items()}


def uv_lock(*packages: dict[str, Any]) -> str:
    return tomli_w.dumps({"version": 1, "package": list(packages)})


def package(name: str, version: str, *markers: str, **more: Any) -> dict[str, Any]:
    told = {"name": name, "version": version, "source": REGISTRY, **more}
    return {**told, "resolution-markers": list(markers)} if markers else told


# -- uv.lock


def test_a_uv_lock_pins_what_comes_from_an_index(states: States) -> None:
    text = uv_lock(
        package("My.Package", "1.0"),
        package("demo", "0.1", source={"editable": "."}),
        package("other", "0.2", source={"git": "https://host/other?rev=abc"}),
        {"name": "dynamic", "source": {"virtual": "."}},
    )
    assert read(states, "uv.lock", text) == {"my-package": "1.0"}


def test_a_uv_lock_is_read_for_the_python_of_the_cell(states: States) -> None:
    text = uv_lock(
        package("numpy", "1.26.4", "python_full_version < '3.12'"),
        package("numpy", "2.1.0", "python_full_version >= '3.12'"),
        package("tz", "1.0", "sys_platform == 'win32'", "python_full_version == '3.11.*'"),
        package("winreg", "1.0", "sys_platform == 'win32'"),
    )
    assert read(states, "uv.lock", text) == {"numpy": "1.26.4", "tz": "1.0"}


@pytest.mark.parametrize(
    "text",
    [
        "package = [",
        uv_lock(package("a", "not a version")),
        uv_lock(package("a", "1.0", "python_version !! '3'")),
        uv_lock({"version": "1.0", "source": REGISTRY}),
    ],
)
def test_a_uv_lock_that_cannot_be_understood(states: States, text: str) -> None:
    with pytest.raises(LockInvalid):
        read(states, "uv.lock", text)


def test_a_uv_lock_with_other_things_in_it(states: States) -> None:
    with pytest.raises(LockInvalid):
        read(states, "uv.lock", 'package = ["a"]\n')


def test_no_uv_lock_pins_nothing(states: States) -> None:
    assert read(states, "uv.lock", "version = 1\n") == {}


# -- other locks


def test_a_poetry_lock_and_a_pipfile_lock_pin_what_a_cell_may_need(states: States) -> None:
    data = {"_meta": {}, "default": {"a": {"version": "==1"}}, "develop": {"b": {"version": "==2"}}}
    cell = column()
    place = SimpleNamespace(declaration=SimpleNamespace(extras=()))
    vars(cell).update(place=place, gathered=SimpleNamespace(installed=()))
    for name, text, expected in (
        ("poetry.lock", '[[package]]\nname = "A.b"\nversion = "1.0"\n', {"a-b": "1.0"}),
        ("Pipfile.lock", json.dumps(data), {"a": "1", "b": "2"}),
    ):
        (states.base / name).write_text(text, encoding="utf-8")
        found = states.read(name, cell)
        assert plain(found.pins) == expected
        assert not found.is_whole


# -- freezes


def test_a_freeze_pins_what_it_has_exactly(states: States) -> None:
    text = """\
# made by hand
Flask==2.2.2
ruamel.yaml===0.17.1
open>=1
series==3.*
demo==0.1
hashed==1.0 --hash=sha256:{}
""".format("0" * 64)
    assert read(states, "freeze.txt", text, "demo") == {
        "flask": "2.2.2",
        "ruamel-yaml": "0.17.1",
        "hashed": "1.0",
    }


@pytest.mark.parametrize(
    "line",
    [
        "-e git+https://example.org/a/b.git@abc123#egg=b",
        "-e git+ssh://git@example.org/a/b.git@abc123#egg=b&subdirectory=deep",
        "git+https://example.org/a/b.git@abc123#subdirectory=deep&egg=B ; python_version > '3'",
        "b @ git+https://example.org/a/b.git@abc123",
    ],
)
def test_a_checkout_in_a_freeze_has_no_release_of_its_own(states: States, line: str) -> None:
    found = state(states, "freeze.txt", f"a==1.0\n{line}\n")
    assert plain(found.pins) == {"a": "1.0"}
    assert found.loose == {"b"}


@pytest.mark.parametrize("second", ["beta==1.1", "Beta==2.0", "beta===1.0.1"])
def test_two_pins_of_one_package_are_no_state(states: States, second: str) -> None:
    text = f"beta==1.0\na==1.0\n{second}\n"
    with pytest.raises(UsageError, match=r"beta is .*: freeze\.txt:1 and freeze\.txt:3"):
        read(states, "freeze.txt", text)
    assert read(states, "freeze.txt", "beta==1.0\nBeta==1.0.0\n") == {"beta": "1.0"}


def locked(name: str, version: str, *marker: str) -> dict[str, Any]:
    file = f"{name}-{version}-py3-none-any.whl"
    wheel = {"name": file, "url": f"https://host/{file}", "hashes": {"sha256": SHA}}
    entry = {"name": name, "version": version, "wheels": [wheel]}
    return {**entry, "marker": marker[0]} if marker else entry


def test_two_entries_of_a_lock_for_one_python_are_no_state(states: States) -> None:
    def text(*packages: dict[str, Any]) -> str:
        head = {"lock-version": "1.0", "created-by": "me"}
        return tomli_w.dumps({**head, "packages": list(packages)})

    old, new = "python_version < '3.11'", "python_version >= '3.11'"
    forked = text(locked("beta", "1.0", old), locked("beta", "2.0", new))
    assert read(states, "pylock.toml", forked) == {"beta": "2.0"}
    twice = text(locked("beta", "1.0"), locked("beta", "2.0", new))
    with pytest.raises(LockInvalid, match=r"pylock\.toml: has beta twice .*: 1\.0 and 2\.0"):
        read(states, "pylock.toml", twice)


def indexed(*versions: str, resolves: bool = False) -> Column:
    """A cell with beta 3.0, on an index that has some other releases of it."""

    def resolve(*_: object, **__: object) -> None:
        if not resolves:
            raise Unresolvable(reason="no")

    releases = Releases(
        name=canonicalize_name("beta"),
        releases=tuple(Release(version=Version(one), files=()) for one in versions),
    )
    cell = column()
    cell.current.pins[canonicalize_name("beta")] = Version("3.0")
    vars(cell).update(releases=lambda _: releases, resolve=resolve)
    return cell


def test_a_release_that_nobody_has_is_named_where_it_stands(states: States) -> None:
    path = states.base / "freeze.txt"
    path.write_text("gone==7.0\nbeta==9.9\n", encoding="utf-8")
    with pytest.raises(ReleaseNotFound) as caught:
        states.read("freeze.txt", indexed("2.0", "3.0"))
    assert caught.value.message == "beta has no release 9.9"
    assert caught.value.addresses == ("freeze.txt:2   beta==9.9",)
    assert "noxfile" not in str(caught.value)
    # It is on the index, or in a directory of wheels.
    for cell in (indexed("9.9", "3.0"), indexed("3.0", resolves=True)):
        assert plain(states.read("freeze.txt", cell).pins) == {"gone": "7.0", "beta": "9.9"}


def test_a_release_of_a_lock_that_nobody_has(states: States) -> None:
    document = {"lock-version": "1.0", "created-by": "me", "packages": [locked("beta", "9.9")]}
    (states.base / "pylock.toml").write_text(tomli_w.dumps(document), encoding="utf-8")
    with pytest.raises(ReleaseNotFound) as caught:
        states.read("pylock.toml", indexed("3.0"))
    assert caught.value.addresses == ("pylock.toml   beta==9.9",)


def test_what_a_file_names_without_a_release_is_there(states: States) -> None:
    text = "a==1.0\nopen>=1\ndemo\nodd ; python_version < '3'\n"
    found = state(states, "requirements.txt", text, "demo")
    assert (found.loose, found.is_whole) == (frozenset({"open"}), True)


def test_a_uv_lock_may_have_more_than_a_cell(states: States) -> None:
    assert not state(states, "uv.lock", uv_lock(package("a", "1.0"))).is_whole


# -- between two states


@dataclass
class Solver:
    """In the place of a planner: it knows what each release needs, and keeps what it can."""

    needs: dict[str, list[str]]

    def resolve(self, gathered: Gathered, _: object, *, keep: Any, **__: object) -> Any:
        asked = gathered.wanted.requests
        limits = {one.name: one.requirement.specifier for one in asked}
        kept = {one.name: one.version for one in keep}

        def solve(
            waiting: list[Requirement], found: dict[NormalizedName, Version]
        ) -> dict[NormalizedName, Version] | None:
            if not waiting:
                return found
            name, rest = canonicalize_name(waiting[0].name), waiting[1:]
            if name in found:
                return solve(rest, found)
            known = [Version(one.partition("==")[2]) for one in self.needs
                     if one.startswith(f"{name}==")]  # fmt: skip
            for version in sorted(known, key=lambda one: one != kept.get(name)):
                if version in limits.get(name, SpecifierSet()):
                    more = map(Requirement, self.needs[f"{name}=={version}"])
                    if (answer := solve([*rest, *more], {**found, name: version})) is not None:
                        return answer
            return None

        answer = solve([one.requirement for one in asked if not one.constraint], {})
        if answer is None:
            raise Unresolvable(reason="no")
        return SimpleNamespace(pins=answer, packages=[])


def solved(*asked: str) -> Column:
    """A cell that asks for some packages, and stands at the good state."""
    origin = Origin(file="requirements.txt", line=1, text="")
    requests = tuple(Request(requirement=Requirement(one), origin=origin) for one in asked)
    kept = [SimpleNamespace(name=name, version=version) for name, version in pins(GOOD).items()]
    return Column(
        place=cast("Any", SimpleNamespace(name="test", declaration=SimpleNamespace(build=()))),
        planner=cast("Any", Solver(NEEDS)),
        interpreter=PYTHON,
        gathered=Gathered(
            wanted=Wanted(interpreter=PYTHON, requests=requests),
            project=None,
            installs_project=False,
            extras=(),
            lowest=(),
            directory=Path(),
            pyproject=None,
        ),
        wheels={},
        current=cast("Any", SimpleNamespace(packages=kept, pins={}, locals=())),
        declared={},
    )


def pins(text: str) -> dict[NormalizedName, Version]:
    each = [one.partition("==") for one in text.split()]
    return {canonicalize_name(name): Version(version) for name, _, version in each}


GOOD = "a==1.0 b==1.0 old==1.0 gone==1.0"
BAD = "a==2.0 b==2.0 novel==1.0 new==1.0"
NEEDS = {
    "a==1.0": ["old"], "a==2.0": ["novel"], "old==1.0": [], "novel==1.0": [], "b==1.0": [],
    "b==2.0": [], "new==1.0": [], "gone==1.0": [],
}  # fmt: skip


def test_a_state_is_completed_by_what_it_needs() -> None:
    column = solved("a", "b", "new")
    good = State(pins=pins("a==1.0"), loose=frozenset({canonicalize_name("b")}))
    bad = State(pins=pins(BAD))
    assert completed(column, good, bad) == pins("a==1.0 b==2.0")
    assert completed(column, State(pins=pins("a==1.0 b==1.0")), State(pins=pins("old==1.0"))) == (
        pins("a==1.0 b==1.0 old==1.0")
    )
    superset = State(pins=pins(GOOD), is_whole=False)
    assert completed(column, superset, bad) == pins("a==1.0 b==1.0 old==1.0")


@pytest.mark.parametrize(
    ("name", "closure"),
    [("a", "a novel"), ("novel", "novel"), ("old", "a novel old"), ("b", "b"), ("gone", "gone"),
     ("new", "new")],
)  # fmt: skip
def test_what_comes_and_goes_with_a_package(name: str, closure: str) -> None:
    column = solved("a", "b", "new")
    known = {one.name: getattr(column, one.name) for one in fields(Column)}
    between = Between(**known, good=pins(GOOD), bad=pins(BAD))
    assert between.closure(name) == frozenset(closure.split())


def test_a_file_that_pins_nothing_is_a_mistake(states: States) -> None:
    with pytest.raises(UsageError, match=r"freeze\.txt pins nothing"):
        read(states, "freeze.txt", "flask\nrequests>=2\n")


def test_a_compiled_file_is_read_for_the_python_of_the_cell(states: States) -> None:
    text = "a==1.0 ; python_version < '3.12'\na==2.0 ; python_version >= '3.12'\n"
    assert read(states, "compiled.txt", text) == {"a": "1.0"}


def test_a_pin_that_is_no_version_is_a_mistake(states: States) -> None:
    with pytest.raises(NoxEnvsError):
        read(states, "freeze.txt", "a===lts\n")


# -- which kind


@pytest.mark.parametrize(
    "text",
    ["2026-11-01", "2026-11-01T10:00", "2026-11-01 10:00:30Z", "2026-11-01T10:00:00+02:00"],
)
def test_dates(states: States, text: str) -> None:
    # The stand-in of a column cannot be resolved, but that was to be done.
    with pytest.raises(AttributeError, match="gathered"):
        states.read(text, column())


@pytest.mark.parametrize(
    "text", ["2026-11", "2026-11-1", "11-01-2026", "2026-11-01.txt", "2026-11-01T10", "yesterday"]
)
def test_what_looks_like_no_date_is_a_file(states: States, text: str) -> None:
    with pytest.raises(FileMissing, match="does not exist"):
        states.read(text, column())
    assert read(states, text, "a==1.0\n") == {"a": "1.0"}


@pytest.mark.parametrize("text", ["9999-12-31", "9999-12-31T23:59-14:00", "2999-01-01T00:00Z"])
def test_a_date_that_has_not_come_is_no_state(states: States, text: str) -> None:
    with pytest.raises(UsageError, match="has not come yet"):
        states.read(text, column())


def test_dates_before_all_releases_are_states(states: States) -> None:
    for text in ("0001-01-01", "0001-01-01T00:00+14:00", f"{datetime.now(timezone.utc):%Y-%m-%d}"):
        with pytest.raises(AttributeError, match="gathered"):
            states.read(text, column())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (".", "is a directory, and no state"),
        ("", "an empty word names no state"),
        (os.devnull, "is no regular file, and no state"),
    ],
)
def test_what_is_there_and_is_no_file(states: States, text: str, said: str) -> None:
    if text == os.devnull and not Path(text).exists():
        pytest.skip("there is no such file here")
    with pytest.raises(UsageError, match=said) as caught:
        states.read(text, column())
    assert "a file of pins" in caught.value.hints[0]


# -- the last that passed


def record(states: States, campaign: str, *trials: tuple[str, str, str]) -> None:
    """Write a campaign with trials: cell, outcome and the pin of its lock."""
    told = []
    for number, (cell, outcome, version) in enumerate(trials):
        lock = f"locks/pylock.{number}.toml"
        path = states.campaigns / campaign / lock
        path.parent.mkdir(parents=True, exist_ok=True)
        packages = [locked("a", version)]
        document = {"lock-version": "1.0", "created-by": "me", "packages": packages}
        path.write_text(tomli_w.dumps(document), encoding="utf-8")
        told.append({"cell": cell, "outcome": outcome, "lock": lock})
    report = states.campaigns / campaign / "report.json"
    report.write_text(json.dumps({"trials": told}), encoding="utf-8")


def test_the_last_that_passed_in_its_own_cell(states: States) -> None:
    record(states, "upgrade-20260101-000000", ("test", "pass", "1.0"))
    record(
        states,
        "upgrade-20260102-000000",
        ("test", "pass", "2.0"),
        ("test", "pass", "3.0"),
        ("test", "fail", "4.0"),
        ("other", "pass", "5.0"),
    )
    record(states, "upgrade-20260103-000000", ("test", "fail", "6.0"))
    label, found = states.last_that_passed(column())
    assert plain(found.pins) == {"a": "3.0"}
    assert label == "cache/campaigns/upgrade-20260102-000000/locks/pylock.1.toml"


def test_reports_that_are_none_are_passed_over(states: States) -> None:
    record(states, "upgrade-20260101-000000", ("test", "pass", "1.0"))
    for day, text in enumerate(("{", "[]", "{}"), start=2):
        directory = states.campaigns / f"upgrade-2026010{day}-000000"
        directory.mkdir()
        (directory / "report.json").write_text(text, encoding="utf-8")
    record(states, "upgrade-20260105-000000", ("test", "pass", "2.0"))
    (states.campaigns / "upgrade-20260105-000000/locks/pylock.0.toml").unlink()
    assert plain(states.last_that_passed(column())[1].pins) == {"a": "1.0"}


def test_the_last_that_passed_in_whatever_campaign(states: States) -> None:
    record(states, "upgrade-20260101-000000", ("test", "pass", "1.0"))
    record(states, "bisect-20260102-000000", ("test", "pass", "2.0"))
    assert plain(states.last_that_passed(column())[1].pins) == {"a": "2.0"}


def test_nothing_has_passed_yet(states: States) -> None:
    with pytest.raises(
        UsageError, match="no earlier campaign has kept a lock with which test passed"
    ):
        states.last_that_passed(column())
