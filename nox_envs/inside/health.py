"""What `nox-envs doctor` finds."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Finding", "Health", "Mark"]


def __dir__() -> list[str]:
    return __all__


class Mark(enum.Enum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    """It works, and could be better."""
    BAD = "bad"
    """A session will fail because of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    topic: str
    mark: Mark
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """All of them."""

    findings: Sequence[Finding]

    @property
    def is_good(self) -> bool:
        return all(one.mark is not Mark.BAD for one in self.findings)

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": "nox-envs.doctor/1",
            "good": self.is_good,
            "findings": [
                {"topic": one.topic, "mark": one.mark.value, "text": one.text,
                 "hint": one.hint or None}
                for one in self.findings
            ],
        }  # fmt: skip
