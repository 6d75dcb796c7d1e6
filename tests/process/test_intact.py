"""Writing through a hard link into uv's cache, on purpose: it spreads, is found, and is healed."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from nox_envs.install import intact, loaded
from nox_envs.provision import heal, provision

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from nox_envs.provision import Job, Provisioned
    from support.bench import Bench

pytestmark = pytest.mark.process

POISON = "__version__ = 'poison'\n"


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """The jobs of a bench, to heal them."""
    seen: list[Job] = []

    def noting(job: Job, variables: Mapping[str, str]) -> Provisioned:
        seen.append(job)
        return provision(job, variables)

    monkeypatch.setattr("support.bench.provision", noting)
    return seen


def module(provisioned: Provisioned) -> Path:
    return provisioned.interpreter.purelib / "alpha" / "__init__.py"


def version(provisioned: Provisioned) -> str:
    code = "import alpha; print(alpha.__version__)"
    words = [str(provisioned.interpreter.path), "-Ic", code]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()


def found(provisioned: Provisioned) -> tuple[intact.Change, ...]:
    assert provisioned.snapshot is not None
    return intact.changed(provisioned.snapshot)


def test_poison_spreads_is_found_and_healed(uv_bench: Bench, jobs: list[Job]) -> None:
    first = uv_bench.provision(dependencies=["alpha==1.0"])
    assert found(first) == ()
    module(first).write_text(POISON)
    (change,) = found(first)
    assert (change.path, change.distribution, change.kind) == (
        module(first), "alpha", intact.Kind.CONTENT,
    )  # fmt: skip
    second = uv_bench.provision(dependencies=["alpha==1.0"])
    assert version(second) == "poison", "nothing was shared: this test proves nothing"
    assert [one.distribution for one in intact.verify(second.interpreter)] == ["alpha"]
    assert heal(jobs[-1], uv_bench.variables, first, [change])
    third = uv_bench.provision(dependencies=["alpha==1.0"])
    assert version(third) == "1.0"
    assert intact.verify(third.interpreter) == ()


def test_what_cannot_be_healed_is_no_failure(uv_bench: Bench, jobs: list[Job]) -> None:
    first = uv_bench.provision(dependencies=["alpha==1.0"])
    module(first).write_text(POISON)
    gone = replace(jobs[-1].declaration, requirements=("gone.txt",))
    job = replace(jobs[-1], declaration=gone)
    assert not heal(job, uv_bench.variables, first, found(first))


def test_a_change_of_the_mode_spreads_too(uv_bench: Bench, jobs: list[Job]) -> None:
    first = uv_bench.provision(dependencies=["alpha==1.0"])
    module(first).chmod(0o444)
    (change,) = found(first)
    assert change.kind is intact.Kind.MODE
    assert module(uv_bench.provision(dependencies=["alpha==1.0"])).stat().st_mode & 0o777 == 0o444
    assert heal(jobs[-1], uv_bench.variables, first, [change])
    assert module(uv_bench.provision(dependencies=["alpha==1.0"])).stat().st_mode & 0o777 != 0o444


def test_what_a_local_project_shares(uv_bench: Bench, jobs: list[Job]) -> None:
    """Its wheel is built here, and is in uv's cache as any other."""
    from support.wheels import write_project

    write_project(uv_bench.project, requires=["alpha==1.0"])
    first = uv_bench.provision()
    path = first.interpreter.purelib / "demo" / "__init__.py"
    was = path.read_text()
    path.write_text(POISON)
    assert heal(jobs[-1], uv_bench.variables, first, found(first))
    uv_bench.provision()
    assert path.read_text() == was


def test_bytecode_that_was_written_into(bench: Bench, jobs: list[Job]) -> None:
    """A header that matches says nothing about what follows: only the snapshot can tell."""
    first = bench.provision(dependencies=["alpha==1.0"])
    assert version(first) == "1.0"
    loaded.note(first.bytecode, first.interpreter, session="test")
    second = bench.provision(dependencies=["alpha==1.0"])
    (place,) = (module(second).parent / "__pycache__").iterdir()
    assert place.stat().st_nlink > 1
    content = place.read_bytes()
    place.write_bytes(content.replace(b"1.0", b"6.6"))
    assert version(second) == "6.6"
    third = bench.provision(dependencies=["alpha==1.0"])
    assert version(third) == "6.6", "nothing was shared: this test proves nothing"
    (change,) = found(second)
    assert (change.path, change.distribution, change.kind) == (place, None, intact.Kind.CONTENT)
    assert heal(jobs[-1], bench.variables, second, [change])
    assert version(bench.provision(dependencies=["alpha==1.0"])) == "1.0"
