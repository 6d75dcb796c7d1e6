"""Places for the environments of trials: who has one, and what becomes of what was in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from nox_envs.run import slots

if TYPE_CHECKING:
    from pathlib import Path


def install(slot: Path, *, link: Path | None) -> None:
    """An environment whose one module is a link to a file of a cache, or a file of its own."""
    package = slot / "test-3-11" / "lib" / "python3.11" / "site-packages" / "alpha"
    package.mkdir(parents=True)
    if link is None:
        (package / "__init__.py").write_text("")
    else:
        os.link(link, package / "__init__.py")


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    path = tmp_path / "cached.py"
    path.write_text("")
    return path


def test_two_have_places_of_their_own_and_the_first_is_taken_again(tmp_path: Path) -> None:
    with slots.taken(tmp_path / "slots") as one, slots.taken(tmp_path / "slots") as two:
        assert one != two
        assert [*one.iterdir(), *two.iterdir()] == []
    with slots.taken(tmp_path / "slots") as again:
        assert again == one


def test_links_are_put_aside_until_there_is_time(tmp_path: Path, cached: Path) -> None:
    directory = tmp_path / "slots"
    for _ in range(2):
        with slots.taken(directory) as slot:
            assert list(slot.iterdir()) == []
            install(slot, link=cached)
    assert len([one for one in directory.iterdir() if one.is_dir()]) == 2
    slots.tidy(directory)
    assert [one for one in directory.iterdir() if one.is_dir()] == []
    assert cached.exists()


def test_what_takes_place_is_removed_at_once(tmp_path: Path) -> None:
    with slots.taken(tmp_path / "slots") as slot:
        install(slot, link=None)
    assert [one for one in (tmp_path / "slots").iterdir() if one.is_dir()] == []


def test_not_too_many_wait(tmp_path: Path, cached: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "_MOST_ASIDE", 1)
    for _ in range(3):
        with slots.taken(tmp_path / "slots") as slot:
            install(slot, link=cached)
    assert len([one for one in (tmp_path / "slots").iterdir() if one.is_dir()]) == 1
