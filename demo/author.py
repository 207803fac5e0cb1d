"""What a DAG author does: push branches with real Git, open and merge pull requests through GitHub's API."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

if TYPE_CHECKING:
    from pathlib import Path

REPOSITORY = "acme/data-platform"


@dataclass(frozen=True, slots=True)
class Author:
    """A clone of the sandbox's repository, and its GitHub API.

    :param folder: the clone.
    :param sandbox_url: base URL of the sandbox.
    :param token: the GitHub token of the demo; it opens the sandbox only.
    :param repository: what it is called, as `owner/name`.
    """

    folder: Path
    sandbox_url: str
    token: str = field(repr=False)
    repository: str = REPOSITORY

    @property
    def clone_url(self) -> str:
        """Where it is cloned from, with the token."""
        return self.sandbox_url.replace("http://", f"http://author:{self.token}@") + f"/github/{self.repository}.git"

    def clone(self) -> None:
        """Clone the repository, without its working files."""
        subprocess.run(["git", "clone", "--quiet", self.clone_url, self.folder], check=True, env=self._environment())

    def _environment(self) -> dict[str, str]:
        names = {"GIT_AUTHOR_NAME": "Ada Author", "GIT_AUTHOR_EMAIL": "ada@example.com", "GIT_TERMINAL_PROMPT": "0"}
        names |= {"GIT_COMMITTER_NAME": "Ada Author", "GIT_COMMITTER_EMAIL": "ada@example.com"}
        return {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", **names}

    def git(self, *arguments: str) -> str:
        """Run git in the clone and return its output."""
        done = subprocess.run(
            ["git", *arguments], cwd=self.folder, env=self._environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"git {' '.join(arguments)} failed: {done.stderr}")
        return done.stdout.strip()

    def start_branch(self, branch: str, base: str = "origin/main") -> None:
        """Check out a new branch."""
        self.git("fetch", "--quiet", "--prune")
        self.git("checkout", "--quiet", "-B", branch, base)

    def commit(self, files: dict[str, str], message: str) -> str:
        """Write files (text appended to what is there), commit them, and return the commit."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def push(self, branch: str, *, force: bool = False) -> None:
        """Push the branch."""
        self.git("push", "--quiet", *(["--force"] if force else []), "origin", f"HEAD:refs/heads/{branch}")

    def delete(self, branch: str) -> None:
        """Delete the branch on the server."""
        self.git("push", "--quiet", "origin", "--delete", branch)

    def tag(self, name: str, commit: str = "HEAD") -> None:
        """Put a tag on a commit, and push it."""
        self.git("tag", name, commit)
        self.git("push", "--quiet", "origin", f"refs/tags/{name}")

    def fetch(self, commit: str) -> None:
        """Get a commit that no branch need hold, such as a pull request's test merge."""
        self.git("fetch", "--quiet", "origin", commit)

    def hash_files(self, commit: str) -> dict[str, str]:
        """Return the SHA-256 of every file of the commit, by path."""
        names = self.git("ls-tree", "-r", "-z", "--name-only", commit).split("\0")
        return {name: self._hash(commit, name) for name in names if name}

    def _hash(self, commit: str, name: str) -> str:
        shown = subprocess.run(
            ["git", "cat-file", "blob", f"{commit}:{name}"],
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            check=True,
        )
        return hashlib.sha256(shown.stdout).hexdigest()

    def open_pull_request(self, branch: str, base: str, title: str) -> int:
        """Open a pull request of a branch that is pushed, and return its number."""
        answer = self._api("POST", "pulls", {"head": branch, "base": base, "title": title, "body": ""})
        return int(answer.json()["number"])

    def find_pull_request(self, branch: str, base: str) -> int | None:
        """Return the number of the open pull request of the branch into the base; GitHub has one at most."""
        owner, _, _ = self.repository.partition("/")
        query = f"state=open&base={quote(base, safe='')}&head={quote(f'{owner}:{branch}', safe='')}"
        return next((int(pull["number"]) for pull in self._api("GET", f"pulls?{query}").json()), None)

    def merge(self, number: int, method: str = "squash") -> str:
        """Merge the pull request, and return the commit that its base has now."""
        return str(self._api("PUT", f"pulls/{number}/merge", {"merge_method": method}).json()["sha"])

    def show_pull_request(self, number: int) -> dict[str, Any]:
        """Return the pull request: `state`, `merged`, `mergeable`, `merge_commit_sha`, `head`, `base`."""
        return dict(self._api("GET", f"pulls/{number}").json())

    def list_comments(self, number: int) -> list[str]:
        """Return what was written below the pull request, oldest first."""
        return [comment["body"] for comment in self._api("GET", f"issues/{number}/comments").json()]

    def list_signs(self, comment_id: int) -> list[str]:
        """Return the reactions to a comment, oldest first, as GitHub calls them."""
        return [each["content"] for each in self._api("GET", f"issues/comments/{comment_id}/reactions").json()]

    def label(self, number: int, name: str) -> None:
        """Put a label on the pull request."""
        self._api("POST", f"issues/{number}/labels", {"labels": [name]})

    def set_status(self, commit: str, context: str, state: str) -> None:
        """Say of the commit, under that context, what a CI would: `pending`, `success`, `failure` or `error`."""
        self._api("POST", f"statuses/{commit}", {"state": state, "context": context})

    def show_status(self, commit: str, context: str) -> dict[str, Any] | None:
        """Return the commit's newest status of that context: `state`, `description`, `target_url`."""
        found = self._api("GET", f"commits/{commit}/status").json()["statuses"]
        return next((dict(status) for status in found if status["context"] == context), None)

    def list_statuses(self, commit: str, context: str) -> list[str]:
        """Return what was said of the commit under that context, newest first."""
        found = self._api("GET", f"commits/{commit}/statuses?per_page=100").json()
        return [str(each["description"]) for each in found if each["context"] == context]

    def list_deployments(self, environment: str) -> list[dict[str, Any]]:
        """Return the environment's GitHub Deployments, newest first, each with its newest status as `newest`."""
        found = self._api("GET", f"deployments?environment={quote(environment, safe='')}").json()
        return [{**each, "newest": self._show_newest(each["id"])} for each in found]

    def _show_newest(self, deployment_id: int) -> dict[str, Any]:
        statuses = self._api("GET", f"deployments/{deployment_id}/statuses").json()
        return dict(statuses[0]) if statuses else {"state": "", "environment_url": ""}

    def _api(self, method: str, path: str, body: dict[str, object] | None = None) -> httpx.Response:
        url = f"{self.sandbox_url}/github/api/v3/repos/{self.repository}/{path}"
        answer = httpx.request(method, url, json=body, headers={"Authorization": f"Bearer {self.token}"}, timeout=30)
        answer.raise_for_status()
        return answer
