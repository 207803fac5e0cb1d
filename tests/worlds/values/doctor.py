"""An Astro in which all is well, as the doctor's facts: tests spoil one of them at a time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.doctor.astro import judge_astro
from include.deploy_ops.core.doctor.astro_facts import (
    AstroFacts,
    Organization,
    Place,
    Pull,
    Release,
    Role,
    TokenClaims,
    TokenRecord,
)
from include.deploy_ops.core.template.template import Template, parse_template
from tests.worlds.values.examples import PLANE, make_deployment, make_project

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.deploy_ops.core.doctor.check import Check
    from include.deploy_ops.core.model import Deployment
    from include.deploy_ops.core.policy.keys import Project

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
IMAGE = "registry.example/acme/shop:{sha}"
TEMPLATE = """
deployment:
  configuration:
    executor: CELERY
    deployment_type: STANDARD
    cloud_provider: AWS
    region: us-east-1
    runtime_version: "3.3-2"
    scheduler_size: SMALL
    is_development_mode: true
    dag_deploy_enabled: true
"""
OPTIONS = {
    "executors": ["CELERY", "ASTRO"],
    "runtimeReleases": [{"version": version, "channel": "stable"} for version in ("3.1-14", "3.3-2")],
    "schedulerMachines": [{"name": "SMALL"}, {"name": "MEDIUM"}],
    "workerMachines": [],
    "workerQueues": {},
}


def make_template(text: str = TEMPLATE) -> Template:
    """Return the template of a text."""
    return parse_template(text, "deployments/preview.yaml on main")


def make_production(**changes: Any) -> Deployment:
    """Return the target's Deployment."""
    return make_deployment("production", **{"name": "Production", "id": "clprod", "description": "", **changes})


def make_facts() -> AstroFacts:
    """Return facts of which nothing is wrong; one is not known by nature, the limit of Deployments."""
    return AstroFacts(
        place=Place("astro_default", "clorg", "clws"),
        claims=TokenClaims("cltok", None, ("clorg",), ("clws",)),
        record=TokenRecord(None, (Role("WORKSPACE", "clws", "WORKSPACE_OPERATOR"),)),
        organization=Organization("Acme", "ACTIVE", None, takes_dedicated_only=False),
        workspace="Data Platform",
        deployments=(make_production(),),
        elsewhere=(),
        count=9,
        releases=(Release("3.1-14", "stable"), Release("3.3-2", "stable")),
        template=make_template(),
        ci_runtime="3.3-2",
        linked=(),
        pull=Pull("Production", "images.example/prod/airflow:deploy-1", is_there=True),
    )


def judge(facts: AstroFacts, project: Project | None = None) -> tuple[Check, ...]:
    """Return Astro's checks of a project that copies deployed images."""
    return judge_astro(facts, project or make_project(image=("reuse", IMAGE)), PLANE, NOW)


def find_check(checks: Iterable[Check], name: str) -> Check:
    """Return the one check of that name."""
    (found,) = [each for each in checks if each.name == name]
    return found
