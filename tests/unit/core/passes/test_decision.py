"""A pass decided as a value: once more it gives the same, and what GitHub said of one piece of work bars that alone."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings

from include.deploy_ops.core.passes.decision import apply_bars, compare_all, decide, find_bars, find_late_bars
from include.deploy_ops.core.plan.work import Hold, HoldKind
from tests.worlds.values.generated import World, worlds
from tests.worlds.values.passes import NOW, make_facts, make_rules


@settings(max_examples=30)
@given(worlds())
def test_what_is_compared_of_previews_is_what_the_comparison_of_previews_says(world: World) -> None:
    rules, facts = make_rules(world.project), make_facts(world)
    found = compare_all(rules, facts.reading, NOW)
    expected = world.compare()
    assert [(work.slug, work.verb, work.reason) for work in expected.works] == [
        (work.slug, work.verb, work.reason) for work in found.works if not work.target
    ]
    assert set(expected.holds) <= set(found.holds)


@settings(max_examples=30)
@given(worlds())
def test_a_pass_decided_again_is_the_same_and_never_both_starts_and_holds(world: World) -> None:
    rules, facts = make_rules(world.project), make_facts(world)
    first = decide(rules, facts)
    assert decide(rules, facts) == first
    started = {(action.work.slug, action.work.verb.value) for action in first.plan.actions}
    assert started <= first.due
    assert not started & {(hold.home, hold.what) for hold in first.plan.holds}


@settings(max_examples=30)
@given(worlds())
def test_bars_take_out_what_they_are_about_and_are_found_again(world: World) -> None:
    rules, facts = make_rules(world.project), make_facts(world)
    compared = compare_all(rules, facts.reading, NOW)
    if not compared.works:
        return
    barred = compared.works[0]
    hold = Hold(barred.environment, barred.verb.value, "GitHub says no", kind=HoldKind.ENDED, slug=barred.slug)
    after = replace(compared, works=compared.works[1:], holds=(*compared.holds, hold))
    bars = find_bars(compared, after)
    assert [(bar.slug, bar.verb, bar.head, bar.hold) for bar in bars] == [
        (barred.slug, barred.verb.value, barred.head, hold)
    ]
    assert apply_bars(compared, bars) == after
    moved = replace(compared, works=tuple(replace(work, head="f" * 40) for work in compared.works))
    assert apply_bars(moved, bars) == moved
    plan = decide(rules, replace(facts, bars=bars)).plan
    assert hold in plan.holds
    assert barred not in [action.work for action in plan.actions]


@settings(max_examples=20)
@given(worlds())
def test_what_is_deferred_after_planning_leaves_the_rest_of_the_plan_as_it_is(world: World) -> None:
    rules, facts = make_rules(world.project), make_facts(world)
    plan = decide(rules, facts).plan
    if not plan.actions:
        return
    late = plan.actions[0]
    hold = Hold(late.work.environment, late.work.verb.value, "the next pass asks", slug=late.work.slug)
    after = replace(plan, actions=plan.actions[1:], holds=(*plan.holds, hold))
    bars = find_late_bars(plan, after)
    assert decide(rules, replace(facts, bars=bars)).plan == after


def test_what_is_over_is_neither_made_nor_ended() -> None:
    world = World({"main": "a" * 40, "dev-a": "b" * 40, "dev-b": "b" * 40})
    rules, facts = make_rules(world.project), make_facts(world)
    over = replace(facts, reading=replace(facts.reading, over=frozenset({"dev-a"})))
    assert [action.work.branch for action in decide(rules, over).plan.actions if not action.work.target] == ["dev-b"]
