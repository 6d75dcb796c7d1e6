"""Requirement files: everything that pip's format allows and that decides a version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nox_envs.errors import DeclarationError, FileMissing
from nox_envs.resolve import requirements_file

if TYPE_CHECKING:
    from nox_envs.resolve.requirements_file import Contents

BASE = Path("/project")


def read(files: dict[str, str], name: str = "requirements.txt", **variables: str) -> Contents:
    def text_of(path: Path) -> str:
        try:
            return files[path.relative_to(BASE).as_posix()]
        except (KeyError, ValueError):
            raise FileNotFoundError(path) from None

    return requirements_file.read(BASE / name, base=BASE, text_of=text_of, variables=variables)


def test_requirements_keep_their_line() -> None:
    contents = read({"requirements.txt": "# top\nboto3==1.34.28\n\nrequests==2.7.1  # why\n"})
    assert [str(r.origin) for r in contents.requests] == [
        "requirements.txt:2   boto3==1.34.28",
        "requirements.txt:4   requests==2.7.1",
    ]


def test_nested_files_and_constraints() -> None:
    contents = read(
        {
            "requirements.txt": "-r deep/more.txt\n-c limits.txt\na\n",
            "deep/more.txt": "b\n--requirement=again.txt\n",
            "deep/again.txt": "c>1; python_version >= '3'\n",
            "limits.txt": "d<2\n",
        }
    )
    assert [(r.name, r.constraint, r.origin.file) for r in contents.requests] == [
        ("b", False, "deep/more.txt"),
        ("c", False, "deep/again.txt"),
        ("d", True, "limits.txt"),
        ("a", False, "requirements.txt"),
    ]


def test_what_a_constraint_file_includes_constrains() -> None:
    contents = read({"requirements.txt": "-c c.txt", "c.txt": "-r r.txt", "r.txt": "x==1"})
    assert [r.constraint for r in contents.requests] == [True]


def test_continuations_hashes_and_variables() -> None:
    contents = read(
        {
            "requirements.txt": "six==1.16.0 \\\n"
            "    --hash=sha256:aa \\\n    --hash=sha256:bb\n"
            "-i https://${TOKEN}@example.org/simple\nx[y]==1\n"
        },
        TOKEN="t0",
    )
    first, second = contents.requests
    assert first.hashes == {"aa", "bb"}
    assert first.origin.line == 1
    assert second.origin.line == 5
    assert contents.sources.index_url == "https://t0@example.org/simple"


def test_where_to_download_from() -> None:
    text = (
        "--index-url https://a/\n--extra-index-url https://b/\n--find-links ./wheels\n"
        "--find-links https://c/\n--trusted-host d\n--pre\n--require-hashes\n"
    )
    contents = read({"requirements.txt": text})
    assert contents.prerelease
    assert contents.sources.index_url == "https://a/"
    assert contents.sources.extra_index_urls == ("https://b/",)
    assert contents.sources.find_links == (str((BASE / "wheels").resolve()), "https://c/")
    assert contents.sources.trusted_hosts == ("d",)


def test_local_paths() -> None:
    contents = read(
        {"requirements.txt": "./libx[cli]\n-e ../liby\nz @ file:///srv/z.whl\nw-1-py3-none-any.whl"}
    )
    assert [(str(one.path), sorted(one.extras), one.editable) for one in contents.locals] == [
        ("/project/libx", ["cli"], False),
        ("/liby", [], True),
        ("/srv/z.whl", [], False),
        ("/project/w-1-py3-none-any.whl", [], False),
    ]


def test_all_mistakes_of_all_files_at_once() -> None:
    with pytest.raises(DeclarationError) as caught:
        read({"requirements.txt": "-r more.txt\na b\n--no-binary :all:\n", "more.txt": "x==\n"})
    assert [m.address for m in caught.value.mistakes] == [
        "more.txt:1",
        "requirements.txt:2",
        "requirements.txt:3",
    ]


def test_a_cycle_is_a_mistake() -> None:
    with pytest.raises(DeclarationError, match="is a cycle"):
        read({"requirements.txt": "-r b.txt", "b.txt": "-r requirements.txt"})


def test_a_missing_file_is_named_with_who_asked() -> None:
    with pytest.raises(FileMissing) as caught:
        read({"requirements.txt": "a\n-r gone.txt\n"})
    assert caught.value.message == "gone.txt does not exist"
    assert caught.value.asked_by == "requirements.txt:2   -r gone.txt"


@pytest.mark.parametrize("line", ["foo --index-url http://e", "foo\x00", "\uff46oo", "foo==1 -r x"])
def test_abuse_is_refused(line: str) -> None:
    with pytest.raises(DeclarationError):
        read({"requirements.txt": line})


def test_a_checkout_may_name_its_package_in_the_fragment() -> None:
    lines = {
        "-e git+https://x.org/a/b.git@abc#egg=b": "b @ git+https://x.org/a/b.git@abc",
        "git+https://x.org/b@abc#egg=b[c]&subdirectory=d": (
            "b[c] @ git+https://x.org/b@abc#subdirectory=d"
        ),
    }
    contents = read({"requirements.txt": "\n".join(lines)})
    assert [str(one.requirement) for one in contents.requests] == list(lines.values())
    assert [one.origin.text for one in contents.requests] == list(lines)
    with pytest.raises(DeclarationError):
        read({"requirements.txt": "-e git+https://x.org/a/b.git@abc"})
