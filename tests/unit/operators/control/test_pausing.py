"""What a verification left unpaused is looked for where the policy has previews verified, or had them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from include.deploy_ops.core.policy.keys import Verify
from include.deploy_ops.operators.control.pausing import Pausing
from include.deploy_ops.run.memory import Memory
from tests.worlds.doubles.airflow import DictStore
from tests.worlds.values.examples import make_project


@pytest.mark.parametrize(("verify", "reads"), [(None, 1), (Verify(), 2)])
def test_a_pass_reads_little_of_it_where_nothing_is_verified(verify: Verify | None, reads: int) -> None:
    store, nobody = DictStore(), None
    scope: Any = SimpleNamespace(project=make_project(previews={"verify": verify}))
    pausing = Pausing(scope, nobody, Memory(store), nobody)  # type: ignore[arg-type]  # nobody is asked
    pausing.pause_again({}, {}, ())
    assert store.asked == reads
