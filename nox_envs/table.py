"""Sessions that are declared without code: a table, read to what the decorator takes and commands."""

from __future__ import annotations

import fnmatch
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from nox_envs.errors import DeclarationError, Mistake
from nox_envs.options import Options, OptionsReader, has_categories, nearest

if TYPE_CHECKING:
    from nox_envs.pyproject import Pyproject

__all__ = [
    "FIELDS",
    "Command",
    "Fields",
    "Place",
    "Session",
    "Table",
    "session_of",
    "unknown",
]


def __dir__() -> list[str]:
    return __all__


OWN = (
    "description", "extends", "install", "optional_groups", "optional_project",
    "optional_requirements", "run",
)  # fmt: skip
"""What a table knows beside the parameters of the decorator."""

FIELDS = (*(name for name in Options.__annotations__ if name != "name"), *OWN)

_PLACEHOLDER = re.compile(r"\{(\{[A-Za-z_][\w.-]*\})\}|\{([A-Za-z_][\w.-]*)\}")
"""`{{django}}` is `{django}` as it stands. Other braces are no placeholders."""


# -- values ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a field was written."""

    source: str
    """A file, relative to the noxfile, or the name of a snippet; empty for the noxfile."""
    prefix: str
    """What comes before the name of a field in its address; ends with a dot in TOML."""

    def address(self, text: str) -> str:
        """The address of a mistake, as the decorator names it, at this place."""
        if not self.prefix.endswith("."):
            return self.prefix + text
        return self.prefix + re.sub(r"\[(['\"])(.*?)\1\]", _toml_key, text)

    def mistake(self, found: Mistake) -> Mistake:
        """A mistake of the decorator's, at this place and in the words of its language."""
        if not self.prefix.endswith("."):
            return replace(found, address=self.address(found.address))
        return Mistake(
            address=self.address(found.address),
            problem=_in_toml(found.problem),
            hint=_in_toml(found.hint),
        )


def _toml_key(match: re.Match[str]) -> str:
    key = match[2]
    return f".{key}" if re.fullmatch(r"[\w-]+", key) else f'."{key}"'


def _in_toml(text: str) -> str:
    """The same, with the literals of TOML."""
    text = re.sub(r"\b(True|False)\b", lambda match: match[1].lower(), text)
    return re.sub(r'([{,] *)"([\w-]+)": ', r"\1\2 = ", text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """What is said of a session, and where."""

    values: Mapping[str, Any]
    places: Mapping[str, Place]
    """Of each field; of each variable as `env.NAME`; of the session as the empty name."""
    function: Callable[..., Any] | None = None
    """What runs where no field `run` says it."""

    @classmethod
    def at(
        cls,
        values: Mapping[str, Any],
        place: Place,
        function: Callable[..., Any] | None = None,
    ) -> Fields:
        """Fields that were all written at one place."""
        places = dict.fromkeys(["", *values], place)
        if isinstance(values.get("env"), Mapping):
            places |= {f"env.{name}": place for name in values["env"]}
        return cls(values=values, places=places, function=function)

    def over(self, base: Fields) -> Fields:
        """The fields of `base` with these, which win; variables are merged."""
        values = {**base.values, "extends": None, **self.values}
        own, others = self.values.get("env"), base.values.get("env")
        if isinstance(own, Mapping) and isinstance(others, Mapping):
            values["env"] = {**others, **own}
        if self.function is not None:
            values["run"] = None
        if "run" in self.values or self.function is not None:
            # What describes other commands is no description of these.
            values["description"] = self.values.get("description")
        return Fields(
            values={name: value for name, value in values.items() if value is not None},
            places={**base.places, **self.places},
            function=self.function or (None if "run" in self.values else base.function),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command, without a shell."""

    words: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    success_codes: tuple[int, ...] = (0,)

    @property
    def placeholders(self) -> frozenset[str]:
        """The names in braces that stand for something."""
        texts = (*self.words, *self.env.values())
        return frozenset(
            match[2] for text in texts for match in _PLACEHOLDER.finditer(text) if match[2]
        )

    def filled(self, values: Mapping[str, str], posargs: Sequence[str]) -> Command:
        """The same with its placeholders filled; `{posargs}` by itself is all of them."""
        told = {**values, "posargs": shlex.join(posargs)}
        words: list[str] = []
        for word in self.words:
            words += posargs if word == "{posargs}" else [_filled(word, told)]
        env = {name: _filled(text, told) for name, text in self.env.items()}
        return replace(self, words=tuple(words), env=env)


def _filled(text: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: match[1] or values[_parameter(match[2])], text)


def _parameter(name: str) -> str:
    """What nox calls an axis."""
    return re.sub(r"[-.]", "_", name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session that a table or a snippet declares."""

    name: str
    options: Mapping[str, Any]
    """What the decorator is told."""
    commands: tuple[Command, ...]
    function: Callable[..., Any] | None
    description: str
    fields: Fields

    @property
    def placeholders(self) -> frozenset[str]:
        """All that its commands have to be told."""
        named = {name for one in self.commands for name in one.placeholders}
        return frozenset(_parameter(name) for name in named)

    @property
    def declared_in(self) -> Mapping[str, tuple[str, ...]]:
        """The sources of each parameter; the first that holds a text has declared it."""
        found = {name: (place.source,) for name, place in self.fields.places.items()}
        if "install" in found:
            found["dependencies"] = (*found["install"], *found.get("dependencies", ()))
        for name in ("project", "requirements"):
            found.setdefault(name, found.get(f"optional_{name}", ("",)))
        return found

    def mistake(self, found: Mistake) -> Mistake:
        """A mistake in what the decorator was told, where it was written."""
        places = self.fields.places
        field_name = re.match(r"\w*", found.address)
        variable = re.match(r"env\[['\"](.*?)['\"]\]", found.address)
        key = f"env.{variable[1]}" if variable else field_name[0] if field_name else ""
        return places.get(key, places[""]).mistake(found)


# -- a table --------------------------------------------------------------------------

Lookup = Callable[[str, tuple[str, ...]], Fields]
"""What a snippet says, by its name and by what has asked for it, from the outside in.

Raises `DeclarationError`, with an empty address for a name that is not known."""


@dataclass(slots=True)
class Table:
    """A table of sessions as it stands, and what is wrong with it."""

    prefix: str
    """Of the address of each session."""
    lookup: Lookup
    sessions: dict[str, Fields] = field(default_factory=dict)
    campaigns: tuple[str, ...] = ()
    """The sessions that campaigns are wanted for."""
    mistakes: list[Mistake] = field(default_factory=list)

    @classmethod
    def of(
        cls, data: Any, *, source: str, prefix: str, lookup: Lookup, campaigns: bool = False
    ) -> Table:
        """Read a table; `prefix` is its own address, to which names are appended.

        `campaigns` says whether it may ask for campaigns.
        """
        table = cls(prefix=f"{prefix}sessions.", lookup=lookup)
        top = Place(source=source, prefix=prefix)
        if not isinstance(data, Mapping):
            table.wrong([Mistake(address=prefix.rstrip("., "), problem=f"{data!r} is not a table")])
            return table
        known = ("sessions", *(("campaigns",) if campaigns else ()))
        for name in data:
            if name not in known:
                hint = nearest(name, known)
                if name in FIELDS:
                    hint = f"write it in [{prefix.rpartition(', ')[2]}sessions.test]"
                table.wrong([Mistake(address=top.address(name), problem="is not known", hint=hint)])
        sessions = data.get("sessions", {})
        if not isinstance(sessions, Mapping):
            table.wrong(
                [Mistake(address=table.prefix[:-1], problem=f"{sessions!r} is not a table")]
            )
            return table
        for name, values in sessions.items():
            place = Place(source=source, prefix=f"{table.prefix}{_bare(name)}.")
            if isinstance(values, Mapping) and name:
                table.sessions[name] = Fields.at(values, place)
                table.wrong(unknown(values, place))
            else:
                problem = f"{values!r} is not a table" if name else "a session needs a name"
                table.wrong([Mistake(address=place.prefix[:-1], problem=problem)])
        table.campaigns = table._campaigns(data.get("campaigns", ()), top)
        return table

    def _campaigns(self, value: Any, top: Place) -> tuple[str, ...]:
        reader = OptionsReader({"campaigns": value})
        found = reader.texts("campaigns")
        for index, name in enumerate(found):
            if name not in self.sessions or name in self.templates():
                hint = nearest(name, [one for one in self.sessions if one != name])
                reader.wrong(f"campaigns[{index}]", f"there is no session {name} to run", hint)
        self.wrong(top.mistake(one) for one in reader.mistakes)
        return found

    def templates(self, trail: tuple[str, ...] = ()) -> set[str]:
        """Sessions that run nothing by themselves: others extend them."""
        extended = {
            name
            for own, fields in self.sessions.items()
            for name in _extends(fields.values)
            if name != own
        }
        return {
            name
            for name in extended & self.sessions.keys()
            if (whole := self.merged(name, trail)).function is None and "run" not in whole.values
        }

    def merged(self, name: str, trail: tuple[str, ...] = ()) -> Fields:
        """A session with all that it extends; mistakes on the way are collected.

        Raises `DeclarationError` where what is on the `trail` comes back to it.
        """
        own = self.sessions[name]
        me = f"{self.prefix}{_bare(name)}"
        _refuse_cycle(me, trail)
        named = _extends(own.values)
        found = Fields(values={}, places={})
        for index, other in enumerate(named):
            many = not isinstance(own.values["extends"], str)
            address = f"{me}.extends" + (f"[{index}]" if many else "")
            try:
                found = self._extended(name, other, (*trail, me)).over(found)
            except DeclarationError as error:
                self.wrong(replace(one, address=one.address or address) for one in error.mistakes)
        return own.over(found)

    def _extended(self, name: str, other: str, trail: tuple[str, ...]) -> Fields:
        """A session of this table, or else a snippet: so `tests` may extend the one of its name."""
        if other not in self.sessions or other == name:
            try:
                return self.lookup(other, trail)
            except DeclarationError as error:
                own = [one for one in self.sessions if one != name]
                mistakes = tuple(_nearer(one, other, own) for one in error.mistakes)
                raise DeclarationError(where=error.where, mistakes=mistakes) from error
        return self.merged(other, trail)

    def wrong(self, mistakes: Any) -> None:
        """Collect mistakes, each once."""
        self.mistakes += [one for one in dict.fromkeys(mistakes) if one not in self.mistakes]


def _nearer(mistake: Mistake, text: str, names: Sequence[str]) -> Mistake:
    """The mistake with a hint that knows the sessions beside it, where it is about the name."""
    if mistake.address or not mistake.hint or not re.fullmatch(r"[\w-]+", text):
        return mistake
    offered = mistake.hint.removeprefix("did you mean ").removesuffix("?")
    return replace(mistake, hint=nearest(text, [*names, offered]) or mistake.hint)


def _refuse_cycle(address: str, trail: Sequence[str]) -> None:
    if address in trail:
        circle = [*trail[trail.index(address) :], address]
        mistake = Mistake(
            address="", problem="goes round in a circle", hint=" -> ".join(map(_last, circle))
        )
        raise DeclarationError(where="extends", mistakes=(mistake,))


def _last(address: str) -> str:
    return address.rpartition("sessions.")[2]


def _bare(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name) else f'"{name}"'


def _extends(values: Mapping[str, Any]) -> list[str]:
    """What a session extends, as far as it can be understood."""
    value = values.get("extends", ())
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list | tuple) else []


def unknown(values: Mapping[str, Any], place: Place) -> list[Mistake]:
    """Names that mean nothing in a table."""
    found = []
    for name in values:
        if name == "name":
            hint = "the name of the table is its name"
        elif name == "py":
            hint = "write python ="
        else:
            hint = nearest(name, FIELDS)
        if name not in FIELDS:
            found.append(Mistake(address=place.address(name), problem="is not known", hint=hint))
    return found


# -- a session ------------------------------------------------------------------------


def _nothing(_: str) -> bool:
    return False


def session_of(
    name: str,
    fields: Fields,
    pyproject: Pyproject | None,
    *,
    has: Callable[[str], bool] = _nothing,
) -> tuple[Session, list[Mistake]]:
    """What a session declares, and what is wrong with the fields that only a table has.

    `has` tells which files there are in the directory of the session.
    """
    reader = _Reader(fields)
    commands = reader.commands()
    installed = reader.installed()
    groups = reader.optional_groups(pyproject)
    description = reader.description(commands)
    wanted = reader.optional_project(pyproject, has)
    options = {key: value for key, value in fields.values.items() if key not in OWN}
    options = {key: value for key, value in options.items() if key in FIELDS}
    for key, added in (("dependencies", installed), ("groups", groups)):
        there = options.get(key, ())
        if added and isinstance(there, str | list | tuple):
            listed = [there] if isinstance(there, str) else list(there)
            options[key] = listed + [one for one in added if one not in listed]
    options = {**wanted, **options}
    session = Session(
        name=name,
        options=options,
        commands=commands,
        function=fields.function if "run" not in fields.values else None,
        description=description,
        fields=fields,
    )
    return session, reader.mistakes


class _Reader:
    """Reads the fields that only a table has, and collects what is wrong with them."""

    def __init__(self, fields: Fields) -> None:
        self.values = fields.values
        self.places = fields.places
        self.function = fields.function
        self.mistakes: list[Mistake] = []

    def wrong(self, address: str, problem: str, hint: str = "") -> None:
        key = re.match(r"\w*", address)
        place = self.places.get(key[0] if key else "", self.places[""])
        mistake = Mistake(address=address, problem=problem, hint=hint)
        self.mistakes.append(place.mistake(mistake))

    def installed(self) -> tuple[str, ...]:
        """`install`, which is read as `dependencies` are."""
        reader = OptionsReader({"dependencies": self.values.get("install")})
        found = reader.dependencies()
        for one in reader.mistakes:
            self.wrong("install" + one.address.removeprefix("dependencies"), one.problem, one.hint)
        return () if reader.mistakes else found

    def optional_groups(self, pyproject: Pyproject | None) -> list[str]:
        """The groups of pyproject.toml that are wanted where they are declared."""
        patterns = self._texts("optional_groups")
        if has_categories(self.values.get("lock")):
            return []
        return [
            group
            for group in (pyproject.groups if pyproject is not None else ())
            for name in [canonicalize_name(group)]
            if any(fnmatch.fnmatchcase(name, pattern.lower()) for pattern in patterns)
        ]

    def optional_project(
        self, pyproject: Pyproject | None, has: Callable[[str], bool]
    ) -> dict[str, Any]:
        """How the project takes part, where there is one; else the files that stand for it.

        Beside a lock, which decides, no file does.
        """
        files = self._texts("optional_requirements")
        if self.values.get("lock"):
            files = ()
        kind = self.values.get("optional_project")
        if kind not in (None, "wheel", "editable", "dependencies"):  # A list has no hash.
            hint = 'write "wheel", "editable" or "dependencies"'
            self.wrong("optional_project", f"{kind!r} is no way to install a project", hint)
            return {}
        if pyproject is None or not (pyproject.has_metadata or pyproject.is_package):
            is_there = has("setup.py")
            if not is_there:
                return {"requirements": found} if (found := [*filter(has, files)]) else {}
        else:
            is_there = pyproject.is_package
        return {"project": kind} if kind and is_there else {}

    def _texts(self, name: str) -> tuple[str, ...]:
        reader = OptionsReader(self.values)
        found = reader.texts(name)
        for one in reader.mistakes:
            self.wrong(one.address, one.problem, one.hint)
        return found

    def description(self, commands: Sequence[Command]) -> str:
        self._texts("extends")
        value = self.values.get("description", "")
        if not isinstance(value, str):
            self.wrong("description", f"{value!r} is not a string")
        elif value.strip():
            return value.strip()
        if self.function is not None and "run" not in self.values:
            return (self.function.__doc__ or "").strip()
        if not commands:
            return "Make the environment to work in."
        return " ".join(
            word if _PLACEHOLDER.fullmatch(word) else shlex.quote(word)
            for word in commands[0].words
        )

    # -- commands

    def commands(self) -> tuple[Command, ...]:
        value = self.values.get("run")
        if value is None:
            if self.function is None:
                self.wrong("run", "is missing", 'write run = [["pytest", "-q"]]')
            return ()
        if isinstance(value, str):
            hint = f"write run = [{_as_list(value)}]"
            self.wrong("run", "is one string, and there is no shell", hint)
            return ()
        if not isinstance(value, list | tuple):
            self.wrong("run", f"{value!r} is not a list of commands", 'write [["pytest", "-q"]]')
            return ()
        if value and all(isinstance(one, str) for one in value):
            hint = f"write run = [{_as_list(value[0] if len(value) == 1 else shlex.join(value))}]"
            self.wrong("run", "is one command instead of a list of commands", hint)
            return ()
        found = [self._command(f"run[{index}]", one) for index, one in enumerate(value)]
        return tuple(one for one in found if one is not None)

    def _command(self, address: str, value: Any) -> Command | None:
        before = len(self.mistakes)
        words, key = value, address
        env: Any = {}
        codes: Any = [0]
        if isinstance(value, Mapping):
            known = ("command", "env", "success-codes")
            for name in value:
                if name not in known:
                    self.wrong(f"{address}.{name}", "is not known", nearest(name, known))
            words, key = value.get("command"), f"{address}.command"
            env, codes = value.get("env", env), value.get("success-codes", codes)
        self._check_words(words, key)
        if not isinstance(env, Mapping) or not all(isinstance(one, str) for one in env.values()):
            self.wrong(f"{address}.env", f"{env!r} is not a table of strings")
        if not isinstance(codes, list | tuple) or not codes or not all(map(_is_code, codes)):
            self.wrong(f"{address}.success-codes", f"{codes!r} is not a list of exit codes")
        if len(self.mistakes) > before:
            return None
        command = Command(words=tuple(words), env=dict(env), success_codes=tuple(codes))
        self._check_placeholders(command, key, address)
        return None if len(self.mistakes) > before else command

    def _check_words(self, words: Any, address: str) -> None:
        if isinstance(words, str):
            hint = f"write {_as_list(words)}"
            self.wrong(address, "is one string, and there is no shell", hint)
        elif words is None:
            self.wrong(address, "is missing", 'write command = ["pytest", "-q"]')
        elif not isinstance(words, list | tuple) or not words:
            self.wrong(address, f"{words!r} is not a list of words", 'write ["pytest", "-q"]')
        else:
            for index, word in enumerate(words):
                if not isinstance(word, str):
                    self.wrong(
                        f"{address}[{index}]", f"{word!r} is not a string", f'write "{word}"'
                    )
                elif "\0" in word or not (word or index):
                    self.wrong(f"{address}[{index}]", f"{word!r} cannot be a word of a command")

    def _check_placeholders(self, command: Command, key: str, address: str) -> None:
        axes = self.values.get("matrix")
        named = [_parameter(str(one)) for one in axes] if isinstance(axes, Mapping) else []
        known = ["posargs", "python", *named]
        texts = {f"{key}[{index}]": word for index, word in enumerate(command.words)}
        texts |= {f"{address}.env.{name}": text for name, text in command.env.items()}
        for place, text in texts.items():
            for match in _PLACEHOLDER.finditer(text):
                if match[2] and _parameter(match[2]) not in known:
                    hint = nearest(match[2], known) or f"as it stands it is written {{{match[0]}}}"
                    self.wrong(place, f"{match[0]} stands for nothing", hint)


def _is_code(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _as_list(text: str) -> str:
    """A line of a shell as a list of words."""
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"
