"""What a policy may map: what `sources` names, nothing that the control plane works with, one entry for each key."""

from __future__ import annotations

from typing import Any

import pytest

from include.deploy_ops.core.policy.file import LoadedPolicy, fingerprint_policy
from tests.unit.core.policy.test_file import OTHER, change, load

SOURCES = {"connections": ["preview_*", "[gad]*", "slack*"], "variables": ["preview_*"]}


def load_mapping(environment: dict[str, Any], *others: dict[str, Any], **top: Any) -> LoadedPolicy:
    return load(change("previews.environment", environment), *others, **{"sources": SOURCES, **top})


def tell(loaded: LoadedPolicy) -> str:
    return "\n".join(map(str, loaded.problems))


def test_what_sources_name_may_be_mapped() -> None:
    loaded = load_mapping(
        {
            "connections": {"warehouse": "preview_warehouse"},
            "variables": {"api_key": {"variable": "preview_api_key"}, "target_schema": "dev_{schema}"},
            "environment_variables": {"TOKEN": {"connection": "preview_api", "field": "password"}},
        }
    )
    assert not loaded.problems
    (project,) = loaded.policy.projects
    assert project.previews is not None
    assert [each.key for each in project.previews.environment.mapped] == [
        "AIRFLOW_CONN_WAREHOUSE",
        "AIRFLOW_VAR_API_KEY",
        "AIRFLOW_VAR_TARGET_SCHEMA",
        "TOKEN",
    ]


@pytest.mark.parametrize("top", [{"sources": {}}, {"sources": {"connections": ["Preview_*"], "variables": ["x"]}}])
def test_by_default_nothing_may(top: dict[str, Any]) -> None:
    said = tell(load_mapping({"connections": {"a": "preview_a"}, "variables": {"b": {"variable": "preview_b"}}}, **top))
    assert "projects[0].previews.environment.connections.a: project 'data_platform': no pattern of" in said
    assert "'sources.connections', at the file's top, matches the connection 'preview_a'" in said
    assert "'sources.variables', at the file's top, matches the variable 'preview_b'" in said


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("github_default", OTHER),
        ("GitHub_Default", OTHER),
        ("astro_default", OTHER),
        ("acme_github", {**OTHER, "github_conn_id": "acme_github"}),
        ("acme_astro", {**OTHER, "astro_conn_id": "ACME_ASTRO"}),
        ("acme_registry", {**OTHER, "registry_conn_id": "acme_registry"}),
        ("acme_broken", {"name": "WRONG", "github_conn_id": "acme_broken"}),
        ("acme_mail", {**OTHER, "notify": [{"notifier": "a.B", "arguments": {"smtp_conn_id": "acme_mail"}}]}),
        ("acme_mail", {**OTHER, "notify": [{"notifier": "a.B", "arguments": {"over": [{"by": "acme_mail"}]}}]}),
        ("acme_mail", {**OTHER, "notify": [{"notifier": "a.B", "arguments": {"environment": {"by": "acme_mail"}}}]}),
        ("acme_live", {"name": "WRONG", "targets": {"environment": {"verify": {"airflow_conn_id": "acme_live"}}}}),
        ("g\u0131thub_default", OTHER),  # in capitals, as an environment variable, it is ours
        ("github-default", OTHER),  # a vault that knows no underscore gives ours
    ],
)
@pytest.mark.parametrize("field", ["", "password"])
def test_what_we_work_with_ourselves_is_never_mapped(name: str, other: dict[str, Any], field: str) -> None:
    mapped: dict[str, Any] = {"connections": {"x": name}}
    if field:
        mapped = {"environment_variables": {"X": {"connection": name, "field": field}}}
    loaded = load_mapping(mapped, other, sources={"connections": ["*"]})
    assert f"connection '{name}' serves the control plane itself" in tell(loaded)
    assert "data_platform" not in [project.name for project in loaded.policy.projects]


def test_what_a_notifier_takes_unasked_is_never_mapped() -> None:
    said = tell(load_mapping({"connections": {"x": "slack_api_default"}}))
    assert "'slack_api_default' is what hooks and notifiers take where nobody names one" in said


def test_a_preview_may_call_its_connection_as_it_likes() -> None:
    assert not load_mapping({"connections": {"github_default": "preview_git", "my_conn_id": "preview_mine"}}).problems


@pytest.mark.parametrize(
    ("environment", "where"),
    [
        ({"connections": {"a": "preview_a", "A": "preview_b"}}, "connections.A"),
        ({"variables": {"a": "1", "A": "2"}}, "variables.A"),
        ({"environment_variables": {"TOKEN": "1", "Token": "2"}}, "environment_variables.Token"),
    ],
)
def test_keys_that_differ_in_case_only_are_one_key(environment: dict[str, Any], where: str) -> None:
    said = tell(load_mapping(environment))
    assert f"projects[0].previews.environment.{where}: project 'data_platform': it is the environment variable" in said


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"connections": {"a-b": "preview_a"}}, "connections.a-b: project 'data_platform': found text, expected an id"),
        ({"variables": {"a": "{shema}"}}, "did you mean {schema}?"),
        ({"variables": {"a": {"variabel": "x"}}}, "a text, {variable: <name>}"),
        ({"environment_variables": {"AIRFLOW_VAR_A": "x"}}, "below 'environment.variables'"),
        ({"pool": {}}, "environment.pool: project 'data_platform': unknown key"),
        ({"pools": {"default_pool": {"slots": 1}}}, "another name than 'default_pool'"),
        ({"pools": {"a/b": {"slots": 1}}}, "such as warehouse"),
        ({"pools": {"warehouse": {"slots": 1}}}, "add previews.verify"),
    ],
)
def test_mistakes_are_told_where_they_are(environment: dict[str, Any], said: str) -> None:
    assert said in tell(load_mapping(environment))


def test_a_text_that_is_wrong_is_not_shown() -> None:
    assert "hunter2" not in tell(load_mapping({"variables": {"a": "hunter2 {x}"}}))


def fingerprint(environment: dict[str, Any], **previews: Any) -> str:
    project = change("previews.environment", environment)
    project["previews"] |= previews
    (loaded,) = load(project, sources=SOURCES).policy.projects
    return fingerprint_policy(loaded)


def test_what_is_mapped_counts_for_work_that_failed() -> None:
    plain = fingerprint({})
    found = {
        fingerprint({"connections": {"a": "preview_a"}}),
        fingerprint({"connections": {"a": "preview_b"}}),
        fingerprint({"variables": {"a": "x"}}),
        fingerprint({}, inherit=["workload_identity"]),
        plain,
    }
    assert len(found) == 5
    (loaded,) = load(change("previews.overrides", {"configuration": {"is_development_mode": True}})).policy.projects
    assert fingerprint_policy(loaded) == plain


def test_only_known_keys_are_inherited() -> None:
    assert not load(change("previews.inherit", ["workload_identity", "AIRFLOW__SECRETS__BACKEND"])).problems
    assert "found 'STAGE', expected workload_identity" in tell(load(change("previews.inherit", ["STAGE"])))
