"""What follows `--` on the command line of a campaign."""

from __future__ import annotations

import argparse
import difflib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NoReturn

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name

from nox_envs.called import Called
from nox_envs.errors import UsageError
from nox_envs.options import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta


__all__ = ["FAIL_ON", "CampaignOptions", "Kind", "actions", "held", "parse", "usage"]


def __dir__() -> list[str]:
    return __all__


FAIL_ON = ("baseline", "inconclusive", "error", "breaks", "not-tested")
_FAIL_ON_OF_A_CHECK = ("inconclusive", "error", "not-tested")
_DEFAULT_FAIL_ON = frozenset({"baseline", "inconclusive", "error"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignOptions:
    """What a user asks of one campaign; what others know has its default."""

    asked: Mapping[NormalizedName, SpecifierSet] = field(default_factory=dict)
    """Only these dependencies; an empty specifier leaves the release open."""
    pythons: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    mode: Literal["keep", "fresh"] | None = None
    jobs: int | None = None
    max_trials: int | None = None
    proofs: int | None = None
    pre: bool = False
    hold: Mapping[NormalizedName, SpecifierSet] = field(default_factory=dict)
    """Limits; an empty one leaves the dependency where it is."""
    cooldown: timedelta | None = None
    cooldown_text: str = ""
    timeout: float | None = None
    """Seconds for the function of one trial."""
    keep: bool = False
    resume: bool = False
    fail_on: frozenset[str] = _DEFAULT_FAIL_ON
    json: str | None = None
    markdown: str | None = None
    apply: bool = False
    dry_run: bool = False
    again: bool = False
    force: bool = False
    good: str | None = None
    bad: str | None = None
    match: str | None = None
    scan: bool = False
    lower: bool = False
    fail_fast: bool = False
    rerun_failed: bool = False
    refresh: bool = False
    """Whether what is remembered of resolutions is left aside."""
    check: bool = False
    """Whether locks are compared, and not written."""
    upgrade: tuple[NormalizedName, ...] | None = ()
    """Whose pins may move in a lock; all where it is None."""
    help: bool = False
    posargs: tuple[str, ...] = ()
    """What follows a second `--`: for the session."""
    words: tuple[str, ...] = field(default=(), compare=False)
    """All of it as it was written."""

    @property
    def steering(self) -> tuple[str, ...]:
        """The words that decide what is asked; not those about what becomes of the answer."""
        at = self.words.index("--") if "--" in self.words else len(self.words)
        found: list[str] = []
        skips = False
        for word in self.words[:at]:
            option, equals, _ = word.partition("=")
            if not skips and option not in _ABOUT_THE_ANSWER:
                found.append(word)
            skips = not skips and option in _WITH_A_FILE and not equals
        return (*found, *self.words[at:])


_WITH_A_FILE = {"--json", "--markdown", "--fail-on"}
_ABOUT_THE_ANSWER = {*_WITH_A_FILE, "--apply", "--dry-run", "--again", "--force", "--resume",
                     "--keep"}  # fmt: skip


class _Parser(argparse.ArgumentParser):
    """Raises what argparse would print and exit with."""

    all_options = ""
    """What shows them all."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(problem=message, advice=(f"all options:   {self.all_options}",))


Kind = Literal["matrix", "upgrade", "bisect", "culprit", "floors", "lock"]
"""The campaigns that there are."""


def parse(
    words: Sequence[str], *, session: str, kind: Kind = "upgrade", called: Called | None = None
) -> CampaignOptions:
    """Read the words after `--`. Raises `UsageError`, which names what was `called`.

    What follows a second `--` belongs to the session; versions of argparse differ in what
    they make of one, so it is cut off before.
    """
    at = words.index("--") if "--" in words else len(words)
    own, posargs = list(words[:at]), tuple(words[at + 1 :])
    called = called or Called()
    parser = _parser(session, kind, called)
    known = [option for action in parser._actions for option in action.option_strings]  # noqa: SLF001
    for at, word in enumerate(own):
        option = word.partition("=")[0]
        if option.startswith("-") and option not in known and option != "-":
            raise _unknown(own[at:], known, session=session, kind=kind, called=called)
    found = parser.parse_intermixed_args(own)
    if (found.again or found.force) and not (found.apply or found.dry_run):
        raise UsageError(
            problem=f"{'--again' if found.again else '--force'} is about --apply",
            advice=("add --apply, or --dry-run",),
        )
    return CampaignOptions(
        asked=_limits(found.names),
        pythons=tuple(found.python),
        only=tuple(found.only),
        mode=found.mode,
        jobs=found.jobs,
        max_trials=found.max_trials,
        proofs=found.proofs,
        pre=found.pre,
        hold=held(found.hold),
        cooldown=_cooldown(found.cooldown),
        cooldown_text=found.cooldown or "",
        timeout=found.timeout,
        keep=found.keep,
        resume=found.resume,
        fail_on=_fail_on(found.fail_on, kind),
        json=found.json,
        markdown=found.markdown,
        apply=found.apply,
        dry_run=found.dry_run,
        again=found.again,
        force=found.force,
        good=getattr(found, "good", None),
        bad=getattr(found, "bad", None),
        match=_pattern(getattr(found, "match", None)),
        scan=getattr(found, "scan", False),
        lower=getattr(found, "lower", False),
        fail_fast=found.fail_fast,
        rerun_failed=found.rerun_failed,
        refresh=found.refresh,
        check=found.check,
        upgrade=_upgraded(found.upgrade),
        help=found.help,
        posargs=posargs,
        words=tuple(words),
    )


def usage(session: str, kind: Kind = "upgrade", *, called: Called | None = None) -> str:
    """The text of `-- --help`."""
    return _parser(session, kind, called or Called()).format_help()


def actions(kind: Kind) -> Sequence[argparse.Action]:
    """The options of a campaign, as argparse has them."""
    return _parser(kind, kind, Called())._actions  # noqa: SLF001 - there is no public way


_QUESTIONS: Mapping[Kind, str] = {
    "matrix": "Does every cell pass?",
    "upgrade": "Which newer releases can be taken today, together?",
    "bisect": "Which release of NAME broke it?",
    "culprit": "It worked before: which package is to blame?",
    "floors": "Do the lower bounds really work?",
    "lock": "Write the lock of each cell, for locked=True.",
}


_HANDED_ON = {
    False: " What follows a second -- is handed to the session.",
    True: " What follows -- is handed to the session; without a noxfile, it runs the tests.",
}


def _parser(session: str, kind: Kind, called: Called) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=called.start(session),
        add_help=False,
        allow_abbrev=False,
        description=_QUESTIONS[kind] + _HANDED_ON[called.by_us] * (kind != "lock"),
    )
    parser.all_options = called.all_options(session)
    add = parser.add_argument
    parser.set_defaults(fail_fast=False, rerun_failed=False, check=False, upgrade=[])
    if kind == "lock":
        return _lock_parser(parser)
    if kind == "matrix":
        parser.set_defaults(names=[], mode=None, max_trials=None, proofs=None, pre=False, hold=[])
    elif kind == "bisect":
        add("names", nargs="*", metavar="NAME", help="the package, declared or not")
        add("--good", metavar="V", help="a release that works (default: yours)")
        add("--bad", metavar="V", help="a release that does not (default: the newest)")
        add("--match", metavar="REGEX", help="only a log that it matches counts as bad")
        add("--scan", action="store_true", help="look for bad releases between good ones")
    elif kind == "culprit":
        add("--good", metavar="STATE", help="a lock, a freeze, a date or git:REV that works")
        add("--bad", metavar="STATE", help="one that does not, or now (default)")
        parser.set_defaults(names=[])
    else:
        add("names", nargs="*", metavar="NAME[SPEC]",
            help="only these dependencies; werkzeug, 'django==5.2', 'pandas<3'")  # fmt: skip
    if kind == "floors":
        add("--lower", action="store_true", help="look below the declared bounds, too")
    add("--python", action="append", default=[], metavar="X.Y", help="only this Python")
    add("--only", action="append", default=[], metavar="CELL|AXIS=VALUE", help="only these cells")
    add("--jobs", type=_count, default=None, metavar="N", help="trials at a time (default: cores)")
    if kind == "matrix":
        add("--fail-fast", action="store_true", help="stop at the first cell that fails")
        add("--rerun-failed", action="store_true",
            help="only cells that did not pass when last run")  # fmt: skip
    else:
        _add_search(add)
    add("--cooldown", default=None, metavar='"7 days"', help="leave younger releases aside")
    default = "the declared one" if kind == "matrix" else "5 times the first one, at least 60"
    add("--timeout", type=_seconds, default=None, metavar="S",
        help=f"seconds for one run (default: {default})")  # fmt: skip
    add("--refresh", action="store_true", help="resolve anew, whatever is remembered")
    add("--keep", action="store_true", help="keep the environments of runs that fail")
    add("--resume", action="store_true", help="go on with the campaign that was interrupted")
    kinds = _FAIL_ON_OF_A_CHECK if kind == "matrix" else FAIL_ON
    default = ",".join(each for each in kinds if each in _DEFAULT_FAIL_ON)
    add("--fail-on", default=None, metavar="LIST",
        help=f"of {', '.join(kinds)} (default: {default})")  # fmt: skip
    add("--json", default=None, metavar="FILE|-", help="write the report as JSON")
    add("--markdown", default=None, metavar="FILE|-", help="write the report as Markdown")
    if kind not in {"upgrade", "floors"}:
        parser.set_defaults(apply=False, dry_run=False, again=False, force=False)
        add("--help", action="store_true", help="show this, and run nothing")
        return parser
    either = parser.add_mutually_exclusive_group().add_argument
    either("--apply", action="store_true", help="write what passed to your files")
    either("--dry-run", action="store_true", help="show what --apply would write")
    add("--again", action="store_true", help="with --apply: test again, use no earlier result")
    add("--force", action="store_true", help="with --apply: edit files with uncommitted changes")
    add("--help", action="store_true", help="show this, and run nothing")
    return parser


def _lock_parser(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The options of what runs nothing."""
    parser.set_defaults(
        names=[], mode=None, jobs=None, max_trials=None, proofs=None, pre=False, hold=[],
        cooldown=None, timeout=None, keep=False, resume=False, fail_on=None, markdown=None,
        apply=False, dry_run=False, again=False, force=False,
    )  # fmt: skip
    add = parser.add_argument
    add("--python", action="append", default=[], metavar="X.Y", help="only this Python")
    add("--only", action="append", default=[], metavar="CELL|AXIS=VALUE", help="only these cells")
    add("--check", action="store_true", help="write nothing, fail where a lock is not right")
    add("--upgrade", action="append", nargs="*", default=[], metavar="NAME",
        help="take newer releases of these, or of all (default: keep the pins that still fit)")  # fmt: skip
    add("--refresh", action="store_true", help="resolve anew, whatever is remembered")
    add("--json", default=None, metavar="FILE|-", help="write the report as JSON")
    add("--help", action="store_true", help="show this, and write nothing")
    return parser


def _add_search(add: Callable[..., object]) -> None:
    """What steers a search, which running every cell is not."""
    add("--mode", choices=("keep", "fresh"), default=None,
        help="keep: move no pin that need not move; fresh: what a new user gets today")  # fmt: skip
    add("--max-trials", type=_count, default=None, metavar="N", help="stop searching after N runs")
    add("--proofs", type=_count, default=None, metavar="N", help="passing runs of the final set")
    add("--pre", action="store_true", help="try pre-releases as well")
    add("--hold", action="append", default=[], metavar="NAME[SPEC]",
        help="leave it where it is, or within SPEC")  # fmt: skip


def _unknown(
    words: Sequence[str], known: Sequence[str], *, session: str, kind: Kind, called: Called
) -> UsageError:
    option = words[0].partition("=")[0]
    near = difflib.get_close_matches(option, known, n=1, cutoff=0.7)
    advice = [f"did you mean {near[0]}?"] if near else []
    start, tests = called.start(session), called.for_tests(session, *words)
    choosing = f"to choose cells:                     {start} --only CELL|AXIS=VALUE"
    behind = "after --:         " if called.by_us else "after a second --:"
    for_tests = f"for your tests, {behind}   {tests}"
    advice += [
        *([] if kind == "lock" else [for_tests]),
        *([choosing] if kind == "matrix" else []),
        f"all options:                         {called.all_options(session)}",
    ]
    return UsageError(problem=f"{option} is not an option of {session}", advice=tuple(advice))


def _asked(text: str) -> tuple[NormalizedName, SpecifierSet]:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise UsageError(
            problem=f"{text!r} is not a requirement",
            advice=("write NAME, or NAME==VERSION in quotes",),
        ) from error
    if requirement.url or requirement.marker or requirement.extras:
        raise UsageError(
            problem=f"{text!r} is more than a name and versions",
            advice=("write NAME, or NAME==VERSION in quotes",),
        )
    return canonicalize_name(requirement.name), requirement.specifier


def held(texts: Sequence[str]) -> dict[NormalizedName, SpecifierSet]:
    """What `--hold` and `hold=` say: to leave it where it is wins. Raises `UsageError`."""
    left = {name for name, specifier in map(_asked, texts) if not specifier}
    return _limits(texts) | dict.fromkeys(left, SpecifierSet())


def _limits(texts: Sequence[str]) -> dict[NormalizedName, SpecifierSet]:
    """Names, and all that is said of their versions."""
    limits: dict[NormalizedName, SpecifierSet] = {}
    for name, specifier in map(_asked, texts):
        limits[name] = limits[name] & specifier if name in limits else specifier
    return limits


def _upgraded(given: Sequence[Sequence[str]]) -> tuple[NormalizedName, ...] | None:
    """The names after `--upgrade`; None where it stands alone."""
    if [] in given:
        return None
    found = [_asked(word) for words in given for word in words]
    for name, specifier in found:
        if specifier:
            raise UsageError(
                problem=f"--upgrade {name}{specifier}: a lock takes what is declared",
                advice=(f"write --upgrade {name}; limits belong in the declaration",),
            )
    return tuple(name for name, _ in found)


def _pattern(text: str | None) -> str | None:
    if text is not None:
        try:
            re.compile(text)
        except re.error as error:
            raise UsageError(
                problem=f"--match: {text!r} is not a regular expression: {error}",
                advice=("put it in quotes, and escape ( ) [ ] . * + ? with a backslash",),
            ) from error
    return text


def _cooldown(text: str | None) -> timedelta | None:
    if text is None:
        return None
    duration = parse_duration(text)
    if duration is None:
        raise UsageError(
            problem=f"--cooldown: {text!r} is not a duration",
            advice=('write --cooldown "7 days"',),
        )
    return duration


def _fail_on(text: str | None, kind: Kind) -> frozenset[str]:
    if text is None:
        return _DEFAULT_FAIL_ON
    kinds = _FAIL_ON_OF_A_CHECK if kind == "matrix" else FAIL_ON
    given = [word.strip() for word in text.split(",") if word.strip()]
    for word in given:
        if word not in kinds:
            near = difflib.get_close_matches(word, kinds, n=1)
            advice = f"did you mean {near[0]}?" if near else f"it takes {', '.join(kinds)}"
            raise UsageError(problem=f"--fail-on: {word!r} is not known", advice=(advice,))
    return frozenset(given)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value
