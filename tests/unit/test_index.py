"""The pages of an index, in both forms, and what is nearest to what is not there."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from nox_envs._http import Answer, TransportError, without_credentials
from nox_envs.resolve.index import (
    File,
    NotThere,
    Release,
    Releases,
    Unreachable,
    latest,
    lowest,
    nearest,
    releases,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON = "application/vnd.pypi.simple.v1+json"
HTML = "text/html; charset=utf-8"
URL = "https://example.org/simple/"


class Web:
    """Answers by URL, which notes what it was asked."""

    def __init__(self, answers: Mapping[str, Answer | TransportError]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, url: str, headers: Mapping[str, str]) -> Answer:
        assert JSON in headers["Accept"]
        assert "text/html" in headers["Accept"]
        self.asked.append(url)
        found = self.answers.get(url, status(404))
        if isinstance(found, TransportError):
            raise found
        return found


def status(code: int) -> Answer:
    return Answer(status=code, headers={"content-type": "text/html"}, body=b"<h1>no</h1>")


def page(body: str, kind: str = HTML) -> Answer:
    return Answer(status=200, headers={"content-type": kind}, body=body.encode())


def asked(body: str, kind: str = HTML, name: str = "demo") -> Releases | NotThere | Unreachable:
    return releases(name, [URL], Web({f"{URL}{name}/": page(body, kind)}))


def found(body: str, kind: str = HTML, name: str = "demo") -> Releases:
    answer = asked(body, kind, name)
    assert isinstance(answer, Releases)
    return answer


def test_the_two_forms_say_the_same() -> None:
    files: list[dict[str, Any]] = [
        {
            "filename": "demo-1.0.tar.gz",
            "requires-python": ">=3.8, <4",
            "upload-time": "2024-01-02T03:04:05.123456Z",
        },
        {"filename": "demo-1.0-py3-none-any.whl", "requires-python": ">=3.8, <4"},
        {"filename": "demo-1.1-py3-none-any.whl", "yanked": "broken & sad\n\x1b[31mred"},
        {"filename": "demo-1.2rc1-py3-none-any.whl", "yanked": True, "requires-python": "oops"},
    ]
    by_json = found(
        json.dumps({"meta": {"api-version": "1.1"}, "name": "demo", "files": files}), JSON
    )
    by_html = found(
        """<!DOCTYPE html><html><head>
        <base href="https://files.example.org/a/"><meta name="pypi:repository-version" content="1.3">
        <title>Links for demo</title></head><body>
        <a href="../b/demo-1.0.tar.gz#sha256=00" data-requires-python="&gt;=3.8, &lt;4"
           data-upload-time="2024-01-02T03:04:05.123456Z">demo-1.0.tar.gz</a><br>
        <a href="demo-1.0-py3-none-any.whl" data-requires-python="&gt;=3.8, &lt;4">x</a>
        <a href="/c/demo-1%2E1-py3-none-any.whl?x=1" data-yanked="broken &amp; sad
\x1b[31mred">y</a>
        <A HREF='https://cdn.example.org/demo-1.2rc1-py3-none-any.whl' data-yanked
           data-requires-python="oops">z</A></body></html>"""
    )
    assert by_json == by_html
    assert by_json == Releases(
        name=by_json.name,
        releases=(
            Release(
                version=Version("1.0"),
                files=(
                    File(
                        filename="demo-1.0.tar.gz",
                        requires_python=SpecifierSet(">=3.8,<4"),
                        upload_time=datetime(2024, 1, 2, 3, 4, 5, 123456, tzinfo=timezone.utc),
                        is_wheel=False,
                    ),
                    File(
                        filename="demo-1.0-py3-none-any.whl",
                        requires_python=SpecifierSet(">=3.8,<4"),
                    ),
                ),
            ),
            Release(
                version=Version("1.1"),
                files=(
                    File(
                        filename="demo-1.1-py3-none-any.whl",
                        yanked=True,
                        yank_reason="broken & sad [31mred",
                    ),
                ),
            ),
            Release(
                version=Version("1.2rc1"),
                files=(File(filename="demo-1.2rc1-py3-none-any.whl", yanked=True),),
            ),
        ),
    )


@pytest.mark.parametrize(
    "filename",
    [
        "", "demo", "demo-1.0.egg", "demo-1.0.exe", "demo-1.0.tar.gz.asc", "demo-one.tar.gz",
        "demo-1.0.whl", "demo-1.0-py3-none.whl", "other-1.0-py3-none-any.whl", "../../etc/passwd",
        "demo-extra-1.0.tar.gz",
    ],
)  # fmt: skip
def test_garbage_is_passed_over(filename: str) -> None:
    good = "Demo_-1.0-py3-none-any.whl".replace("_", "")
    body = json.dumps({"files": [{"filename": filename}, 3, {}, None, {"filename": good}]})
    assert [str(release.version) for release in found(body, JSON)] == ["1.0"]
    body = (
        f'<a href="{filename}">x</a><a name="y"></a><a href="http://[">z</a><a href="{good}">y</a>'
    )
    assert [str(release.version) for release in found(body)] == ["1.0"]


def test_names_are_normalized_in_addresses_and_file_names() -> None:
    web = Web({f"{URL}zope-interface/": page('<a href="zope.interface-5.0.tar.gz">x</a>')})
    answer = releases("Zope.Interface", [URL], web)
    assert isinstance(answer, Releases)
    assert answer.name == "zope-interface"
    assert len(answer.releases) == 1


def test_an_empty_page_of_an_index_is_an_answer() -> None:
    for body in (
        '<meta name="pypi:repository-version" content="1.0"><body></body>',
        "<html><title>Links for demo</title><h1>Links for demo</h1></html>",
    ):
        assert found(body).releases == ()
    assert found('{"files": []}', JSON).releases == ()


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        ("<form action=/login><a href=/help>help</a></form>", HTML, "not a page of a package"),
        ("", HTML, "not a page of a package"),
        ("<h1>Welcome</h1>", "", "not a page of a package"),
        ('{"files": [', JSON, "not JSON"),
        ('{"message": "log in"}', "application/json", "not a page of a package"),
        ("[]", JSON, "not a page of a package"),
        ('{"meta": {"api-version": "2.0"}, "files": []}', JSON, "speaks version 2.0 of its API"),
    ],
)
def test_what_is_no_page_of_an_index_says_nothing(body: str, kind: str, reason: str) -> None:
    answer = asked(body, kind)
    assert isinstance(answer, Unreachable)
    assert reason in answer.reason
    assert answer.url == f"{URL}demo/"


@pytest.mark.parametrize("code", [400, 401, 403, 407, 429, 500, 502, 503, 204, 301])
def test_only_not_found_means_not_there(code: int) -> None:
    answer = releases("demo", [URL], Web({f"{URL}demo/": status(code)}))
    assert answer == Unreachable(reason=f"HTTP {code}", url=f"{URL}demo/")
    for gone in (404, 410):
        assert isinstance(releases("demo", [URL], Web({f"{URL}demo/": status(gone)})), NotThere)


def test_a_fault_holds_no_credentials() -> None:
    secret = "https://me:hunter2@example.org/simple"
    web = Web({f"{secret}/demo/": TransportError("timed out")})
    answer = releases("demo", [secret], web)
    assert answer == Unreachable(reason="timed out", url=f"{URL}demo/")


FIRST, SECOND = "https://one.example.org/simple", "https://two.example.org/simple"
PAGE = page('<a href="demo-1.0.tar.gz">x</a>')
OTHER = page('<a href="demo-2.0.tar.gz">x</a>')


@pytest.mark.parametrize(
    ("first", "second", "expected", "questions"),
    [
        (PAGE, OTHER, "1.0", 1),
        (status(404), OTHER, "2.0", 2),
        (status(403), OTHER, "2.0", 2),
        (status(403), status(404), "HTTP 403", 2),
        (status(404), status(500), "HTTP 500", 2),
        (status(500), OTHER, "HTTP 500", 1),
        (TransportError("timed out"), OTHER, "timed out", 1),
        (status(404), status(404), "not there", 2),
    ],
)
def test_of_several_indexes_the_first_that_has_the_package_wins(
    first: Answer | TransportError,
    second: Answer | TransportError,
    expected: str,
    questions: int,
) -> None:
    web = Web({f"{FIRST}/demo/": first, f"{SECOND}/demo/": second})
    match releases("demo", [FIRST, SECOND], web):
        case Releases() as there:
            assert str(there.releases[0].version) == expected
        case Unreachable() as down:
            assert down.reason == expected
        case NotThere():
            assert expected == "not there"
    assert len(web.asked) == questions


def of(*versions: str, python: str = "", yanked: bool = False) -> tuple[Release, ...]:
    specifier = SpecifierSet(python) if python else None
    return tuple(
        Release(
            version=Version(each),
            files=(File(filename=f"x-{each}.whl", requires_python=specifier, yanked=yanked),),
        )
        for each in versions
    )


def package(*parts: tuple[Release, ...]) -> Releases:
    whole = sorted((each for part in parts for each in part), key=lambda each: each.version)
    return Releases(name=asked_name, releases=tuple(whole))


asked_name = found('{"files": []}', JSON).name


@pytest.mark.parametrize(
    ("wanted", "versions", "expected"),
    [
        ("2.7.1", ["2.6.2", "2.7.0", "2.8.0", "2.32.5"], ("2.7.0", "2.8.0")),
        ("1.7", ["1.1.2", "1.1.4", "2.0.0rc1", "2.0.0"], ("1.1.4", "2.0.0")),
        ("99", ["1.0"], ("1.0", "None")),
        ("0.1", ["1.0", "2.0"], ("None", "1.0")),
        ("1", [], ("None", "None")),
        ("1", ["1.1.dev1", "1.1a1"], ("None", "None")),
    ],
)
def test_nearest(wanted: str, versions: list[str], expected: tuple[str, str]) -> None:
    lower, upper = nearest(Version(wanted), package(of(*versions)))
    assert (str(lower), str(upper)) == expected


def test_nothing_yanked_is_recommended() -> None:
    whole = package(of("1.0", "2.0"), of("1.5", "3.0", yanked=True))
    assert nearest(Version("1.6"), whole) == (Version("1.0"), Version("2.0"))
    assert latest(whole) == Version("2.0")
    assert latest(package(of("1.0", yanked=True))) is None
    half = Release(
        version=Version("4.0"),
        files=(of("4.0")[0].files[0], of("4.0", yanked=True)[0].files[0]),
    )
    assert latest(package((half,))) == Version("4.0")


def test_lowest_admits_this_python() -> None:
    whole = package(
        of("1.0", python="<3.9"), of("1.1", yanked=True), of("1.2rc1", "1.2", "1.3", python=">=3.9")
    )
    assert lowest(SpecifierSet(">=1"), whole, "3.11.7") == Version("1.2")
    assert lowest(SpecifierSet(">=1"), whole, "3.8.1") == Version("1.0")
    assert lowest(SpecifierSet(">=1.3"), whole, "3.8.1") is None


@given(st.text(), st.sampled_from([HTML, JSON, "", "text/plain; charset=nonsense"]))
def test_no_page_is_too_strange(body: str, kind: str) -> None:
    answer = asked(body.encode("utf-8", "replace").decode(), kind)
    assert isinstance(answer, Releases | Unreachable)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://me:hunter2@example.org/simple", "https://example.org/simple"),
        ("https://token@example.org", "https://example.org"),
        ("https://me:a/b@c@example.org/x", "https://example.org/x"),
        ("https://me:p%40ss@example.org:8443/x", "https://example.org:8443/x"),
        ("(https://example.org/x?sig=secret#egg=y)", "(https://example.org/x#egg=y)"),
        ("git+ssh://git@example.org/x.git", "git+ssh://example.org/x.git"),
        ("`https://a:b@x.org/` and 'http://c:d@y.org/'", "`https://x.org/` and 'http://y.org/'"),
        ("foo@example.org: nothing to hide", "foo@example.org: nothing to hide"),
        ("https://example.org/a@1/b", "https://example.org/a@1/b"),
        ("https://example.org:80/a@1/b", "https://example.org:80/a@1/b"),
    ],
)
def test_credentials_are_taken_out_of_texts(text: str, expected: str) -> None:
    assert without_credentials(text) == expected
