"""Every way in which an answer of GitHub or Astro can be wrong, as faults for the sandbox; each says what it causes.

Plants nothing itself. A malformation is made from the real answer, so that it differs from it in one thing only.
"""

from __future__ import annotations

import copy
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from include.deploy_ops.core.errors import DeployOpsError, ObservationError, RateLimitError

HTML = "<html><body>Sign in to your corporate proxy</body></html>"
NOT_FOUND = {
    "github": {"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"},
    "astro": {"message": "no such thing", "requestId": "1", "statusCode": 404},
}
LONG_S = 600
JSON = "application/json; charset=utf-8"

KINDS = {
    "repository": r"/repos/[^/]+/[^/?]+$",
    "refs": r"/git/matching-refs/",
    "ref": r"/git/ref/",
    "branch's pulls": r"/pulls\?head=",
    "pulls": r"/pulls\?",
    "commit": r"/git/commits/",
    "tree": r"/git/trees/",
    "blob": r"/git/blobs/",
    "deploys": r"/deploys\?",
    "deployments": r"/deployments\?",
    "deployment": r"/deployments/[^/?]+$",
    "options": r"/deployment-options\?",
    "workspaces": r"/workspaces\?",
}
"""What is asked for, by what stands in a request's path; the first that is found."""

Place = tuple[str | int, ...]

NEEDED: dict[str, Place] = {
    "repository": ("id",),
    "refs": (0, "object", "sha"),
    "ref": ("object", "sha"),
    "pulls": (0, "head", "sha"),
    "branch's pulls": (0, "base", "repo", "id"),
    "commit": ("tree", "sha"),
    "tree": ("tree", 0, "mode"),
    "blob": ("content",),
    "deploys": ("totalCount",),
    "deployments": ("totalCount",),
    "deployment": ("isDagDeployEnabled",),
    "options": ("runtimeReleases",),
    "workspaces": ("totalCount",),
}
"""A field of each kind of answer without which nothing can be decided."""

TEXTS: dict[str, Place] = {
    "repository": ("full_name",),
    "refs": (0, "ref"),
    "ref": ("ref",),
    "pulls": (0, "title"),
    "branch's pulls": (0, "head", "ref"),
    "commit": ("message",),
    "tree": ("tree", 0, "path"),
    "blob": ("content",),
    "deployment": ("name",),
    "workspaces": ("workspaces", 0, "name"),
}
"""A text of each kind of answer; where Astro lists its own, one that is malformed is no malformed list."""

CHOICES: dict[str, Place] = {"pulls": (0, "state"), "tree": ("tree", 0, "mode"), "blob": ("encoding",)}
"""A field that has one of few values; Astro's may get new ones, and unknown ones are tolerated there."""

IDENTITIES: dict[str, Place] = {
    "ref": ("ref",),
    "commit": ("sha",),
    "tree": ("sha",),
    "blob": ("content",),
    "deploys": ("deploys", 0, "deploymentId"),
    "deployments": ("deployments", 0, "workspaceId"),
    "deployment": ("id",),
    "workspaces": ("workspaces", 0, "id"),
}
"""By what it is known that the answer is about what was asked for."""

LISTS: dict[str, str] = {"deploys": "deploys", "deployments": "deployments", "workspaces": "workspaces"}
"""Astro's lists and the key under which their items lie."""


@dataclass(frozen=True)
class Request:
    """A GET that the product sends, and what is answered when nothing is wrong."""

    face: str
    path: str
    status: int
    data: Any

    @property
    def kind(self) -> str:
        """What is asked for."""
        return next(kind for kind, pattern in KINDS.items() if re.search(pattern, self.path))

    @property
    def shown(self) -> tuple[str, set[str]]:
        """What of the request an error's text names: the path as the product builds it, and the query's parts."""
        path, _, query = self.path.removeprefix("/github/api/v3").removeprefix("/astro/v1").partition("?")
        return path, set(filter(None, query.split("&")))

    def is_named_in(self, text: str) -> bool:
        """Whether an error's text names this request."""
        path, query = self.shown
        found = re.search(rf"GET (?:http://[^/]+/github/api/v3)?{re.escape(path)}(?:\?(\S+?))?[:;]? ", text)
        named = set(filter(None, (found[1] or "").split("&"))) if found else set()
        return found is not None and (named == query or (self.face == "astro" and named <= query))  # of all its pages


Fault = dict[str, Any]


@dataclass(frozen=True)
class Malformation:
    """One way to be wrong: the fault, None where a request cannot have it; the error's class, and words of its text."""

    name: str
    make: Callable[[Request], Fault | None]
    github: str
    astro: str = ""
    error: type[DeployOpsError] = ObservationError

    def says(self, face: str) -> str:
        """Return the words that the error's text must hold, as a regular expression."""
        return self.github if face == "github" or not self.astro else self.astro


def constant(**fault: Any) -> Callable[[Request], Fault]:
    """Make the same fault for every request."""
    return lambda _: fault


def constant_for(kind: str, fault: Fault) -> Callable[[Request], Fault | None]:
    """Make a fault for requests of one kind."""
    return lambda request: fault if request.kind == kind else None


def answer(data: Any, status: int = 200) -> Fault:
    """Return the fault that answers with JSON; as a text, since it may hold what no client would send."""
    return {"status": status, "body": data if isinstance(data, str) else json.dumps(data), "content_type": JSON}


def find(data: Any, place: Place) -> Any:
    """Return what lies at a place, None where there is no such place."""
    for key in place:
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def edit(places: dict[str, Place], value: Any) -> Callable[[Request], Fault | None]:
    """Answer as usual but for one place, which is set to a value, or left out for `...`."""

    def make(request: Request) -> Fault | None:
        place = places.get(request.kind)
        if request.status != 200 or place is None or find(request.data, place) is None:
            return None
        data = copy.deepcopy(request.data)
        *above, last = place
        holder = find(data, tuple(above))
        if value is ...:
            del holder[last]
        else:
            holder[last] = value
        return answer(data, request.status)

    return make


def cut_json(request: Request) -> Fault:
    """Answer with the first half of the body, as if it were all."""
    text = json.dumps(request.data)
    return answer(text[: len(text) // 2], request.status)


def swap_type(request: Request) -> Fault | None:
    """Answer with an object for a list and with a list for an object."""
    return answer({} if isinstance(request.data, list) else [], request.status)


def double(request: Request) -> Fault | None:
    """List everything twice in one page."""
    if request.kind == "refs":
        return answer(request.data * 2)
    if request.kind == "tree":
        return answer({**request.data, "tree": request.data["tree"] * 2})
    if (key := LISTS.get(request.kind)) and request.data[key]:
        return answer(request.data | {key: request.data[key] * 2, "totalCount": 2 * request.data["totalCount"]})
    return None


def repeat_page(request: Request) -> Fault | None:
    """Answer the page after the first, too, with the first."""
    if request.kind in {"refs", "pulls", "branch's pulls"}:
        return {"headers": {"Link": f'<{{sandbox}}{request.path}>; rel="next"'}}
    if (key := LISTS.get(request.kind)) and request.data[key]:
        return answer(request.data | {"totalCount": 2 * request.data["totalCount"]})
    return None


def count_less(request: Request) -> Fault | None:
    """Count fewer items than are listed."""
    key = LISTS.get(request.kind)
    return answer(request.data | {"totalCount": 0}) if key and request.data[key] else None


def lose_items(request: Request) -> Fault | None:
    """Count the items, and list none of them."""
    key = LISTS.get(request.kind)
    return answer(request.data | {key: []}) if key and request.data[key] else None


def lose_trunk(request: Request) -> Fault | None:
    """List all branches but trunk."""
    if request.kind != "refs":
        return None
    return answer([ref for ref in request.data if ref["ref"] != "refs/heads/main"])


def only_github(fault: Callable[[Request], Fault | None]) -> Callable[[Request], Fault | None]:
    """Keep a fault to GitHub."""
    return lambda request: fault(request) if request.face == "github" else None


def only_listings(headers: dict[str, str]) -> Callable[[Request], Fault | None]:
    """Lay headers over the answers that may have a next page."""
    return lambda request: {"headers": headers} if request.kind in {"refs", "pulls", "branch's pulls"} else None


def reach_limit(_: Request) -> Fault:
    """Answer as GitHub does when the hour's requests are used."""
    headers = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "0"}
    headers["X-RateLimit-Reset"] = str(int(time.time()) + LONG_S)
    return {"status": 403, "body": {"message": "API rate limit exceeded"}, "headers": headers}


NO_ANSWER = "got no whole answer: "
TRIED = "gave no usable answer in 4 tries: "
NOW = {"Retry-After": "0"}
LATER = {"Retry-After": str(LONG_S)}
NOT_JSON = r"that are not JSON \("

# Refused before anybody looks at what was asked: these differ in nothing but the reader's own words.
UNREADABLE = [
    Malformation("closed before it", constant(drop=True), NO_ANSWER, TRIED),
    Malformation("429 for long", constant(status=429, headers=LATER), "asks to wait 600 s", "", RateLimitError),
    Malformation("401", constant(status=401, body={"message": "no"}), "wrong, expired or revoked"),
    Malformation("HTML", constant(status=200, body=HTML, content_type="text/html"), NOT_JSON),
    Malformation("closed instead of it", constant(drop="after"), NO_ANSWER, TRIED),
    Malformation("cut off", constant(truncate=9), NO_ANSWER, TRIED),
    Malformation("not the encoding it says", constant(headers={"Content-Encoding": "gzip"}), NO_ANSWER, TRIED),
    Malformation("500", constant(status=500, body={"message": "oops"}), "HTTP 500", f"{TRIED}HTTP 500"),
    Malformation("502 of a proxy", constant(status=502, body=HTML), "HTTP 502", f"{TRIED}HTTP 502"),
    Malformation("503 for long", constant(status=503, headers=LATER), "asks to wait 600 s", "", RateLimitError),
    Malformation("429 again and again", constant(status=429, headers=NOW), "asks to wait 0 s", "", RateLimitError),
    Malformation("rate limit", only_github(reach_limit), r"asks to wait (5\d\d|60[01]) s", "", RateLimitError),
    Malformation(
        "rate limit that is no number", only_github(constant(headers={"X-RateLimit-Limit": "x"})), "rate-limit"
    ),
    Malformation(
        "403", constant(status=403, body={"message": "no"}), "lacks the permission", "token may not read this"
    ),
    Malformation("409", constant(status=409, body={"message": "no"}), "HTTP 409"),
    Malformation(
        "redirect", constant(status=301, headers={"Location": "/else"}), "HTTP 301.*(pointed|points) to /else"
    ),
    Malformation("sign-in page", constant(status=302, headers={"Location": "https://sso"}), "to https://sso"),
    Malformation("promise", constant(status=202, body={}), "HTTP 202"),
    Malformation("no content", constant(status=204), "HTTP 204"),
    Malformation("unchanged, unasked", constant(status=304), "HTTP 304"),
    Malformation("404 of another server", constant(status=404, body=HTML, content_type="text/html"), NOT_JSON),
    Malformation(
        "404 of another API",
        constant(status=404, body={"error": "x"}),
        "without GitHub's error",
        "without Astro's error",
    ),
    Malformation("empty body", constant(status=200), NOT_JSON),
    Malformation("half the JSON", cut_json, NOT_JSON),
    Malformation("nested too deeply", constant(**answer("[" * 100_000)), NOT_JSON),
    Malformation("half a character", edit(TEXTS, "dev-\ud800"), NOT_JSON),
]
EXEMPLARY = 4
"""The first so many of them stand for all: one for each class of error that the readers raise, and one for JSON."""

UNBELIEVABLE = [
    Malformation("null", constant(**answer("null")), "no usable body", "is malformed|has no list"),
    Malformation("a text", constant(**answer('"x"')), "no usable body", "is malformed|has no list"),
    Malformation("wrong type at the top", swap_type, "no usable body|without GitHub's", "is malformed|has no list"),
    Malformation("a field is missing", edit(NEEDED, ...), "no usable .*: Field required", "Field required|has no list"),
    Malformation("null for a value", edit(NEEDED, None), "no usable ", "is malformed|has no list"),
    Malformation("null for a text", edit(TEXTS, None), "no usable ", "is malformed"),
    Malformation("number for a text", edit(TEXTS, 7), "no usable ", "is malformed"),
    Malformation("text for a value", edit(NEEDED, "x y"), "no usable |not base64", "is malformed|has no list"),
    Malformation("a choice that is none", edit(CHOICES, "merged"), "no usable "),
    Malformation(
        "something else",
        edit(IDENTITIES, "refs/heads/dev-other"),
        "another ref|no usable|not base64",
        "another|sees no",
    ),
    Malformation("everything twice", double, "repeats a branch|names an entry twice", "listed items twice"),
    Malformation("a page that repeats", repeat_page, "repeats an earlier page", "items twice|items and listed"),
    Malformation("counts less than it lists", count_less, "", "counts 0 items and listed"),
    Malformation("counts and does not list", lose_items, "", r"counts \d+ items and listed 0"),
    Malformation("without trunk", lose_trunk, "lacks trunk 'main'"),
    Malformation("no branch at all", constant_for("refs", answer([])), "lacks trunk 'main'"),
    Malformation(
        "the next page elsewhere", only_listings({"Link": '<https://evil.example>; rel="next"'}), "evil.example"
    ),
    Malformation("the next page nowhere", only_listings({"Link": '<http://[x>; rel="next"'}), "on another host, none"),
]
