"""The API's deploys: records, and what finalizing or rolling back one does to its Deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse
from starlette.routing import Route

from sandbox.astro.answers import ApiError, answer_page, guard, read_object
from sandbox.astro.bundle import BundleError, hash_bundle
from sandbox.astro.documents import describe_deploy
from sandbox.astro.fields import read_git
from sandbox.astro.records import Code, Deploy
from sandbox.clock import now
from sandbox.identity import RUNTIME_LABEL

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

    from sandbox.astro.deployments import Deployments
    from sandbox.astro.records import Deployment
    from sandbox.astro.registry import Registry
    from sandbox.astro.uploads import Uploads

_BASE = "/v1/organizations/{organization}/deployments/{deployment}/deploys"
_KINDS = ("IMAGE_AND_DAG", "IMAGE_ONLY", "DAG_ONLY", "BUNDLE")
_TEXT_LENGTH_MAX = 500


class Deploys:
    """All deploy records, oldest first, and the bundles that they carried.

    :param base_url: scheme, host and port of the server.
    """

    def __init__(self, deployments: Deployments, registry: Registry, base_url: str) -> None:
        self._deployments = deployments
        self._registry = registry
        self._base_url = base_url
        self._by_id: dict[str, Deploy] = {}
        self._bundles: dict[str, tuple[Path, list[tuple[str, str]]]] = {}

    def clear(self) -> None:
        """Forget all of them."""
        self._by_id.clear()
        self._bundles.clear()

    def add(self, deploy: Deploy, version: str, archive: Path) -> None:
        """Take over a DEPLOYED record with its DAG bundle."""
        self._by_id[deploy.id] = deploy
        self._bundles[version] = (archive, hash_bundle(archive))

    def list_of(self, deployment: Deployment) -> list[Deploy]:
        """Return the Deployment's deploys, newest first."""
        return [deploy for deploy in reversed(self._by_id.values()) if deploy.deployment_id == deployment.id]

    def find_signature(self, deploy_id: str) -> str | None:
        """Return the `sig` that opens a deploy's upload, None when there is no such deploy."""
        deploy = self._by_id.get(deploy_id)
        return None if deploy is None else deploy.signature

    def list_bundle(self, version: str) -> list[tuple[str, str]]:
        """Return (path, SHA-256) of a bundle that a deploy carried.

        :raises KeyError: when none carried it.
        """
        return self._bundles[version][1]

    def find_archive(self, version: str) -> Path:
        """Return the tar.gz of a bundle that a deploy carried.

        :raises KeyError: when none carried it.
        """
        return self._bundles[version][0]

    def routes(self, uploads: Uploads) -> list[Route]:
        """Return the routes, relative to where the API is mounted."""

        async def finalize(request: Request) -> Response:
            return await self._finalize(request, uploads)

        one = f"{_BASE}/{{deploy}}"
        return [
            Route(_BASE, guard(self._list), methods=["GET"]),
            Route(_BASE, guard(self._create), methods=["POST"]),
            Route(one, guard(self._get), methods=["GET"]),
            Route(one, guard(self._update), methods=["POST"]),
            Route(f"{one}/finalize", guard(finalize), methods=["POST"]),
            Route(f"{one}/rollback", guard(self._roll_back), methods=["POST"]),
        ]

    def _find(self, request: Request) -> tuple[Deployment, Deploy]:
        deployment = self._deployments.find(request)
        deploy = self._by_id.get(request.path_params["deploy"])
        if deploy is None or deploy.deployment_id != deployment.id:
            raise ApiError(404, "Deploy not found")
        return deployment, deploy

    def _describe(self, deploy: Deploy, deployment: Deployment) -> dict[str, Any]:
        return describe_deploy(deploy, deployment, self._base_url)

    async def _list(self, request: Request) -> Response:
        deployment = self._deployments.find(request)
        deploys = self.list_of(deployment)
        return answer_page(request, "deploys", [self._describe(deploy, deployment) for deploy in deploys])

    async def _create(self, request: Request) -> Response:
        deployment = self._deployments.find(request)
        deploy = _read_deploy(await read_object(request), deployment)
        self._by_id[deploy.id] = deploy
        return JSONResponse(self._describe(deploy, deployment))

    async def _get(self, request: Request) -> Response:
        deployment, deploy = self._find(request)
        return JSONResponse(self._describe(deploy, deployment))

    async def _update(self, request: Request) -> Response:
        deployment, deploy = self._find(request)
        deploy.description = _read_text(await read_object(request), "description")
        deploy.updated_at = now()
        return JSONResponse(self._describe(deploy, deployment))

    async def _finalize(self, request: Request, uploads: Uploads) -> Response:
        deployment, deploy = self._find(request)
        body = await read_object(request)
        if deploy.status != "INITIALIZED":
            raise ApiError(400, f"Invalid request: the deploy is {deploy.status} already")
        version = _read_text(body, "dagTarballVersion" if deploy.bundle is None else "bundleTarballVersion") or None
        if version is not None:
            self._bundles[version] = _read_upload(uploads.find(deploy.id, version), version)
        self._conclude(deployment, deploy, version)
        return JSONResponse(self._describe(deploy, deployment))

    def _conclude(self, deployment: Deployment, deploy: Deploy, version: str | None) -> None:
        """Make the deploy DEPLOYED, or FAILED when its image is not in the registry: then all stays as it was."""
        deploy.updated_at = now()
        if deploy.has_image and not self._registry.has_image(deployment.repository, deploy.image_tag):
            deploy.status = "FAILED"
            return
        deploy.status = "DEPLOYED"
        deploy.code = self._combine(deployment, deploy, version)
        deploy.dag_version = version if deploy.bundle is None else None
        deployment.carry(deploy.code)

    def _combine(self, deployment: Deployment, deploy: Deploy, version: str | None) -> Code:
        """Return what runs after the deploy: what it carries, and what ran before of the rest."""
        code = deployment.code
        if deploy.bundle is None and version is not None:
            code = Code(code.image_tag, code.runtime_version, version)
        if not deploy.has_image:
            return code
        labels = self._registry.read_labels(deployment.repository, deploy.image_tag)
        return Code(deploy.image_tag, labels.get(RUNTIME_LABEL) or code.runtime_version, code.dag_version)

    async def _roll_back(self, request: Request) -> Response:
        deployment, target = self._find(request)
        description = _read_text(await read_object(request), "description")
        if target.status != "DEPLOYED" or target.bundle is not None:
            raise ApiError(400, "Invalid request: only a DEPLOYED deploy of an image or of DAGs can be rolled back to")
        deploy = Deploy(
            deployment_id=deployment.id,
            kind=target.kind,
            description=description,
            git=target.git,
            image_tag=target.image_tag,
            is_dag_deploy_enabled=target.is_dag_deploy_enabled,
            rollback_from_id=target.id,
            status="DEPLOYED",
            dag_version=target.dag_version,
            code=target.code,
        )
        self._by_id[deploy.id] = deploy
        deployment.carry(deploy.code)
        return JSONResponse(self._describe(deploy, deployment))


def _read_deploy(body: dict[str, Any], deployment: Deployment) -> Deploy:
    kind = body.get("type")
    if kind not in _KINDS:
        raise ApiError(400, f"Invalid request: type must be one of {', '.join(_KINDS)}, not {kind!r}")
    tag = f"deploy-{now().strftime('%Y-%m-%dT%H-%M-%S-%f')}"
    return Deploy(
        deployment_id=deployment.id,
        kind=kind,
        description=_read_text(body, "description"),
        git=read_git(body.get("git")),
        # A deploy without an image shows the one that it leaves in place.
        image_tag=tag if kind.startswith("IMAGE") else deployment.code.image_tag or tag,
        is_dag_deploy_enabled=deployment.spec["isDagDeployEnabled"],
        bundle=_read_bundle(body, kind),
    )


def _read_bundle(body: dict[str, Any], kind: str) -> dict[str, str] | None:
    path, _ = _read_text(body, "bundleMountPath"), _read_text(body, "bundleType")
    if kind != "BUNDLE":
        return None
    if not path:
        raise ApiError(400, "Invalid request: bundleMountPath is required for type BUNDLE")
    return {"bundleMountPath": path}


def _read_text(body: dict[str, Any], name: str) -> str:
    text = body.get(name) or ""
    if not isinstance(text, str):
        raise ApiError(400, f"Invalid request: {name} must be a text")
    if len(text) > _TEXT_LENGTH_MAX:
        raise ApiError(400, f"Invalid request: {name} must have at most {_TEXT_LENGTH_MAX} characters")
    return text


def _read_upload(archive: Path | None, version: str) -> tuple[Path, list[tuple[str, str]]]:
    if archive is None:
        raise ApiError(400, f"Invalid request: nothing was uploaded for this deploy as version {version!r}")
    try:
        return archive, hash_bundle(archive)
    except BundleError as error:
        raise ApiError(400, f"Invalid request: {error}") from error
