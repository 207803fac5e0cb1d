"""Rows for the page to show: a few of every state, or hundreds, each the same at every call."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from include.deploy_ops.core.cleanup.verdict import NextStep
from include.deploy_ops.core.naming import hash_text, slug_branch
from include.deploy_ops.core.plan.outcome import Outcome
from include.deploy_ops.core.view.row import Row, RowKind, State, Summary

PROJECT = "shop"
PREVIEW_DAG = f"{PROJECT}.preview"
GITHUB = "https://github.example/acme/shop"
AUTHORS = ("Ada Fisher", "Boris Lund", "Chen Wei", "Dana Ortiz", "Émile Roux")
TOPICS = ("orders", "returns", "pricing", "stock-sync", "customers", "invoices", "shipping-eta", "fraud", "loyalty")
CAUSES = (
    "ruff: dags/orders.py:14:1 F821 undefined name 'orderz'",
    "the image could not be built: pip found no version of pandas==9.9.9",
    "Astro gave no usable answer in 4 tries: HTTP 503 'the moon is in the way'",
)


def ago(**delta: float) -> datetime:
    """Return a time in the past."""
    return datetime.now(UTC) - timedelta(**delta)


def make_commit(seed: str) -> str:
    """Return 40 digits."""
    return hash_text(seed, 40)


def make_outcome(branch: str, number: int, state: str = "success", dag: str = PREVIEW_DAG) -> Outcome:
    """Return how a run ended, `number` of them ago."""
    kind = ("dags", "dags", "image-and-dags")[number % 3]
    return Outcome(
        run_id=f"{slug_branch(branch)}~deploy~{make_commit(branch)[:12]}~{hash_text(branch, 8)}~{number + 1}",
        dag=dag,
        verb="deploy",
        state=state,
        at=ago(hours=5 * number + 1),
        seconds=14.0 + 37 * (kind == "image-and-dags") + number,
        commit=make_commit(f"{branch}{number}"),
        kind=kind,
        why="dags/ differs",
        cause=CAUSES[number % 3] if state == "failed" else "",
    )


def make_preview(branch: str, state: State = State.LIVE, number: int = 0, runs: int = 6) -> Row:
    """Return a preview's row; `number` chooses who, since when, and what came before."""
    is_behind = state in {State.DEPLOYING, State.FAILED, State.FAILING, State.FROZEN, State.HELD, State.WAITING}
    is_bad = state in {State.FAILED, State.FAILING}
    head = make_commit(branch if is_behind else f"{branch}0")
    outcomes = tuple(
        make_outcome(branch, back, "failed" if (is_bad and back == 0) or (number + back) % 9 == 5 else "success")
        for back in reversed(range(runs))
    )
    return Row(
        slug=slug_branch(branch),
        kind=RowKind.PREVIEW,
        environment=branch,
        branch=branch,
        dag=PREVIEW_DAG,
        state=state,
        state_at=ago(minutes=7 + 13 * number),
        why=CAUSES[number % 3] if is_bad else "",
        head=head,
        head_at=ago(minutes=9 + 13 * number),
        author=AUTHORS[number % len(AUTHORS)],
        pull=100 + number if number % 4 else 0,
        pull_title=f"Bring {TOPICS[number % len(TOPICS)]} up to date" if number % 4 else "",
        base="staging" if number % 4 else "",
        pulls=(100 + number,) if number % 4 else (),
        deployed=make_commit(f"{branch}{int(is_bad)}"),
        deployed_at=ago(hours=1, minutes=13 * number),
        deployment_id=f"cl{hash_text(branch, 23)}",
        deployment_name=f"{PROJECT}-{slug_branch(branch)}",
        status="HEALTHY",
        airflow_url=f"https://airflow.example/{slug_branch(branch)}",
        astro_url=f"https://cloud.example/deployments/{slug_branch(branch)}",
        outcomes=outcomes,
    )


def make_target(name: str, *, is_gated: bool = False) -> Row:
    """Return a long-lived Deployment's row."""
    row = make_preview(name, number=4)
    dag = f"{PROJECT}.{name}"
    return replace(
        row,
        slug=f"target.{name}",
        kind=RowKind.TARGET,
        branch="astro_deploy",
        dag=dag,
        request_dag=f"{dag}.request" if is_gated else "",
        pull=0,
        pull_title="",
        pulls=(),
        outcomes=tuple(replace(each, dag=dag) for each in row.outcomes),
    )


def make_few() -> list[Row]:
    """Return an environment of every kind and state."""
    asked = replace(
        make_target("production", is_gated=True),
        state=State.APPROVAL,
        why="Deploy pull request #88 to Production?",
        run_dag=f"{PROJECT}.production.request",
        run_id="target.production~request~0a1b2c3d4e5f~01234567~1",
    )
    flying = replace(
        make_preview("dev-orders", State.DEPLOYING, 1),
        verb="create",
        run_dag=PREVIEW_DAG,
        run_id="dev-orders~create~0a1b2c3d4e5f~01234567~1",
        why="the branch is new",
    )
    leaving = NextStep(
        "delete", datetime.now(UTC) + timedelta(hours=20, minutes=3), "idle since 2026-11-12 21:28 UTC; told yesterday"
    )
    sleeping = NextStep(
        "hibernate",
        datetime.now(UTC) + timedelta(hours=3, minutes=5),
        "if nobody uses it; active at 2026-11-24 04:33 UTC",
    )
    target = make_target("deploy branch astro_deploy")
    promotions = (replace(each, dag=f"{PROJECT}.promotion", verb="promote", kind="") for each in target.outcomes)
    deploy_branch = replace(
        target,
        slug="deploy.branch",
        kind=RowKind.DEPLOY_BRANCH,
        environment="astro_deploy",
        dag=f"{PROJECT}.promotion",
        outcomes=tuple(promotions),
        status="",
        deployment_id="",
        deployment_name="",
        airflow_url="",
        astro_url="",
        conflicts=("dags/orders.py: staging changed it since; staging's version stays",),
    )
    return [
        asked,
        make_target("staging"),
        deploy_branch,
        flying,
        make_preview("dev-returns", State.FAILED, 2),
        make_preview("dev-pricing", State.FAILING, 3),
        replace(
            make_preview("dev/Émile's stock", State.HELD, 4),
            why="'shop-dev-stock' exists without our mark; rename or delete it, or adopt it by the form",
            holds=("create: 'shop-dev-stock' exists without our mark",),
            deployment_id="",
        ),
        replace(make_preview("dev-customers", State.WAITING, 5), why="20 of 20 previews live; waits for room"),
        replace(make_preview("dev-frozen", State.FROZEN, 6), why=f"{PREVIEW_DAG} is paused"),
        make_preview("dev-invoices", State.LIVE, 7),
        replace(make_preview("dev-shipping-eta", State.LIVE, 8), next_step=sleeping),
        replace(make_preview("dev-old", State.ASLEEP, 9), next_step=leaving),
        replace(make_preview("dev-fraud", State.UNHEALTHY, 10), status="UNHEALTHY", why="the scheduler does not beat"),
        replace(make_preview("dev-kept", State.LIVE, 11), kept="by Dana Ortiz: a demo on Friday"),
        bury(make_preview("dev-gone", State.REMOVED, 12)),
    ]


def bury(row: Row) -> Row:
    """Return the row of what is gone, as control leaves it."""
    why = "its pull request #97 was merged"
    return replace(
        row, why=why, deployed="", deployed_at=None, deployment_id="", status="", airflow_url="", astro_url=""
    )


def make_many(count: int) -> list[Row]:
    """Return so many environments, most of them live."""
    states = [State.LIVE] * 12 + [State.ASLEEP] * 4 + [State.DEPLOYING, State.FAILED, State.WAITING, State.HELD]
    rows = make_few()[:3]
    for number in range(count - len(rows)):
        topic = TOPICS[number % len(TOPICS)]
        rows.append(make_preview(f"dev-{topic}-{number}", states[(number * 7) % len(states)], number, runs=10))
    return rows


def make_summary(project: str, digests: dict[str, str], at: datetime | None = None, mode: str = "apply") -> Summary:
    """Return what a pass that just ended says."""
    return Summary(
        project=project,
        repository=f"acme/{project}",
        repository_url=GITHUB,
        at=at or ago(seconds=20),
        mode=mode,
        live=12,
        max_live=20,
        actions=1,
        holds=3,
        resync_s=300,
        digests=digests,
    )
