"""Whoever says what, and whatever crashes or is lost meanwhile: nothing begins twice, and each mark gets its end."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.worlds.stages.commands_world import LINES, PEOPLE, CommandsWorld

EXAMPLES = int(os.environ.get("DEPLOY_OPS_EXAMPLES", "60"))
KINDS = ("before", "after", "unsent", "unanswered")
DEEDS: dict[str, Callable[[CommandsWorld, int], Any]] = {
    "say": lambda world, pick: world.say(1, LINES[pick % len(LINES)], [*PEOPLE, "us"][pick // 7 % 4]),
    "say elsewhere": lambda world, pick: world.say(2 + pick % 3, LINES[pick % 3], "mona"),
    "say by machine": lambda world, pick: world.say(1, LINES[pick % 3], "mona", is_person=False),
    "flood": lambda world, pick: [world.say(1, LINES[each % 5], "guest") for each in range(pick % 40)],
    "edit": lambda world, pick: world.edit(1 + pick % (1 + len(world.github.comments))),
    "look on": lambda world, pick: world.look_on(1 + pick % (1 + len(world.github.comments))),
    "pass time": lambda world, pick: world.pass_time(pick / 10),
    "pass an hour": lambda world, _: world.pass_time(61),
    "end runs": lambda world, _: world.end_runs(),
    "lose memory": lambda world, _: world.lose_memory(),
    "lose airflow": lambda world, _: world.lose_airflow(),
    "hear": lambda world, _: world.hear(),
    "hear and crash": lambda world, pick: world.hear(1 + pick // 4 % 24, KINDS[pick % 4]),
}
OFTEN = ["say", "say", "hear", "hear and crash", "hear and crash"]
deeds = st.lists(st.tuples(st.sampled_from([*DEEDS, *OFTEN]), st.integers(0, 999)), max_size=40)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(deeds=deeds)
def test_nothing_is_begun_twice_and_every_mark_gets_its_end(deeds: list[tuple[str, int]]) -> None:
    world = CommandsWorld()
    for name, pick in deeds:
        DEEDS[name](world, pick)
    world.settle()
    world.check_rest()


def test_words_about_an_issue_get_no_mark_though_somebody_looked_on() -> None:
    world = CommandsWorld()
    world.look_on(world.say(4, LINES[0], "mona"))
    world.settle()
    assert world.github.list_own(1) == set()


@pytest.mark.parametrize("lose", ["nothing", "memory", "airflow"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("left", range(1, 20))
def test_a_word_that_dies_anywhere_is_done_at_most_once(left: int, kind: str, lose: str) -> None:
    world = CommandsWorld()
    comment = world.say(1, LINES[0], "mona")
    world.hear(left, kind)
    if lose != "nothing":
        getattr(world, f"lose_{lose}")()
    world.settle()
    world.check_rest()
    assert world.begun[comment] <= 1
    world.pass_time(1)
    again = world.say(1, LINES[0], "mona")
    world.settle()
    assert world.begun[again] == 1, "who is told to write it again is heard then"
