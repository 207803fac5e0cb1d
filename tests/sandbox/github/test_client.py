"""PyGithub, an independent client, against the sandbox's GitHub."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from github import Auth, Github, GithubException, InputGitTreeElement
from github.Repository import Repository

from sandbox.identity import GITHUB_TOKEN
from tests.sandbox.github.conftest import REPOSITORY, Hub


@pytest.fixture
def repository(hub: Hub) -> Iterator[Repository]:
    """Give PyGithub's view of the repository."""
    with Github(
        base_url=f"{hub.url}/github/api/v3",
        auth=Auth.Token(GITHUB_TOKEN),
        retry=None,
        per_page=2,
        seconds_between_requests=0,
        seconds_between_writes=0,
    ) as client:
        assert client.get_user().login
        yield client.get_repo(REPOSITORY)


def test_a_branch_is_written_without_a_checkout_and_merged(hub: Hub, repository: Repository) -> None:
    main = repository.get_branch("main").commit
    entry = InputGitTreeElement("dags/a.py", "100644", "blob", content="a = 1\n")
    tree = repository.create_git_tree([entry], repository.get_git_tree(main.sha))
    commit = repository.create_git_commit("Add a", tree, [repository.get_git_commit(main.sha)])
    repository.create_git_ref("refs/heads/dev-a", commit.sha)
    pull = repository.create_pull("staging", "dev-a", title="Add a", body="")
    assert pull.mergeable
    pull.add_to_labels("keep")
    pull.create_issue_comment("hello")
    assert [file.filename for file in pull.get_files()] == ["dags/a.py"]
    assert pull.merge(sha=commit.sha).merged
    assert repository.get_pull(1).merged
    assert repository.get_contents("dags/a.py", ref="staging").decoded_content == b"a = 1\n"  # type: ignore[union-attr]


def test_paging_statuses_and_deployments(hub: Hub, repository: Repository) -> None:
    sha = hub.read_heads()["main"]
    for n in range(3):
        repository.create_git_ref(f"refs/heads/dev-{n}", sha)
    assert [ref.ref for ref in repository.get_git_matching_refs("heads/dev-")] == [
        f"refs/heads/dev-{n}" for n in range(3)
    ]
    assert len(list(repository.get_branches())) == 6
    repository.get_commit(sha).create_status("success", context="ci")
    assert repository.get_commit("dev-1").get_combined_status().state == "success"
    deployment = repository.create_deployment("dev-1", auto_merge=False, required_contexts=[], environment="preview")
    deployment.create_status("success", environment_url="https://x.example")
    assert [status.state for status in deployment.get_statuses()] == ["success"]


def test_errors_are_those_of_github(repository: Repository) -> None:
    with pytest.raises(GithubException, match="Reference already exists"):
        repository.create_git_ref("refs/heads/main", repository.get_branch("main").commit.sha)
