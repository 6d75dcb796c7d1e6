"""Real words of uv and pip, kept in cases/resolver, and the errors that come of them.

A case file has a section for each version of a tool that was asked the same question.
"""

from __future__ import annotations

import pickle
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag
from packaging.utils import canonicalize_name
from packaging.version import Version

from nox_envs.errors import BuildFailed, IndexUnreachable, LockInvalid, NoxEnvsError, ToolFailed
from nox_envs.resolve.explain import explain
from nox_envs.resolve.index import File, NotThere, Release, Releases, Unreachable
from nox_envs.resolve.requests import Origin, Request

if TYPE_CHECKING:
    from collections.abc import Mapping

CASES = Path(__file__).parent / "cases" / "resolver"
Answer = Releases | NotThere | Unreachable


@dataclass(frozen=True, kw_only=True)
class Words:
    """What one version of a tool said."""

    case: str
    version: str
    returncode: int
    text: str

    @property
    def tool(self) -> Literal["uv", "pip"]:
        return "uv" if self.version.startswith("uv") else "pip"

    def __str__(self) -> str:
        return f"{self.case}: {self.version}"


def read(case: str) -> list[Words]:
    parts = re.split(
        r"^=== (.+), exit (\d+)\n",
        (CASES / f"{case}.txt").read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    return [
        Words(case=case, version=version, returncode=int(code), text=text)
        for version, code, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True)
    ]


def file(name: str, *, python: str = "", yanked: str | None = None) -> File:
    return File(
        filename=name,
        requires_python=SpecifierSet(python) if python else None,
        yanked=yanked is not None,
        yank_reason=yanked or "",
        is_wheel=name.endswith(".whl"),
    )


def package(
    name: str, *versions: str, python: str = "", yanked: str | None = None, form: str = "{}.whl"
) -> Releases:
    form = "{}-py3-none-any.whl" if form == "{}.whl" else form
    return Releases(
        name=canonicalize_name(name),
        releases=tuple(
            Release(
                version=Version(version),
                files=(file(form.format(f"{name}-{version}"), python=python, yanked=yanked),),
            )
            for version in versions
        ),
    )


def both(first: Releases, second: Releases) -> Releases:
    return Releases(name=first.name, releases=first.releases + second.releases)


DJANGO = both(
    package("django", "4.2", "5.2.1"), package("django", "6.0", "6.0.10", "6.1", python=">=3.12")
)
INDEX: dict[str, Answer] = {
    "requests": both(
        package("requests", "2.7.0", "2.8.0", "2.31.0"),
        both(
            package("requests", "2.32.0", yanked="CVE"),
            package("requests", "2.32.5", "2.33.0rc1"),
        ),
    ),
    "flask": package("flask", "1.1.4", "2.0.0rc1", "2.0.0", "3.1.3"),
    "urllib3": package("urllib3", "1.20", "1.26.20", "2.6.3"),
    "django": DJANGO,
    "django-celery-beat": package("django_celery_beat", "2.7.0"),
    "alpha": package("alpha", "1.0"),
    "beta": package("beta", "1.0", "1.5", "2.0"),
    "gamma": package("gamma", "1.0"),
    "onlypre": package("onlypre", "1.0a1"),
    "yank": package("yank", "1.0", yanked="broken on Tuesdays"),
    "onlynew": package("onlynew", "6.0", python=">=3.12"),
    "nowheel": package("nowheel", "1.0", form="{}-cp27-cp27m-manylinux1_x86_64.whl"),
    "broken": package("broken", "1.0", form="{}.tar.gz"),
    "metabroken": package("metabroken", "1.0", form="{}.tar.gz"),
    "crash": package("crash", "1.0", form="{}.tar.gz"),
    "needsbuild": package("needsbuild", "1.0", form="{}.tar.gz"),
    **{
        name: package(name, "1.0")
        for name in (
            "wantsmissing", "wantsnewer", "wantsonlynew", "wantsnowheel", "wantsbroken",
            "wantsmetabroken",
        )
    },
}  # fmt: skip
TAGS = frozenset({Tag("py3", "none", "any"), Tag("cp311", "cp311", "manylinux_2_17_x86_64")})
DOWN = Unreachable(reason="HTTP 500", url="https://example.org/simple/requests/")


def asking(*lines: str, origin: str = "requirements.txt", axis: str | None = None) -> list[Request]:
    """The requests of a requirements file, or of a noxfile whose first line is 6."""
    found = []
    for number, line in enumerate(lines, start=1):
        requirement, _, option = line.partition(" --hash=sha256:")
        found.append(
            Request(
                requirement=Requirement(requirement),
                origin=Origin(file=origin, line=number, text=line),
                axis=axis,
                hashes=frozenset({option} if option else ()),
            )
        )
    return found


@dataclass
class Index:
    """An index in memory that notes what it was asked."""

    answers: Mapping[str, Answer] = field(default_factory=lambda: INDEX)
    asked: list[str] = field(default_factory=list)

    def __call__(self, name: str) -> Answer:
        self.asked.append(name)
        return self.answers.get(name, NotThere(name=canonicalize_name(name)))


def explained(
    words: Words,
    requests: list[Request],
    *,
    index: Index | None = None,
    python: str = "3.11.7",
    tags: frozenset[Tag] | None = TAGS,
    values: Mapping[str, str] | None = None,
    cooldown: str | None = None,
    lock: str = "",
    other_names: tuple[str, ...] = (),
) -> NoxEnvsError:
    index = index or Index()
    error = explain(
        words.text,
        tool=words.tool,
        returncode=words.returncode,
        requests=requests,
        python=python,
        platform_tags=tags,
        look_up=index,
        values=values or {},
        cooldown=cooldown,
        command=f"{words.tool} ...",
        lock=lock,
        other_names=other_names,
    )
    assert len(index.asked) <= 5
    assert len(set(index.asked)) == len(index.asked), "asked twice"
    return error


def screen(error: NoxEnvsError) -> str:
    """The error as it is shown; the golden screens have no empty line before a hint."""
    return str(error).replace("\n\nhint:", "\nhint:")


def every(*cases: str) -> list[Words]:
    return [words for case in cases for words in read(case)]


def table(cases: Mapping[str, str]) -> list[tuple[Words, str]]:
    return [(words, expected) for case, expected in cases.items() for words in read(case)]


# -- the golden screens


@pytest.mark.parametrize("words", every("requests-271"), ids=str)
def test_screen_of_a_release_that_does_not_exist(words: Words) -> None:
    error = explained(words, asking("beta", "requests==2.7.1"))
    assert (
        screen(error)
        == """\
error: requests has no release 2.7.1

  requirements.txt:2   requests==2.7.1

  The nearest are 2.7.0 and 2.8.0. The latest is 2.32.5.
hint: write requests==2.7.0 in requirements.txt, line 2"""
    )
    assert error.summary == "requests has no release 2.7.1 (nearest: 2.7.0, 2.8.0)"
    assert error.exit_code == 3


@pytest.mark.parametrize("words", every("flask-17"), ids=str)
def test_screen_of_a_release_that_a_noxfile_asks_for(words: Words) -> None:
    origin = Origin(file="noxfile.py", line=6, text='dependencies=["flask==1.7"]')
    request = Request(requirement=Requirement("flask==1.7"), origin=origin)
    assert (
        screen(explained(words, [request]))
        == """\
error: flask has no release 1.7

  noxfile.py:6   dependencies=["flask==1.7"]

  The nearest are 1.1.4 and 2.0.0. The latest is 3.1.3.
hint: write flask==1.1.4 in noxfile.py, line 6"""
    )


@pytest.mark.parametrize("words", every("missing"), ids=str)
def test_screen_of_an_unknown_name(words: Words) -> None:
    index = Index()
    error = explained(words, asking("reqeusts", "requests"), index=index)
    assert (
        screen(error)
        == """\
error: there is no package reqeusts on the index

  requirements.txt:1   reqeusts
hint: did you mean requests?"""
    )
    assert "requests" not in index.asked, "a guess was looked up"


@pytest.mark.parametrize("words", every("missing"), ids=str)
def test_no_name_is_guessed_that_the_user_has_not_written(words: Words) -> None:
    error = explained(words, asking("reqeusts", "beta"))
    assert error.hints == ()
    error = explained(words, asking("reqeusts", "beta"), other_names=("Requests",))
    assert error.hints == ("did you mean Requests?",)


@pytest.mark.parametrize("words", every("net-slow"), ids=str)
def test_screen_of_an_index_that_is_down(words: Words) -> None:
    text = re.sub(r"after 1 retr(y|ies)", "after 2 retries", words.text)
    for line in [line for line in text.splitlines() if line.startswith("WARNING: Retrying")]:
        text = text.replace(line, f"{line}\n{line}")
    changed = Words(case="", version=words.version, returncode=words.returncode, text=text)
    slow = Index({"requests": Unreachable(reason="timed out after 3 tries")})
    error = explained(changed, asking("requests==2.7.1"), index=slow)
    assert error.message == "cannot reach the index (timed out after 3 tries)"
    assert error.detail.splitlines()[-1] == "This says nothing about requests==2.7.1."
    assert error.exit_code == 4
    offline = ("to take all from uv's cache, set UV_OFFLINE=1",)
    assert error.hints == (offline if words.tool == "uv" else ())


@pytest.mark.parametrize("words", every("python-django", "conflict-axis"), ids=str)
def test_screen_of_a_python_that_a_release_does_not_support(words: Words) -> None:
    asked = asking("Django==6.0.*", origin="noxfile.py", axis="django")
    error = explained(
        words,
        [*asked, *asking("django-celery-beat==2.7.0")],
        python="3.10.4",
        values={"django": "6.0", "other": "1"},
    )
    assert (
        screen(error)
        == """\
error: Django 6.0 needs Python 3.12 or newer, this cell has 3.10
hint: leave it out:   exclude=[{"python": "<3.12", "django": "6.0"}]"""
    )


# -- every case, by every tool

MEANINGS = {
    "missing-transitive": "PackageNotFound: there is no package nothere-dep on the index",
    "release-range": "ReleaseNotFound: beta has no release >=99",
    "release-transitive": "ReleaseNotFound: beta has no release >=99",
    "pre-range": "ReleaseNotFound: onlypre has no release >=1",
    "yanked": "ReleaseNotFound: yank has no release >=1",
    "python-transitive": "IncompatiblePython: "
    "onlynew 6.0 needs Python 3.12 or newer, this cell has 3.11",
    "nowheel": "NoWheel: nowheel 1.0 has no wheel for Python 3.11 on this platform",
    "nowheel-transitive": "NoWheel: nowheel 1.0 has no wheel for Python 3.11 on this platform",
    "sync-nowheel": "NoWheel: nowheel 1.0 has no wheel for Python 3.11 on this platform",
    "build-crash": "BuildFailed: crash 1.0 cannot be built on Python 3.11",
    "build-metadata": "BuildFailed: metabroken 1.0 cannot be built on Python 3.11",
    "build-requires": "BuildFailed: needsbuild 1.0 cannot be built on Python 3.11",
    "sync-broken": "BuildFailed: broken 1.0 cannot be built on Python 3.11",
    "conflict-direct": "Unresolvable: these requirements cannot be satisfied together",
    "conflict-pypi": "Unresolvable: these requirements cannot be satisfied together",
    "conflict-transitive": "Unresolvable: these requirements cannot be satisfied together",
}
LINES = {
    "missing-transitive": ["wantsmissing"],
    "release-range": ["beta>=99"],
    "release-transitive": ["wantsnewer"],
    "pre-range": ["onlypre>=1"],
    "yanked": ["yank>=1"],
    "python-transitive": ["wantsonlynew"],
    "nowheel": ["nowheel==1.0"],
    "nowheel-transitive": ["wantsnowheel"],
    "sync-nowheel": ["nowheel==1.0"],
    "build-crash": ["crash"],
    "build-metadata": ["wantsmetabroken"],
    "build-requires": ["needsbuild"],
    "sync-broken": ["broken==1.0"],
    "conflict-direct": ["beta==1.0", "beta==2.0"],
    "conflict-pypi": ["requests==2.31.0", "urllib3<1.21"],
    "conflict-transitive": ["alpha", "gamma"],
}


@pytest.mark.parametrize(("words", "expected"), table(MEANINGS), ids=str)
def test_what_a_tool_says_has_one_meaning(words: Words, expected: str) -> None:
    lines = LINES[words.case]
    error = explained(words, asking(*lines, "flask"))
    assert f"{type(error).__name__}: {error.message}" == expected
    for number, line in enumerate(lines, start=1):
        assert f"requirements.txt:{number}   {line}" in error.detail.splitlines()
    assert "flask" not in error.detail, "flask takes no part"
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert str(copy) == str(error)
    cause = error.__cause__
    assert isinstance(cause, ToolFailed)
    assert cause.output == words.text


DETAILS = {
    "missing-transitive": r"\n  required by wantsmissing( 1\.0)?$",
    "release-range": r"The latest is 2\.0\.$",
    "release-transitive": r"wantsnewer( 1\.0)? asks for beta>=99\. The latest is 2\.0\.$",
    "pre-range": r"There are pre-releases only, the newest is 1\.0a1\.$",
    "yanked": r"1\.0 is yanked: broken on Tuesdays\.$",
    "nowheel": r"It has wheels for cp27-cp27m-manylinux1_x86_64\.$",
    "build-crash": r"about to die\n  (exit code: -11|Call to `b.build_wheel` failed \(signal: 11)",
    "build-metadata": r"\n  RuntimeError: libxyz\.h is missing$",
    "build-requires": r"no-such-backend-x",
    "sync-broken": r"\n  RuntimeError: the compiler is missing$",
}


@pytest.mark.parametrize(("words", "expected"), table(DETAILS), ids=str)
def test_the_evidence_stands_below(words: Words, expected: str) -> None:
    shown = str(explained(words, asking(*LINES[words.case])))
    assert re.search(expected, shown), shown
    assert not re.search(r"[╰├│×─▶]|\[end of output\]", shown)  # noqa: RUF001
    assert "_in_process.py" not in shown
    assert len(shown.splitlines()) <= 25 + 6


@pytest.mark.parametrize("words", every("conflict-pypi"), ids=str)
def test_a_conflict_has_the_words_of_the_resolver_and_the_lines_of_the_user(words: Words) -> None:
    urllib3 = asking("urllib3<1.21", origin="noxfile.py", axis="urllib3")
    error = explained(
        words,
        [*asking("requests==2.31.0", "flask"), *urllib3],
        values={"urllib3": "<1.21", "flask": "3"},
    )
    reason = {
        "uv": """\
  Because requests==2.31.0 depends on urllib3>=1.21.1,<3 and you require requests==2.31.0, \
we can conclude that you require urllib3>=1.21.1,<3.
  And because you require urllib3<1.21, we can conclude that your requirements are unsatisfiable.
""",
        "pip": """\
  The conflict is caused by:
      The user requested urllib3<1.21
      requests 2.31.0 depends on urllib3<3 and >=1.21.1
""",
    }
    assert screen(error) == (
        "error: these requirements cannot be satisfied together\n\n"
        "  requirements.txt:1   requests==2.31.0\n"
        "  noxfile.py:1   urllib3<1.21\n\n"
        + reason[words.tool]
        + 'hint: if this cell cannot exist, leave it out:   exclude=[{"urllib3": "<1.21"}]'
    )


def test_pip_that_is_quiet_leaves_only_its_last_line() -> None:
    text = (
        "ERROR: Cannot install beta==1.0 and beta==2.0 because these package versions have "
        "conflicting dependencies.\nERROR: ResolutionImpossible: for help visit https://x.org/#y\n"
    )
    words = Words(case="", version="pip 26.3", returncode=1, text=text)
    error = explained(words, asking("beta==1.0", "beta==2.0"))
    assert error.detail.endswith(
        "Cannot install beta==1.0 and beta==2.0 because these package versions have conflicting "
        "dependencies."
    )
    assert "requirements.txt:2   beta==2.0" in error.detail


# -- the network

NETWORK = {
    "net-badjson": "the answer is not JSON",
    "net-creds": "HTTP 401",
    "net-creds500": "HTTP 500",
    "net-dns": "no such host",
    "net-e401": "HTTP 401",
    "net-e403": "HTTP 403",
    "net-e429": "HTTP 429",
    "net-e500": "HTTP 500",
    "net-file404": "HTTP 404",
    "net-file500": "HTTP 500",
    "net-login": "the answer is not a page of a package",
    "net-offline": "offline",
    "net-redir": "too many redirects",
    "net-refused": "connection refused",
    "net-reset": "connection reset",
    "net-slow": "timed out",
    "net-tls": "TLS: no connection",
    "partial": "HTTP 500",
    "partial-transitive": "HTTP 500",
    "sync-404": "HTTP 404",
    "sync-500": "HTTP 500",
    "sync-offline": "offline",
}


@pytest.mark.parametrize(("words", "reason"), table(NETWORK), ids=str)
def test_a_fault_of_the_network_is_never_taken_for_an_answer(words: Words, reason: str) -> None:
    name = "beta" if "beta" in words.text else "requests"
    down = Index({name: Unreachable(reason=reason, url="https://me:hunter2@example.org/simple/x/")})
    error = explained(words, asking("alpha", f"{name}==2.7.1"), index=down, lock="")
    assert error.exit_code == 4
    assert error.message.removesuffix(")").removesuffix(" after 2 tries").endswith(f"({reason}")
    assert "hunter2" not in str(error)
    if "JSON" not in reason and "redirects" not in reason:
        assert f"This says nothing about {name}==2.7.1." in str(error)


@pytest.mark.parametrize("words", every("net-e500", "net-slow", "partial"), ids=str)
def test_an_index_that_is_back_has_still_been_down(words: Words) -> None:
    if words.tool == "pip":
        name = "beta>=1" if words.case == "partial" else "requests==2.7.0"
        text = words.text.replace("requests==2.7.1", name)
        back = Words(case="", version=words.version, returncode=1, text=text)
        error = explained(back, asking(name))
        assert error.exit_code == 4
        assert f"This says nothing about {name}." in error.detail


@pytest.mark.parametrize("words", every("build-requires"), ids=str)
def test_a_build_that_cannot_fetch_its_backend_is_a_fault_of_the_network(words: Words) -> None:
    error = explained(words, asking("needsbuild"), index=Index({"no-such-backend-x": DOWN}))
    assert error.exit_code == 4
    assert error.detail.endswith("This says nothing about needsbuild 1.0.")


FETCHES = {
    "[6] Could not resolve hostname (Could not resolve host: index.crates.example)": (
        "no such host"
    ),
    "fatal: unable to access 'https://git.example/x/': Could not resolve host: git.example": (
        "no such host"
    ),
    "fatal: unable to access 'https://git.example/x/': The requested URL returned error: 503": (
        "HTTP 503"
    ),
    "urllib.error.URLError: <urlopen error [Errno -3] Temporary failure in name resolution>": (
        "no such host"
    ),
    "urllib.error.HTTPError: HTTP Error 502: Bad Gateway": "HTTP 502",
    "pip._vendor.urllib3.exceptions.ReadTimeoutError: Read timed out.": "timed out",
    "curl: (7) Failed to connect to example.org port 443 after 9 ms: Connection refused": (
        "connection refused"
    ),
    # What is no fault of it, or none that a build died of.
    "urllib.error.HTTPError: HTTP Error 404: Not Found": "",
    "warning: spurious network error (3 tries remaining): [28] Timeout was reached": "",
    "WARNING: Retrying (Retry(total=4)) after connection broken by 'Connection refused'": "",
    "x.cpp:3: error: two-phase name resolution failed in 'TimeoutError'": "",
}


@pytest.mark.parametrize(("line", "reason"), FETCHES.items())
@pytest.mark.parametrize("words", every("build-metadata"), ids=str)
def test_a_build_that_cannot_fetch_something_has_not_failed(
    words: Words, line: str, reason: str
) -> None:
    assert "on stderr" in words.text
    said = replace(words, text=words.text.replace("on stderr", line))
    error = explained(said, asking("needsbuild"))
    assert isinstance(error, IndexUnreachable if reason else BuildFailed)
    if isinstance(error, IndexUnreachable):
        assert error.reason == reason


@pytest.mark.parametrize("words", every("sync-404"), ids=str)
def test_a_locked_file_that_is_gone(words: Words) -> None:
    error = explained(words, [], lock="pylock.toml")
    assert isinstance(error, LockInvalid)
    assert error.message == "pylock.toml: beta-1.0-py3-none-any.whl is no longer on the index"


# -- what else there is


@pytest.mark.parametrize("words", every("hash-mismatch", "hash-mismatch-req"), ids=str)
def test_a_file_that_is_not_the_one_that_was_locked(words: Words) -> None:
    said = (
        f"the file of beta 1.0 on the index is not the one that was locked: expected sha256:{'0' * 64},"
        " got sha256:708cb301389c77e13e4983ba2050ff9bbfaf2b94abbfa304ab5783f3082d42dc"
    )
    assert explained(words, [], lock="pylock.toml").message == f"pylock.toml: {said}"
    with_hash = asking(f"beta==1.0 --hash=sha256:{'0' * 64}")
    assert explained(words, with_hash).message == f"requirements.txt: {said}"
    without = explained(words, asking("beta==1.0"))
    assert isinstance(without, ToolFailed)
    assert without.output == words.text


@pytest.mark.parametrize("words", every("disk-full"), ids=str)
def test_a_disk_that_is_full(words: Words) -> None:
    message = explained(words, []).message
    if words.tool == "uv":
        assert re.fullmatch(r"no space left on the disk of /cache/\S+/__init__\.py", message)
    else:
        assert message == (
            "no space left on the disk of the environment or of the temporary directory"
        )


@pytest.mark.parametrize("words", every("only-binary"), ids=str)
def test_a_source_that_may_not_be_built(words: Words) -> None:
    error = explain(
        words.text, tool=words.tool, returncode=1, requests=asking("wantsbroken"),
        python="3.11.7", platform_tags=TAGS, look_up=Index(), values={}, cooldown=None,
        command=words.tool, wheels_only=True,
    )  # fmt: skip
    assert type(error).__name__ == "NoWheel"
    assert error.detail.endswith('A source exists; to have it built:   build=["broken"]')


@pytest.mark.parametrize("words", every("cooldown"), ids=str)
def test_releases_that_are_younger_than_the_cooldown(words: Words) -> None:
    error = explained(words, asking("requests>=2.32.5"), cooldown="7 days")
    assert (
        screen(error)
        == """\
error: requests has no release >=2.32.5

  requirements.txt:1   requests>=2.32.5

  2.32.5 is younger than the cooldown (7 days). The latest is 2.31.0."""
    )


@pytest.mark.parametrize("words", every("cooldown-all"), ids=str)
def test_a_package_that_is_younger_than_the_cooldown(words: Words) -> None:
    error = explained(words, asking("requests"), cooldown="7 days")
    assert error.message == "requests has no release that is old enough"


@pytest.mark.parametrize("words", every("requests-271"), ids=str)
def test_the_value_of_an_axis_is_answered_with_a_value(words: Words) -> None:
    text = words.text.replace("2.7.1", "2.9.*")
    changed = Words(case="", version=words.version, returncode=1, text=text)
    asked = asking("requests==2.9.*", origin="noxfile.py", axis="requests")
    error = explained(changed, asked, values={"requests": "2.9"})
    assert error.message == "requests has no release 2.9"
    assert error.hints == ('write "2.8" for requests in noxfile.py, line 1',)


@pytest.mark.parametrize("words", every("requests-271"), ids=str)
def test_a_constraint_that_names_no_release(words: Words) -> None:
    [limit] = asking("requests==2.7.1", origin="constraints.txt")
    limit = Request(requirement=limit.requirement, origin=limit.origin, constraint=True)
    error = explained(words, [*asking("requests[socks]"), limit])
    assert error.hints == ("write requests==2.7.0 in constraints.txt, line 1",)


def test_a_python_that_matters_to_the_last_digit() -> None:
    [words] = [each for each in read("python-transitive") if each.version == "uv 0.13.8"]
    index = Index({**INDEX, "onlynew": package("onlynew", "6.0", python=">=3.11.8")})
    error = explained(words, asking("wantsonlynew"), index=index)
    assert error.message == "onlynew 6.0 needs Python 3.11.8 or newer, this cell has 3.11.7"


def test_what_is_not_understood_is_shown_whole_but_for_credentials() -> None:
    words = Words(
        case="",
        version="uv 0.13.8",
        returncode=2,
        text="error: unexpected argument\n  see https://me:hunter2@example.org/simple?token=abc",
    )
    error = explain(
        words.text, tool="uv", returncode=2, requests=[], python="3.11.7", platform_tags=None,
        look_up=Index(), values={}, cooldown=None,
        command="uv pip compile --index-url https://me:hunter2@example.org/simple",
    )  # fmt: skip
    assert (
        str(error)
        == """\
error: `uv pip compile --index-url https://example.org/simple` failed (exit 2)

  error: unexpected argument
    see https://example.org/simple"""
    )


@pytest.mark.parametrize("tool", ["uv", "pip"])
@pytest.mark.parametrize("text", ["", "\n", "error:", "ERROR: ", "error: \n  cause: ", "╰─▶ "])
def test_no_text_is_too_short(tool: Literal["uv", "pip"], text: str) -> None:
    words = Words(case="", version=tool, returncode=1, text=text)
    assert isinstance(explained(words, []), ToolFailed)


def test_every_case_is_used() -> None:
    named = {"requests-271", "flask-17", "missing", "python-django", "conflict-axis"}
    named |= {"hash-mismatch", "hash-mismatch-req", "disk-full", "only-binary"}
    named |= {"cooldown", "cooldown-all", *MEANINGS, *NETWORK}
    assert {path.stem for path in CASES.glob("*.txt")} == named
