"""Edits of the user's own files: the least change that admits a version, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tomlkit
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from nox_envs.resolve import requirements_file
from nox_envs.upgrade import edit_lines, edit_tables
from nox_envs.upgrade.edits import (
    Edit,
    Edited,
    Refusal,
    diff,
    floored,
    pyproject,
    requirement_files,
    widened,
)
from nox_envs.upgrade.judged import Aim

if TYPE_CHECKING:
    from collections.abc import Collection

PINS = {
    canonicalize_name(name): Version(version)
    for name, version in {
        "flask": "3.1.9",
        "flask-sqlalchemy": "3.1.1",
        "werkzeug": "3.0.6",
        "torch": "2.5.1+cpu",
    }.items()
}
FILE = "requirements.txt"


def applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"python_version": "3.11"})


def files(text: str) -> Edited:
    return requirement_files({FILE: text}, PINS, applies=applies)


def edited(text: str) -> str:
    found = files(text)
    assert found.refusals == ()
    return found.texts.get(FILE, text)


def refused(text: str) -> list[tuple[int | None, str, str]]:
    found = files(text)
    assert found.texts == {}
    assert found.edits == ()
    assert {(one.file, one.name) for one in found.refusals} <= {(FILE, name) for name in PINS}
    return [(one.line, one.reason, one.instead) for one in found.refusals]


def toml(
    text: str, extras: Collection[str] | None = None, groups: Collection[str] | None = None
) -> Edited:
    return pyproject("pyproject.toml", text, PINS, extras=extras, groups=groups, applies=applies)


def edited_toml(
    text: str, extras: Collection[str] | None = None, groups: Collection[str] | None = None
) -> str:
    found = toml(text, extras, groups)
    assert found.refusals == ()
    return found.texts.get("pyproject.toml", text)


# -- one specifier


@pytest.mark.parametrize(
    ("before", "version", "after"),
    [
        ("==2.2.2", "3.1.9", "==3.1.9"),
        ("===2.2.2", "3.1.9", "===3.1.9"),
        ("==2.*", "3.1.9", "==3.*"),
        ("==2.2.*", "3.1.9", "==3.1.*"),
        ("==2.2.*", "24", "==24.0.*"),
        ("==2.5.0", "2.5.1+cpu", "==2.5.1+cpu"),
        ("==2.0", "1!3.0", "==1!3.0"),
        ("<3", "3.1.9", "<4"),
        ("<3.0", "3.1.9", "<4.0"),
        ("<3.0.dev0", "3.1.9", "<4.0.dev0"),
        ("<3", "3.0rc1", "<4"),
        ("<3", "1!3.1", "<1!4"),
        ("<2.3", "3.1.9", "<3.2"),
        ("<2.2.5", "3.1.9", "<3.1.10"),
        ("<2024", "2026.1.4", "<2027"),
        ("<=2.2.3", "3.1.9", "<=3.1.9"),
        ("<=2", "3.1.9", "<=3.1.9"),
        ("<=2.4", "2.5.1+cpu", "<=2.5.1"),
        ("~=2.2", "3.1.9", "~=3.1"),
        ("~=2.2.1", "3.1.9", "~=3.1.9"),
        ("~=2.2.1", "24.1", "~=24.1.0"),
        ("~=2.2", "4.0.0b1", "~=4.0b1"),
        ("~=2.2", "4.0.1b1", "~=4.0"),
        ("<3,>=2", "3.1.9", "<4,>=2"),
        ("<3,==2.2.2", "3.1.9", "<4,==3.1.9"),
        (">=1.2", "3.1.9", None),
        (">=1.2", "3.1.9rc1", None),
        ("!=3.1.8", "3.1.9", None),
        ("==3.1.9.0", "3.1.9", None),
        ("", "3.1.9", None),
    ],
)
def test_a_specifier_is_widened_the_least(before: str, version: str, after: str | None) -> None:
    assert widened(Requirement(f"flask{before}"), Version(version)) == after


@pytest.mark.parametrize(
    ("requirement", "reason"),
    [
        ("flask!=3.1.9", "`!=3.1.9` excludes 3.1.9"),
        ("flask!=3.1.*,<3", r"`!=3.1.\*` excludes"),
        ("flask>=4", "`>=4` excludes"),
        ("flask>3.1.9", "`>3.1.9` excludes"),
        ("flask @ https://example.org/flask.zip", "flask is a direct reference"),
    ],
)
def test_what_the_user_decided_is_not_widened(requirement: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        widened(Requirement(requirement), Version("3.1.9"))


# -- requirement files


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("flask==2.2.2\n", "flask==3.1.9\n"),
        ("flask==2.2.2", "flask==3.1.9"),
        ("\ufeffflask==2.2.2\r\nother==1\r\n", "\ufeffflask==3.1.9\r\nother==1\r\n"),
        ("Flask [async] == 2.2.2 ; python_version > '3'  # flask==2.2.2\n",
         "Flask [async] == 3.1.9 ; python_version > '3'  # flask==2.2.2\n"),
        ("\tflask\t>=2,\t<3\t# why\n", "\tflask\t>=2,\t<4\t# why\n"),
        ("flask (>=2, <3)\n", "flask (>=2, <4)\n"),
        ("Flask_SQLAlchemy==3.0\nflask.sqlalchemy<3\n", "Flask_SQLAlchemy==3.1.1\nflask.sqlalchemy<4\n"),
        ("flask \\\n  ==2.2.2 \\\r\n ; python_version > '3'\nflask<3",
         "flask \\\n  ==3.1.9 \\\r\n ; python_version > '3'\nflask<4"),
        ("flask==2.2.2 \\\n# a comment ends it \\\nflask==1\n",
         "flask==3.1.9 \\\n# a comment ends it \\\nflask==3.1.9\n"),
        ("flask==2# no comment\nflask==1 \\", "flask==2# no comment\nflask==3.1.9 \\"),
        ("flask==2.2 --config-settings=x==1\n", "flask==3.1.9 --config-settings=x==1\n"),
        ("flask==2.0; python_version<'3.8'\nflask==2.2; python_version>='3.8'\n",
         "flask==2.0; python_version<'3.8'\nflask==3.1.9; python_version>='3.8'\n"),
        ("flask==2.2\x0cflask==2.2\u2028", "flask==3.1.9\x0cflask==3.1.9\u2028"),
        ("torch==2.5.0+cpu\n", "torch==2.5.1+cpu\n"),
    ],
)  # fmt: skip
def test_only_the_version_changes(before: str, after: str) -> None:
    assert edited(before) == after


@pytest.mark.parametrize(
    "text",
    [
        "flask\nflask>=2\nflask==3.1.9\nflask==3.*\n",
        "# flask==2.2.2\n-r flask==2\n-c c.txt\n-e .\n./flask\nflask/\nflask.zip\n",
        "-e git+https://example.org/flask@2#egg=flask\n--no-binary flask\n",
        "flask-login==1\nflaskx==1\nwerkzeug_x<2\n",
        "--index-url https://example.org/flask==2\n\n \n",
        "flask==2.2.2 oops\n",
        "flask==3.1.9 --hash=sha256:aa\n",
    ],
)
def test_what_admits_the_version_or_is_no_requirement_stays(text: str) -> None:
    assert files(text) == Edited()


def test_edits_name_their_lines() -> None:
    text = "# top\nFlask [async] == 2.2.2 \\\n  ; python_version > '3' # c\n\nwerkzeug<3\n"
    found = requirement_files({"a.txt": text, "b/c.txt": "flask\n"}, PINS, applies=applies)
    assert list(found.texts) == ["a.txt"]
    assert found.edits == (
        Edit(
            file="a.txt",
            line=2,
            name="flask",
            before="Flask [async] == 2.2.2 ; python_version > '3'",
            after="Flask [async] == 3.1.9 ; python_version > '3'",
        ),
        Edit(file="a.txt", line=5, name="werkzeug", before="werkzeug<3", after="werkzeug<4"),
    )


def test_a_place_that_is_the_users_to_decide_is_refused() -> None:
    assert refused(
        "Flask[b,a]!=3.1.9,<3 ; python_version>'3'\n"
        "flask>=4\n"
        "flask @ https://example.org/flask-2.zip ; python_version > '3'\n"
        "flask==${FLASK}\n"
        "werkzeug @ git+https://${TOKEN}@example.org/werkzeug\n"
    ) == [
        (1, "`!=3.1.9` excludes 3.1.9", 'Flask[a,b]<4 ; python_version > "3"'),
        (2, "`>=4` excludes 3.1.9", "flask"),
        (3, "flask is a direct reference", 'flask==3.1.9 ; python_version > "3"'),
        (4, "flask takes its version from a variable", "flask==3.1.9"),
        (5, "werkzeug is a direct reference", "werkzeug==3.0.6"),
    ]


def test_a_refusal_hinders_no_other_edit() -> None:
    found = files("flask==2\nflask!=3.1.9\nwerkzeug==2\n")
    assert found.texts == {FILE: "flask==3.1.9\nflask!=3.1.9\nwerkzeug==3.0.6\n"}
    assert [edit.line for edit in found.edits] == [1, 3]
    assert [(one.line, one.file, one.name) for one in found.refusals] == [(2, FILE, "flask")]


def test_a_hashed_line_is_refused_with_the_command_that_hashes() -> None:
    [(line, reason, instead)] = refused(
        "\nflask[async]==2.2.2 \\\n    --hash=sha256:aa \\\n --hash=sha256:bb\n"
    )
    assert (line, reason) == (2, "the hashes are those of `flask[async]==2.2.2`")
    assert instead == (
        "echo 'flask[async]==3.1.9' | "
        "uv pip compile - --universal --generate-hashes --no-deps --no-header"
    )


UV = "# This file was autogenerated by uv via the following command:\n#    {}\n"
PIP = "#\n# This file is autogenerated by pip-compile with Python 3.11\n# by the following command:\n#\n#    {}\n#\n"
OLD = "#\n# This file is autogenerated by pip-compile with python 3.10\n# To update, run:\n#\n#    {}\n#\n"
BODY = "flask==2.2.2\n    # via -r a.in\nwerkzeug==2.2.3 --hash=sha256:aa\n    # via flask\njinja2==1\nwerkzeug<3\n"


@pytest.mark.parametrize(
    ("header", "command", "again"),
    [
        (UV, "uv pip compile a.in -o r.txt",
         "uv pip compile a.in -o r.txt -P flask==3.1.9 -P werkzeug==3.0.6"),
        (UV, "uv export --no-hashes", "uv export --no-hashes -P flask==3.1.9 -P werkzeug==3.0.6"),
        (PIP, "pip-compile a.in",
         "pip-compile a.in --upgrade-package flask==3.1.9 --upgrade-package werkzeug==3.0.6"),
        (OLD, "python -m piptools compile a.in",
         "python -m piptools compile a.in --upgrade-package flask==3.1.9 --upgrade-package werkzeug==3.0.6"),
        (UV, "./compile.sh", "./compile.sh"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_compiled_file_is_compiled_again(
    header: str, command: str, again: str, newline: str
) -> None:
    top = header.format(command)
    found = refused((top + BODY).replace("\n", newline))
    first = top.count("\n") + 1
    assert [line for line, _, _ in found] == [first, first + 2, first + 5]
    assert {(reason, instead) for _, reason, instead in found} == {
        (f"{FILE} is compiled by `{command}`", again)
    }


def test_a_compiled_file_that_gives_the_versions_is_left() -> None:
    assert files(UV.format("uv pip compile a.in") + "flask==3.1.9\n") == Edited()


@pytest.mark.parametrize("top", ["other==1\n" + UV.format("uv pip compile"), "# For:\n# us\n"])
def test_other_comments_make_no_compiled_file(top: str) -> None:
    assert edited(f"{top}flask==2\n") == f"{top}flask==3.1.9\n"


LINES = st.one_of(
    st.sampled_from([
        "", "  ", "# flask==1", "-r other.txt", "-e .", "./flask", "other==1.0", "flask-x<2",
        "flask @ https://example.org/flask.zip", "flask==${V}", "flask!=3.1.9", "flask>=4",
        "flask==1 --hash=sha256:aa", "--pre", "flask<1; python_version<'3'",
    ]),
    st.builds(
        "{}{}{}{}{}{}".format,
        st.sampled_from(["flask", "Flask", " flask", "Flask_SQLAlchemy", "werkzeug", "torch"]),
        st.sampled_from(["", "[x]", " [x, y] "]),
        st.sampled_from(["", " ", "\t", " \\\n ", "\\\r\n"]),
        st.lists(
            st.builds(
                "{}{}{}".format,
                st.sampled_from(["<", "<=", "==", "~=", ">="]),
                st.sampled_from(["", " "]),
                st.sampled_from(["0.1", "1.0", "2.0.0", "2.2.3", "2.5.0", "3.0", "3.0.dev1"]),
            )
            | st.sampled_from(["==2.*", "== 3.0.*", "<3", "!=1.0"]),
            max_size=3,
        ).map(", ".join)
        | st.sampled_from(["===2.0", "=== 3.1.9"]),
        st.sampled_from(["", " ; python_version > '3'", ";python_version>'3' and os_name!='<1'"]),
        st.sampled_from(["", " \\\n", "  # flask==1", "\t#"]),
    ),
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(LINES, st.sampled_from(["\n", "\r\n"])), max_size=6),
    st.sampled_from(["", "flask==1", "\n"]),
    st.sampled_from(["", "\ufeff"]),
)
def test_after_edits_all_that_can_be_edited_admits_its_pin(
    lines: list[tuple[str, str]], last: str, mark: str
) -> None:
    text = mark + "".join(line + end for line, end in lines) + last
    found = files(text)
    after = found.texts.get(FILE, text)
    again = files(after)
    assert again.texts == {}
    assert again.edits == ()
    assert again.refusals == found.refusals
    for edit in found.edits:
        name = canonicalize_name(Requirement(edit.after).name)
        assert edit.name == name
        assert not Requirement(edit.before).specifier.contains(PINS[name], prereleases=True)
    # As the resolver will read it.
    contents = requirements_file.read(
        Path(FILE).absolute(),
        base=Path.cwd(),
        text_of=lambda path: after if path.name == FILE else "",
        variables={"V": "1"},
    )
    left = {one.line for one in found.refusals}
    for request in contents.requests:
        if request.name in PINS and applies(request.requirement):
            admitted = request.requirement.specifier.contains(PINS[request.name], prereleases=True)
            refusable = bool(request.requirement.url or request.hashes or not admitted)
            assert refusable == (request.origin.line in left)
    # All but versions, and the lines without an edit, are as they were.
    versions = re.compile(r"(?<=[=<>])( *)\d[\w.+*]*")
    before_lines, after_lines = text.split("\n"), after.split("\n")
    pairs = zip(before_lines, after_lines, strict=True)
    changed = {number: pair for number, pair in enumerate(pairs, 1) if pair[0] != pair[1]}
    for old, new in changed.values():
        assert versions.sub(r"\1V", old) == versions.sub(r"\1V", new)
    assert len(changed) == len(found.edits)
    assert all({edit.line, edit.line + 1} & set(changed) for edit in found.edits)


# -- pyproject.toml

PROJECT = """\
# top
[build-system]
requires = ["flask==2.2.2"]

[project]
name = "demo"
dependencies = [  # of it
    "Flask [async] == 2.2.2 ; python_version >= '3'",  # flask==2.2.2
    'werkzeug>=2,<3', "other==1",
\t"flask<3; python_version < \\"3.0\\"" , "flask~=2.2; python_version > \\"3.0\\"",
]

[project.optional-dependencies]
cli = ["flask<3"]
All = ["demo[cli]", '''werkzeug~=2.2''']
web = ["flask==2.*"]

[tool.other]
flask = "flask==2.2.2"

[dependency-groups]
test = [{include-group = "Base"}, "flask>=2", \"\"\"flask\\u003d=2.2\"\"\"]
base = ["flask_sqlalchemy<=3.0"]
docs = ["werkzeug==2.0"]
"""


def replaced(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


ALWAYS = (
    ("[async] == 2.2.2", "[async] == 3.1.9"),
    ("werkzeug>=2,<3", "werkzeug>=2,<4"),
    ("flask~=2.2", "flask~=3.1"),
)
CLI = ('cli = ["flask<3"]', 'cli = ["flask<4"]')
ALL = ("'''werkzeug~=2.2'''", "'''werkzeug~=3.0'''")
WEB = ("flask==2.*", "flask==3.*")
TEST = ('"""flask\\u003d=2.2"""', '"""flask\\u003d=3.1.9"""')
BASE = ("flask_sqlalchemy<=3.0", "flask_sqlalchemy<=3.1.1")
DOCS = ("werkzeug==2.0", "werkzeug==3.0.6")


@pytest.mark.parametrize(
    "convert", [str, lambda text: "\ufeff" + text.replace("\n", "\r\n").rstrip()]
)
@pytest.mark.parametrize(
    ("extras", "groups", "changes"),
    [
        (None, None, (CLI, ALL, WEB, TEST, BASE, DOCS)),
        ((), (), ()),
        (["all"], ["TEST"], (CLI, ALL, TEST, BASE)),
        (["web"], ["docs"], (WEB, DOCS)),
    ],
)
def test_a_project_is_edited_where_it_was_asked_for(
    extras: list[str] | None,
    groups: list[str] | None,
    changes: tuple[tuple[str, str], ...],
    convert: type[str],
) -> None:
    expected = convert(replaced(PROJECT, *ALWAYS, *changes))
    assert edited_toml(convert(PROJECT), extras, groups) == expected
    assert toml(expected, extras, groups) == Edited()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"\\u0066lask==2\\u002E2"', '"\\u0066lask==3.1.9"'),
        ('"""\nflask<3"""', '"""\nflask<4"""'),
        ('"""\\\r\n   flask==\\\n  2.2"""', '"""\\\r\n   flask==\\\n  3.1.9"""'),
        ('"flask==2; python_version > \\"3\\""', '"flask==3.1.9; python_version > \\"3\\""'),
    ],
)
@pytest.mark.parametrize(
    "around", ["project.dependencies = [ {} ,]\n", "project = {{dependencies=[{}], name='x'}}"]
)
def test_strings_are_edited_as_they_are_written(around: str, before: str, after: str) -> None:
    assert edited_toml(around.format(before)) == around.format(after)


def test_an_extra_of_the_project_itself_is_followed_from_a_group() -> None:
    text = '[project]\nname = "demo"\n[project.optional-dependencies]\ncli = ["flask<3"]\n[dependency-groups]\ntest = ["Demo[cli]"]\n'
    assert edited_toml(text, (), ("test",)) == replaced(text, ("<3", "<4"))
    assert edited_toml(text, (), ()) == text


def test_edits_of_a_project_name_their_lines() -> None:
    assert [(one.line, one.before, one.after) for one in toml(PROJECT, (), ()).edits] == [
        (8, "Flask [async] == 2.2.2 ; python_version >= '3'",
         "Flask [async] == 3.1.9 ; python_version >= '3'"),
        (9, "werkzeug>=2,<3", "werkzeug>=2,<4"),
        (10, 'flask~=2.2; python_version > "3.0"', 'flask~=3.1; python_version > "3.0"'),
    ]  # fmt: skip


def test_refusals_in_a_project() -> None:
    found = toml('[project]\ndependencies = [\n"flask!=3.1.9",\n"werkzeug<3",\n]\n')
    assert found.texts["pyproject.toml"] == (
        '[project]\ndependencies = [\n"flask!=3.1.9",\n"werkzeug<4",\n]\n'
    )
    assert found.refusals == (
        Refusal(
            file="pyproject.toml",
            line=3,
            name="flask",
            reason="`!=3.1.9` excludes 3.1.9",
            instead="flask",
        ),
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        '[project]\nname = "x"\ndynamic = ["dependencies"]\n',
        '[tool.setuptools.dynamic]\ndependencies = {file = ["requirements.txt"]}\n',
        '[project]\ndependencies = ["flask", "flask>=2"]\n[dependency-groups]\na = [{include-group = "a"}]\n',
    ],
)
def test_where_nothing_forbids_nothing_changes(text: str) -> None:
    assert toml(text) == Edited()
    assert toml(text, ["x"], ["a"]) == Edited()


def test_what_is_not_toml_is_an_error() -> None:
    with pytest.raises(ValueError, match="line 1"):
        toml("[project\n")


def test_a_layout_that_the_parser_changes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    dumps = tomlkit.dumps
    monkeypatch.setattr(tomlkit, "dumps", lambda document: dumps(document).lstrip())
    found = toml('\n[project]\ndependencies = ["flask==2"]\n')
    assert found.texts == {}
    assert found.edits == ()
    assert [(one.line, one.instead) for one in found.refusals] == [(None, "flask==3.1.9")]


def test_a_text_that_looks_like_a_mark_is_kept() -> None:
    text = 'a = "nox-envs0"\n[project]\ndependencies = ["flask==2"]\n'
    assert edited_toml(text) == replaced(text, ("==2", "==3.1.9"))


POETRY = """\
[tool.poetry]
name = "demo"
dependencies.torch = "2.5.0"

[tool.black]
line-length = 100

[tool.poetry.group.Test.dependencies]
flask = '^2.2'  # why
Flask_SQLAlchemy = { version = "^2" , extras = ["x"] }

[tool.ruff]

[tool.poetry.dev-dependencies]
flask = "2.*"

[tool.poetry.group.docs.dependencies]
flask = [
    {version = "<3", python = "<3.8"},
    {version = ">=2 <3", python = ">=3.8"},
]
werkzeug = "^2 || ^3"

[[tool.poetry.group.docs.dependencies.torch]]
version = "<=2.4"

[tool.poetry.group.docs.dependencies."flask.sqlalchemy"]
version = "~2.2"
optional = true
"""
MAIN = ('"2.5.0"', '"2.5.1+cpu"')
POETRY_TEST = (("'^2.2'", "'^3.1'"), ('"^2" ,', '"^3" ,'))
POETRY_DEV = ('"2.*"', '"3.*"')
POETRY_DOCS = ((">=2 <3", ">=2 <4"), ("<=2.4", "<=2.5.1"), ("~2.2", "~3.1"))


@pytest.mark.parametrize(
    ("groups", "changes"),
    [
        (None, (MAIN, *POETRY_TEST, POETRY_DEV, *POETRY_DOCS)),
        ((), (MAIN,)),
        (["test"], (MAIN, *POETRY_TEST)),
        (["dev", "docs"], (MAIN, POETRY_DEV, *POETRY_DOCS)),
    ],
)
def test_poetry_tables(groups: list[str] | None, changes: tuple[tuple[str, str], ...]) -> None:
    expected = replaced(POETRY, *changes)
    assert edited_toml(POETRY, None, groups) == expected
    assert toml(expected, None, groups) == Edited()


SESSIONS = """\
[tool.nox-envs.sessions.base]
dependencies = ['flask==2.2']  # why
install = "werkzeug<3"

[tool.nox-envs.sessions.other]
extends = "other"
dependencies = ["flask==2.1"]

[tool.nox-envs.sessions.test]
extends = ["base", "tests"]
matrix = { torch = ["2.5.0"] }
install = ["pytest==1", "werkzeug==2"]

[tool.nox-envs.sessions.round]
extends = ["base", "other", "round"]
install = []
"""


@pytest.mark.parametrize(
    ("sessions", "changes"),
    [
        ((), ()),
        (["test"], (("'flask==2.2'", "'flask==3.1.9'"), ("werkzeug==2", "werkzeug==3.0.6"))),
        (["base"], (("'flask==2.2'", "'flask==3.1.9'"), ("werkzeug<3", "werkzeug<4"))),
        (["other", "round", "gone"], (("flask==2.1", "flask==3.1.9"),)),
    ],
)
def test_sessions_of_a_table(sessions: list[str], changes: tuple[tuple[str, str], ...]) -> None:
    fields = [(name, key) for name in sessions for key in ("install", "dependencies")]
    found = pyproject(
        "pyproject.toml", SESSIONS, PINS, extras=(), groups=(), applies=applies, sessions=fields
    )
    assert found.refusals == ()
    assert len(found.edits) == len(changes)
    assert found.texts.get("pyproject.toml", SESSIONS) == replaced(SESSIONS, *changes)


def test_what_counts_of_a_table_and_of_a_project() -> None:
    text = f'[project]\ndependencies = ["flask==2.3"]\n{SESSIONS}'

    def after(*fields: str, project: bool = False) -> str:
        found = pyproject(
            "pyproject.toml", text, PINS, extras=(), groups=(), applies=applies,
            sessions=[("test", one) for one in fields], project=project,
        )  # fmt: skip
        return found.texts.get("pyproject.toml", text)

    # What it extends at last says the other field.
    assert after("install") == replaced(text, ("werkzeug==2", "werkzeug==3.0.6"))
    assert after("dependencies") == replaced(text, ("'flask==2.2'", "'flask==3.1.9'"))
    assert after() == text
    assert after(project=True) == replaced(text, ("flask==2.3", "flask==3.1.9"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("^2.2.2", "^3.1.9"),
        ("^2", "^3"),
        ("~2", "~3"),
        ("~=2.2", "~=3.1"),
        ("2.2.2", "3.1.9"),
        ("==2.2.2", "==3.1.9"),
        ("<= 2.2", "<= 3.1.9"),
        (">=2.0, <3.0", ">=2.0, <4.0"),
        ("*", "*"),
        (">=2", ">=2"),
        ("=2.2", "=3.1.9"),
        ("^1 || ^3", "^1 || ^3"),
    ],
)
def test_poetry_constraints(before: str, after: str) -> None:
    text = '[tool.poetry.dependencies]\npython = "^3.8"\nflask = "{}"\n'
    assert edited_toml(text.format(before)) == text.format(after)


@pytest.mark.parametrize(
    ("entry", "reason", "instead"),
    [
        ('"^1 || ^2"', "`^1 || ^2` has alternatives", 'flask = "3.1.9"'),
        ('"!=3.1.9"', "`!=3.1.9` excludes 3.1.9", 'flask = "*"'),
        (
            '{version = ">= 2, !=3.1.9, <3"}',
            "`!=3.1.9` excludes 3.1.9",
            'version = ">= 2,<4"',
        ),
        (
            '{version = "^2", git = "https://example.org/x"}',
            "flask is a direct reference",
            'flask = "3.1.9"',
        ),
        (
            '{version = "^2", python = "^2 || ^3"}',
            "flask cannot be read: ^2 || ^3: alternatives (||) have no form in PEP 440",
            'version = "3.1.9"',
        ),
    ],
)
def test_poetry_refusals(entry: str, reason: str, instead: str) -> None:
    found = toml(f"[tool.poetry.dependencies]\nflask = {entry}\n")
    assert found.texts == {}
    assert found.refusals == (
        Refusal(file="pyproject.toml", line=2, name="flask", reason=reason, instead=instead),
    )


def test_an_edit_of_poetry_reads_as_its_line() -> None:
    [edit] = toml('[tool.poetry.dependencies]\nflask = {version = "^2.2"}\n').edits
    assert (edit.before, edit.after) == ('flask = "^2.2"', 'flask = "^3.1"')


# -- floors

FLOORS = {
    canonicalize_name(name): Version(version)
    for name, version in {"flask": "2.3.1", "werkzeug": "3.0"}.items()
}


def floor(requirement: Requirement) -> Version | None:
    return FLOORS[canonicalize_name(requirement.name)] if applies(requirement) else None


BEGIN = Aim(names=FLOORS, version=floor, floors=True)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (">=2.0", ">=2.3.1"),
        (">=3", ">=2.3.1"),
        (">2.3.1", ">=2.3.1"),
        (">2", ">=2.3.1"),
        (">=2.0,<3,!=2.2", ">=2.3.1,!=2.2,<3"),
        ("~=2.2.5", ">=2.3.1,<2.3"),
        ("~=2.3.0", "~=2.3.1"),
        ("~=2.2", ">=2.3.1,<3"),
        ("~=1!2.2", ">=2.3.1,<1!3"),
        ("==2.*", ">=2.3.1,<3"),
        (">=2.0,==2.*", ">=2.3.1,<3"),
        (">=2.0,>=2.1", ">=2.3.1"),
        ("", ">=2.3.1"),
        ("<3", ">=2.3.1,<3"),
        ("!=2.2,<3", ">=2.3.1,!=2.2,<3"),
        (">=2.3.1", None),
        (">=2.3.1.0,<3", None),
        ("~=2.3.1", None),
        ("==2.3.1", None),
    ],
)
def test_a_specifier_begins_at_a_floor(before: str, after: str | None) -> None:
    found = floored(Requirement(f"flask{before}"), Version("2.3.1"))
    assert (found and sorted(found.split(","))) == (after and sorted(after.split(",")))


def test_a_series_stays_one_where_the_floor_has_its_length() -> None:
    assert floored(Requirement("flask~=2.1"), Version("2.3.0")) == "~=2.3"
    assert floored(Requirement("flask~=2.1,!=2.2"), Version("2.3")) == "~=2.3,!=2.2"
    assert floored(Requirement("flask>=2.1"), Version("2.3.0")) == ">=2.3.0"


@pytest.mark.parametrize(
    ("requirement", "reason"),
    [
        ("flask==2.2.2", "`==2.2.2` asks for one release, not for 2.3.1"),
        ("flask===2.2.2,<3", "`===2.2.2` asks for one release"),
        ("flask @ https://example.org/flask.zip", "flask is a direct reference"),
    ],
)
def test_what_has_no_lower_bound_to_correct(requirement: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        floored(Requirement(requirement), Version("2.3.1"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("flask>=2.0\n", "flask>=2.3.1\n"),
        ("\ufeffFlask [async] >= 2.0 , < 3 ; python_version > '3'  # flask>=2.0\r\n",
         "\ufeffFlask [async] >= 2.3.1 , < 3 ; python_version > '3'  # flask>=2.0\r\n"),
        ("flask\t#why", "flask>=2.3.1\t#why"),
        ("flask[async, b] ;python_version>'3'\n", "flask[async, b]>=2.3.1 ;python_version>'3'\n"),
        ("flask (<3)\nflask ( > 2 )\n", "flask (>=2.3.1,<3)\nflask ( >=2.3.1 )\n"),
        ("flask \\\n  >=2.0, \\\n <3\nwerkzeug", "flask \\\n  >=2.3.1, \\\n <3\nwerkzeug>=3.0"),
        ("flask>=2.0;python_version<'3'\nflask>=2.0;python_version>'3'\n",
         "flask>=2.0;python_version<'3'\nflask>=2.3.1;python_version>'3'\n"),
        ("werkzeug~=2.0\nwerkzeug~=3.0\nwerkzeug==3.*\n",
         "werkzeug>=3.0,<3\nwerkzeug~=3.0\nwerkzeug==3.*\n"),
    ],
)  # fmt: skip
def test_lower_bounds_in_requirement_files(before: str, after: str) -> None:
    found = edit_lines.edited(FILE, before, BEGIN)
    assert (found.refusals, found.texts) == ((), {FILE: after})
    assert edit_lines.edited(FILE, after, BEGIN) == Edited()


def test_lower_bounds_that_are_refused() -> None:
    text = (
        "flask[b,a]==2.2.2,<3 ; python_version>'3'\nflask==${FLASK}\n"
        "werkzeug @ https://example.org/w.zip\nwerkzeug>=2 --hash=sha256:aa\n"
    )
    found = edit_lines.edited(FILE, text, BEGIN)
    assert found.texts == {}
    assert [(one.line, one.reason, one.instead) for one in found.refusals][:3] == [
        (1, "`==2.2.2` asks for one release, not for 2.3.1",
         'flask[a,b]<3 ; python_version > "3"'),
        (2, "flask takes its version from a variable", "flask>=2.3.1"),
        (3, "werkzeug is a direct reference", "werkzeug>=3.0"),
    ]  # fmt: skip
    [exact] = edit_lines.edited(FILE, "flask==2.2.2", BEGIN).refusals
    assert exact.instead == "flask>=2.3.1"
    assert found.refusals[3].reason == "the hashes are those of `werkzeug>=2`"
    compiled = UV.format("uv pip compile a.in") + "flask>=2.0\n"
    [refusal] = edit_lines.edited(FILE, compiled, BEGIN).refusals
    assert refusal.instead == "write flask>=2.3.1 in its source"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"flask>=2.0,<3"', '"flask>=2.3.1,<3"'),
        ("'flask>2'", "'flask>=2.3.1'"),
        ('"flask"', '"flask>=2.3.1"'),
        ('"flask[x] ; python_version > \\"3\\""', '"flask[x]>=2.3.1 ; python_version > \\"3\\""'),
        ('"""\nflask"""', '"""\nflask>=2.3.1"""'),
        ('"\\u0066lask\\u003e=2"', '"\\u0066lask\\u003e=2.3.1"'),
        ('"\\u0066las\\u006b"', '"\\u0066las\\u006b>=2.3.1"'),
        ('"flask~=2.2"', '"flask>=2.3.1,<3"'),
    ],
)
def test_lower_bounds_in_a_project(before: str, after: str) -> None:
    around = "# top\n[project]\ndependencies = [  # of it\n  {}, # why\n]\n"
    found = edit_tables.edited("p", around.format(before), BEGIN, extras=(), groups=())
    assert (found.refusals, found.texts) == ((), {"p": around.format(after)})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("^2.2", "^2.3.1"),
        ("^2", "^2.3.1"),
        ("^3.0", ">=2.3.1,<4"),
        ("~2.2", ">=2.3.1,<2.3"),
        ("~2", ">=2.3.1,<3"),
        ("~2.3", "~2.3.1"),
        ("~=2.3.0", "~=2.3.1"),
        (">2.0 <3.0", ">=2.3.1 <3.0"),
        (">= 2.0, <3.0", ">= 2.3.1, <3.0"),
        ("2.*", ">=2.3.1,<3"),
        ("*", ">=2.3.1"),
        ("", ">=2.3.1"),
        ("<3.0", ">=2.3.1,<3.0"),
        ("^2.3.1", "^2.3.1"),
        ("2.3.1", "2.3.1"),
    ],
)
def test_lower_bounds_of_poetry(before: str, after: str) -> None:
    text = '[tool.poetry.dependencies]\npython = "^3.8"\nflask = {{ version = \'{}\', extras = ["x"] }} # y\n'
    found = edit_tables.edited("p", text.format(before), BEGIN, extras=(), groups=())
    assert found.refusals == ()
    assert found.texts.get("p", text.format(before)) == text.format(after)


@pytest.mark.parametrize(
    ("entry", "reason", "instead"),
    [
        ('"^1 || ^2"', "`^1 || ^2` has alternatives", 'flask = ">=2.3.1"'),
        ('"^1 || ^2.3.1"', "`^1 || ^2.3.1` has alternatives", 'flask = ">=2.3.1"'),
        ('"2.2.2"', "`2.2.2` asks for one release, not for 2.3.1", 'flask = ">=2.3.1"'),
        ('{git = "https://example.org/x"}', "flask is a direct reference", 'flask = ">=2.3.1"'),
    ],
)
def test_lower_bounds_of_poetry_that_are_refused(entry: str, reason: str, instead: str) -> None:
    text = f"[tool.poetry.dependencies]\nflask = {entry}\n"
    found = edit_tables.edited("p", text, BEGIN, extras=(), groups=())
    assert found.texts == {}
    assert [(one.reason, one.instead) for one in found.refusals] == [(reason, instead)]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.builds(
            "{}{}".format,
            st.sampled_from([">=", ">", "~=", "<", "<=", "!="]),
            st.sampled_from(["0.1", "1.0", "2.0.0", "2.3", "2.3.1", "2.3.5", "3.0.0"]),
        )
        | st.sampled_from(["==2.*", "==2.3.*", "!=2.2.*"]),
        max_size=3,
        unique=True,
    ),
    st.sampled_from([Version("2.3.1"), Version("2.3"), Version("1.5")]),
)
def test_what_begins_at_a_floor_keeps_its_other_end(clauses: list[str], lowest: Version) -> None:
    before = Requirement(f"flask{','.join(clauses)}")
    text = floored(before, lowest)
    after = before.specifier if text is None else Requirement(f"flask{text}").specifier
    for version in map(
        Version, ("1.4", "1.5", "2.0", "2.2", "2.3", "2.3.1", "2.4", "2.9", "3.0", "3.1")
    ):
        ends = [each for each in before.specifier if each.operator in {"<", "<=", "!="}]
        ends += [each for each in before.specifier if each.operator in {"~=", "=="}]
        below = {"~=": "<", "==": "<"}
        admitted = version >= lowest and all(
            each.contains(version) if each.operator not in below else version < _end(str(each))
            for each in ends
        )
        assert after.contains(version) == admitted, (str(before), text, version)


def _end(clause: str) -> Version:
    """Where `~=2.3` and `==2.*` end."""
    ends = {
        "==2.*": "3", "==2.3.*": "2.4", "~=0.1": "1", "~=1.0": "2", "~=2.0.0": "2.1", "~=2.3": "3",
        "~=2.3.1": "2.4", "~=2.3.5": "2.4", "~=3.0.0": "3.1",
    }  # fmt: skip
    return Version(ends[clause])


# -- diff


def test_a_diff_can_be_applied() -> None:
    before = {"a.txt": "x\r\nflask==2\r\ny", "b.txt": "same\n", "c.txt": "flask==2"}
    after = {"a.txt": "x\r\nflask==3\r\ny", "c.txt": "flask==3"}
    assert diff(before, after) == (
        "--- a/a.txt\n+++ b/a.txt\n@@ -1,3 +1,3 @@\n x\r\n-flask==2\r\n+flask==3\r\n"
        " y\n\\ No newline at end of file\n"
        "--- a/c.txt\n+++ b/c.txt\n@@ -1 +1 @@\n"
        "-flask==2\n\\ No newline at end of file\n+flask==3\n\\ No newline at end of file\n"
    )
    assert diff(before, {}) == ""
