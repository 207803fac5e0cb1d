"""The change type as the product reads it: trees over the API, whose JSON cannot tell every name, against Git."""

from __future__ import annotations

from itertools import combinations, permutations
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.deploy_ops.core.change.change_type import ChangeRules, Snapshot
from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
from sandbox.identity import GITHUB_TOKEN
from tests.sandbox.github.conftest import REPOSITORY, Hub
from tests.worlds.doubles.github import connect
from tests.worlds.values.git_store import FILE, GitStore
from tests.worlds.values.histories import BASE, KINDS, ODD_NAMES, State, histories
from tests.worlds.values.verdict_by_git import Comparison

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NONE, DAGS, IMAGE = ChangeType.NONE, ChangeType.DAGS, ChangeType.IMAGE
RULES = (ChangeRules(".", ("docs/", "*.md", "caf???.py", "!caf?.py")), ChangeRules("etl", ("lib/",), ("shared",)))
TOLD = tuple(kind for kind in KINDS if "UTF-8" not in kind.name)
UNTOLD = tuple(kind for kind in KINDS if "UTF-8" in kind.name)


@pytest.fixture
def hook(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeployOpsGithubHook]:
    connect(monkeypatch, host=f"{hub.url}/github/api/v3", password=GITHUB_TOKEN)
    hub.settings.rate_limit = 1_000_000
    opened = DeployOpsGithubHook("github_default", REPOSITORY)
    yield opened
    opened.close()


@pytest.fixture
def comparison(hub: Hub, tmp_path: Path) -> Iterator[Comparison]:
    """Write to the bare repository that the API serves."""
    with GitStore(hub.github.git_dir(REPOSITORY)) as git:
        yield Comparison.build(git, tmp_path)


def _write(comparison: Comparison, hook: DeployOpsGithubHook, states: list[State]) -> list[Snapshot]:
    """Write the states as commits, and return them as the hook tells them."""
    assert isinstance(comparison.git, GitStore)
    written = comparison.git.write_history(states)
    return [Snapshot(each.commit, hook.get_commit(each.commit).tree) for each in written]


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(states=histories(st.sampled_from(TOLD), steps=2, kinds=TOLD), rules=st.sampled_from(RULES))
def test_every_name_that_json_can_tell_is_judged_as_git_judges_it(
    comparison: Comparison, hook: DeployOpsGithubHook, states: list[State], rules: ChangeRules
) -> None:
    history = _write(comparison, hook, states)
    comparison.learn_ignored(rules, combinations(history, 2))
    for base, target in permutations(history, 2):
        answer = comparison.compare((base, base), target, rules, read_tree=hook.read_tree)
        assert answer is None or answer[0].change_type is answer[1], answer


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(states=histories(st.sampled_from(UNTOLD), steps=2), rules=st.sampled_from(RULES))
def test_name_that_json_cannot_tell_never_makes_a_deploy_too_small(
    comparison: Comparison, hook: DeployOpsGithubHook, states: list[State], rules: ChangeRules
) -> None:
    history = _write(comparison, hook, states)
    comparison.learn_ignored(rules, combinations(history, 2))
    for base, target in permutations(history, 2):
        answer = comparison.compare((base, base), target, rules, read_tree=hook.read_tree, is_exact=False)
        assert answer is None or answer[0].change_type.rank >= answer[1].rank, answer


ACUTE, GRAVE = "caf\udce9.py", "caf\udce8.py"


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ([ACUTE], [GRAVE], IMAGE),  # the listings are equal, only the trees differ
        ([f"dags/{ACUTE}"], [f"dags/{GRAVE}"], DAGS),
        ([f"docs/{ACUTE}"], [f"docs/{GRAVE}"], NONE),  # all of docs/ is ignored
        ([ACUTE, GRAVE], [GRAVE], IMAGE),  # two entries of one name
        ([f"dags/{ACUTE}", f"dags/{GRAVE}"], [f"dags/{ACUTE}"], DAGS),
        ([f"dags/caf\udce9/{ACUTE}"], [f"dags/caf\udce8/{ACUTE}"], DAGS),  # a folder
        ([], ["caf\udce9\udce8\udce9.py"], IMAGE),  # Git ignores it by caf???.py; who cannot read it, cannot
        (["\ufffd.md"], [], NONE),  # really called so
    ],
)
def test_names_that_json_tells_alike(
    comparison: Comparison, hook: DeployOpsGithubHook, before: list[str], after: list[str], verdict: ChangeType
) -> None:
    states = [BASE | dict.fromkeys(paths, (FILE, "the same\n")) for paths in (before, after)]
    base, target = _write(comparison, hook, states)
    comparison.learn_ignored(RULES[0], [(base, target)])
    answer = comparison.compare((base, base), target, RULES[0], read_tree=hook.read_tree, is_exact=False)
    assert answer is not None
    assert answer[0].change_type is verdict


def test_the_sandbox_tells_every_other_odd_name(comparison: Comparison, hook: DeployOpsGithubHook) -> None:
    names = {name for kind, name in ODD_NAMES.items() if kind != "no UTF-8"}
    [snapshot] = _write(comparison, hook, [dict.fromkeys(names, (FILE, ""))])
    assert {entry.name for entry in hook.read_tree(snapshot.tree)} == names
