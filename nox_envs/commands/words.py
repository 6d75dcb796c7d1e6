"""Words that several commands share: how an answer is printed."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from nox_envs import settings

__all__ = ["encoding", "say", "say_json"]


def __dir__() -> list[str]:
    return __all__


def encoding() -> str:
    """What standard output can hold."""
    return sys.stdout.encoding or "ascii"


def say(text: str) -> None:
    """Print an answer, without the secrets of the user's shell."""
    sys.stdout.write(settings.redact(text, os.environ))
    sys.stdout.flush()


def say_json(document: dict[str, Any]) -> None:
    """Print an answer for a program."""
    say(json.dumps(document, indent=1) + "\n")
