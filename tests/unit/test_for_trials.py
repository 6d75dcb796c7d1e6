"""What rooms that know nothing of trials hold for them."""

from __future__ import annotations

import zipfile
from email.parser import HeaderParser
from pathlib import Path
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
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from nox_envs import settings
from nox_envs.install.check import Installed, requires
from nox_envs.install.project import read_wheel, without_requirements
from nox_envs.interpreter import Interpreter
from nox_envs.resolve.interface import kept
from nox_envs.resolve.requests import Origin, Request, Wanted
from nox_envs.run import tree

SHA = "a" * 64


# -- what a distribution depends on ---------------------------------------------------


def installed(directory: Path, *lines: str, kind: str = "dist-info") -> Installed:
    place = directory / f"demo-1.0.{kind}"
    place.mkdir()
    file = place / ("METADATA" if kind == "dist-info" else "PKG-INFO")
    text = "".join(f"Requires-Dist: {line}\n" for line in lines)
    file.write_text(
        f"Name: demo\nVersion: 1.0\n{text}\nRequires-Dist: not-this\n", encoding="utf-8"
    )
    return Installed(name=canonicalize_name("demo"), version="1.0", metadata=place)


@pytest.mark.parametrize("kind", ["dist-info", "egg-info"])
def test_names_are_normalized_and_told_once(tmp_path: Path, kind: str) -> None:
    one = installed(tmp_path, "Foo.Bar>=1", "foo-bar<9", "six (>=1.0)", kind=kind)
    assert requires(one) == ("foo-bar", "six")


def test_every_environment_counts_and_extras_do_not(tmp_path: Path) -> None:
    one = installed(
        tmp_path,
        "tomli; python_version < '3.11'",
        'pytest; extra == "test"',
        "docs; python_version > '3' and extra == 'docs'",
        "plain[cli]; sys_platform == 'win32'",
        "u @ https://example.org/u-1.0.tar.gz",
    )
    assert requires(one) == ("tomli", "plain", "u")


@pytest.mark.parametrize("marker", ["'test' == extra", "extra in 'test'"])
def test_an_extra_is_one_in_every_spelling(tmp_path: Path, marker: str) -> None:
    assert requires(installed(tmp_path, f"pytest; {marker}")) == ()


def test_what_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    assert requires(installed(tmp_path, "???", "six")) == ("six",)


def test_without_metadata_nothing_is_known(tmp_path: Path) -> None:
    one = Installed(
        name=canonicalize_name("demo"), version="1.0", metadata=tmp_path / "x.dist-info"
    )
    assert requires(one) == ()


# -- a wheel that requires nothing ----------------------------------------------------


def wheel(
    directory: Path, metadata: str, name: str = "my_demo-1.0-cp311-cp311-linux_x86_64.whl"
) -> Path:
    path = directory / name
    place = "-".join(name.split("-")[:2])
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("my_demo/vendored.dist-info/METADATA", "Name: other\nVersion: 9\n")
        archive.writestr("my_demo/__init__.py", "print('imported')")
        archive.writestr(f"{place}.dist-info/METADATA", metadata)
    return path


def empty(directory: Path) -> Path:
    (directory / "out").mkdir()
    return directory / "out"


METADATA = """\
Metadata-Version: 2.1
Name: My.Demo
Version: 1.0+local
Requires-Python: >=3.10
Requires-Dist: six<2
Requires-Dist: pytest; extra == "test"
Provides-Extra: test

Requires-Dist: text
"""


def test_a_wheel_loses_what_it_requires_and_what_it_holds(tmp_path: Path) -> None:
    original = read_wheel(wheel(tmp_path, METADATA), tree="t")
    path = without_requirements(original, empty(tmp_path))
    bare = read_wheel(path, tree="t")
    assert (bare.name, bare.version, bare.requires_dist) == ("my-demo", Version("1.0+local"), ())
    assert parse_wheel_filename(path.name)[:2] == (bare.name, bare.version)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        place = "my_demo-1.0+local.dist-info"
        assert sorted(names) == [f"{place}/METADATA", f"{place}/RECORD", f"{place}/WHEEL"]
        headers = HeaderParser().parsestr(archive.read(f"{place}/METADATA").decode())
        listed = archive.read(f"{place}/RECORD").decode().splitlines()
    assert (headers["Requires-Python"], headers["Provides-Extra"]) == (">=3.10", "test")
    assert [line.partition(",")[0] for line in listed] == names
    assert read_wheel(original.path, tree="t") == original


def test_metadata_in_other_letters_survives(tmp_path: Path) -> None:
    text = METADATA.replace("Provides-Extra", "Summary: Ünïcode — ok\nProvides-Extra")
    original = read_wheel(wheel(tmp_path, text), tree="t")
    bare = read_wheel(without_requirements(original, empty(tmp_path)), tree="t")
    assert bare.version == Version("1.0+local")


# -- which pins stay ------------------------------------------------------------------

PYTHON = Interpreter(
    path=Path("/env/bin/python"), version="3.11.7", prefix=Path("/env"), base_prefix=Path("/usr"),
    purelib=Path("/env/lib"), platlib=Path("/env/lib"), build="cpython-311", markers={},
)  # fmt: skip


def package(name: str, version: str | None = "1.0", **facts: Any) -> Package:
    return Package(
        name=canonicalize_name(name), version=None if version is None else Version(version), **facts
    )


def kept_of(*packages: Package, asked: str = "", limits: str = "") -> list[str]:
    origin = Origin(file="requirements.txt", line=1, text="")
    requests = [
        Request(requirement=Requirement(text), origin=origin, constraint=constraint)
        for texts, constraint in ((asked, False), (limits, True))
        for text in filter(None, texts.split(" "))
    ]
    wanted = Wanted(interpreter=PYTHON, requests=tuple(requests))
    return [one.name for one in kept(packages, wanted)]


def test_what_nobody_asks_to_move_stays() -> None:
    pins = package("a"), package("b"), package("c", "2.0rc1")
    assert kept_of(*pins) == ["a", "b", "c"]
    assert kept_of(*pins, asked="a>=1 B==1.0 c>1") == ["a", "b", "c"]


@pytest.mark.parametrize("asked", ["a==2.0", "A>1.0", "a>=1,<1", "a a!=1.0"])
def test_what_a_requirement_asks_to_move_is_free(asked: str) -> None:
    assert kept_of(package("a"), package("b"), asked=asked) == ["b"]
    assert kept_of(package("a"), package("b"), limits=asked) == ["b"]


def test_a_pre_release_that_is_there_meets_a_bound() -> None:
    """It is installed now: nobody has to ask for it by name."""
    assert kept_of(package("a", "2.0rc1"), asked="a>=1") == ["a"]


def test_only_releases_of_an_index_can_be_kept() -> None:
    hashes = {"sha256": SHA}
    sources: list[dict[str, Any]] = [
        {"archive": PackageArchive(url="https://example.org/a-1.0.tar.gz", hashes=hashes)},
        {"vcs": PackageVcs(type="git", url="https://example.org/a", commit_id="1" * 40)},
        {"directory": PackageDirectory(path="a")},
    ]
    assert [kept_of(package("a", **one)) for one in sources] == [[], [], []]
    assert kept_of(package("a", None)) == []
    files: list[dict[str, Any]] = [
        {"wheels": [PackageWheel(name="a-1.0-py3-none-any.whl", path="a.whl", hashes=hashes)]},
        {"sdist": PackageSdist(name="a-1.0.tar.gz", path="a.tar.gz", hashes=hashes)},
    ]
    assert [kept_of(package("a", **one)) for one in files] == [["a"], ["a"]]


# -- variables ------------------------------------------------------------------------


def trial_environment(**env: str) -> dict[str, str]:
    return settings.trial_environment(env, order="/t/order.json", temporary="/t/tmp")


def test_a_trial_has_the_users_environment_and_its_own_places() -> None:
    found = trial_environment(PATH="/bin", TOKEN="secret", TMPDIR="/tmp", TEMP="x")
    assert found == {
        "PATH": "/bin",
        "TOKEN": "secret",
        "TMPDIR": "/t/tmp",
        "TEMP": "/t/tmp",
        "TMP": "/t/tmp",
        "NOX_ENVS_TRIAL": "/t/order.json",
        "NOX_SCRIPT_MODE": "none",
        "GIT_OPTIONAL_LOCKS": "0",
    }


@pytest.mark.parametrize(
    "name", ["NOXSESSION", "NOXPYTHON", "NOXEXTRAPYTHON", "NOXFORCEPYTHON", "NOX_PARALLEL"]
)
def test_what_would_choose_another_session_or_python_is_left_out(name: str) -> None:
    assert name not in trial_environment(**{name: "x"})


def test_what_makes_a_script_of_the_noxfile_is_overruled() -> None:
    assert trial_environment(NOX_SCRIPT_MODE="reuse")["NOX_SCRIPT_MODE"] == "none"


def test_the_environment_of_a_campaign_is_not_changed() -> None:
    env = {"NOXSESSION": "x", "TMPDIR": "y"}
    settings.trial_environment(env, order="o", temporary="t")
    assert env == {"NOXSESSION": "x", "TMPDIR": "y"}


def test_the_nox_of_a_trial_knows_what_it_is_for() -> None:
    assert settings.trial_order(trial_environment()) == "/t/order.json"


@pytest.mark.parametrize("env", [{}, {"NOX_ENVS_TRIAL": ""}])
def test_any_other_nox_is_no_trial(env: dict[str, str]) -> None:
    assert settings.trial_order(env) is None


def test_a_campaign_within_a_trial_starts_trials_of_its_own() -> None:
    assert trial_environment(NOX_ENVS_TRIAL="/outer")["NOX_ENVS_TRIAL"] == "/t/order.json"


def test_what_a_trial_starts_is_known_by_its_tag() -> None:
    assert settings.tree_tag({"NOX_ENVS_TREE": "abc"}) == "abc"
    assert settings.tree_tag({}) == ""


def test_the_tests_of_a_trial_do_not_learn_that_they_are_one() -> None:
    env = trial_environment(NOX_ENVS_TREE="abc")
    changes = settings.test_environment(env, pass_env=None, declared={}, env_file={})
    assert changes["NOX_ENVS_TRIAL"] is None


# -- the tree, copied again -----------------------------------------------------------


def test_a_copy_is_copied_with_its_links(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    (first / "sub").mkdir(parents=True)
    (first / "sub" / "run").write_text("x", encoding="utf-8")
    (first / "sub" / "run").chmod(0o755)
    (first / "link").symlink_to("sub/run")
    (first / "folder").symlink_to("sub", target_is_directory=True)
    (first / "broken").symlink_to("nowhere")
    tree.again(first, second)
    assert {path.relative_to(second).as_posix() for path in second.rglob("*")} >= {
        "sub", "sub/run", "link", "folder", "broken",
    }  # fmt: skip
    assert [(second / name).readlink().as_posix() for name in ("link", "folder", "broken")] == [
        "sub/run",
        "sub",
        "nowhere",
    ]
    assert (second / "sub" / "run").stat().st_mode & 0o111
    (second / "sub" / "run").write_text("y", encoding="utf-8")
    assert (first / "sub" / "run").read_text(encoding="utf-8") == "x"


def test_a_copy_may_be_put_where_a_directory_is(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    (tmp_path / "first" / "file").write_text("x", encoding="utf-8")
    tree.again(tmp_path / "first", tmp_path / "second")
    assert (tmp_path / "second" / "file").read_text(encoding="utf-8") == "x"
