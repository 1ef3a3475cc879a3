"""The server as one ASGI application, without a framework: few routes, bounded bodies, coded answers."""

import asyncio
import contextvars
import hmac
import json
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from filon.serve import bodies, openapi, problems
from filon.serve.answers import form_of
from filon.serve.bodies import JSON
from filon.serve.capture import Capture
from filon.serve.meters import STATUSES, Meters
from filon.serve.models import Models
from filon.serve.problems import RefusedError, refused, unforeseen
from filon.serve.scoring import UNTIL
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

LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})
"""Names of this machine: a server without a token has no others."""

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
        self.pending = self.held = 0
        self.threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="filon-score")
        self.shadows = ThreadPoolExecutor(max_workers=1, thread_name_prefix="filon-shadow")
        self._shadowing = threading.Semaphore(SHADOW_MOST)
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
        status, kind, body, more = await self._answer(scope, receive)
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
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        kind = bodies.media_kind(content_type)
        form = form_of(headers.get(b"accept", b"").decode("latin-1").strip())
        explain = _explain(scope["query_string"])

        async def told(body: bytes, deadline: float) -> Reply:
            asked = Asked(
                event=headers.get(b"x-amzn-sagemaker-inference-id", b"").decode("latin-1")[:64],
                event_id=str(uuid.uuid4()),
                kind=kind,
                header="header=present" in content_type.replace(" ", "").lower(),
                encoding=headers.get(b"content-encoding", b"").decode("latin-1").strip().lower(),
                explain=explain,
                form=form,
                body=body,
                at=time.time(),
                kept=self.capture is not None and self.capture.wants(),
            )
            served = self.models.choose(asked)
            answer = partial(served.answer, asked, self.limits)
            code, answered = answer() if asked.small else await self._in_thread(answer, deadline)
            if code == 200 and (shadow := self.models.shadow()) is not None:
                self._shadowed(shadow, asked)
            more = [(b"x-filon-model", served.version), (b"x-filon-part", served.part), (b"x-filon-event-id", asked.event_id.encode())]
            return code, form if code == 200 else JSON, answered, more

        return await self._with_body(headers, receive, told)

    def _shadowed(self, shadow: Served, asked: Asked) -> None:
        """Let the challenger see the request; when it cannot keep up it is left out, and counted. Nobody sees its reasons."""
        if not self._shadowing.acquire(blocking=False):
            self.meters.add("shadow_dropped")
            return
        self.shadows.submit(shadow.watch, replace(asked, explain=0), self.limits).add_done_callback(self._shadow_done)

    def _shadow_done(self, done: Future[None]) -> None:
        self._shadowing.release()
        if done.cancelled() or done.exception() is not None:
            self.meters.add("shadow_dropped")

    def close(self, *, wait: bool = True) -> None:
        """Let the threads end: when all is done that they were given, or (`wait` false) with what they are at, for nobody waits for it."""
        for threads in (self.threads, self.shadows):
            threads.shutdown(wait=wait, cancel_futures=not wait)

    async def _models(self, scope: Scope, headers: Headers, receive: Receive) -> Reply:  # noqa: ARG002 - every route has these
        self._refuse_pages(headers)

        async def changed(body: bytes, deadline: float) -> Reply:
            try:
                wish = json.loads(body)
            except (ValueError, RecursionError) as exc:
                raise problems.unreadable(JSON, exc) from exc
            plan = await self._in_thread(lambda: self.models.change(wish), deadline)
            return _plain({"plan": asdict(plan), "models": self._facts()})

        return await self._with_body(headers, receive, changed)

    def _refuse_pages(self, headers: Headers) -> None:
        """Pages of others in a browser on this machine reach a server without a token too; they cannot say JSON unasked, nor be us."""
        kind = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
        if kind != JSON:
            why = f"it is {kind[:80]!r}" if kind else "the request names none"
            raise refused("serve.media-type", f"{JSON} is needed to change a model", why, f"send content-type: {JSON}")
        if self.token:
            return
        host = headers.get(b"host", b"localhost").decode("latin-1")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        origin = headers.get(b"origin", b"").decode("latin-1")
        if name.lower() not in LOCAL or (origin and origin.partition("://")[2] != host):
            why = f"it came from {origin[:80]!r} to {host[:80]!r}"
            fix = "ask http://localhost itself, or set FILON_TOKEN and bring it"
            raise refused("serve.origin-foreign", "a page of another site may not change the model", why, fix)

    def _facts(self) -> dict[str, dict[str, str]]:
        return {part: {"name": name, "version": version} for part, (name, version) in self.models.facts().items()}

    async def _in_thread(self, work: Callable[[], Any], deadline: float) -> Any:
        """What `work` gives, from a thread; work that has not begun by the deadline never does, reasons stop where they are."""
        if self.pending >= self.limits.pending:
            raise _busy(f"{self.pending} requests are being answered")
        UNTIL.set(deadline)
        self.pending += 1
        self.meters.set("pending", self.pending)
        future = asyncio.get_running_loop().run_in_executor(self.threads, contextvars.copy_context().run, work)
        try:
            return await asyncio.wait_for(future, max(deadline - time.monotonic(), 0.01))
        except TimeoutError as exc:
            raise problems.too_long(self.limits) from exc
        finally:
            self.pending -= 1
            self.meters.set("pending", self.pending)

    async def _with_body(self, headers: Headers, receive: Receive, then: Callable[[bytes, float], Awaitable[Reply]]) -> Reply:
        """What `then` makes of the body, which is whole by then and within the limits of size and time.

        One that comes in parts counts as held until it is answered: many slow clients together take no more than the limit.
        """
        deadline = time.monotonic() + self.limits.seconds
        try:
            announced = int(headers.get(b"content-length", b"0"))
        except ValueError:
            announced = 0
        if announced > self.limits.body_bytes:
            raise problems.too_large(self.limits)
        message = await self._receive(receive, deadline)
        part = message.get("body", b"")
        if len(part) > self.limits.body_bytes:
            raise problems.too_large(self.limits)
        if not message.get("more_body"):
            return await then(bytes(part), deadline)
        whole, held = bytearray(), 0
        try:
            while True:
                held += len(part)
                self.held += len(part)
                if held > self.limits.body_bytes:
                    raise problems.too_large(self.limits)
                if self.held > self.limits.held_bytes:
                    raise _busy("the bodies of other requests fill the room there is for them")
                whole += part
                if not message.get("more_body"):
                    break
                message = await self._receive(receive, deadline)
                part = message.get("body", b"")
            body = bytes(whole)
            whole.clear()
            return await then(body, deadline)
        finally:
            self.held -= held

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


def _busy(why: str) -> RefusedError:
    return refused("serve.busy", "the server has its hands full", why, "ask again in a second")


def _plain(value: Any) -> Reply:
    return 200, JSON, json.dumps(value, ensure_ascii=False).encode(), []


def _refusal(exc: RefusedError) -> Reply:
    # what is left of such a body is not worth reading
    more = [(b"connection", b"close")] if exc.status in {408, 413} or exc.error.code == "serve.busy" else []
    if exc.status == 503:
        more.append((b"retry-after", b"1"))
    if exc.status == 401:
        more.append((b"www-authenticate", b"Bearer"))
    return exc.status, JSON, json.dumps({"error": exc.to_plain()}, ensure_ascii=False).encode(), more
