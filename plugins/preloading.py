"""Imports what our tasks need in the processes that fork a child per task or DAG file.

With `[core] lazy_load_plugins = False`, as the Dockerfile has it, Airflow loads plugins before it forks any child, and
each child finds the modules there. With Airflow's default it may load them in the child, so nothing is imported then.
These processes have to be restarted after a change below `include/`, as they are by a deploy of the image.
"""

from __future__ import annotations

import importlib
import pkgutil

from airflow.configuration import conf

from include.deploy_ops import hooks, operators


def preload() -> None:
    """Import every step, and what it speaks to services with: also that of which a step imports only when it asks."""
    for package in (operators, hooks):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)


if not conf.getboolean("core", "lazy_load_plugins"):
    preload()
