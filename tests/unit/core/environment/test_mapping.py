"""Which environment variables a mapping gives, and which it may not."""

from __future__ import annotations

import re

import pytest

from include.deploy_ops.core.environment.mapping import (
    check_environment_name,
    check_inherited,
    fill_texts,
    find_size_problems,
    map_environment,
    write_mapped,
)
from include.deploy_ops.core.environment.sources import ConnectionSource, Pattern, VariableSource, parse_source

MAPPED = map_environment(
    (
        ("connections", "warehouse", ConnectionSource("preview_warehouse")),
        ("variables", "target_schema", Pattern("dev_{project}")),
        ("environment_variables", "dbt_token", VariableSource("preview_token")),
    )
)


def test_connections_and_variables_stand_where_airflow_looks_for_them() -> None:
    assert [(each.key, each.is_secret) for each in MAPPED] == [
        ("AIRFLOW_CONN_WAREHOUSE", True),
        ("AIRFLOW_VAR_TARGET_SCHEMA", False),
        ("dbt_token", True),
    ]


def test_only_texts_are_filled_before_the_values_are_read() -> None:
    assert fill_texts(MAPPED, {"project": "shop"}) == {"AIRFLOW_VAR_TARGET_SCHEMA": "dev_shop"}


def test_where_values_come_from_is_written_as_it_is_read() -> None:
    written = write_mapped(MAPPED)
    assert written["AIRFLOW_CONN_WAREHOUSE"] == {"connection": "preview_warehouse", "field": ""}
    assert parse_source(written["dbt_token"]) == VariableSource("preview_token")
    assert parse_source(written["AIRFLOW_VAR_TARGET_SCHEMA"]) == Pattern("dev_{project}")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("A-B", "letters, digits and '_'"),
        ("1A", "no digit first"),
        ("AIRFLOW_CONN_X", "below 'environment.connections'"),
        ("airflow_var_x", "below 'environment.variables'"),
        ("AIRFLOW__SECRETS__BACKEND", "previews.inherit"),
        ("AIRFLOW__WORKERS__SECRETS_BACKEND_KWARGS", "previews.inherit"),
    ],
)
def test_a_name_that_means_something_else_is_refused(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        check_environment_name(name)
    assert check_environment_name("AIRFLOW__CORE__PARALLELISM") == "AIRFLOW__CORE__PARALLELISM"


def test_only_what_leads_to_secrets_is_inherited() -> None:
    for key in ("workload_identity", "AIRFLOW__SECRETS__BACKEND", "AIRFLOW__WORKERS__SECRETS_BACKEND"):
        assert check_inherited(key) == key
    with pytest.raises(ValueError, match="workload_identity, or a variable AIRFLOW__SECRETS__…"):
        check_inherited("AIRFLOW__CORE__PARALLELISM")


def test_sizes_are_told_and_values_are_not() -> None:
    most = "x" * 64 * 1024
    assert list(find_size_problems({"A": most})) == []
    assert list(find_size_problems({"A": most + "é"})) == ["the value for A has 65,538 bytes, and may have 65,536"]
    (said,) = find_size_problems({f"K{number}": most for number in range(9)})
    assert said == "all mapped values together have 589,824 bytes, and may have 524,288"
