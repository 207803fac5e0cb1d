"""The hour in which a team shows what is open, as `docs/install.md` tells it: its steps come true on the sandbox."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from include.deploy_ops.core.policy.file import load_policy
from include.deploy_ops.run.scope import Scope
from tests.worlds.stages.pages import fold_page
from tests.worlds.stages.stage import WRITES

if TYPE_CHECKING:
    from tests.worlds.stages.stage import Run, Stage

PAGE = Path(__file__).parents[3] / "docs" / "install.md"
BRANCH = "dev-one"
PROPOSAL = "deploy-ops/template-trial"
TEMPLATE = "deployments/preview.yaml"
DAG = "from airflow.sdk import DAG\n\nDAG('one', schedule=None)\n"


def read_policy() -> str:
    """Return the policy of the hour, of the sandbox's repository."""
    _, _, hour = PAGE.read_text(encoding="utf-8").partition("\n## Show it in an hour\n")
    (policy,) = re.findall(r"^ *```yaml\n(.+?)^ *```", hour, re.MULTILINE | re.DOTALL)
    return str(policy).replace("acme/trial", "acme/data-platform")


def begin(stage: Stage) -> None:
    """Give a production that somebody deployed, a trunk without a template, and the policy that only plans."""
    stage.renew(is_astro_empty=False)
    loaded = load_policy(read_policy(), "policy.yaml")
    assert not loaded.problems
    (project,) = loaded.policy.projects
    stage.scope = Scope(loaded.policy.control_plane, is_dry=True, project=project, targets=loaded.target_names)
    assert loaded.policy.mode == "plan"
    stage.change_project(previews={"verify": None})  # its verdict takes minutes, and has tests
    stage.remember_always()
    stage.author.start_branch("main", "origin/main")
    stage.author.git("rm", "--quiet", TEMPLATE)
    stage.author.git("commit", "--quiet", "--message", "A project of its own")
    stage.author.push("main")
    stage.author.git("push", "--quiet", "origin", "HEAD:refs/heads/release")


def plan_it(stage: Stage) -> Run:
    """Make a pass, and return what it starts for the branch; the sandbox's repository has others beside it."""
    (run,) = [each for each in stage.plan() if each.conf.get("job", {}).get("branch") == BRANCH]
    return run


def test_a_team_sees_what_the_steps_say(stage: Stage) -> None:
    begin(stage)
    stage.push(BRANCH, {"dags/one.py": DAG})
    stage.forget_requests()
    task = stage.make_plan_task()
    assert stage.run_plan(task) == []
    assert f"| hold | {BRANCH} | create | " in fold_page(task.plan)
    proposal = stage.start({}, "manual__1", "manual", dag_id="trial.template")
    proposal.play()
    assert "failed" not in proposal.states.values(), proposal.xcoms
    for face in ("github", "astro"):
        assert stage.list_requests(face, WRITES) == []

    stage.scope = replace(stage.scope, is_dry=False)
    proposal = stage.start({}, "manual__2", "manual", dag_id="trial.template")
    proposal.play()
    assert "failed" not in proposal.states.values(), proposal.xcoms
    (pull,) = [each for each in stage.author._api("GET", "pulls?state=open").json() if each["head"]["ref"] == PROPOSAL]
    stage.author.merge(pull["number"])
    run = plan_it(stage)
    assert "failed" not in run.play().values(), run.xcoms
    made = stage.find_deployment(BRANCH)
    assert made["name"] == "trial-dev-one"
    assert run.xcoms["image"]["return_value"]["source"] == "reuse"

    stage.author.delete(BRANCH)
    run = plan_it(stage)
    assert run.conf["job"]["verb"] == "delete"
    assert "failed" not in run.play().values()
    assert "trial-dev-one" not in {each["name"] for each in stage.list_deployments()}
