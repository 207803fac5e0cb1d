"""What was read as another policy sees it: what stands as it is, and what is said not to be known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from include.deploy_ops.core.passes.alternative import Altered, alter, digest_words
from include.deploy_ops.core.policy.keys import Project, Requires, Target
from tests.worlds.values.examples import make_project, make_pull, sha
from tests.worlds.values.generated import World
from tests.worlds.values.passes import make_facts

PROJECT = make_project()
READING = make_facts(World({"main": sha("a"), "dev-a": sha("b")})).reading


def see(after: Project, before: Project = PROJECT) -> Altered:
    return alter(READING, digest_words(before), after)


def test_the_same_policy_sees_the_same_and_knows_all() -> None:
    assert see(PROJECT) == Altered(READING, ())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"previews": {"template": "other.yaml"}}, "previews.template: what previews would be updated to"),
        ({"previews": {"overrides": {"configuration": {}}}}, "previews.overrides: what previews would be updated to"),
        ({"trunk": "next"}, "trunk: what previews would be updated to"),
        ({"previews": {"merged_into": ("next",)}}, "previews.merged_into: of pull requests"),
        ({"ignore": ("*.md",)}, "which branches change anything of the project"),
    ],
)
def test_what_only_another_question_would_tell_is_said(changes: dict[str, Any], said: str) -> None:
    (line,) = see(make_project(**changes)).unknown
    assert line.startswith(said)


@pytest.mark.parametrize(
    "changes",
    [{"previews": {"branches": ("fix*",), "exclude": (), "max_live": 3, "delete_after": None}}, {"limits": {}}],
)
def test_what_decides_by_what_was_read_leaves_nothing_open(changes: dict[str, Any]) -> None:
    assert see(make_project(**changes)).unknown == ()


def test_branches_that_are_over_are_left_out_and_that_is_said_where_they_might_not_be() -> None:
    reading = replace(READING, over=frozenset({"dev-a"}))
    words = digest_words(PROJECT)
    assert alter(reading, words, make_project(previews={"max_live": 1})).unknown == ()
    (line,) = alter(reading, words, make_project(previews={"require_label": "preview"})).unknown
    assert line == "previews.require_label: 1 branches whose previews are over are left out"


def test_a_target_that_follows_something_else_is_not_known_and_one_that_is_gone_is_no_more() -> None:
    (state,) = READING.targets
    moved = state.target.model_copy(update={"deployment": "Live"})
    seen = see(PROJECT.model_copy(update={"targets": {"production": moved}}))
    assert seen.reading.targets == ()
    assert seen.unknown == ("targets.production: what it would follow, and what runs there, was not read",)
    assert see(PROJECT.model_copy(update={"targets": {}})) == Altered(replace(READING, targets=()), ())


def test_a_target_with_other_rules_has_them() -> None:
    asking = PROJECT.targets["production"].model_copy(update={"approval": "required"})
    (state,) = see(PROJECT.model_copy(update={"targets": {"production": asking}})).reading.targets
    assert state.target is asking
    gated: Target = asking.model_copy(update={"requires": Requires(checks=("ci",))})
    seen = see(PROJECT.model_copy(update={"targets": {"production": gated}}))
    assert seen.unknown == ("targets.production.requires: how its gates stand was not read; told as if all were met",)


def test_where_there_were_no_previews_what_would_be_made_is_told_with_a_doubt() -> None:
    reading = replace(READING, template=None)
    seen = alter(reading, digest_words(PROJECT.model_copy(update={"previews": None})), PROJECT)
    assert seen.reading.template is not None
    assert any(line.startswith("previews: there were none") for line in seen.unknown)


def test_pull_requests_that_were_only_beside_may_decide_now() -> None:
    aside = make_pull(7, "fix-a", sha("b"))
    reading = replace(READING, snapshot=replace(READING.snapshot, bystanders=(aside,)))
    assert alter(reading, digest_words(PROJECT), PROJECT).reading.snapshot.pull_requests == (aside,)
