"""A Deployment's life: deploys that succeed, fail or are rolled back, and what runs in the end against the commit.

The model knows no Git: what runs is the image's files and the DAGs' files, each of the state that they came from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.deploy_ops.core.change.change_type import ChangeRules, Snapshot, classify_change
from include.deploy_ops.core.history import read_history
from include.deploy_ops.core.model import ChangeDecision, ChangeType, Deploy, DeployKind, DeployStatus
from tests.worlds.values.examples import OWNER
from tests.worlds.values.git_store import GitStore
from tests.worlds.values.histories import KINDS, State, histories

if TYPE_CHECKING:
    from collections.abc import Iterator

NONE, DAGS, IMAGE = ChangeType.NONE, ChangeType.DAGS, ChangeType.IMAGE
RULES = ChangeRules(".", ("docs/", "*.md"))
ENDINGS = ("succeeds", "succeeds", "fails", "is rolled back")


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitStore]:
    with GitStore(tmp_path_factory.mktemp("life") / "bare.git") as store:
        yield store


def list_image(state: State) -> State:
    """Return what an image must carry: all but `dags/` and what RULES ignore. An empty folder is nothing to Git."""
    return {path: leaf for path, leaf in state.items() if not path.startswith("dags/") and not _is_nothing(path, leaf)}


def list_dags(state: State) -> State:
    return {path: leaf for path, leaf in state.items() if f"{path}/".startswith("dags/") and leaf[0] != "040000"}


def _is_nothing(path: str, leaf: tuple[str, str]) -> bool:
    *folders, name = path.split("/")
    folders += [name] if leaf[0] == "160000" else []
    is_md = any(part.endswith(".md") for part in (*folders, name))
    return leaf[0] == "040000" or "docs" in folders or is_md


@dataclass
class Life:
    """One Deployment: its records, and the states that its image and its DAGs come from."""

    states: dict[str, tuple[Snapshot, State]]
    records: list[Deploy] = field(default_factory=list)
    image: State | None = None
    dags: State | None = None
    after: dict[str, tuple[State | None, State | None]] = field(default_factory=dict)

    def decide(self, git: GitStore, target: Snapshot) -> ChangeDecision:
        history = read_history(self.records, OWNER)
        image, dags = (self.states.get(commit or "") for commit in (history.image_commit, history.dags_commit))
        return classify_change(
            target=target,
            image_base=image and image[0],
            dags_base=dags and dags[0],
            rules=RULES,
            read_tree=git.read_tree,
        )

    def deploy(self, commit: str, change_type: ChangeType, *, is_successful: bool) -> None:
        self._record(
            DeployKind.IMAGE_AND_DAG if change_type is IMAGE else DeployKind.DAG_ONLY,
            DeployStatus.DEPLOYED if is_successful else DeployStatus.FAILED,
            git_commit=commit,
        )
        if is_successful:
            state = self.states[commit][1]
            self.image, self.dags = state if change_type is IMAGE else self.image, state
        self.after[self.records[-1].id] = (self.image, self.dags)

    def roll_back(self) -> None:
        """Restore what ran after the first deploy that succeeded."""
        first = next((record for record in self.records if record.status is DeployStatus.DEPLOYED), None)
        if first is not None:
            self._record(DeployKind.IMAGE_AND_DAG, DeployStatus.DEPLOYED, rollback_from_id=first.id)
            self.image, self.dags = self.after[self.records[-1].id] = self.after[first.id]

    def _record(
        self,
        kind: DeployKind,
        status: DeployStatus,
        *,
        git_commit: str | None = None,
        rollback_from_id: str | None = None,
    ) -> None:
        number = len(self.records)
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
        self.records.append(
            Deploy(
                f"deploy-{number}",
                "dep",
                status,
                kind,
                at,
                git_commit=git_commit,
                rollback_from_id=rollback_from_id,
            )
        )


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    states=histories(st.sampled_from(KINDS), steps=4),
    endings=st.lists(st.sampled_from(ENDINGS), min_size=6, max_size=6),
)
def test_what_was_decided_brings_the_commit_and_nothing_cheaper_would(
    git: GitStore, states: list[State], endings: list[str]
) -> None:
    history = git.write_history(states)
    life = Life({snapshot.commit: (snapshot, state) for snapshot, state in zip(history, states, strict=True)})
    for snapshot, state, ending in zip(history, states, endings, strict=False):
        decision = life.decide(git, snapshot)
        assert decision.change_type is _find_cheapest(life, state), decision
        if decision.change_type is not NONE:
            life.deploy(snapshot.commit, decision.change_type, is_successful=ending != "fails")
        if ending == "is rolled back":
            life.roll_back()
        elif ending == "succeeds":
            assert life.image is not None
            assert life.dags is not None
            assert list_image(life.image) == list_image(state)
            assert list_dags(life.dags) == list_dags(state)
            assert life.decide(git, snapshot).change_type is NONE


def _find_cheapest(life: Life, state: State) -> ChangeType:
    if life.image is None or life.dags is None or list_image(life.image) != list_image(state):
        return IMAGE
    before, after = list_dags(life.dags), list_dags(state)
    if before == after:
        return NONE
    return IMAGE if before.get("dags") != after.get("dags") else DAGS


def test_dag_push_after_a_failed_image_deploy_is_still_an_image_deploy(git: GitStore) -> None:
    first: State = {"Dockerfile": ("100644", "1"), "dags/a.py": ("100644", "1")}
    second: State = {**first, "Dockerfile": ("100644", "2")}
    third: State = {**second, "dags/a.py": ("100644", "2")}
    history = git.write_history([first, second, third])
    life = Life(
        {snapshot.commit: (snapshot, state) for snapshot, state in zip(history, [first, second, third], strict=True)}
    )
    life.deploy(history[0].commit, IMAGE, is_successful=True)
    life.deploy(history[1].commit, IMAGE, is_successful=False)
    decision = life.decide(git, history[2])
    assert [(path.path, path.verdict) for path in decision.paths] == [("Dockerfile", IMAGE), ("dags/a.py", DAGS)]
    life.deploy(history[2].commit, DAGS, is_successful=True)  # somebody forces the DAGs alone
    decision = life.decide(git, history[2])
    assert [(path.path, path.verdict) for path in decision.paths] == [("Dockerfile", IMAGE)]
    assert (decision.image_base, decision.dags_base) == (history[0].commit, history[2].commit)
