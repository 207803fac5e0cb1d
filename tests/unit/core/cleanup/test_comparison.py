"""What follows from cleanup's verdicts in a pass: work while they stand, a hold while a person is asked, or nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.cleanup.comparison import ExpiryFacts, compare_expiry, read_labels
from include.deploy_ops.core.cleanup.orphans import find_orphans
from include.deploy_ops.core.cleanup.verdict import Standing, Verdict
from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.model import Branch, DeploymentStatus
from include.deploy_ops.core.plan.remembered import Ending, Remembered
from include.deploy_ops.core.plan.schedule import BRAKE_WINDOW, Circumstances, schedule
from include.deploy_ops.core.plan.work import Hold, HoldKind, Verb, Work
from include.deploy_ops.core.policy.file import load_policy
from include.deploy_ops.core.policy.keys import Limits
from include.deploy_ops.core.preview.desired import RepositorySnapshot, derive_previews
from include.deploy_ops.core.preview.hibernation import find_wake, is_woken
from include.deploy_ops.core.preview.observed import Observed
from tests.worlds.values.examples import (
    PLANE,
    POLICY,
    make_deployment,
    make_mark,
    make_project,
    make_pull,
    merged,
    sha,
)
from tests.worlds.values.works import NOW, make_difference, make_work

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from include.deploy_ops.core.model import Deployment, PullRequest
    from include.deploy_ops.core.plan.work import Plan

DAY = timedelta(days=1)
BRANCH = "dev-a"


def make_verdict(verb: str = "delete", **changes: Any) -> Verdict:
    """Return a verdict of yesterday on the branch's preview that is due now."""
    verdict = Verdict(
        verb=verb,
        branch=BRANCH,
        deployment_id=f"id-{BRANCH}",
        deployment_name="shop-dev-a",
        head=sha("a"),
        observed="d1",
        idle_since=NOW - 14 * DAY,
        decided_at=NOW - DAY,
        due_at=NOW,
        reason="idle since long ago",
        run_id="run",
    )
    return replace(verdict, **changes)


def follow(
    *known: Verdict,
    deployments: Sequence[Deployment] = (),
    heads: Mapping[str, str] | None = None,
    pulls: Sequence[PullRequest] = (),
    history: DeployHistory | None = None,
    woken: Mapping[str, Any] | None = None,
    targets: Sequence[str] = (),
    hibernate_after: timedelta | None = None,
) -> list[Work | Hold]:
    """Return what follows; the branch's one preview runs its head, unless it is said otherwise."""
    project = make_project(previews={"hibernate_after": hibernate_after})
    branches = tuple(
        Branch(*pair) for pair in {"main": sha("a"), **({BRANCH: sha("a")} if heads is None else heads)}.items()
    )
    shown = tuple(deployments) or (make_deployment(BRANCH),)
    found = compare_expiry(
        project,
        control_plane=PLANE,
        targets=targets,
        desired=derive_previews(project, RepositorySnapshot(branches, tuple(pulls))),
        observed=Observed(shown, {f"id-{BRANCH}": history or DeployHistory("d1", head=sha("a"))}),
        facts=ExpiryFacts({each.deployment_id: each for each in known}, woken or {}, read_labels(pulls)),
        now=NOW,
    )
    return list(found)


@pytest.mark.parametrize("verb", ["hibernate", "delete"])
def test_a_standing_verdict_becomes_work(verb: str) -> None:
    (work,) = follow(make_verdict(verb))
    assert isinstance(work, Work)
    assert (work.verb.value, work.branch, work.head, work.deployment_id) == (verb, BRANCH, sha("a"), f"id-{BRANCH}")
    assert (work.due_at, work.is_released, work.dag) == (NOW, False, "preview")


def test_each_decision_is_work_of_its_own() -> None:
    names = [follow(make_verdict(decided_at=NOW - days * DAY))[0] for days in (1, 1, 2)]
    digests = [each.digest for each in names if isinstance(each, Work)]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    "seen",
    [
        {"heads": {BRANCH: sha("b")}},
        {"heads": {}},
        {"history": DeployHistory("d2", head=sha("a"))},
        {"history": DeployHistory("d1", head=sha("a"), active_at=NOW)},
        {"woken": {BRANCH: NOW}},
        {"deployments": [make_deployment(BRANCH, id="another")]},
        {"deployments": [make_deployment(BRANCH, make_mark(BRANCH, control_plane="other"))]},
        {"deployments": [make_deployment(BRANCH), make_deployment(BRANCH, id="twin")]},
        {"targets": ["shop-dev-a"]},
        {"pulls": [merged(make_pull(1, BRANCH, sha("a")))]},
        {"pulls": [make_pull(1, BRANCH, sha("a"), labels=("x", "keep-preview"))]},
        {"pulls": [make_pull(1, BRANCH, sha("a"), labels=("Keep-Preview",))]},
        {"pulls": [make_pull(1, BRANCH, sha("a"), base_ref="feature", labels=("keep-preview",))]},
    ],
)
def test_nothing_follows_when_the_verdict_is_void_or_the_preview_exempt(seen: dict[str, Any]) -> None:
    assert follow(make_verdict(), **seen) == []


@pytest.mark.parametrize(
    "pull",
    [
        make_pull(1, BRANCH, sha("a"), labels=("keep",)),
        make_pull(1, BRANCH, sha("a"), labels=("keep-preview",), is_open=False),
        make_pull(1, BRANCH, sha("a"), labels=("keep-preview",), head_repo_id=8),
        make_pull(1, "dev-b", sha("a"), labels=("keep-preview",)),
    ],
)
def test_only_the_label_of_an_open_pull_request_of_the_branch_counts(pull: PullRequest) -> None:
    assert len(follow(make_verdict(), pulls=[pull])) == 1


@pytest.mark.parametrize("at", [NOW - DAY, NOW - 2 * DAY])
def test_what_happened_before_the_verdict_does_not_end_it(at: Any) -> None:
    history = DeployHistory("d1", head=sha("a"), active_at=at)
    assert len(follow(make_verdict(), history=history, woken={BRANCH: at})) == 1


@pytest.mark.parametrize(
    "looks", [{"status": DeploymentStatus.HIBERNATING}, {"override": "hibernate"}, {"is_development_mode": False}]
)
def test_what_hibernates_or_cannot_is_let_alone_until_its_delete(looks: dict[str, Any]) -> None:
    deployments = [make_deployment(BRANCH, **looks)]
    assert follow(make_verdict("hibernate"), deployments=deployments) == []
    assert len(follow(make_verdict("delete"), deployments=deployments)) == 1


@pytest.mark.parametrize(
    ("changes", "also"),
    [
        ({"due_at": NOW + DAY}, ["delete"]),
        ({"due_at": NOW + DAY, "standing": Standing.RELEASED}, ["delete"]),
        ({"standing": Standing.ASKED}, ["held"]),
        ({"standing": Standing.REFUSED}, []),
    ],
)
def test_what_is_told_asked_or_refused_hibernates_meanwhile(changes: dict[str, Any], also: list[str]) -> None:
    verdict = make_verdict(**changes)

    def name(**looks: Any) -> list[str]:
        deployments = [make_deployment(BRANCH, **looks)]
        found = follow(verdict, deployments=deployments, hibernate_after=14 * DAY)
        return [each.verb.value if isinstance(each, Work) else "held" for each in found]

    assert name() == ["hibernate", *also]
    for looks in ({"override": "hibernate"}, {"override": "wake@x"}, {"is_development_mode": False}):
        assert name(**looks) == also
    assert len(follow(verdict, hibernate_after=15 * DAY)) == len(also)
    made = plan(*[each for each in follow(verdict, hibernate_after=DAY) if isinstance(each, Work)])
    assert [action.work.verb for action in made.actions] == [Verb.HIBERNATE]


def test_what_is_deleted_now_is_not_sent_to_sleep_before() -> None:
    (work,) = follow(make_verdict(), hibernate_after=DAY)
    assert isinstance(work, Work)
    assert work.verb is Verb.DELETE


def test_what_a_person_is_asked_about_is_held_and_what_was_refused_is_dropped() -> None:
    (hold,) = follow(make_verdict(standing=Standing.ASKED))
    assert hold == Hold(BRANCH, "delete", "waits for approval in cleanup run run", kind=HoldKind.PERSON)
    assert follow(make_verdict(standing=Standing.REFUSED)) == []


@pytest.mark.parametrize("standing", [Standing.DUE, Standing.RELEASED])
def test_a_delete_that_is_long_overdue_waits_until_it_is_told_anew(standing: Standing) -> None:
    (hold,) = follow(make_verdict(standing=standing, due_at=NOW - DAY - timedelta(seconds=1)))
    assert isinstance(hold, Hold)
    said = "it was due at 2026-10-31 11:59 UTC, too long ago; cleanup decides and tells it anew"
    assert (hold.reason, hold.kind) == (said, HoldKind.WAITING)
    (work,) = follow(make_verdict(standing=standing, due_at=NOW - DAY))
    assert isinstance(work, Work)
    assert len(follow(make_verdict("hibernate", due_at=NOW - 9 * DAY))) == 1


@pytest.mark.parametrize(
    ("before", "now", "woken"),
    [
        ("hibernate", "", True),
        ("hibernate", "wake@x", True),
        ("", "wake", True),
        ("wake@x", "wake@y", True),
        ("wake@x", "wake@x", False),
        ("wake@x", "", False),
        ("", "hibernate", False),
        ("hibernate", "hibernate@x", False),
    ],
)
def test_a_wake_by_hand_is_told_by_the_override(before: str, now: str, *, woken: bool) -> None:
    assert is_woken(before, now) is woken


# The schedule


def plan(*works: Work, live: int = 20, limits: Limits | None = None, **given: Any) -> Plan:
    """Return the plan of a pass with this work."""
    difference = replace(make_difference({}, live), works=works)
    return schedule(difference, Circumstances(now=NOW, policy="p", **given), limits or Limits(max_deletes=2), 30)


def expire(branch: str, verb: Verb = Verb.DELETE, **changes: Any) -> Work:
    """Return the end of an idle preview."""
    return replace(make_work(branch, verb), **{"due_at": NOW, **changes})


def test_who_was_told_has_until_then_and_control_wakes_at_that_time() -> None:
    later = NOW + DAY
    made = plan(expire(BRANCH, due_at=later))
    (hold,) = made.holds
    assert hold.reason == "because; deleted at 2026-11-02 12:00 UTC; push, wake it, or keep it"
    assert (hold.kind, made.wake_at, made.actions, made.braked) == (HoldKind.WAITING, later, (), ())
    assert len(plan(expire(BRANCH)).actions) == 1


@pytest.mark.parametrize("verb", [Verb.DELETE, Verb.HIBERNATE])
def test_a_kept_preview_does_not_expire(verb: Verb) -> None:
    made = plan(expire(BRANCH, verb), remembered={BRANCH: Remembered(kept="by mira")})
    assert (made.actions, made.holds) == ((), ())


def test_what_was_kept_is_a_deployment_and_no_name() -> None:
    work = expire(BRANCH)
    for meant, count in ((work.deployment_id, 0), ("another", 1)):
        kept = Remembered(kept="by mira", kept_id=meant)
        assert len(plan(work, remembered={BRANCH: kept}).actions) == count


def test_a_kept_preview_goes_with_its_branch() -> None:
    made = plan(make_work(BRANCH, Verb.DELETE), remembered={BRANCH: Remembered(kept="by mira")})
    assert len(made.actions) == 1


def test_one_verdict_lets_a_preview_hibernate_once() -> None:
    work = expire(BRANCH, Verb.HIBERNATE)
    for is_failure, actions in ((False, 0), (True, 1)):
        ending = Ending(work.name, NOW - DAY, is_failure=is_failure)
        made = plan(work, remembered={BRANCH: Remembered({"hibernate": ending})}, finished={work.name: 1})
        assert len(made.actions) == actions
        assert made.holds == ()


def test_what_is_to_be_deployed_comes_first() -> None:
    made = plan(expire(BRANCH), make_work(BRANCH, Verb.DEPLOY))
    assert [action.work.verb for action in made.actions] == [Verb.DEPLOY]
    assert [hold.reason for hold in made.holds] == ["one at a time: it comes after the deploy"]


def test_released_work_passes_the_brake_and_counts() -> None:
    gone = [make_work(f"dev-gone-{number}", Verb.DELETE) for number in range(3)]
    idle = [expire(f"dev-idle-{number}") for number in range(2)]
    asked = expire("dev-asked", is_released=True)
    made = plan(*gone, *idle, asked, released=frozenset({gone[2].name}))
    assert {action.work.branch for action in made.actions} == {"dev-gone-2", "dev-asked"}
    assert {work.branch for work in made.braked} == {"dev-gone-0", "dev-gone-1", "dev-idle-0", "dev-idle-1"}
    assert made.wake_at == NOW + BRAKE_WINDOW


def test_branches_that_ended_go_before_what_is_idle() -> None:
    gone = [make_work(f"dev-z-{number}", Verb.DELETE) for number in range(2)]
    made = plan(expire("dev-a"), *gone)
    assert [action.work.branch for action in made.actions] == ["dev-z-0", "dev-z-1"]
    assert [work.branch for work in made.braked] == ["dev-a"]


def test_a_delete_that_a_person_refused_is_held_whatever_the_policy_becomes() -> None:
    refused = make_work("dev-gone", Verb.DELETE)
    made = plan(replace(refused, digest="another"), refused={refused.subject: "mira"})
    (hold,) = made.holds
    said = "refused by mira, until something of it moves; delete it by the form"
    assert (made.actions, made.braked, hold.reason, hold.kind) == ((), (), said, HoldKind.PERSON)
    for moved in (replace(refused, head=sha("c")), replace(refused, observed="d2")):
        assert len(plan(moved, refused={refused.subject: "mira"}).actions) == 1


def test_hibernations_are_not_braked() -> None:
    made = plan(*[expire(f"dev-{number}", Verb.HIBERNATE) for number in range(9)])
    assert len(made.actions) == 9


@pytest.mark.parametrize("verb", ["hibernate", "delete"])
def test_nothing_follows_for_a_preview_that_cannot_be_read_and_nobody_woke_it(verb: str) -> None:
    damaged = make_deployment(BRANCH, problem="createdAt: Field required")
    assert follow(make_verdict(verb), deployments=[damaged], hibernate_after=DAY) == []
    seen = SimpleNamespace(deployment_id=damaged.id, override="hibernate", woken_at=None)
    assert find_wake(seen, replace(damaged, problem=""), NOW) == NOW
    assert find_wake(seen, damaged, NOW) is None


@pytest.mark.parametrize("problem", ["", "createdAt: Field required"])
def test_an_orphan_that_cannot_be_read_is_none(problem: str) -> None:
    left = make_deployment("dev-x", make_mark("dev-x", project="gone"), problem=problem)
    assert len(find_orphans(load_policy(POLICY, "policy.yaml"), "astro", [left])) == (0 if problem else 1)
