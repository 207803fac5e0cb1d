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

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sandbox.world import World


def create_app(world: World) -> Starlette:
    """Return the application: /github, /astro, /v2 (the registry) and /sandbox (the control face)."""
    journal, faults = Journal(), FaultPlan()

    @asynccontextmanager
    async def run_ci(_: Starlette) -> AsyncIterator[None]:
        world.ci.start()
        yield
        world.ci.stop()

    return Starlette(
        routes=[
            Mount("/github", routes=world.github.routes()),
            Mount("/astro", routes=world.astro.routes()),
            Mount("/v2", routes=world.registry.routes()),
            Mount("/sandbox", routes=Control(world, journal, faults).routes()),
        ],
        middleware=[Middleware(JournalMiddleware, journal=journal), Middleware(FaultMiddleware, plan=faults)],
        lifespan=run_ci,
    )
