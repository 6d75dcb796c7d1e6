"""One campaign from its first line to its report: its directory, its processes, its files."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nox_envs import _files, _process, settings
from nox_envs._forks import Forks, opened
from nox_envs._tree import Stop, Stopped, Tree
from nox_envs.errors import NoxEnvsError
from nox_envs.planning import relative
from nox_envs.report import as_json, as_markdown
from nox_envs.report.facts import UpgradeReport
from nox_envs.report.progress import Board, tried, written_into
from nox_envs.report.view import Commands
from nox_envs.run import tree
from nox_envs.upgrade.apply import Applied, apply, refuse_uncommitted, uncommitted
from nox_envs.upgrade.campaign import Assignment
from nox_envs.upgrade.records import Record, Records, running
from nox_envs.upgrade.threads import calm
from nox_envs.upgrade.trials import Trials, Workplace, default_jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import TextIO

    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName

    from nox_envs.outcome import Changes
    from nox_envs.report.facts import Report
    from nox_envs.upgrade.campaign import Campaign
    from nox_envs.upgrade.column import Place
    from nox_envs.upgrade.options import CampaignOptions, Kind

__all__ = ["Conduct", "Conducted"]


def __dir__() -> list[str]:
    return __all__


_JSON, _MARKDOWN = "report.json", "report.md"
_FORMAT = 1
"""Raised when what a trial showed is no longer to be believed by a later version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conducted:
    """A campaign that has ended."""

    report: Report
    stopped: Stop | None
    errors: tuple[NoxEnvsError, ...]
    """Why columns could not be planned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """How one campaign is run for one noxfile."""

    kind: Kind
    session: str
    """What the noxfile calls the campaign."""
    beside: tuple[str, ...]
    """Other campaigns that the noxfile has, without the suffix of their names."""
    all_places: Sequence[Place]
    """The cells of all its sessions."""
    places: Sequence[Place]
    """Those that are asked about."""
    options: CampaignOptions
    held: Mapping[NormalizedName, SpecifierSet]
    """What the noxfile limits."""
    noxfile: Path
    cache: Path
    variables: Mapping[str, str]
    host_words: tuple[str, ...]
    say: Callable[[str], None]
    terminal: TextIO | None

    @property
    def commands(self) -> Commands:
        """What the noxfile calls the campaigns that can be named as the next step."""
        suffix = self.session.removeprefix(self.kind)
        known = {name: name + suffix for name in self.beside}
        called = settings.called(self.variables)
        return Commands(**{**known, self.kind: self.session}, called=called)

    @property
    def base(self) -> Path:
        """What paths in reports are relative to."""
        return self.noxfile.parent

    def run(self) -> Conducted:
        """Run it to its end, or until it is stopped."""
        begun = time.monotonic()
        started = datetime.now(timezone.utc)
        with (
            _files.explained(self.cache),
            self._directory(started) as (directory, temporary),
            Board(self._clean, terminal=self.terminal) as board,
            self._forks(temporary) as forks,
        ):
            place = self._workplace(directory, temporary, forks)
            campaign, trials, stopped = self._once(place, board)
            if trials.touched and stopped is None:
                board.say(written_into(trials.touched, is_healed=trials.is_healed))
                place = replace(place, stop=threading.Event(), apart=True)
                campaign, trials, stopped = self._once(place, board, inside=trials.inside)
            board.close()
            header = {
                "started": started.isoformat(timespec="seconds"),
                "seconds": round(time.monotonic() - begun, 3),
                "tools": _tools(self.variables),
                "trials": tuple(sorted(trials.trials, key=lambda trial: int(trial.id[1:]))),
                "directory": relative(directory, self.base),
                "kept": dict(trials.kept),
            }
            found = campaign.report(header, interrupted=stopped is not None)
            if isinstance(found, UpgradeReport) and found.files:
                changed = uncommitted(self.base, self._editable, self.variables)
                found = replace(found, uncommitted=tuple(changed))
            errors: dict[str, NoxEnvsError] = {str(e): e for e in campaign.failed.values()}
            try:
                self._write(found, directory)
            except NoxEnvsError as error:  # The answer is told all the same.
                errors[str(error)] = error
        return Conducted(report=found, stopped=stopped, errors=tuple(errors.values()))

    def _once(
        self, place: Workplace, board: Board, *, inside: Path | None = None
    ) -> tuple[Campaign, Trials, Stop | None]:
        """Run it; what the journal knows is not run again."""
        trials = Trials(
            place,
            key=_digest([self.records.key, self.options.posargs, self.options.timeout]),
            told=lambda trial, cell, changes: board.started(
                trial, cell, self._tried(campaign, cell, changes)
            ),
            ended=board.finished,
            inside=inside,
        )
        campaign = _class_of(self.kind)(
            Assignment(
                places=tuple(self.places),
                options=self.options,
                trials=trials,
                cache=self.cache,
                say=board.say,
            )
        )
        try:
            stopped = _guarded(campaign.run, place.stop)
        finally:
            place.stop.set()
            campaign.close()
            trials.tidy()
        return campaign, trials, stopped

    def _write(self, found: Report, directory: Path) -> None:
        documents = {
            _JSON: as_json.dumps(found),
            _MARKDOWN: as_markdown.render(found, commands=self.commands),
        }
        with _files.explained(directory):
            for name, document in documents.items():
                _files.write_text(directory / name, settings.redact(document, self.variables))

    def earlier(self) -> Record | None:
        """A campaign of the last day that answers the same question."""
        return self.records.finished(datetime.now(timezone.utc))

    def refuse_uncommitted(self) -> None:
        """Raise `NotApplied` for changes in files that may have to be edited."""
        if not self.options.force:
            refuse_uncommitted(self.base, self._editable, self.variables)

    @property
    def _editable(self) -> list[str]:
        """The files that may have to be edited."""
        names = [
            _joined(place.declaration.directory, name)
            for place in self.places
            for name in (
                *place.declaration.requirements, *place.declaration.constraints, "pyproject.toml",
            )
        ]  # fmt: skip
        return list(dict.fromkeys(names))

    def apply(self, record: Record) -> Applied:
        """Write what was proven to the user's files; raises a `NoxEnvsError`.

        Where a signal comes meanwhile, all is as it was, and `KeyboardInterrupt` is raised.
        """
        done: list[Applied] = []
        stopped = _guarded(
            lambda: done.append(
                apply(
                    record.proven,
                    [place for place in self.places if place.name in record.proven.environments],
                    cache=self.cache,
                    variables=self.variables,
                    write=not self.options.dry_run,
                    force=self.options.force,
                )
            ),
            threading.Event(),
        )
        if stopped is not None:
            raise KeyboardInterrupt(stopped.value)
        return done[0]

    @property
    def records(self) -> Records:
        """The campaigns of this checkout."""
        return Records(
            directory=self.cache / "campaigns",
            kind=self.kind,
            key_without=self._key,
            options=self.options,
            held=self.held,
        )

    def _key(self, written: tuple[str, ...]) -> str:
        """Equal where a trial would show the same, as far as the user's own files decide.

        `written` are reports, relative to the noxfile: they do not count.
        """
        env = settings.tool_environment(self.variables, kind="build", directory=self.base)
        top = tree.root(self.base, env=env)
        inside = os.path.relpath(self.base.resolve(), top)
        facts = [
            _FORMAT,
            tree.digest(
                top,
                env=env,
                include=[_joined(inside, glob) for glob in self._include],
                exclude=[_joined(inside, name) for name in written],
                commit=False,
            ),
            sorted(
                [place.name, sorted(place.declaration.env.items())] for place in self.all_places
            ),
        ]
        return _digest(facts)

    @property
    def _include(self) -> tuple[str, ...]:
        """The globs of ignored files that trials need, relative to the noxfile."""
        declared = [place.declaration for place in self.all_places]
        globs = [
            _joined(one.directory, glob)
            for one in declared
            for glob in (*one.tree_include, *([one.env_file] if one.env_file else []))
        ]
        return tuple(dict.fromkeys(globs))

    @contextlib.contextmanager
    def _directory(self, started: datetime) -> Iterator[tuple[Path, Path]]:
        """The directory of the campaign, and one that is gone afterwards.

        What is kept of failed trials has to stay where it was made: environments cannot be
        moved.
        """
        records = self.records
        found = records.interrupted() if self.options.resume else None
        if self.options.resume and found is None:
            self.say("There is nothing to resume: no interrupted run of the same code.")
        directory = records.enter(found) if found else records.begin(self.session, started)
        with running(directory), self._temporary(directory) as temporary:
            yield directory, temporary

    @contextlib.contextmanager
    def _temporary(self, directory: Path) -> Iterator[Path]:
        if self.options.keep:
            kept = _files.make_directory(directory / "kept")
            try:
                yield kept
            finally:
                for name in ("snapshot", "columns"):
                    _files.remove(kept / name)
            return
        with _files.scratch(self.session) as temporary:
            yield temporary

    def _forks(self, temporary: Path) -> contextlib.AbstractContextManager[Forks | None]:
        """A warm process for the trials, unless the user wants each nox to be a new one."""
        if not settings.has_warm_workers(self.variables):
            return contextlib.nullcontext()
        return opened(env=settings.worker_environment(self.variables), cwd=temporary)

    def _workplace(
        self,
        directory: Path,
        temporary: Path,
        forks: Forks | None,
    ) -> Workplace:
        declared = [place.declaration for place in self.places]
        shared = any(one.tree == "shared" for one in declared)
        single = shared or any(one.host.get("allow_parallel") is False for one in declared)
        return Workplace(
            directory=directory,
            temporary=temporary,
            cache=self.cache,
            base=self.base,
            noxfile=self.noxfile,
            variables=self.variables,
            host_words=self.host_words,
            posargs=self.options.posargs,
            stop=threading.Event(),
            jobs=1 if single else self.options.jobs or default_jobs(),
            keeps=self.options.keep,
            shared=shared,
            include=self._include,
            forks=forks,
        )

    def _tried(self, campaign: Campaign, cell: str, changes: Changes) -> str:
        label = "" if changes else campaign.unchanged(cell)
        return label or ("" if self.kind == "matrix" else tried(changes))

    def _clean(self, line: str) -> None:
        self.say(settings.redact(line, self.variables))


def _guarded(work: Callable[[], object], stop: threading.Event) -> Stop | None:
    """Do something; a signal leaves it, and ends every trial with all that it started."""
    guard = Tree(timeout=None, die_with_parent=False, tag=uuid.uuid4().hex, leave_nothing=True)
    failure: BaseException | None = None
    with contextlib.suppress(Stopped), guard:
        try:
            with calm():
                work()
        except BaseException as error:  # noqa: BLE001 - raised again below
            failure = error
        finally:
            stop.set()
    if guard.stop is None and failure is not None:
        raise failure
    return guard.stop


def _class_of(kind: Kind) -> type[Campaign]:
    """The modules of the others are not imported."""
    match kind:
        case "matrix":
            from nox_envs.upgrade.sweep import Sweep  # noqa: PLC0415 - only what is asked for

            return Sweep
        case "upgrade":
            from nox_envs.upgrade.upgrading import Upgrade  # noqa: PLC0415 - only what is asked for

            return Upgrade
        case "bisect":
            from nox_envs.upgrade.bisection import Bisection  # noqa: PLC0415 - only what is asked for

            return Bisection
        case "floors":
            from nox_envs.upgrade.floors import Floors  # noqa: PLC0415 - only what is asked for

            return Floors
        case _:
            from nox_envs.upgrade.inquest import Inquest  # noqa: PLC0415 - only what is asked for

            return Inquest


def _digest(facts: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]


def _joined(directory: str, name: str) -> str:
    return os.path.normpath(f"{directory}/{name}").replace(os.sep, "/")


def _tools(variables: Mapping[str, str]) -> dict[str, str]:
    """Versions of what takes part; uv may be one that is not installed beside us."""
    found = {}
    uv = settings.find_uv(variables)
    for name in ("nox", "nox-envs", *(() if uv else ("pip",))):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    if uv:
        env = settings.tool_environment(variables, kind="uv", directory=Path.cwd())
        words = _process.run([uv, "--version"], env=env, cwd=Path.cwd()).stdout.split()
        found["uv"] = words[1] if len(words) > 1 else "unknown"
    return found
