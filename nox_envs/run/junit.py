"""What a JUnit XML file of pytest says of the tests that failed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["failures", "passed"]


def __dir__() -> list[str]:
    return __all__


_LONGEST_ID = 1000
_LONGEST_WORD = 300
_GENERIC = re.compile(r'(?:collection failure|failed on (?:setup|teardown) with ")')
_QUOTED = re.compile(r'failed on (?:setup|teardown) with "(.*?)"?$')
_BLOCK = re.compile(r"(?:^E(?: .*)?(?:\n|\Z))+", re.MULTILINE)


def failures(text: str) -> Mapping[str, str] | None:
    """One line of what each failing test said, by its id; None where the file cannot be read.

    Ids are written as pytest prints them: `tests/test_a.py::TestX::test_y[1]`, and
    `tests/test_a.py` for a module that could not be collected. A file of the family xunit2
    does not say where the module ends and the classes begin: a name in capitals is a class.
    """
    root = _root(text)
    if root is None:
        return None
    found: dict[str, str] = {}
    for case in root.iter("testcase"):
        for said in _failed(case):
            found.setdefault(_id(case), _line(said))
    return found


def passed(text: str) -> int:
    """How many tests passed; none where the file cannot be read."""
    root = _root(text)
    cases = () if root is None else root.iter("testcase")
    return sum(not any(child.tag in _NO_PASS for child in case) for case in cases)


_NO_PASS = {"failure", "error", "skipped"}


def _root(text: str) -> ET.Element | None:
    # pytest declares no document type, and entities that expand without end need one.
    if "<!DOCTYPE" in text:
        return None
    try:
        root = ET.fromstring(text)  # noqa: S314 - see above
    except (ET.ParseError, ValueError):
        return None
    return root if root.tag in {"testsuites", "testsuite"} else None


def _failed(case: ET.Element) -> Iterator[ET.Element]:
    return (child for child in case if child.tag in {"failure", "error"})


def _id(case: ET.Element) -> str:
    name, owner = case.get("name", ""), case.get("classname", "")
    file = case.get("file", "").replace("\\", "/")
    if not owner:  # A module, or a directory, that could not be collected.
        return _cleaned(file or _path(name), _LONGEST_ID)
    module = file.removesuffix(".py").replace("/", ".")
    if module and f"{owner}.".startswith(f"{module}."):
        classes = owner[len(module) + 1 :]
    else:  # An inherited test has the file of its base.
        module, classes = _split(owner)
        file = _path(module)
    parts = [file, *(part for part in classes.split(".") if part), name]
    return _cleaned("::".join(parts), _LONGEST_ID)


def _split(owner: str) -> tuple[str, str]:
    """Where the module ends and the classes begin."""
    parts = owner.split(".")
    first = next((at for at, part in enumerate(parts) if at and part[:1].isupper()), len(parts))
    return ".".join(parts[:first]), ".".join(parts[first:])


def _path(module: str) -> str:
    return module.replace(".", "/") + ".py"


def _line(said: ET.Element) -> str:
    """Prefer what was raised to that something failed."""
    message = said.get("message", "")
    if _GENERIC.match(message):
        quoted = _QUOTED.match(message.partition("\n")[0])
        message = quoted[1] if quoted else _raised(said.text or "") or message
    lines = (line.strip() for line in message[: 10 * _LONGEST_WORD].splitlines())
    return _cleaned(next(filter(None, lines), ""), _LONGEST_WORD)


def _raised(text: str) -> str:
    """What pytest marks with an E at last; a syntax error stands below its code."""
    blocks = _BLOCK.findall(text)
    lines = [line[1:].strip() for line in blocks[-1].splitlines()] if blocks else [text]
    return lines[-1] if lines[0].startswith('File "') else lines[0]


def _cleaned(text: str, longest: int) -> str:
    """It is a stranger's text: no control characters, and an end."""
    return "".join(char if char.isprintable() else " " for char in text[:longest])
