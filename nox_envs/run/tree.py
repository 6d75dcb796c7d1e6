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
    from collections.abc import Collection, Iterable, Iterator, Mapping

__all__ = ["again", "copy", "detach", "digest", "is_changed", "root"]


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
    are in the working tree. Elsewhere: all but environments, caches, and directories whose
    `.gitignore` is `*`: what tools make has one. `include` are
    globs, relative to `source`, of ignored files that are needed all the same. A copy
    from a checkout lies as deep as the original, and git answers in it, for tools that
    ask it for a version.
    """
    source = source.resolve()
    top = _git(source, env, "rev-parse", "--show-toplevel").splitlines()
    names = _listed(source, env) if top else []
    place = target / source.relative_to(Path(top[0]).resolve()) if names else target
    place.mkdir(parents=True, exist_ok=True)
    for name in dict.fromkeys([*(names or _walked(source)), *_included(source, tuple(include))]):
        _copy_one(source / name, place / name, root=source)
    if names:
        _share_repository(source, target, env)
    return place


def root(source: Path, *, env: Mapping[str, str]) -> Path:
    """The top of the checkout that a directory lies in; itself where there is none."""
    top = _git(source, env, "rev-parse", "--show-toplevel").splitlines()
    if not top or not _listed(source, env):
        return source.resolve()
    return Path(top[0]).resolve()


def again(snapshot: Path, target: Path) -> None:
    """Another copy of a copy, links and all."""
    shutil.copytree(snapshot, target, symlinks=True, dirs_exist_ok=True)


_MOST_LINKED = 1 << 20
"""Bytes of a file that is no part of the tree: more than that is data."""


def detach(copied: Path, source: Path, *, env: Mapping[str, str]) -> bool:
    """Have what links of a copy lead to lie in the copy, so that nobody writes elsewhere.

    A link into `source`, of which it is the copy, leads into the copy instead; what is a file
    elsewhere is copied. Says whether links are left that lead out: to directories, and to data.
    """
    copied, source = copied.resolve(), source.resolve()
    changed, leads_out = [], False
    for link in list(_links(copied)):
        try:
            place = link.resolve()
            inside = copied / place.relative_to(source) if place.is_relative_to(source) else place
            if place.is_relative_to(copied) or not place.exists():
                continue
            if inside != place and inside.exists():
                link.unlink()
                link.symlink_to(
                    os.path.relpath(inside, link.parent), target_is_directory=inside.is_dir()
                )
            elif place.is_file() and place.stat().st_size <= _MOST_LINKED:
                content = place.read_bytes()
                link.unlink()
                link.write_bytes(content)
                shutil.copymode(place, link)
            else:
                leads_out = True
                continue
        except (OSError, RuntimeError):  # A loop; what must not be read.
            leads_out = True
            continue
        changed.append(link.relative_to(copied).as_posix())
    if changed and (copied / ".git").is_dir():  # For git it is the link that it was.
        words = ["git", "update-index", "-z", "--skip-worktree", "--stdin"]
        for name in changed:  # One that git does not know ends it.
            _process.run(words, env=dict(env), cwd=copied, stdin=f"{name}\0")
    return leads_out


def _links(directory: Path) -> Iterator[Path]:
    for place, subdirectories, files in os.walk(directory):
        subdirectories[:] = [name for name in subdirectories if name not in _SKIPPED]
        for name in (*subdirectories, *files):
            if (Path(place) / name).is_symlink():
                yield Path(place) / name


def _share_repository(source: Path, target: Path, env: Mapping[str, str]) -> None:
    """Let git answer in the copy as it does in the original, without writing to that.

    The copy is a repository of its own, that borrows the objects of the original
    (gitrepository-layout(5), `objects/info/alternates`): a commit or a tag that is made in it
    is gone with it. What was not copied is marked as left out on purpose, so that a clean
    tree is clean in the copy, too.
    """
    places = _git(source, env, "rev-parse", "--absolute-git-dir", "--git-common-dir").splitlines()
    if len(places) != 2:  # noqa: PLR2004 - two answers to two questions
        return
    private, common = Path(places[0]), (source / places[1]).resolve()
    git = target / ".git"
    (git / "objects" / "info").mkdir(parents=True, exist_ok=True)
    (git / "objects" / "info" / "alternates").write_text(f"{common / 'objects'}\n", "utf-8")
    for name in ("config", "packed-refs", "shallow", "info/exclude"):
        if (common / name).is_file():
            (git / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(common / name, git / name)
    shutil.copytree(common / "refs", git / "refs", dirs_exist_ok=True)
    for name in ("HEAD", "index"):
        if (private / name).is_file():
            shutil.copyfile(private / name, git / name)
    own = {**env, "GIT_DIR": str(git), "GIT_WORK_TREE": str(target)}
    # As submodules and worktrees have it: the copy has its own.
    _git(target, own, "config", "--unset-all", "core.worktree")
    missing = _git(target, own, "ls-files", "-z", "--deleted")
    if missing:
        words = ["git", "update-index", "-z", "--skip-worktree", "--stdin"]
        _process.run(words, env=own, cwd=target, stdin=missing)


def digest(
    source: Path,
    *,
    env: Mapping[str, str],
    include: Iterable[str] = (),
    exclude: Collection[str] = (),
    commit: bool = True,
) -> str:
    """A digest over all that `copy` would copy, and the commit: equal trees build equally.

    `exclude` are names, relative to `source`, of files that do not count; without `commit`
    only files do.
    """
    source = source.resolve()
    if source.is_file():
        return hashlib.sha256(source.read_bytes()).hexdigest()
    described = _git(source, env, "describe", "--always", "--tags", "--long") if commit else ""
    total = hashlib.sha256(described.encode())
    names = _listed(source, env) or list(_walked(source))
    for name in sorted({*names, *_included(source, tuple(include))} - set(exclude)):
        for path in _files_of(source / name):
            shown = path.relative_to(source).as_posix()
            total.update(f"{shown}\0".encode(errors="surrogateescape"))
            if path.is_symlink():
                total.update(b"->" + os.fsencode(path.readlink()))
            if path.is_file():
                total.update(b"+x" if os.access(path, os.X_OK) else b"-x")
                total.update(hashlib.sha256(path.read_bytes()).digest())
            elif path.is_symlink() and path.is_dir() and _leads_out(path, source):
                total.update(_content(path))  # It goes along into a copy.
    return total.hexdigest()


def _content(directory: Path) -> bytes:
    """A digest over all files below a directory that is copied whole."""
    total = hashlib.sha256()
    for path in sorted(each for each in directory.rglob("*") if each.is_file()):
        total.update(f"{path.relative_to(directory).as_posix()}\0".encode(errors="surrogateescape"))
        total.update(b"+x" if os.access(path, os.X_OK) else b"-x")
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.digest()


def is_changed(path: Path, *, env: Mapping[str, str]) -> bool:
    """Whether git knows of changes of a file that are not committed."""
    return bool(_git(path.parent, env, "status", "--porcelain", "--", path.name).strip())


def _git(directory: Path, env: Mapping[str, str], *words: str) -> str:
    """What git answers; nothing where there is no git or no repository."""
    done = _process.run(["git", *words], env={**env, "GIT_OPTIONAL_LOCKS": "0"}, cwd=directory)
    return done.stdout if done.returncode == 0 else ""


def _listed(source: Path, env: Mapping[str, str]) -> list[str]:
    """Relative to `source`; nothing where all of it is ignored."""
    tracked = _git(source, env, "ls-files", "-z", "--cached")
    others = _git(source, env, "ls-files", "-z", "--others", "--exclude-standard")
    # Environments and caches are no part of a project, even where nobody told git so.
    return [name for name in tracked.split("\0") if name] + [
        name for name in others.split("\0") if name and _SKIPPED.isdisjoint(name.split("/"))
    ]


def _walked(source: Path) -> Iterator[str]:
    for directory, subdirectories, files in os.walk(source):
        here = Path(directory)
        subdirectories[:] = [
            name
            for name in subdirectories
            if name not in _SKIPPED
            and not (here / name / "pyvenv.cfg").exists()
            and not _is_ignored_whole(here / name)
        ]
        links = [name for name in subdirectories if (here / name).is_symlink()]
        for name in [*files, *links]:
            if name not in _SKIPPED:  # A submodule has a file `.git`.
                yield (here / name).relative_to(source).as_posix()


def _is_ignored_whole(directory: Path) -> bool:
    try:
        lines = (directory / ".gitignore").read_bytes().split(b"\n")
    except OSError:
        return False
    return [line for each in lines if (line := each.strip()) and line[:1] != b"#"] == [b"*"]


def _files_of(path: Path) -> list[Path]:
    """The path itself, or what a directory holds: git lists a submodule as one entry."""
    if path.is_dir() and not path.is_symlink():
        return [path / name for name in sorted(_walked(path))]
    return [path]


def _included(source: Path, patterns: tuple[str, ...]) -> list[str]:
    if not patterns:
        return []
    return [
        name
        for name in (path.relative_to(source).as_posix() for path in source.rglob("*"))
        if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)
    ]


def _leads_out(link: Path, root: Path) -> bool:
    """Whether a relative link leads out of the tree that is copied."""
    return not link.readlink().is_absolute() and not link.resolve().is_relative_to(root)


def _link(source: Path, target: Path) -> None:
    """Another link to what a link leads to; the content where links need a privilege (Windows)."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.symlink_to(source.readlink(), target_is_directory=source.is_dir())
    except (OSError, NotImplementedError):
        if source.is_file():
            shutil.copy2(source, target)


def _copy_one(source: Path, target: Path, *, root: Path) -> None:
    if target.is_symlink():  # Else what it leads to would be written.
        target.unlink()
    if source.is_symlink() and _leads_out(source, root):
        # In the copy the link would lead nowhere: the content goes along.
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
        elif source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
    elif source.is_symlink():
        _link(source, target)
    elif source.is_dir():
        for path in _files_of(source):
            _copy_one(path, target / path.relative_to(source), root=root)
    elif source.is_file():  # A tracked file may have been deleted; a socket is no source.
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
