"""Reading what `pip install` says when it fails.

pip gives the same last line, "No matching distribution found", for what does not exist and for
an index that is down; so every name that it does not find is doubted.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidSdistFilename, canonicalize_name, parse_sdist_filename

from nox_envs.resolve.explain_words import (
    Kind,
    Need,
    Said,
    fetch_reason,
    network_reason,
    parse_specifier,
)

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName

__all__ = ["read"]


def __dir__() -> list[str]:
    return __all__


_BLOCK = re.compile(
    r"^ *╰─> \[\d+ lines? of output\]\n(?P<log>.*?)^ *\[end of output\]$", re.MULTILINE | re.DOTALL
)
_STEP = re.compile(r"^ *× (?P<step>.*?) did not run successfully\.$", re.MULTILINE)  # noqa: RUF001
_SIGNAL = re.compile(r"^ *│ (?P<code>exit code: -\d+)$", re.MULTILINE)
_NOT_FOUND = re.compile(
    r"Could not find a version that satisfies the requirement (?P<requirement>\S.*?)"
    r"(?: \(from (?!versions: )(?P<parent>.*?)\))? \(from versions: (?P<versions>[^)]*)\)$",
    re.MULTILINE,
)
_CONFLICT = re.compile(r"^The conflict is caused by:\n(?P<lines>(?:^ +\S.*\n?)+)", re.MULTILINE)
_CANNOT = re.compile(
    r"^(?:ERROR: )?(?P<text>Cannot install .* conflicting dependencies\.)$", re.MULTILINE
)
_DEPENDS = re.compile(
    r"^ *(?P<parent>\S+ \S+) depends on (?P<name>[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?(?P<spec>.*)$",
    re.MULTILINE,
)
_REQUESTED = re.compile(
    r"^ *The user requested (?:\(constraint\) )?(?P<name>[A-Za-z0-9][\w.-]*)", re.MULTILINE
)
_HASHES = re.compile(
    r"DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.*?\n +(?P<requirement>\S+) (?:from|\()",
    re.DOTALL,
)
_FATAL = re.compile(
    r"^ *ERROR: (?:Could not install packages due to an OSError: (?P<error>.*)"
    r"|(?P<http>HTTP error \d{3} while getting .*)|Exception:\n(?P<trace>.*))",
    re.MULTILINE | re.DOTALL,
)
_SOFT = re.compile(
    r"^(?:.*(?:WARNING: Retrying|Could not fetch URL|WARNING: 40[13] Error).*)$", re.MULTILINE
)
_COLLECTING = re.compile(
    r"^Collecting (?P<name>[A-Za-z0-9][\w.-]*?)(?:\[.*?\])?(?P<spec>[^\w\s([-]\S*)?"
    r"(?: \(from (?P<chain>.*?)(?: \(line \d+\))?\))?$",
    re.MULTILINE,
)
_PIPS_OWN = re.compile(r'^ *File ".*/pyproject_hooks/_in_process/_in_process\.py"')


def read(text: str) -> Said:
    """Read the facts in what pip said."""
    log = "\n".join(match["log"] for match in _BLOCK.finditer(text))
    words = _BLOCK.sub("", text)
    if re.search(r"No space left on device|\[Errno 28\]", text):
        path = re.search(r"No space left on device: '([^']+)'", text)
        return Said(kind=Kind.DISK, subject=path[1] if path else "")
    if (wrong := _HASHES.search(words)) is not None:
        digests = re.findall(r"(?:Expected|Got) +(?:(sha\d+) +)?([0-9a-f]{32,})", words)
        reason = "\n".join(f"{kind or 'sha256'}:{digest}" for kind, digest in digests)
        return Said(kind=Kind.HASH, subject=wrong["requirement"].replace("==", " "), reason=reason)
    if "subprocess-exited-with-error" in words:
        return _build(words, log)
    if (fatal := _FATAL.search(words)) is not None and (reason := network_reason(fatal[0])):
        return Said(kind=Kind.NETWORK, reason=reason, url=_url(fatal[0]))
    network = network_reason("\n".join(match[0] for match in _SOFT.finditer(words)))
    if (match := _NOT_FOUND.search(words)) is not None:
        return _not_found(words, match, network)
    if "ResolutionImpossible" in words or _CANNOT.search(words):
        return _conflict(words, network)
    return Said(kind=Kind.UNKNOWN)


def _url(words: str) -> str:
    """Find the URL in a message, which may have its host elsewhere."""
    if (whole := re.search(r"https?://[^\s'#]+", words)) is not None:
        return whole[0]
    host = re.search(r"(HTTPS?)Connection\w*\(host='([^']+)', port=(\d+)", words)
    path = re.search(r"url: (/\S+)", words)
    if host is None or path is None:
        return ""
    port = "" if host[3] in {"80", "443"} else f":{host[3]}"
    return f"{host[1].lower()}://{host[2]}{port}{path[1]}"


def _not_found(words: str, match: re.Match[str], network: str) -> Said:
    name, specifier = _requirement(match["requirement"])
    versions = [version.strip() for version in match["versions"].split(",")]
    parent = (match["parent"] or "").partition("->")[0]
    if parent.startswith("-"):
        parent = ""  # A file that we wrote ourselves.
    names, needs = [name], tuple[Need, ...]()
    if parent:
        names += _chain(words, canonicalize_name(parent.partition("=")[0]))
        needs = (Need(parent=parent.replace("==", " "), name=name, specifier=specifier),)
    seen = () if versions == ["none"] else tuple(parse_specifier(f"=={one}") for one in versions)
    return Said(
        kind=Kind.RESOLUTION,
        reason=f"pip finds no release for {match['requirement']}"
        + (f", which {parent} asks for" if parent else ""),
        doubted=(name,),
        names=tuple(dict.fromkeys(names)),
        needs=needs,
        seen={name: seen} if seen else {},
        network=network,
        is_conflict=False,
    )


def _conflict(words: str, network: str) -> Said:
    block, cannot = _CONFLICT.search(words), _CANNOT.search(words)
    reason = ""
    if block is not None:
        lines = block["lines"].splitlines()
        reason = "\n".join(
            ["The conflict is caused by:", *(f"    {line.strip()}" for line in lines)]
        )
    elif cannot is not None:
        reason = cannot["text"]
    needs = tuple(
        Need(
            parent=match["parent"],
            name=canonicalize_name(match["name"]),
            specifier=parse_specifier(match["spec"].replace(" and ", ",")),
        )
        for match in _DEPENDS.finditer(reason)
    )
    asked = [canonicalize_name(match["name"]) for match in _REQUESTED.finditer(reason)]
    if cannot is not None and block is None:
        asked += map(canonicalize_name, re.findall(r"([A-Za-z0-9][\w.-]*)[<>=!~]", reason))
    roots = [
        root
        for need in needs
        for root in _chain(words, canonicalize_name(need.parent.partition(" ")[0]))
    ]
    names = tuple(dict.fromkeys([*(need.name for need in needs), *asked]))
    return Said(
        kind=Kind.RESOLUTION,
        reason=reason,
        doubted=names,
        names=tuple(dict.fromkeys([*names, *roots])),
        needs=needs,
        is_chain=False,
        network=network,
    )


def _build(words: str, log: str) -> Said:
    name = _built_name(words)
    lines = [line.removeprefix("      ").rstrip() for line in log.splitlines()]
    kept = [line for line in _without_pip(lines) if line.strip()]
    kept += [match["code"] for match in _SIGNAL.finditer(words)][:1]
    if name is None:
        steps = [match["step"] for match in _STEP.finditer(words)]
        return Said(kind=Kind.BUILD, subject=steps[0] if steps else "", reason="\n".join(kept),
                    network=fetch_reason(log))  # fmt: skip
    missing = [_requirement(match["requirement"])[0] for match in _NOT_FOUND.finditer(log)]
    normalized = canonicalize_name(name)
    return Said(
        kind=Kind.BUILD,
        subject=f"{name} {_version(words, normalized)}".strip(),
        reason="\n".join(kept),
        doubted=tuple(dict.fromkeys(missing)),
        names=tuple(_chain(words, normalized)),
        network=(network_reason(log) if missing else "") or fetch_reason(log),
    )


def _without_pip(lines: list[str]) -> list[str]:
    """Leave out the frames of pip's own hook caller, with the lines that belong to them."""
    kept: list[str] = []
    skipping = False
    for line in lines:
        is_frame = line.lstrip().startswith('File "')
        if is_frame or not line.startswith("    "):
            skipping = _PIPS_OWN.match(line) is not None
        if not skipping:
            kept.append(line)
    return kept


def _built_name(words: str) -> str | None:
    """Find out what was being built, which each pip says elsewhere."""
    for probe in (
        r"^ERROR: Failed to build '([^']+)'",
        r"^╰─> (?!See above)([A-Za-z0-9][\w.-]*)$",
        r"ERROR: Could not build wheels for ([A-Za-z0-9][\w.-]*)",
        r"^(?:ERROR: )?Failed to build ([A-Za-z0-9][\w.-]*)",
        r"Building wheel for ([A-Za-z0-9][\w.-]*) ",
    ):
        if (match := re.search(probe, words, re.MULTILINE)) is not None:
            return match[1]
    collected = [match["name"] for match in _COLLECTING.finditer(words)]
    return collected[-1] if collected else None


def _version(words: str, name: NormalizedName) -> str:
    """Read the version off the file that pip fetched for a package."""
    for url in re.findall(r"^ *(?:Downloading|Using cached) (\S+)", words, re.MULTILINE):
        try:
            found, version = parse_sdist_filename(url.partition("#")[0].rpartition("/")[2])
        except InvalidSdistFilename:
            continue
        if found == name:
            return str(version)
    return ""


def _chain(words: str, name: NormalizedName) -> list[NormalizedName]:
    """List a package and those that brought it in, up to the user's own."""
    for match in _COLLECTING.finditer(words):
        if canonicalize_name(match["name"]) == name:
            parents = (match["chain"] or "").split("->")
            names = [one.partition("=")[0] for one in parents if one and not one.startswith("-")]
            return [name, *map(canonicalize_name, names)]
    return [name]


def _requirement(text: str) -> tuple[NormalizedName, SpecifierSet]:
    try:
        parsed = Requirement(text)
    except InvalidRequirement:
        name = re.split(r"[^\w.-]", text, maxsplit=1)[0]
        return canonicalize_name(name), parse_specifier("")
    return canonicalize_name(parsed.name), parsed.specifier
