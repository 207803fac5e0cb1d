"""The tour: its parts in the order in which they are played, and the policy under which they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo import living, monorepo, proof, release, template, words, work
from demo.page import follow_links, show_page
from demo.preview import BRANCH, preview
from demo.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo.witness import Witness

ENVIRONMENTS = (
    *(BRANCH, proof.BRANCH, living.BRANCH, release.FEATURE, monorepo.BRANCH),
    *("staging", "production", release.DEPLOY_BRANCH),
)
"""All that the tour has to do with, each on the Deploys page."""
DAGS = (words.DAG, template.DAG, *monorepo.DAGS)
"""What the tour's policy has beside the DAGs of the project's own."""


def make_policy(policy: str) -> str:
    """Return the project's own policy as the tour needs it."""
    changes = (living.hasten_deletes, proof.add_proof, template.follow_production, release.add_gate, words.listen)
    for change in (*changes, monorepo.add_projects):
        policy = change(policy)
    return policy


def prepare(witness: Witness) -> None:
    """Make what the tour's policy speaks of; before anybody looks at it."""
    monorepo.lay_out(witness)


def play(witness: Witness, say: Callable[[str], None]) -> None:
    """Play the tour; raises WitnessError at the first step that does not come true."""
    steps = Steps(witness, say)
    proof.parse_often(witness)
    preview(steps)
    number = living.begin(steps)
    proof.prove(steps)
    told = living.live(steps, number)
    work.keep(steps)
    words.speak(steps)
    release.release(steps)
    monorepo.change_one(steps)
    living.bury(steps, told)
    template.follow(steps)
    show_page(steps, ENVIRONMENTS)
    follow_links(steps)
    steps.tell_all()
