"""A break that is known, on the real index: the sentence that names what nobody declares."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from nox_envs import discover

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.network

_NOXFILE = """\
import nox_envs
@nox_envs.session(python="3.11", dependencies=["requests", "requests-toolbelt==0.10.1"])
def test(session):
    session.run("python", "-W", "ignore", "-c", "import requests_toolbelt")
nox_envs.campaigns(test)
"""
_GOOD = """\
certifi==2023.7.22
charset-normalizer==3.4.0
idna==3.6
requests==2.28.2
requests-toolbelt==0.10.1
urllib3==1.26.20
"""
_BAD = """\
certifi==2024.8.30
charset-normalizer==3.4.1
idna==3.10
requests==2.32.3
requests-toolbelt==0.10.1
urllib3==2.2.3
"""


@pytest.mark.parametrize("bad", ["bad.txt", "now"])
def test_what_a_fine_upgrade_brings_in_is_to_blame(tmp_path: Path, bad: str) -> None:
    if discover.locate("3.11", os.environ) is None:
        pytest.skip("Python 3.11 is not on this machine")
    project = tmp_path / "project"
    project.mkdir()
    (project / "noxfile.py").write_text(_NOXFILE, encoding="utf-8")
    (project / "good.txt").write_text(_GOOD, encoding="utf-8")
    (project / "bad.txt").write_text(_BAD, encoding="utf-8")
    foreign = ("NOX", "UV_", "PYTEST_", "VIRTUAL_ENV", "PIP_FIND_LINKS")
    env = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    words = ["-s", "culprit", "--", "--good", "good.txt", "--bad", bad, "--json", "r.json"]
    done = subprocess.run(
        [sys.executable, "-m", "nox", *words],
        cwd=project,
        env=env | {"HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    sentence = "requests is fine; urllib3 2.x, brought in by requests>=2.30, is not: add urllib3<2"
    assert sentence in done.stdout, done.stdout
    report = json.loads((project / "r.json").read_text(encoding="utf-8"))
    (guilty,) = report["culprits"]
    assert (guilty["name"], guilty["from"], guilty["declared"]) == ("urllib3", "1.26.20", False)
    assert guilty["brought_in_by"] == ["requests>=2.30"]
    assert guilty["requirement"] == "urllib3<2"
    assert report["cure"] == {"urllib3": "1.26.20"}
    assert report["result"]["test-3.11"]["innocent"] == ["requests"]
