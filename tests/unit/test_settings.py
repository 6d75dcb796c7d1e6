from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nox_envs import _tool_config, settings
from nox_envs.errors import DeclarationError, FileMissing, NeedsUv

POISON = [
    "CONDA_PREFIX",
    "NOX_ENVS_RUN_ID",
    "PIP_BREAK_SYSTEM_PACKAGES",
    "PIP_CONSTRAINT",
    "PIP_EDITABLE",
    "PIP_NO_BINARY",
    "PIP_NO_BUILD_ISOLATION",
    "PIP_NO_DEPS",
    "PIP_ONLY_BINARY",
    "PIP_PRE",
    "PIP_PREFIX",
    "PIP_PYTHON",
    "PIP_REQUIREMENT",
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_ROOT",
    "PIP_TARGET",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "UV_BREAK_SYSTEM_PACKAGES",
    "UV_BUILD_CONSTRAINT",
    "UV_COMPILE_BYTECODE",
    "UV_CONFIG_FILE",
    "UV_CONSTRAINT",
    "UV_EXCLUDE",
    "UV_EXCLUDE_NEWER",
    "UV_LINK_MODE",
    "UV_NO_BINARY",
    "UV_NO_BUILD",
    "UV_NO_BUILD_ISOLATION",
    "UV_NO_SOURCES",
    "UV_OVERRIDE",
    "UV_PRERELEASE",
    "UV_PROJECT",
    "UV_PROJECT_ENVIRONMENT",
    "UV_PYTHON",
    "UV_REQUIRE_HASHES",
    "UV_RESOLUTION",
    "UV_SYSTEM_PYTHON",
    "UV_TORCH_BACKEND",
    "UV_WORKING_DIR",
    "VIRTUAL_ENV",
    "__PYVENV_LAUNCHER__",
]

WHERE_OF_PIP = [
    "PIP_CACHE_DIR",
    "PIP_CLIENT_CERT",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_INDEX_URL",
    "PIP_KEYRING_PROVIDER",
    "PIP_NO_INDEX",
    "PIP_PROXY",
    "PIP_RETRIES",
    "PIP_TIMEOUT",
    "PIP_TRUSTED_HOST",
]

WHERE_OF_UV = [
    "UV_CACHE_DIR",
    "UV_CONCURRENT_DOWNLOADS",
    "UV_DEFAULT_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
    "UV_HTTP_RETRIES",
    "UV_HTTP_TIMEOUT",
    "UV_INDEX",
    "UV_INDEX_CORP_PASSWORD",
    "UV_INDEX_CORP_USERNAME",
    "UV_INDEX_STRATEGY",
    "UV_INDEX_URL",
    "UV_INSECURE_HOST",
    "UV_KEYRING_PROVIDER",
    "UV_NATIVE_TLS",
    "UV_OFFLINE",
    "UV_SYSTEM_CERTS",
]

REACHING = [
    "CFLAGS",
    "DYLD_LIBRARY_PATH",
    "GIT_SSH_COMMAND",
    "HOME",
    "HTTPS_PROXY",
    "LC_ALL",
    "MACOSX_DEPLOYMENT_TARGET",
    "NETRC",
    "PATH",
    "PYTHON_KEYRING_BACKEND",
    "SETUPTOOLS_SCM_PRETEND_VERSION",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "XDG_CACHE_HOME",
    "no_proxy",
]


@pytest.fixture(autouse=True)
def _no_files_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep what is configured in /etc and for this Python out of these tests."""
    monkeypatch.setattr(_tool_config, "_MACHINE", tmp_path / "etc")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
def env(home: Path) -> dict[str, str]:
    return {"HOME": str(home), "PATH": "/usr/bin", "XDG_CONFIG_DIRS": str(home / "xdg")}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# -- tool_environment -----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["uv", "pip", "build"])
@pytest.mark.parametrize("name", POISON)
def test_what_and_where_to_install_is_dropped(
    name: str, kind: settings.Kind, tmp_path: Path
) -> None:
    uv_toml = write(tmp_path / "uv.toml", "")
    poisoned = settings.tool_environment(
        {name: str(uv_toml)}, kind=kind, directory=tmp_path, platform="linux"
    )
    clean = settings.tool_environment({}, kind=kind, directory=tmp_path, platform="linux")
    assert poisoned == clean


@pytest.mark.parametrize("kind", ["uv", "pip", "build"])
@pytest.mark.parametrize("name", [*WHERE_OF_PIP, *WHERE_OF_UV, *REACHING])
def test_where_to_download_from_survives(
    name: str, kind: settings.Kind, tmp_path: Path, env: dict[str, str]
) -> None:
    made = settings.tool_environment({**env, name: "/x"}, kind=kind, directory=tmp_path)
    foreign = {"uv": "PIP_", "pip": "UV_", "build": "-"}[kind]
    assert made.get(name) == (None if name.startswith(foreign) else "/x")


def test_always_set(env: dict[str, str]) -> None:
    env |= {"PIP_USER": "1", "UV_PYTHON_DOWNLOADS": "automatic", "PYTHONDONTWRITEBYTECODE": "1"}
    assert settings.tool_environment(env, kind="pip") == {
        **{name: env[name] for name in ("HOME", "PATH", "XDG_CONFIG_DIRS")},
        "NO_COLOR": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_USER": "0",
        "PYTHONNOUSERSITE": "1",
        "UV_NO_PROGRESS": "1",
        "UV_NO_WRAP": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }


def test_names_are_of_any_case_on_windows() -> None:
    env = {"SystemRoot": "C:\\Windows", "Path": "C:\\bin", "PythonPath": "x"}
    made = settings.tool_environment(env, kind="pip", platform="win32")
    assert made["SystemRoot"] == "C:\\Windows"
    assert made["Path"] == "C:\\bin"
    assert "PythonPath" not in made


# -- pip's files ----------------------------------------------------------------------


def test_pip_files_say_where_and_no_more(env: dict[str, str], home: Path) -> None:
    write(
        home / ".config" / "pip" / "pip.conf",
        """
[global]
index-url = https://one.invalid/simple
timeout = 5
no-deps = true
target = /somewhere
default_timeout = 7
extra-index-url =
    https://two.invalid/simple
    https://three.invalid/simple
[install]
index_url = https://four.invalid/simple
pre = true
[freeze]
index-url = https://five.invalid/simple
""",
    )
    made = settings.tool_environment(env, kind="pip")
    assert {name: value for name, value in made.items() if name.startswith("PIP_")} == {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_EXTRA_INDEX_URL": "https://two.invalid/simple https://three.invalid/simple",
        "PIP_INDEX_URL": "https://four.invalid/simple",
        "PIP_NO_INPUT": "1",
        "PIP_TIMEOUT": "7",
        "PIP_USER": "0",
    }


def test_pip_variables_win_over_files(env: dict[str, str], home: Path) -> None:
    write(home / ".pip" / "pip.conf", "[global]\ntimeout = 5\nretries = 1\nproxy = a\n")
    env |= {"PIP_DEFAULT_TIMEOUT": "9", "PIP_RETRIES": "2", "PIP_PROXY": ""}
    made = settings.tool_environment(env, kind="pip")
    assert (made["PIP_TIMEOUT"], made["PIP_RETRIES"], made["PIP_PROXY"]) == ("9", "2", "a")


def test_stronger_pip_files_win(env: dict[str, str], home: Path, tmp_path: Path) -> None:
    prefix = tmp_path / "prefix"
    chosen = tmp_path / "chosen.conf"
    files = [
        home / "xdg" / "pip" / "pip.conf",
        tmp_path / "etc" / "pip.conf",
        home / ".pip" / "pip.conf",
        home / ".config" / "pip" / "pip.conf",
        prefix / "pip.conf",
        chosen,
    ]
    env["PIP_CONFIG_FILE"] = str(chosen)
    assert _tool_config.pip_files(env, platform="linux", prefix=str(prefix)) == tuple(files)
    for number, path in enumerate(files):
        write(path, f"[global]\ntimeout = {number}\n")
        options = _tool_config.pip_options(env, platform="linux", prefix=str(prefix))
        assert options == {"PIP_TIMEOUT": str(number)}
    env["PIP_CONFIG_FILE"] = os.devnull
    assert _tool_config.pip_options(env, platform="linux", prefix=str(prefix)) == {}


def test_pip_files_of_windows() -> None:
    env = {"PROGRAMDATA": "/data", "APPDATA": "/roaming", "USERPROFILE": "/me"}
    assert _tool_config.pip_files(env, platform="win32", prefix="/p") == (
        Path("/data/pip/pip.ini"),
        Path("/me/pip/pip.ini"),
        Path("/roaming/pip/pip.ini"),
        Path("/p/pip.ini"),
    )


def test_pip_files_of_macos(home: Path) -> None:
    env = {"HOME": str(home)}
    machine = Path("/Library/Application Support/pip/pip.conf")
    legacy = home / ".pip" / "pip.conf"
    library = home / "Library" / "Application Support" / "pip"
    own = (machine, legacy, home / ".config" / "pip" / "pip.conf", Path("/p/pip.conf"))
    assert _tool_config.pip_files(env, platform="darwin", prefix="/p") == own
    library.mkdir(parents=True)
    own = (machine, legacy, library / "pip.conf", Path("/p/pip.conf"))
    assert _tool_config.pip_files(env, platform="darwin", prefix="/p") == own


@pytest.mark.parametrize(
    "text",
    ["no section", "[global\n", "[global]\nretries\n=\n", "[global]\na=1\na=2\n", "\x00"],
)
def test_pip_files_that_are_broken(text: str, env: dict[str, str], home: Path) -> None:
    write(home / ".pip" / "pip.conf", text)
    assert _tool_config.pip_options(env) == {}


# -- uv's files -----------------------------------------------------------------------


def test_uv_files_say_where_and_no_more(env: dict[str, str], home: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    write(
        project / "pyproject.toml",
        """
[project]
name = "x"
[tool.uv]
no-index = false
find-links = ["wheels", "https://links.invalid/", "/absolute"]
override-dependencies = ["a==1"]
prerelease = "allow"
resolution = "lowest"
[[tool.uv.index]]
name = "corp"
url = "../simple"
publish-url = "https://publish.invalid/"
[tool.uv.pip]
no-deps = true
target = "t"
extra-index-url = ["https://extra.invalid/simple"]
""",
    )
    write(
        home / ".config" / "uv" / "uv.toml",
        """
find-links = ["more"]
link-mode = "copy"
system-certs = true
no-index = true
[[index]]
url = "https://default.invalid/simple"
default = true
""",
    )
    assert settings.uv_config(env, project) == {
        "no-index": False,
        "find-links": [
            str(project / "wheels"),
            "https://links.invalid/",
            os.path.normpath("/absolute"),
            str(home / ".config" / "uv" / "more"),
        ],
        "system-certs": True,
        "index": [
            {"name": "corp", "url": str(tmp_path / "simple")},
            {"url": "https://default.invalid/simple", "default": True},
        ],
        "pip": {"extra-index-url": ["https://extra.invalid/simple"]},
    }


@pytest.mark.parametrize(
    ("files", "start", "expected"),
    [
        ({"pyproject.toml": "[tool.uv]\ncache-dir='/a'"}, "b/c", "/a"),
        ({"uv.toml": "cache-dir='/a'", "b/uv.toml": "cache-dir='/b'"}, "b/c", "/b"),
        ({"uv.toml": "cache-dir='/a'", "pyproject.toml": "[tool.uv]\ncache-dir='/b'"}, "", "/a"),
        ({"uv.toml": "cache-dir='/a'", "b/pyproject.toml": "[tool.ruff]"}, "b", "/a"),
        (
            {
                "pyproject.toml": "[tool.uv]\ncache-dir='/a'\nworkspace.members=['b']",
                "b/pyproject.toml": "[tool.uv]\ncache-dir='/b'",
                "b/c/uv.toml": "cache-dir='/c'",
            },
            "b/c",
            "/a",
        ),
        (
            {
                "pyproject.toml": "[tool.uv]\ncache-dir='/a'\n"
                "workspace={members=['*'], exclude=['b']}",
                "b/pyproject.toml": "[tool.uv]\ncache-dir='/b'",
            },
            "b",
            "/b",
        ),
        ({"home/xdg/uv/uv.toml": "cache-dir='/x'", "etc/uv/uv.toml": "cache-dir='/e'"}, "", "/x"),
        ({"etc/uv/uv.toml": "cache-dir='/e'"}, "", "/e"),
    ],
)
def test_uv_files_are_found_as_uv_does(
    files: dict[str, str], start: str, expected: str, env: dict[str, str], tmp_path: Path
) -> None:
    for name, text in files.items():
        write(tmp_path / name, text)
    assert settings.uv_config(env, tmp_path / start) == {"cache-dir": os.path.normpath(expected)}


def test_uv_files_can_be_chosen_or_refused(env: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / "uv.toml", "offline = true")
    chosen = write(tmp_path / "elsewhere" / "mine.toml", "find-links = ['x']")
    found = settings.uv_config({**env, "UV_CONFIG_FILE": str(chosen)}, tmp_path)
    assert found == {"find-links": [str(chosen.parent / "x")]}
    assert settings.uv_config({**env, "UV_NO_CONFIG": "1"}, tmp_path) == {}
    with pytest.raises(DeclarationError, match="UV_CONFIG_FILE names it"):
        settings.uv_config({**env, "UV_CONFIG_FILE": str(tmp_path / "gone")}, tmp_path)


def test_a_broken_uv_file_is_an_error(env: dict[str, str], tmp_path: Path) -> None:
    path = write(tmp_path / "uv.toml", "index = [")
    with pytest.raises(DeclarationError) as caught:
        settings.uv_config(env, tmp_path)
    assert caught.value.where == str(path)


# -- both mean the same place ---------------------------------------------------------


def test_uv_follows_pip_where_only_pip_was_told(env: dict[str, str], home: Path) -> None:
    write(
        home / ".pip" / "pip.conf",
        "[global]\nindex-url = https://corp.invalid/simple\ncert = ~/ca.pem\n",
    )
    made = settings.tool_environment(env, kind="uv", directory=home)
    assert made["UV_DEFAULT_INDEX"] == "https://corp.invalid/simple"
    assert made["SSL_CERT_FILE"] == str(home / "ca.pem")
    assert settings.index_urls(env, kind="uv", directory=home) == ("https://corp.invalid/simple/",)
    env["SSL_CERT_FILE"] = "/own.pem"
    assert settings.tool_environment(env, kind="uv")["SSL_CERT_FILE"] == "/own.pem"


@pytest.mark.parametrize(
    ("variables", "config"),
    [
        ({"UV_INDEX": "https://uv.invalid/"}, ""),
        ({"UV_INDEX_URL": "https://uv.invalid/"}, ""),
        ({}, "index-url = 'https://uv.invalid/'"),
        ({}, "no-index = true"),
        ({}, "[[index]]\nurl = 'https://uv.invalid/'"),
        ({}, "[pip]\nextra-index-url = ['https://uv.invalid/']"),
    ],
)
def test_uv_does_not_follow_pip_where_it_was_told_itself(
    variables: dict[str, str], config: str, env: dict[str, str], tmp_path: Path
) -> None:
    write(tmp_path / "uv.toml", config)
    env |= {**variables, "PIP_INDEX_URL": "https://pip.invalid/simple"}
    made = settings.tool_environment(env, kind="uv", directory=tmp_path)
    assert "UV_DEFAULT_INDEX" not in made


def test_an_explicit_index_does_not_say_where_packages_come_from(
    env: dict[str, str], tmp_path: Path
) -> None:
    write(tmp_path / "uv.toml", "[[index]]\nname='t'\nurl='https://t.invalid/'\nexplicit=true")
    env["PIP_INDEX_URL"] = "https://pip.invalid/simple"
    assert settings.index_urls(env, kind="uv", directory=tmp_path) == (
        "https://pip.invalid/simple/",
    )


# -- index_urls -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["uv", "pip"])
def test_the_index_is_pypi_if_nobody_says_otherwise(
    kind: settings.Kind, env: dict[str, str], tmp_path: Path
) -> None:
    assert kind != "build"
    found = settings.index_urls(env, kind=kind, directory=tmp_path)
    assert found == ("https://pypi.org/simple/",)


def test_the_indexes_of_pip(env: dict[str, str]) -> None:
    env["PIP_EXTRA_INDEX_URL"] = "https://u:p@a.invalid/simple file:///opt/simple/"
    assert settings.index_urls(env, kind="pip") == (
        "https://pypi.org/simple/",
        "https://u:p@a.invalid/simple/",
        "file:///opt/simple/",
    )
    assert settings.index_urls({**env, "PIP_NO_INDEX": "1"}, kind="pip") == ()


def test_the_indexes_of_uv_in_its_order(env: dict[str, str], tmp_path: Path) -> None:
    write(
        tmp_path / "uv.toml",
        """
index-url = "https://old.invalid/simple"
extra-index-url = ["https://extra.invalid/simple"]
[[index]]
name = "a-b"
url = "https://ab.invalid/simple"
[[index]]
name = "taken"
url = "https://hidden.invalid/simple"
[[index]]
url = "https://default.invalid/simple"
default = true
[[index]]
name = "torch"
url = "https://torch.invalid/"
explicit = true
[[index]]
url = "flat"
format = "flat"
""",
    )
    env |= {
        "UV_INDEX": "taken=https://env.invalid/simple local",
        "UV_EXTRA_INDEX_URL": "https://more.invalid/simple",
        "UV_INDEX_A_B_USERNAME": "me@corp",
        "UV_INDEX_A_B_PASSWORD": "p/w",
    }
    assert settings.index_urls(env, kind="uv", directory=tmp_path) == (
        "https://env.invalid/simple/",
        Path("local").absolute().as_uri() + "/",
        "https://more.invalid/simple/",
        "https://me%40corp:p%2Fw@ab.invalid/simple/",
        "https://extra.invalid/simple/",
        "https://default.invalid/simple/",
    )
    first = settings.index_urls(
        {**env, "UV_INDEX_URL": "https://said.invalid"}, kind="uv", directory=tmp_path
    )
    assert first[-1] == "https://said.invalid/"
    write(tmp_path / "uv.toml", "no-index = true")
    assert settings.index_urls(env, kind="uv", directory=tmp_path) == ()


# -- test_environment -----------------------------------------------------------------


def changes(env: dict[str, str], **options: object) -> dict[str, str | None]:
    given_options = {"pass_env": None, "declared": {}, "env_file": {}, **options}
    return settings.test_environment(env, **given_options)  # type: ignore[arg-type]


LEAKS = [
    "CONDA_PREFIX",
    "NOX_ENVS_INSTALLER",
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
]


def test_tests_get_what_nox_gives_less_what_leaks() -> None:
    kept = {"DATABASE_URL": "x", "PIP_INDEX_URL": "y", "PYTHONWARNINGS": "error"}
    assert changes({**kept, **dict.fromkeys(LEAKS, "z")}) == dict.fromkeys(LEAKS)


def test_what_nox_sets_is_not_touched() -> None:
    env = dict.fromkeys(["VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT", "UV_PYTHON"], "/other")
    assert changes(env) == {}
    assert changes(env, pass_env=[]) == {}


def test_pass_env_makes_an_allowlist() -> None:
    kept = ["CI", "HOME", "LANG", "LC_ALL", "MY_A", "PATH", "SYSTEMROOT", "TERM", "TMPDIR", "TZ"]
    env = dict.fromkeys([*kept, "OTHER", "PYTHONPATH", "my_a"], "x")
    gone: dict[str, None] = dict.fromkeys(["OTHER", "PYTHONPATH", "my_a"])
    assert changes(env, pass_env=["MY_*"]) == gone
    assert changes({"PYTHONPATH": "x", "A": "y"}, pass_env=["*"]) == {"PYTHONPATH": None}
    assert changes({"PYTHONPATH": "x"}, pass_env=["PYTHONPATH"]) == {}
    assert changes({"My_A": "x", "Path": "y", "B": "z"}, pass_env=["my_*"], platform="win32") == {
        "B": None
    }


def test_what_is_declared_wins_over_all() -> None:
    env = {"PYTHONPATH": "leak", "A": "shell"}
    found = changes(
        env,
        declared={"A": "declared", "PYTHONPATH": "src"},
        env_file={"A": "file", "B": "file"},
        pass_env=[],
    )
    assert found == {"PYTHONPATH": "src", "A": "declared", "B": "file"}


# -- read_env_file --------------------------------------------------------------------


def test_an_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_SHELL", "shell")
    path = write(
        tmp_path / ".env",
        "\ufeff# comment\nexport A=1\nB='two words'\nC=${A}-${FROM_SHELL}-${NONE:-default}\nD=\n",
    )
    before = dict(os.environ)
    assert settings.read_env_file(path) == {
        "A": "1",
        "B": "two words",
        "C": "1-shell-default",
        "D": "",
    }
    assert dict(os.environ) == before


def test_an_env_file_with_mistakes(tmp_path: Path) -> None:
    path = write(tmp_path / ".env", "A=1\n\n# c\nB\nC=3\n\nD='x\nE\n")
    with pytest.raises(DeclarationError) as caught:
        settings.read_env_file(path)
    assert [(mistake.address, mistake.problem) for mistake in caught.value.mistakes] == [
        (f"{path}:4", "B has no value"),
        (f"{path}:7", "is not of the form NAME=value"),
        (f"{path}:8", "E has no value"),
    ]


def test_an_env_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileMissing):
        settings.read_env_file(tmp_path / ".env")
    (tmp_path / ".env").write_bytes(b"A=\xff")
    with pytest.raises(DeclarationError, match="cannot be read"):
        settings.read_env_file(tmp_path / ".env")


# -- redact ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("get https://user:pass@host/simple", "get https://host/simple"),
        ("https://token@host, https://a:b@c", "https://host, https://c"),
        ("https://user:p@ss@host/", "https://host/"),
        ("https://host/path?mail=a@b", "https://host/path?mail=a@b"),
        ("git+ssh://git@github.com/x", "git+ssh://git@github.com/x"),
        ('{"a":"https://a","b":"c@d"}', '{"a":"https://a","b":"c@d"}'),
        ("mail a@b.c", "mail a@b.c"),
    ],
)
def test_urls_lose_their_credentials(text: str, expected: str) -> None:
    assert settings.redact(text, {}) == expected


def test_a_secret_is_masked_in_every_coding() -> None:
    env = {
        "PIP_INDEX_URL": "https://me:s%40cr%2Ft@host/simple",
        "UV_INDEX_CORP_USERNAME": "joe",
        "UV_INDEX_CORP_PASSWORD": "hunter2!",
        "HTTPS_PROXY": "http://proxy:pr0xy@host",
        "DATABASE_URL": "postgres://postgres:postgres@localhost",
    }
    pair = base64.b64encode(b"me:s@cr/t").decode()
    other = base64.b64encode(b"joe:hunter2!").decode()
    text = f"s@cr/t s%40cr%2ft s%40cr/t {pair} {other} {other.rstrip('=')} hunter2%21 pr0xy postgres me"
    masked = "**** **** **** **** **** **** **** **** postgres me"
    assert settings.redact(text, env) == masked
    assert settings.redact("a t0k", {}, urls=["https://u:t0k@h/"]) == "a ****"
    assert settings.redact("longtoken12345678", {"UV_INDEX": "a=https://longtoken12345678@h"}) == (
        "****"
    )


SECRETS = st.text(min_size=1, max_size=12).filter(lambda text: text.strip("*"))


@given(secret=SECRETS, other=SECRETS, user=st.text(max_size=5), around=st.text(max_size=8))
def test_no_secret_stands_in_what_was_redacted(
    secret: str, other: str, user: str, around: str
) -> None:
    env = {
        "UV_INDEX_A_USERNAME": user,
        "UV_INDEX_A_PASSWORD": secret,
        "UV_PUBLISH_TOKEN": other,
        "PIP_INDEX_URL": f"https://{quote(user, safe='')}:{quote(other, safe='')}@host/simple",
    }
    pair = base64.b64encode(f"{user}:{secret}".encode()).decode()
    text = f"{around}{secret}{around}{other}{quote(secret, safe='')}://{user}:{secret}@{around}"
    redacted = settings.redact(f"{text} {pair} {secret[:1]}{other}{secret[1:]}", env)
    assert secret not in redacted
    assert other not in redacted
    assert quote(secret, safe="") not in redacted
    assert pair not in redacted


# -- this run -------------------------------------------------------------------------


def tool(directory: Path, name: str) -> Path:
    path = write(directory / name, "#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.mark.skipif(os.name == "nt", reason="an executable is one by its name there")
def test_uv_is_found_as_nox_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path, named = tool(tmp_path / "bin", "uv"), tool(tmp_path, "my-uv")
    env = {"PATH": str(tmp_path / "bin")}
    monkeypatch.setattr(settings, "_uv_of_package", lambda: "/package/uv")
    assert settings.find_uv(env) == "/package/uv"
    assert settings.find_uv({**env, "UV": str(named)}) == str(named)
    assert settings.find_uv({**env, "NOX_ENVS_INSTALLER": "pip"}) is None
    monkeypatch.setattr(settings, "_uv_of_package", lambda: None)
    assert settings.find_uv(env) == str(on_path)
    assert settings.find_uv({"PATH": ""}) is None
    with pytest.raises(NeedsUv):
        settings.find_uv({"PATH": "", "NOX_ENVS_INSTALLER": "uv"})
    with pytest.raises(DeclarationError, match="NOX_ENVS_INSTALLER: is 'conda'"):
        settings.find_uv({**env, "NOX_ENVS_INSTALLER": "conda"})


def test_a_run_has_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOX_ENVS_RUN_ID", raising=False)
    name, minted = settings.run_id()
    assert minted
    assert os.environ["NOX_ENVS_RUN_ID"] == name
    assert settings.run_id() == (name, False)
    assert os.environ["NOX_ENVS_RUN_ID"] == name


@pytest.mark.parametrize("value", ["", "../../x", "a b", "x" * 65])
def test_a_name_that_is_no_name_is_replaced(value: str) -> None:
    env = {"NOX_ENVS_RUN_ID": value}
    name, minted = settings.run_id(env)
    assert minted
    assert env == {"NOX_ENVS_RUN_ID": name}
    assert name.isalnum()


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ("-s test", False),
        ("-db uv", True),
        ("-db=uv", True),
        ("--default-venv-backend uv", True),
        ("--default-venv-backend=uv", True),
        ("-fb venv", True),
        ("-fb=venv", True),
        ("--force-venv-backend=none", True),
        ("--no-venv", True),
        ("-s test -- -db uv", False),
        ("-f noxfile.py", False),
    ],
)
def test_the_backend_that_the_user_chose(words: str, *, chosen: bool) -> None:
    assert settings.backend_chosen({}, words.split()) is chosen
    assert settings.backend_chosen({"NOX_DEFAULT_VENV_BACKEND": "uv"}, words.split())


def test_the_names_are_noxs() -> None:
    options = pytest.importorskip("nox._options")
    source = Path(options.__file__).read_text(encoding="utf-8")
    for name in ("-db", "--default-venv-backend", "-fb", "--force-venv-backend", "--no-venv"):
        assert f'"{name}"' in source
    assert "NOX_DEFAULT_VENV_BACKEND" in source
    assert "NOX_FORCE_VENV_BACKEND" not in source


@pytest.mark.parametrize(
    ("variables", "kind", "unheard"),
    [
        ({"PIP_EXTRA_INDEX_URL": "https://u:p@one/simple"}, "uv", ("https://one/simple/",)),
        ({"PIP_EXTRA_INDEX_URL": "https://one/simple"}, "pip", ()),
        ({"UV_INDEX": "https://one/simple"}, "pip", ("https://one/simple/",)),
        ({"PIP_EXTRA_INDEX_URL": "file:///one/simple"}, "uv", ()),
        ({"PIP_INDEX_URL": "https://one/simple"}, "uv", ()),
        ({}, "uv", ()),
    ],
)
def test_an_index_that_only_the_other_tool_knows(
    env: dict[str, str],
    tmp_path: Path,
    variables: dict[str, str],
    kind: Literal["uv", "pip"],
    unheard: tuple[str, ...],
) -> None:
    found = settings.unheard_indexes(env | variables, kind=kind, directory=tmp_path)
    assert found == unheard
