"""Trees by Git and by the API: one answer, whatever stands in them; and what a decision asks of each."""

from __future__ import annotations

from contextlib import closing
from itertools import combinations
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.deploy_ops.checkout.trees import fetch_trees
from include.deploy_ops.core.change.change_type import ChangeRules, Snapshot, classify_change, list_changed_dags
from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.model import ChangeDecision
from include.deploy_ops.hooks.github import trees
from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
from sandbox.identity import GITHUB_TOKEN
from tests.sandbox.github.conftest import REPOSITORY, Hub
from tests.worlds.doubles.github import connect
from tests.worlds.doubles.hostile_server import HostileServer
from tests.worlds.values.git_store import FILE, GitStore
from tests.worlds.values.histories import BASE, KINDS, State, histories
from tests.worlds.values.large_repository import import_all, list_paths, write_commit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from include.deploy_ops.hooks.github.trees import FindTree

RULES = (ChangeRules(".", ("docs/", "*.md", "caf???.py")), ChangeRules("etl", ("lib/",), ("shared",)))
BIG: State = {f"include/many/{number:04}.py": (FILE, f"{number}\n") for number in range(400)}
FILES = 10_000


@pytest.fixture
def api(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    connect(monkeypatch, host=f"{hub.url}/github/api/v3", password=GITHUB_TOKEN)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    hub.settings.rate_limit = 1_000_000
    return hub


class Git:
    """Fetches trees, and remembers of how many commits."""

    def __init__(self) -> None:
        self.fetches: list[int] = []

    def fetch(self, url: str, token: str, commits: Sequence[str]) -> FindTree:
        self.fetches.append(len(commits))
        return fetch_trees(url, token, commits)


def read(hook: DeployOpsGithubHook, commit: str) -> Snapshot:
    return Snapshot(commit, hook.get_commit(commit).tree)


def classify(hook: DeployOpsGithubHook, base: str, target: str, rules: ChangeRules) -> ChangeDecision | str:
    before, after = read(hook, base), read(hook, target)
    try:
        return classify_change(target=after, image_base=before, dags_base=before, rules=rules, read_tree=hook.read_tree)
    except PermanentError as error:
        return str(error)


def decide(hook: DeployOpsGithubHook, base: str, target: str, rules: ChangeRules) -> tuple[object, ...]:
    """Return the change type with all its paths, and the DAGs that differ."""
    changed = list_changed_dags(read(hook, base), read(hook, target), rules, hook.read_tree)
    return classify(hook, base, target, rules), changed


@settings(max_examples=6, suppress_health_check=list(HealthCheck))
@given(states=histories(st.sampled_from(KINDS), steps=2), rules=st.sampled_from(RULES), is_big=st.booleans())
def test_both_ways_decide_alike(api: Hub, states: list[State], rules: ChangeRules, *, is_big: bool) -> None:
    with GitStore(api.github.git_dir(REPOSITORY)) as store:
        history = store.write_history([state | (BIG if is_big else {}) for state in states])
    git = Git()
    with (
        pytest.MonkeyPatch.context() as patch,
        closing(DeployOpsGithubHook("github_default", REPOSITORY)) as one_by_one,
        closing(DeployOpsGithubHook("github_default", REPOSITORY, fetch_trees=git.fetch)) as by_git,
    ):
        patch.setattr(trees, "REQUESTS_MAX", 0)
        for each in history:
            by_git.get_commit(each.commit)
        for base, target in combinations(history, 2):
            decided = decide(by_git, base.commit, target.commit, rules)
            assert decided == decide(one_by_one, base.commit, target.commit, rules)
    assert git.fetches == [len({each.commit for each in history})]


def test_a_change_in_many_of_many_files_costs_no_more_of_the_quota(api: Hub) -> None:
    half = FILES // 2
    changes = {1: range(0, half, half), 10: range(0, half, half // 10)}
    stream = [*write_commit("refs/heads/before", "", [*list_paths(half, range(half))], seed=0)]
    for changed, numbers in changes.items():
        ref = f"refs/heads/after-{changed}"
        stream += write_commit(ref, "from refs/heads/before\n", [*list_paths(half, numbers)], seed=1)
    git_dir = api.github.git_dir(REPOSITORY)
    import_all(git_dir, stream)
    for changed, asked, fetches in ((1, 20, []), (10, 22, [2])):
        git = Git()
        base, target = (api.git("-C", str(git_dir), "rev-parse", name) for name in ("before", f"after-{changed}"))
        api.exchanges.clear()
        with closing(DeployOpsGithubHook("github_default", REPOSITORY, fetch_trees=git.fetch)) as hook:
            decided = classify(hook, base, target, ChangeRules("."))
        assert isinstance(decided, ChangeDecision)
        assert {path.path for path in decided.paths} == set(list_paths(half, changes[changed]))
        assert (len(api.exchanges), git.fetches) == (asked, fetches)


def test_where_git_hangs_the_decision_goes_on_by_the_api(api: Hub) -> None:
    with GitStore(api.github.git_dir(REPOSITORY)) as store:
        base, target = store.write_history([BASE, {**BASE, "dags/team/new.py": (FILE, "new\n")}])

    def hang(_: str, token: str, commits: Sequence[str]) -> FindTree:
        return fetch_trees(f"http://{silent.host}/acme/data.git", token, commits, 1.0)

    with (
        HostileServer(lambda _: silent.drip(b"", b"", 0.1)) as silent,
        pytest.MonkeyPatch.context() as patch,
        closing(DeployOpsGithubHook("github_default", REPOSITORY, fetch_trees=hang)) as hook,
    ):
        patch.setattr(trees, "REQUESTS_MAX", 1)
        decided = classify(hook, base.commit, target.commit, ChangeRules("."))
        assert len(silent.asked) == 1
    assert isinstance(decided, ChangeDecision)
    assert [path.path for path in decided.paths] == ["dags/team/new.py"]
