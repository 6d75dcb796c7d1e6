"""The floors of the tests: what is not marked starts no process and opens no socket."""

from __future__ import annotations

import socket
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def _no_newer_seeds() -> Iterator[None]:
    """Keep virtualenv from looking for a newer pip on the real index, in the background."""
    with pytest.MonkeyPatch.context() as variables:
        variables.setenv("VIRTUALENV_NO_PERIODIC_UPDATE", "1")
        yield


@pytest.fixture(autouse=True)
def _floor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forbid a test to touch the floors above its own."""
    marks = {mark.name for mark in request.node.iter_markers()}
    if "network" in marks:
        return
    connect = socket.socket.connect

    def only_loopback(self: socket.socket, address: Any) -> None:
        if "process" not in marks:
            pytest.fail("a unit test opened a socket; mark it `process`")
        if not str(address[0] if isinstance(address, tuple) else "").startswith("127."):
            pytest.fail(f"a test connected to {address}; mark it `network`")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", only_loopback)
    if "process" not in marks:

        def no_process(*_args: Any, **_options: Any) -> None:
            pytest.fail("a unit test started a process; mark it `process`")

        monkeypatch.setattr(subprocess.Popen, "__init__", no_process)
