"""What a stranger puts before us: odd branch names, forks, others' Deployments. Names stay names, others' theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.errors import ObservationError
from include.deploy_ops.run.memory import KnownRepository
from tests.unit.operators.control.test_plan import play, read_plan
from tests.worlds.stages.stage import WRITES

if TYPE_CHECKING:
    from pathlib import Path

    from tests.worlds.stages.fixtures import Log
    from tests.worlds.stages.stage import Stage

BRANCH = "dev-x"
NAMES = [
    "--force",
    "--upload-pack=pwned",
    "dev-$(pwned)`pwned`;pwned|pwned&pwned>pwned",
    "dev-'$(pwned)\"`pwned`",
    "dev-%s%n{{7%7}}${PATH}",
    "dev/é/\U0001f680,@",
]


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a file that exists as soon as anybody executes `pwned`, which is first in PATH."""
    trace, program = tmp_path / "executed", tmp_path / "bin" / "pwned"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {trace}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return trace


@pytest.mark.parametrize("name", NAMES)
def test_a_branchs_name_is_never_an_option_nor_executed(stage: Stage, canary: Path, log: Log, name: str) -> None:
    stage.change_project(previews={"branches": ("dev*", "-*")})
    stage.author.start_branch("work")
    head = stage.author.commit({"dags/fresh.py": "# fresh\n"}, "Fresh")
    stage.author.push(name)
    stage.await_ci()
    play(stage.plan())
    deployment_id = stage.find_deployment(name)["id"]
    assert stage.list_files(deployment_id) == stage.author.hash_files(head)
    assert f"deployed {head[:12]} of {name} to " in log.read()
    assert stage.plan() == []
    stage.author.git("push", "--quiet", "origin", f":refs/heads/{name}")
    play(stage.plan())
    assert stage.list_deployments() == []
    assert not canary.exists()


def test_the_canary_sings_when_it_is_executed(stage: Stage, canary: Path) -> None:
    stage.author.git("-c", "alias.sing=!pwned", "sing")
    assert canary.exists()


def test_a_pull_request_from_a_fork_is_never_deployed(stage: Stage) -> None:
    stage.push("dev-theirs")
    stage.author.open_pull_request("stranger:dev-theirs", "staging", "From a fork")
    stage.author.delete("dev-theirs")
    stage.forget_requests()
    assert read_plan(stage).startswith("0 actions, 0 holds, 0 previews live")
    assert stage.list_requests("astro", WRITES) == []


def test_a_forks_merge_ends_no_preview_of_ours(stage: Stage) -> None:
    head = stage.push(BRANCH)
    deployment_id = stage.create_preview(BRANCH, head)
    number = stage.author.open_pull_request(f"stranger:{BRANCH}", "staging", "From a fork, at our head")
    stage.author.merge(number)
    assert read_plan(stage).startswith("0 actions, 0 holds, 1 previews live")
    assert stage.list_files(deployment_id) == stage.author.hash_files(head)


@pytest.mark.parametrize("description", ["a person's", ""])
def test_a_deployment_of_the_name_without_our_mark_is_told_and_left_alone(
    stage: Stage, log: Log, description: str
) -> None:
    stage.push(BRANCH)
    deployment_id = stage.make_deployment(BRANCH, description=description)
    before = stage.find_deployment(BRANCH)
    stage.push("dev-other")
    stage.forget_requests()
    (run,) = stage.plan()
    assert run.conf["job"]["branch"] == "dev-other"
    said = (
        f"create dev-x held: a Deployment named 'shop-dev-x' ({deployment_id}) exists without our mark; "
        "rename or delete it in Astro"
    )
    assert said in log.read()
    stage.author.delete(BRANCH)
    assert "dev-x" not in read_plan(stage)
    assert stage.list_requests("astro", WRITES) == []
    assert stage.find_deployment(BRANCH) == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("deployment: [", "line 1"),
        ("deployment:\n  configuration:\n    exekutor: CELERY\n", "deployment.configuration.exekutor"),
    ],
    ids=["no YAML", "unknown key"],
)
def test_an_invalid_template_is_told_with_file_and_field_and_spoils_nothing_else(
    stage: Stage, log: Log, text: str, said: str
) -> None:
    deployment_id = stage.create_preview(BRANCH, stage.push(BRANCH))
    head = stage.push_more(BRANCH, {"dags/more.py": "# more\n"})
    stage.push("dev-late")
    path = stage.scope.previews.template
    stage.author.start_branch("trunk")
    (stage.author.folder / path).unlink()
    stage.author.commit({path: text}, "Break the template")
    stage.author.push("main")
    (run,) = stage.plan()
    assert (run.conf["job"]["verb"], run.conf["job"]["head"]) == ("deploy", head)
    play([run])
    assert stage.list_files(deployment_id) == stage.author.hash_files(head)
    lines = [line for line in log.read().splitlines() if "create dev-late held: " in line]
    assert lines
    assert f"acme/data-platform/{path} on main: " in lines[0]
    assert said in lines[0]


def test_a_name_that_means_another_repository_stops_the_passes_and_the_deletes(stage: Stage) -> None:
    head = stage.push(BRANCH)
    deployment_id = stage.create_preview(BRANCH, head)
    assert stage.plan() == []
    known = stage.memory.repository.read()
    assert known is not None
    stage.author.delete(BRANCH)
    (run,) = stage.plan()
    # The one repository of the sandbox cannot be another: what was remembered can.
    stage.memory.repository.write(KnownRepository(known.id + 1, known.name))
    stage.forget_requests()
    assert run.play()["delete"] == "failed"
    with pytest.raises(ObservationError, match="another repository than before"):
        stage.plan()
    assert stage.list_requests("astro", WRITES) == []
    assert stage.find_deployment(BRANCH)["id"] == deployment_id
