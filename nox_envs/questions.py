"""Questions to the index that a resolver does not answer: why not, and which is the lowest."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from packaging import tags
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from nox_envs import _files, _http, settings
from nox_envs.errors import IndexUnreachable, NoxEnvsError, PackageNotFound, ReleaseNotFound
from nox_envs.resolve import index
from nox_envs.resolve.explain import explain

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from packaging.tags import Tag
    from packaging.utils import NormalizedName
    from packaging.version import Version

    from nox_envs._process import Refused
    from nox_envs.cell import Cell
    from nox_envs.gather import Gathered
    from nox_envs.interpreter import Interpreter

__all__ = ["Questions", "instant", "usable_tags"]


def __dir__() -> list[str]:
    return __all__


_TIMEOUT = 15.0
"""Seconds for one answer of the index."""


_pages: dict[tuple[str, ...], index.Releases | index.NotThere] = {}
"""What was answered, by the package and the indexes."""
_guards: dict[tuple[str, ...], threading.Lock] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """Asks the indexes that the tool would ask, on behalf of one cell."""

    cell: Cell
    variables: Mapping[str, str]
    directory: Path
    tool: Literal["uv", "pip"]
    cooldown: str | None

    def why(self, refused: Refused, gathered: Gathered, *, lock: str = "") -> NoxEnvsError:
        """The error that says why a tool refused, with nothing lost of what it said."""
        wanted = gathered.wanted
        return explain(
            refused.done.output,
            tool=self.tool,
            returncode=refused.done.returncode,
            requests=wanted.requests,
            python=wanted.interpreter.version,
            platform_tags=usable_tags(wanted.interpreter),
            look_up=lambda name: self.releases(name, gathered),
            values=self.cell.labels,
            cooldown=self.cooldown,
            exclude_newer=instant(wanted.exclude_newer),
            command=" ".join(refused.done.command),
            prerelease=wanted.prerelease,
            lock=lock,
        )

    def of_a_build(self, refused: Refused) -> NoxEnvsError:
        """The same for a build, for which nothing has been asked of the index yet."""
        return explain(
            refused.done.output,
            tool=self.tool,
            returncode=refused.done.returncode,
            requests=(),
            python="",
            platform_tags=None,
            look_up=lambda _: index.Unreachable(reason="not asked"),
            values={},
            cooldown=None,
            command=" ".join(refused.done.command),
        )

    def lowest(self, name: NormalizedName, gathered: Gathered) -> Version:
        """The oldest stable release that the declaration admits."""
        asking = [r for r in gathered.wanted.requests if r.name == name]
        specifier = SpecifierSet()
        for request in asking:
            specifier &= request.requirement.specifier
        addresses = tuple(str(request.origin) for request in asking)
        found = self.releases(name, gathered)
        if isinstance(found, index.Unreachable):
            raise IndexUnreachable(reason=found.reason, url=found.url, about=name)
        if isinstance(found, index.NotThere):
            raise PackageNotFound(name=name, addresses=addresses)
        version = index.lowest(specifier, found, gathered.wanted.interpreter.version)
        if version is None:
            latest = str(index.latest(found) or "")
            wanted = str(specifier) or "that is stable"
            raise ReleaseNotFound(name=name, wanted=wanted, addresses=addresses, latest=latest)
        return version

    def releases(
        self, name: str, gathered: Gathered
    ) -> index.Releases | index.NotThere | index.Unreachable:
        """What the indexes have of a package; asked once in this process, unless they fail."""
        sources = gathered.wanted.sources
        urls = settings.index_urls(self.variables, kind=self.tool, directory=self.directory)
        if sources.index_url:
            urls = (sources.index_url,)
        asked = (canonicalize_name(name), *urls, *sources.extra_index_urls)
        with _guards.setdefault(asked, threading.Lock()):
            if asked not in _pages:
                found = index.releases(name, asked[1:], self._get)
                if isinstance(found, index.Unreachable):
                    return found
                _pages[asked] = found
            return _pages[asked]

    def _get(self, url: str, headers: Mapping[str, str]) -> _http.Answer:
        if url.startswith("file:"):
            return _local(url)
        return _http.get(url, timeout=_TIMEOUT, env=self.variables, headers=headers)


def instant(text: str | None) -> datetime | None:
    """A time as uv takes it (RFC 3339)."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


def usable_tags(interpreter: Interpreter) -> frozenset[Tag] | None:
    """The tags of the wheels that CPython can use; None for another Python."""
    if interpreter.markers["implementation_name"] != "cpython":
        return None
    major, minor, *_ = interpreter.python.split(".")
    version = (int(major), int(minor))
    name = f"cp{major}{minor}"
    # The SOABI of a free-threaded build is `cpython-313t-...`.
    threads = "t" if f"-{major}{minor}t" in interpreter.build else ""
    platforms = list(tags.platform_tags())
    return frozenset(
        [
            *tags.cpython_tags(version, [f"{name}{threads}"], platforms),
            *tags.compatible_tags(version, name, platforms),
        ]
    )


def _local(url: str) -> _http.Answer:
    """A page of an index that is a directory of this machine."""
    page = _files.path_of_url(url) / "index.html"
    try:
        body = _files.read_text(page).encode()
    except OSError:
        return _http.Answer(status=404, headers={}, body=b"")
    return _http.Answer(status=200, headers={"content-type": "text/html"}, body=body)
