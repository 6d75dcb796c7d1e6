"""Ends of the logs of upgrades that broke, and the distributions that they point at."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nox_envs.run.suspects import modules, suspects

LOGS = Path(__file__).parent / "data" / "logs"

OWNERS = {
    "_pytest": ["pytest"],
    "black": ["black"],
    "click": ["click"],
    "docker": ["docker"],
    "environs": ["environs"],
    "flask": ["Flask"],
    "flask_sqlalchemy": ["Flask-SQLAlchemy"],
    "httpx": ["httpx"],
    "jinja2": ["Jinja2"],
    "lxml": ["lxml"],
    "markupsafe": ["MarkupSafe"],
    "marshmallow": ["marshmallow"],
    "openai": ["openai"],
    "pkg_resources": ["setuptools"],
    "pydantic": ["pydantic"],
    "pytest": ["pytest"],
    "readability": ["readability-lxml"],
    "requests": ["requests"],
    "requests_toolbelt": ["requests-toolbelt"],
    "sqlalchemy": ["SQLAlchemy"],
    "urllib3": ["urllib3"],
    "werkzeug": ["Werkzeug"],
    "yaml": ["PyYAML"],
}

BROKEN = {
    "flask and werkzeug 3": (
        """\
    from .app import Flask as Flask
  File "/e/lib/python3.11/site-packages/flask/app.py", line 30, in <module>
    from werkzeug.urls import url_quote
ImportError: cannot import name 'url_quote' from 'werkzeug.urls' (/e/lib/python3.11/site-packages/werkzeug/urls.py)
""",
        ("werkzeug", "flask"),
    ),
    "jinja2 and markupsafe 2.1": (
        """\
    from .filters import FILTERS as DEFAULT_FILTERS  # noqa: F401
  File "/e/lib/python3.9/site-packages/jinja2/filters.py", line 13, in <module>
    from markupsafe import soft_unicode
ImportError: cannot import name 'soft_unicode' from 'markupsafe' (/e/lib/python3.9/site-packages/markupsafe/__init__.py)
""",
        ("markupsafe", "jinja2"),
    ),
    "pydantic 2": (
        """\
Traceback (most recent call last):
  File "<string>", line 1, in <module>
  File "/e/lib/python3.11/site-packages/pydantic/_migration.py", line 295, in wrapper
    raise PydanticImportError(
pydantic.errors.PydanticImportError: `BaseSettings` has been moved to the `pydantic-settings` package. See https://docs.pydantic.dev/2.0/migration/ for more details.

For further information visit https://errors.pydantic.dev/2.0/u/import-error
""",
        ("pydantic",),
    ),
    "flask-sqlalchemy and sqlalchemy 2": (
        """\
    _include_sqlalchemy(self, query_class)
  File "/e/lib/python3.10/site-packages/flask_sqlalchemy/__init__.py", line 112, in _include_sqlalchemy
    for key in module.__all__:
AttributeError: module 'sqlalchemy' has no attribute '__all__'. Did you mean: '__file__'?
""",
        ("sqlalchemy", "flask-sqlalchemy"),
    ),
    "requests-toolbelt and urllib3 2": (
        """\
    from .._compat import poolmanager
  File "/e/lib/python3.11/site-packages/requests_toolbelt/_compat.py", line 50, in <module>
    from urllib3.contrib import appengine as gaecontrib
ImportError: cannot import name 'appengine' from 'urllib3.contrib' (/e/lib/python3.11/site-packages/urllib3/contrib/__init__.py)
""",
        ("urllib3", "requests-toolbelt"),
    ),
    "black and click 8.1, in a process of its own": (
        """\
Traceback (most recent call last):
  File "<string>", line 4, in <module>
AssertionError: Traceback (most recent call last):
  File "/usr/lib/python3.9/runpy.py", line 197, in _run_module_as_main
    return _run_code(code, main_globals, None,
  File "/e/lib/python3.9/site-packages/black/__init__.py", line 1358, in patch_click
    from click import _unicodefun
ImportError: cannot import name '_unicodefun' from 'click' (/e/lib/python3.9/site-packages/click/__init__.py)
""",
        ("click", "black"),
    ),
    "environs and marshmallow 4": (
        """\
  File "/e/lib/python3.11/site-packages/environs/__init__.py", line 58, in <module>
    _SUPPORTS_LOAD_DEFAULT = ma.__version_info__ >= (3, 13)
                             ^^^^^^^^^^^^^^^^^^^
AttributeError: module 'marshmallow' has no attribute '__version_info__'
""",
        ("marshmallow", "environs"),
    ),
    "readability and lxml 5.2": (
        """\
  File "/e/lib/python3.11/site-packages/readability/cleaners.py", line 3, in <module>
    from lxml.html.clean import Cleaner
  File "/e/lib/python3.11/site-packages/lxml/html/clean.py", line 18, in <module>
    raise ImportError(
ImportError: lxml.html.clean module is now a separate project lxml_html_clean.
Install lxml[html_clean] or lxml_html_clean directly.
""",
        ("lxml", "readability-lxml"),
    ),
    "pytest 8, of which only the summary is left": (
        """\
../v/lib/python3.11/site-packages/_pytest/python.py:887: PytestRemovedIn8Warning
=========================== short test summary info ============================
ERROR test_a.py::TestX::test - pytest.PytestRemovedIn8Warning: Support for no...
1 error in 0.40s
""",
        ("pytest",),
    ),
    "pyyaml 6, in a test": (
        """\
=================================== FAILURES ===================================
___________________________________ test_it ____________________________________

    def test_it():
        import yaml
>       assert yaml.load("a: 1")=={"a":1}
E       TypeError: load() missing 1 required positional argument: 'Loader'

test_it.py:3: TypeError
""",
        ("pyyaml",),
    ),
    "a module that is gone": (
        "E   ModuleNotFoundError: No module named 'pkg_resources.extern'\n",
        ("setuptools",),
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_broke_comes_first(case: str) -> None:
    log, expected = BROKEN[case]
    assert suspects(modules(log), OWNERS) == expected


def test_what_an_exception_was_raised_from_counts() -> None:
    log = (LOGS / "chained.txt").read_text(encoding="utf-8")
    assert suspects(modules(log), OWNERS) == ("requests", "urllib3", "docker")


OPENAI = """\
  File "/e/lib/python3.11/site-packages/openai/_base_client.py", line 755, in __init__
    super().__init__(**kwargs)
TypeError: Client.__init__() got an unexpected keyword argument 'proxies'
"""


def test_only_what_changed_is_an_answer() -> None:
    log, _ = BROKEN["flask and werkzeug 3"]
    assert suspects(modules(log), OWNERS, changed=["FLASK", "lxml"]) == ("flask",)
    assert suspects(modules(log), OWNERS, changed=[]) == ()


def test_a_change_that_a_suspect_requires_comes_after() -> None:
    requires = {"openai": ["HTTPX", "pydantic"]}
    found = modules(OPENAI)

    assert suspects(found, OWNERS, requires=requires) == ("openai",)
    assert suspects(found, OWNERS, changed=["httpx"], requires=requires) == ("httpx",)
    both = suspects(found, OWNERS, changed=["httpx", "openai"], requires=requires)
    assert both == ("openai", "httpx")


def test_the_runner_comes_last() -> None:
    log = (LOGS / "pytest9.txt").read_text(encoding="utf-8")
    assert modules(log)[-1] == "_pytest"


def test_a_namespace_has_several_owners() -> None:
    assert suspects(["google"], {"google": ["protobuf", "google_auth"]}) == (
        "google-auth",
        "protobuf",
    )


def test_without_a_traceback_the_end_counts_most() -> None:
    assert modules("No module named 'flask'\nNo module named 'click'\n") == ("click", "flask")


def test_without_any_name_there_is_none() -> None:
    assert modules("") == ()
    assert suspects((), OWNERS) == ()


@settings(max_examples=100)
@given(st.lists(st.sampled_from([log for log, _ in BROKEN.values()]) | st.text(), max_size=4))
def test_any_log_has_a_short_answer(logs: list[str]) -> None:
    found = modules("\n".join(logs))

    assert len(found) <= 50
    assert len(set(found)) == len(found)
