"""Rows, runs and facts that the tests of feedback share."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from include.deploy_ops.core.feedback.values import Facts
from include.deploy_ops.core.plan.outcome import Outcome
from include.deploy_ops.core.policy.keys import Feedback
from include.deploy_ops.core.verification.standing import awaits_proof
from include.deploy_ops.core.verification.verdict import BrokenFile, Proof, Verification
from include.deploy_ops.core.view.row import Row, RowKind, State

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
AIRFLOW = "https://airflow.example"
WEB = "https://github.example/acme/shop"
DAG = "shop.preview"


def make_sha(seed: str) -> str:
    """Return a commit id that begins with the seed."""
    return (seed * 40)[:40]


A, B, C = make_sha("a1"), make_sha("b2"), make_sha("c3")


def make_facts(**changes: Any) -> Facts:
    """Return the facts of the example project, with changes."""
    facts = Facts("shop", "acme-test", Feedback(), AIRFLOW, WEB, keep_label="keep-preview", policy="p1")
    return replace(facts, **changes)


def make_row(branch: str = "dev-x", **changes: Any) -> Row:
    """Return a preview that waits at A for its first deploy and has pull request 1, with changes."""
    row = Row(
        slug=branch,
        kind=RowKind.PREVIEW,
        environment=branch,
        branch=branch,
        dag=DAG,
        state=State.WAITING,
        state_at=NOW,
        head=A,
        pull=1,
        pulls=(1,),
    )
    return replace(row, **changes)


def make_target(name: str = "production", **changes: Any) -> Row:
    """Return a target whose release is pull request 2, with changes."""
    facts: dict[str, Any] = {"slug": f"target.{name}", "kind": RowKind.TARGET, "environment": name}
    facts |= {"dag": f"shop.{name}", "pull": 2, "pulls": (2,)}
    return replace(make_row("astro_deploy"), **facts | changes)


def name_run(sha: str, verb: str = "deploy", slug: str = "dev-x", attempt: int = 1) -> str:
    """Return the id of a planned run."""
    return f"{slug}~{verb}~{sha[:12]}~01234567~{attempt}"


def make_outcome(sha: str = A, state: str = "success", **changes: Any) -> Outcome:
    """Return how a deploy of the commit ended."""
    outcome = Outcome(name_run(sha), DAG, "deploy", state, NOW, 42.4, sha, "dags", "only dags/ changed")
    return replace(outcome, **changes)


def make_flight(sha: str = A, verb: str = "deploy", **changes: Any) -> Row:
    """Return a preview that is being deployed at the commit."""
    facts: dict[str, Any] = {"state": State.DEPLOYING, "verb": verb, "run_id": name_run(sha, verb), "run_dag": DAG}
    return make_row(**{"head": sha, **facts, **changes})


def make_live(sha: str = A, **changes: Any) -> Row:
    """Return a preview that runs the commit."""
    facts: dict[str, Any] = {"state": State.LIVE, "head": sha, "deployed": sha, "outcomes": (make_outcome(sha),)}
    facts |= {"airflow_url": "https://dev-x.example", "deployment_id": "d1"}
    return make_row(**facts | changes)


BROKEN = BrokenFile("orders.py", 3, "ModuleNotFoundError: No module named 'moon'", identity="i1")
SAID = {
    Proof.PENDING: "being verified",
    Proof.VERIFIED: "verified",
    Proof.FAILED: "1 import error",
    Proof.UNKNOWN: "not verified: no connection",
}


def prove(row: Row, proof: Proof, *, unknown: str = "pending", **changes: Any) -> Row:
    """Return the row with such a verdict on what it runs; `unknown` as in the policy."""
    broken = (BROKEN,) if proof is Proof.FAILED else ()
    known = replace(Verification("r1", row.deployed, proof, NOW, SAID[proof], broken=broken), **changes)
    return replace(row, verification=known, awaits_proof=awaits_proof(known, is_success_unknown=unknown == "success"))


def make_failed(sha: str = A, cause: str = "no such package", **changes: Any) -> Row:
    """Return a preview whose deploy of the commit failed for good."""
    outcome = make_outcome(sha, "failed", cause=cause, is_permanent=True)
    return make_row(**{"state": State.FAILED, "head": sha, "outcomes": (outcome,), **changes})
