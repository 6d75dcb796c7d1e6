"""How a user has called a campaign, to say in the same way what to type next."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Called"]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """As `nox -s upgrade -- ...`, or as `nox-envs upgrade ...`."""

    by_us: bool = False
    place: tuple[str, ...] = ()
    """The words by which `nox-envs` knows where: a directory, or a noxfile."""
    after: tuple[str, ...] = ()
    """What has followed `--` there, and has to follow it again."""
    takes_command: bool = False
    """Whether what follows `--` is a command: so without a noxfile."""
    report: str = ""
    """A file for `nox-envs` itself, to which the report is written besides what was asked for."""
    applied: str = ""
    """A file for what was written, in words, where `nox-envs` is to say it; so for a copy."""
    within: str = ""
    """The copy, where links lead out of it: what lies elsewhere is not to be edited."""

    def start(self, session: str) -> str:
        """What options of the campaign are written behind."""
        if self.by_us:
            return _joined(["nox-envs", session, *self.place])
        return f"{_joined(['nox', '-s', session])} --"

    def all_options(self, session: str) -> str:
        """What shows all options of the campaign."""
        if self.by_us:
            return _joined(["nox-envs", session, "--options"])
        return f"{self.start(session)} --help"

    def line(self, session: str, *words: str) -> str:
        """The whole of what to type; a `--` among the words begins what is for the tests."""
        if not self.by_us:
            return _joined(["nox", "-s", session, *(["--", *words] if words else [])])
        handed_on = ["--", *self.after] if self.after and "--" not in words else []
        return _joined(["nox-envs", session, *self.place, *words, *handed_on])

    def for_tests(self, session: str, *words: str) -> str:
        """The same with words that are for what runs the tests."""
        command = ("COMMAND",) if self.takes_command and not self.after else self.after
        return self.line(session, "--", *command, *words)

    def to_text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Called:
        """What `to_text` has written; for anything else, nox was called."""
        try:
            data: Any = json.loads(text)
            return cls(
                by_us=data["by_us"] is True,
                place=tuple(map(str, data["place"])),
                after=tuple(map(str, data["after"])),
                takes_command=data["takes_command"] is True,
                **{name: str(data.get(name, "")) for name in ("report", "applied", "within")},
            )
        except (ValueError, TypeError, KeyError):
            return cls()


def _joined(words: list[str]) -> str:
    return " ".join(map(_quoted, words))


def _quoted(word: str, *, platform: str = sys.platform) -> str:
    """A word as a shell takes it: in double quotes if possible, for cmd knows no others."""
    is_windows = platform == "win32"
    seen = word.replace("\\", "/") if is_windows else word
    quoted = shlex.quote(seen)
    if quoted == seen:
        return word
    if set('"$`\\!') & set(seen):
        return shlex.quote(word)
    # Before a quote, Windows takes each second one of these for what escapes it.
    ending = word[len(word.rstrip("\\")) :] if is_windows else ""
    return f'"{word}{ending}"'
