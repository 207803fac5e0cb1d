"""When the feedback DAG starts: which view of the rows is untold, and the one run that tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.feedback.comparison import digest_view
from include.deploy_ops.core.feedback.values import fingerprint_feedback
from include.deploy_ops.core.naming import name_run, read_attempt
from include.deploy_ops.run.airflow_runs import QUEUED, Runs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from include.deploy_ops.run.memory import Memory
    from include.deploy_ops.run.scope import Scope


def find_untold(scope: Scope, memory: Memory, digests: Mapping[str, str], now: datetime) -> str:
    """Return the digest of the view that a run of the feedback DAG should tell now; empty if none should.

    Cheap: it compares two texts, and renders nothing.

    :param digests: of the shards of rows, as `Memory.write_rows` returned them.
    """
    digest = _find_view(scope, memory, digests)
    return digest if digest and memory.budget.read().is_due(now) else ""


def is_untold(scope: Scope, memory: Memory, digests: Mapping[str, str]) -> bool:
    """Whether GitHub is still to be told of the rows, now or later."""
    return bool(_find_view(scope, memory, digests))


def _find_view(scope: Scope, memory: Memory, digests: Mapping[str, str]) -> str:
    """Return the digest of the view that is untold, empty if none is."""
    if scope.is_dry or not scope.project.feedback.is_on:
        return ""
    digest = name_view(scope, digests)
    return digest if digest != memory.feedback_view.read() else ""


def dispatch_feedback(
    scope: Scope, memory: Memory, runs: Runs, digests: Mapping[str, str], now: datetime
) -> list[dict[str, Any]]:
    """Return the dispatch of a run that tells GitHub; nothing while one is queued, which will tell the newest view.

    :param runs: answers about the feedback DAG's runs.
    """
    digest = find_untold(scope, memory, digests, now)
    if not digest or runs.find_block():
        return []
    work = f"tell~{digest}"
    last = memory.feedback_run.read()
    attempt = runs.find_last_attempts({work: read_attempt(work, last)})[work]
    if (last and runs.is_alive(last, QUEUED)) or (attempt and runs.is_alive(name_run(work, attempt))):
        return []
    run_id = name_run(work, attempt + 1)
    memory.feedback_run.write(run_id)
    return [{"trigger_dag_id": scope.feedback_dag, "trigger_run_id": run_id, "conf": {}}]


def name_view(scope: Scope, digests: Mapping[str, str]) -> str:
    """Return the digest of what is to be told: of the rows, and of the policy's part in it."""
    return digest_view(digests, fingerprint_feedback(scope.project, is_alone=not scope.shares_repository))
