"""The Python interpreters of this machine, and what one says of itself.

nox looks for an interpreter on PATH and takes of a version manager only what is
activated. Here is known what is installed, without running any of it. Run are only
the interpreter of an environment, to know it, and what is on PATH under a name that
does not tell its version, where nothing else will do.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from nox_envs import _files, _process
from nox_envs._installed import (
    SERIES_NAME,
    Found,
    Source,
    available,
    entries,
    identity,
    newest_first,
    path_places,
    roots,
    runs,
)
from nox_envs.errors import InterpreterMissing, WrongEnvironment
from nox_envs.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = [
    "Found",
    "Source",
    "answers",
    "available",
    "inspect",
    "is_too_old",
    "locate",
    "missing",
    "path_for",
]


def __dir__() -> list[str]:
    return __all__


# -- the interpreter of an environment ------------------------------------------------

# This runs on Python 3.8 and newer and on PyPy. Without `site` (-S), which would run
# code from the environment, a Python before 3.14 does not know that it stands in one:
# its prefix is then what `site` would have made of it.
_PROBE = """
import json, os, platform, sys, sysconfig
here = os.path.dirname(os.path.abspath(sys.executable))
homes = [home for home in (os.path.dirname(here), here)
         if os.path.isfile(os.path.join(home, "pyvenv.cfg"))]
prefix = homes[0] if homes else sys.prefix
schemes = sysconfig.get_scheme_names()
name = sys.implementation.name
scheme = [scheme for scheme in ("venv", name + "_" + os.name, name, os.name + "_prefix", os.name)
          if scheme in schemes][0]
paths = sysconfig.get_paths(scheme, vars={"base": prefix, "platbase": prefix})
if hasattr(os, "uname"):
    system, _, release, kernel, machine = os.uname()
else:
    system, release, kernel, machine = (
        platform.system(), platform.release(), platform.version(), platform.machine())
number = sys.implementation.version
stage = "" if number.releaselevel == "final" else number.releaselevel[0] + str(number.serial)
version = platform.python_version()
try:
    from importlib.machinery import EXTENSION_SUFFIXES
    suffix = EXTENSION_SUFFIXES[0].strip(".").rpartition(".")[0]
except IndexError:
    suffix = ""
print(json.dumps({
    "version": version,
    "executable": os.path.realpath(sys.executable),
    "prefix": prefix,
    "base_prefix": sys.base_prefix,
    "free_threaded": "t" in getattr(sys, "abiflags", ""),
    "purelib": paths["purelib"],
    "platlib": paths["platlib"],
    "build": sysconfig.get_config_var("SOABI") or suffix or sys.implementation.cache_tag,
    "markers": {
        "implementation_name": name,
        "implementation_version": "%d.%d.%d" % number[:3] + stage,
        "os_name": os.name,
        "platform_machine": machine,
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": release,
        "platform_system": system,
        "platform_version": kernel,
        "python_full_version": version + ("local" if version.endswith("+") else ""),
        "python_version": "%d.%d" % sys.version_info[:2],
        "sys_platform": sys.platform,
    },
}))
"""

_STARTING = frozenset(
    {
        "DYLD_FALLBACK_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "LD_LIBRARY_PATH",
        "PROCESSOR_ARCHITECTURE",
        "PROCESSOR_ARCHITEW6432",
        "SYSTEMDRIVE",
        "SYSTEMROOT",
        "TEMP",
        "TMP",
        "WINDIR",
    }
)
"""Without these an interpreter may not start, or not know its machine."""

_PATIENCE = 60
"""Seconds for an interpreter to answer, on a machine with much else to do."""


def _starting(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.upper() in _STARTING}


def _deciding(env: Mapping[str, str]) -> dict[str, str]:
    """The same less those that change nothing of what it says."""
    return {name: value for name, value in _starting(env).items() if name not in {"TEMP", "TMP"}}


def inspect(
    python: Path,
    *,
    env: Mapping[str, str] = MappingProxyType({}),
    cell: str = "",
    run: Callable[..., _process.Completed] = _process.run,
    memory: Path | None = None,
    in_environment: bool = True,
) -> Interpreter:
    """Ask the interpreter of an environment, at `<environment>/bin/python`, what it is.

    Raises `WrongEnvironment` if it is not there, does not start, or is not of that
    environment: what is half-made would else run a Python from somewhere else. One that is
    not `in_environment` is asked for what it is, too, and not for where it stands.

    In `memory` is kept what interpreters have said. One that is a link to the same file as
    before, in an environment that was made in the same way, is not asked again.
    """
    environment = python.parent.parent

    def wrong(*differences: str) -> WrongEnvironment:
        return WrongEnvironment(cell=cell or str(environment), differences=differences)

    if not python.is_file():
        if python.is_symlink():
            raise wrong(f"{python} is a link to {python.readlink()}, which is not there")
        raise wrong(f"{python} is not there")
    setting = _Setting.of(python, env, in_environment=in_environment) if memory else None
    if memory and setting and (known := setting.recall(memory)):
        return known
    said = _answer_of(python, env, run, wrong)
    interpreter = Interpreter.from_dict(python, said)
    if in_environment and (differences := _strays(interpreter, environment)):
        raise wrong(*differences)
    if memory and setting and setting.holds(env):
        setting.note(memory, said)
    return interpreter


def _answer_of(
    python: Path,
    env: Mapping[str, str],
    run: Callable[..., _process.Completed],
    wrong: Callable[..., WrongEnvironment],
) -> dict[str, Any]:
    """What an interpreter says of itself, with all that `Interpreter` needs."""
    try:
        done = run(
            [python, "-I", "-S", "-c", _PROBE],
            env=_starting(env),
            cwd=python.parent,
            timeout=_PATIENCE,
        )
    except OSError as error:
        raise wrong(f"{python} does not start: {error}") from error
    except subprocess.TimeoutExpired as error:
        raise wrong(f"{python} did not answer in {_PATIENCE} seconds") from error
    if done.returncode != 0:
        raise wrong(f"{python} does not start (exit {done.returncode})", *done.output.splitlines())
    try:
        said: dict[str, Any] = json.loads(done.stdout)
        Interpreter.from_dict(python, said)
    except (ValueError, KeyError, TypeError) as error:
        raise wrong(f"{python} is not a Python interpreter", *done.output.splitlines()) from error
    return said


@dataclass(frozen=True, slots=True, kw_only=True)
class _Setting:
    """All that decides what an interpreter says of itself, but for where its environment is."""

    python: Path
    program: str
    """The file that is started in the end."""
    environment: Path | None
    version: str
    """What the environment says that it was made with; empty without one."""
    key: str

    @classmethod
    def of(cls, python: Path, env: Mapping[str, str], *, in_environment: bool) -> _Setting | None:
        """None where it is not known: for a program that was copied, and on Windows."""
        if not hasattr(os, "uname"):
            return None
        environment, home, version = None, "", ""
        program = python.resolve()
        try:
            stat = program.stat()
            if in_environment:
                environment = python.absolute().parent.parent
                home, version = _made_with(environment)
                if not (home and version) or program.is_relative_to(environment.resolve()):
                    return None
        except OSError:
            return None
        system, _, *release = os.uname()
        facts = [
            _FORMAT, _PROBE, str(program), home, system, release, sorted(_deciding(env).items()),
            [stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns],
        ]  # fmt: skip
        key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        return cls(
            python=python, program=str(program), environment=environment, version=version, key=key
        )

    def holds(self, env: Mapping[str, str]) -> bool:
        """Whether it is still the same."""
        return self == _Setting.of(self.python, env, in_environment=self.environment is not None)

    def recall(self, memory: Path) -> Interpreter | None:
        """What was said in the same setting, if it is said of this environment, too."""
        try:
            said = json.loads(_files.read_text(memory / f"{self.key}.json"))
            if said["key"] != self.key:
                return None
            prefix = self.environment or Path(said["prefix"])
            places = {name: str(prefix / said[name]) for name in ("purelib", "platlib")}
            known = Interpreter.from_dict(self.python, {**said, **places, "prefix": str(prefix)})
            if self.environment is not None and not (
                _numbers(known.version) == self.version
                and known.purelib.is_dir()
                and known.platlib.is_dir()
            ):
                return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return known

    def note(self, memory: Path, said: Mapping[str, Any]) -> None:
        """Keep what was said, if it was said by the program: a script may start another one."""
        if said.get("executable") != self.program:
            return
        places = {}
        if self.environment is not None:
            places = {
                name: os.path.relpath(said[name], said["prefix"]) for name in ("purelib", "platlib")
            }
        with contextlib.suppress(OSError):
            _files.write_text(
                memory / f"{self.key}.json", json.dumps({**said, **places, "key": self.key})
            )
            _tidy(memory)


def _tidy(memory: Path) -> None:
    """Remove what is too much, the oldest first; others may do the same."""
    with os.scandir(memory) as entries:
        found = sorted((entry.stat().st_mtime, entry.path) for entry in entries)
    for _, path in found[:-_MOST]:
        _files.remove(Path(path))


_FORMAT = 1
"""Raised when what was kept is no longer to be believed."""
_MOST = 200
"""Answers that are kept."""


def _made_with(environment: Path) -> tuple[str, str]:
    """Where the interpreter of an environment comes from, and its version: `3.12.7`."""
    found = {}
    for line in _files.read_text(environment / "pyvenv.cfg").splitlines():
        name, _, value = line.partition("=")
        found[name.strip().lower()] = value.strip()
    return found.get("home", ""), _numbers(found.get("version_info") or found.get("version", ""))


def _numbers(version: str) -> str:
    """The three numbers of a version: of `3.14.0rc1`, and of `3.14.0.candidate.1`."""
    match = re.match(r"\d+\.\d+\.\d+", version)
    return match.group() if match else ""


def _strays(interpreter: Interpreter, environment: Path) -> tuple[str, ...]:
    """List what of an interpreter lies outside of its environment."""
    if interpreter.prefix.resolve() != environment.resolve():
        return (f"{interpreter.path} belongs to {interpreter.prefix}, not to {environment}",)
    if interpreter.prefix == interpreter.base_prefix:
        return (f"{interpreter.path} is not of a virtual environment",)
    return tuple(
        f"{path} is not in {environment}"
        for path in (interpreter.purelib, interpreter.platlib)
        if not path.is_relative_to(interpreter.prefix)
    )


def _running() -> Found:
    """Describe the interpreter that runs nox, where nox looks first."""
    path = getattr(sys, "_base_executable", None) or sys.executable
    return Found(
        version=".".join(map(str, sys.version_info[:3])),
        path=Path(path),
        source="nox itself",
        implementation=sys.implementation.name,
        free_threaded="t" in getattr(sys, "abiflags", ""),
    )


# -- what is asked for ----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """A Python as nox lets one ask for it."""

    implementation: str
    release: tuple[int, ...] = ()
    """As much of it as was said; nothing for any."""
    exactly: str = ""
    """All of it, where it is not a final release: `3.14.0rc1`."""
    range: SpecifierSet | None = None
    free_threaded: bool = False

    def matches(self, found: Found) -> bool:
        if found.implementation != self.implementation:
            return False
        version = Version(found.version)
        if self.range is not None:
            return self.range.contains(version, prereleases=True)
        if found.free_threaded != self.free_threaded:
            return False
        if self.exactly:
            return found.is_exact and version == Version(self.exactly)
        known = version.release if found.is_exact else version.release[:2]
        return known[: len(self.release)] == self.release

    def fits(self, version: str) -> bool:
        """Tell if a whole version is one that was asked for, whoever implements it."""
        known = Version(version.rstrip("+"))
        if self.range is not None:
            return self.range.contains(known, prereleases=True)
        return known.release[: len(self.release)] == self.release

    def may_be(self, series: str) -> bool:
        """Tell if an interpreter of a series, whose patch is not known, may match."""
        known = Version(series).release
        return self.range is not None or known == self.release[: len(known)]


_ASKED = re.compile(
    r"(?P<implementation>python|cpython|pypy|py|)-?"
    r"(?P<version>\d+(?:\.\d+){0,2}(?P<stage>(?:a|b|rc)\d+)?)(?P<threads>t?)(?:-(?:32|64))?",
    re.IGNORECASE,
)
_ASKED_RANGE = re.compile(
    r"\s*(?P<implementation>python|cpython|pypy|py|)\s*(?P<range>[<>=!~].*?)(?P<threads>t?)\s*",
    re.IGNORECASE,
)


def _parse(python: str) -> _Wanted | None:
    """Understand a Python as nox does; None for what only nox can look for."""
    if match := _ASKED.fullmatch(python):
        version = match["version"]
        if "." not in version and len(version) > 1:
            version = f"{version[0]}.{version[1:]}"  # `312`, as tox has it.
        return _Wanted(
            implementation=_implementation(match["implementation"]),
            release=Version(version).release[: version.count(".") + 1],
            exactly=version if match["stage"] else "",
            free_threaded=bool(match["threads"]),
        )
    if match := _ASKED_RANGE.fullmatch(python):
        try:
            allowed = SpecifierSet(match["range"])
        except InvalidSpecifier:
            return None
        return _Wanted(implementation=_implementation(match["implementation"]), range=allowed)
    return None


def _implementation(name: str) -> str:
    return "pypy" if name.lower() == "pypy" else "cpython"


def _best(candidates: Iterable[Found]) -> Found | None:
    """Choose the newest, of equals the first; not a free-threaded one if it can be helped."""
    ordered = sorted(newest_first(candidates), key=lambda one: one.free_threaded)
    return ordered[0] if ordered else None


def locate(
    python: str,
    env: Mapping[str, str],
    *,
    run: Callable[..., _process.Completed] = _process.run,
) -> Path | None:
    """Find the executable for what `python=` of a session says; a patch is respected.

    Of the same series, the one that runs nox comes first and then PATH, as in nox. What
    is on PATH under a name that does not say enough is run to tell its version, but
    only if there is nothing else.
    """
    if Path(python).is_absolute():
        return Path(python) if runs(Path(python)) else None
    wanted = _parse(python)
    if wanted is None:
        named = shutil.which(python, path=env.get("PATH", ""))
        return Path(named) if named else None
    if wanted.matches(running := _running()):
        return running.path
    found = [one for one in available(env) if wanted.matches(one)]
    best = _best(one for one in found if one.source == "PATH") or _best(found)
    if best is not None:
        return best.path
    asked = (_asked(path, env, run) for path in _unclear(wanted, env))
    return next((one.path for one in asked if one is not None and wanted.matches(one)), None)


def _unclear(wanted: _Wanted, env: Mapping[str, str]) -> Iterator[Path]:
    """List what is on PATH and may be what is wanted, for all that its name says."""
    plain = re.compile(rf"{'pypy' if wanted.implementation == 'pypy' else 'python'}3?(?:\.exe)?")
    for place in path_places(env):
        for entry in entries(place):
            match = SERIES_NAME.fullmatch(entry.name)
            named = match is not None and wanted.may_be(match[2])
            if (named or plain.fullmatch(entry.name)) and runs(entry):
                yield entry


def _asked(
    path: Path, env: Mapping[str, str], run: Callable[..., _process.Completed]
) -> Found | None:
    """Have an interpreter tell its version; None if it cannot."""
    try:
        done = run(
            [path, "-I", "-S", "-c", _PROBE], env=_starting(env), cwd=path.parent, timeout=_PATIENCE
        )
        data = json.loads(done.stdout)
        return Found(
            version=data["version"].rstrip("+"),
            path=path,
            source="PATH",
            implementation=data["markers"]["implementation_name"],
            free_threaded=data["free_threaded"],
        )
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        return None


def is_too_old(python: str) -> bool:
    """Whether no environment can be made for what a session asks for."""
    wanted = None if Path(python).is_absolute() else _parse(python)
    return wanted is not None and () < wanted.release[:2] < _OLDEST[: len(wanted.release)]


_OLDEST = (3, 7)


def answers(python: str, version: str) -> bool:
    """Whether an interpreter of that version is one that a session asked for.

    True for what only nox understands: it has chosen.
    """
    wanted = None if Path(python).is_absolute() else _parse(python)
    return wanted is None or wanted.fits(version)


def path_for(python: str, env: Mapping[str, str]) -> str | None:
    """Find the directory that must be on PATH for nox to find this Python.

    None if nox finds it without, and also if there is none: `locate` tells.
    """
    wanted = None if Path(python).is_absolute() else _parse(python)
    if wanted is None or wanted.matches(_running()):
        return None
    found = [one for one in available(env) if wanted.matches(one)]
    if any(one.source in {"PATH", "py launcher"} for one in found):
        return None
    best = _best(found)
    return str(best.path.parent) if best else None


# -- what is missing ------------------------------------------------------------------


def missing(python: str, env: Mapping[str, str], note: str = "") -> InterpreterMissing:
    """Make the error that says what is there instead, and how to get what is not."""
    found = available(env)
    running = _running()
    if identity(running.path) not in {identity(one.path) for one in found}:
        found = (*found, running)
    places = [root for _, root in roots(env, sys.platform) if root.is_dir()]
    return InterpreterMissing(
        python=python,
        found=_grouped(found),
        looked_in=("PATH", *(_short(place, env) for place in places)),
        commands=_commands(python, env),
        note=note,
    )


def _grouped(found: Iterable[Found]) -> tuple[str, ...]:
    """Write versions for reading, the oldest first: `3.10.13, 3.12.1 (pyenv)`."""
    names: dict[str, list[str]] = {}
    for one in found:
        group = names.setdefault(one.source, [])
        if one.name not in group:
            group.insert(0, one.name)
    return tuple(f"{', '.join(group)} ({source})" for source, group in names.items())


def _short(path: Path, env: Mapping[str, str]) -> str:
    user = env.get("HOME") or env.get("USERPROFILE")
    if user and path.is_relative_to(user):
        return f"~{os.sep}{path.relative_to(user)}"
    return str(path)


def _commands(python: str, env: Mapping[str, str]) -> tuple[str, ...]:
    """List what would install a Python, with the tools that are there."""
    wanted = None if Path(python).is_absolute() else _parse(python)
    if wanted is None:
        return ()
    if wanted.range is not None:
        ways = {"uv": f"uv python install '{python}'"}
    else:
        name = wanted.exactly or ".".join(map(str, wanted.release))
        name = f"{'pypy' if wanted.implementation == 'pypy' else ''}{name}"
        name += "t" if wanted.free_threaded else ""
        exact = len(wanted.release) > 2 or wanted.exactly  # noqa: PLR2004 - X.Y.Z
        ways = {
            "uv": f"uv python install {name}",
            "pyenv": f"pyenv install {name}",
            "mise": f"mise use python@{name}",
            "asdf": f"asdf install python {name if exact else f'latest:{name}'}",
        }
    commands = tuple(way for tool, way in ways.items() if _has_tool(tool, env))
    return commands or ("https://www.python.org/downloads/",)


def _has_tool(tool: str, env: Mapping[str, str]) -> bool:
    places = [env.get("PATH", ""), *([f"{env['PYENV_ROOT']}/bin"] if env.get("PYENV_ROOT") else [])]
    return shutil.which(tool, path=os.pathsep.join(filter(None, places))) is not None
