from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from nox_envs import discover, settings
from nox_envs.errors import WrongEnvironment

pytestmark = pytest.mark.process

SERIES = ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "pypy3.10", "pypy3.11"]
ENV = dict(os.environ)
BASE = Path(sys.base_prefix, "python.exe") if os.name == "nt" else Path(sys.executable).resolve()
BIN, EXE = ("Scripts", ".exe") if os.name == "nt" else ("bin", "")


def interpreter(series: str) -> Path:
    """Find an interpreter that is really there, or skip."""
    found = discover.locate(series, ENV)
    if found is None:
        pytest.skip(f"Python {series} is not on this machine")
    return found


def run(*command: str | Path, **env: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        env={**ENV, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make(backend: str, python: Path, place: Path) -> Path:
    """Make an environment without anything in it."""
    if backend == "venv":
        run(python, "-m", "venv", "--without-pip", place)
    elif backend == "virtualenv":
        run(sys.executable, "-m", "virtualenv", "--no-seed", "-p", python, place)
    else:
        uv = settings.find_uv(ENV)
        if uv is None:
            pytest.skip("uv is not on this machine")
        run(uv, "venv", "--quiet", "--no-project", "--python", python, place)
    return place / BIN / f"python{EXE}"


@pytest.mark.parametrize("series", SERIES)
@pytest.mark.parametrize("backend", ["venv", "virtualenv", "uv"])
def test_inspect_says_what_the_environment_itself_says(
    backend: str, series: str, tmp_path: Path
) -> None:
    base = interpreter(series)
    python = make(backend, base, tmp_path / "env")
    found = discover.inspect(python, env=ENV)
    told = run(
        python,
        "-c",
        "import sys, sysconfig, platform, os\n"
        "paths = sysconfig.get_paths()\n"
        "print(sys.prefix, sys.base_prefix, paths['purelib'], paths['platlib'],"
        " platform.python_version(), platform.machine(), platform.system(),"
        " platform.release(), platform.version(), sep='\\n')",
    ).splitlines()
    assert [
        str(found.prefix),
        str(found.base_prefix),
        str(found.purelib),
        str(found.platlib),
        found.version,
        found.markers["platform_machine"],
        found.markers["platform_system"],
        found.markers["platform_release"],
        found.markers["platform_version"],
    ] == told
    assert found.path == python
    assert found.prefix == tmp_path / "env"
    assert found.purelib.is_dir()
    assert found.python == series.removeprefix("pypy")
    assert found.build


def test_the_markers_are_those_of_packaging(tmp_path: Path) -> None:
    from packaging.markers import default_environment

    python = make("venv", Path(sys.executable), tmp_path / "env")
    assert discover.inspect(python, env=ENV).markers == default_environment()


def test_inspect_does_not_run_what_is_in_the_environment(tmp_path: Path) -> None:
    python = make("venv", Path(sys.executable), tmp_path / "env")
    found = discover.inspect(python, env=ENV)
    touched = tmp_path / "touched"
    line = f"import pathlib; pathlib.Path({str(touched)!r}).touch()\n"
    (found.purelib / "x.pth").write_text(line, encoding="utf-8")
    (tmp_path / "json.py").write_text(line, encoding="utf-8")
    poisoned = {**ENV, "PYTHONPATH": str(tmp_path), "PYTHONHOME": "/nowhere"}
    assert discover.inspect(python, env=poisoned) == found
    assert not touched.exists()


@pytest.mark.skipif(os.name == "nt", reason="environments hold links on POSIX only")
def test_inspect_refuses_half_an_environment(tmp_path: Path) -> None:
    python = make("venv", Path(sys.executable), tmp_path / "env")
    (tmp_path / "env" / "pyvenv.cfg").unlink()
    with pytest.raises(WrongEnvironment, match=r"belongs to .*, not to"):
        discover.inspect(python, env=ENV)
    python.unlink()
    with pytest.raises(WrongEnvironment, match="is not there"):
        discover.inspect(python, env=ENV)
    python.write_bytes(b"")
    python.chmod(0o755)
    with pytest.raises(WrongEnvironment):
        discover.inspect(python, env=ENV)
    python.write_text("#!/nowhere/python\n", encoding="utf-8")
    with pytest.raises(WrongEnvironment, match="does not start"):
        discover.inspect(python, env=ENV)


def test_inspect_refuses_a_python_that_is_no_environment() -> None:
    with pytest.raises(WrongEnvironment):
        discover.inspect(BASE, env=ENV)


def test_what_is_available_is_what_it_is_said_to_be() -> None:
    """Only what this project supports: an old one may not know the probe."""
    for found in discover.available(ENV):
        if not found.version.startswith("3.") or int(found.version.split(".")[1]) < 8:
            continue
        told = run(
            found.path, "-I", "-S", "-c", "import platform; print(platform.python_version())"
        )
        assert told.strip().startswith(found.version)


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_an_exact_patch_is_found_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = discover.Found(version="2.0.0", path=tmp_path, source="nox itself")
    monkeypatch.setattr(discover, "_running", lambda: other)
    major, minor, micro = sys.version_info[:3]
    python = tmp_path / f"python{major}.{minor}"
    python.symlink_to(BASE)
    env = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    assert discover.locate(f"{major}.{minor}.{micro}", env) == python
    assert discover.locate(f"{major}.{minor}.99", env) is None


NOXFILE = """
import nox

@nox.session(python={python!r}, venv_backend={backend!r}, venv_params={params!r})
def made(session):
    session.run("python", "-c", "import sys; print('made', sys.version.split()[0])")
"""


@pytest.mark.parametrize("python", ["3.8", "3.12", "3.13", "exact"])
@pytest.mark.parametrize("backend", ["uv", "virtualenv", "venv"])
def test_nox_finds_what_path_for_appends(backend: str, python: str, tmp_path: Path) -> None:
    if backend == "uv" and settings.find_uv(ENV) is None:
        pytest.skip("uv is not on this machine")
    if python == "exact":
        managed = [found for found in discover.available(ENV) if found.source == "pyenv"]
        exact = [found for found in managed if found.is_exact and found.version > "3.12"]
        if not exact:
            pytest.skip("pyenv has no other Python on this machine")
        python = exact[0].version
    place = discover.path_for(python, ENV)
    if place is None:
        pytest.skip(f"Python {python} is found without, or not on this machine")
    params = ["--no-seed"] if backend == "virtualenv" else []
    params = ["--without-pip"] if backend == "venv" else params
    text = NOXFILE.format(python=[python], backend=backend, params=params)
    (tmp_path / "noxfile.py").write_text(text, encoding="utf-8")
    path = os.pathsep.join([ENV["PATH"], place])
    command = (sys.executable, "-m", "nox", "-f", tmp_path / "noxfile.py")
    out = run(*command, "--download-python", "never", "--error-on-missing-interpreters", PATH=path)
    located = discover.locate(python, ENV)
    assert located is not None
    version = run(located, "-c", "import platform; print(platform.python_version())").strip()
    assert f"made {version}" in out
    made = tmp_path / ".nox" / f"made-{python.replace('.', '-')}" / BIN / f"python{EXE}"
    assert discover.inspect(made, env=ENV).version == version


@pytest.mark.parametrize("series", ["3.9", "3.11", "3.14", "pypy3.10"])
@pytest.mark.parametrize("backend", ["venv", "virtualenv", "uv"])
def test_what_is_remembered_is_what_would_be_said(
    backend: str, series: str, tmp_path: Path
) -> None:
    base = interpreter(series)
    one, two = (make(backend, base, tmp_path / name) for name in ("one", "two"))
    memory = tmp_path / "memory"
    discover.inspect(one, env=ENV, memory=memory)
    remembered = discover.inspect(two, env=ENV, memory=memory, run=never)
    said = discover.inspect(two, env=ENV)
    assert remembered == said
    bare = discover.inspect(base, env=ENV, memory=memory, in_environment=False)
    assert (bare.version, bare.build, bare.markers) == (said.version, said.build, said.markers)


def never(*_: object, **__: object) -> NoReturn:
    pytest.fail("it was asked")
