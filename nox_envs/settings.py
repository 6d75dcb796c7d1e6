"""The environment variables of the user: the only module that reads `os.environ`.

Resolving, installing and building run in `tool_environment`, where a variable must be
known to say where to download from, or how to reach it, to be let through. Tests run
in nox's own environment, less what would leak another environment into this one:
`test_environment`.
"""

from __future__ import annotations

import base64
import fnmatch
import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from nox_envs._tool_config import home, pip_options, uv_options
from nox_envs.errors import DeclarationError, FileMissing, Mistake, NeedsUv

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence

__all__ = [
    "Kind",
    "backend_chosen",
    "environment",
    "find_uv",
    "index_urls",
    "read_env_file",
    "redact",
    "run_id",
    "test_environment",
    "tool_environment",
    "uv_config",
]

Kind = Literal["uv", "pip", "build"]
"""Which tool an environment is for; a build may start either."""

_PYPI = "https://pypi.org/simple/"


def __dir__() -> list[str]:
    return __all__


def environment() -> dict[str, str]:
    """The variables of this process, as they are now."""
    return dict(os.environ)


# -- names ----------------------------------------------------------------------------

_WINDOWS = frozenset(
    {
        "APPDATA",
        "COMMONPROGRAMFILES",
        "COMMONPROGRAMFILES(X86)",
        "COMMONPROGRAMW6432",
        "COMSPEC",
        "HOMEDRIVE",
        "HOMEPATH",
        "LOCALAPPDATA",
        "NUMBER_OF_PROCESSORS",
        "PATHEXT",
        "PROCESSOR_ARCHITECTURE",
        "PROCESSOR_ARCHITEW6432",
        "PROGRAMDATA",
        "PROGRAMFILES",
        "PROGRAMFILES(X86)",
        "PROGRAMW6432",
        "SYSTEMDRIVE",
        "SYSTEMROOT",
        "USERNAME",
        "WINDIR",
    }
)

_PERSON = frozenset(
    {
        "HOME",
        "LANG",
        "LANGUAGE",
        "LD_LIBRARY_PATH",
        "LOGNAME",
        "PATH",
        "TEMP",
        "TMP",
        "TMPDIR",
        "USER",
        "USERPROFILE",
    }
)

_PROXIES = frozenset({"ALL_PROXY", "FTP_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"})

_REACHING = frozenset(
    {
        # Certificates and credentials.
        "CURL_CA_BUNDLE",
        "DBUS_SESSION_BUS_ADDRESS",
        "GNOME_KEYRING_CONTROL",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "NETRC",
        "PYTHON_KEYRING_BACKEND",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
        "SSL_CLIENT_CERT",
        "VSS_NUGET_EXTERNAL_FEED_ENDPOINTS",
        # Requirements in version control.
        "GIT_ASKPASS",
        "GIT_TERMINAL_PROMPT",
        "SSH_AGENT_PID",
        "SSH_ASKPASS",
        "SSH_AUTH_SOCK",
    }
)

_COMPILING = frozenset(
    {
        "AR",
        "ARCHFLAGS",
        "CARGO_HOME",
        "CC",
        "CFLAGS",
        "CPATH",
        "CPPFLAGS",
        "CXX",
        "CXXFLAGS",
        "C_INCLUDE_PATH",
        "DEVELOPER_DIR",
        "DISTUTILS_USE_SDK",
        "FC",
        "FFLAGS",
        "INCLUDE",
        "LD",
        "LDFLAGS",
        "LIB",
        "LIBPATH",
        "LIBRARY_PATH",
        "MACOSX_DEPLOYMENT_TARGET",
        "MAKEFLAGS",
        "MSSDK",
        "PKG_CONFIG_PATH",
        "RUSTFLAGS",
        "RUSTUP_HOME",
        "RUSTUP_TOOLCHAIN",
        "SDKROOT",
        "SOURCE_DATE_EPOCH",
    }
)

_TOOL_NAMES = _WINDOWS | _PERSON | _PROXIES | _REACHING | _COMPILING
_TOOL_PREFIXES = (
    "ARTIFACTS_KEYRING_",
    "DYLD_",
    "GIT_CONFIG_",
    "GIT_SSH",
    "GIT_SSL_",
    "KEYRING_PROPERTY_",
    "LC_",
    "SETUPTOOLS_SCM_",
    "XDG_",
)

_PIP_NAMES = frozenset(
    {
        "PIP_CACHE_DIR",
        "PIP_CERT",
        "PIP_CLIENT_CERT",
        "PIP_DEFAULT_TIMEOUT",
        "PIP_EXTRA_INDEX_URL",
        "PIP_FIND_LINKS",
        "PIP_INDEX_URL",
        "PIP_KEYRING_PROVIDER",
        "PIP_NO_CACHE_DIR",
        "PIP_NO_INDEX",
        "PIP_PROXY",
        "PIP_PYPI_URL",
        "PIP_RESUME_RETRIES",
        "PIP_RETRIES",
        "PIP_TIMEOUT",
        "PIP_TRUSTED_HOST",
    }
)

_UV_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_NO_INDEX")

_UV_NAMES = frozenset(
    {
        *_UV_INDEXES,
        "HTTP_TIMEOUT",
        "UV_CACHE_DIR",
        "UV_CONCURRENT_BUILDS",
        "UV_CONCURRENT_DOWNLOADS",
        "UV_CONCURRENT_INSTALLS",
        "UV_CREDENTIALS_DIR",
        "UV_FIND_LINKS",
        "UV_HTTP_CONNECT_TIMEOUT",
        "UV_HTTP_RETRIES",
        "UV_HTTP_TIMEOUT",
        "UV_INDEX_STRATEGY",
        "UV_INSECURE_HOST",
        "UV_KEYRING_PROVIDER",
        "UV_LOCK_TIMEOUT",
        "UV_NATIVE_TLS",
        "UV_NO_CACHE",
        "UV_OFFLINE",
        "UV_REQUEST_TIMEOUT",
        "UV_SYSTEM_CERTS",
    }
)

_UV_CREDENTIAL = re.compile(r"UV_INDEX_\w+_(?:USERNAME|PASSWORD)")

_ALWAYS = {
    "NO_COLOR": "1",
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_USER": "0",
    "PYTHONNOUSERSITE": "1",
    "UV_NO_PROGRESS": "1",
    "UV_PYTHON_DOWNLOADS": "never",
}

_LEAKS = frozenset(
    {
        "CONDA_PREFIX",
        "PIP_CONSTRAINT",
        "PIP_NO_DEPS",
        "PIP_PREFIX",
        "PIP_REQUIREMENT",
        "PIP_REQUIRE_VIRTUALENV",
        "PIP_RESPECT_VIRTUALENV",
        "PIP_ROOT",
        "PIP_TARGET",
        "PIP_USER",
        "PYTHONHOME",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "UV_SYSTEM_PYTHON",
        "__PYVENV_LAUNCHER__",
    }
)

_OWN = "NOX_ENVS_"

_NOXS = frozenset({"NOX_CURRENT_SESSION", "UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "VIRTUAL_ENV"})
"""What nox itself sets for a session: not ours to change."""

_ESSENTIAL = _PERSON | _WINDOWS | {"CI", "SHELL", "TERM", "TZ"}
_ESSENTIAL_PREFIXES = ("DYLD_", "LC_")


# -- tools ----------------------------------------------------------------------------


def tool_environment(
    env: Mapping[str, str],
    *,
    kind: Kind,
    directory: Path | None = None,
    bin_paths: Sequence[Path] = (),
    platform: str = sys.platform,
) -> dict[str, str]:
    """The whole environment of a command that resolves, installs or builds.

    Compiler variables belong to every kind, because resolving and installing may have
    to build. pip gets what its files say here, and reads none itself; uv gets its
    files' part by `uv_config`, for `directory`, which the caller passes as a file.
    """
    kept = {name: value for name, value in env.items() if _is_for_tools(name, kind, platform)}
    from_files = pip_options(env, platform=platform)
    if kind != "uv":
        kept = {**from_files, **kept}
    if kind != "pip":
        kept |= _uv_like_pip(env, from_files, directory or Path.cwd(), platform)
    if bin_paths:
        kept["PATH"] = os.pathsep.join(
            [*map(str, bin_paths), *filter(None, [_get(env, "PATH", platform)])]
        )
    return kept | _ALWAYS


def _is_for_tools(name: str, kind: Kind, platform: str) -> bool:
    if platform == "win32":
        name = name.upper()
    if name in _TOOL_NAMES or name.upper() in _PROXIES or name.startswith(_TOOL_PREFIXES):
        return True
    if kind != "uv" and name in _PIP_NAMES:
        return True
    return kind != "pip" and (name in _UV_NAMES or bool(_UV_CREDENTIAL.fullmatch(name)))


def _get(env: Mapping[str, str], name: str, platform: str) -> str:
    """A variable by its name, which on Windows may be written in any case."""
    if platform == "win32" and name not in env:
        return next((value for key, value in env.items() if key.upper() == name), "")
    return env.get(name, "")


def _uv_like_pip(
    env: Mapping[str, str], from_files: Mapping[str, str], directory: Path, platform: str
) -> dict[str, str]:
    """What makes uv mean the place that pip means, where only pip was told of it."""
    pip = {**from_files, **{name: env[name] for name in _PIP_NAMES if env.get(name)}}
    added = {}
    index = pip.get("PIP_INDEX_URL") or pip.get("PIP_PYPI_URL")
    if index and not _has_uv_index(env, uv_options(env, directory, platform=platform)):
        added["UV_DEFAULT_INDEX"] = index
    certificate = pip.get("PIP_CERT", "")
    if certificate and not env.get("SSL_CERT_FILE"):
        user = home(env, platform)
        if certificate.startswith("~/") and user is not None:
            certificate = str(user / certificate[2:])
        added["SSL_CERT_FILE"] = certificate
    return added


def _has_uv_index(env: Mapping[str, str], config: Mapping[str, Any]) -> bool:
    """Whether uv was told where packages come from; an explicit index does not say that."""
    pip = config.get("pip", {})
    return (
        any(env.get(name) for name in _UV_INDEXES)
        or any(not index.get("explicit") for index in config.get("index", ()))
        or any(key in table for table in (config, pip) for key in _INDEX_KEYS)
    )


_INDEX_KEYS = ("index-url", "extra-index-url", "no-index")


def uv_config(env: Mapping[str, str], directory: Path) -> dict[str, Any]:
    """The private `uv.toml` for a command in `directory`: from where to download.

    It may hold credentials. The caller writes it for its own eyes and names it in
    `UV_CONFIG_FILE`, by which uv looks for no other settings.
    """
    return uv_options(env, directory)


# -- indexes --------------------------------------------------------------------------


def index_urls(
    env: Mapping[str, str], *, kind: Literal["uv", "pip"], directory: Path | None = None
) -> tuple[str, ...]:
    """The simple indexes that a tool asks, in its order; none where it is to ask none.

    The URLs may hold credentials: they are for asking, never for showing.
    """
    options = {**pip_options(env), **{name: env[name] for name in _PIP_NAMES if env.get(name)}}
    if kind == "uv":
        directory = directory or Path.cwd()
        config = uv_options(env, directory)
        if _has_uv_index(env, config) or not options.get("PIP_INDEX_URL"):
            return _uv_index_urls(env, config)
        return tuple(_simple([options["PIP_INDEX_URL"]]))
    if options.get("PIP_NO_INDEX", "").lower() in {"1", "on", "t", "true", "y", "yes"}:
        return ()
    first = options.get("PIP_INDEX_URL") or options.get("PIP_PYPI_URL") or _PYPI
    return tuple(_simple([first, *options.get("PIP_EXTRA_INDEX_URL", "").split()]))


def _uv_index_urls(env: Mapping[str, str], config: Mapping[str, Any]) -> tuple[str, ...]:
    pip = config.get("pip", {})
    if env.get("UV_NO_INDEX") or pip.get("no-index", config.get("no-index")):
        return ()
    configured = [
        index
        for index in config.get("index", ())
        if not index.get("explicit") and index.get("format", "simple") == "simple"
    ]
    from_env = [_named(word) for word in env.get("UV_INDEX", "").split()]
    seen = {name for name, _ in from_env if name}
    urls = [_with_credentials(env, name, url) for name, url in from_env]
    default = [env.get("UV_DEFAULT_INDEX", ""), env.get("UV_INDEX_URL", "")]
    default = [_with_credentials(env, *_named(word)) for word in default if word]
    for index in configured:
        name, url = index.get("name", ""), index["url"]
        if name not in seen:
            url = _with_credentials(env, name, url)
            (default if index.get("default") else urls).append(url)
    urls += env.get("UV_EXTRA_INDEX_URL", "").split()
    for table in (pip, config):
        urls += table.get("extra-index-url", ())
        default += [table["index-url"]] if table.get("index-url") else []
    return tuple(_simple([*urls, *(default or [_PYPI])[:1]]))


def _named(word: str) -> tuple[str, str]:
    """The name and the URL of an index that may be written `name=url`."""
    name, equals, url = word.partition("=")
    return (name, url) if equals and re.fullmatch(r"[\w.-]+", name) else ("", word)


def _with_credentials(env: Mapping[str, str], name: str, url: str) -> str:
    prefix = "UV_INDEX_" + re.sub(r"[^A-Za-z0-9]", "_", name).upper()
    user, password = env.get(f"{prefix}_USERNAME", ""), env.get(f"{prefix}_PASSWORD", "")
    parts = urlsplit(url)
    if not name or not (user or password) or "@" in parts.netloc:
        return url
    userinfo = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    return urlunsplit(parts._replace(netloc=f"{userinfo}@{parts.netloc}"))


def _simple(places: Iterable[str]) -> Iterator[str]:
    """URLs that end in a slash, each once."""
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
    pass_env: Sequence[str] | None = None,
    declared: Mapping[str, str] | None = None,
    env_file: Mapping[str, str] | None = None,
    platform: str = sys.platform,
) -> dict[str, str | None]:
    """What to put into nox's `session.env`, where None takes a variable out.

    `pass_env` turns what is let through into what it names, by patterns, and what no
    program can do without. A name that it spells out is let through even if it could
    leak another environment. `env_file` and then `declared` win over all.
    """
    changes: dict[str, str | None] = {
        name: None for name in env if not _is_for_tests(name, pass_env, platform)
    }
    return changes | dict(env_file or {}) | dict(declared or {})


def _is_for_tests(name: str, pass_env: Sequence[str] | None, platform: str) -> bool:
    patterns = pass_env or ()
    if platform == "win32":
        name, patterns = name.upper(), [pattern.upper() for pattern in patterns]
    if name in _NOXS or name in patterns:
        return True
    if name in _LEAKS or name.startswith(_OWN):
        return False
    return (
        pass_env is None
        or name in _ESSENTIAL
        or name.startswith(_ESSENTIAL_PREFIXES)
        or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    )


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a `.env` file, `${NAME}` filled in. Nothing is set by this."""
    from io import StringIO  # noqa: PLC0415  # Only needed where there is such a file.

    from dotenv import dotenv_values  # noqa: PLC0415
    from dotenv.parser import parse_stream  # noqa: PLC0415

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
    """Where a statement begins: what the parser calls its start counts blank lines in."""
    return line + text[: len(text) - len(text.lstrip())].count("\n")


# -- secrets --------------------------------------------------------------------------

_MASK = "****"
_USERINFO = re.compile(r'://([^/?#\s"<>`]*)@')
_SHORTEST_TOKEN = 16
"""A user name of this length is taken for a token, with or without a password."""


def redact(text: str, env: Mapping[str, str], *, urls: Iterable[str] = ()) -> str:
    """A text without credentials: of any URL in it, and all that `env` and `urls` hold."""
    pattern = _secret_pattern(_secrets(env, urls))
    masked = _mask(text, pattern)
    stripped = re.sub(r'://(?!git@)[^/?#\s"<>`]*@', "://", masked)
    return _mask(stripped, pattern)


def _mask(text: str, pattern: re.Pattern[str] | None) -> str:
    # To mask may put two halves of another secret side by side. Each round takes away
    # a character that is not of the mask, so that there is a last one.
    while pattern is not None and pattern.search(text):
        text = pattern.sub(_MASK, text)
    return text


def _secret_pattern(secrets: Iterable[str]) -> re.Pattern[str] | None:
    known = {secret for secret in secrets if secret.strip("*")}
    ordered = sorted(known, key=lambda secret: (-len(secret), secret))
    return re.compile("|".join(map(_in_any_coding, ordered))) if ordered else None


def _in_any_coding(secret: str) -> str:
    """A pattern of a text, any of whose characters may be percent-encoded."""
    return "".join(f"(?:{re.escape(char)}|{_percent_encoded(char)})" for char in secret)


def _percent_encoded(char: str) -> str:
    return "".join(f"%(?i:{byte:02x})" for byte in char.encode("utf-8", "surrogateescape"))


def _secrets(env: Mapping[str, str], urls: Iterable[str]) -> Iterator[str]:
    places = list(urls)
    for name, value in env.items():
        upper = name.upper()
        if upper.startswith(("PIP_", "UV_")) or upper in _PROXIES:
            places.append(value)
        if upper.startswith("UV_") and upper.endswith(("_PASSWORD", "_TOKEN")):
            user = env.get(name[: -len("PASSWORD")] + "USERNAME", "")
            yield from _forms(user, value)
    for userinfo in _USERINFO.findall("\n".join(places)):
        user, _, password = userinfo.partition(":")
        yield from _forms(user, password)


def _forms(user: str, password: str) -> Iterator[str]:
    """The ways in which credentials are written."""
    words = {password, unquote(password)}
    if not password or password == "x-oauth-basic" or len(user) >= _SHORTEST_TOKEN:  # noqa: S105
        words |= {user, unquote(user)}
    yield from words
    for pair in {f"{user}:{password}", f"{unquote(user)}:{unquote(password)}"}:
        raw = pair.encode("utf-8", "surrogateescape")
        for coded in (base64.b64encode(raw), base64.urlsafe_b64encode(raw)):
            yield coded.decode("ascii")
            yield coded.decode("ascii").rstrip("=")


# -- this run -------------------------------------------------------------------------


def find_uv(env: Mapping[str, str]) -> str | None:
    """The uv to use, found as nox finds it; None if there is none or pip is wanted."""
    installer = env.get("NOX_ENVS_INSTALLER", "")
    if installer not in {"", "uv", "pip"}:
        mistake = Mistake(
            address="NOX_ENVS_INSTALLER", problem=f"is {installer!r}", hint="use uv or pip"
        )
        raise DeclarationError(where="the environment", mistakes=(mistake,))
    if installer == "pip":
        return None
    found = _uv_of_package() if not env.get("UV") else None
    found = found or shutil.which(env.get("UV") or "uv", path=env.get("PATH"))
    if found is None and installer == "uv":
        raise NeedsUv(what="NOX_ENVS_INSTALLER=uv", reason="uv is not on PATH")
    return found


def _uv_of_package() -> str | None:
    try:
        from uv import find_uv_bin  # noqa: PLC0415  # An optional dependency.

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        return None


def run_id(env: MutableMapping[str, str] | None = None) -> tuple[str, bool]:
    """The name of this nox run, shared with the processes it starts, and if it is new.

    It becomes part of paths, so a value that could lead elsewhere is not taken over.
    """
    env = os.environ if env is None else env
    name = f"{_OWN}RUN_ID"
    minted = os.urandom(16).hex()
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", env.get(name, minted)):
        env[name] = minted
    chosen = env.setdefault(name, minted)
    return chosen, chosen == minted


_BACKEND_OPTIONS = frozenset(
    # argparse takes `-d` for the beginning of `-db`.
    {"-d", "-db", "--default-venv-backend", "-fb", "--force-venv-backend", "--no-venv"}
)


def backend_chosen(env: Mapping[str, str], argv: Sequence[str]) -> bool:
    """Whether the user chose the venv backend of this nox run, in whatever way.

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
