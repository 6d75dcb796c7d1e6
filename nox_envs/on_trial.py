"""The trial's own side: what its nox is told, and what it tells the campaign."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nox_envs import settings
from nox_envs.errors import NoxEnvsError
from nox_envs.install import check
from nox_envs.run import evidence
from nox_envs.run.exchange import TrialOrder, TrialResult

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import nox

    from nox_envs._tree import Stop
    from nox_envs.provision import Provisioned

__all__ = ["OnTrial"]


def __dir__() -> list[str]:
    return __all__


@dataclass(slots=True, kw_only=True)
class OnTrial:
    """The order of a trial, and the result as it grows."""

    order: TrialOrder
    result: TrialResult = field(default_factory=TrialResult)

    @classmethod
    def of(cls, names: Collection[str]) -> OnTrial | None:
        """The trial that this nox was started for; None where its cell has none of the names."""
        path = settings.trial_order(os.environ)
        if path is None:
            return None
        order = TrialOrder.read(Path(path))
        return cls(order=order) if order.cell in names else None

    @staticmethod
    def order_for(python: str) -> TrialOrder | None:
        """What this nox was told, if it was started for a trial on some Python."""
        path = settings.trial_order(os.environ)
        order = TrialOrder.read(Path(path)) if path is not None else None
        return order if order is not None and order.python == python else None

    def equip(self, session: nox.Session, provisioned: Provisioned) -> None:
        """Have the environment tell what is looked up in it, and pytest tell of its tests."""
        found = check.installed(provisioned.interpreter)
        modules = {
            str(one.name): evidence.top_levels(one.metadata)
            for one in found
            if one.name in self.order.watch
        }
        watched = {top for tops in modules.values() for top in tops or ()}
        if watched:
            evidence.plant(provisioned.interpreter.purelib, Path(self.order.evidence), watched)
        self.result = replace(
            self.result,
            ready=True,
            owners=evidence.owners(one.metadata for one in found),
            requires={str(one.name): check.requires(one) for one in found},
            modules={
                name: None if tops is None else tuple(sorted(tops))
                for name, tops in modules.items()
            },
        )
        self.result.write(Path(self.order.result))
        if self.order.junit:
            before = session.env.get("PYTEST_ADDOPTS", settings.pytest_options(os.environ))
            # The user's own options come later on the command line, and win.
            junit = shlex.quote(Path(self.order.junit).as_posix())
            words = ["-o junit_family=xunit1", f"--junitxml={junit}"]
            session.env["PYTEST_ADDOPTS"] = " ".join([*words, *filter(None, [before])])

    def tell(
        self,
        *,
        stop: Stop | None,
        failure: BaseException | None,
        skipped: bool,
        undeclared: Mapping[str, str],
        touched: Collection[str],
        is_healed: bool,
        seconds: float,
    ) -> None:
        """Write how it went."""
        reason = ""
        if isinstance(failure, NoxEnvsError):
            reason = settings.redact(failure.summary, os.environ)
        elif failure is not None:
            reason = settings.redact(_told(failure), os.environ)
        result = replace(
            self.result,
            passed=stop is None and failure is None,
            stop="" if stop is None else stop.value,
            skipped=skipped,
            error=type(failure).__name__ if isinstance(failure, NoxEnvsError) else "",
            reason=reason,
            undeclared=dict(undeclared),
            touched=tuple(touched),
            is_healed=is_healed,
            seconds=seconds,
        )
        result.write(Path(self.order.result))


def _told(failure: BaseException) -> str:
    """What was raised, in one line; of nox's own exceptions only what they say."""
    text = " ".join(str(failure).split())
    code = re.fullmatch(r"Returned code (-?\d+)", text)
    if code is not None:
        return f"exit {code[1]}"
    own = type(failure).__module__.startswith("nox.")
    return text or type(failure).__name__ if own else f"{type(failure).__name__}: {text}"
