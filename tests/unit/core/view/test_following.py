"""Merged pull requests on their way: told where a pass sees their change, sticky, bounded, and never too early."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.model import Branch, PullRequest
from include.deploy_ops.core.naming import PROMOTION_SLUG
from include.deploy_ops.core.plan.outcome import Ended, Outcome
from include.deploy_ops.core.plan.remembered import Remembered
from include.deploy_ops.core.plan.work import Plan
from include.deploy_ops.core.policy.keys import Promotion, PullRequestSource, Target
from include.deploy_ops.core.preview.desired import RepositorySnapshot
from include.deploy_ops.core.preview.observed import Observed
from include.deploy_ops.core.target.comparison import TargetState
from include.deploy_ops.core.view.following import FOLLOWED_FOR, TIPS_MAX
from include.deploy_ops.core.view.pass_record import PassRecord
from include.deploy_ops.core.view.row import Followed, Row
from include.deploy_ops.core.view.rows import make_rows
from tests.worlds.values.examples import PLANE, make_deployment, make_project, make_pull, merged, sha

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HEAD, T1, T2, MAIN = sha("a"), sha("1"), sha("2"), sha("0")
PROMOTION = Promotion.model_validate({"from": ("dev*",), "into": "staging", "deploy_branch": "astro_deploy"})
RELEASE = PullRequestSource.model_validate({"from": "astro_deploy", "into": "main"})
GATED = Target(deployment="Production", pull_request=RELEASE, approval="required", merge=True)
WORK = make_pull(3, "dev-a", HEAD, base_ref="staging", updated_at=f"{NOW:%Y-%m-%dT%H:%M:%SZ}")
SHIPPED = merged(make_pull(4, "astro_deploy", T1, updated_at=WORK.updated_at))


def name_tip(number: int) -> str:
    """Return a commit by its number, which its first digits tell."""
    return f"{number + 1:012d}{'e' * 28}"


class Fleet:
    """A staging that follows the deploy branch, and a production; passes one after the other."""

    def __init__(self, production: Target = GATED) -> None:
        self.production = production
        self.rows: dict[str, Row] = {}
        self.now = NOW

    def look(self, tip: str, production: str = "", **seen: Any) -> dict[str, Row]:
        """Make a pass: the deploy branch and staging are at `tip`, and production runs a commit."""
        self.now += timedelta(minutes=1)
        targets = {"staging": Target(deployment="Staging", branch="astro_deploy"), "production": self.production}
        states, deployments, histories = [], [], {}
        for (name, target), commit in zip(targets.items(), (tip, production), strict=True):
            deployment = make_deployment("x", id=name, name=target.deployment)
            history = DeployHistory("d1", commit=commit, head=commit, deployed_at=NOW) if commit else DeployHistory()
            states.append(TargetState(name, target, None, (deployment,), history, seen.get("base", ""), Remembered()))
            deployments.append(deployment)
            histories[name] = history
        work: PullRequest = seen.get("work", WORK)
        gone = (*([work] if work.is_merged else []), *seen.get("releases", ()))
        branches = (Branch("main", seen.get("main", MAIN)), Branch("astro_deploy", tip), Branch("staging", sha("5")))
        record = PassRecord(
            project=make_project(targets=targets, promotion=PROMOTION),
            control_plane=PLANE,
            now=self.now,
            snapshot=RepositorySnapshot(branches, (work,) if work.is_open else (), merged=gone),
            observed=Observed(tuple(deployments), histories),
            wanted={},
            targets=states,
            plan=Plan((), (), 0),
            before=self.rows,
            ended=seen.get("ended", ()),
        )
        self.rows = make_rows(record)
        return self.rows

    def promote(self, **heads: str) -> list[Ended]:
        """Return how a promotion ended that began right now, and found these heads."""
        outcome = Outcome(f"run {self.now}", "shop.promotion", "promote", "success", self.now)
        return [Ended(PROMOTION_SLUG, outcome, promoted={int(key[1:]): head for key, head in heads.items()})]

    def find(self, name: str) -> Followed:
        """Return how far the work is on the way to the environment."""
        (found,) = self.rows[name].followed
        return found


def carry(fleet: Fleet) -> None:
    """Let the work be promoted while it is open, and merged later."""
    fleet.look(T1, ended=fleet.promote(p3=HEAD))
    fleet.look(T1)
    fleet.look(T1, work=merged(WORK))


def test_what_was_promoted_and_then_merged_is_followed_until_a_release_brings_it_to_production() -> None:
    fleet = Fleet()
    carry(fleet)
    assert fleet.find(PROMOTION_SLUG).commit == fleet.find("target.staging").commit == T1
    assert fleet.find("target.staging").at == NOW, "since when it runs there"
    assert fleet.find("target.production").commit == ""
    before = fleet.rows
    assert fleet.look(T1, work=merged(WORK)) == before, "a quiet pass has nothing to write"
    fleet.look(T2, production=sha("9"), work=merged(WORK))
    assert fleet.find("target.production").commit == "", "that is another commit"
    fleet.look(T2, production=T1, work=merged(WORK))  # the deploy branch moved on meanwhile
    assert fleet.find("target.production") == Followed(3, HEAD[:12], NOW, T1)
    fleet.look(T2, production=sha("9"), work=merged(WORK))
    assert fleet.find("target.production").commit == T1, "what happened stays so, also after a rollback"


def test_a_former_tip_holds_nothing_that_came_later() -> None:
    fleet = Fleet()
    fleet.look(T1)
    fleet.look(T2, work=merged(WORK))
    fleet.look(T2, work=merged(WORK), ended=fleet.promote())
    assert fleet.find(PROMOTION_SLUG).commit == T2
    fleet.look(T2, production=T1, work=merged(WORK))
    assert fleet.find("target.production").commit == ""


def test_only_a_promotion_that_began_after_the_merge_was_seen_brings_what_was_not_carried() -> None:
    fleet = Fleet()
    early = fleet.promote(p3=sha("b"))
    fleet.look(T1, ended=early)
    fleet.look(T1, work=merged(WORK), ended=early)
    assert fleet.find(PROMOTION_SLUG).commit == "", "another head was carried, and nothing promoted since"
    fleet.look(T2, work=merged(WORK), ended=fleet.promote())
    assert fleet.find(PROMOTION_SLUG) == Followed(3, HEAD[:12], fleet.now, T2)


def test_a_release_that_a_person_merged_counts_for_a_production_that_follows_main() -> None:
    fleet = Fleet(Target(deployment="Production", branch="main"))
    carry(fleet)
    fleet.look(T2, production=sha("7"), main=sha("8"), work=merged(WORK), releases=(SHIPPED,))
    assert fleet.find("target.production").commit == "", "main is not deployed yet"
    fleet.look(T2, production=sha("8"), main=sha("8"), work=merged(WORK), releases=(SHIPPED,))
    assert fleet.find("target.production").commit == sha("8")


def test_a_gated_production_that_is_forced_to_main_after_a_persons_merge_has_it_too() -> None:
    fleet = Fleet()
    carry(fleet)
    fleet.look(T1, production=sha("8"), main=sha("8"), work=merged(WORK), releases=(SHIPPED,))
    assert fleet.find("target.production").commit == sha("8")
    assert fleet.rows["target.production"].merged == (4,)


def test_what_was_merged_into_main_itself_is_brought_by_the_release_onto_that_base() -> None:
    fleet, hotfix = Fleet(), merged(replace(WORK, base_ref="main"))
    fleet.look(T1, production=T2, work=hotfix)
    assert fleet.find("target.production").commit == ""
    fleet.look(T1, production=T1, base=MAIN, work=hotfix)
    assert fleet.find("target.production").commit == T1


def test_following_ends_after_its_time_and_tips_are_bounded() -> None:
    fleet = Fleet()
    carry(fleet)
    for number in range(TIPS_MAX + 5):
        fleet.look(name_tip(number), work=merged(WORK))
    assert len(fleet.rows[PROMOTION_SLUG].tips) == TIPS_MAX
    fleet.now = NOW + FOLLOWED_FOR
    fleet.look(T2, work=merged(WORK))
    assert {row.followed for row in fleet.rows.values()} == {()}


DAYS = st.lists(
    st.tuples(st.sampled_from(["tip", "merge", "promote", "ship", "elsewhere", "quiet"]), st.integers(0, 3)), max_size=9
)


@given(DAYS)
def test_nothing_is_said_to_have_reached_production_that_did_not(days: list[tuple[str, int]]) -> None:
    """Beside a model that knows of each tip whether it holds the work."""
    fleet, work, tips, production = Fleet(), WORK, [T1], ""
    holding: set[str] = set()
    reached = False
    for number, (day, pick) in enumerate(days):
        ended: list[Ended] = []
        if day == "merge":
            work = merged(WORK)
        elif day in {"tip", "promote"}:
            tips.append(name_tip(number))
            holding |= {tips[-1]} if holding or day == "promote" else set()
            ended = fleet.promote(**({"p3": HEAD} if work.is_open else {})) if day == "promote" else []
        elif day == "ship":
            production = tips[-1 - pick % len(tips)]
        elif day == "elsewhere":
            production = sha("9")
        reached |= production in holding
        rows = fleet.look(tips[-1], production=production, work=work, ended=ended)
        for entry in rows["target.production"].followed:
            assert reached or not entry.commit, (days, entry)


def test_rows_are_read_with_and_without_what_is_followed() -> None:
    fleet = Fleet()
    carry(fleet)
    reader = TypeAdapter(dict[str, Row])
    stored = reader.dump_python(fleet.rows, mode="json", exclude_defaults=True)
    assert reader.validate_python(stored) == fleet.rows
    for row in stored.values():  # as releases before 0.3 wrote it
        for key in ("followed", "merged", "tips"):
            row.pop(key, None)
    assert {row.followed for row in reader.validate_python(stored).values()} == {()}
