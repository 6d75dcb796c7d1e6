"""One requirement that is to ask for other versions, and how it is rewritten."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

from nox_envs.pyproject import Pyproject
from nox_envs.upgrade import clauses
from nox_envs.upgrade.clauses import PEP_440, POETRY, Clause, Dialect

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from packaging.version import Version

__all__ = ["POETRY_SOURCES", "Aim", "Edit", "Edited", "Judged", "Refusal"]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One requirement that was changed."""

    file: str
    line: int
    """Counted from 1; the first of a line that is continued."""
    name: str
    """Normalized."""
    before: str
    """The requirement alone: `flask==2.2.2`."""
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A place that is to change and cannot be edited safely."""

    file: str
    line: int | None
    name: str
    """Normalized."""
    reason: str
    instead: str
    """What to type: a line to write there, or a command; the same for all of a compiled file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edited:
    """What became of files."""

    texts: Mapping[str, str] = field(default_factory=dict)
    """The files that changed, whole, by label."""
    edits: tuple[Edit, ...] = ()
    refusals: tuple[Refusal, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What requirements are to ask for."""

    names: Collection[NormalizedName]
    """Of which packages."""
    version: Callable[[Requirement], Version | None]
    """What one of these is about; None for one that is to stay."""
    floors: bool = False
    """Whether it has to begin at that version, instead of only admitting it."""

    @classmethod
    def admit(
        cls, pins: Mapping[NormalizedName, Version], *, applies: Callable[[Requirement], bool]
    ) -> Aim:
        """To admit the pins. A requirement for which `applies` says no is left alone."""

        def version(requirement: Requirement) -> Version | None:
            return pins[canonicalize_name(requirement.name)] if applies(requirement) else None

        return cls(names=pins, version=version)

    def changed(self, text: str, version: Version, dialect: Dialect = PEP_440) -> list[Clause]:
        """The clauses of a specifier to change. Raises `ValueError` for nonsense."""
        change = clauses.floored if self.floors else clauses.widened
        return change(text, version, dialect)

    def against(self, text: str, changed: Collection[Clause], version: Version) -> str:
        """Why a specifier is left to the user; empty where it is not."""
        left = [text[slice(*clause.whole)] for clause in changed if not clause.text]
        says = "asks for one release, not for" if self.floors else "excludes"
        return f"`{', '.join(left)}` {says} {version}" if left else ""


_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")
_VARIABLE = re.compile(r"\$\{[A-Z0-9_]+\}")
POETRY_SOURCES = ("git", "url", "path", "file")
"""What makes a dependency of poetry a direct reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A requirement that is to change."""

    name: NormalizedName
    version: Version
    before: str
    after: str = ""
    changed: tuple[Clause, ...] = ()
    """By their places in the text that was judged."""
    reason: str = ""
    """Why it is not edited; empty where it is."""
    instead: str

    @classmethod
    def requirement(cls, text: str, aim: Aim) -> Judged | None:
        """Of PEP 508; None for one that is to stay, and for what is none."""
        match = _NAME.match(text)
        name = canonicalize_name(match[1]) if match else None
        if name is None or name not in aim.names:
            return None
        try:
            requirement = Requirement(_VARIABLE.sub("0", text).strip())
        except InvalidRequirement:
            return None
        version, head = aim.version(requirement), text.partition(";")[0]
        if version is None:
            return None
        extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
        marker = f" ; {requirement.marker}" if requirement.marker else ""
        exactly = ">=" if aim.floors else "=="
        found = cls(
            name=name,
            version=version,
            before=" ".join(text.split()),
            instead=f"{requirement.name}{extras}{exactly}{version}{marker}",
        )
        if requirement.url:
            return replace(found, reason=f"{requirement.name} is a direct reference")
        if _VARIABLE.search(head):
            return replace(found, reason=f"{requirement.name} takes its version from a variable")
        changed = aim.changed(head, version)
        if not changed:
            return None
        reason = aim.against(head, changed, version)
        left = clauses.without(head, changed) or (f">={version}" if aim.floors else "")
        return replace(
            found,
            after=" ".join(clauses.rewritten(text, changed).split()),
            changed=tuple(changed),
            reason=reason,
            instead=f"{requirement.name}{extras}{left}{marker}",
        )

    @classmethod
    def poetry(cls, name: str, entry: object, aim: Aim) -> Judged | None:
        """Of poetry, by the text of its version."""
        normal = canonicalize_name(name)
        if normal not in aim.names:
            return None
        table = entry if isinstance(entry, Mapping) else {"version": entry}
        text = str(table.get("version", "*"))
        direct = any(source in table for source in POETRY_SOURCES)
        alternatives = list[list[Clause]]()
        unread = ""
        try:
            versions = [aim.version(one) for one in _poetry_requires(name, table)]
        except ValueError as error:
            versions, unread = [], str(error)
        version = next(iter(versions), aim.version(Requirement(name)))
        if version is None or None in versions:
            return None
        try:
            alternatives = [aim.changed(one, version, POETRY) for one in re.split(r"\|\|?", text)]
        except ValueError as error:
            unread = str(error)
        else:
            if not direct and not (any if aim.floors else all)(alternatives):
                return None
        at_least = f">={version}" if aim.floors else str(version)
        head = f"{name} =" if isinstance(entry, str) else "version ="
        found = cls(
            name=normal,
            version=version,
            before=f'{name} = "{text}"',
            instead=f'{head} "{at_least}"',
        )
        if unread:
            return replace(found, reason=f"{name} cannot be read: {unread.splitlines()[0]}")
        if direct:
            instead = f'{name} = "{at_least}"'
            return replace(found, reason=f"{name} is a direct reference", instead=instead)
        if len(alternatives) > 1:
            return replace(found, reason=f"`{text}` has alternatives")
        [changed] = alternatives
        left = clauses.without(text, changed, POETRY) or (at_least if aim.floors else "*")
        return replace(
            found,
            after=f'{name} = "{clauses.rewritten(text, changed)}"',
            changed=tuple(changed),
            reason=aim.against(text, changed, version),
            instead=f'{head} "{left}"',
        )

    def edit(self, file: str, line: int) -> Edit:
        return Edit(file=file, line=line, name=self.name, before=self.before, after=self.after)

    def refusal(self, file: str, line: int | None, reason: str = "", instead: str = "") -> Refusal:
        return Refusal(
            file=file,
            line=line,
            name=self.name,
            reason=reason or self.reason,
            instead=instead or self.instead,
        )


def _poetry_requires(name: str, table: Mapping[str, object]) -> list[Requirement]:
    """A dependency of poetry, for its markers and lower bound. Raises `ValueError`."""
    first = str(table.get("version", "*")).partition("|")[0]

    def read(version: str) -> list[Requirement]:
        plain = {**table, "version": version, "optional": False}
        return [Requirement(one) for one in Pyproject(poetry={name: plain}).poetry_requires()]

    try:
        return read(first)
    except ValueError:
        return read("*")
