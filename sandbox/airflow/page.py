"""What the page at an Airflow's address shows of it: DAGs, import errors, runs. It asks for nothing to be parsed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.html import Html, fill, join, lay_out, mark, tag

if TYPE_CHECKING:
    from sandbox.airflow.instance import Airflow


def lay_out_airflow(airflow: Airflow) -> Html:
    """Return what is known so far, as HTML."""
    if airflow.parsed_at is None:
        said = "Nothing was parsed yet: that waits until somebody asks this Airflow's API."
        return tag("p", said, class_="muted")
    dags = [
        (
            dag["dag_id"],
            mark("stale" if dag["is_stale"] else "paused" if dag["is_paused"] else "active"),
            dag["timetable_summary"] or "",
            tag("code", dag["relative_fileloc"]),
        )
        for dag in airflow.list_dags()
    ]
    errors = [
        (tag("code", each["filename"]), fill(tag("pre", each["stack_trace"]))) for each in airflow.list_import_errors()
    ]
    runs = [
        (run.document["dag_id"], tag("code", run.document["dag_run_id"]), mark(run.state))
        for run in reversed(airflow.runs.values())
    ]
    return join(
        [
            tag("h2", "DAGs"),
            lay_out(("DAG", "State", "Schedule", "File"), dags, "There is none."),
            *([tag("h2", "Import errors"), lay_out(("File", "Error"), errors, "")] if errors else []),
            tag("h2", "Runs"),
            lay_out(("DAG", "Run", "State"), runs, "Nothing ran yet."),
            *([tag("p", f"The newest parse gave nothing: {airflow.failure}")] if airflow.failure else []),
        ]
    )
