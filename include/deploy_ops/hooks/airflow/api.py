"""What we read of one Deployment's Airflow: its DAGs and its import errors, whole and bounded.

Changes nothing there and decides nothing.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

from include.deploy_ops.core.cleanup.use import RunFacts
from include.deploy_ops.core.errors import NOTHING_FOLLOWS, DeployOpsError, ObservationError, PermanentError
from include.deploy_ops.core.verification.facts import AirflowFacts, ImportFault
from include.deploy_ops.hooks.airflow.answers import (
    doubt,
    parse_dag,
    parse_fault,
    parse_list,
    parse_run,
    parse_version,
)
from include.deploy_ops.hooks.airflow.connection import open_airflow
from include.deploy_ops.hooks.airflow.http import ask, make_pace
from include.deploy_ops.hooks.conversation import Ask, AsyncClient, Client, Conversation, ahold, hold
from include.deploy_ops.process.redaction import list_forms, redact_error, redact_shapes, redact_urls, replace_forms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

DAGS_MAX = 5000
FAULTS_MAX = 200
"""Of one look; further ones are counted."""
RUN_PAGES_MAX = 10
"""Pages of runs among which a person's is looked for, the newest first."""
PAGE_SIZE = 100
"""What Airflow gives at most unless its `[api] maximum_page_limit` says more; a smaller limit of its own is met."""
LOOK_TIME_MAX_S = 180.0
"""After which a look begins no further request: fifty pages that drip would take an hour."""

T = TypeVar("T")


class AirflowReader:
    """Reads one Deployment's Airflow, blocking: a context manager.

    Every method raises `ReadRefusedError` when the token may not read there, `PermanentError` when there is more than
    we read, and `ObservationError` or `RateLimitError` when nothing is known and a later look may know more.

    :param address: as Astro gives it; `connection.open_airflow` says what it may be.
    :param token: one that opens this Deployment and no target; it goes to this host alone.
    :param secrets: what the Deployment was given and no text of ours may tell: taken out of tracebacks.
    :param sleep: called with the seconds to wait before a request is repeated.
    """

    def __init__(
        self,
        address: str,
        token: str,
        *,
        secrets: Sequence[str] = (),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._api = open_airflow(address, token)
        self._secrets = secrets
        self._client = Client(self._api.service)
        self._pace = make_pace()
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def read_facts(self) -> AirflowFacts:
        """Return all DAGs, stale ones too, and import errors."""
        return clean_facts(self._hold(ask_facts(self._api.version)), self._api.service.token, self._secrets)

    def read_work(self, since: datetime) -> RunFacts:
        """Return whether a run is in flight, and when people started the newest ones; older ones than `since` are left.

        :raises ObservationError: also where a person's run may stand beyond what we read.
        """
        facts = self._hold(ask_work(self._api.version, since))
        ours = list_forms([self._api.service.token])
        is_shown = facts.running is None or replace_forms(facts.running, ours) == facts.running
        return facts if is_shown else replace(facts, running="")

    def read_version(self) -> str:
        """Return Airflow's version, such as "3.3.2"."""
        return self._hold(ask_version())

    def _hold(self, conversation: Conversation[T]) -> T:
        try:
            return hold(conversation, self._client, self._pace, self._sleep)
        except DeployOpsError as error:
            redact_error(error, [self._api.service.token])
            raise


class AsyncAirflowReader:
    """The same for triggers: an async context manager with the same reads and errors."""

    def __init__(self, address: str, token: str, *, secrets: Sequence[str] = ()) -> None:
        self._api = open_airflow(address, token)
        self._secrets = secrets
        self._client = AsyncClient(self._api.service)
        self._pace = make_pace()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def read_facts(self) -> AirflowFacts:
        """Return all DAGs, stale ones too, and import errors."""
        facts = await self._hold(ask_facts(self._api.version))
        return clean_facts(facts, self._api.service.token, self._secrets)

    async def read_version(self) -> str:
        """Return Airflow's version, such as "3.3.2"."""
        return await self._hold(ask_version())

    async def _hold(self, conversation: Conversation[T]) -> T:
        try:
            return await ahold(conversation, self._client, self._pace)
        except DeployOpsError as error:
            redact_error(error, [self._api.service.token])
            raise


def clean_facts(facts: AirflowFacts, token: str, secrets: Sequence[str]) -> AirflowFacts:
    """Return the facts without our token, which a Deployment may repeat anywhere, and with clean tracebacks.

    A traceback may show what the code was given: secrets, credentials of URLs, what looks like a token.
    """
    ours = list_forms([token])
    given = list_forms([token, *secrets])

    def hide(text: str) -> str:
        return replace_forms(text, ours)

    def hide_all(texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(hide, texts))

    dags = tuple(
        replace(
            each,
            dag_id=hide(each.dag_id),
            file=hide(each.file),
            schedule=hide(each.schedule),
            tags=hide_all(each.tags),
            owners=hide_all(each.owners),
            bundle_version=hide(each.bundle_version),
        )
        for each in facts.dags
    )
    faults = tuple(
        replace(each, file=hide(each.file), trace=redact_shapes(redact_urls(replace_forms(each.trace, given))))
        for each in facts.faults
    )
    return replace(facts, dags=dags, faults=faults)


def ask_facts(version: int) -> Conversation[AirflowFacts]:
    """Ask for all DAGs and then for the import errors; `at` is when the first page was answered.

    In this order a file that breaks between the two shows its old DAGs and its error, never neither.

    :param version: of the API, 1 or 2.
    """
    ends_at = time.monotonic() + LOOK_TIME_MAX_S
    stale = {"exclude_stale": "false"} if version > 1 else {"only_active": "false"}
    request = Ask("/dags", stale)  # lists come in the order of what does not change: DAG ids, errors' ids
    items, left, at = yield from _ask_all(request, "dags", DAGS_MAX, ends_at)
    if left:
        raise PermanentError(f"this Airflow has {DAGS_MAX + left} DAGs; of more than {DAGS_MAX} nothing is verified")
    dags = tuple(parse_dag(request, item, version) for item in items)
    if len({each.dag_id for each in dags}) < len(dags):
        raise doubt(request, "a DAG is listed twice")
    faults, left = yield from _ask_faults(version, ends_at)
    return AirflowFacts(at, dags, faults, left)


def _ask_faults(version: int, ends_at: float) -> Conversation[tuple[tuple[ImportFault, ...], int]]:
    request = Ask("/importErrors")
    items, left, _ = yield from _ask_all(request, "import_errors", FAULTS_MAX, ends_at)
    faults = dict(parse_fault(request, item, version) for item in items)
    if len(faults) < len(items):
        raise doubt(request, "an import error is listed twice")
    return tuple(faults.values()), left


def _ask_all(request: Ask, key: str, count_max: int, ends_at: float) -> Conversation[tuple[list[Any], int, datetime]]:
    """Ask page by page; return the first `count_max` items, how many more there are, and when the first page came."""
    items: list[Any] = []
    first: tuple[int, datetime] | None = None
    while True:
        if time.monotonic() > ends_at:
            raise ObservationError(f"{request}: the lists were not read in {LOOK_TIME_MAX_S:.0f} s; {NOTHING_FOLLOWS}")
        asked = Ask(request.path, {**request.query, "limit": PAGE_SIZE, "offset": len(items)})
        answer = yield from ask(asked)
        found, total = parse_list(asked, answer.value, key)
        first = first or (total, answer.at)
        if total != first[0]:
            raise doubt(asked, f"the list changed while it was read, from {first[0]} to {total} items")
        items += found
        wanted = min(total, count_max)
        if len(found) > PAGE_SIZE or len(items) > total or (len(items) < wanted and not found):
            raise doubt(asked, f"Airflow counts {total} items and listed {len(items)}")
        if len(items) >= wanted:
            return items[:wanted], total - wanted, first[1]


def ask_work(version: int, since: datetime) -> Conversation[RunFacts]:
    """Ask whether a run is in flight, and then for people's runs, the newest first; two requests as a rule.

    In this order: what was in flight and has ended meanwhile is seen among the newest.
    """
    ends_at = time.monotonic() + LOOK_TIME_MAX_S
    running = Ask("/dags/~/dagRuns", {"state": ("running", "queued"), "limit": 1})
    answer = yield from ask(running)
    items, _ = parse_list(running, answer.value, "dag_runs")
    working = parse_run(running, items[0]).dag_id if items else None
    kind = {"run_type": "manual"} if version > 1 else {}  # version 1 cannot be asked for a kind
    request = Ask("/dags/~/dagRuns", {**kind, "order_by": "-start_date"})
    return RunFacts((yield from _ask_starts(request, since, ends_at)), working)


def _ask_starts(request: Ask, since: datetime, ends_at: float) -> Conversation[tuple[datetime, ...]]:
    """Ask page by page until a person's run that began is seen, or none newer can follow.

    What has not begun is in flight, and told as that: wherever a database sorts it.
    """
    seen = 0
    found: list[datetime] = []
    for _ in range(RUN_PAGES_MAX):
        if time.monotonic() > ends_at:
            raise ObservationError(f"{request}: the runs were not read in {LOOK_TIME_MAX_S:.0f} s; {NOTHING_FOLLOWS}")
        asked = Ask(request.path, {**request.query, "limit": PAGE_SIZE, "offset": seen})
        answer = yield from ask(asked)
        items, total = parse_list(asked, answer.value, "dag_runs")
        if len(items) > PAGE_SIZE:
            raise doubt(asked, f"Airflow listed {len(items)} runs on a page of {PAGE_SIZE}")
        runs = [parse_run(asked, item) for item in items]
        seen += len(runs)
        found += [each.asked_at for each in runs if each.is_persons and each.asked_at is not None]
        begun = [each for each in runs if each.started_at is not None]
        is_old = any(each.started_at is not None and each.started_at < since for each in begun)
        if not runs or seen >= total or is_old or any(each.is_persons for each in begun):
            return tuple(found)
    raise ObservationError(f"{request}: among the newest {seen} runs none tells whether a person started one")


def ask_version() -> Conversation[str]:
    """Ask for Airflow's version."""
    request = Ask("/version")
    answer = yield from ask(request)
    return parse_version(request, answer.value)
