"""The campaigns, with the noxfile that is there, or with the one that `init` would write."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nox_envs import _files, _process, settings
from nox_envs.called import Called
from nox_envs.commands.init import found_in, not_taken
from nox_envs.commands.words import encoding, say
from nox_envs.errors import FileMissing, NoxEnvsError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from nox_envs.borrowed import Borrowed
    from nox_envs.upgrade.options import Kind

__all__ = ["CAMPAIGNS", "Asked", "Campaign", "read"]


def __dir__() -> list[str]:
    return __all__


_FOR_NOX = {"-f": "noxfile", "--noxfile": "noxfile", "--envdir": "envdir"}
_WRITTEN = ("--json", "--markdown")
_WITH_A_PATH = (*_WRITTEN, "--good", "--bad")
_WITH_A_VALUE = (*_WITH_A_PATH, "--match", "--only")
"""Options whose value may hold a `/` and is no directory to ask about."""
_NO_SESSION = 3
"""What nox exits with where a noxfile has no session of that name."""
_INTERRUPTED = 130
_BY_A_SIGNAL = 128
"""The exit code of what a signal has ended is this, or more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the words of a campaign say."""

    noxfile: str | None
    envdir: str | None
    directories: tuple[str, ...]
    words: tuple[str, ...]
    """For the campaign, with paths that hold wherever it runs."""
    json: str | None
    files: tuple[str, ...] = ()
    """What a glob has found beside directories."""
    report: str = ""
    """Where this process wants to have the report, whatever the user has asked for."""


def read(words: Sequence[str], *, cwd: Path) -> Asked:
    """Tell apart what is for us, and what the campaign reads. Raises `UsageError`."""
    ours: dict[str, str] = {}
    directories: list[str] = []
    others: list[str] = []
    found: str | None = None
    waiting = list(words)
    while waiting:
        word, *values = _pieces(waiting.pop(0))
        if word in _FOR_NOX or word in _WITH_A_VALUE:
            if not values and not waiting:
                raise UsageError(problem=f"{word} wants a value")
            value = values[0] if values else waiting.pop(0)
            if word in _FOR_NOX:
                ours[_FOR_NOX[word]] = value
                continue
            if word in _WRITTEN and value != "-":
                _check_writable(word, value, cwd)
            if word in _WITH_A_PATH:
                value = _absolute(value, cwd, always=word in _WRITTEN)
            found = value if word == "--json" else found
            others += [word, value]
        elif not word.startswith("-") and ("/" in word or os.sep in word or word in {".", ".."}):
            directories.append(word)
        else:
            others.append(word)
    files = [one for one in directories if (cwd / one).is_file()]
    if directories and not any((cwd / one).is_dir() for one in directories):
        raise _no_directory(directories[0])
    return Asked(
        noxfile=ours.get("noxfile"),
        envdir=ours.get("envdir"),
        directories=tuple(one for one in _each_once(directories, cwd) if one not in files),
        words=tuple(others),
        json=found,
        files=tuple(files),
    )


def _each_once(directories: Sequence[str], cwd: Path) -> list[str]:
    """By the first name that was given to each, for links may lead to one."""
    found: dict[Path, str] = {}
    for one in directories:
        found.setdefault((cwd / one).resolve(), one)
    return list(found.values())


def _no_directory(word: str) -> UsageError:
    return UsageError(problem=f"there is no directory {word}")


def _pieces(word: str) -> list[str]:
    if word.startswith("-f") and word != "-f":
        return ["-f", word[2:]]
    option, equals, value = word.partition("=")
    known = equals and (option in _FOR_NOX or option in _WITH_A_VALUE)
    return [option, value] if known else [word]


def _check_writable(option: str, value: str, cwd: Path) -> None:
    """Before a campaign has run for an hour: raises `UsageError` where no report can lie."""
    path = cwd / value
    if path.is_dir():
        raise UsageError(problem=f"{option} wants a file, and {value} is a directory")
    above = next(one for one in path.parents if one.exists())
    if not above.is_dir():
        raise UsageError(
            problem=f"{option} {value} cannot be written: {above} is no directory",
            advice=("name a file in a directory that is there",),
        )


def _absolute(value: str, cwd: Path, *, always: bool) -> str:
    return str(cwd / value) if value != "-" and (always or (cwd / value).is_file()) else value


class Campaign:
    """One of the campaigns, as a command."""

    PASSES_ON = True
    RUNS = True

    def __init__(self, kind: Kind, doc: str) -> None:
        self.NAME = kind
        self.__doc__ = doc
        self._stopped = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """For the help alone."""
        parser.usage = f"{parser.prog} [DIRECTORY/ ...] [OPTIONS OF THE CAMPAIGN] [-- COMMAND]"
        parser.epilog = (
            f"Without a noxfile, COMMAND runs the tests, and environments are what `nox-envs init` "
            f"would declare; with one, this is `nox -s {self.NAME} -- ... -- COMMAND`. "
            f"The options:   nox-envs {self.NAME} --options"
        )
        parser.add_argument(
            "--options", action="store_true", help="show those of the campaign, and run nothing"
        )

    def run(self, arguments: argparse.Namespace) -> int:
        """Run it in each directory; the exit code of nox, the first one that is not 0."""
        if "--options" in arguments.words:
            from nox_envs.upgrade.options import usage  # noqa: PLC0415 - heavy

            say(usage(self.NAME, self.NAME, called=Called(by_us=True)))
            return 0
        asked = read(arguments.words, cwd=Path.cwd())
        if asked.noxfile and asked.directories:
            raise UsageError(problem="--noxfile and directories exclude each other")
        left_out = (f"{one} is no directory, and left out.\n" for one in asked.files)
        sys.stderr.write("".join(left_out))
        if len(asked.directories) < 2:  # noqa: PLR2004 - several
            return self._alone(asked, arguments.after)
        if asked.json == "-" or "--markdown" in asked.words:
            raise UsageError(
                problem="--json - and --markdown are for one directory",
                advice=("name a file for all of them:   --json reports.json",),
            )
        return self._several(asked, arguments.after)

    def _alone(self, asked: Asked, after: list[str] | None) -> int:
        """The one project; where that fails, a word may have been meant as a directory."""
        meant = [one for one in asked.words if not one.startswith("-") and Path(one).is_dir()]
        hints = [f"to ask about the directory:   nox-envs {self.NAME} {one}/" for one in meant]
        try:
            code = self._one(Path(*asked.directories), asked, after)
        except UsageError as error:
            advice = (*error.advice, *hints)
            raise UsageError(problem=error.problem, advice=advice) from error
        if code:
            sys.stderr.write("".join(f"hint: {one}\n" for one in hints))
        return code

    def _several(self, asked: Asked, after: list[str] | None) -> int:
        from nox_envs.borrowed import reported  # noqa: PLC0415 - heavy
        from nox_envs.report import blocks  # noqa: PLC0415 - heavy

        rows: list[tuple[str, ...]] = []
        codes: list[int] = []
        reports: dict[str, Any] = dict.fromkeys(asked.directories)
        self._stopped = False
        with _files.scratch("reports") as scratch:
            for number, name in enumerate(asked.directories):
                if self._stopped:
                    rows.append((name, "not run", "", "", ""))
                    continue
                file = scratch / f"{number}.json"
                sys.stderr.write(f"\n=== {name}\n")
                sys.stderr.flush()
                each = replace(
                    asked,
                    directories=(name,),
                    words=tuple(_without_json(asked.words)),
                    report=str(file),
                )
                codes.append(self._attempt(Path(name), each, after))
                reports[name] = json.loads(_files.read_text(file)) if file.is_file() else None
                rows.append((name, *_answer(reports[name]), str(codes[-1])))
        head = ("directory", "status", "safe", "newer", "exit code")
        say("\n" + blocks.text([blocks.table(head, rows)], encoding()))
        if asked.json:
            schema = {"schema": "nox-envs.reports/1", "kind": self.NAME, "reports": reports}
            _files.write_text(Path(asked.json), json.dumps(schema, indent=1) + "\n")
            for name in asked.directories:
                reported(Path(name), Path(asked.json), variables=os.environ)
        return _INTERRUPTED if self._stopped else next((code for code in codes if code), 0)

    def _attempt(self, directory: Path, asked: Asked, after: list[str] | None) -> int:
        """One of several: what goes wrong there is said, and no reason not to ask the others."""
        try:
            with _files.explained(directory):
                code = self._one(directory, asked, after)
        except NoxEnvsError as error:
            sys.stderr.write(settings.redact(f"{error}\n", os.environ))
            return error.exit_code
        except OSError as error:
            sys.stderr.write(settings.redact(f"error: {error}\n", os.environ))
            return NoxEnvsError.exit_code
        except KeyboardInterrupt:  # While nox was not running.
            code = _INTERRUPTED
        self._stopped = self._stopped or code == _INTERRUPTED
        return code

    def _one(self, directory: Path, asked: Asked, after: list[str] | None) -> int:
        if not directory.is_dir():
            raise _no_directory(str(directory))
        noxfile = directory / (asked.noxfile or "noxfile.py")
        if noxfile.is_file():
            return self._with(noxfile, asked, after)
        if asked.noxfile:
            raise FileMissing(path=asked.noxfile, asked_by="nox-envs", fix="name one that is there")
        return self._without(directory, asked, after)

    def _with(self, noxfile: Path, asked: Asked, after: list[str] | None) -> int:
        called = _called(asked, after)
        code = self._nox(noxfile, asked, after, called)
        if code == _NO_SESSION:
            sys.stderr.write(
                f"hint: to register campaigns, {noxfile} calls nox_envs.campaigns(...)\n"
            )
        return code

    def _without(self, directory: Path, asked: Asked, after: list[str] | None) -> int:
        """In a copy: neither a noxfile nor an environment is left in the project."""
        from nox_envs.borrowed import borrowed  # noqa: PLC0415 - heavy
        from nox_envs.discover import locate  # noqa: PLC0415 - heavy
        from nox_envs.starting import noxfile  # noqa: PLC0415 - heavy

        found = found_in(directory.absolute(), after or ())
        if not found.taken:
            raise UsageError(
                problem=f"{directory.absolute()} has neither a noxfile nor anything that says "
                "what to install",
                advice=("a pyproject.toml, a requirements.txt, a setup.py or a tox.ini would",),
            )
        sys.stderr.write("".join(f"{line}\n" for line in not_taken(found)))
        there = tuple(one for one in found.pythons if locate(one, os.environ))
        missing = [one for one in found.pythons if one not in there]
        if there and missing:
            sys.stderr.write(f"Not on this machine, and not asked about: {', '.join(missing)}.\n")
            found = replace(found, pythons=there, classified=False)
        text = noxfile(found, resolved=self.NAME == "floors")
        reports = [Path(one).resolve() for one in _written(asked)]
        with (
            _files.scratch("applied") as scratch,
            borrowed(directory, text, variables=os.environ, reports=reports) as copy,
        ):
            told = scratch / "applied.txt"
            called = replace(
                _called(asked, after),
                takes_command=True,
                applied=str(told),
                within=str(copy.copy) if copy.leads_out else "",
            )
            code = self._nox(copy.noxfile, asked, None, called, NOX_SCRIPT_MODE="none")
            # What a signal has ended may have written half of it.
            is_whole = told.is_file() and code < _BY_A_SIGNAL
            self._tell(copy, _files.read_text(told) if is_whole else None, asked)
            return code

    def _tell(self, copy: Borrowed, applied: str | None, asked: Asked) -> None:
        """Give back what was `applied` in the copy; only then is it true, and said."""
        written: tuple[str, ...] = ()
        if applied is not None:
            try:
                written = copy.give_back()
            except KeyboardInterrupt:
                sys.stderr.write("Interrupted: nothing was written.\n")
                raise
            if any((option, "-") in pairwise(asked.words) for option in _WRITTEN):
                sys.stderr.write(settings.redact(applied, os.environ))
            else:
                say(applied)
        place = copy.noxfile.parent
        lines = [
            *(f"{one} is written." for one in written),
            f"Environments and reports: {place / '.nox'}",
        ]
        sys.stderr.write("".join(f"{line}\n" for line in lines))

    def _nox(
        self,
        noxfile: Path,
        asked: Asked,
        after: list[str] | None,
        called: Called,
        **more: str,
    ) -> int:
        words = [*asked.words, *(["--", *after] if after is not None else [])]
        envdir = ["--envdir", str(Path(asked.envdir).absolute())] if asked.envdir else []
        command = [
            sys.executable, "-m", "nox", "--noxfile", str(noxfile.absolute()), *envdir,
            "--session", self.NAME, *(["--", *words] if words else []),
        ]  # fmt: skip
        sys.stdout.flush()
        told = {**dict(os.environ), settings.CALLED_VARIABLE: called.to_text(), **more}
        return _process.attend(command, env=told, cwd=Path.cwd(), heard=self._stop)

    def _stop(self, _: int) -> None:
        self._stopped = True


def _written(asked: Asked) -> list[str]:
    """The files of the user that reports are written to."""
    named = [word for option, word in pairwise(asked.words) if option in _WRITTEN]
    return [one for one in (asked.json, *named) if one and one != "-"]


def _called(asked: Asked, after: list[str] | None) -> Called:
    words = [
        *(["--noxfile", asked.noxfile] if asked.noxfile else []),
        *(["--envdir", asked.envdir] if asked.envdir else []),
        *asked.directories,
    ]
    return Called(by_us=True, place=tuple(words), after=tuple(after or ()), report=asked.report)


def _without_json(words: Sequence[str]) -> list[str]:
    at = words.index("--json") if "--json" in words else len(words)
    return [*words[:at], *words[at + 2 :]]


def _answer(report: Any) -> tuple[str, str, str]:
    """Status, and of an upgrade how many are safe together, of how many."""
    if report is None:
        return "no report", "", ""
    if report.get("kind") != "upgrade":
        return str(report.get("status", "")), "", ""
    safe = report["safe_set"]["all"]["pins"]
    newer = [one["name"] for one in report["candidates"]]
    return str(report["status"]), str(len(set(newer) & set(safe))), str(len(newer))


CAMPAIGNS = (
    Campaign("upgrade", "Which newer releases can this project take today, together?"),
    Campaign("bisect", "Which release of a package broke this project?"),
    Campaign("culprit", "It worked before: which package is to blame?"),
    Campaign("floors", "Do the lower bounds of this project really work?"),
    Campaign("matrix", "Run every cell, in parallel, and show a grid."),
)
"""In the order of the help."""
