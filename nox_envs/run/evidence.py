"""Evidence of use: which modules were looked up in an environment, whoever ran in it."""

from __future__ import annotations

import contextlib
import csv
import json
import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from nox_envs import _files

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from packaging.utils import NormalizedName

__all__ = ["owners", "plant", "read", "top_levels"]


def __dir__() -> list[str]:
    return __all__


_MODULE = "_nox_envs_evidence"
_STARTED = ".started"
_MODULE_SUFFIXES = (".py", ".pyc", ".so", ".pyd")

# Runs in the programs of others, on any Python from 3.6 on: it imports nothing that is not there
# at the start, raises nothing, and looks up nothing at run time that a test may have replaced.
_HOOK = '''\
"""Notes which modules are looked up, for one trial. Planted by nox-envs."""

import atexit
import os
import sys


class _Finder:
    """Finds nothing, and touches a file for each watched name that is looked for.

    It stays when there is nothing left to watch: to leave `sys.meta_path` while that is
    gone through would skip the finder that comes next.
    """

    def __init__(self, directory, names):
        self.directory = directory
        self.left = set(names)
        self.returns = 16
        self.sys, self.open, self.close = sys, os.open, os.close
        self.flags = os.O_CREAT | os.O_WRONLY

    def find_spec(self, name, path=None, target=None):
        try:
            if self.sys.meta_path[0] is not self and self.returns:
                # Who came in front, as pytest does, may have answered for a watched name.
                self.returns -= 1
                self.catch_up()
                self.sys.meta_path.insert(0, self)
            if name in self.left:
                self.note(name)
        except Exception:
            pass
        return None

    def catch_up(self):
        for name in [name for name in tuple(self.left) if name in self.sys.modules]:
            self.note(name)

    def note(self, name):
        self.left.discard(name)
        try:
            path = self.directory + b"/" + name.encode("utf-8")
            self.close(self.open(path, self.flags, 0o666))
        except Exception:
            pass


def start(directory, names):
    try:
        finder = _Finder(directory, names)
        finder.note(".started")
        finder.catch_up()
        sys.meta_path.insert(0, finder)
        atexit.register(finder.catch_up)
    except Exception:
        pass
'''


def plant(site_packages: Path, directory: Path, names: Collection[str]) -> None:
    """Have every process of an environment note in `directory` which modules it looks up.

    `names` are the top-level modules to watch. No distribution is added. Blind to
    interpreters that skip `site` (`-S`). A look-up is no proof of use.
    """
    wrong = [name for name in names if not name.isidentifier()]
    if wrong:
        raise ValueError(f"no names of modules: {', '.join(wrong)}")
    _files.make_directory(directory)
    # Bytes, and escapes only: a process may know no encoding but ASCII. What differs from
    # trial to trial is not in the module, whose bytecode may be kept.
    facts = f"{os.fsencode(directory.absolute())!r}, {sorted(set(names))!a}"
    _files.write_text(site_packages / f"{_MODULE}.py", _HOOK)
    _files.write_text(
        site_packages / f"{_MODULE}.pth", f"import {_MODULE}; {_MODULE}.start({facts})\n"
    )


def read(directory: Path) -> frozenset[str] | None:
    """The watched names that were looked up; None where no process was there to tell."""
    try:
        noted = frozenset(path.name for path in directory.iterdir())
    except FileNotFoundError:
        return None
    return noted - {_STARTED} if _STARTED in noted else None


def top_levels(metadata: Path) -> frozenset[str] | None:
    """The names by which the modules of a distribution are looked up, from its `.dist-info`.

    Empty where it has nothing to import. None where look-ups tell nothing for sure: its
    modules may lie elsewhere, it shares a namespace with another distribution, or it has
    a program that needs no module, as ruff has.
    """
    files = _recorded(metadata)
    if files is None:
        return _declared(metadata)
    if _has_program(metadata, files):
        return None
    found = _importable(files)
    namespaces = {name for name, whole in found.items() if not whole}
    if namespaces:
        for other in metadata.parent.glob("*.dist-info"):
            if other != metadata and not namespaces.isdisjoint(_importable(_recorded(other) or ())):
                return None
    return frozenset(found)


def owners(metadata: Iterable[Path]) -> dict[str, tuple[NormalizedName, ...]]:
    """The distributions of an environment by the top-level modules that they hold.

    A namespace has several, sorted. What is not known of a distribution is left out.
    """
    found: dict[str, set[NormalizedName]] = {}
    for path in metadata:
        files = _recorded(path)
        for name in (_declared(path) or ()) if files is None else _importable(files):
            found.setdefault(name, set()).add(_name(path))
    return {name: tuple(sorted(names)) for name, names in sorted(found.items())}


def _importable(files: Iterable[PurePosixPath]) -> dict[str, bool]:
    """Top-level names, and whether they are whole: modules and packages, no namespaces."""
    found: dict[str, bool] = {}
    for file in files:
        top, *below = file.parts
        name = top if below else top.partition(".")[0]
        if name.isidentifier() and name != "__pycache__" and file.suffix in _MODULE_SUFFIXES:
            is_init = len(below) == 1 and below[0].partition(".")[0] == "__init__"
            found[name] = found.get(name, False) or is_init or not below
    return found


def _recorded(metadata: Path) -> tuple[PurePosixPath, ...] | None:
    """The files of a distribution, relative to site-packages; None where modules may lie elsewhere."""
    try:
        text = _files.read_text(metadata / "RECORD")
        names = [row[0] for row in csv.reader(text.splitlines()) if row and row[0]]
    except (OSError, csv.Error):
        return None
    files = tuple(map(PurePosixPath, names))
    return None if _is_editable(metadata) or _adds_paths(metadata.parent, files) else files


def _declared(metadata: Path) -> frozenset[str] | None:
    """What `top_level.txt` says, where there is one."""
    try:
        words = _files.read_text(metadata / "top_level.txt").split()
    except OSError:
        return None
    return frozenset(word for word in words if word.isidentifier())


def _is_editable(metadata: Path) -> bool:
    try:
        origin = json.loads(_files.read_text(metadata / "direct_url.json"))
        return bool(origin["dir_info"]["editable"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _adds_paths(site_packages: Path, files: Iterable[PurePosixPath]) -> bool:
    """Whether a `.pth` file says where else to look for modules, as that of pywin32 does."""
    for file in files:
        if file.suffix == ".pth" and len(file.parts) == 1:
            with contextlib.suppress(OSError):
                lines = _files.read_text(site_packages / file).splitlines()
                if any(line.strip() and not line.startswith(("#", "import")) for line in lines):
                    return True
    return False


def _has_program(metadata: Path, files: Iterable[PurePosixPath]) -> bool:
    """Whether it has a command that is neither an entry point nor a script of Python."""
    entry_points = ""
    with contextlib.suppress(OSError):
        entry_points = _files.read_text(metadata / "entry_points.txt")
    known = {line.partition("=")[0].strip() for line in entry_points.splitlines()}
    commands = [
        file
        for file in files
        if file.parts[0] in {"..", "/"} and file.parent.name in {"bin", "Scripts"}
    ]
    return any(
        file.name.removesuffix(".exe") not in known and not _is_script(metadata.parent / file)
        for file in commands
    )


def _is_script(path: Path) -> bool:
    try:
        start, _, _ = _files.read_ends(path, head=500, tail=0)
    except OSError:
        return False
    return start.startswith(b"#!") and b"python" in start.partition(b"\n")[0]


def _name(metadata: Path) -> NormalizedName:
    for line in _headers(metadata):
        field, _, value = line.partition(":")
        if field.lower() == "name" and value.strip():
            return canonicalize_name(value.strip())
    return canonicalize_name(metadata.name.rpartition(".")[0].partition("-")[0])


def _headers(metadata: Path) -> Iterator[str]:
    file = metadata
    if metadata.is_dir():
        file /= "METADATA" if metadata.name.endswith(".dist-info") else "PKG-INFO"
    try:
        text = _files.read_text(file)
    except OSError:
        return
    for line in text.splitlines():
        if not line:
            return
        yield line
