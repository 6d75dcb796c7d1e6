"""Fixtures of the process floor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support import warm
from support.bench import Bench
from support.index import Index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session", autouse=True)
def _seeds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Have virtualenv unpack pip once."""
    with pytest.MonkeyPatch.context() as variables:
        variables.setenv("VIRTUALENV_OVERRIDE_APP_DATA", str(tmp_path_factory.mktemp("seeds")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _warm() -> Iterator[None]:
    """Have nox imported once."""
    with warm.opened():
        yield


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    """An index on loopback with a few packages."""
    with Index(tmp_path) as server:
        server.wheel("alpha", "1.0")
        server.wheel("alpha", "1.1")
        server.wheel("alpha", "2.0")
        server.wheel("alpha", "3.0b1")
        server.wheel("beta", "1.0", requires=["alpha<2"])
        server.wheel("beta", "2.0", requires=["alpha>=1"], extras={"more": ["gamma"]})
        server.wheel("gamma", "1.0")
        yield server


@pytest.fixture(params=["uv", "pip"])
def bench(request: pytest.FixtureRequest, tmp_path: Path, index: Index) -> Bench:
    """The two sides of the recipe, held to one contract."""
    return Bench(root=tmp_path, index=index, tool=request.param)


@pytest.fixture
def uv_bench(tmp_path: Path, index: Index) -> Bench:
    """For what does not depend on the tool."""
    return Bench(root=tmp_path, index=index, tool="uv")
