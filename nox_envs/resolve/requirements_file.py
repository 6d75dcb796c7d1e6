"""Requirement files as pip defines them, read to values and never edited.

Source: https://pip.pypa.io/en/stable/reference/requirements-file-format/
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

from packaging.requirements import InvalidRequirement, Requirement

from nox_envs.errors import DeclarationError, FileMissing, Mistake
from nox_envs.resolve.requests import Local, Origin, Request, Sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["Contents", "read"]


def __dir__() -> list[str]:
    return __all__


_COMMENT = re.compile(r"(^|\s+)#.*$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_NESTED = {"-r": False, "--requirement": False, "-c": True, "--constraint": True}
_CHECKOUT = re.compile(r"^(?:git|hg|svn|bzr)\+[^\s#]+#(?P<fragment>\S+)(?P<marker>\s+;.*)?$")
"""What `pip freeze` writes for an editable checkout: `git+https://host/b.git@SHA#egg=b`."""
_PATH = re.compile(r"^(?P<path>[^\[]+?)(?:\[(?P<extras>[^\]]*)\])?$")
_ARCHIVES = (".whl", ".tar.gz", ".zip")
_IGNORED = frozenset({"--require-hashes", "--prefer-binary", "--use-feature"})
"""Hashes are always verified; the others change no version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """All that a requirement file and the files it includes ask for."""

    requests: tuple[Request, ...] = ()
    locals: tuple[Local, ...] = ()
    sources: Sources = field(default_factory=Sources)
    prerelease: bool = False
    mistakes: tuple[Mistake, ...] = ()

    def __add__(self, other: Contents) -> Contents:
        mine, theirs = self.sources, other.sources
        return Contents(
            requests=self.requests + other.requests,
            locals=self.locals + other.locals,
            sources=Sources(
                index_url=theirs.index_url or mine.index_url,
                extra_index_urls=mine.extra_index_urls + theirs.extra_index_urls,
                find_links=mine.find_links + theirs.find_links,
                trusted_hosts=mine.trusted_hosts + theirs.trusted_hosts,
            ),
            prerelease=self.prerelease or other.prerelease,
            mistakes=self.mistakes + other.mistakes,
        )


def read(
    path: Path,
    *,
    base: Path,
    text_of: Callable[[Path], str],
    variables: Mapping[str, str],
    constraint: bool = False,
    asked_by: str = "requirements=",
) -> Contents:
    """Read a requirement file with all that it includes.

    Names of files in addresses are relative to `base`. Raises `FileMissing`, and
    `DeclarationError` with every mistake of all the files.
    """
    reader = _Reader(base=base, text_of=text_of, variables=variables)
    contents = reader.file(path, constraint=constraint, asked_by=asked_by, within=())
    if contents.mistakes:
        raise DeclarationError(where=reader.label(path), mistakes=contents.mistakes)
    return contents


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    base: Path
    text_of: Callable[[Path], str]
    variables: Mapping[str, str]

    def label(self, path: Path) -> str:
        try:
            return path.relative_to(self.base).as_posix()
        except ValueError:
            return os.path.relpath(path, self.base).replace(os.sep, "/")

    def file(
        self, path: Path, *, constraint: bool, asked_by: str, within: tuple[Path, ...]
    ) -> Contents:
        label = self.label(path)
        if path in within:
            cycle = " -> ".join(self.label(one) for one in (*within, path))
            return Contents(mistakes=(Mistake(address=asked_by, problem=f"{cycle} is a cycle"),))
        try:
            text = self.text_of(path)
        except FileNotFoundError:
            raise FileMissing(path=label, asked_by=asked_by) from None
        except OSError as error:
            problem = f"{label} cannot be read: {error.strerror}"
            return Contents(mistakes=(Mistake(address=asked_by, problem=problem),))
        contents = Contents()
        for number, line in _logical_lines(text):
            origin = Origin(file=label, line=number, text=line)
            unset = [name for name in _VARIABLE.findall(line) if name not in self.variables]
            if unset:
                problem = f"the variable {unset[0]} is not set"
                mistake = Mistake(address=f"{origin.file}:{origin.line}", problem=problem)
                contents += Contents(mistakes=(mistake,))
                continue
            words = _VARIABLE.sub(lambda m: self.variables[m[1]], line)
            contents += self._line(
                words, origin, path=path, constraint=constraint, within=(*within, path)
            )
        return contents

    def _line(
        self, line: str, origin: Origin, *, path: Path, constraint: bool, within: tuple[Path, ...]
    ) -> Contents:
        if not line.startswith("-"):
            return self._requirement(line, origin, path=path, constraint=constraint)
        option, value = _split_option(line)
        if option in _NESTED and "://" in value:
            problem = "a file on another machine is not read: its content is not yours to pin"
            mistake = Mistake(address=f"{origin.file}:{origin.line}", problem=problem)
            return Contents(mistakes=(mistake,))
        if option in _NESTED:
            return self.file(
                Path(os.path.normpath(path.parent / value)),
                constraint=constraint or _NESTED[option],
                asked_by=str(origin),
                within=within,
            )
        if option in {"-e", "--editable"}:
            return self._requirement(value, origin, path=path, constraint=constraint, editable=True)
        if option == "--pre":
            return Contents(prerelease=True)
        if option in _IGNORED:
            return Contents()
        sources = _sources(option, value, path.parent)
        if sources is not None:
            return Contents(sources=sources)
        mistake = Mistake(
            address=f"{origin.file}:{origin.line}", problem=f"{option} is not understood here"
        )
        return Contents(mistakes=(mistake,))

    def _requirement(
        self, line: str, origin: Origin, *, path: Path, constraint: bool, editable: bool = False
    ) -> Contents:
        line, hashes = _split_hashes(_with_name(line))
        # `x-1-py3-none-any.whl` could be the name of a package, too.
        local = _local(line, origin, path.parent, editable=editable)
        if local is not None and constraint:
            problem = f"a constraint cannot be a path: {line}"
            mistake = Mistake(address=f"{origin.file}:{origin.line}", problem=problem)
            return Contents(mistakes=(mistake,))
        if local is not None and line.endswith(_ARCHIVES) and " " not in line:
            return Contents(locals=(local,))
        try:
            requirement = Requirement(line)
        except InvalidRequirement as error:
            if local is not None:
                return Contents(locals=(local,))
            problem = str(error).splitlines()[0]
            mistake = Mistake(address=f"{origin.file}:{origin.line}", problem=f"{problem}: {line}")
            return Contents(mistakes=(mistake,))
        if requirement.url and urlparse(requirement.url).scheme in {"", "file"} and not constraint:
            local = _local(requirement.url, origin, path.parent, editable=editable)
            if local is not None:
                local = replace(
                    local,
                    extras=frozenset(requirement.extras),
                    marker=str(requirement.marker or ""),
                )
                return Contents(locals=(local,))
        request = Request(
            requirement=requirement, origin=origin, constraint=constraint, hashes=hashes
        )
        return Contents(requests=(request,))


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with continuations joined and comments removed, with the number of the first."""
    number, parts = 0, list[str]()
    for current, raw in enumerate(text.removeprefix("\ufeff").splitlines(), start=1):
        number = number or current
        stripped = _COMMENT.sub("", raw) if not parts or raw.lstrip().startswith("#") else raw
        if stripped.endswith("\\"):
            parts.append(stripped[:-1].strip())
            continue
        parts.append(_COMMENT.sub("", stripped).strip())
        joined = " ".join(part for part in parts if part)
        if joined:
            yield number, joined
        number, parts = 0, []
    joined = " ".join(part for part in parts if part)
    if joined:
        yield number, joined


def _split_option(line: str) -> tuple[str, str]:
    """`-r x`, `-rx`, `--requirement=x` and `--requirement x` all name an option and a value."""
    if line.startswith("--"):
        match = re.match(r"^(--[\w-]+)(?:\s*=\s*|\s+|$)(.*)$", line)
    else:
        match = re.match(r"^(-\w)\s*=?\s*(.*)$", line)
    if match is None:
        return line, ""
    value = match[2].strip()
    if value[:1] in {'"', "'"}:
        value = value[1:].partition(value[0])[0]
    return match[1], value


def _split_hashes(line: str) -> tuple[str, frozenset[str]]:
    requirement, *options = re.split(r"\s+--hash[=\s]", line)
    hashes = {option.strip().removeprefix("sha256:") for option in options}
    return requirement.strip(), frozenset(hashes)


def _with_name(line: str) -> str:
    """A checkout that names its package in the fragment only, as PEP 508 has it."""
    found = _CHECKOUT.match(line)
    parts = [one.partition("=") for one in found["fragment"].split("&")] if found else []
    name = next((value for key, _, value in parts if key == "egg"), "")
    if found is None or not name:
        return line
    url = line[: found.start("fragment") - 1]
    others = "&".join(f"{key}={value}" for key, _, value in parts if key != "egg")
    return f"{unquote(name)} @ {url}{'#' * bool(others)}{others}{found['marker'] or ''}"


def _sources(option: str, value: str, directory: Path) -> Sources | None:
    match option:
        case "-i" | "--index-url" | "--pypi-url":
            return Sources(index_url=value)
        case "--extra-index-url":
            return Sources(extra_index_urls=(value,))
        case "-f" | "--find-links":
            here = directory / value
            return Sources(find_links=(value if "://" in value else str(here.resolve()),))
        case "--trusted-host":
            return Sources(trusted_hosts=(value,))
        case _:
            return None


def _local(text: str, origin: Origin, directory: Path, *, editable: bool) -> Local | None:
    """A path to a directory or archive; None for text that is no path."""
    url = urlparse(text)
    if url.scheme == "file":
        plain = unquote(url.path)
        if os.name == "nt":
            plain = plain.lstrip("/")
        return Local(path=Path(plain), origin=origin, editable=editable)
    plain, _, marker = text.partition(";")
    match = _PATH.match(plain.strip())
    if match is None or "://" in text:
        return None
    plain = match["path"].strip()
    looks_like_path = plain.startswith(".") or "/" in plain or os.sep in plain
    looks_like_archive = plain.endswith(_ARCHIVES)
    if not (looks_like_path or looks_like_archive):
        return None
    extras = frozenset(part.strip() for part in (match["extras"] or "").split(",") if part.strip())
    path = Path(os.path.normpath(directory / plain))
    return Local(path=path, origin=origin, extras=extras, editable=editable, marker=marker.strip())
