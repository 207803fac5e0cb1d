"""The repository itself, its branches and its refs: GET repos/o/r, branches, git/refs."""

from __future__ import annotations

from sandbox.github.diffs import is_ancestor
from sandbox.github.git import ZERO
from sandbox.github.objects import read_commit
from sandbox.github.refs import HEADS, Ref, find_kind, find_ref, is_ref_name, list_refs, move_ref
from sandbox.github.rest import Answer, ApiError, Call, Handler, build_not_found, paginate
from sandbox.github.shapes.commits import build_ref
from sandbox.github.shapes.repositories import build_branch, build_full_repository, build_short_branch

REFS_OF_GITHUB = ("refs/pull/",)  # GitHub writes these, nobody else


def show_repository(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}."""
    return Answer(build_full_repository(call.repository))


def list_branches(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/branches."""
    repository = call.repository
    refs = list_refs(repository.git, HEADS)
    return paginate(call, refs, lambda ref: build_short_branch(repository, ref.name.removeprefix(HEADS), ref.sha))


def show_branch(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/branches/{branch}."""
    repository = call.repository
    ref = find_ref(repository.git, HEADS + call.path["branch"])
    if ref is None:
        raise ApiError(404, "Branch not found")
    return Answer(build_branch(repository, call.path["branch"], read_commit(repository.git, ref.sha)))


def list_matching_refs(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/git/matching-refs/{ref}: a string prefix; all at once, as GitHub pages nothing here."""
    repository = call.repository
    return Answer([build_ref(repository.urls, ref) for ref in list_refs(repository.git, f"refs/{call.path['ref']}")])


def show_ref(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/git/ref/{ref}: exactly that one."""
    repository = call.repository
    ref = find_ref(repository.git, f"refs/{call.path['ref']}")
    if ref is None:
        raise build_not_found()
    return Answer(build_ref(repository.urls, ref))


def create_ref(call: Call) -> Answer:
    """POST /repos/{owner}/{repo}/git/refs."""
    git, name, sha = call.repository.git, call.read_text("Reference", "ref"), call.read_text("Reference", "sha")
    if not is_ref_name(git, name) or name.startswith(REFS_OF_GITHUB):
        raise ApiError(422, f"{name} is not a valid ref name.")
    _require_target(call, name, sha)
    if find_ref(git, name):
        raise ApiError(422, "Reference already exists")
    return _move(call, name, sha, ZERO, status=201)


def update_ref(call: Call) -> Answer:
    """PATCH /repos/{owner}/{repo}/git/refs/{ref}: a fast-forward, unless `force`."""
    current, sha = _require_ref(call), call.read_text("Reference", "sha")
    _require_target(call, current.name, sha)
    ruleset = call.repository.rulesets.get(current.name.removeprefix(HEADS))
    if ruleset is not None and (ban := ruleset.find_push_ban()):
        raise ApiError(422, ban)
    if call.fields.get("force") is not True and not is_ancestor(call.repository.git, current.sha, sha):
        raise ApiError(422, "Update is not a fast forward")
    return _move(call, current.name, sha, current.sha, status=200)


def delete_ref(call: Call) -> Answer:
    """DELETE /repos/{owner}/{repo}/git/refs/{ref}."""
    current = _require_ref(call)
    if current.name == HEADS + call.repository.default_branch:
        raise ApiError(422, "Cannot delete the default branch")
    return _move(call, current.name, ZERO, current.sha, status=204)


def _require_ref(call: Call) -> Ref:
    ref = find_ref(call.repository.git, f"refs/{call.path['ref']}")
    if ref is None or ref.name.startswith(REFS_OF_GITHUB):
        raise ApiError(422, "Reference does not exist")
    return ref


def _require_target(call: Call, name: str, sha: str) -> None:
    kind = find_kind(call.repository.git, sha)
    if kind is None:
        raise ApiError(422, "Object does not exist")
    if name.startswith(HEADS) and kind != "commit":
        raise ApiError(422, "Object is not a commit")


def _move(call: Call, name: str, new: str, old: str, *, status: int) -> Answer:
    repository = call.repository
    if not move_ref(repository.git, name, new, old):
        raise ApiError(422, "Reference cannot be updated")
    repository.publish_movements()
    if new == ZERO:
        return Answer(status=status)
    return Answer(build_ref(repository.urls, Ref(name, new, find_kind(repository.git, new) or "")), status)


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "", show_repository),
    ("GET", "/branches", list_branches),
    ("GET", "/branches/{branch:path}", show_branch),
    ("GET", "/git/matching-refs/{ref:path}", list_matching_refs),
    ("GET", "/git/ref/{ref:path}", show_ref),
    ("POST", "/git/refs", create_ref),
    ("PATCH", "/git/refs/{ref:path}", update_ref),
    ("DELETE", "/git/refs/{ref:path}", delete_ref),
]
