"""Logs: both ends are kept, nobody waits, no secret is written."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nox_envs.run import log
from nox_envs.run.log import CappedLog, Summary, pump, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET = b"hunter2"


def redact(text: bytes) -> bytes:
    return text.replace(SECRET, b"****")


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Both ends of a pipe; tests close the second by themselves."""
    source, sink = os.pipe()
    yield source, sink
    os.close(source)


def say(sink: int, *pieces: bytes) -> None:
    for piece in pieces:
        os.write(sink, piece)
    os.close(sink)


@pytest.mark.parametrize("can_poll", [True, False])
def test_what_is_said_is_in_the_file(
    pipe: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, can_poll: bool
) -> None:
    monkeypatch.setattr(log, "_CAN_POLL", can_poll and log._CAN_POLL)
    source, sink = pipe
    pumping = pump(source, tmp_path / "new" / "t1.log")
    say(sink, b"one\n", b"two \xff\r\n", "drei ä".encode())
    assert pumping.wait() == Summary(total=18, left_out=0)
    assert read(tmp_path / "new" / "t1.log") == "one\ntwo \\xff\r\ndrei ä"


def test_the_head_is_there_while_it_is_said(tmp_path: Path) -> None:
    open_log = CappedLog(tmp_path / "log")
    open_log.write(b"a prompt without an end")
    assert read(tmp_path / "log") == "a prompt without an end"
    open_log.close()


@settings(max_examples=150)
@given(
    pieces=st.lists(st.binary(max_size=40), max_size=12),
    head=st.integers(0, 60),
    tail=st.integers(0, 60),
)
def test_both_ends_are_kept_and_the_middle_is_counted(
    pieces: list[bytes], head: int, tail: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "both-ends.log"
    capped = CappedLog(path, head=head, tail=tail)
    for piece in pieces:
        capped.write(piece)
    summary = capped.close()
    said = b"".join(pieces)
    left_out = max(len(said) - head - tail, 0)
    assert summary == Summary(total=len(said), left_out=left_out)
    expected = said
    if left_out:
        start, end = said[:head], said[len(said) - tail :]
        newline = b"" if not start or start.endswith(b"\n") else b"\n"
        expected = start + newline + b"[nox-envs left out %d bytes here]\n" % left_out + end
    assert path.read_bytes() == expected


def test_the_tail_takes_no_more_memory_than_its_bytes(tmp_path: Path) -> None:
    capped = CappedLog(tmp_path / "log", head=0, tail=200_000)
    for _ in range(300_000):
        capped.write(b"x")
    capped.write(b"y" * 1_000_000)
    assert sum(map(len, capped._tail)) == 200_000
    for _ in range(300_000):
        capped.write(b"z")
    assert sum(map(len, capped._tail)) == 200_000
    assert sum(map(sys.getsizeof, capped._tail)) < 300_000
    assert len(capped._tail) < 10
    capped.close()


def test_what_is_said_after_the_end_is_not_written(tmp_path: Path) -> None:
    capped = CappedLog(tmp_path / "log")
    capped.write(b"before")
    first = capped.close()
    capped.write(b"after")
    assert capped.close() == first
    assert (tmp_path / "log").read_bytes() == b"before"


# -- a pipe that is held open


@pytest.mark.parametrize("can_poll", [True, False])
def test_a_pipe_that_stays_open_holds_nobody_up(
    pipe: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, can_poll: bool
) -> None:
    monkeypatch.setattr(log, "_CAN_POLL", can_poll and log._CAN_POLL)
    monkeypatch.setattr(log, "_PATIENCE", 30 if can_poll else 0.3)
    source, sink = pipe
    pumping = pump(source, tmp_path / "log")
    os.write(sink, b"before\n")
    assert pumping.wait(0.01) is None
    assert pumping.stop() == Summary(total=7, left_out=0)
    assert read(tmp_path / "log") == "before\n"
    say(sink, b"the daemon speaks\n")  # Ends a thread that was left behind.
    assert pumping.wait() == Summary(total=7, left_out=0)
    assert read(tmp_path / "log") == "before\n"


@pytest.mark.skipif(os.name == "nt", reason="there is no poll")
def test_all_that_is_in_the_pipe_is_taken_before_the_end(
    pipe: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "_BLOCK", 1 << 10)
    monkeypatch.setattr(log, "_PATIENCE", 30)
    source, sink = pipe
    os.write(sink, b"x" * 60_000)
    assert pump(source, tmp_path / "log").stop() == Summary(total=60_000, left_out=0)
    os.close(sink)


@pytest.mark.skipif(os.name == "nt", reason="there is no poll")
def test_who_never_stops_speaking_is_not_heard_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "_LEFT_IN_PIPE", 1 << 20)
    monkeypatch.setattr(log, "_PATIENCE", 30)
    with open("/dev/zero", "rb", buffering=0) as endless:  # noqa: PTH123
        pumping = pump(endless, tmp_path / "log", head=10, tail=10)
        assert pumping.stop().left_out >= 1_000_000
        assert pumping.wait(0) is not None


def test_the_source_may_be_closed_while_it_is_read(tmp_path: Path) -> None:
    source, sink = os.pipe()
    with os.fdopen(source, "rb") as stream:
        pumping = pump(stream, tmp_path / "log")
    say(sink, b"still heard")
    assert pumping.wait() == Summary(total=11, left_out=0)


# -- a full disk


@pytest.mark.skipif(os.name == "nt", reason="there is no limit to set")
@pytest.mark.parametrize("freed", [True, False])
def test_a_full_disk_stops_nobody(tmp_path: Path, *, freed: bool) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    path = tmp_path / "log"
    capped = CappedLog(path, head=1000, tail=100)
    said = [b"0123456789abcdef\n" * 10, b"more\n"]
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
        capped.write(said[0])
        if freed:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        capped.write(said[1])
        summary = capped.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    kept = 110 if freed else 10
    assert summary == Summary(total=175, left_out=175 - kept, disk_full=True)
    start, end = said[0][:10], b"".join(said)[-100:]
    notice = b"\n[nox-envs left out 65 bytes here]\n"
    assert path.read_bytes() == (start + notice + end if freed else start)


# -- secrets


@settings(max_examples=150)
@given(
    words=st.lists(st.sampled_from([SECRET, SECRET[:3], b"\n", b"plain", b"\r"]), max_size=20),
    size=st.integers(1, 12),
)
def test_a_secret_is_redacted_wherever_it_is_cut(
    words: list[bytes], size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "secrets.log"
    said = b"".join(words)
    capped = CappedLog(path, head=9, tail=10_000, redact=redact)
    for start in range(0, len(said), size):
        capped.write(said[start : start + size])
    capped.close()
    assert path.read_bytes() == redact(said)


def test_a_line_without_an_end_is_redacted_and_held_in_bounds(tmp_path: Path) -> None:
    capped = CappedLog(tmp_path / "log", redact=redact)
    said = b"".join(b"%d%s" % (number, SECRET) for number in range(40_000))
    for start in range(0, len(said), 1009):
        capped.write(said[start : start + 1009])
        assert len(capped._line) <= 1 << 16
    capped.close()
    assert (tmp_path / "log").read_bytes() == redact(said)


def test_what_cannot_be_redacted_is_not_written(tmp_path: Path) -> None:
    def fail(text: bytes) -> bytes:
        return text if text == b"good\n" else text[:-100] + bytes([len(text) << 8])

    capped = CappedLog(tmp_path / "log", redact=fail)
    for line in (b"good\n", b"bad\n", b"good\n", b"bad"):
        capped.write(line)
    capped.close()
    assert read(tmp_path / "log") == (
        "good\n[nox-envs left out 4 bytes here: cannot redact them (ValueError)]\n"
        "good\n[nox-envs left out 3 bytes here: cannot redact them (ValueError)]\n"
    )


# -- reading


def test_a_log_of_the_largest_size_is_read_whole(tmp_path: Path) -> None:
    capped = CappedLog(tmp_path / "log")
    for _ in range(300):
        capped.write(b"#" * (1 << 16))
    summary = capped.close()
    text = read(tmp_path / "log")
    assert f"\n[nox-envs left out {summary.left_out} bytes here]\n" in text
    assert text.count("#") == 16 << 20
    assert summary.left_out == (300 << 16) - (16 << 20)


def test_of_a_larger_file_both_ends_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "_BLOCK", 0)
    monkeypatch.setattr(log, "_HEAD", 5)
    monkeypatch.setattr(log, "_TAIL", 3)
    (tmp_path / "log").write_bytes(b"first and last")
    assert read(tmp_path / "log") == "first\n[nox-envs left out 6 bytes here]\nast"
    (tmp_path / "log").write_bytes(b"firstast")
    assert read(tmp_path / "log") == "firstast"
    (tmp_path / "log").write_bytes(b"f")
    assert read(tmp_path / "log") == "f"
