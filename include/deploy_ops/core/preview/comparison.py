"""Desired previews vs what Astro has → the difference: pieces of work and holds.

Pure: no clock, no network, no memory. What was tried before, and what a pass may do at once, is `schedule.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.deploy_ops.core.history import DeployHistory, describe_former
from include.deploy_ops.core.model import NO_COMMIT, Deployment, Mark
from include.deploy_ops.core.naming import digest_work, name_deployment, slug_branch
from include.deploy_ops.core.plan.work import ANYTHING, OVERRIDDEN, Difference, Hold, HoldKind, Remedy, Verb, Work
from include.deploy_ops.core.preview.observed import Observed, TemplateState
from include.deploy_ops.core.preview.ownership import (
    describe_taken,
    find_former,
    find_nameless,
    find_previews,
    is_adoptable,
)
from include.deploy_ops.core.template.drift import Drifted, describe_drift

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from include.deploy_ops.core.policy.keys import Project
    from include.deploy_ops.core.preview.desired import DesiredPreviews

GONE = "the branch is gone"
_TEMPLATE = ("previews", "template")
REASON_FIELDS_MAX = 3
"""Fields that the reason of a repair names; the page has more of them."""


@dataclass(frozen=True, slots=True)
class _Pass:
    project: Project
    control_plane: str
    policy: str
    desired: DesiredPreviews
    observed: Observed
    template: TemplateState


def compare(
    project: Project,
    *,
    control_plane: str,
    policy: str,
    targets: Collection[str],
    desired: DesiredPreviews,
    observed: Observed,
    template: TemplateState,
) -> Difference:
    """Return the difference between what should be and what is, as work and holds.

    `policy` is the fingerprint of the project's policy, `targets` names the long-lived Deployments of every project.
    The order of observations does not matter.
    """
    view = _Pass(project, control_plane, policy, desired, observed, template)
    previews = find_previews(observed.deployments, control_plane, project)
    former = find_former(observed.deployments, control_plane, project)
    taken = {each.name: each for each in sorted(observed.deployments, key=lambda each: each.id)}
    found: list[Work | Hold] = []
    for branch in sorted(desired.wanted.keys() | previews.keys()):
        own = previews.get(branch, [])
        # What must never be touched comes first, whatever else is true of it.
        if len(own) > 1:
            found.append(_hold_twins(branch, own))
        elif own and own[0][0].name in targets:
            found.append(_hold_target(branch, own[0][0].name))
        elif own and own[0][0].problem:
            found.append(Hold(branch, ANYTHING, own[0][0].doubt))
        elif branch not in desired.wanted:
            found.append(_end_preview(view, branch, *own[0]))
        elif own:
            found.extend(_keep_preview(view, branch, *own[0]))
        elif branch in former:
            found.append(Hold(branch, ANYTHING, former[branch]))
        elif (name := name_deployment(project.name, branch)) in targets:
            found.append(_hold_target(branch, name))
        else:
            found.append(_begin_preview(view, branch, taken))
    works = sorted((each for each in found if isinstance(each, Work)), key=lambda work: (work.verb.rank, work.branch))
    holds = tuple(each for each in found if isinstance(each, Hold))
    asked_for = desired.wanted.keys() - desired.unlabelled - previews.keys()
    missing = tuple(desired.wanted[name] for name in sorted(asked_for))
    live = sum(map(len, previews.values()))
    drift = tuple(
        Drifted(slug_branch(branch), branch, template.drift[own[0][0].id])
        for branch, own in sorted(previews.items())
        if len(own) == 1 and branch in desired.wanted and template.drift.get(own[0][0].id)
    )
    notes = template.tell()
    return Difference(tuple(works), holds, live, missing, notes, template.unfilled, template.reread_at, drift)


def _hold_target(branch: str, name: str) -> Hold:
    said = f"'{name}' is a target of the policy; targets are never previews"
    return Hold(branch, ANYTHING, said, rule=("targets",))


def _hold_twins(branch: str, own: Sequence[tuple[Deployment, Mark]]) -> Hold:
    names = " and ".join(f"'{deployment.name}' ({deployment.id})" for deployment, _ in own)
    return Hold(branch, ANYTHING, f"{names} carry the same mark; delete the one that is not wanted, in Astro")


def _end_preview(view: _Pass, branch: str, deployment: Deployment, mark: Mark) -> Work | Hold:
    if branch in view.desired.ended:
        reason = view.desired.ended[branch]
    # A pattern that was changed in the policy deletes nothing: only what happened in Git ends a preview.
    elif branch in view.desired.existing:
        reason = "the branch matches the policy no longer; its preview stays until the branch goes"
        return Hold(branch, ANYTHING, reason, remedy=Remedy.DELETE)
    else:
        reason = GONE
    # The branch may be gone: the work is named by the head that runs.
    head = _head_of(view, deployment)
    return _work(view, Verb.DELETE, branch, head, deployment, mark, reason)


def _head_of(view: _Pass, deployment: Deployment) -> str:
    history = view.observed.histories.get(deployment.id, DeployHistory())
    return history.head or NO_COMMIT


def _begin_preview(view: _Pass, branch: str, taken: Mapping[str, Deployment]) -> Work | Hold:
    if branch in view.desired.unlabelled:
        label = view.project.previews.require_label if view.project.previews else None
        reason = f"no open pull request of it has the label '{label}'"
        rule = ("previews", "require_label")
        return Hold(branch, Verb.CREATE.value, reason, kind=HoldKind.NEEDLESS, rule=rule)
    name = name_deployment(view.project.name, branch)
    if name in taken:
        reason = describe_taken(taken[name], view.control_plane, view.project)
        remedy = Remedy.ADOPT if is_adoptable(taken[name]) else Remedy.MEND
        return Hold(branch, Verb.CREATE.value, reason, remedy=remedy)
    if (unknown := find_nameless(taken.values())) is not None:
        return Hold(branch, Verb.CREATE.value, f"it may be there already: {unknown.doubt}")
    if view.template.problem:
        return Hold(branch, Verb.CREATE.value, view.template.problem, rule=_TEMPLATE)
    if view.template.guard:
        return Hold(branch, Verb.CREATE.value, view.template.guard, rule=("previews", "inherit"))
    head = view.desired.wanted[branch].head
    return _work(view, Verb.CREATE, branch, head, None, None, "the branch has no Deployment")


def _keep_preview(view: _Pass, branch: str, deployment: Deployment, mark: Mark) -> list[Work | Hold]:
    found: list[Work | Hold] = []
    head = view.desired.wanted[branch].head
    history = view.observed.histories.get(deployment.id, DeployHistory())
    if history.head != head:
        found.append(_work(view, Verb.DEPLOY, branch, head, deployment, mark, describe_former(history)))
    # Somebody else's deploy stands until the head moves; then the newest head is due, as above.
    elif history.overridden_by:
        reason = f"{OVERRIDDEN}{history.overridden_by}, until the branch moves"
        found.append(Hold(branch, Verb.DEPLOY.value, reason, remedy=Remedy.RESUME))
    found.extend(_keep_configuration(view, branch, head, deployment, mark))
    return found


def _keep_configuration(
    view: _Pass, branch: str, head: str, deployment: Deployment, mark: Mark
) -> Iterable[Work | Hold]:
    template = view.template
    if template.problem:
        yield Hold(branch, Verb.UPDATE.value, template.problem, rule=_TEMPLATE)
        return
    # The mark may be right and a variable missing: a create's second call failed.
    missing = template.missing.get(deployment.id, ())
    rotated = template.rotated.get(deployment.id)
    is_rendered = mark.template == template.fingerprint and not missing
    repairs = template.list_repairs(deployment.id) if is_rendered else []
    if is_rendered and template.unread:
        yield Hold(branch, Verb.UPDATE.value, template.unread, rule=("previews", "environment"))
    if is_rendered and ((rotated is None and not repairs) or template.unread):
        return
    if fixed := template.fixed.get(deployment.id, ()):
        reason = f"recreate it, Astro cannot change these: {'; '.join(fixed)}"
        yield Hold(branch, Verb.UPDATE.value, reason, remedy=Remedy.DELETE)
        return
    reason = f"it lacks {', '.join(missing)}" if missing else "the template changed"
    if is_rendered and rotated is not None:
        reason = f"what is mapped changed in the management Airflow: {', '.join(rotated.keys)}"
    elif repairs:
        reason = "; ".join(describe_drift(repairs, REASON_FIELDS_MAX))
    yield _work(view, Verb.UPDATE, branch, head, deployment, mark, reason)


def _work(
    view: _Pass, verb: Verb, branch: str, head: str, deployment: Deployment | None, mark: Mark | None, reason: str
) -> Work:
    deployment_id = deployment.id if deployment else ""
    observed = view.observed.histories.get(deployment_id, DeployHistory()).newest_id
    rotated = view.template.rotated.get(deployment_id)
    repairs = sorted(each.seal for each in view.template.list_repairs(deployment_id))
    # What was observed is part of the name: the same step on top of another deploy is other work, with its own
    # attempts.
    digest = digest_work(
        {
            "project": view.project.name,
            "branch": branch,
            "verb": verb.value,
            "head": head,
            "deployment": deployment_id,
            "deploy": observed,
            "mark": mark.template if mark else "",
            "template": view.template.fingerprint,
            "policy": view.policy,
            # Where there is none it is left out: such work keeps the name that it always had.
            **({"rotated": rotated.digest} if rotated and verb is Verb.UPDATE else {}),
            **({"drift": repairs} if repairs and verb is Verb.UPDATE else {}),
        }
    )
    return Work(
        verb=verb,
        branch=branch,
        head=head,
        deployment_name=deployment.name if deployment else name_deployment(view.project.name, branch),
        deployment_id=deployment_id,
        observed=observed,
        digest=digest,
        reason=reason,
    )
