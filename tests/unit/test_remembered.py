"""What makes two questions equal, and which answers are kept."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from packaging.pylock import (
    Package,
    PackageArchive,
    PackageDirectory,
    PackageSdist,
    PackageVcs,
    PackageWheel,
)
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from nox_envs import _files, settings, toolbox
from nox_envs._process import Completed, Refused
from nox_envs.errors import BuildFailed, DeclarationError
from nox_envs.install import project
from nox_envs.interpreter import Interpreter
from nox_envs.questions import Questions
from nox_envs.resolve import index
from nox_envs.resolve.remembered import Memory, digest_of_environment, fingerprint
from nox_envs.resolve.requests import Origin, Request, Wanted
from support.wheels import build_wheel

HASHES = {"sha256": "0" * 64}
MARKER = "python_version == '3.12'"
KEY = "a" * 64
WHEEL = PackageWheel(
    name="beta-1.0-py3-none-any.whl",
    url="https://files.example/beta-1.0-py3-none-any.whl",
    hashes=HASHES,
    size=5,
    upload_time=datetime(2026, 1, 2, tzinfo=timezone.utc),
)
BETA = Package(name=canonicalize_name("beta"), version=Version("1.0"), wheels=[WHEEL])
COMMIT = "1" * 40


def memory(tmp_path: Path, **changes: Any) -> Memory:
    return replace(Memory(directory=tmp_path / "kept", run="run", seconds=3600), **changes)


def never() -> tuple[Package, ...]:
    pytest.fail("it was asked")


def put(kept: Memory, *packages: Package, key: str = KEY) -> Path:
    kept.recall(key, MARKER, lambda: packages)
    return kept.directory / f"{key}.toml"


def knows(kept: Memory, key: str = KEY) -> bool:
    """Whether nobody is asked."""
    asked = []

    def ask() -> tuple[Package, ...]:
        asked.append(1)
        raise Refused("uv", Completed(command=(), returncode=1, stdout="", stderr=""))

    try:
        kept.recall(key, MARKER, ask)
    except Refused:
        assert asked
    return not asked


# -- what is kept ---------------------------------------------------------------------


def test_an_answer_is_given_again_as_it_was(tmp_path: Path) -> None:
    gamma = Package(
        name=canonicalize_name("gamma"),
        version=Version("2.0"),
        sdist=PackageSdist(
            name="gamma-2.0.tar.gz", url="https://f.example/g.tar.gz", hashes=HASHES
        ),
    )
    put(memory(tmp_path), BETA, gamma)
    assert memory(tmp_path).recall(KEY, MARKER, never) == (BETA, gamma)


def test_nothing_is_an_answer_too(tmp_path: Path) -> None:
    put(memory(tmp_path))
    assert memory(tmp_path).recall(KEY, MARKER, never) == ()


def test_within_a_run_it_does_not_age(tmp_path: Path) -> None:
    path = put(memory(tmp_path), BETA)
    os.utime(path, (0, 0))
    assert knows(memory(tmp_path))
    assert knows(memory(tmp_path, seconds=0))
    assert not knows(memory(tmp_path, run="another"))


@pytest.mark.parametrize(
    ("age", "seconds", "known"),
    [(3500, 3600, True), (3700, 3600, False), (-3700, 3600, False), (0, 0, False)],
)
def test_across_runs_it_does(age: float, seconds: float, *, known: bool, tmp_path: Path) -> None:
    path = put(memory(tmp_path), BETA)
    os.utime(path, (time.time() - age,) * 2)
    assert knows(memory(tmp_path, run="another", seconds=seconds)) is known


def test_a_failure_is_not_kept(tmp_path: Path) -> None:
    assert not knows(memory(tmp_path))
    assert not knows(memory(tmp_path))
    assert not list(memory(tmp_path).directory.glob("*.toml"))


def test_without_a_key_nothing_is_kept(tmp_path: Path) -> None:
    assert memory(tmp_path).recall(None, MARKER, lambda: (BETA,)) == (BETA,)
    assert not memory(tmp_path).directory.exists()


def test_what_is_forgotten_is_asked_again(tmp_path: Path) -> None:
    put(memory(tmp_path), BETA)
    memory(tmp_path).forget(KEY)
    memory(tmp_path).forget(KEY)
    assert not knows(memory(tmp_path))


def test_who_comes_second_waits_for_the_answer(tmp_path: Path) -> None:
    answers = []

    def second() -> None:
        answers.append(memory(tmp_path, run="another").recall(KEY, MARKER, lambda: ()))

    thread = threading.Thread(target=second)

    def ask() -> tuple[Package, ...]:
        thread.start()
        thread.join(0.2)
        return (BETA,)

    assert memory(tmp_path).recall(KEY, MARKER, ask) == (BETA,)
    thread.join()
    assert answers == [(BETA,)]


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "no toml",
        'lock-version = "1.0"\ncreated-by = "x"\npackages = []\n',
        f'[tool.nox-envs]\nkey = "{KEY}"\nrun = "run"\n',
        f'[tool]\nnox-envs = "{KEY}"\n',
    ],
)
def test_garbage_is_absence(garbage: str, tmp_path: Path) -> None:
    path = put(memory(tmp_path), BETA)
    path.write_text(garbage, encoding="utf-8")
    assert not knows(memory(tmp_path))
    put(memory(tmp_path), BETA)
    assert knows(memory(tmp_path))


def test_the_answer_to_another_question_is_none(tmp_path: Path) -> None:
    path = put(memory(tmp_path), BETA)
    path.rename(path.with_name(f"{'b' * 64}.toml"))
    assert not knows(memory(tmp_path), "b" * 64)


def direct(**source: Any) -> Package:
    return Package(name=canonicalize_name("beta"), version=Version("1.0"), **source)


@pytest.mark.parametrize(
    ("package", "known"),
    [
        (BETA, True),
        (direct(wheels=[replace(WHEEL, url="https://me:secret@f.example/b.whl")]), False),
        (direct(wheels=[replace(WHEEL, url="https://f.example/b.whl?token=secret")]), False),
        (direct(wheels=[replace(WHEEL, url=None, path="../../b.whl")]), False),
        (direct(wheels=[replace(WHEEL, url="file:///links/b.whl")]), True),
        (direct(archive=PackageArchive(url="https://f.example/b.zip", hashes=HASHES)), True),
        (direct(archive=PackageArchive(url="https://a:b@f.example/b.zip", hashes=HASHES)), False),
        (direct(archive=PackageArchive(url="file:///b.zip", hashes=HASHES)), False),
        (direct(archive=PackageArchive(path="/b.zip", hashes=HASHES)), False),
        (direct(directory=PackageDirectory(path="/b")), False),
        *[
            (
                direct(
                    vcs=PackageVcs(
                        type="git",
                        url="https://g.example/b",
                        requested_revision=revision,
                        commit_id=COMMIT,
                    )
                ),
                revision == COMMIT,
            )
            for revision in (COMMIT, "main", COMMIT[:7], None)
        ],
    ],
)
def test_what_may_change_or_is_secret_is_not_kept(
    package: Package, *, known: bool, tmp_path: Path
) -> None:
    put(memory(tmp_path), package)
    assert knows(memory(tmp_path)) is known
    kept = [path.read_text() for path in memory(tmp_path).directory.glob("*.toml")]
    assert "secret" not in "".join(kept)


@pytest.mark.parametrize(("most", "left"), [(3, "23a"), (100, "123a")])
def test_it_does_not_grow_for_ever(
    most: int, left: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nox_envs.resolve.remembered._MOST", most)
    now = time.time()
    for place, age in enumerate((8 * 24 * 3600, 300, 200, 100)):
        path = put(memory(tmp_path), BETA, key=f"{place}" * 64)
        os.utime(path, (now - age,) * 2)
    put(memory(tmp_path), BETA)
    names = sorted(path.name[0] for path in memory(tmp_path).directory.glob("*.toml"))
    assert "".join(names) == left


def test_what_is_to_be_remembered_for_longer_is_not_too_old(tmp_path: Path) -> None:
    month = 30 * 24 * 3600
    path = put(memory(tmp_path), BETA, key="1" * 64)
    os.utime(path, (time.time() - month / 2,) * 2)
    put(replace(memory(tmp_path), seconds=month), BETA)
    assert path.exists()


@pytest.mark.parametrize(("duration", "stays"), [("2 days", True), ("1 hour", False)])
def test_wheels_stay_for_as_long_as_they_are_remembered(
    duration: str, tmp_path: Path, *, stays: bool
) -> None:
    shelf = tmp_path / "wheels-v1" / "earlier"
    shelf.mkdir(parents=True)
    os.utime(shelf, (time.time() - 30 * 3600,) * 2)
    job: Any = SimpleNamespace(cache=tmp_path, run="now")
    variables = {"NOX_ENVS_REMEMBER": duration}
    tools = toolbox.Toolbox(job=job, variables=variables, scratch=tmp_path)
    tools.forget_old_runs()
    assert shelf.exists() == stays


def test_a_place_that_cannot_be_written_to_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file", encoding="utf-8")
    assert memory(tmp_path).recall(KEY, MARKER, lambda: (BETA,)) == (BETA,)
    memory(tmp_path).forget(KEY)


def test_a_full_disk_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_files, "write_toml", full)
    assert memory(tmp_path).recall(KEY, MARKER, lambda: (BETA,)) == (BETA,)


# -- which questions are equal --------------------------------------------------------

INTERPRETER = Interpreter(
    path=Path("/env/bin/python"),
    version="3.12.7",
    prefix=Path("/env"),
    base_prefix=Path("/usr"),
    purelib=Path("/env/lib"),
    platlib=Path("/env/lib"),
    build="cpython-312",
    markers={
        "implementation_name": "cpython",
        "python_version": "3.12",
        "sys_platform": "linux",
        "platform_machine": "x86_64",
    },
)


def request(text: str, **options: Any) -> Request:
    origin = Origin(file="noxfile.py", line=1, text=text)
    return Request(requirement=Requirement(text), origin=origin, **options)


WANTED = Wanted(interpreter=INTERPRETER, requests=(request("beta>=1"),))
QUESTION: dict[str, Any] = {
    "tool": ("uv", "/bin/uv"),
    "environment": "e",
    "wheels": {canonicalize_name("demo"): "m"},
    "keep": (),
    "no_build": (),
    "limit": None,
}


def key(wanted: Wanted = WANTED, **changes: Any) -> str:
    found = fingerprint(wanted, **{**QUESTION, **changes})
    assert found is not None
    return found


def asking(**options: Any) -> Wanted:
    return replace(WANTED, requests=(request("beta>=1", **options),))


def on(**changes: Any) -> Wanted:
    return replace(WANTED, interpreter=replace(INTERPRETER, **changes))


def test_equal_questions_have_one_key() -> None:
    elsewhere = on(path=Path("/e/bin/python"), prefix=Path("/e"), purelib=Path("/e/lib"))
    moved = Origin(file="requirements.txt", line=7, text="beta >= 1")
    written = replace(elsewhere, requests=(replace(request("beta >= 1"), origin=moved),))
    young = replace(WANTED, exclude_newer="2026-01-01T00:00:00Z")
    keys = [
        key(),
        key(elsewhere),
        key(written),
        # The cooldown counts as it was written, and the instant changes all the time.
        key(young),
        key(keep=[], no_build=[]),
    ]
    assert len(set(keys)) == 1


def test_whatever_can_change_the_answer_is_in_the_key() -> None:
    other = replace(BETA, version=Version("1.1"))
    keys = [
        key(),
        key(replace(WANTED, requests=(request("beta>=2"),))),
        key(replace(WANTED, requests=(request("beta[more]>=1"),))),
        key(replace(WANTED, requests=(request("beta @ https://f.example/b.zip"),))),
        key(replace(WANTED, requests=(*WANTED.requests, request("alpha")))),
        key(asking(constraint=True)),
        key(asking(prerelease=True)),
        key(asking(hashes=frozenset({"1"}))),
        key(asking(hashes=frozenset({"2"}))),
        key(replace(WANTED, resolution="lowest")),
        key(replace(WANTED, prerelease=True)),
        key(on(version="3.12.8")),
        key(on(build="cpython-312t")),
        key(on(base_prefix=Path("/opt"))),
        key(on(markers={**INTERPRETER.markers, "platform_machine": "aarch64"})),
        key(tool=("uv", "/bin/other")),
        key(environment="f"),
        key(wheels={}),
        key(wheels={canonicalize_name("demo"): "n"}),
        key(keep=[BETA]),
        key(keep=[other]),
        key(no_build=["beta"]),
        key(lowest=["beta"]),
        key(limit="7 days"),
        key(limit="2026-01-01T00:00:00Z"),
    ]
    assert len(set(keys)) == len(keys)


def test_a_directory_of_wheels_is_what_lies_in_it(tmp_path: Path) -> None:
    place = str(tmp_path)
    keys = [key(places=[place])]
    file = tmp_path / "beta-1.0-py3-none-any.whl"
    for text in ("1", "22"):
        file.write_text(text, encoding="utf-8")
        keys.append(key(places=[tmp_path.as_uri()]))
        keys.append(key(places=[place]))
    os.utime(file, (0, 0))
    keys.append(key(places=[place]))
    assert len(set(keys)) == len(keys)
    assert key(places=[place]) == keys[-1]
    assert key(places=["https://w.example/"]) != key()


@pytest.mark.parametrize(
    "changes",
    [
        {"places": ["links"]},
        {"places": ["/is/not/there"]},
        {"indexes": ["/an/index"]},
        {"indexes": ["file:///an/index"]},
        {"indexes": ["https://i.example/simple", "index"]},
    ],
)
def test_what_may_change_unseen_is_not_remembered(changes: dict[str, Any]) -> None:
    assert fingerprint(WANTED, **QUESTION, **changes) is None


def test_the_environment_without_what_differs_from_shell_to_shell() -> None:
    env = {"PATH": "/bin", "UV_DEFAULT_INDEX": "https://i.example"}
    passing = {"TMPDIR": "/t", "UV_CONFIG_FILE": "/t/uv.toml", "XDG_SESSION_ID": "4"}
    same = digest_of_environment(env, {})
    assert digest_of_environment({**env, **passing}, {}) == same
    others = [
        digest_of_environment({**env, "UV_DEFAULT_INDEX": "https://me:it@i.example"}, {}),
        digest_of_environment({**env, "XDG_CONFIG_HOME": "/c"}, {}),
        digest_of_environment(env, {"index": [{"url": "https://i.example"}]}),
    ]
    assert len({same, *others}) == 4


# -- settings -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({}, 3600),
        ({"NOX_ENVS_REMEMBER": ""}, 3600),
        ({"NOX_ENVS_REMEMBER": "30 minutes"}, 1800),
        ({"NOX_ENVS_REMEMBER": "0"}, 0),
        ({"NOX_ENVS_REMEMBER": "0 hours"}, 0),
        ({"NOX_ENVS_REFRESH": "1"}, 0),
        ({"NOX_ENVS_REFRESH": "1", "NOX_ENVS_REMEMBER": "1 day"}, 0),
        ({"NOX_ENVS_REFRESH": "0"}, 3600),
    ],
)
def test_for_how_long(variables: dict[str, str], seconds: float) -> None:
    assert settings.memory_seconds(variables) == seconds


@pytest.mark.parametrize("text", ["an hour", "60", "-1 hour", "1h"])
def test_what_is_no_duration_is_said(text: str) -> None:
    with pytest.raises(DeclarationError, match="NOX_ENVS_REMEMBER") as caught:
        settings.memory_seconds({"NOX_ENVS_REMEMBER": text})
    assert "30 minutes" in str(caught.value)


def test_places_of_both_tools() -> None:
    env = {
        "PIP_FIND_LINKS": "/a https://b.example",
        "UV_FIND_LINKS": "/c,/d",
        "UV_INDEX": "mine=/e https://f.example",
        "PIP_INDEX_URL": "https://g.example",
    }
    config = {
        "find-links": ["/h"],
        "index": [{"url": "/i", "format": "flat"}],
        "pip": {"extra-index-url": ["/j"], "index-url": "/k"},
    }
    wheels, indexes = settings.places(env, config)
    assert wheels == ("/a", "https://b.example", "/c", "/d", "/h")
    assert set(indexes) == {"/e", "https://f.example", "https://g.example", "/i", "/j", "/k"}


# -- wheels of local projects ---------------------------------------------------------


class Shelves:
    """Builds of one project, by runs of nox."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.builds = 0
        self.fails = False
        self.source = root / "demo"
        self.source.mkdir()
        (self.source / "pyproject.toml").write_text('[project]\nname = "demo"\nversion = "1.0"\n')

    def wheel(self, run: str, *, seconds: float = 3600, **changes: str) -> project.Wheel:
        named = {"digest": "d", "conditions": "c", **changes}
        return project.build_once(
            self.source,
            digest=named["digest"],
            conditions=named["conditions"],
            store=self.root / "shelves" / run,
            seconds=seconds,
            interpreter=INTERPRETER,
            build=self._build,
            copy=lambda _, target: target,
            excuse=lambda _: None,
        )

    def _build(self, _: Path, out: Path) -> Completed:
        self.builds += 1
        if not self.fails:
            build_wheel(out, "demo", "1.0", modules={"demo.py": str(self.builds)})
        return Completed(command=(), returncode=int(self.fails), stdout="", stderr="no luck")


@pytest.fixture
def shelves(tmp_path: Path) -> Shelves:
    return Shelves(tmp_path)


def test_a_wheel_of_an_earlier_run_is_taken_over(shelves: Shelves) -> None:
    first, second = shelves.wheel("one"), shelves.wheel("two")
    assert shelves.builds == 1
    assert second.content == first.content
    assert second.path.is_relative_to(shelves.root / "shelves" / "two")
    first.path.unlink()
    assert shelves.wheel("three").content == first.content


@pytest.mark.parametrize("changes", [{"digest": "e"}, {"conditions": "d"}, {"seconds": 0}])
def test_another_wheel_is_built(changes: dict[str, Any], shelves: Shelves) -> None:
    shelves.wheel("one")
    shelves.wheel("two", **changes)
    shelves.wheel("two", **changes)
    assert shelves.builds == 2


def test_a_wheel_that_is_taken_over_stays_as_old_as_it_is(shelves: Shelves) -> None:
    made = time.time() - 3000
    os.utime(shelves.wheel("one").path, (made, made))
    assert shelves.wheel("two").path.stat().st_mtime == pytest.approx(made, abs=2)
    assert shelves.wheel("two").content == shelves.wheel("two", seconds=0).content
    shelves.wheel("three", seconds=2000)
    assert shelves.builds == 2


def test_a_damaged_wheel_is_built_again(shelves: Shelves) -> None:
    shelves.wheel("one").path.write_bytes(b"PK")
    assert shelves.wheel("two").version == Version("1.0")
    assert shelves.builds == 2


def test_a_failed_build_is_tried_once_in_a_run(shelves: Shelves) -> None:
    shelves.fails = True
    for run, builds in (("one", 1), ("one", 1), ("two", 2)):
        with pytest.raises(BuildFailed, match="no luck"):
            shelves.wheel(run)
        assert shelves.builds == builds


# -- what an index has of a package ---------------------------------------------------


def test_a_page_is_asked_for_once_in_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    gathered: Any = SimpleNamespace(wanted=WANTED)
    asked: list[str] = []
    answers: list[Any] = [
        index.Unreachable(reason="down"),
        index.NotThere(name=canonicalize_name("beta")),
        index.Releases(name=canonicalize_name("gamma"), releases=()),
    ]

    def releases(name: str, *_: object) -> Any:
        asked.append(name)
        return answers[len(asked) - 1]

    monkeypatch.setattr(index, "releases", releases)

    def found(name: str) -> Any:
        cell: Any = None
        variables = {"UV_DEFAULT_INDEX": "https://once.example/simple"}
        questions = Questions(
            cell=cell, variables=variables, directory=Path("/"), tool="uv", cooldown=None
        )
        return questions.releases(name, gathered)

    assert found("Beta") == answers[0]
    assert [found("beta"), found("Beta")] == [answers[1]] * 2
    assert [found("gamma"), found("gamma")] == [answers[2]] * 2
    assert asked == ["Beta", "beta", "gamma"]
