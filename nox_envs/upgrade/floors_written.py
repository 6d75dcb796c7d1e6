"""Lower bounds that were proven, as the user's own files are to promise them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from nox_envs.resolve.requests import applies
from nox_envs.upgrade import edit_lines, edit_tables, edits
from nox_envs.upgrade.judged import Aim, Refusal
from nox_envs.upgrade.promised import bounds_of, lower_bound, lowest_of, own_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from packaging.requirements import Requirement
    from packaging.utils import NormalizedName
    from packaging.version import Version

    from nox_envs.upgrade.column import Column
    from nox_envs.upgrade.judged import Edited
    from nox_envs.upgrade.proven import Promise, ProvenFloors

__all__ = ["differences", "edited", "expected"]


def __dir__() -> list[str]:
    return __all__


def edited(columns: Sequence[Column], texts: Mapping[str, str], proven: ProvenFloors) -> Edited:
    """Edit what promises the corrected dependencies: the project, or else what declares them.

    A line has the highest of the floors of all columns on which it holds.
    """
    own = {name for column in columns for name in own_names(column)}
    declarations = [column.place.declaration for column in columns]
    extras = {extra for one in declarations for extra in one.extras}
    groups = {group for one in declarations for group in one.groups}

    def version(requirement: Requirement) -> Version | None:
        return _floor(requirement, columns, proven)

    promised = Aim(names=proven.pins.keys() & own, version=version, floors=True)
    others = Aim(names=proven.pins.keys() - own, version=version, floors=True)
    plain = {name: text for name, text in texts.items() if not name.endswith(".toml")}
    parts = [edit_lines.edited(name, text, others) for name, text in plain.items()]
    for name, text in texts.items():
        if name.endswith(".toml"):
            project = any(column.is_its_project(name) for column in columns)
            first = edit_tables.edited(
                name, text, promised, extras=extras, groups=(), project=project
            )
            text = first.texts.get(name, text)  # noqa: PLW2901 - the second goes on with it
            sessions = {(one.name, key) for one in declarations for key in one.asked_in(name)}
            second = edit_tables.edited(
                name, text, others, extras=(), groups=groups, sessions=sessions, project=project
            )
            parts += [first, second]
    found = edits.joined(parts)
    known = {one.name for one in found.edits} | {one.name for one in found.refusals}
    missing = _in_the_noxfile(columns, proven, others.names)
    missing += _elsewhere(columns, proven, {*known, *(one.name for one in missing)})
    return edits.joined([found, edits.Edited(refusals=tuple(missing))])


def _floor(
    requirement: Requirement, columns: Sequence[Column], proven: ProvenFloors
) -> Version | None:
    """Where a line has to begin; None where it is to stay."""
    name = canonicalize_name(requirement.name)
    promises = [
        promise
        for column in columns
        if applies(requirement, column.interpreter.markers)
        and (promise := proven.promises.get(column.name, {}).get(name))
    ]
    bounded = [one for one in promises if one.is_bounded]
    if not any(one.is_corrected for one in promises) or not all(one.floor for one in bounded):
        return None
    if bounded and lower_bound(requirement.specifier) is None:
        return None  # Another line bounds it.
    return max((one.floor for one in bounded or promises if one.floor), default=None)


def _in_the_noxfile(
    columns: Sequence[Column], proven: ProvenFloors, names: Collection[NormalizedName]
) -> list[Refusal]:
    found = {}
    for column in columns:
        for name in sorted(names):
            for request in column.declared.get(name, ()):
                floor = _floor(request.requirement, columns, proven)
                if floor is not None and request.origin.file.endswith(".py"):
                    text = edits.floored(request.requirement, floor)
                    if text is not None:
                        found[request.origin] = edits.in_a_program(request, text)
    return list(found.values())


def _elsewhere(
    columns: Sequence[Column], proven: ProvenFloors, known: Collection[str]
) -> Iterator[Refusal]:
    """What is promised where nothing was found to edit: in a setup.py, by a build backend."""
    for column in columns:
        bounds = bounds_of(column, list(proven.promises[column.name]))
        for name in sorted(proven.pins.keys() - set(known)):
            bound = bounds.get(str(name))
            floor = expected(column.name, proven).get(name)
            if bound is None or floor is None or not _promise(column, proven, name).is_corrected:
                continue
            text = edits.floored(bound.requirement, floor)
            if text is None:
                continue
            yield Refusal(
                file=bound.place.partition(":")[0] or "the project",
                line=None,
                name=str(name),
                reason="it is promised where it cannot be edited",
                instead=f"{bound.requirement.name}{text}",
            )


def _promise(column: Column, proven: ProvenFloors, name: NormalizedName) -> Promise:
    return proven.promises[column.name][name]


def expected(cell: str, proven: ProvenFloors) -> dict[NormalizedName, Version]:
    """The lowest release of each promise that is to hold, on one column: what it passed with.

    A bound that a test tool raises was not tested, before or after.
    """
    promises, environment = proven.promises.get(cell, {}), proven.environments.get(cell, {})

    def is_own(text: str) -> bool:
        match = re.match(r"[\w.-]+", text)
        return text == "another dependency" or (
            match is not None and canonicalize_name(match[0]) in promises
        )

    return {
        name: version
        for name, one in promises.items()
        if one.is_bounded and one.floor is not None and (version := environment.get(name))
        and all(map(is_own, one.raised_by))
    }  # fmt: skip


def differences(column: Column, proven: ProvenFloors) -> list[str]:
    """What the files promise now that is not what passed."""
    wanted = expected(column.name, proven)
    lowest = lowest_of(column, bounds_of(column, list(proven.promises[column.name])))
    return [
        f"{column.name}: the lowest {name} would be {lowest.get(name)}, it passed with {version}"
        for name, version in sorted(wanted.items())
        if lowest.get(name) != version
    ]
