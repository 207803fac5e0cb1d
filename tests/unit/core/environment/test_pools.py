"""The pools of previews: ours follow the policy, a person's stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.environment.pools import (
    DEFAULT_POOL,
    MARK,
    Pool,
    check_pool_name,
    compare_pools,
    is_pool_name,
    mark_pool,
)

names = st.sampled_from(["a", "b", "c", DEFAULT_POOL, "../x", "~"])
wanted_pools = st.builds(Pool, st.sampled_from(["a", "b", "c"]), st.integers(1, 3), st.sampled_from(["", "of us"]))
found_pools = st.builds(Pool, names, st.integers(1, 3), st.sampled_from(["", "of us", MARK, f"of us {MARK}"]))


def by_name(pools: list[Pool]) -> dict[str, Pool]:
    return {pool.name: pool for pool in pools}


@given(st.lists(wanted_pools), st.lists(found_pools))
def test_afterwards_there_is_what_is_wanted_and_what_persons_have(wanted: list[Pool], found: list[Pool]) -> None:
    wanted, there = list(by_name(wanted).values()), by_name(found)
    changes = compare_pools(wanted, there.values())
    after = {name: pool for name, pool in there.items() if name not in changes.deleted}
    after |= by_name([*changes.made, *changes.changed])
    for pool in wanted:
        is_persons = pool.name in there and not there[pool.name].is_ours
        assert after[pool.name] == (there[pool.name] if is_persons else mark_pool(pool))
        assert (pool.name in changes.kept) == is_persons
    for name, pool in there.items():
        if not pool.is_ours or not is_pool_name(name):
            assert after.get(name) == pool or name in by_name(wanted)
    assert not [name for name in changes.deleted if not there[name].is_ours or name == DEFAULT_POOL]
    assert compare_pools(wanted, after.values()).made == compare_pools(wanted, after.values()).changed == ()


@pytest.mark.parametrize("name", [DEFAULT_POOL, "", "..", "a/b", "a b", "~", "x" * 101])
def test_a_name_that_no_pool_of_ours_has(name: str) -> None:
    with pytest.raises(ValueError, match=r"such as warehouse|Airflow's own"):
        check_pool_name(name)
    assert check_pool_name("warehouse") == "warehouse"
