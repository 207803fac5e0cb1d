"""What is missing gets told within GitHub's limits, and no write that goes wrong leaves anything wrong behind."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.deploy_ops.core.errors import RetryableError, WriteRefusedError
from include.deploy_ops.core.feedback.budget import NOTED_AT_ONCE, WRITES_PER_HOUR_MAX
from include.deploy_ops.core.feedback.comparison import LACK_REMEMBERED
from include.deploy_ops.core.feedback.text import render_comment
from include.deploy_ops.core.feedback.values import Kind, key_comment, key_deployment, key_lack
from include.deploy_ops.core.view.row import Row, State
from tests.worlds.stages.feedback_world import (
    INVALID,
    LIMIT,
    UNKNOWN,
    CrashError,
    FakeGithub,
    Trouble,
    World,
)
from tests.worlds.values.feedback_examples import A, B, C, make_failed, make_flight, make_live, make_row, make_target

if TYPE_CHECKING:
    from collections.abc import Mapping

X, Y = "dev-x", "dev-y"
ROWS = {X: make_live(A), "target.production": make_target(deployed=B, state=State.LIVE)}


def vary(slug: str) -> st.SearchStrategy[Row | None]:
    """Return a strategy for what an environment may be like."""
    own = {"slug": slug, "environment": slug, "branch": slug}
    pulls = (1,) if slug == X else (1, 3)
    shapes = [
        make(commit, **own, pull=pulls[0], pulls=pulls)
        for make in (make_live, make_failed, make_flight)
        for commit in (A, B)
    ]
    shapes += [make_row(**own), make_row(**own, state=State.HELD, head=C), make_live(C, **own, pull=0, pulls=())]
    shapes += [make_live(A, **own, state=State.REMOVED), make_flight(A, "delete", **own, deployed=A)]
    return st.none() | st.sampled_from(shapes)


WORLDS = st.lists(st.tuples(vary(X), vary(Y)), min_size=1, max_size=4).map(
    lambda found: [{row.slug: row for row in rows if row is not None} for rows in found]
)
TROUBLES = st.builds(
    Trouble,
    st.integers(0, 12),
    st.sampled_from([UNKNOWN, LIMIT, CrashError()]),
    st.booleans(),
    st.integers(1, 4),
).map(lambda trouble: replace(trouble, is_done=trouble.is_done and trouble.error is not LIMIT))


def assert_told(world: World, rows: Mapping[str, Row]) -> None:
    """Fail unless GitHub says what the rows say."""
    github, facts = world.github, world.facts
    per_pull = Counter(pull for pull, _ in github.comments.values())
    assert not per_pull or max(per_pull.values()) == 1
    texts = dict(github.comments.values())
    for pull in {number for row in rows.values() for number in row.pulls}:
        assert texts[pull] == render_comment(facts, pull, [row for row in rows.values() if pull in row.pulls])
    active: dict[str, set[str]] = {}
    for (environment, sha), state in github.list_newest_states().items():
        if state == "success":
            active.setdefault(environment.removeprefix("preview/"), set()).add(sha)
    expected = {
        slug: {row.deployed}
        for slug, row in rows.items()
        if row.deployed
        and row.state is not State.REMOVED
        and not (row.run_id and row.head == row.deployed and row.verb == "deploy")
    }
    assert active == expected
    gone = {f"preview/{slug}" for slug, row in rows.items() if row.state is State.REMOVED}
    assert not gone & github.environments
    assert {environment for environment, _ in github.list_newest_states()} - gone <= github.environments | {
        f"preview/{slug}" for slug in (X, Y) if slug not in rows
    }
    live = {(row.head, "deploy-ops/preview") for row in rows.values() if row.state is State.LIVE}
    assert all(github.statuses[key] in {"success", "failure", "pending", "error"} for key in live)


@settings(max_examples=40)
@given(WORLDS, TROUBLES)
def test_github_says_what_the_rows_say_whatever_one_write_did(worlds: list[dict[str, Row]], trouble: Trouble) -> None:
    world = World(FakeGithub(trouble))
    for rows in worlds[:-1]:
        try:
            world.tell(rows)
        except (CrashError, RetryableError):
            world.sleep(60)
    world.tell_until_done(worlds[-1])
    assert_told(world, worlds[-1])
    sent = len(world.github.writes)
    world.tell(worlds[-1])
    assert len(world.github.writes) == sent


@settings(max_examples=15)
@given(WORLDS)
def test_lost_memory_makes_no_second_comment_and_no_second_deployment(worlds: list[dict[str, Row]]) -> None:
    world = World()
    world.tell_until_done(worlds[-1])
    before = dict(world.github.comments), dict(world.github.deployments), dict(world.github.states)
    world.store.values.clear()
    world.tell_until_done(worlds[-1])
    assert (world.github.comments, world.github.deployments, world.github.states) == before


def test_writes_keep_a_second_between_them_and_stop_at_the_hours_limit() -> None:
    world = World()
    rows = make_fleet(120)
    result = world.tell(rows)
    sent = world.github.sent_at
    assert len(sent) == WRITES_PER_HOUR_MAX
    assert min(later - earlier for earlier, later in pairwise(sent)) >= timedelta(seconds=1)
    assert result.waiting > 0
    assert "limits" in result.pause
    assert world.tell(rows).told == []
    world.sleep(3700)
    assert world.tell(rows).waiting == 0
    assert world.list_missing(rows) == []


def make_fleet(size: int) -> dict[str, Row]:
    """Return the rows of as many live previews."""
    names = {f"d{number}": number for number in range(1, size + 1)}
    return {
        name: make_live(f"{number:040x}", slug=name, environment=name, branch=name, pull=number, pulls=(number,))
        for name, number in names.items()
    }


def test_a_hundred_writes_are_noted_in_tens_and_what_was_not_sent_is_given_back() -> None:
    world = World()
    world.tell(make_fleet(25))
    assert len(world.github.writes) == 100
    assert world.store.written.count("feedback.budget") <= 13, (
        "ten tens, one more for a minute that began, and what is left over"
    )
    assert sum(world.memory.budget.read().minutes.values()) == 100
    assert world.memory.budget.read().last_at == world.github.sent_at[-1]


@pytest.mark.parametrize("number", [0, 1, 8, 9, 10, 11, 37])
@pytest.mark.parametrize("is_done", [True, False])
def test_whoever_dies_at_a_write_has_noted_too_many_rather_than_too_few(number: int, *, is_done: bool) -> None:
    world, rows = World(FakeGithub(Trouble(number, CrashError(), is_done=is_done))), make_fleet(25)
    with pytest.raises(CrashError):
        world.tell(rows)
    sent = world.github.sent_at
    assert len(sent) == number + 1
    assert len(sent) <= sum(world.memory.budget.read().minutes.values()) <= len(sent) + NOTED_AT_ONCE
    world.tell(rows)  # at once
    assert len(sent) >= 100
    assert all(later - earlier >= timedelta(seconds=1) for earlier, later in pairwise(sent))
    assert all(sum(begin <= at < begin + timedelta(minutes=1) for at in sent) <= 60 for begin in sent)


def test_who_dies_again_and_again_stays_below_the_hours_limit() -> None:
    world, rows = World(), make_fleet(120)
    for _ in range(100):
        world.github.trouble = Trouble(len(world.github.writes) + 6, CrashError(), is_done=True)
        try:
            if world.tell(rows).pause:
                break
        except CrashError:
            continue
    assert WRITES_PER_HOUR_MAX / NOTED_AT_ONCE < len(world.github.sent_at) <= WRITES_PER_HOUR_MAX
    assert min(later - earlier for earlier, later in pairwise(world.github.sent_at)) >= timedelta(seconds=1)


def test_a_limit_of_githubs_is_obeyed_by_the_next_run_too() -> None:
    world = World(FakeGithub(Trouble(1, LIMIT)))
    result = world.tell(ROWS)
    assert (len(result.told), result.pause) == (1, "GitHub asks to wait 30 s")
    assert world.tell(ROWS).told == []
    assert len(world.github.writes) == 2
    world.sleep(30)
    assert world.tell(ROWS).waiting == 0


def test_a_refusal_is_forgotten_once_github_takes_that_kind_again() -> None:
    world = World()
    world.github.refuses["status"] = WriteRefusedError("HTTP 403: Resource not accessible", 403)
    world.tell(ROWS)
    assert key_lack(Kind.STATUS) in world.memory.feedback.read()
    del world.github.refuses["status"]
    world.sleep(LACK_REMEMBERED.total_seconds())
    world.tell(ROWS)
    assert key_lack(Kind.STATUS) not in world.memory.feedback.read()


@pytest.mark.parametrize(
    ("what", "kind"), [("status", Kind.STATUS), ("deployment", Kind.DEPLOYMENT), ("comment", Kind.COMMENT)]
)
@pytest.mark.parametrize("status", [403, 404])
def test_a_missing_permission_is_named_once_a_day_and_the_rest_goes_on(
    what: str, kind: Kind, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    world = World()
    world.github.refuses[what] = WriteRefusedError(f"HTTP {status}: Resource not accessible by integration", status)
    result = world.tell(ROWS)
    assert result.lacking.keys() == {kind}
    assert kind.permission in result.lacking[kind]
    assert result.waiting == 0
    assert world.github.writes.count(what) == 1
    assert caplog.text.count("left out") == 1
    others = {"status", "deployment", "comment"} - {what}
    assert others <= set(world.github.writes)
    assert world.tell(ROWS).lacking == {}
    assert world.github.writes.count(what) == 1
    world.sleep(LACK_REMEMBERED.total_seconds())
    assert world.tell(ROWS).lacking.keys() == {kind}
    del world.github.refuses[what]
    world.tell(ROWS, is_fresh=True)
    assert world.list_missing(ROWS) == []


@pytest.mark.parametrize("error", [UNKNOWN, CrashError()])
def test_a_state_with_an_unknown_ending_is_said_anew_when_it_was_meant_no_more(error: BaseException) -> None:
    world = World()
    world.tell_until_done(ROWS)
    world.github.trouble = Trouble(len(world.github.writes), error, is_done=True, lasts=99)
    with pytest.raises((RetryableError, CrashError)):
        world.tell({**ROWS, X: make_row(deployed="")})
    world.github.trouble = Trouble()
    world.sleep(60)
    world.tell_until_done(ROWS)
    assert world.github.list_newest_states()["preview/dev-x", A] == "success"


@pytest.mark.parametrize("error", [UNKNOWN, CrashError()])
def test_what_github_may_have_been_told_counts_as_told_where_nothing_takes_it_back(error: BaseException) -> None:
    world = World(FakeGithub(Trouble(0, error, is_done=True, lasts=99)))
    live = {X: make_live(A)}
    with pytest.raises((RetryableError, CrashError)):
        world.tell(live)
    assert world.github.statuses[A, "deploy-ops/preview"] == "success"
    world.github.trouble = Trouble()
    world.sleep(60)
    world.tell_until_done({X: make_failed(A, state=State.FAILING)})
    assert world.github.statuses[A, "deploy-ops/preview"] == "success", "it never turns to error"


@pytest.mark.parametrize(
    ("error", "anew"),
    [(UNKNOWN, "d1"), (CrashError(), "d9")],  # told, perhaps; not told before there was another Deployment
)
def test_a_preview_that_may_have_been_told_as_removed_stays_so_for_its_pull_request(
    error: BaseException, anew: str
) -> None:
    world = World()
    world.tell_until_done({X: make_live(A, deployment_id="d1")})
    world.github.trouble = Trouble(len(world.github.writes), error, is_done=True, lasts=99)
    gone = make_live(A, state=State.REMOVED, pull=0, pulls=(), deployment_id="")
    with pytest.raises((RetryableError, CrashError)):
        world.tell({X: gone})
    world.github.trouble = Trouble()
    world.sleep(60)
    world.tell_until_done({X: make_live(B, pull=0, pulls=(), deployment_id=anew)})
    ((pull, text),) = world.github.comments.values()
    assert (pull, "**removed**" in text) == (1, True), text


def make_gone() -> dict[str, Row]:
    return {X: make_live(A, state=State.REMOVED), "target.production": make_target(state=State.REMOVED)}


def test_the_environment_of_a_gone_preview_goes_once_and_that_of_a_target_stays() -> None:
    world = World()
    world.tell_until_done(ROWS)
    assert world.github.environments == {"preview/dev-x", "production"}
    world.tell_until_done(make_gone())
    assert world.github.environments == {"production"}
    assert not [key for key in world.memory.feedback.read() if key.startswith("deployment/dev-x/")]
    sent = len(world.github.writes)
    world.tell(make_gone())
    assert len(world.github.writes) == sent
    world.tell_until_done(ROWS)  # the branch came back
    assert world.github.list_newest_states()["preview/dev-x", A] == "success"


@pytest.mark.parametrize("status", [403, 404])
def test_an_environment_that_may_not_be_deleted_is_told_once_and_fails_nothing(status: int) -> None:
    world = World()
    world.tell_until_done(ROWS)
    world.github.refuses["environment"] = WriteRefusedError(f"HTTP {status}: Must have admin rights", status)
    result = world.tell(make_gone())
    told = [*result.refused, *result.lacking.values()]
    assert [each for each in told if "Administration: write" in each] == told != []
    assert not result.failed
    for _ in range(2):
        world.sleep(LACK_REMEMBERED.total_seconds())
        again = world.tell(make_gone())
        assert (again.refused, again.lacking, again.failed) == ([], {}, [])
    assert world.github.writes.count("environment") == 1


def test_an_environment_to_which_others_deployed_stays() -> None:
    world = World()
    world.tell_until_done(ROWS)
    world.github.deployments[1] = ("preview/dev-x", B, "other-plane/shop/dev-x")
    result = world.tell(make_gone())
    assert "others deployed to it, too" in result.refused[0]
    assert "preview/dev-x" in world.github.environments
    assert world.list_missing(make_gone()) == []


def test_an_environment_waits_until_what_runs_in_it_is_retired() -> None:
    world = World()
    world.tell_until_done(ROWS)
    world.github.refuses["state"] = UNKNOWN
    with pytest.raises(RetryableError):
        world.tell(make_gone())
    assert "environment" not in world.github.writes
    del world.github.refuses["state"]
    world.sleep(60)
    world.tell(make_gone())
    assert world.github.environments == {"production"}


def test_an_unknown_commit_is_dropped_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.github.refuses["deployment"] = INVALID
    result = world.tell(ROWS)
    assert len(result.refused) == 2
    assert "is not told: HTTP 422" in caplog.text
    assert world.list_missing(ROWS) == []


def test_a_locked_conversation_is_no_missing_permission() -> None:
    world = World()
    said = "Unable to create comment because issue is locked."
    world.github.refuses["comment"] = WriteRefusedError(f"HTTP 403: {said}", 403, said)
    result = world.tell(ROWS)
    assert result.lacking == {}
    assert len(result.refused) == 2
    assert world.list_missing(ROWS) == []


def test_a_repositorys_name_is_no_locked_conversation() -> None:
    world = World()
    said = "Resource not accessible by integration"
    refusal = WriteRefusedError(f"POST /repos/acme/unlocked/issues/1/comments: HTTP 403: {said}", 403, said)
    world.github.refuses["comment"] = refusal
    assert world.tell(ROWS).lacking.keys() == {Kind.COMMENT}


def test_a_comment_of_the_account_that_we_were_is_left_and_ours_is_made_or_found() -> None:
    world = World()
    world.tell({X: make_live(A)})
    world.github.others = set(world.github.comments)
    texts = dict(world.github.comments)
    for state in (State.HELD, State.WAITING):
        result = world.tell({X: make_live(A, state=state)})
        assert (result.lacking, result.refused) == ({}, [])
        assert [pull for each, (pull, _) in world.github.comments.items() if each not in texts] == [1]
        told, (old,) = world.memory.feedback.read(), texts
        world.memory.feedback.write(told, {**told, key_comment(1): replace(told[key_comment(1)], id=old)})
    assert {old: world.github.comments[old] for old in texts} == texts


@pytest.mark.parametrize("status", [401, 307])
def test_a_wrong_token_or_a_moved_repository_fails_the_run_and_stops_it(status: int) -> None:
    world = World()
    refusal = WriteRefusedError(f"HTTP {status}: Bad", status)
    world.github.refuses |= dict.fromkeys(("status", "deployment", "comment"), refusal)
    with pytest.raises(RetryableError, match="3 of 6 were not told"):
        world.tell(ROWS)
    assert len(world.github.writes) == 3


def test_a_deleted_comment_is_made_anew_and_a_deleted_deployment_too() -> None:
    world = World()
    world.tell(ROWS)
    world.github.comments.clear()
    world.github.deployments.clear()
    rows = {**ROWS, X: make_live(A, airflow_url="https://moved.example", kept="by ann: a demo")}
    world.tell_until_done(rows)
    assert [pull for pull, _ in world.github.comments.values()] == [1]
    assert world.github.list_newest_states()[("preview/dev-x", A)] == "success"
    told = world.memory.feedback.read()
    assert told[key_comment(1)].id in world.github.comments
    assert told[key_deployment(X, A)].id in world.github.deployments


def test_memory_is_written_in_the_shards_that_moved() -> None:
    world = World()
    world.tell(ROWS)
    told = world.memory.feedback.read()
    assert {key.partition("/")[0] for key in told} == {"comment", "status", "deployment"}
    before = dict(world.store.values)
    world.memory.feedback.write(told, {**told, key_comment(1): replace(told[key_comment(1)], id=9)})
    assert sum(before[key] != value for key, value in world.store.values.items()) == 1
    world.memory.feedback_view.write("abc")
    assert world.memory.feedback_view.read() == "abc"
