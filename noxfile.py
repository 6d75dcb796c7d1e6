"""The sessions of nox-envs itself, declared with nox-envs.

`nox -s test-3.11` is the main job; `nox` alone runs everything that has to pass.
"""

from __future__ import annotations

import sys

import nox

import nox_envs

PYTHONS = nox_envs.pythons()
SHARED = ("-n", "2", "--dist", "worksteal")
THIS = f"{sys.version_info.major}.{sys.version_info.minor}"

nox.options.sessions = [
    "lint",
    f"types-{THIS}",
    f"test-{THIS}",
    f"process-{THIS}",
    f"minimums-{THIS}",
    f"network-{THIS}",
]


@nox_envs.session(python=PYTHONS, groups=["test"], extras=["uv"])
def test(session: nox.Session) -> None:
    """Run the unit tests: no process, no network, seconds."""
    session.run("pytest", "-m", "not process and not network", *session.posargs)


@nox_envs.session(python=PYTHONS, groups=["test"], extras=["uv"])
def process(session: nox.Session) -> None:
    """Run the tests with real interpreters and environments, and an index on loopback."""
    session.run("pytest", "-m", "process", *SHARED, *session.posargs)


@nox_envs.session(python=PYTHONS, groups=["test"], extras=["uv"])
def network(session: nox.Session) -> None:
    """Run the tests against the real package index."""
    session.run("pytest", "-m", "network", *SHARED, *session.posargs)


@nox_envs.session(
    python=PYTHONS, groups=["test"], extras=["uv"], constraints=["tests/minimums.txt"]
)
def minimums(session: nox.Session) -> None:
    """Run against the oldest dependencies that are promised: `nox` is what matters."""
    session.run("pytest", "tests/unit", "tests/process/test_nox.py", *SHARED, *session.posargs)


@nox_envs.session(groups=["lint"], project=False)
def lint(session: nox.Session) -> None:
    """Check style and format."""
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")


@nox_envs.session(python=PYTHONS, groups=["types"], extras=["uv"])
def types(session: nox.Session) -> None:
    """Check the types of the package, of its tests and of this file."""
    session.run("mypy", *session.posargs)


@nox_envs.session(groups=["bench"], extras=["uv"], default=False)
def bench(session: nox.Session) -> None:
    """Compare with nox, tox and edgetest, side by side."""
    session.run("python", "benchmarks/compare.py", *session.posargs)


if __name__ == "__main__":
    nox.main()
