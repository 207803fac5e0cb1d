"""What is wrong with a policy, by file and line: the key's own, or that of what lacks it."""

from __future__ import annotations

import pytest

from include.deploy_ops.core.policy.file import PolicyFileError, load_policy
from include.deploy_ops.core.policy.lines import tell_lines
from include.deploy_ops.core.policy.teams import TeamText

MAIN = """\
control_plane: acme
defaults:
  poll_interval_s: soon
teams:
  etl: {repositories: [acme/etl], connections: ["*_default"]}
projects:
  - name: shop
    repository: acme/shop
    image: [reuse]
  - name: till
    repository: acme/till
    previews:
      branches: [dev*]
      template: preview.yaml
      merged_into: [main]
      exclude:
        - develop
        - 3
"""
TEAM = """\
# what the team may do stands in the main file
projects:
  - {name: etl, repository: acme/other, image: [reuse], poll_interval_s: 5}
"""


def tell(main: str = MAIN, team: str = "projects: []") -> list[str]:
    texts = {"policy.yaml": main, "policy.d/etl.yaml": team}
    try:
        loaded = load_policy(main, "policy.yaml", [TeamText("etl", "policy.d/etl.yaml", team)])
    except PolicyFileError as error:
        return list(tell_lines(error.problems, texts))
    return list(tell_lines(loaded.problems, texts))


def find_places(told: list[str]) -> list[str]:
    """Return file, line and key of what is told."""
    return [":".join(line.split(": ")[:2]) for line in told]


def test_each_problem_has_the_line_of_its_key_or_of_what_lacks_it() -> None:
    told = tell(team=TEAM)
    assert find_places(told) == [
        "policy.yaml:3:defaults.poll_interval_s",
        "policy.yaml:10:projects[1].image",
        "policy.yaml:18:projects[1].previews.exclude[1]",
        "policy.d/etl.yaml:3:projects[0].repository",
    ]
    assert told[2].endswith("project 'till': found 3, expected text; put it in quotes, exactly as meant")


@pytest.mark.parametrize(
    ("main", "place"),
    [
        ("control_plane: acme\nprojects: [\n", "policy.yaml:3"),
        ("control_plane: acme\nmode: &x plan\nprojects: []\n", "policy.yaml:2"),
        ("control_plane: acme\nmode: maybe\nprojects: []\n", "policy.yaml:2"),
        ("mode: plan\nprojects: []\n", "policy.yaml:1"),
        ("control_plane: acme\ndefaults:\n  name: all\nprojects: []\n", "policy.yaml:3"),
        ("control_plane: acme\nmode: \x07\n", "policy.yaml:2"),
        ("- 1\n", "policy.yaml:1"),
        ("x" * 200_000, "policy.yaml:1"),
        ('{"control_plane": "acme",\n "mode": "maybe", "projects": []}', "policy.yaml:2"),
    ],
)
def test_a_main_file_of_which_nothing_can_be_used_is_told_by_line(main: str, place: str) -> None:
    assert {line.partition(": ")[0] for line in tell(main)} == {place}


def test_a_teams_file_that_is_no_yaml_is_told_by_line() -> None:
    main = MAIN.replace("soon", "5").replace("- 3", '- "3"').replace("acme/till\n", "acme/till\n    image: [reuse]\n")
    assert find_places(tell(main)) == []
    (told,) = tell(main, "projects:\n  - name: etl\n   repository: acme/etl\n")
    assert told.startswith("policy.d/etl.yaml:3: line 3, column 4: ")


def test_a_file_whose_text_is_not_known_has_its_first_line() -> None:
    loaded = load_policy("control_plane: acme\nprojects: [{name: shop}]", "policy.yaml")
    assert all(line.startswith("policy.yaml:1: projects[0]") for line in tell_lines(loaded.problems, {}))
