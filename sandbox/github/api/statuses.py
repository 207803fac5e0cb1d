"""Commit statuses: what CI and others say of a commit, one by one and combined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.github.records import Status
from sandbox.github.refs import find_kind, resolve_commit
from sandbox.github.rest import Answer, ApiError, Call, Handler, build_invalid, build_not_found, paginate
from sandbox.github.shapes.records import build_simple_status, build_status
from sandbox.github.shapes.repositories import build_minimal_repository

if TYPE_CHECKING:
    from sandbox.github.repository import Repository

STATES = ("error", "failure", "pending", "success")


def create_status(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/statuses/{sha}."""
    repository, sha = call.repository, call.path["sha"]
    if find_kind(repository.git, sha) != "commit":
        raise ApiError(422, f"No commit found for SHA: {sha}")
    state = call.read_text("Status", "state")
    if state not in STATES:
        raise build_invalid("Status", "state", f"state must be one of {', '.join(STATES)}")
    context = call.read_text("Status", "context", "default")
    description, target_url = call.fields.get("description"), call.fields.get("target_url")
    status = Status(repository.allot_id(), sha, state, context, description, target_url, call.user)
    repository.statuses.append(status)
    return Answer(build_status(repository.urls, status), 201)


def _list_of(repository: Repository, sha: str) -> list[Status]:
    return [status for status in reversed(repository.statuses) if status.sha == sha]


def list_latest(repository: Repository, sha: str) -> list[Status]:
    """List the newest status of each context, oldest context first."""
    return list({status.context: status for status in reversed(_list_of(repository, sha))}.values())


def list_statuses(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/commits/{ref}/statuses, newest first."""
    repository = call.repository
    statuses = _list_of(repository, _require_sha(call))
    return paginate(call, statuses, lambda status: build_status(repository.urls, status))


def show_combined(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/commits/{ref}/status."""
    repository, sha = call.repository, _require_sha(call)
    urls, latest = repository.urls, list_latest(repository, sha)
    page = paginate(call, latest, lambda status: build_simple_status(urls, status))
    data = {
        "state": _combine([status.state for status in latest]),
        "statuses": page.data,
        "sha": sha,
        "total_count": len(latest),
        "repository": build_minimal_repository(repository),
        "commit_url": urls.build_api("commits", sha),
        "url": urls.build_api("commits", sha, "status"),
    }
    return Answer(data, total=page.total)


def _require_sha(call: Call) -> str:
    sha = resolve_commit(call.repository.git, call.path["ref"])
    if sha is None:
        raise build_not_found()
    return sha


def _combine(states: list[str]) -> str:
    if {"error", "failure"} & set(states):
        return "failure"
    return "pending" if "pending" in states or not states else "success"


ROUTES: list[tuple[str, str, Handler]] = [
    ("POST", "/statuses/{sha}", create_status),
    ("GET", "/commits/{ref:path}/status", show_combined),
    ("GET", "/commits/{ref:path}/statuses", list_statuses),
]
