"""What may follow `--` on the command line of an upgrade, and what is said to all else."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

from nox_envs.errors import UsageError
from nox_envs.upgrade.options import FAIL_ON, CampaignOptions, held, parse, usage


def told(*words: str) -> CampaignOptions:
    return parse(words, session="upgrade")


def refused(*words: str, session: str = "upgrade") -> UsageError:
    with pytest.raises(UsageError) as caught:
        parse(words, session=session)
    return caught.value


def changed(options: CampaignOptions) -> dict[str, Any]:
    """What differs from what nobody asked for."""
    plain = CampaignOptions()
    return {
        each.name: value
        for each in fields(options)
        if each.compare
        if (value := getattr(options, each.name)) != getattr(plain, each.name)
    }


# -- every option ---------------------------------------------------------------------


def test_without_a_word_everything_is_as_by_default() -> None:
    assert changed(told()) == {}
    assert told().fail_on == {"baseline", "inconclusive", "error"}


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--python", "3.11", "--python", "3.12"], {"pythons": ("3.11", "3.12")}),
        (["--only", "test", "--only", "django=5.2"], {"only": ("test", "django=5.2")}),
        (["--mode", "fresh"], {"mode": "fresh"}),
        (["--mode=keep"], {"mode": "keep"}),
        (["--jobs", "4"], {"jobs": 4}),
        (["--max-trials", "30"], {"max_trials": 30}),
        (["--proofs", "3"], {"proofs": 3}),
        (["--pre"], {"pre": True}),
        (["--timeout", "1.5"], {"timeout": 1.5}),
        (["--keep"], {"keep": True}),
        (["--resume"], {"resume": True}),
        (["--fail-on", "breaks"], {"fail_on": frozenset({"breaks"})}),
        (["--fail-on", " breaks , not-tested,"], {"fail_on": frozenset({"breaks", "not-tested"})}),
        (["--fail-on", ""], {"fail_on": frozenset()}),
        (["--json", "out.json"], {"json": "out.json"}),
        (["--json", "-"], {"json": "-"}),
        (["--markdown", "-"], {"markdown": "-"}),
        (["--apply"], {"apply": True}),
        (["--dry-run"], {"dry_run": True}),
        (["--apply", "--again"], {"apply": True, "again": True}),
        (["--apply", "--force"], {"apply": True, "force": True}),
        (["--help"], {"help": True}),
        (
            ["--cooldown", "7 days"],
            {"cooldown": timedelta(days=7), "cooldown_text": "7 days"},
        ),
    ],
)
def test_an_option_is_read(words: list[str], found: dict[str, Any]) -> None:
    assert changed(told(*words)) == found


def test_every_option_is_explained() -> None:
    text = usage("update")
    assert "nox -s update --" in text
    for option in (
        "python", "only", "mode", "jobs", "max-trials", "proofs", "pre", "hold", "cooldown",
        "timeout", "keep", "resume", "fail-on", "json", "markdown", "apply", "dry-run", "again",
        "force", "help",
    ):  # fmt: skip
        assert f"--{option}" in text
    assert all(word in text for word in FAIL_ON)


def test_an_option_may_stand_before_and_after_a_name() -> None:
    assert changed(told("--pre", "django", "--jobs", "2")) == {
        "pre": True,
        "asked": {"django": SpecifierSet()},
        "jobs": 2,
    }


def test_names_may_stand_on_both_sides_of_an_option() -> None:
    assert list(told("django", "--pre", "flask").asked) == ["django", "flask"]


# -- names ----------------------------------------------------------------------------


def test_names_are_normalized_and_may_have_versions() -> None:
    assert told("Foo.Bar", "pandas<3,>=2", "django == 5.2").asked == {
        "foo-bar": SpecifierSet(),
        "pandas": SpecifierSet("<3,>=2"),
        "django": SpecifierSet("==5.2"),
    }


def test_what_is_held_is_read_alike() -> None:
    assert told("--hold", "SQLAlchemy<2", "--hold", "six").hold == {
        "sqlalchemy": SpecifierSet("<2"),
        "six": SpecifierSet(),
    }
    assert held(["SQLAlchemy<2"]) == {"sqlalchemy": SpecifierSet("<2")}


@pytest.mark.parametrize("texts", [["six", "six<2"], ["six<2", "six"]])
def test_what_is_held_where_it_is_is_not_let_go_by_a_limit(texts: list[str]) -> None:
    assert held(texts) == {"six": SpecifierSet()}


@pytest.mark.parametrize(
    "text", ["django=5.2", "", "-", "a b", "django==", "./django", "https://example.org/a.whl"]
)
@pytest.mark.parametrize("option", [(), ("--hold",)])
def test_what_is_no_requirement_is_told_what_one_is(text: str, option: tuple[str, ...]) -> None:
    error = refused(*option, text)
    assert error.problem == f"{text!r} is not a requirement"
    assert error.advice == ("write NAME, or NAME==VERSION in quotes",)


@pytest.mark.parametrize(
    "text", ["django[bcrypt]", "django; python_version>'3'", "django @ https://example.org/a.whl"]
)
def test_a_name_is_no_declaration(text: str) -> None:
    error = refused(text)
    assert error.problem == f"{text!r} is more than a name and versions"
    assert error.advice == ("write NAME, or NAME==VERSION in quotes",)


def test_a_name_that_is_asked_twice_has_to_meet_both() -> None:
    assert told("pandas>=2", "Pandas<3").asked == {"pandas": SpecifierSet(">=2,<3")}


# -- what belongs to the session ------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "own", "posargs"),
    [
        (["--", "-k", "login"], {}, ("-k", "login")),
        (["--jobs", "2", "--", "--jobs", "--", "x"], {"jobs": 2}, ("--jobs", "--", "x")),
        (["six", "--", "--pre"], {"asked": {"six": SpecifierSet()}}, ("--pre",)),
        (["--pre", "--"], {"pre": True}, ()),
        (["--"], {}, ()),
        (["--", "--"], {}, ("--",)),
    ],
)
def test_what_follows_a_second_double_dash_is_not_read(
    words: list[str], own: dict[str, Any], posargs: tuple[str, ...]
) -> None:
    assert changed(told(*words)) == own | ({"posargs": posargs} if posargs else {})


@pytest.mark.parametrize("word", ["-k", "-x", "--lf", "-k=login", "-1", "-vv", "---", "--pretty"])
def test_a_habit_is_answered_with_both_spellings(word: str) -> None:
    error = refused(word, session="update")
    option = word.partition("=")[0]
    assert error.problem == f"{option} is not an option of update"
    assert error.advice[-2:] == (
        f"for your tests, after a second --:   nox -s update -- -- {word}",
        "all options:                         nox -s update -- --help",
    )


def test_the_spelling_for_the_tests_can_be_pasted() -> None:
    assert 'nox -s upgrade -- -- -k "login or out"' in refused("-k", "login or out").advice[0]


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("--job", "--jobs"),
        ("--jbos=2", "--jobs"),
        ("--dryrun", "--dry-run"),
        ("--max-trial", "--max-trials"),
        ("--Python", "--python"),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(word: str, meant: str) -> None:
    """No option is abbreviated: a new one would change what the old word means."""
    assert refused(word).advice[0] == f"did you mean {meant}?"
    assert len(refused(word).advice) == 3


# -- bad input ------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--jobs", "--max-trials", "--proofs"])
@pytest.mark.parametrize("value", ["0", "", "two", "1.5", "1e3"])
def test_a_count_is_a_whole_number_of_one_or_more(option: str, value: str) -> None:
    assert option in refused(option, value).problem
    assert option in refused(f"{option}={value}").problem


@pytest.mark.parametrize("value", ["0", "", "soon", "nan", "inf", "1 minute"])
def test_a_timeout_is_a_number_of_seconds(value: str) -> None:
    assert "--timeout" in refused("--timeout", value).problem


@pytest.mark.parametrize("value", ["-1", "-inf"])
@pytest.mark.parametrize("option", ["--jobs", "--timeout"])
def test_nothing_is_negative(option: str, value: str) -> None:
    assert option in refused(f"{option}={value}").problem


@pytest.mark.parametrize("words", [["--jobs", "0"], ["--timeout", "soon"]])
def test_a_bad_number_is_told_in_words(words: list[str]) -> None:
    assert "_" not in str(refused(*words))


@pytest.mark.parametrize(
    "option",
    ["--python", "--only", "--mode", "--jobs", "--hold", "--cooldown", "--json", "--fail-on"],
)
def test_a_value_that_is_missing_is_missed(option: str) -> None:
    assert option in refused(option).problem
    assert option in refused(option, "--pre").problem


@pytest.mark.parametrize("option", ["--pre", "--keep", "--apply", "--help"])
def test_a_switch_takes_no_value(option: str) -> None:
    assert option in refused(f"{option}=yes").problem


def test_a_mode_is_one_of_two() -> None:
    error = refused("--mode", "new")
    assert all(word in error.problem for word in ("--mode", "new", "keep", "fresh"))


@pytest.mark.parametrize("value", ["7", "seven days", "", "-1 days", "1 day ago"])
def test_a_cooldown_is_a_duration(value: str) -> None:
    error = refused(f"--cooldown={value}")
    assert error.problem == f"--cooldown: {value!r} is not a duration"
    assert error.advice == ('write --cooldown "7 days"',)


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("break", "did you mean breaks?"),
        ("baseline,not_tested", "did you mean not-tested?"),
        ("xyz", "it takes baseline, inconclusive, error, breaks, not-tested"),
    ],
)
def test_a_kind_that_is_not_known_is_answered_with_those_that_are(value: str, advice: str) -> None:
    error = refused("--fail-on", value)
    assert error.problem == f"--fail-on: {value.rpartition(',')[2]!r} is not known"
    assert error.advice == (advice,)


@pytest.mark.parametrize(
    "words", [["--jobs"], ["--jobs", "0"], ["--timeout", "soon"], ["--mode", "new"], ["--pre=yes"]]
)
def test_every_mistake_says_what_to_do(words: list[str]) -> None:
    assert refused(*words).advice


def test_writing_and_only_showing_exclude_each_other() -> None:
    refused("--apply", "--dry-run")


@pytest.mark.parametrize("option", ["--again", "--force"])
def test_what_needs_apply_is_refused_without_it(option: str) -> None:
    refused(option)


def test_floors_are_applied_too() -> None:
    assert parse(["--apply"], session="floors", kind="floors").apply
    assert "lower bounds" in usage("floors", "floors")


# -- matrix


def test_what_a_matrix_can_be_asked() -> None:
    words = ["--only", "django=4.2", "--fail-fast", "--rerun-failed", "--refresh", "--jobs", "3",
             "--fail-on", "not-tested", "--", "-x"]  # fmt: skip
    found = parse(words, session="matrix", kind="matrix")
    assert (found.only, found.jobs, found.posargs) == (("django=4.2",), 3, ("-x",))
    assert (found.fail_fast, found.rerun_failed, found.refresh) == (True, True, True)
    assert found.fail_on == {"not-tested"}
    plain = parse([], session="matrix", kind="matrix")
    assert {plain.fail_fast, plain.rerun_failed, plain.refresh} == {False}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-k", "a b"], 'nox -s matrix -- -- -k "a b"'),
        (["-k", "a"], "nox -s matrix -- --only CELL|AXIS=VALUE"),
        (["--mode", "fresh"], "--mode is not an option of matrix"),
        (["--fail-on", "breaks"], "it takes inconclusive, error, not-tested"),
    ],
)
def test_what_a_matrix_cannot_be_asked(words: list[str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(words, session="matrix", kind="matrix")
    assert said in str(caught.value)


# -- lock


@pytest.mark.parametrize(
    ("words", "upgrade"),
    [
        ([], ()),
        (["--upgrade"], None),
        (["--upgrade", "A.b", "c"], ("a-b", "c")),
        (["--upgrade", "a", "--check", "--upgrade"], None),
    ],
)
def test_whose_pins_may_move_in_a_lock(words: list[str], upgrade: tuple[str, ...] | None) -> None:
    found = parse(words, session="lock", kind="lock")
    assert found.upgrade == upgrade
    assert found.check == ("--check" in words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--upgrade", "a==1"], "write --upgrade a; limits belong in the declaration"),
        (["-k", "a"], "-k is not an option of lock"),
        (["--apply"], "--apply is not an option of lock"),
    ],
)
def test_what_a_lock_cannot_be_asked(words: list[str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(words, session="lock", kind="lock")
    assert said in str(caught.value)
    assert "second --" not in str(caught.value) + usage("lock", "lock")
