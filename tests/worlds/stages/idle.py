"""Idle previews on a stage: cleanup's judgement by limits so short that everything is idle, and time that goes by."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from include.deploy_ops.core.cleanup.comparison import read_labels
from include.deploy_ops.core.cleanup.expiry import AgeLimits, Subject, judge
from include.deploy_ops.core.naming import slug_branch
from include.deploy_ops.core.preview.ownership import find_previews
from include.deploy_ops.observation.difference import Comparer
from include.deploy_ops.observation.observe import Observer
from tests.worlds.stages.stage import close_hooks

if TYPE_CHECKING:
    from include.deploy_ops.core.cleanup.verdict import Verdict
    from include.deploy_ops.core.plan.work import Difference
    from tests.worlds.stages.stage import Stage

NOTICE = timedelta(days=1)
HIBERNATE = AgeLimits(timedelta(), None, NOTICE, "keep-preview")
DELETE = AgeLimits(None, timedelta(), NOTICE, "keep-preview")


def clean_up(stage: Stage, limits: AgeLimits, run_id: str = "cleanup") -> dict[str, Verdict]:
    """Judge the project's previews as cleanup does, remember the verdicts, and return them by branch."""
    task = stage.make_plan_task()
    memory = stage.memory
    observer = Observer(stage.scope, task.github, task.astro, memory, task.seals)
    try:
        seen = Comparer(stage.scope, observer).look()
        times = observer.read_commit_times(branch.head for branch in seen.wanted.values())
    finally:
        close_hooks(task)
    own = find_previews(seen.observed.deployments, stage.scope.control_plane, stage.scope.project)
    labels = read_labels(seen.snapshot.pull_requests)
    subjects = []
    for name, branch in seen.wanted.items():
        row = memory.read_row(slug_branch(name))
        for deployment, _ in own.get(name, []):
            history = seen.observed.histories[deployment.id]
            kept = memory.environment(slug_branch(name)).read().kept
            subject = Subject(
                deployment, name, branch.head, "", times[branch.head], history, row.woken_at if row else None, kept
            )
            subjects.append(replace(subject, labels=tuple(labels.get(name, ()))))
    now = datetime.now(UTC)
    verdicts = judge(subjects, memory.verdicts.read(), limits, run_id=run_id, now=now).verdicts
    memory.verdicts.write(dict(verdicts))
    return {verdict.branch: verdict for verdict in verdicts.values()}


def let_notice_pass(stage: Stage) -> None:
    """Let the time come until which people were told that their previews stay."""
    now = datetime.now(UTC)
    known = stage.memory.verdicts.read()
    stage.memory.verdicts.write({key: replace(verdict, due_at=now) for key, verdict in known.items()})


def compare(stage: Stage) -> Difference:
    """Return the difference as a pass sees it now."""
    task = stage.make_plan_task()
    comparer = Comparer(stage.scope, Observer(stage.scope, task.github, task.astro, stage.memory, task.seals))
    try:
        return comparer.compare(comparer.look(), datetime.now(UTC))
    finally:
        close_hooks(task)
