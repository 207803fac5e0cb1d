"""Is a promotion due? What the deploy branch is derived from now vs what the last promotion looked at. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.core.naming import PROMOTION_SLUG, digest_work
from include.deploy_ops.core.plan.work import Hold, Verb, Work
from include.deploy_ops.core.promotion.derived_tree import fingerprint_promotion, select_pulls

if TYPE_CHECKING:
    from include.deploy_ops.core.policy.keys import Project
    from include.deploy_ops.core.preview.desired import RepositorySnapshot

ADOPTING = "with the action 'adopt'"
"""Stands in the words of a hold that an adoption ends."""


def compare_promotion(project: Project, snapshot: RepositorySnapshot, promoted: str) -> Work | Hold | None:
    """Return the promotion that is due; None if there is none in the policy, or nothing moved.

    :param promoted: the fingerprint that the last promotion left behind; losing it costs one run that finds nothing.
    """
    promotion = project.promotion
    if promotion is None:
        return None
    heads = {branch.name: branch.head for branch in snapshot.branches}
    into = heads.get(promotion.into)
    if into is None:
        reason = f"there is no branch '{promotion.into}' to promote into; push it, or correct the policy"
        return Hold(promotion.deploy_branch, Verb.PROMOTE.value, reason, slug=PROMOTION_SLUG)
    tip = heads.get(promotion.deploy_branch, "")
    fingerprint = fingerprint_promotion(project, snapshot.pull_requests, into, tip)
    if fingerprint == promoted:
        return None
    numbers = [f"#{pull.number}" for pull in select_pulls(snapshot.pull_requests, promotion)]
    return Work(
        verb=Verb.PROMOTE,
        branch=promotion.deploy_branch,
        head=into,
        deployment_name="",
        deployment_id="",
        observed=tip,
        digest=digest_work({"project": project.name, "fingerprint": fingerprint}),
        reason=f"{', '.join(numbers)} into {promotion.into}" if numbers else f"nothing is open into {promotion.into}",
    )
