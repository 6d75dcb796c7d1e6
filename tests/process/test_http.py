"""The door to the network, against a server on the loopback that can go wrong."""

from __future__ import annotations

import base64
import gc
import gzip
import socket
import struct
import threading
import time
import warnings
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from nox_envs import _http

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.process


class Server(ThreadingHTTPServer):
    """Notes which fault has fired, and which credentials it was given."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.fired: Counter[str] = Counter()
        self.credentials: list[str | None] = []
        self.headers: dict[str, str] = {}
        self.stopped = threading.Event()
        self.other = ""

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing when a client has gone."""


class Handler(BaseHTTPRequestHandler):
    server: Server  # type: ignore[mutable-override] # It is made by a Server only.

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def do_GET(self) -> None:
        path = self.path.partition("://")[2].partition("/")[2] or self.path.strip("/")
        what = path.partition("/")[0].partition("?")[0]
        self.server.fired[what] += 1
        self.server.headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.credentials.append(self.headers["Authorization"])
        getattr(self, f"do_{what}")()

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_fine(self) -> None:
        self.answer(200, b"fine", Content_Type="text/plain")

    def do_e500(self) -> None:
        self.answer(500, b"sorry")

    def do_zipped(self) -> None:
        self.answer(200, gzip.compress(b"fine" * 1000), Content_Encoding="gzip")

    def do_bomb(self) -> None:
        packed = gzip.compress(bytes(_http.MAX_BYTES + 1))
        self.answer(200, packed, Content_Encoding="gzip")

    def do_torn(self) -> None:
        self.answer(200, gzip.compress(b"fine" * 1000)[:-9], Content_Encoding="gzip")

    def do_slow(self) -> None:
        self.server.stopped.wait(30)

    def do_drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        while not self.server.stopped.wait(0.05):
            self.wfile.write(b".")
            self.wfile.flush()

    def do_dripping_headers(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not self.server.stopped.wait(0.05):
            self.wfile.write(b".")
            self.wfile.flush()

    def do_reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.rfile.close()
        self.wfile.close()
        self.connection.close()

    def do_gone(self) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)

    def do_short(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100")
        self.end_headers()
        self.wfile.write(b"short")

    def do_garbage(self) -> None:
        self.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")

    def do_loop(self) -> None:
        self.answer(302, Location=f"/loop/{time.monotonic_ns()}")

    def do_here(self) -> None:
        self.answer(301, Location="fine")

    def do_elsewhere(self) -> None:
        self.answer(302, Location=f"{self.server.other}/fine")

    def do_file(self) -> None:
        self.answer(302, Location="file:///etc/passwd")

    def do_large(self) -> None:
        self.send_response(200)
        self.end_headers()
        chunk = bytes(1024 * 1024)
        for _ in range(_http.MAX_BYTES // len(chunk) + 2):
            self.wfile.write(chunk)

    def do_proxy(self) -> None:
        self.answer(407)


@pytest.fixture
def server() -> Iterator[Server]:
    yield from serving()


@pytest.fixture
def other() -> Iterator[Server]:
    yield from serving()


def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()


def get(url: str, timeout: float = 10, env: Mapping[str, str] | None = None) -> _http.Answer:
    return _http.get(url, timeout=timeout, env=env or {})


def fault(url: str, timeout: float = 10, env: Mapping[str, str] | None = None) -> str:
    with pytest.raises(_http.TransportError) as caught:
        get(url, timeout, env)
    assert str(caught.value) == caught.value.reason
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value.reason


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


def test_an_answer_of_any_status_is_an_answer(server: Server) -> None:
    answer = _http.get(f"{server.url}/fine", timeout=10, env={}, headers={"Accept": "text/x"})
    assert (answer.status, answer.body) == (200, b"fine")
    assert answer.headers["content-type"] == "text/plain"
    assert server.headers["accept"] == "text/x"
    assert server.headers["host"] == server.host
    assert get(f"{server.url}/e500").status == 500
    assert server.fired == {"fine": 1, "e500": 1}


def test_a_packed_answer_is_unpacked(server: Server) -> None:
    assert get(f"{server.url}/zipped").body == b"fine" * 1000
    assert server.headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("slow", "timed out"),
        ("drip", "timed out"),
        ("dripping_headers", "timed out"),
        ("reset", "connection reset"),
        ("gone", "connection reset"),
        ("short", "the answer ended early"),
        ("torn", "the answer ended early"),
        ("garbage", "not an answer of HTTP"),
        ("loop", "too many redirects"),
        ("file", "not an http or https URL"),
        ("large", "the answer is larger than 64 MiB"),
        ("bomb", "the answer is larger than 64 MiB"),
    ],
)
def test_a_fault_has_a_reason(server: Server, what: str, reason: str) -> None:
    started = time.monotonic()
    timeout = 0.5 if reason == "timed out" else 30
    assert fault(f"http://me:hunter2@{server.host}/{what}", timeout) == reason
    assert server.fired[what] == (11 if what == "loop" else 1)
    if reason == "timed out":
        assert time.monotonic() - started < 5, "the deadline is for everything together"


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        assert fault(f"http://127.0.0.1:{port}/") == "connection refused"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://me:hunter2@name.invalid/", "no such host"),
        ("file:///etc/passwd", "not an http or https URL"),
        ("https://example.org:port/", "not a URL"),
        ("http://[::1/", "not a URL"),
        ("simple", "not an http or https URL"),
        (f"http://{'x' * 70}.example.org/", "no such host"),
    ],
)
def test_an_address_that_leads_nowhere(url: str, reason: str) -> None:
    assert fault(url) == reason


def test_tls_is_verified(server: Server, tmp_path: Path) -> None:
    assert fault(f"https://{server.host}/fine").startswith("TLS: ")
    missing = str(tmp_path / "ca.pem")
    for name in ("SSL_CERT_FILE", "PIP_CERT"):
        assert fault(f"https://{server.host}/", env={name: missing}) == f"TLS: {name} names no file"
    (tmp_path / "ca.pem").write_text("nonsense", encoding="utf-8")
    assert fault(f"https://{server.host}/", env={"SSL_CERT_FILE": missing}).startswith(
        "TLS: no certificate"
    )
    assert not server.fired


def test_credentials_of_the_url_are_sent_and_stay_on_their_host(
    server: Server, other: Server
) -> None:
    server.other = other.url
    assert get(f"http://me:p%40ss@{server.host}/here").body == b"fine"
    assert server.credentials == [basic("me:p@ss")] * 2
    assert get(f"http://me:hunter2@{server.host}/elsewhere").body == b"fine"
    assert server.fired["elsewhere"] == 1
    assert other.credentials == [None]


def test_credentials_of_netrc(server: Server, other: Server, tmp_path: Path) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n", encoding="utf-8")
    netrc.chmod(0o600)
    get(f"{server.url}/fine", env={"HOME": str(tmp_path)})
    get(f"{server.url}/fine", env={"NETRC": str(netrc)})
    get(f"http://you:too@{server.host}/fine", env={"HOME": str(tmp_path)})
    assert server.credentials == [basic("me:secret"), basic("me:secret"), basic("you:too")]
    netrc.write_text("machine", encoding="utf-8")
    get(f"{other.url}/fine", env={"HOME": str(tmp_path)})
    assert other.credentials == [None]


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_a_proxy_is_asked(server: Server, name: str) -> None:
    proxy = {name: f"http://me:secret@{server.host}"}
    assert get("http://name.invalid/fine", env=proxy).body == b"fine"
    assert server.headers["host"] == "name.invalid"
    assert server.headers["proxy-authorization"] == basic("me:secret")
    assert server.credentials == [None]
    assert fault("http://name.invalid/proxy", env=proxy) == "proxy: HTTP 407"
    with warnings.catch_warnings():
        # http.client of Python 3.10 forgets the answer of a proxy that refuses.
        warnings.simplefilter("ignore", ResourceWarning)
        env = {"https_proxy": server.url}
        assert fault("https://name.invalid/", env=env).startswith("proxy: tunnel")
        gc.collect()


@pytest.mark.parametrize(
    "no_proxy", ["127.0.0.1", "*", "x.org, 127.0.0.1", "127.0.0.0/8", "127.0.0.1:{port}"]
)
def test_a_proxy_is_not_asked(server: Server, no_proxy: str) -> None:
    named = no_proxy.format(port=server.server_port)
    proxy = "http://name.invalid:1"
    assert get(f"{server.url}/fine", env={"http_proxy": proxy, "NO_PROXY": named}).body == b"fine"
    for others in ("example.org", "127.0.0.1:1", "27.0.0.1", "10.0.0.0/8", ""):
        assert (
            fault(f"{server.url}/fine", env={"http_proxy": proxy, "no_proxy": others})
            == "no such host"
        )


def test_a_proxy_of_another_kind_is_not_passed_by(server: Server) -> None:
    reason = fault(f"{server.url}/fine", env={"all_proxy": "socks5://me:secret@example.org"})
    assert reason == "proxy: no way to use a socks5 proxy"
    assert not server.fired


def test_nothing_is_read_from_the_environment_of_this_process(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://name.invalid:1")
    assert get(f"{server.url}/fine").body == b"fine"
