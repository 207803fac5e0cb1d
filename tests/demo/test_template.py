"""The tour's policy whose template follows production, and the words by which the tour knows the pull request."""

from __future__ import annotations

import pytest
import yaml

from demo import template
from demo.stack import POLICY
from include.deploy_ops.core.policy.file import load_policy
from include.deploy_ops.core.template.proposal import Proposal, Row
from include.deploy_ops.core.template.text import Maker, write_body
from include.deploy_ops.operators.template.proposal import name_branch
from include.deploy_ops.run.scope import make_scope

SHIPPED = POLICY.read_text(encoding="utf-8")


def test_the_tours_policy_differs_in_what_previews_are_made_of_alone() -> None:
    shipped, tours = yaml.safe_load(SHIPPED), yaml.safe_load(template.follow_production(SHIPPED))
    previews = tours["projects"][0]["previews"]
    assert previews.pop("template_from") == "production"
    assert previews["overrides"] == {"configuration": {"is_development_mode": True}}
    previews["overrides"]["configuration"]["scheduler_size"] = "SMALL"
    assert shipped == tours


def test_the_tour_knows_branch_dag_and_row() -> None:
    loaded = load_policy(template.follow_production(SHIPPED), "the tour's policy")
    scope = make_scope(loaded, loaded.policy.projects[0])
    assert (scope.template_dag, name_branch(scope)) == (template.DAG, template.PROPOSED)
    row = Row(("configuration", "scheduler_size"), template.SIZE, "SMALL", template.SIZE)
    proposal = Proposal("Production", "a.yaml", "a.snapshot.yaml", "", "", (row,))
    assert template.ROW in write_body(proposal, Maker("a", "b", "main")).splitlines()


@pytest.mark.parametrize("line", ["# template_from: production", "configuration: { is_development_mode: true"])
def test_a_policy_without_the_places_for_it_is_no_tours_policy(line: str) -> None:
    with pytest.raises(ValueError, match="expected one"):
        template.follow_production(SHIPPED.replace(line, "other: 1"))
