"""The scripts of `completion`, in the shells that read them."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform == "win32", reason="these shells are not of Windows"),
]

NOXFILE = """
    import nox_envs

    print("a noxfile may print")

    @nox_envs.session(python=["3.11"], matrix={"flask": ["2.3", "<3"]})
    def test(session):
        pass

    @nox_envs.session(python=["3.11"])
    def lint(session):
        pass
"""
BROKEN = "print(input())\nraise RuntimeError('do not show this')\n"
OLD, NEW = "test-3.11(flask='2.3')", "test-3.11(flask='<3')"
HOSTILE = ['it\'s(a="b c")', "xy$HOME`id`\\n;&|*?#~[a]{b,c}"]
"""No name of a cell is like that, as yet."""
STARTS = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"]}
PROGRAM = """#!/bin/sh
if [ "$3" != --cells ]; then
    printf '%s\\n' "$@" > "$SAID.new"
    mv "$SAID.new" "$SAID"
elif [ -e "$NAMES" ]; then
    cat "$NAMES"
else
    exec "{python}" -m nox_envs "$@"
fi
"""
PATIENCE = 20


@dataclass(frozen=True)
class Place:
    """A directory in which `nox-envs` says what it was called with."""

    root: Path

    @property
    def said(self) -> Path:
        return self.root / "said"

    @property
    def names(self) -> Path:
        return self.root / "names"

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def variables(self) -> dict[str, str]:
        return {
            "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.root),
            "SAID": str(self.said),
            "NAMES": str(self.names),
            "TERM": "dumb",
            "LC_ALL": "C.UTF-8",
        }

    def script(self, shell: str) -> Path:
        path = self.root / f"completion.{shell}"
        command = [sys.executable, "-m", "nox_envs", "completion", shell]
        path.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
        return path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    found = Place(tmp_path)
    found.project.mkdir()
    lines = [line[4:] for line in NOXFILE.splitlines()]
    (found.project / "noxfile.py").write_text("\n".join(lines))
    (found.project / "freeze.txt").write_text("")
    (found.project / "src").mkdir()
    program = tmp_path / "bin" / "nox-envs"
    program.parent.mkdir()
    program.write_text(PROGRAM.format(python=sys.executable))
    program.chmod(0o755)
    return found


def there(shell: str) -> str:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"there is no {shell} on this machine")
    return found


class Terminal:
    """An interactive shell, and what it shows."""

    def __init__(self, shell: str, place: Place) -> None:
        self._up, down = os.openpty()
        self._place = place
        self.shown = ""
        self._process = subprocess.Popen(
            [there(shell), *STARTS[shell]],
            stdin=down, stdout=down, stderr=down, start_new_session=True,
            env=place.variables, cwd=place.project,
        )  # fmt: skip
        os.close(down)
        self.type(f". '{place.script(shell)}'; echo rea''dy\n")
        self.wait(lambda: "ready" in self.shown)

    def type(self, keys: str) -> None:
        os.write(self._up, keys.encode())

    def wait(self, is_there: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not is_there():
            assert time.monotonic() < end, self.shown
            if select.select([self._up], [], [], 0.05)[0]:
                self.shown += os.read(self._up, 1 << 16).decode(errors="replace")

    def call(self, keys: str) -> list[str]:
        """What nox-envs is called with."""
        self._place.said.unlink(missing_ok=True)
        self.type(f"{keys}\n")
        self.wait(self._place.said.exists)
        return self._place.said.read_text(encoding="utf-8").splitlines()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._up)


@pytest.mark.parametrize("shell", STARTS)
def test_words_are_completed_where_they_are_typed(shell: str, place: Place) -> None:
    terminal = Terminal(shell, place)
    try:
        for keys, words in {
            "nox-envs sho\t": ["show"],
            "nox-envs upg\t--fail-\t": ["upgrade", "--fail-on"],
            "nox-envs floors --low\t": ["floors", "--lower"],
            "nox-envs culprit --mode fr\t": ["culprit", "--mode", "fresh"],
            "nox-envs bisect s\tx": ["bisect", "src/x"],
            "nox-envs completion z\t": ["completion", "zsh"],
            "nox-envs export --format=pyl\tli\t": ["export", "--format=pylock", "lint-3.11"],
            "nox-envs export --format docker\tlin\t": [
                "export", "--format", "dockerfile", "lint-3.11",
            ],
            "nox-envs show li\t": ["show", "lint-3.11"],
            "nox-envs show li\tli\t": ["show", "lint-3.11", "li"],
            "nox-envs show te\t2\t": ["show", OLD],
            "nox-envs show te\t\\<\t": ["show", NEW],
            "nox-envs show 'test-3.11(flask='\\''2\t": ["show", OLD],
            "nox-envs show \"test-3.11(flask='<\t": ["show", NEW],
            "nox-envs show test-3.11\\(flask=\\'2\t": ["show", OLD],
            "nox-envs matrix --only li\t": ["matrix", "--only", "lint-3.11"],
            "nox-envs matrix --only=te\t2\t": ["matrix", f"--only={OLD}"],
            "nox-envs diff li\tfre\t": ["diff", "lint-3.11", "freeze.txt"],
            "nox-envs show --noxfile fre\tli\t": ["show", "--noxfile", "freeze.txt", "li"],
            "A=1 nox-envs show --noxfile=noxfile.py li\t": [
                "show", "--noxfile=noxfile.py", "lint-3.11",
            ],
            "~/bin/nox-envs show li\t": ["show", "lint-3.11"],
            "nox-envs upgrade -- --fail-\tli\t": ["upgrade", "--", "--fail-li"],
        }.items():  # fmt: skip
            assert terminal.call(keys) == words, keys
        (place.project / "noxfile.py").write_text(BROKEN)
        assert terminal.call("nox-envs show li\t") == ["show", "li"]
        (place.project / "noxfile.py").unlink()
        assert terminal.call("nox-envs show li\t") == ["show", "li"]
        assert "Traceback" not in terminal.shown
        assert "error" not in terminal.shown
        assert "do not show this" not in terminal.shown
        assert "may print" not in terminal.shown
    finally:
        terminal.close()


@pytest.mark.parametrize("shell", STARTS)
@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_no_name_gets_out_of_its_quotes(shell: str, quote: str, place: Place) -> None:
    place.names.write_text("".join(f"{name}\n" for name in HOSTILE), encoding="utf-8")
    terminal = Terminal(shell, place)
    try:
        for name in HOSTILE:
            assert terminal.call(f"nox-envs shell {quote}{name[:2]}\t") == ["shell", name]
    finally:
        terminal.close()


def test_bash_lists_names_as_they_are(place: Place) -> None:
    terminal = Terminal("bash", place)
    try:
        terminal.type("nox-envs show te\t\t\t")
        terminal.wait(lambda: OLD in terminal.shown and NEW in terminal.shown)
    finally:
        terminal.close()


def test_zsh_finds_the_script_in_its_path(place: Place) -> None:
    terminal = Terminal("zsh", place)
    try:
        (place.root / "functions").mkdir()
        place.script("zsh").rename(place.root / "functions" / "_nox-envs")
        terminal.type(
            "unfunction -m '_nox-envs*'; compdef -d nox-envs; "
            f"fpath=('{place.root / 'functions'}' $fpath); compinit -u -D; echo fo''und\n"
        )
        terminal.wait(lambda: "found" in terminal.shown)
        assert terminal.call("nox-envs show li\t") == ["show", "lint-3.11"]
        assert terminal.call("nox-envs show te\t2\t") == ["show", OLD]
    finally:
        terminal.close()


def fish(place: Place, line: str, *, escape: bool = False) -> list[str]:
    """What is offered, without what is said of it."""
    lines = f"source '{place.root / 'completion.fish'}'; complete -C {'--escape' * escape} $LINE"
    done = subprocess.run(
        [there("fish"), "--no-config", "-c", lines],
        cwd=place.project, env={**place.variables, "LINE": line}, check=True,
        capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert not done.stderr
    return [found.partition("\t")[0] for found in done.stdout.splitlines()]


def test_fish_offers_what_fits(place: Place) -> None:
    there("fish")
    place.script("fish")
    for line, words in {
        "nox-envs sho": ["show"],
        "nox-envs upgrade --fail-": ["--fail-on"],
        "nox-envs floors --low": ["--lower"],
        "nox-envs matrix --low": [],
        "nox-envs show upgrade --fail-": [],
        "nox-envs culprit --mode ": ["fresh", "keep"],
        "nox-envs export --format=pyl": ["--format=pylock"],
        "nox-envs completion ": ["bash", "fish", "powershell", "zsh"],
        "nox-envs show ": ["lint-3.11", OLD, NEW],
        "nox-envs show lint-3.11 ": [],
        "nox-envs show -f noxfile.py ": ["lint-3.11", OLD, NEW],
        "nox-envs show --noxfile=freeze.txt ": [],
        "nox-envs show -f ": ["freeze.txt", "noxfile.py", "src/"],
        "nox-envs diff lint-3.11 ": ["freeze.txt", "lint-3.11", "noxfile.py", "src/", OLD, NEW],
        "nox-envs matrix --only l": ["lint-3.11"],
        "nox-envs matrix --only=l": ["--only=lint-3.11"],
        "~/bin/nox-envs show l": ["lint-3.11"],
        "nox-envs bisect ": ["src/"],
        "nox-envs upgrade -- --fail-": [],
        "nox-envs upgrade -- f": ["freeze.txt"],
        "nox-envs show -- lint": [],
    }.items():
        assert sorted(fish(place, line)) == sorted(words), line
    (place.project / "noxfile.py").write_text(BROKEN)
    assert fish(place, "nox-envs show ") == []
    (place.project / "noxfile.py").unlink()
    assert fish(place, "nox-envs show ") == []


def test_fish_quotes_names(place: Place) -> None:
    there("fish")
    place.script("fish")
    place.names.write_text("".join(f"{name}\n" for name in [*HOSTILE, OLD, NEW]), encoding="utf-8")
    quoted = fish(place, "nox-envs show ", escape=True)
    command = ["fish", "--no-config", "-c", f"printf '%s\\n' {' '.join(quoted)}"]
    done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
    assert sorted(done.stdout.splitlines()) == sorted([*HOSTILE, OLD, NEW])
