"""Airflow on PostgreSQL with CeleryExecutor: each component a process of its own, and workers that share no folder."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from demo.needs import find_postgres
from demo.ports import HOST, Ports, find_free_ports
from demo.processes import identify
from demo.supervisor import Charge, Job

if TYPE_CHECKING:
    from collections.abc import Mapping

    from demo.engine import Starter

TRIGGERERS, WORKERS, TASKS_PER_WORKER = 2, 2, 4
_NAMES = [f"worker-{number}" for number in range(1, WORKERS + 1)]
_USER = "airflow"
"""PostgreSQL's role and database; both are made for the stack and go with it."""
_DATABASE_USER = "postgres"
"""As whom PostgreSQL runs where we are root, which it refuses to be; Debian's package makes this user."""
_CLUSTER = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "fsync": "off",  # what a crash of the machine leaves is of no use to anybody
    "full_page_writes": "off",
    "synchronous_commit": "off",
}
_QUEUE = """\
bind {host}
port {port}
requirepass {password}
dir {folder}
appendonly yes
save ""
"""
"""Redis keeps what it was told, up to its last second: a task of a lost message waits ten minutes for the scheduler."""


class Distributed:
    """The engine of many machines, on one; supervisors start again what exits.

    :param room_bytes: what each worker's scratch folder takes, which is a disk of its own then (bubblewrap); 0: what
        the machine's takes.
    """

    is_supervised = True

    def __init__(self, home: Path, ports: Ports, room_bytes: int = 0) -> None:
        self._home = home
        self._room_bytes = room_bytes
        self._execution_url = f"{ports.airflow_url}/execution/"
        self._password = secrets.token_hex(16)
        self._database_port, self._queue_port = find_free_ports(2)
        self._programs = Path(find_postgres())
        self._scratches: dict[str, str] = {}

    @property
    def settings(self) -> Mapping[str, str]:
        """Airflow's settings in which this engine differs."""
        database = f"{_USER}:{self._password}@{HOST}:{self._database_port}/{_USER}"
        return {
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": self._execution_url,
            # Some more than run at once: until the scheduler has heard of a task's end, its slot had nothing to do.
            "AIRFLOW__CORE__PARALLELISM": str(WORKERS * TASKS_PER_WORKER + TASKS_PER_WORKER),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{database}",
            "AIRFLOW__CELERY__BROKER_URL": f"redis://:{self._password}@{HOST}:{self._queue_port}/0",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql+psycopg2://{database}",
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": str(TASKS_PER_WORKER),
            "AIRFLOW__API__WORKERS": "2",  # each start of a task asks the API some thirty times
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",  # one server answers all; its first answer took 26 s once
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self._home / "logs"),
            "AIRFLOW__DAG_PROCESSOR__STALE_BUNDLE_CLEANUP_INTERVAL": "0",  # a process per worker, for no bundle
        }

    def start_services(self, stack: Starter) -> None:
        """Start PostgreSQL and Redis, and make the database."""
        user = _DATABASE_USER if os.geteuid() == 0 else ""
        cluster, queue = self._make_cluster(user), self._make_queue()
        options = [word for name, value in _CLUSTER.items() for word in ("-c", f"{name}={value}")]
        database = [self._find("postgres"), "-D", str(cluster), "-p", str(self._database_port), *options]
        jobs = [
            Job("postgres", database, user=user, end_signal=signal.SIGINT),  # SIGTERM would await its clients
            Job("redis", ["redis-server", str(queue)]),
        ]
        # Not in our folder: what a worker makes there has sockets, whose paths may have 107 bytes.
        self._scratches = {name: tempfile.mkdtemp(prefix=f"deploy-ops-{name}-") for name in _NAMES}
        stack.keep("services", Charge(jobs, str(self._home), [str(cluster.parent), *self._scratches.values()]))
        stack.await_up("PostgreSQL", lambda: self._ask("pg_isready", "--quiet") == 0)
        self._call("createdb", _USER)

    def start_airflow(self, stack: Starter) -> None:
        """Start Airflow's components, and await them."""
        stack.run("migrate", ["airflow", "db", "migrate"])
        triggerers = [Job(f"triggerer-{n}", self.build_command("triggerer")) for n in range(1, TRIGGERERS + 1)]
        others = [Job(name, self.build_command(name)) for name in ("api-server", "scheduler", "dag-processor")]
        workers = [self._make_worker(name) for name in _NAMES]
        stack.keep("airflow", Charge([*others, *triggerers, *workers], str(self._home)))
        stack.await_up("Airflow", stack.is_healthy)

    def build_command(self, component: str) -> list[str]:
        """Return how a component is started; logs lie in one folder, so nobody needs to be asked for them."""
        return ["airflow", component, *(["--skip-serve-logs"] if component == "triggerer" else [])]

    def _make_worker(self, name: str) -> Job:
        """Return a worker with folders of its own for all that it writes but logs."""
        folders = {"AIRFLOW_HOME": self._home / name / "airflow", "HOME": self._home / name / "home"}
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        env = {variable: str(folder) for variable, folder in folders.items()} | {"TMPDIR": self._scratches[name]}
        env |= {"AIRFLOW_CONFIG": str(self._home / "airflow.cfg")}  # the tokens' secret lies in it
        env |= {"REMAP_SIGTERM": "SIGQUIT"}  # who is asked to end does not await its tasks
        argv = ["airflow", "celery", "worker", "--celery-hostname", name, "--skip-serve-logs"]
        return Job(name, [*self._wall_in(self._scratches[name]), *argv], env)

    def _wall_in(self, scratch: str) -> list[str]:
        """Return what gives a worker a disk for its scratch folder, where it has one."""
        if not self._room_bytes:
            return []
        return ["bwrap", "--dev-bind", "/", "/", "--size", str(self._room_bytes), "--tmpfs", scratch, "--"]

    def _make_cluster(self, user: str) -> Path:
        """Return a new cluster: for a user of its own outside our folder, through which that user may have no way."""
        folder = Path(tempfile.mkdtemp(prefix="deploy-ops-postgres-")) if user else self._home / "postgres"
        folder.mkdir(exist_ok=True)
        password, cluster = folder / "password", folder / "cluster"
        password.write_text(self._password, encoding="utf-8")
        if user:
            for path in (folder, password):
                shutil.chown(path, user, user)
        argv = [self._find("initdb"), "--username", _USER, "--auth", "scram-sha-256", "--pwfile", str(password)]
        argv += ["--encoding", "UTF8", "--no-locale", "--no-sync", "--pgdata", str(cluster)]
        with (self._home / "postgres.log").open("ab") as log:
            subprocess.run(argv, check=True, stdout=log, stderr=log, cwd=folder, **identify(user))
        return cluster

    def _make_queue(self) -> Path:
        """Return Redis's configuration, for a folder of its own."""
        folder = self._home / "redis"
        folder.mkdir()
        text = _QUEUE.format(host=HOST, port=self._queue_port, password=self._password, folder=folder)
        file = folder / "redis.conf"
        file.touch(0o600)
        file.write_text(text, encoding="utf-8")
        return file

    def save_database(self, copy: Path) -> None:
        """Copy the database, also while it is in use."""
        self._call("pg_dump", "--format", "custom", "--file", str(copy), _USER)

    def restore_database(self, copy: Path) -> None:
        """Let the database be what it was; Airflow must not run. What is queued stays queued."""
        self._call("dropdb", "--force", _USER)
        self._call("createdb", _USER)
        self._call("pg_restore", "--dbname", _USER, str(copy))

    def _find(self, program: str) -> str:
        return str(self._programs / program)

    def _call(self, program: str, *arguments: str) -> None:
        """Call a client of PostgreSQL's."""
        if code := self._ask(program, *arguments):
            raise RuntimeError(f"{program} ended with {code}; see {self._home / 'postgres.log'}")

    def _ask(self, program: str, *arguments: str) -> int:
        """Return how a client of PostgreSQL's ended."""
        argv = [self._find(program), "--host", HOST, "--port", str(self._database_port), "--username", _USER]
        env = {**os.environ, "PGPASSWORD": self._password}
        with (self._home / "postgres.log").open("ab") as log:
            return subprocess.run([*argv, *arguments], check=False, env=env, stdout=log, stderr=log).returncode
