"""Small readable HTML pages behind the links of GitHub's answers. Read only, open to any browser on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from sandbox.github.conversation import STYLE, show_checks, show_comments, show_deployments
from sandbox.github.diffs import find_merge_base, list_changed_files
from sandbox.github.git import EMPTY_TREE
from sandbox.github.objects import TreeEntry, find_entry, list_tree, read_blob, read_commit, read_commits
from sandbox.github.refs import resolve_commit
from sandbox.github.shapes.accounts import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from sandbox.github.diffs import ChangedFile
    from sandbox.github.objects import Commit
    from sandbox.github.pulls import PullRequest
    from sandbox.github.repositories import Repositories
    from sandbox.github.repository import Repository

_STYLE = (
    """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1f2328}
a{color:#0969da;text-decoration:none}pre{background:#f6f8fa;padding:.8rem;overflow:auto;font-size:13px}
li{margin:.2rem 0}.muted{color:#59636e}h1{font-size:1.5rem}h2{font-size:1.1rem}
"""
    + STYLE
)


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages of every repository."""

    repositories: Repositories

    def routes(self) -> list[BaseRoute]:
        """Give the routes of `/{owner}/{name}/...`."""
        start = "/{owner}/{name}"
        return [
            Route(f"{start}/pull/{{number:int}}", self.show_pull),
            Route(f"{start}/commit/{{ref:path}}", self.show_commit),
            Route(f"{start}/tree/{{ref:path}}", self.show_content),
            Route(f"{start}/blob/{{ref:path}}", self.show_content),
            Route(f"{start}/raw/{{ref:path}}", self.show_raw),
            Route(start, self.show_home),
        ]

    async def show_home(self, request: Request) -> Response:
        """Show the branches and the pull requests."""
        repository = self._require_repository(request)
        branches = [_link(repository, name, "tree", name) for name in repository.heads]
        pulls = [
            f"{_link(repository, f'#{pull.number} {pull.title}', 'pull', pull.number)} {_name_state(pull)}"
            for pull in reversed(repository.pulls.values())
        ]
        body = f"<h2>Branches</h2>{_list(branches)}<h2>Pull requests</h2>{_list(pulls)}"
        return _render(repository, repository.full_name, body)

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
        state = _name_state(pull)
        labels = " ".join(f'<span class="label">{escape(label.name)}</span>' for label in pull.labels)
        body = (
            f'<p><span class="state {state}">{state}</span> {escape(pull.user)} wants to merge '
            f"{_link(repository, pull.source.label, 'tree', pull.source.branch)} into "
            f"{_link(repository, pull.base, 'tree', pull.base)} {labels}</p>"
            f"{show_comments(repository, pull)}{show_deployments(repository, shas)}"
            f"{show_checks(repository, pull.head_sha)}"
            f"<h2>Commits</h2>{_list(_link_commit(repository, c) for c in commits)}"
            f"<h2>Files</h2>{_show_files(files)}"
        )
        return _render(repository, f"#{pull.number} {pull.title}", body)

    async def show_commit(self, request: Request) -> Response:
        """Show one commit with what it changes and what is said of it."""
        repository = self._require_repository(request)
        commit = read_commit(repository.git, _require_commit(repository, request.path_params["ref"]))
        old = commit.parents[0] if commit.parents else EMPTY_TREE
        statuses = [
            f"{escape(status.context)}: {escape(status.state)} {escape(status.description or '')}"
            for status in repository.statuses
            if status.sha == commit.sha
        ]
        body = (
            f"<pre>{escape(commit.message)}</pre><p>{escape(commit.author.name)}, "
            f"{format_time(commit.author.at)}</p><p>{_link(repository, 'Files at this commit', 'tree', commit.sha)}</p>"
            f"{_list(statuses)}{_show_files(list_changed_files(repository.git, old, commit.sha))}"
        )
        return _render(repository, f"Commit {commit.sha}", body)

    async def show_content(self, request: Request) -> Response:
        """Show a folder's list, or a file's text; a branch's start page names its commit."""
        repository = self._require_repository(request)
        ref, sha, entry = _find_content(repository, request.path_params["ref"])
        head = f"<p>at {_link(repository, sha[:12], 'commit', sha)}</p>"
        title = f"{ref}: {entry.path or '/'}"
        if entry.kind == "blob":
            text = read_blob(repository.git, entry.sha).decode(errors="replace")
            return _render(repository, title, f"{head}<pre>{escape(text)}</pre>")
        if entry.kind == "commit":
            return _render(repository, title, f"{head}<p>a submodule at {entry.sha}</p>")
        folder = f"{entry.path}/" if entry.path else ""
        links = [
            _link(repository, i.path, "tree", f"{ref}/{folder}{i.path}") for i in list_tree(repository.git, entry.sha)
        ]
        return _render(repository, title, head + _list(links))

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


def _render(repository: Repository, title: str, body: str) -> HTMLResponse:
    home = f'<p class="muted"><a href="{escape(repository.urls.build_html())}">{escape(repository.full_name)}</a></p>'
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return HTMLResponse(f"<!doctype html>{head}{home}<h1>{escape(title)}</h1>{body}")


def _link(repository: Repository, text: str, *segments: object) -> str:
    return f'<a href="{escape(repository.urls.build_html(*segments))}">{escape(text)}</a>'


def _link_commit(repository: Repository, commit: Commit) -> str:
    subject = commit.message.partition("\n")[0]
    return f"{_link(repository, commit.sha[:12], 'commit', commit.sha)} {escape(subject)}"


def _list(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def _name_state(pull: PullRequest) -> str:
    return "merged" if pull.merged_at else pull.state


def _show_files(files: Sequence[ChangedFile]) -> str:
    return "".join(f"<h2>{escape(file.path)} ({file.status})</h2><pre>{escape(file.patch)}</pre>" for file in files)
