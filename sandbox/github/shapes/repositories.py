"""Repositories and branches in GitHub's JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.github.shapes.accounts import build_node_id, build_user, format_time
from sandbox.github.shapes.commits import build_commit
from sandbox.github.urls import Urls

if TYPE_CHECKING:
    from sandbox.github.objects import Commit
    from sandbox.github.pulls import Source
    from sandbox.github.repository import Repository

_CREATED_AT = "2026-01-05T08:00:00Z"  # the day of the seed's first commit
_TEMPLATES = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}
_PLAIN: dict[str, Any] = {
    "private": True,
    "visibility": "private",
    "description": "An Astro project",
    "homepage": None,
    "language": "Python",
    "license": None,
    "mirror_url": None,
    "archived": False,
    "disabled": False,
    "has_issues": True,
    "has_projects": False,
    "has_wiki": False,
    "has_pages": False,
    "has_discussions": False,
    "has_downloads": False,
    "is_template": False,
    "topics": [],
    "allow_forking": True,
    "web_commit_signoff_required": False,
    "delete_branch_on_merge": False,
    "size": 100,
    **dict.fromkeys(("stargazers_count", "watchers_count", "watchers"), 0),
    "created_at": _CREATED_AT,
    "updated_at": _CREATED_AT,
}
_MERGING = {
    "allow_squash_merge": True,
    "allow_rebase_merge": True,
    "allow_auto_merge": False,
}


def build_full_repository(repository: Repository) -> dict[str, Any]:
    """Build GitHub's `full-repository`, as one is shown by itself."""
    return {**build_repository(repository), **dict.fromkeys(("network_count", "subscribers_count"), 0)}


def build_repository(repository: Repository) -> dict[str, Any]:
    """Build GitHub's `repository`, as pull requests name it."""
    return {
        **build_minimal_repository(repository),
        **_MERGING,
        "allow_merge_commit": repository.allows_merge_commits,
        "archived": repository.is_archived,
    }


def build_minimal_repository(repository: Repository) -> dict[str, Any]:
    """Build GitHub's `minimal-repository`: how it merges is left out."""
    open_pulls = sum(pull.is_open for pull in repository.pulls.values())
    return {
        **_build_any(repository.urls, repository.id, repository.default_branch),
        "fork": False,
        "pushed_at": format_time(repository.pushed_at),
        **dict.fromkeys(("forks", "forks_count"), len(repository.forks)),
        **dict.fromkeys(("open_issues", "open_issues_count"), open_pulls),
        "permissions": {"admin": True, "maintain": True, "push": True, "triage": True, "pull": True},
    }


def build_source_repository(repository: Repository, source: Source) -> dict[str, Any]:
    """Build the repository that a pull request comes from: this one, or a fork of it with an id of its own."""
    if not source.is_fork:
        return build_repository(repository)
    full_name = f"{source.owner}/{source.repository}"
    return {
        **_build_any(
            Urls(repository.urls.root, full_name), repository.find_fork_id(full_name), repository.default_branch
        ),
        **_MERGING,
        "allow_merge_commit": True,
        "fork": True,
        "pushed_at": _CREATED_AT,
        **dict.fromkeys(("forks", "forks_count", "open_issues", "open_issues_count"), 0),
    }


def _build_any(urls: Urls, number: int, default_branch: str) -> dict[str, Any]:
    owner, name = urls.full_name.split("/")
    api = urls.build_api()
    return {
        "id": number,
        "node_id": build_node_id("Repository", number),
        "name": name,
        "full_name": urls.full_name,
        "owner": build_user(urls, owner),
        "default_branch": default_branch,
        "url": api,
        "html_url": urls.build_html(),
        "clone_url": f"{urls.build_html()}.git",
        "git_url": f"git://{urls.host}/{urls.full_name}.git",
        "ssh_url": f"git@{urls.host}:{urls.full_name}.git",
        "svn_url": urls.build_html(),
        **{field: f"{api}{path}" for field, path in _TEMPLATES.items()},
        **_PLAIN,
    }


def build_short_branch(repository: Repository, name: str, sha: str) -> dict[str, Any]:
    """Build GitHub's `short-branch`, as branches are listed."""
    urls = repository.urls
    contexts = repository.required_checks.get(name, ())
    protection = {
        "enabled": bool(contexts),
        "required_status_checks": {
            "enforcement_level": "non_admins" if contexts else "off",
            "contexts": contexts,
            "checks": [{"context": each, "app_id": None} for each in contexts],
        },
    }
    return {
        "name": name,
        "commit": {"sha": sha, "url": urls.build_api("commits", sha)},
        "protected": bool(contexts),
        "protection": protection,
        "protection_url": urls.build_api("branches", name, "protection"),
    }


def build_branch(repository: Repository, name: str, commit: Commit) -> dict[str, Any]:
    """Build GitHub's `branch-with-protection`."""
    urls = repository.urls
    links = {"self": urls.build_api("branches", name), "html": urls.build_html("tree", name)}
    return {
        **build_short_branch(repository, name, commit.sha),
        "commit": build_commit(urls, commit),
        "_links": links,
    }
