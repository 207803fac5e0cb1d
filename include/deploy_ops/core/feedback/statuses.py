"""Commit statuses: what is said of the newest commit of each environment, and of commits that no longer are. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from include.deploy_ops.core.feedback.text import HARMLESS, find_outcome, name_environment, name_state, write_line
from include.deploy_ops.core.feedback.values import DIGEST_LENGTH, Facts, FeedbackRecord, SetStatus, Write, key_status
from include.deploy_ops.core.model import COMMIT_ID
from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.core.plan.outcome import FAILED, NOTHING_TO_DEPLOY, find_settling, read_head
from include.deploy_ops.core.plan.work import PREVIEW_DAG
from include.deploy_ops.core.verification.judging import tell_errors
from include.deploy_ops.core.verification.verdict import Proof
from include.deploy_ops.core.view.row import Row, RowKind, State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from include.deploy_ops.core.plan.outcome import Outcome
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
"""Something is due that is not done: of a commit that runs already, or needs no deploy, something else."""

_PASSING = {*_DUE, State.UNHEALTHY, State.FAILING}
"""What says nothing about the commit, as an outage, or an answer of Astro's that lacks its deploy."""

# Of a commit that was deployed in words that stay true, whatever runs there later: nobody tells each commit anew.
_DEPLOYED = "it was deployed"
_FOLLOWED = f"{_DEPLOYED}; a newer commit followed"
_REMOVED = f"{_DEPLOYED}, and removed later"
_NEEDED_NONE = "nothing to deploy"
_UNVERIFIED = "a newer commit followed before it was verified"
_REFUTED = f"{_DEPLOYED}, and shown not to work"
_UNPROVEN = {Proof.PENDING.value, Proof.UNKNOWN.value}


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """What is said of one commit.

    `is_weak`: a success that was told before stands against it, and says `later` since, where it says anything new.
    `is_unproven`: one that is shown still does, and none comes back: what runs now is not verified. `is_refuted`: the
    commit is shown not to work, and no success that was told before comes back.
    """

    state: str
    description: str
    target_url: str
    is_weak: bool = False
    later: str = ""
    is_unproven: bool = False
    is_refuted: bool = False

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
        if status.is_weak and _stands(known, each):
            if known.state == SUCCESS and not status.later:
                continue
            if not status.is_unproven:
                status = CommitStatus(SUCCESS, status.later or _DEPLOYED, status.target_url)
        if known.digest != status.digest:
            about = tuple(word.slug for word in each if word.slug)
            times = [word.at for word in each if word.at]
            writes.append((max(times, default=None), _set(sha, context, status, about, known)))
    forgotten = []
    for key, known in records.items():
        kind, _, rest = key.partition("/")
        sha, _, context = rest.partition("/")
        if kind != "status" or (sha, context) in said:
            continue
        if known.state != PENDING:
            # While a row may speak of the commit again, that it was success counts.
            forgotten += [] if known.succeeded and _may_return(sha, known, rows) else [key]
        elif (last := _conclude(sha, known, rows)) is not None:
            writes.append((None, _set(sha, context, last, known.about, known)))
    return writes, forgotten


def _set(sha: str, context: str, status: CommitStatus, about: tuple[str, ...], known: FeedbackRecord) -> SetStatus:
    settled = () if status.is_refuted else tuple(sorted(known.succeeded))
    record = FeedbackRecord(digest=status.digest, state=status.state, about=about, settled=settled)
    key = key_status(sha, context)
    return SetStatus(key, sha, context, status.state, status.description, status.target_url, record)


def _may_return(sha: str, known: FeedbackRecord, rows: Mapping[str, Row]) -> bool:
    return any((row := rows.get(slug)) is not None and row.head == sha for slug in known.about)


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
            if row.overridden and row.deployed != row.head and COMMIT_ID.fullmatch(row.deployed):
                live = CommitStatus(SUCCESS, _tell_deployed(row), said.target_url)
                shown = replace(word, status=_prove(live, row))
                found.setdefault((row.deployed, facts.name_context(name)), []).append(shown)
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
    return bool(unsure) and unsure <= known.succeeded


def _join(said: list[_Word]) -> CommitStatus:
    """Return the worst of what is said; where there are several environments, it says whose it is."""
    word = min(said, key=lambda each: (_SEVERITY.index(each.status.state), not each.slug, each.slug))
    worst = word.status
    if sum(bool(each.slug) for each in said) <= 1:
        return worst
    named = write_line(f"{word.name}: {worst.description}")
    return replace(worst, description=named)


def judge(row: Row, facts: Facts) -> CommitStatus | None:
    """Return what is said of the environment's newest commit; None where it is gone, or goes."""
    if row.state is State.REMOVED or (row.state is State.DEPLOYING and row.verb == "delete"):
        return None
    runs_head = row.deployed == row.head
    settling = find_settling(row.outcomes, row.head)
    needs_none = settling is not None and settling.kind == NOTHING_TO_DEPLOY and not row.overridden
    is_busy_elsewhere = row.state is State.DEPLOYING and (row.verb in HARMLESS or not row.run_id or _is_of_another(row))
    if (runs_head or needs_none) and (row.state in _DUE or is_busy_elsewhere or _failed_elsewhere(row)):
        return _prove(CommitStatus(SUCCESS, _tell_deployed(row), _link(row, facts)), row)
    if (runs_head or needs_none) and row.state is not State.DEPLOYING and _is_refuted(row):
        return _prove(CommitStatus(SUCCESS, "", _link(row, facts)), row)
    # A status says what happened to the commit: what becomes of its environment later, it does not undo.
    is_weak = row.state in _PASSING or (row.state is State.DEPLOYING and not row.verb)
    is_weak = is_weak or _failed_elsewhere(row) or (runs_head and _has_failed(row))
    later = "" if runs_head or not row.overridden else write_line(f"{_DEPLOYED}; later {row.overridden}")
    is_unproven = runs_head and row.awaits_proof
    said = CommitStatus(_BY_STATE[row.state], _describe(row), _link(row, facts), is_weak, later, is_unproven)
    return _prove(said, row)


def _is_of_another(row: Row) -> bool:
    """Whether the run at work was planned for another commit: a release's, say, that was closed meanwhile."""
    start = read_head(row.run_id)
    return bool(start) and not row.head.startswith(start)


def _prove(said: CommitStatus, row: Row) -> CommitStatus:
    """Return a success with what is known of whether it works: none before that is verified, where the policy asks."""
    known = row.verification
    if known is None or said.state != SUCCESS:
        return said
    if known.proof is Proof.FAILED:
        told = write_line(tell_errors(known).replace("\n", ": ", 1))
        return CommitStatus(FAILURE, told, said.target_url, is_refuted=True)
    if row.awaits_proof:
        return CommitStatus(PENDING, write_line(known.said), said.target_url, is_weak=True, is_unproven=True)
    return replace(said, description=write_line(f"{said.description}, {known.said}"))


def _is_refuted(row: Row) -> bool:
    """Whether what runs is shown not to work."""
    return row.verification is not None and row.verification.proof is Proof.FAILED


def _has_failed(row: Row) -> bool:
    return row.state in {State.FAILED, State.FAILING}


def _failed_elsewhere(row: Row) -> bool:
    """Whether what failed is no deploy of the head: an update, a merge, or what a person forced in its place."""
    last = find_outcome(row)
    return _has_failed(row) and not (last is not None and last.state == FAILED and last.is_about(row.head))


def _tell_deployed(row: Row) -> str:
    """Return what is said of a commit that runs, or of a head that needs no deploy on top of what runs."""
    if row.overridden:
        return write_line(f"{_DEPLOYED}: {row.overridden}")
    if row.deployed in {row.head, ""}:
        return _DEPLOYED
    return f"{_NEEDED_NONE} since {row.deployed[:7]}"


def _describe(row: Row) -> str:
    if row.state in {State.LIVE, State.ASLEEP}:
        return _tell_deployed(row)
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


def _conclude_deployed(
    sha: str, present: Sequence[Row], settlings: Sequence[Outcome], *, was_success: bool
) -> CommitStatus | None:
    """Return the last word on a commit that runs somewhere, or was deployed; None where it was not.

    :param was_success: it was told to be one, which a failed verification alone undoes.
    """
    runs = [row for row in present if row.deployed == sha]
    if any(map(_is_refuted, runs)) or any(each.proof == Proof.FAILED.value for each in settlings):
        return CommitStatus(FAILURE, _REFUTED, "")
    is_unproven = any(row.awaits_proof for row in runs) or any(each.proof in _UNPROVEN for each in settlings)
    if is_unproven and not was_success:
        return CommitStatus(ERROR, _UNVERIFIED, "")
    if runs or any(each.kind != NOTHING_TO_DEPLOY for each in settlings):
        return CommitStatus(SUCCESS, _FOLLOWED if present else _REMOVED, "")
    return CommitStatus(SUCCESS, _NEEDED_NONE, "") if settlings else None


def _conclude(sha: str, known: FeedbackRecord, rows: Mapping[str, Row]) -> CommitStatus | None:
    """Return the last word on a commit that is nobody's newest any more; None while it may still be deployed."""
    every = [row for slug in known.about if (row := rows.get(slug)) is not None]
    present = [row for row in every if row.state is not State.REMOVED]
    settlings = [found for row in every if (found := find_settling(row.outcomes, sha))]
    was_success = bool(known.succeeded)  # of one of its environments: the others were past it before they had it
    if (said := _conclude_deployed(sha, present, settlings, was_success=was_success)) is not None:
        return said
    if was_success:
        return CommitStatus(SUCCESS, _DEPLOYED, "")
    if not present:
        return CommitStatus(ERROR, "removed before it was deployed", "")
    if any(row.state is State.DEPLOYING for row in present):
        return None
    head = next((row.head for row in present), "")
    return CommitStatus(ERROR, f"superseded by {head[:7]} before it was deployed" if head else "superseded", "")
