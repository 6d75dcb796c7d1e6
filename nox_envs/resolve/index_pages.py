"""The two forms of a page of the simple API: JSON (PEP 691) and HTML (PEP 503).

Imported when a page is to be read, because of `html.parser`.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    NormalizedName,
    parse_sdist_filename,
    parse_wheel_filename,
)

from nox_envs.resolve.index import File, Release, Releases

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.version import Version

    from nox_envs._http import Answer

__all__ = ["PageError", "parse"]


def __dir__() -> list[str]:
    return __all__


_LONGEST_REASON = 200
_VERSION = re.compile(r"1\.\d+")


class PageError(Exception):
    """The answer is no page of a package; the text says why."""


def parse(name: NormalizedName, answer: Answer) -> Releases:
    """Read the page of a package. Raises `PageError`."""
    kind, _, parameters = answer.headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    charset = re.search(r"charset=[\"']?([\w-]+)", parameters)
    try:
        text = answer.body.decode(charset[1] if charset else "utf-8", errors="replace")
    except LookupError:
        text = answer.body.decode(errors="replace")
    files = _from_json(text) if kind.endswith("json") else _from_html(text)
    return Releases(name=name, releases=_grouped(name, files))


def _grouped(name: NormalizedName, files: Iterable[File]) -> tuple[Release, ...]:
    """Files by version; what is no file of this package is passed over."""
    found: dict[Version, list[File]] = {}
    for file in files:
        parsed = _parse_filename(file.filename)
        if parsed is not None and parsed[0] == name:
            found.setdefault(parsed[1], []).append(file)
    return tuple(Release(version=each, files=tuple(found[each])) for each in sorted(found))


def _parse_filename(filename: str) -> tuple[NormalizedName, Version] | None:
    try:
        if filename.endswith(".whl"):
            return parse_wheel_filename(filename)[:2]
        return parse_sdist_filename(filename)
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None


def _from_json(text: str) -> Iterator[File]:
    try:
        page = json.loads(text)
    except ValueError:
        raise PageError("the answer is not JSON") from None
    if not isinstance(page, dict) or not isinstance(page.get("files"), list):
        raise PageError("the answer is not a page of a package")
    meta = page.get("meta")
    _check_version(meta.get("api-version") if isinstance(meta, dict) else None)
    return _json_files(page["files"])


def _json_files(entries: list[Any]) -> Iterator[File]:
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("filename"), str):
            continue
        yanked = entry.get("yanked", False)
        yield File(
            filename=entry["filename"],
            requires_python=_specifier(entry.get("requires-python")),
            yanked=yanked is True or isinstance(yanked, str),
            yank_reason=_one_line(yanked) if isinstance(yanked, str) else "",
            upload_time=_time(entry.get("upload-time")),
            is_wheel=entry["filename"].endswith(".whl"),
        )


def _from_html(text: str) -> Iterator[File]:
    page = _Page()
    page.feed(text)
    page.close()
    _check_version(page.version)
    files = [file for file in map(page.file, page.anchors) if _parse_filename(file.filename)]
    if not files and not page.is_index:
        # A login page, or the page of a proxy that wants to be paid.
        raise PageError("the answer is not a page of a package")
    return iter(files)


class _Page(HTMLParser):
    """The anchors of a page, and what tells that it is one of an index."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.anchors: list[dict[str, str]] = []
        self.version: str | None = None
        self.is_index = False
        self.base = ""
        self._heading = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in found:
            self.anchors.append(found)
        elif tag == "base":
            self.base = self.base or found.get("href", "")
        elif tag == "meta" and found.get("name") == "pypi:repository-version":
            self.version = found.get("content")
            self.is_index = True
        self._heading = tag in {"title", "h1"}

    def handle_endtag(self, tag: str) -> None:
        self._heading = self._heading and tag not in {"title", "h1"}

    def handle_data(self, data: str) -> None:
        if self._heading and re.search(r"\blinks for\b", data, re.IGNORECASE):
            self.is_index = True

    def file(self, anchor: dict[str, str]) -> File:
        try:
            path = urlsplit(urljoin(self.base, anchor["href"].strip())).path
        except ValueError:
            path = ""  # A malformed address names no file.
        filename = unquote(path.rpartition("/")[2])
        return File(
            filename=filename,
            requires_python=_specifier(anchor.get("data-requires-python")),
            yanked="data-yanked" in anchor,
            yank_reason=_one_line(anchor.get("data-yanked", "")),
            upload_time=_time(anchor.get("data-upload-time")),
            is_wheel=filename.endswith(".whl"),
        )


def _check_version(version: object) -> None:
    if isinstance(version, str) and not _VERSION.fullmatch(version.strip()):
        raise PageError(f"the index speaks version {_one_line(version)[:10]} of its API")


def _specifier(value: object) -> SpecifierSet | None:
    if not isinstance(value, str) or not value.strip():
        return None
    try:
        return SpecifierSet(value)
    except InvalidSpecifier:
        return None


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    # Python 3.10 reads neither "Z" nor more or less than six digits.
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(?:Z|\+00:00)", value)
    if match is None:
        return None
    try:
        return datetime.fromisoformat(f"{match[1]}.{(match[2] or '0')[:6].ljust(6, '0')}+00:00")
    except ValueError:
        return None


def _one_line(text: str) -> str:
    shown = " ".join(text.split())
    return "".join(char for char in shown if char.isprintable())[:_LONGEST_REASON]
