"""What GitHub has not been told yet: rows against what was told → the writes that are missing. Pure.

Level-triggered: the same rows and the same memory give the same writes, and none once all is told.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from include.deploy_ops.core.feedback.environments import list_deployment_writes, list_environment_ends
from include.deploy_ops.core.feedback.statuses import list_status_writes
from include.deploy_ops.core.feedback.text import name_environment, render_comment, render_ending, tell_ending
from include.deploy_ops.core.feedback.values import (
    DIGEST_LENGTH,
    REFUSED,
    DeleteGithubEnvironment,
    Facts,
    FeedbackRecord,
    Kind,
    Write,
    WriteComment,
    key_comment,
    key_lack,
)
from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.core.view.row import Row, RowKind, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


LACK_REMEMBERED = timedelta(days=1)
"""How long a missing permission is left alone before it is tried, and told, again."""

OPEN, FOLLOWED, CLOSED, REMOVED = "open", "followed", "closed", "removed"
"""Of a comment's pull request: it is open; it was merged, and is on its way; it is over; so is its preview."""


@dataclass(frozen=True, slots=True)
class FeedbackPlan:
    """What is missing, most recent news first, and the keys of what need not be remembered any more."""

    writes: tuple[Write, ...]
    forgotten: tuple[str, ...]


def digest_view(digests: Mapping[str, str], policy: str) -> str:
    """Return 12 hexadecimal digits that name what is to be told: all rows, and the policy's word on them.

    A run that leaves nothing untold remembers it, so whoever wonders whether all is told compares two texts.

    :param digests: of the shards of rows, as a pass' summary has them.
    """
    return hash_text(json.dumps([sorted(digests.items()), policy]), DIGEST_LENGTH)


def compare_feedback(
    rows: Mapping[str, Row], records: Mapping[str, FeedbackRecord], facts: Facts, now: datetime
) -> FeedbackPlan:
    """Return what GitHub has not been told.

    :param rows: by slug, as control wrote them.
    """
    kinds = {kind for kind in Kind if facts.wants(kind) and not is_lacking(records, kind, facts, now)}
    if Kind.DEPLOYMENT not in kinds:  # without it nothing in an environment comes to its end
        kinds.discard(Kind.ENVIRONMENT)
    writes: list[tuple[datetime | None, Write]] = []
    forgotten: list[str] = []
    for kind, compare in _COMPARERS.items():
        found, lost = compare(rows, records, facts)
        writes += found if kind in kinds else []
        forgotten += lost
    # A key that a write is about is not forgotten, whatever another row said of it.
    named = {key for _, write in writes for key in _list_keys(write)}
    ordered = sorted(writes, key=_rank)
    return FeedbackPlan(tuple(write for _, write in ordered), tuple(key for key in forgotten if key not in named))


def _list_keys(write: Write) -> tuple[str, ...]:
    return write.told if isinstance(write, DeleteGithubEnvironment) else (write.key,)


def _rank(each: tuple[datetime | None, Write]) -> tuple[float, int]:
    """Newest news first: whoever just pushed is looking. What is no news to anybody comes last."""
    at, write = each
    return -at.timestamp() if at else 0.0, list(Kind).index(write.kind)


def is_lacking(records: Mapping[str, FeedbackRecord], kind: Kind, facts: Facts, now: datetime) -> bool:
    """Whether GitHub refused this kind lately for want of a permission, and neither policy nor token changed since."""
    lack = records.get(key_lack(kind))
    if lack is None or lack.at is None or now - lack.at >= LACK_REMEMBERED or lack.policy != facts.policy:
        return False
    return not facts.access or lack.digest == facts.access


def _compare_comments(
    rows: Mapping[str, Row], records: Mapping[str, FeedbackRecord], facts: Facts
) -> tuple[list[tuple[datetime | None, Write]], list[str]]:
    writes: list[tuple[datetime | None, Write]] = []
    concerned = group_by_pull(rows.values())
    for pull, concerns in concerned.items():
        body = render_comment(facts, pull, concerns)
        if (write := _say(pull, body, concerns, OPEN, records, facts)) is not None:
            writes.append((max(row.state_at for row in concerns), write))
    forgotten = []
    following = _group_by_merged(rows.values())
    for key, known in records.items():
        kind, _, number = key.partition("/")
        if kind != "comment" or int(number) in concerned:
            continue
        write, is_over = _end_comment(int(number), known, rows, facts, following.get(int(number), ()))
        writes += [(None, write)] if write else []
        forgotten += [key] if is_over else []
    return writes, forgotten


def group_by_pull(rows: Iterable[Row]) -> dict[int, list[Row]]:
    """Return the environments that each open pull request concerns, or whose change they have by promotion."""
    found: dict[int, list[Row]] = {}
    for row in rows:
        for pull in sorted({row.pull, *row.pulls, *(number for number, _ in row.carried)} - {0}):
            found.setdefault(pull, []).append(row)
    return found


def _group_by_merged(rows: Iterable[Row]) -> dict[int, list[Row]]:
    """Return the environments to which the change of each merged pull request is on its way, or that have it."""
    found: dict[int, list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.kind is RowKind.DEPLOY_BRANCH):
        for each in row.followed:
            found.setdefault(each.pull, []).append(row)
    return found


def _say(
    pull: int, body: str, concerns: Sequence[Row], state: str, records: Mapping[str, FeedbackRecord], facts: Facts
) -> WriteComment | None:
    key, digest = key_comment(pull), hash_text(body, DIGEST_LENGTH)
    known = records.get(key, FeedbackRecord())
    if known.digest == digest:
        return None
    about = tuple(row.slug for row in concerns)
    names = tuple(name_environment(row) for row in concerns)
    deployments = tuple(row.deployment_id for row in concerns)
    gone = tuple(row.slug for row in concerns if row.state is State.REMOVED)
    after = FeedbackRecord(known.id, digest, state, about, names, gone=gone, deployments=deployments)
    return WriteComment(key, pull, known.id, facts.mark_comment(pull), body, after)


def _end_comment(
    pull: int, known: FeedbackRecord, rows: Mapping[str, Row], facts: Facts, following: Sequence[Row]
) -> tuple[WriteComment | None, bool]:
    """Return what our comment on a pull request that is open no more shall say at last, and whether it is over.

    :param following: the environments to which its change is on its way, or that have it.
    """
    # What was followed until its time was over was told so: its last word stands.
    if known.state == REFUSED or (known.state == FOLLOWED and not following):
        return None, True
    named = dict(zip(known.about, known.names, strict=False))
    named |= {row.slug: name_environment(row) for row in following if row.slug not in named}
    about = [(rows.get(slug), name) for slug, name in named.items()]
    # What is followed is told step by step: some run or other may be at work at any time.
    if known.state != FOLLOWED and any(row is not None and _may_tell_more(row, pull) for row, _ in about):
        return None, False
    previews = {slug: rows.get(slug) for slug, name in named.items() if _is_preview(name)}
    had = dict(zip(known.about, known.deployments, strict=False))
    gone = tuple(slug for slug, row in previews.items() if slug in known.gone or not _is_there(row, had.get(slug, "")))
    endings = [
        (name, _tell_ending(rows.get(slug), pull, facts, is_removed=slug in gone)) for slug, name in named.items()
    ]
    body = render_ending(facts, pull, endings)
    if known.state == REMOVED:  # what is made anew of the branch is another pull request's
        return None, all(row is None for row in previews.values())
    is_coming = any(each.pull == pull and not each.commit for row in following for each in row.followed)
    state = FOLLOWED if is_coming else REMOVED if len(gone) == len(previews) else CLOSED
    digest = hash_text(body, DIGEST_LENGTH)
    if known.state == state and known.digest == digest:
        # A preview may be removed yet, which the comment tells; of a release there is nothing to add.
        return None, state != FOLLOWED and all(row is None for row in previews.values())
    after = replace(
        known,
        digest=digest,
        state=state,
        about=tuple(named),
        names=tuple(named.values()),
        gone=gone,
        deployments=tuple(had.get(slug, "") for slug in named),
    )
    return WriteComment(key_comment(pull), pull, known.id, facts.mark_comment(pull), body, after), False


def _may_tell_more(row: Row, pull: int) -> bool:
    """Whether a run is at work whose end is part of what is told: a delete, or a release's deploy or merge.

    What has the change already gets nothing of it by a later deploy.
    """
    has_it = any(each.pull == pull and each.commit for each in row.followed)
    is_release = row.kind is RowKind.TARGET and row.pull in {0, pull} and row.verb in {"deploy", "merge"}
    return row.state is State.DEPLOYING and (row.verb == "delete" or (is_release and not has_it))


def _is_preview(name: str) -> bool:
    return name.startswith(f"{RowKind.PREVIEW.value} ")


def _is_there(row: Row | None, deployment_id: str) -> bool:
    """Whether the preview is there that the pull request had, which is not made anew of its branch.

    :param deployment_id: of the pull request's preview, empty where it is not known.
    """
    return row is not None and row.state is not State.REMOVED and deployment_id in {row.deployment_id, ""}


def _tell_ending(row: Row | None, pull: int, facts: Facts, *, is_removed: bool) -> str:
    merges = row is not None and row.environment in facts.merging
    return tell_ending(row, pull, is_removed=is_removed, merges=merges)


_COMPARERS = {
    Kind.STATUS: list_status_writes,
    Kind.DEPLOYMENT: list_deployment_writes,
    Kind.COMMENT: _compare_comments,
    Kind.ENVIRONMENT: list_environment_ends,
}
