"""The interpreters that are installed, told by the names of directories and programs."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = [
    "SERIES_NAME",
    "Found",
    "Source",
    "available",
    "entries",
    "identity",
    "newest_first",
    "path_places",
    "roots",
    "runs",
]


def __dir__() -> list[str]:
    return __all__


Source = Literal["PATH", "pyenv", "uv", "mise", "asdf", "py launcher", "nox itself"]
"""Who has an interpreter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An interpreter that is installed; nobody has run it yet."""

    version: str
    """`3.12.7`, or `3.12` where only that much can be told without running it."""
    path: Path
    source: Source
    implementation: str = "cpython"
    free_threaded: bool = False

    @property
    def name(self) -> str:
        """How to ask for it: `3.12.7`, `3.13.0t`, `pypy3.10`."""
        prefix = "" if self.implementation == "cpython" else self.implementation
        return f"{prefix}{self.version}{'t' if self.free_threaded else ''}"

    @property
    def is_exact(self) -> bool:
        """Whether all of its version is known."""
        return self.version.count(".") > 1


SERIES_NAME = re.compile(r"(python|pypy)(3\.\d+)(t?)(?:\.exe)?")

# `3.12.7`, `3.13.0t`, `3.14-dev`, `3.12.7-win32`, `pypy3.10-7.3.16`.
_INSTALLED = re.compile(
    r"(?P<implementation>pypy)?(?P<version>\d+\.\d+(?:\.\d+(?:(?:a|b|rc)\d+)?)?)"
    r"(?P<threads>t?)(?:-(?:dev|win32|arm(?:64)?|\d.*|v\d.*))?"
)

# `cpython-3.13.0+freethreaded-linux-x86_64-gnu`.
_INSTALLED_BY_UV = re.compile(
    r"(?P<implementation>cpython|pypy)-(?P<version>\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?)"
    r"(?:\+(?P<threads>freethreaded))?-[^+]*"
)


def available(env: Mapping[str, str], *, platform: str = sys.platform) -> tuple[Found, ...]:
    """List the interpreters that are installed, by who has them, the newest first.

    None is run. What a version manager has is said to be of it, also where it is on
    PATH. Broken installations are left out.
    """
    managed = [
        found
        for source, root in roots(env, platform)
        for found in newest_first(_installed(source, root))
    ]
    managed += newest_first(_registered())
    known = {identity(found.path) for found in managed}
    on_path = [found for found in _on_path(env) if identity(found.path) not in known]
    return (*newest_first(_unique(on_path)), *_unique(managed))


def newest_first(found: Iterable[Found]) -> list[Found]:
    def age(one: Found) -> tuple[bool, Version, bool]:
        return one.implementation == "cpython", Version(one.version), not one.free_threaded

    return sorted(found, key=age, reverse=True)


def identity(path: Path) -> str:
    return os.path.realpath(path)


def _unique(found: Iterable[Found]) -> Iterator[Found]:
    known = set()
    for one in found:
        if (real := identity(one.path)) not in known:
            known.add(real)
            yield one


def roots(env: Mapping[str, str], platform: str) -> Iterator[tuple[Source, Path]]:
    """Say in which directories there is one for each interpreter."""
    windows = platform == "win32"
    named = env.get("USERPROFILE" if windows else "HOME")
    user = Path(named) if named else None

    def directory(variable: str, *default: str) -> Path | None:
        if env.get(variable):
            return Path(env[variable]).expanduser()
        return user.joinpath(*default) if user else None

    if windows:
        pyenv = directory("PYENV_ROOT", ".pyenv", "pyenv-win")
    else:
        pyenv = directory("PYENV_ROOT", ".pyenv")
    if pyenv:
        yield "pyenv", pyenv / "versions"
    yield from (("uv", place) for place in _uv_roots(env, user, platform))
    if windows:
        data = directory("LOCALAPPDATA", "AppData", "Local")
    else:
        data = directory("XDG_DATA_HOME", ".local", "share")
    mise = Path(env["MISE_DATA_DIR"]) if env.get("MISE_DATA_DIR") else data and data / "mise"
    if mise:
        yield "mise", mise / "installs" / "python"
    if asdf := directory("ASDF_DATA_DIR", ".asdf"):
        yield "asdf", asdf / "installs" / "python"


def _uv_roots(env: Mapping[str, str], user: Path | None, platform: str) -> Iterator[Path]:
    """Say where uv keeps interpreters, where it did so before included."""
    if env.get("UV_PYTHON_INSTALL_DIR"):
        yield Path(env["UV_PYTHON_INSTALL_DIR"])
    elif platform == "win32":
        roaming = env.get("APPDATA")
        data = Path(roaming) if roaming else user and user / "AppData" / "Roaming"
        if data:
            yield data / "uv" / "data" / "python"
            yield data / "uv" / "python"
    else:
        if platform == "darwin" and user:
            yield user / "Library" / "Application Support" / "uv" / "python"
        named = env.get("XDG_DATA_HOME", "")
        if Path(named).is_absolute():
            yield Path(named, "uv", "python")
        elif user:
            yield user / ".local" / "share" / "uv" / "python"


def entries(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


def _is_alias(entry: Path) -> bool:
    """Tell if a directory is a link to one beside it, as `3.12` may be to `3.12.7`."""
    target = entry.resolve()
    return target.parent == entry.parent.resolve() and target.name != entry.name


def _installed(source: Source, root: Path) -> Iterator[Found]:
    pattern = _INSTALLED_BY_UV if source == "uv" else _INSTALLED
    for entry in entries(root):
        match = pattern.fullmatch(entry.name)
        if match is None or _is_alias(entry):
            continue
        version = match["version"]
        implementation = match["implementation"] or "cpython"
        path = _executable(entry, implementation, version, match["threads"] or "")
        if path is not None:
            yield Found(
                version=version,
                path=path,
                source=source,
                implementation=implementation,
                free_threaded=bool(match["threads"]),
            )


def _executable(directory: Path, implementation: str, version: str, threads: str) -> Path | None:
    series = ".".join(version.split(".")[:2])
    if implementation == "pypy":
        names = [f"pypy{series}", "pypy3", "pypy", "python"]
    else:
        names = [f"python{series}", "python3", "python"]
        names = [f"python{series}t", *names] if threads else names
    for name in names:
        for path in (directory / "bin" / name, directory / f"{name}.exe"):
            if runs(path):
                return path
    return None


def runs(path: Path) -> bool:
    """Tell if a file is a program; Windows has empty ones that open its store."""
    try:
        return path.is_file() and os.access(path, os.X_OK) and path.stat().st_size > 0
    except OSError:
        return False


def path_places(env: Mapping[str, str]) -> Iterator[Path]:
    """List the directories of PATH whose interpreters are of this machine."""
    for place in map(Path, filter(None, env.get("PATH", "").split(os.pathsep))):
        # A shim runs what its version manager finds activated, if anything.
        is_shims = place.name == "shims"
        is_environment = (place.parent / "pyvenv.cfg").is_file()
        if place.is_absolute() and not is_shims and not is_environment:
            yield place


def _on_path(env: Mapping[str, str]) -> Iterator[Found]:
    for place in path_places(env):
        try:
            names = sorted(os.listdir(place))  # noqa: PTH208 - thousands, and few are meant
        except OSError:
            continue
        for name in names:
            match = SERIES_NAME.fullmatch(name)
            if match is not None and runs(place / name):
                yield Found(
                    version=match[2],
                    path=place / name,
                    source="PATH",
                    implementation="cpython" if match[1] == "python" else "pypy",
                    free_threaded=bool(match[3]),
                )


def _registered() -> Iterator[Found]:
    """List what is registered with Windows (PEP 514), of which the launcher takes."""
    if sys.platform != "win32":
        return
    import winreg  # noqa: PLC0415 - is on Windows only

    for hive in (winreg.HKEY_CURRENT_USER, winreg.HKEY_LOCAL_MACHINE):
        with contextlib.suppress(OSError), winreg.OpenKey(hive, _PYTHON_CORE) as core:
            for at in range(winreg.QueryInfoKey(core)[0]):
                tag = winreg.EnumKey(core, at)
                match = re.fullmatch(r"(3\.\d+)(t?)(?:-.*)?", tag)
                path = _registered_path(hive, tag)
                if match is not None and path is not None and runs(path):
                    yield Found(
                        version=match[1],
                        path=path,
                        source="py launcher",
                        free_threaded=bool(match[2]),
                    )


_PYTHON_CORE = r"Software\Python\PythonCore"


def _registered_path(hive: int, tag: str) -> Path | None:
    if sys.platform != "win32":
        return None
    import winreg  # noqa: PLC0415 - is on Windows only

    try:
        with winreg.OpenKey(hive, rf"{_PYTHON_CORE}\{tag}\InstallPath") as key:
            return Path(winreg.QueryValueEx(key, "ExecutablePath")[0])
    except OSError:
        return None
