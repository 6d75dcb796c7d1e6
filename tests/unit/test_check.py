"""Is what is installed what the lock says? Read from files alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name
from packaging.version import Version

from nox_envs.install.check import Installed, differences, installed, missing_files
from nox_envs.interpreter import Interpreter


@pytest.fixture
def env(tmp_path: Path) -> Interpreter:
    """An environment of files alone: there is nothing in it that could be asked."""
    pure, plat = tmp_path / "pure", tmp_path / "plat"
    pure.mkdir()
    plat.mkdir()
    return Interpreter(
        path=tmp_path / "python", version="3.11.7", prefix=tmp_path, base_prefix=tmp_path,
        purelib=pure, platlib=plat, build="", markers={},
    )  # fmt: skip


def metadata(directory: Path, name: str, version: str, *, file: str = "METADATA") -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / file).write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nVersion: 9 of the text\n",
        encoding="utf-8",
    )
    return directory


def found(env: Interpreter) -> list[tuple[str, str]]:
    return [(one.name, one.version) for one in installed(env)]


# -- what is installed ----------------------------------------------------------------


def test_dist_info_and_both_forms_of_egg_info(env: Interpreter) -> None:
    metadata(env.purelib / "Foo_Bar-1.0.dist-info", "Foo.Bar", "1.0")
    metadata(env.platlib / "egg-2.0-py3.11.egg-info", "egg", "2.0", file="PKG-INFO")
    (env.purelib / "old-3.0-py3.11.egg-info").write_text("Name: old\nVersion: 3.0\n")
    assert found(env) == [("egg", "2.0"), ("foo-bar", "1.0"), ("old", "3.0")]


def test_the_metadata_decides_and_not_the_name_of_the_directory(env: Interpreter) -> None:
    path = metadata(env.purelib / "aaa-1.dist-info", "zzz", "2!1.0+local")
    assert installed(env) == (
        Installed(name=canonicalize_name("zzz"), version="2!1.0+local", metadata=path),
    )


def test_what_is_there_twice_is_found_twice(env: Interpreter) -> None:
    metadata(env.purelib / "six-1.16.0.dist-info", "six", "1.16.0")
    metadata(env.purelib / "six-1.15.0.dist-info", "six", "1.15.0")
    metadata(env.platlib / "six-1.16.0.dist-info", "six", "1.16.0")
    assert found(env) == [("six", "1.15.0"), ("six", "1.16.0"), ("six", "1.16.0")]


def test_one_directory_of_two_names_is_read_once(env: Interpreter, tmp_path: Path) -> None:
    """`lib64` is a link to `lib` in the environments of Fedora and its like."""
    env.platlib.rmdir()
    env.platlib.symlink_to(env.purelib, target_is_directory=True)
    metadata(env.purelib / "six-1.16.0.dist-info", "six", "1.16.0")
    assert found(env) == [("six", "1.16.0")]


@pytest.mark.parametrize("name", ["six-1.16.0.dist-info", "six-1.16.0.egg-info"])
def test_without_metadata_no_version_is_believed(env: Interpreter, name: str) -> None:
    (env.purelib / name).mkdir()
    assert found(env) == [("six", "without metadata")]
    assert differences({canonicalize_name("six"): Version("1.16.0")}, installed(env)) == (
        "six is without metadata, asked for 1.16.0",
    )


def test_metadata_that_is_no_text_is_no_crash(env: Interpreter) -> None:
    directory = metadata(env.purelib / "six-1.16.0.dist-info", "six", "1")
    (directory / "METADATA").write_bytes(b"\xff\xfe\0\0" * 9)
    assert found(env) == [("six", "1.16.0")]


def test_modules_and_other_files_are_no_distributions(env: Interpreter) -> None:
    (env.purelib / "six.py").touch()
    (env.purelib / "_demo.pth").touch()
    (env.purelib / "pkg").mkdir()
    assert found(env) == []


def test_an_environment_without_site_packages_is_empty(env: Interpreter) -> None:
    env.purelib.rmdir()
    assert found(env) == []


# -- differences ----------------------------------------------------------------------


def there(*pairs: str) -> list[Installed]:
    return [
        Installed(name=canonicalize_name(name), version=version, metadata=Path(pair))
        for pair in pairs
        for name, _, version in [pair.partition("==")]
    ]


def pins(*pairs: str) -> dict[str, Version | None]:
    split = [pair.partition("==") for pair in pairs]
    return {name: Version(version) if version else None for name, _, version in split}


@pytest.mark.parametrize(
    ("wanted", "got", "lines"),
    [
        ("", "", []),
        ("six==1", "six==1", []),
        ("six==1", "six==1.0.0", []),
        ("six==1", "", ["six 1 is missing"]),
        ("six", "", ["six is missing"]),
        ("six", "six==7", []),
        ("six==1", "six==2", ["six is 2, asked for 1"]),
        ("six==1", "six==1+cpu", ["six is 1+cpu, asked for 1"]),
        ("six==1+cpu", "six==1+cpu", []),
        ("six==1", "six==broken", ["six is broken, asked for 1"]),
        ("six==1", "six==1 six==1", ["six is installed 2 times: 1, 1"]),
        ("six==1", "six==1 pip==20", []),
        ("pip==21", "pip==20", ["pip is 20, asked for 21"]),
        ("", "six==1", ["six 1 was not asked for"]),
        ("b==1 a==1", "d==1 c==1", [
            "a 1 is missing", "b 1 is missing", "c 1 was not asked for", "d 1 was not asked for",
        ]),
    ],
)  # fmt: skip
def test_differences(wanted: str, got: str, lines: list[str]) -> None:
    known = {canonicalize_name(name): one for name, one in pins(*wanted.split()).items()}
    assert list(differences(known, there(*got.split()), tolerated={"pip"})) == lines


STATES = st.dictionaries(st.sampled_from("abcde"), st.sampled_from(["1.0", "2.0"]))


@given(wanted=STATES, got=STATES)
def test_each_name_that_differs_is_told_once(wanted: dict[str, str], got: dict[str, str]) -> None:
    known = {canonicalize_name(name): Version(version) for name, version in wanted.items()}
    lines = differences(known, there(*(f"{n}=={v}" for n, v in got.items())))
    differing = {name for name in {*wanted, *got} if wanted.get(name) != got.get(name)}
    assert sorted(line[0] for line in lines) == sorted(differing)


# -- files ----------------------------------------------------------------------------


def recorded(env: Interpreter, *rows: str) -> list[Installed]:
    directory = metadata(env.purelib / "six-1.0.dist-info", "six", "1.0")
    text = "".join(f"{row},sha256=x,1\n" for row in rows)
    (directory / "RECORD").write_text(text, encoding="utf-8")
    return list(installed(env))


def test_every_recorded_file_has_to_be_there(env: Interpreter) -> None:
    one = recorded(
        env, "six.py", '"a,b.py"', "pkg/data.txt", "../bin/six", "six-1.0.dist-info/METADATA"
    )
    (env.purelib / "six.py").touch()
    assert missing_files(one) == ("six 1.0 lacks a,b.py and 2 more",)
    (env.purelib / "a,b.py").touch()
    (env.purelib / "pkg").mkdir()
    (env.purelib / "pkg" / "data.txt").symlink_to("nowhere")
    assert missing_files(one) == ("six 1.0 lacks ../bin/six",)
    (env.purelib.parent / "bin").mkdir()
    (env.purelib.parent / "bin" / "six").touch()
    assert missing_files(one) == ()


def test_bytecode_may_be_gone(env: Interpreter) -> None:
    assert missing_files(recorded(env, "__pycache__/six.cpython-311.pyc", "old.pyc")) == ()


def test_what_has_no_record_lacks_nothing(env: Interpreter) -> None:
    metadata(env.purelib / "six-1.0.dist-info", "six", "1.0")
    (env.purelib / "old-3.0.egg-info").write_text("Name: old\nVersion: 3.0\n")
    assert missing_files(installed(env)) == ()


def test_an_empty_record_and_empty_lines(env: Interpreter) -> None:
    one = recorded(env)
    (one[0].metadata / "RECORD").write_text("\n\nsix-1.0.dist-info/METADATA,,\n")
    assert missing_files(one) == ()


@pytest.mark.parametrize("garbage", [b"\xff\xfe.py,,\n", b"\0" * 64])
def test_a_damaged_record_is_told(env: Interpreter, garbage: bytes) -> None:
    one = recorded(env)
    (one[0].metadata / "RECORD").write_bytes(garbage)
    (told,) = missing_files(one)
    assert told.startswith(("six 1.0 lacks ", "six 1.0 has a damaged RECORD: "))
