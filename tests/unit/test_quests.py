"""Quests, told what small worlds show of which everything is known, in whatever order."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from random import Random
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from nox_envs.outcome import Failure, Outcome, Trial, Verdict
from nox_envs.upgrade.bench import Bench
from nox_envs.upgrade.options import CampaignOptions
from nox_envs.upgrade.quests import (
    Bounded,
    CapQuest,
    Quest,
    Result,
    SearchQuest,
    SetQuest,
    Want,
    want,
)
from nox_envs.upgrade.search import Search
from nox_envs.upgrade.trials import Shown
from nox_envs.upgrade.work import Patient, Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from nox_envs.upgrade.quests import Pins

    World = Callable[[Want], Result]

PASS = Result(outcome=Outcome.PASS)
INFEASIBLE = Result(outcome=Outcome.INFEASIBLE, reason="because a needs b<2")
ERROR = Result(outcome=Outcome.ERROR, reason="cannot reach the index")
TWO = Version("2")


def failing(*tests: str, signature: str = "", is_stopping: bool = False, passed: int = 1) -> Result:
    """A failure; without tests, of a session that runs no pytest."""
    told = signature or " ".join(tests) or "boom"
    failure = Failure(signature=told, tests=dict.fromkeys(tests, "AssertionError"))
    trial = Trial(id="t1", cell="test", python="3.11", outcome=Outcome.FAIL, failure=failure)
    shown = Shown(trial=trial, is_stopping=is_stopping, passed_tests=passed, seconds=3.0)
    return Result(outcome=Outcome.FAIL, shown=shown, signature=told)


def versions(*texts: str) -> list[Version]:
    return [Version(text) for text in texts]


def drive(quest: Quest, world: World, *, jobs: int = 1, rng: Random | None = None) -> list[Want]:
    """Do what a campaign does: `jobs` at a time, alone what wants to be alone, nothing twice."""
    waiting: list[Want] = []
    out: list[Want] = []
    shown: dict[Want, Result] = {}
    while True:
        waiting += quest.pending()
        waiting.sort(key=lambda each: each.alone)
        while waiting and len(out) < jobs and not (out and (waiting[0].alone or out[0].alone)):
            out.append(waiting.pop(0))
        if not out:
            break
        one = out.pop(rng.randrange(len(out)) if rng else 0)
        if one not in shown:
            shown[one] = world(one)
        quest.record(one, shown[one])
    assert not quest.pending()
    return list(shown)


def seeded(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - no secret


def table(rows: dict[str, Result], default: Result = PASS) -> World:
    """By the names that move, in their order; attempts make no difference."""

    def world(wanted: Want) -> Result:
        return rows.get(" ".join(name for name, _ in wanted.pins), default)

    return world


def test_a_set_is_the_same_want_in_whatever_order_it_is_written() -> None:
    one, two = {"a": TWO, "b": TWO}, {"b": TWO, "a": TWO}
    assert want(one) == want(two)
    assert len({want(one), want(two), want(one, attempt=2), want(one, run=False)}) == 3


# -- which of the targets pass together -----------------------------------------------


def search_for(names: str, *, jobs: int = 1, **options: Any) -> SearchQuest:
    targets = dict.fromkeys(names.split(), TWO)
    closures = {name: frozenset({name}) for name in targets}
    search = Search(list(targets), jobs=jobs, **options)
    return SearchQuest(targets, search, closures=lambda: (closures, set()))


def test_where_all_pass_two_runs_are_enough() -> None:
    quest = search_for("a b c")
    assert drive(quest, table({})) == [want({}), want({"a": TWO, "b": TWO, "c": TWO})]
    assert quest.done
    assert quest.pins == {"a": TWO, "b": TWO, "c": TWO}
    assert (quest.baseline, quest.all_at_once) == (PASS, PASS)


def test_nothing_is_known_before_it_is_told() -> None:
    quest = search_for("a b")
    assert (quest.done, quest.baseline, quest.all_at_once, quest.pins) == (False, None, None, {})


def test_what_breaks_is_left_out_and_what_showed_it_can_be_found() -> None:
    broken = failing("t::b")

    def world(wanted: Want) -> Result:
        return broken if "b" in dict(wanted.pins) else PASS

    quest = search_for("a b c")
    drive(quest, world)
    assert quest.pins == {"a": TWO, "c": TWO}
    rejection = quest.search.rejected["b"]
    assert rejection.verdict is Verdict.BREAKS
    assert rejection.ask
    assert quest.results[rejection.ask] is broken
    assert quest.all_at_once is broken
    assert [quest.results[ask] for ask in quest.search.passes] == [PASS, PASS]


def test_what_moves_together_is_only_asked_together() -> None:
    quest = SearchQuest(
        dict.fromkeys("abc", TWO),
        Search(list("abc")),
        closures=lambda: (
            {"a": frozenset("ab"), "b": frozenset("ab"), "c": frozenset("c")},
            {frozenset("ab")},
        ),
    )
    asked = drive(quest, table({"a b c": failing("t::c"), "c": failing("t::c")}))
    assert quest.pins == {"a": TWO, "b": TWO}
    assert all(("a" in dict(each.pins)) == ("b" in dict(each.pins)) for each in asked)


def test_closures_are_only_asked_for_where_not_all_pass() -> None:
    def never() -> Any:
        pytest.fail("the resolver was asked")

    quest = SearchQuest({"a": TWO}, Search(["a"]), closures=never)
    drive(quest, table({}))
    assert quest.done


def test_a_baseline_that_fails_ends_it() -> None:
    broken = failing()
    quest = search_for("a b")
    drive(quest, table({"": broken}))
    assert quest.done
    assert quest.pins == {}
    assert quest.baseline is broken


@settings(max_examples=60)
@given(
    st.sets(st.sampled_from("abcd")), st.sampled_from([1, 2, 3]), st.integers(0, 99), st.booleans()
)
def test_culprits_are_left_out_whatever_the_order(
    culprits: set[str],
    jobs: int,
    seed: int,
    patiently: bool,  # noqa: FBT001
) -> None:
    def world(wanted: Want) -> Result:
        guilty = sorted(culprits & dict(wanted.pins).keys())
        return failing(f"t::{guilty[0]}") if guilty else PASS

    work = working("a b c d", jobs=jobs)
    drive(Patient(work) if patiently else work.quest, world, jobs=jobs, rng=seeded(seed))
    assert work.quest.done
    assert set(work.quest.pins) == set("abcd") - culprits


# -- the highest release that passes --------------------------------------------------


def capped(known: str, *texts: str, fails: bool = False, jobs: int = 1) -> CapQuest:
    base = dict.fromkeys(known.split(), TWO)
    return CapQuest(base, "x", versions(*texts), jobs=jobs, fails=fails)


def up_to(limit: str) -> World:
    return lambda wanted: PASS if dict(wanted.pins)["x"] <= Version(limit) else failing("t::x")


def test_a_newest_that_passes_is_the_only_run() -> None:
    quest = capped("a", "1", "2", "3")
    assert drive(quest, up_to("9")) == [want({"a": TWO, "x": Version("3")})]
    assert quest.done
    assert quest.best == Version("3")


def test_a_newest_that_is_known_to_fail_is_not_run_again() -> None:
    quest = capped("a", "1", "2", "3", fails=True)
    assert drive(quest, up_to("2")) == [want({"a": TWO, "x": TWO})]
    assert quest.best == TWO


@pytest.mark.parametrize("fails", [True, False])
@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("limit", ["1.0", "1.1", "1.3", "2.0", "2.1", "3.1"])
def test_the_highest_that_passes_is_found(limit: str, jobs: int, *, fails: bool) -> None:
    texts = ["1.0", "1.1", "1.2", "1.3", "2.0", "2.1", "3.0", "3.1", "4.0"]
    quest = capped("a b", *texts, fails=fails, jobs=jobs)
    drive(quest, up_to(limit), jobs=jobs)
    assert quest.done
    assert quest.best == (None if limit == "1.0" else Version(limit))
    if quest.best:
        assert quest.results[quest.best] is PASS


def test_nothing_between_what_is_there_and_what_fails_asks_nothing() -> None:
    quest = capped("a", "1", "2", fails=True)
    assert (quest.done, list(quest.pending()), quest.best) == (True, [], None)


@pytest.mark.parametrize("fails", [True, False])
def test_whatever_the_answers_the_best_has_passed_itself(*, fails: bool) -> None:
    """And nothing above it that was run has."""
    texts = ["1.0", "1.1", "2.0", "3.0"]
    for told in product([PASS, failing("t::x"), ERROR, INFEASIBLE], repeat=3):
        shown = dict(zip(versions(*texts[1:]), told, strict=True))
        if fails:
            shown[Version("3.0")] = failing("t::x")
        quest = capped("", *texts, fails=fails)
        drive(quest, lambda wanted, shown=shown: shown[dict(wanted.pins)["x"]])  # type: ignore[misc]
        assert quest.done
        passing = [each for each, result in quest.results.items() if result is PASS]
        assert quest.best == max(passing, default=None)
        if PASS in shown.values() and not passing:
            assert failing("t::x") in quest.results.values()


# -- one set --------------------------------------------------------------------------


def test_a_set_that_passes_is_run_once() -> None:
    quest = SetQuest({"b": TWO, "a": TWO})
    assert drive(quest, table({})) == [want({"a": TWO, "b": TWO})]
    assert (quest.done, quest.result) == (True, PASS)


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.TIMEOUT])
def test_a_set_that_fails_is_run_again_alone(outcome: Outcome) -> None:
    red = Result(outcome=outcome)
    quest = SetQuest({"a": TWO})
    first, *again = drive(quest, lambda wanted: PASS if wanted.alone else red)
    assert first == want({"a": TWO})
    # Equal runs disagree: what three of them show.
    assert again == [want({"a": TWO}, attempt=n, alone=True) for n in (2, 3, 4)]
    assert (quest.done, quest.result, quest.results[:4]) == (True, PASS, [red, PASS, PASS, PASS])


def test_a_set_that_fails_twice_is_believed() -> None:
    quest = SetQuest({"a": TWO})
    assert len(drive(quest, table({"a": failing()}))) == 2
    assert (quest.done, quest.result.outcome) == (True, Outcome.FAIL)


@pytest.mark.parametrize("result", [ERROR, INFEASIBLE])
def test_what_was_not_run_is_not_run_again(result: Result) -> None:
    quest = SetQuest({"a": TWO})
    assert len(drive(quest, table({"a": result}))) == 1
    assert (quest.done, quest.result) == (True, result)


def test_a_fresh_set_stays_fresh_when_it_is_run_again() -> None:
    quest = SetQuest({"a": TWO}, keep=False)
    assert [each.keep for each in drive(quest, table({"a": failing()}))] == [False, False]


@pytest.mark.parametrize(
    ("told", "count", "outcome"),
    [
        ([PASS], 4, Outcome.PASS),
        ([PASS, PASS, failing()], 5, Outcome.PASS),
        ([PASS, failing(), failing(), PASS, failing()], 5, Outcome.FAIL),
        ([failing(), failing()], 2, Outcome.FAIL),
        ([PASS, ERROR], 5, Outcome.PASS),
        ([PASS, *[ERROR] * 9], 8, Outcome.PASS),
        ([PASS, failing(), *[ERROR] * 9], 8, Outcome.FAIL),
    ],
)
def test_a_set_passes_as_often_as_it_should(
    told: list[Result], count: int, outcome: Outcome
) -> None:
    quest = SetQuest({"a": TWO}, proofs=4)
    rest = iter(told)
    asked = drive(quest, lambda _: next(rest, PASS))
    assert [each.attempt for each in asked] == list(range(1, count + 1))
    assert (quest.done, quest.result.outcome) == (True, outcome)


def test_a_set_changes_nothing_that_its_owner_does() -> None:
    pins = {"a": TWO}
    quest = SetQuest(pins)
    pins["b"] = TWO
    assert quest.pins == {"a": TWO}
    assert drive(quest, table({})) == [want({"a": TWO})]


# -- a quest that has only so many runs -------------------------------------------------


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("most", range(12))
def test_a_quest_that_is_refused_a_run_is_cut_off(most: int, jobs: int) -> None:
    refused = Result(outcome=Outcome.ERROR, is_refused=True)

    def shown(wanted: Want) -> Result:
        return failing() if wanted.pins else PASS

    needed = len(drive(search_for("a b c d", jobs=jobs), shown, jobs=jobs))
    run: list[Want] = []

    def world(wanted: Want) -> Result:
        run.append(wanted)
        return shown(wanted) if len(run) <= most else refused

    search = search_for("a b c d", jobs=jobs)
    quest = Bounded(search)
    drive(quest, world, jobs=jobs)
    assert (quest.is_cut, quest.done) == (most < needed, True)
    assert len(run) <= most + jobs
    assert refused not in search.results.values()


# -- tests that fail already ----------------------------------------------------------


def working(names: str, *, jobs: int = 1) -> Work:
    bench = Bench(cast("Any", None), cast("Any", None), CampaignOptions())
    return Work(place=cast("Any", None), bench=bench, quest=search_for(names, jobs=jobs))


def shows(pins: Pins, *, breaks: Iterable[str] = (), known: Sequence[str] = ()) -> Result:
    """The known tests fail always, and one more for each that breaks."""
    tests = [*known, *(f"t::{name}" for name in sorted(set(breaks) & pins.keys()))]
    return failing(*tests) if tests else PASS


def test_a_baseline_that_passes_is_not_run_again() -> None:
    work = working("a b")
    asked = drive(Patient(work), lambda wanted: shows(dict(wanted.pins), breaks="b"))
    assert [each for each in asked if not each.pins] == [want({})]
    assert work.quest.pins == {"a": TWO}
    assert work.bench.known_failures == frozenset()


@pytest.mark.parametrize("jobs", [1, 2, 4])
@pytest.mark.parametrize("seed", range(6))
def test_tests_that_fail_as_it_stands_do_not_count(jobs: int, seed: int) -> None:
    work = working("a b c", jobs=jobs)
    asked = drive(
        Patient(work),
        lambda wanted: shows(dict(wanted.pins), breaks="b", known=["t::old", "t::other"]),
        jobs=jobs,
        rng=seeded(seed),
    )
    assert work.bench.known_failures == {"t::old", "t::other"}
    assert work.quest.search.baseline is Outcome.PASS
    assert work.quest.pins == {"a": TWO, "c": TWO}
    assert [each.attempt for each in asked if not each.pins] == [1, 2]


def test_the_baseline_is_the_run_and_not_what_it_is_taken_for() -> None:
    work = working("a")
    drive(Patient(work), lambda wanted: shows(dict(wanted.pins), known=["t::old"]))
    assert work.quest.baseline
    assert work.quest.baseline.outcome is Outcome.PASS
    assert work.quest.baseline.shown
    assert work.quest.baseline.shown.trial.outcome is Outcome.FAIL


def test_only_what_fails_each_time_is_known() -> None:
    """Runs of the baseline that show nothing else are passes, too."""
    work = working("a")

    def world(wanted: Want) -> Result:
        if wanted.pins:
            return failing("t::old")
        return failing("t::old", "t::shaky") if wanted.attempt == 1 else failing("t::old")

    drive(Patient(work), world)
    assert work.bench.known_failures == {"t::old"}
    assert work.quest.search.baseline is Outcome.PASS
    assert work.quest.pins == {"a": TWO}


def test_a_test_that_fails_anew_counts() -> None:
    """A set that fails one known test and a new one breaks."""
    work = working("a")
    drive(Patient(work), lambda wanted: shows(dict(wanted.pins), breaks="a", known=["t::old"]))
    assert work.quest.pins == {}
    assert work.quest.search.rejected["a"].verdict is Verdict.BREAKS


def test_a_set_that_repairs_a_known_test_passes() -> None:
    work = working("a")
    drive(Patient(work), table({"": failing("t::old")}))
    assert work.quest.pins == {"a": TWO}


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("result", [failing(), failing("t::old", is_stopping=True)])
def test_a_failure_that_does_not_name_all_its_tests_is_red(jobs: int, result: Result) -> None:
    """Nothing can be judged by other tests: `pytest -x` runs none of them."""
    work = working("a b", jobs=jobs)
    drive(Patient(work), table({"": result}), jobs=jobs)
    assert work.bench.known_failures == frozenset()
    assert work.quest.done
    assert work.quest.search.baseline is Outcome.FAIL


@pytest.mark.parametrize("seed", range(4))
def test_a_baseline_that_erred_is_tried_again_beside_results_that_wait(seed: int) -> None:
    work = working("a b", jobs=2)

    def world(wanted: Want) -> Result:
        return ERROR if not wanted.pins and wanted.attempt == 1 else PASS

    drive(Patient(work), world, jobs=2, rng=seeded(seed))
    assert work.quest.done
    assert work.quest.pins == {"a": TWO, "b": TWO}


def test_a_baseline_that_fails_once_passes() -> None:
    work = working("a")
    drive(
        Patient(work),
        lambda wanted: failing("t::shaky") if not wanted.pins and wanted.attempt == 1 else PASS,
    )
    assert work.bench.known_failures == frozenset()
    assert work.quest.search.baseline is Outcome.PASS
    assert work.quest.baseline is PASS
    assert work.quest.pins == {"a": TWO}


def test_no_result_is_believed_before_the_baseline_is_settled() -> None:
    work = working("a", jobs=2)
    quest = Patient(work)
    base, every = quest.pending()
    quest.record(every, failing("t::old"))
    assert work.quest.all_at_once is None
    quest.record(base, failing("t::old"))
    assert work.quest.baseline is None
    (again,) = quest.pending()
    assert again == want({}, attempt=2, alone=True)
    quest.record(again, failing("t::old"))
    assert work.quest.all_at_once
    assert work.quest.all_at_once.outcome is Outcome.PASS
    assert quest.done
    assert work.quest.pins == {"a": TWO}


def test_known_are_tests_that_fail_in_every_run_that_names_them() -> None:
    bench = working("a").bench
    bench.know_failures(failing("t::old", "t::shaky"), failing("t::other", "t::old"))
    assert bench.known_failures == {"t::old"}


@pytest.mark.parametrize(
    "other",
    [
        PASS,
        ERROR,
        failing(),
        failing("t::old", is_stopping=True),
        failing("t::old", passed=0),  # There is none that could decide.
    ],
)
def test_nothing_is_known_of_runs_that_do_not_name_all(other: Result) -> None:
    bench = working("a").bench
    bench.know_failures(failing("t::old"), other)
    assert bench.known_failures == frozenset()


@pytest.mark.parametrize(
    ("result", "accepted"),
    [
        (failing("t::old"), True),
        (failing("t::old", "t::other"), True),
        (failing("t::old", "t::new"), False),
        (failing("t::old", is_stopping=True), False),
        (failing(), False),
        (ERROR, False),
        (Result(outcome=Outcome.TIMEOUT), False),
    ],
)
def test_only_known_failures_and_all_of_them_are_a_pass(result: Result, *, accepted: bool) -> None:
    bench = working("a").bench
    bench.know_failures(*[failing("t::old", "t::other")] * 2)
    taken = bench.accepts(result)
    assert taken.outcome is (Outcome.PASS if accepted else result.outcome)
    assert (taken.shown is result.shown) or not accepted


def test_of_what_failed_before_nothing_is_told() -> None:
    bench = working("a").bench
    bench.know_failures(*[failing("t::old")] * 2)
    result = failing("t::new", "t::old")
    assert result.shown
    assert result.shown.trial.failure
    failure = replace(
        result.shown.trial.failure,
        exception="assert 0",
        tests={"t::new": "ImportError: gone", "t::old": "assert 0"},
    )
    trial = replace(result.shown.trial, failure=failure)
    taken = bench.accepts(replace(result, shown=replace(result.shown, trial=trial)))
    assert taken.shown
    assert taken.shown.trial.failure
    assert taken.shown.trial.failure.exception == "ImportError: gone"
