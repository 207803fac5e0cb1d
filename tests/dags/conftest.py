"""The fixture `parse`: the DAG files as Airflow's DAG processor reads them, with a policy of the test's."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, NoReturn, Protocol

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import BaseHook, Variable

from include.deploy_ops.run.scope import POLICY_VARIABLE

DAGS = Path(__file__).parents[2] / "dags"


class Parse(Protocol):
    """Parses the folder, or one file of it, with a policy's text or file."""

    def __call__(self, policy: str | Path, file: str = "") -> DagBag: ...


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise AssertionError("parsing a DAG file reads nothing but the policy")


@pytest.fixture
def parse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parse:
    """Parse the folder with a policy's text or file, safe mode and all, without network, connections or variables."""

    def parse_with(policy: str | Path, file: str = "") -> DagBag:
        path = policy if isinstance(policy, Path) else tmp_path / "policy.yaml"
        if isinstance(policy, str):
            path.write_text(policy, encoding="utf-8")
        monkeypatch.setenv(POLICY_VARIABLE, str(path))
        monkeypatch.setattr(socket, "socket", _refuse)
        monkeypatch.setattr(socket, "create_connection", _refuse)
        monkeypatch.setattr(socket, "getaddrinfo", _refuse)
        monkeypatch.setattr(BaseHook, "get_connection", _refuse)
        monkeypatch.setattr(Variable, "get", _refuse)
        return DagBag(DAGS / file)

    return parse_with
