"""A pass's observation, its plan and the runs that ended → the rows that people are shown. Pure.

Decides nothing about work: it puts into one word and a line each what planner and schedule have decided.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from include.deploy_ops.core.environment.mapping import name_key
from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.model import Deployment, PullRequest
from include.deploy_ops.core.naming import PROMOTION_SLUG, slug_branch, slug_target
from include.deploy_ops.core.plan.outcome import OUTCOMES_MAX, Outcome
from include.deploy_ops.core.plan.work import (
    PREVIEW_DAG,
    PROMOTION_DAG,
    REQUEST_DAG,
    Verb,
)
from include.deploy_ops.core.preview.hibernation import find_wake
from include.deploy_ops.core.preview.ownership import find_previews
from include.deploy_ops.core.template.drift import describe_drift
from include.deploy_ops.core.view.addresses import hide_address, hide_addresses_of
from include.deploy_ops.core.view.following import DIGITS, follow_merged
from include.deploy_ops.core.view.needs import Need
from include.deploy_ops.core.view.proof import add_proof
from include.deploy_ops.core.view.row import Row, RowKind, State
from include.deploy_ops.core.view.state import add_state

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from include.deploy_ops.core.policy.keys import Project, Target
    from include.deploy_ops.core.target.comparison import TargetState
    from include.deploy_ops.core.view.pass_record import PassRecord

V = TypeVar("V")
REMOVED_FOR = timedelta(days=1)
"""How long an environment is still shown after its Deployment has gone."""

ROW_CAUSE_LENGTH_MAX = 160
"""Characters of cause and reason that are kept of runs before the newest."""
ROW_KEYS_MAX = 20
"""Environment variables of a kind that a row lists; one more says how many there are besides."""
ROW_DRIFT_MAX = 10
"""Differences that a row lists; one more line says how many there are besides."""
ROW_CONFLICTS_MAX = 40
"""Conflicts that a row lists; one more line says how many there are besides."""
ROW_CONFLICT_LENGTH_MAX = 200
"""Characters of a conflict that are kept."""


def make_rows(record: PassRecord) -> dict[str, Row]:
    """Return the rows by slug."""
    deploy_branch = _make_deploy_branch(record)
    targets = [_carry(record, row, deploy_branch) for row in _make_targets(record)]
    rows = [*_make_previews(record), *follow_merged(record, targets, deploy_branch)]
    found = {row.slug: row for row in rows}
    found |= dict(_keep_removed(record, found.keys()))
    return {slug: _hide_addresses(row) for slug, row in found.items()}


def _hide_addresses(row: Row) -> Row:
    """Return the row with e-mail addresses cut behind their sign: some names in Airflow and in Git are addresses."""
    return replace(
        row,
        why=hide_address(row.why),
        author=hide_address(row.author),
        kept=hide_address(row.kept),
        overridden=hide_address(row.overridden),
        holds=tuple(map(hide_address, row.holds)),
        gates=tuple(map(hide_address, row.gates)),
        drift=tuple(map(hide_address, row.drift)),
        needs=tuple(replace(each, why=hide_address(each.why)) for each in row.needs),
        outcomes=tuple(map(hide_addresses_of, row.outcomes)),
    )


def _make_previews(record: PassRecord) -> Iterable[Row]:
    if record.project.previews is None:
        return
    own = find_previews(record.observed.deployments, record.control_plane, record.project)
    for branch in sorted(record.wanted.keys() | own.keys()):
        row = _make_preview(record, branch, own[branch][0][0] if branch in own else None)
        if row is not None:
            yield row


def _make_preview(record: PassRecord, branch: str, deployment: Deployment | None) -> Row | None:
    slug = slug_branch(branch)
    row = _complete(
        record,
        Row(
            slug=slug,
            kind=RowKind.PREVIEW,
            environment=branch,
            branch=branch,
            dag=f"{record.project.name}.{PREVIEW_DAG}",
            state=State.LIVE,
            state_at=record.now,
            head=record.heads.get(branch, ""),
        ),
        deployment,
        record.open_pulls.get(branch, ()),
    )
    row = _add_environment(record, row) if deployment is not None else row
    # A repository has hundreds of branches that never had a preview: a row for each would bury what lives.
    before = record.before.get(slug)
    never_was = before is None or (before.state is State.WAITING and not before.deployment_id)
    return None if row.state is State.REMOVED and not row.outcomes and never_was else row


def _add_environment(record: PassRecord, row: Row) -> Row:
    """Return a preview's row with what people would look for in its Airflow's UI, and what somebody has to set."""
    mapped = record.project.previews.environment.connections if record.project.previews else {}
    connections = sorted(name_key("connections", name) for name in mapped)
    return replace(row, connections=_list_keys(connections), unfilled=_list_keys(record.unfilled))


def _list_keys(keys: Sequence[str]) -> tuple[str, ...]:
    more = [f"… and {len(keys) - ROW_KEYS_MAX} more"] if len(keys) > ROW_KEYS_MAX else []
    return (*keys[:ROW_KEYS_MAX], *more)


def _make_targets(record: PassRecord) -> Iterable[Row]:
    for state in record.targets:
        deployment = state.deployments[0] if len(state.deployments) == 1 else None
        source, followed = state.source, state.target.followed_branch
        release = state.target.pull_request
        pulls = [each for each in record.snapshot.pull_requests if source and each.number == source.pull]
        yield _complete(
            record,
            Row(
                slug=slug_target(state.name),
                kind=RowKind.TARGET,
                environment=state.name,
                branch=source.ref if source else followed or (release.source if release else ""),
                dag=f"{record.project.name}.{state.name}",
                request_dag=_name_request(record.project, state.name, state.target),
                state=State.LIVE,
                state_at=record.now,
                why="" if source else _tell_idle(state),
                head=source.head if source else _find_shown(state.history),
                pull=source.pull if source else 0,
                base=release.into if source and source.pull and release else "",
                gated=_tell_skipping(state.target),
                gates=tuple(gate.unmet for gate in state.gates if gate.unmet),
            ),
            deployment,
            pulls,
        )


def _tell_skipping(target: Target) -> str:
    """Return what a forced deploy does with gates that are closed, as `Row.gated`."""
    if target.requires is None:
        return ""
    return "never" if target.forced == "gates" else "skip"


def _find_shown(history: DeployHistory) -> str:
    """Return the commit that a target shows: of a release its head, of what somebody deployed beside that its own."""
    is_plain = bool(history.head) and not history.overridden_by
    return (history.head if is_plain else history.commit) or ""


def _tell_idle(state: TargetState) -> str:
    """Return why nothing is due at a target that follows no open pull request."""
    is_resumed = state.history.overridden_by and state.remembered.resumed == state.history.newest_id
    return "resumed, and stays as it is until a pull request is open" if is_resumed else "no pull request is open"


def _name_request(project: Project, name: str, target: Target) -> str:
    return f"{project.name}.{name}.{REQUEST_DAG}" if target.approval == "required" else ""


def _make_deploy_branch(record: PassRecord) -> Row | None:
    promotion = record.project.promotion
    if promotion is None:
        return None
    tip = record.heads.get(promotion.deploy_branch, "")
    row = Row(
        slug=PROMOTION_SLUG,
        kind=RowKind.DEPLOY_BRANCH,
        environment=promotion.deploy_branch,
        branch=promotion.deploy_branch,
        dag=f"{record.project.name}.{PROMOTION_DAG}",
        state=State.LIVE,
        state_at=record.now,
        head=tip,
        deployed=tip,
    )
    made = _complete(record, row, None, [])
    told = [each.promoted for each in record.ended if each.promoted is not None]
    before = record.before.get(row.slug)
    known = tuple(sorted(told[-1].items())) if told else before.carried if before else ()
    return replace(made, deployed_at=made.head_at, carried=_keep_open(record, known))


def _keep_open(record: PassRecord, carried: Iterable[tuple[int, str]]) -> tuple[tuple[int, str], ...]:
    return tuple((pull, head[:DIGITS]) for pull, head in carried if pull in record.open_numbers)


def _carry(record: PassRecord, row: Row, deploy_branch: Row | None) -> Row:
    """Return a target's row with the pull requests that it has by promotion, as far as that is known."""
    if deploy_branch is None or row.branch != deploy_branch.branch:
        return row
    before = record.before.get(row.slug)
    shows_tip = deploy_branch.head in {row.deployed, row.head if row.state is State.LIVE else ""}
    known = deploy_branch.carried if shows_tip else ()
    if not shows_tip and before is not None and before.deployed == row.deployed:
        known = before.carried
    return replace(row, carried=_keep_open(record, known))


def _complete(record: PassRecord, row: Row, deployment: Deployment | None, pulls: Sequence[PullRequest]) -> Row:
    """Return the row with everything that is known of the environment."""
    before = record.before.get(row.slug)
    row = _add_pulls(record, row, pulls)
    row = _add_deployment(record, row, deployment, before)
    row = _add_endings(record, row, before)
    row = add_proof(record, add_state(record, row, deployment))
    head_at = before.head_at if before is not None and before.head == row.head else record.now
    return replace(
        row,
        head_at=head_at if row.head else None,
        state_at=_find_since(record, row, before),
        kept=_find_keep(record, row, before),
    )


def _find_since(record: PassRecord, row: Row, before: Row | None) -> datetime:
    """Return since when the state is so: what runs the newest commit has done so since that was deployed.

    Unless it was something else in between; that a run was at work, on its configuration too, is nothing else. Another
    run is another piece of work, or another question, though the state has the same word.
    """
    is_same_run = before is not None and row.run_id in {"", before.run_id}
    if before is not None and is_same_run and (before.state, before.verb) == (row.state, row.verb):
        return before.state_at
    was_live = before is None or before.state is State.DEPLOYING
    return row.deployed_at if row.state is State.LIVE and was_live and row.deployed_at else record.now


def _find_keep(record: PassRecord, row: Row, before: Row | None) -> str:
    """Return who keeps the preview: it ends with its Deployment, whatever the branch is called."""
    if (remembered := record.remembered.get(row.slug)) is not None:
        return remembered.find_keep(row.deployment_id)
    return before.kept if before is not None and before.deployment_id == row.deployment_id else ""


def _add_pulls(record: PassRecord, row: Row, pulls: Sequence[PullRequest]) -> Row:
    newest = max(pulls, key=lambda pull: pull.number, default=None)
    before = record.before.get(row.slug)
    known = before.author if before is not None and before.head == row.head else ""
    author = newest.author if newest else ""
    return replace(
        row,
        author=author or record.authors.get(row.head, "") or known,
        pull=newest.number if newest else row.pull,
        pull_title=newest.title if newest else "",
        base=newest.base_ref if newest else row.base,
        pulls=tuple(sorted(pull.number for pull in pulls)),
    )


def _add_deployment(record: PassRecord, row: Row, deployment: Deployment | None, before: Row | None) -> Row:
    if deployment is None:
        return row
    history = record.observed.histories.get(deployment.id, DeployHistory())
    return replace(
        row,
        deployed=_find_shown(history),
        deployed_at=history.deployed_at,
        deployed_kind=history.kind,
        deployment_id=deployment.id,
        deployment_name=deployment.name,
        status=deployment.status.value,
        status_reason=deployment.status_reason,
        airflow_url=deployment.airflow_url,
        astro_url=deployment.astro_url,
        override=deployment.override,
        woken_at=find_wake(before, deployment, record.now),
        drift=describe_drift(record.drift.get(row.slug, ()), ROW_DRIFT_MAX),
    )


def _add_endings(record: PassRecord, row: Row, before: Row | None) -> Row:
    """Return the row with how its runs ended, and what the promotion told of its pull requests."""
    outcomes = {each.run_id: each for each in before.outcomes} if before else {}
    outcomes |= {each.run_id: _drop_commit_text(each) for each in record.outcomes.get(row.slug, ())}
    # A request tells the deploy type that it asks for; a row shows the types of deploys.
    plain = [each if each.is_deploy else replace(each, kind="") for each in outcomes.values()]
    ordered = sorted(plain, key=lambda each: each.at)[-OUTCOMES_MAX:]
    kept = (*map(_shorten, ordered[:-1]), *ordered[-1:])
    return replace(row, outcomes=kept, conflicts=_find_conflicts(record, row, before))


def _drop_commit_text(outcome: Outcome) -> Outcome:
    """Return it without what only the environment's history of deploys shows: all rows are read at each change."""
    return replace(outcome, subject="", commit_author="")


def _shorten(outcome: Outcome) -> Outcome:
    return replace(
        outcome,
        cause=outcome.cause[:ROW_CAUSE_LENGTH_MAX],
        why=outcome.why[:ROW_CAUSE_LENGTH_MAX],
        reason=outcome.reason[:ROW_CAUSE_LENGTH_MAX],
    )


def _find_conflicts(record: PassRecord, row: Row, before: Row | None) -> tuple[str, ...]:
    """Return the newest promotion's words about the row's pull requests; about all, on the deploy branch's row."""
    told = [each.conflicts for each in record.ended if each.conflicts is not None]
    if not told:
        kept = before.conflicts if before else ()
        return kept if row.slug == PROMOTION_SLUG or row.pulls else ()
    is_all = row.slug == PROMOTION_SLUG
    found = [text for pull, texts in sorted(told[-1].items()) if is_all or pull in row.pulls for text in texts]
    own = [*dict.fromkeys(found)]  # two pull requests that change a file are told the same
    more = [f"… and {len(own) - ROW_CONFLICTS_MAX} more"] if len(own) > ROW_CONFLICTS_MAX else []
    return (*(text[:ROW_CONFLICT_LENGTH_MAX] for text in own[:ROW_CONFLICTS_MAX]), *more)


def _keep_removed(record: PassRecord, known: Iterable[str]) -> Iterable[tuple[str, Row]]:
    """Yield the environments that are gone: shown for a while with what ended them."""
    present, there = set(known), {each.id for each in record.observed.deployments}
    for slug, row in record.before.items():
        if slug in present or row.kind is not RowKind.PREVIEW:
            continue
        if row.deployment_id in there:
            reason = "the policy wants no preview of it any more; delete it in Astro, or look at the DAG orphans"
            needs = (Need("anything", reason),)
            at = row.state_at if row.state is State.HELD else record.now
            held = replace(row, state=State.HELD, state_at=at, why=reason, needs=needs, next_step=None)
            yield slug, replace(held, run_id="", run_dag="", verb="")
            continue
        gone = _add_endings(record, row, row)
        is_new = row.state is not State.REMOVED
        if is_new and not row.deployment_id:
            continue  # it never had a Deployment
        at = record.now if is_new else row.state_at
        if record.now - at < REMOVED_FOR:
            yield slug, _bury(gone, at, is_new=is_new)


def _bury(row: Row, at: datetime, *, is_new: bool) -> Row:
    last = next((each for each in reversed(row.outcomes) if each.verb == Verb.DELETE.value), None)
    said = last.why if last is not None and last.why else ""
    return replace(
        row,
        state=State.REMOVED,
        state_at=at,
        why=said or (row.why if not is_new else "its Deployment is gone"),
        holds=(),
        needs=(),
        run_id="",
        run_dag="",
        verb="",
        next_step=None,
        deployed="",
        deployed_at=None,
        deployed_kind="",
        overridden="",
        status="",
        status_reason="",
        deployment_id="",
        airflow_url="",
        astro_url="",
        override="",
        kept="",
        connections=(),
        unfilled=(),
        verification=None,
        awaits_proof=False,
        drift=(),
    )
