"""The tour: its parts in the order in which they are played."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo import living, proof, work
from demo.page import follow_links, show_page
from demo.preview import BRANCH, preview
from demo.release import DEPLOY_BRANCH, FEATURE, release
from demo.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo.witness import Witness

ENVIRONMENTS = (BRANCH, proof.BRANCH, living.BRANCH, FEATURE, "staging", "production", DEPLOY_BRANCH)
"""All that the tour has to do with, each on the Deploys page."""


def play(witness: Witness, say: Callable[[str], None]) -> None:
    """Play the tour; raises WitnessError at the first step that does not come true."""
    steps = Steps(witness, say)
    proof.parse_often(witness)
    preview(steps)
    number = living.begin(steps)
    proof.prove(steps)
    told = living.live(steps, number)
    work.keep(steps)
    release(steps)
    living.bury(steps, told)
    show_page(steps, ENVIRONMENTS)
    follow_links(steps)
    steps.tell_all()
