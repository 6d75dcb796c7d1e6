"""What a cell asks for: every request with its line, and a digest over all that is declared."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.utils import canonicalize_name
from packaging.version import Version

from nox_envs import matrix
from nox_envs.declaration import parse
from nox_envs.errors import DeclarationError, FileMissing
from nox_envs.gather import Gathered, Noxfile, gather, read_pyproject
from nox_envs.interpreter import Interpreter

if TYPE_CHECKING:
    from nox_envs.resolve.requests import Request

PYTHON = Interpreter(
    path=Path("/env/bin/python"), version="3.11.7", prefix=Path("/env"), base_prefix=Path("/usr"),
    purelib=Path("/env/lib"), platlib=Path("/env/lib"), build="cpython-311",
    markers={
        "implementation_name": "cpython", "platform_machine": "x86_64",
        "python_full_version": "3.11.7", "python_version": "3.11", "sys_platform": "linux",
    },
)  # fmt: skip


class Place:
    """A project directory; `gather` reads it for the only cell of a declaration, or for one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.line = 1
        self.write("noxfile.py", "")

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")

    @property
    def noxfile(self) -> Noxfile:
        return Noxfile(path=self.root / "noxfile.py", line=self.line)

    def gather(self, interpreter: Interpreter = PYTHON, **options: Any) -> Gathered:
        declaration = parse("test", options, where="noxfile.py:1, session test")
        labels = next(iter(matrix.combinations(declaration, None)))
        return gather(
            declaration,
            matrix.cell_of(declaration, None, labels),
            noxfile=self.noxfile,
            interpreter=interpreter,
            variables={"TOKEN": "t0ken"},
            exclude_newer=None,
        )

    def shown(self, **options: Any) -> list[tuple[str, str]]:
        return [show(request) for request in self.gather(**options).wanted.requests]

    def digest(self, **options: Any) -> str:
        return self.gather(**options).digest("")


def show(request: Request) -> tuple[str, str]:
    return str(request.requirement), str(request.origin)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# -- lines ----------------------------------------------------------------------------

NOXFILE = """\
import nox_envs

@nox_envs.session(dependencies=["six"])
def other(session): ...

@nox_envs.session(
    dependencies=[
        "six",
        'flask>=2',
    ],
    matrix={"django": ["4.2"]},
)
def test(session): ...
"""


@pytest.mark.parametrize(
    ("begins", "text", "line"),
    [(6, "six", 8), (3, "six", 3), (6, "flask>=2", 9), (6, "4.2", 11), (12, "six", 3),
     (6, "absent", 6), (6, "si", 6), (99, "six", 3)],
)  # fmt: skip
def test_the_line_of_a_literal(place: Place, begins: int, text: str, line: int) -> None:
    place.write("noxfile.py", NOXFILE)
    place.line = begins
    origin = place.noxfile.origin("dependencies", text)
    assert str(origin) == f'noxfile.py:{line}   dependencies=["{text}"]'


def test_a_noxfile_that_cannot_be_read_still_has_the_line_of_the_declaration(place: Place) -> None:
    gone = Noxfile(path=place.root / "gone.py", line=7)
    assert str(gone.origin("groups", "test", "shown")) == "gone.py:7   shown"


def test_dependencies_and_axes(place: Place) -> None:
    place.write("noxfile.py", NOXFILE)
    place.line = 6
    assert place.shown(dependencies=["six", "flask>=2"], matrix={"django": ["4.2"]}) == [
        ("six", 'noxfile.py:8   dependencies=["six"]'),
        ("flask>=2", 'noxfile.py:9   dependencies=["flask>=2"]'),
        ("django==4.2.*", 'noxfile.py:11   matrix={"django": ["4.2"]}'),
    ]


def test_what_is_not_for_the_interpreter_is_not_asked_for(place: Place) -> None:
    place.write("requirements.txt", "attrs; python_version < '3'\nsix\n")
    options = {"dependencies": ["a; sys_platform == 'win32'"], "requirements": "requirements.txt"}
    assert place.shown(**options) == [("six", "requirements.txt:2   six")]


@pytest.mark.parametrize(
    ("value", "requirement", "prerelease", "lowest"),
    [
        ("latest", "importlib-metadata", False, ()),
        ("latest-pre", "importlib-metadata>=0.dev0", True, ()),
        ("lowest", "importlib-metadata", False, ("importlib-metadata",)),
        ("<6", "importlib-metadata<6", False, ()),
    ],
)
def test_values_of_an_axis(
    place: Place, value: str, requirement: str, *, prerelease: bool, lowest: tuple[str, ...]
) -> None:
    found = place.gather(matrix={"importlib-metadata": [value]})
    (request,) = found.wanted.requests
    assert str(request.requirement) == requirement
    assert request.axis == "importlib_metadata"
    assert request.prerelease is prerelease
    assert found.lowest == lowest


def test_the_release_of_an_axis_replaces_its_request_alone(place: Place) -> None:
    found = place.gather(matrix={"django": "lowest"}, dependencies=["django>=4", "six"])
    pinned = found.with_release(canonicalize_name("django"), Version("4.0"))
    assert [str(one.requirement) for one in pinned.wanted.requests] == [
        "django>=4", "six", "django==4.0",
    ]  # fmt: skip


# -- files ----------------------------------------------------------------------------


def test_files_are_shown_relative_to_the_noxfile(place: Place) -> None:
    place.write("sub/reqs/base.txt", "# first\nsix\n-r more/extra.txt\n")
    place.write("sub/reqs/more/extra.txt", "attrs>=20\n")
    place.write("sub/limits.txt", "attrs<30\n")
    found = place.gather(directory="sub", requirements="reqs/base.txt", constraints="limits.txt")
    assert [show(one) for one in found.wanted.requirements] == [
        ("six", "sub/reqs/base.txt:2   six"),
        ("attrs>=20", "sub/reqs/more/extra.txt:1   attrs>=20"),
    ]
    assert [show(one) for one in found.wanted.constraints] == [
        ("attrs<30", "sub/limits.txt:1   attrs<30")
    ]


def test_so_is_the_project_of_another_directory(place: Place) -> None:
    place.write("sub/pyproject.toml", PYPROJECT)
    found = place.gather(directory="sub", groups="base")
    assert [show(one) for one in found.wanted.requirements] == [
        ("Foo.Bar>=2", "sub/pyproject.toml:9   Foo.Bar>=2"),
        ("six>=1", "sub/pyproject.toml:4   six>=1"),
    ]


def test_a_file_that_is_missing_is_told_with_who_asked(place: Place) -> None:
    place.write("noxfile.py", 'x\nsession(requirements=["gone.txt"])\n')
    with pytest.raises(FileMissing) as caught:
        place.gather(requirements="gone.txt")
    assert caught.value.message == "gone.txt does not exist"
    assert caught.value.asked_by == 'noxfile.py:2   requirements=["gone.txt"]'


# -- pyproject.toml -------------------------------------------------------------------

PYPROJECT = """\
[project]
name = "demo"
version = "1"
dependencies = ["six>=1", "tomli; python_version < '3.11'"]
[project.optional-dependencies]
cli = ["click>=8"]
all = ["demo[cli]"]
[dependency-groups]
base = ["Foo.Bar>=2"]
test = [
  "pytest",
  {include-group = "base"},
]
"""


def test_groups_with_their_lines(place: Place) -> None:
    place.write("pyproject.toml", PYPROJECT)
    assert place.shown(groups="test", project=False) == [
        ("pytest", "pyproject.toml:11   pytest"),
        ("Foo.Bar>=2", "pyproject.toml:9   Foo.Bar>=2"),
    ]


def test_the_dependencies_of_a_project_that_is_not_installed(place: Place) -> None:
    place.write("pyproject.toml", PYPROJECT)
    six = ("six>=1", "pyproject.toml:4   six>=1")
    assert place.shown() == [six]
    assert place.shown(extras="cli") == [six, ("click>=8", "pyproject.toml:6   click>=8")]
    assert place.shown(extras="all") == place.shown(extras="cli")
    assert place.shown(project=False) == []
    assert place.gather().sources == ()


def test_what_a_project_of_poetry_asks_for_has_its_lines(place: Place) -> None:
    text = """
        [tool.poetry.dependencies]
        python = "^3.11"
        requests = "^2.31"
        rich = { version = "*", extras = ["jupyter"] }

        [tool.poetry.group.dev.dependencies]
        "Ruamel.Yaml" = '~0.18'
        pytest = {version = "^8.0", python = ">=3.8"}
        six = "^1.0"
        """
    place.write("pyproject.toml", text)
    found = place.gather(groups="dev")
    lines = {one.requirement.name: one.origin.line for one in found.wanted.requirements}
    assert lines == {"requests": 4, "rich": 5, "Ruamel.Yaml": 8, "pytest": 9, "six": 10}


def test_a_package_is_built_and_its_dependencies_are_left_to_its_metadata(place: Place) -> None:
    place.write("pyproject.toml", PYPROJECT + "[build-system]\nrequires = []\n")
    found = place.gather(extras="cli")
    assert found.wanted.requests == ()
    assert found.project is not None
    assert found.project.path == place.root.resolve()
    assert found.installs_project
    assert found.sources == (found.project,)
    built = found.with_project(
        found.project,
        canonicalize_name("demo"),
        ["six>=1", "click>=8 ; extra == 'cli'", "new ; extra == 'cli'"],
    )
    assert [show(one) for one in built.wanted.requests] == [
        ("six>=1", "pyproject.toml:4   six>=1"),
        ("click>=8", "pyproject.toml:6   click>=8"),
        ("new", 'pyproject.toml   project="wheel"'),
        ("demo[cli]", 'pyproject.toml   project="wheel"'),
    ]


@pytest.mark.parametrize(
    ("kind", "editable", "installs"),
    [("wheel", False, True), ("editable", True, True)],
)
def test_how_the_project_takes_part(
    place: Place, kind: str, *, editable: bool, installs: bool
) -> None:
    place.write("pyproject.toml", PYPROJECT)
    found = place.gather(project=kind)
    assert found.project is not None
    assert found.project.editable is editable
    assert found.installs_project is installs


def test_dynamic_dependencies_are_asked_of_a_build(place: Place) -> None:
    place.write("pyproject.toml", "[build-system]\nrequires=[]\n")
    found = place.gather(project="dependencies")
    assert found.project is not None
    assert not found.installs_project


def test_a_project_of_setup_py_alone(place: Place) -> None:
    place.write("setup.py", "")
    assert place.gather().installs_project


def test_a_directory_without_a_project(place: Place) -> None:
    assert place.gather().project is None
    asking: list[dict[str, Any]] = [{"project": "wheel"}, {"groups": "test"}]
    for options in asking:
        with pytest.raises(FileMissing) as caught:
            place.gather(**options)
        assert caught.value.message == "pyproject.toml does not exist"


@pytest.mark.parametrize(
    ("groups", "problem"),
    [
        ('test = [{include-group = "gone"}]', "gone"),
        ('test = [{include-group = "test"}]', "yclic"),
        ('test = ["not a requirement"]', "not a requirement"),
        ("other = []", "test"),
        ("test = 5", "test"),
    ],
)
def test_groups_that_cannot_be_read(place: Place, groups: str, problem: str) -> None:
    place.write("pyproject.toml", f"[dependency-groups]\n{groups}\n")
    with pytest.raises(DeclarationError) as caught:
        place.gather(groups="test")
    assert caught.value.where == "pyproject.toml"
    assert caught.value.mistakes[0].address == "groups='test'"
    assert problem in caught.value.mistakes[0].problem


def test_dependencies_that_cannot_be_read(place: Place) -> None:
    place.write("pyproject.toml", '[project]\nname="a"\ndependencies=["a b"]\n')
    with pytest.raises(DeclarationError) as caught:
        place.gather()
    assert caught.value.mistakes[0].address == "dependencies"


def test_pyproject_that_is_no_toml(place: Place) -> None:
    assert read_pyproject(place.root) is None
    place.write("pyproject.toml", "[project\n")
    with pytest.raises(DeclarationError) as caught:
        read_pyproject(place.root)
    assert caught.value.detail.startswith("pyproject.toml: is not valid TOML: ")


# -- sources --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "requirement"),
    [
        ('{url = "https://h/six.whl"}', "six[x] @ https://h/six.whl"),
        ('{git = "https://h/six"}', "six[x] @ git+https://h/six"),
        ('{git = "https://h/six", tag = "v1"}', "six[x] @ git+https://h/six@v1"),
        (
            '{git = "https://h/six", rev = "abc", subdirectory = "sub"}',
            "six[x] @ git+https://h/six@abc#subdirectory=sub",
        ),
    ],
)
def test_sources_of_uv(place: Place, source: str, requirement: str) -> None:
    place.write("pyproject.toml", f"[tool.uv.sources]\nSix = {source}\n")
    shown = place.shown(dependencies=["six[x]>=1"])
    assert shown == [(requirement, 'noxfile.py:1   dependencies=["six[x]>=1"]')]


def test_a_source_by_path_is_a_local_project(place: Place) -> None:
    place.write("pyproject.toml", '[tool.uv.sources]\nsix = {path="../six", editable=true}\n')
    found = place.gather(dependencies=["six[x]"])
    assert found.wanted.requests == ()
    (local,) = found.wanted.locals
    assert local.path == (place.root.parent / "six").resolve()
    assert (local.editable, local.extras) == (True, frozenset({"x"}))


def test_a_source_does_not_change_an_axis(place: Place) -> None:
    place.write("pyproject.toml", '[tool.uv.sources]\nsix = {url="https://h/six.whl"}\n')
    assert place.shown(matrix={"six": "1.0"})[0][0] == "six==1.0.*"


def test_sources_that_are_not_understood_are_told_at_once(place: Place) -> None:
    place.write("pyproject.toml", '[tool.uv.sources]\na = {index="x"}\nb = {workspace=true}\n')
    with pytest.raises(DeclarationError) as caught:
        place.gather(dependencies=["a", "b", "c"])
    assert [one.address for one in caught.value.mistakes] == [
        "tool.uv.sources.a", "tool.uv.sources.b",
    ]  # fmt: skip


# -- the digest -----------------------------------------------------------------------

FULL: dict[str, Any] = {
    "dependencies": ["six>=1", "attrs"],
    "requirements": ["r.txt"],
    "constraints": ["c.txt"],
    "matrix": {"django": "4.2"},
    "groups": ["test"],
    "project": "wheel",
    "extras": ["cli"],
}


@pytest.fixture
def full(place: Place) -> Place:
    place.write("pyproject.toml", PYPROJECT)
    place.write("r.txt", f"a==1 --hash=sha256:{'a' * 64}\nb\n--index-url https://h/simple\n")
    place.write("c.txt", "b<2\n")
    return place


@pytest.mark.parametrize(
    "change",
    [
        {"dependencies": ["six>=1"]},
        {"dependencies": ["six>=2", "attrs"]},
        {"dependencies": ["six[x]>=1", "attrs"]},
        {"dependencies": ["six>=1", "attrs", "more"]},
        {"requirements": []},
        {"constraints": []},
        {"constraints": [], "requirements": ["r.txt", "c.txt"]},
        {"matrix": {"django": "5.2"}},
        {"matrix": {"django": "latest"}},
        {"matrix": {"django": "lowest"}},
        {"matrix": {"django": "latest-pre"}},
        {"groups": ["base"]},
        {"project": "editable"},
        {"project": "dependencies"},
        {"project": False, "extras": []},
        {"extras": []},
        {"extras": ["all"]},
        {"resolution": "lowest-direct"},
        {"prerelease": True},
    ],
)
def test_the_digest_changes_with_what_is_declared(full: Place, change: dict[str, Any]) -> None:
    assert full.digest(**{**FULL, **change}) != full.digest(**FULL)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("r.txt", f"a==1 --hash=sha256:{'b' * 64}\nb\n--index-url https://h/simple\n"),
        ("r.txt", f"a==1 --hash=sha256:{'a' * 64}\nb\n"),
        ("r.txt", f"a==1 --hash=sha256:{'a' * 64}\nb\n--extra-index-url https://h/simple\n"),
        ("r.txt", f"a==1 --hash=sha256:{'a' * 64}\nb\n--index-url https://h/simple\n--pre\n"),
        ("c.txt", "b<3\n"),
        ("pyproject.toml", PYPROJECT.replace('"pytest"', '"pytest>=8"')),
    ],
)
def test_the_digest_changes_with_the_files(full: Place, name: str, text: str) -> None:
    before = full.digest(**FULL)
    full.write(name, text)
    assert full.digest(**FULL) != before


def test_the_digest_changes_with_the_cooldown_and_the_interpreter(full: Place) -> None:
    found = full.gather(**FULL)
    assert found.digest("") != found.digest("7 days")
    newer = replace(PYTHON, markers={**PYTHON.markers, "python_version": "3.12"})
    assert full.gather(newer, **FULL).digest("") != found.digest("")


def test_the_digest_does_not_change_with_comments_and_places(full: Place) -> None:
    before = full.digest(**FULL)
    full.write("c.txt", "# why\n\nb<2   # really\n")
    full.write("noxfile.py", "\n" * 9)
    full.line = 5
    assert full.digest(**FULL, env={"A": "b"}, timeout=3) == before


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_digest_does_not_change_with_the_order(full: Place, data: st.DataObject) -> None:
    before = full.digest(**FULL)
    lines = [f"a==1 --hash=sha256:{'a' * 64}", "b", "--index-url https://h/simple"]
    full.write("r.txt", "\n".join(data.draw(st.permutations(lines))))
    full.write("c.txt", "b<2\n")
    shuffled = {**FULL, "dependencies": data.draw(st.permutations(FULL["dependencies"]))}
    assert full.digest(**shuffled) == before
