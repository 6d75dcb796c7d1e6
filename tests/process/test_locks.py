"""Locks that a team commits, and locks of other tools: what is written, installed and refused."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import tomli_w

from nox_envs import _files, settings
from support.wheels import write_project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.bench import Bench

pytestmark = pytest.mark.process

SESSION = """
    @nox_envs.session({options})
    def {name}(session):
        session.run("python", "-c", "import alpha; print('RAN', alpha.__version__)")
"""


def declare(bench: Bench, **options: str) -> None:
    """Sessions by their names, and the campaigns about them."""
    text = "".join(SESSION.format(name=name, options=one) for name, one in options.items())
    bench.noxfile(text + f"\n    nox_envs.campaigns({', '.join(options)})\n")


def lock(bench: Bench, *words: str, code: int = 0) -> str:
    ran = bench.nox("-s", "lock", "--", *words)
    assert ran.returncode == code, ran.out
    return ran.out


def report(bench: Bench, *words: str, code: int = 0) -> dict[str, Any]:
    lock(bench, "--json", "lock.json", *words, code=code)
    return dict(json.loads((bench.project / "lock.json").read_text()))


def states(found: dict[str, Any]) -> dict[str, str]:
    return {one["file"]: one["state"] for one in found["locks"]}


def pins(path: Path) -> dict[str, str | None]:
    return {one["name"]: one.get("version") for one in _files.read_toml(path)["packages"]}


def contents(directory: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns)
            for path in directory.iterdir() if path.is_file()}  # fmt: skip


def test_each_cell_is_locked_once_and_installed_exactly(bench: Bench) -> None:
    declare(bench, test='dependencies=["beta"], matrix={"alpha": ["1.0", "2.0"]}, locked=True')
    missing = bench.nox("-s", "test")
    assert "pylock.test-alpha--1-0--.toml does not exist" in missing.out
    assert "hint: write it:   nox -s lock" in missing.out
    lock(bench)
    locks = bench.project / "locks"
    before = contents(locks)
    assert sorted(before) == ["pylock.test-alpha--1-0--.toml", "pylock.test-alpha--2-0--.toml"]
    assert pins(locks / "pylock.test-alpha--1-0--.toml") == {"alpha": "1.0", "beta": "2.0"}
    bench.index.wheel("beta", "3.0")
    assert "2 locks: 2 as it was." in lock(bench)
    assert contents(locks) == before
    ran = bench.nox("-s", "test")
    assert (ran.returncode, ran.out.count("RAN 1.0"), ran.out.count("RAN 2.0")) == (0, 1, 1)


def test_a_lock_says_for_what_it_is(uv_bench: Bench) -> None:
    write_project(uv_bench.project, requires=["alpha<2"])
    declare(uv_bench, test="locked=True")
    lock(uv_bench)
    document = _files.read_toml(uv_bench.project / "locks" / "pylock.test.toml")
    assert document["tool"]["nox-envs"]["cell"] == "test"
    assert "sys_platform" in document["environments"][0]
    alpha, demo = document["packages"]
    assert alpha["wheels"][0]["hashes"]["sha256"]
    assert demo == {"name": "demo", "directory": {"path": "..", "editable": False}}
    # What an index leaves out tomorrow is no change.
    path = uv_bench.project / "locks" / "pylock.test.toml"
    sized = re.sub(r"size = \d+\n", "", path.read_text(encoding="utf-8"))
    assert sized != path.read_text(encoding="utf-8")
    path.write_text(sized, encoding="utf-8")
    assert states(report(uv_bench, "--check")) == {"locks/pylock.test.toml": "unchanged"}
    # A commit changes the project, and its lock only if it declares something else.
    uv_bench.write("demo/more.py", "MORE = True\n")
    assert states(report(uv_bench, "--check")) == {"locks/pylock.test.toml": "unchanged"}
    assert uv_bench.nox("-s", "test").returncode == 0


def test_pins_stay_until_they_are_to_move(uv_bench: Bench) -> None:
    declare(uv_bench, test='dependencies=["alpha", "gamma"]')
    lock(uv_bench)
    path = uv_bench.project / "locks" / "pylock.test.toml"
    uv_bench.index.wheel("alpha", "2.5")
    uv_bench.index.wheel("gamma", "1.5")
    assert states(report(uv_bench)) == {"locks/pylock.test.toml": "unchanged"}
    out = lock(uv_bench, "--upgrade", "gamma", "--refresh")
    assert "gamma 1.0 -> 1.5" in out
    assert pins(path) == {"alpha": "2.0", "gamma": "1.5"}
    lock(uv_bench, "--upgrade")
    assert pins(path) == {"alpha": "2.5", "gamma": "1.5"}
    assert "did you mean gamma?" in lock(uv_bench, "--upgrade", "gama", code=1)


def test_a_lock_with_a_conflict_is_written_again(uv_bench: Bench) -> None:
    declare(uv_bench, test='dependencies=["alpha"], locked=True')
    lock(uv_bench)
    path = uv_bench.project / "locks" / "pylock.test.toml"
    before = path.read_bytes()
    path.write_bytes(b"<<<<<<< ours\n" + before)
    ran = uv_bench.nox("-s", "test")
    assert ran.returncode == 1
    assert "hint: write it again:   nox -s lock\n" in ran.out
    lock(uv_bench)
    assert path.read_bytes() == before
    for text in ("<<<<<<< ours\n", 'lock-version = "1.0"\n'):
        path.write_text(text)
        said = uv_bench.nox("-s", "test").out
        assert "hint: move it away, and write the lock:   nox -s lock\n" in said


@pytest.mark.parametrize("name", ["poetry.lock", "uv.lock", "Pipfile.lock"])
def test_a_lock_that_another_tool_has_not_written(uv_bench: Bench, name: str) -> None:
    write_project(uv_bench.project)
    uv_bench.noxfile(f"@nox_envs.session(lock={name!r})\ndef test(session): pass\n")
    tool = name.partition(".")[0].replace("Pipfile", "pipenv")
    assert f"hint: write it:   {tool} lock\n" in uv_bench.nox("-s", "test").out


def test_the_drift_is_named(uv_bench: Bench) -> None:
    declare(uv_bench, test='dependencies=["alpha<2", "gamma"], locked=True')
    lock(uv_bench)
    path = uv_bench.project / "locks" / "pylock.test.toml"
    before = path.read_bytes()
    declare(uv_bench, test='dependencies=["alpha<3", "beta"], locked=True, prerelease=True')
    ran = uv_bench.nox("-s", "test")
    assert ran.returncode == 1
    for words in ("alpha<2 is now alpha<3", "gamma was removed", "beta was added",
                  "prerelease: not allowed, now allowed", "nox -s lock"):  # fmt: skip
        assert words in ran.out
    found = report(uv_bench, "--check", code=1)
    assert found["status"] == "broken"
    assert found["locks"][0]["declared"][:2] == ["alpha<2 is now alpha<3", "beta was added"]
    assert found["locks"][0]["changes"] == {"beta": [None, "2.0"], "gamma": ["1.0", None]}
    assert path.read_bytes() == before
    lock(uv_bench)
    assert uv_bench.nox("-s", "test").returncode == 0
    assert report(uv_bench, "--check")["status"] == "ok"


def test_only_locks_of_ours_are_removed_or_overwritten(uv_bench: Bench) -> None:
    declare(uv_bench, one='dependencies=["alpha"]', two='dependencies=["alpha"]')
    lock(uv_bench)
    foreign = tomli_w.dumps({"lock-version": "1.0", "created-by": "hand", "packages": []})
    uv_bench.write("locks/pylock.mine.toml", foreign)
    declare(uv_bench, one='dependencies=["alpha"]')
    gone = {"file": "locks/pylock.two.toml", "cell": "two"}
    assert report(uv_bench, "--check", code=1)["removed"] == [gone]
    assert report(uv_bench, "--only", "one")["removed"] == []
    assert report(uv_bench)["removed"] == [gone]
    assert sorted(contents(uv_bench.project / "locks")) == ["pylock.mine.toml", "pylock.one.toml"]
    declare(uv_bench, mine='dependencies=["alpha"]')
    assert "was not made by nox-envs" in lock(uv_bench, code=1)
    assert (uv_bench.project / "locks" / "pylock.mine.toml").read_text() == foreign


def test_locks_of_another_noxfile_stay_while_it_is_there(uv_bench: Bench) -> None:
    declare(uv_bench, one='dependencies=["alpha"]')
    other = uv_bench.project / "other.py"
    (uv_bench.project / "noxfile.py").rename(other)
    assert uv_bench.nox("-f", "other.py", "-s", "lock").returncode == 0
    declare(uv_bench, second='dependencies=["alpha"]')
    assert report(uv_bench)["removed"] == []
    other.unlink()
    gone = {"file": "locks/pylock.one.toml", "cell": "one"}
    assert report(uv_bench)["removed"] == [gone]


def test_cells_whose_files_would_meet(uv_bench: Bench) -> None:
    text = """
    for name, pin in (("té", "1.0"), ("tñ", "2.0")):
        @nox_envs.session(name=name, dependencies=[f"alpha=={pin}"], locked=True)
        def one(session):
            session.run("python", "-c", "import alpha; print('RAN', alpha.__version__)")
        nox_envs.campaigns(one, suffix="-" + name, only="lock")
    """
    uv_bench.noxfile(text)
    for name in ("té", "tñ"):
        assert uv_bench.nox("-s", f"lock-{name}").returncode == 0
    first, second = contents(uv_bench.project / "locks")
    assert first[:10] == second[:10] == "pylock.t--"
    assert "RAN 1.0" in uv_bench.nox("-s", "té").out
    assert "RAN 2.0" in uv_bench.nox("-s", "tñ").out


def test_a_lock_in_pieces_is_made_anew_and_what_fails_leaves_the_others(uv_bench: Bench) -> None:
    declare(uv_bench, bad='dependencies=["alpha>9"]', good='dependencies=["alpha"]')
    path = uv_bench.write("locks/pylock.good.toml", "<<<<<<< ours\n")
    foreign = path.read_bytes()
    refused = lock(uv_bench, code=1)
    assert "locks/pylock.good.toml: cannot be read, and names no [tool.nox-envs]" in refused
    assert "hint: move it away" in refused
    assert path.read_bytes() == foreign
    path.write_text("<<<<<<< ours\n[tool.nox-envs]\n", encoding="utf-8")
    found = report(uv_bench, code=1)
    assert [one["state"] for one in found["locks"]] == ["error", "unreadable"]
    assert "line 1" in found["locks"][1]["error"]
    assert "alpha" in found["locks"][0]["error"]
    assert pins(uv_bench.project / "locks" / "pylock.good.toml") == {"alpha": "2.0"}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda locks: (locks / "pylock.test.toml").mkdir(parents=True),
         "locks/pylock.test.toml: is a directory, and no lock\nhint: move it away"),
        (lambda locks: locks.write_text("mine\n"),
         "locks: is a file, and locks lie in a directory of that name\nhint: move it away"),
        (lambda locks: locks.mkdir() or (locks / "pylock.test.toml").touch(),
         "locks/pylock.test.toml: is empty\nhint: remove it"),
    ],
    ids=["a directory", "no directory", "an empty file"],
)  # fmt: skip
def test_what_lies_where_a_lock_is_to_be(
    uv_bench: Bench, make: Callable[[Path], object], said: str
) -> None:
    declare(uv_bench, test='dependencies=["alpha"], locked=True')
    make(uv_bench.project / "locks")
    for words in (["-s", "lock"], ["-s", "lock", "--", "--upgrade"], ["-s", "test"]):
        ran = uv_bench.nox(*words)
        assert (ran.returncode, "Traceback" in ran.out) == (1, False), ran.out
        assert said in ran.out, ran.out
        assert "nox -s lock" in ran.out


def test_each_reason_is_told_once(uv_bench: Bench) -> None:
    cells = 'dependencies=["alpha>9"], matrix={"beta": ["1.0", "2.0"]}'
    declare(uv_bench, bad=cells, worse='dependencies=["beta>9"]')
    assert lock(uv_bench, code=1).count("\nerror: ") == 2


def test_no_secret_is_written(uv_bench: Bench) -> None:
    scheme, _, rest = uv_bench.index.url.partition("://")
    uv_bench.extra["UV_DEFAULT_INDEX"] = f"{scheme}://user:hidden@{rest}"
    wheel = f"{scheme}://user:hidden@{rest.partition('/')[0]}/files/alpha-1.0-py3-none-any.whl"
    declare(uv_bench, test=f'dependencies=["alpha @ {wheel}", "gamma"]')
    assert "hidden" not in lock(uv_bench)
    text = (uv_bench.project / "locks" / "pylock.test.toml").read_text()
    assert wheel.replace("user:hidden@", "") in text
    assert "hidden" not in text


# -- locks of other tools


def sha(bench: Bench, name: str, version: str) -> str:
    """The hash of a wheel on the index."""
    path = bench.index.files / f"{name}-{version}-py3-none-any.whl"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def uv(bench: Bench, *words: str) -> None:
    done = subprocess.run(
        [str(settings.find_uv({})), *words], cwd=bench.project, env=bench.variables, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def untouched(bench: Bench, *words: str) -> str:
    """What nox says; the lock and its neighbours are as they were, to the byte and the minute."""
    before = contents(bench.project)
    ran = bench.nox(*words)
    assert contents(bench.project) == before
    assert ran.returncode == 0, ran.out
    return ran.out


UV = """
[project]
name = "demo"
version = "1.0"
requires-python = ">=3.9"
dependencies = ["beta", "gamma; sys_platform == 'nowhere'"]
optional-dependencies = {more = ["gamma"]}
[dependency-groups]
test = ["gamma"]
dev = ["alpha<2", "gamma"]
[tool.uv]
package = false
"""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", "alpha 1.1 beta 2.0"),
        ('groups=["test"]', "alpha 1.1 beta 2.0 gamma 1.0"),
        ('groups=["test"], project=False', "gamma 1.0"),
        ('extras=["more"]', "alpha 1.1 beta 2.0 gamma 1.0"),
    ],
)
def test_a_uv_lock_is_installed_and_left_alone(bench: Bench, options: str, expected: str) -> None:
    bench.write("pyproject.toml", UV)
    uv(bench, "lock")
    bench.index.wheel("beta", "3.0")
    bench.noxfile(f"""
        @nox_envs.session(lock="uv.lock", {options})
        def test(session):
            pass
    """)
    untouched(bench, "-s", "test")
    assert shown(bench) == expected


def shown(bench: Bench) -> str:
    """What the environment of the session holds."""
    return " ".join(f"{name} {version}" for name, version in sorted(bench.installed().items()))


def test_a_uv_lock_of_a_workspace_is_read_for_its_member(bench: Bench) -> None:
    member = '[project]\nname = "{}"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = {}\n'
    workspace = '[tool.uv.workspace]\nmembers = ["a", "b"]\n'
    bench.write("pyproject.toml", member.format("top", '["gamma"]') + workspace)
    write_project(bench.project / "b", name="b", requires=["gamma"])
    sources = '[tool.uv.sources]\nb = {workspace = true}\nalpha = {index = "own"}\n'
    index = f'[[tool.uv.index]]\nname = "own"\nurl = "{bench.index.url}"\nexplicit = true\n'
    bench.write("a/pyproject.toml", member.format("a", '["alpha<2", "b"]') + sources + index)
    uv(bench, "lock")
    bench.noxfile("""
        @nox_envs.session(lock="../uv.lock", directory="a")
        def test(session):
            pass
    """)
    untouched(bench, "-s", "test")
    assert shown(bench) == "alpha 1.1 b 1.0 gamma 1.0"


def test_what_a_uv_lock_does_not_hold_is_refused(bench: Bench) -> None:
    bench.write("pyproject.toml", UV)
    uv(bench, "lock")
    bench.write("pyproject.toml", UV.replace('"beta"', '"beta<2"'))
    declaration = """
        @nox_envs.session(lock="uv.lock", groups=["test"])
        def test(session):
            pass
    """
    bench.noxfile(declaration)
    assert "uv.lock: holds beta 2.0, and this is declared" in bench.nox("-s", "test").out
    bench.write("pyproject.toml", UV.replace("test =", "old ="))
    bench.noxfile(declaration.replace('"test"', '"old"'))
    ran = bench.nox("-s", "test")
    assert ran.returncode == 1
    assert "uv.lock: " in ran.out
    assert "old" in ran.out


# -- locks that know no addresses


POETRY = """
[tool.poetry]
name = "demo"
version = "1.0"
package-mode = false
[tool.poetry.dependencies]
python = "^3.9"
beta = "^2.0"
gamma = {version = "*", optional = true}
[tool.poetry.extras]
more = ["gamma"]
[tool.poetry.group.test.dependencies]
gamma = "^1.0"
"""


def poetry_lock(bench: Bench, *pins: str, files: str = "") -> str:
    """A lock with `name version` pins; hashes of the index, or others."""
    texts = []
    for pin in pins:
        name, version = pin.split()
        file = f"{name}-{version}-py3-none-any.whl"
        digest = files or sha(bench, name, version)
        texts.append(f"""
[[package]]
name = "{name}"
version = "{version}"
description = ""
optional = false
python-versions = ">=3.8"
groups = ["main"]
files = [{{file = "{file}", hash = "sha256:{digest}"}}]
""")
    return "".join(texts) + '\n[metadata]\nlock-version = "2.1"\n'


def test_a_poetry_lock_is_installed_and_left_alone(bench: Bench) -> None:
    bench.write("pyproject.toml", POETRY)
    lock_file = bench.write("poetry.lock", poetry_lock(bench, "alpha 1.1", "beta 2.0", "gamma 1.0"))
    bench.index.wheel("beta", "2.5")
    for options, expected in (
        ("", "alpha 1.1 beta 2.0"),
        ('groups=["test"]', "alpha 1.1 beta 2.0 gamma 1.0"),
        ('extras=["more"]', "alpha 1.1 beta 2.0 gamma 1.0"),
    ):
        bench.noxfile(f"""
            @nox_envs.session(lock="poetry.lock", {options})
            def test(session):
                pass
        """)
        untouched(bench, "-s", "test")
        assert shown(bench) == expected
    lock_file.write_text(poetry_lock(bench, "beta 2.0", "gamma 1.0"))
    assert "poetry.lock: does not hold alpha, and this is needed" in bench.nox("-s", "test").out
    lock_file.write_text(poetry_lock(bench, "alpha 1.1", "beta 2.0", "gamma 1.0", files="0" * 64))
    ran = bench.nox("-s", "test")
    assert "poetry.lock: no file of alpha 1.1 has a hash that line 2 allows" in ran.out


def test_a_pipfile_lock_is_installed_and_left_alone(uv_bench: Bench) -> None:
    def entry(name: str, version: str, **more: str) -> dict[str, Any]:
        digest = f"sha256:{sha(uv_bench, name, version)}"
        return {"hashes": [digest], "version": f"=={version}", "index": "pypi", **more}

    data = {
        "_meta": {"pipfile-spec": 6},
        "default": {
            "alpha": entry("alpha", "1.0"),
            "beta": entry("beta", "1.0", markers="sys_platform == 'nowhere'"),
        },
        "develop": {"gamma": entry("gamma", "1.0")},
    }
    uv_bench.write("Pipfile.lock", json.dumps(data, indent=4))
    for options, expected in (("", "alpha 1.0"), ('groups=["develop"]', "alpha 1.0 gamma 1.0")):
        uv_bench.noxfile(f"""
            @nox_envs.session(lock="Pipfile.lock", {options})
            def test(session):
                pass
        """)
        untouched(uv_bench, "-s", "test")
        assert shown(uv_bench) == expected


def test_a_snippet_beside_a_pipfile_lock_installs_the_project(uv_bench: Bench) -> None:
    write_project(uv_bench.project, groups={"dev": ["beta"]})
    digest = f"sha256:{sha(uv_bench, 'alpha', '1.0')}"
    entry = {"hashes": [digest], "version": "==1.0", "index": "pypi"}
    data = {"_meta": {"pipfile-spec": 6}, "default": {"alpha": entry}, "develop": {}}
    uv_bench.write("Pipfile.lock", json.dumps(data))
    uv_bench.write("requirements.txt", "gamma\n")
    uv_bench.noxfile('nox_envs.use("dev", lock="Pipfile.lock")')
    untouched(uv_bench, "-s", "dev")
    found = _files.read_toml(uv_bench.project / ".nox" / "dev" / "pylock.toml")["packages"]
    named = {one["name"]: one.get("directory", {}).get("editable") for one in found}
    assert named == {"alpha": None, "demo": True}


def test_requirements_with_hashes_are_a_lock(bench: Bench) -> None:
    def line(name: str, version: str) -> str:
        return f"{name}=={version} \\\n    --hash=sha256:{sha(bench, name, version)}\n"

    bench.write("locked.txt", line("alpha", "1.1") + line("beta", "2.0"))
    bench.noxfile("""
        @nox_envs.session(lock="locked.txt")
        def test(session):
            pass
    """)
    untouched(bench, "-s", "test")
    assert shown(bench) == "alpha 1.1 beta 2.0"
    bench.write("locked.txt", line("beta", "2.0"))
    assert "locked.txt: does not hold alpha, and this is needed" in bench.nox("-s", "test").out
    bench.write("locked.txt", "alpha==1.1\n")
    assert "locked.txt: line 1 does not pin alpha with a hash" in bench.nox("-s", "test").out


# -- after an upgrade

PROJECT = """
[project]
name = "demo"
version = "1.0"
requires-python = ">=3.9"
dependencies = ["beta<3"]
[tool.uv]
package = false
"""
CHECKED = """
    @nox_envs.session(lock="{lock}")
    def test(session):
        session.run("python", "-c", "import alpha, beta; assert alpha.__version__ != '{bad}'")

    nox_envs.campaigns(test)
"""


def test_uv_writes_its_own_lock(uv_bench: Bench) -> None:
    path = uv_bench.write("pyproject.toml", PROJECT)
    uv(uv_bench, "lock", "--upgrade-package", "alpha==1.0")
    for release in (("beta", "3.0"), ("beta", "4.0")):
        uv_bench.index.wheel(*release, requires=["alpha>=2", "gamma"])
    uv_bench.noxfile(CHECKED.format(lock="uv.lock", bad="none"))
    before = contents(uv_bench.project)
    tried = uv_bench.nox("-s", "upgrade", "--", "--dry-run")
    assert tried.returncode == 0, tried.out
    assert "uv lock --upgrade-package alpha==2.0 --upgrade-package beta==4.0" in tried.out
    assert contents(uv_bench.project) == before
    ran = uv_bench.nox("-s", "upgrade", "--", "--apply")
    assert ran.returncode == 0, ran.out
    assert (
        "Checked: pyproject.toml and uv.lock now give exactly the versions that passed" in ran.out
    )
    locked = {one["name"]: one["version"]
              for one in _files.read_toml(uv_bench.project / "uv.lock")["package"]}  # fmt: skip
    assert locked == {"demo": "1.0", "alpha": "2.0", "beta": "4.0", "gamma": "1.0"}
    assert "beta<5" in path.read_text()
    assert "There is nothing to write" in untouched(uv_bench, "-s", "upgrade", "--", "--apply")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (
            'constraint-dependencies = ["alpha<2"]',
            "uv cannot lock the versions that passed in uv.lock",
        ),
        (
            """
            [[tool.uv.dependency-metadata]]
            name = "beta"
            version = "3.0"
            requires-dist = ["alpha>=2", "gamma"]
            """,
            "test: gamma would be 1.0, it passed with not there",
        ),
    ],
)
def test_what_uv_locks_otherwise_is_taken_back(uv_bench: Bench, setting: str, said: str) -> None:
    uv_bench.write("pyproject.toml", f"{PROJECT}{setting}\n")
    uv(uv_bench, "lock")
    uv_bench.index.wheel("beta", "3.0", requires=["alpha>=2"])
    uv_bench.noxfile(CHECKED.format(lock="uv.lock", bad="none"))
    before = {name: text for name, (text, _) in contents(uv_bench.project).items()}
    ran = uv_bench.nox("-s", "upgrade", "--", "--apply")
    assert ran.returncode == 1
    assert said in ran.out
    assert "the files are as they were" in ran.out
    assert {name: text for name, (text, _) in contents(uv_bench.project).items()} == before


def refused(bench: Bench, *commands: str) -> None:
    """`--apply` writes nothing, and says what to type."""
    before = contents(bench.project)
    ran = bench.nox("-s", "upgrade", "--", "--apply")
    assert ran.returncode == 1
    for command in commands:
        assert command in ran.out, ran.out
    assert contents(bench.project) == before


def told_at_once(bench: Bench, *commands: str) -> None:
    """The report offers the commands, and no `--apply` that would only name them."""
    ran = bench.nox("-s", "upgrade")
    assert ran.returncode == 0, ran.out
    lines = ran.out.splitlines()
    [place] = [number for number, line in enumerate(lines) if "nothing to --apply" in line]
    assert lines[place + 1 :][: len(commands)] == [f"  {one}" for one in commands], ran.out
    assert "-- --apply" not in ran.out


def test_poetry_has_to_lock_itself(uv_bench: Bench) -> None:
    declared = POETRY.replace('gamma = {version = "*", optional = true}\n', "")
    uv_bench.write("pyproject.toml", declared.replace('more = ["gamma"]\n', ""))
    pins = poetry_lock(uv_bench, "alpha 1.1", "beta 2.0", "gamma 1.0")
    uv_bench.write("poetry.lock", pins)
    uv_bench.index.wheel("beta", "2.5", requires=["alpha"])
    uv_bench.index.wheel("gamma", "1.5")
    text = CHECKED.format(lock="poetry.lock", bad="none")
    uv_bench.noxfile(text.replace("lock=", 'groups=["test"], lock='))
    commands = "poetry add --lock beta@2.5", "poetry add --lock --group test gamma@1.5"
    told_at_once(uv_bench, *commands)
    refused(uv_bench, "poetry.lock   decides the versions of test", *commands)


def test_pipenv_has_to_lock_itself(uv_bench: Bench) -> None:
    digest = f"sha256:{sha(uv_bench, 'alpha', '1.0')}"
    held = {"alpha": {"hashes": [digest], "version": "==1.0"}}
    uv_bench.write("Pipfile.lock", json.dumps({"_meta": {}, "default": {}, "develop": held}))
    text = CHECKED.format(lock="Pipfile.lock", bad="none").replace(", beta", "")
    uv_bench.noxfile(text.replace("lock=", 'groups=["develop"], lock='))
    told_at_once(uv_bench, "pipenv upgrade --dev alpha==2.0")
    refused(uv_bench, "pipenv upgrade --dev alpha==2.0")


def test_requirements_with_hashes_have_to_be_locked_by_their_tool(uv_bench: Bench) -> None:
    head = "# This file was autogenerated by uv via the following command:\n"
    head += "#    uv pip compile --generate-hashes in.txt -o locked.txt\n"
    line = f"alpha==1.0 --hash=sha256:{sha(uv_bench, 'alpha', '1.0')}\n"
    uv_bench.write("locked.txt", head + line)
    uv_bench.noxfile(CHECKED.format(lock="locked.txt", bad="none").replace(", beta", ""))
    refused(uv_bench, "uv pip compile --generate-hashes in.txt -o locked.txt -P alpha==2.0")


def test_a_committed_lock_is_written_by_its_own_command(uv_bench: Bench) -> None:
    text = CHECKED.format(lock="", bad="none").replace(
        'lock=""', 'dependencies=["beta<3"], locked=True'
    )
    uv_bench.noxfile(text)
    lock(uv_bench)
    uv_bench.index.wheel("beta", "2.5", requires=["alpha"])
    refused(uv_bench, "nox -s lock -- --upgrade beta")
