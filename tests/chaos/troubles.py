"""What befalls the control plane: faults of GitHub, Astro, the registry and the CLI, deaths, losses, and time."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.deploy_ops.core.cleanup.verdict import Verdict
from include.deploy_ops.core.feedback.budget import Budget
from tests.chaos import people
from tests.chaos.storm import AHEAD_S, BRANCHES, TARGETS
from tests.compatibility.on_stage import age_state
from tests.worlds.doubles.fuse import AFTER_CLI
from tests.worlds.stages.flights import Interference
from tests.worlds.stages.world import QUIET, age_claims, age_histories

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.storm import Storm
    from tests.worlds.stages.flights import Trouble

FAULTS: tuple[dict[str, Any], ...] = (
    {"face": "github", "status": 502, "times": 20, "path": "/api/v3/"},
    {"face": "github", "status": 500, "times": 20, "path": "/git-upload-pack"},
    {"face": "github", "status": 429, "path": "/api/v3/", "headers": {"Retry-After": "1"}},
    {"face": "github", "status": 429, "times": 20, "path": "/api/v3/"},
    {"face": "github", "status": 403, "times": 20, "path": "/api/v3/", "headers": {"Retry-After": "120"}},
    {"face": "github", "drop": "after", "times": 20, "path": "/api/v3/.*pulls"},
    {"face": "github", "drop": True, "times": 2, "path": "/api/v3/"},
    {"face": "github", "truncate": 40, "times": 20, "path": "/api/v3/"},
    {"face": "github", "delay_s": 0.6, "times": 3, "path": "/api/v3/"},
    {"face": "github", "method": "POST", "path": "/git/", "status": 500},
    {"face": "github", "method": "PATCH", "path": "/git/refs", "drop": "after"},
    {"face": "github", "method": "PUT", "path": "/merge", "drop": "after"},
    {"face": "github", "method": "PUT", "path": "/merge", "status": 405},
    {"face": "github", "method": "POST", "path": "/reactions$", "drop": "after"},
    {"face": "github", "method": "POST", "path": "/comments$", "drop": "after"},
    {"face": "github", "method": "POST", "path": "/statuses", "status": 500},
    {"face": "astro", "status": 503, "times": 20},
    {"face": "astro", "status": 429, "times": 20},
    {"face": "astro", "status": 429, "headers": {"Retry-After": "1"}},
    {"face": "astro", "drop": True, "times": 2},
    {"face": "astro", "truncate": 40, "times": 20},
    {"face": "astro", "delay_s": 0.6, "times": 3},
    {"face": "astro", "method": "POST", "path": "/deployments$", "drop": "after"},
    {"face": "astro", "method": "POST", "path": "/deployments$", "status": 500},
    {"face": "astro", "method": "POST", "path": "/deployments/[^/]+$", "status": 500},
    {"face": "astro", "method": "POST", "path": "/finalize", "status": 500},
    {"face": "astro", "method": "POST", "path": "/finalize", "drop": "after"},
    {"face": "astro", "method": "DELETE", "drop": "after"},
    {"face": "registry", "status": 500, "times": 20},
    {"face": "registry", "status": 429, "times": 20},
    {"cli": "deploy", "exit_0_without_deploying": True},
    *({"cli": verb, "exit": 1, "stderr": "Error: the moon is in the way"} for verb in ("deploy", "create", "update")),
    {"cli": "delete", "exit": 1, "stderr": "Error: the moon is in the way"},
)


MEANWHILE = (
    *(people.push, people.force_push, people.delete, people.remake, people.merge, people.close, people.retarget),
    *(people.push_into, people.push_trunk, people.push_stray, people.draft, people.deploy_by_hand),
)
"""What somebody does in the midst of a task."""


def choose(storm: Storm, pick: int) -> Trouble:
    """Return the trouble of a number: none, somebody who acts, a fault, a death after the CLI or at any contact."""
    kind, number = pick % 8, pick // 8
    if kind == 0:
        return None
    if kind <= 2:
        return Interference(1 + number % 20, lambda: storm.interrupt(MEANWHILE[number % len(MEANWHILE)], number))
    if kind <= 4:
        return FAULTS[number % len(FAULTS)]
    return AFTER_CLI if kind == 5 else 1 + number % (12 if kind == 6 else 60)


# Losses


def forget(storm: Storm, _pick: int) -> None:
    """Lose the state store."""
    storm.stage.stores.clear()
    storm.doubt()


def purge(storm: Storm, _pick: int) -> None:
    """Let `airflow db clean` remove the runs that ended."""
    storm.clean_database()


def back_up(storm: Storm, _pick: int) -> None:
    """Keep Airflow's database."""
    storm.back_up()


def restore(storm: Storm, _pick: int) -> None:
    """Let Airflow's database be what it was at the last backup."""
    storm.restore()


def upgrade(storm: Storm, pick: int) -> None:
    """Let what is remembered, and the runs in flight, be as an older release would have left them."""
    if storm.stage.scope.fleet.name in storm.stage.stores:
        age_state(storm.stage, ("before-0.2.0", "0.2.0")[pick % 2])
        storm.doubt()


# Lies


def read_stale(storm: Storm, pick: int) -> None:
    """Let Astro answer a pass with a list that lacks a Deployment's newest deploys."""
    ids = [*(storm.ids[name] for name in TARGETS), *filter(None, map(storm.find_preview, BRANCHES))]
    deployment_id = ids[pick % len(ids)]
    with storm.stage.show_records(deployment_id, storm.stage.list_deploys(deployment_id)[1 + pick // 7 % 2 :]):
        storm.plan_quietly()


def read_failed(storm: Storm, pick: int) -> None:
    """Let Astro call a Deployment's newest deploy failed while a pass and a task look at it."""
    ids = [*(storm.ids[name] for name in TARGETS), *filter(None, map(storm.find_preview, BRANCHES))]
    deployment_id = ids[pick % len(ids)]
    newest, *older = storm.stage.list_deploys(deployment_id) or [{}]
    with storm.stage.show_records(deployment_id, [newest | {"status": "FAILED"}, *older] if newest else []):
        storm.plan_quietly()
        if ready := storm.list_ready():
            storm.advance(ready[pick % len(ready)], None)


def read_unhealthy(storm: Storm, pick: int) -> None:
    """Let Astro call a Deployment unhealthy while a pass and a task look at it."""
    ids = [*storm.ids.values(), *filter(None, map(storm.find_preview, BRANCHES))]
    with _lie(storm, ids[pick % len(ids)], status="UNHEALTHY", statusReason="Scheduler is unhealthy"):
        storm.plan_quietly()
        if ready := storm.list_ready():
            storm.advance(ready[pick % len(ready)], None)


@contextlib.contextmanager
def _lie(storm: Storm, deployment_id: str, **said: str) -> Iterator[None]:
    shown = storm.stage.ask_astro("GET", f"deployments/{deployment_id}")
    path = rf"/deployments/{deployment_id}(\?|$)"
    # Not for ever: a step that waits until a deploy shows would wait in vain.
    storm.stage.sandbox.plant(face="astro", method="GET", path=path, status=200, body={**shown, **said}, times=20)
    try:
        yield
    finally:
        assert storm.stage.sandbox.client.delete("/sandbox/faults").is_success


# Time


def pass_time(storm: Storm, _pick: int) -> None:
    """Make all that is remembered older."""
    memory = storm.stage.memory
    age_histories(memory)
    memory.budget.write(Budget())
    for slug in sorted({row.slug for row in memory.read_rows().values()}):
        for slot in (memory.environment(slug), memory.requests(slug)):
            known: Any = slot.read()
            endings = known.endings if known else {}
            if endings:
                aged = {key: replace(each, ended_at=each.ended_at - QUIET) for key, each in endings.items()}
                slot.write(replace(known, endings=aged))
        age_claims(memory, slug)
    if (last := memory.commands_run.read()) is not None:
        memory.commands_run.write(replace(last, at=last.at - QUIET))
    begun = memory.begun_deletes.read()
    memory.begun_deletes.write(tuple(replace(each, at=each.at - QUIET) for each in begun))


def expire(storm: Storm, pick: int) -> None:
    """Let cleanup have found a branch's preview idle, and its notice have passed."""
    branch = BRANCHES[pick % len(BRANCHES)]
    head, deployment_id = storm.list_branches().get(branch), storm.find_preview(branch)
    if not (head and deployment_id):
        return
    deploys = [each["id"] for each in storm.stage.list_deploys(deployment_id) if each["status"] == "DEPLOYED"]
    now, about = datetime.now(UTC), (branch, deployment_id, storm.name_of(branch), head, (*deploys, "")[0])
    verdict = Verdict("delete", *about, now, now, now, "idle for long", "cleanup")
    memory = storm.stage.memory
    memory.verdicts.write(memory.verdicts.read() | {deployment_id: verdict})
    storm.expired.add(deployment_id)


def skew(storm: Storm, pick: int) -> None:
    """Let our clock go back by what those of GitHub and Astro are ahead of it then."""
    storm.ahead_s = min(AHEAD_S, storm.ahead_s + (5.0, 90.0, 600.0)[pick % 3])
    storm.change_sandbox(clock_ahead_s=storm.ahead_s)
