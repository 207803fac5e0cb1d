"""GitHub Deployments: which commits of an environment have one, the newest status of each, and the environment's end.

Pure. At most two commits are of interest: the one that runs, and the one that is being deployed or failed. The rest is
history.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from include.deploy_ops.core.feedback.text import find_outcome, write_line
from include.deploy_ops.core.feedback.values import (
    REFUSED,
    AddGithubDeploymentStatus,
    CreateGithubDeployment,
    DeleteGithubEnvironment,
    Facts,
    FeedbackRecord,
    GithubDeploymentState,
    Write,
    key_deployment,
)
from include.deploy_ops.core.model import COMMIT_ID
from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.core.plan.outcome import DEPLOYING_VERBS, FAILED, Outcome, read_head
from include.deploy_ops.core.verification.verdict import Proof
from include.deploy_ops.core.view.row import Row, RowKind, State

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


ENVIRONMENT_LENGTH_MAX = 255
PENDING, IN_PROGRESS, SUCCESS, FAILURE, INACTIVE = "pending", "in_progress", "success", "failure", "inactive"

FINAL = frozenset({INACTIVE, REFUSED})
"""The states after which nothing more is told of a commit."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What was told of one commit of the environment."""

    key: str
    record: FeedbackRecord


def list_deployment_writes(
    rows: Mapping[str, Row], records: Mapping[str, FeedbackRecord], facts: Facts
) -> tuple[list[tuple[datetime | None, Write]], list[str]]:
    """Return the GitHub Deployments and statuses that are missing, and the keys of those that are history."""
    known = _group_by_environment(records)
    writes: list[tuple[datetime | None, Write]] = []
    forgotten: list[str] = []
    for slug in {**rows, **known}:
        row = rows.get(slug)
        if row is not None and row.kind is RowKind.DEPLOY_BRANCH:
            continue
        found, lost = _compare(row, slug, known.get(slug, {}), facts)
        writes += [(row.state_at if row else None, write) for write in found]
        forgotten += lost
    return writes, forgotten


def list_environment_ends(
    rows: Mapping[str, Row], records: Mapping[str, FeedbackRecord], facts: Facts
) -> tuple[list[tuple[datetime | None, Write]], list[str]]:
    """Return the environments of previews that are gone, to be deleted once all that they were told is history.

    Only what a row calls removed is gone: a row may be lost. A target has none of this.
    """
    writes: list[tuple[datetime | None, Write]] = []
    for slug, known in _group_by_environment(records).items():
        row = rows.get(slug)
        if row is None or row.kind is not RowKind.PREVIEW or row.state is not State.REMOVED:
            continue
        told: dict[str, list[str]] = {}
        for each in known.values():
            if each.record.id and each.record.names:
                told.setdefault(each.record.names[0], []).append(each.key)
        mark = facts.mark_deployment(slug)
        writes += [(None, DeleteGithubEnvironment(tuple(keys), name, mark)) for name, keys in told.items()]
    return writes, []


def _group_by_environment(records: Mapping[str, FeedbackRecord]) -> dict[str, dict[str, _Known]]:
    found: dict[str, dict[str, _Known]] = {}
    for key, each in records.items():
        kind, _, rest = key.partition("/")
        slug, _, sha = rest.partition("/")
        if kind == "deployment":
            found.setdefault(slug, {})[sha] = _Known(key, each)
    return found


def _compare(row: Row | None, slug: str, known: Mapping[str, _Known], facts: Facts) -> tuple[list[Write], list[str]]:
    wanted = want_states(row, {sha: each.record for sha, each in known.items()}, facts) if row else {}
    writes = [write for sha, state in wanted.items() if row and (write := _tell(row, sha, state, known, facts))]
    is_gone = row is None or row.state is State.REMOVED
    forgotten = []
    for sha, each in known.items():
        if sha in wanted:
            continue
        ended = FINAL if is_gone else FINAL | {FAILURE}
        if each.record.state in ended or not each.record.id:
            forgotten.append(each.key)
        else:
            writes.append(_retire(slug, each, is_gone=is_gone))
    return writes, forgotten


def name_github_environment(row: Row, facts: Facts) -> str:
    """Return the environment's name on GitHub, unique within the repository and no longer than GitHub takes."""
    name = f"preview/{row.branch}" if row.kind is RowKind.PREVIEW else row.environment
    name = name if facts.is_alone else f"{facts.project}/{name}"
    plain = "".join(each if ord(each) <= 0xFFFF else "?" for each in name)  # noqa: PLR2004 - GitHub's fields refuse more
    if plain == name and len(name) <= ENVIRONMENT_LENGTH_MAX:
        return name
    return f"{plain[: ENVIRONMENT_LENGTH_MAX - 9]}~{hash_text(name, 8)}"


def want_states(row: Row, known: Mapping[str, FeedbackRecord], facts: Facts) -> dict[str, GithubDeploymentState]:
    """Return which commits shall have a GitHub Deployment, with its newest status."""
    if row.state is State.REMOVED:
        return {}
    wanted: dict[str, GithubDeploymentState] = {}
    flight, running, failed = _find_flight(row, known), row.deployed, find_outcome(row)
    if running:
        state, said = _judge_running(row, known.get(running, FeedbackRecord()))
        wanted[running] = GithubDeploymentState(state, said, row.airflow_url, _link_success(row, running, facts))
    if flight:
        wanted[flight] = GithubDeploymentState(IN_PROGRESS, "", "", facts.link_run(row.run_dag or row.dag, row.run_id))
    elif failed is not None and failed.state == FAILED and (sha := _find_failed(row, failed, known)) != running:
        cause = write_line(failed.cause)
        wanted[sha] = GithubDeploymentState(FAILURE, cause, "", facts.link_run(failed.dag, failed.run_id))
    return {sha: state for sha, state in wanted.items() if COMMIT_ID.fullmatch(sha)}


def _judge_running(row: Row, before: FeedbackRecord) -> tuple[str, str]:
    """Return the state of what runs, and why it is no success; one that was told stands until it is refuted."""
    found = row.verification
    if found is not None and found.proof is Proof.FAILED:
        return FAILURE, write_line(found.said)
    if found is not None and row.awaits_proof and before.state != SUCCESS:
        return PENDING, write_line(found.said)
    return SUCCESS, ""


def _find_flight(row: Row, known: Mapping[str, FeedbackRecord]) -> str:
    """Return the commit that is being deployed, empty if none is, or nobody knows which: run ids name 12 digits."""
    if row.state is not State.DEPLOYING or row.verb not in DEPLOYING_VERBS:
        return ""
    start = read_head(row.run_id)
    return next((sha for sha in (row.head, row.deployed, *known) if start and sha.startswith(start)), "")


def _find_failed(row: Row, failed: Outcome, known: Mapping[str, FeedbackRecord]) -> str:
    """Return the commit that a failed run was about, empty if it is of no interest any more."""
    return next((sha for sha in (row.head, row.deployed, *known) if failed.is_about(sha)), "")


def _link_success(row: Row, sha: str, facts: Facts) -> str:
    """Return the run that deployed the commit, as far as the row remembers it; else its DAG.

    Of a release a run deploys the test merge, and its pull request's head counts as deployed.
    """
    deployed = [each for each in reversed(row.outcomes) if each.verb in DEPLOYING_VERBS and each.state == "success"]
    outcome = next((each for each in deployed if each.commit == sha), deployed[0] if deployed else None)
    return facts.link_run(outcome.dag, outcome.run_id) if outcome else facts.link_run(row.dag)


def _tell(row: Row, sha: str, state: GithubDeploymentState, known: Mapping[str, _Known], facts: Facts) -> Write | None:
    before = known[sha].record if sha in known else FeedbackRecord()
    if before.state == REFUSED or before.digest == state.digest:
        return None
    key, environment = key_deployment(row.slug, sha), name_github_environment(row, facts)
    after = FeedbackRecord(before.id, state.digest, state.state, names=(environment,))
    if before.id:
        return AddGithubDeploymentStatus(key, before.id, environment, state, after)
    is_preview = row.kind is RowKind.PREVIEW
    is_production = not is_preview and row.environment in facts.releases | facts.gated
    mark = facts.mark_deployment(row.slug)
    return CreateGithubDeployment(key, sha, environment, mark, is_preview, is_production, state, after)


def _retire(slug: str, each: _Known, *, is_gone: bool) -> AddGithubDeploymentStatus:
    state = GithubDeploymentState(INACTIVE, "removed" if is_gone else "superseded")
    environment = each.record.names[0] if each.record.names else slug
    after = replace(each.record, digest=state.digest, state=INACTIVE)
    return AddGithubDeploymentStatus(each.key, each.record.id, environment, state, after)
