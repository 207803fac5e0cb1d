"""What can be set while the sandbox runs: how long things take, and what the CI does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Settings:
    """Changed by `POST /sandbox/settings`; every time is in seconds."""

    creating_s: float = 3.0  # CREATING until HEALTHY
    deploying_s: float = 3.0  # DEPLOYING until HEALTHY after a deploy was finalized
    waking_s: float = 2.0  # HIBERNATING until HEALTHY after wake-up
    dag_processing_s: float = 1.0  # finalize until the Deployment's dagTarballVersion is the desired one
    parsing_s: float = 0.0  # a Deployment's code is the current one until its Airflow begins to parse it
    parsed_again_s: float = 30.0  # how often an Airflow parses each file anew; nothing changed, so only times move
    airflow_patience_s: float = 5.0  # a question waits so long for the first parse, and is then answered without it
    airflow_limit_s: float = 180.0  # one parse, or one run of a DAG, is ended after that
    ci_delay_s: float = 3.0  # push until the CI's image stands in the registry
    ci_fails: bool = False  # the CI's next builds fail: no image appears
    mergeability_s: float = 1.0  # a pull request's head or base moved until GitHub knows whether it can be merged
    page_limit: int = 100  # GitHub's largest per_page
    clock_ahead_s: float = 0.0  # how far GitHub's and Astro's clocks are ahead of this machine's, negative: behind
    rate_limit: int = 5000  # GitHub's requests an hour
    registry_auth: str = "anonymous"  # pulling the CI's images: "anonymous" or "private" (user and password)
