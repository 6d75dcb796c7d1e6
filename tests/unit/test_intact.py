"""What was written into shared files, told from what is an environment's own business."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nox_envs import _process
from nox_envs.install import intact
from nox_envs.install.intact import Kind
from nox_envs.install.via_uv import UvInstaller
from nox_envs.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HASH = "sha256=7XACtDnprIRfIjV9giusFERzD722AW0-yUMil7nsn3M"  # Of "content".
LATER = (2_000_000_000, 2_000_000_000)


@pytest.fixture
def env(tmp_path: Path) -> Interpreter:
    """An environment that shares three files of six with a cache."""
    prefix = tmp_path / "env"
    site = prefix / "lib" / "site-packages"
    info = site / "six-1.0.dist-info"
    for directory in (tmp_path / "cache", prefix / "bin", site / "__pycache__", info):
        directory.mkdir(parents=True)
    rows = f"six.py,{HASH},7\nown.py,{HASH},7\n../../bin/six,{HASH},7\n"
    (info / "RECORD").write_text(rows)
    (info / "METADATA").write_text("Name: six\nVersion: 1.0\n")
    (site / "own.py").write_text("content")
    shared = (site / "six.py", prefix / "bin" / "six", site / "__pycache__" / "six.pyc")
    for number, path in enumerate(shared):
        path.write_text("content")
        os.link(path, tmp_path / "cache" / str(number))
    return Interpreter(
        path=prefix / "bin" / "python", version="3.11.7", prefix=prefix, base_prefix=tmp_path,
        purelib=site, platlib=site, build="", markers={},
    )  # fmt: skip


def rewrite(path: Path) -> None:
    """Write into a file, with as many bytes as before and another time."""
    path.write_text("CONTENT")
    os.utime(path, LATER)


def restore(path: Path) -> None:
    rewrite(path)
    path.write_text("content")
    os.utime(path, LATER)


def replace_it(path: Path) -> None:
    other = path.with_name("other")
    other.write_text("other")
    other.replace(path)


def link_again(path: Path) -> None:
    os.link(path, path.with_name("again"))


def seen(env: Interpreter, name: str, change: Callable[[Path], object]) -> list[tuple[str, Kind]]:
    before = intact.snapshot(env)
    change(env.prefix / name)
    return [(one.distribution or "", one.kind) for one in intact.changed(before)]


SIX, SCRIPT, CODE = (
    "lib/site-packages/six.py", "bin/six", "lib/site-packages/__pycache__/six.pyc",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        (SIX, rewrite, [("six", Kind.CONTENT)]),
        (SIX, restore, [("six", Kind.TOUCHED)]),
        (SIX, lambda path: path.chmod(0o600), [("six", Kind.MODE)]),
        (SIX, replace_it, []),
        (SIX, Path.unlink, []),
        (SIX, link_again, []),
        (SCRIPT, rewrite, [("six", Kind.CONTENT)]),
        (CODE, rewrite, [("", Kind.CONTENT)]),
        (CODE, restore, [("", Kind.CONTENT)]),
        (CODE, lambda path: path.chmod(0o600), [("", Kind.MODE)]),
        ("lib/site-packages/own.py", rewrite, []),
        ("lib/site-packages/new.py", lambda path: path.write_text("new"), []),
    ],
)
def test_changes(
    env: Interpreter,
    name: str,
    change: Callable[[Path], object],
    expected: list[tuple[str, Kind]],
) -> None:
    assert seen(env, name, change) == expected


def test_nothing_was_done(env: Interpreter) -> None:
    assert intact.changed(intact.snapshot(env)) == ()


def test_an_environment_that_is_gone_shares_nothing(env: Interpreter) -> None:
    before = intact.snapshot(env)
    env.prefix.rename(env.prefix.with_name("elsewhere"))
    assert intact.changed(before) == ()
    assert intact.snapshot(env).files == {}


def test_the_name_of_a_file_is_no_pattern(env: Interpreter, tmp_path: Path) -> None:
    name = "lib/python3.11/site-packages/[id].js"
    other = tmp_path / "other" / name.replace("3.11", "3.12")
    for path in (env.prefix / name, other):
        path.parent.mkdir(parents=True, exist_ok=True)
    other.write_text("content")
    changed = intact.Change(
        path=env.prefix / name,
        distribution=None,
        kind=Kind.CONTENT,
        inode=other.stat().st_ino,
    )
    assert intact.has(tmp_path / "other", [changed], like=env.prefix)


def test_only_what_stays_is_to_be_healed() -> None:
    lasting = {
        kind: intact.Change(path=Path("x"), distribution=None, kind=kind, inode=1).lasts
        for kind in Kind
    }
    assert lasting == {Kind.CONTENT: True, Kind.MODE: True, Kind.TOUCHED: False}


def test_digests_find_who_restores_the_time(env: Interpreter) -> None:
    assert intact.verify(env) == ()
    (path, own) = (env.purelib / "six.py", env.purelib / "own.py")
    for one in (path, own):
        was = one.stat()
        one.write_text("CONTENT")
        os.utime(one, ns=(was.st_atime_ns, was.st_mtime_ns))
    found = intact.verify(env)
    assert [(one.path.name, one.distribution, one.kind) for one in found] == [
        ("own.py", "six", Kind.CONTENT),
        ("six.py", "six", Kind.CONTENT),
    ]


def test_what_is_missing_is_for_the_check(env: Interpreter) -> None:
    (env.purelib / "own.py").unlink()
    assert intact.verify(env) == ()


# -- healing --------------------------------------------------------------------------


def heal(env: Interpreter, store: Path, name: str, change: Callable[[Path], object]) -> bool:
    before = intact.snapshot(env)
    change(env.prefix / name)
    found = intact.changed(before)
    return intact.heal(found, store=store, installer=None, scratch=store)


def test_bytecode_of_ours_is_thrown_away(env: Interpreter, tmp_path: Path) -> None:
    kept = tmp_path / "store" / "00" / "kept.pyc"
    kept.parent.mkdir(parents=True)
    os.link(env.prefix / CODE, kept)
    assert heal(env, tmp_path / "store", CODE, restore)
    assert not kept.exists()
    assert heal(env, tmp_path / "store", CODE, rewrite), "somebody else has thrown it away"


def test_what_is_as_it_was_needs_no_healing(env: Interpreter, tmp_path: Path) -> None:
    assert heal(env, tmp_path, SIX, restore)


def test_a_file_of_a_cache_that_nobody_can_clean(env: Interpreter, tmp_path: Path) -> None:
    assert not heal(env, tmp_path, SIX, rewrite)


def test_a_file_that_is_of_no_distribution(env: Interpreter, tmp_path: Path) -> None:
    os.link(env.purelib / "own.py", env.purelib / "data.txt")
    assert not heal(env, tmp_path, "lib/site-packages/data.txt", rewrite)


@pytest.mark.parametrize(("code", "healed"), [(0, True), (2, False)])
def test_uv_is_told_to_forget_what_was_changed(
    env: Interpreter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, *, healed: bool
) -> None:
    told: list[tuple[list[str], str]] = []

    def run(words: list[object], *, env: Mapping[str, str], cwd: Path) -> _process.Completed:
        told.append(([str(word) for word in words], env["UV_LOCK_TIMEOUT"]))
        return _process.Completed(command=(), returncode=code, stdout="", stderr="")

    monkeypatch.setattr(_process, "run", run)
    before = intact.snapshot(env)
    rewrite(env.prefix / SIX)
    rewrite(env.prefix / SCRIPT)
    uv = UvInstaller(uv=Path("uv"), env={"UV_LOCK_TIMEOUT": "7"})
    found = intact.changed(before)
    assert intact.heal(found, store=tmp_path, installer=uv, scratch=tmp_path) == healed
    uv = replace(uv, env={})
    assert intact.heal(found, store=tmp_path, installer=uv, scratch=tmp_path) == healed
    words = ["uv", "cache", "clean", "--quiet", "six"]
    assert told == [(words, "7"), (words, "60")]
