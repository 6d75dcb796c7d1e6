"""The lower bounds that a project promises on one column, and what they come down to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from nox_envs.called import Called
from nox_envs.errors import UsageError
from nox_envs.resolve.requests import Origin, Request, expand_extras
from nox_envs.upgrade.bench import near
from nox_envs.upgrade.candidates import place_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName

    from nox_envs.upgrade.column import Column

__all__ = ["Bound", "bounds_of", "lower_bound", "lowest_of", "own_names"]


def __dir__() -> list[str]:
    return __all__


_MOST_NAMED = 4


@dataclass(slots=True, kw_only=True)
class Bound:
    """One dependency of the project on one column."""

    requirement: Requirement
    """Of all lines about it that apply."""
    declared: Version | None
    """The lower bound that is written; once that is known, the lowest release that it admits."""
    written: str = ""
    """The same as people know it: `20.1`, and not `20.1.0`."""
    promised: Version | None = None
    """The lowest release that the declaration admits."""
    installed: Version | None = None
    """What a resolver takes when it takes the lowest."""
    raised_by: tuple[str, ...] = ()
    reason: str = ""
    place: str = ""
    lines: frozenset[str] = frozenset()
    """The markers of these lines: two columns with one of them have one bound."""

    @property
    def shown(self) -> str:
        """What is declared, as it is written where that is a release."""
        is_release = bool(self.written) and Version(self.written) == self.declared
        return self.written if is_release else str(self.declared)


def bounds_of(
    column: Column, asked: Collection[NormalizedName] = (), *, called: Called | None = None
) -> dict[str, Bound]:
    """What the project itself asks for; test tools are no promise to anybody.

    Of those that are `asked` about, what is declared anywhere. Raises `UsageError` where there
    is nothing, and says what to type as the user has `called` the campaign.
    """
    own = _own(column)
    if asked:
        names = {canonicalize_name(one.name) for one, _ in own}
        declared = [
            (each.requirement, str(each.requirement.marker))
            for name, found in column.declared.items() if name not in names for each in found
        ]  # fmt: skip
        own = [*declared, *own]
        known = dict.fromkeys(canonicalize_name(one.name) for one, _ in own)
        for name in asked:
            if name not in known:
                raise UsageError(
                    problem=f"{name} is not declared for {column.name}",
                    advice=(near(name, known),),
                )
        own = [(one, line) for one, line in own if canonicalize_name(one.name) in asked]
    if not own:
        raise UsageError(
            problem=f"{column.name} has no project whose lower bounds could be proven",
            advice=_naming(column, called or Called()),
        )
    bounds: dict[str, Bound] = {}
    for each, line in own:
        name = canonicalize_name(each.name)
        requirement, lines = Requirement(str(each)), {line}
        if name in bounds:
            requirement.specifier &= bounds[name].requirement.specifier
            requirement.extras |= bounds[name].requirement.extras
            lines |= bounds[name].lines
        requests = column.declared.get(name, ())
        bounds[str(name)] = Bound(
            requirement=requirement,
            declared=lower_bound(requirement.specifier),
            written=_written(requirement.specifier),
            place=next((place_of(request.origin) for request in requests), ""),
            lines=frozenset(lines),
        )
    return dict(sorted(bounds.items()))


def _naming(column: Column, called: Called) -> tuple[str, ...]:
    """How to ask about dependencies that are not those of a project."""
    bounded = [
        str(name)
        for name, requests in sorted(column.declared.items())
        if any(_is_range(each.requirement.specifier) for each in requests)
    ]
    names = bounded[:_MOST_NAMED] or ["NAME"]
    what = "name the dependencies that it is about:   "
    if called.by_us:  # There is no declaration to be changed.
        return (f"{what}{called.line('floors', *names)}",)
    return (f"{what}-- {' '.join(names)}", "or set project=")


def _is_range(specifier: SpecifierSet) -> bool:
    return any(each.operator in {">=", "~=", ">"} for each in specifier)


def own_names(column: Column) -> set[NormalizedName]:
    """What the project itself asks for."""
    return {canonicalize_name(one.name) for one, _ in _own(column)}


def lowest_of(
    column: Column, bounds: Mapping[str, Bound]
) -> Mapping[NormalizedName, Version | None]:
    """The lowest of each direct dependency that has a lower bound, for the project alone.

    With the project as a requirement they would be transitive, and highest; with the test
    tools these would be lowest, too. The lowest of what has no bound may be as old as the
    index: it is only kept within what is declared. Raises a `NoxEnvsError`.
    """
    requests = tuple(_request(column, bound) for bound in bounds.values())
    if all(one.constraint for one in requests):
        return {}
    wanted = replace(
        column.gathered.wanted,
        requests=requests,
        locals=(),
        resolution="lowest-direct",
    )
    gathered = replace(column.gathered, wanted=wanted, project=None, installs_project=False)
    return column.planner.resolve(gathered, {}, place="floors").pins


def _request(column: Column, bound: Bound) -> Request:
    requirement, constraint = bound.requirement, bound.declared is None
    if constraint:  # It can have no extras.
        requirement = Requirement(str(requirement))
        requirement.extras = set()
    known = column.declared.get(canonicalize_name(requirement.name), ())
    origin = Origin(file="the project", line=None, text=str(bound.requirement))
    return Request(
        requirement=requirement,
        origin=known[0].origin if known else origin,
        constraint=constraint,
    )


def lower_bound(specifier: SpecifierSet) -> Version | None:
    """The lowest version that is named as admitted; None where there is no bound."""
    return max(map(Version, _lower_bounds(specifier)), default=None)


def _written(specifier: SpecifierSet) -> str:
    """The same as it was written; empty where there is no bound."""
    return max(_lower_bounds(specifier), key=Version, default="")


def _lower_bounds(specifier: SpecifierSet) -> list[str]:
    return [
        each.version.removesuffix(".*")
        for each in specifier
        if each.operator in {">=", "~=", "==", "===", ">"}
    ]


def _own(column: Column) -> list[tuple[Requirement, str]]:
    """The dependencies of the project itself, for the extras that are chosen, and their lines."""
    gathered, markers = column.gathered, column.interpreter.markers
    project = gathered.pyproject
    if gathered.project is not None:
        wheel = column.wheels[gathered.project.path]
        own, requires = str(wheel.name), list(wheel.requires_dist)
    elif project is not None and column.place.declaration.project is not False:
        own = project.name or ""
        requires = [*project.requires_dist(), *project.poetry_requires()]
    else:
        return []
    inner = [text for text in requires
             if canonicalize_name(Requirement(text).name) == canonicalize_name(own)]  # fmt: skip
    return [
        (one, str(Requirement(text).marker))
        for text in requires
        if text not in inner
        for one in expand_extras(own, [text, *inner], gathered.extras, markers)
    ]
