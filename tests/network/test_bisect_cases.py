"""Upgrades that are known to break, on the real index: the release that a bisection names."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from nox_envs import discover

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.network


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Pins that pass a probe, and a package with the latest release to ask about."""

    python: str
    pins: str
    probe: str
    package: str
    latest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a campaign said: nox's code and output, and the report."""

    code: int
    out: str
    report: dict[str, Any]

    @property
    def found(self) -> dict[str, Any]:
        (one,) = self.report["result"].values()
        return dict(one)

    @property
    def ends(self) -> tuple[str, str]:
        return self.found["last_good"], self.found["first_bad"]

    @property
    def limit(self) -> float:
        """So many trials are enough."""
        return math.log2(len(self.found["releases"])) + 6


FLASK = Case(
    python="3.11",
    pins="flask==2.2.2 werkzeug==2.2.3",
    probe="from flask import Flask",
    package="werkzeug",
    latest="3.1.9",
)
JINJA = Case(
    python="3.9",
    pins="jinja2==2.11.3 markupsafe==1.1.1",
    probe="import jinja2",
    package="markupsafe",
    latest="3.0.4",
)
PYDANTIC = Case(
    python="3.11",
    pins="pydantic==1.10.12",
    probe="from pydantic import BaseSettings",
    package="pydantic",
    latest="2.14.3",
)
TOOLBELT = Case(
    python="3.11",
    pins="requests==2.31.0 requests-toolbelt==0.10.1 urllib3==1.26.18",
    probe="import requests_toolbelt",
    package="urllib3",
    latest="2.8.0",
)
TYPER = Case(
    python="3.10",
    pins="typer==0.4.0 click==8.0.4",
    probe="import typer\n"
    "from typer.testing import CliRunner\n"
    "app = typer.Typer()\n"
    "@app.command()\n"
    "def main(n: int = typer.Option(1)): print(n)\n"
    "found = CliRunner().invoke(app, ['--help'])\n"
    "assert found.exit_code == 0, repr(found.exception)",
    package="click",
    latest="8.5.1",
)
PYTEST = Case(
    python="3.11",
    pins="pytest==7.4.4",
    probe="import pytest, sys\n"
    "open('test_a.py', 'w').write('class TestX:\\n"
    "    def setup(self): self.x = 1\\n"
    "    def test(self): assert self.x == 1\\n')\n"
    "sys.exit(pytest.main(['-q', 'test_a.py']))",
    package="pytest",
    latest="9.2.0",
)
SETUPTOOLS = Case(
    python="3.11",
    pins="setuptools==77.0.3 wheel==0.45.1",
    probe="import sys, setuptools; "
    "open('setup.cfg', 'w').write('[metadata]\\nname=x\\nversion=1\\ndescription-file=R\\n'); "
    "open('R', 'w').write('x'); sys.argv = ['setup.py', '-q', 'egg_info']; setuptools.setup()",
    package="setuptools",
    latest="78.1.0",
)


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests of a worker: what was downloaded for one is there for the next."""
    directory = tmp_path_factory.getbasetemp() / "home"
    directory.mkdir(exist_ok=True)
    return directory


@pytest.fixture
def bisect(tmp_path: Path, home: Path) -> Bisect:
    return Bisect(tmp_path, home)


class Bisect:
    """Runs `nox -s bisect -- NAME ...` as a user does, in a directory of its own."""

    def __init__(self, directory: Path, home: Path) -> None:
        self.directory, self.home = directory, home

    def __call__(self, case: Case, *words: str) -> Answer:
        if discover.locate(case.python, os.environ) is None:
            pytest.skip(f"Python {case.python} is not on this machine")
        (self.directory / "requirements.txt").write_text(case.pins.replace(" ", "\n"))
        command = f'session.run("python", "-W", "ignore", "-c", {case.probe!r})'
        (self.directory / "noxfile.py").write_text(
            "import nox_envs\n"
            f'@nox_envs.session(python="{case.python}", requirements="requirements.txt")\n'
            f"def test(session):\n    {command}\n"
            "nox_envs.campaigns(test)\n"
        )
        foreign = ("NOX", "UV_", "PYTEST_", "VIRTUAL_ENV", "PIP_FIND_LINKS")
        env = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
        asked = [case.package, "--bad", case.latest, "--jobs", "1", *words, "--json", "r.json"]
        done = subprocess.run(
            [sys.executable, "-m", "nox", "-s", "bisect", "--", *asked],
            cwd=self.directory,
            env=env | {"HOME": str(self.home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
            timeout=300,
        )
        written = self.directory / "r.json"
        assert written.exists(), done.stdout
        report = json.loads(written.read_text(encoding="utf-8"))
        return Answer(code=done.returncode, out=done.stdout, report=report)


@pytest.mark.parametrize(
    ("case", "ends", "requirement", "company"),
    [
        pytest.param(FLASK, ("2.3.8", "3.0.0"), "werkzeug<3", set(), id="removed"),
        pytest.param(JINJA, ("2.0.1", "2.1.0"), "markupsafe<2.1", set(), id="minor-series"),
        pytest.param(TOOLBELT, ("1.26.20", "2.0.2"), "urllib3<2", set(), id="behind-yanked"),
        pytest.param(TYPER, ("8.0.4", "8.1.0"), "click<8.1", set(), id="the-next-release"),
        pytest.param(
            PYDANTIC,
            ("1.10.27", "2.0"),
            "pydantic<2",
            {"annotated-types", "pydantic-core"},
            id="in-company",
        ),
    ],
)
def test_the_first_bad_release(
    bisect: Bisect, case: Case, ends: tuple[str, str], requirement: str, company: set[str]
) -> None:
    found = bisect(case)
    assert (found.code, found.report["status"], found.found["status"]) == (0, "broken", "found")
    assert found.ends == ends, found.out
    good, bad = ends
    assert f"{case.package} {bad} (" in found.out
    assert f"is the first release that breaks you. {good} is the last good one." in found.out
    assert f"Until then:   {requirement}; {case.package}==" in found.out
    assert found.found["requirement"] == requirement
    assert set(found.found["moved"]) == company
    assert len(found.report["trials"]) <= found.limit


def test_the_first_bad_release_fails_in_another_way_than_the_latest(bisect: Bisect) -> None:
    """8.0 raises a warning that was announced; what it warned of is gone in 8.1.1."""
    found = bisect(PYTEST)
    assert found.ends == ("7.4.4", "8.0.0"), found.out
    assert found.found["unknown"] == []
    assert found.found["requirement"] == "pytest<8"
    assert found.found["another_since"] == "8.1.1"
    assert found.found["tested"]["8.0.0"] == "other"
    assert found.found["newest"]["same_signature"] is False
    assert "From 8.1.1 on it was seen to fail in another way: " in found.out
    assert len(found.report["trials"]) <= found.limit


def test_a_pattern_says_which_failure_is_followed(bisect: Bisect) -> None:
    found = bisect(PYTEST, "--match", "has no attribute 'x'")
    assert found.ends == ("7.4.4", "8.1.1"), found.out
    assert found.found["unknown"][0] == "8.0.0"
    assert found.found["requirement"] == "pytest<8"
    assert len(found.report["trials"]) <= found.limit


def test_a_bad_release_in_the_middle(bisect: Bisect) -> None:
    """The later end passes, so that only a scan finds it."""
    found = bisect(SETUPTOOLS, "--scan")
    assert (found.code, found.found["status"]) == (0, "hole"), found.out
    assert found.found["bad_ranges"] == [["78.0.1", "78.0.1"]]
    assert (found.found["last_good"], found.found["fixed_in"]) == ("77.0.3", "78.0.2")
    assert found.found["requirement"] == "setuptools!=78.0.1"
    assert "is a bad release in the middle: 77.0.3 and 78.0.2 both pass." in found.out
