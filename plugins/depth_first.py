"""Tells Airflow how our tasks are weighed: it takes such a rule from a plugin alone."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from include.deploy_ops.operators.ranks import DepthFirst


class DepthFirstPlugin(AirflowPlugin):
    """The plugin: Airflow finds it by its class."""

    name = "deploy_ops_depth_first"
    priority_weight_strategies = [DepthFirst]  # noqa: RUF012 - Airflow's way
