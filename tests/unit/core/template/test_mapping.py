"""The policy's mapping within the template: it wins, it is filled for a branch, and values come in last."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from include.deploy_ops.core.environment.mapping import Mapped
from include.deploy_ops.core.environment.placeholders import make_fields
from include.deploy_ops.core.environment.sources import ConnectionSource, Pattern, VariableSource
from include.deploy_ops.core.model import Variable
from include.deploy_ops.core.template.mapping import (
    fill_mapping,
    find_unfilled,
    find_uninherited,
    lay_mapping,
    lay_values,
)
from include.deploy_ops.core.template.template import (
    Template,
    dump_deployment,
    find_added,
    find_missing,
    fingerprint_template,
    list_rendered,
    merge_overrides,
    parse_template,
    render_deployment,
)
from tests.unit.core.template.test_template import INSPECTED, SOURCE
from tests.worlds.values.examples import make_deployment

WAREHOUSE = Mapped("AIRFLOW_CONN_WAREHOUSE", ConnectionSource("preview_warehouse"))
STAGE = Mapped("STAGE", Pattern("dev_{project}"))
TOKEN = Mapped("TOKEN", VariableSource("preview_token"))


def make(*mapped: Mapped, secrets: tuple[str, ...] = (), **configuration: Any) -> Template:
    variables = [{"key": "STAGE", "value": "preview"}, *({"key": key, "is_secret": True} for key in secrets)]
    over = {"environment_variables": variables, "configuration": configuration}
    return lay_mapping(merge_overrides(parse_template(INSPECTED, SOURCE), over), mapped)


def render(template: Template, *variables: Variable, rendered: tuple[str, ...] = ()) -> dict[str, dict[str, Any]]:
    """Return the variables of an update of a Deployment that has these."""
    document = render_deployment(
        fill_mapping(template, make_fields("shop", "dev-x")),
        name="p",
        description="",
        workspace_name="W",
        observed=make_deployment("dev-x", variables=variables),
        rendered=rendered,
    )
    return {each["key"]: each for each in document["deployment"].get("environment_variables", ())}


def test_the_mapping_wins_and_says_over_what() -> None:
    template = make(STAGE, WAREHOUSE)
    assert template.replaced == ("STAGE",)
    assert render(template) == {
        "AIRFLOW_CONN_WAREHOUSE": {"key": "AIRFLOW_CONN_WAREHOUSE", "is_secret": True, "value": ""},
        "STAGE": {"key": "STAGE", "is_secret": False, "value": "dev_shop"},
    }


def test_without_a_mapping_nothing_is_new() -> None:
    plain = make()
    assert (plain.mapped, plain.replaced) == ((), ())
    assert fingerprint_template(plain) == fingerprint_template(parse_template(INSPECTED, SOURCE))


def test_each_other_mapping_asks_for_an_update() -> None:
    others = [(), (WAREHOUSE,), (Mapped(WAREHOUSE.key, ConnectionSource("preview_b")),), (STAGE,), (WAREHOUSE, STAGE)]
    assert len({fingerprint_template(make(*each)) for each in others}) == len(others)


def test_what_a_deployment_lacks_of_the_mapping_is_missing_and_what_it_has_was_not_added() -> None:
    template = make(WAREHOUSE)
    bare = make_deployment("dev-x", variables=(Variable("STAGE", is_secret=False, value="x"),))
    full = make_deployment("dev-x", variables=(*bare.variables, Variable(WAREHOUSE.key, is_secret=True)))
    assert f"variable {WAREHOUSE.key}" in find_missing(template, bare)
    assert f"variable {WAREHOUSE.key}" not in find_missing(template, full)
    assert find_added(template, full) == ()
    assert find_added(make(), full) == (f"variable {WAREHOUSE.key}",)


def test_what_is_mapped_no_longer_goes_and_what_a_person_set_stays() -> None:
    there = (Variable(WAREHOUSE.key, is_secret=True), Variable("MINE", is_secret=True))
    assert render(make(), *there, rendered=list_rendered(make(WAREHOUSE))).keys() == {"STAGE", "MINE"}
    assert render(make(), *there).keys() == {"STAGE", "MINE", WAREHOUSE.key}  # nobody remembers whose it is


def test_a_secret_of_the_template_that_was_filled_is_emptied_when_it_is_mapped_no_longer() -> None:
    before = list_rendered(make(TOKEN, secrets=("TOKEN",)))
    now = make(secrets=("TOKEN",))
    there = Variable("TOKEN", is_secret=True)
    assert render(now, there, rendered=before)["TOKEN"] == {"key": "TOKEN", "is_secret": True, "value": ""}
    # What a person set since, after the next update, is kept.
    assert render(now, there, rendered=list_rendered(now))["TOKEN"] == {"key": "TOKEN", "is_secret": True}


def test_secrets_that_nothing_fills_are_named() -> None:
    assert find_unfilled(make(TOKEN, WAREHOUSE, secrets=("TOKEN", "OTHER"))) == ("OTHER",)
    assert find_unfilled(make(TOKEN)) == ()


def test_what_leads_to_productions_secrets_is_named_until_it_is_inherited() -> None:
    keys = ("AIRFLOW__SECRETS__BACKEND", "AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS")
    template = make(secrets=keys, workload_identity="arn:aws:iam::1:role/x")
    assert find_uninherited(template, ()) == (*keys, "workload_identity")
    assert find_uninherited(template, ("workload_identity", keys[0])) == (keys[1],)
    assert find_uninherited(make(TOKEN, workload_identity=""), ()) == ()


VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(VALUES)
def test_values_reach_the_file_as_they_are(value: str) -> None:
    template = make(TOKEN, STAGE)
    document = render_deployment(template, name="p", description="d", workspace_name="W")
    text = "# TOKEN: a note\n" + dump_deployment(document)
    laid = yaml.safe_load(lay_values(text, {"TOKEN": value}))
    variables = {each["key"]: each for each in laid["deployment"].pop("environment_variables")}
    assert variables["TOKEN"] == {"key": "TOKEN", "is_secret": True, "value": value}
    plain = yaml.safe_load(text)
    plain["deployment"].pop("environment_variables")
    assert laid == plain


@pytest.mark.parametrize("key", ["STAGE", "NONE"])
def test_a_value_goes_nowhere_but_into_a_secret(key: str) -> None:
    text = dump_deployment(render_deployment(make(TOKEN), name="p", description="", workspace_name="W"))
    with pytest.raises(ValueError, match=f"no secret variable {key}") as caught:
        lay_values(text, {key: "canary"})
    assert "canary" not in str(caught.value)
