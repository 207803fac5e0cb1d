"""The step of a template run that writes: one commit on trunk's head, on a branch of our own, and its pull request."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowSkipException

from include.deploy_ops.core.errors import WriteRefusedError
from include.deploy_ops.core.policy.keys import OWN_PREFIX
from include.deploy_ops.core.template.text import (
    SETTLED,
    Maker,
    is_own_commit,
    name_title,
    write_body,
    write_message,
    write_settled_body,
    write_settled_comment,
)
from include.deploy_ops.core.text.plain import write_plain
from include.deploy_ops.hooks.github.pull_answers import PullText
from include.deploy_ops.observation.identity import require_same_repository
from include.deploy_ops.operators.base import (
    CommitLink,
    DeployOpsOperator,
    PullRequestLink,
    RenderedField,
    tell_failures,
)
from include.deploy_ops.operators.template.inspection import INSPECT_TASK
from include.deploy_ops.run.forms import TemplateForm, read_form

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.deploy_ops.core.model import PullRequest
    from include.deploy_ops.core.template.proposal import Proposal
    from include.deploy_ops.hooks.github.answers import Commit
    from include.deploy_ops.hooks.github.proposals import GithubProposalsHook
    from include.deploy_ops.run.scope import Scope

MANUAL_RUN_TYPE = "manual"


def name_branch(scope: Scope) -> str:
    """Return the branch on which a project's template is proposed; no preview is made of it."""
    return f"{OWN_PREFIX}template-{scope.project.name}"


@dataclass(frozen=True, slots=True)
class Standing:
    """How the proposal stands on GitHub: the branch's tip, and the pull requests that came from it."""

    trunk_head: str
    tip: Commit | None
    pulls: tuple[PullRequest, ...]

    @property
    def open_pull(self) -> PullRequest | None:
        """The one that is open; GitHub takes one for a branch and its base."""
        return next((each for each in self.pulls if each.is_open), None)

    @property
    def last_closed(self) -> PullRequest | None:
        """The newest that was closed without a merge, where none came after it."""
        newest = max(self.pulls, default=None)
        return newest if newest is not None and not newest.is_open and not newest.is_merged else None


class ProposeOperator(DeployOpsOperator):
    """Brings the branch and its pull request to what there is to propose; closes that where there is nothing.

    What it did, or why it did nothing, is its rendered field. Each run reads everything again, so that one that broke
    off is made good by the next, and where nothing moved nothing is written.
    """

    operator_extra_links = (PullRequestLink(), CommitLink())
    outcome = RenderedField()

    @functools.cached_property
    def github(self) -> GithubProposalsHook:
        """The project's repository, with what it takes to propose."""
        from include.deploy_ops.checkout.trees import fetch_trees
        from include.deploy_ops.hooks.github.proposals import GithubProposalsHook

        project = self.scope.project
        return GithubProposalsHook(project.github_conn_id, project.repository, fetch_trees=fetch_trees)

    @tell_failures
    def execute(self, context: Context) -> None:
        """Propose, or say what keeps from it."""
        from include.deploy_ops.observation.reference import read_proposal

        form = read_form(TemplateForm, context["params"] or {})
        document = self.need(context, INSPECT_TASK)
        require_same_repository(self.memory(context), self.github)
        trunk = self.github.get_branch(self.scope.project.trunk)
        proposal = read_proposal(self.scope, self.github, document, trunk.head)
        standing = self._look(trunk.head)
        is_asked = context["dag_run"].run_type == MANUAL_RUN_TYPE
        if why := self._find_hold(proposal, standing, is_asked=is_asked):
            self._say(why)
            return
        if self.scope.is_dry or form.dry_run:
            self._refuse_dry(proposal, standing)
        try:
            self._bring(proposal, standing)
        except WriteRefusedError as error:
            if error.status not in {HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
                raise
            self._say(f"not proposed: {error}. Table and files to copy: task 'compare', Rendered Templates")

    @property
    def _maker(self) -> Maker:
        project = self.scope.project
        return Maker(self.scope.control_plane, project.name, project.trunk)

    def _say(self, outcome: str) -> None:
        self.outcome = write_plain(outcome)
        self.log.info("%s", outcome)

    def _look(self, trunk_head: str) -> Standing:
        """Read how it stands; pull requests first, so that none is missed that came with a later tip."""
        name = name_branch(self.scope)
        pulls = tuple(each for each in self.github.list_own_pulls(name) if each.base_ref == self.scope.project.trunk)
        branch = self.github.find_branch_beside(name, self.scope.project.trunk)
        tip = self.github.get_commit(branch.head) if branch is not None else None
        standing = Standing(trunk_head, tip, pulls)
        if standing.open_pull is not None:
            self.link(PullRequestLink, standing.open_pull.url)
        return standing

    def _find_hold(self, proposal: Proposal, standing: Standing, *, is_asked: bool) -> str:
        """Return why nothing may be written; empty where it may."""
        name, tip = name_branch(self.scope), standing.tip
        if tip is not None and not self._may_move(tip, standing):
            return (
                f"held: {name} is at {tip.sha[:12]} ('{tip.subject}'), which is no commit of ours. Merge it, or delete "
                "the branch: then it is made anew"
            )
        closed = standing.last_closed
        if proposal.is_needed and not is_asked and closed is not None and self._is_declined(proposal, closed):
            return (
                f"declined: pull request {closed.number} was closed, and {proposal.deployment} is as it was then. It is"
                " proposed again when that changes, or by a run by hand"
            )
        return ""

    def _may_move(self, tip: Commit, standing: Standing) -> bool:
        """Whether nothing is lost where the branch moves on: the tip is ours, or was merged."""
        is_merged = any(each.is_merged and each.head_sha == tip.sha for each in standing.pulls)
        return is_merged or is_own_commit(tip.message, tip.tree, self._maker)

    def _is_declined(self, proposal: Proposal, closed: PullRequest) -> bool:
        """Whether a person closed the newest pull request, which proposed the same.

        One whose branch somebody else went on with is none: GitHub closes it when the branch is deleted.
        """
        head = self.github.get_commit(closed.head_sha)
        if not is_own_commit(head.message, head.tree, self._maker):
            return False
        if SETTLED in self.github.read_pull_text(closed.number).body:
            return False
        return self.github.read_file(proposal.snapshot_path, closed.head_sha) == proposal.snapshot

    def _refuse_dry(self, proposal: Proposal, standing: Standing) -> None:
        where = "mode: plan" if self.scope.is_dry else "dry run"
        would = "propose what task 'compare' shows (Rendered Templates)"
        if not proposal.is_needed:
            would = f"close pull request {standing.open_pull.number}" if standing.open_pull else "find nothing to do"
        self._say(f"{where}: would {would}")
        raise AirflowSkipException(self.outcome)

    def _bring(self, proposal: Proposal, standing: Standing) -> None:
        if not proposal.is_needed:
            self._close(proposal, standing.open_pull)
            return
        commit = self._bring_branch(proposal, standing)
        self.link(CommitLink, self.github.web_url("commit", commit))
        self._say(f"{self._bring_pull(proposal, standing.open_pull)}; {name_branch(self.scope)} is at {commit[:12]}")

    def _close(self, proposal: Proposal, pull: PullRequest | None) -> None:
        if pull is None:
            self._say("nothing to propose")
            return
        self.github.comment_once(pull.number, write_settled_comment(proposal.deployment), SETTLED)
        body = self.github.read_pull_text(pull.number).body
        self.github.close_pull(pull.number, write_settled_body(body, proposal.deployment))
        self._say(f"pull request {pull.number} closed: nothing is left to propose")

    def _bring_branch(self, proposal: Proposal, standing: Standing) -> str:
        """Return the branch's tip with the proposal on trunk's head: the one that is there, or a new commit."""
        name, tip, trunk = name_branch(self.scope), standing.tip, standing.trunk_head
        if tip is not None and tip.parents == (trunk,) and self._holds(tip.sha, proposal):
            return tip.sha
        tree = self.github.write_files(self.github.get_commit(trunk).tree, proposal.texts)
        made = self.github.write_commit(tree, (trunk,), write_message(proposal, self._maker, tree))
        # Until here nothing is the branch's: who loses a race leaves nothing but a commit that nobody sees.
        if tip is None:
            self.github.create_branch(name, made)
        else:
            self.github.move_aside(name, tip.sha, made)
        return made

    def _holds(self, commit: str, proposal: Proposal) -> bool:
        return all(self.github.read_file(path, commit) == text for path, text in proposal.texts.items())

    def _bring_pull(self, proposal: Proposal, pull: PullRequest | None) -> str:
        """Open the pull request, or let it say what it proposes now; return what was done."""
        wanted = PullText(name_title(proposal), write_body(proposal, self._maker))
        if pull is None:
            opened = self.github.open_pull(name_branch(self.scope), self.scope.project.trunk, wanted)
            self.link(PullRequestLink, opened.url)
            return f"pull request {opened.number} opened"
        if self.github.read_pull_text(pull.number).says(wanted):
            return f"pull request {pull.number} says so already"
        self.github.edit_pull(pull.number, wanted)
        return f"pull request {pull.number} brought up to date"
