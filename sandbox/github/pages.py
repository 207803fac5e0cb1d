"""Small readable HTML pages behind the links of GitHub's answers. Read only, open to any browser on this machine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sandbox.github.conversation import STYLE, show_checks, show_comments, show_deployments
from sandbox.github.diffs import find_merge_base, list_changed_files
from sandbox.github.git import EMPTY_TREE
from sandbox.github.objects import TreeEntry, find_entry, list_tree, read_blob, read_commit, read_commits
from sandbox.github.overview import (
    lay_out_branches,
    lay_out_pulls,
    link_branch,
    link_commit,
    link_to,
    name_state,
    show_statuses,
)
from sandbox.github.refs import resolve_commit
from sandbox.github.shapes.accounts import format_time
from sandbox.html import Html, join, link, list_items, respond, tag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from sandbox.github.diffs import ChangedFile
    from sandbox.github.pulls import PullRequest
    from sandbox.github.repositories import Repositories
    from sandbox.github.repository import Repository


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages of every repository."""

    repositories: Repositories

    def routes(self) -> list[BaseRoute]:
        """Give the routes of `/{owner}/{name}/...`, and of `/{login}`."""
        start = "/{owner}/{name}"
        return [
            Route(f"{start}/pull/{{number:int}}", self.show_pull),
            Route(f"{start}/commit/{{ref:path}}", self.show_commit),
            Route(f"{start}/compare/{{refs:path}}", self.show_comparison),
            Route(f"{start}/tree/{{ref:path}}", self.show_content),
            Route(f"{start}/blob/{{ref:path}}", self.show_content),
            Route(f"{start}/raw/{{ref:path}}", self.show_raw),
            Route(start, self.show_home),
            Route("/{login}", self.show_person),
            Route("/", _go_to_start),
        ]

    async def show_home(self, request: Request) -> Response:
        """Show the branches and the pull requests."""
        repository = self._require_repository(request)
        parts = ("Branches", lay_out_branches(repository)), ("Pull requests", lay_out_pulls(repository))
        return respond(repository.full_name, join(join([tag("h2", name), table]) for name, table in parts))

    async def show_person(self, request: Request) -> Response:
        """Show what is known here of a person, a program or an organization: repositories and pull requests."""
        login = request.path_params["login"]
        repositories = self.repositories.values()
        owned = [link_to(each, each.full_name) for each in repositories if each.owner == login]
        opened = [_link_pull(each, pull) for each in repositories for pull in each.pulls.values() if pull.user == login]
        found = [*owned, *opened]
        said = list_items(found) if found else tag("p", "Nothing here is theirs.", class_="muted")
        return respond(login, said)

    async def show_pull(self, request: Request) -> Response:
        """Show one pull request with its comments, commits and files."""
        repository = self._require_repository(request)
        pull = repository.pulls.get(request.path_params["number"])
        if pull is None:
            raise HTTPException(404)
        start = find_merge_base(repository.git, pull.base_sha, pull.head_sha) or pull.base_sha
        commits = read_commits(repository.git, f"{pull.base_sha}..{pull.head_sha}", "--")
        files = list_changed_files(repository.git, start, pull.head_sha)
        shas = {pull.head_sha, *(commit.sha for commit in commits)}
        body = join(
            [
                _introduce(repository, pull),
                Html(show_comments(repository, pull)),
                Html(show_deployments(repository, shas)),
                Html(show_checks(repository, pull.head_sha)),
                tag("h2", "Commits"),
                list_items(link_commit(repository, commit) for commit in commits),
                tag("h2", "Files"),
                _show_files(files),
            ]
        )
        return _respond(repository, f"#{pull.number} {pull.title}", body)

    async def show_commit(self, request: Request) -> Response:
        """Show one commit with what it changes and what is said of it."""
        repository = self._require_repository(request)
        commit = read_commit(repository.git, _require_commit(repository, request.path_params["ref"]))
        old = commit.parents[0] if commit.parents else EMPTY_TREE
        body = join(
            [
                tag("pre", commit.message),
                tag("p", f"{commit.author.name}, {format_time(commit.author.at)}"),
                tag("p", link_to(repository, "Files at this commit", "tree", commit.sha)),
                show_statuses(repository, commit.sha),
                Html(show_deployments(repository, {commit.sha})),
                _show_files(list_changed_files(repository.git, old, commit.sha)),
            ]
        )
        return _respond(repository, f"Commit {commit.sha}", body)

    async def show_comparison(self, request: Request) -> Response:
        """Show what `base...head` adds since both were one; `base..head` compares the two as they are."""
        repository, refs = self._require_repository(request), request.path_params["refs"]
        found = re.fullmatch(r"(.+?)(\.{2,3})(.+)", refs)  # no ref has two dots in a row
        if found is None:
            raise HTTPException(404)
        old, new = _require_commit(repository, found[1]), _require_commit(repository, found[3])
        start = (find_merge_base(repository.git, old, new) or EMPTY_TREE) if found[2] == "..." else old
        commits = read_commits(repository.git, f"{old}..{new}", "--")
        body = [list_items(link_commit(repository, commit) for commit in commits), tag("h2", "Files")]
        files = list_changed_files(repository.git, start, new)
        return _respond(repository, f"Comparing {refs}", join([tag("h2", "Commits"), *body, _show_files(files)]))

    async def show_content(self, request: Request) -> Response:
        """Show a folder's list, or a file's text; a branch's start page names its commit."""
        repository = self._require_repository(request)
        ref, sha, entry = _find_content(repository, request.path_params["ref"])
        title = f"{ref}: {entry.path or '/'}"
        if entry.kind == "blob":
            shown = tag("pre", read_blob(repository.git, entry.sha).decode(errors="replace"))
        elif entry.kind == "commit":
            shown = tag("p", f"a submodule at {entry.sha}")
        else:
            folder = f"{entry.path}/" if entry.path else ""
            entries = list_tree(repository.git, entry.sha)
            shown = list_items(link_to(repository, i.path, "tree", f"{ref}/{folder}{i.path}") for i in entries)
        at = tag("p", "at ", link_to(repository, tag("code", sha[:12]), "commit", sha))
        return _respond(repository, title, join([at, shown]))

    async def show_raw(self, request: Request) -> Response:
        """Give a file's bytes."""
        repository = self._require_repository(request)
        _, _, entry = _find_content(repository, request.path_params["ref"])
        if entry.kind != "blob":
            raise HTTPException(404)
        return Response(read_blob(repository.git, entry.sha), media_type="text/plain; charset=utf-8")

    def _require_repository(self, request: Request) -> Repository:
        repository = self.repositories.get("{owner}/{name}".format_map(request.path_params))
        if repository is None:
            raise HTTPException(404)
        return repository


def _require_commit(repository: Repository, ref: str) -> str:
    sha = resolve_commit(repository.git, ref)
    if sha is None:
        raise HTTPException(404)
    return sha


def _find_content(repository: Repository, address: str) -> tuple[str, str, TreeEntry]:
    """Split `ref/path` where the longest ref ends, since both may contain slashes; give ref, commit and entry."""
    parts = address.strip("/").split("/")
    for count in range(len(parts), 0, -1):
        ref, path = "/".join(parts[:count]), "/".join(parts[count:])
        if sha := resolve_commit(repository.git, ref):
            tree = read_commit(repository.git, sha).tree
            if entry := find_entry(repository.git, tree, path) if path else TreeEntry("", "040000", tree):
                return ref, sha, entry
    raise HTTPException(404)


async def _go_to_start(_: Request) -> Response:
    return RedirectResponse("/")


def _respond(repository: Repository, title: str, body: Html) -> Response:
    return respond(title, body, link_to(repository, repository.full_name), style=STYLE)


def _introduce(repository: Repository, pull: PullRequest) -> Html:
    """Return who wants to merge what into what."""
    state = name_state(pull)
    source = link_branch(repository, pull.source.branch, pull.head_sha, pull.source.label)
    base = link_branch(repository, pull.base, repository.heads.get(pull.base, pull.base_sha))
    labels = (tag("span", label.name, class_="label") for label in pull.labels)
    person = link(repository.urls.build_user_html(pull.user), pull.user)
    shown = [tag("span", state, class_=f"state {state}"), person, "wants to merge", source, "into", base, *labels]
    return tag("p", join(shown, " "))


def _link_pull(repository: Repository, pull: PullRequest) -> Html:
    return join([link_to(repository, f"#{pull.number} {pull.title}", "pull", pull.number), name_state(pull)], " ")


def _show_files(files: Sequence[ChangedFile]) -> Html:
    return join(join([tag("h2", f"{file.path} ({file.status})"), tag("pre", file.patch)]) for file in files)
