"""Assemble the sandbox's faces into one ASGI application. It opens no socket and holds no state of its own."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount

from sandbox.control import Control
from sandbox.faults import FaultMiddleware, FaultPlan
from sandbox.journal import Journal, JournalMiddleware
from sandbox.start import Start, refuse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandbox.world import World


def create_app(world: World) -> Starlette:
    """Return the application: /github, /astro, /v2 (the registry), /sandbox (the control face), / (for people)."""
    journal, faults = Journal(), FaultPlan()
    astro_pages = world.astro.make_pages(world.github.find_commit_page, world.airflows.show)

    @asynccontextmanager
    async def run_ci(_: Starlette) -> AsyncIterator[None]:
        world.ci.start()
        yield
        world.ci.stop()
        world.airflows.end()

    return Starlette(
        routes=[
            Mount("/github", routes=world.github.routes()),
            Mount("/astro", routes=[*world.astro.routes(), *world.airflows.routes(), *astro_pages.routes()]),
            Mount("/v2", routes=world.registry.routes()),
            Mount("/sandbox", routes=Control(world, journal, faults).routes()),
            *Start(world, astro_pages).routes(),
        ],
        exception_handlers={404: refuse},
        middleware=[Middleware(JournalMiddleware, journal=journal), Middleware(FaultMiddleware, plan=faults)],
        lifespan=run_ci,
    )
