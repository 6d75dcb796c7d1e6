"""What `nox-envs` does where there is no noxfile, and what it takes to another machine."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock

from nox_envs import _files, _process, borrowed, cli, discover, settings, tending
from nox_envs.inside.cells import Size
from nox_envs.install import check
from support.wheels import write_project

if TYPE_CHECKING:
    from support.bench import Bench

pytestmark = pytest.mark.process

THIS = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        return dict(json.loads(self.out))


def ask(bench: Bench, *words: str, cwd: Path | None = None, **variables: str) -> Said:
    done = subprocess.run(
        [sys.executable, "-m", "nox_envs", *words],
        cwd=cwd or bench.project,
        env={**bench.variables, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=180,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def listed(directory: Path) -> list[str]:
    return sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*"))


# -- commands on the terminal


def test_what_is_aside_prints_to_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-c", "print('it ran')"]
    assert _process.attend(command, env=os.environ, cwd=tmp_path, aside=True) == 0
    assert capfd.readouterr() == ("", "it ran\n")


@pytest.mark.skipif(os.name == "nt", reason="the signals of POSIX")
def test_a_signal_is_passed_on_and_told(tmp_path: Path) -> None:
    code = "import os, signal; os.kill(os.getppid(), signal.SIGTERM); signal.pause()"
    heard: list[int] = []
    command = [sys.executable, "-c", code]
    found = _process.attend(command, env=os.environ, cwd=tmp_path, heard=heard.append)
    assert (found, heard) == (128 + signal.SIGTERM, [signal.SIGTERM])


INTERRUPTS = """
import os, signal, sys
from nox_envs import _process
signal.signal(signal.SIGINT, getattr(signal, sys.argv[1]))
code = "import os, signal, time; os.kill(os.getppid(), signal.SIGINT); time.sleep(1)"
print(_process.attend([sys.executable, "-c", code], env=os.environ, cwd=None, heard=print))
"""


@pytest.mark.skipif(os.name == "nt", reason="the signals of POSIX")
@pytest.mark.parametrize(("handler", "said"), [("default_int_handler", "2 130"), ("SIG_IGN", "0")])
def test_an_interrupt_that_no_terminal_sends_is_passed_on(handler: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTS, handler],
        check=True,
        capture_output=True,
        text=True,
        start_new_session=True,
    )
    assert done.stdout.split() == said.split()


# -- init


def test_what_init_writes_runs(uv_bench: Bench) -> None:
    uv_bench.index.wheel("pytest", "8.0", modules={"pytest/__main__.py": "print('it ran')"})
    uv_bench.write("requirements.txt", "alpha<2\npytest\n")
    uv_bench.write(".python-version", THIS)
    shown = ask(uv_bench, "init", "--dry-run")
    assert (shown.code, listed(uv_bench.project)) == (0, [".python-version", "requirements.txt"])
    assert "Found in requirements.txt, .python-version." in shown.err
    said = ask(uv_bench, "init")
    assert (said.code, said.out) == (0, shown.out)
    assert (uv_bench.project / "noxfile.py").read_text(encoding="utf-8") == shown.out
    ran = uv_bench.nox("-s", "test", "--install-only", NOX_SCRIPT_MODE="none")
    assert ran.returncode == 0, ran.out
    assert f"Python {sys.version.split()[0]} and 2 packages, exactly as declared" in ran.out
    again = ask(uv_bench, "init")
    assert again.code == 2
    assert "noxfile.py is there already, and is not overwritten" in again.err


def test_init_of_a_broken_project(uv_bench: Bench) -> None:
    uv_bench.write("pyproject.toml", "[project")
    said = ask(uv_bench, "init")
    assert said.code == 2
    assert "pyproject.toml" in said.err
    assert listed(uv_bench.project) == ["pyproject.toml"]


# -- try

VERSION = "from importlib.metadata import version; import sys; print(version('alpha')); sys.exit(7)"


def test_a_command_in_an_environment_that_is_gone_after_it(bench: Bench) -> None:
    code = f"import sys; print(sys.prefix); {VERSION}"
    said = ask(bench, "try", "alpha==1.1", "beta", "--", "python", "-c", code)
    prefix, version = said.out.split()
    assert (said.code, version) == (7, "1.1"), said.err
    assert "and 2 packages, made with" in said.err
    assert not Path(prefix).exists()
    assert listed(bench.project) == []


def test_the_project_itself_is_tried(uv_bench: Bench) -> None:
    write_project(uv_bench.project, "demo", "1.0", requires=["alpha<2"])
    before = listed(uv_bench.project)
    said = ask(uv_bench, "try", ".", "--", "python", "-I", "-c", "import demo; " + VERSION)
    assert (said.code, said.out) == (7, "1.1\n"), said.err
    assert listed(uv_bench.project) == before


@pytest.mark.parametrize("word", [".", ".[dev]"])
def test_there_has_to_be_a_project_to_try(uv_bench: Bench, word: str) -> None:
    for text in ("", "[tool.other]\n"):
        said = ask(uv_bench, "try", word, "--", "python", "-c", "print('ran')")
        assert (said.code, said.out) == (2, ""), said.err
        assert "there is no project" in said.err
        uv_bench.write("pyproject.toml", text)
    uv_bench.write("setup.py", "import setuptools\nsetuptools.setup(name='demo')\n")
    assert "there is no project" not in ask(uv_bench, "try", word, "--json").err


def test_several_pythons_side_by_side(uv_bench: Bench) -> None:
    words = ("try", "-p", THIS, "-p", "3.99", "alpha", "--", "python", "-c", VERSION)
    said = ask(uv_bench, *words)
    assert said.code == 7
    assert f"--- {THIS}\n2.0\n" in said.out
    table = [line.split() for line in said.out.splitlines()[-2:]]
    assert table[0][:3] == [sys.version.split()[0], "1", "7"]
    assert table[1] == ["3.99", "no", "environment"]
    results = ask(uv_bench, "try", "--json", *words[1:]).data["results"]
    assert [(one["exit_code"], one["packages"]) for one in results] == [(7, 1), (None, 0)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["alpha==9"], "alpha has no release 9\n\n  the command line   alpha==9\n"),
        (["beta==1.0", "alpha==9"], "write alpha==2.0 on the command line"),
        (["not a requirement"], "1 mistake in nox-envs try"),
        (["-p", "3.99", "alpha"], "Python 3.99 is not on this machine"),
        (["-r", "other.txt"], "error: other.txt does not exist\n"),
        (["alpha==="], "'alpha===' is not a requirement: a version has to follow ==="),
        (["-p", "three", "alpha"], "there is no Python three\nhint: write its version:   -p "),
    ],
)
def test_what_cannot_be_tried(uv_bench: Bench, words: list[str], message: str) -> None:
    said = ask(uv_bench, "try", *words, "--", "python", "-c", "print('ran')")
    assert (said.code > 1, said.out) == (True, ""), said.err
    assert message in said.err


def test_nothing_follows_what_runs_nothing(uv_bench: Bench) -> None:
    said = ask(uv_bench, "show", "--", "x")
    assert said.code == 2
    assert "nothing follows -- in nox-envs show" in said.err


# -- campaigns

NEEDS_OLD = "from importlib.metadata import version; assert version('alpha') < '2', 'too new'"


@pytest.fixture
def application(uv_bench: Bench) -> Bench:
    uv_bench.write("requirements.txt", "alpha==1.0\nbeta==1.0\n")
    uv_bench.write(".python-version", THIS)
    uv_bench.write("check.py", NEEDS_OLD)
    uv_bench.extra["XDG_CACHE_HOME"] = str(uv_bench.root / "cache")
    return uv_bench


def test_an_upgrade_without_a_noxfile(application: Bench) -> None:
    before = listed(application.project)
    said = ask(application, "upgrade", "--json", "out.json", "--", "python", "check.py")
    assert said.code == 0, said.out + said.err
    (report,) = set(listed(application.project)) - set(before)
    found = json.loads((application.project / report).read_text(encoding="utf-8"))
    assert found["safe_set"]["all"]["pins"]["alpha"] == "1.1"
    assert {one["name"] for one in found["candidates"]} == {"alpha", "beta"}
    (kept,) = (application.root / "cache" / "nox-envs" / "projects-v1").iterdir()
    left = {path.partition("/")[0] for path in listed(kept / "tree")}
    assert left == {".nox"}


def test_what_is_said_to_type_next_works(application: Bench) -> None:
    words = ("upgrade", "--python", THIS, "--json", "out.json", "--", "python", "check.py")
    said = ask(application, *words)
    assert "nox -s" not in said.out + said.err
    (command,) = (line for line in said.out.splitlines() if "--apply" in line)
    assert command == f"  nox-envs upgrade --apply --python {THIS} -- python check.py"
    again = ask(application, *shlex.split(command)[1:])
    assert again.code == 0, again.out + again.err
    assert "Using the result of" in again.out + again.err
    assert "alpha==1.1" in (application.project / "requirements.txt").read_text(encoding="utf-8")


def test_what_was_interrupted_goes_on_as_it_is_said(application: Bench) -> None:
    words = ("upgrade", "--python", THIS, "--max-trials", "1", "--markdown", "out.md")
    ask(application, *words, "--", "python", "check.py")
    said = ask(application, "upgrade", "--resume", "--", "python", "check.py")
    assert "from the interrupted run" in said.err, said.err
    assert "There is nothing to resume" not in said.err


def test_what_is_applied_is_written_to_the_project(application: Bench) -> None:
    application.write("check.py", "")
    said = ask(application, "upgrade", "--apply", "alpha", "--", "python", "check.py")
    assert said.code == 0, said.out + said.err
    assert "requirements.txt is written." in said.err
    text = (application.project / "requirements.txt").read_text(encoding="utf-8")
    assert "alpha==1.0" not in text
    assert listed(application.project) == [".python-version", "check.py", "requirements.txt"]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege")
def test_what_a_link_leads_to_is_written_when_it_is_given_back(application: Bench) -> None:
    application.write("check.py", "")
    outside = application.root / "outside"
    outside.mkdir()
    link = application.project / "requirements.txt"
    link.rename(outside / "req.txt")
    link.symlink_to(outside / "req.txt")
    (outside / "req.txt").chmod(0o400)
    before = (outside / "req.txt").read_bytes()
    (application.project / "data").symlink_to(outside, target_is_directory=True)
    said = ask(application, "upgrade", "--apply", "alpha", "--", "python", "check.py")
    assert said.code == 0, said.out + said.err
    assert "requirements.txt is written." in said.err
    assert "outside" not in said.out + said.err
    assert (outside / "req.txt").read_bytes() != before
    assert link.is_symlink()


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege")
def test_what_lies_behind_a_linked_directory_is_not_edited(application: Bench) -> None:
    application.write("check.py", "")
    outside = application.root / "outside"
    outside.mkdir()
    (application.project / "requirements.txt").rename(outside / "req.txt")
    application.write("requirements.txt", "-r outside/req.txt")
    (application.project / "outside").symlink_to(outside, target_is_directory=True)
    before = (outside / "req.txt").read_bytes()
    said = ask(application, "upgrade", "--apply", "alpha", "--", "python", "check.py")
    assert said.code != 0
    assert "a link leads out of the project to what would be edited" in said.err
    assert "now give" not in said.out
    assert (outside / "req.txt").read_bytes() == before


def test_a_directory_is_asked_about_each(application: Bench) -> None:
    for name in ("a", "b"):
        for file in ("requirements.txt", ".python-version", "check.py"):
            text = (application.project / file).read_text(encoding="utf-8")
            application.write(f"services/{name}/{file}", text)
    application.write("services/b/check.py", "raise SystemExit(1)")
    words = ("services/a", "services/b/", "--json", "all.json", "--", "python", "check.py")
    said = ask(application, "upgrade", *words)
    assert said.code != 0
    table = [line.split() for line in said.out.splitlines()[-2:]]
    assert table == [
        ["services/a", "broken", "2", "2", "0"],
        ["services/b/", "baseline-red", "0", "2", "1"],
    ]
    reports = json.loads((application.project / "all.json").read_text(encoding="utf-8"))["reports"]
    assert {name: one["status"] for name, one in reports.items()} == {
        "services/a": "broken", "services/b/": "baseline-red",
    }  # fmt: skip
    remembered = (application.root / "cache" / "nox-envs").rglob("campaigns/*/about.json")
    told = [json.loads(one.read_text(encoding="utf-8"))["words"] for one in remembered]
    assert told == [[], []]


def test_a_noxfile_decides_where_there_is_one(application: Bench) -> None:
    application.noxfile(
        """
        @nox_envs.session(dependencies=["alpha==1.0"])
        def test(session):
            session.run("python", "-c", "import sys; sys.exit(sys.argv[1:] != ['-x'])", *session.posargs)
        """
    )
    said = ask(application, "matrix", "--", "-x")
    assert said.code != 0
    assert "nox_envs.campaigns(...)" in said.err
    path = application.project / "noxfile.py"
    path.write_text(path.read_text(encoding="utf-8") + "nox_envs.campaigns(test)\n", "utf-8")
    said = ask(application, "matrix", "--", "-x")
    assert said.code == 0, said.out + said.err


def test_to_resume_alone_goes_on_with_all_options(application: Bench) -> None:
    application.noxfile(
        """
        @nox_envs.session(requirements="requirements.txt")
        def test(session):
            session.run("python", "check.py", *session.posargs)

        nox_envs.campaigns(test)
        """
    )
    application.write("check.py", "import sys; assert sys.argv[1:] == ['-x']; " + NEEDS_OLD)
    first = application.nox("-s", "upgrade", "-P", THIS, "--", "--max-trials", "1", "--", "-x")
    assert "as pinned now: pass" in first.out
    again = application.nox("-s", "upgrade", "--", "--resume")
    assert "There is nothing to resume" not in again.out
    assert "as pinned now: pass, from the interrupted run" in again.out
    about = application.project / ".nox" / ".cache" / "nox-envs" / "campaigns"
    (told,) = (json.loads(one.read_text()) for one in about.glob("*/about.json"))
    words = ["--python", THIS, "--max-trials", "1", "--", "-x"]
    assert told["words"] == ["--resume", *words]


def test_nothing_to_begin_with(uv_bench: Bench) -> None:
    said = ask(uv_bench, "upgrade", "--", "python", "check.py")
    assert said.code == 2
    assert "has neither a noxfile nor anything that says what to install" in said.err
    assert listed(uv_bench.project) == []


# -- what campaigns without a noxfile leave


@pytest.fixture
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Two copies that campaigns have left, one of which has lost its project, and what is no copy."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    found = {}
    for name in ("there", "lost"):
        (tmp_path / name).mkdir()
        with borrowed.borrowed(tmp_path / name, "", variables=os.environ) as copy:
            (copy.noxfile.parent / ".nox").mkdir()
            (copy.noxfile.parent / ".nox" / "x").write_text("x" * 1000)
            found[name] = copy.copy.parent
    (tmp_path / "lost").rmdir()
    (found["lost"].parent / "mine").mkdir()
    (found["lost"].parent / "0123456789ab-mine").mkdir()
    return found


def left() -> list[str]:
    return sorted(one.place.name[13:] for one in borrowed.left(os.environ))


@pytest.mark.parametrize(
    ("words", "stay"),
    [
        ([], ["there"]),
        (["--dry-run"], ["lost", "there"]),
        (["--caches"], ["there"]),
        (["--older-than", "1 day"], ["lost", "there"]),
        (["--at-most", "1500 B"], ["lost"]),
        (["--all", "--caches"], []),
    ],
)
def test_copies_are_tended_where_there_is_no_noxfile(
    copies: dict[str, Path], words: list[str], stay: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["clean", "--yes", *words]) == 0
    assert left() == stay
    assert (copies["lost"].parent / "mine").is_dir()
    assert (copies["lost"].parent / "0123456789ab-mine").is_dir()
    if not words:
        said = capsys.readouterr().out
        assert "copy   no such project" in said
        assert str(Path.cwd() / "lost") in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--all"], "nox-envs clean --all --caches"),
        (["--all", "--dry-run"], "nox-envs clean --all --caches"),
        (["--all", "--caches", "-f", "noxfile.py"], "noxfile.py does not exist"),
    ],
)
def test_all_copies_go_only_where_that_is_meant(
    copies: dict[str, Path], words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["clean", "--yes", *words]) == 2
    assert left() == ["lost", "there"]
    assert copies.keys() == {"lost", "there"}
    assert said in capsys.readouterr().err


def test_what_stays_is_counted_and_not_measured(
    copies: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[Path] = []

    def measured(path: Path) -> Size:
        seen.append(path)
        return Size(whole=0, own=0)

    monkeypatch.setattr(tending, "measured", measured)
    assert cli.main(["clean", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["label"] for one in found["removed"]] == [str(Path.cwd() / "lost")]
    assert found["kept"] == 1
    assert seen == [copies["lost"]]


def test_a_campaign_that_begins_while_a_copy_is_removed_keeps_its_own(
    copies: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the lock as soon as it is free."""
    place = copies["lost"]
    release = FileLock.release

    def released(self: FileLock, force: bool = False) -> None:  # noqa: FBT001, FBT002 - as there
        was_locked = self.is_locked
        release(self, force=force)
        if was_locked and Path(self.lock_file) == place / "lock":
            (place / "tree").mkdir()

    monkeypatch.setattr(FileLock, "release", released)
    assert cli.main(["clean", "--yes"]) == 0
    assert listed(place) == ["lock", "tree"]


def test_what_cannot_be_removed_of_a_copy_is_said(
    copies: dict[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    remove = _files.remove
    stays = copies["lost"] / "tree"
    monkeypatch.setattr(_files, "remove", lambda path: None if path == stays else remove(path))
    assert cli.main(["clean", "--yes"]) == 1
    assert "something in it cannot be removed" in capsys.readouterr().out


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One that campaigns copy, outside of which lies a file, and a directory with one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    (tmp_path / "project" / "sub").mkdir(parents=True)
    (tmp_path / "project" / "sub" / "a").write_text("a")
    (tmp_path / "project" / "data.json").write_text("data")
    return tmp_path / "project"


def copied(project: Path, *reports: Path) -> list[str]:
    """What of it is copied while reports are written."""
    with borrowed.borrowed(project, "", variables=os.environ, reports=reports) as copy:
        for one in reports:
            one.write_text("report")
        return sorted(copy.were)


def about(project: Path) -> Path:
    assert copied(project)
    (found,) = (one.place / "project.json" for one in borrowed.left(os.environ))
    return found


@pytest.mark.parametrize(
    "reports",
    ["null", "5", '"data.json"', '["data.json", "sub", 5]', '{"data.json": 5, "sub": null}',
     '{"../../../victim/a": "DIGEST", "/TMP/victim/a": "DIGEST"}', '{"sub": "DIGEST"}',
     '{"../../../victim": "", "": "", "a\\u0000b": "DIGEST"}', '["../../../victim"]'],
)  # fmt: skip
def test_what_is_remembered_of_reports_may_be_garbage(project: Path, reports: str) -> None:
    victim = project.parent / "victim" / "a"
    victim.parent.mkdir()
    victim.write_text("a")
    remembered = about(project)
    reports = reports.replace("DIGEST", _files.sha256(victim))
    reports = reports.replace("/TMP", project.parent.as_posix())
    remembered.write_text(f'{{"directory": "x", "top": 5, "reports": {reports}}}')
    assert copied(project) == ["data.json", "sub/a"]
    assert victim.is_file()


def test_a_report_is_left_out_as_long_as_it_is_one(project: Path) -> None:
    new = project / "sub" / "new.json"
    assert copied(project, project / "data.json", new) == ["data.json", "sub/a"]
    assert copied(project) == ["data.json", "sub/a"]
    assert copied(project, new) == ["data.json", "sub/a"]
    new.write_text("no longer a report")
    assert copied(project) == ["data.json", "sub/a", "sub/new.json"]
    assert copied(project, new) == ["data.json", "sub/a", "sub/new.json"]


def test_a_report_that_is_written_later_is_left_out_too(project: Path) -> None:
    new = project / "all.json"
    with borrowed.borrowed(project, "", variables=os.environ, reports=[new]):
        pass
    new.write_text("report")
    borrowed.reported(project, new, variables=os.environ)
    assert copied(project) == ["data.json", "sub/a"]
    borrowed.reported(project, project / "data.json", variables=os.environ)
    assert copied(project) == ["data.json", "sub/a"]
    borrowed.reported(project.parent / "other", new, variables=os.environ)


def test_a_copy_in_which_a_campaign_runs_stays(
    copies: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with FileLock(copies["lost"] / "lock"):
        assert cli.main(["clean", "--yes"]) == 1
    assert "could not be removed: it is in use" in capsys.readouterr().out
    assert (copies["lost"] / "tree" / ".nox" / "x").is_file()


# -- bundle

ELSEWHERE = {
    "PIP_NO_INDEX": "1",
    "https_proxy": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
}


def declare(bench: Bench) -> None:
    """A cell with the project, wheels of an index, and what has to be built."""
    write_project(bench.project, "demo", "1.0", requires=["beta", "source-only"])
    bench.index.sdist("source-only", "1.0")
    bench.index.wheel("beta", "3.0", requires=["alpha"], entry_points={"beta": "beta:main"})
    bench.noxfile("@nox_envs.session(python='" + THIS + "')\ndef test(session): pass\n")


@pytest.fixture
def bundled(uv_bench: Bench) -> Path:
    declare(uv_bench)
    said = ask(uv_bench, "bundle", "test", "-o", "out")
    assert said.code == 0, said.err
    assert "4 packages, installed from the bundle without a network and compared" in said.out
    return uv_bench.project / "out"


def restored(bench: Bench, bundle: Path, *words: str) -> Said:
    """Run the script of a bundle in another home, where nothing can be reached."""
    (bench.root / "elsewhere").mkdir(exist_ok=True)
    env = {**bench.variables, **ELSEWHERE, "HOME": str(bench.root / "elsewhere")}
    done = subprocess.run(
        [sys.executable, "-I", str(bundle / "install.py"), *words],
        env={name: value for name, value in env.items() if "INDEX_URL" not in name},
        cwd=bench.root / "elsewhere",
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=180,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def test_a_bundle_is_the_same_environment_elsewhere(uv_bench: Bench, bundled: Path) -> None:
    moved = bundled.rename(uv_bench.root / "moved")
    before = len(uv_bench.index.requests)
    said = restored(uv_bench, moved, "env")
    assert said.code == 0, said.err
    assert len(uv_bench.index.requests) == before
    here = ask(uv_bench, "show", "test", "--offline", "--json").data["contents"]
    python = (
        uv_bench.root / "elsewhere" / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    )
    there = check.installed(discover.inspect(python))
    assert {str(one.name): one.version for one in there if one.name != "pip"} == {
        one["name"]: one["version"] for one in here
    }
    subprocess.run([python, "-I", "-c", "import demo, alpha, beta, source_only"], check=True)
    with_uv = [
        str(settings.find_uv(uv_bench.variables)),
        "pip",
        "install",
        "--offline",
        "--no-cache",
    ]
    (uv_bench.root / "site").mkdir()
    subprocess.run(
        [*with_uv, "-r", str(moved / "pylock.toml"), "--target", str(uv_bench.root / "site"),
         "--python", sys.executable],
        check=True, env=uv_bench.variables,
    )  # fmt: skip
    assert (uv_bench.root / "site" / "source_only").is_dir()


@pytest.mark.parametrize("is_checkout", [False, True])
def test_a_bundle_in_the_project_is_no_source_of_it(
    uv_bench: Bench, bundled: Path, *, is_checkout: bool
) -> None:
    if is_checkout:
        subprocess.run(["git", "init", "--quiet", str(uv_bench.project)], check=True)
        shutil.rmtree(bundled)
        assert ask(uv_bench, "bundle", "test", "-o", "out").code == 0
    assert (bundled / "wheels").is_dir()
    (cell,) = ask(uv_bench, "show", "--json").data["cells"]
    assert (cell["state"], cell["reason"]) == ("made", "")


def test_a_bundle_that_is_not_whole_is_not_installed(uv_bench: Bench, bundled: Path) -> None:
    (wheel,) = (bundled / "wheels").glob("alpha-*")
    content = wheel.read_bytes()
    wheel.write_bytes(content + b"x")
    assert f"wheels/{wheel.name} is damaged" in restored(uv_bench, bundled, "env").err
    wheel.unlink()
    assert "the bundle is not complete" in restored(uv_bench, bundled, "env").err
    wheel.write_bytes(content)
    file = bundled / "bundle.json"
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace(f'"version": "{THIS}"', '"version": "3.99"'), encoding="utf-8")
    said = restored(uv_bench, bundled, "env")
    assert said.code == 1
    assert f"this one has version {THIS}, not 3.99" in said.err
    assert not (uv_bench.root / "elsewhere" / "env").exists()


def test_what_a_function_platform_takes(uv_bench: Bench) -> None:
    declare(uv_bench)
    for name, zone in (("function.zip", "UTC"), ("again.zip", "Pacific/Auckland")):
        said = ask(uv_bench, "bundle", "test", "--target", name, "--json", TZ=zone)
        assert said.code == 0, said.err
        assert said.data["packages"]["source-only"] == "1.0"
    archive = uv_bench.project / "function.zip"
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
    assert {name.partition("/")[0] for name in names} >= {"alpha", "beta", "demo", "source_only"}
    assert not [name for name in names if "__pycache__" in name or name.startswith("bin/")]
    assert (uv_bench.project / "again.zip").read_bytes() == archive.read_bytes()
    assert not list(uv_bench.project.glob("bundle-*"))
    said = ask(uv_bench, "bundle", "test", "--target", "again.zip")
    assert said.code == 2
    assert "again.zip is there already, and is not overwritten" in said.err


def test_a_bundle_that_cannot_be_made_leaves_nothing(uv_bench: Bench) -> None:
    uv_bench.noxfile("@nox_envs.session(dependencies=['beta'])\ndef test(session): pass\n")
    uv_bench.extra["NOX_ENVS_REMEMBER"] = "1 hour"
    assert uv_bench.nox("-s", "test").returncode == 0
    uv_bench.index.fail("alpha", "404", where="files")
    said = ask(uv_bench, "bundle", "test")
    assert said.code > 1
    assert "HTTP error 404" in said.err
    assert not (uv_bench.project / "bundle-test").exists()


# -- shell


@pytest.fixture
def celled(uv_bench: Bench) -> Bench:
    uv_bench.noxfile(
        """
        @nox_envs.session(dependencies=["alpha<2"], env={"MODE": "it's on"}, directory="inner")
        def test(session):
            session.run("python", "-c", "raise SystemExit('it ran')")
        """
    )
    uv_bench.write("inner/there.txt", "")
    return uv_bench


def test_a_line_in_the_environment_of_a_cell(celled: Bench) -> None:
    line = f'echo "$MODE"; ls; python -c "{VERSION}"'
    said = ask(celled, "shell", "test", "--shell", "/bin/sh", "-c", line, PYTHONPATH="/nowhere")
    assert (said.code, said.out) == (7, "it's on\nthere.txt\n1.1\n"), said.err
    assert "it ran" not in said.err


@pytest.mark.skipif(os.name == "nt", reason="the shells of POSIX")
@pytest.mark.parametrize(
    ("shell", "file"), [("bash", ".bashrc"), ("zsh", ".zshrc"), ("dash", ".shrc")]
)
def test_an_interactive_shell_is_in_it_whatever_its_files_say(
    celled: Bench, shell: str, file: str
) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell}")
    home = celled.root / "home"
    (home / file).write_text("export PATH=/usr/bin:/bin MODE=off PYTHONPATH=/x OWN=mine\n")
    env = {**celled.variables, "SHELL": program, "ENV": str(home / ".shrc")}
    done = subprocess.run(
        [sys.executable, "-m", "nox_envs", "shell", "test"],
        input=f'echo "<$MODE $OWN $PYTHONPATH>"; python -c "{VERSION}"\nexit 5\n',
        cwd=celled.project,
        env=env,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=180,
    )
    assert "<it's on mine >\n1.1\n" in done.stdout, done.stderr
    assert done.returncode == 5
    assert not list(celled.root.glob("nox-envs-shell-*"))


def test_a_shell_that_is_not_there(celled: Bench) -> None:
    for more in (["-c", "true"], []):
        said = ask(celled, "shell", "test", "--shell", "nosuchsh", *more)
        assert (said.code, said.out) == (2, "")
        assert "there is no shell nosuchsh" in said.err


def test_a_cell_that_cannot_be_made_has_no_shell(celled: Bench) -> None:
    celled.noxfile("@nox_envs.session(dependencies=['alpha==9'])\ndef test(session): pass\n")
    said = ask(celled, "shell", "test", "-c", "echo in it")
    assert (said.code, said.out) == (2, "")
    assert "alpha has no release 9" in said.err
