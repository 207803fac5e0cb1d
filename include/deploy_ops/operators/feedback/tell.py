"""The one step of the feedback DAG: read the rows that control wrote, and tell GitHub what it does not know yet."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowSkipException

from include.deploy_ops.core.feedback.comparison import compare_feedback
from include.deploy_ops.core.feedback.values import Facts, gather_facts
from include.deploy_ops.core.text.plain import write_items
from include.deploy_ops.operators.base import DeployOpsOperator, RenderedField, tell_failures
from include.deploy_ops.operators.feedback.writer import FeedbackResult, FeedbackWriter, read_clock
from include.deploy_ops.run.feedback_runs import name_view
from include.deploy_ops.run.job import PLANNED_RUN_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow.sdk import Context

    from include.deploy_ops.hooks.github.feedback import GithubFeedbackHook
    from include.deploy_ops.run.scope import Scope


def find_airflow_url() -> str:
    """Return where people open this Airflow, empty where it was not told."""
    return str(conf.get("api", "base_url", fallback="") or "")


def read_facts(scope: Scope, web_url: str, access: str = "") -> Facts:
    """Return what feedback knows of the project besides its rows; also for whoever only asks what is missing.

    :param web_url: the repository's page.
    :param access: a fingerprint of the token, empty where nobody looked at it.
    """
    return gather_facts(
        scope.project,
        scope.control_plane,
        is_alone=not scope.shares_repository,
        airflow_url=find_airflow_url(),
        web_url=web_url,
        access=access,
    )


class TellOperator(DeployOpsOperator):
    """Tells GitHub; what it told is the rendered field `report`."""

    report = RenderedField()

    @functools.cached_property
    def feedback(self) -> GithubFeedbackHook:
        """The project's repository, for comments, commit statuses and GitHub Deployments."""
        from include.deploy_ops.hooks.github.feedback import GithubFeedbackHook

        return GithubFeedbackHook(self.scope.project.github_conn_id, self.scope.project.repository)

    @tell_failures
    def execute(self, context: Context) -> dict[str, int]:
        """Return how many writes were done, refused, and left to the next run."""
        memory = self.memory(context)
        summary = memory.summary.read()  # before the rows, so that they are at least as new
        if summary is None:  # a memory that was lost is no fleet that is gone
            raise AirflowSkipException(
                "control has made no pass yet, as far as anybody remembers; it starts a run then"
            )
        rows, awaited = memory.read_rows(), tuple(memory.read_awaited().values())
        if self.scope.is_dry:
            facts = replace(read_facts(self.scope, self.feedback.repository_url), awaited=awaited)
            missing = compare_feedback(rows, memory.feedback.read(), facts, read_clock()).writes
            self.report = render_report(FeedbackResult(told=[str(write) for write in missing]), verb="Would tell")
            self.refuse_dry(None, f"tell GitHub {len(missing)} things")
        facts = read_facts(self.scope, self.feedback.repository_url, self.feedback.fingerprint_access())
        writer = FeedbackWriter(self.feedback, memory, replace(facts, awaited=awaited))
        try:
            result = writer.write(rows, is_fresh=context["dag_run"].run_type != PLANNED_RUN_TYPE)
        finally:
            self.report = render_report(writer.result)
        if not result.waiting:
            memory.feedback_view.write(name_view(self.scope, summary.digests))
        for line in result.told:
            self.log.info("told: %s", line)
        return {"told": len(result.told), "refused": len(result.refused), "waiting": result.waiting}


def render_report(result: FeedbackResult, verb: str = "Told") -> str:
    """Return what a run told as a page."""
    parts = [
        *_render_list(f"{verb} {len(result.told)}", result.told),
        *_render_list("Permissions that are missing", result.lacking.values()),
        *_render_list("GitHub refuses", result.refused),
        *_render_list("Failed, the next run tries again", result.failed),
    ]
    if result.waiting:
        parts.append(f"{result.waiting} wait for the next run: {result.pause or 'this one was stopped'}.")
    return "\n".join(parts)


def _render_list(title: str, lines: Iterable[str]) -> list[str]:
    shown = write_items(lines)
    return [title, *shown, ""] if shown else []
