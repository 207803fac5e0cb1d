"""What was found in a Deployment's Airflow → the verdict on the deploy record. Pure.

Failed is only what is shown not to work; whatever could not be seen leaves it unknown, and says why.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from include.deploy_ops.core.text.visible import reveal
from include.deploy_ops.core.verification.difference import DagDifference, compare_dags
from include.deploy_ops.core.verification.facts import AirflowFacts
from include.deploy_ops.core.verification.faults import list_failures, read_fault, tell_apart, tell_file
from include.deploy_ops.core.verification.parsing import ParseWatch, choose_current
from include.deploy_ops.core.verification.smoke import tell_run
from include.deploy_ops.core.verification.standing import NOT_VERIFIED
from include.deploy_ops.core.verification.verdict import BrokenFile, DagChange, Proof, SmokeOutcome, Verification

BROKEN_MAX, CHANGES_MAX, BEHIND_MAX = 20, 60, 20
"""Errors and DAGs that are kept of one verification: the errors that fail it come first."""

PART_BYTES_MAX = 8 * 1024
"""The most that is kept of each of these three, as JSON: a verdict lies in one key, and in its row."""

SAID_LENGTH_MAX = 300
NO_DAG = "its Airflow has no DAG of this deploy"

Found = TypeVar("Found", BrokenFile, DagChange)


@dataclass(frozen=True, slots=True)
class Findings:
    """What the looks at a Deployment's Airflow showed of what was deployed.

    `problem` says why that is not all that was to be seen, empty where it is; `lack` why nothing was compared.
    """

    broken: tuple[BrokenFile, ...] = ()
    difference: DagDifference = field(default_factory=DagDifference)
    problem: str = ""
    lack: str = ""


def find(
    watch: ParseWatch | None,
    facts: AirflowFacts | None,
    theirs: AirflowFacts | None,
    *,
    touched: Collection[str],
    problem: str = "",
    lack: str = "",
    is_public: bool = True,
) -> Findings:
    """Return what was found.

    :param facts: of the last look; None, as the watch, where there was none.
    :param theirs: of the Deployment that is compared with; None where none is.
    :param touched: files below the DAG folder that the change is about.
    :param problem: why the looks ended early, empty where all is parsed.
    :param lack: why there is nothing to compare with although there should be, empty otherwise.
    :param is_public: whether strangers read it.
    """
    if watch is None or facts is None:
        return Findings(problem=problem)
    current = choose_current(watch, facts)
    if not problem and not current.dags and not current.faults:
        problem = NO_DAG
    if not problem and facts.faults_left:
        problem = f"{facts.faults_left} more import errors were not read"
    if not lack and theirs is not None and theirs.faults_left:
        lack = f"{theirs.faults_left} more import errors there were not read"
    broken = (read_fault(each, is_public=is_public) for each in current.faults)
    told = tell_apart(broken, theirs.faults if theirs else (), ())
    own = {tell_file(each) for each in touched}
    if lack and (strange := [each for each in told if each.file not in own and not each.is_shared]):
        problem = problem or f"{_count(len(strange))} in files that did not change, and {lack}"
        told = tuple(replace(each, is_shared=each.is_shared or each in strange) for each in told)
    # A DAG of a file that was not heard yet is not gone.
    is_compared = theirs is not None and not problem
    difference = compare_dags(current, theirs, touched) if theirs is not None and is_compared else DagDifference()
    return Findings(told, difference, problem, lack)


def judge_findings(
    findings: Findings,
    deploy_id: str,
    commit: str,
    at: datetime,
    seconds: float = 0.0,
    *,
    fails: bool = True,
    compared: str = "",
) -> Verification:
    """Return the verdict.

    :param findings: with what is muted and shared.
    :param fails: whether an import error fails the verification.
    :param compared: the target that it was compared with, empty for none.
    """
    failing = list_failures(findings.broken) if fails else ()
    if failing:
        proof, said = Proof.FAILED, _count(len(failing))
    elif findings.problem:
        proof, said = Proof.UNKNOWN, f"{NOT_VERIFIED}: {findings.problem}"
    else:
        proof, said = Proof.VERIFIED, _tell_verified(findings.broken)
    said += f"; {findings.lack}" if findings.lack and findings.lack not in said else ""
    ordered = sorted(findings.broken, key=lambda each: (each.is_muted or each.is_shared, each.file))
    return Verification(
        deploy_id,
        commit,
        proof,
        at,
        cut_said(said),
        round(seconds, 1),
        _take(ordered, BROKEN_MAX),
        _take(findings.difference.changes, CHANGES_MAX),
        _take(findings.difference.behind, BEHIND_MAX),
        compared,
    )


def tell_errors(verification: Verification) -> str:
    """Return the verdict with what fails it, a line each: file, line and error, or a run's last words."""
    runs = [tell_run(run) for run in verification.runs if run.outcome is SmokeOutcome.FAILED]
    told = [*map(tell_error, list_failures(verification.broken)), *runs]
    is_said = any(line.startswith(verification.said) for line in told)
    return "\n".join(told if is_said else [verification.said, *told])


def tell_error(broken: BrokenFile) -> str:
    """Return one error in a line."""
    line = f", line {broken.line}" if broken.line else ""
    notes = [*(["muted"] if broken.is_muted else []), *(["not of this change"] if broken.is_shared else [])]
    return f"dags/{broken.file}{line}: {broken.error}" + (f" ({', '.join(notes)})" if notes else "")


def tell_changes(verification: Verification) -> tuple[str, ...]:
    """Return which DAGs are new, gone, changed or not known by the change, a line each, and which differ besides."""
    found: dict[str, list[str]] = {}
    for each in verification.changes:
        found.setdefault(each.what, []).append(f"{each.dag_id} ({each.how})" if each.how else each.dag_id)
    if verification.behind:
        found[f"otherwise than in {verification.compared}"] = [
            f"{each.dag_id} ({each.what})" for each in verification.behind
        ]
    return tuple(f"{what}: {', '.join(names)}" for what, names in found.items())


def _count(number: int) -> str:
    return f"{number} import error{'s' * (number != 1)}"


def _tell_verified(broken: Sequence[BrokenFile]) -> str:
    """Return the word of success, and what stands beside it."""
    counts = {
        "muted": sum(each.is_muted for each in broken),
        "not of this change": sum(each.is_shared and not each.is_muted for each in broken),
        "reported only": len(list_failures(broken)),
    }
    return ", ".join(["verified", *(f"{_count(number)} {what}" for what, number in counts.items() if number)])


def _take(found: Sequence[Found], count_max: int) -> tuple[Found, ...]:
    """Return the first ones that fit."""
    kept: list[Found] = []
    room = PART_BYTES_MAX
    for each in found[:count_max]:
        room -= len(json.dumps(asdict(each)))
        if room < 0:
            break
        kept.append(each)
    return tuple(kept)


def cut_said(text: str) -> str:
    """Return a verdict as the one line that is kept of it."""
    line = reveal(" ".join(text.split()))
    return line if len(line) <= SAID_LENGTH_MAX else f"{line[: SAID_LENGTH_MAX - 1]}…"


def mask_findings(findings: Findings, mask: Callable[[str], str]) -> Findings:
    """Return the findings without what looks like a secret: an exception may quote one."""

    def clean(changes: Sequence[DagChange]) -> tuple[DagChange, ...]:
        return tuple(replace(each, dag_id=mask(each.dag_id), how=mask(each.how)) for each in changes)

    difference = findings.difference
    return Findings(
        tuple(replace(each, file=mask(each.file), error=mask(each.error)) for each in findings.broken),
        replace(
            difference,
            changes=clean(difference.changes[:CHANGES_MAX]),  # what is more is kept nowhere
            behind=clean(difference.behind[:BEHIND_MAX]),
        ),
        mask(findings.problem),
        mask(findings.lack),
    )
