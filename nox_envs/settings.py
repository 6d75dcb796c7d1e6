"""The environment variables of the user: the only module that reads `os.environ`.

Resolving, installing and building run in `tool_environment`, where a variable must be
known to say where to download from, or how to reach it, to be let through. Tests run
in nox's own environment, less what would leak another environment into this one:
`test_environment`.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit, urlunsplit

from nox_envs import _variables
from nox_envs._secrets import redact
from nox_envs._tool_config import home, is_true, pip_options, uv_options
from nox_envs.errors import DeclarationError, FileMissing, Mistake, NeedsUv
from nox_envs.options import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence

    from nox_envs.called import Called

__all__ = [
    "Kind",
    "backend_chosen",
    "called",
    "find_uv",
    "index_urls",
    "memory_seconds",
    "places",
    "read_env_file",
    "redact",
    "run_id",
    "test_environment",
    "tool_environment",
    "unheard_indexes",
    "uv_config",
]

Kind = Literal["uv", "pip", "build"]
"""Which tool an environment is for; a build may start either."""

_OWN = "NOX_ENVS_"
"""How the names of our own variables begin."""

_PYPI = "https://pypi.org/simple/"


def __dir__() -> list[str]:
    return __all__


# -- tools ----------------------------------------------------------------------------


def tool_environment(
    env: Mapping[str, str],
    *,
    kind: Kind,
    directory: Path | None = None,
    platform: str = sys.platform,
) -> dict[str, str]:
    """Make the whole environment of a command that resolves, installs or builds.

    Compiler variables belong to every kind, because resolving and installing may have
    to build. pip is told here what its files say, and reads none itself. uv is told
    what its files say, for `directory`, by `uv_config` in a file that the caller names.
    """
    kept = {name: value for name, value in env.items() if _is_for_tools(name, kind, platform)}
    pip = _pip_where(env, platform)
    if kind != "uv":
        kept |= pip
    if kind != "pip":
        config = uv_options(env, directory or Path.cwd(), platform=platform)
        kept |= _uv_like_pip(env, pip, config, platform)
    return kept | _variables.ALWAYS


def _is_for_tools(name: str, kind: Kind, platform: str) -> bool:
    if name.upper() in _variables.PROXIES:
        return True
    if platform == "win32":
        name = name.upper()
    if name in _variables.TOOL_NAMES or name.startswith(_variables.TOOL_PREFIXES):
        return True
    of_uv = name in _variables.UV_NAMES or _variables.UV_CREDENTIAL.fullmatch(name) is not None
    return of_uv and kind != "pip"


def _pip_where(env: Mapping[str, str], platform: str = sys.platform) -> dict[str, str]:
    """Tell from where pip would download: its files, and the variables over them."""
    found = pip_options(env, platform=platform)
    for alias, name in _variables.PIP_ALIASES.items():
        if env.get(alias):
            found[name] = env[alias]
    return found | {name: env[name] for name in _variables.PIP_NAMES if env.get(name)}


def _uv_like_pip(
    env: Mapping[str, str], pip: Mapping[str, str], config: Mapping[str, Any], platform: str
) -> dict[str, str]:
    """Make uv mean the place that pip means, where only pip was told of it."""
    added = {}
    if "PIP_INDEX_URL" in pip and not _has_uv_index(env, config):
        added["UV_DEFAULT_INDEX"] = pip["PIP_INDEX_URL"]
    certificate = pip.get("PIP_CERT", "")
    if certificate and not env.get("SSL_CERT_FILE"):
        user = home(env, platform)
        if certificate.startswith("~/") and user is not None:
            certificate = str(user / certificate[2:])
        added["SSL_CERT_FILE"] = certificate
    return added


def _has_uv_index(env: Mapping[str, str], config: Mapping[str, Any]) -> bool:
    """Tell if uv knows where packages come from; an explicit index does not say that."""
    pip = config.get("pip", {})
    return (
        any(env.get(name) for name in _variables.UV_INDEXES)
        or any(not index.get("explicit") for index in config.get("index", ()))
        or any(
            key in table
            for table in (config, pip)
            for key in ("index-url", "extra-index-url", "no-index")
        )
    )


def uv_config(env: Mapping[str, str], directory: Path) -> dict[str, Any]:
    """Make the private `uv.toml` of a command in `directory`: from where to download.

    It may hold credentials. The caller writes it for its own eyes and names it in
    `UV_CONFIG_FILE`, by which uv looks for no other settings.
    """
    return uv_options(env, directory)


# -- indexes --------------------------------------------------------------------------


def index_urls(
    env: Mapping[str, str], *, kind: Literal["uv", "pip"], directory: Path | None = None
) -> tuple[str, ...]:
    """List the simple indexes that a tool asks, in its order; none where it may ask none.

    The URLs may hold credentials: they are for asking, never for showing.
    """
    pip = _pip_where(env)
    if kind == "uv":
        config = uv_options(env, directory or Path.cwd())
        return tuple(_simple(_uv_indexes({**env, **_uv_like_pip(env, pip, config, "")}, config)))
    if is_true(pip.get("PIP_NO_INDEX")):
        return ()
    extra = pip.get("PIP_EXTRA_INDEX_URL", "").split()
    return tuple(_simple([pip.get("PIP_INDEX_URL", _PYPI), *extra]))


def unheard_indexes(
    env: Mapping[str, str], *, kind: Literal["uv", "pip"], directory: Path | None = None
) -> tuple[str, ...]:
    """The indexes that only the other tool was told of, without credentials.

    A package that lies there is taken from elsewhere, if another one has its name.
    Indexes on this machine's disk are left out: nobody else can have put a package there.
    """
    other: Literal["uv", "pip"] = "pip" if kind == "uv" else "uv"
    own = index_urls(env, kind=kind, directory=directory)
    found = [
        urlsplit(url)
        for url in index_urls(env, kind=other, directory=directory)
        if url.startswith("http") and url not in own and url != _PYPI
    ]
    return tuple(
        urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) for parts in found
    )


def _uv_indexes(env: Mapping[str, str], config: Mapping[str, Any]) -> list[str]:
    pip = config.get("pip", {})
    if pip.get("no-index", config.get("no-index")):
        return []
    named = [_named(word) for word in env.get("UV_INDEX", "").split()]
    defaults = [
        _with_credentials(env, *_named(env[name]))
        for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL")
        if env.get(name)
    ]
    urls = [_with_credentials(env, name, url) for name, url in named]
    urls += env.get("UV_EXTRA_INDEX_URL", "").split()
    taken = {name for name, _ in named if name}
    for index in config.get("index", ()):
        name = index.get("name", "")
        if name in taken:
            continue
        taken |= {name} if name else set()
        if index.get("explicit") or index.get("format", "simple") != "simple":
            continue
        url = _with_credentials(env, name, index["url"])
        (defaults if index.get("default") else urls).append(url)
    for table in (pip, config):
        urls += table.get("extra-index-url", ())
        defaults += [table["index-url"]] if "index-url" in table else []
    return [*urls, *(defaults or [_PYPI])[:1]]


def places(
    env: Mapping[str, str], config: Mapping[str, Any]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """List where a tool's environment and uv's settings have wheels lie, and their indexes.

    Both as they are written, for either tool. They may hold credentials.
    """
    tables = (config, config.get("pip", {}))
    wheels = [*env.get("PIP_FIND_LINKS", "").split(), *env.get("UV_FIND_LINKS", "").split(",")]
    names = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", *_variables.UV_INDEXES)
    words = [word for name in names for word in env.get(name, "").split()]
    indexes = [_named(word)[1] for word in words]
    indexes += [index["url"] for index in config.get("index", ())]
    for table in tables:
        wheels += table.get("find-links", ())
        indexes += table.get("extra-index-url", ())
        indexes += [table["index-url"]] if "index-url" in table else []
    return tuple(filter(None, wheels)), tuple(filter(None, indexes))


def _named(word: str) -> tuple[str, str]:
    """Take apart the name and the URL of an index that may be written `name=url`."""
    name, equals, url = word.partition("=")
    return (name, url) if equals and re.fullmatch(r"[\w.-]+", name) else ("", word)


def _with_credentials(env: Mapping[str, str], name: str, url: str) -> str:
    prefix = "UV_INDEX_" + re.sub(r"[^A-Za-z0-9]", "_", name).upper()
    user, password = env.get(f"{prefix}_USERNAME", ""), env.get(f"{prefix}_PASSWORD", "")
    scheme, is_url, rest = url.partition("://")
    if not name or not (user or password) or not is_url or "@" in rest.partition("/")[0]:
        return url
    return f"{scheme}://{quote(user, safe='')}:{quote(password, safe='')}@{rest}"


def _simple(places: Iterable[str]) -> Iterator[str]:
    """Write places as URLs that end in a slash, each once."""
    seen = set()
    for place in places:
        url = place if ":/" in place else Path(place).absolute().as_uri()
        url = url.rstrip("/") + "/"
        if url not in seen:
            seen.add(url)
            yield url


# -- tests ----------------------------------------------------------------------------


def test_environment(
    env: Mapping[str, str],
    *,
    pass_env: Sequence[str] | None,
    declared: Mapping[str, str],
    env_file: Mapping[str, str],
    platform: str = sys.platform,  # noqa: PT028 - not a test, but what tests run in
) -> dict[str, str | None]:
    """Say what to put into nox's `session.env`, where None takes a variable out.

    `pass_env` turns what is let through into what it names, by patterns, and what no
    program can do without. A name that it spells out is let through even if it could
    leak another environment. `env_file` and then `declared` win over all.
    """
    changes: dict[str, str | None] = {
        name: None for name in env if not _is_for_tests(name, pass_env, platform)
    }
    return changes | dict(env_file) | dict(declared)


def _is_for_tests(name: str, pass_env: Sequence[str] | None, platform: str) -> bool:
    patterns = pass_env or ()
    if platform == "win32":
        name, patterns = name.upper(), [pattern.upper() for pattern in patterns]
    if name in _variables.NOXS or name in patterns:
        return True
    if name in _variables.LEAKS or name.startswith(_OWN):
        return False
    return (
        pass_env is None
        or name in _variables.ESSENTIAL
        or name.startswith(_variables.ESSENTIAL_PREFIXES)
        or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    )


def read_env_file(path: Path) -> dict[str, str]:
    """Read the variables of a `.env` file, `${NAME}` filled in; it sets none."""
    from io import StringIO  # noqa: PLC0415 - only where there is such a file

    from dotenv import dotenv_values  # noqa: PLC0415 - as above
    from dotenv.parser import parse_stream  # noqa: PLC0415 - as above

    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise FileMissing(path=str(path), asked_by="env_file") from error
    except (OSError, UnicodeDecodeError) as error:
        mistake = Mistake(address=str(path), problem=f"cannot be read: {error}")
        raise DeclarationError(where=str(path), mistakes=(mistake,)) from error
    mistakes = []
    for binding in parse_stream(StringIO(text)):
        address = f"{path}:{_first_line(binding.original.line, binding.original.string)}"
        if binding.error:
            mistakes.append(Mistake(address=address, problem="is not of the form NAME=value"))
        elif binding.key is not None and binding.value is None:
            name = binding.key
            hint = f"write {name}= for an empty value"
            mistakes.append(Mistake(address=address, problem=f"{name} has no value", hint=hint))
    if mistakes:
        raise DeclarationError(where=str(path), mistakes=tuple(mistakes))
    values = dotenv_values(stream=StringIO(text), interpolate=True)
    return {name: value or "" for name, value in values.items()}


def _first_line(line: int, text: str) -> int:
    """Find where a statement begins: the parser counts the blank lines before it in."""
    return line + text[: len(text) - len(text.lstrip())].count("\n")


# -- this run -------------------------------------------------------------------------


def find_uv(env: Mapping[str, str]) -> str | None:
    """Find the uv to use as nox finds it; None if there is none or pip is wanted."""
    installer = env.get("NOX_ENVS_INSTALLER", "")
    if installer not in {"", "uv", "pip"}:
        mistake = Mistake(
            address="NOX_ENVS_INSTALLER", problem=f"is {installer!r}", hint="use uv or pip"
        )
        raise DeclarationError(where="the environment", mistakes=(mistake,))
    if installer == "pip":
        return None
    found = _uv_of_package() if not env.get("UV") else None
    found = found or shutil.which(env.get("UV") or "uv", path=env.get("PATH", ""))
    if found is None and installer == "uv":
        raise NeedsUv(what="NOX_ENVS_INSTALLER=uv", reason="uv is not on PATH")
    return found


def _uv_of_package() -> str | None:
    try:
        from uv import find_uv_bin  # noqa: PLC0415 - an optional dependency

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        return None


def run_id(env: MutableMapping[str, str] | None = None) -> tuple[str, bool]:
    """Name this nox run, for all processes that it starts, and say if the name is new.

    It becomes part of paths, so a value that could lead elsewhere is not taken over.
    """
    env = os.environ if env is None else env
    name = f"{_OWN}RUN_ID"
    minted = os.urandom(16).hex()
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", env.get(name, minted)):
        env[name] = minted
    chosen = env.setdefault(name, minted)
    return chosen, chosen == minted


CALLED_VARIABLE = f"{_OWN}CALLED"
"""Tells a campaign that `nox-envs` has started what the user has typed."""


def called(env: Mapping[str, str]) -> Called:
    """How the user has called the campaign of this nox."""
    from nox_envs.called import Called  # noqa: PLC0415 - for campaigns only

    return Called.from_text(env.get(CALLED_VARIABLE, ""))


TRIAL_VARIABLE = f"{_OWN}TRIAL"
"""Names the file that tells a nox which trial it is to run."""


def trial_order(env: Mapping[str, str]) -> str | None:
    """The file that tells what the trial is, in the nox of a trial."""
    return env.get(TRIAL_VARIABLE) or None


def tree_tag(env: Mapping[str, str]) -> str:
    """By which what a trial starts is known; empty where this is none."""
    return env.get(f"{_OWN}TREE", "")


def pytest_options(env: Mapping[str, str]) -> str | None:
    """What the user has pytest do on every run."""
    return env.get("PYTEST_ADDOPTS")


def trial_environment(env: Mapping[str, str], *, order: str, temporary: str) -> dict[str, str]:
    """The environment for the nox of a trial: the user's, with a temporary directory of its own.

    What would choose other sessions or Pythons than the trial's is left out, and no
    environment of a script-mode noxfile is made for it.
    """
    clean = {name: value for name, value in env.items() if name not in _variables.NOX_CHOICES}
    return {
        **clean,
        TRIAL_VARIABLE: order,
        "NOX_SCRIPT_MODE": "none",
        "GIT_OPTIONAL_LOCKS": "0",
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), temporary),
    }


def worker_environment(env: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process of which the noxes of trials are forked."""
    return {name: value for name, value in env.items() if name not in _variables.NOX_CHOICES}


def has_warm_workers(env: Mapping[str, str]) -> bool:
    """Whether noxes of trials may be forked of a process that has imported nox."""
    return env.get("NOX_ENVS_WORKERS", "") not in {"0", "no", "off", "false"}


_BACKEND_OPTIONS = frozenset(
    # argparse takes `-d` for the beginning of `-db`.
    {"-d", "-db", "--default-venv-backend", "-fb", "--force-venv-backend", "--no-venv"}
)


def backend_chosen(env: Mapping[str, str], argv: Sequence[str]) -> bool:
    """Tell if the user chose the venv backend of this nox run, in whatever way.

    `argv` is what follows the program's name. nox knows no variable to force a backend.
    """
    if env.get("NOX_DEFAULT_VENV_BACKEND"):
        return True
    for word in argv:
        if word == "--":
            return False
        if word.partition("=")[0] in _BACKEND_OPTIONS:
            return True
    return False


def prefers_pip(env: Mapping[str, str]) -> bool:
    """Whether the user wants pip even where uv is installed."""
    return env.get("NOX_ENVS_INSTALLER") == "pip"


def downloads(env: Mapping[str, str], argv: Sequence[str]) -> bool:
    """Whether the user told nox to download interpreters that are missing."""
    words = argv[: argv.index("--")] if "--" in argv else argv
    for index, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option == "--download-python":
            value = value if equals else "".join(words[index + 1 : index + 2])
            return value in {"auto", "always"}
    return env.get("NOX_DOWNLOAD_PYTHON") in {"auto", "always"}


def memory_seconds(env: Mapping[str, str]) -> float:
    """For how long holds what an earlier run has resolved or built; 0 for not at all."""
    if is_refreshing(env):
        return 0
    text = env.get("NOX_ENVS_REMEMBER", "").strip()
    duration = timedelta() if text == "0" else parse_duration(text or _MEMORY)
    if duration is None:
        mistake = Mistake(
            address="NOX_ENVS_REMEMBER",
            problem=f"is {text!r}, which is not a duration",
            hint="write 30 minutes or 2 hours, or 0 for nothing",
        )
        raise DeclarationError(where="the environment", mistakes=(mistake,))
    return duration.total_seconds()


_MEMORY = "1 hour"


def is_refreshing(env: Mapping[str, str]) -> bool:
    """Whether nothing is to be believed that an earlier run has resolved or built."""
    return is_true(env.get("NOX_ENVS_REFRESH"))


def refresh() -> None:
    """Believe nothing that an earlier run has resolved or built, here and in what is started."""
    os.environ["NOX_ENVS_REFRESH"] = "1"


_added_to_path: list[str] = []


def extend_path(directory: str) -> None:
    """Put a directory on this process's PATH, until `forget_path`.

    First, for shims of pyenv that are asked before it take a second to say that they know
    nothing; but last where it has an uv of its own, which is not the user's.
    """
    path = [*filter(None, [os.environ.get("PATH")])]
    own = shutil.which("uv", path=directory)
    os.environ["PATH"] = os.pathsep.join([*path, directory] if own else [directory, *path])
    _added_to_path.append(directory)


def forget_path() -> None:
    """Take back what `extend_path` did: no test is to find a Python by it."""
    while _added_to_path:
        directory = _added_to_path.pop()
        path = os.environ.get("PATH", "")
        os.environ["PATH"] = path.removeprefix(directory + os.pathsep).removesuffix(
            os.pathsep + directory
        )
