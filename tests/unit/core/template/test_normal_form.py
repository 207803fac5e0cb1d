"""What of an inspected Deployment belongs into a template: nothing that may be secret, and a file that is valid."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.errors import ObservationError
from include.deploy_ops.core.template.editing import write_file
from include.deploy_ops.core.template.normal_form import CopyRules, make_normal_form
from include.deploy_ops.core.template.template import (
    dump_deployment,
    merge_overrides,
    parse_template,
    render_deployment,
)
from sandbox.cli.deployment_file import read_file
from tests.worlds.values.inspected import KINDS, PRODUCTION_VALUE, make_inspected

NOTHING = CopyRules()
OWN = ("name", "description", "workspace_name", "workload_identity")


def list_variables(document: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    listed = document["deployment"].get("environment_variables", ())
    return {each["key"]: (each["value"], each["is_secret"]) for each in listed}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_one_deployments_own_is_left_out(kind: str) -> None:
    normal = make_normal_form(make_inspected(kind, workload_identity="arn:aws:iam::1:role/prod"), NOTHING)
    text = json.dumps(normal)
    assert not set(OWN) & normal["deployment"]["configuration"].keys()
    assert normal["deployment"].keys() <= {"environment_variables", "configuration", "worker_queues"}
    people = ("Production", "Data Platform", "on-call")
    for own in (*people, "clws", "cm0production", "astronomer", "arn:", "updated_at", "logs", "10.0"):
        assert own not in text, own


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_comes_back_as_a_valid_file_that_a_create_takes(kind: str, tmp_path: Any) -> None:
    normal = make_normal_form(make_inspected(kind), NOTHING)
    text = write_file(normal, ("made by a test",))
    assert yaml.safe_load(text) == normal
    template = merge_overrides(parse_template(text, "preview.yaml"), {"configuration": {"is_development_mode": True}})
    file = tmp_path / "deployment.yaml"
    rendered = render_deployment(template, name="dev-x", description="d", workspace_name="Data Platform")
    file.write_text(dump_deployment(rendered), encoding="utf-8")
    if "STANDARD" in str(template.configuration["deployment_type"]):  # the stand-in makes no others
        read_file(str(file), is_update=False)
    assert template.configuration["executor"] == normal["deployment"]["configuration"]["executor"]
    assert rendered["deployment"].get("worker_queues", []) == normal["deployment"].get("worker_queues", [])


def test_the_pods_of_kubernetes_are_no_queue(tmp_path: Any) -> None:
    normal = make_normal_form(make_inspected("standard, Kubernetes"), NOTHING)
    assert "worker_queues" not in normal["deployment"]


def test_dag_deploys_that_are_off_stay_off_since_a_create_takes_silence_for_on() -> None:
    normal = make_normal_form(make_inspected("standard, silent of DAG deploys"), NOTHING)
    assert normal["deployment"]["configuration"]["dag_deploy_enabled"] is False


def test_values_stay_where_they_are_and_secrets_become_empty_keys() -> None:
    assert list_variables(make_normal_form(make_inspected(), NOTHING)) == {
        "AIRFLOW_CONN_WAREHOUSE": ("", True),
        "API_TOKEN": ("", True),
        "BROKER": ("", True),
        "SMTP_PASSWORD": ("", True),
        "STAGE": ("", False),
    }


def test_a_plain_value_comes_along_where_its_key_is_listed_and_no_other() -> None:
    keys = ("STAGE", "AIRFLOW_CONN_WAREHOUSE", "API_TOKEN", "SMTP_PASSWORD", "BROKER")
    found = list_variables(make_normal_form(make_inspected(), CopyRules(copied=keys)))
    assert {key: value for key, (value, _) in found.items() if value} == {"STAGE": PRODUCTION_VALUE}


def test_a_value_that_looks_like_a_token_stays_where_it_is() -> None:
    rules = CopyRules(copied=("STAGE",), looks_secret=lambda text: text == PRODUCTION_VALUE)
    assert list_variables(make_normal_form(make_inspected(), rules))["STAGE"] == ("", True)


def test_a_secrets_backend_comes_along_only_where_previews_may_inherit_it() -> None:
    key = "AIRFLOW__SECRETS__BACKEND"
    assert key not in list_variables(make_normal_form(make_inspected(), NOTHING))
    found = list_variables(make_normal_form(make_inspected(), CopyRules(copied=(key,), inherited=(key,))))
    assert found[key] == ("", False)


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"deployment": None},
        {"deployment": {"configuration": "SECRET-TEXT"}},
        {"deployment": {"configuration": {}, "environment_variables": [{"value": "SECRET-TEXT"}]}},
        {"deployment": {"configuration": {}, "environment_variables": ["SECRET-TEXT"]}},
        {"deployment": {"configuration": {}, "worker_queues": {"a": "SECRET-TEXT"}}},
    ],
)
def test_another_document_is_refused_without_a_word_of_it(broken: dict[str, Any]) -> None:
    with pytest.raises(ObservationError, match="describes the Deployment with") as caught:
        make_normal_form(broken, NOTHING)
    assert "SECRET-TEXT" not in str(caught.value)


# Texts that cannot stand in a key or a setting by chance.
VALUES = st.text(st.characters(categories=("L", "N", "P")), min_size=3, max_size=20).map(lambda text: f"«{text}»")
KEYS = st.from_regex(r"(?:AIRFLOW_CONN_|AIRFLOW__SECRETS__|TOKEN_)?[A-Z]{1,6}", fullmatch=True)


@st.composite
def inspected(draw: st.DrawFn) -> dict[str, Any]:
    document = make_inspected(draw(st.sampled_from(KINDS)))
    keys = draw(st.lists(KEYS, unique=True, max_size=6))
    document["deployment"]["environment_variables"] = [
        {"is_secret": draw(st.booleans()), "key": key, "value": draw(st.none() | VALUES)} for key in keys
    ]
    return document


@given(inspected(), st.lists(KEYS))
def test_no_value_leaves_but_the_plain_ones_that_are_listed(document: dict[str, Any], copied: list[str]) -> None:
    text = json.dumps(make_normal_form(document, CopyRules(copied=copied)), ensure_ascii=False)
    for each in document["deployment"]["environment_variables"]:
        is_open = each["key"] in copied and not each["is_secret"] and each["key"].isalpha()
        if each["value"] and not is_open:
            others = [other["value"] for other in document["deployment"]["environment_variables"] if other is not each]
            assert each["value"] not in text or each["value"] in others


@given(inspected(), st.lists(KEYS))
def test_the_normal_form_of_a_normal_form_is_itself(document: dict[str, Any], copied: list[str]) -> None:
    rules = CopyRules(copied=copied)
    normal = make_normal_form(document, rules)
    assert make_normal_form(normal, rules) == normal
