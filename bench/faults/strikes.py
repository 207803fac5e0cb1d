"""How each fault strikes, at the moment when it hurts most, and by what it is seen that the run that it hit goes on."""

from __future__ import annotations

import importlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from bench.faults.bounds import (
    HEARTBEAT,
    HEARTBEAT_LOOK,
    ORPHANS_LOOK,
    QUEUED,
    QUEUED_LOOK,
    REPLAN_S,
    RETRY_S,
    SCHEDULER_LOST,
    TRIGGERER_LOST,
    Bound,
)
from demo.distributed import TRIGGERERS, WORKERS
from demo.processes import kill_families
from demo.witness import PREVIEW_DAG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.faults.scene import Scene

CALL_S = 12.0
"""How long the end of a deploy hangs, so that a fault can strike in the middle of the CLI's call."""
SETTLE_S = 20.0
"""How long a deploy takes to settle, so that it is not seen before its task parks."""
CALL_END_S = 10.0
"""In which a killed worker's CLI and all that it started must have ended."""
LEFT_BYTES = 8192
"""What a full disk still takes: enough for folders, and for Python to believe in it."""
_CHUNK = bytes(4096)
_IGNORED = "Task already running elsewhere, ignoring redelivered message"
LOST_TASK = Bound((HEARTBEAT, HEARTBEAT_LOOK), RETRY_S)


class FaultError(Exception):
    """Something was done twice, got lost, stayed, or went on too late; the text says what."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    :param what: what is done, for the table.
    :param in_flight: what the strike hits.
    :param bound: after which the run that it hit goes on.
    :param strike: does it, at its moment.
    :param look: returns the seconds from the strike until the run went on; None while it does not.
    """

    what: str
    in_flight: str
    bound: Bound
    strike: Callable[[Scene], None]
    look: Callable[[Scene], float | None]


def await_call(scene: Scene, **ending: Any) -> None:
    """Return when the CLI's call that deploys the round's push hangs: Astro has the code, and not its end.

    :param ending: what Astro answers in the end; by default, as always.
    """
    path = rf"/deployments/{scene.find_released()['id']}/deploys/[^/]+/finalize$"
    sandbox = scene.witness.stack.sandbox
    fault = {"face": "astro", "method": "POST", "path": path, "delay_s": CALL_S, **ending}
    sandbox.post("/sandbox/faults", json=fault).raise_for_status()
    scene.push_round(scene.name)
    scene.await_calmly("a deploy to hang", lambda: not sandbox.get("/sandbox/faults").json()["faults"])


def kill_worker(scene: Scene) -> None:
    """Kill a worker in the middle of its call, and not the task that makes it; both end all the same."""
    await_call(scene, status=500, body={"message": "too late", "statusCode": 500})
    calls = scene.list_commands("deploy", scene.find_released()["id"])
    if not calls:
        raise FaultError("no call of the CLI is under way")
    parents = set(calls[0].parents())
    worker = next(each for each in scene.list_kept() if each in parents)
    family = worker.children(recursive=True)
    scene.strike(lambda: os.killpg(worker.pid, signal.SIGKILL))
    _, left = psutil.wait_procs(family, CALL_END_S)
    if alive := [each for each in left if each.status() != psutil.STATUS_ZOMBIE]:
        raise FaultError(f"of a killed worker {alive} live on after {CALL_END_S:.0f} s")


def kill_triggerer(scene: Scene) -> None:
    """Kill the triggerer that awaits that the round's push has settled."""
    scene.witness.change_sandbox(dag_processing_s=SETTLE_S)
    scene.push_round(scene.name)
    scene.await_calmly("settle to be deferred", lambda: find_waiting(scene))
    triggerer = scene.await_calmly("a triggerer to have it", lambda: find_triggerer(scene))
    scene.strike(triggerer.kill)
    scene.witness.change_sandbox(dag_processing_s=1.0)


def find_waiting(scene: Scene) -> bool:
    """Whether the round's push is deployed, and awaited to settle."""
    return any(each["state"] == "deferred" for each in scene.find_hit_tasks("settle"))


def find_triggerer(scene: Scene) -> psutil.Process | None:
    """Return the triggerer that has the log of the task that was hit open, as it has while it runs its trigger."""
    for number in range(1, TRIGGERERS + 1):
        triggerer = scene.find_kept(f"triggerer-{number}")
        logs = [file.path for each in (triggerer, *triggerer.children()) for file in each.open_files()]
        if any(scene.hit in log and "task_id=settle" in log for log in logs):
            return triggerer
    return None


def look_at_settle(scene: Scene) -> float | None:
    """Tell when the task that waited waits no more."""
    return None if find_waiting(scene) else scene.since()


def kill_component(name: str) -> Callable[[Scene], None]:
    """Return what kills this component of Airflow, with all that it started."""

    def strike(scene: Scene) -> None:
        await_call(scene)
        process = scene.find_kept(name)
        scene.strike(lambda: kill_families([process]))

    return strike


def restart_service(name: str, number: int) -> Callable[[Scene], None]:
    """Return what ends this service by a signal; its supervisor starts it again."""

    def strike(scene: Scene) -> None:
        await_call(scene)
        process = scene.find_kept(name)
        scene.strike(lambda: process.send_signal(number))

    return strike


def look_at_next_start(scene: Scene) -> float | None:
    """Tell when a task was begun that was not even queued when the fault struck."""
    started = scene.list_started()
    return scene.since(started[0]["start_date"]) if started else None


def look_at_parsing(scene: Scene) -> float | None:
    """Tell when a dag-processor is alive that was not there when the fault struck."""
    health = scene.witness.stack.api.get("/api/v2/monitor/health").raise_for_status().json()
    seconds = scene.since(health["dag_processor"]["latest_dag_processor_heartbeat"])
    return seconds if seconds > 0 else None


def fill_disks(scene: Scene) -> None:
    """Fill the disk of every worker, see that the deploy says so, and make room; the fault counts from there."""
    fillers = [fill(folder) for folder in find_scratches(scene)]
    try:
        scene.push_round(scene.name)
        scene.await_calmly("a deploy to say that it has no room", lambda: says_no_room(scene))
    finally:
        scene.strike(lambda: empty(fillers))


def find_scratches(scene: Scene) -> Iterator[Path]:
    """Yield each worker's scratch folder, as that worker sees it."""
    for number in range(1, WORKERS + 1):
        wall = scene.find_kept(f"worker-{number}")
        (worker,) = wall.children()
        argv = wall.cmdline()
        yield Path(f"/proc/{worker.pid}/root{argv[argv.index('--tmpfs') + 1]}")


def fill(folder: Path) -> Path:
    """Return the file that takes all room of the disk but the last bytes."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(_CHUNK):
                pass
        except OSError:
            file.truncate(max(0, file.tell() - LEFT_BYTES))
    return filler


def empty(fillers: list[Path]) -> None:
    """Make room again."""
    for each in fillers:
        each.unlink()


def says_no_room(scene: Scene) -> bool:
    """Whether the first try of the deploy failed by the words that help."""
    outside = scene.witness.outside
    for task in scene.find_hit_tasks("deploy"):
        if task["state"] in {"up_for_retry", "failed"}:
            log = outside.read_log(PREVIEW_DAG, task["dag_run_id"], "deploy")
            if "a folder with room in" not in log:
                raise FaultError(f"the deploy failed without a word of the disk:\n{log[-2000:]}")
            return True
    return False


def look_at_new_try(scene: Scene) -> float | None:
    """Tell when the deploy that was hit was begun again; a try that waits has the time of the one before."""
    starts = [scene.since(each["start_date"]) for each in scene.find_hit_tasks("deploy") if each["start_date"]]
    return min((each for each in starts if each > 0), default=None)


def redeliver(scene: Scene) -> None:
    """Have Redis deliver every message once more whose task runs, as another worker with a short timeout would."""
    kombu = importlib.import_module("kombu")  # a part of the distributed engine's lock alone
    await_call(scene)
    url = scene.witness.stack.engine.settings["AIRFLOW__CELERY__BROKER_URL"]
    with kombu.Connection(url, transport_options={"visibility_timeout": 1}) as connection:
        scene.strike(lambda: connection.channel().qos.restore_visible(num=100, interval=1))


def look_at_first_try(scene: Scene) -> float | None:
    """Tell that the deploy went on as if nothing were, once Airflow has refused to run it twice."""
    logs = (log.read_text(errors="replace") for log in scene.witness.stack.home.glob("worker-*.log"))
    if not any(_IGNORED in text for text in logs):
        return None
    tasks = list(scene.find_hit_tasks("deploy"))
    return 0.0 if tasks and tasks[0]["state"] == "success" and tasks[0]["try_number"] == 1 else None


FAULTS = {
    "triggerer": Fault(
        "SIGKILL of the triggerer that waits",
        "*settle*, deferred",
        Bound((TRIGGERER_LOST,)),
        kill_triggerer,
        look_at_settle,
    ),
    "worker": Fault("SIGKILL of a worker", "a call of `astro deploy`", LOST_TASK, kill_worker, look_at_new_try),
    "scheduler": Fault(
        "SIGKILL of the scheduler",
        "a call of `astro deploy`",
        Bound((SCHEDULER_LOST, ORPHANS_LOOK)),
        kill_component("scheduler"),
        look_at_next_start,
    ),
    "dag-processor": Fault(
        "SIGKILL of the dag-processor",
        "a call of `astro deploy`",
        Bound(),
        kill_component("dag-processor"),
        look_at_parsing,
    ),
    "api-server": Fault(
        "SIGKILL of the API server",
        "a call of `astro deploy`",
        LOST_TASK,
        kill_component("api-server"),
        look_at_next_start,
    ),
    "redis": Fault(
        "SIGKILL of Redis, which is started again",
        "a call of `astro deploy`",
        Bound((QUEUED, QUEUED_LOOK)),
        restart_service("redis", signal.SIGKILL),
        look_at_next_start,
    ),
    "postgres": Fault(
        "restart of PostgreSQL",
        "a call of `astro deploy`",
        LOST_TASK,
        restart_service("postgres", signal.SIGINT),
        look_at_next_start,
    ),
    "disk": Fault(
        "no room on any worker's disk, until there is",
        "create, deploy, delete",
        Bound(fixed_s=RETRY_S + REPLAN_S),
        fill_disks,
        look_at_new_try,
    ),
    "redelivery": Fault(
        "each running task's message delivered again", "a call of `astro deploy`", Bound(), redeliver, look_at_first_try
    ),
}
"""By the names that `bench/asked.py` has, too."""
