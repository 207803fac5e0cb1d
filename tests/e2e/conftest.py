"""One stack for all end-to-end tests: sandbox and Airflow on free ports, ended with the session."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.ports import Ports, find_free_ports
from demo.stack import Stack
from demo.witness import CONTROL_DAG, PREVIEW_DAG, Witness, make_witness


@pytest.fixture(scope="session")
def witness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witness]:
    """Return a person in front of a running stack."""
    home: Path = tmp_path_factory.mktemp("stack")
    with Stack(Ports(*find_free_ports(4)), home / "airflow", print) as stack:
        for dag_id in (PREVIEW_DAG, CONTROL_DAG):
            stack.unpause(dag_id)
        yield make_witness(stack)
    shutil.rmtree(home)
