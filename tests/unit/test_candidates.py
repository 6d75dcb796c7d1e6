"""What a dependency could become, and how it is asked for."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import parse_tag
from packaging.utils import canonicalize_name
from packaging.version import Version

from nox_envs.outcome import Verdict
from nox_envs.resolve.index import File, Release, Releases
from nox_envs.resolve.requests import Origin, Request
from nox_envs.upgrade.candidates import (
    Admission,
    Prospect,
    declared,
    place_of,
    prospect,
    rewritten,
)

NAME = canonicalize_name("demo")
NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
LINUX = frozenset({*parse_tag("cp311-cp311-linux_x86_64"), *parse_tag("py3-none-any")})


def wheel(version: str, tag: str = "py3-none-any", **facts: Any) -> File:
    return File(filename=f"demo-{version}-{tag}.whl", **facts)


def sdist(version: str, **facts: Any) -> File:
    return File(filename=f"demo-{version}.tar.gz", is_wheel=False, **facts)


def index(*versions: Any) -> Releases:
    """Releases; a version alone is one wheel for every Python."""
    found = []
    for each in versions:
        version, *files = (each, wheel(each)) if isinstance(each, str) else each
        found.append(Release(version=Version(version), files=tuple(files)))
    return Releases(name=NAME, releases=tuple(found))


def admission(**facts: Any) -> Admission:
    return Admission(**{"python": Version("3.11.7"), "tags": LINUX, **facts})


def request(
    text: str, file: str = "requirements.txt", line: int | None = 3, **facts: Any
) -> Request:
    origin = Origin(file=file, line=line, text=text)
    return Request(requirement=Requirement(text), origin=origin, **facts)


def looked(
    releases: Releases,
    *requests: Request,
    current: str = "1.0",
    asked: str | None = None,
    hold: str | None = None,
    **facts: Any,
) -> Prospect:
    return prospect(
        NAME,
        Version(current),
        requests or (request("demo==1.0"),),
        releases,
        admission(**facts),
        asked=None if asked is None else SpecifierSet(asked),
        hold=None if hold is None else SpecifierSet(hold),
    )


def texts(one: Prospect) -> list[str]:
    return [str(version) for version in one.versions]


def decided(one: Prospect) -> tuple[str | None, Verdict | None]:
    return (None if one.target is None else str(one.target)), one.verdict


# -- which releases exist for it ------------------------------------------------------


def test_all_that_is_newer_is_to_be_had_and_the_newest_is_the_target() -> None:
    one = looked(index("0.9", "1.0", "1.1", "2.0"))
    assert texts(one) == ["1.1", "2.0"]
    assert decided(one) == ("2.0", None)
    assert (one.latest, one.named, one.reason) == (Version("2.0"), False, "")


def test_nothing_newer_is_nothing_to_say() -> None:
    one = looked(index("0.9", "1.0"))
    assert decided(one) == (None, None)
    assert one.latest == Version("1.0")


def test_an_empty_index_is_nothing_to_say() -> None:
    one = looked(index())
    assert decided(one) == (None, None)
    assert one.latest is None


@pytest.mark.parametrize("text", ["2.0a1", "2.0rc1", "2.0.dev1"])
def test_pre_releases_are_left_aside_unless_they_are_asked_for(text: str) -> None:
    assert texts(looked(index("1.0", "1.1", text))) == ["1.1"]
    assert texts(looked(index("1.0", "1.1", text), prerelease=True)) == ["1.1", text]


@pytest.mark.parametrize("spec", ["==2.0rc1", ">=2.0rc1", "===2.0rc1", "~=2.0rc1", "<=2.0rc1"])
def test_a_pre_release_in_what_is_asked_admits_pre_releases(spec: str) -> None:
    assert decided(looked(index("1.0", "2.0rc1"), asked=spec)) == ("2.0rc1", None)


def test_a_bound_without_a_pre_release_admits_none() -> None:
    one = looked(index("1.0", "1.1", "2.0rc1"), asked=">=1.1")
    assert decided(one) == ("1.1", None)


def test_the_latest_is_stable_even_where_pre_releases_are_tried() -> None:
    assert looked(index("1.0", "1.1", "2.0rc1"), prerelease=True).latest == Version("1.1")


def test_post_releases_and_epochs_are_newer() -> None:
    assert texts(looked(index("1.0", "1.0.post1", "1!0.1"))) == ["1.0.post1", "1!0.1"]


def test_a_yanked_release_is_neither_tried_nor_the_latest() -> None:
    one = looked(index("1.0", "1.1", ("2.0", wheel("2.0", yanked=True))))
    assert (texts(one), one.latest) == (["1.1"], Version("1.1"))


def test_a_yanked_file_does_not_make_a_release_fit() -> None:
    files = wheel("2.0", yanked=True), sdist("2.0", requires_python=SpecifierSet(">=3.12"))
    assert decided(looked(index("1.0", ("2.0", *files)))) == (None, None)


def test_a_release_without_files_is_none() -> None:
    assert decided(looked(index("1.0", ("2.0",)))) == (None, None)


def test_a_release_for_other_pythons_is_the_latest_and_is_not_tried() -> None:
    newer = wheel("2.0", requires_python=SpecifierSet(">=3.12"))
    one = looked(index("1.0", "1.1", ("2.0", newer)))
    assert (decided(one), one.latest) == (("1.1", None), Version("2.0"))
    on_new = looked(index("1.0", "1.1", ("2.0", newer)), python=Version("3.12.0"))
    assert decided(on_new) == ("2.0", None)


def test_a_pre_release_of_python_is_a_python() -> None:
    newer = wheel("2.0", requires_python=SpecifierSet(">=3.11"))
    assert decided(looked(index(("2.0", newer)), python=Version("3.15.0a2"))) == ("2.0", None)


@pytest.mark.parametrize(
    ("file", "fits"),
    [
        (wheel("2.0", "cp311-cp311-linux_x86_64"), True),
        (wheel("2.0", "cp310.cp311-cp311-linux_x86_64"), True),
        (wheel("2.0", "cp311-cp311-win_amd64"), False),
        (wheel("2.0", "cp312-cp312-linux_x86_64"), False),
        (File(filename="demo-2.0.whl"), False),
        (sdist("2.0"), True),
    ],
)
def test_a_wheel_has_to_be_one_that_the_interpreter_can_use(file: File, *, fits: bool) -> None:
    assert looked(index("1.0", ("2.0", file))).target == (Version("2.0") if fits else None)


def test_where_tags_are_not_known_every_wheel_fits() -> None:
    files = [wheel("2.0", "cp311-cp311-win_amd64")]
    assert decided(looked(index(("2.0", *files)), tags=None)) == ("2.0", None)


def test_one_file_has_to_meet_every_condition() -> None:
    files = (
        wheel("2.0", "cp311-cp311-linux_x86_64", requires_python=SpecifierSet(">=3.12")),
        wheel("2.0", "cp311-cp311-win_amd64"),
    )
    assert decided(looked(index("1.0", ("2.0", *files)))) == (None, None)


# -- the cooldown ---------------------------------------------------------------------


def dated(version: str, days: int) -> tuple[str, File]:
    return version, wheel(version, upload_time=NOW + timedelta(days=days))


def test_younger_releases_are_left_aside() -> None:
    one = looked(index("1.0", dated("1.1", -1), dated("2.0", 1)), uploaded_before=NOW)
    assert (decided(one), one.latest) == (("1.1", None), Version("2.0"))


def test_only_younger_releases_are_waited_for() -> None:
    one = looked(index("1.0", dated("1.1", 1), dated("2.0", 2)), uploaded_before=NOW)
    assert decided(one) == (None, Verdict.WAITING)
    assert one.reason == "2.0 is younger than the cooldown"
    assert one.versions == ()


def test_at_the_instant_itself_a_release_is_too_young() -> None:
    assert looked(index(dated("2.0", 0)), uploaded_before=NOW).verdict is Verdict.WAITING


def test_a_release_of_unknown_age_is_taken_for_young() -> None:
    assert looked(index("2.0"), uploaded_before=NOW).verdict is Verdict.WAITING
    assert looked(index("2.0")).verdict is None


def test_a_file_that_was_added_later_does_not_make_a_release_old() -> None:
    """The file that fits is the one whose age counts."""
    files = (
        wheel("2.0", "cp311-cp311-win_amd64", upload_time=NOW - timedelta(days=9)),
        wheel("2.0", upload_time=NOW + timedelta(days=1)),
    )
    assert looked(index(("2.0", *files)), uploaded_before=NOW).verdict is Verdict.WAITING


def test_nothing_is_waited_for_that_would_not_fit() -> None:
    files = [wheel("2.0", "cp312-cp312-linux_x86_64", upload_time=NOW + timedelta(days=1))]
    one = looked(index("1.0", ("2.0", *files)), uploaded_before=NOW)
    assert decided(one) == (None, None)


# -- what the command line wants ------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "target", "named"),
    [
        ("", "3.0", False),
        ("<3", "2.0", False),
        ("==2.0", "2.0", True),
        ("===2.0", "2.0", True),
        ("==2.*", "2.0", False),
        ("!=3.0", "2.0", False),
        (">=4", None, False),
    ],
)
def test_what_is_asked_limits_what_is_tried(asked: str, target: str | None, *, named: bool) -> None:
    one = looked(index("1.0", "1.5", "2.0", "3.0"), asked=asked)
    assert decided(one) == (target, None)
    assert one.named is named
    assert one.latest == Version("3.0")


def test_a_named_release_may_be_an_older_one() -> None:
    assert decided(looked(index("0.9", "1.0", "2.0"), asked="==0.9")) == ("0.9", None)
    assert decided(looked(index("0.9", "1.0", "2.0"), asked="<1")) == (None, None)


def test_the_release_that_is_there_is_nothing_to_try() -> None:
    assert decided(looked(index("1.0", "2.0"), asked="==1.0")) == (None, None)


@pytest.mark.parametrize("facts", [{"asked": None}, {"asked": "", "hold": "<9"}])
def test_nothing_older_is_tried_unless_it_is_named(facts: dict[str, Any]) -> None:
    assert texts(looked(index("0.8", "0.9"), **facts)) == []


# -- what is held ---------------------------------------------------------------------


def test_what_is_held_stays_where_it_is() -> None:
    one = looked(index("1.0", "2.0"), hold="")
    assert decided(one) == (None, Verdict.HELD)
    assert (one.reason, one.versions) == ("", ())


def test_what_is_held_and_has_nothing_newer_is_not_mentioned() -> None:
    assert decided(looked(index("1.0"), hold="")) == (None, None)


def test_what_is_held_and_asked_for_is_answered() -> None:
    assert decided(looked(index("1.0"), hold="", asked="")) == (None, Verdict.HELD)


def test_a_hold_within_bounds_limits_the_target() -> None:
    assert decided(looked(index("1.0", "1.5", "2.0"), hold="<2")) == ("1.5", None)


def test_where_the_bounds_leave_nothing_it_is_held() -> None:
    one = looked(index("1.0", "2.0"), hold="<2")
    assert decided(one) == (None, Verdict.HELD)
    assert one.reason == "held: demo<2"


def test_a_hold_stands_beside_what_is_asked() -> None:
    releases = index("1.0", "1.5", "2.0", "3.0")
    assert decided(looked(releases, asked=">=1.5", hold="<3")) == ("2.0", None)
    assert decided(looked(releases, asked="==3.0", hold="<3")) == (None, Verdict.HELD)


def test_within_bounds_young_releases_are_waited_for() -> None:
    releases = index("1.0", dated("1.5", 1), dated("2.0", -9))
    one = looked(releases, hold="<2", uploaded_before=NOW)
    assert decided(one) == (None, Verdict.WAITING)
    assert one.reason == "1.5 is younger than the cooldown"


# -- where it is declared -------------------------------------------------------------


def test_own_upper_bounds_are_no_obstacle_and_are_named() -> None:
    one = looked(
        index("1.0", "2.0", "3.0"),
        request("demo<2", file="pyproject.toml", line=9),
        request("Demo[cli]~=1.0", file="constraints.txt", line=None, constraint=True),
        request("demo>=0.5"),
        request("demo>=0.5"),
    )
    assert decided(one) == ("3.0", None)
    assert one.lifted == ("pyproject.toml:9 demo<2", "constraints.txt Demo~=1.0")
    assert one.places == ("pyproject.toml:9", "constraints.txt", "requirements.txt:3")


def test_a_pin_is_what_an_upgrade_replaces_and_not_a_bound() -> None:
    assert looked(index("1.0", "2.0"), request("demo==1.0")).lifted == ()


def test_a_series_is_a_bound() -> None:
    one = looked(index("1.0", "2.0"), request("demo==1.*"))
    assert one.lifted == ("requirements.txt:3 demo==1.*",)


def test_a_bound_that_the_target_meets_is_not_lifted() -> None:
    one = looked(index("1.0", "2.0"), request("demo<3"))
    assert one.lifted == ()


def test_nothing_is_lifted_where_nothing_is_tried() -> None:
    assert looked(index("1.0", "2.0"), request("demo<2"), hold="").lifted == ()


@pytest.mark.parametrize(("line", "place"), [(3, "a.txt:3"), (None, "a.txt")])
def test_a_place_is_a_file_and_a_line(line: int | None, place: str) -> None:
    assert place_of(Origin(file="a.txt", line=line, text="x")) == place


VERSIONS = st.lists(
    st.builds("{}.{}{}".format, st.integers(0, 3), st.integers(0, 3), st.sampled_from(["", "rc1"])),
    max_size=8,
    unique_by=Version,
)


@given(VERSIONS, VERSIONS, st.sampled_from([None, "", "<2", ">=1.1", "==2.0", "!=1.2"]))
def test_what_is_tried_is_newer_stable_and_wanted(
    sound: list[str], yanked: list[str], asked: str | None
) -> None:
    releases = index(
        *sound, *((each, wheel(each, yanked=True)) for each in yanked if each not in sound)
    )
    one = looked(releases, current="1.1", asked=asked)
    spec = SpecifierSet(asked or "")
    by_hand = {
        Version(each)
        for each in sound
        if Version(each) > Version("1.1") and "rc" not in each and Version(each) in spec
    }
    if one.named:
        by_hand |= {Version(each) for each in sound if Version(each) in spec}
    assert set(one.versions) == by_hand
    assert list(one.versions) == sorted(one.versions)
    assert one.target == max(by_hand, default=None)


# -- what is declared -----------------------------------------------------------------


def test_declarations_are_found_by_name_wherever_they_stand() -> None:
    one, two = request("Foo.Bar>=1"), request("foo-bar<9", file="constraints.txt", constraint=True)
    other = request("abc")
    assert declared([one, other, two]) == {"abc": (other,), "foo-bar": (one, two)}
    assert list(declared([one, other])) == ["abc", "foo-bar"]


def test_axes_and_urls_decide_their_releases_themselves() -> None:
    found = declared(
        [
            request("django<6"),
            request("django==5.2.*", axis="django"),
            request("local @ https://example.org/local-1.0.tar.gz"),
            request("local>=1"),
            request("six"),
        ]
    )
    assert list(found) == ["six"]


# -- how it is asked for --------------------------------------------------------------


def asked_for(*requests: Request, **wanted: str) -> list[str]:
    found = rewritten(requests, {canonicalize_name(n): SpecifierSet(s) for n, s in wanted.items()})
    return [f"{'-c ' if each.constraint else ''}{each.requirement}" for each in found]


def test_bounds_are_replaced_wherever_a_name_is_declared() -> None:
    found = asked_for(
        request("Demo[cli,dev]<2; python_version >= '3.8'"),
        request("other<2"),
        request("demo!=1.5", constraint=True),
        demo="==2.0",
    )
    assert found == [
        'Demo[cli,dev]==2.0; python_version >= "3.8"',
        "other<2",
        "-c demo==2.0",
    ]


def test_a_url_stays_what_it_is() -> None:
    text = "demo[cli] @ https://example.org/demo-1.0.tar.gz"
    assert asked_for(request(text), demo="==2.0")[0] == text


def test_what_nobody_declares_is_constrained_and_not_asked_for() -> None:
    assert asked_for(request("other"), demo="==2.0") == ["other", "-c demo==2.0"]


def test_a_range_can_be_asked_for() -> None:
    assert asked_for(request("demo==1.0"), demo=">=1.0,<=2.0") == ["demo<=2.0,>=1.0"]


def test_hashes_of_another_release_are_dropped_and_all_else_is_kept() -> None:
    """They would forbid every file of the release that is asked for."""
    hashes = frozenset({"a" * 64})
    one = request("demo==1.0", hashes=hashes, prerelease=True)
    other = request("other==1.0", hashes=hashes)
    changed, same = rewritten([one, other], {NAME: SpecifierSet("==2.0")})
    assert (changed.hashes, changed.origin, changed.prerelease) == (frozenset(), one.origin, True)
    assert same is other


def test_the_requests_themselves_are_not_changed() -> None:
    one = request("demo==1.0")
    rewritten([one], {NAME: SpecifierSet("==2.0")})
    assert str(one.requirement) == "demo==1.0"


def test_where_nothing_is_wanted_everything_stays() -> None:
    both = request("demo==1.0"), request("other @ https://example.org/other-1.0.tar.gz")
    assert rewritten(both, {}) == both
