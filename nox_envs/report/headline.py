"""The first line, which answers the question, and the first lines of a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nox_envs.outcome import Outcome, Verdict
from nox_envs.report.columns import folded
from nox_envs.report.escape import code
from nox_envs.report.words import count, ended, joined, number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nox_envs.report.facts import Candidate, Report
    from nox_envs.report.view import UpgradeView, View


__all__ = ["blocking", "body", "gaps", "headline", "lenient", "title", "why_red"]


def __dir__() -> list[str]:
    return __all__


_MOST_KINDS = 3

_WHY_NOT: Mapping[Verdict, tuple[str, str]] = {
    Verdict.BREAKS: ("breaks you", "break you"),
    Verdict.CAPPED: (
        "has no release that passes everywhere",
        "have no release that passes everywhere",
    ),
    Verdict.INFEASIBLE: ("cannot be resolved", "cannot be resolved"),
    Verdict.UNBUILDABLE: ("cannot be built", "cannot be built"),
    Verdict.BLOCKED: ("needs one that was rejected", "need one that was rejected"),
    Verdict.FLAKY: ("is flaky", "are flaky"),
    Verdict.INCONCLUSIVE: ("could not be tested", "could not be tested"),
    Verdict.WAITING: ("is too young", "are too young"),
    Verdict.HELD: ("is held", "are held"),
    Verdict.NOT_TESTED: ("was not tested", "were not tested"),
    Verdict.SAFE: ("passes, but not everywhere", "pass, but not everywhere"),
}
"""Why a candidate is not taken, for one and for several."""

_RED: Mapping[Outcome, str] = {
    Outcome.FAIL: "the tests fail already with the versions you have",
    Outcome.FLAKY: "the tests are flaky already with the versions you have",
    Outcome.TIMEOUT: "the tests time out already with the versions you have",
    Outcome.INFEASIBLE: "the versions you have cannot be resolved",
    Outcome.UNBUILDABLE: "the versions you have cannot be built",
    Outcome.ERROR: "the versions you have could not be tested",
}


def headline(view: UpgradeView) -> str:
    """The answer, and what it does not speak of."""
    answer, missing = _answer(view), gaps(view)
    # What ends in a path or a command stays as it can be copied.
    return " ".join([answer, *missing]) if answer.endswith(".") else "\n".join([answer, *missing])


def _answer(view: UpgradeView) -> str:
    if view.report.status == "interrupted":
        return _interrupted(view)
    if not view.is_answered:
        return _cannot_tell(view)
    if not view.outdated:
        return _nothing_to_do(view)
    return _upgrades(view) if view.taken else _none(view)


def _interrupted(view: UpgradeView) -> str:
    asked, passed = len(view.outdated), len(view.taken)
    so_far = f"{passed} of {asked} have passed together so far."
    if passed == 1:
        so_far = f"1 of {asked} has passed so far."
    if not passed:
        so_far = "No newer release has passed so far."
    trials = len(view.report.trials)
    when = f"after {count(trials, 'trial')}" if trials else "at the start"
    words = [f"Interrupted {when}."]
    words += [so_far] if asked and trials else []
    return " ".join([*words, f"Go on: {view.command(view.commands.upgrade, '--resume')}"])


def _cannot_tell(view: UpgradeView) -> str:
    if view.report.error:
        return ended(f"Cannot tell: {view.show(view.report.error)}")
    if red := blocking(view):
        return f"Cannot tell: {why_red(view, red)}"
    reasons = [reason for one in view.outdated if (reason := _doubt(one))]
    if reasons:
        total = f"{len(reasons)} of {count(len(view.outdated), 'newer release')}"
        return ended(f"Cannot tell: {total} could not be tested: {view.show(reasons[0])}")
    if not view.tested:
        return "Cannot tell: nothing was tested."
    if view.report.exhausted:
        why = view.show(next(iter(view.report.exhausted.values())))
        return f"Cannot tell: {why} before one set had passed everywhere."
    return "Cannot tell: no set was run to its end."


def _doubt(candidate: Candidate) -> str:
    for judgement in candidate.verdicts.values():
        if judgement.verdict is Verdict.INCONCLUSIVE:
            return judgement.reason or "the reason is not known"
    return ""


def lenient(view: View[Report]) -> frozenset[str]:
    """The columns that may fail."""
    return frozenset(name for name, base in view.report.baseline.items() if base.may_fail)


def blocking(view: View[Report]) -> tuple[str, ...]:
    """Columns that are red, and for whose sake there is no answer; empty where there are none."""
    groups = view.red_groups
    return next((names for names in groups if not lenient(view).issuperset(names)), ())


def why_red(view: View[Report], names: tuple[str, ...]) -> str:
    """Why these columns have no answer, as `the tests fail already ... (exit 1 on 3.11): LOG`."""
    base = view.red[names[0]]
    what = _RED[base.outcome or Outcome.ERROR]
    where = f"on {view.where(names)}"
    said = f"{view.show(base.reason)} {where}" if base.reason else where
    return f"{what} ({said}): {view.path(base.log)}" if base.log else f"{what} ({said})."


def _nothing_to_do(view: UpgradeView) -> str:
    asked = view.report.candidates
    total = view.report.dependencies
    if asked:
        what = f"{view.named(one.name for one in asked)} "
        what += "is at its latest release" if len(asked) == 1 else "are at their latest release"
    elif total == 1:
        what = "your 1 dependency is at its latest release"
    else:
        what = f"all {total} dependencies are at their latest release"
    if not asked and not total:
        return "Nothing to upgrade: no dependency is declared."
    passed = [view.report.baseline.get(name) for name in view.tested]
    if passed and all(base and base.outcome is Outcome.PASS for base in passed):
        what += ", and the tests pass"
    hint = ""
    if view.commands.floors and not view.report.pinned:
        hint = f" Lower bounds are another question: {view.command(view.commands.floors)}"
    return f"Nothing to upgrade: {what}.{hint}"


def _upgrades(view: UpgradeView) -> str:
    moved, asked = len(view.taken), len(view.outdated)
    together = ", together" if moved > 1 else ""
    everything = "both" if asked == 2 else f"all {asked}"  # noqa: PLR2004
    what = f"{moved} of {asked}" if moved < asked else everything
    subject = "that exact set" if moved > 1 else "it"
    if asked == 1:
        what = "your 1 outdated dependency"
    capped = [one for one in view.taken if view.common[one.name] != one.target]
    words = [f"You can upgrade {what} today{together}: {_proof(view, subject)}"]
    if moved == asked and capped:
        verb = "does" if len(capped) == 1 else "do"
        which = "It" if asked == 1 else number(len(capped)).capitalize()
        words.append(f"{which} {verb} not go to the latest release.")
    words += [_left(view)] if view.left else []
    return " ".join(words)


def _proof(view: UpgradeView, subject: str) -> str:
    """As `that exact set passed twice on 3.11 and 3.12`."""
    if not view.proven:
        return f"{subject} was not run."
    runs = min(len(view.report.common_trials[name]) for name in view.proven)
    often = "" if runs == 1 else " twice" if runs == 2 else f" {runs} times"  # noqa: PLR2004
    but = f", apart from {count(len(view.known), 'test')} that failed before"
    said = f"{subject} passed{often} on {view.where(view.proven)}{but if view.known else ''}."
    return " ".join([said, *_not_run(view)])


def _not_run(view: UpgradeView) -> list[str]:
    may_fail = lenient(view)
    others = [name for name in view.not_asked if name not in may_fail]
    said = [f"It was not run on {view.where(others)}."] if others else []
    left = [name for name in view.not_asked if name in may_fail]
    return [*said, *([f"It was not run on {view.where(left)}, which may fail."] if left else [])]


def _left(view: UpgradeView) -> str:
    """As `Two break you and one is held`."""
    kinds: dict[Verdict, int] = {}
    for candidate in view.left:
        kind = view.kind(candidate)
        kinds[kind] = kinds.get(kind, 0) + 1
    said = [
        f"{number(kinds[kind])} {words[kinds[kind] > 1]}"
        for kind, words in _WHY_NOT.items()
        if kind in kinds
    ]
    if len(said) > _MOST_KINDS:
        others = len(view.left) - kinds.get(Verdict.BREAKS, 0)
        said = said[:1] if Verdict.BREAKS in kinds else []
        said.append(f"{number(others)} {'more ' if said else ''}must wait")
    sentence = joined(said)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _none(view: UpgradeView) -> str:
    only = view.outdated[0]
    breaking = all(view.kind(one) is Verdict.BREAKS for one in view.left)
    if len(view.outdated) == 1:
        is_release = view.kind(only) is not Verdict.CAPPED
        what = f"{view.show(only.name)}{f' {view.show(only.target)}' if is_release else ''}"
        why = _left(view)[len("One ") : -1]
        if breaking:
            why = f"does not pass on {view.where(view.judged(only, Verdict.BREAKS))}"
        return f"You cannot upgrade your 1 outdated dependency today: {what} {why}."
    if breaking:
        where = view.where(view.tested)
        return f"None of the {len(view.outdated)} newer releases passes on {where}."
    left = _left(view)
    return f"You can upgrade none of {len(view.outdated)} today: {left[0].lower()}{left[1:]}"


def gaps(view: View[Report]) -> list[str]:
    """What the answer does not speak of, as `3.14 was not tested: not on this machine`."""
    said = []
    for names in folded(view.untested):
        verb = "was" if len(names) == 1 else "were"
        reason = view.untested[names[0]]
        why = f": {view.show(reason)}" if reason else ""
        said.append(ended(f"{view.where(names)} {verb} not tested{why}"))
    return said


def title(view: UpgradeView) -> str:
    """Fit for the title of a pull request."""
    if view.report.status == "interrupted":
        return "Upgrade: interrupted"
    if not view.is_answered:
        return "Upgrade: cannot tell"
    if not view.outdated:
        return "Nothing to upgrade"
    named = view.named(one.name for one in view.left)
    waits = named if 0 < len(view.left) <= 2 else str(len(view.left))  # noqa: PLR2004
    waiting = f" ({waits} must wait)" if view.left else ""
    moved, asked = len(view.taken), len(view.outdated)
    if not moved:
        return f"Nothing to upgrade today{waiting}"
    if moved == 1:
        one = view.taken[0]
        return f"Upgrade {view.show(one.name)} to {view.show(view.common[one.name])}{waiting}"
    return f"Upgrade {f'{moved} of ' if view.left else ''}{asked} dependencies{waiting}"


def body(view: UpgradeView) -> str:
    """What a pull request says below its title, as Markdown."""
    if not view.taken or not view.proven or not view.is_answered:
        return headline(view)
    sessions = joined([code(one) for one in view.report.sessions])
    what = f"{sessions} on Python" if view.columns.are_pythons else f"{sessions} on"
    facts = [f"That exact set passed {what} {view.where(view.proven)}"]
    facts += [view.report.started[:10], count(len(view.report.trials), "trial")]
    return " ".join([f"{', '.join(facts)}.", *_untested(view)])


def _untested(view: UpgradeView) -> list[str]:
    said = [*gaps(view), *_not_run(view)]
    if view.red:
        said.append(f"There is no answer for {view.where(view.red)}.")
    if view.known:
        said.append(f"{count(len(view.known), 'test')} failed before, too.")
    unused = [one.name for one in view.taken if view.unexercised(one)]
    if unused:
        verb = "is" if len(unused) == 1 else "are"
        said.append(f"{view.named(unused)} {verb} never imported by the tests.")
    return said or ["Nothing here is untested."]
