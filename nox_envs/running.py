"""Running one cell under nox: its environment first, then the user's function in it."""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
import time
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast

import nox

from nox_envs import _host, discover, matrix, settings
from nox_envs._tree import TAG_VARIABLE, Stop, Stopped, Tree
from nox_envs.errors import BackendUnsupported, NoxEnvsError, PythonTooOld
from nox_envs.gather import Noxfile
from nox_envs.install import bytecode, intact, stamp
from nox_envs.on_trial import OnTrial
from nox_envs.passes import Conditions, last_pass, note_pass
from nox_envs.planning import INTERPRETERS
from nox_envs.provision import (
    Job,
    Provisioned,
    distrust,
    fill,
    heal,
    note_loaded,
    note_undeclared,
    provision,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nox_envs.cell import Cell
    from nox_envs.declaration import Declaration

__all__ = ["CellRun", "Noxfile", "prepare"]


def __dir__() -> list[str]:
    return __all__


_REFRESH = "--refresh"
"""The one word after `--` that is not handed to the session, where it is the first."""


def prepare(declared: Declaration, python: str) -> None:
    """Show nox an interpreter that is installed but not on PATH, or say that it is missing.

    nox itself would skip the session without a word about what is there, or download an
    interpreter, which is done here only if the user asked for it.
    """
    settings.forget_path()
    order = OnTrial.order_for(python)
    if order is not None:  # The campaign has looked for it.
        if order.path:
            settings.extend_path(order.path)
        return
    try:
        if discover.is_too_old(python):
            raise PythonTooOld(python=python)
        directory = discover.path_for(python, os.environ)
        if directory is not None:
            settings.extend_path(directory)
        elif discover.locate(python, os.environ) is None and not _may_download(declared):
            raise discover.missing(python, os.environ)
    except NoxEnvsError as error:
        _abort(None, error)


def _may_download(declared: Declaration) -> bool:
    return declared.host.get("download_python") in {"auto", "always"} or settings.downloads(
        os.environ, sys.argv[1:]
    )


def _abort(session: nox.Session | None, error: NoxEnvsError) -> NoReturn:
    """End a session with the whole message on standard error, and its summary for nox."""
    urls = settings.index_urls(os.environ, kind="pip")
    sys.stderr.write(settings.redact(f"{error}\n", os.environ, urls=urls))
    sys.stderr.flush()
    # `Session.error` does not look at its session, which is not there yet while nox
    # makes the environment; it raises what nox reports as an aborted session.
    summary = settings.redact(error.summary, os.environ, urls=urls)
    nox.Session.error(cast("nox.Session", session), summary)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRun:
    """One cell that nox has chosen to run."""

    session: nox.Session
    declared: Declaration
    function: Callable[..., Any]
    noxfile: Noxfile
    parent: int
    """The process that had started nox when the noxfile was loaded."""
    arguments: Mapping[str, Any]
    """What nox passes: the texts of the axis values, and parameters of the user's own."""

    def run(self) -> None:
        """Run it, with its process tree ended by a timeout or a signal."""
        settings.forget_path()
        if self.session.posargs[:1] == [_REFRESH]:
            del self.session.posargs[0]
            settings.refresh()
        cell = self._cell()
        trial = OnTrial.of(self._names(cell))
        tree = Tree(
            timeout=None if trial else self.declared.timeout,
            die_with_parent=trial is not None or _host.dies_with_parent(self.session),
            tag=(trial and settings.tree_tag(os.environ)) or uuid.uuid4().hex,
            parent=self.parent,
            leave_nothing=trial is not None,
        )
        failure: BaseException | None = None
        seen = _Seen()
        with contextlib.suppress(Stopped), tree:
            try:
                self._run_in_environment(cell, tree.tag, trial, seen)
            except BaseException as error:  # noqa: BLE001 - told below
                failure = error
        if trial is not None:
            trial.tell(
                stop=tree.stop,
                failure=failure,
                skipped=failure is not None and _is_skip(failure),
                undeclared=seen.undeclared,
                touched=seen.touched,
                is_healed=seen.is_healed,
                seconds=time.monotonic() - (seen.begun or time.monotonic()),
            )
        self._tell_end(cell, tree, failure)
        if seen.job is not None and seen.conditions is not None and not tree.survivors:
            self._note_pass(seen.job, seen.conditions, seen)

    def _cell(self) -> Cell:
        """Which cell it is, from what nox passes."""
        labels = {
            axis.parameter: axis.with_text(self.arguments[axis.parameter])
            for axis in self.declared.axes
        }
        python = self.session.python if isinstance(self.session.python, str) else None
        return matrix.cell_of(self.declared, python, labels)

    def _names(self, cell: Cell) -> set[str]:
        """What it may be called: nox leaves the Python out where there is only one."""
        name = self.session.name
        rest = name.removeprefix(cell.session)
        return {name, f"{cell.session}-{cell.python}{rest}"}

    # -- the environment, and the function in it

    def _run_in_environment(self, cell: Cell, tag: str, trial: OnTrial | None, seen: _Seen) -> None:
        session, declared = self.session, self.declared
        directory = (self.noxfile.path.parent / declared.directory).resolve()
        variables = self._variables(directory)
        environment = _host.location(session)
        job = provisioned = None
        if environment is None:
            session.warn(
                "The environment is not managed (--no-venv): nothing is installed or proven."
            )
        else:
            job = self._job(cell, environment)
            self._warn_of_unheard_indexes(directory)
            if trial is None:
                provisioned = provision(job, os.environ)
            else:
                cache = Path(trial.order.cache)
                job = replace(job, apart=trial.order.apart, memory=cache / INTERPRETERS)
                provisioned = fill(job, os.environ, trial.order, store=cache / bytecode.STORE)
            session.log(_made(provisioned))
        session.env.update(variables)
        session.env[TAG_VARIABLE] = tag
        if trial is not None and provisioned is not None:
            trial.equip(session, provisioned)
        if trial is None and job is not None and provisioned is not None:
            seen.job, seen.conditions = job, self._conditions(job, provisioned, variables)
            if seen.conditions is not None and self._is_unchanged(job, seen.conditions):
                seen.conditions = None
                return
        seen.begun = time.monotonic()
        try:
            with _working_in(session, directory):
                self.function(session, **self._accepted())
        finally:
            if job is not None and provisioned is not None:
                seen.provisioned, seen.variables = provisioned, variables
                seen.undeclared = note_undeclared(job, provisioned)
                self._tell_undeclared(seen.undeclared)
                seen.touched, seen.is_healed = self._touched(job, provisioned)
        if seen.provisioned is not None and job is not None and seen.is_clean:
            note_loaded(job, seen.provisioned)

    def _touched(self, job: Job, provisioned: Provisioned) -> tuple[list[str], bool]:
        """Shared files that were written into, and whether they are kept out of what comes."""
        changes = intact.changed(provisioned.snapshot) if provisioned.snapshot else ()
        if not changes:
            return [], True
        names = [os.path.relpath(change.path, job.environment) for change in changes]
        others = distrust(job, changes)
        told = [f"Written into, and shared with other environments: {', '.join(names)}."]
        healed = heal(job, os.environ, provisioned, changes)
        if healed:
            told.append("What is installed from now on is not touched by that.")
        else:
            told.append('What is installed from now on may be touched by that: "uv cache clean".')
        if others:
            told.append(f"These have to be made anew: {', '.join(others)}.")
        self.session.warn(" ".join([*told, 'isolation="copy" shares nothing.']))
        return names, healed

    # -- passes that are not repeated

    def _conditions(
        self, job: Job, provisioned: Provisioned, variables: Mapping[str, str | None]
    ) -> Conditions | None:
        """What the outcome depends on; None where a pass is not to be reused."""
        if not self.declared.skip_unchanged or _host.runs_nothing(self.session):
            return None
        known = stamp.read(job.environment)
        if known is None:
            return None
        return Conditions.now(
            job,
            lock=known.lock,
            interpreter=provisioned.interpreter,
            variables=os.environ,
            declared=variables,
            posargs=self.session.posargs,
            arguments=self.arguments,
        )

    def _is_unchanged(self, job: Job, conditions: Conditions) -> bool:
        when = last_pass(job, conditions)
        if when is not None:
            shown = when.astimezone().strftime("%Y-%m-%d %H:%M")
            self.session.log(f"cached: it passed on {shown}, and nothing has changed since.")
        return when is not None

    def _note_pass(self, job: Job, before: Conditions, seen: _Seen) -> None:
        """Remember a pass that nothing has disturbed: neither the tree nor the environment."""
        if seen.provisioned is None or not seen.is_clean:
            return
        after = self._conditions(job, seen.provisioned, seen.variables)
        if after == before:
            note_pass(job, before)

    def _job(self, cell: Cell, environment: Path) -> Job:
        session = self.session
        if session.venv_backend not in {"uv", "virtualenv", "venv"}:
            raise BackendUnsupported(backend=str(session.venv_backend))
        executable = "python.exe" if sys.platform == "win32" else "python"
        return Job(
            name=session.name,
            cell=cell,
            declaration=self.declared,
            noxfile=self.noxfile,
            environment=environment,
            python=Path(session.bin) / executable,
            cache=session.cache_dir.absolute() / "nox-envs",
            run=settings.run_id(os.environ)[0],
            token=uuid.uuid4().hex,
            reused=_host.was_reused(session),
            no_install=_host.forbids_install(session),
            recreate=self._recreate,
        )

    def _recreate(self) -> None:
        """Have nox make the environment anew, with the same view of interpreters as before."""
        if isinstance(self.session.python, str):
            prepare(self.declared, self.session.python)
        try:
            _host.recreate(self.session)
        finally:
            settings.forget_path()

    def _variables(self, directory: Path) -> dict[str, str | None]:
        """The changes to nox's own variables for the commands of the session."""
        declared = self.declared
        from_file = {}
        if declared.env_file:
            from_file = settings.read_env_file(directory / declared.env_file)
        return settings.test_environment(
            os.environ, pass_env=declared.pass_env, declared=declared.env, env_file=from_file
        )

    def _accepted(self) -> dict[str, Any]:
        """The axis values that the function has a parameter for, and all other arguments."""
        parameters = inspect.signature(self.function).parameters.values()
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return dict(self.arguments)
        names = {parameter.name for parameter in parameters}
        axes = {axis.parameter for axis in self.declared.axes}
        return {
            name: value
            for name, value in self.arguments.items()
            if name in names or name not in axes
        }

    # -- what the user reads

    def _warn_of_unheard_indexes(self, directory: Path) -> None:
        kind: Literal["uv", "pip"] = "uv" if settings.find_uv(os.environ) else "pip"
        other, variable = ("pip", "UV_INDEX") if kind == "uv" else ("uv", "PIP_EXTRA_INDEX_URL")
        for url in settings.unheard_indexes(os.environ, kind=kind, directory=directory):
            self.session.warn(
                f"Only {other} was told of {url}: set {variable} if {kind} is to ask it."
            )

    def _tell_undeclared(self, undeclared: Mapping[str, str]) -> None:
        if undeclared:
            listed = ", ".join(f"{name} {version}" for name, version in undeclared.items())
            self.session.log(f"Not declared, installed by the session itself: {listed}")

    def _tell_end(self, cell: Cell, tree: Tree, failure: BaseException | None) -> None:
        """Say how it ended. What was stopped is never green, whatever it returned."""
        for survivor in tree.survivors:
            self.session.log(f"Left running by the session: {survivor}")
        if tree.stop is not None and tree.stop is not Stop.TIMEOUT:
            raise KeyboardInterrupt(tree.stop.value) from failure
        try:
            self._raise(tree, failure)
        except Exception as error:
            if cell.may_fail and not _is_skip(error):
                reason = f": {error}" if str(error) else ""
                self.session.skip(f"failed, as it may{reason}")
            raise

    def _raise(self, tree: Tree, failure: BaseException | None) -> None:
        """What nox has words for; the traceback of the function is kept."""
        if tree.stop is Stop.TIMEOUT:
            self.session.error(f"timed out after {self.declared.timeout:g} s")
        if isinstance(failure, NoxEnvsError):
            _abort(self.session, failure)
        if failure is not None:
            raise failure


@dataclass(slots=True)
class _Seen:
    """What was seen of a run before it ended."""

    begun: float = 0.0
    undeclared: Mapping[str, str] = field(default_factory=dict)
    touched: Sequence[str] = ()
    is_healed: bool = True
    job: Job | None = None
    provisioned: Provisioned | None = None
    variables: Mapping[str, str | None] = field(default_factory=dict)
    conditions: Conditions | None = None
    """Under which it ran, where a pass is to be remembered."""

    @property
    def is_clean(self) -> bool:
        """Whether the environment was left as it was made."""
        return not self.undeclared and not self.touched


def _working_in(session: nox.Session, directory: Path) -> contextlib.AbstractContextManager[Any]:
    if directory == Path.cwd():
        return contextlib.nullcontext()
    return session.chdir(directory)


def _is_skip(error: BaseException) -> bool:
    """Whether the function called `session.skip`, for which nox has no public class."""
    return type(error).__name__ == "_SessionSkip"


def _made(provisioned: Provisioned) -> str:
    count = len(provisioned.pins)
    packages = f"{count} package{'s' if count != 1 else ''}"
    how = f"made with {provisioned.tool}" if provisioned.fresh else "kept as it was"
    return (
        f"Python {provisioned.interpreter.version} and {packages}, exactly as declared: "
        f"{how} in {provisioned.seconds:.1f} s."
    )
