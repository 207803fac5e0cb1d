"""The HTML behind the links."""

from __future__ import annotations

import httpx

from tests.sandbox.github.conftest import Hub


def read(address: str, status: int = 200) -> str:
    """Read a page as a browser does, without credentials."""
    answer = httpx.get(address)
    assert answer.status_code == status
    return answer.text


def test_pull_commit_and_branch_have_pages(hub: Hub) -> None:
    sha = hub.push_file("dev/a", "dags/<a>.py", "a = '<b>'\n")
    pull = hub.open_pull("dev/a", title="Use <script>")
    hub.send("POST", "/issues/1/comments", status=201, json={"body": "<i>hello</i>"})
    page = read(pull["html_url"])
    assert "&lt;script&gt;" in page
    assert "&lt;i&gt;hello" in page
    assert f"/commit/{sha}" in page
    assert "<script>" not in page
    commit = hub.send("GET", f"/commits/{sha}", status=200)
    assert "+a = &#x27;&lt;b&gt;" in read(commit["html_url"])
    branch = hub.send("GET", "/branches/dev/a", status=200)
    assert sha in read(branch["_links"]["html"])
    assert "Dockerfile" in read(branch["_links"]["html"])
    assert "a = &#x27;&lt;b&gt;" in read(commit["files"][0]["blob_url"])
    assert read(commit["files"][0]["raw_url"]) == "a = '<b>'\n"
    assert "#1 Use &lt;script&gt;" in read(hub.html)


def test_what_is_not_there_has_no_page(hub: Hub) -> None:
    for path in ("pull/9", "commit/nope", "tree/nope", "tree/main/nope", "raw/main/dags"):
        read(f"{hub.html}/{path}", 404)
    read(f"{hub.url}/github/acme/other", 404)
