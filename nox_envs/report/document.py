"""What the JSON documents of all campaigns have in common: schema `nox-envs.report/1`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nox_envs.outcome import Changes, Trial
    from nox_envs.report.facts import Baseline, Report

__all__ = ["SCHEMA", "changes", "document"]


def __dir__() -> list[str]:
    return __all__


SCHEMA = "nox-envs.report/1"


def document(
    report: Report, kind: str, *, about: Mapping[str, Any], answer: Mapping[str, Any]
) -> dict[str, Any]:
    """The document, in a stable order: `about` follows the header, `answer` the baseline."""
    whole: dict[str, Any] = _whole(
        {
            "schema": SCHEMA,
            "kind": kind,
            "sessions": list(report.sessions),
            "status": report.status,
            "error": report.error or None,
            "mode": report.mode,
            "started": report.started,
            "seconds": round(report.seconds, 3),
            "tools": dict(report.tools),
            "directory": report.directory,
            **about,
            "columns": dict(report.columns),
            "not_tested": dict(report.not_tested),
            "baseline": {name: _baseline(one) for name, one in report.baseline.items()},
            **answer,
            "trials": [_trial(one) for one in report.trials],
            "kept": dict(report.kept),
        }
    )
    return whole


def changes(changes: Changes) -> dict[str, list[str | None]]:
    """By name: before and after."""
    return {name: list(changes[name]) for name in sorted(changes)}


def _baseline(baseline: Baseline) -> dict[str, Any]:
    return {
        "outcome": None if baseline.outcome is None else str(baseline.outcome),
        "trial": baseline.trial,
        "seconds": round(baseline.seconds, 3),
        "reason": baseline.reason,
        "known_failures": list(baseline.known_failures),
        "log": baseline.log,
    }


def _trial(trial: Trial) -> dict[str, Any]:
    failure = trial.failure
    return {
        "id": trial.id,
        "cell": trial.cell,
        "python": trial.python,
        "changes": changes(trial.changes),
        "moved": changes(trial.moved),
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
