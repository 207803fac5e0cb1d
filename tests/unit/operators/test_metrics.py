"""Metrics: what passes, runs and requests say to Airflow's stats; nothing of it names a branch."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk.observability import stats

from include.deploy_ops.core.plan.outcome import Outcome
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.verification.verdict import Proof, Verification
from include.deploy_ops.core.view.row import Row, RowKind, State
from include.deploy_ops.hooks import metrics as hook_metrics
from include.deploy_ops.operators.metrics import count_run, count_verification, gauge_pass
from include.deploy_ops.run.job import Job
from include.deploy_ops.triggers.repository import RepositoryTrigger
from tests.worlds.doubles.stats import StatsDouble, keep_stats
from tests.worlds.stages.fixtures import Log
from tests.worlds.stages.stage import WRITES, Stage

BRANCH = "dev-x"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
QUOTA = ("deploy_ops.github.quota_left", "connection=github_default")


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[StatsDouble]:
    """Return what Airflow's stats are told, also by a trigger that starts them."""
    hook_metrics.start_stats.cache_clear()
    with keep_stats() as double:
        monkeypatch.setattr(hook_metrics, "get_stats_factory", lambda: lambda: double)
        yield double
    hook_metrics.start_stats.cache_clear()


def asked(service: str) -> tuple[str, ...]:
    """Return the key of the service's requests."""
    return ("deploy_ops.api.requests", f"service={service}")


def make_row(kind: RowKind = RowKind.PREVIEW, state: State = State.LIVE, **changes: Any) -> Row:
    return replace(Row("dev-x", kind, BRANCH, BRANCH, "shop.preview", state, NOW, deployment_id="cl1"), **changes)


def make_outcome(**changes: Any) -> Outcome:
    done = Outcome("r", "shop.preview", "deploy", "success", NOW, seconds=12.5, kind="dags", push_s=30.0)
    return replace(done, **changes)


def test_a_pass_says_what_it_saw(kept: StatsDouble) -> None:
    rows = [
        make_row(),
        make_row(state=State.ASLEEP, status="HIBERNATING"),
        make_row(state=State.WAITING, deployment_id=""),
        make_row(state=State.FAILED),
        make_row(state=State.FAILING),
        make_row(RowKind.TARGET, State.HELD),
        make_row(RowKind.TARGET, State.FROZEN, status="HIBERNATING"),
    ]
    gauge_pass("shop", rows, datetime.now(UTC) - timedelta(seconds=2))
    assert kept.gauges == {
        ("deploy_ops.previews.live", "project=shop"): 4,
        ("deploy_ops.previews.hibernating", "project=shop"): 1,
        ("deploy_ops.environments.held", "project=shop"): 2,
        ("deploy_ops.environments.failed", "project=shop"): 2,
    }
    (seconds,) = kept.timings["deploy_ops.pass.duration", "project=shop"]
    assert 2 <= seconds < 10


@pytest.mark.parametrize(
    ("verb", "target", "outcome", "key"),
    [
        (Verb.DEPLOY, "", make_outcome(), ("kind=preview", "project=shop", "state=success", "type=dags")),
        (
            Verb.DEPLOY,
            "production",
            make_outcome(state="failed", kind="image-and-dags", push_s=0.0),
            ("kind=target", "project=shop", "state=failed", "type=image-and-dags"),
        ),
        (
            Verb.CREATE,
            "",
            make_outcome(state="superseded", kind="", push_s=0.0),
            ("kind=preview", "project=shop", "state=superseded", "type=unknown"),
        ),
    ],
)
def test_a_deploy_is_counted_by_type_and_ending(
    verb: Verb, target: str, outcome: Outcome, key: tuple[str, ...], kept: StatsDouble, stage: Stage
) -> None:
    count_run(stage.scope, make_job(verb, target=target), outcome)
    assert dict(kept.counts) == {("deploy_ops.deploys", *key): 1}
    tags = tuple(each for each in key if not each.startswith("state="))
    is_done = outcome.state == "success"
    assert kept.timings == (
        {("deploy_ops.deploy.duration", *tags): [12.5], ("deploy_ops.push_to_deploy", *tags): [30.0]} if is_done else {}
    )


def make_job(verb: Verb, **changes: Any) -> Any:
    from include.deploy_ops.run.job import Job

    return replace(Job(verb, BRANCH, "1" * 40, "shop-dev-x", "cl1", "because", work="w"), **changes)


def test_what_deployed_or_deleted_nothing_is_not_counted(kept: StatsDouble, stage: Stage) -> None:
    count_run(stage.scope, make_job(Verb.DEPLOY), make_outcome(kind="none"))
    count_run(stage.scope, make_job(Verb.UPDATE), make_outcome(kind=""))
    count_run(stage.scope, make_job(Verb.DELETE), make_outcome(state="failed"))
    for verb in (Verb.DEPLOY, Verb.DELETE):
        count_run(stage.scope, make_job(verb, is_dry=True), make_outcome())
        count_run(replace(stage.scope, is_dry=True), make_job(verb), make_outcome())
    assert kept.all_keys == set()
    count_run(stage.scope, make_job(Verb.DELETE), make_outcome(kind=""))
    assert dict(kept.counts) == {("deploy_ops.deletes", "project=shop"): 1}


def test_a_life_is_counted_as_the_services_count_it(kept: StatsDouble, stage: Stage) -> None:
    head = stage.push(BRANCH)
    stage.forget_requests()
    (run,) = stage.plan()
    assert kept.counts[asked("astro")] == len(stage.list_requests("astro")) > 0  # from here on the CLI asks it, too
    assert "failed" not in run.play().values()
    stage.plan()
    of_api = [each for each in stage.list_requests("github") if "/api/v3/" in each]  # Git's own are none
    assert kept.counts[asked("github")] == len(of_api) > 0
    assert kept.counts[asked("registry")] == len(stage.list_requests("registry", ("HEAD", "GET", *WRITES))) > 0
    deploys = {key: count for key, count in kept.counts.items() if key[0] == "deploy_ops.deploys"}
    tags = ("kind=preview", "project=shop")
    assert deploys == {("deploy_ops.deploys", *tags, "state=success", "type=image-and-dags"): 1}
    assert len(kept.timings["deploy_ops.deploy.duration", *tags, "type=image-and-dags"]) == 1
    assert kept.gauges["deploy_ops.previews.live", "project=shop"] == 1
    assert 0 < kept.gauges[QUOTA] < 5000
    told = re.compile(f"{BRANCH}|{head[:7]}|acme")
    assert [key for key in kept.all_keys if any(told.search(part) for part in key)] == []


def test_the_trigger_that_polls_counts_too(kept: StatsDouble, stage: Stage) -> None:
    stats.initialize(factory=forbid, export_legacy_names=False)  # in a trigger's process nobody did
    stage.forget_requests()
    trigger = RepositoryTrigger("shop", "github_default", stage.scope.project.repository, "main", 0.01)

    async def poll() -> None:
        assert (await anext(trigger.run())).payload["reason"] == "started"
        await trigger.cleanup()

    asyncio.run(poll())
    assert kept.counts[asked("github")] == len(stage.list_requests("github")) > 0
    assert kept.gauges[QUOTA] > 0


def forbid() -> Any:
    raise AssertionError("the trigger started no stats")


def test_without_a_backend_nothing_is_said_and_nothing_warned(log: Log, stage: Stage) -> None:
    hook_metrics.start_stats.cache_clear()
    hook_metrics.start_stats()
    stage.plan()
    count_run(stage.scope, make_job(Verb.DEPLOY), make_outcome())
    written = [
        line for line in log.read().splitlines() if re.search(r"stats|deploy_ops\.(api|deploys)", line, re.IGNORECASE)
    ]
    assert written == []


def test_verdicts_are_counted_by_what_they_came_to(kept: StatsDouble, stage: Stage) -> None:
    for target, kind in (("", "preview"), ("production", "target")):
        job = Job(Verb.DEPLOY, BRANCH, "1" * 40, "shop", "clsome", "why", target)
        count_verification(stage.scope, job, Verification("d1", "1" * 40, Proof.FAILED, NOW, "1 import error", 41.5))
        tags = (f"kind={kind}", "project=shop", "proof=failed")
        assert kept.counts["deploy_ops.verifications", *tags] == 1
        assert kept.timings["deploy_ops.verify.duration", *tags] == [41.5]
