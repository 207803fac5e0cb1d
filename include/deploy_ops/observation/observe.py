"""One pass's observation: the repository, trunk's template, the workspace and our Deployments' histories.

Reads only, and reads again only what changed: pull requests since the last pass, records of Deployments that moved.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.history import FINAL, read_history
from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.core.preview.desired import RepositorySnapshot
from include.deploy_ops.core.preview.observed import Observed, TemplateState
from include.deploy_ops.core.preview.ownership import find_previews
from include.deploy_ops.core.template.template import find_fixed_differences, find_missing, fingerprint_template
from include.deploy_ops.observation.identity import require_same_repository
from include.deploy_ops.observation.template import parse_template_text, read_template_text
from include.deploy_ops.run.memory import CachedHistory, CachedTemplate, Memory, PullCache

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from include.deploy_ops.core.model import Deployment, PullRequest
    from include.deploy_ops.hooks.astro.api import AstroApiHook
    from include.deploy_ops.hooks.github.pulls import GithubPullsHook
    from include.deploy_ops.run.scope import Scope
    from include.deploy_ops.run.seals import Seals


UNFINISHED = timedelta(hours=1)
"""How long an unfinished deploy record may still turn into a finished one; a history with one is read again."""


@dataclass(frozen=True, slots=True)
class Observer:
    """Reads GitHub and Astro for one project, with what the last pass remembered."""

    scope: Scope
    github: GithubPullsHook
    astro: AstroApiHook
    memory: Memory
    seals: Seals

    def read_repository(self) -> RepositorySnapshot:
        """Return every branch, and the pull requests of those that exist; pull requests are read first.

        Then a branch that is deleted while we read is seen as gone, never as merged by a later pull request.
        """
        rules = self._fingerprint_rules()
        cache = self.memory.pulls.read()
        # The cache holds what counted under the rules of then; under others an old pull request may count, too.
        if cache is not None and cache.rules != rules:
            cache = None
        # GitHub lists them by their last update, so the newest word we had bounds what has to be read again.
        news = self.github.list_pull_requests(since=cache.since if cache else None)
        require_same_repository(self.memory, self.github, news[0].base_repo_id if news else None)
        branches = self.github.list_branches(self.scope.project.trunk)
        known = merge_pulls(cache.pulls if cache else (), news)
        names = {branch.name for branch in branches}
        # A branch that comes back under an old name has lost its old merges here: control asks for those by name before
        # it creates a preview.
        pulls = tuple(pull for pull in known if pull.head_ref in names and self._counts(pull))
        bystanders = tuple(_strip_bystander(pull) for pull in known if self._is_bystander(pull))
        # Where nothing is new the old bound stays, or the next pass would read all of them.
        since = max((pull.updated_at for pull in news), default=cache.since if cache else "")
        fresh = PullCache(since, (*pulls, *bystanders), rules)
        if fresh != cache:
            self.memory.pulls.write(fresh)
        return RepositorySnapshot(branches, pulls, bystanders)

    def _fingerprint_rules(self) -> str:
        """Return what tells that other pull requests count than before."""
        project = self.scope.project
        names = ("branches", "exclude", "merged_into")
        previews = [getattr(project.previews, name) for name in names] if project.previews else []
        releases = [target.pull_request for target in project.targets.values()]
        # The last word names what caches of an older version lack: they are read anew.
        return hash_text(repr((previews, project.promotion, releases, sorted(project.awaited_bases), "bystanders")), 16)

    def _counts(self, pull: PullRequest) -> bool:
        """Whether anything is decided by the pull request: a preview's end, a release, the deploy branch, a label."""
        if pull.is_from_fork or not (pull.is_open or pull.is_merged):
            return False
        project = self.scope.project
        speaks_while_open = project.feeds(pull) or project.wants_preview(pull.head_ref)
        return project.can_end_preview(pull) or (pull.is_open and speaks_while_open)

    def _is_bystander(self, pull: PullRequest) -> bool:
        """Whether nothing is decided by the pull request, and somebody may wait all the same for our word on it."""
        return pull.is_open and pull.base_ref in self.scope.project.awaited_bases and not self._counts(pull)

    def read_astro(self) -> Observed:
        """Return the workspace's Deployments, and the histories of this project's previews and targets."""
        deployments = self.astro.list_deployments()
        own = find_previews(deployments, self.scope.control_plane, self.scope.project)
        names = {target.deployment for target in self.scope.project.targets.values()}
        known = [deployment for pairs in own.values() for deployment, _ in pairs]
        # Targets bear no mark of ours: the policy knows them by name.
        known += [deployment for deployment in deployments if deployment.name in names]
        before = self.memory.histories.read()
        after = {each.id: self._read_history(each, before.get(each.id)) for each in known}
        self.memory.histories.write(before, after)
        return Observed(deployments, {key: cached.history for key, cached in after.items()})

    def _read_history(self, deployment: Deployment, cached: CachedHistory | None) -> CachedHistory:
        fingerprint = fingerprint_deployment(deployment)
        # What moves with a deploy, `updated_at` among it, is in the fingerprint: where nothing moved no record is new.
        if cached is not None and cached.fingerprint == fingerprint:
            return cached
        deploys = self.astro.list_deploys(deployment.id)
        is_final = all(
            deploy.status in FINAL or deploy.created_at < datetime.now(UTC) - UNFINISHED for deploy in deploys
        )
        # A record may end without the fields moving once more: until it has, no fingerprint vouches for the history.
        return CachedHistory(fingerprint if is_final else "", read_history(deploys, self.scope.owner))

    def read_template(self, snapshot: RepositorySnapshot, deployments: Iterable[Deployment]) -> TemplateState:
        """Return the template's state against our Deployments; one that cannot be used becomes its `problem`."""
        # Trunk is among them: a listing that lacks it is refused where it is read.
        trunk = next(branch for branch in snapshot.branches if branch.name == self.scope.project.trunk)
        try:
            template = parse_template_text(self.scope, self._read_template_text(trunk.head))
        except PermanentError as error:
            return TemplateState("", {}, {}, str(error))
        own = find_previews(deployments, self.scope.control_plane, self.scope.project)
        previews = [deployment for pairs in own.values() for deployment, _ in pairs]
        return TemplateState(
            fingerprint_template(template),
            {each.id: find_missing(template, each) for each in previews},
            {each.id: find_fixed_differences(template, each) for each in previews},
        )

    def _read_template_text(self, trunk_head: str) -> str:
        path = self.scope.previews.template
        # A commit's files never change: one reading for each head of trunk.
        cached = self.memory.template.read()
        if cached is None or (cached.commit, cached.path) != (trunk_head, path):
            cached = CachedTemplate(trunk_head, path, read_template_text(self.scope, self.github, trunk_head))
            self.memory.template.write(cached)
        return cached.text

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


def merge_pulls(cached: Iterable[PullRequest], news: Iterable[PullRequest]) -> tuple[PullRequest, ...]:
    """Return the newest word on each pull request, in order of number, without what nobody decides by or is shown."""
    known: Mapping[int, PullRequest] = {pull.number: pull for pull in (*cached, *news)}
    return tuple(_strip(pull) for _, pull in sorted(known.items()))


def _strip(pull: PullRequest) -> PullRequest:
    """Of an open one, title, author and labels count; a repository has many more that are merged."""
    return replace(pull, url="") if pull.is_open else replace(pull, title="", author="", url="", labels=())


def _strip_bystander(pull: PullRequest) -> PullRequest:
    return replace(pull, title="", author="", url="", labels=())


def fingerprint_deployment(deployment: Deployment) -> str:
    """Return what tells that a Deployment changed since its records were read."""
    return hash_text(repr(deployment), 16)
