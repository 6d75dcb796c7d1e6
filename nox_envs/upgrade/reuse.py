"""Passes of earlier matrices: cells with `skip_unchanged=True` that need not be run again."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from nox_envs import settings
from nox_envs.errors import NoxEnvsError
from nox_envs.outcome import Outcome
from nox_envs.passes import Conditions, digest_of_sources, last_pass, note_pass

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from nox_envs.upgrade.column import Column, Place
    from nox_envs.upgrade.options import CampaignOptions
    from nox_envs.upgrade.trials import Shown

__all__ = ["Reuse"]


def __dir__() -> list[str]:
    return __all__


_KIND = "matrix"
_Sources = tuple[Path, Path, tuple[str, ...]]
"""A session's directory, the noxfile's, and the globs of ignored files that count."""


class Reuse:
    """What has passed, and what holds while it does; any thread may ask.

    The files of the project are looked at when this is made, before any trial copies them, and
    again by `keep`: only what passed while they stayed as they are is remembered.
    """

    def __init__(
        self, places: Iterable[Place], *, options: CampaignOptions, variables: Mapping[str, str]
    ) -> None:
        self._options = options
        self._variables = variables
        self._before: dict[str, Conditions] = {}
        self._passed: list[Column] = []
        self._lock = threading.Lock()
        # Another limit may show another outcome.
        asked = [one for one in places if one.declaration.skip_unchanged and not options.timeout]
        self._sources = self._digests({_sources_of(one) for one in asked})

    def remembered(self, column: Column) -> datetime | None:
        """When a cell passed under the same conditions; None where it has to be run.

        Raises a `NoxEnvsError` where what the cell declares is not there.
        """
        conditions = self._conditions(column, self._sources)
        if conditions is None:
            return None
        with self._lock:
            self._before[column.name] = conditions
        return last_pass(column.planner.job, conditions, kind=_KIND)

    def remember(self, column: Column, shown: Shown) -> None:
        """Note a pass, to be kept at the end; one that something else took part in is none."""
        clean = shown.trial.outcome is Outcome.PASS and not (shown.undeclared or shown.touched)
        if clean and not shown.trial.reused and column.name in self._before:
            with self._lock:
                self._passed.append(column)

    def keep(self) -> None:
        """Remember what passed while nothing changed."""
        after = self._digests(self._sources if self._passed else ())
        for column in self._passed:
            with contextlib.suppress(OSError, NoxEnvsError):  # Then it is run again.
                conditions = self._conditions(column, after)
                if conditions is not None and conditions == self._before[column.name]:
                    note_pass(column.planner.job, conditions, kind=_KIND)

    def _digests(self, wanted: Iterable[_Sources]) -> dict[_Sources, str]:
        return {one: digest_of_sources(one[:2], self._variables, include=one[2]) for one in wanted}

    def _conditions(self, column: Column, digests: Mapping[_Sources, str]) -> Conditions | None:
        """What the outcome depends on; None where a pass is not to be reused."""
        place = column.place
        declared, sources = place.declaration, digests.get(_sources_of(place))
        if not declared.skip_unchanged or sources is None:
            return None
        from_file = {}
        if declared.env_file:
            from_file = settings.read_env_file(_sources_of(place)[0] / declared.env_file)
        changes = settings.test_environment(
            self._variables,
            pass_env=declared.pass_env,
            declared=declared.env,
            env_file=from_file,
        )
        return Conditions.now(
            column.planner.job,
            lock=column.current.digest,
            interpreter=column.interpreter,
            variables=self._variables,
            declared=changes,
            posargs=self._options.posargs,
            arguments=place.told,
            sources=sources,
        )


def _sources_of(place: Place) -> _Sources:
    declared = place.declaration
    directory = (place.noxfile.path.parent / declared.directory).resolve()
    return directory, place.noxfile.path.parent.resolve(), tuple(declared.tree_include)
