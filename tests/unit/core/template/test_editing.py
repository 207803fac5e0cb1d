"""A template's text, edited: what was asked for is in it, and order, comments and all other lines are as they were."""

from __future__ import annotations

import difflib
import itertools
import json
from typing import Any

import pytest
from hypothesis import given

from include.deploy_ops.core.errors import TemplateError
from include.deploy_ops.core.template.editing import edit_file, write_file
from include.deploy_ops.core.template.fields import Fields, Gap, read_fields, write_document
from include.deploy_ops.core.template.merging import Difference, merge_fields
from include.deploy_ops.core.text.document import read_document
from tests.unit.core.template.test_merging import fields

FILE = """\
# Previews are like this
deployment:
    # what tasks find
    environment_variables:
        - is_secret: false
          key: STAGE  # where am I
          value: preview
        # the token
        - is_secret: true
          key: API_TOKEN
          value: ""
        # the mode
        - key: MODE
          value: 'dry'
          is_secret: false
    # what it runs on
    configuration:
        runtime_version: "3.3-2" # with the image
        # small is cheap
        scheduler_size: SMALL # really
        # no need
        is_high_availability: false

        executor: CELERY
        deployment_type: STANDARD
        cloud_provider: AWS
        region: us-east-1
    # where tasks run
    worker_queues:
        - name: default
          max_worker_count: 10 # ten
          worker_type: A5
    alert_emails:
        - data@acme.example
# the end
"""
SECRET = {"value": "", "is_secret": True}


def lay(path: tuple[str, ...], value: Any) -> Difference:
    return Difference(path, Gap.UNKNOWN, value, Gap.UNKNOWN)


def edit(*changes: Difference, text: str = FILE) -> list[str]:
    """Return the lines that went, and those that came."""
    edited = edit_file(text, "preview.yaml", changes)
    lines = difflib.ndiff(text.splitlines(), edited.splitlines())
    return [f"{line[0]}{line[2:].strip()}" for line in lines if line[0] in "+-"]


def test_without_a_change_the_text_is_the_same() -> None:
    odd = "deployment:   {configuration: {executor:   CELERY}}  # as somebody wrote it\n"
    assert edit_file(odd, "preview.yaml", ()) is odd


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (
            lay(("configuration", "scheduler_size"), "MEDIUM"),
            ["-scheduler_size: SMALL # really", "+scheduler_size: MEDIUM # really"],
        ),
        (
            lay(("configuration", "runtime_version"), "3.3-3"),
            ['-runtime_version: "3.3-2" # with the image', '+runtime_version: "3.3-3" # with the image'],
        ),
        (lay(("configuration", "scheduler_size"), Gap.ABSENT), ["-scheduler_size: SMALL # really"]),
        (lay(("configuration", "default_task_pod_cpu"), "0.25"), ['+default_task_pod_cpu: "0.25"']),
        (lay(("configuration", "remote_execution"), {"enabled": True}), ["+remote_execution:", "+enabled: true"]),
        (
            lay(("environment_variables", "API_TOKEN"), Gap.ABSENT),
            ["-- is_secret: true", "-key: API_TOKEN", '-value: ""'],
        ),
        (
            lay(("environment_variables", "STAGE"), Gap.ABSENT),
            ["-- is_secret: false", "-key: STAGE  # where am I", "-value: preview"],
        ),
        (lay(("environment_variables", "NEW"), SECRET), ['+- key: "NEW"', '+value: ""', "+is_secret: true"]),
        (
            lay(("worker_queues", "default", "max_worker_count"), 20),
            ["-max_worker_count: 10 # ten", "+max_worker_count: 20 # ten"],
        ),
        (
            lay(("worker_queues", "default"), Gap.ABSENT),
            ["-worker_queues:", "-- name: default", "-max_worker_count: 10 # ten", "-worker_type: A5"],
        ),
        (
            lay(("worker_queues", "heavy"), {"max_worker_count": 3, "worker_type": "A20"}),
            ["+- name: heavy", "+max_worker_count: 3", '+worker_type: "A20"'],
        ),
        (
            lay(("hibernation_schedules",), [{"hibernate_at": "0 20 * * *", "wake_at": "0 6 * * *"}]),
            ["+hibernation_schedules:", '+- hibernate_at: "0 20 * * *"', '+wake_at: "0 6 * * *"'],
        ),
    ],
)
def test_one_field_changes_its_own_lines_alone(change: Difference, lines: list[str]) -> None:
    assert edit(change) == lines


def test_new_lines_come_before_the_comment_about_what_follows() -> None:
    edited = edit_file(FILE, "preview.yaml", [lay(("configuration", "scheduler_au"), 5)])
    assert "        region: us-east-1\n        scheduler_au: 5\n    # where tasks run\n    worker_queues:\n" in edited


def test_json_stays_json() -> None:
    text = json.dumps(read_document(FILE), indent=4) + "\n"
    changes = [lay(("configuration", "scheduler_size"), "MEDIUM"), lay(("environment_variables", "STAGE"), Gap.ABSENT)]
    edited = edit_file(text, "preview.json", changes)
    document = json.loads(edited)["deployment"]
    assert document["configuration"]["scheduler_size"] == "MEDIUM"
    assert [each["key"] for each in document["environment_variables"]] == ["API_TOKEN", "MODE"]
    assert edited.startswith('{\n    "deployment"')


def test_what_cannot_be_edited_without_a_loss_is_refused_and_not_half_done() -> None:
    # Text to the product and to YAML 1.2, but the file says that it is 1.1, where `yes` is true.
    text = "%YAML 1.1\n---\ndeployment:\n  configuration: {executor: CELERY, region: yes}\n"
    with pytest.raises(TemplateError, match=r"preview.yaml: it is written so that it cannot be edited"):
        edit_file(text, "preview.yaml", [lay(("configuration", "scheduler_size"), "SMALL")])


@given(fields(), fields())
def test_whatever_changes_the_file_says_it(before: Fields, production: Fields) -> None:
    text = write_file(write_document(before), ("a heading",))
    edited = edit_file(text, "preview.yaml", merge_fields(before, production, before).laid)
    assert read_fields(read_document(edited)) == production
    assert edited.startswith("# a heading\n")


@given(fields())
def test_a_comment_stays_before_the_line_that_it_is_about(production: Fields) -> None:
    trunk = read_fields(read_document(FILE))
    merge = merge_fields(trunk, production, trunk)
    edited = edit_file(FILE, "preview.yaml", merge.laid)
    lines = [line.strip() for line in FILE.splitlines()]
    kept = [line.strip() for line in edited.splitlines()]
    for line, follows in itertools.pairwise(lines):
        if line.startswith("#") and follows in kept:
            assert kept[kept.index(line) + 1] == follows
