"""People and organizations in GitHub's JSON. Decides nobody's rights."""

from __future__ import annotations

import base64
import zlib
from typing import TYPE_CHECKING, Any

from sandbox.identity import OWNER

if TYPE_CHECKING:
    from datetime import datetime

    from sandbox.github.urls import Urls

EMAIL_HOST = "acme.example"  # the seed's authors are people of this GitHub
SINCE = "2026-01-05T08:00:00Z"
_COLLECTIONS = {
    "followers_url": "/followers",
    "following_url": "/following{/other_user}",
    "gists_url": "/gists{/gist_id}",
    "starred_url": "/starred{/owner}{/repo}",
    "subscriptions_url": "/subscriptions",
    "organizations_url": "/orgs",
    "repos_url": "/repos",
    "events_url": "/events{/privacy}",
    "received_events_url": "/received_events",
}


def build_node_id(kind: str, number: object) -> str:
    """Build a GraphQL id in GitHub's older form: base64 of length, kind and id."""
    return base64.b64encode(f"{len(kind):03}:{kind}{number}".encode()).decode()


def format_time(at: datetime) -> str:
    """Format a UTC time as GitHub does, to the second."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def format_user_id(login: str) -> int:
    """Give a login's id: any, but always the same."""
    return zlib.crc32(login.encode()) % 10_000_000 + 1


def build_user(urls: Urls, login: str) -> dict[str, Any]:
    """Build GitHub's `simple-user`."""
    number, api = format_user_id(login), urls.build_user_api(login)
    return {
        "login": login,
        "id": number,
        "node_id": build_node_id("User", number),
        "avatar_url": f"{urls.build_user_html(login)}.png",
        "gravatar_id": "",
        "url": api,
        "html_url": urls.build_user_html(login),
        **{name: f"{api}{path}" for name, path in _COLLECTIONS.items()},
        "type": "Organization" if login == OWNER else "User",
        "user_view_type": "public",
        "site_admin": False,
    }


def build_app(urls: Urls, number: int) -> dict[str, Any]:
    """Build GitHub's `integration`: an app that acts for somebody."""
    return {
        "id": number,
        "node_id": build_node_id("App", number),
        "owner": build_user(urls, OWNER),
        "name": f"App {number}",
        "description": "",
        "external_url": f"https://app.example/{number}",
        "html_url": f"https://github.example/apps/{number}",
        "created_at": SINCE,
        "updated_at": SINCE,
        "permissions": {"issues": "write"},
        "events": [],
    }


def build_collaborator(urls: Urls, login: str, permission: str) -> dict[str, Any]:
    """Build GitHub's `repository-collaborator-permission`."""
    rights = ("pull", "triage", "push", "maintain", "admin")
    count = {"none": 0, "read": 1, "write": 3, "admin": 5}[permission]
    granted = {right: index < count for index, right in enumerate(rights)}
    user = build_user(urls, login) | {"permissions": granted, "role_name": permission}
    return {"permission": permission, "role_name": permission, "user": user}


def build_author(urls: Urls, email: str) -> dict[str, Any] | None:
    """Build the account behind a commit's address; None for an address that no account has, as on GitHub."""
    login, _, host = email.partition("@")
    return build_user(urls, login) if login and host == EMAIL_HOST else None
