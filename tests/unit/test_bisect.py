"""The release that broke it, against histories of which everything is known."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import pairwise
from math import log2
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from nox_envs.outcome import Outcome
from nox_envs.upgrade.bisect import Ask, Bisect
from nox_envs.upgrade.bounds import requirement
from nox_envs.upgrade.tally import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

DATA = Path(__file__).parent / "data" / "bisect" / "recorded.json"
RECORDED: dict[str, dict[str, str]] = json.loads(DATA.read_text(encoding="utf-8"))

PASS = Answer(outcome=Outcome.PASS)
SHOWN = {
    ".": PASS,
    "F": Answer(outcome=Outcome.FAIL, signature="sought"),
    "o": Answer(outcome=Outcome.FAIL, signature="other"),
    "T": Answer(outcome=Outcome.TIMEOUT, signature="timeout"),
    "i": Answer(outcome=Outcome.INFEASIBLE),
    "u": Answer(outcome=Outcome.UNBUILDABLE),
    "e": Answer(outcome=Outcome.ERROR),
}
"""What a release shows, by one letter."""


def versions(text: str) -> list[Version]:
    return [Version(each) for each in text.split()]


@dataclass
class Log:
    asks: list[Ask] = field(default_factory=list)
    rounds: int = 0

    def runs(self, version: str) -> int:
        return sum(ask.version == Version(version) for ask in self.asks)


def drive(
    search: Bisect, show: Callable[[Ask], Answer], *, jobs: int = 1, rng: Random | None = None
) -> Log:
    """Do what a driver does; the trials of a round end in whatever order."""
    log = Log()
    while not search.done:
        asks = list(search.pending())
        assert 0 < len(asks) <= jobs
        assert len(asks) == 1 or not any(ask.alone for ask in asks)
        assert search.pending() == ()
        if rng:
            rng.shuffle(asks)
        for ask in asks:
            assert not search.done
            assert ask not in log.asks
            log.asks.append(ask)
            search.record(ask, show(ask))
        log.rounds += 1
    assert search.pending() == ()
    assert len(log.asks) <= search.bound
    return log


def searched(
    history: Mapping[str, str],
    *,
    jobs: int = 1,
    bad: str = "",
    scan: bool = False,
    sought: str | None = None,
    max_trials: int | None = None,
    proofs: int = 2,
) -> tuple[Bisect, Log]:
    """Releases with a letter for each run of theirs; the last one stays."""

    def show(ask: Ask) -> Answer:
        letters = history[str(ask.version)]
        return SHOWN[letters[min(ask.attempt, len(letters)) - 1]]

    releases = [Version(each) for each in history]
    search = Bisect(
        releases, good=releases[0], bad=Version(bad) if bad else releases[-1], jobs=jobs,
        scan=scan, sought=sought, max_trials=max_trials, proofs=proofs,
    )  # fmt: skip
    return search, drive(search, show, jobs=jobs)


def found(search: Bisect) -> tuple[object, ...]:
    return (
        search.status, search.signature, search.last_good, search.first_bad, search.unknown,
        search.since, search.bad_ranges, search.fixed_in, search.newest, search.disagreeing,
        search.requirement("it", Version("1.0")),
    )  # fmt: skip


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Version], str]:
    """A release history with a letter for each release: a few stretches, or anything."""
    parts = draw(st.sets(st.tuples(*[st.integers(0, 3)] * 3), min_size=2, max_size=30))
    releases = [Version(".".join(map(str, each))) for each in sorted(parts)]
    if draw(st.booleans()):
        stretches = st.lists(
            st.tuples(st.sampled_from(".F"), st.integers(1, 12)), min_size=1, max_size=4
        )
        shown = "".join(letter * times for letter, times in draw(stretches))
        shown = (shown + shown[-1] * len(releases))[: len(releases)]
        for at in draw(st.sets(st.integers(1, len(releases) - 1), max_size=4)):
            shown = shown[:at] + draw(st.sampled_from("oTiue")) + shown[at + 1 :]
        return releases, shown
    letters = st.text("..FFFoTiue", min_size=len(releases), max_size=len(releases))
    return releases, draw(letters)


def assert_claim(
    search: Bisect, releases: Sequence[Version], shown: str, log: Log, *, red: str, proofs: int
) -> None:
    """`red`: the letters that count as a failure."""
    letters = dict(zip(releases, shown, strict=True))
    tested = {ask.version for ask in log.asks}
    assert search.last_good
    assert search.first_bad
    bad = letters[search.first_bad]
    (sought,) = (each for each in red if SHOWN[each].signature == search.signature)
    for first, last in search.bad_ranges:
        inside = [letters[each] for each in sorted(tested) if first <= each <= last]
        assert inside[0] in red
        assert inside[-1] in red
        assert sought in inside
        assert "." not in inside
        below = max(each for each in tested if each < first and letters[each] == ".")
        above = [each for each in tested if each > last and letters[each] == "."]
        edges = [(below, first), *([(last, min(above))] if above else [])]
        for low, high in edges:
            between = [each for each in releases if low < each < high]
            assert set(between) <= tested
            assert not {".", *red} & {letters[each] for each in between}
        for side in {each for edge in edges for each in edge}:
            assert log.runs(str(side)) == proofs
            assert letters[side] in {".", *red}
    first, last = search.bad_ranges[0]
    seen = [each for each in tested if first <= each <= last and letters[each] == sought]
    assert search.since == (None if bad == sought else min(seen))
    assert (search.last_good, search.first_bad) == (
        max(each for each in tested if each < search.first_bad and letters[each] == "."),
        search.bad_ranges[0][0],
    )
    assert search.unknown == tuple(
        each for each in releases if search.last_good < each < search.first_bad
    )
    assert search.status == ("hole" if search.fixed_in else "found")
    if search.fixed_in:
        assert letters[search.fixed_in] == "."
        assert search.fixed_in > search.bad_ranges[-1][1]
    assert search.newest
    assert search.newest.version == releases[-1]
    assert search.newest.outcome is SHOWN[shown[-1]].outcome
    assert search.newest.same_signature == (shown[-1] == bad)
    assert all(log.runs(str(each)) <= proofs for each in releases)
    line = search.requirement("it", releases[0])
    admits = SpecifierSet(line.removeprefix("it"), prereleases=True)
    assert admits.contains(search.last_good)
    assert not any(admits.contains(each) for pair in search.bad_ranges for each in pair)
    assert not any(admits.contains(each) for each in search.unknown)


@settings(max_examples=200, deadline=None)
@given(histories(), st.integers(1, 5), st.booleans(), st.integers(2, 6), st.data())
def test_the_claim_holds_in_any_history(
    history: tuple[list[Version], str],
    jobs: int,
    scan: bool,  # noqa: FBT001
    proofs: int,
    data: st.DataObject,
) -> None:
    releases, shown = history
    sought = data.draw(st.sampled_from([None, "sought"]))
    red = "F" if sought else "FoT"
    bad = data.draw(st.integers(1, len(releases) - 1))

    def show(ask: Ask) -> Answer:
        return SHOWN[shown[releases.index(ask.version)]]

    def search_with(jobs: int) -> tuple[Bisect, Log]:
        search = Bisect(
            releases, good=releases[0], bad=releases[bad], jobs=jobs, scan=scan, sought=sought,
            proofs=proofs,
        )  # fmt: skip
        return search, drive(search, show, jobs=jobs, rng=Random(7))  # noqa: S311 - no secret

    search, log = search_with(1)
    wider, more = search_with(jobs)
    assert found(wider) == found(search)
    assert more.rounds <= log.rounds
    tested = {shown[releases.index(ask.version)] for ask in log.asks}
    match search.status:
        case "all-bad":
            assert shown[0] in "FoT"
        case "no-failure":
            assert not tested & set("FoT")
        case "inconclusive":
            top = shown[1 : bad + 1].rstrip("iu")
            others = tested & set("FoT") and not tested & set(red)
            assert shown[0] in "iue" or not top or top.endswith("e") or others
        case "found" | "hole":
            assert_claim(search, releases, shown, log, red=red, proofs=proofs)


@settings(max_examples=150, deadline=None)
@given(histories(), st.integers(1, 4), st.booleans(), st.integers(0, 2**32))
def test_it_ends_whatever_the_answers_are(
    history: tuple[list[Version], str],
    jobs: int,
    scan: bool,  # noqa: FBT001
    seed: int,
) -> None:
    """`drive` holds the bound."""
    releases, _ = history
    rng = Random(seed)  # noqa: S311 - no secret
    green = rng.random()

    def show(ask: Ask) -> Answer:
        letter = "." if rng.random() < green else rng.choice("FFFoTue")
        return SHOWN[letter]

    search = Bisect(releases, good=releases[0], bad=releases[-1], jobs=jobs, scan=scan)
    log = drive(search, show, jobs=jobs, rng=rng)
    assert max(log.runs(str(each)) for each in releases) <= 5
    assert bool(search.requirement("it", releases[0])) == (search.status in {"found", "hole"})


@settings(max_examples=60, deadline=None)
@given(histories(), st.integers(0, 12), st.integers(1, 3))
def test_used_up_trials_are_inconclusive(
    history: tuple[list[Version], str], trials: int, jobs: int
) -> None:
    releases, shown = history
    by_release = dict(zip(map(str, releases), shown, strict=True))
    search, log = searched(by_release, jobs=jobs, max_trials=trials)
    ran = [ask for ask in log.asks if by_release[str(ask.version)] != "i"]
    assert len(ran) <= trials
    assert not search.exhausted or search.status == "inconclusive"


@pytest.mark.parametrize("jobs", [1, 2, 4, 8])
@pytest.mark.parametrize("case", RECORDED.values(), ids=list(RECORDED))
def test_recorded_breaks(case: dict[str, str], jobs: int) -> None:
    good, bad = versions(case["good"]), versions(case["bad"])
    newest = "F" if case["same_failure_at_newest"] else "o"
    history = {str(each): "." for each in good} | {str(each): "F" for each in bad}
    history[str(bad[-1])] = newest
    search, log = searched(history, jobs=jobs)
    assert search.status == "found"
    assert (search.last_good, search.first_bad) == (good[-1], bad[0])
    assert search.requirement(case["package"], good[0]) == case["requirement"]
    assert search.newest
    assert search.newest.same_signature == (newest == "F")
    assert search.since == (None if newest == "F" else bad[-1])
    assert len(log.asks) <= log2(len(history)) + (6 if jobs < 4 else 8)
    search, log = searched(history, jobs=jobs, bad=str(bad[-2]))
    assert (search.status, search.last_good, search.first_bad) == ("found", good[-1], bad[0])
    assert search.requirement(case["package"], good[0]) == case["requirement"]
    assert search.newest
    assert search.newest.same_signature == (newest == "F")


@pytest.mark.parametrize("since", ["8.0.2", "8.1.2", "8.4.2", "9.2.0"])
def test_a_failure_that_changed_costs_no_more(since: str) -> None:
    case = RECORDED["script-pytest8-nose-setup"]
    history = {each: "o" if Version(each) < Version(since) else "F" for each in case["bad"].split()}
    search, log = searched({**dict.fromkeys(case["good"].split(), "."), **history})
    assert (str(search.last_good), str(search.first_bad)) == ("7.4.4", "8.0.0")
    assert str(search.since) == since
    assert len(log.asks) <= log2(len(history) + 1) + 6


@pytest.mark.parametrize("jobs", [1, 2])
def test_half_of_the_recorded_breaks_need_hardly_more_than_the_ends(jobs: int) -> None:
    frugal = []
    for case in RECORDED.values():
        history = dict.fromkeys(case["good"].split(), ".") | dict.fromkeys(case["bad"].split(), "F")
        _, log = searched(history, jobs=jobs)
        frugal.append(len(log.asks) < log2(len(history)) + 3)
    assert sum(frugal) >= len(frugal) / 2


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_every_boundary_is_found(jobs: int) -> None:
    releases = [f"{a}.{b}.{c}" for a in range(3) for b in range(4) for c in range(5)]
    for boundary in range(1, len(releases)):
        history = {each: "." if at < boundary else "F" for at, each in enumerate(releases)}
        search, log = searched(history, jobs=jobs)
        assert (str(search.last_good), str(search.first_bad)) == (
            releases[boundary - 1], releases[boundary],
        )  # fmt: skip
        assert search.bad_ranges == ((Version(releases[boundary]), Version(releases[-1])),)
        assert jobs > 1 or len(log.asks) <= log2(len(releases)) + 6.1


def test_jobs_save_rounds() -> None:
    history = {f"{a}.{b}": "." if a < 3 else "F" for a in range(6) for b in range(9)}
    rounds = [searched(history, jobs=jobs)[1].rounds for jobs in (1, 2, 4)]
    assert rounds[0] > rounds[1] > rounds[2]


SETUPTOOLS = {
    "77.0.3": ".", "78.0.1": "F", "78.0.2": ".", "78.1.0": ".", "80.9.0": ".", "84.2.1": ".",
}  # fmt: skip


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_a_hole_is_found_by_a_scan_where_both_ends_pass(jobs: int) -> None:
    search, _ = searched(SETUPTOOLS, jobs=jobs)
    assert search.status == "hole"
    assert search.bad_ranges == ((Version("78.0.1"), Version("78.0.1")),)
    assert str(search.fixed_in) == "78.0.2"
    assert search.requirement("setuptools", Version("77.0.3")) == "setuptools!=78.0.1"


def test_what_is_fixed_again_in_the_newest_is_a_hole() -> None:
    search, _ = searched(SETUPTOOLS, bad="78.0.1")
    assert (search.status, str(search.fixed_in)) == ("hole", "78.0.2")
    assert search.newest
    assert search.newest.outcome is Outcome.PASS
    assert not search.newest.same_signature


def test_a_scan_finds_holes_below_a_bad_end() -> None:
    history = {"1.0": ".", "1.1": "F", "1.2": ".", "1.3": ".", "2.0": "F", "2.1": "F"}
    assert str(searched(history)[0].last_good) == "1.3"
    search, _ = searched(history, scan=True)
    assert search.bad_ranges == (
        (Version("1.1"), Version("1.1")), (Version("2.0"), Version("2.1")),
    )  # fmt: skip
    assert (search.status, search.fixed_in) == ("found", None)
    assert (str(search.last_good), str(search.first_bad)) == ("1.0", "1.1")
    assert search.requirement("it", Version("1.0")) == "it!=1.1,<2"


def test_a_scan_looks_at_the_first_of_each_series_and_then_at_the_last() -> None:
    history = {f"1.{b}.{c}": "." for b in range(5) for c in range(4)}
    search, log = searched(history)
    assert search.status == "no-failure"
    asked = [str(ask.version) for ask in log.asks[2:]]
    assert sorted(asked[:5]) == ["1.0.1", "1.1.0", "1.2.0", "1.3.0", "1.4.0"]
    assert abs(Version(asked[0]).minor - Version(asked[1]).minor) > 1
    assert sorted(asked[5:]) == ["1.0.3", "1.1.3", "1.2.3", "1.3.3", "1.4.2"]
    _, log = searched(history, max_trials=8)
    assert len(log.asks) == 6
    assert all(ask.version.micro < 2 for ask in log.asks[2:])


def test_the_most_frequent_failure_is_sought_where_both_ends_pass() -> None:
    history = {"1.0": ".", "1.1": "o", "1.2": ".", "1.3": "F", "1.4": "F", "1.5": "."}
    search, _ = searched(history)
    assert search.signature == "sought"
    assert search.bad_ranges == ((Version("1.3"), Version("1.4")),)


def test_a_good_end_that_fails_ends_it() -> None:
    search, log = searched({"1.0": "F", "1.1": "F", "1.2": "F"})
    assert search.status == "all-bad"
    assert len(log.asks) == 2
    search, log = searched({"1.0": "o", "1.1": "F", "1.2": "F"})
    assert search.status == "all-bad"
    assert log.runs("1.0") == 2
    assert search.newest
    search, log = searched({"1.0": "F...", "1.1": ".", "1.2": "o"})
    assert (search.status, str(search.first_bad)) == ("found", "1.2")


@pytest.mark.parametrize("letter", ["i", "u", "e"])
def test_a_good_end_that_cannot_be_tested_is_inconclusive(letter: str) -> None:
    search, log = searched({"1.0": letter, "1.1": "F"})
    assert search.status == "inconclusive"
    assert log.runs("1.0") == (2 if letter == "e" else 1)


def test_a_bad_end_that_cannot_be_installed_gives_way_to_one_that_can() -> None:
    search, log = searched({"1.0": ".", "2.0": "F", "2.1": "F", "3.0": "u", "3.1": "i"})
    assert (search.status, str(search.first_bad)) == ("found", "2.0")
    assert search.newest
    assert search.newest.outcome is Outcome.INFEASIBLE
    assert log.runs("3.1") == 1
    assert searched({"1.0": ".", "2.0": "i", "3.0": "u"})[0].status == "inconclusive"


def test_what_cannot_be_tested_is_between_and_left_out() -> None:
    history = {"1.26.20": ".", "2.0.0": "u", "2.0.1": "i", "2.0.2": "F", "2.1.0": "F"}
    search, _ = searched(history)
    assert (str(search.last_good), str(search.first_bad)) == ("1.26.20", "2.0.2")
    assert search.unknown == tuple(versions("2.0.0 2.0.1"))
    assert search.requirement("urllib3", Version("1.26.20")) == "urllib3<2"
    search, _ = searched({"1.0.0": ".", "1.0.1": "e", "1.1.0": "F", "2.0": "F"})
    assert search.requirement("it", Version("1.0.0")) == "it<1.0.1"


OTHERWISE = {"1.0": ".", "1.1": "o", "1.2": "T", "2.0": "F", "3.0": "F"}
"""It breaks in one way, then in another one."""


def test_the_first_release_that_fails_is_bad_however_it_fails() -> None:
    search, log = searched(OTHERWISE)
    assert (str(search.last_good), str(search.first_bad)) == ("1.0", "1.1")
    assert (search.unknown, search.signature, str(search.since)) == ((), "sought", "2.0")
    assert search.bad_ranges == ((Version("1.1"), Version("3.0")),)
    assert search.newest
    assert not search.newest.same_signature
    assert log.runs("1.1") == 2
    assert search.requirement("it", Version("1.0")) == "it<1.1"
    search, _ = searched({**OTHERWISE, "3.0": "o"})
    assert (search.since, search.newest and search.newest.same_signature) == (None, True)


def test_another_failure_below_one_that_passes_is_another_matter() -> None:
    search, _ = searched({**OTHERWISE, "1.2": ".", "3.0": "T"})
    assert (search.signature, str(search.last_good)) == ("timeout", "1.2")
    assert (str(search.first_bad), str(search.since)) == ("2.0", "3.0")


def test_what_has_a_name_is_all_that_counts() -> None:
    search, _ = searched(OTHERWISE, sought="sought")
    assert (search.unknown, str(search.first_bad)) == (tuple(versions("1.1 1.2")), "2.0")
    assert search.since is None
    search, _ = searched({**OTHERWISE, "3.0": "o"}, sought="sought")
    assert (search.status, str(search.first_bad)) == ("found", "2.0")


def test_where_only_other_failures_come_than_the_one_with_a_name_nothing_is_known() -> None:
    search, _ = searched({"1.0": ".", "1.1": "o", "2.0": "o"}, sought="sought")
    assert (search.status, search.first_bad, search.signature) == ("inconclusive", None, None)
    search, _ = searched({"1.0": ".", "1.1": ".", "2.0": "i"}, sought="sought")
    assert search.status == "no-failure"


def test_a_failure_that_is_never_the_same_is_no_proof() -> None:
    history = {"1.0": ".", "1.1": "oT", "2.0": "F", "3.0": "F"}
    search, log = searched(history)
    assert (search.status, log.runs("1.1")) == ("found", 3)
    search, log = searched({**history, "1.1": "o...."})
    assert (search.status, str(search.first_bad)) == ("found", "2.0")
    assert search.disagreeing == (Version("1.1"),)


@pytest.mark.parametrize(("proofs", "good", "bad"), [(1, 1, 1), (2, 2, 2), (4, 4, 4), (7, 7, 7)])
def test_both_sides_are_proven_as_often_as_it_is_asked(proofs: int, good: int, bad: int) -> None:
    search, log = searched({"1.0": ".", "1.1": ".", "2.0": "F", "3.0": "F"}, proofs=proofs)
    assert search.status == "found"
    assert (log.runs("1.1"), log.runs("2.0")) == (good, bad)
    assert (log.runs("1.0"), log.runs("3.0")) == (1, 1)


def test_a_failure_that_was_seen_nowhere_else_is_run_again() -> None:
    _, log = searched({"1.0": ".", "2.0": "o", "3.0": "F"}, proofs=1)
    assert (log.runs("1.0"), log.runs("2.0")) == (1, 2)


@pytest.mark.parametrize("jobs", [1, 2, 4])
def test_a_flaky_run_does_not_move_the_boundary(jobs: int) -> None:
    history = {"1.0": ".", "1.1": ".", "1.2": "F....", "2.0": ".", "3.0": "F", "4.0": "F"}
    search, _ = searched(history, jobs=jobs)
    assert (search.status, str(search.first_bad)) == ("found", "3.0")
    assert str(search.last_good) in {"1.1", "2.0"}


def test_a_first_bad_release_that_is_not_reproduced_is_unknown() -> None:
    search, log = searched({"1.0": ".", "2.0": "F....", "3.0": "F"})
    assert (search.status, str(search.first_bad)) == ("found", "3.0")
    assert search.unknown == search.disagreeing == tuple(versions("2.0"))
    assert log.runs("3.0") == 5
    assert any(ask.alone for ask in log.asks)


@pytest.mark.parametrize(("bad", "passes"), [("FFFFF", 2), ("F.FFF", 3), ("F.FF.", 4)])
def test_the_rarer_a_failure_the_more_often_the_good_side_passes(bad: str, passes: int) -> None:
    search, log = searched({"1.0": ".", "2.0": bad})
    assert search.status == "found"
    assert log.runs("1.0") == passes
    assert log.runs("2.0") == (2 if "." not in bad else 5)


def test_a_failure_that_could_hide_is_inconclusive() -> None:
    search, _ = searched({"1.0": ".", "2.0": "F...."})
    assert (search.status, search.first_bad) == ("inconclusive", None)
    assert search.requirement("it", Version("1.0")) == ""
    assert search.disagreeing == (Version("2.0"),)


def test_ends_are_releases_in_order() -> None:
    releases = versions("1.0 1.1")
    with pytest.raises(ValueError, match="not older"):
        Bisect(releases, good=releases[1], bad=releases[0])
    search = Bisect(releases, good=releases[0], bad=releases[1])
    with pytest.raises(ValueError, match="not waiting"):
        search.record(Ask(version=releases[0]), PASS)


@pytest.mark.parametrize(
    ("good", "hole", "above", "current", "line"),
    [
        ("2.3.8", "3.0.0 3.0.1", "", "2.3.8", "it<3"),
        ("2.0.1", "2.1.0", "", "2.0.1", "it<2.1"),
        ("2.1.0", "2.1.1", "", "2.1.0", "it<2.1.1"),
        ("1.0", "1.0.post1", "", "1.0", "it<1.0.post1"),
        ("2.0rc1", "2.0", "", "2.0rc1", "it<=2.0rc1"),
        ("1.9", "1!1.0 1!1.1", "", "1.9", "it<1!1"),
        ("77.0", "78.0.1", "78.0.2", "77.0", "it!=78.0.1"),
        ("77.0", "78.0.1 78.1", "79.0", "77.0", "it!=78.*"),
        ("77.0", "77.1.0 77.1.1 77.2", "77.3", "77.0", "it!=77.1.*,!=77.2"),
        ("1.0", "1.1 1.2 1.3 1.4 1.5", "1.6", "1.0", "it<1.1"),
        ("1.0", "1.1 1.2 1.3 1.4 1.5", "1.6", "1.7", "it>=1.6"),
    ],
)
def test_the_line_is_short(good: str, hole: str, above: str, current: str, line: str) -> None:
    releases = versions(f"{good} {hole} {above}")
    assert requirement("it", releases, set(versions(hole)), Version(current)) == line


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)), min_size=2),
       st.data())  # fmt: skip
def test_the_line_admits_nothing_bad(
    parts: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    releases = [Version(".".join(map(str, each))) for each in sorted(set(parts))]
    bad = data.draw(st.sets(st.sampled_from(releases[1:] or releases)))
    excluded = bad - {releases[0]}
    line = requirement("it", releases, excluded, releases[0])
    assert bool(line) == bool(excluded)
    admits = SpecifierSet(line.removeprefix("it"))
    assert not any(admits.contains(each) for each in excluded)
    first = min(excluded, default=None)
    assert all(admits.contains(each) for each in releases if first is None or each < first)
    assert all(low < high for low, high in pairwise(releases))
