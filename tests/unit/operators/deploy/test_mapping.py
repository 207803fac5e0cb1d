"""What previews.environment maps reaches a preview at create, update and adoption, and leaves when it is unmapped."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskAwaitingInput

from include.deploy_ops.core.environment.rotation import REREAD_AFTER
from include.deploy_ops.core.errors import RetryableError
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.triggers.repository import WAKE_AT_KEY
from tests.worlds.stages.mapping import (
    EXTRA_TOKEN,
    KEY,
    MAPPING,
    PASSWORD,
    SECRET_KEYS,
    LaidFiles,
    map_environment,
    set_source,
)
from tests.worlds.stages.request import answer_request
from tests.worlds.stages.stage import AWAIT_S, WRITES

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Stage

BRANCH = "dev-x"
HOUR = timedelta(hours=1)


@pytest.fixture
def files(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> LaidFiles:
    """Let the policy map, and see what the CLI is given."""
    set_source(monkeypatch)
    map_environment(stage, MAPPING)
    files = LaidFiles()
    files.watch(monkeypatch)
    return files


def list_variables(stage: Stage) -> dict[str, Any]:
    """Return what Astro shows of the preview's variables: no secret's value."""
    return {each["key"]: each for each in stage.find_deployment(BRANCH)["environmentVariables"]}


def test_a_preview_is_made_with_what_is_mapped(stage: Stage, files: LaidFiles) -> None:
    stage.create_preview(BRANCH, stage.push(BRANCH))
    variables = files.read_variables()
    connection = json.loads(variables["AIRFLOW_CONN_WAREHOUSE"]["value"])
    assert (connection["password"], connection["extra"]["token"]) == (PASSWORD, EXTRA_TOKEN)
    assert {key: variables[key]["value"] for key in ("AIRFLOW_VAR_API_KEY", "TOKEN")} == {
        "AIRFLOW_VAR_API_KEY": KEY,
        "TOKEN": PASSWORD,
    }
    assert {key: each["isSecret"] for key, each in list_variables(stage).items()} == {
        **dict.fromkeys(SECRET_KEYS, True),
        "AIRFLOW_VAR_TARGET_SCHEMA": False,
        "STAGE": False,
    }
    shown = list_variables(stage)
    assert (shown["STAGE"]["value"], shown["AIRFLOW_VAR_TARGET_SCHEMA"]["value"]) == (
        "shop",
        f"dev_{variables['AIRFLOW_VAR_TARGET_SCHEMA']['value'].removeprefix('dev_')}",
    )
    assert stage.plan() == []


@pytest.mark.parametrize("value", ["metadata", "deployment_id", "2026", "true", "{[{[", "'-'-"])
def test_a_value_may_be_any_word_that_the_cli_says_itself(
    stage: Stage, files: LaidFiles, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """What hides it in texts does not keep us from reading what the CLI did."""
    set_source(monkeypatch, password=value, key=value)
    stage.create_preview(BRANCH, stage.push(BRANCH))
    assert stage.start_form(branch=BRANCH, action="refresh").play()["update"] == "success"
    assert [yaml.safe_load(text)["deployment"]["environment_variables"][1]["value"] for text in files.texts] == [
        value
    ] * 2


def test_its_file_is_private_and_gone_afterwards(stage: Stage, files: LaidFiles) -> None:
    stage.create_preview(BRANCH, stage.push(BRANCH))
    assert files.rights == [(0o600, 0o700)]
    assert not [path for path in files.paths if path.exists() or path.parent.parent.exists()]


def test_the_rendered_file_tells_the_keys_and_no_value(stage: Stage, files: LaidFiles) -> None:
    del files
    stage.change_project(
        previews={
            "overrides": {"environment_variables": [{"key": "OTHER", "is_secret": True}, {"key": "STAGE", "value": ""}]}
        }
    )
    text = stage.start_planned(Verb.CREATE, BRANCH, stage.push(BRANCH)).step("render_template")
    laid = ", ".join(SECRET_KEYS)
    assert text.splitlines()[:3] == [
        f"# without the values that previews.environment lays in when the Astro CLI is called: {laid}",
        "# from previews.environment in place of the template's own: STAGE",
        "# secrets that nothing fills, empty until a person sets them in Astro: OTHER",
    ]
    variables = {each["key"]: each for each in yaml.safe_load(text)["deployment"]["environment_variables"]}
    assert {variables[key]["value"] for key in SECRET_KEYS} == {""}


def test_an_update_lays_every_value_again_and_keeps_a_persons(
    stage: Stage, files: LaidFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment_id = stage.create_preview(BRANCH, stage.push(BRANCH))
    sent = [
        {key: each[key] for key in ("key", "isSecret", "value") if key in each}
        for each in list_variables(stage).values()
    ]
    stage.edit_deployment(deployment_id, environmentVariables=[*sent, {"key": "MINE", "value": "x", "isSecret": True}])
    before = list_variables(stage)
    set_source(monkeypatch, key="another-key-of-now")
    stage.change_project(previews={"overrides": {"configuration": {"scheduler_size": "MEDIUM"}}})
    (run,) = stage.plan()
    assert "failed" not in run.play().values()
    assert files.read_variables()["AIRFLOW_VAR_API_KEY"]["value"] == "another-key-of-now"
    after = list_variables(stage)
    changed = {key for key in before if before[key]["updatedAt"] != after[key]["updatedAt"]}
    assert changed <= {"AIRFLOW_VAR_API_KEY"}
    assert "value" not in files.read_variables()["MINE"]


def test_another_mapping_is_an_update_and_what_is_unmapped_goes(stage: Stage, files: LaidFiles) -> None:
    stage.create_preview(BRANCH, stage.push(BRANCH))
    map_environment(stage, {"variables": {"api_key": {"variable": "preview_key"}}})
    (run,) = stage.plan()
    assert "failed" not in run.play().values()
    assert list_variables(stage).keys() == {"AIRFLOW_VAR_API_KEY", "STAGE"}
    assert list_variables(stage)["STAGE"]["value"] == "preview"
    assert files.read_variables().keys() == {"AIRFLOW_VAR_API_KEY", "STAGE"}
    assert stage.plan() == []


@pytest.mark.parametrize("verb", ["create", "update"])
@pytest.mark.parametrize("gone", ["AIRFLOW_CONN_PREVIEW_WAREHOUSE", "AIRFLOW_VAR_PREVIEW_KEY"])
def test_what_is_missing_stops_before_the_first_call_and_clears_nothing(
    stage: Stage, files: LaidFiles, monkeypatch: pytest.MonkeyPatch, verb: str, gone: str
) -> None:
    head = stage.push(BRANCH)
    if verb == "update":
        stage.create_preview(BRANCH, head)
        stage.change_project(previews={"overrides": {"configuration": {"scheduler_size": "MEDIUM"}}})
    before = stage.list_deployments()
    monkeypatch.delenv(gone)
    (run,) = stage.plan()
    run.step("claim")
    run.step("render_template")
    stage.forget_requests()
    given = len(files.texts)
    with pytest.raises(RetryableError, match=r"gave no (connection 'preview_warehouse'|variable 'preview_key')"):
        run.step(verb)
    assert run.read_failure(verb)["is_permanent"] is False
    assert (stage.list_requests("astro", WRITES), len(files.texts), stage.list_deployments()) == ([], given, before)


def test_a_policy_that_maps_something_else_by_now_is_rendered_anew(stage: Stage, files: LaidFiles) -> None:
    run = stage.start_planned(Verb.CREATE, BRANCH, stage.push(BRANCH))
    run.step("render_template")
    map_environment(stage, {"connections": {"warehouse": "preview_other"}})
    with pytest.raises(AirflowSkipException, match=r"previews\.environment changed since"):
        run.step("create")
    assert files.texts == []


def test_values_that_are_too_large_are_named_without_them(
    stage: Stage, files: LaidFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_source(monkeypatch, key="c4nary" * 12_000)
    run = stage.start_planned(Verb.CREATE, BRANCH, stage.push(BRANCH))
    run.step("render_template")
    with pytest.raises(RetryableError) as caught:
        run.step("create")
    assert str(caught.value).startswith("the value for AIRFLOW_VAR_API_KEY has 72,000 bytes, and may have 65,536")
    assert files.texts == []


def test_an_adopted_deployment_gets_what_is_mapped(
    stage: Stage, files: LaidFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **_: None)
    stage.push(BRANCH)
    deployment_id = stage.make_deployment(BRANCH, description="made by hand")
    run = stage.start_form(branch=BRANCH, action="adopt")
    run.step("claim")
    run.step("render_template")
    with pytest.raises(TaskAwaitingInput):
        run.step("approve_adoption")
    answer_request(run, "Approve", task_id="approve_adoption")
    assert run.step("adopt") == deployment_id
    assert files.read_variables()["TOKEN"]["value"] == PASSWORD
    assert {*SECRET_KEYS} <= list_variables(stage).keys()


def test_a_template_that_leads_to_productions_secrets_makes_no_preview(stage: Stage) -> None:
    stage.change_project(previews={"overrides": {"configuration": {"workload_identity": "arn:aws:iam::1:role/x"}}})
    stage.push(BRANCH)
    assert stage.plan() == []
    forced = stage.start_form(branch=BRANCH)
    forced.step("claim")
    with pytest.raises(AirflowFailException, match="workload_identity would lead whoever pushes a branch"):
        forced.step("render_template")
    stage.airflow.states.clear()  # that run ended
    stage.change_project(previews={"inherit": ("workload_identity",)})
    (run,) = stage.plan()
    run.step("claim")
    assert "workload_identity" in run.step("render_template")


def test_a_preview_that_is_there_goes_on_with_such_a_template(stage: Stage) -> None:
    stage.create_preview(BRANCH, stage.push(BRANCH))
    stage.change_project(previews={"overrides": {"configuration": {"workload_identity": "arn:aws:iam::1:role/x"}}})
    (run,) = stage.plan()
    assert run.conf["job"]["verb"] == "update"
    run.step("claim")
    assert "workload_identity" in run.step("render_template")


def let_time_pass(stage: Stage) -> None:
    """Let the last reading of what is mapped be an hour old."""
    known = stage.memory.rotation.read()
    assert known is not None
    stage.memory.rotation.write(replace(known, at=known.at - HOUR))


def test_another_value_reaches_a_preview_within_an_hour_and_once(
    stage: Stage, files: LaidFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.create_preview(BRANCH, stage.push(BRANCH))
    assert stage.plan() == []
    set_source(monkeypatch, key="another-key-of-now")
    for _ in range(3):  # as a project in which nothing is open
        assert stage.plan() == []  # it was looked at just now
    wake = datetime.fromisoformat(stage.cursor_store.get(WAKE_AT_KEY)["value"])
    assert datetime.now(UTC) < wake <= datetime.now(UTC) + REREAD_AFTER
    let_time_pass(stage)
    (run,) = stage.plan()
    assert run.conf["job"]["verb"] == "update"
    assert run.conf["job"]["reason"] == "what is mapped changed in the management Airflow: AIRFLOW_VAR_API_KEY"
    assert "failed" not in run.play().values()
    assert files.read_variables()["AIRFLOW_VAR_API_KEY"]["value"] == "another-key-of-now"
    assert stage.plan() == []
    let_time_pass(stage)
    assert stage.plan() == []


def test_a_value_that_is_another_for_each_reader_is_laid_once_for_each_reading(
    stage: Stage, files: LaidFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.create_preview(BRANCH, stage.push(BRANCH))
    assert stage.plan() == []
    set_source(monkeypatch, key="a-lease-of-control-s")
    let_time_pass(stage)
    (run,) = stage.plan()
    set_source(monkeypatch, key="a-lease-of-the-update-s")
    assert "failed" not in run.play().values()
    assert files.read_variables()["AIRFLOW_VAR_API_KEY"]["value"] == "a-lease-of-the-update-s"
    stage.plan()
    known = stage.memory.rotation.read()
    assert known is not None
    assert known.stale == {}


def test_what_waits_for_its_turn_is_not_forgotten_between_readings(
    stage: Stage, files: LaidFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.create_preview(BRANCH, stage.push(BRANCH))
    assert stage.plan() == []
    set_source(monkeypatch, key="another-key-of-now")
    let_time_pass(stage)
    (first,) = stage.plan()
    monkeypatch.delenv("AIRFLOW_VAR_PREVIEW_KEY")  # so that this try fails, and nothing is laid
    first.play()
    assert first.states["update"] == "failed"
    assert len(files.texts) == 1
    set_source(monkeypatch, key="another-key-of-now")
    stage.memory.environment(BRANCH).forget()
    stage.airflow.states.clear()
    (second,) = stage.plan()
    assert second.conf["job"]["verb"] == "update"


def test_a_preview_that_hibernates_gets_new_values_when_it_wakes(
    stage: Stage, files: LaidFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment_id = stage.create_preview(BRANCH, stage.push(BRANCH))
    assert stage.plan() == []
    given = len(files.texts)
    path = f"deployments/{deployment_id}/hibernation-override"
    stage.ask_astro("POST", path, {"isHibernating": True})
    set_source(monkeypatch, key="another-key-of-now")
    let_time_pass(stage)
    assert stage.plan() == []
    assert len(files.texts) == given
    stage.ask_astro("DELETE", path)
    deadline = time.monotonic() + AWAIT_S
    while stage.find_deployment(BRANCH)["status"] == "HIBERNATING":
        assert time.monotonic() < deadline, "it never woke"
    (run,) = stage.plan()
    assert run.conf["job"]["verb"] == "update"


def test_what_cannot_be_read_holds_and_clears_nothing(
    stage: Stage, files: LaidFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.create_preview(BRANCH, stage.push(BRANCH))
    assert stage.plan() == []
    given = len(files.texts)
    monkeypatch.delenv("AIRFLOW_VAR_PREVIEW_KEY")
    let_time_pass(stage)
    assert stage.plan() == []
    row = stage.memory.read_row(BRANCH)
    assert row is not None
    assert "update: the management Airflow gave no variable 'preview_key'" in row.why
    assert len(files.texts) == given
    set_source(monkeypatch)
    let_time_pass(stage)
    assert stage.plan() == []
    row = stage.memory.read_row(BRANCH)
    assert row is not None
    assert row.why == ""


def test_a_lost_memory_costs_one_update_and_no_key_of_a_persons(stage: Stage, files: LaidFiles) -> None:
    deployment_id = stage.create_preview(BRANCH, stage.push(BRANCH))
    add_variable(stage, deployment_id, "MINE")
    before = len(files.texts)
    stage.memory.forget_environment(BRANCH)
    stage.memory.rotation.forget()
    (run,) = stage.plan()
    assert "failed" not in run.play().values()
    assert stage.plan() == []
    assert len(files.texts) == before + 1
    assert {"MINE", *SECRET_KEYS} <= list_variables(stage).keys()


def test_a_memory_from_a_backup_takes_no_key_of_a_persons(stage: Stage, files: LaidFiles) -> None:
    """It says that the key is ours; since then it was mapped no longer, and a person set it."""
    del files
    deployment_id = stage.create_preview(BRANCH, stage.push(BRANCH))
    backup = {slug: dict(store.values) for slug, store in stage.stores.items()}
    map_environment(stage, {"connections": MAPPING["connections"]})
    (run,) = stage.plan()
    assert "failed" not in run.play().values()
    assert "TOKEN" not in list_variables(stage)
    add_variable(stage, deployment_id, "TOKEN")
    for slug, values in backup.items():
        stage.stores[slug].values = dict(values)
    stage.memory.rotation.forget()
    map_environment(stage, {"connections": MAPPING["connections"], "variables": {"more": "x"}})
    (run,) = stage.plan()
    assert "failed" not in run.play().values()
    assert {"TOKEN", "AIRFLOW_VAR_MORE"} <= list_variables(stage).keys()


def add_variable(stage: Stage, deployment_id: str, key: str) -> None:
    """Add a secret as a person does in Astro."""
    known = list_variables(stage).values()
    sent = [{name: each[name] for name in ("key", "isSecret", "value") if name in each} for each in known]
    stage.edit_deployment(deployment_id, environmentVariables=[*sent, {"key": key, "value": "mine", "isSecret": True}])


def test_a_person_refreshes_at_once(stage: Stage, files: LaidFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.create_preview(BRANCH, stage.push(BRANCH))
    set_source(monkeypatch, key="another-key-of-now")
    run = stage.start_form(branch=BRANCH, action="refresh")
    assert "failed" not in run.play().values()
    assert files.read_variables()["AIRFLOW_VAR_API_KEY"]["value"] == "another-key-of-now"
    assert stage.plan() == []


def test_a_dry_refresh_shows_the_keys_and_writes_nothing(stage: Stage, files: LaidFiles) -> None:
    stage.create_preview(BRANCH, stage.push(BRANCH))
    given = len(files.texts)
    run = stage.start_form(branch=BRANCH, action="refresh", dry_run=True)
    run.play()
    document = run.tasks["render_template"].document  # type: ignore[attr-defined]
    assert all(f'"{key}"' in document for key in SECRET_KEYS)
    assert len(files.texts) == given


def test_what_is_not_there_cannot_be_refreshed(stage: Stage) -> None:
    stage.push(BRANCH)
    run = stage.start_form(branch=BRANCH, action="refresh")
    assert run.step("claim")["problem"] == f"'{BRANCH}' has no Deployment; there is nothing to refresh"
