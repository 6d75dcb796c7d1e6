"""Resolutions that are still good: equal questions are answered once, for as long as the user says."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.pylock import Pylock, PylockValidationError

from nox_envs import _files
from nox_envs.lock import Lock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from packaging.pylock import Package
    from packaging.utils import NormalizedName

    from nox_envs.resolve.requests import Wanted

__all__ = ["Memory", "digest_of_environment", "fingerprint"]


def __dir__() -> list[str]:
    return __all__


_FORMAT = 1
"""Raised when equal questions are no longer to be treated as equal."""
_MOST = 2000
_OLDEST_SECONDS = 7 * 24 * 3600
_LOCK_DIGITS = 3
"""Of a key: so many lock files are there at most, and they need not be removed."""
_KEY = "key"
_RUN = "run"
_TOOL = "nox-envs"

_PASSING = frozenset(
    {
        "DBUS_SESSION_BUS_ADDRESS",
        "GNOME_KEYRING_CONTROL",
        "SSH_AGENT_PID",
        "SSH_AUTH_SOCK",
        "TEMP",
        "TMP",
        "TMPDIR",
        "UV_CONFIG_FILE",
    }
)
"""Variables that differ from shell to shell, or from run to run, and decide nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What resolvers have answered, in files that all cells and processes share.

    It may be deleted at any moment, and where nothing can be written nothing is remembered:
    that costs time alone.
    """

    directory: Path
    run: str
    """What was answered in this run of nox holds to its end."""
    seconds: float
    """For how long an answer of an earlier run holds; 0 for not at all."""

    def recall(
        self, key: str | None, environment: str, ask: Callable[[], tuple[Package, ...]]
    ) -> tuple[Package, ...]:
        """The answer to a question, by its `fingerprint`; asked by whoever comes first.

        The others wait for that. What `ask` raises is not remembered, and neither is an answer
        that is not the same when it is read again, for it holds a secret or a place that
        moves. Without a key it is asked in any case. `environment` is the marker for which the
        answer holds.
        """
        if key is None:
            return ask()
        known = self._read(key)
        if known is not None:
            return known
        with self._locked(key):
            known = self._read(key)
            if known is None:
                known = ask()
                self._write(key, environment, known)
            return known

    def forget(self, key: str | None) -> None:
        """Have a question asked again."""
        if key is not None:
            with contextlib.suppress(OSError):
                _files.remove(self._path(key))

    def _path(self, key: str) -> Path:
        return self.directory / f"{key}.toml"

    @contextlib.contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        """Alone with a key, as far as the disk allows."""
        from filelock import FileLock  # noqa: PLC0415 - not needed for what is remembered

        with contextlib.ExitStack() as stack:
            # Some file systems know no locks, and some cannot be written to.
            with contextlib.suppress(OSError, NotImplementedError):
                locks = _files.make_directory(self.directory / "locks")
                stack.enter_context(FileLock(locks / key[:_LOCK_DIGITS]))
            yield

    def _read(self, key: str) -> tuple[Package, ...] | None:
        path = self._path(key)
        try:
            age = abs(time.time() - path.stat().st_mtime)
            document = _files.read_toml(path)
            facts = document["tool"][_TOOL]
            if facts[_KEY] == key and (facts[_RUN] == self.run or age < self.seconds):
                return _packages(document)
        except (OSError, ValueError, KeyError, TypeError, PylockValidationError):
            pass  # Garbage is as good as nothing.
        return None

    def _write(self, key: str, environment: str, packages: tuple[Package, ...]) -> None:
        facts = {_KEY: key, _RUN: self.run}
        document = Lock(packages=packages, environment=environment, facts=facts).to_pylock()
        with contextlib.suppress(OSError, PylockValidationError):
            if all(map(_lasts, packages)) and _packages(document) == packages:
                _files.write_toml(self._path(key), document)
                self._tidy()

    def _tidy(self) -> None:
        """Remove what is too old or too much; others may do the same."""
        with os.scandir(self.directory) as entries:
            found = sorted(
                ((entry.stat().st_mtime, entry.path) for entry in entries if entry.is_file()),
                reverse=True,
            )
        oldest = time.time() - max(_OLDEST_SECONDS, self.seconds)
        for place, (made, path) in enumerate(found):
            if place >= _MOST or made < oldest:
                _files.remove(Path(path))


def _packages(document: Mapping[str, Any]) -> tuple[Package, ...]:
    return tuple(Pylock.from_dict(document).packages)


def fingerprint(
    wanted: Wanted,
    *,
    tool: Sequence[str],
    environment: str,
    wheels: Mapping[NormalizedName, str],
    keep: Iterable[Package],
    no_build: Collection[str],
    limit: str | None,
    lowest: Collection[str] = (),
    places: Iterable[str] = (),
    indexes: Iterable[str] = (),
) -> str | None:
    """Equal for questions whose answers are equal; None where an answer may change unseen.

    `tool` identifies who is asked, `environment` in which variables and settings, `wheels` the
    metadata of the local projects. `limit` is the cooldown as the user wrote it, or an instant.
    Of `lowest`, the lowest release is wanted that the declaration admits. `places` are where wheels lie (`find-links`), `indexes` the indexes: a directory of this
    machine can change at any moment.
    """
    listings = [_listing(place) for place in places]
    if None in listings or any(_local_path(url) is not None for url in indexes):
        return None
    interpreter = wanted.interpreter
    facts: list[Any] = [
        [_FORMAT, *tool],
        environment,
        [
            [str(one.requirement), one.constraint, one.prerelease, sorted(one.hashes)]
            for one in wanted.requests
        ],
        [wanted.resolution, wanted.prerelease, limit],
        [interpreter.version, interpreter.build, str(interpreter.base_prefix)],
        sorted(interpreter.markers.items()),
        sorted(wheels.items()),
        [repr(one) for one in keep],
        [sorted(no_build), sorted(lowest)],
        listings,
    ]
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def digest_of_environment(env: Mapping[str, str], config: Mapping[str, Any]) -> str:
    """Equal for shells and settings files in which a tool gives equal answers.

    They hold credentials, of which nothing can be told from a digest over all.
    """
    decisive = sorted((name, value) for name, value in env.items() if not _is_passing(name))
    text = json.dumps([decisive, config], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _is_passing(name: str) -> bool:
    # Of XDG, the sessions of a desktop have their own, but for where settings lie.
    session = name.startswith("XDG_") and not name.endswith(("_HOME", "_DIRS"))
    return session or name in _PASSING


def _local_path(place: str) -> Path | None:
    """The path on this machine that an index or a place of wheels is, if it is one."""
    if place.startswith("file:"):
        return _files.path_of_url(place)
    return None if "://" in place else Path(place)


def _listing(place: str) -> list[Any] | None:
    """What a place of wheels holds; nothing for one elsewhere, None if it cannot be told."""
    path = _local_path(place)
    if path is None:
        return [place]
    if not path.is_absolute():
        return None
    try:
        entries = [path] if path.is_file() else sorted(path.iterdir())
        stats = [(str(entry), entry.stat()) for entry in entries]
    except OSError:
        return None
    return [place, *([name, stat.st_size, stat.st_mtime_ns] for name, stat in stats)]


def _lasts(package: Package) -> bool:
    """Whether the same is there later: no branch, and no file that lies beside something."""
    vcs, archive = package.vcs, package.archive
    if package.directory or (vcs and (vcs.path or vcs.requested_revision != vcs.commit_id)):
        return False
    if archive and (archive.path or _local_path(archive.url or "") is not None):
        return False
    files = [*(package.wheels or ()), *([package.sdist] if package.sdist else ())]
    return all(file.path is None or Path(file.path).is_absolute() for file in files)
