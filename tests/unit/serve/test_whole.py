"""An answer leaves by one call of the system, and nothing that was kept back is ever left behind."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.story.test_serve import Start, children, records, start
from tests.unit.package.conftest import sealed

from filon.package import Bundle
from filon.serve.whole import Joined

__all__ = ["records", "sealed", "start"]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Transport:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.told.append(data)

    def close(self) -> None:
        self.told.append(b"closed")

    def is_closing(self) -> bool:
        return b"closed" in self.told


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ([HEAD, b"{}"], [HEAD + b"{}"]),
        ([HEAD, b"{}", HEAD, b"[]"], [HEAD + b"{}", HEAD + b"[]"]),
        ([HEAD, b"part", b"HTTP/1.1 is text here"], [HEAD + b"part", b"HTTP/1.1 is text here"]),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", HEAD, b"{}"], [b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + b"{}"]),
        ([b"HTTP/1.1 400 Bad Request\r\n\r\nInvalid"], [b"HTTP/1.1 400 Bad Request\r\n\r\nInvalid"]),
    ],
)
def test_a_head_leaves_with_what_follows_it(written: list[bytes], told: list[bytes]) -> None:
    transport = Transport()
    joined = Joined(transport)
    for data in written:
        joined.write(data)
    assert transport.told == told


def test_a_head_that_nothing_follows_leaves_before_the_line_is_closed() -> None:
    transport = Transport()
    joined = Joined(transport)
    joined.write(HEAD)
    assert not joined.is_closing()
    joined.close()
    assert transport.told == [HEAD, b"closed"]


@pytest.mark.story
def test_one_answer_is_one_write(start: Start, sealed: Callable[..., Bundle], records: list[dict]) -> None:
    server = start(sealed().path)
    (worker,) = children(server.process.pid)

    def writes() -> int:
        return int(next(line for line in Path(f"/proc/{worker}/io").read_text().splitlines() if line.startswith("syscw")).split()[1])

    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        before = writes()
        for _ in range(50):
            line.sendall(b"GET /ping HTTP/1.1\r\nhost: x\r\n\r\n")
            assert line.recv(1 << 16).endswith(b"}")
        assert writes() - before <= 60  # a thread of the server may write a line beside
        line.sendall(b"HEAD /ping HTTP/1.1\r\nhost: x\r\n\r\n")  # the line stays open, and nothing follows the head
        heard = line.recv(1 << 16)
        assert heard.startswith(b"HTTP/1.1 200")
        assert heard.endswith(b"\r\n\r\n")
        line.sendall(b"HEAD /invocations HTTP/1.1\r\nhost: x\r\n\r\nGET /ping HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        heard = b""
        while part := line.recv(1 << 16):
            heard += part
        assert heard.startswith(b"HTTP/1.1 405")
        assert b"\r\n\r\nHTTP/1.1 200" in heard
        assert heard.endswith(b"}")
    assert server.stop() == (0, "")
