"""What a child process does: migrate a database, parse a project, or run one of its DAGs, by Airflow itself.

It is a program of its own, started with an order (JSON) on its standard input, and knows nothing of the sandbox. What
came of it stands in the order's `report`, a JSON file that is written anew after each step, so that a child that was
ended has left what it did. A task's log lies in the folder `logs`, a JSON object a line, as Airflow's own.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.dag_processing.dagbag import DagBag
    from airflow.sdk import DAG

Order = dict[str, Any]
_BUNDLE = "dags-folder"  # Airflow's own name of a folder of DAGs
_FILE_BYTES_MAX = 1 << 28
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG, prctl(2)


def main() -> None:
    """Obey the order on the standard input."""
    order = json.load(sys.stdin)
    _limit(order)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["project"])
    sys.path.insert(0, order["project"])
    _MODES[order["mode"]](order)


def _limit(order: Order) -> None:
    """Bound what this process may use, and let it end with whoever started it."""
    for kind, most in (
        (resource.RLIMIT_AS, order["memory_bytes"]),
        (resource.RLIMIT_CPU, order["cpu_s"]),
        (resource.RLIMIT_FSIZE, _FILE_BYTES_MAX),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)


def _migrate(_order: Order) -> None:
    from airflow.utils.db import initdb

    initdb()


def _parse(order: Order) -> None:
    """Parse every file, and store what came of it as the DAG processor does."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import sync_bag_to_db
    from airflow.utils.session import create_session

    DagBundlesManager().sync_bundles_to_db()  # type: ignore[no-untyped-call]
    bag = _collect(order, Path(order["project"], "dags"))
    sync_bag_to_db(bag, _BUNDLE, None)
    with create_session() as session:
        _forget_what_is_gone(session, bag)
        session.flush()
        _write_report(order, _describe_code(session, bag))


def _collect(order: Order, source: Path) -> DagBag:
    from airflow.dag_processing.dagbag import BundleDagBag

    folder = Path(order["project"], "dags")
    folder.mkdir(exist_ok=True)
    return BundleDagBag(dag_folder=str(source), bundle_path=folder, bundle_name=_BUNDLE)


def _forget_what_is_gone(session: Any, bag: DagBag) -> None:
    """Do at once what the DAG processor does after a while: DAGs without a file are stale, so are errors of old files.

    What of a file that could not be imported is stale already.
    """
    from airflow.models.dag import DagModel
    from airflow.models.errors import ParseImportError
    from sqlalchemy import delete, update

    files = {Path(path).relative_to(str(bag.bundle_path)).as_posix() for path in bag.file_last_changed}
    parsed = files | bag.import_errors.keys()
    session.execute(update(DagModel).where(DagModel.dag_id.not_in(bag.dags)).values(is_stale=True))
    session.execute(delete(ParseImportError).where(ParseImportError.filename.not_in(parsed)))


def _describe_code(session: Any, bag: DagBag) -> dict[str, Any]:
    """Return DAGs and import errors as Airflow's own API answers them, and what a run of each DAG needs."""
    from airflow.api_fastapi.core_api.datamodels.dag_versions import DagVersionResponse
    from airflow.api_fastapi.core_api.datamodels.dags import DAGResponse
    from airflow.api_fastapi.core_api.datamodels.import_error import ImportErrorResponse
    from airflow.models.dag import DagModel
    from airflow.models.dag_version import DagVersion
    from airflow.models.errors import ParseImportError
    from sqlalchemy import select

    versions = {dag_id: DagVersion.get_latest_version(dag_id, session=session) for dag_id in bag.dags}
    return {
        "dags": [_dump(DAGResponse, row) for row in session.scalars(select(DagModel))],
        "import_errors": [_dump(ImportErrorResponse, row) for row in session.scalars(select(ParseImportError))],
        "versions": {dag_id: _dump(DagVersionResponse, row) for dag_id, row in versions.items() if row is not None},
        "needs": {dag_id: _describe_needs(dag) for dag_id, dag in bag.dags.items()},
    }


def _describe_needs(dag: DAG) -> dict[str, Any]:
    """Return the pools of a DAG's tasks, and its params: their schema, and their value unless one must be given."""
    params = {name: dag.params.get_param(name) for name in dag.params}
    return {
        "pools": sorted({task.pool for task in dag.tasks}),
        "params": {
            name: {"schema": param.schema, **({"value": param.value} if param.has_value else {})}
            for name, param in params.items()
        },
    }


def _run(order: Order) -> None:
    """Run one DAG as `dag.test()` does, under the id that was asked for, with each task's log in a file of its own."""
    from airflow.models.dagrun import DagRun
    from airflow.sdk import timezone
    from airflow.sdk.execution_time import supervisor

    _make_pools(order)
    dag = _collect(order, Path(order["project"], "dags", order["file"])).dags[order["dag_id"]]
    run_task = supervisor.run_task_in_process

    def run_logged(ti: Any, task: Any, client: Any = None) -> Any:
        _write_report(order, _describe_run(order))
        with _log_to(Path(order["logs"], name_log(order["number"], ti.task_id, ti.map_index, ti.try_number))):
            return run_task(ti=ti, task=task, client=client)

    DagRun.generate_run_id = staticmethod(lambda **_: order["run_id"])  # type: ignore[method-assign]
    supervisor.run_task_in_process = run_logged
    logical_date = order["logical_date"] and timezone.parse(order["logical_date"])
    dag.test(run_after=timezone.parse(order["run_after"]), logical_date=logical_date, run_conf=order["conf"])
    _write_report(order, _describe_run(order))


def _make_pools(order: Order) -> None:
    from airflow.models.pool import Pool

    for pool in order["pools"]:
        Pool.create_or_update_pool(
            pool["name"], pool["slots"], pool["description"] or "", include_deferred=pool["include_deferred"]
        )


def _describe_run(order: Order) -> dict[str, Any]:
    from airflow.api_fastapi.common.db.task_instances import eager_load_TI_and_TIH_for_validation
    from airflow.api_fastapi.core_api.datamodels.dag_run import DAGRunResponse
    from airflow.api_fastapi.core_api.datamodels.task_instances import TaskInstanceResponse
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    place = {"dag_id": order["dag_id"], "run_id": order["run_id"]}
    with create_session() as session:
        run = session.scalars(select(DagRun).filter_by(**place)).one()
        tasks = session.scalars(eager_load_TI_and_TIH_for_validation(select(TaskInstance).filter_by(**place)))
        return {
            "run": _dump(DAGRunResponse, run),
            "task_instances": [_dump(TaskInstanceResponse, row) for row in tasks.unique()],
        }


def name_log(number: int, task_id: str, map_index: int, try_number: int) -> str:
    """Return the file name of a try's log; a task's id may be as long as a file name.

    :param number: of the run.
    """
    return hashlib.sha256(f"{number}/{task_id}/{map_index}/{try_number}".encode()).hexdigest()


@contextlib.contextmanager
def _log_to(path: Path) -> Any:
    """Let Airflow write its log into a file, and what is printed with it."""
    import structlog
    from airflow.sdk.log import configure_logging

    with path.open("ab", buffering=0) as file:
        configure_logging(json_output=True, output=file, cache_logger_on_first_use=False)
        try:
            with contextlib.redirect_stdout(_Lines(structlog.get_logger(logger_name="task.stdout").info)):
                yield
        finally:
            configure_logging.cache_clear()  # it does nothing the second time that it is called with the same
            configure_logging(output=sys.stderr, cache_logger_on_first_use=False)


class _Lines(io.TextIOBase):
    """A text stream that hands on whole lines."""

    def __init__(self, write_line: Callable[[str], object]) -> None:
        self._write_line = write_line
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._write_line(line)
        return len(text)


def _dump(model: Any, row: object) -> Any:
    return model.model_validate(row, from_attributes=True).model_dump(mode="json", by_alias=True)


def _write_report(order: Order, report: dict[str, Any]) -> None:
    path = Path(order["report"])
    new = path.with_suffix(".new")
    new.write_text(json.dumps(report))
    new.replace(path)


_MODES = {"migrate": _migrate, "parse": _parse, "run": _run}

if __name__ == "__main__":
    main()
