"""A copy of a project's tree: what a build needs, and nothing written into the original."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nox_envs.run import tree

pytestmark = pytest.mark.process

ENV = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z",
}  # fmt: skip


def git(directory: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=directory, env=ENV, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def write(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")


def files(root: Path) -> list[str]:
    """All that is below a directory but for git's own, links not followed."""
    found = []
    for directory, directories, names in os.walk(root):
        here = Path(directory)
        links = [name for name in directories if (here / name).is_symlink()]
        directories[:] = [name for name in directories if name != ".git" and name not in links]
        found += [(here / name).relative_to(root).as_posix() for name in [*names, *links]]
    return sorted(name for name in found if name != ".git")


def listing(root: Path) -> dict[str, tuple[int, int, int]]:
    """Everything of the original, git's own files too, as far as `stat` tells."""
    found = {}
    for path in root.rglob("*"):
        known = path.lstat()
        modified = 0 if stat.S_ISDIR(known.st_mode) else known.st_mtime_ns
        found[path.relative_to(root).as_posix()] = (known.st_mode, known.st_size, modified)
    return found


def copied(source: Path, target: Path, *include: str) -> Path:
    return tree.copy(source, target, env=ENV, include=include)


def digest(source: Path, *include: str) -> str:
    return tree.digest(source, env=ENV, include=include)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A checkout with a tag."""
    root = tmp_path / "repo"
    write(root, "pyproject.toml", "src/demo/__init__.py", "docs/index.md")
    (root / ".gitignore").write_text("*.bin\n/build/\n", encoding="utf-8")
    git(root, "init", "--quiet", "--initial-branch=main")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--message=first")
    git(root, "tag", "--annotate", "--message=v1.0", "v1.0")
    return root


TRACKED = [".gitignore", "docs/index.md", "pyproject.toml", "src/demo/__init__.py"]


# -- what is copied -------------------------------------------------------------------


def test_tracked_and_untracked_files_but_not_ignored_ones(repo: Path, tmp_path: Path) -> None:
    write(repo, "new.py", "src/demo/ümläut name.py", "data.bin", "build/lib/x.py")
    place = copied(repo, tmp_path / "copy")
    assert place == tmp_path / "copy"
    assert files(place) == sorted([*TRACKED, "new.py", "src/demo/ümläut name.py"])


def test_files_are_copied_as_they_are_in_the_working_tree(repo: Path, tmp_path: Path) -> None:
    (repo / "pyproject.toml").write_text("changed", encoding="utf-8")
    (repo / "docs" / "index.md").unlink()
    script = repo / "run.sh"
    write(repo, "run.sh")
    script.chmod(0o755)
    place = copied(repo, tmp_path / "copy")
    assert (place / "pyproject.toml").read_text(encoding="utf-8") == "changed"
    assert not (place / "docs").exists()
    if sys.platform != "win32":
        assert (place / "run.sh").stat().st_mode & stat.S_IXUSR


def test_ignored_files_that_are_needed_all_the_same(repo: Path, tmp_path: Path) -> None:
    write(repo, "data.bin", "src/demo/more.bin", "build/lib/x.py", "build/y.py")
    added = set(files(copied(repo, tmp_path / "one", "*.bin"))) - set(TRACKED)
    assert added == {"data.bin", "src/demo/more.bin"}
    added = set(files(copied(repo, tmp_path / "two", "src/demo/*.bin"))) - set(TRACKED)
    assert added == {"src/demo/more.bin"}
    added = set(files(copied(repo, tmp_path / "three", "build"))) - set(TRACKED)
    assert added == {"build/lib/x.py", "build/y.py"}


def test_a_subdirectory_lies_as_deep_as_in_the_original(repo: Path, tmp_path: Path) -> None:
    write(repo, "packages/one/pyproject.toml", "packages/one/a.py", "packages/two/b.py")
    place = copied(repo / "packages" / "one", tmp_path / "copy")
    assert place == tmp_path / "copy" / "packages" / "one"
    assert files(tmp_path / "copy") == ["packages/one/a.py", "packages/one/pyproject.toml"]


def test_links_stay_links(repo: Path, tmp_path: Path) -> None:
    (repo / "link.toml").symlink_to("pyproject.toml")
    (repo / "dangling").symlink_to("nowhere")
    (repo / "folder").symlink_to("docs", target_is_directory=True)
    place = copied(repo, tmp_path / "copy")
    assert {name: (place / name).readlink().as_posix() for name in
            ("link.toml", "dangling", "folder")} == {
        "link.toml": "pyproject.toml", "dangling": "nowhere", "folder": "docs",
    }  # fmt: skip


def test_what_is_detached_leads_nowhere_else(repo: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    write(outside, "a.txt", "data/b.txt")
    (outside / "big").write_bytes(b"x" * (2 << 20))
    write(repo, "src/own.txt")
    links = {
        "file.txt": outside / "a.txt", "own.txt": repo / "src" / "own.txt", "own": repo / "src",
        "data": outside / "data", "big": outside / "big", "gone": outside / "gone",
    }  # fmt: skip
    for name, place in links.items():
        (repo / name).symlink_to(place)
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "-m", "links")
    copy = copied(repo, tmp_path / "copy")
    assert tree.detach(copy, repo, env=ENV)
    assert git(copy, "status", "--porcelain") == ""
    left = {name for name in links if not (copy / name).resolve().is_relative_to(copy)}
    assert left == {"data", "big", "gone"}
    (copy / "file.txt").write_text("written")
    assert (outside / "a.txt").read_text() == "a.txt"
    assert (copy / "own.txt").read_text() == "src/own.txt"
    assert (repo / "file.txt").is_symlink()
    for name in left:
        (copy / name).unlink()
    assert not tree.detach(copy, repo, env=ENV)


def test_a_real_submodule(repo: Path, tmp_path: Path) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "--quiet")
    git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repo), "in")
    place = copied(outer, tmp_path / "copy")
    assert files(place) == [".gitmodules", *(f"in/{name}" for name in TRACKED)]
    assert not (place / "in" / ".git").exists()


@pytest.mark.parametrize("tracked", [False, True])
def test_a_repository_in_the_repository(repo: Path, tmp_path: Path, *, tracked: bool) -> None:
    """Git lists it as one entry; as a submodule it is tracked, as a mere clone it is not."""
    inner = repo / "vendor" / "inner"
    write(inner, "inner.py", "__pycache__/inner.pyc")
    git(inner, "init", "--quiet")
    git(inner, "add", "inner.py")
    git(inner, "commit", "--quiet", "--message=inner")
    if tracked:
        git(repo, "-c", "advice.addEmbeddedRepo=false", "add", "vendor/inner")
    place = copied(repo, tmp_path / "copy")
    assert files(place) == sorted([*TRACKED, "vendor/inner/inner.py"])
    assert not (place / "vendor" / "inner" / ".git").exists()


# -- without git ----------------------------------------------------------------------


def test_without_a_repository_all_but_environments_and_caches(tmp_path: Path) -> None:
    root = tmp_path / "plain"
    write(
        root, "a.py", "sub/b.py", "data.bin", ".hidden", ".nox/x/y.py", ".venv/lib/x.py",
        "my env/pyvenv.cfg", "my env/lib/z.py", "sub/__pycache__/b.pyc", ".pytest_cache/c",
        "node_modules/d.js", ".git/HEAD", ".tox/e", ".hypothesis/f", ".mypy_cache/g",
    )  # fmt: skip
    (root / "folder").symlink_to("sub", target_is_directory=True)
    place = copied(root, tmp_path / "copy")
    assert files(place) == [".hidden", "a.py", "data.bin", "folder", "sub/b.py"]
    assert (place / "folder").is_symlink()
    assert not (place / ".git").exists()


def test_without_git_itself(repo: Path, tmp_path: Path) -> None:
    write(repo, "data.bin")
    place = tree.copy(repo, tmp_path / "copy", env={"PATH": str(tmp_path)})
    assert files(place) == sorted([*TRACKED, "data.bin"])


def test_a_directory_that_git_ignores_as_a_whole(repo: Path, tmp_path: Path) -> None:
    write(repo, "build/gen/pyproject.toml", "build/gen/.venv/x")
    place = copied(repo / "build" / "gen", tmp_path / "copy")
    assert place == tmp_path / "copy"
    assert files(place) == ["pyproject.toml"]


# -- git in the copy ------------------------------------------------------------------


def test_git_answers_in_the_copy_as_in_the_original(repo: Path, tmp_path: Path) -> None:
    write(repo, "packages/one/a.py")
    git(repo, "add", ".")
    git(repo, "commit", "--quiet", "--message=second")
    for source, target in ((repo, "whole"), (repo / "packages" / "one", "part")):
        place = copied(source, tmp_path / target)
        for question in (["describe"], ["rev-parse", "HEAD"], ["ls-files"]):
            assert git(place, *question) == git(source, *question)
        assert Path(git(place, "rev-parse", "--show-toplevel")) == (tmp_path / target).resolve()
    assert git(tmp_path / "whole", "describe", "--dirty") == git(repo, "describe", "--dirty")
    assert git(tmp_path / "whole", "status", "--porcelain") == ""


def test_a_linked_worktree(repo: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    git(repo, "worktree", "add", "--quiet", str(linked), "-b", "other")
    place = copied(linked, tmp_path / "copy")
    assert files(place) == TRACKED
    assert git(place, "describe") == "v1.0"
    assert git(place, "branch", "--show-current") == "other"


def test_nothing_is_written_into_the_original(repo: Path, tmp_path: Path) -> None:
    write(repo, "new.py", "data.bin")
    os.utime(repo / "pyproject.toml", (1, 1))  # The index of git is out of date now.
    before = listing(repo)
    place = copied(repo, tmp_path / "copy", "*.bin")
    digest(repo, "*.bin")
    git(place, "describe")
    write(place, "pyproject.toml", "src/demo.egg-info/PKG-INFO", "build/x")
    assert listing(repo) == before
    assert git(repo, "status", "--porcelain") == "?? new.py"


# -- the digest -----------------------------------------------------------------------


def test_the_digest_changes_with_content_name_and_commit(repo: Path) -> None:
    seen = [digest(repo)]

    def changed() -> bool:
        seen.append(digest(repo))
        return seen[-1] not in seen[:-1]

    write(repo, "new.py")
    assert changed()
    (repo / "new.py").write_text("other", encoding="utf-8")
    assert changed()
    (repo / "new.py").rename(repo / "newer.py")
    assert changed()
    (repo / "docs" / "index.md").unlink()
    assert changed()
    git(repo, "commit", "--quiet", "--message=second", "--allow-empty")
    assert changed()


def test_the_digest_does_not_change_with_anything_else(repo: Path) -> None:
    before = digest(repo)
    write(repo, "data.bin", "build/x.py")
    os.utime(repo / "pyproject.toml", (1, 1))
    (repo / "pyproject.toml").chmod(0o600)
    git(repo, "branch", "other")
    (repo / "empty").mkdir()
    assert digest(repo) == before
    write(repo, "new.py")
    untracked = digest(repo)
    git(repo, "add", "new.py")
    assert digest(repo) == untracked


def test_the_digest_covers_what_is_included(repo: Path) -> None:
    write(repo, "data.bin", "build/lib/x.py")
    for pattern, name in (("*.bin", "data.bin"), ("build", "build/lib/x.py")):
        before = digest(repo, pattern)
        assert before != digest(repo)
        (repo / name).write_text(f"other {name}", encoding="utf-8")
        assert digest(repo, pattern) != before


def test_the_digest_covers_a_repository_in_the_repository(repo: Path) -> None:
    inner = repo / "vendor"
    write(inner, "inner.py")
    git(inner, "init", "--quiet")
    before = digest(repo)
    (inner / "inner.py").write_text("other", encoding="utf-8")
    assert digest(repo) != before


def test_the_digest_of_a_copy_without_git_is_that_of_its_content(tmp_path: Path) -> None:
    for root in ("one", "two"):
        write(tmp_path / root, "a.py", "sub/b.py")
    write(tmp_path / "two", ".nox/x")
    assert digest(tmp_path / "one") == digest(tmp_path / "two")
    write(tmp_path / "two", "c.py")
    assert digest(tmp_path / "one") != digest(tmp_path / "two")


@pytest.mark.parametrize("mark", ["*\n", "# made by a tool\n*\n"])
def test_what_ignores_all_of_itself_is_no_source(tmp_path: Path, mark: str) -> None:
    write(tmp_path / "project", "a.py")
    before = digest(tmp_path / "project")
    write(tmp_path / "project", "out/wheels/x.whl", "out/.gitignore")
    assert digest(tmp_path / "project") != before
    (tmp_path / "project" / "out" / ".gitignore").write_text("*\n!.gitignore\n")
    assert digest(tmp_path / "project") != before
    (tmp_path / "project" / "out" / ".gitignore").write_text(mark)
    assert digest(tmp_path / "project") == before


def test_the_digest_of_an_archive(tmp_path: Path) -> None:
    write(tmp_path, "demo.whl")
    before = digest(tmp_path / "demo.whl")
    (tmp_path / "demo.whl").write_text("other", encoding="utf-8")
    assert digest(tmp_path / "demo.whl") != before


def test_the_digest_covers_what_a_copy_holds(tmp_path: Path) -> None:
    project, common = tmp_path / "project", tmp_path / "common"
    for directory in (project, common):
        directory.mkdir()
    (project / "run.sh").write_text("echo")
    (common / "data.txt").write_text("one")
    (project / "common").symlink_to("../common", target_is_directory=True)
    env = dict(os.environ)
    seen = [tree.digest(project, env=env)]
    (common / "data.txt").write_text("two")
    seen.append(tree.digest(project, env=env))
    (project / "run.sh").chmod(0o755)
    seen.append(tree.digest(project, env=env))
    assert len(set(seen)) == 3
