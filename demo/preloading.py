"""Let Airflow import once what the DAG files import: what it forks for each task and each parse has it then.

That is half a second of a processor for each. The DAG files themselves are read anew, as ever.
"""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

from airflow import settings
from airflow.dag_processing.bundles.local import LocalDagBundle
from airflow.executors.local_executor import LocalExecutor


class PreloadingExecutor(LocalExecutor):
    """Airflow's local executor, whose workers are forked from a process that has the modules."""

    def start(self) -> None:
        """Import, then fork the workers."""
        preload(Path(settings.DAGS_FOLDER))
        super().start()


class PreloadingBundle(LocalDagBundle):
    """Airflow's local folder of DAG files, whose parses are forked from a process that has the modules."""

    def refresh(self) -> None:
        """Import what the files import by now; only the process that forks the parses refreshes a bundle."""
        preload(self.path)


def preload(folder: Path) -> None:
    """Import whatever the DAG files of the folder import from other modules.

    :raises SyntaxError: a file is no Python.
    :raises ImportError: there is no such module.
    :raises AttributeError: a module has no such name.
    """
    for path in sorted(folder.glob("*.py")):
        for node in ast.parse(path.read_bytes()).body:
            if isinstance(node, ast.ImportFrom) and node.module:
                module = importlib.import_module(node.module)
                for each in node.names:
                    getattr(module, each.name)  # some of Airflow's are imported when they are asked for
