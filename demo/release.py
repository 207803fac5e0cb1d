"""The tour's part about a release: staging, then, proven there and approved, production; a rollback stays."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from demo.feedback import await_comment
from demo.living import measure_delay
from demo.policy_text import change_lines
from demo.witness import (
    PRODUCTION_DAG,
    PRODUCTION_REQUEST_DAG,
    PROJECT,
    PROMOTION_DAG,
    STAGING_DAG,
    WitnessError,
    select_run,
)

if TYPE_CHECKING:
    from demo.person import Approval
    from demo.steps import Steps
    from demo.witness import Witness

FEATURE, CHORE, DEPLOY_BRANCH = "dev-sales", "chore-deps", "astro_deploy"
CONTEXT = "deploy-ops/production"
SOAK_S = 45
"""Seconds for which Staging runs what is released, verified, before anybody is asked: until then all say so."""
SOAKS = "soaks on staging until"
_STAGING = "staging: {{ deployment: Staging, branch: astro_deploy, deploy_type: infer{} }}"
_GATE = {
    _STAGING.format(""): _STAGING.format(", verify: {}"),
    "approval: required": f"requires: {{ verified: staging, soak: {SOAK_S}s }}\n        approval: required",
}


def add_gate(policy: str) -> str:
    """Return the policy in which production waits for what Staging proved; all else as it is."""
    return change_lines(policy, _GATE)


def release(steps: Steps) -> None:
    """Play it; raises WitnessError at the first step that does not come true."""
    before = _promote(steps)
    number = _deploy_image_to_staging(steps)
    _deploy_to_production(steps, number, _await_question(steps, number))
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
    seconds = time.monotonic() - start
    if record["type"] != kind:
        raise WitnessError(f"deploy {record['id']} of Staging is {record['type']}, expected {kind}")
    run = steps.witness.await_success(STAGING_DAG, f"target.staging~deploy~{commit[:12]}")
    files = steps.witness.check_target_files("Staging", commit)
    steps.tell(step, seconds, run, f"{files} deployed files equal {commit[:12]}")


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


def _deploy_image_to_staging(steps: Steps) -> int:
    """Merge a package into staging; return the pull request of the release, opened before Staging is verified."""
    author, tip = steps.witness.author, _find_head(steps, DEPLOY_BRANCH)
    author.start_branch(CHORE, "origin/staging")
    author.git("merge", "--quiet", "--no-edit", "origin/main")  # what the first part of the tour merged there
    author.commit({"requirements.txt": "humanize==4.9.0\n"}, "Need humanize")
    author.push(CHORE)
    start = time.monotonic()
    author.merge(author.open_pull_request(CHORE, "staging", "Humanize"), "merge")
    commit = _await_promotion(steps, tip)
    steps.witness.await_target_deploy("Staging", commit)
    number = author.open_pull_request(DEPLOY_BRANCH, "main", "Release")
    _tell_staging(
        steps, "requirements.txt merged into staging → image deploy of Staging", commit, "IMAGE_AND_DAG", start
    )
    return number


def _await_question(steps: Steps, number: int) -> Approval:
    """Play the step in which nobody is asked before Staging has soaked; return the question."""
    witness, start = steps.witness, time.monotonic()
    plan = witness.await_plan(f"request production held: {SOAKS}")
    _await_row(witness)
    await_comment(witness, number, SOAKS)
    _await_status(witness, number)
    approval = witness.await_approval(PRODUCTION_REQUEST_DAG)
    seconds = time.monotonic() - start
    run = select_run(witness.outside.list_runs(PRODUCTION_REQUEST_DAG), approval.run_id, ()) or {}
    measure_delay(run, _find_verified(witness) + timedelta(seconds=SOAK_S))
    step = f"Staging is verified → a release waits until it soaked for {SOAK_S} s → a person is asked"
    steps.tell(step, seconds, run, f"plan, page, comment and status said: {plan}")
    return approval


def _await_row(witness: Witness) -> None:
    """Return once the page's row of production says what is awaited."""

    def look() -> bool:
        row = witness.outside.read_rows(PROJECT).get("production", {})
        return row.get("state") == "waiting" and SOAKS in str(row.get("why"))

    witness.await_true(f"the row of production to say {SOAKS!r}", look)


def _await_status(witness: Witness, number: int) -> None:
    """Return once the release's head was told what is awaited; that may be over by now."""
    head = str(witness.author.show_pull_request(number)["head"]["sha"])

    def look() -> bool:
        return any(SOAKS in said for said in witness.author.list_statuses(head, CONTEXT))

    witness.await_true(f"{CONTEXT} of {head[:12]} to say {SOAKS!r}", look)


def _find_verified(witness: Witness) -> datetime:
    """Return when what Staging runs was verified."""
    known = witness.outside.read_rows(PROJECT)["staging"]["verification"]
    return datetime.fromisoformat(known.get("since") or known["at"])


def _deploy_to_production(steps: Steps, number: int, approval: Approval) -> None:
    witness, asked = steps.witness, time.monotonic()
    merge = str(witness.await_mergeable(number)["merge_commit_sha"])
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
    witness.await_target_deploy("Staging", commit)
    seconds = time.monotonic() - start
    run = witness.await_success(STAGING_DAG, run_id)
    files = witness.check_target_files("Staging", commit)
    steps.tell("forced rollback of Staging", seconds, run, f"{files} deployed files equal {commit[:12]}")
    steps.say(f"✔ it stays: {witness.await_plan('staging held: overridden')}")
