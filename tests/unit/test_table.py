"""The table of sessions: what it gives, every mistake with its address, and its JSON schema."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

import nox_envs
from nox_envs import _files
from nox_envs.declaration import Declaration, parse
from nox_envs.errors import DeclarationError, Mistake
from nox_envs.options import Options
from nox_envs.pyproject import ProjectKind, Pyproject
from nox_envs.table import FIELDS, Command, Fields, Place, Session, Table, session_of

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((Path(nox_envs.__file__).parent / "data" / "schema.json").read_text())


def no_snippet(spec: str, trail: tuple[str, ...]) -> Fields:
    mistake = Mistake(address="", problem=f"there is no {spec}")
    raise DeclarationError(where="snippets", mistakes=(mistake,))


def read(text: str, **options: Any) -> Table:
    data = _files.parse_toml(text)["tool"]["nox-envs"]
    return Table.of(
        data,
        source="pyproject.toml",
        prefix="tool.nox-envs.",
        lookup=options.get("lookup", no_snippet),
        campaigns=True,
    )


def session(
    text: str, name: str = "test", pyproject: Pyproject | None = None, **options: Any
) -> Session:
    table = read(text, **options)
    found, mistakes = session_of(name, table.merged(name), pyproject)
    assert not [*table.mistakes, *mistakes]
    return found


def mistakes(text: str) -> list[Mistake]:
    """All that is wrong in a table, as a noxfile is told."""
    table = read(text)
    found: list[Mistake] = []
    for name in table.sessions.keys() - table.templates():
        one, wrong = session_of(name, table.merged(name), None)
        found += wrong
        try:
            parse(name, one.options, where="")
        except DeclarationError as error:
            found += [one.mistake(each) for each in error.mistakes]
    return [*table.mistakes, *found]


# -- what it gives --------------------------------------------------------------------


def test_the_fields_are_those_of_the_decorator() -> None:
    found = session("""
        [tool.nox-envs.sessions.test]
        python = ["3.11", "3.12"]
        dependencies = "six"
        install = ["flask", "six"]
        matrix = { django = ["4.2"] }
        tags = ["quick"]
        run = [["pytest", "-q"], ["true"]]
        """)
    assert found.options == {
        "python": ["3.11", "3.12"],
        "dependencies": ["six", "flask"],
        "matrix": {"django": ["4.2"]},
        "tags": ["quick"],
    }
    assert found.commands == (Command(words=("pytest", "-q")), Command(words=("true",)))
    assert found.description == "pytest -q"
    assert found.function is None


def test_a_description_says_more_than_the_first_command() -> None:
    text = '[tool.nox-envs.sessions.test]\ndescription = "Test it."\nrun = [["pytest"]]'
    assert session(text).description == "Test it."


def test_the_first_command_is_shown_as_it_is_written() -> None:
    text = '[tool.nox-envs.sessions.test]\nrun = [["pytest", "-k", "a b", "{posargs}"]]'
    assert session(text).description == "pytest -k 'a b' {posargs}"


def test_no_commands_are_an_environment_to_work_in() -> None:
    found = session("[tool.nox-envs.sessions.test]\nrun = []")
    assert found.commands == ()
    assert found.description == "Make the environment to work in."


def test_own_fields_win_over_what_is_extended_and_later_ones_over_earlier() -> None:
    found = session("""
        [tool.nox-envs.sessions.old]
        python = ["3.9"]
        timeout = 1
        env = { A = "old", B = "old", C = "old" }
        [tool.nox-envs.sessions.new]
        timeout = 2
        dependencies = ["new"]
        env = { A = "new", B = "new" }
        description = "New."
        run = [["new"]]
        [tool.nox-envs.sessions.test]
        extends = ["old", "new"]
        dependencies = ["own"]
        env = { A = "own" }
        """)
    assert found.options == {
        "python": ["3.9"],
        "timeout": 2,
        "dependencies": ["own"],
        "env": {"A": "own", "B": "new", "C": "old"},
    }
    assert found.commands == (Command(words=("new",)),)
    assert found.description == "New."


def test_a_description_is_of_its_commands() -> None:
    found = session("""
        [tool.nox-envs.sessions.base]
        description = "Base."
        run = [["base"]]
        [tool.nox-envs.sessions.test]
        extends = "base"
        run = [["other"]]
        """)
    assert found.description == "other"


def test_what_runs_nothing_and_is_extended_is_no_session() -> None:
    table = read("""
        [tool.nox-envs.sessions.base]
        python = ["3.11"]
        [tool.nox-envs.sessions.test]
        extends = "base"
        run = [["pytest"]]
        [tool.nox-envs.sessions.more]
        extends = "test"
        """)
    assert table.templates() == {"base"}


def test_a_session_may_extend_the_snippet_of_its_own_name() -> None:
    def lookup(spec: str, trail: tuple[str, ...]) -> Fields:
        assert (spec, trail) == ("test", ("tool.nox-envs.sessions.test",))
        place = Place(source="acme:test", prefix="acme, sessions.test.")
        return Fields.at({"run": [["shared"]], "timeout": 5}, place)

    text = '[tool.nox-envs.sessions.test]\nextends = "test"\ndependencies = ["six"]'
    found = session(text, lookup=lookup)
    assert found.commands == (Command(words=("shared",)),)
    assert found.declared_in["timeout"] == ("acme:test",)
    assert found.declared_in["dependencies"] == ("pyproject.toml",)
    mistake = found.mistake(Mistake(address="timeout", problem="is False"))
    assert mistake == Mistake(address="acme, sessions.test.timeout", problem="is false")


def test_what_only_extends_its_own_name_is_no_template() -> None:
    def lookup(*_: Any) -> Fields:
        return Fields.at({"timeout": 5}, Place(source="acme", prefix="acme, sessions.test."))

    table = read('[tool.nox-envs.sessions.test]\nextends = "test"', lookup=lookup)
    assert table.templates() == set()


def test_what_is_installed_besides_stands_elsewhere() -> None:
    def lookup(*_: Any) -> Fields:
        values = {"dependencies": ["six"], "run": []}
        return Fields.at(values, Place(source="acme", prefix="acme, sessions.web."))

    text = '[tool.nox-envs.sessions.test]\nextends = "acme:web"\ninstall = ["flask"]'
    found = session(text, lookup=lookup)
    assert found.options["dependencies"] == ["six", "flask"]
    assert found.declared_in["dependencies"] == ("pyproject.toml", "acme")


PACKAGE = "[project]\nname = 'demo'\n[build-system]\nrequires = []\n"


@pytest.mark.parametrize(
    ("pyproject", "there", "expected"),
    [
        (None, ["a.txt"], {"requirements": ["a.txt"]}),
        (None, [], {}),
        ("[tool.ruff]", ["b.txt"], {"requirements": ["b.txt"]}),
        (None, ["a.txt", "setup.py"], {"project": "editable"}),
        (PACKAGE, ["a.txt"], {"project": "editable"}),
        ("[project]\nname = 'demo'", ["a.txt", "setup.py"], {}),
    ],
)
def test_what_stands_for_a_project_is_what_there_is(
    pyproject: str | None, there: list[str], expected: dict[str, Any]
) -> None:
    fields = 'optional_project = "editable"\noptional_requirements = ["a.txt", "b.txt"]'
    table = read(f"[tool.nox-envs.sessions.test]\nrun = []\n{fields}")
    known = None if pyproject is None else Pyproject.from_dict(_files.parse_toml(pyproject))
    found, wrong = session_of("test", table.merged("test"), known, has=there.__contains__)
    assert (found.options, wrong) == (expected, [])
    more = read(
        f'[tool.nox-envs.sessions.test]\nrun = []\nproject = false\nrequirements = "c"\n{fields}'
    )
    found, _ = session_of("test", more.merged("test"), known, has=there.__contains__)
    assert found.options == {"project": False, "requirements": "c"}


def test_beside_a_lock_no_requirements_stand_for_a_project() -> None:
    text = """
        [tool.nox-envs.sessions.test]
        run = []
        lock = "uv.lock"
        optional_project = "editable"
        optional_requirements = ["a.txt"]
        """
    table = read(text)
    known = Pyproject.from_dict(_files.parse_toml(PACKAGE))
    for pyproject, there, expected in (
        (known, ["a.txt"], {"project": "editable"}),
        (None, ["a.txt", "setup.py"], {"project": "editable"}),
        (None, ["a.txt"], {}),
    ):
        found, wrong = session_of("test", table.merged("test"), pyproject, has=there.__contains__)
        assert (found.options, wrong) == ({"lock": "uv.lock", **expected}, [])


def test_optional_groups_are_no_categories_of_a_lock() -> None:
    pyproject = Pyproject.from_dict({"dependency-groups": {"dev": []}})
    text = """
        [tool.nox-envs.sessions.test]
        run = []
        lock = "Pipfile.lock"
        optional_groups = ["*"]
        """
    assert session(text, pyproject=pyproject).options == {"lock": "Pipfile.lock"}


def test_optional_groups_are_those_that_are_declared() -> None:
    pyproject = Pyproject.from_dict({"dependency-groups": {"Test_All": [], "docs": [], "dev": []}})
    text = """
        [tool.nox-envs.sessions.test]
        groups = ["docs"]
        optional_groups = ["test-*", "docs", "absent"]
        run = []
        """
    assert session(text, pyproject=pyproject).options["groups"] == ["docs", "Test_All"]


def test_a_function_runs_unless_a_table_says_what_does() -> None:
    def shared(session: Any) -> None:
        """Shared."""

    function = Fields.at({"timeout": 3}, Place(source="s.py", prefix="s.py:shared, "), shared)

    def lookup(*_: Any) -> Fields:
        return function

    found = session('[tool.nox-envs.sessions.test]\nextends = "s.py"', lookup=lookup)
    assert (found.function, found.description) == (shared, "Shared.")
    own = '[tool.nox-envs.sessions.test]\nextends = "s.py"\nrun = [["x"]]'
    found = session(own, lookup=lookup)
    assert (found.function, found.description, found.commands[0].words) == (None, "x", ("x",))
    base = Fields.at({"run": [["x"]]}, Place(source="", prefix=""))
    assert session_of("s", function.over(base), None)[0].function is shared


# -- placeholders ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("{posargs}", ["-k", "a b"]),
        ("x={posargs}", ["x=-k 'a b'"]),
        ("{python}", ["3.11"]),
        ("py{python}-{django}", ["py3.11-4.2"]),
        ("{importlib-metadata}", ["8"]),
        ("{importlib_metadata}", ["8"]),
        ("{{python}}", ["{python}"]),
        ("print({'a': {}}, {0})", ["print({'a': {}}, {0})"]),
        ("", [""]),
    ],
)
def test_placeholders(word: str, words: list[str]) -> None:
    told = {"python": "3.11", "django": "4.2", "importlib_metadata": "8"}
    command = Command(words=("run", word), env={"V": "{python}"})
    filled = command.filled(told, ["-k", "a b"])
    assert filled.words == ("run", *words)
    assert filled.env == {"V": "3.11"}


def test_what_a_session_has_to_be_told() -> None:
    found = session("""
        [tool.nox-envs.sessions.test]
        matrix = { importlib-metadata = ["8"], six = ["1.16"] }
        run = [["x", "{importlib-metadata}{{y}}"], { command = ["z"], env = { V = "{posargs}" } }]
        """)
    assert found.placeholders == {"importlib_metadata", "posargs"}


# -- mistakes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extends", "own", "expected"),
    [
        ('["base"]', "", {"install", "dependencies"}),
        ('["base", "acme:web"]', "", {"install"}),
        ('["acme:web", "base"]', "", {"install", "dependencies"}),
        ('["base", "acme:web"]', 'dependencies = ["six"]', {"install", "dependencies"}),
        ('"acme:web"', "", set()),
    ],
)
def test_what_a_table_asks_for_itself(extends: str, own: str, expected: set[str]) -> None:
    def lookup(spec: str, trail: tuple[str, ...]) -> Fields:
        place = Place(source="acme", prefix="acme, sessions.web.")
        return Fields.at({"dependencies": ["flask"]}, place)

    text = f"""
        [tool.nox-envs.sessions.base]
        install = "attrs"
        dependencies = ["flask<2"]
        [tool.nox-envs.sessions.test]
        extends = {extends}
        run = []
        {own}
        """
    declared_in = session(text, lookup=lookup).declared_in
    found = Declaration(name="test", declared_in=declared_in)
    assert found.asked_in("pyproject.toml") == expected
    assert found.asked_in("acme") == ({"dependencies"} - expected)


RUN = 'run = [["x"]]'
WRONG: list[tuple[str, str, bool]] = [
    # What stands in `[tool.nox-envs.sessions.test]`, the address, and whether the schema can tell.
    (f"pyhton = ['3.11']\n{RUN}", "pyhton", True),
    (f"py = '3.11'\n{RUN}", "py", True),
    (f"name = 'other'\n{RUN}", "name", True),
    (f"python = ['3.11', '3.12', 3.13]\n{RUN}", "python[2]", True),
    (f"python = false\n{RUN}", "python", True),
    (f"matrix = {{ django = ['4.2', 5.2] }}\n{RUN}", "matrix.django[1]", True),
    (f"matrix = {{ 'zope.interface' = [5] }}\n{RUN}", 'matrix."zope.interface"[0]', True),
    (f"matrix = ['django']\n{RUN}", "matrix", True),
    (f"exclude = [{{ python = 3.11 }}]\n{RUN}", "exclude[0].python", True),
    (f"exclude = [{{ djngo = '4.2' }}]\n{RUN}", "exclude[0].djngo", False),
    (f"env = {{ A = 1 }}\n{RUN}", "env.A", True),
    (f"project = 'weel'\n{RUN}", "project", True),
    (f"project = true\n{RUN}", "project", True),
    (f"resolution = 'highst'\n{RUN}", "resolution", True),
    (f"locked = 'yes'\n{RUN}", "locked", True),
    (f"lock = 'my.lock'\n{RUN}", "lock", True),
    (f"timeout = -1\n{RUN}", "timeout", True),
    (f"cooldown = 'soon'\n{RUN}", "cooldown", True),
    (f"isolation = 'copies'\n{RUN}", "isolation", True),
    (f"tree = 'own'\n{RUN}", "tree", True),
    (f"build = [1]\n{RUN}", "build[0]", True),
    (f"venv_backend = 'conda'\n{RUN}", "venv_backend", True),
    (f"dependencies = ['six', '-r x.txt']\n{RUN}", "dependencies[1]", False),
    (f"install = ['six', '-r x.txt']\n{RUN}", "install[1]", False),
    (f"install = [1]\n{RUN}", "install[0]", True),
    (f"optional_groups = [1]\n{RUN}", "optional_groups[0]", True),
    (f"optional_requirements = [1]\n{RUN}", "optional_requirements[0]", True),
    (f"optional_project = 1\n{RUN}", "optional_project", True),
    (f"optional_project = ['wheel']\n{RUN}", "optional_project", True),
    (f"description = 1\n{RUN}", "description", True),
    (f"extends = [1]\n{RUN}", "extends[0]", True),
    (f"extends = 'absent'\n{RUN}", "extends", False),
    (f"extends = ['absent']\n{RUN}", "extends[0]", False),
    (f"extends = 'test'\n{RUN}", "extends", False),
    ("", "run", False),
    ("run = 'pytest -q'", "run", True),
    ("run = ['pytest', '-q']", "run", True),
    ("run = [['pytest'], 'pytest -q']", "run[1]", True),
    ("run = [[]]", "run[0]", True),
    ("run = [['']]", "run[0][0]", False),
    ("run = [['pytest', 3]]", "run[0][1]", True),
    ("run = [['pytest', '{posrgs}']]", "run[0][1]", False),
    ("run = [['pytest', '{django}']]", "run[0][1]", False),
    ("run = [{ command = ['pytest', '{x}'] }]", "run[0].command[1]", False),
    ("run = [{ command = 'pytest' }]", "run[0].command", True),
    ("run = [{ command = ['x'], evn = { A = '1' } }]", "run[0].evn", True),
    ("run = [{ env = { A = '1' } }]", "run[0].command", True),
    ("run = [{ command = ['x'], env = { A = 1 } }]", "run[0].env", True),
    ("run = [{ command = ['x'], env = { A = '{y}' } }]", "run[0].env.A", False),
    ("run = [{ command = ['x'], success-codes = ['0'] }]", "run[0].success-codes", True),
    ("run = [{ command = ['x'], success-codes = [true] }]", "run[0].success-codes", True),
]


@pytest.mark.parametrize(("text", "address", "seen"), WRONG)
def test_a_mistake_has_its_address(text: str, address: str, seen: bool) -> None:  # noqa: FBT001
    text = f"[tool.nox-envs.sessions.test]\n{text}"
    assert [one.address for one in mistakes(text)] == [f"tool.nox-envs.sessions.test.{address}"]
    assert is_valid(_files.parse_toml(text)["tool"]["nox-envs"]) is not seen


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("[tool.nox-envs]\npython = '3.11'", "tool.nox-envs.python"),
        ("[tool.nox-envs]\nsesions = {}", "tool.nox-envs.sesions"),
        ("[tool.nox-envs]\nsessions = 1", "tool.nox-envs.sessions"),
        ("[tool]\nnox-envs = 1", "tool.nox-envs"),
        ("[tool.nox-envs.sessions]\ntest = 1", "tool.nox-envs.sessions.test"),
        ("[tool.nox-envs.sessions.'']\nrun = []", 'tool.nox-envs.sessions.""'),
        ("[tool.nox-envs]\ncampaigns = 1", "tool.nox-envs.campaigns"),
        ("[tool.nox-envs]\ncampaigns = [1]", "tool.nox-envs.campaigns[0]"),
    ],
)
def test_a_mistake_of_the_table_has_its_address(text: str, address: str) -> None:
    assert [one.address for one in mistakes(text)] == [address]
    assert not is_valid(_files.parse_toml(text)["tool"]["nox-envs"])


def test_campaigns_are_of_sessions_that_run() -> None:
    text = """
        [tool.nox-envs]
        campaigns = ["test", "tset", "base"]
        [tool.nox-envs.sessions.base]
        [tool.nox-envs.sessions.test]
        extends = "base"
        run = [["x"]]
        """
    found = mistakes(text)
    addresses = [one.address for one in found]
    assert addresses == ["tool.nox-envs.campaigns[1]", "tool.nox-envs.campaigns[2]"]
    assert found[0].hint == "did you mean test?"
    assert read(text).campaigns == ("test", "tset", "base")


def test_a_session_of_the_table_may_have_been_meant() -> None:
    text = """
        [tool.nox-envs.sessions.test]
        run = [["x"]]
        [tool.nox-envs.sessions.more]
        extends = "{}"
        """

    def lookup(spec: str, _: object) -> Fields:
        mistake = Mistake(address="", problem=f"no {spec}", hint="did you mean tests?")
        raise DeclarationError(where="snippets", mistakes=(mistake,))

    for extended, hint in (("tset", "test"), ("testss", "tests")):
        table = read(text.format(extended), lookup=lookup)
        table.merged("more")
        assert [one.hint for one in table.mistakes] == [f"did you mean {hint}?"]


def test_what_is_extended_has_its_mistakes_where_they_stand() -> None:
    found = mistakes("""
        [tool.nox-envs.sessions.base]
        python = [3.1]
        timeout = 5
        env = { A = 1 }
        [tool.nox-envs.sessions.test]
        extends = "base"
        env = { B = 2 }
        timeout = 0
        run = [["x"]]
        """)
    assert {one.address for one in found} == {
        "tool.nox-envs.sessions.base.python[0]",
        "tool.nox-envs.sessions.base.env.A",
        "tool.nox-envs.sessions.test.env.B",
        "tool.nox-envs.sessions.test.timeout",
    }


def test_sessions_that_extend_each_other_are_mistakes() -> None:
    found = mistakes("""
        [tool.nox-envs.sessions.a]
        extends = "b"
        [tool.nox-envs.sessions.b]
        extends = ["c"]
        run = []
        [tool.nox-envs.sessions.c]
        extends = "a"
        """)
    told = {one.address: (one.problem, one.hint) for one in found}
    circle = "goes round in a circle"
    assert told["tool.nox-envs.sessions.c.extends"] == (circle, "a -> b -> c -> a")
    assert {problem for problem, _ in told.values()} == {circle}


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("run = 'pytest -q'", 'write run = [["pytest", "-q"]]'),
        ("run = ['pytest', '-q']", 'write run = [["pytest", "-q"]]'),
        ("run = ['pytest -q']", 'write run = [["pytest", "-q"]]'),
        ("run = [['x'], 'pytest -q']", 'write ["pytest", "-q"]'),
        ("run = [['x', '{posrgs}']]", "did you mean posargs?"),
        ("run = [['x', '{HOME}']]", "as it stands it is written {{HOME}}"),
        ("rnu = []\nrun = []", "did you mean run?"),
        ("env_flie = 'x'\nrun = []", "did you mean env_file?"),
        ("env = ['A']\nrun = []", 'write {NAME = "value"}'),
        ("exclude = ['A']\nrun = []", 'write {python = "<3.12", django = "6.0"}'),
    ],
)
def test_a_mistake_says_what_to_write(text: str, hint: str) -> None:
    (found,) = mistakes(f"[tool.nox-envs.sessions.test]\n{text}")
    assert found.hint == hint


# -- the schema -----------------------------------------------------------------------


def is_valid(value: Any, schema: Any = SCHEMA) -> bool:
    """Whether a JSON schema admits a value, as far as ours says anything."""
    words = schema.keys() - {"$schema", "$defs", "title", "description"}
    assert words <= KEYWORDS.keys()
    return all(KEYWORDS[word](value, schema) for word in words)


def _is_of_type(value: Any, schema: Any) -> bool:
    kinds = {
        "object": dict, "array": list, "string": str, "boolean": bool, "integer": int,
        "number": int | float,
    }  # fmt: skip
    if isinstance(value, bool):
        return bool(schema["type"] == "boolean")
    return isinstance(value, kinds[schema["type"]])


def _properties(value: Any, schema: Any) -> bool:
    if not isinstance(value, dict):
        return True
    named, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    return all(
        is_valid(item, named[key])
        if key in named
        else others and (others is True or is_valid(item, others))
        for key, item in value.items()
    )


KEYWORDS: dict[str, Any] = {
    "$ref": lambda value, schema: is_valid(
        value, SCHEMA["$defs"][schema["$ref"].removeprefix("#/$defs/")]
    ),
    "type": _is_of_type,
    "enum": lambda value, schema: (
        any(value is one or value == one for one in schema["enum"]) and value is not True
    ),
    "anyOf": lambda value, schema: any(is_valid(value, one) for one in schema["anyOf"]),
    "items": lambda value, schema: (
        not isinstance(value, list) or all(is_valid(one, schema["items"]) for one in value)
    ),
    "properties": _properties,
    "additionalProperties": _properties,
    "propertyNames": lambda value, schema: (
        not isinstance(value, dict) or all(is_valid(key, schema["propertyNames"]) for key in value)
    ),
    "required": lambda value, schema: (
        not isinstance(value, dict) or all(key in value for key in schema["required"])
    ),
    "minProperties": lambda value, schema: (
        not isinstance(value, dict) or len(value) >= schema["minProperties"]
    ),
    "minItems": lambda value, schema: (
        not isinstance(value, list) or len(value) >= schema["minItems"]
    ),
    "minLength": lambda value, schema: (
        not isinstance(value, str) or len(value) >= schema["minLength"]
    ),
    "pattern": lambda value, schema: (
        not isinstance(value, str) or re.search(schema["pattern"], value) is not None
    ),
    "exclusiveMinimum": lambda value, schema: (
        not isinstance(value, int | float) or value > schema["exclusiveMinimum"]
    ),
    "maximum": lambda value, schema: (
        not isinstance(value, int | float) or value <= schema["maximum"]
    ),
}


def test_the_schema_knows_every_field() -> None:
    fields = SCHEMA["$defs"]["session"]["properties"]
    assert sorted(fields) == sorted(FIELDS)
    assert all(one["description"] for one in fields.values())


@pytest.mark.parametrize("name", ["resolution", "isolation", "tree", "project", "download_python"])
def test_the_schema_knows_every_choice(name: str) -> None:
    def choices(hint: Any) -> set[Any]:
        inner = get_args(hint)
        return {one for each in inner for one in choices(each)} if inner else {hint}

    wanted = choices(get_type_hints(Options, localns={"ProjectKind": ProjectKind})[name]) - {
        type(None)
    }
    assert set(SCHEMA["$defs"]["session"]["properties"][name]["enum"]) == wanted


def test_the_examples_of_the_docs_are_valid() -> None:
    found = 0
    for page in (ROOT / "docs").glob("*.md"):
        for block in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            if "tool.nox-envs" not in block and "[sessions." not in block:
                continue
            data = _files.parse_toml(block)
            table = data["tool"]["nox-envs"] if "tool" in data else data
            assert is_valid(table), block
            found += 1
    assert found


def test_the_built_in_snippets_are_valid() -> None:
    path = Path(nox_envs.__file__).parent / "data" / "snippets.toml"
    assert is_valid(_files.read_toml(path))
