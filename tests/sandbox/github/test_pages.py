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
    for refs in ("main", "main...nope", "nope..main"):
        read(f"{hub.html}/compare/{refs}", 404)
    read(f"{hub.url}/github/acme/other", 404)


def test_two_commits_are_compared_since_they_were_one_or_as_they_are(hub: Hub) -> None:
    hub.push_file("dev/a", "dags/a.py", "a = '<b>'\n")
    hub.push_file("other", "dags/b.py", "b = 1\n")
    page = read(f"{hub.html}/compare/other...dev/a")
    assert "+a = &#x27;&lt;b&gt;" in page
    assert "Write dags/a.py" in page
    assert "dags/b.py" not in page
    assert "dags/b.py (removed)" in read(f"{hub.html}/compare/other..dev/a")


def test_a_repository_shows_branches_and_pull_requests_with_what_is_said_of_them(hub: Hub) -> None:
    sha = hub.push_file("dev/a", "dags/a.py", "a = 1\n")
    hub.open_pull("dev/a", title="Use <b>")
    comment = hub.send("POST", "/issues/1/comments", status=201, json={"body": "hello"})
    status = {"state": "success", "context": "ci<1>", "description": "<i>", "target_url": "https://x.example/?a=1&b=2"}
    hub.send("POST", f"/statuses/{sha}", status=201, json=status)
    page = read(hub.html)
    assert f'href="{hub.html}/tree/dev/a"' in page
    assert f'href="{comment["html_url"]}"' in page
    assert page.count('<a href="https://x.example/?a=1&amp;b=2">ci&lt;1&gt;</a> &lt;i&gt;') == 2
    assert "#1 Use &lt;b&gt;" in page


def test_a_pull_request_whose_branch_is_gone_leads_to_its_last_commit(hub: Hub) -> None:
    sha = hub.push_file("dev/a", "dags/a.py", "a = 1\n")
    pull = hub.open_pull("dev/a")
    hub.send("DELETE", "/git/refs/heads/dev/a", status=204)
    for page in (read(pull["html_url"]), read(hub.html)):
        assert f'href="{hub.html}/tree/{sha}"' in page
        assert "tree/dev/a" not in page


def test_people_have_pages(hub: Hub) -> None:
    hub.push_file("dev/a", "dags/a.py", "a = 1\n")
    pull = hub.open_pull("dev/a", title="Mine <b>")
    assert "#1 Mine &lt;b&gt;</a> open" in read(pull["user"]["html_url"])
    assert hub.html in read(f"{hub.url}/github/acme")
    assert "Nothing here is theirs" in read(f"{hub.url}/github/ann")


def test_a_pull_request_shows_comments_as_github_does(hub: Hub) -> None:
    hub.push_file("dev/a", "dags/a.py", "a = 1\n")
    pull = hub.open_pull("dev/a")
    table = "<!-- unseen -->\n\n| a |\n|---|\n| `x` |\n\n"
    body = table + "@ann, @acme/team see #1, not #9, [bad](javascript:x) <sub>small</sub> <img src=x>"
    comment = hub.send("POST", "/issues/1/comments", status=201, json={"body": body})
    assert "signs" not in read(pull["html_url"]).partition("<h1>")[2]
    for sign in ("eyes", "rocket"):
        hub.send("POST", f"/issues/comments/{comment['id']}/reactions", status=201, json={"content": sign})
    page = read(pull["html_url"])
    assert '<div class="signs">👀 🚀</div>' in page
    assert "unseen" not in page
    assert "<td><code>x</code></td>" in page
    assert f'<a class="mention" href="{hub.url}/github/ann">@ann</a>' in page
    assert '<a class="mention">@acme/team</a>' in page
    assert f'<a class="reference" href="{hub.html}/pull/1">#1</a>, not #9' in page
    assert 'href="#"' not in page
    assert "<sub>small</sub>" in page
    assert "javascript:x)" in page
    assert "&lt;img src=x&gt;" in page


def test_a_pull_request_shows_checks_and_the_newest_deployment_of_each_environment(hub: Hub) -> None:
    sha = hub.push_file("dev/a", "dags/a.py", "a = 1\n")
    pull = hub.open_pull("dev/a")
    assert "checks" not in read(pull["html_url"]).partition("<h1>")[2]
    status = {"state": "success", "context": "deploy-ops/preview", "description": "live <b>"}
    hub.send("POST", f"/statuses/{sha}", status=201, json=status | {"target_url": "https://airflow.example/run"})
    body = {"ref": sha, "environment": "preview/<a>", "auto_merge": False, "required_contexts": []}
    for state in ("failure", "success"):
        number = hub.send("POST", "/deployments", status=201, json=body | {"transient_environment": True})["id"]
        said = {"state": state, "environment_url": "https://x.example", "log_url": "javascript:alert(1)"}
        hub.send("POST", f"/deployments/{number}/statuses", status=201, json=said)
    page = read(pull["html_url"])
    for shown in ("All checks have passed", "live &lt;b&gt;", 'href="https://airflow.example/run">Details', "1 active"):
        assert shown in page
    assert 'href="https://x.example">View deployment' in page
    assert "preview/&lt;a&gt;" in page
    assert "failed to deploy" not in page
    assert "javascript:" not in page
    for state in ("inactive", "in_progress"):
        hub.send("POST", f"/deployments/{number}/statuses", status=201, json={"state": state})
        page = read(pull["html_url"])
        assert "No active deployment" in page
        assert "View deployment" not in page
    hub.send("POST", f"/statuses/{sha}", status=201, json={"state": "pending", "context": "ci"})
    assert "Some checks have not completed yet" in read(pull["html_url"])
    hub.send("POST", f"/statuses/{sha}", status=201, json={"state": "error", "context": "ci"})
    assert "Some checks were not successful" in read(pull["html_url"])
