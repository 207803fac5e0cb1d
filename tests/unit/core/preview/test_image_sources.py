"""Which Deployment's image may serve, in which order, and what is told of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.deploy_ops.core.model import Deploy, DeployKind, DeployStatus
from include.deploy_ops.core.naming import DeployNote, format_note
from include.deploy_ops.core.policy.keys import Target
from include.deploy_ops.core.preview.image_sources import (
    BUILD_BAN,
    Need,
    RunningImage,
    describe_runtime,
    find_build_ban,
    find_obstacle,
    rank_candidates,
    read_image,
)
from tests.worlds.values.examples import OWNER, PLANE, make_deployment, make_mark, make_project, sha

NEED = Need("", "3.3-2", has_dag_deploys=True)
MORNING = datetime(2026, 1, 1, 8, tzinfo=UTC)


def make_deploy(number: int, commit: str | None, tag: str, **changes: Any) -> Deploy:
    """Return a successful image deploy, `number` minutes after eight."""
    fields: dict[str, Any] = {
        "id": f"deploy-{number}",
        "deployment_id": "d",
        "status": DeployStatus.DEPLOYED,
        "kind": DeployKind.IMAGE_AND_DAG,
        "created_at": MORNING + timedelta(minutes=number),
        "git_commit": commit,
        "image_tag": tag,
    }
    return Deploy(**{**fields, **changes})


def test_only_a_policy_that_says_so_lets_previews_build() -> None:
    silent, without = make_project(), make_project().model_copy(update={"previews": None})
    assert [find_build_ban(each, "", None) for each in (silent, without)] == [BUILD_BAN, BUILD_BAN]
    assert find_build_ban(make_project(previews={"build": True}), "", None) == ""


def test_behind_an_approval_nothing_is_built_unless_the_target_says_so() -> None:
    free = Target(deployment="Production", branch="main")
    gated, built = (free.model_copy(update={"approval": "required", "build": each}) for each in (False, True))
    project = make_project()
    assert [find_build_ban(project, "production", each) for each in (free, built)] == ["", ""]
    assert "set `targets.production.build: true`" in find_build_ban(project, "production", gated)


def test_targets_come_first_then_itself_then_the_previews_that_changed_last() -> None:
    production = make_deployment("p", id="prod", name="Production", description="made by hand")
    old, new, own = (make_deployment(name, updated_at=at) for name, at in (("a", "1"), ("b", "3"), ("c", "2")))
    others = [
        make_deployment("x", name="shop-x", description="somebody's"),
        make_deployment("y", make_mark("y", project="other")),
        make_deployment("z", make_mark("z", control_plane="other")),
        make_deployment("without-image", image_tag=""),
        make_deployment("without-repository", image_repository=""),
    ]
    need = replace(NEED, deployment_id=own.id)
    every = [*others, old, own, new, production]
    assert rank_candidates(every, PLANE, make_project(), need) == [production, own, new, old]
    assert rank_candidates(every, PLANE, make_project(), replace(need, is_target=True)) == [production]


def test_a_target_that_carries_our_mark_comes_once() -> None:
    production = make_deployment("p", name="Production")
    assert rank_candidates([production], PLANE, make_project(), NEED) == [production]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"is_dag_deploy_enabled": False}, "its DAGs are in the image, not here"),
        ({"runtime_version": "3.1-14"}, "its runtime 3.1-14 is older than 3.3-2"),
        ({"runtime_version": ""}, "its image has no runtime label"),
    ],
)
def test_what_rules_a_deployment_out_at_first_sight(changes: dict[str, Any], said: str) -> None:
    assert find_obstacle(make_deployment("a", **changes), NEED) == said


def test_an_image_without_dags_does_not_serve_where_it_must_carry_them() -> None:
    need = Need("", "", has_dag_deploys=False)
    assert find_obstacle(make_deployment("a"), need) == "its DAGs come beside the image, not here"
    assert find_obstacle(make_deployment("a", is_dag_deploy_enabled=False), need) == ""


@pytest.mark.parametrize(
    ("version", "needed", "is_older"),
    [
        ("3.3-2", "3.3-2", False),
        ("3.3-10", "3.3-2", False),
        ("3.3-2", "3.3-10", True),
        ("3.10-1", "3.3-2", False),
        ("3.1-1", "13.4.0", False),
        ("13.4.0", "3.1-1", True),
        ("12.1.0", "9.7.0", False),
        ("3.3-2-base", "3.1-1", True),
        ("<no value>", "3.1-1", True),
        ("anything", "", False),
    ],
)
def test_an_older_runtime_does_not_serve(version: str, needed: str, *, is_older: bool) -> None:
    said = describe_runtime(version, Need("", needed, has_dag_deploys=True))
    assert said == (f"its runtime {version} is older than {needed}" if is_older else "")


@pytest.mark.parametrize("version", ["", None])
def test_an_image_without_the_label_never_serves(version: str | None) -> None:
    assert describe_runtime(version, Need("", "", has_dag_deploys=True)) == "its image has no runtime label"


def test_the_images_commit_is_that_of_the_newest_image_deploy() -> None:
    records = [
        make_deploy(1, sha("1"), "one"),
        make_deploy(2, sha("2"), "two"),
        make_deploy(3, sha("3"), "two", kind=DeployKind.DAG_ONLY),
        make_deploy(4, sha("4"), "four", status=DeployStatus.FAILED),
    ]
    assert read_image(make_deployment("a", image_tag="two"), records, NEED, OWNER) == RunningImage(sha("2"), "")


def test_after_a_rollback_it_is_that_of_the_image_that_came_back() -> None:
    records = [
        make_deploy(1, sha("1"), "one"),
        make_deploy(2, sha("2"), "two"),
        make_deploy(3, None, "one", kind=DeployKind.DAG_ONLY, rollback_from_id="deploy-1"),
    ]
    assert read_image(make_deployment("a", image_tag="one"), records, NEED, OWNER) == RunningImage(sha("1"), "")


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([], "no deploy record says which commit its image is of"),
        ([make_deploy(1, None, "deploy-1")], "no deploy record says which commit its image is of"),
        ([make_deploy(1, sha("1"), "other")], "Astro shows the image deploy-1, its newest deploy record other"),
        (
            [make_deploy(1, sha("1"), "other"), make_deploy(3, sha("3"), "deploy-1", kind=DeployKind.DAG_ONLY)],
            "the record of the deploy that brought its image deploy-1 is gone",
        ),
    ],
)
def test_what_the_records_do_not_show_is_not_believed(records: list[Deploy], said: str) -> None:
    assert read_image(make_deployment("a"), records, NEED, OWNER) == said


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        ("ci", ""),
        ("build", ""),
        ("preview", "its image came from a preview; a target takes what was built for targets only"),
        ("", "its image came from where no record tells; a target takes what was built for targets only"),
        ("CI", "its image came from a CI; a target takes what was built for targets only"),
    ],
)
def test_a_target_takes_what_was_made_for_targets_alone(origin: str, said: str) -> None:
    note = DeployNote("main", sha("1"), sha("1"), "r", 1, is_forced=False, image=origin)
    records = [
        make_deploy(1, None, "one", description=format_note(note)),
        make_deploy(2, sha("2"), "one", kind=DeployKind.DAG_ONLY),
    ]
    candidate = make_deployment("a", image_tag="one")
    expected = said or RunningImage(sha("1"), origin)
    assert read_image(candidate, records, replace(NEED, is_target=True), OWNER) == expected
    assert read_image(candidate, records, NEED, OWNER) == RunningImage(sha("1"), origin)
