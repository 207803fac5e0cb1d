"""A life of the repository trigger on a simulated clock: what people, services and machines do to it, by a seed.

The trigger is the product's. Around it live GitHub and Astro, the state store, Airflow's triggerer that restarts it,
and control, which it wakes. What is not as it should be is noted with its time, and the life goes on.
"""

from __future__ import annotations

import asyncio
import gc
import json
import math
import os
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from include.deploy_ops.core.plan.pulse import OPEN_AGAIN
from include.deploy_ops.core.versioned import wrap_value
from include.deploy_ops.hooks.github.commit_checks import CommitChecks, read_commit_checks
from include.deploy_ops.hooks.github.http import GithubAnswer
from include.deploy_ops.triggers import sharing
from include.deploy_ops.triggers.awaited_checks import AWAITED_KEY, HEADS_MAX, read_awaited, write_awaited
from include.deploy_ops.triggers.repository import (
    BEGUN_AT_KEY,
    CURSOR_KEY,
    PROBE_INTERVAL_S,
    WAKE_AT_KEY,
    RepositoryTrigger,
)
from tests.worlds.doubles.astro import make_deployment
from tests.worlds.doubles.github import make_comment, make_pull, make_sha
from tests.worlds.doubles.lived_services import ASTRO_URL, GITHUB_URL, WHO, Fault, LivedAstro, LivedGithub, LivedService
from tests.worlds.doubles.simulated_time import WATCHED
from tests.worlds.stages.ledger import ASTRO, CALM_S, CHECKS, GITHUB, POLL_S, WAKE, Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    import pytest

    from tests.worlds.doubles.simulated_time import SimulatedClock, SimulatedLoop

DAY_S, HOUR_S, MINUTE_S = 86_400.0, 3_600.0, 60.0
FAULTS = {
    GITHUB: (
        *("dropped", "unreachable", "silent", "500", "502", "503", "504", "busy", "html", "half", "429", "exhausted"),
        *("secondary", "unnamed", "empty", "slow", "stale", "scarce", "expired"),
    ),
    ASTRO: (
        *("dropped", "unreachable", "silent", "hanging", "500", "502", "503", "504", "html", "half", "429"),
        *("unnamed", "slow", "expired"),
    ),
}
PAUSING = {"429", "exhausted"}


class StoreAwayError(Exception):
    """Airflow's API does not answer."""


@dataclass
class Store:
    """The asset's state store, which is away at times and counts what is written."""

    values: dict[str, Any] = field(default_factory=dict)
    is_away: bool = False
    writes: Counter[str] = field(default_factory=Counter)

    async def aget(self, key: str, default: Any = None) -> Any:
        self._reach()
        return self.values.get(key, default)

    async def aset(self, key: str, value: Any) -> None:
        self._reach()
        self.writes[key] += 1
        self.values[key] = json.loads(json.dumps(value))

    def _reach(self) -> None:
        if self.is_away:
            raise StoreAwayError("Airflow's API is away")


class _StraightHook:
    """Reads the lived GitHub past all faults, as control's own pass does that succeeds."""

    repository = "acme/pipes"

    def __init__(self, github: LivedGithub) -> None:
        self._github = github

    def read(self, url: str, *, etag: str | None = None) -> GithubAnswer:
        body, known, _ = self._github._show(url)
        return GithubAnswer(url, 200, json.loads(body), known)


@dataclass(frozen=True, slots=True)
class Census:
    """What there is of what could grow."""

    objects: int
    tasks: int
    timers: int
    files: int


@dataclass
class Rates:
    """How often things happen, as seconds between two of them on average."""

    change_s: float = HOUR_S
    deployment_s: float = 4 * HOUR_S
    check_s: float = 2 * HOUR_S
    fault_s: float = 14 * HOUR_S
    step_s: float = 5 * DAY_S
    stall_s: float = 2 * DAY_S
    restart_s: float = 1.5 * DAY_S
    store_s: float = 2 * DAY_S
    pause_s: float = 4 * DAY_S
    rotation_s: float = 3 * DAY_S


def say_connections(patch: pytest.MonkeyPatch, github: LivedGithub, astro: LivedAstro) -> None:
    """Say in Airflow's connections where the services are, and which tokens open them."""
    said: dict[str, Any] = {"conn_type": "github", "host": GITHUB_URL, "password": github.token}
    patch.setenv("AIRFLOW_CONN_GITHUB_DEFAULT", json.dumps(said))
    extra = {"organization_id": "clorg", "workspace_id": "clws"}
    said = {"conn_type": "http", "host": ASTRO_URL, "password": astro.token, "extra": extra}
    patch.setenv("AIRFLOW_CONN_ASTRO_DEFAULT", json.dumps(said))


@dataclass
class Life:
    """One installation with one project, for so many simulated seconds."""

    clock: SimulatedClock
    patch: pytest.MonkeyPatch
    seed: int
    seconds: float
    rates: Rates = field(default_factory=Rates)

    haste: float = 1.0
    """How many times as often as in a usual installation things happen."""

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311 - a play, no secret
        self.github = LivedGithub(self.clock, "ghp_0")
        self.astro = LivedAstro(self.clock, "astro-token-0")
        self.store = Store()
        self.ledger = Ledger(self.clock)
        self.events: Counter[str] = Counter()
        self.credit: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.waits = [0.0]
        self.alive: dict[str, asyncio.Task[None]] = {}
        self.started = 0
        self.censuses: list[Census] = []
        self.cpu_s = 0.0
        self.cursor_length_max = 0
        self.passes = 0
        self.worker_skew_s = 0.0
        self.is_paused = False
        self._woken = asyncio.Event()
        self._awaited: list[str] = []
        self._heard_s: dict[str, float] = {}
        self._begun_s = -math.inf
        self._wakes: list[tuple[str, set[str]]] = []
        self._numbers = iter(range(1, 10**9))

    # What people do.

    def begin(self) -> None:
        """Have a repository and a workspace as they are on the first day."""
        self.github.branches |= {name: make_sha(name) for name in ("main", "staging", "dev-0")}
        self.github.pulls[1] = make_pull(1)
        for number in range(3):
            self._deploy(f"cldep{number}")
        self._say_connections()

    def _say_connections(self) -> None:
        say_connections(self.patch, self.github, self.astro)

    def change_repository(self) -> None:
        """Push, delete, open, close, merge, speak; what does not count must wake nobody."""
        act = self.random.choice((*(self._push,) * 5, self._delete, self._open, self._merge, self._speak, self._talk))
        if act():
            self._note(GITHUB)
        del self.github.comments[:-150]
        for number in [*self.github.pulls][:-300]:
            del self.github.pulls[number]
        self.github.touch()

    def _push(self) -> bool:
        number, roll = next(self._numbers), self.random.random()
        some = self.random.choice([*self.github.branches])
        if roll < 0.6:
            self.github.branches[some] = make_sha(number)
        elif roll < 0.95:
            self.github.branches[f"dev-{number}"] = make_sha(number)
        else:  # so many that the listing has a second page
            self.github.branches |= {f"dev-{number}-{each}": make_sha((number, each)) for each in range(90)}
        return True

    def _delete(self) -> bool:
        old = [name for name in self.github.branches if name.startswith("dev-")]
        for name in old if len(old) > 60 else old[:1]:
            del self.github.branches[name]
        return bool(old)

    def _open(self) -> bool:
        number, some = next(self._numbers), self.random.choice([*self.github.branches])
        self._touch_pull(make_pull(number, head={"ref": some, "sha": make_sha(number), "repo": {"id": 7}}))
        return True

    def _merge(self) -> bool:
        opened = [each for each in self.github.pulls.values() if each["state"] == "open"]
        if opened:
            merged = {"state": "closed", "merged_at": "2027-01-02T00:00:00Z"}
            self._touch_pull(self.random.choice(opened) | merged)
        return bool(opened)

    def _speak(self) -> bool:
        self.github.comments.append(make_comment(next(self._numbers), "/deploy-ops deploy"))
        return True

    def _talk(self) -> bool:
        self.github.comments.append(make_comment(next(self._numbers), "looks good"))
        return False

    def _touch_pull(self, pull: dict[str, Any]) -> None:
        self.github.pulls.pop(pull["number"], None)
        self.github.pulls[pull["number"]] = pull

    def _note(self, kind: str) -> None:
        self.ledger.happen(kind)
        # A stale list may show a change, take it back, and show it again.
        self.credit["changed"] += max(1, len(self.alive)) * (3 if self._is_stale() else 1)

    def _is_stale(self) -> bool:
        return self.github.fault is not None and self.github.fault.kind == "stale"

    def _deploy(self, name: str) -> None:
        tag = f"deploy-{next(self._numbers)}"
        self.astro.deployments[name] = make_deployment(id=name, name=name, imageTag=tag)

    def change_workspace(self) -> None:
        """Deploy, make, delete."""
        name = f"cldep{self.random.randrange(12)}"
        if name in self.astro.deployments and len(self.astro.deployments) > 2 and self.random.random() < 0.3:
            del self.astro.deployments[name]
        else:
            self._deploy(name)
        self._note(ASTRO)
        self.astro.touch()

    def turn_check(self) -> None:
        """Have a check of an awaited commit turn."""
        stored = (self.store.values.get(AWAITED_KEY) or {}).get("value", {})
        awaited = [head for head in stored if head in self._awaited]  # the others are awaited no more in a moment
        if not awaited or self.ledger.untold[CHECKS]:  # one that turns back before anybody looked is nothing to tell
            return
        head = self.random.choice(awaited)
        states = self.github.checks[head]
        name = self.random.choice([*states])
        others = {"in_progress", "success", "failure"} - {states[name]}
        states[name] = self.random.choice(sorted(others))
        known = dict(read_awaited(self.store.values[AWAITED_KEY])[head].states)
        if name == "ci" and states[name] != known.get(name):  # of the other one no change counts
            self._note(CHECKS)
        self.github.touch()

    # What goes wrong.

    async def fail_service(self, name: str) -> None:
        """Let a service fail for seconds to hours."""
        service: LivedService = self.github if name == GITHUB else self.astro
        kind = self.random.choice(FAULTS[name])
        longest_s = HOUR_S if kind in PAUSING else 4 * HOUR_S
        seconds = math.exp(self.random.uniform(0.0, math.log(longest_s)))
        until_s = self.clock.now_s + seconds
        self.faults[f"{name} {kind}"] += 1
        self.credit["recovered"] += max(1, len(self.alive))
        self.credit["changed"] += max(1, len(self.alive))  # a first look that succeeds late
        kinds = (GITHUB, CHECKS, WAKE) if name == GITHUB else (ASTRO,)
        # What was told in a pause is obeyed to its end, which may come a minute after the fault's.
        self.ledger.trouble(until_s + (MINUTE_S if kind in {"busy", "secondary", "unnamed"} else 1.0), *kinds)
        if kind == "expired":
            service.token = f"{name.lower()}-token-{next(self._numbers)}"
        service.fault = Fault(kind, until_s)
        self.ledger.note(f"{name} {kind} for {seconds:.0f} s")
        await asyncio.sleep(seconds)
        service.fault = None
        if kind == "stale":
            self.github.touch()
        self._say_connections()
        self.ledger.trouble(self.clock.now_s, *kinds)

    async def rotate_tokens(self) -> None:
        """Have new tokens in Airflow's connections as soon as the old ones are refused."""
        self.github.token, self.astro.token = (f"{kind}-token-{next(self._numbers)}" for kind in ("github", "astro"))
        self._say_connections()
        self.ledger.note("new tokens")
        self.credit["recovered"] += 2 * max(1, len(self.alive))
        self.ledger.trouble(self.clock.now_s + POLL_S)
        self.ledger.trouble(self.clock.now_s + PROBE_INTERVAL_S, ASTRO)

    def step_clock(self) -> None:
        """Have the wall clock jump: a second as in a leap, or minutes, and mostly back to the truth."""
        wanted_s = self.random.choice((0.0, 0.0, 1.0, -1.0, self.random.uniform(-900, 900)))
        if self.random.random() < 0.3:
            self.worker_skew_s = wanted_s
            self.ledger.note(f"the worker's clock is {wanted_s:.0f} s ahead")
            return
        step_s = wanted_s - self.clock.skew_s
        self.clock.skew_s = wanted_s
        self.ledger.note(f"the triggerer's clock jumps by {step_s:.0f} s")
        # What is due by the clock comes as much sooner or later.
        now_s = self.clock.now_s
        self.ledger.trouble(now_s + abs(step_s), WAKE)
        self.ledger.untold[WAKE] = [
            max(now_s, at_s - step_s) if at_s > now_s else at_s for at_s in self.ledger.untold[WAKE]
        ]

    def stall(self) -> None:
        """Have another trigger hold up the event loop."""
        seconds = self.random.uniform(1, 120)
        self.ledger.note(f"the loop stalls for {seconds:.0f} s")
        self.clock.sleep(seconds)
        self.ledger.trouble(self.clock.now_s)

    async def lose_store(self) -> None:
        """Let the state store be away, or lose all it held."""
        if self.random.random() < 0.4:
            self.store.values.clear()
            self.ledger.note("the store is lost")
            self.ledger.untold[WAKE].clear()
            self.ledger.untold[CHECKS].clear()
            self._begun_s = -math.inf
            return
        self.store.is_away = True
        seconds = math.exp(self.random.uniform(0.0, math.log(HOUR_S)))
        self.ledger.note(f"the store is away for {seconds:.0f} s")
        self.ledger.trouble(self.clock.now_s + seconds)
        self.credit["recovered"] += 2 * max(1, len(self.alive))
        await asyncio.sleep(seconds)
        self.store.is_away = False
        self.ledger.trouble(self.clock.now_s)

    async def pause_control(self) -> None:
        """Let a person pause control's DAG: Airflow drops what it is told meanwhile."""
        self.is_paused = True
        seconds = self.random.uniform(MINUTE_S, 6 * HOUR_S)
        self.ledger.note(f"control is paused for {seconds:.0f} s")
        await asyncio.sleep(seconds)
        self.is_paused = False

    # What Airflow does.

    def start_trigger(self) -> str:
        """Have the triggerer make the trigger from what Airflow stored, and run it."""
        self.started += 1
        name = f"t{self.started}"
        trigger = RepositoryTrigger(
            "pipes", "github_default", "acme/pipes", "main", POLL_S, "astro_default", 1, ["ci*"], is_listening=True
        )
        _, arguments = trigger.serialize()
        trigger = RepositoryTrigger(**json.loads(json.dumps(arguments)))
        trigger.asset_state_store = cast("Any", self.store)
        self.credit["started"] += 1
        self.alive[name] = asyncio.create_task(self._run_trigger(name, trigger))
        return name

    async def _run_trigger(self, name: str, trigger: RepositoryTrigger) -> None:
        WHO.set(name)
        WATCHED.set(self.waits)
        try:
            async for event in trigger.run():
                self._hear(name, cast("dict[str, Any]", event.payload))
            self.ledger.doubt(f"trigger {name} ended by itself")
        except Exception as error:  # noqa: BLE001 - that it raises is what is looked for
            self.ledger.doubt(f"trigger {name} died of {error!r}")
        finally:
            await trigger.cleanup()

    async def stop_trigger(self, name: str) -> None:
        """Have the triggerer cancel a trigger."""
        task = self.alive.pop(name)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        self._heard_s.pop(name, None)
        self.github.forget(name)
        self.astro.forget(name)

    async def restart_trigger(self) -> None:
        """Replace the trigger: after a while, at once, or before the old one has ended; in the same process or not."""
        (old,) = self.alive
        kind = self.random.choice(("gap", "at once", "overlap"))
        self.ledger.note(f"the trigger is replaced: {kind}")
        is_elsewhere = self.random.random() < 0.5
        if kind == "overlap":
            self._part(is_elsewhere)
            self.start_trigger()
            await asyncio.sleep(self.random.uniform(5, 600))
            await self.stop_trigger(old)
            return
        await self.stop_trigger(old)
        seconds = self.random.uniform(2, 300) if kind == "gap" else 0.0
        self.ledger.trouble(self.clock.now_s + seconds)
        await asyncio.sleep(seconds)
        self._part(is_elsewhere)
        self.start_trigger()
        self.ledger.trouble(self.clock.now_s)

    def _part(self, is_elsewhere: bool) -> None:
        if is_elsewhere:
            sharing._BY_LOOP.pop(asyncio.get_running_loop(), None)

    def _hear(self, name: str, payload: dict[str, Any]) -> None:
        reason = payload["reason"]
        self.events[reason] += 1
        self.ledger.note(f"{name} says {reason}")
        if reason == "due":
            self._check_due(name)
        if reason == "again" and not self._heard_s.get(name, 0.0) < self._begun_s < self.clock.now_s - 2 * POLL_S:
            self.credit["again"] += 1
        self._heard_s[name] = self.clock.now_s
        if self.events[reason] > self.credit[reason] + 3:
            self.ledger.doubt(
                f"event {self.events[reason]} of reason {reason}, of which {self.credit[reason]} are known"
            )
            self.credit[reason] += 1
        if payload["cursor"] is not None:
            self.cursor_length_max = max(self.cursor_length_max, len(json.dumps(payload["cursor"])))
            self._cursor = payload["cursor"]
        self.ledger.tell()
        if not self.is_paused:
            self._woken.set()

    def _check_due(self, name: str) -> None:
        """Allow it once for each time that a pass left, when that has come."""
        now = datetime.fromtimestamp(self.clock.time(), UTC).isoformat()
        for wake_at, told in self._wakes:
            if wake_at <= now and name not in told:
                told.add(name)
                self.credit["due"] += 1
                return

    _cursor: Any = None

    async def control(self) -> None:
        """Make a pass for each event, or for several that came meanwhile, and leave what control leaves."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            await asyncio.sleep(self.random.uniform(4, 20))
            if self.store.is_away or self.is_paused:
                continue
            await self._pass()

    async def _pass(self) -> None:
        self.passes += 1
        self.store.values[CURSOR_KEY] = self._cursor
        self._leave(WAKE_AT_KEY, (self._now() + OPEN_AGAIN).isoformat())
        self._leave(BEGUN_AT_KEY, self._now().isoformat())
        self._begun_s = self.clock.now_s
        awaited = self._choose_awaited()
        found = {
            head: read_commit_checks(cast("Any", _StraightHook(self.github)), head, CommitChecks()) for head in awaited
        }
        self.ledger.untold[CHECKS].clear()  # control knows by itself
        await asyncio.sleep(self.random.uniform(1, 30))
        if self.store.is_away:
            return
        self.store.values[AWAITED_KEY] = write_awaited(awaited, found)
        self.github.checks = {head: self.github.checks[head] for head in awaited}
        wanted = self.random.choice((None, None, 15.0, OPEN_AGAIN.total_seconds(), self.random.uniform(60, 3600)))
        self._leave(WAKE_AT_KEY, None if wanted is None else (self._now() + timedelta(seconds=wanted)).isoformat())

    def _now(self) -> datetime:
        """Return the time by the clock of the worker, which is another machine than the triggerer."""
        return self.clock.true_now + timedelta(seconds=self.worker_skew_s)

    def _leave(self, key: str, value: str | None) -> None:
        if key == WAKE_AT_KEY:
            self.ledger.note(f"control is to be woken at {value}")
            # It replaces the last one, which counts only if it was due already.
            self.ledger.untold[WAKE] = [
                at_s for at_s in self.ledger.untold[WAKE] if at_s <= self.clock.now_s - CALM_S[WAKE]
            ]
            if value is not None:
                due_s = datetime.fromisoformat(value).timestamp() - self.clock.time()
                self.ledger.happen(WAKE, self.clock.now_s + max(0.0, due_s))
                self._wakes = [*self._wakes[-8:], (value, set())]
        self.store.values[key] = wrap_value(value)

    def _choose_awaited(self) -> list[str]:
        kept = [head for head in self.github.checks if self.random.random() < 0.5]
        wanted = self.random.choice((0, 0, 1, 1, 2, 3, HEADS_MAX if self.random.random() < 0.1 else 1))
        kept += [make_sha(f"head {next(self._numbers)}") for _ in range(wanted - len(kept))]
        kept = self._awaited = kept[:wanted]
        states = {head: self.github.checks.get(head) or {"ci": "in_progress", "lint": "success"} for head in kept}
        self.github.checks |= states
        self.github.touch()
        return kept

    # The whole.

    async def live(self) -> None:
        """Play it."""
        self.begin()
        rates = self.rates
        acts: list[Coroutine[Any, Any, None]] = [
            self.control(),
            self._at_times(rates.change_s, self.change_repository),
            self._at_times(rates.deployment_s, self.change_workspace),
            self._at_times(rates.check_s, self.turn_check),
            self._at_times(rates.step_s, self.step_clock),
            self._at_times(rates.stall_s, self.stall),
            self._at_times(rates.restart_s, self.restart_trigger),
            self._at_times(rates.store_s, self.lose_store),
            self._at_times(rates.pause_s, self.pause_control),
            self._at_times(rates.rotation_s, self.rotate_tokens),
            *(self._at_times(rates.fault_s, partial(self.fail_service, name)) for name in (GITHUB, ASTRO)),
        ]
        self.start_trigger()
        tasks = [asyncio.create_task(act) for act in acts]
        try:
            await self._count_days(tasks)
        finally:
            for name in [*self.alive]:
                await self.stop_trigger(name)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _at_times(self, mean_s: float, act: Callable[[], Any]) -> None:
        while True:
            await asyncio.sleep(self.random.expovariate(self.haste / mean_s))
            done = act()
            if done is not None:
                await done

    async def _count_days(self, tasks: list[asyncio.Task[None]]) -> None:
        while self.clock.now_s < self.seconds:
            await asyncio.sleep(HOUR_S)
            self.ledger.check()
            for task in tasks:
                if task.done():
                    task.result()
            if len(self.censuses) < 2 or self.clock.now_s % DAY_S < HOUR_S:
                self._take_census()

    def _take_census(self) -> None:
        """Count what could grow, while one trigger lives and nothing is wrong."""
        if len(self.alive) != 1 or self.github.fault or self.astro.fault:
            return
        gc.collect()
        loop = cast("SimulatedLoop", asyncio.get_running_loop())
        files = len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))
        self.censuses.append(Census(len(gc.get_objects()), len(asyncio.all_tasks()), loop.count_timers(), files))

    def sum_up(self) -> dict[str, Any]:
        """Return the figures, for people."""
        longest_s = {" ".join(key): round(each, 1) for key, each in self.ledger.longest_s.items()}
        return {
            "days": round(self.clock.now_s / DAY_S, 1),
            "seconds of CPU": round(self.cpu_s, 1),
            "events": dict(self.events),
            "passes": self.passes,
            "triggers": self.started,
            "faults": dict(self.faults),
            "requests": dict(self.github.asked + self.astro.asked),
            "most requests to GitHub in a minute": self.github.most_in_a_minute,
            "longest until told, in seconds": longest_s,
            "wrong": self.ledger.wrong,
            "longest wait, in seconds": round(self.waits[0], 1),
            "writes": dict(self.store.writes),
            "longest cursor": self.cursor_length_max,
            "first and last census": [str(each) for each in (self.censuses[0], self.censuses[-1])],
        }
