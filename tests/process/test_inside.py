"""The commands that look inside real environments, and the one that removes them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from nox_envs import discover, settings
from nox_envs.install import check, stamp
from support.wheels import write_project

if TYPE_CHECKING:
    from pathlib import Path

    from support.bench import Bench

pytestmark = pytest.mark.process

THIS = f"{sys.version_info.major}.{sys.version_info.minor}"
NOXFILE = """
    print("a noxfile may print")

    @nox_envs.session(python="{python}", dependencies=["beta{beta}"], matrix={{"alpha": {alpha}}})
    def test(session):
        session.install("gamma")

    @nox_envs.session
    def never(session):
        pass

    @nox.session(python=False)
    def plain(session):
        pass
"""


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        return dict(json.loads(self.out))


def ask(bench: Bench, *words: str, cwd: Path | None = None, **variables: str) -> Said:
    done = subprocess.run(
        [sys.executable, "-m", "nox_envs", *words],
        cwd=cwd or bench.project,
        env={**bench.variables, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=180,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def declare(bench: Bench, alpha: str = '["1.0", "1.1"]', beta: str = "==2.0") -> None:
    bench.noxfile(NOXFILE.format(python=THIS, alpha=alpha, beta=beta))


@pytest.fixture
def made(uv_bench: Bench) -> Bench:
    """Two cells whose environments are made."""
    declare(uv_bench)
    ran = uv_bench.nox("-s", "test")
    assert ran.returncode == 0, ran.out
    return uv_bench


def environments(bench: Bench) -> list[str]:
    return sorted(one.name for one in (bench.project / ".nox").iterdir() if one.name[0] not in ".C")


def contents(directory: Path) -> dict[Path, tuple[int, int]]:
    """Every file and directory, with what changes when it is written to."""
    stats = {path: path.lstat() for path in directory.rglob("*")}
    return {path: (one.st_mtime_ns, one.st_size) for path, one in stats.items()}


def states(bench: Bench) -> dict[str, tuple[str, str]]:
    said = ask(bench, "show", "--json")
    assert said.code == 0, said.err
    return {one["name"]: (one["state"], one["reason"]) for one in said.data["cells"]}


FIRST, SECOND = "test(alpha='1.0')", "test(alpha='1.1')"


def test_what_became_of_the_environments(made: Bench) -> None:
    assert states(made) == {FIRST: ("made", ""), SECOND: ("made", ""), "never": ("not made", "")}
    stamp.remove(made.project / ".nox" / "test-alpha-1-0")
    by_hand = made.project / ".nox" / "test-alpha-1-1"
    python = discover.inspect(by_hand / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    wheel = next(one for one in check.installed(python) if one.name == "beta")
    (wheel.metadata / "METADATA").unlink()
    found = states(made)
    assert found[FIRST] == ("incomplete", "it has no stamp")
    assert found[SECOND] == ("stale", "beta is without metadata, asked for 2.0")


def test_what_is_declared_moves_on(made: Bench) -> None:
    declare(made, alpha='["1.1", "2.0", "3.0b1"]', beta=">=2.0")
    said = ask(made, "show", "--json")
    found = {one["name"]: (one["state"], one["reason"]) for one in said.data["cells"]}
    assert found[SECOND] == ("stale", "what is declared has changed")
    assert found["test(alpha='2.0')"] == ("not made", "")
    assert [one["cell"] for one in said.data["orphans"]] == [FIRST]


def test_to_look_changes_nothing(made: Bench) -> None:
    shutil.rmtree(made.project / ".nox" / ".cache" / "nox-envs" / "interpreters-v1")
    before = contents(made.project)
    for words in (["show"], ["show", FIRST], ["diff", FIRST, SECOND], ["doctor"],
                  ["export", FIRST], ["clean", "--all", "--caches", "--dry-run"]):  # fmt: skip
        said = ask(made, *words)
        assert said.code == 0, said.err
        assert "a noxfile may print" not in said.out
    assert contents(made.project) == before


def test_what_a_cell_holds(made: Bench) -> None:
    made.index.yank("beta", "2.0", "wrong file")
    made.index.wheel("beta", "2.1")
    made.index.wheel("beta", "3.0")
    made.index.yank("beta", "3.0")
    found = ask(made, "show", FIRST, "--json").data
    assert found["cell"]["version"].startswith(THIS)
    held = {one["name"]: one for one in found["contents"]}
    assert {name: one["role"] for name, one in held.items()} == {
        "alpha": "declared", "beta": "declared", "gamma": "undeclared",
    }  # fmt: skip
    assert held["alpha"]["required_by"] == ["beta"]
    assert (held["alpha"]["latest"], held["alpha"]["outdated"]) == ("2.0", True)
    assert (held["beta"]["latest"], held["beta"]["yank_reason"]) == ("2.1", "wrong file")
    assert held["gamma"]["outdated"] is False


def test_what_is_too_young_is_not_offered(uv_bench: Bench) -> None:
    for version in ("1.0", "1.1", "2.0"):
        uv_bench.index.upload_time("alpha", version, "2024-01-01T00:00:00Z")
    uv_bench.index.wheel("alpha", "4.0")
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    uv_bench.index.upload_time("alpha", "4.0", now)
    uv_bench.noxfile(
        """
        @nox_envs.session(dependencies=["alpha<2"], cooldown="7 days")
        def test(session): pass
        """
    )
    assert uv_bench.nox("-s", "test").returncode == 0
    (alpha,) = ask(uv_bench, "show", "test", "--json").data["contents"]
    assert (alpha["version"], alpha["latest"]) == ("1.1", "2.0")


def test_what_comes_from_elsewhere_is_not_asked_for(uv_bench: Bench) -> None:
    wheel = next(uv_bench.index.files.glob("alpha-1.0-*.whl"))
    url = f"{uv_bench.index.url.removesuffix('simple/')}files/{wheel.name}"
    uv_bench.noxfile(
        f"""
        @nox_envs.session(dependencies=["alpha @ {url}"])
        def test(session): pass
        """
    )
    ran = uv_bench.nox("-s", "test")
    assert ran.returncode == 0, ran.out
    before = uv_bench.index.hits("/simple/alpha/")
    (alpha,) = ask(uv_bench, "show", "test", "--json").data["contents"]
    assert (alpha["role"], alpha["outdated"]) == ("declared", None)
    assert uv_bench.index.hits("/simple/alpha/") == before


def test_an_index_that_is_down_is_unknown(made: Bench) -> None:
    made.index.fail(None, "500")
    said = ask(made, "show", FIRST)
    assert said.code == 0
    assert "Newer releases are not known: the index cannot be reached (HTTP 500" in said.out
    assert (
        ask(made, "show", FIRST, "--offline", "--json").data["index"] == "the index was not asked"
    )


def test_the_project_and_what_it_needs(uv_bench: Bench) -> None:
    write_project(uv_bench.project, "demo", "1.0", requires=["beta"])
    uv_bench.noxfile("@nox_envs.session\ndef test(session): pass\n")
    assert uv_bench.nox("-s", "test").returncode == 0
    held = {
        one["name"]: one["role"] for one in ask(uv_bench, "show", "test", "--json").data["contents"]
    }
    assert held == {"alpha": "transitive", "beta": "declared", "demo": "project"}
    pyproject = uv_bench.project / "pyproject.toml"
    pyproject.write_text(f"{pyproject.read_text()}\n# edited\n")
    assert states(uv_bench)["test"] == ("stale", "this project has changed")
    dockerfile = ask(uv_bench, "export", "test", "--format", "dockerfile")
    assert "stale" in dockerfile.err
    assert "--no-deps ./." in dockerfile.out


def test_what_differs(made: Bench) -> None:
    found = ask(made, "diff", FIRST, SECOND, "--json").data
    assert found["changed"] == [{"name": "alpha", "from": "1.0", "to": "1.1"}]
    assert (found["added"], found["removed"], found["same"]) == ([], [], 2)
    made.write("freeze.txt", "# of last week\nalpha==1.0\nbeta==2.0 --hash=sha256:00\nother==3\n")
    lock = ".nox/test-alpha-1-0/pylock.toml"
    said = ask(made, "diff", lock, "freeze.txt", "--exit-code")
    assert said.code == 1
    assert "1 added, 2 packages the same." in said.out
    assert ask(made, "diff", lock, lock, "--exit-code").code == 0


def test_what_was_installed_by_hand_differs(made: Bench) -> None:
    lock = ".nox/test-alpha-1-0/pylock.toml"
    site = next((made.project / ".nox/test-alpha-1-0").glob("[Ll]ib/**/site-packages"))
    (site / "six-1.17.dist-info").mkdir()
    (site / "six-1.17.dist-info" / "METADATA").write_text("Name: six\nVersion: 1.17\n")
    found = ask(made, "diff", lock, FIRST, "--json").data
    added = {one["name"]: one["to"] for one in found["added"]}
    assert added == {"gamma": "1.0", "six": "1.17"}
    assert (found["changed"], found["removed"]) == ([], [])


def test_a_project_differs_from_its_shared_lock_in_nothing(uv_bench: Bench) -> None:
    write_project(uv_bench.project, "demo", "1.0", requires=["beta"])
    uv_bench.noxfile(
        "@nox_envs.session(locked=True)\ndef test(session): pass\nnox_envs.campaigns(test)\n"
    )
    assert uv_bench.nox("-s", "lock").returncode == 0
    assert uv_bench.nox("-s", "test").returncode == 0
    (lock,) = uv_bench.project.glob("locks/*.toml")
    said = ask(uv_bench, "diff", "test", str(lock), "--exit-code")
    assert (said.code, said.out) == (0, "No package differs, 3 packages the same.\n"), said.out


def test_an_export_installs_what_the_cell_holds(made: Bench, tmp_path: Path) -> None:
    text = ask(made, "export", FIRST).out
    (tmp_path / "requirements.txt").write_text(text, encoding="utf-8")
    venv.create(tmp_path / "copy", with_pip=False)
    python = tmp_path / "copy" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    words = ["-r", str(tmp_path / "requirements.txt"), "--python", str(python)]
    subprocess.run(
        [str(settings.find_uv(made.variables)), "pip", "install", "--require-hashes", *words],
        check=True,
        env=made.variables,
    )
    held = {str(one.name): one.version for one in check.installed(discover.inspect(python))}
    assert held == {"alpha": "1.0", "beta": "2.0"}
    limits = ask(made, "export", FIRST, "--format", "constraints").out.splitlines()
    assert limits[1:] == ["alpha==1.0", "beta==2.0"]
    lock = made.project / ".nox" / "test-alpha-1-0" / "pylock.toml"
    assert ask(made, "export", FIRST, "--format", "pylock").out == lock.read_text()


def test_only_what_no_cell_has_is_removed(made: Bench) -> None:
    foreign = made.project / ".nox" / "mine"
    foreign.mkdir()
    (foreign / "pyvenv.cfg").write_text("home = /usr\n")
    link = made.project / ".nox" / "linked"
    link.symlink_to(made.project / ".nox" / "test-alpha-1-1", target_is_directory=True)
    declare(made, alpha='["1.1"]')
    before = environments(made)
    said = ask(made, "clean", "--dry-run")
    assert environments(made) == before
    assert "To be removed: 1 directory" in said.out
    found = ask(made, "clean", "--json").data
    assert [one["label"] for one in found["removed"]] == [FIRST]
    assert found["freed"] > 0
    assert found["foreign"] == ["mine"]
    assert environments(made) == ["linked", "mine", "test-alpha-1-1"]
    assert ask(made, "clean", "--all").code == 0
    assert environments(made) == ["linked", "mine"]
    assert states(made)[SECOND] == ("not made", "")


def test_what_was_made_again_stays(made: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from nox_envs import tending
    from nox_envs.inside.cleaning import Wish, chosen

    place = made.project / ".nox"
    there, _ = tending.things(place, place / ".cache" / "nox-envs", set())
    doomed = chosen(there, Wish(everything=True))
    again = place / "test-alpha-1-0"
    os.utime(again / stamp.STAMP_NAME, (1, 1))
    removed = {one.thing.path: one.failed for one in tending.remove(doomed)}
    assert removed[again] == "it was made again in the meantime"
    assert environments(made) == ["test-alpha-1-0"]


def test_a_doctor_finds_what_is_missing(made: Bench) -> None:
    said = ask(made, "doctor", XDG_CACHE_HOME=str(made.root / "cache"))
    assert said.code == 0
    pip = rf"nox-envs .*, pip {metadata.version('pip')}" if find_spec("pip") else "nox-envs "
    assert re.search(pip, said.out)
    cache = made.project / ".nox" / ".cache" / "nox-envs"
    assert re.search(
        rf"cache +{re.escape(str(cache))}, [\d.]+ \w+, 0 slots, 2 resolutions, 0 camp", said.out
    )
    assert "copies" not in said.out
    made.noxfile("@nox_envs.session(python='3.99')\ndef test(session): pass\n")
    made.index.fail(None, "500")
    said = ask(made, "doctor", "--json")
    assert said.code == 1
    bad = {one["topic"]: one["text"] for one in said.data["findings"] if one["mark"] == "bad"}
    assert bad["Python 3.99"] == "is declared, and is not on this machine"
    assert bad["index"].endswith("cannot be used: HTTP 500")
    assert len(bad) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["shwo"], "hint: did you mean show?"),
        (["show", "tset"], "has no cell tset\nhint: did you mean test?"),
        (["diff", "requirements.txt", "test"], "requirements.txt does not exist"),
        (["diff", "gone/pylock", "test"], "gone/pylock does not exist"),
        (["show", "test"], "test is 2 cells"),
        (["export", "never"], 'hint: make it:   nox -s "never" --install-only'),
        (["diff", "never", "never"], "has no complete environment"),
        (["clean", "--at-most", "much"], "is not a size"),
        (["show", "--noxfile", "other.py"], "other.py does not exist"),
    ],
)
def test_what_cannot_be_answered(uv_bench: Bench, words: list[str], message: str) -> None:
    declare(uv_bench)
    said = ask(uv_bench, *words)
    assert said.code == 2
    assert message in said.err
    assert said.out == ""


def test_a_noxfile_that_cannot_be_loaded(uv_bench: Bench) -> None:
    uv_bench.write("noxfile.py", "import not_there")
    said = ask(uv_bench, "show")
    assert said.code == 2
    assert "noxfile.py cannot be loaded: ModuleNotFoundError: No module named" in said.err
    uv_bench.noxfile("@nox_envs.session(pyhton='3.11')\ndef test(session): pass\n")
    said = ask(uv_bench, "show")
    assert said.code == 2
    assert said.err.count("1 mistake in noxfile.py") == 1
    assert "did you mean python?" in said.err


def test_from_another_directory(made: Bench, tmp_path: Path) -> None:
    there = ("--noxfile", "project/noxfile.py")
    said = ask(made, "show", "--json", *there, cwd=tmp_path)
    assert {one["state"] for one in said.data["cells"]} == {"made", "not made"}
    (tmp_path / "freeze.txt").write_text("alpha==1.0\nbeta==2.0\ngamma==1.0\n")
    assert ask(made, "diff", FIRST, "freeze.txt", "--exit-code", *there, cwd=tmp_path).code == 0


def test_another_place_for_environments(made: Bench) -> None:
    (made.project / ".nox").rename(made.project / "envs")
    found = {name: state for name, (state, _) in states(made).items()}
    assert set(found.values()) == {"not made"}
    said = ask(made, "show", "--json", "--envdir", "envs")
    moved = made.project / ".nox" / "test-alpha-1-0"
    assert said.data["cells"][0]["reason"] == f"it was made in {moved} and moved"


def test_with_pip(bench: Bench) -> None:
    bench.noxfile("@nox_envs.session(dependencies=['beta'])\ndef test(session): pass\n")
    assert bench.nox("-s", "test").returncode == 0
    assert states(bench) == {"test": ("made", "")}
    found = ask(bench, "show", "test", "--json").data
    assert found["cell"]["tool"] == bench.tool
    assert {one["name"]: one["role"] for one in found["contents"]} == {
        "alpha": "transitive", "beta": "declared",
    }  # fmt: skip
