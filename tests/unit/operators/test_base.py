"""What operators declare alike: the field that a task shows, the tries that it has, and that dry means no write."""

from __future__ import annotations

import errno
import traceback
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset, TaskInstanceState
from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.execution_time import task_runner

from include.deploy_ops.core.errors import PermanentError, RetryableError, UnsettledError
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.operators.base import (
    SOURCE_LINKS,
    AstroLink,
    CommitLink,
    DeployOpsOperator,
    PullRequestLink,
    RenderedField,
    tell_failures,
)
from include.deploy_ops.run.job import Job

FLEET = Asset("deploy_ops.shop.fleet")


class Shows(DeployOpsOperator):
    """Shows one field."""

    page = RenderedField("yaml")


class ShowsToo(Shows):
    """Inherits it."""


def make(kind: type[DeployOpsOperator], *, is_dry: bool = False, **kwargs: Any) -> Any:
    scope: Any = SimpleNamespace(fleet=FLEET, is_dry=is_dry)
    return kind(task_id="it", scope=scope, **kwargs)


@pytest.mark.parametrize("kind", [Shows, ShowsToo])
def test_a_rendered_field_is_empty_until_the_task_has_something_to_show(kind: type[DeployOpsOperator]) -> None:
    one, other = make(kind), make(kind)
    assert (tuple(one.template_fields), one.template_fields_renderers) == (("page",), {"page": "yaml"})
    assert one.overwrite_rtif_after_execution
    one.page = "a: 1"
    assert (one.page, other.page) == ("a: 1", "")


def test_one_operators_field_is_not_anothers() -> None:
    assert tuple(make(DeployOpsOperator).template_fields) == ()


def test_each_reads_the_fleets_memory_and_is_tried_again_unless_told_otherwise() -> None:
    task, other = make(Shows), make(Shows, retries=3, inlets=[])
    assert (task.inlets, task.retries, task.retry_delay) == ([FLEET], 1, timedelta(seconds=15))
    assert (other.inlets, other.retries, other.retry_delay) == ([], 3, timedelta(seconds=15))


def test_a_write_is_refused_by_the_mode_and_by_the_jobs_own_form() -> None:
    wet = Job(Verb.DEPLOY, "dev-x", "a" * 40, "shop-dev-x", "cl1", "why")
    dry = Job(Verb.DEPLOY, "dev-x", "a" * 40, "shop-dev-x", "cl1", "why", is_dry=True)
    make(Shows).refuse_dry(wet, "deploy")
    make(Shows).refuse_dry(None, "deploy")
    with pytest.raises(AirflowSkipException, match=r"^dry run; would deploy$"):
        make(Shows).refuse_dry(dry, "deploy")
    for job in (wet, dry, None):
        with pytest.raises(AirflowSkipException, match=r"^mode: plan; would deploy$"):
            make(Shows, is_dry=True).refuse_dry(job, "deploy")


class Fails(DeployOpsOperator):
    """Does what fails; `log` is the test's."""

    log: Any = None

    @tell_failures
    def act(self, context: Any, error: Exception, cause: Exception | None) -> None:
        """Fail."""
        raise error from cause


def fail(error: Exception, cause: Exception | None = None, *, try_number: int = 1) -> tuple[Exception, list[str]]:
    """Let a task of two tries fail; return what Airflow is given, and what was logged as errors."""
    lines: list[str] = []
    task = make(Fails)
    task.log = SimpleNamespace(error=lambda text, *args: lines.append(text % args))
    ti = SimpleNamespace(task_id="deploy", try_number=try_number, max_tries=1, xcom_push=lambda *_: None)
    context = {"ti": ti, "dag_run": SimpleNamespace(run_id="deploy~1")}
    try:
        task.act(context, error, cause)
    except Exception as raised:  # noqa: BLE001 - whatever it is
        return raised, lines
    raise AssertionError("it failed")


@pytest.mark.parametrize(
    ("error", "try_number", "advice"),
    [
        (PermanentError("no dags/ at abc"), 1, "mend what the line above names; until then only clearing the run"),
        (UnsettledError("it never settled"), 1, "nothing, if control started the run"),
        (RetryableError("Astro is down"), 1, "nothing yet: Airflow tries it again by itself"),
        (RetryableError("Astro is down"), 2, "mend what the line above names, then clear the run"),
    ],
)
def test_an_expected_failure_is_told_in_three_lines_before_airflows_own(
    error: Exception, try_number: int, advice: str
) -> None:
    _, (what, why, to_do) = fail(error, try_number=try_number)
    assert what == f"What:       deploy of deploy~1 failed, try {try_number} of 2"
    assert why == f"Why:        {error}"
    assert to_do.startswith(f"What to do: {advice}")


def test_the_traceback_of_an_expected_failure_is_its_own_and_the_why_tells_what_caused_it() -> None:
    cause = OSError("connection reset by canary@example\u202e")
    cause.__cause__ = KeyError("id")
    raised, (_, why, _) = fail(RetryableError("GET /user failed\nask later"), cause)
    lines = traceback.format_exception(raised)
    assert lines[0].startswith("Traceback")
    assert "in act" in "".join(lines)  # where it was raised
    assert "OSError" not in "".join(lines)
    assert why.startswith("Why:        GET /user failed\n            ask later; caused by OSError: connection reset")
    assert why.endswith("<U+202E>; caused by KeyError: 'id'")


def test_a_cause_that_the_text_tells_already_is_not_told_twice() -> None:
    _, (_, why, _) = fail(RetryableError("GET /user failed: connection reset"), OSError("connection reset"))
    assert why == "Why:        GET /user failed: connection reset"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_worker_without_room_says_so_and_is_tried_again(number: int) -> None:
    raised, (_, why, to_do) = fail(OSError(number, "no room", "/scratch/worktree"))
    assert isinstance(raised, RetryableError)
    assert why.startswith("Why:        this worker cannot write /scratch/worktree: no room; free its disk, or name a")
    assert to_do.startswith("What to do: nothing yet")


def test_of_an_unexpected_failure_nothing_is_cut() -> None:
    cause = KeyError("id")
    raised, lines = fail(ZeroDivisionError("a bug"), cause)
    assert raised.__cause__ is cause
    assert "KeyError" in "".join(traceback.format_exception(raised))
    assert lines == []


class Links(DeployOpsOperator):
    """Has two buttons."""

    operator_extra_links = SOURCE_LINKS


@pytest.mark.parametrize("state", [TaskInstanceState.SUCCESS, TaskInstanceState.FAILED, TaskInstanceState.DEFERRED])
def test_airflow_writes_the_buttons_that_have_an_address_and_no_others(
    monkeypatch: pytest.MonkeyPatch, state: TaskInstanceState
) -> None:
    task, written = make(Links), dict[str, str]()
    ti: Any = SimpleNamespace(task=task, start_date=None, end_date=None, task_id="it", is_mapped=False)
    monkeypatch.setattr(task_runner, "_xcom_push_to_db", lambda _, key, value: written.update({key: value}))
    assert [each.name for each in task.operator_extra_links] == ["Pull request", "Commit"]
    task.pre_execute({})
    task.link(CommitLink, "https://github.example/commit/1")
    task.link(AstroLink, "https://astro.example/1")  # it has no such button
    task.link(PullRequestLink, "")
    task_runner.finalize(ti, state, {}, task.log)
    assert written == {"_link_CommitLink": "https://github.example/commit/1"}
    task.pre_execute({})  # it resumes, and finds nothing
    task_runner.finalize(ti, state, {}, task.log)
    assert written == {"_link_CommitLink": "https://github.example/commit/1"}
