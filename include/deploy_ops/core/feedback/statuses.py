"""Commit statuses: what is said of the newest commit of each environment, and of commits that no longer are. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.deploy_ops.core.feedback.text import find_outcome, name_environment, name_state, write_line
from include.deploy_ops.core.feedback.values import DIGEST_LENGTH, Facts, FeedbackRecord, SetStatus, Write, key_status
from include.deploy_ops.core.model import COMMIT_ID
from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.core.plan.work import PREVIEW_DAG
from include.deploy_ops.core.view.row import Row, RowKind, State

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from include.deploy_ops.core.view.awaited import Awaited

PENDING, SUCCESS, FAILURE, ERROR = "pending", "success", "failure", "error"
_SEVERITY = (FAILURE, ERROR, PENDING, SUCCESS)

_BY_STATE = {
    State.APPROVAL: PENDING,
    State.DEPLOYING: PENDING,
    State.FAILED: FAILURE,  # it lies in the commit, or in what a person has to mend
    State.FAILING: ERROR,  # it lies elsewhere, and comes again
    State.FROZEN: PENDING,
    State.HELD: FAILURE,  # nothing comes by itself: a pending status would promise what nobody does
    State.WAITING: PENDING,
    State.UNHEALTHY: FAILURE,
    State.ASLEEP: SUCCESS,
    State.LIVE: SUCCESS,
}
_DUE = {State.FROZEN, State.HELD, State.WAITING}
"""Something is due that is not done: of a commit that runs already, something else."""

_HARMLESS = {"update", "hibernate", "merge", "adopt", "resume", "keep"}
"""The verbs whose runs leave the deployed commit as it is."""


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """What is said of one commit; `is_weak`: a success that was told before stands against it."""

    state: str
    description: str
    target_url: str
    is_weak: bool = False

    @property
    def digest(self) -> str:
        """What tells that something else is to be said; that a success came by another run is no news."""
        said = [self.state, self.description, "" if self.state == SUCCESS else self.target_url]
        return hash_text(json.dumps(said), DIGEST_LENGTH)


def list_status_writes(
    rows: Mapping[str, Row], records: Mapping[str, FeedbackRecord], facts: Facts
) -> tuple[list[tuple[datetime | None, Write]], list[str]]:
    """Return the statuses that are missing, and the keys of those that are settled."""
    writes: list[tuple[datetime | None, Write]] = []
    said = _group_by_commit(rows, facts)
    for (sha, context), each in said.items():
        known = records.get(key_status(sha, context), FeedbackRecord())
        status = _join(each)
        if known.digest != status.digest and not (status.is_weak and _stands(known, each)):
            about = tuple(word.slug for word in each if word.slug)
            times = [word.at for word in each if word.at]
            writes.append((max(times, default=None), _set(sha, context, status, about)))
    forgotten = []
    for key, known in records.items():
        kind, _, rest = key.partition("/")
        sha, _, context = rest.partition("/")
        if kind != "status" or (sha, context) in said:
            continue
        if known.state != PENDING:
            forgotten.append(key)
        elif (last := _conclude(sha, [rows.get(slug) for slug in known.about])) is not None:
            writes.append((None, _set(sha, context, last, known.about)))
    return writes, forgotten


def _set(sha: str, context: str, status: CommitStatus, about: tuple[str, ...]) -> SetStatus:
    record = FeedbackRecord(digest=status.digest, state=status.state, about=about)
    key = key_status(sha, context)
    return SetStatus(key, sha, context, status.state, status.description, status.target_url, record)


@dataclass(frozen=True, slots=True)
class _Word:
    """What is said of a commit for the sake of one environment, or of none (then `slug` is empty)."""

    status: CommitStatus
    slug: str = ""
    name: str = ""
    at: datetime | None = None


def _group_by_commit(rows: Mapping[str, Row], facts: Facts) -> dict[tuple[str, str], list[_Word]]:
    """Return what rows say, by commit and context: two branches may point to one commit."""
    found: dict[tuple[str, str], list[_Word]] = {}
    for row in rows.values():
        if row.kind is not RowKind.DEPLOY_BRANCH and COMMIT_ID.fullmatch(row.head) and (said := judge(row, facts)):
            name = "preview" if row.kind is RowKind.PREVIEW else row.environment
            word = _Word(said, row.slug, name_environment(row), row.state_at)
            found.setdefault((row.head, facts.name_context(name)), []).append(word)
    for awaited in facts.awaited:
        words = found.setdefault((awaited.head, facts.name_context("preview")), [])
        if awaited.slug not in {word.slug for word in words}:
            status = _judge_awaited(awaited, rows.get(awaited.slug), facts)
            words.append(_Word(status, awaited.slug, f"preview {awaited.slug}"))
    return found


def _judge_awaited(awaited: Awaited, row: Row | None, facts: Facts) -> CommitStatus:
    """Return what is said of a commit that no row speaks of: nothing good, unless no preview of it can exist."""
    if not awaited.slug:
        return CommitStatus(SUCCESS, awaited.why, "")
    link = facts.link_run(f"{facts.project}.{PREVIEW_DAG}")
    if row is None:
        return CommitStatus(FAILURE, write_line(f"no preview: {awaited.why}"), link, is_weak=True)
    if row.state is State.REMOVED:
        return CommitStatus(FAILURE, write_line(f"removed: {row.why or awaited.why}"), link, is_weak=True)
    said = "being deleted" if row.head == awaited.head else "waiting for the next look at its branch"
    return CommitStatus(PENDING, said, link, is_weak=True)


def _stands(known: FeedbackRecord, words: list[_Word]) -> bool:
    """Whether a success that was told speaks of each environment that is less sure of itself now."""
    unsure = {word.slug for word in words if word.status.state != SUCCESS}
    return known.state == SUCCESS and unsure <= set(known.about)


def _join(said: list[_Word]) -> CommitStatus:
    """Return the worst of what is said; where there are several environments, it says whose it is."""
    word = min(said, key=lambda each: (_SEVERITY.index(each.status.state), not each.slug, each.slug))
    worst = word.status
    if sum(bool(each.slug) for each in said) <= 1:
        return worst
    named = write_line(f"{word.name}: {worst.description}")
    return CommitStatus(worst.state, named, worst.target_url, worst.is_weak)


def judge(row: Row, facts: Facts) -> CommitStatus | None:
    """Return what is said of the environment's newest commit; None where it is gone, or goes."""
    if row.state is State.REMOVED or (row.state is State.DEPLOYING and row.verb == "delete"):
        return None
    runs_head = row.deployed == row.head
    is_busy_elsewhere = row.state is State.DEPLOYING and (row.verb in _HARMLESS or not row.run_id)
    if runs_head and (row.state in _DUE or is_busy_elsewhere):
        return CommitStatus(SUCCESS, "live", _link(row, facts))
    return CommitStatus(_BY_STATE[row.state], _describe(row), _link(row, facts), row.state in _DUE)


def _describe(row: Row) -> str:
    if row.state is State.LIVE:
        if row.deployed in {row.head, ""}:
            return "live"
        return write_line(f"live: nothing to deploy since {row.deployed[:7]}")
    if row.state is State.ASLEEP:
        return "asleep: it wakes with the next push"
    why = row.why
    if row.state in {State.FAILED, State.FAILING}:
        failed = next((each for each in reversed(row.outcomes) if each.state == "failed"), None)
        why = (failed.cause if failed else "") or why
    if row.state is State.UNHEALTHY:
        why = row.status_reason or why
    return write_line(f"{name_state(row)}: {why}" if why else name_state(row))


def _link(row: Row, facts: Facts) -> str:
    """Return the page of the run that is at work, else of the newest that deployed, else of the DAG."""
    if row.run_id:
        return facts.link_run(row.run_dag or row.dag, row.run_id)
    if outcome := find_outcome(row):
        return facts.link_run(outcome.dag, outcome.run_id)
    return facts.link_run(row.dag)


def _conclude(sha: str, rows: list[Row | None]) -> CommitStatus | None:
    """Return the last word on a commit that is nobody's newest any more; None while it may still be deployed."""
    present = [row for row in rows if row is not None and row.state is not State.REMOVED]
    if not present:
        return CommitStatus(ERROR, "removed before it was deployed", "")
    if any(row.deployed == sha for row in present):
        return CommitStatus(SUCCESS, "it was deployed; a newer commit followed", "")
    if any(row.state is State.DEPLOYING for row in present):
        return None
    head = next((row.head for row in present), "")
    return CommitStatus(ERROR, f"superseded by {head[:7]} before it was deployed" if head else "superseded", "")
