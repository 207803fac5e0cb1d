"""The stack's Airflow in the place of a preview's own: a folder of DAGs that a dag-processor of its own parses."""

from __future__ import annotations

import contextlib
import json
import shutil
from typing import TYPE_CHECKING

from demo.processes import end_group, start_group
from demo.stack import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.stack import Stack

_NAME = "preview"
_BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"
_NEVER_S = 10**6
_QUICK = {
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "2",
    "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
}
"""Instead of every 30 s, and of the stack's own 60."""


def set_bundles(folder: Path, listing_s: int = _NEVER_S) -> dict[str, str]:
    """Return the setting that adds the folder to the stack's DAGs.

    :param listing_s: how often its files are listed. The stack's own dag-processor does so once, while there are none,
        and so leaves the folder alone.
    """
    usual = {"name": "dags-folder", "classpath": _BUNDLE, "kwargs": {}}
    added = {"name": _NAME, "classpath": _BUNDLE, "kwargs": {"path": str(folder), "refresh_interval": listing_s}}
    return {"AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps([usual, added])}


@contextlib.contextmanager
def parse_quickly(stack: Stack, folder: Path) -> Iterator[None]:
    """Have the folder parsed by a dag-processor that does nothing else, and at the end leave nothing in it."""
    settings = {**stack.environment(), **set_bundles(folder, listing_s=1), **_QUICK}
    command = ["airflow", "dag-processor", "--bundle-name", _NAME]
    process = start_group(command, env=settings, cwd=ROOT, log=stack.home / "preview.log")
    try:
        yield
    finally:
        end_group(process)  # first: it holds the database, which other tests take away
        shutil.rmtree(folder)
        folder.mkdir()
