"""What a task says while it works, to a driver that would otherwise hear nothing until it ends (law 8).

Small datagrams: one that is lost costs nothing, and a network that lets none through costs the detail, not the fit.
"""

from __future__ import annotations

import json
import secrets
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

SPOKEN_S = 1.0
"""Least time between two words of one task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Where a task speaks to; `token` keeps strangers out."""

    host: str
    port: int
    token: str


class Mouth:
    """In a task: says how far it is, at most once a second."""

    def __init__(self, line: Line | None, job: int) -> None:
        self._line, self._job, self._spoken = line, job, 0.0

    def say(self, fields: dict[str, Any]) -> None:
        """Say it, or hold one's tongue; never an error."""
        if self._line is None or time.monotonic() < self._spoken + SPOKEN_S:
            return
        self._spoken = time.monotonic()
        word = json.dumps({**fields, "job": self._job, "token": self._line.token}).encode("utf-8")
        try:
            with socket.socket(_family(self._line.host), socket.SOCK_DGRAM) as out:
                out.setblocking(False)
                out.sendto(word[:1200], (self._line.host, self._line.port))
        except OSError:
            self._line = None  # nobody can be reached: stop trying


class Ear:
    """In the driver: remembers the last word of each job. A context manager."""

    def __init__(self, host: str) -> None:
        self.last: dict[int, dict[str, Any]] = {}
        self._socket = socket.socket(_family(host), socket.SOCK_DGRAM)
        self._socket.settimeout(0.5)
        self.line: Line | None = None
        self._ended = threading.Event()
        try:
            self._socket.bind((host, 0))
            self.line = Line(host=host, port=self._socket.getsockname()[1], token=secrets.token_hex(8))
        except OSError:
            return  # a driver behind an address that is not its own: tasks work in silence
        self._thread = threading.Thread(target=self._listen, name="filon-ear", daemon=True)
        self._thread.start()

    def __enter__(self) -> Ear:
        return self

    def __exit__(self, *exc: Any) -> None:
        self._ended.set()
        if self.line is not None:
            with suppress(OSError), socket.socket(_family(self.line.host), socket.SOCK_DGRAM) as out:
                out.sendto(b"{}", (self.line.host, self.line.port))  # so that it need not wait for its next look
            self._thread.join(timeout=2)
        self._socket.close()

    def _listen(self) -> None:
        assert self.line is not None
        while not self._ended.is_set():
            try:
                word = json.loads(self._socket.recv(2048))
            except TimeoutError:
                continue
            except (OSError, ValueError):
                continue
            if isinstance(word, dict) and word.pop("token", "") == self.line.token:
                self.last[int(word.pop("job", 0))] = word


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def driver_host(session: Any) -> str:
    """The address under which tasks reach the driver."""
    if session.connect:
        return "127.0.0.1"
    return str(session.properties.get("spark.driver.host", "127.0.0.1"))
