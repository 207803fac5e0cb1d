"""What people see of an Airflow: what it found out, escaped."""

from __future__ import annotations

from pathlib import Path

from sandbox.airflow.instance import Airflow
from sandbox.airflow.page import lay_out_airflow
from sandbox.settings import Settings
from tests.sandbox.airflow.test_instance import LONG_AGO, RUN, Played, make_dag, play


def test_dags_errors_and_runs_are_shown_and_nothing_is_asked_for(tmp_path: Path) -> None:
    async def act(airflow: Airflow, children: Played, _: Settings) -> None:
        children.dags = [make_dag("<orders>", timetable_summary="0 6 * * *")]
        children.errors = [{"filename": "x.py", "timestamp": LONG_AGO, "stack_trace": "<script>"}]
        assert "Nothing was parsed yet" in lay_out_airflow(airflow)
        assert children.orders == []
        await airflow.catch_up()
        airflow.trigger("<orders>", RUN)
        page = lay_out_airflow(airflow)
        for said in ("&lt;orders&gt;", "0 6 * * *", "&lt;script&gt;", "deploy_ops__1", "queued", "paused"):
            assert said in page
        assert "<script>" not in page

    play(tmp_path, act)
