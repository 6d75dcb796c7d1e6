"""The order of a matrix: longest first, prepared just ahead, equal cells run once."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from nox_envs.run.schedule import Schedule, longest_first

if TYPE_CHECKING:
    from random import Random

NAMES = st.lists(st.sampled_from("abcdefghij"), unique=True)
SECONDS = st.dictionaries(st.sampled_from("abcdefghij"), st.floats(0, 1e6))


@settings(max_examples=60)
@given(NAMES, SECONDS)
def test_the_longest_come_first_and_the_unknown_before_them(
    names: list[str], seconds: dict[str, float]
) -> None:
    ordered = longest_first(names, seconds)
    assert sorted(ordered) == sorted(names)
    unknown = [name for name in names if name not in seconds]
    assert ordered[: len(unknown)] == unknown
    known = ordered[len(unknown) :]
    for before, after in itertools.pairwise(known):
        longer = seconds[before] > seconds[after]
        equal = seconds[before] == seconds[after] and names.index(before) < names.index(after)
        assert longer or equal


@given(
    st.lists(st.sampled_from((0, 1, 2, None)), max_size=10),
    st.integers(1, 4),
    st.randoms(use_true_random=True),
)
def test_however_it_goes_each_kind_of_cell_is_run_once(
    kinds: list[int | None], ahead: int, chance: Random
) -> None:
    keys = dict(zip("abcdefghij", kinds, strict=False))
    names = list(keys)
    schedule = Schedule(names, ahead=ahead)
    preparing: list[str] = []
    ready: list[str] = []
    asked: list[str] = []
    run: list[str] = []
    counts: dict[str, str] = {}
    while not schedule.is_exhausted:
        move = chance.choice(("ask", "prepare", "run"))
        if move == "run" and (name := schedule.next_to_run()) is not None:
            assert name == min(ready, key=names.index)
            ready.remove(name)
            run.append(name)
        if move == "prepare" and preparing:
            name = preparing.pop(chance.randrange(len(preparing)))
            if keys[name] is None:
                schedule.dropped(name)
            else:
                counts[name] = schedule.prepared(name, keys[name])
                ready += [name] * (counts[name] == name)
        idle = not (preparing or ready)
        if move == "ask" or idle:
            begun = schedule.next_to_prepare()
            assert begun or not idle or schedule.is_exhausted  # Nothing is stuck.
            preparing += [begun] if begun else []
            asked += [begun] if begun else []
        assert len(preparing) + len(ready) <= ahead
    assert asked == names
    assert not ready
    assert schedule.next_to_prepare() is schedule.next_to_run() is None
    assert set(run) == set(counts.values())
    assert len({keys[name] for name in run}) == len(run)
    assert all(keys[name] == keys[first] for name, first in counts.items())


def test_a_cell_that_is_equal_to_one_that_has_ended_is_not_run() -> None:
    schedule = Schedule("ab", ahead=1)
    assert schedule.next_to_prepare() == "a"
    assert schedule.next_to_prepare() is None  # One is enough ahead.
    assert schedule.prepared("a", "key") == "a"
    assert schedule.next_to_prepare() is None
    assert schedule.next_to_run() == "a"
    assert schedule.next_to_prepare() == "b"
    assert (schedule.is_prepared, schedule.is_exhausted) == (True, False)
    assert schedule.prepared("b", "key") == "a"
    assert schedule.is_exhausted
