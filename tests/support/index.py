"""A package index on the loopback: PEP 503, 691, 592, 658, 700 and 714, and faults on demand."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import json
import os
import socket
import socketserver
import tarfile
import tempfile
import threading
import zipfile
from dataclasses import dataclass, field
from email import message_from_bytes
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args
from urllib.parse import quote, unquote, urlsplit

from packaging.utils import (
    NormalizedName,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import Version

from support.wheels import build_sdist, build_wheel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["Form", "Index", "Mode", "Where", "tool_environment"]

Form: TypeAlias = Literal["json", "html", "both"]
Mode: TypeAlias = Literal[
    "500",
    "404",
    "401",
    "403",
    "429",
    "slow",
    "badjson",
    "html200",
    "badhash",
    "nohash",
    "truncated",
]
Where: TypeAlias = Literal["pages", "files", "all"]

_JSON = "application/vnd.pypi.simple.v1+json"
_LOGIN = b"<!DOCTYPE html><title>Sign in</title><form>Welcome to Airport Wi-Fi</form>\n"
_PAGES_ONLY = ("badjson", "badhash", "nohash")
_SLOWEST = 30


class Index:
    """Serves the wheels and sdists of a directory of its own, as long as the `with` block runs.

    `form` says what project pages look like; "both" lets the `Accept` header choose. With
    `credentials` each request must carry them as Basic authentication.

    Files may also be put into, or removed from, `files` by hand: nothing is remembered.
    """

    files: Path
    """The directory that is served."""
    requests: list[tuple[str, dict[str, str]]]
    """Path and headers (names in lower case) of each request so far."""
    fired: list[tuple[str, Mode]]
    """Path and mode of each fault that a client has met."""

    def __init__(
        self,
        directory: Path,
        *,
        form: Form = "both",
        credentials: tuple[str, str] | None = None,
    ) -> None:
        self.files = Path(tempfile.mkdtemp(prefix="index-", dir=directory))
        self.requests = []
        self.fired = []
        self._form = form
        self._credentials = credentials
        self._yanked: dict[tuple[NormalizedName, Version], str] = {}
        self._times: dict[tuple[NormalizedName, Version], str] = {}
        self._faults: dict[NormalizedName | None, _Fault] = {}
        self._server: _Server | None = None

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.heal()
        assert self._server is not None
        self._server.stop()

    @property
    def url(self) -> str:
        """The address for `--index-url`; it ends in `/simple/`."""
        return f"http://{self._host}/simple/"

    @property
    def url_with_credentials(self) -> str:
        """The same address, with user and secret in it."""
        assert self._credentials is not None
        return f"http://{':'.join(self._credentials)}@{self._host}/simple/"

    @property
    def _host(self) -> str:
        assert self._server is not None, "the index serves inside its `with` block"
        return f"127.0.0.1:{self._server.server_address[1]}"

    def wheel(
        self,
        name: str,
        version: str,
        *,
        requires: Sequence[str] = (),
        requires_python: str = "",
        extras: Mapping[str, Sequence[str]] = {},
        modules: Mapping[str, str] | None = None,
        entry_points: Mapping[str, str] = {},
        tag: str = "py3-none-any",
    ) -> Path:
        """Publish a wheel; the arguments are those of `build_wheel`."""
        return build_wheel(
            self.files,
            name,
            version,
            requires=requires,
            requires_python=requires_python,
            extras=extras,
            modules=modules,
            entry_points=entry_points,
            tag=tag,
        )

    def sdist(
        self,
        name: str,
        version: str,
        *,
        requires: Sequence[str] = (),
        requires_python: str = "",
        breaks: bool = False,
        marker: Path | None = None,
    ) -> Path:
        """Publish an sdist; the arguments are those of `build_sdist`."""
        return build_sdist(
            self.files,
            name,
            version,
            requires=requires,
            requires_python=requires_python,
            breaks=breaks,
            marker=marker,
        )

    def yank(self, name: str, version: str, reason: str = "") -> None:
        """Yank all files of a release."""
        self._yanked[canonicalize_name(name), Version(version)] = reason

    def upload_time(self, name: str, version: str, iso: str) -> None:
        """Say when the files of a release were uploaded; only JSON can tell. Default: no word."""
        self._times[canonicalize_name(name), Version(version)] = iso

    def fail(self, name: str | None, mode: Mode, *, where: Where = "all") -> None:
        """Break the answers about one project, or about all without a fault of their own.

        `where` narrows a fault to project pages, or to downloads (files and their metadata).
        "badjson", "badhash" and "nohash" are faults of pages by nature, "truncated" of downloads.
        """
        assert mode in get_args(Mode), mode
        if mode in _PAGES_ONLY:
            where = "pages"
        elif mode == "truncated":
            where = "files"
        key = None if name is None else canonicalize_name(name)
        self._faults[key] = _Fault(mode=mode, where=where)

    def heal(self) -> None:
        """Take all faults back, and let go of the clients that a slow answer holds."""
        faults, self._faults = self._faults, {}
        for fault in faults.values():
            fault.is_over.set()

    def hits(self, substring: str) -> int:
        """Count the requests so far whose path contains `substring`."""
        return sum(substring in path for path, _ in self.requests)

    def _answer(self, target: str, headers: dict[str, str]) -> _Answer | None:
        """Answer a request; `None` drops the connection."""
        self.requests.append((target, headers))
        if not self._admits(headers.get("authorization", "")):
            return _status(HTTPStatus.UNAUTHORIZED)
        path = urlsplit(target).path
        segments = [unquote(part) for part in path.strip("/").split("/")]
        # The redirect makes relative links right, as it does on the real index.
        match segments:
            case ["simple"] | ["simple", _] if not path.endswith("/"):
                return _redirect(f"{path}/")
            case ["simple"]:
                return self._page(target, None, headers.get("accept", ""))
            case ["simple", name] if name != canonicalize_name(name):
                return _redirect(f"/simple/{canonicalize_name(name)}/")
            case ["simple", name]:
                return self._page(target, canonicalize_name(name), headers.get("accept", ""))
            case ["files", filename]:
                return self._download(target, filename)
            case _:
                return _status(HTTPStatus.NOT_FOUND)

    def _admits(self, authorization: str) -> bool:
        if self._credentials is None:
            return True
        token = base64.b64encode(":".join(self._credentials).encode()).decode()
        return authorization == f"Basic {token}"

    def _fault(self, target: str, name: NormalizedName | None, place: Where) -> _Fault | None:
        fault = self._faults.get(name) or self._faults.get(None)
        if fault is None or fault.where not in {place, "all"}:
            return None
        self.fired.append((target, fault.mode))
        return fault

    def _page(self, target: str, name: NormalizedName | None, accept: str) -> _Answer | None:
        fault = self._fault(target, name, "pages")
        if fault and fault.mode == "badjson":
            return _Answer(b'{"meta": {"api-version": "1.1"}, "files": [', _JSON)
        if fault and fault.mode not in _PAGES_ONLY:
            return fault.answer()
        published = self._published()
        prefers_json = self._form == "json" or (self._form == "both" and _prefers_json(accept))
        if name is None:
            names = sorted({each.name for each in published})
            return _json_root(names) if prefers_json else _html_root(names)
        files = [each for each in published if each.name == name]
        if not files:
            return _status(HTTPStatus.NOT_FOUND)
        advertised = [self._advertise(each, fault.mode if fault else None) for each in files]
        if prefers_json:
            return self._json_page(name, files, advertised)
        return _html_page(name, advertised)

    def _advertise(self, file: _File, mode: Mode | None) -> _Link:
        content = file.path.read_bytes()
        metadata = file.metadata()
        digest = hashlib.sha256(content).hexdigest()
        if mode == "badhash":
            digest = hashlib.sha256(digest.encode()).hexdigest()
        return _Link(
            filename=file.path.name,
            size=len(content),
            sha256=None if mode == "nohash" else digest,
            requires_python=message_from_bytes(metadata)["Requires-Python"],
            metadata_sha256=hashlib.sha256(metadata).hexdigest() if file.is_wheel else None,
            yanked=self._yanked.get((file.name, file.version)),
            upload_time=self._times.get((file.name, file.version)),
        )

    def _json_page(
        self, name: NormalizedName, files: Sequence[_File], links: Sequence[_Link]
    ) -> _Answer:
        # Absolute here and relative in HTML: both are allowed, so clients should meet both.
        page = {
            "meta": {"api-version": "1.1"},
            "name": name,
            "versions": [str(each) for each in sorted({file.version for file in files})],
            "files": [link.to_dict(f"http://{self._host}/files/") for link in links],
        }
        return _Answer(json.dumps(page, indent=1).encode(), _JSON)

    def _download(self, target: str, filename: str) -> _Answer | None:
        is_metadata = filename.endswith(".metadata")
        wanted = filename.removesuffix(".metadata")
        file = next((each for each in self._published() if each.path.name == wanted), None)
        if file is None or (is_metadata and not file.is_wheel):
            return _status(HTTPStatus.NOT_FOUND)
        content = file.metadata() if is_metadata else file.path.read_bytes()
        # As the real index does: files never change, so clients need not ask again.
        forever = {"Cache-Control": "max-age=365000000, immutable"}
        fault = self._fault(target, file.name, "files")
        if fault and fault.mode == "truncated":
            half = content[: len(content) // 2]
            return _Answer(half, "application/octet-stream", length=len(content))
        if fault:
            return fault.answer()
        return _Answer(content, "application/octet-stream", headers=forever)

    def _published(self) -> list[_File]:
        return [_File.parse(path) for path in sorted(self.files.iterdir())]


def tool_environment(cache: Path) -> dict[str, str]:
    """Return an environment in which pip and uv see nothing of the machine's configuration.

    No settings, no proxies, no `.netrc`, no retries, and a uv cache inside `cache`.
    """
    foreign = ("PIP_", "UV_", "PYTHON", "VIRTUAL_ENV", "CONDA_")
    clean = {
        key: value
        for key, value in os.environ.items()
        if not key.upper().startswith(foreign) and not key.upper().endswith("_PROXY")
    }
    return clean | {
        "NETRC": os.devnull,
        "NO_PROXY": "127.0.0.1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_NO_INPUT": "1",
        "PIP_RETRIES": "0",
        "UV_CACHE_DIR": str(cache / "uv"),
        "UV_HTTP_RETRIES": "0",
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    path: Path
    name: NormalizedName
    version: Version
    is_wheel: bool

    @classmethod
    def parse(cls, path: Path) -> _File:
        is_wheel = path.suffix == ".whl"
        parsed = parse_wheel_filename(path.name) if is_wheel else parse_sdist_filename(path.name)
        return cls(path=path, name=parsed[0], version=parsed[1], is_wheel=is_wheel)

    def metadata(self) -> bytes:
        """Return METADATA or PKG-INFO."""
        if self.is_wheel:
            with zipfile.ZipFile(self.path) as wheel:
                wanted = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
                return wheel.read(next(wanted))
        with tarfile.open(self.path) as sdist:
            wanted = (name for name in sdist.getnames() if name.count("/") == 1)
            member = sdist.extractfile(next(name for name in wanted if name.endswith("/PKG-INFO")))
            assert member is not None
            with member:
                return member.read()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Link:
    """What a project page says of one file."""

    filename: str
    size: int
    sha256: str | None
    requires_python: str | None
    metadata_sha256: str | None
    """`None` for files whose metadata is not served."""
    yanked: str | None
    """The reason, which may be empty; `None` for files that are not yanked."""
    upload_time: str | None

    def to_dict(self, base: str) -> dict[str, Any]:
        told: dict[str, Any] = {
            "filename": self.filename,
            "url": base + quote(self.filename),
            "size": self.size,
            "hashes": {"sha256": self.sha256} if self.sha256 else {},
            "yanked": self.yanked is not None and (self.yanked or True),
        }
        if self.requires_python:
            told["requires-python"] = self.requires_python
        if self.metadata_sha256:
            told["core-metadata"] = {"sha256": self.metadata_sha256}
        if self.upload_time:
            told["upload-time"] = self.upload_time
        return told

    def to_html(self, base: str) -> str:
        fragment = f"#sha256={self.sha256}" if self.sha256 else ""
        attributes = {"href": base + quote(self.filename) + fragment}
        if self.requires_python:
            attributes["data-requires-python"] = self.requires_python
        if self.metadata_sha256:
            attributes["data-core-metadata"] = f"sha256={self.metadata_sha256}"
        if self.yanked is not None:
            attributes["data-yanked"] = self.yanked
        written = " ".join(f'{key}="{html.escape(value)}"' for key, value in attributes.items())
        return f"<a {written}>{html.escape(self.filename)}</a><br>\n"


@dataclass(frozen=True, slots=True)
class _Answer:
    body: bytes
    media_type: str = "text/html; charset=utf-8"
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    """The length to claim, where it is not that of the body."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fault:
    mode: Mode
    where: Where
    is_over: threading.Event = field(default_factory=threading.Event)

    def answer(self) -> _Answer | None:
        """Return the answer of the faults that do not depend on what was asked."""
        if self.mode == "slow":
            self.is_over.wait(_SLOWEST)
            return None
        if self.mode == "html200":
            return _Answer(_LOGIN)
        return _status(HTTPStatus(int(self.mode)))


def _status(status: HTTPStatus) -> _Answer:
    headers = {
        HTTPStatus.UNAUTHORIZED: {"WWW-Authenticate": 'Basic realm="index"'},
        HTTPStatus.TOO_MANY_REQUESTS: {"Retry-After": "1"},
    }.get(status, {})
    return _Answer(f"{status.value} {status.phrase}\n".encode(), "text/plain", status, headers)


def _redirect(to: str) -> _Answer:
    return _Answer(b"", status=HTTPStatus.MOVED_PERMANENTLY, headers={"Location": to})


def _json_root(names: Sequence[str]) -> _Answer:
    root = {"meta": {"api-version": "1.1"}, "projects": [{"name": name} for name in names]}
    return _Answer(json.dumps(root, indent=1).encode(), _JSON)


def _html_root(names: Sequence[str]) -> _Answer:
    return _html("Simple index", "".join(f'<a href="{each}/">{each}</a><br>\n' for each in names))


def _html_page(name: str, links: Sequence[_Link]) -> _Answer:
    return _html(f"Links for {name}", "".join(link.to_html("../../files/") for link in links))


def _html(title: str, body: str) -> _Answer:
    version = '<meta name="pypi:repository-version" content="1.0">'
    head = f"<!DOCTYPE html>\n<html><head>{version}<title>{title}</title></head>\n"
    return _Answer(f"{head}<body>\n{body}</body></html>\n".encode())


def _prefers_json(accept: str) -> bool:
    """Tell whether a client likes JSON at least as well as any HTML."""
    liking = {"json": 0.0, "html": 0.0}
    for entry in accept.lower().split(","):
        media_type, *parameters = (part.strip() for part in entry.split(";"))
        quality = next((float(each[2:]) for each in parameters if each.startswith("q=")), 1.0)
        for form, weight in liking.items():
            if media_type.endswith(form):
                liking[form] = max(weight, quality)
    return liking["json"] > 0 and liking["json"] >= liking["html"]


class _Server(HTTPServer):
    """Answers each connection in a daemon thread, and outlives none of them."""

    # uv opens up to fifty connections at once.
    request_queue_size = 128

    def __init__(self, index: Index) -> None:
        self.index = index
        self._answering: list[tuple[socket.socket, threading.Thread]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    def server_bind(self) -> None:
        # HTTPServer would ask the name service who 127.0.0.1 is, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def start(self) -> None:
        self._accepting = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._accepting.start()

    def stop(self) -> None:
        """Return when no socket is open and no thread runs."""
        self.shutdown()
        self._accepting.join()
        self.server_close()
        for connection, _ in self._answering:
            # It may be closed already, from either side.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for _, thread in self._answering:
            thread.join()

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(target=self._run, args=(request, client_address), daemon=True)
        thread.start()
        # Only the accepting thread comes here, and `stop` ends it before it looks.
        self._answering = [each for each in self._answering if each[1].is_alive()]
        self._answering.append((request, thread))

    def _run(self, connection: socket.socket, client_address: Any) -> None:
        try:
            # Clients that are killed, or that have read enough, hang up.
            with contextlib.suppress(ConnectionError):
                self.finish_request(connection, client_address)
        finally:
            self.shutdown_request(connection)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, _Server)
        headers = {key.lower(): value for key, value in self.headers.items()}
        answer = self.server.index._answer(self.path, headers)
        if answer is None:
            return
        self.send_response(answer.status)
        length = len(answer.body) if answer.length is None else answer.length
        told = {"Content-Type": answer.media_type, "Content-Length": str(length)}
        for key, value in (told | {"Cache-Control": "no-cache"} | dict(answer.headers)).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    do_HEAD = do_GET  # noqa: N815 - the name is the standard library's.

    def log_message(self, *_args: object) -> None:
        """Stay silent; `Index.requests` is the log."""
