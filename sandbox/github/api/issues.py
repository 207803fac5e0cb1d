"""Labels and comments of pull requests, which GitHub serves as issues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.github.api.pulls import require_pull
from sandbox.github.pulls import read_clock
from sandbox.github.records import Comment
from sandbox.github.rest import Answer, ApiError, Call, Handler, build_invalid, build_not_found, paginate
from sandbox.github.shapes.pulls import build_comment, build_label

if TYPE_CHECKING:
    from sandbox.github.pulls import PullRequest


def list_labels(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/issues/{number}/labels."""
    urls = call.repository.urls
    return paginate(call, require_pull(call).labels, lambda label: build_label(urls, label))


def add_labels(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/issues/{number}/labels: `{"labels": [...]}` or the bare list."""
    pull = require_pull(call)
    names = call.body if isinstance(call.body, list) else call.fields.get("labels")
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise build_invalid("Label", "name")
    for name in names:
        label = call.repository.find_label(name)
        if label not in pull.labels:
            pull.labels.append(label)
    return _answer_labels(call, pull)


def remove_label(call: Call) -> Answer:
    """DELETE /repos/{owner}/{repo}/issues/{number}/labels/{name}."""
    pull = require_pull(call)
    kept = [label for label in pull.labels if label.name != call.path["name"]]
    if len(kept) == len(pull.labels):
        raise ApiError(404, "Label does not exist")
    pull.labels = kept
    return _answer_labels(call, pull)


def _answer_labels(call: Call, pull: PullRequest) -> Answer:
    pull.touch()
    return Answer([build_label(call.repository.urls, label) for label in pull.labels])


def list_comments(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/issues/{number}/comments, oldest first."""
    repository, pull = call.repository, require_pull(call)
    comments = [comment for comment in repository.comments.values() if comment.number == pull.number]
    return paginate(call, comments, lambda comment: build_comment(repository.urls, comment))


def create_comment(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/issues/{number}/comments."""
    repository, pull, body = call.repository, require_pull(call), call.read_text("IssueComment", "body")
    comment = Comment(repository.allot_id(), pull.number, body, call.user)
    repository.comments[comment.id] = comment
    pull.touch()
    return Answer(build_comment(repository.urls, comment), 201)


def _require_comment(call: Call) -> Comment:
    comment = call.repository.comments.get(call.read_number("id"))
    if comment is None:
        raise build_not_found()
    return comment


def show_comment(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/issues/comments/{id}."""
    return Answer(build_comment(call.repository.urls, _require_comment(call)))


def update_comment(call: Call) -> Answer:
    """PATCH /repos/{owner}/{repo}/issues/comments/{id}."""
    comment = _require_comment(call)
    comment.body, comment.updated_at = call.read_text("IssueComment", "body"), read_clock()
    return Answer(build_comment(call.repository.urls, comment))


def delete_comment(call: Call) -> Answer:
    """DELETE /repos/{owner}/{repo}/issues/comments/{id}."""
    del call.repository.comments[_require_comment(call).id]
    return Answer(status=204)


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/issues/comments/{id}", show_comment),
    ("PATCH", "/issues/comments/{id}", update_comment),
    ("DELETE", "/issues/comments/{id}", delete_comment),
    ("GET", "/issues/{number}/comments", list_comments),
    ("POST", "/issues/{number}/comments", create_comment),
    ("GET", "/issues/{number}/labels", list_labels),
    ("POST", "/issues/{number}/labels", add_labels),
    ("DELETE", "/issues/{number}/labels/{name:path}", remove_label),
]
