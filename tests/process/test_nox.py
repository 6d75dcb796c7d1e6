"""Real nox on top: every way to select, list and run sessions, as plain nox has them."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import TYPE_CHECKING

import pytest

from nox_envs import discover
from support.wheels import write_project

if TYPE_CHECKING:
    from pathlib import Path

    from support.bench import Bench

pytestmark = pytest.mark.process

THIS = f"{sys.version_info.major}.{sys.version_info.minor}"
SHOW = """
    from importlib import metadata
    names = ("alpha", "beta", "gamma", "demo", "extra")
    def version(name):
        try: return metadata.version(name)
        except metadata.PackageNotFoundError: return "-"
    print("HOLDS", *(f"{name}={version(name)}" for name in names))
"""


def other_python() -> str:
    """Another Python of this machine, which need not be activated."""
    for found in discover.available(os.environ):
        series = ".".join(found.version.split(".")[:2])
        if found.is_exact and series != THIS and series in {"3.9", "3.10", "3.11", "3.12", "3.13"}:
            return series
    pytest.skip("no other Python on this machine")


@pytest.fixture
def project(uv_bench: Bench) -> Bench:
    uv_bench.write("show.py", SHOW)
    uv_bench.noxfile(
        f"""
        @nox_envs.session(
            python=["{THIS}", "3.99"],
            dependencies=["beta"],
            matrix={{"alpha": ["1.0", "2.0"]}},
            exclude=[{{"python": "3.99", "alpha": "2.0"}}],
            tags=["quick"],
        )
        def test(session, alpha):
            session.run("python", "show.py", *session.posargs)
            session.log(f"given {{alpha}}")

        @nox_envs.session
        def bare(session):
            '''Nothing is installed.'''
            session.run("python", "show.py")
        """
    )
    return uv_bench


def test_list(project: Bench) -> None:
    ran = project.nox("-l")
    listed = re.findall(r"^[*-] (\S.*?)(?: \[| ->|$)", ran.out, flags=re.MULTILINE)
    assert listed == [
        f"test-{THIS}(alpha='1.0')",
        f"test-{THIS}(alpha='2.0')",
        "test-3.99(alpha='1.0')",
        "bare",
    ]


def test_list_as_json(project: Bench) -> None:
    ran = project.nox("-l", "--json")
    cells = json.loads(ran.out)
    assert cells[0]["call_spec"] == {"alpha": "1.0"}
    assert cells[0]["python"] == THIS
    assert cells[0]["tags"] == ["quick"]


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (["-s", f"test-{THIS}"], 2),
        (["-s", f"test-{THIS}(alpha='2.0')"], 1),
        (["-s", f'test-{THIS}(alpha="2.0")'], 1),
        (["-p", THIS], 2),
        (["-t", "quick"], 3),
        (["-k", "test and not bare"], 3),
        (["-k", "quick"], 3),
        (["-s", "test"], 3),
        (["-s", "test", "--extra-python", "3.98"], 5),
        (["-s", "bare"], 1),
    ],
)
def test_select(project: Bench, words: list[str], count: int) -> None:
    ran = project.nox("-l", *words)
    assert len(re.findall(r"^\* ", ran.out, flags=re.MULTILINE)) == count, ran.out


def test_run(project: Bench) -> None:
    report = project.root / "report.json"
    ran = project.nox("-s", f"test-{THIS}", "--report", str(report), "--", "posarg")
    assert ran.returncode == 0, ran.out
    assert "HOLDS alpha=1.0 beta=2.0 gamma=- demo=- extra=-" in ran.out
    assert "HOLDS alpha=2.0 beta=2.0 gamma=- demo=- extra=-" in ran.out
    assert "given 2.0" in ran.out
    assert "show.py posarg" in ran.out
    results = {one["name"]: one["result"] for one in json.loads(report.read_text())["sessions"]}
    assert set(results.values()) == {"success"}


def test_bare_decorator(project: Bench) -> None:
    ran = project.nox("-s", "bare")
    assert ran.returncode == 0, ran.out
    assert "HOLDS alpha=- beta=- gamma=- demo=- extra=-" in ran.out


@pytest.mark.parametrize(
    ("flag", "backend"), [("-fb", "uv"), ("-fb", "virtualenv"), ("-fb", "venv"), ("-db", "venv")]
)
def test_the_users_backend_is_respected(project: Bench, flag: str, backend: str) -> None:
    ran = project.nox(flag, backend, "-s", f"test-{THIS}(alpha='1.0')")
    assert ran.returncode == 0, ran.out
    assert f"Creating virtual environment ({backend})" in ran.out
    assert "HOLDS alpha=1.0" in ran.out


def test_reuse(project: Bench) -> None:
    cell = f"test-{THIS}(alpha='1.0')"
    assert "made with uv" in project.nox("-s", cell).out
    assert "kept as it was" in project.nox("-r", "-s", cell).out
    before = len(project.index.requests)
    again = project.nox("-R", "-s", cell)
    assert again.returncode == 0, again.out
    assert "kept as it was" in again.out
    assert len(project.index.requests) == before


def test_an_environment_of_plain_nox_is_not_believed(uv_bench: Bench) -> None:
    plain = """
        @nox.session(venv_backend="uv")
        def test(session):
            session.install("gamma")
    """
    uv_bench.noxfile(plain)
    assert uv_bench.nox("-s", "test", UV_INDEX_URL=uv_bench.index.url).returncode == 0
    uv_bench.write("show.py", SHOW)
    uv_bench.noxfile(
        """
        @nox_envs.session(dependencies=["alpha"])
        def test(session):
            session.run("python", "show.py")
        """
    )
    refused = uv_bench.nox("-R", "-s", "test")
    assert refused.returncode == 1
    assert "cannot be used as it is: it is not complete" in refused.out
    ran = uv_bench.nox("-r", "-s", "test")
    assert "HOLDS alpha=2.0 beta=- gamma=-" in ran.out


def test_no_venv_is_said_loudly(project: Bench) -> None:
    ran = project.nox("--no-venv", "-s", "test(alpha='1.0')")
    assert "The environment is not managed (--no-venv)" in ran.out
    assert ran.returncode == 0, ran.out


def test_install_only(project: Bench) -> None:
    ran = project.nox("--install-only", "-s", f"test-{THIS}(alpha='1.0')")
    assert ran.returncode == 0, ran.out
    assert "exactly as declared" in ran.out
    assert "HOLDS" not in ran.out


def test_force_python(project: Bench) -> None:
    other = other_python()
    ran = project.nox("-P", other, "-s", f"test-{other}(alpha='1.0')")
    assert ran.returncode == 0, ran.out
    assert f"Python {other}." in ran.out
    ran = project.nox("-P", other, "-s", "bare")
    assert f"Python {other}." in ran.out


def test_parallel_builds_the_wheel_once(uv_bench: Bench) -> None:
    log = uv_bench.root / "builds.log"
    write_project(uv_bench.project, requires=["alpha<2"], build_log=log)
    uv_bench.write("show.py", SHOW)
    uv_bench.noxfile(
        """
        @nox_envs.session(matrix={"gamma": {"a": "latest", "b": "1", "c": "==1.0"}})
        def test(session):
            session.run("python", "show.py")
        """
    )
    ran = uv_bench.nox("-j", "3", "-s", "test")
    if "unrecognized arguments: -j" in ran.out:
        pytest.skip("this nox has no -j")
    assert ran.returncode == 0, ran.out
    assert ran.out.count("HOLDS alpha=1.1 beta=- gamma=1.0 demo=1.0") == 3
    assert log.read_text().splitlines() == ["build_wheel demo-1.0"]


def test_stacked_parametrize(uv_bench: Bench) -> None:
    uv_bench.noxfile(
        """
        @nox_envs.session(matrix={"alpha": ["1.0"]})
        @nox.parametrize("db", ["pg", "lite"])
        def test(session, db, alpha):
            session.log(f"got {db} {alpha}")
        """
    )
    ran = uv_bench.nox("-s", "test(db='pg', alpha='1.0')")
    assert "got pg 1.0" in ran.out, ran.out
    assert "got lite" not in ran.out


def test_parametrize_above_is_refused(uv_bench: Bench) -> None:
    uv_bench.noxfile(
        """
        @nox.parametrize("db", ["pg", "lite"])
        @nox_envs.session
        def test(session, db):
            pass
        """
    )
    ran = uv_bench.nox("-l")
    assert ran.returncode == 2
    assert "@nox.parametrize below @nox_envs.session" in ran.out
    assert "Traceback" not in ran.out
    uv_bench.noxfile(
        """
        @nox.parametrize("db", ["pg", "lite"])
        @nox_envs.session
        def test(session, db=None):
            pass
        """
    )
    ran = uv_bench.nox("-l")
    assert ran.returncode == 2
    assert "put it below @nox_envs.session" in ran.out


def test_a_function_without_the_parameter_is_not_given_it(uv_bench: Bench) -> None:
    uv_bench.noxfile(
        """
        @nox_envs.session(matrix={"alpha": ["1.0"]})
        def test(session):
            session.log("ran")
        """
    )
    ran = uv_bench.nox()
    assert "ran" in ran.out
    assert ran.returncode == 0, ran.out


def test_python_noxfile(project: Bench) -> None:
    noxfile = project.project / "noxfile.py"
    noxfile.write_text(noxfile.read_text() + "\nif __name__ == '__main__':\n    nox.main()\n")
    other = project.root / "elsewhere"
    other.mkdir()
    listed = project.nox("-l", "-f", str(noxfile), cwd=other)
    assert "test-" in listed.out
    import subprocess

    done = subprocess.run(
        [sys.executable, str(noxfile), "-s", f"test-{THIS}(alpha='1.0')"],
        cwd=project.project,
        env=project.variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "HOLDS alpha=1.0" in done.stdout, done.stdout + done.stderr


def test_what_nox_itself_is_told(uv_bench: Bench) -> None:
    uv_bench.noxfile(
        """
        @nox_envs.session(name="first", tags=["a"], default=False)
        def one(session):
            session.log("first ran")

        @nox_envs.session(requires=["first"], reuse_venv=True, venv_params=["--prompt", "mine"],
                          allow_parallel=False)
        def second(session):
            config = open(session.virtualenv.location + "/pyvenv.cfg").read()
            session.log("prompt" if "mine" in config else "no prompt")

        @nox_envs.session(default=False)
        def third(session):
            pass
        """
    )
    listed = uv_bench.nox("-l").out
    assert "* first [a]" in listed  # `second` requires it.
    assert "- third" in listed
    ran = uv_bench.nox()
    assert ran.returncode == 0, ran.out
    assert ran.out.index("first ran") < ran.out.index("> prompt")
    assert "second was successful" in uv_bench.nox("-s", "second").out
    assert "kept as it was" in uv_bench.nox("-s", "second").out
    alone = uv_bench.nox("-j", "2", "-s", "second", "--no-dependencies")
    if "unrecognized arguments" not in alone.out:
        assert "No selected session allows parallel execution" in alone.out


def test_downloads_are_left_to_nox_only_where_they_are_wanted() -> None:
    from nox_envs import running
    from nox_envs.declaration import parse

    running.prepare(parse("test", {"download_python": "auto"}, where=""), "3.99")
    with pytest.raises(Exception, match=r"Python 3\.99 is not on this machine"):
        running.prepare(parse("test", {}, where=""), "3.99")


def test_undeclared_installs_are_noted(uv_bench: Bench) -> None:
    uv_bench.noxfile(
        """
        @nox_envs.session(dependencies=["alpha"])
        def test(session):
            session.install("gamma")
        """
    )
    ran = uv_bench.nox()
    assert ran.returncode == 0, ran.out
    assert "Not declared, installed by the session itself: gamma 1.0" in ran.out
    (stamp,) = uv_bench.project.rglob("nox-envs.json")
    assert json.loads(stamp.read_text())["undeclared"] == {"gamma": "1.0"}
    assert uv_bench.nox("-R").returncode == 0


def test_may_fail_is_reported_and_fails_nothing(uv_bench: Bench) -> None:
    uv_bench.noxfile(
        """
        @nox_envs.session(matrix={"alpha": ["1.0", "2.0", "9.9"]},
                          may_fail=[{"alpha": ["2.0", "9.9"]}])
        def test(session, alpha):
            if alpha == "2.0":
                session.run("python", "-c", "raise SystemExit(3)")
        """
    )
    ran = uv_bench.nox()
    assert ran.returncode == 0, ran.out
    assert "test(alpha='2.0') skipped: failed, as it may" in ran.out
    assert "test(alpha='9.9') skipped: failed, as it may: alpha has no release 9.9" in ran.out
    assert "test(alpha='1.0'): success" in ran.out


def test_a_failing_function_fails(uv_bench: Bench) -> None:
    uv_bench.noxfile(
        """
        @nox_envs.session
        def test(session):
            session.run("python", "-c", "raise SystemExit(3)")
        """
    )
    assert uv_bench.nox().returncode == 1


def test_colliding_directories_are_refused(uv_bench: Bench) -> None:
    uv_bench.noxfile(
        """
        @nox_envs.session(matrix={"attrs": ["<24", ">=24"]})
        def test(session):
            pass
        """
    )
    ran = uv_bench.nox("-l")
    assert ran.returncode == 2
    assert "would share the environment directory test-attrs-24" in ran.out
    assert 'matrix={"attrs": {"old": "<24", "new": ">=24"}}' in ran.out


def test_collisions_across_sessions_are_refused(uv_bench: Bench) -> None:
    uv_bench.noxfile(
        """
        @nox.session(name="a b")
        def one(session):
            pass

        @nox_envs.session(name="a-b")
        def two(session):
            pass
        """
    )
    ran = uv_bench.nox("-l")
    assert ran.returncode == 2
    assert "with a b" in ran.out


def test_mistakes_end_nox_without_a_traceback(uv_bench: Bench) -> None:
    uv_bench.noxfile(
        """
        @nox_envs.session(dependancies=["x"], python=[3.10], groups=["tset"])
        def test(session):
            pass
        """
    )
    uv_bench.write("pyproject.toml", "[dependency-groups]\ntest = []\n")
    ran = uv_bench.nox("-l")
    assert ran.returncode == 2
    assert "error: 3 mistakes in noxfile.py:5, session test" in ran.out
    assert "did you mean dependencies?" in ran.out
    assert "did you mean test?" in ran.out
    assert "Traceback" not in ran.out


def test_a_missing_interpreter_is_answered(project: Bench) -> None:
    ran = project.nox("-s", "test-3.99")
    assert ran.returncode == 1
    assert "error: Python 3.99 is not on this machine" in ran.out
    assert "found: " in ran.out
    assert re.search(r"aborted: Python 3\.99 is not on this machine( \(took .+\))?\.", ran.out)
    assert "Traceback" not in ran.out


@pytest.mark.parametrize("python", ["2.7", "nope"])
def test_a_python_that_cannot_be_had_is_never_skipped(uv_bench: Bench, python: str) -> None:
    uv_bench.noxfile(
        f"""
        @nox_envs.session(python="{python}")
        def test(session):
            pass
        """
    )
    ran = uv_bench.nox()
    assert ran.returncode == 1, ran.out
    assert "Traceback" not in ran.out


def test_two_noxes_in_one_environment_are_noticed(uv_bench: Bench) -> None:
    uv_bench.noxfile(
        """
        import json, os, pathlib
        @nox_envs.session(dependencies=["alpha"])
        def test(session):
            stamp = pathlib.Path(session.virtualenv.location) / "nox-envs.json"
            data = json.loads(stamp.read_text())
            stamp.write_text(json.dumps({**data, "token": "of another nox"}))
        """
    )
    ran = uv_bench.nox()
    assert ran.returncode == 1
    assert "something else made it anew, or wrote into it, while the session ran in it" in ran.out


def test_a_python_that_is_installed_but_not_activated_is_found(uv_bench: Bench) -> None:
    other = other_python()
    uv_bench.noxfile(
        f"""
        import os
        @nox_envs.session(python="{other}")
        def test(session):
            session.run("python", "-c", "import sys; print('RUNS', sys.version)")
            print("PATH", os.environ["PATH"])
        """
    )
    plain = [word for word in os.environ["PATH"].split(os.pathsep) if "versions" not in word]
    ran = uv_bench.nox("-s", f"test-{other}", PATH=os.pathsep.join(plain))
    assert f"RUNS {other}." in ran.out, ran.out
    assert not re.search(rf"PATH .*{re.escape(other)}", ran.out)


def test_a_python_that_is_not_activated_is_found_again_when_made_anew(uv_bench: Bench) -> None:
    other = other_python()
    noxfile = """
        @nox_envs.session(python="{python}", dependencies=["{asked}"])
        def test(session):
            session.run("python", "-c", "import sys; print('RUNS', sys.version)")
    """
    plain = [word for word in os.environ["PATH"].split(os.pathsep) if "versions" not in word]
    for asked in ("alpha<2", "alpha>=2"):
        uv_bench.noxfile(noxfile.format(python=other, asked=asked))
        ran = uv_bench.nox("-r", PATH=os.pathsep.join(plain))
        assert ran.returncode == 0, ran.out
        assert f"RUNS {other}." in ran.out, ran.out


def test_variables_of_the_session(uv_bench: Bench) -> None:
    uv_bench.write("service/.env", "FROM_FILE=${BASE}/x\nBASE=b\nBOTH=file\n")
    uv_bench.noxfile(
        """
        SHOW = "import os; print('SEEN', *(os.environ.get(n, '-') for n in "\\
               "('PYTHONPATH', 'FOREIGN', 'CI_JOB', 'FROM_FILE', 'BOTH', 'NOX_ENVS_RUN_ID')), os.getcwd())"

        @nox_envs.session(directory="service", env={"BOTH": "env"}, env_file=".env")
        def test(session):
            session.run("python", "-c", SHOW)

        @nox_envs.session(pass_env=["CI_*"])
        def closed(session):
            session.run("python", "-c", SHOW)
        """
    )
    shell = {"PYTHONPATH": "/nowhere", "FOREIGN": "f", "CI_JOB": "j", "BASE": "shell"}
    ran = uv_bench.nox("-s", "test", **shell)
    service = uv_bench.project / "service"
    assert f"SEEN - f j shell/x env - {service.resolve()}" in ran.out, ran.out
    ran = uv_bench.nox("-s", "closed", **shell)
    assert "SEEN - - j - - -" in ran.out, ran.out


def test_timeout_is_never_green(uv_bench: Bench) -> None:
    uv_bench.noxfile(
        """
        @nox_envs.session(timeout=3)
        def test(session):
            try:
                session.run("python", "-c", "import time; time.sleep(600)")
            except BaseException:
                pass
        """
    )
    ran = uv_bench.nox()
    assert ran.returncode == 1
    assert "aborted: timed out after 3 s" in ran.out


def test_pythons_come_from_the_metadata(uv_bench: Bench) -> None:
    uv_bench.write(
        "pyproject.toml",
        """
        [project]
        name = "x"
        requires-python = ">=3.9"
        classifiers = ["Programming Language :: Python :: 3.12",
                       "Programming Language :: Python :: 3.8",
                       "Programming Language :: Python :: 3.10"]
        """,
    )
    uv_bench.noxfile("print('PYTHONS', nox_envs.pythons())\n@nox.session\ndef x(session): pass\n")
    assert "PYTHONS ['3.10', '3.12']" in uv_bench.nox("-l").out
    uv_bench.write("pyproject.toml", "[project]\nname='x'\n")
    ran = uv_bench.nox("-l")
    assert ran.returncode == 2
    assert "has neither classifiers for Python 3.X nor requires-python" in ran.out


def test_an_interrupted_install_is_never_used(uv_bench: Bench, tmp_path: Path) -> None:
    import subprocess

    uv_bench.noxfile(
        """
        @nox_envs.session(dependencies=["alpha"])
        def test(session):
            session.run("python", "-c", "import alpha; print('HOLDS', alpha.__version__)")
        """
    )
    uv_bench.index.fail("alpha", "slow", where="files")
    nox = subprocess.Popen(
        [sys.executable, "-m", "nox", "-s", "test"],
        cwd=uv_bench.project,
        env=uv_bench.variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    uv_bench.wait_for(lambda: uv_bench.index.fired)
    os.killpg(nox.pid, 9)
    nox.wait()
    assert (uv_bench.project / ".nox" / "test" / "pyvenv.cfg").exists()
    uv_bench.index.heal()
    refused = uv_bench.nox("-R", "-s", "test")
    assert refused.returncode == 1, refused.out
    ran = uv_bench.nox("-r", "-s", "test")
    assert "HOLDS 2.0" in ran.out, ran.out


def test_credentials_are_never_shown(uv_bench: Bench) -> None:
    secret = "S3CRET-x7"
    uv_bench.noxfile(
        """
        @nox_envs.session(dependencies=["alpha==9"])
        def test(session):
            pass
        """
    )
    url = uv_bench.index.url.replace("://", f"://bob:{secret}@")
    ran = uv_bench.nox("-s", "test", UV_DEFAULT_INDEX=url, PIP_INDEX_URL=url)
    assert "alpha has no release 9" in ran.out
    assert secret not in ran.out
    for path in uv_bench.project.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path
