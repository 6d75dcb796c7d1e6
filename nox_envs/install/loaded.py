"""Which modules a session loads, remembered by the names of their files alone."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from nox_envs import _files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from nox_envs.interpreter import Interpreter

__all__ = ["PIP", "loaded", "names", "note"]


def __dir__() -> list[str]:
    return __all__


PIP = ""
"""In the place of a session: what pip loads of itself, whatever the session is."""
_PIP_FILES = "pip/"
_LISTS = "lists"
_MOST = 20_000
_KEPT = timedelta(days=30)


def loaded(interpreter: Interpreter) -> set[str]:
    """The source files for which an environment holds bytecode, relative to site-packages.

    That of an optimizing interpreter, or of pytest's rewritten assertions, is another matter.
    """
    suffix = f".cpython-{interpreter.python.replace('.', '')}.pyc"
    places = {os.path.realpath(place) for place in (interpreter.purelib, interpreter.platlib)}
    return {name for place in places for name in _sources(place, suffix)}


def _sources(top: str, suffix: str) -> Iterator[str]:
    pending = [""]
    while pending:
        prefix = pending.pop()
        with contextlib.suppress(OSError), os.scandir(f"{top}{os.sep}{prefix}") as entries:
            for entry in entries:
                name = entry.name
                if name == "__pycache__":
                    for file in os.listdir(entry.path):  # noqa: PTH208 - names are all it takes
                        if file.endswith(suffix):
                            yield f"{prefix}{file[: -len(suffix)]}.py"
                elif entry.is_dir(follow_symlinks=False) and not name.endswith(".dist-info"):
                    pending.append(f"{prefix}{name}/")


def names(store: Path, session: str) -> set[str]:
    """The files that passing runs of a session loaded lately."""
    return {name for listed in _read(_path(store, session)).values() for name in listed}


def note(store: Path, interpreter: Interpreter, *, session: str, today: date | None = None) -> None:
    """Remember what a passing run has loaded.

    A name that no environment of the session has held for a month is forgotten. Two processes
    that note at once may lose names: a later run adds them again.
    """
    found = loaded(interpreter)
    of_pip = {name for name in found if name.startswith(_PIP_FILES)}
    today = today or datetime.now(timezone.utc).date()
    _merge(_path(store, PIP), of_pip, today)
    _merge(_path(store, session), found - of_pip, today)


def _merge(path: Path, found: set[str], today: date) -> None:
    days = _read(path)
    if found <= set(days.get(today.isoformat(), ())):
        return
    oldest = (today - _KEPT).isoformat()
    latest = {name: day for day in sorted(days) if day >= oldest for name in days[day]}
    latest |= dict.fromkeys(found, today.isoformat())
    merged: dict[str, list[str]] = {}
    for name in sorted(latest, key=lambda name: latest[name], reverse=True)[:_MOST]:
        merged.setdefault(latest[name], []).append(name)
    with contextlib.suppress(OSError):
        _files.write_text(path, json.dumps(merged))


def _read(path: Path) -> dict[str, list[str]]:
    """The names by the day on which they were last seen; none where it cannot be read."""
    try:
        data = json.loads(_files.read_text(path))
        return {str(day): [str(name) for name in listed] for day, listed in data.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _path(store: Path, session: str) -> Path:
    digest = hashlib.sha256(session.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return store / _LISTS / f"{digest}.json"
