"""The tour's policy with what previews are given and how they are verified, and the DAG that is told to work."""

from __future__ import annotations

import pytest
import yaml

from demo.proof import DAG, PARSED_AGAIN_S, POOL, SLOTS, add_proof, write_dag
from demo.settings_file import read_settings
from demo.stack import POLICY, ROOT
from include.deploy_ops.core.environment.sources import ConnectionSource, VariableSource
from include.deploy_ops.core.policy.file import load_policy
from sandbox.settings import Settings
from tests.demo.test_settings_file import PORTS

SHIPPED = POLICY.read_text(encoding="utf-8")


def test_the_policy_differs_in_what_previews_are_given_and_how_they_are_verified() -> None:
    shipped, tours = yaml.safe_load(SHIPPED), yaml.safe_load(add_proof(SHIPPED))
    assert set(tours.pop("sources")) == {"connections", "variables"}
    previews = tours["projects"][0]["previews"]
    previews.pop("environment")
    assert previews.pop("verify")["compare_with"] == "production"
    assert previews["activity"] == ["deploys", "runs"]
    previews["activity"].remove("runs")
    assert shipped == tours


def test_the_product_takes_the_policy_and_the_settings_hold_what_it_maps() -> None:
    loaded = load_policy(add_proof(SHIPPED), "the tour's policy")
    assert not loaded.problems
    previews = loaded.policy.projects[0].previews
    assert previews is not None
    assert {name: pool.slots for name, pool in previews.environment.pools.items()} == {POOL: SLOTS}
    sources = [source for _, _, source in previews.environment.entries]
    settings = read_settings(ROOT / "airflow_settings.yaml", PORTS)
    connections = {each["conn_id"] for each in settings["connections"]}
    variables = {each["variable_name"] for each in settings["variables"]}
    assert {each.connection for each in sources if isinstance(each, ConnectionSource)} <= connections
    assert {each.variable for each in sources if isinstance(each, VariableSource)} <= variables


@pytest.mark.parametrize("line", ["projects:\n", "    previews:\n"])
def test_a_policy_without_the_places_for_it_is_no_tours_policy(line: str) -> None:
    with pytest.raises(ValueError, match=f"0 lines with `{line.strip()}`, expected one"):
        add_proof(SHIPPED.replace(f"\n{line}", "\n# gone\n"))


def test_the_dag_reads_the_variable_by_that_name_and_is_python() -> None:
    text = write_dag("order_limit")
    compile(text, "dags/smoke_orders.py", "exec")
    assert 'Variable.get("order_limit")' in text
    assert f"def {DAG}()" in text
    assert write_dag("order_limit", "import acme\n").splitlines()[2] == "import acme"


def test_the_sandbox_has_the_setting_by_which_it_parses_often() -> None:
    assert Settings().parsed_again_s > PARSED_AGAIN_S
