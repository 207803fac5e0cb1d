"""Who is asked whether somebody works in a preview, and what a run that writes nothing goes by instead."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from include.deploy_ops.core.cleanup.expiry import UNASKED, Subject, judge
from include.deploy_ops.core.cleanup.use import Use
from include.deploy_ops.observation.uses import UseObserver
from include.deploy_ops.run.memory import Memory
from tests.worlds.doubles.airflow import DictStore
from tests.worlds.values.examples import make_project
from tests.worlds.values.subjects import DAY, LIMITS, make_subject

NOW = datetime.now(UTC)


class Untouchable:
    """An Astro at which nothing may be written, nor read."""

    astro_conn_id = "astro_default"

    def create_deployment_token(self, deployment_id: str) -> None:
        raise AssertionError(f"a token for {deployment_id} is minted")


def learn_dry(memory: Memory, subject: Subject) -> Subject:
    project = make_project(previews={"activity": ("deploys", "runs")})
    scope = SimpleNamespace(project=project, previews=project.previews)
    observer = UseObserver(scope, Untouchable(), memory, NOW, is_dry=True)  # type: ignore[arg-type]  # as far as used
    (seen,) = observer.learn([subject], LIMITS, {subject.deployment.id})
    return seen


def test_a_dry_run_that_may_mint_no_token_tells_what_happens_unless_somebody_works_there() -> None:
    seen = learn_dry(Memory(DictStore()), make_subject("dev-a", 5 * DAY, NOW))
    (finding,) = judge([seen], {}, LIMITS, run_id="run", now=NOW).findings
    assert finding.verdict == "hibernate"
    assert finding.reason.endswith(f", {UNASKED}")


def test_a_run_that_was_told_before_counts_in_a_dry_run() -> None:
    memory, subject = Memory(DictStore()), make_subject("dev-a", 5 * DAY, NOW)
    told = Use(NOW - timedelta(hours=2), NOW - timedelta(hours=3), problem="no answer")
    memory.uses.write({}, {subject.deployment.id: told})
    seen = learn_dry(memory, subject)
    assert seen.use == replace(told, asked_at=NOW, problem="", is_unasked=True)
    (finding,) = judge([seen], {}, LIMITS, run_id="run", now=NOW).findings
    assert (finding.verdict, finding.reason[:27]) == ("keep", "a person started a run at 2")
