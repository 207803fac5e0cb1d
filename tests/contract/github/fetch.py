"""GitHub's own OpenAPI description, one pinned version of it: fetched into `.cache/`, what `make contract` runs first.

It is 13 MB and not ours, so it is not committed.
"""

from __future__ import annotations

from tests.npm_file import NpmFile

VERSION = "23.0.2"
DESCRIPTION = NpmFile(
    package="@octokit/openapi",
    version=VERSION,
    sha512="pV8M7L9GY23AybNvTmo2nyjmpmnt6+2sRE/tqr0ZLQcPS4lnw7u5eZGNmwRNkBC3D7gZXbFx5AHzLUVRBXGDhg==",
    member="package/generated/api.github.com.json",
    name=f"github-openapi-{VERSION}.json",
)

if __name__ == "__main__":
    DESCRIPTION.fetch_or_exit()
