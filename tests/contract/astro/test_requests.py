"""Every request that the product sends to Astro, itself or by the CLI, and what it is answered, is as Astro says."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.hooks.astro import api as astro_api
from include.deploy_ops.hooks.astro.api import AstroApiHook, AsyncAstroApi
from include.deploy_ops.hooks.astro.cli import AstroCli
from sandbox.identity import WORKSPACE_ID
from tests.contract.astro.conftest import WholeRuns
from tests.contract.openapi.exchange import Exchange
from tests.contract.openapi.judge import Judge
from tests.sandbox.astro.calls import create, deploy_dags, deploy_image
from tests.sandbox.cli.case import add_engine
from tests.sandbox.cli.stage import Stage
from tests.sandbox.cli.test_called_by_the_hook import connect
from tests.worlds.stages.stage import Run

if TYPE_CHECKING:
    pass

BRANCH = "dev-a"
SCHEDULES = [{"hibernate_at": "0 20 * * *", "wake_at": "0 7 * * *", "description": "at night", "enabled": True}]


def list_problems(judge: Judge, exchanges: Iterable[Exchange]) -> list[str]:
    """Say what is wrong with requests and answers."""
    return [
        problem
        for each in exchanges
        for problem in (*judge.list_request_problems(each), *judge.list_answer_problems(each))
    ]


def list_asked(judge: Judge, exchanges: Iterable[Exchange]) -> set[str]:
    """List which operations were asked for, by their last words."""
    found = {str(judge.description.find_operation(each.method, each.path)) for each in exchanges}
    return {operation.replace("/organizations/{organizationId}", "") for operation in found}


@pytest.fixture
def deployment(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give one Deployment of three, and let pages be small."""
    connect(monkeypatch, stage, WORKSPACE_ID)
    monkeypatch.setattr(astro_api, "PAGE_SIZE", 2)
    deployment = create(stage.world)
    for name in ("dev-y", "dev-z"):
        create(stage.world, name=name)
    for text in ("1", "2"):
        deploy_dags(stage.world, deployment, text)
    deploy_image(stage.world, deployment, "3")
    stage.world.exchanges.clear()
    return deployment


def mint_and_delete(hook: AstroApiHook, deployment: str) -> None:
    """Have a token made and deleted, and deleted again."""
    minted = hook.create_deployment_token(deployment)
    assert minted is not None
    hook.delete_token(minted)
    hook.delete_token(minted)


CALLS: dict[str, Callable[[AstroApiHook, str], object]] = {
    "list_deployments": lambda hook, _: hook.list_deployments(),
    "get_deployment": lambda hook, one: [hook.get_deployment(one), hook.get_deployment("clnone")],
    "list_deploys": lambda hook, one: [hook.list_deploys(one), hook.list_deploys(one, 1)],
    "find_workspace_name": lambda hook, _: hook.find_workspace_name(),
    "get_deployment_options": lambda hook, _: [
        hook.get_deployment_options("STANDARD", "AWS"),
        hook.get_deployment_options("DEDICATED", ""),
    ],
    "get_organization": lambda hook, _: hook.get_organization(),
    "get_token_record": lambda hook, _: hook.get_token_record("sandbox"),
    "find_elsewhere": lambda hook, _: hook.find_elsewhere(["dev-y", "dev-z", "nobody"]),
    "count_deployments": lambda hook, _: hook.count_deployments(),
    "list_linked_objects": lambda hook, _: hook.list_linked_objects(),
    "find_clusters": lambda hook, _: hook.find_clusters("ours"),
    "create_deployment_token": mint_and_delete,
    "delete_token": mint_and_delete,
}
"""All that the hook does, by method; the async one does some of it."""


def test_what_the_hook_asks_is_described(deployment: str, stage: Stage, judge: Judge) -> None:
    with AstroApiHook("astro_default") as hook:
        for call in CALLS.values():
            call(hook, deployment)
    assert list_problems(judge, stage.world.exchanges) == []
    assert judge.used == set()
    assert list_asked(judge, stage.world.exchanges) == {
        "GET /deployments",
        "GET /deployments/{deploymentId}",
        "GET /deployments/{deploymentId}/deploys",
        "GET /organizations",
        "GET /workspaces",
        "GET /clusters",
        "GET /environment-objects",
        "GET /deployment-options",
        "GET /tokens/{tokenId}",
        "POST /tokens",
        "DELETE /tokens/{tokenId}",
    }
    pages = [each for each in stage.world.exchanges if "workspaceIds" in each.query]
    assert [dict(each.parameters)["offset"] for each in pages] == ["0", "2"]


def test_every_method_is_among_them() -> None:
    opens = {"get_conn", "close"}
    public = {name for name, value in vars(AstroApiHook).items() if callable(value) and name[0] != "_"}
    assert public - opens == CALLS.keys()
    awaited = {name for name, value in vars(AsyncAstroApi).items() if callable(value) and name[0] != "_"}
    assert awaited - opens - {"drop_lost_tokens"} < CALLS.keys()


def test_what_is_awaited_is_described(deployment: str, stage: Stage, judge: Judge) -> None:
    async def read() -> None:
        async with AsyncAstroApi("astro_default") as api:
            assert await api.get_deployment(deployment)
            assert await api.get_deployment("clnone") is None
            assert len(await api.list_deploys(deployment, 1)) == 1
            assert await api.list_deployments()
            minted = [await api.create_deployment_token(deployment, each) for each in ("a", "b", "b")]
            await api.drop_lost_tokens(deployment, "b")
            assert minted[0] is not None
            await api.delete_token(minted[0])

    asyncio.run(read())
    asked = [(each.method, each.path.rpartition("/")[2]) for each in stage.world.exchanges]
    assert [method for method, _ in asked].count("DELETE") == 3
    assert ("GET", "tokens") in asked
    assert list_problems(judge, stage.world.exchanges) == []


def test_what_a_life_by_the_cli_asks_is_described(stage: Stage, judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    (stage.root / "tools" / "python3").symlink_to(sys.executable)
    add_engine(stage)
    stage.write_file(hibernation_schedules=SCHEDULES, alert_emails=["mira@acme.example"])
    connect(monkeypatch, stage, WORKSPACE_ID)
    cli = AstroCli("astro_default", timeout_s=60)
    made = cli.create(stage.file.read_text())
    cli.deploy(made, cwd=stage.project, kind=ChangeType.IMAGE, description="d", image_name="localhost/ci-built:1")
    stage.write_file(scheduler_size="MEDIUM")
    cli.update(made, stage.file.read_text())
    cli.deploy(made, cwd=stage.project, kind=ChangeType.DAGS, description="d")
    cli.hibernate(made)
    cli.wake_up(made, timedelta(hours=2))
    cli.wake_up(made)
    cli.delete(made)
    assert list_problems(judge, stage.world.exchanges) == []
    assert {each.null for each in judge.used} == {"contactEmails"}
    assert list_asked(judge, stage.world.exchanges) == {
        "GET /organizations",
        "GET /workspaces",
        "GET /deployment-options",
        "GET /deployments",
        "POST /deployments",
        "GET /deployments/{deploymentId}",
        "POST /deployments/{deploymentId}",
        "DELETE /deployments/{deploymentId}",
        "POST /deployments/{deploymentId}/hibernation-override",
        "POST /deployments/{deploymentId}/deploys",
        "POST /deployments/{deploymentId}/deploys/{deployId}/finalize",
    }


def test_what_whole_runs_ask_is_described(whole: WholeRuns, judge: Judge) -> None:
    """From the first push to the deletion after the merge: a DAG's change, an image's, and an update between them."""
    stage = whole.stage
    stage.push(BRANCH)
    play(stage.plan())
    stage.push_more(BRANCH, {"dags/fresh.py": "# fresher\n"})
    play(stage.plan())
    head = stage.push_more(BRANCH, {"requirements.txt": "pendulum\n"})
    play(stage.plan())
    (found,) = stage.list_deployments()
    play([stage.start_planned(Verb.UPDATE, BRANCH, head, found["id"])])
    stage.merge(BRANCH)
    play(stage.plan())
    assert stage.list_deployments() == []
    assert list_problems(judge, whole.exchanges) == []
    asked = list_asked(judge, whole.exchanges)
    assert {"POST /deployments", "POST /deployments/{deploymentId}", "DELETE /deployments/{deploymentId}"} <= asked
    kinds = [each.sent for each in whole.exchanges if each.method == "POST" and each.path.endswith("/deploys")]
    assert any(b"DAG_ONLY" in sent for sent in kinds)
    assert any(b"IMAGE" in sent for sent in kinds)


def play(runs: list[Run]) -> None:
    """Play runs, of which none may fail."""
    assert runs
    for run in runs:
        run.play()
        assert "failed" not in run.states.values(), run.xcoms
