"""One pass's view of the project's targets: each one's source on GitHub, its Deployment, and what is remembered of it.

Reads only. Of pull requests that a target follows, GitHub is asked for the test merge; of everything else, nothing more
than the pass has read already.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import CommitMissingError, DeployOpsError, ObservationError, SealError
from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.model import NO_COMMIT, MergeState
from include.deploy_ops.core.naming import slug_target
from include.deploy_ops.core.plan.remembered import Remembered
from include.deploy_ops.core.plan.work import Verb, Work
from include.deploy_ops.core.target.comparison import Source, TargetState, compare_target, find_release
from include.deploy_ops.core.target.mergeability import judge_mergeability, name_own_checks
from include.deploy_ops.core.template.drift import find_drift
from include.deploy_ops.core.template.template import parse_template
from include.deploy_ops.core.view.proof import is_asking
from include.deploy_ops.hooks.astro.connection import read_astro_connection
from include.deploy_ops.observation.gates import GateReader
from include.deploy_ops.observation.mergeability import MergeReader
from include.deploy_ops.observation.template import TemplateReader, name_source
from include.deploy_ops.run.approvals import check_approval

if TYPE_CHECKING:
    from include.deploy_ops.core.model import MergeResult, PullRequest
    from include.deploy_ops.core.policy.keys import Target
    from include.deploy_ops.core.preview.desired import RepositorySnapshot
    from include.deploy_ops.core.preview.observed import Observed
    from include.deploy_ops.core.target.gates import Gate
    from include.deploy_ops.hooks.github.pulls import GithubPullsHook
    from include.deploy_ops.observation.commit_checks import CheckReader
    from include.deploy_ops.run.memory import Memory
    from include.deploy_ops.run.scope import Scope
    from include.deploy_ops.run.seals import Seals

log = logging.getLogger(__name__)
DRAFT_WAITS = "it is a draft; mark it ready for review, or set `drafts: true` beside `from` and `into`"


@dataclass(frozen=True, slots=True)
class TargetObserver:
    """Reads the sources of one project's targets."""

    scope: Scope
    github: GithubPullsHook
    memory: Memory
    seals: Seals
    checks: CheckReader | None = None

    def read_states(self, snapshot: RepositorySnapshot, observed: Observed) -> tuple[TargetState, ...]:
        """Return every target's state, in the policy's order."""
        states = (
            self.read_state(name, target, snapshot, observed) for name, target in self.scope.project.targets.items()
        )
        return tuple(self._add_drift(each, snapshot) if each.target.template else each for each in states)

    def _add_drift(self, state: TargetState, snapshot: RepositorySnapshot) -> TargetState:
        """Return the state with where its Deployment differs from its template; what fails there stops nothing."""
        if len(state.deployments) != 1:
            return state
        reader = TemplateReader(self.scope, self.github, self.memory, self.seals, state.name)
        try:
            text = reader.read_text(snapshot.find_head(self.scope.project.trunk))
            template = parse_template(text, name_source(self.scope, state.name))
        except DeployOpsError as error:
            return replace(state, drift_problem=str(error))
        return replace(state, drift=find_drift(template.body, state.deployments[0].settings))

    def read_state(self, name: str, target: Target, snapshot: RepositorySnapshot, observed: Observed) -> TargetState:
        """Return one target's state."""
        deployments = observed.find(target.deployment)
        history = observed.histories.get(deployments[0].id, DeployHistory()) if deployments else DeployHistory()
        source = self._find_source(name, target, snapshot)
        slug = slug_target(name)
        rolls_back = target.verify is not None and target.verify.rolls_back
        awaits_proof = target.verify is not None and (target.merge or rolls_back)
        row = self.memory.read_row(slug) if awaits_proof else None
        is_asked = source or history.overridden_by or history.names_rollback
        state = TargetState(
            name=name,
            target=target,
            source=source,
            deployments=deployments,
            history=history,
            deployed_base=self._find_deployed_base(source, history),
            remembered=self._recall(name, target) if is_asked else Remembered(),
            rivals=self._find_rivals(name),
            people=self.scope.project.people,
            verification=self.memory.verification(slug).read() if awaits_proof else None,
            is_asking=row is not None and is_asking(row),
            verified=self.memory.verified(slug).read() if rolls_back else (),
        )
        return replace(state, gates=self._read_gates(state, observed)) if target.requires else state

    def _read_gates(self, state: TargetState, observed: Observed) -> tuple[Gate, ...]:
        """Return the target's gates, where anything is due that waits for them: a person's no ends that."""
        due = compare_target(state, self.scope.project.name, self.scope.policy)
        if state.source is None or not isinstance(due, Work) or due.undoes:
            return ()
        answer = state.remembered.endings.get(due.subject) if due.verb is Verb.REQUEST else None
        if answer is not None and answer.is_rejection:
            return ()
        return GateReader(self.scope, self.github, self.memory, observed, self.checks).read(state.target, state.source)

    def _find_rivals(self, name: str) -> tuple[str, ...]:
        """Return the other projects' targets that mean the target's Deployment, through another connection."""
        rivals = [each for each in self.scope.rivals if each.target == name]
        if not rivals:
            return ()
        ours = read_astro_connection(self.scope.project.astro_conn_id).workspace
        return tuple(str(each) for each in rivals if _find_workspace(each.conn_id) == ours)

    def _recall(self, name: str, target: Target) -> Remembered:
        """Return what is remembered; an approval that no run of ours gave out counts as none."""
        remembered = self.memory.recall(slug_target(name))
        if target.approval == "none" or remembered.approval is None:
            return remembered
        try:
            check_approval(self.seals, self.scope.request_dag(name), remembered.approval)
        except SealError as error:
            log.warning("the approval that is remembered of %s counts as none: %s", name, error)
            return replace(remembered, approval=None)
        return remembered

    def _find_source(self, name: str, target: Target, snapshot: RepositorySnapshot) -> Source | None:
        if target.followed_branch is not None:
            heads = {branch.name: branch.head for branch in snapshot.branches}
            return make_tip(target.followed_branch, heads.get(target.followed_branch))
        pull = find_release(target, snapshot.pull_requests)
        return self._read_release(name, target, pull) if pull else None

    def _read_release(self, name: str, target: Target, pull: PullRequest) -> Source | None:
        """Return the open pull request; one that is to be merged and that GitHub would not merge has that problem."""
        merge = self.github.read_merge(pull.number)
        source = make_release(target, merge)
        if source is None or source.problem or not target.merge:
            return source
        facts = MergeReader(self.github).read(merge, name_own_checks(self.scope.project.name, name))
        problem = judge_mergeability(facts).problem
        return replace(source, problem=problem and f"pull request #{pull.number}: {problem}")

    def _find_deployed_base(self, source: Source | None, history: DeployHistory) -> str:
        """Return the base of the test merge that runs; GitHub is asked only when the head is the deployed one."""
        if source is None or not source.pull or history.head != source.head or history.dags_commit is None:
            return ""
        try:
            parents = self.github.get_commit(history.dags_commit).parents
        except CommitMissingError:  # GitHub keeps no test merge for ever: then it is deployed anew
            return ""
        # A test merge has the parents base and head; a commit of another shape is no merge of this head.
        return parents[0] if parents[1:] == (source.head,) else ""


def _find_workspace(conn_id: str) -> tuple[str, str, str] | None:
    """Return what tells another connection's workspace; None where its own project cannot deploy through it either."""
    try:
        return read_astro_connection(conn_id).workspace
    except ObservationError as error:
        log.warning("whether another project deploys to the same Deployment cannot be told: %s", error)
        return None


def read_source(github: GithubPullsHook, target: Target) -> Source | None:
    """Return what the target should run now; None while there is no open pull request."""
    if target.followed_branch is not None:
        return make_tip(target.followed_branch, github.get_branch(target.followed_branch).head)
    release = target.pull_request
    pulls = github.list_pull_requests_from(release.source) if release else ()
    pull = find_release(target, pulls)
    return make_release(target, github.read_merge(pull.number)) if pull else None


def make_tip(branch: str, head: str | None) -> Source:
    """Return a branch as a source; without a head there is no such branch."""
    if head is None:
        return Source(branch, NO_COMMIT, problem=f"there is no branch '{branch}'; push it, or correct the policy")
    return Source(branch, head)


def make_release(target: Target, merge: MergeResult) -> Source | None:
    """Return a pull request as a source: its test merge onto its base; None if it is open no more, or has another base.

    A listing may lag behind: what is about another branch than the policy's is no release.
    """
    pull, release = merge.pull, target.pull_request
    is_elsewhere = release is not None and pull.base_ref != release.into
    if is_elsewhere or merge.state in {MergeState.CLOSED, MergeState.MERGED}:
        return None
    is_early = pull.is_draft and release is not None and not release.drafts
    reason = DRAFT_WAITS if is_early else merge.reason
    return Source(
        ref=pull.head_ref,
        head=pull.head_sha,
        commit=merge.commit,
        pull=pull.number,
        base=merge.base,
        problem=reason and f"pull request #{pull.number}: {reason}",
        is_brief=merge.state is MergeState.PENDING and not is_early,
    )
