"""The face of the sandbox's Astro: its routes, its reset, and what runs in a Deployment. The rest is in its parts."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.astro.answers import answer_page, guard, refuse_unknown
from sandbox.astro.bundle import unpack_bundle
from sandbox.astro.deployments import Deployments
from sandbox.astro.deploys import Deploys
from sandbox.astro.documents import describe_organization, describe_workspace
from sandbox.astro.environment import EnvironmentObjects
from sandbox.astro.pages import Pages
from sandbox.astro.tokens import Tokens
from sandbox.astro.uploads import Uploads

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

    from sandbox.astro.pages import FindCommitPage, ShowAirflow
    from sandbox.astro.records import Code, Deploy, Deployment
    from sandbox.astro.registry import Registry
    from sandbox.settings import Settings

_HOME = "usr/local/airflow/"


class Astro:
    """The service. Its methods and endpoints share one event loop; it is not thread-safe.

    :param data_dir: `astro/` below it holds the uploaded bundles.
    :param settings: read anew for every answer.
    :param base_url: scheme, host and port of the server, without a path; the routes are mounted under `/astro`.
    :param registry: where images are pushed, at the same host.
    """

    def __init__(self, data_dir: Path, settings: Settings, base_url: str, registry: Registry) -> None:
        self._registry = registry
        self._deployments = Deployments(settings, base_url)
        self._deploys = Deploys(self._deployments, registry, base_url)
        self.tokens = Tokens(self._deployments)
        self.environment = EnvironmentObjects()
        self._uploads = Uploads(data_dir / "astro" / "uploads", self._deploys.find_signature)

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the API (`/v1/...`) and of the uploads (`/upload/...`)."""
        organization = "/v1/organizations/{organization}"
        return [
            Route("/v1/organizations", guard(_list_organizations), methods=["GET"]),
            Route(organization, guard(_get_organization), methods=["GET"]),
            Route(f"{organization}/workspaces", guard(_list_workspaces), methods=["GET"]),
            Route(f"{organization}/clusters", guard(_list_clusters), methods=["GET"]),
            *self._deployments.routes(),
            *self._deploys.routes(self._uploads),
            *self.tokens.routes(),
            *self.environment.routes(),
            Route("/upload/{upload}", self._uploads.put, methods=["PUT"]),
            Route("/v1/{path:path}", guard(refuse_unknown), methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        ]

    def make_pages(self, find_commit_page: FindCommitPage, show_airflow: ShowAirflow) -> Pages:
        """Return the pages behind the links of the API's answers."""
        return Pages(self._deployments, self._deploys, self.list_files, find_commit_page, show_airflow)

    def reset(self) -> None:
        """Forget every Deployment, deploy, upload, token and environment object."""
        self._uploads.clear()
        self._deploys.clear()
        self._deployments.clear()
        self.tokens.clear()
        self.environment.clear()

    def list_deployments(self) -> list[Deployment]:
        """Return the Deployments that are there, oldest first."""
        return self._deployments.list_all()

    def adopt(self, deployment: Deployment, deploy: Deploy, version: str, bundle: bytes) -> None:
        """Take over a Deployment that runs since long, and the deploy that brought it its code.

        :param bundle: the deploy's DAGs, a tar.gz of that version.
        """
        self._deployments.add(deployment)
        self._deploys.add(deploy, version, self._uploads.keep(deploy.id, version, bundle))

    def list_files(self, deployment_id: str) -> list[tuple[str, str]]:
        """Return (path below the Airflow home, SHA-256), sorted, of what the image and the DAG bundle hold together.

        With DAG deploys the bundle stands in place of the image's `dags/`.

        :raises KeyError: when there is no such Deployment.
        """
        deployment = self._deployments.get(deployment_id)
        files = dict(self._list_image(deployment.repository, deployment.code.image_tag))
        if deployment.spec["isDagDeployEnabled"] and deployment.code.dag_version is not None:
            files = {path: digest for path, digest in files.items() if not path.startswith("dags/")}
            files |= dict(self._deploys.list_bundle(deployment.code.dag_version))
        return sorted(files.items())

    def unpack(self, deployment: Deployment, code: Code, folder: Path) -> None:
        """Lay the files of an image and a DAG bundle into a folder, as they lie below the Airflow home."""
        if code.image_tag is not None:
            self._registry.unpack(deployment.repository, code.image_tag, _HOME, folder)
        if deployment.spec["isDagDeployEnabled"] and code.dag_version is not None:
            shutil.rmtree(folder / "dags", ignore_errors=True)
            unpack_bundle(self._deploys.find_archive(code.dag_version), folder)

    def _list_image(self, repository: str, tag: str | None) -> list[tuple[str, str]]:
        if tag is None:
            return []
        files = [(path.lstrip("/"), digest) for path, digest in self._registry.read_files(repository, tag)]
        return [(path.removeprefix(_HOME), digest) for path, digest in files if path.startswith(_HOME)]


async def _list_organizations(request: Request) -> Response:
    return answer_page(request, "organizations", [describe_organization()])


async def _get_organization(_request: Request) -> Response:
    return JSONResponse(describe_organization())


async def _list_workspaces(request: Request) -> Response:
    return answer_page(request, "workspaces", [describe_workspace()])


async def _list_clusters(request: Request) -> Response:
    return answer_page(request, "clusters", [])
