"""The clauses of one specifier by their places, and what is to take their place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.specifiers import Specifier, SpecifierSet
from packaging.version import Version

from nox_envs.pyproject import poetry_specifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["PEP_440", "POETRY", "Clause", "Dialect", "floored", "rewritten", "widened", "without"]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """A part of a specifier that is to change, by its place in a text."""

    whole: tuple[int, int]
    place: tuple[int, int]
    """What is replaced: the bound alone, or all of it."""
    text: str
    """What takes its place; empty where there is nothing safe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """A way to write specifiers."""

    clause: re.Pattern[str]
    pep440: Callable[[str], str]
    """The same clause in PEP 440. Raises `ValueError` for nonsense."""


PEP_440 = Dialect(
    clause=re.compile(r"(?P<operator>===|==|~=|!=|<=|>=|<|>)\s*(?P<bound>[^\s,;()]+)"),
    pep440=str,
)
POETRY = Dialect(
    clause=re.compile(
        r"(?P<operator>===|==|~=|!=|<=|>=|<|>|\^|~|)\s*(?P<bound>[^\s,|<>=!~^][^\s,|]*)"
    ),
    pep440=poetry_specifier,
)

_RELEASE = re.compile(r"\s*v?(?:\d+!)?\d+(?:\.\d+)*")
_NAMED = re.compile(r"\s*[A-Za-z0-9][A-Za-z0-9._-]*(?:\s*\[[^\]]*\])?")


def rewritten(text: str, clauses: Iterable[Clause]) -> str:
    """The text with all of them changed."""
    for clause in sorted(clauses, key=lambda clause: clause.place, reverse=True):
        start, end = clause.place
        text = text[:start] + clause.text + text[end:]
    return text


def without(text: str, clauses: Iterable[Clause], dialect: Dialect = PEP_440) -> str:
    """The changed specifier without the clauses that nothing safe takes the place of."""
    changed = {clause.whole: clause for clause in clauses}
    parts = [clause.text for clause in changed.values() if clause.whole[0] == clause.whole[1]]
    for match in dialect.clause.finditer(text):
        clause = changed.get(match.span())
        if clause is None:
            parts.append(text[match.start() : match.start("bound")] + match["bound"])
        elif clause.text:
            parts.append(text[match.start() : clause.place[0]] + clause.text)
    return ",".join(parts)


# -- to admit a version


def widened(text: str, version: Version, dialect: Dialect = PEP_440) -> list[Clause]:
    """The clauses that forbid a version. Raises `ValueError` for nonsense."""

    def admits(clause: str) -> bool:
        return SpecifierSet(dialect.pep440(clause)).contains(version, prereleases=True)

    return [
        Clause(
            whole=match.span(),
            place=match.span("bound"),
            text=next(
                (
                    bound
                    for bound in _bounds(match["operator"], match["bound"], version)
                    if admits(match["operator"] + bound)
                ),
                "",
            ),
        )
        for match in dialect.clause.finditer(text)
        if not admits(match[0])
    ]


def _bounds(operator: str, bound: str, version: Version) -> list[str]:
    """What could take the place of a bound, the first that fits."""
    match operator:
        case "" | "==" if bound.endswith(".*"):
            return [f"{_series(version, _length(bound[:-2]))}.*"]
        case "" | "==" | "===":
            return [str(version)]
        case "~=" | "^" | "~":
            series = _series(version, _length(bound))
            # A pre-release is older than its own series.
            return [series, series + version.public[len(version.base_version) :], version.public]
        case "<":
            return [_raised(bound, version)]
        case "<=":
            return [version.public]
        case _:
            return []


def _length(bound: str) -> int:
    return len(Version(bound).release)


def _series(version: Version, parts: int) -> str:
    return _dotted(version.epoch, _numbers(version, parts))


def _numbers(version: Version, parts: int) -> list[int]:
    return [*version.release, *[0] * parts][:parts]


def _dotted(epoch: int, numbers: Iterable[int]) -> str:
    return (f"{epoch}!" if epoch else "") + ".".join(map(str, numbers))


def _raised(bound: str, version: Version) -> str:
    """The next bound of the same kind: `3`, `3.0` and `3.0.dev0` all end what precedes 3."""
    release = Version(bound).release
    kept = max((i for i, number in enumerate(release) if number), default=0)
    numbers = [*_numbers(version, kept + 1), *[0] * (len(release) - kept - 1)]
    numbers[kept] += 1
    return _dotted(version.epoch, numbers) + _RELEASE.sub("", bound, count=1)


# -- to begin at a version


@dataclass(frozen=True, slots=True, kw_only=True)
class _Range:
    """What one clause says of how low and how high it goes."""

    lower: Version | None = None
    is_open: bool = False
    """Whether the lower end itself is left out."""
    upper: str = ""
    """Where `~=`, `^`, `~` and `==1.*` end, which bound both ends."""
    is_exact: bool = False


def floored(text: str, floor: Version, dialect: Dialect = PEP_440) -> list[Clause]:
    """The clauses to change so that a specifier begins at a version; upper ends are kept.

    Where nothing bounds below, a bound is added. `text` is a specifier, or a requirement
    without its marker. Raises `ValueError` for nonsense.
    """
    found, is_bounded = list[Clause](), False
    matches = list(dialect.clause.finditer(text))
    for match in matches:
        one = _range(dialect.pep440(match[0]))
        if one.lower is None:
            continue
        is_bounded = True
        if one.lower != floor or one.is_open:
            found.append(_floored(match, one, floor, dialect))
    if is_bounded:
        return found
    bound = f">={floor.public}"
    if not matches:
        named = _NAMED.match(text)
        end = named.end() if named else 0
        return [Clause(whole=(end, end), place=(end, end), text=bound)]
    first = matches[0]
    kept = "" if first[0] == "*" else f",{first[0]}"
    return [Clause(whole=first.span(), place=first.span(), text=bound + kept)]


def _floored(match: re.Match[str], one: _Range, floor: Version, dialect: Dialect) -> Clause:
    whole, operator = match.span(), match["operator"]
    if one.is_exact:
        return Clause(whole=whole, place=match.span("bound"), text="")
    if operator in {">=", "~=", "^", "~"}:
        # Where the number of parts says where it ends, it is kept if it can be.
        series = _series(floor, _length(match["bound"]))
        shortest = [series] if operator != ">=" and Version(series) == floor else []
        for bound in (*shortest, floor.public):
            if _range(dialect.pep440(operator + bound)).upper == one.upper:
                return Clause(whole=whole, place=match.span("bound"), text=bound)
    ends = f",<{one.upper}" if one.upper else ""
    return Clause(whole=whole, place=whole, text=f">={floor.public}{ends}")


def _range(clause: str) -> _Range:
    """Of one clause; in PEP 440 it may take two."""
    lower = [_of(each) for each in SpecifierSet(clause) if each.operator not in {"<", "<=", "!="}]
    upper = [each.version for each in SpecifierSet(clause) if each.operator == "<"]
    if not lower:
        return _Range()
    [found] = lower
    if upper:
        return _Range(lower=found.lower, upper=_trimmed(Version(upper[0])))
    return found


def _of(each: Specifier) -> _Range:
    match each.operator:
        case "~=":
            version = Version(each.version)
            return _Range(lower=version, upper=_next(version.epoch, version.release[:-1]))
        case "==" if each.version.endswith(".*"):
            version = Version(each.version[:-2])
            return _Range(lower=version, upper=_next(version.epoch, version.release))
        case "==" | "===":
            return _Range(lower=Version(each.version), is_exact=True)
        case operator:
            return _Range(lower=Version(each.version), is_open=operator == ">")


def _next(epoch: int, numbers: tuple[int, ...]) -> str:
    """What ends a series."""
    return _trimmed(Version(_dotted(epoch, [*numbers[:-1], numbers[-1] + 1])))


def _trimmed(version: Version) -> str:
    """Equal where the versions are: without zeros at the end."""
    numbers = list(version.release)
    while len(numbers) > 1 and not numbers[-1]:
        numbers.pop()
    return _dotted(version.epoch, numbers)
