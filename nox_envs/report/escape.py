"""Other people's text (names, versions, output, reasons) as text, wherever it is shown.

Source: https://github.github.com/gfm/
"""

from __future__ import annotations

import re
from html import escape

__all__ = ["block", "code", "html", "inline", "lines", "plain"]


def __dir__() -> list[str]:
    return __all__


_LONGEST = 300
_CONTROLS = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI: colours, cursor, erasing.
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"  # Titles, links.
    r"|\x1b[ -/]*[0-~]?"
)
_WORD = r"(?!gh-)[a-z0-9](?:[a-z0-9._+!-]*[a-z0-9])?"
# Neither emphasis nor what GitHub makes a link of by itself.
_WORDS = re.compile(rf"(?!.*www\.){_WORD}(?: {_WORD})*", re.IGNORECASE | re.ASCII)


def plain(text: str, *, longest: int = _LONGEST) -> str:
    """One line that a terminal shows as it stands, cut where it is too long.

    Escape sequences are dropped whole; so is everything else that is not shown or turns
    the direction of writing. White space is one space.
    """
    return _cut(" ".join(_visible(text).split()), longest)


def lines(text: str, *, most: int) -> list[str]:
    """The last lines of a text, each as a terminal shows it, with its indentation."""
    found = _visible(text).expandtabs(4).splitlines()[-most:]
    return [_cut("".join(filter(str.isprintable, line)).rstrip(), _LONGEST) for line in found]


def code(text: str) -> str:
    """Text as a Markdown code span: nothing in it is a link, a tag or a mention."""
    shown = plain(text)
    if not shown:
        return ""
    fence = "`" * (_longest_run(shown) + 1)
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def html(text: str) -> str:
    """Text within a line of HTML, where Markdown is not read."""
    return f"<code>{escape(plain(text))}</code>"


def inline(text: str) -> str:
    """Text within a line of Markdown: names, versions and words as they are, all else as code."""
    shown = plain(text)
    return shown if _WORDS.fullmatch(shown) else code(text)


def block(text: str, *, most: int) -> str:
    """The last lines of a text as a Markdown code block."""
    shown = "\n".join(lines(text, most=most))
    fence = "`" * max(3, _longest_run(shown) + 1)
    return f"{fence}text\n{shown}\n{fence}"


def _visible(text: str) -> str:
    """What is shown, and white space."""
    kept = (char for char in _CONTROLS.sub("", text) if char.isprintable() or char.isspace())
    return "".join(kept)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
