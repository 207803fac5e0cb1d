"""What is remembered reads back as it was written; what cannot be read counts as forgotten, and is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.deploy_ops.core.environment.rotation import Laid, Reading, Rotated
from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.plan.outcome import Outcome
from include.deploy_ops.core.plan.remembered import (
    Approval,
    BegunDelete,
    Ending,
    Judgement,
    OpenQuestion,
    Remembered,
    Removal,
    Requests,
)
from include.deploy_ops.core.verification.fallback import VerifiedDeploy
from include.deploy_ops.core.verification.mute import Mute
from include.deploy_ops.core.verification.verdict import Proof, Verification
from include.deploy_ops.core.view.awaited import Awaited
from include.deploy_ops.core.view.past_deploys import DEPLOYS_MAX, add_deploys
from include.deploy_ops.core.view.row import Summary
from include.deploy_ops.run.memory import CachedDifference, CachedHistory, CachedTemplate, Claim, Memory, PullCache
from include.deploy_ops.run.store import hash_name, shard_row
from tests.worlds.doubles.airflow import DictStore
from tests.worlds.values.examples import make_pull, merged, sha
from tests.worlds.values.feedback_examples import make_row

NOW = datetime(2026, 11, 1, tzinfo=UTC)
REMEMBERED = Remembered(
    {"deploy": Ending("dev-x~deploy~a~b", NOW, True, False, "boom"), "update": Ending("dev-x~update~a~b", NOW)},
    Removal(sha("a"), "by ann"),
    Judgement(sha("a"), "d1", "p", "only docs"),
)


def test_an_environment_reads_back() -> None:
    memory = Memory(DictStore())
    memory.environment("dev-x").write(REMEMBERED)
    assert memory.environment("dev-x").read() == REMEMBERED
    assert memory.environment("dev-y").read() == Remembered()
    memory.environment("dev-x").forget()
    assert memory.environment("dev-x").read() == Remembered()


def test_a_claim_reads_back_from_its_own_register() -> None:
    memory = Memory(DictStore())
    memory.claim("dev-x", "planned").write(Claim("run", NOW))
    assert memory.claim("dev-x", "planned").read() == Claim("run", NOW)
    assert memory.claim("dev-x", "manual").read() is None


def test_pull_requests_and_times_read_back() -> None:
    memory = Memory(DictStore())
    cache = PullCache(
        "2026-01-01T00:00:00Z", (make_pull(1, "dev-x", sha("a")), merged(make_pull(2, "dev-y", sha("b"))))
    )
    memory.pulls.write(cache)
    memory.begun_deletes.write((BegunDelete(NOW, "id"),))
    assert (memory.pulls.read(), memory.begun_deletes.read()) == (cache, (BegunDelete(NOW, "id"),))


def test_the_template_and_the_times_of_commits_read_back() -> None:
    memory = Memory(DictStore())
    assert (memory.template.read(), memory.commit_times.read()) == (None, {})
    template, times = CachedTemplate(sha("a"), "preview.yaml", "deployment: {}"), {sha("a"): NOW, sha("b"): NOW}
    memory.template.write(template)
    memory.commit_times.write({}, times)
    assert (memory.template.read(), memory.commit_times.read()) == (template, times)
    memory.commit_times.write(times, {sha("b"): NOW})
    assert memory.commit_times.read() == {sha("b"): NOW}


def test_what_is_remembered_of_many_is_one_request_and_what_nobody_wrote_stays() -> None:
    store = DictStore()
    memory = Memory(store)
    before = {f"id{number}": CachedHistory("f", DeployHistory(f"d{number}")) for number in range(60)}
    memory.histories.write({}, before)
    store.asked = 0
    assert memory.histories.read() == before
    assert store.asked == 1
    new = CachedHistory("g", DeployHistory("new"))
    memory.histories.write({"id7": before["id7"], "id8": before["id8"]}, {"id7": new})
    assert memory.histories.read() == {key: each for key, each in before.items() if key != "id8"} | {"id7": new}


def test_what_an_older_release_spread_is_brought_together_once() -> None:
    store = DictStore()
    memory, times = Memory(store), {sha(digit): NOW for digit in "0123456789abcdef"}
    older: dict[str, dict[str, str]] = {
        f"control.{name}.{hash_name(key)[0]}": {} for name in ("commits", "authors", "backlog") for key in times
    }
    for key in times:
        shard = hash_name(key)[0]
        older[f"control.commits.{shard}"][key] = NOW.isoformat()
        older[f"control.authors.{shard}"][key] = "ann"
        older[f"control.backlog.{shard}"][key] = sha("a")
    store.values.update({key: {"version": 1, "value": value} for key, value in older.items()})
    memory.remember_first_pass(NOW)
    known = memory.commit_times.read(), memory.authors.read(), memory.backlog.read()
    assert known == (times, dict.fromkeys(times, "ann"), dict.fromkeys(times, sha("a")))
    for _ in range(2):
        Memory(store).gather()
        spread = {key for key in store.values if key in older}
        assert spread == {key for key in older if key.startswith("control.backlog.")}, "an older release needs these"
        store.asked = 0
        assert (memory.commit_times.read(), memory.authors.read(), memory.backlog.read()) == known
        assert memory.histories.read() == {}
        assert store.asked == 4


def test_where_nothing_is_remembered_nothing_of_an_older_release_is_looked_for() -> None:
    store = DictStore()
    Memory(store).gather()
    assert store.asked < 16
    store.asked = 0
    memory = Memory(store)
    assert (memory.commit_times.read(), memory.authors.read(), memory.backlog.read(), memory.histories.read()) == (
        {},
        {},
        {},
        {},
    )
    assert store.asked == 4


def test_what_a_pass_alone_writes_is_asked_for_once() -> None:
    store = DictStore()
    memory = Memory(store)
    seen = memory.read_continuity(NOW)
    memory.continuity.write(seen)
    store.asked = 0
    for _ in range(3):
        assert memory.continuity.read() == seen
        assert memory.summary.read() is None
        assert memory.read_continuity(NOW + timedelta(minutes=1)).since == NOW
    assert store.asked == 0
    assert Memory(store).continuity.read() == seen
    memory.continuity.forget()
    assert memory.continuity.read() is None


def test_awaited_commits_are_asked_for_where_the_summary_says_that_some_are() -> None:
    store = DictStore()
    memory, awaited = Memory(store), {"pull/1": Awaited(sha("a"), "no preview for this branch")}
    summary = Summary("shop", "acme/data-platform", "", NOW, "apply", 1, 20, 0, 0, 300, memory.write_awaited(awaited))
    assert Memory(store).read_awaited() == awaited, "without a summary all of them are read"
    memory.summary.write(summary)
    memory, store.asked = Memory(store), 0
    assert memory.read_awaited() == awaited
    assert memory.write_awaited({}) == {}
    assert store.asked == 4
    assert Memory(store).read_awaited() == {}


@pytest.mark.parametrize("value", ["nonsense", {"run_id": 7}, []])
def test_what_cannot_be_read_is_forgotten_and_told(value: object, caplog: pytest.LogCaptureFixture) -> None:
    store = DictStore()
    store.set("environment.dev-x.planned", value)
    assert Memory(store).claim("dev-x", "planned").read() is None
    assert "counts as forgotten" in caplog.text


def test_the_first_pass_is_remembered() -> None:
    memory = Memory(DictStore())
    assert memory.is_first_pass()
    memory.remember_first_pass(NOW)
    assert not memory.is_first_pass()


def test_a_summary_that_names_shards_of_another_release_hides_no_row() -> None:
    memory = Memory(DictStore())
    rows = {name: make_row(name) for name in ("dev-x", "dev-y")}
    digests = memory.write_rows({}, rows) | {"ff": "abc"}
    memory.summary.write(Summary("shop", "acme/data-platform", "", NOW, "apply", 1, 20, 0, 0, 300, digests))
    assert memory.read_rows() == rows
    assert memory.read_row("dev-x") == rows["dev-x"]


def test_a_shard_is_written_where_its_content_differs() -> None:
    store = DictStore()
    memory = Memory(store)
    rows = {f"dev-{number}": make_row(f"dev-{number}") for number in range(40)}
    memory.write_rows({}, rows)
    store.values.clear()
    memory.write_rows(rows, {**rows, "dev-7": make_row("dev-7", pull=2)})
    assert store.values.keys() == {f"view.rows.{shard_row('dev-7'):02x}"}


def test_what_requests_write_and_what_a_deploy_writes_cross_without_a_loss() -> None:
    """The holder of the claim has read its record, and writes it when the request has written."""
    memory = Memory(DictStore())
    slug, now = "target.live", datetime(2026, 11, 29, tzinfo=UTC)
    held = memory.environment(slug).read()
    approval, judgement = Approval("h", "b", "d1", "ada", now), Judgement("c", "d1", "p", "only docs")
    memory.approval(slug).write(approval)
    memory.request_judgement(slug).write(judgement)
    memory.requests(slug).write(Requests({"request": Ending("w", now)}))
    memory.environment(slug).write(replace(held, resumed="d1"))
    known = memory.recall(slug)
    assert (known.approval, known.request_judgement, known.resumed) == (approval, judgement, "d1")
    assert known.endings == {"request": Ending("w", now)}
    assert memory.recall("dev-x") == Remembered()


def test_every_key_of_an_environment_is_listed() -> None:
    store = DictStore()
    memory, now = Memory(store), datetime(2026, 11, 29, tzinfo=UTC)
    slug = "target.live"
    for register in ("planned", "manual"):
        memory.claim(slug, register).write(Claim("r", now))
    memory.environment(slug).write(Remembered())
    memory.question(slug).write(OpenQuestion("r", "s", "rules"))
    memory.approval(slug).write(Approval("h", "b", "d1", "ada", now))
    memory.request_judgement(slug).write(Judgement("c", "d1", "p", "only docs"))
    memory.requests(slug).write(Requests())
    memory.deploys(slug).write((Outcome("r", "shop.live", "deploy", "success", now),))
    memory.verification(slug).write(Verification("d1", "c" * 40, Proof.VERIFIED, now, "verified"))
    memory.verified(slug).write((VerifiedDeploy("d1", "c" * 40, "13.1", now),))
    memory.mutes(slug).write((Mute("a.py", "a known one", "mira", now),))
    memory.difference(slug).write(CachedDifference("basis", "staging runs other content"))
    memory.target_template(slug).write(CachedTemplate("c" * 40, "deployments/live.yaml", "deployment: {}"))
    assert store.values.keys() == set(memory.list_environment_keys(slug))


def test_seals_of_what_a_preview_was_given_are_read_back_with_the_rest() -> None:
    memory = Memory(DictStore())
    known = Remembered(rendered=("mapped TOKEN",), laid=Laid("id", {"TOKEN": "0" * 32}))
    memory.environment("dev-x").write(known)
    assert memory.environment("dev-x").read() == known


def test_a_reading_of_values_is_read_back_and_a_spoilt_entry_loses_itself_alone() -> None:
    store = DictStore()
    memory = Memory(store)
    reading = Reading(
        datetime(2026, 11, 29, tzinfo=UTC), {"id-1": Rotated({"A": "1"}), "id-2": Rotated({"B": "2"})}, "?"
    )
    memory.rotation.write(reading)
    assert memory.rotation.read() == reading
    store.values["control.rotation"]["value"]["stale"]["id-1"] = 7
    assert memory.rotation.read() == replace(reading, stale={"id-2": Rotated({"B": "2"})})


def test_thirty_deploys_of_which_everything_is_told_fit_and_are_read_back() -> None:
    store = DictStore()
    memory, now = Memory(store), datetime(2026, 11, 29, tzinfo=UTC)
    names = ("why", "cause", "reason", "subject", "person", "approver", "author", "commit_author")
    told = Outcome("r", "shop.production", "deploy", "failed", now, 99.5, "c" * 40, "image-and-dags", is_permanent=True)
    texts: dict[str, Any] = dict.fromkeys(names, "long " * 200)
    told = replace(told, is_forced=True, **texts)
    found = [replace(told, run_id=f"{number:03}{'~' * 120}") for number in range(DEPLOYS_MAX)]
    kept = add_deploys((), (), found)
    memory.deploys("target.production").write(kept)
    assert len(kept) == DEPLOYS_MAX
    assert memory.deploys("target.production").read() == kept


def test_one_deploy_that_cannot_be_read_loses_itself_alone() -> None:
    store = DictStore()
    memory, now = Memory(store), datetime(2026, 11, 29, tzinfo=UTC)
    deploys = tuple(Outcome(name, "shop.production", "deploy", "success", now, kind="dags") for name in "ab")
    memory.deploys("target.production").write(deploys)
    stored = store.get("environment.target.production.deploys")
    later = {"version": stored["version"], "value": [{"run_id": 7}, {**stored["value"][1], "later": 1}]}
    store.set("environment.target.production.deploys", later)
    assert memory.deploys("target.production").read() == deploys[1:]
