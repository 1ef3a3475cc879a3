"""The server as one ASGI application, without a framework: few routes, bounded bodies, coded answers."""

import asyncio
import hmac
import json
import sys
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qs

from filon.serve import bodies, openapi
from filon.serve.answers import form_of
from filon.serve.bodies import JSON
from filon.serve.capture import Capture
from filon.serve.meters import STATUSES, Meters
from filon.serve.models import Models
from filon.serve.problems import RefusedError, refused, unforeseen
from filon.serve.served import Asked, Served
from filon.serve.settings import Limits

EXPLAIN_MOST = 1000
SHADOW_MOST = 64
"""Requests the shadow model may be behind."""

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = dict[bytes, bytes]
Reply = tuple[int, str, bytes, list[tuple[bytes, bytes]]]
"""Status, content type, body, further headers."""

OPEN = frozenset({"/ping", "/healthz", "/readyz", "/"})
"""Answered without a token: they tell nothing about the model (the page at / asks for it)."""


class App:
    """Answers requests. `draining` is set when the server was told to stop: it then says it is not ready, and answers what it has."""

    def __init__(
        self, models: Models, meters: Meters, limits: Limits, *, token: str = "", workers: int = 1, capture: Capture | None = None
    ) -> None:
        self.models, self.meters, self.limits = models, meters, limits
        self.token = token.encode()
        self.workers, self.capture = workers, capture
        self.draining = False
        self.pending = 0
        self.shadowing = 0
        self.threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="filon-score")
        self.routes: dict[str, dict[str, Callable[[Scope, Headers, Receive], Awaitable[Reply]]]] = {
            "/invocations": {"POST": self._invocations},
            "/ping": {"GET": self._ping},
            "/healthz": {"GET": self._ping},
            "/readyz": {"GET": self._ready},
            "/metrics": {"GET": self._metrics},
            "/models": {"GET": self._ready, "POST": self._models},
            "/openapi.json": {"GET": self._openapi},
            "/": {"GET": self._page},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, as ASGI has it."""
        if scope["type"] != "http":
            return
        began = time.perf_counter()
        self.pending += 1
        try:
            status, kind, body, more = await self._answer(scope, receive)
        finally:
            self.pending -= 1
        headers = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(body)), *more]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
        path = scope["path"].strip("/")
        self.meters.request(
            path if path in {"invocations", "models"} else "other", status if status in STATUSES else 500, time.perf_counter() - began
        )

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        headers: Headers = dict(scope["headers"])
        try:
            self._admit(scope, headers)
            methods = self.routes.get(scope["path"])
            if methods is None:
                raise refused(
                    "serve.no-such-page", "there is no such page", f"{scope['path'][:80]!r}", f"the pages are {', '.join(self.routes)}"
                )
            method = "GET" if scope["method"] == "HEAD" else scope["method"]
            if method not in methods:
                raise refused(
                    "serve.method", f"{scope['path']} does not take {scope['method'][:20]}", "by HTTP", f"use {', '.join(methods)}"
                )
            return await methods[method](scope, headers, receive)
        except RefusedError as exc:
            status, kind, body, more = _refusal(exc)
            if status == 405:
                more.append((b"allow", ", ".join(self.routes[scope["path"]]).encode()))
            return status, kind, body, more
        except Exception:
            print(f"filon serve: {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}", traceback.format_exc(), file=sys.stderr, flush=True)
            return _refusal(unforeseen())

    def _admit(self, scope: Scope, headers: Headers) -> None:
        if not self.token or scope["path"] in OPEN:
            return
        given = headers.get(b"authorization", b"")
        kind, _, token = given.partition(b" ")
        if kind.lower() != b"bearer" or not hmac.compare_digest(token.strip(), self.token):
            raise refused(
                "serve.unauthorized", "a token is needed", "the request has none, or another one", "send Authorization: Bearer <token>"
            )

    async def _invocations(self, scope: Scope, headers: Headers, receive: Receive) -> Reply:
        if self.pending > self.limits.pending:
            raise refused(
                "serve.busy", "the server has its hands full", f"{self.pending - 1} requests are being answered", "ask again in a second"
            )
        deadline = time.monotonic() + self.limits.seconds
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        kind = bodies.media_kind(content_type)
        form = form_of(headers.get(b"accept", b"").decode("latin-1").strip())
        asked = Asked(
            event=headers.get(b"x-amzn-sagemaker-inference-id", b"").decode("latin-1")[:64],
            event_id=str(uuid.uuid4()),
            kind=kind,
            header="header=present" in content_type.replace(" ", "").lower(),
            encoding=headers.get(b"content-encoding", b"").decode("latin-1").strip().lower(),
            explain=_explain(scope["query_string"]),
            form=form,
            body=await self._body(headers, receive, deadline),
            at=time.time(),
            kept=self.capture is not None and self.capture.wants(),
        )
        served = self.models.choose(asked)
        if asked.small:
            code, body = served.answer(asked, self.limits)
        else:
            self.meters.set("pending", self.pending)
            code, body = await self._in_thread(lambda: served.answer(asked, self.limits), deadline)
            self.meters.set("pending", self.pending - 1)
        if code == 200 and (shadow := self.models.shadow()) is not None:
            self._shadowed(shadow, asked)
        more = [(b"x-filon-model", served.version), (b"x-filon-part", served.part), (b"x-filon-event-id", asked.event_id.encode())]
        return code, form if code == 200 else JSON, body, more

    def _shadowed(self, shadow: Served, asked: Asked) -> None:
        """Let the challenger see the request; when it cannot keep up it is left out, and counted."""
        if self.shadowing >= SHADOW_MOST:
            self.meters.add("shadow_dropped")
            return
        self.shadowing += 1
        self.threads.submit(shadow.watch, asked, self.limits).add_done_callback(self._shadow_done)

    def _shadow_done(self, done: Future[None]) -> None:
        self.shadowing -= 1
        if done.exception() is not None:
            self.meters.add("shadow_dropped")

    async def _models(self, scope: Scope, headers: Headers, receive: Receive) -> Reply:  # noqa: ARG002 - every route has these
        deadline = time.monotonic() + self.limits.seconds
        body = await self._body(headers, receive, deadline)
        try:
            wish = json.loads(body)
        except (ValueError, RecursionError) as exc:
            raise bodies.unreadable(JSON, exc) from exc
        plan = await self._in_thread(lambda: self.models.change(wish), deadline)
        return _plain({"plan": asdict(plan), "models": self._facts()})

    def _facts(self) -> dict[str, dict[str, str]]:
        return {part: {"name": name, "version": version} for part, (name, version) in self.models.facts().items()}

    async def _in_thread(self, work: Callable[[], Any], deadline: float) -> Any:
        future = asyncio.get_running_loop().run_in_executor(self.threads, work)
        try:
            return await asyncio.wait_for(asyncio.shield(future), max(deadline - time.monotonic(), 0.01))
        except TimeoutError as exc:
            future.add_done_callback(lambda done: done.exception())  # nobody waits for it any more
            why = f"it was not done within {self.limits.seconds:g} s"
            raise refused(
                "serve.took-too-long", "the answer took too long", why, "send fewer rows at once, or ask without ?explain"
            ) from exc

    async def _body(self, headers: Headers, receive: Receive, deadline: float) -> bytes:
        """The body, whole, within the limits of size and time."""
        try:
            announced = int(headers.get(b"content-length", b"0"))
        except ValueError:
            announced = 0
        if announced > self.limits.body_bytes:
            raise bodies.too_large(self.limits)
        message = await self._receive(receive, deadline)
        body = message.get("body", b"")
        if not message.get("more_body") and len(body) <= self.limits.body_bytes:
            return bytes(body)
        parts, size = [body], len(body)
        if size > self.limits.body_bytes:
            raise bodies.too_large(self.limits)
        while message.get("more_body"):
            message = await self._receive(receive, deadline)
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self.limits.body_bytes:
                raise bodies.too_large(self.limits)
        return b"".join(parts)

    async def _receive(self, receive: Receive, deadline: float) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(max(deadline - time.monotonic(), 0.01)):
                message = await receive()
        except TimeoutError as exc:
            why = f"it was not there after {self.limits.seconds:g} s"
            raise refused("serve.too-slow", "the body came too slowly", why, "send it over a better line, or in parts") from exc
        if message["type"] == "http.disconnect":
            raise refused("serve.body-unreadable", "the client went away", "the body ended too soon", "send it whole")
        return message

    async def _ping(self, scope: Scope, headers: Headers, receive: Receive) -> Reply:  # noqa: ARG002 - every route has these
        return _plain({"status": "alive"})

    async def _ready(self, scope: Scope, headers: Headers, receive: Receive) -> Reply:  # noqa: ARG002 - every route has these
        if self.draining:
            raise refused("serve.busy", "the server is stopping", "it was told to", "ask another one")
        return _plain({"status": "ready", "models": self._facts()})

    async def _metrics(self, scope: Scope, headers: Headers, receive: Receive) -> Reply:  # noqa: ARG002 - every route has these
        return 200, "text/plain; version=0.0.4; charset=utf-8", self.meters.text(self.models.facts(), self.workers).encode(), []

    async def _openapi(self, scope: Scope, headers: Headers, receive: Receive) -> Reply:  # noqa: ARG002 - every route has these
        return _plain(openapi.document(self.models.champion.bundle))

    async def _page(self, scope: Scope, headers: Headers, receive: Receive) -> Reply:  # noqa: ARG002 - every route has these
        text, policy = openapi.page()
        more = [(b"content-security-policy", policy), (b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]
        return 200, "text/html; charset=utf-8", text, more


def _explain(query: bytes) -> int:
    if not query:
        return 0
    given = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("explain", ["0"])[-1]
    if not given.isascii() or not given.isdigit() or len(given) > 6:
        raise refused(
            "serve.body-unreadable", "explain is not a count", "it must be a whole number", "ask /invocations?explain=5", field="explain"
        )
    return min(int(given), EXPLAIN_MOST)


def _plain(value: Any) -> Reply:
    return 200, JSON, json.dumps(value, ensure_ascii=False).encode(), []


def _refusal(exc: RefusedError) -> Reply:
    more = [(b"connection", b"close")] if exc.status in {408, 413} else []  # what is left of such a body is not worth reading
    if exc.status == 503:
        more.append((b"retry-after", b"1"))
    if exc.status == 401:
        more.append((b"www-authenticate", b"Bearer"))
    return exc.status, JSON, json.dumps({"error": exc.to_plain()}, ensure_ascii=False).encode(), more
