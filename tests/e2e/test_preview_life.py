"""A preview equals its branch through everything that a branch can go through, proven by the deployed files."""

from __future__ import annotations

import pytest

from demo.feedback import Shown, await_live, await_removed, find_comment
from demo.witness import PREVIEW_DAG, Witness

pytestmark = pytest.mark.e2e
LIVES = "lives"
"""The name of the tests that go on at once: none of them moves a branch that another one watches."""

DAG = """from airflow.sdk import dag


@dag(schedule=None)
def {name}() -> None:
    pass


{name}()
"""


def push_new(witness: Witness, branch: str, name: str) -> str:
    """Push a new branch with one more DAG, and return its head once it is deployed."""
    witness.author.start_branch(branch)
    head = witness.author.commit({f"dags/{name}.py": DAG.format(name=name)}, f"Add {name}")
    witness.author.push(branch)
    witness.await_deploy(branch, head)
    return head


@pytest.mark.at_once(LIVES)
def test_a_then_b_then_force_push_a(witness: Witness) -> None:
    branch = "dev-there-and-back"
    a = push_new(witness, branch, "there")
    assert witness.check_files(branch, a)
    b = witness.author.commit({"dags/there.py": "# more\n"}, "More")
    witness.author.push(branch)
    record, _ = witness.await_deploy(branch, b)
    assert record["type"] == "DAG_ONLY"
    witness.check_files(branch, b)
    witness.author.git("reset", "--quiet", "--hard", a)
    witness.author.push(branch, force=True)
    record, _ = witness.await_deploy(branch, a)
    assert record["type"] == "DAG_ONLY"
    assert witness.check_files(branch, a)


def test_a_push_after_the_merge_starts_a_new_life(witness: Witness) -> None:
    branch = "dev-after-merge"
    head = push_new(witness, branch, "before")
    number = witness.author.open_pull_request(branch, "staging", "Before")
    check_shown(witness, branch, await_live(witness, branch, number, head))
    witness.author.merge(number)
    witness.await_deletion(branch)
    witness.await_run(branch, "delete")
    await_removed(witness, branch, number)
    head = witness.author.commit({"dags/after.py": DAG.format(name="after")}, "After")
    witness.author.push(branch)
    witness.await_deploy(branch, head)
    assert witness.check_files(branch, head)
    assert "**removed**" in find_comment(witness, number)


def check_shown(witness: Witness, branch: str, shown: Shown) -> None:
    """Assert that what GitHub shows leads on: the status to Airflow, the GitHub Deployment to the preview's Airflow."""
    deployment = witness.outside.find_deployment(branch)
    assert deployment is not None
    assert deployment["webServerUrl"] in shown.comment
    assert shown.status["description"] == "it was deployed"
    assert f"/dags/{PREVIEW_DAG}" in shown.status["target_url"]
    assert shown.deployment["newest"]["environment_url"].endswith(deployment["webServerUrl"])
    assert shown.deployment["transient_environment"]


@pytest.mark.at_once(LIVES)
def test_a_branch_deleted_and_made_again_at_the_same_commit(witness: Witness) -> None:
    branch = "dev-again"
    head = push_new(witness, branch, "again")
    old = witness.outside.find_deployment(branch)
    assert old is not None
    witness.author.delete(branch)
    witness.await_deletion(branch)
    witness.await_run(branch, "delete")
    witness.author.push(branch)
    new, _ = witness.await_deployment(branch)
    witness.await_deploy(branch, head)
    assert new["id"] != old["id"]
    assert witness.check_files(branch, head)


@pytest.mark.at_once(LIVES)
def test_a_branch_with_a_slash_and_an_odd_name(witness: Witness) -> None:
    branch = "dev/{{7+7}}$(id);--force&'x'"
    head = push_new(witness, branch, "odd")
    assert witness.check_files(branch, head)


@pytest.mark.at_once(LIVES)
def test_a_forced_delete_stays_until_the_branch_moves(witness: Witness) -> None:
    branch = "dev-unwanted"
    push_new(witness, branch, "unwanted")
    conf = {"branch": branch, "action": "delete", "deploy_type": "infer", "reason": "too dear"}
    body = {"logical_date": None, "dag_run_id": "by-hand", "conf": conf}
    witness.await_true(
        "the environment to be free",
        lambda: len(witness.find_runs(branch, "create")) == 1,
    )
    witness.stack.api.post(f"/api/v2/dags/{PREVIEW_DAG}/dagRuns", json=body).raise_for_status()
    witness.await_deletion(branch)
    moved = witness.author.commit({"dags/unwanted.py": "# moved\n"}, "Move")
    witness.author.push(branch)
    witness.await_deploy(branch, moved)
    creates = witness.find_runs(branch, "create")
    assert all(moved[:12] in run["dag_run_id"] or "~1" in run["dag_run_id"] for run in creates)
