"""A whole wait of the verify trigger against the modelled dag-processor, on its clock: seconds, looks and requests.

The trigger, the paging and the reading of answers are the product's; nothing is sent, and no second passes.
"""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self, TypeVar

import pytest

from include.deploy_ops.core.verification.facts import AirflowDag, AirflowFacts, ImportFault
from include.deploy_ops.hooks.airflow import access
from include.deploy_ops.hooks.airflow.api import ask_facts
from include.deploy_ops.hooks.conversation import Ask, Conversation, Reply
from include.deploy_ops.triggers import verified
from include.deploy_ops.triggers.verified import DeployVerifiedTrigger
from tests.worlds.doubles.deployment_airflow import make_dag, make_fault
from tests.worlds.values.dag_processor import DagProcessor
from tests.worlds.values.examples import make_deployment

if TYPE_CHECKING:
    from collections.abc import Collection

    from include.deploy_ops.core.model import Deploy, Deployment

T = TypeVar("T")

TIMEOUT = timedelta(minutes=20)
"""The policy's default."""
LOOKS_MAX = 50
"""Within that time."""


@dataclass
class Proving:
    """What one wait came to, by the Deployment's clock, and how often Astro and its Airflow were asked."""

    processor: DagProcessor
    looks: int = 0
    to_airflow: int = 0
    to_astro: int = 0
    astro_conn_id: str = "astro_default"
    event: dict[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """From the beginning of the wait to its event."""
        return float(self.event["seconds"])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def get_deployment(self, _deployment_id: str) -> Deployment:
        """Tell where its Airflow is, in Astro's place."""
        self.to_astro += 1
        return make_deployment("dev-x", airflow_api="x.example/api/v2")

    async def list_deploys(self, _deployment_id: str, *, limit: int) -> tuple[Deploy, ...]:
        """Tell that no deploy came after it, likewise."""
        self.to_astro += 1
        return ()

    async def read_facts(self) -> AirflowFacts:
        """Read what the dag-processor tells, page by page, in the place of a connection to its Airflow."""
        self.looks += 1
        facts = self.processor.tell()
        pages = {
            "/dags": ("dags", [_write_dag(each) for each in facts.dags]),
            "/importErrors": ("import_errors", [_write_fault(*each) for each in enumerate(facts.faults)]),
        }

        def answer(request: Ask) -> Reply:
            self.to_airflow += 1
            key, items = pages[request.path]
            offset, limit = int(str(request.query["offset"])), int(str(request.query["limit"]))
            body = {key: items[offset : offset + limit], "total_entries": len(items)}
            return Reply(200, {"date": format_datetime(facts.at, usegmt=True)}, json.dumps(body).encode())

        return _hold(ask_facts(2), answer)

    async def sleep(self, seconds: float) -> None:
        """Let the Deployment's time pass, and no other."""
        self.processor.run(math.ceil(seconds))


def prove(processor: DagProcessor, changed: Collection[str]) -> Proving:
    """Return what a wait comes to that begins now: its folder was just deployed, and these files changed."""
    proving = Proving(processor)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]  # a time, as `datetime` itself gives it
            return processor.time.astimezone(tz)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verified, "datetime", Clock)
        patch.setattr(
            verified,
            "asyncio",
            SimpleNamespace(sleep=proving.sleep, timeout=asyncio.timeout, to_thread=asyncio.to_thread),
        )
        patch.setattr(verified, "AsyncAstroApi", lambda _: proving)
        patch.setattr(verified, "FIRST_EVENT_S", 0.0)
        patch.setattr(access, "AsyncAirflowReader", lambda *_: proving)
        for conn_id in ("astro_default", "preview_airflow"):
            patch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(_CONNECTION | {"password": conn_id}))
        proving.event = asyncio.run(_take(_make_trigger(processor, changed)))
    return proving


_CONNECTION = {"conn_type": "http", "extra": {"organization_id": "clorganization", "workspace_id": "clworkspace"}}


def _make_trigger(processor: DagProcessor, changed: Collection[str]) -> DeployVerifiedTrigger:
    return DeployVerifiedTrigger(
        astro_conn_id="astro_default",
        deployment_id="cldep1",
        deploy_id="cldeploy1",
        owner="acme/shop",
        airflow_conn_id="preview_airflow",
        files=list(processor.folder),
        changed=sorted(changed),
        touched=sorted(changed),
        started_at=processor.time.isoformat(),
        deadline=(processor.time + TIMEOUT).isoformat(),
        compared_id="",
        compared_conn_id=None,
        is_public=False,
        heads={},
        github_conn_id="github_default",
        repository="acme/shop",
    )


async def _take(trigger: DeployVerifiedTrigger) -> dict[str, Any]:
    return dict((await anext(trigger.run())).payload)


def _hold(conversation: Conversation[T], answer: Any) -> T:
    reply: Reply | None = None
    try:
        while True:
            request = conversation.send(reply)
            assert isinstance(request, Ask), request
            reply = answer(request)
    except StopIteration as end:
        conclusion: T = end.value
        return conclusion


def _write_dag(dag: AirflowDag) -> dict[str, Any]:
    told = {"relative_fileloc": dag.file, "last_parse_duration": dag.parse_s, "is_stale": dag.is_stale}
    return make_dag(dag.dag_id, last_parsed_time=dag.parsed_at.isoformat() if dag.parsed_at else None, **told)


def _write_fault(number: int, fault: ImportFault) -> dict[str, Any]:
    return make_fault(number, filename=fault.file, timestamp=fault.at.isoformat())
