"""Reading what `uv pip compile` and `uv pip sync` say when they fail.

Up to 0.11 or so uv draws the chain of causes with lines and wraps it at 80 columns; newer ones
write `cause:`. Both are read. The texts are in tests/unit/cases/resolver.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from nox_envs.resolve.explain_words import (
    Kind,
    Need,
    Said,
    fetch_reason,
    network_reason,
    parse_specifier,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName

__all__ = ["read"]


def __dir__() -> list[str]:
    return __all__


_HEAD = re.compile(r"^(?:error: |\s*×\s)(?P<text>.*)")  # noqa: RUF001
_CAUSE = re.compile(r"^\s+(?:(?:cause|Caused by): |[├╰]─▶ )(?P<text>.*)")
_HINT = re.compile(r"^\s*hint: (?P<text>.*)")
_STREAM = re.compile(r"^(?P<indent>\s+)\[(?:stdout|stderr)\]$")
_LIST_INDENT = 4
_ORNAMENT = re.compile(r"^\s*hint: (?:This|Build failures) usually indicates? a problem")

_NAME = r"(?P<name>[A-Za-z0-9][\w.-]*[A-Za-z0-9]|[A-Za-z0-9])(?:\[[^\]]*\])?"
_SPEC = r"(?P<spec>[<>=!~]=?[^\s]*)?"
_ABSENT = re.compile(
    rf"\b{_NAME}{_SPEC} was not found in the (?:package registry|provided package locations|cache)"
)
_NONE = re.compile(rf"there (?:is no version|are no versions) of {_NAME}{_SPEC}")
_ONLY = re.compile(rf"\bonly {_NAME}{_SPEC} is available")
_ONLY_THESE = re.compile(
    rf"only the following versions of {_NAME} are available:\n(?P<list>(?: +.*\n?)+)"
)
_NO_WHEELS = re.compile(rf"\b{_NAME}{_SPEC} has no (?:usable )?wheels")
_YANKED = re.compile(rf"\b{_NAME}{_SPEC} was yanked")
_NEEDS_PYTHON = re.compile(rf"\b{_NAME}{_SPEC} depends on Python")
_NEEDS = re.compile(
    rf"\b(?P<all>all versions of )?(?P<parent>[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?"
    rf"(?P<version>[<>=!~]=?\S*)? depends? on {_NAME}{_SPEC}"
)
_REQUIRE = re.compile(rf"\byou require {_NAME}")


@dataclass(slots=True, kw_only=True)
class _Message:
    """The parts of what uv said."""

    head: str = ""
    causes: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)

    @property
    def words(self) -> str:
        """All but the log of a build, whose words are not uv's."""
        return "\n".join([self.head, *self.causes, *self.hints])


def read(text: str) -> Said:
    """Read the facts in what uv said."""
    message = _parse(text)
    words = message.words
    if re.search(r"No space left on device|os error 28\b|os error 112\b", text):
        path = re.search(r"`([^`]+)`:\s+No space left|at path \"([^\"]+)\"", text)
        subject = next((group for group in path.groups() if group), "") if path else ""
        return Said(kind=Kind.DISK, subject=subject)
    if (wrong := re.search(r"Hash mismatch for `([^`]+)`", words)) is not None:
        digests = re.findall(r"sha\d+:[0-9a-f]+", words)
        return Said(kind=Kind.HASH, subject=_spaced(wrong[1]), reason="\n".join(digests))
    if reason := _network(words):
        url = re.search(r"https?://[^\s`()]+", words)
        names = tuple(name for name, _ in _found(_ABSENT, _flat("\n".join(message.causes))))
        return Said(kind=Kind.NETWORK, reason=reason, url=url[0] if url else "", names=names)
    if (built := re.search(r"Failed to (?:download and )?build `([^`]+)`", words)) is not None:
        return _build(message, built[1])
    if (named := re.search(r"Package `([^`]+)` can't be installed because", words)) is not None:
        version = re.search(r"\(v([^)]+)\)", words)
        reason = "\n".join(message.hints)
        subject = f"{named[1]} {version[1]}" if version else named[1]
        return Said(kind=Kind.NO_FILE, subject=subject, reason=reason)
    if "No solution found" in message.head and message.causes:
        return _resolution(message)
    return Said(kind=Kind.UNKNOWN)


def _parse(text: str) -> _Message:
    message = _Message()
    part: list[str] | None = None
    log_indent: str | None = None
    for line in text.splitlines():
        if log_indent is not None:
            if (not line.strip() or line.startswith(log_indent)) and not _ORNAMENT.match(line):
                if not _STREAM.match(line):
                    message.log.append(line.removeprefix(log_indent).rstrip())
                continue
            log_indent = None
        if (stream := _STREAM.match(line)) is not None:
            log_indent = stream["indent"]
        elif (head := _HEAD.match(line)) is not None and not message.head:
            message.head, part = head["text"], None
        elif (hint := _HINT.match(line)) is not None:
            message.hints.append(hint["text"])
            part = message.hints
        elif message.head and (cause := _CAUSE.match(line)) is not None:
            message.causes.append(cause["text"])
            part = message.causes
        elif part and line.strip():
            part[-1] = _joined(part[-1], line)
    return message


def _joined(before: str, line: str) -> str:
    """Undo the wrapping of a line, but not the breaks that uv itself makes."""
    text = line.strip()
    indent = len(line) - len(line.lstrip())
    last = before.rpartition("\n")[2]
    is_item = last.endswith(":") or last.startswith(" ")
    if is_item and re.match(r"[A-Za-z0-9][\w.-]*(?:\[[^\]]*\])?(?:[<>=!~]|$)", text):
        return f"{before}\n{' ' * _LIST_INDENT}{text}"
    if is_item or text.startswith("And because") or (not last and indent):
        return f"{before}\n{text}"
    return f"{before} {text}"


def _network(words: str) -> str:
    """Name the fault, if the words are about one."""
    about = (
        r"Failed to fetch|error sending request|Request failed after|HTTP status|unexpected JSON"
    )
    refused = (
        r"could not be queried|returned a \d{3}|[Nn]etwork (?:connectivity )?(?:is|was) disabled"
    )
    if re.search(f"{about}|{refused}|not found in the cache", words) is None:
        return ""
    return network_reason(words)


def _build(message: _Message, what: str) -> Said:
    calls = [cause for cause in message.causes if "exit status" not in cause]
    log = [line for line in message.log if line]
    if log:
        log += [cause for cause in calls if "(signal" in cause]
    else:
        log = [cause for cause in message.causes if "build backend returned" not in cause]
    missing = [canonicalize_name(name) for name, _ in _found(_ABSENT, message.words)]
    parents = [
        canonicalize_name(name)
        for hint in message.hints
        if "was included because" in hint
        for name in re.findall(r"`([A-Za-z0-9][\w.-]*)`", hint)
    ]
    subject = what.partition(" @ ")[2].removeprefix("file://") or _spaced(what)
    own = canonicalize_name(re.split(r"[=\s@]", what, maxsplit=1)[0])
    return Said(
        kind=Kind.BUILD,
        subject=subject,
        reason="\n".join(log),
        doubted=tuple(missing),
        names=tuple(dict.fromkeys([own, *parents])),
        network=fetch_reason("\n".join([*message.log, *message.causes])),
    )


def _resolution(message: _Message) -> Said:
    reason = "\n".join(message.causes)
    flat = _flat(reason)
    absent = [name for name, _ in _found(_ABSENT, flat)]
    none = _found(_NONE, flat)
    doubted = [*absent, *(name for name, _ in none)]
    seen: dict[NormalizedName, tuple[SpecifierSet, ...]] = {
        name: (spec,) for name, spec in _found(_ONLY, flat)
    }
    for match in _ONLY_THESE.finditer(reason):
        specs = re.findall(r"[<>=!~]=?\S*", match["list"])
        seen[canonicalize_name(match["name"])] = tuple(map(parse_specifier, specs))
    doubted += seen
    for pattern in (_NEEDS_PYTHON, _NO_WHEELS, _YANKED):
        doubted += (name for name, _ in _found(pattern, flat))
    needs = tuple(_needs(flat))
    names = [*doubted, *(need.name for need in needs)]
    names += (canonicalize_name(match["name"]) for match in _REQUIRE.finditer(flat))
    for name, spec in none:
        if not spec:
            seen[name] = ()
    return Said(
        kind=Kind.RESOLUTION,
        reason=reason,
        doubted=tuple(dict.fromkeys(doubted)),
        names=tuple(dict.fromkeys(names)),
        needs=needs,
        is_chain=_is_chain(needs) and "depends on one of" not in flat,
        seen=seen,
        is_conflict=not absent,
        builds_are_off="building from source is disabled" in message.words,
    )


def _flat(reason: str) -> str:
    """Put a reason on one line, without its lists."""
    return " ".join(line for line in reason.splitlines() if not line.startswith(" "))


def _needs(flat: str) -> Iterator[Need]:
    for match in _NEEDS.finditer(flat):
        if match["name"] in {"Python", "one"}:
            continue
        version = (match["version"] or "").removeprefix("==")
        parent = match["parent"] if match["all"] else f"{match['parent']} {version}".strip()
        yield Need(
            parent=parent,
            name=canonicalize_name(match["name"]),
            specifier=parse_specifier(match["spec"]),
        )


def _is_chain(needs: tuple[Need, ...]) -> bool:
    pairs = {(need.parent.partition(" ")[0], need.name) for need in needs}
    parents, children = [parent for parent, _ in pairs], [child for _, child in pairs]
    return len(set(parents)) == len(parents) and len(set(children)) == len(children)


def _found(pattern: re.Pattern[str], text: str) -> list[tuple[NormalizedName, SpecifierSet]]:
    return [
        (canonicalize_name(match["name"]), parse_specifier(match["spec"]))
        for match in pattern.finditer(text)
    ]


def _spaced(requirement: str) -> str:
    return requirement.replace("==", " ")
