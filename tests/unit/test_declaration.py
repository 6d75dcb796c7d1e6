"""Declarations: everything that is accepted, and every mistake with its address."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from nox_envs.declaration import Declaration, parse
from nox_envs.errors import DeclarationError
from nox_envs.pyproject import Pyproject


def declared(**options: Any) -> Declaration:
    return parse("test", options, where="noxfile.py:3, session test")


def mistakes(pyproject: Pyproject | None = None, **options: Any) -> list[str]:
    with pytest.raises(DeclarationError) as caught:
        parse("test", options, where="noxfile.py:3, session test", pyproject=pyproject)
    return caught.value.detail.splitlines()


def test_every_list_may_be_a_single_string() -> None:
    one = declared(
        python="3.11", dependencies="flask", requirements="r.txt", constraints="c.txt",
        matrix={"django": "4.2"}, exclude={"python": "<3.10"}, pass_env="CI", build="x",
        tree_include="*.bin",
    )  # fmt: skip
    many = declared(
        python=["3.11"], dependencies=["flask"], requirements=["r.txt"], constraints=["c.txt"],
        matrix={"django": ["4.2"]}, exclude=[{"python": ["<3.10"]}], pass_env=["CI"], build=["x"],
        tree_include=["*.bin"],
    )  # fmt: skip
    assert one.single_python
    assert not many.single_python
    for name in Declaration.__dataclass_fields__:
        if name != "single_python":
            assert getattr(one, name) == getattr(many, name), name


def test_all_mistakes_are_reported_at_once() -> None:
    assert mistakes(
        python=[3.10],
        dependencies=["flask", "-r requirements.txt", "django 4.2"],
        dependancies=["x"],
        matrix={"django": [4.2, "5.2"], "python": ["3.11"]},
        exclude=[{"djngo": "5.2"}, {"django": "5.1"}],
        project="weel",
        timeout=-1,
        cooldown="soon",
    ) == [
        "dependancies: is not a parameter",
        "    did you mean dependencies?",
        "matrix['django'][0]: 4.2 is a number",
        '    write "4.2", with quotes',
        "matrix['python']: cannot be an axis",
        "    the parameter python= is for that",
        "python[0]: 3.1 is a number",
        '    write the version in quotes, such as "3.10"',
        "exclude[0]['djngo']: is neither python nor an axis",
        "    did you mean django?",
        "exclude[1]['django']: '5.1' is no value of django",
        "    did you mean 5.2?",
        "dependencies[1]: '-r requirements.txt' is not a requirement",
        '    write requirements=["requirements.txt"]',
        (
            "dependencies[2]: 'django 4.2' is not a requirement: "
            "Expected semicolon (after name with no version specifier) or end"
        ),
        '    write "django==4.2"',
        "project: 'weel' is not one of 'wheel', 'editable', 'dependencies', False",
        "    did you mean wheel?",
        "cooldown: 'soon' is not a duration",
        '    write cooldown="7 days"',
        "timeout: -1 is not a positive number of seconds",
    ]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("-r requirements.txt", 'write requirements=["requirements.txt"]'),
        ("-c constraints.txt", 'write constraints=["constraints.txt"]'),
        ("-e .", 'write project="editable"'),
        (".", 'write project="wheel"'),
        (".[cli]", 'write project="wheel", extras=["cli"]'),
        ("--group test", 'write groups=["test"]'),
        ("requirements.txt", 'write requirements=["requirements.txt"]'),
    ],
)
def test_what_belongs_elsewhere_is_answered_with_the_right_line(text: str, hint: str) -> None:
    assert mistakes(dependencies=[text])[1].strip() == hint


@pytest.mark.parametrize(
    ("options", "address"),
    [
        ({"python": []}, "python"),
        ({"python": False}, "python"),
        ({"python": ["3.11", "3.11"]}, "python"),
        ({"python": [3.11]}, "python[0]"),
        ({"py": "3.11"}, "py"),
        ({"matrix": {"django": []}}, "matrix['django']"),
        ({"matrix": {"django": ["4.2", "4.2"]}}, "matrix['django'][1]"),
        ({"matrix": {"django": ["nope nope"]}}, "matrix['django'][0]"),
        ({"matrix": {"-x": ["1"]}}, "matrix['-x']"),
        ({"matrix": ["django"]}, "matrix"),
        ({"matrix": {"a-b": ["1"], "a_b": ["2"]}}, "matrix['a_b']"),
        ({"matrix": {"d": ["1"]}, "exclude": [{"python": "3.x<"}]}, None),
        ({"matrix": {"d": ["1"]}, "exclude": [{"python": "<x"}]}, "exclude[0]['python']"),
        ({"exclude": [{}]}, "exclude[0]"),
        ({"matrix": {"d": ["1"]}, "include": [{"python": "3.12"}]}, "include[0]"),
        ({"include": [{"python": ">=3.12"}]}, "include[0]['python']"),
        ({"requirements": ["flask==2"]}, "requirements[0]"),
        ({"requirements": [""]}, "requirements[0]"),
        ({"lock": "my.lock.toml"}, "lock"),
        ({"lock": "pylock.toml", "locked": True}, "lock"),
        ({"locked": "yes"}, "locked"),
        ({"resolution": "highst"}, "resolution"),
        ({"prerelease": 1}, "prerelease"),
        ({"env": {"A": 1}}, "env['A']"),
        ({"env": ["A"]}, "env"),
        ({"env_file": 3}, "env_file"),
        ({"pass_env": {"A": "b"}}, "pass_env"),
        ({"directory": 1}, "directory"),
        ({"timeout": True}, "timeout"),
        ({"isolation": "copies"}, "isolation"),
        ({"skip_unchanged": "x"}, "skip_unchanged"),
        ({"build": [1]}, "build[0]"),
        ({"tree": "own"}, "tree"),
        ({"tree_include": 3}, "tree_include"),
        ({"venv_backend": "conda"}, "venv_backend"),
        ({"dependencies": ["../libx"]}, "dependencies[0]"),
        ({"dependencies": ["foo\n-r x"]}, "dependencies[0]"),
        ({"dependencies": [3]}, "dependencies[0]"),
        ({"project": False, "extras": ["cli"]}, "extras"),
    ],
)
def test_a_mistake_has_its_address(options: dict[str, Any], address: str | None) -> None:
    if address is None:
        declared(**options)
        return
    assert mistakes(**options)[0].startswith(f"{address}: "), mistakes(**options)


def test_groups_and_extras_are_checked_against_pyproject() -> None:
    pyproject = Pyproject.from_dict(
        {
            "project": {"name": "demo", "optional-dependencies": {"cli": []}},
            "dependency-groups": {"test": []},
        }
    )
    assert mistakes(pyproject, groups=["tests"], extras=["clii"]) == [
        "groups[0]: pyproject.toml has no dependency group 'tests'",
        "    did you mean test?",
        "extras[0]: pyproject.toml has no extra 'clii'",
        "    did you mean cli?",
    ]
    found = parse("t", {"groups": "Test", "extras": "CLI"}, where="", pyproject=pyproject)
    assert (found.groups, found.extras) == (("Test",), ("CLI",))


def test_durations() -> None:
    assert declared(cooldown="7 days").cooldown == timedelta(days=7)
    assert declared(cooldown="36 hours").cooldown == timedelta(hours=36)


def test_nox_gets_its_own_parameters() -> None:
    host = {"tags": ["t"], "default": False, "requires": ["a"], "venv_params": ["-x"]}
    assert declared(**host).host == host
