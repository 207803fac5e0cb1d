"""What the product asks and writes to propose a commit of its own is as GitHub describes it, refusals included."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.errors import BranchMovedError, WriteRefusedError
from include.deploy_ops.hooks.github.proposals import GithubProposalsHook
from include.deploy_ops.hooks.github.pull_answers import PullText
from sandbox.identity import GITHUB_TOKEN
from tests.contract.github.conftest import Outgoing
from tests.contract.github.description import API_PATH
from tests.contract.github.test_requests import assert_described
from tests.contract.openapi.judge import Judge
from tests.sandbox.github.conftest import REPOSITORY, Hub
from tests.worlds.doubles.github import connect

if TYPE_CHECKING:
    from collections.abc import Callable

BRANCH = "deploy-ops/a#b%c+d&e=f"
TEXT = PullText("A title", "| a | b |\n|---|---|\n| `x` | é |\n")


@pytest.fixture
def proposals(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[GithubProposalsHook]:
    """Give a hook on a repository with a branch that has one commit more than main."""
    connect(monkeypatch, host=f"{hub.url}{API_PATH}", password=GITHUB_TOKEN)
    hub.push_file(BRANCH, "deployments/a.yaml", "a: 1\n")
    hook = GithubProposalsHook("github_default", REPOSITORY)
    yield hook
    hook.close()


def list_own_pulls(hub: Hub, proposals: GithubProposalsHook) -> None:
    hub.open_pull(BRANCH, "main")
    (found,) = proposals.list_own_pulls(BRANCH)
    assert (found.is_open, found.head_ref, found.base_ref) == (True, BRANCH, "main")


def write_files(hub: Hub, proposals: GithubProposalsHook) -> None:
    head = hub.read_heads()[BRANCH]
    tree = proposals.get_commit(head).tree
    made = proposals.write_files(tree, {"deployments/a.yaml": "a: é\n", "new/b.yaml": "b: 1\n"})
    commit = proposals.write_commit(made, [head], "both")
    assert proposals.read_file("deployments/a.yaml", commit) == "a: é\n"
    assert proposals.read_file("new/b.yaml", commit) == "b: 1\n"
    assert hub.read_heads()[BRANCH] == head


def move_aside(hub: Hub, proposals: GithubProposalsHook) -> None:
    main, head = hub.read_heads()["main"], hub.read_heads()[BRANCH]
    beside = proposals.write_commit(proposals.get_commit(head).tree, [main], "beside")
    proposals.move_aside(BRANCH, head, beside)
    assert hub.read_heads()[BRANCH] == beside
    with pytest.raises(BranchMovedError, match=f"was at {head[:12]} and is {beside[:12]} now"):
        proposals.move_aside(BRANCH, head, main)
    with pytest.raises(BranchMovedError, match="is gone now"):
        proposals.move_aside("none", head, main)
    assert hub.read_heads()[BRANCH] == beside


def open_pull(hub: Hub, proposals: GithubProposalsHook) -> None:
    opened = proposals.open_pull(BRANCH, "main", TEXT)
    assert opened.says(TEXT)
    assert opened.url.endswith(f"/pull/{opened.number}")
    with pytest.raises(WriteRefusedError, match="already exists"):
        proposals.open_pull(BRANCH, "main", TEXT)


def read_pull_text(hub: Hub, proposals: GithubProposalsHook) -> None:
    number = proposals.open_pull(BRANCH, "main", TEXT).number
    assert proposals.read_pull_text(number).says(TEXT)


def edit_pull(hub: Hub, proposals: GithubProposalsHook) -> None:
    number = proposals.open_pull(BRANCH, "main", TEXT).number
    proposals.edit_pull(number, PullText("Another", "text"))
    assert proposals.read_pull_text(number).says(PullText("Another", "text"))


def close_pull(hub: Hub, proposals: GithubProposalsHook) -> None:
    number = proposals.open_pull(BRANCH, "main", TEXT).number
    proposals.close_pull(number, "done")
    assert proposals.read_pull_text(number).says(PullText(TEXT.title, "done"))
    (found,) = proposals.list_own_pulls(BRANCH)
    assert (found.is_open, found.is_merged) == (False, False)


ROWS: dict[str, Callable[[Hub, GithubProposalsHook], None]] = {
    "list_own_pulls": list_own_pulls,
    "read_pull_text": read_pull_text,
    "write_files": write_files,
    "move_aside": move_aside,
    "open_pull": open_pull,
    "edit_pull": edit_pull,
    "close_pull": close_pull,
}


@pytest.mark.parametrize("method", ROWS)
def test_what_the_hook_asks_and_writes_is_described(
    method: str, hub: Hub, proposals: GithubProposalsHook, outgoing: Outgoing, judge: Judge
) -> None:
    ROWS[method](hub, proposals)
    assert_described(outgoing, judge)


def test_every_public_method_is_among_them() -> None:
    own = {name for name, value in vars(GithubProposalsHook).items() if callable(value) and name[0] != "_"}
    assert own == ROWS.keys()
