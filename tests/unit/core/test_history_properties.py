"""Whatever was deployed, failed, rolled back or done by others: what a Deployment runs is read from its records."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.history import DeployHistory, read_history
from include.deploy_ops.core.model import Deploy, DeployKind, DeployStatus
from tests.worlds.values.examples import OWNER, sha
from tests.worlds.values.generated import START, histories, make_record

CARRYING = st.sampled_from([DeployKind.IMAGE_AND_DAG, DeployKind.IMAGE_ONLY, DeployKind.DAG_ONLY])


def is_changing(deploy: Deploy) -> bool:
    return deploy.status is DeployStatus.DEPLOYED and deploy.kind is not DeployKind.BUNDLE


def commits(history: DeployHistory) -> tuple[str | None, str | None]:
    return history.image_commit, history.dags_commit


@given(histories(), st.randoms(use_true_random=False))
def test_the_order_of_records_does_not_matter(records: tuple[Deploy, ...], random: Random) -> None:
    assert read_history(random.sample(records, len(records)), OWNER) == read_history(records, OWNER)


@given(histories())
def test_what_failed_or_is_unfinished_or_a_bundle_counts_for_nothing(records: tuple[Deploy, ...]) -> None:
    told = read_history(records, OWNER)  # of those, nothing but that somebody was active, and what is unfinished
    assert read_history(filter(is_changing, records), OWNER) == replace(
        told, active_at=max((each.created_at for each in filter(is_changing, records)), default=None), unfinished=()
    )
    assert told.active_at == max((each.created_at for each in records), default=None)


@given(histories())
def test_it_is_overridden_exactly_when_the_newest_is_not_ours(records: tuple[Deploy, ...]) -> None:
    changing = [record for record in records if is_changing(record)]
    newest = changing[-1] if changing else None
    is_ours = newest is None or (newest.rollback_from_id is None and " how=planned " in newest.description)
    history = read_history(records, OWNER)
    assert (history.overridden_by == "") == is_ours
    assert history.newest_id == (newest.id if newest else "")


@given(histories(), CARRYING)
def test_our_next_deploy_ends_any_override_and_sets_what_it_carries(
    records: tuple[Deploy, ...], kind: DeployKind
) -> None:
    before = read_history(records, OWNER)
    after = read_history([*records, make_record("next", START, "dev-a", sha("e"), kind=kind)], OWNER)
    assert (after.newest_id, after.head, after.overridden_by) == ("next", sha("e"), "")
    assert after.image_commit == (sha("e") if kind.has_image else before.image_commit)
    assert after.dags_commit == (sha("e") if kind.has_dags else before.dags_commit)


@given(histories(), st.data())
def test_a_rollback_brings_back_what_ran_then_and_leaves_the_head(
    records: tuple[Deploy, ...], data: st.DataObject
) -> None:
    changing = [number for number, record in enumerate(records) if is_changing(record)]
    target = data.draw(st.sampled_from(changing)) if changing else None
    goal = "gone" if target is None else records[target].id
    rollback = make_record("back", START + timedelta(hours=1), "dev-a", sha("f"), rollback_from_id=goal)
    after = read_history([*records, rollback], OWNER)
    assert commits(after) == ((None, None) if target is None else commits(read_history(records[: target + 1], OWNER)))
    assert after.head == read_history(records, OWNER).head
    assert f"a rollback to {goal}" in after.overridden_by
