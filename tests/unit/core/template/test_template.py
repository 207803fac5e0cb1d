"""The template: what the CLI prints is read, what it would ignore is refused, and what is written is exact."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from include.deploy_ops.core.errors import TemplateError
from include.deploy_ops.core.model import Deployment, DeploymentStatus, Variable
from include.deploy_ops.core.template.template import (
    Template,
    dump_deployment,
    find_added,
    find_fixed_differences,
    find_missing,
    fingerprint_template,
    list_rendered,
    merge_overrides,
    parse_template,
    render_deployment,
)
from include.deploy_ops.core.text.document import read_document

SOURCE = "deployments/preview.yaml"
# What `astro deployment inspect --template` of the CLI 1.45 prints for a hosted Deployment.
INSPECTED = """\
deployment:
    environment_variables:
        - is_secret: false
          key: STAGE
          updated_at: "2026-11-23T09:00:00Z"
          value: preview
    configuration:
        name: ""
        description: made for a test
        runtime_version: 3.1-14
        dag_deploy_enabled: true
        ci_cd_enforcement: false
        scheduler_size: SMALL
        is_high_availability: false
        is_development_mode: true
        executor: CELERY
        scheduler_count: 1
        workspace_name: Data Platform
        deployment_type: STANDARD
        cloud_provider: AWS
        region: us-east-1
        default_task_pod_cpu: "0.25"
        default_task_pod_memory: 0.5Gi
        resource_quota_cpu: "10"
        resource_quota_memory: 20Gi
        workload_identity: ""
    worker_queues:
        - name: default
          max_worker_count: 10
          min_worker_count: 0
          worker_concurrency: 5
          worker_type: A5
    alert_emails:
        - data@example.com
"""
BODY: dict[str, Any] = yaml.safe_load(INSPECTED)["deployment"]
DEPLOYMENT = Deployment(
    id="clx",
    name="data_platform-dev-x",
    status=DeploymentStatus.HEALTHY,
    description="",
    workspace_id="clw",
    runtime_version="3.1-14",
    image_repository="",
    image_tag="",
    dag_tarball_version="",
    desired_dag_tarball_version="",
    is_dag_deploy_enabled=True,
    is_development_mode=True,
    deployment_type="STANDARD",
    executor="CELERY",
    cloud_provider="AWS",
    region="us-east-1",
    namespace="",
    airflow_url="",
    astro_url="",
    variables=(Variable("STAGE", is_secret=False, value="preview"),),
    contact_emails=("Data@example.com",),
)


def change(path: str, value: object) -> dict[str, Any]:
    """Return the inspected body with one key set, at a dotted path; `...` removes it."""
    body = copy.deepcopy(BODY)
    *above, last = path.split(".")
    place: Any = body
    for key in above:
        place = place[int(key)] if key.isdigit() else place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return body


def parse(body: dict[str, Any]) -> Template:
    return parse_template(json.dumps({"deployment": body}), SOURCE)


def render(template: Template, observed: Deployment | None = None) -> dict[str, Any]:
    document = render_deployment(template, name="p-x", description="mark", workspace_name="W", observed=observed)
    body: dict[str, Any] = document["deployment"]
    return body


def refuse(body: dict[str, Any]) -> str:
    with pytest.raises(TemplateError) as caught:
        parse(body)
    return str(caught.value)


def test_what_the_template_had_and_has_no_longer_goes_and_what_a_person_added_stays() -> None:
    before = parse(change("environment_variables", [{"key": key, "value": "1"} for key in ("GONE", "STAGE")]))
    observed = replace(
        DEPLOYMENT,
        variables=tuple(Variable(key, is_secret=False, value="x") for key in ("BY_HAND", "GONE", "STAGE")),
        contact_emails=("Data@example.com", "mira@example.com"),
    )
    assert list_rendered(before) == ("variable GONE", "variable STAGE", "alert address data@example.com")
    now = parse({key: value for key, value in BODY.items() if key != "alert_emails"})
    assert find_added(now, observed) == (
        *("variable BY_HAND", "variable GONE"),
        *("alert address Data@example.com", "alert address mira@example.com"),
    )
    document = render_deployment(
        now, name="p", description="", workspace_name="W", observed=observed, rendered=list_rendered(before)
    )["deployment"]
    assert [each["key"] for each in document["environment_variables"]] == ["STAGE", "BY_HAND"]
    assert document["alert_emails"] == ["mira@example.com"]
    unknown = render(now, observed)
    assert [each["key"] for each in unknown["environment_variables"]] == ["STAGE", "BY_HAND", "GONE"]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("is_high_availability", True, "a Deployment with high availability does not hibernate"),
        ("scheduler_size", "medium", "found 'medium', and only a SMALL scheduler hibernates"),
    ],
)
def test_what_cannot_hibernate_has_no_schedules_to(key: str, value: object, said: str) -> None:
    body = change(f"configuration.{key}", value)
    body["configuration"]["is_development_mode"] = True
    parse(body)
    body["hibernation_schedules"] = [{"hibernate_at": "0 20 * * *", "wake_at": "0 6 * * *"}]
    assert f"deployment.configuration.{key}: {said}" in refuse(body)
    body["configuration"][key] = {"is_high_availability": False, "scheduler_size": "small"}[key]
    parse(body)


def test_what_inspect_prints_is_read_in_yaml_and_in_json() -> None:
    template = parse_template(INSPECTED, SOURCE)
    assert template == parse_template(json.dumps({"deployment": BODY}, indent=4), SOURCE)
    assert template.description == "made for a test"
    assert template.body["environment_variables"] == [{"key": "STAGE", "is_secret": False, "value": "preview"}]
    assert template.configuration["default_task_pod_cpu"] == "0.25"


WRONG = [
    (
        "configuration.scheduler_siz",
        "SMALL",
        "deployment.configuration.scheduler_siz: unknown key; did you mean 'scheduler_size'?",
    ),
    ("configuration.scheduler_siz", "SMALL", "the CLI would ignore it in silence"),
    ("configuration.hibernation_schedules", [], "it belongs at deployment.hibernation_schedules"),
    ("executor", "CELERY", "deployment.executor: unknown key; it belongs at deployment.configuration.executor"),
    ("metadata", {"status": "HEALTHY"}, "deployment.metadata: unknown key; it describes one Deployment"),
    (
        "worker_queues.0.worker_typ",
        "A5",
        "deployment.worker_queues[0].worker_typ: unknown key; did you mean 'worker_type'?",
    ),
    ("configuration.executor", "celery", "deployment.configuration.executor: found 'celery', expected one of 'CELERY'"),
    ("configuration.executor", ..., "deployment.configuration.executor: it is missing"),
    ("configuration.deployment_type", ..., "deployment.configuration.deployment_type: it is missing"),
    ("configuration.deployment_type", "BIG", "found 'BIG', expected one of STANDARD"),
    (
        "configuration.deployment_type",
        "dedicated",
        "configuration.cluster_name: it is missing, and every Deployment of type DEDICATED",
    ),
    (
        "configuration.region",
        "",
        "deployment.configuration.region: it is missing, and every Deployment of type STANDARD",
    ),
    ("configuration.cloud_provider", "IBM", "found 'IBM', expected one of AWS, AZURE, GCP"),
    ("configuration.runtime_version", ..., "deployment.configuration.runtime_version: it is missing"),
    ("configuration.runtime_version", 12.10, "found 12.1, expected text; put it in quotes"),
    ("configuration.resource_quota_cpu", 10, "found 10, expected text; put it in quotes"),
    ("configuration.region", True, "found true, expected text; put it in quotes"),
    ("configuration.is_development_mode", "yes", "found 'yes', expected true or false"),
    ("configuration.scheduler_size", "TINY", "found 'TINY', expected one of SMALL, MEDIUM, LARGE, EXTRA_LARGE"),
    ("configuration", ..., "deployment.configuration.executor: it is missing"),
    ("worker_queues.0.name", "main", "deployment.worker_queues: found 'main', expected a queue 'default'"),
    ("worker_queues.0.name", ..., "deployment.worker_queues[0].name: it is missing"),
    ("worker_queues.0.worker_type", ..., "deployment.worker_queues[0].worker_type: it is missing"),
    (
        "worker_queues.0.min_worker_count",
        11,
        "deployment.worker_queues[0].min_worker_count: found 11, expected at most",
    ),
    ("worker_queues.0.worker_concurrency", 0, "deployment.worker_queues[0].worker_concurrency: found 0"),
    ("worker_queues", [BODY["worker_queues"][0]] * 2, "deployment.worker_queues[1].name: 'default' stands in the list"),
    ("configuration.executor", "KUBERNETES", "deployment.worker_queues: the Kubernetes executor has no queues"),
    (
        "alert_emails",
        ["data at example.com"],
        "deployment.alert_emails[0]: found 'data at example.com', expected an email",
    ),
    ("alert_emails", ["<data@example.com>"], "found '<data@example.com>', expected an email address"),
    ("environment_variables.0.value", ..., "deployment.environment_variables[0].value: it is missing for 'STAGE'"),
    ("environment_variables.0.key", "A B", "deployment.environment_variables[0].key: found text, expected the name"),
    ("environment_variables", [{"key": "A", "value": ""}] * 2, "environment_variables[1].key: 'A' stands in the list"),
    ("environment_variables.0.is_secret", True, "[0].value: 'STAGE' is a secret with its value in Git"),
    (
        "hibernation_schedules",
        [{"hibernate_at": "0 20 * *", "wake_at": "0 6 * * *"}],
        "[0].hibernate_at: found '0 20 * *'",
    ),
    ("worker_queues.0.name", "q" * 64, "expected a text of at most 63 characters"),
    (
        "hibernation_schedules",
        [{"hibernate_at": "0 20 * * *", "wake_at": "0 6 * * *"}] * 11,
        "deployment.hibernation_schedules: found a list, expected at most 10 entries, not 11",
    ),
    (
        "hibernation_schedules",
        [{"hibernate_at": "0 20 * * *", "wake_at": "0 6 * * *", "description": "d" * 201}],
        "[0].description: found 'ddd",
    ),
]


@pytest.mark.parametrize(("path", "value", "says"), WRONG, ids=[f"{path}={value}" for path, value, _ in WRONG])
def test_a_wrong_template_is_refused_with_file_key_and_cure(path: str, value: object, says: str) -> None:
    told = refuse(change(path, value))
    assert says in told
    assert all(line.startswith(f"{SOURCE}: deployment") for line in told.split("\n"))


def test_all_that_is_wrong_is_told_at_once() -> None:
    body = change("configuration.region", ...)
    body["worker_queues"][0]["worker_type"] = ""
    assert len(refuse(body).split("\n")) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "found nothing, expected a mapping with the key 'deployment'"),
        ("configuration: {}", "configuration: unknown key; it belongs at deployment.configuration"),
        ("deployment: []", "deployment: found a list, expected a mapping"),
        ("deployment: {}\ndeployment: {}", "line 2, column 1: key 'deployment' is given twice"),
        ("deployment: [", "line 1"),
    ],
)
def test_a_text_that_is_no_deployment_file_is_refused(text: str, says: str) -> None:
    with pytest.raises(TemplateError, match=re.escape(SOURCE)) as caught:
        parse_template(text, SOURCE)
    assert says in str(caught.value)


def test_the_astro_executor_needs_a_runtime_of_airflow_3() -> None:
    body = change("configuration.executor", "AstroExecutor")
    assert parse(body).configuration["executor"] == "AstroExecutor"
    body["configuration"]["runtime_version"] = "13.1.0"
    assert "deployment.configuration.executor: the Astro executor needs Airflow 3" in refuse(body)


def test_hibernation_belongs_to_development_deployments() -> None:
    body = change("hibernation_schedules", [{"hibernate_at": "0 20 * * *", "wake_at": "0 6 * * *", "enabled": True}])
    assert render(parse(body))["hibernation_schedules"] == body["hibernation_schedules"]
    body["configuration"]["is_development_mode"] = False
    assert "deployment.hibernation_schedules: only a development Deployment hibernates" in refuse(body)


def test_a_secret_value_is_in_no_error() -> None:
    for variable in (
        {"key": "P", "is_secret": True, "value": "hunter2"},
        {"key": "P", "valeu": "hunter2"},
        "P=hunter2",
    ):
        assert "hunter2" not in refuse(change("environment_variables", [variable]))
    assert "4711" not in refuse(change("environment_variables.0.value", 4711))


def test_overrides_merge_mappings_replace_lists_and_remove_with_null() -> None:
    queue = {"name": "default", "worker_type": "A10"}
    merged = merge_overrides(
        parse_template(INSPECTED, SOURCE),
        {
            "configuration": {
                "scheduler_size": "MEDIUM",
                "default_task_pod_cpu": None,
                "remote_execution": {"enabled": False},
            },
            "worker_queues": [queue],
            "alert_emails": None,
        },
    )
    assert merged.configuration["scheduler_size"] == "MEDIUM"
    assert merged.configuration["region"] == "us-east-1"
    assert merged.configuration["remote_execution"] == {"enabled": False}
    assert "default_task_pod_cpu" not in merged.configuration
    assert merged.body["worker_queues"] == [queue]
    assert "alert_emails" not in merged.body


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (
            {"configuration": {"scheduler_siz": "S"}},
            "the policy: previews.overrides.configuration.scheduler_siz: unknown key",
        ),
        (
            {"scheduler_size": "SMALL"},
            "previews.overrides.scheduler_size: unknown key; it belongs at deployment.configuration",
        ),
        ({"configuration": {"name": "x"}}, "previews.overrides.configuration.name: every preview gets its own"),
        (
            {"environment_variables": [{"key": "P", "is_secret": True, "value": "x"}]},
            "'P' is a secret with its value in Git",
        ),
        (
            {"configuration": {"executor": "KUBERNETES"}},
            f"{SOURCE} with previews.overrides: deployment.worker_queues: the",
        ),
        ({"configuration": None}, "deployment.configuration.executor: it is missing"),
    ],
)
def test_overrides_without_a_place_or_a_valid_result_are_refused(overrides: dict[str, Any], says: str) -> None:
    with pytest.raises(TemplateError) as caught:
        merge_overrides(parse_template(INSPECTED, SOURCE), overrides)
    assert says in str(caught.value)


def test_the_fingerprint_is_of_what_all_previews_share() -> None:
    before = fingerprint_template(parse_template(INSPECTED, SOURCE))
    assert re.fullmatch(r"[0-9a-f]{12}", before)
    same = change("configuration.name", "other")
    same["configuration"] |= {"description": "other", "workspace_name": "other"}
    same["environment_variables"][0]["updated_at"] = "later"
    reordered = dict(reversed([(key, value) for key, value in same.items()]))
    assert fingerprint_template(parse(reordered)) == before
    for path, value in [("configuration.region", "x"), ("alert_emails", []), ("environment_variables.0.value", "x")]:
        assert fingerprint_template(parse(change(path, value))) != before


def test_the_fingerprint_does_not_see_the_order_of_lists() -> None:
    body = change("environment_variables", [{"key": "B", "value": "1"}, {"key": "A", "value": "2"}])
    body["worker_queues"].append({"name": "a", "worker_type": "A10"})
    turned = copy.deepcopy(body)
    for entries in (turned["environment_variables"], turned["worker_queues"]):
        entries.reverse()
    assert fingerprint_template(parse(body)) == fingerprint_template(parse(turned))


def test_a_create_renders_names_and_empty_secrets_and_leaves_the_template_alone() -> None:
    template = parse(change("environment_variables", [{"key": "P", "is_secret": True}, {"key": "A", "value": "1"}]))
    before = copy.deepcopy(template)
    rendered = render(template)
    assert {key: rendered["configuration"][key] for key in ("name", "description", "workspace_name")} == {
        "name": "p-x",
        "description": "mark",
        "workspace_name": "W",
    }
    assert rendered["environment_variables"] == [
        {"key": "A", "is_secret": False, "value": "1"},
        {"key": "P", "is_secret": True, "value": ""},
    ]
    rendered["configuration"]["region"] = rendered["worker_queues"][0]["name"] = "changed"
    assert template == before


def test_an_update_keeps_the_observed_name_and_what_people_set() -> None:
    template = parse(
        change(
            "environment_variables",
            [
                {"key": "A", "value": "template"},
                {"key": "NEW", "is_secret": True},
                {"key": "SET", "is_secret": True, "value": ""},
                {"key": "WAS_PLAIN", "is_secret": True},
            ],
        )
    )
    observed = replace(
        DEPLOYMENT,
        name="renamed by hand",
        variables=(
            Variable("A", is_secret=False, value="by hand"),
            Variable("HAND", is_secret=False, value="kept"),
            Variable("HAND_SECRET", is_secret=True),
            Variable("SET", is_secret=True),
            Variable("WAS_PLAIN", is_secret=False, value="kept"),
        ),
        contact_emails=("Data@example.com", "on-call@example.com"),
    )
    rendered = render(template, observed)
    assert rendered["configuration"]["name"] == "renamed by hand"
    assert rendered["environment_variables"] == [
        {"key": "A", "is_secret": False, "value": "template"},
        {"key": "NEW", "is_secret": True, "value": ""},
        {"key": "SET", "is_secret": True},
        {"key": "WAS_PLAIN", "is_secret": True, "value": "kept"},
        {"key": "HAND", "is_secret": False, "value": "kept"},
        {"key": "HAND_SECRET", "is_secret": True},
    ]
    assert rendered["alert_emails"] == ["data@example.com", "on-call@example.com"]


def test_an_update_of_a_template_without_variables_lists_those_that_are_there() -> None:
    body = change("environment_variables", ...)
    del body["alert_emails"]
    rendered = render(parse(body), DEPLOYMENT)
    assert rendered["environment_variables"] == [{"key": "STAGE", "is_secret": False, "value": "preview"}]
    assert rendered["alert_emails"] == ["Data@example.com"]
    assert "environment_variables" not in render(parse(body))


def test_what_a_half_done_create_left_out_is_missing() -> None:
    template = parse_template(INSPECTED, SOURCE)
    assert find_missing(template, DEPLOYMENT) == ()
    half = replace(DEPLOYMENT, variables=(), contact_emails=())
    assert find_missing(template, half) == ("variable STAGE", "alert address data@example.com")


@pytest.mark.parametrize(
    ("observed", "told"),
    [
        ({}, ()),
        ({"region": "eu-west-1"}, ("region: eu-west-1 in Astro, us-east-1 in the template",)),
        ({"cloud_provider": "GCP"}, ("cloud_provider: GCP in Astro, AWS in the template",)),
        ({"cloud_provider": "aws", "region": ""}, ()),
        ({"is_development_mode": False}, ("is_development_mode: false in Astro, true in the template",)),
        ({"deployment_type": "DEDICATED"}, ("deployment_type: DEDICATED in Astro, STANDARD in the template",)),
        ({"runtime_version": "3.1-9"}, ("runtime_version: 3.1-9 in Astro, 3.1-14 in the template",)),
        ({"runtime_version": "13.4.0"}, ("runtime_version: 13.4.0 in Astro, 3.1-14 in the template",)),
        ({"runtime_version": "3.1-15"}, ()),
        ({"runtime_version": "3.10-1"}, ()),
    ],
)
def test_what_the_cli_cannot_update_is_told(observed: dict[str, Any], told: tuple[str, ...]) -> None:
    template = parse_template(INSPECTED, SOURCE)
    assert find_fixed_differences(template, replace(DEPLOYMENT, **observed)) == told


def test_the_region_of_a_cluster_is_no_difference() -> None:
    body = change("configuration.deployment_type", "HOSTED_DEDICATED")
    body["configuration"] |= {"cluster_name": "c", "region": "elsewhere"}
    assert find_fixed_differences(parse(body), replace(DEPLOYMENT, deployment_type="DEDICATED")) == ()


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12) | st.sampled_from(
    [
        "no",
        "N",
        "on",
        "12.10",
        "0x1",
        "1:30",
        "~",
        "null",
        "*a",
        "- x",
        "a: b",
        "#",
        "2026-01-01",
        "=",
        "<<",
        '"',
        "\t\n",
        "\x85",
    ]
)
KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True) | st.sampled_from(
    ["N", "no", "on", "y", "NULL", "true"]
)


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    body = copy.deepcopy(BODY)
    keys = draw(st.lists(KEYS, max_size=4, unique=True))
    body["environment_variables"] = [
        {"key": key, "is_secret": True} if draw(st.booleans()) else {"key": key, "value": draw(TEXTS)} for key in keys
    ]
    body["configuration"] |= {"description": draw(TEXTS), "default_task_pod_cpu": draw(TEXTS)}
    body["worker_queues"] += [{"name": name, "worker_type": "A5"} for name in draw(st.sets(KEYS, max_size=2))]
    return body


@given(bodies(), TEXTS)
@settings(max_examples=60)
def test_what_is_written_is_read_back_exactly_also_by_yaml_1_1(body: dict[str, Any], name: str) -> None:
    template = parse_template(json.dumps({"deployment": body}), SOURCE)
    for observed in (None, DEPLOYMENT):
        document = render_deployment(template, name=name, description=name, workspace_name=name, observed=observed)
        written = dump_deployment(document)
        assert yaml.safe_load(written) == document
        assert read_document(written) == document
    created = dump_deployment(render_deployment(template, name=name, description=name, workspace_name=name))
    assert fingerprint_template(parse_template(created, SOURCE)) == fingerprint_template(template)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "scheduler_size": st.sampled_from(["SMALL", "LARGE"]),
            "region": TEXTS.filter(bool),
            "is_high_availability": st.booleans(),
            "cluster_name": st.none() | TEXTS,
        },
    )
)
@settings(max_examples=60)
def test_overrides_land_where_they_should_and_nowhere_else(overrides: dict[str, Any]) -> None:
    template = parse_template(INSPECTED, SOURCE)
    merged = merge_overrides(template, {"configuration": overrides})
    expected = {**template.configuration, **overrides}
    assert merged.configuration == {key: value for key, value in expected.items() if value is not None}
    assert {**merged.body, "configuration": None} == {**template.body, "configuration": None}


KEY_OR_POSITION = re.compile(r"\.?([A-Za-z0-9_]+)|\[(\d+)\]")
JUNK: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(-1, 99) | TEXTS | st.just([]) | st.just({}) | st.just([{"name": "x"}])
)


def list_places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, below in entries for place in list_places(below, (*path, key)))]


@st.composite
def mutated_documents(draw: st.DrawFn) -> dict[str, Any]:
    document: dict[str, Any] = {"deployment": copy.deepcopy(BODY)}
    for _ in range(draw(st.integers(1, 3))):
        *above, last = draw(st.sampled_from(list_places(document)[1:]))
        place: Any = document
        for key in above:
            place = place[key]
        kept = place.pop(last)
        how = draw(st.sampled_from(["remove", "rename", "replace"]))
        if isinstance(place, list) and how != "remove":
            place.insert(last, copy.deepcopy(draw(JUNK)))
        elif how != "remove":
            place[f"{last}x" if how == "rename" else last] = kept if how == "rename" else copy.deepcopy(draw(JUNK))
        if not document:
            break
    return document


@given(mutated_documents())
@settings(max_examples=120)
def test_whatever_is_wrong_is_told_with_a_path_of_the_file(document: dict[str, Any]) -> None:
    try:
        parse_template(json.dumps(document), SOURCE)
    except TemplateError as error:
        for line in str(error).split("\n"):
            path = line.split(": ")[1]
            tokens = [key or int(position) for key, position in KEY_OR_POSITION.findall(path)]
            assert is_place(tokens, document), line


def is_place(tokens: list[Any], document: Any) -> bool:
    """Whether they lead to a value, or to keys that a mapping lacks."""
    for token in tokens:
        if document is None or (isinstance(document, dict) and token not in document):
            return True
        document = document[token]
    return True


POD = {"name": "default", "min_worker_count": 0, "worker_type": "", "pod_cpu": "1", "pod_ram": "2Gi"}


def test_what_the_cli_prints_of_a_kubernetes_deployments_pods_is_read_and_is_no_queue() -> None:
    document = copy.deepcopy(read_document(INSPECTED))
    document["deployment"]["configuration"]["executor"] = "KUBERNETES"
    document["deployment"]["worker_queues"] = [POD]
    assert "worker_queues" not in parse_template(json.dumps(document), SOURCE).body


@pytest.mark.parametrize(
    "queues", [[POD, {**POD, "name": "heavy"}], [{**POD, "name": "heavy"}], [{**POD, "max_worker_count": 3}]]
)
def test_queues_that_somebody_wrote_for_kubernetes_are_still_refused(queues: list[dict[str, Any]]) -> None:
    document = copy.deepcopy(read_document(INSPECTED))
    document["deployment"]["configuration"]["executor"] = "KUBERNETES"
    document["deployment"]["worker_queues"] = queues
    with pytest.raises(TemplateError, match="the Kubernetes executor has no queues"):
        parse_template(json.dumps(document), SOURCE)
