"""RepositoryTrigger against a scripted GitHub: one event per real change, none for noise, and it never gives up."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from include.deploy_ops.hooks.github.http import Quota
from include.deploy_ops.run.sights import HEALTH_KEY
from include.deploy_ops.triggers import repository
from include.deploy_ops.triggers.repository import (
    REQUESTS_PER_MINUTE_MAX,
    RepositoryTrigger,
    align_pause_s,
    choose_interval_s,
)
from tests.worlds.doubles.github import (
    BRANCHES,
    COMMENTS,
    PULLS,
    REPO,
    TOKEN,
    GithubDouble,
    Reply,
    connect,
    make_comment,
    make_pull,
    make_ref,
    make_sha,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from airflow.triggers.base import TriggerEvent


POLL_S = 0.02
PATIENCE_S = 10.0  # for what must come; nothing waits that long unless it fails


class Store:
    """Airflow's asset state store in memory."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    async def aget(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        self.values[key] = value


class Watch:
    """A running trigger: the next event, or the certainty that none comes."""

    def __init__(self, trigger: RepositoryTrigger, github: GithubDouble) -> None:
        self._trigger = trigger
        self._github = github
        self._events: AsyncIterator[TriggerEvent] = trigger.run()
        self._next: asyncio.Task[TriggerEvent] | None = None

    async def next_payload(self) -> dict[str, Any]:
        event = await asyncio.wait_for(asyncio.shield(self._ask()), PATIENCE_S)
        self._next = None
        return cast("dict[str, Any]", event.payload)

    async def is_quiet(self) -> bool:
        """Tell whether three whole polls go by without an event; each begins with the pull requests."""
        start = len(self._github.statuses(PULLS))
        return await self.is_quiet_until(lambda: len(self._github.statuses(PULLS)) >= start + 4)

    async def is_quiet_until(self, is_over: Callable[[], bool]) -> bool:
        async with asyncio.timeout(PATIENCE_S):
            while not is_over():
                done, _ = await asyncio.wait({self._ask()}, timeout=0.01)
                if done:
                    return False
        return True

    async def stop(self) -> None:
        task = self._ask()
        task.cancel()
        await asyncio.wait({task})
        await self._trigger.cleanup()

    def _ask(self) -> asyncio.Task[TriggerEvent]:
        if self._next is None:
            self._next = asyncio.ensure_future(cast("Coroutine[Any, Any, TriggerEvent]", anext(self._events)))
        return self._next


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[GithubDouble]:
    with GithubDouble() as double:
        connect(monkeypatch, host=double.api_url, password=TOKEN)
        monkeypatch.setattr(repository, "FIRST_BACKOFF_S", 0.01)
        monkeypatch.setattr(repository, "REQUESTS_PER_MINUTE_MAX", 1e9)
        double.answers[BRANCHES] = Reply([make_ref("main"), make_ref("dev-a")])
        double.answers[PULLS] = Reply([make_pull(1)])
        yield double


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what the trigger logs: where it goes is decided by Airflow's logging setup, not by pytest."""
    lines: list[str] = []

    class Recorder(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logger = logging.Logger("recorded")  # noqa: LOG001 - of no hierarchy, so of this test alone
    logger.addHandler(Recorder())
    monkeypatch.setattr(RepositoryTrigger, "log", logger)
    return lines


def make_trigger(store: Store | None = None, *, is_listening: bool = False) -> RepositoryTrigger:
    trigger = RepositoryTrigger("pipes", "github_default", "acme/pipes", "main", POLL_S, is_listening=is_listening)
    trigger.asset_state_store = cast("Any", store)
    return trigger


def watch(github: GithubDouble, scenario: Any, store: Store | None = None, *, is_listening: bool = False) -> None:
    """Run the trigger, and beside it `scenario(watch)`."""

    async def play() -> None:
        running = Watch(make_trigger(store, is_listening=is_listening), github)
        try:
            await scenario(running)
        finally:
            await running.stop()

    asyncio.run(play())


def test_serialize_makes_an_equal_trigger() -> None:
    path, kwargs = make_trigger().serialize()
    assert path == "include.deploy_ops.triggers.repository.RepositoryTrigger"
    assert kwargs == {
        "project": "pipes",
        "github_conn_id": "github_default",
        "repository": "acme/pipes",
        "trunk": "main",
        "poll_interval_s": POLL_S,
        "astro_conn_id": "",
        "neighbours": 1,
        "check_patterns": [],
        "is_listening": False,
    }
    newer = {"neighbours", "check_patterns", "is_listening"}
    older = {name: value for name, value in kwargs.items() if name not in newer}
    assert RepositoryTrigger(**older).serialize() == (path, kwargs)
    assert RepositoryTrigger(**kwargs).serialize() == (path, kwargs)
    assert f"{RepositoryTrigger.__module__}.{RepositoryTrigger.__name__}" == path


def test_an_idle_repository_gives_one_event_and_polls_for_nothing(github: GithubDouble) -> None:
    async def scenario(events: Watch) -> None:
        payload = await events.next_payload()
        assert payload["reason"] == "started"
        assert await events.is_quiet()

    watch(github, scenario, Store())
    for path in (BRANCHES, PULLS):
        first, *later = github.statuses(path)
        assert first == 200
        assert len(later) > 2
        assert set(later) == {304}
    assert {asked.path for asked in github.asked} == {BRANCHES, PULLS}


def moved(head: str) -> dict[str, Any]:
    return {"ref": "dev-1", "sha": make_sha(head), "repo": {"id": 7}}


@pytest.mark.parametrize(
    "change",
    [
        {BRANCHES: [make_ref("main"), make_ref("dev-a"), make_ref("dev-b")]},
        {BRANCHES: [make_ref("main")]},
        {BRANCHES: [make_ref("main"), make_ref("dev-a", make_sha("pushed"))]},
        {BRANCHES: [make_ref("main"), make_ref("dev-x", make_sha("dev-a"))]},
        {PULLS: [make_pull(2), make_pull(1)]},
        {PULLS: [make_pull(1, state="closed")]},
        {PULLS: [make_pull(1, state="closed", merged_at="2026-01-02T00:00:00Z")]},
        {PULLS: [make_pull(1, head=moved("pushed"))]},
        {PULLS: [make_pull(1, base={"ref": "main", "repo": {"id": 7}})]},
        {PULLS: [make_pull(1, draft=True)]},
    ],
)
def test_a_real_change_gives_exactly_one_event(change: dict[str, Any], github: GithubDouble) -> None:
    async def scenario(events: Watch) -> None:
        before = await events.next_payload()
        github.answers |= {path: Reply(body) for path, body in change.items()}
        after = await events.next_payload()
        assert after["reason"] == "changed"
        assert after["cursor"] != before["cursor"]
        assert await events.is_quiet()

    watch(github, scenario, Store())


def test_a_comment_or_a_label_gives_none_even_if_it_brings_up_another_page(github: GithubDouble) -> None:
    pulls = [make_pull(number) for number in range(101, 0, -1)]
    github.answers[PULLS] = Reply(pulls[:100])

    async def scenario(events: Watch) -> None:
        await events.next_payload()
        for updated_at in ("2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"):
            commented = make_pull(50, updated_at, title="New title", labels=[{"name": "x"}])
            github.answers[PULLS] = Reply([commented, *(pull for pull in pulls[:100] if pull["number"] != 50)])
            assert await events.is_quiet()
        # Two new ones push the oldest two out of the page; a comment brings one of them back.
        new = [make_pull(103), make_pull(102)]
        github.answers[PULLS] = Reply([*new, *pulls[:98]])
        assert (await events.next_payload())["reason"] == "changed"
        github.answers[PULLS] = Reply([make_pull(3, "2026-01-04T00:00:00Z"), *new, *pulls[:97]])
        assert await events.is_quiet()

    watch(github, scenario, Store())


SPOKEN = "/deploy-ops deploy"


def test_a_word_wakes_once_and_other_comments_never(github: GithubDouble) -> None:
    idle = [make_comment(1, "hello"), make_comment(2, SPOKEN, user={"id": 7, "login": "bot", "type": "Bot"})]
    github.answers[COMMENTS] = Reply(idle)

    async def scenario(events: Watch) -> None:
        await events.next_payload()
        assert await events.is_quiet()
        assert github.statuses(COMMENTS)[0] == 200
        assert set(github.statuses(COMMENTS)[1:]) == {304}  # which costs no quota
        github.answers[COMMENTS] = Reply([make_comment(3, "me too"), *idle])
        assert await events.is_quiet()
        spoken = make_comment(4, SPOKEN)
        github.answers[COMMENTS] = Reply([spoken, *idle])
        payload = await events.next_payload()
        assert (payload["reason"], payload["cursor"]["words"]) == ("changed", [4])
        github.answers[COMMENTS] = Reply([spoken | {"reactions": {"eyes": 1}}, *idle])  # our own sign
        assert await events.is_quiet()

    watch(github, scenario, Store(), is_listening=True)


def test_comments_are_not_asked_for_where_nobody_listens(github: GithubDouble) -> None:
    async def scenario(events: Watch) -> None:
        await events.next_payload()
        assert await events.is_quiet()

    watch(github, scenario, Store())
    assert github.statuses(COMMENTS) == []


@pytest.mark.parametrize("fault", [Reply({"message": "Resource not accessible"}, 403), Reply({}, 502), Reply([{}])])
def test_comments_that_cannot_be_read_keep_nothing_else_up(github: GithubDouble, fault: Reply) -> None:
    github.answers[COMMENTS] = Reply([make_comment(4, SPOKEN)])

    async def scenario(events: Watch) -> None:
        await events.next_payload()
        github.answers[COMMENTS] = fault
        assert await events.is_quiet()
        github.answers[BRANCHES] = Reply([make_ref("main"), make_ref("dev-new")])
        assert (await events.next_payload())["reason"] == "changed"
        github.answers[COMMENTS] = Reply([make_comment(5, SPOKEN), make_comment(4, SPOKEN)])
        assert (await events.next_payload())["cursor"]["words"] == [5, 4]

    watch(github, scenario, Store(), is_listening=True)


def test_a_restarted_trigger_goes_on_with_the_stored_cursor(github: GithubDouble) -> None:
    cursors: list[Any] = []

    async def scenario(events: Watch) -> None:
        payload = await events.next_payload()
        assert payload["reason"] == "started"
        cursors.append(payload["cursor"])
        assert await events.is_quiet()

    watch(github, scenario, Store())
    asked = len(github.asked)
    watch(github, scenario, Store(cursor=json.loads(json.dumps(cursors[0]))))
    assert {request.status for request in github.asked[asked:]} == {304}
    assert cursors[0] == cursors[1]


@pytest.mark.parametrize("cursor", ["junk", {"branches": {}}, {"branches": [{"url": 1}]}])
def test_a_cursor_that_cannot_be_used_costs_requests_only(cursor: Any, github: GithubDouble, told: list[str]) -> None:
    async def scenario(events: Watch) -> None:
        assert (await events.next_payload())["reason"] == "started"
        assert await events.is_quiet()

    watch(github, scenario, Store(cursor=cursor))
    assert github.statuses(BRANCHES)[0] == 200
    assert len([line for line in told if "the stored cursor cannot be used" in line]) == 1


def test_the_trigger_itself_stores_only_how_services_were_seen(github: GithubDouble) -> None:
    store = Store()

    async def scenario(events: Watch) -> None:
        await events.next_payload()
        github.answers[BRANCHES] = Reply([make_ref("main")])
        await events.next_payload()

    watch(github, scenario, store)
    assert store.values.keys() == {HEALTH_KEY}


def test_without_a_state_store_it_works_all_the_same(github: GithubDouble) -> None:
    async def scenario(events: Watch) -> None:
        assert (await events.next_payload())["reason"] == "started"
        github.answers[BRANCHES] = Reply([make_ref("main")])
        assert (await events.next_payload())["reason"] == "changed"

    watch(github, scenario)


def put_pages(github: GithubDouble, *pages: list[dict[str, Any]]) -> None:
    paths = [BRANCHES, *(f"{REPO}/git/matching-refs/heads/?page={number}" for number in range(2, len(pages) + 1))]
    for number, (path, page) in enumerate(zip(paths, pages, strict=True)):
        headers = github.link_to(paths[number + 1]) if number + 1 < len(paths) else {}
        github.answers[path] = Reply(page, headers=headers)


def test_a_large_repository_is_polled_page_by_page_with_a_small_cursor(github: GithubDouble) -> None:
    names = [f"dev-{number:04}" for number in range(1000)]
    pages = [[make_ref(name) for name in names[start : start + 100]] for start in range(0, 1000, 100)]
    put_pages(github, *pages, [make_ref("main")])

    async def scenario(events: Watch) -> None:
        cursor = (await events.next_payload())["cursor"]
        assert len(json.dumps(cursor)) < 8_000
        asked = len(github.asked)
        assert await events.is_quiet()
        assert {request.status for request in github.asked[asked:]} == {304}
        pages[7][3] = make_ref(names[703], make_sha("pushed"))
        put_pages(github, *pages, [make_ref("main")])
        assert (await events.next_payload())["reason"] == "changed"

    watch(github, scenario, Store())


def test_a_page_that_comes_after_a_full_one_is_seen(github: GithubDouble) -> None:
    full = [make_ref("main"), *(make_ref(f"dev-{number}") for number in range(99))]
    put_pages(github, full)

    async def scenario(events: Watch) -> None:
        await events.next_payload()
        put_pages(github, full, [make_ref("dev-new")])
        assert (await events.next_payload())["reason"] == "changed"

    watch(github, scenario, Store())


FAULTS = [
    pytest.param(BRANCHES, Reply(b"<html>proxy</html>"), "not JSON", id="html"),
    pytest.param(BRANCHES, Reply([make_ref("dev-a")]), "lacks trunk 'main'", id="no trunk"),
    pytest.param(BRANCHES, Reply([]), "lacks trunk 'main'", id="no branches"),
    pytest.param(BRANCHES, Reply({"message": "Not Found"}, 404), "repository is gone", id="gone"),
    pytest.param(BRANCHES, Reply({"message": "Bad credentials"}, 401), "revoked", id="bad token"),
    pytest.param(PULLS, Reply(is_dropped=True), "no whole answer", id="dropped"),
    pytest.param(PULLS, Reply({}, 502), "HTTP 502", id="5xx"),
    pytest.param(PULLS, Reply([{"number": 1}]), "no usable", id="missing fields"),
]


@pytest.mark.parametrize(("path", "fault", "words"), FAULTS)
def test_a_failure_is_logged_wakes_nobody_and_is_got_over(
    path: str, fault: Reply, words: str, github: GithubDouble, told: list[str]
) -> None:
    async def scenario(events: Watch) -> None:
        await events.next_payload()
        sound = github.answers[path]
        github.answers[path] = fault
        assert await events.is_quiet()
        github.answers[path] = sound
        assert await events.is_quiet()
        github.answers[BRANCHES] = Reply([make_ref("main"), make_ref("dev-new")])
        assert (await events.next_payload())["reason"] == "changed"

    watch(github, scenario, Store())
    lines = [line for line in told if "polling acme/pipes failed" in line]
    assert len(lines) >= 2
    assert all(words in line and "\n" not in line for line in lines)
    assert not any(TOKEN in line for line in told)


def test_it_starts_when_the_connection_is_made(
    monkeypatch: pytest.MonkeyPatch, github: GithubDouble, told: list[str]
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_GITHUB_DEFAULT")

    async def scenario(events: Watch) -> None:
        assert await events.is_quiet_until(lambda: len(told) >= 2)
        connect(monkeypatch, host=github.api_url, password=TOKEN)
        assert (await events.next_payload())["reason"] == "started"

    watch(github, scenario, Store())


def test_after_a_failure_the_connection_is_read_again(monkeypatch: pytest.MonkeyPatch, github: GithubDouble) -> None:
    async def scenario(events: Watch) -> None:
        await events.next_payload()
        github.answers[PULLS] = Reply({"message": "Bad credentials"}, 401)
        assert await events.is_quiet()
        connect(monkeypatch, host=github.api_url, password=TOKEN[::-1])
        assert await events.is_quiet()

    watch(github, scenario, Store())
    assert github.asked[-1].headers["Authorization"] == f"token {TOKEN[::-1]}"


def test_a_state_store_that_fails_is_got_over(github: GithubDouble) -> None:
    class Failing(Store):
        failures = 2

        async def aget(self, key: str, default: Any = None) -> Any:
            if self.failures:
                self.failures -= 1
                raise ConnectionError("Airflow's API is away")
            return await super().aget(key, default)

    async def scenario(events: Watch) -> None:
        assert (await events.next_payload())["reason"] == "started"

    watch(github, scenario, Failing())


def test_due_work_wakes_once_per_time(github: GithubDouble) -> None:
    store = Store(wake_at=(datetime.now(UTC) + timedelta(hours=1)).isoformat())

    async def scenario(events: Watch) -> None:
        assert (await events.next_payload())["reason"] == "started"
        assert await events.is_quiet()
        for seconds in (5, 4):
            store.values["wake_at"] = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()
            payload = await events.next_payload()
            assert payload["reason"] == "due"
            assert payload["cursor"]["branches"]
            assert await events.is_quiet()

    watch(github, scenario, store)


def test_what_no_pass_heard_is_told_again_until_one_begins(
    github: GithubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "OPEN_AGAIN", timedelta(seconds=0.1))
    store = Store(begun_at=datetime.now(UTC).isoformat())

    async def scenario(events: Watch) -> None:
        assert (await events.next_payload())["reason"] == "started"
        for _ in range(2):  # Airflow dropped the events: control is paused
            assert await events.next_payload() == {"reason": "again", "cursor": None}
        store.values["begun_at"] = datetime.now(UTC).isoformat()  # a pass began
        asked = len(github.statuses(PULLS)) + 12
        assert await events.is_quiet_until(lambda: len(github.statuses(PULLS)) >= asked)
        store.values["wake_at"] = datetime.now(UTC).isoformat()
        assert [(await events.next_payload())["reason"] for _ in range(2)] == ["due", "again"]

    watch(github, scenario, store)


@pytest.mark.parametrize("ahead", [timedelta(minutes=-3), timedelta(minutes=3)])
def test_a_pass_is_heard_whatever_the_clock_of_its_worker_says(
    ahead: timedelta, github: GithubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "OPEN_AGAIN", timedelta(seconds=0.1))
    store = Store(begun_at=(datetime.now(UTC) + ahead).isoformat())

    async def scenario(events: Watch) -> None:
        assert [(await events.next_payload())["reason"] for _ in range(2)] == ["started", "again"]
        store.values["begun_at"] = (datetime.now(UTC) + ahead).isoformat()
        asked = len(github.statuses(PULLS)) + 12
        assert await events.is_quiet_until(lambda: len(github.statuses(PULLS)) >= asked)

    watch(github, scenario, store)


def test_due_work_wakes_although_github_fails(github: GithubDouble, told: list[str]) -> None:
    store = Store()

    async def scenario(events: Watch) -> None:
        assert (await events.next_payload())["reason"] == "started"
        github.answers[PULLS] = Reply({}, 503)
        assert await events.is_quiet_until(lambda: len(told) >= 1)
        store.values["wake_at"] = datetime.now(UTC).isoformat()
        assert (await events.next_payload())["reason"] == "due"
        assert await events.is_quiet_until(lambda: len(told) >= 4)

    watch(github, scenario, store)


@pytest.mark.parametrize("wake_at", ["soon", "2026-01-01T00:00:00", 5, ["x"]])
def test_a_wake_time_that_makes_no_sense_wakes_once_and_is_told(
    wake_at: Any, github: GithubDouble, told: list[str]
) -> None:
    async def scenario(events: Watch) -> None:
        assert [(await events.next_payload())["reason"] for _ in range(2)] == ["started", "due"]
        assert await events.is_quiet()

    watch(github, scenario, Store(wake_at=wake_at))
    assert len([line for line in told if "no ISO 8601 time" in line]) == 1


def test_polling_slows_down_while_the_quota_is_nearly_used_and_says_so(
    github: GithubDouble, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    pauses: list[float] = []

    async def sleep(delay_s: float) -> None:
        pauses.append(delay_s)
        await asyncio.sleep(0)

    monkeypatch.setattr(repository, "asyncio", SimpleNamespace(sleep=sleep, to_thread=asyncio.to_thread))
    monkeypatch.setattr(repository, "align_pause_s", lambda interval_s, *_: interval_s)

    def put(remaining: int) -> None:
        reset = int(datetime.now(UTC).timestamp()) + 600
        limits = {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": str(remaining), "X-RateLimit-Reset": str(reset)}
        github.answers[BRANCHES] = Reply([make_ref("main")], headers=limits)
        github.answers[PULLS] = Reply([make_pull(1)], headers=limits)

    async def scenario(events: Watch) -> None:
        put(10)
        await events.next_payload()
        assert await events.is_quiet()
        assert set(pauses) == {60.0}
        put(4000)
        assert await events.is_quiet()
        assert pauses[-1] == POLL_S

    watch(github, scenario, Store())
    assert len([line for line in told if "slowed down, polling acme/pipes" in line]) == 1
    assert len([line for line in told if "back to polling acme/pipes" in line]) == 1


@pytest.mark.parametrize(
    ("remaining", "reset_in_s", "interval_s"),
    [(249, 600, 60), (249, 20, 20), (249, 5, 10), (249, -5, 10), (250, 600, 10), (0, 600, 60)],
)
def test_the_interval_follows_the_quota(remaining: int, reset_in_s: int, interval_s: float) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert choose_interval_s(10, Quota(5000, remaining, now + timedelta(seconds=reset_in_s)), now) == interval_s


def test_projects_of_one_repository_share_their_looks(github: GithubDouble) -> None:
    async def play() -> int:
        crowd = [Watch(make_trigger(Store()), github) for _ in range(10)]
        try:
            assert [(await each.next_payload())["reason"] for each in crowd] == ["started"] * 10
            before = len(github.statuses(PULLS))
            quiet = await asyncio.gather(*(each.is_quiet() for each in crowd))
            assert quiet == [True] * 10
            looks = len(github.statuses(PULLS)) - before
            github.answers[BRANCHES] = Reply([make_ref("main"), make_ref("dev-a"), make_ref("dev-b")])
            assert [(await each.next_payload())["reason"] for each in crowd] == ["changed"] * 10
            return looks
        finally:
            for each in crowd:
                await each.stop()

    assert asyncio.run(play()) < 10  # each waits for four looks; alone they would be 40


def test_many_repositories_of_one_token_are_polled_within_its_requests_per_minute(
    github: GithubDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "REQUESTS_PER_MINUTE_MAX", REQUESTS_PER_MINUTE_MAX)
    trigger = RepositoryTrigger("pipes", "github_default", "acme/pipes", "main", 10.0, neighbours=50)

    async def look() -> None:
        running = Watch(trigger, github)
        try:
            await running.next_payload()
        finally:
            await running.stop()

    asyncio.run(look())
    requests = len(github.statuses(PULLS)) + len(github.statuses(BRANCHES))
    assert 50 * requests * 60 / trigger._choose_usual_s() <= REQUESTS_PER_MINUTE_MAX
    assert trigger._choose_usual_s() == 20.0


@pytest.mark.parametrize("now_s", [0.0, 1.0, 1_700_000_003.25])
def test_those_who_look_at_one_thing_do_so_at_one_time(now_s: float) -> None:
    pause_s = align_pause_s(10.0, "acme/pipes", now_s)
    assert 0 < pause_s <= 10
    assert align_pause_s(10.0, "Acme/Pipes", now_s + pause_s) == pytest.approx(10.0)
    assert align_pause_s(10.0, "acme/shop", now_s) != pytest.approx(pause_s)


def test_the_interval_is_the_policys_where_no_quota_is_stated() -> None:
    assert choose_interval_s(10, None, datetime(2026, 1, 1, tzinfo=UTC)) == 10
