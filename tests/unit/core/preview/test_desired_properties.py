"""Which previews should exist, over generated repositories: by the readable rule, in whatever order they are listed."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.preview.desired import RepositorySnapshot, derive_previews
from tests.worlds.values.generated import PROJECT, World, worlds


@given(worlds(), st.randoms(use_true_random=False))
def test_what_should_exist_does_not_depend_on_the_order_of_a_listing(world: World, random: Random) -> None:
    shot = world.snapshot
    turned = RepositorySnapshot(
        tuple(random.sample(shot.branches, len(shot.branches))),
        tuple(random.sample(shot.pull_requests, len(shot.pull_requests))),
    )
    desired = derive_previews(PROJECT, shot)
    assert derive_previews(PROJECT, turned) == desired
    assert set(desired.wanted) == {branch for branch in world.heads if world.lives(branch)}
    assert not desired.ended.keys() & desired.wanted.keys()
    assert desired.existing == world.heads.keys()
