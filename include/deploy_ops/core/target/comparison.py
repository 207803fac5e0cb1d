"""A target's source vs what it runs → what is due: a request, a deploy, a merge, a rollback, or a hold and its reason.

Pure. Decides about long-lived Deployments only, which are found by name, and never created, updated or deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.history import DeployHistory, describe_former, describe_rollback
from include.deploy_ops.core.model import Deployment
from include.deploy_ops.core.naming import digest_work, name_subject, slug_target
from include.deploy_ops.core.plan.remembered import Remembered
from include.deploy_ops.core.plan.work import OVERRIDDEN, Hold, HoldKind, Remedy, Verb, Work, describe_stuck
from include.deploy_ops.core.policy.keys import Target
from include.deploy_ops.core.target.approvers import is_listed
from include.deploy_ops.core.target.gates import Gate, find_unmet
from include.deploy_ops.core.target.settling import describe_unfetched, describe_unsettled
from include.deploy_ops.core.template.drift import Drift
from include.deploy_ops.core.verification.fallback import VerifiedDeploy, find_fallback, has_failed
from include.deploy_ops.core.verification.standing import advise, awaits_proof, recall_verification
from include.deploy_ops.core.verification.verdict import Proof, Verification

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.deploy_ops.core.model import PullRequest


_SHORT = 7


@dataclass(frozen=True, slots=True)
class Source:
    """What a target should run, as it stands now.

    `ref` and `head` are the branch and its tip; `commit` is what to deploy where that is another one: of a pull
    request, its test merge onto `base`. `problem` says why nothing can be deployed of it; `is_brief`: as a rule that
    ends by itself, within seconds.
    """

    ref: str
    head: str
    commit: str = ""
    pull: int = 0
    base: str = ""
    problem: str = ""
    is_brief: bool = False


@dataclass(frozen=True, slots=True)
class TargetState:
    """One target as a pass sees it.

    `source` is None while there is nothing to follow: no open pull request. `deployments` are those that bear its name.
    `deployed_base` is the base onto which the deployed test merge was made, empty where that cannot be told. `rivals`
    names the targets of other projects that are about the same Deployment. `people` is the project's key.
    `verification` is the newest one, of whatever deploy record; None where nobody remembers, or the policy wants none.
    `is_asking`: a run is at work that verifies, or was a pass ago. `verified` are the deploys that were, newest last,
    where the policy lets it go back to one. `gates` are what the policy's `requires` asks for, where anything is due;
    what is verified already, and goes back, waits for none. `drift` is where the Deployment differs from the policy's
    `template` of it, `drift_problem` why that is not known.
    """

    name: str
    target: Target
    source: Source | None
    deployments: tuple[Deployment, ...]
    history: DeployHistory
    deployed_base: str
    remembered: Remembered
    rivals: tuple[str, ...] = ()
    people: Mapping[str, str] = field(default_factory=dict)
    verification: Verification | None = None
    is_asking: bool = False
    verified: tuple[VerifiedDeploy, ...] = ()
    gates: tuple[Gate, ...] = ()
    drift: tuple[Drift, ...] = ()
    drift_problem: str = ""


def find_release(target: Target, pulls: Iterable[PullRequest]) -> PullRequest | None:
    """Return the open pull request that a target follows; GitHub has one at most between two branches."""
    if target.pull_request is None:
        return None
    wanted = (target.pull_request.source, target.pull_request.into)
    own = [each for each in pulls if each.is_open and not each.is_from_fork]
    return max((each for each in own if (each.head_ref, each.base_ref) == wanted), default=None)


def compare_target(state: TargetState, project: str, policy: str) -> Work | Hold | None:
    """Return what is due at the target; None when it runs what it should.

    :param project: the project's name.
    :param policy: the fingerprint of the project's policy.
    """
    barred = _describe_absence(state) or _describe_rivals(state)
    if barred and state.source is not None:
        return _hold(state, Verb.DEPLOY, barred)
    # Before the source's own problems, and without a source too: what somebody deployed on purpose stands, whatever
    # becomes of the pull request meanwhile, and what does not work is rolled back.
    if len(state.deployments) == 1 and (reason := _find_override(state)):
        return replace(_hold(state, Verb.DEPLOY, reason), remedy=Remedy.RESUME)
    rollback = None if barred else _find_rollback(state, project)
    # One that cannot be done holds nothing up that would replace what does not work.
    if state.source is None or isinstance(rollback, Work) or (rollback and _is_current(state, state.source, policy)):
        return rollback
    if state.source.problem:
        awaits = f"{state.name}: {state.source.head} onto {state.source.base}" if state.source.is_brief else ""
        kind = HoldKind.WAITING if awaits else HoldKind.PERSON
        return _hold(state, Verb.DEPLOY, state.source.problem, kind, awaits)
    due = _find_due(state, state.source, policy)
    return due and (_hold_due(state, due[0]) or _work(state, state.source, project, policy, *due))


def _hold(state: TargetState, verb: Verb, reason: str, kind: HoldKind = HoldKind.PERSON, awaits: str = "") -> Hold:
    return Hold(state.name, verb.value, reason, awaits, kind, slug_target(state.name))


def _hold_due(state: TargetState, verb: Verb) -> Hold | None:
    """Return what holds what is due: nobody is asked before only a person's yes is missing."""
    # The merge is a release's last word: it waits until what was deployed is seen to run.
    if verb is Verb.MERGE and (hold := _hold_merge(state)):
        return hold
    reason, opens_at = find_unmet(state.gates)
    if not reason:
        return None
    kind = HoldKind.PERSON if any(each.is_stuck for each in state.gates) else HoldKind.WAITING
    waits = any(each.name == "checks" and each.unmet for each in state.gates)
    checked = state.source.head if waits and state.source is not None else ""
    gate = next(each.name for each in state.gates if each.unmet)
    rule = ("targets", state.name, "requires", gate)
    return replace(_hold(state, verb, reason, kind), opens_at=opens_at, checked=checked, rule=rule)


def _hold_merge(state: TargetState) -> Hold | None:
    (deployment,) = state.deployments
    if reason := describe_unsettled(deployment, state.history):
        return _hold(state, Verb.MERGE, reason, HoldKind.WAITING)
    # A deploy of ours wakes it, and there is none to come: this code is deployed.
    if reason := describe_unfetched(deployment, state.history):
        return _hold(state, Verb.MERGE, reason)
    return _hold_unproven(state)


def _hold_unproven(state: TargetState) -> Hold | None:
    """Return what holds the merge while what runs is not verified, as far as the policy wants that."""
    rules = state.target.verify
    if rules is None:
        return None
    history = state.history
    verification = recall_verification(state.verification, history.newest_id, history.commit, is_asking=state.is_asking)
    if not awaits_proof(verification, is_success_unknown=rules.unknown == "success"):
        return None
    if verification.proof is Proof.PENDING:
        found = _hold(state, Verb.MERGE, verification.said, HoldKind.WAITING)
    else:
        found = _hold(state, Verb.MERGE, f"{verification.said}; {advise(verification)}")
    return replace(found, rule=("targets", state.name, "verify"))


def _find_due(state: TargetState, source: Source, policy: str) -> tuple[Verb, str] | None:
    """Return what is due, and why."""
    if _is_current(state, source, policy):
        if not state.target.merge:
            return None
        if _is_merge_approved(state, source):
            return Verb.MERGE, "its code runs"
        return Verb.REQUEST, "its code runs, and nobody approved the merge"
    return Verb.DEPLOY if _is_approved(state, source) else Verb.REQUEST, describe_former(state.history)


def _is_merge_approved(state: TargetState, source: Source) -> bool:
    """Whether merging needs no yes, or got one for this head and base: what was forced got none."""
    approval = state.remembered.approval
    if state.target.approval == "none" or approval is None:
        return state.target.approval == "none"
    return (
        is_listed(state.target.approvers, approval.user_id)
        and approval.merges
        and (approval.head, approval.base) == (source.head, source.base)
    )


def _describe_absence(state: TargetState) -> str:
    name = state.target.deployment
    if not state.deployments:
        return f"there is no Deployment named '{name}' in the workspace; create it, or correct the policy"
    if len(state.deployments) == 1:
        return state.deployments[0].doubt
    ids = " and ".join(sorted(each.id for each in state.deployments))
    return f"{ids} are both named '{name}'; rename the one that is not meant, in Astro"


def _describe_rivals(state: TargetState) -> str:
    if not state.rivals:
        return ""
    return f"its Deployment is also that of {' and '.join(state.rivals)}; let one project alone deploy to it"


def _find_override(state: TargetState) -> str:
    """Return why the target stays as it is: somebody deployed something else since our last deploy, on purpose."""
    history = state.history
    # Before our first deploy all that runs there is somebody else's, and overrides nothing.
    if not history.overridden_by or history.head is None or state.remembered.resumed == history.newest_id:
        return ""
    return f"{OVERRIDDEN}{history.overridden_by}, until resumed{_describe_refuted(state) if history.undoes else ''}"


def _describe_refuted(state: TargetState) -> str:
    """Return that what a rollback went back to does not work either, empty where nobody knows that."""
    known = state.verification
    if known is None or (known.deploy_id, known.proof) != (state.history.newest_id, Proof.FAILED):
        return ""
    return (
        f"; that is not verified either, {known.said}: deploy one that works by the form, or mend the source and resume"
    )


def _find_rollback(state: TargetState, project: str) -> Work | Hold | None:
    """Return the deploy of what was verified before, or why it is not made; None where what runs need not go."""
    rules, history, known = state.target.verify, state.history, state.verification
    is_resumed = state.remembered.resumed == history.newest_id  # a person wants it as it is
    if rules is None or known is None or not rules.rolls_back or is_resumed:
        return None
    if not has_failed(history, known, state.verified):
        return None
    (deployment,) = state.deployments
    fallback = find_fallback(state.verified, deployment.runtime_version, history.commit)
    if fallback is None or fallback.commit == history.commit:
        why = (
            f"no earlier deploy of runtime {deployment.runtime_version} is verified"
            if fallback is None
            else f"{fallback.commit[:_SHORT]} itself was verified before, as deploy {fallback.deploy_id}"
        )
        return _hold(state, Verb.DEPLOY, f"{known.said}; nothing is rolled back: {why}; {advise(known)}")
    work = _roll_back(state, fallback, project, describe_rollback(history.commit, fallback.commit, known.said))
    ending = state.remembered.endings.get(work.ending_key)
    if ending is not None and ending.work == work.name and ending.is_failure:
        return _hold(state, Verb.DEPLOY, describe_stuck(work, ending.cause), HoldKind.FAILED)
    return work


def _roll_back(state: TargetState, fallback: VerifiedDeploy, project: str, reason: str) -> Work:
    """Return the work, whose name tells the failed record alone: no edit of the policy makes it another one."""
    (deployment,) = state.deployments
    release = state.target.pull_request
    facts = {"project": project, "target": state.name, "deployment": deployment.id, "undoes": state.history.newest_id}
    return Work(
        verb=Verb.DEPLOY,
        branch=state.target.followed_branch or (release.source if release else ""),
        head=fallback.commit,
        deployment_name=deployment.name,
        deployment_id=deployment.id,
        observed=state.history.newest_id,
        digest=digest_work(facts),
        reason=reason,
        target=state.name,
        undoes=state.history.newest_id,
    )


def _is_current(state: TargetState, source: Source, policy: str) -> bool:
    """Whether the target runs the source already, or nothing in it needs a deploy."""
    history = state.history
    if state.remembered.is_judged(source.commit or source.head, history.newest_id, policy):
        return True
    return (history.head, state.deployed_base) == (source.head, source.base) and not history.overridden_by


def _is_approved(state: TargetState, source: Source) -> bool:
    if state.target.approval == "none":
        return True
    approval = state.remembered.approval
    if approval is None or not is_listed(state.target.approvers, approval.user_id):
        return False
    return approval.covers(source.head, source.base, state.history.newest_id, source.commit or source.head)


_FIRST_RULES = frozenset(
    ("deployment", "branch", "pull_request", "on", "deploy_type", "approval", "approval_timeout", "forced", "merge")
)


def name_due(state: TargetState, source: Source) -> str:
    """Return what a person is asked about the source at the target, as `Work.subject`."""
    (deployment,) = state.deployments
    return name_subject(deployment.id, source.head, state.history.newest_id, source.base)


def _list_rules(target: Target) -> dict[str, Any]:
    """Return the target's rules as they take part in names of work: the first ones, and later ones that are set.

    So a release that brings a key gives no work another name, by which endings and rejections are remembered. How a
    deploy is verified changes nothing of what is deployed, or asked; nor does what it waits for, or is compared with.
    """
    later = target.model_dump(mode="json", exclude_defaults=True, exclude={"verify", "requires", "template"})
    first = target.model_dump(mode="json", include=set(_FIRST_RULES))
    if target.pull_request is not None and not target.pull_request.drafts:
        del first["pull_request"]["drafts"]
    return later | first


def _list_asking_rules(target: Target, people: Mapping[str, str]) -> dict[str, Any]:
    """Return the rules by which a person is asked: where authors may not answer, who is who takes part."""
    approvers, rules = target.approvers, _list_rules(target)
    if approvers is None or not approvers.not_requester:
        return rules
    told = {login.casefold(): user for login, user in people.items() if is_listed(approvers, user)}
    return rules | {"people": told} if told else rules


def fingerprint_rules(target: Target, people: Mapping[str, str]) -> str:
    """Return 8 hexadecimal digits over the rules by which a person is asked; `people` is the project's key."""
    return digest_work(_list_asking_rules(target, people))


def _work(state: TargetState, source: Source, project: str, policy: str, verb: Verb, reason: str) -> Work:
    (deployment,) = state.deployments
    observed = state.history.newest_id
    facts = {
        "project": project,
        "target": state.name,
        "verb": verb.value,
        "head": source.head,
        "base": source.base,
        "deployment": deployment.id,
        "deploy": observed,
        "resumed": state.remembered.resumed,
        "rules": _list_asking_rules(state.target, state.people) if verb is Verb.REQUEST else _list_rules(state.target),
        "policy": policy,
    }
    return Work(
        verb=verb,
        branch=source.ref,
        head=source.head,
        deployment_name=deployment.name,
        deployment_id=deployment.id,
        observed=observed,
        digest=digest_work(facts),
        reason=reason,
        target=state.name,
        commit=source.commit,
        pull=source.pull,
        base=source.base,
    )
