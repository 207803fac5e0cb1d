"""A GitHub in memory, of which one write may go wrong, and somebody who tells it what rows say."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from include.deploy_ops.core.errors import RateLimitError, RetryableError, WriteRefusedError, WriteUnknownError
from include.deploy_ops.core.feedback.comparison import compare_feedback
from include.deploy_ops.core.feedback.values import Facts, GithubDeploymentState
from include.deploy_ops.hooks.github.feedback_answers import FoundComment
from include.deploy_ops.operators.feedback.writer import FeedbackResult, FeedbackWriter
from include.deploy_ops.run.memory import Memory
from tests.worlds.doubles.airflow import DictStore
from tests.worlds.values.feedback_examples import NOW, make_facts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.deploy_ops.core.view.row import Row
    from include.deploy_ops.hooks.github.feedback import GithubFeedbackHook

US = 1


class CrashError(BaseException):
    """The worker was killed."""


@dataclass
class Trouble:
    """What goes wrong with the `number`-th write (0 is the first), and whether GitHub did it all the same."""

    number: int = -1
    error: BaseException | None = None
    is_done: bool = False
    lasts: int = 1


@dataclass
class FakeGithub:
    """Comments by id as (pull request, text), statuses by commit and context, GitHub Deployments with their states.

    `others` are the comments of another account.
    """

    trouble: Trouble = field(default_factory=Trouble)
    comments: dict[int, tuple[int, str]] = field(default_factory=dict)
    statuses: dict[tuple[str, str], str] = field(default_factory=dict)
    deployments: dict[int, tuple[str, str, str]] = field(default_factory=dict)
    states: dict[int, list[GithubDeploymentState]] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    sent_at: list[datetime] = field(default_factory=list)
    refuses: dict[str, BaseException] = field(default_factory=dict)
    others: set[int] = field(default_factory=set)
    environments: set[str] = field(default_factory=set)
    now: datetime = NOW

    def __post_init__(self) -> None:
        self._ids = itertools.count(100)

    def _write(self, what: str, act: Any) -> Any:
        number = len(self.writes)
        self.writes.append(what)
        self.sent_at.append(self.now)
        if (error := self.refuses.get(what)) is not None:
            raise error
        trouble = self.trouble
        if trouble.error is None or not trouble.number <= number < trouble.number + trouble.lasts:
            return act()
        if trouble.is_done:
            act()
        raise trouble.error

    def find_comment(self, pull: int, marker: str) -> FoundComment | None:
        found = (
            FoundComment(key, text, US, 0)
            for key, (number, text) in self.comments.items()
            if number == pull and key not in self.others
        )
        return next((each for each in found if each.body.startswith(marker)), None)

    def create_comment(self, pull: int, body: str) -> int:
        def act() -> int:
            self.comments[key := next(self._ids)] = (pull, body)
            return key

        return int(self._write("comment", act))

    def edit_comment(self, comment_id: int, body: str) -> bool:
        def act() -> bool:
            if comment_id not in self.comments or comment_id in self.others:
                return False
            self.comments[comment_id] = (self.comments[comment_id][0], body)
            return True

        return bool(self._write("edit", act))

    def set_status(self, sha: str, context: str, state: str, description: str, target_url: str) -> None:
        self._write("status", lambda: self.statuses.update({(sha, context): state}))

    def find_deployment(self, environment: str, sha: str, mark: str) -> tuple[int, GithubDeploymentState | None] | None:
        found = [key for key, each in self.deployments.items() if each == (environment, sha, mark)]
        return (found[-1], self.states[found[-1]][-1] if self.states[found[-1]] else None) if found else None

    def create_deployment(self, environment: str, sha: str, mark: str, **flags: bool) -> int:
        def act() -> int:
            self.deployments[key := next(self._ids)] = (environment, sha, mark)
            self.environments.add(environment)
            self.states[key] = []
            return key

        return int(self._write("deployment", act))

    def add_deployment_state(self, deployment_id: int, environment: str, state: GithubDeploymentState) -> None:
        def act() -> None:
            if deployment_id not in self.deployments:
                raise WriteRefusedError("HTTP 404: Not Found", 404)
            self.states[deployment_id].append(state)

        self._write("state", act)

    def has_strangers(self, environment: str, mark: str) -> bool:
        return any(found == environment and other != mark for found, _, other in self.deployments.values())

    def delete_environment(self, environment: str) -> None:
        def act() -> None:
            if environment not in self.environments:
                raise WriteRefusedError("HTTP 404: Not Found", 404)
            self.environments.remove(environment)

        self._write("environment", act)

    def list_newest_states(self) -> dict[tuple[str, str], str]:
        """Return the newest state of each environment's commit."""
        shown = {each[:2]: self.states[key] for key, each in self.deployments.items()}
        return {key: states[-1].state for key, states in shown.items() if states}


@dataclass
class World:
    """GitHub, what is remembered, and rows; time passes by sleeping alone."""

    github: FakeGithub = field(default_factory=FakeGithub)
    store: DictStore = field(default_factory=DictStore)
    facts: Facts = field(default_factory=make_facts)

    @property
    def memory(self) -> Memory:
        """What is remembered."""
        return Memory(self.store)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.github.now += timedelta(seconds=seconds)

    def tell(self, rows: Mapping[str, Row], *, is_fresh: bool = False) -> FeedbackResult:
        """Let one run tell."""
        github = cast("GithubFeedbackHook", self.github)
        writer = FeedbackWriter(github, self.memory, self.facts, lambda: self.github.now, self.sleep)
        return writer.write(rows, is_fresh=is_fresh)

    def tell_until_done(self, rows: Mapping[str, Row], runs_max: int = 6) -> None:
        """Let run after run tell until nothing is missing; a minute lies between two."""
        for _ in range(runs_max):
            try:
                self.tell(rows)
            except (CrashError, RetryableError):
                self.sleep(60)
            if not self.list_missing(rows):
                return
            self.sleep(60)
        raise AssertionError(f"still missing after {runs_max} runs: {self.list_missing(rows)}")

    def list_missing(self, rows: Mapping[str, Row]) -> list[str]:
        """Return what is not told yet."""
        plan = compare_feedback(rows, self.memory.feedback.read(), self.facts, self.github.now)
        return [str(write) for write in plan.writes]


UNKNOWN = WriteUnknownError("no whole answer")
LIMIT = RateLimitError("slow down", 30)
INVALID = WriteRefusedError("HTTP 422: Validation Failed", 422)
