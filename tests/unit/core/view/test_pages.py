"""Decisions as pages: what stands in them, and what of others' words cannot break out of a row."""

from __future__ import annotations

from datetime import UTC, datetime

from include.deploy_ops.core.model import ChangeDecision, ChangeType, PathVerdict
from include.deploy_ops.core.plan.work import Hold, Plan
from include.deploy_ops.core.view.pages import PAGE_ROWS_MAX, render_decision, render_plan, render_source
from tests.worlds.values.examples import sha

NOW = datetime(2026, 1, 1, 8, tzinfo=UTC)


def test_the_record_names_the_source_taken_and_why_not_the_others() -> None:
    found = {
        "source": "reuse",
        "commit": sha("1"),
        "notes": ["r.example/a:{sha}: refused\n(HTTP 403)"],
        "image": "r.example/x@sha256:0",
        "digest": "sha256:0",
        "runtime_version": "3.3-2",
        "deployment": "Production",
    }
    assert render_source(found) == (
        f"reuse for {sha('1')}\nimage of the Deployment: Production\nimage: r.example/x@sha256:0\n"
        "digest: sha256:0\nAstro Runtime: 3.3-2\n\nNot taken:\n- r.example/a:{sha}: refused (HTTP 403)"
    )


def test_the_record_of_a_build_names_the_engine() -> None:
    found = {"source": "build", "commit": sha("1"), "notes": [], "engine": "podman 4.3.1"}
    assert render_source(found) == f"build for {sha('1')}\nbuilt by: podman 4.3.1"


def test_a_change_type_names_its_bases_and_each_path() -> None:
    decision = ChangeDecision(ChangeType.DAGS, sha("1"), sha("2"), None, "only DAGs differ")
    head = f"dags: only DAGs differ\n{sha('1')}\nimage from {sha('2')}\nDAGs from  ?"
    assert render_decision(decision) == head
    paths = (
        PathVerdict("dags/a|b`c\nd.py", ChangeType.DAGS, "below dags/"),
        PathVerdict("requirements.txt", ChangeType.IMAGE, "outside dags/"),
    )
    page = render_decision(ChangeDecision(ChangeType.DAGS, sha("1"), sha("2"), None, "only DAGs differ", paths))
    assert page.removeprefix(f"{head}\n\n").splitlines() == [
        "verdict         path              rule",
        "--------------  ----------------  -------------",
        "image-and-dags  requirements.txt  outside dags/",
        "dags            dags/a|b`c d.py   below dags/",
    ]


def test_of_very_many_paths_the_dearest_are_shown_and_the_rest_is_counted() -> None:
    paths = [PathVerdict(f"dags/{number}.py", ChangeType.DAGS, "below dags/") for number in range(PAGE_ROWS_MAX)]
    paths += [PathVerdict("Dockerfile", ChangeType.IMAGE, "outside dags/")]
    page = render_decision(ChangeDecision(ChangeType.IMAGE, sha("1"), sha("2"), None, "the image", tuple(paths)))
    assert "Dockerfile" in page
    assert page.endswith("\n… and 1 more")


def test_a_plan_counts_what_it_does_and_names_what_it_holds() -> None:
    assert render_plan(Plan((), (), 0), NOW) == "0 actions, 0 holds, 0 previews live, 2026-01-01 08:00:00 UTC"
    hold = Hold("dev|x", "delete", "the brake: 2 deletes in the last hour")
    assert render_plan(Plan((), (hold,), 1), NOW).splitlines()[-3:] == [
        "      environment  what    why",
        "----  -----------  ------  -------------------------------------",
        "hold  dev|x        delete  the brake: 2 deletes in the last hour",
    ]


def test_a_plan_says_what_people_should_know_whether_or_not_it_does_anything() -> None:
    told = render_plan(Plan((), (), 1), NOW, ("previews.environment wins over the template: STAGE",))
    assert told.endswith("previews live, 2026-01-01 08:00:00 UTC\n\npreviews.environment wins over the template: STAGE")
