"""A repository at a glance: tables of its branches and pull requests, with what is said of each. Serves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.github.api.statuses import list_latest
from sandbox.github.objects import read_commits
from sandbox.html import Html, fill, join, lay_out, link, mark, tag, write_time

if TYPE_CHECKING:
    from sandbox.github.objects import Commit
    from sandbox.github.pulls import PullRequest
    from sandbox.github.repository import Repository

_SHOWN_DIGITS = 7


def link_to(repository: Repository, text: object, *segments: object) -> Html:
    """Return a link to a page of the repository."""
    return link(repository.urls.build_html(*segments), text)


def link_branch(repository: Repository, name: str, sha: str, text: str = "") -> Html:
    """Return a link to the branch's files; to its last commit's where the branch is gone, or is a fork's."""
    return link_to(repository, text or name, "tree", name if repository.heads.get(name) == sha else sha)


def link_commit(repository: Repository, commit: Commit) -> Html:
    """Return a link to the commit, with its subject."""
    shown = link_to(repository, tag("code", commit.sha[:_SHOWN_DIGITS]), "commit", commit.sha)
    return join([shown, commit.message.partition("\n")[0]], " ")


def name_state(pull: PullRequest) -> str:
    """Return the pull request's state as GitHub's pages name it."""
    return "merged" if pull.merged_at else pull.state


def lay_out_branches(repository: Repository) -> Html:
    """Return a table of the branches, the default one first."""
    names = sorted(repository.heads, key=lambda name: (name != repository.default_branch, name))
    heads = set(repository.heads.values())
    commits = (
        {commit.sha: commit for commit in read_commits(repository.git, "--no-walk", *heads, "--")} if heads else {}
    )
    rows = [
        (
            link_branch(repository, name, repository.heads[name]),
            fill(link_commit(repository, commit)),
            commit.author.name,
            write_time(commit.committer.at),
            fill(show_statuses(repository, commit.sha)),
        )
        for name in names
        if (commit := commits.get(repository.heads[name]))
    ]
    return lay_out(("Branch", "Newest commit", "Author", "Committed", "Statuses"), rows, "There is no branch.")


def lay_out_pulls(repository: Repository) -> Html:
    """Return a table of the pull requests, newest first."""
    rows = [
        (
            fill(link_to(repository, f"#{pull.number} {pull.title}", "pull", pull.number)),
            mark(name_state(pull)),
            join(
                [
                    link_branch(repository, pull.source.branch, pull.head_sha),
                    link_branch(repository, pull.base, repository.heads.get(pull.base, pull.base_sha)),
                ],
                " → ",
            ),
            _link_comments(repository, pull),
            fill(show_statuses(repository, pull.head_sha)),
        )
        for pull in reversed(repository.pulls.values())
    ]
    return lay_out(("Pull request", "State", "Branches", "Comments", "Statuses"), rows, "There is no pull request yet.")


def show_statuses(repository: Repository, sha: str) -> Html:
    """Return the commit's newest status of each context, each with what it leads to."""
    shown = (
        join([mark(status.state), link(status.target_url or "", status.context), status.description], " ")
        for status in list_latest(repository, sha)
    )
    return join(tag("div", each) for each in shown)


def _link_comments(repository: Repository, pull: PullRequest) -> Html:
    home = repository.urls.build_html("pull", pull.number)
    said = [each for each in repository.comments.values() if each.number == pull.number]
    return join((link(f"{home}#issuecomment-{each.id}", each.user) for each in said), ", ")
