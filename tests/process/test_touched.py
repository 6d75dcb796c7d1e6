"""Tests that write into installed files, which uv shares between environments and its cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.upgrading import CELL, THIS, campaign, declare, pin, upgrade

if TYPE_CHECKING:
    from pathlib import Path

    from support.bench import Bench

pytestmark = pytest.mark.process

SPOIL = """
    import a
    before = open(a.__file__).read()
    assert "spoilt" not in before, "spoilt by another"
    with open(a.__file__, "a") as file:
        file.write("# spoilt\\n")
"""


def test_what_a_session_writes_into_shared_files_stays_in_its_environment(uv_bench: Bench) -> None:
    uv_bench.index.wheel("a", "1.0")
    uv_bench.write("check.py", SPOIL)
    uv_bench.write("look.py", "import a; assert 'spoilt' not in open(a.__file__).read()")
    uv_bench.noxfile(
        "@nox_envs.session(dependencies='a', reuse_venv=True)\n"
        "def early(session):\n    session.run('python', 'look.py')\n\n"
        "@nox_envs.session(dependencies='a')\n"
        "def spoil(session):\n    session.run('python', 'check.py')\n\n"
        "@nox_envs.session(dependencies='a')\n"
        "def late(session):\n    session.run('python', 'look.py')\n"
    )
    assert uv_bench.nox("-s", "early").returncode == 0
    ran = uv_bench.nox("-s", "spoil")
    assert ran.returncode == 0
    assert "Written into, and shared with other environments: lib/" in ran.out
    assert "These have to be made anew: early, spoil." in ran.out
    for name in ("late", "early", "spoil"):
        assert uv_bench.nox("-s", name).returncode == 0, name


def test_copies_share_nothing(uv_bench: Bench) -> None:
    uv_bench.index.wheel("a", "1.0")
    uv_bench.write("check.py", SPOIL)
    uv_bench.noxfile(
        "@nox_envs.session(dependencies='a', isolation='copy')\n"
        "def spoil(session):\n    session.run('python', 'check.py')\n"
    )
    for _ in range(2):
        ran = uv_bench.nox("-s", "spoil")
        assert ran.returncode == 0, ran.out
        assert "Written into" not in ran.out


def test_trials_that_share_what_is_written_into_run_again(uv_bench: Bench) -> None:
    uv_bench.index.wheel("tool", "1.0")
    pin(uv_bench, "b")
    uv_bench.write("requirements.txt", "b==1.0\ntool\n")
    declare(uv_bench, SPOIL.replace("import a", "import tool as a, b"))
    found = upgrade(uv_bench, "--jobs", "1")
    assert found.safe == {"b": "2.0"}, found.out
    assert "A run has written into installed files that others shared: lib/" in found.out
    again = upgrade(uv_bench, "--jobs", "2")
    assert again.safe == {"b": "2.0"}, again.out


def test_so_do_those_of_a_matrix(uv_bench: Bench) -> None:
    for version in ("1.0", "2.0"):
        uv_bench.index.wheel("b", version)
    uv_bench.index.wheel("tool", "1.0")
    declare(
        uv_bench,
        SPOIL.replace("import a", "import tool as a, b"),
        options="dependencies='tool', matrix={'b': ['==1.0', '==2.0']}",
    )
    found = campaign(uv_bench, "matrix", "--jobs", "1")
    cells = found.report["cells"]
    assert {one["outcome"] for one in cells.values()} == {"pass"}, found.out
    assert len(cells) == 2
    assert all(name.startswith(f"test-{THIS}") for name in cells), CELL


def test_what_is_in_doubt_is_not_cached(uv_bench: Bench) -> None:
    for version in ("1.0", "2.0"):
        uv_bench.index.wheel("b", version)
    uv_bench.index.wheel("tool", "1.0")
    declare(
        uv_bench,
        SPOIL.replace("import a", "import tool as a, b"),
        options="dependencies='tool', matrix={'b': ['==1.0', '==2.0']}, skip_unchanged=True",
    )
    found = campaign(uv_bench, "matrix", "--jobs", "2")
    assert "A run has written into installed files" in found.out
    assert {one["cached"] for one in found.report["cells"].values()} == {None}, found.out
    assert {one["outcome"] for one in found.report["cells"].values()} == {"pass"}, found.out


def test_the_tree_of_the_second_round_is_that_of_the_first(uv_bench: Bench, tmp_path: Path) -> None:
    """Links in it are not written through, and may lead to files of the tree."""
    uv_bench.index.wheel("tool", "1.0")
    outside = tmp_path / "outside.txt"
    outside.write_text("as it was")
    (uv_bench.project / "away").symlink_to(outside)
    uv_bench.write("here.txt", "")
    (uv_bench.project / "here").symlink_to(uv_bench.project / "here.txt")
    declare(uv_bench, SPOIL.replace("import a", "import tool as a"), options="dependencies='tool'")
    found = campaign(uv_bench, "matrix")
    assert "A run has written into installed files" in found.out
    assert {one["outcome"] for one in found.report["cells"].values()} == {"pass"}, found.out
    assert outside.read_text() == "as it was"


def test_bytecode_that_a_power_cut_has_damaged_is_thrown_away(uv_bench: Bench) -> None:
    uv_bench.index.wheel("tool", "1.0")
    declare(uv_bench, "import tool", options="dependencies='tool'")
    for _ in range(2):
        assert campaign(uv_bench, "matrix").ran.returncode == 0
    store = uv_bench.project / ".nox" / ".cache" / "nox-envs" / "bytecode-v1"
    damaged = [path for path in store.rglob("*.pyc") if path.stat().st_size]
    for path in damaged:
        body = path.read_bytes()
        path.unlink()
        path.write_bytes(body[:16] + bytes(len(body) - 16))
    assert damaged
    found = campaign(uv_bench, "matrix")
    assert {one["outcome"] for one in found.report["cells"].values()} == {"pass"}, found.out
