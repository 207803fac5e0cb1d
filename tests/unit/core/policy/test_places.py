"""Where keys of the policy stand: the line in which each begins, in the file that has it."""

from __future__ import annotations

import pytest

from include.deploy_ops.core.policy.places import find_place, outline_file, tell_place
from include.deploy_ops.core.text.document import find_lines

MAIN = """\
control_plane: acme   # line 1
mode: apply
defaults:
  poll_interval_s: 20
projects:
  - name: web
    repository: acme/web
  - name: shop
    previews:
      branches:
        - "dev*"
        - "fix/*"
      exclude: [develop, "dev-legacy*"]
    image: [reuse]
"""
TEAM = """\
projects:
  - name: ml
    limits: {max_deletes: 9}
"""
OUTLINES = (outline_file("main.yaml", MAIN), outline_file("ml.yaml", TEAM))


def test_each_key_and_each_entry_has_its_line() -> None:
    lines = find_lines(MAIN)
    assert lines["control_plane",] == 1
    assert lines["projects", 1, "previews", "branches", 1] == 12
    assert lines["projects", 1, "previews", "exclude"] == lines["projects", 1, "previews", "exclude", 1] == 13
    assert ("projects", 2) not in lines


@pytest.mark.parametrize(
    ("project", "key", "place"),
    [
        ("shop", ("previews", "branches", 1), "main.yaml:12"),
        ("shop", ("previews", "branches", 7), "main.yaml:10"),  # an entry that is gone: the list
        ("shop", ("poll_interval_s",), "main.yaml:4"),  # of the defaults
        ("shop", ("mode",), "main.yaml:2"),
        ("ml", ("limits", "max_deletes"), "ml.yaml:3"),
        ("shop", ("previews", "max_live"), None),  # which stands nowhere, though `previews` does
        ("shop", ("limits", "max_deletes"), None),  # another project's are not this one's
        ("nobody", ("image",), None),
    ],
)
def test_a_key_is_found_in_its_projects_file_in_the_defaults_or_at_the_top(
    project: str, key: tuple[str | int, ...], place: str | None
) -> None:
    found = find_place(OUTLINES, project, key)
    assert (str(found) if found else None) == place


def test_a_key_is_told_with_its_place_or_as_a_default() -> None:
    assert tell_place(OUTLINES, "shop", ("previews", "exclude", 1)) == "previews.exclude[1], main.yaml:13"
    assert tell_place(OUTLINES, "shop", ("previews", "max_live")) == "previews.max_live, by default"
    assert tell_place(OUTLINES, "shop", ()) == ""
    assert tell_place(OUTLINES, "nobody", ("image",)) == "image"
    assert tell_place((), "shop", ("image",)) == "image"


def test_json_has_lines_too_and_what_is_no_document_has_none() -> None:
    assert outline_file("a", '{"projects": [\n{"name": "shop",\n"root": "x"}]}').find(("projects", 0, "root"))
    for text in ("", "a: [", "a: &x 1", "- 1", "projects: {a: 1}"):
        assert not outline_file("a", text).projects
