"""The one recipe: declare, plan, resolve, install, check, warm. Then, and only then, run.

An environment is made complete or made again; it is never repaired or resumed. Its
stamp is written last, so that whatever was interrupted is not mistaken for complete.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

from nox_envs import _files, _process
from nox_envs.errors import (
    NoxEnvsError,
    StaleEnvironment,
    WrongEnvironment,
)
from nox_envs.install import bytecode, check, intact, loaded, stamp
from nox_envs.install.interface import Built
from nox_envs.install.via_uv import UvInstaller
from nox_envs.lock import Lock, LockedLocal, recorded_pins
from nox_envs.planning import Planner
from nox_envs.toolbox import Job, Toolbox

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from nox_envs.gather import Gathered
    from nox_envs.interpreter import Interpreter
    from nox_envs.planning import Pins, Wheels
    from nox_envs.run.exchange import TrialOrder

__all__ = [
    "Job", "Provisioned", "built", "distrust", "fill", "heal", "note_loaded", "note_undeclared", "provision",
    "workshop",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


_SEEDS = frozenset({"pip", "setuptools", "wheel"})
_SCRATCH = "scratch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    """An environment that was proven to hold its lock."""

    interpreter: Interpreter
    pins: Pins
    tool: str
    seconds: float
    fresh: bool
    """Whether it was made now."""
    bytecode: Path
    """The store that its bytecode comes from."""
    snapshot: intact.Snapshot | None
    """What it shares with others, before anything has run in it; None for nothing."""


@contextlib.contextmanager
def workshop(
    job: Job, variables: Mapping[str, str], *, within: Path | None = None
) -> Iterator[Planner]:
    """A planner with its tools and a place to work, while a cell is planned or provisioned.

    `variables` are those of the user's shell; the place lies `within` the cache, or where it
    is said. What the disk refuses is a `NoxEnvsError`.
    """
    with (
        _files.explained(job.environment),
        _files.scratch("cell", within=within or job.cache / _SCRATCH) as scratch,
    ):
        tools = Toolbox(job=job, variables=variables, scratch=scratch)
        yield Planner(job=job, tools=tools, scratch=scratch)


def provision(job: Job, variables: Mapping[str, str], *, store: Path | None = None) -> Provisioned:
    """Give a cell exactly the environment that it declares.

    `store` is where bytecode is kept, if not in the cache of the job. Raises a `NoxEnvsError`
    that says what to do; nothing has been run in the environment then.
    """
    begun = time.monotonic()
    with workshop(job, variables) as planner:
        recipe = _Recipe(job=job, planner=planner, store=store or job.cache / bytecode.STORE)
        interpreter, pins, fresh = recipe.follow()
        return recipe.provisioned(begun, interpreter, pins, fresh=fresh)


def fill(
    job: Job, variables: Mapping[str, str], order: TrialOrder, *, store: Path | None = None
) -> Provisioned:
    """Give a cell exactly the environment of the lock that a trial is to run against."""
    begun = time.monotonic()
    with workshop(job, variables) as planner:
        recipe = _Recipe(job=job, planner=planner, store=store or job.cache / bytecode.STORE)
        interpreter, pins = recipe.follow_order(order)
        return recipe.provisioned(begun, interpreter, pins, fresh=True)


def note_loaded(job: Job, provisioned: Provisioned) -> None:
    """After a clean pass: remember what it loaded, for the next environment of the session."""
    loaded.note(provisioned.bytecode, provisioned.interpreter, session=job.declaration.name)


def heal(
    job: Job,
    variables: Mapping[str, str],
    provisioned: Provisioned,
    changes: Collection[intact.Change],
) -> bool:
    """Keep what was written into shared files out of the environments that come.

    False where that is not certain. See `intact.heal`.
    """
    try:
        with workshop(job, variables) as planner:
            installer = planner.tools.installer(planner.gather(provisioned.interpreter))
            return intact.heal(
                changes,
                store=provisioned.bytecode,
                installer=installer if isinstance(installer, UvInstaller) else None,
                scratch=planner.scratch,
            )
    except NoxEnvsError:  # What is declared has changed meanwhile, or the disk is full.
        return False


def distrust(job: Job, changes: Collection[intact.Change]) -> list[str]:
    """Have every environment of the checkout made anew that has files with these changes.

    Returns the names of their directories, that of the job among them.
    """
    found = []
    for environment in sorted(job.environment.parent.iterdir()):
        if stamp.read(environment) and intact.has(environment, changes, like=job.environment):
            stamp.remove(environment)
            found.append(environment.name)
    return found


def note_undeclared(job: Job, provisioned: Provisioned) -> dict[str, str]:
    """What the session's function has installed by itself; kept in the stamp.

    Names and versions that are there now and are not in the lock.
    """
    pins = provisioned.pins
    found = {
        str(one.name): one.version
        for one in check.installed(provisioned.interpreter)
        if one.name != "pip" and not check.is_pinned(one, pins)
    }
    known = stamp.read(job.environment)
    if provisioned.fresh and (known is None or known.token != job.token):
        reason = "something else made it anew, or wrote into it, while the session ran in it"
        raise WrongEnvironment(cell=job.name, differences=(reason,))
    if known is not None and dict(known.undeclared) != found:
        stamp.write(job.environment, replace(known, undeclared=found))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recipe:
    job: Job
    planner: Planner
    store: Path

    def provisioned(
        self, begun: float, interpreter: Interpreter, pins: Pins, *, fresh: bool
    ) -> Provisioned:
        return Provisioned(
            interpreter=interpreter,
            pins=pins,
            tool=self.planner.tools.name,
            seconds=time.monotonic() - begun,
            fresh=fresh,
            bytecode=self.store,
            snapshot=intact.snapshot(interpreter) if self._shares else None,
        )

    def follow(self) -> tuple[Interpreter, Pins, bool]:
        job, planner = self.job, self.planner
        if job.reused and not job.no_install and not self._is_usable():
            return self._anew()
        interpreter = self._interpreter()
        gathered = planner.gather(interpreter)
        inputs = planner.inputs(gathered)
        if job.reused and job.no_install:
            return interpreter, self._unchanged(inputs, interpreter), False
        gathered, wheels = planner.build(gathered, interpreter)
        lock = planner.lock(gathered, wheels)
        sources = {str(path): wheel.tree for path, wheel in wheels.items()}
        if job.reused and self._complete(lock, interpreter):
            self._write(lock, inputs, sources, interpreter)
            return interpreter, lock.pins, False
        if job.reused:
            job.recreate()
            again = self._interpreter()
            if (again.version, again.build) != (interpreter.version, interpreter.build):
                return self._again()
            interpreter = again
        try:
            self._make(lock, gathered, built(gathered, wheels), interpreter)
        except NoxEnvsError as error:
            # What was remembered may be gone from the index.
            try:
                anew = planner.lock(gathered, wheels, anew=True)
            except NoxEnvsError:
                raise error from None
            if anew.digest == lock.digest:
                raise
            job.recreate()
            lock, interpreter = anew, self._interpreter()
            self._make(lock, gathered, built(gathered, wheels), interpreter)
        self._write(lock, inputs, sources, interpreter)
        return interpreter, lock.pins, True

    def follow_order(self, order: TrialOrder) -> tuple[Interpreter, Pins]:
        """The same where a campaign has resolved and built already."""
        planner = self.planner
        interpreter = self._interpreter()
        path = Path(order.lock)
        base = self.job.noxfile.path.parent
        lock = replace(
            Lock.from_pylock(_files.read_toml(path), path=path.name, interpreter=interpreter),
            locals=tuple(
                LockedLocal(
                    name=canonicalize_name(one.name),
                    version=Version(one.version),
                    directory=one.directory,
                    content=one.content,
                    editable=one.editable,
                )
                for one in order.wheels
            ),
        )
        given = [
            Built(
                name=canonicalize_name(one.name),
                wheel=Path(one.path),
                sha256=one.sha256,
                source=(base / one.directory).resolve(),
                editable=one.editable,
            )
            for one in order.wheels
        ]
        self._make(lock, planner.gather(interpreter), given, interpreter)
        self._stamp(lock, "", {}, interpreter)  # The campaign has the lock.
        return interpreter, lock.pins

    def _anew(self) -> tuple[Interpreter, Pins, bool]:
        self.job.recreate()
        return self._again()

    def _again(self) -> tuple[Interpreter, Pins, bool]:
        job = replace(self.job, reused=False)
        return replace(self, job=job, planner=replace(self.planner, job=job)).follow()

    def _is_usable(self) -> bool:
        """Whether the environment that is there was complete once, and can still start."""
        if stamp.read(self.job.environment) is None:
            return False
        try:
            self.planner.tools.refuse_without_installer(self.planner.interpreter())
        except NoxEnvsError:
            return False
        return True

    @property
    def _shares(self) -> bool:
        """Whether the environment may share files with others."""
        return not self.job.apart and self.job.declaration.isolation != "copy"

    def _interpreter(self) -> Interpreter:
        """The interpreter of the environment, which holds what is needed to install."""
        tools, interpreter = self.planner.tools, self.planner.interpreter()
        tools.refuse_without_installer(interpreter)
        if tools.name == "pip":
            self._warm(interpreter, loaded.PIP)
        return interpreter

    def _warm(self, interpreter: Interpreter, session: str) -> None:
        names = loaded.names(self.store, session)
        env = self.planner.tools.variables
        bytecode.warm(self.store, interpreter, names, env=env, links=self._shares)

    # -- install, check and warm

    def _make(
        self, lock: Lock, gathered: Gathered, given: Sequence[Built], interpreter: Interpreter
    ) -> None:
        stamp.remove(self.job.environment)
        self._install(lock, gathered, given, interpreter)
        self._check(lock, interpreter)
        self._warm(interpreter, self.job.declaration.name)

    def _install(
        self, lock: Lock, gathered: Gathered, given: Sequence[Built], interpreter: Interpreter
    ) -> None:
        planner = self.planner
        there = {one.name for one in check.installed(interpreter)}
        installer = planner.tools.installer(gathered)
        # pip stays where the host seeded it: the session's own `install` needs it.
        seeds = sorted((there & _SEEDS) - set(lock.pins) - {"pip"})
        place = _files.make_directory(planner.scratch / "install")
        path = planner.lock_path()
        try:
            if seeds:
                installer.uninstall(seeds, interpreter, place)
            installer.install(lock, given, interpreter, place)
        except _process.Refused as refused:
            label = planner.label(path) if path else ""
            raise planner.tools.questions.why(refused, gathered, lock=label) from refused

    def _check(self, lock: Lock, interpreter: Interpreter) -> None:
        wrong = self._wrong(lock.pins, interpreter)
        if wrong:
            raise WrongEnvironment(cell=self.job.name, differences=wrong)

    def _wrong(
        self, pins: Pins, interpreter: Interpreter, undeclared: Mapping[str, str] | None = None
    ) -> tuple[str, ...]:
        """What differs between a lock and what is installed."""
        found = check.installed(interpreter)
        wrong = check.differences(pins, found, tolerated={"pip", *(undeclared or {})})
        return wrong + check.missing_files(one for one in found if one.name in pins)

    def _write(
        self, lock: Lock, inputs: str, sources: Mapping[str, str], interpreter: Interpreter
    ) -> None:
        _files.write_toml(self.job.environment / stamp.LOCK_NAME, lock.to_pylock())
        self._stamp(lock, inputs, sources, interpreter)

    def _stamp(
        self, lock: Lock, inputs: str, sources: Mapping[str, str], interpreter: Interpreter
    ) -> None:
        stamp.write(
            self.job.environment,
            stamp.Stamp(
                cell=self.job.name,
                environment=str(self.job.environment),
                python=interpreter.version,
                base_prefix=str(interpreter.base_prefix),
                inputs=inputs,
                lock=lock.digest,
                isolation=self.job.declaration.isolation,
                sources=sources,
                tool=self.planner.tools.name,
                made=datetime.now(timezone.utc).isoformat(timespec="seconds"),
                token=self.job.token,
            ),
        )

    # -- reuse

    def _stale(self, known: stamp.Stamp | None, interpreter: Interpreter) -> str:
        """Why the environment that is there is not the one of its stamp; empty if it is."""
        if known is None:
            return "it is not complete"
        if known.environment != str(self.job.environment):
            return f"it was made in {known.environment} and moved"
        if known.isolation != self.job.declaration.isolation:
            return "isolation= has changed"
        if (known.python, known.base_prefix) != (
            interpreter.version,
            str(interpreter.base_prefix),
        ):
            return f"it was made with Python {known.python} of {known.base_prefix}"
        return ""

    def _complete(self, lock: Lock, interpreter: Interpreter) -> bool:
        """Whether the environment that is there is the one of the lock."""
        known = stamp.read(self.job.environment)
        if known is None or self._stale(known, interpreter) or known.lock != lock.digest:
            return False
        return not self._wrong(lock.pins, interpreter)

    def _unchanged(self, inputs: str, interpreter: Interpreter) -> Pins:
        """The pins of the environment that is there, if nothing has changed since."""
        known = stamp.read(self.job.environment)
        reason = self._stale(known, interpreter)
        if known is not None and not reason:
            changed = [path for path, was in known.sources.items() if self._tree(path) != was]
            if changed:
                reason = f"{self.planner.label(Path(changed[0]))} has changed"
            elif known.inputs != inputs:
                reason = "what is declared has changed"
        if reason or known is None:
            raise StaleEnvironment(cell=self.job.name, reason=reason)
        pins = recorded_pins(_files.read_toml(self.job.environment / stamp.LOCK_NAME))
        wrong = self._wrong(pins, interpreter, known.undeclared)
        if wrong:
            raise StaleEnvironment(cell=self.job.name, reason="; ".join(wrong))
        return pins

    def _tree(self, path: str) -> str:
        return self.planner.tools.digest_of(Path(path)) if Path(path).exists() else ""


def built(gathered: Gathered, wheels: Wheels) -> list[Built]:
    """The local projects of a cell, as an installer takes them."""
    return [
        Built(
            name=wheels[source.path].name,
            wheel=wheels[source.path].path,
            sha256=wheels[source.path].sha256,
            source=source.path,
            editable=source.editable,
        )
        for source in gathered.installed
    ]
