"""`make snapshots`: what control kept of a project's passes, read from Airflow's API into a file."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import httpx

from include.deploy_ops.core.errors import DeployOpsError, PermanentError, RetryableError
from include.deploy_ops.run.snapshots import Snapshots
from replay.file import write_file

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMEOUT_S = 30.0
COUNT_MAX = 50
"""As many as the policy may ask for."""


@dataclass(frozen=True, slots=True)
class AirflowStore:
    """The state store of one asset, read by Airflow's API; nothing is written."""

    airflow: httpx.Client
    asset: int

    def get(self, key: str, default: Any = None) -> Any:
        """Return the key's JSON value, or the default."""
        answer = _ask(self.airflow, f"/api/v2/assets/{self.asset}/state-store/{key}")
        return default if answer.status_code == HTTPStatus.NOT_FOUND else answer.json()["value"]

    def set(self, key: str, value: Any) -> NoReturn:  # noqa: ARG002 - a store's signature
        """Refuse: a reader writes nothing."""
        raise PermanentError(f"{key} is not written from here")

    def delete(self, key: str) -> NoReturn:
        """Refuse likewise."""
        raise PermanentError(f"{key} is not deleted from here")


def _ask(airflow: httpx.Client, path: str, **params: str) -> httpx.Response:
    try:
        answer = airflow.get(path, params=params)
    except httpx.HTTPError as error:
        raise RetryableError(f"{airflow.base_url}: {error}; name Airflow's address in AIRFLOW_URL") from None
    if answer.is_success or answer.status_code == HTTPStatus.NOT_FOUND:
        return answer
    advice = "; give a token that may read assets in AIRFLOW_TOKEN" if answer.is_client_error else ""
    raise RetryableError(f"{answer.request.url}: Airflow answered {answer.status_code}{advice}")


def fetch(airflow: httpx.Client, project: str, path: Path) -> int:
    """Write the file; return how many passes it holds. Raises what keeps it from being written."""
    name = f"deploy_ops.{project}.fleet"
    answer = _ask(airflow, "/api/v2/assets", name_pattern=name)
    found = answer.json()["assets"] if answer.is_success else []
    asset = next((each["id"] for each in found if each["name"] == name), None)
    if asset is None:
        raise PermanentError(f"{airflow.base_url} has no asset {name}; name the project in PROJECT")
    passes = [each for each in Snapshots(AirflowStore(airflow, asset), COUNT_MAX).read() if each is not None]
    if not passes:
        raise PermanentError(f"control kept no pass of {project}; set `snapshots: 20` in its policy")
    write_file(path, project, passes)
    return len(passes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch into the file; return the exit code."""
    parser = argparse.ArgumentParser(prog="replay.fetch", description=__doc__)
    parser.add_argument("project")
    parser.add_argument("file", type=Path)
    options = parser.parse_args(arguments)
    token = os.environ.get("AIRFLOW_TOKEN", "")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = os.environ.get("AIRFLOW_URL", "http://localhost:8080")
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_S) as airflow:
            count = fetch(airflow, options.project, options.file)
    except DeployOpsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{options.file}: {count} passes of {options.project}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
