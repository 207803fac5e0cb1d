"""The feedback DAG as Airflow parses it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.dags.conftest import Parse

POLICY = """
control_plane: acme-test
projects:
  - name: shop
    repository: acme/shop
    root: shop
    image: [reuse]
    previews: {{branches: ["dev*"], template: preview.yaml, merged_into: [main]}}
    feedback: {feedback}
  - {{name: till, repository: acme/shop, root: till, image: [reuse], nonsense: 1}}
  - {{name: bare, repository: acme/bare, image: [reuse]}}
"""


def test_one_task_tells_and_its_runs_concern_nobody_else(parse: Parse) -> None:
    bag = parse(POLICY.format(feedback="{}"))
    assert bag.dags.keys() >= {"shop.control", "shop.feedback"}
    assert "bare.feedback" not in bag.dags
    dag: Any = bag.dags["shop.feedback"]
    assert (dag.schedule, dag.max_active_runs, dag.catchup) == (None, 1, False)
    assert set(dag.tags) == {"deploy-ops", "shop"}
    (task,) = dag.task_dict.values()
    assert (task.task_id, task.retries, task.retry_exponential_backoff) == ("tell", 3, True)
    assert [asset.name for asset in task.inlets] == ["deploy_ops.shop.fleet"]
    assert task.outlets == []  # its end is no news for control
    assert task.execution_timeout >= timedelta(minutes=10)
    assert task.scope.shares_repository  # also with a project that is wrong


@pytest.mark.parametrize(("feedback", "is_there"), [("{comments: false, statuses: false}", True), (None, False)])
def test_a_project_that_tells_nothing_has_none(parse: Parse, feedback: str | None, is_there: bool) -> None:
    off = "{comments: false, statuses: false, deployments: false}"
    assert ("shop.feedback" in parse(POLICY.format(feedback=feedback or off)).dags) is is_there
