"""PostgreSQL and Redis of the demo: by whom they run, whom they let in, what they keep; workers share no folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from demo.distributed import Distributed
from demo.needs import find_postgres, tell_engine
from demo.ports import Ports, find_free_ports
from demo.processes import end_group, start_group
from demo.stack import ROOT
from demo.supervisor import Charge

pytestmark = pytest.mark.skipif(bool(tell_engine("celery")), reason=tell_engine("celery"))
PATIENCE_S = 30.0


@dataclass
class Start:
    """Plays the stack: starts what is asked, and Airflow not at all."""

    home: Path
    ports: Ports
    kept: dict[str, Charge] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def launch(self, name: str, argv: list[str]) -> None:
        raise AssertionError(f"{name} needs a supervisor, not {argv}")

    def keep(self, name: str, charge: Charge) -> None:
        self.kept[name] = charge
        if name == "services":
            argv, log = [sys.executable, "-m", "demo.supervisor"], self.home / "services.log"
            self.processes.append(start_group(argv, env=os.environ, cwd=ROOT, log=log, told=charge.dump()))

    def run(self, name: str, argv: list[str]) -> None:
        """Let it have ended well."""

    def await_up(self, what: str, is_ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not is_ready():
            assert time.monotonic() < deadline, what
            time.sleep(0.05)

    def is_healthy(self) -> bool:
        return True


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Give something to start with, and end what was started."""
    made = Start(tmp_path, Ports(*find_free_ports(5)))
    yield made
    for process in made.processes:
        end_group(process)


def ask(url: str, statement: str) -> str:
    """Return what PostgreSQL answers, or why it does not."""
    argv = [f"{find_postgres()}/psql", "--tuples-only", "--no-align", "--command", statement, url]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    return (done.stdout or done.stderr).strip()


def call_redis(url: str, *words: str) -> str:
    argv = ["redis-cli", "--no-auth-warning", "-u", url, *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=PATIENCE_S).stdout.strip()


def test_the_services_and_what_they_keep(start: Start) -> None:
    engine = Distributed(start.home, start.ports, room_bytes=65536)
    engine.start_services(start)
    url = engine.settings["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
    queue = engine.settings["AIRFLOW__CELERY__BROKER_URL"].replace("//:", "//default:")
    (supervisor,) = start.processes
    users = {each.username() for each in psutil.Process(supervisor.pid).children() if "postgres" in each.name()}
    assert users == {"postgres" if os.geteuid() == 0 else psutil.Process().username()}

    assert "password authentication failed" in ask(re.sub(r":\w+@", ":guessed@", url), "select 1")
    assert "NOAUTH" in call_redis(re.sub(r"default:\w+@", "", queue), "ping")
    assert call_redis(queue, "ping") == "PONG"

    copy = start.home / "copy"
    assert ask(url, "create table kept as select 1 as n") == "SELECT 1"
    engine.save_database(copy)
    assert ask(url, "update kept set n = 2") == "UPDATE 1"
    engine.restore_database(copy)
    assert ask(url, "select n from kept") == "1"

    engine.start_airflow(start)
    workers = [job for job in start.kept["airflow"].jobs if "worker" in job.argv]
    written = [job.env[name] for job in workers for name in ("AIRFLOW_HOME", "HOME", "TMPDIR")]
    assert len(set(written)) == len(written) == 6
    assert all(Path(folder).is_dir() for folder in written)
    assert all(f"--size 65536 --tmpfs {job.env['TMPDIR']} -- airflow" in " ".join(job.argv) for job in workers)
    end_group(supervisor)
    assert not any(Path(folder).exists() for folder in start.kept["services"].litter)


def test_redis_keeps_a_task_through_a_restart(start: Start) -> None:
    engine = Distributed(start.home, start.ports)
    engine.start_services(start)
    queue = engine.settings["AIRFLOW__CELERY__BROKER_URL"].replace("//:", "//default:")
    start.await_up("Redis", lambda: call_redis(queue, "rpush", "default", "task") == "1")
    start.await_up("its log", lambda: "aof_pending_bio_fsync:0" in call_redis(queue, "info", "persistence"))
    (supervisor,) = start.processes
    (redis,) = [each for each in psutil.Process(supervisor.pid).children() if "redis" in each.name()]
    redis.kill()
    start.await_up("Redis", lambda: call_redis(queue, "lrange", "default", "0", "-1") == "task")
