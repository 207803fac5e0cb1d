"""The hops of a life: whose time is whose, and what stands in a row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from bench.hops import COMMANDED, POLLED, SETTLED, Reader, make_rows

if TYPE_CHECKING:
    from bench.hops import Trace
    from demo.witness import Witness

BEGUN = datetime(2026, 11, 30, 8, tzinfo=UTC)
PUSHED = "the push arrives at GitHub"


def at(seconds: float) -> datetime:
    return BEGUN + timedelta(seconds=seconds)


def make_trace(settled_s: float) -> Trace:
    return {PUSHED: at(0), POLLED: at(2), COMMANDED: at(8), SETTLED: at(settled_s)}


def make_reader(*requests: dict[str, Any]) -> Reader:
    journal = [{"method": "POST", "conditional": False, "status": 200, **each} for each in requests]
    return Reader(cast("Witness", None), 3.0, [*journal])


def test_what_astro_takes_after_the_deploy_is_not_ours() -> None:
    deployed = make_reader({"path": "/v1/deploys/cl1/finalize", "at": at(8.5).isoformat()})
    assert deployed.split(make_trace(12)) == {"all": 12, "poll": 2, "Astro": 3, "ours": 7}
    assert deployed.split(make_trace(10)) == {"all": 10, "poll": 2, "Astro": 1.5, "ours": 6.5}


def test_the_poll_that_saw_it_is_the_last_one_with_news_before_the_pass() -> None:
    poll = {"method": "GET", "path": "/repos/a/b/git/matching-refs/heads/", "conditional": True}
    reader = make_reader(
        {**poll, "at": at(-1).isoformat()},
        {"path": "/acme/shop.git/git-receive-pack", "at": at(0).isoformat()},
        {**poll, "at": at(1).isoformat(), "status": 304},
        {**poll, "at": at(2).isoformat()},
        {**poll, "at": at(9).isoformat()},
    )
    assert reader.trace_poll(PUSHED, at(3), r"/git-receive-pack$") == {PUSHED: at(0), POLLED: at(2)}
    assert reader.trace_poll(PUSHED, at(1), r"/git-receive-pack$")[POLLED] == at(0), "it was no poll that woke it"


def test_a_row_is_a_hop_that_every_life_had() -> None:
    lives = [make_trace(12), {**make_trace(14), "more": at(20)}, {PUSHED: at(0), COMMANDED: at(8), SETTLED: at(16)}]
    assert [*make_rows(lives)] == [
        [COMMANDED, "8.0 s", "8.0 s", "8.0 s", "8.0 s"],
        [SETTLED, "6.0 s", "7.6 s", "14.0 s", "15.6 s"],
    ]
