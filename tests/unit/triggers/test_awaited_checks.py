"""A check that ends wakes control once; what does not change costs no quota, and what fails holds up nothing else."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from include.deploy_ops.core.errors import ObservationError, RateLimitError, TokenRefusedError
from include.deploy_ops.core.versioned import wrap_value
from include.deploy_ops.hooks.github.commit_checks import CheckPage, CommitChecks, read_commit_checks
from include.deploy_ops.hooks.github.http import UnavailableError
from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
from include.deploy_ops.triggers import awaited_checks
from include.deploy_ops.triggers.awaited_checks import (
    AWAITED_KEY,
    HEADS_MAX,
    STORED_LENGTH_MAX,
    CheckWatch,
    read_awaited,
    write_awaited,
)
from include.deploy_ops.triggers.repository import RepositoryTrigger
from tests.unit.triggers.test_repository import POLL_S, Store, Watch, github, told
from tests.worlds.doubles.github import PULLS, REPO, GithubDouble, Reply, make_pull, make_sha

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["github", "told"]

HEAD, OTHER = make_sha("head"), make_sha("other")
States = dict[str, str]


def make_checks(states: States, blind: str = "") -> CommitChecks:
    page = CheckPage(url="status", etag="e", next_url=None, states=tuple(states.items()))
    return CommitChecks(pages=(page,), blind=blind)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> dict[str, States | Exception]:
    """How checks stand, or what goes wrong, by commit."""
    found: dict[str, States | Exception] = {}

    def read(_: Any, sha: str, known: CommitChecks, *, is_blind: bool) -> CommitChecks:
        assert is_blind is bool(known.blind)
        answer = found[sha]
        if isinstance(answer, Exception):
            raise answer
        return make_checks(answer, known.blind)

    monkeypatch.setattr(awaited_checks, "read_commit_checks", read)
    return found


def look(watch: CheckWatch, awaited: dict[str, CommitChecks]) -> tuple[bool, Exception | None]:
    return watch.look(cast("DeployOpsGithubHook", None), awaited)


def test_a_check_that_stands_otherwise_than_control_knows_is_news_once(world: dict[str, States]) -> None:
    watch, awaited = CheckWatch(["ci/*"]), {HEAD: make_checks({"ci/test": "pending", "docs": "pending"})}
    world[HEAD] = {"ci/test": "pending", "docs": "success"}
    assert look(watch, awaited) == (False, None)  # nobody waits for docs
    world[HEAD] = {"ci/test": "success"}
    assert look(watch, awaited) == (True, None)
    assert look(watch, awaited) == (False, None)
    assert look(watch, {HEAD: make_checks(world[HEAD])}) == (False, None)  # control has seen it
    world[HEAD] = {"ci/test": "pending"}
    assert look(watch, {HEAD: make_checks({"ci/test": "success"})}) == (True, None)


def test_a_check_that_ends_again_after_it_was_begun_anew_is_news_again(world: dict[str, States]) -> None:
    watch, awaited = CheckWatch(["ci"]), {HEAD: make_checks({"ci": "pending"})}
    told = []
    for state in ("success", "pending", "success", "success"):
        world[HEAD] = {"ci": state}
        told.append(look(watch, awaited)[0])
    assert told == [True, False, True, False]  # a pass may have come only when it was begun anew


def test_what_ended_before_the_first_look_is_news(world: dict[str, States]) -> None:
    world[HEAD] = {"ci": "success"}
    assert look(CheckWatch(["ci"]), {HEAD: make_checks({"ci": "pending"})}) == (True, None)


def test_of_what_control_left_no_word_the_first_look_is_the_base(world: dict[str, States]) -> None:
    watch, awaited = CheckWatch(["*"]), {HEAD: CommitChecks()}
    world[HEAD] = {"ci": "pending"}
    assert [look(watch, awaited)[0] for _ in range(2)] == [False, False]
    for state in ("success", "pending", "success"):
        world[HEAD] = {"ci": state}
        assert [look(watch, awaited)[0] for _ in range(2)] == [True, False]


def test_one_commit_that_cannot_be_read_hides_no_other(world: dict[str, States | Exception]) -> None:
    awaited = {HEAD: make_checks({}), OTHER: make_checks({})}
    world |= {HEAD: ObservationError("malformed"), OTHER: {"ci": "success"}}
    is_news, problem = look(CheckWatch(["*"]), awaited)
    assert (is_news, str(problem)) == (True, "malformed")


@pytest.mark.parametrize(
    "error", [UnavailableError("down"), RateLimitError("slow down", 60), TokenRefusedError("expired")]
)
def test_where_github_does_not_answer_nobody_is_asked_about_more(
    error: Exception, world: dict[str, States | Exception]
) -> None:
    awaited = {HEAD: make_checks({}), OTHER: make_checks({})}
    world[HEAD] = error  # the other would raise KeyError
    assert look(CheckWatch(["*"]), awaited) == (False, error)


def test_what_is_awaited_no_longer_is_forgotten(world: dict[str, States]) -> None:
    watch = CheckWatch(["*"])
    world[HEAD] = {"ci": "pending"}
    look(watch, {HEAD: make_checks(world[HEAD])})
    assert watch.count_requests() == 1
    look(watch, {})
    assert (watch.seen, watch.count_requests()) == ({}, 0)


def test_what_is_stored_is_bounded_and_read_again() -> None:
    small = make_checks({"ci": "pending"}, "blind")
    found = {HEAD: small, OTHER: make_checks({f"check {number}": "success" for number in range(5000)})}
    heads = [HEAD, OTHER, HEAD, *(make_sha(number) for number in range(HEADS_MAX))]
    stored = json.loads(json.dumps(write_awaited(heads, found)))
    assert len(json.dumps(stored)) < STORED_LENGTH_MAX
    known = read_awaited(stored)
    assert list(known) == list(dict.fromkeys(heads))[:HEADS_MAX]
    assert (known[HEAD], known[OTHER]) == (small, CommitChecks())


@pytest.mark.parametrize("stored", [None, "x", [], {"version": 99, "value": {}}, wrap_value({HEAD: 7}), wrap_value(7)])
def test_what_cannot_be_read_counts_as_nothing(stored: Any) -> None:
    assert read_awaited(stored) == {}


def test_more_than_is_ever_stored_is_not_believed() -> None:
    assert len(read_awaited(wrap_value({make_sha(number): {} for number in range(1000)}))) == HEADS_MAX


STATUSES = f"{REPO}/commits/{HEAD}/status?per_page=100"
RUNS = f"{REPO}/commits/{HEAD}/check-runs?filter=latest&per_page=100"


def put_checks(github: GithubDouble, state: str, ours: str = "pending") -> None:
    contexts = {"ci/test": state, "deploy-ops/preview": ours}
    listed = [{"context": name, "state": each} for name, each in contexts.items()]
    github.answers |= {STATUSES: Reply({"statuses": listed}), RUNS: Reply({"check_runs": []})}


def leave_awaited() -> Store:
    """Return the store as a pass leaves it that has just read the checks."""
    hook = DeployOpsGithubHook("github_default", "acme/pipes")
    found = {HEAD: read_commit_checks(hook, HEAD, CommitChecks())}
    hook.close()
    return Store(**{AWAITED_KEY: write_awaited([HEAD], found)})


def play(github: GithubDouble, scenario: Callable[[Watch], Any], store: Store) -> None:
    async def run() -> None:
        trigger = RepositoryTrigger("pipes", "github_default", "acme/pipes", "main", POLL_S, check_patterns=["ci/*"])
        trigger.asset_state_store = cast("Any", store)
        events = Watch(trigger, github)
        try:
            assert (await events.next_payload())["reason"] == "started"
            await scenario(events)
        finally:
            await events.stop()

    asyncio.run(run())


def test_a_check_that_ends_wakes_control_and_until_then_nothing_is_spent(github: GithubDouble) -> None:
    put_checks(github, "pending")
    store = leave_awaited()
    github.asked.clear()

    async def scenario(events: Watch) -> None:
        assert await events.is_quiet_until(lambda: len(github.statuses(RUNS)) > 3)
        assert {*github.statuses(STATUSES), *github.statuses(RUNS)} == {304}
        put_checks(github, "pending", ours="success")  # what we say ourselves wakes nobody
        start = len(github.statuses(RUNS))
        assert await events.is_quiet_until(lambda: len(github.statuses(RUNS)) > start + 3)
        put_checks(github, "success")
        payload = await events.next_payload()
        assert (payload["reason"], bool(payload["cursor"])) == ("changed", True)
        start = len(github.statuses(RUNS))
        assert await events.is_quiet_until(lambda: len(github.statuses(RUNS)) > start + 3)

    play(github, scenario, store)


def test_checks_that_cannot_be_read_hold_up_no_branch(github: GithubDouble, told: list[str]) -> None:
    put_checks(github, "pending")
    store = leave_awaited()
    github.answers[RUNS] = Reply({"message": "down"}, 502)

    async def scenario(events: Watch) -> None:
        assert await events.is_quiet_until(lambda: len(github.statuses(RUNS)) > 1)
        github.answers[PULLS] = Reply([make_pull(2), make_pull(1)])
        assert (await events.next_payload())["reason"] == "changed"
        put_checks(github, "success")
        assert (await events.next_payload())["reason"] == "changed"

    play(github, scenario, store)
    assert any("looking at checks failed" in line and "HTTP 502" in line for line in told)


def test_while_nothing_is_awaited_nobody_is_asked(github: GithubDouble) -> None:
    async def scenario(events: Watch) -> None:
        assert await events.is_quiet()

    play(github, scenario, Store(**{AWAITED_KEY: write_awaited([], {})}))
    assert not any("/commits/" in asked.path for asked in github.asked)
