"""Check runs, and the same as jobs of a workflow run, in GitHub's JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.github.shapes.accounts import build_node_id, format_time
from sandbox.github.shapes.repositories import build_minimal_repository

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.github.records import CheckRun
    from sandbox.github.repository import Repository
    from sandbox.github.urls import Urls

WORKFLOW = 1
"""The id of the one workflow."""


def build_check_run(urls: Urls, run: CheckRun) -> dict[str, Any]:
    """Build GitHub's `check-run`."""
    api = urls.build_api("check-runs", run.id)
    return {
        **_build_progress(run),
        "id": run.id,
        "node_id": build_node_id("CheckRun", run.id),
        "name": run.name,
        "head_sha": run.sha,
        "external_id": None,
        "url": api,
        "html_url": urls.build_html("runs", run.id),
        "details_url": urls.build_html("runs", run.id),
        "output": {
            **dict.fromkeys(("title", "summary", "text")),
            "annotations_count": 0,
            "annotations_url": f"{api}/annotations",
        },
        "check_suite": {"id": run.workflow_run},
        "app": None,
        "pull_requests": [],
    }


def build_job(urls: Urls, run: CheckRun) -> dict[str, Any]:
    """Build GitHub's `job`."""
    return {
        **_build_progress(run),
        "id": run.id,
        "run_id": run.workflow_run,
        "run_url": urls.build_api("actions", "runs", run.workflow_run),
        "node_id": build_node_id("Job", run.id),
        "head_sha": run.sha,
        "head_branch": None,
        "url": urls.build_api("actions", "jobs", run.id),
        "html_url": urls.build_html("runs", run.id),
        "created_at": format_time(run.started_at),
        "name": run.name,
        "check_run_url": urls.build_api("check-runs", run.id),
        "labels": [],
        "workflow_name": "CI",
        **dict.fromkeys(("runner_id", "runner_name", "runner_group_id", "runner_group_name")),
    }


def build_workflow_run(repository: Repository, runs: Sequence[CheckRun]) -> dict[str, Any]:
    """Build GitHub's `workflow-run`, whose jobs are these check runs of one commit."""
    urls, first = repository.urls, runs[0]
    api = urls.build_api("actions", "runs", first.workflow_run)
    is_over = all(run.status == "completed" for run in runs)
    is_green = all(run.conclusion in {"success", "neutral", "skipped"} for run in runs)
    parts = ("jobs", "logs", "artifacts", "cancel", "rerun")
    return {
        "id": first.workflow_run,
        "name": "CI",
        "node_id": build_node_id("WorkflowRun", first.workflow_run),
        "head_branch": None,
        "head_sha": first.sha,
        "path": ".github/workflows/ci.yml",
        "display_title": "CI",
        "run_number": first.workflow_run,
        "event": "push",
        "status": "completed" if is_over else "in_progress",
        "conclusion": ("success" if is_green else "failure") if is_over else None,
        "workflow_id": WORKFLOW,
        "workflow_url": urls.build_api("actions", "workflows", WORKFLOW),
        "url": api,
        "html_url": urls.build_html("actions", "runs", first.workflow_run),
        "pull_requests": [],
        "created_at": format_time(first.started_at),
        "updated_at": format_time(max(run.completed_at or run.started_at for run in runs)),
        **{f"{part}_url": f"{api}/{part}" for part in parts},
        "check_suite_url": urls.build_api("check-suites", first.workflow_run),
        "head_commit": None,
        **dict.fromkeys(("repository", "head_repository"), build_minimal_repository(repository)),
    }


def _build_progress(run: CheckRun) -> dict[str, Any]:
    return {
        "status": run.status,
        "conclusion": run.conclusion,
        "started_at": format_time(run.started_at),
        "completed_at": format_time(run.completed_at) if run.completed_at else None,
    }
