"""Reads what the doctor asks of image registries for one project: whether trunk's image is there, and what it is like.

Looks an image up as the image step does, as many commits back, and pulls nothing but manifests and a config. Sends GET
alone; per source a name for each commit, with its login and, of the one that is there, a manifest and a config more.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from include.deploy_ops.core.change.change_type import ChangeRules
from include.deploy_ops.core.doctor.fact import Unread, tell
from include.deploy_ops.core.doctor.registry import Image, ImageFacts, OtherPlatform, judge_registry, list_sources
from include.deploy_ops.core.errors import OtherPlatformError
from include.deploy_ops.core.policy.values import COMMIT_FIELD
from include.deploy_ops.observation.doctor.questions import attempt
from include.deploy_ops.observation.images import list_served

if TYPE_CHECKING:
    from datetime import datetime

    from include.deploy_ops.core.doctor.check import Check
    from include.deploy_ops.core.policy.keys import Project
    from include.deploy_ops.hooks.github.answers import Commit
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
    from include.deploy_ops.hooks.registry.registry import RegistryHook
    from include.deploy_ops.observation.doctor.trunk import TrunkReader
    from include.deploy_ops.run.scope import Scope


def examine_registry(scope: Scope, trunk: TrunkReader, registry: RegistryHook, now: datetime) -> tuple[Check, ...]:
    """Return the checks of the images that the project's `image` names.

    :param trunk: what was read of trunk, by a hook that also tells of commits before its head.
    :param now: with a time zone.
    """
    return judge_registry(scope.project, read_images(scope.project, trunk, registry), now)


def read_images(project: Project, trunk: TrunkReader, registry: RegistryHook) -> tuple[ImageFacts, ...] | Unread:
    """Return what each source has for trunk, or why nobody knows trunk's head; no source hides another."""
    if not (sources := list_sources(project)):
        return ()
    sha = trunk.head
    head = sha if isinstance(sha, Unread) else attempt(lambda: trunk.github.get_commit(sha))
    if isinstance(head, Unread):
        return head
    return tuple(_read_source(project, source, head, trunk.github, registry) for source in sources)


def _read_source(
    project: Project, source: str, head: Commit, github: DeployOpsGithubHook, registry: RegistryHook
) -> ImageFacts:
    """Return the first image that serves trunk's head, as the image step takes it where DAGs come beside the image."""
    commits = list_served(github, ChangeRules.of(project), head.sha, has_dag_deploys=True)
    commit: str | Unread | None = head.sha
    image: Image | OtherPlatform | Unread | None = None
    while image is None and (commit := attempt(lambda: next(commits, None))) is not None:
        if isinstance(commit, Unread):
            image = Unread(commit.why)  # GitHub's, whatever its cause: no registry refused anything
        else:
            image = attempt(partial(_find_image, registry, source.replace(COMMIT_FIELD, commit)))
    of = commit if isinstance(commit, str) else head.sha
    return ImageFacts(source, head.sha, head.committed_at, of, image)


def _find_image(registry: RegistryHook, name: str) -> Image | OtherPlatform | None:
    try:
        found = registry.find_image(name)
    except OtherPlatformError as error:
        return OtherPlatform(tell(error))
    return None if found is None else Image(found.runtime_version)
