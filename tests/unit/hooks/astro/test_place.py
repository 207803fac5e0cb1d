"""What is read of the place itself: organization, token, linked objects, clusters; each refusal has its own kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from include.deploy_ops.core.doctor.astro_facts import Cluster, LinkedObject, Organization, Release, Role, TokenRecord
from include.deploy_ops.core.errors import (
    AbsentError,
    ObservationError,
    RightRefusedError,
    SilenceError,
    TokenRefusedError,
)
from include.deploy_ops.hooks.astro.answers import parse_releases
from include.deploy_ops.hooks.astro.api import AstroApiHook
from tests.worlds.doubles.astro import AstroDouble, Reply, make_deployment, not_found, serve_list

ORGANIZATIONS = "/v1/organizations"
OURS = {"id": "clorg", "name": "Acme", "shouldEnforceDedicatedClusters": True, "trialExpiresAt": "2026-06-01T00:00:00Z"}
OBJECT: dict[str, Any] = {
    "objectKey": "warehouse",
    "objectType": "CONNECTION",
    "scope": "WORKSPACE",
    "scopeEntityId": "clws",
    "setFields": ["password"],
    "connection": {"type": "postgres", "password": "never read"},
}
CLUSTER: dict[str, Any] = {"id": "clc", "name": "ours", "type": "DEDICATED", "status": "CREATED"}


@pytest.fixture
def astro(monkeypatch: pytest.MonkeyPatch) -> Iterator[AstroDouble]:
    with AstroDouble() as double:
        monkeypatch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", double.connection())
        yield double


@pytest.fixture
def hook(astro: AstroDouble) -> Iterator[AstroApiHook]:
    with AstroApiHook("astro_default", sleep=lambda _: None) as opened:
        yield opened


def test_the_organization_is_the_connections_among_those_that_the_token_sees(
    astro: AstroDouble, hook: AstroApiHook
) -> None:
    astro.answers[ORGANIZATIONS] = [serve_list("organizations", [{"id": "clother", "name": "Other"}, OURS])]
    ends = datetime(2026, 6, 1, tzinfo=UTC)
    assert hook.get_organization() == Organization("Acme", "", ends, takes_dedicated_only=True)
    astro.answers[ORGANIZATIONS] = [serve_list("organizations", [{"id": "clother", "name": "Other"}])]
    with pytest.raises(AbsentError, match="sees no organization clorg; check organization_id"):
        hook.get_organization()


def test_a_token_is_known_by_its_end_and_roles(astro: AstroDouble, hook: AstroApiHook) -> None:
    role = {"entityType": "WORKSPACE", "entityId": "clws", "role": "WORKSPACE_OPERATOR"}
    astro.say("tokens/cltok", Reply({"id": "cltok", "endAt": "2026-06-01T00:00:00Z", "roles": [role]}))
    found = hook.get_token_record("cltok")
    assert found == TokenRecord(datetime(2026, 6, 1, tzinfo=UTC), (Role("WORKSPACE", "clws", "WORKSPACE_OPERATOR"),))
    astro.say("tokens/cltok", Reply({"id": "cltok"}))
    assert hook.get_token_record("cltok") == TokenRecord(None, ())
    with pytest.raises(AbsentError, match="shows no such token"):
        hook.get_token_record("clnone")


def test_deployments_are_looked_for_by_name_wherever_the_token_sees(astro: AstroDouble, hook: AstroApiHook) -> None:
    items = [make_deployment(workspaceId="clother"), make_deployment(id="cldep2", name="of another name")]
    astro.say("deployments", serve_list("deployments", items))
    assert [each.workspace_id for each in hook.find_elsewhere(["data-dev-x", "nobody"])] == ["clother"]
    assert astro.asked[-1].query["names"] == ["data-dev-x", "nobody"]
    assert "workspaceIds" not in astro.asked[-1].query


def test_deployments_are_counted_by_one_of_them(astro: AstroDouble, hook: AstroApiHook) -> None:
    items = [make_deployment(id=f"cldep{number}") for number in range(7)]
    astro.say("deployments", serve_list("deployments", items))
    assert hook.count_deployments() == 7
    assert [asked.query for asked in astro.asked] == [{"limit": ["1"], "offset": ["0"]}]


def test_of_objects_only_those_that_link_themselves_are_taken_and_no_secret_is_asked_for(
    astro: AstroDouble, hook: AstroApiHook
) -> None:
    items = [OBJECT | {"autoLinkDeployments": True}, OBJECT | {"objectType": "AIRFLOW_VARIABLE"}]
    astro.say("environment-objects", serve_list("environmentObjects", items))
    assert hook.list_linked_objects() == (LinkedObject("CONNECTION", "warehouse"),)
    assert astro.asked[-1].query == {"workspaceId": ["clws"], "limit": ["1000"], "offset": ["0"]}


def test_objects_are_told_apart_without_an_id(astro: AstroDouble, hook: AstroApiHook) -> None:
    astro.say("environment-objects", serve_list("environmentObjects", [OBJECT, OBJECT]))
    with pytest.raises(ObservationError, match="listed items twice"):
        hook.list_linked_objects()


def test_a_malformed_object_does_not_tell_its_secret(astro: AstroDouble, hook: AstroApiHook) -> None:
    astro.say("environment-objects", serve_list("environmentObjects", [OBJECT | {"objectKey": 7}]))
    with pytest.raises(ObservationError, match="objectKey") as caught:
        hook.list_linked_objects()
    assert "never read" not in str(caught.value)


def test_a_cluster_is_found_by_its_exact_name(astro: AstroDouble, hook: AstroApiHook) -> None:
    items = [CLUSTER | {"workspaceIds": ["clws"]}, CLUSTER | {"id": "clc2", "name": "ours too"}]
    astro.say("clusters", serve_list("clusters", items))
    assert hook.find_clusters("ours") == (Cluster("ours", "DEDICATED", "CREATED", ("clws",)),)
    assert astro.asked[-1].query["names"] == ["ours"]


def test_releases_are_version_and_channel() -> None:
    listed = [{"version": "3.3-2", "channel": "stable", "airflowVersion": "3.3.2"}]
    assert parse_releases({"runtimeReleases": listed}) == (Release("3.3-2", "stable"),)
    with pytest.raises(ObservationError, match="deployment-options"):
        parse_releases({"runtimeReleases": [{"version": 3}]})


READS: tuple[Callable[[AstroApiHook], Any], ...] = (
    lambda hook: hook.get_organization(),
    lambda hook: hook.get_token_record("cltok"),
    lambda hook: hook.count_deployments(),
    lambda hook: hook.list_linked_objects(),
    lambda hook: hook.find_clusters("ours"),
    lambda hook: hook.list_deployments(),
)


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, TokenRefusedError), (403, RightRefusedError), (500, SilenceError), (400, ObservationError)],
)
def test_each_refusal_has_its_kind(
    astro: AstroDouble,
    hook: AstroApiHook,
    read: Callable[[AstroApiHook], Any],
    status: int,
    kind: type[ObservationError],
) -> None:
    refusal = Reply({"message": "no", "requestId": "r", "statusCode": status}, status)
    astro.answers[ORGANIZATIONS] = [refusal]
    for path in ("tokens/cltok", "deployments", "environment-objects", "clusters"):
        astro.say(path, refusal)
    with pytest.raises(ObservationError, match="connection 'astro_default'") as caught:
        read(hook)
    assert type(caught.value) is kind


def test_an_organization_that_is_not_there_is_absent(astro: AstroDouble, hook: AstroApiHook) -> None:
    astro.say("environment-objects", not_found())
    with pytest.raises(AbsentError, match="check organization_id"):
        hook.list_linked_objects()
