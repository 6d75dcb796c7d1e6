"""Which distributions the log of a run that failed points at: an order, no proof."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from nox_envs.run.signature import raised

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from nox_envs.run.signature import Frame, Raised

__all__ = ["modules", "suspects"]


def __dir__() -> list[str]:
    return __all__


_MOST = 50
_NAMED = re.compile(
    r"cannot import name '[^']*' from (?:partially initialized module )?'([\w.]+)'"
    r"|[Mm]odule '([\w.]+)' has no attribute"
    r"|No module named '?([\w.]+)"
    r"|(?:site|dist)-packages[\\/]([\w.]+)"
)
_IMPORT = re.compile(r"\s*(?:from|import) ([A-Za-z_]\w*)")
_DOTTED = re.compile(r"(?<![\w.])([A-Za-z_]\w*)\.[A-Za-z_]")
_TYPE = re.compile(
    r"(?:^|E   | - )([A-Za-z_]\w*)\.[\w.]*(?:Error|Exception|Warning)\b", re.MULTILINE
)
_TAIL = 1 << 20
"""How many characters of a log without a traceback are read, from its end."""
_SELF = frozenset({"self", "cls", "super"})


def modules(log: str) -> tuple[str, ...]:
    """Names of top-level modules that the tracebacks of a log point at, the likeliest first.

    A module that lacks something is named by the message. Then comes the code between the
    failure and the tests, from the innermost call outwards, and what its lines mention.
    Whether a name belongs to an installed module is left to `suspects`.
    """
    found = raised(log)
    told = (name for one in found for name in _told(one)) if found else _written(log[-_TAIL:])
    return tuple(islice(dict.fromkeys(told), _MOST))


def suspects(
    modules: Iterable[str],
    owners: Mapping[str, Collection[str]],
    *,
    changed: Collection[str] | None = None,
    requires: Mapping[str, Collection[str]] | None = None,
) -> tuple[str, ...]:
    """Normalized names of the distributions that own modules, the most suspicious first.

    `owners` are distributions by the top-level module that they bring, before the change and
    after: what is gone has an owner, too. Where `changed` is given, others are no answer; but
    what such a one `requires` directly may be, after all that is pointed at itself.
    """
    owning = [
        canonicalize_name(owner) for module in modules for owner in sorted(owners.get(module, ()))
    ]
    required = [
        canonicalize_name(name)
        for owner in dict.fromkeys(owning)
        for name in sorted((requires or {}).get(owner, ()))
    ]
    allowed = None if changed is None else {canonicalize_name(name) for name in changed}
    ordered = dict.fromkeys([*owning, *(required if allowed is not None else ())])
    return tuple(name for name in ordered if allowed is None or name in allowed)


def _told(one: Raised) -> Iterator[str]:
    chain = list(_chain(one))
    for link in chain:
        yield from _named(link)
    calls = [frame for link in chain for frame in reversed(link.calls)]
    yield from _owned(frame for frame in calls if not frame.is_runner)
    for frame in calls:
        yield from _mentioned(frame.code)
    for link in chain:
        yield from _DOTTED.findall(link.message)
    outer = [frame for link in chain for frame in reversed(link.frames)]
    yield from _owned([*calls, *outer])


def _written(text: str) -> Iterator[str]:
    """What a text without tracebacks names, its end first."""
    found = sorted([*_NAMED.finditer(text), *_TYPE.finditer(text)], key=lambda one: -one.start())
    yield from map(_top, found)


def _top(found: re.Match[str]) -> str:
    name: str = next(filter(None, found.groups()))
    return name.partition(".")[0]


def _chain(one: Raised) -> Iterator[Raised]:
    """An exception, what is in it, and what it was raised from."""
    link: Raised | None = one
    while link:
        yield link
        yield from link.parts
        link = link.cause


def _named(one: Raised) -> Iterator[str]:
    """What the message says is to blame, then the module of the exception's own type."""
    yield from map(_top, _NAMED.finditer(one.message))
    if "." in one.type:
        yield one.type.partition(".")[0]


def _owned(frames: Iterable[Frame]) -> Iterator[str]:
    """Top-level names of what lies in site-packages."""
    for frame in frames:
        name = frame.package_path.partition("/")[0].partition(".")[0]
        if name:
            yield name


def _mentioned(code: str) -> Iterator[str]:
    imported = _IMPORT.match(code)
    if imported:
        yield imported[1]
    yield from (name for name in _DOTTED.findall(code) if name not in _SELF)
