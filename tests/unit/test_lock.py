"""Locks: what is written is read, equal environments have equal digests, nothing unproven."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st
from packaging.markers import Marker
from packaging.pylock import Package, PackageArchive, PackageSdist, PackageVcs, PackageWheel
from packaging.utils import canonicalize_name
from packaging.version import Version

from nox_envs._files import parse_toml
from nox_envs.errors import LockInvalid
from nox_envs.interpreter import Interpreter
from nox_envs.lock import Lock, LockedLocal, public_url, recorded_pins

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
SHA = "a" * 64
COMMIT = "c" * 40


def read(data: dict[str, Any], **options: Any) -> Lock:
    return Lock.from_pylock(data, path="pylock.toml", interpreter=PYTHON, **options)


def written(lock: Lock) -> dict[str, Any]:
    """The document as it comes back from the file."""
    return parse_toml(tomli_w.dumps(lock.to_pylock()))


def document(*packages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"lock-version": "1.0", "created-by": "me", "packages": list(packages), **more}


def entry(name: str = "alpha", version: str = "1.0", **more: Any) -> dict[str, Any]:
    file = f"{name}-{version}-py3-none-any.whl"
    wheel = {"name": file, "url": f"https://x/{file}", "hashes": {"sha256": SHA}}
    return {"name": name, "version": version, "wheels": [wheel], **more}


def lock(*packages: Package, **more: Any) -> Lock:
    return Lock(packages=packages, environment=PYTHON.lock_marker, **more)


def package(name: str = "alpha", version: str = "1.0", digest: str = SHA) -> Package:
    return Package(
        name=canonicalize_name(name),
        version=Version(version),
        wheels=[wheel(name, version, "py3", digest)],
    )


def wheel(name: str, version: str, tag: str, digest: str) -> PackageWheel:
    file = f"{name.replace('-', '_')}-{version}-{tag}-none-any.whl"
    return PackageWheel(name=file, url=f"https://host/{file}", hashes={"sha256": digest})


LOCAL = LockedLocal(
    name=canonicalize_name("demo"), version=Version("0.1"), directory="../..", content="d" * 64
)

# -- strategies -----------------------------------------------------------------------

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,5}(-[a-z0-9]{1,3})?", fullmatch=True)
VERSIONS = st.from_regex(
    r"(0|[1-9][0-9]?)(\.(0|[1-9][0-9]?)){0,2}((a|rc)[1-9]|\.post1|\+cpu)?", fullmatch=True
)
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
COMMITS = st.text("0123456789abcdef", min_size=40, max_size=40)


@st.composite
def packages(draw: st.DrawFn, name: str) -> Package:
    version = draw(VERSIONS)
    kind = draw(st.sampled_from(["wheels", "sdist", "both", "vcs", "archive"]))
    known = canonicalize_name(name)
    if kind == "vcs":
        vcs = PackageVcs(type="git", url="https://host/a.git", commit_id=draw(COMMITS))
        return Package(name=known, version=draw(st.sampled_from([None, Version(version)])), vcs=vcs)
    if kind == "archive":
        archive = PackageArchive(url="https://host/a.zip", hashes={"sha256": draw(DIGESTS)})
        return Package(name=known, version=Version(version), archive=archive)
    tags = draw(
        st.lists(st.sampled_from(["py3", "py2", "py310", "py311"]), min_size=1, unique=True)
    )
    file = f"{name.replace('-', '_')}-{version}.tar.gz"
    sdist = PackageSdist(name=file, url=f"https://host/{file}", hashes={"sha256": draw(DIGESTS)})
    return Package(
        name=known,
        version=Version(version),
        sdist=None if kind == "wheels" else sdist,
        wheels=None if kind == "sdist" else [wheel(name, version, t, draw(DIGESTS)) for t in tags],
    )


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    names = sorted(draw(st.sets(NAMES, max_size=4)))
    return lock(
        *(draw(packages(name)) for name in names), facts={"cell": "test-3.11", "inputs": "i"}
    )


# -- laws -----------------------------------------------------------------------------


@given(made=locks())
def test_what_is_written_is_read(made: Lock) -> None:
    again = read(written(made))
    assert again == made
    assert again.digest == made.digest
    assert again.pins == made.pins == recorded_pins(written(made))


@given(made=locks())
def test_local_projects_are_recorded_and_built_anew(made: Lock) -> None:
    made = replace(
        made, locals=(LOCAL,), packages=tuple(p for p in made.packages if p.name != "demo")
    )
    document = written(made)
    assert document["tool"]["nox-envs"]["locals"] == [
        {"name": "demo", "version": "0.1", "directory": "../..", "content": "d" * 64,
         "editable": False}
    ]  # fmt: skip
    assert recorded_pins(document) == made.pins
    assert read(document) == replace(made, locals=())


@given(made=locks(), data=st.data())
def test_the_digest_does_not_depend_on_order_or_place(made: Lock, data: st.DataObject) -> None:
    shuffled = tuple(data.draw(st.permutations(made.packages)))
    assert replace(made, packages=shuffled).digest == made.digest
    moved = tuple(
        replace(one, wheels=[replace(w, url="https://mirror/x.whl") for w in reversed(one.wheels)])
        if one.wheels else one
        for one in made.packages
    )  # fmt: skip
    assert replace(made, packages=moved).digest == made.digest
    assert replace(made, facts={"cell": "other"}).digest == made.digest


@pytest.mark.parametrize(
    "other",
    [
        lock(package("beta")),
        lock(package(version="1.1")),
        lock(package(digest="b" * 64)),
        lock(),
        lock(package(), package("beta")),
        lock(package(), locals=(LOCAL,)),
        replace(lock(package()), environment="sys_platform == 'win32'"),
        lock(replace(package(), sdist=PackageSdist(url="https://x/alpha-1.0.tar.gz", hashes={"sha256": SHA}))),
        lock(replace(package(), wheels=[PackageWheel(url="https://x/alpha-1.0-py3-none-any.whl", hashes={"sha512": SHA * 2})])),
        lock(replace(package(), wheels=[PackageWheel(url="https://x/alpha-1.0-py3-none-any.whl", hashes={"sha512": "b" * 128})])),
        lock(Package(name=canonicalize_name("alpha"), version=Version("1.0"), vcs=PackageVcs(type="git", url="https://x/a", commit_id=COMMIT))),
    ],
)  # fmt: skip
def test_the_digest_tells_environments_apart(other: Lock) -> None:
    assert other.digest != lock(package()).digest


def test_the_digest_tells_hashes_of_any_kind_apart() -> None:
    def with_hash(value: str) -> Lock:
        file = replace(wheel("alpha", "1.0", "py3", SHA), hashes={"sha512": value * 128})
        return lock(replace(package(), wheels=[file]))

    assert with_hash("a").digest != with_hash("b").digest


@pytest.mark.parametrize(
    "change",
    [{"content": "e" * 64}, {"version": Version("0.2")}, {"editable": True},
     {"name": canonicalize_name("other")}],
)  # fmt: skip
def test_the_digest_tells_local_projects_apart(change: dict[str, Any]) -> None:
    assert lock(locals=(replace(LOCAL, **change),)).digest != lock(locals=(LOCAL,)).digest


def test_where_a_local_project_lies_does_not_matter() -> None:
    moved = replace(LOCAL, directory="elsewhere")
    assert lock(locals=(moved,)).digest == lock(locals=(LOCAL,)).digest


# -- what is written ------------------------------------------------------------------


def test_the_document() -> None:
    assert written(lock(package(), locals=(LOCAL,), facts={"cell": "test-3.11"})) == {
        "lock-version": "1.0",
        "created-by": "nox-envs",
        "environments": [str(Marker(PYTHON.lock_marker))],
        "packages": [
            {
                "name": "alpha",
                "version": "1.0",
                "wheels": [
                    {
                        "name": "alpha-1.0-py3-none-any.whl",
                        "url": "https://host/alpha-1.0-py3-none-any.whl",
                        "hashes": {"sha256": SHA},
                    }
                ],
            },
            {"name": "demo", "version": "0.1", "directory": {"path": "../..", "editable": False}},
        ],
        "tool": {
            "nox-envs": {
                "cell": "test-3.11",
                "locals": [
                    {
                        "name": "demo",
                        "version": "0.1",
                        "directory": "../..",
                        "content": "d" * 64,
                        "editable": False,
                    }
                ],
            }
        },
    }


def test_no_address_holds_a_user_or_a_password() -> None:
    secret = "https://me:s3cret@host:8080/x?y=1#z"
    hashes = {"sha256": SHA}
    name = canonicalize_name("alpha")
    made = lock(
        Package(
            name=name,
            version=Version("1.0"),
            index=secret,
            sdist=PackageSdist(name="alpha-1.0.tar.gz", url=secret, hashes=hashes),
            wheels=[PackageWheel(name="alpha-1.0-py3-none-any.whl", url=secret, hashes=hashes)],
        ),
        Package(name=name, vcs=PackageVcs(type="git", url=secret, commit_id=COMMIT)),
        Package(name=name, archive=PackageArchive(url=secret, hashes=hashes)),
    )
    text = tomli_w.dumps(made.to_pylock())
    assert "s3cret" not in text
    assert "me:" not in text
    assert text.count("https://host:8080/x#z") == 5
    assert "s3cret" in tomli_w.dumps(made.for_installer({}))


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://host/a", "https://host/a"),
        ("https://me@host/a@1", "https://host/a@1"),
        ("https://me:p%40ss@host:1/a", "https://host:1/a"),
        ("https://me:p@ss@host/a", "https://host/a"),
        ("file:///a/b@c.whl", "file:///a/b@c.whl"),
    ],
)
def test_public_url(url: str, clean: str) -> None:
    assert public_url(url) == clean


def test_an_installer_reads_local_projects_as_wheels_by_path_and_hash() -> None:
    made = lock(package(), locals=(LOCAL,), facts={"cell": "test"})
    path = "/store/demo-0.1-py3-none-any.whl"
    data = made.for_installer({LOCAL.name: (path, "e" * 64)})
    assert [one["name"] for one in data["packages"]] == ["alpha", "demo"]
    assert data["packages"][1]["archive"] == {"path": path, "hashes": {"sha256": "e" * 64}}
    assert "tool" not in data
    assert read(parse_toml(tomli_w.dumps(data))).pins == made.pins


def test_an_editable_project_is_not_for_the_installer_of_the_lock() -> None:
    data = lock(package(), locals=(LOCAL,)).for_installer({})
    assert [one["name"] for one in data["packages"]] == ["alpha"]


# -- what is read ---------------------------------------------------------------------


def test_only_what_the_markers_admit_is_read() -> None:
    data = document(
        entry("alpha", marker="python_version >= '3.11'"),
        entry("beta", marker="sys_platform == 'win32'"),
        entry("gamma", marker="'dev' in dependency_groups"),
        entry("delta", marker="'docs' in dependency_groups"),
        entry("epsilon", marker="'cli' in extras"),
        **{"dependency-groups": ["dev", "docs"], "default-groups": ["dev"], "extras": ["cli"]},
    )
    chosen = read(data)
    assert list(chosen.pins) == ["alpha", "gamma"]


def test_what_was_chosen_stays_chosen() -> None:
    """A marker has been decided: in our document there are no groups that it could mean."""
    data = document(
        entry(marker="'dev' in dependency_groups"),
        **{"dependency-groups": ["dev"], "default-groups": ["dev"]},
    )
    chosen = read(data)
    assert read(written(chosen)) == chosen
    assert "marker" not in chosen.for_installer({})["packages"][0]


def test_the_environments_of_a_lock_are_alternatives() -> None:
    admitted = ["sys_platform == 'win32'", "python_version == '3.11'"]
    assert read(document(entry(), environments=admitted)).pins
    with pytest.raises(LockInvalid) as caught:
        read(document(entry(), environments=["sys_platform == 'win32'", "os_name == 'nt'"]))
    assert caught.value.message == (
        'pylock.toml: is not for this environment, but for sys_platform == "win32"; os_name == "nt"'
    )


def test_the_project_itself_may_stand_in_a_lock_as_a_directory() -> None:
    data = document(entry(), {"name": "demo", "directory": {"path": "."}})
    assert list(read(data, own=[canonicalize_name("demo")]).pins) == ["alpha"]


def test_facts_of_ours_are_read_and_those_of_others_are_not() -> None:
    data = document(tool={"nox-envs": {"cell": "test"}, "uv": {"x": 1}})
    assert read(data).facts == {"cell": "test"}


ARCHIVE = {"url": "https://x/a.zip"}
GIT = {"type": "git", "url": "https://x/a"}


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (document({"name": "alpha", "wheels": entry()["wheels"]}), "alpha has no version"),
        (
            document({"name": "demo", "directory": {"path": "."}}),
            "demo is a directory; only packages with hashes can be locked",
        ),
        (
            document({"name": "alpha", "vcs": {**GIT, "commit-id": ""}}),
            "alpha has no commit id",
        ),
        (
            document(entry(), **{"requires-python": ">=3.12"}),
            "is for Python >=3.12, this cell has 3.11.7",
        ),
    ],
)
def test_what_cannot_be_installed_exactly_is_refused(data: dict[str, Any], problem: str) -> None:
    with pytest.raises(LockInvalid) as caught:
        read(data)
    assert caught.value.message == f"pylock.toml: {problem}"


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (document(entry(), {"name": "beta", "version": "1.0"}), "packages[1]"),
        (document(entry(wheels=[{"name": "a-1-py3-none-any.whl", "hashes": {}}])), "packages[0]"),
        (document(entry(wheels=[{"url": "https://x/a-1-py3-none-any.whl"}])), "hashes"),
        (document({"name": "alpha", "archive": {**ARCHIVE, "hashes": {}}}), "archive.hashes"),
        (document({"name": "alpha", "archive": ARCHIVE}), "archive.hashes"),
        (document({"name": "alpha", "vcs": GIT}), "vcs.commit-id"),
        (document({"version": "1.0"}), "packages[0].name"),
        ({**document(entry()), "lock-version": "2.0"}, "2.0"),
        ({}, "lock-version"),
    ],
)
def test_what_is_no_pylock_is_refused_in_the_words_of_packaging(
    data: dict[str, Any], where: str
) -> None:
    with pytest.raises(LockInvalid) as caught:
        read(data)
    assert caught.value.message.startswith("pylock.toml: is not a valid lock: ")
    assert where in caught.value.message


def test_what_is_not_for_this_cell_is_not_judged() -> None:
    directory = {"path": "."}
    other = {"name": "beta", "directory": directory, "marker": "sys_platform == 'win32'"}
    assert list(read(document(entry(), other)).pins) == ["alpha"]
