"""A proxy between the product and the emulated AWS: it counts requests, and does to one of them what a network or a power cut would."""

import http.client
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

DROPPED = ("connection", "transfer-encoding", "keep-alive", "content-length", "host", "expect")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: its number from 0, the operation as the service names it ("ElasticMapReduce.RunJobFlow", "PUT /mine/key")."""

    number: int
    name: str

    @property
    def changes(self) -> bool:
        """Whether the account may be another one after it; a request whose name does not tell counts as one that changes."""
        return not re.match(r"(GET|HEAD) |\w+\.(Describe|List|Get)", self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the proxy says instead of the server."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


Fate = str | Answer
"""pass; kill-before, kill-after (the victim dies before the server hears of it, or before it hears back); drop-after; or an answer."""


@dataclass(slots=True)
class Between:
    """A running proxy: `endpoint` for the victim, `asked` is everything it heard, `fate` decides."""

    server: str
    endpoint: str = ""
    victim: int = 0
    fate: Callable[[Asked], Fate] = lambda _: "pass"
    asked: list[Asked] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def hear(self, name: str) -> Fate:
        """Count a request and say what becomes of it."""
        with self.lock:
            one = Asked(number=len(self.asked), name=name)
            self.asked.append(one)
            return self.fate(one)

    def forget(self) -> None:
        """Count from the beginning."""
        with self.lock:
            self.asked.clear()


@contextmanager
def between(server: str) -> Iterator[Between]:
    """A proxy before the server."""
    state = Between(server)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if self.headers.get("Expect", "").lower() == "100-continue":
                self.send_response_only(100)
                self.end_headers()
            body = self.rfile.read(length)
            target = self.headers.get("X-Amz-Target", "")
            fate = state.hear(target or f"{self.command} {self.path}")
            if fate == "kill-before":
                self._kill()
                return
            answer = fate if isinstance(fate, Answer) else self._forward(body)
            if fate == "kill-after":
                self._kill()
                return
            if fate == "drop-after":
                self.close_connection = True
                self.connection.close()
                return
            self._reply(answer)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _any  # noqa: N815 - the names that the base class looks for

        def _kill(self) -> None:
            with suppress(ProcessLookupError):
                os.kill(state.victim, signal.SIGKILL)
            self.close_connection = True

        def _forward(self, body: bytes) -> Answer:
            parts = urlsplit(state.server)
            link = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=60)
            try:
                headers = {key: value for key, value in self.headers.items() if key.lower() not in DROPPED}
                link.request(self.command, self.path, body=body, headers={**headers, "Host": parts.netloc})
                got = link.getresponse()
                kept = {key: value for key, value in got.getheaders() if key.lower() not in DROPPED}
                if self.command == "HEAD":
                    kept["Content-Length"] = got.getheader("Content-Length") or "0"
                return Answer(status=got.status, body=got.read(), headers=kept)
            finally:
                link.close()

        def _reply(self, answer: Answer) -> None:
            with suppress(OSError):
                self.send_response_only(answer.status)
                for key, value in answer.headers.items():
                    self.send_header(key, value)
                if "Content-Length" not in answer.headers:
                    self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Silent."""

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    proxy.daemon_threads = True
    state.endpoint = f"http://127.0.0.1:{proxy.server_address[1]}"
    thread = threading.Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        proxy.shutdown()
        proxy.server_close()
