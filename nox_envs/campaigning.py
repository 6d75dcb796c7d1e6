"""Campaigns under nox: what a user asks of one, its run, and what is left of it."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from packaging.specifiers import SpecifierSet

from nox_envs import _files, _host, settings
from nox_envs.errors import NotApplied, NoxEnvsError, UsageError
from nox_envs.gather import Noxfile
from nox_envs.report import applied, as_json, as_markdown, as_terminal, gridded, locked
from nox_envs.report.bisected import needs_a_name
from nox_envs.report.facts import FloorsReport, MatrixReport, UpgradeReport
from nox_envs.report.view import Commands
from nox_envs.upgrade import options as reading
from nox_envs.upgrade.column import Place
from nox_envs.upgrade.conduct import Conduct, Conducted
from nox_envs.upgrade.lockfiles import LockFiles
from nox_envs.upgrade.proven import ProvenFloors
from nox_envs.upgrade.records import SETTLED, Record, broken

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import nox
    from packaging.utils import NormalizedName

    from nox_envs.report.facts import Report
    from nox_envs.upgrade.options import CampaignOptions, Kind

__all__ = ["run"]


def __dir__() -> list[str]:
    return __all__


_HOLDING: frozenset[Kind] = frozenset({"upgrade", "bisect"})
"""Campaigns that try other releases than those that the files, or the command line, name."""


def run(
    kind: Kind, name: str, session: nox.Session, sessions: Sequence[Any], hold: Sequence[str]
) -> None:
    """Run the campaign that the noxfile has under a name, over the cells of some sessions."""
    settings.forget_path()
    try:
        called = settings.called(os.environ)
        options = reading.parse(session.posargs, session=name, kind=kind, called=called)
        if options.help:
            _print(reading.usage(name, kind, called=called))
            return
        if options.refresh:
            settings.refresh()
        if _host.manages_nothing(session):
            raise UsageError(
                problem=f"{name} needs environments, and --no-venv makes none",
                advice=("run it without --no-venv",),
            )
        held = reading.held(hold) if kind in _HOLDING else {}
        conduct = _conduct(
            kind,
            name,
            session=session,
            sessions=sessions,
            options=options,
            held=held,
        )
        if kind == "lock":
            _lock(conduct, session)
            return
        words = conduct.records.words() if options.words == ("--resume",) else None
        if words:  # It goes on with what was asked.
            options = reading.parse(["--resume", *words], session=name, kind=kind, called=called)
            conduct = _conduct(
                kind,
                name,
                session=session,
                sessions=sessions,
                options=options,
                held=held,
            )
        if kind == "bisect" and len(options.asked) != 1:
            raise _not_one_package(name, session, len(options.asked))
        if options.apply or options.dry_run:
            _apply(conduct, session)
        else:
            _conclude(conduct, session)
    except NoxEnvsError as error:
        _abort(session, error)


def _conduct(
    kind: Kind,
    name: str,
    *,
    session: nox.Session,
    sessions: Sequence[Any],
    options: CampaignOptions,
    held: Mapping[NormalizedName, SpecifierSet],
) -> Conduct:
    if isinstance(session.python, str) and session.python not in options.pythons:  # `-P 3.12`
        words = ("--python", session.python, *options.words)
        pythons = (*options.pythons, session.python)
        options = replace(options, pythons=pythons, words=words)
    limits = {name: held.get(name, SpecifierSet()) & limit if limit else limit
              for name, limit in options.hold.items()}  # fmt: skip
    options = replace(options, hold={**held, **limits})
    every = _places(sessions, options)
    return Conduct(
        kind=kind,
        session=name,
        beside=_host.beside(name, kind),
        all_places=every,
        places=_chosen(every, options),
        options=options,
        held=held,
        noxfile=_host.noxfile(session),
        cache=session.cache_dir.absolute() / "nox-envs",
        variables=dict(os.environ),
        host_words=_host.words_for_trials(session),
        say=session.log,
        terminal=sys.stderr if sys.stderr.isatty() else None,
    )


def _not_one_package(name: str, session: nox.Session, given: int) -> UsageError:
    """What to say where a bisection is not told of which package."""
    if given:
        return UsageError(problem=f"{name} takes one package at a time")
    breaking = broken(session.cache_dir.absolute() / "nox-envs" / "campaigns")
    commands = Commands(bisect=name, called=settings.called(os.environ))
    return UsageError(problem=needs_a_name(breaking, commands=commands).rstrip("."))


def _abort(session: nox.Session, error: NoxEnvsError) -> NoReturn:
    sys.stderr.write(settings.redact(f"{error}\n", os.environ))
    sys.stderr.flush()
    session.error(settings.redact(error.summary, os.environ))


def _lock(conduct: Conduct, session: nox.Session) -> None:
    """Write the locks of all cells, print what changed, and fail where one is not right."""
    options = conduct.options
    if options.posargs:
        problem = f"{conduct.session} runs no session: nothing follows a second --"
        raise UsageError(problem=problem)
    report, errors = LockFiles(
        places=conduct.places,
        every=_places(_host.declared_sessions(), options),
        noxfile=conduct.noxfile,
        options=options,
        base=conduct.base,
        cache=conduct.cache,
        variables=conduct.variables,
    ).run()
    for error in {str(error): error for error in errors}.values():
        sys.stderr.write(settings.redact(f"{error}\n", os.environ))
    if options.json != "-":
        _print("\n" + locked.terminal(report, encoding=sys.stdout.encoding or "ascii"))
    _deliver(json.dumps(locked.to_dict(report), indent=2) + "\n", options.json, conduct.base)
    failed = locked.verdict(report, command=f"nox -s {conduct.session}")
    if failed:
        session.error(settings.redact(failed, os.environ))


# -- which cells


def _places(sessions: Sequence[Any], options: CampaignOptions) -> list[Place]:
    found = []
    for one in sessions:
        declared, noxfile, line = _host.declaration_of(one)
        told = _host.told(one)
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
                told=told[name],
            )
            for name, cell in _host.cells(one) or ()
        ]
    return found


def _chosen(places: Sequence[Place], options: CampaignOptions) -> list[Place]:
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
                is_python = option == "--only" and any(one.python == word for one in places)
                raise UsageError(
                    problem=f"{option} {word}: there is no such cell",
                    advice=(f"to choose a Python:   --python {word}"
                            if is_python else f"choose of {there}",),
                )  # fmt: skip
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


# -- what is said at the end


def _conclude(conduct: Conduct, session: nox.Session) -> None:
    """Run a campaign, print its result, and fail for what the user wants to fail for."""
    _judge(_run(conduct), conduct, session)


def _run(conduct: Conduct) -> Conducted:
    """Run a campaign, and print its result."""
    options = conduct.options
    ended = conduct.run()
    found = ended.report
    told = {error.summary: error for error in ended.errors}
    for error in told.values():
        sys.stderr.write(settings.redact(f"{error}\n", os.environ))
    is_told = bool(ended.errors) and found.status == "error"
    if "-" not in {options.json, options.markdown} and not is_told:
        encoding = sys.stdout.encoding or "ascii"
        _print("\n" + as_terminal.render(found, commands=conduct.commands, encoding=encoding))
    _deliver(as_json.dumps(found), options.json, conduct.base)
    _hand_over(as_json.dumps(found), conduct)
    document = as_markdown.render(found, commands=conduct.commands)
    _deliver(document, options.markdown, conduct.base)
    if ended.stopped is not None:
        raise KeyboardInterrupt(ended.stopped.value)
    return ended


def _judge(ended: Conducted, conduct: Conduct, session: nox.Session) -> None:
    """Fail for what the user wants to fail for."""
    wanted = {"error", *conduct.options.fail_on}
    failed = [reason for kind, reason in _failing(ended.report).items() if kind in wanted]
    if not failed:
        failed = list(dict.fromkeys(error.summary for error in ended.errors))
    if failed:
        session.error(settings.redact("; ".join(failed), os.environ))


def _deliver(document: str, path: str | None, base: Path) -> None:
    """Write a document where the user wants it."""
    if path == "-":
        _print(document)
    elif path is not None:
        try:
            with _files.explained(path):
                _files.write_text(base / path, settings.redact(document, os.environ))
        except OSError as error:
            raise UsageError(
                problem=f"{path} cannot be written: {error.strerror}",
                advice=("name a file in a directory that is there",),
            ) from error


def _hand_over(document: str, conduct: Conduct) -> None:
    """Give `nox-envs` the report, where it has called and wants to have it."""
    _deliver(document, settings.called(conduct.variables).report or None, conduct.base)


def _print(text: str) -> None:
    with _files.explained("the output"):
        sys.stdout.write(settings.redact(text, os.environ))
        sys.stdout.flush()


def _apply(conduct: Conduct, session: nox.Session) -> None:
    """Write what a finished campaign of today proved, or one that is run now."""
    options, ended = conduct.options, None
    record = None if options.again else conduct.earlier()
    if not options.dry_run and (record is None or record.proven.pins):
        conduct.refuse_uncommitted()
    if record is None:
        ended = _run(conduct)
        record = _proven(conduct, ended)
    else:
        session.log(applied.using(record.started, datetime.now(timezone.utc)))
        for path, name in ((options.json, "report.json"), (options.markdown, "report.md")):
            if path is not None:
                _deliver(_files.read_text(record.directory / name), path, conduct.base)
        _hand_over(_files.read_text(record.directory / "report.json"), conduct)
    floors = record.proven if record and isinstance(record.proven, ProvenFloors) else None
    left = floors.left if floors else ()
    text = applied.nothing_to_apply(conduct.kind, left)
    is_written = record is not None and bool(record.proven.pins)
    if record is not None and is_written:
        text = _written(conduct, record, left)
    _tell(text if options.dry_run else f"\n{text}", conduct)
    if floors and is_written and not options.dry_run:  # What was false is true now.
        if left:
            session.error(_FALSE)
    elif ended is not None:
        _judge(ended, conduct, session)
    elif floors and record and record.status == "broken":
        session.error(_FALSE)


def _proven(conduct: Conduct, ended: Conducted) -> Record | None:
    """What a campaign that has just ended proved of the files as they are."""
    record = conduct.earlier()
    if record is None and ended.report.status in SETTLED:
        raise NotApplied(
            reason="your files have changed while it ran: what passed is not what is there now",
            advice=("run it again; what a run writes into the tree belongs into .gitignore",),
        )
    return record


def _tell(text: str, conduct: Conduct) -> None:
    """Say what was written; what was written to a copy is said when it is given back."""
    options, later = conduct.options, settings.called(conduct.variables).applied
    if later and not options.dry_run:
        _deliver(text, later, conduct.base)
        return
    # What a program reads is not mixed with what people do.
    stream = sys.stderr if "-" in {options.json, options.markdown} else sys.stdout
    stream.write(settings.redact(text, os.environ))
    stream.flush()


def _refuse_outside(conduct: Conduct, record: Record) -> None:
    """Raise `NotApplied` where a link leads out of a copy to what would be edited."""
    within = settings.called(conduct.variables).within
    if not within or conduct.options.dry_run:
        return
    planned = replace(conduct, options=replace(conduct.options, dry_run=True)).apply(record)
    outside = [
        str((conduct.base / name).resolve())
        for name in dict.fromkeys(edit.file for edit in planned.edits)
        if not (conduct.base / name).resolve().is_relative_to(Path(within).resolve())
    ]
    if outside:
        raise NotApplied(
            reason="a link leads out of the project to what would be edited",
            places=tuple(outside),
            advice=("edit it by hand, as --dry-run shows",),
        )


def _written(conduct: Conduct, record: Record, left: Sequence[str]) -> str:
    """Write what was proven; what was done, in words, or what would be."""
    if record.disagreements:
        raise NotApplied(
            reason="what your files would give with these releases does not pass today",
            places=record.disagreements,
            advice=("pin what comes in as well, to what it passed with",),
        )
    _refuse_outside(conduct, record)
    written = conduct.apply(record)
    if conduct.options.dry_run:
        return written.diff
    return applied.applied(
        [(edit.file, edit.before, edit.after) for edit in written.edits],
        packages=written.packages,
        commands=written.commands,
        kind=conduct.kind,
        left=left,
    )


_FALSE = "a lower bound does not hold"


def _failing(found: Report) -> Mapping[str, str]:
    """Kinds of `--fail-on` that hold, and why."""
    kinds = {}
    if found.status == "baseline-red":
        kinds["baseline"] = "it fails already without any change"
    if found.status == "error":  # Whatever else is open is open because of it.
        return {"error": found.error or "there is no answer"}
    verdicts = _verdicts(found)
    if found.status == "inconclusive" or verdicts & {"inconclusive", "flaky"}:
        kinds["inconclusive"] = "there is no answer for all of it"
    if verdicts & {"breaks", "capped", "blocked"}:
        kinds["breaks"] = "not every newer release passes"
    if isinstance(found, FloorsReport) and found.status == "broken":
        kinds["error"] = "a lower bound does not hold"  # It is a check, no question.
    if isinstance(found, MatrixReport) and found.status != "ok":
        kinds["error" if found.status == "broken" else "inconclusive"] = gridded.verdict(found)
    if found.not_tested:
        kinds["not-tested"] = f"{', '.join(found.not_tested)} was not tested"
    return kinds


def _verdicts(found: Report) -> set[str]:
    """The verdicts of an upgrade campaign; of a bisection, what they would be called."""
    if isinstance(found, UpgradeReport):
        may_fail = {cell for cell, one in found.baseline.items() if one.may_fail}
        return {
            each.verdict.value
            for one in found.candidates
            for cell, each in one.verdicts.items()
            if cell not in may_fail
        }
    return {"breaks"} if found.status == "broken" else set()
