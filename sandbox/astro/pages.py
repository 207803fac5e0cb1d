"""Pages behind the links of Astro's answers: a Deployment, and its Airflow. Read only.

They show what the API knows, to any browser on this machine; values of secrets are not among it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.routing import Route

from sandbox.html import Html, fill, join, lay_out, lay_out_facts, link, list_items, mark, respond, tag, write_time
from sandbox.identity import ORGANIZATION_NAME, WORKSPACE_ID, WORKSPACE_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from starlette.requests import Request
    from starlette.responses import Response

    from sandbox.astro.deployments import Deployments
    from sandbox.astro.deploys import Deploys
    from sandbox.astro.records import Deploy, Deployment

FindCommitPage = Callable[[str], str | None]
"""Gives the address of a commit's page, None where it is not known."""
ShowAirflow = Callable[[str], Html]
"""Gives what the Airflow of a Deployment, by its id, knows so far."""
_TOLD = re.compile(r"\bcommit=([0-9a-f]{40})\b")
"""How a description tells the commit: the Astro CLI names none where it deploys an image."""
_GONE = 410
_SHOWN_DIGITS = 7
_ID_END = 8
"""Characters of a Deployment's id that its Airflow's address has."""
_FACTS = {
    "id": "Id",
    "namespace": "Namespace",
    "workspaceName": "Workspace",
    "astroRuntimeVersion": "Astro Runtime",
    "airflowVersion": "Airflow",
    "executor": "Executor",
    "schedulerSize": "Scheduler",
    "isDevelopmentMode": "Development mode",
    "isHighAvailability": "High availability",
    "isDagDeployEnabled": "DAG deploys",
    "cloudProvider": "Cloud",
    "region": "Region",
    "imageRepository": "Image repository",
    "imageTag": "Image tag",
    "dagTarballVersion": "DAGs that it runs",
    "desiredDagTarballVersion": "DAGs that were deployed",
}


@dataclass(frozen=True, slots=True)
class Pages:
    """The pages of all Deployments, also of those that were deleted.

    :param list_files: gives (path, SHA-256) of what runs in a Deployment, by its id.
    """

    deployments: Deployments
    deploys: Deploys
    list_files: Callable[[str], list[tuple[str, str]]]
    find_commit_page: FindCommitPage
    what_airflow_knows: ShowAirflow

    def routes(self) -> list[Route]:
        """Return the routes, relative to where the API is mounted."""
        return [
            Route(f"/{WORKSPACE_ID}/deployments", self.show_workspace),
            Route(f"/{WORKSPACE_ID}/deployments/{{deployment}}", self.show_deployment),
            Route("/airflow/{end}", self.show_airflow),
        ]

    async def show_workspace(self, _request: Request) -> Response:
        """Show the Deployments."""
        return respond(f"Deployments of {WORKSPACE_NAME}", self.lay_out_deployments())

    async def show_deployment(self, request: Request) -> Response:
        """Show a Deployment as Astro would: its deploys, files, variables, and what it is."""
        deployment = self._find(request.path_params["deployment"])
        return (
            self._show_deployment(deployment) if deployment else self._show_deleted(request.path_params["deployment"])
        )

    def _show_deployment(self, deployment: Deployment) -> Response:
        shown = self.deployments.describe(deployment)
        times = ("Created", write_time(deployment.created_at)), ("Updated", write_time(deployment.updated_at))
        body = [
            tag("p", mark(shown["status"]), " ", link(_write_airflow_path(deployment), "Open Airflow")),
            tag("p", shown.get("description")),
            tag("h2", "Deploys"),
            self._lay_out_deploys(deployment),
            *_show_files(path for path, _ in self.list_files(deployment.id)),
            tag("h2", "Environment variables"),
            _lay_out_variables(shown["environmentVariables"]),
            tag("h2", "Details"),
            lay_out_facts([*((name, _write(shown.get(key))) for key, name in _FACTS.items()), *times]),
        ]
        return respond(f"Deployment {shown['name']}", join(body), _link_workspace())

    async def show_airflow(self, request: Request) -> Response:
        """Show, at the address of a Deployment's Airflow, what it knows and what it runs; it has no other pages."""
        deployment = self._find(request.path_params["end"])
        return self._show_airflow(deployment) if deployment else self._show_deleted(request.path_params["end"])

    def _show_airflow(self, deployment: Deployment) -> Response:
        shown, newest = self.deployments.describe(deployment), self._find_newest(deployment)
        name = shown["name"]
        said = (
            f"The Airflow of {name}, {shown['airflowVersion']}, has no pages in the sandbox; its REST API is at "
            f"{shown['webServerAirflowApiUrl']}. The Deployment is {shown['status']}."
        )
        deployed = (
            [f"{newest.kind} of ", self._link_commit(newest), f", {write_time(newest.updated_at)}"] if newest else []
        )
        body = [
            tag("p", said),
            tag("p", "Last deploy: ", *(deployed or ["none yet."])),
            self.what_airflow_knows(deployment.id),
            *_show_files(path for path, _ in self.list_files(deployment.id)),
        ]
        return respond(f"Airflow of {name}", join(body), _link_workspace(), link(_write_path(deployment), name))

    def lay_out_deployments(self) -> Html:
        """Return a table of the Deployments."""
        rows = [self._list_cells(each) for each in self.deployments.list_all()]
        headings = ("Deployment", "Status", "Runs", "Last deploy", "Runtime", "Airflow")
        return lay_out(headings, rows, "There is no Deployment.")

    def _list_cells(self, deployment: Deployment) -> tuple[object, ...]:
        shown, newest = self.deployments.describe(deployment), self._find_newest(deployment)
        return (
            link(_write_path(deployment), shown["name"]),
            mark(shown["status"]),
            self._link_commit(newest) if newest else "nothing yet",
            f"{newest.kind}, {write_time(newest.updated_at)}" if newest else "",
            shown["astroRuntimeVersion"],
            link(_write_airflow_path(deployment), "Open"),
        )

    def _find(self, id_end: str) -> Deployment | None:
        """Return the Deployment whose id ends so; its Airflow's address has no more of it."""
        ends_so = (each for each in self.deployments.list_all() if each.id.endswith(id_end))
        return next(ends_so, None) if len(id_end) >= _ID_END else None

    def _find_newest(self, deployment: Deployment) -> Deploy | None:
        """Return the newest deploy that came to its end."""
        return next((each for each in self.deploys.list_of(deployment) if each.status == "DEPLOYED"), None)

    def _show_deleted(self, id_end: str) -> Response:
        found = self.deployments.find_deleted(id_end) if len(id_end) >= _ID_END else None
        if found is None:
            raise HTTPException(404)
        deployment, at = found
        said = f" at {write_time(at)}, and its Airflow with it. These were its deploys:"
        body = [tag("p", mark("deleted"), said), self._lay_out_deploys(deployment)]
        return respond(f"Deployment {deployment.spec['name']}", join(body), _link_workspace(), status=_GONE)

    def _lay_out_deploys(self, deployment: Deployment) -> Html:
        rows = [
            (
                write_time(each.created_at),
                join([tag("div", mark(each.status)), tag("div", each.kind)]),
                self._link_commit(each),
                fill(tag("div", each.description), tag("div", _name_code(each), class_="muted")),
            )
            for each in self.deploys.list_of(deployment)
        ]
        return lay_out(("Created", "Type", "Commit", "Description"), rows, "Nothing was deployed.")

    def _link_commit(self, deploy: Deploy) -> Html:
        """Return the deploy's commit, a link where the sandbox's GitHub has it."""
        told = _TOLD.search(deploy.description)
        sha = str((deploy.git or {}).get("commitSha") or (told[1] if told else ""))
        return link(self.find_commit_page(sha) or "", tag("code", sha[:_SHOWN_DIGITS])) if sha else Html("no commit")


def _name_code(deploy: Deploy) -> Html:
    """Return what the deploy brought."""
    parts = [
        f"image {deploy.image_tag}",
        f"DAGs {deploy.dag_version}" if deploy.dag_version else "",
        f"rolled back to {deploy.rollback_from_id}" if deploy.rollback_from_id else "",
    ]
    return join(parts, ", ")


def _link_workspace() -> Html:
    return link(f"/astro/{WORKSPACE_ID}/deployments", f"{ORGANIZATION_NAME}, {WORKSPACE_NAME}")


def _write_path(deployment: Deployment) -> str:
    return f"/astro/{WORKSPACE_ID}/deployments/{deployment.id}"


def _write_airflow_path(deployment: Deployment) -> str:
    return f"/astro/airflow/{deployment.id[-_ID_END:]}"


def _write(value: object) -> object:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


def _lay_out_variables(variables: list[dict[str, Any]]) -> Html:
    rows = [
        (
            tag("code", each["key"]),
            tag("span", "secret", class_="muted") if each["isSecret"] else fill(each.get("value")),
        )
        for each in variables
    ]
    return lay_out(("Name", "Value"), rows, "It has none.")


def _show_files(paths: Iterable[str]) -> Iterator[Html]:
    """Yield what is deployed: the files in which Airflow would look for DAGs, and the others."""
    dags: list[str] = []
    others: list[str] = []
    for path in paths:
        (dags if path.startswith("dags/") and path.endswith((".py", ".zip")) else others).append(path)
    yield tag("h2", "Files with DAGs")
    yield list_items(dags) if dags else tag("p", "None is deployed.", class_="muted")
    if others:
        yield tag("details", tag("summary", f"Other files: {len(others)}"), list_items(others))
