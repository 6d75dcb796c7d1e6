"""Evidence from real interpreters: nothing that is looked up gets lost, and nobody notices."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from nox_envs import discover, settings
from nox_envs.install import check
from nox_envs.run.evidence import plant, read, top_levels

pytestmark = pytest.mark.process

SERIES = ["3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "pypy3.11"]
ENV = dict(os.environ)
BIN, EXE = ("Scripts", ".exe") if os.name == "nt" else ("bin", "")

WAYS = """\
import os, signal, subprocess, sys, threading


def child(method):
    __import__("by_" + method)


if __name__ == "__main__":
    import by_import, package.inner
    __import__("importlib").import_module("by_importlib")
    try:
        import absent
    except ImportError:
        pass
    thread = threading.Thread(target=lambda: __import__("by_thread"))
    thread.start()
    thread.join()

    def run(code, **options):
        subprocess.call([sys.executable, "-c", code], **options)

    run("import by_exit, os; os._exit(0)")
    run("import by_kill, os, signal; os.kill(os.getpid(), getattr(signal, 'SIGKILL', 15))")
    run("import by_empty_env", env={} if os.name != "nt" else None)
    subprocess.call([sys.executable, "-I", "-m", "by_switch"])
    subprocess.call([sys.executable, "-S", "-c", "import os"])
    import multiprocessing
    for method in multiprocessing.get_all_start_methods():
        process = multiprocessing.get_context(method).Process(target=child, args=(method,))
        process.start()
        process.join()
    if hasattr(os, "fork"):
        pid = os.fork()
        if not pid:
            import by_os_fork
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(pid, 0)
"""
SEEN = {
    "by_import", "package", "by_importlib", "absent", "by_thread", "by_exit", "by_kill",
    "by_empty_env", "by_switch", *(f"by_{way}" for way in multiprocessing.get_all_start_methods()),
}  # fmt: skip


def make(python: Path, place: Path) -> tuple[Path, Path]:
    """Make an empty environment; returns its interpreter and its site-packages."""
    call(python, "-m", "venv", "--without-pip", place)
    interpreter = place / BIN / f"python{EXE}"
    site = call(interpreter, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])")
    return interpreter, Path(site.strip())


def call(*command: str | Path, cwd: Path | None = None, **env: str) -> str:
    """Run a command that has to succeed and to keep its errors for itself."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**ENV, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def here(tmp_path: Path) -> tuple[Path, Path]:
    """An environment of the Python that runs the tests."""
    return make(Path(sys.executable), tmp_path / "env")


@pytest.mark.parametrize("series", SERIES)
def test_every_look_up_is_seen(series: str, tmp_path: Path) -> None:
    base = discover.locate(series, ENV)
    if base is None:
        pytest.skip(f"Python {series} is not on this machine")
    python, site = make(base, tmp_path / "env")
    seen = SEEN | ({"by_os_fork"} if os.name != "nt" else set())
    for name in seen - {"absent", "package"}:
        (site / f"{name}.py").touch()
    (site / "package").mkdir()
    (site / "package" / "__init__.py").touch()
    (site / "package" / "inner.py").touch()
    (tmp_path / "ways.py").write_text(WAYS, encoding="utf-8")
    evidence = tmp_path / "Beweise 'für' NAMES"
    plant(site, evidence, [*seen, "größe", "inner", "never"])
    call(python, tmp_path / "ways.py")
    assert read(evidence) == frozenset(seen)


def test_a_second_trial_has_its_own_evidence(here: tuple[Path, Path], tmp_path: Path) -> None:
    python, site = here
    for trial in ("t1", "t2"):
        plant(site, tmp_path / trial, ["json", "csv"])
        call(python, "-c", "import json", PYTHONDONTWRITEBYTECODE="")
    assert read(tmp_path / "t1") == read(tmp_path / "t2") == frozenset({"json"})


def test_a_finder_that_comes_in_front_hides_nothing(
    here: tuple[Path, Path], tmp_path: Path
) -> None:
    python, site = here
    for name in ("first", "second", "third"):
        (site / f"{name}.py").touch()
    plant(site, tmp_path / "evidence", ["first", "second", "third", "fourth"])
    front = (
        "import os, sys\n"
        "from importlib.machinery import PathFinder\n"
        "class Front:\n"
        "    find_spec = PathFinder.find_spec\n"
        "sys.meta_path.insert(0, Front())\n"
    )
    fall_through = "try:\n    import there_is_none\nexcept ImportError:\n    pass\n"
    call(python, "-c", f"{front}import first\n{fall_through}import second\nos._exit(0)")
    assert read(tmp_path / "evidence") == frozenset({"first", "second"})
    call(python, "-c", f"{front}import third")
    assert read(tmp_path / "evidence") == frozenset({"first", "second", "third"})


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n", "2")])
def test_what_pytest_loads_is_seen(
    workers: tuple[str, ...], here: tuple[Path, Path], tmp_path: Path
) -> None:
    python, site = here
    # pytest from the environment of these tests, and a plugin that it rewrites.
    (site / "zz.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
    metadata = site / "plug-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: plug\nVersion: 1.0\n", encoding="utf-8")
    (metadata / "RECORD").write_text("plug.py,,\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text("[pytest11]\nplug = plug\n", encoding="utf-8")
    for name in ("plug", "used", "unused"):
        (site / f"{name}.py").touch()
    (tmp_path / "test_it.py").write_text("def test_it():\n    import used\n", encoding="utf-8")
    plant(site, tmp_path / "evidence", ["plug", "used", "unused"])
    # Without other plugins, the first import is that of the plugin.
    said = call(
        python, "-m", "pytest", "-q", "-p", "plug", *workers, "test_it.py",
        cwd=tmp_path, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )  # fmt: skip
    assert "1 passed" in said
    assert read(tmp_path / "evidence") == frozenset({"plug", "used"})


@pytest.mark.parametrize("damage", ["gone", "a file", "read-only", "no descriptors", "no space"])
def test_the_program_of_the_user_notices_nothing(
    damage: str, here: tuple[Path, Path], tmp_path: Path
) -> None:
    python, site = here
    (site / "some.py").touch()
    evidence = tmp_path / "evidence"
    plant(site, evidence, ["some", "absent"])
    before = "0"
    if damage in {"gone", "a file", "no space"}:
        evidence.rmdir()
    if damage == "a file":
        evidence.touch()
    elif damage == "no space":
        if not Path("/dev/full").exists():
            pytest.skip("there is no /dev/full")
        evidence.symlink_to("/dev/full")
    elif damage == "read-only":
        evidence.chmod(0o500)
    elif damage == "no descriptors":
        before = "import os; os.open = None; os.close = None"
    code = (
        f"{before}\n"
        "import some, sys\n"
        "assert sys.meta_path[0].find_spec('some', None, None) is None\n"
        "try:\n"
        "    import absent\n"
        "except ImportError as error:\n"
        "    print(type(error).__name__, error, error.__context__)\n"
    )
    assert call(python, "-W", "error", "-c", code) == (
        "ModuleNotFoundError No module named 'absent' None\n"
    )


def test_no_tool_takes_it_for_a_package(tmp_path: Path) -> None:
    place = tmp_path / "env"
    call(sys.executable, "-m", "virtualenv", "--no-periodic-update", "--quiet", place)
    python = place / BIN / f"python{EXE}"
    uv = settings.find_uv(ENV)
    interpreter = discover.inspect(python, env=ENV)

    def told() -> list[object]:
        pip: list[str | Path] = [python, "-m", "pip", "--disable-pip-version-check"]
        found = check.installed(interpreter)
        answers: list[object] = [
            call(*pip, "list"),
            call(*pip, "check"),
            found,
            check.missing_files(found),
            [top_levels(one.metadata) for one in found],
        ]
        if uv is not None:
            answers += [
                call(uv, "--quiet", "pip", "list", "--python", python),
                call(uv, "--quiet", "pip", "check", "--python", python),
            ]
        return answers

    before = told()
    plant(interpreter.purelib, tmp_path / "evidence", ["pip", "never"])
    assert told() == before
    assert read(tmp_path / "evidence") == frozenset({"pip"})
    assert frozenset({"pip"}) in before[4]  # type: ignore[operator]
