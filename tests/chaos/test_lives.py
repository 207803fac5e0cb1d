"""A life in the storm ends well and is drawn alike each time; what the product leaves undone ends it badly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.hooks.astro.cli import AstroCli
from tests.chaos.lives import DEEDS, SHARES, Step, draw, open_theatre

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.chaos.lives import Theatre
    from tests.worlds.stages.stage import Stage

pytestmark = pytest.mark.long
SEED, LENGTH = 1, 150


@pytest.fixture
def theatre(stage: Stage, tmp_path: Path) -> Iterator[Theatre]:
    """Give a theatre."""
    with open_theatre(stage, tmp_path) as made:
        yield made


def test_a_life_of_a_fixed_seed_ends_well(theatre: Theatre) -> None:
    failure = theatre.play(draw(SEED, 0, LENGTH))
    assert failure is None, failure and failure.said


def test_a_preview_that_nobody_deletes_is_found(theatre: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AstroCli, "delete", lambda *_, **__: None)
    failure = theatre.play([Step.read("delete 0")])
    assert failure is not None
    assert failure.steps == 1, failure.said


def test_a_strangers_deployment_that_is_touched_is_found(theatre: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = theatre.stage

    def delete_another(*_: object, **__: object) -> None:
        (found,) = [each["id"] for each in stage.list_deployments() if each["name"] == "shop-dev-stranger"]
        stage.edit_deployment(found, schedulerSize="LARGE")

    monkeypatch.setattr(AstroCli, "delete", delete_another)
    failure = theatre.play([Step.read("delete 0"), Step.read("live_on 0")])
    assert failure is not None
    assert "touched what is not ours" in failure.said


def test_lives_are_drawn_alike_and_read_as_they_are_told() -> None:
    steps = draw(7, 3, 200)
    assert steps == draw(7, 3, 200)
    assert steps != draw(7, 4, 200)
    assert [Step.read(str(step)) for step in steps] == steps
    assert set(SHARES) == set(DEEDS)


@pytest.mark.parametrize("line", ["", "fly 3", "push x", "push 1 2 3 4"])
def test_what_is_no_step_is_refused_with_its_words(line: str) -> None:
    with pytest.raises(ValueError, match="no step: "):
        Step.read(line)
