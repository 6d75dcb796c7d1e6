"""What a project starts with, from its files."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

import pytest

from nox_envs import _files, declaration, matrix
from nox_envs.pyproject import Pyproject
from nox_envs.starting import noxfile, start

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nox_envs.starting import Start

HERE = ("3.11", "3.12")


def begun(files: Mapping[str, str], **words: Any) -> Start:
    data = _files.parse_toml(files.get("pyproject.toml", ""))
    return start(files, data, installed=HERE, **words)


def declared(found: Start, files: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What the text of the noxfile declares, held against the project."""
    body = ast.parse(noxfile(found)).body
    function = next(one for one in body if isinstance(one, ast.FunctionDef))
    (call,) = function.decorator_list
    assert isinstance(call, ast.Call)
    options = {
        str(one.arg): ["computed"]
        if isinstance(one.value, ast.Call)
        else ast.literal_eval(one.value)
        for one in call.keywords
    }
    data = _files.parse_toml((files or {}).get("pyproject.toml", ""))
    checked = {**options, "python": list(found.pythons)}
    project = Pyproject.from_dict(data) if data else None
    declaration.parse("test", checked, where="noxfile.py", pyproject=project)
    return options


PROJECT = """
    [project]
    name = "demo"
    requires-python = ">=3.9"
    dependencies = ["requests>=2"]
    {classifiers}
    [build-system]
    requires = ["hatchling"]
    [dependency-groups]
    lint = ["ruff"]
    test = ["pytest>=8"]
    docs = ["pytest-docs"]
""".replace("\n    ", "\n")


def test_a_modern_project() -> None:
    files = {"pyproject.toml": PROJECT.format(classifiers="")}
    found = begun(files)
    assert declared(found, files) == {"python": ["3.11", "3.12"], "groups": ["test"]}
    assert noxfile(found).startswith(
        '# /// script\n# dependencies = ["nox", "nox-envs[uv]"]\n# ///\n'
    )
    assert '    session.run("pytest", *session.posargs)\n' in noxfile(found)
    assert found.taken == ("pyproject.toml",)


def test_classifiers_stay_the_one_place_that_names_pythons() -> None:
    line = 'classifiers = ["Programming Language :: Python :: 3.13"]'
    files = {"pyproject.toml": PROJECT.format(classifiers=line)}
    found = begun(files)
    assert found.pythons == ("3.13",)
    assert "    python=nox_envs.pythons(),\n" in noxfile(found)


def test_a_lock_decides_unless_it_is_left_aside() -> None:
    files = {"pyproject.toml": PROJECT.format(classifiers=""), "uv.lock": 'name = "pytest"'}
    found = begun(files)
    assert declared(found, files)["lock"] == "uv.lock"
    assert "lock=" not in noxfile(found, resolved=True)


def test_a_lock_without_the_test_runner_is_of_no_use() -> None:
    files = {
        "pyproject.toml": '[project]\nname = "demo"\n',
        "uv.lock": 'name = "requests"',
        "tests/test_it.py": "def test(): pass",
    }
    found = begun(files)
    assert declared(found, files) == {"python": ["3.11"], "dependencies": ["pytest"]}
    assert found.left == ("uv.lock, which has no pytest",)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["requirements.txt"], ["requirements.txt"]),
        (["requirements.txt", "requirements-dev.txt"], ["requirements.txt", "requirements-dev.txt"]),
        (["requirements.txt", "dev-requirements.txt:-r requirements.txt"], ["dev-requirements.txt"]),
        (["requirements.in", "requirements.txt"], ["requirements.txt"]),
        (["requirements.in"], ["requirements.in"]),
        (["requirements/base.txt", "requirements/dev.txt:-r base.txt", "requirements/docs.txt"],
         ["requirements/dev.txt"]),
        (["requirements-dev.txt", "test-requirements.txt"], ["test-requirements.txt"]),
        (["requirements.txt", "pyproject.toml:[project]\nname='demo'"], None),
    ],
)  # fmt: skip
def test_requirement_files(names: list[str], expected: list[str] | None) -> None:
    files = {name.partition(":")[0]: name.partition(":")[2] for name in names}
    assert declared(begun(files), files).get("requirements") == expected


def test_a_lock_and_what_may_not_be_in_it() -> None:
    lock = {"uv.lock": 'name = "pytest"', "requirements-dev.txt": "pytest"}
    assert begun(lock).requirements == ()
    found = begun({**lock, "tox.ini": TOX})
    assert (found.lock, found.requirements[-1]) == (None, "requirements-dev.txt")
    assert "uv.lock, which need not hold what tox.ini asks for" in found.left


def test_poetry() -> None:
    files = {
        "pyproject.toml": """
[tool.poetry]
name = "demo"
[tool.poetry.dependencies]
python = "^3.12"
[tool.poetry.group.dev.dependencies]
pytest = "^8"
""",
        "poetry.lock": 'name = "pytest"',
    }
    found = begun(files)
    assert declared(found, files) == {"python": ["3.12"], "groups": ["dev"], "lock": "poetry.lock"}


def test_a_project_without_pyproject() -> None:
    files = {
        "setup.py": 'setup(python_requires=">=3.12", extras_require={"docs": [], "test": ["pytest"]})'
    }
    assert declared(begun(files)) == {"python": ["3.12"], "project": "wheel", "extras": ["test"]}
    assert "project" not in declared(begun({"setup.cfg": "[flake8]\n"}))


TOX = """
[tox]
envlist = py{310,311}-django{42,52}, py39-django42, lint
[testenv]
extras = test
deps =
    -rrequirements-test.txt
    -c {toxinidir}/limits.txt
    pytest-cov>=4  # coverage
    django42: Django>=4.2,<5
    django52: Django>=5.2,<6
    py39: backport
    {env:EXTRA}
setenv = {env:ALL}
commands =
    python -c "print(1)"
    pytest {posargs:tests -q}
    coverage report --rcfile={toxworkdir}/x
[testenv:lint]
commands = ruff check
"""


def test_tox() -> None:
    files = {"tox.ini": TOX, "requirements-test.txt": "pytest\n"}
    found = begun(files)
    assert declared(found) == {
        "python": ["3.9", "3.10", "3.11"],
        "matrix": {"django": {"4.2": ">=4.2,<5", "5.2": ">=5.2,<6"}},
        "exclude": [{"python": "3.9", "django": "5.2"}],
        "extras": ["test"],
        "requirements": ["requirements-test.txt"],
        "constraints": ["limits.txt"],
        "dependencies": ["pytest-cov>=4"],
    }
    assert 'session.run("python", "-c", "print(1)")\n' in noxfile(found)
    assert 'session.run("pytest", *(session.posargs or ["tests", "-q"]))' in noxfile(found)
    left = "; ".join(found.left)
    for word in ("py39: backport", "{env:EXTRA}", "coverage report", "environment lint", "setenv"):
        assert word in left


def test_the_variables_of_tox() -> None:
    text = """
        [tox]
        env_list = py311
        [testenv]
        set_env =
            APP_MODE = test  # as it is
            # none
            URL=http://x/?a=b
            py311: OLD = 1
            PYTHONPATH = {toxinidir}/src
        passenv = CI APP_*, {env:MORE}
          HOME
    """
    found = begun({"tox.ini": text.replace("\n        ", "\n")})
    options = declared(found)
    assert options["env"] == {"APP_MODE": "test", "URL": "http://x/?a=b"}
    assert options["pass_env"] == ["CI", "APP_*", "HOME"]
    assert found.left == (
        "`py311: OLD = 1` in setenv of tox.ini: write env={...}",
        "`PYTHONPATH = {toxinidir}/src` in setenv of tox.ini: write env={...}",
        "`{env:MORE}` in passenv of tox.ini: write pass_env=[...]",
    )
    everything = "[tox]\nenvlist = py311\n[testenv]\npassenv = *\n"
    assert "pass_env" not in declared(begun({"tox.ini": everything}))


def test_the_cells_of_tox_and_no_others() -> None:
    found = begun({"tox.ini": TOX})
    options = {"python": list(found.pythons), "matrix": found.matrix, "exclude": found.exclude}
    cells = {cell.name for cell in matrix.cells(declaration.parse("test", options, where=""))}
    assert len(cells) == 5
    assert "test-3.9(django='5.2')" not in cells


def test_factors_that_move_two_packages_are_left() -> None:
    tox = "[tox]\nenvlist = py311-a,py311-b\n[testenv]\ndeps =\n  a: x==1\n  b: x==2\n  a: y==1\n"
    found = begun({"tox.ini": tox})
    assert found.matrix == {"x": {"1": "==1", "2": "==2"}}
    assert found.left == ("y of tox.ini, which moves together with another package",)


@pytest.mark.parametrize(
    ("deps", "values"),
    [
        ("==2.31.* ==2.32.*", ["2.31", "2.32"]),
        ("==2.31.4 ~=2.32.0", {"2.31.4": "==2.31.4", "2.32.0": "~=2.32.0"}),
        ("(>=2.31,<3) >=3", {"2.31": ">=2.31,<3", "3": ">=3"}),
        ("<3 @https://x.org/r.zip", {"<3": "<3", "232": "@ https://x.org/r.zip"}),
        (" <3", ["latest", "<3"]),
        (">=2.31,<2.32 >=2.31", {"requests231": ">=2.31,<2.32", "requests232": ">=2.31"}),
    ],
)
def test_values_are_named_after_their_versions(deps: str, values: Any) -> None:
    first, second = deps.split(" ")
    lines = f"  requests231: requests{first}\n  requests232: requests{second}\n"
    tox = f"[tox]\nenvlist = py311-requests{{231,232}}\n[testenv]\ndeps =\n{lines}"
    assert declared(begun({"tox.ini": tox}))["matrix"] == {"requests": values}


@pytest.mark.parametrize(
    ("deps", "labels"),
    [
        ("<24 >=24", ["requests231", "requests232"]),
        ("!=24 ==24", ["requests231", "requests232"]),
        ("<24 >=25", ["<24", "25"]),
    ],
)
def test_each_value_has_an_environment_of_its_own(deps: str, labels: list[str]) -> None:
    first, second = deps.split(" ")
    lines = f"  requests231: requests{first}\n  requests232: requests{second}\n"
    found = begun(
        {"tox.ini": f"[tox]\nenvlist = py311-requests{{231,232}}\n[testenv]\ndeps =\n{lines}"}
    )
    assert list(found.matrix["requests"]) == labels
    options = {"python": list(found.pythons), "matrix": found.matrix}
    cells = [one.name for one in matrix.cells(declaration.parse("test", options, where=""))]
    assert (len(cells), matrix.Directories().claim("test", cells)) == (2, ())


@pytest.mark.parametrize(
    "line",
    [
        "cov: coverage erase",
        "dj32: pytest a",
        "dj32:pytest a",
        "py311,dj{32,42}: pytest b",
        "dj32, dj42 : pytest b",
        "py311-!cov: pytest d",
        "lint: ruff check",
    ],
)
def test_a_command_for_some_factors_is_named_and_not_run_for_all(line: str) -> None:
    tox = f"[tox]\nenvlist = py311-dj{{32,42}}{{,-cov}}\n[testenv]\ncommands =\n  {line}\n"
    found = begun({"tox.ini": f"{tox}  python -m x a: b\n  python http://x.org\n"})
    assert found.commands == (
        ("python", "-m", "x", "a:", "b"),
        ("python", "http://x.org"),
    )
    assert found.left == (f"`{line}` of tox.ini",)


def test_broken_tox() -> None:
    assert begun({"tox.ini": "not = in a section"}).left == ("tox.ini, which cannot be read",)


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({}, ("pytest", "*session.posargs")),
        ({"manage.py": ""}, ("python", "manage.py", "test", "*session.posargs")),
        ({"manage.py": "", "conftest.py": ""}, ("pytest", "*session.posargs")),
        ({"tests/test_a.py": "import unittest"}, ("python", "-m", "unittest", "*session.posargs")),
        ({"tests/test_a.py": "import unittest, pytest"}, ("pytest", "*session.posargs")),
    ],
)
def test_the_command(files: dict[str, str], command: tuple[str, ...]) -> None:
    found = begun(files)
    assert found.commands == (command,)
    assert ("pytest" in found.dependencies) is (command[0] == "pytest")


def test_another_command() -> None:
    found = begun({"tox.ini": TOX}, command=["make", 'say "it"', "*.py"])
    assert """    session.run("make", 'say "it"', "*.py")\n""" in noxfile(found)


def test_long_options_are_broken_up() -> None:
    names = [f"requirements/test-{'x' * 20}-{n}.txt" for n in range(5)]
    text = noxfile(begun(dict.fromkeys(names, "")))
    assert max(map(len, text.splitlines())) <= 100
    assert f'        "{names[0]}",\n' in text


def test_the_python_of_an_application() -> None:
    files = {".python-version": "3.12.4\n", "requirements.txt": "pytest"}
    assert declared(begun(files)) == {"python": ["3.12"], "requirements": ["requirements.txt"]}
