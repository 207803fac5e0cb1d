"""A second repository for the stack, with two projects in folders of their own; what watches it is paused at first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from demo.stack import Stack
    from demo.witness import Witness

NAME = "mono"
REPOSITORY = f"acme/{NAME}"
ETL, WEB = "etl", "web"
ACCEPTANCE, PROD = "acceptance", "prod"
"""Called otherwise than the first project's, whose rows tests look for on the page."""
RELEASE, CHECK, SOAK_S = "release", "ci/test", 15
STAGING, PRODUCTION = f"Staging of {NAME}", f"Production of {NAME}"
COPIED = ("Dockerfile", "packages.txt", "requirements.txt", ".astro/config.yaml")
"""What an Astro project needs beside its DAGs; each folder gets the seed's."""


def add_projects(policy: dict[str, Any]) -> None:
    """Give the policy both projects; one has targets, of which production waits for gates, and hears words."""
    etl = _make_project(ETL)
    etl["feedback"]["commands"] = True
    etl["targets"] = {
        ACCEPTANCE: {"deployment": STAGING, "branch": RELEASE, "verify": {}},
        PROD: {
            "deployment": PRODUCTION,
            "pull_request": {"from": RELEASE, "into": "main"},
            "approval": "required",
            "merge": True,
            "requires": {"checks": [CHECK], "verified": ACCEPTANCE, "soak": f"{SOAK_S}s"},
        },
    }
    policy["projects"] += [etl, _make_project(WEB)]


def _make_project(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "repository": REPOSITORY,
        "root": name,
        "poll_interval_s": 2,
        "image": ["127.0.0.1:8900/acme/data-platform:{sha}"],
        "previews": {"branches": ["dev*"], "template": "deployments/preview.yaml", "merged_into": ["main"]},
        "feedback": {"comments": True, "statuses": True, "deployments": True},
    }


def add_repository(stack: Stack) -> None:
    """Let GitHub have the repository, as freshly seeded as the first one, and Astro its two Deployments."""
    stack.sandbox.post("/sandbox/repositories", json={"name": NAME}).raise_for_status()


def enter(witness: Witness) -> Witness:
    """Return the person in front of a clone of this repository, whose trunk has both folders by then."""
    author = replace(witness.author, folder=witness.author.folder.with_name(NAME), repository=REPOSITORY)
    author.clone()
    shared = {name: (author.folder / name).read_text(encoding="utf-8") for name in COPIED}
    files = {f"{root}/{name}": text for root in (ETL, WEB) for name, text in shared.items()}
    author.commit(files | {f"{root}/dags/own.py": "# own\n" for root in (ETL, WEB)}, "Begin two projects")
    author.push("main")
    return replace(witness, author=author)
