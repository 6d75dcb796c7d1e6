"""What a resolver is: requirements in, hashed PEP 751 packages out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from nox_envs.errors import LockInvalid

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from packaging.pylock import Package
    from packaging.utils import NormalizedName

    from nox_envs.resolve.requests import Request, Wanted

__all__ = ["Resolver", "constraint_lines", "kept", "only_allowed", "requirement_lines"]


def __dir__() -> list[str]:
    return __all__


class Resolver(Protocol):
    """Chooses one release for each package that is needed.

    Two implementations, uv and pip, are held to one contract by the tests: equal
    answers for equal questions, wherever both can answer.
    """

    @property
    def name(self) -> str: ...

    def resolve(
        self,
        wanted: Wanted,
        wheels: Mapping[NormalizedName, Path],
        scratch: Path,
        *,
        keep: Sequence[Package] = (),
        no_build: Collection[str] = (),
    ) -> tuple[Package, ...]:
        """The third-party packages that `wanted` needs, with hashes.

        `wheels` are the local projects of the cell: they take part, so that what
        depends on them meets their version, and are left out of the answer. `scratch`
        is an empty directory. Of `keep`, no pin is moved that need not be moved; pip,
        which has no such notion, keeps all of them or none. Releases of `no_build` that have
        no wheel do not exist.
        Raises `Refused` with the tool's own words.
        """
        ...


def requirement_lines(wanted: Wanted, wheels: Mapping[NormalizedName, Path]) -> list[str]:
    """The requirements as a requirements file, each written anew by `packaging`.

    What a user wrote never reaches a tool as text: only parsed requirements do.
    """
    asked = [_line(request) for request in wanted.requirements if request.name not in wheels]
    extras: dict[NormalizedName, set[str]] = {name: set() for name in wheels}
    for request in wanted.requirements:
        if request.name in wheels:
            extras[request.name] |= request.requirement.extras
            if request.requirement.specifier:  # The local version has to fit, too.
                asked.append(f"{request.name}{request.requirement.specifier}")
    for name, path in wheels.items():
        suffix = f"[{','.join(sorted(extras[name]))}]" if extras[name] else ""
        asked.append(f"{name}{suffix} @ {path.as_uri()}")
    return list(dict.fromkeys(asked))


def constraint_lines(wanted: Wanted) -> list[str]:
    """The constraints; extras have no meaning there, and pip refuses them."""
    lines = []
    for request in wanted.constraints:
        bare = type(request.requirement)(str(request.requirement))
        bare.extras = set()
        bare.marker = None
        lines.append(str(bare))
    return list(dict.fromkeys(lines))


def kept(keep: Iterable[Package], wanted: Wanted) -> list[Package]:
    """The pins of `keep` that can be kept: releases that no requirement asks to move."""
    return [
        package
        for package in keep
        if package.version is not None
        and not (package.archive or package.vcs or package.directory)
        and all(
            request.requirement.specifier.contains(package.version, prereleases=True)
            for request in wanted.requests
            if request.name == package.name
        )
    ]


def _line(request: Request) -> str:
    bare = type(request.requirement)(str(request.requirement))
    bare.marker = None  # It holds for this cell, or the request would not be here.
    return str(bare)


def only_allowed(packages: Iterable[Package], wanted: Wanted) -> tuple[Package, ...]:
    """The packages with only those files whose hashes the user's files allow."""
    allowed = wanted.allowed_hashes()
    return tuple(
        _filtered(package, allowed[package.name], wanted) if package.name in allowed else package
        for package in packages
    )


def _filtered(package: Package, hashes: frozenset[str], wanted: Wanted) -> Package:
    def fits(file: Any) -> bool:
        return file.hashes.get("sha256") in hashes

    wheels = [wheel for wheel in package.wheels or () if fits(wheel)]
    sdist = package.sdist if package.sdist and fits(package.sdist) else None
    if not wheels and not sdist:
        origin = next(r.origin for r in wanted.requests if r.name == package.name and r.hashes)
        raise LockInvalid(
            path=origin.file,
            problem=f"no file of {package.name} {package.version} has a hash that line "
            f"{origin.line} allows",
        )
    return replace(package, wheels=wheels or None, sdist=sdist)
