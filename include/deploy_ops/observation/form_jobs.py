"""A person's form → the run's job: what is to be done to which Deployment, checked against GitHub and Astro."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.history import ROLLBACK, read_commit
from include.deploy_ops.core.model import NO_COMMIT, Branch, Deployment
from include.deploy_ops.core.naming import has_later_mark, name_deployment, parse_mark
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.preview.desired import describe_merge, find_merge
from include.deploy_ops.core.preview.ownership import find_former, find_previews
from include.deploy_ops.core.target.comparison import Source
from include.deploy_ops.observation.targets import make_tip, read_source
from include.deploy_ops.run.job import Job

if TYPE_CHECKING:
    from include.deploy_ops.core.policy.keys import Target
    from include.deploy_ops.hooks.astro.api import AstroApiHook
    from include.deploy_ops.hooks.github.pulls import GithubPullsHook
    from include.deploy_ops.run.forms import PreviewForm, TargetForm
    from include.deploy_ops.run.scope import Scope

log = logging.getLogger(__name__)
_OF_WHAT_IS_THERE = frozenset({Verb.DELETE, Verb.KEEP, Verb.VERIFY, Verb.MUTE})
"""What a person asks of a preview that is there, whatever becomes of its branch."""


@dataclass(frozen=True, slots=True)
class FormJobs:
    """Makes jobs of forms for one project."""

    scope: Scope
    github: GithubPullsHook
    astro: AstroApiHook

    def make_preview_job(self, form: PreviewForm, person: str) -> Job:
        """Return what is to be done to a branch's preview, or why it cannot be done, as the job's problem."""
        try:
            return self._make_preview_job(form, person)
        except PermanentError as error:
            job = self._make_job(form, person, form.verb, Source(form.branch, NO_COMMIT), None)
            return replace(job, problem=str(error))

    def _make_preview_job(self, form: PreviewForm, person: str) -> Job:
        is_adoption = form.action == Verb.ADOPT.value
        deployment = self._find_adoptable(form) if is_adoption else self._find_preview(form)
        branch = self.github.find_branch_beside(form.branch, self.scope.project.trunk)
        verb = self._choose_verb(form, deployment, branch)
        if verb in {Verb.CREATE, Verb.ADOPT} and self.scope.new_name_ban:
            raise PermanentError(self.scope.new_name_ban)
        source = Source(form.branch, branch.head if branch else NO_COMMIT)
        job = self._override(self._make_job(form, person, verb, source, deployment), form, source)
        name = deployment.name if deployment else self._name_preview(form)
        file = form.file.removeprefix("dags/")
        return replace(job, deployment_name=name, ends_keep=form.action == Verb.RESUME.value, file=file)

    def _name_preview(self, form: PreviewForm) -> str:
        return name_deployment(self.scope.project.name, form.branch)

    def _find_preview(self, form: PreviewForm) -> Deployment | None:
        project = self.scope.project
        is_end = form.verb in _OF_WHAT_IS_THERE  # also where the policy matches it no longer
        if not project.wants_preview(form.branch) and not is_end:
            raise PermanentError(
                f"branch: '{form.branch}' matches no pattern of previews.branches "
                f"({', '.join(self.scope.previews.branches)})"
            )
        deployments = self.astro.list_deployments()
        own = find_previews(deployments, self.scope.control_plane, project).get(form.branch, [])
        if not own and (former := find_former(deployments, self.scope.control_plane, project).get(form.branch)):
            raise PermanentError(f"branch: {former}")
        if len(own) > 1:
            raise PermanentError(
                f"two Deployments carry the mark of '{form.branch}'; delete the wrong one in Astro first"
            )
        return own[0][0] if own else None

    def _find_adoptable(self, form: PreviewForm) -> Deployment:
        """Return the Deployment that stands in the way of the branch's preview; nobody's mark may be on it."""
        if (own := self._find_preview(form)) is not None:
            raise PermanentError(f"'{form.branch}' has a Deployment already, '{own.name}'; there is nothing to adopt")
        name = self._name_preview(form)
        found = [each for each in self.astro.list_deployments() if each.name == name]
        if len(found) != 1:
            raise PermanentError(f"the workspace has {len(found) or 'no'} Deployments named '{name}', expected one")
        marked = found[0].description
        if name in self.scope.targets or parse_mark(marked) is not None or has_later_mark(marked):
            raise PermanentError(f"'{name}' ({found[0].id}) is a target, or bears another's mark; it is never adopted")
        return found[0]

    def _choose_verb(self, form: PreviewForm, deployment: Deployment | None, branch: Branch | None) -> Verb:
        """Return what the run does; refuse what cannot be done, or what the next pass would undo."""
        action = form.verb
        self._refuse_unverifiable(action, "")
        if (action is Verb.MUTE) != bool(form.file):
            raise PermanentError(
                "file: the action 'mute' needs the file whose import error it mutes, and no other does"
            )
        if deployment is None and action in {*_OF_WHAT_IS_THERE, Verb.UPDATE}:
            raise PermanentError(f"'{form.branch}' has no Deployment; there is nothing to {form.action}")
        if action in _OF_WHAT_IS_THERE:
            return action
        if branch is None:
            raise PermanentError(f"branch: there is no branch '{form.branch}' in {self.scope.project.repository}")
        self._refuse_merged(branch)
        if action in {Verb.ADOPT, Verb.UPDATE}:
            return action
        if deployment is None and not form.create_if_missing:
            raise PermanentError(
                f"create_if_missing: '{form.branch}' has no Deployment, and the form forbids to make one"
            )
        return Verb.DEPLOY if deployment else Verb.CREATE

    def _refuse_unverifiable(self, action: Verb, target: str) -> None:
        if action in {Verb.VERIFY, Verb.MUTE} and self.scope.project.find_verify(target) is None:
            key = f"targets.{target}.verify" if target else "previews.verify"
            raise PermanentError(f"action: the policy has no {key}, so nothing is verified; add it first")

    def _refuse_merged(self, branch: Branch) -> None:
        """Refuse a preview that the next pass would delete: its pull request was merged at this head."""
        pulls = self.github.list_pull_requests_from(branch.name)
        if merge := find_merge(self.scope.project, branch, pulls):
            raise PermanentError(f"branch: {describe_merge(merge)} at this head; push to '{branch.name}' to begin anew")

    def make_target_job(self, name: str, form: TargetForm, person: str) -> Job:
        """Return what is to be done to a target, or why it cannot be done, as the job's problem."""
        try:
            return self._make_target_job(name, form, person)
        except PermanentError as error:
            job = self._make_job(form, person, form.verb, Source("", NO_COMMIT), None)
            return replace(job, target=name, problem=str(error))

    def _make_target_job(self, name: str, form: TargetForm, person: str) -> Job:
        target = self.scope.target(name)
        self._refuse_unverifiable(form.verb, name)
        deployment = self._find_target(target)
        source = self._find_source(target, form)
        job = replace(self._make_job(form, person, form.verb, source, deployment), target=name)
        return self._override(job, form, source)

    def _find_source(self, target: Target, form: TargetForm) -> Source:
        """Return what the target follows; without an open pull request, the tip of what it would be merged into."""
        source, release = read_source(self.github, target), target.pull_request
        needs_source = form.action == Verb.DEPLOY.value and not form.ref
        if needs_source and source is not None and source.problem:
            raise PermanentError(f"ref: {source.problem}; or name the ref that is meant")
        if source is not None:
            return source
        if needs_source or release is None:
            said = f"from {release.source} into {release.into}" if release else "that it follows"
            raise PermanentError(f"ref: there is no open pull request {said}; name the ref that is meant")
        return make_tip(release.into, self.github.get_branch(release.into).head)

    def _make_job(
        self, form: TargetForm, person: str, verb: Verb, source: Source, deployment: Deployment | None
    ) -> Job:
        """Return the job that deploys what the source has now."""
        return Job(
            verb=verb,
            branch=source.ref,
            head=source.head,
            commit=source.commit,
            pull=source.pull,
            base=source.base,
            deployment_name=deployment.name if deployment else "",
            deployment_id=deployment.id if deployment else "",
            reason=form.reason,
            deploy_type=form.deploy_type,
            person=person,
            wake=form.wake,
            is_dry=form.dry_run,
        )

    def _override(self, job: Job, form: TargetForm, source: Source) -> Job:
        """Return the job with the commit of the form's ref, where it has one, in place of what the source has now."""
        from include.deploy_ops.hooks.github.refs import is_ancestor, resolve_plain_ref, resolve_ref

        if not form.ref or form.action != Verb.DEPLOY.value:
            return job
        trunk = self.scope.project.trunk
        heads = (*self._list_deployed(job.deployment_id, form.ref), source.ref, trunk)
        resolve = resolve_plain_ref if job.target else resolve_ref
        found = resolve(self.github, form.ref, trunk=trunk, heads=heads)
        log.info("ref: %s is the %s %s, at %s", form.ref, found.kind.value, found.name, found.commit)
        if found.told:
            log.info("ref: %s", found.told)
        # Of a pull request the test merge is what would be deployed by itself, of a branch its head.
        is_override = found.commit != (source.commit if source.pull else source.head)
        is_rollback = is_override and is_ancestor(self.github, found.commit, source.head)
        reason = f"{ROLLBACK}{job.reason}" if is_rollback else job.reason
        return replace(job, commit=found.commit, ref=found.full, reason=reason, is_override=is_override)

    def _list_deployed(self, deployment_id: str, ref: str) -> list[str]:
        """Return the commit of that id which ran there before: a test merge lies in no branch's history."""
        commits = map(read_commit, self.astro.list_deploys(deployment_id)) if deployment_id else ()
        return sorted({commit for commit in commits if commit and commit.startswith(ref.lower())})

    def _find_target(self, target: Target) -> Deployment:
        named = [each for each in self.astro.list_deployments() if each.name == target.deployment]
        if len(named) != 1:
            raise PermanentError(
                f"the workspace has {len(named) or 'no'} Deployments named '{target.deployment}', expected one; "
                "mend it in Astro or in the policy"
            )
        return named[0]
