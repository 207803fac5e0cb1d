"""A whole life against the sandbox's real Airflow: a smoke run fails, and after a push succeeds, in a pool of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.core.policy.keys import Environment, PoolRule, SmokeRule, Verify
from include.deploy_ops.core.verification.verdict import Proof, SmokeOutcome
from tests.unit.operators.deploy.test_verify_on_airflow import CONTEXT, live_on, make_faces

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Stage

BRANCH = "dev-x"
BROKEN = """from airflow.sdk import DAG, task

with DAG("smoke_orders", schedule=None):

    @task(pool="warehouse")
    def load():
        raise KeyError("no such order")

    load()

with DAG("smoke_nightly", schedule="@daily"):

    @task
    def sleep():
        pass

    sleep()
"""


def test_a_smoke_run_fails_and_after_a_push_succeeds(stage: Stage) -> None:
    rules = Verify(dags=(SmokeRule(dag="smoke_*"),))
    stage.change_project(
        previews={
            "verify": rules,
            "environment": Environment(pools={"warehouse": PoolRule(slots=2, description="Of orders")}),
        }
    )
    assert stage.sandbox.client.post(
        "/sandbox/settings", json={"parsed_again_s": 1, "airflow_patience_s": 20}
    ).is_success
    faces = make_faces(stage)
    broken = stage.push(BRANCH, {"dags/smoke.py": BROKEN})
    number = stage.author.open_pull_request(BRANCH, "staging", "A smoke test")
    row = live_on(stage, faces)
    known = row.verification
    assert known is not None
    assert (known.proof, known.unpaused) == (Proof.FAILED, ()), known
    assert known.said.startswith("smoke_orders failed after ")
    failed, skipped = known.runs
    assert (failed.dag_id, failed.task) == ("smoke_orders", "load")
    assert "no such order" in "\n".join(failed.lines)
    assert (skipped.dag_id, skipped.outcome) == ("smoke_nightly", SmokeOutcome.SKIPPED)
    assert faces.statuses[broken, CONTEXT] == "failure"
    assert "smoke_orders failed after" in faces.comments[number]
    assert "smoke_nightly not run: it has a schedule" in faces.comments[number]
    assert stage.plan() == []  # it is no failed deploy

    stage.author.git("rm", "--quiet", "dags/smoke.py")  # what is pushed more is appended
    mended = stage.push_more(BRANCH, {"dags/smoke.py": BROKEN.replace('raise KeyError("no such order")', "pass")})
    known = live_on(stage, faces).verification
    assert known is not None
    assert known.commit == mended
    assert (known.proof, known.attempt) == (Proof.VERIFIED, 1), known.runs
    assert [each.outcome for each in known.runs] == [SmokeOutcome.SUCCESS, SmokeOutcome.SKIPPED]
    assert faces.statuses[mended, CONTEXT] == "success"
