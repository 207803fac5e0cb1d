"""The start page, /: the sandbox at a glance, with a link to everything that it shows to people."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse
from starlette.routing import Route

from sandbox.github.overview import lay_out_branches, lay_out_pulls
from sandbox.html import Html, fill, join, lay_out, link, list_items, mark, respond, tag
from sandbox.identity import ORGANIZATION_NAME, WORKSPACE_NAME

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from sandbox.astro.pages import Pages
    from sandbox.world import World

_SHOWN_DIGITS = 12
_BUILDS_MAX = 20
_NOT_FOUND = 404
_FOR_PROGRAMS = ("/sandbox/requests", "/sandbox/ci", "/sandbox/settings", "/sandbox/faults")


@dataclass(frozen=True, slots=True)
class Start:
    """The page, and what is answered to a browser that asks for what is not there."""

    world: World
    astro: Pages

    def routes(self) -> list[Route]:
        """Return the one route."""
        return [Route("/", self.show)]

    async def show(self, _request: Request) -> Response:
        """Show the repositories, Astro and the registry."""
        body = [
            tag(
                "p",
                "A GitHub, an Astro, an image registry and a CI, on this machine alone. It forgets all of it when "
                "it ends.",
                class_="muted",
            ),
            *self._show_repositories(),
            tag("h2", f"Deployments of {ORGANIZATION_NAME}, {WORKSPACE_NAME}"),
            self.astro.lay_out_deployments(),
            tag("h2", "Images"),
            self._lay_out_images(),
            tag("h2", "Newest builds of the CI"),
            self._lay_out_builds(),
            tag("h2", "For programs"),
            list_items(link(path, path) for path in _FOR_PROGRAMS),
        ]
        return respond("Sandbox", join(body), is_start=True)

    def _show_repositories(self) -> list[Html]:
        return [
            join(
                [
                    tag("h2", "Repository ", link(each.urls.build_html(), each.full_name)),
                    lay_out_branches(each),
                    tag("h2", "Pull requests"),
                    lay_out_pulls(each),
                ]
            )
            for each in self.world.github.repositories.values()
        ]

    def _lay_out_images(self) -> Html:
        """Return a table of the images; tags that name the same one share its row."""
        tags = defaultdict(list)
        for repository, name, digest in self.world.registry.list_images():
            tags[repository, digest].append(name)
        rows = [
            (fill(repository), fill(join((tag("code", name) for name in names), " ")), tag("code", _shorten(digest)))
            for (repository, digest), names in tags.items()
        ]
        return lay_out(("Repository", "Tags", "Digest"), rows, "There is no image.")

    def _lay_out_builds(self) -> Html:
        find_page = self.world.github.find_commit_page
        rows = [
            (
                build["branch"],
                link(find_page(build["sha"]) or "", tag("code", build["sha"][:_SHOWN_DIGITS])),
                mark(build["state"]),
                fill(build["reason"]),
            )
            for build in reversed(self.world.ci.to_json()[-_BUILDS_MAX:])
        ]
        return lay_out(("Branch", "Commit", "State", "Reason"), rows, "Nothing was pushed yet.")


def _shorten(digest: str) -> str:
    kind, _, digits = digest.partition(":")
    return f"{kind}:{digits[:_SHOWN_DIGITS]}"


async def refuse(request: Request, _error: Exception) -> Response:
    """Tell a browser that a page is not there, and where the way back is; to programs the status says it."""
    if "text/html" not in request.headers.get("accept", ""):
        return PlainTextResponse("Not Found", _NOT_FOUND)
    said = f"The sandbox has nothing at {request.url.path}. What it has is on its start page."
    return respond("Not found", tag("p", said), status=_NOT_FOUND)
