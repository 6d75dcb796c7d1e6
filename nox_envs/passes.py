"""Passes of the past: what can change the outcome of a cell, and whether it has changed."""

from __future__ import annotations

import fnmatch
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from nox_envs import _files, settings
from nox_envs.run import tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from nox_envs.interpreter import Interpreter
    from nox_envs.provision import Job

__all__ = ["Conditions", "digest_of_sources", "last_pass", "note_pass"]


def __dir__() -> list[str]:
    return __all__


_FORMAT = 2
"""Raised when equal conditions are no longer to be treated as equal."""
_STORE = "passes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """All that can change the outcome of a cell, as far as it can be known."""

    lock: str
    interpreter: Sequence[str]
    sources: str
    """A digest over the files of the project."""
    code: str
    """A digest over the file that holds the session's function."""
    posargs: Sequence[str]
    arguments: Mapping[str, str]
    variables: Mapping[str, str]
    """Those that are declared or passed by name."""
    timeout: float | None

    @classmethod
    def now(
        cls,
        job: Job,
        *,
        lock: str,
        interpreter: Interpreter,
        variables: Mapping[str, str],
        declared: Mapping[str, str | None],
        posargs: Sequence[str],
        arguments: Mapping[str, Any],
        sources: str = "",
    ) -> Conditions:
        """What holds at this moment.

        `lock` is the digest of one, `variables` are those of the user's shell, `declared` the
        changes to them for tests. `sources` is what `digest_of_sources` says, where that is known.
        """
        patterns = job.declaration.pass_env or ()
        passed = {
            name: text
            for name, text in sorted(variables.items())
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        }
        return cls(
            lock=lock,
            interpreter=[interpreter.version, interpreter.build, str(interpreter.base_prefix)],
            sources=sources
            or digest_of_sources(
                [job.directory, job.noxfile.path.parent],
                variables,
                include=job.declaration.tree_include,
            ),
            code=_files.sha256(job.noxfile.path),
            posargs=list(posargs),
            arguments={name: repr(value) for name, value in sorted(arguments.items())},
            variables={
                **passed, **{name: text for name, text in sorted(declared.items()) if text is not None}
            },
            timeout=job.declaration.timeout,
        )  # fmt: skip

    @property
    def key(self) -> str:
        """Equal where a run would show the same."""
        facts = [_FORMAT, *(getattr(self, name) for name in self.__dataclass_fields__)]
        text = json.dumps(facts, sort_keys=True)
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def digest_of_sources(
    directories: Iterable[Path], variables: Mapping[str, str], *, include: Iterable[str]
) -> str:
    """Equal where the files of the project are; `include` names ignored ones that count.

    `directories` lie in the checkout, or in several.
    """
    found = {}
    for directory in directories:
        env = settings.tool_environment(variables, kind="build", directory=directory)
        top = tree.root(directory, env=env)
        if top not in found:
            found[top] = tree.digest(top, env=env, include=include)
    return hashlib.sha256("".join(found.values()).encode()).hexdigest()


def last_pass(job: Job, conditions: Conditions, *, kind: str = "") -> datetime | None:
    """When the cell passed under the same conditions; None where it never did.

    `kind` tells passes in campaigns from those of the session by itself.
    """
    try:
        data = json.loads(_files.read_text(_path(job, kind)))
        return datetime.fromisoformat(data["when"]) if data["key"] == conditions.key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def note_pass(job: Job, conditions: Conditions, *, kind: str = "") -> None:
    """Remember a clean pass; the one before is forgotten."""
    when = datetime.now(timezone.utc).isoformat(timespec="seconds")
    _files.write_text(_path(job, kind), json.dumps({"key": conditions.key, "when": when}))


def _path(job: Job, kind: str) -> Path:
    name = hashlib.sha256(job.name.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return job.cache / _STORE / kind / f"{name}.json"
