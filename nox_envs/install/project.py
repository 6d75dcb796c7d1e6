"""Local projects as wheels: built in a copy of the tree, once for all cells of a run."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.parser import HeaderParser
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from nox_envs import _files, _process
from nox_envs.errors import BuildFailed, NoxEnvsError

if TYPE_CHECKING:
    from nox_envs.interpreter import Interpreter

__all__ = ["Wheel", "build_once", "read_wheel", "without_requirements"]


def __dir__() -> list[str]:
    return __all__


_WIDEST = 300
"""Characters of a line of a build log that are shown: a compiler's line can be endless."""
Build = Callable[[Path, Path], _process.Completed]
"""Builds the project in a directory to a wheel in another one."""
Copy = Callable[[Path, Path], Path]
"""Copies a project's tree to a directory, and tells where the project lies in it."""


Excuse = Callable[[_process.Completed], NoxEnvsError | None]
"""Tells whether a build failed for a reason that is not the project's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A wheel, and what its metadata says."""

    path: Path
    name: NormalizedName
    version: Version
    requires_dist: tuple[str, ...]
    sha256: str
    content: str
    """A digest over names and bytes of its members: equal for equal content, whenever
    it was built."""
    metadata: str
    """A digest over its metadata and entry points."""
    tree: str
    """The digest of the sources that it was built from."""


def read_wheel(path: Path, *, tree: str) -> Wheel:
    """Read a wheel's metadata (PEP 427, core metadata)."""
    content, described = hashlib.sha256(), hashlib.sha256()
    metadata = ""
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            data = archive.read(name)
            if name.endswith(".dist-info/METADATA") and name.count("/") == 1:
                metadata = data.decode("utf-8", errors="replace")
            content.update(f"{name}\0{len(data)}\0".encode())
            content.update(data)
            if name.endswith((".dist-info/METADATA", ".dist-info/entry_points.txt")):
                described.update(data)
    headers = HeaderParser().parsestr(metadata)
    return Wheel(
        path=path,
        name=canonicalize_name(headers["Name"]),
        version=Version(headers["Version"]),
        requires_dist=tuple(headers.get_all("Requires-Dist") or ()),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        content=content.hexdigest(),
        metadata=described.hexdigest(),
        tree=tree,
    )


def without_requirements(wheel: Wheel, directory: Path) -> Path:
    """A wheel with the same metadata, but for what it requires, and nothing in it.

    For a resolver that is to be told of other requirements than the project's own.
    """
    target = directory / f"{wheel.name.replace('-', '_')}-{wheel.version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel.path) as archive:
        described = next(
            name for name in archive.namelist()
            if name.endswith(".dist-info/METADATA") and name.count("/") == 1
        )  # fmt: skip
        headers = HeaderParser().parsestr(archive.read(described).decode("utf-8", "replace"))
    del headers["Requires-Dist"]
    headers.set_payload("")
    place = f"{wheel.name.replace('-', '_')}-{wheel.version}.dist-info"
    about = "Wheel-Version: 1.0\nGenerator: nox-envs\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    members = {f"{place}/METADATA": headers.as_string(), f"{place}/WHEEL": about}
    with zipfile.ZipFile(target, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
        listed = "".join(f"{name},,\n" for name in [*members, f"{place}/RECORD"])
        archive.writestr(f"{place}/RECORD", listed)
    return target


def build_once(
    source: Path,
    *,
    digest: str,
    conditions: str,
    store: Path,
    seconds: float,
    interpreter: Interpreter,
    build: Build,
    copy: Copy,
    excuse: Excuse,
) -> Wheel:
    """The wheel of a project; built by whoever comes first, waited for by the others.

    `store` belongs to one run of nox: all its cells and processes share it. `digest` is
    over the sources, which a session of the run may change, `conditions` over all else that
    decides what a build gives. A wheel that an earlier run, whose store lies beside, built of
    the same within the last `seconds` is as good. A wheel for any Python serves
    every cell, if its metadata is the same for every Python; another one serves those of
    the same build of Python. Raises `BuildFailed`, and such a build is not tried again in
    the run, or what `excuse` says of a failure that is not the project's.
    """
    if source.is_file() and source.suffix == ".whl":
        return read_wheel(source, tree=digest)
    key = hashlib.sha256(f"{source}\0{digest}\0{conditions}".encode()).hexdigest()[:16]
    shelf = store / f"{key}-{source.stem[:40]}"
    known = _known(shelf, interpreter, seconds, tree=digest)
    if known is not None:
        return known
    from filelock import FileLock  # noqa: PLC0415 - seldom needed

    shelf.mkdir(parents=True, exist_ok=True)
    with FileLock(shelf / "lock"):
        known = _known(shelf, interpreter, seconds, tree=digest)
        if known is not None:
            return known
        failure = shelf / interpreter.build / "failed"
        if failure.exists():
            raise _failed(source, interpreter, _files.read_text(failure))
        with _files.scratch("build") as directory:
            project = copy(source, directory / "tree") if source.is_dir() else source
            out = directory / "out"
            out.mkdir()
            done = build(project, out)
            wheels = sorted(out.glob("*.whl"))
            if done.returncode != 0 or not wheels:
                error = excuse(done)
                if error is not None:
                    raise error
                log = done.output.replace(str(directory / "tree"), ".")
                _files.write_text(failure, log)
                raise _failed(source, interpreter, log)
            universal = wheels[0].stem.endswith("-none-any") and _is_static(source)
            place = shelf / ("any" if universal else interpreter.build)
            return read_wheel(_files.move_into(wheels[0], place), tree=digest)


def _known(shelf: Path, interpreter: Interpreter, seconds: float, *, tree: str) -> Wheel | None:
    """The wheel that lies there, or that an earlier run has left."""
    for name in ("any", interpreter.build):
        wheels = sorted((shelf / name).glob("*.whl"))
        if wheels:
            return read_wheel(wheels[0], tree=tree)
        taken = _taken_over(shelf, name, seconds, tree=tree)
        if taken is not None:
            return taken
    return None


def _taken_over(shelf: Path, name: str, seconds: float, *, tree: str) -> Wheel | None:
    """A copy of what an earlier run has built, as old as the original."""
    found = []
    for path in shelf.parent.parent.glob(f"*/{shelf.name}/{name}/*.whl"):
        with contextlib.suppress(OSError):
            found.append((abs(time.time() - path.stat().st_mtime), path))
    for age, path in sorted(found):
        if age >= seconds:
            break
        # Another run may remove it at any time, and what is damaged is built again.
        with contextlib.suppress(OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError):
            place = _files.make_directory(shelf / name) / path.name
            with _files.scratch("wheel", within=shelf) as beside:
                copied = Path(shutil.copy2(path, beside))
                wheel = read_wheel(copied, tree=tree)
                copied.replace(place)
            return replace(wheel, path=place)
    return None


def _is_static(source: Path) -> bool:
    """Whether a project has one metadata for every Python, as far as can be told."""
    try:
        declared = _files.read_toml(source / "pyproject.toml").get("project", {})
    except (OSError, ValueError):
        return False
    dynamic = set(declared.get("dynamic", ()))
    return bool(declared) and not dynamic & {"dependencies", "optional-dependencies"}


def _failed(source: Path, interpreter: Interpreter, log: str) -> BuildFailed:
    lines = [line if len(line) <= _WIDEST else f"{line[:_WIDEST]} ..." for line in log.splitlines()]
    end = "\n".join(lines[-25:])
    return BuildFailed(name=f"the project in {source.name}", python=interpreter.python, log=end)
