"""What earlier matrices have left: how long cells took, and which of them passed."""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING, Any

from nox_envs import _files

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["last_cells", "note_seconds", "seconds"]


def __dir__() -> list[str]:
    return __all__


_SECONDS = "durations.json"
_MOST = 5000
"""Cells whose durations are kept."""
_STAMP = re.compile(r"-\d{8}-\d{6}(-\d+)?$", re.ASCII)
"""What follows the name of a session in the name of a campaign's directory."""


def seconds(cache: Path) -> dict[str, float]:
    """How long each cell took when it was run last, by name."""
    found = _read(cache / _SECONDS)
    return {name: float(one) for name, one in found.items() if isinstance(one, int | float)}


def note_seconds(cache: Path, taken: Mapping[str, float]) -> None:
    """Remember how long cells took; those that were not run for longest are forgotten."""
    if not taken:
        return
    known = {name: one for name, one in seconds(cache).items() if name not in taken}
    kept = list({**known, **taken}.items())[-_MOST:]
    with contextlib.suppress(OSError):  # It costs order, never correctness.
        _files.write_text(cache / _SECONDS, json.dumps(dict(kept)))


def last_cells(own: Path) -> Mapping[str, Any] | None:
    """What each cell showed in the last matrix that asked about it; None where there was none.

    `own` is the directory of this one, whose name tells what its session is called.
    """
    session = _STAMP.sub("", own.name)
    reports = []
    for path in own.parent.glob("*/report.json"):
        if path.parent != own and _STAMP.sub("", path.parent.name) == session:
            found = _read(path)
            if found.get("kind") == "matrix" and isinstance(found.get("cells"), dict):
                reports.append((str(found.get("started")), path.parent.name, found))
    if not reports:
        return None
    cells: dict[str, Any] = {}
    for _, _, report in sorted(reports, key=lambda one: one[:2]):
        cells.update(report["cells"])
    return cells


def _read(path: Path) -> dict[str, Any]:
    """A JSON object of ours; an empty one where there is none."""
    try:
        return dict(json.loads(_files.read_text(path)))
    except (OSError, ValueError, TypeError):
        return {}
