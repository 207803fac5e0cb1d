"""Faults that are planted into the sandbox, and the moment at which they strike."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.witness import Witness

LATE_S, USUAL_S = 30.0, 1.0
"""How long a deploy takes to settle: so that the task which awaits it parks, and as it does otherwise."""

_HANG = {
    "face": "astro",
    "method": "POST",
    "delay_s": 60,
    "status": 500,
    "body": {"message": "too late", "statusCode": 500},
}
HALF_CREATED = {**_HANG, "path": r"/deployments/[^/]+$"}
"""Astro has made the Deployment; its variables, which come next, hang, and whoever sends them can be killed."""

HALF_DEPLOYED = {**_HANG, "path": "/finalize$"}
"""Astro has begun a deploy record and has the code; the end of it hangs."""


def plant(witness: Witness, **fault: Any) -> None:
    """Plant a fault."""
    witness.stack.sandbox.post("/sandbox/faults", json=fault).raise_for_status()


@contextmanager
def settle_late(witness: Witness) -> Iterator[None]:
    """Let deploys settle so late that what awaits it parks before."""
    witness.change_sandbox(dag_processing_s=LATE_S)
    try:
        yield
    finally:
        witness.change_sandbox(dag_processing_s=USUAL_S)


def await_struck(witness: Witness) -> None:
    """Return when no planted fault waits for its request any more."""
    witness.await_true(
        "the planted fault to strike", lambda: not witness.stack.sandbox.get("/sandbox/faults").json()["faults"]
    )
