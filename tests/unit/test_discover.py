from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from nox_envs import discover
from nox_envs._process import Completed
from nox_envs.errors import WrongEnvironment

if TYPE_CHECKING:
    from collections.abc import Callable

    from nox_envs.interpreter import Interpreter

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the trees are those of POSIX")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
def env(home: Path) -> dict[str, str]:
    return {"HOME": str(home), "PATH": ""}


@pytest.fixture(autouse=True)
def _nox_runs_on_a_python_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    running = discover.Found(version="3.9.1", path=Path("/opt/nox/python"), source="nox itself")
    monkeypatch.setattr(discover, "_running", lambda: running)


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def pyenv(home: Path, *names: str) -> None:
    for name in names:
        program = "pypy" if name.startswith("pypy") else "python"
        series = ".".join(name.removeprefix("pypy").split("-")[0].rstrip("t").split(".")[:2])
        suffix = "t" if name.endswith("t") else ""
        put(home / ".pyenv" / "versions" / name / "bin" / f"{program}{series}{suffix}")


def listed(env: dict[str, str], platform: str = "linux") -> list[tuple[str, str]]:
    return [(found.name, found.source) for found in discover.available(env, platform=platform)]


# -- available ------------------------------------------------------------------------


def test_what_pyenv_has_installed(home: Path, env: dict[str, str]) -> None:
    pyenv(home, "3.9.18", "3.12.1", "3.10.13", "3.13.0", "3.13.0t", "3.14.0rc1", "2.7.18")
    pyenv(home, "pypy3.10-7.3.16", "3.15-dev", "miniconda3-24.1", "my-env", "3.12.1-debug")
    assert listed(env) == [
        ("3.15", "pyenv"),
        ("3.14.0rc1", "pyenv"),
        ("3.13.0", "pyenv"),
        ("3.13.0t", "pyenv"),
        ("3.12.1", "pyenv"),
        ("3.10.13", "pyenv"),
        ("3.9.18", "pyenv"),
        ("2.7.18", "pyenv"),
        ("pypy3.10", "pyenv"),
    ]


def test_every_version_manager_in_its_place(home: Path, env: dict[str, str]) -> None:
    put(home / ".pyenv/versions/3.12.1/bin/python3.12")
    put(home / ".local/share/uv/python/cpython-3.12.7-linux-x86_64-gnu/bin/python3.12")
    put(home / ".local/share/uv/python/pypy-3.10.14-linux-x86_64-gnu/bin/pypy3.10")
    put(
        home / ".local/share/uv/python/cpython-3.13.0+freethreaded-linux-x86_64-gnu/bin/python3.13t"
    )
    put(home / ".local/share/uv/python/cpython-3.13.0+debug-linux-x86_64-gnu/bin/python3.13d")
    put(home / ".local/share/mise/installs/python/3.11.9/bin/python3.11")
    put(home / ".asdf/installs/python/3.10.2/bin/python3.10")
    assert listed(env) == [
        ("3.12.1", "pyenv"),
        ("3.13.0t", "uv"),
        ("3.12.7", "uv"),
        ("pypy3.10.14", "uv"),
        ("3.11.9", "mise"),
        ("3.10.2", "asdf"),
    ]


def test_version_managers_that_are_elsewhere(tmp_path: Path, env: dict[str, str]) -> None:
    put(tmp_path / "p/versions/3.12.1/bin/python3")
    put(tmp_path / "u/cpython-3.12.7-linux-x86_64-gnu/bin/python3.12")
    put(tmp_path / "m/installs/python/3.11.9/bin/python")
    put(tmp_path / "a/installs/python/3.10.2/bin/python3.10")
    env |= {
        "PYENV_ROOT": str(tmp_path / "p"),
        "UV_PYTHON_INSTALL_DIR": str(tmp_path / "u"),
        "MISE_DATA_DIR": str(tmp_path / "m"),
        "ASDF_DATA_DIR": str(tmp_path / "a"),
    }
    assert listed(env) == [
        ("3.12.1", "pyenv"),
        ("3.12.7", "uv"),
        ("3.11.9", "mise"),
        ("3.10.2", "asdf"),
    ]


def test_the_data_directory_of_other_platforms(home: Path, env: dict[str, str]) -> None:
    put(home / "xdg/uv/python/cpython-3.12.7-linux-x86_64-gnu/bin/python3.12")
    put(home / "xdg/mise/installs/python/3.11.9/bin/python3.11")
    put(home / "Library/Application Support/uv/python/cpython-3.10.1-macos-aarch64-none/bin/python")
    put(home / "roaming/uv/python/cpython-3.9.1-windows-x86_64-none/python.exe")
    put(home / ".pyenv/pyenv-win/versions/3.8.10/python.exe")
    windows = {"USERPROFILE": str(home), "APPDATA": str(home / "roaming")}
    assert listed({**env, "XDG_DATA_HOME": str(home / "xdg")}) == [
        ("3.12.7", "uv"),
        ("3.11.9", "mise"),
    ]
    assert listed(env, "darwin") == [("3.10.1", "uv")]
    assert listed(windows, "win32") == [("3.8.10", "pyenv"), ("3.9.1", "uv")]


def test_broken_installations_and_aliases_are_left_out(home: Path, env: dict[str, str]) -> None:
    versions = home / ".pyenv" / "versions"
    pyenv(home, "3.12.1", "3.11.9")
    (versions / "3.10.1" / "bin").mkdir(parents=True)
    (versions / "3.9.1" / "bin").mkdir(parents=True)
    (versions / "3.9.1" / "bin" / "python3.9").symlink_to("/nowhere/python3.9")
    (versions / "3.11.9" / "bin" / "python3.11").chmod(0o644)
    (versions / "3.12").symlink_to("3.12.1")
    (versions / "3.8.1").write_text("a file", encoding="utf-8")
    assert listed(env) == [("3.12.1", "pyenv")]


def test_what_is_on_path(home: Path, tmp_path: Path, env: dict[str, str]) -> None:
    pyenv(home, "3.12.1")
    put(tmp_path / "bin/python3.11")
    put(tmp_path / "bin/python3.13t")
    put(tmp_path / "bin/pypy3.10")
    put(tmp_path / "bin/python3.11-config")
    put(tmp_path / "bin/python3")
    (tmp_path / "bin/python3.10").touch(mode=0o755)
    (tmp_path / "bin/python3.12").symlink_to(home / ".pyenv/versions/3.12.1/bin/python3.12")
    put(tmp_path / "pyenv/shims/python3.9")
    put(tmp_path / "venv/bin/python3.8")
    put(tmp_path / "venv/pyvenv.cfg")
    (tmp_path / "again").symlink_to("bin")
    places = ["bin", "pyenv/shims", "venv/bin", "gone", "again"]
    env["PATH"] = os.pathsep.join([*(str(tmp_path / place) for place in places), "bin", ""])
    assert listed(env) == [
        ("3.13t", "PATH"),
        ("3.11", "PATH"),
        ("pypy3.10", "PATH"),
        ("3.12.1", "pyenv"),
    ]


# -- locate, path_for -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("python", "expected"),
    [
        ("3.12", "3.12.7"),
        ("3.12.1", "3.12.1"),
        ("3.12.2", None),
        ("312", "3.12.7"),
        ("python3.12", "3.12.7"),
        ("cpython3.10", "3.10.13"),
        ("3.10-64", "3.10.13"),
        ("3.13t", "3.13.0t"),
        ("3.13.0t", "3.13.0t"),
        ("3.13", None),
        ("3.14", "3.14.0rc1"),
        ("3.14.0rc1", "3.14.0rc1"),
        ("3.14.0", "3.14.0rc1"),
        ("3.14.0rc2", None),
        ("pypy3.10", "pypy3.10-7.3.16"),
        ("pypy-3.10", "pypy3.10-7.3.16"),
        ("pypy3.9", None),
        (">=3.12,<3.13", "3.12.7"),
        (">=3.13", "3.14.0rc1"),
        ("~=3.10.2", "3.10.13"),
        ("pypy>=3.10", "pypy3.10-7.3.16"),
        (">=x", None),
        ("jython", None),
        ("", None),
    ],
)
def test_locate(python: str, expected: str | None, home: Path, env: dict[str, str]) -> None:
    pyenv(home, "3.10.13", "3.12.1", "3.12.7", "3.13.0t", "3.14.0rc1", "pypy3.10-7.3.16")
    found = discover.locate(python, env)
    place = discover.path_for(python, env)
    if expected is None:
        assert (found, place) == (None, None)
    else:
        bin_path = home / ".pyenv" / "versions" / expected / "bin"
        assert found is not None
        assert (found.parent, place) == (bin_path, str(bin_path))


def test_a_path_is_itself(tmp_path: Path, env: dict[str, str]) -> None:
    python = put(tmp_path / "python")
    assert discover.locate(str(python), env) == python
    assert discover.path_for(str(python), env) is None
    assert discover.locate(str(tmp_path / "gone"), env) is None


def test_the_python_that_runs_nox_comes_first(home: Path, env: dict[str, str]) -> None:
    pyenv(home, "3.9.18", "3.12.1")
    for python in ("3", "3.9", "3.9.1"):
        assert discover.locate(python, env) == Path("/opt/nox/python")
        assert discover.path_for(python, env) is None
    assert discover.path_for("3.9.18", env) == str(home / ".pyenv/versions/3.9.18/bin")


def test_path_comes_before_version_managers(
    home: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    pyenv(home, "3.12.1")
    on_path = put(tmp_path / "bin" / "python3.12")
    env["PATH"] = str(on_path.parent)
    assert discover.locate("3.12", env) == on_path
    assert discover.path_for("3.12", env) is None
    # The patch of what is on PATH is not known, so it is no answer to an exact question.
    assert discover.locate("3.12.1", env) == home / ".pyenv/versions/3.12.1/bin/python3.12"
    assert discover.path_for("3.12.1", env) == str(home / ".pyenv/versions/3.12.1/bin")


def test_a_name_that_says_too_little_is_asked(tmp_path: Path, env: dict[str, str]) -> None:
    for name in ("python3", "python3.12", "python3.11", "pypy3"):
        put(tmp_path / "bin" / name)
    env["PATH"] = str(tmp_path / "bin")
    asked = []

    def run(command: list[Any], **_: object) -> Completed:
        asked.append(command[0].name)
        version = {"python3": "3.10.4", "python3.12": "3.12.5", "pypy3": "3.9.9"}[command[0].name]
        name = "pypy" if command[0].name == "pypy3" else "cpython"
        data = {
            "version": version,
            "markers": {"implementation_name": name},
            "free_threaded": False,
        }
        return Completed(command=(), returncode=0, stdout=json.dumps(data), stderr="")

    assert discover.locate("3.12.5", env, run=run) == tmp_path / "bin" / "python3.12"
    assert discover.locate("3.10", env, run=run) == tmp_path / "bin" / "python3"
    assert discover.locate("pypy3.9", env, run=run) == tmp_path / "bin" / "pypy3"
    assert discover.locate("3.12.6", env, run=run) is None
    assert "python3.11" not in asked
    asked.clear()
    assert discover.locate("3.11", env, run=run) == tmp_path / "bin" / "python3.11"
    assert asked == []


def test_a_name_that_only_path_knows(tmp_path: Path, env: dict[str, str]) -> None:
    program = put(tmp_path / "bin" / "graalpy")
    env["PATH"] = str(program.parent)
    assert discover.locate("graalpy", env) == program


# -- missing --------------------------------------------------------------------------


def test_missing_says_what_is_there_and_what_to_type(
    home: Path, tmp_path: Path, env: dict[str, str]
) -> None:
    pyenv(home, "3.12.1", "3.10.13")
    put(home / ".local/share/uv/python/cpython-3.13.1-linux-x86_64-gnu/bin/python3.13")
    put(tmp_path / "bin/python3.11")
    for name in ("uv", "pyenv", "mise", "asdf"):
        put(tmp_path / "bin" / name)
    env["PATH"] = str(tmp_path / "bin")
    assert str(discover.missing("3.14", env, note="cannot download it")) == (
        "error: Python 3.14 is not on this machine\n"
        "\n"
        "  found: 3.11 (PATH), 3.10.13, 3.12.1 (pyenv), 3.13.1 (uv), 3.9.1 (nox itself)\n"
        "  looked in: PATH, ~/.pyenv/versions, ~/.local/share/uv/python\n"
        "  cannot download it\n"
        "hint: uv python install 3.14      or: pyenv install 3.14      or: "
        "mise use python@3.14      or: asdf install python latest:3.14"
    )


@pytest.mark.parametrize(
    ("python", "command"),
    [
        ("python3.14", "uv python install 3.14"),
        ("3.14.2", "uv python install 3.14.2"),
        ("3.15.0rc1", "uv python install 3.15.0rc1"),
        ("3.14t", "uv python install 3.14t"),
        ("pypy3.11", "uv python install pypy3.11"),
        (">=3.14", "uv python install '>=3.14'"),
    ],
)
def test_the_command_for_it(python: str, command: str, tmp_path: Path, env: dict[str, str]) -> None:
    put(tmp_path / "uv")
    env["PATH"] = str(tmp_path)
    assert discover.missing(python, env).commands == (command,)


def test_missing_where_there_is_no_tool(env: dict[str, str]) -> None:
    error = discover.missing("3.14", env)
    assert error.commands == ("https://www.python.org/downloads/",)
    assert error.found == ("3.9.1 (nox itself)",)
    assert error.looked_in == ("PATH",)
    assert discover.missing("/no/such/python", env).commands == ()


def test_pyenv_need_not_be_on_path(tmp_path: Path, env: dict[str, str]) -> None:
    put(tmp_path / "bin" / "pyenv")
    env["PYENV_ROOT"] = str(tmp_path)
    assert discover.missing("3.14", env).commands == ("pyenv install 3.14",)


# -- inspect --------------------------------------------------------------------------


def answering(stdout: str, returncode: int = 0) -> Any:
    def run(*_: object, **__: object) -> Completed:
        return Completed(command=(), returncode=returncode, stdout=stdout, stderr="why\n")

    return run


def answer(environment: Path, **changes: object) -> str:
    return json.dumps(
        {
            "version": "3.12.7",
            "prefix": str(environment),
            "base_prefix": "/usr",
            "purelib": str(environment / "lib"),
            "platlib": str(environment / "lib"),
            "build": "cpython-312",
            "markers": {"python_version": "3.12"},
            **changes,
        }
    )


def test_inspect_believes_an_environment(tmp_path: Path) -> None:
    python = put(tmp_path / "env" / "bin" / "python")
    interpreter = discover.inspect(python, run=answering(answer(tmp_path / "env")))
    assert (interpreter.path, interpreter.version) == (python, "3.12.7")


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"prefix": "/usr"}, "belongs to /usr, not to"),
        ({"purelib": "/usr/lib/python3/site-packages"}, "site-packages is not in"),
        ({"platlib": "/usr/lib64"}, "lib64 is not in"),
        ({"base_prefix": "ENV"}, "is not of a virtual environment"),
    ],
)
def test_inspect_refuses_what_belongs_elsewhere(
    changes: dict[str, str], difference: str, tmp_path: Path
) -> None:
    python = put(tmp_path / "env" / "bin" / "python")
    changes = {key: value.replace("ENV", str(tmp_path / "env")) for key, value in changes.items()}
    run = answering(answer(tmp_path / "env", **changes))
    with pytest.raises(WrongEnvironment, match=difference) as caught:
        discover.inspect(python, run=run, cell="test-3.12")
    assert caught.value.cell == "test-3.12"


def test_inspect_refuses_what_does_not_answer(tmp_path: Path) -> None:
    python = put(tmp_path / "env" / "bin" / "python")

    def slow(*_: object, **__: object) -> Completed:
        raise subprocess.TimeoutExpired("python", 60)

    for run, difference in [
        (answering("", 127), "does not start \\(exit 127\\)\\s+why"),
        (answering("no json"), "is not a Python interpreter"),
        (answering("{}"), "is not a Python interpreter"),
        (slow, "did not answer"),
    ]:
        with pytest.raises(WrongEnvironment, match=difference):
            discover.inspect(python, run=run)


def test_inspect_refuses_what_is_not_there(tmp_path: Path) -> None:
    python = tmp_path / "env" / "bin" / "python"
    python.parent.mkdir(parents=True)
    with pytest.raises(WrongEnvironment, match="is not there"):
        discover.inspect(python)
    python.symlink_to("/gone/python3.12")
    with pytest.raises(WrongEnvironment, match="is a link to /gone/python"):
        discover.inspect(python)
    python.unlink()
    python.mkdir()
    with pytest.raises(WrongEnvironment, match="is not there"):
        discover.inspect(python)


def test_inspect_passes_only_what_an_interpreter_needs_to_start(tmp_path: Path) -> None:
    python = put(tmp_path / "env" / "bin" / "python")
    passed = {}

    def run(*_: object, env: dict[str, str], **__: object) -> Completed:
        passed.update(env)
        return Completed(command=(), returncode=0, stdout=answer(tmp_path / "env"), stderr="")

    discover.inspect(python, run=run, env={"PYTHONPATH": "x", "LD_LIBRARY_PATH": "/lib"})
    assert passed == {"LD_LIBRARY_PATH": "/lib"}


# -- what interpreters have said ------------------------------------------------------


class Machine:
    """An interpreter, environments that were made with it, and what has been asked."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked = 0
        self.says: dict[str, object] = {}
        self.program = put(root / "opt" / "bin" / "python3.12").resolve()

    def environment(self, name: str, *, home: str = "", version: str = "3.12.7") -> Path:
        place = self.root / name
        python = place / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.unlink(missing_ok=True)
        python.symlink_to(self.program)
        (place / "lib").mkdir(exist_ok=True)
        text = f"home = {home or self.program.parent}\nversion_info = {version}\n"
        (place / "pyvenv.cfg").write_text(text, encoding="utf-8")
        return python

    def inspect(self, python: Path, **options: Any) -> Interpreter:
        def run(command: list[Path], **_: object) -> Completed:
            self.asked += 1
            place = Path(command[0]).parent.parent
            said = {"executable": str(self.program), **self.says}
            return Completed(command=(), returncode=0, stdout=answer(place, **said), stderr="")

        memory = self.root / "memory"
        return discover.inspect(python, run=run, memory=memory, **options)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_an_interpreter_is_asked_once_for_all_environments(machine: Machine) -> None:
    first = machine.inspect(machine.environment("one"))
    python = machine.environment("two")
    second = machine.inspect(python)
    assert machine.asked == 1
    assert second == replace(
        first,
        path=python,
        prefix=machine.root / "two",
        purelib=machine.root / "two" / "lib",
        platlib=machine.root / "two" / "lib",
    )


def test_one_that_is_in_no_environment_is_asked_once(machine: Machine) -> None:
    found = [machine.inspect(machine.program, in_environment=False) for _ in range(2)]
    assert machine.asked == 1
    assert found[0] == found[1]
    assert found[0].path == machine.program
    machine.inspect(machine.environment("one"))
    assert machine.asked == 2


def replaced(machine: Machine) -> Path:
    put(machine.program).write_text("another")
    return machine.environment("two")


def swapped(machine: Machine) -> Path:
    """The same size and time."""
    stat = machine.program.stat()
    beside = machine.program.with_name("beside")
    beside.write_bytes(machine.program.read_bytes())
    beside.chmod(0o755)
    os.utime(beside, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    beside.replace(machine.program)
    return machine.environment("two")


def copied(machine: Machine) -> Path:
    python = machine.environment("two")
    python.unlink()
    return put(python)


def without_configuration(machine: Machine) -> Path:
    python = machine.environment("two")
    (python.parent.parent / "pyvenv.cfg").unlink()
    return python


def without_packages(machine: Machine) -> Path:
    python = machine.environment("two")
    (python.parent.parent / "lib").rmdir()
    return python


def elsewhere(machine: Machine) -> Path:
    python = machine.environment("two")
    python.unlink()
    python.symlink_to(put(machine.root / "usr" / "bin" / "python3.12"))
    return python


def damaged(machine: Machine) -> Path:
    for path in (machine.root / "memory").iterdir():
        path.write_text("{}", encoding="utf-8")
    return machine.environment("two")


@pytest.mark.parametrize(
    "make",
    [
        replaced,
        swapped,
        copied,
        without_configuration,
        without_packages,
        elsewhere,
        damaged,
        lambda machine: machine.environment("two", home="/usr/bin"),
        lambda machine: machine.environment("two", version="3.12.8"),
        lambda machine: machine.environment("two", version=""),
    ],
)
def test_what_differs_is_asked(make: Callable[[Machine], Path], machine: Machine) -> None:
    machine.inspect(machine.environment("one"))
    machine.inspect(make(machine))
    assert machine.asked == 2


def test_other_variables_to_start_with_are_asked_with(machine: Machine) -> None:
    machine.inspect(machine.environment("one"))
    machine.inspect(machine.environment("one"), env={"LD_LIBRARY_PATH": "/lib"})
    machine.inspect(machine.environment("one"), env={"PATH": "/bin"})
    assert machine.asked == 2


def test_a_script_that_starts_another_program_is_asked_each_time(machine: Machine) -> None:
    machine.says["executable"] = "/usr/bin/python3.12"
    for _ in range(2):
        machine.inspect(machine.environment("one"))
        machine.inspect(machine.program, in_environment=False)
    assert machine.asked == 4


def test_what_is_replaced_while_it_answers_is_not_kept(machine: Machine) -> None:
    python = machine.environment("one")
    run = answering(answer(python.parent.parent, executable=str(machine.program)))

    def slowly(*words: Any, **options: Any) -> Any:
        put(machine.program).write_text("another")
        return run(*words, **options)

    discover.inspect(python, run=slowly, memory=machine.root / "memory")
    assert not (machine.root / "memory").exists()


def test_a_version_with_a_stage_is_that_of_the_environment(machine: Machine) -> None:
    machine.says["version"] = "3.14.0rc1"
    machine.inspect(machine.environment("one", version="3.14.0.candidate.1"))
    machine.inspect(machine.environment("two", version="3.14.0rc1"))
    assert machine.asked == 1


def test_the_memory_is_bounded(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover, "_MOST", 2)
    kept = machine.root / "memory"
    for age, name in enumerate(("new", "older", "oldest")):
        path = put(kept / name)
        os.utime(path, (path.stat().st_mtime - 100 * (age + 1),) * 2)
    machine.inspect(machine.environment("one"))
    machine.inspect(machine.environment("one"))
    assert machine.asked == 1
    assert {path.name for path in kept.iterdir() if path.suffix != ".json"} == {"new"}


def test_a_memory_that_cannot_be_written_is_none(machine: Machine) -> None:
    (machine.root / "memory").write_text("a file", encoding="utf-8")
    machine.inspect(machine.environment("one"))
    machine.inspect(machine.environment("one"))
    assert machine.asked == 2
