"""Another text in the place of a policy file: what it may say, and in which words it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.deploy_ops.core.errors import PolicyError
from include.deploy_ops.core.policy.file import POLICY_VARIABLE
from include.deploy_ops.run.policy_texts import load_alternative, read_places
from include.deploy_ops.run.scope import Scope, load_policy_file, make_scope

if TYPE_CHECKING:
    from pathlib import Path

MAIN = """\
control_plane: acme
teams:
  ml: {repositories: ["acme/ml"], connections: ["github_default", "astro_default"]}
projects:
  - name: shop
    repository: acme/shop
    image: [reuse]
    previews: {branches: ["dev*"], template: a.yaml, merged_into: [main]}
"""
TEAM = """\
projects:
  - name: ml
    repository: acme/ml
    image: [reuse]
    previews: {branches: ["dev*"], template: a.yaml, merged_into: [main], max_live: 3}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder `include`, with a policy of two files in force."""
    include = tmp_path / "include"
    (include / "policy.d").mkdir(parents=True)
    (include / "policy.yaml").write_text(MAIN, encoding="utf-8")
    (include / "policy.d" / "ml.yaml").write_text(TEAM, encoding="utf-8")
    monkeypatch.setenv(POLICY_VARIABLE, str(include / "policy.yaml"))
    return include


def find_scope(name: str) -> Scope:
    loaded = load_policy_file()
    return make_scope(loaded, next(each for each in loaded.policy.projects if each.name == name))


def refuse(name: str, text: str) -> str:
    with pytest.raises(PolicyError) as error:
        load_alternative(find_scope(name), text)
    return str(error.value)


def test_the_main_files_text_stands_for_it_and_the_teams_stay(folder: Path) -> None:
    other = load_alternative(find_scope("shop"), MAIN.replace('"dev*"', '"fix*"'))
    assert other.scope.project.previews.branches == ("fix*",)  # type: ignore[union-attr]
    assert other.scope.rules.targets == find_scope("shop").rules.targets
    assert other.problems == ""
    assert other.places.tell(("previews", "branches", 0)) == "previews.branches[0], the text:8"


def test_a_teams_text_stands_for_its_file_and_may_use_what_the_team_may(folder: Path) -> None:
    other = load_alternative(find_scope("ml"), TEAM.replace("max_live: 3", "max_live: 9"))
    assert other.scope.project.previews.max_live == 9  # type: ignore[union-attr]
    assert other.scope.control_plane == "acme"
    said = refuse("ml", TEAM.replace("acme/ml", "acme/shop"))
    assert "the text: projects[0].repository" in said
    assert "none that this file may use" in said
    said = refuse("ml", f"control_plane: mine\n{TEAM}")
    assert said.startswith("the text: control_plane: ")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("control_plane: acme", "control_plane: other", "control_plane: not as in force"),
        ("image: [reuse]", "image: [reuse, build]", "image: not as in force"),
        ("image: [reuse]", "image: [reuse]\n    github_conn_id: mine", "github_conn_id: not as in force"),
        ("image: [reuse]", "image: [reuse]\n    notify: [{notifier: a.b.C}]", "notify: not as in force"),
        ("name: shop", "name: shops", "the text has no project shop"),
        ("branches:", "branch:", "unknown key; did you mean 'branches'?"),
        ("projects:", "projects: [", "the text: line "),
    ],
)
def test_what_the_text_may_not_say_is_refused_by_the_keys_name(folder: Path, old: str, new: str, said: str) -> None:
    assert said in refuse("shop", MAIN.replace(old, new))


def test_what_is_wrong_with_another_project_is_told_beside_the_answer(folder: Path) -> None:
    wrong = f"{MAIN}  - name: other\n    repository: nonsense\n    image: [reuse]\n"
    other = load_alternative(find_scope("shop"), wrong)
    assert "project 'other'" in other.problems


def test_places_are_those_of_the_file_in_which_the_project_stands(folder: Path) -> None:
    assert read_places("ml").tell(("previews", "max_live")) == "previews.max_live, include/policy.d/ml.yaml:5"
    assert read_places("shop").tell(("previews", "max_live")) == "previews.max_live, by default"
    (folder / "policy.yaml").unlink()
    assert read_places("shop").tell(("previews", "branches")) == "previews.branches"
