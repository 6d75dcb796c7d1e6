"""Equal inputs are resolved and built once: what the index is asked on a repeat run."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.utils import canonicalize_name

from nox_envs import discover, matrix
from nox_envs.declaration import parse
from nox_envs.errors import ReleaseNotFound
from nox_envs.gather import Noxfile
from nox_envs.resolve.index import Releases
from nox_envs.upgrade.column import Column, Place, opened
from support.wheels import write_project

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from nox_envs.planning import Pins
    from support.bench import Bench

pytestmark = pytest.mark.process

THIS = f"{sys.version_info.major}.{sys.version_info.minor}"

SESSION = """
    @nox_envs.session({options})
    def {name}(session):
        session.run("python", "-c", "import {module}; print('RAN', {module}.__version__)")
"""


def declare(bench: Bench, options: str = 'dependencies=["beta"]', module: str = "beta") -> None:
    """Two sessions that ask for the same, in a shell that says nothing of what is remembered."""
    bench.extra["NOX_ENVS_REMEMBER"] = ""
    texts = [SESSION.format(options=options, name=name, module=module) for name in ("one", "two")]
    bench.noxfile("".join(texts))


def asked(bench: Bench, *words: str, **variables: str) -> int:
    """How many requests a run makes that has to succeed."""
    before = len(bench.index.requests)
    ran = bench.nox(*(words or ("-s", "one")), **variables)
    assert ran.returncode == 0, ran.out
    assert "RAN" in ran.out
    return len(bench.index.requests) - before


def provisioned(bench: Bench, *, within: str = "", **options: Any) -> tuple[int, Pins]:
    """How many requests it takes to provision a cell, without nox; and what it then holds."""
    bench.extra["NOX_ENVS_REMEMBER"] = within
    before = len(bench.index.requests)
    made = bench.provision(**(options or {"dependencies": ["beta"]}))
    return len(bench.index.requests) - before, made.pins


def age(bench: Bench, seconds: float) -> None:
    """Make all that is remembered older."""
    for path in (bench.project / ".nox" / ".cache").rglob("*"):
        if path.suffix in {".toml", ".whl"}:
            os.utime(path, (time.time() - seconds,) * 2)


def test_a_repeat_run_makes_no_request(uv_bench: Bench) -> None:
    declare(uv_bench)
    assert asked(uv_bench) > 0
    assert asked(uv_bench) == 0
    assert asked(uv_bench, "-s", "two") == 0
    assert asked(uv_bench, "-r", "-s", "one") == 0


def test_what_pip_has_resolved_is_not_looked_up_again(bench: Bench) -> None:
    declare(bench)
    asked(bench)
    first = bench.index.hits("/simple/")
    asked(bench)
    # pip's installer looks up the pages of what it downloads.
    assert bench.index.hits("/simple/") - first == (2 if bench.tool == "pip" else 0) < first


def test_a_run_asks_once_for_all_its_cells(uv_bench: Bench) -> None:
    declare(uv_bench)
    asked(uv_bench, "-s", "one", "two", NOX_ENVS_REMEMBER="0")
    assert uv_bench.index.hits("/simple/beta/") == 1


def test_for_how_long_it_holds(uv_bench: Bench) -> None:
    assert provisioned(uv_bench)[0] > 0
    age(uv_bench, 3500)
    assert provisioned(uv_bench)[0] == 0
    assert provisioned(uv_bench, within="2 hours")[0] == 0
    assert provisioned(uv_bench, within="30 minutes")[0] > 0
    age(uv_bench, 3700)
    assert provisioned(uv_bench)[0] > 0


def test_what_is_no_duration_is_refused(uv_bench: Bench) -> None:
    declare(uv_bench)
    ran = uv_bench.nox("-s", "one", NOX_ENVS_REMEMBER="a while")
    assert ran.returncode == 1
    assert "NOX_ENVS_REMEMBER" in ran.out
    assert "write 30 minutes" in ran.out


def test_a_refresh_asks_and_is_remembered(uv_bench: Bench) -> None:
    declare(uv_bench)
    asked(uv_bench)
    uv_bench.index.wheel("beta", "3.0")
    assert asked(uv_bench) == 0
    assert asked(uv_bench, "-s", "one", "two", NOX_ENVS_REFRESH="1") > 0
    assert uv_bench.index.hits("/simple/beta/") == 2
    assert asked(uv_bench) == 0
    assert "RAN 3.0" in uv_bench.nox("-s", "one").out


def test_another_question_is_asked(uv_bench: Bench) -> None:
    limited: dict[str, Any] = {"dependencies": ["beta"], "constraints": ["limits.txt"]}
    uv_bench.write("limits.txt", "beta<2\n")
    provisioned(uv_bench)
    asked, pins = provisioned(uv_bench, **limited)
    assert asked > 0
    assert provisioned(uv_bench, **limited) == (0, pins)
    uv_bench.extra["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    assert provisioned(uv_bench, **limited)[0] > 0


def test_a_failure_is_not_remembered(uv_bench: Bench) -> None:
    for _ in range(2):
        before = len(uv_bench.index.requests)
        with pytest.raises(ReleaseNotFound):
            provisioned(uv_bench, dependencies=["beta==3"])
        assert len(uv_bench.index.requests) > before
    uv_bench.index.wheel("beta", "3")
    assert provisioned(uv_bench, dependencies=["beta==3"])[0] > 0


def test_the_lowest_release_is_looked_up_once(uv_bench: Bench) -> None:
    options: dict[str, Any] = {"matrix": {"alpha": ["lowest"]}}
    asked, pins = provisioned(uv_bench, **options)
    assert asked > 0
    assert provisioned(uv_bench, **options) == (0, pins)
    assert str(pins[canonicalize_name("alpha")]) == "1.0"


def test_noxes_that_start_at_once_resolve_once(uv_bench: Bench) -> None:
    declare(uv_bench)
    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda name: uv_bench.nox("-s", name), ("one", "two")))
    assert [ran.returncode for ran in runs] == [0, 0]
    assert uv_bench.index.hits("/simple/beta/") == 1


def test_a_project_is_not_built_again(uv_bench: Bench) -> None:
    log = uv_bench.root / "builds.log"
    write_project(uv_bench.project, requires=["alpha"], build_log=log)
    path = uv_bench.project / "pyproject.toml"
    path.write_text(path.read_text().replace("requires = []", 'requires = ["gamma"]', 1))
    declare(uv_bench, module="demo")

    def builds() -> int:
        return len(log.read_text().splitlines())

    assert asked(uv_bench) > 0
    assert uv_bench.index.hits("/simple/gamma/") == 1
    assert asked(uv_bench) == 0
    assert asked(uv_bench, "-s", "two") == 0
    assert builds() == 1
    asked(uv_bench, SETUPTOOLS_SCM_PRETEND_VERSION="2.0")
    assert builds() == 2
    asked(uv_bench, "-s", "one", "two", NOX_ENVS_REFRESH="1")
    assert builds() == 3
    uv_bench.write("demo/more.py", "")
    asked(uv_bench)
    assert builds() == 4
    age(uv_bench, 3700)
    asked(uv_bench)
    assert builds() == 5


def test_local_wheels_may_change_at_any_moment(uv_bench: Bench) -> None:
    links = uv_bench.root / "links"
    links.mkdir()
    uv_bench.extra["UV_FIND_LINKS"] = str(links)
    assert provisioned(uv_bench)[0] > 0
    assert provisioned(uv_bench)[0] == 0
    newer = uv_bench.index.wheel("beta", "4.0")
    (links / newer.name).write_bytes(newer.read_bytes())
    assert str(provisioned(uv_bench)[1][canonicalize_name("beta")]) == "4.0"


def test_a_disk_that_refuses_is_no_fault(uv_bench: Bench) -> None:
    for name in ("resolutions-v1", "interpreters-v1"):
        uv_bench.write(f".nox/.cache/{name}", "not a directory")
    assert provisioned(uv_bench)[0] > 0
    assert provisioned(uv_bench)[0] > 0


def planned(bench: Bench, python: str | None) -> AbstractContextManager[Column]:
    """The same cell, as a campaign plans it."""
    declared = parse(
        "test", {"dependencies": ["beta"], "python": python}, where="noxfile.py:1, session test"
    )
    place = Place(
        name="test",
        cell=matrix.cell_of(declared, python, {}),
        declaration=declared,
        noxfile=Noxfile(path=bench.project / "noxfile.py", line=1),
    )
    cache = bench.project / ".nox" / ".cache"
    return opened(place, cache=cache, variables=bench.variables, within=bench.root / "campaign")


def test_a_plan_needs_no_environment_where_there_is_uv(bench: Bench) -> None:
    _, pins = provisioned(bench)
    counts = [len(bench.index.requests)]
    for python in (THIS, THIS, None):
        with planned(bench, python) as column:
            assert column.current.pins == pins
            assert column.interpreter.python == THIS
            assert isinstance(column.releases(canonicalize_name("beta")), Releases)
        counts.append(len(bench.index.requests))
    assert counts[1] == counts[2]
    if bench.tool == "uv":  # The environments of pip may have another pip than the session's.
        # The one page of releases; the resolution is that of the session.
        assert counts[3] - counts[0] == 1
    made = list((bench.root / "campaign").rglob("pyvenv.cfg"))
    # nox may run in an environment of its own, which is another interpreter.
    bases = {Path(sys.executable), discover.locate(THIS, bench.variables)}
    assert len(made) == (0 if bench.tool == "uv" else len(bases))


def test_what_is_remembered_can_be_forgotten(uv_bench: Bench) -> None:
    _, pins = provisioned(uv_bench)
    before = len(uv_bench.index.requests)
    with planned(uv_bench, THIS) as column:
        assert len(uv_bench.index.requests) == before
        again = column.planner.lock(column.gathered, column.wheels, anew=True)
    assert again.pins == pins
    assert len(uv_bench.index.requests) > before
