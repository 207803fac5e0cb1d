"""Writes what the management Deployment's image is made of, as CycloneDX: `python -m supply.sbom FILE`.

The packages of requirements.txt come from a kept tool; what the Dockerfile and packages.txt bring is added: the base
image, the Astro CLI, Debian's packages. What the base image holds is its publisher's to tell.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from supply import ROOT, TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ARGUMENT = re.compile(r'^ARG (\w+)="?([^"\n]*)"?$', re.MULTILINE)
_BASE = re.compile(r"^FROM (\S+):\$\{RUNTIME\}$", re.MULTILINE)


def main() -> None:
    """Write the file that the command line names."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    document = list_packages()
    parts = document["components"] = [*document["components"], *list_parts(dockerfile, os.environ)]
    product = document["metadata"]["component"]["bom-ref"]
    # Flat: the lock does not say which of its packages asked for which.
    document["dependencies"] = [{"ref": product, "dependsOn": [part["bom-ref"] for part in parts]}]
    Path(sys.argv[1]).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(f"{sys.argv[1]}: {len(parts)} components")


def list_packages() -> dict[str, Any]:
    """Return the bill of what requirements.txt locks, below the product, the same every time."""
    done = subprocess.run(
        [
            TOOLS / "cyclonedx-py",
            "requirements",
            "--output-reproducible",
            "--no-validate",
            "--pyproject=pyproject.toml",
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},  # that nothing depends on anything is mended above
        stdout=subprocess.PIPE,
        check=True,
    )
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def list_parts(dockerfile: str, given: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the components that are no Python packages; `given` replaces the Dockerfile's arguments, as in a build."""
    arguments = {name: given.get(name) or default for name, default in _ARGUMENT.findall(dockerfile)}
    (image,) = _BASE.findall(dockerfile)
    tag, _, digest = arguments["RUNTIME"].partition("@sha256:")
    yield _make_part("container", image, tag, digest)
    yield _make_part(
        "application",
        "astro-cli",
        version := arguments["ASTRO_CLI_VERSION"],
        arguments["ASTRO_CLI_SHA256"],
        purl=f"pkg:github/astronomer/astro-cli@v{version}",
    )
    for name in (ROOT / "packages.txt").read_text(encoding="utf-8").split():
        yield _make_part("library", name, purl=f"pkg:deb/debian/{name}")


def _make_part(kind: str, name: str, version: str = "", sha256: str = "", **more: str) -> dict[str, Any]:
    part: dict[str, Any] = {"type": kind, "bom-ref": name, "name": name, **more}
    if version:
        part["version"] = version
    if sha256:
        part["hashes"] = [{"alg": "SHA-256", "content": sha256}]
    return part


if __name__ == "__main__":
    main()
