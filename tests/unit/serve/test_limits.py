"""Many clients, slow clients and long work: what one takes is not taken from the others."""

import asyncio
import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable

import pytest
from tests.unit.serve.conftest import GOOD, Heard, ask, asked, dumps, running, sealed

from filon import trees
from filon.package import Bundle
from filon.serve import whole
from filon.serve.app import App
from filon.serve.models import Plan
from filon.serve.problems import RefusedError
from filon.serve.scoring import UNTIL
from filon.serve.served import Served
from filon.serve.settings import Limits

__all__ = ["sealed"]
Make = Callable[..., App]
HEAD = "POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n"


def call(port: int, body: bytes) -> tuple[int, dict]:
    """One request on a connection of its own."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with contextlib.closing(line):
        line.request("POST", "/invocations", body)
        heard = line.getresponse()
        return heard.status, json.loads(heard.read())


def until(there: Callable[[], bool]) -> None:
    """Wait for it, 10 s at most."""
    end = time.monotonic() + 10
    while not there():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_three_hundred_slow_bodies_keep_nobody_out_and_fill_no_more_than_their_room(make: Make) -> None:
    app = make(limits=Limits(body_bytes=100_000, bodies=2))
    with running(app) as port, contextlib.ExitStack() as open_lines:

        def begin(length: int, part: bytes) -> socket.socket:
            line = open_lines.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            line.sendall(HEAD.format(length).encode() + part)
            return line

        slow = [begin(len(dumps(GOOD)), b"{") for _ in range(300)]
        until(lambda: app.held == 300)
        assert call(port, dumps(GOOD))[0] == 200
        assert call(port, dumps([GOOD] * 500))[0] == 200  # in a thread
        large = [begin(100_000, b" " * 90_000) for _ in range(2)]
        until(lambda: app.held == 180_300)
        third = begin(100_000, b" " * 90_000)
        heard = third.recv(1 << 16)
        assert heard.startswith(b"HTTP/1.1 503")
        assert b"serve.busy" in heard
        assert third.recv(1) == b""  # what it still sends is not waited for
        assert call(port, dumps(GOOD))[0] == 200
        slow[0].sendall(dumps(GOOD)[1:])
        assert slow[0].recv(1 << 16).startswith(b"HTTP/1.1 200")
        for line in (*slow, *large):
            line.close()
        until(lambda: app.held == 0)


def test_a_head_that_never_ends_is_not_waited_for(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "HEADERS_S", 1.5)
    body = dumps(GOOD)
    with running(make()) as port, contextlib.ExitStack() as open_lines:
        lines = [open_lines.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20)) for _ in range(5)]
        mute, half, second, slow, good = lines
        slow.sendall(HEAD.format(len(body)).encode())
        half.sendall(b"POST /invocations HTTP/1.1\r\nhost: x\r\n")
        for line in (second, good):
            line.sendall(HEAD.format(len(body)).encode() + body)
            assert line.recv(1 << 16).startswith(b"HTTP/1.1 200")
        second.sendall(b"POST /inv")
        for line in (mute, half, second):
            assert line.recv(1) == b""
        time.sleep(1)
        slow.sendall(body)  # a body has the limit of time that a request has
        good.sendall(HEAD.format(len(body)).encode() + body)  # nobody minds a pause between two requests
        for line in (slow, good):
            assert line.recv(1 << 16).startswith(b"HTTP/1.1 200")


def test_a_head_without_end_is_refused(make: Make) -> None:
    with running(make()) as port, socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        line.sendall(b"GET /ping HTTP/1.1\r\nx: " + b"x" * 60_000)
        time.sleep(0.1)
        line.sendall(b"x" * 6_000)
        assert line.recv(1 << 16).startswith(b"HTTP/1.1 400")
        assert line.recv(1) == b""
        assert call(port, dumps(GOOD))[0] == 200


def test_work_that_nobody_waits_for_never_begins(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make(limits=Limits(seconds=0.4, pending=4))
    began: list[float] = []
    go_on = threading.Event()

    def slow(*_: object) -> tuple[int, bytes]:
        began.append(time.monotonic())
        go_on.wait(20)
        return 200, b"{}"

    monkeypatch.setattr(app.models.champion, "answer", slow)

    async def crowd() -> list[Heard]:
        return await asyncio.gather(*(asked(app, "POST", "/invocations?explain=1", dumps(GOOD)) for _ in range(5)))

    heard = asyncio.run(crowd_then(crowd, go_on))
    assert [one.status for one in heard] == [503] * 5
    assert sorted(one.error["code"] for one in heard) == ["serve.busy", *["serve.took-too-long"] * 4]
    app.close()
    assert len(began) == 2  # two threads; two requests waited for one
    assert app.pending == 0


async def crowd_then(crowd: Callable, go_on: threading.Event) -> list[Heard]:
    """What they heard; then the threads may end (asyncio.run would wait for nothing else)."""
    try:
        return await crowd()
    finally:
        go_on.set()


def test_reasons_stop_when_nobody_waits_for_them(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make(limits=Limits(seconds=0.3))
    told: list[int] = []
    real = trees.contributions

    def slow(ensemble: object, matrix: object, threads: int = 0) -> object:
        told.append(len(matrix))
        time.sleep(0.2)
        return real(ensemble, matrix, threads)

    monkeypatch.setattr(trees, "contributions", slow)
    heard = ask(app, "POST", "/invocations?explain=1", dumps([GOOD] * 5_000))
    assert (heard.status, heard.error["code"]) == (503, "serve.took-too-long")
    app.close()
    assert sum(told) < 5_000


def test_a_few_bad_rows_among_thousands_do_not_make_each_row_go_alone(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make(derived=True)
    good = {**GOOD, "month": "Jan"}
    rows = [good] * 1_000
    rows[10], rows[700] = {**good, "month": "moon"}, {**good, "month": "sun"}
    scorer = app.models.champion.scorer
    real, asked_for = scorer._through_arrow, []

    def counting(some: list) -> object:
        asked_for.append(len(some))
        return real(some)

    monkeypatch.setattr(scorer, "_through_arrow", counting)
    heard = ask(app, "POST", "/invocations", dumps(rows)).json
    assert [number for number, row in enumerate(heard["predictions"]) if "error" in row] == [10, 700]
    assert len(asked_for) < 50
    UNTIL.set(time.monotonic() - 1)
    with pytest.raises(RefusedError):
        scorer.score(rows)
    UNTIL.set(float("inf"))


def test_reasons_of_too_many_rows_are_refused(make: Make) -> None:
    app = make()
    body = b"41,20.5,miner,28001,true\n" * 10_001
    heard = ask(app, "POST", "/invocations?explain=1", body, content_type="text/csv")
    assert (heard.status, heard.error["code"]) == (413, "serve.too-many-reasons")
    assert ask(app, "POST", "/invocations", body, content_type="text/csv").status == 200


def test_a_slow_shadow_takes_no_thread_of_the_champion_and_tells_no_reasons(
    make: Make, sealed: Callable[..., Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make(limits=Limits(seconds=5))
    app.models.challenger = Served(sealed("gbt"), app.meters, part="challenger", threads=1)
    app.models.plan = Plan(champion="a", challenger="b", shadow=True)
    go_on, explained = threading.Event(), []
    real = app.models.challenger.score

    def slow(one: object, limits: Limits) -> object:
        go_on.wait(20)
        explained.append(one.explain)
        return real(one, limits)

    monkeypatch.setattr(app.models.challenger, "score", slow)
    try:
        for _ in range(4):
            assert ask(app, "POST", "/invocations?explain=1", dumps(GOOD)).status == 200
    finally:
        go_on.set()
    app.close()
    assert explained == [0] * 4
