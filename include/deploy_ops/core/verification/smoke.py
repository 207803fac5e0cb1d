"""Which DAGs are started to prove a deploy, whether each may be, and what became of their runs. Pure.

A smoke run is a run of a DAG of the deploy itself, by a run id that tells the deploy record and the attempt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from include.deploy_ops.core.naming import OWN_RUN_START
from include.deploy_ops.core.text.visible import reveal
from include.deploy_ops.core.verification.facts import AirflowDag
from include.deploy_ops.core.verification.standing import BEING_VERIFIED, NOT_VERIFIED
from include.deploy_ops.core.verification.verdict import Proof, SmokeOutcome, SmokeRun, Verification

SMOKE_MAX, CANDIDATES_MAX = 10, 20
"""DAGs that are started for one deploy, and that are named as matching."""

RUNS_BYTES_MAX = 8 * 1024
"""The most that is kept of the runs, as JSON: the verdict lies in one key, and in its row."""

UNMATCHED = "no DAG of this deploy has such an id"
"""Told where all is told, and not in the verdict's line: a pattern may be about DAGs that few branches have."""
LINES_MAX, LINE_LENGTH_MAX = 5, 200
"""Of a failed task's log, its end."""
HOW_LENGTH_MAX = 200
SAID_RUNS_MAX, SAID_LENGTH_MAX = 3, 300
"""Runs that the verdict's line names, and its characters."""

HAS_SCHEDULE = "it has a schedule, which would start at once if it were unpaused"
IS_PAUSED = "it is paused, and nothing is unpaused there"
IS_GONE = "it is not there any more"
NO_MANUAL = "its manual runs are switched off"
IS_FULL = "it has as many runs as its max_active_runs lets it have"
UNASKABLE = "its id is none of Airflow's, or holds a value that nothing may tell"
NEVER_BEGAN = "its run did not begin in time"

_ID = re.compile(r"[\w.~:+-]{1,250}")
_FOLDS = ("::group::", "::endgroup::")
"""What Airflow logs for its UI to fold."""
_NAMELESS = frozenset({".", "..", "~"})
"""What an address would take for something else; Airflow reads `~` as all."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A DAG that the policy wants to be started, as the look that found all parsed had it."""

    dag_id: str
    is_paused: bool
    is_scheduled: bool


@dataclass(frozen=True, slots=True)
class Start:
    """A run that shall be: `may_unpause` where the intent to unpause the DAG is stored."""

    dag_id: str
    run_id: str
    conf: Mapping[str, Any] = field(default_factory=dict)
    may_unpause: bool = False


@dataclass(frozen=True, slots=True)
class StartFacts:
    """What decides whether a DAG may be started: `busy` runs of it are at work, of `max_active_runs` (None: any)."""

    is_paused: bool
    is_scheduled: bool
    max_active_runs: int | None = None
    busy: int = 0
    is_manual: bool = True


@dataclass(frozen=True, slots=True)
class RunFacts:
    """How a run goes: Airflow's word for its state, and the seconds that it took, once it ended."""

    state: str
    seconds: float = 0.0

    @property
    def is_over(self) -> bool:
        """Whether it ended."""
        return self.state in {"success", "failed"}


@dataclass(frozen=True, slots=True)
class FailedTask:
    """A task that failed, by its last try."""

    task_id: str
    map_index: int
    try_number: int


def is_askable(name: str) -> bool:
    """Whether the id of a DAG, run or task may stand in an address: it is one of Airflow's, and means nothing else."""
    return bool(_ID.fullmatch(name)) and name not in _NAMELESS


def name_run(deploy_id: str, attempt: int) -> str:
    """Return the run id: whoever tries again finds the run, whoever asks anew makes another."""
    return f"{OWN_RUN_START}smoke~{re.sub(r'[^A-Za-z0-9_.-]', '_', deploy_id)[:150]}~{attempt}"


def count_attempt(known: Verification | None, deploy_id: str) -> int:
    """Return which attempt at the record it is, from 1: one that ended without an answer goes on."""
    if known is None or known.deploy_id != deploy_id:
        return 1
    is_open = known.proof is Proof.PENDING or known.again.startswith(BEING_VERIFIED)
    return max(known.attempt, 1) if is_open else known.attempt + 1


def find_candidates(patterns: Sequence[str], dags: Iterable[AirflowDag]) -> tuple[Candidate, ...]:
    """Return the DAGs that the patterns match, those that never are unpaused last; stale ones are none.

    Of very many the first ones, and one of each pattern that has any.
    """
    found = [
        Candidate(dag.dag_id, dag.is_paused, dag.schedule not in {"", "None"})
        for dag in dags
        if not dag.is_stale and any(fnmatchcase(dag.dag_id, pattern) for pattern in patterns)
    ]
    found.sort(key=lambda each: (each.is_paused and each.is_scheduled, each.dag_id))
    firsts = [next((each for each in found if fnmatchcase(each.dag_id, pattern)), None) for pattern in patterns]
    return tuple(dict.fromkeys([*found[:CANDIDATES_MAX], *filter(None, firsts)]))


def plan_runs(
    rules: Sequence[tuple[str, Mapping[str, Any]]], candidates: Sequence[Candidate], run_id: str, *, may_unpause: bool
) -> tuple[tuple[Start, ...], tuple[SmokeRun, ...]]:
    """Return what to start, and what not, with the reason. The first rule that matches gives the conf.

    :param rules: a pattern for ids of DAGs, and the conf of their runs.
    :param candidates: what the rules matched, at the latest look.
    :param run_id: of each of the runs.
    :param may_unpause: whether a paused DAG may be unpaused there: never one with a schedule.
    """
    starts: list[Start] = []
    skipped: list[SmokeRun] = []
    for each in candidates:
        if why := _refuse(each, len(starts), may_unpause=may_unpause):
            skipped.append(skip(each.dag_id, why))
            continue
        conf = next((conf for pattern, conf in rules if fnmatchcase(each.dag_id, pattern)), {})
        starts.append(Start(each.dag_id, run_id, conf, may_unpause and each.is_paused))
    skipped += [
        skip(pattern, UNMATCHED)
        for pattern, _ in rules
        if not any(fnmatchcase(each.dag_id, pattern) for each in candidates)
    ]
    return tuple(starts), tuple(skipped)


def _refuse(candidate: Candidate, begun: int, *, may_unpause: bool) -> str:
    if not is_askable(candidate.dag_id):
        return UNASKABLE
    if candidate.is_paused and (candidate.is_scheduled or not may_unpause):
        return HAS_SCHEDULE if candidate.is_scheduled else IS_PAUSED
    return f"no more than {SMOKE_MAX} are started" if begun >= SMOKE_MAX else ""


def refuse_start(start: Start, facts: StartFacts | None) -> str:
    """Return why the DAG, as it is right before, is not started; empty where it is."""
    if facts is None:
        return IS_GONE
    if not facts.is_manual:
        return NO_MANUAL
    if facts.is_paused and facts.is_scheduled:
        return HAS_SCHEDULE
    if facts.is_paused and not start.may_unpause:
        return IS_PAUSED
    return IS_FULL if facts.max_active_runs is not None and facts.busy >= facts.max_active_runs else ""


def skip(dag_id: str, why: str) -> SmokeRun:
    """Return that a DAG was not started, which fails nothing."""
    return SmokeRun(dag_id, SmokeOutcome.SKIPPED, why[:HOW_LENGTH_MAX])


def doubt_run(dag_id: str, why: str) -> SmokeRun:
    """Return that nobody knows whether the DAG works."""
    return SmokeRun(dag_id, SmokeOutcome.UNKNOWN, why[:HOW_LENGTH_MAX])


def conclude_run(start: Start, run: RunFacts | None, *, late_s: float | None) -> SmokeRun | None:
    """Return what became of the run; None while it goes on.

    :param run: None where it is gone.
    :param late_s: after how many seconds the time is over, None while it is not.
    """
    if run is None:
        return doubt_run(start.dag_id, "its run is gone: somebody deleted it")
    if run.is_over:
        outcome = SmokeOutcome.SUCCESS if run.state == "success" else SmokeOutcome.FAILED
        return SmokeRun(start.dag_id, outcome, "", round(run.seconds, 1))
    if late_s is None:
        return None
    if run.state == "queued":
        return doubt_run(start.dag_id, NEVER_BEGAN)
    return SmokeRun(start.dag_id, SmokeOutcome.FAILED, "it did not end in time", round(late_s, 1))


def take_lines(log: str) -> tuple[str, ...]:
    """Return a log's last lines, each cut and on one line: a stranger wrote them."""
    lines = [" ".join(line.split()) for line in log.splitlines()]
    kept = [line for line in lines if line and not line.startswith(_FOLDS)]
    return tuple(reveal(line[:LINE_LENGTH_MAX]) for line in kept[-LINES_MAX:])


def settle_runs(verification: Verification, runs: Sequence[SmokeRun], seconds: float) -> Verification:
    """Return the verdict with what its smoke runs came to: one that failed fails it, one in doubt leaves it open.

    :param verification: of a deploy whose import errors fail nothing.
    :param seconds: what waiting for the runs took, which is added.
    """
    order = (SmokeOutcome.FAILED, SmokeOutcome.UNKNOWN, SmokeOutcome.SUCCESS, SmokeOutcome.SKIPPED)
    ordered = tuple(sorted(runs, key=lambda run: (order.index(run.outcome), run.dag_id)))
    failed = [run for run in ordered if run.outcome is SmokeOutcome.FAILED]
    doubted = [run for run in ordered if run.outcome is SmokeOutcome.UNKNOWN]
    unsettled = (SmokeOutcome.UNKNOWN, SmokeOutcome.SKIPPED)
    told = failed or [run for run in ordered if run.outcome in unsettled and run.how != UNMATCHED]
    said = _join([_say(run) for run in told])
    proof = Proof.FAILED if failed else Proof.UNKNOWN if doubted else verification.proof
    if not failed:
        said = f"{NOT_VERIFIED}: {said}" if doubted else ", ".join(filter(None, (verification.said, said)))
    return replace(
        verification,
        proof=proof,
        said=said if len(said) <= SAID_LENGTH_MAX else f"{said[: SAID_LENGTH_MAX - 1]}…",
        runs=_fit(ordered),
        seconds=round(verification.seconds + seconds, 1),
    )


def _fit(runs: Sequence[SmokeRun]) -> tuple[SmokeRun, ...]:
    """Return as many runs as there is room for, those with little room left without their lines."""
    kept: list[SmokeRun] = []
    room = RUNS_BYTES_MAX
    for run in runs:
        each = run if _measure(run) <= room else replace(run, lines=())
        room -= _measure(each)
        if room < 0:
            break
        kept.append(each)
    return tuple(kept)


def _measure(run: SmokeRun) -> int:
    return len(json.dumps([run.dag_id, run.how, run.task, *run.lines])) + 100


def tell_run(run: SmokeRun) -> str:
    """Return what became of a run, in a line, and below it what its failed task logged last."""
    task = f", task {run.task}" if run.task else ""
    return "\n".join([f"{_say(run)}{task}", *(f"  {line}" for line in run.lines)])


def mask_run(run: SmokeRun, mask: Callable[[str], str]) -> SmokeRun:
    """Return the run without what looks like a secret, and without what changes how a text is shown."""

    def clean(text: str) -> str:
        return reveal(mask(text))

    lines = tuple(clean(line) for line in run.lines)
    return replace(run, dag_id=clean(run.dag_id), how=clean(run.how), task=clean(run.task), lines=lines)


def _say(run: SmokeRun) -> str:
    how = f": {run.how}" if run.how else ""
    if run.outcome is SmokeOutcome.SKIPPED:
        return f"{run.dag_id} not run{how}"
    if run.outcome is SmokeOutcome.UNKNOWN:
        return f"{run.dag_id} not seen to work{how}"
    what = "failed" if run.outcome is SmokeOutcome.FAILED else "succeeded"
    return f"{run.dag_id} {what} after {run.seconds:.0f} s{how}"


def _join(said: Sequence[str]) -> str:
    more = len(said) - SAID_RUNS_MAX
    return "; ".join([*said[:SAID_RUNS_MAX], *([f"{more} more"] if more > 0 else [])])
