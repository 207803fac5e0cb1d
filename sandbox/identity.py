"""Who is who in the sandbox: names, ids and the made-up tokens that open it. Nothing here is a secret."""

from __future__ import annotations

OWNER = "acme"
REPOSITORY = "data-platform"
REPOSITORY_ID = 424_242
GITHUB_TOKEN = "sandbox-github-token"  # noqa: S105 - opens the sandbox only
ORGANIZATION_ID = "clsandboxorganization0001"
ORGANIZATION_NAME = "Acme"
WORKSPACE_ID = "clsandboxworkspace0000001"
WORKSPACE_NAME = "Data Platform"
# An unsigned JWT as the real CLI parses it: {"alg":"HS256","typ":"JWT"} . {"permissions":[organizationId, workspaceId],
# "apiTokenId":"sandbox"} . "sandbox"; `tests/sandbox` holds the claims to the constants above.
ASTRO_TOKEN = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."  # noqa: S105 - it opens nothing but the sandbox
    "eyJhcGlUb2tlbklkIjoic2FuZGJveCIsInBlcm1pc3Npb25zIjpbIm9yZ2FuaXphdGlvbklkOmNsc2FuZGJveG9yZ2FuaXphdGlvbjAwMDEiLCJ3"
    "b3Jrc3BhY2VJZDpjbHNhbmRib3h3b3Jrc3BhY2UwMDAwMDAxIl19.c2FuZGJveA"
)
REGISTRY_USER = "ci"
REGISTRY_PASSWORD = "sandbox-registry-password"  # noqa: S105 - opens the sandbox only
RUNTIME_VERSION = "3.3-2"
RUNTIME_LABEL = "io.astronomer.docker.runtime.version"
