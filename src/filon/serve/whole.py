"""Answers in one piece: uvicorn writes the head of an answer and its body by two calls of the system, and its client wakes up twice."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD, GO_ON = b"HTTP/1.1 ", b"HTTP/1.1 100"


class Joined:
    """A transport that keeps a head back until its body is there. Everything else is the transport's own."""

    def __init__(self, transport: Any) -> None:
        self._transport, self._head = transport, b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send, after the head that was kept back; a head alone waits for what comes next."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(HEAD) and data.endswith(b"\r\n\r\n") and not data.startswith(GO_ON):
            self._head = data
            return
        self._transport.write(data)

    def close(self) -> None:
        """Send what was kept back, then close."""
        if self._head:
            self._transport.write(self._head)
            self._head = b""
        self._transport.close()


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol on such a transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there."""
        super().connection_made(Joined(transport))  # type: ignore[arg-type]
