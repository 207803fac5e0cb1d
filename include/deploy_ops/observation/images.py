"""Find a Deployment of the project whose image serves a commit as it is; nothing that goes wrong there is an error."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.change.change_type import ChangeRules, Snapshot, needs_image
from include.deploy_ops.core.errors import ImageRefusedError, PermanentError, RetryableError
from include.deploy_ops.core.history import find_former
from include.deploy_ops.core.preview.image_sources import (
    CANDIDATES_MAX,
    describe_runtime,
    find_obstacle,
    rank_candidates,
    read_image,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.deploy_ops.core.model import Deployment
    from include.deploy_ops.core.preview.image_sources import Need
    from include.deploy_ops.hooks.astro.api import AstroApiHook
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
    from include.deploy_ops.hooks.registry.registry import RegistryHook
    from include.deploy_ops.run.scope import Scope

ANCESTORS_MAX = 10
"""How many commits back a CI image is looked for: enough for a push of several commits, bounded in requests."""

log = logging.getLogger(__name__)


def open_astro_registry(scope: Scope) -> RegistryHook:
    """Return the registry of the project's Deployments, opened by the token with which the CLI pushes there."""
    from include.deploy_ops.hooks.registry.registry import AstroRegistryHook

    return AstroRegistryHook(scope.project.astro_conn_id, login_hosts=scope.project.login_hosts)


def list_served(github: DeployOpsGithubHook, rules: ChangeRules, head: str, *, has_dag_deploys: bool) -> Iterator[str]:
    """Yield the commit, then those before it whose image serves it too: CI builds a push's last commit only."""
    yield head
    target = github.get_commit(head)
    queue, seen = list(target.parents), {head}
    while queue and len(seen) <= ANCESTORS_MAX:
        # Breadth first: the nearest commits, on both sides of a merge.
        sha = queue.pop(0)
        if sha in seen:
            continue
        seen.add(sha)
        commit = github.get_commit(sha)
        if not needs_image(
            Snapshot(sha, commit.tree),
            Snapshot(head, target.tree),
            rules,
            github.read_tree,
            is_dag_deploy_enabled=has_dag_deploys,
        ):
            yield sha
            queue.extend(commit.parents)


@dataclass(slots=True)
class ImageReuse:
    """Looks at the project's Deployments, a few at most, for one commit."""

    scope: Scope
    github: DeployOpsGithubHook
    astro: AstroApiHook
    registry: RegistryHook
    commit: str
    need: Need
    _differences: dict[str, str] = field(default_factory=dict)

    def find(self) -> tuple[dict[str, Any] | None, str]:
        """Return the image that serves, or None and why none does.

        Raises PermanentError if the commit cannot be deployed at all, and what reading the workspace raises.
        """
        deployments = self.astro.list_deployments()
        candidates = rank_candidates(deployments, self.scope.control_plane, self.scope.project, self.need)
        reasons: list[str] = []
        looked = 0
        for candidate in candidates:
            why = find_obstacle(candidate, self.need)
            if not why:
                if looked == CANDIDATES_MAX:
                    break
                looked += 1
                found, why = self._look(candidate)
                if found is not None:
                    return found, "; ".join(reasons)
            log.info("the image of %s does not serve: %s", candidate.name, why)
            reasons.append(f"{candidate.name}: {why}")
        told = reasons[:CANDIDATES_MAX]
        if (more := len(candidates) - len(told)) > 0:
            told.append(f"{more} more")
        whose = "target" if self.need.is_target else "Deployment"
        return None, "; ".join(told) or f"no {whose} of the project runs an image yet"

    def find_former(self) -> tuple[dict[str, Any] | None, str]:
        """Return the image with which the commit ran at the Deployment, by its digest, or None and why it has none."""
        deployment = self.astro.get_deployment(self.need.deployment_id)
        records = self.astro.list_deploys(deployment.id) if deployment is not None else ()
        former = find_former(records, self.commit, self.scope.owner)
        if deployment is None or former is None or not former.image_tag:
            return None, "no deploy record tells with which image it ran"
        try:
            return self._find_image(replace(deployment, image_tag=former.image_tag), former.image_origin)
        except ImageRefusedError as error:
            return None, f"the image with which it ran cannot be had ({str(error).partition('. ')[0]})"

    def _look(self, candidate: Deployment) -> tuple[dict[str, Any] | None, str]:
        """Return the candidate's image, or None and what speaks against it."""
        try:
            running = read_image(candidate, self.astro.list_deploys(candidate.id), self.need, self.scope.owner)
            if isinstance(running, str):
                return None, running
            if why := self._compare(running.commit):
                return None, why
            return self._find_image(candidate, running.origin)
        except ImageRefusedError as error:
            return None, f"its image cannot be had ({str(error).partition('. ')[0]})"
        except RetryableError as error:
            return None, f"it cannot be looked at ({str(error).rstrip('.')})"

    def _compare(self, commit: str) -> str:
        """Return why an image of that commit does not serve; each commit is compared once."""
        if commit not in self._differences:
            source, target = self.github.get_commit(commit), self.github.get_commit(self.commit)
            is_other = needs_image(
                Snapshot(commit, source.tree),
                Snapshot(self.commit, target.tree),
                ChangeRules.of(self.scope.project),
                self.github.read_tree,
                is_dag_deploy_enabled=self.need.has_dag_deploys,
            )
            self._differences[commit] = f"what changed since {commit[:12]} asks for an image" if is_other else ""
        return self._differences[commit]

    def _find_image(self, candidate: Deployment, origin: str) -> tuple[dict[str, Any] | None, str]:
        repository = candidate.image_repository
        try:
            image = self.registry.find_image(f"{repository}:{candidate.image_tag}")
        except PermanentError as error:  # Astro's name of an image is no fault of the commit's
            return None, str(error).rstrip(".")
        if image is None:
            return None, f"its image {candidate.image_tag} is not in the registry any more"
        if why := describe_runtime(image.runtime_version, self.need):
            return None, why
        # By digest: whatever the Deployment runs by the time of the copy, this image is taken or none.
        found = {"image": f"{repository}@{image.digest}", "digest": image.digest}
        return {**found, "runtime_version": image.runtime_version, "deployment": candidate.name, "origin": origin}, ""
