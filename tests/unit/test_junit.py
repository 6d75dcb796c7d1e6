"""JUnit XML as several pytests wrote it, kept in data/junit, and the ids that pytest printed."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nox_envs.run.junit import failures, passed

DATA = Path(__file__).parent / "data" / "junit"

IN_A = [
    "TestX::test_y[1]", "TestX::test_y[a.b]", "TestX::test_y[x::y]", "TestX::TestInner::test_z",
    "test_chain", "test_group", "test_setup", "test_teardown", "test_both", "test_xpass",
    "TestU::test_eq", "TestU::test_sub",
]  # fmt: skip
PRINTED = {
    *(f"tests/test_a.py::{name}" for name in IN_A),
    "tests/test_sub.py::TestChild::test_inherited",
    "tests/test_sub.py::test_plain",
    "tests/test_st.py::test_st",
    "tests/test_imp.py",
    "tests/test_mod.py",
    "tests/test_raise.py",
    "tests/test_syn.py",
}


def recorded(name: str) -> dict[str, str]:
    found = failures((DATA / f"{name}.xml").read_text(encoding="utf-8"))
    assert found is not None
    return dict(found)


def document(case: str) -> str:
    return f'<testsuites><testsuite name="pytest">{case}</testsuite></testsuites>'


def said(message: str, text: str = "") -> str:
    case = f'<testcase classname="test_a" name="test"><failure message={message}>{text}</failure></testcase>'
    return (failures(document(case)) or {})["test_a.py::test"]


@pytest.mark.parametrize("name", ["pytest7-xunit1", "pytest8-xunit2-xdist", "pytest9-xunit1"])
def test_ids_are_those_that_pytest_prints(name: str) -> None:
    assert set(recorded(name)) == PRINTED


def test_what_passed_is_counted() -> None:
    one = '<testcase classname="test_a" name="{}">{}</testcase>'
    cases = {"good": "", "bad": "<failure/>", "odd": "<error/>", "left": "<skipped/>"}
    text = document("".join(one.format(name, inside) for name, inside in cases.items()))
    assert passed(text) == 1
    assert passed(text.replace("<failure/>", "<system-out/>")) == 2
    assert passed("") == passed("<html/>") == passed("<!DOCTYPE x>" + text) == 0


@pytest.mark.parametrize("name", ["pytest7-xunit1", "pytest8-xunit2-xdist", "pytest9-xunit1"])
def test_what_was_raised_is_told_wherever_it_was_raised(name: str) -> None:
    found = recorded(name)

    assert found["tests/test_a.py::TestX::test_y[1]"] == "ZeroDivisionError: division by zero"
    assert found["tests/test_a.py::test_setup"] == "LookupError: no fixture for you"
    assert found["tests/test_a.py::test_teardown"] == "LookupError: late #x1B[31mred"
    assert found["tests/test_a.py::test_both"] == "AssertionError: first"
    assert found["tests/test_a.py::test_xpass"] == "[XPASS(strict)]"
    assert found["tests/test_mod.py"] == "ModuleNotFoundError: No module named 'nope_nope'"
    assert found["tests/test_raise.py"] == "ZeroDivisionError: division by zero"
    assert found["tests/test_syn.py"] == "SyntaxError: invalid syntax"
    assert found["tests/test_sub.py::test_plain"] == "assert False"


def test_a_worker_that_crashed_is_a_failure_of_its_test() -> None:
    found = recorded("crashed-workers")

    assert set(found) == {"test_crash.py::test_seg", "test_crash.py::test_crash"}
    assert found["test_crash.py::test_seg"].startswith("worker 'gw1' crashed while running")


def test_subtests_are_one_failure_of_their_test() -> None:
    assert (
        recorded("pytest9-xunit1")["tests/test_a.py::TestU::test_sub"] == "AssertionError: 0 != 1"
    )


def test_what_did_not_fail_is_left_out() -> None:
    case = '<testcase classname="test_a" name="test"><skipped message="no"/></testcase>'
    assert failures(document(case + '<testcase classname="test_a" name="other"/>')) == {}


@pytest.mark.parametrize("share", [0, 1, 2, 3])
def test_a_torn_file_says_nothing(share: int) -> None:
    text = (DATA / "pytest9-xunit1.xml").read_text(encoding="utf-8")
    assert failures(text[: len(text) * share // 4]) is None


@pytest.mark.parametrize("text", ["<html/>", "no xml", "\ud800", "\0", "<testsuites>"])
def test_another_file_says_nothing(text: str) -> None:
    assert failures(text) is None


def test_entities_are_not_expanded() -> None:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    laughs = f'<!DOCTYPE x [<!ENTITY a0 "ha">{entities}]>'
    for name in ("a0", "a11"):
        case = f'<testcase name="&{name};"><error/></testcase>'
        assert failures(laughs + document(case)) is None


def test_a_module_that_could_not_be_collected_says_why_at_last() -> None:
    text = "E   KeyError: 1\n\nThe above exception was the direct cause\nE   OSError: 2\nE    + 3\n"
    case = r'<testcase classname="" name="tests.test_a" file="tests\test_a.py">'
    error = f'<error message="collection failure">{text}</error></testcase>'
    assert failures(document(case + error)) == {"tests/test_a.py": "OSError: 2"}


def test_deep_files_are_read() -> None:
    assert failures(document("<a>" * 20_000 + "</a>" * 20_000)) == {}


def test_strangers_words_are_short_and_clean() -> None:
    assert said('"\u202egnirts&#10;more"') == " gnirts"
    assert said(quoteattr("x" * 100_000)) == "x" * 300
    assert said('"&#10; &#9; later"') == "later"
    assert said('""') == ""


NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True)
CLASSES = st.from_regex(r"[A-Z][a-zA-Z0-9_]{0,8}", fullmatch=True)
PARAMETERS = st.text(st.sampled_from("abc.:/[]- 1"), max_size=8).map(lambda text: f"[{text}]")


@settings(max_examples=50)
@given(
    st.lists(NAMES, min_size=1, max_size=3),
    st.lists(CLASSES, max_size=2),
    NAMES,
    PARAMETERS | st.just(""),
    st.sampled_from(["", "/", "\\"]),
)
def test_an_id_comes_back_as_it_was(
    module: list[str], classes: list[str], name: str, parameters: str, slash: str
) -> None:
    owner = quoteattr(".".join([*module, *classes]))
    file = f"file={quoteattr(slash.join(module) + '.py')}" if slash else ""
    case = f"<testcase classname={owner} name={quoteattr(name + parameters)} {file}><error/></testcase>"

    expected = "::".join([f"{'/'.join(module)}.py", *classes, name + parameters])
    assert list(failures(document(case)) or {}) == [expected]


@settings(max_examples=50)
@given(st.text())
def test_any_text_has_an_answer(text: str) -> None:
    assert failures(text) is None
    assert all(len(line) <= 300 for line in (failures(document(text)) or {}).values())
