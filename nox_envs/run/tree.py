"""A copy of a project's tree, so that nothing is written into the project."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from nox_envs import _process

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["copy", "digest"]


def __dir__() -> list[str]:
    return __all__


_SKIPPED = frozenset(
    {".git", ".hg", ".nox", ".tox", ".venv", "__pycache__", ".pytest_cache", ".mypy_cache",
     ".ruff_cache", ".hypothesis", "node_modules"}
)  # fmt: skip


def copy(
    source: Path, target: Path, *, env: Mapping[str, str], include: Iterable[str] = ()
) -> Path:
    """Copy a project's directory; returns its place in the copy.

    In a git checkout: tracked files, and untracked ones that are not ignored, as they
    are in the working tree. Elsewhere: all but environments and caches. `include` are
    globs, relative to `source`, of ignored files that are needed all the same. A copy
    from a checkout lies as deep as the original and has a `.git` file that points to
    the repository, so that tools which ask git for a version get their answer.
    """
    source = source.resolve()
    top = _git(source, env, "rev-parse", "--show-toplevel", "--absolute-git-dir").splitlines()
    names = _listed(source, env) if top else []
    place = target
    if names:
        place = target / source.relative_to(Path(top[0]).resolve())
        target.mkdir(parents=True, exist_ok=True)
        (target / ".git").write_text(f"gitdir: {top[1]}\n", encoding="utf-8")
    else:
        names = list(_walked(source))
    place.mkdir(parents=True, exist_ok=True)
    for name in dict.fromkeys([*names, *_included(source, tuple(include))]):
        _copy_one(source / name, place / name)
    return place


def digest(source: Path, *, env: Mapping[str, str], include: Iterable[str] = ()) -> str:
    """A digest over all that `copy` would copy, and the commit: equal trees build equally."""
    source = source.resolve()
    if source.is_file():
        return hashlib.sha256(source.read_bytes()).hexdigest()
    total = hashlib.sha256(_git(source, env, "rev-parse", "HEAD").encode())
    names = _listed(source, env) or list(_walked(source))
    for name in sorted({*names, *_included(source, tuple(include))}):
        path = source / name
        total.update(f"{name}\0".encode(errors="surrogateescape"))
        if path.is_file():
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def _git(directory: Path, env: Mapping[str, str], *words: str) -> str:
    """What git answers; nothing where there is no git or no repository."""
    done = _process.run(["git", *words], env={**env, "GIT_OPTIONAL_LOCKS": "0"}, cwd=directory)
    return done.stdout if done.returncode == 0 else ""


def _listed(source: Path, env: Mapping[str, str]) -> list[str]:
    """Relative to `source`; nothing where all of it is ignored."""
    listed = _git(source, env, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    return [name for name in listed.split("\0") if name]


def _walked(source: Path) -> Iterator[str]:
    for directory, subdirectories, files in os.walk(source):
        here = Path(directory)
        subdirectories[:] = [
            name
            for name in subdirectories
            if name not in _SKIPPED and not (here / name / "pyvenv.cfg").exists()
        ]
        for name in files:
            yield (here / name).relative_to(source).as_posix()


def _included(source: Path, patterns: tuple[str, ...]) -> list[str]:
    if not patterns:
        return []
    return [
        name
        for name in (path.relative_to(source).as_posix() for path in source.rglob("*"))
        if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
    ]


def _copy_one(source: Path, target: Path) -> None:
    if source.is_symlink():
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.symlink_to(source.readlink(), target_is_directory=source.is_dir())
        except (OSError, NotImplementedError):
            # Links need a privilege on Windows: the content does as well.
            if source.is_file():
                shutil.copy2(source, target)
    elif source.is_dir():  # A submodule, which git lists as one entry.
        shutil.copytree(
            source,
            target,
            symlinks=True,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns(*_SKIPPED),
        )
    elif source.exists():  # A tracked file may have been deleted.
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
