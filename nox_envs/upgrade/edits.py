"""The smallest edits that make the user's own files ask for other versions."""

from __future__ import annotations

import re
from difflib import unified_diff
from typing import TYPE_CHECKING

from nox_envs.upgrade import clauses, edit_lines, edit_tables
from nox_envs.upgrade.judged import Aim, Edit, Edited, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from packaging.requirements import Requirement
    from packaging.utils import NormalizedName
    from packaging.version import Version

    from nox_envs.resolve.requests import Request

__all__ = [
    "Edit",
    "Edited",
    "Refusal",
    "diff",
    "floored",
    "in_a_program",
    "joined",
    "pyproject",
    "requirement_files",
    "widened",
]


def __dir__() -> list[str]:
    return __all__


# -- one specifier


def widened(requirement: Requirement, version: Version) -> str | None:
    """The specifier that admits a version with the least change; None where it does already.

    Raises `ValueError` where that is for the user to decide: a direct reference, an
    exclusion of this very version, a lower bound above it.
    """
    return _specifier(requirement, version, Aim.admit({}, applies=bool))


def floored(requirement: Requirement, floor: Version) -> str | None:
    """The specifier that begins at a version, upper bounds kept; None where it does already.

    Raises `ValueError` for a direct reference, and where one release is asked for.
    """
    return _specifier(requirement, floor, Aim(names=(), version=_no_version, floors=True))


def _no_version(_: Requirement) -> None:
    """Where the version is known already."""


def _specifier(requirement: Requirement, version: Version, aim: Aim) -> str | None:
    if requirement.url:
        raise ValueError(f"{requirement.name} is a direct reference")
    text = str(requirement.specifier)
    if aim.floors:  # As people write it: from below.
        parts = sorted(map(str, requirement.specifier), key=lambda one: one[0] in "<!")
        text = ",".join(parts)
    changed = aim.changed(text, version)
    if not changed:
        return None
    if reason := aim.against(text, changed, version):
        raise ValueError(reason)
    return ",".join(dict.fromkeys(clauses.rewritten(text, changed).split(",")))


# -- files


def requirement_files(
    texts: Mapping[str, str],
    pins: Mapping[NormalizedName, Version],
    *,
    applies: Callable[[Requirement], bool],
) -> Edited:
    """Edit requirement and constraint files, by their labels, to admit the pins.

    A requirement for which `applies` says no is left alone. So is what other files are
    included or compiled from, unless it is among the texts. A compiled file is never edited.
    """
    aim = Aim.admit(pins, applies=applies)
    return joined(edit_lines.edited(label, text, aim) for label, text in texts.items())


def pyproject(
    label: str,
    text: str,
    pins: Mapping[NormalizedName, Version],
    *,
    extras: Collection[str] | None,
    groups: Collection[str] | None,
    applies: Callable[[Requirement], bool],
    sessions: Collection[tuple[str, str]] = (),
    project: bool = True,
) -> Edited:
    """Edit the dependencies in a pyproject.toml to admit the pins.

    Of optional dependencies and groups, those that are named and what they include; None
    for all; of no project at all where `project` says so. Of `[tool.nox-envs.sessions]`, what
    holds for a session and one of its fields, each. A requirement for which `applies` says no
    is left alone. Raises `ValueError` for a text that is not TOML.
    """
    aim = Aim.admit(pins, applies=applies)
    return edit_tables.edited(
        label, text, aim, extras=extras, groups=groups, sessions=sessions, project=project
    )


def joined(parts: Iterable[Edited]) -> Edited:
    """What became of all files."""
    found = list(parts)
    return Edited(
        texts={label: text for one in found for label, text in one.texts.items()},
        edits=tuple(edit for one in found for edit in one.edits),
        refusals=tuple(refusal for one in found for refusal in one.refusals),
    )


def in_a_program(request: Request, specifier: str) -> Refusal:
    """What is declared in a noxfile is for the user to write."""
    return Refusal(
        file=request.origin.file,
        line=request.origin.line,
        name=str(request.name),
        reason="a noxfile is a program, which is not edited",
        instead=f'write "{request.requirement.name}{specifier}"',
    )


def diff(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """A unified diff that `patch -p1` and `git apply` understand. What is not in `after` stays."""
    shown = list[str]()
    for label, text in after.items():
        old, new = (re.findall(r"[^\n]*\n|[^\n]+", one) for one in (before.get(label, ""), text))
        for line in unified_diff(old, new, f"a/{label}", f"b/{label}"):
            shown.append(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n")
    return "".join(shown)
