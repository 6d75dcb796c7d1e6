"""Credentials, and how to keep them out of what people and files get to see."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from nox_envs._variables import PROXIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["redact"]


def __dir__() -> list[str]:
    return __all__


_MASK = "****"
_UV_SECRET = re.compile(r"(UV_\w+)_(?:PASSWORD|TOKEN)")
_USERINFO = re.compile(r'://([^/?#\s"<>`]*)@')
_SHORTEST_TOKEN = 16
"""A user name of this length is taken for a token, with or without a password."""


def redact(text: str, env: Mapping[str, str], *, urls: Iterable[str] = ()) -> str:
    """Take credentials out of a text: those of any URL, and all that `env` and `urls` hold."""
    pattern = _secret_pattern(_secrets(env, urls))
    masked = _mask(text, pattern)
    stripped = re.sub(r'://(?!git@)[^/?#\s"<>`]*@', "://", masked)
    return _mask(stripped, pattern)


def _mask(text: str, pattern: re.Pattern[str] | None) -> str:
    # To mask may put two halves of another secret side by side. Each round takes away
    # a character that is not of the mask, so that there is a last one.
    while pattern is not None and pattern.search(text):
        text = pattern.sub(_MASK, text)
    return text


def _secret_pattern(secrets: Iterable[str]) -> re.Pattern[str] | None:
    known = {secret for secret in secrets if secret.strip("*")}
    ordered = sorted(known, key=lambda secret: (-len(secret), secret))
    return re.compile("|".join(map(_in_any_coding, ordered))) if ordered else None


def _in_any_coding(secret: str) -> str:
    """Make a pattern of a text, any of whose characters may be percent-encoded."""
    return "".join(f"(?:{re.escape(char)}|{_percent_encoded(char)})" for char in secret)


def _percent_encoded(char: str) -> str:
    return "".join(f"%(?i:{byte:02x})" for byte in char.encode("utf-8", "surrogatepass"))


def _secrets(env: Mapping[str, str], urls: Iterable[str]) -> Iterator[str]:
    places = list(urls)
    for name, value in env.items():
        upper = name.upper()
        if upper.startswith(("PIP_", "UV_")) or upper in PROXIES:
            places.append(value)
        if (credential := _UV_SECRET.fullmatch(name)) is not None:
            yield from _forms(env.get(f"{credential[1]}_USERNAME", ""), value)
    for userinfo in _USERINFO.findall("\n".join(places)):
        user, _, password = userinfo.partition(":")
        yield from _forms(user, password)


def _forms(user: str, password: str) -> Iterator[str]:
    """List the ways in which credentials are written."""
    words = {password, unquote(password)}
    if not password or password == "x-oauth-basic" or len(user) >= _SHORTEST_TOKEN:  # noqa: S105
        words |= {user, unquote(user)}
    yield from words
    for pair in {f"{user}:{password}", f"{unquote(user)}:{unquote(password)}"}:
        raw = pair.encode("utf-8", "surrogatepass")
        for coded in (base64.b64encode(raw), base64.urlsafe_b64encode(raw)):
            yield coded.decode("ascii")
            yield coded.decode("ascii").rstrip("=")
