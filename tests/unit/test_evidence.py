"""What a distribution offers for import, and what is planted to see it looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nox_envs.run.evidence import owners, plant, read, top_levels

if TYPE_CHECKING:
    from pathlib import Path


def distribution(site: Path, name: str, *files: str, **texts: str) -> Path:
    """Write the metadata of a distribution that has these files."""
    metadata = site / f"{name}-1.0.dist-info"
    metadata.mkdir(parents=True)
    rows = [f'"{file}",sha256=x,1' if "," in file else f"{file},," for file in files]
    own = [f"{metadata.name}/RECORD,,", f"{metadata.name}/METADATA,sha256=x,1"]
    (metadata / "RECORD").write_text("\n".join([*rows, *own, ""]), encoding="utf-8")
    for file, text in texts.items():
        place = {"top_level": "top_level.txt", "direct_url": "direct_url.json"}.get(file, file)
        (metadata / place).write_text(text, encoding="utf-8")
    return metadata


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["six.py"], {"six"}),
        (["pkg/__init__.py", "pkg/data.txt", "pkg/sub/__init__.py"], {"pkg"}),
        (["pkg/__init__.cpython-311-x86_64-linux-gnu.so"], {"pkg"}),
        (["_x.cpython-311-x86_64-linux-gnu.so", "y.abi3.so"], {"_x", "y"}),
        (["z.cp311-win_amd64.pyd", "old.pyc"], {"z", "old"}),
        (["PIL/__init__.py", "pillow.libs/libtiff-1.so", "pillow.libs/a.py"], {"PIL"}),
        (["yaml/__init__.py", "_yaml/__init__.py"], {"yaml", "_yaml"}),
        (["space/inner/__init__.py"], {"space"}),
        (["pkg/a,b.py", "pkg/__init__.py"], {"pkg"}),
        # Nothing to import.
        (["../../../share/man/x.py", "some-1.0.data/x.py"], set()),
        (["requests-stubs/__init__.pyi", "yaml/__init__.pyi"], set()),
        (["../../../tool.py", "/usr/share/x.py", "__pycache__/x.cpython-311.pyc"], set()),
        (["certs/cacert.pem", "types.pth", "py.typed", "libx.so.1"], set()),
        ([], set()),
    ],
)
def test_top_levels_of_what_is_recorded(
    files: list[str], expected: set[str], tmp_path: Path
) -> None:
    assert top_levels(distribution(tmp_path, "some", *files)) == frozenset(expected)


def test_a_namespace_tells_something_of_its_only_distribution(tmp_path: Path) -> None:
    auth = distribution(tmp_path, "google_auth", "google/auth/__init__.py", "other.py")
    distribution(tmp_path, "noise", "googled/__init__.py", "noise.py")
    assert top_levels(auth) == frozenset({"google", "other"})
    storage = distribution(tmp_path, "google_cloud_storage", "google/cloud/storage/__init__.py")
    assert top_levels(auth) is None
    assert top_levels(storage) is None


def test_without_a_record_the_list_of_names_is_believed(tmp_path: Path) -> None:
    metadata = distribution(tmp_path, "some", top_level="some\n_some\n../evil\n")
    (metadata / "RECORD").unlink()
    assert top_levels(metadata) == frozenset({"some", "_some"})
    (metadata / "top_level.txt").unlink()
    assert top_levels(metadata) is None
    egg = tmp_path / "old-1.0.egg-info"
    egg.write_text("Name: old\n", encoding="utf-8")
    assert top_levels(egg) is None


def test_the_modules_of_an_editable_project_lie_elsewhere(tmp_path: Path) -> None:
    direct_url = '{"url": "file:///x", "dir_info": {"editable": true}}'
    hook = "__editable___proj_finder.py"
    metadata = distribution(tmp_path, "proj", hook, direct_url=direct_url)
    assert top_levels(metadata) is None
    assert owners([metadata]) == {}
    (metadata / "top_level.txt").write_text("proj\n", encoding="utf-8")
    assert top_levels(metadata) == frozenset({"proj"})
    assert owners([metadata]) == {"proj": ("proj",)}


def test_a_path_file_leads_elsewhere(tmp_path: Path) -> None:
    metadata = distribution(tmp_path, "pywin32", "pywin32.pth", "win32/win32api.pyd", "isapi.py")
    path_file = tmp_path / "pywin32.pth"
    path_file.write_text("# a comment\n\nimport isapi\n", encoding="utf-8")
    assert top_levels(metadata) == frozenset({"win32", "isapi"})
    path_file.write_text("# a comment\nwin32\n", encoding="utf-8")
    assert top_levels(metadata) is None


@pytest.mark.parametrize(
    ("start", "entry_points", "expected"),
    [
        (b"\x7fELF\n#!python", "", None),
        (b"#!/bin/sh\npython", "", None),
        (b"#!/env/bin/python3\nimport tool", "", frozenset({"tool"})),
        (b"MZ", "[console_scripts]\ntool = tool:main\n", frozenset({"tool"})),
        (b"MZ", "[console_scripts]\nother = tool:main\n", None),
    ],
)
def test_a_program_may_run_without_its_module(
    start: bytes, entry_points: str, expected: frozenset[str] | None, tmp_path: Path
) -> None:
    site = tmp_path / "lib" / "site"
    metadata = distribution(site, "tool", "tool/__init__.py", "../../bin/tool.exe")
    assert top_levels(metadata) is None
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tool.exe").write_bytes(start)
    (metadata / "entry_points.txt").write_text(entry_points, encoding="utf-8")
    assert top_levels(metadata) == expected
    assert owners([metadata]) == {"tool": ("tool",)}


def test_owners_are_distributions_by_their_normalized_names(tmp_path: Path) -> None:
    egg = tmp_path / "Old_One-1.0-py3.11.egg-info"
    egg.mkdir()
    (egg / "top_level.txt").write_text("old\n", encoding="utf-8")
    found = owners(
        [
            distribution(tmp_path, "PyYAML", "yaml/__init__.py", "_yaml/__init__.py"),
            distribution(tmp_path, "google_cloud_storage", "google/cloud/storage/__init__.py"),
            distribution(
                tmp_path, "x", "google/auth/a.py", METADATA="Name: google.Auth\n\nName: y"
            ),
            egg,
        ]
    )
    assert found == {
        "_yaml": ("pyyaml",),
        "google": ("google-auth", "google-cloud-storage"),
        "old": ("old-one",),
        "yaml": ("pyyaml",),
    }


@pytest.mark.parametrize("name", ["../x", "a.b", "a-b", "", "/x"])
def test_a_name_is_never_a_path(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no names of modules"):
        plant(tmp_path, tmp_path / "evidence", ["fine", name])
    assert not list(tmp_path.iterdir())


def test_what_is_planted_is_ascii_and_no_distribution(tmp_path: Path) -> None:
    site = tmp_path / "site"
    plant(site, tmp_path / "NAMES ä' DIRECTORY", ["größe", "six"])
    planted = {path.name: path.read_bytes() for path in site.iterdir()}
    assert set(planted) == {"_nox_envs_evidence.pth", "_nox_envs_evidence.py"}
    assert all(content.isascii() for content in planted.values())


def test_without_a_witness_nothing_is_known(tmp_path: Path) -> None:
    assert read(tmp_path / "gone") is None
    plant(tmp_path / "site", tmp_path / "evidence", ["six"])
    assert read(tmp_path / "evidence") is None
    (tmp_path / "evidence" / "six").touch()
    assert read(tmp_path / "evidence") is None
    (tmp_path / "evidence" / ".started").touch()
    assert read(tmp_path / "evidence") == frozenset({"six"})
