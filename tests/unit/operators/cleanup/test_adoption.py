"""Adoption after a rename: only in the workspace of the project that would look after the preview."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest

from include.deploy_ops.core.cleanup.orphans import judge_deployment
from include.deploy_ops.core.policy.file import load_policy
from include.deploy_ops.operators.cleanup.adoption import AdoptOrphansOperator
from tests.worlds.values.examples import POLICY, make_deployment, make_mark

WORKSPACE = {"organization_id": "org", "workspace_id": "ws"}
ELSEWHERE = "left alone: it is in another workspace than the project's"


class Astro:
    """Astro, in whose workspace the project looks after the branch already."""

    def list_deployments(self) -> tuple[Any, ...]:
        """Return the preview that is there."""
        return (make_deployment("dev-x", id="its-own"),)


def connect(monkeypatch: pytest.MonkeyPatch, conn_id: str, host: str, extra: dict[str, str]) -> None:
    value = {"conn_type": "http", "host": host, "password": "t", "extra": extra}
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))


@pytest.mark.parametrize(
    ("host", "extra", "said"),
    [
        ("astronomer.io", {}, "left alone: 'dev-x' has a preview already, 'shop-dev-x' (its-own)"),
        ("astronomer.io", {"workspace_id": "other"}, ELSEWHERE),
        ("astronomer.io", {"organization_id": "other"}, ELSEWHERE),
        ("astro.example", {}, ELSEWHERE),
    ],
)
def test_an_orphan_is_adopted_in_the_projects_own_workspace_only(
    monkeypatch: pytest.MonkeyPatch, host: str, extra: dict[str, str], said: str
) -> None:
    loaded = load_policy(POLICY, "policy.yaml")
    connect(monkeypatch, loaded.policy.projects[0].astro_conn_id, "astronomer.io", WORKSPACE)
    connect(monkeypatch, "there", host, WORKSPACE | extra)
    deployment = make_deployment("dev-x", make_mark("dev-x", repository="acme/old"))
    orphan = judge_deployment(loaded, "there", deployment)
    assert orphan is not None
    cli = cast("Any", None)  # nothing is called
    told = AdoptOrphansOperator(task_id="adopt").act(loaded, cast("Any", Astro()), cli, deployment, orphan)
    assert told.startswith(said)
