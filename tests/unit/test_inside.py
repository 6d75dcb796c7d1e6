"""Looking inside: what is said of cells and packages, what differs, and what can go."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from packaging.pylock import Pylock

from nox_envs import comparing, tending
from nox_envs.errors import LockInvalid, UsageError
from nox_envs.inside.cells import Orphan, Overview, Seen, Size, State
from nox_envs.inside.cleaning import Cleaned, Doomed, Thing, Wish, chosen, parse_size
from nox_envs.inside.diff import Side, compared, pins_of_freeze, pins_of_lock
from nox_envs.inside.export import FORMATS, exported
from nox_envs.inside.health import Finding, Health, Mark
from nox_envs.inside.packages import Contents, Offer, Package, Role, sorted_out
from nox_envs.report import amounts, shown, tended
from nox_envs.report import compared as compared_text
from support.hostile import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def seen(name: str = "test-3.11", state: State = State.MADE, **facts: Any) -> Seen:
    made = {"version": "3.11.7", "when": ago(hours=5), "size": Size(whole=45_000_000, own=1),
            "packages": 8}  # fmt: skip
    given = made if state is not State.NOT_MADE else {}
    return Seen(
        **{"name": name, "session": "test", "python": "3.11", "environment": ".nox/x",
           "state": state, **given, **facts}
    )  # fmt: skip


# -- show


def test_all_cells() -> None:
    found = Overview(
        noxfile="noxfile.py",
        cells=[
            seen("test-3.11(django='4.2')"),
            seen("test-3.11(django='5.2')", State.STALE, reason="what is declared has changed"),
            seen("test-3.12", State.NOT_MADE, python="3.12"),
            seen("lint", State.INCOMPLETE, version="", when=None, packages=None, reason="no stamp"),
        ],
        orphans=[Orphan(cell="old", environment=".nox/old", when=None)],
    )
    assert shown.overview(found, now=NOW, encoding="utf-8") == (
        "1 of 4 environments is made.\n"
        "\n"
        "  cell                      Python   state        age   size    packages\n"
        "  test-3.11(django='4.2')   3.11.7   made         5 h   45 MB   8\n"
        "  test-3.11(django='5.2')   3.11.7   stale        5 h   45 MB   8\n"
        "  test-3.12                 3.12     not made\n"
        "  lint                      3.11     incomplete         45 MB\n"
        "\n"
        "test-3.11(django='5.2'): what is declared has changed\n"
        "lint: no stamp\n"
        "\n"
        "1 environment is of no cell: old.\n"
        "Remove what no cell has:   nox-envs clean\n"
    )
    data = json.loads(json.dumps(found.to_dict()))
    assert data["schema"] == "nox-envs.show/1"
    assert [one["state"] for one in data["cells"]] == ["made", "stale", "not made", "incomplete"]
    assert data["cells"][0]["bytes"] == 45_000_000


def test_a_noxfile_without_cells() -> None:
    found = Overview(noxfile="noxfile.py", cells=[])
    said = shown.overview(found, now=NOW, encoding="utf-8")
    assert said == "noxfile.py declares no session with nox-envs.\n"


def test_one_cell() -> None:
    packages = sorted_out(
        {"demo": "1.0", "flask": "3.0.0", "werkzeug": "3.0.1", "jinja2": "3.1.6", "pdbpp": "1"},
        locked={"demo", "flask", "werkzeug", "jinja2"},
        projects={"demo"},
        declared=set(),
        requires={"demo": ("flask",), "flask": ("werkzeug", "jinja2"), "pdbpp": ("jinja2",)},
        offers={
            "flask": Offer(latest="3.1.0", yanked=False),
            "werkzeug": Offer(latest="3.0.1", yanked=True, reason="security"),
            "jinja2": Offer(latest="3.1.6", yanked=False),
        },
    )
    found = Contents(cell=seen(), interpreter="/usr", packages=packages, unknown="")
    assert shown.contents(found, now=NOW, encoding="utf-8") == (
        "test-3.11 is made: Python 3.11.7 of /usr, 5 packages, 45 MB, 5 h old.\n"
        "\n"
        "  package    installed   latest   why\n"
        "  demo       1.0                  this project\n"
        "  flask      3.0.0       3.1.0    declared\n"
        "  jinja2     3.1.6                required by flask and pdbpp\n"
        "  pdbpp      1           ?        undeclared\n"
        "  werkzeug   3.0.1                required by flask\n"
        "\n"
        "werkzeug 3.0.1 was yanked: security.\n"
    )


def test_a_cell_that_is_not_made() -> None:
    said = shown.contents(
        Contents(cell=seen("a(b='<2')", State.NOT_MADE)), now=NOW, encoding="utf-8"
    )
    assert said == "a(b='<2') is not made.\nMake it:   nox -s \"a(b='<2')\" --install-only\n"


@pytest.mark.parametrize(
    ("declared", "roles"),
    [
        ({"a"}, {"a": Role.DECLARED, "b": Role.TRANSITIVE, "c": Role.TRANSITIVE}),
        ({"a", "b"}, {"a": Role.DECLARED, "b": Role.DECLARED, "c": Role.TRANSITIVE}),
        (None, {"a": Role.DECLARED, "b": Role.TRANSITIVE, "c": Role.DECLARED}),
    ],
)
def test_why_a_package_is_there(declared: set[str] | None, roles: dict[str, Role]) -> None:
    found = sorted_out(
        dict.fromkeys("abc", "1"),
        locked=set("abc"),
        projects=(),
        declared=declared,
        requires={"a": ("b",), "c": ("c",)} if declared else {"a": ("b",)},
        offers={},
    )
    assert {one.name: one.role for one in found} == roles
    assert {one.name: one.required_by for one in found} == {"a": (), "b": ("a",), "c": ()}


def test_what_is_not_a_version_is_not_outdated() -> None:
    offer = Offer(latest="2", yanked=False)
    package = Package(name="a", version="odd", role=Role.DECLARED, required_by=(), offer=offer)
    assert package.is_outdated is None


@pytest.mark.parametrize("text", HOSTILE)
def test_what_others_wrote_stays_within_its_line(text: str) -> None:
    offer = Offer(latest="2", yanked=True, reason=text)
    package = Package(name="a", version=text, role=Role.DECLARED, required_by=(text,), offer=offer)
    found = Contents(cell=seen(reason=text), packages=[package], unknown=text)
    said = shown.contents(found, now=NOW, encoding="utf-8")
    usual = Contents(cell=seen(reason="x"), packages=[package], unknown="x")
    assert said.count("\n") == shown.contents(usual, now=NOW, encoding="utf-8").count("\n")
    cell, left = seen(text, State.STALE, reason=text), Orphan(cell=text, environment="", when=None)
    every = Overview(noxfile=text, cells=[cell], orphans=[left])
    listed = shown.overview(every, now=NOW, encoding="utf-8")
    assert listed.count("\n") == 9
    assert all(char.isprintable() or char == "\n" for char in said + listed)


# -- diff


def test_what_differs() -> None:
    first = Side(label="old.txt", pins={"a": "1.0", "b": "2", "c": "3"}, python="3.11.7")
    second = Side(label="test-3.12", pins={"a": "1", "b": "2.1", "d": "4"}, python="3.12.1")
    found = compared(first, second)
    assert compared_text.render(found, encoding="utf-8") == (
        "1 changed, 1 added, 1 removed, 1 package the same.\n"
        "\n"
        "           old.txt   test-3.12\n"
        "  Python   3.11.7    3.12.1\n"
        "  b        2         2.1\n"
        "  c        3         -\n"
        "  d        -         4\n"
    )
    assert found.to_dict() == {
        "schema": "nox-envs.diff/1",
        "first": {"name": "old.txt", "python": "3.11.7"},
        "second": {"name": "test-3.12", "python": "3.12.1"},
        "same": 1,
        "added": [{"name": "d", "from": None, "to": "4"}],
        "removed": [{"name": "c", "from": "3", "to": None}],
        "changed": [{"name": "b", "from": "2", "to": "2.1"}],
    }
    assert compared(first, first).is_empty
    assert not compared(first, Side(label="x", pins=first.pins, python="3.12")).is_empty


def test_what_a_freeze_pins() -> None:
    text = (
        "# pip freeze\n-e .\nDjango_Rest==4.2  # via -r x\nurllib3==1.26.20 \\\n    --hash=sha256:00\n"
        "tool @ https://example.org/tool.whl\nnot-pinned>=1\n--index-url https://example.org\n"
    )
    assert pins_of_freeze(text) == {
        "django-rest": "4.2", "urllib3": "1.26.20", "tool": "https://example.org/tool.whl",
    }  # fmt: skip


def run(directory: Path, baseline: Mapping[str, str], *trials: str) -> Path:
    """The directory of a campaign, with a lock for each trial."""
    for one in trials:
        text = f'lock-version = "1.0"\ncreated-by = "x"\n[[packages]]\nname = "{one}"\n'
        path = directory / "upgrade-1" / "locks" / f"pylock.{one}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f'{text}version = "1"\n[packages.vcs]\ntype = "git"\nurl = "u"\ncommit-id = "c"\n'
        )
    report = {
        "baseline": {cell: {"trial": one} for cell, one in baseline.items()},
        "trials": [
            {"id": one, "lock": f"locks/pylock.{one}.toml", "python": "3.11"} for one in trials
        ],
    }
    (directory / "upgrade-1" / "report.json").write_text(json.dumps(report))
    return directory


def test_the_trials_of_a_run(tmp_path: Path) -> None:
    campaigns = run(tmp_path, {"test-3.11": "t1"}, "t1", "t2")
    baseline, second = (comparing.of_run(campaigns, one) for one in ("upgrade-1", "upgrade-1:t2"))
    assert baseline is not None
    assert second is not None
    assert (baseline.pins, baseline.python) == ({"t1": "1"}, "3.11")
    assert second.pins == {"t2": "1"}
    for nothing in ("test-3.11", "..", "", "../x", "upgrade-2:t1"):
        assert comparing.of_run(campaigns, nothing) is None
    with pytest.raises(UsageError, match="has no trial t9"):
        comparing.of_run(campaigns, "upgrade-1:t9")


def test_a_run_with_several_baselines_has_to_be_told_which(tmp_path: Path) -> None:
    campaigns = run(tmp_path, {"test-3.11": "t1", "test-3.12": "t2"}, "t1", "t2", "t3")
    with pytest.raises(UsageError) as caught:
        comparing.of_run(campaigns, "upgrade-1")
    assert caught.value.hints == ("choose one of   upgrade-1:t1, upgrade-1:t2",)


def test_a_lock_outside_of_the_run_is_not_read(tmp_path: Path) -> None:
    campaigns = run(tmp_path, {"test-3.11": "t1"}, "t1")
    report = campaigns / "upgrade-1" / "report.json"
    (tmp_path / "pylock.x.toml").write_text("")
    report.write_text(report.read_text().replace("locks/pylock.t1", "../pylock.x"))
    with pytest.raises(LockInvalid, match="is gone"):
        comparing.of_run(campaigns, "upgrade-1")


# -- export

WHEEL = {"name": "a-1.0-py3-none-any.whl", "url": "https://u:p@example.org/a-1.0-py3-none-any.whl",
         "hashes": {"sha256": "0" * 64}}  # fmt: skip
LOCK: dict[str, Any] = {
    "lock-version": "1.0",
    "created-by": "nox-envs",
    "packages": [
        {"name": "a", "version": "1.0", "wheels": [WHEEL], "sdist": {
            "name": "a-1.0.tar.gz", "url": "https://example.org/a-1.0.tar.gz",
            "hashes": {"sha256": "1" * 64}}},
        {"name": "demo", "version": "2", "directory": {"path": "../.."}},
        {"name": "tool", "vcs": {"type": "git", "url": "https://u:p@example.org/t.git",
                                 "commit-id": "abc"}},
    ],
}  # fmt: skip
HASHED = f"a==1.0 \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{'1' * 64}\n"


def export(form: Any, lock: dict[str, Any] = LOCK, **facts: Any) -> str:
    given: dict[str, Any] = {"cell": "test-3.11", "image": "python:3.11.7-slim",
                             "places": {"demo": "."}, "path": "pylock.toml", **facts}  # fmt: skip
    return exported(Pylock.from_dict(lock), form, **given)


def test_an_export_as_requirements() -> None:
    assert export("requirements") == (
        "# test-3.11, as nox-envs made it.\n"
        "# Not here: demo, of this project.\n"
        "# Not here, as it has no hash: tool @ git+https://example.org/t.git@abc\n" + HASHED
    )


def test_an_export_as_constraints() -> None:
    assert export("constraints") == (
        "# test-3.11, as nox-envs made it.\na==1.0\ntool @ git+https://example.org/t.git@abc\n"
    )


def test_an_export_as_dockerfile() -> None:
    assert export("dockerfile") == (
        "# syntax=docker/dockerfile:1\n"
        "FROM python:3.11.7-slim\n"
        "COPY <<'NOX_ENVS' /tmp/requirements.txt\n"
        "# test-3.11, as nox-envs made it.\n"
        "# Not here: demo, of this project.\n"
        "# Not here, as it has no hash: tool @ git+https://example.org/t.git@abc\n"
        f"{HASHED}"
        "NOX_ENVS\n"
        "RUN python -m pip install --no-cache-dir --no-deps --require-hashes"
        " -r /tmp/requirements.txt\n"
        "RUN python -m pip install --no-cache-dir --no-deps"
        " 'tool @ git+https://example.org/t.git@abc'\n"
        "WORKDIR /src\n"
        "COPY . .\n"
        "RUN python -m pip install --no-cache-dir --no-deps ./.\n"
    )


def test_a_project_outside_of_the_context_cannot_be_built_there() -> None:
    with pytest.raises(LockInvalid, match="demo, which lies outside"):
        export("dockerfile", places={})


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("text", ["x\nRUN evil", "x\\", "x\x1b[2J"])
def test_an_export_has_no_line_of_others(form: str, text: str) -> None:
    with pytest.raises(LockInvalid, match="cannot be exported"):
        export(form, cell=text)


def test_a_lock_for_several_environments_has_several_pins() -> None:
    packages = [
        {"name": "a", "version": version, "wheels": [
            {"name": f"a-{version}-py3-none-any.whl", "url": "https://example.org/a.whl",
             "hashes": {"sha256": "0" * 64}}
        ]}
        for version in ("1.0", "2.0")
    ]  # fmt: skip
    assert pins_of_lock({**LOCK, "packages": packages}) == {"a": "1.0, 2.0"}


# -- clean


def thing(name: str, days: float, size: int = 10, **facts: Any) -> Thing:
    return Thing(
        **{"path": Path(name), "label": name, "kind": "environment", "used": ago(days=days),
           "size": Size(whole=2 * size, own=size), **facts}
    )  # fmt: skip


THINGS = [
    thing("old", 40),
    thing("gone", 1, orphaned=True),
    thing("new", 1, size=30),
    thing("run", 8, kind="campaign"),
    thing("running", 0, kind="campaign"),
    thing("wheels", 2, kind="cache", size=50),
    thing("lost", 0, kind="copy", size=5, orphaned=True),
    thing("project", 20, kind="copy", size=5),
]


@pytest.mark.parametrize(
    ("wish", "names"),
    [
        (Wish(), ""),
        (Wish(orphaned=True), "gone lost"),
        (Wish(older_than=timedelta(days=30)), "old"),
        (Wish(older_than=timedelta(days=30), orphaned=True), "old gone lost"),
        (Wish(older_than=timedelta(days=7), caches=True), "old run project"),
        (Wish(everything=True), "old gone new"),
        (Wish(everything=True, caches=True), "old gone new run wheels lost project"),
        (Wish(caches=True), "run wheels"),
        (Wish(at_most=50), ""),
        (Wish(at_most=49), "old"),
        (Wish(at_most=30, orphaned=True), "old gone lost"),
        (Wish(at_most=40, orphaned=True), "gone lost"),
        (Wish(at_most=0), "old gone new"),
        (Wish(at_most=95, caches=True), "old run project"),
    ],
)
def test_what_goes(wish: Wish, names: str) -> None:
    assert [one.thing.label for one in chosen(THINGS, wish, now=NOW)] == names.split()


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("500 MB", 500_000_000), ("2gb", 2 * 10**9), ("1.5K", 1500), ("7 B", 7), ("", None),
     ("-1", None), ("1 XB", None), ("2", None), ("1.5", None), ("9" * 30, None)],
)  # fmt: skip
def test_sizes(text: str, size: int | None) -> None:
    assert parse_size(text) == size


def test_places_that_another_nox_may_hold_are_no_cache(tmp_path: Path) -> None:
    run = "matrix-20260723-101502-2"
    for name in ("slots", "wheels-v1", f"campaigns/{run}"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "campaigns" / run / "about.json").write_text("{}")
    found, _ = tending.things(tmp_path, tmp_path, set())
    assert {one.label: one.kind for one in found} == {run: "campaign", "wheels-v1": "cache"}


def test_what_only_lies_where_caches_do_is_not_ours(tmp_path: Path) -> None:
    for name in ("mine", "Wheels-v1", "campaigns/mine", "campaigns/upgrade-20260723-101502"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "campaigns" / "mine" / "about.json").write_text("{}")
    assert tending.things(tmp_path, tmp_path, set()) == ([], [])


@pytest.mark.parametrize(
    "link",
    [".cache", ".cache/nox-envs", ".cache/nox-envs/campaigns", ".cache/nox-envs/wheels-v1",
     ".cache/nox-envs/campaigns/upgrade-20260723-101502"],
)  # fmt: skip
def test_what_a_link_leads_to_is_not_ours(tmp_path: Path, link: str) -> None:
    there = tmp_path / "nox"
    cache = there / ".cache" / "nox-envs"
    run = cache / "campaigns" / "upgrade-20260723-101502"
    for path in (run, cache / "wheels-v1"):
        path.mkdir(parents=True)
    (run / "report.json").write_text("{}")
    (tmp_path / ".nox").symlink_to(there, target_is_directory=True)
    environments = tmp_path / ".nox"
    cache = environments / ".cache" / "nox-envs"
    assert len(tending.things(environments, cache, set())[0]) == 2
    (there / link).rename(tmp_path / "moved")
    (there / link).symlink_to(tmp_path / "moved", target_is_directory=True)
    expected = {run.name, "wheels-v1"} - {Path(link).name}
    if link.count("/") < 2:
        expected = set()
    elif link.endswith("campaigns"):
        expected = {"wheels-v1"}
    assert {one.label for one in tending.things(environments, cache, set())[0]} == expected


def test_what_was_removed() -> None:
    gone = Doomed(thing=thing("test-3.9", 40, size=1_500_000), reason="old")
    held = Doomed(thing=thing("lint", 2), reason="no such cell", failed="Permission denied")
    found = Cleaned(doomed=[gone, held], kept=3, foreign=["mine"], done=True)
    assert tended.cleaned(found, now=NOW, encoding="utf-8") == (
        "             kind          why            age       frees\n"
        "  test-3.9   environment   old            40 days   1.5 MB\n"
        "  lint       environment   no such cell   2 days    10 B\n"
        "\n"
        "Removed 1 directory, 1.5 MB.\n"
        "\n"
        "lint could not be removed: Permission denied\n"
        "\n"
        "Left alone, without the stamp of nox-envs: mine.\n"
    )
    assert found.to_dict()["freed"] == 1_500_000
    nothing = Cleaned(doomed=[], kept=3, foreign=[], done=False)
    assert tended.cleaned(nothing, now=NOW, encoding="utf-8") == "There is nothing to remove.\n"


# -- doctor


def test_a_finding_says_what_to_do() -> None:
    found = Health(
        findings=[
            Finding(topic="uv", mark=Mark.OK, text="0.13.8"),
            Finding(
                topic="Python 3.9", mark=Mark.BAD, text="is not here", hint="uv python install 3.9"
            ),
        ]
    )
    assert tended.health(found, encoding="utf-8") == (
        "  ok   uv           0.13.8\n"
        "  BAD  Python 3.9   is not here\n"
        "                    uv python install 3.9\n"
        "\n"
        "1 thing will make sessions fail.\n"
    )
    assert not found.is_good


# -- words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (7199, "119 min"), (7200, "2 h"), (172799, "47 h"),
     (172800, "2 days"), (-5, "0 s")],
)  # fmt: skip
def test_ages(seconds: int, text: str) -> None:
    assert amounts.age(NOW - timedelta(seconds=seconds), NOW) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, ""), (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9949, "9.9 kB"), (9960, "10 kB"),
     (999_400, "999 kB"), (999_600, "1.0 MB"), (10**13, "10 TB"), (10**18, "1000000 TB")],
)  # fmt: skip
def test_amounts(count: int | None, text: str) -> None:
    assert amounts.size(count) == text
