"""Whatever of Airflow dies or is lost, at the worst moment: the next pass converges, nothing is made twice or lost."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from demo.witness import CONTROL_DAG, ENDED, PREVIEW_DAG
from tests.e2e.faults import HALF_CREATED, HALF_DEPLOYED, await_struck, plant, settle_late
from tests.e2e.test_preview_life import DAG, push_new

if TYPE_CHECKING:
    from demo.witness import Witness

pytestmark = pytest.mark.e2e


def push(witness: Witness, branch: str, name: str) -> str:
    """Push a new branch with one more DAG, and return its head."""
    witness.author.start_branch(branch)
    head = witness.author.commit({f"dags/{name}.py": DAG.format(name=name)}, f"Add {name}")
    witness.author.push(branch)
    return head


def find_run(witness: Witness, prefix: str) -> str:
    """Return the newest run of the environment and verb, whatever its state."""
    return next(
        str(run["dag_run_id"])
        for run in witness.outside.list_runs(PREVIEW_DAG)
        if str(run["dag_run_id"]).startswith(prefix)
    )


def count_creates(witness: Witness) -> int:
    """Return how many Deployments Astro has made in this test."""
    requests = witness.stack.sandbox.get("/sandbox/requests").json()["requests"]
    return sum(
        each["face"] == "astro"
        and each["method"] == "POST"
        and each["status"] == 200
        and re.search(r"/deployments$", each["path"]) is not None
        for each in requests
    )


def await_state(witness: Witness, run_id: str, task_id: str, state: str) -> dict[str, Any]:
    """Return the run's task once it is in that state."""
    found: dict[str, Any] = witness.await_true(
        f"{task_id} of {run_id} to be {state}",
        lambda: next(
            (task for task in [witness.outside.list_tasks(PREVIEW_DAG, run_id)[task_id]] if task["state"] == state),
            None,
        ),
    )[0]
    return found


def count_deploys(witness: Witness, branch: str) -> int:
    """Return how many deploys of the branch's Deployment came to their end."""
    deployment = witness.outside.find_deployment(branch)
    assert deployment is not None, branch
    return len(witness.outside.list_deploys(deployment["id"]))


def change(witness: Witness, branch: str, name: str) -> str:
    """Push another commit to the branch and return it."""
    witness.author.git("checkout", "--quiet", branch)
    head = witness.author.commit({f"dags/{name}.py": "# more\n"}, "More")
    witness.author.push(branch)
    return head


def test_worker_scheduler_and_triggerer_die_while_they_work_on_one_preview(witness: Witness) -> None:
    branch, stack, outside = "dev-survivor", witness.stack, witness.outside
    plant(witness, **HALF_CREATED)
    head = push(witness, branch, "survivor")
    await_struck(witness)
    run_id = find_run(witness, f"{branch}~create~")
    plant(witness, **HALF_DEPLOYED)
    psutil.Process(await_state(witness, run_id, "create", "running")["pid"]).kill()
    await_struck(witness)
    made, _ = witness.await_deployment(branch)
    assert "Process terminated by signal" in outside.read_log(PREVIEW_DAG, run_id, "create", 1)
    assert f"is there as {made['id']} for {branch}" in outside.read_log(PREVIEW_DAG, run_id, "create", 2)

    with settle_late(witness):
        stack.kill("scheduler")
        stack.start("scheduler")
        await_state(witness, run_id, "settle", "deferred")
    assert f"deployed {head[:12]} of {branch} to " in outside.read_log(PREVIEW_DAG, run_id, "deploy", 2)

    stack.kill("triggerer")
    stack.start("triggerer")
    assert witness.await_run(branch, "create")["dag_run_id"] == run_id
    assert f"{head[:12]} of {branch} settled: " in outside.read_log(PREVIEW_DAG, run_id, "settle")
    witness.await_run(branch, "update")  # what the killed create had not come to
    more = change(witness, branch, "survivor")
    witness.await_deploy(branch, more)
    assert (count_creates(witness), count_deploys(witness, branch)) == (1, 2)
    assert witness.check_files(branch, more)


def purge(witness: Witness) -> None:
    """Delete every run that Airflow's API lets go (one at work it refuses), and everything remembered."""
    api = witness.stack.api
    for dag_id in (PREVIEW_DAG, CONTROL_DAG):
        for run in [each for each in witness.outside.list_runs(dag_id) if each["state"] in ENDED]:
            api.delete(f"/api/v2/dags/{dag_id}/dagRuns/{run['dag_run_id']}").raise_for_status()
    for asset in api.get("/api/v2/assets").json()["assets"]:
        api.delete(f"/api/v2/assets/{asset['id']}/state-store").raise_for_status()


def test_airflow_forgets_every_run_and_all_that_was_remembered(witness: Witness) -> None:
    kept, gone, young = "dev-kept", "dev-gone", "dev-young"
    heads = {branch: push(witness, branch, branch.removeprefix("dev-")) for branch in (kept, gone)}
    for branch, head in heads.items():
        witness.await_deploy(branch, head)
        witness.await_run(branch, "create")
    plant(witness, cli="create", hang_s=10)
    heads[young] = push(witness, young, "young")
    await_struck(witness)
    at_work = find_run(witness, f"{young}~create~")
    purge(witness)
    witness.author.delete(gone)
    witness.await_deletion(gone)
    witness.await_deploy(young, heads[young])
    assert (count_creates(witness), count_deploys(witness, kept), count_deploys(witness, young)) == (3, 1, 1)
    heads[kept] = change(witness, kept, "kept")
    witness.await_deploy(kept, heads[kept])
    assert witness.find_runs(kept, "create") == []
    assert find_run(witness, f"{young}~create~") == at_work
    for branch in (kept, young):
        assert witness.check_files(branch, heads[branch])


def test_a_power_cut_and_an_older_copy_of_airflows_database(witness: Witness) -> None:
    early, late, gone = "dev-early", "dev-later", "dev-bygone"
    engine, backup = witness.stack.engine, witness.stack.home / "backup"
    push_new(witness, gone, "bygone")
    plant(witness, cli="create", hang_s=5)
    heads = {early: push(witness, early, "early")}
    await_struck(witness)
    engine.save_database(backup)  # in it, a run is about to create what is there since long when it is restored
    heads[late] = push(witness, late, "later")
    witness.author.delete(gone)
    witness.await_deploy(late, heads[late])
    witness.await_deletion(gone)
    witness.await_run(early, "create")

    witness.stack.replace_airflow(lambda: engine.restore_database(backup))
    # However it ends: the scheduler starts tasks before Airflow's API is there to answer them, and tries run out.
    witness.await_true("the restored run to end", lambda: witness.find_runs(early, "create"))
    assert (count_deploys(witness, early), count_deploys(witness, late)) == (1, 1)
    heads[early] = change(witness, early, "early")
    witness.await_deploy(early, heads[early])
    assert (count_creates(witness), count_deploys(witness, early), count_deploys(witness, late)) == (3, 2, 1)
    for branch, head in heads.items():
        assert witness.check_files(branch, head)
    assert witness.outside.find_deployment(gone) is None
