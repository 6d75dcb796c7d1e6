"""The locks that a team commits: a file for each cell, and what it notes of the declaration."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from nox_envs.errors import LockInvalid
from nox_envs.lock import public_url

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from packaging.utils import NormalizedName

    from nox_envs.gather import Gathered
    from nox_envs.lock import Lock

__all__ = [
    "COMMAND",
    "DIRECTORY",
    "TOOL",
    "document",
    "drift",
    "facts",
    "facts_of",
    "names",
    "place",
    "refuse_others",
    "relative",
]


def __dir__() -> list[str]:
    return __all__


COMMAND = "nox -s lock"
"""What writes them, as `campaigns` registers it."""
DIRECTORY = "locks"
"""Where they lie, beside the files of the session."""
TOOL = "nox-envs"
_LISTS = {"requirements": "{}", "constraints": "constraint {}"}


# -- names (PEP 751: `pylock.NAME.toml`, without a dot in NAME)


def _slug(cell: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", cell)


def _plain(cell: str) -> str:
    return f"pylock.{_slug(cell)}.toml"


def _exact(cell: str) -> str:
    digest = hashlib.sha256(cell.encode()).hexdigest()[:8]
    return f"pylock.{_slug(cell)}-{digest}.toml"


def names(cells: Collection[str]) -> dict[str, str]:
    """The file of each cell; where two would meet, on any disk, each gets a digest of its name."""
    seen = Counter(_slug(cell).lower() for cell in set(cells))
    return {cell: _plain(cell) if seen[_slug(cell).lower()] == 1 else _exact(cell)
            for cell in cells}  # fmt: skip


def place(directory: Path, cell: str) -> Path:
    """Where the lock of a cell lies, or would lie."""
    exact = directory / DIRECTORY / _exact(cell)
    return exact if exact.exists() else directory / DIRECTORY / _plain(cell)


def refuse_others(path: Path, base: Path) -> None:
    """Raise `LockInvalid` for what lies where a lock is to be, and can be none."""
    at, problem, hint = path, "", f"move it away, and write the lock:   {COMMAND}"
    if path.parent.exists() and not path.parent.is_dir():
        at, problem = path.parent, "is a file, and locks lie in a directory of that name"
    elif path.is_dir():
        problem = "is a directory, and no lock"
    elif path.is_file() and not path.stat().st_size:
        problem, hint = "is empty", f"remove it, and write the lock:   {COMMAND}"
    if problem:
        raise LockInvalid(path=relative(at, base), problem=problem, hint=hint)


# -- the declaration


def facts(gathered: Gathered, cell: str, cooldown: str) -> dict[str, Any]:
    """What a lock notes of its cell, so that a difference can be named later; without a secret."""
    wanted, sources = gathered.wanted, gathered.wanted.sources
    locals_ = {
        f"{relative(one.path, gathered.directory)}"
        f"{'[' + ','.join(sorted(one.extras)) + ']' if one.extras else ''}"
        f"{' (editable)' if one.editable else ''}"
        for one in gathered.sources
    }
    return {
        "cell": cell,
        "inputs": gathered.digest(cooldown),
        "requirements": sorted({_public(one.requirement) for one in wanted.requirements}),
        "constraints": sorted({_public(one.requirement) for one in wanted.constraints}),
        "settings": {
            "projects": " ".join(sorted(locals_)) or "none",
            "the project itself": "installed" if gathered.installs_project else "not installed",
            "extras": " ".join(sorted(gathered.extras)) or "none",
            "lowest": " ".join(sorted(gathered.lowest)) or "none",
            "resolution": wanted.resolution,
            "prerelease": "allowed" if wanted.prerelease else "not allowed",
            "cooldown": cooldown or "none",
            "indexes": " ".join(
                public_url(url) for url in (sources.index_url, *sources.extra_index_urls) if url
            )
            or "the default",
        },
    }


def drift(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """What a declaration says now that it did not say before, and the other way round.

    Nothing where `before` is of a lock that has not noted it.
    """
    if not isinstance(before.get("settings"), Mapping):
        return ()
    found = []
    for key, form in _LISTS.items():
        known = before.get(key)
        was = _by_name(known if isinstance(known, list) else ())
        is_ = _by_name(now[key])
        for name in sorted(was.keys() | is_.keys()):
            old, new = was.get(name, set()), is_.get(name, set())
            gone, come = (form.format(" and ".join(sorted(one))) for one in (old - new, new - old))
            if old - new and new - old:
                found.append(f"{gone} is now {come}")
            elif old != new:
                found.append(f"{come} was added" if new - old else f"{gone} was removed")
    settings = before["settings"]
    found += [
        f"{key}: {settings.get(key, 'none')}, now {value}"
        for key, value in now["settings"].items()
        if settings.get(key, "none") != value
    ]
    return tuple(found)


def _by_name(texts: Iterable[Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for text in map(str, texts):
        try:
            name = canonicalize_name(Requirement(text).name)
        except InvalidRequirement:  # Somebody has edited the lock.
            name = canonicalize_name(text)
        found.setdefault(name, set()).add(text)
    return found


def _public(requirement: Requirement) -> str:
    bare = Requirement(str(requirement))
    bare.marker = None  # It holds, or the requirement would not be here.
    if bare.url:
        bare.url = public_url(bare.url)
    return str(bare)


# -- the file


def facts_of(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a lock of ours says of itself; None for one of somebody else."""
    tool = data.get("tool")
    facts = tool.get(TOOL) if isinstance(tool, Mapping) else None
    return dict(facts) if isinstance(facts, Mapping) else None


def document(
    lock: Lock, facts: Mapping[str, Any], *, directory: Path, sources: Mapping[NormalizedName, Path]
) -> dict[str, Any]:
    """The PEP 751 document of a lock, to lie in a directory that others check out.

    Of local projects (`sources`, by name) it says where they lie: their versions and their code
    change with every commit.
    """
    found = lock.to_pylock()
    editable = {one.name: one.editable for one in lock.locals}
    packages = [_shared(one, directory) for one in found["packages"] if "directory" not in one]
    packages += [
        {
            "name": name,
            "directory": {"path": relative(path, directory), "editable": editable[name]},
        }
        for name, path in sources.items()
        if name in editable and path.is_dir()
    ]
    locals_ = [{"name": name} for name in sorted(editable)]
    return {
        **found,
        "packages": sorted(packages, key=lambda one: str(one["name"])),
        "tool": {TOOL: {**facts, "locals": locals_}},
    }


def _shared(package: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """A package whose files on this disk are named from the place of the lock."""

    def placed(file: Mapping[str, Any]) -> dict[str, Any]:
        path = file.get("path")
        if path is None or not Path(path).is_absolute():
            return dict(file)
        return {**file, "path": relative(Path(path), directory)}

    found = dict(package)
    for key in ("sdist", "archive"):
        if key in found:
            found[key] = placed(found[key])
    if "wheels" in found:
        wheels: Sequence[Mapping[str, Any]] = found["wheels"]
        found["wheels"] = [placed(one) for one in wheels]
    return found


def relative(path: Path, base: Path) -> str:
    """A path as it is shown; whole where it lies on another drive."""
    try:
        return os.path.relpath(path, base).replace(os.sep, "/")
    except ValueError:  # Another drive of Windows.
        return str(path)
