"""One stack for all end-to-end tests: sandbox and Airflow on free ports, ended with them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from demo.ports import Ports, find_free_ports
from demo.stack import ROOT, Stack
from demo.witness import CONTROL_DAG, PREVIEW_DAG, Witness, make_witness


@pytest.fixture(scope="module")
def witness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Witness]:
    """Return a person in front of a running stack."""
    home: Path = tmp_path_factory.mktemp("stack")
    policy = yaml.safe_load((ROOT / "include/deploy_ops.yaml").read_text(encoding="utf-8"))
    policy["projects"][0]["limits"] = {"max_deletes": 50, "max_delete_fraction": 1.0}  # the tests delete a lot
    with Stack(Ports(*find_free_ports(4)), home / "airflow", print, yaml.safe_dump(policy)) as stack:
        for dag_id in (PREVIEW_DAG, CONTROL_DAG):
            stack.unpause(dag_id)
        person = make_witness(stack)
        person.await_watch()
        yield person
    shutil.rmtree(home)
