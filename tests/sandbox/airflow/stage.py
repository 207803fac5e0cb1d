"""A Deployment of the sandbox whose Airflow is asked: deploys in a line, and no answer that Airflow could not give."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sandbox.identity import ASTRO_TOKEN, ORGANIZATION_ID
from tests.contract.airflow.judge import list_answer_problems, list_request_problems
from tests.sandbox.astro.calls import CREATE, pack

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from tests.sandbox.conftest import Sandbox

AUTH = {"authorization": f"Bearer {ASTRO_TOKEN}"}
API = f"/astro/v1/organizations/{ORGANIZATION_ID}"
_LIMIT_S = 170
_STEP_S = 0.2


class Stage:
    """A new Deployment, whose deploys come through at once.

    :param variables: its environment variables, all of them secret.
    """

    def __init__(self, sandbox: Sandbox, variables: Mapping[str, str] | None = None, name: str = "dev-x") -> None:
        self.sandbox = sandbox
        self.answers: list[httpx.Response] = []
        self.set(creating_s=0, deploying_s=0, waking_s=0, dag_processing_s=0, airflow_patience_s=_LIMIT_S)
        sent = [{"key": key, "value": value, "isSecret": True} for key, value in (variables or {}).items()]
        body = {**CREATE, "name": name, "astroRuntimeVersion": "3.3-2", "environmentVariables": sent}
        self.deployment = self.call("POST", "/deployments", json={**body, "isDevelopmentMode": True})
        self.path = f"/deployments/{self.deployment['id']}"
        self.url = f"http://{self.deployment['webServerAirflowApiUrl']}"

    def set(self, **settings: Any) -> None:
        """Set how long things take."""
        assert self.sandbox.client.post("/sandbox/settings", json=settings).status_code == 200

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Ask Astro's API, and give the JSON that it answers."""
        answer = self.sandbox.client.request(method, API + path, headers=AUTH, **options)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def deploy(self, **files: str) -> None:
        """Deploy a bundle: file names in `dags/` without `.py`, and what is in them."""
        deploy = self.call("POST", f"{self.path}/deploys", json={"type": "DAG_ONLY"})
        put = self.sandbox.client.put(
            deploy["dagsUploadUrl"], content=pack(*((f"dags/{name}.py", text) for name, text in files.items()))
        )
        body = {"dagTarballVersion": put.headers["x-ms-version-id"]}
        self.call("POST", f"{self.path}/deploys/{deploy['id']}/finalize", json=body)

    def ask(self, method: str, path: str, status: int = 200, **options: Any) -> Any:
        """Ask its Airflow for what Airflow's description knows, and give the JSON that is answered."""
        headers = options.pop("headers", AUTH)
        answer = self.sandbox.client.request(method, self.url + path, headers=headers, timeout=_LIMIT_S, **options)
        self.answers.append(answer)
        assert answer.status_code == status, answer.text
        assert list_answer_problems(answer) == []
        assert not answer.is_success or list_request_problems(answer.request) == []
        return answer.json() if answer.content else None

    def wait_run(self, path: str) -> Any:
        """Wait until a run has come to its end, and give it."""
        until = time.monotonic() + _LIMIT_S
        while (run := self.ask("GET", path))["state"] in {"queued", "running"}:
            assert time.monotonic() < until, run
            time.sleep(_STEP_S)
        return run
