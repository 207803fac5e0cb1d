"""The gates of a target as they stand: whether each lets what is due begin, and what it awaits. Reads only.

Whether two targets have the same content is decided as deploys are: what needs none on top of the other is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from include.deploy_ops.core.errors import CommitMissingError, ObservationError, PermanentError
from include.deploy_ops.core.history import DeployHistory, forget_unseen
from include.deploy_ops.core.model import ChangeType
from include.deploy_ops.core.naming import hash_text, slug_target
from include.deploy_ops.core.policy.values import REQUIRED
from include.deploy_ops.core.target.comparison import Source
from include.deploy_ops.core.target.gates import (
    Checks,
    Elsewhere,
    Gate,
    judge_checks,
    judge_soak,
    judge_verified,
    judge_windows,
    tell_time,
)
from include.deploy_ops.core.verification.standing import recall_verification
from include.deploy_ops.core.verification.verdict import Proof
from include.deploy_ops.core.view.proof import is_asking
from include.deploy_ops.hooks.github.refs import find_merge_base
from include.deploy_ops.observation.commit_checks import CheckReader
from include.deploy_ops.observation.decisions import ChangeReader
from include.deploy_ops.run.memory import CachedDifference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.deploy_ops.core.model import ChangeDecision
    from include.deploy_ops.core.policy.keys import Project, Requires, Target
    from include.deploy_ops.core.preview.observed import Observed
    from include.deploy_ops.core.verification.verdict import Verification
    from include.deploy_ops.hooks.github.pulls import GithubPullsHook
    from include.deploy_ops.run.job import Job
    from include.deploy_ops.run.memory import Memory
    from include.deploy_ops.run.scope import Scope

_SHORT, _BASIS_LENGTH = 7, 16


@dataclass(frozen=True, slots=True)
class GateReader:
    """Reads the gates of one project's targets, over what was observed of their Deployments.

    :param checks: reads the checks on commits for control, which leaves what it found for the trigger.
    """

    scope: Scope
    github: GithubPullsHook
    memory: Memory
    observed: Observed
    checks: CheckReader | None = None

    def read(self, target: Target, source: Source) -> tuple[Gate, ...]:
        """Return how each gate of the target stands for what the source has; none where the policy asks for none."""
        rules = target.requires
        if rules is None:
            return ()
        zone = rules.windows.windows.zone if rules.windows is not None else UTC
        return tuple(self._judge(target, rules, source, datetime.now(zone)))

    def read_for(self, job: Job) -> tuple[Gate, ...]:
        """Return how each gate of the job's target stands for what the job deploys."""
        head = job.deployed_commit if job.is_override else job.head
        source = Source(job.branch, head, job.commit, job.pull, job.base)
        return self.read(self.scope.target(job.target), source)

    def _judge(self, target: Target, rules: Requires, source: Source, now: datetime) -> Iterator[Gate]:
        if rules.checks is not None:
            base = target.pull_request.into if target.pull_request is not None else source.ref
            asked = base if rules.checks == REQUIRED else ""
            yield judge_checks(rules.checks, self._read_checks(source.head, asked))
        if rules.verified is not None:
            elsewhere = self._look_elsewhere(rules.verified, target, source, now)
            yield judge_verified(elsewhere, now)
            if rules.soak is not None:
                yield judge_soak(elsewhere, rules.soak, now)
        if rules.windows is not None:
            yield judge_windows(rules.windows.windows, now)

    def _read_checks(self, sha: str, branch: str) -> Checks:
        try:
            return (self.checks or CheckReader(self.github)).read_anew(sha, branch)
        except ObservationError as error:  # nothing else waits where only GitHub's checks are down
            return Checks(blind=str(error), unread=str(error))

    def _look_elsewhere(self, name: str, target: Target, source: Source, now: datetime) -> Elsewhere:
        """Return what the target of that name shows of the content that is to be deployed."""
        wanted = self.scope.project.targets[name].deployment
        found = self.observed.find(wanted)
        if len(found) != 1 or found[0].doubt:
            doubt = found[0].doubt if len(found) == 1 else f"{len(found) or 'no'} Deployments are named '{wanted}'"
            return Elsewhere(name, f"what {name} runs is not known: {doubt}", is_stuck=True)
        history = forget_unseen(self.observed.histories.get(found[0].id, DeployHistory()), found[0])
        try:
            compared = self._recall_difference(name, target, source, history)
        except (CommitMissingError, PermanentError) as error:
            return Elsewhere(name, f"whether {name} runs the same content is not known: {error}", is_stuck=True)
        if compared.differs:
            return compared
        known = self._recall(name, history)
        is_verified = known.proof is Proof.VERIFIED
        return Elsewhere(name, verification=known, reset=_tell_begin(history, known, now) if is_verified else "")

    def _recall(self, name: str, history: DeployHistory) -> Verification:
        slug = slug_target(name)
        row = self.memory.read_row(slug)
        is_asked = row is not None and is_asking(row)
        known = self.memory.verification(slug).read()
        return recall_verification(known, history.newest_id, history.commit, is_asking=is_asked)

    def _recall_difference(self, name: str, target: Target, source: Source, history: DeployHistory) -> Elsewhere:
        """Return how it differs, as an earlier look found it where nothing of it moved: a release may wait for days."""
        facts = [source.commit, source.head, source.base, target.model_dump_json(), self.scope.policy, str(history)]
        basis, slot = hash_text("\n".join(facts), _BASIS_LENGTH), self.memory.difference(slug_target(name))
        known = slot.read()
        if known is not None and known.basis == basis and known.differs:
            return Elsewhere(name, known.differs, is_stuck=known.is_stuck)
        found = self._compare(name, target, source, history)
        if found.differs:
            slot.write(CachedDifference(basis, found.differs, found.is_stuck))
        return found

    def _compare(self, name: str, target: Target, source: Source, history: DeployHistory) -> Elsewhere:
        """Return how what is to be deployed differs from what the target of that name runs, by its history."""
        reader = ChangeReader(self.scope.project, self.github)
        takes_dags = all(each.is_dag_deploy_enabled for each in self.observed.find(target.deployment))
        due = reader.decide(source.commit or source.head, history, has_dag_deploys=takes_dags)
        if due.change_type is ChangeType.NONE:
            return Elsewhere(name)
        trunk = source.base or source.head
        if history.head and (parted := find_merge_base(self.github, trunk, history.head)):
            since = DeployHistory(image_commit=parted.commit, dags_commit=parted.commit)
            brought = _list_paths(reader.decide(trunk, since, has_dag_deploys=takes_dags))
            if lacking := sorted(_list_paths(due) & brought):
                branch = target.pull_request.into if source.base and target.pull_request else source.ref
                entrance = _find_entrance(self.scope.project, name)
                return Elsewhere(name, f"{branch} has {_name_first(lacking)}, merge it into {entrance}", is_stuck=True)
        why = f"overridden by {history.overridden_by}" if history.overridden_by else due.reason
        return Elsewhere(name, f"{name} runs other content: {why}", is_stuck=bool(history.overridden_by))


def _list_paths(decision: ChangeDecision) -> set[str]:
    return {each.path for each in decision.paths if each.verdict is not ChangeType.NONE}


def _name_first(paths: list[str]) -> str:
    return f"'{paths[0]}'" + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")


def _find_entrance(project: Project, name: str) -> str:
    """Return the branch into which people merge what is to come to the target."""
    target, promotion = project.targets[name], project.promotion
    release = target.pull_request
    followed = target.followed_branch or (release.source if release is not None else "")
    return promotion.into if promotion is not None and promotion.deploy_branch == followed else followed


def _tell_begin(history: DeployHistory, known: Verification, now: datetime) -> str:
    """Return what the other target runs since its soak began anew, and when that was."""
    what = history.overridden_by or (history.commit or "what runs")[:_SHORT]
    return f"{what} was verified there {tell_time((known.since or known.at).astimezone(now.tzinfo), now)}"
