"""What a bundle holds, as text; pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.markers import Marker
from packaging.pylock import Package, PackageWheel, Pylock
from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from packaging.utils import NormalizedName

    from nox_envs.interpreter import Interpreter

__all__ = ["SCHEMA", "Packed", "documents", "lock"]


def __dir__() -> list[str]:
    return __all__


SCHEMA = "nox-envs.bundle/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """A wheel in the bundle."""

    name: NormalizedName
    version: Version
    file: str
    sha256: str


def documents(
    cell: str, wheels: Sequence[Packed], *, interpreter: Interpreter, script: str
) -> dict[str, str]:
    """The text files of a bundle, by their names. The same wheels give the same texts.

    For git all of it is ignored: where it lies in a project, it is no source of that.
    """
    ordered = sorted(wheels, key=lambda one: one.name)
    return {
        ".gitignore": "*\n",
        "requirements.txt": "".join(
            f"{one.name}=={one.version} --hash=sha256:{one.sha256}\n" for one in ordered
        ),
        "bundle.json": json.dumps(_described(cell, ordered, interpreter), indent=1) + "\n",
        "install.py": script,
        "README.md": _readme(cell, ordered, interpreter),
    }


def lock(wheels: Sequence[Packed], interpreter: Interpreter) -> dict[str, Any]:
    """The PEP 751 document whose files are those of the bundle."""
    packages = [
        Package(
            name=one.name,
            version=one.version,
            wheels=[
                PackageWheel(
                    name=one.file, path=f"wheels/{one.file}", hashes={"sha256": one.sha256}
                )
            ],
        )
        for one in sorted(wheels, key=lambda one: one.name)
    ]
    return dict(
        Pylock(
            lock_version=Version("1.0"),
            environments=[Marker(interpreter.lock_marker)],
            created_by="nox-envs",
            packages=packages,
        ).to_dict()
    )


def _machine(markers: Mapping[str, str]) -> dict[str, str]:
    return {
        "implementation": markers["implementation_name"],
        "version": markers["python_version"],
        "platform": markers["sys_platform"],
        "machine": markers["platform_machine"],
    }


def _described(cell: str, wheels: Sequence[Packed], interpreter: Interpreter) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "cell": cell,
        "python": _machine(interpreter.markers),
        "packages": {str(one.name): str(one.version) for one in wheels},
        "wheels": {one.file: one.sha256 for one in sorted(wheels, key=lambda one: one.file)},
    }


def _readme(cell: str, wheels: Sequence[Packed], interpreter: Interpreter) -> str:
    wanted = _machine(interpreter.markers)
    python = f"{wanted['implementation']} {wanted['version']}"
    where = f"{wanted['platform']}, {wanted['machine']}"
    return f"""\
# {cell}

{len(wheels)} packages for {python} on {where}. No network is needed:

    python install.py DIRECTORY

makes a virtual environment with exactly them, every hash verified; without DIRECTORY it is `.venv`
in the current one. Or, with other tools:

    pip install --no-index --no-deps --find-links wheels --require-hashes -r requirements.txt
    uv pip install --offline -r pylock.toml
"""
