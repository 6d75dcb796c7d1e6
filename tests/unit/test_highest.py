"""The highest release that passes, and where releases are tested between two ends."""

from __future__ import annotations

from math import ceil, log2
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from nox_envs.outcome import Outcome
from nox_envs.upgrade.highest import Highest
from nox_envs.upgrade.split import hazard, points, weights

if TYPE_CHECKING:
    from collections.abc import Sequence


def versions(text: str) -> list[Version]:
    return [Version(each) for each in text.split()]


def drive(
    search: Highest, releases: Sequence[Version], shown: Sequence[Outcome], *, jobs: int = 1
) -> list[Version]:
    """Answer what is asked for, the last first; returns all that was."""
    asked = list[Version]()
    while not search.done:
        asks = search.pending()
        assert 0 < len(asks) <= jobs
        assert search.pending() == ()
        for version in reversed(asks):
            assert not search.done
            asked.append(version)
            search.record(version, shown[releases.index(version)])
    assert search.pending() == ()
    assert len(set(asked)) == len(asked)
    return asked


@settings(deadline=None)
@given(
    st.sets(st.tuples(*[st.integers(0, 3)] * 3), min_size=2, max_size=40).map(sorted),
    st.data(),
    st.integers(1, 6),
)
def test_it_ends_between_a_pass_and_a_failure(
    parts: list[tuple[int, ...]], data: st.DataObject, jobs: int
) -> None:
    releases = [Version(".".join(map(str, each))) for each in parts]
    outcomes = st.sampled_from(list(Outcome))
    middle = st.lists(outcomes, min_size=len(parts) - 2, max_size=len(parts) - 2)
    shown = [Outcome.PASS, *data.draw(middle), Outcome.FAIL]
    search = Highest(releases, jobs=jobs)
    asked = drive(search, releases, shown, jobs=jobs)
    assert search.first_bad is not None
    low, high = releases.index(search.best), releases.index(search.first_bad)
    assert low < high
    assert shown[low] is Outcome.PASS
    assert shown[high] in {Outcome.FAIL, Outcome.TIMEOUT}
    unknown = releases[low + 1 : high]
    assert set(unknown) <= set(asked)
    assert not {Outcome.PASS, Outcome.FAIL, Outcome.TIMEOUT} & set(shown[low + 1 : high])
    assert not any(
        shown[releases.index(each)] is Outcome.PASS for each in asked if each > search.best
    )


@pytest.mark.parametrize("jobs", [1, 2, 4, 8])
def test_every_boundary_is_found(jobs: int) -> None:
    releases = [Version(f"{a}.{b}.{c}") for a in range(3) for b in range(4) for c in range(5)]
    for boundary in range(1, len(releases)):
        shown = [Outcome.PASS] * boundary + [Outcome.FAIL] * (len(releases) - boundary)
        search = Highest(releases, jobs=jobs)
        asked = drive(search, releases, shown, jobs=jobs)
        assert (search.best, search.first_bad) == (releases[boundary - 1], releases[boundary])
        if jobs == 1:
            assert len(asked) <= ceil(log2(len(releases))) + 3


def test_what_cannot_be_tested_is_stepped_over() -> None:
    releases = versions("1.0 1.1 1.2 2.0 2.1 3.0")
    shown = [
        Outcome.PASS, Outcome.PASS, Outcome.UNBUILDABLE, Outcome.ERROR, Outcome.INFEASIBLE,
        Outcome.FAIL,
    ]  # fmt: skip
    search = Highest(releases)
    drive(search, releases, shown)
    assert (str(search.best), str(search.first_bad)) == ("1.1", "3.0")


def test_neighbours_and_a_single_release_ask_for_nothing() -> None:
    search = Highest(versions("1.0 2.0"))
    assert search.done
    assert (str(search.best), str(search.first_bad)) == ("1.0", "2.0")
    search = Highest(versions("1.0"))
    assert search.done
    assert (str(search.best), search.first_bad) == ("1.0", None)


def test_only_what_was_asked_is_recorded() -> None:
    search = Highest(versions("1.0 1.1 2.0"))
    with pytest.raises(ValueError, match="not waiting"):
        search.record(Version("1.1"), Outcome.PASS)
    assert search.pending() == (Version("1.1"),)
    search.record(Version("1.1"), Outcome.TIMEOUT)
    assert str(search.first_bad) == "1.1"


@pytest.mark.parametrize(
    ("older", "newer", "rate"),
    [
        ("1.9", "2.0", 0.3), ("1.9", "1!1.9", 0.3), ("1.1.9", "1.2", 0.06),
        ("1.1", "1.1.1", 0.01), ("1", "1.0.post1", 0.01),
    ],
)  # fmt: skip
def test_series_break_where_they_start(older: str, newer: str, rate: float) -> None:
    assert hazard(Version(older), Version(newer)) == pytest.approx(rate)


def test_weights_follow_the_hazard_and_stay_above_the_even_part() -> None:
    found = weights(versions("1.0 1.0.1 1.1 2.0 2.0.1"))
    assert sum(found) == pytest.approx(1)
    assert max(found) == found[2]
    assert min(found) >= 0.3 / 4
    # The hazards are .01, .06, .3, .01, each times the chance that nothing broke before.
    assert found[0] / found[2] == pytest.approx(
        (0.7 * 0.01 / 0.35540 + 0.075) / (0.7 * 0.99 * 0.94 * 0.3 / 0.35540 + 0.075), rel=1e-3
    )


def test_the_first_of_a_series_and_the_last_before_are_tested_first() -> None:
    releases = versions("1.0 1.0.1 1.0.2 1.0.3 1.1 2.0 2.0.1 2.0.2 2.0.3")
    first = points(releases, 0, len(releases) - 1, (), jobs=2)
    assert {releases[at] for at in first} == {Version("1.1"), Version("2.0")}


def test_only_the_range_that_is_left_counts() -> None:
    releases = versions("1.0 2.0 2.1 2.2 2.3 3.0 4.0")
    (at,) = points(releases, 1, 5, (), jobs=1)
    assert releases[at] == Version("2.3")


def test_at_most_four_are_tested_at_a_time() -> None:
    releases = [Version(f"1.{minor}") for minor in range(50)]
    assert len(points(releases, 0, 49, (), jobs=8)) == 4
    assert len(points(releases, 0, 49, (), jobs=2)) == 2
    assert points(releases, 3, 6, {4}, jobs=8) == (5,)
    assert points(releases, 3, 6, {4, 5}, jobs=8) == ()
