"""Bytecode that is kept: what is remembered, what is linked, what is thrown away."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import pytest

from nox_envs import _process
from nox_envs.install import bytecode, loaded, record
from nox_envs.interpreter import Interpreter

if TYPE_CHECKING:
    from pathlib import Path

TODAY = date(2026, 11, 21)
MARKERS = {"implementation_name": "cpython", "python_version": "3.11"}


@pytest.fixture
def env(tmp_path: Path) -> Interpreter:
    """An environment of files alone."""
    site = tmp_path / "env" / "site-packages"
    site.mkdir(parents=True)
    return Interpreter(
        path=tmp_path / "env" / "python", version="3.11.7", prefix=tmp_path / "env",
        base_prefix=tmp_path, purelib=site, platlib=site, build="cpython-311", markers=MARKERS,
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Compiles nothing, and notes what it was asked for."""
    asked: list[str] = []

    def run(*_words: object, stdin: str, **_options: object) -> _process.Completed:
        asked.extend(name for _, _, name in json.loads(stdin))
        return _process.Completed(command=(), returncode=0, stdout="", stderr="")

    monkeypatch.setattr(_process, "run", run)
    return asked


def digest(text: str) -> str:
    raw = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def install(env: Interpreter, files: dict[str, str], name: str = "six") -> None:
    """A distribution with these files."""
    info = env.purelib / f"{name}-1.0.dist-info"
    info.mkdir()
    for path, text in files.items():
        (env.purelib / path).parent.mkdir(parents=True, exist_ok=True)
        (env.purelib / path).write_text(text)
    rows = [f'"{path}",{digest(text)},1\n' if "," in path else f"{path},{digest(text)},1\n"
            for path, text in files.items()]  # fmt: skip
    (info / "RECORD").write_text("".join(rows))


def keep(env: Interpreter, store: Path, text: str, content: bytes = b"bytecode") -> Path:
    """Have the store hold bytecode for a source."""
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    facts = f"cpython\0{env.version}\0{env.build}".encode()
    path = store / sha256[:2] / f"{sha256}-{hashlib.sha256(facts).hexdigest()[:16]}.pyc"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def pyc(env: Interpreter, name: str) -> Path:
    source = env.purelib / name
    return source.parent / "__pycache__" / f"{source.stem}.cpython-311.pyc"


# -- RECORD ---------------------------------------------------------------------------


def test_rows_with_and_without_quotes(env: Interpreter) -> None:
    install(env, {"a.py": "1"})
    install(env, {"a,b.py": "2", "c.py": "3"}, "seven")
    plain = record.rows(env.purelib / "six-1.0.dist-info")
    assert plain == [("a.py", digest("1"))]
    quoted = record.rows(env.purelib / "seven-1.0.dist-info")
    assert quoted == [("a,b.py", digest("2")), ("c.py", digest("3"))]


def test_digests_as_everybody_else_writes_them() -> None:
    assert record.sha256(digest("1")) == hashlib.sha256(b"1").hexdigest()
    assert [record.sha256(text) for text in ("", "md5=abc", "sha256=a")] == ["", "", ""]


# -- what is loaded -------------------------------------------------------------------


def compiled(env: Interpreter, *names: str) -> None:
    for name in names:
        path = env.purelib / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_bytecode_tells_what_was_loaded(env: Interpreter) -> None:
    compiled(
        env,
        "__pycache__/six.cpython-311.pyc",
        "a/b/__pycache__/__init__.cpython-311.pyc",
        "a/b/__pycache__/c.cpython-311.opt-1.pyc",
        "a/b/__pycache__/d.cpython-311-pytest-9.0.pyc",
        "a/b/__pycache__/e.cpython-312.pyc",
        "a/never.py",
        "x-1.0.dist-info/__pycache__/f.cpython-311.pyc",
    )
    assert loaded.loaded(env) == {"six.py", "a/b/__init__.py"}


def test_a_list_grows_with_each_cell_and_is_of_one_session(env: Interpreter, store: Path) -> None:
    compiled(env, "__pycache__/a.cpython-311.pyc")
    loaded.note(store, env, session="test")
    pyc(env, "a.py").unlink()
    compiled(env, "__pycache__/b.cpython-311.pyc")
    loaded.note(store, env, session="test")
    assert loaded.names(store, "test") == {"a.py", "b.py"}
    assert loaded.names(store, "docs") == set()


def test_what_pip_loads_of_itself_is_apart(env: Interpreter, store: Path) -> None:
    compiled(env, "pip/__pycache__/x.cpython-311.pyc", "__pycache__/a.cpython-311.pyc")
    loaded.note(store, env, session="pip")
    assert loaded.names(store, loaded.PIP) == {"pip/x.py"}
    assert loaded.names(store, "pip") == {"a.py"}


def test_what_is_not_seen_for_a_month_is_forgotten(env: Interpreter, store: Path) -> None:
    compiled(env, "__pycache__/a.cpython-311.pyc", "__pycache__/b.cpython-311.pyc")
    loaded.note(store, env, session="test", today=date(2026, 10, 20))
    pyc(env, "a.py").unlink()
    loaded.note(store, env, session="test", today=date(2026, 11, 19))
    assert loaded.names(store, "test") == {"a.py", "b.py"}
    compiled(env, "__pycache__/c.cpython-311.pyc")
    loaded.note(store, env, session="test", today=TODAY)
    assert loaded.names(store, "test") == {"b.py", "c.py"}


def test_the_newest_stay_in_a_list_that_is_full(
    env: Interpreter, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaded, "_MOST", 2)
    for day, name in ((1, "a"), (2, "b"), (3, "c")):
        compiled(env, f"__pycache__/{name}.cpython-311.pyc")
        loaded.note(store, env, session="test", today=date(2026, 11, day))
        pyc(env, f"{name}.py").unlink()
    assert loaded.names(store, "test") == {"b.py", "c.py"}


@pytest.mark.parametrize("text", ["", "[]", '{"2026-11-21": 3}', '{"2026-11-21": null}', "\0"])
def test_a_damaged_list_is_none(env: Interpreter, store: Path, text: str) -> None:
    compiled(env, "__pycache__/a.cpython-311.pyc")
    loaded.note(store, env, session="test")
    (file,) = (one for one in (store / "lists").iterdir() if "a.py" in one.read_text())
    file.write_text(text)
    assert loaded.names(store, "test") == set()
    loaded.note(store, env, session="test")
    assert loaded.names(store, "test") == {"a.py"}


# -- warming --------------------------------------------------------------------------


def warm(env: Interpreter, store: Path, *names: str, links: bool = True) -> int:
    return bytecode.warm(store, env, names, env={}, links=links)


def test_what_is_kept_is_linked_to_its_place(
    env: Interpreter, store: Path, compiler: list[str]
) -> None:
    install(env, {"six.py": "6", "a/b.py": "b", "a/not_listed.py": "n"})
    kept = [keep(env, store, text) for text in "6bn"]
    assert warm(env, store, "six.py", "a/b.py", "gone.py") == 2
    assert pyc(env, "six.py").samefile(kept[0])
    assert pyc(env, "a/b.py").samefile(kept[1])
    assert not pyc(env, "a/not_listed.py").exists()
    assert compiler == []


def test_nothing_is_shared_where_it_must_not_be(
    env: Interpreter, store: Path, compiler: list[str]
) -> None:
    install(env, {"six.py": "6"})
    kept = keep(env, store, "6")
    assert warm(env, store, "six.py", links=False) == 1
    assert pyc(env, "six.py").read_bytes() == kept.read_bytes()
    assert kept.stat().st_nlink == 1


def test_a_copy_where_links_are_refused(
    env: Interpreter, store: Path, compiler: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_words: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refused)
    install(env, {"six.py": "6"})
    keep(env, store, "6")
    assert warm(env, store, "six.py") == 1
    assert pyc(env, "six.py").read_bytes() == b"bytecode"


@pytest.mark.parametrize("links", [True, False])
def test_what_is_there_stays(
    env: Interpreter, store: Path, compiler: list[str], *, links: bool
) -> None:
    install(env, {"six.py": "6"})
    keep(env, store, "6")
    compiled(env, "__pycache__/six.cpython-311.pyc")
    assert warm(env, store, "six.py", links=links) == 0
    assert pyc(env, "six.py").read_bytes() == b""


def test_only_what_a_record_vouches_for(env: Interpreter, store: Path, compiler: list[str]) -> None:
    install(env, {"six.py": "6"})
    (env.purelib / "own.py").write_text("own")
    (env.purelib / "six-1.0.dist-info" / "RECORD").write_text("six.py,,\nsix-1.0/METADATA,,\n")
    keep(env, store, "own")
    assert warm(env, store, "six.py", "own.py") == 0
    assert compiler == []


def test_a_file_that_two_distributions_describe(
    env: Interpreter, store: Path, compiler: list[str]
) -> None:
    install(env, {"same.py": "s", "other.py": "1"}, "one")
    install(env, {"same.py": "s", "other.py": "2"}, "two")
    install(env, {"other.py": "2"}, "three")
    for text in "s12":
        keep(env, store, text)
    assert warm(env, store, "same.py", "other.py") == 1
    assert pyc(env, "same.py").exists()


def test_what_is_missing_is_compiled_once(
    env: Interpreter, store: Path, compiler: list[str]
) -> None:
    install(env, {"a.py": "same", "b.py": "same", "six.py": "6"})
    keep(env, store, "6")
    assert warm(env, store, "a.py", "b.py", "six.py") == 1
    assert len(compiler) == 1


def test_what_does_not_compile_is_not_tried_again(
    env: Interpreter, store: Path, compiler: list[str]
) -> None:
    install(env, {"six.py": "6"})
    keep(env, store, "6", b"")
    assert warm(env, store, "six.py") == 0
    assert not pyc(env, "six.py").exists()
    assert compiler == []


@pytest.mark.parametrize(
    "changes",
    [
        {"markers": {**MARKERS, "implementation_name": "pypy"}},
        {"markers": {**MARKERS, "python_version": "3.6"}},
        {"version": "3.11.0a7+"},
    ],
)
def test_interpreters_that_are_left_alone(
    env: Interpreter, store: Path, compiler: list[str], changes: dict[str, object]
) -> None:
    install(env, {"six.py": "6"})
    assert warm(replace(env, **changes), store, "six.py") == 0  # type: ignore[arg-type]
    assert compiler == []


@pytest.mark.parametrize("changes", [{"version": "3.11.8"}, {"build": "cpython-311t"}])
def test_another_interpreter_has_bytecode_of_its_own(
    env: Interpreter, store: Path, compiler: list[str], changes: dict[str, str]
) -> None:
    install(env, {"six.py": "6"})
    keep(env, store, "6")
    assert warm(replace(env, **changes), store, "six.py") == 0  # type: ignore[arg-type]
    assert compiler == ["six.py"]


def test_a_store_that_cannot_be_had_is_no_failure(
    env: Interpreter, store: Path, compiler: list[str]
) -> None:
    install(env, {"six.py": "6"})
    store.write_text("a file")
    assert warm(env, store, "six.py") == 0
    loaded.note(store, env, session="test")


def test_half_a_copy_does_not_stay(
    env: Interpreter, store: Path, compiler: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_source: str, target: str) -> None:
        with open(target, "wb") as stream:  # noqa: PTH123
            stream.write(b"byte")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    install(env, {"six.py": "6"})
    keep(env, store, "6")
    assert warm(env, store, "six.py", links=False) == 0
    assert not pyc(env, "six.py").exists()


# -- the store ------------------------------------------------------------------------


def test_what_was_written_into_is_thrown_away(env: Interpreter, store: Path) -> None:
    bad, good = keep(env, store, "bad"), keep(env, store, "good")
    bytecode.forget(store, {bad.stat().st_ino})
    assert (bad.exists(), good.exists()) == (False, True)
    bytecode.forget(store / "gone", {good.stat().st_ino})


def test_a_shelf_keeps_what_was_used_last(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bytecode, "_MOST_OF_A_SHELF", 2)
    store.mkdir()
    for number, name in enumerate("abc"):
        (store / name).write_bytes(b"x")
        os.utime(store / name, ns=(2**62 + number, 0))
    os.utime(store / "a", ns=(2**62 + 9, 0))
    bytecode._trim(str(store))
    assert sorted(path.name for path in store.iterdir()) == ["a", "c"]
    monkeypatch.setattr(bytecode, "_MOST_OF_A_SHELF", 0)
    bytecode._trim(str(store))
    assert sorted(path.name for path in store.iterdir()) == ["a"]
