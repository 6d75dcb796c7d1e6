"""Writes what passed to the user's own files, and takes it back where it does not hold."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from nox_envs import _files
from nox_envs.errors import NotApplied, NoxEnvsError
from nox_envs.options import OptionsReader
from nox_envs.resolve.requests import applies
from nox_envs.run import tree
from nox_envs.snippets import Snippets
from nox_envs.table import Table, session_of
from nox_envs.upgrade import edits, floors_written, relock
from nox_envs.upgrade.column import Column, Place, opened
from nox_envs.upgrade.proven import ProvenFloors

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from packaging.requirements import Requirement

    from nox_envs.upgrade.edits import Edit, Edited
    from nox_envs.upgrade.proven import Proven

__all__ = ["Applied", "apply", "refuse_uncommitted", "uncommitted"]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What was written, or would be."""

    edits: tuple[Edit, ...]
    diff: str
    packages: int = 0
    """How many versions were compared with those that passed."""
    commands: tuple[str, ...] = ()
    """What the user has to run for lock files that other tools keep."""


def apply(
    proven: Proven,
    places: Sequence[Place],
    *,
    cache: Path,
    variables: Mapping[str, str],
    write: bool,
    force: bool,
) -> Applied:
    """Edit what declares the candidates, as little as possible; resolve again, and compare.

    Raises `NotApplied`, or what the resolver has to say, with every file as it was.
    """
    base = places[0].noxfile.path.parent
    with _columns(places, cache, variables) as columns:
        texts = _texts(columns, base)
        edited = _edited(columns, texts, proven)
        locks = [] if isinstance(proven, ProvenFloors) else relock.uv_locks(columns, proven, base)
        commands = _commands(columns, proven, {lock.path.resolve() for lock in locks})
        _refuse(edited, columns, proven, locks)
    diff = edits.diff({name: texts[name] for name in edited.texts}, edited.texts)
    then = [f"# {lock.label} is then written by:   {lock.command}\n" for lock in locks]
    diff = "".join([*then, diff])
    told = (*edited.edits, *(edit for lock in locks for edit in lock.edits))
    if not write or not (edited.texts or locks):
        return Applied(edits=told, diff=diff, commands=commands)
    texts |= {lock.label: _files.read_exactly(lock.path) for lock in locks}
    if not force:
        refuse_uncommitted(base, [*edited.texts, *(lock.label for lock in locks)], variables)
    written = []
    try:
        with _files.explained(base):
            for name, text in edited.texts.items():
                written.append(name)
                _files.write_exactly(base / name, text)
        for lock in locks:
            written.append(lock.label)
            lock.write(variables)
        again = [_reread(place, base, edited.texts) for place in places]
        with _columns(again, cache, variables) as columns:
            count = _compared(columns, proven)
    except BaseException as error:
        if lost := _not_restored(base, {name: texts[name] for name in written}):
            said = error.summary if isinstance(error, NoxEnvsError) else str(error)
            raise NotApplied(
                reason=f"{said}; not all could be taken back",
                places=tuple(f"still changed: {name}" for name in lost),
                advice=("look at these files before you go on",),
                restored=None,
            ) from error
        raise
    return Applied(edits=told, diff=diff, packages=count, commands=commands)


def _not_restored(base: Path, texts: Mapping[str, str]) -> list[str]:
    """Have files hold what they held; those that cannot."""
    return [name for name, text in texts.items() if not _is_restored(base / name, text)]


def _is_restored(path: Path, text: str) -> bool:
    try:
        _files.write_exactly(path, text)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _columns(
    places: Sequence[Place], cache: Path, variables: Mapping[str, str]
) -> Iterator[list[Column]]:
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(opened(place, cache=cache, variables=variables)) for place in places
        ]


def _reread(place: Place, base: Path, written: Collection[str]) -> Place:
    """With what its table says now, where that is among the files that were written."""
    declaration = place.declaration
    for label in filter(declaration.is_declared_in, written):
        path = base / label
        data = _files.read_toml(path).get("tool", {}).get("nox-envs", {})
        lookup = Snippets(base=base).lookup(path.parent)
        table = Table.of(data, source=label, prefix="", lookup=lookup, campaigns=True)
        session, _ = session_of(declaration.name, table.merged(declaration.name), None)
        dependencies = OptionsReader(session.options).dependencies()
        place = replace(place, declaration=replace(declaration, dependencies=dependencies))
    return place


def _texts(columns: Sequence[Column], base: Path) -> dict[str, str]:
    """The files of the user that declare something, as they are, by their place."""
    found = {}
    for column in columns:
        for requests in column.declared.values():
            for request in requests:
                path = base / request.origin.file
                name = os.path.relpath(path.resolve(), base.resolve()).replace(os.sep, "/")
                if path.suffix not in {".py", ".lock"} and path.is_file():
                    found[name] = _files.read_exactly(path)
    return found


def _edited(columns: Sequence[Column], texts: Mapping[str, str], proven: Proven) -> Edited:
    if isinstance(proven, ProvenFloors):
        return floors_written.edited(columns, texts, proven)

    def is_meant(requirement: Requirement) -> bool:
        return any(applies(requirement, column.interpreter.markers) for column in columns)

    plain = {name: text for name, text in texts.items() if not name.endswith(".toml")}
    parts = [edits.requirement_files(plain, proven.pins, applies=is_meant)]
    declarations = [column.place.declaration for column in columns]
    parts += [
        edits.pyproject(
            name,
            text,
            proven.pins,
            extras={extra for one in declarations for extra in one.extras},
            groups={group for one in declarations for group in one.groups},
            sessions={(one.name, key) for one in declarations for key in one.asked_in(name)},
            project=any(column.is_its_project(name) for column in columns),
            applies=is_meant,
        )
        for name, text in texts.items()
        if name.endswith(".toml")
    ]
    found = edits.joined(parts)
    refusals = (*found.refusals, *_in_the_noxfile(columns, proven))
    known = {one.name for one in found.edits} | {one.name for one in refusals}
    return replace(found, refusals=(*refusals, *_elsewhere(columns, proven, known)))


def _in_the_noxfile(columns: Sequence[Column], proven: Proven) -> list[edits.Refusal]:
    """Declarations in the noxfile, which is a program and not edited."""
    found = {}
    for column in columns:
        for name, version in proven.pins.items():
            for request in column.declared.get(name, ()):
                if request.origin.file.endswith(".py"):
                    with contextlib.suppress(ValueError):
                        if text := edits.widened(request.requirement, version):
                            found[request.origin] = edits.in_a_program(request, text)
    return list(found.values())


def _elsewhere(
    columns: Sequence[Column], proven: Proven, known: Collection[str]
) -> Iterator[edits.Refusal]:
    """What is declared where nothing was found to edit: in a snippet of a package, of a file."""
    for column in columns:
        for name in () if column.is_locked else sorted(proven.pins.keys() - set(known)):
            for request in column.declared.get(name, ()):
                text, origin = None, request.origin
                if applies(request.requirement, column.interpreter.markers):
                    with contextlib.suppress(ValueError):
                        text = edits.widened(request.requirement, proven.pins[name])
                if text is not None:
                    yield edits.Refusal(
                        file=origin.file,
                        line=origin.line,
                        name=str(name),
                        reason="it is declared where it cannot be edited",
                        instead=f'write "{request.requirement.name}{text}"',
                    )


_FEW = 3


def _together(
    refusals: Sequence[edits.Refusal],
) -> list[tuple[tuple[str, str], list[edits.Refusal]]]:
    """Refusals of one file for one reason, which need not be told one by one."""
    found: dict[tuple[str, str], list[edits.Refusal]] = {}
    for one in refusals:
        found.setdefault((one.file, one.reason), []).append(one)
    return list(found.items())


def _refuse(
    edited: Edited, columns: Sequence[Column], proven: Proven, locks: Sequence[relock.UvLock]
) -> None:
    """Everything can be written, or nothing is.

    Locks say otherwise of versions that are to be written, but for those that uv writes.
    """
    places = []
    for (file, reason), refusals in _together(edited.refusals):
        names = [one.name for one in refusals]
        listed = ", ".join(names[:_FEW]) + (f" and {len(names) - _FEW} more" * (len(names) > _FEW))
        lines = {one.line for one in refusals}
        line = f":{lines.pop()}" if len(lines) == 1 and None not in lines else ""
        places.append(f"{file}{line}   {listed}: {reason}")
    advice = [one.instead for one in edited.refusals if one.instead]
    known = {lock.path for lock in locks} | {one.file for one in edited.refusals}
    for column in columns if not isinstance(proven, ProvenFloors) else ():
        path = column.planner.lock_path()
        if path is not None and not known & {path, column.planner.label(path)}:
            label = column.planner.label(path)
            places.append(f"{label}   decides the versions of {column.name}")
            advice += relock.advice(column, proven)
    if places:
        raise NotApplied(
            reason="not all of it can be written",
            places=tuple(dict.fromkeys(places)),
            advice=tuple(dict.fromkeys(advice)),
        )


def uncommitted(base: Path, names: Sequence[str], variables: Mapping[str, str]) -> list[str]:
    """Those of these files in which git knows of changes."""
    return [name for name in names if tree.is_changed(base / name, env=variables)]


def refuse_uncommitted(base: Path, names: Sequence[str], variables: Mapping[str, str]) -> None:
    """Raise `NotApplied` where git knows of changes in one of these files."""
    changed = uncommitted(base, names, variables)
    if changed:
        raise NotApplied(
            reason="there are changes that are not committed",
            places=tuple(changed),
            advice=("commit them, or say --force",),
        )


def _compared(columns: Sequence[Column], proven: Proven) -> int:
    """How many versions were compared; raises `NotApplied` where one differs."""
    if isinstance(proven, ProvenFloors):
        wrong = [line for column in columns for line in floors_written.differences(column, proven)]
        total = max(len(floors_written.expected(column.name, proven)) for column in columns)
        reason = "the edited files do not promise the releases that passed"
        advice = "correct what differs by hand, and run it again"
    else:
        wrong = [line for column in columns for line in _differences(column, proven)]
        total = max(len(column.current.pins) for column in columns)
        reason = "the edited files do not give the versions that passed"
        advice = "pin what differs as well, or have all of it locked"
    if wrong:
        raise NotApplied(
            reason=reason, places=tuple(dict.fromkeys(wrong)), advice=(advice,), restored=True
        )
    return total


def _differences(column: Column, proven: Proven) -> list[str]:
    """What a column would get now that is not what passed."""
    expected = proven.environments.get(column.name)
    if expected is None:
        return []
    now = column.current.pins
    own = {one.name for one in column.current.locals}
    lines = []
    for name in sorted({*expected, *now} - own):
        if now.get(name) != expected.get(name):
            got, passed = now.get(name, "missing"), expected.get(name, "not there")
            lines.append(f"{column.name}: {name} would be {got}, it passed with {passed}")
    return lines


def _commands(
    columns: Sequence[Column], proven: Proven, written: Collection[Path]
) -> tuple[str, ...]:
    """For lock files beside, which other tools keep; not for those that are written."""
    found = []
    pins = sorted(proven.pins.items())
    for directory in dict.fromkeys(column.gathered.directory for column in columns):
        if isinstance(proven, ProvenFloors):  # No version changes, but what is asked for.
            kept = {
                "uv.lock": "uv lock",
                "poetry.lock": "poetry lock",
                "Pipfile.lock": "pipenv lock",
            }
            found += [command for name, command in kept.items() if (directory / name).exists()]
            continue
        if (directory / "uv.lock").exists() and (directory / "uv.lock").resolve() not in written:
            words = " ".join(f"--upgrade-package {name}=={version}" for name, version in pins)
            found.append(f"uv lock {words}")
        if (directory / "poetry.lock").exists():
            found.append(f"poetry update --lock {' '.join(canonicalize_name(n) for n, _ in pins)}")
        if (directory / "Pipfile.lock").exists():
            words = " ".join(f"'{name}=={version}'" for name, version in pins)
            found.append(f"pipenv upgrade {words}")
    return tuple(found)
