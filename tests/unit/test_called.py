"""What a user is told to type next, in the way in which the campaign was called."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from nox_envs import _process, cli, settings
from nox_envs import called as called_module
from nox_envs.called import Called
from nox_envs.errors import UsageError
from nox_envs.report.bisected import needs_a_name
from nox_envs.report.view import Commands
from nox_envs.upgrade.options import parse, usage

NOX = Called()
WITH_A_NOXFILE = Called(by_us=True, place=("-f", "ci/noxfile.py"), after=("-x",))
WITHOUT = Called(
    by_us=True, place=("services/a b/",), after=("pytest", "-k", "a or b"), takes_command=True
)


@pytest.mark.parametrize(
    ("called", "words", "line"),
    [
        (NOX, [], "nox -s culprit"),
        (NOX, ["--resume"], "nox -s culprit -- --resume"),
        (NOX, ["--only", "test(x='1')", "--", "-x"],
         """nox -s culprit -- --only "test(x='1')" -- -x"""),
        (WITH_A_NOXFILE, [], "nox-envs culprit -f ci/noxfile.py -- -x"),
        (WITH_A_NOXFILE, ["--apply", "--", "-x"], "nox-envs culprit -f ci/noxfile.py --apply -- -x"),
        (WITHOUT, ["--resume"],
         'nox-envs culprit "services/a b/" --resume -- pytest -k "a or b"'),
        (NOX, ["werkzeug<3"], 'nox -s culprit -- "werkzeug<3"'),
        (NOX, ["", "a b"], 'nox -s culprit -- "" "a b"'),
        (NOX, ["$x", "a\\b", 'a "b"'], """nox -s culprit -- '$x' 'a\\b' 'a "b"'"""),
        (Called(by_us=True), ["--resume"], "nox-envs culprit --resume"),
    ],
)  # fmt: skip
def test_a_line_can_be_pasted(called: Called, words: list[str], line: str) -> None:
    assert called.line("culprit", *words) == line
    assert {*words, *called.after} <= set(shlex.split(line))


@pytest.mark.parametrize(
    ("word", "quoted"),
    [
        ("c:\\a\\", "c:\\a\\"),
        ("c:\\a b\\", '"c:\\a b\\\\"'),
        ("django<5", '"django<5"'),
    ],
)
def test_windows_knows_other_quotes(word: str, quoted: str) -> None:
    assert called_module._quoted(word, platform="win32") == quoted


@pytest.mark.parametrize(
    ("called", "line"),
    [
        (NOX, "nox -s upgrade -- --help"),
        (WITH_A_NOXFILE, "nox-envs upgrade --options"),
        (WITHOUT, "nox-envs upgrade --options"),
    ],
)
@pytest.mark.parametrize("words", [["-v"], ["--jobs", "0"]])
def test_all_options_are_where_they_are_said_to_be(
    called: Called, line: str, words: list[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        parse(words, session="upgrade", called=called)
    heading, said = caught.value.advice[-1].split(":", 1)
    assert (heading, said.strip()) == ("all options", line)


@pytest.mark.parametrize("words", [["--options"], ["./", "--options"], ["--options", "./"]])
def test_the_options_of_a_campaign_are_shown(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["upgrade", *words]) == 0
    said = capsys.readouterr().out
    assert said.startswith("usage: nox-envs upgrade [--python X.Y]")
    assert "--max-trials" in said


@pytest.mark.parametrize("called", [NOX, WITH_A_NOXFILE, WITHOUT])
def test_it_comes_through_a_variable(called: Called) -> None:
    assert settings.called({settings.CALLED_VARIABLE: called.to_text()}) == called


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"by_us": true}', '{"by_us": 1}'])
def test_what_is_no_such_text_means_that_nox_was_called(text: str) -> None:
    assert Called.from_text(text) == NOX


@pytest.mark.parametrize(
    ("called", "line"),
    [
        (NOX, "after a second --:   nox -s upgrade -- -- -v"),
        (WITH_A_NOXFILE, "after --:            nox-envs upgrade -f ci/noxfile.py -- -x -v"),
        (WITHOUT,
         'after --:            nox-envs upgrade "services/a b/" -- pytest -k "a or b" -v'),
        (Called(by_us=True, takes_command=True),
         "after --:            nox-envs upgrade -- COMMAND -v"),
    ],
)  # fmt: skip
def test_words_for_the_tests_stand_where_they_have_to(called: Called, line: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(["-v"], session="upgrade", called=called)
    assert f"for your tests, {line}" in caught.value.advice


def test_other_texts_of_a_campaign() -> None:
    text = usage("floors", "floors", called=Called(by_us=True))
    assert text.startswith("usage: nox-envs floors [--lower]")
    assert "a second --" not in text
    said = needs_a_name((), commands=Commands(called=WITHOUT))
    assert said == (
        'bisect needs a package: nox-envs bisect "services/a b/" NAME -- pytest -k "a or b"'
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--", "-x"], Called(by_us=True, after=("-x",))),
        (["./", "--python", "3.11"], Called(by_us=True, place=("./",))),
        (["-f", "noxfile.py", "--envdir", "out"],
         Called(by_us=True, place=("--noxfile", "noxfile.py", "--envdir", "out"))),
    ],
)  # fmt: skip
def test_the_nox_of_a_campaign_knows_how_it_was_called(
    words: list[str], expected: Called, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Called] = []

    def attend(_: object, *, env: dict[str, str], **__: object) -> int:
        seen.append(settings.called(env))
        return 0

    (tmp_path / "noxfile.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_process, "attend", attend)
    assert cli.main(["upgrade", *words]) == 0
    assert seen == [expected]


def test_each_of_several_directories_has_its_own_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, ...]] = []

    def attend(_: object, *, env: dict[str, str], **__: object) -> int:
        seen.append(settings.called(env).place)
        return 0

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "noxfile.py").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_process, "attend", attend)
    assert cli.main(["upgrade", "a/", "b/", "--json", "all.json"]) == 0
    assert seen == [("a/",), ("b/",)]
    assert json.loads(Path("all.json").read_text(encoding="utf-8"))["reports"].keys() == {
        "a/", "b/",
    }  # fmt: skip
