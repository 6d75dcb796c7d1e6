"""The names of the environment variables that are let through, and of those that are not."""

from __future__ import annotations

import os
import re

__all__ = [
    "ALWAYS",
    "ESSENTIAL",
    "ESSENTIAL_PREFIXES",
    "LEAKS",
    "NOXS",
    "PIP_ALIASES",
    "PIP_NAMES",
    "PROXIES",
    "TOOL_NAMES",
    "TOOL_PREFIXES",
    "UV_CREDENTIAL",
    "UV_INDEXES",
    "UV_NAMES",
]


def __dir__() -> list[str]:
    return __all__


WINDOWS = frozenset(
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

PERSON = frozenset(
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

PROXIES = frozenset({"ALL_PROXY", "FTP_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"})

REACHING = frozenset(
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

COMPILING = frozenset(
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

TOOL_NAMES = WINDOWS | PERSON | PROXIES | REACHING | COMPILING
TOOL_PREFIXES = (
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

PIP_NAMES = frozenset(
    {
        "PIP_CACHE_DIR",
        "PIP_CERT",
        "PIP_CLIENT_CERT",
        "PIP_EXTRA_INDEX_URL",
        "PIP_FIND_LINKS",
        "PIP_INDEX_URL",
        "PIP_KEYRING_PROVIDER",
        "PIP_NO_CACHE_DIR",
        "PIP_NO_INDEX",
        "PIP_PROXY",
        "PIP_RESUME_RETRIES",
        "PIP_RETRIES",
        "PIP_TIMEOUT",
        "PIP_TRUSTED_HOST",
    }
)

PIP_ALIASES = {"PIP_DEFAULT_TIMEOUT": "PIP_TIMEOUT", "PIP_PYPI_URL": "PIP_INDEX_URL"}
"""Other names for the same, of which we pass on the usual one."""

UV_INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")

UV_NAMES = frozenset(
    {
        *UV_INDEXES,
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

UV_CREDENTIAL = re.compile(r"UV_INDEX_\w+_(?:USERNAME|PASSWORD)")

ALWAYS = {
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

LEAKS = frozenset(
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

NOXS = frozenset({"NOX_CURRENT_SESSION", "UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "VIRTUAL_ENV"})
"""What nox itself sets for a session: not ours to change."""

NOX_CHOICES = frozenset(
    {"NOXEXTRAPYTHON", "NOXFORCEPYTHON", "NOXPYTHON", "NOXSESSION", "NOX_PARALLEL"}
)
"""By which nox chooses what to run."""

ESSENTIAL = PERSON | WINDOWS | {"CI", "SHELL", "TERM", "TZ"}
ESSENTIAL_PREFIXES = ("DYLD_", "LC_")
