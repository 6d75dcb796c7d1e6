"""From campaigns over small worlds in memory to the facts of their reports."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from packaging.pylock import Package
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from nox_envs.cell import Cell
from nox_envs.declaration import Declaration
from nox_envs.errors import IndexUnreachable, InterpreterMissing, NoxEnvsError, Unresolvable
from nox_envs.gather import Noxfile
from nox_envs.lock import Lock
from nox_envs.outcome import Changes, Failure, Outcome, Trial, Verdict
from nox_envs.resolve.index import File, Release, Releases
from nox_envs.resolve.requests import Origin, Request
from nox_envs.upgrade import drive
from nox_envs.upgrade.bench import Bench
from nox_envs.upgrade.campaign import Assignment
from nox_envs.upgrade.candidates import Admission
from nox_envs.upgrade.column import Place
from nox_envs.upgrade.options import CampaignOptions
from nox_envs.upgrade.quests import SearchQuest
from nox_envs.upgrade.search import Search
from nox_envs.upgrade.trials import Shown
from nox_envs.upgrade.upgrading import Upgrade
from nox_envs.upgrade.work import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from nox_envs.report.facts import Candidate, Judgement, UpgradeReport

    Told = tuple[str, ...] | Outcome
    """Ids of failing tests, or what else came of a run; nothing where it passes."""

PASS: Told = ()


@dataclass
class World:
    """What an index has, what it needs, and what the tests make of it."""

    current: dict[str, str]
    newer: dict[str, str] = field(default_factory=dict)
    """By name, oldest first: `1.5 2`."""
    needs: dict[str, str] = field(default_factory=dict)
    """By `name version`: a requirement."""
    shows: Callable[[str, dict[str, str], int], Told] = lambda *_: PASS
    """By column, versions and attempt."""
    undeclared: str = ""
    missing: dict[str, NoxEnvsError] = field(default_factory=dict)
    """Columns that cannot be planned."""
    exercised: dict[str, bool | None] = field(default_factory=dict)
    pinned: bool = True
    may_fail: str = ""
    """Pythons."""
    pythons: dict[str, str] = field(default_factory=dict)
    """By `name version`: what it asks of the Python."""


@dataclass
class Workplace:
    """Where nothing is written and nothing waits."""

    jobs: int = 1
    stop: threading.Event = field(default_factory=threading.Event)
    variables: dict[str, str] = field(default_factory=dict)
    temporary: Path = Path("temporary")


class Trials:
    """Tells what a world shows."""

    def __init__(self, world: World, jobs: int) -> None:
        self.place = Workplace(jobs=jobs)
        self.trials: list[Trial] = []
        self.stop_after: int | None = None
        self._world = world
        self._lock = threading.Lock()

    def run(
        self,
        column: Column,
        lock: Lock,
        *,
        changes: Changes,
        moved: Changes,
        attempt: int,
        limit: Any,
    ) -> Shown:
        del limit
        pins = {str(name): str(version) for name, version in lock.pins.items()}
        told = self._world.shows(column.name, pins, attempt)
        outcome, failure = Outcome.PASS, None
        if isinstance(told, Outcome):
            outcome = told
        elif told:
            outcome = Outcome.FAIL
            tests = dict.fromkeys(told, f"AssertionError: {told[0]}")
            failure = Failure(
                signature=" ".join(told), tests=tests, exception=f"AssertionError: {told[0]}"
            )
        with self._lock:
            name = f"t{len(self.trials) + 1}"
            trial = Trial(
                id=name, cell=column.name, python=column.place.python, outcome=outcome,
                changes=changes, moved=moved, failure=failure, log=f"logs/{name}.log",
                lock=f"locks/{name}", reason=str(outcome) if isinstance(told, Outcome) else "",
            )  # fmt: skip
            self.trials.append(trial)
            if len(self.trials) == self.stop_after:
                self.place.stop.set()
        return Shown(trial=trial, exercised=self._world.exercised, seconds=1.0, passed_tests=1)


class Column:
    """A cell whose resolver tries everything."""

    def __init__(self, place: Place, world: World) -> None:
        self.place, self.name, self._world = place, place.name, world
        self.current = self._lock(world.current)
        self.is_pinned = self.is_locked = world.pinned
        self.planner = Planner()
        self.declared = {
            canonicalize_name(name): (
                Request(
                    requirement=Requirement(f"{name}=={version}"),
                    origin=Origin(file="requirements.txt", line=line, text=""),
                ),
            )
            for line, (name, version) in enumerate(world.current.items(), 1)
            if name not in world.undeclared.split()
        }

    def _lock(self, pins: Mapping[str, str]) -> Lock:
        packages = [
            Package(name=canonicalize_name(name), version=Version(pins[name]))
            for name in sorted(pins)
        ]
        return Lock(packages=tuple(packages), environment="python_version == '3.11'")

    def _versions(self, name: str) -> list[str]:
        return [self._world.current[name], *self._world.newer.get(name, "").split()]

    def resolve(
        self,
        wanted: Mapping[NormalizedName, SpecifierSet],
        *,
        keep: bool = True,
        free: frozenset[NormalizedName] = frozenset(),
    ) -> Lock:
        """The first that fits, of the current and then of the newest releases."""
        names = list(self._world.current)
        choices = []
        for name in names:
            found = sorted(self._versions(name), key=Version, reverse=True)
            if keep and name not in free:
                found.sort(key=lambda text, own=self._world.current[name]: text != own)  # type: ignore[misc]
            spec = wanted.get(canonicalize_name(name), SpecifierSet())
            choices.append([text for text in found if spec.contains(text)])
        for versions in product(*choices):
            pins = dict(zip(names, versions, strict=True))
            needs = [
                Requirement(self._world.needs[key])
                for name, version in pins.items()
                if (key := f"{name} {version}") in self._world.needs
            ]
            if all(each.specifier.contains(pins[each.name]) for each in needs):
                return self._lock(pins)
        reason = ", ".join(f"{name}{spec}" for name, spec in sorted(wanted.items()))
        raise Unresolvable(reason=f"Because you require {reason}, nothing fits.")

    def releases(self, name: NormalizedName) -> Releases:
        found = [
            Release(
                version=Version(text),
                files=(
                    File(
                        filename=f"{name}-{text}-py3-none-any.whl",
                        requires_python=SpecifierSet(self._world.pythons.get(f"{name} {text}", "")),
                    ),
                ),
            )
            for text in self._versions(name)
        ]
        return Releases(name=name, releases=tuple(found))

    def admission(self, *, prerelease: bool) -> Admission:
        python = Version(f"{self.place.python}.7")
        return Admission(python=python, tags=None, prerelease=prerelease)


@dataclass
class Directory:
    directory: Path = Path()


@dataclass
class Planner:
    job: Any = field(default_factory=Directory)

    def lock_path(self) -> Path | None:
        return None


def place(python: str, *, may_fail: bool = False) -> Place:
    return Place(
        name=f"test-{python}",
        cell=Cell(session="test", python=python, values={}, may_fail=may_fail),
        declaration=Declaration(name="test"),
        noxfile=Noxfile(path=Path("nowhere/noxfile.py"), line=1),
    )


@pytest.fixture
def conduct(monkeypatch: pytest.MonkeyPatch) -> Conduct:
    return Conduct(monkeypatch)


def assignment(*places: Place, options: CampaignOptions, trials: Trials) -> Assignment:
    return Assignment(
        places=places,
        options=options,
        trials=cast("Any", trials),
        cache=Path("cache"),
        say=lambda _: None,
    )


class Conduct:
    """Runs a campaign over a world, up to some trial."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self.campaign: Upgrade

    def __call__(
        self,
        world: World,
        *,
        pythons: str = "3.11",
        jobs: int = 1,
        stop_after: int | None = None,
        **asked: Any,
    ) -> UpgradeReport:
        @contextlib.contextmanager
        def opened(place: Place, **_: Any) -> Iterator[Column]:
            if place.name in world.missing:
                raise world.missing[place.name]
            yield Column(place, world)

        self._patch.setattr(drive, "opened", opened)
        trials = Trials(world, jobs)
        trials.stop_after = stop_after
        options = CampaignOptions(**asked)
        self.campaign = Upgrade(
            assignment(
                *(place(each, may_fail=each in world.may_fail.split()) for each in pythons.split()),
                options=options,
                trials=trials,
            )
        )
        self.campaign.run()
        self.campaign.close()
        return reported(self.campaign, trials.trials, interrupted=trials.place.stop.is_set())


def reported(campaign: Upgrade, trials: list[Trial], *, interrupted: bool) -> UpgradeReport:
    header = {
        "started": "2026-11-01T05:00:00Z",
        "seconds": 1.0,
        "tools": {"nox": "1"},
        "trials": tuple(trials),
        "directory": "runs/1",
        "kept": {},
    }
    return campaign.report(header, interrupted=interrupted)


def only(found: UpgradeReport, name: str) -> Candidate:
    (one,) = [each for each in found.candidates if each.name == name]
    return one


def judged(found: UpgradeReport, name: str, python: str = "3.11") -> Judgement:
    return only(found, name).verdicts[f"test-{python}"]


def verdicts(found: UpgradeReport, python: str = "3.11") -> dict[str, str]:
    return {each.name: str(each.verdicts[f"test-{python}"].verdict) for each in found.candidates
            if f"test-{python}" in each.verdicts}  # fmt: skip


def breaking(**limits: str) -> Callable[[str, dict[str, str], int], Told]:
    """One test for each name fails from a release on."""

    def shows(_column: str, pins: dict[str, str], _attempt: int) -> Told:
        return tuple(
            f"t::{name}" for name, limit in limits.items() if Version(pins[name]) >= Version(limit)
        )

    return shows


ABC = {"a": "1", "b": "1", "c": "1"}
NEWER = {"a": "2", "b": "1.5 2", "c": "2"}


# -- what can be taken ----------------------------------------------------------------


def test_where_all_pass_all_are_safe(conduct: Conduct) -> None:
    found = conduct(World(ABC, NEWER, exercised={"a": True, "b": False, "c": None}))
    assert found.status == "ok"
    assert verdicts(found) == dict.fromkeys("abc", "safe")
    assert found.common == {"a": "2", "b": "2", "c": "2"}
    assert found.common_trials == {"test-3.11": ("t2",)}
    one = judged(found, "a")
    assert (one.version, one.trials, one.log, one.reason) == ("2", ("t2",), "logs/t2.log", "")
    assert [judged(found, name).unexercised for name in "abc"] == [False, True, None]
    safe = found.safe_sets["test-3.11"]
    assert safe.pins == safe.packages == {"a": "2", "b": "2", "c": "2"}
    assert (safe.trials, safe.moved) == (("t2",), {})
    assert [each.id for each in found.trials] == ["t1", "t2"]
    assert found.baseline["test-3.11"].outcome is Outcome.PASS
    assert found.baseline["test-3.11"].trial == "t1"


def test_a_candidate_says_where_it_is_declared(conduct: Conduct) -> None:
    one = only(conduct(World(ABC, NEWER)), "b")
    assert (one.current, one.target, one.latest) == ("1", "2", "2")
    assert one.places == ("requirements.txt:2",)


def test_nothing_newer_is_an_answer(conduct: Conduct) -> None:
    found = conduct(World(ABC))
    assert (found.status, found.candidates, found.common) == ("ok", (), {})
    assert found.dependencies == 3
    assert found.baseline["test-3.11"].outcome is Outcome.PASS


def test_all_files_with_dependencies_are_named(conduct: Conduct) -> None:
    assert conduct(World(ABC)).files == ("requirements.txt",)


def test_what_moves_with_the_set_is_named(conduct: Conduct) -> None:
    world = World({"a": "1", "z": "1"}, {"a": "2", "z": "2"}, needs={"a 2": "z>=2"}, undeclared="z")
    found = conduct(world)
    safe = found.safe_sets["test-3.11"]
    assert safe.pins == {"a": "2"}
    assert safe.moved == {"z": ("1", "2")}
    assert safe.packages == {"a": "2", "z": "2"}
    assert found.dependencies == 1


def test_what_works_only_together_says_so(conduct: Conduct) -> None:
    world = World(ABC, NEWER, needs={"a 2": "b>=2"}, shows=breaking(c="2"))
    found = conduct(world)
    assert verdicts(found) == {"a": "safe", "b": "safe", "c": "breaks"}
    assert judged(found, "a").together_with == ("b",)
    assert judged(found, "b").together_with == ()


# -- what cannot ----------------------------------------------------------------------


def test_what_has_no_release_that_passes_breaks(conduct: Conduct) -> None:
    found = conduct(World(ABC, NEWER, shows=breaking(b="1.5")))
    assert found.status == "broken"
    assert verdicts(found) == {"a": "safe", "b": "breaks", "c": "safe"}
    one = judged(found, "b")
    assert (one.version, one.reason) == (None, "AssertionError: t::b")
    assert one.failing == {"t::b": "AssertionError: t::b"}
    shown = {each.id: each for each in found.trials}
    assert one.trials
    assert all(shown[each].outcome is Outcome.FAIL for each in one.trials)
    assert one.log in {shown[each].log for each in one.trials}
    assert found.common == {"a": "2", "c": "2"}
    assert "b" not in found.safe_sets["test-3.11"].pins


def test_an_older_release_that_passes_caps(conduct: Conduct) -> None:
    found = conduct(World(ABC, NEWER, shows=breaking(b="2")))
    assert found.status == "broken"
    one = judged(found, "b")
    assert (one.verdict, one.version) == (Verdict.CAPPED, "1.5")
    assert one.failing == {"t::b": "AssertionError: t::b"}
    assert found.common == found.safe_sets["test-3.11"].pins == {"a": "2", "b": "1.5", "c": "2"}
    proof = found.safe_sets["test-3.11"].trials[-1]
    (trial,) = [each for each in found.trials if each.id == proof]
    assert trial.outcome is Outcome.PASS
    assert {name: new for name, (_, new) in trial.changes.items()} == found.common
    assert proof in one.trials
    assert judged(found, "a").trials == found.safe_sets["test-3.11"].trials


def test_a_named_release_is_not_capped(conduct: Conduct) -> None:
    asked = {canonicalize_name("b"): SpecifierSet("==2")}
    found = conduct(World(ABC, NEWER, shows=breaking(b="2")), asked=asked)
    assert verdicts(found) == {"b": "breaks"}
    assert found.common == {}


def test_what_fits_nowhere_is_infeasible(conduct: Conduct) -> None:
    world = World({**ABC, "z": "1"}, NEWER, needs={"a 2": "z>=9"}, undeclared="z")
    found = conduct(world)
    assert verdicts(found) == {"a": "infeasible", "b": "safe", "c": "safe"}
    one = judged(found, "a")
    assert (one.version, one.trials) == (None, ())
    assert "a==2" in one.reason
    assert only(found, "a").target == "2"


def test_an_older_release_that_fits_caps_what_does_not(conduct: Conduct) -> None:
    world = World({**ABC, "z": "1"}, NEWER, needs={"b 2": "z>=9"}, undeclared="z")
    found = conduct(world)
    one = judged(found, "b")
    assert (one.verdict, one.version) == (Verdict.CAPPED, "1.5")
    assert "b==2" in one.reason
    assert one.failing == {}


@pytest.mark.parametrize("newest", ["2", "1.7 2"])
def test_what_fits_nowhere_and_breaks_below_says_why_consistently(
    conduct: Conduct, newest: str
) -> None:
    world = World(
        {**ABC, "z": "1"},
        {**NEWER, "b": f"1.5 {newest}"},
        needs={"b 2": "z>=9"},
        undeclared="z",
        shows=breaking(b="1.5"),
    )
    one = judged(conduct(world), "b")
    if one.verdict is Verdict.INFEASIBLE:
        assert "b==2" in one.reason
    else:
        assert one.verdict is Verdict.BREAKS
        assert one.failing


def test_what_went_with_nothing_and_breaks_alone_breaks(conduct: Conduct) -> None:
    """b does not resolve beside the newest a; once a is out, b is run, and fails."""
    world = World(
        {"a": "1", "b": "1"},
        {"a": "2", "b": "2"},
        needs={"b 2": "a<2"},
        shows=breaking(a="2", b="2"),
    )
    found = conduct(world)
    assert verdicts(found) == {"a": "breaks", "b": "breaks"}
    assert judged(found, "b").failing == {"t::b": "AssertionError: t::b"}


def test_what_needs_a_rejected_one_is_blocked(conduct: Conduct) -> None:
    world = World(ABC, {"a": "2", "b": "2", "c": "2"}, needs={"a 2": "b>=2"}, shows=breaking(b="2"))
    found = conduct(world)
    assert verdicts(found) == {"a": "blocked", "b": "breaks", "c": "safe"}
    assert judged(found, "a").together_with == ("b",)
    assert found.status == "broken"
    assert found.common == {"c": "2"}


def test_what_is_blocked_at_its_target_may_pass_beside_a_cap(conduct: Conduct) -> None:
    """The cap of what it needs is enough for it: it has to be run before it is left out."""
    world = World(
        {"a": "1", "b": "1"},
        {"a": "1.5 2", "b": "1.5 2"},
        needs={"b 2": "a>=1.5"},
        shows=breaking(a="2"),
    )
    found = conduct(world)
    assert found.common == {"a": "1.5", "b": "2"}


def test_a_failure_that_another_shows_is_no_capping(conduct: Conduct) -> None:
    """b fails only beside the newest c: what passed together is taken."""

    def shows(_column: str, pins: dict[str, str], _attempt: int) -> Told:
        return ("t::bc",) if pins["b"] == pins["c"] == "2" else PASS

    found = conduct(World(ABC, NEWER, shows=shows))
    taken = found.common
    assert taken in ({"a": "2", "b": "2"}, {"a": "2", "b": "1.5", "c": "2"})


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_could_not_be_built_is_no_break(conduct: Conduct, jobs: int) -> None:
    def shows(_column: str, pins: dict[str, str], _attempt: int) -> Told:
        return Outcome.UNBUILDABLE if pins["a"] == "2" else PASS

    found = conduct(World(ABC, NEWER, shows=shows), jobs=jobs)
    assert verdicts(found) == {"a": "unbuildable", "b": "safe", "c": "safe"}
    assert judged(found, "a").failing == {}
    assert judged(found, "a").reason == "unbuildable"


def test_what_could_not_be_run_has_no_answer(conduct: Conduct) -> None:
    def shows(_column: str, pins: dict[str, str], _attempt: int) -> Told:
        return Outcome.ERROR if pins["a"] == "2" else PASS

    found = conduct(World(ABC, NEWER, shows=shows))
    assert verdicts(found) == {"a": "inconclusive", "b": "safe", "c": "safe"}
    assert found.status == "inconclusive"


# -- what is known without a trial ----------------------------------------------------


def test_what_is_held_is_held(conduct: Conduct) -> None:
    hold = {canonicalize_name("a"): SpecifierSet(), canonicalize_name("b"): SpecifierSet("<2")}
    found = conduct(World(ABC, NEWER), hold=hold)
    assert verdicts(found) == {"a": "held", "b": "safe", "c": "safe"}
    assert judged(found, "a").reason == ""
    assert (only(found, "b").target, only(found, "b").latest) == ("1.5", "2")
    assert found.common == {"b": "1.5", "c": "2"}
    assert found.status == "ok"


def test_what_is_too_young_waits(conduct: Conduct, monkeypatch: pytest.MonkeyPatch) -> None:
    def young(self: Column, *, prerelease: bool) -> Admission:
        del self, prerelease
        now = datetime(2026, 1, 1, tzinfo=timezone.utc)
        return Admission(python=Version("3.11.7"), tags=None, uploaded_before=now)

    monkeypatch.setattr(Column, "admission", young)
    found = conduct(World(ABC, {"a": "2"}))
    assert verdicts(found) == {"a": "waiting"}
    assert judged(found, "a").reason == "2 is younger than the cooldown"
    assert (found.status, found.common) == ("ok", {})


# -- how it stands now ----------------------------------------------------------------


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_red_baseline_is_no_verdict_on_anything(conduct: Conduct, jobs: int) -> None:
    def shows(_column: str, _pins: dict[str, str], attempt: int) -> Told:
        return (f"t::{attempt}",)

    found = conduct(
        World(ABC, NEWER, shows=shows), jobs=jobs, hold={canonicalize_name("a"): SpecifierSet()}
    )
    assert found.status == "baseline-red"
    assert verdicts(found) == {"a": "held", "b": "inconclusive", "c": "inconclusive"}
    assert judged(found, "b").reason == "it fails already with the versions you have"
    assert (found.common, found.safe_sets) == (None, {})
    assert found.baseline["test-3.11"].outcome is Outcome.FAIL
    assert found.baseline["test-3.11"].reason.startswith("AssertionError: t::")


def test_tests_that_fail_already_do_not_count_against_anything(conduct: Conduct) -> None:
    def shows(_column: str, pins: dict[str, str], _attempt: int) -> Told:
        return ("t::old", "t::b") if pins["b"] == "2" else ("t::old",)

    found = conduct(World(ABC, NEWER, shows=shows))
    assert verdicts(found) == {"a": "safe", "b": "capped", "c": "safe"}
    assert judged(found, "b").failing == {"t::b": "AssertionError: t::old"}
    base = found.baseline["test-3.11"]
    assert (base.outcome, base.known_failures) == (Outcome.FAIL, ("t::old",))
    assert found.common == {"a": "2", "b": "1.5", "c": "2"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_baseline_that_could_not_be_run_is_an_error_and_no_failure(
    conduct: Conduct, jobs: int
) -> None:
    found = conduct(World(ABC, NEWER, shows=lambda *_: Outcome.ERROR), jobs=jobs)
    assert found.status == "error"
    assert set(verdicts(found).values()) == {"inconclusive"}
    assert "fails already" not in judged(found, "a").reason


def test_what_breaks_is_told_without_what_failed_before(conduct: Conduct) -> None:
    def shows(_column: str, pins: dict[str, str], _attempt: int) -> Told:
        return ("t::a", "t::old") if pins["a"] == "2" else ("t::old",)

    found = conduct(World(ABC, {"a": "2"}, shows=shows))
    assert verdicts(found) == {"a": "breaks"}
    assert list(judged(found, "a").failing) == ["t::a"]
    assert found.status == "broken"


def test_what_passes_now_and_then_is_flaky_and_breaks_nothing(conduct: Conduct) -> None:
    def shows(_column: str, pins: dict[str, str], attempt: int) -> Told:
        return ("t::a",) if pins["a"] == "2" and attempt % 2 else PASS

    found = conduct(World(ABC, {"a": "2"}, shows=shows))
    assert verdicts(found) == {"a": "flaky"}
    assert judged(found, "a").failing == {}
    assert (found.status, found.common) == ("inconclusive", {})


# -- several columns ------------------------------------------------------------------


def on_new(name: str, limit: str) -> Callable[[str, dict[str, str], int], Told]:
    """A test fails from a release on, on 3.12 alone."""

    def shows(column: str, pins: dict[str, str], _attempt: int) -> Told:
        broken = column == "test-3.12" and Version(pins[name]) >= Version(limit)
        return (f"t::{name}",) if broken else PASS

    return shows


@pytest.mark.parametrize("jobs", [1, 3])
def test_each_column_has_its_verdict_and_what_is_common_passed_on_all(
    conduct: Conduct, jobs: int
) -> None:
    found = conduct(World(ABC, NEWER, shows=on_new("b", "2")), pythons="3.11 3.12", jobs=jobs)
    assert verdicts(found, "3.11")["b"] == "safe"
    assert verdicts(found, "3.12")["b"] == "capped"
    assert found.columns == {"test-3.11": "3.11", "test-3.12": "3.12"}
    assert found.common == {"a": "2", "b": "1.5", "c": "2"}
    shown = {each.id: each for each in found.trials}
    for column, trials in found.common_trials.items():
        assert trials
        for each in trials:
            assert (shown[each].cell, shown[each].outcome) == (column, Outcome.PASS)
            assert {n: new for n, (_, new) in shown[each].changes.items()} == found.common
    assert list(found.common_trials) == ["test-3.11", "test-3.12"]


def test_what_breaks_somewhere_is_not_common(conduct: Conduct) -> None:
    found = conduct(World(ABC, NEWER, shows=on_new("b", "1.5")), pythons="3.11 3.12")
    assert (verdicts(found, "3.11")["b"], verdicts(found, "3.12")["b"]) == ("safe", "breaks")
    assert found.common == {"a": "2", "c": "2"}
    assert found.safe_sets["test-3.11"].pins["b"] == "2"


def test_where_one_column_is_red_there_is_no_common_set(conduct: Conduct) -> None:
    def shows(column: str, _pins: dict[str, str], attempt: int) -> Told:
        return (f"t::{attempt}",) if column == "test-3.12" else PASS

    found = conduct(World(ABC, NEWER, shows=shows), pythons="3.11 3.12")
    assert found.status == "baseline-red"
    assert verdicts(found, "3.11") == dict.fromkeys("abc", "safe")
    assert verdicts(found, "3.12") == dict.fromkeys("abc", "inconclusive")
    assert (found.common, list(found.safe_sets)) == (None, ["test-3.11"])


def test_a_python_that_is_not_there_was_not_tested(conduct: Conduct) -> None:
    world = World(ABC, NEWER, missing={"test-3.14": InterpreterMissing(python="3.14")})
    found = conduct(world, pythons="3.11 3.14")
    reason = "Python 3.14 is not on this machine"
    assert found.status == "ok"
    assert found.not_tested == {"test-3.14": reason}
    assert found.baseline["test-3.14"].outcome is None
    assert found.baseline["test-3.14"].reason == reason
    assert verdicts(found, "3.14") == dict.fromkeys("abc", "not-tested")
    assert judged(found, "a", "3.14").reason == reason
    assert found.common == {"a": "2", "b": "2", "c": "2"}
    assert list(found.common_trials) == ["test-3.11"]
    assert list(found.baseline) == ["test-3.11", "test-3.14"]


def test_where_no_python_is_there_nothing_is_known(conduct: Conduct) -> None:
    world = World(ABC, NEWER, missing={"test-3.14": InterpreterMissing(python="3.14")})
    found = conduct(world, pythons="3.14")
    assert (found.status, found.candidates, found.common) == ("error", (), None)
    assert found.not_tested


def test_a_column_that_cannot_be_planned_is_an_error(conduct: Conduct) -> None:
    world = World(ABC, NEWER, missing={"test-3.12": IndexUnreachable(reason="HTTP 500")})
    found = conduct(world, pythons="3.11 3.12")
    assert found.status == "error"
    assert "HTTP 500" in found.error
    assert "HTTP 500" in found.baseline["test-3.12"].reason
    assert (found.trials, found.common) == ((), None)


def test_a_library_is_proven_as_a_new_user_gets_it(conduct: Conduct) -> None:
    """What nobody declares is newest there, and may spoil it."""

    def shows(_column: str, pins: dict[str, str], _attempt: int) -> Told:
        return ("t::z",) if pins["z"] == "2" else PASS

    world = World(
        {"a": "1", "z": "1"}, {"a": "2", "z": "2"}, undeclared="z", shows=shows, pinned=False
    )
    found = conduct(world)
    fresh = found.fresh["test-3.11"]
    assert found.pinned is False
    assert found.common == {"a": "2"}
    assert (fresh.outcome, fresh.moved) == (Outcome.FAIL, {"z": ("1", "2")})
    assert fresh.reason == "AssertionError: t::z"
    assert fresh.trial == found.trials[-1].id


# -- as often as it should, and no more than it may ---------------------------------------


def outcomes(found: UpgradeReport, trials: tuple[str, ...]) -> list[Outcome]:
    return [each.outcome for each in found.trials if each.id in trials]


@pytest.mark.parametrize("proofs", [None, 1, 3])
def test_a_raised_cap_is_proven_as_a_set(conduct: Conduct, proofs: int | None) -> None:
    found = conduct(World(ABC, NEWER, shows=breaking(b="2")), proofs=proofs)
    assert found.common == {"a": "2", "b": "1.5", "c": "2"}
    trials = found.common_trials["test-3.11"]
    assert outcomes(found, trials) == [Outcome.PASS] * (proofs or 1)
    assert set(trials) == {
        each.id
        for each in found.trials
        if {n: new for n, (_, new) in each.changes.items()} == found.common
    }
    assert found.safe_sets["test-3.11"].trials == judged(found, "a").trials == trials
    # What the search found, and is not offered, was not proven further.
    searched = [each for each in found.trials if set(each.changes) == {"a", "c"}]
    assert len(searched) == min(proofs or 2, 2)


@pytest.mark.parametrize("proofs", [None, 4])
def test_the_common_set_is_proven_on_each_column(conduct: Conduct, proofs: int | None) -> None:
    found = conduct(World(ABC, NEWER, shows=on_new("b", "1.5")), pythons="3.11 3.12", proofs=proofs)
    assert found.common == {"a": "2", "c": "2"}
    for trials in found.common_trials.values():
        assert outcomes(found, trials) == [Outcome.PASS] * len(trials)
    counts = {name: len(trials) for name, trials in found.common_trials.items()}
    assert counts == {"test-3.11": proofs or 1, "test-3.12": proofs or 2}


def test_what_comes_afresh_is_proven_as_often(conduct: Conduct) -> None:
    world = World({"a": "1", "z": "1"}, {"a": "2", "z": "2"}, undeclared="z", pinned=False)
    found = conduct(world, proofs=3)
    fresh = found.fresh["test-3.11"]
    assert fresh.moved == {"z": ("1", "2")}
    assert outcomes(found, fresh.trials) == [Outcome.PASS] * 3
    # As it stands, the set three times, and so with what comes in.
    assert len(found.trials) == 7


def test_what_is_all_the_same_afresh_is_not_run_again(conduct: Conduct) -> None:
    found = conduct(World(ABC, NEWER, pinned=False), proofs=3)
    assert len(found.trials) == 4
    assert found.fresh["test-3.11"].trials == found.common_trials["test-3.11"]


def test_a_set_that_proves_flaky_is_not_offered(conduct: Conduct) -> None:
    """It passes twice, as a search wants it, and then no more."""

    def shows(_column: str, pins: dict[str, str], attempt: int) -> Told:
        return ("t::b",) if pins["b"] != "1" and attempt > 2 else PASS

    found = conduct(World(ABC, NEWER, shows=shows), proofs=4)
    assert found.common == {"a": "2", "c": "2"}
    assert outcomes(found, found.common_trials["test-3.11"]) == [Outcome.PASS] * 4


def everything(names: str) -> World:
    """All that a campaign does: a search, caps, a common set, and what comes afresh."""

    def shows(column: str, pins: dict[str, str], _attempt: int) -> Told:
        limits = {"b": "2", "c": "1.5"} if column == "test-3.11" else {"a": "2"}
        return tuple(f"t::{n}" for n, limit in limits.items() if Version(pins[n]) >= Version(limit))

    current = dict.fromkeys([*names.split(), "z"], "1")
    newer = dict.fromkeys([*names.split(), "z"], "1.2 1.5 2")
    return World(current, newer, undeclared="z", shows=shows, pinned=False)


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("proofs", [None, 3])
def test_no_column_has_more_trials_than_it_may(
    conduct: Conduct, jobs: int, proofs: int | None
) -> None:
    def count(found: UpgradeReport, column: str) -> int:
        return len([each for each in found.trials if each.cell == column])

    def run(most: int | None = None) -> UpgradeReport:
        world = everything("a b c")
        return conduct(world, pythons="3.11 3.12", jobs=jobs, proofs=proofs, max_trials=most)

    free = run()
    assert free.exhausted == {}
    needed = {column: count(free, column) for column in free.columns}
    for most in range(1, max(needed.values()) + 1):
        found = run(most)
        for column in found.columns:
            assert count(found, column) <= most
        assert bool(found.exhausted) is (most < max(needed.values()))
        for column, trials in found.common_trials.items():
            assert Outcome.FAIL not in outcomes(found, trials), (most, column)


def test_where_trials_are_used_up_the_report_says_so(conduct: Conduct) -> None:
    world = World(ABC, NEWER, shows=breaking(b="2"))
    found = conduct(world, max_trials=2)
    why = "--max-trials 2 were used up"
    assert found.exhausted == {"test-3.11": why}
    assert found.status == "inconclusive"
    assert verdicts(found) == dict.fromkeys("abc", "inconclusive")
    assert {judged(found, name).reason for name in "abc"} == {why}


def test_what_could_not_be_proven_as_often_as_asked_is_told_as_it_is(conduct: Conduct) -> None:
    found = conduct(World(ABC, NEWER), proofs=4, max_trials=3)
    assert len(found.common_trials["test-3.11"]) == 2
    assert (found.status, list(found.exhausted)) == ("inconclusive", ["test-3.11"])


def test_a_baseline_that_was_not_settled_is_no_answer(conduct: Conduct) -> None:
    world = World(ABC, NEWER, shows=breaking(a="1"))
    found = conduct(world, max_trials=1)
    assert len(found.trials) == 1
    assert (found.status, found.common) == ("inconclusive", None)


# -- what came in with a candidate ----------------------------------------------------------


def brought(**facts: Any) -> World:
    """Nobody declares z, which moves with a."""
    return World(
        {"a": "1", "c": "1", "z": "1"}, {"a": "2", "c": "2", "z": "1.5 2 2.1"}, undeclared="z",
        **{"shows": breaking(z="2"), **facts},
    )  # fmt: skip


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize(
    ("needs", "shows", "reason"),
    [
        ("z>=1.5", breaking(z="2"), "a is fine; z 2.1 is not: add z<2"),
        ("z>=1.5", breaking(z="1.5"), "it needs z 2.1, which breaks you without it"),
        ("z>=1.5", breaking(a="2"), "AssertionError: t::a"),
    ],
)
def test_what_is_needed_may_be_to_blame(
    conduct: Conduct, needs: str, shows: Any, reason: str, jobs: int
) -> None:
    world = brought(needs={"a 2": needs}, shows=shows)
    free = conduct(world, jobs=jobs)
    assert verdicts(free) == {"a": "breaks", "c": "safe"}
    one = judged(free, "a")
    assert one.reason == reason
    assert [each.name for each in one.culprits] == ["z"] * ("z 2.1" in reason)
    assert free.common == {"c": "2"}
    assert len(free.trials) <= 16


def test_what_only_goes_together_is_not_told_apart(conduct: Conduct) -> None:
    needs = {"a 1": "z<1.5", "a 2": "z>=1.5"}
    found = conduct(brought(needs=needs, shows=breaking(z="1.5")))
    assert (judged(found, "a").reason, judged(found, "a").culprits) == ("AssertionError: t::z", ())


@pytest.mark.parametrize(
    ("shows", "reason"),
    [
        (breaking(y="2"), "AssertionError: t::y"),
        (breaking(y="3"), "a is fine; y 3 is not: add y<3"),
        (breaking(z="2"), "a is fine; z 2.1 is not: add z<2"),
    ],
)
def test_of_several_that_came_in_one_is_to_blame(conduct: Conduct, shows: Any, reason: str) -> None:
    world = brought(needs={"a 2": "z>=1.5", "z 2": "y>=2", "z 2.1": "y>=2"}, shows=shows)
    world.current["y"], world.newer["y"], world.undeclared = "1", "2 3", "y z"
    found = conduct(world)
    assert judged(found, "a").reason == reason


def at_odds(_column: str, pins: dict[str, str], _attempt: int) -> Told:
    return ("t::both",) if (pins["a"], pins["z"]) == ("2", "2.1") else PASS


@pytest.mark.parametrize("company", ["a", "z"])
def test_of_a_pair_what_nobody_asked_about_has_to_stay(conduct: Conduct, company: str) -> None:
    def shows(_column: str, pins: dict[str, str], _attempt: int) -> Told:
        return ("t::both",) if set(pins.values()) == {"2"} else PASS

    world = World(
        {"m": "1", company: "1"}, {"m": "2", company: "2"}, undeclared=company, shows=shows
    )
    reason = judged(conduct(world, mode="fresh"), "m").reason
    assert reason == f"it breaks only together with {company} 2: add {company}<2"


@pytest.mark.parametrize(
    ("needs", "shows", "reason"),
    [
        ({"a 1": "z<2"}, breaking(z="2"), "a is fine; z 2.1 is not: add z<2"),
        ({}, breaking(z="2"), "a is fine; z 2.1 is not: add z<2"),
        ({}, breaking(a="2"), "AssertionError: t::a"),
        # Whether z breaks without the new a cannot be tried, or can.
        ({"a 1": "z<2"}, at_odds, "a is fine; z 2.1 is not: add z<2.1"),
        ({}, at_odds, "it breaks only together with z 2.1: add z<2.1"),
    ],
)
def test_what_is_not_needed_may_be_to_blame(
    conduct: Conduct, needs: dict[str, str], shows: Any, reason: str
) -> None:
    world = brought(needs=needs, shows=shows)
    del world.newer["c"]
    found = conduct(world, mode="fresh")
    assert judged(found, "a").reason == reason
    assert len(found.trials) <= 16


@pytest.mark.parametrize("most", range(3, 12))
def test_who_is_to_blame_costs_no_more_than_there_is(conduct: Conduct, most: int) -> None:
    found = conduct(brought(needs={"a 2": "z>=1.5"}), max_trials=most)
    assert len(found.trials) <= most
    for one in found.candidates:
        for each in one.verdicts.values():
            assert bool(each.culprits) is ("is fine" in each.reason)


# -- columns that may fail, and Pythons that are too old ------------------------------------


def test_what_may_fail_decides_nothing_and_says_so(conduct: Conduct) -> None:
    world = World(ABC, NEWER, shows=on_new("b", "1.5"), may_fail="3.12")
    found = conduct(world, pythons="3.11 3.12")
    assert (found.status, found.common) == ("ok", {"a": "2", "b": "2", "c": "2"})
    assert verdicts(found, "3.12")["b"] == "breaks"
    assert {name: one.may_fail for name, one in found.baseline.items()} == {
        "test-3.11": False,
        "test-3.12": True,
    }


def test_a_python_that_the_latest_does_not_support_is_the_reason(conduct: Conduct) -> None:
    world = World(ABC, NEWER, pythons={"a 2": ">=3.12,!=3.13.1,<5", "b 2": ">=3.12"})
    found = conduct(world, pythons="3.11 3.12")
    one = only(found, "b")
    assert one.unsupported == {"test-3.11": "2 needs Python >= 3.12"}
    assert (one.verdicts["test-3.11"].version, one.verdicts["test-3.12"].version) == ("1.5", "2")
    assert one.verdicts["test-3.11"].reason == "2 needs Python >= 3.12"
    assert one.verdicts["test-3.12"].reason == ""
    # On the other there is nothing newer at all.
    assert only(found, "a").unsupported == {"test-3.11": "2 needs Python >= 3.12"}
    assert list(only(found, "a").verdicts) == ["test-3.12"]
    assert only(found, "c").unsupported == {}


# -- what was interrupted -------------------------------------------------------------


def half(campaign: Upgrade, world: World) -> Work:
    """A column that was opened, as it is before its first trial ends."""
    column = Column(place("3.11"), world)
    bench = Bench(cast("Any", column), cast("Any", Trials(world, 1)), CampaignOptions())
    bench.look()
    search = Search(sorted(bench.targets))
    quest = SearchQuest(bench.targets, search, closures=bench.closures)
    work = Work(place=column.place, bench=bench, quest=quest)
    campaign.works.append(work)
    return work


def idle() -> Upgrade:
    return Upgrade(
        assignment(place("3.11"), options=CampaignOptions(), trials=Trials(World(ABC), 1))
    )


def advance(work: Work, count: int) -> list[Trial]:
    """So many trials of a column."""
    trials = []
    for _ in range(count):
        (wanted,) = work.quest.pending()
        result = work.bench.settle(wanted)
        assert result.shown
        trials.append(result.shown.trial)
        work.quest.record(wanted, result)
    return trials


def test_what_was_interrupted_before_the_first_trial_says_nothing() -> None:
    campaign = idle()
    half(campaign, World(ABC, NEWER))
    found = reported(campaign, [], interrupted=True)
    assert found.status == "interrupted"
    assert verdicts(found) == {}
    assert [each.name for each in found.candidates] == ["a", "b", "c"]
    assert found.baseline["test-3.11"].outcome is None
    assert found.baseline["test-3.11"].reason == "it was not run to its end"
    assert found.common is None


def test_what_was_interrupted_while_it_was_planned_says_nothing() -> None:
    found = reported(idle(), [], interrupted=True)
    assert (found.status, found.candidates, found.trials) == ("interrupted", (), ())


def test_no_verdict_is_made_of_half_a_search() -> None:
    campaign = idle()
    work = half(campaign, World(ABC, NEWER, shows=breaking(b="1.5")))
    trials = advance(work, 2)
    found = reported(campaign, trials, interrupted=True)
    assert found.status == "interrupted"
    assert found.baseline["test-3.11"].outcome is Outcome.PASS
    assert verdicts(found) == {}


@pytest.mark.parametrize("count", [1, 2])
def test_a_baseline_that_was_not_reached_is_not_red(conduct: Conduct, count: int) -> None:
    """Nothing fails here: what was stopped is never told as a failure."""
    found = conduct(World(ABC, NEWER), stop_after=count, pythons="3.11 3.12")
    assert found.status == "interrupted"
    reasons = {one.reason for each in found.candidates for one in each.verdicts.values()}
    assert "it fails already with the versions you have" not in reasons


def test_the_set_so_far_is_told_with_what_it_was_run_with() -> None:
    campaign = idle()
    work = half(campaign, World(ABC, NEWER, shows=breaking(b="1.5")))
    trials = []
    while not work.quest.pins:
        trials += advance(work, 1)
    safe = reported(campaign, trials, interrupted=True).safe_sets["test-3.11"]
    assert safe.pins
    assert safe.pins.items() <= safe.packages.items()


def test_what_has_passed_so_far_is_common_on_one_column() -> None:
    campaign = idle()
    work = half(campaign, World(ABC, NEWER, shows=breaking(b="1.5")))
    trials = []
    while not work.quest.pins:
        trials += advance(work, 1)
    found = reported(campaign, trials, interrupted=True)
    assert found.common == {name: str(version) for name, version in work.quest.pins.items()}


def test_what_was_interrupted_after_the_search_keeps_its_verdicts(conduct: Conduct) -> None:
    world = World(ABC, NEWER, shows=breaking(b="2"))
    whole = conduct(world)
    before = next(
        int(each.id[1:]) for each in whole.trials if each.changes.get("b") == ("1", "1.5")
    )
    found = conduct(world, stop_after=before)
    assert found.status == "interrupted"
    assert verdicts(found)["a"] == "safe"
    assert verdicts(found)["b"] in {"breaks", "capped"}
    assert len(found.trials) == before


@pytest.mark.parametrize("count", range(1, 9))
def test_wherever_it_is_interrupted_nothing_is_claimed_that_did_not_pass(
    conduct: Conduct, count: int
) -> None:
    found = conduct(World(ABC, NEWER, shows=breaking(b="2", c="2")), stop_after=count)
    passed = {each.id for each in found.trials if each.outcome is Outcome.PASS}
    for each in found.candidates:
        for one in each.verdicts.values():
            if one.verdict in {Verdict.SAFE, Verdict.CAPPED}:
                assert one.trials
                assert one.trials[-1] in passed
    for safe in found.safe_sets.values():
        assert set(safe.trials) <= passed


# -- what the command line wants ------------------------------------------------------


def test_a_named_older_release_does_not_spoil_the_closures_of_others(conduct: Conduct) -> None:
    """Going down is asked for as well; what has to move with others is asked beside it."""
    world = World({"a": "2", "b": "1"}, {"a": "1", "b": "2"}, shows=breaking(b="2"))
    asked = {canonicalize_name("a"): SpecifierSet("==1"), canonicalize_name("b"): SpecifierSet()}
    found = conduct(world, asked=asked)
    assert verdicts(found) == {"a": "safe", "b": "breaks"}
    assert found.common == {"a": "1"}


def test_what_is_there_is_not_said_to_be_missing(conduct: Conduct) -> None:
    """`a<2` has releases, only none that is newer than what is there."""
    world = World({"a": "2"}, {"a": "1 3"})
    found = conduct(world, asked={canonicalize_name("a"): SpecifierSet("<2")})
    assert "has no release" not in found.error
