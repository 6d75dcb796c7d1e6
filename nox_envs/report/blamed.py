"""What was found about two states: which of the packages that changed broke it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from nox_envs.outcome import Outcome
from nox_envs.report import page
from nox_envs.report.columns import folded
from nox_envs.report.document import document
from nox_envs.report.escape import inline, plain
from nox_envs.report.marks import LONGEST
from nox_envs.report.page import Page
from nox_envs.report.paragraphs import Paragraph, kept
from nox_envs.report.view import Commands, View
from nox_envs.report.words import count, ended, joined, moves, number, some

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from nox_envs.report.facts import Blamed, CulpritReport, Guilty

__all__ = ["markdown", "terminal", "to_dict"]


def __dir__() -> list[str]:
    return __all__


_RED = {Outcome.FAIL, Outcome.TIMEOUT}
_MOST_NAMED = 4
_MOST_INNOCENT = 8


def terminal(
    report: CulpritReport, *, commands: Commands | None = None, encoding: str = "utf-8"
) -> str:
    """The block as plain text that `encoding` can hold, with a newline at the end."""
    return page.terminal(_Words(report, plain, commands, innocent=_MOST_INNOCENT).page(), encoding)


def markdown(
    report: CulpritReport, *, commands: Commands | None = None, longest: int = LONGEST
) -> str:
    """The document, with a newline at the end. What does not fit is left out, and it says so."""
    return page.markdown(_Words(report, inline, commands, innocent=None).page(), longest)


def to_dict(report: CulpritReport) -> dict[str, Any]:
    """The document, in a stable order; null at the top level where columns disagree."""
    one = _agreed(report.result)
    return document(
        report,
        "culprit",
        about={"files": list(report.files), "good": report.good, "bad": report.bad},
        answer={
            "culprits": one and [_guilty(each) for each in one.culprits],
            "cure": one and dict(one.cure),
            "result": {name: _blamed(each) for name, each in report.result.items()},
        },
    )


def _blamed(one: Blamed) -> dict[str, Any]:
    return {
        "status": one.status,
        "differing": one.differing,
        "culprits": [_guilty(each) for each in one.culprits],
        "cure": dict(one.cure),
        "innocent": list(one.innocent),
        "doubt": one.doubt,
        "reason": one.reason,
        "failing": dict(one.failing),
        "log": one.log,
    }


def _guilty(one: Guilty) -> dict[str, Any]:
    return {
        "name": one.name,
        "from": one.before,
        "to": one.after,
        "declared": one.declared,
        "brought_in_by": list(one.brought_in_by),
        "partners": list(one.partners),
        "evidence": list(one.evidence),
        "first_bad": one.first_bad,
        "requirement": one.requirement,
        "reason": one.reason,
    }


def _agreed(result: Mapping[str, Blamed]) -> Blamed | None:
    """What all columns say, on the evidence of all of them; None where they differ."""
    if len(folded({name: _answer(one) for name, one in result.items()})) != 1:
        return None
    columns = list(result.values())
    culprits = tuple(
        replace(each[0], evidence=tuple(trial for one in each for trial in one.evidence))
        for each in zip(*(one.culprits for one in columns), strict=True)
    )
    return replace(columns[0], culprits=culprits)


def _answer(one: Blamed) -> tuple[object, ...]:
    """Equal where one answer speaks for both."""
    culprits = tuple(replace(each, evidence=(), reason="") for each in one.culprits)
    why = ("", "") if one.status == "found" else (one.doubt, one.reason)
    return one.status, culprits, tuple(sorted(one.cure.items())), why


class _Words:
    """A report in words."""

    def __init__(
        self,
        report: CulpritReport,
        show: Callable[[str], str],
        commands: Commands | None,
        *,
        innocent: int | None,
    ) -> None:
        """`innocent`: how many of them are named."""
        self.report = report
        self.show = show
        self.view = View(report, show, commands or Commands(), answered=report.result)
        self.groups = folded({name: _answer(one) for name, one in report.result.items()})
        """Columns that have the same answer."""
        self.good, self.bad = show(report.good), show(report.bad)
        self._most_innocent = innocent
        self._session = self.view.commands.culprit or "culprit"

    def page(self) -> Page:
        return Page(
            title=self._title(),
            headline=page.opening(self.view, list(self._headline())),
            asked=page.asked(self.view),
            paragraphs=(
                *(one for names in self.groups for one in self._paragraphs(names)),
                *kept(self.view),
            ),
            last=tuple(self._last()),
            place=self.show(self.report.directory) if self.report.directory else "",
        )

    @property
    def _is_one(self) -> bool:
        """Whether one answer speaks for all columns."""
        return len(self.groups) == 1

    @property
    def _put_first(self) -> bool:
        """Whether the first line says what to write."""
        culprits = self.report.result[self.groups[0][0]].culprits if self._is_one else ()
        return len(culprits) == 1

    # -- the first line

    def _headline(self) -> Iterator[str]:
        stopped = page.unanswered(self.view, self._session)
        if stopped or not self.groups:
            yield stopped or "Cannot tell: nothing was tested."
            return
        for names in self.groups:
            said = self._sentence(names)
            yield said if self._is_one else f"On {self.view.where(names)}: {said}"

    def _sentence(self, names: tuple[str, ...]) -> str:
        one = self.report.result[names[0]]
        where = f"on {self.view.where(names)}"
        said = f"{self.show(one.reason)} {where}" if one.reason else where
        log = f": {self.view.path(one.log)}" if one.log else "."
        match one.status:
            case "found" if one.culprits:
                return self._found(one)
            case "no-failure":
                return (
                    f"Nobody is to blame: {self.bad} passes {where}, too. {self._differing(one)}."
                )
            case "all-bad":
                return f"Cannot tell: the tests fail already with {self.good} ({said}){log}"
            case _ if not one.differing:
                return f"No release is to blame: nothing changed since {self.good} {where}."
            case _ if one.doubt:
                doubt = ended(f"Cannot tell who is to blame {where}: {self.show(one.doubt)}")
                return f"{doubt} {self._differing(one)}."
            case _:
                return f"Cannot tell who is to blame ({said}). {self._differing(one)}."

    def _found(self, one: Blamed) -> str:
        if len(one.culprits) > 1:
            changed = [self._changed(each) for each in one.culprits]
            how = ", but only together" if any(each.partners for each in one.culprits) else ""
            total = number(len(changed)).capitalize()
            named = some(changed, most=_MOST_NAMED)
            return f"{total} of {one.differing} packages that changed break you{how}: {named}."
        (guilty,) = one.culprits
        add = f": add {self.show(guilty.requirement)}" if guilty.requirement else "."
        if self.report.files and guilty.requirement and self._is_one:
            add += f" to {self.view.named(self.report.files)}"
        return f"{self._accused(guilty, one)}{add if self._is_one else '.'}"

    def _accused(self, guilty: Guilty, one: Blamed) -> str:
        """As `requests is fine; urllib3 2.x, brought in by requests>=2.30, is not`."""
        name = self.show(guilty.name)
        if guilty.after is None:
            return f"{name} {self.show(guilty.before or '')} is gone, and that breaks you"
        release = f"{name} {self._release(guilty, guilty.after)}"
        if guilty.partners:
            release += f" (together with {self.view.named(guilty.partners)})"
        if guilty.brought_in_by and not guilty.declared:
            parents = [_named(each) for each in guilty.brought_in_by]
            by = some([self.show(each) for each in guilty.brought_in_by], most=_MOST_NAMED)
            if not one.cure.keys().isdisjoint(map(canonicalize_name, parents)):
                return f"{release}, brought in by {by}, breaks you"
            verb = "is" if len(parents) == 1 else "are"
            fine = f"{some([self.show(each) for each in parents], most=_MOST_NAMED)} {verb} fine"
            return f"{fine}; {release}, brought in by {by}, is not"
        if guilty.before is None:
            return f"{release} is new, and it breaks you"
        return f"{release} breaks you, {self.show(guilty.before)} does not"

    def _release(self, guilty: Guilty, after: str) -> str:
        """`2.x` where the whole series is left out."""
        major = after.partition(".")[0]
        is_series = guilty.requirement == f"{guilty.name}<{major}" and major.isdecimal()
        return f"{major}.x" if is_series else self.show(after)

    def _differing(self, one: Blamed) -> str:
        return f"{count(one.differing, 'package')} changed since {self.good}"

    def _changed(self, guilty: Guilty) -> str:
        return moves({guilty.name: (guilty.before, guilty.after)}, self.show)[0]

    def _title(self) -> str:
        if self.report.status == "interrupted":
            return "Culprit: interrupted"
        kinds = {self.report.result[names[0]].status for names in self.groups}
        if kinds == {"no-failure"}:
            return "Culprit: nobody"
        if self.report.error or "found" not in kinds:
            return "Culprit: cannot tell"
        found = [guilty for one in self.report.result.values() for guilty in one.culprits]
        names = list(dict.fromkeys(self._changed(guilty) for guilty in found))
        noun = "Culprit" if len(names) == 1 else "Culprits"
        return f"{noun}: {some(names, most=_MOST_NAMED)}"

    # -- what follows

    def _paragraphs(self, names: tuple[str, ...]) -> Iterator[Paragraph]:
        one = self.report.result[names[0]]
        on = "" if self._is_one else f" on {self.view.where(names)}"
        for place, guilty in enumerate(one.culprits):
            yield self._about(one, guilty, names, is_first=not place)
        if one.culprits:
            yield from self._cure(one, on)
        elif one.failing:
            verb = "fails" if len(one.failing) == 1 else "fail"
            head = f"{count(len(one.failing), 'test')} {verb}{on}"
            yield Paragraph(head=head, rest=".", tests=one.failing, log=self.view.path(one.log))
        elif one.doubt and one.reason:
            rest = ended(f": {self.show(one.reason)}")
            log = self.view.path(one.log)
            yield Paragraph(head=f"{self.bad} fails{on}", rest=rest, tests={}, log=log)
        if one.status == "inconclusive" and one.differing:
            yield self._next(one, names)
        shown = [self.show(each) for each in one.innocent]
        listed = some(shown, most=self._most_innocent or len(shown))
        if one.status == "found":
            head = f"{self._differing(one)}{on}"
            innocent = ", and ".join(filter(None, [listed, _undeclared(one)]))
            rest = f"; innocent: {innocent}." if innocent else "."
            yield Paragraph(head=head, rest=rest, tests={})
        elif shown:
            yield Paragraph(head=f"Changed and innocent{on}", rest=f": {listed}.", tests={})

    def _next(self, one: Blamed, names: tuple[str, ...]) -> Paragraph:
        """Where to look, though nobody is proven to be guilty."""
        on = "" if self._is_one else f" on {self.view.where(names)}"
        red = [
            trial for trial in self.report.trials
            if trial.cell in names and trial.outcome in _RED and 0 < len(trial.changes) < one.differing
        ]  # fmt: skip
        least = min(red, key=lambda trial: len(trial.changes), default=None)
        if least is None or len(least.changes) > _MOST_NAMED:
            command = self.view.command(self._session, "--good", "STATE")
            head = f"A later state that worked leaves less to look at{on}"
            return Paragraph(head=head, rest=f": {command}", tests={})
        reason = least.failure.exception if least.failure else least.reason
        changed = joined(moves(least.changes, self.show))
        alone = "alone" if len(least.changes) == 1 else "and nothing else"
        command = ""
        for name, (before, after) in least.changes.items() if len(least.changes) == 1 else ():
            command = self._bisect(name, before, after, names)
        return Paragraph(
            head=f"It fails{on} with {changed} {alone}",
            rest=ended(f" ({self.show(least.id)}){f': {self.show(reason)}' if reason else ''}"),
            tests={},
            log=self.view.path(least.log),
            lines=(f"Which release did it?   {command}",) if command else (),
            trials=(least.id,),
        )

    def _bisect(
        self, name: str, before: str | None, after: str | None, names: tuple[str, ...]
    ) -> str:
        """How to find the release between two; empty where a bisection cannot look for it.

        It takes the present release for the good one, and the newest for the bad one.
        """
        if not self.view.commands.bisect or before is None or after is None:
            return ""
        try:
            is_newer, is_stable = Version(before) < Version(after), not Version(after).is_prerelease
        except InvalidVersion:
            return ""
        if not is_newer:
            return ""
        words = [name, "--good", before]
        if not is_stable or self.report.bad.partition(" ")[0] != "now":
            words += ["--bad", after]
        if not self._is_one:
            words += [word for column in names for word in ("--only", column)]
        return self.view.command(self.view.commands.bisect, *words)

    def _about(
        self, one: Blamed, guilty: Guilty, names: tuple[str, ...], *, is_first: bool
    ) -> Paragraph:
        on = "" if self._is_one else f" on {self.view.where(names)}"
        what = self._changed(guilty)
        reason = guilty.reason or ("" if one.failing or not is_first else one.reason)
        why = f": {self.show(reason)}" if reason else ""
        tests = one.failing if is_first else {}
        head = f"{what} breaks {count(len(tests), 'test') if tests else 'you'}{on}"
        lines = []
        if guilty.partners:
            lines.append(f"Only together with {self.view.named(guilty.partners)}.")
        if guilty.first_bad:
            lines.append(f"The first bad release is {self.show(guilty.first_bad)}.")
        elif command := self._bisect(guilty.name, guilty.before, guilty.after, names):
            lines.append(f"Which release did it?   {command}")
        if guilty.evidence:
            lines.append(f"Proven by {self._evidence(guilty)}.")
        return Paragraph(
            head=head,
            rest=ended(why) if why else ".",
            tests=tests,
            log=self.view.path(one.log) if is_first else "",
            lines=tuple(lines),
            trials=guilty.evidence,
        )

    def _evidence(self, guilty: Guilty) -> str:
        """As `t4 (fail) and t7 (pass)`."""
        outcomes = {trial.id: str(trial.outcome) for trial in self.report.trials}
        said = [
            f"{self.show(one)} ({outcomes[one]})" if one in outcomes else self.show(one)
            for one in guilty.evidence
        ]
        return some(said, most=_MOST_NAMED)

    def _cure(self, one: Blamed, on: str) -> Iterator[Paragraph]:
        """Where not exactly the guilty ones have to go back."""
        if not one.cure or set(one.cure) == {guilty.name for guilty in one.culprits}:
            return
        back = [
            f"{self.show(name)} {self.show(version)}" if version else f"no {self.show(name)}"
            for name, version in sorted(one.cure.items())
        ]
        head = f"It passes again{on} with"
        yield Paragraph(head=head, rest=f" {some(back, most=_MOST_INNOCENT)}.", tests={})

    def _last(self) -> Iterator[str]:
        """The requirements to write, where the first line does not say it."""
        if self.report.status in {"interrupted", "error"} or self._put_first:
            return
        found = {
            names: tuple(
                guilty.requirement
                for guilty in _curing(self.report.result[names[0]])
                if guilty.requirement
            )
            for names in self.groups
        }
        where = f" in {self.view.named(self.report.files)}" if self.report.files else ""
        for names, requirements in found.items():
            on = "" if self._is_one else f" on {self.view.where(names)}"
            if requirements:
                listed = joined([self.show(one) for one in requirements])
                yield f"Until then{where and ','}{where}{on}:   {listed}"


def _curing(one: Blamed) -> list[Guilty]:
    """The guilty ones whose requirements are enough: of two that need each other, one is."""
    return [guilty for guilty in one.culprits if guilty.name in one.cure] or list(one.culprits)


def _undeclared(one: Blamed) -> str:
    """As `3 that nobody declares`: what changed, does not go back, and breaks nothing."""
    guilty = {guilty.name for guilty in one.culprits}
    others = one.differing - len(guilty | one.cure.keys()) - len(one.innocent)
    return f"{others} that nobody declares" if one.cure and others > 0 else ""


def _named(requirement: str) -> str:
    """`requests` of `requests>=2.30`."""
    for place, char in enumerate(requirement):
        if not (char.isalnum() or char in "._-"):
            return requirement[:place].rstrip()
    return requirement
