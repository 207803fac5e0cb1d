"""What differs in Astro: plan, row, comment and question say the same of it, bounded, and no value that is private."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.feedback.text import WHY_LENGTH_MAX, render_comment
from include.deploy_ops.core.model import Branch
from include.deploy_ops.core.plan.work import Plan
from include.deploy_ops.core.preview.desired import RepositorySnapshot
from include.deploy_ops.core.preview.observed import Observed
from include.deploy_ops.core.template.drift import Drift, Drifted, Fate
from include.deploy_ops.core.view.pages import render_plan
from include.deploy_ops.core.view.pass_record import PassRecord
from include.deploy_ops.core.view.rows import ROW_DRIFT_MAX, make_rows
from tests.worlds.stages.pages import fold_page
from tests.worlds.values.examples import PLANE, make_deployment, make_project, make_pull, sha
from tests.worlds.values.feedback_examples import make_facts, make_live, make_target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from include.deploy_ops.core.view.row import Row

NOW = datetime(2026, 11, 30, tzinfo=UTC)
NO_PLAN = Plan((), (), 1)
SIZE = Drift("scheduler_size", "MEDIUM", "SMALL")
SECRET = Drift("environment_variables.STAGE", "hush-found", "hush-wanted", is_private=True)
HOSTILE = Drift("worker_queues.a|b`c\n<script>", "x" * 5000, "\x1b[31m")
drifts = st.builds(
    Drift,
    st.text(min_size=1, max_size=300),
    st.text(max_size=300).map("hush-{}".format),
    st.text(max_size=300).map("hush-{}".format),
    st.just(value=True),
    st.sampled_from(Fate),
)


def show(found: Sequence[Drift]) -> Row:
    """Return the row of a preview that differs so."""
    deployment = make_deployment("dev-x")
    record = PassRecord(
        project=make_project(targets={}),
        control_plane=PLANE,
        now=NOW,
        snapshot=RepositorySnapshot((Branch("dev-x", sha("b")),), (make_pull(1, "dev-x", sha("b")),)),
        observed=Observed((deployment,), {}),
        wanted={"dev-x": sha("b")},
        targets=(),
        plan=NO_PLAN,
        drift={"dev-x": tuple(found)},
    )
    return make_rows(record)["dev-x"]


def draw(found: Sequence[Drift]) -> str:
    return fold_page(render_plan(NO_PLAN, NOW, (), [Drifted("dev-x", "dev-x", tuple(found))]))


@pytest.mark.parametrize("fate", Fate)
def test_every_face_says_the_same(fate: Fate) -> None:
    drift = replace(SIZE, fate=fate)
    row = show([drift])
    assert row.drift == (str(drift),)
    assert f"| dev-x | scheduler_size | MEDIUM | SMALL | {fate.value} |" in draw([drift])
    comment = render_comment(make_facts(), 1, [row]).replace("\\", "")
    assert f"- Differs in Astro from what was rendered: {drift}\n" in f"{comment}\n"


def test_where_nothing_differs_no_face_speaks_of_it() -> None:
    assert show([]).drift == ()
    assert "Drift" not in draw([])
    assert "Differs" not in render_comment(make_facts(), 1, [make_live()])


def test_the_comment_tells_it_of_previews_alone() -> None:
    assert "Differs" not in render_comment(make_facts(), 2, [make_target(drift=(str(SIZE),))])


@given(st.lists(drifts, max_size=30))
def test_a_private_value_stands_on_no_face_and_each_is_bounded(found: list[Drift]) -> None:
    row = show(found)
    comment = render_comment(make_facts(), 1, [row])
    for said in (" ".join(row.drift), draw(found), comment, repr(found)):
        assert "hush-" not in said
    assert len(row.drift) <= ROW_DRIFT_MAX + 1
    assert all(len(each) < 300 for each in row.drift)
    lines = [line for line in comment.splitlines() if "Differs in Astro" in line]
    assert len(lines) == bool(found)


def test_what_others_wrote_breaks_out_of_no_face() -> None:
    row = show([HOSTILE])
    assert not any("\n" in each or "\x1b" in each for each in row.drift)
    comment = render_comment(make_facts(), 1, [row])
    assert "<script>" not in comment
    (line,) = [line for line in comment.splitlines() if "Differs in Astro" in line]
    assert len(line) < 4 * WHY_LENGTH_MAX
    assert "\x1b" not in draw([HOSTILE])


def test_more_than_a_row_lists_is_counted() -> None:
    found = [replace(SIZE, name=f"field_{number}") for number in range(ROW_DRIFT_MAX + 3)]
    assert show(found).drift[-1] == "and 3 more"
    assert "field_12" in draw(found)


def test_what_is_removed_differs_in_nothing() -> None:
    row = show([SIZE, SECRET])
    assert len(row.drift) == 2
    gone = PassRecord(
        project=make_project(targets={}),
        control_plane=PLANE,
        now=NOW,
        snapshot=RepositorySnapshot((), ()),
        observed=Observed((), {}),
        wanted={},
        targets=(),
        plan=NO_PLAN,
        before={"dev-x": row},
    )
    assert make_rows(gone)["dev-x"].drift == ()
