"""What was remembered before the release is remembered after it: every kind of key of the state stores."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from include.deploy_ops.core.feedback.values import key_comment
from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.core.plan.remembered import Requests
from include.deploy_ops.operators.cleanup.find import QUESTIONS_KEY
from include.deploy_ops.operators.cleanup.orphans import ORPHAN_QUESTIONS_KEY as ORPHANS_KEY
from include.deploy_ops.run.airflow_runs import Runs
from include.deploy_ops.run.memory import Memory
from include.deploy_ops.run.questions import Questions
from include.deploy_ops.run.store import shard_row
from include.deploy_ops.triggers.repository import CURSOR_KEY, WAKE_AT_KEY, RepositoryTrigger
from tests.compatibility.samples import RELEASES, Release, strip_version
from tests.worlds.doubles.airflow import DictStore, FakeAirflow, FakeTaskInstance

if TYPE_CHECKING:
    from collections.abc import Callable

FLEET, REPOSITORY, ORPHANS = (
    "deploy_ops.data_platform.fleet",
    "deploy_ops.data_platform.repository",
    "deploy_ops.orphans",
)


def each_key() -> list[Any]:
    """Return release, asset and key of all that was remembered."""
    return [
        pytest.param(release, asset, key, id=f"{release}: {asset} {key}")
        for release in RELEASES
        for asset, values in release.read("store.json").items()
        for key in values
    ]


def open_memory(key: str, stored: Any) -> Memory:
    """Return a memory that holds the one key."""
    store = DictStore()
    store.values[key] = stored
    return Memory(store)


def same_time(found: datetime | None, said: str | None) -> bool:
    return found == (said and datetime.fromisoformat(said))


def check_claim(memory: Memory, key: str, said: Any) -> None:
    _, slug, register = re.split(r"^environment\.|\.(?=planned$|manual$)", key)
    claim = memory.claim(slug, register).read()
    assert claim is not None
    assert claim.run_id == said["run_id"]
    assert same_time(claim.at, said["at"])


def check_environment(memory: Memory, key: str, said: Any) -> None:
    known = memory.environment(key.removeprefix("environment.").removesuffix(".remembered")).read()
    endings = {
        verb: (each.work, each.is_failure, each.is_permanent, each.cause) for verb, each in known.endings.items()
    }
    assert endings == {
        verb: (each["work"], each["is_failure"], each["is_permanent"], each["cause"])
        for verb, each in said["endings"].items()
    }
    assert (known.resumed, known.adopted, known.promoted, known.kept) == tuple(
        said[name] for name in ("resumed", "adopted", "promoted", "kept")
    )
    for name in ("removal", "judgement", "approval"):
        value, told = getattr(known, name), said[name]
        assert (value is None) == (told is None)
        for part in set(told or ()) - {"at"}:
            assert getattr(value, part) == told[part]


def check_pulls(memory: Memory, key: str, said: Any) -> None:
    cache = memory.pulls.read()
    assert cache is not None
    assert (cache.since, cache.rules) == (said["since"], said["rules"])
    assert [(each.number, each.head_sha, each.is_open, each.is_merged, list(each.labels)) for each in cache.pulls] == [
        (each["number"], each["head_sha"], each["is_open"], each["is_merged"], each["labels"]) for each in said["pulls"]
    ]


def check_histories(memory: Memory, key: str, said: Any) -> None:
    found = memory.histories.read()
    assert found.keys() == said.keys()
    for name, cached in found.items():
        told = said[name]["history"]
        assert cached.fingerprint == said[name]["fingerprint"]
        for part in ("newest_id", "image_commit", "dags_commit", "head", "overridden_by", "commit", "kind"):
            assert getattr(cached.history, part) == told[part]
        assert same_time(cached.history.active_at, told["active_at"])
        assert key.endswith(f".{hash_text(name, 1)}")


def check_template(memory: Memory, key: str, said: Any) -> None:
    cached = memory.template.read()
    assert cached is not None
    assert (cached.commit, cached.path, cached.text) == (said["commit"], said["path"], said["text"])


def check_rows(memory: Memory, key: str, said: Any) -> None:
    rows = memory.read_rows()
    assert rows.keys() == said.keys()
    for slug, row in rows.items():
        told = said[slug]
        assert (row.slug, row.environment, row.state.value) == (slug, told["environment"], told["state"])
        assert (row.kind.value, row.head, row.deployed) == (
            told["kind"],
            told.get("head", ""),
            told.get("deployed", ""),
        )
        assert [each.run_id for each in row.outcomes] == [each["run_id"] for each in told.get("outcomes", ())]
        assert (row.next_step and row.next_step.what) == (told.get("next_step") or {}).get("what")
        assert memory.read_row(slug) == row
        assert key == f"view.rows.{shard_row(slug):02x}"


def check_summary(memory: Memory, key: str, said: Any) -> None:
    summary = memory.summary.read()
    assert summary is not None
    for part in ("project", "repository", "mode", "live", "max_live", "digests", "events_until"):
        assert getattr(summary, part) == said[part]


def check_verdicts(memory: Memory, key: str, said: Any) -> None:
    found = memory.verdicts.read()
    assert {name: (each.verb, each.branch, each.standing.value, each.subject) for name, each in found.items()} == {
        name: (
            each["verb"],
            each["branch"],
            each["standing"],
            f"{each['deployment_id']} at {each['head']} on {each['observed']}",
        )
        for name, each in said.items()
    }
    assert all(same_time(each.due_at, said[name]["due_at"]) for name, each in found.items())


def check_told(memory: Memory, key: str, said: Any) -> None:
    told = memory.feedback.read()
    assert {name: (each.id, each.digest, each.state) for name, each in told.items()} == {
        name: (each.get("id", 0), each.get("digest", ""), each.get("state", "")) for name, each in said.items()
    }
    for name in told:
        assert key == f"feedback.told.{shard_row(name):02x}"
        kind, _, rest = name.partition("/")
        assert kind in {"comment", "status", "deployment", "lack"}
        assert kind != "comment" or name == key_comment(int(rest))


def check_budget(memory: Memory, key: str, said: Any) -> None:
    budget = memory.budget.read()
    assert (budget.minutes, budget.failures) == (said["minutes"], said["failures"])
    assert same_time(budget.last_at, said["last_at"])


def check_deletes(memory: Memory, key: str, said: Any) -> None:
    assert [each.at for each in memory.begun_deletes.read()] == [datetime.fromisoformat(each) for each in said]
    assert said


def check_times(memory: Memory, key: str, said: Any) -> None:
    assert memory.commit_times.read() == {sha: datetime.fromisoformat(at) for sha, at in said.items()}


def check_first_pass(memory: Memory, key: str, said: Any) -> None:
    assert not memory.is_first_pass()


def check_outage(memory: Memory, key: str, said: Any) -> None:
    assert same_time(memory.outage.read(), said)


class LateStore:
    """Airflow's store as a trigger reads it."""

    def __init__(self, **values: Any) -> None:
        self._values = values

    async def aget(self, key: str, default: Any = None) -> Any:
        return self._values.get(key, default)


def make_trigger(**values: Any) -> RepositoryTrigger:
    trigger = RepositoryTrigger("data_platform", "github_default", "acme/data-platform", "main")
    trigger.asset_state_store = LateStore(**values)  # type: ignore[assignment]  # the part that it uses
    return trigger


def check_cursor(stored: Any, said: Any) -> None:
    cursor = asyncio.run(make_trigger(cursor=stored)._load_cursor())
    assert cursor.pull_requests == said["pull_requests"]
    assert [(page.url, page.etag) for page in cursor.branches] == [
        (each["url"], each["etag"]) for each in said["branches"]
    ]
    assert cursor.branches


def check_wake(stored: Any, said: Any) -> None:
    assert asyncio.run(make_trigger(wake_at=stored)._find_due_wake()) in {None, said}
    past = json.loads(json.dumps(stored).replace(said, "2026-01-01T00:00:00+00:00"))
    assert asyncio.run(make_trigger(wake_at=past)._find_due_wake()) == "2026-01-01T00:00:00+00:00"


def check_questions(key: str, stored: Any, said: Any) -> None:
    store = DictStore()
    store.values[key] = stored
    airflow = FakeAirflow(**dict.fromkeys(said, "running"))
    questions = Questions(store, key, Runs(FakeTaskInstance(airflow, {}, "find", 1), "dag"))  # type: ignore[arg-type]
    assert {run: list(asked.names) for run, asked in questions.read().items()} == {
        run: asked["names"] for run, asked in said.items()
    }
    assert set(questions.find_asking(but="another")) == {name for asked in said.values() for name in asked["names"]}


READERS: dict[str, Callable[[Memory, str, Any], None]] = {
    r"environment\..+\.(planned|manual)": check_claim,
    r"environment\..+\.remembered": check_environment,
    r"control\.pulls": check_pulls,
    r"control\.histories\.[0-9a-f]": check_histories,
    r"control\.template": check_template,
    r"control\.deletes": check_deletes,
    r"control\.commits\.[0-9a-f]": check_times,
    r"control\.first_pass": check_first_pass,
    r"control\.outage": check_outage,
    r"control\.authors\.[0-9a-f]": lambda memory, _, said: _check_equal(memory.authors.read(), said),
    r"control\.backlog\.[0-9a-f]": lambda memory, _, said: _check_equal(memory.backlog.read(), said),
    r"cleanup\.released": lambda memory, _, said: _check_equal(memory.released.read(), said),
    r"cleanup\.refused": lambda memory, _, said: _check_equal(memory.refused.read(), said),
    r"cleanup\.verdicts": check_verdicts,
    r"view\.rows\.[0-9a-f]{2}": check_rows,
    r"view\.summary": check_summary,
    r"feedback\.told\.[0-9a-f]{2}": check_told,
    r"feedback\.view": lambda memory, _, said: _check_equal(memory.feedback_view.read(), said),
    r"feedback\.run": lambda memory, _, said: _check_equal(memory.feedback_run.read(), said),
    r"feedback\.budget": check_budget,
}


def _check_equal(found: Any, said: Any) -> None:
    assert found == said
    assert found


@pytest.mark.parametrize(("release", "asset", "key"), each_key())
def test_what_was_remembered_is_remembered(release: Release, asset: str, key: str) -> None:
    stored = release.read("store.json")[asset][key]
    said = strip_version(stored)
    if key in {QUESTIONS_KEY, ORPHANS_KEY}:
        check_questions(key, stored, said)
    elif asset == REPOSITORY:
        {CURSOR_KEY: check_cursor, WAKE_AT_KEY: check_wake}[key](stored, said)
    else:
        assert asset == FLEET
        (reader,) = [each for pattern, each in READERS.items() if re.fullmatch(pattern, key)]
        reader(open_memory(key, stored), key, said)


def test_every_kind_of_key_has_a_sample(release: Release) -> None:
    stored = release.read("store.json")
    missing = [pattern for pattern in READERS if not any(re.fullmatch(pattern, key) for key in stored[FLEET])]
    assert missing == []
    assert {QUESTIONS_KEY, CURSOR_KEY, WAKE_AT_KEY, ORPHANS_KEY} <= {
        key for values in stored.values() for key in values
    }


def test_what_was_spread_over_many_keys_is_gathered_without_a_loss(release: Release) -> None:
    store = DictStore()
    store.values.update(release.read("store.json")[FLEET])
    others, memory = store.values.copy(), Memory(store)

    def read() -> list[Any]:
        return [each.read() for each in (memory.backlog, memory.commit_times, memory.authors, memory.histories)]

    known = read()
    assert all(known)
    memory.gather()
    assert read() == known
    # An older release would make previews of all old branches, did it not find their keys.
    left = {key: each for key, each in others.items() if not re.match(r"control\.(commits|authors|histories)\.", key)}
    assert {key: store.values.get(key) for key in left} == left
    gathered = {f"control.{name}" for name in ("old_branches", "commit_times", "commit_authors", "deploy_histories")}
    assert store.values.keys() == left.keys() | gathered


def test_all_rows_are_found_by_the_summary(release: Release) -> None:
    store = DictStore()
    store.values.update(release.read("store.json")[FLEET])
    shards = [value for key, value in release.read_bare(FLEET).items() if key.startswith("view.rows.")]
    assert Memory(store).read_rows().keys() == {slug for shard in shards for slug in shard}


def test_what_requests_left_in_the_targets_record_counts_until_a_request_writes(release: Release) -> None:
    slug = "target.production"
    stored = release.read("store.json")[FLEET][f"environment.{slug}.remembered"]
    memory = open_memory(f"environment.{slug}.remembered", stored)
    before, said = memory.recall(slug), strip_version(stored)
    assert before == memory.environment(slug).read()
    assert before.approval is not None
    assert (before.approval.person, before.endings.keys()) == ("admin", said["endings"].keys())
    memory.requests(slug).write(Requests())
    memory.approval(slug).write(replace(before.approval, person="ann"))
    after = memory.recall(slug)
    assert after.endings.keys() == {"deploy", "merge"}
    assert after.approval is not None
    assert after.approval.person == "ann"
