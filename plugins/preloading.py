"""Imports what our tasks need in the processes that fork a child per task or DAG file.

With `[core] lazy_load_plugins = False`, as the Dockerfile has it, Airflow loads plugins before it forks any child, and
each child finds the modules there. With Airflow's default it may load them in the child, so nothing is imported then.
These processes have to be restarted after a change below `include/`, as they are by a deploy of the image.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

from airflow.configuration import conf

from include import deploy_ops

LONE_COMMANDS = frozenset({"api-server", "db", "jobs", "standalone", "triggerer"})
"""Commands of Airflow's that fork no such child, and so need no import of ours before their work asks for it; by `jobs`
a scheduler is asked each minute whether it lives."""


def preload() -> None:
    """Import all of the product, also that of which a step imports only when it asks."""
    for module in pkgutil.walk_packages(deploy_ops.__path__, f"{deploy_ops.__name__}."):
        importlib.import_module(module.name)


if not conf.getboolean("core", "lazy_load_plugins") and LONE_COMMANDS.isdisjoint(sys.argv[1:2]):
    preload()
