"""Previews whose branch lives + how long nobody used them → what hibernates, what is deleted, and what stays and why.

Decides for cleanup, which remembers the verdicts; control acts on them. A branch's end is no expiry. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from croniter import croniter

from include.deploy_ops.core.cleanup.use import find_use
from include.deploy_ops.core.cleanup.verdict import NextStep, Standing, Verdict, describe_exemption, find_end
from include.deploy_ops.core.plan.continuity import ALWAYS
from include.deploy_ops.core.plan.work import Verb, Work
from include.deploy_ops.core.preview.hibernation import can_hibernate, is_asleep

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from include.deploy_ops.core.cleanup.use import Use
    from include.deploy_ops.core.history import DeployHistory
    from include.deploy_ops.core.model import Deployment
    from include.deploy_ops.core.policy.keys import Previews

HIBERNATE = Verb.HIBERNATE.value
DELETE = Verb.DELETE.value
TOLD = "told"
KEEP = "keep"
REPORT = "report"  # what `oddities.py` finds
_NEVER = datetime.max.replace(tzinfo=UTC)
UNASKED = "its Airflow is asked for runs before that is done"
DOUBT = "control remembers nothing for certain from before"


@dataclass(frozen=True, slots=True)
class AgeLimits:
    """How long without activity; None: never. `delete_notice`: how long before its delete a preview is told."""

    hibernate_after: timedelta | None
    delete_after: timedelta | None
    delete_notice: timedelta
    keep_label: str


@dataclass(frozen=True, slots=True)
class Subject:
    """One live preview whose branch lives.

    `committed_at` is of `head`, None where nobody could tell: then nothing is decided. `woken_at`: when somebody woke
    it by hand. `kept`: who keeps it. `labels` are those of the branch's open pull requests. `in_flight` is its run at
    work. `slept_at`: when control last let it hibernate. `use`: what its own Airflow told; None: runs do not count.
    """

    deployment: Deployment
    branch: str
    head: str
    author: str
    committed_at: datetime | None
    history: DeployHistory
    woken_at: datetime | None = None
    kept: str = ""
    labels: tuple[str, ...] = ()
    in_flight: str = ""
    slept_at: datetime | None = None
    use: Use | None = None


@dataclass(frozen=True, slots=True)
class IdleFinding:
    """One line of cleanup's table. `verdict` is hibernate, delete (now), told (deleted later), keep or report.

    `cost` is what its row says of it, empty where the policy gives no prices.
    """

    branch: str
    deployment_id: str
    deployment_name: str
    author: str
    age: timedelta | None
    idle: timedelta | None
    verdict: str
    reason: str
    cost: str = ""


@dataclass(frozen=True, slots=True)
class Expiry:
    """What one cleanup run decided: all verdicts that stand now, by Deployment id, and a finding per preview.

    `fresh` are the ids of those that this run decided, or has to ask about again.
    """

    verdicts: Mapping[str, Verdict]
    findings: tuple[IdleFinding, ...]
    fresh: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Question:
    """The deletes that a person is asked about: this run's verdicts, and what control's brake holds anyway."""

    verdicts: tuple[Verdict, ...] = ()
    works: tuple[Work, ...] = ()

    @property
    def is_asked(self) -> bool:
        """Whether there is anything to ask about."""
        return bool(self.verdicts or self.works)


def read_limits(previews: Previews) -> AgeLimits:
    """Return the policy's limits; a form may replace them for one run."""
    return AgeLimits(previews.hibernate_after, previews.delete_after, previews.delete_notice, previews.keep_label)


def measure_activity(subject: Subject, now: datetime) -> datetime | None:
    """Return when the preview was last used, as far as anybody knows; a commit from the future tells nothing."""
    run_at = subject.use.run_at if subject.use is not None else None
    return max(filter(None, (_measure_outside(subject, now), run_at)), default=None)


def _measure_outside(subject: Subject, now: datetime) -> datetime | None:
    """Return the same without what the preview's own Airflow tells."""
    return max((at for _, at in _list_uses(subject, now)), default=None)


def _list_uses(subject: Subject, now: datetime) -> Iterator[tuple[str, datetime]]:
    """Yield what counts as use, in words, and when it was."""
    committed_at = subject.committed_at
    times = {
        "last push": committed_at if committed_at is not None and committed_at <= now else None,
        "created": subject.deployment.created_at,
        "last deploy": subject.history.active_at,
        "woken": subject.woken_at,
    }
    yield from ((what, at) for what, at in times.items() if at is not None)


def is_asked(subject: Subject, limits: AgeLimits, now: datetime) -> bool:
    """Whether the preview's Airflow is asked who works there: without that something would be decided about it."""
    if subject.committed_at is None or subject.deployment.problem or subject.in_flight:
        return False
    return not _describe_stay(subject, limits) and _is_due_outside(subject, limits, now)


def _is_due_outside(subject: Subject, limits: AgeLimits, now: datetime) -> bool:
    """Whether the preview would hibernate or be told of its delete, as if nobody ever started a run there."""
    used_at = _measure_outside(subject, now)
    spans = [
        *([limits.hibernate_after] if limits.hibernate_after is not None else []),
        *([limits.delete_after - limits.delete_notice] if limits.delete_after is not None else []),
    ]
    return used_at is not None and any(used_at + span <= now for span in spans)


def _describe_doubt(subject: Subject, limits: AgeLimits, now: datetime) -> str:
    """Return why somebody may work there now; of one that is not due nobody asks."""
    if subject.use is None or not _is_due_outside(subject, limits, now):
        return ""
    return subject.use.describe_doubt(subject.deployment)


def _find_delete(subject: Subject, limits: AgeLimits, now: datetime) -> tuple[datetime, datetime] | None:
    """Return when an unused preview is deleted, and from when on that is final: no run keeps it any longer.

    What its own Airflow tells, who pushes the branch may have it tell: it keeps the preview for as long again.
    """
    used_at, outside = measure_activity(subject, now), _measure_outside(subject, now)
    if limits.delete_after is None or used_at is None:
        return None
    at = used_at + limits.delete_after
    if subject.use is None or outside is None:
        return at, _NEVER
    final_at = outside + 2 * limits.delete_after
    return final_at if _describe_doubt(subject, limits, now) else min(at, final_at), final_at


def judge(
    subjects: Iterable[Subject],
    standing: Mapping[str, Verdict],
    limits: AgeLimits,
    *,
    run_id: str,
    now: datetime,
    asking: Collection[str] = (),
) -> Expiry:
    """Decide about every preview; the order of subjects does not matter.

    A standing verdict that nothing ended lives on, also one made under other limits. `asking` names the cleanup runs
    that wait for a person: what an ended run had asked about, and nobody answered, is as if this run had decided it.
    """
    verdicts: dict[str, Verdict] = {}
    findings: list[IdleFinding] = []
    fresh: set[str] = set()
    for subject in sorted(subjects, key=lambda each: (each.branch, each.deployment.id)):
        before = standing.get(subject.deployment.id)
        if subject.deployment.problem:  # what was decided waits until it can be looked at again
            verdicts |= {before.deployment_id: before} if before is not None else {}
            findings.append(_find(subject, None, limits, now))
            continue
        is_open = before is not None and before.standing is Standing.ASKED and before.run_id not in asking
        if before is not None and is_open:
            before = replace(before, standing=Standing.DUE, run_id=run_id)
        known = _find_standing(subject, before, limits, now)
        decided = None if known is not None and known.verb == DELETE else _decide(subject, limits, run_id, now)
        if decided is not None and known is not None and decided.verb == known.verb:
            decided = None  # it stands, and control knows of it
        verdict = decided or known
        if verdict is not None:
            verdicts[subject.deployment.id] = verdict
        if decided is not None or (known is not None and is_open):
            fresh.add(subject.deployment.id)
        findings.append(_find(subject, verdict, limits, now))
    return Expiry(verdicts, tuple(findings), frozenset(fresh))


def _find_standing(subject: Subject, known: Verdict | None, limits: AgeLimits, now: datetime) -> Verdict | None:
    """Return the verdict that stands from an earlier run; one that let the preview hibernate is done with.

    A delete that is long overdue stands no more: it is decided and told anew.
    """
    if known is None or _describe_stay(subject, limits) or known.is_overdue(now, limits.delete_notice):
        return None
    activity = _measure_outside(subject, now)
    ended = find_end(
        known,
        deployment_id=subject.deployment.id,
        head=subject.head,
        history=subject.history,
        woken_at=subject.woken_at,
    )
    if ended or (activity is not None and activity > known.decided_at) or _is_run_since(subject, known):
        return None
    is_done = subject.slept_at is not None and subject.slept_at > known.decided_at
    if known.verb == HIBERNATE and (is_done or is_asleep(subject.deployment)):
        return None
    return known


def _is_run_since(subject: Subject, known: Verdict) -> bool:
    """Whether a person started a run since what the verdict was made of."""
    run_at = subject.use.run_at if subject.use is not None else None
    return run_at is not None and run_at > known.idle_since and not known.is_final


def _describe_stay(subject: Subject, limits: AgeLimits) -> str:
    return subject.deployment.doubt or describe_exemption(subject.kept, subject.labels, limits.keep_label)


def _decide(subject: Subject, limits: AgeLimits, run_id: str, now: datetime) -> Verdict | None:
    """Return a new verdict, None where the preview stays as it is."""
    idle_since = measure_activity(subject, now)
    # What is not known is no reason: without the commit's age nothing counts as idle.
    if idle_since is None or subject.committed_at is None or subject.in_flight or _describe_stay(subject, limits):
        return None
    deletion = _find_delete(subject, limits, now)
    if deletion is not None and deletion[0] - limits.delete_notice <= now:
        verdict = _make_verdict(subject, idle_since, run_id, now)
        due_at = max(deletion[0], now + limits.delete_notice)
        is_final = due_at >= deletion[1]
        reason = f"{verdict.reason}{_say_final(subject, limits, now)}" if is_final else verdict.reason
        return replace(verdict, verb=DELETE, due_at=due_at, is_final=is_final, reason=reason)
    is_idle = limits.hibernate_after is not None and idle_since + limits.hibernate_after <= now
    if is_idle and can_hibernate(subject.deployment) and not _describe_doubt(subject, limits, now):
        return _make_verdict(subject, idle_since, run_id, now)
    return None


def _make_verdict(subject: Subject, idle_since: datetime, run_id: str, now: datetime) -> Verdict:
    """Return the verdict that it hibernates at once."""
    return Verdict(
        verb=HIBERNATE,
        branch=subject.branch,
        deployment_id=subject.deployment.id,
        deployment_name=subject.deployment.name,
        head=subject.head,
        observed=subject.history.newest_id,
        idle_since=idle_since,
        decided_at=now,
        due_at=now,
        reason=f"idle since {idle_since:%Y-%m-%d %H:%M} UTC{_say_counted(subject, now)}",
        run_id=run_id,
    )


def _say_counted(subject: Subject, now: datetime) -> str:
    """Return what counted as use; nothing where runs do not count, so that it is said as ever."""
    if subject.use is None:
        return ""
    what, at = max(_list_uses(subject, now), key=lambda use: use[1], default=("", None))
    told = [f"{what} {at:%Y-%m-%d %H:%M}"] if at is not None else []
    run_at = subject.use.run_at
    if run_at is not None:
        told.append(f"last run by a person {run_at:%Y-%m-%d %H:%M}")
    elif not subject.use.is_unasked:
        told.append("no run by a person")
    if subject.use.is_unasked:
        told.append(UNASKED)
    return f": {', '.join(told)}"


def _say_final(subject: Subject, limits: AgeLimits, now: datetime) -> str:
    """Return why its delete is final."""
    doubt = _describe_doubt(subject, limits, now)
    counted = f"{doubt}, which keeps" if doubt else "runs keep"
    return f"; {counted} it no longer: nothing was pushed, deployed or woken for twice delete_after"


def _find(subject: Subject, verdict: Verdict | None, limits: AgeLimits, now: datetime) -> IdleFinding:
    idle_since = measure_activity(subject, now)
    word, reason = _say_verdict(subject, verdict, now) if verdict else (KEEP, _say_stay(subject, limits, now))
    return IdleFinding(
        branch=subject.branch,
        deployment_id=subject.deployment.id,
        deployment_name=subject.deployment.name,
        author=subject.author,
        age=_since(subject.deployment.created_at, now),
        idle=_since(idle_since, now),
        verdict=word,
        reason=reason,
    )


def _since(time: datetime | None, now: datetime) -> timedelta | None:
    return None if time is None else max(now - time, timedelta())


def _say_verdict(subject: Subject, verdict: Verdict, now: datetime) -> tuple[str, str]:
    """Return the finding's word and reason for a verdict that stands."""
    if verdict.standing is Standing.REFUSED:
        return KEEP, f"its delete was refused by {verdict.person or 'a person'}, until something of it moves"
    if busy := _say_busy(subject) or find_use(verdict, verdict.verb, subject.use, subject.deployment):
        return KEEP, busy
    if verdict.verb == HIBERNATE:
        return HIBERNATE, verdict.reason
    when = f"{verdict.due_at:%Y-%m-%d %H:%M} UTC"
    if verdict.standing is Standing.ASKED:
        return TOLD, f"{verdict.reason}; not before {when}, and waits for approval in cleanup run {verdict.run_id}"
    if verdict.due_at <= now:
        return DELETE, f"{verdict.reason}; told at {verdict.decided_at:%Y-%m-%d %H:%M} UTC"
    return TOLD, f"{verdict.reason}; deleted at {when}"


def _say_stay(subject: Subject, limits: AgeLimits, now: datetime) -> str:
    """Return why a preview stays as it is."""
    if stay := _describe_stay(subject, limits) or _say_busy(subject):
        return stay
    if subject.committed_at is None:
        return f"when {subject.head[:12]} was committed is not known"
    if (idle_since := measure_activity(subject, now)) is None:
        return "when it was used is not known"
    if doubt := _describe_doubt(subject, limits, now):
        return f"{doubt}; active at {idle_since:%Y-%m-%d %H:%M} UTC{_say_counted(subject, now)}"
    is_idle = limits.hibernate_after is not None and idle_since + limits.hibernate_after <= now
    state = f"; {_say_awake(subject.deployment)}" if is_idle else ""
    return f"{_say_activity(subject, idle_since)}{state}"


def _say_activity(subject: Subject, idle_since: datetime) -> str:
    is_by_run = subject.use is not None and subject.use.run_at == idle_since
    return f"{'a person started a run' if is_by_run else 'active'} at {idle_since:%Y-%m-%d %H:%M} UTC"


def _say_busy(subject: Subject) -> str:
    return f"in flight: {subject.in_flight}" if subject.in_flight else ""


def _say_awake(deployment: Deployment) -> str:
    """Return why an idle preview is not let hibernate."""
    if is_asleep(deployment):
        return "it hibernates"
    if not deployment.is_development_mode:
        return "only Deployments in development mode can hibernate"
    if deployment.override.startswith("wake@"):
        return f"woken until {deployment.override.removeprefix('wake@')}"
    return f"it is {deployment.status.value}"


def foresee(subject: Subject, verdict: Verdict | None, limits: AgeLimits, cron: str, now: datetime) -> NextStep | None:
    """Return what cleanup does next with the preview if nobody uses it; None where nothing, or nobody can tell.

    :param cron: when cleanup runs, in UTC: nothing is decided at another time.
    """
    known = _find_standing(subject, verdict, limits, now)
    if known is not None and known.standing is Standing.REFUSED:
        return None
    if known is not None and known.verb == DELETE:
        waits = f"; it waits for approval in cleanup run {known.run_id}" if known.standing is Standing.ASKED else ""
        use = find_use(known, DELETE, subject.use, subject.deployment)
        return NextStep(DELETE, known.due_at, f"{known.reason}{waits}{f'; not while {use}' if use else ''}")
    if _describe_stay(subject, limits):
        return None
    if known is not None:
        return NextStep(HIBERNATE, known.due_at, known.reason)
    return min(_list_steps(subject, limits, cron, now), key=lambda step: step.at, default=None)


def _list_steps(subject: Subject, limits: AgeLimits, cron: str, now: datetime) -> Iterator[NextStep]:
    idle_since = measure_activity(subject, now)
    if idle_since is None or subject.committed_at is None:
        return
    doubt = _describe_doubt(subject, limits, now)
    reason = f"if nobody uses it; {f'{doubt}; ' if doubt else ''}{_say_activity(subject, idle_since)}"
    deployment = subject.deployment
    if limits.hibernate_after is not None and deployment.is_development_mode and not is_asleep(deployment):
        yield NextStep(HIBERNATE, _find_tick(cron, max(idle_since + limits.hibernate_after, now)), reason)
    if (deletion := _find_delete(subject, limits, now)) is not None:
        told_at = _find_tick(cron, max(deletion[0] - limits.delete_notice, now))
        yield NextStep(DELETE, max(deletion[0], told_at + limits.delete_notice), reason)


def _find_tick(cron: str, since: datetime) -> datetime:
    """Return cleanup's first run after a time."""
    tick: datetime = croniter(cron, since).get_next(datetime)
    return tick


def apply_brake(
    expiry: Expiry, braked: Sequence[Work], allowed: int, since: datetime = ALWAYS
) -> tuple[Expiry, Question]:
    """Return what is decided now, and the question that is asked past the brake.

    `braked` are the deletes that control's brake holds, `allowed` how many an hour may see. Past it none of this run's
    deletes may be done without a person's yes; hibernations, and what was decided before, are held up by nothing.

    What nobody used since the memory began (`since`, as in `Continuity`) may be kept by somebody who is forgotten: a
    person is asked, however few they are.
    """
    new = [expiry.verdicts[key] for key in sorted(expiry.fresh) if expiry.verdicts[key].verb == DELETE]
    works = [work for work in braked if work.deployment_id not in expiry.fresh]
    is_over = len(new) + len(works) > allowed
    chosen = [verdict for verdict in new if is_over or verdict.idle_since <= since]
    if not chosen and not is_over:
        return expiry, Question()
    asked = tuple(replace(verdict, standing=Standing.ASKED, reason=_tell_doubt(verdict, since)) for verdict in chosen)
    verdicts = {**expiry.verdicts, **{verdict.deployment_id: verdict for verdict in asked}}
    return replace(expiry, verdicts=verdicts), Question(asked, tuple(works) if is_over else ())


def _tell_doubt(verdict: Verdict, since: datetime) -> str:
    """Return the reason, with what may be forgotten of the preview."""
    if verdict.idle_since > since or DOUBT in verdict.reason:
        return verdict.reason
    return f"{verdict.reason}; {DOUBT} {since:%Y-%m-%d %H:%M} UTC: who kept it before may be forgotten"


def release(verdicts: Mapping[str, Verdict], question: Question, person: str, now: datetime) -> dict[str, Verdict]:
    """Return the verdicts after a yes: exactly those of the question that still stand as asked are released.

    What was due while the question waited is due now, and so not overdue.
    """
    answered = _answer(verdicts, question, Standing.RELEASED, person)
    return {
        key: verdict if verdict == verdicts[key] else replace(verdict, due_at=max(verdict.due_at, now))
        for key, verdict in answered.items()
    }


def refuse(verdicts: Mapping[str, Verdict], question: Question, person: str) -> dict[str, Verdict]:
    """Return the verdicts after a no: those of the question stay refused until something of them moves."""
    return _answer(verdicts, question, Standing.REFUSED, person)


def _answer(verdicts: Mapping[str, Verdict], question: Question, standing: Standing, person: str) -> dict[str, Verdict]:
    asked = {verdict.deployment_id: verdict for verdict in question.verdicts}
    return {
        key: replace(verdict, standing=standing, person=person) if asked.get(key) == verdict else verdict
        for key, verdict in verdicts.items()
    }
