"""Resolving with uv: `uv pip compile` to a PEP 751 lock.

Source: https://docs.astral.sh/uv/pip/compile/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.pylock import Package, Pylock
from packaging.version import Version

from nox_envs import _files, _process
from nox_envs.resolve.interface import constraint_lines, kept, only_allowed, requirement_lines

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from packaging.utils import NormalizedName

    from nox_envs.resolve.requests import Wanted

__all__ = ["UvResolver"]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True, slots=True, kw_only=True)
class UvResolver:
    """The resolver of choice: it knows every option of a declaration."""

    uv: Path
    env: Mapping[str, str]
    """The scrubbed environment, with the user's indexes."""
    refreshes: bool = False
    """Ask the index again, whatever uv's own cache has of it."""
    name: str = "uv"

    def resolve(
        self,
        wanted: Wanted,
        wheels: Mapping[NormalizedName, Path],
        scratch: Path,
        *,
        keep: Sequence[Package] = (),
        no_build: Collection[str] = (),
    ) -> tuple[Package, ...]:
        """As `Resolver.resolve`."""
        asked = scratch / "requirements.in"
        limits = scratch / "constraints.in"
        answer = scratch / "pylock.toml"
        _files.write_text(asked, "\n".join(requirement_lines(wanted, wheels)) + "\n")
        _files.write_text(limits, "\n".join(constraint_lines(wanted)) + "\n")
        if keep:
            # uv prefers the pins of the file that it is to write.
            known = Pylock(
                lock_version=Version("1.0"), created_by="nox-envs", packages=kept(keep, wanted)
            )
            _files.write_toml(answer, known.to_dict(), private=True)
        command: list[str | Path] = [
            self.uv, "pip", "compile", asked, "--constraints", limits,
            "--format", "pylock.toml", "--output-file", answer,
            "--python", wanted.interpreter.path,
            "--resolution", wanted.resolution,
            # An index URL in a header or an annotation may hold a password.
            "--no-header", "--no-annotate", "--no-sources", "--quiet",
            "--prerelease", "allow" if wanted.prerelease else "if-necessary-or-explicit",
        ]  # fmt: skip
        for request in wanted.requirements:
            if request.prerelease:
                command += ["--prerelease-package", f"{request.name}=allow"]
        for name in sorted(no_build):
            command += ["--only-binary", name]
        if self.refreshes:
            command.append("--refresh")
        if wanted.exclude_newer:
            command += ["--exclude-newer", wanted.exclude_newer]
        done = _process.run(command, env=self.env, cwd=scratch)
        if done.returncode != 0:
            raise _process.Refused("uv", done)
        packages = Pylock.from_dict(_files.read_toml(answer)).packages
        return only_allowed((p for p in packages if p.name not in wheels), wanted)
