"""An application on a sealed bundle, asked without a network."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from tests.unit.package.conftest import rows, sealed

from filon.package import Bundle
from filon.serve.app import App
from filon.serve.meters import Meters
from filon.serve.models import Models
from filon.serve.served import Served
from filon.serve.settings import Limits
from filon.serve.whole import Protocol

__all__ = ["rows", "sealed"]


@dataclass(frozen=True)
class Heard:
    """An answer as a client hears it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        return self.json["error"]


def ask(app: App, method: str, target: str, body: bytes | list[bytes] = b"", **more: Any) -> Heard:
    """One request; see `asked`."""
    return asyncio.run(asked(app, method, target, body, **more))


async def asked(
    app: App, method: str, target: str, body: bytes | list[bytes] = b"", *, pause: float = 0, gone: bool = False, **headers: str
) -> Heard:
    """One request, as uvicorn would hand it over; a list of bytes comes in parts, with a pause before each."""
    path, _, query = target.partition("?")
    parts = [body] if isinstance(body, bytes) else list(body)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(pause)
        if gone or not parts:
            return {"type": "http.disconnect"}
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": method, "path": path, "query_string": query.encode(), "headers": named}
    await app(scope, receive, send)
    start, end = sent
    return Heard(start["status"], {key.decode(): value.decode() for key, value in start["headers"]}, end["body"])


HOW: dict[str, Any] = {"timeout_keep_alive": 75, "lifespan": "off", "log_level": "critical", "ws": "none"}


@contextmanager
def running(app: App) -> Iterator[int]:
    """The application behind a real port."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, http=Protocol, **HOW))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.02)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


Make = Callable[..., App]


@pytest.fixture
def make(sealed: Callable[..., Bundle]) -> Iterator[Make]:
    """`make(family="xgboost", classes=2, derived=False, limits=Limits(), token="")`: an application."""
    made: list[App] = []

    def build(family: str = "xgboost", classes: int = 2, *, derived: bool = False, limits: Limits | None = None, token: str = "") -> App:
        meters = Meters()
        served = Served(sealed(family, classes, derived=derived), meters, threads=1)
        made.append(App(Models(served), meters, limits or Limits(), token=token))
        return made[-1]

    yield build
    for app in made:
        app.close()


GOOD = {"age": 41, "Temperature (°C)": 20.5, "job": "miner", "zip": 28001, "member": True}


def dumps(value: Any) -> bytes:
    """As JSON."""
    return json.dumps(value).encode()
