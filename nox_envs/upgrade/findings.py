"""From a campaign, finished or not, to the facts of its report."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal

from packaging.utils import canonicalize_name

from nox_envs import _files
from nox_envs.outcome import Outcome, Verdict
from nox_envs.report.facts import (
    Baseline,
    Candidate,
    Fresh,
    Guilty,
    Judgement,
    Line,
    SafeSet,
    Status,
    UpgradeReport,
)
from nox_envs.report.words import joined
from nox_envs.resolve.requests import applies
from nox_envs.upgrade import edits, relock
from nox_envs.upgrade.bench import VERDICTS
from nox_envs.upgrade.bounds import requirement
from nox_envs.upgrade.candidates import place_of
from nox_envs.upgrade.proven import Proven
from nox_envs.upgrade.work import Work, baseline_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from packaging.requirements import Requirement
    from packaging.utils import NormalizedName
    from packaging.version import Version

    from nox_envs.upgrade.campaign import Campaign
    from nox_envs.upgrade.candidates import Prospect
    from nox_envs.upgrade.column import Column
    from nox_envs.upgrade.quests import BlameQuest, Result

__all__ = ["Findings", "report"]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """An upgrade campaign, and how far it has come."""

    campaign: Campaign
    works: Sequence[Work]
    common: Mapping[str, Version] | None
    """The set that passed on all columns."""


def report(so_far: Findings, header: Mapping[str, Any], *, interrupted: bool) -> UpgradeReport:
    """What is known now."""
    works = so_far.works
    baseline = {work.name: baseline_of(work) for work in works}
    for name in {place.name for place in so_far.campaign.places} - set(baseline):
        reason = so_far.campaign.not_tested.get(name, "")
        if name in so_far.campaign.failed:
            reason = so_far.campaign.failed[name].summary
        baseline[name] = Baseline(outcome=None, reason=reason)
    candidates = _candidates(so_far, interrupted=interrupted)
    common = so_far.common
    if common is None and interrupted and works:
        sets = [work.quest.pins for work in works]
        common = sets[0] if sets[0] and all(one == sets[0] for one in sets) else None
    facts = so_far.campaign.facts(header, _status(so_far, candidates, interrupted=interrupted))
    untold = (one.reason for one in baseline.values() if one.outcome is Outcome.ERROR)
    return UpgradeReport(
        **{**facts, "error": "; ".join(dict.fromkeys(filter(None, [facts["error"], *untold])))},
        baseline={
            place.name: replace(baseline[place.name], may_fail=place.cell.may_fail)
            for place in so_far.campaign.places
        },
        candidates=candidates,
        safe_sets={work.name: _safe_set(work) for work in works if not work.red},
        common=None if common is None else _texts(common),
        common_trials={
            work.name: tuple(work.common) for work in works if so_far.common is not None
        },
        fresh={
            work.name: _fresh(work.fresh, work.fresh_passes)
            for work in works
            if work.fresh is not None
        },
        lines=_lines(so_far),
        instead=_instead(so_far),
        exhausted={work.name: _used_up(work) for work in works if work.exhausted},
        dependencies=max((len(work.bench.column.declared) for work in works), default=0),
        files=_written(so_far),
        words=so_far.campaign.options.steering,
        pinned=any(work.bench.column.is_pinned for work in works),
    )


def _status(so_far: Findings, candidates: Sequence[Candidate], *, interrupted: bool) -> Status:
    if interrupted:
        return "interrupted"
    if so_far.campaign.failed or not so_far.works:
        return "error"
    counted = [work for work in so_far.works if not work.place.cell.may_fail]
    if any(work.red for work in counted):
        outcomes = [work.quest.search.baseline for work in counted if work.red]
        return "baseline-red" if set(outcomes) <= _RED else "error"
    lenient = {work.name for work in so_far.works} - {work.name for work in counted}
    verdicts = {
        judgement.verdict
        for one in candidates
        for cell, judgement in one.verdicts.items()
        if cell not in lenient
    }
    if verdicts & {Verdict.BREAKS, Verdict.CAPPED, Verdict.BLOCKED}:
        return "broken"
    unsettled = verdicts & {Verdict.INCONCLUSIVE, Verdict.FLAKY}
    exhausted = any(work.exhausted for work in counted)
    return "inconclusive" if unsettled or exhausted or so_far.common is None else "ok"


_RED = {Outcome.FAIL, Outcome.TIMEOUT, Outcome.FLAKY}


def _safe_set(work: Work) -> SafeSet:
    proof, passes = work.proof, list(work.passes)
    safe = work.safe or work.quest.pins
    if proof is None and work.quest.search.passes:  # It was interrupted.
        told = [work.quest.results[ask] for ask in work.quest.search.passes]
        proof, passes = told[-1], [one.shown.trial.id for one in told if one.shown]
    moved = dict(proof.moved) if proof else {}
    packages = {
        str(name): str(version or "")
        for name, version in sorted(work.bench.column.current.pins.items())
    }
    changes = {**(proof.shown.trial.changes if proof and proof.shown else {}), **moved}
    for name, (_, new) in changes.items():
        if new is None:
            packages.pop(name, None)
        else:
            packages[name] = new
    return SafeSet(
        pins=_texts(safe),
        trials=tuple(passes),
        packages=dict(sorted(packages.items())),
        moved=moved,
    )


def _fresh(result: Result, passes: Sequence[str]) -> Fresh:
    trial = result.shown.trial if result.shown else None
    failure = trial.failure if trial else None
    return Fresh(
        outcome=result.outcome,
        trial=trial.id if trial else None,
        moved=dict(result.moved),
        reason=failure.exception if failure and failure.exception else result.reason,
        trials=tuple(passes),
    )


def _used_up(work: Work) -> str:
    """Why a column was not tried to its end."""
    return f"--max-trials {work.bench.options.max_trials} were used up"


# -- what to paste


def _lines(so_far: Findings) -> tuple[Line, ...]:
    """What asks for the common set in the user's files; nothing where another tool writes them."""
    pins = {canonicalize_name(name): version for name, version in (so_far.common or {}).items()}
    columns = [work.bench.column for work in so_far.works if work.common]
    if not pins or any(column.is_locked for column in columns):
        return ()
    base = so_far.campaign.places[0].noxfile.path.parent
    edited = [_edited(name, text, columns, pins) for name, text in _declaring(columns, base)]
    if any(one.refusals for one in edited):
        return ()
    found = [Line(place=f"{edit.file}:{edit.line}", before=edit.before, after=edit.after)
             for one in edited for edit in one.edits]  # fmt: skip
    return tuple(dict.fromkeys([*found, *_in_noxfiles(columns, pins)]))


def _instead(so_far: Findings) -> tuple[str, ...]:
    """What to do where `--apply` would only say so: the lock is another tool's to write."""
    pins = {canonicalize_name(name): version for name, version in (so_far.common or {}).items()}
    proven = Proven(pins=pins, environments={})
    columns = [work.bench.column for work in so_far.works] if pins else []
    found = [line for column in columns if column.is_locked and relock.is_kept_elsewhere(column)
             for line in relock.advice(column, proven)]  # fmt: skip
    return tuple(dict.fromkeys(found))


def _written(so_far: Findings) -> tuple[str, ...]:
    """The files that `--apply` edits; none where it cannot edit all that would have to change."""
    columns = [work.bench.column for work in so_far.works]
    places = (place for work in so_far.works for place in work.bench.places)
    files = dict.fromkeys(place.partition(":")[0] for place in places)
    found = [file for file in files if file.endswith((".txt", ".in", ".toml"))]
    base = so_far.campaign.places[0].noxfile.path.parent
    shared = {file for file in found if file.endswith(".toml") and not _has_tables(base / file)}
    pins = {canonicalize_name(name): version for name, version in (so_far.common or {}).items()}
    for name, version in pins.items():
        for each in (each for column in columns for each in column.declared.get(name, ())):
            forbids = not each.requirement.specifier.contains(version, prereleases=True)
            if forbids and each.origin.file in shared:
                return ()
    return tuple(file for file in found if file not in shared)


def _has_tables(path: Path) -> bool:
    """Whether a file declares a project or sessions of the noxfile; others only share some."""
    if path.name == "pyproject.toml":
        return True
    with contextlib.suppress(OSError, ValueError):
        return "nox-envs" in _files.read_toml(path).get("tool", {})
    return False


def _declaring(columns: Sequence[Column], base: Path) -> list[tuple[str, str]]:
    """The files that declare something, relative to the noxfile, and their texts."""
    found = {}
    for column in columns:
        for request in (each for requests in column.declared.values() for each in requests):
            path = base / request.origin.file
            name = os.path.relpath(path.resolve(), base.resolve()).replace(os.sep, "/")
            if name not in found and path.suffix != ".py" and path.is_file():
                with contextlib.suppress(OSError):
                    found[name] = _files.read_exactly(path)
    return list(found.items())


def _edited(
    name: str, text: str, columns: Sequence[Column], pins: Mapping[NormalizedName, Version]
) -> edits.Edited:
    def is_meant(requirement: Requirement) -> bool:
        return any(applies(requirement, column.interpreter.markers) for column in columns)

    if not name.endswith(".toml"):
        return edits.requirement_files({name: text}, pins, applies=is_meant)
    declared = [column.place.declaration for column in columns]
    extras = {extra for one in declared for extra in one.extras}
    groups = {group for one in declared for group in one.groups}
    sessions = {(one.name, key) for one in declared for key in one.asked_in(name)}
    project = any(column.is_its_project(name) for column in columns)
    return edits.pyproject(
        name, text, pins, extras=extras, groups=groups, sessions=sessions, project=project,
        applies=is_meant,
    )  # fmt: skip


def _in_noxfiles(columns: Sequence[Column], pins: Mapping[NormalizedName, Version]) -> list[Line]:
    found = []
    for name, version in pins.items():
        for request in (each for column in columns for each in column.declared.get(name, ())):
            asked = request.requirement
            forbids = not asked.specifier.contains(version, prereleases=True)
            if forbids and request.origin.file.endswith(".py"):
                with contextlib.suppress(ValueError):
                    after = f"{asked.name}{edits.widened(asked, version)}"
                    place = place_of(request.origin)
                    found.append(Line(place=place, before=str(asked), after=after))
    return found


def _texts(pins: Mapping[str, Version]) -> dict[str, str]:
    return {name: str(version) for name, version in sorted(pins.items())}


# -- candidates


def _candidates(so_far: Findings, *, interrupted: bool) -> tuple[Candidate, ...]:
    names = sorted({name for work in so_far.works for name in work.bench.prospects})
    found = []
    for name in names:
        columns = [work for work in so_far.works if name in work.bench.prospects]
        known = [work.bench.prospects[name] for work in columns]
        targets = [one.target for one in known if one.target is not None]
        latest = max((one.latest for one in known if one.latest is not None), default=None)
        target = max(targets, default=None) or latest or known[0].current
        verdicts = {}
        for work in columns:
            judged = _judgement(work, name, interrupted=interrupted)
            if judged is not None:
                verdicts[work.name] = _blamed(work, name, judged)
        for cell, reason in so_far.campaign.not_tested.items():
            verdicts[cell] = Judgement(verdict=Verdict.NOT_TESTED, reason=reason)
        found.append(
            Candidate(
                name=name,
                current=str(min(one.current for one in known)),
                target=str(target),
                latest=str(latest or target),
                verdicts=verdicts,
                places=tuple(dict.fromkeys(place for one in known for place in one.places)),
                lifted=tuple(dict.fromkeys(bound for one in known for bound in one.lifted)),
                unsupported={
                    work.name: work.bench.unsupported[name]
                    for work in so_far.works
                    if name in work.bench.unsupported
                },
            )
        )
    return tuple(found)


def _judgement(work: Work, name: str, *, interrupted: bool) -> Judgement | None:
    """The verdict on a candidate for a column; None where there is none yet."""
    one = work.bench.prospects[name]
    if one.target is None:
        return Judgement(verdict=one.verdict or Verdict.INCONCLUSIVE, reason=one.reason)
    if work.red:
        red = work.quest.search.baseline in _RED
        why = "it fails already with the versions you have"
        if not red:
            why = f"the versions you have could not be tested: {baseline_of(work).reason}"
        return Judgement(verdict=Verdict.INCONCLUSIVE, reason=why)
    if interrupted and name not in work.safe and not work.baseline:
        return None
    version = work.safe.get(name)
    if version == one.target:
        return _safe(work, name, version)
    if version is not None:
        return _capped(work, name, version, one)
    return _rejected(work, name)


def _safe(work: Work, name: str, version: Version) -> Judgement:
    partners = work.quest.search.partners.get(name, frozenset())
    return Judgement(
        verdict=Verdict.SAFE,
        version=str(version),
        reason=work.bench.unsupported.get(name, ""),
        together_with=tuple(sorted(partners)),
        trials=tuple(work.passes),
        unexercised=_unexercised(work, name),
        log=_log(work.proof),
    )


def _capped(work: Work, name: str, version: Version, one: Prospect) -> Judgement:
    reason, failing, log, trials = _why(work, name)
    rejection = work.quest.search.rejected.get(name)
    if rejection is not None and rejection.verdict is Verdict.BLOCKED:
        reason, failing = f"it needs {', '.join(rejection.blocked_by)}, which is left behind", {}
    if not reason:
        reason = f"{one.target} was not proven"
    return Judgement(
        verdict=Verdict.CAPPED,
        version=str(version),
        reason=reason,
        failing=failing,
        trials=(*trials, *(each for each in work.passes if each not in trials)),
        together_with=tuple(sorted(work.quest.search.partners.get(name, frozenset()))),
        unexercised=_unexercised(work, name),
        log=log,
        searched=_searched(work, name),
    )


def _rejected(work: Work, name: str) -> Judgement:
    rejection = work.quest.search.rejected.get(name)
    reason, failing, log, trials = _why(work, name)
    if rejection is None:
        result = _decided(work, name)
        known = work.bench.unresolved.get(name, (Outcome.INFEASIBLE, ""))
        outcome = result.outcome if result else known[0]
        if name in work.unsettled:
            return Judgement(verdict=Verdict.INCONCLUSIVE, reason=work.unsettled[name])
        return Judgement(
            verdict=VERDICTS.get(outcome, Verdict.INFEASIBLE),
            reason=reason or work.refused.get(name, ""),
            failing=failing,
            trials=trials,
            log=log,
        )
    verdict = rejection.verdict
    alone = work.bench.unresolved.get(name)
    if verdict is Verdict.INFEASIBLE and alone is not None:
        verdict, reason = VERDICTS.get(alone[0], verdict), alone[1]
    result = _decided(work, name)
    is_told = result is not None and result.outcome is Outcome.ERROR
    if verdict is Verdict.INCONCLUSIVE and work.exhausted and not is_told:
        reason = _used_up(work)
    return Judgement(
        verdict=verdict,
        reason=reason,
        failing=failing if verdict is Verdict.BREAKS else {},
        together_with=rejection.blocked_by,
        trials=trials,
        log=log,
        searched=_searched(work, name),
    )


def _decided(work: Work, name: str) -> Result | None:
    """What decided about the target of a candidate."""
    rejection = work.quest.search.rejected.get(name)
    if rejection is not None and rejection.ask is not None:
        found = work.quest.results.get(rejection.ask)
        if found is not None:
            return found
    cap = work.caps.get(name)
    if cap is not None and cap.results:
        failed = [v for v, each in cap.results.items() if each.outcome is not Outcome.PASS]
        return cap.results[max(failed)] if failed else None
    return None


def _why(work: Work, name: str) -> tuple[str, Mapping[str, str], str, tuple[str, ...]]:
    """Why the target is not taken: a line, failing tests, the log, and the runs."""
    result = _decided(work, name)
    if result is None or (result.shown is None and name in work.bench.reasons):
        return work.bench.reasons.get(name, ""), {}, "", ()
    trial = result.shown.trial if result.shown else None
    if trial is None:
        return result.reason, {}, "", ()
    failure = trial.failure
    known = work.bench.known_failures
    failing = (
        {test: said for test, said in failure.tests.items() if test not in known} if failure else {}
    )
    reason = failure.exception if failure and failure.exception else trial.reason
    same = [
        each.shown.trial.id
        for each in work.quest.results.values()
        if each.shown is not None and each.shown.trial.lock and each.signature == result.signature
        and dict(each.shown.trial.changes) == dict(trial.changes)
    ]  # fmt: skip
    return reason, failing, trial.log, tuple(dict.fromkeys([*same, trial.id]))


def _searched(work: Work, name: str) -> Literal["", "some", "all"]:
    """How many of the releases between the answer and the target were run."""
    cap = work.caps.get(name)
    if cap is None or not cap.done:
        return ""
    target = work.bench.targets.get(name)
    left = [each for each in cap.above if each not in cap.results and each != target]
    return "some" if left else "all"


# -- what came in with a candidate


def _blamed(work: Work, name: str, judged: Judgement) -> Judgement:
    """The same, with what else is to blame, where that is known."""
    quest = work.blames.get(name)
    if quest is None or not quest.accused:
        return judged
    inner = [one for (of, _), one in work.inner.items() if of == name]
    is_fine = bool(quest.held) or any(one.done and one.best for one in inner)
    is_looked_at = all((name, other) in work.between for other in quest.accused)
    is_known = is_looked_at and all(one.done for one in inner)
    # Of several that moved with it, others might have gone with older ones.
    is_known = is_known and quest.is_alone and len(quest.before) == 1
    if not is_fine and not is_known:
        return judged
    found = tuple(_guilty(work, quest, other) for other in sorted(quest.accused))
    if not is_fine:
        found = tuple(replace(one, requirement="") for one in found)
    what = joined([f"{one.name} {one.after}" for one in found])
    by = joined(list(dict.fromkeys(chain.from_iterable(one.brought_in_by for one in found))))
    add = f"add {joined([one.requirement for one in found])}"
    if not is_fine:
        reason = f"it needs {what}, which {'breaks' if len(found) == 1 else 'break'} you without it"
    elif quest.held and not quest.is_alone:
        reason = f"it breaks only together with {what}: {add}"
    else:
        brought = f", brought in by {by}," if by else ""
        verb = "is" if len(found) == 1 else "are"
        reason = f"{name} is fine; {what}{brought} {verb} not: {add}"
    return replace(judged, reason=reason, culprits=found)


def _guilty(work: Work, quest: BlameQuest, other: str) -> Guilty:
    search, before, after = quest.search, quest.before[other], quest.targets[other]
    guilt = [one for one in search.guilt if other in one.names]
    asks = [ask for one in guilt for ask in (one.shown, *one.absent)]
    told = [quest.results.get(ask) for ask in (*asks, *search.cured)]
    runs = [one.shown for one in told if one]
    versions = work.between.get((quest.name, other), [])
    inner = work.inner.get((quest.name, other))
    best, first_bad = before, None
    if inner is not None and inner.done:
        best = inner.best or before
        first_bad = next(each for each in versions if each > best)
    line = f"{other}{'<=' if before < after else '>='}{before}"
    if first_bad or len(versions) == 2:  # noqa: PLR2004 - nothing between them
        bad = {each for each in versions if each > best}
        line = requirement(other, versions, bad, before)
    return Guilty(
        name=other,
        before=str(before),
        after=str(after),
        declared=canonicalize_name(other) in work.bench.column.declared,
        brought_in_by=work.brought.get((quest.name, other), ()),
        partners=tuple(sorted(frozenset().union(*(one.names for one in guilt)) - {other})),
        evidence=tuple(dict.fromkeys(one.trial.id for one in runs if one)),
        first_bad=str(first_bad) if first_bad else None,
        requirement=line,
    )


def _unexercised(work: Work, name: str) -> bool | None:
    shown = work.proof.shown if work.proof else None
    seen = shown.exercised.get(name) if shown else None
    return None if seen is None else not seen


def _log(result: Result | None) -> str:
    return result.shown.trial.log if result and result.shown else ""
