"""RECORD: the files of an installed distribution and their digests, as the installer wrote them."""

from __future__ import annotations

import base64
import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["rows", "sha256"]


def __dir__() -> list[str]:
    return __all__


def rows(metadata: Path) -> list[tuple[str, str]]:
    """Each file of a distribution, relative to the directory of its metadata, with its digest.

    The digest is as it stands there: `sha256=...`, or empty. Raises `OSError` where there is
    no RECORD, and `csv.Error` for a damaged one.
    """
    with (metadata / "RECORD").open(
        encoding="utf-8", errors="backslashreplace", newline=""
    ) as stream:
        text = stream.read()
    if '"' in text or "\0" in text or "\r" in text:
        split = list(csv.reader(io.StringIO(text, newline="")))
    else:  # Thousands of lines, at every start: this takes a third of the time.
        split = [line.split(",", 2) for line in text.split("\n") if line]
    return [(row[0], row[1] if len(row) > 1 else "") for row in split if row]


def sha256(digest: str) -> str:
    """The digest of a row in hexadecimal; empty where it is none of this kind."""
    kind, _, encoded = digest.partition("=")
    if kind != "sha256":
        return ""
    try:
        return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).hex()
    except ValueError:
        return ""
