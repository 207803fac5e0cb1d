"""The stack: sandbox and Airflow on one machine, started, awaited, loaded, and ended whole."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import httpx
import psutil

from demo.distributed import Distributed
from demo.interrupts import held
from demo.needs import EXECUTORS
from demo.ports import HOST, Ports
from demo.processes import (
    adopt_orphans,
    end_descendants,
    end_group,
    find_descendants,
    kill_families,
    start_group,
)
from demo.settings_file import DEFAULT_SANDBOX, load_settings, read_settings
from demo.standalone import Standalone
from demo.supervisor import Charge, Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from demo.engine import Engine

ROOT = Path(__file__).parent.parent
POLICY = ROOT / "include/deploy_ops.yaml"
PATIENCE_S = 180.0
"""Seconds until Airflow must be healthy, or what is awaited in it true: three times what a busy 2-core machine took."""
COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")
POLL_S = 0.5
_IMAGE_SETTING = re.compile(r"^ENV (AIRFLOW__\w+)=(\S+)$", re.MULTILINE)
USERS = ("admin", "viewer")
"""Who may log in: each is named as their role and their password are."""
API_TIMEOUT_S = 90.0
"""Seconds for one answer of Airflow: it took more than 30 while it started beside eight other busy processes."""


def read_image_settings() -> dict[str, str]:
    """Return Airflow's settings in the product's image, as its Dockerfile has them."""
    return dict(_IMAGE_SETTING.findall((ROOT / "Dockerfile").read_text(encoding="utf-8")))


def tell_load() -> str:
    """Return that the machine has more to do than it can, which is why things take long; empty if it has not."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    return f"; the machine is busy: a load of {load:.0f} on {cores} cores" if load > 2 * cores else ""


class StackError(Exception):
    """The stack did not come up; the text says which part, and where its log is."""


class Stack:
    """A running sandbox and Airflow. Use it as a context manager: leaving it ends every process.

    :param ports: where to listen.
    :param home: AIRFLOW_HOME and everything else the stack writes; emptied at the start.
    :param say: gets a line for each thing that is done.
    :param policy: the policy file's text, with the sandbox at its usual address; by default the project's own.
    :param settings: environment variables laid over Airflow's settings.
    :param patience_s: seconds after which what has not come true never will.
    :param show: gets, every two seconds, what is awaited.
    :param executor: which of Airflow's engines it runs on, one of `EXECUTORS`.
    """

    def __init__(
        self,
        ports: Ports,
        home: Path,
        say: Callable[[str], None],
        policy: str | None = None,
        settings: Mapping[str, str] | None = None,
        patience_s: float = PATIENCE_S,
        show: Callable[[str], None] | None = None,
        executor: str = EXECUTORS[0],
    ) -> None:
        self.ports = ports
        self.home = home
        self.engine: Engine = Distributed(home, ports) if executor == "celery" else Standalone(home)
        self.patience_s = patience_s
        self._say = say
        self._show = show or (lambda _: None)
        self._settings = dict(settings or {})
        self._policy = policy or POLICY.read_text(encoding="utf-8")
        self._processes: list[tuple[str, subprocess.Popen[bytes]]] = []
        self.api = httpx.Client(base_url=ports.airflow_url, timeout=API_TIMEOUT_S)
        self.sandbox = httpx.Client(base_url=ports.sandbox_url, timeout=30)

    def __enter__(self) -> Self:
        adopt_orphans(is_on=True)
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _start(self) -> None:
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        self.write_policy(self._policy)
        passwords = self.home / "passwords.json"
        passwords.write_text(json.dumps({name: name for name in USERS}), encoding="utf-8")
        self.launch(
            "sandbox",
            [sys.executable, "-m", "sandbox", "--port", str(self.ports.sandbox), "--data", str(self.home / "sandbox")],
        )
        self.await_up("the sandbox", lambda: self.sandbox.get("/sandbox/health").is_success)
        self.engine.start_services(self)
        self._start_airflow()
        load_settings(self.api, read_settings(ROOT / "airflow_settings.yaml", self.ports))

    def _start_airflow(self) -> None:
        self.engine.start_airflow(self)
        self._log_in()

    @property
    def policy_file(self) -> Path:
        """The policy that this stack's Airflow reads."""
        return self.home / "deploy_ops.yaml"

    def write_policy(self, text: str) -> None:
        """Replace the policy by this one, with the sandbox where it is; Airflow reads it within its parse interval."""
        text = text.replace(DEFAULT_SANDBOX, f"{HOST}:{self.ports.sandbox}")
        self.policy_file.write_text(text, encoding="utf-8")

    def launch(self, name: str, argv: list[str]) -> None:
        """Start a process whose end is the stack's."""
        self.keep(name, Charge([Job(name, argv, is_vital=True)], str(self.home)))

    def keep(self, name: str, charge: Charge) -> None:
        """Start what a supervisor of that name keeps until the stack ends, in whatever way it does."""
        argv, log = [sys.executable, "-m", "demo.supervisor"], self.home / f"{name}.log"
        process = start_group(argv, env=self.environment(), cwd=ROOT, log=log, told=charge.dump())
        self._processes.append((name, process))

    def run(self, name: str, argv: list[str]) -> None:
        """Run a process to its end."""
        log = self.home / f"{name}.log"
        if code := start_group(argv, env=self.environment(), cwd=ROOT, log=log).wait(self.patience_s):
            raise StackError(f"{name} ended with {code}:\n{self._tail(name)}")

    def environment(self) -> dict[str, str]:
        """Return what the stack's processes see: ours, plus Airflow's settings of the image and for a small machine."""
        bin_dir = str(Path(sys.executable).parent)
        given: Mapping[str, str] = os.environ
        return {
            **given,
            **read_image_settings(),
            **self._airflow_environment(),
            **self.engine.settings,
            **self._settings,
            "PATH": os.pathsep.join([bin_dir, given.get("PATH", os.defpath)]),
            "PYTHONPATH": str(ROOT),
            "DEPLOY_OPS_POLICY": str(self.policy_file),
            "ASTRO_CLI_READS": str(ROOT / "sandbox"),
            "ASTRO_CLI": given.get("ASTRO_CLI") or str(ROOT / "sandbox/bin/astro"),
        }

    def _airflow_environment(self) -> dict[str, str]:
        return {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "6",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{name}" for name in USERS),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.home / "passwords.json"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": self.ports.execution_url,
            "AIRFLOW__API__HOST": HOST,
            "AIRFLOW__API__PORT": str(self.ports.airflow),
            "AIRFLOW__API__BASE_URL": self.ports.airflow_url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(self.ports.worker_log),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(self.ports.trigger_log),
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        }

    def is_healthy(self) -> bool:
        """Whether Airflow says so of each of its components."""
        answer = self.api.get("/api/v2/monitor/health")
        if not answer.is_success:
            return False
        states = answer.json()
        return all((states.get(name) or {}).get("status") == "healthy" for name in COMPONENTS)

    def _log_in(self) -> None:
        answer = self.api.post("/auth/token", json={"username": "admin", "password": "admin"})
        answer.raise_for_status()
        self.api.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def await_up(self, what: str, is_ready: Callable[[], bool]) -> None:
        """Return once it is ready.

        :raises StackError: a process ended, or the time is up.
        """
        for waited in self.ticks(self.patience_s, what):
            for name, process in self._processes:
                if process.poll() is not None:
                    raise StackError(f"{name} ended with {process.returncode}:\n{self._tail(name)}")
            try:
                if is_ready():
                    self._say(f"{what} is up after {waited:.0f} s")
                    return
            except httpx.TransportError:
                continue
        late = f"did not come up within {self.patience_s:.0f} s"
        raise StackError(f"{what} {late}; its log is in {self.home}{tell_load()}")

    def ticks(self, timeout_s: float, what: str) -> Iterator[float]:
        """Yield the seconds waited, every half second until the time is up, telling what is awaited every 2 s."""
        start, told = time.monotonic(), 0.0
        while (waited := time.monotonic() - start) < timeout_s:
            if waited - told >= 2:  # noqa: PLR2004 - nobody looks at a silent screen for longer
                told = waited
                self._show(f"… {what}, {waited:.0f} s")
            yield waited
            time.sleep(POLL_S)

    def _tail(self, name: str) -> str:
        return "\n".join((self.home / f"{name}.log").read_text(errors="replace").splitlines()[-15:])

    def unpause(self, dag_id: str) -> None:
        """Wait until Airflow has parsed the DAG, then unpause it."""
        for _ in self.ticks(self.patience_s, f"DAG {dag_id} to be parsed"):
            if self.api.patch(f"/api/v2/dags/{dag_id}", json={"is_paused": False}).is_success:
                return
        errors = self.api.get("/api/v2/importErrors").json().get("import_errors", [])
        raise StackError(f"DAG {dag_id} did not appear; import errors: {json.dumps(errors)[:2000]}")

    def kill(self, component: str) -> None:
        """Kill a component of Airflow ("scheduler", "triggerer", …) and whatever it started, as a crash would."""
        found = find_descendants(*self.engine.build_command(component))
        if not found:
            raise StackError(f"Airflow's {component} does not run")
        kill_families([*found, *self._list_kept(component)])
        self._processes = [(name, process) for name, process in self._processes if process.poll() is None]

    def _list_kept(self, component: str) -> list[psutil.Process]:
        """Return the supervisors that are named so."""
        return [psutil.Process(each.pid) for name, each in self._processes if name == component and each.poll() is None]

    def start(self, component: str) -> None:
        """Start a component of Airflow that was killed, where no supervisor does; it is up when its work goes on."""
        if not self.engine.is_supervised:
            self.launch(component, self.engine.build_command(component))

    def replace_airflow(self, prepare: Callable[[], None]) -> None:
        """Kill all of Airflow at once, as a power cut would, prepare its files, and start it again."""
        airflow = [pair for pair in self._processes if pair[0] not in {"sandbox", "services"}]
        kill_families(psutil.Process(process.pid) for _, process in airflow)
        self._processes = [pair for pair in self._processes if pair not in airflow]
        prepare()
        self._start_airflow()

    def _end(self) -> None:
        """End every process, whoever is impatient, and also when nobody reads any more."""
        with held():
            try:
                self._show("… ending Airflow and the sandbox")
            finally:
                for _, process in reversed(self._processes):
                    end_group(process)
                end_descendants()
                adopt_orphans(is_on=False)
                self.api.close()
                self.sandbox.close()
