"""Projects of different years on one machine, which share their session and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name

from nox_envs import _files, discover, settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

pytestmark = pytest.mark.network

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Pins, what has to be held back beside them, and a test that passes with both."""

    name: str
    python: str
    pins: Mapping[str, str]
    works: str
    held: Mapping[str, str] = field(default_factory=dict)
    """By constraint: what the tests say without it."""

    def write(self, directory: Path, *, without: str = "") -> Path:
        """Write all its files, but for one constraint."""
        texts = {
            "noxfile.py": f"import nox_envs\n\nnox_envs.use('acme:app', python='{self.python}')\n",
            "constraints.txt": "\n".join(one for one in self.held if one != without),
            "requirements.txt": "\n".join(
                ["-c constraints.txt", *(f"{name}=={at}" for name, at in self.pins.items())]
            ),
            "test_app.py": _TEST.format(pins=dict(self.pins), works=self.works),
        }
        directory.mkdir(parents=True)
        for name, text in texts.items():
            (directory / name).write_text(text, encoding="utf-8")
        return directory


_TEST = """\
import importlib, sys
from importlib.metadata import version
from pathlib import Path

def test_what_is_imported_is_its_own():
    for name, wanted in {pins!r}.items():
        assert version(name) == wanted
        assert Path(sys.prefix) in Path(importlib.import_module(name).__file__).parents

def test_it_works():
    {works}
"""
_DATA = (
    "import boto3, pandas, requests; "
    "assert pandas.DataFrame({'a': [1, 1]}).groupby('a').size()[1] == 2; "
    "assert boto3.Session(region_name='here').client('s3').meta.region_name == 'here'"
)
_WEB = (
    "import flask; app = flask.Flask('app'); "
    "app.add_url_rule('/', 'index', lambda: flask.render_template_string('{{ 6 * 7 }}')); "
    "assert app.test_client().get('/').data == b'42'"
)
_CHAT = "import openai; assert openai.OpenAI(api_key='none').chat.completions"
_API = (
    "import fastapi, fastapi.testclient; app = fastapi.FastAPI(); app.get('/')(lambda: 42); "
    "assert fastapi.testclient.TestClient(app).get('/').json() == 42"
)
_NO_PROXIES = {"httpx<0.28": "unexpected keyword argument 'proxies'"}
PROJECTS = (
    Project(
        name="reports-2021",
        python="3.9",
        pins={"boto3": "1.17.112", "requests": "2.25.1", "pandas": "1.2.5"},
        works=_DATA,
        held={"numpy<2": "numpy.dtype size changed"},
    ),
    Project(
        name="reports-2024",
        python="3.12",
        pins={"boto3": "1.34.28", "requests": "2.32.3", "pandas": "2.2.3"},
        works=_DATA,
    ),
    Project(
        name="client-old",
        python="3.10",
        pins={"flask": "1.1.2"},
        works=_WEB,
        held={
            "jinja2<3.1": "cannot import name 'escape' from 'jinja2'",
            "itsdangerous<2.1": "cannot import name 'json' from 'itsdangerous'",
            "werkzeug<2.1": "cannot import name 'BaseResponse' from 'werkzeug.wrappers'",
        },
    ),
    Project(name="client-new", python="3.12", pins={"flask": "2.3.3"}, works=_WEB),
    Project(
        name="chat-1.0", python="3.10", pins={"openai": "1.0.0"}, works=_CHAT, held=_NO_PROXIES
    ),
    Project(
        name="chat-1.2", python="3.12", pins={"openai": "1.2.0"}, works=_CHAT, held=_NO_PROXIES
    ),
    Project(
        name="api",
        python="3.12",
        pins={"fastapi": "0.100.0", "httpx": "0.27.2"},
        works=_API,
    ),
)
SNIPPETS = {
    "pyproject.toml": """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "acme-snippets"
version = "1.0"
dependencies = ["nox-envs[uv]"]

[project.entry-points."nox_envs.snippets"]
acme = "acme_snippets:TABLE"
""",
    "acme_snippets/__init__.py": 'TABLE = "snippets.toml"\n',
    "acme_snippets/snippets.toml": """\
[sessions.app]
description = "Run the tests of an application with what it pins."
extends = "tests"
requirements = "requirements.txt"
""",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A HOME, a venv with nox and what it needs, and the cache of uv that this machine has."""

    root: Path
    variables: Mapping[str, str]

    @property
    def python(self) -> Path:
        windows = sys.platform == "win32"
        return self.root / "tools" / ("Scripts/python.exe" if windows else "bin/python")

    def run(self, *command: str | Path, cwd: Path, **variables: str) -> tuple[int, str]:
        """Run a command as a user does; its code, and all that it says."""
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**self.variables, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
            timeout=300,
        )
        return done.returncode, done.stdout

    def nox(self, directory: Path, **variables: str) -> tuple[int, str]:
        """Run nox of the venv in a project."""
        return self.run(self.python, "-m", "nox", cwd=directory, **variables)

    def make(self, directories: Iterable[Path]) -> None:
        """Run the sessions of projects, two at the same time; all have to pass."""
        with ThreadPoolExecutor(max_workers=2) as pool:
            for code, out in pool.map(self.nox, directories):
                assert code == 0, out
                assert "exactly as declared: made with uv" in out
                assert "2 passed" in out


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    uv = settings.find_uv({**os.environ, "NOX_ENVS_INSTALLER": "uv"})
    assert uv is not None
    cache = subprocess.run([uv, "cache", "dir"], check=True, capture_output=True, encoding="utf-8")
    root = tmp_path_factory.mktemp("machine")
    (root / "home").mkdir()
    foreign = ("NOX", "PIP_FIND_LINKS", "PYTEST_", "PYTHON", "UV_", "VIRTUAL_ENV")
    places = {str(one.parent) for one in interpreters().values()}
    made = Machine(
        root=root,
        variables={
            **{name: text for name, text in os.environ.items() if not name.startswith(foreign)},
            "HOME": str(root / "home"),
            "PATH": os.pathsep.join([*sorted(places), os.environ["PATH"]]),
            "UV_CACHE_DIR": cache.stdout.strip(),
            # uv itself, which builds and installs here, knows no certificate of this machine.
            "UV_SYSTEM_CERTS": "1",
        },
    )
    for name, text in SNIPPETS.items():
        path = root / "snippets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    unwanted = shutil.ignore_patterns(".*", "__pycache__", "tests", "benchmarks")
    shutil.copytree(ROOT, root / "source", ignore=unwanted)
    for name in ("source", "snippets"):
        told = made.run(uv, "build", "--wheel", "-o", root / "wheels", root / name, cwd=root)
        assert told[0] == 0, told[1]
    told = made.run(uv, "venv", "--python", sys.executable, root / "tools", cwd=root)
    assert told[0] == 0, told[1]
    wheels = (root / "wheels").glob("*.whl")
    told = made.run(uv, "pip", "install", "--python", made.python, *wheels, cwd=root)
    assert told[0] == 0, told[1]
    return made


def interpreters() -> dict[str, Path]:
    """The Pythons of the projects that are on this machine, by their series."""
    series = sorted({one.python for one in PROJECTS})
    found = {one: discover.locate(one, os.environ) for one in series}
    return {one: path for one, path in found.items() if path is not None}


def listing(*places: Path) -> str:
    """A digest of names, sizes and times, but for the bytecode that any Python writes."""
    lines = []
    for place in places:
        for directory, below, files in os.walk(place):
            below[:] = [one for one in below if one != "__pycache__"]
            lines += [f"{directory}/{one}" for one in below]
            for path in (Path(directory, one) for one in files):
                told = path.lstat()
                lines.append(f"{path} {told.st_size} {told.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def of_python(python: Path) -> set[Path]:
    """Where the library, the packages and the programs of a Python lie."""
    ask = "import json, sysconfig; print(json.dumps(sysconfig.get_paths()))"
    done = subprocess.run([python, "-Ic", ask], check=True, capture_output=True, encoding="utf-8")
    names = ("stdlib", "platstdlib", "purelib", "platlib", "scripts")
    return {Path(json.loads(done.stdout)[name]) for name in names}


def check(project: Project, directory: Path) -> None:
    """What is installed, seen from outside, is the lock and nothing else."""
    environment = directory / ".nox" / "app"
    lock = _files.read_toml(environment / "pylock.toml")
    locked = {one["name"]: one["version"] for one in lock["packages"]}
    (site,) = environment.rglob("site-packages")
    assert site.parent.name in {f"python{project.python}", "Lib"}
    installed = [(one.metadata["Name"], one.version) for one in distributions(path=[str(site)])]
    assert {canonicalize_name(name): at for name, at in installed} == locked
    assert len(installed) == len(locked)
    assert locked.items() >= project.pins.items()


def locked(directory: Path) -> str:
    """The lock of a cell, without what the index tells of a file only now and then."""
    text = _files.read_text(directory / ".nox" / "app" / "pylock.toml")
    return re.sub(r"^(?:size|upload-time) = .*\n", "", text, flags=re.MULTILINE)


def test_one_shared_session_for_projects_that_share_nothing_else(machine: Machine) -> None:
    found = interpreters()
    here = [one for one in PROJECTS if one.python in found]
    places = [one.write(machine.root / "projects" / one.name) for one in here]
    pythons = set[Path]().union(*map(of_python, [machine.python, *found.values()]))
    untouched = listing(*pythons)
    machine.make(places)
    for project, place in zip(here, places, strict=True):
        check(project, place)
    for again, others in ((places[::2], places[1::2]), (places[1::2], places[::2])):
        locks = [locked(place) for place in again]
        before = listing(*others)
        for place in again:
            shutil.rmtree(place / ".nox")
        machine.make(again)
        assert [locked(place) for place in again] == locks
        assert listing(*others) == before
    for project, place in zip(here, places, strict=True):
        check(project, place)
    assert listing(*pythons) == untouched
    assert not (machine.root / "home" / ".local" / "lib").exists()
    left_out = [f"{one.name} (Python {one.python})" for one in PROJECTS if one not in here]
    if left_out:
        pytest.skip(f"all passed but what is not on this machine: {', '.join(left_out)}")


@pytest.mark.parametrize(
    ("project", "constraint"),
    [
        pytest.param(one, constraint, id=f"{one.name}-{constraint}")
        for one in PROJECTS
        for constraint in one.held
    ],
)
def test_what_is_held_back_has_to_be(
    machine: Machine, tmp_path: Path, project: Project, constraint: str
) -> None:
    if project.python not in interpreters():
        pytest.skip(f"Python {project.python} is not on this machine")
    code, out = machine.nox(project.write(tmp_path / "project", without=constraint))
    assert code == 1, out
    assert "exactly as declared" in out
    assert project.held[constraint] in out, out


# -- the locks of other tools ---------------------------------------------------------

# Made when the bounds had an upper end, so that the newest release is not what is locked.
UV = {
    "pyproject.toml": """\
[project]
name = "ledger"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["python-dateutil>=2.8"]

[dependency-groups]
test = ["iniconfig"]
""",
    "uv.lock": """\
version = 1
revision = 5
requires-python = ">=3.11"

[[package]]
name = "iniconfig"
version = "1.1.1"
source = { registry = "https://pypi.org/simple" }
sdist = { url = "https://files.pythonhosted.org/packages/23/a2/97899f6bd0e873fed3a7e67ae8d3a08b21799430fb4da15cfedf10d6e2c2/iniconfig-1.1.1.tar.gz", hash = "sha256:bc3af051d7d14b2ee5ef9969666def0cd1a000e121eaea580d4a313df4b37f32", upload-time = "2020-10-14T10:20:18.572Z" }
wheels = [
    { url = "https://files.pythonhosted.org/packages/9b/dd/b3c12c6d707058fa947864b67f0c4e0c39ef8610988d7baea9578f3c48f3/iniconfig-1.1.1-py2.py3-none-any.whl", hash = "sha256:011e24c64b7f47f6ebd835bb12a743f2fbe9a26d4cecaa7f53bc4f35ee9da8b3", upload-time = "2020-10-16T17:37:23.05Z" },
]

[[package]]
name = "ledger"
version = "1.0"
source = { virtual = "." }
dependencies = [
    { name = "python-dateutil" },
]

[package.dev-dependencies]
test = [
    { name = "iniconfig" },
]

[package.metadata]
requires-dist = [{ name = "python-dateutil", specifier = ">=2.8" }]

[package.metadata.requires-dev]
test = [{ name = "iniconfig" }]

[[package]]
name = "python-dateutil"
version = "2.8.2"
source = { registry = "https://pypi.org/simple" }
dependencies = [
    { name = "six" },
]
sdist = { url = "https://files.pythonhosted.org/packages/4c/c4/13b4776ea2d76c115c1d1b84579f3764ee6d57204f6be27119f13a61d0a9/python-dateutil-2.8.2.tar.gz", hash = "sha256:0123cacc1627ae19ddf3c27a5de5bd67ee4586fbdd6440d9748f8abb483d3e86", upload-time = "2021-07-14T08:19:19.783Z" }
wheels = [
    { url = "https://files.pythonhosted.org/packages/36/7a/87837f39d0296e723bb9b62bbb257d0355c7f6128853c78955f57342a56d/python_dateutil-2.8.2-py2.py3-none-any.whl", hash = "sha256:961d03dc3453ebbc59dbdea9e4e11c5651520a876d0f4db161e8674aae935da9", upload-time = "2021-07-14T08:19:18.161Z" },
]

[[package]]
name = "six"
version = "1.17.0"
source = { registry = "https://pypi.org/simple" }
sdist = { url = "https://files.pythonhosted.org/packages/94/e7/b2c673351809dca68a0e064b6af791aa332cf192da575fd474ed7d6f16a2/six-1.17.0.tar.gz", hash = "sha256:ff70335d468e7eb6ec65b95b99d3a2836546063f63acc5171de367e834932a81", upload-time = "2024-12-04T17:35:28.174Z" }
wheels = [
    { url = "https://files.pythonhosted.org/packages/b7/ce/149a00dd41f10bc29e5921b496af8b574d8413afcd5e30dfa0ed46c2cc5e/six-1.17.0-py2.py3-none-any.whl", hash = "sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274", upload-time = "2024-12-04T17:35:26.475Z" },
]
""",
}
POETRY = {
    "pyproject.toml": """\
[tool.poetry]
package-mode = false

[tool.poetry.dependencies]
python = "^3.11"
python-dateutil = ">=2.8"

[tool.poetry.group.test.dependencies]
iniconfig = "*"

[[tool.poetry.source]]
name = "public"
url = "https://pypi.org/simple/"
""",
    "poetry.lock": """\
# This file is automatically @generated by Poetry 2.5.1 and should not be changed by hand.

[[package]]
name = "iniconfig"
version = "1.1.1"
description = "iniconfig: brain-dead simple config-ini parsing"
optional = false
python-versions = "*"
groups = ["test"]
files = [
    {file = "iniconfig-1.1.1-py2.py3-none-any.whl", hash = "sha256:011e24c64b7f47f6ebd835bb12a743f2fbe9a26d4cecaa7f53bc4f35ee9da8b3"},
    {file = "iniconfig-1.1.1.tar.gz", hash = "sha256:bc3af051d7d14b2ee5ef9969666def0cd1a000e121eaea580d4a313df4b37f32"},
]

[package.source]
type = "legacy"
url = "https://pypi.org/simple"
reference = "public"

[[package]]
name = "python-dateutil"
version = "2.8.2"
description = "Extensions to the standard Python datetime module"
optional = false
python-versions = "!=3.0.*,!=3.1.*,!=3.2.*,>=2.7"
groups = ["main"]
files = [
    {file = "python-dateutil-2.8.2.tar.gz", hash = "sha256:0123cacc1627ae19ddf3c27a5de5bd67ee4586fbdd6440d9748f8abb483d3e86"},
    {file = "python_dateutil-2.8.2-py2.py3-none-any.whl", hash = "sha256:961d03dc3453ebbc59dbdea9e4e11c5651520a876d0f4db161e8674aae935da9"},
]

[package.dependencies]
six = ">=1.5"

[package.source]
type = "legacy"
url = "https://pypi.org/simple"
reference = "public"

[[package]]
name = "six"
version = "1.17.0"
description = "Python 2 and 3 compatibility utilities"
optional = false
python-versions = ">=2.7, !=3.0.*, !=3.1.*, !=3.2.*"
groups = ["main"]
files = [
    {file = "six-1.17.0-py2.py3-none-any.whl", hash = "sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274"},
    {file = "six-1.17.0.tar.gz", hash = "sha256:ff70335d468e7eb6ec65b95b99d3a2836546063f63acc5171de367e834932a81"},
]

[package.source]
type = "legacy"
url = "https://pypi.org/simple"
reference = "public"

[metadata]
lock-version = "2.1"
python-versions = "^3.11"
content-hash = "6955ce80e5cefe374f6f145e5b66b7741e6f6ccdf5d43d534436d7659bbe72b5"
""",
}
_LOCKED = """\
import unittest
from importlib.metadata import version

class Locked(unittest.TestCase):
    def test_what_is_locked(self):
        from dateutil.parser import isoparse
        found = [version(name) for name in ("python-dateutil", "six", "iniconfig")]
        self.assertEqual(found, ["2.8.2", "1.17.0", "1.1.1"])
"""


def contents(directory: Path) -> dict[str, bytes]:
    """All files of a project but for `.nox` and bytecode."""
    ours = {".nox", "__pycache__"}
    files = [one for one in directory.rglob("*") if one.is_file()]
    below = {one.relative_to(directory): one.read_bytes() for one in files}
    return {str(path): text for path, text in below.items() if path.parts[0] not in ours}


@pytest.mark.parametrize("tool", ["uv", "pip"])
@pytest.mark.parametrize(("lock", "files"), [("uv.lock", UV), ("poetry.lock", POETRY)])
def test_the_lock_of_another_tool_decides_and_stays(
    machine: Machine, tmp_path: Path, tool: str, lock: str, files: dict[str, str]
) -> None:
    if "3.12" not in interpreters():
        pytest.skip("Python 3.12 is not on this machine")
    project = tmp_path / "project"
    project.mkdir()
    noxfile = (
        "import nox_envs\n"
        f"@nox_envs.session(python='3.12', lock='{lock}', groups=['test'])\n"
        "def test(session):\n"
        "    session.run('python', '-m', 'unittest', '-v')\n"
    )
    for name, text in {**files, "noxfile.py": noxfile, "test_locked.py": _LOCKED}.items():
        (project / name).write_text(text, encoding="utf-8")
    before = contents(project)
    code, out = machine.nox(project, NOX_ENVS_INSTALLER=tool)
    assert code == 0, out
    assert "exactly as declared" in out
    assert "test_what_is_locked" in out
    assert contents(project) == before
