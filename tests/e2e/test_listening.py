"""Where the stack listens: on this machine alone, but for the log servers that `airflow standalone` starts."""

from __future__ import annotations

from ipaddress import ip_address

import psutil
import pytest

from demo.witness import Witness

pytestmark = pytest.mark.e2e


def list_listening() -> set[tuple[str, int]]:
    """Return address and port of each socket on which a process of the stack listens."""
    family = {each.pid for each in psutil.Process().children(recursive=True)}
    sockets = [each for each in psutil.net_connections("tcp") if each.pid in family]
    return {(each.laddr.ip, each.laddr.port) for each in sockets if each.laddr and each.status == psutil.CONN_LISTEN}


def test_nothing_listens_beyond_this_machine_but_airflows_log_servers(witness: Witness) -> None:
    ports, found = witness.stack.ports, list_listening()
    here = {port for host, port in found if ip_address(host).is_loopback}
    assert {ports.airflow, ports.sandbox} <= here
    logs = set() if witness.stack.engine.is_supervised else {ports.worker_log, ports.trigger_log}
    assert {port for host, port in found if not ip_address(host).is_loopback} <= logs
