"""Packing the environment of a cell, and proving that it can be unpacked without a network."""

from __future__ import annotations

import contextlib
import hashlib
import re
import sys
import uuid
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.pylock import Pylock
from packaging.utils import canonicalize_name

from nox_envs import _files, _process, discover, settings
from nox_envs.bundle.contents import Packed, documents, lock
from nox_envs.errors import DiskFull, StaleEnvironment, ToolFailed, WrongEnvironment
from nox_envs.inside.export import exported
from nox_envs.install import check, stamp
from nox_envs.install.project import read_wheel
from nox_envs.lock import recorded_pins
from nox_envs.provision import workshop
from nox_envs.trying import empty_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from packaging.pylock import Package

    from nox_envs.interpreter import Interpreter
    from nox_envs.planning import Pins, Planner
    from nox_envs.toolbox import Job

__all__ = ["Bundle", "pack", "unpack"]


def __dir__() -> list[str]:
    return __all__


_SCRIPT = Path(__file__).with_name("install.py.txt")
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)
"""Zip files know no time before."""
_NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle that was unpacked once, and found to hold the environment."""

    directory: Path
    cell: str
    interpreter: Interpreter
    pins: Pins
    wheels: tuple[Packed, ...]


def pack(job: Job, variables: Mapping[str, str], directory: Path) -> Bundle:
    """Write the bundle of an environment that is complete, into a directory that is made, or empty.

    It is unpacked elsewhere without a network, and compared with the lock. Raises a
    `NoxEnvsError`; nothing of the bundle is left then.
    """
    with _appearing(directory) as made, workshop(job, variables) as planner:
        bundle = _Packing(job=job, variables=variables, planner=planner).pack(made)
    return replace(bundle, directory=directory)


def unpack(bundle: Bundle, target: Path, variables: Mapping[str, str]) -> None:
    """Write the packages alone, as function platforms have them: a directory, or a `.zip`.

    The same bundle gives the same bytes of a zip. Raises a `NoxEnvsError`; nothing of it is left
    then.
    """
    if target.suffix != ".zip":
        with _appearing(target) as made:
            _install(bundle, made, variables, "--target")
            _compare(bundle, replace(bundle.interpreter, purelib=made, platlib=made), "")
        return
    with _files.scratch("target") as scratch, _appearing(target) as made:
        unpack(bundle, scratch / "site", variables)
        with _files.named(target):
            _zip(scratch / "site", made)


@contextlib.contextmanager
def _appearing(target: Path) -> Iterator[Path]:
    """The place of something that is found at `target` when it is complete, and nowhere before.

    An empty directory that is there is filled, and stays whatever happens.
    """
    there = target.is_dir()
    within = target if there else _files.make_directory(target.parent)
    made = within / f".nox-envs-{uuid.uuid4().hex}"
    try:
        yield made
        for path in sorted(made.iterdir()) if there else ():
            path.rename(target / path.name)
        if not there:
            made.rename(target)
    except DiskFull as error:
        if Path(error.path).is_relative_to(made):
            raise DiskFull(path=str(target)) from error
        raise
    finally:
        _files.remove(made)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packing:
    job: Job
    variables: Mapping[str, str]
    planner: Planner

    def pack(self, directory: Path) -> Bundle:
        path = self.job.environment / stamp.LOCK_NAME
        data = _files.read_toml(path)
        pins = recorded_pins(data)
        interpreter = self.planner.interpreter()
        place = _files.make_directory(directory / "wheels")
        self._local_wheels(data, interpreter, place)
        self._download(Pylock.from_dict(data), interpreter, place)
        wheels = tuple(_packed(one) for one in sorted(place.glob("*.whl")))
        found = [check.Installed(name=one.name, version=str(one.version), metadata=place)
                 for one in wheels]  # fmt: skip
        wrong = check.differences(pins, found, tolerated=set())
        if wrong:
            raise WrongEnvironment(cell=self.job.name, differences=wrong)
        script = _files.read_text(_SCRIPT)
        texts = documents(self.job.name, wheels, interpreter=interpreter, script=script)
        for name, text in texts.items():
            _files.write_text(directory / name, text)
        _files.write_toml(directory / "pylock.toml", lock(wheels, interpreter))
        bundle = Bundle(
            directory=directory, cell=self.job.name, interpreter=interpreter, pins=pins, wheels=wheels
        )  # fmt: skip
        self._prove(bundle)
        return bundle

    def _local_wheels(self, data: Mapping[str, Any], interpreter: Interpreter, place: Path) -> None:
        """The wheels of the projects, if they are still what the environment was made of."""
        gathered, wheels = self.planner.build(self.planner.gather(interpreter), interpreter)
        recorded = data.get("tool", {}).get("nox-envs", {}).get("locals", [])
        was = {one["name"]: one["content"] for one in recorded if not one["editable"]}
        for source in gathered.installed:
            wheel = wheels[source.path]
            content = hashlib.sha256(wheel.content.encode()).hexdigest()
            if was.get(str(wheel.name), content) != content:
                raise StaleEnvironment(cell=self.job.name, reason=f"{wheel.name} has changed")
            _files.move_into(wheel.path, place)

    def _download(self, found: Pylock, interpreter: Interpreter, place: Path) -> None:
        """All others, with their hashes; what is no wheel is built to one."""
        others = [one for one in found.packages if one.directory is None]
        clones = [one for one in others if one.vcs is not None]
        scratch = self.planner.scratch
        files = []
        if len(clones) < len(others):
            text = exported(
                found, "requirements", cell="", image="", places={}, path=stamp.LOCK_NAME
            )
            files.append((scratch / "hashed.txt", text, ["--require-hashes"]))
        if clones:
            text = "".join(f"{_clone(one)}\n" for one in clones)
            files.append((scratch / "clones.txt", text, []))
        if not files:
            return
        python = empty_environment(
            self.job.cell.python or interpreter.python,
            scratch / "pip",
            variables=self.variables,
            directory=self.job.directory,
            with_pip=True,
        )
        gathered = self.planner.gather(interpreter)
        env = self._env()
        env |= gathered.wanted.sources.variables("pip", env)
        for file, text, options in files:
            _files.write_text(file, text, private=True)
            command: list[str | Path] = [
                python, "-I", "-m", "pip", "wheel", "--quiet", "--no-deps", *options,
                       "--wheel-dir", place, "-r", file]  # fmt: skip
            done = _process.run(command, env=env, cwd=scratch)
            if done.returncode != 0:
                _refuse_full(done, place)
                refused = _process.Refused("pip", done)
                raise self.planner.tools.questions.why(refused, gathered) from refused

    def _env(self) -> dict[str, str]:
        """That of pip, with the indexes that resolved."""
        directory = self.job.directory
        env = settings.tool_environment(self.variables, kind="pip", directory=directory)
        kind = self.planner.tools.name
        first, *others = settings.index_urls(self.variables, kind=kind, directory=directory) or (
            "",
        )
        if first:
            env["PIP_INDEX_URL"] = first
        if others:
            env["PIP_EXTRA_INDEX_URL"] = " ".join(others)
        return env

    def _prove(self, bundle: Bundle) -> None:
        """Unpack it as somebody would who has nothing else."""
        place = self.planner.scratch / "restored"
        _install(bundle, place, self.variables)
        executable = "Scripts/python.exe" if sys.platform == "win32" else "bin/python"
        restored = discover.inspect(place / executable, env=self.variables, cell=bundle.cell)
        _compare(bundle, restored, "pip")
        wrong = check.missing_files(
            one for one in check.installed(restored) if one.name in bundle.pins
        )
        if wrong:
            raise WrongEnvironment(cell=bundle.cell, differences=wrong)


def _clone(package: Package) -> str:
    assert package.vcs is not None  # noqa: S101 - for the type
    below = f"#subdirectory={package.vcs.subdirectory}" if package.vcs.subdirectory else ""
    where = package.vcs.url or package.vcs.path
    return f"{package.name} @ {package.vcs.type}+{where}@{package.vcs.commit_id}{below}"


def _packed(path: Path) -> Packed:
    wheel = read_wheel(path, tree="")
    return Packed(
        name=canonicalize_name(wheel.name), version=wheel.version, file=path.name, sha256=wheel.sha256
    )  # fmt: skip


def _install(bundle: Bundle, place: Path, variables: Mapping[str, str], *options: str) -> None:
    """Run the script of a bundle where no index can be reached."""
    with _files.scratch("home") as home:
        env = settings.tool_environment(variables, kind="pip", directory=home)
        proxies = {f"{name}_proxy": _NOWHERE for name in ("http", "https", "all")}
        env |= proxies | {name.upper(): url for name, url in proxies.items()}
        env |= {"HOME": str(home), "USERPROFILE": str(home), "PIP_NO_INDEX": "1"}
        command: list[str | Path] = [
            bundle.interpreter.path, "-I", bundle.directory.resolve() / "install.py", *options,
                   place.absolute()]  # fmt: skip
        done = _process.run(command, env=env, cwd=home)
    if done.returncode != 0:
        _refuse_full(done, place)
        raise ToolFailed(
            command=f"python {' '.join(['install.py', *options, str(place)])}",
            returncode=done.returncode,
            output=done.output,
        )


def _refuse_full(done: _process.Completed, place: Path) -> None:
    """Raise `DiskFull` where that is why something failed that writes to a place."""
    if re.search(r"No space left on device|\[Errno 28\]|not enough space on the disk", done.output):
        raise DiskFull(path=str(_files.fuller(place)))


def _compare(bundle: Bundle, interpreter: Interpreter, tolerated: str) -> None:
    """Names and versions; the scripts that RECORD names are not there in a target."""
    found = check.installed(interpreter)
    wrong = check.differences(bundle.pins, found, tolerated={canonicalize_name(tolerated)})
    if wrong:
        raise WrongEnvironment(cell=bundle.cell, differences=wrong)


def _zip(directory: Path, target: Path) -> None:
    """A zip without anything that depends on when and where it was made."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in _contents(directory):
            info = zipfile.ZipInfo(path.relative_to(directory).as_posix(), _ZIP_DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            info.external_attr = (0o100000 | mode) << 16
            archive.writestr(info, path.read_bytes())


def _contents(directory: Path) -> Sequence[Path]:
    """All but bytecode."""
    return sorted(
        path for path in directory.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    )
