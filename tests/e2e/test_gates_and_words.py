"""A repository with two projects: a preview in the one that a branch changes, words on its pull request, and gates."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from demo.feedback import await_comment
from sandbox.identity import GITHUB_TOKEN
from tests.e2e.mono import (
    ACCEPTANCE,
    CHECK,
    ETL,
    PROD,
    PRODUCTION,
    RELEASE,
    REPOSITORY,
    SOAK_S,
    STAGING,
    WEB,
    enter,
)
from tests.e2e.test_preview_life import DAG, LIVES

if TYPE_CHECKING:
    from demo.witness import Witness

pytestmark = [pytest.mark.e2e, pytest.mark.at_once(LIVES)]
BRANCH = "dev-mono"
REQUEST_DAG, PREVIEW_DAG, PRODUCTION_DAG = f"{ETL}.{PROD}.request", f"{ETL}.preview", f"{ETL}.{PROD}"
DAGS = (
    PREVIEW_DAG,
    f"{ETL}.{ACCEPTANCE}",
    PRODUCTION_DAG,
    REQUEST_DAG,
    f"{ETL}.feedback",
    f"{ETL}.commands",
    f"{WEB}.preview",
    f"{WEB}.control",
    f"{ETL}.control",
)
WRITER, STRANGER = "mona", "eve"


def await_row(witness: Witness, environment: str, words: str) -> None:
    """Return once the row of the project's environment says the words."""

    def look() -> bool:
        return words in witness.outside.read_rows(ETL).get(environment, {}).get("why", "")

    witness.await_true(f"{environment} to say {words!r}", look)


def await_plan(witness: Witness, dag_id: str, words: str) -> None:
    """Return once a pass says the words."""

    def look() -> bool:
        runs = [run for run in witness.outside.list_runs(dag_id)[:3] if run["state"] == "success"]
        return any(words in witness.outside.read_log(dag_id, run["dag_run_id"], "plan") for run in runs)

    witness.await_true(f"{dag_id} to say {words!r}", look)


def push(witness: Witness, branch: str, name: str) -> str:
    """Push a branch off trunk with one more DAG of the first project, and return its head."""
    witness.author.start_branch(branch)
    head = witness.author.commit({f"{ETL}/dags/{name}.py": DAG.format(name=name)}, f"Add {name}")
    witness.author.push(branch)
    return head


def ask_sandbox(witness: Witness, method: str, path: str, body: Any = None) -> Any:
    """Return what the sandbox answers about the repository."""
    headers = {"Authorization": f"Bearer {GITHUB_TOKEN}"}
    answer = witness.stack.sandbox.request(method, path, json=body, headers=headers)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def say(witness: Witness, number: int, user: str, text: str) -> int:
    """Let somebody comment on the pull request; return the comment's id."""
    path = f"/sandbox/repositories/{REPOSITORY}/pulls/{number}/comments"
    return int(ask_sandbox(witness, "POST", path, {"user": user, "body": text})["id"])


def await_signs(witness: Witness, comment: int, *signs: str) -> None:
    """Return once the comment has these reactions, in this order, and no other."""
    path = f"/github/api/v3/repos/{REPOSITORY}/issues/comments/{comment}/reactions"

    def look() -> bool:
        return [each["content"] for each in ask_sandbox(witness, "GET", path)] == [*signs]

    witness.await_true(f"comment {comment} to get {' and '.join(signs)}", look)


def list_roots(witness: Witness, branch: str) -> list[str]:
    """Return the projects in which the branch has a preview."""
    said = [each.get("description", "") for each in witness.outside.list_deployments()]
    return [each.partition(" project=")[2].partition(" ")[0] for each in said if f" branch={branch} " in each]


def test_a_branch_has_one_preview_that_obeys_who_may_push_and_a_release_waits_for_its_gates(witness: Witness) -> None:
    witness = enter(witness)
    for dag_id in DAGS:
        witness.stack.unpause(dag_id)
    release, head = push(witness, RELEASE, "sales"), push(witness, BRANCH, "orders")
    number = witness.author.open_pull_request(RELEASE, "main", "Release")

    await_plan(witness, f"{WEB}.control", f"create {BRANCH} held: changes nothing of this project")
    witness.await_deploy(BRANCH, head)
    witness.await_success(PREVIEW_DAG, f"{BRANCH}~create~")
    assert list_roots(witness, BRANCH) == [ETL]
    keep_by_word(witness)
    pass_gates(witness, number, release)
    assert list_roots(witness, BRANCH) == [ETL]


def keep_by_word(witness: Witness) -> None:
    """Have the preview kept by a word of who may push, and nothing done for who may not."""
    number = witness.author.open_pull_request(BRANCH, "main", "Orders")
    ask_sandbox(witness, "POST", f"/sandbox/repositories/{REPOSITORY}/collaborators/{WRITER}", {"permission": "write"})
    ignored = say(witness, number, STRANGER, "/deploy-ops destroy")
    await_signs(witness, ignored, "confused")
    heard = say(witness, number, WRITER, "/deploy-ops keep")
    await_signs(witness, heard, "eyes", "rocket")
    run = witness.await_success(PREVIEW_DAG, f"{BRANCH}~keep~comment~{heard}~")
    assert run["conf"]["job"]["person"] == f"{WRITER} on GitHub"
    witness.await_true(
        "the row to say who keeps the preview",
        lambda: f"{WRITER} on GitHub" in witness.outside.read_rows(ETL)[BRANCH].get("kept", ""),
    )
    runs = [str(each["dag_run_id"]) for each in witness.outside.list_runs(PREVIEW_DAG)]
    assert [each for each in runs if "~comment~" in each] == [run["dag_run_id"]]


def pass_gates(witness: Witness, number: int, head: str) -> None:
    """Have a release wait for a check and for its soak, then be asked about, deployed and merged."""
    witness.await_target_deploy(STAGING, head)
    # That it soaks is said for some seconds only: a pass that comes later finds it over. What it did not do tells.
    await_row(witness, PROD, f"check '{CHECK}' is not there yet")
    await_comment(witness, number, f"check '{CHECK}' is not there yet")
    verified = witness.await_true(f"{ACCEPTANCE} to be verified", lambda: find_verified(witness))[0]
    assert witness.outside.list_runs(REQUEST_DAG) == []
    green_at = datetime.now().astimezone()
    witness.author.set_status(head, CHECK, "success")
    merge = str(witness.await_mergeable(number)["merge_commit_sha"])
    asked = witness.await_approval(REQUEST_DAG)
    assert [name for name in ("checks", "verified", "soak") if f"| {name} | met |" not in asked.body] == []
    (run,) = witness.outside.list_runs(REQUEST_DAG)
    begun_at = datetime.fromisoformat(run["start_date"])
    assert begun_at >= max(green_at, verified + timedelta(seconds=SOAK_S))
    witness.person.answer(asked, "Approve", comment="go")
    witness.await_target_deploy(PRODUCTION, merge)
    witness.await_success(PRODUCTION_DAG, f"target.{PROD}~merge~{head[:12]}")
    assert witness.author.show_pull_request(number)["merged"]


def find_verified(witness: Witness) -> datetime | None:
    """Return since when that target is verified, None while it is not."""
    known = witness.outside.read_rows(ETL)[ACCEPTANCE].get("verification") or {}
    return datetime.fromisoformat(known.get("since") or known["at"]) if known.get("proof") == "verified" else None
