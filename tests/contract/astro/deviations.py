"""Where Astro, or its CLI, does otherwise than the description says: the one table, each with its reason."""

from __future__ import annotations

from tests.contract.openapi.deviation import UNKNOWN, Deviation

ERROR = "Error"

_DEPLOYMENTS = "/organizations/{organizationId}/deployments/{deploymentId}"

DEVIATIONS = (
    Deviation(UNKNOWN, "the sandbox tells in Astro's words what it does not have", status=404, schema=ERROR),
    Deviation(
        f"POST {_DEPLOYMENTS}/deploys/{{deployId}}/finalize",
        "as of the other operations on what is not there; the description has it of all but this one",
        status=404,
        schema=ERROR,
    ),
    Deviation(f"POST {_DEPLOYMENTS}", "seen: the Astro CLI 1.45.0 says null where there is none", null="contactEmails"),
)
