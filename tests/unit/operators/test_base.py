"""What operators declare alike: the field that a task shows, the tries that it has, and that dry means no write."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowSkipException

from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.operators.base import DeployOpsOperator, RenderedField
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
