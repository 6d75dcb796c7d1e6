"""Searches for upgrades that pass together, against worlds of which everything is known."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations
from random import Random
from statistics import mean
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nox_envs.outcome import Outcome, Verdict
from nox_envs.upgrade.search import Answer, Ask, Search

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    Names = frozenset[str]

PASS = Answer(outcome=Outcome.PASS)
INFEASIBLE = Answer(outcome=Outcome.INFEASIBLE)
ERROR = Answer(outcome=Outcome.ERROR)
TIMEOUT = Answer(outcome=Outcome.TIMEOUT, signature="timeout")


def fail(signature: str | None = "boom", *suspects: str) -> Answer:
    return Answer(outcome=Outcome.FAIL, signature=signature, suspects=suspects)


def seeded(seed: int | str) -> Random:
    return Random(seed)  # noqa: S311 - no secret


def names(text: str) -> Names:
    return frozenset(text.split())


@dataclass
class World:
    """Candidates, what moves together, and what each set shows."""

    candidates: tuple[str, ...]
    show: Callable[[Ask], Answer]
    closures: Mapping[str, Names | None] = field(default_factory=dict)
    links: Collection[Names] = ()

    def closure(self, name: str) -> Names | None:
        return self.closures.get(name, frozenset({name}))

    def closed(self, upgraded: Names) -> bool:
        return all((self.closure(name) or {""}) <= upgraded for name in upgraded)

    def answer(self, ask: Ask) -> Answer:
        return self.show(ask) if self.closed(ask.names) else INFEASIBLE


def breaking(*rules: tuple[str, str, Answer]) -> Callable[[Ask], Answer]:
    """Each rule: if all of the first are in a set and none of the second, it shows the third."""

    def show(ask: Ask) -> Answer:
        for broken, repairs, answer in rules:
            if names(broken) <= ask.names and not names(repairs) & ask.names:
                return answer if ask.run or answer == INFEASIBLE else PASS
        return PASS

    return show


def drive(search: Search, world: World, *, jobs: int = 1, rng: Random | None = None) -> Log:
    """Do what a driver does; trials end in whatever order."""
    log, out = Log(), list[Ask]()
    while not search.done:
        if search.wants_closures:
            assert not search.pending()
            search.learn({name: world.closure(name) for name in world.candidates}, world.links)
            log.learnt = True
            continue
        handed = search.pending()
        assert all(ask.attempt == 1 or Ask(names=ask.names) in log.answers for ask in handed)
        out += handed
        assert 0 < len(out) <= jobs
        assert len(out) == 1 or not any(ask.alone for ask in out)
        ask = out.pop(rng.randrange(len(out)) if rng else 0)
        assert ask not in log.answers
        assert world.closed(ask.names) or not log.learnt
        log.answers[ask] = world.answer(ask)
        search.record(ask, log.answers[ask])
    assert not search.pending()
    assert len(log.runs) <= search.bound
    return log


@dataclass
class Log:
    """All asks with their answers, in the order in which they ended."""

    answers: dict[Ask, Answer] = field(default_factory=dict)
    learnt: bool = False

    @property
    def runs(self) -> list[Names]:
        return [ask.names for ask in self.answers if ask.run]

    @property
    def times(self) -> Counter[Names]:
        return Counter(self.runs)


def searched(world: World, *, jobs: int = 1, proofs: int | None = None) -> tuple[Search, Log]:
    search = Search(world.candidates, jobs=jobs, proofs=proofs)
    return search, drive(search, world, jobs=jobs)


def state(search: Search) -> tuple[object, ...]:
    return (
        search.done, search.safe, search.passes, search.baseline, search.exhausted,
        search.rejected, search.partners, search.wants_closures,
    )  # fmt: skip


def assert_claim(search: Search, world: World) -> None:
    """The set has passed itself, and nothing can be added, alone or in a linked pair."""

    def passes(upgraded: Names) -> bool:
        return world.answer(Ask(names=upgraded)) == PASS

    safe = search.safe
    assert search.baseline is Outcome.PASS
    assert passes(safe)
    assert {ask.names for ask in search.passes} == {safe}
    assert set(search.rejected) == set(world.candidates) - safe
    whole = {name: world.closure(name) for name in search.rejected}
    for name, closure in whole.items():
        if closure is None:
            assert search.rejected[name].verdict is Verdict.INFEASIBLE
        else:
            assert not passes(safe | closure), name
    for one, two in combinations(whole, 2):
        first, second = whole[one], whole[two]
        if frozenset({one, two}) in world.links and first and second:
            assert not passes(safe | first | second), (one, two)


def assert_verdicts(search: Search, world: World) -> None:
    """Each verdict follows from a run that the search has seen."""
    for name, rejection in search.rejected.items():
        closure = world.closure(name)
        if closure is None:
            continue
        shown = world.answer(Ask(names=search.safe | closure)).outcome
        if rejection.verdict is Verdict.BLOCKED:
            assert set(rejection.blocked_by) <= (closure - {name}) & set(search.rejected)
            assert rejection.blocked_by
        else:
            assert rejection.verdict is VERDICTS[shown]
        assert rejection.ask is not None
        assert rejection.ask.names == search.safe | closure


VERDICTS = {
    Outcome.FAIL: Verdict.BREAKS,
    Outcome.TIMEOUT: Verdict.BREAKS,
    Outcome.INFEASIBLE: Verdict.INFEASIBLE,
    Outcome.UNBUILDABLE: Verdict.UNBUILDABLE,
    Outcome.ERROR: Verdict.INCONCLUSIVE,
}

ABC = tuple("abcdef")


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Up to six candidates whose sets show always the same, by rules or at random."""
    candidates = ABC[: draw(st.integers(0, 6))]
    one = st.sampled_from(candidates or ("none",))
    most = min(3, len(candidates) or 1)
    some, any_ = st.sets(one, min_size=1, max_size=most), st.sets(one, max_size=most)
    closures = {name: {name} for name in candidates}
    tangled, hopeless = draw(st.booleans()), draw(st.integers(0, 4)) == 4
    if candidates and tangled:
        for name in draw(any_):
            closures[name] |= draw(any_)
    for middle in candidates:
        for company in closures.values():
            if middle in company:
                company.update(closures[middle])
    whole: dict[str, Names | None] = {name: frozenset(closures[name]) for name in candidates}
    if candidates and hopeless:
        dead = draw(st.sampled_from(candidates))
        whole |= {name: None for name in candidates if dead in closures[name]}
    every = [frozenset(pair) for pair in combinations(candidates, 2)]
    links = draw(st.sets(st.sampled_from(every), max_size=4)) if every else set()
    answers = st.one_of(
        st.builds(fail, st.sampled_from(["s", "t", "u", None]), *[st.sampled_from(ABC)] * 2),
        st.sampled_from([
            TIMEOUT, INFEASIBLE, ERROR,
            Answer(outcome=Outcome.UNBUILDABLE, suspects=("b",)),
        ]),
    )  # fmt: skip
    if draw(st.booleans()):
        rules = draw(st.lists(st.tuples(some, any_, answers), max_size=4))
        show = breaking(*((" ".join(a), " ".join(b), answer) for a, b, answer in rules))
    else:
        table = {
            frozenset(each): draw(st.one_of(st.just(PASS), answers))
            for size in range(1, len(candidates) + 1)
            for each in combinations(candidates, size)
        }

        def show(ask: Ask) -> Answer:
            shown = table.get(ask.names, PASS)
            resolver = {Outcome.INFEASIBLE, Outcome.UNBUILDABLE, Outcome.ERROR}
            return shown if ask.run or shown.outcome in resolver else PASS

    return World(candidates, show, whole, links)


@settings(max_examples=250, deadline=None)
@given(worlds(), st.integers(1, 4), st.integers(0, 9))
def test_the_claim_holds_in_any_world(world: World, jobs: int, seed: int) -> None:
    search = Search(world.candidates, jobs=jobs)
    log = drive(search, world, jobs=jobs, rng=seeded(seed))
    assert_claim(search, world)
    assert_verdicts(search, world)
    assert max(log.times.values()) <= 2
    assert all(ask.attempt == 1 for ask in log.answers if log.times[ask.names] == 1)
    everything = frozenset(world.candidates)
    if not search.safe:
        assert len(search.passes) == 1
    elif log.answers[Ask(names=everything)] == PASS:
        assert len(log.runs) == 2
    else:
        assert len(search.passes) == 2


@settings(max_examples=60, deadline=None)
@given(worlds(), st.integers(1, 4), st.integers(0, 9), st.sampled_from([None, 3]))
def test_a_search_that_is_told_the_same_is_in_the_same_state(
    world: World, jobs: int, seed: int, proofs: int | None
) -> None:
    search = Search(world.candidates, jobs=jobs, proofs=proofs)
    log = drive(search, world, jobs=jobs, rng=seeded(seed))
    again = Search(world.candidates, jobs=jobs, proofs=proofs)
    told = World(world.candidates, log.answers.__getitem__, world.closures, world.links)
    replayed = Log()
    while not again.done:
        if again.wants_closures:
            again.learn({name: told.closure(name) for name in told.candidates}, told.links)
        for ask in reversed(again.pending()):
            replayed.answers[ask] = log.answers[ask]
            again.record(ask, log.answers[ask])
    assert replayed.answers == log.answers
    assert state(again) == state(search)


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 6), st.integers(1, 4), st.integers(0, 2**32), st.sampled_from([None, 1, 3, 7])
)
def test_it_ends_whatever_the_answers_are(
    count: int, jobs: int, seed: int, proofs: int | None
) -> None:
    rng = seeded(seed)
    red = rng.random()

    def show(ask: Ask) -> Answer:
        if not ask.names:
            return PASS
        outcomes = [each for each in Outcome if each not in {Outcome.PASS, Outcome.FLAKY}]
        outcome = rng.choice(outcomes) if rng.random() < red else Outcome.PASS
        suspects = tuple(rng.sample(ABC, rng.randrange(4)))
        return Answer(outcome=outcome, signature=rng.choice("stuvw"), suspects=suspects)

    closures = {
        name: frozenset({name, *rng.sample(ABC[:count], rng.randrange(min(2, count)))})
        for name in ABC[:count]
    }
    links = [frozenset(pair) for pair in combinations(ABC[:count], 2) if rng.random() < 0.3]
    search = Search(ABC[:count], jobs=jobs, proofs=proofs)
    log = drive(search, World(ABC[:count], show, closures, links), jobs=jobs, rng=rng)
    runs = [ask for ask in log.answers if ask.run and ask.names == search.safe]
    shown = [log.answers[ask].outcome for ask in runs]
    assert max(log.times.values()) <= max(5, proofs or 0)
    red_runs = sum(outcome in {Outcome.FAIL, Outcome.TIMEOUT} for outcome in shown)
    if jobs == 1:  # Of others, what has run ahead and was not needed decides nothing.
        assert shown.count(Outcome.PASS) > red_runs


@settings(max_examples=80, deadline=None)
@given(worlds(), st.sampled_from([0, 0.3]), st.integers(0, 9), st.sampled_from([None, 3]))
def test_jobs_never_change_what_is_found(
    world: World, flaky: float, seed: int, proofs: int | None
) -> None:
    """What each attempt shows is the same, whoever runs it and when."""

    def show(ask: Ask) -> Answer:
        rng = seeded(f"{sorted(ask.names)} {ask.attempt} {seed}")
        if ask.run and ask.names and rng.random() < flaky:
            return rng.choice([PASS, TIMEOUT, ERROR, fail("flake", *rng.sample(ABC, 2))])
        return world.show(ask)

    unsteady = World(world.candidates, show, world.closures, world.links)
    assert_jobs_find_the_same(unsteady, proofs)


@pytest.mark.parametrize("kind", ["pairs", "tables"])
def test_jobs_never_change_what_is_found_where_much_conflicts(kind: str) -> None:
    for seed in range(25):
        rng = seeded(seed)
        rules = list[tuple[str, str, Answer]]()
        for one, two in rng.sample(list(combinations(ABC, 2)), rng.randint(2, 6)):
            answer = fail(rng.choice("stu"), *rng.sample(ABC, 2))
            needed = [(one, two, answer), (two, one, answer)]
            rules += rng.choice([needed, [(f"{one} {two}", "", answer)]])
        green = rng.random()

        def table(ask: Ask, seed: int = seed, green: float = green) -> Answer:
            rng = seeded(f"{sorted(ask.names)} {seed}")
            works = not ask.run or not ask.names or rng.random() < green
            return PASS if works else fail(rng.choice("stu"), *rng.sample(ABC, 2))

        links = [frozenset(pair) for pair in rng.sample(list(combinations(ABC, 2)), 3)]
        show = table if kind == "tables" else breaking(*rules)
        assert_jobs_find_the_same(World(ABC, show, links=links))


def assert_jobs_find_the_same(world: World, proofs: int | None = None) -> None:
    found = []
    for jobs in (1, 2, 3, 4):
        search, _ = searched(world, jobs=jobs, proofs=proofs)
        attempts = {ask.attempt for ask in search.passes}
        why = {
            name: (each.verdict, each.blocked_by, each.ask and each.ask.names)
            for name, each in search.rejected.items()
        }
        found.append((search.safe, search.baseline, why, search.partners, attempts))
    assert found == [found[0]] * 4


@settings(max_examples=60, deadline=None)
@given(worlds(), st.integers(1, 4), st.integers(0, 9), st.integers(0, 12))
def test_before_its_end_it_offers_the_largest_that_has_passed(
    world: World, jobs: int, seed: int, count: int
) -> None:
    """Also what was run ahead."""
    search, told = Search(world.candidates, jobs=jobs), dict[Ask, Answer]()
    rng, out = seeded(seed), list[Ask]()
    while not search.done and len(told) < count:
        if search.wants_closures:
            search.learn({name: world.closure(name) for name in world.candidates}, world.links)
            continue
        out += search.pending()
        ask = out.pop(rng.randrange(len(out)))
        told[ask] = world.answer(ask)
        search.record(ask, told[ask])
    passed = {ask.names for ask in told if ask.run and told[ask] == PASS}
    if not search.done and frozenset() in passed:
        assert search.baseline is Outcome.PASS
        assert search.safe in passed
        assert len(search.safe) == max(map(len, passed))
        assert set(search.passes) == {ask for ask in told if ask.run and ask.names == search.safe}


@settings(max_examples=60, deadline=None)
@given(worlds(), st.integers(0, 12), st.integers(1, 3))
def test_used_up_trials_leave_what_has_passed(world: World, trials: int, jobs: int) -> None:
    search = Search(world.candidates, jobs=jobs, max_trials=trials)
    log = drive(search, world, jobs=jobs)
    ran = [ask for ask in log.answers if ask.run and log.answers[ask] != INFEASIBLE]
    assert len(ran) == trials if search.exhausted else len(ran) <= trials
    whole = Search(world.candidates, jobs=jobs)
    drive(whole, world, jobs=jobs)
    assert search.exhausted == (state(search) != state(whole))
    assert {ask.names for ask in search.passes} == ({search.safe} if trials else set())
    assert search.safe | set(search.rejected) == set(world.candidates)


@pytest.mark.parametrize("jobs", [1, 2, 4])
@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_all_that_pass_together_need_two_runs(count: int, jobs: int) -> None:
    world = World(tuple(f"c{index}" for index in range(count)), breaking())
    search, log = searched(world, jobs=jobs)
    assert log.runs == ([frozenset(), frozenset(world.candidates)] if count else [frozenset()])
    assert search.safe == frozenset(world.candidates)
    assert not search.rejected
    assert len(search.passes) == 1
    assert not log.learnt


def test_several_proofs_are_passes_of_the_final_set() -> None:
    search, log = searched(World(("a", "b"), breaking()), proofs=3, jobs=2)
    assert len(search.passes) == 3
    assert len(log.runs) == 4
    search, _ = searched(World(("a", "b"), breaking(("a", "", fail()))), proofs=4)
    assert search.safe == {"b"}
    assert len(search.passes) == 4


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.TIMEOUT, Outcome.ERROR])
def test_a_baseline_that_is_no_pass_is_run_again_and_ends_it(outcome: Outcome) -> None:
    world = World(("a",), lambda ask: PASS if ask.names else Answer(outcome=outcome))
    search, log = searched(world, jobs=2)
    assert search.baseline is outcome
    assert log.times[frozenset()] == 2
    assert not search.safe
    assert search.rejected["a"].verdict is Verdict.INCONCLUSIVE


def test_a_baseline_that_fails_once_goes_on() -> None:
    world = World(("a",), lambda ask: fail() if ask == Ask(names=frozenset()) else PASS)
    search, log = searched(world)
    assert search.baseline is Outcome.PASS
    assert search.safe == {"a"}
    assert log.times[frozenset()] == 4


def test_a_baseline_that_mostly_fails_is_flaky() -> None:
    def show(ask: Ask) -> Answer:
        return PASS if ask.names or ask.attempt == 2 else fail(str(ask.attempt))

    search, log = searched(World(("a",), show))
    assert search.baseline is Outcome.FLAKY
    assert log.runs == [frozenset()] * 4


def test_a_baseline_without_a_resolution_is_not_asked_again() -> None:
    search, log = searched(World(("a",), lambda _: INFEASIBLE))
    assert (search.baseline, len(log.runs)) == (Outcome.INFEASIBLE, 1)


# What real upgrades show: signature by set; a set that is not here passes.
JINJA = World(
    ("jinja2", "markupsafe"),
    breaking(("markupsafe", "jinja2", fail("cannot import soft_unicode", "markupsafe"))),
    {"jinja2": names("jinja2 markupsafe")},
)
PANDAS = World(
    ("numpy", "pandas", "sqlalchemy"),
    breaking(
        ("pandas", "sqlalchemy", fail("no cursor", "pandas")),
        ("sqlalchemy numpy", "pandas", fail("dtype size changed", "numpy")),
        ("sqlalchemy", "pandas", fail("no execute", "pandas")),
        ("numpy", "pandas", fail("dtype size changed", "numpy")),
    ),
)
TOOLBELT = World(
    ("requests", "requests-toolbelt", "urllib3"),
    breaking(("urllib3", "requests-toolbelt", fail("cannot import appengine", "urllib3"))),
    {"urllib3": names("requests urllib3")},
)


@pytest.mark.parametrize("world", [JINJA, PANDAS, TOOLBELT], ids=["jinja2", "pandas", "requests"])
def test_real_joint_upgrades(world: World) -> None:
    search, log = searched(world)
    assert search.safe == set(world.candidates)
    assert len(log.runs) == 2


@pytest.mark.parametrize("world", [JINJA, PANDAS, TOOLBELT], ids=["jinja2", "pandas", "requests"])
@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_real_joint_upgrades_survive_company_that_breaks(world: World, jobs: int) -> None:
    """Growing from nothing would lose them: they pass only together."""

    def show(ask: Ask) -> Answer:
        return fail("gone", "x", "y") if "x" in ask.names else world.show(ask)

    more = World((*world.candidates, "x", "y"), show, world.closures)
    search, log = searched(more, jobs=jobs)
    assert search.safe == {*world.candidates, "y"}
    assert search.rejected["x"].verdict is Verdict.BREAKS
    assert search.rejected["x"].ask == Ask(names=frozenset(more.candidates))
    assert len(log.runs) <= 3 + jobs + 2


def test_a_linked_pair_is_added_together_and_knows_it() -> None:
    world = World(
        ("a", "b", "x"),
        breaking(
            ("x", "", fail("x", "a", "b")),
            ("a", "b", fail("a")),
            ("b", "a", fail("b")),
        ),
        links=[names("a b")],
    )

    def misled(ask: Ask) -> Answer:
        """The failure seems to change when the innocent are dropped."""
        if ask.names == names("b x"):
            return fail("y", "b")
        return world.show(ask)

    search, _ = searched(World(world.candidates, misled, links=world.links))
    assert search.safe == {"a", "b"}
    assert search.partners == {"a": {"b"}, "b": {"a"}}
    search, _ = searched(World(world.candidates, misled))
    assert search.safe == set()


def test_a_partner_is_who_is_in_every_pass() -> None:
    """c works with d and with e; each of these needs it, where both were seen."""
    works = {names("c d"), names("c e"), names("c d e")}

    def show(ask: Ask) -> Answer:
        left = sorted(ask.names)
        return PASS if not left or ask.names in works else fail("".join(left), left[0])

    world = World(tuple("cdex"), show, links=[names("c d"), names("c e")])
    search, _ = searched(world)
    assert search.safe == set("cde")
    assert search.partners == {"c": {"d"}, "d": {"c"}}
    search, log = searched(world, jobs=2)
    assert search.partners == {"c": {"d"}, "d": {"c"}}
    stopped = Search(world.candidates, jobs=2, max_trials=len(log.runs) - 1)
    drive(stopped, world, jobs=2)
    assert names("c e") in log.runs
    assert stopped.safe == set("cde")
    assert stopped.partners == {"d": {"c"}, "e": {"c"}}


def test_who_does_not_change_the_failure_is_not_dropped() -> None:
    """Once apart, the two would not find together again."""
    world = World(
        ("a", "b", "x"),
        breaking(("x", "", fail("x", "a", "b", "x")), ("a", "b", fail("a")), ("b", "a", fail("b"))),
    )
    search, _ = searched(world)
    assert search.safe == {"a", "b"}


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_bisection_keeps_together_what_is_linked(jobs: int) -> None:
    world = World(tuple("abcdxyz"), breaking(("y", "", fail())), links=[names("b c"), names("c d")])
    search, log = searched(world, jobs=jobs)
    assert search.safe == set("abcdxz")
    assert all(run & set("bcd") in (set(), set("bcd")) for run in log.runs)


def test_a_bisection_takes_suspects_last() -> None:
    suspects = ("c0", "c1", "c2", "c3")
    candidates = tuple(f"c{index}" for index in range(16))
    _, log = searched(World(candidates, breaking(("c3", "", fail("gone", *suspects)))))
    guesses, bisection = log.runs[2:5], log.runs[5]
    assert guesses == [frozenset(candidates) - {name} for name in suspects[:3]]
    assert not bisection & set(suspects)


def test_where_most_are_guilty_it_goes_one_by_one() -> None:
    candidates = tuple(f"c{index}" for index in range(12))
    world = World(candidates, breaking(*((name, "", fail("same")) for name in candidates)))
    search, log = searched(world)
    assert not search.safe
    assert len(log.runs) <= 33


def test_closures_are_closed() -> None:
    search = Search(tuple("abcx"))
    answers = {names("a b c x"): fail("gone", "x"), names("a b c"): fail("other", "a")}
    runs = list[set[str]]()
    while not search.done:
        if search.wants_closures:
            search.learn({"c": names("b"), "b": names("b a elsewhere")})
        for ask in search.pending():
            runs.append(set(ask.names))
            search.record(ask, answers.get(ask.names, fail("gone") if ask.names else PASS))
    assert all("a" in run or not run & {"b", "c"} for run in runs)
    assert all("b" in run or "c" not in run for run in runs)


def test_what_needs_a_rejected_one_is_blocked_and_what_it_needs_moves_alone() -> None:
    world = World(
        ("app", "base", "low"),
        breaking(("base", "", fail("gone", "base"))),
        {"app": names("app base low"), "base": names("base low")},
    )
    search, _ = searched(world)
    assert search.safe == {"low"}
    assert search.rejected["base"].verdict is Verdict.BREAKS
    assert search.rejected["app"].verdict is Verdict.BLOCKED
    assert search.rejected["app"].blocked_by == ("base",)


def test_what_is_blocked_is_tried_with_its_company() -> None:
    world = World(
        ("base", "app", "x"),
        breaking(("x", "", fail("x", "base")), ("base", "app", fail("gone", "base"))),
        {"app": names("app base")},
    )
    search, _ = searched(world)
    assert search.safe == {"base", "app"}
    assert search.partners["app"] == {"base"}


def test_what_cannot_be_resolved_is_left_out_without_a_run() -> None:
    world = World(
        ("a", "b", "c", "d", "e"),
        breaking(("a b", "", INFEASIBLE)),
        {"c": None, "d": names("c d")},
    )
    search, log = searched(world)
    assert search.safe == {"a", "e"}
    assert {name: each.verdict for name, each in search.rejected.items()} == {
        "b": Verdict.INFEASIBLE, "c": Verdict.INFEASIBLE, "d": Verdict.BLOCKED,
    }  # fmt: skip
    assert search.rejected["d"].blocked_by == ("c",)
    really = [ask.names for ask in log.answers if ask.run and log.answers[ask] == PASS]
    assert really == [frozenset(), names("a e"), names("a e")]


def test_the_resolver_is_asked_once_where_the_rest_resolves() -> None:
    search, log = searched(World(tuple("abcd"), breaking(), {"c": None}))
    assert search.safe == set("abd")
    assert [ask.names for ask in log.answers if not ask.run] == [names("a b d")]


def test_errors_are_no_evidence() -> None:
    world = World(("a", "b"), lambda ask: ERROR if "a" in ask.names else PASS)
    search, log = searched(world)
    assert search.safe == {"b"}
    assert search.rejected["a"].verdict is Verdict.INCONCLUSIVE
    assert log.times[names("a b")] == 2


def test_what_cannot_be_built_does_not_break() -> None:
    unbuildable = Answer(outcome=Outcome.UNBUILDABLE, suspects=("a",))
    world = World(tuple("abcdefgh"), breaking(("a", "", unbuildable)))
    search, log = searched(world)
    assert search.safe == set("bcdefgh")
    assert search.rejected["a"].verdict is Verdict.UNBUILDABLE
    assert len(log.runs) == 4


def test_a_deciding_failure_is_run_again_alone_unless_it_was_seen_elsewhere() -> None:
    search, log = searched(World(("a", "b"), breaking(("a", "", fail("gone", "a")))), jobs=2)
    assert Ask(names=names("a b"), attempt=2, alone=True) in log.answers
    search, log = searched(World(("a", "b"), breaking(("a", "", fail("gone", "b", "a")))))
    assert search.safe == {"b"}
    assert log.times[names("a b")] == 1
    search, log = searched(World(("a", "b"), breaking(("a", "", TIMEOUT))))
    assert search.rejected["a"].verdict is Verdict.BREAKS
    assert log.times[names("a b")] == 2
    search, log = searched(World(("a", "b"), breaking(("a", "", fail(None)))))
    assert log.times[names("a b")] == 2


@pytest.mark.parametrize(
    ("runs", "verdict"),
    [("FPPP", None), ("FPFPP", None), ("FPFF", Verdict.FLAKY), ("FF", Verdict.BREAKS)],
)
def test_runs_that_disagree_are_settled_by_majority(runs: str, verdict: Verdict | None) -> None:
    def show(ask: Ask) -> Answer:
        red = ask.names == {"a"} and runs[ask.attempt - 1] == "F"
        return fail() if red else PASS

    search, log = searched(World(("a",), show))
    assert log.times[names("a")] == len(runs)
    found = search.rejected.get("a")
    assert (found.verdict if found else None) is verdict


def test_a_final_set_that_turns_out_flaky_is_given_up() -> None:
    """It passes once, with one worker, and is red when it has to prove itself."""

    def show(ask: Ask) -> Answer:
        if "a" in ask.names:
            return fail("gone", "a")
        return fail(f"flake {ask.attempt}") if ask.names == {"b", "c"} and ask.attempt > 1 else PASS

    search, log = searched(World(("a", "b", "c"), show))
    assert search.safe in ({"b"}, {"c"})
    assert len(search.passes) == 2
    assert Verdict.FLAKY in {each.verdict for each in search.rejected.values()}
    assert log.times[names("b c")] == 4


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_flaky_suite_loses_nothing(jobs: int) -> None:
    kept = 0
    for seed in range(100):
        rng = seeded(seed)

        def show(ask: Ask, rng: Random = rng) -> Answer:
            if {"c0", "c1"} & ask.names:
                culprit = min({"c0", "c1"} & ask.names)
                return fail(culprit, culprit)
            return fail(f"flake {rng.randrange(3)}", "c2") if rng.random() < 0.05 else PASS

        world = World(tuple(f"c{index}" for index in range(10)), show)
        search, _ = searched(world, jobs=jobs)
        assert not search.safe & {"c0", "c1"}
        kept += search.safe == set(world.candidates) - {"c0", "c1"}
    assert kept >= 97


def scattered(count: int, culprits: int, seed: int, *, blind: bool = False) -> World:
    """Candidates that break each alone; two tracebacks in three name the right one first."""
    rng = seeded(seed)
    candidates = tuple(f"c{index}" for index in range(count))
    guilty = rng.sample(candidates, culprits)
    suspects = {}
    for name in guilty:
        wrong = rng.sample([each for each in candidates if each != name], 3)
        named = rng.random()
        suspects[name] = (
            (name, *wrong) if named < 0.67 else (*wrong[:2], name)[: 3 - (named > 0.85)]
        )

    def show(ask: Ask) -> Answer:
        shown = next((name for name in guilty if name in ask.names), None)
        return fail(shown, *(() if blind else suspects[shown])) if shown else PASS

    return World(candidates, show)


@pytest.mark.parametrize(
    ("count", "culprits", "blind", "most"),
    [(10, 1, False, 6.5), (20, 2, False, 13), (10, 3, False, 16), (40, 2, True, 24)],
)
def test_it_is_frugal(count: int, culprits: int, blind: bool, most: float) -> None:  # noqa: FBT001
    counts = []
    for seed in range(60):
        search, log = searched(scattered(count, culprits, seed, blind=blind))
        assert len(search.rejected) == culprits
        counts.append(len(log.runs))
    assert mean(counts) <= most


def rounds(world: World, jobs: int) -> list[tuple[Ask, ...]]:
    search, found = Search(world.candidates, jobs=jobs), list[tuple[Ask, ...]]()
    while not search.done:
        if search.wants_closures:
            search.learn({})
        found.append(search.pending())
        for ask in found[-1]:
            search.record(ask, world.answer(ask))
    return found


def test_jobs_save_rounds() -> None:
    worlds = [scattered(20, 3, seed) for seed in range(30)]
    alone = mean(len(rounds(world, 1)) for world in worlds)
    assert mean(len(rounds(world, 4)) for world in worlds) < 0.7 * alone


def test_an_idle_worker_proves_the_set() -> None:
    world = World(tuple("abxy"), breaking(("x", "", fail("x", "x")), ("y", "", fail("y", "y"))))
    proof = Ask(names=names("a b"), attempt=2)
    assert (Ask(names=names("a b x")), proof) in rounds(world, 2)
    assert (proof,) in rounds(world, 1)


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_what_passes_side_by_side_need_not_pass_together(jobs: int) -> None:
    works = {frozenset[str](), names("a"), names("b")}

    def show(ask: Ask) -> Answer:
        return PASS if ask.names in works else fail("".join(sorted(ask.names)), min(ask.names))

    search, _ = searched(World(tuple("abc"), show), jobs=jobs)
    assert search.safe in works - {frozenset()}
    assert len(search.passes) == 2


@pytest.mark.parametrize("culprits", [1, 2, 3, 4])
def test_good_suspects_need_no_bisection(culprits: int) -> None:
    candidates = tuple(f"c{index}" for index in range(20))
    guilty = candidates[:culprits]
    world = World(candidates, breaking(*((name, "", fail(name, name)) for name in guilty)))
    _, log = searched(world)
    assert len(log.runs) <= 3 * culprits + 2


def test_only_what_was_asked_is_recorded() -> None:
    search = Search(("a",))
    with pytest.raises(ValueError, match="not waiting"):
        search.record(Ask(names=frozenset()), PASS)
    (ask,) = search.pending()
    assert search.pending() == ()
    search.record(ask, PASS)
    with pytest.raises(ValueError, match="not waiting"):
        search.record(ask, PASS)
