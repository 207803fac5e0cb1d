"""Runs that were queued, running or cleared when the release came: their conf says what they were started to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from include.deploy_ops.core.naming import name_run, read_comment
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.text.schema import StrictModel
from include.deploy_ops.operators.cleanup.form import read_cleanup_form, read_orphans_form
from include.deploy_ops.operators.control.what_if import WhatIfForm
from include.deploy_ops.run.forms import (
    PreviewForm,
    PromotionForm,
    RequestForm,
    TargetForm,
    TemplateForm,
    read_form,
)
from include.deploy_ops.run.job import PLANNED_RUN_TYPE, Job, open_conf, read_planned
from tests.compatibility.samples import NOT_CHOSEN, PROJECT, RELEASES, SEALS, OldRun, Release, each_sample, take

if TYPE_CHECKING:
    from collections.abc import Mapping

PLANNED = "planned", "approved", "queued behind a pause"
FORMS: dict[str, type[StrictModel]] = {
    "preview": PreviewForm,
    "promotion": PromotionForm,
    "production.request": RequestForm,
    "staging": TargetForm,
    "template": TemplateForm,
    "production": TargetForm,
}


def each_run(*, by_hand: bool) -> list[Any]:
    """Return release, part and name of the runs that a person started, or of the others."""
    return [
        pytest.param(release, part, name, id=f"{release}: {part}, {name}")
        for release in RELEASES
        for part, runs in release.read("runs.json").items()
        for name, run in runs.items()
        if part != "without conf" and (run["run_type"] == "manual") == by_hand
    ]


def read_job_of(run: Mapping[str, Any]) -> Job:
    assert run["run_type"] == PLANNED_RUN_TYPE
    return read_planned(run["conf"])


@pytest.mark.parametrize(("release", "part", "name"), each_run(by_hand=False))
def test_a_planned_run_does_what_it_was_planned_for(release: Release, part: str, name: str) -> None:
    run = release.read("runs.json")[part][name]
    said, job = run["conf"]["job"], read_job_of(run)
    assert (job.verb, job.branch, job.head) == (Verb(said["verb"]), said["branch"], said["head"])
    assert (job.deployment_name, job.deployment_id) == (said["deployment_name"], said["deployment_id"])
    assert (job.reason, job.person, job.deploy_type) == (said["reason"], said["person"], said["deploy_type"])
    assert (job.target, job.commit, job.pull, job.base) == (said["target"], said["commit"], said["pull"], said["base"])
    assert (job.work, job.observed, job.ref) == (said["work"], said["observed"], said["ref"])
    flags = ("is_override", "wake", "ends_keep", "is_dry", "is_expiry")
    assert [getattr(job, flag) for flag in flags] == [said[flag] for flag in flags]
    assert job.environment == (said["target"] or said["branch"])
    assert job.is_approved == (part == "approved")
    assert run["run_id"].startswith(f"{job.slug}~{'request' if 'request' in run['dag_id'] else job.verb.value}~")
    if part == "begun by a comment":
        assert read_comment(run["run_id"])
    elif part != "approved":
        assert run["run_id"] == name_run(job.work, int(run["run_id"].rpartition("~")[2]))
    if release.is_sealing:
        assert open_conf(SEALS, run["dag_id"], run["run_id"], run["conf"]) == job


@pytest.mark.parametrize(("release", "name"), each_sample("runs.json", "queued behind a pause"))
def test_a_run_that_waited_behind_a_pause_claims_its_environment(
    release: Release, name: str, dags: Mapping[str, Any]
) -> None:
    sample = release.read("runs.json")["queued behind a pause"][name]
    if sample["run_type"] == "manual":
        return  # its form is read below; what it needs of GitHub is read when it runs
    run = OldRun(**sample)
    claim = take(dags, run.dag_id, "claim")
    run.remember(release.read("store.json"))
    if not release.is_sealing:
        with pytest.raises(AirflowFailException, match=r"bears no seal: a release before 0\.3 wrote it"):
            claim.execute(run.make_context(claim))
        run.seal_conf()
    result = claim.execute(run.make_context(claim))
    assert result["branch"] == sample["conf"]["job"]["branch"]
    assert result["head"] == sample["conf"]["job"]["head"]


@pytest.mark.parametrize(("release", "part", "name"), each_run(by_hand=True))
def test_a_form_that_was_sent_is_read(release: Release, part: str, name: str, dags: Mapping[str, Any]) -> None:
    run = release.read("runs.json")[part][name]
    kind = run["dag_id"].removeprefix(f"{PROJECT}.")
    dag = dags[run["dag_id"]]
    params = {key: param.value for key, param in dag.params.items()} | run["conf"]
    assert params.keys() - dag.params.keys() <= {NOT_CHOSEN.get(kind)}, "the form has lost a field that was filled in"
    for key in run["conf"].keys() & dag.params.keys():
        dag.params.get_param(key).resolve(run["conf"][key])  # as Airflow checks it
    if kind == "cleanup":
        project = dag.task_dict["find"].scope.project
        cleanup = read_cleanup_form(params, project, run["run_type"])
        assert (cleanup.dry_run, cleanup.reason) == (run["conf"].get("dry_run", True), run["conf"].get("reason", ""))
        assert cleanup.branches == tuple(run["conf"]["branches"].split("\n"))
        assert cleanup.max_deletes == run["conf"].get("max_deletes")
    elif kind == "what_if":
        assert read_form(WhatIfForm, params).policy == run["conf"]["policy"]
    elif kind == "orphans":
        assert read_orphans_form(params, run["run_type"]).dry_run == run["conf"]["dry_run"]
    else:
        form = read_form(FORMS[kind], params)
        shown = {key: getattr(form, key) for key in run["conf"]}
        assert shown == run["conf"]


@pytest.mark.parametrize(("release", "name"), each_sample("runs.json", "without conf"))
def test_a_run_without_conf_belongs_to_a_dag_that_asks_for_none(
    release: Release, name: str, dags: Mapping[str, Any]
) -> None:
    run = release.read("runs.json")["without conf"][name]
    assert run["conf"] == {}
    assert run["dag_id"] in dags


def test_every_kind_of_run_has_a_sample(release: Release) -> None:
    runs = release.read("runs.json")
    since = {"begun by a comment"} if release.is_sealing else set()
    assert runs.keys() == {*PLANNED, "by form", "without conf"} | since
    verbs = {run["conf"]["job"]["verb"] for run in runs["planned"].values()}
    assert verbs == {"promote", "deploy", "create", "delete", "hibernate", "update", "request", "merge"}
    assert {run["run_type"] for run in runs["queued behind a pause"].values()} == {"manual", PLANNED_RUN_TYPE}
    assert runs["approved"]
