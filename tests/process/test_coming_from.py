"""The pages for those who come from other tools: their projects are built, and their commands run."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from virtualenv.seed.wheels.embed import get_embed_wheel

if TYPE_CHECKING:
    from support.bench import Bench
    from support.index import Index

pytestmark = pytest.mark.process

PAGES = Path(__file__).parents[2] / "docs" / "coming-from"
NAMES = "pipenv", "poetry", "pyenv", "tox", "venv-requirements", "virtualenvwrapper"
THIS = f"{sys.version_info.major}.{sys.version_info.minor}"
OF_REQUESTS = "certifi", "charset-normalizer", "idna", "urllib3"
OF_PYTEST = "iniconfig", "packaging", "pluggy", "pygments"
PYTEST = """
import pathlib, runpy, sys
def main():
    paths = [*pathlib.Path().glob("test_*.py"), *pathlib.Path().glob("tests/test_*.py")]
    tests = [(name, one) for path in paths for name, one in runpy.run_path(str(path)).items()]
    passed = [one() for name, one in tests if name.startswith("test_")]
    print(len(passed), "passed")
    sys.exit(not passed)
if __name__ == "__main__":
    main()
"""
RUFF = "def main():\n    print('All checks passed!')\n"
POETRY_CORE = "from setuptools.build_meta import *\n"
DIFFERS = (
    # nox calls it after the program that it found: python, python3 or python3.11.
    (r"using python[\d.]*", "using python"),
    (r" \(?(?:in|took) (?:an? |[\d.]+ )\w+\)?\.?$", ""),
    (r" (?:in|took) (?:an? |[\d.]+ )\w+\.?$|\.$", ""),
    (r"\d+:\d+ today \(.*?\)|made with .*|/\S+/(?=\.nox)|-\d{8}-\d{6}", ""),
    (r"\b[\d.]+ s\b|\bt\d\b", "0"),
    (r"\b3[.-]1\d(?:\.\d+)?\b|python3\b", "3"),
    ("3, 3", "3"),
    (r"\bBoth cells|\d+ cells", "All cells"),
    ("All All", "All"),
)
"""What differs from run to run, and what stands for it."""


@pytest.fixture
def published(index: Index) -> None:
    """The releases that the pages speak of, as far as they matter."""
    for version in ("2.31.0", "2.32.3", "2.32.5", "2.34.2"):
        text = {"requests.py": f"__version__ = {version!r}\n"}
        index.wheel("requests", version, modules=text, requires=OF_REQUESTS)
    for version in ("8.4.2", "9.2.0"):
        text, script = {"pytest.py": PYTEST}, {"pytest": "pytest:main"}
        index.wheel("pytest", version, modules=text, entry_points=script, requires=OF_PYTEST)
    index.wheel("ruff", "0.14.6", modules={"ruff.py": RUFF}, entry_points={"ruff": "ruff:main"})
    backend = {"poetry/core/masonry/api.py": POETRY_CORE}
    index.wheel("poetry-core", "2.0", modules=backend, requires=["setuptools"])
    for name in (*OF_REQUESTS, *OF_PYTEST):
        index.wheel(name, "1.0")
    setuptools = get_embed_wheel("setuptools", THIS)
    assert setuptools is not None
    shutil.copy(setuptools.path, index.files)


def here(text: str) -> str:
    """What a page says of Pythons, of the one that runs the tests."""
    text = re.sub(r'python=\["3[^\]]*\]', f'python=["{THIS}"]', text)
    return re.sub(r"3\.1[12](?![\d.])", THIS, text)


def files(page: str) -> dict[str, str]:
    """The files of the example, by name."""
    found = re.findall(r"^`([\w./-]+)`[^\n]*:\n\n```\w+\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len(found) == len(dict(found)) >= 3
    return {name: here(text) for name, text in found}


def commands(page: str) -> list[tuple[str, list[str]]]:
    """The commands of the page, with what it says that they print."""
    blocks = re.findall(r"^```console\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    return [
        (here(command), here(said).splitlines())
        for block in blocks
        for command, said in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    ]


def rough(line: str) -> str:
    """A line without what differs from run to run: Pythons, times, places, ids and widths."""
    for pattern, instead in DIFFERS:
        line = re.sub(pattern, instead, line)
    return " ".join(line.split())


def locks(index: Index) -> dict[str, str]:
    """What `poetry lock` and `pipenv lock` would write, of the index of the test."""
    poetry: list[str] = []
    pipenv: dict[str, dict[str, Any]] = {"default": {}, "develop": {}, "lint": {}}
    needed = {"requests": OF_REQUESTS, "pytest": OF_PYTEST}
    groups = dict.fromkeys(("requests", *OF_REQUESTS), "main")
    groups |= dict.fromkeys(("pytest", *OF_PYTEST), "test") | {"ruff": "lint"}
    for name, group in groups.items():
        wheel = min(index.files.glob(f"{name.replace('-', '_')}-[0-9]*"))
        if name == "requests":
            wheel = next(index.files.glob("requests-2.32.5-*"))
        version, digest = wheel.name.split("-")[1], hashlib.sha256(wheel.read_bytes()).hexdigest()
        poetry += [
            f'[[package]]\nname = "{name}"\nversion = "{version}"\ngroups = ["{group}"]',
            f'files = [{{file = "{wheel.name}", hash = "sha256:{digest}"}}]',
            "[package.dependencies]",
            *(f'{one} = "*"' for one in needed.get(name, ())),
        ]
        category = {"main": "default", "test": "develop"}.get(group, group)
        pipenv[category][name] = {"version": f"=={version}", "hashes": [f"sha256:{digest}"]}
    poetry.append('[metadata]\nlock-version = "2.1"\n')
    return {"poetry.lock": "\n".join(poetry), "Pipfile.lock": json.dumps(pipenv, indent=4)}


@pytest.mark.parametrize("name", NAMES)
def test_a_page(uv_bench: Bench, published: None, name: str) -> None:
    page = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    for place, text in files(page).items():
        uv_bench.write(place, text)
    for place, text in locks(uv_bench.index).items():
        if f'lock="{place}"' in page:
            uv_bench.write(place, text)
    ours = [(command, said) for command, said in commands(page) if command.startswith("nox")]
    assert len(ours) >= 2
    for command, said in ours:
        program, *words = shlex.split(command)
        done = subprocess.run(
            [sys.executable, "-m", program.replace("-", "_"), *words],
            cwd=uv_bench.project,
            env=uv_bench.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
            timeout=180,
        )
        assert done.returncode == any("aborted" in line for line in said), done.stdout
        seen = {rough(line) for line in done.stdout.splitlines()}
        missing = [line for line in said if line != "..." and rough(line) not in seen]
        assert not missing, f"{command}\n{missing}\n{done.stdout}"


def test_every_page_is_run() -> None:
    assert sorted(path.stem for path in PAGES.iterdir()) == list(NAMES)
