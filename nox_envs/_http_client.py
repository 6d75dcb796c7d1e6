"""HTTP by the standard library: proxies, certificates, credentials, redirects, a deadline.

Imported by `_http.get` when a question is asked, and by nothing else.
"""

from __future__ import annotations

import base64
import http.client
import ipaddress
import netrc
import socket
import ssl
import threading
import time
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urljoin, urlsplit

from nox_envs._http import MAX_BYTES, Answer, TransportError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

__all__ = ["get"]


def __dir__() -> list[str]:
    return __all__


_MAX_REDIRECTS = 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK = 64 * 1024
_PORTS = {"http": 80, "https": 443}
_CERTIFICATES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PROXY_REFUSED = 407


def get(
    url: str,
    *,
    timeout: float,
    env: Mapping[str, str],
    headers: Mapping[str, str],
    trusted_hosts: Collection[str],
) -> Answer:
    """Answer as `_http.get` promises."""
    asker = _Asker(
        env=env,
        headers=dict(headers),
        trusted_hosts=frozenset(trusted_hosts),
        deadline=time.monotonic() + timeout,
    )
    with _faults_named():
        target = _Target.parse(url)
        for _ in range(_MAX_REDIRECTS + 1):
            answer = asker.ask(target)
            location = answer.headers.get("location")
            if answer.status not in _REDIRECTS or not location:
                return answer
            target, previous = target.follow(location), target
            if previous.scheme == "https" and target.scheme == "http":
                raise TransportError("redirected from https to http")
            if previous.origin != target.origin:
                asker.headers.pop("Authorization", None)
    raise TransportError("too many redirects")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    scheme: str
    host: str
    port: int
    path: str
    user: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str) -> _Target:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise TransportError("not a URL") from None
        if parts.scheme not in _PORTS or not parts.hostname:
            raise TransportError("not an http or https URL")
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        if parts.query:
            path += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
        return cls(
            scheme=parts.scheme,
            host=parts.hostname,
            port=port or _PORTS[parts.scheme],
            path=path,
            user=None if parts.username is None else unquote(parts.username),
            password=unquote(parts.password or ""),
        )

    @property
    def origin(self) -> tuple[str, str, int]:
        return (self.scheme, self.host, self.port)

    @property
    def netloc(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def follow(self, location: str) -> _Target:
        found = _Target.parse(urljoin(f"{self.scheme}://{self.netloc}{self.path}", location))
        if found.origin == self.origin and found.user is None:
            return replace(found, user=self.user, password=self.password)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asker:
    env: Mapping[str, str]
    headers: dict[str, str] = field(repr=False)
    trusted_hosts: frozenset[str]
    deadline: float

    def remaining(self) -> float:
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        return remaining

    def ask(self, target: _Target) -> Answer:
        connection, path, extra = self._connection(target)
        headers = {
            "Host": target.netloc,
            "Accept-Encoding": "gzip",
            "User-Agent": "nox-envs",
            "Connection": "close",
            **extra,
            **self.headers,
        }
        if (credentials := self._credentials(target)) is not None:
            headers.setdefault("Authorization", _basic(*credentials))
        try:
            with self._watch(connection):
                connection.request("GET", path, headers=headers)
                with connection.getresponse() as response:
                    body = self._read(response)
        finally:
            connection.close()
        if response.status == _PROXY_REFUSED:
            raise TransportError("proxy: HTTP 407")
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(status=response.status, headers=found, body=body)

    @contextmanager
    def _watch(self, connection: http.client.HTTPConnection) -> Iterator[None]:
        """Open a connection and end it at the deadline, even if its server sends a byte now and then."""
        opened: list[socket.socket] = []

        def end() -> None:
            # The connection lets go of its socket when the answer begins.
            for sock in [*opened, connection.sock]:
                if isinstance(sock, socket.socket):
                    with suppress(OSError):  # It may have ended by itself.
                        socket.socket.shutdown(sock, socket.SHUT_RDWR)

        timer = threading.Timer(self.remaining(), end)
        timer.daemon = True
        timer.start()
        try:
            connection.connect()
            opened.append(connection.sock)
            yield
        except Exception:
            self.remaining()  # What breaks because we ended it has timed out.
            raise
        finally:
            timer.cancel()
            timer.join()

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        packed = response.getheader("Content-Encoding", "").lower() in {"gzip", "x-gzip"}
        unpack = zlib.decompressobj(wbits=31) if packed else None
        parts, size = list[bytes](), 0
        while chunk := response.read(_CHUNK):
            self.remaining()
            part = unpack.decompress(chunk, MAX_BYTES - size + 1) if unpack else chunk
            size += len(part)
            if size > MAX_BYTES:
                raise TransportError(f"the answer is larger than {MAX_BYTES // 1024**2} MiB")
            parts.append(part)
        self.remaining()  # The end may be the one that `_watch` made.
        if response.length or (unpack and parts and not unpack.eof):
            raise TransportError("the answer ended early")
        return b"".join(parts)

    def _connection(
        self, target: _Target
    ) -> tuple[http.client.HTTPConnection, str, dict[str, str]]:
        """Make a connection, the path to ask it for, and the headers that a proxy wants."""
        timeout = self.remaining()
        proxy = _proxy(target, self.env)
        hop = proxy or target
        login = {}
        if proxy is not None and proxy.user is not None:
            login["Proxy-Authorization"] = _basic(proxy.user, proxy.password)
        if target.scheme == "http":
            plain = http.client.HTTPConnection(hop.host, hop.port, timeout=timeout)
            path = f"http://{target.netloc}{target.path}" if proxy else target.path
            return plain, path, login
        context = self._context(target.host)
        secure = http.client.HTTPSConnection(hop.host, hop.port, timeout=timeout, context=context)
        if proxy:
            secure.set_tunnel(target.host, target.port, headers=login)
        return secure, target.path, {}

    def _context(self, host: str) -> ssl.SSLContext:
        name = next((name for name in _CERTIFICATES if self.env.get(name)), None)
        path = self.env[name] if name else None
        if path and not Path(path).exists():
            raise TransportError(f"TLS: {name} names no file")
        if path and Path(path).is_dir():
            context = ssl.create_default_context(capath=path)
        else:
            context = ssl.create_default_context(cafile=path)
        if host in self.trusted_hosts:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _credentials(self, target: _Target) -> tuple[str, str] | None:
        if target.user is not None:
            return target.user, target.password
        home = Path(self.env.get("HOME") or self.env.get("USERPROFILE") or "/nowhere")
        named = self.env.get("NETRC")
        for path in [Path(named)] if named else [home / ".netrc", home / "_netrc"]:
            try:
                found = netrc.netrc(str(path)).authenticators(target.host)
            except (OSError, UnicodeDecodeError, netrc.NetrcParseError):
                continue  # It is not ours to complain about.
            if found:
                return found[0], found[2] or ""
        return None


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode("ascii")


def _proxy(target: _Target, env: Mapping[str, str]) -> _Target | None:
    def setting(name: str) -> str:
        return env.get(name) or env.get(name.upper()) or ""

    url = setting(f"{target.scheme}_proxy") or setting("all_proxy")
    if not url or _bypasses(target, setting("no_proxy")):
        return None
    scheme, found, _ = url.partition("://")
    if found and scheme.lower() != "http":
        raise TransportError(f"proxy: no way to use a {scheme.lower()} proxy")
    try:
        return _Target.parse(url if found else f"http://{url}")
    except TransportError:
        raise TransportError("proxy: not a URL") from None


def _bypasses(target: _Target, no_proxy: str) -> bool:
    """Whether `no_proxy` names the host: a name, its domain, an address or a network."""
    host = target.host.lower()
    for entry in no_proxy.lower().split(","):
        pattern = entry.strip()
        name, colon, port = pattern.rpartition(":")
        if colon and port.isdigit() and ":" not in name:
            if int(port) != target.port:
                continue
            pattern = name
        pattern = pattern.removeprefix("*.").lstrip(".")
        if pattern == "*" or (pattern and (host == pattern or host.endswith("." + pattern))):
            return True
        if "/" in pattern and _is_within(host, pattern):
            return True
    return False


def _is_within(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


@contextmanager
def _faults_named() -> Iterator[None]:
    """Turn what the standard library raises into the one fault, said shortly."""
    try:
        yield
    except (OSError, http.client.HTTPException, zlib.error, ValueError) as error:
        raise TransportError(_reason(error)) from None


_REASONS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (TimeoutError, "timed out"),
    (ConnectionRefusedError, "connection refused"),
    (ConnectionError, "connection reset"),
    (socket.gaierror, "no such host"),
    (UnicodeError, "no such host"),
    (http.client.IncompleteRead, "the answer ended early"),
)


def _reason(error: Exception) -> str:
    for kinds, reason in _REASONS:
        if isinstance(error, kinds):
            return reason
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "TLS: " + (error.reason or "no connection").replace("_", " ").lower()
    if isinstance(error, OSError):
        said = (error.strerror or str(error)).lower()
        return f"proxy: {said}" if said.startswith("tunnel connection failed") else said
    return "not an answer of HTTP"
