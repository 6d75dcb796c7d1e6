"""What can go wrong, a class for each thing that a user can do something about.

An error carries its facts as attributes and renders them: `message` is one sentence,
`detail` the evidence below it, `hints` what to type next. Nothing here does I/O, and
every error survives pickling, because errors cross process boundaries.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

__all__ = [
    "BackendUnsupported",
    "BuildFailed",
    "BuildNotAllowed",
    "DeclarationError",
    "DiskFull",
    "FileMissing",
    "IncompatiblePython",
    "IndexUnreachable",
    "InterpreterMissing",
    "LockInvalid",
    "Mistake",
    "NeedsUv",
    "NewerJournal",
    "NoPermission",
    "NoWheel",
    "NotApplied",
    "NoxEnvsError",
    "PackageNotFound",
    "PythonTooOld",
    "ReleaseNotFound",
    "StaleEnvironment",
    "ToolFailed",
    "Unresolvable",
    "UsageError",
    "WrongEnvironment",
]


def __dir__() -> list[str]:
    return __all__


def _rebuild(kind: type[NoxEnvsError], facts: dict[str, Any]) -> NoxEnvsError:
    return kind(**facts)


@dataclass(kw_only=True, eq=False, repr=False)
class NoxEnvsError(Exception):
    """The base of all errors that nox-envs raises on purpose."""

    exit_code: ClassVar[int] = 2
    """What a command line program exits with."""

    @property
    def message(self) -> str:
        """One sentence without a final full stop: what happened, to which thing."""
        raise NotImplementedError

    @property
    def detail(self) -> str:
        """The evidence, in whole lines; empty where the message says all."""
        return ""

    @property
    def hints(self) -> tuple[str, ...]:
        """What to do next, one line each."""
        return ()

    @property
    def summary(self) -> str:
        """The line for places that have room for one only."""
        return self.message

    def __str__(self) -> str:
        parts = [f"error: {self.message}"]
        if self.detail:
            parts += ["", *(f"  {line}".rstrip() for line in self.detail.splitlines())]
        parts += [f"hint: {hint}" for hint in self.hints]
        return "\n".join(parts).rstrip()

    def __reduce__(self) -> tuple[Any, ...]:
        facts = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return (_rebuild, (type(self), facts))


# -- declarations ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One mistake in a declaration."""

    address: str
    """Where it stands, as the user would write it: `matrix['django'][2]`."""
    problem: str
    hint: str = ""


@dataclass(kw_only=True, eq=False, repr=False)
class DeclarationError(NoxEnvsError):
    """A declaration cannot be understood; it lists every mistake at once."""

    where: str
    """Which declaration: `noxfile.py:9, session test`."""
    mistakes: tuple[Mistake, ...]

    @property
    def message(self) -> str:
        count = len(self.mistakes)
        return f"{count} mistake{'s' if count != 1 else ''} in {self.where}"

    @property
    def detail(self) -> str:
        lines = []
        for mistake in self.mistakes:
            lines.append(f"{mistake.address}: {mistake.problem}")
            if mistake.hint:
                lines.append(f"    {mistake.hint}")
        return "\n".join(lines)


@dataclass(kw_only=True, eq=False, repr=False)
class FileMissing(NoxEnvsError):
    """A file that a declaration names is not there."""

    path: str
    asked_by: str
    fix: str = ""

    @property
    def message(self) -> str:
        return f"{self.path} does not exist"

    @property
    def detail(self) -> str:
        return f"asked for by {self.asked_by}"

    @property
    def hints(self) -> tuple[str, ...]:
        return (self.fix,) if self.fix else ()


@dataclass(kw_only=True, eq=False, repr=False)
class BackendUnsupported(NoxEnvsError):
    """The venv backend makes environments that nox-envs cannot fill or prove."""

    backend: str

    @property
    def message(self) -> str:
        return f"nox-envs does not manage {self.backend} environments"

    @property
    def hints(self) -> tuple[str, ...]:
        return (
            "use one of the backends uv, virtualenv or venv, or plain @nox.session for this one",
        )


# -- interpreters ---------------------------------------------------------------------


@dataclass(kw_only=True, eq=False, repr=False)
class InterpreterMissing(NoxEnvsError):
    """The Python of a cell is not on this machine."""

    python: str
    found: tuple[str, ...] = ()
    """What is there, for reading: `3.12.7 (pyenv)`."""
    looked_in: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    """Commands that would install it."""
    note: str = ""
    """Why an attempt to download it failed."""

    @property
    def message(self) -> str:
        return f"Python {self.python} is not on this machine"

    @property
    def detail(self) -> str:
        lines = ["found: " + (", ".join(self.found) or "no other Python")]
        if self.looked_in:
            lines.append("looked in: " + ", ".join(self.looked_in))
        if self.note:
            lines.append(self.note)
        return "\n".join(lines)

    @property
    def hints(self) -> tuple[str, ...]:
        return ("      or: ".join(self.commands),) if self.commands else ()


@dataclass(kw_only=True, eq=False, repr=False)
class PythonTooOld(NoxEnvsError):
    """No tool makes environments for that Python any more."""

    python: str

    @property
    def message(self) -> str:
        return f"Python {self.python} is too old to make an environment with"

    @property
    def hints(self) -> tuple[str, ...]:
        return ("leave it out: Python 3.7 is the oldest that virtualenv and uv can serve",)


# -- resolving ------------------------------------------------------------------------


@dataclass(kw_only=True, eq=False, repr=False)
class ReleaseNotFound(NoxEnvsError):
    """The package exists, the release that was asked for does not."""

    exit_code: ClassVar[int] = 3

    name: str
    wanted: str
    """The version or specifier: `2.7.1`, `>=99`."""
    addresses: tuple[str, ...] = ()
    """Where it was asked for, with the line: `requirements.txt:2   requests==2.7.1`."""
    nearest: tuple[str, ...] = ()
    latest: str = ""
    fix: str = ""
    """The whole hint: which line to write, and where."""
    reason: str = ""
    """Why there is none although the version stands on the index (yanked, too young)."""

    @property
    def message(self) -> str:
        return f"{self.name} has no release {self.wanted}"

    @property
    def summary(self) -> str:
        if not self.nearest:
            return self.message
        return f"{self.message} (nearest: {', '.join(self.nearest)})"

    @property
    def detail(self) -> str:
        lines = list(self.addresses)
        evidence = []
        if self.reason:
            evidence.append(f"{self.reason}.")
        if self.nearest:
            verb = "are" if len(self.nearest) > 1 else "is"
            evidence.append(f"The nearest {verb} {' and '.join(self.nearest)}.")
        if self.latest:
            evidence.append(f"The latest is {self.latest}.")
        if lines and evidence:
            lines.append("")
        if evidence:
            lines.append(" ".join(evidence))
        return "\n".join(lines)

    @property
    def hints(self) -> tuple[str, ...]:
        return (self.fix,) if self.fix else ()


@dataclass(kw_only=True, eq=False, repr=False)
class PackageNotFound(NoxEnvsError):
    """The index answered, and has no package of that name."""

    exit_code: ClassVar[int] = 3

    name: str
    addresses: tuple[str, ...] = ()
    similar: tuple[str, ...] = ()
    """Names from the user's own files only: guesses are never looked up."""
    required_by: str = ""

    @property
    def message(self) -> str:
        return f"there is no package {self.name} on the index"

    @property
    def detail(self) -> str:
        lines = list(self.addresses)
        if self.required_by:
            lines.append(f"required by {self.required_by}")
        return "\n".join(lines)

    @property
    def hints(self) -> tuple[str, ...]:
        return tuple(f"did you mean {name}?" for name in self.similar[:1])


@dataclass(kw_only=True, eq=False, repr=False)
class IncompatiblePython(NoxEnvsError):
    """A release exists, but not for the Python of this cell."""

    exit_code: ClassVar[int] = 3

    name: str
    version: str
    requires: str
    """Its Requires-Python: `>=3.12`."""
    python: str
    addresses: tuple[str, ...] = ()
    exclude: str = ""
    """The `exclude=` line that leaves the cell out, if an axis asked for the release."""

    @property
    def message(self) -> str:
        needs = self.requires
        if needs.startswith(">=") and "," not in needs:
            needs = f"{needs.removeprefix('>=')} or newer"
        return f"{self.name} {self.version} needs Python {needs}, this cell has {self.python}"

    @property
    def detail(self) -> str:
        return "\n".join(self.addresses)

    @property
    def hints(self) -> tuple[str, ...]:
        return (f"leave it out:   exclude=[{self.exclude}]",) if self.exclude else ()


@dataclass(kw_only=True, eq=False, repr=False)
class Unresolvable(NoxEnvsError):
    """What is asked for contradicts itself."""

    exit_code: ClassVar[int] = 3

    reason: str
    """The resolver's own words."""
    addresses: tuple[str, ...] = ()
    exclude: str = ""

    @property
    def message(self) -> str:
        return "these requirements cannot be satisfied together"

    @property
    def detail(self) -> str:
        lines = [*self.addresses]
        if lines:
            lines.append("")
        return "\n".join([*lines, *self.reason.strip().splitlines()])

    @property
    def hints(self) -> tuple[str, ...]:
        if self.exclude:
            return (f"if this cell cannot exist, leave it out:   exclude=[{self.exclude}]",)
        return ()


@dataclass(kw_only=True, eq=False, repr=False)
class NoWheel(NoxEnvsError):
    """A release has no file that this Python on this platform can use."""

    exit_code: ClassVar[int] = 3

    name: str
    version: str
    python: str
    addresses: tuple[str, ...] = ()
    reason: str = ""

    @property
    def message(self) -> str:
        named = f"{self.name} {self.version}".strip()
        return f"{named} has no wheel for Python {self.python} on this platform"

    @property
    def detail(self) -> str:
        lines = [*self.addresses]
        if lines and self.reason:
            lines.append("")
        return "\n".join([*lines, *self.reason.strip().splitlines()])


@dataclass(kw_only=True, eq=False, repr=False)
class BuildFailed(NoxEnvsError):
    """A source release or a local project does not build."""

    exit_code: ClassVar[int] = 3

    name: str
    """What was built: `pyyaml 5.4.1`, or a path."""
    python: str
    log: str
    """The end of what the build said."""
    addresses: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        return f"{self.name} cannot be built on Python {self.python}"

    @property
    def detail(self) -> str:
        lines = [*self.addresses]
        if lines:
            lines.append("")
        return "\n".join([*lines, "The end of the build log:", *self.log.strip().splitlines()])


@dataclass(kw_only=True, eq=False, repr=False)
class BuildNotAllowed(NoxEnvsError):
    """An upgrade brings in a package that has no wheel: its author's code would run."""

    exit_code: ClassVar[int] = 3

    name: str
    version: str

    @property
    def message(self) -> str:
        return f"{self.name} {self.version} would come in, which has to be built from source"

    @property
    def hints(self) -> tuple[str, ...]:
        return (f'if that is all right, say so in the declaration:   build=["{self.name}"]',)


@dataclass(kw_only=True, eq=False, repr=False)
class UsageError(NoxEnvsError):
    """What follows `--` on the command line cannot be understood."""

    problem: str
    advice: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        return self.problem

    @property
    def hints(self) -> tuple[str, ...]:
        return self.advice


@dataclass(kw_only=True, eq=False, repr=False)
class NewerJournal(NoxEnvsError):
    """A journal that a newer nox-envs has written."""

    path: str
    schema: int
    known: int

    @property
    def message(self) -> str:
        return (
            f"{self.path} was written by a newer nox-envs (schema {self.schema}; "
            f"this one reads up to {self.known})"
        )

    @property
    def hints(self) -> tuple[str, ...]:
        return ("upgrade nox-envs, or run the campaign without --resume",)


@dataclass(kw_only=True, eq=False, repr=False)
class NotApplied(NoxEnvsError):
    """A set that passed was not written to the user's files; they are as they were."""

    reason: str
    places: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()
    restored: bool | None = False
    """None where that could not be done."""

    @property
    def message(self) -> str:
        if self.restored is None:
            return self.reason
        done = "the files are as they were" if self.restored else "nothing was written"
        return f"{self.reason}; {done}"

    @property
    def detail(self) -> str:
        return "\n".join(self.places)

    @property
    def hints(self) -> tuple[str, ...]:
        return self.advice


@dataclass(kw_only=True, eq=False, repr=False)
class IndexUnreachable(NoxEnvsError):
    """The index did not answer; that says nothing about what was asked for."""

    exit_code: ClassVar[int] = 4

    reason: str
    """`timed out after 3 tries`, `HTTP 500`."""
    about: str = ""
    """What was asked for when it happened: `requests==2.7.1`."""
    url: str = ""
    """Where, without credentials."""
    tool: str = ""
    """What asked it: `uv` can do without one."""

    @property
    def message(self) -> str:
        return f"cannot reach the index ({self.reason})"

    @property
    def detail(self) -> str:
        lines = [self.url] if self.url else []
        lines.append(f"This says nothing about {self.about or 'your requirements'}.")
        return "\n".join(lines)

    @property
    def hints(self) -> tuple[str, ...]:
        if "401" in self.reason or "403" in self.reason:
            return ("the index wants other credentials than it was given, if any",)
        if self.tool == "uv" and self.reason != "offline":
            return ("to take all from uv's cache, set UV_OFFLINE=1",)
        return ()


# -- tools ----------------------------------------------------------------------------


@dataclass(kw_only=True, eq=False, repr=False)
class NeedsUv(NoxEnvsError):
    """Asked for something that pip cannot do, where uv is not installed."""

    what: str
    reason: str = ""

    @property
    def message(self) -> str:
        return f"{self.what} needs uv"

    @property
    def detail(self) -> str:
        return self.reason

    @property
    def hints(self) -> tuple[str, ...]:
        return ("pip install 'nox-envs[uv]'",)


@dataclass(kw_only=True, eq=False, repr=False)
class ToolFailed(NoxEnvsError):
    """A tool ended in a way that has no better name; nothing it said is lost."""

    command: str
    returncode: int
    output: str

    @property
    def message(self) -> str:
        return f"`{self.command}` failed (exit {self.returncode})"

    @property
    def summary(self) -> str:
        program = self.command.partition(" ")[0].replace("\\", "/").rpartition("/")[2]
        return f"{program} failed (exit {self.returncode})"

    @property
    def detail(self) -> str:
        return self.output.strip()


@dataclass(kw_only=True, eq=False, repr=False)
class DiskFull(NoxEnvsError):
    """No space left on the file system that an environment or a cache lies on."""

    path: str

    @property
    def message(self) -> str:
        return f"no space left on the disk of {self.path}"

    @property
    def hints(self) -> tuple[str, ...]:
        return ("nothing half-made is kept: free some space and run again",)


@dataclass(kw_only=True, eq=False, repr=False)
class NoPermission(NoxEnvsError):
    """The operating system does not let us read or write something."""

    path: str

    @property
    def message(self) -> str:
        return f"no permission for {self.path}"

    @property
    def hints(self) -> tuple[str, ...]:
        return ("see who owns it: was nox run as another user before?",)


# -- environments ---------------------------------------------------------------------


@dataclass(kw_only=True, eq=False, repr=False)
class LockInvalid(NoxEnvsError):
    """A lock file cannot be used for this cell."""

    path: str
    problem: str
    hint: str = ""

    @property
    def message(self) -> str:
        return f"{self.path}: {self.problem}"

    @property
    def hints(self) -> tuple[str, ...]:
        return (self.hint,) if self.hint else ()


@dataclass(kw_only=True, eq=False, repr=False)
class WrongEnvironment(NoxEnvsError):
    """What is installed is not what the lock says, so nothing was run in it."""

    cell: str
    differences: tuple[str, ...]

    @property
    def message(self) -> str:
        return f"the environment of {self.cell} is not the one that was asked for"

    @property
    def detail(self) -> str:
        return "\n".join(self.differences)


@dataclass(kw_only=True, eq=False, repr=False)
class StaleEnvironment(NoxEnvsError):
    """`-R` was asked for, and the environment is not the one that is declared now."""

    cell: str
    reason: str

    @property
    def message(self) -> str:
        return f"the environment of {self.cell} cannot be used as it is: {self.reason}"

    @property
    def hints(self) -> tuple[str, ...]:
        return ("run once without -R (--reuse-existing-virtualenvs --no-install)",)
