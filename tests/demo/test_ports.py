"""Ports: the defaults, the variables, and an error that names a taken or wrong one."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from demo.ports import HOST, QUIET, PortError, find_free_ports, is_free, read_ports


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_ports_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    airflow, sandbox = find_free_ports(2)
    monkeypatch.setenv("AIRFLOW_PORT", str(airflow))
    monkeypatch.setenv("SANDBOX_PORT", str(sandbox))
    ports = read_ports()
    assert (ports.airflow_url, ports.sandbox_url) == (f"http://{HOST}:{airflow}", f"http://{HOST}:{sandbox}")
    assert ports.execution_url == f"http://{HOST}:{ports.execution}/execution/"
    assert len({airflow, sandbox, ports.execution, ports.worker_log, ports.trigger_log}) == 5


@pytest.mark.parametrize("variable", ["AIRFLOW_PORT", "SANDBOX_PORT"])
def test_a_taken_port_is_named(monkeypatch: pytest.MonkeyPatch, taken: int, variable: str) -> None:
    for name, port in zip(("AIRFLOW_PORT", "SANDBOX_PORT"), find_free_ports(2), strict=True):
        monkeypatch.setenv(name, str(port))
    monkeypatch.setenv(variable, str(taken))
    with pytest.raises(PortError, match=rf"port {taken} .* is taken.*{variable}="):
        read_ports()
    assert not is_free(taken)


@pytest.mark.parametrize("value", ["http", "0", "65536", "-1", "80.5"])
def test_what_is_no_port_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SANDBOX_PORT", value)
    with pytest.raises(PortError, match=f"SANDBOX_PORT is '{value}'"):
        read_ports()


def test_one_port_for_both_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = find_free_ports(1)
    monkeypatch.setenv("AIRFLOW_PORT", str(port))
    monkeypatch.setenv("SANDBOX_PORT", str(port))
    with pytest.raises(PortError, match="are both"):
        read_ports()


def test_no_free_port_is_one_that_the_system_hands_out(taken: int) -> None:
    ports = find_free_ports(20)
    assert len(set(ports)) == 20
    assert all(port in QUIET and is_free(port) for port in ports)
    assert taken not in QUIET


def test_ports_that_are_all_taken_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("demo.ports.is_free", lambda _: False)
    with pytest.raises(PortError, match="of 20 ports from 20000 to 31999 hardly any is free"):
        find_free_ports(2)
