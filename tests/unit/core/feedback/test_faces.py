"""Row, comment and status of whatever a plan holds: none says a word twice, and they agree on what is no failure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.feedback.statuses import judge
from include.deploy_ops.core.feedback.text import render_comment
from include.deploy_ops.core.history import read_history
from include.deploy_ops.core.plan.remembered import Ending, Remembered, Removal
from include.deploy_ops.core.plan.schedule import Circumstances, schedule
from include.deploy_ops.core.plan.work import Work
from include.deploy_ops.core.preview.desired import derive_previews
from include.deploy_ops.core.preview.observed import Observed
from include.deploy_ops.core.view.pass_record import PassRecord
from include.deploy_ops.core.view.row import Row, State
from include.deploy_ops.core.view.rows import make_rows
from tests.worlds.values.examples import OWNER, PLANE
from tests.worlds.values.faces import find_doubled, list_lines
from tests.worlds.values.feedback_examples import make_facts, make_live, make_row, make_target
from tests.worlds.values.generated import World, worlds

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NO = "rejected by ada, because not on a Friday"


def remember(**changes: object) -> Callable[[Work], Remembered]:
    """Return what makes memory of a piece of work: that it ended so just now."""

    def make(work: Work) -> Remembered:
        if "reason" in changes:
            return Remembered(removal=Removal(work.head, str(changes["reason"])))
        ending = replace(Ending(work.name, NOW - timedelta(seconds=1)), **changes)  # type: ignore[arg-type]
        return Remembered(endings={work.verb.value: ending, work.name: ending})

    return make


PASTS: Mapping[str, Callable[[Work], Remembered]] = {
    "nothing": lambda work: Remembered(),
    "failed": remember(is_failure=True, is_permanent=True, cause="no such package"),
    "failing": remember(is_failure=True, cause="HTTP 502"),
    "done": remember(),
    "rejected": remember(is_failure=True, is_permanent=True, cause=NO),
    "idle": remember(reason="idle since 2026-11-19 15:42 UTC"),
    "deleted": remember(reason="by mira: too dear"),
}
BLOCKED = {"shop.preview": "paused", "preview": "paused"}


def check_faces(rows: Mapping[str, Row]) -> None:
    for row in rows.values():
        assert find_doubled(list_lines(row)) == [], row
        comment = render_comment(make_facts(), 1, [row])
        assert find_doubled(comment.partition("|\n\n")[2].splitlines()) == [], comment
        if (status := judge(row, make_facts())) is not None:
            assert find_doubled([status.description]) == [], row


@given(worlds(), st.sampled_from(sorted(PASTS)), st.booleans(), st.booleans())
def test_whatever_a_plan_holds_no_face_says_it_twice(world: World, past: str, is_blocked: bool, has_rows: bool) -> None:
    difference = world.compare()
    given_ = Circumstances(
        NOW,
        "policy",
        remembered={work.slug: PASTS[past](work) for work in difference.works},
        blocked=BLOCKED if is_blocked else {},
    )
    deployments = tuple(each.deployment for each in world.astro)
    histories = {each.id: read_history(world.records.get(each.id, ()), OWNER) for each in deployments}
    record = PassRecord(
        project=world.project,
        control_plane=PLANE,
        now=NOW,
        snapshot=world.snapshot,
        observed=Observed(deployments, histories),
        wanted={name: each.head for name, each in derive_previews(world.project, world.snapshot).wanted.items()},
        targets=(),
        plan=schedule(difference, given_, world.project.limits, 20),
    )
    rows = make_rows(record)
    if has_rows:
        # They had Deployments before: what is removed is shown.
        before = {slug: replace(row, deployment_id="gone", state=State.LIVE) for slug, row in rows.items()}
        before |= {slug: make_row(slug, deployment_id="gone") for slug in (work.slug for work in difference.works)}
        rows = make_rows(replace(record, before=before))
    check_faces(rows)


@pytest.mark.parametrize("state", sorted(set(State) - {State.DEPLOYING}, key=str))
@pytest.mark.parametrize("make", [make_live, make_target])
def test_in_no_state_is_a_reason_told_twice(state: State, make: Callable[..., Row]) -> None:
    check_faces(
        {"x": make(state=state, why="no pods", status="UNHEALTHY", status_reason="no pods", holds=("no pods",))}
    )


def test_the_words_of_older_releases_are_seen_as_doubled() -> None:
    """What this file looks for it does find."""
    for line in ("removed: removed (idle)", "failed: deploy: failed: no", "Held: held: x", "it it is so"):
        assert find_doubled([line]) == [line]
    assert find_doubled(["held: no pods", "unhealthy: no pods"]) == ["no pods"]
