"""What a person reads in Airflow when something is wrong outside or in the policy; what is right goes on meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from demo.witness import CONTROL_DAG, PREVIEW_DAG
from include.deploy_ops.core.model import Mark
from include.deploy_ops.core.naming import format_mark
from sandbox.identity import ASTRO_TOKEN, ORGANIZATION_ID, WORKSPACE_ID
from tests.e2e.faults import plant
from tests.e2e.test_preview_life import DAG, LIVES

if TYPE_CHECKING:
    from demo.witness import Witness

pytestmark = pytest.mark.e2e


def make_deployment(witness: Witness, name: str, description: str) -> str:
    """Create a Deployment as a person would in Astro's UI, and return its id."""
    body = {
        "name": name,
        "description": description,
        "workspaceId": WORKSPACE_ID,
        "type": "STANDARD",
        "executor": "CELERY",
        "schedulerSize": "SMALL",
        "isCicdEnforced": False,
        "isDagDeployEnabled": True,
        "isHighAvailability": False,
        "isDevelopmentMode": True,
        "cloudProvider": "AWS",
        "region": "us-east-1",
        "astroRuntimeVersion": "3.3-2",
    }
    answer = witness.stack.sandbox.post(
        f"/astro/v1/organizations/{ORGANIZATION_ID}/deployments",
        json=body,
        headers={"Authorization": f"Bearer {ASTRO_TOKEN}"},
    )
    answer.raise_for_status()
    return str(answer.json()["id"])


def await_pass(witness: Witness, words: str) -> str:
    """Return the log of the first try of a pass, queued as it may be behind others, once one says the words."""

    def look() -> str:
        for run in witness.outside.list_runs(CONTROL_DAG)[:3]:
            tasks = witness.outside.list_tasks(CONTROL_DAG, run["dag_run_id"])
            if tasks["plan"]["try_number"] and words in (
                said := witness.outside.read_log(CONTROL_DAG, run["dag_run_id"], "plan")
            ):
                return said
        return ""

    found: str = witness.await_true(f"a pass to say {words!r}", look)[0]
    return found


def test_an_outage_fails_the_pass_with_its_cause_and_deletes_nothing(witness: Witness) -> None:
    branch = "dev-left-over"
    mark = Mark("acme-demo", "data_platform", "acme/data-platform", branch, "0" * 12)
    plant(witness, face="astro", path=r"/deployments\?", status=500, body="the moon is in the way", times=None)
    make_deployment(witness, "left over", format_mark(mark))
    body = {"logical_date": None, "dag_run_id": "by-hand"}
    witness.stack.api.post(f"/api/v2/dags/{CONTROL_DAG}/dagRuns", json=body).raise_for_status()
    said = await_pass(witness, "SilenceError")
    assert "Astro gave no usable answer in 4 tries: HTTP 500 'the moon is in the way'" in said
    assert "/deployments?" in said
    witness.stack.sandbox.delete("/sandbox/faults").raise_for_status()
    assert witness.outside.find_deployment(branch) is not None
    witness.await_deletion(branch)


def test_a_cli_that_exits_0_without_deploying_is_told_and_tried_again(witness: Witness) -> None:
    branch = "dev-exit-0"
    plant(witness, cli="deploy", exit_0_without_deploying=True)
    witness.author.start_branch(branch)
    head = witness.author.commit({"dags/exit_0.py": DAG.format(name="exit_0")}, "Add exit_0")
    witness.author.push(branch)
    run = witness.await_run(branch, "create", head)
    said = witness.outside.read_log(PREVIEW_DAG, run["dag_run_id"], "deploy")
    assert "RetryableError: `" in said
    assert "ended without saying that it succeeded" in said
    assert witness.outside.list_tasks(PREVIEW_DAG, run["dag_run_id"])["deploy"]["try_number"] == 2
    assert witness.check_files(branch, head)


@pytest.mark.at_once(LIVES)
def test_a_broken_project_is_an_import_error_and_the_others_passes_go_on(witness: Witness) -> None:
    branch, sound = "dev-taken", witness.stack.policy_file.read_text(encoding="utf-8")
    policy: dict[str, Any] = yaml.safe_load(sound)
    policy["projects"].append({"name": "bad", "repository": "acme/other", "image": ["build"], "poll_intervall_s": 5})
    witness.stack.write_policy(yaml.safe_dump(policy))
    try:
        found, _ = witness.await_true("the import error", witness.outside.list_import_errors)
        ((file, error),) = found.items()
        assert file.endswith("policy_errors.py")
        place = f"projects[{len(policy['projects']) - 1}].poll_intervall_s"
        assert f"PolicyError: {witness.stack.policy_file}: {place}: " in error
        assert "poll_interval_s" in error.partition("poll_intervall_s")[2]
        deployment_id = make_deployment(witness, "data_platform-dev-taken", "a person's")
        witness.author.start_branch(branch)
        witness.author.push(branch)
        said = await_pass(witness, "create dev-taken held: ")
        assert f"'data_platform-dev-taken' ({deployment_id}) exists without our mark; rename or delete it" in said
    finally:
        witness.stack.write_policy(sound)
    witness.await_true("the import error to go", lambda: not witness.outside.list_import_errors())
