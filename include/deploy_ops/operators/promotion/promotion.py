"""The promotion step: reads open pull requests, derives the deploy branch's tree, and brings the branch to it.

What the tree is stands in `derived_tree.py`, whose commit may be built upon in `deploy_branch.py`; this acts on it.
"""

from __future__ import annotations

import functools
import time
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.change.change_type import Snapshot
from include.deploy_ops.core.errors import BranchMovedError, ObservationError, PermanentError, RetryableError
from include.deploy_ops.core.plan.work import Verb
from include.deploy_ops.core.promotion.contribution import Contribution, KeptContribution, name_rules
from include.deploy_ops.core.promotion.derived_tree import (
    COPY_ALL,
    DerivedTree,
    derive_tree,
    fingerprint_promotion,
    select_pulls,
)
from include.deploy_ops.core.promotion.message import Trailers, format_message
from include.deploy_ops.core.view.pages import PromotionRecord, render_promotion
from include.deploy_ops.observation.deploy_branch import DeployBranch
from include.deploy_ops.observation.identity import require_same_repository
from include.deploy_ops.operators.base import CommitLink, DeployOpsOperator, RenderedField, tell_failures
from include.deploy_ops.run.contributions import seal_contributions, select_sealed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from include.deploy_ops.core.model import Branch, PullRequest
    from include.deploy_ops.core.policy.keys import Promotion
    from include.deploy_ops.hooks.github.answers import Commit
    from include.deploy_ops.hooks.github.git import GithubGitHook
    from include.deploy_ops.run.job import Job

RACE_TRIES = 5
"""How often one task reads and derives anew because somebody else moved the deploy branch."""

TOLD_MAX = 20
"""Paths of one pull request that its author is told of."""

FIRST_PAUSE_S = 0.5
"""Seconds before the second try, doubled each time: GitHub's servers do not all know of a push at once."""


class PromoteOperator(DeployOpsOperator):
    """Brings the deploy branch to its derived tree by one commit, or finds nothing to do.

    Returns `{"commit", "tip", "pulls", "conflicts", "overlaps", "told"}`: the commit that was made ("" for none), the
    branch's tip afterwards, the pull requests that took part, how many paths were told, and in which words to which of
    them. The record is the rendered field `decision`. A job with a `commit` takes that tip over first, which nobody but
    a person asks for.
    """

    verbs = (Verb.PROMOTE,)
    operator_extra_links = (CommitLink(),)
    decision = RenderedField()

    @functools.cached_property
    def github(self) -> GithubGitHook:
        """The project's repository, with what it takes to write a branch."""
        from include.deploy_ops.checkout.trees import fetch_trees
        from include.deploy_ops.hooks.github.git import GithubGitHook

        project = self.scope.project
        return GithubGitHook(project.github_conn_id, project.repository, fetch_trees=fetch_trees)

    @tell_failures
    def execute(self, context: Context) -> dict[str, Any]:
        """Promote, and again from the first reading when somebody else was quicker."""
        job = self.begin(context)
        for attempt in range(RACE_TRIES):
            try:
                return self._promote(context, job)
            except BranchMovedError as error:
                self.log.info("lost a race, reading again: %s", error)
                time.sleep(FIRST_PAUSE_S * 2**attempt)
        raise RetryableError(
            f"{self._promotion.deploy_branch} was moved by somebody else {RACE_TRIES} times while its next commit was"
            " made; the next attempt reads it again"
        )

    @property
    def _promotion(self) -> Promotion:
        promotion = self.scope.project.promotion
        if promotion is None:
            raise PermanentError(f"project {self.scope.project.name} has no promotion any more; look at the policy")
        return promotion

    def _promote(self, context: Context, job: Job) -> dict[str, Any]:
        promotion = self._promotion
        pulls = select_pulls(self.github.list_open_pull_requests(promotion.into), promotion)  # before any ref
        seen = pulls[0].base_repo_id if pulls else None
        require_same_repository(self.memory(context), self.github, seen)
        into = self.github.get_branch(promotion.into)
        branch = DeployBranch(self.scope, self.github, promotion, into)
        tip, is_missing = branch.read_tip()
        self._check_tip(context, job, branch, tip)
        derived = self._derive(context, job, into, pulls)
        record = PromotionRecord(promotion, derived, pulls, tip.sha, is_missing=is_missing)
        # Set before the write and again after it: where the write fails, the page shows what was meant.
        self.decision = render_promotion(record)
        made = self._bring(job, record, tip)
        self.decision = render_promotion(replace(record, made=made))
        now = made or tip.sha
        self.link(CommitLink, self.github.web_url("commit", now))
        self._remember(context, job, fingerprint_promotion(self.scope.project, pulls, into.head, now))
        self._log(record, made)
        return {
            "commit": made,
            "tip": now,
            "pulls": [list(pull) for pull in derived.pulls],
            "conflicts": len(derived.conflicts),
            "overlaps": len(derived.overlaps),
            "told": tell_pulls(derived),
        }

    def _check_tip(self, context: Context, job: Job, branch: DeployBranch, tip: Commit) -> None:
        """Raise PermanentError unless we may build upon the tip; remember it where a person takes it over now."""
        if branch.is_ours(tip):
            return
        if job.commit:
            branch.check_adoption(tip, job.commit)
            if not self.is_dry(job):
                environment = self.memory(context).environment(job.slug)
                environment.write(replace(environment.read(), adopted=tip.sha, endings={}))
            self.log.info("%s is taken over at %s by %s", self._promotion.deploy_branch, tip.sha, job.person)
        elif self.memory(context).environment(job.slug).read().adopted != tip.sha:
            raise PermanentError(branch.describe_hold(tip))

    def _derive(self, context: Context, job: Job, into: Branch, pulls: Sequence[PullRequest]) -> DerivedTree:
        """Derive the tree, and keep what was found of each pull request: only what moved is read again."""
        memory, dag_id = self.memory(context), self.scope.promotion_dag
        stored = memory.contributions.read()
        kept = select_sealed(self.seals, dag_id, stored)
        contributions = [self._find_contribution(into, pull, kept.get(str(pull.number))) for pull in pulls]
        derived = derive_tree(
            Snapshot(into.head, self.github.get_commit(into.head).tree),
            contributions,
            root=self.scope.project.root,
            copy_mode=self._promotion.copy_mode,
            read_tree=self.github.read_tree,
            read_below=self.github.read_trees_below,
        )
        if not self.is_dry(job):
            rules, parts = name_rules(self.scope.project), dict(derived.parts)
            found = {
                each.number: KeptContribution(each.head, each.base, into.head, rules, parts[each.number])
                for each in contributions
                if parts[each.number].is_small
            }
            memory.contributions.write(stored, seal_contributions(self.seals, dag_id, found))
        return derived

    def _find_contribution(self, into: Branch, pull: PullRequest, kept: KeptContribution | None) -> Contribution:
        """Return a pull request with its merge base, which moves with its head, or where `into` takes in some of it."""
        part = kept.recall(pull, name_rules(self.scope.project)) if kept else None
        is_whole = self._promotion.copy_mode == COPY_ALL
        if kept is not None and part is not None and (is_whole or kept.into == into.head):
            return Contribution(pull.number, kept.head, kept.base, part)
        compared = None if is_whole else self.github.compare(pull.head_sha, into.head)
        if compared is not None:
            return Contribution(pull.number, compared.first, compared.merge_base, part)
        head = Snapshot(pull.head_sha, self.github.get_commit(pull.head_sha).tree)
        return Contribution(pull.number, head, None, part)

    def _bring(self, job: Job, record: PromotionRecord, tip: Commit) -> str:
        """Bring the branch to the derived tree; return the commit that was made, "" where none was needed."""
        name = record.promotion.deploy_branch
        if record.derived.tree == tip.tree and not record.is_missing:
            return ""
        self.refuse_dry(job, f"bring {name} from {tip.sha[:12]} to the tree of {len(record.pulls)} pull requests")
        if record.is_missing and self.scope.new_name_ban:
            raise RetryableError(f"{name} is not made again: {self.scope.new_name_ban}")
        tree = self._write_tree(record.derived)
        made = "" if tree == tip.tree else self._write_commit(record, tree, tip.sha)
        # Until here nothing is the branch's. Its ref moves forward or not at all, so a lost race leaves nothing but a
        # commit that nobody sees.
        if record.is_missing:
            self.github.create_branch(name, made or tip.sha)
        elif made:
            self.github.move_branch(name, made)
        return made

    def _write_tree(self, derived: DerivedTree) -> str:
        """Return the derived tree's id, written where the repository does not hold it, and held against ours."""
        if derived.tree is not None and derived.is_stored:
            return derived.tree
        written = self.github.write_tree(derived.into.tree, derived.edits)
        if derived.tree not in {None, written}:
            raise ObservationError(
                f"GitHub wrote tree {written} where {derived.tree} was derived; nothing was committed, and the next "
                "attempt derives it again"
            )
        return written

    def _write_commit(self, record: PromotionRecord, tree: str, parent: str) -> str:
        derived, promotion = record.derived, record.promotion
        trailers = Trailers(self.scope.control_plane, self.scope.project.name, derived.into.commit, tree, derived.pulls)
        message = format_message(trailers, promotion.into, promotion.deploy_branch)
        return self.github.write_commit(tree, self._list_parents(derived.into.commit, parent), message)

    def _list_parents(self, into: str, tip: str) -> tuple[str, ...]:
        """Return the tip, and `into`'s commit where the tip lacks it; of two in one line, the later.

        Otherwise what came from trunk by way of `into` would stand on the deploy branch as if it had been written there
        anew, and conflict with itself when the deploy branch is merged into trunk.
        """
        compared = None if tip == into else self.github.compare(into, tip)
        if tip == into or (compared is not None and compared.merge_base.commit == into):
            return (tip,)
        return (into,) if compared is not None and compared.merge_base.commit == tip else (tip, into)

    def _remember(self, context: Context, job: Job, fingerprint: str) -> None:
        if not self.is_dry(job):
            environment = self.memory(context).environment(job.slug)
            environment.write(replace(environment.read(), promoted=fingerprint))

    def _log(self, record: PromotionRecord, made: str) -> None:
        for told in (*record.derived.conflicts, *record.derived.overlaps):
            self.log.warning("%s", told)
        name = record.promotion.deploy_branch
        self.log.info("%s: %s", name, f"commit {made}" if made else f"nothing to commit on top of {record.parent}")


def tell_pulls(derived: DerivedTree) -> dict[str, list[str]]:
    """Return what authors have to know of their pull requests, by number: paths that were not laid, or not last."""
    told: dict[str, list[str]] = defaultdict(list)
    for conflict in derived.conflicts:
        told[str(conflict.number)].append(f"{conflict.path}: {conflict.reason}")
    for overlap in derived.overlaps:
        numbers = ", ".join(f"#{number}" for number in overlap.numbers)
        for number in overlap.numbers:
            told[str(number)].append(f"{overlap.path}: {numbers} change it; #{overlap.numbers[-1]} wins")
    return {number: texts[:TOLD_MAX] for number, texts in told.items()}
