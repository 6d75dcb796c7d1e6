"""The door to the network: one question, one answer, and one kind of fault."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = ["Answer", "TransportError", "get", "without_credentials"]


def __dir__() -> list[str]:
    return __all__


MAX_BYTES = 64 * 1024 * 1024
"""No page of an index is as large as this; what is larger is not read."""
_URL = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<rest>[^\s'\"`<>()]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server said, whatever it was."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class TransportError(Exception):
    """There was no answer. The reason names neither a URL nor a credential."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def without_credentials(text: str) -> str:
    """Take what may be secret out of the URLs in a text: user, password and query.

    >>> without_credentials("see https://me:secret@example.org/simple?token=1 now")
    'see https://example.org/simple now'
    """

    def bare(match: re.Match[str]) -> str:
        authority, slash, path = match["rest"].partition("/")
        if "@" in path and ":" in authority and not authority.rpartition(":")[2].isdigit():
            # A password may hold an unquoted slash.
            authority, slash, path = match["rest"].rpartition("@")[2].partition("/")
        host, _, _ = authority.rpartition("@")[2].partition("?")
        kept, question, query = path.partition("?")
        fragment = query.partition("#")[2] if question else ""
        return f"{match['scheme']}{host}{slash}{kept}" + (f"#{fragment}" if fragment else "")

    return _URL.sub(bare, text)


def get(
    url: str,
    *,
    timeout: float,
    env: Mapping[str, str],
    headers: Mapping[str, str] | None = None,
    trusted_hosts: Collection[str] = (),
) -> Answer:
    """Ask for a URL and return the answer, of whatever status, after redirects.

    `timeout` is for everything together; only the look-up of a host name can take longer.
    Proxies, certificates and the place of netrc are read from `env`. Credentials come from the
    URL or from netrc and are not sent on to another host. Certificates of `trusted_hosts` are
    not verified. Raises `TransportError`.
    """
    from nox_envs import _http_client  # noqa: PLC0415 - http and ssl are not needed to list sessions

    return _http_client.get(
        url, timeout=timeout, env=env, headers=headers or {}, trusted_hosts=trusted_hosts
    )
