"""Resolving with the target's own pip: `pip install --dry-run --report`.

Always the pip of the environment itself: another pip evaluates markers with its own
Python (`--python-version` does not change that), and locks for the wrong one.
Source: https://pip.pypa.io/en/stable/reference/installation-report/
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from packaging.pylock import Package, PackageArchive, PackageSdist, PackageVcs, PackageWheel
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from nox_envs import _files, _process
from nox_envs.errors import NeedsUv
from nox_envs.resolve.interface import constraint_lines, kept, only_allowed, requirement_lines
from nox_envs.resolve.requests import Origin, Request

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from nox_envs.resolve.requests import Wanted

__all__ = ["PipResolver"]


def __dir__() -> list[str]:
    return __all__


_COOLDOWN_SINCE = Version("26.0")
"""The first pip with `--uploaded-prior-to`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipResolver:
    """The resolver where uv is not installed."""

    python: Path
    """The interpreter of the environment, which has pip."""
    env: Mapping[str, str]
    name: str = "pip"

    def resolve(
        self,
        wanted: Wanted,
        wheels: Mapping[NormalizedName, Path],
        scratch: Path,
        *,
        keep: Sequence[Package] = (),
        no_build: Collection[str] = (),
    ) -> tuple[Package, ...]:
        """As `Resolver.resolve`. Raises `NeedsUv` for what pip cannot do."""
        if wanted.resolution != "highest":
            raise NeedsUv(
                what=f'resolution="{wanted.resolution}"',
                reason="pip always takes the highest release that fits.",
            )
        asked = scratch / "requirements.in"
        limits = scratch / "constraints.in"
        report = scratch / "report.json"
        lines = requirement_lines(wanted, wheels)
        if not lines:
            return ()
        if keep:
            try:
                limited = _with_limits(wanted, kept(keep, wanted))
                return self.resolve(limited, wheels, scratch, no_build=no_build)
            except _process.Refused:
                pass  # Something has to move: pip does not say what.
        _files.write_text(asked, "\n".join(lines) + "\n")
        _files.write_text(limits, "\n".join(constraint_lines(wanted)) + "\n")
        command: list[str | Path] = [
            self.python, "-I", "-m", "pip", "install", "--dry-run", "--ignore-installed",
            "--report", report, "-r", asked, "-c", limits,
        ]  # fmt: skip
        if wanted.prerelease:
            command.append("--pre")
        for name in sorted(no_build):
            command += ["--only-binary", name]
        if wanted.exclude_newer:
            self._refuse_cooldown_of_old_pip(scratch)
            command += ["--uploaded-prior-to", wanted.exclude_newer]
        done = _process.run(command, env=self.env, cwd=scratch)
        if done.returncode != 0:
            if "does not provide upload-time metadata" in done.output:
                raise NeedsUv(
                    what="cooldown=",
                    reason="pip has to know when releases were uploaded, and the index does "
                    "not say so in a form that pip reads.",
                )
            raise _process.Refused("pip", _with_requirements(done, asked, lines))
        entries = json.loads(_files.read_text(report))["install"]
        asked_for = {r.name: r.requirement.url for r in wanted.requirements if r.requirement.url}
        packages = [
            self._hashed(package, scratch)
            for package in (_package(entry, asked_for) for entry in entries)
            if package.name not in wheels
        ]
        return only_allowed(sorted(packages, key=lambda package: package.name), wanted)

    def _hashed(self, package: Package, scratch: Path) -> Package:
        """A package with hashes: those of an index, or else of the file that is downloaded."""
        files = [package.archive, package.sdist, *(package.wheels or ())]
        if all(file is None or file.hashes for file in files):
            return package
        place = scratch / f"download-{package.name}"
        target = package.archive.url if package.archive else f"{package.name}=={package.version}"
        command: list[str | Path] = [
            self.python, "-I", "-m", "pip", "download", "--no-deps", "--dest", place, str(target),
        ]  # fmt: skip
        done = _process.run(command, env=self.env, cwd=scratch)
        if done.returncode != 0:
            raise _process.Refused("pip", done)
        (downloaded,) = place.iterdir()
        hashes = {"sha256": _files.sha256(downloaded)}
        if package.archive:
            return replace(package, archive=replace(package.archive, hashes=hashes))
        if package.sdist:
            return replace(package, sdist=replace(package.sdist, hashes=hashes))
        wheels = [replace(wheel, hashes=hashes) for wheel in package.wheels or ()]
        return replace(package, wheels=wheels)

    def _refuse_cooldown_of_old_pip(self, scratch: Path) -> None:
        command: list[str | Path] = [self.python, "-I", "-m", "pip", "--version"]
        words = _process.run(command, env=self.env, cwd=scratch).stdout.split()
        version = Version(words[1]) if len(words) > 1 else Version("0")
        if version < _COOLDOWN_SINCE:
            raise NeedsUv(
                what="cooldown=",
                reason=f"The pip of this environment is {version}; {_COOLDOWN_SINCE} is the "
                "first that can leave out young releases.",
            )


def _with_limits(wanted: Wanted, pins: Iterable[Package]) -> Wanted:
    """The same with every pin as a constraint."""
    origin = Origin(file="the lock as it stands now", line=None, text="")
    limits = [
        Request(
            requirement=Requirement(f"{pin.name}=={pin.version}"), origin=origin, constraint=True
        )
        for pin in pins
    ]
    return replace(wanted, requests=(*wanted.requests, *limits))


def _with_requirements(
    done: _process.Completed, file: Path, lines: Sequence[str]
) -> _process.Completed:
    """pip's words with requirements in the place of line numbers of our own file."""

    def line(match: re.Match[str]) -> str:
        return lines[int(match[1]) - 1]

    pattern = re.compile(rf"-r {re.escape(str(file))} \(line (\d+)\)")
    return replace(
        done, stdout=pattern.sub(line, done.stdout), stderr=pattern.sub(line, done.stderr)
    )


def _with_userinfo(url: str, original: str) -> str:
    """A URL with the user and password of the one that was asked for: reports lack them."""
    parts, asked = urlsplit(url), urlsplit(original)
    if "@" in asked.netloc and asked.netloc.rpartition("@")[2] == parts.netloc:
        return urlunsplit(parts._replace(netloc=asked.netloc))
    return url


def _package(entry: Mapping[str, Any], asked_for: Mapping[NormalizedName, str]) -> Package:
    """A PEP 751 package from one `install` entry of the report (PEP 610 `download_info`).

    `asked_for` are the direct references of the user, whose credentials a download needs.
    """
    metadata, info = entry["metadata"], entry["download_info"]
    name, version = canonicalize_name(metadata["name"]), Version(metadata["version"])
    url = _with_userinfo(info["url"], asked_for.get(name, ""))
    if "vcs_info" in info:
        vcs = info["vcs_info"]
        return Package(
            name=name,
            version=version,
            vcs=PackageVcs(
                type=vcs["vcs"],
                url=url,
                requested_revision=vcs.get("requested_revision"),
                commit_id=vcs["commit_id"],
                subdirectory=info.get("subdirectory"),
            ),
        )
    hashes = dict(info.get("archive_info", {}).get("hashes", {}))
    if entry.get("is_direct"):
        archive = PackageArchive(url=url, hashes=hashes, subdirectory=info.get("subdirectory"))
        return Package(name=name, version=version, archive=archive)
    file = url.partition("#")[0].rpartition("/")[2]
    if file.endswith(".whl"):
        wheel = PackageWheel(name=file, url=url, hashes=hashes)
        return Package(name=name, version=version, wheels=[wheel])
    return Package(
        name=name, version=version, sdist=PackageSdist(name=file, url=url, hashes=hashes)
    )
