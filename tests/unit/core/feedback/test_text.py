"""What the comment on a pull request says, and that it fits."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.deploy_ops.core.cleanup.verdict import NextStep
from include.deploy_ops.core.feedback.text import (
    LINE_LENGTH_MAX,
    PULL_COMMENT_LENGTH_MAX,
    render_comment,
    render_ending,
    tell_ending,
    write_line,
)
from include.deploy_ops.core.verification.verdict import BrokenFile, DagChange, Proof
from include.deploy_ops.core.view.row import Row, State
from sandbox.github.markdown import render_markdown
from tests.worlds.values.feedback_examples import (
    AIRFLOW,
    NOW,
    WEB,
    A,
    B,
    make_facts,
    make_failed,
    make_flight,
    make_live,
    make_outcome,
    make_row,
    make_target,
    name_run,
    prove,
)

FACTS = make_facts()


def render(*rows: Row) -> str:
    return render_comment(FACTS, 1, rows)


def test_a_live_preview_names_everything_one_asks_for() -> None:
    step = NextStep("delete", NOW + timedelta(days=2), "idle for 14 days by then")
    text = render(make_live(next_step=step, astro_url="https://astro.example/d1"))
    assert text.startswith("<!-- deploy-ops feedback control_plane=acme-test project=shop pull=1 -->\n")
    for part in (
        "| Preview `dev-x` | **live** |",
        f"[`{A[:7]}`](<{WEB}/commit/{A}>)",
        "[Open Airflow](<https://dev-x.example>)",
        f"[Run](<{AIRFLOW}/dags/shop.preview/runs/{name_run(A)}>)",
        "[Astro](<https://astro.example/d1>)",
        f"Last run: DAG-only deploy of `{A[:7]}` in 42 s",
        "only dags/ changed",
        "Cleanup: it is deleted on 2026-11-28 12:00 UTC: idle for 14 days by then.",
        "A push, or the label `keep-preview`, keeps it.",
    ):
        assert part in text, part


def test_the_reason_that_was_typed_stands_in_the_comment() -> None:
    outcome = make_outcome(person="mira", approver="ada", is_forced=True, reason="INC-42")
    assert ", by mira, approved by ada, because INC\\-42, 2026-11-26 12:00 UTC: only dags" in render(
        make_live(outcomes=(outcome,))
    )


def test_a_failure_shows_the_error_and_how_to_retry() -> None:
    text = render(make_failed(cause="exit 1\nERROR: @ann ``` no such package"))
    assert "````text\nexit 1\nERROR: @ann ``` no such package\n````" in text
    assert f"clear [the failed run](<{AIRFLOW}/dags/shop.preview/runs/{name_run(A)}>)" in text
    assert f"[the form](<{AIRFLOW}/dags/shop.preview>)" in text
    assert '<a class="mention"' not in render_markdown(text, WEB)


def test_a_failure_that_comes_again_asks_for_nothing() -> None:
    text = render(make_failed(state=State.FAILING))
    assert "It is tried again by itself" in text
    assert "To retry" not in text


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (make_row(state=State.HELD, why="update: recreate it"), "- Held: update: recreate it"),
        (make_row(state=State.FROZEN, why="deploy: paused"), "- Frozen: deploy: paused"),
        (make_row(why="create: max_live is 20"), "- Waiting: create: max\\_live is 20"),
        (make_row(state=State.REMOVED, why="by ann"), "- Removed: by ann"),
        (
            make_row(state=State.UNHEALTHY, status="UNHEALTHY", status_reason="no pods"),
            "- Astro says UNHEALTHY: no pods",
        ),
        (
            make_live(connections=("AIRFLOW_CONN_LAKE",)),
            "- Connections from the environment: `AIRFLOW_CONN_LAKE`. Its Airflow uses them, and its UI does not list",
        ),
        (
            make_live(unfilled=("TOKEN", "a`b")),
            "- Secrets that nothing fills, empty unless somebody set them in Astro: `TOKEN`, ``a`b``",
        ),
        (make_live(kept="by ann: a demo"), "- Kept by ann: a demo. It does not expire."),
        (make_live(outcomes=(make_outcome(B, "superseded"),)), "deploy of `b2b2b2b` superseded after 42 s"),
        (make_flight(A, "delete"), "**being deleted**"),
        (make_flight(A, ""), "**being worked on**"),
        (make_live(holds=("update dev-x held: recreate it",)), "- Held: update: recreate it"),
        (make_live(holds=("update: recreate it",)), "- Held: update: recreate it"),
        (make_live(conflicts=("#7: dags/a.py",)), "- \\#\u200b7: dags/a.py"),
    ],
)
def test_every_state_is_said_in_a_line(row: Row, says: str) -> None:
    assert says in render(row)


def test_a_hold_that_is_the_state_is_said_once() -> None:
    row = make_row(state=State.HELD, why="update: recreate it", holds=("update dev-x held: recreate it",))
    assert render(row).count("recreate it") == 1


def test_an_approval_links_to_the_question() -> None:
    run = name_run(A, "request", "target.production")
    row = make_target(state=State.APPROVAL, run_id=run, run_dag="shop.production.request")
    assert f"[Open the question](<{AIRFLOW}/dags/shop.production.request/runs/{run}>)" in render(row)


def test_several_environments_stand_in_one_table() -> None:
    text = render(make_target(state=State.LIVE, outcomes=(make_outcome(),)), make_live())
    assert text.index("| Preview `dev-x` |") < text.index("| Target `production` |")
    assert text.index("**Preview dev\\-x**") < text.index("**Target production**")


def test_no_link_leads_to_an_airflow_that_nobody_knows() -> None:
    assert "](<>)" not in render_comment(make_facts(airflow_url=""), 1, [make_failed()])


@pytest.mark.parametrize(("is_removed", "says"), [(True, "**removed**."), (False, "the pull request is closed.")])
def test_an_ending_names_what_there_was(is_removed: bool, says: str) -> None:
    text = render_ending(FACTS, 1, [("preview dev-x", tell_ending(None, 1, is_removed=is_removed))])
    assert text.startswith(FACTS.mark_comment(1))
    assert "Preview dev\\-x: " in text
    assert says in text
    assert "Nothing is deployed" in render_ending(FACTS, 1, [])


@settings(max_examples=30)
@given(st.integers(1, 60), st.text(max_size=300), st.sampled_from(State))
def test_a_comment_fits_and_keeps_its_mark(count: int, text: str, state: State) -> None:
    outcome = make_outcome(A, "failed", cause=text * 20, why=text)
    row = make_row(state=state, why=text, holds=(text,) * 30, conflicts=(text,) * 30, outcomes=(outcome,))
    rows = [replace(row, slug=f"d{number}", environment=text, branch=text) for number in range(count)]
    body = render(*rows)
    assert len(body) <= PULL_COMMENT_LENGTH_MAX
    assert body.startswith(FACTS.mark_comment(1))
    assert "Kept up to date" in body
    assert '<a class="' not in render_markdown(body, WEB)


def test_of_a_comment_too_long_for_github_the_beginning_is_kept() -> None:
    holds = tuple(f"update dev-x held: {number}{'~' * 300}" for number in range(30))
    rows = [make_row(f"dev-{number}", holds=holds) for number in range(20)]
    body = render(*rows)
    assert PULL_COMMENT_LENGTH_MAX * 0.7 < len(body) <= PULL_COMMENT_LENGTH_MAX
    assert body.count("**waiting**") == 20
    assert body.endswith("</sub>")


@given(st.text())
def test_a_line_fits_into_githubs_field(text: str) -> None:
    line = write_line(text)
    assert len(line) <= LINE_LENGTH_MAX
    assert all(each.isprintable() and ord(each) <= 0xFFFF for each in line.replace("\xa0", " "))


def test_the_comment_says_what_is_verified_and_what_is_not() -> None:
    assert "**live**, verified |" in render(prove(make_live(), Proof.VERIFIED))
    text = render(prove(make_live(), Proof.FAILED))
    assert "**live**, 1 import error |" in text
    assert "```text\ndags/orders.py, line 3: ModuleNotFoundError: No module named 'moon'\n```" in text
    assert "To do: push a commit that mends it" in text
    assert "**live**, not verified: no connection |" in render(prove(make_live(), Proof.UNKNOWN))
    assert "To do:" not in render(prove(make_live(), Proof.UNKNOWN))


def test_a_verdict_is_not_told_of_what_is_about_to_be_something_else() -> None:
    assert "verified" not in render(prove(make_flight(deployed=B), Proof.VERIFIED))
    assert "import error" not in render(prove(make_flight(deployed=B), Proof.FAILED)).casefold()
    assert "being verified" in render(prove(make_flight(deployed=A), Proof.PENDING))
    assert "verified" in render(prove(make_flight(deployed=A, verb="merge"), Proof.VERIFIED))


def test_dags_that_the_change_concerns_stand_in_the_comment() -> None:
    changes = (DagChange("load", "new", "no schedule"), DagChange("old", "gone"), DagChange("odd", "unknown"))
    behind = (DagChange("others", "changed", "tags +x"),)
    text = render(prove(make_live(), Proof.VERIFIED, changes=changes, behind=behind, compared="production"))
    for line in (
        "- DAGs new: load \\(no schedule\\)",
        "- DAGs gone: old",
        "- DAGs unknown: odd",
        "- DAGs otherwise than in production: others \\(changed\\)",
    ):
        assert line in text


EVIL = ("</code>@ann #7 ![x](https://evil.example/p.png)", "```\n<img src=x>", "| a | b |", "\u202eevil")


@pytest.mark.parametrize("evil", EVIL)
def test_errors_and_dag_ids_mean_nothing_to_github(evil: str) -> None:
    broken = BrokenFile(f"{evil}.py", 1, f"ValueError: {evil}")
    changes = (DagChange(evil, "changed", evil),)
    row = prove(make_live(), Proof.FAILED, said=f"1 {evil}", broken=(broken,) * 20, changes=changes * 60)
    text = render(row)
    html, plain = (render_markdown(each, WEB) for each in (text, render(prove(make_live(), Proof.FAILED))))
    assert (html.count("<img"), html.count("<table")) == (0, plain.count("<table"))
    assert html.count("<a ") == plain.count("<a ")
    assert "\u202e" not in text
    assert len(text) <= PULL_COMMENT_LENGTH_MAX
