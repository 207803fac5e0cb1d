"""Shrinking: what a life fails without goes, in bounded tries, and an end of time keeps what is left."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.lives import Step
from tests.chaos.shrinking import shrink

LIFE = [Step("push", number) for number in range(64)]


def test_a_life_shrinks_to_the_steps_that_it_fails_by() -> None:
    guilty = {LIFE[3], LIFE[40], LIFE[63]}
    tries: list[int] = []

    def fails(steps: list[Step]) -> bool:
        tries.append(len(steps))
        return guilty <= set(steps)

    assert shrink(LIFE, fails, lambda: True) == [LIFE[3], LIFE[40], LIFE[63]]
    assert len(tries) < 4 * len(LIFE)


@given(st.sets(st.integers(0, 63), max_size=6))
def test_every_guilty_step_is_left_and_no_other(guilty: set[int]) -> None:
    found = shrink(LIFE, lambda steps: guilty <= {step.pick for step in steps}, lambda: True)
    assert [step.pick for step in found] == sorted(guilty)


def test_where_no_time_is_left_the_life_stays() -> None:
    assert shrink(LIFE, lambda _: True, lambda: False) == LIFE
