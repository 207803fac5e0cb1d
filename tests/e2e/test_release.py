"""From a pull request to production, as a team sees it: promotion, staging, approval, merge, rollback, freeze."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from demo.witness import (
    CONTROL_DAG,
    PRODUCTION_DAG,
    PRODUCTION_REQUEST_DAG,
    PROMOTION_DAG,
    STAGING_DAG,
    Witness,
)
from tests.e2e.test_preview_life import LIVES

pytestmark = pytest.mark.e2e
DEPLOY_BRANCH = "astro_deploy"
DAG = "# counts {name}\n"


def find_head(witness: Witness, branch: str) -> str:
    witness.author.git("fetch", "--quiet", "--prune")
    return witness.author.git("rev-parse", f"origin/{branch}")


def await_tip(witness: Witness, besides: str) -> str:
    """Return the deploy branch's commit once a promotion moved it."""
    witness.await_true("a promotion", lambda: find_head(witness, DEPLOY_BRANCH) != besides)
    return find_head(witness, DEPLOY_BRANCH)


def open_feature(witness: Witness, name: str, files: dict[str, str]) -> int:
    """Push a branch off staging and open its pull request into staging."""
    branch = f"dev-{name}"
    witness.author.start_branch(branch, "origin/staging")
    witness.author.commit(files, f"Add {name}")
    witness.author.push(branch)
    return witness.author.open_pull_request(branch, "staging", name)


def open_chore(witness: Witness) -> int:
    """Open a pull request that brings staging what main has by now, and a package."""
    witness.author.start_branch("chore-deps", "origin/staging")
    witness.author.git("merge", "--quiet", "--no-edit", "origin/main")
    witness.author.commit({"requirements.txt": "humanize==4.9.0\n"}, "Need humanize")
    witness.author.push("chore-deps")
    return witness.author.open_pull_request("chore-deps", "staging", "Humanize")


def await_staging(witness: Witness, commit: str, kind: str) -> None:
    record, _ = witness.await_target_deploy("Staging", commit)
    assert record["type"] == kind
    witness.await_success(STAGING_DAG, f"target.staging~deploy~{commit[:12]}")
    assert witness.check_target_files("Staging", commit)


def read_plan(witness: Witness, words: str) -> str:
    """Return the line of a pass to come, or of the newest one, that holds the words."""

    def look() -> str:
        for run in itertools.islice(witness.outside.list_runs(CONTROL_DAG), 3):
            if run["state"] == "success":
                lines = witness.outside.read_log(CONTROL_DAG, run["dag_run_id"], "plan").splitlines()
                return next((line for line in lines if words in line), "")
        return ""

    return str(witness.await_true(f"control to say {words!r}", look)[0])


@pytest.mark.at_once(LIVES)
def test_a_pull_request_reaches_staging_and_production(witness: Witness) -> None:
    tip, released = find_head(witness, DEPLOY_BRANCH), witness.outside.list_runs(PRODUCTION_DAG)
    open_feature(witness, "sales", {"dags/sales.py": DAG.format(name="sales")})
    first = await_tip(witness, tip)
    await_staging(witness, first, "DAG_ONLY")
    chore = open_chore(witness)
    witness.author.merge(chore, "merge")
    second = await_tip(witness, first)
    await_staging(witness, second, "IMAGE_AND_DAG")
    assert [run["state"] for run in witness.outside.list_runs(PROMOTION_DAG)].count("failed") == 0

    number = witness.author.open_pull_request(DEPLOY_BRANCH, "main", "Release")
    rejected = witness.await_approval(PRODUCTION_REQUEST_DAG)
    assert "dags/sales.py" in rejected.body
    witness.person.answer(rejected, "Reject", comment="not on a Friday")
    witness.await_true("the words to reach the pull request", lambda: find_comment(witness, number, "not on a Friday"))
    assert "not on a Friday" in read_plan(witness, "request production held: rejected by")
    assert len(witness.outside.list_runs(PRODUCTION_DAG)) == len(released)

    third = push_fix(witness, second)
    await_staging(witness, third, "DAG_ONLY")
    merge = str(witness.await_mergeable(number)["merge_commit_sha"])
    asked = witness.await_approval(PRODUCTION_REQUEST_DAG)
    assert asked.run_id != rejected.run_id
    witness.person.answer(asked, "Approve", comment="go")
    record, _ = witness.await_target_deploy("Production", merge)
    assert record["type"] == "IMAGE_AND_DAG"
    witness.await_success(PRODUCTION_DAG, f"target.production~merge~{third[:12]}")
    assert witness.author.show_pull_request(number)["merged"]
    assert witness.check_target_files("Production", merge)
    assert witness.author.git("rev-parse", f"{merge}^{{tree}}") == witness.author.git(
        "rev-parse", f"{find_head(witness, 'main')}^{{tree}}"
    )
    roll_back_and_resume(witness, first)


def push_fix(witness: Witness, tip: str) -> str:
    """Push to the open pull request into staging, and return what the promotion makes of it."""
    witness.author.start_branch("dev-sales", "origin/dev-sales")
    witness.author.commit({"dags/sales.py": "# by hour\n"}, "By hour")
    witness.author.push("dev-sales")
    return await_tip(witness, tip)


def find_comment(witness: Witness, number: int, words: str) -> bool:
    return any(words in comment for comment in witness.author.list_comments(number))


def roll_back_and_resume(witness: Witness, commit: str) -> None:
    """Force an older commit onto staging; it stays although the deploy branch moves, until a person resumes."""
    form: dict[str, Any] = {"ref": commit, "deploy_type": "image-and-dags", "reason": "the new DAGs misbehave"}
    witness.await_success(STAGING_DAG, witness.person.trigger(STAGING_DAG, form))
    record, _ = witness.await_target_deploy("Staging", commit)
    assert "override by admin: rollback: the new DAGs misbehave" in record["description"]
    assert witness.check_target_files("Staging", commit)
    tip = push_fix(witness, find_head(witness, DEPLOY_BRANCH))
    held = read_plan(witness, "staging held: overridden by")
    assert "until resumed" in held
    witness.person.pause(STAGING_DAG, is_paused=True)
    newest = push_fix(witness, tip)
    witness.person.pause(STAGING_DAG, is_paused=False)
    witness.await_success(STAGING_DAG, witness.person.trigger(STAGING_DAG, {"action": "resume", "reason": "mended"}))
    await_staging(witness, newest, "IMAGE_AND_DAG")
    commits = [each["description"] for each in list_deploys(witness, "Staging")]
    assert not any(f" commit={tip} " in description for description in commits)


def list_deploys(witness: Witness, name: str) -> list[dict[str, Any]]:
    deployment = witness.outside.find_named(name)
    assert deployment is not None
    return witness.outside.list_deploys(deployment["id"])
