"""A report as the document that programs read: schema `nox-envs.report/1`.

Paths of locks and logs are relative to the directory of the run, which `directory` names
relative to the noxfile.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nox_envs.report import bisected, blamed, floored, gridded
from nox_envs.report.document import SCHEMA, changes, document
from nox_envs.report.facts import (
    BisectReport,
    CulpritReport,
    FloorsReport,
    MatrixReport,
    UpgradeReport,
)

if TYPE_CHECKING:
    from nox_envs.report.facts import Candidate, Fresh, Guilty, Judgement, Line, Report

__all__ = ["SCHEMA", "dumps", "to_dict"]


def __dir__() -> list[str]:
    return __all__


def dumps(report: Report) -> str:
    """The document as text, in ASCII and with a newline at the end."""
    return json.dumps(to_dict(report), indent=2, allow_nan=False) + "\n"


def to_dict(report: Report) -> dict[str, Any]:
    """The document, in a stable order."""
    match report:
        case UpgradeReport():
            return _upgrade(report)
        case BisectReport():
            return bisected.to_dict(report)
        case FloorsReport():
            return floored.to_dict(report)
        case CulpritReport():
            return blamed.to_dict(report)
        case MatrixReport():
            return gridded.to_dict(report)
        case _:
            raise TypeError(f"no document for {type(report).__name__}")


def _upgrade(report: UpgradeReport) -> dict[str, Any]:
    whole = document(
        report,
        "upgrade",
        about={
            "dependencies": report.dependencies,
            "files": list(report.files),
            "pinned": report.pinned,
            "lines": [_line(one) for one in report.lines],
            "instead": list(report.instead),
            "exhausted": dict(report.exhausted),
        },
        answer={
            "candidates": [_candidate(one) for one in report.candidates],
            "safe_set": _safe_set(report),
            "fresh": {name: _fresh(one) for name, one in report.fresh.items()},
        },
    )
    entries = whole["baseline"].values()
    for entry, baseline in zip(entries, report.baseline.values(), strict=False):
        entry["may_fail"] = baseline.may_fail
    return whole


def _line(line: Line) -> dict[str, str]:
    return {"place": line.place, "before": line.before, "after": line.after}


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "name": candidate.name,
        "current": candidate.current,
        "target": candidate.target,
        "latest": candidate.latest,
        "places": list(candidate.places),
        "lifted": list(candidate.lifted),
        "unsupported": dict(candidate.unsupported),
        "verdicts": {name: _judgement(one) for name, one in candidate.verdicts.items()},
    }


def _judgement(judgement: Judgement) -> dict[str, Any]:
    return {
        "verdict": str(judgement.verdict),
        "version": judgement.version,
        "reason": judgement.reason,
        "together_with": list(judgement.together_with),
        "trials": list(judgement.trials),
        "failing": dict(judgement.failing),
        "unexercised": judgement.unexercised,
        "log": judgement.log,
        "culprits": [_guilty(one) for one in judgement.culprits],
    }


def _guilty(guilty: Guilty) -> dict[str, Any]:
    return {
        "name": guilty.name,
        "from": guilty.before,
        "to": guilty.after,
        "declared": guilty.declared,
        "brought_in_by": list(guilty.brought_in_by),
        "partners": list(guilty.partners),
        "evidence": list(guilty.evidence),
        "first_bad": guilty.first_bad,
        "requirement": guilty.requirement,
    }


def _safe_set(report: UpgradeReport) -> dict[str, Any]:
    """An entry for each cell, and `all`: one without pins where there is no set."""
    sets: dict[str, Any] = {
        name: {"pins": {}, "trials": [], "packages": {}, "moved": {}} for name in report.columns
    }
    for name, one in report.safe_sets.items():
        sets[name] = {
            "pins": dict(sorted(one.pins.items())),
            "trials": list(one.trials),
            "packages": dict(sorted(one.packages.items())),
            "moved": changes(one.moved),
        }
    sets["all"] = {
        "pins": dict(sorted((report.common or {}).items())),
        "trials": {name: list(trials) for name, trials in report.common_trials.items()},
    }
    return sets


def _fresh(fresh: Fresh) -> dict[str, Any]:
    return {
        "outcome": str(fresh.outcome),
        "trial": fresh.trial,
        "moved": changes(fresh.moved),
        "reason": fresh.reason,
        "trials": list(fresh.trials),
    }
