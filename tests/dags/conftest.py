"""The DAG files as Airflow's DAG processor reads them: with a policy of the test's (`parse`), or our own (`dags`)."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import pytest
from airflow import plugins_manager, settings
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import BaseHook, Variable

from include.deploy_ops.core.policy.file import POLICY_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DAGS = ROOT / "dags"


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


@pytest.fixture
def dags(parse: Parse, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Give our own policy's DAGs, in an Airflow that has our plugins."""
    caches: tuple[Any, ...] = (plugins_manager._get_plugins, plugins_manager.get_priority_weight_strategy_plugins)
    for cache in caches:
        cache.cache_clear()
    monkeypatch.setenv("AIRFLOW__CORE__HOSTNAME_CALLABLE", "socket.gethostname")
    monkeypatch.setattr(settings, "PLUGINS_FOLDER", str(ROOT / "plugins"))
    yield dict(parse(ROOT / "include" / "deploy_ops.yaml").dags)
    for cache in caches:
        cache.cache_clear()
