"""Snippets: where they are found, what they say, and what is said where they are not."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

import nox_envs
from nox_envs.declaration import Declaration
from nox_envs.errors import DeclarationError
from nox_envs.gather import Noxfile
from nox_envs.snippets import MARK, Snippet, Snippets
from nox_envs.table import session_of

if TYPE_CHECKING:
    from pathlib import Path

FUNCTIONS = '''
    import nox_envs

    @nox_envs.snippet(timeout=5)
    def web(session):
        """Web."""

    @nox_envs.snippet
    def api(session): ...

    def helper(session): ...
    '''
TABLE = """
    [sessions.web]
    python = ["3.11"]
    dependencies = ["six"]
    run = [["web"]]
    [sessions.base]
    timeout = 3
    [sessions.api]
    extends = "base"
    run = [["api"]]
    """


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The directory of a noxfile."""
    path = tmp_path / "project"
    path.mkdir()
    return path


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of packages, one of which offers snippets in every way."""
    site = tmp_path / "site"
    source = textwrap.dedent(FUNCTIONS) + textwrap.dedent("""
        from importlib.resources import files
        TEXT = "snippets.toml"
        RESOURCE = files(__package__) / "snippets.toml"
        DATA = {"sessions": {"web": {"run": [["data"]]}}}
        NUMBER = 3
        GONE = "gone.toml"
        """)
    write(site / "acme_offer" / "__init__.py", source)
    write(site / "acme_offer" / "snippets.toml", TABLE)
    offer(
        site, "acme_offer",
        text="acme_offer:TEXT", resource="acme_offer:RESOURCE", data="acme_offer:DATA",
        module="acme_offer", function="acme_offer:web", unmarked="acme_offer:helper",
        number="acme_offer:NUMBER", gone="acme_offer:GONE", lint="acme_offer:TEXT",
    )  # fmt: skip
    monkeypatch.syspath_prepend(str(site))
    return site


def offer(site: Path, name: str, **entries: str) -> None:
    info = site / f"{name}-1.0.dist-info"
    write(info / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{key} = {value}" for key, value in entries.items()]
    write(info / "entry_points.txt", "\n".join(["[nox_envs.snippets]", *lines]))


def found(base: Path, spec: str) -> list[str]:
    return [one.source for one in Snippets(base=base).find(spec)]


def only(base: Path, spec: str) -> Snippet:
    (one,) = Snippets(base=base).find(spec)
    return one


def refused(base: Path, spec: str) -> list[str]:
    with pytest.raises(DeclarationError) as caught:
        Snippets(base=base).find(spec)
    return [f"{one.address}: {one.problem}" for one in caught.value.mistakes]


def hint(base: Path, spec: str) -> str:
    with pytest.raises(DeclarationError) as caught:
        Snippets(base=base).find(spec)
    return caught.value.mistakes[0].hint


# -- where ----------------------------------------------------------------------------


def test_the_built_in_ones(base: Path) -> None:
    names = ["tests", "lint", "types", "docs", "build", "floors", "dev"]
    assert found(base, "nox-envs") == [f"nox-envs:{name}" for name in names]
    for name in names:
        one = only(base, name)
        assert (one.name, one.source) == (name, f"nox-envs:{name}")
        assert one == only(base, f"nox-envs:{name}")
        session, mistakes = session_of(name, one.fields, None)
        assert not mistakes
        assert session.description.endswith(".")


def test_floors_are_tests_with_other_releases(base: Path) -> None:
    floors, tests = only(base, "floors").fields.values, only(base, "tests").fields.values
    assert floors["resolution"] == "lowest-direct"
    changed = {key for key in floors if floors[key] != tests.get(key)}
    assert changed == {"extends", "resolution", "description"}


@pytest.mark.parametrize("where", ["shared.toml", "sub/shared.toml", "../shared.toml"])
def test_a_file_by_its_path(base: Path, where: str) -> None:
    write(base / where, TABLE)
    assert found(base, where) == [f"{where}:web", f"{where}:api"]
    assert only(base, f"{where}:api").fields.values["timeout"] == 3
    place = only(base, f"./{where}:web").fields.places["dependencies"]
    assert (place.source, place.prefix) == (where, f"{where}, sessions.web.")


def test_functions_of_a_file_and_nothing_is_written_beside_it(base: Path) -> None:
    write(base / "shared.py", FUNCTIONS)
    assert found(base, "shared.py") == ["shared.py:web", "shared.py:api"]
    web = only(base, "shared.py:web").fields
    assert web.values == {"timeout": 5}
    assert web.function is not None
    assert web.function.__doc__ == "Web."
    # One that is named need not be marked.
    assert only(base, "shared.py:helper").fields.values == {}
    assert [path.name for path in base.iterdir()] == ["shared.py"]


def test_paths_in_a_file_are_relative_to_it(base: Path) -> None:
    write(base / "a" / "one.toml", '[sessions.web]\nextends = "../b/two.toml:web"\ntimeout = 1')
    write(base / "b" / "two.toml", '[sessions.web]\nextends = "three.toml"\nlocked = true')
    write(base / "b" / "three.toml", "[sessions.x]\nrun = [['x']]")
    assert only(base, "a/one.toml").fields.values == {
        "extends": "../b/two.toml:web",
        "timeout": 1,
        "locked": True,
        "run": [["x"]],
    }


def test_a_function_may_extend_what_lies_beside_it(base: Path) -> None:
    source = """
        import nox_envs

        @nox_envs.snippet(extends="shared.toml:web", timeout=1)
        def web(session): ...
        """
    write(base / "a" / "shared.toml", TABLE)
    write(base / "a" / "shared.py", source)
    fields = only(base, "a/shared.py").fields
    assert fields.values["python"] == ["3.11"]
    assert "run" not in fields.values
    assert fields.function is not None


@pytest.mark.parametrize(
    ("spec", "sources"),
    [
        ("text", ["text:web", "text:api"]),
        ("text:api", ["text:api"]),
        ("resource", ["resource:web", "resource:api"]),
        ("data", ["data:web"]),
        ("module", ["module:web", "module:api"]),
        ("function", ["function:web"]),
        ("unmarked", ["unmarked:helper"]),
        ("lint", ["nox-envs:lint"]),
        ("lint:web", ["lint:web"]),
    ],
)
def test_a_package_by_its_entry_point(
    base: Path, package: Path, spec: str, sources: list[str]
) -> None:
    assert found(base, spec) == sources


def test_nothing_is_loaded_that_is_not_named(base: Path, tmp_path: Path, package: Path) -> None:
    write(package / "explosive.py", "raise AssertionError('it was loaded')")
    offer(package, "explosive", boom="explosive:TEXT")
    assert found(base, "text:web") == ["text:web"]
    with pytest.raises(DeclarationError, match="it was loaded"):
        Snippets(base=base).find("boom")


# -- mistakes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("tets", "no package here offers snippets as tets"),
        ("", "no package here offers snippets as "),
        ("gone.toml", "gone.toml does not exist"),
        ("gone.py:web", "gone.py does not exist"),
        ("text:wbe", "text has no session wbe"),
        ("nox-envs:tets", "nox-envs has no session tets"),
        ("number", "acme_offer:NUMBER is neither a function, a module, a table nor a TOML file"),
        ("gone", "acme_offer:GONE cannot be read: No such file or directory"),
        ("twice", "one and two both offer snippets as twice"),
    ],
)
def test_what_is_not_there(base: Path, package: Path, spec: str, problem: str) -> None:
    offer(package, "one", twice="acme_offer:TEXT")
    offer(package, "two", twice="acme_offer:TEXT")
    assert refused(base, spec) == [f": {problem}"]


def test_the_nearest_name_is_told(base: Path, package: Path) -> None:
    assert hint(base, "tets") == "did you mean tests?"
    assert hint(base, "text:wbe") == "did you mean web?"
    assert hint(base, "text:zzz") == "there is web, base, api"


def test_a_file_that_is_no_table(base: Path) -> None:
    write(base / "bad.toml", "[sessions")
    assert refused(base, "bad.toml")[0].startswith(": bad.toml is not valid TOML: ")
    write(base / "empty.toml", "")
    assert refused(base, "empty.toml") == [": empty.toml has no sessions"]
    write(base / "top.toml", 'campaigns = ["x"]\n[sessions.x]\nrun = []')
    assert refused(base, "top.toml") == ["top.toml, campaigns: is not known"]


def test_a_file_that_is_not_utf_8(base: Path) -> None:
    (base / "x.toml").write_bytes(b'[sessions.a]\ndescription = "\xff"\n')
    (problem,) = refused(base, "x.toml")
    assert problem.startswith(": x.toml is not valid TOML")


@pytest.mark.parametrize("text", ["1 / 0", "import nowhere_at_all", "def ("])
def test_code_that_fails_is_a_mistake(base: Path, tmp_path: Path, package: Path, text: str) -> None:
    write(base / "x.py", text)
    (problem,) = refused(base, "x.py:web")
    assert problem.startswith(": x.py cannot be imported: ")
    write(tmp_path / "site" / "broken_offer.py", text)
    offer(package, "broken", broken="broken_offer:web")
    (problem,) = refused(base, "broken")
    assert problem.startswith(": broken cannot be imported: ")


def test_all_mistakes_of_a_snippet_have_their_place(base: Path) -> None:
    write(base / "bad.toml", '[sessions.x]\nextends = "gone"\nrnu = []\ntimeot = 1')
    assert refused(base, "bad.toml:x") == [
        "bad.toml, sessions.x.rnu: is not known",
        "bad.toml, sessions.x.timeot: is not known",
        "bad.toml, sessions.x.extends: no package here offers snippets as gone",
    ]
    source = "import nox_envs\n@nox_envs.snippet(timeot=1)\ndef web(session): ..."
    write(base / "bad.py", source)
    assert refused(base, "bad.py") == ["bad.py:web, timeot: is not known"]


def test_what_is_extended_is_one_session(base: Path) -> None:
    write(base / "many.toml", TABLE)
    write(base / "one.toml", '[sessions.x]\nextends = "many.toml"')
    assert refused(base, "one.toml") == [
        "one.toml, sessions.x.extends: many.toml is several sessions"
    ]
    assert hint(base, "one.toml") == "name one of them: many.toml:web, many.toml:api"


def test_files_that_extend_each_other_are_mistakes(base: Path) -> None:
    write(base / "a.toml", '[sessions.x]\nextends = "b.toml"')
    write(base / "b.toml", '[sessions.y]\nextends = "a.toml:x"')
    for spec in ("a.toml", "a.toml:x", "b.toml"):
        assert any("goes round in a circle" in one for one in refused(base, spec))


# -- the marker -----------------------------------------------------------------------


def test_a_marked_function_is_a_function_as_before() -> None:
    def web(session: object) -> str:
        return "ran"

    assert nox_envs.snippet(web) is web
    assert nox_envs.snippet(timeout=3)(web) is web
    assert getattr(web, MARK) == {"timeout": 3}
    assert web(None) == "ran"


# -- where a requirement is declared --------------------------------------------------

PYPROJECT = """\
[project]
dependencies = ["six"]
[tool.nox-envs.sessions.other]
dependencies = ["six"]
[tool.nox-envs.sessions.test]
run = [["six"]]
install = ["flask"]
dependencies = [
  'six',
]
[tool.nox-envs.sessions.base]
constraints = ["c.txt"]
"""


@pytest.mark.parametrize(
    ("parameter", "text", "sources", "place"),
    [
        ("dependencies", "six", ("pyproject.toml",), "pyproject.toml:9"),
        ("dependencies", "flask", ("pyproject.toml",), "pyproject.toml:7"),
        ("constraints", "c.txt", ("pyproject.toml",), "pyproject.toml:12"),
        ("dependencies", "absent", ("pyproject.toml",), "pyproject.toml"),
        ("dependencies", "six", ("", "acme:test"), "noxfile.py:2"),
        ("dependencies", "absent", ("", "acme:test"), "acme:test"),
        ("dependencies", "absent", ("acme:test", ""), "noxfile.py:1"),
    ],
)
def test_the_line_of_a_literal_that_is_not_in_the_noxfile(
    base: Path, parameter: str, text: str, sources: tuple[str, ...], place: str
) -> None:
    write(base / "pyproject.toml", PYPROJECT)
    noxfile = Noxfile(path=write(base / "noxfile.py", 'use("tests",\n"six")'), line=1)
    declared = Declaration(name="test", declared_in={parameter: sources})
    origin = noxfile.origin(parameter, text, declaration=declared)
    assert str(origin) == f'{place}   {parameter}=["{text}"]'
