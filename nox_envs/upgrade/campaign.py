"""What all campaigns are: a question about some cells, asked by trials, and what is known of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from nox_envs.upgrade.drive import Driver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import Any

    from nox_envs.errors import NoxEnvsError
    from nox_envs.report.facts import Report, Status
    from nox_envs.upgrade.column import Column, Place
    from nox_envs.upgrade.options import CampaignOptions
    from nox_envs.upgrade.trials import Trials

__all__ = ["Assignment", "Campaign", "Driven"]


def __dir__() -> list[str]:
    return __all__


T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What a campaign is to find out, and with what."""

    places: tuple[Place, ...]
    """The cells that are asked about."""
    options: CampaignOptions
    trials: Trials
    cache: Path
    say: Callable[[str], None]
    """Tells the user a line."""


class Campaign(ABC):
    """One campaign. Everything that it has found can be read at any moment."""

    def __init__(self, assignment: Assignment) -> None:
        self.places = assignment.places
        self.options = assignment.options
        self._trials = assignment.trials
        self._cache = assignment.cache
        self._say = assignment.say

    @property
    @abstractmethod
    def failed(self) -> Mapping[str, NoxEnvsError]:
        """Cells that could not be planned, where that leaves no answer."""

    @property
    @abstractmethod
    def not_tested(self) -> Mapping[str, str]:
        """Why cells cannot be tested on this machine."""

    @abstractmethod
    def run(self) -> None:
        """Find it out. Raises nothing for what a trial may show."""

    @abstractmethod
    def close(self) -> None:
        """Wait for what is running, and remove what the cells needed."""

    @abstractmethod
    def report(self, header: Mapping[str, Any], *, interrupted: bool) -> Report:
        """What is known now. `header`: the facts of a report that are not the campaign's own."""

    @property
    def mode(self) -> Literal["keep", "fresh"]:
        """How what nobody asks about is resolved."""
        return self.options.mode or "keep"

    def unchanged(self, cell: str) -> str:  # noqa: ARG002 - of others
        """What a run without changes is called; nothing where it is what the files ask for."""
        return ""

    def facts(self, header: Mapping[str, Any], status: Status) -> dict[str, Any]:
        """What every report tells."""
        errors = dict.fromkeys(error.summary for error in self.failed.values())
        return {
            **header,
            "sessions": tuple(dict.fromkeys(place.declaration.name for place in self.places)),
            "status": status,
            "mode": self.mode,
            "columns": {place.name: place.python for place in self.places},
            "error": "; ".join(errors),
            "not_tested": dict(self.not_tested),
        }


class Driven(Campaign, Generic[T]):
    """A campaign that plans all its columns first, and then has quests driven on them."""

    def __init__(self, assignment: Assignment) -> None:
        super().__init__(assignment)
        self._driver = Driver[T](
            self.places, trials=self._trials, cache=self._cache, prepare=self._prepare
        )

    @property
    def failed(self) -> Mapping[str, NoxEnvsError]:
        return self._driver.failed

    @property
    def not_tested(self) -> Mapping[str, str]:
        return self._driver.not_tested

    def close(self) -> None:
        self._driver.close()

    @abstractmethod
    def _prepare(self, column: Column) -> T:
        """What the campaign works with on a column. Raises a `NoxEnvsError`."""
