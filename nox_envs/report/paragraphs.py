"""The paragraphs below the table: one for each thing that needs a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nox_envs.outcome import Outcome, Verdict
from nox_envs.report.columns import folded
from nox_envs.report.headline import blocking, lenient, why_red
from nox_envs.report.words import count, ended, joined, moves, some

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nox_envs.report.facts import Candidate, Judgement, Report
    from nox_envs.report.view import UpgradeView, View


__all__ = ["Paragraph", "failing_before", "kept", "paragraphs"]


def __dir__() -> list[str]:
    return __all__


_MOST_MOVES = 4

_GROUPED = {
    Verdict.HELD: "Held, as you asked",
    Verdict.WAITING: "Too young to be tried (cooldown)",
    Verdict.INCONCLUSIVE: "Could not be tested",
}
"""Verdicts that need no sentence for each candidate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """One thing that needs a person."""

    head: str
    rest: str
    """The end of the first line, with the punctuation that it begins with."""
    tests: Mapping[str, str]
    """What each failing test says, as it is: not escaped."""
    log: str = ""
    """Where more of it stands."""
    lines: tuple[str, ...] = ()
    trials: tuple[str, ...] = ()
    excerpt: str = ""
    """The lines of the log that show it, as they are: not escaped."""


def paragraphs(view: UpgradeView) -> list[Paragraph]:
    """All of them, those about what is not taken first."""
    candidates = sorted(view.report.candidates, key=lambda one: one.name in view.common)
    said = [one for candidate in candidates for one in _about(view, candidate)]
    for verdict, words in _GROUPED.items():
        said += _grouped(view, verdict, words)
    return [*said, *_cut_short(view), *_no_answers(view), *failing_before(view, "the upgrades were"), *_afresh(view),
            *_lifted(view), *kept(view)]  # fmt: skip


def _about(view: UpgradeView, candidate: Candidate) -> list[Paragraph]:
    """One paragraph for each kind of trouble that it makes."""
    trouble = {
        name: one
        for name, one in candidate.verdicts.items()
        if one.verdict not in {Verdict.SAFE, Verdict.NOT_TESTED, *_GROUPED}
    }
    groups = folded({name: _trouble(one) for name, one in trouble.items()})
    said = [_paragraph(view, candidate, names, trouble[names[0]]) for names in groups]
    ended_early = view.report.status == "interrupted"
    safe = view.kind(candidate) is Verdict.SAFE
    if not said and candidate in view.left and safe and not ended_early:
        what = f"{view.show(candidate.name)} {view.show(candidate.target)}"
        rest = ", but no release of it passed on all columns together with the others."
        if candidate.unsupported:
            why = joined(list(map(view.show, dict.fromkeys(candidate.unsupported.values()))))
            rest = f", but {why}."
        said.append(Paragraph(head=f"{what} passes", rest=rest, tests={}))
    return said


def _paragraph(
    view: UpgradeView, candidate: Candidate, names: tuple[str, ...], judgement: Judgement
) -> Paragraph:
    head, rest = _sentence(view, candidate, names, judgement)
    lines: tuple[str, ...] = ()
    if judgement.verdict is Verdict.BREAKS and view.commands.bisect:
        command = view.command(view.commands.bisect, candidate.name)
        lines = (f"Which release did it?   {command}",)
    return Paragraph(
        head=head,
        rest=rest,
        tests=judgement.failing,
        log=view.path(judgement.log),
        lines=lines,
        trials=judgement.trials,
    )


def _sentence(
    view: UpgradeView, candidate: Candidate, names: tuple[str, ...], judgement: Judgement
) -> tuple[str, str]:
    what = f"{view.show(candidate.name)} {view.show(candidate.target)}"
    on = view.on(names)
    why = ended(f": {view.show(judgement.reason)}") if judgement.reason else "."
    match judgement.verdict:
        case Verdict.BREAKS:
            head, because = _breaks(view, what, on, judgement)
            return head, f"{because}. {_nothing_newer(view, candidate, judgement, on)}".rstrip()
        case Verdict.CAPPED:
            head, because = _breaks(view, what, on, judgement)
            if not judgement.failing:
                head = f"{what} does not pass{on}"
            return head, f"{because}; {_capped(view, candidate)}"
        case Verdict.INFEASIBLE:
            return f"{what} cannot be resolved{on}", why
        case Verdict.UNBUILDABLE:
            return f"{what} cannot be built{on}", why
        case Verdict.FLAKY:
            return f"{what} cannot be judged{on}, equal runs disagreed", why
        case Verdict.BLOCKED:
            needed = view.named(judgement.together_with)
            return f"{what} needs {needed or 'another'}, which is left out{on}", why
        case _:
            return f"{what} is {judgement.verdict}{on}", why


def _breaks(view: UpgradeView, what: str, on: str, judgement: Judgement) -> tuple[str, str]:
    """The statement, and its reason where no test tells."""
    if judgement.failing:
        return f"{what} breaks {count(len(judgement.failing), 'test')}{on}", ""
    told = judgement.reason and not judgement.culprits  # It stands in the table.
    because = f": {view.show(judgement.reason)}" if told else ""
    return f"{what} breaks your tests{on}", because


def _nothing_newer(view: UpgradeView, candidate: Candidate, judgement: Judgement, on: str) -> str:
    there = " there" if on else ""
    if judgement.version not in {None, candidate.current}:
        return f"{view.show(judgement.version or '')} passes{there}."
    if not judgement.searched:
        return ""
    passes = "passes" if judgement.searched == "all" else "was found to pass"
    return f"Nothing newer than your {view.show(candidate.current)} {passes}{there}."


def _capped(view: UpgradeView, candidate: Candidate) -> str:
    """As `2.2.3 is the latest that passes on both`."""
    highest: dict[str, str] = {
        name: one.version
        for name, one in candidate.verdicts.items()
        if one.version is not None and one.verdict in {Verdict.SAFE, Verdict.CAPPED}
    }
    judged = [one for one in candidate.verdicts.values() if one.verdict is Verdict.CAPPED]
    latest = "the latest that passes"
    if any(one.searched != "all" for one in judged):
        latest = "the latest found to pass"
    take = view.common.get(candidate.name)
    apart = [
        f"{view.show(highest[names[0]])} on {view.where(names)}"
        for names in folded(highest)
        if take is None or highest[names[0]] not in {take, candidate.target}
    ]
    if take is None:
        return f"{latest} is {joined(apart)}, and none was found that passes everywhere."
    total = len(view.tested)
    everywhere = "" if total == 1 else " on both" if total == 2 else f" on all {total}"  # noqa: PLR2004
    more = f" ({joined(apart)})" if apart else ""
    return f"{view.show(take)} is {latest}{everywhere}{more}."


def _grouped(view: UpgradeView, verdict: Verdict, words: str) -> list[Paragraph]:
    said: dict[str, list[str]] = {}
    for candidate in view.report.candidates:
        names = view.judged(candidate, verdict)
        if names:
            reason = candidate.verdicts[names[0]].reason
            version = candidate.target if verdict is Verdict.INCONCLUSIVE else candidate.latest
            release = f"{view.show(candidate.name)} {view.show(version)}"
            said.setdefault(reason, []).append(f"{release}{view.on(names)}")
    return [
        Paragraph(
            head=words,
            rest=ended(f": {joined(releases)}" + (f" ({view.show(reason)})" if reason else "")),
            tests={},
        )
        for reason, releases in said.items()
    ]


def _no_answers(view: UpgradeView) -> list[Paragraph]:
    """Columns that are red, but for the one that the first line speaks of."""
    told = not view.is_answered and view.report.status != "interrupted" and not view.report.error
    first = blocking(view) if told else ()
    may_fail = lenient(view)
    return [
        Paragraph(
            head=f"No answer for {view.where(names)}"
            f"{', which may fail' if may_fail.issuperset(names) else ''}",
            rest=f": {why_red(view, names)}",
            tests={},
        )
        for names in view.red_groups
        if names != first
    ]


def _cut_short(view: UpgradeView) -> list[Paragraph]:
    """Columns that were not tried to their end, where no verdict says so."""
    silent = {
        name: why
        for name, why in view.report.exhausted.items()
        if all(name not in one.verdicts or one.verdicts[name].reason != why
               for one in view.report.candidates)
    }  # fmt: skip
    return [
        Paragraph(
            head=f"{view.show(silent[names[0]])}{view.on(names)}",
            rest=": not all of it was tried.",
            tests={},
        )
        for names in folded(silent)
    ]


def failing_before(view: View[Report], judged: str) -> list[Paragraph]:
    """The tests that fail already, and so were left out of account; `judged` is a subject."""
    known = {
        name: base.known_failures
        for name, base in view.report.baseline.items()
        if base.known_failures
    }
    return [
        Paragraph(
            head=f"{_fail_already(known[names[0]])}{view.on(names)}",
            rest=f"; {judged} judged by the others.",
            tests=dict.fromkeys(known[names[0]], ""),
            log=view.path(view.report.baseline[names[0]].log),
        )
        for names in folded(known)
    ]


def _fail_already(tests: Sequence[str]) -> str:
    verb = "fails" if len(tests) == 1 else "fail"
    return f"{count(len(tests), 'test')} {verb} already with the versions you have"


def _afresh(view: UpgradeView) -> list[Paragraph]:
    """Where a new user would get something else than what was proven."""
    bad = {
        name: (one.outcome, tuple(moves(one.moved, view.show)), one.reason)
        for name, one in view.report.fresh.items()
        if one.outcome is not Outcome.PASS
    }
    said = []
    for names in folded(bad):
        outcome, moved, reason = bad[names[0]]
        fails = outcome is Outcome.FAIL
        what = "it fails" if fails else f"it could not be judged ({outcome})"
        verb = "comes in" if len(moved) == 1 else "come in"
        why = f": {some(moved, most=_MOST_MOVES)} {verb}" if moved else ""
        if reason and not (fails and moved):
            why = f": {view.show(reason)}"
        head = f"Resolved afresh {what}{view.on(names)}"
        said.append(Paragraph(head=head, rest=ended(why), tests={}))
    return said


def _lifted(view: UpgradeView) -> list[Paragraph]:
    candidates = view.report.candidates
    bounds = list(dict.fromkeys(bound for one in candidates for bound in one.lifted))
    if not bounds:
        return []
    which = "This bound of yours was" if len(bounds) == 1 else "These bounds of yours were"
    lines = tuple(view.show(bound) for bound in bounds)
    return [Paragraph(head=f"{which} lifted to ask", rest=":", tests={}, lines=lines)]


def kept(view: View[Report]) -> list[Paragraph]:
    """How to look inside what was kept; none where nothing was."""
    trials = {trial.id: trial for trial in view.report.trials}
    lines = []
    for name, command in view.report.kept.items():
        trial = trials.get(name)
        what = f" ({view.show(trial.cell)}, {trial.outcome})" if trial else ""
        lines.append(f"{view.show(name)}{what}   {view.show(command)}")
    what = "Kept to look inside"
    return [Paragraph(head=what, rest=":", tests={}, lines=tuple(lines))] if lines else []


def _trouble(judgement: Judgement) -> tuple[object, ...]:
    """Equal where one sentence speaks for both."""
    failing = tuple(sorted(judgement.failing))
    told_by_tests = judgement.verdict in {Verdict.BREAKS, Verdict.CAPPED} and failing
    reason = "" if told_by_tests else judgement.reason
    version = judgement.version if judgement.verdict is Verdict.BREAKS else None
    return judgement.verdict, failing, reason, version, judgement.together_with
