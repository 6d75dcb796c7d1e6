"""Errors: what a user reads, whole; and they cross process boundaries unchanged."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nox_envs import errors
from nox_envs.errors import Mistake, NoxEnvsError

LINE = "requirements.txt:2   requests==2.7.1"
EXCLUDE = '{"python": "3.10", "django": "6.0"}'

SHOWN: list[tuple[NoxEnvsError, int, str]] = [
    (
        errors.DeclarationError(
            where="noxfile.py:9, session test",
            mistakes=(
                Mistake(
                    address="python[0]",
                    problem="3.1 is a number",
                    hint='write "3.1", with quotes',
                ),
                Mistake(address="timeout", problem="-1 is not a positive number of seconds"),
            ),
        ),
        2,
        """\
error: 2 mistakes in noxfile.py:9, session test

  python[0]: 3.1 is a number
      write "3.1", with quotes
  timeout: -1 is not a positive number of seconds""",
    ),
    (
        errors.DeclarationError(where="x", mistakes=(Mistake(address="a", problem="b"),)),
        2,
        "error: 1 mistake in x\n\n  a: b",
    ),
    (
        errors.FileMissing(path="gone.txt", asked_by="noxfile.py:2   x", fix="write done.txt"),
        2,
        """\
error: gone.txt does not exist

  asked for by noxfile.py:2   x
hint: write done.txt""",
    ),
    (
        errors.BuildNotAllowed(name="alpha", version="2.0"),
        3,
        """\
error: alpha 2.0 would come in, which has to be built from source
hint: if that is all right, say so in the declaration:   build=["alpha"]""",
    ),
    (
        errors.UsageError(problem="-k is not an option of upgrade", advice=("write -- -k", "or")),
        2,
        "error: -k is not an option of upgrade\nhint: write -- -k\nhint: or",
    ),
    (
        errors.NewerJournal(path="journal.jsonl", schema=2, known=1),
        2,
        (
            "error: journal.jsonl was written by a newer nox-envs (schema 2; this one reads up to 1)\n"
            "hint: upgrade nox-envs, or run the campaign without --resume"
        ),
    ),
    (
        errors.NotApplied(
            reason="not all of it can be written",
            places=("requirements.txt:2   flask: it is hashed",),
            advice=("uv pip compile requirements.in",),
        ),
        2,
        """\
error: not all of it can be written; nothing was written

  requirements.txt:2   flask: it is hashed
hint: uv pip compile requirements.in""",
    ),
    (
        errors.NotApplied(reason="the edited files differ", restored=True),
        2,
        "error: the edited files differ; the files are as they were",
    ),
    (
        errors.NoPermission(path=".nox"),
        2,
        (
            "error: no permission for .nox\n"
            "hint: see who owns it: was nox run as another user before?"
        ),
    ),
    (
        errors.PythonTooOld(python="2.7"),
        2,
        (
            "error: Python 2.7 is too old to make an environment with\n"
            "hint: leave it out: Python 3.7 is the oldest that virtualenv and uv can serve"
        ),
    ),
    (
        errors.BackendUnsupported(backend="conda"),
        2,
        """\
error: nox-envs does not manage conda environments
hint: use one of the backends uv, virtualenv or venv, or plain @nox.session for this one""",
    ),
    (
        errors.InterpreterMissing(
            python="3.14",
            found=("3.10.15", "3.12.7 (pyenv)"),
            looked_in=("PATH", "pyenv"),
            commands=("uv python install 3.14", "pyenv install 3.14"),
            note="The download failed.",
        ),
        2,
        """\
error: Python 3.14 is not on this machine

  found: 3.10.15, 3.12.7 (pyenv)
  looked in: PATH, pyenv
  The download failed.
hint: uv python install 3.14      or: pyenv install 3.14""",
    ),
    (
        errors.InterpreterMissing(python="3.14"),
        2,
        "error: Python 3.14 is not on this machine\n\n  found: no other Python",
    ),
    (
        errors.ReleaseNotFound(
            name="requests",
            wanted="2.7.1",
            addresses=(LINE,),
            nearest=("2.7.0", "2.8.0"),
            latest="2.32.0",
            fix="write requests==2.7.0 in requirements.txt, line 2",
            reason="2.7.1 was yanked",
        ),
        3,
        """\
error: requests has no release 2.7.1

  requirements.txt:2   requests==2.7.1

  2.7.1 was yanked. The nearest are 2.7.0 and 2.8.0. The latest is 2.32.0.
hint: write requests==2.7.0 in requirements.txt, line 2""",
    ),
    (
        errors.ReleaseNotFound(name="requests", wanted=">=99", nearest=("2.8.0",)),
        3,
        "error: requests has no release >=99\n\n  The nearest is 2.8.0.",
    ),
    (
        errors.ReleaseNotFound(name="requests", wanted=">=99", addresses=(LINE,)),
        3,
        f"error: requests has no release >=99\n\n  {LINE}",
    ),
    (
        errors.PackageNotFound(
            name="reqeusts", addresses=(LINE,), similar=("requests",), required_by="flask 2.0"
        ),
        3,
        f"""\
error: there is no package reqeusts on the index

  {LINE}
  required by flask 2.0
hint: did you mean requests?""",
    ),
    (
        errors.IncompatiblePython(
            name="Django",
            version="6.0",
            requires=">=3.12",
            python="3.10",
            addresses=(LINE,),
            exclude=EXCLUDE,
        ),
        3,
        f"""\
error: Django 6.0 needs Python 3.12 or newer, this cell has 3.10

  {LINE}
hint: leave it out:   exclude=[{EXCLUDE}]""",
    ),
    (
        errors.IncompatiblePython(name="six", version="1", requires=">=3.12,<4", python="3.10"),
        3,
        "error: six 1 needs Python >=3.12,<4, this cell has 3.10",
    ),
    (
        errors.Unresolvable(
            reason="  Because a\nand b.\n", addresses=("one", "two"), exclude=EXCLUDE
        ),
        3,
        f"""\
error: these requirements cannot be satisfied together

  one
  two

  Because a
  and b.
hint: if this cell cannot exist, leave it out:   exclude=[{EXCLUDE}]""",
    ),
    (
        errors.NoWheel(
            name="six", version="1", python="3.11", addresses=(LINE,), reason="It has cp312."
        ),
        3,
        f"""\
error: six 1 has no wheel for Python 3.11 on this platform

  {LINE}

  It has cp312.""",
    ),
    (
        errors.NoWheel(name="six", version="", python="3.11"),
        3,
        "error: six has no wheel for Python 3.11 on this platform",
    ),
    (
        errors.BuildFailed(
            name="pyyaml 5.4.1", python="3.11", log="first\n\n  second\n", addresses=(LINE,)
        ),
        3,
        f"""\
error: pyyaml 5.4.1 cannot be built on Python 3.11

  {LINE}

  The end of the build log:
  first

    second""",
    ),
    (
        errors.IndexUnreachable(
            reason="HTTP 500", about="requests==2.7.1", url="https://host/simple"
        ),
        4,
        """\
error: cannot reach the index (HTTP 500)

  https://host/simple
  This says nothing about requests==2.7.1.""",
    ),
    *(
        (
            errors.IndexUnreachable(reason=reason, tool="uv"),
            4,
            f"error: cannot reach the index ({reason})\n\n"
            "  This says nothing about your requirements.\n" + hint,
        )
        for reason, hint in [
            ("no such host", "hint: to take all from uv's cache, set UV_OFFLINE=1"),
            ("HTTP 403", "hint: the index wants other credentials than it was given, if any"),
        ]
    ),
    (
        errors.IndexUnreachable(reason="offline", tool="uv"),
        4,
        "error: cannot reach the index (offline)\n\n  This says nothing about your requirements.",
    ),
    (
        errors.IndexUnreachable(reason="timed out"),
        4,
        """\
error: cannot reach the index (timed out)

  This says nothing about your requirements.""",
    ),
    (
        errors.NeedsUv(what='resolution="lowest"', reason="pip cannot."),
        2,
        """\
error: resolution="lowest" needs uv

  pip cannot.
hint: pip install 'nox-envs[uv]'""",
    ),
    (
        errors.ToolFailed(command="uv pip sync", returncode=2, output="\nbad\n\n  worse\n"),
        2,
        """\
error: `uv pip sync` failed (exit 2)

  bad

    worse""",
    ),
    (
        errors.DiskFull(path="/tmp/x"),
        2,
        """\
error: no space left on the disk of /tmp/x
hint: nothing half-made is kept: free some space and run again""",
    ),
    (
        errors.LockInvalid(path="pylock.toml", problem="six has no hash", hint="lock again"),
        2,
        "error: pylock.toml: six has no hash\nhint: lock again",
    ),
    (
        errors.WrongEnvironment(
            cell="test-3.11", differences=("six 1 is missing", "a is 2, asked for 1")
        ),
        2,
        """\
error: the environment of test-3.11 is not the one that was asked for

  six 1 is missing
  a is 2, asked for 1""",
    ),
    (
        errors.StaleEnvironment(cell="test-3.11", reason="it is not complete"),
        2,
        """\
error: the environment of test-3.11 cannot be used as it is: it is not complete
hint: run once without -R (--reuse-existing-virtualenvs --no-install)""",
    ),
]
IDS = [f"{type(error).__name__}-{number}" for number, (error, _, _) in enumerate(SHOWN)]
EACH = [error for error, _, _ in SHOWN]


@pytest.mark.parametrize(("error", "code", "text"), SHOWN, ids=IDS)
def test_what_a_user_reads(error: NoxEnvsError, code: int, text: str) -> None:
    assert str(error) == text
    assert error.exit_code == code


def test_every_leaf_is_shown_above() -> None:
    kinds = {getattr(errors, name) for name in errors.__all__}
    leaves = {kind for kind in kinds if issubclass(kind, NoxEnvsError) and kind != NoxEnvsError}
    assert {type(error) for error in EACH} == leaves == set(NoxEnvsError.__subclasses__())


@pytest.mark.parametrize("error", EACH, ids=IDS)
def test_an_error_crosses_a_process_boundary(error: NoxEnvsError) -> None:
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):  # noqa: S301 - ours
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert (again.summary, again.hints) == (error.summary, error.hints)
        for field in dataclasses.fields(error):
            assert getattr(again, field.name) == getattr(error, field.name)


@pytest.mark.parametrize("error", EACH, ids=IDS)
def test_a_message_is_one_line_without_a_full_stop(error: NoxEnvsError) -> None:
    for line in (error.message, error.summary, *error.hints):
        assert line
        assert "\n" not in line
        assert not line.endswith(".")


@pytest.mark.parametrize("error", EACH, ids=IDS)
def test_the_parts_stand_where_a_reader_looks_for_them(error: NoxEnvsError) -> None:
    first, *rest = str(error).splitlines()
    assert first == f"error: {error.message}"
    assert [line[6:] for line in rest if line.startswith("hint: ")] == list(error.hints)
    body = [line for line in rest if not line.startswith("hint: ")]
    assert all(line.startswith("  ") or not line for line in body)
    assert not any(line.endswith(" ") for line in [first, *rest])


@given(output=st.text(), reason=st.text(min_size=1))
def test_what_a_tool_said_may_be_anything(output: str, reason: str) -> None:
    for error in (
        errors.ToolFailed(command="uv", returncode=1, output=output),
        errors.Unresolvable(reason=reason),
        errors.BuildFailed(name="x", python="3.11", log=output),
    ):
        assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - ours
        said = [line.strip() for line in (output + "\n" + reason).splitlines()]
        shown = [line.strip() for line in error.detail.splitlines()]
        assert all(line in {*said, "The end of the build log:"} for line in shown)


def test_a_summary_names_the_nearest_releases() -> None:
    error = errors.ReleaseNotFound(name="requests", wanted="2.7.1", nearest=("2.7.0", "2.8.0"))
    assert error.summary == "requests has no release 2.7.1 (nearest: 2.7.0, 2.8.0)"


def test_errors_are_told_apart_by_identity_and_can_be_chained() -> None:
    one, other = errors.DiskFull(path="/"), errors.DiskFull(path="/")
    assert one != other
    assert len({one, other}) == 2
    with pytest.raises(errors.DiskFull) as caught:
        raise one from OSError("no space")
    assert isinstance(caught.value.__cause__, OSError)
