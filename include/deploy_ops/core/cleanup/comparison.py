"""Standing verdicts of cleanup + what a pass observes → the work and holds that follow from them. Pure.

A verdict holds for exactly what it was made of; that of a preview that a person keeps is left out by the schedule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from include.deploy_ops.core.cleanup.use import NEVER_ASKED, Use, find_wait
from include.deploy_ops.core.cleanup.verdict import ACTED_ON, Standing, Verdict, describe_exemption, find_end
from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.naming import digest_work
from include.deploy_ops.core.plan.work import Hold, HoldKind, Verb, Work
from include.deploy_ops.core.preview.hibernation import can_hibernate, is_asleep
from include.deploy_ops.core.preview.ownership import find_previews

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from include.deploy_ops.core.model import Deployment, PullRequest
    from include.deploy_ops.core.policy.keys import Previews, Project
    from include.deploy_ops.core.preview.desired import DesiredPreviews
    from include.deploy_ops.core.preview.observed import Observed


@dataclass(frozen=True, slots=True)
class ExpiryFacts:
    """What is known of idle previews: cleanup's verdicts by Deployment id, and by branch who woke them and labels.

    `woken` is when somebody woke a preview by hand, `labels` are those of its branch's open pull requests, `kept` who
    keeps it, as the last pass saw it: whether what is due is kept is asked again. `uses` are what the previews' own
    Airflows told, by Deployment id; None where runs do not count.
    """

    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    woken: Mapping[str, datetime] = field(default_factory=dict)
    labels: Mapping[str, frozenset[str]] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)
    uses: Mapping[str, Use] | None = None

    def find_use(self, deployment_id: str) -> Use | None:
        """Return what the preview's Airflow told; None where runs do not count."""
        return None if self.uses is None else self.uses.get(deployment_id, NEVER_ASKED)


def read_labels(pulls: Iterable[PullRequest]) -> dict[str, frozenset[str]]:
    """Return the labels of each branch's open pull requests."""
    found: dict[str, frozenset[str]] = {}
    for pull in pulls:
        if pull.is_open and not pull.is_from_fork:
            found[pull.head_ref] = found.get(pull.head_ref, frozenset()) | frozenset(pull.labels)
    return found


def lets_rest(verdict: Verdict, previews: Previews, now: datetime) -> bool:
    """Whether a preview that shall be deleted, or whose delete was refused, is idle enough to hibernate meanwhile."""
    is_idle = previews.hibernate_after is not None and verdict.idle_since + previews.hibernate_after <= now
    return verdict.verb == Verb.DELETE.value and is_idle and not verdict.is_overdue(now, previews.delete_notice)


def compare_expiry(
    project: Project,
    *,
    control_plane: str,
    targets: Collection[str],
    desired: DesiredPreviews,
    observed: Observed,
    facts: ExpiryFacts,
    now: datetime,
) -> Iterator[Work | Hold]:
    """Yield what is due of the verdicts that still stand; a branch's end and a twin are `core/preview`'s affair."""
    if project.previews is None:
        return
    previews = find_previews(observed.deployments, control_plane, project)
    for branch, wanted in sorted(desired.wanted.items()):
        own = [deployment for deployment, _ in previews.get(branch, [])]
        if len(own) != 1 or own[0].name in targets or own[0].problem:
            continue
        if (verdict := facts.verdicts.get(own[0].id)) is None:
            continue
        history = observed.histories.get(own[0].id, DeployHistory())
        woken_at = facts.woken.get(branch)
        ended = find_end(verdict, deployment_id=own[0].id, head=wanted.head, history=history, woken_at=woken_at)
        kept = facts.kept.get(branch, "") if now < verdict.due_at else ""
        exempt = describe_exemption(kept, facts.labels.get(branch, ()), project.previews.keep_label)
        if ended or exempt:
            continue
        use = facts.find_use(own[0].id)
        is_due = verdict.standing in ACTED_ON and verdict.due_at <= now
        if can_hibernate(own[0]) and lets_rest(verdict, project.previews, now) and not is_due:
            resting = replace(verdict, verb=Verb.HIBERNATE.value, due_at=verdict.decided_at)
            if not find_wait(verdict, resting.verb, use, own[0], now):
                yield _make_work(project, own[0], resting)
        found = _act(project, own[0], verdict, now)
        if (
            isinstance(found, Work)
            and verdict.due_at <= now
            and (why := find_wait(verdict, verdict.verb, use, own[0], now))
        ):
            found = Hold(verdict.branch, verdict.verb, why, kind=HoldKind.WAITING)
        if found is not None:
            yield found


def _act(project: Project, deployment: Deployment, verdict: Verdict, now: datetime) -> Work | Hold | None:
    """Return what follows from a verdict that stands."""
    if verdict.standing is Standing.REFUSED:
        return None
    if verdict.standing is Standing.ASKED:
        return Hold(verdict.branch, verdict.verb, f"waits for approval in cleanup run {verdict.run_id}")
    if project.previews is not None and verdict.is_overdue(now, project.previews.delete_notice):
        reason = f"it was due at {verdict.due_at:%Y-%m-%d %H:%M} UTC, too long ago; cleanup decides and tells it anew"
        return Hold(verdict.branch, verdict.verb, reason, kind=HoldKind.WAITING)
    if verdict.verb == Verb.HIBERNATE.value and (is_asleep(deployment) or not deployment.is_development_mode):
        return None
    return _make_work(project, deployment, verdict)


def _make_work(project: Project, deployment: Deployment, verdict: Verdict) -> Work:
    return Work(
        verb=Verb(verdict.verb),
        branch=verdict.branch,
        head=verdict.head,
        deployment_name=deployment.name,
        deployment_id=deployment.id,
        observed=verdict.observed,
        digest=_digest(project, verdict),
        reason=verdict.reason,
        due_at=verdict.due_at,
        is_released=verdict.standing is Standing.RELEASED,
    )


def _digest(project: Project, verdict: Verdict) -> str:
    return digest_work(
        {
            "project": project.name,
            "branch": verdict.branch,
            "verb": verdict.verb,
            "head": verdict.head,
            "deployment": verdict.deployment_id,
            "deploy": verdict.observed,
            "decided_at": verdict.decided_at.isoformat(),
        }
    )
