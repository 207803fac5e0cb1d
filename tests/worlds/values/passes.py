"""One pass of the generated worlds, as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.history import DeployHistory, read_history
from include.deploy_ops.core.passes.reading import PassFacts, Reading
from include.deploy_ops.core.passes.rules import Rules
from include.deploy_ops.core.plan.remembered import Remembered
from include.deploy_ops.core.plan.schedule import Circumstances
from include.deploy_ops.core.policy.file import fingerprint_policy
from include.deploy_ops.core.preview.observed import Observed, TemplateState
from include.deploy_ops.core.target.comparison import Source, TargetState
from tests.worlds.values.examples import FINGERPRINT, OWNER, PLANE, sha
from tests.worlds.values.generated import START, World

if TYPE_CHECKING:
    from include.deploy_ops.core.policy.keys import Project

NOW = START


def make_rules(project: Project) -> Rules:
    """Return what the project's policy says."""
    return Rules(project, PLANE, frozenset(target.deployment for target in project.targets.values()))


def make_facts(world: World, **given: Any) -> PassFacts:
    """Return what a pass reads of the world, at `NOW`."""
    deployments = tuple(each.deployment for each in world.astro)
    histories = {each.id: read_history(world.records.get(each.id, ()), OWNER) for each in deployments}
    template = TemplateState("" if world.problem else FINGERPRINT, world.missing, world.fixed, world.problem)
    states = tuple(
        TargetState(
            name=name,
            target=target,
            source=Source("astro_deploy", sha("c"), sha("d"), 7, sha("e")),
            deployments=tuple(each for each in deployments if each.name == target.deployment),
            history=DeployHistory(),
            deployed_base="",
            remembered=Remembered(),
            people=world.project.people,
        )
        for name, target in world.project.targets.items()
    )
    reading = Reading(world.snapshot, Observed(deployments, histories), template, states)
    policy = fingerprint_policy(world.project)
    return PassFacts(reading, Circumstances(now=NOW, policy=policy, **given))
