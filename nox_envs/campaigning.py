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
from dataclasses import replace
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, NoReturn

from nox_envs import _files, _host, settings
from nox_envs._tree import Stop, Stopped, Tree
from nox_envs.errors import NoxEnvsError, UsageError
from nox_envs.gather import Noxfile
from nox_envs.report import as_json, as_markdown, as_terminal
from nox_envs.report.progress import Board, tried
from nox_envs.report.view import Commands
from nox_envs.run import tree
from nox_envs.upgrade import options as reading
from nox_envs.upgrade.campaign import Campaign
from nox_envs.upgrade.column import Place
from nox_envs.upgrade.findings import report
from nox_envs.upgrade.trials import Trials, Workplace, default_jobs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import nox

    from nox_envs.report.facts import UpgradeReport
    from nox_envs.upgrade.options import UpgradeOptions

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
        options = replace(options, hold={**reading.held(hold), **options.hold})
        places = _chosen(_places(sessions, options), options)
        found = _Conduct(session=session, places=places, options=options).run()
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
        self, *, session: nox.Session, places: Sequence[Place], options: UpgradeOptions
    ) -> None:
        self.session = session
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
        _files.write_text(directory / "key", key)
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
    if not campaigns.is_dir():
        return None
    for directory in sorted(campaigns.iterdir(), key=lambda one: one.stat().st_mtime, reverse=True):
        try:
            same = _files.read_text(directory / "key") == key
            status = json.loads(_files.read_text(directory / "report.json"))["status"]
        except FileNotFoundError:
            status = "interrupted"
            same = (directory / "key").exists() and _files.read_text(directory / "key") == key
        except (OSError, ValueError, KeyError):
            continue
        if same and status in {"interrupted", "error", "inconclusive"}:
            return directory
    return None


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
