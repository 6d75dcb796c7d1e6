"""The fakes are held against the real tools: what pip and uv accept is what the tests may trust."""

from __future__ import annotations

import functools
import hashlib
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from support.index import Form, Index, Mode, tool_environment
from support.wheels import build_sdist, build_wheel, write_project

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

pytestmark = pytest.mark.process

LIST = """
import importlib.metadata, json
found = {each.metadata["Name"]: each.version for each in importlib.metadata.distributions()}
print(json.dumps({name: found[name] for name in found if name not in ("pip", "setuptools")}))
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tool:
    """An installer with an environment to install into."""

    name: str
    python: Path
    command: Sequence[str]
    env: dict[str, str]

    def install(
        self, *arguments: str, index: Index | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Install from `index`, or without any."""
        source = ["--no-index"] if index is None else ["--index-url", index.url]
        return self.run([*self.command, "install", *source, *arguments])

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command and keep what it said."""
        return subprocess.run(
            command, env=self.env, check=False, capture_output=True, text=True, timeout=120
        )

    def installed(self) -> dict[str, str]:
        """Ask the environment what it holds."""
        listed = self.run([str(self.python), "-I", "-c", LIST])
        found: dict[str, str] = json.loads(listed.stdout)
        return found


def make_venv(directory: Path, *, with_pip: bool = False) -> Path:
    venv.create(directory, with_pip=with_pip, symlinks=sys.platform != "win32")
    return directory / ("Scripts" if sys.platform == "win32" else "bin") / "python"


@pytest.fixture(scope="module")
def pip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an interpreter with pip, to be used from outside the environments under test."""
    return make_venv(tmp_path_factory.mktemp("pip") / "venv", with_pip=True)


@pytest.fixture(params=["pip", "uv"])
def tool(request: pytest.FixtureRequest, tmp_path: Path) -> Tool:
    python = make_venv(tmp_path / "venv")
    env = tool_environment(tmp_path / "cache")
    if request.param == "pip":
        outer = request.getfixturevalue("pip")
        command = [str(outer), "-m", "pip", "--python", str(python)]
        return Tool(name="pip", python=python, command=command, env=env)
    uv = pytest.importorskip("uv").find_uv_bin()
    # The option belongs to the subcommand, so the variable stands in for it.
    return Tool(name="uv", python=python, command=[uv, "pip"], env=env | {"UV_PYTHON": str(python)})


@pytest.fixture(params=["json", "html", "both"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Index]:
    form: Form = request.param
    with Index(tmp_path, form=form) as served:
        yield served


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Index]:
    with Index(tmp_path) as served:
        yield served


def test_a_wheel_brings_its_dependencies(tool: Tool, index: Index) -> None:
    index.wheel("Outer.Name", "1.0", requires=["inner>=2"], extras={"more": ["third"]})
    index.wheel(
        "inner", "2.0", entry_points={"inner": "inner:main"}, modules={"inner.py": "main = print"}
    )
    index.wheel("inner", "1.0")
    index.wheel("third", "3.0")

    result = tool.install("outer-name[more]", index=index)

    assert result.returncode == 0, result.stderr
    assert tool.installed() == {"Outer.Name": "1.0", "inner": "2.0", "third": "3.0"}
    assert index.hits("inner-1.0") == 0
    script = tool.run([str(tool.python.with_name("inner"))])
    assert script.returncode == 0, script.stderr


def test_requires_python_is_read_from_the_page(tool: Tool, index: Index) -> None:
    index.wheel("demo", "1.0", requires_python=">=3.8")
    index.wheel("demo", "2.0", requires_python=">=4")
    index.sdist("demo", "3.0", requires_python=">=4")

    result = tool.install("demo", index=index)

    assert result.returncode == 0, result.stderr
    assert tool.installed() == {"demo": "1.0"}
    assert index.hits("demo-2.0") == index.hits("demo-3.0") == 0


def test_an_sdist_is_built(tool: Tool, index: Index, tmp_path: Path) -> None:
    marker = tmp_path / "built"
    index.sdist("demo", "1.0", requires=["inner"], marker=marker)
    index.wheel("inner", "1.0")

    result = tool.install("demo", index=index)

    assert result.returncode == 0, result.stderr
    assert tool.installed() == {"demo": "1.0", "inner": "1.0"}
    assert marker.exists()
    version = tool.run([str(tool.python), "-c", "import demo; print(demo.__version__)"])
    assert version.stdout == "1.0\n"


def test_a_broken_sdist_says_why(tool: Tool, both: Index, tmp_path: Path) -> None:
    marker = tmp_path / "tried"
    both.sdist("demo", "1.0", breaks=True, marker=marker)

    result = tool.install("demo", index=both)

    assert result.returncode != 0
    assert "the compiler is missing" in result.stdout + result.stderr
    assert "compiling line 30" in result.stdout + result.stderr
    assert marker.exists()


def test_the_metadata_of_a_broken_sdist_can_be_had(both: Index, tmp_path: Path) -> None:
    both.sdist("demo", "1.0", requires=["inner"], breaks=True)
    both.wheel("inner", "1.0")
    uv = pytest.importorskip("uv").find_uv_bin()
    wanted = tmp_path / "requirements.in"
    wanted.write_text("demo")

    result = subprocess.run(
        [uv, "pip", "compile", "--index-url", both.url, wanted],
        env=tool_environment(tmp_path / "cache"),
        check=False,
        capture_output=True,
        text=True,
    )

    assert result.returncode == 0, result.stderr
    assert "inner==1.0" in result.stdout


def test_a_yanked_release_is_skipped(tool: Tool, index: Index) -> None:
    index.wheel("demo", "1.0")
    index.wheel("demo", "2.0")
    index.yank("demo", "2.0", 'it ate "my" homework')

    result = tool.install("demo", index=index)

    assert result.returncode == 0, result.stderr
    assert tool.installed() == {"demo": "1.0"}
    pinned = tool.install("demo==2.0", index=index)
    assert "it ate" in pinned.stdout + pinned.stderr


def test_upload_times_are_told(both: Index, tmp_path: Path) -> None:
    both.wheel("demo", "1.0")
    both.wheel("demo", "2.0")
    both.upload_time("demo", "1.0", "2020-01-01T00:00:00Z")
    both.upload_time("demo", "2.0", "2024-01-01T00:00:00.5Z")
    uv = pytest.importorskip("uv").find_uv_bin()
    wanted = tmp_path / "requirements.in"
    wanted.write_text("demo")

    result = subprocess.run(
        [uv, "pip", "compile", "--exclude-newer", "2022-01-01", "--index-url", both.url, wanted],
        env=tool_environment(tmp_path / "cache"),
        check=False,
        capture_output=True,
        text=True,
    )

    assert "demo==1.0" in result.stdout, result.stderr


@pytest.mark.parametrize("mode", ["500", "404", "401", "403", "429", "badjson", "html200"])
def test_a_failing_page_stops_the_tools(tool: Tool, both: Index, mode: Mode) -> None:
    both.wheel("demo", "1.0")
    both.fail("Demo", mode, where="pages")

    result = tool.install("demo", index=both)

    assert result.returncode != 0
    assert both.hits("/simple/demo/") >= 1
    assert ("/simple/demo/", mode) in both.fired
    assert both.hits("/files/") == 0
    assert tool.installed() == {}

    both.heal()
    assert tool.install("demo", index=both).returncode == 0


@pytest.mark.parametrize("mode", ["500", "truncated"])
def test_a_failing_download_stops_the_tools(tool: Tool, both: Index, mode: Mode) -> None:
    both.wheel("demo", "1.0")
    both.wheel("sound", "1.0")
    both.fail("demo", mode, where="files")

    result = tool.install("demo", index=both)

    assert result.returncode != 0
    assert both.hits("/files/demo-1.0") >= 1
    assert {fired for _, fired in both.fired} == {mode}
    assert tool.install("sound", index=both).returncode == 0


def test_a_fault_can_hold_for_all(tool: Tool, both: Index) -> None:
    both.wheel("demo", "1.0")
    both.fail(None, "500")

    assert tool.install("demo", index=both).returncode != 0
    assert both.fired


def test_credentials_are_required(tool: Tool, tmp_path: Path) -> None:
    with Index(tmp_path, credentials=("user", "secret")) as index:
        index.wheel("demo", "1.0")

        assert tool.install("demo", index=index).returncode != 0
        with_secret = ["--index-url", index.url_with_credentials]
        result = tool.run([*tool.command, "install", *with_secret, "demo"])

    assert result.returncode == 0, result.stderr


def test_an_advertised_hash_can_be_wrong_or_missing(pip: Path, both: Index, tmp_path: Path) -> None:
    both.wheel("demo", "1.0")
    env = tool_environment(tmp_path)
    download = [pip, "-m", "pip", "download", "--index-url", both.url, "-d", tmp_path / "d", "demo"]
    run = functools.partial(subprocess.run, download, env=env, capture_output=True, text=True)

    both.fail("demo", "badhash")
    refused = run(check=False)
    both.fail("demo", "nohash")
    taken = run(check=False)

    assert refused.returncode != 0
    assert "HASHES" in refused.stderr
    assert taken.returncode == 0, taken.stderr
    assert [mode for _, mode in both.fired] == ["badhash", "nohash"]


def test_a_slow_answer_ends_with_the_index(tmp_path: Path) -> None:
    begun = time.monotonic()

    with Index(tmp_path) as index:
        index.wheel("demo", "1.0")
        index.fail("demo", "slow")
        with pytest.raises(TimeoutError):
            urllib.request.urlopen(index.url + "demo/", timeout=0.2)

    assert index.fired == [("/simple/demo/", "slow")]
    assert time.monotonic() - begun < 10


def test_the_page_follows_the_accept_header(both: Index) -> None:
    both.wheel("demo", "1.0", requires_python=">=3.8,<4")
    both.yank("demo", "1.0")

    page = json.loads(get(both.url + "demo/", accept="application/vnd.pypi.simple.v1+json"))
    text = get(both.url + "demo/", accept="*/*").decode()

    file = page["files"][0]
    digest = hashlib.sha256(get(file["url"])).hexdigest()
    metadata = hashlib.sha256(get(file["url"] + ".metadata")).hexdigest()
    assert page["versions"] == ["1.0"]
    assert file["hashes"] == {"sha256": digest}
    assert file["core-metadata"] == {"sha256": metadata}
    assert file["yanked"] is True
    assert f'href="../../files/demo-1.0-py3-none-any.whl#sha256={digest}"' in text
    assert 'data-requires-python="&gt;=3.8,&lt;4"' in text
    assert f'data-core-metadata="sha256={metadata}"' in text
    assert 'data-yanked=""' in text


def test_an_unknown_project_is_a_404_and_names_are_redirected(both: Index) -> None:
    both.wheel("some-demo", "1.0")

    with pytest.raises(urllib.error.HTTPError, match="404") as caught:
        get(both.url + "unknown/")
    caught.value.close()
    assert b"some_demo-1.0" in get(both.url + "Some_Demo")
    assert b'"some-demo"' in get(both.url, accept="application/vnd.pypi.simple.v1+json")


def get(url: str, *, accept: str = "*/*") -> bytes:
    request = urllib.request.Request(url, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as answer:
        content: bytes = answer.read()
        return content


def test_archives_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"

    wheels = [build_wheel(each, "demo", "1.0", requires=["a"]) for each in (one, two)]
    sdists = [build_sdist(each, "demo", "1.0", requires=["a"]) for each in (one, two)]

    assert wheels[0].read_bytes() == wheels[1].read_bytes()
    assert sdists[0].read_bytes() == sdists[1].read_bytes()
    with zipfile.ZipFile(wheels[0]) as archive:
        assert archive.testzip() is None


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_project_is_built_and_counted(
    tool: Tool, both: Index, tmp_path: Path, *, dynamic: bool
) -> None:
    both.wheel("inner", "1.0")
    both.wheel("third", "1.0")
    log = tmp_path / "builds"
    project = write_project(
        tmp_path / "project",
        requires=["inner"],
        extras={"more": ["third; python_version >= '3'"]},
        groups={"test": ["inner", {"include-group": "none"}], "none": []},
        dynamic=dynamic,
        build_log=log,
    )

    result = tool.install(f"{project}[more]", index=both)

    assert result.returncode == 0, result.stderr
    assert tool.installed() == {"demo": "1.0", "inner": "1.0", "third": "1.0"}
    assert log.read_text() == "build_wheel demo-1.0\n"
    assert (project / "build-was-here.txt").exists()


def test_a_project_can_be_editable(tool: Tool, tmp_path: Path) -> None:
    log = tmp_path / "builds"
    project = write_project(tmp_path / "project", build_log=log)

    result = tool.install("--editable", str(project))

    assert result.returncode == 0, result.stderr
    (project / "demo" / "__init__.py").write_text("print('edited')\n")
    assert tool.run([str(tool.python), "-c", "import demo"]).stdout == "edited\n"
    assert not log.exists()
    assert not (project / "build-was-here.txt").exists()


def test_a_project_makes_an_sdist(tool: Tool, tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", requires=[])
    build = f"import backend; print(backend.build_sdist({str(tmp_path)!r}))"
    made = subprocess.run(
        [sys.executable, "-c", build], cwd=project, check=True, capture_output=True, text=True
    )

    result = tool.install(str(tmp_path / made.stdout.strip()))

    assert result.returncode == 0, result.stderr
    assert tool.installed() == {"demo": "1.0"}
