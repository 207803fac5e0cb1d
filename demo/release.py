"""The tour's second half: a pull request reaches staging, then, approved, production; and a rollback that stays."""

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
    from demo.tour import Tour

FEATURE, CHORE, DEPLOY_BRANCH = "dev-sales", "chore-deps", "astro_deploy"


def release(tour: Tour) -> None:
    """Play it; raises WitnessError at the first step that does not come true."""
    before = _promote(tour)
    _deploy_image_to_staging(tour)
    _deploy_to_production(tour)
    _roll_back(tour, before)


def _find_head(tour: Tour, branch: str) -> str:
    author = tour.witness.author
    author.git("fetch", "--quiet", "--prune")
    return author.git("rev-parse", f"origin/{branch}")


def _await_promotion(tour: Tour, tip: str) -> str:
    """Return the deploy branch's commit once it is another one."""
    tour.witness.await_true("a promotion", lambda: _find_head(tour, DEPLOY_BRANCH) != tip)
    return _find_head(tour, DEPLOY_BRANCH)


def _tell_staging(tour: Tour, step: str, commit: str, kind: str, start: float) -> None:
    record, _ = tour.witness.await_target_deploy("Staging", commit)
    if record["type"] != kind:
        raise WitnessError(f"deploy {record['id']} of Staging is {record['type']}, expected {kind}")
    run = tour.witness.await_success(STAGING_DAG, f"target.staging~deploy~{commit[:12]}")
    files = tour.witness.check_target_files("Staging", commit)
    tour.tell(step, time.monotonic() - start, run, f"{files} deployed files equal {commit[:12]}")


def _promote(tour: Tour) -> str:
    """Open a pull request into staging; return the commit that staging runs then."""
    author, tip = tour.witness.author, _find_head(tour, DEPLOY_BRANCH)
    author.start_branch(FEATURE, "origin/staging")
    author.commit({"dags/sales.py": "# counts sales\n"}, "Count sales")
    author.push(FEATURE)
    start = time.monotonic()
    author.open_pull_request(FEATURE, "staging", "Sales")
    commit = _await_promotion(tour, tip)
    run = tour.witness.await_success(PROMOTION_DAG)
    tour.tell(
        f"pull request into staging → {DEPLOY_BRANCH}", time.monotonic() - start, run, f"one commit, {commit[:12]}"
    )
    _tell_staging(tour, "pull request into staging → DAG-only deploy of Staging", commit, "DAG_ONLY", start)
    return commit


def _deploy_image_to_staging(tour: Tour) -> None:
    author, tip = tour.witness.author, _find_head(tour, DEPLOY_BRANCH)
    author.start_branch(CHORE, "origin/staging")
    author.git("merge", "--quiet", "--no-edit", "origin/main")  # what the first half of the tour merged there
    author.commit({"requirements.txt": "humanize==4.9.0\n"}, "Need humanize")
    author.push(CHORE)
    start = time.monotonic()
    author.merge(author.open_pull_request(CHORE, "staging", "Humanize"), "merge")
    commit = _await_promotion(tour, tip)
    _tell_staging(
        tour, "requirements.txt merged into staging → image deploy of Staging", commit, "IMAGE_AND_DAG", start
    )


def _deploy_to_production(tour: Tour) -> None:
    witness, start = tour.witness, time.monotonic()
    number = witness.author.open_pull_request(DEPLOY_BRANCH, "main", "Release")
    merge = str(witness.await_mergeable(number)["merge_commit_sha"])
    approval = witness.await_approval(PRODUCTION_REQUEST_DAG)
    asked = time.monotonic()
    request = witness.outside.link(approval.dag_id, approval.run_id)
    tour.say(f"✔ pull request into main → a person is asked: {asked - start:.1f} s\n    {request}")
    witness.person.answer(approval, "Approve", comment="go")
    witness.await_target_deploy("Production", merge)
    run = witness.await_success(PRODUCTION_DAG, "target.production~deploy~")
    files = witness.check_target_files("Production", merge)
    step = "approved → image deploy of Production"
    tour.tell(step, time.monotonic() - asked, run, f"{files} deployed files equal the test merge {merge[:12]}")
    witness.await_true("the pull request to be merged", lambda: witness.author.show_pull_request(number)["merged"])
    run = witness.await_success(PRODUCTION_DAG, "target.production~merge~")
    tour.tell("deployed → merged", time.monotonic() - asked, run, f"pull request #{number}, by merge commit")


def _roll_back(tour: Tour, commit: str) -> None:
    witness, start = tour.witness, time.monotonic()
    form = {"action": "deploy", "ref": commit, "deploy_type": "image-and-dags", "reason": "the new DAGs misbehave"}
    run_id = witness.person.trigger(STAGING_DAG, form)
    run = witness.await_success(STAGING_DAG, run_id)
    witness.await_target_deploy("Staging", commit)
    files = witness.check_target_files("Staging", commit)
    tour.tell(
        "forced rollback of Staging", time.monotonic() - start, run, f"{files} deployed files equal {commit[:12]}"
    )
    held = _await_hold(tour)
    tour.say(f"✔ it stays: {held}")


def _await_hold(tour: Tour) -> str:
    """Return what the newest pass says of staging, once it says that it is held."""
    witness = tour.witness

    def look() -> str:
        runs = [run for run in witness.outside.list_runs(CONTROL_DAG) if run["state"] == "success"]
        shown: Any = runs and witness.outside.read_log(CONTROL_DAG, runs[0]["dag_run_id"], "plan")
        lines = [line for line in str(shown or "").splitlines() if "staging held: overridden" in line]
        return lines[-1] if lines else ""

    return str(witness.await_true("control to hold staging", look)[0])
