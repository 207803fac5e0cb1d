"""Count what is asked of other services, and what GitHub has left for us, in Airflow's own stats.

Without a backend in Airflow's `[metrics]` settings that does nothing. No name of a branch or a Deployment is in it.
"""

from __future__ import annotations

import functools

from airflow.sdk.configuration import conf
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics.stats_utils import get_stats_factory

REQUESTS = "deploy_ops.api.requests"
QUOTA_LEFT = "deploy_ops.github.quota_left"

GITHUB, ASTRO, REGISTRY, AIRFLOW = "github", "astro", "registry", "airflow"


def count_request(service: str) -> None:
    """Count one HTTP request to the service, whatever comes of it."""
    stats.incr(REQUESTS, tags={"service": service})


def gauge_quota(remaining: int, conn_id: str) -> None:
    """Say how many requests GitHub has left for the connection's token until its limit resets."""
    stats.gauge(QUOTA_LEFT, remaining, tags={"connection": conn_id})


@functools.cache
def start_stats() -> None:
    """Start Airflow's stats in a trigger's process, once; to be called by triggers before they ask anybody.

    Airflow starts them in a task's process. In the triggerer it starts another copy of the module, for itself.
    """
    stats.initialize(factory=get_stats_factory(), export_legacy_names=conf.getboolean("metrics", "legacy_names_on"))
