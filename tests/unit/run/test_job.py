"""A run's job: planned work and what a person asked for, in one flat form that queued runs hold across releases."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from include.deploy_ops.core.errors import PermanentError, SealError
from include.deploy_ops.core.plan.work import Action, Verb, Work
from include.deploy_ops.run.job import dump_job, load_job, make_dispatch, make_job, open_conf, read_planned
from include.deploy_ops.run.seals import Seals

HEAD, COMMIT, BASE = "a" * 40, "c" * 40, "b" * 40
WORK = Work(
    Verb.DEPLOY,
    "astro_deploy",
    HEAD,
    "Production",
    "cl1",
    "#7 is due",
    target="production",
    commit=COMMIT,
    pull=7,
    base=BASE,
    observed="d1",
    digest="01234567",
)
CONF: dict[str, Any] = {
    "verb": "deploy",
    "branch": "astro_deploy",
    "head": HEAD,
    "deployment_name": "Production",
    "deployment_id": "cl1",
    "reason": "#7 is due",
    "work": f"target.production~deploy~{HEAD[:12]}~01234567",
    "deploy_type": "dags",
    "person": "",
    "target": "production",
    "commit": COMMIT,
    "ref": "",
    "pull": 7,
    "base": BASE,
    "undoes": "",
    "observed": "d1",
    "is_override": False,
    "wake": True,
    "ends_keep": False,
    "is_dry": False,
    "is_expiry": False,
    "problem": "",
    "approval": None,
    "file": "",
    "skips": [],
    "answers": [],
}
SEALS = Seals("plane", ("token",))


def test_planned_work_becomes_a_flat_conf() -> None:
    job = make_job(Action(WORK, "run"), "dags")
    assert dump_job(job) == CONF
    dispatched = make_dispatch(SEALS, "shop.production", "r~1", job)
    assert dispatched["conf"]["job"] == CONF
    assert open_conf(SEALS, "shop.production", "r~1", json.loads(json.dumps(dispatched["conf"]))) == job


@pytest.mark.parametrize(
    ("dag_id", "run_id", "changes"),
    [
        ("shop.staging", "r~1", {}),
        ("shop.production", "r~2", {}),
        ("shop.production", "r~1", {"job": {**CONF, "head": COMMIT}}),
        ("shop.production", "r~1", {"seal": ""}),
    ],
)
def test_a_conf_counts_for_the_run_that_it_was_made_for(dag_id: str, run_id: str, changes: dict[str, Any]) -> None:
    conf = make_dispatch(SEALS, "shop.production", "r~1", make_job(Action(WORK, "run")))["conf"] | changes
    with pytest.raises(SealError, match="conf of run r~"):
        open_conf(SEALS, dag_id, run_id, conf)


def test_a_conf_is_read_with_keys_that_nobody_knows_and_without_those_of_later_releases() -> None:
    job = read_planned({"job": {**CONF, "later": {"x": 1}}})
    assert dump_job(job) == CONF
    assert (job.slug, job.environment, job.deployed_commit) == ("target.production", "production", COMMIT)
    assert (job.is_forced, job.is_approved) == (False, False)
    needed = ("verb", "branch", "head", "deployment_name", "deployment_id", "reason")
    asked = load_job({key: CONF[key] for key in needed})
    assert (asked.is_forced, asked.is_approved, asked.slug, asked.observed) == (True, False, "astro_deploy", None)


@pytest.mark.parametrize("verb", [Verb.CREATE, Verb.DEPLOY])
@pytest.mark.parametrize("target", ["", "staging"])
def test_what_is_deployed_wakes_a_preview_and_a_target(verb: Verb, target: str) -> None:
    work = Work(verb, "dev-x", HEAD, "Staging", "cl1", "a push", target, observed="", digest="0" * 8)
    assert make_job(Action(work, "run")).wake is True


def test_a_preview_is_woken_by_what_is_deployed_to_it_and_not_by_what_ends_it() -> None:
    deploy = Work(Verb.DEPLOY, "dev-x", HEAD, "shop-dev-x", "cl1", "a push", observed="", digest="0" * 8)
    assert make_job(Action(deploy, "run")).wake is True
    due = datetime(2026, 11, 1, tzinfo=UTC)
    end = Work(Verb.DELETE, "dev-x", HEAD, "shop-dev-x", "cl1", "idle", observed="", digest="0" * 8, due_at=due)
    job = make_job(Action(end, "run"))
    assert (job.wake, job.is_expiry) == (False, True)


@pytest.mark.parametrize("conf", [{}, {"job": None}, {"job": {"verb": "deploy"}}, {"job": {**CONF, "verb": "bake"}}])
def test_a_conf_without_a_job_is_no_job(conf: dict[str, Any]) -> None:
    with pytest.raises(PermanentError, match="without a job in its conf"):
        read_planned(conf)
