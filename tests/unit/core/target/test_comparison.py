"""What is due at a target: deployed when its source moved, held when somebody overrode it, merged when it runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.model import DeploymentStatus
from include.deploy_ops.core.plan.remembered import Approval, Ending, Judgement, Remembered, Requests
from include.deploy_ops.core.plan.work import Hold, HoldKind, Remedy, Verb, Work
from include.deploy_ops.core.policy.keys import Approvers, PullRequestSource, Requires, Target, Verify
from include.deploy_ops.core.target.comparison import (
    Source,
    TargetState,
    compare_target,
    find_release,
    fingerprint_rules,
)
from include.deploy_ops.core.target.gates import Gate
from include.deploy_ops.core.template.drift import Drift
from include.deploy_ops.core.verification.fallback import VerifiedDeploy
from include.deploy_ops.core.verification.verdict import Proof, Verification
from tests.worlds.values.examples import make_deployment, make_pull, sha

STAGING = Target(deployment="Staging", branch="astro_deploy")
RELEASE = PullRequestSource.model_validate({"from": "astro_deploy", "into": "main"})
PRODUCTION = Target(deployment="Production", pull_request=RELEASE, approval="required", merge=True)
HEAD, BASE, MERGE, OLD = sha("b"), sha("a"), sha("c"), sha("0")
TIP = Source("astro_deploy", HEAD)
PULL = Source("astro_deploy", HEAD, MERGE, 7, BASE)
NOTHING = DeployHistory()
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def deployed(head: str | None = HEAD, **changes: Any) -> DeployHistory:
    return DeployHistory("d1", MERGE, MERGE, head, **changes)


def state(
    target: Target = STAGING,
    source: Source | None = TIP,
    history: DeployHistory = NOTHING,
    *,
    deployed_base: str = "",
    deployments: int = 1,
    **remembered: Any,
) -> TargetState:
    found = tuple(make_deployment("x", id=f"id{number}", name=target.deployment) for number in range(deployments))
    return TargetState("target", target, source, found, history, deployed_base, Remembered(**remembered))


def compare(given: TargetState) -> Work | Hold | None:
    return compare_target(given, "shop", "p")


def work(given: TargetState) -> Work:
    found = compare(given)
    assert isinstance(found, Work)
    return found


def hold(given: TargetState) -> str:
    found = compare(given)
    assert isinstance(found, Hold)
    return str(found)


def test_a_new_head_is_deployed() -> None:
    found = work(state(history=deployed(OLD)))
    assert (found.verb, found.head, found.deployed_commit, found.dag) == (Verb.DEPLOY, HEAD, HEAD, "target")
    assert found.reason == "in place of 000000000000"


def test_what_runs_the_head_is_left_alone() -> None:
    assert compare(state(history=deployed())) is None


def test_a_target_that_never_had_a_deploy_of_ours_is_deployed_to_whoever_deployed_before() -> None:
    assert work(state(history=DeployHistory("d1", overridden_by="somebody else's deploy d1"))).verb is Verb.DEPLOY


@pytest.mark.parametrize("head", [HEAD, OLD])
def test_what_was_overridden_stays_so_whatever_the_source_does(head: str) -> None:
    given = state(history=deployed(head, overridden_by="8331752, by mira, because INC-42"))
    assert "overridden by 8331752, by mira, because INC-42, until resumed" in hold(given)
    held = compare(given)
    assert isinstance(held, Hold)
    assert held.remedy is Remedy.RESUME
    assert work(replace(given, remembered=Remembered(resumed="d1"))).verb is Verb.DEPLOY


def test_resuming_one_override_does_not_end_the_next() -> None:
    given = state(history=replace(deployed(overridden_by="v2"), newest_id="d2"), resumed="d1")
    assert "overridden by v2" in hold(given)


def test_what_was_overridden_is_told_without_an_open_pull_request_too() -> None:
    given = state(PRODUCTION, None, deployed(overridden_by="8331752, by mira, because INC-42"))
    assert "overridden by 8331752, by mira, because INC-42, until resumed" in hold(given)
    assert compare(replace(given, remembered=Remembered(resumed="d1"))) is None


@pytest.mark.parametrize(("count", "said"), [(0, "there is no Deployment named 'Staging'"), (2, "are both named")])
def test_the_deployment_must_be_exactly_one(count: int, said: str) -> None:
    assert said in hold(state(deployments=count))


def test_without_an_open_pull_request_nothing_is_due() -> None:
    assert compare(state(PRODUCTION, None, deployments=0)) is None


def test_what_cannot_be_merged_is_held_and_looked_at_again_when_it_ends_by_itself() -> None:
    found = compare(state(PRODUCTION, replace(PULL, problem="not computed yet", is_brief=True)))
    assert found == Hold(
        "target",
        "deploy",
        "not computed yet",
        f"target: {PULL.head} onto {PULL.base}",
        HoldKind.WAITING,
        "target.target",
    )


def test_a_release_asks_first() -> None:
    found = work(state(PRODUCTION, PULL, deployed(OLD)))
    assert (found.verb, found.dag, found.home_dag) == (Verb.REQUEST, "target.request", "target")
    assert (found.commit, found.pull, found.base) == (MERGE, 7, BASE)


def approved(**changes: Any) -> Approval:
    return replace(Approval(HEAD, BASE, "d1", "mira", NOW, commit=MERGE), **changes)


def test_an_approved_release_is_deployed() -> None:
    found = work(state(PRODUCTION, PULL, deployed(OLD), approval=approved()))
    assert (found.verb, found.deployed_commit) == (Verb.DEPLOY, MERGE)


def test_who_is_no_approver_any_more_approved_nothing() -> None:
    approval = approved(user_id="7", merges=True, commit=MERGE)
    for users, is_valid in ((("7",), True), (("8",), False), (("7", "8"), True)):
        target = PRODUCTION.model_copy(update={"approvers": Approvers(users=users)})
        due = work(state(target, PULL, deployed(OLD), approval=approval))
        assert due.verb is (Verb.DEPLOY if is_valid else Verb.REQUEST)
        runs = work(state(target, PULL, deployed(), deployed_base=BASE, approval=approval))
        assert runs.verb is (Verb.MERGE if is_valid else Verb.REQUEST)


def test_new_approvers_are_asked_anew() -> None:
    asked = state(PRODUCTION, PULL, deployed(OLD))
    names = {work(asked).name}
    for users in (("ann",), ("bob",)):
        target = PRODUCTION.model_copy(update={"approvers": Approvers(users=users)})
        names.add(work(replace(asked, target=target)).name)
    assert len(names) == 3


def test_who_is_who_makes_another_question_only_where_it_decides_who_may_answer() -> None:
    by_all, by_ann = Approvers(not_requester=True), Approvers(users=("ann",), not_requester=True)
    told: dict[str, dict[str, str]] = {
        "nobody": {},
        "ann": {"Ann-GH": "ann"},
        "in another case": {"ann-gh": "ann"},
        "bob too": {"ann-gh": "ann", "bob": "bob"},
    }
    cases: tuple[tuple[Approvers | None, int], ...] = (
        (None, 1),
        (Approvers(users=("ann",)), 1),
        (by_ann, 2),
        (by_all, 3),
    )
    for approvers, count in cases:
        target = PRODUCTION.model_copy(update={"approvers": approvers})
        asked = state(target, PULL, deployed(OLD))
        every = [replace(asked, people=people) for people in told.values()]
        assert len({work(each).name for each in every}) == count
        assert len({fingerprint_rules(target, people) for people in told.values()}) == count
        assert len({work(each).subject for each in every}) == 1
        approvals = [replace(each, remembered=Remembered(approval=approved(user_id="ann"))) for each in every]
        assert len({work(each).name for each in approvals}) == 1, "what is approved already is no question"


@pytest.mark.parametrize("moved", [{"head": OLD}, {"base": OLD}, {"observed": "d0"}, {"commit": OLD}])
def test_an_approval_of_something_else_is_void(moved: dict[str, str]) -> None:
    assert work(state(PRODUCTION, PULL, deployed(OLD), approval=approved(**moved))).verb is Verb.REQUEST


def test_without_a_gate_a_release_is_deployed_at_once() -> None:
    ungated = PRODUCTION.model_copy(update={"approval": "none"})
    assert work(state(ungated, PULL, deployed(OLD))).verb is Verb.DEPLOY


def test_a_release_that_runs_is_merged() -> None:
    given = state(PRODUCTION, PULL, deployed(), deployed_base=BASE, approval=approved(merges=True))
    assert work(given).verb is Verb.MERGE
    assert compare(replace(given, target=PRODUCTION.model_copy(update={"merge": False}))) is None


@pytest.mark.parametrize(
    "given", [None, {"merges": False}, {"merges": True, "base": OLD}, {"merges": True, "head": OLD}]
)
def test_what_nobody_approved_to_merge_is_asked_about(given: dict[str, Any] | None) -> None:
    known = None if given is None else approved(**given)
    found = work(state(PRODUCTION, PULL, deployed(), deployed_base=BASE, approval=known))
    assert (found.verb, found.reason) == (Verb.REQUEST, "its code runs, and nobody approved the merge")


def test_what_has_not_settled_is_not_merged() -> None:
    given = state(PRODUCTION, PULL, deployed(), deployed_base=BASE, approval=approved(merges=True))
    (healthy,) = given.deployments
    sick = replace(healthy, status=DeploymentStatus.UNHEALTHY)
    assert "not settled: the Deployment is UNHEALTHY" in hold(replace(given, deployments=(sick,)))
    assert "image is deploy-1 and not yet deploy-2" in hold(replace(given, history=deployed(image_tag="deploy-2")))
    assert "is to have DAGs v1 and not yet v2" in hold(replace(given, history=deployed(dag_version="v2")))


def test_what_hibernates_is_merged_only_where_it_ran_what_was_deployed() -> None:
    given = state(PRODUCTION, PULL, deployed(dag_version="v2"), deployed_base=BASE, approval=approved(merges=True))
    asleep = replace(given.deployments[0], status=DeploymentStatus.HIBERNATING, desired_dag_tarball_version="v2")
    found = compare(replace(given, deployments=(asleep,)))
    assert isinstance(found, Hold)
    assert found.kind is HoldKind.PERSON  # nothing wakes it: no deploy is due
    assert "the Deployment has DAGs v1 and not yet v2, which it fetches when it wakes; wake it" in found.reason
    ran = replace(asleep, dag_tarball_version="v2")
    assert work(replace(given, deployments=(ran,))).verb is Verb.MERGE


def test_a_moved_base_is_another_release() -> None:
    assert work(state(PRODUCTION, PULL, deployed(), deployed_base=OLD)).verb is Verb.REQUEST


def test_a_release_in_which_nothing_needs_a_deploy_is_merged() -> None:
    judged = Judgement(MERGE, "d1", "p", "only docs")
    yes = approved(merges=True)
    assert work(state(PRODUCTION, PULL, deployed(OLD), judgement=judged, approval=yes)).verb is Verb.MERGE


def test_a_request_is_asked_again_only_about_something_else() -> None:
    given = state(PRODUCTION, PULL, deployed(OLD))
    again = replace(given, source=replace(PULL, commit=sha("d")))  # GitHub computed the same merge anew
    assert work(given).name == work(again).name
    for other in (
        replace(given, source=replace(PULL, base=OLD)),
        replace(given, history=replace(deployed(OLD), newest_id="d2")),
        replace(given, source=replace(PULL, head=OLD)),
    ):
        assert work(other).name != work(given).name


def test_only_an_open_pull_request_between_the_two_branches_is_a_release() -> None:
    wanted = make_pull(7, "astro_deploy", HEAD)
    others = [
        replace(wanted, number=8, is_open=False, is_merged=True),
        replace(wanted, number=9, base_ref="staging"),
        replace(wanted, number=10, head_ref="dev-x"),
        replace(wanted, number=11, head_repo_id=99),
    ]
    assert find_release(PRODUCTION, [*others, wanted]) == wanted
    assert find_release(PRODUCTION, others) is None
    assert find_release(STAGING, [wanted]) is None


STATES = st.builds(
    state,
    target=st.sampled_from([STAGING, PRODUCTION, PRODUCTION.model_copy(update={"approval": "none"})]),
    source=st.sampled_from([None, TIP, PULL, replace(PULL, problem="conflict")]),
    history=st.builds(
        deployed, st.sampled_from([None, HEAD, OLD]), overridden_by=st.sampled_from(["", "", "somebody else's deploy"])
    ),
    deployed_base=st.sampled_from(["", BASE, OLD]),
    deployments=st.sampled_from([1, 1, 1, 0, 2]),
    approval=st.sampled_from([None, approved(), approved(base=OLD)]),
    resumed=st.sampled_from(["", "d1", "d0"]),
)


@given(STATES)
def test_a_target_is_only_ever_asked_about_deployed_to_or_merged(given: TargetState) -> None:
    found = compare(given)
    if isinstance(found, Work):
        assert found.verb in {Verb.REQUEST, Verb.DEPLOY, Verb.MERGE}
        assert found.deployment_name == given.target.deployment
        is_asked = given.target.approval == "required"
        is_yes = given.remembered.approval == approved() and found.base == BASE
        assert found.verb is not Verb.DEPLOY or not is_asked or (is_yes and found.head == HEAD)


@given(STATES)
def test_after_what_is_due_was_done_nothing_more_is_due_but_the_merge(given: TargetState) -> None:
    found = compare(given)
    if isinstance(found, Work) and found.verb is Verb.DEPLOY:
        history = replace(deployed(found.head), newest_id="d9")
        after = compare(replace(given, history=history, deployed_base=found.base))
        what = after.what if isinstance(after, Hold) else after and after.verb.value
        assert what is None or (what in {"merge", "request"} and given.target.merge)


def test_a_deployment_of_two_projects_is_held_whatever_else_is_true() -> None:
    rival = "target 'live' of project 'orders' (connection 'astro_orders')"
    for seen in (state(history=deployed(OLD)), state(history=deployed()), state(PRODUCTION, PULL)):
        said = hold(replace(seen, rivals=(rival,)))
        assert f"its Deployment is also that of {rival}; let one project alone deploy to it" in said


@pytest.mark.parametrize("source", [TIP, replace(TIP, head=OLD)])
def test_a_target_that_cannot_be_read_is_held_whatever_its_source_does(source: Source) -> None:
    whole = state(source=source, history=deployed())
    (deployment,) = whole.deployments
    damaged = replace(whole, deployments=(replace(deployment, problem="imageTag: Field required"),))
    said = hold(damaged)
    assert "what Astro says of 'Staging' (id0) cannot be read" in said
    assert "imageTag: Field required" in said


PROVEN = PRODUCTION.model_copy(update={"approval": "none", "verify": Verify()})


def proven(proof: Proof | None, target: Target = PROVEN, deploy_id: str = "d1") -> TargetState:
    """Return a release that runs, with this verdict on a deploy record."""
    found = Verification(deploy_id, MERGE, proof, NOW, f"it is {proof.value}") if proof else None
    return replace(state(target, PULL, deployed(), deployed_base=BASE), verification=found)


def test_a_release_that_is_verified_is_merged() -> None:
    assert work(proven(Proof.VERIFIED)).verb is Verb.MERGE


@pytest.mark.parametrize("given", [proven(Proof.FAILED), proven(Proof.UNKNOWN)])
def test_what_is_not_verified_waits_for_a_person_before_the_merge(given: TargetState) -> None:
    held = compare(given)
    assert isinstance(held, Hold)
    assert (held.what, held.kind) == ("merge", HoldKind.PERSON)
    assert given.verification is not None
    assert held.reason.startswith(f"{given.verification.said}; ")


UNANSWERED = [
    proven(Proof.PENDING),
    proven(None),
    proven(Proof.VERIFIED, deploy_id="d0"),
    proven(Proof.FAILED, deploy_id="d0"),
]


@pytest.mark.parametrize("given", UNANSWERED)
def test_what_is_being_verified_is_not_merged_yet(given: TargetState) -> None:
    held = compare(replace(given, is_asking=True))
    assert isinstance(held, Hold)
    assert (held.what, held.kind) == ("merge", HoldKind.WAITING)


@pytest.mark.parametrize("given", UNANSWERED)
def test_where_no_run_verifies_any_more_a_merge_waits_for_a_person_and_not_for_ever(given: TargetState) -> None:
    held = compare(given)
    assert isinstance(held, Hold)
    assert (held.what, held.kind) == ("merge", HoldKind.PERSON)
    assert "not verified: " in held.reason
    assert "verify it by the form" in held.reason
    lenient = replace(given, target=given.target.model_copy(update={"verify": Verify(unknown="success")}))
    assert work(lenient).verb is Verb.MERGE


def test_the_policy_may_let_the_unknown_be_merged_and_never_what_failed() -> None:
    lenient = PROVEN.model_copy(update={"verify": Verify(unknown="success")})
    assert work(proven(Proof.UNKNOWN, lenient)).verb is Verb.MERGE
    assert isinstance(compare(proven(Proof.FAILED, lenient)), Hold)
    assert isinstance(compare(replace(proven(Proof.PENDING, lenient), is_asking=True)), Hold)


def test_how_a_deploy_is_verified_names_no_work_and_no_question_anew() -> None:
    plain, verified = (PRODUCTION.model_copy(update={"verify": each}) for each in (None, Verify(airflow_conn_id="a")))
    assert fingerprint_rules(plain, {}) == fingerprint_rules(verified, {})
    assert work(state(plain, PULL)).digest == work(state(verified, PULL)).digest
    assert work(state(verified, PULL)).verb is Verb.REQUEST


CLOSED = (Gate("checks"), Gate("soak", "soaks", NOW), Gate("verified", "main has X", is_stuck=True))


@pytest.mark.parametrize(
    "target", [PRODUCTION, PRODUCTION.model_copy(update={"approval": "none"})], ids=["asks", "not"]
)
def test_what_is_due_waits_for_each_gate(target: Target) -> None:
    due = state(target, PULL)
    held = compare(replace(due, gates=CLOSED[:2]))
    assert isinstance(held, Hold)
    assert (held.what, held.reason, held.kind) == (work(due).verb.value, "soaks", HoldKind.WAITING)
    assert (held.opens_at, held.slug) == (NOW, "target.target")
    stuck = compare(replace(due, gates=CLOSED))
    assert isinstance(stuck, Hold)
    assert (stuck.reason, stuck.kind) == ("soaks; main has X", HoldKind.PERSON)
    assert compare(replace(due, gates=CLOSED[:1])) == compare(due)


def test_what_a_target_requires_names_no_work_and_no_question_anew() -> None:
    gated = PRODUCTION.model_copy(update={"requires": Requires(verified="staging")})
    assert fingerprint_rules(PRODUCTION, {}) == fingerprint_rules(gated, {})
    assert work(state(PRODUCTION, PULL)) == work(state(gated, PULL))


def test_what_a_target_is_compared_with_names_no_work_and_no_question_anew() -> None:
    compared = PRODUCTION.model_copy(update={"template": "deployments/production.yaml"})
    assert fingerprint_rules(PRODUCTION, {}) == fingerprint_rules(compared, {})
    differs = replace(state(compared, PULL), drift=(Drift("scheduler_size", "MEDIUM", "SMALL"),))
    assert work(state(PRODUCTION, PULL)) == work(differs)


def test_a_rollback_waits_for_no_gate() -> None:
    given = failed()
    assert work(replace(given, gates=CLOSED)) == work(given)


FORMER = VerifiedDeploy("d0", OLD, "3.3-2", NOW)
REFUTED = Verification("d1", HEAD, Proof.FAILED, NOW, "2 import errors")
BACK = "rollback from bbbbbbb to 0000000: 2 import errors"


def failed(source: Source | None = TIP, target: Target = STAGING, **remembered: Any) -> TargetState:
    """Return a target whose newest deploy failed its verification, and may be rolled back."""
    target = target.model_copy(update={"verify": Verify(on_failure="rollback")})
    runs = replace(deployed(), names_rollback=True, commit=HEAD)
    given = state(target, source, runs, deployed_base=BASE if source == PULL else "", **remembered)
    return replace(given, verification=REFUTED, verified=(FORMER,))


@pytest.mark.parametrize(
    "source", [TIP, replace(TIP, head=sha("e")), replace(TIP, problem="a conflict"), None, PULL], ids=str
)
def test_what_is_shown_not_to_work_is_rolled_back_whatever_the_source_asks_for(source: Source | None) -> None:
    found = work(failed(source, PRODUCTION if source == PULL else STAGING))
    assert (found.verb, found.deployed_commit, found.observed, found.undoes) == (Verb.DEPLOY, OLD, "d1", "d1")
    assert (found.branch, found.pull, found.base, found.reason) == ("astro_deploy", 0, "", BACK)


def test_a_rollback_is_the_same_work_under_every_policy_and_another_one_for_another_record() -> None:
    given = failed()
    other = compare_target(replace(given, target=given.target.model_copy(update={"forced": "skip"})), "shop", "q")
    assert isinstance(other, Work)
    assert other.name == work(given).name
    later = replace(
        given, history=replace(given.history, newest_id="d2"), verification=replace(REFUTED, deploy_id="d2")
    )
    assert work(later).name != work(given).name


def test_where_only_reports_are_wanted_or_a_person_resumed_nothing_is_rolled_back() -> None:
    given = failed()
    report = given.target.model_copy(update={"verify": Verify()})
    assert compare(replace(given, target=report)) is None
    assert compare(failed(resumed="d1")) is None


@pytest.mark.parametrize(
    ("verified", "said"),
    [
        ((), "no earlier deploy of runtime 3.3-2 is verified"),
        ((replace(FORMER, runtime="3.2-1"),), "no earlier deploy of runtime 3.3-2 is verified"),
        ((replace(FORMER, commit=HEAD),), "bbbbbbb itself was verified before, as deploy d0"),
        (
            (replace(FORMER, deploy_id="c9"), replace(FORMER, commit=HEAD, is_refuted=True)),
            "bbbbbbb itself was verified before, as deploy d0",
        ),
        ((replace(FORMER, is_refuted=True),), "no earlier deploy of runtime 3.3-2 is verified"),
    ],
)
def test_without_anything_to_go_back_to_it_says_so_and_a_fix_is_deployed(
    verified: tuple[VerifiedDeploy, ...], said: str
) -> None:
    given = replace(failed(), verified=verified)
    assert f"2 import errors; nothing is rolled back: {said}; push a commit" in hold(given)
    assert "nothing is rolled back" in hold(replace(given, source=None))
    assert work(replace(given, source=replace(TIP, head=sha("e")))).head == sha("e")
    release = replace(failed(PULL, PRODUCTION), verified=verified)
    assert "nothing is rolled back" in hold(release), "it is not merged"


def test_a_rollback_that_failed_is_not_tried_again_and_a_fix_is_deployed() -> None:
    ending = Ending(work(failed()).name, NOW, is_failure=True, cause="the CLI said no")
    given = failed(endings={"rollback": ending})
    held = compare(given)
    assert isinstance(held, Hold)
    assert held.kind is HoldKind.FAILED
    assert held.reason.startswith(
        f"{BACK}; that failed, and is not tried again by itself: the CLI said no; clear its run"
    )
    assert work(replace(given, source=replace(TIP, head=sha("e")))).head == sha("e")
    assert work(failed(endings={"rollback": replace(ending, work="another")})).undoes == "d1"


def test_a_fix_that_fails_too_does_not_have_the_failed_rollback_tried_again() -> None:
    given = failed(replace(TIP, head=sha("e")))
    back = Ending(work(given).name, NOW, is_failure=True, cause="the CLI said no")
    fix = Ending("production~deploy", NOW, is_failure=True, cause="a DAG is broken")
    known = Remembered({"deploy": fix, "rollback": back}).join(Requests(), None, None)
    assert work(replace(given, remembered=known)).head == sha("e")


@pytest.mark.parametrize("head", [HEAD, sha("e")], ids=["same", "pushed"])
def test_what_was_rolled_back_stays_so_until_resumed_and_never_goes_further_back(head: str) -> None:
    gone_back = replace(deployed(OLD), newest_id="d2", undoes="d1", overridden_by=f"a {BACK}")
    older = replace(FORMER, deploy_id="c9", commit=sha("9"))
    given = replace(failed(replace(TIP, head=head)), history=gone_back, verified=(older, FORMER))
    held = compare(given)
    assert isinstance(held, Hold)
    assert (held.reason, held.remedy) == (f"overridden by a {BACK}, until resumed", Remedy.RESUME)
    fails_too = Verification("d2", OLD, Proof.FAILED, NOW, "1 import error")
    said = f"overridden by a {BACK}, until resumed; that is not verified either, 1 import error: deploy one"
    assert said in hold(replace(given, verification=fails_too))
    assert work(replace(given, remembered=Remembered(resumed="d2"))).head == head


def test_what_cannot_be_told_apart_or_read_is_not_rolled_back() -> None:
    given = failed(None)
    (deployment,) = given.deployments
    assert compare(replace(given, deployments=(deployment, deployment))) is None
    assert compare(replace(given, deployments=(replace(deployment, problem="its runtime is no text"),))) is None
    assert compare(replace(given, rivals=("lake.staging",))) is None
