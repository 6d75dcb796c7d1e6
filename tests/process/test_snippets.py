"""Sessions without code and shared ones, under real nox."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from virtualenv.seed.wheels.embed import get_embed_wheel

from nox_envs import settings
from support.wheels import write_project

if TYPE_CHECKING:
    from support.bench import Bench
    from support.index import Index

pytestmark = pytest.mark.process

THIS = f"{sys.version_info.major}.{sys.version_info.minor}"
PAGE = Path(__file__).parents[2] / "docs" / "snippets.md"
PYTEST = {
    "pytest.py": "import os, sys\n"
    "def main():\n    print('PYTEST', os.environ.get('APP_MODE', '-'), sys.argv[1:])\n"
}
LOAD = "import nox_envs; nox_envs.load()"


@pytest.fixture
def tools(index: Index) -> None:
    index.wheel("pytest", "8.0", modules=PYTEST, entry_points={"pytest": "pytest:main"})


@pytest.fixture
def project(uv_bench: Bench, tools: None) -> Bench:
    write_project(uv_bench.project, groups={"test": ["alpha==1.1"], "docs": ["beta"]})
    return uv_bench


def add(bench: Bench, text: str) -> None:
    path = bench.project / "pyproject.toml"
    bench.write("pyproject.toml", path.read_text(encoding="utf-8") + "\n" + text)


def listed(bench: Bench, *words: str) -> dict[str, str]:
    ran = bench.nox("-l", *words)
    assert ran.returncode == 0, ran.out
    lines = re.findall(r"^[*-] (.*?)(?: -> (.*))?$", ran.out, flags=re.MULTILINE)
    return {name: text for name, text in lines if not name.startswith("marked")}


# -- pyproject.toml -------------------------------------------------------------------


def test_a_session_without_code(project: Bench) -> None:
    project.write("noxfile.py", LOAD)
    add(
        project,
        f"""
[tool.nox-envs]
campaigns = ["test"]
[tool.nox-envs.sessions.test]
python = ["{THIS}"]
groups = ["test"]
install = ["gamma"]
matrix = {{ beta = ["2.0"] }}
env = {{ APP_MODE = "quick" }}
run = [
    ["python", "-c", "import sys; print('FIRST', sys.argv[1:])", "{{beta}}", "{{python}}", "x{{posargs}}"],
    {{ command = ["python", "-c", "import os; print('MODE', os.environ['APP_MODE']); exit(3)"], env = {{ APP_MODE = "slow{{beta}}" }}, success-codes = [3] }},
    ["python", "-c", "import sys, os; print('LAST', sys.argv[1:], os.environ['APP_MODE'])", "{{posargs}}"],
]
[tool.nox-envs.sessions.bare]
description = "Nothing is told."
project = false
run = [["python", "-c", "print('BARE')"]]
""",
    )
    names = listed(project)
    assert names["bare"] == "Nothing is told. (from pyproject.toml)"
    assert {"upgrade", "matrix"} <= names.keys()
    ran = project.nox("-s", f"test-{THIS}", "--", "-k", "a b")
    assert ran.returncode == 0, ran.out
    assert f"FIRST ['2.0', '{THIS}', \"x-k 'a b'\"]" in ran.out
    assert "MODE slow2.0" in ran.out
    assert "LAST ['-k', 'a b'] quick" in ran.out
    lock = (project.project / ".nox").glob("test*/pylock.toml")
    text = next(lock).read_text(encoding="utf-8")
    assert all(f'name = "{name}"' in text for name in ("alpha", "beta", "gamma"))
    ran = project.nox("-s", "bare", "--", "lost word")
    assert "No command takes what follows --: 'lost word'" in ran.out
    assert "BARE" in ran.out


def test_a_command_that_fails_is_the_last_one(project: Bench) -> None:
    project.write("noxfile.py", LOAD)
    commands = '[["python", "-c", "exit(3)"], ["python", "-c", "print(1+6)"]]'
    add(project, f"[tool.nox-envs.sessions.test]\nproject = false\nrun = {commands}")
    ran = project.nox("-s", "test")
    assert ran.returncode == 1
    assert "\n7\n" not in ran.out


def test_all_mistakes_at_once_and_no_traceback(project: Bench) -> None:
    project.write("noxfile.py", LOAD)
    add(
        project,
        """
[tool.nox-envs.sessions.slow]
timout = 3
groups = ["tets"]
run = [["pytest", "{posarg}"]]
[tool.nox-envs.sessions.test]
python = ["3.11", 3.12]
exclude = [{ python = "<4" }]
run = []
""",
    )
    ran = project.nox("-l")
    assert ran.returncode == 2
    assert ran.out.startswith("error: 4 mistakes in pyproject.toml\n"), ran.out
    for line in (
        "tool.nox-envs.sessions.slow.timout: is not known",
        "tool.nox-envs.sessions.slow.groups[0]: pyproject.toml has no dependency group 'tets'",
        "tool.nox-envs.sessions.slow.run[0][1]: {posarg} stands for nothing",
        "tool.nox-envs.sessions.test.python[1]: 3.12 is a number",
    ):
        assert f"\n  {line}\n" in ran.out, ran.out


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "nox_envs.load(): pyproject.toml does not exist"),
        ("[", "pyproject.toml: is not valid TOML: "),
        ("", "tool.nox-envs: is missing"),
        (
            "[tool.nox-envs]\ncampaigns = 'a'\nsessions.a.run = []\nsessions.upgrade.run = []",
            "tool.nox-envs.campaigns: the session name upgrade is taken",
        ),
    ],
)
def test_a_table_that_cannot_be_loaded(uv_bench: Bench, text: str | None, problem: str) -> None:
    uv_bench.write("noxfile.py", LOAD)
    if text is not None:
        uv_bench.write("pyproject.toml", text)
    ran = uv_bench.nox("-l")
    assert ran.returncode == 2
    assert problem in ran.out
    assert "Traceback" not in ran.out


def test_a_placeholder_that_stands_for_nothing_is_one_mistake(uv_bench: Bench) -> None:
    uv_bench.write("noxfile.py", LOAD)
    uv_bench.write("pyproject.toml", "[tool.nox-envs.sessions.a]\nrun = [['x', '{class}']]")
    ran = uv_bench.nox("-l")
    assert ran.out.startswith("error: 1 mistake in pyproject.toml\n"), ran.out


def test_what_cannot_be_had_is_named_with_its_line(project: Bench) -> None:
    project.write("noxfile.py", LOAD)
    add(project, '[tool.nox-envs.sessions.test]\nrun = []\ndependencies = [\n  "alpha==1.9",\n]')
    lines = (project.project / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    ran = project.nox("-s", "test")
    number = next(n for n, line in enumerate(lines, start=1) if "alpha==1.9" in line)
    assert f"pyproject.toml:{number}" in ran.out


# -- snippets -------------------------------------------------------------------------


def test_the_built_in_sessions(project: Bench) -> None:
    project.noxfile('nox_envs.use("tests", env={"APP_MODE": "own"})\nnox_envs.use("dev")')
    ran = project.nox("-s", "tests", "--", "-q")
    assert "PYTEST own ['-q']" in ran.out, ran.out
    lock = (project.project / ".nox" / "tests" / "pylock.toml").read_text(encoding="utf-8")
    assert 'name = "alpha"' in lock
    assert 'name = "beta"' not in lock
    assert listed(project)["dev"].endswith("(from nox-envs:dev)")
    ran = project.nox("-s", "dev")
    assert ran.returncode == 0, ran.out
    lock = (project.project / ".nox" / "dev" / "pylock.toml").read_text(encoding="utf-8")
    assert 'name = "beta"' in lock
    assert "kept as it was" in project.nox("-s", "dev").out


def test_an_environment_to_work_in_needs_no_project(uv_bench: Bench) -> None:
    uv_bench.noxfile('nox_envs.use("dev")')
    uv_bench.write("requirements-dev.txt", "beta==2.0\n")
    uv_bench.write("requirements.txt", "gamma==9\n")
    ran = uv_bench.nox("-s", "dev")
    assert "requirements.txt:1   gamma==9" in ran.out, ran.out
    uv_bench.write("requirements.txt", "alpha==1.1\n")
    ran = uv_bench.nox("-s", "dev")
    assert ran.returncode == 0, ran.out
    lock = (uv_bench.project / ".nox" / "dev" / "pylock.toml").read_text(encoding="utf-8")
    assert re.findall('name = "(.*)"', lock) == ["alpha", "beta"]


def test_a_pass_is_reused_where_a_change_would_be_seen(project: Bench) -> None:
    """What a package says is not in the tree, and may change any time."""
    add(
        project,
        """
[tool.nox-envs.sessions.mine]
skip_unchanged = true
run = [["python", "-c", "pass"]]
""",
    )
    project.noxfile('nox_envs.load()\nnox_envs.use("tests", skip_unchanged=True)')
    project.nox()
    ran = project.nox()
    assert ran.returncode == 0, ran.out
    assert ran.out.count("cached: it passed") == 1, ran.out
    assert "PYTEST" in ran.out


def test_the_name_of_a_campaign_is_not_given_away(uv_bench: Bench) -> None:
    uv_bench.noxfile("""
        nox_envs.campaigns(*nox_envs.use("tests"))
        nox_envs.use("floors", name="lowest")
        nox_envs.use("floors")
        """)
    ran = uv_bench.nox("-l")
    assert ran.returncode == 2
    assert "floors: is the name of a campaign" in ran.out


def test_a_session_of_the_noxfile_wins_wherever_it_stands(uv_bench: Bench) -> None:
    own = """
        @nox_envs.session
        def {name}(session):
            '''Mine.'''

        """
    uv_bench.noxfile(
        own.format(name="lint")
        + """
        found = nox_envs.use("nox-envs")
        assert [one.name for one in found] == [
            "tests", "lint", "types", "docs", "build", "floors", "dev"
        ]
        """
        + own.format(name="tests")
    )
    names = listed(uv_bench)
    assert names["lint"] == names["tests"] == "Mine."
    assert names["build"].endswith("(from nox-envs:build)")
    assert "already been registered" not in uv_bench.nox("-l").out


def test_a_shared_file(uv_bench: Bench) -> None:
    uv_bench.write(
        "../shared.py",
        """
        import nox_envs

        @nox_envs.snippet(python=["3.98"], dependencies=["alpha==1.0"], matrix={"beta": ["2.0"]})
        def web(session, beta):
            '''Web.

            At length.
            '''
            from importlib.metadata import version
            session.run("python", "-c", "from importlib.metadata import version as v; print('HOLDS', v('alpha'))")
            session.log(f"given {beta}")
        """,
    )
    uv_bench.noxfile(f'nox_envs.use("../shared.py:web", python="{THIS}", name="site")')
    assert uv_bench.nox("--usage", f"site-{THIS}(beta='2.0')").out == (
        "Web. (from ../shared.py:web)\n\nAt length.\n"
    )
    ran = uv_bench.nox("-s", f"site-{THIS}")
    assert "HOLDS 1.0" in ran.out, ran.out
    assert "given 2.0" in ran.out
    assert not list(uv_bench.root.glob("__pycache__"))


def test_mistakes_are_told_where_they_stand(uv_bench: Bench) -> None:
    uv_bench.write(
        "web.toml", "[sessions.web]\npython = [3.1]\nrun = [['x']]\n[sessions.b]\nrun = []"
    )
    uv_bench.noxfile('nox_envs.use("web.toml", timeout=0, extends="b", name="c", dependancies=[])')
    ran = uv_bench.nox("-l")
    assert ran.returncode == 2
    for line in (
        "error: 5 mistakes in noxfile.py:4, nox_envs.use('web.toml')",
        "dependancies: is not known",
        "extends: has no meaning here",
        "name: web.toml is several sessions, which cannot have one name",
        "web.toml, sessions.web.python[0]: 3.1 is a number",
        "timeout: 0 is not a positive number of seconds",
    ):
        assert line in ran.out, ran.out
    uv_bench.noxfile('nox_envs.use("tets")')
    ran = uv_bench.nox("-l")
    assert "'tets': no package here offers snippets as tets" in ran.out
    assert "did you mean tests?" in ran.out


def test_campaigns_ask_about_sessions_that_were_taken_in(project: Bench) -> None:
    add(
        project,
        '[tool.nox-envs.sessions.test]\nextends = "tests"\ndependencies = ["pytest", "alpha"]',
    )
    project.noxfile('nox_envs.campaigns(*nox_envs.load(), *nox_envs.use("tests", name="more"))')
    ran = project.nox("-s", "matrix")
    assert ran.returncode == 0, ran.out
    assert re.search(r"test\s.*pass", ran.out), ran.out


def test_what_passes_is_written_to_the_sessions_of_the_table(uv_bench: Bench) -> None:
    table = """
        [tool.nox-envs]
        campaigns = ["test"]

        [tool.nox-envs.sessions.base]
        install = ['beta<2']  # for now

        [tool.nox-envs.sessions.test]
        extends = "base"
        dependencies = ["alpha==1.0"]
        run = [["python", "-c", "import alpha, beta"]]

        [tool.nox-envs.sessions.lint]
        dependencies = ["alpha==1.0"]
        run = [["python", "-V"]]
    """
    path = uv_bench.write("pyproject.toml", table)
    before = path.read_text(encoding="utf-8")
    uv_bench.noxfile("nox_envs.load()")
    ran = uv_bench.nox("-s", "upgrade", "--", "--apply")
    assert ran.returncode == 0, ran.out
    head, lint = before.split("[tool.nox-envs.sessions.lint]")
    after = head.replace("beta<2", "beta<3").replace("alpha==1.0", "alpha==2.0")
    assert path.read_text(encoding="utf-8") == f"{after}[tool.nox-envs.sessions.lint]{lint}"
    assert "Checked: pyproject.toml now gives exactly the versions that passed" in ran.out


ELSEWHERE = """\
[project]
name = "demo"
version = "1.0"
dependencies = ["alpha==1.0"]

[tool.nox-envs]
campaigns = ["test"]

[tool.nox-envs.sessions.test]
directory = "sub"
dependencies = ["alpha==1.0"]
run = [["python", "-c", "import alpha, beta"]]
"""


def test_a_table_is_edited_whose_session_is_about_another_directory(uv_bench: Bench) -> None:
    table = uv_bench.write("pyproject.toml", ELSEWHERE)
    text = ELSEWHERE.partition("[tool")[0].replace("alpha==1.0", "beta<2")
    project = uv_bench.write("sub/pyproject.toml", text)
    uv_bench.noxfile("nox_envs.load()")
    ran = uv_bench.nox("-s", "upgrade")
    assert "to pyproject.toml and sub/pyproject.toml (uses this result" in ran.out, ran.out
    ran = uv_bench.nox("-s", "upgrade", "--", "--apply")
    assert ran.returncode == 0, ran.out
    head, tables = ELSEWHERE.split("[tool.nox-envs]")
    edited = f"{head}[tool.nox-envs]{tables.replace('alpha==1.0', 'alpha==2.0')}"
    assert table.read_text(encoding="utf-8") == edited
    assert project.read_text(encoding="utf-8") == text.replace("beta<2", "beta<3")
    uv_bench.write("pyproject.toml", ELSEWHERE)
    uv_bench.write("sub/pyproject.toml", text)
    uv_bench.index.wheel("beta", "2.5")  # Which nobody has tried.
    ran = uv_bench.nox("-s", "upgrade", "--", "--apply", "--refresh")
    assert "test: beta would be 2.5, it passed with 2.0" in ran.out, ran.out
    assert table.read_text(encoding="utf-8") == ELSEWHERE
    assert project.read_text(encoding="utf-8") == text


def test_what_a_shared_file_declares_is_not_written(uv_bench: Bench) -> None:
    run = 'run = [["python", "-c", "import alpha"]]'
    uv_bench.write("web.toml", f'[sessions.web]\ndependencies = ["alpha==1.0"]\n{run}\n')
    uv_bench.noxfile('nox_envs.campaigns(*nox_envs.use("web.toml"))')
    ran = uv_bench.nox("-s", "upgrade")
    assert "Write it where it is declared, web.toml:2:   alpha==2.0" in ran.out, ran.out
    assert "--apply" not in ran.out
    ran = uv_bench.nox("-s", "upgrade", "--", "--apply")
    assert ran.returncode == 1, ran.out
    assert "web.toml:2   alpha: it is declared where it cannot be edited" in ran.out
    assert 'hint: write "alpha==2.0"' in ran.out
    uv_bench.write("own.txt", "beta<2\n")
    uv_bench.noxfile(
        'nox_envs.campaigns(*nox_envs.use("web.toml", project=False, requirements="own.txt"))'
    )
    ran = uv_bench.nox("-s", "upgrade")
    assert "where they are declared, web.toml:2 and own.txt:1:   alpha==2.0   beta==2.0" in ran.out
    assert "--apply" not in ran.out


def test_campaigns_ask_about_what_has_the_name_in_the_end(project: Bench) -> None:
    add(
        project,
        '[tool.nox-envs]\ncampaigns = ["test"]\n[tool.nox-envs.sessions.test]\nrun = [["false"]]',
    )
    own = """
        nox_envs.load()

        @{decorator}
        def test(session):
            session.run("python", "-c", "print('MINE')")
        """
    project.noxfile(own.format(decorator="nox_envs.session(project=False)"))
    ran = project.nox("-s", "matrix")
    assert ran.returncode == 0, ran.out
    project.noxfile(own.format(decorator="__import__('nox').session"))
    ran = project.nox("-s", "matrix")
    assert ran.returncode == 1, ran.out
    assert "test is no longer declared with @nox_envs.session" in ran.out


# -- a package ------------------------------------------------------------------------


def template(directory: Path) -> str:
    """Write the package of the docs; the noxfile that uses it."""
    page = PAGE.read_text(encoding="utf-8")
    files = re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)```", page, flags=re.DOTALL | re.MULTILINE)
    assert len(files) == 3
    for name, text in files:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (noxfile,) = re.findall(r"```python\n(# /// script\n.*?)```", page, flags=re.DOTALL)
    assert len(noxfile.splitlines()) == 6
    return str(noxfile)


def test_the_template_of_a_package(project: Bench, index: Index) -> None:
    source, site = project.root / "template", project.root / "site"
    noxfile = template(source)
    backend = get_embed_wheel("setuptools", THIS)
    assert backend is not None
    shutil.copy(backend.path, index.files)
    uv = settings.find_uv(project.variables)
    assert uv is not None
    root = str(project.root)
    install = ["pip", "install", "--no-deps", "--target", str(site), "--find-links", root]
    for words in (
        ["build", "--wheel", "--out-dir", root, str(source)],
        [*install, "acme-snippets"],
    ):
        command = [uv, *words, "--python", sys.executable]
        subprocess.run(command, env=project.variables, check=True, cwd=root)
    project.write("noxfile.py", noxfile)
    project.extra |= {"PYTHONPATH": str(site), "NOX_SCRIPT_MODE": "none"}
    assert listed(project) == {
        "web": "Run the tests of a web application. (from acme:web)",
        "lint": "Check style and format with ruff. (from acme:lint)",
    }
    ran = project.nox("-s", "web", "--", "-q")
    assert "PYTEST test ['-q']" in ran.out, ran.out
