"""The images that the repository's CI builds: what a registry shows of trunk's → checks. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from include.deploy_ops.core.doctor.check import Area, Check, Status
from include.deploy_ops.core.doctor.fact import Cause, Unread, leave_open, make_check
from include.deploy_ops.core.policy.values import COMMIT_FIELD
from include.deploy_ops.core.text.markdown import describe_span

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from include.deploy_ops.core.policy.keys import Project

PLATFORM = "linux/amd64"
"""What Astro runs."""

LABEL = "io.astronomer.docker.runtime.version"
"""The label of images that are built from Astro Runtime."""

_REFUSAL = "refused, a registry says HTTP 401 or 403, and some say it also of a name that does not exist"


@dataclass(frozen=True, slots=True)
class Image:
    """What a registry shows of an image for Astro's platform. `runtime_version`: its label's, None without it."""

    runtime_version: str | None


@dataclass(frozen=True, slots=True)
class OtherPlatform:
    """An image that is there, for other platforms alone; `why` says for which, or for which not."""

    why: str


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What one source of the project's `image` list has for trunk.

    `source` is the name with its `{sha}`. `head` and `committed_at` are trunk's.
    `commit`: of which the image is, the head or one before it whose image serves the head, too. `image` is None where
    the registry knows none; an Unread by `RIGHT` is the registry's no, of which its text says what to do.
    """

    source: str
    head: str
    committed_at: datetime
    commit: str
    image: Image | OtherPlatform | Unread | None


def list_sources(project: Project) -> tuple[str, ...]:
    """Return the sources of images that a registry is asked for; `reuse` and `build` need none of the CI's."""
    return tuple(source for source in project.image if COMMIT_FIELD in source)


def judge_registry(project: Project, found: Sequence[ImageFacts] | Unread, now: datetime) -> tuple[Check, ...]:
    """Return the checks of the project's images, source by source.

    :param found: Unread where nobody knows trunk's head, so that no image was looked for.
    :param now: with a time zone.
    """
    if isinstance(found, Unread):
        return (leave_open(Area.REGISTRY, "image", found, f"mend GitHub's checks first, then look again; {_REFUSAL}"),)
    checks = tuple(check for facts in found for check in _judge_source(project, facts, now))
    return checks or (make_check(Area.REGISTRY, "image", Status.OK, "`image` names no registry: none is needed"),)


def _judge_source(project: Project, facts: ImageFacts, now: datetime) -> tuple[Check, ...]:
    return _judge_name(project, facts, now), _judge_label(facts), _judge_platform(facts)


def _judge_name(project: Project, facts: ImageFacts, now: datetime) -> Check:
    name, image = f"image {facts.source}", facts.image
    if isinstance(image, Unread):
        whose = f"connection '{project.registry_conn_id}'" if project.registry_conn_id else "`registry_conn_id`"
        advice = f"do what it says; the login comes from {whose}, by the policy; {_REFUSAL}"
        status = Status.FAIL if image.cause in {Cause.RIGHT, Cause.WRONG} else Status.NOT_KNOWN
        return make_check(Area.REGISTRY, name, status, image.why, advice)
    wanted = facts.source.replace(COMMIT_FIELD, facts.head)
    if image is not None:
        back = "" if facts.commit == facts.head else f", which serves trunk's {facts.head[:12]} as it is"
        return make_check(Area.REGISTRY, name, Status.OK, f"there is one of {facts.commit[:12]}{back}")
    patience = timedelta(seconds=project.image_timeout_s)
    if (age := now - facts.committed_at) < patience:
        found = f"{wanted} is not there yet; the commit is {describe_span(age)} old"
        advice = f"look again once the CI has ended; an image is awaited for {describe_span(patience)}"
        return make_check(Area.REGISTRY, name, Status.WARN, found, advice)
    found = f"{wanted} is not there, nor that of a commit before it that would serve"
    advice = f"let the repository's CI push it under exactly this name for each commit of {project.trunk}"
    return make_check(Area.REGISTRY, name, Status.FAIL, found, advice)


def _judge_label(facts: ImageFacts) -> Check:
    name = f"label of {facts.source}"
    if not isinstance(facts.image, Image):
        return _tell_none(name, "an image without the label is refused where it is to be deployed")
    if facts.image.runtime_version:
        return make_check(Area.REGISTRY, name, Status.OK, f"{LABEL} is {facts.image.runtime_version}")
    advice = "build it FROM Astro Runtime, and keep that image's labels"
    return make_check(Area.REGISTRY, name, Status.FAIL, f"it has no label {LABEL}", advice)


def _judge_platform(facts: ImageFacts) -> Check:
    name = f"platform of {facts.source}"
    match facts.image:
        case Image():
            return make_check(Area.REGISTRY, name, Status.OK, f"it is for {PLATFORM}")
        case OtherPlatform(why):
            advice = f"build it for {PLATFORM} (`docker build --platform {PLATFORM}`): Astro runs no other"
            return make_check(Area.REGISTRY, name, Status.FAIL, why, advice)
    return _tell_none(name, f"one that has nothing for {PLATFORM} is refused where it is to be deployed")


def _tell_none(name: str, consequence: str) -> Check:
    none = Unread("there is no image that could be looked at", Cause.ABSENT)
    return leave_open(Area.REGISTRY, name, none, consequence)
