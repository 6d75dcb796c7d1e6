"""A pass that need not be repeated: `skip_unchanged=True`, under real nox."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from support.upgrading import THIS, declare, pin, upgrade

if TYPE_CHECKING:
    from support.bench import Bench, Ran

pytestmark = pytest.mark.process

SKIPS = f'python="{THIS}", dependencies="alpha", skip_unchanged=True'
RUN = 'session.run("python", "check.py")'
CHECK = "import alpha, helper\nprint('CHECKED', alpha.__version__)\n"


def session(bench: Bench, options: str = SKIPS, run: str = RUN) -> None:
    """A session whose function says that it runs, and a test with a module of its own."""
    bench.write("helper.py", "")
    bench.write("check.py", CHECK)
    bench.noxfile(
        f"@nox_envs.session({options})\ndef test(session):\n    print('CALLED')\n    {run}\n"
    )


def ran(done: Ran) -> bool:
    """Whether the function was called, or an earlier pass was shown in its place."""
    assert "Traceback" not in done.out, done.out
    cached = re.search(r"cached: it passed on \d{4}-\d\d-\d\d \d\d:\d\d", done.out)
    assert (cached is None) is ("CALLED" in done.out), done.out
    return "CALLED" in done.out


def test_only_where_it_is_asked_for(uv_bench: Bench) -> None:
    session(uv_bench, options=f'python="{THIS}", dependencies="alpha"')
    assert ran(uv_bench.nox("-s", "test"))
    assert ran(uv_bench.nox("-s", "test"))
    session(uv_bench)
    # To install is not to pass.
    assert ran(uv_bench.nox("-s", "test", "--install-only"))
    first = uv_bench.nox("-s", "test")
    assert (ran(first), "CHECKED" in first.out) == (True, True)
    again = uv_bench.nox("-s", "test")
    assert not ran(again)
    assert "CHECKED" not in again.out
    assert again.returncode == 0


def test_what_changes_is_run_again(uv_bench: Bench) -> None:
    env_file = uv_bench.root / "shared.env"
    env_file.write_text("TOKEN=1\n", encoding="utf-8")
    session(uv_bench, f'{SKIPS}, env_file="../shared.env", pass_env=["MODE", "PATH"]')
    uv_bench.write(".gitignore", "*.log\n")
    subprocess.run(["git", "init", "-q"], cwd=uv_bench.project, env=uv_bench.variables, check=True)
    assert ran(uv_bench.nox("-s", "test"))
    uv_bench.write("noise.log", "new")
    assert not ran(uv_bench.nox("-s", "test"))

    uv_bench.write("data.txt", "new")
    assert ran(uv_bench.nox("-s", "test"))
    env_file.write_text("TOKEN=2\n", encoding="utf-8")
    assert ran(uv_bench.nox("-s", "test"))
    uv_bench.index.wheel("alpha", "4.0")
    newer = uv_bench.nox("-s", "test")
    assert (ran(newer), "CHECKED 4.0" in newer.out) == (True, True)
    assert ran(uv_bench.nox("-s", "test", "--", "-x"))
    assert ran(uv_bench.nox("-s", "test", "--", "-x", MODE="new"))
    assert not ran(uv_bench.nox("-s", "test", "--", "-x", MODE="new", OTHER="new"))


def test_what_is_no_clean_pass_is_repeated(uv_bench: Bench) -> None:
    bodies = {
        "writes": f"import pathlib, time; pathlib.Path('out').write_text(str(time.time())); {RUN}",
        "installs": f"session.install('gamma'); {RUN}",
        "fails": "session.run('python', '-c', 'raise SystemExit(1)')",
        "skips": "session.skip('not today')",
    }
    session(uv_bench)
    uv_bench.noxfile(
        "".join(
            f"@nox_envs.session({SKIPS})\ndef {name}(session):\n"
            f"    print('CALLED', '{name}')\n    {body}\n\n"
            for name, body in bodies.items()
        )
    )
    for _ in range(2):
        for name in bodies:
            done = uv_bench.nox("-s", name)
            assert ran(done), name
            assert done.returncode == (name == "fails"), done.out
            # It is not the tree that brings the next run about.
            (uv_bench.project / "out").unlink(missing_ok=True)


def test_each_cell_passes_for_itself(uv_bench: Bench) -> None:
    session(uv_bench, f'python="{THIS}", matrix={{"alpha": ["1.0", "2.0"]}}, skip_unchanged=True')
    one = f"test-{THIS}(alpha='1.0')"
    assert ran(uv_bench.nox("-s", one))
    both = uv_bench.nox("-s", "test")
    assert both.out.count("CALLED") == both.out.count("CHECKED 2.0") == 1, both.out
    assert both.out.count("cached: it passed on") == 1
    assert not ran(uv_bench.nox("-s", "test"))


def test_a_trial_is_always_run(uv_bench: Bench) -> None:
    pin(uv_bench, "a")
    runs = uv_bench.root / "runs.txt"
    declare(
        uv_bench,
        f"import a\nwith open({str(runs)!r}, 'a') as file:\n    file.write(a.__version__ + ' ')\n",
        options='requirements="requirements.txt", skip_unchanged=True',
    )
    assert uv_bench.nox("-s", "test").returncode == 0
    assert "cached" in uv_bench.nox("-s", "test").out
    assert runs.read_text(encoding="utf-8") == "1.0 "
    found = upgrade(uv_bench, "--jobs", "1")
    assert found.safe == {"a": "2.0"}, found.out
    assert runs.read_text(encoding="utf-8") == "1.0 1.0 2.0 "
    # What it proved there is not taken for a pass of the session, nor the other way round.
    assert "cached" in uv_bench.nox("-s", "test").out
