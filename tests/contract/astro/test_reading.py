"""The product reads whatever answer Astro's description permits: each optional field may be there or not."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.model import DeployKind
from include.deploy_ops.hooks.astro.answers import (
    MintedToken,
    parse_deploy,
    parse_deployment,
    parse_id,
    parse_listed_deployment,
    parse_minted_token,
    parse_options,
    parse_page,
    parse_workspace_name,
)
from include.deploy_ops.hooks.astro.connection import AstroConnection
from include.deploy_ops.hooks.conversation import Ask
from tests.contract.astro.description import load_description
from tests.contract.openapi.schema import Part

ASK = Ask("/organizations")
CONNECTION = AstroConnection("astro", "astronomer.io", None, "clorg", "clws", "astro", "", "token")
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=5)  # an empty id or name is none
TIMES = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1))  # noqa: DTZ001 - Z is written


def make_answers(part: Part) -> st.SearchStrategy[Any]:
    """Make what a schema permits."""
    schema = part.follow()
    said = schema.value
    match said["type"]:
        case "object":
            fields = {name: make_answers(schema.get("properties", name)) for name in said["properties"]}
            required = {name: fields.pop(name) for name in said.get("required", ())}
            return st.fixed_dictionaries(required, optional=fields)
        case "array":
            return st.lists(make_answers(schema.get("items")), max_size=2)
        case "boolean":
            return st.booleans()
        case "integer" | "number":
            return st.integers(said.get("minimum", 0), said.get("maximum", 1000))
    if "enum" in said:
        return st.sampled_from(said["enum"])
    return TIMES.map(lambda time: f"{time.isoformat()}Z") if said.get("format") == "date-time" else TEXTS


def answers(name: str) -> st.SearchStrategy[Any]:
    """Make what an object's description permits."""
    return make_answers(load_description().root.get("components", "schemas", name))


@given(answers("Deployment"))
def test_a_deployment_is_read(answer: dict[str, Any]) -> None:
    found = parse_deployment(ASK, answer, CONNECTION)
    assert parse_listed_deployment(answer, CONNECTION) == found
    assert not found.problem
    assert found.status.name == answer["status"]
    assert (found.id, found.name, found.workspace_id) == (answer["id"], answer["name"], answer["workspaceId"])
    assert (found.runtime_version, found.image_tag) == (answer["astroRuntimeVersion"], answer["imageTag"])
    assert found.executor == answer.get("executor", "")
    assert [each.key for each in found.variables] == [each["key"] for each in answer.get("environmentVariables", ())]


@given(answers("Deploy"))
def test_a_deploy_is_read(answer: dict[str, Any]) -> None:
    found = parse_deploy(ASK, answer, answer["deploymentId"])
    assert found.status.name == answer["status"]
    is_bundle = "bundleMountPath" in answer
    assert found.kind is (DeployKind.BUNDLE if is_bundle else DeployKind[answer["type"]])
    assert found.git_commit == answer.get("git", {}).get("commitSha")
    assert found.rollback_from_id == answer.get("rollbackFromId")


@given(answers("Deploys"))
def test_a_page_is_read(answer: dict[str, Any]) -> None:
    page = parse_page(ASK, answer, "deploys")
    assert page.total == answer["totalCount"]
    assert [parse_id(ASK, item) for item in page.items] == [each["id"] for each in answer["deploys"]]


@given(answers("Token"), TEXTS)
def test_a_minted_token_is_read(answer: dict[str, Any], value: str) -> None:
    assert parse_minted_token(ASK, answer | {"token": value}) == MintedToken(answer["id"], value)


@given(answers("Workspace"), answers("Options"))
def test_the_rest_is_read(workspace: dict[str, Any], options: dict[str, Any]) -> None:
    assert parse_workspace_name(ASK, workspace) == workspace["name"]
    assert parse_options(ASK, options) == options
