"""What a bisection found: which release of a package is the first that breaks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nox_envs.outcome import Outcome
from nox_envs.report import page
from nox_envs.report.columns import folded
from nox_envs.report.document import changes, document
from nox_envs.report.drawn import drawing
from nox_envs.report.escape import inline, plain
from nox_envs.report.marks import LONGEST
from nox_envs.report.page import Drawing, Page
from nox_envs.report.paragraphs import Paragraph, kept
from nox_envs.report.view import Commands, View
from nox_envs.report.words import count, ended, moves, some

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from nox_envs.report.facts import Bisected, BisectReport

__all__ = ["markdown", "needs_a_name", "terminal", "to_dict"]


def __dir__() -> list[str]:
    return __all__


_MOST_NAMED = 4


def terminal(
    report: BisectReport, *, commands: Commands | None = None, encoding: str = "utf-8"
) -> str:
    """The block as plain text that `encoding` can hold, with a newline at the end."""
    return page.terminal(_Words(report, plain, commands).page(), encoding)


def markdown(
    report: BisectReport, *, commands: Commands | None = None, longest: int = LONGEST
) -> str:
    """The document, with a newline at the end. What does not fit is left out, and it says so."""
    return page.markdown(_Words(report, inline, commands).page(), longest)


def to_dict(report: BisectReport) -> dict[str, Any]:
    """The document, in a stable order."""
    return document(
        report,
        "bisect",
        about={"files": list(report.files), "package": report.package},
        answer={"result": {name: _bisected(one) for name, one in report.result.items()}},
    )


def needs_a_name(breaking: Sequence[str], *, commands: Commands | None = None) -> str:
    """What to say where no package was named; `breaking` are those of the last upgrade."""
    known = commands or Commands()
    said = f"bisect needs a package: {known.called.line(known.bisect or 'bisect', 'NAME')}"
    if not breaking:
        return said
    names = ", ".join(plain(name) for name in breaking)
    return f"{said}. The last upgrade run found these breaking: {names}."


def _bisected(one: Bisected) -> dict[str, Any]:
    newest = one.newest
    return {
        "status": one.status,
        "current": one.current,
        "last_good": one.last_good,
        "first_bad": one.first_bad,
        "unknown": list(one.unknown),
        "bad_ranges": [list(ends) for ends in one.bad_ranges],
        "fixed_in": one.fixed_in,
        "newest": newest
        and {
            "version": newest.version,
            "outcome": str(newest.outcome),
            "same_signature": newest.same_signature,
        },
        "another_since": _since(one),
        "requirement": one.requirement,
        "releases": list(one.releases),
        "tested": dict(one.tested),
        "dates": dict(one.dates),
        "moved": changes(one.moved),
        "blame": one.blame or None,
        "reason": one.reason,
        "failing": dict(one.failing),
        "log": one.log,
        "trials": list(one.trials),
    }


class _Words:
    """A report in words."""

    def __init__(
        self, report: BisectReport, show: Callable[[str], str], commands: Commands | None
    ) -> None:
        self.report = report
        self.show = show
        self.view = View(report, show, commands or Commands(), answered=report.result)
        self.name = show(report.package)
        self.groups = folded({name: _answer(one) for name, one in report.result.items()})
        """Columns that have the same answer."""
        self.session = self.view.commands.bisect or "bisect"

    def page(self) -> Page:
        return Page(
            title=self._title(),
            headline=page.opening(self.view, list(self._headline())),
            asked=page.asked(self.view),
            drawings=tuple(self._drawings()),
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

    def _of(self, names: tuple[str, ...]) -> Bisected:
        """The answer of some columns: what was seen of a release on any of them counts."""
        first = self.report.result[names[0]]
        tested = {
            release: seen
            for name in reversed(names)
            for release, seen in self.report.result[name].tested.items()
        }
        return replace(first, tested={**tested, **first.tested})

    # -- the first line

    def _headline(self) -> Iterator[str]:
        stopped = page.unanswered(self.view, self.session)
        if stopped or not self.groups:
            yield stopped or "Cannot tell: nothing was tested."
            return
        for names in self.groups:
            said = self._sentence(names)
            yield said if self._is_one else f"On {self.view.where(names)}: {said}"

    def _sentence(self, names: tuple[str, ...]) -> str:
        one = self._of(names)
        match one.status:
            case "found" | "hole":
                claim, rest = self._found(one, names)
                return f"{claim}{rest}{self._put(one)}"
            case "no-failure":
                return self._no_failure(one)
            case "all-bad":
                return self._all_bad(one, names)
            case _:
                return self._inconclusive(one)

    def _found(self, one: Bisected, names: tuple[str, ...]) -> tuple[str, str]:
        """The claim, and the rest of the sentence."""
        if one.status == "hole":
            claim, rest = self._hole(one)
            return claim, f"{rest} {self._untestable(one)}." if one.unknown else rest
        good, bad = self.show(one.last_good or ""), self.show(one.first_bad or "")
        if one.unknown:
            on = f" on {self.view.where(names)}" if self._is_one else ""
            claim = f"{self.name} breaks somewhere in {good} .. {bad}"
            return claim, f": {self._untestable(one)}{on}."
        date = one.dates.get(one.first_bad or "")
        when = f" ({self.show(date)})" if date else ""
        claim = f"{self.name} {bad}{when} is the first release that breaks you"
        return claim, f". {good} is the last good one."

    def _hole(self, one: Bisected) -> tuple[str, str]:
        good, fixed = self.show(one.last_good or ""), self.show(one.fixed_in or "")
        spans = [
            self.show(low) if low == high else f"{self.show(low)} to {self.show(high)}"
            for low, high in one.bad_ranges
        ]
        if len(spans) != 1:
            what = some(spans, most=_MOST_NAMED)
            times = f"{self.name} has {len(spans)} bad stretches in the middle"
            return times, f": {what}. {fixed} passes."
        is_single = one.bad_ranges[0][0] == one.bad_ranges[0][1]
        what = "is a bad release" if is_single else "are bad releases"
        return f"{self.name} {spans[0]} {what} in the middle", f": {good} and {fixed} both pass."

    def _untestable(self, one: Bisected) -> str:
        which = some([self.show(each) for each in one.unknown], most=_MOST_NAMED)
        return f"{which} could not be tested"

    def _put(self, one: Bisected) -> str:
        """What to write, where the sentence says it."""
        if not (self._is_one and one.requirement) or _is_plain(one):
            return ""
        if one.declared:
            return f" {self.show(one.declared)}{self._files()} leaves that out already."
        return f" Put{self._files()}: {self.show(one.requirement)}"

    def _no_failure(self, one: Bisected) -> str:
        seen = list(one.tested.values())
        passed = "all pass" if set(seen) == {"good"} else f"{seen.count('good')} of them pass"
        which = f"{count(len(seen), 'release')} of {len(one.releases)} were run, {passed}"
        return f"{self.name} does not break you: {which}."

    def _all_bad(self, one: Bisected, names: tuple[str, ...]) -> str:
        first = self.show(one.releases[0] if one.releases else one.current)
        where = f"on {self.view.where(names)}"
        said = f"{self.show(one.reason)} {where}" if one.reason else where
        text = f"Cannot tell: the tests fail already with {self.name} {first} ({said})"
        return f"{text}: {self.view.path(one.log)}" if one.log else f"{text}."

    def _inconclusive(self, one: Bisected) -> str:
        why = f": {self.show(one.reason)}" if one.reason else ""
        said = ended(f"Cannot tell which release of {self.name} breaks you{why}")
        if one.last_good and one.first_bad:
            said += f" {self.show(one.last_good)} passes, {self.show(one.first_bad)} fails."
        return said

    def _title(self) -> str:
        if self.report.status == "interrupted":
            return f"Bisect {self.name}: interrupted"
        kinds = {self.report.result[names[0]].status for names in self.groups}
        if self.report.error or not kinds & {"found", "hole", "no-failure"}:
            return f"Bisect {self.name}: cannot tell"
        if kinds == {"no-failure"}:
            return f"{self.name} does not break you"
        if not self._is_one:
            return f"{self.name} does not break all columns alike"
        return self._found(self._of(self.groups[0]), self.groups[0])[0]

    # -- what follows

    def _drawings(self) -> Iterator[Drawing]:
        for names in self.groups:
            one = self._of(names)
            if one.status in {"found", "hole", "inconclusive"}:
                label = "" if self._is_one else f"On {self.view.where(names)}"
                lines = drawing(one)
                if lines:
                    yield Drawing(lines=lines, label=label)

    def _paragraphs(self, names: tuple[str, ...]) -> Iterator[Paragraph]:
        one = self._of(names)
        on = "" if self._is_one else f" on {self.view.where(names)}"
        if one.status in {"found", "hole"}:
            yield from self._failures(names)
            yield from self._another(one, on)
            yield from self._newest(one, on)
            yield from self._company(one, names[0], on)
        elif one.status == "all-bad":
            command = self.view.command(self.session, self.report.package, "--good", "VERSION")
            head = "Name a release that works"
            yield Paragraph(head=head, rest=f": {command}", tests=one.failing)
        elif one.unmatched:
            yield from self._unmatched(one, on)
        elif one.status == "no-failure" and not _passes_now(one) and self.view.commands.culprit:
            command = self.view.command(self.view.commands.culprit)
            yield Paragraph(head=f"Who else breaks you{on}?", rest=f" {command}", tests={})

    def _unmatched(self, one: Bisected, on: str) -> Iterator[Paragraph]:
        """How it fails where `--match` describes nothing of it, and how to ask about that."""
        good = one.releases[0] if one.releases else one.current
        ends = [] if good == one.current else ["--good", good]
        command = self.view.command(self.session, self.report.package, *ends)
        yield Paragraph(
            head=f"{self.name} fails{on}, but not as --match says",
            rest=".",
            tests=one.failing,
            log=self.view.path(one.log),
            excerpt=one.excerpt,
            lines=(f"To follow any failure:   {command}",),
            trials=one.trials,
        )

    def _failures(self, names: tuple[str, ...]) -> Iterator[Paragraph]:
        """One paragraph for each way to fail."""
        seen = {name: self.report.result[name] for name in names}
        ways = folded(
            {name: tuple(sorted(one.failing)) or one.reason for name, one in seen.items()}
        )
        for way in ways:
            one = seen[way[0]]
            on = "" if self._is_one and len(ways) == 1 else f" on {self.view.where(way)}"
            what = f"{self.name} {self.show(one.first_bad or '')}"
            head, rest = f"{what} fails{on}", f": {self.show(one.reason)}" if one.reason else "."
            if one.failing:
                head, rest = f"{what} breaks {count(len(one.failing), 'test')}{on}", "."
            yield Paragraph(
                head=head,
                rest=rest,
                tests=one.failing,
                log=self.view.path(one.log),
                excerpt=one.excerpt,
                trials=one.trials,
            )

    def _another(self, one: Bisected, on: str) -> Iterator[Paragraph]:
        """Where it fails in another way later on."""
        since = _since(one)
        if since is None:
            return
        said = [
            self.show(trial.failure.exception)
            for trial in self.report.trials
            if trial.id in one.trials and trial.failure and trial.failure.exception
            and trial.changes.get(self.report.package, (None, None))[1] == since
        ]  # fmt: skip
        head = f"From {self.show(since)} on{on} it was seen to fail in another way"
        rest = ended(f": {said[0]}") if said else "."
        command = self.view.command(self.session, self.report.package, "--match", "REGEX")
        lines = (f"To follow that failure alone:   {command}",)
        yield Paragraph(head=head, rest=rest, tests={}, lines=lines)

    def _newest(self, one: Bisected, on: str) -> Iterator[Paragraph]:
        newest = one.newest
        if newest is None or newest.version in {one.first_bad, one.fixed_in}:
            return
        latest = f"The latest release{on}, {self.show(newest.version)},"
        match newest.outcome:
            case Outcome.PASS:
                head = f"{latest} passes"
            case Outcome.FAIL if newest.same_signature:
                head = f"{latest} still fails in the same way"
            case Outcome.FAIL if _since(one) and one.tested.get(newest.version) == "bad":
                head = f"{latest} fails in that other way"
            case Outcome.FAIL:
                head = f"{latest} fails in another way"
            case _:
                head = f"{latest} could not be judged ({newest.outcome})"
        alone = "" if one.moved else " No other package was moved."
        yield Paragraph(head=head, rest=f".{alone}", tests={})

    def _company(self, one: Bisected, column: str, on: str) -> Iterator[Paragraph]:
        """What else moved, and whether it is to blame."""
        if not one.moved:
            return
        moved = some(moves(one.moved, self.show), most=_MOST_NAMED)
        bad, good = self.show(one.first_bad or ""), self.show(one.last_good or "")
        match one.blame:
            case "package":
                head = f"What moved with {bad}{on} is not to blame"
                rest = f": {good} passes with {moved}."
            case "company":
                head = f"{self.name} itself is not to blame{on}"
                rest = f": {good} fails in the same way with {moved}."
            case _:
                head = f"Not {self.name} alone was moved{on}"
                rest = f": {moved}. Which of them breaks you was not told apart."
        lines: tuple[str, ...] = ()
        command = "" if one.blame == "package" else self._between(one, column)
        if command:
            lines = (f"Which of them is it?   {command}",)
        yield Paragraph(head=head, rest=rest, tests={}, lines=lines)

    def _between(self, one: Bisected, column: str) -> str:
        """How to look between the border's two locks; empty where they are not known."""
        good = self._lock(one, one.last_good, {Outcome.PASS})
        bad = self._lock(one, one.first_bad, {Outcome.FAIL, Outcome.TIMEOUT})
        if not (good and bad and self.view.commands.culprit):
            return ""
        words = ["--good", good, "--bad", bad]
        if len(self.report.columns) > 1:
            words += ["--only", column]
        return self.view.command(self.view.commands.culprit, *words)

    def _lock(self, one: Bisected, release: str | None, outcomes: Collection[Outcome]) -> str:
        """The lock with which a release showed one of some outcomes, relative to the noxfile."""
        now = None, one.current
        for trial in self.report.trials:
            tried = trial.changes.get(self.report.package, now)[1]
            is_it = trial.id in one.trials and tried == release and trial.outcome in outcomes
            if is_it and trial.lock:
                return "/".join(filter(None, [self.report.directory.rstrip("/"), trial.lock]))
        return ""

    def _last(self) -> Iterator[str]:
        """The requirements to write, where the first line does not say it."""
        if self.report.status in {"interrupted", "error"}:
            return
        found = {
            names: (one.requirement, one.declared)
            for names in self.groups
            if (one := self._of(names)).requirement and not (self._is_one and not _is_plain(one))
        }
        for put in dict.fromkeys(found.values()):
            names = [name for group, other in found.items() if other == put for name in group]
            on = "" if len(set(found.values())) == 1 else f" on {self.view.where(names)}"
            requirement, declared = map(self.show, put)
            if declared:
                kept_to = f"{declared}{self._files()} keeps to that already"
                yield f"Until then{on and ','}{on}:   {requirement}; {kept_to}"
            else:
                where = f"{self._files()}{on}"
                yield f"Until then{where and ','}{where}:   {requirement}"

    def _files(self) -> str:
        return f" in {self.view.named(self.report.files)}" if self.report.files else ""


def _answer(one: Bisected) -> tuple[object, ...]:
    """Equal where one answer speaks for both."""
    newest = one.newest and (one.newest.version, one.newest.outcome, one.newest.same_signature)
    ends = one.last_good, one.first_bad, one.fixed_in, one.unknown, one.bad_ranges
    reason = one.reason if one.status in {"all-bad", "inconclusive"} else ""
    moved = tuple(sorted(one.moved.items()))
    line = one.requirement, one.declared, _since(one)
    return one.status, one.current, ends, newest, line, moved, one.blame, reason


def _since(one: Bisected) -> str | None:
    """The first release that was seen to fail as the bad end does; None where the first bad does."""
    if one.tested.get(one.first_bad or "") != "other":
        return None
    at = {release: place for place, release in enumerate(one.releases)}
    low, high = one.bad_ranges[0]
    inside = one.releases[at[low] : at[high] + 1] if {low, high} <= at.keys() else ()
    return next((release for release in inside if one.tested.get(release) == "bad"), None)


def _passes_now(one: Bisected) -> bool:
    """Whether there is nobody else to be looked for."""
    return one.tested.get(one.current) == "good"


def _is_plain(one: Bisected) -> bool:
    """Whether there is one border, and nothing unknown at it."""
    return one.status == "found" and not one.unknown
