"""The sessions of nox-envs itself, declared with nox-envs."""

from __future__ import annotations

import nox

import nox_envs

PYTHONS = nox_envs.pythons()

# What the first two commands of the README run, on a machine with Python 3.11 only.
nox.options.sessions = ["lint", "types-3.11", "test-3.11", "process-3.11", "minimums-3.11", "network-3.11"]


@nox_envs.session(python=PYTHONS, groups=["test"], extras=["uv"], tags=["check"])
def test(session: nox.Session) -> None:
    """Run the unit tests: no process, no network, seconds."""
    session.run("pytest", "tests/unit", *session.posargs)
