"""A report as the document that programs read: schema `nox-envs.report/1`.

Paths of locks and logs are relative to the directory of the run, which `directory` names
relative to the noxfile.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nox_envs.outcome import Changes, Trial
    from nox_envs.report.facts import Baseline, Candidate, Fresh, Judgement, UpgradeReport

__all__ = ["SCHEMA", "dumps", "to_dict"]


def __dir__() -> list[str]:
    return __all__


SCHEMA = "nox-envs.report/1"


def dumps(report: UpgradeReport) -> str:
    """The document as text, in ASCII and with a newline at the end."""
    return json.dumps(to_dict(report), indent=2, allow_nan=False) + "\n"


def to_dict(report: UpgradeReport) -> dict[str, Any]:
    """The document, in a stable order."""
    document = {
        "schema": SCHEMA,
        "kind": "upgrade",
        "sessions": list(report.sessions),
        "status": report.status,
        "error": report.error or None,
        "mode": report.mode,
        "started": report.started,
        "seconds": round(report.seconds, 3),
        "tools": dict(report.tools),
        "directory": report.directory,
        "dependencies": report.dependencies,
        "files": list(report.files),
        "pinned": report.pinned,
        "columns": dict(report.columns),
        "not_tested": dict(report.not_tested),
        "baseline": {name: _baseline(one) for name, one in report.baseline.items()},
        "candidates": [_candidate(one) for one in report.candidates],
        "safe_set": _safe_set(report),
        "fresh": {name: _fresh(one) for name, one in report.fresh.items()},
        "trials": [_trial(one) for one in report.trials],
        "kept": dict(report.kept),
    }
    cleaned: dict[str, Any] = _whole(document)
    return cleaned


def _baseline(baseline: Baseline) -> dict[str, Any]:
    return {
        "outcome": None if baseline.outcome is None else str(baseline.outcome),
        "trial": baseline.trial,
        "seconds": round(baseline.seconds, 3),
        "reason": baseline.reason,
        "known_failures": list(baseline.known_failures),
        "log": baseline.log,
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "name": candidate.name,
        "current": candidate.current,
        "target": candidate.target,
        "latest": candidate.latest,
        "places": list(candidate.places),
        "lifted": list(candidate.lifted),
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
            "moved": _changes(one.moved),
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
        "moved": _changes(fresh.moved),
        "reason": fresh.reason,
    }


def _trial(trial: Trial) -> dict[str, Any]:
    failure = trial.failure
    return {
        "id": trial.id,
        "cell": trial.cell,
        "python": trial.python,
        "changes": _changes(trial.changes),
        "moved": _changes(trial.moved),
        "outcome": str(trial.outcome),
        "seconds": round(trial.seconds, 3),
        "lock": trial.lock,
        "log": trial.log,
        "signature": failure.signature if failure else None,
        "failed_tests": sorted(failure.tests) if failure else [],
        "exception": failure.exception if failure else "",
        "suspects": list(failure.suspects) if failure else [],
        "reason": trial.reason,
        "reused": trial.reused,
    }


def _changes(changes: Changes) -> dict[str, list[str | None]]:
    return {name: list(changes[name]) for name in sorted(changes)}


def _whole(value: Any) -> Any:
    """Without halves of characters, which undecodable output has and readers refuse."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode("utf-8")
        case dict():
            return {_whole(key): _whole(one) for key, one in value.items()}
        case list():
            return [_whole(one) for one in value]
        case _:
            return value
