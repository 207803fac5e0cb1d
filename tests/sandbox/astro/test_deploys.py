"""The sandbox's Astro over HTTP: deploy records, uploads, what then runs, and rollback."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from tests.sandbox.astro.calls import (
    call,
    create,
    deploy_dags,
    deploy_image,
    digest,
    finalize,
    pack,
    read,
    start,
    upload,
)
from tests.sandbox.astro.world import World


def test_image_and_bundle_make_up_the_files(world: World) -> None:
    deployment_id = create(world)

    deploy_image(world, deployment_id, "one")
    assert world.astro.list_files(deployment_id) == [("dags/in_image.py", digest("image")), ("x.txt", digest("one"))]

    deploy_dags(world, deployment_id, "two")
    assert world.astro.list_files(deployment_id) == [("dags/a.py", digest("two")), ("x.txt", digest("one"))]
    assert read(world, deployment_id)["runtimeVersion"] == "3.3-2"


def test_the_airflow_of_an_unknown_runtime_is_not_available(world: World) -> None:
    deployment_id = create(world)
    assert deploy_image(world, deployment_id, "one", runtime="9.9-9")["airflowVersion"] == "NA"
    assert read(world, deployment_id)["airflowVersion"] == "NA"


def test_without_dag_deploys_the_images_dags_run(world: World) -> None:
    deployment_id = create(world, isDagDeployEnabled=False)
    deploy = start(world, deployment_id, "IMAGE_AND_DAG")
    assert "dagsUploadUrl" not in deploy
    world.registry.put_image(
        f"{deploy['imageRepository']}:{deploy['imageTag']}", "3.3-2", ("usr/local/airflow/dags/i.py", "0")
    )

    assert finalize(world, deploy, None)["status"] == "DEPLOYED"

    assert world.astro.list_files(deployment_id) == [("dags/i.py", "0")]


def test_an_image_that_is_not_there_fails_the_deploy_and_changes_nothing(world: World) -> None:
    deployment_id = create(world)
    kept = deploy_image(world, deployment_id, "one")
    deploy = start(world, deployment_id, "IMAGE_AND_DAG")

    failed = finalize(world, deploy, upload(world, deploy, pack(("dags/a.py", "1"))))

    assert failed["status"] == "FAILED"
    after = read(world, deployment_id)
    assert after["imageTag"] == kept["imageTag"] != deploy["imageTag"]
    assert "desiredDagTarballVersion" not in after
    assert dict(world.astro.list_files(deployment_id))["x.txt"] == digest("one")


def test_a_rollback_brings_back_what_ran_after_that_deploy(world: World) -> None:
    deployment_id = create(world)
    deploy_image(world, deployment_id, "one")
    first = deploy_dags(world, deployment_id, "1")
    deploy_image(world, deployment_id, "two")
    deploy_dags(world, deployment_id, "2")

    path = f"/deployments/{deployment_id}/deploys/{first['id']}/rollback"
    back = call(world, "POST", path, {"description": "oh no"})

    assert (back["rollbackFromId"], back["status"], back["description"]) == (first["id"], "DEPLOYED", "oh no")
    assert world.astro.list_files(deployment_id) == [("dags/a.py", digest("1")), ("x.txt", digest("one"))]
    newest = call(world, "GET", f"/deployments/{deployment_id}/deploys", limit=1)["deploys"][0]
    assert newest["id"] == back["id"]
    assert read(world, deployment_id)["desiredDagTarballVersion"] == first["dagTarballVersion"]


def test_only_a_deploy_that_went_through_can_be_rolled_back_to(world: World) -> None:
    deployment_id = create(world)
    deploy = start(world, deployment_id, "DAG_ONLY")

    path = f"/deployments/{deployment_id}/deploys/{deploy['id']}/rollback"

    assert "DEPLOYED" in call(world, "POST", path, {"description": ""}, 400)["message"]


def test_records_come_newest_first_and_keep_their_git_data(world: World) -> None:
    deployment_id = create(world)
    git = {"provider": "GENERIC", "commitSha": "a" * 40, "branch": "dev-x", "remoteUrl": "http://x"}
    first = start(world, deployment_id, "DAG_ONLY", git=git, description="one")
    second = start(world, deployment_id, "DAG_ONLY", description="two")

    records = call(world, "GET", f"/deployments/{deployment_id}/deploys")

    assert [record["id"] for record in records["deploys"]] == [second["id"], first["id"]]
    one = f"/deployments/{deployment_id}/deploys/{first['id']}"
    assert call(world, "GET", one)["git"] == git
    assert call(world, "POST", one, {"description": "new"})["description"] == "new"
    assert (
        call(world, "GET", f"/deployments/{deployment_id}/deploys/clnone", status=404)["message"] == "Deploy not found"
    )


def test_a_deploy_of_another_deployment_is_not_found(world: World) -> None:
    deploy = start(world, create(world), "DAG_ONLY")

    call(world, "GET", f"/deployments/{create(world, name='dev-y')}/deploys/{deploy['id']}", status=404)


def test_a_deploy_is_finalized_once_and_with_what_was_uploaded_for_it(world: World) -> None:
    deploy = start(world, create(world), "DAG_ONLY")
    assert "nothing was uploaded" in finalize(world, deploy, "made-up", 400)["message"]

    finalize(world, deploy, upload(world, deploy, pack(("dags/a.py", "1"))))

    assert "DEPLOYED already" in finalize(world, deploy, "", 400)["message"]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (pack(("../x.py", "1")), "leaves the bundle"),
        (pack(("/etc/x", "1")), "leaves the bundle"),
        (pack(("dags/../../x", "1")), "leaves the bundle"),
        (pack(link=("dags/l", "../../x")), "outside the bundle"),
        (b"nonsense", "not a readable tar.gz"),
        (gzip.compress(b"short")[:9], "not a readable tar.gz"),
    ],
    ids=["above", "absolute", "above from within", "link", "nonsense", "cut short"],  # gzip writes the time
)
def test_a_bundle_that_leaves_its_folder_or_is_none_is_refused(world: World, content: bytes, word: str) -> None:
    deployment_id = create(world)
    deploy = start(world, deployment_id, "DAG_ONLY")

    assert word in finalize(world, deploy, upload(world, deploy, content), 400)["message"]

    assert world.astro.list_files(deployment_id) == []


def test_a_link_inside_the_bundle_counts_as_its_text(world: World) -> None:
    deployment_id = create(world)
    deploy = start(world, deployment_id, "DAG_ONLY")

    finalize(world, deploy, upload(world, deploy, pack(("dags/a.py", "1"), link=("dags/b/l.py", "../a.py"))))

    assert dict(world.astro.list_files(deployment_id))["dags/b/l.py"] == digest("../a.py")


def test_blocks_become_a_blob_in_the_order_of_their_list(world: World) -> None:
    deployment_id = create(world)
    deploy = start(world, deployment_id, "DAG_ONLY")
    content, url = pack(("dags/a.py", "1")), deploy["dagsUploadUrl"]
    for name, block in (("Yg==", content[40:]), ("YQ==", content[:40])):
        assert (
            world.client.put(
                url, params={"sig": url.split("=")[1], "comp": "block", "blockid": name}, content=block
            ).status_code
            == 201
        )

    listed = "<BlockList><Latest>YQ==</Latest><Latest>Yg==</Latest></BlockList>"
    answer = world.client.put(url, params={"sig": url.split("=")[1], "comp": "blocklist"}, content=listed)

    assert answer.status_code == 201
    finalize(world, deploy, answer.headers["x-ms-version-id"])
    assert world.astro.list_files(deployment_id) == [("dags/a.py", digest("1"))]


@pytest.mark.parametrize("query", ["", "?sig=wrong"])
def test_an_upload_needs_its_signature(world: World, query: str) -> None:
    deploy = start(world, create(world), "DAG_ONLY")

    assert world.client.put(deploy["dagsUploadUrl"].split("?")[0] + query, content=b"x").status_code == 403


def test_a_block_list_of_unknown_blocks_is_refused(world: World) -> None:
    url = start(world, create(world), "DAG_ONLY")["dagsUploadUrl"]

    answer = world.client.put(f"{url}&comp=blocklist", content="<BlockList><Latest>YQ==</Latest></BlockList>")

    assert answer.status_code == 400


def test_a_dbt_bundle_has_its_own_address_and_leaves_the_dags_alone(world: World) -> None:
    deployment_id = create(world)
    deploy = start(world, deployment_id, "BUNDLE", bundleMountPath="/dbt/x", bundleType="dbt")

    path = f"/deployments/{deployment_id}/deploys/{deploy['id']}/finalize"
    done = call(world, "POST", path, {"bundleTarballVersion": ""})

    assert "bundleUploadUrl" in deploy
    assert "dagsUploadUrl" not in deploy
    assert done["status"] == "DEPLOYED"
    assert "desiredDagTarballVersion" not in read(world, deployment_id)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"type": "NOPE"},
        {"type": "DAG_ONLY", "git": {"provider": "X"}},
        {"type": "BUNDLE"},
        {"type": "DAG_ONLY", "description": "d" * 501},
    ],
)
def test_a_wrong_deploy_is_refused(world: World, body: dict[str, Any]) -> None:
    assert "Invalid request" in call(world, "POST", f"/deployments/{create(world)}/deploys", body, 400)["message"]
