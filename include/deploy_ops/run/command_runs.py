"""When the commands DAG starts: whether somebody's words wait for an answer, and the one run that reads them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.feedback.commands import list_waiting
from include.deploy_ops.core.naming import hash_text, name_run, read_attempt
from include.deploy_ops.run.airflow_runs import QUEUED, Runs
from include.deploy_ops.run.memory import Claim

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from include.deploy_ops.core.feedback.commands import Comment
    from include.deploy_ops.run.memory import Memory
    from include.deploy_ops.run.scope import Scope

AGAIN, AGAIN_MAX = timedelta(minutes=2), timedelta(hours=6)
"""After which the same words are tried again: that long at first, then twice as long each time."""


def dispatch_commands(
    scope: Scope, said: Iterable[Comment], memory: Memory, runs: Runs, since: datetime, now: datetime
) -> tuple[list[dict[str, Any]], bool]:
    """Return the dispatch of a run that answers what waits, and whether a later pass has to look whether it did.

    Nothing is dispatched while a run is queued, which will read the newest words, or the same ones were tried lately.

    :param said: the newest comments of the repository.
    :param runs: answers about the commands DAG's runs.
    """
    settled = memory.heard.read().settled
    waiting = list_waiting(said, settled, since, now, scope.project.name, scope.listeners)
    if not waiting:
        return [], False
    if runs.find_block():
        return [], False  # nobody is to be heard: whoever unpauses the DAG is heard with the next pass
    work = f"hear~{hash_text(' '.join(str(each.id) for each in waiting), 12)}"
    last = memory.commands_run.read()
    attempt = read_attempt(work, last.run_id) if last else 0
    if last is not None and (runs.is_alive(last.run_id, QUEUED) or (attempt and runs.is_alive(last.run_id))):
        return [], True
    if last is not None and attempt and now < last.at + min(AGAIN_MAX, AGAIN * 2 ** min(attempt - 1, 10)):
        return [], True
    run_id = name_run(work, runs.find_last_attempts({work: attempt})[work] + 1)
    memory.commands_run.write(Claim(run_id, now))
    return [{"trigger_dag_id": scope.commands_dag, "trigger_run_id": run_id, "conf": {}}], True
