"""What the users' pip and uv configuration say about where to download from.

Both tools also read from these files what to install and where to (`no-deps`,
`target`, `override-dependencies`), and that would change an environment behind its
declaration. So the tools are told to read no file of the user's at all, and get
from here the settings that say where to download from, and only those.
"""

from __future__ import annotations

import fnmatch
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nox_envs.errors import DeclarationError, Mistake

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["home", "is_true", "pip_files", "pip_options", "uv_options", "uv_tables"]


_MACHINE = Path("/etc")
"""Where the settings for all users of a machine lie, but for those of XDG."""


def __dir__() -> list[str]:
    return __all__


def home(env: Mapping[str, str], platform: str = sys.platform) -> Path | None:
    """Find the user's directory, or None where the environment does not name it."""
    name = env.get("USERPROFILE" if platform == "win32" else "HOME")
    return Path(name) if name else None


def _configuration_home(env: Mapping[str, str], platform: str) -> Path | None:
    """Find where each program of the user has a directory of settings."""
    named = env.get("APPDATA" if platform == "win32" else "XDG_CONFIG_HOME")
    if named and Path(named).is_absolute():
        return Path(named)
    user = home(env, platform)
    if user is None:
        return None
    return user / "AppData" / "Roaming" if platform == "win32" else user / ".config"


def _machine_homes(env: Mapping[str, str]) -> tuple[Path, ...]:
    """Find the same for all users of a machine that follows XDG; the first is the strongest."""
    named = env.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    return tuple(Path(entry) for entry in named.split(os.pathsep) if entry)


# -- pip ------------------------------------------------------------------------------

_PIP_SECTIONS = ("global", "download", "wheel", "install")
"""The sections that hold for a command of ours, the strongest last."""

_PIP_LISTS = frozenset({"extra-index-url", "find-links", "trusted-host"})

_PIP_ALIASES = {"default-timeout": "timeout", "pypi-url": "index-url"}

_PIP_KEYS = _PIP_LISTS | {
    "cache-dir",
    "cert",
    "client-cert",
    "index-url",
    "keyring-provider",
    "no-cache-dir",
    "no-index",
    "proxy",
    "resume-retries",
    "retries",
    "timeout",
}


def pip_files(
    env: Mapping[str, str], *, platform: str = sys.platform, prefix: str = sys.prefix
) -> tuple[Path, ...]:
    """Where pip would look for its settings, the weakest file first.

    https://pip.pypa.io/en/stable/topics/configuration/#location
    """
    chosen = env.get("PIP_CONFIG_FILE", "")
    if chosen == os.devnull:
        return ()
    windows = platform == "win32"
    name = "pip.ini" if windows else "pip.conf"
    user, settings = home(env, platform), _configuration_home(env, platform)
    files: list[Path] = []
    if windows:
        files += [Path(env["PROGRAMDATA"], "pip", name)] if env.get("PROGRAMDATA") else []
    elif platform == "darwin":
        files.append(Path("/Library/Application Support/pip", name))
    else:
        files += [entry / "pip" / name for entry in _machine_homes(env)]
        files.append(_MACHINE / name)
    if user is not None:
        files.append(user / ("pip" if windows else ".pip") / name)
        if platform == "darwin":
            library = user / "Library" / "Application Support"
            settings = library if (library / "pip").is_dir() else user / ".config"
    if settings is not None:
        files.append(settings / "pip" / name)
    files.append(Path(prefix, name))
    if chosen:
        files.append(Path(chosen))
    return tuple(files)


def _read_ini(path: Path) -> dict[str, dict[str, str]]:
    """Read the settings of a file by section, less what cannot be understood."""
    import configparser  # noqa: PLC0415 - not needed to list sessions

    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig", errors="replace"))
    except OSError:
        return {}
    except configparser.Error:
        pass  # The parser keeps the lines that it understood.
    return {
        section: {
            _PIP_ALIASES.get(name := key.replace("_", "-").removeprefix("--"), name): value.strip()
            for key, value in parser.items(section)
            if value and value.strip()
        }
        for section in parser.sections()
    }


def pip_options(
    env: Mapping[str, str], *, platform: str = sys.platform, prefix: str = sys.prefix
) -> dict[str, str]:
    """Read what pip's files say about where to download from, as `PIP_*` variables."""
    sections: dict[str, dict[str, str]] = {name: {} for name in _PIP_SECTIONS}
    for path in pip_files(env, platform=platform, prefix=prefix):
        for name, items in _read_ini(path).items():
            if name in sections:
                sections[name].update(items)
    merged: dict[str, str] = {}
    for name in _PIP_SECTIONS:
        merged |= sections[name]
    return {
        "PIP_" + key.upper().replace("-", "_"): " ".join(value.split())
        if key in _PIP_LISTS
        else value
        for key, value in merged.items()
        if key in _PIP_KEYS
    }


# -- uv -------------------------------------------------------------------------------

_UV_PIP_KEYS = frozenset(
    {
        "extra-index-url",
        "find-links",
        "index-strategy",
        "index-url",
        "keyring-provider",
        "no-index",
    }
)

_UV_KEYS = _UV_PIP_KEYS | {
    "allow-insecure-host",
    "cache-dir",
    "concurrent-builds",
    "concurrent-downloads",
    "concurrent-installs",
    "http-proxy",
    "https-proxy",
    "native-tls",
    "no-cache",
    "no-proxy",
    "offline",
    "system-certs",
}

_UV_INDEX_KEYS = frozenset(
    {
        "authenticate",
        "cache-control",
        "default",
        "explicit",
        "format",
        "ignore-error-codes",
        "name",
        "url",
    }
)

_UV_PLACES = frozenset({"cache-dir", "extra-index-url", "find-links", "index-url"})
"""Keys whose values are paths where they are not URLs."""


def _read_toml(path: Path) -> dict[str, Any] | None:
    """Read a file of settings, or None where there is none to read.

    A file that is broken is an error: to go on without it could mean to ask another
    index than the one that the user has chosen.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError:
        return None
    except UnicodeDecodeError as error:
        raise _broken(path, str(error)) from error
    if sys.version_info >= (3, 11):
        import tomllib  # noqa: PLC0415 - not needed to list sessions
    else:
        import tomli as tomllib  # noqa: PLC0415 - as above
    try:
        data: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _broken(path, str(error)) from error
    return data


def _broken(path: Path, problem: str) -> DeclarationError:
    return DeclarationError(
        where=str(path), mistakes=(Mistake(address=str(path), problem=problem),)
    )


def _tool_uv(path: Path) -> dict[str, Any] | None:
    tool = (_read_toml(path) or {}).get("tool")
    table = tool.get("uv") if isinstance(tool, dict) else None
    return table if isinstance(table, dict) else None


def _is_member(directory: Path, root: Path, workspace: dict[str, Any]) -> bool:
    inside = directory.relative_to(root).as_posix()

    def named_in(key: str) -> bool:
        patterns = workspace.get(key)
        return isinstance(patterns, list) and any(
            fnmatch.fnmatchcase(inside, str(pattern).rstrip("/")) for pattern in patterns
        )

    return inside == "." or (named_in("members") and not named_in("exclude"))


def _workspace_root(directory: Path) -> Path | None:
    """Find the root of the workspace that the nearest project is of, often the project."""
    places = (directory, *directory.parents)
    project = next((place for place in places if (place / "pyproject.toml").is_file()), None)
    if project is None:
        return None
    for place in (project, *project.parents):
        workspace = (_tool_uv(place / "pyproject.toml") or {}).get("workspace")
        if isinstance(workspace, dict) and _is_member(project, place, workspace):
            return place
    return project if "project" in (_read_toml(project / "pyproject.toml") or {}) else None


def _project_table(directory: Path) -> tuple[Path, dict[str, Any]] | None:
    """Find the nearest file that configures uv; a workspace has the settings of its root."""
    root = _workspace_root(directory) or directory
    for place in (root, *root.parents):
        settings = _read_toml(place / "uv.toml")
        if settings is not None:
            return place, settings
        settings = _tool_uv(place / "pyproject.toml")
        if settings is not None:
            return place, settings
    return None


def uv_tables(
    env: Mapping[str, str], directory: Path, *, platform: str = sys.platform
) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Find every table of settings that uv would, with its directory; the strongest first.

    https://docs.astral.sh/uv/concepts/configuration-files/
    """
    if chosen := env.get("UV_CONFIG_FILE"):
        path = Path(chosen).absolute()
        settings = _read_toml(path)
        if settings is None:
            raise _broken(path, "UV_CONFIG_FILE names it, and it cannot be read")
        yield path.parent, settings
        return
    if is_true(env.get("UV_NO_CONFIG")):
        return
    if (found := _project_table(directory.absolute())) is not None:
        yield found
    user = _configuration_home(env, platform)
    if user is not None and (settings := _read_toml(user / "uv" / "uv.toml")) is not None:
        yield user / "uv", settings
    if is_true(env.get("UV_NO_SYSTEM_CONFIG")):
        return
    if platform == "win32":
        machine = [Path(env.get("PROGRAMDATA") or env.get("SYSTEMDRIVE", "C:") + "\\ProgramData")]
    else:
        machine = [*_machine_homes(env), _MACHINE]
    for place in machine:
        if (settings := _read_toml(place / "uv" / "uv.toml")) is not None:
            yield place / "uv", settings
            return


def is_true(value: str | None) -> bool:
    """Read a switch as pip and uv do."""
    return (value or "").lower() in {"1", "on", "t", "true", "y", "yes"}


def _placed(value: Any, directory: Path) -> Any:
    """Make a path, or a list of them, independent of the file that it stands in."""
    if isinstance(value, list):
        return [_placed(entry, directory) for entry in value]
    if isinstance(value, str) and "://" not in value and not value.startswith("file:"):
        return os.path.normpath(directory / value)
    return value


def _where(table: Mapping[str, Any], directory: Path, keys: frozenset[str]) -> dict[str, Any]:
    return {
        key: _placed(value, directory) if key in _UV_PLACES else value
        for key, value in table.items()
        if key in keys
    }


def _indexes(table: Mapping[str, Any], directory: Path) -> list[dict[str, Any]]:
    entries = table.get("index")
    return [
        {
            key: _placed(value, directory) if key == "url" else value
            for key, value in entry.items()
            if key in _UV_INDEX_KEYS
        }
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get("url"), str)
    ]


def _merge(strong: dict[str, Any], weak: Mapping[str, Any]) -> None:
    """Complete settings by weaker ones as uv does: lists are joined, the rest is kept."""
    for key, value in weak.items():
        if key in strong and isinstance(strong[key], list) and isinstance(value, list):
            strong[key] = [*strong[key], *value]
        else:
            strong.setdefault(key, value)


def uv_options(
    env: Mapping[str, str], directory: Path, *, platform: str = sys.platform
) -> dict[str, Any]:
    """Read what uv's files say about where to download from, as one `uv.toml`."""
    merged: dict[str, Any] = {}
    pip: dict[str, Any] = {}
    indexes: list[dict[str, Any]] = []
    for place, table in uv_tables(env, directory, platform=platform):
        _merge(merged, _where(table, place, _UV_KEYS))
        if isinstance(table.get("pip"), dict):
            _merge(pip, _where(table["pip"], place, _UV_PIP_KEYS))
        indexes += _indexes(table, place)
    if indexes:
        merged["index"] = indexes
    if pip:
        merged["pip"] = pip
    return merged
