"""What stays equal when a failure is the same, read from the log of a run that failed."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nox_envs.outcome import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["Frame", "Raised", "failure", "raised"]


def __dir__() -> list[str]:
    return __all__


_HEAD, _TAIL = 1 << 18, 1 << 20
"""How many characters of a log are read: its beginning, and its end."""
_LONGEST_LINE = 1000
_LONGEST_WORD = 300
_MOST_LINES = 40
_LAST_LINES = 5
_FEW_TESTS = 3

_COLOUR = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_SECTION = re.compile(r"_+ (?!_ )(.+) _+$")
_UNITTEST = re.compile(r"(?:ERROR|FAIL): (.+)$")
_RULE = re.compile(r"=+ (.+) =+$")
_CAPTURED = re.compile(r"-+ Captured .+ -+$")
_SUMMARY = re.compile(r"(?:FAILED|ERROR) (\S.*?)(?: - (.*))?$")
_FILE = re.compile(r'\s*File "([^"]+)", line \d+(?:,? in (.+))?$')
_MARK = re.compile(r"(\S.*?):\d+:(?: in (.+)| ?([A-Za-z_][\w.]*)?)$")
_DEFINED = re.compile(r"[> ]\s*(?:async )?def (\w+)")
_EXCEPTION = re.compile(r"([A-Za-z_][\w.]*)(?:: ?(.*))?$")
_PACKAGES = re.compile(r"/(?:site|dist)-packages/")
_LIBRARY = re.compile(r".*/(?:lib(?:64)?/python\d[\d.]*t?|Lib)/(.+)$")
_CHAINED = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
_TRACEBACK = "Traceback (most recent call last):"
_GROUP = "Exception Group " + _TRACEBACK
_FATAL = "Fatal Python error: "
_IGNORED = ("Exception ignored in", "--- Logging error ---")
_RUNNERS = frozenset(
    {"_pytest", "pluggy", "xdist", "execnet", "pytest", "nox", "unittest", "importlib", "runpy.py"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One call in a traceback."""

    file: str
    """As printed, with slashes."""
    function: str = ""
    code: str = ""
    """The line that was running, where it was printed."""

    @property
    def package_path(self) -> str:
        """The path below site-packages; empty elsewhere."""
        return _PACKAGES.split(f"/{self.file}")[-1] if _PACKAGES.search(f"/{self.file}") else ""

    @property
    def place(self) -> str:
        """Its file, without the directories that differ from run to run."""
        library = _LIBRARY.match(self.file)
        if self.package_path or library:
            return self.package_path or (library[1] if library else "")
        outside = self.file.startswith(("/", "..")) or self.file[1:3] == ":/"
        return self.file.rpartition("/")[2] if outside else self.file

    @property
    def is_test(self) -> bool:
        """Whether it lies in the project's tests, as far as its name tells."""
        *directories, name = self.file.split("/")
        return not self.package_path and (
            name.startswith(("test_", "conftest.", "tests."))
            or name.endswith("_test.py")
            or not {"test", "tests"}.isdisjoint(directories[-2:])
        )

    @property
    def is_runner(self) -> bool:
        """Whether it belongs to what runs tests and imports modules."""
        return self.file.startswith("<frozen ") or self.place.partition("/")[0] in _RUNNERS


@dataclass(slots=True, kw_only=True)
class Raised:
    """An exception as a log shows it."""

    type: str = ""
    message: str = ""
    """Its first line."""
    frames: list[Frame] = field(default_factory=list)
    """The innermost last."""
    parts: list[Raised] = field(default_factory=list)
    """The exceptions of a group."""
    cause: Raised | None = None
    """What it was raised from, or while handling."""
    section: str = ""
    """The test of whose report it is a part."""
    start: int = 0
    """The line of the log where it begins."""
    end: int = 0
    """The line after its last one."""

    @property
    def is_import(self) -> bool:
        """Whether something could not be imported."""
        return self.type in {"ImportError", "ModuleNotFoundError"}

    @property
    def shown(self) -> str:
        """The exception and its message as they were printed."""
        own = f"{self.type}: {self.message}" if self.type and self.message else ""
        own = own or self.type or self.message
        parts = "; ".join(part.shown for part in self.parts)
        return f"{own} [{parts}]" if parts else own

    @property
    def frame(self) -> Frame | None:
        """The innermost outside the tests and their runner; else the innermost of a test."""
        frames = self.calls[::-1]
        foreign = (frame for frame in frames if not (frame.is_test or frame.is_runner))
        tests = (frame for frame in frames if frame.is_test)
        return next(foreign, None) or next(tests, None) or next(iter(frames), None)

    @property
    def calls(self) -> list[Frame]:
        """The frames from the first test on, the innermost last: what calls that is no matter."""
        frames = [*self.frames, *(frame for part in self.parts for frame in part.frames)]
        tests = (at for at, frame in enumerate(frames) if frame.is_test)
        return frames[next(tests, 0) :]

    @property
    def key(self) -> str:
        """Equal when the exception is the same."""
        message = _plain(self.message, names=self.is_import)
        own = ": ".join(filter(None, [self.type.rpartition(".")[2], message]))
        if self.parts:
            own += f" [{'; '.join(sorted({part.key for part in self.parts}))}]"
        elif self.frame:
            own += f" @ {self.frame.place}:{self.frame.function}"
        return own


def failure(log: str, *, tests: Mapping[str, str] | None, exit_code: int | None) -> Failure:
    """What a run that failed showed of its failure.

    `tests` is what each failing test said, where that is known from elsewhere. The time taken
    is linear in the log's length, and what comes back is short, whatever the log holds.
    """
    lines = _lines(log)
    found = _ranked(_scan(lines))
    told = tests or dict(_summary(lines))
    shown, excerpt = "", _last(lines, _MOST_LINES)
    if found:
        excerpt = _cut(lines[found[0].start : found[0].end])
    else:
        found = _ranked(_exception(text, name) for name, text in told.items() if text)
    if found:
        shown, what = found[0].shown, found[0].key
    else:
        what = " / ".join([f"exit {exit_code}", *map(_plain, _last(lines, _LAST_LINES))])
    return Failure(
        signature=_bounded(" | ".join(filter(None, [what, _digest(sorted(told))]))),
        exception=_one_line(shown),
        tests=dict(tests or {}),
        excerpt="\n".join(_one_line(line) for line in excerpt),
    )


def raised(log: str) -> tuple[Raised, ...]:
    """The exceptions that a log shows as failures; the one that stands for all is first."""
    return tuple(_ranked(_scan(_lines(log))))


def _lines(log: str) -> list[str]:
    """The beginning and the end of a log, without colours."""
    if len(log) > _HEAD + _TAIL:
        log = f"{log[:_HEAD]}\n[...]\n{log[-_TAIL:]}"
    lines = _COLOUR.sub("", log).split("\n")
    return [line[:_LONGEST_LINE].rstrip().removeprefix("INTERNALERROR> ") for line in lines]


def _ranked(found: Iterable[Raised]) -> list[Raised]:
    """One of each, first the one that most tests show: tests may end in any order."""
    alike: dict[str, list[Raised]] = defaultdict(list)
    for one in found:
        alike[one.key].append(one)
    ranks = {
        key: (not ones[0].type, -len({one.section for one in ones}), key)
        for key, ones in alike.items()
    }
    return [alike[key][0] for key in sorted(alike, key=ranks.__getitem__)]


def _scan(lines: Sequence[str]) -> list[Raised]:
    """What each test's report ends with; where there is none, what the log ends with."""
    reader = _Reader(lines)
    reader.read()
    reported = {number: one for number, one in reader.found if number}
    return list(reported.values()) or [one for _, one in reader.found][-1:]


class _Reader:
    """Reads a log once, from its first line to its last."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = lines
        self.at = 0
        self.found: list[tuple[int, Raised]] = []
        """Exceptions, with the number of the report that they stand in; 0 is none."""
        self.number = 0
        self.reports = 0
        self.section = ""
        self.start = 0
        self.frames: list[Frame] = []
        self.function = ""
        self.code = ""
        self.open: Raised | None = None
        """An exception of pytest whose own line may follow."""
        self.captured = False
        self.chained = False
        self.ignored = False

    def read(self) -> None:
        while self.at < len(self.lines):
            self._line(self.lines[self.at])

    def _line(self, line: str) -> None:
        if self._divides(line) or self.captured:
            self.at += 1
        elif line.startswith("E  "):
            self._marked()
        elif line.endswith(_GROUP):
            self._group()
        elif line.endswith(_TRACEBACK):
            self._traceback(self.at + 1)
        elif _FATAL in line:
            self._fatal(line.partition(_FATAL)[2])
        elif not self.number and line.startswith(" ") and _FILE.match(line):
            self._traceback(self.at)
        else:
            if self.number:
                self._report(line)
            self.at += 1

    def _divides(self, line: str) -> bool:
        """Whether a line says what the following ones are."""
        section = _section(self.lines, self.at)
        if section or _RULE.match(line):
            self._enter(section)
        elif line.startswith("ImportError while loading conftest "):
            self._enter(line)
        elif _CAPTURED.match(line):
            self.captured = bool(self.number)
        elif line in _CHAINED:
            self.chained, self.frames, self.open = True, [], None
        elif line.startswith(_IGNORED):
            self.ignored = True
        else:
            return False
        return True

    def _enter(self, section: str) -> None:
        """Begin the report of a test, or end all reports."""
        self.reports += bool(section)
        self.number, self.section = self.reports if section else 0, section
        self.start, self.frames, self.function, self.code = self.at, [], "", ""
        self.open, self.captured, self.chained = None, False, False

    def _report(self, line: str) -> None:
        """A line of a report of pytest: code, or the place of a call."""
        mark = _MARK.match(line)
        if mark:
            file, function, raised_here = mark.groups()
            code = self.code or _at(self.lines, self.at + 1).strip()
            frame = _frame(file, function or self.function, code)
            if self.open and not function and raised_here is not None:
                self.open.frames.append(frame)
                self.open.end = self.at + 1
                self.open = None
            else:
                self.frames.append(frame)
            self.function = self.code = ""
        elif line.startswith("_ _ "):
            self.function = self.code = ""
        elif line.startswith(">"):
            self.code = line[1:].strip()
        defined = _DEFINED.match(line)
        if defined and not self.function:
            self.function = defined[1]

    def _marked(self) -> None:
        """Lines that pytest marks with an E."""
        start = self.at
        while f"{_at(self.lines, self.at)} ".startswith("E "):
            self.at += 1
        marked = [line[1:] for line in self.lines[start : self.at]]
        # A syntax error stands below its code.
        text = marked[-1] if _FILE.match(marked[0]) else marked[0]
        one = _quoted(marked) or _exception(text.strip())
        one.frames, self.frames = [*self.frames, *one.frames], []
        if not self.number and not self.chained:
            self.reports += 1
        self._add(one, self.start if self.number else start, number=self.number or self.reports)
        self.open = one

    def _traceback(self, first: int) -> None:
        """A traceback of Python's own; its frames begin at a line."""
        start, self.at = self.at, first
        head = self.lines[first - 1] if first > start else ""
        indent = len(head) - len(head.lstrip())
        frames = self._frames(indent)
        text = _at(self.lines, self.at)[indent:]
        known = _EXCEPTION.match(text) if frames else None
        if not known:
            return
        one = _exception(self._whole(text))
        one.frames = frames
        if not text.endswith(_TRACEBACK):
            self.at += 1
        if self.ignored:
            self.ignored = False
            return
        self._add(one, start)

    def _frames(self, indent: int) -> list[Frame]:
        """The calls from here on, to the first line that is not indented."""
        frames = []
        while self.at < len(self.lines):
            line = self.lines[self.at]
            if not line[: indent + 1].isspace():
                break
            called = _FILE.match(line)
            if called:
                following = _at(self.lines, self.at + 1)
                code = "" if _FILE.match(following) else following.strip()
                frames.append(_frame(called[1], called[2] or "", code))
            self.at += 1
        return frames

    def _whole(self, text: str) -> str:
        """An exception whose message begins on the next line is told with that."""
        following = _at(self.lines, self.at + 1).strip()
        return f"{text} {following}" if text.endswith(":") else text

    def _group(self) -> None:
        """A group of exceptions, in its frame of bars."""
        start = self.at
        while _at(self.lines, self.at).lstrip()[:1] in {"|", "+"}:
            self.at += 1
        self.at = max(self.at, start + 1)
        parts = list(_barred(self.lines[start : self.at]))
        if not parts:
            return
        group = parts[0]
        group.parts = [part for part in parts[1:] if not part.type.endswith("Group")]
        self._add(group, start)

    def _fatal(self, message: str) -> None:
        """The end of an interpreter that crashed: its calls are printed innermost first."""
        one, start = Raised(type="Fatal Python error", message=message), self.at
        self.at += 1
        current = False
        while self.at < len(self.lines):
            line = self.lines[self.at]
            called = _FILE.match(line)
            if called and current:
                one.frames.insert(0, _frame(called[1], called[2] or "", ""))
            elif line.endswith("(most recent call first):"):
                current = line.startswith("Current thread")
            elif line and not called and not line.startswith(("Python runtime state", "  ")):
                break
            self.at += 1
        self._add(one, start)

    def _add(self, one: Raised, start: int, *, number: int | None = None) -> None:
        number = self.number if number is None else number
        one.section, one.start, one.end = self.section or str(number), start, self.at
        if self.chained and self.found and self.found[-1][0] == number:
            cause = self.found[-1][1]
            one.cause, one.start = cause, cause.start
        self.chained = False
        self.found.append((number, one))


def _barred(lines: Iterable[str]) -> Iterator[Raised]:
    """The group that bars frame, then what is in it."""
    frames: list[Frame] = []
    told = False
    for framed in lines:
        line = framed.lstrip()
        if line.startswith("+") or line.endswith(_TRACEBACK):
            frames, told = [], False
            continue
        line = line[1:].removeprefix(" ")
        called = _FILE.match(line)
        if called:
            frames.append(_frame(called[1], called[2] or "", ""))
        elif not told and _EXCEPTION.match(line):
            one = _exception(line)
            one.frames = frames
            told = True
            yield one


def _quoted(lines: Sequence[str]) -> Raised | None:
    """The exception of another process, whose traceback is the message of an assertion."""
    heads = [at for at, line in enumerate(lines) if line.endswith(_TRACEBACK)]
    calls = [at for at, line in enumerate(lines) if heads and _FILE.match(line) and at > heads[-1]]
    below = (line.strip() for line in lines[calls[-1] + 2 :]) if calls else ()
    text = next(filter(_EXCEPTION.match, below), None)
    if text is None:
        return None
    one = _exception(text)
    for at in calls:
        called = _FILE.match(lines[at])
        if called:
            one.frames.append(_frame(called[1], called[2] or "", lines[at + 1].strip()))
    return one


def _frame(file: str, function: str, code: str) -> Frame:
    return Frame(file=file.replace("\\", "/"), function=function, code=code)


def _exception(text: str, section: str = "") -> Raised:
    """From `TypeError: text`; pytest leaves the type of a failed assertion out."""
    known = _EXCEPTION.match(text)
    if text.startswith("assert "):
        return Raised(type="AssertionError", message=text, section=section)
    kind, message = (known[1], known[2] or "") if known else ("", text)
    return Raised(type=kind, message=message, section=section)


def _section(lines: Sequence[str], at: int) -> str:
    """The test whose report begins at a line."""
    found = _SECTION.match(lines[at])
    if not found and at and lines[at - 1].startswith("====="):
        found = _UNITTEST.match(lines[at])
    return found[1] if found else ""


def _at(lines: Sequence[str], at: int) -> str:
    return lines[at] if at < len(lines) else ""


def _summary(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Names of failing tests, and what they said: pytest at its end, unittest above each."""
    within = False
    for at, line in enumerate(lines):
        rule = _RULE.match(line)
        if rule:
            within = rule[1] == "short test summary info"
        told = _SUMMARY.match(line) if within else None
        if told:
            yield told[1], told[2] or ""
        elif line.startswith(("ERROR: ", "FAIL: ")) and _section(lines, at):
            yield _section(lines, at), ""


def _last(lines: Sequence[str], most: int) -> list[str]:
    """The last lines that say something; what nox adds to them counts only where it is alone."""
    told = [line for line in lines if line.strip()]
    own = [line for line in told if not line.startswith("nox > ")]
    return (own or told)[-most:]


def _cut(lines: Sequence[str]) -> list[str]:
    """The beginning and the end of what is too long to be read."""
    if len(lines) <= _MOST_LINES:
        return list(lines)
    first = _MOST_LINES // 4
    return [*lines[:first], "[...]", *lines[first + 1 - _MOST_LINES :]]


_NUMBER = r"[-+]?\d+(?:[.,:_]\d+)*(?:e[-+]?\d+)?"
_NAMED = re.compile(rf"(?<![\w.]){_NUMBER}")
_NUMBERS = re.compile(_NUMBER)
_VARYING = (
    (re.compile(r"[a-z][a-z+]{1,9}://[^\s'\"<>]+"), "<url>"),
    (re.compile(r"(['\"])(?:~?/|\.\.?/|[A-Za-z]:[\\/])[^'\"]*\1"), "<path>"),
    (
        re.compile(
            r"(?<![\w<>.~/\\])(?:~|\.\.?|[A-Za-z]:)?[\\/][^\s'\"():;,<>\\/][^\s'\"():;,<>]*"
        ),
        "<path>",
    ),
    (
        re.compile(r"(?<![^\s'\"()])[^\s'\"()]*(?:site|dist)-packages[\\/][^\s'\"()]*"),
        "<path>",
    ),
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "<address>"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "<uuid>"),
    (re.compile(r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? (?:\d+ )?[A-Z][a-z]{2}\b"), "<day>"),
    (re.compile(r"\btmp[a-z0-9_]{6,}"), "<tmp>"),
    (re.compile(r"\b(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{16,}\b"), "#"),
    (re.compile(r"\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{7,}\b"), "#"),
    (re.compile(r"\s+"), " "),
)
_BRACES = re.compile(r"\{([^{}]*)\}")


def _plain(text: str, *, names: bool = False) -> str:
    """Leave out of a message what differs from run to run.

    With `names` the digits of names stay: `h2` and `h11` are two modules.
    """
    text = text[:_LONGEST_WORD]
    for pattern, word in _VARYING:
        text = pattern.sub(word, text)
    text = (_NAMED if names else _NUMBERS).sub("#", text)
    # Sets are printed in any order.
    return _BRACES.sub(lambda found: f"{{{', '.join(sorted(found[1].split(', ')))}}}", text).strip()


def _digest(ids: Sequence[str]) -> str:
    if len(ids) <= _FEW_TESTS:
        return ", ".join(ids)
    return f"{len(ids)} tests {_hash(chr(10).join(ids))}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:12]


def _bounded(text: str) -> str:
    """What is too long keeps its difference to others."""
    line = _one_line(text)
    return line if len(text) <= _LONGEST_WORD else f"{line[:-15]}... {_hash(text)}"


def _one_line(text: str) -> str:
    """It is a stranger's text: no control characters, and an end."""
    return "".join(char if char.isprintable() else " " for char in text[:_LONGEST_WORD])
