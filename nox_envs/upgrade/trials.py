"""Runs the trials of a campaign, each once, and remembers what they showed."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nox_envs import _files, discover, settings
from nox_envs._processes import TAG_VARIABLE
from nox_envs.install import bytecode
from nox_envs.outcome import Changes, Outcome, Trial
from nox_envs.run import journal, slots, tree, trial
from nox_envs.run.exchange import TrialOrder, TrialResult
from nox_envs.run.suspects import suspects

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nox_envs._forks import Forks
    from nox_envs.lock import Lock
    from nox_envs.upgrade.column import Column

__all__ = ["Shown", "Trials", "Workplace", "default_jobs"]


def __dir__() -> list[str]:
    return __all__


_RETRIES = (1.0, 5.0)
"""Seconds to wait before a trial that the network has spoilt is run again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """Where the trials of a campaign run, and how."""

    directory: Path
    """Of the campaign: it keeps the journal, the locks and the logs."""
    temporary: Path
    """Gone when the campaign ends."""
    cache: Path
    """Of the checkout: what trials share, and places for their environments."""
    base: Path
    """The noxfile's directory."""
    noxfile: Path
    variables: Mapping[str, str]
    host_words: tuple[str, ...]
    """What the user told nox on the command line, for the nox of each trial."""
    posargs: tuple[str, ...]
    stop: threading.Event
    jobs: int
    """How many trials run at a time."""
    keeps: bool = False
    """Whether the environments of failed trials are kept."""
    shared: bool = False
    """Whether trials work in the user's own tree."""
    include: tuple[str, ...] = ()
    forks: Forks | None = None
    """Starts the nox of each trial, where it is there."""
    apart: bool = False
    """Whether the environments of trials share no file with others, whatever is declared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a trial showed, and what else can be learnt from it."""

    trial: Trial
    suspects: tuple[str, ...] = ()
    exercised: Mapping[str, bool | None] = field(default_factory=dict)
    """Whether a watched distribution was looked up; None where that cannot be told."""
    requires: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    seconds: float = 0.0
    """For the session's function alone."""
    is_stopping: bool = False
    passed_tests: int = 0
    """How many tests passed in a run that failed."""
    undeclared: tuple[str, ...] = ()
    """What the session installed by itself."""
    touched: tuple[str, ...] = ()
    """Files that it wrote into, and that others share."""
    is_healed: bool = True
    """Whether what is installed from then on does not have them."""
    path: Path | None = None
    """Of the log."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "trial": journal.trial_to_dict(self.trial),
            "suspects": list(self.suspects),
            "exercised": dict(self.exercised),
            "requires": {name: list(found) for name, found in self.requires.items()},
            "seconds": self.seconds,
            "is_stopping": self.is_stopping,
            "passed_tests": self.passed_tests,
            "undeclared": list(self.undeclared),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Shown:
        return cls(
            trial=journal.trial_from_dict(data["trial"]),
            suspects=tuple(data["suspects"]),
            exercised=dict(data["exercised"]),
            requires={name: tuple(found) for name, found in data["requires"].items()},
            seconds=data["seconds"],
            is_stopping=data["is_stopping"],
            passed_tests=data.get("passed_tests", 0),
            undeclared=tuple(data.get("undeclared", ())),
        )


class Trials:
    """Runs trials, several at a time from as many threads; equal ones only once.

    `told` is called with the id, the cell and the changes when a trial starts, and `ended`
    with the trial.
    """

    def __init__(
        self,
        place: Workplace,
        *,
        key: str,
        told: Callable[[str, str, Changes], None],
        ended: Callable[[Trial], None],
        inside: Path | None = None,
    ) -> None:
        """`inside`: as another one has it, whose copy of the tree is to be used on."""
        self.place = place
        self.trials: list[Trial] = []
        self.kept: dict[str, str] = {}
        """How to enter what was kept, by trial."""
        self.touched: tuple[str, ...] = ()
        """Installed files that a trial has written into, though others had them too.

        Then all stop: what ended since that trial began is in doubt, and is forgotten.
        """
        self.is_healed = True
        """Whether those files are no longer in uv's cache."""
        self._key = key
        self._told = told
        self._ended = ended
        self._lock = threading.Lock()
        self._snapshot_lock = threading.Lock()
        self.inside = inside
        """Where the noxfile's directory lies in the copy of the tree; None before there is one."""
        self._count = 0
        self._seconds: dict[str, float] = {}
        self._ended_at: dict[str, float] = {}
        self._paths: dict[str, str] = {}
        self._journal = journal.Journal(place.directory / "journal.jsonl")
        records = journal.read(place.directory / "journal.jsonl")
        doubtful = {
            name for record in records if record.get("kind") == "doubt" for name in record["trials"]
        }
        ran = [record for record in records if record.get("kind") == "trial"]
        self._remembered = {
            record["key"]: Shown.from_dict(record)
            for record in ran
            if record["key"].startswith(f"{key} ") and record["trial"]["id"] not in doubtful
        }
        self._count = max((int(str(record["trial"]["id"])[1:]) for record in ran), default=0)

    def run(
        self,
        column: Column,
        lock: Lock,
        *,
        changes: Changes,
        moved: Changes,
        attempt: int,
        limit: Callable[[], float | None],
    ) -> Shown:
        """Run a column against a lock, or tell what the same trial showed before."""
        key = f"{self._key} {column.name} {lock.digest} {attempt}"
        with self._lock:
            known = self._remembered.pop(key, None)
            self._count += known is None
            name = f"t{self._count}"
        if known is not None:
            known = replace(known, trial=replace(known.trial, reused=True))
            with self._lock:
                self.trials.append(known.trial)
            self._ended(known.trial)
            return replace(known, path=self.place.directory / known.trial.log)
        self._told(name, column.name, changes)
        draft = Trial(
            id=name,
            cell=column.name,
            python=column.place.python,
            outcome=Outcome.ERROR,
            changes=changes,
            moved=moved,
            lock=f"locks/pylock.{name}.toml",
            log=_log(name),
        )
        _files.write_toml(self.place.directory / draft.lock, lock.to_pylock())
        begun = time.monotonic()
        shown = self._try(column, lock, draft, limit)
        for pause in _RETRIES:
            if not self._was_network(shown) or self.place.stop.wait(pause):
                break
            shown = self._try(column, lock, draft, limit)
        if self.place.stop.is_set() and (self.touched or shown.trial.outcome is not Outcome.PASS):
            return shown  # It was stopped: it shows nothing, and nobody is told.
        if shown.touched:
            self._distrust(shown, begun)
            return shown
        with self._lock:
            if self.touched:  # In this very moment, by another.
                return shown
            self._ended_at[draft.id] = time.monotonic()
            self.trials.append(shown.trial)
            if shown.trial.outcome is not Outcome.ERROR:
                self._journal.append({"kind": "trial", "key": key, **shown.to_dict()})
        self._ended(shown.trial)
        return replace(shown, path=self.place.directory / draft.log)

    def _distrust(self, shown: Shown, since: float) -> None:
        """Stop all, for a trial has written into files that the others have, too."""
        with self._lock:
            doubtful = [name for name, ended in self._ended_at.items() if ended > since]
            self._journal.append({"kind": "doubt", "trials": doubtful})
            self.touched += shown.touched
            self.is_healed = self.is_healed and shown.is_healed
        self.place.stop.set()

    def _way_in(self, home: Path) -> str:
        """What to type to enter the environment of a trial that was kept."""
        windows = sys.platform == "win32"
        script = Path("Scripts", "activate") if windows else Path("bin", "activate")
        found = [one.parent for one in (home / "envs").glob("*/pyvenv.cfg")]
        place = os.path.relpath((found[0] if found else home) / script, self.place.base)
        return place if windows else f". {place}"

    @staticmethod
    def _was_network(shown: Shown) -> bool:
        return shown.trial.outcome is Outcome.ERROR and shown.trial.reason.startswith(
            "cannot reach"
        )

    def _try(
        self, column: Column, lock: Lock, draft: Trial, limit: Callable[[], float | None]
    ) -> Shown:
        place = self.place
        home = place.temporary / draft.id
        _files.remove(home)
        keep = False
        try:
            with self._environments(home) as environments:
                ran = self._ran(column, lock, draft, limit, environments)
                if ran.outcome is Outcome.FAIL and ran.has_damaged_bytecode:
                    _files.remove(place.cache / bytecode.STORE)
                    ran = self._ran(column, lock, draft, limit, environments)
            keep = place.keeps and ran.outcome in {Outcome.FAIL, Outcome.TIMEOUT}
            if keep:
                self.kept[draft.id] = self._way_in(home)
            return _shown(draft, ran, lock)
        except OSError as error:
            reason = f"{error.strerror or error}: {error.filename or home}"
            return Shown(trial=replace(draft, reason=reason))
        finally:
            if not keep:
                with contextlib.suppress(OSError):  # What is left goes with the campaign.
                    _files.remove(home)

    def tidy(self) -> None:
        """Remove environments that have served; it need not wait for the end."""
        with contextlib.suppress(OSError):
            slots.tidy(self.place.cache / "slots")

    def _environments(self, home: Path) -> contextlib.AbstractContextManager[Path]:
        """Where the nox of a trial makes its environment."""
        if self.place.keeps:
            return contextlib.nullcontext(home / "envs")
        return slots.taken(self.place.cache / "slots")

    def _ran(
        self,
        column: Column,
        lock: Lock,
        draft: Trial,
        limit: Callable[[], float | None],
        environments: Path,
    ) -> trial.Ran:
        home = self.place.temporary / draft.id
        noxfile = self._tree(home)
        order = TrialOrder(
            cell=column.name,
            python=column.place.python,
            path=self._path(column),
            lock=str(home / "lock" / "pylock.toml"),
            wheels=column.given_wheels(),
            result=str(home / "result.json"),
            junit=str(home / "junit.xml"),
            evidence=str(home / "evidence"),
            watch=tuple(str(name) for name in column.declared),
            cache=str(self.place.cache),
            apart=self.place.apart,
        )
        # Addresses with credentials: for the installer alone, and gone afterwards.
        _files.write_toml(Path(order.lock), lock.for_installer({}), private=True)
        order.write(home / "order.json")
        for name in ("tmp", "evidence"):
            _files.make_directory(home / name)
        return trial.run(self._start(column, order, noxfile, limit, environments))

    def _path(self, column: Column) -> str:
        """Where the nox of a trial finds the Python, if it has to be told."""
        python = column.place.cell.python
        with self._lock:
            if python is not None and python not in self._paths:
                self._paths[python] = discover.path_for(python, self.place.variables) or ""
            return self._paths.get(python or "", "")

    def _start(
        self,
        column: Column,
        order: TrialOrder,
        noxfile: Path,
        limit: Callable[[], float | None],
        environments: Path,
    ) -> trial.Start:
        place, home = self.place, Path(order.result).parent
        env = settings.trial_environment(
            place.variables, order=str(home / "order.json"), temporary=str(home / "tmp")
        )
        words = [
            "--noxfile", str(noxfile), "--session", column.name, "--envdir", str(environments),
            *place.host_words,
        ]  # fmt: skip
        return trial.Start(
            words=[*words, *(["--", *place.posargs] if place.posargs else [])],
            env={**env, TAG_VARIABLE: uuid.uuid4().hex},
            directory=noxfile.parent,
            log=place.directory / _log(home.name),
            result=Path(order.result),
            junit=Path(order.junit),
            evidence=Path(order.evidence),
            redact=self._redact(column, home, environments),
            limit=limit,
            stop=place.stop,
            forks=place.forks,
        )

    def _redact(self, column: Column, home: Path, environments: Path) -> Callable[[bytes], bytes]:
        """Takes secrets out of a log, and the place of what is gone when somebody reads it."""
        place, variables = self.place, self.place.variables
        directory = column.planner.job.directory
        urls = settings.index_urls(variables, kind="pip", directory=directory)

        inside = re.escape(str(environments))
        libraries = re.compile(rf"{inside}/[^/\s]+/[^\s\"']*?(?=site-packages/)")
        sources = re.compile(rf"{re.escape(str(home))}/tree/")

        def clean(text: bytes) -> bytes:
            shown = text.decode("utf-8", errors="surrogateescape")
            if not place.keeps:
                shown = sources.sub("", libraries.sub("", shown))
            return settings.redact(shown, variables, urls=urls).encode(
                "utf-8", errors="surrogateescape"
            )

        return clean

    def _tree(self, home: Path) -> Path:
        """The noxfile in a tree of the trial's own, as it was when the campaign began."""
        place = self.place
        _files.make_directory(home)
        if place.shared:
            return place.noxfile
        snapshot = place.temporary / "snapshot"
        with self._snapshot_lock:
            if self.inside is None:
                self.inside = self._take(snapshot)
        tree.again(snapshot, home / "tree")
        return home / "tree" / self.inside / place.noxfile.name

    def _take(self, snapshot: Path) -> Path:
        """Copy the tree as it is now; where the noxfile's directory lies in it."""
        place = self.place
        env = settings.tool_environment(place.variables, kind="build", directory=place.base)
        top = tree.root(place.base, env=env)
        inside = place.base.resolve().relative_to(top)
        include = [(inside / pattern).as_posix() for pattern in place.include]
        _files.remove(snapshot)  # Of a campaign that was killed.
        tree.copy(top, snapshot, env=env, include=include)
        return inside


def _shown(draft: Trial, ran: trial.Ran, lock: Lock) -> Shown:
    """What a trial that has ended showed."""
    result, failure = ran.result, ran.failure
    outcome, reason = ran.outcome, ran.reason
    replaced = _replaced(result, lock)
    if replaced:
        outcome, reason = Outcome.ERROR, f"the session itself installed {replaced}"
        failure = None
    elif outcome is Outcome.FAIL and ran.offline:
        outcome, reason, failure = Outcome.ERROR, f"cannot reach the index ({ran.offline})", None
    exercised: dict[str, bool | None] = {}
    guilty: tuple[str, ...] = ()
    if result is not None:
        for name, tops in result.modules.items():
            known = tops and ran.looked_up is not None
            exercised[name] = bool(set(tops or ()) & (ran.looked_up or set())) if known else None
        guilty = suspects(ran.modules, result.owners)
    if failure is not None:
        failure = replace(failure, suspects=guilty)
    ended = replace(
        draft,
        outcome=outcome,
        reason="" if failure and failure.exception else reason,
        seconds=round(ran.seconds, 3),
        failure=failure,
        looked_up=tuple(sorted(name for name, seen in exercised.items() if seen)),
    )
    return Shown(
        trial=ended,
        suspects=guilty,
        exercised=exercised,
        requires=result.requires if result else {},
        seconds=result.seconds if result else 0.0,
        is_stopping=ran.is_stopping,
        passed_tests=ran.passed_tests,
        undeclared=tuple(result.undeclared) if result else (),
        touched=result.touched if result else (),
        is_healed=result.is_healed if result else True,
    )


def _replaced(result: TrialResult | None, lock: Lock) -> str:
    """What the session's function put in the place of pins; then it did not run against them."""
    there = {str(name) for name in lock.pins}
    undeclared = result.undeclared if result else {}
    return ", ".join(f"{name} {text}" for name, text in undeclared.items() if name in there)


def _log(name: str) -> str:
    return f"logs/{name}.log"


def default_jobs() -> int:
    """How many trials run at a time where nobody says it: the cores of this machine."""
    affinity = getattr(os, "sched_getaffinity", None)
    return max(1, len(affinity(0)) if affinity else os.cpu_count() or 1)
