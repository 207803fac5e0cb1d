"""The change type against Git itself: generated histories, and what `git diff --raw --no-renames` says of them."""

from __future__ import annotations

from itertools import combinations, permutations, product
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.deploy_ops.core.change.change_type import ChangeRules
from tests.worlds.values.git_store import GitStore
from tests.worlds.values.histories import KINDS, Kind, State, Step, histories
from tests.worlds.values.verdict_by_git import Comparison

if TYPE_CHECKING:
    from collections.abc import Iterator

RULES = (
    ChangeRules("."),
    ChangeRules(".", ("docs/", "*.md", "!notes.md", "vendor/", "include/**/*.sql")),
    ChangeRules("etl", ("docs/", "*.md", "lib/"), ("shared", "Dockerfile")),
    ChangeRules("etl", ("/*", "!*.py", "!inner/"), ("shared/lib/deep.py",)),
    ChangeRules("etl/inner", ("*",), ("etl/lib", "vendor")),
)


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comparison]:
    folder = tmp_path_factory.mktemp("histories")
    with GitStore(folder / "bare.git") as git:
        yield Comparison.build(git, folder)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@settings(max_examples=6, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_state_of_a_history_against_every_other(comparison: Comparison, kind: Kind, data: st.DataObject) -> None:
    """Any two states are image base and DAGs base of any third: the image may be older than the DAGs, or newer."""
    states: list[State] = data.draw(histories(st.just(kind)))
    rules = data.draw(st.sampled_from(RULES))
    has_dag_deploys = data.draw(st.booleans())
    git = comparison.git
    assert isinstance(git, GitStore)
    history = git.write_history(states)
    first, second = history[:2]
    step = Step(states[0], states[1], git.diff(first.tree, second.tree), (first.tree, second.tree))
    assert kind.is_seen(step), f"the first step is no '{kind.name}': {step.changes}"
    comparison.learn_ignored(rules, combinations(history, 2))
    for image_base, dags_base, target in product(history, repeat=3):
        bases = (image_base, dags_base)
        answer = comparison.compare(bases, target, rules, has_dag_deploys=has_dag_deploys)
        assert answer is None or answer[0].change_type is answer[1], answer
    for base, target in permutations(history, 2):
        if git.has_folder(target.tree, rules.root):
            comparison.compare_images(base, target, rules, has_dag_deploys=has_dag_deploys)
