"""From the arguments of `nox_envs.session` to a `Declaration`, all mistakes at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, TypedDict

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from nox_envs.cell import Axis, AxisValue
from nox_envs.errors import DeclarationError, Mistake
from nox_envs.pyproject import ProjectKind, Pyproject

__all__ = ["Declaration", "Match", "Options", "parse", "parse_duration"]


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
    """A PEP 751 lock file to install exactly, instead of resolving."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A rule that selects cells: every key must hold."""

    python: tuple[str, ...] = ()
    """Specifiers or names, any of which may hold; empty matches all."""
    values: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Labels by the parameter of the axis."""

    def covers(self, python: str | None, labels: Mapping[str, str]) -> bool:
        """Whether the rule selects the cell of these labels."""
        if any(labels.get(axis) not in wanted for axis, wanted in self.values.items()):
            return False
        return not self.python or any(_python_matches(one, python) for one in self.python)


def _python_matches(rule: str, python: str | None) -> bool:
    if python is None:
        return False
    if rule == python:
        return True
    digits = re.search(r"\d+(\.\d+)*", python)
    if digits is None:
        return False
    specifier = rule if rule[:1] in "<>=!~" else f"=={rule}.*"
    try:
        return SpecifierSet(specifier).contains(digits[0], prereleases=True)
    except InvalidSpecifier:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What a session declares, checked."""

    name: str
    pythons: tuple[str, ...] | None = None
    """None leaves the choice to nox."""
    single_python: bool = False
    """Whether one string was given: nox then accepts the bare name, too."""
    axes: tuple[Axis, ...] = ()
    exclude: tuple[Match, ...] = ()
    include: tuple[Match, ...] = ()
    may_fail: tuple[Match, ...] = ()
    dependencies: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    project: ProjectKind | Literal[False] | None = None
    lock: str | None = None
    locked: bool = False
    resolution: str = "highest"
    prerelease: bool = False
    cooldown: timedelta | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    env_file: str | None = None
    pass_env: tuple[str, ...] | None = None
    directory: str = "."
    timeout: float | None = None
    isolation: str = "detect"
    skip_unchanged: bool = False
    build: tuple[str, ...] = ()
    tree: str = "copy"
    tree_include: tuple[str, ...] = ()
    host: Mapping[str, Any] = field(default_factory=dict)
    """What nox itself is told: tags, requires, venv_backend and so on."""


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


def parse(
    name: str,
    options: Mapping[str, Any],
    *,
    where: str,
    pyproject: Pyproject | None = None,
) -> Declaration:
    """Check the options of a declaration.

    `pyproject` is what groups and extras are checked against; None leaves them
    unchecked. Raises `DeclarationError` with every mistake.
    """
    reader = _Reader(options)
    reader.unknown_names()
    axes = reader.axes()
    declaration = Declaration(
        name=name,
        pythons=reader.pythons(),
        single_python=isinstance(options.get("python"), str),
        axes=axes,
        exclude=reader.rules("exclude", axes),
        include=reader.rules("include", axes, complete=True),
        may_fail=reader.rules("may_fail", axes),
        dependencies=reader.dependencies(),
        groups=reader.known("groups", None if pyproject is None else pyproject.groups),
        extras=reader.known("extras", None if pyproject is None else pyproject.optional, pyproject),
        requirements=reader.files("requirements"),
        constraints=reader.files("constraints"),
        project=reader.choice("project", ("wheel", "editable", "dependencies", False), None),
        lock=reader.lock(),
        locked=reader.flag("locked"),
        resolution=reader.choice("resolution", ("highest", "lowest-direct", "lowest"), "highest"),
        prerelease=reader.flag("prerelease"),
        cooldown=reader.cooldown(),
        env=reader.env(),
        env_file=reader.text("env_file", None),
        pass_env=reader.texts("pass_env") if options.get("pass_env") is not None else None,
        directory=reader.text("directory", "."),
        timeout=reader.timeout(),
        isolation=reader.choice("isolation", ("detect", "copy"), "detect"),
        skip_unchanged=reader.flag("skip_unchanged"),
        build=reader.texts("build"),
        tree=reader.choice("tree", ("copy", "shared"), "copy"),
        tree_include=reader.texts("tree_include"),
        host=reader.host(),
    )
    if declaration.lock is not None and declaration.locked:
        reader.wrong("lock", "stands beside locked=True; one lock decides", "leave one out")
    if reader.mistakes:
        raise DeclarationError(where=where, mistakes=tuple(reader.mistakes))
    return declaration


def parse_duration(text: str) -> timedelta | None:
    """`7 days`, `36 hours`, `2 weeks`; None for anything else."""
    match = re.fullmatch(r"\s*(\d+)\s*(second|minute|hour|day|week)s?\s*", text)
    return timedelta(**{f"{match[2]}s": int(match[1])}) if match else None


class _Reader:
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
                self.wrong(name, "is not a parameter", _nearest(name, known))

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
            if isinstance(item, str) and item.strip():
                found.append(item)
            else:
                self.wrong(f"{name}[{index}]", f"{item!r} is not a string with something in it")
        return tuple(found)

    def text(self, name: str, default: Any) -> Any:
        value = self.options.get(name, default)
        if value is default or (isinstance(value, str) and value):
            return value
        self.wrong(name, f"{value!r} is not a string")
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
        near = _nearest(str(value), [one for one in allowed if isinstance(one, str)])
        self.wrong(name, f"{value!r} is not one of {listed}", near)
        return default

    def timeout(self) -> float | None:
        value = self.options.get("timeout")
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
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
        return dict(value)

    # -- the matrix

    def pythons(self) -> tuple[str, ...] | None:
        value = self.options.get("python")
        if value is None:
            return None
        if value is False:
            self.wrong("python", "False makes no environment", "use plain @nox.session for it")
            return None
        items = (value,) if isinstance(value, str | int | float) else tuple(value)
        for index, item in enumerate(items):
            address = "python" if isinstance(value, str | int | float) else f"python[{index}]"
            if isinstance(item, float) or (isinstance(item, int) and not isinstance(item, bool)):
                # 3.10 as a number is 3.1: only the user can tell which one is meant.
                self.wrong(address, f"{item!r} is a number", f'write "{item}", with quotes')
            elif not isinstance(item, str) or not item:
                self.wrong(address, f"{item!r} is not a Python version")
        if not items:
            self.wrong("python", "an empty list leaves no session")
        found = tuple(item for item in items if isinstance(item, str))
        for repeated in sorted({item for item in found if found.count(item) > 1}):
            self.wrong("python", f'"{repeated}" stands twice')
        return found

    def axes(self) -> tuple[Axis, ...]:
        value = self.options.get("matrix") or {}
        if not isinstance(value, Mapping):
            self.wrong("matrix", f"{value!r} is not a mapping", 'write {"django": ["4.2", "5.2"]}')
            return ()
        axes: list[Axis] = []
        for key, values in value.items():
            axis = self._axis(key, values)
            if axis is None:
                continue
            if any(axis.parameter.lower() == other.parameter.lower() for other in axes):
                self.wrong(f"matrix[{key!r}]", "is the same package as another axis")
            axes.append(axis)
        return tuple(axes)

    def _axis(self, key: Any, values: Any) -> Axis | None:
        address = f"matrix[{key!r}]"
        if key in {"python", "session"}:
            hint = "the parameter python= is for that" if key == "python" else ""
            self.wrong(address, "cannot be an axis", hint)
            return None
        if not isinstance(key, str) or not re.fullmatch(r"[A-Za-z]([\w.-]*\w)?", key):
            self.wrong(address, "is not the name of a package")
            return None
        if isinstance(values, Mapping):
            pairs = list(values.items())
        elif isinstance(values, str):
            pairs = [(values, values)]
        elif isinstance(values, Iterable):
            pairs = [(item, item) for item in values]
        else:
            pairs = [(values, values)]
        if not pairs:
            self.wrong(address, "has no values, so no cell would exist")
        name = canonicalize_name(key)
        found: list[AxisValue] = []
        for index, (label, text) in enumerate(pairs):
            place = f"{address}[{label!r}]" if isinstance(values, Mapping) else f"{address}[{index}]"
            axis_value = self._axis_value(place, label, text)
            if axis_value is None:
                continue
            if any(axis_value.text == one.text for one in found):
                self.wrong(place, f"{text!r} stands twice")
                continue
            try:
                axis_value.requirement(name)
            except InvalidRequirement:
                self.wrong(place, f"{text!r} is neither a version, a specifier nor @ URL",
                           'write "4.2", ">=4.2", "latest", "lowest" or "latest-pre"')  # fmt: skip
                continue
            found.append(axis_value)
        return Axis(name=name, parameter=re.sub(r"[-.]", "_", key), values=tuple(found))

    def _axis_value(self, address: str, label: Any, text: Any) -> AxisValue | None:
        if isinstance(text, int | float) and not isinstance(text, bool):
            self.wrong(address, f"{text!r} is a number", f'write "{text}", with quotes')
            return None
        if not isinstance(text, str) or not isinstance(label, str) or not text or not label:
            self.wrong(address, f"{text!r} is not a string")
            return None
        return AxisValue(label=label, text=text.strip())

    def rules(
        self, name: str, axes: tuple[Axis, ...], *, complete: bool = False
    ) -> tuple[Match, ...]:
        value = self.options.get(name) or ()
        if isinstance(value, Mapping):
            value = [value]
        found = []
        for index, rule in enumerate(value):
            address = f"{name}[{index}]"
            if not isinstance(rule, Mapping) or not rule:
                self.wrong(address, f"{rule!r} is not a mapping with something in it",
                           'write {"python": "<3.12", "django": "6.0"}')  # fmt: skip
                continue
            found.append(self._rule(address, rule, axes, complete=complete))
        return tuple(found)

    def _rule(
        self, address: str, rule: Mapping[str, Any], axes: tuple[Axis, ...], *, complete: bool
    ) -> Match:
        python: tuple[str, ...] = ()
        values: dict[str, frozenset[str]] = {}
        by_name = {axis.parameter: axis for axis in axes} | {axis.name: axis for axis in axes}
        for key, wanted in rule.items():
            texts = (wanted,) if isinstance(wanted, str) else wanted
            place = f"{address}[{key!r}]"
            if isinstance(texts, int | float) or not all(isinstance(one, str) for one in texts):
                self.wrong(place, f"{wanted!r} is not a string", f'write "{wanted}", with quotes')
            elif key == "python":
                python = tuple(texts)
                self._check_pythons(place, python, complete=complete)
            elif key in by_name or canonicalize_name(str(key)) in by_name:
                axis = by_name.get(key) or by_name[canonicalize_name(str(key))]
                labels = (self._label(place, axis, text, new=complete) for text in texts)
                values[axis.parameter] = frozenset(label for label in labels if label)
            else:
                names = ["python", *(axis.parameter for axis in axes)]
                self.wrong(place, "is neither python nor an axis", _nearest(str(key), names))
        if complete:
            for axis in axes:
                if axis.parameter not in values:
                    self.wrong(address, f"says no value for {axis.parameter}")
        return Match(python=python, values=values)

    def _label(self, address: str, axis: Axis, text: str, *, new: bool) -> str | None:
        value = axis.find(text)
        if value is not None:
            return value.label
        if new:
            return text
        hint = _nearest(text, [one.label for one in axis.values])
        self.wrong(address, f"{text!r} is no value of {axis.parameter}", hint)
        return None

    def _check_pythons(self, address: str, pythons: tuple[str, ...], *, complete: bool) -> None:
        for text in pythons:
            if complete and text[:1] in "<>=!~":
                self.wrong(address, f"{text!r} is a range", "name the Pythons to add")
            elif text[:1] in "<>=!~":
                try:
                    SpecifierSet(text)
                except InvalidSpecifier:
                    self.wrong(address, f"{text!r} is not a version specifier", 'write "<3.12"')

    # -- what is installed

    def dependencies(self) -> tuple[str, ...]:
        found = self.texts("dependencies")
        for index, text in enumerate(found):
            address = f"dependencies[{index}]"
            if text.startswith(("-", ".", "/")) or _misplaced(text):
                self.wrong(address, f"{text!r} is not a requirement", _misplaced(text))
                continue
            try:
                Requirement(text)
            except InvalidRequirement as error:
                first = str(error).splitlines()[0]
                self.wrong(address, f"{text!r} is not a requirement: {first}", _repaired(text))
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
                hint = _nearest(text, list(names.values())) or _misplaced(text)
                kind = "dependency group" if name == "groups" else "extra"
                problem = f"pyproject.toml has no {kind} {text!r}"
                self.wrong(f"{name}[{index}]", problem, hint)
        return found

    def lock(self) -> str | None:
        value = self.text("lock", None)
        if value is None:
            return None
        base = value.replace("\\", "/").rpartition("/")[2]
        if not re.fullmatch(r"pylock(\.[^.]+)?\.toml", base):
            self.wrong("lock", f"{value!r} is not the name of a PEP 751 lock file",
                       "it must be pylock.toml or pylock.NAME.toml, without dots in NAME")  # fmt: skip
        return str(value)

    # -- nox's own

    def host(self) -> Mapping[str, Any]:
        backend = self.options.get("venv_backend")
        if backend is not None:
            for one in str(backend).split("|"):
                if one not in _BACKENDS:
                    self.wrong("venv_backend", f"{one!r} is not one that nox-envs can fill",
                               _nearest(one, _BACKENDS) or f"use one of {', '.join(_BACKENDS)}")  # fmt: skip
        return {name: self.options[name] for name in _HOST if name in self.options}


def _extras_unknown(pyproject: Pyproject) -> bool:
    """Only the build backend knows the extras of a dynamic project."""
    return "optional-dependencies" in pyproject.dynamic or not pyproject.name


def _nearest(text: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(text, names, n=1, cutoff=0.5)
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

