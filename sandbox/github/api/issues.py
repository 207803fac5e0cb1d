"""Labels, comments and their reactions of pull requests, which GitHub serves as issues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.github.api.pulls import require_pull
from sandbox.github.pulls import read_clock
from sandbox.github.records import REACTIONS, Comment, Reaction
from sandbox.github.rest import Answer, ApiError, Call, Handler, build_invalid, build_not_found, paginate
from sandbox.github.shapes.accounts import format_time
from sandbox.github.shapes.pulls import build_comment, build_label, build_reaction

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


def list_all_comments(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/issues/comments: those of all pull requests; `sort`, `direction`."""
    repository, query = call.repository, call.query
    comments = sorted(repository.comments.values(), key=lambda comment: comment.id)
    if query.get("sort") in {"created", "updated"}:
        # GitHub's times have no parts of a second: what is equal there stays in the order of ids.
        name, is_reversed = f"{query['sort']}_at", query.get("direction", "desc") == "desc"
        comments.sort(key=lambda comment: (format_time(getattr(comment, name)), comment.id), reverse=is_reversed)
    return paginate(call, comments, lambda comment: build_comment(repository.urls, comment))


def create_comment(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/issues/{number}/comments."""
    repository, pull, body = call.repository, require_pull(call), call.read_text("IssueComment", "body")
    comment = repository.add_comment(pull, Comment(repository.allot_id(), pull.number, body, call.user))
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


def list_reactions(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/issues/comments/{id}/reactions."""
    urls = call.repository.urls
    return paginate(call, _require_comment(call).reactions, lambda reaction: build_reaction(urls, reaction))


def react(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/issues/comments/{id}/reactions; 200 where the account has given this sign already."""
    repository, comment = call.repository, _require_comment(call)
    content = call.read_text("Reaction", "content")
    if content not in REACTIONS:
        raise build_invalid("Reaction", "content")
    for known in comment.reactions:
        if (known.user, known.content) == (call.user, content):
            return Answer(build_reaction(repository.urls, known))
    reaction = Reaction(repository.allot_id(), call.user, content)
    comment.reactions.append(reaction)
    return Answer(build_reaction(repository.urls, reaction), 201)


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/issues/comments", list_all_comments),
    ("GET", "/issues/comments/{id}/reactions", list_reactions),
    ("POST", "/issues/comments/{id}/reactions", react),
    ("GET", "/issues/comments/{id}", show_comment),
    ("PATCH", "/issues/comments/{id}", update_comment),
    ("DELETE", "/issues/comments/{id}", delete_comment),
    ("GET", "/issues/{number}/comments", list_comments),
    ("POST", "/issues/{number}/comments", create_comment),
    ("GET", "/issues/{number}/labels", list_labels),
    ("POST", "/issues/{number}/labels", add_labels),
    ("DELETE", "/issues/{number}/labels/{name:path}", remove_label),
]
