"""`python -m nox_envs` is `nox-envs`."""

from __future__ import annotations

import sys

from nox_envs.cli import main

__all__: list[str] = []


def __dir__() -> list[str]:
    return __all__


if __name__ == "__main__":
    sys.exit(main())
