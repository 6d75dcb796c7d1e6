"""Campaigns under nox: what a user asks of one, its run, and what is left of it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import threading
import time
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, NoReturn

from packaging.utils import canonicalize_name
from packaging.version import Version

from nox_envs import _files, _host, settings
from nox_envs._tree import Stop, Stopped, Tree
from nox_envs.errors import NoxEnvsError, UsageError
from nox_envs.gather import Noxfile
from nox_envs.lock import recorded_pins
from nox_envs.report import applied, as_json, as_markdown, as_terminal
from nox_envs.report.progress import Board, tried
from nox_envs.report.view import Commands
from nox_envs.run import tree
from nox_envs.upgrade import options as reading
from nox_envs.upgrade.apply import Proven, apply
from nox_envs.upgrade.campaign import Campaign
from nox_envs.upgrade.column import Place
from nox_envs.upgrade.findings import report
from nox_envs.upgrade.options import UpgradeOptions
from nox_envs.upgrade.trials import Trials, Workplace, default_jobs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    import nox

    from nox_envs.report.facts import UpgradeReport

__all__ = ["run"]


def __dir__() -> list[str]:
    return __all__


_FORMAT = 1
"""Raised when what a trial showed is no longer to be believed by a later version."""


def run(campaign: str, session: nox.Session, sessions: Sequence[Any], hold: Sequence[str]) -> None:
    """Run one campaign over the cells of some sessions."""
    settings.forget_path()
    try:
        options = reading.parse(session.posargs, session=session.name)
        if options.help:
            sys.stdout.write(reading.usage(session.name))
            return
        if _host.manages_nothing(session):
            raise UsageError(
                problem=f"{campaign} needs environments, and --no-venv makes none",
                advice=("run it without --no-venv",),
            )
        limits = reading.held(hold)
        options = replace(options, hold={**limits, **options.hold})
        places = _chosen(_places(sessions, options), options)
        conduct = _Conduct(session=session, places=places, options=options, held=set(limits))
        if options.apply or options.dry_run:
            conduct.apply()
            return
        found = conduct.run()
    except NoxEnvsError as error:
        _abort(session, error)
    _end(session, found, options)


def _abort(session: nox.Session, error: NoxEnvsError) -> NoReturn:
    sys.stderr.write(settings.redact(f"{error}\n", os.environ))
    sys.stderr.flush()
    session.error(settings.redact(error.summary, os.environ))


# -- which cells


def _places(sessions: Sequence[Any], options: UpgradeOptions) -> list[Place]:
    found = []
    for one in sessions:
        declared, noxfile, line = _host.declaration_of(one)
        if options.cooldown is not None:
            declared = replace(
                declared, cooldown=options.cooldown, cooldown_text=options.cooldown_text
            )
        found += [
            Place(
                name=name,
                cell=cell,
                declaration=declared,
                noxfile=Noxfile(path=noxfile, line=line),
            )
            for name, cell in _host.cells(one) or ()
        ]
    return found


def _chosen(places: Sequence[Place], options: UpgradeOptions) -> list[Place]:
    """The cells that `--python` and `--only` leave; each of their words has to mean something."""
    chosen = list(places)
    for option, words, fits in (
        ("--python", options.pythons, lambda place, word: place.python == word),
        ("--only", options.only, _is_meant),
    ):
        for word in words:
            if not any(fits(place, word) for place in places):
                there = ", ".join(dict.fromkeys(
                    place.python if option == "--python" else place.name for place in places
                ))  # fmt: skip
                raise UsageError(
                    problem=f"{option} {word}: there is no such cell",
                    advice=(f"choose of {there}",),
                )
        if words:
            chosen = [place for place in chosen if any(fits(place, word) for word in words)]
    if not chosen:
        raise UsageError(
            problem="no cell is both of the chosen Pythons and of the chosen cells",
            advice=("leave one of --python and --only out",),
        )
    return chosen


def _is_meant(place: Place, word: str) -> bool:
    """Whether `--only` means a cell: its name, its session, or `AXIS=VALUE`."""
    axis, equals, value = word.partition("=")
    if equals and not word.startswith(place.name):
        return place.cell.labels.get(axis.replace("-", "_")) == value
    return word in {place.name, place.declaration.name, f"{place.declaration.name}-{place.python}"}


# -- the run of it


class _Conduct:
    """One campaign: its directory, its processes, its report."""

    def __init__(
        self,
        *,
        session: nox.Session,
        places: Sequence[Place],
        options: UpgradeOptions,
        held: Collection[str],
    ) -> None:
        self.session = session
        self.held = held
        """What the noxfile limits, so that the command line need not say it."""
        self.places = places
        self.options = options
        self.base = places[0].noxfile.path.parent
        self.cache = session.cache_dir.absolute() / "nox-envs"
        self.variables = dict(os.environ)

    def run(self) -> UpgradeReport:
        begun = time.monotonic()
        started = datetime.now(timezone.utc)
        key = self._key()
        with self._directory(key, started) as directory, _files.scratch("upgrade") as temporary:
            terminal = sys.stderr if sys.stderr.isatty() else None
            board = Board(self._say, terminal=terminal)
            stop = threading.Event()
            trials = Trials(
                self._workplace(directory, temporary, stop),
                key=key,
                told=lambda trial, cell, changes: board.started(trial, cell, tried(changes)),
                ended=board.finished,
            )
            campaign = Campaign(
                self.places,
                options=self.options,
                trials=trials,
                cache=self.cache,
                say=board.say,
            )
            stopped = self._guarded(campaign, stop)
            board.close()
            campaign.close()
            found = report(
                campaign,
                options=self.options,
                trials=trials.trials,
                interrupted=stopped is not None,
                started=started.isoformat(timespec="seconds"),
                seconds=round(time.monotonic() - begun, 3),
                tools=self._tools(),
                directory=os.path.relpath(directory, self.base),
                kept=trials.kept,
            )
            self._write(found, directory)
        if stopped is not None:
            sys.stdout.write(_block(found, self.session.name))
            sys.stdout.flush()
            raise KeyboardInterrupt(stopped.value)
        return found

    def _say(self, line: str) -> None:
        self.session.log(settings.redact(line, self.variables))

    # -- writing it down

    def apply(self) -> None:
        """Write the set of a finished campaign of today, or of one that is run now."""
        key = self._key()
        record = None if self.options.again else self._finished(key)
        if record is None:
            found = self.run()
            sys.stdout.write(_block(found, self.session.name))
            record = self._finished(key)
        else:
            self.session.log(record.said)
        if record is None or not record.proven.pins:
            sys.stdout.write(f"\n{applied.nothing_to_apply()}")
            return
        written = apply(
            record.proven,
            [place for place in self.places if place.name in record.proven.environments],
            cache=self.cache,
            variables=self.variables,
            write=not self.options.dry_run,
            force=self.options.force,
        )
        if self.options.dry_run:
            sys.stdout.write(written.diff)
            return
        lines = [(edit.file, edit.before, edit.after) for edit in written.edits]
        text = applied.applied(lines, packages=written.packages, commands=written.commands)
        sys.stdout.write(f"\n{settings.redact(text, self.variables)}")
        sys.stdout.flush()

    def _finished(self, key: str) -> _Record | None:
        """The newest campaign of the last day that had equal inputs and came to its end."""
        now = datetime.now(timezone.utc)
        for directory in _newest_first(self.cache / "campaigns"):
            about, found = _read(directory / "about.json"), _read(directory / "report.json")
            if about.get("key") != key or found.get("status") not in _ANSWERED:
                continue
            if self._steers and about.get("asks") != self._asks():
                continue
            started = datetime.fromisoformat(found["started"])
            if (now - started).total_seconds() < _DAY:
                return _record(directory, found, started, now)
        return None

    @property
    def _steers(self) -> bool:
        """Whether the command line says what is to be asked."""
        return self._asks() != _asks(UpgradeOptions())

    def _asks(self) -> list[Any]:
        limits = {name: spec for name, spec in self.options.hold.items() if name not in self.held}
        return _asks(replace(self.options, hold=limits))

    # -- the run of it

    def _guarded(self, campaign: Campaign, stop: threading.Event) -> Stop | None:
        """Run the phases; a signal ends every trial with all that it started."""
        guard = Tree(timeout=None, die_with_parent=False, tag=uuid.uuid4().hex, leave_nothing=True)
        failure: BaseException | None = None
        with contextlib.suppress(Stopped), guard:
            try:
                campaign.run()
            except BaseException as error:  # noqa: BLE001 - raised again below
                failure = error
            finally:
                stop.set()
        stop.set()
        if guard.stop is None and failure is not None:
            campaign.close()
            raise failure
        return guard.stop

    def _workplace(self, directory: Path, temporary: Path, stop: threading.Event) -> Workplace:
        declared = [place.declaration for place in self.places]
        shared = any(one.tree == "shared" for one in declared)
        return Workplace(
            directory=directory,
            temporary=temporary,
            base=self.base,
            noxfile=self.places[0].noxfile.path,
            variables=self.variables,
            host_words=_host.words_for_trials(self.session),
            posargs=self.options.posargs,
            stop=stop,
            jobs=1 if shared else self.options.jobs or default_jobs(),
            keeps=self.options.keep,
            shared=shared,
            include=tuple(dict.fromkeys(each for one in declared for each in one.tree_include)),
        )

    def _key(self) -> str:
        """Equal where a trial would show the same, as far as the user's own files decide."""
        env = settings.tool_environment(self.variables, kind="build", directory=self.base)
        include = [each for place in self.places for each in place.declaration.tree_include]
        top = tree.root(self.base, env=env)
        facts = [
            _FORMAT,
            tree.digest(top, env=env, include=include),
            list(self.options.posargs),
            self.options.timeout,
            self.options.mode,
            sorted([place.name, sorted(place.declaration.env.items())] for place in self.places),
        ]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:32]

    @contextlib.contextmanager
    def _directory(self, key: str, started: datetime) -> Iterator[Path]:
        """The directory of the campaign: a new one, or the one to go on with."""
        campaigns = self.cache / "campaigns"
        found = _interrupted(campaigns, key) if self.options.resume else None
        if self.options.resume and found is None:
            self.session.log("There is nothing to resume: no interrupted run of the same code.")
        directory = found or campaigns / _name(campaigns, self.session.name, started)
        about = {"key": key, "asks": self._asks()}
        _files.write_text(directory / "about.json", json.dumps(about))
        _files.make_directory(directory / "locks")
        _files.make_directory(directory / "logs")
        yield directory

    def _tools(self) -> dict[str, str]:
        found = {}
        for name in ("nox", "uv", "pip", "nox-envs"):
            with contextlib.suppress(PackageNotFoundError):
                found[name] = version(name)
        return found

    def _write(self, found: UpgradeReport, directory: Path) -> None:
        text = settings.redact(as_json.dumps(found), self.variables)
        _files.write_text(directory / "report.json", text)
        commands = Commands(upgrade=self.session.name)
        for path, document in (
            (self.options.json, text),
            (self.options.markdown, as_markdown.render(found, commands=commands)),
        ):
            if path == "-":
                sys.stdout.write(document)
                sys.stdout.flush()
            elif path is not None:
                _files.write_text(self.base / path, settings.redact(document, self.variables))


def _name(campaigns: Path, session: str, started: datetime) -> str:
    base = f"{session}-{started.astimezone():%Y%m%d-%H%M%S}"
    names = (f"{base}{suffix}" for suffix in ("", *(f"-{n}" for n in range(2, 1000))))
    return next(name for name in names if not (campaigns / name).exists())


def _interrupted(campaigns: Path, key: str) -> Path | None:
    """The newest campaign of the same key that did not come to its end."""
    for directory in _newest_first(campaigns):
        same = _read(directory / "about.json").get("key") == key
        if same and _read(directory / "report.json").get("status") not in _ANSWERED:
            return directory
    return None


def _newest_first(campaigns: Path) -> list[Path]:
    if not campaigns.is_dir():
        return []
    return sorted(campaigns.iterdir(), key=lambda one: one.stat().st_mtime, reverse=True)


def _read(path: Path) -> dict[str, Any]:
    """A JSON object of ours; an empty one where there is none."""
    try:
        return dict(json.loads(_files.read_text(path)))
    except (OSError, ValueError, TypeError):
        return {}


_ANSWERED = {"ok", "broken"}
_DAY = 24 * 3600


def _asks(options: UpgradeOptions) -> list[Any]:
    """What decides which question a campaign answers."""
    return [
        sorted([str(name), str(spec)] for name, spec in options.asked.items()),
        sorted([str(name), str(spec)] for name, spec in options.hold.items()),
        sorted(options.pythons),
        sorted(options.only),
        [options.mode, options.pre, options.cooldown_text],
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """A finished campaign, and what it proved."""

    proven: Proven
    said: str


def _record(directory: Path, found: Mapping[str, Any], started: datetime, now: datetime) -> _Record:
    common = found["safe_set"]["all"]
    locks = {trial["id"]: trial["lock"] for trial in found["trials"]}
    environments = {
        cell: recorded_pins(_files.read_toml(directory / locks[trials[-1]]))
        for cell, trials in common["trials"].items()
        if trials
    }
    pins = {canonicalize_name(name): Version(text) for name, text in common["pins"].items()}
    local = started.astimezone()
    day = "today" if local.date() == now.astimezone().date() else "yesterday"
    minutes = int((now - started).total_seconds() // 60)
    said = applied.using(f"{local:%H:%M} {day}", minutes)
    return _Record(proven=Proven(pins=pins, environments=environments), said=said)


# -- what is said at the end


def _block(found: UpgradeReport, session: str) -> str:
    text = as_terminal.render(
        found, commands=Commands(upgrade=session), encoding=sys.stdout.encoding or "ascii"
    )
    return "\n" + settings.redact(text, os.environ)


def _end(session: nox.Session, found: UpgradeReport, options: UpgradeOptions) -> None:
    """Print the result, and fail for what the user wants to fail for."""
    if "-" not in {options.json, options.markdown}:
        sys.stdout.write(_block(found, session.name))
        sys.stdout.flush()
    reasons = _failing(found)
    failed = [reason for kind, reason in reasons.items() if kind in options.fail_on]
    if failed:
        session.error("; ".join(failed))


def _failing(found: UpgradeReport) -> Mapping[str, str]:
    """Kinds of `--fail-on` that hold, and why."""
    kinds = {}
    if found.status == "baseline-red":
        kinds["baseline"] = "the tests fail already with the versions you have."
    if found.status == "error":
        kinds["error"] = found.error or "there is no answer."
    verdicts = {each.verdict.value for one in found.candidates for each in one.verdicts.values()}
    if found.status == "inconclusive" or verdicts & {"inconclusive", "flaky"}:
        kinds["inconclusive"] = "there is no answer for all of it."
    if verdicts & {"breaks", "capped", "blocked"}:
        kinds["breaks"] = "not every newer release passes."
    if found.not_tested:
        kinds["not-tested"] = f"{', '.join(found.not_tested)} was not tested."
    return kinds
