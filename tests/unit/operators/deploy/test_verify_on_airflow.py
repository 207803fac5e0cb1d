"""A whole life against the sandbox's real Airflow: a file breaks, the pull request is red; it is mended, and green."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from include.deploy_ops.core.feedback.values import gather_facts
from include.deploy_ops.core.policy.keys import Feedback, Verify
from include.deploy_ops.core.verification.verdict import Proof
from tests.worlds.values.faces import Faces, check_proof

if TYPE_CHECKING:
    from include.deploy_ops.core.view.row import Row
    from tests.worlds.stages.stage import Stage

BRANCH = "dev-x"
CONTEXT = "deploy-ops/preview"
DAG = "from airflow.sdk import DAG\n\nwith DAG('fresh'):\n    pass\n"
BROKEN = "from airflow.sdk import DAG\nimport no_such_package\n"


def live_on(stage: Stage, faces: Faces) -> Row:
    """Make a pass, play what it starts, and one that sees the end; return the preview's row, told to GitHub."""
    for _ in range(2):
        for run in stage.plan():
            run.play()
    rows = stage.memory.read_rows()
    faces.tell(rows, datetime.now(UTC))
    check_proof(rows[BRANCH], stage.memory.verification(BRANCH).read())
    return rows[BRANCH]


def make_faces(stage: Stage) -> Faces:
    facts = gather_facts(
        stage.scope.project,
        stage.scope.control_plane,
        is_alone=True,
        airflow_url="https://airflow",
        web_url="https://git",
    )
    return Faces(replace(facts, feedback=Feedback()))


def test_a_broken_file_is_red_with_file_and_line_and_a_push_that_mends_it_green(stage: Stage) -> None:
    stage.change_project(previews={"verify": Verify()})
    assert stage.sandbox.client.post("/sandbox/settings", json={"parsed_again_s": 1}).is_success
    faces = make_faces(stage)
    head = stage.push(BRANCH, {"dags/fresh.py": DAG})
    number = stage.author.open_pull_request(BRANCH, "staging", "A fresh DAG")
    row = live_on(stage, faces)
    assert row.verification is not None
    assert (row.verification.proof, row.verification.commit) == (Proof.VERIFIED, head), row.verification
    assert faces.statuses[head, CONTEXT] == "success"
    assert "**live**, verified" in faces.comments[number]

    broken = stage.push_more(BRANCH, {"dags/broken.py": BROKEN})
    row = live_on(stage, faces)
    assert row.verification is not None
    assert (row.verification.proof, row.verification.said) == (Proof.FAILED, "1 import error")
    assert faces.statuses[broken, CONTEXT] == "failure"
    assert "dags/broken.py, line 2: ModuleNotFoundError: No module named 'no_such_package'" in faces.comments[number]
    assert [need.what for need in row.needs] == ["verify"]
    assert stage.plan() == []  # it is no failed deploy: nothing is deployed anew

    stage.author.git("rm", "--quiet", "dags/broken.py")
    mended = stage.push_more(BRANCH, {"dags/other.py": DAG.replace("fresh", "other")})
    row = live_on(stage, faces)
    assert row.verification is not None
    assert row.verification.proof is Proof.VERIFIED
    assert faces.statuses[mended, CONTEXT] == "success"
    assert faces.statuses[broken, CONTEXT] == "failure"
    assert "import error" not in faces.comments[number].casefold()
    minted = [each for each in stage.list_requests("astro", ("POST", "DELETE")) if "/tokens" in each]
    assert [each.partition(" ")[0] for each in minted] == ["POST", "DELETE"] * 3  # a token for each look, and none left
