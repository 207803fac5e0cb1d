"""RepositoryTrigger tells how GitHub and Astro are seen, looks each minute at least, and wakes after an outage."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from include.deploy_ops.core.view import health
from include.deploy_ops.core.view.health import ASTRO, GITHUB, Sight
from include.deploy_ops.hooks import patience
from include.deploy_ops.run.sights import HEALTH_KEY, dump_sights, read_sights
from include.deploy_ops.triggers import repository
from include.deploy_ops.triggers.repository import PROBE_INTERVAL_S, RepositoryTrigger
from tests.unit.triggers.test_repository import PATIENCE_S, Store, Watch, github, told
from tests.worlds.doubles.astro import AstroDouble, make_deployment, serve_list
from tests.worlds.doubles.astro import Reply as AstroReply
from tests.worlds.doubles.github import BRANCHES, PULLS, GithubDouble, Reply, make_ref

__all__ = ["github", "told"]
FLEET = serve_list("deployments", [])
SECRET = "hunter2-of-a-library"  # noqa: S105 - planted


@pytest.fixture
def astro(monkeypatch: pytest.MonkeyPatch) -> Iterator[AstroDouble]:
    """Return an Astro whose outages are over at once: everything that waits, waits for milliseconds."""
    with AstroDouble() as double:
        monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", double.connection())
        monkeypatch.setattr(patience, "FIRST_RETRY_S", 0.001)
        monkeypatch.setattr(repository, "PROBE_INTERVAL_S", 0.02)
        monkeypatch.setattr(health, "OUTAGE_MIN", timedelta(0))
        double.say("deployments", FLEET)
        yield double


def make_trigger(store: Any, astro_conn_id: str = "astro_default") -> RepositoryTrigger:
    trigger = RepositoryTrigger("pipes", "github_default", "acme/pipes", "main", 0.02, astro_conn_id)
    trigger.asset_state_store = store
    return trigger


def play(trigger: RepositoryTrigger, double: GithubDouble, scenario: Any) -> None:
    async def run() -> None:
        running = Watch(trigger, double)
        try:
            await scenario(running)
        finally:
            await running.stop()

    asyncio.run(run())


async def wait_for(store: Store, name: str, is_so: Any) -> Sight:
    """Return how the service is seen, once that is so."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            seen = read_sights(store.values.get(HEALTH_KEY)).get(name)
            if seen is not None and is_so(seen):
                return seen
            await asyncio.sleep(0.005)


def is_failing(seen: Sight) -> bool:
    return seen.since is not None


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("service", [GITHUB, ASTRO])
def test_an_outage_is_seen_with_its_cause_and_its_end_wakes_control(
    service: str, github: GithubDouble, astro: AstroDouble
) -> None:
    store = Store()

    async def scenario(events: Watch) -> None:
        assert (await events.next_payload())["reason"] == "started"
        well = await wait_for(store, service, lambda seen: seen.well_at is not None)
        if service == GITHUB:
            github.answers[PULLS] = Reply({}, 503)
        else:
            astro.say("deployments", AstroReply({}, 503))
        failing = await wait_for(store, service, is_failing)
        assert failing.said.startswith(f"{service} fails since {failing.since:%Y-%m-%d %H:%M} UTC: GET ")
        assert "HTTP 503" in failing.said
        assert failing.well_at is not None
        assert well.well_at is not None
        assert failing.well_at >= well.well_at
        assert failing.next_at is not None
        (other,) = {GITHUB, ASTRO} - {service}
        assert not is_failing(read_sights(store.values[HEALTH_KEY])[other])
        github.answers[PULLS] = Reply([])
        astro.say("deployments", FLEET)
        payload = await events.next_payload()
        assert payload["reason"] == "recovered"
        assert payload["cursor"]["branches"]
        assert not is_failing(await wait_for(store, service, lambda seen: not is_failing(seen)))

    play(make_trigger(store), github, scenario)


@pytest.mark.usefixtures("told")
def test_an_outage_goes_on_where_the_trigger_is_restarted(github: GithubDouble, astro: AstroDouble) -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    store = Store(health=dump_sights({GITHUB: Sight(since, since=since, cause="x", said="y")}))
    github.answers[PULLS] = Reply({}, 503)

    async def scenario(events: Watch) -> None:
        assert await events.is_quiet_until(lambda: "503" in str(store.values))
        assert read_sights(store.values[HEALTH_KEY])[GITHUB].since == since

    play(make_trigger(store), github, scenario)


def test_pauses_grow_to_a_minute_and_only_a_rate_limit_asks_for_more(
    github: GithubDouble, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    pauses: list[float] = []

    async def sleep(delay_s: float) -> None:
        pauses.append(delay_s)
        await asyncio.sleep(0)

    monkeypatch.setattr(repository, "asyncio", SimpleNamespace(sleep=sleep, to_thread=asyncio.to_thread))
    monkeypatch.setattr(repository, "FIRST_BACKOFF_S", 2.0)
    github.answers[PULLS] = Reply({}, 503)

    async def scenario(events: Watch) -> None:
        assert await events.is_quiet_until(lambda: len(pauses) >= 12)
        assert PROBE_INTERVAL_S / 2 <= pauses[9] <= max(pauses) <= PROBE_INTERVAL_S == 60
        github.answers[PULLS] = Reply({}, 429, headers={"Retry-After": "600"})
        assert await events.is_quiet_until(lambda: 600 in pauses)

    play(make_trigger(Store(), ""), github, scenario)
    assert any("trying again in 600 s" in line for line in told)


def test_a_policy_that_polls_rarely_is_probed_each_minute_all_the_same() -> None:
    trigger = RepositoryTrigger("pipes", "github_default", "acme/pipes", "main", 3600)
    assert trigger._choose_interval_s() == PROBE_INTERVAL_S


@pytest.mark.usefixtures("astro", "told")
def test_words_of_a_library_stay_in_the_log(github: GithubDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()

    def look(*_: Any) -> None:
        raise ValueError(SECRET)

    monkeypatch.setattr(RepositoryTrigger, "_look", look)

    async def scenario(events: Watch) -> None:
        assert await events.is_quiet_until(lambda: GITHUB in str(store.values))
        assert read_sights(store.values[HEALTH_KEY])[GITHUB].cause == "ValueError; see the triggerer's log"
        assert SECRET not in str(store.values)

    play(make_trigger(store), github, scenario)


def test_a_store_that_takes_nothing_keeps_no_event_back(
    github: GithubDouble, astro: AstroDouble, told: list[str]
) -> None:
    class Full(Store):
        async def aset(self, key: str, value: Any) -> None:
            raise ConnectionError("Airflow's API is away")

    async def scenario(events: Watch) -> None:
        assert (await events.next_payload())["reason"] == "started"
        github.answers[BRANCHES] = Reply([make_ref("main")])
        assert (await events.next_payload())["reason"] == "changed"

    play(make_trigger(Full()), github, scenario)
    assert any("writing how services were seen failed" in line for line in told)
    assert not any("polling acme/pipes failed" in line for line in told)
    assert astro.asked


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    "change",
    [
        {"status": "UNHEALTHY"},
        {"desiredDagTarballVersion": "v0"},
        {"imageTag": "deploy-0"},
        {"status": "HIBERNATING"},
        {"environmentVariables": []},
    ],
)
def test_what_somebody_changes_in_astro_wakes_control_once(
    change: dict[str, Any], github: GithubDouble, astro: AstroDouble
) -> None:
    astro.say("deployments", serve_list("deployments", [make_deployment(), make_deployment(id="cldep2", name="b")]))

    async def scenario(events: Watch) -> None:
        assert (await events.next_payload())["reason"] == "started"
        seen = len(astro.asked)
        moved = [make_deployment(id="cldep2", name="b"), make_deployment(updatedAt="2026-01-04T03:04:05.678Z")]
        astro.say("deployments", serve_list("deployments", moved))
        assert await events.is_quiet_until(lambda: len(astro.asked) >= seen + 3)
        astro.say("deployments", serve_list("deployments", [make_deployment(**change), moved[0]]))
        assert (await events.next_payload())["reason"] == "changed"
        seen = len(astro.asked)
        assert await events.is_quiet_until(lambda: len(astro.asked) >= seen + 3)

    play(make_trigger(Store()), github, scenario)


@pytest.mark.usefixtures("told")
def test_pauses_grow_while_astro_fails(
    github: GithubDouble, astro: AstroDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []

    def choose(_: Exception, failures: int, *__: float) -> float:
        counts.append(failures)
        return 0.001

    monkeypatch.setattr(repository, "choose_backoff_s", choose)
    astro.say("deployments", AstroReply({}, 503))

    async def scenario(events: Watch) -> None:
        assert (await events.next_payload())["reason"] == "started"
        assert await events.is_quiet_until(lambda: len(counts) >= 4)

    play(make_trigger(Store()), github, scenario)
    assert counts[:4] == [1, 2, 3, 4]


@pytest.mark.usefixtures("told")
def test_what_astro_showed_before_the_first_look_that_succeeds_is_looked_at(
    github: GithubDouble, astro: AstroDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "OUTAGE_MIN", timedelta(hours=1))  # so short that no pass failed by it
    astro.say("deployments", AstroReply({}, 503))
    store = Store()

    async def scenario(events: Watch) -> None:
        assert (await events.next_payload())["reason"] == "started"
        await wait_for(store, ASTRO, is_failing)
        astro.say("deployments", FLEET)
        assert (await events.next_payload())["reason"] == "changed"
        seen = len(astro.asked)
        assert await events.is_quiet_until(lambda: len(astro.asked) >= seen + 3)

    play(make_trigger(store), github, scenario)


@pytest.mark.usefixtures("told")
def test_an_edit_of_the_astro_connection_counts_although_nothing_failed(
    github: GithubDouble, astro: AstroDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(events: Watch) -> None:
        assert (await events.next_payload())["reason"] == "started"
        with AstroDouble() as other:
            other.say("deployments", serve_list("deployments", [make_deployment()]))
            monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", other.connection())
            assert (await events.next_payload())["reason"] == "changed"
            assert other.asked
            monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", astro.connection())
            assert (await events.next_payload())["reason"] == "changed"

    play(make_trigger(Store()), github, scenario)


@pytest.mark.usefixtures("told")
def test_what_an_older_release_stored_probes_github_alone(github: GithubDouble, astro: AstroDouble) -> None:
    store = Store()

    async def scenario(events: Watch) -> None:
        await events.next_payload()
        assert await events.is_quiet()

    play(make_trigger(store, ""), github, scenario)
    assert astro.asked == []
    assert read_sights(store.values[HEALTH_KEY]).keys() == {GITHUB}
