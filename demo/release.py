"""The tour's part about a release: a pull request reaches staging, then, approved, production; a rollback stays."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from demo.witness import (
    CONTROL_DAG,
    PRODUCTION_DAG,
    PRODUCTION_REQUEST_DAG,
    PROMOTION_DAG,
    STAGING_DAG,
    WitnessError,
)

if TYPE_CHECKING:
    from demo.steps import Steps

FEATURE, CHORE, DEPLOY_BRANCH = "dev-sales", "chore-deps", "astro_deploy"


def release(steps: Steps) -> None:
    """Play it; raises WitnessError at the first step that does not come true."""
    before = _promote(steps)
    _deploy_image_to_staging(steps)
    _deploy_to_production(steps)
    _roll_back(steps, before)


def _find_head(steps: Steps, branch: str) -> str:
    author = steps.witness.author
    author.git("fetch", "--quiet", "--prune")
    return author.git("rev-parse", f"origin/{branch}")


def _await_promotion(steps: Steps, tip: str) -> str:
    """Return the deploy branch's commit once it is another one."""
    steps.witness.await_true("a promotion", lambda: _find_head(steps, DEPLOY_BRANCH) != tip)
    return _find_head(steps, DEPLOY_BRANCH)


def _tell_staging(steps: Steps, step: str, commit: str, kind: str, start: float) -> None:
    record, _ = steps.witness.await_target_deploy("Staging", commit)
    if record["type"] != kind:
        raise WitnessError(f"deploy {record['id']} of Staging is {record['type']}, expected {kind}")
    run = steps.witness.await_success(STAGING_DAG, f"target.staging~deploy~{commit[:12]}")
    files = steps.witness.check_target_files("Staging", commit)
    steps.tell(step, time.monotonic() - start, run, f"{files} deployed files equal {commit[:12]}")


def _promote(steps: Steps) -> str:
    """Open a pull request into staging; return the commit that staging runs then."""
    author, tip = steps.witness.author, _find_head(steps, DEPLOY_BRANCH)
    author.start_branch(FEATURE, "origin/staging")
    author.commit({"dags/sales.py": "# counts sales\n"}, "Count sales")
    author.push(FEATURE)
    start = time.monotonic()
    author.open_pull_request(FEATURE, "staging", "Sales")
    commit = _await_promotion(steps, tip)
    run = steps.witness.await_success(PROMOTION_DAG)
    steps.tell(
        f"pull request into staging → {DEPLOY_BRANCH}", time.monotonic() - start, run, f"one commit, {commit[:12]}"
    )
    _tell_staging(steps, "pull request into staging → DAG-only deploy of Staging", commit, "DAG_ONLY", start)
    return commit


def _deploy_image_to_staging(steps: Steps) -> None:
    author, tip = steps.witness.author, _find_head(steps, DEPLOY_BRANCH)
    author.start_branch(CHORE, "origin/staging")
    author.git("merge", "--quiet", "--no-edit", "origin/main")  # what the first part of the tour merged there
    author.commit({"requirements.txt": "humanize==4.9.0\n"}, "Need humanize")
    author.push(CHORE)
    start = time.monotonic()
    author.merge(author.open_pull_request(CHORE, "staging", "Humanize"), "merge")
    commit = _await_promotion(steps, tip)
    _tell_staging(
        steps, "requirements.txt merged into staging → image deploy of Staging", commit, "IMAGE_AND_DAG", start
    )


def _deploy_to_production(steps: Steps) -> None:
    witness, start = steps.witness, time.monotonic()
    number = witness.author.open_pull_request(DEPLOY_BRANCH, "main", "Release")
    merge = str(witness.await_mergeable(number)["merge_commit_sha"])
    approval = witness.await_approval(PRODUCTION_REQUEST_DAG)
    asked = time.monotonic()
    request = witness.outside.link(approval.dag_id, approval.run_id)
    steps.say(f"✔ pull request into main → a person is asked: {asked - start:.1f} s\n    {request}")
    witness.person.answer(approval, "Approve", comment="go")
    witness.await_target_deploy("Production", merge)
    run = witness.await_success(PRODUCTION_DAG, "target.production~deploy~")
    files = witness.check_target_files("Production", merge)
    step = "approved → image deploy of Production"
    steps.tell(step, time.monotonic() - asked, run, f"{files} deployed files equal the test merge {merge[:12]}")
    witness.await_true("the pull request to be merged", lambda: witness.author.show_pull_request(number)["merged"])
    run = witness.await_success(PRODUCTION_DAG, "target.production~merge~")
    steps.tell("deployed → merged", time.monotonic() - asked, run, f"pull request #{number}, by merge commit")


def _roll_back(steps: Steps, commit: str) -> None:
    witness, start = steps.witness, time.monotonic()
    form = {"action": "deploy", "ref": commit, "deploy_type": "image-and-dags", "reason": "the new DAGs misbehave"}
    run_id = witness.person.trigger(STAGING_DAG, form)
    run = witness.await_success(STAGING_DAG, run_id)
    witness.await_target_deploy("Staging", commit)
    files = witness.check_target_files("Staging", commit)
    steps.tell(
        "forced rollback of Staging", time.monotonic() - start, run, f"{files} deployed files equal {commit[:12]}"
    )
    held = _await_hold(steps)
    steps.say(f"✔ it stays: {held}")


def _await_hold(steps: Steps) -> str:
    """Return what the newest pass says of staging, once it says that it is held."""
    witness = steps.witness

    def look() -> str:
        runs = [run for run in witness.outside.list_runs(CONTROL_DAG) if run["state"] == "success"]
        shown: Any = runs and witness.outside.read_log(CONTROL_DAG, runs[0]["dag_run_id"], "plan")
        lines = [line for line in str(shown or "").splitlines() if "staging held: overridden" in line]
        return lines[-1] if lines else ""

    return str(witness.await_true("control to hold staging", look)[0])
