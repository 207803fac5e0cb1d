"""Rows as control writes them: of Astro's records, what is followed, what gates await, and how runs ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.history import read_history
from include.deploy_ops.core.model import Branch, Deploy, DeployKind, DeployStatus
from include.deploy_ops.core.naming import DeployNote, format_note, slug_branch, slug_target
from include.deploy_ops.core.plan.outcome import Ended, Outcome
from include.deploy_ops.core.plan.remembered import Remembered
from include.deploy_ops.core.plan.work import Hold, Plan
from include.deploy_ops.core.policy.keys import PullRequestSource, Target
from include.deploy_ops.core.preview.desired import RepositorySnapshot
from include.deploy_ops.core.preview.observed import Observed
from include.deploy_ops.core.target.comparison import Source, TargetState, compare_target
from include.deploy_ops.core.view.pass_record import PassRecord
from include.deploy_ops.core.view.rows import make_rows
from tests.browser.fleet import PROJECT, ago, make_commit
from tests.worlds.values.examples import OWNER, PLANE, make_deployment, make_project, make_pull

if TYPE_CHECKING:
    from collections.abc import Sequence

    from include.deploy_ops.core.target.gates import Gate
    from include.deploy_ops.core.view.row import Row

SLUG = slug_target("production")
RELEASE = PullRequestSource.model_validate({"from": "astro_deploy", "into": "main"})
GATED = Target(deployment="Production", pull_request=RELEASE, approval="required")
OLD, HEAD, MERGE, NEXT = (make_commit(each) for each in ("old", "head", "its test merge", "next"))
OPEN = Source("astro_deploy", HEAD, MERGE, pull=88)
"""The release's pull request, open at `HEAD`."""
REASON = "INC-42"
SHOWN = make_deployment("x", id="p", name="Production")
"""The Deployment, which has settled on what its newest record brought."""


def record(hours: float, commit: str, **changes: Any) -> Deploy:
    """Return Astro's record, so many hours old, of a DAG-only deploy that somebody made by Astro's own CLI."""
    made = Deploy(
        f"d{hours}",
        "p",
        DeployStatus.DEPLOYED,
        DeployKind.DAG_ONLY,
        ago(hours=hours),
        git_commit=commit,
        image_tag=SHOWN.image_tag,
        dag_tarball_version=SHOWN.dag_tarball_version,
        person="Jo Doe",
    )
    return replace(made, **changes)


def record_ours(hours: float, commit: str, head: str = "", **changes: Any) -> Deploy:
    """Return the record of a deploy of ours; `changes` are of what its description says."""
    run = name_run(head or commit)
    note = DeployNote("astro_deploy", commit, head or commit, run, 1, is_forced=False, owner=OWNER)
    return replace(record(hours, commit), person="", description=format_note(replace(note, **changes)))


def record_override(hours: float, commit: str) -> Deploy:
    """Return the record of a deploy that ann forced, and boris approved."""
    forced = {"is_forced": True, "is_override": True, "person": "ann", "approver": "boris", "reason": REASON}
    return record_ours(hours, commit, HEAD, ref=commit, **forced)


def name_run(head: str) -> str:
    """Return the name of production's planned deploy of a head."""
    return f"{SLUG}~deploy~{head[:12]}~01234567~1"


def end_run(hours: float, commit: str, head: str = "", **changes: Any) -> Outcome:
    """Return how the deploy ended whose record is so many hours old: a minute after that was made."""
    at = ago(hours=hours) + timedelta(minutes=1)
    run = name_run(head or commit)
    made = Outcome(run, f"{PROJECT}.production", "deploy", "success", at, 60.0, commit, "dags", "dags/ differs")
    return replace(made, **changes)


def end_forced(hours: float, commit: str, **changes: Any) -> Outcome:
    """Return how a deploy ended that ann forced."""
    forced = end_run(hours, commit, run_id=f"manual__{hours}", is_forced=True, person="ann", reason=REASON)
    return replace(forced, **changes)


def write_production(
    records: Sequence[Deploy],
    outcomes: Sequence[Outcome] = (),
    *,
    source: Source | None = None,
    target: Target = GATED,
    resumed: str = "",
    gates: Sequence[Gate] = (),
) -> Row:
    """Return the row of a pass an hour ago, of what is followed, and of which record's override was ended."""
    history, known = read_history(records, OWNER), Remembered(resumed=resumed)
    state = TargetState("production", target, source, (SHOWN,), history, "", known, gates=tuple(gates))
    found = compare_target(state, PROJECT, "policy")
    seen = PassRecord(
        project=make_project(targets={"production": target}),
        control_plane=PLANE,
        now=ago(hours=1),
        snapshot=RepositorySnapshot((), ()),
        observed=Observed((SHOWN,), {SHOWN.id: history}),
        wanted={},
        targets=(state,),
        plan=Plan((), (found,) if isinstance(found, Hold) else (), 1),
        ended=[Ended(SLUG, each) for each in outcomes],
    )
    return make_rows(seen)[SLUG]


def write_preview(branch: str, outcomes: Sequence[Outcome], kept: str = "") -> Row:
    """Return the row of a preview that runs its branch's head, of how runs ended, and of who keeps it."""
    deployment = make_deployment(branch)
    history = read_history([replace(record_ours(5, HEAD), deployment_id=deployment.id)], OWNER)
    seen = PassRecord(
        project=make_project(),
        control_plane=PLANE,
        now=ago(hours=1),
        snapshot=RepositorySnapshot((Branch(branch, HEAD),), (make_pull(12, branch, HEAD),)),
        observed=Observed((deployment,), {deployment.id: history}),
        wanted={branch: HEAD},
        targets=(),
        plan=Plan((), (), 1),
        ended=[Ended(slug_branch(branch), each) for each in outcomes],
        remembered={slug_branch(branch): Remembered(kept=kept)},
    )
    return make_rows(seen)[slug_branch(branch)]
