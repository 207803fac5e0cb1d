"""The tour's last steps: the Deploys page shows all environments, and every link that was shown opens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from demo import monorepo
from demo.author import REPOSITORY
from demo.links import Links, find_links, list_written
from demo.witness import PROJECT, WitnessError

if TYPE_CHECKING:
    from collections.abc import Collection

    from demo.steps import Steps

PATH = "/deploy-ops/page"
LINK = "/plugin/deployments"
PROJECTS = (PROJECT, *monorepo.PROJECTS)


def show_page(steps: Steps, environments: Collection[str]) -> None:
    """Play it: these environments stand on the page, and each Deployment in Astro does."""
    outside = steps.witness.outside
    page = outside.airflow.get(PATH)
    if not page.is_success:
        raise WitnessError(f"the Deploys page answers {page.status_code}: {page.text[:200]}")

    def look() -> dict[str, str] | None:
        rows = {name: row for project in PROJECTS for name, row in outside.read_rows(project).items()}
        shown = {row.get("deployment_id") for row in rows.values()}
        is_whole = set(environments) <= rows.keys() and {each["id"] for each in outside.list_deployments()} <= shown
        return {name: row["state"] for name, row in sorted(rows.items())} if is_whole else None

    states, seconds = steps.time(lambda: steps.witness.await_true(f"the page to show {environments}", look)[0])
    told = ", ".join(f"{name} {state}" for name, state in states.items())
    steps.tell_page(
        "the Deploys page shows every environment", seconds, steps.witness.stack.ports.airflow_url + LINK, told
    )


def follow_links(steps: Steps) -> None:
    """Play it: what the tour printed opens, and what rows, comments, statuses and questions lead to."""
    outside, ports = steps.witness.outside, steps.witness.stack.ports
    links, others = (Links(outside, f"{ports.sandbox_url}/github/{each}") for each in (REPOSITORY, monorepo.REPOSITORY))

    def follow() -> int:
        texts = [*steps.said, *outside.list_questions(), ports.airflow_url]
        rows = outside.read_rows(PROJECT).values()
        urls = {*list_written(rows, links), *(url for text in texts for url in find_links(text))}
        more = (row for project in monorepo.PROJECTS for row in outside.read_rows(project).values())
        return links.follow(urls.union(*map(others.find_in_row, more)))

    count, seconds = steps.time(follow)
    steps.tell_page("every link opens", seconds, f"{ports.sandbox_url}/", f"{count} links that were printed or written")
