"""Every DAG imports and carries a tag."""

from __future__ import annotations

from airflow.dag_processing.dagbag import DagBag


def test_every_dag_imports():
    bag = DagBag(dag_folder="dags")
    assert bag.import_errors == {}
    assert set(bag.dag_ids) == {"load_orders", "report_revenue", "check_freshness"}
    assert all(dag.tags for dag in bag.dags.values())
