"""What was written to the user's files, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nox_envs.report.escape import plain
from nox_envs.report.words import count, duration, joined, padded, width

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = ["applied", "nothing_to_apply", "using"]


def __dir__() -> list[str]:
    return __all__


def applied(
    lines: Sequence[tuple[str, str, str]], *, packages: int, commands: Sequence[str] = ()
) -> str:
    """What changed: files, and what each line said before and says now."""
    files = list(dict.fromkeys(file for file, _, _ in lines))
    blocks = []
    for file in files:
        changed = [(plain(old), plain(new)) for name, old, new in lines if name == file]
        wide = max(width(old) for old, _ in changed)
        shown = [f"  -{padded(old, wide)}   +{new}" for old, new in changed]
        blocks.append("\n".join([f"{plain(file)}: {count(len(changed), 'line')} changed.", *shown]))
    if files:
        names = joined([plain(file) for file in files])
        gives = "gives" if len(files) == 1 else "give"
        blocks.append(
            f"Checked: {names} now {gives} exactly the versions that passed "
            f"({packages} of {packages})."
        )
    else:
        blocks.append("Nothing had to be written: your files admit the versions that passed.")
    if commands:
        blocks.append("\n".join(["Another tool keeps your lock file; now run:", *(
            f"  {command}" for command in commands
        )]))  # fmt: skip
    return "\n".join(f"{block}\n" for block in blocks)


def nothing_to_apply() -> str:
    """Where no upgrade passed, or there was none."""
    return "There is nothing to write: no newer release was proven.\n"


def using(started: datetime, now: datetime) -> str:
    """As `Using the result of 05:00 today (2 min ago). Same requirements, same code ...`."""
    local = started.astimezone()
    day = "today" if local.date() == now.astimezone().date() else "yesterday"
    ago = duration((now - started).total_seconds())
    return (
        f"Using the result of {local:%H:%M} {day} ({ago} ago). "
        "Same requirements, same code, same Pythons."
    )
