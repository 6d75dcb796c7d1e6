"""The journal of a campaign: a line of JSON for each thing that happened, for ever."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from nox_envs import _files
from nox_envs.errors import NewerJournal
from nox_envs.outcome import Failure, Outcome, Trial

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Journal", "read", "trial_from_dict", "trial_to_dict"]


def __dir__() -> list[str]:
    return __all__


_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Journal:
    """A file that is only ever appended to, by any number of processes."""

    path: Path

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a record, which is on the disk when this returns.

        The key `schema` is the journal's own. Raises `TypeError` or `ValueError` for what
        is no JSON, `OSError` where it cannot be written; what was there stays.
        """
        line = json.dumps({**record, "schema": _SCHEMA}, allow_nan=False, separators=(",", ":"))
        _files.append_line(self.path, line.encode("ascii"))


def read(path: Path) -> list[dict[str, Any]]:
    """All records, of whatever kind, in order; none where there is no journal.

    Half lines are what a crash leaves behind: they are skipped. Raises `NewerJournal`.
    """
    try:
        text = _files.read_text(path)
    except FileNotFoundError:
        return []
    records = []
    for line in text.split("\n"):
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and isinstance(schema := record.pop("schema", None), int):
            if schema > _SCHEMA:
                raise NewerJournal(path=str(path), known=_SCHEMA, schema=schema)
            records.append(record)
    return records


def trial_to_dict(trial: Trial) -> dict[str, Any]:
    """A trial as JSON has it."""
    return {field.name: _plain(getattr(trial, field.name)) for field in fields(trial)}


def _plain(value: Any) -> Any:
    if isinstance(value, Failure):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Outcome):
        return value.value
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return list(value) if isinstance(value, tuple) else value


def trial_from_dict(data: Mapping[str, Any]) -> Trial:
    """The trial that `trial_to_dict` gave; keys that are not known are skipped.

    Raises `ValueError` for what is no trial.
    """
    try:
        known = {field.name: data[field.name] for field in fields(Trial) if field.name in data}
        for name in known.keys() & {"changes", "moved"}:
            known[name] = {key: (before, after) for key, (before, after) in known[name].items()}
        if known.get("looked_up") is not None:
            known["looked_up"] = tuple(known["looked_up"])
        if known.get("failure") is not None:
            known["failure"] = _failure(known["failure"])
        return Trial(**{**known, "outcome": Outcome(known["outcome"])})
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"no trial: {error!r}") from error


def _failure(data: Mapping[str, Any]) -> Failure:
    known = {field.name: data[field.name] for field in fields(Failure) if field.name in data}
    return Failure(**{**known, "suspects": tuple(known.get("suspects", ()))})
