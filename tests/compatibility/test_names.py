"""The names by which Airflow, Astro and GitHub hold what is ours: DAGs, tasks, assets, marks, notes, comments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.feedback.values import gather_facts
from include.deploy_ops.core.history import read_commit
from include.deploy_ops.core.model import Deploy, DeployKind, DeployStatus
from include.deploy_ops.core.naming import name_deployment, parse_mark, parse_note
from include.deploy_ops.core.preview.ownership import is_own
from include.deploy_ops.core.promotion.message import is_own_commit, parse_trailers
from include.deploy_ops.hooks.github.feedback_answers import MARK_KEY
from include.deploy_ops.operators.answer import load_answer
from include.deploy_ops.operators.request.request import write_comment
from include.deploy_ops.run.job import load_job
from tests.compatibility.samples import list_samples, read_samples, take

if TYPE_CHECKING:
    from collections.abc import Mapping

MARKS = "marks_and_notes.json"


@pytest.mark.parametrize("dag_id", list_samples("names.json", "dags"))
def test_a_dag_and_its_tasks_and_fields_are_still_there(dag_id: str, dags: Mapping[str, Any]) -> None:
    before = read_samples("names.json")["dags"][dag_id]
    assert set(before["tasks"]) <= dags[dag_id].task_dict.keys()
    assert set(before["params"]) <= dags[dag_id].params.keys()


@pytest.mark.parametrize("part", ["inlets", "outlets"])
def test_a_task_still_has_its_assets(part: str, dags: Mapping[str, Any]) -> None:
    for place, before in read_samples("names.json")[part].items():
        dag_id, _, task_id = place.partition("/")
        task = dags[dag_id].task_dict[task_id]
        assert set(before) <= {asset.name for asset in getattr(task, part)}, place


def test_assets_aliases_watchers_and_pools_keep_their_names(dags: Mapping[str, Any]) -> None:
    names = read_samples("names.json")
    tasks = [task for dag in dags.values() for task in dag.tasks]
    assets = [asset for task in tasks for asset in (*(task.inlets or ()), *(task.outlets or ()))]
    assert {*names["assets"], *names["aliases"]} <= {asset.name for asset in assets}
    watchers = {watcher.name for asset in assets for watcher in getattr(asset, "watchers", ())}
    assert set(names["watchers"]) <= watchers
    assert set(names["pools"]) <= {task.pool for task in tasks}


def test_no_part_of_the_names_is_passed_over() -> None:
    assert read_samples("names.json").keys() == {"dags", "assets", "aliases", "inlets", "outlets", "pools", "watchers"}
    parts = {"marks", "no marks", "notes", "no notes", "commits", "no commits", "comments", "github deployments"}
    assert read_samples(MARKS).keys() == parts | {"statuses"}


def get_scope(dags: Mapping[str, Any]) -> Any:
    return take(dags, "data_platform.preview", "claim").scope


@pytest.mark.parametrize("name", list_samples(MARKS, "marks"))
def test_a_deployment_is_still_ours(name: str, dags: Mapping[str, Any]) -> None:
    scope, mark = get_scope(dags), parse_mark(read_samples(MARKS)["marks"][name])
    assert mark is not None
    assert is_own(mark, scope.control_plane, scope.project) == (mark.project == "data_platform")
    assert name in {name_deployment(mark.project, mark.branch), "gone-a"}
    assert len(mark.template) == 12


@pytest.mark.parametrize("name", list_samples(MARKS, "no marks"))
def test_a_deployment_of_nobody_is_still_nobodys(name: str) -> None:
    assert parse_mark(read_samples(MARKS)["no marks"][name]) is None


def make_record(description: str) -> Deploy:
    made = datetime(2026, 1, 1, tzinfo=UTC)
    return Deploy("d", "cl", DeployStatus.DEPLOYED, DeployKind.DAG_ONLY, made, description)


@pytest.mark.parametrize("name", list_samples(MARKS, "notes"))
def test_a_deploy_record_still_says_what_was_deployed(name: str) -> None:
    description = read_samples(MARKS)["notes"][name]
    note = parse_note(description)
    assert note is not None
    assert (note.how, note.is_forced) == (name.split(maxsplit=1)[0], name.split(maxsplit=1)[0] != "planned")
    assert note.is_override == (note.how == "override")
    assert read_commit(make_record(description)) == note.commit
    assert f" commit={note.commit} " in description
    assert f" head={note.head} " in description
    assert note.needle in description
    assert note.attempt == 1
    assert (note.person != "") == note.is_forced


@pytest.mark.parametrize("name", list_samples(MARKS, "no notes"))
def test_a_strangers_record_is_still_a_strangers(name: str) -> None:
    assert parse_note(read_samples(MARKS)["no notes"][name]) is None


@pytest.mark.parametrize("name", list_samples(MARKS, "commits"))
def test_a_commit_of_the_deploy_branch_is_still_ours(name: str) -> None:
    commit = read_samples(MARKS)["commits"][name]
    trailers = parse_trailers(commit["message"])
    assert trailers is not None
    assert is_own_commit(commit["message"], commit["tree"], "acme-demo", "data_platform")
    assert not is_own_commit(commit["message"], "0" * 40, "acme-demo", "data_platform")
    assert commit["message"].count("Deploy-Ops-Pull-Request: ") == len(trailers.pulls)


@pytest.mark.parametrize("name", list_samples(MARKS, "no commits"))
def test_a_strangers_commit_is_still_a_strangers(name: str) -> None:
    commit = read_samples(MARKS)["no commits"][name]
    assert not is_own_commit(commit["message"], commit["tree"], "acme-demo", "data_platform")


def make_facts(dags: Mapping[str, Any]) -> Any:
    scope = get_scope(dags)
    return gather_facts(scope.project, scope.control_plane, is_alone=True, airflow_url="", web_url="")


@pytest.mark.parametrize("name", list_samples(MARKS, "comments"))
def test_a_comment_is_found_again_by_its_marker(name: str, dags: Mapping[str, Any]) -> None:
    comment = read_samples(MARKS)["comments"][name]
    if "job" not in comment:
        assert comment["body"].startswith(make_facts(dags).mark_comment(comment["pull"]))
        return
    job, answer = load_job(comment["job"]), load_answer(comment["answer"])
    marker = comment["body"].splitlines()[-1]
    assert marker.startswith("<!-- deploy-ops request ")
    assert write_comment(job, answer, comment["dag_id"], comment["run_id"], marker) == comment["body"]


@pytest.mark.parametrize("name", list_samples(MARKS, "github deployments"))
def test_a_github_deployment_is_still_ours(name: str, dags: Mapping[str, Any]) -> None:
    found = read_samples(MARKS)["github deployments"][name]
    slug = {"staging": "target.staging", "production": "target.production"}.get(name, name.removeprefix("preview/"))
    assert found["payload"] == {MARK_KEY: make_facts(dags).mark_deployment(slug)}
    assert found["environment"] == name


@pytest.mark.parametrize("name", list_samples(MARKS, "statuses"))
def test_a_commit_status_keeps_its_context(name: str, dags: Mapping[str, Any]) -> None:
    status = read_samples(MARKS)["statuses"][name]
    assert make_facts(dags).name_context(name) == status["context"]
