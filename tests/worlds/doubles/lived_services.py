"""A GitHub and an Astro that live by a simulated clock, inside the process: no socket, and what fails fails in time.

They stand where python-requests and httpx would open a connection; all above that is the product's own. They keep what
lives now, count what is asked, and notice who asks in a pause that it was told.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections import Counter
from contextvars import ContextVar
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any

import httpx
import requests
from github.Requester import Requester
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPResponse
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError

from tests.worlds.doubles.github import BRANCHES, HTML, NOT_FOUND, make_ref

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest
    from requests import PreparedRequest, Response

    from tests.worlds.doubles.simulated_time import SimulatedClock

GITHUB_URL, ASTRO_URL = "http://github.example/api/v3", "http://astro.example/astro"
PAGE = 100
LATENCY_S = 0.1
SILENCE_S = 15.0  # until the product's client gives up on GitHub
HOUR_S = 3600.0
SLOW_S = 8.0
LONG_WAY_EACH = 100
QUOTA_LEFT, SCARCE_LEFT = 4000, 100  # of 5,000
UNNAMED_S = {"busy": 30.0, "secondary": 60.0, "unnamed": 60.0}
"""Seconds that who is asked to wait without a time has to wait; "busy" names them."""

WHO: ContextVar[str] = ContextVar("who", default="nobody")
"""Which trigger asks."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a service, and until when."""

    kind: str
    until_s: float


@dataclass(frozen=True, slots=True)
class Said:
    """A service's answer, `missing_bytes` of which are promised and do not come."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    missing_bytes: int = 0


BROKEN = {status: Said(int(status), {}, HTML) for status in ("500", "502", "503", "504")} | {
    "html": Said(200, {}, HTML)
}


@dataclass
class LivedService:
    """What both have in common: a fault that may be on, and the count of who asked when."""

    clock: SimulatedClock
    token: str
    fault: Fault | None = None
    asked: Counter[str] = field(default_factory=Counter)
    most_in_a_minute: int = 0
    most_in_an_hour: int = 0
    told_until: dict[tuple[str, str], float] = field(default_factory=dict)
    asked_in_a_pause: Counter[str] = field(default_factory=Counter)
    _minute: tuple[float, Counter[str]] = field(default_factory=lambda: (0.0, Counter()))
    _hour: tuple[float, Counter[str]] = field(default_factory=lambda: (0.0, Counter()))

    def count(self, watch: str) -> None:
        """Note a request."""
        now_s, who = self.clock.now_s, WHO.get()
        self.asked[watch] += 1
        if now_s - self._minute[0] >= 60:
            self._minute = (now_s - now_s % 60, Counter())
        if now_s - self._hour[0] >= HOUR_S:
            self._hour = (now_s - now_s % HOUR_S, Counter())
        for _, counts in (self._minute, self._hour):
            counts[who] += 1
        self.most_in_a_minute = max(self.most_in_a_minute, self._minute[1][who])
        self.most_in_an_hour = max(self.most_in_an_hour, self._hour[1][who])
        if now_s < self.told_until.get((who, watch), -1.0) - 1.0:
            self.asked_in_a_pause[watch] += 1

    def tell_pause(self, watch: str, until_s: float) -> None:
        """Note that who asks was told to ask no more until then."""
        self.told_until[WHO.get(), watch] = until_s

    def forget(self, who: str) -> None:
        """Forget a trigger that is no more."""
        self.told_until = {key: value for key, value in self.told_until.items() if key[0] != who}

    @property
    def date(self) -> str:
        """The service's own clock, as HTTP writes it."""
        return self.clock.true_now.strftime("%a, %d %b %Y %H:%M:%S GMT")


@dataclass
class LivedGithub(LivedService):
    """One repository: what each of its listings shows now."""

    branches: dict[str, str] = field(default_factory=dict)
    pulls: dict[int, dict[str, Any]] = field(default_factory=dict)
    """By number, the one that changed last at the end."""
    comments: list[dict[str, Any]] = field(default_factory=list)
    checks: dict[str, dict[str, str]] = field(default_factory=dict)
    """State by name, by commit."""
    _bodies: dict[str, tuple[bytes, str, dict[str, str]]] = field(default_factory=dict)
    _stale: dict[str, tuple[bytes, str, dict[str, str]]] = field(default_factory=dict)

    def touch(self) -> None:
        """Have all listings show what is there; what they showed before is what a stale one still shows."""
        if self.fault is None or self.fault.kind != "stale":
            self._stale = self._bodies
        self._bodies = {}

    def send(self, adapter: HTTPAdapter, request: PreparedRequest) -> Response:
        """Answer in a connection's place."""
        path = (request.url or "").replace(".example:80/", ".example/").removeprefix(GITHUB_URL)
        watch = "checks" if "/commits/" in path else "listings"
        self.count(watch)
        self.clock.sleep(LATENCY_S)
        asked = {name.lower(): str(value) for name, value in request.headers.items()}
        said = self.answer(path, watch, asked.get("authorization"), asked.get("if-none-match"))
        headers = {"Date": self.date, "Content-Type": "application/json", **said.headers}
        headers["Content-Length"] = str(len(said.body) + said.missing_bytes)
        raw = HTTPResponse(
            BytesIO(said.body),
            headers,
            said.status,
            preload_content=False,
            request_method=request.method,
            request_url=request.url,
        )
        return adapter.build_response(request, raw)

    def send_shortly(self, requester: Requester, url: str, etag: str | None) -> tuple[int, dict[str, str], str] | None:
        """Answer without the way through python-requests, while nothing is wrong; None: it has to be gone.

        It is most of what a request costs, and a year has millions. Each so many goes it all the same.
        """
        self._turn = (self._turn + 1) % LONG_WAY_EACH
        if self._turn == 0 or self.fault is not None or requester.auth is None or requester.auth.token != self.token:
            return None
        path = url.removeprefix(GITHUB_URL)
        watch = "checks" if "/commits/" in path else "listings"
        self.count(watch)
        self.clock.sleep(LATENCY_S)
        said = self.answer(path, watch, f"token {self.token}", etag)
        return (
            said.status,
            {"date": self.date, **{name.lower(): value for name, value in said.headers.items()}},
            said.body.decode(),
        )

    _turn: int = 0

    def answer(self, path: str, watch: str, authorization: str | None, known: str | None) -> Said:
        """Return what is said to a request. :raises requests.RequestException: nothing is."""
        fault = self.fault
        if fault is not None and (said := self._fail(fault, path, watch)) is not None:
            return said
        if authorization != f"token {self.token}":
            return Said(401, {}, b'{"message": "Bad credentials"}')
        is_stale = fault is not None and fault.kind == "stale"
        body, etag, headers = (self._stale.get(path) if is_stale else None) or self._show(path)
        limit = self._limit(SCARCE_LEFT if fault is not None and fault.kind == "scarce" else QUOTA_LEFT)
        if known == etag:
            return Said(304, {"ETag": etag, **limit})
        if not body:
            return Said(404, limit, json.dumps(NOT_FOUND).encode())
        if fault is not None and fault.kind == "half":
            return Said(200, {"ETag": etag, **limit}, body[: len(body) // 2], len(body) - len(body) // 2)
        return Said(200, {"ETag": etag, **headers, **limit}, body)

    def _limit(self, left: int, until_s: float | None = None) -> dict[str, str]:
        now_s = self.clock.now_s
        resets_s = now_s - now_s % HOUR_S + HOUR_S if until_s is None else until_s
        resets_at = math.ceil(self.clock.start.timestamp() + resets_s)
        return {
            "X-RateLimit-Limit": "5000",
            "X-RateLimit-Remaining": str(left),
            "X-RateLimit-Reset": str(resets_at),
        }

    def _fail(self, fault: Fault, path: str, watch: str) -> Said | None:
        self._keep_silent(fault.kind, path)
        if fault.kind in {"busy", "429", "exhausted", "secondary", "unnamed"}:
            return self._ask_to_wait(fault, watch)
        if fault.kind == "slow":
            self.clock.sleep(SLOW_S)
        if fault.kind == "empty" and "/matching-refs/" in path:
            return Said(200, self._limit(QUOTA_LEFT), b"[]")
        return BROKEN.get(fault.kind)

    def _keep_silent(self, kind: str, path: str) -> None:
        if kind == "dropped":
            raise requests.ConnectionError(ProtocolError("Connection aborted."))
        if kind == "silent":
            self.clock.sleep(SILENCE_S)
            raise requests.ReadTimeout("Read timed out.")
        if kind == "unreachable":
            pool = HTTPConnectionPool("github.example")
            reason = NewConnectionError(pool, "refused")  # type: ignore[arg-type]  # whose it is tells nobody
            raise requests.ConnectionError(MaxRetryError(pool, path, reason))

    def _ask_to_wait(self, fault: Fault, watch: str) -> Said:
        until_s = fault.until_s if fault.kind in {"429", "exhausted"} else self.clock.now_s + UNNAMED_S[fault.kind]
        self.tell_pause(watch, until_s)
        seconds = str(math.ceil(until_s - self.clock.now_s))
        match fault.kind:
            case "exhausted":
                return Said(403, self._limit(0, until_s), b'{"message": "API rate limit exceeded"}')
            case "secondary":
                limited = b'{"message": "You have exceeded a secondary rate limit"}'
                return Said(403, self._limit(QUOTA_LEFT), limited)
            case "busy":
                return Said(503, {"Retry-After": seconds}, b"{}")
        return Said(429, {"Retry-After": seconds} if fault.kind == "429" else {}, b"{}")

    def _show(self, path: str) -> tuple[bytes, str, dict[str, str]]:
        if path not in self._bodies:
            found, headers = self._list(path)
            body = b"" if found is None else json.dumps(found).encode()
            self._bodies[path] = (body, f'W/"{hashlib.sha256(body).hexdigest()}"', headers)
        return self._bodies[path]

    def _list(self, path: str) -> tuple[Any, dict[str, str]]:
        if "/matching-refs/" in path:
            page = int(path.partition("&page=")[2] or 1)
            refs = [make_ref(name, sha) for name, sha in self.branches.items()]
            is_last = len(refs) <= page * PAGE
            link = {} if is_last else {"Link": f'<{GITHUB_URL}{BRANCHES}&page={page + 1}>; rel="next"'}
            return refs[(page - 1) * PAGE : page * PAGE], link
        if "/pulls?" in path:
            return [*reversed(self.pulls.values())][:PAGE], {}
        if "/comments?" in path:
            return [*reversed(self.comments)][:PAGE], {}
        sha, _, what = path.partition("/commits/")[2].partition("?")[0].partition("/")
        states = self.checks.get(sha)
        if states is None:
            return None, {}
        if what == "status":
            return {"statuses": []}, {}
        return {"check_runs": [_make_run(name, state) for name, state in states.items()]}, {}


def _make_run(name: str, state: str) -> dict[str, Any]:
    is_over = state != "in_progress"
    return {"name": name, "status": "completed" if is_over else state, "conclusion": state if is_over else None}


@dataclass
class LivedAstro(LivedService):
    """One workspace: its Deployments by id."""

    deployments: dict[str, dict[str, Any]] = field(default_factory=dict)
    _told: bytes = b""

    def touch(self) -> None:
        """Have the list show what is there."""
        self._told = b""

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Answer in a connection's place."""
        self.count("deployments")
        await asyncio.sleep(LATENCY_S)
        if request.headers["authorization"] != f"Bearer {self.token}":
            return httpx.Response(401, stream=httpx.ByteStream(b"{}"), request=request)
        said = await self._answer(request)
        headers = {"content-type": "application/json", "date": self.date, **said.headers}
        return httpx.Response(said.status, headers=headers, stream=httpx.ByteStream(said.body), request=request)

    async def _answer(self, request: httpx.Request) -> Said:
        kind = "" if self.fault is None else self.fault.kind
        await self._keep_silent(kind, request)
        if kind == "slow":
            await asyncio.sleep(SLOW_S)
        if kind == "429" and self.fault is not None:
            self.tell_pause("deployments", self.fault.until_s)
            return Said(429, {"retry-after": str(math.ceil(self.fault.until_s - self.clock.now_s))}, b"{}")
        return Said(429, {}, b"{}") if kind == "unnamed" else BROKEN.get(kind) or Said(200, {}, self._show())

    async def _keep_silent(self, kind: str, request: httpx.Request) -> None:
        if kind in {"dropped", "half"}:
            raise httpx.RemoteProtocolError("peer closed connection", request=request)
        if kind == "unreachable":
            raise httpx.ConnectError("refused", request=request)
        if kind == "silent":
            await asyncio.sleep(2 * SILENCE_S)
            raise httpx.ReadTimeout("", request=request)
        if kind == "hanging":
            await asyncio.get_running_loop().create_future()

    def _show(self) -> bytes:
        if not self._told:
            found = [*self.deployments.values()]
            listing = {"deployments": found, "limit": 1000, "offset": 0, "totalCount": len(found)}
            self._told = json.dumps(listing).encode()
        return self._told


def take_place(patch: pytest.MonkeyPatch, github: LivedGithub, astro: LivedAstro) -> None:
    """Put them where connections would be opened, and say in Airflow's connections where they are."""

    def send(adapter: HTTPAdapter, request: PreparedRequest, *_: Any, **__: Any) -> Response:
        return github.send(adapter, request)

    async def handle(_: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        return await astro.send(request)

    async def close(_: httpx.AsyncHTTPTransport) -> None:
        """Nothing was opened."""

    long_way = Requester.requestJson

    def request(requester: Requester, verb: str, url: str, **options: Any) -> Any:
        said = github.send_shortly(requester, url, options["headers"].get("If-None-Match"))
        return long_way(requester, verb, url, **options) if said is None else said

    patch.setattr(Requester, "requestJson", request)
    patch.setattr(HTTPAdapter, "send", send)
    patch.setattr(httpx.AsyncHTTPTransport, "__init__", lambda *_, **__: None)
    patch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", handle)
    patch.setattr(httpx.AsyncHTTPTransport, "aclose", close)
