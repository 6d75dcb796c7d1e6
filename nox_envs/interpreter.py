"""A Python interpreter, as an environment sees it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Interpreter"]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """What an interpreter said of itself when it was asked."""

    path: Path
    """The executable that was asked, inside the environment."""
    version: str
    """All of it: `3.12.7`."""
    prefix: Path
    base_prefix: Path
    """Where the interpreter comes from that the environment was made with."""
    purelib: Path
    platlib: Path
    build: str
    """What compiled extensions must match (SOABI): `cpython-312-x86_64-linux-gnu`."""
    markers: Mapping[str, str]
    """The PEP 508 environment."""

    @property
    def python(self) -> str:
        """The series: `3.12`."""
        return self.markers["python_version"]

    @property
    def lock_marker(self) -> str:
        """The marker for which a lock of this interpreter holds (PEP 751 `environments`)."""
        return " and ".join(
            f"{name} == '{self.markers[name]}'"
            for name in (
                "implementation_name",
                "python_version",
                "sys_platform",
                "platform_machine",
            )
        )

    @classmethod
    def from_dict(cls, path: Path, data: Mapping[str, Any]) -> Interpreter:
        """Read what the probe of `discover.inspect` printed."""
        return cls(
            path=path,
            version=data["version"],
            prefix=Path(data["prefix"]),
            base_prefix=Path(data["base_prefix"]),
            purelib=Path(data["purelib"]),
            platlib=Path(data["platlib"]),
            build=data["build"],
            markers=data["markers"],
        )
