"""The main job on the real index, with real packages of different years."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from nox_envs import discover

pytestmark = pytest.mark.network

ROOT = Path(__file__).parents[2]
SHOW = (
    "from importlib.metadata import version as v; "
    "print('HOLDS', *(f'{n}={v(n)}' for n in ('boto3', 'requests', 'pandas')))"
)


@pytest.fixture(params=["uv", "pip"])
def tool(request: pytest.FixtureRequest) -> str:
    return str(request.param)


TRUST = {"UV_SYSTEM_CERTS": "1"}
"""uv itself, which nox runs for a script-mode noxfile, knows no certificate of this machine."""


def nox(directory: Path, *words: str, tool: str = "") -> tuple[int, str]:
    """Run nox as a user does, with a HOME that only the other tests of this worker have used."""
    home = directory.parents[1] / "home"
    home.mkdir(exist_ok=True)
    foreign = ("NOX", "UV_PYTHON", "UV_PROJECT", "PYTEST_", "VIRTUAL_ENV", "PIP_FIND_LINKS")
    env = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    env |= {"HOME": str(home), "NOX_ENVS_INSTALLER": tool, **TRUST}
    done = subprocess.run(
        [sys.executable, "-m", "nox", *words],
        cwd=directory,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
        timeout=300,
    )
    return done.returncode, done.stdout


def needs(python: str) -> None:
    if discover.locate(python, os.environ) is None:
        pytest.skip(f"Python {python} is not on this machine")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    directory.mkdir()
    return directory


def test_the_noxfile_of_the_readme_in_an_empty_directory(project: Path, tool: str) -> None:
    needs("3.11")
    needs("3.12")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    source, *_ = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL)
    (project / "noxfile.py").write_text(source, encoding="utf-8")
    for words, count in (
        (["-s", "test-3.11"], 2),
        (["-s", "test-3.12(django='4.2')"], 1),
        (["-s", "test", "-j", "2"], 4),
    ):
        code, out = nox(project, *words, tool=tool)
        if "unrecognized arguments: -j" in out:
            continue
        assert code == 0, out
        assert out.count("exactly as declared") == count
        assert re.search(r"^4\.2\.\d+$", out, flags=re.MULTILINE)


@pytest.mark.parametrize("python", ["3.11", "3.12"])
def test_two_years_of_libraries_side_by_side(project: Path, tool: str, python: str) -> None:
    needs(python)
    (project / "requirements.txt").write_text("boto3==1.28.3\nrequests==2.7.0\npandas==1.5.3\n")
    (project / "noxfile.py").write_text(
        textwrap.dedent(
            f"""
            import nox_envs

            @nox_envs.session(
                python="{python}",
                dependencies=["boto3==1.34.28", "requests==2.32.3", "pandas==2.2.3"],
            )
            def new(session):
                session.run("python", "-c", {SHOW!r})

            @nox_envs.session(python="3.11", requirements="requirements.txt")
            def old(session):
                session.run("python", "-c", {SHOW!r})
            """
        )
    )
    code, out = nox(project, "-s", f"new-{python}", tool=tool)
    assert code == 0, out
    assert "HOLDS boto3=1.34.28 requests=2.32.3 pandas=2.2.3" in out
    if python != "3.11":
        return
    code, out = nox(project, "-s", "old", tool=tool)
    assert code == 0, out
    assert "HOLDS boto3=1.28.3 requests=2.7.0 pandas=1.5.3" in out
    (project / "requirements.txt").write_text("boto3==1.28.3\nrequests==2.7.1\npandas==1.5.3\n")
    code, out = nox(project, "-s", "old", tool=tool)
    assert code == 1
    assert "error: requests has no release 2.7.1\n\n  requirements.txt:2   requests==2.7.1\n" in out
    assert "aborted: requests has no release 2.7.1 (nearest: 2.7.0, 2.8.0)" in out


def test_a_cell_that_cannot_be_is_answered_with_the_exclude_line(project: Path, tool: str) -> None:
    needs("3.11")
    (project / "noxfile.py").write_text(
        "import nox_envs\n"
        "@nox_envs.session(python='3.11', matrix={'django': ['6.0']})\n"
        "def test(session): pass\n"
    )
    code, out = nox(project, tool=tool)
    assert code == 1
    assert "error: django 6.0 needs Python 3.12 or newer, this cell has 3.11" in out
    assert 'exclude=[{"python": "<3.12", "django": "6.0"}]' in out


def test_script_mode(project: Path, tmp_path: Path) -> None:
    """A noxfile with a PEP 723 header brings nox-envs along."""
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    copy = tmp_path / "source"
    shutil.copytree(
        ROOT, copy, ignore=shutil.ignore_patterns(".nox", ".venv", ".git", "__pycache__")
    )
    command = [uv, "build", "-q", "--wheel", "--out-dir", str(tmp_path), str(copy)]
    subprocess.run(command, check=True, env={**os.environ, **TRUST})
    (wheel,) = tmp_path.glob("nox_envs-*.whl")
    (project / "noxfile.py").write_text(
        "# /// script\n"
        f'# dependencies = ["nox", "nox-envs[uv] @ {wheel.as_uri()}"]\n'
        "# ///\n"
        "import nox\n"
        "import nox_envs\n"
        "@nox_envs.session(dependencies=['six==1.16.0'])\n"
        "def test(session):\n"
        "    session.run('python', '-c', 'import six; print(\"SIX\", six.__version__)')\n"
        "if __name__ == '__main__':\n"
        "    nox.main()\n"
    )
    code, out = nox(project)
    assert code == 0, out
    assert "SIX 1.16.0" in out
