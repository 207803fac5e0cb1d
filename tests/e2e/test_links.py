"""Every link that is written while a branch gets its preview opens: rows, comment, statuses, buttons, Deployment."""

from __future__ import annotations

import pytest

from demo.author import REPOSITORY
from demo.feedback import await_live, find_page
from demo.links import Links
from demo.witness import PREVIEW_DAG, PROJECT, Witness
from tests.e2e.test_preview_life import LIVES, push_new

pytestmark = pytest.mark.e2e


@pytest.mark.at_once(LIVES)
def test_every_link_of_a_preview_opens(witness: Witness) -> None:
    branch, outside = "dev-links", witness.outside
    head = push_new(witness, branch, "links")
    number = witness.author.open_pull_request(branch, "main", "Links")
    shown = await_live(witness, branch, number, head)
    row = outside.read_rows(PROJECT)[branch]
    run = witness.await_run(branch, "create", head)
    links = Links(outside, f"{witness.stack.ports.sandbox_url}/github/{REPOSITORY}")
    buttons = outside.list_task_links(PREVIEW_DAG, run["dag_run_id"], "deploy")
    page = links.find_in_page(find_page(witness, number))
    said = {shown.status["target_url"], shown.deployment["newest"]["environment_url"]}
    assert {row["airflow_url"], row["astro_url"]} <= page | said, "the comment leads to both"
    assert said <= page, "the pull request's page leads to whatever is said of its commits"
    assert {"Commit", "Deployment in Astro", "Its Airflow UI"} <= buttons.keys()
    assert not outside.list_task_links(PREVIEW_DAG, run["dag_run_id"], "claim")
    assert links.follow(page | said | links.find_in_row(row) | set(buttons.values())) > 10
