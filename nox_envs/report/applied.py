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
    lines: Sequence[tuple[str, str, str]],
    *,
    packages: int,
    commands: Sequence[str] = (),
    kind: str = "upgrade",
    left: Sequence[str] = (),
) -> str:
    """What changed: files, and what each line said before and says now.

    `left` is what does not hold and was not written.
    """
    files = list(dict.fromkeys(file for file, _, _ in lines))
    blocks = []
    for file in files:
        changed = [(plain(old), plain(new)) for name, old, new in lines if name == file]
        wide = max(width(old) for old, _ in changed)
        shown = [f"  -{padded(old, wide)}   +{new}" for old, new in changed]
        blocks.append("\n".join([f"{plain(file)}: {count(len(changed), 'line')} changed.", *shown]))
    if files:
        names = joined([plain(file) for file in files])
        one = len(files) == 1
        claim = f"{'gives' if one else 'give'} exactly the versions that passed"
        if kind == "floors":
            claim = f"{'promises' if one else 'promise'} exactly the lowest releases that passed"
        blocks.append(f"Checked: {names} now {claim} ({packages} of {packages}).")
    elif kind == "floors":
        blocks.append("Nothing had to be written: your files promise the releases that passed.")
    else:
        blocks.append("Nothing had to be written: your files admit the versions that passed.")
    if left:
        blocks.append(_left(left))
    if commands:
        blocks.append("\n".join(["Another tool keeps your lock file; now run:", *(
            f"  {command}" for command in commands
        )]))  # fmt: skip
    return "\n".join(f"{block}\n" for block in blocks)


def nothing_to_apply(kind: str = "upgrade", left: Sequence[str] = ()) -> str:
    """Where nothing else passed than what is there."""
    what = "lower bound" if kind == "floors" else "newer release"
    none = f"There is nothing to write: no {'other ' * (kind == 'floors')}{what} was proven."
    return "\n".join([none, *([_left(left)] if left else [])]) + "\n"


def _left(left: Sequence[str]) -> str:
    return "\n".join(["Left as it is:", *(f"  {plain(one)}" for one in left)])


def using(started: datetime, now: datetime) -> str:
    """As `Using the result of 05:00 today (2 min ago). Same requirements, same code ...`."""
    local = started.astimezone()
    day = "today" if local.date() == now.astimezone().date() else "yesterday"
    ago = duration((now - started).total_seconds())
    return (
        f"Using the result of {local:%H:%M} {day} ({ago} ago). "
        "Same requirements, same code, same Pythons."
    )
