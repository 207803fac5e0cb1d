"""When a deploy counts as settled: every combination of record, Deployment and newer records."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from include.deploy_ops.core.history import read_history
from include.deploy_ops.core.model import ChangeType, Deploy, DeployKind, Deployment, DeploymentStatus, DeployStatus
from include.deploy_ops.core.target.settling import (
    Failed,
    Overtaken,
    Settled,
    Settling,
    Waiting,
    describe_unsettled,
    judge_settling,
)
from tests.worlds.values.examples import OWNER

NEEDLE = "run=r1 try=1 "
START = datetime(2026, 1, 1, tzinfo=UTC)
DEPLOYMENT = Deployment(
    id="d1",
    name="dev-x",
    status=DeploymentStatus.HEALTHY,
    description="",
    workspace_id="w",
    runtime_version="3.3-2",
    image_repository="r",
    image_tag="t1",
    dag_tarball_version="v1",
    desired_dag_tarball_version="v1",
    is_dag_deploy_enabled=True,
    is_development_mode=True,
    deployment_type="STANDARD",
    executor="CELERY",
    cloud_provider="AWS",
    region="us-east-1",
    namespace="n",
    airflow_url="",
    astro_url="",
)
OWN = Deploy(
    id="own",
    deployment_id="d1",
    status=DeployStatus.DEPLOYED,
    kind=DeployKind.IMAGE_AND_DAG,
    created_at=START,
    description=f"dev-x@abc, planned [deploy-ops/1 how=planned {NEEDLE}by=]",
    image_tag="t1",
    dag_tarball_version="v1",
)
OTHER = replace(OWN, id="other", description="somebody's", created_at=START + timedelta(seconds=1))


def judge(*records: Deploy, kind: ChangeType = ChangeType.IMAGE, woke: bool = False, **changes: Any) -> Settling:
    return judge_settling(records, replace(DEPLOYMENT, **changes), needle=NEEDLE, kind=kind, woke=woke)


def wait_for(verdict: Settling) -> str:
    assert isinstance(verdict, Waiting)
    return verdict.reason


@pytest.mark.parametrize("kind", [ChangeType.IMAGE, ChangeType.DAGS])
def test_a_deploy_that_the_deployment_shows_has_settled(kind: ChangeType) -> None:
    own = replace(OWN, kind=DeployKind.IMAGE_AND_DAG if kind is ChangeType.IMAGE else DeployKind.DAG_ONLY)
    assert judge(own, kind=kind) == Settled(own)


def test_no_record_is_waited_for() -> None:
    assert judge() == Waiting(None, "Astro has no record of this deploy")
    assert isinstance(judge(replace(OWN, description="run=r1 try=10 ")), Waiting)
    assert isinstance(judge(OTHER), Waiting)


def test_the_newest_record_of_the_call_counts() -> None:
    earlier = replace(OWN, id="earlier", created_at=START - timedelta(hours=1), status=DeployStatus.FAILED)
    for records in permutations([OWN, earlier]):
        assert judge(*records) == Settled(OWN)


@pytest.mark.parametrize("status", [DeployStatus.INITIALIZED, DeployStatus.UNKNOWN])
def test_a_record_that_is_not_deployed_is_waited_for(status: DeployStatus) -> None:
    assert wait_for(judge(replace(OWN, status=status))) == f"Astro's record own says {status.value}"


def test_a_failed_record_is_a_failure_whatever_came_after() -> None:
    failed = replace(OWN, status=DeployStatus.FAILED)
    assert judge(failed, OTHER) == Failed(failed, "Astro's record own says FAILED")


@pytest.mark.parametrize(
    ("asked", "recorded", "missing"),
    [
        (ChangeType.IMAGE, DeployKind.DAG_ONLY, "image"),
        (ChangeType.IMAGE, DeployKind.IMAGE_ONLY, "DAGs"),
        (ChangeType.DAGS, DeployKind.IMAGE_ONLY, "DAGs"),
        (ChangeType.DAGS, DeployKind.BUNDLE, "DAGs"),
    ],
)
def test_a_record_of_something_else_is_a_failure(asked: ChangeType, recorded: DeployKind, missing: str) -> None:
    verdict = judge(replace(OWN, kind=recorded), kind=asked)
    assert isinstance(verdict, Failed)
    assert verdict.reason.endswith(f"which has no {missing}")


@pytest.mark.parametrize("kind", [DeployKind.DAG_ONLY, DeployKind.IMAGE_ONLY, DeployKind.IMAGE_AND_DAG])
@pytest.mark.parametrize("status", [DeployStatus.DEPLOYED, DeployStatus.INITIALIZED])
def test_a_newer_deploy_overtakes(kind: DeployKind, status: DeployStatus) -> None:
    newer = replace(OTHER, kind=kind)
    for records in permutations([replace(OWN, status=status), newer]):
        verdict = judge(*records, image_tag="t2")
        assert isinstance(verdict, Overtaken)
        assert verdict.by == newer


@pytest.mark.parametrize(
    "record",
    [
        replace(OTHER, created_at=START - timedelta(seconds=1)),
        replace(OTHER, status=DeployStatus.INITIALIZED),
        replace(OTHER, status=DeployStatus.FAILED),
        replace(OTHER, status=DeployStatus.UNKNOWN),
        replace(OTHER, kind=DeployKind.BUNDLE),
    ],
    ids=["older", "unfinished", "failed", "unknown", "bundle"],
)
def test_other_records_do_not_overtake(record: Deploy) -> None:
    assert judge(OWN, record) == Settled(OWN)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"image_tag": "t0"}, "the Deployment's image is t0 and not yet t1"),
        ({"image_tag": ""}, "the Deployment's image is none and not yet t1"),
        ({"desired_dag_tarball_version": "v0"}, "is to have DAGs v0 and not yet v1"),
        ({"dag_tarball_version": "v0"}, "has DAGs v0 and not yet v1"),
        ({"dag_tarball_version": ""}, "has DAGs none and not yet v1"),
    ],
)
def test_the_deployment_must_show_what_the_deploy_carried(changes: dict[str, Any], reason: str) -> None:
    assert reason in wait_for(judge(OWN, **changes))


def test_a_dag_deploy_leaves_the_image_as_it_is() -> None:
    own = replace(OWN, kind=DeployKind.DAG_ONLY)
    assert judge(own, kind=ChangeType.DAGS, image_tag="t0") == Settled(own)
    assert isinstance(judge(own, kind=ChangeType.DAGS, dag_tarball_version="v0"), Waiting)


def test_a_dag_deploy_without_a_version_proves_nothing() -> None:
    own = replace(OWN, kind=DeployKind.DAG_ONLY, dag_tarball_version="")
    verdict = judge(own, kind=ChangeType.DAGS, dag_tarball_version="", desired_dag_tarball_version="")
    assert "names no DAGs" in wait_for(verdict)


def test_without_dag_deploys_the_image_is_all() -> None:
    own = replace(OWN, dag_tarball_version="")
    there: dict[str, Any] = {
        "dag_tarball_version": "",
        "desired_dag_tarball_version": "",
        "is_dag_deploy_enabled": False,
    }
    assert judge(own, **there) == Settled(own)
    assert describe_unsettled(replace(DEPLOYMENT, **there), read_history([own], OWNER)) == ""


def test_an_image_deploy_that_was_to_carry_dags_names_them() -> None:
    own = replace(OWN, dag_tarball_version="")
    assert wait_for(judge(own)) == "Astro's record own names no DAGs yet"
    assert wait_for(judge(own, dag_tarball_version="", desired_dag_tarball_version="")).endswith("names no DAGs yet")


def test_what_lacks_its_dags_is_told_until_a_deploy_brings_them() -> None:
    own = replace(OWN, dag_tarball_version="")
    later = replace(OTHER, image_tag="t1")
    image = replace(later, kind=DeployKind.IMAGE_ONLY, dag_tarball_version="")
    dags = replace(later, kind=DeployKind.DAG_ONLY)
    rollback = replace(later, rollback_from_id="own")
    told = [describe_unsettled(DEPLOYMENT, read_history(records, OWNER)) for records in ([own], [own, image])]
    assert told == [f"deployed, and not settled: Astro's record {name} names no DAGs" for name in ("own", "other")]
    for records in ([OWN], [OWN, image], [own, dags], [own, rollback]):
        assert describe_unsettled(DEPLOYMENT, read_history(records, OWNER)) == ""


@pytest.mark.parametrize(
    ("status", "woke", "is_settled"),
    [
        (DeploymentStatus.HEALTHY, False, True),
        (DeploymentStatus.HEALTHY, True, True),
        (DeploymentStatus.HIBERNATING, False, True),
        (DeploymentStatus.HIBERNATING, True, False),
        (DeploymentStatus.CREATING, False, False),
        (DeploymentStatus.DEPLOYING, False, False),
        (DeploymentStatus.UNHEALTHY, False, False),
        (DeploymentStatus.UNKNOWN, False, False),
    ],
)
def test_status_must_be_an_end(status: DeploymentStatus, *, woke: bool, is_settled: bool) -> None:
    verdict = judge(OWN, status=status, status_reason="so it is", woke=woke)
    assert isinstance(verdict, Settled) == is_settled
    if not is_settled:
        assert wait_for(verdict) == f"the Deployment is {status.value} (so it is)"


def test_a_hibernating_deployment_fetches_its_dags_when_it_wakes() -> None:
    asleep: dict[str, Any] = {"status": DeploymentStatus.HIBERNATING, "dag_tarball_version": "v0"}
    assert judge(OWN, **asleep) == Settled(OWN)
    assert isinstance(judge(OWN, **asleep, woke=True), Waiting)
    assert isinstance(judge(OWN, **asleep, desired_dag_tarball_version="v0"), Waiting)


def test_a_deployment_that_is_gone_is_a_failure() -> None:
    verdict = judge_settling([OWN], None, needle=NEEDLE, kind=ChangeType.IMAGE, woke=False)
    assert verdict == Failed(None, "the Deployment is gone")
