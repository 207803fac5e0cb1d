"""A template against what Astro offers: every refusal names key, value and what is known."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from include.deploy_ops.core.errors import ObservationError, RetryableError, TemplateError
from include.deploy_ops.core.template.options import check_against_options
from include.deploy_ops.core.template.template import Template

OPTIONS: dict[str, Any] = {
    "executors": ["CELERY", "KUBERNETES", "ASTRO"],
    "runtimeReleases": [{"version": f"3.{minor}-{patch}"} for minor in (0, 1) for patch in range(1, 20)],
    "schedulerMachines": [{"name": "SMALL"}, {"name": "MEDIUM"}],
    "workerMachines": [
        {"name": "A5", "concurrency": {"floor": 1, "ceiling": 15, "default": 5}},
        {"name": "A10", "concurrency": {"floor": 1, "ceiling": 30, "default": 10}},
    ],
    "workerQueues": {"minWorkers": {"floor": 0, "ceiling": 10}, "maxWorkers": {"floor": 1, "ceiling": 200}},
}
QUEUE = {
    "name": "default",
    "worker_type": "a5",
    "min_worker_count": 0,
    "max_worker_count": 10,
    "worker_concurrency": 15,
}


def make_template(queue: dict[str, Any] | None = None, **configuration: object) -> Template:
    whole = {
        "executor": "CeleryExecutor",
        "deployment_type": "STANDARD",
        "runtime_version": "3.1-14",
        "scheduler_size": "small",
    }
    return Template("t.yaml", {"configuration": {**whole, **configuration}, "worker_queues": [QUEUE | (queue or {})]})


@pytest.mark.parametrize("executor", ["CELERY", "CeleryExecutor", "ASTRO", "AstroExecutor"])
def test_what_astro_offers_passes(executor: str) -> None:
    check_against_options(make_template(executor=executor), OPTIONS)


@pytest.mark.parametrize(
    ("template", "says"),
    [
        (
            make_template({"worker_type": "A7"}),
            "t.yaml: deployment.worker_queues.default.worker_type: found 'A7', which Astro does not offer; known: A5",
        ),
        (make_template({"worker_concurrency": 16}), "worker_concurrency: found 16, expected 1 to 15 for a5"),
        (make_template({"min_worker_count": 11}), "min_worker_count: found 11, expected 0 to 10"),
        (make_template({"max_worker_count": 201}), "max_worker_count: found 201, expected 1 to 200"),
        (make_template(scheduler_size="LARGE"), "deployment.configuration.scheduler_size: found 'LARGE'"),
        (make_template(runtime_version="2.9-9"), "runtime_version: found '2.9-9', which Astro does not offer; known: "),
        (make_template(runtime_version="2.9-9"), " and 30 more"),
    ],
)
def test_what_astro_does_not_offer_is_named_with_what_is_known(template: Template, says: str) -> None:
    with pytest.raises(TemplateError) as caught:
        check_against_options(template, OPTIONS)
    assert says in str(caught.value)


def test_an_executor_that_is_not_offered_is_refused() -> None:
    with pytest.raises(TemplateError, match="executor: found 'ASTRO', which Astro does not offer; known: CELERY"):
        check_against_options(make_template(executor="AstroExecutor"), {**OPTIONS, "executors": ["CELERY"]})


@pytest.mark.parametrize("version", ["3.1-20", "3.0-20", "3.2-1", "9.9-9"])
def test_a_runtime_that_astro_does_not_offer_yet_may_come(version: str) -> None:
    with pytest.raises(RetryableError, match=f"found '{version}', which Astro does not offer; .*it may come"):
        check_against_options(make_template(runtime_version=version), OPTIONS)
    with pytest.raises(TemplateError):  # the rest does not
        check_against_options(make_template(runtime_version=version, scheduler_size="LARGE"), OPTIONS)


@pytest.mark.parametrize("version", ["3.1-0", "2.9-1", "3.1-20x", "13.9.0", "3.1-" + "9" * 5000])
def test_a_runtime_that_will_not_come_is_refused(version: str) -> None:
    with pytest.raises(TemplateError):
        check_against_options(make_template(runtime_version=version), OPTIONS)


def test_an_update_may_keep_a_runtime_that_is_no_longer_offered() -> None:
    check_against_options(make_template(runtime_version="9.9-9"), OPTIONS, is_update=True)


def test_queues_of_a_hybrid_deployment_name_node_pools() -> None:
    check_against_options(make_template({"worker_type": "m5.xlarge"}, deployment_type="hybrid"), OPTIONS)


@pytest.mark.parametrize(
    "lacking", [*OPTIONS, "workerMachines.0.concurrency", "workerQueues.minWorkers.floor", "runtimeReleases.0.version"]
)
def test_an_answer_that_lacks_what_is_compared_is_no_verdict_on_the_template(lacking: str) -> None:
    options: Any = copy.deepcopy(OPTIONS)
    *above, last = lacking.split(".")
    place = options
    for key in above:
        place = place[int(key)] if key.isdigit() else place[key]
    del place[last]
    with pytest.raises(ObservationError, match=rf"deployment-options: .* lacks '{last}'"):
        check_against_options(make_template(), options)
