"""Which deploy a commit needs on top of what was deployed, by the trees of both, and what people are told of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from include.deploy_ops.core.change.change_type import ChangeRules, Snapshot, classify_change
from include.deploy_ops.core.errors import CommitMissingError, DeployOpsError
from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.model import ChangeDecision, DeployDecision
from include.deploy_ops.process.redaction import redact_shapes, redact_urls

if TYPE_CHECKING:
    from include.deploy_ops.core.policy.keys import Project
    from include.deploy_ops.hooks.github.repository import DeployOpsGithubHook
    from include.deploy_ops.run.job import Job

SUBJECT_LENGTH_MAX = 200
"""Characters of a commit's first line and of its author's name that are handed on, for people to read."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChangeReader:
    """Reads of one repository what decides on a deploy."""

    project: Project
    github: DeployOpsGithubHook

    def decide(self, commit: str, history: DeployHistory, *, has_dag_deploys: bool) -> ChangeDecision:
        """Return what the files of the commit ask for, compared with what the history says was deployed."""
        image, why_image = self._find_snapshot(history.image_commit)
        # What the newest record was to bring and did not, nothing is compared with: it is brought now.
        is_lacking = history.lacks_dags and has_dag_deploys
        dags, why_dags = self._find_snapshot(None if is_lacking else history.dags_commit)
        return classify_change(
            target=Snapshot(commit, self.github.get_commit(commit).tree),
            image_base=image,
            dags_base=dags,
            rules=ChangeRules.of(self.project),
            read_tree=self.github.read_tree,
            is_dag_deploy_enabled=has_dag_deploys,
            missing_base=why_image or why_dags,
        )

    def decide_first(self, job: Job) -> tuple[ChangeDecision, DeployDecision]:
        """Return what a Deployment that is not there yet needs, and that as it is handed on."""
        found = self.decide(job.deployed_commit, DeployHistory(), has_dag_deploys=True)
        subject, author = self.read_texts(job)
        return found, DeployDecision(found.change_type, found.commit, found.reason, "", subject=subject, author=author)

    def read_texts(self, job: Job) -> tuple[str, str]:
        """Return the commit's first line and its author, for people: of a test merge, of the head that it merges."""
        told = job.head if job.base and not job.is_override else job.deployed_commit
        try:
            commit = self.github.get_commit(told)
        except DeployOpsError as error:  # they are worth no failed deploy
            log.info("what %s says is not known: %s", told[:12], error)
            return "", ""
        subject, author = (redact_shapes(redact_urls(text)) for text in (commit.subject, commit.author))
        return subject[:SUBJECT_LENGTH_MAX], author[:SUBJECT_LENGTH_MAX]

    def _find_snapshot(self, commit: str | None) -> tuple[Snapshot | None, str]:
        if commit is None:
            return None, "no successful deploy with a known commit"
        try:
            return Snapshot(commit, self.github.get_commit(commit).tree), ""
        except CommitMissingError:
            return None, f"commit {commit[:12]} of the last deploy is not in the repository any more"
