"""What a poll or a pass asks of GitHub and Astro, counted by the sandbox's journal, and what it may ask at most."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from include.deploy_ops.triggers.repository import WAKE_AT_KEY, RepositoryTrigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.worlds.stages.stage import Stage

GITHUB_MAX = 5
"""Requests of a pass with a warm cache, besides one per 100 refs (GitHub itself answers all refs at once)."""

ASTRO_MAX = 2
"""Requests of a pass with a warm cache, besides one per Deployment that changed."""


@dataclass(frozen=True, slots=True)
class Spending:
    """How many requests there were; `unchanged` are those to GitHub that it answered 304."""

    github: int
    unchanged: int
    astro: int


def spend(stage: Stage, act: Callable[[], object]) -> Spending:
    """Return what the act asked for."""
    stage.forget_requests()
    act()
    requests = stage.sandbox.client.get("/sandbox/requests").json()["requests"]
    github = [each["status"] for each in requests if each["face"] == "github"]
    astro = [each for each in requests if each["face"] == "astro"]
    return Spending(len(github), github.count(HTTPStatus.NOT_MODIFIED), len(astro))


def list_paid(stage: Stage) -> list[str]:
    """Return what of GitHub's quota was used since requests were forgotten, as `METHOD path` below the repository.

    A 304 costs none, and neither does Git.
    """
    requests = stage.sandbox.client.get("/sandbox/requests").json()["requests"]
    repository = f"/repos/{stage.scope.project.repository}"
    return [
        f"{each['method']} {each['path'].partition(repository)[2]}"
        for each in requests
        if each["face"] == "github" and each["status"] != HTTPStatus.NOT_MODIFIED
    ]


def count_pages(stage: Stage) -> int:
    """Return how many pages of 100 refs there are."""
    return math.ceil(len(stage.author.git("ls-remote", "--heads", "origin").splitlines()) / 100)


def make_trigger(stage: Stage) -> RepositoryTrigger:
    """Return the trigger that watches the project's repository, in a hurry."""
    project = stage.scope.project
    return RepositoryTrigger(project.name, project.github_conn_id, project.repository, project.trunk, 0.001)


def poll(trigger: RepositoryTrigger, polls: int) -> list[str]:
    """Let the trigger poll so many times, and return the reasons of its events."""
    trigger.asset_state_store = _Ending(polls)  # type: ignore[assignment]  # the one method that it uses
    return asyncio.run(_list_reasons(trigger))


async def _list_reasons(trigger: RepositoryTrigger) -> list[str]:
    reasons: list[str] = []
    events = trigger.run()
    try:
        while True:
            reasons.append((await anext(events)).payload["reason"])
    except asyncio.CancelledError:
        return reasons
    finally:
        await trigger.cleanup()


class _Ending:
    """An empty state store that cancels the trigger after so many polls: each asks for the time to wake once."""

    def __init__(self, polls: int) -> None:
        self._left = polls

    async def aget(self, key: str) -> Any:
        """Return None: nothing is stored."""
        self._left -= key == WAKE_AT_KEY
        if self._left < 0:
            raise asyncio.CancelledError
