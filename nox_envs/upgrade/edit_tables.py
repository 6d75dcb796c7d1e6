"""Edits of the dependencies in a pyproject.toml, in tables of the standard and of poetry."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from nox_envs.upgrade import clauses
from nox_envs.upgrade.judged import POETRY_SOURCES, Edit, Edited, Judged, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from nox_envs.upgrade.clauses import Clause
    from nox_envs.upgrade.judged import Aim

__all__ = ["edited"]


def __dir__() -> list[str]:
    return __all__


_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")
_LITERAL = re.compile(r".", re.DOTALL)
_ESCAPED = re.compile(
    r"(?P<nothing>\\[ \t]*\r?\n\s*)|\\u[0-9A-Fa-f]{4}|\\U[0-9A-Fa-f]{8}|\\x[0-9A-Fa-f]{2}|\\?.",
    re.DOTALL,
)


def edited(
    label: str,
    text: str,
    aim: Aim,
    *,
    extras: Collection[str] | None,
    groups: Collection[str] | None,
    sessions: Collection[tuple[str, str]] = (),
    project: bool = True,
) -> Edited:
    """Edit the dependencies in a pyproject.toml.

    Of optional dependencies and groups, those that are named and what they include; None
    for all; of no project at all where `project` says so. Of `[tool.nox-envs.sessions]`, what
    holds for a session and one of its fields, each. Raises `ValueError` for a text that is not
    TOML.
    """
    import tomlkit  # noqa: PLC0415 - only when something is written

    bare = text.removeprefix("\ufeff")
    document = tomlkit.parse(bare)
    places = [*_session_places(_table(document, "tool", "nox-envs", "sessions"), sessions)]
    if project:
        places = [*_places(document, extras, groups), *places]
    found = [(place, one) for place in places if (one := place.judged(aim))]
    # The parser tells no positions, but where marks come out the texts have been.
    mark = "nox-envs"
    while mark in bare:
        mark += "-"
    raw = [place.holder[place.key].as_string() for place, _ in found]
    for index, (place, _) in enumerate(found):
        place.holder[place.key] = f"{mark}{index}"
    before, *marked = re.split(rf'"{mark}(\d+)"', tomlkit.dumps(document))
    after, edits, refusals = before, list[Edit](), list[Refusal]()
    for index, between in zip(map(int, marked[::2]), marked[1::2], strict=True):
        one, line = found[index][1], before.count("\n") + 1
        if one.reason:
            refusals.append(one.refusal(label, line))
        else:
            edits.append(one.edit(label, line))
        before += raw[index] + between
        changed = () if one.reason else _in_toml(raw[index], one.changed)
        after += clauses.rewritten(raw[index], changed) + between
    if before != bare:
        reason = f"{label} is laid out in a way that cannot be kept"
        refused = [one.refusal(label, None, one.reason or reason) for _, one in found]
        return Edited(refusals=tuple(refused))
    texts = {label: text[: len(text) - len(bare)] + after} if edits else {}
    return Edited(texts=texts, edits=tuple(edits), refusals=tuple(refusals))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the text of a requirement stands in a document."""

    holder: Any
    """A table or an array."""
    key: Any
    name: str = ""
    """Of a dependency of poetry."""
    entry: Any = None

    def judged(self, aim: Aim) -> Judged | None:
        if self.name:
            return Judged.poetry(self.name, self.entry, aim)
        return Judged.requirement(self.holder[self.key], aim)


def _places(
    document: Mapping[str, Any],
    extras: Collection[str] | None,
    groups: Collection[str] | None,
) -> Iterator[_Place]:
    """Every text of a project that is a requirement, or the version of one."""
    project = _table(document, "project")
    own = canonicalize_name(str(project.get("name", "")))

    def inner_groups(entry: Any) -> list[str]:
        return [entry.get("include-group", "")] if isinstance(entry, Mapping) else []

    def inner_extras(entry: Any) -> set[str]:
        match = _NAME.match(entry) if isinstance(entry, str) else None
        is_own = match is not None and canonicalize_name(match[1]) == own
        return Requirement(entry).extras if is_own else set()

    plain = [project.get("dependencies", [])]
    plain += _reached(_table(document, "dependency-groups"), groups, inner_groups)
    if extras is not None:
        extras = [
            *extras,
            *(extra for each in plain for one in each for extra in inner_extras(one)),
        ]
    plain += _reached(_table(project, "optional-dependencies"), extras, inner_extras)
    for array in plain:
        for index, one in enumerate(array):
            if isinstance(one, str):
                yield _Place(holder=array, key=index)
    poetry = _table(document, "tool", "poetry")
    named = {name: _table(one, "dependencies") for name, one in _table(poetry, "group").items()}
    chosen = [
        _table(poetry, "dependencies"),
        *_reached({"dev": _table(poetry, "dev-dependencies")}, groups, lambda _: ()),
        *_reached(named, groups, lambda _: ()),
    ]
    for table in chosen:
        yield from _poetry_places(table)


def _session_places(
    tables: Mapping[str, Any], sessions: Collection[tuple[str, str]]
) -> Iterator[_Place]:
    """What sessions ask for themselves; where they do not say, what they extend does."""
    holders = {
        (name, field): None
        for session, field in sessions
        if (name := _saying(field, tables, session, ())) is not None
    }
    for name, field in holders:
        value = tables[name][field]
        if isinstance(value, str):
            yield _Place(holder=tables[name], key=field)
        for index, one in enumerate(value if isinstance(value, list) else ()):
            if isinstance(one, str):
                yield _Place(holder=value, key=index)


def _saying(
    field: str, tables: Mapping[str, Any], session: str, trail: tuple[str, ...]
) -> str | None:
    """Which session says what a field of a session is: itself, or the last that it extends."""
    table = _table(tables, session)
    if field in table:
        return session
    extended = table.get("extends", ())
    names = [extended] if isinstance(extended, str) else list(extended)
    trail = (*trail, session)
    found = (_saying(field, tables, str(one), trail) for one in reversed(names) if one not in trail)
    return next((one for one in found if one is not None), None)


def _poetry_places(table: Mapping[str, Any]) -> Iterator[_Place]:
    for name, value in table.items():
        if isinstance(value, str):
            yield _Place(holder=table, key=name, name=name, entry=value)
        for entry in value if isinstance(value, list) else [value]:
            if isinstance(entry, Mapping):
                keys = [key for key in (*POETRY_SOURCES, "version") if key in entry]
                yield from (_Place(holder=entry, key=k, name=name, entry=entry) for k in keys[:1])


def _table(data: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        value = data.get(key)
        data = value if isinstance(value, Mapping) else {}
    return data


def _reached(
    tables: Mapping[str, Any],
    names: Collection[str] | None,
    inner: Callable[[Any], Iterable[str]],
) -> list[Any]:
    """The values of some names and of those that their entries include; None for all."""
    normal = {canonicalize_name(name): value for name, value in tables.items()}
    if names is None:
        return list(normal.values())
    pending, reached = [canonicalize_name(name) for name in names], set[NormalizedName]()
    while pending:
        name = pending.pop()
        if name not in reached:
            reached.add(name)
            pending += [
                canonicalize_name(n) for entry in normal.get(name, ()) for n in inner(entry)
            ]
    return [value for name, value in normal.items() if name in reached]


def _in_toml(raw: str, changed: Iterable[Clause]) -> list[Clause]:
    """Clauses by their places in a string as it is written, quotes and escapes included."""
    opening = re.match(r"(\"\"\"|''')(\r?\n)?|.", raw)
    start = opening.end() if opening else 0
    pattern = _ESCAPED if raw.startswith('"') else _LITERAL
    spans = [match.span() for match in pattern.finditer(raw, start) if not match.lastgroup]

    def place(first: int, end: int) -> tuple[int, int]:
        after = spans[end - 1][1] if end else start
        return (spans[first][0] if first < end else after), after

    return [replace(clause, place=place(*clause.place)) for clause in changed]
