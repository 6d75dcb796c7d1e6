"""Compare nox-envs with what people use today, side by side, and print ratios.

    nox -s bench                     everything, 5 rounds
    nox -s bench -- matrix -n 3      one comparison, 3 rounds

Every comparison has lanes that do the same work. They take turns, so that whatever else the
machine does meets all of them; a ratio is the median of the ratios of pairs of one round. All
lanes start from the same caches, warm and offline, and recreate their environments each time.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from nox_envs import discover

if TYPE_CHECKING:
    from collections.abc import Callable

WANTED = ("3.9", "3.10", "3.11", "3.12", "3.13")
REQUESTS = ("2.28.2", "2.30.0", "2.31.0", "2.32.3")
LARGE = ("pandas==2.2.3", "boto3==1.35.0", "fastapi==0.115.0")
OLD = ("requests==2.31.0", "click==8.1.3", "jinja2==3.1.2", "markupsafe==2.1.1", "idna==3.4")
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Lane:
    """One way to do the work of a comparison."""

    name: str
    run: Callable[[], None]
    before: Callable[[], None] = lambda: None
    """Done before each run, and not measured."""


@dataclass(frozen=True)
class Comparison:
    """Lanes that do the same, and what their ratios should be."""

    name: str
    lanes: tuple[Lane, ...]
    goals: tuple[tuple[str, str, float], ...]
    """This lane, in units of that lane, at most."""


@dataclass
class Desk:
    """Where the projects of the comparisons lie, and how their commands are run."""

    place: Path
    env: dict[str, str] = field(default_factory=dict)

    def project(self, name: str, **files: str) -> Path:
        directory = self.place / name
        for path, text in files.items():
            target = directory / path.replace("__", "/").replace("_DOT_", ".")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        (directory / ".gitignore").write_text(".nox\n.tox\n.edgetest\n", encoding="utf-8")
        for words in (["init", "-q"], ["add", "-A"]):
            subprocess.run(["git", *words], cwd=directory, check=True, env=self.env)
        return directory

    def call(self, *words: str, cwd: Path, **env: str) -> None:
        """Run a command that must succeed: a red run is no measurement."""
        done = subprocess.run(
            words, cwd=cwd, env={**self.env, **env}, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            sys.exit(f"{' '.join(words)} failed in {cwd}:\n{done.stdout}\n{done.stderr}")

    def tool(self, name: str, *words: str, cwd: Path) -> Callable[[], None]:
        return lambda: self.call(str(BIN / name), *words, cwd=cwd)


TESTS = """\
import pytest
import requests


@pytest.mark.parametrize("number", range(20))
def test_quick(number):
    url = requests.Request("GET", "https://example.org", params={"n": number}).prepare().url
    assert url.endswith(f"n={number}")
"""


def matrix(desk: Desk, pythons: list[str]) -> Comparison:
    """The tests of a project on every Python, with four releases of a dependency."""
    stock = desk.project(
        "stock",
        tests__test_quick_DOT_py=TESTS,
        noxfile_DOT_py=f"""\
import nox


@nox.session(python={pythons!r}, venv_backend="uv", allow_parallel=True)
@nox.parametrize("requests", {list(REQUESTS)!r})
def test(session, requests):
    session.install(f"requests=={{requests}}", "pytest>=8")
    session.run("pytest", "-q")
""",
        tox_DOT_ini="\n".join([
            "[tox]",
            "env_list = " + ",".join(
                f"py{python.replace('.', '')}-r{number}"
                for python in pythons for number in range(len(REQUESTS))
            ),
            "no_package = true",
            "[testenv]",
            "deps =",
            "    pytest>=8",
            *(f"    r{number}: requests=={text}" for number, text in enumerate(REQUESTS)),
            "commands = pytest -q",
            "",
        ]),
    )  # fmt: skip
    ours = desk.project(
        "ours", tests__test_quick_DOT_py=TESTS, noxfile_DOT_py=ours_noxfile(pythons)
    )
    again = desk.project(
        "again",
        tests__test_quick_DOT_py=TESTS,
        noxfile_DOT_py=ours_noxfile(pythons, "skip_unchanged=True, "),
    )
    environments = [
        (python, text, desk.place / "alone" / f"{python}-{text}")
        for python in pythons
        for text in REQUESTS
    ]
    for python, text, environment in environments:
        uv = str(BIN / "uv")
        desk.call(uv, "venv", "-q", "-p", python, str(environment), cwd=desk.place)
        target = str(environment / "bin" / "python")
        words = (uv, "pip", "install", "-q", "-p", target, f"requests=={text}", "pytest>=8")
        desk.call(*words, cwd=desk.place, UV_OFFLINE="0")

    def alone() -> None:
        with ThreadPoolExecutor(CORES) as pool:
            words = [(str(place / "bin" / "pytest"), "-q") for *_, place in environments]
            list(pool.map(lambda each: desk.call(*each, cwd=stock), words))

    def change() -> None:
        path = again / "tests" / "test_quick.py"
        path.write_text(f"{TESTS}# {time.time_ns()}\n", encoding="utf-8")

    run = desk.tool("nox", "-s", "matrix", cwd=again)
    jobs = str(CORES)
    return Comparison(
        name=f"matrix of {len(environments)} cells",
        lanes=(
            Lane("nox -s matrix", desk.tool("nox", "-s", "matrix", cwd=ours)),
            Lane(f"nox -j {jobs}, uv", desk.tool("nox", "-j", jobs, cwd=stock)),
            Lane(
                f"tox-uv -p {jobs}", desk.tool("tox", "run-parallel", "-r", "-p", jobs, cwd=stock)
            ),
            Lane("the tests alone", alone),
            Lane("first run", run, change),
            Lane("unchanged repeat", run),
        ),
        goals=(
            ("nox -s matrix", f"nox -j {jobs}, uv", 0.40),
            ("nox -s matrix", f"tox-uv -p {jobs}", 0.50),
            ("nox -s matrix", "the tests alone", 1.25),
            ("unchanged repeat", "first run", 0.10),
        ),
    )


def ours_noxfile(pythons: list[str], more: str = "") -> str:
    return f"""\
import nox_envs


@nox_envs.session(
    python={pythons!r}, dependencies="pytest>=8", {more}project=False,
    matrix={{"requests": {[f"=={text}" for text in REQUESTS]!r}}},
)
def test(session):
    session.run("pytest", "-q")


nox_envs.campaigns(test)
"""


def first_import(desk: Desk) -> Comparison:
    """A fresh environment of large packages, and their first import."""
    run = 'session.run("python", "-c", "import pandas, boto3, fastapi")\n'
    stock = desk.project(
        "large-stock",
        noxfile_DOT_py=f"import nox\n\n\n@nox.session(venv_backend='uv')\ndef large(session):\n"
        f"    session.install(*{LARGE!r})\n    {run}",
    )
    ours = desk.project(
        "large-ours",
        noxfile_DOT_py=f"import nox_envs\n\n\n@nox_envs.session(dependencies={list(LARGE)!r})\n"
        f"def large(session):\n    {run}",
    )
    return Comparison(
        name="fresh environment and first import of pandas, boto3, fastapi",
        lanes=(
            Lane("nox-envs", desk.tool("nox", "-s", "large", cwd=ours)),
            Lane("nox, uv", desk.tool("nox", "-s", "large", cwd=stock)),
        ),
        goals=(("nox-envs", "nox, uv", 0.42),),
    )


def listing(desk: Desk) -> Comparison:
    """What it costs to list 5,000 cells, and to import the package."""
    pythons, values = list(WANTED), [str(number) for number in range(1000)]
    stock = desk.project(
        "list-stock",
        noxfile_DOT_py=f"import nox\n\n\n@nox.session(python={pythons!r})\n"
        f"@nox.parametrize('requests', {values!r})\ndef test(session, requests): ...\n",
    )
    ours = desk.project(
        "list-ours",
        noxfile_DOT_py=f"import nox_envs\n\n\n@nox_envs.session(python={pythons!r}, "
        f"matrix={{'requests': {values!r}}})\ndef test(session): ...\n",
    )
    return Comparison(
        name="nox -l, 5,000 cells",
        lanes=(
            Lane("nox-envs", desk.tool("nox", "-l", cwd=ours)),
            Lane("nox", desk.tool("nox", "-l", cwd=stock)),
            Lane(
                "import nox, nox_envs", desk.tool("python", "-c", "import nox, nox_envs", cwd=ours)
            ),
            Lane("import nox", desk.tool("python", "-c", "import nox", cwd=ours)),
        ),
        goals=(("nox-envs", "nox", 1.3),),
    )


def upgrade(desk: Desk) -> Comparison:
    """Which of five outdated dependencies can be upgraded, when all of them can."""
    files = {
        "requirements_DOT_txt": "\n".join([*OLD, ""]),
        "tests__test_quick_DOT_py": f"import click\nimport jinja2\n{TESTS}",
    }
    ours = desk.project(
        "upgrade-ours",
        **files,
        noxfile_DOT_py="import nox_envs\n\n\n@nox_envs.session(requirements='requirements.txt', "
        "dependencies='pytest>=8')\ndef test(session):\n    session.run('pytest', '-q')\n\n\n"
        "nox_envs.campaigns(test)\n",
    )
    theirs = desk.project(
        "upgrade-edgetest",
        **files,
        pyproject_DOT_toml='[project]\nname = "quick"\nversion = "1"\n\n'
        '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n\n'
        "[tool.setuptools]\npy-modules = []\n",
    )
    words = ("-r", "requirements.txt", "--deps", "pytest", "--command", "pytest -q")
    return Comparison(
        name="upgrade of 5 outdated dependencies",
        lanes=(
            Lane("nox -s upgrade", desk.tool("nox", "-s", "upgrade", cwd=ours)),
            Lane(
                "edgetest",
                desk.tool("edgetest", *words, cwd=theirs),
                lambda: shutil.rmtree(theirs / ".edgetest", ignore_errors=True),
            ),
        ),
        goals=(),
    )


def race(comparison: Comparison, rounds: int, pause: float) -> dict[str, list[float]]:
    """Seconds of every lane, one of each in every round; every second round goes backwards.

    `pause` seconds lie between two of them: on some file systems a file that is made pays for
    those that were removed shortly before.
    """
    for lane in comparison.lanes:  # Fill what caches they have, and what bytecode.
        lane.before()
        lane.run()
    seconds: dict[str, list[float]] = {lane.name: [] for lane in comparison.lanes}
    for number in range(rounds):
        print(f"{comparison.name}: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        for lane in comparison.lanes[:: -1 if number % 2 else 1]:
            lane.before()
            time.sleep(pause)
            begun = time.perf_counter()
            lane.run()
            seconds[lane.name].append(time.perf_counter() - begun)
    return seconds


def ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def table(comparison: Comparison, seconds: dict[str, list[float]]) -> str:
    """Medians, and the ratios that have a goal."""
    lines = [
        f"### {comparison.name}",
        "",
        "| lane | median s | min | max |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {name} | {statistics.median(each):.3f} | {min(each):.3f} | {max(each):.3f} |"
        for name, each in seconds.items()
    ]
    goals = [
        f"| {ours} / {theirs} | {ratio(seconds[ours], seconds[theirs]):.2f} | {goal:.2f} |"
        for ours, theirs, goal in comparison.goals
    ]
    if goals:
        lines += ["", "| ratio | measured | goal, at most |", "| --- | --- | --- |", *goals]
    return "\n".join([*lines, ""])


def machine() -> dict[str, str]:
    found = {"date": datetime.now(timezone.utc).date().isoformat(), "cores": str(CORES),
             "system": platform.platform(), "python": platform.python_version()}  # fmt: skip
    for name in ("nox", "nox-envs", "uv", "tox", "tox-uv", "edgetest"):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def environment() -> dict[str, str]:
    """The user's, less what would keep bytecode from being written, and with every Python."""
    env = {name: text for name, text in os.environ.items()
           if not name.startswith(("PYTHON", "PIP_", "NOX", "VIRTUAL_ENV", "COLUMNS"))}  # fmt: skip
    return {**env, "UV_OFFLINE": "1"}


def main() -> None:
    comparisons = {"matrix", "import", "list", "upgrade"}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of {', '.join(sorted(comparisons))}")
    parser.add_argument("-n", "--rounds", type=int, default=5)
    parser.add_argument("--pause", type=float, default=0, metavar="S", help="between two lanes")
    parser.add_argument("--json", type=Path, default=Path("benchmark.json"))
    asked = parser.parse_args()
    names = set(asked.names) or comparisons
    if names - comparisons:
        parser.error(f"choose of {', '.join(sorted(comparisons))}")
    env = environment()
    there: dict[str, Path] = {}
    for found in discover.available(os.environ):
        series = ".".join(found.version.split(".")[:2])
        if found.is_exact and series in WANTED:
            there.setdefault(series, found.path.parent)
    pythons = sorted(there, key=WANTED.index)
    env["PATH"] = os.pathsep.join([str(BIN), *map(str, there.values()), env.get("PATH", "")])
    report: dict[str, object] = {"machine": machine(), "comparisons": {}}
    tables = []
    with tempfile.TemporaryDirectory(prefix="nox-envs-bench-") as place:
        desk = Desk(Path(place), env)
        made = {
            "matrix": lambda: matrix(desk, pythons),
            "import": lambda: first_import(desk),
            "list": lambda: listing(desk),
            "upgrade": lambda: upgrade(desk),
        }
        results: dict[str, object] = {}
        for name in sorted(names):
            desk.env = {**env, "UV_OFFLINE": "0"}
            comparison = made[name]()
            if name != "list":
                for lane in comparison.lanes:
                    lane.before()
                    lane.run()
            # edgetest has no way to stay offline: an upgrade asks the index in both lanes.
            desk.env = {**env, "UV_OFFLINE": "0" if name == "upgrade" else "1"}
            seconds = race(comparison, asked.rounds, asked.pause)
            results[name] = {
                "seconds": seconds,
                "ratios": [
                    {"lane": ours, "of": theirs, "goal": goal,
                     "measured": ratio(seconds[ours], seconds[theirs])}
                    for ours, theirs, goal in comparison.goals
                ],
            }  # fmt: skip
            tables.append(table(comparison, seconds))
    report["comparisons"] = results
    asked.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    print("\n".join([f"{machine()}", "", *tables]))


if __name__ == "__main__":
    main()
