"""A pass as it is kept: it comes back as it was, without values of variables, and under its policy decides the same."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from include.deploy_ops.core.cleanup.comparison import ExpiryFacts
from include.deploy_ops.core.cleanup.verdict import Verdict
from include.deploy_ops.core.environment.rotation import Laid
from include.deploy_ops.core.model import Variable
from include.deploy_ops.core.passes.decision import decide
from include.deploy_ops.core.passes.replay import replay
from include.deploy_ops.core.passes.snapshot import dump_snapshot, load_snapshot, make_snapshot, name_policy
from include.deploy_ops.core.plan.remembered import Approval, BegunDelete, Ending, Remembered
from include.deploy_ops.core.preview.observed import TemplateState
from include.deploy_ops.core.template.drift import Drift
from tests.worlds.values.examples import make_project, sha
from tests.worlds.values.generated import World, worlds
from tests.worlds.values.passes import NOW, make_facts, make_rules

LIVE = World({"main": sha("a"), "dev-a": sha("b"), "dev-b": sha("b"), "develop": sha("b")})


def take(world: World, **given: Any) -> Any:
    """Return the pass as it is stored."""
    rules, facts = make_rules(world.project), make_facts(world, **given)
    snapshot = make_snapshot(rules, facts, decide(rules, facts))
    return json.loads(json.dumps(dump_snapshot(snapshot)))


@settings(max_examples=40)
@given(worlds())
def test_under_the_policy_that_was_in_force_the_plan_is_the_recorded_one(world: World) -> None:
    rules, facts = make_rules(world.project), make_facts(world)
    snapshot = load_snapshot(take(world), "it")
    assert snapshot is not None
    again = replay(snapshot, world.project, rules.control_plane, rules.targets)
    assert again.is_same_policy
    assert (again.changes, again.unknown) == ((), ())
    assert again.decision.plan == decide(rules, facts).plan == snapshot.plan


def test_all_that_a_plan_goes_by_comes_back() -> None:
    ending = Ending("dev-a~create~b~d", NOW, is_failure=True, cause="boom", attempt=3)
    verdict = Verdict("delete", "dev-b", "id-dev-b", "shop-dev-b", sha("b"), "", NOW, NOW, NOW, "idle", "run")
    rules, facts = (
        make_rules(LIVE.project),
        make_facts(
            LIVE,
            remembered={"dev-a": Remembered({"create": ending})},
            begun_deletes=(BegunDelete(NOW - timedelta(minutes=5), "x"),),
            blocked={"preview": "paused"},
            released=frozenset({"a"}),
            pending={"b": NOW},
            finished={"dev-a~create~b~d": 2},
        ),
    )
    facts = replace(facts, reading=replace(facts.reading, expiry=ExpiryFacts({"id-dev-b": verdict})))
    snapshot = make_snapshot(rules, facts, decide(rules, facts))
    assert load_snapshot(json.loads(json.dumps(dump_snapshot(snapshot))), "it") == snapshot


def test_no_value_of_a_variable_and_no_seal_is_kept() -> None:
    facts = make_facts(
        LIVE,
        remembered={
            "dev-a": Remembered(
                approval=Approval("h", "b", "d", "ada", NOW, seal="s3cret-seal"),
                laid=Laid("id", {"KEY": "s3cret-laid"}),
                rendered=("s3cret-rendered",),
            )
        },
    )
    (target,) = facts.reading.targets
    leaky = replace(
        target,
        remembered=Remembered(laid=Laid("id", {"KEY": "s3cret-of-target"})),
        people={"s3cret-login": "s3cret-user"},
        deployments=tuple(
            replace(each, variables=(Variable("A", False, "s3cret-value"),), contact_emails=("s3cret@x",))
            for each in facts.reading.observed.deployments
        ),
    )
    drift = (Drift("API_KEY", "s3cret-found", "s3cret-wanted", is_private=True, seal="a"),)
    template = TemplateState("f", {}, {}, drift={"id-dev-a": drift})
    facts = replace(facts, reading=replace(facts.reading, targets=(leaky,), template=template))
    rules = make_rules(LIVE.project)
    stored = json.dumps(dump_snapshot(make_snapshot(rules, facts, decide(rules, facts))))
    assert "s3cret" not in stored


def test_a_later_release_may_add_keys_and_what_cannot_be_read_is_none() -> None:
    stored = take(LIVE)
    stored["value"]["brand_new"] = {"a": 1}
    stored["value"]["facts"]["brand_new"] = 2
    assert load_snapshot(stored, "it") == load_snapshot(take(LIVE), "it")
    rubbish: tuple[Any, ...] = (None, {}, [], {"version": 99, "value": {}}, {"version": 1, "value": {"at": "never"}})
    for bad in rubbish:
        assert load_snapshot(bad, "it") is None


@pytest.mark.parametrize(("changes", "is_same"), [({}, True), ({"poll_interval_s": 11}, False)])
def test_a_policy_is_known_again_by_all_that_it_says(changes: dict[str, Any], *, is_same: bool) -> None:
    assert (name_policy(make_project(**changes)) == name_policy(make_project())) is is_same
