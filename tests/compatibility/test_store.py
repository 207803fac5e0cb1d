"""What was remembered before the release is remembered after it: every kind of key of the state stores."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import AwareDatetime, TypeAdapter

from include.deploy_ops.core.feedback.values import key_comment
from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.core.plan.remembered import Requests
from include.deploy_ops.core.versioned import read_value, wrap_value
from include.deploy_ops.operators.cleanup.find import QUESTIONS_KEY
from include.deploy_ops.operators.cleanup.orphans import ORPHAN_QUESTIONS_KEY as ORPHANS_KEY
from include.deploy_ops.operators.control.pace import REST_KEY
from include.deploy_ops.run.airflow_runs import Runs
from include.deploy_ops.run.memory import Memory
from include.deploy_ops.run.questions import Questions
from include.deploy_ops.run.sights import HEALTH_KEY, read_sights
from include.deploy_ops.run.store import Slot, shard_row
from include.deploy_ops.triggers.awaited_checks import AWAITED_KEY, read_awaited, write_awaited
from include.deploy_ops.triggers.repository import BEGUN_AT_KEY, CURSOR_KEY, WAKE_AT_KEY, RepositoryTrigger
from tests.compatibility.samples import RELEASES, Release, strip_version
from tests.worlds.doubles.airflow import DictStore, FakeAirflow, FakeTaskInstance

if TYPE_CHECKING:
    from collections.abc import Callable

_TIME = TypeAdapter(AwareDatetime)
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
    told = [each if isinstance(each, dict) else {"at": each, "deployment_id": ""} for each in said]
    assert [(each.at, each.deployment_id) for each in memory.begun_deletes.read()] == [
        (datetime.fromisoformat(each["at"]), each["deployment_id"]) for each in told
    ]
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


def check_time(stored: Any, said: Any) -> None:
    """See that it is read as the time that it was; a pass that began, and a rest, are told by one."""
    assert read_value("time", stored, _TIME) == datetime.fromisoformat(said)


def check_health(stored: Any, said: Any) -> None:
    sights = read_sights(stored)
    assert sights.keys() == said.keys()
    assert all(same_time(sights[name].looked_at, each["looked_at"]) for name, each in said.items())
    assert [each.cause for each in sights.values()] == [each.get("cause", "") for each in said.values()]


def check_awaited_checks(stored: Any, said: Any) -> None:
    found = read_awaited(stored)
    assert found.keys() == said.keys()
    assert found
    assert write_awaited(said.keys(), found) == stored


def check_questions(key: str, stored: Any, said: Any) -> None:
    store = DictStore()
    store.values[key] = stored
    airflow = FakeAirflow(**dict.fromkeys(said, "running"))
    questions = Questions(store, key, Runs(FakeTaskInstance(airflow, {}, "find", 1), "dag"))  # type: ignore[arg-type]
    assert {run: list(asked.names) for run, asked in questions.read().items()} == {
        run: asked["names"] for run, asked in said.items()
    }
    assert set(questions.find_asking(but="another")) == {name for asked in said.values() for name in asked["names"]}


def check_kept(memory: Memory, key: str, said: Any) -> None:
    """See that what is read says all that was said: it is there again when it is written."""
    (open_slot,) = [each for pattern, each in SLOTS.items() if re.fullmatch(pattern, key)]
    store = DictStore()
    found, anew = open_slot(memory, key).read(), open_slot(Memory(store), key)
    assert found is not None
    if isinstance(anew, Slot):
        anew.write(found)
    else:
        anew.write({}, found)
    assert holds(strip_version(store.values[key]), said), (store.values, said)


def holds(found: Any, said: Any) -> bool:
    """Whether all that was said stands there; a field more, or one that equals its default, makes no difference."""
    if isinstance(said, dict) and isinstance(found, dict):
        return all(holds(found[key], each) if key in found else is_blank(each) for key, each in said.items())
    if isinstance(said, list) and isinstance(found, list):
        return len(said) == len(found) and all(map(holds, found, said))
    return bool(found == said)


def is_blank(said: Any) -> bool:
    return said in (None, "", 0, False, [], {})


def name_slug(key: str) -> str:
    return key.removeprefix("environment.").rpartition(".")[0]


SLOTS: dict[str, Callable[[Memory, str], Any]] = {
    r"cleanup\.preview_uses": lambda memory, _: memory.uses,
    r"commands\.heard": lambda memory, _: memory.heard,
    r"commands\.run": lambda memory, _: memory.commands_run,
    r"control\.branch_concerns": lambda memory, _: memory.concerns,
    r"control\.continuity": lambda memory, _: memory.continuity,
    r"control\.failing": lambda memory, _: memory.failing,
    r"control\.meters": lambda memory, _: memory.meters,
    r"control\.pausings": lambda memory, _: memory.pausings,
    r"control\.past": lambda memory, _: memory.past_digests,
    r"control\.past\.[0-9a-f]": lambda memory, _: memory.past,
    r"control\.pending": lambda memory, _: memory.pending,
    r"control\.pull_page": lambda memory, _: memory.pull_page,
    r"control\.rejections": lambda memory, _: memory.rejections,
    r"control\.repository": lambda memory, _: memory.repository,
    r"control\.rotation": lambda memory, _: memory.rotation,
    r"control\.unpausing": lambda memory, _: memory.unpausing,
    r"control\.commit_authors": lambda memory, _: memory.authors,
    r"control\.commit_times": lambda memory, _: memory.commit_times,
    r"control\.deploy_histories": lambda memory, _: memory.histories,
    r"control\.old_branches": lambda memory, _: memory.backlog,
    r"deployment\..+\.occupant": lambda memory, key: memory.occupant(key.split(".")[1]),
    r"doctor\.examination": lambda memory, _: memory.examination,
    r"environment\..+\.approval": lambda memory, key: memory.approval(name_slug(key)),
    r"environment\..+\.deploys": lambda memory, key: memory.deploys(name_slug(key)),
    r"environment\..+\.difference": lambda memory, key: memory.difference(name_slug(key)),
    r"environment\..+\.mutes": lambda memory, key: memory.mutes(name_slug(key)),
    r"environment\..+\.question": lambda memory, key: memory.question(name_slug(key)),
    r"environment\..+\.request_judgement": lambda memory, key: memory.request_judgement(name_slug(key)),
    r"environment\..+\.requests": lambda memory, key: memory.requests(name_slug(key)),
    r"environment\..+\.template": lambda memory, key: memory.target_template(name_slug(key)),
    r"environment\..+\.verification": lambda memory, key: memory.verification(name_slug(key)),
    r"environment\..+\.verified": lambda memory, key: memory.verified(name_slug(key)),
    r"promotion\.contributions\.[0-9a-f]{2}": lambda memory, _: memory.contributions,
    r"view\.awaited\.[0-9a-f]{2}": lambda memory, _: memory._awaited,
}
"""What 0.3.0 began to write: who reads and writes it."""


def check_pulls_apart(memory: Memory, key: str, said: Any) -> None:
    memory._store.set("control.pulls", wrap_value({"since": "2026-11-30T21:00:00Z", "pulls": [], "rules": "r"}))
    cache = memory.pulls.read()
    assert cache is not None
    assert cache.since, "one was lost, so that all are read again"
    assert {str(each.number): each.head_sha for each in cache.pulls} == {
        number: each["head_sha"] for number, each in said.items()
    }
    assert [each.is_open for each in cache.pulls] == [each.get("is_open", False) for each in said.values()]


def check_snapshots(memory: Memory, key: str, said: Any) -> None:
    assert strip_version(memory._store.get(key)) == said
    assert said


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

GATHERED = (r"control\.histories\.[0-9a-f]", r"control\.commits\.[0-9a-f]", r"control\.authors\.[0-9a-f]")
BACKLOG = r"control\.backlog\.[0-9a-f]"
"""What no release writes since 0.3."""

SINCE_0_3: dict[str, Callable[[Memory, str, Any], None]] = {
    r"control\.pull_requests": check_pulls_apart,
    r"control\.snapshot(s|-[0-9])": check_snapshots,
    **dict.fromkeys(SLOTS, check_kept),
}
"""What no release wrote before."""


def _check_equal(found: Any, said: Any) -> None:
    assert found == said
    assert found


TRIGGER_KEYS: dict[str, Callable[[Any, Any], None]] = {
    CURSOR_KEY: check_cursor,
    WAKE_AT_KEY: check_wake,
    BEGUN_AT_KEY: check_time,
    HEALTH_KEY: check_health,
    REST_KEY: check_time,
    AWAITED_KEY: check_awaited_checks,
}


@pytest.mark.parametrize(("release", "asset", "key"), each_key())
def test_what_was_remembered_is_remembered(release: Release, asset: str, key: str) -> None:
    stored = release.read("store.json")[asset][key]
    said = strip_version(stored)
    if key in {QUESTIONS_KEY, ORPHANS_KEY}:
        check_questions(key, stored, said)
    elif asset == REPOSITORY:
        TRIGGER_KEYS[key](stored, said)
    else:
        assert asset == FLEET
        (reader,) = [each for pattern, each in (READERS | SINCE_0_3).items() if re.fullmatch(pattern, key)]
        reader(open_memory(key, stored), key, said)


def test_every_kind_of_key_has_a_sample(release: Release) -> None:
    stored = release.read("store.json")
    wanted = (READERS.keys() | SINCE_0_3.keys()) - {*GATHERED, BACKLOG} if release.is_sealing else READERS.keys()
    missing = [pattern for pattern in wanted if not any(re.fullmatch(pattern, key) for key in stored[FLEET])]
    assert missing == []
    others = {QUESTIONS_KEY, CURSOR_KEY, WAKE_AT_KEY, ORPHANS_KEY, *(TRIGGER_KEYS if release.is_sealing else ())}
    assert others <= {key for values in stored.values() for key in values}


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
    if release.is_sealing:
        assert before.approval is None, "it lies apart"
        return
    assert before.approval is not None
    assert (before.approval.person, before.endings.keys()) == ("admin", said["endings"].keys())
    memory.requests(slug).write(Requests())
    memory.approval(slug).write(replace(before.approval, person="ann"))
    after = memory.recall(slug)
    assert after.endings.keys() == {"deploy", "merge"}
    assert after.approval is not None
    assert after.approval.person == "ann"
