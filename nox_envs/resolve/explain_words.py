"""What a tool said when it could not resolve or install, read to facts and not yet judged."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    NormalizedName,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "Kind",
    "Need",
    "Said",
    "fetch_reason",
    "mentioned",
    "network_reason",
    "parse_specifier",
    "url_name",
]


def __dir__() -> list[str]:
    return __all__


class Kind(Enum):
    """What the words are about."""

    DISK = auto()
    HASH = auto()
    NETWORK = auto()
    BUILD = auto()
    NO_FILE = auto()
    """A locked release has no file for this environment."""
    RESOLUTION = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A package that another one asks for."""

    parent: str
    """As the tool wrote it: `wantsmissing 1.0`."""
    name: NormalizedName
    specifier: SpecifierSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The facts in a tool's words."""

    kind: Kind
    reason: str = ""
    """The words that explain it, without the tool's ornaments; of a build, its log."""
    url: str = ""
    subject: str = ""
    """What it is about: `pyyaml 5.4.1`, a path on a full disk."""
    doubted: tuple[NormalizedName, ...] = ()
    """Packages of which the tool saw too little, be it because of a fault of an index."""
    names: tuple[NormalizedName, ...] = ()
    """All packages that the words name, the doubted ones first."""
    needs: tuple[Need, ...] = ()
    is_chain: bool = True
    """Whether no package has a choice: one line of needs, so that its end is the cause."""
    seen: Mapping[NormalizedName, tuple[SpecifierSet, ...]] = field(default_factory=dict)
    """The only versions that the tool saw, where it tells."""
    network: str = ""
    """A fault of the network that may or may not have been the cause."""
    builds_are_off: bool = False
    is_conflict: bool = True
    """Whether the words tell of requirements that contradict each other."""


_PROBES = (
    (r"HTTP (?:status (?:client|server) )?error(?: \(|:? )(\d{3})", "HTTP {0}"),
    (r"\((401|403) (?:Unauthorized|Forbidden)\)", "HTTP {0}"),
    (r"returned a (4\d\d|5\d\d)\b", "HTTP {0}"),
    (r"too many (\d{3}) error responses", "HTTP {0}"),
    (r"\b(40[13]) Error, Credentials", "HTTP {0}"),
    (r"\b(4\d\d|5\d\d) (?:Client|Server) Error", "HTTP {0}"),
    (r"invalid peer certificate: ([\w ]+)", "TLS: {0}"),
    (r"certificate verify failed: ([\w ,-]+)", "TLS: {0}"),
    (
        r"received corrupt message|SSLError|confirming the ssl certificate|\[SSL",
        "TLS: no connection",
    ),
    (r"dns error|failed to lookup address|getaddrinfo failed|NameResolutionError", "no such host"),
    (r"Name or service not known|nodename nor servname|name resolution", "no such host"),
    (r"timed out|[Tt]imeout(?:Error| error)", "timed out"),
    (r"[Cc]onnection refused", "connection refused"),
    (r"[Cc]onnection reset|RemoteDisconnected|closed before message", "connection reset"),
    (r"Connection aborted|IncompleteRead|Connection broken", "connection reset"),
    (r"unexpected JSON|JSONDecodeError", "the answer is not JSON"),
    (r"Exceeded \d+ redirects|too many redirects", "too many redirects"),
    (r"Network is unreachable|network unreachable", "network is unreachable"),
    (r"[Nn]etwork (?:connectivity )?(?:is|was) disabled|not found in the cache", "offline"),
    (r"Failed to fetch|error sending request|Max retries exceeded", "no answer"),
)


def network_reason(text: str) -> str:
    """Name the fault of the network in a text, in our own words; empty if there is none."""
    for probe, reason in _PROBES:
        if (match := re.search(probe, text)) is not None:
            return reason.format(*match.groups()) + _tries(text)
    return ""


_FETCHES = (
    (
        (
            r"[Cc]ould(?: not|n't) resolve host|failed to lookup address|getaddrinfo failed"
            r"|NameResolutionError|Name or service not known|nodename nor servname"
            r"|Temporary failure in name resolution"
        ),
        "no such host",
    ),
    (r"[Cc]onnection refused|[Cc]ould(?: not|n't) connect to server", "connection refused"),
    (r"[Cc]onnection (?:was )?reset|RemoteDisconnected|Connection aborted", "connection reset"),
    (
        (
            r"Timeout was reached|[Cc]onnection timed out|Operation timed out|[Rr]ead timed out"
            r"|ConnectTimeout|ReadTimeout|i/o timeout|TLS handshake timeout"
        ),
        "timed out",
    ),
    (r"Network is unreachable|No route to host|No address associated", "network is unreachable"),
    (r"Failed to connect to \S+ port \d+|spurious network error|Max retries exceeded", "no answer"),
    (r"(?:returned error: |HTTP Error |http status code: )(429|5\d\d)", "HTTP {0}"),
)
_IS_TRIED_AGAIN = re.compile(r"tries remaining|Retrying \(Retry\(")


def fetch_reason(log: str) -> str:
    """Name the fault of the network that a build met when it fetched something; or empty.

    The words are those of cargo, git, curl, pip and Python itself. A fault after which it tried
    once more is none yet, and an answer of a server that will be the same tomorrow (404) neither.
    """
    text = "\n".join(line for line in log.splitlines() if not _IS_TRIED_AGAIN.search(line))
    for probe, reason in _FETCHES:
        if (match := re.search(probe, text)) is not None:
            return reason.format(*match.groups())
    return ""


def _tries(text: str) -> str:
    match = re.search(r"Request failed after (\d+) retr", text)
    tries = int(match[1]) + 1 if match else 1 + len(re.findall(r"Retrying \(Retry\(", text))
    return f" after {tries} tries" if tries > 1 else ""


def url_name(url: str) -> NormalizedName | None:
    """Tell which package a URL of an index is about."""
    last = url.partition("#")[0].partition("?")[0].rstrip("/").rpartition("/")[2]
    try:
        if last.endswith(".whl"):
            return parse_wheel_filename(last)[0]
        if last.endswith((".tar.gz", ".zip")):
            return parse_sdist_filename(last)[0]
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None
    return canonicalize_name(last) if re.fullmatch(r"[\w.-]+", last) else None


def parse_specifier(text: str | None) -> SpecifierSet:
    """Read a specifier out of a sentence; what is none limits nothing."""
    try:
        return SpecifierSet((text or "").rstrip(",.;"))
    except InvalidSpecifier:
        return SpecifierSet()


def mentioned(text: str, names: Iterable[NormalizedName]) -> tuple[NormalizedName, ...]:
    """Find which of some names a text has, in the order of the text."""
    known = frozenset(names)
    words = re.findall(r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?", text)
    return tuple(dict.fromkeys(name for name in map(canonicalize_name, words) if name in known))
