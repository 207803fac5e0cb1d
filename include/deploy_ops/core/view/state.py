"""How an environment is, in one word and a line: what the plan says of it, and what Astro says. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from include.deploy_ops.core.cleanup.verdict import Standing
from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.model import Deployment, DeploymentStatus
from include.deploy_ops.core.plan.outcome import DEPLOYING_VERBS, FAILED, REJECTED, Outcome
from include.deploy_ops.core.plan.work import OVERRIDDEN, Hold, HoldKind, Verb
from include.deploy_ops.core.target.settling import describe_unsettled, is_calm
from include.deploy_ops.core.view.needs import list_needs, need_retry
from include.deploy_ops.core.view.row import Row, RowKind, State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from include.deploy_ops.core.view.needs import Need
    from include.deploy_ops.core.view.pass_record import PassRecord

_REASONS = (
    (HoldKind.FAILED, State.FAILED),
    (HoldKind.FAILING, State.FAILING),
    (HoldKind.FROZEN, State.FROZEN),
    (HoldKind.PERSON, State.HELD),
    (HoldKind.WAITING, State.WAITING),
    (HoldKind.FLIGHT, State.DEPLOYING),
)
_STATUSES = {
    DeploymentStatus.CREATING: (State.WAITING, "Astro is creating the Deployment"),
    DeploymentStatus.DEPLOYING: (State.DEPLOYING, "Astro is rolling it out"),
    DeploymentStatus.HIBERNATING: (State.ASLEEP, "it hibernates; a push wakes it"),
}
_QUIET = {State.LIVE, State.ASLEEP, State.HELD, State.REMOVED}
"""The states in which nothing comes by itself: there a person's failed run is shown."""
ROW_HOLD_LENGTH_MAX = 800
"""Characters of a hold that are kept."""


@dataclass(frozen=True, slots=True)
class _Flight:
    run_id: str = ""
    dag: str = ""
    verb: str = ""


def add_state(record: PassRecord, row: Row, deployment: Deployment | None) -> Row:
    """Return the row with its state and why, what is held and what a person has to do, and the run in flight."""
    holds = record.holds.get(row.slug, ())
    telling = [hold for hold in holds if hold.kind is not HoldKind.FLIGHT and not _is_notice(record, row, hold)]
    override = next((hold.said for hold in holds if hold.reason.startswith(OVERRIDDEN)), "")
    row = replace(row, holds=_tell_holds(telling), overridden=override, needs=list_needs(telling, row.outcomes))
    flight = _find_flight(record, row)
    if flight.run_id:
        is_asked = flight.verb == Verb.REQUEST.value
        state = State.APPROVAL if is_asked else State.DEPLOYING
        return replace(
            row,
            state=state,
            why=_find_reason(record, row) or row.why,
            run_id=flight.run_id,
            run_dag=flight.dag,
            verb=flight.verb,
        )
    state, why = _judge(record, row, holds, deployment)
    is_told = row.needs or state is not State.FAILED
    needs = row.needs if is_told else _need_again(row, why)
    besides = [hold for hold in telling if why not in {hold.said, hold.reason}]
    return replace(
        row,
        state=state,
        why=why or row.why,
        holds=_tell_holds(besides),
        needs=() if state is State.REMOVED else needs,
    )


def _tell_holds(holds: Iterable[Hold]) -> tuple[str, ...]:
    return tuple(hold.said[:ROW_HOLD_LENGTH_MAX] for hold in holds)


def _find_flight(record: PassRecord, row: Row) -> _Flight:
    """Return the run that starts now or is at work."""
    if (action := record.starts.get(row.slug)) is not None:
        return _Flight(action.run_id, f"{record.project.name}.{action.work.dag}", action.work.verb.value)
    run_id = record.in_flight.get(row.slug, "")
    if not run_id:
        return _Flight()
    verb = run_id.removeprefix(f"{row.slug}~").partition("~")[0] if run_id.startswith(f"{row.slug}~") else ""
    return _Flight(run_id, row.request_dag if verb == Verb.REQUEST.value else row.dag, verb)


def _find_reason(record: PassRecord, row: Row) -> str:
    action = record.starts.get(row.slug)
    return action.work.reason if action else ""


def _judge(record: PassRecord, row: Row, holds: Sequence[Hold], deployment: Deployment | None) -> tuple[State, str]:
    """Return the state without a run in flight, and why; a person's that came to nothing stands until a later one."""
    state, why = _judge_by_plan(record, row, holds, deployment)
    last = row.outcomes[-1] if row.outcomes else None
    if last is None or not last.is_forced or state not in _QUIET:
        return state, why
    if last.state == FAILED:
        return State.FAILED, _tell_forced(last)
    # A person's no is no failure: the environment is as it was.
    return state, why or (_tell_forced(last) if last.state == REJECTED else "")


def _tell_forced(last: Outcome) -> str:
    """Return what a person had started, and why it came to nothing."""
    who = f" by {last.person}" if last.person else ""
    return f"{last.verb}{who}: {last.cause}"


def _need_again(row: Row, why: str) -> tuple[Need, ...]:
    """Return the need to clear what failed: a person's run, whatever it was to do, or the newest that deploys."""
    last = row.outcomes[-1] if row.outcomes else None
    if last is not None and last.is_forced and last.state == FAILED:
        return need_retry(last.verb, why, row.outcomes, {last.verb})
    return need_retry(Verb.DEPLOY.value, why, row.outcomes)


def _judge_by_plan(
    record: PassRecord, row: Row, holds: Sequence[Hold], deployment: Deployment | None
) -> tuple[State, str]:
    by_kind: dict[HoldKind, list[Hold]] = defaultdict(list)
    for hold in holds:
        if not _is_notice(record, row, hold):
            by_kind[hold.kind].append(hold)
    if deployment is None and (removal := _find_removal(record, row, by_kind)):
        return State.REMOVED, removal
    for kind, state in _REASONS:
        if by_kind[kind]:
            hold = by_kind[kind][0]
            return state, hold.said
    if deployment is not None:
        return _judge_deployment(record, row, deployment)
    if row.kind is not RowKind.DEPLOY_BRANCH:
        return State.WAITING, "there is no Deployment"
    return State.LIVE, ""


def _judge_deployment(record: PassRecord, row: Row, deployment: Deployment) -> tuple[State, str]:
    """Return the state of a Deployment to which nothing is to be done: it need not show what was deployed last."""
    status = deployment.status
    if not is_calm(status):
        said = deployment.status_reason or f"Astro calls the Deployment {status.value}"
        return _STATUSES.get(status, (State.UNHEALTHY, said))
    history = record.observed.histories.get(deployment.id, DeployHistory())
    if unsettled := describe_unsettled(deployment, history):
        last = next((each for each in reversed(row.outcomes) if each.verb in DEPLOYING_VERBS), None)
        return (State.FAILED if last is not None and last.state == "failed" else State.WAITING), unsettled
    return _STATUSES.get(status, (State.LIVE, ""))


def _find_removal(record: PassRecord, row: Row, by_kind: Mapping[HoldKind, Sequence[Hold]]) -> str:
    """Return why a living branch has no preview; while there is no room, nobody looks for the reason again."""
    ended = next((hold for kind in HoldKind if kind.is_settled for hold in by_kind.get(kind, ())), None)
    if ended is not None:
        return ended.reason
    before = record.before.get(row.slug)
    is_kept = before is not None and before.state is State.REMOVED and before.head == row.head
    return before.why if before is not None and is_kept and by_kind.get(HoldKind.WAITING) else ""


def _is_notice(record: PassRecord, row: Row, hold: Hold) -> bool:
    """Whether the hold only says what cleanup will do, which is the row's next step and no state."""
    verdict = record.verdicts.get(row.deployment_id)
    if verdict is None or hold.what not in {Verb.DELETE.value, Verb.HIBERNATE.value}:
        return False
    is_asked = verdict.standing is Standing.ASKED and hold.kind is HoldKind.PERSON
    return is_asked or (verdict.due_at > record.now and hold.kind is HoldKind.WAITING)
