"""The ports of the stack: asked for, checked before anything starts. A taken one is an error that names it."""

from __future__ import annotations

import os
import random
import socket
from dataclasses import dataclass

HOST = "127.0.0.1"
QUIET = range(20_000, 32_000)
"""Ports that no system hands out by itself (Linux begins at 32768): nobody gets one by chance before Airflow listens
there, which it does many seconds after it was found free."""


class PortError(Exception):
    """A port that the stack needs is not to be had; the text says which variable chooses another."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Airflow's UI, the sandbox, the API that tasks talk to, and Airflow's two log servers.

    The log servers collide silently when they share a port.
    """

    airflow: int
    sandbox: int
    execution: int
    worker_log: int
    trigger_log: int

    @property
    def airflow_url(self) -> str:
        """Base URL of the Airflow UI and API."""
        return f"http://{HOST}:{self.airflow}"

    @property
    def execution_url(self) -> str:
        """Base URL of the API that tasks talk to."""
        return f"http://{HOST}:{self.execution}/execution/"

    @property
    def sandbox_url(self) -> str:
        """Base URL of the sandbox."""
        return f"http://{HOST}:{self.sandbox}"


def read_ports() -> Ports:
    """Return the ports from `AIRFLOW_PORT` and `SANDBOX_PORT` (8080, 8900) and free ones for the others."""
    airflow = _read_port("AIRFLOW_PORT", 8080)
    sandbox = _read_port("SANDBOX_PORT", 8900)
    if airflow == sandbox:
        raise PortError(f"AIRFLOW_PORT and SANDBOX_PORT are both {airflow}; give them two ports")
    for name, port in (("AIRFLOW_PORT", airflow), ("SANDBOX_PORT", sandbox)):
        if not is_free(port):
            raise PortError(
                f"port {port} on {HOST} is taken; end what listens there or choose another: {name}=… make demo"
            )
    return Ports(airflow, sandbox, *find_free_ports(3))


def _read_port(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdigit() or not 0 < int(text) < 65536:  # noqa: PLR2004 - the range of TCP ports
        raise PortError(f"{name} is '{text}'; it takes a port number from 1 to 65535")
    return int(text)


def is_free(port: int) -> bool:
    """Whether nothing listens on the port, on this address or on all."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def find_free_ports(count: int) -> list[int]:
    """Return distinct ports that nothing listens on, and that nobody is given who asks the system for any port.

    :raises PortError: there are not so many.
    """
    found = [port for port in random.sample(QUIET, 10 * count) if is_free(port)][:count]
    if len(found) < count:
        raise PortError(f"of {10 * count} ports from {QUIET.start} to {QUIET.stop - 1} hardly any is free")
    return found
