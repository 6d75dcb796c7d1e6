"""The lowest release that passes."""

from __future__ import annotations

from math import ceil, log2
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from nox_envs.outcome import Outcome
from nox_envs.upgrade.lowest import Lowest

if TYPE_CHECKING:
    from collections.abc import Sequence


def versions(text: str) -> list[Version]:
    return [Version(each) for each in text.split()]


def drive(
    search: Lowest, releases: Sequence[Version], shown: Sequence[Outcome], *, jobs: int = 1
) -> list[Version]:
    """Answer what is asked for, the last first; returns all that was."""
    asked = list[Version]()
    while not search.done:
        asks = search.pending()
        assert 0 < len(asks) <= jobs
        assert search.pending() == ()
        for version in reversed(asks):
            asked.append(version)
            search.record(version, shown[releases.index(version)])
    assert len(set(asked)) == len(asked)
    return asked


@settings(deadline=None)
@given(
    st.sets(st.tuples(*[st.integers(0, 3)] * 3), min_size=2, max_size=40).map(sorted),
    st.data(),
    st.integers(1, 6),
)
def test_it_ends_between_a_failure_and_a_pass(
    parts: list[tuple[int, ...]], data: st.DataObject, jobs: int
) -> None:
    releases = [Version(".".join(map(str, each))) for each in parts]
    outcomes = st.sampled_from(list(Outcome))
    middle = st.lists(outcomes, min_size=len(parts) - 2, max_size=len(parts) - 2)
    shown = [Outcome.FAIL, *data.draw(middle), Outcome.PASS]
    search = Lowest(releases, jobs=jobs)
    asked = drive(search, releases, shown, jobs=jobs)
    assert search.last_bad is not None
    low, high = releases.index(search.last_bad), releases.index(search.best)
    assert low < high
    assert shown[high] is Outcome.PASS
    assert shown[low] in {Outcome.FAIL, Outcome.TIMEOUT}
    assert set(releases[low + 1 : high]) <= set(asked)
    assert not {Outcome.PASS, Outcome.FAIL, Outcome.TIMEOUT} & set(shown[low + 1 : high])
    assert not any(
        shown[releases.index(each)] is Outcome.PASS for each in asked if each < search.best
    )


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_every_floor_is_found(jobs: int) -> None:
    releases = [Version(f"{a}.{b}.{c}") for a in range(3) for b in range(4) for c in range(5)]
    for floor in range(1, len(releases)):
        shown = [Outcome.FAIL] * floor + [Outcome.PASS] * (len(releases) - floor)
        search = Lowest(releases, jobs=jobs)
        asked = drive(search, releases, shown, jobs=jobs)
        assert (search.last_bad, search.best) == (releases[floor - 1], releases[floor])
        if jobs == 1:
            assert len(asked) <= ceil(log2(len(releases))) + 3


def test_the_first_of_a_series_is_looked_at_first() -> None:
    search = Lowest(versions("1.0 1.0.1 1.0.2 1.0.3 2.0 2.0.1 2.0.2"))
    (first,) = search.pending()
    assert str(first) in {"1.0.3", "2.0"}


def test_neighbours_and_a_single_release_ask_for_nothing() -> None:
    search = Lowest(versions("1.0 2.0"))
    assert search.done
    assert (str(search.last_bad), str(search.best)) == ("1.0", "2.0")
    search = Lowest(versions("1.0"))
    assert search.done
    assert (search.last_bad, str(search.best)) == (None, "1.0")


def test_only_what_was_asked_is_recorded() -> None:
    search = Lowest(versions("1.0 1.1 2.0"))
    with pytest.raises(ValueError, match="not waiting"):
        search.record(Version("1.1"), Outcome.PASS)
    assert search.pending() == (Version("1.1"),)
    search.record(Version("1.1"), Outcome.TIMEOUT)
    assert (str(search.last_bad), str(search.best)) == ("1.1", "2.0")
