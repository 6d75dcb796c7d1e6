"""What `nox-envs doctor` looks at: nothing is changed, and nothing is made."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from packaging.version import InvalidVersion, Version

from nox_envs import _files, _http, _process, discover, settings
from nox_envs._http import without_credentials
from nox_envs.errors import NoxEnvsError
from nox_envs.inside.health import Finding, Mark
from nox_envs.looking import measured
from nox_envs.report.amounts import size
from nox_envs.report.words import count
from nox_envs.resolve import index

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["Checkup"]


def __dir__() -> list[str]:
    return __all__


_TIMEOUT = 15.0
_OLDEST_UV = Version("0.13")
_LITTLE, _TOO_LITTLE = 2 * 10**9, 10**8
_ASKED_FOR = "pip"
"""A package that every index of any use has; that one has it not is an answer, too."""


@dataclass(frozen=True, kw_only=True)
class Checkup:
    """Looks at this machine, as it is for the cells of a noxfile."""

    variables: Mapping[str, str]
    directory: Path
    """Of the noxfile."""
    environments: Path
    pythons: Sequence[str]
    """What the cells are declared for."""
    cache: Path
    """What nox-envs keeps beside the environments."""
    copies: Sequence[Path]
    """What is left of projects without a noxfile."""

    def findings(self) -> Iterator[Finding]:
        """One after the other: some take a moment."""
        yield _good(
            "nox-envs", ", ".join(_versions("nox-envs", "nox", "virtualenv", "packaging", "pip"))
        )
        yield self._running()
        yield from self._interpreters()
        yield self._installer()
        yield from self._indexes()
        yield from self._disk()

    # -- interpreters

    def _running(self) -> Finding:
        version = ".".join(map(str, sys.version_info[:3]))
        return _good("Python of nox", f"{version}, {sys.executable}")

    def _interpreters(self) -> Iterator[Finding]:
        found = discover.available(self.variables)
        listed = ", ".join(dict.fromkeys(f"{one.name} ({one.source})" for one in found))
        yield _good("Pythons", listed or "none but that of nox")
        for python in dict.fromkeys(self.pythons):
            if discover.locate(python, self.variables) is not None:
                continue
            error = discover.missing(python, self.variables)
            hint = " or ".join(error.commands)
            if settings.downloads(self.variables, ()):
                yield _note(f"Python {python}", "is not here; nox will download it")
            else:
                yield _bad(f"Python {python}", "is declared, and is not on this machine", hint)

    # -- tools

    @cached_property
    def _uv(self) -> str | None:
        return settings.find_uv(self.variables)

    @property
    def _tool(self) -> Literal["uv", "pip"]:
        return "uv" if self._uv else "pip"

    def _asked_of_uv(self, *words: str) -> str:
        """What uv prints; empty where it fails."""
        env = settings.tool_environment(self.variables, kind="uv", directory=self.directory)
        command = [str(self._uv), *words]
        try:
            done = _process.run(
                command, env={**env, "UV_NO_CONFIG": "1"}, cwd=self.directory, timeout=_TIMEOUT
            )
        except (OSError, _process.StillRuns):
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""

    def _installer(self) -> Finding:
        try:
            uv = self._uv
        except NoxEnvsError as error:
            return _bad("uv", error.message, *error.hints)
        if uv is None:
            if settings.prefers_pip(self.variables):
                return _note("uv", "is not wanted: the pip of each environment installs")
            slower = "is not installed: the pip of each environment installs, which is slower"
            return _note("uv", slower, "pip install 'nox-envs[uv]'")
        said = self._asked_of_uv("--version").removeprefix("uv ")
        version = said.partition(" ")[0]
        if not version:
            return _bad("uv", f"{uv} does not start", "pip install --force-reinstall uv")
        try:
            old = Version(version) < _OLDEST_UV
        except InvalidVersion:
            old = False
        if old:
            return _note("uv", f"{version} is old, {uv}", "pip install --upgrade 'nox-envs[uv]'")
        return _good("uv", f"{version}, {uv}")

    # -- indexes

    def _indexes(self) -> Iterator[Finding]:
        try:
            urls = settings.index_urls(self.variables, kind=self._tool, directory=self.directory)
            unheard = settings.unheard_indexes(
                self.variables, kind=self._tool, directory=self.directory
            )
        except NoxEnvsError as error:
            yield _bad("index", error.message, *error.hints)
            return
        if not urls:
            yield _note("index", "none may be asked (no-index)")
        for url in urls:
            yield self._index(url)
        for url in unheard:
            yield _note("index", f"only the other tool of uv and pip was told of {url}")

    def _index(self, url: str) -> Finding:
        shown = without_credentials(url)
        if url.startswith("file:"):
            if _files.path_of_url(url).is_dir():
                return _good("index", shown)
            return _bad("index", f"{shown} is no directory")
        answer = index.releases(_ASKED_FOR, (url,), self._get)
        if isinstance(answer, index.Unreachable):
            hint = (
                "the index wants other credentials" if answer.reason[-3:] in {"401", "403"} else ""
            )
            return _bad("index", f"{shown} cannot be used: {answer.reason}", hint)
        return _good("index", f"{shown} answers")

    def _get(self, url: str, headers: Mapping[str, str]) -> _http.Answer:
        return _http.get(url, timeout=_TIMEOUT, env=self.variables, headers=headers)

    # -- disks

    def _disk(self) -> Iterator[Finding]:
        there = _nearest(self.environments)
        if os.access(there, os.W_OK):
            yield _space("environments", self.environments, there)
        else:
            yield _bad("environments", f"{there} cannot be written to", "see who owns it")
        yield _good("cache", self._own_cache())
        if self.copies:
            text = (
                f"{self.copies[0].parent}, {count(len(self.copies), 'project')} without a noxfile"
            )
            yield _good("copies", f"{text}, {_size(*self.copies)}")
        yield from self._cache_of_uv(there)

    def _own_cache(self) -> str:
        """As `/src/.nox/.cache/nox-envs, 12 MB, 2 slots, 34 resolutions, 1 campaign`."""
        if not self.cache.is_dir():
            return f"{self.cache}, nothing yet"
        held = (("slots/*.lock", "slot"), ("resolutions-v*/*.toml", "resolution"),
                ("campaigns/*/about.json", "campaign"))  # fmt: skip
        found = [count(len(list(self.cache.glob(glob))), what) for glob, what in held]
        return ", ".join([str(self.cache), _size(self.cache), *found])

    def _cache_of_uv(self, there: Path) -> Iterator[Finding]:
        try:
            named = self._asked_of_uv("cache", "dir") if self._uv else ""
        except NoxEnvsError:
            named = ""
        if not named:
            return
        cache = Path(named)
        place = _nearest(cache)
        if not os.access(place, os.W_OK):
            yield _bad("cache of uv", f"{place} cannot be written to", "set UV_CACHE_DIR")
            return
        yield _space("cache of uv", cache, place)
        if place.stat().st_dev == there.stat().st_dev:
            yield _good("hard links", "environments can share the files of the cache")
        else:
            yield _note(
                "hard links",
                "the cache lies on another file system: files are copied, which is slower",
                f"set UV_CACHE_DIR to a directory beside {there}",
            )


def _size(*places: Path) -> str:
    return size(sum(measured(one).own for one in places))


def _good(topic: str, text: str) -> Finding:
    return Finding(topic=topic, mark=Mark.OK, text=text)


def _note(topic: str, text: str, *hints: str) -> Finding:
    return Finding(topic=topic, mark=Mark.NOTE, text=text, hint=_joined(hints))


def _bad(topic: str, text: str, *hints: str) -> Finding:
    return Finding(topic=topic, mark=Mark.BAD, text=text, hint=_joined(hints))


def _joined(hints: Iterable[str]) -> str:
    return "; ".join(filter(None, hints))


def _versions(*names: str) -> Iterator[str]:
    known = {name: list(metadata.distributions(name=name)) for name in names}
    for name, found in known.items():
        yield f"{name} {found[0].version if found else '(not installed)'}"


def _nearest(path: Path) -> Path:
    """The directory itself, or the first one above it that is there."""
    return next((one for one in (path, *path.parents) if one.is_dir()), path)


def _space(topic: str, path: Path, there: Path) -> Finding:
    free = shutil.disk_usage(there).free
    text = f"{path}, {size(free)} free"
    if free < _TOO_LITTLE:
        return _bad(topic, text, "nox-envs clean --caches --older-than '7 days'")
    if free < _LITTLE:
        return _note(topic, text, "nox-envs clean --caches --older-than '7 days'")
    return _good(topic, text)
