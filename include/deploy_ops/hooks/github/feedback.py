"""Our comments, commit statuses and GitHub Deployments on one repository: find what is ours, write it once.

Decides nothing. A write is sent once; whoever does not know how an earlier one ended looks for what is ours first.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from include.deploy_ops.core.errors import ObservationError, ReadRefusedError, WriteRefusedError, WriteUnknownError
from include.deploy_ops.hooks.github.answers import PAGE_SIZE
from include.deploy_ops.hooks.github.feedback_answers import (
    MARK_KEY,
    FoundComment,
    FoundDeployment,
    parse_comments,
    parse_deployments,
    parse_id,
    parse_newest_state,
)
from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
from include.deploy_ops.hooks.github.write import GithubWriter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.deploy_ops.core.feedback.values import GithubDeploymentState
    from include.deploy_ops.hooks.github.http import GithubAnswer

TASK = "deploy"

_NOT_OURS = {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.GONE}
"""GitHub's answers to an edit of a comment that was deleted, or written by an account that we are no more."""


class GithubFeedbackHook(DeployOpsGithubHook):
    """The repository hook, and what it takes to tell people on GitHub about environments."""

    def find_comment(self, pull: int, marker: str) -> FoundComment | None:
        """Return our oldest comment that begins with the marker; others', whatever they say, are not ours.

        :raises ReadRefusedError: the token may not read comments.
        :raises ObservationError: the listing is malformed, or there is no such pull request.
        """
        path = self._path(f"/issues/{pull}/comments?per_page={PAGE_SIZE}")
        for answer in self._list(path):
            for comment in parse_comments(answer):
                if comment.body.startswith(marker) and self._is_ours(comment):
                    return comment
        return None

    def _is_ours(self, comment: FoundComment) -> bool:
        """Whether this connection wrote the comment: the app if it is one, else the token's owner."""
        app = getattr(self.get_conn().requester.auth, "app_id", None)
        if app is not None:
            return str(comment.app) == str(app)
        owner = self._find_owner()
        return owner is None or comment.user == owner

    def _find_owner(self) -> int | None:
        """Return the id of the token's owner; None where GitHub tells this token nothing of it, as Actions' own."""
        if not hasattr(self, "_owner"):
            try:
                self._owner: int | None = parse_id(self._require(self._open_reader().read("/user")))
            except ReadRefusedError:
                self._owner = None
        return self._owner

    def create_comment(self, pull: int, body: str) -> int:
        """Comment on the pull request; return the comment's id.

        :raises RetryableError: refused, or nobody knows whether it was made: see `GithubWriter.send`.
        """
        return self._create(f"/issues/{pull}/comments", {"body": body})

    def edit_comment(self, comment_id: int, body: str) -> bool:
        """Let our comment say `body`; return False where it is gone, or no longer ours. Raises as `create_comment`."""
        try:
            self._send("PATCH", f"/issues/comments/{comment_id}", {"body": body})
        except WriteRefusedError as error:
            if error.status in _NOT_OURS:
                return False
            raise
        return True

    def set_status(self, sha: str, context: str, state: str, description: str, target_url: str) -> None:
        """Give the commit a status; the newest of a context counts. Raises as `create_comment`."""
        body = {"state": state, "context": context, "description": description}
        self._send("POST", f"/statuses/{sha}", body | ({"target_url": target_url} if target_url else {}))

    def find_deployment(self, environment: str, sha: str, mark: str) -> tuple[int, GithubDeploymentState | None] | None:
        """Return our newest GitHub Deployment of the commit to the environment, and its newest status.

        :raises ReadRefusedError: the token may not read deployments.
        :raises ObservationError: the listing is malformed.
        """
        query = urlencode({"sha": sha, "environment": environment, "task": TASK, "per_page": PAGE_SIZE})
        for answer in self._list(self._path(f"/deployments?{query}")):
            for found in parse_deployments(answer):
                if _is_it(found, environment, sha, mark):
                    return found.id, self._read_newest_state(found.id)
        return None

    def _read_newest_state(self, deployment_id: int) -> GithubDeploymentState | None:
        return parse_newest_state(self.ask(f"/deployments/{deployment_id}/statuses?per_page=1", is_required=True))

    def create_deployment(
        self, environment: str, sha: str, mark: str, *, is_transient: bool, is_production: bool
    ) -> int:
        """Create a GitHub Deployment, whatever the commit's checks say; return its id. Raises as `create_comment`."""
        body = {
            "ref": sha,
            "task": TASK,
            "auto_merge": False,
            "required_contexts": [],
            "payload": {MARK_KEY: mark},
            "environment": environment,
            "transient_environment": is_transient,
            "production_environment": is_production,
        }
        return self._create("/deployments", body)

    def add_deployment_state(self, deployment_id: int, environment: str, state: GithubDeploymentState) -> None:
        """Give a GitHub Deployment its newest status; earlier ones are retired by us. Raises as `create_comment`."""
        said = {"description": state.description, "environment_url": state.environment_url, "log_url": state.log_url}
        body: dict[str, Any] = {"state": state.state, "environment": environment, "auto_inactive": False}
        body |= {key: value for key, value in said.items() if value}
        self._send("POST", f"/deployments/{deployment_id}/statuses", body)

    def has_strangers(self, environment: str, mark: str) -> bool:
        """Whether somebody else has a GitHub Deployment there than who writes this mark.

        :raises ReadRefusedError: the token may not read deployments.
        :raises ObservationError: the listing is malformed.
        """
        query = urlencode({"environment": environment, "per_page": PAGE_SIZE})
        found = (
            each for answer in self._list(self._path(f"/deployments?{query}")) for each in parse_deployments(answer)
        )
        return any(each.environment == environment and each.mark != mark for each in found)

    def delete_environment(self, environment: str) -> None:
        """Delete the environment, with the secrets and rules that somebody gave it. Raises as `create_comment`."""
        self._send("DELETE", f"/environments/{quote(environment, safe='')}", None)

    def _create(self, path: str, body: Mapping[str, Any]) -> int:
        answer = self._send("POST", path, body)
        try:
            return parse_id(answer)
        except ObservationError as error:
            raise WriteUnknownError(str(error)) from error

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> GithubAnswer:
        return GithubWriter(self.get_conn().requester, self.token).send(method, self._path(path), body)


def _is_it(found: FoundDeployment, environment: str, sha: str, mark: str) -> bool:
    """Whether it is what was asked for: GitHub lists more where it does not understand a part of the question."""
    return (found.environment, found.sha, found.mark) == (environment, sha, mark)
