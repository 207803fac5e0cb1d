"""The sandbox's GitHub as a whole: its repositories, its routes, its reset. Serves no socket itself."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from sandbox.github.api import (
    account,
    branches,
    checks,
    commits,
    contents,
    deployments,
    environments,
    issues,
    merges,
    objects,
    pulls,
    rules,
    statuses,
)
from sandbox.github.api.account import build_rate_limit_handler, build_user_handler
from sandbox.github.git import Git, require_git
from sandbox.github.pages import Pages
from sandbox.github.pulls import read_clock
from sandbox.github.rate_limit import RateLimit
from sandbox.github.records import Comment, Reaction
from sandbox.github.refs import resolve_commit
from sandbox.github.repositories import Repositories
from sandbox.github.repository import Push, Repository
from sandbox.github.rest import Answer, Call, Rest, build_not_found
from sandbox.github.rules import Kind, Ruleset
from sandbox.github.seeding import DEFAULT_BRANCH, seed_repository
from sandbox.github.shapes.repositories import build_full_repository
from sandbox.github.smart_http import SmartHttp
from sandbox.github.urls import API_PATH, Urls
from sandbox.identity import OWNER, REPOSITORY, REPOSITORY_ID

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.routing import BaseRoute

    from sandbox.settings import Settings

USER = "deploy-ops"  # the login behind the token
# `commits/{ref}/status` and `…/check-runs` must be tried before `commits/{ref}`: a ref may contain slashes.
_RESOURCES = (
    branches,
    statuses,
    checks,
    commits,
    objects,
    contents,
    merges,
    pulls,
    rules,
    issues,
    deployments,
    environments,
    account,
)
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


class GitHub:
    """A GitHub with one seeded repository, beside which others can be seeded. All of them have one token and quota.

    :param data_dir: where the bare repositories are kept, below `repositories/`.
    :param settings: read at every request, so that changing them takes effect at once.
    :param base_url: `http://host:port`; the routes are mounted under `/github` there.
    """

    def __init__(self, data_dir: Path, settings: Settings, base_url: str) -> None:
        require_git()
        self.on_push: list[Callable[[Push], None]] = []
        self._folder = data_dir / "repositories"
        self._base_url = base_url.rstrip("/")
        self._root = f"{self._base_url}/github"
        self._settings = settings
        self._limit = RateLimit(settings)
        self._repositories = Repositories()
        self.reset()

    def reset(self) -> None:
        """Forget everything and seed again; the listeners of `on_push` stay, and are told nothing."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._repositories.clear()
        self.add(REPOSITORY)
        self._limit.restart()

    def add(self, name: str) -> bool:
        """Seed a repository; return whether its name was free. The listeners of `on_push` are told nothing."""
        full_name = f"{OWNER}/{name}"
        git = Git(self._folder / f"{full_name}.git")
        if self._repositories.get(full_name) or git.git_dir.exists():
            return False
        seed_repository(git)
        number = REPOSITORY_ID + len(self._repositories.values())
        urls, listeners = Urls(self._root, full_name), self.on_push
        self._repositories.add(Repository(number, OWNER, name, git, urls, DEFAULT_BRANCH, self._settings, listeners))
        return True

    @property
    def repositories(self) -> Repositories:
        """The repositories."""
        return self._repositories

    def find_commit_page(self, sha: str) -> str | None:
        """Give the address of a commit's page; None where no repository has it."""
        pages = (each.urls.build_html("commit", sha) for each in self._repositories.values() if _has(each, sha))
        return next(pages, None)

    def rename(self, full_name: str, name: str) -> bool:
        """Give a repository another name below its owner; return whether there is one of the first name."""
        return self._repositories.rename(full_name, name)

    def set_check(self, full_name: str, sha: str, name: str, state: str) -> bool:
        """Let a check on a commit have this state; return whether there is such a commit."""
        repository = self._repositories.get(full_name)
        if repository is None or not _has(repository, sha):
            return False
        checks.set_check(repository, sha, name, state)
        return True

    def require_checks(self, full_name: str, branch: str, names: tuple[str, ...]) -> bool:
        """Let merges into a branch require these checks, or none; return whether there is the repository."""
        repository = self._repositories.get(full_name)
        if repository is None:
            return False
        repository.required_checks[branch] = names
        return True

    def set_repository(self, full_name: str, *, archived: bool | None, allow_merge_commit: bool | None) -> bool:
        """Archive a repository or take it back, and let it take merge commits or not; return whether there is one."""
        repository = self._repositories.get(full_name)
        if repository is None:
            return False
        if archived is not None:
            repository.is_archived = archived
        if allow_merge_commit is not None:
            repository.allows_merge_commits = allow_merge_commit
        return True

    def set_rules(self, full_name: str, branch: str, kinds: tuple[Kind, ...], **more: Any) -> bool:
        """Give a branch a ruleset of its own, or none; return whether there is the repository.

        :param more: `methods` and `bypass`, as in `Ruleset`.
        """
        repository = self._repositories.get(full_name)
        if repository is None:
            return False
        repository.rulesets.pop(branch, None)
        if kinds:
            repository.rulesets[branch] = Ruleset(repository.allot_id(), branch, kinds, **more)
        return True

    def set_draft(self, full_name: str, number: int, *, is_draft: bool) -> bool:
        """Turn an open pull request into a draft or back; return whether there is one. GitHub's REST API cannot."""
        repository = self._repositories.get(full_name)
        pull = repository.pulls.get(number) if repository else None
        if pull is None or not pull.is_open:
            return False
        if pull.is_draft != is_draft:
            pull.is_draft = is_draft
            pull.touch()
        return True

    def grant(self, full_name: str, login: str, permission: str) -> bool:
        """Let somebody have this permission on a repository; return whether there is one."""
        repository = self._repositories.get(full_name)
        if repository is not None:
            repository.permissions[login] = permission
        return repository is not None

    def say(self, full_name: str, number: int, user: str, body: str, **more: Any) -> int:
        """Let somebody comment on a pull request; return the comment's id, 0 where there is no pull request.

        :param more: `is_by_bot`, `app_id`, `age_s`: so long ago, `has_eyes`: somebody else gave it that sign.
        """
        repository = self._repositories.get(full_name)
        pull = repository.pulls.get(number) if repository else None
        if repository is None or pull is None:
            return 0
        at = read_clock() - timedelta(seconds=more.get("age_s", 0.0))
        signs = [Reaction(repository.allot_id(), "somebody", "eyes")] if more.get("has_eyes") else []
        by = more.get("is_by_bot", False), more.get("app_id")
        return repository.add_comment(pull, Comment(repository.allot_id(), number, body, user, *by, at, at, signs)).id

    def git_dir(self, full_name: str) -> Path:
        """Give the bare Git directory of `owner/name`, which is or was called so."""
        repository = self._repositories.get(full_name) or self._repositories.find_former(full_name)
        if repository is None:
            raise KeyError(full_name)
        return repository.git.git_dir

    def routes(self) -> list[BaseRoute]:
        """Give every route, to be mounted under `/github`."""
        smart_http, pages = SmartHttp(self._repositories), Pages(self._repositories)
        return [*self._list_api_routes(), *smart_http.routes(), *pages.routes()]

    def _list_api_routes(self) -> list[BaseRoute]:
        rest = Rest(self._repositories, self._settings, self._limit, self._base_url, USER)
        prefix = f"{API_PATH}/repos/{{owner}}/{{repo}}"
        routes: list[BaseRoute] = [
            Route(prefix + path, rest.build_endpoint(handler), methods=[method])
            for resource in _RESOURCES
            for method, path, handler in resource.ROUTES
        ]
        show_limit = rest.build_endpoint(build_rate_limit_handler(self._limit), is_counted=False)
        routes.append(Route(f"{API_PATH}/rate_limit", show_limit))
        routes.append(Route(f"{API_PATH}/user", rest.build_endpoint(build_user_handler(self._root))))
        routes.append(Route(f"{API_PATH}/repositories/{{id}}", rest.build_endpoint(_show_numbered)))
        routes.append(Route(f"{API_PATH}/{{rest:path}}", rest.build_endpoint(_refuse), methods=_METHODS))
        return routes


def _has(repository: Repository, sha: str) -> bool:
    return resolve_commit(repository.git, sha) == sha


def _show_numbered(call: Call) -> Answer:
    """GET /repositories/{id}: what a renamed repository is called now."""
    repository = call.repositories.find_number(call.path["id"])
    if repository is None:
        raise build_not_found()
    return Answer(build_full_repository(repository))


def _refuse(_: Call) -> Answer:
    """Answer whatever the sandbox does not know as GitHub answers what does not exist."""
    raise build_not_found()
