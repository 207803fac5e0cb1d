"""Signs and replies within GitHub's limits, and what is remembered of them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from include.deploy_ops.core.errors import RateLimitError
from include.deploy_ops.core.feedback.budget import WRITES_PER_HOUR_MAX, Budget
from include.deploy_ops.core.feedback.commands import EYES, QUIET
from include.deploy_ops.hooks.github.comment_answers import Given
from include.deploy_ops.operators.commands.speaker import BEGUN_MAX, Speaker
from include.deploy_ops.run.memory import Memory, Permission
from tests.worlds.stages.commands_world import CommandsWorld


class Slow:
    """A GitHub that asks to wait."""

    def react(self, comment_id: int, content: str) -> Given:
        raise RateLimitError("slow down", 90.0)


def make_speaker(world: CommandsWorld, pauses: list[float]) -> Speaker:
    return Speaker(world.github, world.memory, lambda: world.now, pauses.append)  # type: ignore[arg-type]


def test_writes_lie_a_second_apart_and_are_counted_with_feedbacks() -> None:
    world, pauses = CommandsWorld(), list[float]()
    comment = world.say(1, "hello", "mona")
    speaker = make_speaker(world, pauses)
    assert speaker.react(comment, EYES).is_new
    assert not speaker.react(comment, EYES).is_new
    assert pauses == [1.0]
    assert sum(world.memory.budget.read().minutes.values()) == 2


def test_nothing_is_written_beyond_the_limit() -> None:
    world = CommandsWorld()
    minute = world.now.replace(second=0, microsecond=0).isoformat()
    world.memory.budget.write(Budget(minutes={minute: WRITES_PER_HOUR_MAX}))
    speaker = make_speaker(world, [])
    with pytest.raises(RateLimitError):
        speaker.react(world.say(1, "hello", "mona"), EYES)
    with pytest.raises(RateLimitError):
        speaker.reply(1, "no")
    assert world.github.replies == []


def test_a_pause_that_github_asks_for_is_remembered() -> None:
    world = CommandsWorld()
    speaker = Speaker(Slow(), world.memory, lambda: world.now, lambda _: None)  # type: ignore[arg-type]
    with pytest.raises(RateLimitError):
        speaker.react(1, EYES)
    assert world.memory.budget.read().paused_until == world.now + timedelta(seconds=90)


def test_a_pull_request_gets_a_reply_an_hour() -> None:
    world = CommandsWorld()
    speaker = make_speaker(world, [])
    assert [speaker.reply(1, "no"), speaker.reply(1, "no"), speaker.reply(2, "no")] == [True, False, True]
    world.pass_time(QUIET / timedelta(minutes=1))
    assert make_speaker(world, []).reply(1, "no")
    assert set(world.memory.heard.read().replied) == {"1"}


def test_what_is_remembered_has_a_bound() -> None:
    world = CommandsWorld()
    speaker = make_speaker(world, [])
    for number in range(BEGUN_MAX + 5):
        speaker.note_run(f"dev-{number}", f"comment~{number}")
        speaker.settle(number)
    speaker.note_run("dev-5", "comment~999")
    found = Memory(world.store).heard.read()
    assert len(found.begun) == BEGUN_MAX
    assert found.begun["dev-5"] == "comment~999"
    assert "dev-4" not in found.begun
    speaker.forget({3, 7})
    assert Memory(world.store).heard.read().settled == (3, 7)
    for hour in range(3):
        at = world.now + timedelta(hours=hour)
        speaker.note(f"mona {hour}", Permission("write", at), at - timedelta(minutes=5))
    assert set(Memory(world.store).heard.read().people) == {"mona 2"}
