"""The tools that provision one cell: who resolves, installs and builds, and in which shell."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nox_envs import _files, _process, settings
from nox_envs.errors import FileMissing, IndexUnreachable, NeedsUv, NoxEnvsError
from nox_envs.install import check, project
from nox_envs.install.via_pip import PipInstaller
from nox_envs.install.via_uv import UvInstaller
from nox_envs.resolve.remembered import Memory, digest_of_environment, fingerprint
from nox_envs.resolve.via_pip import PipResolver
from nox_envs.resolve.via_uv import UvResolver
from nox_envs.run import tree

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from packaging.pylock import Package
    from packaging.utils import NormalizedName

    from nox_envs.cell import Cell
    from nox_envs.declaration import Declaration
    from nox_envs.gather import Gathered, Noxfile
    from nox_envs.install.interface import Installer
    from nox_envs.interpreter import Interpreter
    from nox_envs.questions import Questions
    from nox_envs.resolve.interface import Resolver
    from nox_envs.resolve.requests import Local

__all__ = ["Job", "Toolbox"]


def __dir__() -> list[str]:
    return __all__


_WHEELS = "wheels-v1"
_RESOLUTIONS = "resolutions-v1"
_STALE_RUN_SECONDS = 24 * 3600
"""After which the wheels of a run go, unless they are to be remembered for longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One cell to provision, and the place for it."""

    name: str
    """What the host calls the cell."""
    cell: Cell
    declaration: Declaration
    noxfile: Noxfile
    environment: Path
    """The virtual environment that the host has made."""
    python: Path
    """Its interpreter."""
    cache: Path
    """Ours to write to, for this checkout."""
    run: str
    """The id of this run of nox, shared by its processes."""
    token: str
    """Stands in the stamp, to tell that the environment is still the one that was made."""
    reused: bool
    """Whether the host found the environment instead of making it."""
    no_install: bool
    """Whether the user forbade to install into an environment that is there."""
    recreate: Callable[[], None]
    """Has the host make the environment anew."""
    apart: bool = False
    """Whether it shares no file with the installer's cache, whatever is declared."""
    plans_only: bool = False
    """Whether nothing is to be installed: `python` need not be of an environment."""
    memory: Path | None = None
    """Where it is kept what interpreters have said; None for a place in the cache."""

    @property
    def directory(self) -> Path:
        """The base of the files that the declaration names."""
        return (self.noxfile.path.parent / self.declaration.directory).resolve()


@dataclass(frozen=True, kw_only=True)
class Toolbox:
    """The tools for one job; what the shell and the settings say is read once for it."""

    job: Job
    variables: Mapping[str, str]
    """Those of the user's shell."""
    scratch: Path

    @functools.cached_property
    def uv(self) -> Path | None:
        """uv, where it is installed and wanted."""
        found = settings.find_uv(self.variables)
        return Path(found) if found else None

    @property
    def name(self) -> Literal["uv", "pip"]:
        return "uv" if self.uv else "pip"

    def refuse_without_installer(self, interpreter: Interpreter) -> None:
        """Raise `NeedsUv` where neither uv nor the environment's pip can install."""
        if not self.uv and "pip" not in {one.name for one in check.installed(interpreter)}:
            raise NeedsUv(
                what="an environment without pip",
                reason=f"{self.job.environment.name} was made without pip, which would install.",
            )

    def resolver(self, gathered: Gathered) -> Resolver:
        env = self._tool_env(gathered)
        if self.uv:
            return UvResolver(uv=self.uv, env=env, refreshes=settings.is_refreshing(self.variables))
        return PipResolver(python=self.job.python, env=env)

    def installer(self, gathered: Gathered) -> Installer:
        env = self._tool_env(gathered)
        if self.uv:
            copies = self.job.apart or self.job.declaration.isolation == "copy"
            return UvInstaller(uv=self.uv, env=env, copies=copies)
        return PipInstaller(env=env)

    @property
    def questions(self) -> Questions:
        from nox_envs.questions import Questions  # noqa: PLC0415 - seldom needed, and heavy

        return Questions(
            cell=self.job.cell,
            variables=self.variables,
            directory=self.job.directory,
            tool=self.name,
            cooldown=self.job.declaration.cooldown_text or None,
        )

    # -- what is remembered

    @property
    def memory(self) -> Memory:
        """What this run and those not long before it have resolved."""
        return Memory(
            directory=self.job.cache / _RESOLUTIONS,
            run=self.job.run,
            seconds=settings.memory_seconds(self.variables),
        )

    def question(
        self,
        gathered: Gathered,
        *,
        wheels: Mapping[NormalizedName, str],
        keep: Sequence[Package],
        no_build: Collection[str],
        limit: str | None,
        lowest: Collection[str],
    ) -> str | None:
        """The key of a resolution in the memory; see `fingerprint`."""
        env, config = self._tool_env(gathered), self._config
        places, indexes = settings.places(env, config)
        return fingerprint(
            gathered.wanted,
            tool=self._identity(gathered.wanted.interpreter),
            environment=digest_of_environment(env, config),
            wheels=wheels,
            keep=keep,
            no_build=no_build,
            limit=limit,
            lowest=lowest,
            places=places,
            indexes=indexes,
        )

    def _identity(self, interpreter: Interpreter) -> tuple[str, ...]:
        """Which uv, or which pip, would be asked."""
        if self.uv is None:
            found = [one.version for one in check.installed(interpreter) if one.name == "pip"]
            return ("pip", *found)
        path = self.uv.resolve()
        stat = path.stat()
        return ("uv", str(path), str(stat.st_size), str(stat.st_mtime_ns))

    # -- local projects

    @functools.cached_property
    def _digests(self) -> dict[Path, str]:
        return {}

    def digest(self, source: Local) -> str:
        """A digest over the files of a local project, as they were when it was asked first."""
        if source.path not in self._digests:
            self._digests[source.path] = self.digest_of(source.path)
        return self._digests[source.path]

    def digest_of(self, path: Path) -> str:
        """A digest over the files of the project in a directory, or over an archive."""
        include = self.job.declaration.tree_include
        return tree.digest(path, env=self._env("build"), include=include) if path.exists() else ""

    def wheel(self, source: Local, interpreter: Interpreter) -> project.Wheel:
        """The wheel of a local project, built once in this run of nox, or not long before it."""
        if not source.path.exists():
            raise FileMissing(path=str(source.path), asked_by=str(source.origin))
        shelves = self.job.cache / _WHEELS
        self.forget_old_runs()
        return project.build_once(
            source.path,
            digest=self.digest(source),
            conditions=self._conditions(interpreter),
            store=shelves / self.job.run,
            seconds=settings.memory_seconds(self.variables),
            interpreter=interpreter,
            build=lambda directory, out: self._build(directory, out, interpreter),
            copy=self._copy,
            excuse=self._excuse,
        )

    def forget_old_runs(self) -> None:
        """Remove the wheels of runs that ended long ago; several processes may try at once."""
        shelves = self.job.cache / _WHEELS
        if (shelves / self.job.run).exists() or not shelves.exists():
            return
        stale = max(_STALE_RUN_SECONDS, settings.memory_seconds(self.variables))
        for shelf in shelves.iterdir():
            with contextlib.suppress(OSError):
                if time.time() - shelf.stat().st_mtime > stale:
                    _files.remove(shelf)

    def _conditions(self, interpreter: Interpreter) -> str:
        """A digest over what decides, besides the sources, what a build gives."""
        environment = digest_of_environment(self._env("build"), self._config)
        words = "\0".join([environment, *self._identity(interpreter)])
        return hashlib.sha256(words.encode()).hexdigest()

    def _build(self, directory: Path, out: Path, interpreter: Interpreter) -> _process.Completed:
        command: list[str | Path]
        if self.uv:
            command = [self.uv, "build", "--wheel", "--python", interpreter.path,
                       "--out-dir", out, directory]  # fmt: skip
        else:
            command = [interpreter.path, "-I", "-m", "pip", "wheel", "--no-deps",
                       "--wheel-dir", out, directory]  # fmt: skip
        done = _process.run(command, env=self._env("build"), cwd=self.scratch)
        # What a build says is kept for the other cells of the run.
        return replace(done, stdout=self._redacted(done.stdout), stderr=self._redacted(done.stderr))

    def _redacted(self, text: str) -> str:
        urls = settings.index_urls(self.variables, kind=self.name, directory=self.job.directory)
        return settings.redact(text, self.variables, urls=urls)

    def _copy(self, source: Path, target: Path) -> Path:
        include = self.job.declaration.tree_include
        return tree.copy(source, target, env=self._env("build"), include=include)

    def _excuse(self, done: _process.Completed) -> NoxEnvsError | None:
        """The error for a build that could not even begin, which is not the project's fault."""
        error = self.questions.of_a_build(_process.Refused(self.name, done))
        return error if isinstance(error, IndexUnreachable) else None

    # -- shells

    def _tool_env(self, gathered: Gathered) -> dict[str, str]:
        """The environment of the resolver and the installer, with what the files say."""
        env = self._env(self.name)
        return {**env, **gathered.wanted.sources.variables(self.name, env)}

    def _env(self, kind: settings.Kind) -> dict[str, str]:
        """The scrubbed environment of a tool; uv reads a settings file of ours alone."""
        if kind not in self._envs:
            env = settings.tool_environment(self.variables, kind=kind, directory=self.job.directory)
            if kind != "pip" and self.uv:
                file = self.scratch / "uv.toml"
                if not file.exists():
                    _files.write_toml(file, self._config, private=True)
                env["UV_CONFIG_FILE"] = str(file)
            self._envs[kind] = env
        return self._envs[kind]

    @functools.cached_property
    def _envs(self) -> dict[settings.Kind, dict[str, str]]:
        return {}

    @functools.cached_property
    def _config(self) -> dict[str, Any]:
        """The user's settings of uv, where it is used."""
        return settings.uv_config(self.variables, self.job.directory) if self.uv else {}
