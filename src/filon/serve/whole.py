"""Answers in one piece: uvicorn writes the head of an answer and its body by two calls of the system, and its client wakes up twice.

And clients that never finish asking are let go.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADERS_S = 60.0
"""From the connection, or from a request's first byte, to the end of its head; checked as often, so that it may take twice as long."""

HEAD_BYTES = 1 << 16
"""Of a request's head; uvicorn has such a limit in its other parser only."""

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

    def flush(self) -> None:
        """Send what was kept back: the head of an answer that has no body, as that to HEAD."""
        if self._head:
            self._transport.write(self._head)
            self._head = b""

    def close(self) -> None:
        """Send what was kept back, then close."""
        self.flush()
        self._transport.close()


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol on such a transport; a client that does not finish the head of a request is let go.

    uvicorn's own timer runs only between an answer and the next byte.
    """

    head_began = 0.0
    """When the head that is being read began, by the loop's clock; 0 when none is."""

    head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there."""
        super().connection_made(Joined(transport))  # type: ignore[arg-type]
        self.head_began = self.loop.time()
        self._timer = self.loop.call_later(HEADERS_S, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes; a head that goes on and on is refused."""
        super().data_received(data)
        if self.head_began:
            self.head_bytes += len(data)
            if self.head_bytes > HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self.head_began = self.head_began or self.loop.time()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self.head_began, self.head_bytes = 0.0, 0
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """All of an answer was written, without a body perhaps: uvicorn then writes nothing after the head."""
        self.transport.flush()  # type: ignore[attr-defined]
        super().on_response_complete()

    def _look(self) -> None:
        """Close where a head is overdue, unless an answer to a request before it is under way."""
        idle = self.cycle is None or self.cycle.response_complete
        if idle and self.head_began and self.loop.time() - self.head_began >= HEADERS_S - 0.01:
            self.transport.close()
            return
        self._timer = self.loop.call_later(HEADERS_S, self._look)
