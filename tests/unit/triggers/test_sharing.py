"""One question for all who want to know the same: one asks, all are told, and a failure is nobody's answer later."""

from __future__ import annotations

import asyncio

import pytest

from include.deploy_ops.triggers.sharing import SharedAnswers, share


class Source:
    """Counts how often it is asked, and answers when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_asked = asyncio.Event()
        self.is_open = asyncio.Event()
        self.error: Exception | None = None

    async def ask(self, last: int | None) -> int:
        self.asked += 1
        self.is_asked.set()
        await self.is_open.wait()
        if self.error is not None:
            raise self.error
        return (last or 0) + 1


def test_one_asks_and_all_who_wait_are_told() -> None:
    async def play() -> None:
        answers, source = SharedAnswers[int](), Source()
        waiting = [asyncio.ensure_future(answers.get("a", 60.0, source.ask)) for _ in range(20)]
        source.is_open.set()
        assert await asyncio.gather(*waiting) == [1] * 20
        assert await answers.get("a", 60.0, source.ask) == 1
        assert source.asked == 1
        assert await answers.get("b", 60.0, source.ask) == 1
        assert await answers.get("a", -1.0, source.ask) == 2
        assert source.asked == 3

    asyncio.run(play())


def test_a_failure_is_told_to_those_who_wait_and_to_nobody_later() -> None:
    async def play() -> None:
        answers, source = SharedAnswers[int](), Source()
        source.error = ValueError("no answer")
        waiting = [asyncio.ensure_future(answers.get("a", 60.0, source.ask)) for _ in range(5)]
        await source.is_asked.wait()
        await asyncio.sleep(0)  # so that the others wait, too
        source.is_open.set()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [str(each) for each in outcomes] == ["no answer"] * 5
        assert source.asked == 1
        source.error = None
        assert await answers.get("a", 60.0, source.ask) == 1

    asyncio.run(play())


def test_who_is_cancelled_while_asking_leaves_the_question_to_the_next() -> None:
    async def play() -> None:
        answers, source = SharedAnswers[int](), Source()
        first = asyncio.ensure_future(answers.get("a", 60.0, source.ask))
        second = asyncio.ensure_future(answers.get("a", 60.0, source.ask))
        await source.is_asked.wait()
        first.cancel()
        source.is_open.set()
        assert await second == 1
        with pytest.raises(asyncio.CancelledError):
            await first
        assert source.asked == 2

    asyncio.run(play())


def test_answers_are_of_one_loop_and_one_kind() -> None:
    async def find() -> tuple[object, object, object]:
        return share("repository"), share("repository"), share("workspace")

    one, same, other = asyncio.run(find())
    assert one is same
    assert one is not other
    assert asyncio.run(find())[0] is not one
