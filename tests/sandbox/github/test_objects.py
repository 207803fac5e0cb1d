"""Commits, trees, blobs and contents over the API, held against git's own view of them."""

from __future__ import annotations

import base64

import pytest

from tests.sandbox.github.conftest import Hub


def list_files(hub: Hub, rev: str) -> dict[str, str]:
    """Ask git for path -> blob of a commit or tree."""
    lines = hub.git("ls-tree", "-r", rev).splitlines()
    return {line.partition("\t")[2]: line.split()[2] for line in lines}


def write_tree(hub: Hub, *entries: dict[str, str | None], base: str | None = "main") -> str:
    """Write a tree over the API and give its id."""
    body = {"tree": list(entries)} | ({"base_tree": base} if base else {})
    return str(hub.send("POST", "/git/trees", status=201, json=body)["sha"])


def test_a_recursive_tree_is_what_git_lists(hub: Hub) -> None:
    hub.clone()
    answer = hub.send("GET", "/git/trees/main?recursive=1", status=200)
    assert {entry["path"]: entry["sha"] for entry in answer["tree"] if entry["type"] == "blob"} == list_files(
        hub, "HEAD"
    )
    assert answer["truncated"] is False
    top = hub.send("GET", f"/git/trees/{answer['sha']}", status=200)
    assert {"path": "dags", "mode": "040000", "type": "tree"}.items() <= next(
        e for e in top["tree"] if e["path"] == "dags"
    ).items()


def test_a_tree_laid_over_another_changes_only_its_paths(hub: Hub) -> None:
    blob = hub.send("POST", "/git/blobs", status=201, json={"content": "AAEC", "encoding": "base64"})["sha"]
    tree = write_tree(
        hub,
        {"path": "dags/new/a.py", "mode": "100755", "type": "blob", "content": "a = 1\n"},
        {"path": "include/x.bin", "mode": "100644", "type": "blob", "sha": blob},
        {"path": "dags/orders/sql/upsert_orders.sql", "mode": "100644", "type": "blob", "sha": None},
        {"path": "README.md", "mode": "100644", "type": "blob", "sha": None},
    )
    hub.clone()
    before = list_files(hub, "HEAD")
    hub.send("POST", "/git/refs", status=201, json={"ref": "refs/heads/t", "sha": write_commit(hub, tree)})
    hub.git("fetch", "--quiet", "origin", "t")
    after = list_files(hub, "FETCH_HEAD")
    assert before.keys() - after.keys() == {"README.md", "dags/orders/sql/upsert_orders.sql"}
    assert after.keys() - before.keys() == {"dags/new/a.py", "include/x.bin"}
    assert all(after[path] == before[path] for path in before.keys() & after.keys())
    assert hub.git("cat-file", "-p", after["dags/new/a.py"]) == "a = 1"
    assert "dags/orders/sql" not in hub.git("ls-tree", "-r", "-d", "--name-only", "FETCH_HEAD").splitlines()
    hub.git("fsck", "--strict")


def write_commit(hub: Hub, tree: str) -> str:
    """Write a commit on main over the API and give its id."""
    body = {"message": "Lay over", "tree": tree, "parents": [hub.read_heads()["main"]]}
    return str(hub.send("POST", "/git/commits", status=201, json=body)["sha"])


def test_a_whole_folder_is_replaced_by_a_tree_entry(hub: Hub) -> None:
    only = write_tree(hub, {"path": "one.py", "mode": "100644", "type": "blob", "content": "1\n"}, base=None)
    tree = write_tree(hub, {"path": "dags", "mode": "040000", "type": "tree", "sha": only})
    listed = hub.send("GET", f"/git/trees/{tree}?recursive=1", status=200)["tree"]
    assert [entry["path"] for entry in listed if entry["path"].startswith("dags")] == ["dags", "dags/one.py"]
    assert "Dockerfile" in {entry["path"] for entry in listed}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"path": "a", "mode": "100644", "sha": "0" * 39 + "1"}, "is not a valid blob"),
        ({"path": "../a", "mode": "100644", "content": "x"}, "malformed path"),
        ({"path": ".git/config", "mode": "100644", "content": "x"}, "malformed path"),
        ({"path": "a", "mode": "100600", "content": "x"}, "valid tree.mode"),
        ({"path": "a", "mode": ["100644"], "content": "x"}, "valid tree.mode"),
        ({"path": "a", "mode": "100644"}, "Must supply tree.sha or tree.content"),
        ({"path": "dags/none.py", "mode": "100644", "type": "blob", "sha": None}, "GitRPC::BadObjectState"),
        ("nothing", "Invalid tree info"),
    ],
)
def test_a_malformed_tree_is_refused(hub: Hub, entry: object, message: str) -> None:
    answer = hub.send("POST", "/git/trees", status=422, json={"base_tree": "main", "tree": [entry]})
    assert message in answer["message"]


def test_an_unknown_base_tree_is_refused(hub: Hub) -> None:
    hub.send("POST", "/git/trees", status=422, json={"base_tree": "nope", "tree": []})


def test_a_commit_carries_the_words_the_people_and_the_times_given(hub: Hub) -> None:
    main = hub.read_heads()["main"]
    tree = hub.send("GET", f"/git/commits/{main}", status=200)["tree"]["sha"]
    person = {"name": "Mira <Okafor>", "email": "mira@acme.example", "date": "2026-03-01T12:00:00+02:00"}
    body = {"message": "Say so\n\nTrailer: x", "tree": tree, "parents": [main], "author": person}
    written = hub.send("POST", "/git/commits", status=201, json=body)
    assert written["author"] == {"name": "Mira Okafor", "email": "mira@acme.example", "date": "2026-03-01T10:00:00Z"}
    assert written["committer"] == written["author"]
    assert [parent["sha"] for parent in written["parents"]] == [main]
    assert hub.send("POST", "/git/commits", status=201, json=body)["sha"] == written["sha"]
    read = hub.send("GET", f"/commits/{written['sha']}", status=200)
    assert read["commit"]["message"] == "Say so\n\nTrailer: x"
    assert read["author"]["login"] == "mira"


@pytest.mark.parametrize(
    "change", [{"tree": "0" * 39 + "1"}, {"parents": ["main"]}, {"author": {"name": "x"}}, {"author": 1}]
)
def test_a_malformed_commit_is_refused(hub: Hub, change: dict[str, object]) -> None:
    tree = hub.send("GET", "/git/trees/main", status=200)["sha"]
    hub.send("POST", "/git/commits", status=422, json={"message": "m", "tree": tree, "parents": []} | change)


def test_a_blob_comes_back_byte_for_byte(hub: Hub) -> None:
    content = bytes(range(256)) * 300
    sha = hub.send(
        "POST", "/git/blobs", status=201, json={"content": base64.b64encode(content).decode(), "encoding": "base64"}
    )["sha"]
    blob = hub.send("GET", f"/git/blobs/{sha}", status=200)
    assert (base64.b64decode(blob["content"]), blob["size"], blob["encoding"]) == (content, len(content), "base64")
    raw = hub.api.get(f"/git/blobs/{sha}", headers={"accept": "application/vnd.github.raw+json"})
    assert raw.content == content
    hub.send("POST", "/git/blobs", status=422, json={"content": "!", "encoding": "base64"})
    hub.send("GET", f"/git/blobs/{'0' * 39}1", status=404)


def test_contents_are_files_and_folders_at_a_ref(hub: Hub) -> None:
    hub.push_file("dev/a", "dags/a b.py", "a = 1\n")
    file = hub.send("GET", "/contents/dags/a%20b.py?ref=dev/a", status=200)
    assert base64.b64decode(file["content"]) == b"a = 1\n"
    assert (file["type"], file["path"], file["size"]) == ("file", "dags/a b.py", 6)
    assert hub.api.get(file["url"]).json() == file
    assert hub.api.get(file["download_url"]).text == "a = 1\n"
    folder = hub.send("GET", "/contents/dags?ref=dev/a", status=200)
    assert {(item["name"], item["type"]) for item in folder} >= {("a b.py", "file"), ("orders", "dir")}
    hub.send("GET", "/contents/dags/a%20b.py", status=404)
    assert "No commit found" in hub.send("GET", "/contents/dags?ref=nope", status=404)["message"]


def test_links_and_large_files_are_told_apart(hub: Hub) -> None:
    hub.clone()
    (hub.folder / "link").symlink_to("README.md")
    hub.push_file("dev-a", "include/large.txt", "x" * 1_048_577)
    link = hub.send("GET", "/contents/link?ref=dev-a", status=200)
    assert (link["type"], link["target"]) == ("symlink", "README.md")
    large = hub.send("GET", "/contents/include/large.txt?ref=dev-a", status=200)
    assert (large["encoding"], large["content"], large["size"]) == ("none", "", 1_048_577)


def test_commits_are_those_of_git_log(hub: Hub) -> None:
    hub.clone()
    log = hub.git("log", "--format=%H").splitlines()
    assert [commit["sha"] for commit in hub.send("GET", "/commits", status=200)] == log
    assert [commit["sha"] for commit in hub.send("GET", "/commits?per_page=1&page=2", status=200)] == log[1:2]
    touched = hub.send("GET", "/commits?sha=staging&path=dags/orders", status=200)
    assert [commit["sha"] for commit in touched] == hub.git("log", "--format=%H", "--", "dags/orders").splitlines()
    hub.send("GET", "/commits?sha=nope", status=404)


def test_a_commit_shows_its_files_also_the_first_one(hub: Hub) -> None:
    hub.clone()
    root = hub.git("rev-list", "--max-parents=0", "HEAD")
    files = hub.send("GET", f"/commits/{root}", status=200)["files"]
    assert [file["filename"] for file in files] == sorted(list_files(hub, root))
    assert {file["status"] for file in files} == {"added"}


def test_compare_is_from_the_merge_base(hub: Hub) -> None:
    hub.push_file("dev-a", "dags/a.py", "a = 1\n")
    head = hub.push_file("dev-a", "requirements.txt", "x\n")
    hub.push_file("staging", "dags/s.py", "s = 1\n", start="origin/staging")
    compared = hub.send("GET", "/compare/staging...dev-a", status=200)
    assert (compared["status"], compared["ahead_by"], compared["behind_by"]) == ("diverged", 2, 1)
    assert [file["filename"] for file in compared["files"]] == ["dags/a.py", "requirements.txt"]
    assert compared["commits"][-1]["sha"] == head
    assert compared["merge_base_commit"]["sha"] == hub.read_heads()["main"]
    assert hub.send("GET", "/compare/main...main", status=200)["status"] == "identical"
    assert hub.send("GET", "/compare/dev-a...main", status=200)["status"] == "behind"
    hub.send("GET", "/compare/main...nope", status=404)
    hub.send("GET", "/compare/main", status=404)


def test_every_kind_of_change_is_named_with_its_patch(hub: Hub) -> None:
    hub.clone()
    hub.git("checkout", "--quiet", "-b", "dev-a")
    hub.git("mv", "dags/report_revenue.py", "dags/revenue.py")
    hub.git("rm", "--quiet", "packages.txt")
    (hub.folder / "README.md").unlink()
    (hub.folder / "README.md").symlink_to("Dockerfile")
    (hub.folder / "include/x.bin").write_bytes(bytes(range(256)))
    hub.push_file("dev-a", "requirements.txt", "pendulum>=3.0\n")
    files = {file["filename"]: file for file in hub.send("GET", "/compare/main...dev-a", status=200)["files"]}
    assert {name: file["status"] for name, file in files.items()} == {
        "README.md": "changed",
        "dags/revenue.py": "renamed",
        "include/x.bin": "added",
        "packages.txt": "removed",
        "requirements.txt": "modified",
    }
    assert files["dags/revenue.py"]["previous_filename"] == "dags/report_revenue.py"
    assert files["packages.txt"]["patch"] == "@@ -1 +0,0 @@\n-libpq5"
    assert "patch" not in files["include/x.bin"]
    assert (files["requirements.txt"]["additions"], files["requirements.txt"]["deletions"]) == (0, 1)
