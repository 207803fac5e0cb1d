"""Runtimes of template, targets and CI's image, beside what Astro offers and beside one another → checks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from include.deploy_ops.core.doctor.check import Area, Check, Status
from include.deploy_ops.core.doctor.fact import Cause, Unread, leave_open, make_check, name_some
from include.deploy_ops.core.preview.image_sources import Need, describe_runtime, rank_runtime
from include.deploy_ops.core.template.rules import is_airflow_3_runtime

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from include.deploy_ops.core.doctor.astro_facts import AstroFacts, Release
    from include.deploy_ops.core.doctor.fact import Fact
    from include.deploy_ops.core.policy.keys import Previews, Project

OF_IMAGE = "runtime of CI's image"
OF_TEMPLATE = "runtime of previews"

_STABLE = "stable"
_STEP = "12.0.0"
"""The oldest runtime from which the Astro CLI takes a Deployment to Airflow 3 (deploy.go of 1.45.0)."""

_REFUSAL = "a runtime that Astro does not take shows in the tasks render_template, create and deploy"


def judge_runtimes(facts: AstroFacts, project: Project) -> Iterator[Check]:
    """Yield a check for previews, for each target and for the image that CI built of trunk's head."""
    if project.previews is not None:
        yield _judge_template(facts, project, project.previews)
    running = {name: _find_running(facts, target.deployment) for name, target in project.targets.items()}
    for name, version in running.items():
        yield _judge_target(name, version, facts.releases)
    if facts.ci_runtime is not None:
        yield _judge_image(facts.ci_runtime, facts, project, running)


def _find_running(facts: AstroFacts, deployment: str) -> Fact[str]:
    if isinstance(facts.deployments, Unread):
        return facts.deployments
    found = [each.runtime_version for each in facts.deployments if each.name == deployment and each.runtime_version]
    return found[0] if len(found) == 1 else Unread("not one Deployment to look at", Cause.ABSENT)


def _judge_template(facts: AstroFacts, project: Project, previews: Previews) -> Check:
    if isinstance(facts.template, Unread):
        return leave_open(Area.ASTRO, OF_TEMPLATE, facts.template, _REFUSAL)
    if isinstance(facts.releases, Unread):
        return leave_open(Area.ASTRO, OF_TEMPLATE, facts.releases, _REFUSAL)
    version, newest = _read_template(facts), _name_newest(facts.releases)
    place = f"configuration.runtime_version of {previews.template} on {project.trunk}: {newest}"
    if (channel := _find_channel(version, facts.releases)) is None:
        advice = f"write one that it offers into {place}"
        return make_check(Area.ASTRO, OF_TEMPLATE, Status.FAIL, f"{version}, which Astro does not offer", advice)
    if channel != _STABLE:
        advice = f"write a stable one into {place}"
        return make_check(Area.ASTRO, OF_TEMPLATE, Status.WARN, f"{version}, of the channel {channel}", advice)
    return make_check(Area.ASTRO, OF_TEMPLATE, Status.OK, _compare(version, facts.releases))


def _judge_target(name: str, version: Fact[str], releases: Fact[tuple[Release, ...]]) -> Check:
    what = f"runtime of {name}"
    if isinstance(version, Unread):
        return leave_open(Area.ASTRO, what, version, _REFUSAL)
    if isinstance(releases, Unread):
        return leave_open(Area.ASTRO, what, releases, _REFUSAL)
    if _find_channel(version, releases) != _STABLE:
        found = f"{version}, which Astro offers no more as stable"
        advice = f"build its next image FROM a runtime that Astro offers, not older: {_name_newest(releases)}"
        return make_check(Area.ASTRO, what, Status.WARN, found, advice)
    return make_check(Area.ASTRO, what, Status.OK, _compare(version, releases))


def _judge_image(image: Fact[str], facts: AstroFacts, project: Project, running: dict[str, Fact[str]]) -> Check:
    if isinstance(image, Unread):
        return leave_open(Area.ASTRO, OF_IMAGE, image, _REFUSAL)
    if isinstance(facts.releases, Unread):
        return leave_open(Area.ASTRO, OF_IMAGE, facts.releases, _REFUSAL)
    wanted = f"let the Dockerfile on {project.trunk} begin FROM a runtime that Astro offers"
    if not image:
        return make_check(Area.ASTRO, OF_IMAGE, Status.FAIL, "its image has no runtime label", wanted)
    if _find_channel(image, facts.releases) is None:
        advice = f"{wanted}: {_name_newest(facts.releases)}"
        return make_check(Area.ASTRO, OF_IMAGE, Status.FAIL, f"{image}, which Astro does not offer", advice)
    beside = {"previews": _read_template(facts), **running}
    if problems := [f"{name}: {why}" for name, at in beside.items() if (why := _find_obstacle(image, at))]:
        advice = f"raise the image first, step by step: {wanted}, none older than theirs; to Airflow 3 over {_STEP}"
        return make_check(Area.ASTRO, OF_IMAGE, Status.FAIL, name_some(problems), advice)
    return make_check(Area.ASTRO, OF_IMAGE, Status.OK, _compare(image, facts.releases))


def _read_template(facts: AstroFacts) -> str:
    if facts.template is None or isinstance(facts.template, Unread):
        return ""
    return str(facts.template.configuration["runtime_version"])


def _find_obstacle(image: str, deployment: Fact[str]) -> str:
    """Return why an image of this runtime cannot be deployed where that one runs; empty where it can, or who knows."""
    if isinstance(deployment, Unread) or not deployment:
        return ""
    if why := describe_runtime(image, Need("", deployment, has_dag_deploys=True)):
        return why
    is_jump = is_airflow_3_runtime(image) and not is_airflow_3_runtime(deployment)
    if is_jump and rank_runtime(deployment) < rank_runtime(_STEP):
        return f"its runtime {deployment} goes to {_STEP} at least before it goes to {image}"
    return ""


def _find_channel(version: str, releases: Sequence[Release]) -> str | None:
    return next((each.channel for each in releases if each.version == version), None)


def _compare(version: str, releases: Sequence[Release]) -> str:
    newest = _name_newest(releases, 1)
    return f"{version}, the newest" if newest == version else f"{version}; the newest is {newest or 'not told'}"


def _name_newest(releases: Sequence[Release], count: int = 3) -> str:
    stable = (each.version for each in releases if each.channel == _STABLE)
    return name_some(sorted(stable, key=rank_runtime, reverse=True)[:count])
