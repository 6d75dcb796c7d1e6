"""Wheels, sdists and project trees, made in milliseconds and without a network.

The wheels written here are the same bytes for the same arguments on every machine. Sdists and
project trees carry an in-tree build backend, so that pip and uv build them offline.

That backend is `_BACKEND` below plus a copy of *this file*. It therefore needs the standard library
only, and keeps to what Python 3.8 understands.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Release", "build_sdist", "build_wheel", "write_project"]

_BACKEND = '''\
"""A build backend of the standard library alone; backend.json says what it builds."""

import json
import sys
from pathlib import Path

import backend_wheels as wheels

HERE = Path(__file__).resolve().parent
CONFIG = json.loads((HERE / "backend.json").read_text(encoding="utf-8"))
RELEASE = wheels.Release(**CONFIG["release"])


def get_requires_for_build_wheel(config_settings=None):
    return []


get_requires_for_build_editable = get_requires_for_build_sdist = get_requires_for_build_wheel


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    directory = Path(metadata_directory, RELEASE.stem + ".dist-info")
    directory.mkdir()
    for name, text in RELEASE.dist_info("py3-none-any").items():
        (directory / name).write_bytes(text.encode())
    return directory.name


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    (HERE / "build-was-here.txt").write_text("A wheel was built here.\\n", encoding="utf-8")
    if CONFIG["marker"]:
        Path(CONFIG["marker"]).touch()
    if CONFIG["build_log"]:
        # Mode "a" is O_APPEND: the lines of parallel builds do not overwrite each other.
        with open(CONFIG["build_log"], "a", encoding="utf-8") as log:
            log.write("build_wheel " + RELEASE.stem + "\\n")
    if CONFIG["breaks"]:
        for line in range(1, 31):
            print("compiling line", line, file=sys.stderr, flush=True)
        raise RuntimeError("the compiler is missing")
    return wheels.write_wheel(Path(wheel_directory), RELEASE, modules()).name


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    pth = {"__editable__." + RELEASE.stem + ".pth": str(HERE) + "\\n"}
    return wheels.write_wheel(Path(wheel_directory), RELEASE, pth).name


def build_sdist(sdist_directory, config_settings=None):
    names = ["pyproject.toml", "backend.py", "backend.json", "backend_wheels.py"]
    files = {name: (HERE / name).read_text(encoding="utf-8") for name in names}
    return wheels.write_sdist(Path(sdist_directory), RELEASE, {**files, **modules()}).name


def modules():
    sources = sorted((HERE / RELEASE.package).rglob("*.py"))
    return {path.relative_to(HERE).as_posix(): path.read_text(encoding="utf-8") for path in sources}
'''

# Zip files know no time before 1980; everything made here is that old.
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
_TAR_DATE = 315_532_800


# Not keyword-only and slotted as elsewhere, because Python 3.8 reads this file.
@dataclass(frozen=True)
class Release:
    """What the metadata of one version of one project says."""

    name: str
    version: str
    requires: Sequence[str]
    requires_python: str
    extras: Mapping[str, Sequence[str]]
    entry_points: Mapping[str, str]
    dynamic: bool = False
    """Whether an sdist leaves its dependencies to the backend."""

    @property
    def package(self) -> str:
        """The name as a module, and as the head of a file name."""
        return re.sub(r"[-_.]+", "_", self.name).lower()

    @property
    def stem(self) -> str:
        """What the file names of the release begin with."""
        return f"{self.package}-{self.version}"

    def metadata(self, *, is_sdist: bool = False) -> str:
        """Return METADATA of a wheel, or PKG-INFO of an sdist."""
        lines = ["Metadata-Version: 2.2", f"Name: {self.name}", f"Version: {self.version}"]
        if self.requires_python:
            lines.append(f"Requires-Python: {self.requires_python}")
        if is_sdist and self.dynamic:
            lines.append("Dynamic: Requires-Dist")
        else:
            lines += [f"Requires-Dist: {requirement}" for requirement in self.requires]
        for extra, requires in self.extras.items():
            lines.append(f"Provides-Extra: {extra}")
            lines += [f"Requires-Dist: {_under_extra(each, extra)}" for each in requires]
        return "\n".join(lines) + "\n"

    def dist_info(self, tag: str) -> dict[str, str]:
        """Return the files of the `.dist-info` directory, but for RECORD."""
        pythons, abis, platforms = (part.split(".") for part in tag.split("-"))
        is_pure = str(tag.endswith("-none-any")).lower()
        wheel = ["Wheel-Version: 1.0", "Generator: nox-envs-tests", f"Root-Is-Purelib: {is_pure}"]
        wheel += [f"Tag: {py}-{abi}-{on}" for py in pythons for abi in abis for on in platforms]
        files = {"METADATA": self.metadata(), "WHEEL": "\n".join(wheel) + "\n"}
        if self.entry_points:
            scripts = (f"{name} = {target}\n" for name, target in self.entry_points.items())
            files["entry_points.txt"] = "[console_scripts]\n" + "".join(scripts)
        return files


def build_wheel(
    directory: Path,
    name: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    requires_python: str = "",
    extras: Mapping[str, Sequence[str]] = {},
    modules: Mapping[str, str] | None = None,
    entry_points: Mapping[str, str] = {},
    tag: str = "py3-none-any",
) -> Path:
    """Write a wheel into `directory` and return its path.

    `modules` maps paths inside the wheel to their text; without it there is one package, named like
    the project, with a `__version__`. `entry_points` are console scripts. `version` is used as it
    stands, so give it in its normal form.
    """
    release = Release(name, version, requires, requires_python, extras, entry_points)
    return write_wheel(directory, release, _package(release) if modules is None else modules, tag)


def build_sdist(
    directory: Path,
    name: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    requires_python: str = "",
    breaks: bool = False,
    marker: Path | None = None,
) -> Path:
    """Write an sdist that builds offline into `directory` and return its path.

    With `breaks` its metadata can be had, but a build says 30 lines on stderr and raises. With
    `marker` each attempt to build a wheel touches that file.
    """
    release = Release(name, version, requires, requires_python, {}, {})
    config = _backend(release, breaks=breaks, marker=marker)
    tree = {"pyproject.toml": _pyproject(release, {}), **config, **_package(release)}
    return write_sdist(directory, release, tree)


def write_project(
    directory: Path,
    name: str = "demo",
    version: str = "1.0",
    *,
    requires: Sequence[str] = (),
    requires_python: str = "",
    extras: Mapping[str, Sequence[str]] = {},
    groups: Mapping[str, Sequence[str | Mapping[str, str]]] = {},
    dynamic: bool = False,
    build_log: Path | None = None,
) -> Path:
    """Write the source tree of a project into `directory` and return `directory`.

    Each call of the backend's `build_wheel` appends a line to `build_log`, and leaves a file
    `build-was-here.txt` in the tree that it ran in; an editable build does neither. With `dynamic`
    only the backend knows the dependencies. Written again, the project is changed in place.
    """
    release = Release(name, version, requires, requires_python, extras, {}, dynamic)
    config = _backend(release, build_log=build_log)
    tree = {"pyproject.toml": _pyproject(release, groups), **config, **_package(release)}
    for path, text in tree.items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text.encode())
    return directory


def write_wheel(
    directory: Path, release: Release, modules: Mapping[str, str], tag: str = "py3-none-any"
) -> Path:
    """Pack `modules` and the metadata of `release`."""
    info = f"{release.stem}.dist-info"
    dist_info = {f"{info}/{name}": text for name, text in release.dist_info(tag).items()}
    files = {**modules, **dist_info}
    record = [f"{path},{_record_hash(text)},{len(text.encode())}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
    packed = io.BytesIO()
    # Stored rather than deflated: no two versions of zlib need to agree.
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for path, text in files.items():
            member = zipfile.ZipInfo(path, _ZIP_DATE)
            member.create_system = 3
            member.external_attr = 0o100644 << 16
            archive.writestr(member, text.encode())
    return _write(directory / f"{release.stem}-{tag}.whl", packed.getvalue())


def write_sdist(directory: Path, release: Release, files: Mapping[str, str]) -> Path:
    """Pack `files` and a PKG-INFO under the one directory that an sdist has."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, text in {"PKG-INFO": release.metadata(is_sdist=True), **files}.items():
            member = tarfile.TarInfo(f"{release.stem}/{path}")
            member.size = len(text.encode())
            member.mtime = _TAR_DATE
            archive.addfile(member, io.BytesIO(text.encode()))
    compressed = gzip.compress(packed.getvalue(), mtime=0)
    return _write(directory / f"{release.stem}.tar.gz", compressed)


def _package(release: Release) -> dict[str, str]:
    return {f"{release.package}/__init__.py": f'__version__ = "{release.version}"\n'}


def _backend(
    release: Release,
    *,
    breaks: bool = False,
    marker: Path | None = None,
    build_log: Path | None = None,
) -> dict[str, str]:
    config = {
        "release": asdict(release),
        "breaks": breaks,
        "marker": marker and str(marker.absolute()),
        "build_log": build_log and str(build_log.absolute()),
    }
    return {
        "backend.py": _BACKEND,
        "backend.json": json.dumps(config, indent=2) + "\n",
        "backend_wheels.py": Path(__file__).read_text(encoding="utf-8"),
    }


def _pyproject(release: Release, groups: Mapping[str, Sequence[str | Mapping[str, str]]]) -> str:
    system: dict[str, object] = {
        "requires": [],
        "build-backend": "backend",
        "backend-path": ["."],
    }
    project: dict[str, object] = {"name": release.name, "version": release.version}
    if release.requires_python:
        project["requires-python"] = release.requires_python
    if release.dynamic:
        project["dynamic"] = ["dependencies"]
    else:
        project["dependencies"] = list(release.requires)
    tables: dict[str, Mapping[str, object]] = {
        "build-system": system,
        "project": project,
        "project.optional-dependencies": release.extras,
        "dependency-groups": groups,
    }
    return "\n".join(_toml_table(head, body) for head, body in tables.items() if body)


def _toml_table(head: str, body: Mapping[str, object]) -> str:
    lines = (f"{_toml_key(key)} = {_toml_value(value)}\n" for key, value in body.items())
    return f"[{head}]\n" + "".join(lines)


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


def _toml_value(value: object) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        pairs = (f"{_toml_key(key)} = {_toml_value(each)}" for key, each in value.items())
        return "{ " + ", ".join(pairs) + " }"
    assert isinstance(value, (list, tuple)), value
    return "[" + ", ".join(_toml_value(each) for each in value) + "]"


def _under_extra(requirement: str, extra: str) -> str:
    # The semicolon behind a URL needs a space before it, the others may have one.
    head, _, marker = requirement.partition(" ;" if "@" in requirement else ";")
    condition = f'extra == "{extra}"'
    if marker.strip():
        condition = f"({marker.strip()}) and {condition}"
    return f"{head.strip()} ; {condition}"


def _record_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
