"""What broke it, against worlds of which everything is known."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import chain, combinations
from random import Random
from statistics import mean
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nox_envs.outcome import Outcome
from nox_envs.upgrade.culprit import Answer, Ask, Culprit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    Names = frozenset[str]

PASS = Answer(outcome=Outcome.PASS)
INFEASIBLE = Answer(outcome=Outcome.INFEASIBLE)
ERROR = Answer(outcome=Outcome.ERROR)
NOTHING: Names = frozenset()


def fail(signature: str | None = "boom", *suspects: str) -> Answer:
    return Answer(outcome=Outcome.FAIL, signature=signature, suspects=suspects)


def seeded(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - no secret


def names(text: str) -> Names:
    return frozenset(text.split())


@dataclass
class World:
    """What differs, what moves together, and what each set at B's versions shows."""

    differing: tuple[str, ...]
    show: Callable[[Ask], Answer]
    closures: Mapping[str, Names | None] = field(default_factory=dict)
    links: Collection[Names] = ()

    def closure(self, name: str) -> Names:
        found = self.closures.get(name, frozenset({name}))
        return frozenset(self.differing) if found is None else found

    def answer(self, ask: Ask) -> Answer:
        closed = all(self.closure(name) <= ask.names for name in ask.names)
        return self.show(ask) if closed else INFEASIBLE

    def failure(self, upgraded: Names) -> str | None:
        answer = self.answer(Ask(names=upgraded))
        return answer.signature if answer.outcome is Outcome.FAIL else None


def breaking(*rules: tuple[str, str, Answer]) -> Callable[[Ask], Answer]:
    """Each rule: if all of the first are in a set and none of the second, it shows the third."""

    def show(ask: Ask) -> Answer:
        for broken, repairs, answer in rules:
            if names(broken) <= ask.names and not names(repairs) & ask.names:
                return answer
        return PASS

    return show


@dataclass
class Log:
    answers: dict[Ask, Answer] = field(default_factory=dict)
    rounds: int = 0

    @property
    def runs(self) -> int:
        return len(self.answers)

    @property
    def times(self) -> Counter[Names]:
        return Counter(ask.names for ask in self.answers)


def searched(
    world: World, *, jobs: int = 1, max_trials: int | None = None, rng: Random | None = None
) -> tuple[Culprit, Log]:
    """Do what a driver does; the trials of a round end in whatever order."""
    search, log = Culprit(world.differing, jobs=jobs, max_trials=max_trials), Log()
    while not search.done:
        if search.wants_closures:
            assert not search.pending()
            search.learn(world.closures, world.links)
            continue
        asks = list(search.pending())
        assert 0 < len(asks) <= jobs
        assert len(asks) == 1 or not any(ask.alone for ask in asks)
        if rng:
            rng.shuffle(asks)
        for ask in asks:
            assert ask not in log.answers
            log.answers[ask] = world.answer(ask)
            search.record(ask, log.answers[ask])
        log.rounds += 1
    assert not search.pending()
    assert log.runs <= search.bound
    return search, log


def found(search: Culprit) -> tuple[object, ...]:
    return (
        search.status, search.signature, search.culprits, search.hidden, search.cure,
        search.innocent, search.unproven, search.guilt, search.cured, search.needed,
    )  # fmt: skip


def assert_claim(search: Culprit, world: World, log: Log) -> None:
    every = frozenset(world.differing)
    own = world.failure(every)
    assert search.signature == own
    assert {ask.names for ask in search.cured} == {every - search.cure}
    assert len(search.cured) == 2
    assert search.cure
    assert world.answer(Ask(names=every - search.cure)) == PASS
    assert set(search.needed) == search.cure
    for name, ask in search.needed.items():
        assert ask.names == (every - search.cure) | world.closure(name)
        assert world.answer(ask) != PASS
    assert search.culprits
    if len(search.culprits) == 1:
        assert own in {each.signature for each in search.guilt if each.names in search.culprits}
    for guilt in search.guilt:
        assert guilt.names <= guilt.shown.names
        assert guilt.names & search.cure
        assert world.failure(guilt.shown.names) == guilt.signature
        assert guilt.signature is not None
        assert (guilt.names in search.culprits) != (guilt.names in search.hidden)
        assert guilt.absent
        for ask in guilt.absent:
            assert ask.names < guilt.shown.names
            assert not guilt.names <= ask.names
            assert world.failure(ask.names) != guilt.signature
        assert guilt.names <= frozenset(
            chain.from_iterable(guilt.shown.names - ask.names for ask in guilt.absent)
        )
        assert {guilt.shown, *guilt.absent} <= set(log.answers)
    guilty = frozenset(chain.from_iterable(guilt.names for guilt in search.guilt))
    assert search.innocent == every - search.cure - guilty


ABC = tuple("abcdef")


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Up to six names whose sets show always the same, by rules or at random."""
    differing = ABC[: draw(st.integers(1, 6))]
    one = st.sampled_from(differing)
    most = min(3, len(differing))
    some, any_ = st.sets(one, min_size=1, max_size=most), st.sets(one, max_size=most)
    closures = {name: {name} for name in differing}
    if draw(st.booleans()):
        for name in draw(any_):
            closures[name] |= draw(any_)
    for middle in differing:
        for company in closures.values():
            if middle in company:
                company.update(closures[middle])
    whole: dict[str, Names | None] = {name: frozenset(closures[name]) for name in differing}
    if draw(st.integers(0, 4)) == 4:
        dead = draw(one)
        whole |= {name: None for name in differing if dead in closures[name]}
    every = [frozenset(pair) for pair in combinations(differing, 2)]
    links = draw(st.sets(st.sampled_from(every), max_size=4)) if every else set()
    red = st.builds(fail, st.sampled_from("stu"), *[st.sampled_from(ABC)] * 2)
    answers = st.one_of(red, st.sampled_from([INFEASIBLE, Answer(outcome=Outcome.UNBUILDABLE)]))
    if draw(st.booleans()):
        rules = draw(st.lists(st.tuples(some, any_, answers), max_size=4))
        show = breaking(*((" ".join(a), " ".join(b), answer) for a, b, answer in rules))
    else:
        table = {
            frozenset(each): draw(st.one_of(st.just(PASS), answers))
            for size in range(1, len(differing))
            for each in combinations(differing, size)
        }
        table[frozenset(differing)] = draw(red)

        def show(ask: Ask) -> Answer:
            return table.get(ask.names, PASS)

    return World(differing, show, whole, links)


@settings(max_examples=250, deadline=None)
@given(worlds(), st.integers(1, 4), st.integers(0, 9))
def test_the_claim_holds_in_any_world(world: World, jobs: int, seed: int) -> None:
    search, log = searched(world)
    wider, more = searched(world, jobs=jobs, rng=seeded(seed))
    assert found(wider) == found(search)
    assert more.rounds <= log.rounds
    b = world.answer(Ask(names=frozenset(world.differing)))
    match search.status:
        case "found":
            assert_claim(search, world, log)
        case "no-failure":
            assert b == PASS
            assert log.times[frozenset(world.differing)] == 2
        case _:
            assert search.status == "inconclusive"
            assert b.outcome is not Outcome.PASS


@settings(max_examples=150, deadline=None)
@given(worlds(), st.integers(1, 4))
def test_a_world_without_gaps_has_an_answer(world: World, jobs: int) -> None:
    """Where every closed set passes or fails with a failure of its own culprit, it is found."""

    def show(ask: Ask) -> Answer:
        answer = world.show(ask)
        return fail("s", *answer.suspects) if answer != PASS else PASS

    whole = {name: world.closures[name] for name in world.differing}
    gapless = World(world.differing, show, whole, world.links)
    search, log = searched(gapless, jobs=jobs)
    broken = gapless.failure(frozenset(world.differing)) is not None
    assert search.status == ("found" if broken else "no-failure")
    if broken:
        assert_claim(search, gapless, log)
        assert not search.hidden
        assert not search.unproven


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 6), st.integers(1, 4), st.integers(0, 2**32))
def test_it_ends_whatever_the_answers_are(count: int, jobs: int, seed: int) -> None:
    """`searched` holds the bound."""
    rng = seeded(seed)
    red = rng.random()

    def show(ask: Ask) -> Answer:
        outcomes = [each for each in Outcome if each not in {Outcome.PASS, Outcome.FLAKY}]
        outcome = rng.choice(outcomes) if rng.random() < red and ask.names else Outcome.PASS
        suspects = tuple(rng.sample(ABC, rng.randrange(4)))
        return Answer(outcome=outcome, signature=rng.choice("stu"), suspects=suspects)

    closures = {
        name: frozenset({name, *rng.sample(ABC[:count], rng.randrange(min(2, count)))})
        for name in ABC[:count]
    }
    search, log = searched(World(ABC[:count], show, closures), jobs=jobs, rng=rng)
    assert max(log.times.values()) <= 5
    if search.status == "found":
        reds = {Outcome.FAIL, Outcome.TIMEOUT}
        assert all(log.answers[guilt.shown].outcome in reds for guilt in search.guilt)
        assert {log.answers[ask].outcome for ask in search.cured} == {Outcome.PASS}


@settings(max_examples=60, deadline=None)
@given(worlds(), st.integers(0, 10), st.integers(1, 3))
def test_used_up_trials_are_inconclusive(world: World, trials: int, jobs: int) -> None:
    search, log = searched(world, jobs=jobs, max_trials=trials)
    assert sum(answer != INFEASIBLE for answer in log.answers.values()) <= trials
    assert not search.exhausted or search.status == "inconclusive"


TEN = tuple(f"c{index}" for index in range(10))


@pytest.mark.parametrize("jobs", [1, 2, 4])
@pytest.mark.parametrize(
    "suspects", [("c4",), ("c1", "c4"), ("c1", "c2", "c3"), ()], ids=["right", "2nd", "wrong", "no"]
)
def test_one_culprit(suspects: tuple[str, ...], jobs: int) -> None:
    search, log = searched(World(TEN, breaking(("c4", "", fail("s", *suspects)))), jobs=jobs)
    assert search.status == "found"
    assert search.culprits == (names("c4"),)
    assert search.cure == {"c4"}
    assert search.innocent == set(TEN) - {"c4"}
    assert search.guilt[0].shown == Ask(names=names("c4"))
    assert search.guilt[0].absent == (Ask(names=NOTHING),)
    if jobs == 1 and suspects == ("c4",):
        assert log.runs == 5


def test_two_that_fail_alone_are_both_needed() -> None:
    for second in ("s", "t"):
        world = World(TEN, breaking(("c2", "", fail("s", "c2")), ("c7", "", fail(second, "c7"))))
        search, log = searched(world)
        assert_claim(search, world, log)
        assert search.cure == {"c2", "c7"}
        both = (names("c2"), names("c7"))
        assert (search.culprits, search.hidden) == (
            (both, ()) if second == "s" else (both[:1], both[1:])
        )


def test_failures_that_are_seen_together_are_parts_of_one() -> None:
    def show(ask: Ask) -> Answer:
        parts = "+".join(name for name in ("c2", "c7") if name in ask.names)
        return fail(parts) if parts else PASS

    search, _ = searched(World(TEN, show))
    assert search.status == "found"
    assert (search.culprits, search.hidden) == ((names("c2"), names("c7")), ())


@pytest.mark.parametrize("suspects", [(), ("c2",), ("c7", "c2"), ("c1",)])
def test_a_pair_that_fails_only_together(suspects: tuple[str, ...]) -> None:
    world = World(TEN, breaking(("c2 c7", "", fail("s", *suspects))))
    search, log = searched(world)
    assert_claim(search, world, log)
    assert search.culprits == (names("c2 c7"),)
    assert len(search.cure) == 1


def test_mutual_companions_are_innocent() -> None:
    """They fail apart, for a reason that does not exist in B."""
    rules = (("c1", "c2", fail("t", "c1")), ("c2", "c1", fail("u", "c2")))
    world = World(TEN, breaking(("c5", "", fail("s", "c1", "c5")), *rules))
    search, _ = searched(world)
    assert (search.culprits, search.cure) == ((names("c5"),), names("c5"))
    search, _ = searched(World(TEN, breaking(*rules, ("c5", "", fail("s", "c2", "c1")))))
    assert (search.culprits, search.cure) == ((names("c5"),), names("c5"))


def test_what_works_only_beside_a_repair_is_innocent() -> None:
    rules = (("c1", "c2", fail("t", "c1")), ("c5", "", fail("s", "c2", "c1", "c5")))
    for order in (rules, rules[::-1]):
        world = World(TEN, breaking(*order))
        search, log = searched(world)
        assert_claim(search, world, log)
        assert (search.culprits, search.cure) == ((names("c5"),), names("c5"))


def test_what_needs_the_culprit_goes_back_with_it() -> None:
    world = World(
        ("requests", "urllib3", "idna"),
        breaking(("urllib3", "", fail("no appengine", "requests", "urllib3"))),
        {"requests": names("requests urllib3")},
    )
    search, log = searched(world)
    assert_claim(search, world, log)
    assert search.culprits == (names("urllib3"),)
    assert search.cure == {"urllib3", "requests"}
    assert search.innocent == {"idna"}


def test_what_the_culprit_needs_is_fine() -> None:
    world = World(
        ("app", "lib", "x"), breaking(("app", "", fail("s", "lib"))), {"app": names("app lib")}
    )
    search, _ = searched(world)
    assert (search.culprits, search.cure) == ((names("app"),), names("app"))
    assert search.guilt[0].shown.names == {"app", "lib"}
    assert [ask.names for ask in search.guilt[0].absent] == [{"lib"}]


def test_mutual_needs_are_one_culprit() -> None:
    whole = names("a b")
    world = World(tuple("abxy"), breaking(("a", "", fail())), {"a": whole, "b": whole})
    search, _ = searched(world)
    assert (search.culprits, search.cure) == ((whole,), whole)


def test_sets_that_do_not_resolve_are_stepped_over() -> None:
    world = World(TEN, breaking(("c3", "c6", INFEASIBLE), ("c5", "", fail("s"))))
    search, log = searched(world)
    assert_claim(search, world, log)
    assert (search.culprits, search.cure) == ((names("c5"),), names("c5"))
    world = World(TEN, breaking(("c5", "", fail("s"))), {"c8": None})
    search, log = searched(world)
    assert_claim(search, world, log)
    assert (search.culprits, search.cure) == ((names("c5"),), names("c5 c8"))


def test_what_errs_proves_nothing() -> None:
    world = World(("a", "b"), breaking(("a b", "", fail("s")), ("a", "", ERROR), ("b", "", ERROR)))
    search, _ = searched(world)
    assert search.status == "inconclusive"
    assert not search.culprits


def test_what_is_in_doubt_is_said() -> None:
    both, once = names("a b"), Ask(names=names("a b c"))
    ways = {both: fail("v"), names("a b c"): fail("s")}
    others = {"a": fail("t"), "b": fail("u")}

    def each_its_own(ask: Ask) -> Answer:
        known = next((others[one] for one in sorted(ask.names) if one in others), PASS)
        return ways.get(ask.names, known)

    def doubt(show: Callable[[Ask], Answer], *, max_trials: int | None = None) -> str:
        search, _ = searched(World(("a", "b", "c"), show), max_trials=max_trials)
        assert (search.status == "inconclusive") == bool(search.doubt)
        return search.doubt

    assert doubt(each_its_own) == (
        "with a, b alone it fails, but in another way than with all that changed"
    )
    assert doubt(each_its_own, max_trials=4) == "--max-trials 4 were used up"
    assert doubt(lambda ask: PASS if ask.names else ERROR) == "what worked could not be tested"
    assert doubt(lambda ask: ERROR if ask.names else PASS) == (
        "what does not work could not be tested"
    )
    assert doubt(lambda ask: fail() if ask == once else PASS) == (
        "equal runs of what does not work disagreed"
    )
    assert doubt(
        lambda ask: fail("s") if ask.names >= both else ERROR if ask.names & both else PASS
    ) == ("it passes without a, b, but could not be tested with that alone")
    assert doubt(lambda _: PASS) == ""


@pytest.mark.parametrize(
    ("a", "b", "status", "runs"),
    [
        (PASS, PASS, "no-failure", 3),
        (fail(), fail(), "all-bad", 2),
        (fail("t"), fail(), "all-bad", 3),
        (INFEASIBLE, fail(), "inconclusive", 2),
        (ERROR, fail(), "inconclusive", 3),
        (PASS, ERROR, "inconclusive", 3),
        (PASS, INFEASIBLE, "inconclusive", 2),
    ],
)
def test_ends(a: Answer, b: Answer, status: str, runs: int) -> None:
    search, log = searched(World(("x", "y"), lambda ask: b if ask.names else a))
    assert (search.status, log.runs) == (status, runs)
    assert not search.wants_closures
    assert not search.cure


def test_no_difference_is_no_failure() -> None:
    search, _ = searched(World((), lambda _: PASS))
    assert search.status == "no-failure"


def test_a_failure_that_does_not_come_again_is_inconclusive() -> None:
    once = Ask(names=frozenset(TEN))
    search, _ = searched(World(TEN, lambda ask: fail("s", "c1") if ask == once else PASS))
    assert search.status == "inconclusive"
    assert not search.cure


def test_a_cure_that_turns_out_flaky_is_no_cure() -> None:
    def show(ask: Ask) -> Answer:
        if "c1" in ask.names:
            return fail("s", "c1")
        return fail("t") if len(ask.names) == 9 and ask.attempt > 1 else PASS

    search, _ = searched(World(TEN, show))
    assert search.status == "inconclusive"


def scattered(count: int, groups: Sequence[int], seed: int, *, blind: bool = False) -> World:
    """Groups that break alone; two tracebacks in three name the right one first."""
    rng = seeded(seed)
    differing = tuple(f"c{index}" for index in range(count))
    chosen = rng.sample(differing, sum(groups))
    guilty = [frozenset(chosen.pop() for _ in range(size)) for size in groups]
    suspects = {}
    for group in guilty:
        right = min(group)
        wrong = rng.sample([each for each in differing if each not in group], 3)
        named = rng.random()
        shown = (right, *wrong) if named < 0.67 else (*wrong[:2], right)[: 3 - (named > 0.85)]
        suspects[group] = () if blind else shown

    def show(ask: Ask) -> Answer:
        group = next((group for group in guilty if group <= ask.names), None)
        return fail(str(sorted(group)), *suspects[group]) if group else PASS

    return World(differing, show)


@pytest.mark.parametrize(
    ("count", "groups", "blind", "most"),
    [
        (10, [1], False, 6.5), (40, [1], False, 7), (40, [1], True, 12), (40, [1, 1], False, 14),
        (40, [2], False, 16), (40, [1, 1], True, 25),
    ],
)  # fmt: skip
def test_it_is_frugal(count: int, groups: list[int], blind: bool, most: float) -> None:  # noqa: FBT001
    counts = []
    for seed in range(30):
        search, log = searched(scattered(count, groups, seed, blind=blind))
        assert search.status == "found"
        assert len(search.guilt) == len(groups)
        counts.append(log.runs)
    assert mean(counts) <= most


def test_jobs_save_rounds() -> None:
    rounds = [
        mean(searched(scattered(10, [1, 1], seed), jobs=jobs)[1].rounds for seed in range(15))
        for jobs in (1, 2, 4)
    ]
    assert rounds[0] > rounds[1] > rounds[2]
    assert rounds[2] < 0.7 * rounds[0]


def test_only_what_was_asked_is_recorded() -> None:
    search = Culprit(("a",))
    with pytest.raises(ValueError, match="not waiting"):
        search.record(Ask(names=NOTHING), PASS)
    (ask,) = search.pending()
    assert search.pending() == ()
    search.record(ask, PASS)
    with pytest.raises(ValueError, match="not waiting"):
        search.record(ask, PASS)
