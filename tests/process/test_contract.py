"""One contract for uv and pip: equal questions get equal environments."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from nox_envs._files import read_toml
from nox_envs.errors import (
    BuildFailed,
    DeclarationError,
    FileMissing,
    IndexUnreachable,
    LockInvalid,
    NeedsUv,
    NoxEnvsError,
    PackageNotFound,
    ReleaseNotFound,
    StaleEnvironment,
    Unresolvable,
)
from support.index import Form, Index
from support.wheels import write_project

if TYPE_CHECKING:
    from support.bench import Bench

pytestmark = pytest.mark.process


def test_exactly_what_was_asked_for(bench: Bench) -> None:
    provisioned = bench.provision(dependencies=["beta==1.0"])
    assert provisioned.fresh
    assert bench.installed() == {"alpha": "1.1", "beta": "1.0"}
    assert {name: str(version) for name, version in provisioned.pins.items()} == {
        "alpha": "1.1",
        "beta": "1.0",
    }
    lock = read_toml(bench.environment / "pylock.toml")
    assert [package["name"] for package in lock["packages"]] == ["alpha", "beta"]
    assert all(wheel["hashes"] for package in lock["packages"] for wheel in package["wheels"])
    assert "python_version" in lock["environments"][0]
    assert lock["tool"]["nox-envs"]["cell"] == "test"
    assert json.loads((bench.environment / "nox-envs.json").read_text())["tool"] == bench.tool


def test_nothing_asked_for(bench: Bench) -> None:
    bench.provision()
    assert bench.installed() == {}


def test_newest_stable_release_by_default_and_pre_releases_when_asked(bench: Bench) -> None:
    bench.provision(dependencies=["alpha"])
    assert bench.installed() == {"alpha": "2.0"}
    bench.provision(dependencies=["alpha"], prerelease=True)
    assert bench.installed() == {"alpha": "3.0b1"}


@pytest.mark.parametrize(
    ("value", "version"),
    [("1", "1.1"), ("<2", "1.1"), ("latest", "2.0"), ("lowest", "1.0"), ("latest-pre", "3.0b1")],
)
def test_axis_values(bench: Bench, value: str, version: str) -> None:
    bench.provision(matrix={"alpha": [value]}, dependencies=["beta"])
    assert bench.installed()["alpha"] == version


def test_lowest_is_within_what_is_declared(bench: Bench) -> None:
    bench.provision(matrix={"alpha": ["lowest"]}, dependencies=["alpha>1.0"])
    assert bench.installed() == {"alpha": "1.1"}


def test_an_axis_may_be_a_url(bench: Bench) -> None:
    page = bench.index.url.replace("/simple/", "/files/")
    wheel = next(path for path in bench.index.files.rglob("alpha-1.0-*.whl"))
    bench.provision(matrix={"alpha": {"old": f"@ {page}{wheel.name}"}})
    assert bench.installed() == {"alpha": "1.0"}


def test_files_nested_constraints_markers_and_extras(bench: Bench) -> None:
    bench.write("requirements.txt", "-r more.txt\n-c limits.txt\n")
    bench.write("more.txt", "beta[more]\nnever==9; python_version < '3'\n")
    bench.write("limits.txt", "alpha<2\nnot-installed<1\n")
    bench.provision(requirements=["requirements.txt"])
    assert bench.installed() == {"alpha": "1.1", "beta": "2.0", "gamma": "1.0"}


def test_constraints_parameter(bench: Bench) -> None:
    bench.write("limits.txt", "alpha<1.1\n")
    bench.provision(dependencies=["beta"], constraints=["limits.txt"])
    assert bench.installed() == {"alpha": "1.0", "beta": "2.0"}


def test_hashes_of_a_file_are_kept_to(bench: Bench) -> None:
    bench.write("requirements.txt", f"alpha==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(LockInvalid, match=r"no file of alpha 1.0 has a hash that line 1 allows"):
        bench.provision(requirements=["requirements.txt"])


def test_groups_with_includes(bench: Bench) -> None:
    bench.write(
        "pyproject.toml",
        """
        [dependency-groups]
        test = ["alpha<2", {include-group = "more"}]
        more = ["gamma"]
        """,
    )
    bench.provision(groups=["test"])
    assert bench.installed() == {"alpha": "1.1", "gamma": "1.0"}


def test_directory_is_the_base_of_files(bench: Bench) -> None:
    bench.write("service/requirements.txt", "gamma\n")
    bench.provision(directory="service", requirements="requirements.txt")
    assert bench.installed() == {"gamma": "1.0"}


@pytest.mark.parametrize("dynamic", [False, True])
def test_the_project_as_a_wheel(bench: Bench, *, dynamic: bool) -> None:
    write_project(bench.project, requires=["alpha<2"], extras={"cli": ["gamma"]}, dynamic=dynamic)
    before = {path.relative_to(bench.project) for path in bench.project.rglob("*")}
    bench.provision(extras=["cli"])
    assert bench.installed() == {"alpha": "1.1", "demo": "1.0", "gamma": "1.0"}
    after = {path.relative_to(bench.project) for path in bench.project.rglob("*")}
    written = {path for path in after - before if ".nox" not in path.parts}
    assert {str(path) for path in written} <= {"noxfile.py"}


def test_the_project_editable(bench: Bench) -> None:
    write_project(bench.project, requires=["alpha"])
    bench.provision(project="editable")
    assert bench.installed() == {"alpha": "2.0", "demo": "1.0"}
    lock = read_toml(bench.environment / "pylock.toml")
    assert next(p for p in lock["packages"] if p["name"] == "demo")["directory"]["editable"]


@pytest.mark.parametrize("dynamic", [False, True])
def test_only_the_dependencies_of_the_project(bench: Bench, *, dynamic: bool) -> None:
    write_project(bench.project, requires=["alpha<2"], dynamic=dynamic)
    bench.provision(project="dependencies")
    assert bench.installed() == {"alpha": "1.1"}


def test_without_the_project(bench: Bench) -> None:
    write_project(bench.project, requires=["alpha"])
    bench.provision(project=False, dependencies=["gamma"])
    assert bench.installed() == {"gamma": "1.0"}


def test_a_dependency_may_need_the_project_itself(bench: Bench) -> None:
    bench.index.wheel("plugin", "1.0", requires=["demo>=1"])
    write_project(bench.project)
    bench.provision(dependencies=["plugin"])
    assert bench.installed() == {"demo": "1.0", "plugin": "1.0"}


def test_local_paths_in_files_are_built_once(bench: Bench) -> None:
    write_project(bench.project / "libx", name="libx", requires=["gamma"])
    bench.write("requirements.txt", "./libx\n")
    bench.provision(requirements=["requirements.txt"])
    assert bench.installed() == {"gamma": "1.0", "libx": "1.0"}
    assert not (bench.project / "libx" / "build-was-here.txt").exists()


def test_uv_sources_are_direct_references(bench: Bench) -> None:
    write_project(bench.project / "libx", name="libx")
    bench.write(
        "pyproject.toml",
        """
        [dependency-groups]
        test = ["libx"]
        [tool.uv.sources]
        libx = { path = "libx" }
        """,
    )
    bench.provision(groups=["test"])
    assert bench.installed() == {"libx": "1.0"}


def test_a_commit_of_a_repository(bench: Bench) -> None:
    import subprocess

    library = write_project(bench.root / "library", name="libv", requires=["gamma"])
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=library, check=True)
    bench.provision(dependencies=[f"libv @ git+{library.as_uri()}"])
    assert bench.installed() == {"gamma": "1.0", "libv": "1.0"}
    (locked,) = [
        package
        for package in read_toml(bench.environment / "pylock.toml")["packages"]
        if package["name"] == "libv"
    ]
    assert len(locked["vcs"]["commit-id"]) == 40


def test_a_poetry_project_that_is_no_package(bench: Bench) -> None:
    write_project(bench.project / "libx", name="libx")
    bench.write(
        "pyproject.toml",
        """
        [tool.poetry]
        package-mode = false
        [tool.poetry.dependencies]
        python = "^3.8"
        alpha = "^1.0"
        libx = { path = "libx" }
        gamma = { version = "*", python = "<3" }
        """,
    )
    bench.provision()
    assert bench.installed() == {"alpha": "1.1", "libx": "1.0"}


def test_source_releases_are_built(bench: Bench) -> None:
    built = bench.root / "built"
    bench.index.sdist("src", "1.0", marker=built)
    bench.provision(dependencies=["src"])
    assert bench.installed() == {"src": "1.0"}
    assert built.exists()


def test_yanked_releases_are_not_taken(bench: Bench) -> None:
    bench.index.yank("alpha", "2.0", "broken")
    bench.provision(dependencies=["alpha"])
    assert bench.installed() == {"alpha": "1.1"}


def test_releases_for_other_pythons_are_not_taken(bench: Bench) -> None:
    bench.index.wheel("gamma", "2.0", requires_python=">=3.99")
    bench.provision(dependencies=["gamma"])
    assert bench.installed() == {"gamma": "1.0"}


@pytest.mark.parametrize("form", ["html", "json"])
def test_both_forms_of_the_simple_api(bench: Bench, form: Form) -> None:
    with Index(bench.root, form=form) as index:
        index.wheel("alpha", "1.0")
        index.wheel("alpha", "2.0")
        index.yank("alpha", "2.0")
        bench.index = index
        bench.provision(dependencies=["alpha"])
        assert bench.installed() == {"alpha": "1.0"}
        with pytest.raises(ReleaseNotFound, match=r"The nearest is 1\.0"):
            bench.provision(dependencies=["alpha==1.5"])


def test_what_pip_cannot_do_is_said(bench: Bench) -> None:
    if bench.tool == "uv":
        bench.provision(dependencies=["beta", "alpha"], resolution="lowest-direct")
        assert bench.installed() == {"alpha": "1.0", "beta": "1.0"}
        return
    with pytest.raises(NeedsUv) as caught:
        bench.provision(dependencies=["beta"], resolution="lowest-direct")
    assert "pip install 'nox-envs[uv]'" in str(caught.value)


def test_cooldown(bench: Bench) -> None:
    for version in ("1.0", "1.1"):
        bench.index.upload_time("alpha", version, "2020-01-01T00:00:00Z")
    for version in ("2.0", "3.0b1"):
        bench.index.upload_time("alpha", version, "2999-01-01T00:00:00Z")
    bench.provision(dependencies=["alpha"], cooldown="7 days")
    assert bench.installed() == {"alpha": "1.1"}


# -- local projects, found everywhere ---------------------------------------------------


def test_uv_sources_of_the_projects_own_dependencies(bench: Bench) -> None:
    bench.index.wheel("libx", "9.0")
    write_project(bench.project / "libx", name="libx", requires=["gamma"])
    write_project(bench.project, requires=["libx"])
    with (bench.project / "pyproject.toml").open("a") as file:
        file.write('[tool.uv.sources]\nlibx = { path = "libx" }\n')
    bench.provision()
    assert bench.installed() == {"demo": "1.0", "gamma": "1.0", "libx": "1.0"}


def test_markers_of_local_projects(bench: Bench) -> None:
    write_project(bench.project / "libx", name="libx")
    uri = (bench.project / "libx").as_uri()
    bench.write(
        "requirements.txt",
        f"./libx ; python_version < '3'\nlibx @ {uri} ; python_version < '3'\n",
    )
    bench.provision(
        requirements=["requirements.txt"],
        dependencies=[f"libx @ {uri} ; python_version < '3'"],
    )
    assert bench.installed() == {}


def test_a_file_url_is_built_like_any_local_project(bench: Bench) -> None:
    library = write_project(bench.project / "libx", name="libx")
    bench.provision(dependencies=[f"libx @ {library.as_uri()}"])
    assert bench.installed() == {"libx": "1.0"}
    assert not (library / "build-was-here.txt").exists()


def test_a_constraint_cannot_install(uv_bench: Bench) -> None:
    write_project(uv_bench.project / "libx", name="libx")
    uv_bench.write("limits.txt", "./libx\n")
    with pytest.raises(DeclarationError, match="a constraint cannot be a path"):
        uv_bench.provision(constraints=["limits.txt"])


def test_the_project_named_in_a_file_is_the_project(bench: Bench) -> None:
    write_project(bench.project, extras={"cli": ["gamma"]})
    bench.write("requirements.txt", "-e .[cli]\n")
    bench.provision(requirements=["requirements.txt"])
    assert bench.installed() == {"demo": "1.0", "gamma": "1.0"}
    assert not list(bench.environment.rglob("demo/__init__.py"))


@pytest.mark.parametrize("dynamic", [False, True])
def test_extras_of_a_project_that_is_not_installed(bench: Bench, *, dynamic: bool) -> None:
    bench.index.wheel("demo", "77.0")
    write_project(
        bench.project,
        requires=["alpha<2"],
        extras={"cli": ["gamma"]},
        groups={"test": ["demo[cli]"]},
        dynamic=dynamic,
    )
    bench.provision(project="dependencies", extras=[] if not dynamic else ["cli"], groups=["test"])
    assert bench.installed() == {"alpha": "1.1", "gamma": "1.0"}


# -- reuse ----------------------------------------------------------------------------


def test_the_same_lock_is_not_installed_again(bench: Bench) -> None:
    bench.provision(dependencies=["beta"])
    marker = bench.environment / "marker"
    marker.touch()
    assert not bench.provision(reuse=True, dependencies=["beta"]).fresh
    assert marker.exists()
    assert bench.provision(reuse=True, dependencies=["beta", "gamma"]).fresh
    assert not marker.exists()
    assert bench.installed() == {"alpha": "2.0", "beta": "2.0", "gamma": "1.0"}


def test_a_new_release_makes_the_environment_anew(bench: Bench) -> None:
    bench.provision(dependencies=["alpha"])
    bench.index.wheel("alpha", "2.1")
    assert bench.provision(reuse=True, dependencies=["alpha"]).fresh
    assert bench.installed() == {"alpha": "2.1"}


def test_an_environment_that_was_changed_is_made_anew(bench: Bench) -> None:
    bench.provision(dependencies=["alpha"])
    (metadata,) = bench.environment.rglob("alpha-2.0.dist-info")
    for path in metadata.iterdir():
        path.unlink()
    metadata.rmdir()
    assert bench.provision(reuse=True, dependencies=["alpha"]).fresh


def test_changed_sources_of_the_project_are_installed(bench: Bench) -> None:
    write_project(bench.project)
    bench.provision()
    assert not bench.provision(reuse=True).fresh
    bench.write("demo/new.py", "fresh = True\n")
    assert bench.provision(reuse=True).fresh
    assert list(bench.environment.rglob("demo/new.py"))


def test_an_environment_without_a_stamp_is_never_used(bench: Bench) -> None:
    bench.provision(dependencies=["alpha"])
    (bench.environment / "nox-envs.json").unlink()
    assert bench.provision(reuse=True, dependencies=["alpha"]).fresh


def test_no_install_uses_what_is_there_or_refuses(bench: Bench) -> None:
    bench.provision(dependencies=["alpha"])
    before = len(bench.index.requests)
    kept = bench.provision(reuse=True, no_install=True, dependencies=["alpha"])
    assert not kept.fresh
    assert len(bench.index.requests) == before
    with pytest.raises(StaleEnvironment, match="what is declared has changed"):
        bench.provision(reuse=True, no_install=True, dependencies=["alpha<2"])
    (bench.environment / "nox-envs.json").unlink()
    with pytest.raises(StaleEnvironment, match="not complete"):
        bench.provision(reuse=True, no_install=True, dependencies=["alpha"])


def test_what_is_moved_or_copied_is_not_believed(bench: Bench) -> None:
    import shutil

    bench.provision(dependencies=["alpha"])
    moved = bench.root / "moved"
    shutil.copytree(bench.project, moved, symlinks=True)
    bench.project = moved
    with pytest.raises(StaleEnvironment, match="and moved"):
        bench.provision(reuse=True, no_install=True, dependencies=["alpha"])
    assert bench.provision(reuse=True, dependencies=["alpha"]).fresh


@pytest.mark.parametrize("broken", ["bin", "pyvenv.cfg"])
def test_an_environment_that_cannot_start_is_made_anew(bench: Bench, broken: str) -> None:
    import shutil

    bench.provision(dependencies=["alpha"])
    victim = bench.environment / broken
    shutil.rmtree(victim) if victim.is_dir() else victim.unlink()
    assert bench.provision(reuse=True, dependencies=["alpha"]).fresh
    assert bench.installed() == {"alpha": "2.0"}


def test_an_environment_that_lost_a_file_is_made_anew(bench: Bench) -> None:
    bench.provision(dependencies=["alpha"])
    next(bench.environment.rglob("alpha/__init__.py")).unlink()
    with pytest.raises(StaleEnvironment, match=r"lacks alpha/__init__\.py"):
        bench.provision(reuse=True, no_install=True, dependencies=["alpha"])
    assert bench.provision(reuse=True, dependencies=["alpha"]).fresh


def test_a_changed_isolation_makes_the_environment_anew(uv_bench: Bench) -> None:
    uv_bench.provision(dependencies=["alpha"])
    (file,) = uv_bench.environment.rglob("alpha/__init__.py")
    assert file.stat().st_nlink > 1
    assert uv_bench.provision(reuse=True, dependencies=["alpha"], isolation="copy").fresh
    (file,) = uv_bench.environment.rglob("alpha/__init__.py")
    assert file.stat().st_nlink == 1


def test_changed_metadata_of_an_editable_project(bench: Bench) -> None:
    write_project(bench.project, requires=["alpha"])
    bench.provision(project="editable")
    write_project(bench.project, requires=["alpha", "gamma"])
    with pytest.raises(StaleEnvironment):
        bench.provision(reuse=True, no_install=True, project="editable")
    assert bench.provision(reuse=True, project="editable").fresh
    assert bench.installed() == {"alpha": "2.0", "demo": "1.0", "gamma": "1.0"}


def test_sources_that_change_during_the_run_are_built_again(bench: Bench) -> None:
    write_project(bench.project)
    bench.provision()
    bench.write("demo/generated.py", "new = True\n")
    bench.provision()
    assert list(bench.environment.rglob("demo/generated.py"))


def test_ignored_files_that_a_build_needs(uv_bench: Bench) -> None:
    import subprocess

    write_project(uv_bench.project)
    uv_bench.write("demo/made.py", "")
    uv_bench.write(".gitignore", "made.py\n.nox\n")
    subprocess.run(["git", "init", "-q"], cwd=uv_bench.project, check=True)
    uv_bench.provision()
    assert not list(uv_bench.environment.rglob("demo/made.py"))
    uv_bench.provision(tree_include=["demo/made.py"])
    assert list(uv_bench.environment.rglob("demo/made.py"))


# -- locks ----------------------------------------------------------------------------


def test_a_lock_is_installed_exactly(bench: Bench) -> None:
    bench.provision(dependencies=["beta<2"])
    lock = (bench.environment / "pylock.toml").read_text()
    bench.write("pylock.toml", lock)
    bench.provision(lock="pylock.toml", dependencies=["alpha<2"])
    assert bench.installed() == {"alpha": "1.1", "beta": "1.0"}
    for declared, problem in (
        (["gamma"], "does not hold gamma"),
        (["alpha>1.1"], "holds alpha 1.1"),
    ):
        with pytest.raises(LockInvalid, match=problem):
            bench.provision(lock="pylock.toml", dependencies=declared)


def test_a_lock_with_a_wrong_hash_installs_nothing(bench: Bench) -> None:
    bench.provision(dependencies=["gamma"])
    lock = read_toml(bench.environment / "pylock.toml")
    good = lock["packages"][0]["wheels"][0]["hashes"]["sha256"]
    text = (bench.environment / "pylock.toml").read_text()
    bench.write("pylock.toml", text.replace(good, "0" * 64))
    with pytest.raises(NoxEnvsError):
        bench.provision(lock="pylock.toml")
    assert not (bench.environment / "nox-envs.json").exists()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("not toml", "is not valid TOML"),
        ("lock-version = '1.0'", "is not a valid lock"),
        (
            (
                "lock-version='1.0'\ncreated-by='x'\nenvironments=[\"python_version == '2.7'\"]\n"
                "packages=[]"
            ),
            "is not for this environment",
        ),
        ("lock-version='1.0'\ncreated-by='x'\nrequires-python='>=9'\npackages=[]", "is for Python"),
        (
            "lock-version='1.0'\ncreated-by='x'\n[[packages]]\nname='x'\ndirectory={path='.'}",
            "is a directory",
        ),
    ],
)
def test_a_lock_that_cannot_be_used(uv_bench: Bench, text: str, problem: str) -> None:
    uv_bench.write("pylock.toml", text)
    with pytest.raises(LockInvalid, match=problem):
        uv_bench.provision(lock="pylock.toml")


def test_locked_installs_the_committed_lock_and_notices_drift(bench: Bench) -> None:
    with pytest.raises(FileMissing, match=r"locks/pylock.test.toml"):
        bench.provision(dependencies=["alpha<2"], locked=True)
    bench.provision(dependencies=["alpha<2"])
    bench.write("locks/pylock.test.toml", (bench.environment / "pylock.toml").read_text())
    bench.index.wheel("alpha", "1.2")
    bench.provision(dependencies=["alpha<2"], locked=True)
    assert bench.installed() == {"alpha": "1.1"}
    with pytest.raises(LockInvalid, match="was made for another declaration"):
        bench.provision(dependencies=["alpha<3"], locked=True)


def test_locked_notices_what_the_project_itself_declares(bench: Bench) -> None:
    write_project(bench.project, requires=["alpha<2"])
    bench.provision()
    bench.write("locks/pylock.test.toml", (bench.environment / "pylock.toml").read_text())
    bench.provision(locked=True)
    assert bench.installed() == {"alpha": "1.1", "demo": "1.0"}
    write_project(bench.project, requires=["alpha<2", "gamma"])
    with pytest.raises(LockInvalid, match="was made for another declaration"):
        bench.provision(locked=True)


def test_a_declared_version_of_a_local_project_has_to_fit(bench: Bench) -> None:
    write_project(bench.project / "libx", name="libx")
    bench.write("requirements.txt", "./libx\nlibx>=3\n")
    with pytest.raises(NoxEnvsError):
        bench.provision(requirements=["requirements.txt"])


def test_credentials_of_a_requirement_file_reach_the_installer(bench: Bench) -> None:
    with Index(bench.root, credentials=("ann", "s3cret-word")) as private:
        private.wheel("shop", "1.0", requires=["gamma"])
        url = private.url.replace("://", "://${ANN}:${WORD}@")
        bench.write("requirements.txt", f"--extra-index-url {url}\nshop==1.0\n")
        bench.extra = {"ANN": "ann", "WORD": "s3cret-word"}
        bench.provision(requirements=["requirements.txt"])
        assert bench.installed() == {"gamma": "1.0", "shop": "1.0"}
    for path in bench.environment.rglob("*"):
        if path.is_file() and path.suffix in {".toml", ".json"}:
            assert "s3cret-word" not in path.read_text(), path


def test_credentials_of_a_direct_reference(bench: Bench) -> None:
    with Index(bench.root, credentials=("ann", "s3cret-word")) as private:
        wheel = private.wheel("shop", "1.0")
        files = private.url.replace("/simple/", "/files/").replace("://", "://ann:s3cret-word@")
        bench.provision(dependencies=[f"shop @ {files}{wheel.name}"])
        assert bench.installed() == {"shop": "1.0"}
    assert "s3cret-word" not in (bench.environment / "pylock.toml").read_text()


def test_an_index_without_hashes(bench: Bench) -> None:
    bench.index.fail("gamma", "nohash")
    bench.provision(dependencies=["gamma"])
    assert bench.index.fired
    (package,) = read_toml(bench.environment / "pylock.toml")["packages"]
    assert len(package["wheels"][0]["hashes"]["sha256"]) == 64
    assert bench.installed() == {"gamma": "1.0"}


# -- what goes wrong ------------------------------------------------------------------


def test_a_release_that_does_not_exist(bench: Bench) -> None:
    bench.write("requirements.txt", "gamma\nalpha==1.5\n")
    with pytest.raises(ReleaseNotFound) as caught:
        bench.provision(requirements=["requirements.txt"])
    assert str(caught.value) == (
        "error: alpha has no release 1.5\n"
        "\n"
        "  requirements.txt:2   alpha==1.5\n"
        "\n"
        "  The nearest are 1.1 and 2.0.\n"
        "hint: write alpha==1.1 in requirements.txt, line 2"
    )


def test_a_package_that_does_not_exist(bench: Bench) -> None:
    with pytest.raises(PackageNotFound, match="there is no package nowhere on the index"):
        bench.provision(dependencies=["nowhere"])


def test_a_conflict_names_the_lines_that_take_part(bench: Bench) -> None:
    bench.write("requirements.txt", "beta==1.0\ngamma\n")
    with pytest.raises(Unresolvable) as caught:
        bench.provision(requirements=["requirements.txt"], dependencies=["alpha>=2"])
    text = str(caught.value)
    assert "requirements.txt:1   beta==1.0" in text
    assert 'dependencies=["alpha>=2"]' in text
    assert "gamma" not in text


@pytest.mark.parametrize("mode", ["500", "403", "429", "html200"])
def test_an_index_that_is_down_says_nothing_about_releases(bench: Bench, mode: str) -> None:
    bench.index.fail(None, mode)  # type: ignore[arg-type]
    with pytest.raises(IndexUnreachable) as caught:
        bench.provision(dependencies=["alpha==1.0"])
    assert bench.index.fired
    assert "This says nothing about alpha==1.0." in str(caught.value)


def test_an_index_that_is_down_while_building_is_not_the_projects_fault(bench: Bench) -> None:
    write_project(bench.project)
    project = bench.project / "pyproject.toml"
    project.write_text(project.read_text().replace("requires = []", 'requires = ["alpha"]'))
    assert 'requires = ["alpha"]' in project.read_text()
    bench.index.fail(None, "500")
    with pytest.raises(IndexUnreachable):
        bench.provision()
    assert bench.index.fired
    bench.index.heal()
    bench.provision()
    assert bench.installed() == {"demo": "1.0"}


def test_a_build_that_fails_shows_the_end_of_its_log(bench: Bench) -> None:
    bench.index.sdist("src", "1.0", breaks=True)
    with pytest.raises(BuildFailed) as caught:
        bench.provision(dependencies=["src"])
    assert "the compiler is missing" in str(caught.value)
    assert "src" in caught.value.message


def test_a_project_that_does_not_build_is_tried_once(bench: Bench) -> None:
    log = bench.root / "builds.log"
    write_project(bench.project, build_log=log)
    broken = "raise SystemError('no luck')\n"
    backend = bench.project / "backend.py"
    text = backend.read_text()
    backend.write_text(text.replace("def build_wheel(", f"{broken}\n\ndef build_wheel("))
    for _ in range(2):
        with pytest.raises(BuildFailed, match="no luck"):
            bench.provision()


def test_mistakes_in_files_have_addresses(uv_bench: Bench) -> None:
    uv_bench.write("requirements.txt", "alpha==\n-x\n")
    with pytest.raises(DeclarationError) as caught:
        uv_bench.provision(requirements=["requirements.txt"])
    assert [m.address for m in caught.value.mistakes] == [
        "requirements.txt:1",
        "requirements.txt:2",
    ]


# -- the user's shell -----------------------------------------------------------------


def test_poisoned_variables_change_nothing(bench: Bench) -> None:
    elsewhere = bench.root / "elsewhere"
    elsewhere.mkdir()
    bench.write("limits.txt", "alpha<1.1\n")
    limits = str(bench.project / "limits.txt")
    bench.extra = {
        "PIP_TARGET": str(elsewhere),
        "PIP_PREFIX": str(elsewhere),
        "PIP_NO_DEPS": "1",
        "PIP_CONSTRAINT": limits,
        "PIP_PRE": "1",
        "PIP_REQUIRE_VIRTUALENV": "0",
        "PYTHONPATH": str(elsewhere),
        "PYTHONHOME": str(elsewhere),
        "UV_OVERRIDE": limits,
        "UV_CONSTRAINT": limits,
        "UV_PRERELEASE": "allow",
        "UV_RESOLUTION": "lowest",
        "UV_SYSTEM_PYTHON": "1",
        "VIRTUAL_ENV": str(elsewhere),
    }
    make, bench.make = bench.make, lambda *_: None  # type: ignore[method-assign]
    extra, bench.extra = bench.extra, {}
    make()
    bench.extra = extra
    bench.provision(dependencies=["beta==2.0"])
    assert bench.installed() == {"alpha": "2.0", "beta": "2.0"}
    assert list(elsewhere.iterdir()) == []


def test_settings_files_say_where_from_and_nothing_else(bench: Bench) -> None:
    home = bench.root / "home"
    (home / ".config" / "pip").mkdir(parents=True)
    (home / ".config" / "uv").mkdir(parents=True)
    (home / ".config" / "pip" / "pip.conf").write_text(
        f"[global]\nno-deps = true\nindex-url = {bench.index.url}\n[install]\npre = true\n"
    )
    (home / ".config" / "uv" / "uv.toml").write_text(
        f'index-url = "{bench.index.url}"\nprerelease = "allow"\n[pip]\nno-deps = true\n'
    )
    bench.extra = {"UV_DEFAULT_INDEX": "", "PIP_INDEX_URL": ""}
    bench.provision(dependencies=["beta==2.0"])
    assert bench.installed() == {"alpha": "2.0", "beta": "2.0"}
