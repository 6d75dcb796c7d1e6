"""What `nox_envs.session` takes, and the reading of it: option by option, mistake by mistake."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from nox_envs.errors import Mistake

if TYPE_CHECKING:
    from nox_envs.pyproject import ProjectKind, Pyproject

__all__ = ["Options", "OptionsReader", "Rule", "has_categories", "nearest", "parse_duration"]


def __dir__() -> list[str]:
    return __all__


Texts = str | Sequence[str]
Rule = Mapping[str, Texts]


class Options(TypedDict, total=False):
    """What `nox_envs.session` takes. Every list may be a single string."""

    # -- the matrix
    python: Texts | Literal[False] | None
    """The Pythons, as `nox.session` takes them."""
    matrix: Mapping[str, Texts | Mapping[str, str]]
    """Values for dependencies: `{"django": ["4.2", "latest"]}`, or labelled:
    `{"attrs": {"old": "<24"}}`."""
    exclude: Rule | Sequence[Rule]
    """Cells that do not exist: `{"python": "<3.12", "django": "6.0"}`."""
    include: Rule | Sequence[Rule]
    """Cells to add to the product."""
    may_fail: Rule | Sequence[Rule]
    """Cells whose failure is reported and fails nothing."""

    # -- what is installed
    dependencies: Texts
    """Requirement strings (PEP 508)."""
    groups: Texts
    """Dependency groups of pyproject.toml (PEP 735)."""
    extras: Texts
    """Extras of this project."""
    requirements: Texts
    """Requirement files, with nested `-r` and `-c`."""
    constraints: Texts
    """Constraint files."""
    project: ProjectKind | Literal[False] | None
    """How this project is installed; by default what pyproject.toml suggests."""
    lock: str | None
    """A lock file to install exactly: PEP 751, `uv.lock`, `poetry.lock`, `Pipfile.lock`, or `.txt`."""
    locked: bool
    """Install the committed lock of each cell: `locks/pylock.<cell>.toml`."""
    resolution: Literal["highest", "lowest-direct", "lowest"]
    """Which release is taken where several fit."""
    prerelease: bool
    """Whether pre-releases are taken, too."""
    cooldown: str | None
    """Releases younger than that do not exist: `7 days`."""

    # -- how it runs
    env: Mapping[str, str]
    """Variables for the session's commands."""
    env_file: str | None
    """A `.env` file with such variables; `env` wins."""
    pass_env: Texts | None
    """Patterns of the only variables to pass on; None passes all but those that leak
    other environments."""
    directory: str
    """Base of all files above, and working directory; relative to the noxfile."""
    timeout: float | None
    """Seconds for the whole session, with its process tree."""
    isolation: Literal["detect", "copy"]
    """`copy` shares no file with the installer's cache."""
    skip_unchanged: bool
    """Whether a pass may be reused while nothing has changed."""

    # -- for trials
    build: Texts
    """Transitive packages that may be built from source."""
    tree: Literal["copy", "shared"]
    """Whether a trial works in a copy of the project tree."""
    tree_include: Texts
    """Globs of ignored files that a copy of the tree needs."""

    # -- nox.session's own
    name: str | None
    tags: Sequence[str] | None
    default: bool
    requires: Sequence[str] | None
    reuse_venv: bool | None
    venv_backend: str | None
    venv_params: Sequence[str]
    download_python: Literal["auto", "never", "always"] | None
    allow_parallel: bool | None
    """Whether `nox -j` may run it beside others; True unless it is said otherwise."""


_HOST = ("tags", "default", "requires", "reuse_venv", "venv_backend", "venv_params",
         "download_python", "allow_parallel")  # fmt: skip
_BACKENDS = ("uv", "virtualenv", "venv", "none")
_MISPLACED: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^(-r|--requirement)[ =]*(?P<rest>.*)$"), 'requirements=["{rest}"]'),
    (re.compile(r"^(-c|--constraint)[ =]*(?P<rest>.*)$"), 'constraints=["{rest}"]'),
    (re.compile(r"^(-e|--editable)[ =]*\.(?P<rest>)$"), 'project="editable"'),
    (re.compile(r"^\.(?P<rest>)$"), 'project="wheel"'),
    (re.compile(r"^\.\[(?P<rest>.*)\]$"), 'project="wheel", extras=["{rest}"]'),
    (re.compile(r"^--group[ =]*(?P<rest>.*)$"), 'groups=["{rest}"]'),
    (re.compile(r"^(?P<rest>[^=<>@;\[\]]+\.(txt|in))$"), 'requirements=["{rest}"]'),
)


def parse_duration(text: str) -> timedelta | None:
    """`7 days`, `36 hours`, `2 weeks`; None for anything else."""
    match = re.fullmatch(r"\s*(\d+)\s*(second|minute|hour|day|week)s?\s*", text)
    if match is None or len(match[1]) > _MOST_DIGITS:
        return None
    return timedelta(**{f"{match[2]}s": int(match[1])})


_LOCKS = r"pylock(\.[^.]+)?\.toml|uv\.lock|poetry\.lock|Pipfile\.lock|.+\.txt"
"""How files are called that can be locks."""
_LONGEST = 10**8
"""Seconds, some three years."""
_MOST_DIGITS = 5


class OptionsReader:
    """Reads options one by one and collects what is wrong with them."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.options = options
        self.mistakes: list[Mistake] = []

    def wrong(self, address: str, problem: str, hint: str = "") -> None:
        self.mistakes.append(Mistake(address=address, problem=problem, hint=hint))

    def unknown_names(self) -> None:
        known = list(Options.__annotations__)
        for name in self.options:
            if name == "py":
                self.wrong("py", "is not a parameter", "write python=")
            elif name not in known:
                self.wrong(name, "is not a parameter", nearest(name, known))

    # -- plain values

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.options.get(name)
        if value is None:
            return ()
        if isinstance(value, str):
            return (value,)
        if isinstance(value, Mapping) or not isinstance(value, Iterable):
            self.wrong(name, f"{value!r} is not a list of strings")
            return ()
        found = []
        for index, item in enumerate(value):
            if isinstance(item, str) and item.strip() and "\0" not in item:
                found.append(item)
            else:
                self.wrong(f"{name}[{index}]", f"{item!r} is not a string with something in it")
        return tuple(found)

    def text(self, name: str, default: Any) -> Any:
        value = self.options.get(name, default)
        if value is default or (isinstance(value, str) and value and "\0" not in value):
            return value
        self.wrong(name, f"{value!r} is not a string with something in it")
        return default

    def flag(self, name: str) -> bool:
        value = self.options.get(name, False)
        if not isinstance(value, bool):
            self.wrong(name, f"{value!r} is neither True nor False")
        return bool(value)

    def choice(self, name: str, allowed: Sequence[Any], default: Any) -> Any:
        value = self.options.get(name, default)
        if value is default or any(value is one or value == one for one in allowed):
            return value
        listed = ", ".join(repr(one) for one in allowed)
        near = nearest(str(value), [one for one in allowed if isinstance(one, str)])
        self.wrong(name, f"{value!r} is not one of {listed}", near)
        return default

    def timeout(self) -> float | None:
        value = self.options.get("timeout")
        if value is None:
            return None
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not (0 < value <= _LONGEST)
        ):
            self.wrong("timeout", f"{value!r} is not a positive number of seconds")
            return None
        return float(value)

    def cooldown(self) -> timedelta | None:
        value = self.options.get("cooldown")
        if value is None:
            return None
        duration = parse_duration(value) if isinstance(value, str) else None
        if duration is None:
            self.wrong("cooldown", f"{value!r} is not a duration", 'write cooldown="7 days"')
        return duration

    def env(self) -> Mapping[str, str]:
        value = self.options.get("env") or {}
        if not isinstance(value, Mapping):
            self.wrong("env", f"{value!r} is not a mapping of strings", 'write {"NAME": "value"}')
            return {}
        for key, item in value.items():
            if not isinstance(key, str) or not key or "=" in key:
                self.wrong(f"env[{key!r}]", "is not the name of a variable")
            elif not isinstance(item, str):
                self.wrong(f"env[{key!r}]", f"{item!r} is not a string", f'write "{item}"')
            elif "\0" in item:
                self.wrong(f"env[{key!r}]", "holds a null character")
        return dict(value)

    # -- what is installed

    def dependencies(self) -> tuple[str, ...]:
        found = self.texts("dependencies")
        for index, text in enumerate(found):
            address = f"dependencies[{index}]"
            if text.startswith(("-", ".", "/")) or _misplaced(text):
                self.wrong(address, f"{text!r} is not a requirement", _misplaced(text))
                continue
            try:
                asked = Requirement(text)
            except InvalidRequirement as error:
                first = str(error).splitlines()[0]
                self.wrong(address, f"{text!r} is not a requirement: {first}", _repaired(text))
                continue
            if any(not one.version for one in asked.specifier):
                problem = f"{text!r} is not a requirement: a version has to follow ==="
                self.wrong(address, problem)
        return found

    def files(self, name: str) -> tuple[str, ...]:
        found = self.texts(name)
        for index, text in enumerate(found):
            if re.search(r"[=<>~!]=|[<>@]", text) or text.startswith("-"):
                near = _misplaced(text) or f'dependencies=["{text}"]'
                self.wrong(f"{name}[{index}]", f"{text!r} is not a file", f"write {near}"
                           if not near.startswith("write") else near)  # fmt: skip
        return found

    def known(
        self,
        name: str,
        there: Mapping[Any, Any] | None,
        pyproject: Pyproject | None = None,
    ) -> tuple[str, ...]:
        found = self.texts(name)
        if there is None or (pyproject is not None and _extras_unknown(pyproject)):
            return found
        names = {canonicalize_name(str(key)): str(key) for key in there}
        for index, text in enumerate(found):
            if canonicalize_name(text) not in names:
                hint = nearest(text, list(names.values())) or _misplaced(text)
                kind = "dependency group" if name == "groups" else "extra"
                problem = f"pyproject.toml has no {kind} {text!r}"
                self.wrong(f"{name}[{index}]", problem, hint)
        return found

    def lock(self) -> str | None:
        value = self.text("lock", None)
        if value is None:
            return None
        base = value.replace("\\", "/").rpartition("/")[2]
        if not re.fullmatch(_LOCKS, base):
            self.wrong("lock", f"{value!r} is not the name of a lock file",
                       "it must be pylock.toml or pylock.NAME.toml, without dots in NAME; "
                       "uv.lock, poetry.lock, Pipfile.lock, or a .txt of pins with hashes")  # fmt: skip
        return str(value)

    # -- nox's own

    def host(self) -> Mapping[str, Any]:
        backend = self.options.get("venv_backend")
        if backend is not None:
            for one in str(backend).split("|"):
                if one not in _BACKENDS:
                    self.wrong("venv_backend", f"{one!r} is not one that nox-envs can fill",
                               nearest(one, _BACKENDS) or f"use one of {', '.join(_BACKENDS)}")  # fmt: skip
        lists = {name: self.texts(name) for name in ("tags", "requires", "venv_params")}
        if any(param.startswith("--system-site") for param in lists["venv_params"]):
            self.wrong("venv_params", "--system-site-packages lets the global Python in")
        given = {name: self.options[name] for name in _HOST if name in self.options}
        return given | {name: list(texts) for name, texts in lists.items() if name in given}


def _extras_unknown(pyproject: Pyproject) -> bool:
    """Only the build backend knows the extras of a dynamic project."""
    return "optional-dependencies" in pyproject.dynamic or not pyproject.has_project


def has_categories(lock: Any) -> bool:
    """Whether groups are categories of a lock, which pyproject.toml does not know."""
    return isinstance(lock, str) and lock.endswith("Pipfile.lock")


def nearest(text: str, names: Sequence[str]) -> str:
    """The hint that names the nearest valid name; nothing where none is near."""
    from difflib import get_close_matches  # noqa: PLC0415 - for an error only

    close = get_close_matches(text, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else ""


def _misplaced(text: str) -> str:
    for pattern, line in _MISPLACED:
        match = pattern.match(text.strip())
        if match:
            return "write " + line.format(rest=match["rest"].strip())
    return ""


def _repaired(text: str) -> str:
    """The requirement that was probably meant: `django 4.2`, `django=4.2`."""
    match = re.fullmatch(r"\s*([A-Za-z][\w.-]*?)\s*(?:=|\s)\s*v?(\d[\w.*]*)\s*", text)
    return f'write "{match[1]}=={match[2]}"' if match else ""
