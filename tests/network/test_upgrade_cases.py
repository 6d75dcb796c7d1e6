"""Upgrades that are known to break, on the real index: what a campaign says of each set."""

from __future__ import annotations

import json
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
class Project:
    """Pins, and a session that passes with them."""

    python: str
    pins: str
    probe: str

    @property
    def cell(self) -> str:
        return f"test-{self.python}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a campaign said: nox's code and output, and the report."""

    code: int
    out: str
    report: dict[str, Any]
    cell: str

    def judged(self, name: str) -> dict[str, Any]:
        found = next(one for one in self.report["candidates"] if one["name"] == name)
        return dict(found["verdicts"][self.cell])

    @property
    def verdicts(self) -> dict[str, str]:
        found = self.report["candidates"]
        return {one["name"]: one["verdicts"][self.cell]["verdict"] for one in found}

    @property
    def safe(self) -> dict[str, str]:
        """The set on offer, which was run: exactly it, and nothing else moved."""
        pins = dict(self.report["safe_set"]["all"]["pins"])
        proofs = self.report["safe_set"]["all"]["trials"].get(self.cell, [])
        trials = [one for one in self.report["trials"] if one["id"] in proofs]
        assert trials or not pins
        for one in trials:
            assert one["outcome"] == "pass"
            assert {name: new for name, (_, new) in one["changes"].items()} == pins
        return pins

    def tried(self, name: str) -> list[str]:
        """The releases of a package that were run, but for the one in use."""
        trials = self.report["trials"]
        return [one["changes"][name][1] for one in trials if name in one["changes"]]


JINJA = Project(
    python="3.9",
    pins="jinja2==2.11.3\nmarkupsafe==1.1.1\n",
    probe='import jinja2; assert jinja2.Template("{{x}}").render(x=1) == "1"',
)
PANDAS = Project(
    python="3.10",
    pins="pandas==1.5.3\nsqlalchemy==1.4.54\nnumpy==1.26.4\n",
    probe="import pandas, sqlalchemy; e = sqlalchemy.create_engine('sqlite://'); "
    "assert len(pandas.read_sql('select 1 as a', e)) == 1",
)
REQUESTS = Project(
    python="3.11",
    pins="requests==2.28.2\nurllib3==1.26.18\nrequests-toolbelt==0.10.1\n",
    probe="import requests_toolbelt",
)
FLASK = Project(
    python="3.11", pins="flask==2.2.2\nwerkzeug==2.2.3\n", probe="from flask import Flask"
)
YAML = Project(python="3.11", pins="pyyaml==5.3.1\n", probe="import yaml")
OLD = Project(python="3.12", pins="pandas==1.5.3\n", probe="import pandas")


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests of a worker: what was downloaded for one is there for the next."""
    directory = tmp_path_factory.getbasetemp() / "home"
    directory.mkdir(exist_ok=True)
    return directory


@pytest.fixture
def upgrade(tmp_path: Path, home: Path) -> Upgrade:
    return Upgrade(tmp_path, home)


class Upgrade:
    """Runs `nox -s upgrade -- ...` as a user does, in a directory of its own."""

    def __init__(self, directory: Path, home: Path) -> None:
        self.directory, self.home = directory, home

    def __call__(self, project: Project, *words: str) -> Answer:
        if discover.locate(project.python, os.environ) is None:
            pytest.skip(f"Python {project.python} is not on this machine")
        (self.directory / "requirements.txt").write_text(project.pins)
        command = f'session.run("python", "-W", "ignore", "-c", {project.probe!r})'
        (self.directory / "noxfile.py").write_text(
            "import nox_envs\n"
            f'@nox_envs.session(python="{project.python}", requirements="requirements.txt")\n'
            f"def test(session):\n    {command}\n"
            "nox_envs.campaigns(test)\n"
        )
        foreign = ("NOX", "UV_", "PYTEST_", "VIRTUAL_ENV", "PIP_FIND_LINKS")
        env = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
        done = subprocess.run(
            [sys.executable, "-m", "nox", "-s", "upgrade", "--", *words, "--json", "r.json"],
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
        return Answer(code=done.returncode, out=done.stdout, report=report, cell=project.cell)


@pytest.mark.parametrize(
    ("project", "targets"),
    [
        (JINJA, {"jinja2": "3.1.6", "markupsafe": "3.0.3"}),
        (PANDAS, {"numpy": "2.0.2", "pandas": "2.2.3", "sqlalchemy": "2.0.36"}),
        (REQUESTS, {"requests": "2.31.0", "requests-toolbelt": "1.0.0", "urllib3": "2.0.7"}),
    ],
)
def test_what_breaks_one_by_one_passes_together(
    upgrade: Upgrade, project: Project, targets: dict[str, str]
) -> None:
    found = upgrade(project, *(f"{name}=={version}" for name, version in targets.items()))
    assert (found.code, found.report["status"]) == (0, "ok"), found.out
    assert "today, together: that exact set passed" in found.out
    assert found.safe == targets
    assert found.verdicts == dict.fromkeys(targets, "safe")
    assert [one["outcome"] for one in found.report["trials"]] == ["pass", "pass"]


def test_one_without_the_other_breaks(upgrade: Upgrade) -> None:
    found = upgrade(JINJA, "markupsafe==3.0.3")
    assert (found.code, found.report["status"]) == (0, "broken"), found.out
    assert (found.safe, found.verdicts) == ({}, {"markupsafe": "breaks"})
    assert "ImportError: cannot import name 'soft_unicode'" in found.judged("markupsafe")["reason"]
    assert set(found.tried("markupsafe")) == {"3.0.3"}
    assert "Nothing newer" not in found.out


@pytest.mark.parametrize(
    ("project", "target"), [(JINJA, "jinja2==3.1.6"), (REQUESTS, "urllib3==2.0.7")]
)
def test_one_that_does_not_fit_the_other_pins_is_not_run(
    upgrade: Upgrade, project: Project, target: str
) -> None:
    found = upgrade(project, target)
    name, _, version = target.partition("==")
    assert found.code == 0, found.out
    assert (found.safe, found.verdicts) == ({}, {name: "infeasible"})
    assert found.judged(name)["version"] is None
    assert found.judged(name)["trials"] == []
    assert found.tried(name) == []
    assert f"{name} {version} cannot be resolved" in found.out
    assert "breaks" not in found.out


def test_the_part_of_a_set_that_passes(upgrade: Upgrade) -> None:
    """urllib3 2 comes with the newer requests only, and breaks the toolbelt, which stays."""
    found = upgrade(REQUESTS, "requests==2.31.0", "urllib3==2.0.7")
    assert (found.code, found.report["status"]) == (0, "broken"), found.out
    assert found.safe == {"requests": "2.31.0"}
    assert found.verdicts == {"requests": "safe", "urllib3": "breaks"}
    assert "cannot import name 'appengine'" in found.judged("urllib3")["reason"]


def test_the_highest_release_that_passes(upgrade: Upgrade) -> None:
    found = upgrade(FLASK, "--hold", "flask")
    assert found.code == 0, found.out
    assert found.safe == {"werkzeug": "2.3.8"}
    assert found.verdicts == {"flask": "held", "werkzeug": "capped"}
    assert found.judged("werkzeug")["version"] == "2.3.8"
    assert "cannot import name 'url_quote'" in found.judged("werkzeug")["reason"]
    assert "3.0.0" in found.tried("werkzeug")


def test_what_cannot_be_built_is_not_broken(upgrade: Upgrade) -> None:
    found = upgrade(YAML, "pyyaml==5.4.1")
    assert found.code == 0, found.out
    assert (found.safe, found.verdicts) == ({}, {"pyyaml": "unbuildable"})
    assert {one["outcome"] for one in found.report["trials"]} == {"pass", "unbuildable"}
    assert "breaks" not in found.out


def test_pins_that_cannot_be_built_are_no_baseline(upgrade: Upgrade) -> None:
    found = upgrade(OLD, "pandas==2.2.3")
    assert found.code == 1, found.out
    assert found.report["baseline"][found.cell]["outcome"] == "unbuildable"
    assert (found.safe, found.verdicts) == ({}, {"pandas": "inconclusive"})
    assert "breaks" not in found.out
