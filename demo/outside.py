"""What an outsider can see: Deployments and deploy records in Astro, runs and tasks in Airflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from demo.ports import Ports


@dataclass(frozen=True, slots=True)
class Outside:
    """Read access to the sandbox's Astro and to Airflow, by their public APIs.

    :param astro_token: the demo's Astro token; it opens the sandbox only.
    """

    ports: Ports
    airflow: httpx.Client
    sandbox: httpx.Client
    organization_id: str
    astro_token: str = field(repr=False)

    def _astro(self, path: str) -> Any:
        answer = self.sandbox.get(
            f"/astro/v1/organizations/{self.organization_id}/{path}",
            headers={"Authorization": f"Bearer {self.astro_token}"},
        )
        answer.raise_for_status()
        return answer.json()

    def find_deployment(self, branch: str) -> dict[str, Any] | None:
        """Return the Deployment whose mark names the branch."""
        words = f" branch={quote(branch, safe='/:+@,')} "
        return next((each for each in self.list_deployments() if words in each.get("description", "")), None)

    def find_named(self, name: str) -> dict[str, Any] | None:
        """Return the Deployment of that name, such as a target's."""
        return next((each for each in self.list_deployments() if each["name"] == name), None)

    def list_deployments(self) -> list[dict[str, Any]]:
        """Return all Deployments of the organization."""
        return list(self._astro("deployments?limit=1000")["deployments"])

    def list_deploys(self, deployment_id: str) -> list[dict[str, Any]]:
        """Return the Deployment's DEPLOYED records, newest first."""
        records = self._astro(f"deployments/{deployment_id}/deploys?limit=1000")["deploys"]
        done = [record for record in records if record["status"] == "DEPLOYED"]
        return sorted(done, key=lambda record: str(record["createdAt"]), reverse=True)

    def list_files(self, deployment_id: str) -> dict[str, str]:
        """Return the SHA-256 of every deployed file, image and DAGs together, by path."""
        answer = self.sandbox.get(f"/sandbox/deployments/{deployment_id}/files")
        answer.raise_for_status()
        return {file["path"]: file["sha256"] for file in answer.json()["files"]}

    def ask_airflow(self, branch: str, path: str, method: str = "GET", body: Mapping[str, Any] | None = None) -> Any:
        """Return what the own Airflow of the branch's Deployment answers below its API's address."""
        deployment = self.find_deployment(branch)
        if deployment is None:
            raise ValueError(f"{branch} has no Deployment")
        headers = {"Authorization": f"Bearer {self.astro_token}"}
        address = f"http://{deployment['webServerAirflowApiUrl']}/{path}"
        answer = self.sandbox.request(method, address, headers=headers, json=body)
        answer.raise_for_status()
        return answer.json()

    def list_runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the latest runs of the DAG, or of all ("~"), newest first."""
        answer = self.airflow.get(f"/api/v2/dags/{dag_id}/dagRuns", params={"limit": 100, "order_by": "-run_after"})
        answer.raise_for_status()
        return list(answer.json()["dag_runs"])

    def list_tasks(self, dag_id: str, run_id: str) -> dict[str, dict[str, Any]]:
        """Return the run's task instances by task id."""
        answer = self.airflow.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        answer.raise_for_status()
        return {task["task_id"]: task for task in answer.json()["task_instances"]}

    def read_field(self, dag_id: str, run_id: str, task_id: str, field_name: str) -> str:
        """Return a field of the task as the UI's Rendered Templates shows it; empty if there is none."""
        fields = self.list_tasks(dag_id, run_id)[task_id]["rendered_fields"]
        return str(fields.get(field_name) or "")

    def read_rows(self, project: str) -> dict[str, dict[str, Any]]:
        """Return what the Deploys page shows of a project, by environment; nothing before control's first pass."""
        answer = self.airflow.get("/api/v2/assets", params={"name_pattern": f"deploy_ops.{project}.fleet"})
        answer.raise_for_status()
        states = {key: value for each in answer.json()["assets"] for key, value in self._list_states(each["id"])}
        shards = [states[key] for key in sorted(states) if key.startswith("view.rows.")]
        return {row["environment"]: row for shard in shards for row in shard.values()}

    def _list_states(self, asset_id: int) -> Iterator[tuple[str, Any]]:
        """Yield the keys and values of an asset's state store."""
        seen, total = 0, 1
        while seen < total:
            answer = self.airflow.get(f"/api/v2/assets/{asset_id}/state-store", params={"limit": 100, "offset": seen})
            answer.raise_for_status()
            page = answer.json()
            yield from ((state["key"], _unwrap(state["value"])) for state in page["asset_state_store"])
            seen, total = seen + 100, page["total_entries"]

    def list_questions(self) -> list[str]:
        """Return the texts of all questions to people, also of those that were answered."""
        answer = self.airflow.get("/api/v2/dags/~/dagRuns/~/hitlDetails", params={"limit": 100})
        answer.raise_for_status()
        return [f"{each['subject']}\n{each['body'] or ''}" for each in answer.json()["hitl_details"]]

    def list_task_links(self, dag_id: str, run_id: str, task_id: str) -> dict[str, str]:
        """Return the buttons that lead out of Airflow from a task's page: addresses by their names."""
        answer = self.airflow.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/links")
        answer.raise_for_status()
        return {name: url for name, url in answer.json()["extra_links"].items() if url}

    def read_log(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1) -> str:
        """Return a try's log as Airflow's UI shows it: a line per entry, and one per exception behind it."""
        answer = self.airflow.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}")
        answer.raise_for_status()
        return "\n".join(line for entry in answer.json()["content"] for line in _list_lines(entry))

    def list_import_errors(self) -> dict[str, str]:
        """Return what is wrong with DAG files, by file, as Airflow's UI shows it."""
        answer = self.airflow.get("/api/v2/importErrors")
        answer.raise_for_status()
        return {error["filename"]: error["stack_trace"] for error in answer.json()["import_errors"]}

    def link(self, dag_id: str, run_id: str) -> str:
        """Return the run's page in the Airflow UI."""
        return f"{self.ports.airflow_url}/dags/{dag_id}/runs/{run_id}"


def _unwrap(stored: Any) -> Any:
    """Return what lies in the state store beside the version of its form; releases before 0.2.0 wrote it bare."""
    is_wrapped = isinstance(stored, dict) and isinstance(stored.get("version"), int) and "value" in stored
    return stored["value"] if is_wrapped else stored


def _list_lines(entry: dict[str, Any] | str) -> list[str]:
    if isinstance(entry, str):
        return [entry]
    raised = [f"{error['exc_type']}: {error['exc_value']}" for error in entry.get("error_detail") or ()]
    return [str(entry["event"]), *raised]
