"""Who the token stands for, and how much it may still ask: user, rate_limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.github.rest import Answer
from sandbox.github.shapes.accounts import build_user
from sandbox.github.urls import Urls

if TYPE_CHECKING:
    from sandbox.github.rate_limit import RateLimit
    from sandbox.github.rest import Call, Handler

_PUBLIC = ("name", "company", "location", "email", "hireable", "bio", "twitter_username")
_SINCE = "2026-01-05T08:00:00Z"


def build_user_handler(root: str) -> Handler:
    """Build the handler of GET /user: GitHub's `public-user`."""

    def show_user(call: Call) -> Answer:
        counts = dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
        times = {"created_at": _SINCE, "updated_at": _SINCE}
        blank = dict.fromkeys(_PUBLIC)
        return Answer({**build_user(Urls(root, ""), call.user), **blank, "blog": "", **counts, **times})

    return show_user


def build_rate_limit_handler(limit: RateLimit) -> Handler:
    """Build the handler of GET /rate_limit."""

    def show_rate_limit(_: Call) -> Answer:
        rate = {"limit": limit.limit, "remaining": limit.remaining, "reset": limit.reset_s, "used": limit.used}
        return Answer({"resources": {"core": rate, "search": rate}, "rate": rate})

    return show_rate_limit
