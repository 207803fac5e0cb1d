"""One pass's observation: the repository, trunk's template, the workspace and our Deployments' histories.

Reads only, and reads again only what changed: pull requests since the last pass, records of Deployments that moved.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.preview.observed import Observed, TemplateState
from include.deploy_ops.core.preview.ownership import find_previews
from include.deploy_ops.core.template.mapping import describe_uninherited, find_unfilled, find_uninherited
from include.deploy_ops.core.template.template import find_fixed_differences, find_missing, fingerprint_template
from include.deploy_ops.observation.drift import DriftReader
from include.deploy_ops.observation.histories import HistoryReader
from include.deploy_ops.observation.pulls import PullReader, RepositoryReading
from include.deploy_ops.observation.rotation import RotationReader
from include.deploy_ops.observation.template import TemplateReader, parse_template_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.deploy_ops.core.model import Deployment
    from include.deploy_ops.core.preview.desired import RepositorySnapshot
    from include.deploy_ops.core.template.template import Template
    from include.deploy_ops.hooks.astro.api import AstroApiHook
    from include.deploy_ops.hooks.github.pulls import GithubPullsHook
    from include.deploy_ops.run.memory import Memory
    from include.deploy_ops.run.scope import Scope
    from include.deploy_ops.run.seals import Seals


@dataclass(frozen=True, slots=True)
class Observer:
    """Reads GitHub and Astro for one project, with what the last pass remembered."""

    scope: Scope
    github: GithubPullsHook
    astro: AstroApiHook
    memory: Memory
    seals: Seals

    def read_repository(self) -> RepositoryReading:
        """Return every branch, and the pull requests of those that exist; whoever asks has them kept."""
        return PullReader(self.scope, self.github, self.memory).read()

    def read_astro(self) -> Observed:
        """Return the workspace's Deployments, and the histories of this project's previews and targets.

        A Deployment of which no history can be read has a `problem`, as one that is malformed itself.
        """
        deployments = self.astro.list_deployments()
        own = find_previews(deployments, self.scope.control_plane, self.scope.project)
        names = {target.deployment for target in self.scope.project.targets.values()}
        known = [deployment for pairs in own.values() for deployment, _ in pairs]
        # Targets bear no mark of ours: the policy knows them by name.
        known += [deployment for deployment in deployments if deployment.name in names]
        reader = HistoryReader(self.astro, self.memory, datetime.now(UTC), self.scope.owner)
        histories = reader.read(known)
        seen = (replace(each, problem=reader.problems.get(each.id, each.problem)) for each in deployments)
        return Observed(tuple(seen), histories)

    def read_template(self, snapshot: RepositorySnapshot, deployments: Iterable[Deployment]) -> TemplateState:
        """Return the template's state against our Deployments; one that cannot be used becomes its `problem`."""
        trunk = snapshot.find_head(self.scope.project.trunk)
        try:
            reader = TemplateReader(self.scope, self.github, self.memory, self.seals)
            template = parse_template_text(self.scope, reader.read_text(trunk))
        except PermanentError as error:
            return TemplateState("", {}, {}, str(error))
        own = find_previews(deployments, self.scope.control_plane, self.scope.project)
        rotation = RotationReader(self.memory, self.seals, template.mapped)
        by_branch = {branch: pairs[0][0] for branch, pairs in own.items()}
        reading = rotation.read(by_branch, datetime.now(UTC))
        return replace(
            compare_template(self.scope, template, deployments),
            rotated=reading.stale,
            unread=reading.problem,
            reread_at=reading.due_at if own and rotation.is_needed else None,
            drift=DriftReader(self.scope, self.memory, self.seals, template).read(by_branch),
        )

    def read_commit_times(self, heads: Iterable[str]) -> dict[str, datetime]:
        """Return when each of the heads was committed; GitHub is asked once for each, since that never changes."""
        known = self.memory.commit_times.read()
        times = {head: known.get(head) for head in heads}
        try:
            for head, time in times.items():
                times[head] = time or self.github.get_commit(head).committed_at
        finally:  # what was learned before GitHub's rate limit ended the pass serves the next one
            found = {head: time for head, time in times.items() if time}
            self.memory.commit_times.write(known, known | found)
        return found


def compare_template(scope: Scope, template: Template, deployments: Iterable[Deployment]) -> TemplateState:
    """Return the template's state against our previews; what is mapped into them is not read for it."""
    keys = find_uninherited(template, scope.previews.inherit)
    own = find_previews(deployments, scope.control_plane, scope.project)
    previews = [deployment for pairs in own.values() for deployment, _ in pairs]
    return TemplateState(
        fingerprint_template(template),
        {each.id: find_missing(template, each) for each in previews},
        {each.id: find_fixed_differences(template, each) for each in previews},
        guard=describe_uninherited(template.source, keys) if keys else "",
        replaced=template.replaced,
        unfilled=find_unfilled(template),
    )


class QuietObserver(Observer):
    """An observer that asks GitHub about no single commit: what the passes learned of them is all that it says."""

    __slots__ = ()

    def read_commit_times(self, heads: Iterable[str]) -> dict[str, datetime]:
        """Return when those of the heads were committed of which it is known."""
        known = self.memory.commit_times.read()
        return {head: known[head] for head in heads if head in known}
