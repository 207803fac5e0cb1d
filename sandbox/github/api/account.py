"""Who the token stands for, how much it may still ask, and what somebody may do: user, rate_limit, collaborators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.github.rest import Answer
from sandbox.github.shapes.accounts import SINCE, build_collaborator, build_user
from sandbox.github.urls import Urls

if TYPE_CHECKING:
    from sandbox.github.rate_limit import RateLimit
    from sandbox.github.rest import Call, Handler

_PUBLIC = ("name", "company", "location", "email", "hireable", "bio", "twitter_username")


def build_user_handler(root: str) -> Handler:
    """Build the handler of GET /user: GitHub's `public-user`."""

    def show_user(call: Call) -> Answer:
        counts = dict.fromkeys(("public_repos", "public_gists", "followers", "following"), 0)
        times = {"created_at": SINCE, "updated_at": SINCE}
        blank = dict.fromkeys(_PUBLIC)
        return Answer({**build_user(Urls(root, ""), call.user), **blank, "blog": "", **counts, **times})

    return show_user


def build_rate_limit_handler(limit: RateLimit) -> Handler:
    """Build the handler of GET /rate_limit."""

    def show_rate_limit(_: Call) -> Answer:
        rate = {"limit": limit.limit, "remaining": limit.remaining, "reset": limit.reset_s, "used": limit.used}
        return Answer({"resources": {"core": rate, "search": rate}, "rate": rate})

    return show_rate_limit


def show_permission(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/collaborators/{login}/permission; whom nobody granted anything may read."""
    repository, login = call.repository, call.path["login"]
    permission = repository.permissions.get(login, "admin" if login == call.user else "read")
    return Answer(build_collaborator(repository.urls, login, permission))


ROUTES: list[tuple[str, str, Handler]] = [("GET", "/collaborators/{login}/permission", show_permission)]
