"""The forms of cleanup and orphans: dry by hand, never dry by the clock, and each field checked by name."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from include.deploy_ops.core.errors import PermanentError
from include.deploy_ops.core.policy.keys import Project
from include.deploy_ops.operators.cleanup.form import (
    CleanupForm,
    OrphansForm,
    make_cleanup_params,
    make_orphans_params,
    read_cleanup_form,
    read_orphans_form,
)

PROJECT = Project.model_validate(
    {
        "name": "shop",
        "repository": "acme/shop",
        "image": ["registry.example/acme/shop:{sha}"],
        "previews": {
            "branches": ["dev*"],
            "template": "preview.yaml",
            "merged_into": ["main"],
            "hibernate_after": "2d",
            "delete_after": "14d",
        },
    }
)


def read(**params: Any) -> CleanupForm:
    return read_cleanup_form(params, PROJECT, "manual")


def test_by_hand_it_is_dry_unless_the_form_says_otherwise() -> None:
    assert read() == CleanupForm(dry_run=True)
    assert read(dry_run=False) == CleanupForm(dry_run=False)
    assert read(**make_defaults()) == CleanupForm(dry_run=True)
    assert read(project="shop") == CleanupForm(dry_run=True, project="shop"), "as releases before 0.3.0 sent it"
    assert read_orphans_form({}, "manual") == OrphansForm(dry_run=True)


def make_defaults() -> dict[str, Any]:
    return {name: param.resolve() for name, param in make_cleanup_params().items()}


@pytest.mark.parametrize("params", [make_defaults(), {"dry_run": True, "branches": 7}])
def test_the_clock_fills_in_no_form(params: dict[str, Any]) -> None:
    assert read_cleanup_form(params, PROJECT, "scheduled") == CleanupForm(dry_run=False)
    assert read_orphans_form(params, "scheduled") == OrphansForm(dry_run=False)


def test_everything_is_read() -> None:
    form = read(
        dry_run=False,
        project="shop",
        hibernate_after=" 1h ",
        delete_after="3d",
        branches="dev-a, dev/*\n\n feature|x ,",
        max_deletes=0,
        reason=" the bill ",
    )
    assert form == CleanupForm(
        dry_run=False,
        project="shop",
        hibernate_after=timedelta(hours=1),
        delete_after=timedelta(days=3),
        branches=("dev-a", "dev/*", "feature|x"),
        max_deletes=0,
        reason="the bill",
    )
    assert read(branches=["dev-a", " dev,b "]).branches == ("dev-a", "dev,b")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"dry_run": "false"}, "dry_run: found 'false', expected true or false"),
    ({"dry_run": None}, "dry_run: found nothing, expected true or false"),
    ({"dryrun": False}, "dryrun: unknown key; did you mean 'dry_run'?"),
    ({"branch": "dev-a"}, "branch: unknown key; did you mean 'branches'?"),
    ({"project": "till"}, "project: found 'till', expected 'shop', whose DAG this is"),
    ({"hibernate_after": "soon"}, "hibernate_after: found 'soon', expected a duration: a whole number and its unit"),
    ({"delete_after": 3}, "delete_after: found 3, expected a duration"),
    ({"delete_after": "1d"}, "hibernate_after: 2 days, 0:00:00 is not before delete_after, 1 day, 0:00:00"),
    ({"hibernate_after": "20d"}, "hibernate_after: 20 days, 0:00:00 is not before delete_after, 14 days, 0:00:00"),
    ({"branches": 7}, "branches: found 7, expected a list"),
    ({"branches": ["dev-a", 7]}, "branches[1]: found 7, expected text"),
    ({"branches": "dev a"}, "branches[0]: found 'dev a', expected a pattern for whole branch names"),
    ({"max_deletes": -1}, "max_deletes: found -1, expected a number of at least 0"),
    ({"max_deletes": True}, "max_deletes: found true, expected a whole number"),
    ({"max_deletes": "3"}, "max_deletes: found '3', expected a whole number"),
    ({"reason": "\udcff"}, "reason: found '\\udcff', expected text that can be written"),
]


@pytest.mark.parametrize(("params", "said"), WRONG, ids=[next(iter(params)) for params, _ in WRONG])
def test_what_is_wrong_is_told_by_field_found_and_expected(params: dict[str, Any], said: str) -> None:
    with pytest.raises(PermanentError) as raised:
        read(**params)
    assert said in str(raised.value)


def test_the_fields_of_the_forms() -> None:
    params = make_cleanup_params()
    assert list(params) == ["dry_run", "hibernate_after", "delete_after", "branches", "max_deletes", "reason"]
    assert list(make_orphans_params()) == ["action", "dry_run", "project"]
    for given in (*params.values(), *make_orphans_params().values()):
        given.resolve()  # a scheduled run needs a default for each


def test_nothing_has_to_be_filled_in() -> None:
    cleanup, orphans = make_cleanup_params(), make_orphans_params()
    switch, action = cleanup.pop("dry_run"), orphans.pop("action")
    assert orphans.pop("dry_run").schema.keys() == switch.schema.keys()
    assert "type" not in switch.schema, "Airflow calls a typed switch required"
    assert (action.value, action.schema["type"]) == ("delete", "string")
    assert all("null" in given.schema["type"] for given in (*cleanup.values(), *orphans.values()))


@pytest.mark.parametrize("name", ["hibernate_after", "delete_after", "branches", "reason"])
@pytest.mark.parametrize("sent", [None, "", " "])
def test_what_is_left_empty_may_be_null_or_blank(name: str, sent: str | None) -> None:
    assert make_cleanup_params()[name].resolve(sent) == sent  # as Airflow checks it
    assert read(**{name: sent}) == read()
    assert make_orphans_params()["project"].resolve(sent) == sent
    assert read_orphans_form({"project": sent}, "manual") == OrphansForm()
