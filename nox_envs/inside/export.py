"""The lock of an environment in the forms that other tools read."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Literal

from nox_envs.errors import LockInvalid
from nox_envs.lock import public_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.pylock import Package, Pylock

__all__ = ["FORMATS", "Format", "exported"]


def __dir__() -> list[str]:
    return __all__


Format = Literal["requirements", "constraints", "dockerfile"]
FORMATS: tuple[Format, ...] = ("requirements", "constraints", "dockerfile")
_PIPS = frozenset({"sha256", "sha384", "sha512"})
"""The hashes that pip knows."""


def exported(
    lock: Pylock,
    form: Format,
    *,
    cell: str,
    image: str,
    places: Mapping[str, str],
    path: str,
) -> str:
    """A lock as a document, with a newline at the end.

    `image` is what a Dockerfile begins with, `places` are the directories of the projects that were
    built from one, relative to the context; `path` is where the lock lies, for messages. What pip
    cannot hash is named in a comment. Raises `LockInvalid` for what cannot be written in one line.
    """
    packages = sorted(lock.packages, key=lambda one: one.name)
    own = [one for one in packages if one.directory is not None]
    cloned = [one for one in packages if one.vcs is not None]
    others = [one for one in packages if one.directory is None]
    lines = [f"# {_word(cell, path)}, as nox-envs made it."]
    if form == "constraints":
        return _text([*lines, *(_constraint(one, path) for one in others)])
    lines += [f"# Not here: {one.name}, of this project." for one in own]
    lines += [f"# Not here, as it has no hash: {_constraint(one, path)}" for one in cloned]
    lines += _hashed([one for one in others if one.vcs is None], path)
    if form == "requirements":
        return _text(lines)
    clones = [_run(_constraint(one, path)) for one in cloned]
    builds = [_run(_place(one.name, places, path)) for one in own]
    return _text([
        "# syntax=docker/dockerfile:1",
        f"FROM {_word(image, path)}",
        "COPY <<'NOX_ENVS' /tmp/requirements.txt",
        *lines,
        "NOX_ENVS",
        _run("--require-hashes", "-r", "/tmp/requirements.txt"),  # noqa: S108 - of the image
        *clones,
        *(["WORKDIR /src", "COPY . .", *builds] if builds else []),
    ])  # fmt: skip


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


def _run(*words: str) -> str:
    return f"RUN python -m pip install --no-cache-dir --no-deps {shlex.join(words)}"


def _place(name: str, places: Mapping[str, str], path: str) -> str:
    if name not in places:
        raise LockInvalid(path=path, problem=f"holds {name}, which lies outside of this project")
    return _word(f"./{places[name]}", path)


def _constraint(package: Package, path: str) -> str:
    if package.version is None or package.vcs or package.archive:
        return f"{package.name} @ {_source(package, path)}"
    return f"{package.name}=={package.version}"


def _hashed(packages: Iterable[Package], path: str) -> Iterator[str]:
    """Lines that pip takes with `--require-hashes`."""
    for package in packages:
        files = [package.archive, package.sdist, *(package.wheels or ())]
        hashes = sorted({
            f"--hash={kind}:{digest}"
            for file in files if file is not None
            for kind, digest in file.hashes.items() if kind in _PIPS
        })  # fmt: skip
        words = [_constraint(package, path), *(_word(one, path) for one in hashes)]
        yield " \\\n    ".join(words)


def _source(package: Package, path: str) -> str:
    """Where a package comes from that is of no index, without a credential."""
    if package.vcs:
        where = public_url(package.vcs.url) if package.vcs.url else package.vcs.path or ""
        below = f"#subdirectory={package.vcs.subdirectory}" if package.vcs.subdirectory else ""
        return _word(f"{package.vcs.type}+{where}@{package.vcs.commit_id}{below}", path)
    archive = package.archive
    if archive is None:
        raise LockInvalid(path=path, problem=f"{package.name} has neither version nor source")
    return _word(public_url(archive.url) if archive.url else f"file://{archive.path}", path)


def _word(text: str, path: str) -> str:
    """Text that stays within its line."""
    if not text.isprintable() or "\\" in text:
        raise LockInvalid(path=path, problem=f"holds {text!r}, which cannot be exported")
    return text
