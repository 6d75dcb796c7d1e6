"""Text that would be more than text if a report let it, and what a reader makes of Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from markdown_it.token import Token

HOSTILE = (
    "`", "```\n~~~", "|", "\\|", "<b>", "</details><!--", "[x](http://e.x)", "![", "<http://e.x>",
    "www.e.x", "@me #1 GH-1", "**__x__**", "a\n\n# b", "- \r1. > ", "\x1b[31m\x1b]8;;http://e.x\x07.",
    "\x9b2J.", "\u202e\u2066.", "\ud83d.\udc80", "x\u2028y", "&lt;", "---\n", "    x", "e\u0301日本",
)  # fmt: skip
_PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
_TEXT = {"text", "code_inline", "softbreak"}


def shape(document: str) -> list[str]:
    """What a reader of Markdown makes of it, but for the words."""
    found = []
    for token in _PARSER.parse(document):
        found.append(token.type)
        if token.type == "html_block":
            found += re.findall(r"<[^>]*>?", token.content)
        found += [one.type for one in _children(token) if one.type not in _TEXT]
    return found


def _children(token: Token) -> list[Token]:
    return token.children or []
