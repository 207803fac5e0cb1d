"""Differences of a few branches, as the schedule gets them."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

from include.deploy_ops.core.plan.work import Difference, Verb, Work
from include.deploy_ops.core.policy.keys import Limits
from tests.worlds.values.examples import sha

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
BRANCHES = [f"dev-{number}" for number in range(12)]
DELAYS_MINUTES = [1, 2, 4, 8, 16, 32, 60]


def make_work(branch: str, verb: Verb, head: str = sha("b")) -> Work:
    return Work(verb, branch, head, f"shop-{branch}", name_id(branch), "because", observed="d1", digest="01234567")


def name_id(branch: str) -> str:
    """Return the id of the branch's Deployment."""
    return f"id-{branch}"


def make_difference(goals: dict[str, tuple[Verb, ...]], live: int) -> Difference:
    """Return the difference in the planner's order; a branch to deploy may need an update too."""
    works = [make_work(branch, verb) for branch, verbs in goals.items() for verb in verbs]
    return Difference(tuple(sorted(works, key=lambda work: (work.verb.rank, work.branch))), (), live)


GOALS = st.dictionaries(
    st.sampled_from(BRANCHES),
    st.sampled_from([(Verb.DELETE,), (Verb.CREATE,), (Verb.DEPLOY,), (Verb.UPDATE,), (Verb.DEPLOY, Verb.UPDATE)]),
)
LIMITS = st.builds(
    Limits,
    max_actions_per_pass=st.integers(1, 6),
    max_updates_per_pass=st.integers(1, 3),
    max_deletes=st.integers(1, 4),
    max_delete_fraction=st.sampled_from([0.1, 0.25, 0.5, 1.0]),
)
