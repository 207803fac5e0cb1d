"""The Deploys page in Airflow's UI: an entry in the navigation, and the static files behind it.

The files hold no data: the browser reads it from Airflow's own REST API as whoever is logged in. Every process of
Airflow's that needs any plugin imports this module, so the web application is made at the first request.
"""

from __future__ import annotations

import hashlib
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from fastapi import FastAPI
    from starlette.types import Receive, Send

PREFIX = "deploy-ops"
"""Where the page's own routes begin, below Airflow's base URL."""

FOLDER = Path(__file__).parent / "deployments_page"
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

SECURITY = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
"""Nothing but our own files runs, nothing outside is called, and no text ever becomes markup."""

FOREVER = "private, max-age=31536000, immutable"
ASK = "private, no-cache"
NEVER = "no-store"


@cache
def read_files() -> dict[str, bytes]:
    """Return what is served, by name; the page itself is `index.html`."""
    return {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.is_file()}


@cache
def compute_version() -> str:
    """Return a name for exactly these files; it stands in their addresses, so browsers may keep them for ever."""
    return hashlib.sha256(
        b"".join(b"%s\0%s\0" % (name.encode(), data) for name, data in read_files().items())
    ).hexdigest()[:16]


def make_page() -> bytes:
    """Return the page, its addresses naming this version of the other files."""
    return read_files()["index.html"].replace(b"{version}", compute_version().encode())


@cache
def make_app() -> FastAPI:
    """Return the web application. Who is not logged in gets 401 for everything."""
    from airflow import settings
    from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
    from airflow.api_fastapi.core_api.security import get_user, requires_access_configuration, requires_access_view
    from fastapi import Depends, FastAPI, Header
    from fastapi.responses import JSONResponse, Response

    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(requires_access_view(AccessView.WEBSITE))],
    )

    # What is asked for stands in plain types and defaults: FastAPI reads annotations by the module's names alone.
    def show_page(if_none_match: str = Header("")) -> Any:
        tag = f'"{compute_version()}"'
        headers = {**SECURITY, "Cache-Control": ASK, "ETag": tag}
        if if_none_match == tag:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(make_page(), media_type="text/html; charset=utf-8", headers=headers)

    def show_name(user: Any = Depends(get_user)) -> Any:  # noqa: B008 - how FastAPI is told
        return JSONResponse({"name": user.get_name()}, headers={**SECURITY, "Cache-Control": NEVER})

    def show_database() -> Any:
        kind = settings.get_engine().dialect.name  # type: ignore[no-untyped-call]  # Airflow's, without types
        return JSONResponse({"kind": kind}, headers={**SECURITY, "Cache-Control": NEVER})

    app.get("/page", response_model=None)(show_page)
    app.get("/me", response_model=None)(show_name)
    # Airflow's own configuration hides the database's address, kind and all; who may read it is told the kind alone.
    configured = [Depends(requires_access_configuration("GET"))]
    app.get("/database", response_model=None, dependencies=configured)(show_database)
    app.get("/{version}/{name}", response_model=None)(answer_file)
    return app


def answer_file(version: str, name: str) -> Any:
    """Return a file's answer.

    While servers are replaced, one may be asked for another's version: it answers with its own, to be kept by nobody.
    """
    from starlette.responses import Response

    data, media_type = read_files().get(name), MEDIA_TYPES.get(Path(name).suffix)
    if data is None or media_type is None:
        return Response(status_code=HTTPStatus.NOT_FOUND, headers={**SECURITY, "Cache-Control": NEVER})
    caching = FOREVER if version == compute_version() else NEVER
    return Response(data, media_type=f"{media_type}; charset=utf-8", headers={**SECURITY, "Cache-Control": caching})


async def serve(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """Answer a request, as ASGI has it."""
    await make_app()(scope, receive, send)


class DeploymentsPage(AirflowPlugin):
    """The plugin: Airflow finds it by its class. Addresses are relative, so that it works behind a URL prefix."""

    name = "deploy_ops_page"
    fastapi_apps = [{"app": serve, "url_prefix": f"/{PREFIX}", "name": "Deploy Ops"}]  # noqa: RUF012 - Airflow's way
    external_views = [  # noqa: RUF012 - likewise
        {
            "name": "Deploys",
            "href": f"{PREFIX}/page",
            "destination": "nav",
            "nav_top_level": True,
            "url_route": "deployments",
            "icon": f"{PREFIX}/{compute_version()}/icon.svg",
            "icon_dark_mode": f"{PREFIX}/{compute_version()}/icon-dark.svg",
        }
    ]
