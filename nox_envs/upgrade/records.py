"""Campaigns of the past: which can be gone on with, and whose result still holds."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from packaging.version import Version

from nox_envs import _files
from nox_envs.lock import recorded_pins
from nox_envs.upgrade.proven import Promise, Proven, ProvenFloors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName

    from nox_envs.upgrade.options import CampaignOptions

__all__ = ["SETTLED", "Record", "Records", "broken", "running"]


def __dir__() -> list[str]:
    return __all__


_ANSWERED = {"ok", "broken"}
SETTLED = {*_ANSWERED, "inconclusive"}
"""Statuses of campaigns that have come to their end, and say something."""
_DAY = 24 * 3600
_LOCK = "running"
_MOST = 30
"""Campaigns whose locks and logs are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A finished campaign, and what it proved."""

    proven: Proven
    started: datetime
    directory: Path
    status: str
    """Of its report."""
    disagreements: tuple[str, ...] = ()
    """What comes in and does not pass where the user's files leave releases open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """The campaigns of one checkout, each in a directory of its own."""

    directory: Path
    kind: str
    """Of campaign."""
    key_without: Callable[[tuple[str, ...]], str]
    """Equal where a trial would show the same, whatever these files say."""
    options: CampaignOptions
    held: Mapping[NormalizedName, SpecifierSet] = field(default_factory=dict)
    """What the noxfile limits, so that the command line need not say it."""

    @property
    def key(self) -> str:
        """Equal where a trial would show the same; the reports that are asked for do not count."""
        return self.key_without(self._written)

    @property
    def _written(self) -> tuple[str, ...]:
        paths = (self.options.json, self.options.markdown)
        return tuple(path for path in paths if path not in {None, "-"} and path)

    def _is_equal(self, about: Mapping[str, Any]) -> bool:
        written = about.get("written")
        return isinstance(written, list) and about.get("key") == self.key_without(tuple(written))

    def begin(self, session: str, started: datetime) -> Path:
        """The directory of a new campaign; the oldest ones make room for it."""
        for old in self._newest_first()[_MOST:]:
            if not _is_running(old):
                _files.remove(old)
        base = f"{session}-{started.astimezone():%Y%m%d-%H%M%S}"
        names = (f"{base}{suffix}" for suffix in ("", *(f"-{n}" for n in range(2, 1000))))
        directory = next(
            self.directory / name for name in names if _files.claim(self.directory / name)
        )
        return self.enter(directory)

    def enter(self, directory: Path) -> Path:
        """The same directory, with all that a campaign needs in it."""
        about = {
            "key": self.key,
            "kind": self.kind,
            "asks": self._asks(),
            "written": self._written,
            "words": list(self.options.words),
        }
        _files.write_text(directory / "about.json", json.dumps(about), private=True)
        for name in ("locks", "logs"):
            _files.make_directory(directory / name)
        return directory

    def words(self) -> tuple[str, ...] | None:
        """What the newest interrupted campaign was asked; None where there is none."""
        directory = self.interrupted()
        if directory is None:
            return None
        return tuple(str(word) for word in _read(directory / "about.json").get("words", ()))

    def interrupted(self) -> Path | None:
        """The newest campaign of the same key that has no answer yet."""
        for directory in self._newest_first():
            about = _read(directory / "about.json")
            same = about.get("kind") == self.kind and self._is_equal(about)
            same = same and not _is_running(directory)
            if same and _read(directory / "report.json").get("status") not in _ANSWERED:
                return directory
        return None

    def finished(self, now: datetime) -> Record | None:
        """The newest campaign of the last day that had equal inputs and came to its end."""
        for directory in self._newest_first():
            about, found = _read(directory / "about.json"), _read(directory / "report.json")
            if found.get("kind") != self.kind or found.get("status") not in SETTLED:
                continue
            if not self._is_equal(about):
                continue
            if not self._answers(about):
                continue
            started = datetime.fromisoformat(found["started"])
            record = Record(
                proven=_floors(directory, found)
                if self.kind == "floors"
                else _proven(directory, found),
                started=started,
                directory=directory,
                status=found["status"],
                disagreements=_disagreements(found),
            )
            if (now - started).total_seconds() < _DAY:
                return record
        return None

    def _answers(self, about: Mapping[str, Any]) -> bool:
        """Whether a campaign answers this question."""
        return about.get("asks") == self._asks()

    def _newest_first(self) -> list[Path]:
        if not self.directory.is_dir():
            return []
        found = [one for one in self.directory.iterdir() if (one / "about.json").exists()]
        return sorted(found, key=lambda one: (one / "about.json").stat().st_mtime_ns, reverse=True)

    def _asks(self) -> list[Any]:
        options = self.options
        hold = {name: limit for name, limit in options.hold.items() if self.held.get(name) != limit}
        return _asks(replace(options, hold=hold))


@contextlib.contextmanager
def running(directory: Path) -> Iterator[None]:
    """Tell other processes that a campaign runs; the system takes it back when this one ends."""
    from filelock import FileLock  # noqa: PLC0415 - not needed to list sessions

    with FileLock(directory / _LOCK):
        yield


def _is_running(directory: Path) -> bool:
    from filelock import FileLock, Timeout  # noqa: PLC0415 - not needed to list sessions

    try:
        with FileLock(directory / _LOCK, timeout=0):
            return False
    except Timeout:
        return True


def broken(directory: Path) -> tuple[str, ...]:
    """What the last upgrade campaign found breaking."""
    if not directory.is_dir():
        return ()
    for path in sorted(directory.glob("*/report.json"), reverse=True):
        found = _read(path)
        if found.get("kind") == "upgrade":
            names = [
                candidate["name"] for candidate in found.get("candidates", ())
                if any(one["verdict"] in {"breaks", "capped"}
                       for one in candidate["verdicts"].values())
            ]  # fmt: skip
            return tuple(names)
    return ()


def _asks(options: CampaignOptions) -> list[Any]:
    """What decides which question a campaign answers."""
    return [
        sorted([str(name), str(spec)] for name, spec in options.asked.items()),
        sorted([str(name), str(spec)] for name, spec in options.hold.items()),
        sorted(set(options.pythons)),
        sorted(set(options.only)),
        [options.mode, options.pre, options.cooldown_text, options.lower],
        list(options.posargs),
    ]


def _read(path: Path) -> dict[str, Any]:
    """A JSON object of ours; an empty one where there is none."""
    try:
        return dict(json.loads(_files.read_text(path)))
    except (OSError, ValueError, TypeError):
        return {}


def _proven(directory: Path, found: Mapping[str, Any]) -> Proven:
    common = found["safe_set"]["all"]
    locks = {trial["id"]: trial["lock"] for trial in found["trials"]}
    # What the user's files give where they leave something open.
    fresh = {
        cell: one["trial"]
        for cell, one in found.get("fresh", {}).items()
        if one["outcome"] == "pass" and one["trial"]
    }
    return Proven(
        pins={canonicalize_name(name): Version(text) for name, text in common["pins"].items()},
        environments={
            cell: recorded_pins(_files.read_toml(directory / locks[fresh.get(cell, trials[-1])]))
            for cell, trials in common["trials"].items()
            if trials
        },
    )


def _floors(directory: Path, found: Mapping[str, Any]) -> ProvenFloors:
    promises = {
        cell: {canonicalize_name(name): _promise(one) for name, one in floors.items()}
        for cell, floors in found["floors"].items()
    }
    every = [(name, one) for known in promises.values() for name, one in known.items()]
    open_ = {name for name, one in every if one.is_bounded and one.floor is None}
    corrected = {name for name, one in every if one.is_corrected} - open_
    locks = {one["id"]: one["lock"] for one in found["trials"] if one["outcome"] == "pass"}
    environments, unproven = {}, []
    for cell, floors in promises.items():
        names = {name for name in corrected & floors.keys() if floors[name].is_bounded}
        runs = [run for name in names for run in found["floors"][cell][name]["trials"]]
        passed = [recorded_pins(_files.read_toml(directory / locks[run]))
                  for run in dict.fromkeys(runs) if run in locks]  # fmt: skip
        # The last one is that of all that is offered.
        if passed and all(_reaches(passed[-1].get(name), floors[name].floor) for name in names):
            environments[cell] = passed[-1]
        elif names:
            unproven.append(f"{cell}: the corrected bounds did not pass together")
    return ProvenFloors(
        pins={
            name: max(one.floor for other, one in every if other == name and one.floor)
            for name in (() if unproven else sorted(corrected))
        },
        environments=environments,
        promises=promises,
        left=(*unproven, *_left(found, open_)),
    )


def _reaches(version: Version | None, floor: Version | None) -> bool:
    return version is not None and floor is not None and version >= floor


def _promise(floor: Mapping[str, Any]) -> Promise:
    passed = floor["installed"] if floor["outcome"] == "pass" else None
    known = floor["true_floor"] or passed
    return Promise(
        is_bounded=floor["declared"] is not None,
        floor=Version(known) if known else None,
        is_corrected=bool(floor["requirement"]),
        raised_by=tuple(floor["raised_by"]),
    )


def _left(found: Mapping[str, Any], names: Collection[str]) -> list[str]:
    """Bounds for which no release is known to pass."""
    return [
        f"{cell}: {name}>={one['declared']}: {one['reason'] or 'no release that passes was found'}"
        for cell, floors in found["floors"].items()
        for name, one in floors.items()
        if name in names and one["declared"] is not None and not one["true_floor"]
    ]


def _disagreements(found: Mapping[str, Any]) -> tuple[str, ...]:
    lines = []
    for cell, one in found.get("fresh", {}).items():
        if one["outcome"] != "pass":
            moved = ", ".join(
                f"{name} {before or 'nothing'} -> {after or 'nothing'}"
                for name, (before, after) in one["moved"].items()
            )
            lines.append(f"{cell}: {moved}: {one.get('reason') or one['outcome']}")
    return tuple(lines)
