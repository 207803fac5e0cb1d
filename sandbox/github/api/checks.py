"""Check runs of a commit, and the same checks as GitHub Actions lists them: one workflow run a commit, a job a check.

Nothing here runs: the control face says how a check stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.github.records import CheckRun
from sandbox.github.refs import resolve_commit
from sandbox.github.rest import Answer, Call, Handler, build_not_found, paginate
from sandbox.github.shapes.checks import build_check_run, build_job, build_workflow_run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandbox.github.repository import Repository
    from sandbox.github.rest import Item

STATUSES = ("queued", "in_progress", "waiting", "requested", "pending")
CONCLUSIONS = ("success", "failure", "neutral", "cancelled", "skipped", "timed_out", "action_required")


def set_check(repository: Repository, sha: str, name: str, state: str) -> None:
    """Let a check on a commit have this state: one of `STATUSES` while it runs, one of `CONCLUSIONS` once it ended."""
    known = next((run for run in _list_of(repository, sha) if run.name == name), None)
    run = known or CheckRun(repository.allot_id(), sha, name, _find_workflow_run(repository, sha))
    run.move(state, is_over=state in CONCLUSIONS)
    if known is None:
        repository.check_runs.append(run)


def list_check_runs(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/commits/{ref}/check-runs."""
    repository = call.repository
    sha = resolve_commit(repository.git, call.path["ref"])
    if sha is None:
        raise build_not_found()
    runs = _list_of(repository, sha)
    return _paginate(call, "check_runs", runs, lambda run: build_check_run(repository.urls, run))


def list_workflow_runs(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/actions/runs, newest first."""
    repository, sha = call.repository, call.query.get("head_sha")
    commits = dict.fromkeys(run.sha for run in reversed(repository.check_runs) if sha in {None, run.sha})
    runs = [_list_of(repository, commit) for commit in commits]
    return _paginate(call, "workflow_runs", runs, lambda each: build_workflow_run(repository, each))


def list_jobs(call: Call) -> Answer:
    """GET /repos/{owner}/{repo}/actions/runs/{run_id}/jobs."""
    repository, number = call.repository, call.read_number("run_id")
    runs = [run for run in repository.check_runs if run.workflow_run == number]
    if not runs:
        raise build_not_found()
    return _paginate(call, "jobs", runs, lambda run: build_job(repository.urls, run))


def _list_of(repository: Repository, sha: str) -> list[CheckRun]:
    return [run for run in repository.check_runs if run.sha == sha]


def _find_workflow_run(repository: Repository, sha: str) -> int:
    return next((run.workflow_run for run in _list_of(repository, sha)), None) or repository.allot_id()


def _paginate(call: Call, key: str, items: Sequence[Item], render: Callable[[Item], object]) -> Answer:
    page = paginate(call, items, render)
    return Answer({"total_count": len(items), key: page.data}, total=page.total)


ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/commits/{ref:path}/check-runs", list_check_runs),
    ("GET", "/actions/runs", list_workflow_runs),
    ("GET", "/actions/runs/{run_id}/jobs", list_jobs),
]
