"""What is printed while trials run, and what stays of it."""

from __future__ import annotations

import io
import re
import threading
from dataclasses import replace

import pytest

from nox_envs.outcome import Failure, Outcome, Trial
from nox_envs.report.columns import columns
from nox_envs.report.facts import Baseline
from nox_envs.report.progress import Board, all_at_once, as_now, closing, finished, opening, tried

BOTH = columns({"test-3.11": "3.11", "test-3.12": "3.12"}, ["test"])
AXES = columns({"test-3.11(django='4.2')": "3.11"}, ["test"])
THREE = Failure(signature="s", tests={"t::a": "", "t::b": "", "t::c": ""})


def trial(
    name: str = "t4",
    outcome: Outcome = Outcome.FAIL,
    failure: Failure | None = THREE,
    reason: str = "",
) -> Trial:
    changes = {"werkzeug": ("2.2.3", "3.1.9")}
    return Trial(id=name, cell="test-3.11", python="3.11", outcome=outcome, changes=changes,
                 failure=failure, seconds=12.3, reason=reason)  # fmt: skip


PASSED = trial(outcome=Outcome.PASS, failure=None)


class Terminal(io.StringIO):
    """A terminal that remembers what it was sent."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def xterm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name in ("TTY_COMPATIBLE", "TTY_INTERACTIVE", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


# -- words ----------------------------------------------------------------------------


def test_the_lines_of_a_campaign() -> None:
    passing = {
        "test-3.11": Baseline(outcome=Outcome.PASS, seconds=41.2),
        "test-3.12": Baseline(outcome=Outcome.PASS, seconds=38),
    }
    both = {"test-3.11": trial(), "test-3.12": trial()}
    said = [
        opening(["test"], BOTH, dependencies=24, files=["requirements.txt"], outdated=7),
        as_now(passing, BOTH),
        all_at_once(7, both, BOTH),
        closing(16, 232),
    ]
    assert "\n".join(said) == (
        """\
test on Python 3.11 and 3.12: 24 dependencies (requirements.txt), 7 have newer releases.
as pinned now: pass (41 s on 3.11, 38 s on 3.12)
all 7 at once: 3 tests fail on both. Looking for the largest set that passes ...
16 trials, 3 min 52 s."""
    )


def test_one_is_not_many() -> None:
    said = opening(["test", "types"], AXES, dependencies=1, files=[], outdated=1)
    assert said == (
        "test and types on test-3.11(django='4.2'): 1 dependency, 1 has a newer release."
    )
    none = opening(["test"], BOTH, dependencies=2, files=[], outdated=0)
    assert none.endswith("2 dependencies, none has a newer release.")
    assert closing(1, 9.5) == "1 trial, 9.5 s."


def test_columns_that_differ_are_told_apart() -> None:
    red = Baseline(outcome=Outcome.FAIL, seconds=2, known_failures=("t::a",))
    mixed = {"test-3.11": Baseline(outcome=Outcome.PASS, seconds=1), "test-3.12": red}
    assert (
        as_now(mixed, BOTH) == "as pinned now: pass (1.0 s on 3.11), fail, 1 test (2.0 s on 3.12)"
    )
    assert as_now({"test-3.11": Baseline(outcome=None)}, BOTH) == "as pinned now: not tested"
    apart = {"test-3.11": PASSED, "test-3.12": trial(outcome=Outcome.TIMEOUT, failure=None)}
    assert all_at_once(2, apart, BOTH) == (
        "all 2 at once: pass on 3.11, timeout on 3.12. Looking for the largest set that passes ..."
    )
    assert all_at_once(1, {"test-3.11": PASSED}, BOTH) == "the newer release: pass on 3.11."


def test_a_trial_is_one_line() -> None:
    assert finished(trial()) == "t4 test-3.11: werkzeug 3.1.9: fail, 3 tests, 12 s"
    error = trial(outcome=Outcome.ERROR, failure=None, reason="no\x1b[31m disk\n!")
    assert finished(error, "all 7") == "t4 test-3.11: all 7: error, no disk !, 12 s"
    assert tried({}) == "as pinned now"
    assert tried({"a": ("1", None)}) == "no a"
    assert tried(dict.fromkeys("dcba", ("1", "2"))) == "a 2, b 2 and 2 more"


def test_of_many_releases_those_are_named_that_tell_a_trial_from_the_others() -> None:
    every = dict.fromkeys("abcdefgh", ("1", "2"))
    half = {name: every[name] for name in "abcd"}
    assert tried(every) == "a 2, b 2 and 6 more"
    assert tried(every, [every]) == "a 2, b 2 and 6 more"
    assert tried({**half, "e": ("1", None)}, [every, half]) == "no e and 4 more"
    assert tried(every, [half]) == "e 2, f 2 and 6 more"
    assert tried({**half, "b": ("1", "1.5")}, [every, half]) == "b 1.5 and 3 more"
    assert tried(half, [dict.fromkeys("abefgh", ("1", "2")), every]) == "c 2, d 2 and 2 more"
    assert tried({"a": ("1", "2"), "z": ("1", "2")}, [half]) == "z 2 and a 2"


def test_where_little_is_left_out_that_is_named() -> None:
    every = dict.fromkeys("abcdefgh", ("1", "2"))
    most = {name: every[name] for name in "acdefh"}
    assert tried(most, [every, {}]) == "all 8 but b and g"
    assert tried(most, [every, {"z": ("1", "2")}]) == "a 2, c 2 and 4 more"
    assert tried({**most, "a": ("1", "3")}, [every, most]) == "a 3 and 5 more"
    few = {name: every[name] for name in "ab"}
    assert tried(few, [{**few, "c": ("1", "2")}]) == "a 2 and b 2"


# -- the board ------------------------------------------------------------------------


def test_elsewhere_there_is_a_line_for_each_trial_that_has_ended() -> None:
    said: list[str] = []
    with Board(said.append) as board:
        board.say("hello")
        board.started("t4", "test-3.11", "all 7 at once")
        board.finished(trial())
    board.finished(trial("t5"))
    board.say("done")
    assert said == ["hello", "t4 test-3.11: all 7 at once: fail, 3 tests, 12 s", "done"]


def test_a_line_names_what_the_last_trial_of_its_cell_did_not_have() -> None:
    said: list[str] = []
    every = dict.fromkeys("abcdefgh", ("1", "2"))
    half, other = ({name: every[name] for name in names} for names in ("abcd", "abce"))
    ran = [("t1", "x", half), ("t2", "y", every), ("t3", "x", other), ("t4", "x", {})]
    with Board(said.append) as board:
        for name, cell, changes in ran:
            label = tried(changes) if changes else "good.txt"
            board.started(name, cell, label)
            board.finished(replace(PASSED, id=name, cell=cell, changes=changes))
    assert [line.split(": ")[1] for line in said] == [
        "a 2, b 2 and 2 more", "a 2, b 2 and 6 more", "e 2 and 3 more", "good.txt",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [Terminal, io.StringIO])
def test_what_cannot_be_drawn_on_gets_lines(
    kind: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    said: list[str] = []
    terminal = kind()
    with Board(said.append, terminal=terminal) as board:
        board.finished(trial())
    assert said == ["t4 test-3.11: werkzeug 3.1.9: fail, 3 tests, 12 s"]
    assert not terminal.getvalue()


def screen(sent: str) -> list[str]:
    """The lines that a terminal shows in the end, with what the display uses of it."""
    rows, row, column = [""], 0, 0
    for move, text in re.findall(r"(\x1b\[\??[0-9;]*[A-Za-z]|[\r\n])|([^\x1b\r\n]+)", sent):
        if text:
            rows[row] = rows[row][:column].ljust(column) + text + rows[row][column + len(text) :]
            column += len(text)
        elif move == "\n":
            row, column = row + 1, 0
            rows += [""] if row == len(rows) else []
        elif move == "\r":
            column = 0
        elif move == "\x1b[2K":
            rows[row] = ""
        elif move.endswith("A"):
            row -= int(move[2:-1] or 1)
        else:
            assert move in {"\x1b[?25l", "\x1b[?25h"}
    return "\n".join(line.rstrip() for line in rows).rstrip("\n").split("\n")


def drawing(terminal: Terminal) -> Board:
    """A board that says its lines on the same terminal, as nox does."""

    def say(line: str) -> None:
        terminal.write(f"{line}\n")

    return Board(say, terminal=terminal)


def test_a_terminal_shows_what_runs_and_keeps_what_was_said() -> None:
    terminal = Terminal()
    with drawing(terminal) as board:
        board.say("first")
        board.started("t1", "test-3.11", "as\x1b[2J pinned [now]")
        board.started("t2", "test-3.12", "as pinned now")
        board.say("second")
        shown = screen(terminal.getvalue())
        assert shown[:2] == ["first", "second"]
        assert re.fullmatch(r"  t1 test-3.11: as pinned \[now\], \d\.\d s", shown[2])
        assert shown[3].startswith("  t2 test-3.12: as pinned now, ")
        assert shown[4:] == ["  0 trials done"]
        board.finished(trial("t1"))
        board.say("third")
        assert screen(terminal.getvalue())[-1] == "  1 trial done"
    assert screen(terminal.getvalue()) == ["first", "second", "third"]
    assert terminal.getvalue().endswith("\x1b[?25h")


def test_the_display_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    raw = io.BytesIO()
    raw.isatty = lambda: True  # type: ignore[method-assign]
    terminal = io.TextIOWrapper(raw, encoding="ascii")
    said: list[str] = []
    with Board(said.append, terminal=terminal) as board:
        board.started("t1", "test-3.11", "\xe9" + "x" * 99)
        terminal.flush()
        assert "  t1 test-3.11: \\xe9xxxxxxxxxx" in screen(raw.getvalue().decode())


def test_an_interruption_leaves_the_terminal_clean() -> None:
    terminal = Terminal()

    def interrupted(line: str) -> None:
        raise KeyboardInterrupt

    board = Board(interrupted, terminal=terminal)
    board.started("t1", "test-3.11", "as pinned now")
    assert screen(terminal.getvalue()) != [""]
    with pytest.raises(KeyboardInterrupt), board:
        board.say("never")
    board.started("t2", "test-3.11", "too late")
    board.close()
    assert screen(terminal.getvalue()) == [""]
    assert terminal.getvalue().endswith("\x1b[?25h")


def test_trials_may_end_in_any_thread() -> None:
    terminal = Terminal()

    def run(number: int) -> None:
        name = f"t{number}"
        board.started(name, "test-3.11", "as pinned now")
        board.say(name)
        board.finished(trial(name))

    with drawing(terminal) as board:
        threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(screen(terminal.getvalue())) == [f"t{number}" for number in range(8)]
