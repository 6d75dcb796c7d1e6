"""Exact, throwaway environments for nox sessions, proven before they run.

    import nox_envs

    @nox_envs.session(python=["3.11", "3.12"], dependencies=["pytest", "flask<3"])
    def test(session):
        session.run("pytest", *session.posargs)

Importing the package reads no file, starts no process and decides nothing.
"""

from __future__ import annotations

from nox_envs.sessions import campaigns, load, pythons, session, snippet, use

__all__ = ["__version__", "campaigns", "load", "pythons", "session", "snippet", "use"]

__version__ = "0.1.0"


def __dir__() -> list[str]:
    return __all__
