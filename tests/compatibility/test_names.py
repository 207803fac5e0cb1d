"""The names by which Airflow, Astro and GitHub hold what is ours: DAGs, tasks, assets, marks, notes, comments."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.feedback.commands import mark_reply
from include.deploy_ops.core.feedback.values import gather_facts
from include.deploy_ops.core.history import read_commit
from include.deploy_ops.core.model import Deploy, DeployKind, DeployStatus
from include.deploy_ops.core.naming import name_deployment, parse_mark, parse_note
from include.deploy_ops.core.preview.ownership import is_own
from include.deploy_ops.core.promotion.message import is_own_commit, parse_trailers
from include.deploy_ops.core.template.text import Maker
from include.deploy_ops.core.template.text import is_own_commit as is_own_template
from include.deploy_ops.hooks.github.feedback_answers import MARK_KEY
from include.deploy_ops.operators.answer import load_answer
from include.deploy_ops.operators.request.request import write_comment
from include.deploy_ops.run.job import load_job
from tests.compatibility.samples import NOT_CHOSEN, PROJECT, RELEASES, Release, each_sample, find_release, take

if TYPE_CHECKING:
    from collections.abc import Mapping

MARKS = "marks_and_notes.json"


@pytest.mark.parametrize(("release", "dag_id"), each_sample("names.json", "dags"))
def test_a_dag_and_its_tasks_and_fields_are_still_there(release: Release, dag_id: str, dags: Mapping[str, Any]) -> None:
    before = release.read("names.json")["dags"][dag_id]
    assert set(before["tasks"]) <= dags[dag_id].task_dict.keys()
    asked = {NOT_CHOSEN.get(dag_id.removeprefix(f"{PROJECT}."))}
    assert set(before["params"]) <= {*dags[dag_id].params.keys(), *asked}


@pytest.mark.parametrize("part", ["inlets", "outlets"])
def test_a_task_still_has_its_assets(part: str, release: Release, dags: Mapping[str, Any]) -> None:
    for place, before in release.read("names.json")[part].items():
        dag_id, _, task_id = place.partition("/")
        task = dags[dag_id].task_dict[task_id]
        assert set(before) <= {asset.name for asset in getattr(task, part)}, place


def test_assets_aliases_watchers_and_pools_keep_their_names(release: Release, dags: Mapping[str, Any]) -> None:
    names = release.read("names.json")
    tasks = [task for dag in dags.values() for task in dag.tasks]
    assets = [asset for task in tasks for asset in (*(task.inlets or ()), *(task.outlets or ()))]
    assert {*names["assets"], *names["aliases"]} <= {asset.name for asset in assets}
    watchers = {watcher.name for asset in assets for watcher in getattr(asset, "watchers", ())}
    assert set(names["watchers"]) <= watchers
    assert set(names["pools"]) <= {task.pool for task in tasks}


def test_no_part_of_the_names_is_passed_over(release: Release) -> None:
    assert release.read("names.json").keys() == {"dags", "assets", "aliases", "inlets", "outlets", "pools", "watchers"}
    since = {"commands"} if release.is_sealing else set()
    assert release.read(MARKS)["comments"].keys() == {"feedback", "rejection"} | since
    parts = {"marks", "no marks", "notes", "no notes", "commits", "no commits", "comments", "github deployments"}
    since = {"template commits"} if release.is_sealing else set()
    assert release.read(MARKS).keys() == parts | {"statuses"} | since


def get_scope(dags: Mapping[str, Any]) -> Any:
    return take(dags, "data_platform.preview", "claim").scope


@pytest.mark.parametrize(("release", "name"), each_sample(MARKS, "marks"))
def test_a_deployment_is_still_ours(release: Release, name: str, dags: Mapping[str, Any]) -> None:
    scope, mark = get_scope(dags), parse_mark(release.read(MARKS)["marks"][name])
    assert mark is not None
    assert is_own(mark, scope.control_plane, scope.project) == (mark.project == "data_platform")
    assert name in {name_deployment(mark.project, mark.branch), "gone-a"}
    assert len(mark.template) == 12


@pytest.mark.parametrize(("release", "name"), each_sample(MARKS, "no marks"))
def test_a_deployment_of_nobody_is_still_nobodys(release: Release, name: str) -> None:
    assert parse_mark(release.read(MARKS)["no marks"][name]) is None


def make_record(description: str) -> Deploy:
    made = datetime(2026, 1, 1, tzinfo=UTC)
    return Deploy("d", "cl", DeployStatus.DEPLOYED, DeployKind.DAG_ONLY, made, description)


@pytest.mark.parametrize(("release", "name"), each_sample(MARKS, "notes"))
def test_a_deploy_record_still_says_what_was_deployed(release: Release, name: str) -> None:
    description = release.read(MARKS)["notes"][name]
    note = parse_note(description)
    assert note is not None
    assert (note.how, note.is_forced) == (name.split(maxsplit=1)[0], name.split(maxsplit=1)[0] != "planned")
    assert note.is_override == (note.how == "override")
    assert read_commit(make_record(description)) == note.commit
    assert f" commit={note.commit} " in description
    assert f" head={note.head} " in description
    assert note.needle in description
    assert note.attempt == 1
    assert (note.person != "") == (note.is_forced and not description.partition(": ")[2].startswith("rollback from "))


@pytest.mark.parametrize(("release", "name"), each_sample(MARKS, "no notes"))
def test_a_strangers_record_is_still_a_strangers(release: Release, name: str) -> None:
    assert parse_note(release.read(MARKS)["no notes"][name]) is None


@pytest.mark.parametrize(("release", "name"), each_sample(MARKS, "commits"))
def test_a_commit_of_the_deploy_branch_is_still_ours(release: Release, name: str) -> None:
    commit = release.read(MARKS)["commits"][name]
    trailers = parse_trailers(commit["message"])
    assert trailers is not None
    assert is_own_commit(commit["message"], commit["tree"], "acme-demo", "data_platform")
    assert not is_own_commit(commit["message"], "0" * 40, "acme-demo", "data_platform")
    assert commit["message"].count("Deploy-Ops-Pull-Request: ") == len(trailers.pulls)


@pytest.mark.parametrize(("release", "name"), each_sample(MARKS, "no commits"))
def test_a_strangers_commit_is_still_a_strangers(release: Release, name: str) -> None:
    commit = release.read(MARKS)["no commits"][name]
    assert not is_own_commit(commit["message"], commit["tree"], "acme-demo", "data_platform")


@pytest.mark.parametrize("name", [release.name for release in RELEASES if release.is_sealing])
def test_a_commit_of_the_templates_branch_is_still_ours(name: str) -> None:
    commits = find_release(name).read(MARKS)["template commits"].values()
    maker = Maker("acme-demo", PROJECT, "Production")
    assert commits
    for commit in commits:
        assert is_own_template(commit["message"], commit["tree"], maker)
        assert not is_own_template(commit["message"], "0" * 40, maker)
        assert not is_own_template(commit["message"], commit["tree"], replace(maker, control_plane="another"))


def make_facts(dags: Mapping[str, Any]) -> Any:
    scope = get_scope(dags)
    return gather_facts(scope.project, scope.control_plane, is_alone=True, airflow_url="", web_url="")


@pytest.mark.parametrize(("release", "name"), each_sample(MARKS, "comments"))
def test_a_comment_is_found_again_by_its_marker(release: Release, name: str, dags: Mapping[str, Any]) -> None:
    comment = release.read(MARKS)["comments"][name]
    if "job" not in comment:
        scope = get_scope(dags)
        reply = mark_reply(scope.control_plane, scope.project.name)
        marker = reply if name == "commands" else make_facts(dags).mark_comment(comment["pull"])
        assert comment["body"].startswith(marker)
        return
    job, answer = load_job(comment["job"]), load_answer(comment["answer"])
    marker = comment["body"].splitlines()[-1]
    assert marker.startswith("<!-- deploy-ops request ")
    assert write_comment(job, answer, comment["dag_id"], comment["run_id"], marker) == comment["body"]


@pytest.mark.parametrize(("release", "name"), each_sample(MARKS, "github deployments"))
def test_a_github_deployment_is_still_ours(release: Release, name: str, dags: Mapping[str, Any]) -> None:
    found = release.read(MARKS)["github deployments"][name]
    slug = {"staging": "target.staging", "production": "target.production"}.get(name, name.removeprefix("preview/"))
    assert found["payload"] == {MARK_KEY: make_facts(dags).mark_deployment(slug)}
    assert found["environment"] == name


@pytest.mark.parametrize(("release", "name"), each_sample(MARKS, "statuses"))
def test_a_commit_status_keeps_its_context(release: Release, name: str, dags: Mapping[str, Any]) -> None:
    status = release.read(MARKS)["statuses"][name]
    assert make_facts(dags).name_context(name) == status["context"]
