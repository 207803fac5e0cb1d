"""What is remembered between runs, in Airflow's asset state store: claims, endings, removals, judgements, caches.

A typed view over keys and versioned JSON (`versioned.py`). It decides nothing; what cannot be read any more counts as
forgotten and is logged, entry by entry where a value is a collection.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import AwareDatetime, TypeAdapter

from include.deploy_ops.core.cleanup.verdict import Verdict
from include.deploy_ops.core.feedback.budget import Budget
from include.deploy_ops.core.feedback.values import FeedbackRecord
from include.deploy_ops.core.history import DeployHistory
from include.deploy_ops.core.model import PullRequest
from include.deploy_ops.core.naming import hash_text
from include.deploy_ops.core.plan.remembered import Remembered
from include.deploy_ops.core.versioned import read_parts, read_value, unwrap_value, wrap_value
from include.deploy_ops.core.view.row import Row, Summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

T = TypeVar("T")

ROW_SHARDS = 32
SHARDS = "0123456789abcdef"
"""A cache that grows with the repository is spread over 16 keys: Airflow warns of values above 64 KiB."""


class Store(Protocol):
    """Airflow's accessor for one asset's state."""

    def get(self, key: str, default: Any = None) -> Any:
        """Return the key's JSON value, or the default."""

    def set(self, key: str, value: Any) -> None:
        """Write the key's JSON value."""

    def delete(self, key: str) -> None:
        """Forget the key."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A run's claim on an environment."""

    run_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PullCache:
    """The pull requests of branches that exist, and up to when the listing was read (GitHub's `updated_at`).

    `rules` is the fingerprint of the policy by which they were kept: under other rules, others count.
    """

    since: str
    pulls: tuple[PullRequest, ...]
    rules: str = ""


@dataclass(frozen=True, slots=True)
class CachedTemplate:
    """The template's text, as it stands at `path` in a commit of trunk."""

    commit: str
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class CachedHistory:
    """A Deployment's history, and the fingerprint of the Deployment as it was when its records were read."""

    fingerprint: str
    history: DeployHistory


_CLAIM = TypeAdapter(Claim)
_REMEMBERED = TypeAdapter(Remembered)
_PULLS = TypeAdapter(PullCache)
_HISTORIES = TypeAdapter(dict[str, CachedHistory])
_TEMPLATE = TypeAdapter(CachedTemplate)
_TIME = TypeAdapter(AwareDatetime)
_TIMES = TypeAdapter(tuple[AwareDatetime, ...])
_NAMES = TypeAdapter(dict[str, str])
_TIMES_BY_COMMIT = TypeAdapter(dict[str, AwareDatetime])
_TEXTS = TypeAdapter(dict[str, str])
_ROWS = TypeAdapter(dict[str, Row])
_SUMMARY = TypeAdapter(Summary)
_TOLD = TypeAdapter(dict[str, FeedbackRecord])
_BUDGET = TypeAdapter(Budget)
_VERDICTS = TypeAdapter(dict[str, Verdict])

_EACH: tuple[str, ...] = ()
"""The path of a value whose own entries stand for themselves."""


class Memory:
    """The typed view over a fleet asset's state store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def _read(self, key: str, adapter: TypeAdapter[T], within: Sequence[str] | None = None) -> T | None:
        return read_value(key, self._store.get(key), adapter, within)

    def _write(self, key: str, adapter: TypeAdapter[T], value: T) -> None:
        self._set(key, adapter.dump_python(value, mode="json"))

    def _set(self, key: str, value: Any) -> None:
        self._store.set(key, wrap_value(value))

    def _get(self, key: str) -> Any:
        return unwrap_value(key, self._store.get(key))

    def read_claim(self, slug: str, register: str) -> Claim | None:
        """Return who claims the environment in the register "planned" or "manual"."""
        return self._read(f"environment.{slug}.{register}", _CLAIM)

    def write_claim(self, slug: str, register: str, claim: Claim) -> None:
        """Write the register; the last writer wins, so writers read their own back."""
        self._write(f"environment.{slug}.{register}", _CLAIM, claim)

    def drop_claim(self, slug: str, register: str) -> None:
        """Empty the register."""
        self._store.delete(f"environment.{slug}.{register}")

    def read_environment(self, slug: str) -> Remembered:
        """Return what is remembered of the environment."""
        return self._read(f"environment.{slug}.remembered", _REMEMBERED, ("endings",)) or Remembered()

    def write_environment(self, slug: str, remembered: Remembered) -> None:
        """Replace what is remembered of the environment; only the holder of its claim does."""
        self._write(f"environment.{slug}.remembered", _REMEMBERED, remembered)

    def forget_environment(self, slug: str) -> None:
        """Forget the environment: its branch ended, and so did its Deployment."""
        self._store.delete(f"environment.{slug}.remembered")

    def read_pulls(self) -> PullCache | None:
        """Return the cached pull requests; where one was lost, as if none had been read so far, so that it is again."""
        read = read_parts("control.pulls", self._store.get("control.pulls"), _PULLS, ("pulls",))
        cache, lost = read  # apart: mypy would look for an adapter of what this method returns
        return PullCache("", cache.pulls, cache.rules) if cache and lost else cache

    def write_pulls(self, cache: PullCache) -> None:
        """Replace the cached pull requests."""
        self._write("control.pulls", _PULLS, cache)

    def read_delete_times(self) -> tuple[datetime, ...]:
        """Return when control dispatched its recent deletes."""
        return self._read("control.deletes", _TIMES, _EACH) or ()

    def write_delete_times(self, times: Iterable[datetime]) -> None:
        """Replace the times of control's recent deletes."""
        self._write("control.deletes", _TIMES, tuple(times))

    def read_released(self) -> dict[str, str]:
        """Return the names of the deletes that a person let pass the brake, with the person."""
        return self._read("cleanup.released", _NAMES, _EACH) or {}

    def write_released(self, released: Mapping[str, str]) -> None:
        """Replace the names of the deletes that may pass the brake; only cleanup does."""
        self._write("cleanup.released", _NAMES, dict(released))

    def read_refused(self) -> dict[str, str]:
        """Return what shall not be deleted (`Work.subject`), with the person who said so."""
        return self._read("cleanup.refused", _NAMES, _EACH) or {}

    def write_refused(self, refused: Mapping[str, str]) -> None:
        """Replace what shall not be deleted; only cleanup does."""
        self._write("cleanup.refused", _NAMES, dict(refused))

    def is_first_pass(self) -> bool:
        """Whether no pass of control was ever finished, as far as anybody remembers."""
        return self._store.get("control.first_pass") is None

    def remember_first_pass(self, at: datetime) -> None:
        """Write that the first pass was made."""
        self._set("control.first_pass", at.isoformat())

    def read_outage(self) -> datetime | None:
        """Return when people were told last that control fails; None while it does not."""
        return self._read("control.outage", _TIME)

    def write_outage(self, told_at: datetime) -> None:
        """Write that people were told."""
        self._write("control.outage", _TIME, told_at)

    def forget_outage(self) -> None:
        """Forget the outage: control plans again."""
        self._store.delete("control.outage")

    def read_template(self) -> CachedTemplate | None:
        """Return the template as it was read last."""
        return self._read("control.template", _TEMPLATE)

    def write_template(self, template: CachedTemplate) -> None:
        """Replace the cached template."""
        self._write("control.template", _TEMPLATE, template)

    def read_backlog(self) -> dict[str, str]:
        """Return the heads of the branches that were old on the first pass, by slug: they count as removed there."""
        return self._read_shards("control.backlog", _TEXTS)

    def write_backlog(self, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        """Replace the heads of the branches that were old on the first pass."""
        self._write_shards("control.backlog", _TEXTS, before, after)

    def read_commit_times(self) -> dict[str, datetime]:
        """Return when commits were made, as far as it is known."""
        return self._read_shards("control.commits", _TIMES_BY_COMMIT)

    def write_commit_times(self, before: Mapping[str, datetime], after: Mapping[str, datetime]) -> None:
        """Replace what is known of commits."""
        self._write_shards("control.commits", _TIMES_BY_COMMIT, before, after)

    def read_histories(self) -> dict[str, CachedHistory]:
        """Return the cached histories by Deployment id."""
        return self._read_shards("control.histories", _HISTORIES)

    def write_histories(self, before: Mapping[str, CachedHistory], after: Mapping[str, CachedHistory]) -> None:
        """Replace the cached histories."""
        self._write_shards("control.histories", _HISTORIES, before, after)

    def read_authors(self) -> dict[str, str]:
        """Return who wrote commits, as far as it is known."""
        return self._read_shards("control.authors", _TEXTS)

    def write_authors(self, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        """Replace what is known of commits' authors."""
        self._write_shards("control.authors", _TEXTS, before, after)

    def read_rows(self) -> dict[str, Row]:
        """Return the rows that people are shown, by slug. A small fleet has few shards: the summary names them."""
        summary = self.read_summary()
        names = sorted(summary.digests) if summary else [f"{shard:02x}" for shard in range(ROW_SHARDS)]
        shards = (self._read(f"view.rows.{name}", _ROWS, _EACH) or {} for name in names)
        return {slug: row for shard in shards for slug, row in shard.items()}

    def read_row(self, slug: str) -> Row | None:
        """Return one environment's row."""
        return (self._read(f"view.rows.{shard_row(slug):02x}", _ROWS, _EACH) or {}).get(slug)

    def write_rows(self, before: Mapping[str, Row], after: Mapping[str, Row]) -> dict[str, str]:
        """Replace the rows; return a digest of each shard that has some."""
        digests: dict[str, str] = {}
        old, new = _part_rows(before), _part_rows(after)
        for shard in range(ROW_SHARDS):
            value = _ROWS.dump_python(new[shard], mode="json", exclude_defaults=True)
            if value:
                digests[f"{shard:02x}"] = hash_text(json.dumps(value, sort_keys=True), 12)
            if old[shard] != new[shard]:
                self._set(f"view.rows.{shard:02x}", value)
        return digests

    def read_summary(self) -> Summary | None:
        """Return what the last pass said of the project."""
        return self._read("view.summary", _SUMMARY)

    def write_summary(self, summary: Summary) -> None:
        """Replace what a pass says of the project."""
        self._write("view.summary", _SUMMARY, summary)

    def read_verdicts(self) -> dict[str, Verdict]:
        """Return what cleanup decided, by Deployment id."""
        return self._read("cleanup.verdicts", _VERDICTS, _EACH) or {}

    def write_verdicts(self, verdicts: Mapping[str, Verdict]) -> None:
        """Replace what cleanup decided."""
        self._write("cleanup.verdicts", _VERDICTS, dict(verdicts))

    def read_feedback(self) -> dict[str, FeedbackRecord]:
        """Return what GitHub was told."""
        shards = (self._read(f"feedback.told.{shard:02x}", _TOLD, _EACH) or {} for shard in range(ROW_SHARDS))
        return {key: told for shard in shards for key, told in shard.items()}

    def write_feedback(self, before: Mapping[str, FeedbackRecord], after: Mapping[str, FeedbackRecord]) -> None:
        """Replace what GitHub was told: after each write one shard differs, and only that is written."""
        moved = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        for shard in sorted({shard_row(key) for key in moved}):
            kept = {key: told for key, told in sorted(after.items()) if shard_row(key) == shard}
            value = _TOLD.dump_python(kept, mode="json", exclude_defaults=True)
            self._set(f"feedback.told.{shard:02x}", value)

    def read_feedback_view(self) -> str:
        """Return the digest of the view that GitHub was told as a whole; see `digest_view`."""
        value = self._get("feedback.view")
        return value if isinstance(value, str) else ""

    def write_feedback_view(self, digest: str) -> None:
        """Remember that GitHub was told the whole view."""
        self._set("feedback.view", digest)

    def read_feedback_run(self) -> str:
        """Return the run of feedback that was dispatched last."""
        value = self._get("feedback.run")
        return value if isinstance(value, str) else ""

    def write_feedback_run(self, run_id: str) -> None:
        """Replace the run of feedback that was dispatched last."""
        self._set("feedback.run", run_id)

    def read_budget(self) -> Budget:
        """Return what was written to GitHub lately, and how long it wants silence."""
        return self._read("feedback.budget", _BUDGET, ("minutes",)) or Budget()

    def write_budget(self, budget: Budget) -> None:
        """Replace what was written to GitHub lately."""
        self._write("feedback.budget", _BUDGET, budget)

    def _read_shards(self, name: str, adapter: TypeAdapter[dict[str, T]]) -> dict[str, T]:
        shards = (self._read(f"{name}.{shard}", adapter, _EACH) or {} for shard in SHARDS)
        return {key: value for shard in shards for key, value in shard.items()}

    def _write_shards(
        self, name: str, adapter: TypeAdapter[dict[str, T]], before: Mapping[str, T], after: Mapping[str, T]
    ) -> None:
        """Write the shards whose content differs."""
        for shard in SHARDS:
            old, new = _pick(before, shard), _pick(after, shard)
            if old != new:
                self._write(f"{name}.{shard}", adapter, new)


def shard_row(slug: str) -> int:
    """Return the shard in which an environment's row lies."""
    return int(hash_text(slug, 2), 16) % ROW_SHARDS


def _part_rows(rows: Mapping[str, Row]) -> dict[int, dict[str, Row]]:
    parted: dict[int, dict[str, Row]] = {shard: {} for shard in range(ROW_SHARDS)}
    for slug, row in sorted(rows.items()):
        parted[shard_row(slug)][slug] = row
    return parted


def _pick(cached: Mapping[str, T], shard: str) -> dict[str, T]:
    return {key: value for key, value in cached.items() if hash_text(key, 1) == shard}


_GONE = object()


class DryStore:
    """Behaves to its user as the store below it; what is written stays here, and is gone with the task."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._written: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        """Return what was written here, else what lies below."""
        value = self._written[key] if key in self._written else self._store.get(key, default)
        return default if value is _GONE else value

    def set(self, key: str, value: Any) -> None:
        """Keep the value here."""
        self._written[key] = value

    def delete(self, key: str) -> None:
        """Hide the key."""
        self._written[key] = _GONE
