"""Bytecode that is there before the first import: compiled once for each source, kept, linked.

It is compiled by the environment's interpreter from sources that are what RECORD says, never
taken from an environment that something has run in. It names the source that it was made from
by a hash of the content, which Python compares at every import: it cannot be stale.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nox_envs import _files, _process
from nox_envs.install import record

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from nox_envs.interpreter import Interpreter

__all__ = ["STORE", "forget", "warm"]


def __dir__() -> list[str]:
    return __all__


STORE = "bytecode-v1"
"""The name of the store's directory. It may be deleted at any time: that costs time alone."""
_SCRATCH = "scratch"
_SHELVES = 256
_MOST = 512 * 2**20
_MOST_OF_A_SHELF = _MOST // _SHELVES

# Runs on Python 3.7 and later. What gives a warning is left to the first import, which shows it
# or fails by it, as in any new environment: an empty file keeps it from being tried again.
_COMPILE = """\
import hashlib, json, marshal, py_compile, sys, warnings
from py_compile import PyCompileError
warnings.simplefilter("error")
checked = py_compile.PycInvalidationMode.CHECKED_HASH
done = []
for number, (source, sha256, name) in enumerate(json.load(sys.stdin)):
    target = "%d.pyc" % number
    try:
        with open(source, "rb") as stream:
            if hashlib.sha256(stream.read()).hexdigest() != sha256:
                continue
        try:
            py_compile.compile(source, target, name, doraise=True, invalidation_mode=checked)
        except PyCompileError:
            open(target, "wb").close()
        else:
            with open(target, "rb") as stream:
                marshal.loads(stream.read()[16:])
        done.append(number)
    except Exception:
        pass
print(*done)
"""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A source file of an environment, and the bytecode for it."""

    source: str
    name: str
    """The same, relative to site-packages."""
    sha256: str
    place: str
    """Where Python looks for its bytecode."""
    kept: str
    """Where the store has it, or will have it."""


def warm(
    store: Path,
    interpreter: Interpreter,
    names: Collection[str],
    *,
    env: Mapping[str, str],
    links: bool = True,
) -> int:
    """Give an environment the bytecode of those of its files that have these names.

    What the store lacks is compiled now. Returns how many files were put there. With `links`
    they are shared with the store where the file system can. Never fails: what cannot be
    had is what the first import makes.
    """
    if not names or not _is_served(interpreter):
        return 0
    hands = _Hands(links=links)
    with contextlib.suppress(OSError, ValueError):
        missing = []
        for one in _wanted(store, interpreter, names):
            try:
                size = os.stat(one.kept).st_size  # noqa: PTH116 - a thousand times at each start
            except FileNotFoundError:
                missing.append(one)
                continue
            if size:
                hands.put(one)
        if missing:
            for one in _compiled(store, interpreter, missing, env):
                hands.put(one)
            for shelf in {os.path.dirname(one.kept) for one in missing}:  # noqa: PTH120
                _trim(shelf)
    return hands.count


def _is_served(interpreter: Interpreter) -> bool:
    """Whether it is known which bytecode fits: not that of a Python between two releases."""
    markers, version = interpreter.markers, interpreter.version
    major, minor = (int(number) for number in interpreter.python.split("."))
    return (
        markers.get("implementation_name") == "cpython"
        and (major, minor) >= (3, 7)
        and not version.endswith("+")
    )


def _wanted(store: Path, interpreter: Interpreter, names: Collection[str]) -> list[_Wanted]:
    """The files that have one of the names, and that RECORD vouches for.

    A file that two distributions describe differently is left out: only one can be right.
    """
    facts = (interpreter.markers["implementation_name"], interpreter.version, interpreter.build)
    built_for = hashlib.sha256("\0".join(facts).encode()).hexdigest()[:16]
    tag = f"cpython-{interpreter.python.replace('.', '')}"
    wanted = frozenset(names)
    places = {os.path.realpath(place) for place in (interpreter.purelib, interpreter.platlib)}
    found: dict[str, _Wanted | None] = {}
    for site, metadata in ((place, one) for place in places for one in _metadata(place)):
        try:
            rows = record.rows(metadata)
        except (OSError, csv.Error):
            continue
        for name, digest in rows:
            sha256 = record.sha256(digest) if name in wanted else ""
            if not sha256 or not name.endswith(".py"):
                continue
            head, slash, tail = name.rpartition("/")
            one = _Wanted(
                source=f"{site}/{name}",
                name=name,
                sha256=sha256,
                place=f"{site}/{head}{slash}__pycache__/{tail[:-3]}.{tag}.pyc",
                kept=f"{store}/{sha256[:2]}/{sha256}-{built_for}.pyc",
            )
            found[one.place] = one if found.get(one.place, one) == one else None
    return [one for one in found.values() if one]


def _metadata(site: str) -> list[Path]:
    with contextlib.suppress(OSError), os.scandir(site) as entries:
        return [Path(entry.path) for entry in entries if entry.name.endswith(".dist-info")]
    return []


@dataclass(slots=True, kw_only=True)
class _Hands:
    """Put files of the store where Python looks for them."""

    links: bool
    count: int = 0
    _made: set[str] = field(default_factory=set)

    def put(self, one: _Wanted) -> None:
        directory = os.path.dirname(one.place)  # noqa: PTH120
        if directory not in self._made:
            with contextlib.suppress(FileExistsError):
                os.mkdir(directory)  # noqa: PTH102
            self._made.add(directory)
        if self.links:
            try:
                os.link(one.kept, one.place)
            except (FileExistsError, FileNotFoundError):
                return
            except OSError:  # Another file system, or one without links.
                pass
            else:
                self.count += 1
                return
        self._copy(one)

    def _copy(self, one: _Wanted) -> None:
        if os.path.lexists(one.place):
            return
        try:
            shutil.copyfile(one.kept, one.place)
        except FileNotFoundError:
            return
        except OSError:
            # Half of it would be an error at import.
            Path(one.place).unlink(missing_ok=True)
            raise
        self.count += 1


# -- the store


def _compiled(
    store: Path, interpreter: Interpreter, missing: Collection[_Wanted], env: Mapping[str, str]
) -> list[_Wanted]:
    """Compile what the store lacks; those that it has now."""
    alike: dict[str, list[_Wanted]] = {}
    for one in missing:
        alike.setdefault(one.kept, []).append(one)
    kept = list(alike)
    asked = [(same[0].source, same[0].sha256, same[0].name) for same in alike.values()]
    found = []
    with _files.scratch("compile", within=store / _SCRATCH) as place:
        done = _process.run(
            [interpreter.path, "-I", "-S", "-B", "-c", _COMPILE],
            env=env,
            cwd=place,
            stdin=json.dumps(asked),
        )
        for number in map(int, done.stdout.split() if done.returncode == 0 else ()):
            made, target = place / f"{number}.pyc", kept[number]
            has_code = made.stat().st_size > 0
            _files.make_directory(Path(target).parent)
            made.replace(target)
            found += alike[target] if has_code else []
    return found


def _trim(shelf: str) -> None:
    """Remove from a shelf what was not used for longest, until it holds no more than its share.

    On POSIX a link changes the `ctime` of a file, so each use of it does.
    """
    found = []
    with contextlib.suppress(OSError), os.scandir(shelf) as entries:
        for entry in entries:
            seen = entry.stat()
            found.append((max(seen.st_ctime_ns, seen.st_atime_ns), seen.st_size, entry.path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found)[:-1]:
        if total <= _MOST_OF_A_SHELF:
            return
        with contextlib.suppress(OSError):
            Path(path).unlink()
            total -= size


def forget(store: Path, inodes: Collection[int]) -> None:
    """Remove the files with these inodes from the store: something has written into them."""
    for number in range(_SHELVES if inodes else 0):
        with contextlib.suppress(OSError), os.scandir(store / f"{number:02x}") as entries:
            for entry in entries:
                if entry.inode() in inodes:
                    Path(entry.path).unlink(missing_ok=True)
