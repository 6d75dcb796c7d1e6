"""Upgrade campaigns as a user runs them, and what their reports say."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from nox_envs import discover

if TYPE_CHECKING:
    from collections.abc import Sequence

    from support.bench import Bench, Ran

__all__ = ["CELL", "THIS", "Answer", "campaign", "declare", "other_python", "pin", "upgrade"]

THIS = f"{sys.version_info.major}.{sys.version_info.minor}"
CELL = f"test-{THIS}"
_RUN = 'session.run("python", "check.py", *session.posargs)'


@dataclass(frozen=True)
class Answer:
    """A campaign that has ended: what nox said, and the report file."""

    ran: Ran
    report: dict[str, Any]

    @property
    def out(self) -> str:
        return self.ran.out

    @property
    def status(self) -> str:
        return str(self.report["status"])

    @property
    def trials(self) -> list[dict[str, Any]]:
        return list(self.report["trials"])

    @property
    def safe(self) -> dict[str, str]:
        """The common set."""
        return dict(self.report["safe_set"]["all"]["pins"])

    def candidate(self, name: str) -> dict[str, Any]:
        return next(one for one in self.report["candidates"] if one["name"] == name)

    def judged(self, name: str, cell: str = CELL) -> dict[str, Any]:
        return dict(self.candidate(name)["verdicts"][cell])

    def verdicts(self, cell: str = CELL) -> dict[str, str]:
        found = self.report["candidates"]
        return {one["name"]: one["verdicts"][cell]["verdict"] for one in found}

    def tried(self, name: str) -> list[str]:
        """The releases of a package that were run, in order, but for the one in use."""
        return [one["changes"][name][1] for one in self.trials if name in one["changes"]]

    def bisected(self, cell: str = CELL) -> dict[str, Any]:
        """What a bisection found on a cell."""
        return dict(self.report["result"][cell])

    def floors(self, cell: str = CELL) -> dict[str, dict[str, Any]]:
        """The lower bounds of a cell, by dependency."""
        return dict(self.report["floors"][cell])

    def outcomes(self, ids: Sequence[str]) -> set[str]:
        """What these trials showed."""
        return {one["outcome"] for one in self.trials if one["id"] in ids}


def pin(bench: Bench, names: str, versions: str = "1.0 2.0") -> None:
    """Publish releases of packages, and pin the first of each in requirements.txt."""
    published = versions.split()
    for name in names.split():
        for version in published:
            bench.index.wheel(name, version)
    path = bench.project / "requirements.txt"
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    lines = [f"{name}=={published[0]}\n" for name in names.split()]
    path.write_text("".join([before, *lines]), encoding="utf-8")


def declare(
    bench: Bench,
    check: str,
    *,
    run: str = _RUN,
    options: str = 'requirements="requirements.txt"',
    python: object = THIS,
    campaigns: str = "",
) -> None:
    """Write check.py, and a noxfile whose session `test` runs it."""
    bench.write("check.py", check)
    text = (
        f"@nox_envs.session(python={python!r}, {options})\n"
        f"def test(session):\n    {run}\n\n"
        f"nox_envs.campaigns(test{campaigns})\n"
    )
    bench.noxfile(text)


def upgrade(bench: Bench, *words: str, **variables: Any) -> Answer:
    """Run `nox -s upgrade`; there is no report where it was refused."""
    return campaign(bench, "upgrade", *words, **variables)


def campaign(bench: Bench, session: str, *words: str, **variables: Any) -> Answer:
    """Run a campaign by the name of its session; there is no report where it was refused."""
    path = bench.root / "report.json"
    path.unlink(missing_ok=True)
    ran = bench.nox("-s", session, "--", "--json", str(path), *words, **variables)
    assert "Traceback" not in ran.out, ran.out
    report = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return Answer(ran=ran, report=report)


def other_python() -> str:
    """Another Python of this machine, which need not be activated."""
    for found in discover.available(os.environ):
        series = ".".join(found.version.split(".")[:2])
        if found.is_exact and series != THIS and series in {"3.9", "3.10", "3.11", "3.12", "3.13"}:
            return series
    pytest.skip("no other Python on this machine")
